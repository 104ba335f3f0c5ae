"""Paths to pieces: folders are walked and archives are opened. The result is a flat list of files."""

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ich_lib.readers.archive import unpack
from ich_lib.readers.limits import LIMITS
from ich_lib.readers.piece import CONTENTS, Piece, is_system_file, printable_name
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.sniff import ARCHIVES

READABLE_FORMATS = "Give DICOM (files, a folder, a zip, tar, 7z or CD image), NIfTI (.nii, .nii.gz), or pictures."

_WHERE_IT_IS = {
    "python": "Check the path: there is no file or folder of that name.",
    "command line": "Check the path: there is no file or folder of that name.",
    "page": "Give the file again.",
    "endpoint": "Send the file again.",
}


def gather(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Piece]:
    """List the files of `paths`: folders are walked, archives are opened, and a repeated path counts once.

    Raises:
        ReadError: if there is no file, if there are too many, or if a path does not exist.
    """
    pieces = []
    for path in _existing_paths(paths):
        if path.is_dir():
            pieces += _walk(path)
        elif (kind := (piece := Piece(path)).kind()) in ARCHIVES:
            pieces += unpack(piece, kind)
        else:
            pieces.append(piece)
    if not pieces:
        raise ReadError(f"{upload_title(paths)} holds no file. {READABLE_FORMATS}", code="missing")
    if len(pieces) > LIMITS["files"]:
        raise ReadError(
            f"{upload_title(paths)} holds more than {LIMITS['files']} files. Give the folder of one head scan.",
            code="too large",
        )
    return pieces


def upload_title(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> str:
    """The name of the upload for messages."""
    paths_ = as_list(paths)
    return printable_name(Path(paths_[0]).name) or "The folder" if len(paths_) == 1 else "The upload"


def as_list(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str | os.PathLike]:
    """One path or several as a list."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def _existing_paths(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Path]:
    existing = [Path(path) for path in dict.fromkeys(as_list(paths))]
    if not existing:
        raise ReadError(f"No file was given. {READABLE_FORMATS}", code="missing")
    for path in existing:
        if not _exists(path):
            raise ReadError(f"{printable_name(path.name)} does not exist.", code="missing", to_do=_WHERE_IT_IS)
    return existing


def _exists(path: Path) -> bool:
    try:
        return path.is_file() or path.is_dir()
    except (OSError, ValueError):  # a name that is too long for the system, or has a null byte
        return False


def _walk(folder: Path) -> list[Piece]:
    inside = (path for path in folder.rglob("*") if not is_system_file(path.relative_to(folder)))
    files = islice((path for path in inside if path.is_file()), LIMITS["files"] + 1)
    paths = sorted(files) or [path for path in [folder / CONTENTS] if path.is_file()]
    return [Piece(path, root=folder) for path in paths]
