"""The list of a tar, plain or compressed by gzip, bzip2 or xz. A compressed one is unpacked once, into a temporary
file."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ich_lib.readers.entry import Entry, Shelf, entry_path, part, refuse_bytes
from ich_lib.readers.limits import LIMITS
from ich_lib.readers.refusal import ReadError

_PACKINGS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))
_CHUNK_BYTES, _LIST_BYTES = 1 << 20, 10_000_000  # names of 5,000 files are far shorter


def entries(path: Path, name: str) -> list[Entry]:
    """The files of a tar; of another compressed file, its one content.

    Args:
        path: of the tar.
        name: for messages.

    Raises:
        ReadError: if it unpacks to more than LIMITS allow.
    """
    with path.open("rb") as stream:
        head = stream.read(6)
    opener = next((opener for magic, opener in _PACKINGS if head.startswith(magic)), None)
    if opener is None:
        with path.open("rb") as stream:
            return _entries(stream, partial(part, path), name)
    shelf = _unpacked(path, name, opener)
    if not _is_tar(shelf.file):
        size = shelf.file.seek(0, io.SEEK_END)
        return [Entry(PurePosixPath(path.stem), size, None, partial(shelf.open, 0, size))]
    return _entries(shelf.file, lambda at, size: partial(shelf.open, at, size), name)


def _entries(stream: BinaryIO, opener: Callable[[int, int], Callable[[], BinaryIO]], name: str) -> list[Entry]:
    """The regular files. Links, devices and sparse files (a few bytes that promise gigabytes) are not scans."""
    members: list[Entry] = []
    end = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    with tarfile.open(fileobj=_Bounded(stream, _LIST_BYTES, name), mode="r:") as archive:
        for member in archive:
            if not member.isreg() or member.issparse():
                continue
            if member.offset_data + member.size > end:
                raise ReadError(f"{name} is cut short: its last file is incomplete. Copy it again.", code="damaged")
            if len(members) == LIMITS["files"]:
                raise ReadError(
                    f"{name} holds more than {LIMITS['files']} files. Give one head scan.", code="too large"
                )
            opened = opener(member.offset_data, member.size)
            members.append(Entry(entry_path(member.name), member.size, None, opened))
    return members


def _unpacked(path: Path, name: str, opener: Callable[[BinaryIO], Any]) -> Shelf:
    """The whole archive, unpacked. The sizes that it states are not trusted."""
    packed, shelf, size = path.stat().st_size, Shelf(), 0
    with path.open("rb") as stream, opener(stream) as source:
        while chunk := source.read(_CHUNK_BYTES):
            size += len(chunk)
            refuse_bytes(name, size, packed)
            shelf.add(chunk)
    return shelf


def _is_tar(stream: BinaryIO) -> bool:
    stream.seek(257)
    return stream.read(5) == b"ustar"


class _Bounded(io.RawIOBase):
    """A stream with a limit: a header of tar may request gigabytes (a long name, a PAX record)."""

    def __init__(self, stream: BinaryIO, max_bytes: int, name: str):
        self._stream, self._left, self._name = stream, max_bytes, name

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise ReadError(f"{self._name} has an endless list of files. Zip the files again.", code="packed")
        return self._stream.read(size)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
