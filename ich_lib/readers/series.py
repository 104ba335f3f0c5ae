"""Which series: one upload often holds a scout, two kernels and a dose report beside the head."""

import numpy as np

from ich_lib.grammar import count
from ich_lib.readers.header import Slice
from ich_lib.readers.refusal import ReadError


def pick_series(slices: list[Slice], series: str | None, name: str) -> tuple[list[Slice], list[str]]:
    """Take the largest series, or the one that was asked for.

    Args:
        slices: CT slices of any series.
        series: a SeriesDescription, or None for the largest; of two equally large ones the lower series number.
        name: what to call the upload.

    Raises:
        ReadError: if no series has that description, with those there are.
    """
    groups = sorted(_groups(slices), key=lambda group: (-len(group), group[0].series_number))
    if series is not None:
        matching = [group for group in groups if group[0].description.strip().lower() == series.strip().lower()]
        if not matching:
            raise ReadError(_choice(groups, series, name))
        return matching[0], []
    if len(groups) == 1:
        return groups[0], []
    other_counts = ", ".join(count(len(group), "slice") for group in groups[1:])
    return groups[0], [
        f"Of {len(groups)} series the largest was read ({count(len(groups[0]), 'slice')}); "
        f"left out: {other_counts}. Name another one with series=."
    ]


def _groups(slices: list[Slice]) -> list[list[Slice]]:
    """Slices that can form one volume. The UID is not enough: a scout or a second tilt may lie under the same one."""
    groups: list[list[Slice]] = []
    for item in slices:
        home = next((group for group in groups if _belong_together(group[0], item)), None)
        if home is None:
            groups.append([item])
        else:
            home.append(item)
    return groups


def _belong_together(a: Slice, b: Slice) -> bool:
    same = (a.series, a.rows, a.columns) == (b.series, b.rows, b.columns)
    return same and _are_close(a.orientation, b.orientation, 0.01) and _are_close(a.pixel_mm, b.pixel_mm, 0.001)


def _are_close(a: np.ndarray | None, b: np.ndarray | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.abs(a - b).max() <= tolerance)


def _choice(groups: list[list[Slice]], series: str, name: str) -> str:
    descriptions = [f'"{group[0].description}" ({count(len(group), "slice")})' for group in groups]
    return (
        f'{name} holds {len(groups)} series: {", ".join(descriptions)}; none is called "{series}". '
        f'Choose one: read(path, series="{groups[0][0].description}").'
    )
