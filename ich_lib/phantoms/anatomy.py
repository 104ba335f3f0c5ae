"""The head as distances: skull, brain, fluid, air and face of one random person.

Head coordinates are mm in a standard adult: +x left, +y back, +z head, origin in the midline between the inner ear
canals. The inner table then reaches from y = -82 (forehead) to 82 (occiput), to |x| = 68 and up to z = 113. A person is
that standard head, stretched, bent by slow random waves, turned and shifted.

`atlas` holds the positions of the standard head's parts.
"""

from dataclasses import dataclass

import numpy as np

from ich_lib.phantoms import atlas
from ich_lib.phantoms.atlas import Blob
from ich_lib.phantoms.grid import Draw, lattice, ramp, union
from ich_lib.phantoms.space import FAR_MM, Space

BRAIN_CENTER = (0.0, 0.0, 35.0)


@dataclass(frozen=True)
class Person:
    """The properties of a person besides the shape: age, CT numbers, calcium.

    Attributes:
        ventricle, sulcus, swollen, cistern: factors of width; `swollen` is that of sulci distended by blood.
        ribbon_mm, falx_mm, edema_mm, table_mm: thickness of cortex, falx, edema around a clot, tables of the skull.
        gray_hu, white_hu, csf_hu, sinus_hu, table_hu, diploe_hu, calcification_hu: CT numbers.
        pale_hu: lowered HU of white matter disease of age around the ventricles.
        cup_hu: remaining effect of scatter and hardening beside the skull.
        choroid_calcification, pineal_calcification, falx_calcification, ganglia_calcification: which calcifications are
            present.
        blur_mm: SD of the blur of the scanner's kernel.
    """

    ventricle: float
    sulcus: float
    swollen: float
    cistern: float
    ribbon_mm: float
    gray_hu: float
    white_hu: float
    csf_hu: float
    pale_hu: float
    sinus_hu: float
    cup_hu: float
    falx_mm: float
    edema_mm: float
    table_hu: float
    diploe_hu: float
    table_mm: float
    calcification_hu: float
    choroid_calcification: bool
    pineal_calcification: bool
    falx_calcification: bool
    ganglia_calcification: bool
    blur_mm: float


def draw_person(draw: Draw, child: bool) -> Person:
    """Draw a random person."""
    old = 0.0 if child else round(draw.uniform(0, 1) ** 2, 5)
    sulcus = round((draw.uniform(0.35, 0.6) if child else draw.uniform(0.45, 0.85)) + 0.8 * old, 4)
    gray = 40.2 + draw.uniform(-2.3, 2.3)
    return Person(
        ventricle=round(draw.uniform(0.8, 1.15) + 0.55 * old, 4),
        sulcus=sulcus,
        swollen=round(max(2.2, 1.9 / sulcus), 4),  # blood distends narrow sulci the most
        cistern=round(draw.uniform(0.8, 1.1) + 0.25 * old, 4),
        ribbon_mm=draw.uniform(3.6, 4.6),
        gray_hu=gray,
        white_hu=gray - draw.uniform(7.5, 10.0),
        csf_hu=draw.uniform(4, 9),
        pale_hu=draw.uniform(2, 8) * old,  # white matter disease of age, around the ventricles
        sinus_hu=draw.uniform(43, 52),
        cup_hu=draw.uniform(2, 8),
        falx_mm=draw.uniform(0.4, 0.75),
        edema_mm=draw.uniform(2.5, 6),
        table_hu=draw.uniform(900, 1150) if child else draw.uniform(1150, 1500),
        diploe_hu=draw.uniform(600, 850) if child else draw.uniform(500, 800),
        table_mm=draw.uniform(0.8, 1.1) if child else draw.uniform(0.9, 1.6),
        calcification_hu=draw.uniform(180, 420),
        choroid_calcification=not child and draw.chance(0.35 + 0.5 * old),
        pineal_calcification=not child and draw.chance(0.45 + 0.2 * old),
        falx_calcification=not child and draw.chance(0.15 * old),
        ganglia_calcification=False,
        blur_mm=draw.uniform(0.4, 0.65),
    )


def skull(s: Space, draw: Draw) -> dict[str, np.ndarray]:
    """Distances (mm, negative inside) of everything outside the brain.

    Returns:
        cavity: the inside of the skull. bone_mm: thickness of the skull over it. solid: bone of base and face.
        skin: the head's surface. air: sinuses, nose, throat. cells: honeycombs of ethmoid and mastoid. orbit, globe,
        lens, cord (optic nerves and eye muscles), muscle, suture, dense (inner ear), frontal (sinus in frontal bone).
    """
    x, y, z = s.x, s.y, s.z
    out = {}
    solid = s.field(atlas.BASE)
    # the inner table has the impressions of the brain
    cavity = _cavity(s, draw) + s.grid.waves(draw, 22) * np.float32(1.1)
    cavity = np.maximum(cavity, -solid)
    out["cavity"] = cavity

    rough = s.grid.waves(draw, 26)
    full = draw.uniform(3.2, 4.5) if s.pose.child else draw.uniform(4.3, 7.0)
    bone = full * (1 + np.float32(0.22) * rough)
    temple = ramp(np.abs(x), 48, 60) * ramp(z, 55, 35)  # the temporal squama is thin
    bone *= 1 - np.float32(0.45) * temple
    bone *= 1 - np.float32(0.4) * ramp(z, 6, -2) * ramp(-y, -8, 6)  # and so is the floor of the middle fossa
    midline = 1 - ramp(np.abs(x), 4, 26)
    bone += midline * ramp(y, 58, 76) * (1 - ramp(np.abs(z - 10), 8, 30)) * np.float32(4)
    brow = (1 - ramp(np.abs(x), 16, 34)) * ramp(-y, 58, 74) * (1 - ramp(np.abs(z - 24), 6, 20))
    bone += brow * np.float32(draw.uniform(3, 8))
    out["bone_mm"] = bone
    hollow = draw.uniform(0.35, 0.85)
    out["frontal"] = np.maximum((hollow - brow) * 14 + 2 * rough, np.float32(0.6) - np.abs(x - 2 * rough))

    _face(s, draw, out, solid)
    fat = draw.uniform(2.2, 4.0) if s.pose.child else draw.uniform(3.0, 6.5)
    dome = cavity - bone - np.float32(fat) * (1 + np.float32(0.25) * s.grid.waves(draw, 45))
    muscle = out["muscle"]
    out["skin"] = union(union(dome, out.pop("face"), 14), muscle - np.float32(3), 12)
    out["solid"] = solid
    out["suture"] = _sutures(s, draw)
    return out


def _cavity(s: Space, draw: Draw) -> np.ndarray:
    """The cranial cavity: vault, middle fossae, posterior fossa, canal."""
    x, y, z = s.x, s.y, s.z
    v = y * np.float32(1 / 82)
    width = (
        1 + np.float32(draw.uniform(0.05, 0.13)) * v - np.float32(0.05) * v * v
    )  # egg-shaped: widest behind the ears
    below = np.maximum(45 - z, 0) * np.float32(1 / 135)
    width *= 1 - below * below
    u = x * np.float32(1 / 68) / np.maximum(width, np.float32(0.2))
    w = np.maximum(z - 45, 0) * np.float32(1 / 68)
    u, v, w = u * u, v * v, w * w
    square = np.float32(draw.uniform(0.15, 0.5))  # squarer than an ellipsoid
    sphere = u + v + w
    corners = (u * v + np.float32(0.6) * (v * w + u * w)) / (np.float32(0.5) + np.float32(0.5) * sphere)
    vault = np.sqrt(sphere - square * corners) - 1
    vault = s.grid.distance(vault, 1 / 100)
    floor = 18 - 8 * ramp(y, -45, -37) - 8 * ramp(y, -13, -4)  # roof of the orbits, sella, tentorium's edge
    floor -= 6 * (1 - ramp(np.abs(x), 4, 9)) * ramp(-y, 44, 48)  # cribriform plate
    cavity = -union(-vault, (z - floor) * np.float32(s.scale), 6)
    middle = s.field(atlas.MIDDLE_FOSSA)
    ground = (-10 + 4 * s.grid.waves(draw, 13) - z) * np.float32(s.scale)  # its floor is nearly flat
    cavity = union(cavity, np.maximum(middle, ground), 10)
    s.add(cavity, atlas.POSTERIOR_FOSSA_AND_CANAL)
    return cavity


def _face(s: Space, draw: Draw, out: dict[str, np.ndarray], solid: np.ndarray) -> None:
    """Orbits, sinuses, cheek bones, jaw, ears, neck. Changes `out` and `solid`."""
    out["face"] = _outline(s, draw)
    out |= s.fields(atlas.eyes(draw.uniform(-2, 2)))
    grown = draw.uniform(0.75, 1.15)
    out |= s.fields(atlas.hollows(grown))
    uneven = 4 * s.grid.waves(draw, 9)
    out["cells"] = out["cells"] + uneven
    out["antrum"] = out["antrum"] + np.float32(0.4) * uneven
    ring = np.maximum(s.field(atlas.FIRST_VERTEBRA), -s.field(atlas.ITS_HOLE))
    solid[...] = np.minimum(solid, np.minimum(s.field(atlas.outer_bones(grown)), ring))
    out["dense"] = s.field(atlas.INNER_EAR)
    out["muscle"] = s.field(atlas.MUSCLES)


def _outline(s: Space, draw: Draw) -> np.ndarray:
    """Distance from the surface of face and neck, with the ears."""
    face = np.full(s.grid.shape, 60, np.float32)
    Space(s.grid, s.pose, s.x, s.y, s.z, reach_mm=60).add(face, atlas.HEAD_AND_NECK)
    s.add(face, atlas.NOSE_AND_CHEEKS)
    flap = draw.uniform(0.3, 0.6)
    for side in (1, -1):  # ears: curled plates standing off the head
        bow = side * s.x - 80 - np.float32(flap) * (s.y - 12) + 2 * s.grid.waves(draw, 9)
        face = np.minimum(face, np.maximum(s.field(atlas.ear(side)), np.abs(bow) - np.float32(1.9)))
    return face


def _sutures(s: Space, draw: Draw) -> np.ndarray:
    """Distance from the sutures of the vault, with their zigzag."""
    jag = 2.2 * s.grid.waves(draw, 5)
    marks = suture_planes(s)
    coronal, lambdoid, sagittal = marks["coronal"] + jag, marks["lambdoid"] + jag, s.x + jag
    front, back = marks["coronal"] < 0, marks["lambdoid"] < 0
    sagittal = np.where(front | back, FAR_MM, sagittal)
    coronal = np.where(s.z < 30, FAR_MM, coronal)
    lambdoid = np.where(s.z < 5, FAR_MM, lambdoid)
    near = np.where(np.abs(coronal) < np.abs(lambdoid), coronal, lambdoid)
    return np.where(np.abs(near) < np.abs(sagittal), near, sagittal)


def suture_planes(s: Space) -> dict[str, np.ndarray]:
    """Signed mm from the sutures' planes: negative in front of the coronal, negative behind and below the lambdoid.

    Bregma lies at (0, -22, 113), the pterion at (60, -38, 35); lambda at (0, 72, 78), the asterion at (52, 62, 18).
    """
    coronal = (s.y + 22 + np.float32(0.2) * (113 - s.z)) * np.float32(0.98 * s.scale)
    lambdoid = (s.z - 78 + np.float32(1.15) * np.abs(s.x)) * np.float32(0.656 * s.scale)
    lambdoid = np.where(s.y > 20, lambdoid, FAR_MM)
    return {"coronal": coronal, "lambdoid": lambdoid}


def tentorium(s: Space) -> np.ndarray:
    """mm above the tentorium: a tent from the petrous edges and the transverse sinuses up to the straight sinus."""
    x, y = np.abs(s.x), s.y
    petrous = np.float32(0.57) * x - 22 - y
    ridge = 34 - np.float32(0.42) * np.maximum(y - 26, 0) - np.float32(0.30) * np.maximum(26 - y, 0)
    height = ridge - x * (np.float32(0.62) - np.float32(0.25) * ramp(x, 20, 60))
    above = (s.z - np.maximum(height, 3)) * np.float32(0.85 * s.scale)
    return np.maximum(above, petrous * np.float32(0.87 * s.scale))  # in front of the petrous edges all is cerebrum


def brain(s: Space, draw: Draw, person: Person) -> dict[str, np.ndarray]:
    """Distances inside the cavity, in the (possibly displaced) coordinates of `s`.

    Args:
        s: coordinates of the brain; a mass pushes them.
        draw: its stream of random numbers.
        person: gives the widths of ventricles and cisterns.
    """
    out = {"mid": s.x * np.float32(s.scale), "tent": tentorium(s)}
    out["sulcus"], out["sulcus_mm"] = _sulci(s, draw)
    out["wide"] = s.grid.waves(draw, 22)
    out["folia"] = _folia(s, draw)
    v = person.ventricle
    lateral = s.field(tube.wider(v) for tube in atlas.LATERAL_VENTRICLES)
    lateral = np.maximum(lateral, np.float32(0.8) - np.abs(out["mid"]))  # septum pellucidum
    third = s.field(tube.wider(v) for tube in atlas.THIRD_VENTRICLE)
    out["ventricle"] = union(union(lateral, third, 2), s.field(atlas.FOURTH_VENTRICLE), 2)
    out |= s.fields(atlas.INNER)
    out["cistern"] = s.field(atlas.cisterns(person.cistern))
    x, y, z = (v + 2.5 * s.grid.waves(draw, 13) for v in (s.x, s.y, s.z))
    s = Space(s.grid, s.pose, x, y, z, reach_mm=s.reach_mm + 3)
    out["island"] = s.field(atlas.ISLAND)
    # the fissure between the halves ends on the corpus callosum, an ellipse in the midline plane
    ry, rz = (s.y - 2) * np.float32(1 / 40), (s.z - 42) * np.float32(1 / 26)
    out["callosum"] = (np.sqrt(ry * ry + rz * rz) - 1) * np.float32(28)
    return out


def _sulci(s: Space, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Signed mm from the nearest sulcus, and how deep (mm) the sulci cut at each place.

    Sulci are the zero lines of noise on the brain's surface, continued inward. So they cut in steeply and meander, as
    in a section. Dividing by the slope converts them to mm and makes every sulcus equally thin.
    """
    x, y, z = (v - np.float32(c) for v, c in zip((s.x, s.y, s.z), BRAIN_CENTER, strict=True))
    rho = np.sqrt(x * x * np.float32(1 / 66**2) + y * y * np.float32(1 / 80**2) + z * z * np.float32(1 / 76**2))
    out = 1 / (np.float32(0.45) + np.float32(0.55) * np.maximum(rho, np.float32(0.2)))
    wander = [4 * s.grid.waves(draw, 14) for _ in range(3)]
    x, y, z = x * out + wander[0], y * out + wander[1], z * out + wander[2]
    fine = np.float32(1 / draw.uniform(9.5, 11.5))
    # two lattices at an angle hide each other's rows
    f = lattice(draw, x * fine, y * fine, z * fine)
    a, b = np.float32(0.8) * fine, np.float32(0.6) * fine
    f = f + lattice(draw, a * x + b * y + 7, a * y - b * x + 3, z * fine + np.float32(0.5))
    signed = s.grid.distance(f, 0.045)
    deep = 17 + 10 * s.grid.waves(draw, 16)
    return signed, deep * np.float32(s.scale)


def _folia(s: Space, draw: Draw) -> np.ndarray:
    """Mm from the middle of the cerebellum, bent by waves: its leaves are shells of one distance."""
    y, z = s.y - 22, s.z - 2
    return np.sqrt(y * y + z * z + np.float32(0.35) * s.x * s.x) + 2 * s.grid.waves(draw, 12)


def dura(s: Space, cavity: np.ndarray, inner: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The edges of falx and tentorium, and the venous sinuses. Dura is stiff: a mass bends it half as far as the brain.

    Args:
        s: head coordinates, not pushed.
        cavity: mm from the inner table, negative inside.
        inner: the fields of `brain`.
    """
    flat_mid = np.float32(0.5) * (s.x * np.float32(s.scale) + inner["mid"])
    # sickle-shaped: low over the corpus callosum behind, shallow in front
    falx = 4 + 10 * ramp(-s.y, -10, 50) - inner["callosum"]
    falx = np.maximum(falx, -inner["tent"])
    out = {"flat_mid": flat_mid, "falx": falx}
    gap = np.abs(s.x) * np.abs(s.x) * np.float32(1 / 17**2)
    gap = gap + (s.y - 8) * (s.y - 8) * np.float32(1 / 23**2)
    notch = (1 - np.sqrt(gap)) * 17  # the gap through which the midbrain passes
    out["tent_edge"] = np.maximum(notch, -2 - s.y - 0 * s.x)
    upper = np.abs(s.x) * np.float32(s.scale) + np.float32(0.8) * np.abs(cavity) - 5
    upper = np.where((s.z > 8) & (s.y > -70), upper, FAR_MM)
    out["sinus"] = np.minimum(upper, s.field(atlas.SINUSES))
    return out


def calcification(s: Space, person: Person, draw: Draw) -> np.ndarray:
    """Distance from calcium: plexus, pineal gland, falx, basal ganglia, as in `person`."""
    field = s.empty()
    grain = 1.2 * s.grid.waves(draw, 4)
    if person.choroid_calcification:
        size = draw.uniform(2.0, 3.4)
        field = np.minimum(field, s.field([Blob((23.5, 32, 43), (size, size, 4), both=True)]) + grain)
    if person.pineal_calcification:
        size = draw.uniform(1.8, 3.0)
        field = np.minimum(field, s.field([Blob((0, 27, 37), (size, size, 3))]) + np.float32(0.6) * grain)
    if person.falx_calcification:
        y, z = draw.uniform(-60, -30), draw.uniform(60, 82)
        patch = Blob((0, y, z), (1.8, draw.uniform(7, 14), draw.uniform(6, 10)))
        field = np.minimum(field, s.field([patch]) + grain)
    if person.ganglia_calcification:
        s.add(field, [Blob((20, -2, 38), (3, 6, 5), both=True)])
        field = field + grain
    return field


def vessels(s: Space) -> np.ndarray:
    """Distance from the large arteries of the base: basilar, carotid, middle cerebral."""
    return s.field(atlas.ARTERIES)


def infarct(s: Space, draw: Draw) -> np.ndarray:
    """Distance from an old infarct: a dark wedge of cortex and white matter, no blood."""
    side = draw.pick((1, -1))
    y, z = draw.uniform(0, 50), draw.uniform(45, 75)
    wedge = Blob((side * 56, y, z), (draw.uniform(15, 24), draw.uniform(12, 20), draw.uniform(10, 18)))
    return s.field([wedge]) + 6 * s.grid.waves(draw, 12)


def muscle(s: Space, skin: np.ndarray, draw: Draw) -> np.ndarray:
    """Distance from the muscle of face and neck: low down, under the fat of the skin."""
    return np.maximum(
        skin + 10 + 5 * s.grid.waves(draw, 14), s.z + 3 - np.float32(0.3) * s.y + 5 * s.grid.waves(draw, 20)
    )
