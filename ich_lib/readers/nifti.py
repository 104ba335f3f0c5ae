"""NIfTI to a scan. The header is checked first; then exactly as many bytes are read as it promises."""

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
_MASK_SAMPLE = 256  # voxels along an axis that are looked at to tell a mask from a CT


@dataclass(frozen=True)
class _Stored:
    """The voxels as the file has them; values are `raw * slope + intercept`.

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
    """A mask as its file has it.

    Attributes:
        mask: (i, j, k) bool, in the file's order.
        place: where it lies.
    """

    mask: np.ndarray
    place: Place


def read_nifti(piece: Piece, *, as_declared: bool = False) -> Scan:
    """Read one NIfTI volume, gzipped or not. Its values are taken for HU until `hounsfield.ensure_hu` looks at them.

    Args:
        piece: the file.
        as_declared: take its axes as its affine has them, also where they cannot be believed.

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
        np.require(nib.apply_orientation(values, turn), np.float32, ["C", "W"]),  # what was read from a file is not "W"
        LPS_TO_RAS @ place.affine_ras @ nib.orientations.inv_ornt_aff(turn, values.shape),
        spacing_known=place.spacing_known,
        orientation=place.letters,
        notes=place.notes,
    )


def read_mask(piece: Piece) -> FileMask:
    """Read one NIfTI volume as a mask: where it is above 0; of averaged slices, where half of them are.

    Raises:
        ReadError: if it is damaged, not one volume of real numbers, too large, or holds what no mask does.
    """
    stored = _stored(piece)
    with refuse_damaged(piece.name):
        refuse_no_mask(piece.name, _sample(stored, _MASK_SAMPLE))
        values, place = _slab_values(piece.name, stored, declared_place(stored.header), above_zero=True)
    return FileMask(values >= 0.5, place)


def _slab_values(name: str, stored: _Stored, place: Place, *, above_zero: bool) -> tuple[np.ndarray, Place]:
    """(i, j, k) values of the slabs, and where they lie."""
    slabs = _slabs(name, stored.header, place)
    values = _averaged(stored, slabs, place.across, from_head="I" in place.letters, above_zero=above_zero)
    sizes_mm = np.linalg.norm(place.affine_ras[:3, :3], axis=0)
    affine_ras = slabs.affine(place.affine_ras, place.across, from_head="I" in place.letters)
    notes = slabs.notes(float(sizes_mm[place.across]) if place.spacing_known else None)
    return values, replace(place, affine_ras=affine_ras, notes=(*place.notes, *notes))


def _sample(stored: _Stored, most: int = 128) -> np.ndarray:
    """(i, j, k) float32 values of some voxels, evenly spaced, at most about `most` along an axis."""
    some = stored.raw[tuple(slice(None, None, max(size // most, 1)) for size in stored.raw.shape)]
    return np.nan_to_num(some * stored.slope + stored.intercept)


def _averaged(stored: _Stored, slabs: Slabs, axis: int, *, from_head: bool, above_zero: bool) -> np.ndarray:
    """(i, j, k) values; of thin slices float32 means or, of a mask, shares of a slab, one slab at a time."""
    raw, slope, intercept = stored.raw, stored.slope, stored.intercept
    if slabs.each == 1:
        values = raw if (slope, intercept) == (1, 0) else raw * slope + intercept
        return (values > 0).astype(np.float32) if above_zero else values
    axis = raw.ndim - 1 - axis  # from here on in the order of memory, (k, j, i): three times as fast
    thin = np.moveaxis(raw.T, axis, 0)
    thin = thin[: len(slabs) * slabs.each] if from_head else thin[slabs.skip :]
    values = np.empty((len(slabs), *thin.shape[1:]), np.float32)
    for k in range(len(slabs)):
        slab = thin[k * slabs.each : (k + 1) * slabs.each]
        if above_zero:
            slab = slab * slope + intercept > 0
        _mean(slab, out=values[k])
    if not above_zero:
        values *= slope
        values += intercept
    return np.moveaxis(values, 0, axis).T


def _mean(slab: np.ndarray, out: np.ndarray) -> None:
    """`slab.mean(axis=0)` in float32, by adding whole slices, which is faster than NumPy's own for integers."""
    out[...] = slab[0]
    for plane in slab[1:]:
        out += plane
    out /= len(slab)


def _stored(piece: Piece) -> _Stored:
    """The voxels in memory, header checked."""
    with piece.open() as raw, refuse_damaged(piece.name):
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = igzip.IGzipFile(fileobj=raw) if packed else raw  # inflates three times as fast as gzip's
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
    """Of either version, mended; the stream stands behind it."""
    head = stream.read(_HEADER_BYTES[nib.Nifti1Header])
    form = nib.Nifti2Header if head[4:7] == b"n+2" else nib.Nifti1Header
    head += stream.read(_HEADER_BYTES[form] - len(head))
    header = form.from_fileobj(io.BytesIO(head), check=False)
    _repair(header, _HEADER_BYTES[form])
    return form.from_fileobj(io.BytesIO(header.binaryblock))


def _repair(header: nib.Nifti1Header, size: int) -> None:
    """What nibabel takes for an error, and no reader needs to."""
    if 0 <= header["vox_offset"] < size:  # in a file of its own they lie behind the header and its four bytes
        header["vox_offset"] = size + 4
    try:
        header.get_qform()
    except ValueError:  # a quaternion that is none
        header["qform_code"] = 0


def _voxels(name: str, header: nib.Nifti1Header, stream: BinaryIO | igzip.IGzipFile) -> bytes:
    """All of them, once the header is found fit; the stream stands behind it."""
    _check(name, header)
    _slabs(name, header, declared_place(header))  # too large is refused before it is read
    start = int(header["vox_offset"])
    if start > LIMITS["file_bytes"]:
        raise ReadError(
            f"{name} says that its voxels start {start} bytes into the file, which no program does.", code="damaged"
        )
    size = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    between = start - _HEADER_BYTES[type(header)]
    between -= len(stream.read(between))
    voxels = stream.read(size)
    stream.read(1)  # at its end gzip compares its checksum
    if len(voxels) < size:
        held = start - between + len(voxels)
        raise ReadError(
            f"{name} is cut short: it promises {start + size:,} bytes and holds {held:,}. Copy it again.",
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
    """How slices are averaged."""
    shape = header.get_data_shape()[:3]
    size = math.prod(shape) * header.get_data_dtype().itemsize
    if size > LIMITS["volume_bytes"]:
        raise ReadError(
            f"{name} has {size // 1_000_000} MB of voxels; {LIMITS['volume_bytes'] // 1_000_000} MB is the most. Save "
            "it as int16, or in thicker slices.",
            code="too large",
        )
    spans = dict(zip(place.letters, shape, strict=True))
    slices, rows, columns = (spans.get(a, spans.get(b, 0)) for a, b in ("SI", "AP", "LR"))
    return slabs_of(name, slices, rows, columns)
