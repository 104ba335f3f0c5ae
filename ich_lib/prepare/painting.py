"""Paint blood into a real slice without blood: in the places and shapes of real bleeds, with the slice's noise.

Pasting (`ich_lib.training.batches.paste`) moves the blood of one patient into the head of another, so it cannot show
types that few patients have. Of the CT-ICH patients used here three have subdural and five subarachnoid blood. Painting
draws a shape by a rule for each type:

- subdural: a crescent along the inner side of the skull, or a strip along the falx
- epidural: a lens along the inner side of the skull
- subarachnoid: cerebrospinal fluid of sulci and cisterns, located by its HU, within a region
- intraventricular: the dependent (posterior) part of a ventricle, located by its HU, with a level surface
- intraparenchymal: a round or irregular clot inside the brain

HU are set as `hu + share * (blood - smooth(hu))`, so partial volume and the scanner's own noise stay as they were.
Clotted blood has 50 to 80 HU. The means inside real lesions at 5 mm are lower, 43 to 56 HU (BHSD, as tabulated in
DIDSR/InSilicoICH, CC0), because a slice averages blood with its neighbors.
"""

from collections.abc import Callable

import cv2
import numpy as np

from ich_lib.labels import ANY, LABELS, TYPES

Shape = Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # smooth HU, inside, fading: share of blood
_BLOOD_HU = (48.0, 76.0)  # of a fresh clot, before partial volume
_FLUID_HU = (14.0, 22.0)  # surely fluid below the first, surely brain above the second
_SOFT_HU = 100  # bone, and pixels that are partly bone, are above
_LEAST_PX = 12  # a smaller bleed is left out
_FALX_SHARE = 0.25  # of subdural bleeds
KINDS = TYPES


def paint(
    hu: np.ndarray, inside: np.ndarray, kind: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paint one bleed into a slice and its neighbors.

    Args:
        hu: (k, y, x) HU of slices without blood; the middle one is shown to the model. Not changed.
        inside: (k, y, x) uint8, 255 inside the skull.
        kind: one of KINDS.
        rng: draws place, size, shape and HU.

    Returns:
        (k, y, x) float32 HU, (k, y, x) uint8 shares of blood, and (6,) bool labels. If the shape has no space (for
        example no ventricle on this slice), nothing is painted and no label is set.

    Raises:
        ValueError: for an unknown kind.
    """
    if kind not in _SHAPES:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    middle = len(hu) // 2
    smooth = np.stack([_smoothed(plane, room) for plane, room in zip(hu, inside, strict=True)])
    share = np.zeros(hu.shape, np.float32)
    shape = _SHAPES[kind](smooth[middle], inside[middle], rng)
    if shape is not None:
        fading = rng.uniform(0.3, 1.0, len(hu)).astype(np.float32)  # a bleed becomes thinner toward its ends
        fading[middle] = 1.0
        for k in range(len(hu)):
            if inside[k].any():
                share[k] = shape(smooth[k], inside[k], float(fading[k]))
    if np.count_nonzero(share[middle] >= 0.5) < _LEAST_PX:
        return hu, np.zeros(hu.shape, np.uint8), np.zeros(len(LABELS), bool)
    labels = np.zeros(len(LABELS), bool)
    labels[[TYPES.index(kind), ANY]] = True
    blood = np.float32(rng.uniform(*_BLOOD_HU)) + _texture(hu.shape[1:], rng)
    stored = np.round(share * 255).astype(np.uint8)
    return hu + stored / np.float32(255) * (blood - smooth), stored, labels


def _smoothed(hu: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(y, x) HU without noise, of soft tissue only: the skull beside it must not brighten it."""
    soft = ((inside > 0) & (hu < _SOFT_HU)).astype(np.float32)
    weight = cv2.GaussianBlur(soft, (0, 0), 1.0)
    return np.where(weight > 0.01, cv2.GaussianBlur(hu * soft, (0, 0), 1.0) / np.maximum(weight, 0.01), hu)


def _texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A clot is not even: add slow waves of a few HU."""
    coarse = rng.normal(0, 3, (6, 6)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _depth(inside: np.ndarray) -> np.ndarray:
    """(y, x) pixels from the inner side of the skull, 0 outside."""
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5)


def _center(inside: np.ndarray) -> tuple[float, float]:
    moments = cv2.moments(inside, binaryImage=True)
    return moments["m01"] / max(moments["m00"], 1), moments["m10"] / max(moments["m00"], 1)


def _angles(inside: np.ndarray) -> np.ndarray:
    """(y, x) direction from the head's middle, in radians."""
    y, x = _center(inside)
    rows, columns = np.indices(inside.shape, np.float32)
    return np.arctan2(rows - np.float32(y), columns - np.float32(x))


def _along_the_skull(inside: np.ndarray, angle: float, half_width: float, thickness: float, power: float) -> np.ndarray:
    """Share of a layer on the skull's inner side, thickest at `angle` and zero `half_width` radians away."""
    distance = np.abs((_angles(inside) - angle + np.pi) % (2 * np.pi) - np.pi) / half_width
    layer = thickness * np.clip(1 - distance**2, 0, 1) ** power
    return np.clip(layer - _depth(inside) + 0.5, 0, 1) * (inside > 0) * (layer > 0.5)


def _subdural(smooth: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> Shape | None:
    size = np.sqrt(np.count_nonzero(inside))  # about 200 px for a whole head of 320
    if size < 60:
        return None
    if rng.random() < _FALX_SHARE:
        return _falx(size, rng)
    angle, width = rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 1.7)
    thickness = size * np.exp(rng.uniform(np.log(0.012), np.log(0.07)))
    return lambda smooth, inside, fading: _along_the_skull(inside, angle, width, thickness * fading, 0.5)


def _falx(size: float, rng: np.random.Generator) -> Shape:
    """A strip beside the midline, in the front or the back part of the head."""
    thickness, side = size * rng.uniform(0.012, 0.03), rng.choice([-1.0, 1.0])
    front, length = rng.random() < 0.4, rng.uniform(0.15, 0.4)

    def strip(smooth: np.ndarray, inside: np.ndarray, fading: float) -> np.ndarray:
        rows = np.flatnonzero(inside.any(axis=1))
        top, bottom = rows[0], rows[-1] + 1
        reach = length * (bottom - top)
        inner = (rows < top + reach) if front else (rows >= bottom - reach)
        share = np.zeros(inside.shape, np.float32)
        columns = np.arange(inside.shape[1], dtype=np.float32)
        for row in rows[inner]:
            filled = np.flatnonzero(inside[row])
            middle = (filled[0] + filled[-1]) / 2 + side * thickness * fading / 2
            share[row] = np.clip(thickness * fading / 2 - np.abs(columns - middle) + 0.5, 0, 1)
        return cv2.GaussianBlur(share, (0, 0), 0.7) * (inside > 0)

    return strip


def _epidural(smooth: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> Shape | None:
    size = np.sqrt(np.count_nonzero(inside))
    if size < 60:
        return None
    angle, width = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 0.6)
    thickness = size * np.exp(rng.uniform(np.log(0.02), np.log(0.14)))
    return lambda smooth, inside, fading: _along_the_skull(inside, angle, width, thickness * fading, 1.0)


def _fluid(smooth: np.ndarray) -> np.ndarray:
    """Share of each pixel that is fluid, by its HU."""
    low, high = _FLUID_HU
    return np.clip((high - smooth) / (high - low), 0, 1) * (smooth > -20)


def _pools(smooth: np.ndarray) -> np.ndarray:
    """(y, x) bool, the areas where fluid is wider than a sulcus: ventricles and large cisterns."""
    fluid = (_fluid(smooth) > 0.5).astype(np.uint8)
    return cv2.dilate(cv2.morphologyEx(fluid, cv2.MORPH_OPEN, np.ones((11, 11))), np.ones((5, 5))) > 0


def _subarachnoid(smooth: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> Shape | None:
    depth = _depth(inside)
    deepest = rng.uniform(15, 45) if rng.random() < 0.7 else np.inf  # sulci of the convexity, or cisterns too
    places = np.argwhere((_fluid(smooth) > 0.6) & (depth > 1) & (depth < deepest) & ~_pools(smooth))
    if len(places) < 40:
        return None
    y, x = places[rng.integers(len(places))]
    radius = rng.uniform(12, 55)

    def sulci(smooth: np.ndarray, inside: np.ndarray, fading: float) -> np.ndarray:
        rows, columns = np.indices(inside.shape, np.float32)
        region = np.clip(1.5 - np.hypot(rows - y, columns - x) / (radius * max(fading, 0.5)), 0, 1)
        near = (_depth(inside) < deepest) & (inside > 0) & ~_pools(smooth)
        return (_fluid(smooth) * region * near).astype(np.float32)

    return sulci


def _intraventricular(smooth: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> Shape | None:
    deep = (_depth(inside) > 25).astype(np.uint8)
    pool = cv2.morphologyEx(((_fluid(smooth) > 0.5) & (deep > 0)).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(pool)
    large = [piece for piece in range(1, count) if stats[piece, cv2.CC_STAT_AREA] > 60]
    if not large:
        return None
    piece = large[rng.integers(len(large))]
    top, height = stats[piece, cv2.CC_STAT_TOP], stats[piece, cv2.CC_STAT_HEIGHT]
    level = top + height * rng.uniform(0.0, 0.75)
    reach = cv2.dilate((pieces == piece).astype(np.uint8), np.ones((9, 9)))

    def layered(smooth: np.ndarray, inside: np.ndarray, fading: float) -> np.ndarray:
        rows = np.arange(inside.shape[0], dtype=np.float32)[:, None]
        below = np.clip(rows - level - (1 - fading) * 0.3 * height + 0.5, 0, 1)
        return (_fluid(smooth) * below * reach * (inside > 0)).astype(np.float32)

    return layered


def _intraparenchymal(smooth: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> Shape | None:
    depth = _depth(inside)
    radius = float(np.exp(rng.uniform(np.log(3.5), np.log(26))))
    places = np.argwhere(depth > radius * 0.8 + 4)
    if not len(places):
        return None
    y, x = places[rng.integers(len(places))]
    stretch, turn = rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
    waves = rng.normal(0, 0.16, (7, 7)).astype(np.float32)

    def clot(smooth: np.ndarray, inside: np.ndarray, fading: float) -> np.ndarray:
        rows, columns = np.indices(inside.shape, np.float32)
        across = (rows - y) * np.cos(turn) + (columns - x) * np.sin(turn)
        along = (columns - x) * np.cos(turn) - (rows - y) * np.sin(turn)
        uneven = 1 + cv2.resize(waves, inside.shape[::-1], interpolation=cv2.INTER_CUBIC)
        away = np.hypot(across / stretch, along) - radius * fading * uneven
        return (np.clip(0.5 - away / 2, 0, 1) * (inside > 0)).astype(np.float32)

    return clot


_SHAPES = {
    "epidural": _epidural,
    "intraparenchymal": _intraparenchymal,
    "intraventricular": _intraventricular,
    "subarachnoid": _subarachnoid,
    "subdural": _subdural,
}
