"""The head as distances: where skull, brain, fluid, air and face lie in one drawn person.

Head coordinates are mm in a standard adult: +x left, +y back, +z head, origin in the midline between the inner ear
canals. The inner table then reaches from y = -82 (forehead) to 82 (occiput), to |x| = 68 and up to z = 113. A person is
that standard head, stretched, bent by slow random waves, turned and shifted.

Positions were set by eye against axial sections: midbrain at z = 20, pineal gland at 38, roof of the lateral
ventricles at 64.
"""

import math

import numpy as np

from ich_lib.phantoms.grid import STEP_MM, Draw, Grid, lattice, ramp, union

FAR = np.float32(30)  # mm: value of a distance field where nothing is near
BRAIN_CENTER = (0.0, 0.0, 35.0)


class Space:
    """Head coordinates on the grid, and shapes drawn into them.

    Attributes:
        x, y, z: head coordinates (mm of the standard head) of every grid point.
        scale: real mm per standard mm, on average; distances are handed out in real mm.
    """

    def __init__(self, grid: Grid, pose: dict, x: np.ndarray, y: np.ndarray, z: np.ndarray, reach_mm: float = 9.0):
        self.grid, self.pose, self.x, self.y, self.z, self.reach_mm = grid, pose, x, y, z, reach_mm
        self.scale = pose["scale"]

    def empty(self) -> np.ndarray:
        return np.full(self.grid.shape, FAR, np.float32)

    def blob(self, field: np.ndarray, center, radii, *, both: bool = False, soft: float = 0.0, turn: float = 0.0):
        """Add an ellipsoid; `turn` (mm of y per mm of x, mirrored with the side) slants its long axis."""
        for side in (1, -1) if both else (1,):
            c = (side * center[0], center[1], center[2])
            block = self._block([c], max(radii))
            u = (self.x[block] - c[0]) * np.float32(1)
            v = self.y[block] - np.float32(c[1])
            w = (self.z[block] - np.float32(c[2])) * np.float32(1 / radii[2])
            if turn:
                norm = 1 / math.sqrt(1 + turn * turn)
                cosine, sine = np.float32(round(norm, 6)), np.float32(round(side * turn * norm, 6))
                u, v = cosine * u + sine * v, cosine * v - sine * u
            u *= np.float32(1 / radii[0])
            v = v * np.float32(1 / radii[1])
            rho = np.sqrt(u * u + v * v + w * w)
            u *= np.float32(1 / radii[0])
            v *= np.float32(1 / radii[1])
            w *= np.float32(1 / radii[2])
            slope = np.sqrt(u * u + v * v + w * w)
            # value over slope is exact on the surface (Inigo Quilez, "ellipsoid - distance"); the middle needs a floor
            new = rho * (rho - 1) / np.maximum(slope, np.float32(1e-3 / max(radii))) * np.float32(self.scale)
            self._merge(field, block, new, soft)

    def tube(self, field: np.ndarray, a, b, ra: float, rb: float, *, both=False, soft=0.0, flat=(1.0, 1.0, 1.0)):
        """Add a round cone from `a` to `b`; `flat` > 1 along an axis squeezes it along that axis."""
        flat = np.array(flat)
        for side in (1, -1) if both else (1,):
            start, end = (np.array([side * p[0], p[1], p[2]]) * flat for p in (a, b))
            block = self._block([start / flat, end / flat], max(ra, rb) / min(flat))
            ux, uy, uz = (
                v[block] * np.float32(f) - np.float32(s)
                for v, f, s in zip((self.x, self.y, self.z), flat, start, strict=True)
            )
            dx, dy, dz = (np.float32(v) for v in end - start)
            along = (ux * dx + uy * dy + uz * dz) * np.float32(1 / float(dx * dx + dy * dy + dz * dz))
            along = np.clip(along, 0, 1)
            ux, uy, uz = ux - along * dx, uy - along * dy, uz - along * dz
            new = np.sqrt(ux * ux + uy * uy + uz * uz) - (np.float32(ra) + along * np.float32(rb - ra))
            self._merge(field, block, new * np.float32(self.scale / max(flat)), soft)

    def _merge(self, field, block, new, soft):
        field[block] = union(field[block], new, soft) if soft else np.minimum(field[block], new)

    def _block(self, points, radius: float) -> tuple[slice, slice, slice]:
        """Part of the grid within reach of these points: far from a shape nobody asks for its distance."""
        places = np.array([self.pose["place"](p) for p in points])
        reach = radius * self.scale * 1.08 + self.reach_mm
        low, high = places.min(axis=0) - reach, places.max(axis=0) + reach
        return tuple(
            slice(max(0, int((lo - axis[0]) / STEP_MM)), max(0, int((hi - axis[0]) / STEP_MM) + 2))
            for lo, hi, axis in zip(low, high, self.grid.axes, strict=True)
        )


def pose(draw: Draw, grid: Grid) -> Space:
    """Draw how a head is sized and laid into the scanner, and give its coordinates on the grid.

    Size: the inner cranium of adults is 165 mm long and 135 wide, +- 5 %; children's are smaller and rounder.
    Positioning: a few degrees each of yaw, roll and nod, a few mm off the middle.
    """
    child = draw.chance(0.2)
    size = draw.uniform(0.88, 0.97) if child else draw.uniform(0.94, 1.05)
    sx, sy, sz = (round(size * draw.uniform(0.96, 1.04), 5) for _ in range(3))
    angles = [draw.between(-r, 0, r) for r in (8, 4, 7)]  # yaw, roll, nod in degrees
    shift = [draw.uniform(-7, 7), draw.uniform(-2, 8), draw.uniform(-5, 5)]
    turn = _rotation(*angles)

    def place(point):
        """Head point (standard mm) to (z, y, x) image coordinates in mm."""
        scaled = [p * s for p, s in zip(point, (sx, sy, sz), strict=True)]
        scaled[2] -= 40 * sz
        wx, wy, wz = (sum(turn[r][c] * scaled[c] for c in range(3)) + shift[r] for r in range(3))
        cosine, sine = grid.lean
        return wz + 40 * sz - wy / cosine * sine, wy / cosine, wx

    wx, wy, wz = grid.points()
    wx, wy, wz = wx - np.float32(shift[0]), wy - np.float32(shift[1]), wz - np.float32(shift[2] + 40 * sz)
    # the inverse of a rotation is its transpose
    x, y, z = (
        (wx * np.float32(turn[0][c]) + wy * np.float32(turn[1][c]) + wz * np.float32(turn[2][c])) for c in range(3)
    )
    x, y, z = x * np.float32(1 / sx), y * np.float32(1 / sy), z * np.float32(1 / sz) + np.float32(40)
    bend = [grid.waves(draw, 55) for _ in range(2)]  # no head is symmetric
    x = x + bend[0] * np.float32(2.2)
    y = y + bend[1] * np.float32(2.2)
    facts = {"scale": round((sx + sy + sz) / 3, 5), "place": place, "child": child, "angles": angles, "shift": shift}
    return Space(grid, facts, x, y, z)


def person(draw: Draw, child: bool) -> dict:
    """What tells one head from another besides its shape: age, CT numbers, calcium. HU unless named mm or a factor."""
    old = 0.0 if child else round(draw.uniform(0, 1) ** 2, 5)
    sulcus = round((draw.uniform(0.35, 0.6) if child else draw.uniform(0.45, 0.85)) + 0.8 * old, 4)
    gray = 40.2 + draw.uniform(-2.3, 2.3)
    return {
        "ventricle": round(draw.uniform(0.8, 1.15) + 0.55 * old, 4),
        "sulcus": sulcus,
        "swollen": round(max(2.2, 1.9 / sulcus), 4),  # blood distends narrow sulci the most
        "cistern": round(draw.uniform(0.8, 1.1) + 0.25 * old, 4),
        "ribbon_mm": draw.uniform(3.6, 4.6),
        "gray_hu": gray,
        "white_hu": gray - draw.uniform(7.5, 10.0),
        "csf_hu": draw.uniform(4, 9),
        "pale_hu": draw.uniform(2, 8) * old,  # white matter disease of age, around the ventricles
        "sinus_hu": draw.uniform(43, 52),
        "cup_hu": draw.uniform(2, 8),
        "falx_mm": draw.uniform(0.4, 0.75),
        "edema_mm": draw.uniform(2.5, 6),
        "table_hu": draw.uniform(900, 1150) if child else draw.uniform(1150, 1500),
        "diploe_hu": draw.uniform(600, 850) if child else draw.uniform(500, 800),
        "table_mm": draw.uniform(0.8, 1.1) if child else draw.uniform(0.9, 1.6),
        "lime_hu": draw.uniform(180, 420),
        "choroid lime": not child and draw.chance(0.35 + 0.5 * old),
        "pineal lime": not child and draw.chance(0.45 + 0.2 * old),
        "falx lime": not child and draw.chance(0.15 * old),
    }


def _rotation(yaw: float, roll: float, nod: float) -> list[list[float]]:
    """Rotation matrix, entries rounded so that no libm's last bit shows."""
    (cy, sy), (cr, sr), (cn, sn) = ((math.cos(math.radians(a)), math.sin(math.radians(a))) for a in (yaw, roll, nod))
    about_z = [[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]
    about_y = [[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]]
    about_x = [[1, 0, 0], [0, cn, -sn], [0, sn, cn]]
    out = about_z
    for other in (about_y, about_x):
        out = [[sum(out[r][k] * other[k][c] for k in range(3)) for c in range(3)] for r in range(3)]
    return [[round(v, 7) for v in row] for row in out]


def skull(s: Space, draw: Draw) -> dict[str, np.ndarray]:
    """Distances (mm, negative inside) of everything that is not brain.

    Returns:
        cavity: the inside of the skull. bone_mm: thickness of the skull over it. solid: bone of base and face.
        skin: the head's surface. air: sinuses, nose, throat. cells: honeycombs of ethmoid and mastoid. orbit, globe,
        lens, cord (optic nerves and eye muscles), muscle, suture, dense (inner ear), frontal (sinus in frontal bone).
    """
    x, y, z = s.x, s.y, s.z
    out = {}
    solid = s.empty()
    s.tube(solid, (62, 15, -4), (38, 2, 2), 11, 8, both=True, soft=4)  # petrous pyramids
    s.tube(solid, (38, 2, 2), (13, -13, 4), 8, 4.5, both=True, soft=3)
    s.tube(solid, (0, -13, 11), (0, 2, -30), 3.6, 6, soft=3, flat=(0.5, 1, 1))  # clivus, its top the dorsum sellae
    s.tube(solid, (20, -39, 14), (50, -42, 15), 5, 5, both=True, soft=4)  # sphenoid ridge
    s.tube(solid, (11, -24, 14), (20, -37, 17), 2.2, 3, both=True, soft=2)  # anterior clinoids
    cavity = _cavity(s, draw) + s.grid.waves(draw, 22) * np.float32(1.1)  # the inner table bears the brain's print
    cavity = np.maximum(cavity, -solid)
    out["cavity"] = cavity

    rough = s.grid.waves(draw, 26)
    full = draw.uniform(3.2, 4.5) if s.pose["child"] else draw.uniform(4.3, 7.0)
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
    fat = draw.uniform(2.2, 4.0) if s.pose["child"] else draw.uniform(3.0, 6.5)
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
    middle = s.empty()
    s.blob(middle, (38, -15, 5), (27, 32, 24), both=True)
    ground = (-10 + 4 * s.grid.waves(draw, 13) - z) * np.float32(s.scale)  # its floor is nearly flat
    cavity = union(cavity, np.maximum(middle, ground), 10)
    s.blob(cavity, (0, 37, -1), (53, 42, 31), soft=8)
    s.tube(cavity, (0, 12, -18), (0, 22, -90), 15, 11, soft=6)
    return cavity


def _face(s: Space, draw: Draw, out: dict, solid: np.ndarray) -> None:
    """Orbits, sinuses, cheek bones, jaw, ears, neck."""
    face = s.empty()
    face[...] = 60
    wide = Space(s.grid, s.pose, s.x, s.y, s.z, reach_mm=60)
    wide.blob(face, (0, -36, -24), (64, 63, 62))
    wide.tube(face, (0, 22, -14), (0, 26, -95), 62, 56, soft=12)
    s.blob(face, (0, -98, -26), (13, 17, 20), soft=8)
    s.tube(face, (66, 4, 12), (60, 0, -60), 13, 15, both=True, soft=10)
    flap = draw.uniform(0.3, 0.6)
    for side in (1, -1):  # ears: curled plates standing off the head
        leaf = s.empty()
        s.blob(leaf, (side * 82, 20, -4), (7, 13, 27))
        bow = side * s.x - 80 - np.float32(flap) * (s.y - 12) + 2 * s.grid.waves(draw, 9)
        face = np.minimum(face, np.maximum(leaf, np.abs(bow) - np.float32(1.9)))
    out["face"] = face

    orbit, globe, lens, cord = (s.empty() for _ in range(4))
    bulge = draw.uniform(-2, 2)
    s.tube(orbit, (31, -76, 1), (31, -66, 2), 17, 17, both=True)
    s.tube(orbit, (31, -66, 2), (15, -36, 6), 17, 4, both=True)
    s.blob(globe, (32, -79 + bulge, 2), (12, 12, 12), both=True)
    s.blob(lens, (32, -87.5 + bulge, 2), (4.6, 2.0, 4.6), both=True)
    s.tube(cord, (31, -67, 2), (14, -36, 6), 2.8, 2.8, both=True)  # optic nerve
    s.tube(cord, (21, -76, 2), (18, -52, 4), 1.6, 3.0, both=True)  # medial, then lateral rectus
    s.tube(cord, (44, -74, 2), (33, -55, 4), 1.6, 3.0, both=True)
    s.tube(cord, (18, -52, 4), (14, -37, 6), 3.0, 1.8, both=True)
    s.tube(cord, (33, -55, 4), (16, -37, 6), 3.0, 1.8, both=True)
    s.tube(cord, (31, -78, 14), (16, -40, 10), 1.5, 2, both=True)  # superior and inferior rectus
    s.tube(cord, (31, -78, -10), (16, -40, 2), 1.5, 2, both=True)
    out |= {"orbit": orbit, "globe": globe, "lens": lens, "cord": cord}

    air, cells, antrum = s.empty(), s.empty(), s.empty()
    s.blob(antrum, (27, -64, -28), (13.5, 18, 17), both=True, turn=-0.25)
    s.blob(antrum, (9, -32, 0), (8.5, 11, 9), both=True)  # sphenoid sinus, septum between its halves
    s.blob(air, (5, -62, -24), (4.2, 28, 17), both=True)  # nasal cavity on both sides of the septum
    s.blob(air, (0, -22, -36), (11, 10, 14))  # throat
    s.tube(air, (0, -16, -44), (0, -12, -80), 9, 9)
    s.tube(air, (80, 8, -5), (47, 5, -3), 3.4, 3, both=True)  # ear canals
    s.blob(air, (44, 5, 1), (4, 5, 6), both=True)  # middle ear
    s.tube(cells, (7.5, -78, 3), (7.5, -46, 5), 6.5, 6.5, both=True, flat=(1, 1, 0.75))
    grown = draw.uniform(0.75, 1.15)
    s.blob(cells, (57, 25, -12), (11 * grown, 15 * grown, 19 * grown), both=True, soft=3)
    uneven = 4 * s.grid.waves(draw, 9)
    cells = cells + uneven
    out |= {"air": air, "cells": cells, "antrum": antrum + np.float32(0.4) * uneven}

    bones = s.empty()  # thin processes outside the cavity
    s.tube(bones, (47, -70, -8), (55, -52, -12), 5, 4, both=True)  # cheek bone and its arch
    s.tube(bones, (55, -52, -12), (68, -28, -14), 3.4, 2.6, both=True)
    s.tube(bones, (68, -28, -14), (66, -6, -8), 2.6, 3.5, both=True)
    s.tube(bones, (47, -70, -8), (50, -68, 14), 4.5, 3.5, both=True)  # lateral rim of the orbit
    s.tube(bones, (50, -66, 4), (40, -42, 6), 2.6, 3.2, both=True)  # lateral wall
    s.blob(bones, (52, -7, -17), (9, 4.5, 7), both=True)  # jaw: condyle, ramus, coronoid process
    s.tube(bones, (52, -7, -19), (49, -16, -75), 3.4, 4.2, both=True, flat=(1.6, 1, 1))
    s.tube(bones, (51, -30, -24), (49, -22, -75), 2.4, 5, both=True, flat=(1.8, 1, 1))
    s.tube(bones, (15, -36, -14), (17, -30, -40), 2.6, 2.2, both=True, soft=1)  # pterygoid plates
    s.tube(bones, (16, -36, -16), (25, -28, -38), 2.2, 2.0, both=True, soft=1)
    s.tube(bones, (0, -93, 9), (0, -100, -8), 3.0, 1.8)  # nasal bones
    s.tube(bones, (4, -93, 4), (15, -82, -26), 1.5, 1.8, both=True)
    s.blob(bones, (0, -90, -44), (24, 12, 8))  # upper jaw
    s.blob(bones, (57, 26, -12), (15 * grown, 19 * grown, 23 * grown), both=True, soft=3)  # mastoid
    s.blob(bones, (0, -30, -2), (18, 16, 12), soft=3)  # body of the sphenoid
    s.tube(bones, (20, -24, -12), (52, -14, -14), 4, 4, both=True, soft=3)  # floor of the middle fossa
    s.blob(bones, (19, 10, -34), (7, 10, 6), both=True)  # occipital condyles, then the first vertebra
    ring = s.empty()
    s.blob(ring, (0, 18, -48), (26, 23, 6))
    hole = s.empty()
    s.blob(hole, (0, 20, -48), (15, 15, 20))
    bones = np.minimum(bones, np.maximum(ring, -hole))
    s.tube(bones, (0, 4, -38), (0, 6, -70), 5.5, 7)  # dens
    solid[...] = np.minimum(solid, bones)
    dense = s.empty()
    s.tube(dense, (44, 8, 1), (27, -3, 2), 4, 3.6, both=True)
    out["dense"] = dense

    muscle = s.empty()
    s.blob(muscle, (59, -22, 12), (9, 30, 44), both=True, turn=0.16)  # temporalis
    s.blob(muscle, (62, -26, -48), (8, 20, 26), both=True)  # masseter
    s.blob(muscle, (36, -20, -32), (12, 14, 16), both=True)  # pterygoids
    s.blob(muscle, (19, 58, -52), (18, 14, 30), both=True)  # neck
    s.blob(muscle, (44, 46, -52), (14, 16, 30), both=True)
    s.tube(muscle, (0, -4, -42), (0, -2, -85), 11, 11)
    s.tube(muscle, (58, 26, -36), (50, 14, -85), 9, 11, both=True)
    s.blob(muscle, (0, -62, -60), (26, 26, 14))
    out["muscle"] = muscle


def _sutures(s: Space, draw: Draw) -> np.ndarray:
    """Distance from the sutures of the vault, with their zigzag."""
    jag = 2.2 * s.grid.waves(draw, 5)
    marks = suture_planes(s)
    coronal, lambdoid, sagittal = marks["coronal"] + jag, marks["lambdoid"] + jag, s.x + jag
    front, back = marks["coronal"] < 0, marks["lambdoid"] < 0
    sagittal = np.where(front | back, FAR, sagittal)
    coronal = np.where(s.z < 30, FAR, coronal)
    lambdoid = np.where(s.z < 5, FAR, lambdoid)
    near = np.where(np.abs(coronal) < np.abs(lambdoid), coronal, lambdoid)
    return np.where(np.abs(near) < np.abs(sagittal), near, sagittal)


def suture_planes(s: Space) -> dict[str, np.ndarray]:
    """Signed mm from the sutures' planes: negative in front of the coronal, negative behind and below the lambdoid.

    Bregma lies at (0, -22, 113), the pterion at (60, -38, 35); lambda at (0, 72, 78), the asterion at (52, 62, 18).
    """
    coronal = (s.y + 22 + np.float32(0.2) * (113 - s.z)) * np.float32(0.98 * s.scale)
    lambdoid = (s.z - 78 + np.float32(1.15) * np.abs(s.x)) * np.float32(0.656 * s.scale)
    lambdoid = np.where(s.y > 20, lambdoid, FAR)
    return {"coronal": coronal, "lambdoid": lambdoid}


def tentorium(s: Space) -> np.ndarray:
    """mm above the tentorium: a tent from the petrous edges and the transverse sinuses up to the straight sinus."""
    x, y = np.abs(s.x), s.y
    petrous = np.float32(0.57) * x - 22 - y
    ridge = 34 - np.float32(0.42) * np.maximum(y - 26, 0) - np.float32(0.30) * np.maximum(26 - y, 0)
    height = ridge - x * (np.float32(0.62) - np.float32(0.25) * ramp(x, 20, 60))
    above = (s.z - np.maximum(height, 3)) * np.float32(0.85 * s.scale)
    return np.maximum(above, petrous * np.float32(0.87 * s.scale))  # in front of the petrous edges all is cerebrum


def brain(s: Space, draw: Draw, traits: dict) -> dict[str, np.ndarray]:
    """Distances inside the cavity, in the (possibly displaced) coordinates of `s`.

    Args:
        s: coordinates of the brain; a mass pushes them.
        draw: its stream of random numbers.
        traits: of `person`: ventricle and cistern (width factors).
    """
    out = {"mid": s.x * np.float32(s.scale), "tent": tentorium(s)}
    out["sulcus"], out["sulcus_mm"] = _sulci(s, draw)
    out["wide"] = s.grid.waves(draw, 22)
    out["folia"] = _folia(s, draw)
    v = traits["ventricle"]
    vent = s.empty()

    def tube(a, b, ra, rb, flat=(1, 1, 1)):
        s.tube(vent, a, b, ra * v, rb * v, both=True, soft=3, flat=flat)

    tube((15.5, -34, 42), (8, -25, 47), 2.6, 3.4, (1, 1, 0.6))  # frontal horn
    tube((8, -25, 47), (4.6, -11, 51), 3.6, 4.0, (1, 1, 0.6))
    tube((4.6, -11, 51), (7.5, 4, 57), 4.0, 4.8, (1, 1, 0.8))  # body
    tube((7.5, 4, 57), (14, 20, 55), 4.8, 5.2, (1, 1, 0.8))
    tube((14, 20, 55), (23, 32, 44), 5.0, 5.6)  # trigone
    tube((23, 32, 44), (25, 39, 40), 5.2, 3.6)
    tube((25, 39, 40), (24, 50, 38), 3.2, 1.2, (1, 1, 0.8))  # occipital horn
    tube((23, 32, 43), (31, 18, 24), 4.2, 1.9)  # temporal horn
    tube((31, 18, 24), (29, -4, 14), 1.7, 1.3)
    vent = np.maximum(vent, np.float32(0.8) - np.abs(out["mid"]))  # septum pellucidum
    third, fourth = s.empty(), s.empty()
    s.tube(third, (0, -8, 27), (0, 17, 33), 2.0 * v, 1.9 * v, flat=(1, 1, 0.30))
    s.tube(fourth, (0, 19, 7), (0, 19, -2), 2.4, 5.4, flat=(0.7, 1, 1), soft=2)
    s.tube(fourth, (0, 19, -2), (0, 21, -14), 5.2, 1.8, soft=2, flat=(0.8, 1, 1))
    out["ventricle"] = union(union(vent, third, 2), fourth, 2)

    deep = s.empty()
    s.blob(deep, (15.0, -21, 45), (5, 10, 11), both=True, soft=2)  # caudate head, then body
    s.tube(deep, (14, -14, 50), (20, 10, 59), 4, 2.2, both=True, soft=2)
    s.blob(deep, (9.5, 11, 41), (8.5, 14, 10.5), both=True, turn=-0.35)  # thalamus
    s.blob(deep, (24.5, -4, 38), (6.5, 16, 12), both=True, turn=-0.3)  # lentiform nucleus
    out["deep"] = deep
    out["plexus"] = s.empty()
    s.tube(out["plexus"], (21, 30, 46), (25, 34, 38), 2.4, 2.6, both=True)
    s.tube(out["plexus"], (17, 22, 53), (21, 30, 46), 1.5, 2.2, both=True)

    cistern, stem = s.empty(), s.empty()
    s.tube(stem, (0, 12, 26), (0, 10, 14), 13, 13, soft=4, flat=(0.95, 1.05, 1))  # midbrain
    s.blob(stem, (0, 4, 2), (16, 13, 14), soft=5)  # pons
    s.tube(stem, (0, 10, -10), (0, 16, -60), 8.5, 6, soft=4)  # medulla, cord
    s.tube(stem, (13, 4, 24), (20, -4, 34), 6, 7, both=True, soft=4)  # peduncles rise into the capsules
    gap = traits["cistern"]
    s.blob(cistern, (0, -14, 17), (11.5, 11, 6.5), soft=2)  # suprasellar, with its arms to the Sylvian stems
    s.tube(cistern, (6, -19, 19), (28, -19, 21), 3.0 * gap, 2.2 * gap, both=True, soft=3)
    s.tube(cistern, (0, -22, 19), (0, -34, 26), 2.6, 1.6, soft=3)
    s.tube(cistern, (6, -6, 17), (17, 8, 19), 3.2 * gap, 2.2 * gap, both=True, soft=3)  # crural and ambient
    s.tube(cistern, (17, 8, 19), (11, 26, 24), 2.0 * gap, 2.6 * gap, both=True, soft=3, flat=(1, 1, 0.6))
    s.tube(cistern, (11, 26, 24), (0, 29, 28), 2.6 * gap, 3.6 * gap, both=True, soft=3)  # quadrigeminal: a smile
    s.tube(cistern, (0, 30, 30), (0, 33, 41), 3.6, 3.0, soft=3)
    s.tube(cistern, (0, -8, -2), (0, 0, -22), 4.5, 4.5, soft=3, flat=(0.45, 1, 1))  # prepontine
    s.tube(cistern, (17, 2, -4), (28, 5, -4), 3.6 * gap, 2.2, both=True, soft=2)  # cerebellopontine angles
    s.blob(cistern, (0, 62, -24), (11 * gap, 9, 7), soft=3)  # cisterna magna
    s.tube(cistern, (0, 18, -26), (0, 22, -90), 13, 10, soft=3)
    out["cistern"], out["stem"] = cistern, stem

    bent = [v + 2.5 * s.grid.waves(draw, 13) for v in (s.x, s.y, s.z)]
    s = Space(s.grid, s.pose, *bent, reach_mm=s.reach_mm + 3)
    island = s.empty()  # insular cistern and the Sylvian fissure's way out
    s.tube(island, (33, -22, 24), (39, -12, 40), 1.1, 1.2, both=True, flat=(1, 0.35, 0.6))
    s.tube(island, (39, -12, 36), (41, 6, 44), 1.2, 0.9, both=True, flat=(1, 0.5, 0.45))
    s.tube(island, (38, -20, 32), (70, -30, 32), 1.4, 1.6, both=True, flat=(0.8, 1, 0.25))
    s.tube(island, (40, 4, 42), (70, 14, 50), 1.0, 1.2, both=True, flat=(0.8, 1, 0.5))
    out["island"] = island
    # the fissure between the halves ends on the corpus callosum, an ellipse in the midline plane
    ry, rz = (s.y - 2) * np.float32(1 / 40), (s.z - 42) * np.float32(1 / 26)
    out["callosum"] = (np.sqrt(ry * ry + rz * rz) - 1) * np.float32(28)
    return out


def _sulci(s: Space, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Signed mm from the nearest sulcus, and how deep (mm) the sulci cut at each place.

    Sulci are the zero lines of noise on the brain's surface, kept on the way inwards: so they cut in steeply and
    meander, as in a section. Dividing by the slope makes mm of it and keeps every sulcus equally thin.
    """
    x, y, z = (v - np.float32(c) for v, c in zip((s.x, s.y, s.z), BRAIN_CENTER, strict=True))
    rho = np.sqrt(x * x * np.float32(1 / 66**2) + y * y * np.float32(1 / 80**2) + z * z * np.float32(1 / 76**2))
    out = 1 / (np.float32(0.45) + np.float32(0.55) * np.maximum(rho, np.float32(0.2)))
    wander = [4 * s.grid.waves(draw, 14) for _ in range(3)]
    x, y, z = x * out + wander[0], y * out + wander[1], z * out + wander[2]
    fine = np.float32(1 / draw.uniform(9.5, 11.5))
    # two lattices at an angle to each other hide each other's rows
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
    """Where falx and tentorium end, and the venous sinuses. Dura is stiff: a mass bends it half as far as the brain.

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
    upper = np.where((s.z > 8) & (s.y > -70), upper, FAR)
    sigmoid = s.empty()
    s.tube(sigmoid, (0, 76, 8), (42, 56, 5), 2.8, 2.6, both=True)
    s.tube(sigmoid, (42, 56, 5), (50, 32, 2), 2.6, 2.4, both=True)
    s.tube(sigmoid, (50, 32, 2), (36, 22, -22), 2.4, 2.6, both=True)
    s.tube(sigmoid, (0, 36, 32), (0, 72, 12), 1.9, 2.4)  # straight sinus
    out["sinus"] = np.minimum(upper, sigmoid)
    return out


def lime(s: Space, inner: dict[str, np.ndarray], traits: dict, draw: Draw) -> np.ndarray:
    """Distance from calcium: plexus, pineal gland, falx, basal ganglia, as `traits` say."""
    field = s.empty()
    grain = 1.2 * s.grid.waves(draw, 4)
    if traits["choroid lime"]:
        glomus = s.empty()
        size = draw.uniform(2.0, 3.4)
        s.blob(glomus, (23.5, 32, 43), (size, size, 4), both=True)
        field = np.minimum(field, glomus + grain)
    if traits["pineal lime"]:
        gland = s.empty()
        size = draw.uniform(1.8, 3.0)
        s.blob(gland, (0, 27, 37), (size, size, 3))
        field = np.minimum(field, gland + np.float32(0.6) * grain)
    if traits["falx lime"]:
        patch = s.empty()
        y, z = draw.uniform(-60, -30), draw.uniform(60, 82)
        s.blob(patch, (0, y, z), (1.8, draw.uniform(7, 14), draw.uniform(6, 10)))
        field = np.minimum(field, patch + grain)
    if traits.get("ganglia lime"):
        s.blob(field, (20, -2, 38), (3, 6, 5), both=True)
        field = field + grain
    return field


def vessels(s: Space) -> np.ndarray:
    """Distance from the large arteries of the base: basilar, carotid, middle cerebral."""
    field = s.empty()
    s.tube(field, (1, -10, -12), (0, -6, 12), 1.6, 1.5)
    s.tube(field, (10, -19, 10), (10, -18, 20), 2.0, 1.7, both=True)
    s.tube(field, (10, -18, 20), (30, -18, 22), 1.5, 1.0, both=True)
    return field


def infarct(s: Space, draw: Draw) -> np.ndarray:
    """Distance from an old infarct: a dark wedge of cortex and white matter, no blood."""
    field = s.empty()
    side = draw.pick((1, -1))
    y, z = draw.uniform(0, 50), draw.uniform(45, 75)
    s.blob(field, (side * 56, y, z), (draw.uniform(15, 24), draw.uniform(12, 20), draw.uniform(10, 18)))
    return field + 6 * s.grid.waves(draw, 12)


def flesh(s: Space, skin: np.ndarray, draw: Draw) -> np.ndarray:
    """Distance from the muscle of face and neck: low down, under the fat of the skin."""
    return np.maximum(
        skin + 10 + 5 * s.grid.waves(draw, 14), s.z + 3 - np.float32(0.3) * s.y + 5 * s.grid.waves(draw, 20)
    )
