"""One process at a time: a lock on a file that goes with its process, however that ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: of a file for the lock alone, in the folder that is locked; made if need be, and it stays.

    Raises:
        ValueError: if another process holds it.

    Example:
        >>> from pathlib import Path
        >>> from ich_lib.lock import held
        >>> with held(Path("results.lock")):
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
                f"Another process writes to {path.parent}. Wait until it ends, or name another folder."
            ) from None
        yield
