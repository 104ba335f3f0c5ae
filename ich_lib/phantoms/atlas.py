"""The parts of the standard head: tables of ellipsoids and round cones, in the head coordinates of `anatomy`.

Positions were set by eye with axial sections: midbrain at z = 20, pineal gland at 38, roof of the lateral ventricles at
64. Differences between people are factors; everything else is one table per part. The order within a table matters: a
soft shape fills the corner with those before it.
"""

from dataclasses import dataclass, replace

Point = tuple[float, float, float]  # (x, y, z) in mm of the standard head


@dataclass(frozen=True)
class Blob:
    """An ellipsoid.

    Attributes:
        center: its middle.
        radii: half axes along x, y and z, mm.
        both: its mirror image on the other side as well.
        soft: the corner with earlier shapes is filled over about this many mm.
        turn: mm of y per mm of x, mirrored with the side: slants its long axis.
    """

    center: Point
    radii: Point
    both: bool = False
    soft: float = 0.0
    turn: float = 0.0


@dataclass(frozen=True)
class Tube:
    """A round cone.

    Attributes:
        start, end: the middles of its two ends.
        start_mm, end_mm: its radii there.
        both: its mirror image on the other side as well.
        soft: the corner with earlier shapes is filled over about this many mm.
        flat: above 1 along an axis squeezes it along that axis.
    """

    start: Point
    end: Point
    start_mm: float
    end_mm: float
    both: bool = False
    soft: float = 0.0
    flat: Point = (1, 1, 1)

    def wider(self, factor: float) -> "Tube":
        """The same cone with other radii."""
        return replace(self, start_mm=self.start_mm * factor, end_mm=self.end_mm * factor)


Shape = Blob | Tube

# ---- bone of the base

BASE = (
    Tube((62, 15, -4), (38, 2, 2), 11, 8, both=True, soft=4),  # petrous pyramids
    Tube((38, 2, 2), (13, -13, 4), 8, 4.5, both=True, soft=3),
    Tube((0, -13, 11), (0, 2, -30), 3.6, 6, soft=3, flat=(0.5, 1, 1)),  # clivus, its top the dorsum sellae
    Tube((20, -39, 14), (50, -42, 15), 5, 5, both=True, soft=4),  # sphenoid ridge
    Tube((11, -24, 14), (20, -37, 17), 2.2, 3, both=True, soft=2),  # anterior clinoids
)
MIDDLE_FOSSA = (Blob((38, -15, 5), (27, 32, 24), both=True),)
POSTERIOR_FOSSA_AND_CANAL = (
    Blob((0, 37, -1), (53, 42, 31), soft=8),
    Tube((0, 12, -18), (0, 22, -90), 15, 11, soft=6),
)
INNER_EAR = (Tube((44, 8, 1), (27, -3, 2), 4, 3.6, both=True),)

# ---- face and neck

HEAD_AND_NECK = (
    Blob((0, -36, -24), (64, 63, 62)),
    Tube((0, 22, -14), (0, 26, -95), 62, 56, soft=12),
)
NOSE_AND_CHEEKS = (
    Blob((0, -98, -26), (13, 17, 20), soft=8),
    Tube((66, 4, 12), (60, 0, -60), 13, 15, both=True, soft=10),
)
MUSCLES = (
    Blob((59, -22, 12), (9, 30, 44), both=True, turn=0.16),  # temporalis
    Blob((62, -26, -48), (8, 20, 26), both=True),  # masseter
    Blob((36, -20, -32), (12, 14, 16), both=True),  # pterygoids
    Blob((19, 58, -52), (18, 14, 30), both=True),  # neck
    Blob((44, 46, -52), (14, 16, 30), both=True),
    Tube((0, -4, -42), (0, -2, -85), 11, 11),
    Tube((58, 26, -36), (50, 14, -85), 9, 11, both=True),
    Blob((0, -62, -60), (26, 26, 14)),
)
FIRST_VERTEBRA = (Blob((0, 18, -48), (26, 23, 6)),)
ITS_HOLE = (Blob((0, 20, -48), (15, 15, 20)),)


def ear(side: int) -> tuple[Shape, ...]:
    """The space of an ear; `side` is 1 on the patient's left, -1 on the right."""
    return (Blob((side * 82, 20, -4), (7, 13, 27)),)


def eyes(bulge_mm: float) -> dict[str, tuple[Shape, ...]]:
    """Orbit, globe, lens, and the cords behind it; `bulge_mm` moves the eyeballs to the back."""
    return {
        "orbit": (
            Tube((31, -76, 1), (31, -66, 2), 17, 17, both=True),
            Tube((31, -66, 2), (15, -36, 6), 17, 4, both=True),
        ),
        "globe": (Blob((32, -79 + bulge_mm, 2), (12, 12, 12), both=True),),
        "lens": (Blob((32, -87.5 + bulge_mm, 2), (4.6, 2.0, 4.6), both=True),),
        "cord": (
            Tube((31, -67, 2), (14, -36, 6), 2.8, 2.8, both=True),  # optic nerve
            Tube((21, -76, 2), (18, -52, 4), 1.6, 3.0, both=True),  # medial, then lateral rectus
            Tube((44, -74, 2), (33, -55, 4), 1.6, 3.0, both=True),
            Tube((18, -52, 4), (14, -37, 6), 3.0, 1.8, both=True),
            Tube((33, -55, 4), (16, -37, 6), 3.0, 1.8, both=True),
            Tube((31, -78, 14), (16, -40, 10), 1.5, 2, both=True),  # superior and inferior rectus
            Tube((31, -78, -10), (16, -40, 2), 1.5, 2, both=True),
        ),
    }


def hollows(grown: float) -> dict[str, tuple[Shape, ...]]:
    """Sinuses, airways, and the honeycombs of ethmoid and mastoid; `grown` is the size of the mastoid."""
    return {
        "air": (
            Blob((5, -62, -24), (4.2, 28, 17), both=True),  # nasal cavity on both sides of the septum
            Blob((0, -22, -36), (11, 10, 14)),  # throat
            Tube((0, -16, -44), (0, -12, -80), 9, 9),
            Tube((80, 8, -5), (47, 5, -3), 3.4, 3, both=True),  # ear canals
            Blob((44, 5, 1), (4, 5, 6), both=True),  # middle ear
        ),
        "cells": (
            Tube((7.5, -78, 3), (7.5, -46, 5), 6.5, 6.5, both=True, flat=(1, 1, 0.75)),
            Blob((57, 25, -12), (11 * grown, 15 * grown, 19 * grown), both=True, soft=3),
        ),
        "antrum": (
            Blob((27, -64, -28), (13.5, 18, 17), both=True, turn=-0.25),
            Blob((9, -32, 0), (8.5, 11, 9), both=True),  # sphenoid sinus, septum between its halves
        ),
    }


def outer_bones(grown: float) -> tuple[Shape, ...]:
    """Thin processes outside the cavity, mastoid and upper neck; `grown` is the size of the mastoid."""
    return (
        Tube((47, -70, -8), (55, -52, -12), 5, 4, both=True),  # cheek bone and its arch
        Tube((55, -52, -12), (68, -28, -14), 3.4, 2.6, both=True),
        Tube((68, -28, -14), (66, -6, -8), 2.6, 3.5, both=True),
        Tube((47, -70, -8), (50, -68, 14), 4.5, 3.5, both=True),  # lateral rim of the orbit
        Tube((50, -66, 4), (40, -42, 6), 2.6, 3.2, both=True),  # lateral wall
        Blob((52, -7, -17), (9, 4.5, 7), both=True),  # jaw: condyle, ramus, coronoid process
        Tube((52, -7, -19), (49, -16, -75), 3.4, 4.2, both=True, flat=(1.6, 1, 1)),
        Tube((51, -30, -24), (49, -22, -75), 2.4, 5, both=True, flat=(1.8, 1, 1)),
        Tube((15, -36, -14), (17, -30, -40), 2.6, 2.2, both=True, soft=1),  # pterygoid plates
        Tube((16, -36, -16), (25, -28, -38), 2.2, 2.0, both=True, soft=1),
        Tube((0, -93, 9), (0, -100, -8), 3.0, 1.8),  # nasal bones
        Tube((4, -93, 4), (15, -82, -26), 1.5, 1.8, both=True),
        Blob((0, -90, -44), (24, 12, 8)),  # upper jaw
        Blob((57, 26, -12), (15 * grown, 19 * grown, 23 * grown), both=True, soft=3),  # mastoid
        Blob((0, -30, -2), (18, 16, 12), soft=3),  # body of the sphenoid
        Tube((20, -24, -12), (52, -14, -14), 4, 4, both=True, soft=3),  # floor of the middle fossa
        Blob((19, 10, -34), (7, 10, 6), both=True),  # occipital condyles, then the dens of the second vertebra
        Tube((0, 4, -38), (0, 6, -70), 5.5, 7),
    )


# ---- inside the cavity

LATERAL_VENTRICLES = (
    Tube((15.5, -34, 42), (8, -25, 47), 2.6, 3.4, both=True, soft=3, flat=(1, 1, 0.6)),  # frontal horn
    Tube((8, -25, 47), (4.6, -11, 51), 3.6, 4.0, both=True, soft=3, flat=(1, 1, 0.6)),
    Tube((4.6, -11, 51), (7.5, 4, 57), 4.0, 4.8, both=True, soft=3, flat=(1, 1, 0.8)),  # body
    Tube((7.5, 4, 57), (14, 20, 55), 4.8, 5.2, both=True, soft=3, flat=(1, 1, 0.8)),
    Tube((14, 20, 55), (23, 32, 44), 5.0, 5.6, both=True, soft=3),  # trigone
    Tube((23, 32, 44), (25, 39, 40), 5.2, 3.6, both=True, soft=3),
    Tube((25, 39, 40), (24, 50, 38), 3.2, 1.2, both=True, soft=3, flat=(1, 1, 0.8)),  # occipital horn
    Tube((23, 32, 43), (31, 18, 24), 4.2, 1.9, both=True, soft=3),  # temporal horn
    Tube((31, 18, 24), (29, -4, 14), 1.7, 1.3, both=True, soft=3),
)
THIRD_VENTRICLE = (Tube((0, -8, 27), (0, 17, 33), 2.0, 1.9, flat=(1, 1, 0.30)),)
FOURTH_VENTRICLE = (
    Tube((0, 19, 7), (0, 19, -2), 2.4, 5.4, flat=(0.7, 1, 1), soft=2),
    Tube((0, 19, -2), (0, 21, -14), 5.2, 1.8, soft=2, flat=(0.8, 1, 1)),
)
INNER: dict[str, tuple[Shape, ...]] = {
    "deep": (
        Blob((15.0, -21, 45), (5, 10, 11), both=True, soft=2),  # caudate head, then body
        Tube((14, -14, 50), (20, 10, 59), 4, 2.2, both=True, soft=2),
        Blob((9.5, 11, 41), (8.5, 14, 10.5), both=True, turn=-0.35),  # thalamus
        Blob((24.5, -4, 38), (6.5, 16, 12), both=True, turn=-0.3),  # lentiform nucleus
    ),
    "plexus": (
        Tube((21, 30, 46), (25, 34, 38), 2.4, 2.6, both=True),
        Tube((17, 22, 53), (21, 30, 46), 1.5, 2.2, both=True),
    ),
    "stem": (
        Tube((0, 12, 26), (0, 10, 14), 13, 13, soft=4, flat=(0.95, 1.05, 1)),  # midbrain
        Blob((0, 4, 2), (16, 13, 14), soft=5),  # pons
        Tube((0, 10, -10), (0, 16, -60), 8.5, 6, soft=4),  # medulla, cord
        Tube((13, 4, 24), (20, -4, 34), 6, 7, both=True, soft=4),  # peduncles rise into the capsules
    ),
}
ISLAND = (  # insular cistern and the Sylvian fissure's way out
    Tube((33, -22, 24), (39, -12, 40), 1.1, 1.2, both=True, flat=(1, 0.35, 0.6)),
    Tube((39, -12, 36), (41, 6, 44), 1.2, 0.9, both=True, flat=(1, 0.5, 0.45)),
    Tube((38, -20, 32), (70, -30, 32), 1.4, 1.6, both=True, flat=(0.8, 1, 0.25)),
    Tube((40, 4, 42), (70, 14, 50), 1.0, 1.2, both=True, flat=(0.8, 1, 0.5)),
)
SINUSES = (
    Tube((0, 76, 8), (42, 56, 5), 2.8, 2.6, both=True),  # transverse, then sigmoid
    Tube((42, 56, 5), (50, 32, 2), 2.6, 2.4, both=True),
    Tube((50, 32, 2), (36, 22, -22), 2.4, 2.6, both=True),
    Tube((0, 36, 32), (0, 72, 12), 1.9, 2.4),  # straight sinus
)
ARTERIES = (
    Tube((1, -10, -12), (0, -6, 12), 1.6, 1.5),  # basilar
    Tube((10, -19, 10), (10, -18, 20), 2.0, 1.7, both=True),  # carotid
    Tube((10, -18, 20), (30, -18, 22), 1.5, 1.0, both=True),  # middle cerebral
)


def cisterns(gap: float) -> tuple[Shape, ...]:
    """The wide cisterns around the stem; `gap` is the factor of their width that differs between people."""
    return (
        Blob((0, -14, 17), (11.5, 11, 6.5), soft=2),  # suprasellar, with its arms to the Sylvian stems
        Tube((6, -19, 19), (28, -19, 21), 3.0 * gap, 2.2 * gap, both=True, soft=3),
        Tube((0, -22, 19), (0, -34, 26), 2.6, 1.6, soft=3),
        Tube((6, -6, 17), (17, 8, 19), 3.2 * gap, 2.2 * gap, both=True, soft=3),  # crural and ambient
        Tube((17, 8, 19), (11, 26, 24), 2.0 * gap, 2.6 * gap, both=True, soft=3, flat=(1, 1, 0.6)),
        Tube((11, 26, 24), (0, 29, 28), 2.6 * gap, 3.6 * gap, both=True, soft=3),  # quadrigeminal: a smile
        Tube((0, 30, 30), (0, 33, 41), 3.6, 3.0, soft=3),
        Tube((0, -8, -2), (0, 0, -22), 4.5, 4.5, soft=3, flat=(0.45, 1, 1)),  # prepontine
        Tube((17, 2, -4), (28, 5, -4), 3.6 * gap, 2.2, both=True, soft=2),  # cerebellopontine angles
        Blob((0, 62, -24), (11 * gap, 9, 7), soft=3),  # cisterna magna
        Tube((0, 18, -26), (0, 22, -90), 13, 10, soft=3),
    )
