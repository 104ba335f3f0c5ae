"""Arithmetic with the same bits on every computer, and the coarse grid of the head.

A seed must mean the same head on every computer, else results cannot be compared. IEEE 754 fixes + - * / and sqrt to
the last bit. It does not fix sin, exp, matrix products or the order of a long sum, which NumPy optimizes for each
processor. So arrays here use only + - * / sqrt, floor, abs and comparisons. Waves come from random lattices joined by
polynomials, and sums that decide something are sums of integers.

Anatomy is smooth at the scale of millimeters, so it is computed once on a `Grid` of 2.5 mm as signed distances (mm,
negative inside). A line drawn through a distance field between grid points is far sharper than the grid: a sphere of 12
mm is placed to within 0.1 mm. `Planes` reads any level at any pixel size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TypeVar

import numpy as np

_Item = TypeVar("_Item")

STEP_MM = 2.5
# Extent of the grid in image coordinates (mm), which contains the whole head. (z, y, x)
LOW_MM, HIGH_MM = (-60.0, -117.5, -100.0), (140.0, 117.5, 100.0)


class Draw:
    """Random numbers, rounded so that they are equal on every processor.

    `Generator.uniform` multiplies and adds in C, and some compilers fuse both into one rounding. Here Python computes
    the sum.
    """

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def uniform(self, low: float, high: float) -> float:
        return round(low + (high - low) * self.rng.random(), 5)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, items: Sequence[_Item], shares: Sequence[float] | None = None) -> _Item:
        """One of `items`; `shares` are their probabilities."""
        edge, u = 0.0, self.rng.random()
        for item, share in zip(items, shares or [1 / len(items)] * len(items), strict=True):
            edge += share
            if u < edge:
                return item
        return items[-1]

    def between(self, low: float, middle: float, high: float, *, log: bool = False) -> float:
        """A value whose median is `middle` and whose 5th and 95th percentiles are about `low` and `high`.

        The two halves of the bell have different widths, because the measured ranges are skewed. Cut at 3rd and 97th.
        """
        sigma = NormalDist().inv_cdf(0.03 + 0.94 * self.rng.random()) / 1.645
        if log:
            low, middle, high = math.log(low), math.log(middle), math.log(high)
        value = middle + sigma * ((high - middle) if sigma > 0 else (middle - low))
        return round(math.exp(value) if log else value, 5)

    def values(self, *shape: int) -> np.ndarray:
        """float32 in [-1, 1), multiples of 2**-15."""
        integers = self.rng.integers(-32768, 32768, shape)
        return (integers / np.float32(32768)).astype(np.float32)


@dataclass(frozen=True)
class Grid:
    """The coarse grid, along the image's own axes so that pixels are found by rows and columns.

    Attributes:
        tilt_deg: gantry tilt: rows are tilted out of the axial plane, slices stay stacked along the table.
    """

    tilt_deg: float = 0.0

    @cached_property
    def axes(self) -> list[np.ndarray]:
        """Image coordinates in mm along (z, y, x)."""
        return [
            (low + STEP_MM * np.arange(round((high - low) / STEP_MM) + 1)).astype(np.float32)
            for low, high in zip(LOW_MM, HIGH_MM, strict=True)
        ]

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        z, y, x = self.axes
        return len(z), len(y), len(x)

    @property
    def lean(self) -> tuple[float, float]:
        """Cosine and sine of the tilt."""
        angle = math.radians(self.tilt_deg)
        return round(math.cos(angle), 7), round(math.sin(angle), 7)

    @property
    def cell_ml(self) -> float:
        return STEP_MM**3 * self.lean[0] / 1000

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Patient coordinates x, y, z in mm, broadcastable to `shape`."""
        z, y, x = np.ix_(*self.axes)
        cosine, sine = self.lean
        return x, y * np.float32(cosine), z + y * np.float32(sine)

    def slopes(self, field: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Change per mm along the patient's x, y and z."""
        cosine, sine = self.lean
        down, across, along = (_difference(field, axis) for axis in range(3))
        if sine:
            across = (across - np.float32(sine) * down) * np.float32(1 / cosine)
        return along, across, down

    def distance(self, field: np.ndarray, least: float = 1e-6) -> np.ndarray:
        """A field that is zero on a surface, turned into mm from that surface (first order: value over slope)."""
        gx, gy, gz = self.slopes(field)
        return field / np.maximum(np.sqrt(gx * gx + gy * gy + gz * gz), np.float32(least))

    def volume_ml(self, distance: np.ndarray) -> float:
        """mL where `distance` is negative; cells on the border count by their share."""
        share = inside(distance, STEP_MM)
        return int((share * 256).astype(np.int32).sum()) / 256 * self.cell_ml

    def waves(self, draw: Draw, *size_mm: float) -> np.ndarray:
        """Smooth noise in [-1, 1) on the whole grid, hills `size_mm` apart (one number, or one for each of z, y, x)."""
        sizes = size_mm * 3 if len(size_mm) == 1 else size_mm
        field = draw.values(
            *(int((axis[-1] - axis[0]) / size) + 3 for axis, size in zip(self.axes, sizes, strict=True))
        )
        for number, axis in enumerate(self.axes):
            place = (axis - axis[0]) * np.float32(1 / sizes[number])
            base = np.floor(place).astype(np.int64)
            share = _ease(place - base)
            share = share.reshape([-1 if n == number else 1 for n in range(3)])
            low = np.take(field, base, axis=number)
            field = low + share * (np.take(field, base + 1, axis=number) - low)
        return self._leaning(field) if self.tilt_deg else field

    def _leaning(self, field: np.ndarray) -> np.ndarray:
        """A field made without tilt, read at the tilted rows: a tilted gantry must not change the person."""
        cosine, sine = self.lean
        z, y, _ = self.axes
        out = np.empty_like(field)
        near, share = _between(y * np.float32(cosine), y)
        for i in range(len(y)):
            row = field[:, near[i]] + share[i] * (field[:, near[i] + 1] - field[:, near[i]])
            k, part = _between(z + y[i] * np.float32(sine), z)
            out[:, i] = row[k] + part[:, None] * (row[k + 1] - row[k])
        return out


def lattice(draw: Draw, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Smooth noise in [-1, 1) at any points, in units of the lattice; it repeats every 32 units."""
    table = draw.values(32, 32, 32).ravel()
    corner, share = [], []
    for v in (x, y, z):
        base = np.floor(v)
        share.append(_ease(v - base))
        corner.append(base.astype(np.int32) & 31)
    i, j, k = corner
    i1, j1, k1 = (i + 1) & 31, ((j + 1) & 31) << 5, ((k + 1) & 31) << 10
    j, k = j << 5, k << 10

    def row(jk: np.ndarray) -> np.ndarray:
        low = table[i + jk]
        return low + share[0] * (table[i1 + jk] - low)

    def sheet(kk: np.ndarray) -> np.ndarray:
        low = row(j + kk)
        return low + share[1] * (row(j1 + kk) - low)

    low = sheet(k)
    return low + share[2] * (sheet(k1) - low)


class Planes:
    """Coarse fields read at the pixels of one level.

    Args:
        grid: of the fields.
        rows_mm, columns_mm: image coordinates of pixel rows and columns inside the grid.
    """

    def __init__(self, grid: Grid, rows_mm: np.ndarray, columns_mm: np.ndarray):
        self.grid = grid
        self.row, self.row_share = _between(rows_mm, grid.axes[1])
        self.column, self.column_share = _between(columns_mm, grid.axes[2])
        self.row_share = self.row_share[:, None]

    def coarse(self, field: np.ndarray, level_mm: float) -> np.ndarray:
        """(y, x) of the grid at one level."""
        k, share = _between(np.array([level_mm], np.float32), self.grid.axes[0])
        low = field[k[0]]
        return low + share[0] * (field[k[0] + 1] - low)

    def inside(self, rows: slice, columns: slice) -> "Planes":
        """The same level on a part of these pixels."""
        part = object.__new__(Planes)
        part.grid = self.grid
        part.row, part.row_share = self.row[rows], self.row_share[rows]
        part.column, part.column_share = self.column[columns], self.column_share[columns]
        return part

    def fine(self, coarse: np.ndarray) -> np.ndarray:
        """(rows, columns) at the pixels."""
        low = np.take(coarse, self.column, axis=1)
        across = low + self.column_share * (np.take(coarse, self.column + 1, axis=1) - low)
        low = np.take(across, self.row, axis=0)
        high = np.take(across, self.row + 1, axis=0)
        high -= low
        high *= self.row_share
        high += low
        return high


def inside(distance: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Share of a pixel that lies inside (distance negative): a ramp one pixel wide."""
    share = distance * np.float32(-1 / pixel_mm)
    share += np.float32(0.5)
    return np.clip(share, 0, 1, out=share)


def sheet(distance: np.ndarray, half_mm: np.ndarray | np.float32, pixel_mm: float) -> np.ndarray:
    """Share of a pixel inside a sheet |distance| < half_mm; also correct for sheets thinner than a pixel."""
    half_pixel = np.float32(pixel_mm / 2)
    share = np.minimum(np.maximum(distance + half_pixel, -half_mm), half_mm)
    share -= np.minimum(np.maximum(distance - half_pixel, -half_mm), half_mm)
    share *= np.float32(1 / pixel_mm)
    return share


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 at `low`, 1 at `high`, linear between."""
    return np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)


def union(first: np.ndarray, second: np.ndarray, soft_mm: float) -> np.ndarray:
    """The smaller of two distances, with the corner between them filled over about `soft_mm`."""
    near = np.maximum(np.float32(soft_mm) - np.abs(first - second), 0)
    return np.minimum(first, second) - near * near * np.float32(0.25 / soft_mm)


def _ease(t: np.ndarray) -> np.ndarray:
    return t * t * t * (t * (t * 6 - 15) + 10)  # C2 between lattice points, so that borders drawn from it bend smoothly


def _difference(field: np.ndarray, axis: int) -> np.ndarray:
    field = np.moveaxis(field, axis, 0)
    out = np.empty_like(field)
    out[1:-1] = (field[2:] - field[:-2]) * np.float32(0.5 / STEP_MM)
    out[0], out[-1] = (field[1] - field[0]) * np.float32(1 / STEP_MM), (field[-1] - field[-2]) * np.float32(1 / STEP_MM)
    return np.moveaxis(out, 0, axis)


def _between(points: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the grid point before each point and the share of the way to the next; held at the ends."""
    place = np.clip((points.astype(np.float32) - axis[0]) * np.float32(1 / STEP_MM), 0, len(axis) - 1.001)
    base = np.floor(place)
    return base.astype(np.int64), (place - base).astype(np.float32)
