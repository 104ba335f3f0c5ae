"""Files to a `Scan`: DICOM, NIfTI, pictures, CT-ICH patient folders, as files, folders or zips.

Read the modules in this order. What is it: sniff. Where is it: piece, archive with entry, zips, tars, sevens, disc,
gather. Scan, mask or another window: roles. DICOM: inflate, protocol, acquisition, header, descriptions, series,
ranking, choice, stack, geometry, tilts, slabs, codecs, stored, dicom. NIfTI: nifti_files, skull, nifti_place, nifti.
Pictures: pixels, ct_numbers, frame, renders, views, picture, ct_ich_folder. Several studies in one upload: parts. The
mask of a scan: mask_values, truth. All of them raise `ReadError`. LIMITS is the one table of limits, and child runs
everything in a separate process.
"""

import os
from collections import Counter
from collections.abc import Sequence

from ich_lib.grammar import count
from ich_lib.readers import child
from ich_lib.readers.ct_ich_folder import is_patient_folder, read_patient_folder
from ich_lib.readers.dicom import read_dicom
from ich_lib.readers.gather import READABLE_FORMATS, as_list, upload_title
from ich_lib.readers.hounsfield import ensure_hu
from ich_lib.readers.nifti import read_nifti
from ich_lib.readers.nifti_files import choose_volume, gather_pairs
from ich_lib.readers.parts import pieces_of_part
from ich_lib.readers.picture import read_pictures
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.roles import split_masks
from ich_lib.readers.sniff import ARCHIVES, PAIR_HEADERS, PICTURES, in_words
from ich_lib.readers.truth import read_truth
from ich_lib.readers.views import fits_standard_windows
from ich_lib.scan import Scan

_UNPACK = "Unpack it on your computer and give the folder, or zip the files."
_WAY_OUT = dict.fromkeys(ARCHIVES, _UNPACK) | {
    **{f"a gzip file that holds {kind.upper()}": _UNPACK for kind in ARCHIVES},
    "a RAR archive": _UNPACK,
    "a CAB archive": _UNPACK,
    "a Zstandard archive": _UNPACK,
    "a .Z archive": _UNPACK,
    "one part of a zip in several parts": "Unpack all parts together on your computer and give the folder.",
    "a video or HEIC picture": "Export the scan as DICOM, or the picture as PNG or JPG.",
    PAIR_HEADERS[0]: "Give its .img file too.",
}

__all__ = ["ReadError", "read", "read_truth"]


def read(
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    window: str | tuple[float, float] | None = None,
    series: int | str | None = None,
    part: str | None = None,
    isolated: bool = False,
) -> Scan:
    """Read one head CT. The content of a file decides its format; its name does not matter.

    Args:
        paths: one file, folder or zip, or several files. If the kinds are mixed, DICOM is read, else NIfTI, else
            pictures.
        window: pictures only: the window of the picture, (level, width) in HU or a name of WINDOWS. None: HU unknown,
            unless folders of several windows give them (`ich_lib.readers.views`).
        series: DICOM only: the series to read, by its number (from 1, as in the notes) or its description. None: the
            series that a radiologist would open to look for blood: no contrast agent, soft kernel, axial, 3 to 6 mm,
            the whole head. A note names the others.
        part: the folder or file inside the upload to read, if it holds several studies (`ich_lib.readers.parts`). None:
            all of it.
        isolated: decode in a child process with limits of memory and time. Use it for files from unknown people.

    Returns:
        The scan in canonical axes; its `notes` say what was assumed, what was left out, and what looks odd.

    Raises:
        ReadError: one plain sentence that says what is wrong and what to do.

    See also:
        `analyze`, which looks for blood; `phantom`, for a scan without a file.

    Example:
        >>> from ich_lib import phantom, read
        >>> from ich_lib.reports.case_files import write_case
        >>> write_case(phantom(1, slices=4, pixels=64), "head", form="dicom")
        >>> scan = read("head/dicom")
        >>> scan.hu.shape  # (z, y, x)
        (4, 64, 64)
        >>> [f"{mm:.1f} mm" for mm in scan.spacing_mm]
        ['5.0 mm', '3.6 mm', '3.6 mm']
    """
    if isolated:
        return child.read_scan(upload_title(paths), as_list(paths), window=window, series=series, part=part)
    pieces, name = pieces_of_part(gather_pairs(paths), part), upload_title(paths)
    kinds = {piece: piece.kind() for piece in pieces}
    dicom, nifti, pictures = (
        [piece for piece in pieces if kinds[piece] in kinds_wanted]
        for kinds_wanted in (("dicom",), ("nifti",), PICTURES)
    )
    if dicom:
        scan = read_dicom(dicom, name, series=series, check=lambda scan: ensure_hu(scan, name))
    elif nifti:
        scan = _nifti(nifti, name)
    elif pictures:
        scan = _pictures(pictures, name, window)
    else:
        raise _refuse_kinds(kinds, name)
    n_others = len(pieces) - len(dicom or nifti or pictures)
    return scan.with_notes(f"Left out: {count(n_others, 'file')} of another kind.") if n_others else scan


def _nifti(pieces: list[Piece], name: str) -> Scan:
    piece, notes = choose_volume(pieces, name)
    return ensure_hu(read_nifti(piece), piece.name, any_offset=True).with_notes(*notes)


def _pictures(pieces: list[Piece], name: str, window: str | tuple[float, float] | None) -> Scan:
    if is_patient_folder(pieces) and not fits_standard_windows(split_masks(pieces)[0]):
        return read_patient_folder(pieces, name)
    return read_pictures(pieces, name, window)


def _refuse_kinds(kinds: dict[Piece, str], name: str) -> ReadError:
    if len(kinds) == 1:
        (piece, kind), *_ = kinds.items()
        full_name = name if piece.name == name else f"{piece.name} in {name}"
        return ReadError(
            f"{full_name} looks like {in_words(kind)}, not a head CT. {_WAY_OUT.get(kind, READABLE_FORMATS)}",
            code="no scan",
        )
    ranked = Counter(kinds.values()).most_common()
    kind, number = next((pair for pair in ranked if pair[0] in _WAY_OUT), ranked[0])
    return ReadError(
        f"{name} holds no head CT: {number} of its {len(kinds)} files look like {in_words(kind)}. "
        f"{_WAY_OUT.get(kind, READABLE_FORMATS)}",
        code="no scan",
    )
