"""Bleeds by the rules of their type: place, borders, volume and brightness.

Every bleed becomes a distance field (mm, negative inside) on the coarse grid, scaled until its volume there is the
drawn one. Extra-axial blood is a layer with a random thickness on a surface; the types differ in what the thickness
depends on. Blood in fluid (subarachnoid) is a weight on the fluid spaces instead.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ich_lib.phantoms.anatomy import suture_planes, tentorium
from ich_lib.phantoms.atlas import Point
from ich_lib.phantoms.grid import STEP_MM, Draw, Grid, inside, ramp
from ich_lib.phantoms.space import Space

DURA_MM = 0.7  # dura and periosteum: between blood and bone

# Volume in mL, 5th, 50th and 95th percentile, and mean HU inside lesions at 5 mm, measured in the BHSD data set as
# tabulated by DIDSR/InSilicoICH (CC0).
MEASURED: dict[str, dict[str, tuple[float, float, float]]] = {
    "intraparenchymal": {"ml": (0.3, 7.8, 59.0), "hu": (33, 48, 61)},
    "intraventricular": {"ml": (0.1, 2.5, 19.0), "hu": (25, 39, 55)},
    "subdural": {"ml": (0.4, 5.9, 56.0), "hu": (27, 51, 69)},
    "subarachnoid": {"ml": (0.1, 0.8, 4.6), "hu": (31, 43, 58)},
    "epidural": {"ml": (1.2, 12.7, 40.0), "hu": (37, 56, 72)},
}
# A smaller bleed holds no voxel that is half blood at 5 mm, and a head that is labeled as bleeding must show it.
LEAST_ML = {"intraparenchymal": 0.3, "intraventricular": 0.5, "subdural": 0.9, "subarachnoid": 0.5, "epidural": 1.2}
# What averaging with neighbors takes from the mean inside the mask (HU): blood itself is brighter by this amount.
AVERAGING_HU = {
    "intraparenchymal": 4,
    "intraventricular": 2,
    "subdural": -7,  # bone beside a thin layer adds more than brain takes
    "subarachnoid": 7,
    "epidural": 0,
}


@dataclass(frozen=True)
class Push:
    """How a mass moves the brain: a ball's center in head coordinates, its radius, and how far it moves its border."""

    center: Point
    radius_mm: float
    strength_mm: float


@dataclass(frozen=True)
class Site:
    """The place of a bleed and how it grows there.

    Attributes:
        shape: size (mm) to distance from the blood.
        center: its middle, in head coordinates.
        sizes: the smallest and the largest.
        floor: as in `Bleed`.
    """

    shape: Callable[[float], np.ndarray]
    center: Point
    sizes: tuple[float, float]
    floor: np.ndarray | None = None


@dataclass(frozen=True)
class Bleed:
    """One bleed, sized and placed.

    Attributes:
        name: its type.
        field: distance in mm, negative in the blood; for subarachnoid blood the share of the fluid that is blood.
        hu: CT number of the blood itself.
        floor: mm from the membrane under a layer (falx, tentorium), negative behind it; None if bone is the floor. It
            is stored separately, because the corner between two distances would be lost on the coarse grid.
        push: how it moves the brain; None if it does not.
    """

    name: str
    field: np.ndarray
    hu: float
    push: Push | None = None
    floor: np.ndarray | None = None

    def surface(self) -> np.ndarray:
        """Distance from the blood on all its sides."""
        return self.field if self.floor is None else np.maximum(self.field, -self.floor)


def place_bleed(name: str, s: Space, depth: np.ndarray, draw: Draw) -> Bleed:
    """A bleed that displaces the brain: epidural, subdural or intraparenchymal.

    Args:
        name: its type.
        s: head coordinates, without displacement.
        depth: mm inward from the inner table (positive inside the cavity).
        draw: its stream of random numbers.
    """
    low, middle, high = MEASURED[name]["ml"]
    wanted_ml = max(draw.between(low, middle, high, log=True), LEAST_ML[name])
    site = _SITES[name](s, depth, draw)
    room = inside(-depth, STEP_MM) if name == "intraparenchymal" else np.float32(1)
    floor = depth - DURA_MM if site.floor is None else site.floor
    size, blood = _fit_volume(site.shape, site.sizes, wanted_ml, s.grid, room, floor)
    radius = round((wanted_ml * 1000 * 3 / 4 / 3.14159) ** (1 / 3), 4)
    push = {"intraparenchymal": 0.45 * radius, "epidural": 0.55 * size, "subdural": 0.55 * min(size, 16)}[name]
    hu = draw_clot_hu(name, draw)
    if (
        name == "intraparenchymal" and wanted_ml > 6
    ):  # the low means of the table come from small and thin bleeds, mostly from neighbors
        hu = max(hu, 47.0)
    return Bleed(name, blood, hu, Push(site.center, radius, round(push, 4)), site.floor)


def draw_clot_hu(name: str, draw: Draw) -> float:
    """CT number of the blood, so that the mean after averaging follows `MEASURED`."""
    return round(min(draw.between(*MEASURED[name]["hu"]) + AVERAGING_HU[name], 84), 2)


def _fit_volume(
    shape: Callable[[float], np.ndarray],
    sizes: tuple[float, float],
    wanted_ml: float,
    grid: Grid,
    room: np.ndarray | np.float32,
    floor: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """Halve the interval of sizes until the volume fits; 12 steps are finer than any measurement."""
    low, high = sizes
    under = None if floor is None else inside(floor, STEP_MM)
    for _ in range(12):
        size = round((low + high) / 2, 5)
        blood = shape(size)
        share = inside(blood, STEP_MM)
        if under is not None:
            share = np.maximum(share - under, 0)
        share *= room
        ml = int((share * 256).astype(np.int32).sum()) / 256 * grid.cell_ml
        low, high = (size, high) if ml < wanted_ml else (low, size)
    return size, blood


def _nearest(s: Space, depth: np.ndarray, point: Point) -> Point:
    """Head coordinates of the grid point on the inner table nearest to `point`."""
    at = np.unravel_index(int(np.argmin(_square(s, point) + 100 * np.abs(depth))), depth.shape)
    x, y, z = (round(float(v[at]), 4) for v in (s.x, s.y, s.z))
    return x, y, z


def _square(s: Space, point: Point) -> np.ndarray:
    """Squared distance (mm of the standard head) from a head point."""
    dx, dy, dz = (v - np.float32(p) for v, p in zip((s.x, s.y, s.z), point, strict=True))
    return dx * dx + dy * dy + dz * dz


def _epidural(s: Space, depth: np.ndarray, draw: Draw) -> Site:
    """A lens on the inner table: thickest in the middle, stopped by sutures, where the dura is fixed to the bone."""
    side = draw.pick((1, -1))
    place = draw.pick(
        ((62, -12, 32), (58, 20, 55), (40, -62, 50), (38, 70, 22), (35, 66, -4)), (0.38, 0.26, 0.2, 0.1, 0.06)
    )
    x, y, z = (p + draw.uniform(-7, 7) for p in place)
    center = _nearest(s, depth, (side * x, y, z))
    far = _square(s, center) * np.float32(s.scale**2)
    bound = side * s.x * np.float32(s.scale) - 3
    for plane in suture_planes(s).values():
        depth_mm = plane[tuple(_index(s, center))]
        bound = np.minimum(bound, plane if depth_mm > 0 else -plane)
    bound = np.float32(1.1) * (bound - 1)
    broad = draw.uniform(1.9, 2.7)  # half width over thickness

    def shape(size: float) -> np.ndarray:
        reach = 5 + broad * size
        return depth - np.minimum(np.float32(size) * (1 - far * np.float32(1 / reach**2)), bound)

    return Site(shape, center, (0.5, 42.0))


def _index(s: Space, point: Point) -> list[int]:
    """Grid index of a head point."""
    return [
        min(max(round((p - axis[0]) / 2.5), 0), len(axis) - 1)
        for p, axis in zip(s.pose.place(point), s.grid.axes, strict=True)
    ]


def _subdural(s: Space, depth: np.ndarray, draw: Draw) -> Site:
    """A crescent under the dura: over the convexity (crossing sutures), along the falx or on the tentorium."""
    side = draw.pick((1, -1))
    region = draw.pick(("convexity", "falx", "tentorium"), (0.78, 0.14, 0.08))
    x = side * s.x * np.float32(s.scale)
    above = tentorium(s)
    if region == "convexity":
        cy, cz = draw.uniform(-25, 25), draw.uniform(48, 72)
        ry, rz = draw.uniform(52, 80), draw.uniform(34, 52)
        center, base = _nearest(s, depth, (side * 55, cy, cz)), depth
        edge = np.minimum(ramp(x, 4, 14), ramp(above, 1, 8))
    elif region == "falx":
        cy, cz, ry, rz = draw.uniform(-20, 45), draw.uniform(70, 90), draw.uniform(35, 55), 45
        center, base = (side * 2.0, cy, cz), x - np.float32(0.6)
        over = np.sqrt(((s.y - 2) / 40) ** 2 + ((s.z - 42) / 26) ** 2)
        edge = np.minimum(ramp(over, 1.1, 1.3), ramp(depth, 0, 3))
    else:
        cy, cz, ry, rz = 40, 22, 34, 34
        center, base = (side * 25.0, 40.0, 20.0), above - np.float32(0.6)
        edge = np.minimum(ramp(x, 1, 5), ramp(s.y, 5, 16))
    v, w = (s.y - np.float32(cy)) * np.float32(1 / ry), (s.z - np.float32(cz)) * np.float32(1 / rz)
    outward = 1 - v * v - w * w + np.float32(0.12) * s.grid.waves(draw, 30)

    def shape(size: float) -> np.ndarray:
        small = max(0.0, 1 - size / 5)  # a thin one is also short
        profile = np.minimum((outward - np.float32(0.97 * small)) * np.float32(1.7 + 12 * small), 1)
        thick = np.float32(3.0 + size) * np.where(profile > 0, profile * edge, profile)
        return base - thick

    return Site(shape, center, (0.0, 26.0), None if region == "convexity" else base)


def _intraparenchymal(s: Space, depth: np.ndarray, draw: Draw) -> Site:
    """A round to irregular clot: deep (hypertension), lobar or a contusion at the poles."""
    side = draw.pick((1, -1))
    place = draw.pick(
        ((26, 0, 40), (13, 10, 42), (40, 25, 58), (32, -42, 50), (44, -22, 8), (22, -62, 30), (26, 42, -4), (0, 4, 4)),
        (0.30, 0.12, 0.15, 0.13, 0.12, 0.10, 0.06, 0.02),
    )
    x, y, z = (round(c + draw.uniform(-5, 5), 3) for c in (side * place[0], place[1], place[2]))
    stretch = [draw.uniform(0.8, 1.3) for _ in range(3)]
    dx, dy, dz = (
        (v - np.float32(c)) * np.float32(s.scale / f)
        for v, c, f in zip((s.x, s.y, s.z), (x, y, z), stretch, strict=True)
    )
    far = np.sqrt(dx * dx + dy * dy + dz * dz)
    ragged = draw.uniform(0.25, 0.6)
    lumps = 1 + np.float32(ragged) * s.grid.waves(draw, 16) + np.float32(0.4 * ragged) * s.grid.waves(draw, 8)
    far = far * lumps

    def shape(size: float) -> np.ndarray:
        return np.maximum(far - np.float32(size), 3 - depth)

    return Site(shape, (x, y, z), (1.0, 55.0))


_SITES = {"epidural": _epidural, "subdural": _subdural, "intraparenchymal": _intraparenchymal}


def displace(s: Space, masses: list[Bleed], depth: np.ndarray) -> Space:
    """Head coordinates of the brain after displacement by `masses`.

    A clot inside pushes outward in all directions like an inflating ball (the push falls with the square of the
    distance); one at the surface pushes toward the middle. At the skull nothing moves.
    """
    if not masses:
        return s
    x, y, z = s.x, s.y, s.z
    free = ramp(depth, 0, 12)
    for mass in masses:
        if mass.push is None:
            continue
        center, radius, strength = mass.push.center, mass.push.radius_mm, mass.push.strength_mm
        d = [(v - np.float32(c)) for v, c in zip((s.x, s.y, s.z), center, strict=True)]
        square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
        if mass.name == "intraparenchymal":
            # strength at the clot's surface, then radius^2 over distance^2
            push = free * np.float32(strength * 1.5 * radius**2) / (square + np.float32(0.5 * radius**2))
            push = push / np.maximum(np.sqrt(square), 1)
            # inside the clot nothing is displaced
            x, y, z = (v - push * dv for v, dv in zip((x, y, z), d, strict=True))
        else:
            to_middle = [-c for c in center[:2]] + [40 - center[2]]
            length = sum(c * c for c in to_middle) ** 0.5
            push = free * np.float32(strength) / (1 + square * np.float32(1 / 55**2))
            x, y, z = (v - push * np.float32(round(t / length, 5)) for v, t in zip((x, y, z), to_middle, strict=True))
    return Space(s.grid, s.pose, x, y, z, reach_mm=s.reach_mm + 12)


def intraventricular(s: Space, ventricle: np.ndarray, draw: Draw) -> Bleed:
    """Blood that has sunk to the back of the ventricles: the patient lies on the back, so it fills from the occiput."""
    low, middle, high = MEASURED["intraventricular"]["ml"]
    wanted_ml = max(draw.between(low, middle, high, log=True), LEAST_ML["intraventricular"])
    _, y_image, _ = np.ix_(*s.grid.axes)
    tilted = np.float32(0.06) * s.grid.waves(draw, 40) * 10  # a clot's surface is not a water level

    def shape(size: float) -> np.ndarray:
        return np.maximum(ventricle, np.float32(70 - size) - y_image + tilted)

    _, blood = _fit_volume(shape, (4.0, 62.0), wanted_ml, s.grid, np.float32(1))
    return Bleed("intraventricular", blood, draw_clot_hu("intraventricular", draw))


def subarachnoid(s: Space, fluid: np.ndarray, draw: Draw) -> Bleed:
    """Blood mixed into the fluid around a source: the basal cisterns (aneurysm) or sulci of one side (injury).

    Args:
        s: coordinates of the brain.
        fluid: (z, y, x) share of each grid cell that is subarachnoid space.
        draw: its stream.
    """
    low, middle, high = MEASURED["subarachnoid"]["ml"]
    wanted_ml = max(draw.between(low, middle, high, log=True), LEAST_ML["subarachnoid"])
    side = draw.pick((1, -1))
    places = ((4, -14, 18), (34, -18, 26), (56, -10, 52), (46, 40, 66), (4, -40, 60))
    x, y, z = draw.pick(places, (0.4, 0.2, 0.18, 0.12, 0.1))
    far = np.sqrt(_square(s, (side * x, y, z))) * (1 + np.float32(0.3) * s.grid.waves(draw, 20))

    def weight(size: float) -> np.ndarray:
        return ramp(far, size + 5, size)

    low, high = 4.0, 110.0
    for _ in range(11):
        size = round((low + high) / 2, 4)
        ml = int((weight(size) * fluid * 256).astype(np.int32).sum()) / 256 * s.grid.cell_ml
        low, high = (size, high) if ml < wanted_ml else (low, size)
    return Bleed("subarachnoid", weight(size), draw_clot_hu("subarachnoid", draw))
