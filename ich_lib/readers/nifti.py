"""NIfTI to a scan. The header is checked first; then exactly as many bytes are read as it promises."""

import gzip
import io
import math
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy

from ich_lib.readers.limits import LIMITS
from ich_lib.readers.mask_values import refuse_no_mask
from ich_lib.readers.nifti_place import Place, declared_place, place_by_skull
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.slabs import Slabs, slabs_of
from ich_lib.scan import CANONICAL, LPS_TO_RAS, Scan

_HEADER_BYTES = {nib.Nifti1Image: 348, nib.Nifti2Image: 540}
_MASK_SAMPLE = 256  # voxels along an axis that are looked at to tell a mask from a CT
_Image = nib.Nifti1Image | nib.Nifti2Image


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
    image = _image(piece)
    place = declared_place(image.header)
    with refuse_damaged(piece.name):
        if as_declared:
            place = replace(place, letters="".join(nib.aff2axcodes(place.affine_ras)))
        else:
            place = place_by_skull(place, image.shape[:3], _sample(image))
        values, place = _slab_values(piece.name, image, place, above_zero=False)
    turn = nib.orientations.ornt_transform(*map(nib.orientations.axcodes2ornt, (place.letters, CANONICAL)))
    return Scan(
        np.ascontiguousarray(nib.apply_orientation(values, turn), np.float32),
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
    image = _image(piece)
    with refuse_damaged(piece.name):
        refuse_no_mask(piece.name, _sample(image, _MASK_SAMPLE))
        values, place = _slab_values(piece.name, image, declared_place(image.header), above_zero=True)
    return FileMask(values >= 0.5, place)


def _slab_values(name: str, image: _Image, place: Place, *, above_zero: bool) -> tuple[np.ndarray, Place]:
    """(i, j, k) float32 values of the slabs, and where they lie."""
    slabs = _slabs(name, image.header, place)
    values = _shares(image, slabs, place.across, from_head="I" in place.letters, above_zero=above_zero)
    sizes_mm = np.linalg.norm(place.affine_ras[:3, :3], axis=0)
    affine_ras = slabs.affine(place.affine_ras, place.across, from_head="I" in place.letters)
    notes = slabs.notes(float(sizes_mm[place.across]) if place.spacing_known else None)
    return values, replace(place, affine_ras=affine_ras, notes=(*place.notes, *notes))


def _sample(image: _Image, most: int = 128) -> np.ndarray:
    """(i, j, k) float32 values of some voxels, evenly spaced, at most about `most` along an axis."""
    stored = cast("ArrayProxy", image.dataobj)
    raw = np.asanyarray(stored.get_unscaled()).reshape(image.shape[:3])
    some = raw[tuple(slice(None, None, max(size // most, 1)) for size in raw.shape)]
    return np.nan_to_num(some * np.float32(stored.slope) + np.float32(stored.inter))


def _shares(image: _Image, slabs: Slabs, axis: int, *, from_head: bool, above_zero: bool) -> np.ndarray:
    """Thin slices become float32 one slab at a time, never all at once."""
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


def _image(piece: Piece) -> _Image:
    """The image in memory, header checked, voxels not yet converted."""
    with piece.open() as raw, refuse_damaged(piece.name):
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        head = stream.read(540)
        form = nib.Nifti2Image if head[4:7] == b"n+2" else nib.Nifti1Image
        size = _HEADER_BYTES[form]
        header = form.header_class.from_fileobj(io.BytesIO(head[:size]), check=False)
        _repair(header, size)
        head = header.binaryblock + head[size:]
        header = form.header_class.from_fileobj(io.BytesIO(head[:size]))
        return form.from_bytes(_bytes(piece.name, header, head, stream))


def _repair(header: nib.Nifti1Header, size: int) -> None:
    """What nibabel takes for an error, and no reader needs to."""
    if 0 <= header["vox_offset"] < size:  # in a file of its own they lie behind the header and its four bytes
        header["vox_offset"] = size + 4
    try:
        header.get_qform()
    except ValueError:  # a quaternion that is none
        header["qform_code"] = 0


def _bytes(name: str, header: nib.Nifti1Header, head: bytes, stream: BinaryIO | gzip.GzipFile) -> bytes:
    """The whole file, once its header is found fit."""
    _check(name, header)
    _slabs(name, header, declared_place(header))  # too large is refused before it is read
    size = max(int(header["vox_offset"]), len(head))
    if size > LIMITS["file_bytes"]:
        raise ReadError(
            f"{name} says that its voxels start {size} bytes into the file, which no program does.", code="damaged"
        )
    size = int(header["vox_offset"]) + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    data = head + stream.read(max(size - len(head), 0))
    stream.read(1)  # at its end gzip compares its checksum
    if len(data) < size:
        raise ReadError(
            f"{name} is cut short: it promises {size:,} bytes and holds {len(data):,}. Copy it again.", code="damaged"
        )
    return data


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
