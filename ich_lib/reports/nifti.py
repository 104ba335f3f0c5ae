"""Voxels to NIfTI, on the grid of the scan's file. Uneven slices go on an even grid, because NIfTI has no other."""

from pathlib import Path

import nibabel as nib
import numpy as np

from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.scan import Scan, even_grid, to_file_grid
from ich_lib.words.sentences import SHA_DIGITS, SHORT_NOTICE, belief_sentence, provenance

_COMMENT = 6  # code of a NIfTI header extension that is plain text


def write_mask(result: Result, path: Path) -> None:
    """mask.nii.gz: 1 for blood. Viewers show the header's `descrip`; the whole notice is an extension."""
    short = "Shown on request: may be no head CT." if belief_sentence(result) else SHORT_NOTICE
    brief = f"{short} {provenance(result, digits=SHA_DIGITS)}"
    write_nifti(path, result.mask.astype(np.uint8), result.scan, brief=brief, comment=f"{NOTICE} {provenance(result)}")


def write_nifti(path: Path, values: np.ndarray, scan: Scan, *, brief: str = "", comment: str = "") -> None:
    """(z, y, x) values on the grid of the scan's file; for uneven slices, on the grid of `even_grid`.

    Args:
        path: ends in .nii or .nii.gz.
        values: whole or floating numbers.
        scan: gives the grid.
        brief: one line for the header, of at most 79 characters.
        comment: of any length.
    """
    if scan.places is not None:
        scan, values = even_grid(scan, values)
        comment = " ".join(filter(None, [comment, even_note(scan)]))
    voxels, affine = to_file_grid(scan, values)
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    if brief:
        image.header["descrip"] = brief.encode("ascii", "replace")[:79]
        image.header["intent_name"] = b"teaching only"
    if comment:
        image.header.extensions.append(nib.nifti1.Nifti1Extension(_COMMENT, comment.encode()))
    nib.save(image, path)


def even_note(scan: Scan) -> str:
    """The note in a file whose even grid is not that of the slices."""
    return f"The scan's slices are uneven; these lie {scan.spacing_mm[0]:.2f} mm apart, copies of the nearest ones."
