"""Slices to training batches: heads cut out, blood pasted, picture and mask moved as one."""

import math
from dataclasses import dataclass

import cv2
import keras
import numpy as np

from ich_lib.datasets import Table
from ich_lib.head import crop, head_box
from ich_lib.labels import ANY, TYPES
from ich_lib.phantom import phantom
from ich_lib.pictures import channels, neighbors
from ich_lib.recipes import Recipe

_ROOM = 1.25  # stored square against the head's box: what a rotated, shrunken picture can see
_STORED = 256  # its side in pixels


@dataclass(frozen=True)
class Stack:
    """The slices of one head, cut to the head and ready to sample.

    Attributes:
        name: patient or phantom.
        hu: (z, 256, 256) int16.
        blood: (z, 256, 256) uint8, 0 to 255: the share of the pixel the truth calls blood.
        inside: (z, 256, 256) uint8, 255 inside the skull: where blood may be pasted.
        labels: (z, 6) bool.
    """

    name: str
    hu: np.ndarray
    blood: np.ndarray
    inside: np.ndarray
    labels: np.ndarray


def stack(name: str, hu: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> Stack:
    """Cut one head, (z, y, x) HU with its (z, y, x) mask, to the form training reads."""
    box = head_box(hu).scaled(_ROOM)
    small = np.stack([crop(plane, box, _STORED, outside=-1000) for plane in hu])
    blood = np.stack([crop(plane.astype(np.float32), box, _STORED) for plane in mask])
    inside = np.stack([intracranial(plane) for plane in small])
    return Stack(name, small.astype(np.int16), np.round(blood * 255).astype(np.uint8), inside, labels)


def stacks(table: Table, patients: list[str], *, progress=lambda items: items) -> list[Stack]:
    """Every head of these patients; `progress` may wrap the list (tqdm)."""
    heads = []
    for patient in progress(patients):
        rows = table.rows([patient])
        hu, mask = np.stack([table.hu(r) for r in rows]), np.stack([table.truth(r) for r in rows])
        heads.append(stack(patient, hu, mask, table.labels[rows]))
    return heads


def phantom_stacks(count: int, seed: int, *, progress=lambda items: items) -> list[Stack]:
    """`count` phantom heads: none, one or two bleeds each, drawn from `seed`."""
    heads, rng = [], np.random.default_rng([seed, 1])
    for i in progress(range(count)):
        bleeds = rng.choice(TYPES, size=rng.choice([0, 1, 1, 1, 2]), replace=False).tolist()
        case = phantom(seed * 10_000 + i, bleeds=bleeds, noise_hu=float(rng.uniform(2.5, 6)))
        heads.append(stack(f"phantom-{i}", case.scan.hu, case.mask, case.labels))
    return heads


def intracranial(hu: np.ndarray) -> np.ndarray:
    """uint8 (y, x), 255 where the skull encloses soft tissue; empty where the ring is open (face, base)."""
    bone = cv2.morphologyEx((hu > 200).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    padded = cv2.copyMakeBorder(bone, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(padded, None, (0, 0), 2)  # outside the ring
    room = ((padded[1:-1, 1:-1] == 0) & (hu > -50)).astype(np.uint8)
    count, piece, stats, _ = cv2.connectedComponentsWithStats(room, connectivity=4)
    if count < 2:
        return np.zeros(hu.shape, np.uint8)
    largest = 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    return (piece == largest).astype(np.uint8) * 255


class Batches(keras.utils.PyDataset):
    """Endless, seeded training batches: sample i of epoch e is the same in every run.

    Args:
        heads: real heads.
        phantoms: phantom heads; may be empty, then real slices take their share.
        recipe: size, windows, mix, batch and steps.
        epoch: where to begin, for a resumed run.
    """

    def __init__(self, heads: list[Stack], phantoms: list[Stack], recipe: Recipe, *, epoch: int = 0):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self.recipe, self.epoch = recipe, epoch
        self.bleeding = _Pool(heads, lambda s: s.labels[:, ANY] & s.blood.any(axis=(1, 2)))
        self.clean = _Pool(heads, lambda s: ~s.labels[:, ANY])
        self.roomy = _Pool(heads, lambda s: ~s.labels[:, ANY] & (s.inside.mean(axis=(1, 2)) > 12))  # 5 % of the square
        self.phantoms = [_Pool(phantoms, lambda s: s.labels[:, ANY]), _Pool(phantoms, lambda s: ~s.labels[:, ANY])]
        if not (self.bleeding and self.clean and self.roomy):
            raise ValueError("Training needs slices with blood and slices without; these patients lack one of them.")

    def __len__(self) -> int:
        return self.recipe.steps

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batch(self.epoch, index)

    def batch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, y, x, channel) pictures and their truth: (n, y, x, 1) masks, or (n, 6) labels for a classifier."""
        rng = np.random.default_rng([self.recipe.seed, epoch, index])
        samples = [self._sample(rng) for _ in range(self.recipe.batch)]
        pictures, masks, labels = (np.stack(part) for part in zip(*samples, strict=True))
        return pictures, masks if self.recipe.task == "segment" else labels

    def _sample(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One picture, mask and label row, drawn by the recipe's mix."""
        kind = rng.choice(4, p=self.recipe.mix)
        if kind == 3 and any(self.phantoms):
            pools = [pool for pool in self.phantoms if pool]
            head, index = pools[rng.integers(len(pools))].draw(rng)
        else:
            head, index = (self.bleeding, self.roomy, self.clean, self.clean)[kind].draw(rng)
        around = neighbors(len(head.hu), index, self.recipe.neighbors)
        hu, blood, labels = head.hu[around].astype(np.float32), head.blood[around], head.labels[index]
        if kind == 1:
            hu, blood, labels = self._with_pasted_blood(hu, head.inside[around], rng, (blood, labels))
        hu, mask = moved(hu, blood[self.recipe.neighbors], self.recipe.size, rng)
        return channels(disturbed(hu, rng), self.recipe.windows), mask[..., None], labels.astype(np.float32)

    def _with_pasted_blood(self, hu, inside, rng, clean):
        """Blood of another head laid into a clean slice and its neighbors; unchanged where it does not fit."""
        source, index = self.bleeding.draw(rng)
        around = neighbors(len(source.hu), index, self.recipe.neighbors)
        pasted, blood = paste(hu, inside, source.hu[around].astype(np.float32), source.blood[around], rng)
        if np.count_nonzero(blood[self.recipe.neighbors] >= 128) < 12:
            return hu, *clean
        return pasted, blood, source.labels[index]


class Still(keras.utils.PyDataset):
    """Every slice once, unchanged, in order: for validation.

    Args:
        heads: heads that are not trained on.
        recipe: size, windows and batch.
    """

    def __init__(self, heads: list[Stack], recipe: Recipe):
        super().__init__(workers=1, use_multiprocessing=False)
        self.recipe = recipe
        self.rows = [(head, index) for head in heads for index in range(len(head.hu))]

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.recipe.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start = index * self.recipe.batch
        samples = [self._sample(*row) for row in self.rows[start : start + self.recipe.batch]]
        pictures, masks, labels = (np.stack(part) for part in zip(*samples, strict=True))
        return pictures, masks if self.recipe.task == "segment" else labels

    def _sample(self, head: Stack, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        around = neighbors(len(head.hu), index, self.recipe.neighbors)
        hu, mask = centered(head.hu[around], head.blood[index], self.recipe.size)
        return channels(hu, self.recipe.windows), mask[..., None], head.labels[index].astype(np.float32)


class _Pool:
    """Slices to draw from: first a head, evenly, then one of its slices, so that a large bleed does not outvote."""

    def __init__(self, heads: list[Stack], wanted):
        listed = [(head, np.flatnonzero(wanted(head))) for head in heads]
        self.heads = [(head, slices) for head, slices in listed if len(slices)]
        share = np.sqrt([len(slices) for _, slices in self.heads])  # between "every head" and "every slice alike"
        self.share = share / share.sum() if len(share) else share

    def __bool__(self) -> bool:
        return bool(self.heads)

    def draw(self, rng: np.random.Generator) -> tuple[Stack, int]:
        head, slices = self.heads[rng.choice(len(self.heads), p=self.share)]
        return head, int(slices[rng.integers(len(slices))])


def paste(hu, inside, source_hu, source_blood, rng) -> tuple[np.ndarray, np.ndarray]:
    """Lay the blood of one stack of slices into another, inside its skull, with soft edges.

    Args:
        hu: (k, y, x) of the slices to change; not changed in place.
        inside: (k, y, x) uint8, 255 inside their skull.
        source_hu: (k, y, x) of the slices whose blood is taken.
        source_blood: (k, y, x) uint8, its share of each pixel.
        rng: mirrors, turns by up to 12 degrees, scales and shifts the blood, and brightens it by -6 to 8 HU.

    Returns:
        (k, y, x) float32 HU and uint8 shares of blood.
    """
    side = hu.shape[1]
    matrix = _affine(rng, side, side, turn_deg=12, zoom=0.2, shift=0.04, flip=rng.random() < 0.5)
    brighter = rng.uniform(-6, 8)
    out_hu, out_blood = hu.copy(), np.zeros(hu.shape, np.uint8)
    for k in range(len(hu)):
        share = cv2.warpAffine(source_blood[k], matrix, (side, side)).astype(np.float32) / 255
        share = cv2.GaussianBlur(share, (0, 0), 0.8) * (inside[k] / np.float32(255))
        clot = cv2.warpAffine(source_hu[k], matrix, (side, side)) + brighter
        out_hu[k] += share * (np.minimum(clot, 110) - out_hu[k])  # bone under a coarse outline stays behind
        out_blood[k] = np.round(share * 255)
    return out_hu, out_blood


def moved(hu: np.ndarray, blood: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mirror, turn, zoom and shift slices and mask together, down to the model's size.

    Args:
        hu: (k, y, x) stored slices.
        blood: (y, x) uint8 shares for the middle one.
        size: side of the outcome.
        rng: draws the movement.

    Returns:
        (k, size, size) float32 HU and (size, size) float32 mask of 0 and 1.
    """
    matrix = _affine(rng, hu.shape[1], size, turn_deg=25, zoom=0.18, shift=0.05, flip=rng.random() < 0.5)
    planes = np.stack([cv2.warpAffine(p, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=-1000) for p in hu])
    mask = cv2.warpAffine(blood, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=0)
    return planes, (mask >= 128).astype(np.float32)


def centered(hu: np.ndarray, blood: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """As `moved`, without any movement: what the model sees of an unaugmented slice."""
    matrix = _matrix(hu.shape[1], size, 0.0, 1.0, (0.0, 0.0), False)
    planes = np.stack([cv2.warpAffine(p.astype(np.float32), matrix, (size, size), borderValue=-1000) for p in hu])
    return planes, (cv2.warpAffine(blood, matrix, (size, size)) >= 128).astype(np.float32)


def disturbed(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another scanner: shifted and stretched CT numbers, noise, a softer kernel."""
    hu = (hu - 35) * np.float32(rng.uniform(0.92, 1.08)) + np.float32(35 + rng.uniform(-4, 4))
    if rng.random() < 0.3:
        sigma = rng.uniform(0.3, 0.9)
        hu = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in hu])
    if rng.random() < 0.5:
        hu = hu + rng.standard_normal(hu.shape, np.float32) * np.float32(rng.uniform(0, 4))
    return hu


def _affine(rng, side, size, *, turn_deg, zoom, shift, flip) -> np.ndarray:
    """A random (2, 3) matrix for cv2.warpAffine."""
    turn, scale = math.radians(rng.uniform(-turn_deg, turn_deg)), math.exp(rng.uniform(-zoom, zoom))
    move = rng.uniform(-shift, shift, 2)
    return _matrix(side, size, turn, scale, move, flip)


def _matrix(side, size, turn, scale, move, flip) -> np.ndarray:
    """Stored square of `side` to a picture of `size`, around both centers.

    Between equal squares it keeps the scale; down to a model's picture it also cuts the room around the head off.
    """
    zoom = scale if side == size else scale * size * _ROOM / side
    cos, sin = zoom * math.cos(turn), zoom * math.sin(turn)
    mirror = -1 if flip else 1
    linear = np.array([[mirror * cos, -sin], [mirror * sin, cos]])
    center, target = (side - 1) / 2, (size - 1) / 2
    return np.hstack([linear, (target + np.array(move) * size - linear @ [center, center])[:, None]])
