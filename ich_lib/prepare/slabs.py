"""Average thin slices to slabs as thick as the training slices, and copy results of slabs back to the slices.

A slice of 0.6 mm has three times the noise of one of 5 mm, and a model of thick slices takes the noise for blood. The
mean of eight thin slices is close to what the scanner would have made as one thick slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ich_lib.scan import AIR_HU, Scan

SLAB_MM = 5.0  # about the thickness of the training slices
THIN_MM = 2.75  # thinner slices are averaged: 3 mm slices are not, nor across a gantry tilted by 20 degrees


@dataclass(frozen=True)
class Slabs:
    """How the slices of a scan are averaged.

    Attributes:
        ranges: slice indices of each slab, foot to head; every slice is in one.
        shifts: (z, 2) whole pixels (rows, columns) that move a slice over the middle slice of its slab; 0 unless the
            gantry is tilted.
        weights: (z,) share of the slab that a slice contributes.
    """

    ranges: tuple[range, ...]
    shifts: np.ndarray
    weights: np.ndarray

    @property
    def are_slices(self) -> bool:
        """Whether no slices are averaged."""
        return len(self.ranges) == len(self.weights)

    def average(self, hu: np.ndarray) -> np.ndarray:
        """(slab, y, x) float32 means of (z, y, x) values; the values themselves if no slice is thin."""
        if self.are_slices:
            return hu
        means = np.zeros((len(self.ranges), *hu.shape[1:]), np.float32)
        for mean, rows in zip(means, self.ranges, strict=True):
            for k in rows:
                mean += np.float32(self.weights[k]) * moved(hu[k], *self.shifts[k].tolist(), outside=AIR_HU)
        return means

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(z, ...) from (slab, ...): each slice gets the result of its slab."""
        return values if self.are_slices else np.repeat(values, [len(rows) for rows in self.ranges], axis=0)

    def spread_maps(self, maps: np.ndarray) -> np.ndarray:
        """The same for (slab, y, x) maps; each slice's map is moved back to the slice's position.

        Most of a map is zero, and memory that is never written is not used.
        """
        if self.are_slices:
            return maps
        output = np.zeros((len(self.weights), *maps.shape[1:]), maps.dtype)
        for plane, rows in zip(maps, self.ranges, strict=True):
            filled = np.flatnonzero(plane.any(axis=1))
            if not filled.size:
                continue
            part = slice(filled[0], filled[-1] + 1)
            for k in rows:
                down, right = self.shifts[k].tolist()
                if down or right:
                    output[k] = moved(plane, -down, -right, outside=0)
                else:
                    output[k, part] = plane[part]
        return output

    def scan(self, scan: Scan) -> Scan:
        """The scan of the slabs, as if all had the same thickness."""
        first, count = np.mean(self.ranges[0]), len(scan.hu) / len(self.ranges)
        affine = scan.affine @ np.diag([count, 1, 1, 1])
        affine[:3, 3] += scan.affine[:3, 0] * first
        return replace(scan, hu=self.average(scan.hu), affine=affine, places=None, dicom=False)


def slabs_of(scan: Scan) -> Slabs:
    """How to average a scan's slices to about SLAB_MM. They stay as they are if their distance is THIN_MM or more, or
    unknown.

    Example:
        >>> from ich_lib import phantom
        >>> from ich_lib.prepare.slabs import slabs_of
        >>> thin = phantom(1, slices=40, thickness_mm=1.25, pixels=64).scan
        >>> [len(rows) for rows in slabs_of(thin).ranges]
        [4, 4, 4, 4, 4, 4, 4, 4, 4, 4]
    """
    count = len(scan.hu)
    ranges = _ranges(scan.slab_mm) if scan.spacing_known else tuple(range(k, k + 1) for k in range(count))
    shifts, weights = np.zeros((count, 2), int), np.ones(count)
    if len(ranges) < count:
        lean_px = _lean_px(scan.affine)
        places = np.arange(count) if scan.places is None else scan.places
        for rows in ranges:
            part = slice(rows.start, rows.stop)
            weights[part] = scan.slabs[part] / scan.slabs[part].sum()
            away = places[part] - places[rows[len(rows) // 2]]
            shifts[part] = np.round(away[:, None] * lean_px).astype(int)
    return Slabs(ranges, shifts, weights)


def _ranges(slab_mm: np.ndarray) -> tuple[range, ...]:
    """Groups of neighbors whose thickness is closest to SLAB_MM. A remainder at the head's end joins the last slab."""
    starts, total_mm, is_open = [0], 0.0, False
    for k, mm in enumerate(slab_mm.tolist()):
        is_thin = mm < THIN_MM
        if k and not (is_open and is_thin and total_mm + mm / 2 < SLAB_MM - 1e-6):
            starts.append(k)
            total_mm = 0.0
        total_mm += mm
        is_open = is_thin
    last_thin = len(starts) > 1 and slab_mm[starts[-1] - 1] < THIN_MM
    if last_thin and slab_mm[starts[-1] :].sum() < SLAB_MM / 2:
        starts.pop()
    return tuple(range(a, b) for a, b in zip(starts, [*starts[1:], len(slab_mm)], strict=True))


def _lean_px(affine: np.ndarray) -> np.ndarray:
    """(2,) rows and columns by which the next slice deviates from this one's normal."""
    return np.linalg.lstsq(affine[:3, 1:3], affine[:3, 0], rcond=None)[0]


def moved(plane: np.ndarray, down: int, right: int, *, outside: float) -> np.ndarray:
    """A (y, x) plane moved by whole pixels; the plane itself if nothing moves.

    Args:
        plane: of any type.
        down: pixels toward higher rows.
        right: pixels toward higher columns.
        outside: the value that fills the free side.
    """
    if not (down or right):
        return plane
    rows, columns = plane.shape
    output = np.full_like(plane, outside)
    source = plane[max(-down, 0) : max(rows - down, 0), max(-right, 0) : max(columns - right, 0)]
    output[max(down, 0) :, max(right, 0) :][: source.shape[0], : source.shape[1]] = source
    return output


def spread_rows(slabs: Slabs, values: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
    """`Slabs.spread` for several columns, some of which may be missing."""
    return [None if column is None else slabs.spread(column) for column in values]
