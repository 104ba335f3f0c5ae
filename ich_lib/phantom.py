"""A head made by code: exact truth, no patient.

Anatomy is a set of inside-tests in head coordinates (mm, +x left, +y back, +z head, origin between the ears), asked at
several levels inside each slice and averaged. So a 5 mm slice blurs a thin bleed exactly as a scanner does, and the
mask is the share of each voxel that is blood, cut at one half.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from ich_lib.labels import TYPES
from ich_lib.scan import Scan, axial_affine

FIELD_MM = 230.0  # side of the square field of view
AIR, FAT, CSF, WHITE, GRAY, SCALP, DURA, BONE, DIPLOE = (
    -1000,
    -90,
    8,
    27,
    37,
    45,
    52,
    1250,
    650,
)  # HU, facts of CT texts
CLOT_HU = (58, 78)  # fresh clotted blood before slice averaging; measured lesion means lie lower because of it


@dataclass(frozen=True)
class Case:
    """A scan with its truth.

    Attributes:
        scan: the head CT.
        masks: bleed type to (z, y, x) bool, where at least half of the voxel is that blood.
        seed: makes the same case again.
    """

    scan: Scan
    masks: dict[str, np.ndarray]
    seed: int = 0

    @property
    def mask(self) -> np.ndarray:
        """(z, y, x) bool, blood of any type."""
        return np.logical_or.reduce([np.zeros(self.scan.hu.shape, bool), *self.masks.values()])

    @property
    def labels(self) -> np.ndarray:
        """(z, 6) bool in the order of LABELS: which slice shows which type."""
        found = {name: mask.any(axis=(1, 2)) for name, mask in self.masks.items()}
        none = np.zeros(len(self.scan.hu), bool)
        columns = [found.get(name, none) for name in TYPES]
        return np.stack([*columns, np.logical_or.reduce(columns)], axis=1)

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Bleed type to mL."""
        return {name: float(mask.sum() * self.scan.voxel_ml) for name, mask in self.masks.items()}


def phantom(
    seed: int,
    *,
    bleeds: Iterable[str] = (),
    slices: int = 34,
    pixels: int = 256,
    thickness_mm: float = 5.0,
    noise_hu: float = 4.0,
    levels: int = 4,
) -> Case:
    """A head CT with the bleeds asked for.

    Args:
        seed: decides anatomy, pose, bleeds and noise; the same seed and options give the same case.
        bleeds: types from LABELS (not "any"), each at most once. Empty for a head without blood.
        slices: number of axial slices; 34 of 5 mm reach from the skull base to the vertex.
        pixels: side of a slice; the field of view is always 230 mm.
        thickness_mm: slice thickness and distance.
        noise_hu: standard deviation of the noise, correlated over about 0.7 pixel (facts: 4 HU at 120 kV).
        levels: how many planes are averaged into one slice.

    Returns:
        The case; `masks` holds one mask per bleed asked for.

    Raises:
        ValueError: for a type that is not one of the five.
    """
    bleeds = tuple(bleeds)
    if unknown := sorted(set(bleeds) - set(TYPES)):
        raise ValueError(f"{unknown[0]!r} is no bleed type; choose from {', '.join(TYPES)}.")
    rng = np.random.default_rng([seed, 20])
    head = _Head(rng, bleeds)
    affine = axial_affine((thickness_mm, FIELD_MM / pixels, FIELD_MM / pixels), (slices, pixels, pixels))
    affine[2, 3] += 8.0  # the field reaches from 77 mm below the ears' line to 93 mm above it
    y, x = np.mgrid[:pixels, :pixels].astype(np.float32) * np.float32(FIELD_MM / pixels) + np.float32(affine[1, 3])
    offsets = (np.arange(levels) + 0.5) / levels - 0.5
    hu = np.empty((slices, pixels, pixels), np.float32)
    share = np.zeros((len(bleeds), slices, pixels, pixels), np.float32)
    for k in range(slices):
        planes = [head.plane(x, y, affine[2, 3] + (k + step) * thickness_mm) for step in offsets]
        hu[k] = np.mean([plane for plane, _ in planes], axis=0)
        for i, name in enumerate(bleeds):
            share[i, k] = np.mean([blood[name] for _, blood in planes], axis=0)
    hu = _as_scanned(hu, noise_hu, rng)
    masks = {name: share[i] >= 0.5 for i, name in enumerate(bleeds)}
    return Case(Scan(hu, affine), masks, seed)


def _as_scanned(hu: np.ndarray, noise_hu: float, rng: np.random.Generator) -> np.ndarray:
    """Blur of the detector and correlated noise, clipped to a scanner's range."""
    hu = np.stack([cv2.GaussianBlur(plane, (0, 0), 0.6) for plane in hu])
    noise = rng.standard_normal(hu.shape, np.float32)
    noise = np.stack([cv2.GaussianBlur(plane, (0, 0), 0.7) for plane in noise])
    return np.clip(hu + noise * (noise_hu / noise.std()), -1024, 3071)


class _Head:
    """One head's shape, drawn once from a seed; `plane` answers what lies on one level."""

    def __init__(self, rng: np.random.Generator, bleeds: tuple[str, ...]):
        uniform = rng.uniform
        self.half_mm = np.array([uniform(66, 74), uniform(82, 92), uniform(78, 86)])  # to the inner table
        self.skull_mm, self.scalp_mm = uniform(6, 9), uniform(5, 9)
        self.turn, self.shift = np.deg2rad(uniform(-12, 12)), uniform(-6, 6, 2)
        self.ventricle = uniform(0.8, 1.35)
        self.gray, self.white = GRAY + uniform(-2, 2), WHITE + uniform(-2, 2)
        self.calcified = uniform() < 0.6
        self.phase = uniform(0, 2 * np.pi, 12)
        waves = rng.standard_normal((12, 3))
        self.waves = (
            waves / np.linalg.norm(waves, axis=1, keepdims=True) * uniform(2 * np.pi / 30, 2 * np.pi / 14, (12, 1))
        )
        self.bleeds = {name: _BLEEDS[name](rng, self) for name in bleeds}
        self.clot_hu = {name: uniform(*CLOT_HU) for name in bleeds}

    def plane(self, x_mm: np.ndarray, y_mm: np.ndarray, z_mm: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """HU of one level, and where each bleed lies on it (bool)."""
        p = self._look(x_mm, y_mm, np.float32(z_mm))
        hu = np.full(x_mm.shape, AIR, np.float32)
        self._paint_shell(hu, p)
        self._paint_brain(hu, p)
        self._paint_base(hu, p)
        blood = {}
        for name, inside in self.bleeds.items():
            blood[name], rim = inside(p)
            hu[rim] = 20  # edema: 10 to 30 HU
            hu[blood[name]] = self.clot_hu[name]
        return hu, blood

    def _look(self, x_mm: np.ndarray, y_mm: np.ndarray, z: np.float32) -> "_Place":
        """Head coordinates of a level, and the two fields most tests need."""
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        x0, y0 = x_mm - np.float32(self.shift[0]), y_mm - np.float32(self.shift[1])
        x, y = cos * x0 + sin * y0, cos * y0 - sin * x0
        a, b, c = (np.float32(v) for v in self.half_mm)
        below = min(float(z), 0.0)  # under the ears' line the skull narrows slowly instead of closing
        a, b = a * np.float32(1 + below / 320), b * np.float32(1 + below / 420)
        rho = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (max(float(z), 0.0) / c) ** 2)
        # first-order distance to the ellipsoid: (rho - 1) / |gradient of rho|
        slope = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (max(float(z), 0.0) / c**2) ** 2) / np.maximum(rho, 1e-3)
        depth = (1 - rho) / np.maximum(slope, 1e-3)
        folds = np.zeros_like(x)
        for wave, phase in zip(self.waves.astype(np.float32), self.phase.astype(np.float32), strict=True):
            folds += np.sin(wave[0] * x + wave[1] * y + (wave[2] * z + phase))
        return _Place(x, y, z, depth, folds)

    def _paint_shell(self, hu: np.ndarray, p: "_Place") -> None:
        outer = -p.depth
        hu[outer < self.skull_mm + self.scalp_mm] = SCALP
        hu[np.abs(outer - self.skull_mm - 0.5 * self.scalp_mm) < 0.22 * self.scalp_mm] = FAT
        hu[outer < self.skull_mm] = BONE
        hu[(outer > 2) & (outer < self.skull_mm - 2)] = DIPLOE
        headrest = np.hypot(p.x, p.y + 30) - 138
        hu[(np.abs(headrest) < 2) & (p.y > 62)] = 180

    def _paint_brain(self, hu: np.ndarray, p: "_Place") -> None:
        brain = p.depth > 0
        hu[brain] = DURA
        hu[p.depth > 1] = CSF
        rim = 2.2 + 0.25 * p.folds  # mm of fluid over the gyri
        cortex = (p.depth > rim) & ~self.sulci(p)
        hu[cortex] = self.gray
        hu[(p.depth > 8 + 1.6 * p.folds) & cortex] = self.white
        deep = ((np.abs(p.x) - 22) / 9) ** 2 + ((p.y + 2) / 20) ** 2 + (
            (p.z - 8) / 14
        ) ** 2 < 1  # basal ganglia, thalami
        hu[deep & brain] = self.gray
        hu[self.ventricles(p) & brain] = CSF
        hu[self.cisterns(p) & brain] = CSF
        falx = (np.abs(p.x + 0.4 * np.sin(p.y / 17)) < 1.1) & (p.depth > 0) & (p.depth < 26) & (p.z > 12)
        hu[falx] = DURA
        if self.calcified:  # choroid plexus and pineal gland: bright, and no blood
            choroid = (np.abs(p.x) - 23) ** 2 + (p.y - 30) ** 2 + (p.z - 12) ** 2 < 9
            pineal = p.x**2 + (p.y - 22) ** 2 + (p.z - 4) ** 2 < 6
            hu[(choroid | pineal) & brain] = 160

    def _paint_base(self, hu: np.ndarray, p: "_Place") -> None:
        """Petrous bones, anterior fossa floor, sinuses and orbits: what fills the low slices."""
        if p.z > -12:
            frontal = (p.x / 16) ** 2 + ((p.y + self.half_mm[1] + 2) / 5) ** 2 + ((p.z + 2) / 16) ** 2 < 1
            hu[frontal] = AIR
            return
        inside = p.depth > -self.skull_mm
        petrous = (np.abs(p.y + 8 - 0.55 * (np.abs(p.x) - 8)) < 8 + 3 * np.sin(p.x / 9)) & (np.abs(p.x) > 9)
        hu[petrous & inside & (p.z < -26) & (p.z > -52)] = BONE
        mastoid = ((np.abs(p.x) - 52) / 11) ** 2 + ((p.y - 22) / 14) ** 2 < 1
        hu[mastoid & inside & (p.z < -30) & (np.sin(p.x * 1.3) * np.sin(p.y * 1.1) > 0)] = -600
        if p.z > -24:
            return
        face = p.y < -26 + 0.25 * np.abs(p.x)
        hu[face & inside] = SCALP
        wall = face & inside & (np.abs(p.y + 26 - 0.25 * np.abs(p.x)) < 4)
        hu[wall] = BONE
        orbit = ((np.abs(p.x) - 33) / 20) ** 2 + ((p.y + 58) / 24) ** 2 + ((p.z + 46) / 18) ** 2
        hu[(orbit < 1.35) & inside] = BONE
        hu[(orbit < 1) & inside] = FAT
        globe = (np.abs(p.x) - 33) ** 2 + (p.y + 64) ** 2 + (p.z + 46) ** 2 < 140
        hu[globe & inside] = 12
        nose = (np.abs(p.x) < 10 + 3 * np.sin(p.y / 6)) & (p.y < -38) & (p.y > -self.half_mm[1] + 6) & (p.z < -32)
        hu[nose & inside & (np.sin(p.x * 0.9) > -0.8)] = AIR

    def sulci(self, p: "_Place") -> np.ndarray:
        """Clefts of fluid reaching in from the surface, and the Sylvian and interhemispheric fissures."""
        surface = (np.abs(p.folds) < 0.34) & (p.depth > 0) & (p.depth < 15)
        course = p.y + 18 + 0.35 * (p.z - 10) + 5 * np.sin(np.abs(p.x) / 7) - 0.25 * (np.abs(p.x) - 34)
        sylvian = (np.abs(course) < 1.2 + 0.3 * p.folds) & (np.abs(p.x) > 36) & (np.abs(p.z - 4) < 16)
        between = (np.abs(p.x + 0.4 * np.sin(p.y / 17)) < 1.9) & (p.depth > 1) & (p.z > 5) & (np.abs(p.y) > 34)
        return surface | (sylvian & (p.depth > 0)) | between

    def cisterns(self, p: "_Place") -> np.ndarray:
        """Suprasellar and ambient cisterns: a star around the midbrain."""
        angle = np.arctan2(p.x, p.y + 8)
        star = np.hypot(p.x, p.y + 8) < 15 + 5 * np.cos(5 * angle)
        midbrain = np.hypot(p.x / 13, (p.y - 4) / 12) < 1
        return star & ~midbrain & (np.abs(p.z + 16) < 8)

    def ventricles(self, p: "_Place") -> np.ndarray:
        """Lateral (frontal horns, bodies, occipital horns), third and fourth."""
        s, x = self.ventricle, np.abs(p.x)
        bow = 5 + 0.16 * np.abs(p.y + 4) + 0.0025 * p.y**2 * (p.y > 0)
        tube = ((x - bow - 2 * s) / (4.5 * s)) ** 2 + ((p.z - 17 + 0.004 * (p.y - 4) ** 2) / (8 * s)) ** 2 < 1
        lateral = tube & (p.y > -38 * s) & (p.y < 46)
        third = (x < 2.2 * s) & (np.abs(p.y - 2) < 15) & (np.abs(p.z - 2) < 9)
        fourth = (x / (7 * s)) ** 2 + ((p.y - 36) / (6 * s)) ** 2 + ((p.z + 30) / 9) ** 2 < 1
        return lateral | third | fourth


@dataclass(frozen=True)
class _Place:
    """One level in head coordinates: mm towards left, back, head; `depth` mm under the inner table; `folds` waves."""

    x: np.ndarray
    y: np.ndarray
    z: np.float32
    depth: np.ndarray
    folds: np.ndarray


def _site(rng: np.random.Generator, head: _Head, front_deg: float, back_deg: float) -> np.ndarray:
    """A point on the convexity, left or right; angles from the nose, in degrees."""
    side, angle = rng.choice([-1, 1]), np.deg2rad(rng.uniform(front_deg, back_deg))
    height = rng.uniform(0.05, 0.55)
    flat = np.sqrt(1 - height**2)
    return head.half_mm * [side * flat * np.sin(angle), -flat * np.cos(angle), height]


def _distance(p: _Place, site: np.ndarray) -> np.ndarray:
    x, y, z = (np.float32(v) for v in site)
    return np.sqrt((p.x - x) ** 2 + (p.y - y) ** 2 + (p.z - z) ** 2)


def _nothing(p: _Place) -> np.ndarray:
    return np.zeros(p.x.shape, bool)


def _epidural(rng, head):
    """A lens under the inner table, small enough to stop at the sutures."""
    site, reach, thick = _site(rng, head, 50, 130), rng.uniform(22, 36), rng.uniform(9, 20)

    def inside(p):
        lens = thick * (1 - (_distance(p, site) / reach) ** 2)
        return (p.depth > 0.3) & (p.depth < lens), _nothing(p)

    return inside


def _subdural(rng, head):
    """A crescent along one convexity that crosses the sutures."""
    side, thick, half_deg = rng.choice([-1, 1]), rng.uniform(6, 13), rng.uniform(55, 78)
    low, high = rng.uniform(-5, 8), rng.uniform(48, 66)

    def inside(p):
        angle = np.rad2deg(np.arctan2(side * p.x, -p.y))  # 0 at the nose, 90 at the ear of that side
        along = 1 - ((angle - 95) / half_deg) ** 2
        up = 1 - ((p.z - (low + high) / 2) / ((high - low) / 2 + 8)) ** 2
        crescent = thick * np.sqrt(np.clip(along, 0, 1)) * np.sqrt(max(float(up), 0.0)) + 0.8 * p.folds - 0.8
        return (p.depth > 0.3) & (p.depth < crescent) & (side * p.x > 2), _nothing(p)

    return inside


def _subarachnoid(rng, head):
    """Blood where the fluid was: basal cisterns, or the sulci and Sylvian fissure of one side."""
    side, center_y = rng.choice([-1, 1]), rng.uniform(-40, 10)
    basal = rng.uniform() < 0.6

    def inside(p):
        near = (side * p.x > 6) & (np.abs(p.y - center_y) < 32) & (np.abs(p.z - 14) < 24)
        blood = head.sulci(p) & near & (p.depth > 1)
        return (blood | (head.cisterns(p) & (p.depth > 0)) if basal else blood), _nothing(p)

    return inside


def _intraventricular(rng, head):
    """Blood layered in the back of the lateral ventricles: the patient lies supine."""
    level, side = rng.uniform(14, 28), rng.choice([-1, 0, 1])

    def inside(p):
        dependent = p.y > level + (p.x * side < 0) * 9
        return head.ventricles(p) & dependent & (np.abs(p.x) > 3) & (p.depth > 0), _nothing(p)

    return inside


def _intraparenchymal(rng, head):
    """An irregular clot with a thin rim of edema."""
    side, radius = rng.choice([-1, 1]), rng.uniform(9, 20)
    site = np.array([side * rng.uniform(22, 38), rng.uniform(-38, 38), rng.uniform(6, 42)])
    stretch = rng.uniform(0.8, 1.3, 3)

    def inside(p):
        x, y, z = (np.float32(v) for v in site)
        far = np.sqrt(((p.x - x) / stretch[0]) ** 2 + ((p.y - y) / stretch[1]) ** 2 + ((p.z - z) / stretch[2]) ** 2)
        far = far - 0.7 * p.folds
        brain = p.depth > 3
        return (far < radius) & brain, (far >= radius) & (far < radius + 4) & brain

    return inside


_BLEEDS = {
    "epidural": _epidural,
    "intraparenchymal": _intraparenchymal,
    "intraventricular": _intraventricular,
    "subarachnoid": _subarachnoid,
    "subdural": _subdural,
}
