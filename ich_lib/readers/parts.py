"""Which parts of an upload are a study each: a zip of several patients is no scan, but each of its folders may be."""

import os
from collections.abc import Sequence
from itertools import islice, takewhile
from pathlib import PurePosixPath

from pydicom.tag import Tag

from ich_lib.readers.ct_ich_folder import is_patient_folder
from ich_lib.readers.header import parse_dataset
from ich_lib.readers.nifti_files import choose_volume, gather_pairs
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.roles import split_masks

_TRIED = 5  # files of a folder, to find one of a scan: a letter or a viewer may lie beside
_NIFTI = (".nii", ".nii.gz")
_STUDY = Tag("StudyInstanceUID")


def list_parts(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str]:
    """The parts of an upload that are a study each, as `read(part=)` takes them.

    Args:
        paths: as `read` takes them.

    Returns:
        Folders and NIfTI files by their places in the upload, sorted; empty where all is one study: series of one DICOM
        study, a scan with its masks, or the two windows of a CT-ICH patient.

    Raises:
        ReadError: if the upload cannot be opened.

    Example:
        >>> from ich_lib import phantom, read
        >>> from ich_lib.readers.parts import list_parts
        >>> from ich_lib.reports.case_files import write_case
        >>> for seed in (1, 2):
        ...     write_case(phantom(seed, slices=4, pixels=64), f"heads/{seed}")
        >>> list_parts("heads"), list_parts("heads/1")
        (['heads/1', 'heads/2'], [])
        >>> read("heads", part="heads/2").hu.shape
        (4, 64, 64)
    """
    pieces = gather_pairs(paths)
    groups = _groups(pieces)
    if len(groups) < 2:
        return []
    firsts = {part: _first_kind(inside) for part, inside in groups.items()}
    dicom = {part: piece for part, (piece, kind) in firsts.items() if kind == "dicom"}
    if dicom:
        return sorted(dicom) if len({_study_of(piece) for piece in dicom.values()}) > 1 else []
    nifti = [piece for part in groups for piece in groups[part] if piece.name.lower().endswith(_NIFTI)]
    if nifti:
        scans = set(split_masks(nifti)[0])
        return sorted(part for part, inside in groups.items() if scans & set(inside)) if _are_several(nifti) else []
    patients = [part for part, inside in groups.items() if is_patient_folder(inside)]
    return sorted(patients) if len(patients) > 1 else []


def pieces_of_part(pieces: Sequence[Piece], part: str | None) -> list[Piece]:
    """The pieces of one part; all of them for None.

    Raises:
        ReadError: if there are none.
    """
    if part is None:
        return list(pieces)
    wanted = PurePosixPath(part).parts
    inside = [piece for piece in pieces if piece.place.parts[: len(wanted)] == wanted]
    if not inside:
        raise ReadError("The upload holds no such study. Choose one of its folders.", code="missing")
    return inside


def _groups(pieces: Sequence[Piece]) -> dict[str, list[Piece]]:
    """What lies side by side below the folder that all have in common: folders, and NIfTI files."""
    places = [piece.place.parts for piece in pieces]
    levels = zip(*(parts[:-1] for parts in places), strict=False)
    depth = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    groups: dict[str, list[Piece]] = {}
    for piece, parts in zip(pieces, places, strict=True):
        if len(parts) > depth + 1 or piece.name.lower().endswith(_NIFTI):
            groups.setdefault("/".join(parts[: depth + 1]), []).append(piece)
    return groups


def _first_kind(pieces: Sequence[Piece]) -> tuple[Piece, str]:
    """The first piece that is DICOM, else the first, with what it is."""
    kinds = [(piece, piece.kind()) for piece in islice(pieces, _TRIED)]
    return next((pair for pair in kinds if pair[1] == "dicom"), kinds[0])


def _study_of(piece: Piece) -> str:
    """The study that a DICOM file says it belongs to."""
    with piece.open() as stream, refuse_damaged(piece.name):
        header = parse_dataset(stream, stop_before_pixels=True, specific_tags=[_STUDY])
        return str(header.get(_STUDY, ""))


def _are_several(nifti: Sequence[Piece]) -> bool:
    """Whether these NIfTI files are several scans."""
    try:
        choose_volume(nifti, "")
    except ReadError as problem:
        return problem.code == "several scans"
    return False
