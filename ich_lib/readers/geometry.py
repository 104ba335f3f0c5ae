"""Where the slices lie: their order along the patient, gaps between them, and the affine of the whole stack.

Only positions and orientations count. File names and SliceThickness do not: a 5 mm slice may come every 2.5 mm.
"""

from dataclasses import dataclass

import numpy as np

from ich_lib.grammar import count
from ich_lib.readers.header import Slice
from ich_lib.readers.refusal import ReadError
from ich_lib.scan import LPS_TO_RAS

PLACEHOLDER_MM = 5.0
SAME_PLACE_MM = 0.05
LONGEST_MM = 3000  # a scanner table; beyond it the numbers are no positions


@dataclass(frozen=True)
class Place:
    """How a stack of slices lies.

    Attributes:
        affine_ras: (4, 4), index (column, row, slice, 1) to mm in NIfTI axes, as `scan.from_file_grid` wants it.
        spacing_known: whether its distances were all in the files.
        notes: sentences for the person.
        gap: whether slices are missing or unevenly spaced, so that not all lie where the affine has them.
    """

    affine_ras: np.ndarray
    spacing_known: bool
    notes: tuple[str, ...] = ()
    gap: bool = False


def sort_slices(slices: list[Slice]) -> list[Slice]:
    """Slices along their normal, from foot to head (or front to back, right to left); else by InstanceNumber."""
    line = _line(slices)
    if line is None:
        return sorted(slices, key=lambda item: item.number)
    return [slices[k] for k in np.argsort(line.along_mm, kind="stable")]


def find_same_place(slices: list[Slice]) -> list[int]:
    """Indices k of ordered slices that lie where slice k - 1 lies."""
    line = _line(slices)
    if line is None:
        return []
    return [int(k) + 1 for k in np.flatnonzero(np.diff(line.along_mm) < SAME_PLACE_MM)]


def place_slices(slices: list[Slice], *, allow_gaps: bool) -> Place:
    """Affine of ordered slices, no two at one place.

    Raises:
        ReadError: if the slices are not evenly spaced and `allow_gaps` is False.
    """
    line = _line(slices)
    if line is None:
        note = "The files do not say where the slices lie: their order is the scanner's count, foot to head is assumed."
        return Place(_affine(slices[0], np.array([0, 0, PLACEHOLDER_MM])), False, (note,))
    pixel_known = slices[0].pixel_mm is not None
    notes: tuple[str, ...] = (
        () if pixel_known else ("The files hold no pixel size (PixelSpacing), so nothing is given in mL.",)
    )
    if len(slices) == 1:
        return _place_single(slices[0], line.normal, notes)
    along_mm = line.along_mm
    usual_mm, gap, even = _slice_steps(along_mm)
    if gap and not allow_gaps:
        then = "volumes will be too small" if even else "no mL will be given"
        raise ReadError(
            gap,
            code="place",
            to_do={
                "python": f"Pass allow_gaps=True to go on; {then}.",
                "command line": f"Add --allow-gaps to go on; {then}.",
                "page": "Export the whole series.",
                "endpoint": "Export the whole series.",
            },
        )
    if gap:
        notes += (f"{gap} {'Volumes are too small because of it.' if even else 'So nothing is given in mL.'}",)
    step = (line.positions[-1] - line.positions[0]) * (usual_mm / (along_mm[-1] - along_mm[0]))
    return Place(_affine(slices[0], step), pixel_known and even, notes, gap=gap is not None)


def _place_single(item: Slice, normal: np.ndarray, notes: tuple[str, ...]) -> Place:
    thickness = item.thickness_mm
    step = normal * (thickness or PLACEHOLDER_MM)
    if thickness:
        notes += (f"One slice only: its thickness of {thickness:g} mm stands for the distance to the next.",)
    else:
        notes += ("One slice only, without a thickness, so nothing is given in mL.",)
    return Place(_affine(item, step), bool(thickness) and item.pixel_mm is not None, notes)


@dataclass(frozen=True)
class _Line:
    """Slices along the normal of the first: (n, 3) positions and a unit vector, in mm."""

    positions: np.ndarray
    normal: np.ndarray

    @property
    def along_mm(self) -> np.ndarray:
        """(n,) place of each slice on the normal."""
        return self.positions @ self.normal


def _line(slices: list[Slice]) -> _Line | None:
    """None unless all slices say where they lie, in the room, and not all the same place, as once made anonymous."""
    orientation = slices[0].orientation
    positions = [found.position for found in slices if found.position is not None and found.orientation is not None]
    if orientation is None or len(positions) < len(slices):
        return None
    line = _Line(np.stack(positions), _normal(orientation))
    return line if len(slices) == 1 or SAME_PLACE_MM <= np.ptp(line.along_mm) <= LONGEST_MM else None


def _normal(orientation: np.ndarray) -> np.ndarray:
    """Unit vector across the slices, toward head, back or left, whichever is nearest."""
    normal = np.cross(*orientation)
    return normal * np.sign(normal[np.abs(normal).argmax()])


def _slice_steps(along_mm: np.ndarray) -> tuple[float, str | None, bool]:
    """Usual distance of slices, a sentence if some differ, and whether a few missing slices explain it."""
    steps = np.diff(along_mm)
    usual_mm = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower median: of 5 and 10 mm, 10 is the gap
    odd = np.flatnonzero(np.abs(steps - usual_mm) > max(0.1 * usual_mm, 0.1))
    if not odd.size:
        return float(along_mm[-1] - along_mm[0]) / len(steps), None, True
    ratio = steps[odd] / usual_mm
    few = odd.size == 1 or 4 * odd.size <= len(steps)
    if few and (np.abs(ratio - np.round(ratio)) < 0.2).all() and (ratio > 1.5).all():
        return usual_mm, _gap_note(odd, steps[odd], usual_mm), True
    low, high = steps.min(), steps.max()
    return float(np.mean(steps)), f"The distance of the slices changes between {low:.1f} and {high:.1f} mm.", False


def _gap_note(odd: np.ndarray, gaps_mm: np.ndarray, usual_mm: float) -> str:
    missing = int(np.round(gaps_mm / usual_mm - 1).sum())
    first = f"Slices {odd[0] + 1} and {odd[0] + 2} are {gaps_mm[0]:.1f} mm apart"
    remainder = f" (and {count(odd.size - 1, 'more such place')})" if odd.size > 1 else ""
    return (
        f"{first}{remainder}, all others {usual_mm:.1f} mm: {'one is' if missing == 1 else f'{missing} are'} missing."
    )


def _affine(first: Slice, step: np.ndarray) -> np.ndarray:
    """PS3.3 C.7.6.2.1.1, with the slice step as third axis: a tilted gantry gives a sheared, not a turned grid."""
    down_mm, along_row_mm = (1.0, 1.0) if first.pixel_mm is None else first.pixel_mm
    row, column = np.eye(3)[:2] if first.orientation is None else first.orientation
    affine = np.eye(4)
    affine[:3, :3] = np.stack([row * along_row_mm, column * down_mm, step], axis=1)
    affine[:3, 3] = 0 if first.position is None else first.position
    return LPS_TO_RAS @ affine
