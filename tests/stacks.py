"""A ball of blood in a round head, as files of slices in real arrangements: even, uneven, missing, repeated."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid

from tests.dicom_files import write_slice

SIDE, PIXEL_MM, STEP_MM, COUNT = 48, 1.5, 2.5, 40
BLOOD_HU = 70
RADIUS_MM = 25.0
TRUE_ML = 4 / 3 * np.pi * RADIUS_MM**3 / 1000


@dataclass(frozen=True)
class Image:
    """A file to write: the position of its slice, its content, and its own tags."""

    z_mm: float
    hu: np.ndarray
    tags: dict


def ball(z_mm, *, side_mm=0.0):
    """(row, column) HU at a height: brain of 30 HU in air, and a ball of blood around 0, seen from `side_mm`."""
    x, y = np.meshgrid((np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL_MM + side_mm, (np.arange(SIDE) - 23.5) * PIXEL_MM)
    hu = np.where(np.hypot(x, y) < 33, 30, -1000)
    hu[x**2 + y**2 + z_mm**2 < RADIUS_MM**2] = BLOOD_HU
    return hu


def tilted(z_mm, lean_deg, **tags):
    """Slices whose middles are at these heights and which rise to the back; the head is the same."""
    cos, sin = np.cos(np.radians(lean_deg)), np.sin(np.radians(lean_deg))
    side = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL_MM
    x, down = np.meshgrid(side, side)
    found = []
    for k, z in enumerate(z_mm):
        hu = np.where(np.hypot(x, down * cos) < 33, 30, -1000)
        hu[x**2 + (down * cos) ** 2 + (z + down * sin) ** 2 < RADIUS_MM**2] = BLOOD_HU
        place = {
            "ImagePositionPatient": [-35.25, -35.25 * cos, float(z) - 35.25 * sin],
            "ImageOrientationPatient": [1, 0, 0, 0, float(cos), float(sin)],
            "InstanceNumber": 201 + k,
        }
        found.append(Image(float(z), hu, place | tags))
    return found


def images(z_mm, **tags):
    return [Image(float(z), ball(z), dict(tags)) for z in z_mm]


def heights(count=COUNT, step_mm=STEP_MM):
    return (np.arange(count) - (count - 1) / 2) * step_mm


def write(folder, image_list, *, lean_deg=0.0):
    """Write the images as files in a random order."""
    folder.mkdir(exist_ok=True)
    lean = np.radians(lean_deg)
    axes = [1, 0, 0, 0, float(np.cos(lean)), float(np.sin(lean))]
    names = np.random.default_rng(3).permutation(len(image_list))
    for name, (k, image) in zip(names, enumerate(image_list), strict=True):
        tags = {
            "ImagePositionPatient": [-35.25, -35.25, image.z_mm],
            "ImageOrientationPatient": axes,
            "PixelSpacing": [PIXEL_MM, PIXEL_MM],
            "SliceThickness": 5,
            "InstanceNumber": k + 1,
        }
        write_slice(folder / f"IM{name:03d}", image.hu, **(tags | image.tags))
    return folder


def blood_ml(scan):
    return scan.volume_ml((scan.hu > (BLOOD_HU + 30) / 2) & (scan.hu < 100))


@dataclass(frozen=True)
class Stack:
    """One arrangement of slices.

    Attributes:
        case: what is uploaded.
        words: part of the expected note; "" if no note is expected.
        make_images: makes the images.
        within: share by which the mL may differ from those of the ball.
        lean_deg: tilt of the gantry.
    """

    case: str
    words: str
    make_images: Callable[[], list[Image]]
    within: float = 0.02
    lean_deg: float = 0.0

    def write(self, folder: Path) -> Path:
        """Write the files."""
        return write(folder / "dicom", self.make_images(), lean_deg=self.lean_deg)

    def check(self, scan) -> None:
        """Check that the scan has the mL of the ball."""
        off = blood_ml(scan) / (TRUE_ML * np.cos(np.radians(self.lean_deg))) - 1
        assert abs(off) <= self.within, f"{off:+.1%}"


BELOW_AND_ABOVE = np.concatenate([heights()[:20], heights()[20::2]])  # 2.5 mm, then 5 mm

THREE_DISTANCES = np.concatenate([np.arange(-50, -20, 0.625), np.arange(-20, 5, 2.5), np.arange(5, 51, 5.0)])


def rounded(step_mm: float, digits: int, count: int, missing: tuple[int, ...] = ()) -> list[Image]:
    """Slices whose positions have few digits."""
    z_mm = np.delete(heights(count, step_mm), missing)
    return [Image(round(float(z) + 0.03, digits), ball(z), {}) for z in z_mm]


def second_pass(first: range, **tags) -> list[Image]:
    """The whole ball, and a part of it a second time, with other pixels and tags."""
    shifted = [replace(image, tags={"AcquisitionNumber": 1}) for image in images(heights())]
    return shifted + [replace(shifted[k], hu=shifted[k].hu + 5, tags={"InstanceNumber": 100 + k} | tags) for k in first]


def sideways(first: int) -> list[Image]:
    """From one slice on, the field of view is shifted by 12 mm to the left."""
    shifted = images(heights())
    for k in range(first, COUNT):
        cut = np.pad(shifted[k].hu[:, 8:], ((0, 0), (0, 8)), constant_values=-1000)
        shifted[k] = Image(shifted[k].z_mm, cut, {"ImagePositionPatient": [-35.25 + 12, -35.25, shifted[k].z_mm]})
    return shifted


def with_strays(*z_mm: float) -> list[Image]:
    """The ball, and slices at other places."""
    return [*(Image(z, ball(0), {"InstanceNumber": 90 + k}) for k, z in enumerate(z_mm)), *images(heights())]


def without_position(tag: str) -> list[Image]:
    """The ball, and one image without a tag."""
    return [*images(heights()), Image(0, ball(0), {tag: None})]


def own_series() -> list[Image]:
    """Each file gets its own series."""
    return [replace(image, tags={"SeriesInstanceUID": generate_uid()}) for image in images(heights())]


def tilted_base(lean_deg: float, up_to: int = 22, first: int = 20) -> list[Image]:
    """The lower part of the ball tilted, the upper one straight."""
    return [*tilted(heights()[:up_to], lean_deg), *images(heights()[first:])]


LAID = "they were laid on"
CHANGES, TWICE, FAR = "The slice spacing varies between", "at positions of other slices", "far from the"
STACKS = (
    Stack("even slices", "", lambda: images(heights())),
    Stack("2.5 mm below, 5 mm above", f"{CHANGES} 2.5 and 5.0 mm", lambda: images(BELOW_AND_ABOVE)),
    Stack("5 mm below, 2.5 mm above", f"{CHANGES} 2.5 and 5.0 mm", lambda: images(-BELOW_AND_ABOVE[::-1])),
    Stack("the same, tilted gantry", f"{CHANGES} 2.4 and 4.8 mm", lambda: images(BELOW_AND_ABOVE), lean_deg=15),
    Stack("0.625, then 2.5, then 5 mm", f"{CHANGES} 0.6 and 5.0 mm", lambda: images(THREE_DISTANCES)),
    Stack("positions in whole mm", "", lambda: rounded(2.5, 0, 40)),
    Stack("positions in tenths of mm", "", lambda: rounded(0.625, 1, 160)),
    Stack("positions in tenths, one slice missing", "one is missing", lambda: rounded(0.625, 1, 160, (80,)), 0.04),
    Stack("one slice missing", "one is missing", lambda: images(np.delete(heights(), 19)), 0.04),
    Stack("three slices missing", "3 are missing", lambda: images(np.delete(heights(), [13, 19, 20])), 0.08),
    Stack("base scanned twice", TWICE, lambda: second_pass(range(12), AcquisitionNumber=2)),
    Stack("base scanned twice, one acquisition", TWICE, lambda: second_pass(range(12), AcquisitionNumber=1)),
    Stack("two reconstructions in one series", TWICE, lambda: second_pass(range(COUNT))),
    Stack("a tracking slice below", FAR, lambda: with_strays(-250)),
    Stack("a tracking slice, five times", FAR, lambda: with_strays(*[-250] * 5)),
    Stack("strays on both sides", FAR, lambda: with_strays(-120, 160)),
    Stack("one image without position", "without a position", lambda: without_position("ImagePositionPatient")),
    Stack("a series for every file", "read as one series", own_series),
    Stack("base tilted by 15 degrees", LAID, lambda: tilted_base(15)),
    Stack("base tilted by -20 degrees", LAID, lambda: tilted_base(-20, up_to=23)),
    Stack("field moved sideways above", "The shift was removed", lambda: sideways(17)),
)
