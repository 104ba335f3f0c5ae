"""Locate the head and the inside of the skull. One square box per scan lets every head fill the picture."""

from dataclasses import dataclass

import cv2
import numpy as np

FIELDS = ("head", "slice")  # the field of a model's picture: the square around the head, or the whole slice
BONE_HU = 300  # and above is bone, or metal
_MARGIN = 1.08  # side of the box relative to the skull, so that it includes the scalp


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

    The skull is the largest piece of bone of a slice, which excludes headrest and jewelry. Slices with little bone
    (vertex, missing skull) are ignored. Without any bone the whole slice is the box. A mirrored scan has the mirrored
    box.

    Args:
        hu: (z, y, x) HU. In a picture cut off below bone, white counts as bone.

    Returns:
        The box, 8 % wider than the skull.
    """
    bone_hu = min(BONE_HU, 0.98 * float(hu.max()))
    votes = [vote for plane in hu if (vote := _largest_piece(plane >= bone_hu))]
    if not votes or bone_hu <= 0:
        return slice_box(hu.shape)
    table = np.array(votes, float)  # area, top, left, bottom, right
    table = table[table[:, 0] >= 0.5 * table[:, 0].max()]
    top, left = np.percentile(table[:, 1:3], 10, axis=0)
    bottom, right = np.percentile(table[:, 3:5], 90, axis=0)
    side = max(bottom - top, right - left) * _MARGIN
    return _square((top + bottom - 1) / 2, (left + right - 1) / 2, side, hu.shape)


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


def _largest_piece(bone: np.ndarray) -> tuple[int, int, int, int, int] | None:
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
