"""The positions of the slices: their order along the patient, the gaps, and the affine of the stack.

Only positions and orientations count. File names and SliceThickness do not: slices of 5 mm may be 2.5 mm apart. Slices
may be uneven: each has its own place, and its own slab of the head (`Scan.slabs`).
"""

from dataclasses import dataclass

import numpy as np

from ich_lib.grammar import count
from ich_lib.readers.header import Slice
from ich_lib.scan import LPS_TO_RAS, expected_steps

PLACEHOLDER_MM = 5.0
SAME_PLACE_MM = 0.05
LONGEST_MM = 3000  # length of a scanner table; numbers beyond it are not positions
_GAP = 1.5  # usual distances
_EVEN = 0.1  # share of a distance: slices this close to an even grid count as even
_ROUNDINGS_MM = (1.0, 0.5, 0.1, 0.05, 0.01)  # programs round positions to these steps
_SIDEWAYS_MM = 1.0  # distance from the line of the slices; rounded positions are closer
_VISIBLE_MM = 0.1  # distances that differ by less are reported as one
_EVEN_COPY = "A mask saved as NIfTI has evenly spaced slices. Each is a copy of the nearest slice of the scan."


@dataclass(frozen=True)
class Gap:
    """Slices index and index + 1, foot to head, are `step_mm` apart; the expected distance is `expected_mm`."""

    index: int
    step_mm: float
    expected_mm: float

    @property
    def hidden_mm(self) -> float:
        """The length that no slice shows."""
        return self.step_mm - self.expected_mm


@dataclass(frozen=True)
class Place:
    """The geometry of a stack of slices.

    Attributes:
        affine_ras: (4, 4), index (column, row, slice, 1) to mm in NIfTI axes, for `scan.from_file_grid`.
        spacing_known: whether the files held all distances.
        notes: sentences for the user.
        places: (n,) positions of the slices in steps of the third column; None if they are even.
        gaps: the places of missing slices.
        shifts: (n, 2) whole pixels (rows, columns) by which each picture must move onto the common grid; None if all
            are aligned.
    """

    affine_ras: np.ndarray
    spacing_known: bool
    notes: tuple[str, ...] = ()
    places: np.ndarray | None = None
    gaps: tuple[Gap, ...] = ()
    shifts: np.ndarray | None = None


@dataclass(frozen=True)
class Line:
    """Slices along the normal of the first: (n, 3) positions and a unit vector, in mm."""

    positions: np.ndarray
    normal: np.ndarray

    @property
    def along_mm(self) -> np.ndarray:
        """(n,) place of each slice on the normal."""
        return self.positions @ self.normal

    @property
    def rounding_mm(self) -> float:
        """How far places may be wrong because positions were rounded; 0 if they have many digits."""
        return sum(_rounding_mm(axis) * abs(share) for axis, share in zip(self.positions.T, self.normal, strict=True))

    def tolerance_mm(self, step_mm: float) -> float:
        """How far slices `step_mm` apart may be from an even grid because positions were rounded."""
        return min(1.1 * self.rounding_mm, step_mm / 2) + 1e-3


def _rounding_mm(numbers: np.ndarray) -> float:
    """Half of the rounding step of the numbers, in mm; 0 if they are not rounded."""
    for grid in _ROUNDINGS_MM:
        if np.abs(numbers / grid - np.round(numbers / grid)).max() < 1e-3:
            return grid / 2
    return 0.0


def line_of(slices: list[Slice]) -> Line | None:
    """None unless all slices have a position in the room, and not all the same one, which some anonymizers write."""
    orientation = slices[0].orientation
    positions = [slice_.position for slice_ in slices if slice_.position is not None and slice_.orientation is not None]
    if orientation is None or len(positions) < len(slices):
        return None
    line = Line(np.stack(positions), _normal(orientation))
    return line if len(slices) == 1 or SAME_PLACE_MM <= np.ptp(line.along_mm) <= LONGEST_MM else None


def sort_slices(slices: list[Slice]) -> list[Slice]:
    """Slices along their normal, from foot to head (or front to back, right to left); else by InstanceNumber."""
    line = line_of(slices)
    if line is None:
        return sorted(slices, key=lambda item: item.instance_number)
    return [slices[k] for k in np.argsort(line.along_mm, kind="stable")]


def place_slices(slices: list[Slice]) -> Place:
    """Affine and places of ordered slices with different places."""
    line = line_of(slices)
    if line is None:
        note = (
            "The files do not state the positions of the slices. The slices are in the order of the scanner's numbers, "
            "and foot to head is assumed."
        )
        return Place(_affine(slices[0], np.array([0, 0, PLACEHOLDER_MM])), False, (note,))
    pixel_known = slices[0].pixel_mm is not None
    notes: tuple[str, ...] = (
        () if pixel_known else ("The files contain no pixel size (PixelSpacing), so no volume in mL is given.",)
    )
    if len(slices) == 1:
        return _place_single(slices[0], line.normal, notes)
    expected_mm, places = _grid(line)
    lean, is_straight = _lean(line)
    shifts, origin = (None, line.positions[0]) if is_straight else _shifts(slices[0], line, lean)
    steps_mm = expected_mm * np.diff(np.arange(len(slices)) if places is None else places)
    off_mm = 0.0 if _is_whole(places) else 2 * line.rounding_mm
    gaps = find_gaps(steps_mm, off_mm)
    notes += _uneven_notes(steps_mm, gaps, off_mm)
    if places is not None:
        notes += (_EVEN_COPY,)
    if shifts is not None:
        notes += (_shift_note(shifts, slices[0]),)
    return Place(_affine(slices[0], lean * expected_mm, origin), pixel_known, notes, places, gaps, shifts)


def is_even(line: Line) -> bool:
    """Whether ordered slices are on an even grid, within the error of rounded positions."""
    return bool((np.diff(line.along_mm) >= SAME_PLACE_MM).all()) and _grid(line)[1] is None


def _grid(line: Line) -> tuple[float, np.ndarray | None]:
    """The expected distance in mm, and the places in steps of it; None if the slices are even.

    If they are on an even grid with missing slices, places are whole numbers, even if positions were rounded.
    """
    along_mm = line.along_mm - line.along_mm[0]
    steps, counted = np.diff(along_mm), np.arange(len(along_mm))
    mean_mm = float(steps.mean())
    if np.abs(along_mm - mean_mm * counted).max() <= _EVEN * mean_mm:
        return mean_mm, None
    is_single_gap = np.count_nonzero(steps > _GAP * np.median(steps)) == 1
    if not is_single_gap and (fitted_mm := _fit(line, counted)):
        return fitted_mm, None
    gaps = find_gaps(steps, 2 * line.rounding_mm)
    plain_mm = float(np.delete(steps, [gap.index for gap in gaps]).mean())
    step_numbers = np.concatenate([[0], np.cumsum(np.maximum(np.round(steps / plain_mm), 1))])
    if fitted_mm := _fit(line, step_numbers):
        return fitted_mm, None if step_numbers[-1] == len(steps) else step_numbers
    expected_mm = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower median: of 5 and 10 mm, 10 is the gap
    return expected_mm, along_mm / expected_mm


def _is_whole(places: np.ndarray | None) -> bool:
    """Whether places are on an even grid."""
    return places is None or bool((places == np.round(places)).all())


def _fit(line: Line, step_numbers: np.ndarray) -> float | None:
    """The step of the even grid on which the slices have `step_numbers`; None if they are on none."""
    offset_mm, step_mm = np.polynomial.polynomial.polyfit(step_numbers, line.along_mm, 1)
    off_mm = np.abs(line.along_mm - offset_mm - step_mm * step_numbers).max()
    return float(step_mm) if off_mm <= max(_EVEN * step_mm, line.tolerance_mm(step_mm)) else None


def find_gaps(steps: np.ndarray, off_mm: float = 0.0) -> tuple[Gap, ...]:
    """Distances of more than 1.5 times the expected distance around them.

    Args:
        steps: in mm.
        off_mm: possible error of a distance by rounding.
    """
    expected = expected_steps(steps)
    places = np.flatnonzero(steps > _GAP * expected + max(off_mm, _VISIBLE_MM))
    return tuple(Gap(int(k), float(steps[k]), float(expected[k])) for k in places)


def _place_single(item: Slice, normal: np.ndarray, notes: tuple[str, ...]) -> Place:
    thickness = item.thickness_mm
    step = normal * (thickness or PLACEHOLDER_MM)
    if thickness:
        notes += (f"There is only one slice. Its thickness of {thickness:g} mm is used as the slice spacing.",)
    else:
        notes += ("There is only one slice, and its thickness is not known, so no volume in mL is given.",)
    return Place(_affine(item, step), bool(thickness) and item.pixel_mm is not None, notes)


def _normal(orientation: np.ndarray) -> np.ndarray:
    """Unit vector across the slices, toward head, back or left, whichever is closest."""
    normal = np.cross(*orientation)
    return normal * np.sign(normal[np.abs(normal).argmax()])


def _lean(line: Line) -> tuple[np.ndarray, bool]:
    """(3,) change of the position per mm of the normal, sideways if the gantry is tilted; and whether all slices agree.

    From the first slice to the last; or the median step, if a part of the slices is shifted sideways.
    """
    moved = line.positions[-1] - line.positions[0]
    fitted = np.polynomial.polynomial.polyfit(line.along_mm, line.positions, 1)
    off_mm = np.abs(line.positions - np.polynomial.polynomial.polyval(line.along_mm, fitted).T).max()
    if off_mm <= _SIDEWAYS_MM:
        return moved / (moved @ line.normal), True
    steps = np.diff(line.positions, axis=0)
    middle = np.median(steps / (steps @ line.normal)[:, None], axis=0)
    return middle / (middle @ line.normal), False


def _shifts(first: Slice, line: Line, lean: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Whole pixels between each picture and the common grid, and the position of the grid's first slice."""
    if first.orientation is None or first.pixel_mm is None:
        return None, line.positions[0]
    row, column = first.orientation
    along_mm = line.along_mm - line.along_mm[0]
    off = line.positions - line.positions[0] - along_mm[:, None] * lean
    pixels = np.stack([off @ column / first.pixel_mm[0], off @ row / first.pixel_mm[1]], axis=1).round().astype(int)
    kinds, counts = np.unique(pixels, axis=0, return_counts=True)
    grid_shift = kinds[counts.argmax()] if counts.max() * 2 > len(pixels) else pixels[0]
    origin = line.positions[0] + grid_shift[0] * first.pixel_mm[0] * column + grid_shift[1] * first.pixel_mm[1] * row
    shifts = pixels - grid_shift
    return (shifts if shifts.any() else None), origin


def _shift_note(shifts: np.ndarray, first: Slice) -> str:
    moved = np.flatnonzero(shifts.any(axis=1))
    most_mm = float(np.linalg.norm(shifts * first.pixel_mm, axis=1).max())
    return (
        f"{count(len(moved), 'slice')}, from slice {moved[0] + 1} on, {'is' if len(moved) == 1 else 'are'} shifted "
        f"sideways by up to {most_mm:.1f} mm. The shift was removed."
    )


def _uneven_notes(steps: np.ndarray, gaps: tuple[Gap, ...], off_mm: float) -> tuple[str, ...]:
    """A note on distances that differ; `gap_note` reports gaps."""
    plain = np.delete(steps, [gap.index for gap in gaps])
    if np.ptp(plain) <= max(_EVEN * float(np.median(plain)), off_mm, _VISIBLE_MM):
        return ()
    low, high = plain.min(), plain.max()
    return (
        f"The slice spacing varies between {low:.1f} and {high:.1f} mm. In volumes, each slice reaches half-way to its "
        "neighbors.",
    )


def gap_note(gaps: tuple[Gap, ...], hidden_ml: float | None) -> str:
    """The sentence on missing slices.

    Args:
        gaps: one or more.
        hidden_ml: the volume of the head in the gaps; None if it is not known.
    """
    first, missing = gaps[0], sum(max(round(gap.step_mm / gap.expected_mm) - 1, 1) for gap in gaps)
    others = f" (and {count(len(gaps) - 1, 'more such place')})" if len(gaps) > 1 else ""
    hidden = f"Up to {hidden_ml:.0f} mL of the head in this gap are" if hidden_ml else "The head in this gap is"
    return (
        f"Slices {first.index + 1} and {first.index + 2} are {first.step_mm:.1f} mm apart{others} instead of "
        f"{first.expected_mm:.1f} mm: {'one is' if missing == 1 else f'{missing} are'} missing. {hidden} "
        "not seen. In volumes, the slices beside it reach half-way into it."
    )


def _affine(first: Slice, step: np.ndarray, origin: np.ndarray | None = None) -> np.ndarray:
    """PS3.3 C.7.6.2.1.1, with the slice step as third axis: a tilted gantry gives a sheared grid, not a rotated one."""
    down_mm, along_row_mm = (1.0, 1.0) if first.pixel_mm is None else first.pixel_mm
    row, column = np.eye(3)[:2] if first.orientation is None else first.orientation
    position = first.position if origin is None else origin
    affine = np.eye(4)
    affine[:3, :3] = np.stack([row * along_row_mm, column * down_mm, step], axis=1)
    affine[:3, 3] = 0 if position is None else position
    return LPS_TO_RAS @ affine
