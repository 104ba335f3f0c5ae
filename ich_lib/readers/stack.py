"""Choose the images of a series that form the stack: exactly one at each place, and none far from the head.

Real series hold more: a slice far below that tracks the contrast agent, a base of skull scanned twice, an image without
position. A note names what was left out.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from ich_lib.grammar import count
from ich_lib.readers.geometry import SAME_PLACE_MM, is_even, line_of, sort_slices
from ich_lib.readers.header import Slice
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.tilts import tilt_deg

_FAR_STEPS, _FAR_MM = 4, 20.0  # from the next slice: a stray slice
_MOST_STRAYS, _STRAY_SHARE = 3, 0.1  # places beyond such a distance; a larger group is a part of the head
_NEAR_STEPS = 0.4  # of the smaller distance: slices of another pass this close to the first pass are repeats of it


def tilt_notes(slices: list[Slice], all_slices: list[Slice]) -> tuple[str, ...]:
    """A note on slices of the same series with another tilt, which are in no stack with these."""
    first = slices[0]
    if first.orientation is None:
        return ()
    others = [item for item in all_slices if item.series_uid == first.series_uid and tilt_deg(item, first) is not None]
    if not others:
        return ()
    most_deg = max(tilt_deg(item, first) or 0.0 for item in others)
    line = line_of(sort_slices(others))
    extent = "" if line is None else f" ({np.ptp(line.along_mm):.0f} mm of the head)"
    return (
        f"Left out: {count(len(others), 'slice')} of the same series{extent}, tilted by {most_deg:.0f} degrees "
        f"relative to the {len(slices)} that were read. The model does not see bleeding there.",
    )


def stacked(slices: list[Slice], are_equal: Callable[[Slice, Slice], bool]) -> tuple[list[Slice], tuple[str, ...]]:
    """The slices of one stack in order, one at each place, and notes on what was left out.

    Args:
        slices: of one series, in any order.
        are_equal: function that compares the pixels of two images.

    Raises:
        ReadError: if different images have the same place and nothing says which comes first.
    """
    kept, unplaced = _with_place(slices)
    kept, strays = _without_strays(sort_slices(kept))
    kept, n_repeated = _first_pass(kept)
    kept, copies, n_other = _drop_duplicates(kept, are_equal)
    counts = (
        (unplaced, "slice", "without a position"),
        (strays, "slice", "far from the others, such as a scanner takes to see the contrast agent arrive"),
        (copies, "repeated slice", ""),
        (n_repeated + n_other, "slice", "at positions of other slices: that part was scanned or reconstructed twice"),
    )
    return kept, tuple(f"Left out: {count(n, noun)} {words}".rstrip() + "." for n, noun, words in counts if n)


def _with_place(slices: list[Slice]) -> tuple[list[Slice], int]:
    """The slices with a position, if most have one, and the number of the others."""
    placed = [item for item in slices if item.position is not None and item.orientation is not None]
    return (placed, len(slices) - len(placed)) if 2 * len(placed) > len(slices) else (slices, 0)


def _without_strays(slices: list[Slice]) -> tuple[list[Slice], int]:
    """Ordered slices without the few that are far beyond an end, and the number of these."""
    line = line_of(slices)
    if line is None or len(slices) < 4:
        return slices, 0
    steps = np.diff(line.along_mm)
    distances_mm = steps[steps >= SAME_PLACE_MM]
    if not distances_mm.size:  # all have the place of a neighbor
        return slices, 0
    far_mm = max(_FAR_STEPS * float(np.median(distances_mm)), _FAR_MM)
    edges = [0, *(int(k) + 1 for k in np.flatnonzero(steps > far_mm)), len(slices)]
    clusters = [slices[a:b] for a, b in pairwise(edges)]
    sizes = [1 + int(np.count_nonzero(steps[a : b - 1] >= SAME_PLACE_MM)) for a, b in pairwise(edges)]  # of places
    largest_size = max(sizes)
    most_strays = max(_MOST_STRAYS, _STRAY_SHARE * largest_size)
    while len(clusters) > 1 and sizes[0] <= most_strays and 3 * sizes[0] <= largest_size:
        clusters, sizes = clusters[1:], sizes[1:]
    while len(clusters) > 1 and sizes[-1] <= most_strays and 3 * sizes[-1] <= largest_size:
        clusters, sizes = clusters[:-1], sizes[:-1]
    kept_slices = [item for cluster in clusters for item in cluster]
    return kept_slices, len(slices) - len(kept_slices)


def _first_pass(slices: list[Slice]) -> tuple[list[Slice], int]:
    """Ordered slices without those of a second pass over the same part, and the number of these.

    The pass with the most slices comes first; other passes add what lies beyond it. Passes that fill each other's gaps
    evenly become one.
    """
    line, passes = line_of(slices), Counter(item.pass_number for item in slices)
    if line is None or len(passes) < 2 or is_even(line):
        return slices, 0
    along_mm = dict(zip(map(id, slices), line.along_mm.tolist(), strict=True))
    steps = np.diff(line.along_mm)
    spacings_mm = [mm for number in passes if (mm := _pass_spacing_mm(slices, line.along_mm, number)) is not None]
    near_mm = _NEAR_STEPS * min(spacings_mm or [float(steps[steps >= SAME_PLACE_MM].min())])
    spans: list[tuple[float, float]] = []
    kept_ids: set[int] = set()
    members = [[item for item in slices if item.pass_number == number] for number in passes]
    for pass_slices in sorted(
        members, key=lambda pass_slices: (-len(pass_slices), min(item.instance_number for item in pass_slices))
    ):
        places = [along_mm[id(item)] for item in pass_slices]
        kept_ids |= {
            id(item)
            for item, mm in zip(pass_slices, places, strict=True)
            if not any(low - near_mm < mm < high + near_mm for low, high in spans)
        }
        spans.append((min(places), max(places)))
    return [item for item in slices if id(item) in kept_ids], len(slices) - len(kept_ids)


def _pass_spacing_mm(slices: list[Slice], along_mm: np.ndarray, acquisition: int) -> float | None:
    """The median distance in one pass; None for a pass of one place."""
    steps = np.diff(along_mm[[item.pass_number == acquisition for item in slices]])
    distances_mm = steps[steps >= SAME_PLACE_MM]
    return float(np.median(distances_mm)) if distances_mm.size else None


def _drop_duplicates(slices: list[Slice], are_equal: Callable[[Slice, Slice], bool]) -> tuple[list[Slice], int, int]:
    """The slices with one image at each place, and how many copies and other images were left out."""
    kept, copies, others = [], 0, 0
    for group in _places(slices):
        first, *rest = sorted(group, key=lambda item: item.instance_number)
        kept.append(first)
        for item in rest:
            if item.instance_number != first.instance_number:
                others += 1
            elif are_equal(first, item):
                copies += 1
            else:
                raise ReadError(
                    f"Two different images lie at one place ({first.piece.name} and {item.piece.name}): "
                    "two reconstructions or a repeat in one series. Export one of them.",
                    code="place",
                )
    return kept, copies, others


def _places(slices: list[Slice]) -> Iterator[list[Slice]]:
    """Runs of ordered slices with the same place."""
    line = line_of(slices)
    new = np.ones(len(slices), bool)
    if line is not None:
        new[1:] = np.diff(line.along_mm) >= SAME_PLACE_MM
    edges = [*np.flatnonzero(new).tolist(), len(slices)]
    return (slices[a:b] for a, b in pairwise(edges))
