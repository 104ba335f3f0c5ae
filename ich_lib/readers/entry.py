"""One file inside an archive, and the rules for all kinds of archive."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from threading import Lock
from typing import BinaryIO

from ich_lib.readers.limits import LIMITS
from ich_lib.readers.refusal import ReadError

_FLOOR_BYTES = 5000  # below this size a high ratio is harmless


@dataclass(frozen=True)
class Entry:
    """One file of an archive, by its list.

    Attributes:
        path: its name. Any name is harmless, because nothing is written there.
        size: bytes after unpacking, as promised; `open` never gives more.
        packed: bytes in the archive; None if several files share them.
        open: gives a stream at the first byte.
    """

    path: PurePosixPath
    size: int
    packed: int | None
    open: Callable[[], BinaryIO]


def entry_path(name: str) -> PurePosixPath:
    """A name in an archive as a path; some programs on Windows write backslashes."""
    return PurePosixPath(name.replace("\\", "/").replace("\0", ""))


def refuse(name: str, entries: Sequence[Entry], packed: int) -> None:
    """Refuse an archive by its list, before anything is unpacked.

    Args:
        name: of the archive.
        entries: its files.
        packed: bytes of the whole archive.

    Raises:
        ReadError: if the files are too many or too large, or are compressed more than a scan can be.
    """
    if any(entry.path.name == "[Content_Types].xml" for entry in entries):
        raise ReadError(
            f"{name} looks like an Office document, not a head CT. Give the original images.", code="no scan"
        )
    if len(entries) > LIMITS["files"]:
        raise ReadError(
            f"{name} holds {len(entries)} files; the maximum is {LIMITS['files']}. Give one head scan.",
            code="too large",
        )
    refuse_bytes(name, sum(entry.size for entry in entries), packed)
    for entry in entries:
        if entry.packed is not None:
            refuse_ratio(name, entry.size, entry.packed)


def refuse_bytes(name: str, size: int, packed: int) -> None:
    """Refuse an archive that is too large after unpacking.

    Raises:
        ReadError: if it is too large.
    """
    if size > LIMITS["unpacked_bytes"]:
        raise ReadError(
            f"{name} unpacks to more than {LIMITS['unpacked_bytes'] // 1_000_000} MB. Give one head scan, without "
            "other series and programs.",
            code="too large",
        )
    refuse_ratio(name, size, packed)


def refuse_ratio(name: str, size: int, packed: int) -> None:
    """Refuse a zip bomb.

    Raises:
        ReadError: if it is one.
    """
    if size > LIMITS["packing_ratio"] * max(packed, _FLOOR_BYTES):
        raise ReadError(
            f"{name} is packed in a way no scanner uses, so it was not opened. Zip the files again.", code="packed"
        )


def part(path: Path, at: int, size: int) -> Callable[[], BinaryIO]:
    """Open `size` bytes of a file on disk, starting at `at`: one entry of an uncompressed archive."""

    def opened() -> BinaryIO:
        with path.open("rb") as stream:
            return io.BytesIO(_slice(stream, at, size))

    return opened


class Shelf:
    """Unpacked entries, one after the other in a temporary file without a name. The file ends with its last entry."""

    def __init__(self) -> None:
        self._lock, self.file = Lock(), TemporaryFile()  # noqa: SIM115 - closed by __del__

    def __del__(self) -> None:
        self.file.close()

    def add(self, data: bytes) -> int:
        """Append the data and return where it starts."""
        with self._lock:
            at = self.file.seek(0, io.SEEK_END)
            self.file.write(data)
            return at

    def open(self, at: int, size: int) -> BinaryIO:
        """`size` bytes, starting at `at`."""
        with self._lock:
            return io.BytesIO(_slice(self.file, at, size))


def _slice(stream: BinaryIO, at: int, size: int) -> bytes:
    stream.seek(at)
    return stream.read(size)
