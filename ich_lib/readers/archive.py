"""A zip to pieces, in memory: its list is walked, nothing is extracted to disk, so a name like ../x cannot do harm."""

import stat
import zipfile
from pathlib import PurePosixPath

from ich_lib.readers.limits import LIMITS
from ich_lib.readers.piece import Piece, is_system_file
from ich_lib.readers.refusal import ReadError, decoding


def unzip(piece: Piece) -> list[Piece]:
    """The files of a zip, without folders, links and system files.

    Raises:
        ReadError: if it is damaged, encrypted, an Office document, or larger than LIMITS.
    """
    with piece.open() as stream, decoding(piece.name), zipfile.ZipFile(stream) as archive:
        entries = [entry for entry in archive.infolist() if _is_file(entry)]
        _refuse(piece.name, entries)
        return [Piece(PurePosixPath(entry.filename), _bytes(piece.name, archive, entry)) for entry in entries]


def _is_file(entry: zipfile.ZipInfo) -> bool:
    link = stat.S_ISLNK(entry.external_attr >> 16)
    return not entry.is_dir() and not link and not is_system_file(PurePosixPath(entry.filename))


def _refuse(name: str, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse by the list alone, before anything is unpacked."""
    if any(entry.filename == "[Content_Types].xml" for entry in entries):
        raise ReadError(f"{name} looks like an Office document, not a head CT. Give the original images.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise ReadError(f"{name} is locked with a password. Unpack it yourself and give the folder.")
    if len(entries) > LIMITS["files"]:
        raise ReadError(f"{name} holds {len(entries)} files; {LIMITS['files']} is the most. Give one head scan.")
    if sum(entry.file_size for entry in entries) > LIMITS["zip_bytes"]:
        raise ReadError(f"{name} unpacks to more than {LIMITS['zip_bytes'] // 1_000_000} MB. Give one head scan.")
    bomb = any(entry.file_size > LIMITS["zip_ratio"] * max(entry.compress_size, 5000) for entry in entries)
    if bomb or len({entry.header_offset for entry in entries}) < len(entries):  # entries that share their bytes
        raise ReadError(f"{name} is packed in a way no scanner uses, so it was not opened. Zip the files again.")


def _bytes(name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as stream:
        data = stream.read(entry.file_size + 1)
    if len(data) != entry.file_size:
        raise ReadError(f"{name} is damaged: an entry is not as long as its list says. Zip the files again.")
    return data
