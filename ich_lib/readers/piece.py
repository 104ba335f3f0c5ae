"""One file of an upload, on disk or in an archive."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from ich_lib.readers.limits import LIMITS
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.sniff import DISC_AT, HEAD_BYTES, UNKNOWN, file_kind

CONTENTS = "DICOMDIR"  # of a CD; a sentence says what to do if there is nothing else
_SYSTEM_FILES = {"__MACOSX", CONTENTS, "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Piece:
    """One file of an upload.

    Attributes:
        path: on disk or inside its archive. Inside an archive it is only a name: nothing is written there.
        inside: opens the file inside its archive, at its first byte; None for a file on disk.
        root: the folder on disk that contained it; None for a file that was given by itself.
    """

    path: PurePath
    inside: Callable[[], BinaryIO] | None = None
    root: PurePath | None = None

    @property
    def place(self) -> PurePath:
        """Its place in the upload. For a file given by itself this is only the name, because its folder may be the
        server's."""
        if self.inside is not None:
            return self.path
        return PurePath(self.path.name) if self.root is None else self.path.relative_to(self.root.parent)

    @property
    def name(self) -> str:
        """Base name for messages, without control characters, which could change how a sentence is displayed."""
        return printable_name(self.path.name)

    def open(self, *, limit: str = "file_bytes") -> BinaryIO:
        """A binary stream at its first byte.

        Args:
            limit: the key in LIMITS of the maximum size on disk.

        Raises:
            ReadError: if the file disappeared, cannot be read, or is larger than the limit.
        """
        if self.inside is not None:
            return self.inside()
        path = Path(self.path)
        try:
            size, stream = path.stat().st_size, path.open("rb")
        except OSError as problem:
            raise ReadError(
                f"{self.name} could not be opened ({problem.strerror}). Choose it again.", code="missing"
            ) from problem
        if size > LIMITS[limit]:
            stream.close()
            size_mb, most_mb = size // 1_000_000, LIMITS[limit] // 1_000_000
            raise ReadError(
                f"{self.name} has {size_mb} MB; the maximum is {most_mb} MB. Give one head scan.", code="too large"
            )
        return stream

    def kind(self) -> str:
        """The kind of file by its content, see `sniff.file_kind`."""
        with self.open(limit="archive_bytes") as stream, refuse_damaged(self.name):
            kind = file_kind(stream.read(HEAD_BYTES))
            if kind == UNKNOWN and self.inside is None:  # the signature of a CD image follows 32 kB of zeros
                stream.seek(DISC_AT)
                return file_kind(b"", stream.read(HEAD_BYTES))
            return kind


def is_system_file(path: PurePath) -> bool:
    """Whether an operating system or a CD writer made the file: hidden files, __MACOSX, DICOMDIR."""
    return any(part.startswith(".") or part in _SYSTEM_FILES for part in path.parts)


def printable_name(name: str) -> str:
    """A name for a message: without control characters, and of limited length."""
    name = "".join(c for c in name if c.isprintable())
    return name if len(name) <= 60 else name[:57] + "..."
