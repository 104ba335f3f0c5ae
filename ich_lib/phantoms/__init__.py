"""Synthetic heads (phantoms): exact truth, no patient.

`phantom` draws a person, adds the bleeds, places the head in a scanner and takes the scan. The head is designed as
distance fields on a coarse grid (`anatomy`, `bleeds`), painted level by level at the required pixels (`tissue`) and
recorded like in a scanner (`scanner`). A slice is the mean of several levels, so it blurs a thin bleed like a real
slice. The truth comes from the same levels: the share of every voxel that is blood.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ich_lib.case import Case
from ich_lib.labels import TYPES
from ich_lib.phantoms import anatomy, scanner, tissue
from ich_lib.phantoms import bleeds as blood
from ich_lib.phantoms.grid import Draw, Grid, inside, ramp
from ich_lib.phantoms.space import draw_pose
from ich_lib.scan import Scan, axial_affine

FIELD_MM = 230.0  # side of the square field of view
MIDDLE_MM = 40.0  # height of the middle slice over the inner ears: 34 slices of 5 mm then reach from jaw to vertex
MIMICS = (
    "choroid calcification",
    "pineal calcification",
    "falx calcification",
    "ganglia calcification",
    "dense sinus",
    "old infarct",
    "streak",
    "motion",
)
# the order in which they take space
_ORDER = ("epidural", "subdural", "intraparenchymal", "intraventricular", "subarachnoid")


@dataclass(frozen=True)
class Phantom(Case):
    """A synthetic head with its exact truth; `from_shares` makes one.

    Attributes:
        shares: bleed type to (z, y, x) float32, the share of each voxel that is that blood; together never above 1.
        seed: the same seed makes the same case.
        mimics: structures that look like blood but are not.

    See also:
        `phantom`, which makes one; `ich_lib.reports.case_files.write_case`, which writes it as files.

    Example:
        >>> from ich_lib import LABELS, phantom
        >>> case = phantom(1, bleeds=["epidural"], slices=12, pixels=128)
        >>> case.truth.shape  # (z, y, x)
        (12, 128, 128)
        >>> case.labels[:, LABELS.index("epidural")].sum() == case.truth.any(axis=(1, 2)).sum()
        np.True_
    """

    shares: dict[str, np.ndarray]
    seed: int = 0
    mimics: tuple[str, ...] = ()

    @cached_property
    def masks(self) -> dict[str, np.ndarray]:
        """Bleed type to (z, y, x) bool, where at least half of the voxel is that blood."""
        return {name: share >= 0.5 for name, share in self.shares.items()}

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Bleed type to mL: the sum of all shares, so that voxels on the border count by their part."""
        return {name: float(s.sum(dtype=np.float64) * self.scan.voxel_ml) for name, s in self.shares.items()}


def from_shares(scan: Scan, shares: dict[str, np.ndarray], seed: int = 0, mimics: tuple[str, ...] = ()) -> Phantom:
    """A phantom from how much of each voxel is blood: truth and labels are where at least half of a voxel is.

    Args:
        scan: the head CT.
        shares: bleed type to (z, y, x) float32 in [0, 1].
        seed: the same seed makes the same case.
        mimics: structures that look like blood but are not.
    """
    truth, columns = np.zeros(scan.hu.shape, bool), []
    for name in TYPES:
        mask = shares[name] >= 0.5 if name in shares else np.zeros(scan.hu.shape, bool)
        truth |= mask
        columns.append(mask.any(axis=(1, 2)))
    labels = np.stack([*columns, np.logical_or.reduce(columns)], axis=1)
    return Phantom(scan, truth, labels, np.ones(len(truth), bool), shares, seed, mimics)


def phantom(
    seed: int,
    *,
    bleeds: Iterable[str] = (),
    mimics: Iterable[str] = (),
    slices: int = 34,
    pixels: int = 256,
    thickness_mm: float = 5.0,
    tilt_deg: float = 0.0,
    noise_hu: float = 4.0,
    levels: int = 4,
    beam_hardening: bool = True,
) -> Phantom:
    """Make a head CT with chosen bleeds.

    Args:
        seed: decides anatomy, pose, bleeds and noise, each from a separate stream. The same seed with other bleeds,
            mimics or noise is the same person.
        bleeds: types from LABELS (not "any"), each at most once. Empty for a head without blood.
        mimics: names from MIMICS: structures that look like blood but are not.
        slices: number of axial slices; 34 of 5 mm reach from the jaw to the vertex.
        pixels: side of a slice; the field of view is always 230 mm.
        thickness_mm: slice thickness and distance.
        tilt_deg: gantry tilt. Slices are tilted, the affine is sheared, and voxels shrink by the cosine. (The nod of
            the head is random.)
        noise_hu: standard deviation of the noise, correlated over about 0.7 pixel (4 HU is typical at 120 kV).
        levels: number of planes that are averaged into one slice.
        beam_hardening: dark bands between the petrous bones.

    Returns:
        The case; `shares` and `masks` hold one entry per bleed.

    Raises:
        ValueError: for an unknown name, or a number that is impossible for a scan.

    See also:
        `ich_lib.reports.case_files.write_case`, which writes a case as files; `ich_lib.phantoms.bodies.body`, for scans
        that are not a head.

    Example:
        >>> from ich_lib import phantom
        >>> case = phantom(1, bleeds=["epidural"], slices=12, pixels=128)
        >>> case.scan.hu.shape  # (z, y, x)
        (12, 128, 128)
        >>> {name: f"{ml:.0f} mL" for name, ml in case.volumes_ml.items()}
        {'epidural': '35 mL'}
    """
    bleeds, mimics = _names(bleeds, TYPES, "bleed type"), _names(mimics, MIMICS, "mimic")
    _check(slices, pixels, thickness_mm, tilt_deg, noise_hu, levels)
    grid = Grid(float(tilt_deg))
    fields, person, planned, harden = _build_head(seed, grid, bleeds, mimics)

    pixel_mm = FIELD_MM / pixels
    affine = axial_affine((thickness_mm, pixel_mm, pixel_mm), (slices, pixels, pixels))
    affine[2, 3] += MIDDLE_MM
    z_mm, y_mm, x_mm = (
        (np.arange(n) * step + start).astype(np.float32)
        for n, step, start in zip(
            (slices, pixels, pixels), (thickness_mm, pixel_mm, pixel_mm), affine[[2, 1, 0], 3], strict=True
        )
    )
    hu, shares = scanner.scan_head(fields, grid, person, planned, z_mm, y_mm, x_mm, thickness_mm, levels)
    if beam_hardening:
        scanner.add_beam_hardening(hu, harden, grid, z_mm, y_mm, x_mm)
    draw = Draw(seed, 20, 9)
    scanner.add_headrest(hu, y_mm, x_mm, draw)
    if "motion" in mimics:
        hu = scanner.add_motion(hu, draw)
    hu = scanner.add_noise(hu, noise_hu, person.blur_mm, pixel_mm, Draw(seed, 20, 10))
    cosine, sine = grid.lean
    affine[:3, 1] = 0, pixel_mm * cosine, pixel_mm * sine
    affine[:3, 3] = float(x_mm[0]), float(y_mm[0]) * cosine, float(z_mm[0]) + float(y_mm[0]) * sine
    return from_shares(Scan(hu, affine), {name: shares[name] for name in bleeds}, seed, mimics)


def _build_head(
    seed: int, grid: Grid, bleeds: tuple[str, ...], mimics: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], anatomy.Person, list[blood.Bleed], np.ndarray]:
    """Everything that is random: fields by name, person, bleeds, beam hardening."""
    draw = Draw(seed, 20, 0)
    space = draw_pose(draw, grid)
    person = _with_mimics(anatomy.draw_person(draw, space.pose.child), seed, mimics)
    fields = anatomy.skull(space, Draw(seed, 20, 1))
    depth = -fields["cavity"]

    planned = [
        blood.place_bleed(name, space, depth, Draw(seed, 20, 11 + TYPES.index(name)))
        for name in _ORDER[:3]
        if name in bleeds
    ]
    pushed = blood.displace(space, planned, depth)
    fields |= anatomy.brain(pushed, Draw(seed, 20, 2), person)
    for bleed in planned:
        if bleed.name != "intraparenchymal":  # under the dura the brain begins where the blood ends
            depth = np.minimum(depth, bleed.surface())
    fields["depth"] = depth
    fields["high"] = 1 + np.float32(0.7) * ramp(space.z, 55, 95)
    if "intraventricular" in bleeds:
        draw = Draw(seed, 20, 11 + TYPES.index("intraventricular"))
        planned.append(blood.intraventricular(pushed, fields["ventricle"], draw))
    if "subarachnoid" in bleeds:
        fluid, _ = tissue.fluid_spaces(fields, 2.5, person, person.swollen)
        fluid *= inside(fields["cavity"], 2.5)
        fluid *= ramp(space.z, -28, -20)
        planned.append(blood.subarachnoid(pushed, fluid, Draw(seed, 20, 11 + TYPES.index("subarachnoid"))))
    fields |= {bleed.name: bleed.field for bleed in planned}
    fields |= {bleed.name + " floor": bleed.floor for bleed in planned if bleed.floor is not None}
    fields |= anatomy.dura(space, fields["cavity"], fields)
    draw = Draw(seed, 20, 3)
    fields["rough"] = grid.waves(draw, 5.5)
    fields["comb"], fields["nose"] = grid.distance(grid.waves(draw, 7), 0.03), grid.waves(draw, 9)
    fields["fat plane"] = grid.distance(grid.waves(draw, 30, 16, 16) + 0.25, 0.02)
    fields["flesh"] = anatomy.muscle(space, fields["skin"], draw)
    fields["vessel"] = anatomy.vessels(pushed)
    fields["calcification"] = anatomy.calcification(pushed, person, Draw(seed, 20, 4))
    if person.pale_hu > 1:
        fields["pale"] = fields["ventricle"] - 5 + 4 * grid.waves(draw, 18)
    if "old infarct" in mimics:
        fields["infarct"] = anatomy.infarct(pushed, Draw(seed, 20, 7))
    harden = scanner.beam_hardening_field(space, -fields["cavity"], Draw(seed, 20, 5), "streak" in mimics)
    return fields, person, planned, harden


def _with_mimics(person: anatomy.Person, seed: int, mimics: tuple[str, ...]) -> anatomy.Person:
    """The same person with the chosen calcifications and dense sinus."""
    return replace(
        person,
        choroid_calcification=person.choroid_calcification or "choroid calcification" in mimics,
        pineal_calcification=person.pineal_calcification or "pineal calcification" in mimics,
        falx_calcification=person.falx_calcification or "falx calcification" in mimics,
        ganglia_calcification="ganglia calcification" in mimics,
        sinus_hu=Draw(seed, 20, 6).uniform(70, 82) if "dense sinus" in mimics else person.sinus_hu,
    )


def _names(names: Iterable[str], allowed: tuple[str, ...], noun: str) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names)
    if unknown := sorted(set(names) - set(allowed)):
        raise ValueError(f"{unknown[0]!r} is no {noun}; choose from {', '.join(allowed)}.")
    if len(set(names)) < len(names):
        raise ValueError(f"Each {noun} can be given only once; got {', '.join(names)}.")
    return names


def _check(slices: int, pixels: int, thickness_mm: float, tilt_deg: float, noise_hu: float, levels: int) -> None:
    for name, value, low, high in (
        ("slices", slices, 1, 1000),
        ("pixels", pixels, 16, 2048),
        ("thickness_mm", thickness_mm, 0.1, 100),
        ("tilt_deg", tilt_deg, -30, 30),
        ("noise_hu", noise_hu, 0, 100),
        ("levels", levels, 1, 64),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} must lie between {low} and {high}; got {value}.")
