"""Choose the series that a radiologist would open to look for blood: no contrast, soft, axial, 3 to 6 mm, whole
head."""

import math

from ich_lib.readers import protocol
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.series import Series
from ich_lib.readers.slabs import slabs_of

_PREFERRED_MM = (2.9, 6.1)  # thinner slices are noisy, thicker ones blur
_HEAD_MM = (80, 250)  # foot to head, of the slices of a head
_WHOLE_MM = 160  # a head from base to vertex
_REPEATS = 1.5  # slices at a place; more means that the same head is repeated: perfusion, tracking
_AXIAL = 0.7  # of the normal along the body; a gantry tilts up to 30 degrees, a neck a bit more


def ranked(all_series: list[Series]) -> list[Series]:
    """Best first; if equal, the longest first, then the first in the upload."""
    longest_mm = min(max(extent_mm(series) or 0 for series in all_series), _WHOLE_MM)
    return sorted(
        all_series,
        key=lambda series: (_hindrance(series, longest_mm), _class(series), -len(series.slices), series.number),
    )


def contrast_level(series: Series) -> int:
    """0 without contrast, 2 with contrast, 1 if tag and description contradict each other."""
    by_name, by_tag = protocol.has_contrast(series.description), series.first.protocol.contrast
    return 2 if by_name else int(by_tag) if by_name is False else 2 * int(by_tag)


def kernel_level(series: Series) -> int:
    """protocol.SOFT, UNKNOWN or SHARP."""
    return protocol.sharpness(series.first.protocol.kernel, series.description)


def extent_mm(series: Series) -> float | None:
    """From the lowest slice to the highest, with its thickness; None if it is unknown."""
    places, spacing_mm = series.places_mm, series.spacing_mm
    if spacing_mm is None:
        return None
    return float(places[-1] - places[0]) + spacing_mm if len(places) else len(series.slices) * spacing_mm


def unreadable(series: Series) -> str:
    """Why the headers alone show that a series cannot be read; "" if they do not."""
    try:
        slabs_of("It", len(series.slices), series.first.rows, series.first.columns)
    except ReadError as problem:
        return problem.reason
    numbers = [number for item in series.slices for number in (item.slope or None, item.intercept)]
    has_hu = all(number is not None and math.isfinite(number) for number in numbers)
    return "" if has_hu else "It has no HU."


def _hindrance(series: Series, longest_mm: float) -> tuple[bool, ...]:
    """What makes a series useless for blood, worst first: not readable, no slices, no head, a part of a head."""
    repeats = len(series.places_mm) and len(series.slices) > _REPEATS * len(series.places_mm)
    extent = extent_mm(series)
    return (
        bool(unreadable(series)),
        bool(repeats) or protocol.is_odd(series.description),
        not protocol.is_head(series.description, series.first.protocol.body_part),
        extent is not None and extent < longest_mm / 2,
    )


def _class(series: Series) -> tuple[int, ...]:
    extent = extent_mm(series)
    is_head = extent is None or _HEAD_MM[0] <= extent <= _HEAD_MM[1]
    return contrast_level(series), kernel_level(series), _plane(series), _thickness(series), int(not is_head)


def _plane(series: Series) -> int:
    """0 axial as scanned, 1 axial but computed, 2 another plane."""
    orientation = series.first.orientation
    if orientation is None:
        is_across = protocol.is_across(series.description)
    else:
        row, column = orientation
        is_across = abs(row[0] * column[1] - row[1] * column[0]) < _AXIAL  # the share of the normal along the body
    if is_across:
        return 2
    return int(series.first.protocol.derived or protocol.is_reformatted(series.description))


def _thickness(series: Series) -> int:
    """0 for 3 to 6 mm, 1 for thinner, 2 for thicker: the slice thickness, or the spacing if that is larger."""
    thicknesses_mm = [mm for mm in (series.spacing_mm, series.first.thickness_mm) if mm is not None]
    if not thicknesses_mm:
        return 0
    return 1 if max(thicknesses_mm) < _PREFERRED_MM[0] else 2 if max(thicknesses_mm) > _PREFERRED_MM[1] else 0
