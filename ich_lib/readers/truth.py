"""A user's own outline of the blood for a scan: NIfTI on the scan's grid, or one picture per slice."""

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
from ich_lib.readers.picture import check_pictures, sort_pictures, split_pictures
from ich_lib.readers.piece import Piece
from ich_lib.readers.pixels import gray
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.roles import masks_or_all
from ich_lib.readers.sniff import PICTURES
from ich_lib.scan import CANONICAL, LPS_TO_RAS

SAME_PLACE_MM = 0.5  # the corners of two equal grids are at most this far apart
_WHITE = 127  # JPG blurs the border of a mask; pixels brighter than the middle gray are blood


def read_truth(
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    shape: tuple[int, int, int],
    affine: np.ndarray | None,
    *,
    orientation: str | None = None,
    places: np.ndarray | None = None,
    isolated: bool = False,
) -> np.ndarray:
    """Read the mask of a scan.

    Args:
        paths: one NIfTI, or pictures in the natural order of their names, foot to head; files, a folder or a zip. If
            scans and masks are mixed, the masks are read.
        shape: (z, y, x) of the scan.
        affine: of the scan, see `Scan`; None if its place is not known. Then only the shape is compared.
        orientation: of the scan, see `Scan`. A mask whose file states no orientation is matched to the scan voxel by
            voxel. None: such a mask is refused, if the scan's place is known.
        places: of the scan's uneven slices, see `Scan`. The NIfTI must then be on the even grid that `write` makes, and
            each slice takes the nearest slice of it.
        isolated: decode in a child process, see `read`.

    Returns:
        (z, y, x) bool: NIfTI voxels above 0, pixels brighter than middle gray.

    Raises:
        ReadError: if the mask cannot be read, is not a mask, or has another shape or place.
    """
    if isolated:
        options = {"shape": shape, "affine": affine, "orientation": orientation, "places": places}
        return child.read_mask(upload_title(paths), as_list(paths), **options)
    pieces, name = gather_pairs(paths), upload_title(paths)
    kinds = {piece: piece.kind() for piece in pieces}
    volumes = masks_or_all([piece for piece in pieces if kinds[piece] == "nifti"])
    if len(volumes) == 1:
        return _volume(volumes[0], shape, affine, orientation, places)
    if set(kinds.values()) <= set(PICTURES):
        return _pictures(sort_pictures(split_pictures(pieces)[1] or pieces), name, shape)
    raise ReadError(
        f"{name} is not a mask: give one NIfTI on the grid of the scan, or a PNG or JPG for each slice.", code="mask"
    )


def _pictures(pieces: list[Piece], name: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Of averaged slices, the pixels that are bright in half of them."""
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
        return codes >= 0.5 * slabs.per_slab
    refuse_no_mask_grays(name, counts)
    return bright >= 0.5 * slabs.per_slab


def _volume(
    piece: Piece,
    shape: tuple[int, int, int],
    affine: np.ndarray | None,
    orientation: str | None,
    places: np.ndarray | None,
) -> np.ndarray:
    """A file with the geometry of the scan's file is turned like that file, whatever either says about left and
    right."""
    stored = read_mask(piece)
    mask, place = stored.mask, stored.place
    for letters in _ORDERS if affine is not None else ():
        rotated, own_affine = _rotate(mask, place.affine_ras, letters)
        if rotated.shape == tuple(shape) and places is None and _distance_mm(own_affine, affine, shape) < SAME_PLACE_MM:
            return np.ascontiguousarray(rotated)
    rotated, own_affine = _rotate(
        mask, place.affine_ras, place.letters if place.certain else orientation or place.letters
    )
    if affine is not None and places is not None and place.certain:
        rotated, own_affine = _nearest_slices(rotated, own_affine, affine, places)
    _check_shape(piece.name, rotated.shape, shape)
    if affine is not None and place.certain and (away_mm := _distance_mm(own_affine, affine, shape)) >= SAME_PLACE_MM:
        raise ReadError(
            f"{piece.name} has the shape of the scan, but lies {away_mm:.1f} mm away from it. Give its own mask.",
            code="mask",
        )
    if affine is not None and not place.certain and not orientation:
        raise ReadError(
            f"{piece.name} does not say how it lies (no sform or qform that can be believed), so it may be turned "
            "against the scan. Save it with the affine of the scan.",
            code="mask",
        )
    return np.ascontiguousarray(rotated)


_ORDERS = ["".join(two) for axes in permutations(("LR", "AP", "SI")) for two in product(*axes)]


def _rotate(mask: np.ndarray, affine_ras: np.ndarray, letters: str) -> tuple[np.ndarray, np.ndarray]:
    """(i, j, k) voxels whose axes run toward `letters`, and their affine, in the order of `Scan`."""
    turn = nib.orientations.ornt_transform(*map(nib.orientations.axcodes2ornt, (letters, CANONICAL)))
    return nib.apply_orientation(mask, turn), LPS_TO_RAS @ affine_ras @ nib.orientations.inv_ornt_aff(turn, mask.shape)


def _distance_mm(own_affine: np.ndarray, affine: np.ndarray | None, shape: tuple[int, int, int]) -> float:
    """The distance between the ends of two grids of one (z, y, x) shape."""
    ends = np.diag([*shape, 1.0])
    ends[3] = 1  # the far end of each axis, and the origin
    return float(np.abs((own_affine - affine) @ ends).max())


def _nearest_slices(
    mask: np.ndarray, own_affine: np.ndarray, affine: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The slices of an even grid that are nearest to uneven ones, and the affine for these places.

    Outside the grid nothing is marked.
    """
    first_voxels = np.stack([places, *np.zeros((2, len(places))), np.ones(len(places))])
    rows = np.round((np.linalg.inv(own_affine) @ affine @ first_voxels)[0]).astype(int)
    nearest = np.where(((rows >= 0) & (rows < len(mask)))[:, None, None], mask[np.clip(rows, 0, len(mask) - 1)], False)
    affine_of_places = own_affine.copy()
    affine_of_places[:3, 0] = affine[:3, 0]
    sideways = np.linalg.lstsq(own_affine[:3, 1:3], (own_affine @ [rows[0], 0, 0, 1] - affine[:, 3])[:3], rcond=None)[0]
    affine_of_places[:3, 3] = affine[:3, 3] + own_affine[:3, 1:3] @ sideways
    return nearest, affine_of_places


def _check_shape(name: str, mask_shape: tuple[int, ...], scan_shape: tuple[int, ...]) -> None:
    if tuple(mask_shape) != tuple(scan_shape):
        (slices, rows, columns), (n_slices, tall, wide) = mask_shape, scan_shape
        raise ReadError(
            f"{name} has {count(slices, 'slice')} of {columns} x {rows} px, but the scan has {n_slices} of "
            f"{wide} x {tall} px. Both must be equal.",
            code="mask",
        )
