"""Distances to CT numbers: paint the structures of one infinitely thin level.

Each structure covers a share of each pixel (a ramp one pixel wide at its border, so that there are no steps), and is
painted over the earlier ones. Blood comes last and keeps its share: that is the exact truth.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ich_lib.phantoms.anatomy import Person
from ich_lib.phantoms.bleeds import DURA_MM, Bleed
from ich_lib.phantoms.grid import inside, ramp, sheet
from ich_lib.phantoms.level import Level

# CT numbers in HU: typical values of tissue and blood; Bushberg for fat, lens and vitreous
AIR, FAT, SKIN, CSF, MUSCLE, DURA = -1000, -95, 45, 7, 55, 52
TABLE, DIPLOE, DENSE, SUTURE = 1350, 620, 1900, 220
GLOBE, LENS, EDEMA = 10, 75, 21


_INNER = ("depth", "sulcus", "sulcus_mm", "wide", "high", "mid", "tent", "callosum", "island", "cistern", "stem",
          "deep", "folia")  # fmt: skip


def blend(hu: np.ndarray, share: np.ndarray, value: float | np.floating | np.ndarray) -> None:
    """Paint `value` over `hu` by the covered `share` of the pixel. Changes `hu`."""
    hu += share * (value - hu)


def fluid_spaces(
    f: Mapping[str, np.ndarray], pixel_mm: float, person: Person, swollen: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of fluid and of gray matter in the space of the brain, pixel by pixel.

    Args:
        f: fields of `anatomy.brain` and depth (mm from the dura), on pixels or on the grid.
        pixel_mm: size of a pixel.
        person: gives the width of the sulci and the thickness of the cortex.
        swollen: sulci widened by this factor (blood distends them).

    Returns:
        fluid: share of subarachnoid space. gray: share of the rest that is gray matter.
    """
    depth, wide = f["depth"], f["wide"]
    cerebrum = ramp(f["tent"], -1, 1)
    factor = np.float32(person.sulcus * swollen)
    rim = np.maximum(factor * (np.float32(0.75) + np.float32(0.55) * wide), np.float32(0.25)) + np.float32(0.4)
    half = np.maximum(factor * (np.float32(0.55) + np.float32(0.5) * wide) * f["high"], np.float32(0.05))
    over = depth - f["sulcus_mm"]
    half = half * (1 - ramp(over, -10, 0.5)) * cerebrum  # sulci taper toward their floor
    np.maximum(over, 0, out=over)
    fluid = sheet(f["sulcus"], half, pixel_mm)
    sulcus_mm = np.sqrt(f["sulcus"] * f["sulcus"] + over * over)  # mm from the nearest sulcus
    near = np.minimum(depth - rim, sulcus_mm)
    np.maximum(fluid, inside(depth - rim, pixel_mm), out=fluid)

    below = np.maximum(-f["callosum"], 0)
    mid = f["mid"] + np.float32(0.6) * wide
    split = factor * (np.float32(0.5) + np.float32(0.5) * wide) + np.float32(0.2)
    split = np.maximum(split, np.float32(0.3)) * ramp(f["callosum"], 0, 3) * cerebrum
    np.maximum(fluid, sheet(mid, split, pixel_mm), out=fluid)
    near = np.minimum(near, np.sqrt(mid * mid + below * below) - split)
    tent = np.abs(f["tent"])
    np.maximum(fluid, sheet(f["tent"], np.float32(0.4) * factor + np.float32(0.2), pixel_mm), out=fluid)
    near = np.minimum(near, tent)
    island = f["island"] - np.float32(0.7) * (factor - 1)
    np.maximum(fluid, inside(island, pixel_mm), out=fluid)
    near = np.minimum(near, island)
    np.maximum(fluid, inside(f["cistern"] - np.float32(0.8) * (factor - 1), pixel_mm), out=fluid)
    solid = inside(f["stem"], pixel_mm)
    fluid *= 1 - solid

    ribbon = np.float32(person.ribbon_mm) * (1 + np.float32(0.25) * wide)
    gray = np.clip((ribbon - near) * np.float32(0.45) + np.float32(0.5), 0, 1)
    np.maximum(gray, np.clip(np.float32(0.5) - f["deep"] * np.float32(0.5), 0, 1), out=gray)
    # the cerebellum: fine leaves, a white core on either side
    leaf = f["folia"] * np.float32(1 / 3.7)
    leaf = np.abs(leaf - np.floor(leaf) - np.float32(0.5)) * 2
    core = ramp(depth, 10, 20)
    small = np.float32(0.9) - np.float32(0.22) * leaf - np.float32(0.45) * core
    gray = small + cerebrum * (gray - small)
    gray += solid * (np.float32(0.42) - gray)
    return fluid, gray


def paint(level: Level, person: Person, bleeds: Sequence[Bleed]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One level.

    Args:
        level: function: `level(name)` reads a field at the level's pixels, or gives None if it is out of reach.
        person: of the head.
        bleeds: the bleeds; their fields are read as `level(type)`.

    Returns:
        hu: (y, x) float32, not blurred, no noise. shares: type to (y, x), exact share of the pixel that is that blood.
    """
    hu = _outside(level, level.pixel_mm, person)
    shares = {bleed.name: np.zeros_like(hu) for bleed in bleeds}
    inner = level.part("cavity", 1.5)
    if inner is not None:
        cavity = inner.values("cavity")
        room = inside(cavity, level.pixel_mm)
        within, blood = _brain(
            inner, level.pixel_mm, person, bleeds, inside(cavity + np.float32(DURA_MM), level.pixel_mm)
        )
        blend(hu[inner.box], room, within)
        for name, share in blood.items():
            shares[name][inner.box] = share
    return hu, shares


def _outside(at: Level, pixel_mm: float, person: Person) -> np.ndarray:
    """Scalp, face, skull, air: everything but the inside of the skull."""
    skin = at.values("skin")
    hu = np.full(skin.shape, AIR, np.float32)
    rough = at.values("rough")
    blend(hu, inside(skin, pixel_mm), np.float32(SKIN))
    blend(hu, inside(skin + np.float32(1.7), pixel_mm), FAT + 12 * rough)
    cavity, bone_mm = at("cavity", 25), at.values("bone_mm")
    muscle = at("muscle")
    deep = at("flesh")
    if deep is not None:  # face and neck: muscle with planes of fat
        planes = sheet(at.values("fat plane"), np.float32(1.5), pixel_mm)
        blend(hu, inside(np.maximum(deep, skin + 4), pixel_mm * 2), MUSCLE + 5 * rough - 110 * planes)
    if muscle is not None:
        grain = ramp(rough, 0.45, 0.75)  # fat between the fibers
        blend(hu, inside(np.maximum(muscle, skin + 3), pixel_mm), MUSCLE + 4 * rough - 90 * grain)
    if cavity is not None:
        blend(hu, inside(cavity - bone_mm - np.float32(0.9), pixel_mm), np.float32(35))  # periosteum, galea
    orbit = at("orbit")
    if orbit is not None:
        blend(hu, inside(orbit - np.float32(1.3), pixel_mm) * ramp(skin, -2, -8), np.float32(750))  # walls
    solid = at("solid")
    if solid is not None:
        marrow = inside(solid + np.float32(2.2), pixel_mm)
        blend(hu, inside(solid, pixel_mm), np.float32(person.table_hu * 0.82))
        blend(hu, marrow, np.float32(person.diploe_hu * 0.75) + 190 * rough)
    if cavity is not None:
        _vault(hu, at, cavity, bone_mm, rough, pixel_mm, person)
    if orbit is not None:
        blend(hu, inside(np.maximum(orbit, skin + 2), pixel_mm), np.float32(FAT))
        for name, value in (("cord", 50), ("globe", 48), ("lens", LENS)):
            part = at(name)
            if part is None:
                continue
            blend(hu, inside(part, pixel_mm), np.float32(value))
            if name == "globe":
                blend(hu, inside(part + np.float32(1.5), pixel_mm), np.float32(GLOBE))
    _air(hu, at, rough, skin, pixel_mm)
    return hu


def _vault(
    hu: np.ndarray,
    at: Level,
    cavity: np.ndarray,
    bone_mm: np.ndarray,
    rough: np.ndarray,
    pixel_mm: float,
    person: Person,
) -> None:
    """Two tables, marrow between them, sutures, the frontal sinus."""
    skull = inside(cavity - bone_mm, pixel_mm)
    blend(hu, skull, person.table_hu + 120 * rough)
    table = np.float32(person.table_mm) * (1 + np.float32(0.2) * rough)
    between = np.minimum(inside(cavity - bone_mm + table, pixel_mm), inside(table * np.float32(0.9) - cavity, pixel_mm))
    blend(hu, between, person.diploe_hu + 260 * rough)
    suture = at("suture")
    if suture is not None:
        blend(hu, skull * sheet(suture, np.float32(0.45), pixel_mm), np.float32(SUTURE))
    frontal = at("frontal")
    if frontal is not None:
        hollow = np.maximum(np.maximum(cavity - bone_mm + np.float32(1.7), np.float32(1.7) - cavity), frontal)
        blend(hu, inside(hollow, pixel_mm), np.float32(AIR))


def _air(hu: np.ndarray, at: Level, rough: np.ndarray, skin: np.ndarray, pixel_mm: float) -> None:
    """Sinuses with thin walls, honeycombs, nose and throat."""
    antrum, cells, air, dense = (at(name) for name in ("antrum", "cells", "air", "dense"))
    if dense is not None:
        blend(hu, inside(dense, pixel_mm), np.float32(DENSE))
    for cavity in (antrum, cells):
        if cavity is not None:
            blend(hu, inside(cavity - np.float32(1.1), pixel_mm) * ramp(skin, -2, -6), np.float32(800))
    if antrum is not None:
        blend(hu, inside(antrum, pixel_mm), np.float32(AIR))
    if cells is not None:
        wall = np.maximum(sheet(at.values("comb"), np.float32(0.6), pixel_mm), 1.2 - 6 * np.abs(rough))
        wall = np.clip(wall, 0, 1)
        blend(hu, inside(cells, pixel_mm), AIR + 1500 * wall)
    if air is not None:
        turbinate = sheet(at.values("comb"), np.float32(1.0), pixel_mm)
        blend(hu, inside(air - np.float32(1.6), pixel_mm) * ramp(skin, -2, -6), np.float32(60))
        blend(hu, inside(air, pixel_mm), AIR + 700 * turbinate * (at.values("nose") > 0))


def _bleed_covers(
    at: Level,
    f: dict[str, np.ndarray],
    fluid: np.ndarray,
    pixel_mm: float,
    person: Person,
    bleeds: Sequence[Bleed],
    room: np.ndarray,
) -> tuple[np.ndarray, list[tuple[Bleed, np.ndarray | None, np.ndarray]]]:
    """Fluid, widened by subarachnoid blood, and each bleed with its field and its share of each pixel."""
    free_room, covers = room.copy(), []
    for bleed in bleeds:
        field = at(bleed.name)
        if field is None:
            share = np.zeros_like(fluid)
        elif bleed.name == "subarachnoid":
            swollen, _ = fluid_spaces(f, pixel_mm, person, person.swollen)
            fluid = fluid + field * (swollen - fluid)
            share = fluid * field * free_room
        else:
            share = inside(field, pixel_mm)
            # a layer may be thinner than a pixel: the part under its top, minus the part under its floor
            if bleed.floor is not None:
                share = np.maximum(share - inside(at.values(bleed.name + " floor"), pixel_mm), 0)
            elif bleed.name != "intraventricular":
                share = np.maximum(share + room - 1, 0)
            share = np.minimum(share, free_room)
        free_room = free_room - share
        covers.append((bleed, field, share))
    return fluid, covers


def _brain(
    at: Level, pixel_mm: float, person: Person, bleeds: Sequence[Bleed], room: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """HU of the inside of the skull, and the shares of blood, as if the inside filled the whole picture."""
    f = {name: at.values(name) for name in _INNER}
    fluid, gray = fluid_spaces(f, pixel_mm, person)
    fluid, covers = _bleed_covers(at, f, fluid, pixel_mm, person, bleeds, room)
    white, gray_hu = np.float32(person.white_hu), np.float32(person.gray_hu)
    pale = at("pale")
    hu = white + gray * (gray_hu - white)
    if pale is not None:
        hu -= inside(pale, 8.0) * (1 - gray) * np.float32(person.pale_hu)
    old = at("infarct")
    if old is not None:
        hu += inside(old, 3.0) * (np.float32(14) - hu)
    for bleed, field, _ in covers:
        if bleed.name == "intraparenchymal" and field is not None:
            rim = inside(field - np.float32(person.edema_mm) * (1 + np.float32(0.5) * f["wide"]), 2.0)
            hu += rim * (EDEMA - hu) * np.float32(0.9)
    blend(hu, fluid, np.float32(person.csf_hu))
    hu += (1 - room) * (DURA - hu)
    vessel = at("vessel")
    if vessel is not None:
        blend(hu, inside(vessel, pixel_mm), np.float32(47))
    ventricle = at("ventricle")
    if ventricle is not None:
        blend(hu, inside(ventricle, pixel_mm), np.float32(person.csf_hu))
        plexus = at("plexus")
        if plexus is not None:
            blend(hu, inside(plexus, pixel_mm) * inside(ventricle - 1, pixel_mm), np.float32(38))
    _dura(hu, at, f, pixel_mm, person)
    calcification = at("calcification")
    if calcification is not None:
        blend(hu, inside(calcification, pixel_mm), person.calcification_hu * (1 + np.float32(0.4) * at.values("rough")))
    rim = ramp(f["depth"], 16, 0)
    # remaining scatter and hardening brighten the surroundings of the skull
    hu += np.float32(person.cup_hu) * rim * rim
    for bleed, _, share in covers:
        blend(hu, _final_shares(share, covers, bleed), bleed.hu + 3 * at.values("rough"))
    return hu, {bleed.name: share for bleed, _, share in covers}


def _final_shares(
    share: np.ndarray, covers: Sequence[tuple[Bleed, np.ndarray | None, np.ndarray]], bleed: Bleed
) -> np.ndarray:
    """Cover that leaves each bleed its share after all are painted."""
    after = np.zeros_like(share)
    is_reached = False
    for other_bleed, _, part in covers:
        if is_reached:
            after += part
        is_reached = is_reached or other_bleed is bleed
    return np.clip(share / np.maximum(1 - after, np.float32(1e-3)), 0, 1)


def _dura(hu: np.ndarray, at: Level, f: Mapping[str, np.ndarray], pixel_mm: float, person: Person) -> None:
    """Falx, tentorium and the venous sinuses in their edges."""
    falx = at("falx")
    if falx is not None:
        blend(
            hu,
            sheet(at.values("flat_mid"), np.float32(person.falx_mm), pixel_mm) * inside(falx, 2.0),
            np.float32(DURA),
        )
    tent = at("tent_edge")
    if tent is not None:
        blend(hu, sheet(f["tent"], np.float32(0.55), pixel_mm) * inside(tent, 2.0), np.float32(DURA))
    sinus = at("sinus")
    if sinus is not None:
        blend(hu, inside(sinus, pixel_mm), np.float32(person.sinus_hu))
