"""Somebody's own outline of the blood, to be laid over a scan: NIfTI on the scan's grid, or a picture a slice."""

import os
from collections.abc import Sequence
from itertools import permutations, product

import nibabel as nib
import numpy as np

from ich_lib.grammar import count
from ich_lib.readers import child
from ich_lib.readers.gather import as_list, upload_title
from ich_lib.readers.mask_values import MOST_CODES, refuse_no_mask_grays
from ich_lib.readers.nifti import read_mask
from ich_lib.readers.nifti_files import gather_pairs
from ich_lib.readers.picture import check_pictures, sort_pictures
from ich_lib.readers.piece import Piece
from ich_lib.readers.pixels import gray
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.roles import masks_or_all
from ich_lib.readers.sniff import PICTURES
from ich_lib.scan import CANONICAL, LPS_TO_RAS

SAME_PLACE_MM = 0.5  # corners of two grids that are one lie no further apart
_WHITE = 127  # JPG blurs the border of a mask; beyond the middle gray it is blood


def read_truth(
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    shape: tuple[int, int, int],
    affine: np.ndarray | None,
    *,
    orientation: str | None = None,
    isolated: bool = False,
) -> np.ndarray:
    """Read the mask of a scan.

    Args:
        paths: one NIfTI, or pictures in the natural order of their names, foot to head; files, a folder or a zip. Of
            scans with their masks the masks are taken.
        shape: (z, y, x) of the scan.
        affine: of the scan, see `Scan`; None where its place is not known, then only the shape is compared.
        orientation: of the scan, see `Scan`: a mask whose file does not say how it lies is laid over the scan voxel
            by voxel. None: it is refused, if the scan's place is known.
        isolated: decode in a child process, see `read`.

    Returns:
        (z, y, x) bool: NIfTI voxels above 0, pixels brighter than middle gray.

    Raises:
        ReadError: if it cannot be read, is no mask, has another shape, or lies elsewhere.
    """
    if isolated:
        options = {"shape": shape, "affine": affine, "orientation": orientation}
        return child.read_mask(upload_title(paths), as_list(paths), **options)
    pieces, name = gather_pairs(paths), upload_title(paths)
    kinds = {piece: piece.kind() for piece in pieces}
    volumes = masks_or_all([piece for piece in pieces if kinds[piece] == "nifti"])
    if len(volumes) == 1:
        return _volume(volumes[0], shape, affine, orientation)
    if set(kinds.values()) <= set(PICTURES):
        return _pictures(sort_pictures(masks_or_all(pieces)), name, shape)
    raise ReadError(f"{name} is no mask: give one NIfTI on the grid of the scan, or a PNG or JPG for each slice.")


def _pictures(pieces: list[Piece], name: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Of averaged slices, what is bright in half of them."""
    pages, slabs = check_pictures(name, pieces)
    _check_shape(name, (len(slabs), *gray(*pages[0], any_color=True).shape), shape)
    bright, codes = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    counts, high = np.zeros(256, int), 0.0
    for k, page in enumerate(pages):
        pixels = gray(*page, any_color=True)
        white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
        counts += np.bincount((pixels * (255 / white)).clip(0, 255).astype(np.uint8).ravel(), minlength=256)
        high = max(high, float(pixels.max()))
        if (slab := slabs.slab_of(k)) >= 0:
            bright[slab] += pixels > _WHITE / 255 * white
            codes[slab] += pixels > 0
    if pixels.dtype.kind == "u" and high <= MOST_CODES:
        return codes >= 0.5 * slabs.each
    refuse_no_mask_grays(name, counts)
    return bright >= 0.5 * slabs.each


def _volume(
    piece: Piece, shape: tuple[int, int, int], affine: np.ndarray | None, orientation: str | None
) -> np.ndarray:
    """A file that lies as the scan's file does is turned as that was, whatever either says of left and right."""
    found = read_mask(piece)
    mask, place = found.mask, found.place
    turns = {letters: _turned(mask, place.affine_ras, letters) for letters in _ORDERS} if affine is not None else {}
    corners = np.diag([*shape, 1.0])
    corners[3] = 1  # the far end of each axis, and the origin
    for turned, own in turns.values():
        if turned.shape == tuple(shape) and np.abs((own - affine) @ corners).max() < SAME_PLACE_MM:
            return np.ascontiguousarray(turned)
    letters = place.letters if place.certain or not orientation else orientation
    turned, own = _turned(mask, place.affine_ras, letters)
    _check_shape(piece.name, turned.shape, shape)
    if affine is not None and place.certain:
        apart_mm = np.abs((own - affine) @ corners).max()
        raise ReadError(
            f"{piece.name} has the shape of the scan, but lies {apart_mm:.1f} mm away from it. Give its own mask."
        )
    if affine is not None and not orientation:
        raise ReadError(
            f"{piece.name} does not say how it lies (no sform or qform that can be believed), so it may be turned "
            "against the scan. Save it with the affine of the scan."
        )
    return np.ascontiguousarray(turned)


_ORDERS = ["".join(two) for axes in permutations(("LR", "AP", "SI")) for two in product(*axes)]


def _turned(mask: np.ndarray, affine_ras: np.ndarray, letters: str) -> tuple[np.ndarray, np.ndarray]:
    """(i, j, k) voxels whose axes run toward `letters`, and their affine, in the order of `Scan`."""
    turn = nib.orientations.ornt_transform(*map(nib.orientations.axcodes2ornt, (letters, CANONICAL)))
    return nib.apply_orientation(mask, turn), LPS_TO_RAS @ affine_ras @ nib.orientations.inv_ornt_aff(turn, mask.shape)


def _check_shape(name: str, mask_shape: tuple[int, ...], scan_shape: tuple[int, ...]) -> None:
    if tuple(mask_shape) != tuple(scan_shape):
        (slices, rows, columns), (n_slices, tall, wide) = mask_shape, scan_shape
        raise ReadError(
            f"{name} has {count(slices, 'slice')} of {columns} x {rows} px, the scan {n_slices} of {wide} x {tall}. "
            "A mask needs the same."
        )
