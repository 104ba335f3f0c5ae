"""One infinitely thin level of a head: the fields of the coarse grid, read at the level's pixels."""

from collections.abc import Mapping

import numpy as np

from ich_lib.phantoms.grid import Planes

Box = tuple[slice, slice]  # rows, columns
_ALL: Box = (slice(None), slice(None))


class Level:
    """Fields read at the pixels of one level.

    Attributes:
        box: the place of these pixels in the whole level.
    """

    def __init__(self, fields: Mapping[str, np.ndarray], planes: Planes, z_mm: float, pixel_mm: float, box: Box = _ALL):
        self.fields, self.planes, self.z_mm, self.pixel_mm, self.box = fields, planes, z_mm, pixel_mm, box
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, name: str, reach_mm: float = 2.0) -> np.ndarray | None:
        """(y, x) values at the pixels; None if the field is absent or nowhere below `reach_mm` on this level."""
        if name not in self.fields or (coarse := self._coarse(name)).min() > reach_mm:
            return None
        return self.planes.fine(coarse)

    def values(self, name: str) -> np.ndarray:
        """(y, x) values at the pixels of a field that every head has, at any distance."""
        return self.planes.fine(self._coarse(name))

    def part(self, name: str, reach_mm: float) -> "Level | None":
        """The box of pixels with a field below `reach_mm`, as a level of its own; None if there is none."""
        near = self._coarse(name) < reach_mm
        rows, columns = near.any(axis=1), near.any(axis=0)
        if not rows.any():
            return None
        box = (
            _pixels_between(self.planes.row, np.flatnonzero(rows)),
            _pixels_between(self.planes.column, np.flatnonzero(columns)),
        )
        if any(b.stop <= b.start for b in box):
            return None
        part = Level(self.fields, self.planes.inside(*box), self.z_mm, self.pixel_mm, box)
        part._known = self._known  # both are on one level of the grid
        return part

    def _coarse(self, name: str) -> np.ndarray:
        if name not in self._known:
            self._known[name] = self.planes.coarse(self.fields[name], self.z_mm)
        return self._known[name]


def _pixels_between(index: np.ndarray, grid_points: np.ndarray) -> slice:
    """Pixels whose grid cell touches the found grid points; pixel order follows grid order."""
    start = int(np.searchsorted(index, grid_points[0] - 1))
    return slice(start, int(np.searchsorted(index, grid_points[-1] + 1, side="right")))
