"""Somebody's own outline of the blood, to be laid over a scan: NIfTI on the scan's grid, or a picture a slice."""

import os
from collections.abc import Sequence

import numpy as np

from ich_lib.grammar import count
from ich_lib.readers import child
from ich_lib.readers.gather import as_list, gather, upload_title
from ich_lib.readers.nifti import read_mask
from ich_lib.readers.picture import check_pictures, sort_pictures
from ich_lib.readers.piece import Piece
from ich_lib.readers.pixels import gray
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.sniff import PICTURES

SAME_PLACE_MM = 0.5  # corners of two grids that are one lie no further apart
_WHITE = 127  # JPG blurs the border of a mask; beyond the middle gray it is blood


def read_truth(
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    shape: tuple[int, int, int],
    affine: np.ndarray | None,
    *,
    places: np.ndarray | None = None,
    isolated: bool = False,
) -> np.ndarray:
    """Read the mask of a scan.

    Args:
        paths: one NIfTI, or pictures in the natural order of their names, foot to head; files, a folder or a zip.
        shape: (z, y, x) of the scan.
        affine: of the scan, see `Scan`; None where its place is not known, then only the shape is compared.
        places: of the scan's uneven slices, see `Scan`. A NIfTI then lies on an even grid, as `write` lays it, and
            each slice takes the nearest of its slices.
        isolated: decode in a child process, see `read`.

    Returns:
        (z, y, x) bool: NIfTI voxels above 0, pixels brighter than middle gray.

    Raises:
        ReadError: if it cannot be read, has another shape, or lies elsewhere.
    """
    if isolated:
        return child.read_mask(upload_title(paths), as_list(paths), shape=shape, affine=affine, places=places)
    pieces, name = gather(paths), upload_title(paths)
    kinds = [piece.kind() for piece in pieces]
    if kinds == ["nifti"]:
        return _volume(pieces[0], shape, affine, places)
    if set(kinds) <= set(PICTURES):
        return _pictures(sort_pictures(pieces), name, shape)
    raise ReadError(
        f"{name} is no mask: give one NIfTI on the grid of the scan, or a PNG or JPG for each slice.", code="mask"
    )


def _pictures(pieces: list[Piece], name: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Of averaged slices, what is bright in half of them."""
    pages, slabs = check_pictures(name, pieces)
    _check_shape(name, (len(slabs), *gray(*pages[0]).shape), shape)
    bright = np.zeros(shape, np.float32)
    for k, page in enumerate(pages):
        if (slab := slabs.slab_of(k)) >= 0:
            bright[slab] += _bright_pixels(gray(*page))
    return bright >= 0.5 * slabs.each


def _volume(
    piece: Piece, shape: tuple[int, int, int], affine: np.ndarray | None, places: np.ndarray | None
) -> np.ndarray:
    mask, own = read_mask(piece)
    if affine is None or own is None:
        _check_shape(piece.name, mask.shape, shape)
        return mask
    if places is not None:
        mask, own = _nearest_slices(mask, own, affine, places)
    _check_shape(piece.name, mask.shape, shape)
    corners = np.array([[0, 0, 0, 1], [*shape, 1]], float).T
    apart_mm = np.abs((own - affine) @ corners).max()
    if apart_mm >= SAME_PLACE_MM:
        raise ReadError(
            f"{piece.name} has the shape of the scan, but lies {apart_mm:.1f} mm away from it. Give its own mask.",
            code="mask",
        )
    return mask


def _nearest_slices(
    mask: np.ndarray, own: np.ndarray, affine: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of a mask on an even grid the slices nearest to uneven ones, and the affine they would have if they lay there.

    Where the grid does not reach, nothing is marked.
    """
    first_voxels = np.stack([places, *np.zeros((2, len(places))), np.ones(len(places))])
    rows = np.round((np.linalg.inv(own) @ affine @ first_voxels)[0]).astype(int)
    taken = np.where(((rows >= 0) & (rows < len(mask)))[:, None, None], mask[np.clip(rows, 0, len(mask) - 1)], False)
    there = own.copy()
    there[:3, 0] = affine[:3, 0]
    sideways = np.linalg.lstsq(own[:3, 1:3], (own @ [rows[0], 0, 0, 1] - affine[:, 3])[:3], rcond=None)[0]
    there[:3, 3] = affine[:3, 3] + own[:3, 1:3] @ sideways
    return taken, there


def _check_shape(name: str, mask_shape: tuple[int, ...], scan_shape: tuple[int, ...]) -> None:
    if tuple(mask_shape) != tuple(scan_shape):
        (slices, rows, columns), (n_slices, tall, wide) = mask_shape, scan_shape
        raise ReadError(
            f"{name} has {count(slices, 'slice')} of {columns} x {rows} px, the scan {n_slices} of {wide} x {tall}. "
            "A mask needs the same.",
            code="mask",
        )


def _bright_pixels(pixels: np.ndarray) -> np.ndarray:
    white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return pixels > _WHITE / 255 * white
