"""A lock on a file, so that only one process works at a time. It ends with its process, even if that is killed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: a file only for the lock, in the locked folder. It is made if it is missing, and is not deleted.

    Raises:
        ValueError: if another process holds the lock.

    Example:
        >>> from pathlib import Path
        >>> from ich_lib.lock import hold_lock
        >>> with hold_lock(Path("results.lock")):
        ...     pass
    """
    with path.open("ab") as file:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f"Another process is writing to {path.parent}. Wait until it ends, or name another folder."
            ) from None
        yield
