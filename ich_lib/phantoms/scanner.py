"""From a head to the recorded scan: levels averaged to slices, headrest, beam hardening, blur, noise, integers."""

from collections.abc import Mapping, Sequence

import numpy as np

from ich_lib.phantoms.anatomy import Person
from ich_lib.phantoms.bleeds import Bleed
from ich_lib.phantoms.grid import Draw, Grid, Planes, inside, ramp, sheet
from ich_lib.phantoms.level import Level
from ich_lib.phantoms.space import Space
from ich_lib.phantoms.tissue import AIR, paint
from ich_lib.scan import HIGHEST_HU, LOWEST_HU


def scan_head(
    fields: Mapping[str, np.ndarray],
    grid: Grid,
    person: Person,
    bleeds: Sequence[Bleed],
    z_mm: np.ndarray,
    y_mm: np.ndarray,
    x_mm: np.ndarray,
    thickness_mm: float,
    levels: int,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Slices without noise.

    Args:
        fields: name to distance field on the grid.
        grid: the coarse grid.
        person: of the head.
        bleeds: the bleeds, in the order in which they take space.
        z_mm: image coordinates of the slices' middles.
        y_mm: of the rows.
        x_mm: of the columns.
        thickness_mm: the thickness of the average.
        levels: number of averaged levels.

    Returns:
        hu: (z, y, x) float32. shares: type to (z, y, x) float32.
    """
    pixel_mm = float(x_mm[1] - x_mm[0]) if len(x_mm) > 1 else 1.0
    shape = (len(z_mm), len(y_mm), len(x_mm))
    hu = np.full(shape, AIR, np.float32)
    shares = {bleed.name: np.zeros(shape, np.float32) for bleed in bleeds}
    planes = Planes(grid, y_mm, x_mm)
    steps = (np.arange(levels) + 0.5) / levels - 0.5
    weight = np.float32(1 / levels)
    for k, middle in enumerate(z_mm):
        for step in steps:
            level = Level(fields, planes, float(middle + step * thickness_mm), pixel_mm)
            head = level.part("skin", 3.0)
            if head is None:
                continue
            level_hu, blood = paint(head, person, bleeds)
            hu[k][head.box] += (level_hu - AIR) * weight
            for name, share in blood.items():
                shares[name][k][head.box] += share * weight
    return hu, shares


def add_headrest(hu: np.ndarray, y_mm: np.ndarray, x_mm: np.ndarray, draw: Draw) -> None:
    """A carbon shell filled with foam, curving up on both sides; only its arms are in the field. Changes `hu`."""
    pixel_mm = float(x_mm[1] - x_mm[0]) if len(x_mm) > 1 else 1.0
    y, x = y_mm[:, None] + np.float32(draw.uniform(-2, 6)), x_mm[None, :] + np.float32(draw.uniform(-4, 4))
    r = np.sqrt(x * x + y * y) - np.float32(draw.uniform(146, 152))
    shell = np.maximum(sheet(r, np.float32(1.5), pixel_mm), 0.6 * sheet(r - 7, np.float32(1.0), pixel_mm))
    foam = inside(np.abs(r - np.float32(3.5)) - np.float32(3), pixel_mm)
    cover = (foam * 120 + shell * 1180) * ramp(y, 40, 50)
    np.maximum(hu, AIR + cover[None], out=hu)


def beam_hardening_field(s: Space, depth: np.ndarray, draw: Draw, strong: bool) -> np.ndarray:
    """HU that hard bone takes from the soft tissue between the petrous pyramids: dark bands with fine streaks.

    Nothing above z = 16 mm: there the skull is a thin ring and scanners correct for it.
    """
    band = (1 - ramp(np.abs(s.x), 18, 42)) * (1 - ramp(np.abs(s.y - 4), 5, 17)) * (1 - ramp(np.abs(s.z), 5, 14))
    streak = s.grid.waves(draw, 9, 5, 70)
    back = (1 - ramp(np.abs(s.x), 4, 22)) * ramp(s.y, 30, 62) * (1 - ramp(np.abs(s.z + 4), 8, 18))
    strength = draw.uniform(5, 10) * (2.2 if strong else 1)
    field = band * (np.float32(-strength) + np.float32(strength) * streak) + back * np.float32(0.7 * strength) * streak
    if strong:  # rays from a dense ear, some of them bright: they can look like blood
        side = draw.pick((1, -1))
        dx, dy = side * s.x - 46, s.y - 8
        ray = (dy / (np.abs(dx) + np.abs(dy) + 1) + 1) * 14  # 0 to 28 around the ear, without an arc tangent
        base = np.floor(ray)
        table, base, part = draw.values(30), base.astype(np.int32), ray - base
        bright = table[base] + part * (table[base + 1] - table[base])
        fade = 1 / (1 + np.abs(dx) * np.float32(1 / 30))
        field = field + bright * fade * 42 * (1 - ramp(np.abs(s.z - 2), 6, 13))
    return field * ramp(depth, -1, 3)


def add_motion(hu: np.ndarray, draw: Draw) -> np.ndarray:
    """The patient moved during a few slices: each is the mean of the head here and the head some pixels away."""
    start = int(len(hu) * draw.uniform(0.35, 0.6))
    out = hu.copy()
    shift = max(2, round(hu.shape[1] / 256 * draw.uniform(3, 6)))
    for k in range(start, min(start + max(2, len(hu) // 9), len(hu))):
        shifted = np.roll(np.roll(hu[k], shift, axis=0), -shift // 2, axis=1)
        out[k] = (hu[k] + shifted) * np.float32(0.5)
    return out


def add_noise(hu: np.ndarray, noise_hu: float, blur_mm: float, pixel_mm: float, draw: Draw) -> np.ndarray:
    """Blur of the kernel, correlated noise, integers within a scanner's range. `blur_mm` is the SD of the blur."""
    spread = (blur_mm / pixel_mm) ** 2  # variance in pixels; a pass of (w, 1 - 2 w, w) adds 2 w
    passes = max(1, int(spread / 0.5) + 1)
    for _ in range(passes):
        hu = _smooth(hu, round(spread / passes / 2, 6))
    if noise_hu:
        hu = hu + _noise(hu.shape, draw) * np.float32(noise_hu)
    return np.clip(np.rint(hu), LOWEST_HU, HIGHEST_HU).astype(np.float32)


def _smooth(hu: np.ndarray, w: float) -> np.ndarray:
    for axis in (1, 2):
        v = np.moveaxis(hu, axis, 0)
        out = v * np.float32(1 - 2 * w)
        out[1:-1] += (v[2:] + v[:-2]) * np.float32(w)
        out[0] += (v[0] + v[1]) * np.float32(w)
        out[-1] += (v[-1] + v[-2]) * np.float32(w)
        hu = np.moveaxis(out, 0, axis)
    return hu


def _noise(shape: tuple[int, ...], draw: Draw) -> np.ndarray:
    """Noise of SD 1, smoothed in the plane by (a, 1, a): about a Gaussian of 0.7 pixels.

    Four random bytes are summed: bell-shaped to 3.4 SD, and the same on every computer.
    """
    z, y, x = shape
    tap = 0.36
    raw = np.frombuffer(draw.rng.bytes(4 * z * (y + 2) * (x + 2)), np.uint8).reshape(4, z, y + 2, x + 2)
    total = raw[0].astype(np.int16)
    for part in raw[1:]:
        total += part
    white = total.astype(np.float32)
    white -= np.float32(510)
    rows = white[:, 1:-1] + (white[:, 2:] + white[:, :-2]) * np.float32(tap)
    smoothed = rows[:, :, 1:-1] + (rows[:, :, 2:] + rows[:, :, :-2]) * np.float32(tap)
    byte_variance = (256**2 - 1) / 12
    return smoothed * np.float32(1 / ((4 * byte_variance) ** 0.5 * (1 + 2 * tap * tap)))


def add_beam_hardening(
    hu: np.ndarray, harden: np.ndarray, grid: Grid, z_mm: np.ndarray, y_mm: np.ndarray, x_mm: np.ndarray
) -> None:
    """Add the field of `beam_hardening_field` to the slices it reaches. Changes `hu`."""
    planes = Planes(grid, y_mm, x_mm)
    for k, middle in enumerate(z_mm):
        coarse = planes.coarse(harden, float(middle))
        if coarse.any():
            hu[k] += planes.fine(coarse)
