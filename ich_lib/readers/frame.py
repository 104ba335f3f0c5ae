"""Parts of a picture that are not one slice: a rim or page around it, several slices on one sheet, or only a mask.

All functions work on grays from 0 to 1. A rim is painted black and not cut off, so that a mask of the same picture
still fits.
"""

import cv2
import numpy as np

from ich_lib.grammar import count
from ich_lib.readers.refusal import ReadError

_BLACK, _RIM, _WHITE = 0.08, 0.3, 0.92  # neither above nor below
_FLAT = 0.05  # largest difference of grays in a line of a rim, except for 1 % of its pixels
_SIDES = ((0, 0), (0, 1), (1, 0), (1, 1))  # rows or columns, their start or end
_LEAST_INNER = 16  # px that a slice keeps at least
_PAGE_SHARE = 0.35  # share of white pixels along the edge, if a slice is on a white page
_EMPTY = 0.03  # share of a line between two slices that may be bright
_SEARCH = 0.06  # of a tile: how far that line may be from its expected place
_TILE_PX, _MOST_TILES = 48, 8  # the least side, and the largest number along a side
_ASPECT = (0.6, 1.7)
_HEAD, _OFF = 0.35, 0.2  # of a tile's sides: the smallest head, and its largest distance from the middle
_HEADS = 0.7  # of the tiles must hold a head
_FEW, _MASK_SHARE = 8, 0.1  # grays of a mask, and the share of its pixels that are neither black nor white
_BLUR = 0.005  # the same share after JPG has blurred a black and white mask


def paint_rim(volume: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Paint everything around the slices black.

    Args:
        volume: (slices, rows, columns), the same rim on all of them.

    Returns:
        The volume, a copy if it had a rim, and notes for the user.
    """
    low, high = volume.min(0), volume.max(0)
    rim, inner = np.ones(low.shape, bool), _inner(low, high)
    rim[inner] = False
    frame = low[rim & (high > _BLACK)]
    if len(frame) and (shade := float(np.median(frame))) < _WHITE and _is_background(low[inner], shade):
        rim[:] = False
    rim[inner] = _page(low[inner])
    rim &= high > _BLACK
    if not rim.any():
        return volume, ()
    note = f"A rim around the slice ({rim.mean():.0%} of the picture) was taken as air."
    return np.where(rim, np.float32(0), volume), (note,)


def _inner(low: np.ndarray, high: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns inside the frame.

    Lines are removed from the outside while each has a single gray. Bright lines at the edge are a frame. Other bright
    lines are one only if they have black on both sides; a skull does not.
    """
    ends = [[0, low.shape[0]], [0, low.shape[1]]]  # of rows, of columns
    inner = [list(pair) for pair in ends]
    at_edge, is_open, depth = dict.fromkeys(_SIDES, True), dict.fromkeys(_SIDES, False), dict.fromkeys(_SIDES, 0)
    while min(end - start for start, end in ends) > _LEAST_INNER:
        for side in _SIDES:
            line = _line(ends, *side)
            darkest, brightest = np.percentile(low[line], 1), np.percentile(high[line], 99)
            if brightest - darkest <= _FLAT or (depth[side] and at_edge[side] and _is_blurred_frame(low[line])):
                break
        else:
            break
        (axis, end), is_bright = side, brightest > _RIM
        depth[side] += 1
        if is_open[side] and not is_bright:
            inner[axis][end] = ends[axis][end]
        ends[axis][end] += -1 if end else 1
        at_edge[side] &= is_bright
        if at_edge[side]:
            inner[axis][end] = ends[axis][end]
        is_open[side] = is_bright
    return slice(*inner[0]), slice(*inner[1])


def _is_blurred_frame(line: np.ndarray) -> bool:
    """Whether it is the last line of a frame, which JPG blurs into the slice."""
    low, high = np.percentile(line, (20, 80))
    return bool(low > _RIM and high - low <= 2 * _FLAT)


def _is_background(inner: np.ndarray, gray: float) -> bool:
    """Whether the frame continues around the head. Then it is air, seen through a wide window."""
    return bool(np.mean(np.abs(_edge(inner) - gray) <= _FLAT) > 0.5)


def _edge(plane: np.ndarray) -> np.ndarray:
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


def _line(ends: list[list[int]], axis: int, end: int) -> tuple[slice, slice]:
    """The outermost remaining row or column on one side."""
    line = [slice(*ends[0]), slice(*ends[1])]
    line[axis] = slice(ends[axis][1] - 1, ends[axis][1]) if end else slice(ends[axis][0], ends[axis][0] + 1)
    return line[0], line[1]


def _page(low: np.ndarray) -> np.ndarray:
    """(y, x) bool, the white page around a slice of any outline."""
    white = (low > _WHITE).astype(np.uint8)
    if _edge(white).mean() < _PAGE_SHARE:
        return np.zeros(low.shape, bool)
    _, pieces = cv2.connectedComponents(white, connectivity=4)
    touching = np.unique(_edge(pieces))
    return np.isin(pieces, touching[touching > 0])


def cut_sheets(volume: np.ndarray, values: np.ndarray | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Cut sheets of several slices apart, if every picture is a sheet with the same layout.

    Args:
        volume: (sheets, rows, columns) grays.
        values: of the same shape, to cut in the same way; None for the grays themselves.

    Returns:
        (slices, rows, columns), and notes for the user.
    """
    grids = {_grid(page) for page in volume[:: max(len(volume) // 8, 1)]}
    values = volume if values is None else values
    if len(grids) != 1 or (grid := grids.pop()) is None:
        return values, ()
    rows, columns = grid
    high, wide = volume.shape[1] // rows, volume.shape[2] // columns
    tiles = [
        (k, slice(r * high, (r + 1) * high), slice(c * wide, (c + 1) * wide))
        for k in range(len(volume))
        for r in range(rows)
        for c in range(columns)
    ]
    slices = [values[tile] for tile in tiles if (volume[tile] > _BLACK).mean() > _EMPTY]
    note = (
        f"{'The picture is a sheet' if len(volume) == 1 else 'The pictures are sheets'} of {rows} x {columns} slices. "
        f"{count(len(slices), 'slice')} cut out row by row; foot to head is assumed."
    )
    return np.stack(slices), (note,)


def _grid(page: np.ndarray) -> tuple[int, int] | None:
    """(rows, columns) of slices on a sheet; None for one slice."""
    bright = page > _BLACK
    for rows in range(1, _MOST_TILES + 1):
        for columns in range(1, _MOST_TILES + 1):
            high, wide = page.shape[0] / rows, page.shape[1] / columns
            if rows * columns == 1 or min(high, wide) < _TILE_PX or not _ASPECT[0] < high / wide < _ASPECT[1]:
                continue
            gaps = _has_gaps(page, bright, rows) and _has_gaps(page.T, bright.T, columns)
            if gaps and _holds_heads(bright, rows, columns):
                return rows, columns
    return None


def _has_gaps(page: np.ndarray, bright: np.ndarray, parts: int) -> bool:
    """Whether there is an empty row, or a row with a single gray, near each border of `parts` equal parts."""
    side = len(page) / parts
    for border in range(1, parts):
        near = slice(round(border * side - _SEARCH * side), round(border * side + _SEARCH * side) + 1)
        empty = bright[near].mean(1) <= _EMPTY
        if not (empty | (np.ptp(np.percentile(page[near], (5, 95), axis=1), axis=0) <= _FLAT)).any():
            return False
    return True


def _holds_heads(bright: np.ndarray, rows: int, columns: int) -> bool:
    high, wide = bright.shape[0] // rows, bright.shape[1] // columns
    are_heads = [
        _is_head(bright[r * high : (r + 1) * high, c * wide : (c + 1) * wide])
        for r in range(rows)
        for c in range(columns)
    ]
    return sum(are_heads) >= max(2, _HEADS * len(are_heads))


def _is_head(tile: np.ndarray) -> bool:
    """Whether the largest bright object of a tile is large and in its middle."""
    pieces, _, stats, _ = cv2.connectedComponentsWithStats(tile.astype(np.uint8), connectivity=8)
    if pieces < 2:
        return False
    left, top, wide, high, _ = stats[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
    for start, span, side in ((left, wide, tile.shape[1]), (top, high, tile.shape[0])):
        if span < _HEAD * side or abs(start + span / 2 - side / 2) > _OFF * side:
            return False
    return True


def is_mask(grays: np.ndarray) -> bool:
    """Whether grays from 0 to 1 are those of a mask: black and white, or a few grays on black."""
    sample = grays.ravel()[:: max(grays.size // 4_000_000, 1)]
    counts = np.bincount((sample * 255).astype(np.uint8), minlength=256)
    middle, different = counts[26:230].sum() / counts.sum(), np.count_nonzero(counts)
    blurred = middle < _BLUR and counts[230:].any()
    return bool(different <= 2 or blurred or (different <= _FEW and middle < _MASK_SHARE))


def refuse_mask(name: str, volume: np.ndarray) -> None:
    """Refuse pictures that are a mask, by their grays.

    Raises:
        ReadError: if they are a mask.
    """
    if is_mask(volume):
        raise ReadError(
            f"{name} is a mask, not a slice: it is black except for areas of one gray. Give the pictures of the "
            "slices; a mask goes with them as true mask.",
            code="no scan",
        )
