"""Volumes for the lessons on a third axis: discs that a single slice cannot tell apart, and heads of the course."""

from dataclasses import dataclass

import numpy as np

from ich_lib.course import phantom_heads
from ich_lib.course.levels import LEVELS, height_auc
from ich_lib.data.split import by_patient
from ich_lib.data.store import Store
from ich_lib.labels import ANY
from ich_lib.measures.metrics import auc
from ich_lib.prepare.window import WINDOWS, window

_SLICES, _SIDE = 8, 32  # of a volume with a disc
_RADIUS_2 = 16  # squared radius of the disc, in pixels


def disc_volumes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Volumes of noise with a bright disc: in all slices of the even ones (vessels), in three of the odd ones (bleeds).

    Args:
        count: of the volumes.
        seed: of noise and places.

    Returns:
        (count, 8, 32, 32) float32 volumes; (count, 8, 1) float32, 1 where a slice holds a bleed; (count, 8, 1) bool,
        whether a slice holds a disc at all.

    Example:
        >>> volumes, bleeds, discs = disc_volumes(2, seed=0)
        >>> discs.sum(axis=(1, 2)).tolist(), bleeds.sum(axis=(1, 2)).tolist()
        ([8, 3], [0.0, 3.0])
    """
    rng = np.random.default_rng(seed)
    volumes = rng.normal(0, 0.3, (count, _SLICES, _SIDE, _SIDE)).astype(np.float32)
    bleeds, discs = np.zeros((2, count, _SLICES, 1), np.float32)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    for i, volume in enumerate(volumes):
        y, x = rng.integers(8, 24, 2)
        z = rng.integers(1, 7) if i % 2 else None
        where = slice(None) if z is None else slice(z - 1, z + 2)
        volume[where, (rows - y) ** 2 + (columns - x) ** 2 < _RADIUS_2] += 1
        bleeds[i, where], discs[i, where] = z is not None, 1
    return volumes, bleeds, discs > 0


@dataclass(frozen=True)
class HeadVolumes:
    """The heads of a store as volumes, one third of the patients held out.

    Attributes:
        gray: (n, 34, side, side) float32 in [0, 1], through the brain window.
        labels: (n, 34, 1) float32, 1 where a slice bleeds.
        held_out: (n,) bool.
        height_auc: AUC over the held-out slices of a model that knows nothing of a slice but its height.
    """

    gray: np.ndarray
    labels: np.ndarray
    held_out: np.ndarray
    height_auc: float

    def auc(self, score: np.ndarray) -> float:
        """AUC over all slices of the held-out heads; `score` is (held-out heads, 34, 1)."""
        return auc(self.labels[self.held_out].ravel() > 0, score.ravel())

    def by_head(self, score: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Labels and scores of each held-out head, as `paired_bootstrap` wants them."""
        return dict(enumerate(zip(self.labels[self.held_out], score, strict=True)))


def head_volumes(side: int, store: Store | None = None) -> HeadVolumes:
    """Load whole heads, shrink their slices by averaging, and hold out every third patient.

    Args:
        side: pixels of a slice; it divides the 64 of the store.
        store: heads of 34 slices, one for each patient; None for `phantom_heads`.

    Raises:
        ValueError: if `side` does not divide the pixels of the store.
    """
    store = store or phantom_heads()
    rows = np.arange(len(store))
    gray = window(store.hu(rows), *WINDOWS["brain render"])
    pixels = gray.shape[-1]
    if pixels % side:
        raise ValueError(f"side must divide the {pixels} pixels of a stored slice; got {side}.")
    step = pixels // side
    gray = gray.reshape(-1, LEVELS, side, step, side, step).mean(axis=(3, 5))
    labels = store.table.labels[:, ANY].reshape(-1, LEVELS, 1).astype(np.float32)
    folds = by_patient(store.table, folds=3).folds
    held_out = np.array([folds[name] == 0 for name in store.table.patient[::LEVELS]])
    judged = np.flatnonzero(np.repeat(held_out, LEVELS))
    return HeadVolumes(gray, labels, held_out, height_auc(store.table, judged))
