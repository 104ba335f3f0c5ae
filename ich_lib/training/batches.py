"""Slices to training batches: drawn by the recipe, blood pasted, pictures and masks augmented together."""

import math
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock

import cv2
import keras
import numpy as np

from ich_lib.data.store import ROOM, Store
from ich_lib.labels import ANY, LABELS, SCHEMES, fits_scheme, to_scheme
from ich_lib.models.pictures import neighbor_indices, stack_channels
from ich_lib.models.recipe import Recipe
from ich_lib.prepare.augment import NO_AUGMENT, NO_WARP, apply_warp, draw_warp, perturb_hu, warp_matrix
from ich_lib.prepare.painting import KINDS, paint
from ich_lib.scan import AIR_HU

_PASTE = replace(NO_AUGMENT, turn_deg=12.0, shift=0.04, zoom=0.2, flip_lr=True)
# threads that make batches; OpenCV and NumPy let them run in parallel
_THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))
_AHEAD = 2 + _THREADS  # batches prepared while a step is computed
_ROOMY = 0.05  # share of the picture that must be inside the skull for pasting blood


Batch = tuple[np.ndarray, np.ndarray | tuple[np.ndarray, ...]]  # pictures and their truth


@dataclass(frozen=True)
class Slices:
    """Some rows of a store: a training side or a held-out side.

    Attributes:
        store: the store of the rows.
        rows: (n,) their row numbers.
    """

    store: Store
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def bleeding(self) -> np.ndarray:
        """(n,) bool, where a slice shows blood of any type."""
        return self.store.table.labels[self.rows, ANY]

    def select(self, is_chosen: np.ndarray) -> "Slices":
        """The rows for which (n,) bool `is_chosen` is True."""
        return Slices(self.store, self.rows[is_chosen])

    def with_targets(self, recipe: Recipe) -> "Slices":
        """The rows whose truth the recipe can use: outlined ones for segmentation, ones with a class in its scheme for
        classification.

        Raises:
            ValueError: if the data set lacks the labels that the scheme needs.
        """
        table, fitting = self.store.table, self
        if recipe.has_mask_output:
            fitting = self.select(table.outlined[self.rows])
        if not recipe.has_score_output:
            return fitting
        missing = [name for name in SCHEMES[recipe.scheme] if name in LABELS and name not in table.known_labels]
        if missing:
            raise ValueError(f"{table.name} has no label {missing[0]}; train the scheme 'binary', or segment.")
        return fitting.select(fits_scheme(table.labels[fitting.rows], recipe.scheme))


@dataclass(frozen=True)
class _SampleSpec:
    """One planned sample: which slice, whether blood is pasted or painted into it, and its window."""

    slices: Slices
    row: int
    is_pasted: bool = False
    painted: bool = False
    window: int | None = None


class Batches(keras.utils.PyDataset):
    """Endless, seeded training batches: sample i of epoch e is the same in every run and on every backend.

    Fit with `shuffle=False`, because the order is drawn here. A thread prepares the next batches while a step is
    computed, because Keras prefetches only on TensorFlow.

    Args:
        real: slices to train on.
        recipe: size, windows, sampling, augmentation, batch and steps.
        phantoms: slices of phantoms for the mix; without them, real slices take their share.

    Raises:
        ValueError: if the slices lack what the recipe's sampling needs.
    """

    def __init__(self, real: Slices, recipe: Recipe, *, phantoms: Slices | None = None):
        super().__init__(workers=1, use_multiprocessing=False)
        self.recipe, self.epoch, self.upcoming = recipe, 0, 0
        self.threads, self.lock = ThreadPoolExecutor(_THREADS), Lock()
        self.ahead: dict[tuple[int, int], Future[Batch]] = {}
        real = real.with_targets(recipe)
        # the slice that gives its blood
        self.donors = _Pool(real.select(real.bleeding & (real.store.blood_px[real.rows] > 0)))
        self.passes = None if recipe.sampling == "mix" else _Passes(real, recipe)
        self.sampler = self.passes or _Mix(real, phantoms, recipe)
        self.steps = recipe.steps if self.passes is None else recipe.steps or math.ceil(len(self.passes) / recipe.batch)

    def __len__(self) -> int:
        return self.steps

    def first_pass(self) -> list[int]:
        """The rows of the first pass over the slices, for models that are fitted to all of them at once.

        Raises:
            ValueError: for a recipe that samples by the mix, which never ends.
        """
        if self.passes is None:
            raise ValueError("The mix never ends, so there is no pass over its slices. Choose another sampling.")
        rng = np.random.default_rng(self.recipe.seed)
        return [self.passes.at(place, rng).row for place in range(len(self.passes))]

    def start_at(self, epoch: int) -> None:
        """Set the next epoch, for a resumed run."""
        self.epoch = self.upcoming = epoch

    def on_epoch_begin(self) -> None:
        self.epoch, self.upcoming = self.upcoming, self.upcoming + 1

    def __getitem__(self, index: int) -> Batch:
        """`batch` of the current epoch; the following ones are started."""
        position = self.epoch * len(self) + index
        positions = [divmod(position + k, len(self)) for k in range(1 + _AHEAD)]
        with self.lock:  # between two epochs Keras calls this from two threads
            self.ahead = {key: self.ahead.get(key) or self.threads.submit(self.batch, *key) for key in positions}
            first = self.ahead[positions[0]]
        return first.result()

    def batch(self, epoch: int, index: int) -> Batch:
        """Pictures (n, y, x, channel), or (n, z, y, x, channel) for a recipe with depth, and their truth.

        The truth is (n, y, x, 1) masks or (n, k) labels in the recipe's scheme, with depth (n, z, y, x, 1) or (n, z,
        k), or both for a recipe with two outputs.
        """
        rng = np.random.default_rng([self.recipe.seed, epoch, index])
        first = (epoch * len(self) + index) * self.recipe.batch
        samples = [self._sample(self.sampler.at(first + k, rng), rng) for k in range(self.recipe.batch)]
        return _collate(samples, self.recipe)

    def _sample(self, spec: _SampleSpec, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One picture, mask and label row."""
        recipe, store = self.recipe, spec.slices.store
        around = _neighbor_rows(store, spec.row, recipe, first=spec.row - int(rng.integers(recipe.depth)))
        hu, blood, labels = _read(store, around, recipe)
        if spec.is_pasted and self.donors:
            hu, blood, labels = self._with_pasted_blood(hu, _inside(store, around), (blood, labels), rng)
        if spec.painted:
            hu, blood, labels = paint(hu, _inside(store, around), KINDS[rng.integers(len(KINDS))], rng)
        hu, mask = apply_warp(
            hu, _masked_slices(blood, recipe), recipe.size, draw_warp(recipe.augment, rng), room=_room(store)
        )
        return _as_picture(perturb_hu(hu, recipe.augment, rng), recipe, spec.window), mask, labels

    def _with_pasted_blood(
        self,
        hu: np.ndarray,
        inside: np.ndarray,
        clean: tuple[np.ndarray, np.ndarray],
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Blood of another head pasted into a clean slice and its neighbors; unchanged if it does not fit."""
        source, row = self.donors.draw(rng)
        around = _neighbor_rows(source, row, self.recipe, first=row - self.recipe.depth // 2)
        source_hu, source_blood, labels = _read(source, around, self.recipe)
        pasted, blood = paste(hu, inside, source_hu, source_blood, rng)
        if np.count_nonzero(_masked_slices(blood, self.recipe) >= 128) < 12:
            return hu, *clean
        return pasted, blood, labels


class ValidationBatches(keras.utils.PyDataset):
    """Every slice once, unchanged, in order: for validation. A recipe with depth gets each scan in blocks of it.

    Args:
        slices: slices outside the training side.
        recipe: size, windows and batch.
        multiple: the size of every batch is a multiple of this, for devices that share it: the first pictures are
            repeated at the end.
    """

    def __init__(self, slices: Slices, recipe: Recipe, *, multiple: int = 1):
        super().__init__(workers=1, use_multiprocessing=False)
        self.recipe, self.slices = recipe, slices.with_targets(recipe)
        views = range(len(recipe.windows)) if recipe.windows_as == "samples" else (None,)
        rows = _blocks(self.slices, recipe.depth) if recipe.depth > 1 else self.slices.rows.tolist()
        row_views = [(row, view) for row in rows for view in views]
        self.wanted = row_views + (multiple * row_views)[: -len(row_views) % multiple]

    def __len__(self) -> int:
        return math.ceil(len(self.wanted) / self.recipe.batch)

    def __getitem__(self, index: int) -> Batch:
        start = index * self.recipe.batch
        return _collate(
            [self._sample(*row_view) for row_view in self.wanted[start : start + self.recipe.batch]], self.recipe
        )

    def _sample(self, row: int, view: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        store = self.slices.store
        hu, blood, labels = _read(store, _neighbor_rows(store, row, self.recipe, first=row), self.recipe)
        hu, mask = apply_warp(hu, _masked_slices(blood, self.recipe), self.recipe.size, NO_WARP, room=_room(store))
        return _as_picture(hu, self.recipe, view), mask, labels


class _Mix:
    """Endless draws by the recipe's shares: blood, blood pasted into clean slices, clean slices, phantoms."""

    def __init__(self, real: Slices, phantoms: Slices | None, recipe: Recipe):
        store, clean, shows = real.store, real.select(~real.bleeding), real.bleeding
        if recipe.has_mask_output:  # a mask that lost its last pixel by resizing teaches nothing
            shows = shows & (store.blood_px[real.rows] > 0)
        roomy = clean.select(store.inside_px[clean.rows] > _ROOMY * store.size**2)
        self.recipe, self.bleeding, self.clean, self.roomy = (
            recipe,
            _Pool(real.select(shows)),
            _Pool(clean),
            _Pool(roomy),
        )
        phantom_slices = (
            [] if phantoms is None else [phantoms.select(phantoms.bleeding), phantoms.select(~phantoms.bleeding)]
        )
        self.phantoms = [_Pool(part) for part in phantom_slices if len(part)]
        if not (self.bleeding and self.clean and self.roomy):
            raise ValueError("Training needs slices with blood and slices without; these patients lack one of them.")

    def at(self, position: int, rng: np.random.Generator) -> _SampleSpec:
        kind = int(rng.choice(4, p=self.recipe.mix))
        if kind == 3 and self.phantoms:
            pool = self.phantoms[rng.integers(len(self.phantoms))]
        else:
            pool = (self.bleeding, self.roomy, self.clean, self.clean)[kind]
        painted = kind == 2 and self.recipe.painted > 0 and rng.random() < self.recipe.painted
        pool = self.roomy if painted else pool
        view = int(rng.integers(len(self.recipe.windows))) if self.recipe.windows_as == "samples" else None
        return _SampleSpec(pool.slices, pool.draw(rng)[1], is_pasted=kind == 1, painted=painted, window=view)


class _Passes:
    """Pass after pass over the slices, each in a new order; "balanced" takes equal numbers of clean and bleeding
    slices."""

    def __init__(self, real: Slices, recipe: Recipe):
        self.real, self.recipe = real, recipe
        self.views = len(recipe.windows) if recipe.windows_as == "samples" else 1
        self.of = real.rows[real.bleeding], real.rows[~real.bleeding]
        if recipe.sampling == "balanced" and not all(map(len, self.of)):
            raise ValueError("Balanced sampling needs slices with blood and slices without; one of them is missing.")
        if not len(real):
            raise ValueError("There is no slice to train on.")
        self.order = lru_cache(maxsize=2)(self._order)  # an epoch may end in the next pass

    def __len__(self) -> int:
        return self.views * (2 * len(self.of[0]) if self.recipe.sampling == "balanced" else len(self.real))

    def at(self, position: int, rng: np.random.Generator) -> _SampleSpec:
        turn, place = divmod(position, len(self))
        row, view = divmod(int(self.order(turn)[place]), self.views)
        return _SampleSpec(self.real, row, window=view if self.views > 1 else None)

    def _order(self, turn: int) -> np.ndarray:
        """One pass as row * views + view, shuffled."""
        rng = np.random.default_rng([self.recipe.seed, turn, 1])
        rows = self.real.rows
        if self.recipe.sampling == "balanced":
            bleeding, clean = self.of
            often = np.concatenate([rng.permutation(clean) for _ in range(-(-len(bleeding) // len(clean)))])
            rows = np.concatenate([bleeding, often[: len(bleeding)]])
        return rng.permutation((rows[:, None] * self.views + np.arange(self.views)).ravel())


class _Pool:
    """Draw slices: first a scan, weighted by the square root of its size, so that a large bleed does not dominate."""

    def __init__(self, slices: Slices):
        self.slices = slices
        _, scan = np.unique(slices.store.first[slices.rows], return_inverse=True)
        self.members = np.split(slices.rows[np.argsort(scan, kind="stable")], np.cumsum(np.bincount(scan))[:-1])
        share = np.sqrt(np.bincount(scan))  # between equal weights for scans and equal weights for slices
        self.edges = np.cumsum(share / share.sum()) if len(slices) else share

    def __bool__(self) -> bool:
        return len(self.slices) > 0

    def draw(self, rng: np.random.Generator) -> tuple[Store, int]:
        rows = self.members[min(int(np.searchsorted(self.edges, rng.random(), "right")), len(self.members) - 1)]
        return self.slices.store, int(rows[rng.integers(len(rows))])


def _neighbor_rows(store: Store, row: int, recipe: Recipe, *, first: int) -> np.ndarray:
    """Rows of a sample: a slice and its neighbors (repeated at an end), or `depth` rows from `first`; -1 is air."""
    start, stop = int(store.first[row]), int(store.last[row]) + 1
    if recipe.depth == 1:
        return start + neighbor_indices(stop - start, row - start, recipe.neighbors)
    rows = np.arange(first, first + recipe.depth)
    return np.where((rows >= start) & (rows < stop), rows, -1)


def _read(store: Store, rows: np.ndarray, recipe: Recipe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(k, y, x) float32 HU and uint8 blood, and labels: (6,) of the slice, or with depth (k, 6) of each."""
    is_row = rows >= 0
    hu = np.full((len(rows), store.size, store.size), AIR_HU, np.float32)
    blood = np.zeros(hu.shape, np.uint8)
    hu[is_row], blood[is_row] = store.hu(rows[is_row]), store.blood(rows[is_row])
    if recipe.depth == 1:
        return hu, blood, store.table.labels[rows[recipe.neighbors]]
    labels = np.zeros((len(rows), len(LABELS)), bool)  # air beyond the scan's end has no blood
    labels[is_row] = store.table.labels[rows[is_row]]
    return hu, blood, labels


def _blocks(slices: Slices, depth: int) -> Iterator[int]:
    """Every `depth`-th row of each scan among the slices."""
    store, rows = slices.store, set(slices.rows.tolist())
    for start in np.unique(store.first[slices.rows]).tolist():
        for row in range(start, int(store.last[start]) + 1, depth):
            if rows & set(range(row, row + depth)):
                yield row


def _inside(store: Store, rows: np.ndarray) -> np.ndarray:
    """(k, y, x) uint8, 255 inside the skull; 0 in air beyond the scan's ends."""
    inside = np.zeros((len(rows), store.size, store.size), np.uint8)
    inside[rows >= 0] = store.inside(rows[rows >= 0])
    return inside


def _masked_slices(blood: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The slices of a sample whose mask is needed: the middle one, or all with depth."""
    return blood if recipe.depth > 1 else blood[recipe.neighbors : recipe.neighbors + 1]


def _room(store: Store) -> float:
    return ROOM if store.field == "head" else 1.0


def _as_picture(hu: np.ndarray, recipe: Recipe, view: int | None) -> np.ndarray:
    """(k, y, x) HU as the model's picture: in all windows, or in one of them."""
    windows = recipe.windows if view is None else recipe.windows[view : view + 1]
    if recipe.depth == 1:
        return stack_channels(hu, windows)
    return np.stack([stack_channels([plane], windows).reshape(*plane.shape, -1) for plane in hu])


def _collate(samples: list[tuple[np.ndarray, np.ndarray, np.ndarray]], recipe: Recipe) -> Batch:
    pictures, masks, labels = (np.stack(part) for part in zip(*samples, strict=True))
    pictures = pictures.reshape(*masks.shape[:1], *_shape(recipe), -1)
    truth = []
    if recipe.has_mask_output:
        truth.append(masks.reshape(len(masks), *_shape(recipe), 1).astype(np.float32))
    if recipe.has_score_output:
        target = to_scheme(labels.reshape(-1, len(LABELS)), recipe.scheme).astype(np.float32)
        truth.append(target.reshape(*labels.shape[:-1], -1))
    return pictures, tuple(truth) if len(truth) > 1 else truth[0]


def _shape(recipe: Recipe) -> tuple[int, ...]:
    """A picture's axes without its channels."""
    return (recipe.size,) * 2 if recipe.depth == 1 else (recipe.depth, recipe.size, recipe.size)


def paste(
    hu: np.ndarray,
    inside: np.ndarray,
    source_hu: np.ndarray,
    source_blood: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Paste the blood of one stack of slices into another, inside its skull, with soft edges.

    Args:
        hu: (k, y, x) of the slices that receive the blood. Not changed.
        inside: (k, y, x) uint8, 255 inside their skull.
        source_hu: (k, y, x) of the slices that give their blood.
        source_blood: (k, y, x) uint8, its share of each pixel.
        rng: mirrors, turns by up to 12 degrees, scales and shifts the blood, and brightens it by -6 to 8 HU.

    Returns:
        (k, y, x) float32 HU and uint8 shares of blood.
    """
    side = hu.shape[1]
    move = warp_matrix(draw_warp(_PASTE, rng), side, side)
    brighter = rng.uniform(-6, 8)
    out_hu, out_blood = hu.copy(), np.zeros(hu.shape, np.uint8)
    for k in range(len(hu)):
        share = cv2.warpAffine(source_blood[k], move, (side, side)).astype(np.float32) / 255
        if not share.any():
            continue
        share = cv2.GaussianBlur(share, (0, 0), 0.8) * (inside[k] / np.float32(255))
        clot = cv2.warpAffine(source_hu[k], move, (side, side)) + brighter
        out_hu[k] += share * (np.minimum(clot, 110) - out_hu[k])  # bone under a coarse outline is not copied
        out_blood[k] = np.round(share * 255)
    return out_hu, out_blood
