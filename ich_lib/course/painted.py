"""Slices of phantom heads with clots painted in, as many at every height: a task that a small network can learn."""

from dataclasses import dataclass

import numpy as np

from ich_lib.course import phantom_heads
from ich_lib.course.levels import LEVELS, level_of_slices
from ich_lib.data.store import Store
from ich_lib.labels import ANY
from ich_lib.measures.height import height_scores
from ich_lib.measures.metrics import auc
from ich_lib.prepare.painting import paint

_MIDDLE = (8, 28)  # levels with enough brain for a clot, from the skull base to below the vertex
_KIND = "intraparenchymal"  # the other shapes need more than 64 pixels


@dataclass(frozen=True)
class PaintedSlices:
    """The middle slices of all heads, half of them with a clot.

    Attributes:
        hu: (n, 64, 64) float32 HU.
        blood: (n, 64, 64) bool, the painted clot.
        bleeds: (n,) bool, whether there is one.
        head: (n,) int, whose slice it is, 0 to 39.
        level: (n,) int, as `level_of_slices` has it.
    """

    hu: np.ndarray
    blood: np.ndarray
    bleeds: np.ndarray
    head: np.ndarray
    level: np.ndarray

    def rows(self, first: int, last: int) -> np.ndarray:
        """(k,) int, the slices of the heads from `first` to before `last`."""
        return np.flatnonzero((self.head >= first) & (self.head < last))

    def height_auc(self, rows: np.ndarray) -> float:
        """AUC over these rows of a model that knows nothing of a slice but its height, learned from the other heads."""
        groups = [rows[self.head[rows] == head] for head in np.unique(self.head[rows])]
        heights = [self.level[group] / (LEVELS - 1) for group in groups]
        scores = height_scores(heights, [self.bleeds[group] for group in groups], [str(k) for k in range(len(groups))])
        return auc(self.bleeds[np.concatenate(groups)], np.concatenate(scores))


def painted_slices(store: Store | None = None, *, seed: int = 0) -> PaintedSlices:
    """Paint a clot into half of the clean middle slices of a store of phantoms, level by level.

    At every level half of the slices bleed (fewer where there is no room for a clot), so the height of a slice tells
    next to nothing. Slices of a phantom that bleeds
    there already are left out.

    Args:
        store: whole heads of 64 x 64 pixels; None for `phantom_heads`.
        seed: chooses the slices, and draws the clots.

    Returns:
        Its heads are numbered in the order of the store.

    Example:
        >>> from ich_lib.data.phantoms import phantoms
        >>> slices = painted_slices(phantoms(2, 3, size=64, field="head"))  # two heads; by default 40, made in a minute
        >>> bool(0.3 < slices.bleeds.mean() < 0.51)
        True
    """
    store, rng = store or phantom_heads(), np.random.default_rng(seed)
    level = level_of_slices(store.table)
    rows = np.flatnonzero((level >= _MIDDLE[0]) & (level < _MIDDLE[1]) & ~store.table.labels[:, ANY])
    hu, inside = store.hu(rows).astype(np.float32), store.inside(rows)
    blood, level = np.zeros(hu.shape, bool), level[rows]
    for height in range(*_MIDDLE):
        n_to_paint = int((level == height).sum() // 2)
        for row in rng.permutation(np.flatnonzero(level == height)).tolist():
            painted, share, _ = paint(hu[row : row + 1], inside[row : row + 1], _KIND, rng)
            if n_to_paint and share.any():
                hu[row], blood[row], n_to_paint = painted[0], share[0] >= 128, n_to_paint - 1
    _, head = np.unique(store.first, return_inverse=True)
    return PaintedSlices(hu, blood, np.any(blood, axis=(1, 2)), head[rows], level)
