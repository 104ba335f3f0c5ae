"""Scans that a head model must not answer for: other parts of the body, and heads with wrong numbers.

All are synthetic, for tests of `ich_lib.prediction.ood`. The bodies are simple shapes of a few ellipses, far from a
real chest CT. If one of them passes a gate, the gate is weak; if it is stopped, this proves little.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ich_lib.scan import HIGHEST_HU, LOWEST_HU, Scan, axial_affine

_AIR, _FAT, _WATER, _MUSCLE, _LIVER, _LUNG, _SPONGY, _DENSE = -1000, -100, 0, 50, 60, -830, 250, 1000  # HU
_FIELD_MM = {"chest": 400.0, "abdomen": 400.0, "thigh": 380.0, "water": 250.0, "noise": 230.0, "constant": 230.0}
BODIES = tuple(_FIELD_MM)


def body(
    name: str, seed: int = 0, *, slices: int = 24, pixels: int = 256, thickness_mm: float = 5.0, noise_hu: float = 6.0
) -> Scan:
    """A body or object instead of a head.

    Args:
        name: from BODIES: chest, abdomen, thigh; a water phantom; noise of 300 HU; or one constant number.
        seed: of sizes, places and noise.
        slices: their number.
        pixels: side of a slice; the field of view is 230 to 400 mm, as the part needs.
        thickness_mm: distance of slices.
        noise_hu: standard deviation, not used for noise and constant.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in _FIELD_MM:
        raise ValueError(f"No body is called {name!r}; choose from {', '.join(BODIES)}.")
    rng = np.random.default_rng([seed, BODIES.index(name)])
    shape, pixel_mm = (slices, pixels, pixels), _FIELD_MM[name] / pixels
    affine = axial_affine((thickness_mm, pixel_mm, pixel_mm), shape)
    if name == "constant":
        return Scan(np.full(shape, round(rng.uniform(-1000, 100)), np.float32), affine)
    if name == "noise":
        return Scan(rng.normal(0, 300, shape).astype(np.float32), affine)
    y, x = (np.arange(pixels, dtype=np.float32) - (pixels - 1) / 2) * pixel_mm * rng.uniform(0.9, 1.1, (2, 1))
    paint, traits = _PAINTERS[name], rng.uniform(-1, 1, 8)
    hu = np.stack([paint(y[:, None], x[None], k / max(slices - 1, 1), traits) for k in range(slices)])
    return Scan((hu + rng.normal(0, noise_hu, shape)).clip(LOWEST_HU, HIGHEST_HU).astype(np.float32), affine)


def _chest(y: np.ndarray, x: np.ndarray, z: float, traits: np.ndarray) -> np.ndarray:
    """Lungs with vessels, heart, ribs, a vertebra; z from 0 to 1 along the part."""
    hu = _trunk(y, x, 168, 118)
    wide = 1 - 0.5 * abs(z - 0.5)
    for side in (-1, 1):
        lung = _ellipse(y - 5, x - side * (78 + 4 * traits[0]), 88 * wide, 62 * wide)
        vessels = np.sin(x / 6 + 9 * z + side) * np.sin(y / 7 - 8 * z) > 0.82
        hu = np.where(lung < 1, np.where(vessels, 20, _LUNG), hu)
    hu = np.where(_ellipse(y + 25, x - 22 - 5 * traits[1], 44 * wide, 56 * wide) < 1, 45, hu)
    shell, angle = _ellipse(y, x, 118, 168), np.arctan2(y, x)
    ribs = (shell > 0.84) & (shell < 0.9) & (np.cos(11 * angle + 14 * z + traits[2]) > 0.3)
    return _vertebra(np.where(ribs, 600, hu), y - 66, x)


def _abdomen(y: np.ndarray, x: np.ndarray, z: float, traits: np.ndarray) -> np.ndarray:
    """Liver, spleen, kidneys, gas in the bowel, a vertebra."""
    hu = _trunk(y, x, 158, 108)
    organs = ((-5, -70, 62, 66, _LIVER), (20, 95, 34, 28, 52), (45, -55, 26, 22, 36), (45, 55, 26, 22, 36))
    for dy, dx, tall, wide, value in organs:
        small = 1 - 0.4 * abs(z - 0.4)
        hu = np.where(_ellipse(y - dy, x - dx, tall * small, wide * small) < 1, value, hu)
    for n, (a, b) in enumerate(zip(traits[:4], traits[4:], strict=True)):
        gas = _ellipse(y + 45 + 12 * a, x - 25 * (n - 1) - 10 * b, 12, 14 + 4 * np.sin(7 * z + n))
        hu = np.where(gas < 1, -900, hu)
    return _vertebra(hu, y - 54, x)


def _thigh(y: np.ndarray, x: np.ndarray, z: float, traits: np.ndarray) -> np.ndarray:
    """Two legs: fat, muscle in strands of fat, the shaft of the femur."""
    hu = np.full(np.broadcast_shapes(y.shape, x.shape), _AIR, np.float32)
    for side in (-1, 1):
        dx, size = x - side * 88, (74 + 5 * traits[0]) * (0.85 + 0.2 * z)
        skin = _ellipse(y, dx, size, size)
        strands = np.sin(3 * np.arctan2(y, dx) + traits[1]) > 0.97
        hu = np.where(skin < 1, _FAT, hu)
        hu = np.where((skin < 0.82) & ~strands, _MUSCLE + 5, hu)
        bone = np.hypot(y + 6, dx + side * 5)
        hu = np.where(bone < 15, 1500, hu)
        hu = np.where(bone < 8, -60, hu)
    return hu


def _water(y: np.ndarray, x: np.ndarray, z: float, traits: np.ndarray) -> np.ndarray:
    """A plastic cylinder full of water, as in a scanner's own test."""
    far = np.hypot(y, x) + 0 * z
    return np.select([far < 100, far < 106], [_WATER, 120], _AIR).astype(np.float32)


def _trunk(y: np.ndarray, x: np.ndarray, wide: float, tall: float) -> np.ndarray:
    skin = _ellipse(y, x, tall, wide)
    return np.select([skin < 0.82, skin < 1], [_MUSCLE, _FAT], _AIR).astype(np.float32)


def _vertebra(hu: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    far = np.hypot(y, x)
    hu = np.where(far < 20, np.where(far < 17, _SPONGY, 700), hu)
    canal = np.hypot(y - 30, x)
    return np.where(canal < 14, np.where(canal < 9, 20, _DENSE), hu)


def _ellipse(y: np.ndarray, x: np.ndarray, tall: float, wide: float) -> np.ndarray:
    """Below 1 inside an ellipse with these half axes."""
    return np.hypot(y / tall, x / wide)


_PAINTERS: dict[str, Callable[[np.ndarray, np.ndarray, float, np.ndarray], np.ndarray]] = {
    "chest": _chest,
    "abdomen": _abdomen,
    "thigh": _thigh,
    "water": _water,
}

_FAULTS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "inverted": lambda hu, rng: -hu,
    "intercept forgotten": lambda hu, rng: hu + 1024,
    "slope doubled": lambda hu, rng: 2 * hu,
    "bone as soft tissue": lambda hu, rng: np.where(hu > 150, np.float32(50), hu),
    "slices shuffled": lambda hu, rng: hu[rng.permutation(len(hu))],
    "upside down": lambda hu, rng: hu[:, ::-1],
    "on its side": lambda hu, rng: np.rot90(hu, axes=(1, 2)),
    "feet first": lambda hu, rng: hu[::-1],
}
FAULTS = tuple(_FAULTS)


def add_fault(scan: Scan, name: str, seed: int = 0) -> Scan:
    """A scan after a mistake in the file or in reading it.

    Args:
        scan: a head.
        name: from FAULTS. "bone as soft tissue" puts 50 HU in place of more than 150; the last four keep every number
            and move it elsewhere.
        seed: of the shuffle.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in _FAULTS:
        raise ValueError(f"No fault is called {name!r}; choose from {', '.join(FAULTS)}.")
    faulty_hu = _FAULTS[name](scan.hu, np.random.default_rng(seed))
    return replace(scan, hu=np.ascontiguousarray(np.clip(faulty_hu, LOWEST_HU, HIGHEST_HU), np.float32))
