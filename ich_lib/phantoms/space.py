"""From a point of the picture to a standard head, for any position of the patient in the scanner."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ich_lib.phantoms.atlas import Blob, Point, Shape, Tube
from ich_lib.phantoms.grid import STEP_MM, Draw, Grid, union

FAR_MM = np.float32(30)  # mm: value of a distance field far from everything


@dataclass(frozen=True)
class Pose:
    """The size of a head and its position in the scanner.

    Attributes:
        scale: real mm per standard mm, on average.
        place: head point (standard mm) to (z, y, x) image coordinates in mm.
        child: a child's head, smaller and rounder.
        angles: yaw, roll and nod in degrees.
        shift: mm off the middle, (x, y, z).
    """

    scale: float
    place: Callable[[Sequence[float] | np.ndarray], Point]
    child: bool
    angles: Point
    shift: Point


class Space:
    """Head coordinates on the grid, and shapes drawn into them.

    Attributes:
        x, y, z: head coordinates (mm of the standard head) of every grid point.
        scale: real mm per standard mm, on average; returned distances are in real mm.
    """

    def __init__(self, grid: Grid, pose: Pose, x: np.ndarray, y: np.ndarray, z: np.ndarray, reach_mm: float = 9.0):
        self.grid, self.pose, self.x, self.y, self.z, self.reach_mm = grid, pose, x, y, z, reach_mm
        self.scale = pose.scale

    def empty(self) -> np.ndarray:
        return np.full(self.grid.shape, FAR_MM, np.float32)

    def field(self, shapes: Iterable[Shape]) -> np.ndarray:
        """Distance from these shapes."""
        field = self.empty()
        self.add(field, shapes)
        return field

    def fields(self, parts: Mapping[str, Iterable[Shape]]) -> dict[str, np.ndarray]:
        """Distance from each part, by its name."""
        return {name: self.field(shapes) for name, shapes in parts.items()}

    def add(self, field: np.ndarray, shapes: Iterable[Shape]) -> None:
        """Draw shapes into a field, one after the other. Changes `field`."""
        for shape in shapes:
            for side in (1, -1) if shape.both else (1,):
                block, new = self._blob(shape, side) if isinstance(shape, Blob) else self._tube(shape, side)
                field[block] = union(field[block], new, shape.soft) if shape.soft else np.minimum(field[block], new)

    def _blob(self, blob: Blob, side: int) -> tuple[tuple[slice, ...], np.ndarray]:
        """The block of the grid near an ellipsoid, and the distances from it there."""
        c, radii = (side * blob.center[0], blob.center[1], blob.center[2]), blob.radii
        block = self._block([c], max(radii))
        u = (self.x[block] - c[0]) * np.float32(1)
        v = self.y[block] - np.float32(c[1])
        w = (self.z[block] - np.float32(c[2])) * np.float32(1 / radii[2])
        if blob.turn:
            u, v = _turned(u, v, side * blob.turn)
        u *= np.float32(1 / radii[0])
        v = v * np.float32(1 / radii[1])
        rho = np.sqrt(u * u + v * v + w * w)
        u *= np.float32(1 / radii[0])
        v *= np.float32(1 / radii[1])
        w *= np.float32(1 / radii[2])
        slope = np.sqrt(u * u + v * v + w * w)
        # value over slope is exact on the surface (Inigo Quilez, "ellipsoid - distance"); the middle needs a floor
        return block, rho * (rho - 1) / np.maximum(slope, np.float32(1e-3 / max(radii))) * np.float32(self.scale)

    def _tube(self, tube: Tube, side: int) -> tuple[tuple[slice, ...], np.ndarray]:
        """The block of the grid near a round cone, and the distances from it there."""
        flat, ra, rb = np.array(tube.flat), tube.start_mm, tube.end_mm
        start, end = (np.array([side * p[0], p[1], p[2]]) * flat for p in (tube.start, tube.end))
        block = self._block([start / flat, end / flat], max(ra, rb) / min(flat))
        ux, uy, uz = (
            v[block] * np.float32(f) - np.float32(s)
            for v, f, s in zip((self.x, self.y, self.z), flat, start, strict=True)
        )
        dx, dy, dz = (np.float32(v) for v in end - start)
        along = (ux * dx + uy * dy + uz * dz) * np.float32(1 / float(dx * dx + dy * dy + dz * dz))
        along = np.clip(along, 0, 1)
        ux, uy, uz = ux - along * dx, uy - along * dy, uz - along * dz
        new = np.sqrt(ux * ux + uy * uy + uz * uz) - (np.float32(ra) + along * np.float32(rb - ra))
        return block, new * np.float32(self.scale / max(flat))

    def _block(self, points: Sequence[Sequence[float] | np.ndarray], radius: float) -> tuple[slice, ...]:
        """Part of the grid within reach of these points: far from a shape, no distance is needed."""
        places = np.array([self.pose.place(p) for p in points])
        reach = radius * self.scale * 1.08 + self.reach_mm
        low, high = places.min(axis=0) - reach, places.max(axis=0) + reach
        return tuple(
            slice(max(0, int((lo - axis[0]) / STEP_MM)), max(0, int((hi - axis[0]) / STEP_MM) + 2))
            for lo, hi, axis in zip(low, high, self.grid.axes, strict=True)
        )


def _turned(u: np.ndarray, v: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a line with the slope `slope`."""
    norm = 1 / math.sqrt(1 + slope * slope)
    cosine, sine = np.float32(round(norm, 6)), np.float32(round(slope * norm, 6))
    return cosine * u + sine * v, cosine * v - sine * u


def draw_pose(draw: Draw, grid: Grid) -> Space:
    """Draw the size of a head and its position in the scanner, and return its coordinates on the grid.

    Size: the inner cranium of adults is 165 mm long and 135 wide, +- 5 %; children's are smaller and rounder.
    Positioning: a few degrees each of yaw, roll and nod, a few mm off the middle.
    """
    child = draw.chance(0.2)
    size = draw.uniform(0.88, 0.97) if child else draw.uniform(0.94, 1.05)
    sx, sy, sz = (round(size * draw.uniform(0.96, 1.04), 5) for _ in range(3))
    yaw, roll, nod = (draw.between(-r, 0, r) for r in (8, 4, 7))
    shift = (draw.uniform(-7, 7), draw.uniform(-2, 8), draw.uniform(-5, 5))
    turn = _rotation(yaw, roll, nod)

    def place(point: Sequence[float] | np.ndarray) -> Point:
        """Head point (standard mm) to (z, y, x) image coordinates in mm."""
        scaled_point = [p * s for p, s in zip(point, (sx, sy, sz), strict=True)]
        scaled_point[2] -= 40 * sz
        wx, wy, wz = (sum(turn[r][c] * scaled_point[c] for c in range(3)) + shift[r] for r in range(3))
        cosine, sine = grid.lean
        return wz + 40 * sz - wy / cosine * sine, wy / cosine, wx

    wx, wy, wz = grid.points()
    wx, wy, wz = wx - np.float32(shift[0]), wy - np.float32(shift[1]), wz - np.float32(shift[2] + 40 * sz)
    # the inverse of a rotation is its transpose
    x, y, z = (
        (wx * np.float32(turn[0][c]) + wy * np.float32(turn[1][c]) + wz * np.float32(turn[2][c])) for c in range(3)
    )
    x, y, z = x * np.float32(1 / sx), y * np.float32(1 / sy), z * np.float32(1 / sz) + np.float32(40)
    bend = [grid.waves(draw, 55) for _ in range(2)]  # no head is symmetric
    x = x + bend[0] * np.float32(2.2)
    y = y + bend[1] * np.float32(2.2)
    return Space(grid, Pose(round((sx + sy + sz) / 3, 5), place, child, (yaw, roll, nod), shift), x, y, z)


def _rotation(yaw: float, roll: float, nod: float) -> list[list[float]]:
    """Rotation matrix, entries rounded so that it is equal with every libm."""
    (cy, sy), (cr, sr), (cn, sn) = ((math.cos(math.radians(a)), math.sin(math.radians(a))) for a in (yaw, roll, nod))
    about_z: list[list[float]] = [[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]
    about_y: list[list[float]] = [[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]]
    about_x: list[list[float]] = [[1, 0, 0], [0, cn, -sn], [0, sn, cn]]
    out = about_z
    for turn in (about_y, about_x):
        out = [[sum(out[r][k] * turn[k][c] for k in range(3)) for c in range(3)] for r in range(3)]
    return [[round(v, 7) for v in row] for row in out]
