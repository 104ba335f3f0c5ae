"""Polygons drawn in a browser to a mask of the same area."""

import ast
import json
from collections.abc import Iterator, Sequence

import numpy as np

_EMPTY = ("", "nan", "none", "null")
_GRID_PX, _FINEST = 2048, 64  # sub-pixels across a region at most; sub-pixels across a pixel at most


def regions(text: str | None) -> list[np.ndarray]:
    """The regions of one cell of an annotation table.

    Every nesting is accepted: a list of points, a list of regions, regions of several readers, and readers whose
    regions are text again. `[]`, `[[]]`, NaN and an empty cell are no region; fewer than three points enclose nothing.

    Args:
        text: JSON or a Python literal of points {"x": 0.25, "y": 0.5}, shares of width and height.

    Returns:
        (n, 2) float x, y of each region.

    Raises:
        ValueError: if it is neither.
    """
    if text is None or text.strip().lower() in _EMPTY:
        return []
    try:
        return list(_regions(_parsed(text)))
    except (TypeError, KeyError, SyntaxError, RecursionError, MemoryError, ValueError) as problem:
        raise ValueError(f"this is not a list of points: {text[:60]!r}") from problem


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return ast.literal_eval(text)


def _regions(value: object) -> Iterator[np.ndarray]:
    """Walk down to the lists whose items are points."""
    if isinstance(value, str):
        value = [] if value.strip().lower() in _EMPTY else _parsed(value)
    if not isinstance(value, list | tuple):
        raise TypeError("not a list")
    if value and all(isinstance(item, dict) for item in value):
        points = np.array([(float(point["x"]), float(point["y"])) for point in value])
        if not np.isfinite(points).all():
            raise ValueError("not finite")
        if len(points) >= 3:
            yield points
        return
    for item in value:
        yield from _regions(item)


def fill(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """One mask of all regions, with their common area.

    Pixel (row, column) is the square from (column, row) to (column + 1, row + 1). Each pixel is weighted by the share
    of it that is inside. The pixels with the highest weights are taken until their number equals the whole area. So
    thin and small regions keep their size. They lose it if the middle of a pixel decides, and grow if its edge does
    (cv2.fillPoly).

    Args:
        polygons: (n, 2) x, y as shares of width and height; cut off outside 0 to 1.
        shape: (rows, columns) of the picture.

    Returns:
        (rows, columns) bool; its area is correct to half a pixel.
    """
    share = np.zeros(shape, np.float32)
    mask = np.zeros(shape, bool)
    if not polygons:
        return mask
    points = [np.clip(polygon, 0, 1) * (shape[1], shape[0]) for polygon in polygons]
    low = np.floor(np.min([p.min(axis=0) for p in points], axis=0)).astype(int)
    high = np.minimum(np.ceil(np.max([p.max(axis=0) for p in points], axis=0)).astype(int), (shape[1], shape[0]))
    wide, tall = np.maximum(high - low, 1)
    fine = int(np.clip(_GRID_PX // max(wide, tall), 4, _FINEST))
    inside = np.logical_or.reduce([_inside((p - low) * fine, tall * fine, wide * fine) for p in points])
    inner = inside.reshape(tall, fine, wide, fine).mean(axis=(1, 3), dtype=np.float32)
    share[low[1] : low[1] + tall, low[0] : low[0] + wide] = inner[: shape[0] - low[1], : shape[1] - low[0]]
    heaviest = np.argsort(-share, axis=None, kind="stable")[: round(float(share.sum(dtype=np.float64)))]
    mask.flat[heaviest] = True
    return mask


def _inside(points: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) bool, whether the middle of a sub-pixel is inside: to its left there is an odd number of
    edges."""
    x, y = points.T
    x_next, y_next = np.roll(x, -1), np.roll(y, -1)
    middle = np.arange(rows)[:, None] + 0.5
    crossed = (y <= middle) != (y_next <= middle)  # (rows, edges)
    row, edge = np.nonzero(crossed)
    along = (row + 0.5 - y[edge]) / (y_next - y)[edge]
    column = np.ceil(x[edge] + along * (x_next - x)[edge] - 0.5).astype(int)
    steps = np.zeros((rows, columns + 1), np.uint8)
    np.add.at(steps, (row, np.clip(column, 0, columns)), 1)
    return np.cumsum(steps, axis=1, dtype=np.uint8)[:, :-1] % 2 == 1
