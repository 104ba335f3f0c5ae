"""One file of an upload, wherever it lies."""

import io
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from ich_lib.readers.limits import LIMITS
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.sniff import HEAD_BYTES, kind

_SYSTEM_FILES = {"__MACOSX", "DICOMDIR", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Piece:
    """One file of an upload.

    Attributes:
        path: where it lies on disk or inside its zip. Inside a zip it is only a name: nothing is written there.
        data: its bytes if it came out of a zip.
    """

    path: PurePath
    data: bytes | None = None

    @property
    def name(self) -> str:
        """Base name for sentences; without control characters, which could turn a sentence round."""
        return shown(self.path.name)

    def open(self) -> BinaryIO:
        """A binary stream at its first byte.

        Raises:
            ReadError: if it vanished, may not be read, or is larger than the limit.
        """
        if self.data is not None:
            return io.BytesIO(self.data)
        path = Path(self.path)
        try:
            size, stream = path.stat().st_size, path.open("rb")
        except OSError as problem:
            raise ReadError(f"{self.name} could not be opened ({problem.strerror}). Choose it again.") from problem
        if size > LIMITS["file_bytes"]:
            stream.close()
            size_mb, most_mb = size // 1_000_000, LIMITS["file_bytes"] // 1_000_000
            raise ReadError(f"{self.name} has {size_mb} MB; {most_mb} MB is the most. Give one head scan.")
        return stream

    def kind(self) -> str:
        """What it is by its content, see `sniff.kind`."""
        with self.open() as stream:
            return kind(stream.read(HEAD_BYTES))


def is_system_file(path: PurePath) -> bool:
    """Whether an operating system or a CD writer put it there: hidden files, __MACOSX, DICOMDIR."""
    return any(part.startswith(".") or part in _SYSTEM_FILES for part in path.parts)


def shown(name: str) -> str:
    """A name fit for a sentence: no control characters, not endless."""
    name = "".join(c for c in name if c.isprintable())
    return name if len(name) <= 60 else name[:57] + "..."
