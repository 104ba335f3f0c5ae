"""The list of a CD image (ISO 9660). Each file is one contiguous piece of the image, so nothing is copied.

Source:
    ECMA-119 (ISO 9660): volume descriptors 8.4, directory records 9.1. Joliet adds only other names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ich_lib.readers.entry import Entry, part
from ich_lib.readers.limits import LIMITS
from ich_lib.readers.refusal import ReadError

_SECTOR = 2048
_FOLDER, _MULTI_EXTENT = 0x02, 0x80
_MOST_FOLDERS, _MOST_FOLDER_BYTES, _DEEPEST = 5000, 1_000_000, 16


@dataclass(frozen=True)
class _Record:
    name: str
    at: int
    size: int
    flags: int


def entries(path: Path, name: str) -> list[Entry]:
    """The files of a CD image.

    Args:
        path: of the image file.
        name: for messages.

    Raises:
        ReadError: if its list cannot be read or has no end.
    """
    with path.open("rb") as stream:
        root = _root(stream)
        if root is None:
            raise ReadError(
                f"{name} is an image of a CD that cannot be read here. Copy its files and give the folder.",
                code="packed",
            )
        end = path.stat().st_size
        listed_entries = []
        for folder, record in _walk(stream, root, name):
            if record.at + record.size <= end and not record.flags & _MULTI_EXTENT:
                listed_entries.append(
                    Entry(folder / record.name, record.size, None, part(path, record.at, record.size))
                )
            if len(listed_entries) > LIMITS["files"]:
                raise ReadError(
                    f"{name} holds more than {LIMITS['files']} files. Give one head scan.", code="too large"
                )
        return listed_entries


def _root(stream: BinaryIO) -> _Record | None:
    """The root folder of the primary volume descriptor; type 255 ends the list of descriptors."""
    for sector in range(16, 48):
        stream.seek(sector * _SECTOR)
        block = stream.read(_SECTOR)
        if block[1:6] == b"CD001" and block[0] == 1:
            return _record(block[156:190])
        if block[1:6] != b"CD001" or block[0] == 255:
            return None
    return None


def _walk(stream: BinaryIO, root: _Record, name: str) -> Iterator[tuple[PurePosixPath, _Record]]:
    """Files with their folders; folders that form a ring are walked once."""
    waiting, visited = [(PurePosixPath(), root, 0)], set()
    while waiting:
        folder, record, depth = waiting.pop()
        if record.at in visited or depth > _DEEPEST:
            continue
        visited.add(record.at)
        if len(visited) > _MOST_FOLDERS:
            raise ReadError(f"{name} has endless folders. Copy its files and give the folder.", code="packed")
        for inside in _records(stream, record):
            if inside.flags & _FOLDER:
                waiting.append((folder / inside.name, inside, depth + 1))
            else:
                yield folder, inside


def _records(stream: BinaryIO, folder: _Record) -> Iterator[_Record]:
    """The records of a folder, without itself and its parent; a record never crosses a sector."""
    stream.seek(folder.at)
    data = stream.read(min(folder.size, _MOST_FOLDER_BYTES))
    at = 0
    while at < len(data):
        length = data[at]
        if length < 34:
            at = (at // _SECTOR + 1) * _SECTOR
            continue
        if data[at + 33 : at + 34] not in (b"\0", b"\x01"):
            yield _record(data[at : at + length])
        at += length


def _record(data: bytes) -> _Record:
    """One directory record; each number is stored twice, little endian first."""
    name = data[33 : 33 + data[32]].decode("ascii", errors="replace").split(";")[0].rstrip(".")
    at, size = int.from_bytes(data[2:6], "little"), int.from_bytes(data[10:14], "little")
    return _Record(name.replace("/", "_") or "_", (at + data[1]) * _SECTOR, size, data[25])
