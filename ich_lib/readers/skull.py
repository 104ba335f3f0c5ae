"""What the skull tells about a volume whose axes nobody names: slices across the head are rings of bone around brain.

Checked on every fourth patient of CT-ICH 1.0.0 and on phantoms: the axis of the slices and the side of the vertex were
right wherever they were told.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_SIDE, _BRIDGE = 128, 7  # pixels that a plane is looked at with, and gaps of bone that are closed
_BONE_HU = 200
_LEAST_RING = 0.05  # of a plane inside its ring
_CLOSED = 0.6  # inside the ring / all within bone: below, the base of the skull
_MOST_PLANES = 24
_LEAST_SIDE = 32  # of a plane; less shows no ring


@dataclass(frozen=True)
class Skull:
    """What is seen of it.

    Attributes:
        up: 1 where the vertex lies at the end of the slices, -1 where at their start, 0 if that is not to be seen.
        rows: of the cavity, in pixels of the slices; 0 without a ring.
        columns: the same across.
    """

    up: int = 0
    rows: float = 0
    columns: float = 0


def ring_share(values: np.ndarray, axis: int) -> float:
    """The share of planes across an axis of (i, j, k) HU in which bone closes a ring."""
    planes = np.moveaxis(values, axis, 0)
    if min(planes.shape[1:]) < _LEAST_SIDE:
        return 0.0
    planes = planes[:: max(len(planes) // _MOST_PLANES, 1)]
    return float(np.mean([_inside(plane)[0].mean() >= _LEAST_RING for plane in planes]))


def find_skull(stack: np.ndarray) -> Skull:
    """Look at slices.

    Args:
        stack: (slices, rows, columns) HU.
    """
    if min(stack.shape[1:]) < _LEAST_SIDE:
        return Skull()
    step = max(len(stack) // _MOST_PLANES, 1)
    looks = [_inside(plane) for plane in stack[::step]]
    cavity, bony = (np.array([look[n].mean() for look in looks]) for n in (0, 1))
    ringed = cavity >= _LEAST_RING
    if not ringed.any():
        return Skull()
    rows, columns = np.median([_extent(look[0]) for look, ring in zip(looks, ringed, strict=True) if ring], axis=0)
    return Skull(_up(cavity, bony), rows * stack.shape[1] / _SIDE, columns * stack.shape[2] / _SIDE)


def _up(cavity: np.ndarray, bony: np.ndarray) -> int:
    """The base is full of holes, the vertex is closed: closed rings lie toward it."""
    index, head = np.arange(len(cavity)), bony > 0.02
    closed = head & (cavity > _CLOSED * bony)
    if not closed.any():
        return 0
    toward = (index[closed].mean() - index[head].mean()) / np.count_nonzero(head)
    return int(np.sign(toward)) if abs(toward) > 0.05 else 0


def _inside(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What bone encloses in a plane, and that with the bone: (_SIDE, _SIDE) bool."""
    small = cv2.resize(np.ascontiguousarray(plane, np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    bone = cv2.morphologyEx((small > _BONE_HU).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_BRIDGE, _BRIDGE), np.uint8))
    padded = cv2.copyMakeBorder(bone, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(padded, None, (0, 0), 2)
    filled = padded[1:-1, 1:-1]
    return filled == 0, filled != 2


def _extent(mask: np.ndarray) -> tuple[int, int]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
