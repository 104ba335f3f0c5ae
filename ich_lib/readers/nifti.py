"""NIfTI to a scan. The header is checked first. Then the reader reads exactly as many bytes as the header promises."""

import io
import math
from dataclasses import dataclass, replace
from typing import BinaryIO

import nibabel as nib
import numpy as np
from isal import igzip

from ich_lib.readers.limits import LIMITS
from ich_lib.readers.mask_values import refuse_no_mask
from ich_lib.readers.nifti_place import Place, declared_place, place_by_skull
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.slabs import Slabs, slabs_of
from ich_lib.scan import CANONICAL, LPS_TO_RAS, Scan

_HEADER_BYTES = {nib.Nifti1Header: 348, nib.Nifti2Header: 540}
_MASK_SAMPLE = 256  # voxels per axis that are enough to distinguish a mask from a CT


@dataclass(frozen=True)
class _Stored:
    """The voxels in the order of the file; values are `raw * slope + intercept`.

    Attributes:
        header: checked.
        raw: (i, j, k), i fastest.
        slope: float32.
        intercept: float32.
    """

    header: nib.Nifti1Header
    raw: np.ndarray
    slope: np.float32
    intercept: np.float32


@dataclass(frozen=True)
class FileMask:
    """A mask in the order of its file.

    Attributes:
        mask: (i, j, k) bool, in the file's order.
        place: its geometry.
    """

    mask: np.ndarray
    place: Place


def read_nifti(piece: Piece, *, as_declared: bool = False) -> Scan:
    """Read one NIfTI volume, gzipped or not. Its values count as HU until `hounsfield.ensure_hu` checks them.

    Args:
        piece: the file.
        as_declared: use the axes of its affine, even if they are not plausible.

    Raises:
        ReadError: if it is damaged, not one volume of real numbers, or too large.
    """
    stored = _stored(piece)
    place = declared_place(stored.header)
    with refuse_damaged(piece.name):
        if as_declared:
            place = replace(place, letters="".join(nib.aff2axcodes(place.affine_ras)))
        else:
            place = place_by_skull(place, stored.raw.shape, _sample(stored))
        values, place = _slab_values(piece.name, stored, place, above_zero=False)
    turn = nib.orientations.ornt_transform(*map(nib.orientations.axcodes2ornt, (place.letters, CANONICAL)))
    return Scan(
        # a file opened for reading never gives "W"
        np.require(nib.apply_orientation(values, turn), np.float32, ["C", "W"]),
        LPS_TO_RAS @ place.affine_ras @ nib.orientations.inv_ornt_aff(turn, values.shape),
        spacing_known=place.spacing_known,
        orientation=place.letters,
        notes=place.notes,
    )


def read_mask(piece: Piece) -> FileMask:
    """Read one NIfTI volume as a mask: voxels above 0. Of averaged slices, at least half must be above 0.

    Raises:
        ReadError: if it is damaged, not one volume of real numbers, too large, or not a mask.
    """
    stored = _stored(piece)
    with refuse_damaged(piece.name):
        refuse_no_mask(piece.name, _sample(stored, _MASK_SAMPLE))
        values, place = _slab_values(piece.name, stored, declared_place(stored.header), above_zero=True)
    return FileMask(values >= 0.5, place)


def _slab_values(name: str, stored: _Stored, place: Place, *, above_zero: bool) -> tuple[np.ndarray, Place]:
    """(i, j, k) values of the slabs, and their place."""
    slabs = _slabs(name, stored.header, place)
    values = _averaged(stored, slabs, place.across, from_head="I" in place.letters, above_zero=above_zero)
    sizes_mm = np.linalg.norm(place.affine_ras[:3, :3], axis=0)
    affine_ras = slabs.affine(place.affine_ras, place.across, from_head="I" in place.letters)
    notes = slabs.notes(float(sizes_mm[place.across]) if place.spacing_known else None)
    return values, replace(place, affine_ras=affine_ras, notes=(*place.notes, *notes))


def _sample(stored: _Stored, per_axis: int = 128) -> np.ndarray:
    """(i, j, k) float32 values of some voxels at even distances, about `per_axis` of them."""
    sample = stored.raw[tuple(slice(None, None, max(size // per_axis, 1)) for size in stored.raw.shape)]
    return np.nan_to_num(sample * stored.slope + stored.intercept)


def _averaged(stored: _Stored, slabs: Slabs, axis: int, *, from_head: bool, above_zero: bool) -> np.ndarray:
    """(i, j, k) values. Thin slices become float32 means or, for a mask, shares of a slab, one slab at a time."""
    raw, slope, intercept = stored.raw, stored.slope, stored.intercept
    if slabs.per_slab == 1:
        values = raw if (slope, intercept) == (1, 0) else raw * slope + intercept
        return (values > 0).astype(np.float32) if above_zero else values
    axis = raw.ndim - 1 - axis  # from here on in the order of memory, (k, j, i), which is three times faster
    thin = np.moveaxis(raw.T, axis, 0)
    thin = thin[: len(slabs) * slabs.per_slab] if from_head else thin[slabs.skip :]
    values = np.empty((len(slabs), *thin.shape[1:]), np.float32)
    for k in range(len(slabs)):
        slab = thin[k * slabs.per_slab : (k + 1) * slabs.per_slab]
        if above_zero:
            slab = slab * slope + intercept > 0
        _mean(slab, out=values[k])
    if not above_zero:
        values *= slope
        values += intercept
    return np.moveaxis(values, 0, axis).T


def _mean(slab: np.ndarray, out: np.ndarray) -> None:
    """`slab.mean(axis=0)` in float32, by adding whole slices, which is faster for integers than NumPy's own."""
    out[...] = slab[0]
    for plane in slab[1:]:
        out += plane
    out /= len(slab)


def _stored(piece: Piece) -> _Stored:
    """The voxels in memory, after the header is checked."""
    with piece.open() as raw, refuse_damaged(piece.name):
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = igzip.IGzipFile(fileobj=raw) if packed else raw  # inflates three times faster than gzip's
        header = _header(stream)
        voxels = _voxels(piece.name, header, stream)
    slope, intercept = header.get_slope_inter()
    shape = header.get_data_shape()[:3]
    return _Stored(
        header,
        np.frombuffer(voxels, header.get_data_dtype()).reshape(shape, order="F"),
        np.float32(1 if slope is None else slope),
        np.float32(0 if intercept is None else intercept),
    )


def _header(stream: BinaryIO | igzip.IGzipFile) -> nib.Nifti1Header:
    """The header of either version, corrected. The stream is then at its end."""
    head = stream.read(_HEADER_BYTES[nib.Nifti1Header])
    form = nib.Nifti2Header if head[4:7] == b"n+2" else nib.Nifti1Header
    head += stream.read(_HEADER_BYTES[form] - len(head))
    header = form.from_fileobj(io.BytesIO(head), check=False)
    _repair(header, _HEADER_BYTES[form])
    return form.from_fileobj(io.BytesIO(header.binaryblock))


def _repair(header: nib.Nifti1Header, size: int) -> None:
    """Defects that nibabel reports as errors, and that do not matter for reading."""
    if 0 <= header["vox_offset"] < size:  # in a single file the voxels follow the header and its four bytes
        header["vox_offset"] = size + 4
    try:
        header.get_qform()
    except ValueError:  # an invalid quaternion
        header["qform_code"] = 0


def _voxels(name: str, header: nib.Nifti1Header, stream: BinaryIO | igzip.IGzipFile) -> bytes:
    """All voxels, after the header is accepted. The stream is then at their end."""
    _check(name, header)
    _slabs(name, header, declared_place(header))  # a volume that is too large is refused before it is read
    start = int(header["vox_offset"])
    if start > LIMITS["file_bytes"]:
        raise ReadError(
            f"{name} says that its voxels start {start} bytes into the file, but no program writes such files.",
            code="damaged",
        )
    size = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    between = start - _HEADER_BYTES[type(header)]
    between -= len(stream.read(between))
    voxels = stream.read(size)
    stream.read(1)  # at the end, gzip compares the checksum
    if len(voxels) < size:
        available = start - between + len(voxels)
        raise ReadError(
            f"{name} is cut short: it promises {start + size:,} bytes and holds {available:,}. Copy it again.",
            code="damaged",
        )
    return voxels


def _check(name: str, header: nib.Nifti1Header) -> None:
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        size = " x ".join(map(str, shape)) or "nothing"
        raise ReadError(
            f"{name} holds {size} values; a head CT is one volume of three axes. Save one volume.", code="no scan"
        )
    if dtype.kind not in "iuf":
        raise ReadError(f"{name} holds colors or complex numbers, not CT numbers. Save the CT itself.", code="no HU")


def _slabs(name: str, header: nib.Nifti1Header, place: Place) -> Slabs:
    """How the slices are averaged."""
    shape = header.get_data_shape()[:3]
    size = math.prod(shape) * header.get_data_dtype().itemsize
    if size > LIMITS["volume_bytes"]:
        raise ReadError(
            f"{name} has {size // 1_000_000} MB of voxels; the maximum is {LIMITS['volume_bytes'] // 1_000_000} MB. "
            "Save it as int16, or in thicker slices.",
            code="too large",
        )
    spans = dict(zip(place.letters, shape, strict=True))
    slices, rows, columns = (spans.get(a, spans.get(b, 0)) for a, b in ("SI", "AP", "LR"))
    return slabs_of(name, slices, rows, columns)
