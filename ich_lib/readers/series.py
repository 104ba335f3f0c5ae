"""Group slices into series: one upload often also holds a scout, two kernels, an angiography and a dose report."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ich_lib.grammar import count
from ich_lib.readers.descriptions import printable_code, printable_words
from ich_lib.readers.header import Slice
from ich_lib.readers.tilts import SAME_TILT, continues

_SAME_PLACE_MM = 0.05
_FEWEST_FILES = 3  # each has its own UID, so they form no series


@dataclass(frozen=True)
class Series:
    """Slices that can form one volume, and their distinctive properties.

    Attributes:
        slices: in no order.
        number: its place among the series of the upload, from 1.
        of: the number of series.
    """

    slices: tuple[Slice, ...]
    number: int = 1
    of: int = 1

    @property
    def first(self) -> Slice:
        """A slice that represents the others if all are alike."""
        return self.slices[0]

    @property
    def description(self) -> str:
        """The complete description of the scanner; never shown, see `name`."""
        return self.first.description

    @cached_property
    def places_mm(self) -> np.ndarray:
        """(n,) ascending positions of the slices along their normal, each place once; empty if most slices have
        none."""
        orientation = self.first.orientation
        positions = [item.position for item in self.slices if item.position is not None]
        if orientation is None or 2 * len(positions) < len(self.slices):
            return np.empty(0)
        along = np.sort(np.stack(positions) @ np.cross(*orientation))
        return along[np.append(True, np.diff(along) > _SAME_PLACE_MM)]

    @property
    def spacing_mm(self) -> float | None:
        """Spacing of the slices in the middle of the list, else their thickness, else None."""
        if len(self.places_mm) > 1:
            return float(np.median(np.diff(self.places_mm)))
        return self.first.thickness_mm

    @property
    def name(self) -> str:
        """`series 3 of 5, "Head 5.0 H31s"`: words that could name a person are left out."""
        description = printable_words(self.description)
        return f"series {self.number} of {self.of}" + (f', "{description}"' if description else "")

    @property
    def details(self) -> str:
        """`34 slices, 5 mm apart, kernel H31s`, as far as it is known."""
        spacing = self.spacing_mm if len(self.slices) > 1 else None
        kernel = printable_code(self.first.protocol.kernel)
        parts = (
            count(len(self.slices), "slice"),
            f"{spacing:.4g} mm apart" if spacing else "",
            f"kernel {kernel}" if kernel else "",
        )
        return ", ".join(filter(None, parts))

    @property
    def title(self) -> str:
        """The same without a number, for a list with its own numbers."""
        return ", ".join(filter(None, (printable_words(self.description), self.details)))

    @property
    def line(self) -> str:
        """Name and details, as in a list of series."""
        return f"{self.name} ({self.details})"


def series_of(slices: list[Slice]) -> list[Series]:
    """All series of an upload, by patient, study and number of the scanner."""
    parts = [part for group in _grouped(slices, _key) for part in _reconstructions(group)]
    groups = [merged for family in _by(parts, lambda part: _likeness(part[0])) for merged in _joined(family)]
    groups = _with_their_bases(groups)
    order = {id(item): k for k, item in enumerate(slices)}
    patients = list(dict.fromkeys(item.protocol.patient for item in slices))
    studies = list(dict.fromkeys(item.protocol.study for item in slices))
    groups.sort(
        key=lambda group: (
            patients.index(group[0].protocol.patient),
            studies.index(group[0].protocol.study),
            group[0].series_number,
            order[id(group[0])],
        )
    )
    return [Series(tuple(group), k + 1, len(groups)) for k, group in enumerate(groups)]


def _key(item: Slice) -> Hashable:
    """The properties that must be equal. The UID is not enough: a scout or a second tilt may have the same one."""
    series = item.series_uid or (item.series_number, item.description)
    return item.protocol.patient, series, item.rows, item.columns


def _grouped(slices: list[Slice], key: Callable[[Slice], Hashable]) -> list[list[Slice]]:
    """Slices of one key with the same orientation, within rounding. A slice without orientation counts as the first."""
    groups: list[list[Slice]] = []
    for members in _by(slices, key):
        first_new = len(groups)
        for item in sorted(members, key=lambda item: item.orientation is None):
            home = next((group for group in groups[first_new:] if _lie_alike(group[0], item)), None)
            if home is None:
                groups.append([item])
            else:
                home.append(item)
    return groups


def _lie_alike(a: Slice, b: Slice) -> bool:
    is_turned = b.orientation is not None and not _are_close(a.orientation, b.orientation, SAME_TILT)
    return not is_turned and _are_close(a.pixel_mm, b.pixel_mm, 0.001)


def _are_close(a: np.ndarray | None, b: np.ndarray | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.abs(a - b).max() <= tolerance)


def _reconstructions(group: list[Slice]) -> list[list[Slice]]:
    """Two kernels under one UID are two series if both show the same places; else they are parts of one head."""
    parts = _by(group, lambda item: item.protocol.kernel)
    if len(parts) == 1 or _lie_apart(parts):
        return [group]
    return parts


def _with_their_bases(groups: list[list[Slice]]) -> list[list[Slice]]:
    """A base that was scanned at another tilt follows the larger part of its head."""
    whole: list[list[Slice]] = []
    for group in sorted(groups, key=len, reverse=True):
        home = next((larger for larger in whole if continues(larger, group)), None)
        if home is None:
            whole.append(list(group))
        else:
            home.extend(group)
    return whole


def _likeness(item: Slice) -> Hashable:
    """The common properties of the files of one series if each has its own UID; some programs write them so."""
    turn = None if item.orientation is None else tuple(np.round(item.orientation.ravel(), 2))
    pixel = None if item.pixel_mm is None else tuple(np.round(item.pixel_mm, 3))
    protocol = item.protocol
    geometry = (item.rows, item.columns, turn, pixel)
    return protocol.patient, item.description, protocol.kernel, protocol.contrast, *geometry


def _joined(family: list[list[Slice]]) -> list[list[Slice]]:
    """Parts of one series under several UIDs are joined; other series are unchanged."""
    groups = [joined for part in _by(family, _scanned_as) for joined in _counted_through(part)]
    singles = [group for group in groups if len(group) == 1]
    if not singles:
        return groups
    by_thickness = _by(singles, lambda group: group[0].thickness_mm)
    # one head in two thicknesses, or two reconstructions of one head
    parts = [singles] if _lie_apart(singles) else by_thickness
    larger_groups = [group for group in groups if len(group) > 1]
    return larger_groups + [joined for part in parts for joined in _join_singles(part)]


def _join_singles(singles: list[list[Slice]]) -> list[list[Slice]]:
    is_joined = len(singles) >= _FEWEST_FILES and _lie_apart(singles)
    return [[group[0] for group in singles]] if is_joined else singles


def _scanned_as(group: list[Slice]) -> Hashable:
    return group[0].protocol.study, group[0].series_number


def _counted_through(groups: list[list[Slice]]) -> list[list[Slice]]:
    """One list if the scanner numbered the images of all groups consecutively, and no two have the same place."""
    numbers = [item.instance_number for group in groups for item in group]
    if len(groups) > 1 and len(set(numbers)) == len(numbers) and _lie_apart(groups):
        return [[item for group in groups for item in group]]
    return groups


def _lie_apart(groups: list[list[Slice]]) -> bool:
    """Whether no slice of one group has the place of a slice of another."""
    places_mm = Series(tuple(item for group in groups for item in group)).places_mm
    return len(places_mm) == sum(len(Series(tuple(group)).places_mm) for group in groups) and len(places_mm) > 0


def _by(items: list, key: Callable) -> list[list]:
    """Lists of equal keys, in the order of their first members."""
    groups: dict[Hashable, list] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
