"""Augmentation: make one slice look like another head or another scanner. Its mask moves with it.

There are two separate parts. A `Warp` changes positions. It is drawn once and applied to slices and mask together, so
they agree to the pixel. `perturb_hu` changes CT numbers and never a mask.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ich_lib.scan import AIR_HU


@dataclass(frozen=True)
class Augment:
    """How much a training picture may differ from the stored one. Zero or False turns a part off.

    Attributes:
        turn_deg: rotation to either side, in degrees.
        shift: in shares of the picture's side, each way.
        shear_deg: slant of the vertical lines, in degrees to either side.
        zoom: natural logarithm of the largest magnification; 0.18 is 0.84 to 1.20.
        crop: smallest share of the side that a random square crop keeps, magnified to the full picture; 1 keeps all.
        flip_lr, flip_ud: mirror every second picture left to right, upside down.
        elastic: standard deviation of the elastic displacement, in shares of the side; 0.01 is 2.5 px of 256.
        contrast: largest relative stretch of CT numbers around 35 HU.
        brightness_hu: largest shift of CT numbers.
        blur: how often a softer kernel is imitated, 0 to 1.
        noise_hu: largest standard deviation of added white noise; every second picture gets some.
        sharpen: how often a sharper kernel is imitated, 0 to 1.
        flat_bone: how often bone and air get one value each, as in a picture of only the brain window, 0 to 1.
    """

    turn_deg: float = 25.0
    shift: float = 0.05
    shear_deg: float = 0.0
    zoom: float = 0.18
    crop: float = 1.0
    flip_lr: bool = True
    flip_ud: bool = False
    elastic: float = 0.0
    contrast: float = 0.08
    brightness_hu: float = 4.0
    blur: float = 0.3
    noise_hu: float = 4.0
    sharpen: float = 0.0
    flat_bone: float = 0.0


DEFAULT = Augment()
NO_AUGMENT = Augment(0, 0, 0, 0, 1, False, False, 0, 0, 0, 0, 0)
_GRID = 6  # control points of the elastic field along a side: waves of a fifth of the picture and more


@dataclass(frozen=True)
class Warp:
    """One random movement, independent of a picture's size.

    Attributes:
        linear: (2, 2), from (x, y) of the source to (x, y) of the result, around both centers.
        shift: (2,) x and y, as shares of the result's side.
        bend: (6, 6, 2) displacement of the source point, x and y, as shares of its side; None without elastic.
    """

    linear: np.ndarray
    shift: np.ndarray
    bend: np.ndarray | None = None


NO_WARP = Warp(np.eye(2), np.zeros(2))


def draw_warp(augment: Augment, rng: np.random.Generator) -> Warp:
    """Draw one movement."""
    turn, shear = (math.radians(rng.uniform(-d, d)) for d in (augment.turn_deg, augment.shear_deg))
    part = rng.uniform(augment.crop, 1)
    scale = math.exp(rng.uniform(-augment.zoom, augment.zoom)) / part
    mirror_x, mirror_y = (-1 if may and rng.random() < 0.5 else 1 for may in (augment.flip_lr, augment.flip_ud))
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]]) @ [[1, math.tan(shear)], [0, 1]] @ np.diag([mirror_x, mirror_y])
    room = (1 / part - 1) / 2  # how far the crop's center may be from the picture's
    shift = rng.uniform(-augment.shift, augment.shift, 2) + rng.uniform(-room, room, 2)
    bend = rng.normal(0, augment.elastic, (_GRID, _GRID, 2)).astype(np.float32) if augment.elastic else None
    return Warp(linear, shift, bend)


def apply_warp(
    hu: np.ndarray, blood: np.ndarray, size: int, warp: Warp, *, room: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Apply one movement to slices and mask together.

    Args:
        hu: (k, y, y) HU, square.
        blood: (m, y, y) shares of blood, 0 to 255, moved like the slices.
        size: side of the result in pixels.
        warp: from `draw_warp`, or NO_WARP.
        room: the source is this many times wider than the result (a stored head: ROOM).

    Returns:
        (k, size, size) float32 HU, air outside the source, and (m, size, size) uint8 mask of 0 and 1.
    """
    planes = [plane.astype(np.float32) for plane in (*hu, *blood)]
    outside = [AIR_HU] * len(hu) + [0.0] * len(blood)
    # OpenCV fills the outside of up to four channels, and rounds differently for two than for four: groups of one width
    width = min(len(planes), 4)
    missing = -len(planes) % width
    planes, outside = planes + planes[-1:] * missing, outside + outside[-1:] * missing
    resample = _warper(planes[0].shape[0], size, warp, room)
    done: list[np.ndarray] = []
    for start in range(0, len(planes), width):
        done += cv2.split(resample(cv2.merge(planes[start : start + width]), tuple(outside[start : start + width])))
    masks = done[len(hu) : len(hu) + len(blood)]
    return np.stack(done[: len(hu)]), np.stack([mask >= 127.5 for mask in masks]).astype(np.uint8)


def warp_matrix(warp: Warp, side: int, size: int, *, room: float = 1.0) -> np.ndarray:
    """(2, 3) for cv2.warpAffine, without the bend: a square of `side` pixels to one of `size`, around both centers."""
    center, target = (side - 1) / 2, (size - 1) / 2
    linear = warp.linear * (size * room / side)
    return np.hstack([linear, (target + warp.shift * size - linear @ [center, center])[:, None]])


def _warper(side: int, size: int, warp: Warp, room: float) -> Callable[[np.ndarray, tuple[float, ...]], np.ndarray]:
    """A function (picture, outside) to the moved picture: exactly one resampling for any movement."""
    straight = warp_matrix(warp, side, size, room=room)
    if warp.bend is None:
        return lambda picture, outside: cv2.warpAffine(
            picture, straight, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
        )
    back = cv2.invertAffineTransform(straight)
    at = np.arange(size, dtype=np.float32)
    bend = cv2.resize(warp.bend, (size, size), interpolation=cv2.INTER_CUBIC) * np.float32(side / room)
    map_x, map_y = (
        np.float32(row[0]) * at[None] + np.float32(row[1]) * at[:, None] + np.float32(row[2]) + bend[..., i]
        for i, row in enumerate(back)
    )
    return lambda picture, outside: cv2.remap(
        picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )


def perturb_hu(hu: np.ndarray, augment: Augment, rng: np.random.Generator) -> np.ndarray:
    """Another scanner: (k, y, x) HU shifted, stretched, softened and noisier."""
    stretch = np.float32(1 + rng.uniform(-augment.contrast, augment.contrast))
    brighter = np.float32(rng.uniform(-augment.brightness_hu, augment.brightness_hu))
    hu = (hu - np.float32(35)) * stretch + (35 + brighter)
    if rng.random() < augment.blur:
        sigma = rng.uniform(0.3, 0.9)
        hu = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in hu])
    if augment.sharpen and rng.random() < augment.sharpen:
        amount, sigma = np.float32(rng.uniform(0.3, 1.2)), rng.uniform(0.6, 1.2)
        hu = np.stack([plane + amount * (plane - cv2.GaussianBlur(plane, (0, 0), sigma)) for plane in hu])
    if augment.noise_hu and rng.random() < 0.5:
        hu = hu + rng.standard_normal(hu.shape, np.float32) * np.float32(rng.uniform(0, augment.noise_hu))
    if augment.flat_bone and rng.random() < augment.flat_bone:
        hu = np.where(hu >= 100, np.float32(1000), np.where(hu <= -20, np.float32(AIR_HU), hu))
    return hu
