"""The list of a zip, and its entries opened one by one, including those of Windows above 2 GB (Deflate64)."""

import io
import stat
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, BinaryIO

from ich_lib.readers.entry import Entry, entry_path
from ich_lib.readers.refusal import ReadError

_DEFLATE64, _AES = 9, 99  # APPNOTE.TXT 4.4.5
_READ = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, _DEFLATE64}
_UNPACK_ADVICE = "Unpack it on your computer and give the folder, or zip the files again."
_MOUTHFUL_BYTES = 256  # of Deflate64, whose codes give up to 64 kB each
_BUFFER_BYTES = 16384  # a header is shorter: the rest of an entry is unpacked only when its pixels are needed


def entries(path: Path, name: str) -> list[Entry]:
    """The files of a zip.

    Args:
        path: of the zip.
        name: for messages.

    Raises:
        ReadError: if it is locked, compressed by an unknown method, or its entries share their bytes.
    """
    archive = zipfile.ZipFile(path)  # stays open as long as one of its entries is in use
    links = {entry for entry in archive.infolist() if stat.S_ISLNK(entry.external_attr >> 16)}
    files = [entry for entry in archive.infolist() if not entry.is_dir() and entry not in links]
    if any(entry.flag_bits & 1 for entry in files):
        raise ReadError(f"{name} is locked with a password. Unpack it yourself and give the folder.", code="locked")
    if unknown := {entry.compress_type for entry in files} - _READ:
        raise ReadError(
            f"{name} is packed by method {min(unknown)}, which is not read here. {_UNPACK_ADVICE}", code="packed"
        )
    if len({entry.header_offset for entry in files}) < len(files):
        raise ReadError(
            f"{name} is packed in a way no scanner uses, so it was not opened. Zip the files again.", code="packed"
        )
    return [
        Entry(
            entry_path(file.filename), file.file_size, file.compress_size, partial(_opened, archive, file, path, name)
        )
        for file in files
    ]


def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, name: str) -> BinaryIO:
    if entry.compress_type == _DEFLATE64:
        return io.BytesIO(_deflate64(entry, path, name))
    return io.BufferedReader(_Entry(archive, entry, name), _BUFFER_BYTES)


class _Entry(io.RawIOBase):
    """An entry that is unpacked while it is read. The checksum is compared at its end. An error is reported for the
    zip."""

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str):
        self.name = name  # pydicom reads the name of a stream
        self._stream: IO[bytes] | None = None
        self._stream = self._try(archive.open, entry)

    def _try(self, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return work(*arguments)
        except Exception as problem:
            raise ReadError(
                f"{self.name} is damaged and could not be unpacked. Zip the files again.", code="damaged"
            ) from problem

    @property
    def _open(self) -> IO[bytes]:
        if self._stream is None:
            raise ValueError(f"{self.name} is closed.")
        return self._stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._try(self._open.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._try(self._open.seek, offset, whence)

    def tell(self) -> int:
        return self._open.tell()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        super().close()


def _deflate64(entry: zipfile.ZipInfo, path: Path, name: str) -> bytes:
    """Python's zipfile does not know this method; inflate64, a dependency of py7zr, does.

    Raises:
        ReadError: if inflate64 is missing or the entry is damaged.
    """
    fact = f"{name} is packed as Deflate64, as Windows does above 2 GB"
    if find_spec("inflate64") is None:
        raise ReadError(f"{fact}, which is not read here. {_UNPACK_ADVICE}", code="packed")
    try:
        data = _inflated64(_packed(entry, path), entry.file_size)
        if len(data) == entry.file_size and zlib.crc32(data) == entry.CRC:
            return data
    except Exception as problem:
        raise ReadError(f"{fact}, and could not be unpacked. {_UNPACK_ADVICE}", code="packed") from problem
    raise ReadError(f"{fact}, and could not be unpacked. {_UNPACK_ADVICE}", code="packed")


def _inflated64(packed: bytes, size: int) -> bytes:
    """At most a small amount more than `size` bytes."""
    from inflate64 import Inflater

    inflater, data = Inflater(), bytearray()
    for at in range(0, len(packed), _MOUTHFUL_BYTES):
        if inflater.eof or len(data) > size:
            break
        data += inflater.inflate(packed[at : at + _MOUTHFUL_BYTES])
    return bytes(data)


def _packed(entry: zipfile.ZipInfo, path: Path) -> bytes:
    """The compressed bytes of an entry, after its local header (APPNOTE.TXT 4.3.7)."""
    with path.open("rb") as stream:
        stream.seek(entry.header_offset)
        header = stream.read(30)
        if header[:4] != b"PK\x03\x04":
            raise ValueError("no local header")
        stream.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), io.SEEK_CUR)
        return stream.read(entry.compress_size)
