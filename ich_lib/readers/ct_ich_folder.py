"""A CT-ICH 1.0.0 patient folder to a scan: each slice has a brain and a bone render, which together give nearly HU.

Layout: `brain/N.jpg`, `bone/N.jpg`, masks `brain/N_HGE_Seg.jpg`; N rises from foot to head. Some files are missing.
Other data sets have similar folders with other windows; `views` reads them.
"""

import re
from collections.abc import Sequence

import numpy as np

from ich_lib.grammar import listed
from ich_lib.readers.hounsfield import refuse_constant
from ich_lib.readers.picture import PLACEHOLDER_MM, check_pictures
from ich_lib.readers.piece import Piece, printable_name
from ich_lib.readers.pixels import gray
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.renders import hu_from_renders
from ich_lib.scan import Scan, axial_affine

_NOTES = (
    "HU are approximate: they were rebuilt from a brain and a bone picture of each slice.",
    "Slices are 5 mm thick. The pixel size is unknown, so no volume in mL is given.",
)


def is_patient_folder(pieces: Sequence[Piece]) -> bool:
    """Whether at least one slice has both renders."""
    return bool(_renders(pieces, "brain").keys() & _renders(pieces, "bone").keys())


def read_patient_folder(pieces: Sequence[Piece], name: str) -> Scan:
    """Read one patient. A slice without both pictures is left out, and a note names it.

    Raises:
        ReadError: if there are several patients, or pictures that are damaged or differ in size.
    """
    brain, bone = _renders(pieces, "brain"), _renders(pieces, "bone")
    patients = {key[0] for key in brain}
    if len(patients) > 1:
        example = printable_name(min(patients).name)
        raise ReadError(
            f"{name} holds {len(patients)} CT-ICH patients. Give the folder of one, such as {example}.",
            code="several scans",
        )
    slices = sorted(brain.keys() & bone.keys())
    check_pictures(name, [side[key] for side in (brain, bone) for key in slices])
    hu = np.stack([hu_from_renders(_render(brain[key]), _render(bone[key])) for key in slices])
    refuse_constant(name, float(hu.min()), float(hu.max()))
    notes = _NOTES + _missing({number for _, number in brain.keys() | bone.keys()}, {number for _, number in slices})
    return Scan(hu, axial_affine(PLACEHOLDER_MM, hu.shape), spacing_known=False, notes=notes)


def _render(piece: Piece) -> np.ndarray:
    pixels = gray(piece)
    if pixels.dtype != np.uint8:
        raise ReadError(
            f"{piece.name} has 16 bits a pixel; CT-ICH renders have 8. Give the original JPG files.", code="no HU"
        )
    return pixels


def _renders(pieces: Sequence[Piece], side: str) -> dict:
    """(patient folder, slice number) to the picture of one kind, brain or bone."""
    return {
        (piece.path.parent.parent, int(piece.path.stem)): piece
        for piece in pieces
        if piece.path.parent.name == side and re.fullmatch(r"[0-9]{1,4}\.jpe?g", piece.path.name, re.IGNORECASE)
    }


def _missing(numbers: set[int], used: set[int]) -> tuple[str, ...]:
    missing = [str(number) for number in range(min(numbers), max(numbers) + 1) if number not in used]
    if not missing:
        return ()
    if len(missing) == 1:
        return (f"Slice {missing[0]} is left out: its brain or bone picture is missing.",)
    return (f"Slices {listed(missing)} are left out: a brain or bone picture is missing.",)
