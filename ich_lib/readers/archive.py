"""An archive to pieces: zip, tar, 7z, CD image. The lists of files are checked; nothing is extracted to disk.

A name inside an archive is only text, so a name such as ../x does no harm. The content of an entry is read when it is
needed, so a scan that is too large is refused by its headers.
"""

from pathlib import Path

from ich_lib.readers import disc, sevens, tars, zips
from ich_lib.readers.entry import refuse
from ich_lib.readers.piece import CONTENTS, Piece, is_system_file
from ich_lib.readers.refusal import refuse_damaged

_LISTS = {"zip": zips.entries, "tar": tars.entries, "7z": sevens.entries, "disc": disc.entries}


def unpack(piece: Piece, kind: str) -> list[Piece]:
    """The files of an archive, without folders, links and system files.

    Args:
        piece: the archive, a file on disk.
        kind: one of `sniff.ARCHIVES`.

    Raises:
        ReadError: if the archive is damaged, locked, an Office document, or larger than LIMITS.
    """
    piece.open(limit="archive_bytes").close()  # not too large
    path = Path(piece.path)
    with refuse_damaged(piece.name):
        everything = list(_LISTS[kind](path, piece.name))
        entries = [entry for entry in everything if not is_system_file(entry.path)]
        entries = entries or [entry for entry in everything if entry.path.name == CONTENTS]
        refuse(piece.name, entries, path.stat().st_size)
    return [Piece(entry.path, entry.open) for entry in entries]
