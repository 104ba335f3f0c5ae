"""A part of the head that was scanned at another tilt, mostly the base of the skull: laid on slices like the others.

A scan has one direction of slices (`Scan.affine`). So the larger part keeps its slices, and the smaller one is
interpolated on more of them, beyond their end. Where both parts lie, nothing counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ich_lib.readers.header import Slice
from ich_lib.readers.limits import LIMITS
from ich_lib.readers.protocol import is_head, sharpness
from ich_lib.scan import LOWEST_HU

SAME_TILT = 0.01  # difference of unit vectors: positions and orientations are rounded
_ROUNDINGS = 3  # of SAME_TILT: each slice of a group differs from its first by one at most
_MOST_TILT_DEG, _LEAST_TILT_DEG = 45.0, 0.5
_FEWEST = 2  # slices of a part
_MOST_OVERLAP = 0.5  # of the shorter part, along the normal of the larger; more is the same head again
_MOST_GAP_MM = 50.0  # between the middles of the two slices that meet
_TISSUE_HU = -500
_HEAD_HU = (0, 100)  # brain, CSF, blood
_EVERY = 4  # pixels, to find where tissue ends


@dataclass(frozen=True)
class Part:
    """Parallel slices in their place.

    Attributes:
        hu: (slice, row, column) float32.
        affine_ras: (4, 4), index (column, row, step, 1) to mm in NIfTI axes.
        places: (n,) rising, of the slices in steps of the third column.
    """

    hu: np.ndarray
    affine_ras: np.ndarray
    places: np.ndarray

    @property
    def step_mm(self) -> float:
        """Distance of two steps along the normal."""
        normal = np.cross(self.affine_ras[:3, 0], self.affine_ras[:3, 1])
        return float(abs(self.affine_ras[:3, 2] @ normal) / np.linalg.norm(normal))

    @property
    def voxel_ml(self) -> float:
        """Volume of a pixel times a step."""
        return float(abs(np.linalg.det(self.affine_ras[:3, :3])) / 1000)


def tilt_deg(item: Slice, first: Slice) -> float | None:
    """The tilt of a slice against another; None if there is none, or if the views are from different sides."""
    if item.orientation is None or first.orientation is None:
        return None
    if (item.rows, item.columns) != (first.rows, first.columns):
        return None
    if np.abs(item.orientation - first.orientation).max() <= SAME_TILT:
        return None
    cosine = abs(float(np.cross(*item.orientation) @ np.cross(*first.orientation)))
    angle = float(np.degrees(np.arccos(min(cosine, 1.0))))
    return angle if _LEAST_TILT_DEG < angle < _MOST_TILT_DEG else None


def continues(main: Sequence[Slice], other: Sequence[Slice]) -> bool:
    """Whether the slices of `other` are the rest of the same head at another tilt, beyond an end of `main`."""
    if min(len(main), len(other)) < _FEWEST or tilt_deg(other[0], main[0]) is None or not _belong(main[0], other[0]):
        return False
    spans = [_span_mm(part, main[0]) for part in (main, other)]
    if spans[0] is None or spans[1] is None:
        return False
    (low, high), (other_low, other_high) = spans[0], spans[1]
    overlap_mm = min(high, other_high) - max(low, other_low)
    return -_MOST_GAP_MM <= overlap_mm <= _MOST_OVERLAP * min(high - low, other_high - other_low)


def _belong(a: Slice, b: Slice) -> bool:
    """Whether two images were made alike, in one frame of reference."""
    if a.protocol.patient != b.protocol.patient or (a.frame_uid and b.frame_uid and a.frame_uid != b.frame_uid):
        return False
    if not all(is_head(item.description, item.protocol.body_part) for item in (a, b)):
        return False
    if a.series_uid and a.series_uid == b.series_uid:
        return True
    made = [
        (protocol.study, protocol.contrast, protocol.derived, sharpness(protocol.kernel, item.description))
        for item, protocol in ((item, item.protocol) for item in (a, b))
    ]
    return bool(a.frame_uid) and a.frame_uid == b.frame_uid and made[0] == made[1]


def _span_mm(slices: Sequence[Slice], main: Slice) -> tuple[float, float] | None:
    """From the lowest to the highest middle of a slice along the normal of `main`; None if it is not known."""
    if main.orientation is None:
        return None
    along = []
    for item in slices:
        if item.position is None or item.orientation is None or item.pixel_mm is None:
            return None
        row, column = item.orientation
        across = row * (item.columns - 1) * item.pixel_mm[1] + column * (item.rows - 1) * item.pixel_mm[0]
        along.append(float((item.position + across / 2) @ np.cross(*main.orientation)))
    return min(along), max(along)


def by_tilt(slices: Sequence[Slice]) -> list[list[Slice]]:
    """The slices as the first one lies, then those of each other tilt. Two bases may lie far from each other."""
    groups: list[list[Slice]] = []
    for item in slices:
        home = next((group for group in groups if _lies_like(item, group[0])), None)
        if home is None:
            groups.append([item])
        else:
            home.append(item)
    return groups


def _lies_like(item: Slice, first: Slice) -> bool:
    if item.orientation is None or first.orientation is None:
        return True
    is_near = bool(np.abs(item.orientation - first.orientation).max() <= _ROUNDINGS * SAME_TILT)
    return is_near and tilt_deg(item, first) is None


def is_small(main: Part, base: Part) -> bool:
    """Whether both parts together, on slices like those of `main`, are within LIMITS."""
    below, above = _places_beyond(main, base)
    n = len(main.hu) + len(below) + len(above)
    return n <= LIMITS["slices"] and n * main.hu[0].size <= LIMITS["voxels"]


def _places_beyond(main: Part, base: Part) -> tuple[np.ndarray, np.ndarray]:
    """Places below and above `main` at which `base` shows tissue, in steps of `main`, rising."""
    low, high = _reach(main, base)
    first, last = float(main.places[0]), float(main.places[-1])
    below = first - np.arange(max(int(np.ceil(first - low - 0.5)), 0), 0, -1.0)
    above = last + np.arange(1.0, max(int(np.ceil(high - last - 0.5)), 0) + 1)
    return below, above


def lay(main: Part, base: Part) -> tuple[Part, int, float]:
    """The slices of `main`, and beyond them what `base` shows, on slices like those.

    A voxel between the two parts takes the nearer one.

    Args:
        main: slices that run from foot to head.
        base: slices at another tilt, which run from foot to head too.

    Returns:
        Both parts, how many slices were added, and the mL of the head between them that neither shows.
    """
    below, above = _places_beyond(main, base)
    planes, hidden_ml = [], 0.0
    for at in (*below, *above):
        plane, unseen = _plane(main, base, at)
        planes.append(plane)
        head = (plane >= _HEAD_HU[0]) & (plane <= _HEAD_HU[1])
        hidden_ml += np.count_nonzero(head & unseen) * main.voxel_ml
    hu = np.stack([*planes[: len(below)], *main.hu, *planes[len(below) :]])
    places = np.concatenate([below, main.places, above])
    affine = main.affine_ras.copy()
    affine[:3, 3] += affine[:3, 2] * places[0]
    return Part(hu, affine, places - places[0]), len(planes), hidden_ml


def _reach(main: Part, base: Part) -> tuple[float, float]:
    """The lowest and the highest place of tissue in `base`, in steps of `main`."""
    slices, rows, columns = np.nonzero(base.hu[:, ::_EVERY, ::_EVERY] > _TISSUE_HU)
    if not len(slices):
        return float(main.places[0]), float(main.places[-1])
    voxels = np.stack([columns * _EVERY, rows * _EVERY, base.places[slices], np.ones(len(slices))])
    steps = (np.linalg.inv(main.affine_ras) @ base.affine_ras)[2] @ voxels
    return float(steps.min()), float(steps.max())


def _plane(main: Part, base: Part, at: float) -> tuple[np.ndarray, np.ndarray]:
    """(row, column) HU of a slice beyond the end of `main`, and where neither part shows it."""
    rows, columns = np.mgrid[: main.hu.shape[1], : main.hu.shape[2]].astype(np.float32)
    turn = np.linalg.inv(base.affine_ras) @ main.affine_ras
    column, row, step = ((a * columns + b * rows + (c * at + d)).astype(np.float32) for a, b, c, d in turn[:3].tolist())
    index = np.interp(step, base.places, np.arange(len(base.hu))).astype(np.float32)
    plane = np.zeros(step.shape, np.float32)
    for k in range(int(index.min()), int(np.ceil(index.max())) + 1):
        weight = np.maximum(1 - np.abs(index - k), 0)
        if weight.any():
            shown = cv2.remap(
                base.hu[k], column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=LOWEST_HU
            )
            plane += weight * shown
    is_below = at < main.places[0]
    above_mm, below_mm = (step - base.places[-1]) * base.step_mm, (base.places[0] - step) * base.step_mm
    to_base_mm, outward_mm = (above_mm, below_mm) if is_below else (below_mm, above_mm)
    end = 0 if is_below else -1
    to_main_mm = abs(at - float(main.places[end])) * main.step_mm
    plane = np.where(outward_mm > base.step_mm / 2, np.float32(LOWEST_HU), plane)
    plane = np.where(to_base_mm > to_main_mm, main.hu[end], plane)
    return plane, (to_base_mm > base.step_mm / 2) & (to_main_mm > main.step_mm / 2)
