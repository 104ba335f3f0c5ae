"""NIfTI to a scan. The header is checked first; then exactly as many bytes are read as it promises."""

import gzip
import io
import math
from typing import BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy

from ich_lib.readers.limits import LIMITS, are_plausible_mm
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.slabs import Slabs, slabs_of
from ich_lib.scan import Scan, from_file_grid

_HEADER_BYTES = {nib.Nifti1Image: 348, nib.Nifti2Image: 540}
_MM = {"meter": 1000.0, "micron": 0.001}  # one unit of the file in mm; "mm" and "unknown" count as mm


def read_nifti(piece: Piece) -> Scan:
    """Read one NIfTI volume, gzipped or not. Its values are taken for HU until `hounsfield.ensure_hu` looks at them.

    Raises:
        ReadError: if it is damaged, not one volume of real numbers, or too large.
    """
    return _read(piece)[0]


def read_mask(piece: Piece) -> tuple[np.ndarray, np.ndarray | None]:
    """Read one NIfTI volume as a mask: where it is above 0; of averaged slices, where half of them are.

    Returns:
        (z, y, x) bool and its affine, see `Scan`; None if the file does not say how it lies.

    Raises:
        ReadError: if it is damaged, not one volume of real numbers, or too large.
    """
    scan, lies = _read(piece, above_zero=True)
    return scan.hu >= 0.5, scan.affine if lies else None


def _read(piece: Piece, *, above_zero: bool = False) -> tuple[Scan, bool]:
    """The scan, and whether the file says how it lies. `above_zero` makes 1 of what is more and 0 of the rest."""
    image = _image(piece)
    affine_ras, spacing_known, notes = header_affine(image.header)
    slabs, axis = _slabs(piece.name, image.header)
    from_head = nib.aff2axcodes(affine_ras)[axis] == "I"
    with refuse_damaged(piece.name):
        shares = _shares(image, slabs, axis, from_head=from_head, above_zero=above_zero)
    thin_mm = float(np.linalg.norm(affine_ras[:3, axis])) if spacing_known else None
    affine_ras = slabs.affine(affine_ras, axis, from_head=from_head)
    notes_of_all = (*notes, *slabs.notes(thin_mm))
    return from_file_grid(shares, affine_ras, spacing_known=spacing_known, notes=notes_of_all), not notes


def _shares(image: nib.Nifti1Image, slabs: Slabs, axis: int, *, from_head: bool, above_zero: bool) -> np.ndarray:
    """(i, j, k) float32 values of the slabs. Thin slices become float32 one slab at a time, never all at once."""
    shape = image.shape[:3]
    stored = cast("ArrayProxy", image.dataobj)  # an image of a file keeps its voxels there until they are asked for
    raw = np.asanyarray(stored.get_unscaled()).reshape(shape)
    slope, intercept = np.float32(stored.slope), np.float32(stored.inter)
    if slabs.each == 1:
        values = raw if (slope, intercept) == (1, 0) else raw * slope + intercept
        if above_zero:  # numbers of a file are turned, then made float
            values = (values > 0).astype(np.float32)
        return values
    thin = np.moveaxis(raw, axis, 0)
    thin = thin[: len(slabs) * slabs.each] if from_head else thin[slabs.skip :]
    values = np.empty((len(slabs), *thin.shape[1:]), np.float32)
    for k in range(len(slabs)):
        slab = thin[k * slabs.each : (k + 1) * slabs.each] * slope + intercept
        (slab > 0 if above_zero else slab).mean(axis=0, dtype=np.float32, out=values[k])
    return np.moveaxis(values, 0, axis)


def _image(piece: Piece) -> nib.Nifti1Image | nib.Nifti2Image:
    """The image in memory, header checked, voxels not yet converted."""
    with piece.open() as raw, refuse_damaged(piece.name):
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        head = stream.read(540)
        form = nib.Nifti2Image if head[4:7] == b"n+2" else nib.Nifti1Image
        header = form.header_class.from_fileobj(io.BytesIO(head[: _HEADER_BYTES[form]]))
        return form.from_bytes(_bytes(piece.name, header, head, stream))


def _bytes(name: str, header: nib.Nifti1Header, head: bytes, stream: BinaryIO | gzip.GzipFile) -> bytes:
    """The whole file, once its header is found fit."""
    _check(name, header)
    _slabs(name, header)  # too large is refused before it is read
    size = max(int(header["vox_offset"]), len(head))
    if size > LIMITS["file_bytes"]:
        raise ReadError(f"{name} says that its voxels start {size} bytes into the file, which no program does.")
    size = int(header["vox_offset"]) + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    data = head + stream.read(max(size - len(head), 0))
    stream.read(1)  # at its end gzip compares its checksum
    if len(data) < size:
        raise ReadError(f"{name} is cut short: it promises {size:,} bytes and holds {len(data):,}. Copy it again.")
    return data


def _check(name: str, header: nib.Nifti1Header) -> None:
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        size = " x ".join(map(str, shape)) or "nothing"
        raise ReadError(f"{name} holds {size} values; a head CT is one volume of three axes. Save one volume.")
    if dtype.kind not in "iuf":
        raise ReadError(f"{name} holds colors or complex numbers, not CT numbers. Save the CT itself.")


def _slabs(name: str, header: nib.Nifti1Header) -> tuple[Slabs, int]:
    """How slices are averaged, and which axis of the file runs across them."""
    shape, letters = header.get_data_shape()[:3], nib.aff2axcodes(header_affine(header)[0])
    spans: dict[str | None, int] = dict(zip(letters, shape, strict=True))
    slices, rows, columns = (spans.get(a, spans.get(b, 0)) for a, b in ("SI", "AP", "LR"))
    size = math.prod(shape) * header.get_data_dtype().itemsize
    if size > LIMITS["volume_bytes"]:
        raise ReadError(
            f"{name} has {size // 1_000_000} MB of voxels; {LIMITS['volume_bytes'] // 1_000_000} MB is the most. Save "
            "it as int16, or in thicker slices."
        )
    across = next(axis for axis, letter in enumerate(letters) if letter in "SI")
    return slabs_of(name, slices, rows, columns), across


def header_affine(header: nib.Nifti1Header) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    """Affine in mm, whether its distances can be trusted, and notes.

    Without sform and qform the file says how large its voxels are, not how the head lies; then nibabel's default
    counts: first axis to the left, second to the front, third to the head.
    """
    unit = np.diag([_MM.get(header.get_xyzt_units()[0], 1.0)] * 3 + [1.0])
    affine = unit @ header.get_best_affine()
    coded = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    if coded and _is_usable(affine):
        return affine, True, ()
    note = "The file does not say how the head lies (no usable sform or qform); left and right are assumed."
    affine = unit @ header.get_base_affine()
    if _is_usable(affine):
        return affine, not coded, (note,)
    return np.diag([-1.0, 1.0, 5.0, 1.0]), False, (note, "It gives no voxel size either, so nothing is given in mL.")


def _is_usable(affine: np.ndarray) -> bool:
    """Whether an affine is finite, with sides of a voxel and three different directions."""
    return (
        np.isfinite(affine).all()
        and are_plausible_mm(nib.affines.voxel_sizes(affine))
        and None not in nib.aff2axcodes(affine)
    )
