"""Locate the head and the inside of the skull. One square box per scan lets every head fill the picture."""

from dataclasses import dataclass

import cv2
import numpy as np

FIELDS = ("head", "slice")  # the field of a model's picture: the square around the head, or the whole slice
BONE_HU = 300  # and above is bone, or metal
_MARGIN = 1.08  # side of the box relative to the skull, so that it includes the scalp
_TISSUE_HU = -200  # and above is tissue, not air
_COARSE_PX = 128  # about this many pixels across a slice are enough to see what is skull and what is hand
_BONE_SHARE = 0.2  # of the fine pixels in a coarse one: bone of 1 mm still counts
_SAMPLE = 8  # slices at least, if there are so many, show whether the skull is in pieces
_LEAST_SIDE = 0.65  # of the largest piece of bone, relative to the head: below, the skull is in several pieces
_LEAST_HULL = 0.5  # area of the hull of the bone, relative to the head: below, the slice shows no ring of bone


@dataclass(frozen=True)
class Box:
    """A square of pixels in slice coordinates; it may extend beyond the edge of the slice."""

    top: int
    left: int
    side: int

    def scaled(self, factor: float) -> "Box":
        """Around the same center, with about `factor` times the side."""
        margin = round(self.side * (factor - 1) / 2)
        return Box(self.top - margin, self.left - margin, self.side + 2 * margin)


def head_box(hu: np.ndarray) -> Box:
    """The square around the skull over a whole scan.

    The skull is the largest piece of bone of a slice, which excludes headrest and jewelry. If that is much smaller than
    the head, as in an infant, the skull is all bone of the head. Slices with little bone (vertex, missing skull) are
    ignored. Without any bone the whole slice is the box. A mirrored scan has the mirrored box.

    Args:
        hu: (z, y, x) HU. In a picture cut off below bone, white counts as bone.

    Returns:
        The box, 8 % wider than the skull.
    """
    bone_hu = _bone_hu(hu)
    votes = {k: vote for k, plane in enumerate(hu) if (vote := _largest_piece(plane >= bone_hu))}
    if not votes or bone_hu <= 0:
        return slice_box(hu.shape)
    largest_area = max(vote[0] for vote in votes.values())
    votes = {k: vote for k, vote in votes.items() if vote[0] >= 0.5 * largest_area}
    if _skull_is_in_pieces(hu, votes, bone_hu):
        votes |= {k: head.bone_extent for k in votes if (head := _coarse_head(hu[k], bone_hu))}
    table = np.array(list(votes.values()), float)  # area, top, left, bottom, right
    top, left = np.percentile(table[:, 1:3], 10, axis=0)
    bottom, right = np.percentile(table[:, 3:5], 90, axis=0)
    side = max(bottom - top, right - left) * _MARGIN
    return _square((top + bottom - 1) / 2, (left + right - 1) / 2, side, hu.shape)


def skull_regions(hu: np.ndarray) -> np.ndarray:
    """Where each slice can show blood inside the skull: within the hull of the skull.

    Hands beside the head, headrest, and scalp outside of the hull are left out. The head of a slice is the piece of
    tissue with the most bone. Where its bone surrounds less than half of it, as in the face or at an open skull, the
    region is the whole piece. A slice without bone is not limited.

    Args:
        hu: (z, y, x) HU. In a picture cut off below bone, white counts as bone.

    Returns:
        (z, y, x) bool.

    Example:
        >>> from ich_lib import phantom
        >>> hu = phantom(1, slices=8, pixels=128).scan.hu
        >>> hu[4, 10:20, 5:15] = 60  # a finger beside the head
        >>> regions = skull_regions(hu)
        >>> bool(regions[4, 64, 64]), bool(regions[4, 15, 10])
        (True, False)
    """
    bone_hu = _bone_hu(hu)
    regions = np.ones(hu.shape, bool)
    for region, plane in zip(regions, hu, strict=True):
        if head := _coarse_head(plane, bone_hu):
            inside = head.hull if head.hull.sum() >= _LEAST_HULL * head.tissue.sum() else head.tissue
            region[:] = cv2.resize(inside, plane.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return regions


def field_box(hu: np.ndarray, field: str) -> Box:
    """The square of a (z, y, x) scan for a field, one of FIELDS.

    Raises:
        ValueError: for another field.
    """
    if field not in FIELDS:
        raise ValueError(f"field must be one of {', '.join(FIELDS)}; got {field!r}.")
    return head_box(hu) if field == "head" else slice_box(hu.shape)


def slice_box(shape: tuple[int, ...]) -> Box:
    """The smallest square around a whole (..., y, x) slice."""
    rows, columns = shape[-2:]
    return _square((rows - 1) / 2, (columns - 1) / 2, max(rows, columns), shape)


def _square(y: float, x: float, side: float, shape: tuple[int, ...]) -> Box:
    """Whole pixels around a center. Side and width are both even or both odd, and halves round toward the slice's
    middle, so that left and right are treated alike."""
    columns = shape[-1]
    whole_side = max(round(side), 1)
    whole_side += (whole_side - columns) % 2
    away = x - (columns - 1) / 2
    step = int(np.copysign(np.ceil(abs(away) - 0.5 - 1e-6), away))
    return Box(round(y - (whole_side - 1) / 2), (columns - whole_side) // 2 + step, whole_side)


def _skull_is_in_pieces(hu: np.ndarray, votes: "dict[int, _Extent]", bone_hu: float) -> bool:
    """Whether the largest piece of bone of usual slices is much smaller than the head."""
    ratios = [
        _side(votes[k]) / _side(head.extent)
        for k in list(votes)[:: max(len(votes) // _SAMPLE, 1)]
        if (head := _coarse_head(hu[k], bone_hu))
    ]
    return bool(ratios) and float(np.median(ratios)) < _LEAST_SIDE


@dataclass(frozen=True)
class _CoarseHead:
    """The head of a slice on coarse pixels.

    Attributes:
        tissue: uint8 (rows, columns), 1 in the piece of tissue with the most bone, holes filled.
        hull: uint8 (rows, columns), 1 in the convex hull of its bone.
        extent, bone_extent: of the piece and of its bone, as in `_largest_piece`, in pixels of the slice.
    """

    tissue: np.ndarray
    hull: np.ndarray
    extent: "_Extent"
    bone_extent: "_Extent"


def _coarse_head(plane: np.ndarray, bone_hu: float) -> _CoarseHead | None:
    """The head of a (y, x) slice; None without bone."""
    factor = max(round(max(plane.shape) / _COARSE_PX), 1)
    size = (max(plane.shape[1] // factor, 1), max(plane.shape[0] // factor, 1))
    shares = [
        cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
        for mask in (plane >= bone_hu, plane >= _TISSUE_HU)
    ]
    bone, tissue = shares[0] > 255 * _BONE_SHARE, shares[1] > 255 / 2
    if not bone.any():
        return None
    count, pieces = cv2.connectedComponents((tissue | bone).astype(np.uint8), connectivity=4)
    piece = pieces == np.bincount(pieces[bone], minlength=count).argmax()
    outlines, _ = cv2.findContours(piece.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(piece.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    head_bone = (bone & piece).astype(np.uint8)
    hull = _hull(head_bone) | _hull(head_bone[:, ::-1])[:, ::-1]  # OpenCV's edges are not the same on both sides
    scale = plane.shape[0] / piece.shape[0], plane.shape[1] / piece.shape[1]
    return _CoarseHead(filled, hull, _extent(filled, scale), _extent(head_bone, scale))


def _hull(mask: np.ndarray) -> np.ndarray:
    """uint8, 1 in the convex hull of a mask that is not empty."""
    hull = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(np.ascontiguousarray(mask))), 1)
    return hull


def _bone_hu(hu: np.ndarray) -> float:
    """HU of bone and above; in a picture cut off below bone, of white."""
    return min(BONE_HU, 0.98 * float(hu.max()))


_Extent = tuple[float, float, float, float, float]  # area, top, left, bottom, right


def _extent(mask: np.ndarray, scale: tuple[float, float]) -> _Extent:
    """Of a uint8 mask that is not empty, in pixels that are `scale` times smaller."""
    left, top, width, height = cv2.boundingRect(mask)
    area = float(mask.sum()) * scale[0] * scale[1]
    return area, top * scale[0], left * scale[1], (top + height) * scale[0], (left + width) * scale[1]


def _side(extent: _Extent) -> float:
    return max(extent[3] - extent[1], extent[4] - extent[2])


def _largest_piece(bone: np.ndarray) -> _Extent | None:
    """(area, top, left, bottom, right) of the largest connected piece, or None."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(bone.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    left, top, width, height, area = stats[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
    return int(area), int(top), int(left), int(top + height), int(left + width)


def crop(plane: np.ndarray, box: Box, size: int, *, outside: float = 0.0) -> np.ndarray:
    """Crop one slice to the box and resize it to size x size pixels, averaging if it shrinks.

    Args:
        plane: (y, x), any real type.
        box: the area to crop.
        size: side of the result in pixels.
        outside: value of the area beyond the slice's edge.
    """
    top, left, side = box.top, box.left, box.side
    square = np.full((side, side), outside, np.float32)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + side, plane.shape[0]), min(left + side, plane.shape[1])
    if y1 > y0 and x1 > x0:
        square[y0 - top : y1 - top, x0 - left : x1 - left] = plane[y0:y1, x0:x1]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_LINEAR)


def uncrop(values: np.ndarray, box: Box, shape: tuple[int, int]) -> np.ndarray:
    """Reverse `crop`: (size, size) values back onto a (y, x) slice; zero outside the box."""
    top, left, side = box.top, box.left, box.side
    large = cv2.resize(values.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    plane = np.zeros(shape, np.float32)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + side, shape[0]), min(left + side, shape[1])
    if y1 > y0 and x1 > x0:
        plane[y0:y1, x0:x1] = large[y0 - top : y1 - top, x0 - left : x1 - left]
    return plane


def intracranial(hu: np.ndarray) -> np.ndarray:
    """uint8 (y, x), 255 where the skull encloses soft tissue; empty if the ring is open (face, base)."""
    bone = cv2.morphologyEx((hu > 200).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    padded = cv2.copyMakeBorder(bone, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(padded, None, (0, 0), 2)  # outside the ring
    room = ((padded[1:-1, 1:-1] == 0) & (hu > -50)).astype(np.uint8)
    count, piece, stats, _ = cv2.connectedComponentsWithStats(room, connectivity=4)
    if count < 2:
        return np.zeros(hu.shape, np.uint8)
    largest = 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    return (piece == largest).astype(np.uint8) * 255
