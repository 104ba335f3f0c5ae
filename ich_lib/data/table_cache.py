"""A table that was read once, kept: opening a folder of many NIfTI masks or DICOM headers takes long, a file does not.

What is kept are names, labels and places of files, no picture. It lies in the user's own cache folder, readable by the
user alone, since a table holds the names that the set gives its patients.
"""

import hashlib
import os
import pickle
from contextlib import suppress
from pathlib import Path

from ich_lib.data import open_set
from ich_lib.data.store import cache_folder
from ich_lib.data.table import Table

# All that a table is made of. A pickle may name anything that Python can call; from this file nothing else is taken.
_PLAIN = {
    *(("pathlib", name) for name in ("Path", "PosixPath", "WindowsPath")),
    *(("pathlib._local", name) for name in ("Path", "PosixPath", "WindowsPath")),
    *(("numpy", name) for name in ("ndarray", "dtype")),
    *(("numpy._core.multiarray", name) for name in ("_reconstruct", "scalar")),
    ("numpy._core.numeric", "_frombuffer"),
    *(("builtins", name) for name in ("set", "frozenset", "slice", "range")),
}
_OURS = "ich_lib.data."


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        found = super().find_class(module, name) if module.startswith(_OURS) else None
        if isinstance(found, type) and found.__module__ == module:  # a class of ours, not what its module imports
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a table")


def kept_table(folder: str | Path) -> Table:
    """`open_set`, or what an earlier call kept of the same files.

    A file that was added, removed or written to since makes it read again.

    Args:
        folder: of a data set.

    Raises:
        FileNotFoundError: as `open_set`.
        ValueError: as `open_set`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder.")
    place = cache_folder() / f"table-{fingerprint(folder)}.pickle"
    kept = _read(place)
    if kept is None:
        kept = open_set(folder)
        place = cache_folder() / f"table-{fingerprint(folder)}.pickle"  # reading may have left an index in the folder
        _write(kept, place)
    return kept


def fingerprint(folder: Path) -> str:
    """Changes with the place, the name, the size and the time of every file, and with the code that reads them."""
    told = hashlib.blake2b(str(folder.resolve()).encode(), digest_size=10)
    for part in sorted(Path(__file__).parent.glob("*.py")):
        told.update(part.read_bytes())
    for line in sorted(_files(str(folder))):
        told.update(line.encode(errors="surrogateescape"))
    return told.hexdigest()


def _files(folder: str) -> list[str]:
    """A line a file, hidden ones left out."""
    lines = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                lines += _files(entry.path)
            else:
                stat = entry.stat()
                lines.append(f"{entry.path} {stat.st_size} {stat.st_mtime_ns}\n")
    return lines


def _read(place: Path) -> Table | None:
    """The kept table; None where there is none, or it is torn or of another making."""
    try:
        with place.open("rb") as file:
            kept = _Reader(file).load()
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, TypeError, ValueError):
        return None
    return kept if isinstance(kept, Table) else None


def _write(table: Table, place: Path) -> None:
    """Keep it where that can be done; where not, it is read again next time."""
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            pickle.dump(table, file, protocol=5)
        part.replace(place)
    except OSError:
        with suppress(OSError):
            part.unlink()
