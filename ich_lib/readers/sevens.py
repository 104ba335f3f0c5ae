"""The list of a 7z archive and its entries. All are unpacked when the first is needed, by py7zr, which is optional."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from ich_lib.readers.entry import Entry, Shelf, entry_path
from ich_lib.readers.piece import is_system_file
from ich_lib.readers.refusal import ReadError, missing_package

_UNPACK_ADVICE = "Unpack it on your computer and give the folder, or zip the files."
_LOCKED = "{} is locked with a password. Unpack it yourself and give the folder."
_MOST_DICTIONARY = 256 << 20  # bytes that LZMA or PPMd reserve; 7-Zip's largest preset takes 64 MB


def entries(path: Path, name: str) -> list[Entry]:
    """The files of a 7z.

    Args:
        path: of the archive.
        name: for messages.

    Raises:
        ReadError: if py7zr is not installed, or the archive is locked, one of several parts, or needs too much memory.
    """
    if find_spec("py7zr") is None:
        raise ReadError(
            f"{name} is a 7z archive, which is not read here.",
            code="package",
            to_do=missing_package("py7zr", _UNPACK_ADVICE),
        )
    import py7zr

    try:
        with path.open("rb") as stream, py7zr.SevenZipFile(stream) as archive:
            if archive.needs_password():
                raise ReadError(_LOCKED.format(name), code="locked")
            _refuse_memory(archive, name)
            files = [file for file in archive.list() if file.is_file and not is_system_file(entry_path(file.filename))]
    except py7zr.PasswordRequired:  # the list is locked too
        raise ReadError(_LOCKED.format(name), code="locked") from None
    except py7zr.Bad7zFile as problem:
        raise ReadError(
            f"{name} is damaged, or only one part of several. {_UNPACK_ADVICE}", code="damaged"
        ) from problem
    contents = _Contents(path, name, {file.filename: file.uncompressed for file in files})
    return [
        Entry(entry_path(file.filename), file.uncompressed, None, partial(contents.open, file.filename))
        for file in files
    ]


def _refuse_memory(archive: Any, name: str) -> None:
    """Refuse an archive that reserves gigabytes for a few bytes. The archive states the memory that it needs."""
    streams = getattr(archive.header, "main_streams", None)
    coders = [coder for folder in (streams.unpackinfo.folders if streams else ()) for coder in folder.coders]
    if max((_memory(coder) for coder in coders), default=0) > _MOST_DICTIONARY:
        raise ReadError(
            f"{name} needs more than {_MOST_DICTIONARY >> 20} MB of memory to be unpacked. {_UNPACK_ADVICE}",
            code="too large",
        )


def _memory(coder: dict) -> int:
    """Bytes that a decoder of 7z reserves, by its properties.

    Source:
        7-Zip, DOC/Methods.txt and lzma.txt: LZMA 03 01 01, PPMd 03 04 01 (a byte, then 4 of size), LZMA2 21 (a code).
    """
    method, properties = bytes(coder["method"]), bytes(coder.get("properties") or b"")
    if method in (b"\x03\x01\x01", b"\x03\x04\x01"):
        return int.from_bytes(properties[1:5], "little")
    if method == b"\x21" and properties:
        return (2 | properties[0] & 1) << (properties[0] // 2 + 11)
    return 0


class _Contents:
    """The entries of one 7z. All are unpacked into a temporary file without a name when the first is opened."""

    def __init__(self, path: Path, name: str, sizes: dict[str, int]):
        self._path, self._name = path, name
        self._names, self._bytes_left = list(sizes), sum(sizes.values())
        self._lock = Lock()
        self._shelf: Shelf | None = None
        self._parts: dict[str, tuple[int, int]] = {}

    def open(self, filename: str) -> BinaryIO:
        with self._lock:
            shelf = self._shelf or self._unpack()
            return shelf.open(*self._parts.get(filename, (0, 0)))

    def _unpack(self) -> Shelf:
        import py7zr

        self._shelf = shelf = Shelf()
        try:
            with self._path.open("rb") as stream, py7zr.SevenZipFile(stream) as archive:
                archive.extract(targets=self._names, factory=self)
        except ReadError:
            raise
        except Exception as problem:
            raise ReadError(
                f"{self._name} is damaged and could not be unpacked. {_UNPACK_ADVICE}", code="damaged"
            ) from problem
        return shelf

    def create(self, filename: str) -> "_Writer":
        """py7zr calls this for a place to write each entry to."""
        return _Writer(self, filename)

    def write(self, filename: str, data: bytes) -> int:
        """Append to the current entry; py7zr unpacks one after the other."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise ReadError(f"{self._name} unpacks to more than its list says. {_UNPACK_ADVICE}", code="too large")
        if self._shelf is None:
            raise ValueError("py7zr writes before anything is unpacked.")
        end = self._shelf.add(data)
        at, size = self._parts.get(filename, (end, 0))
        self._parts[filename] = (at, size + len(data))
        return len(data)


class _Writer:
    """The file object that py7zr writes one entry to."""

    def __init__(self, contents: _Contents, filename: str):
        self._contents, self._filename, self._size = contents, filename, 0

    def write(self, data: bytes) -> int:
        self._size += len(data)
        return self._contents.write(self._filename, data)

    def size(self) -> int:
        return self._size

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def flush(self) -> None:
        return None

    def close(self) -> None:
        return None
