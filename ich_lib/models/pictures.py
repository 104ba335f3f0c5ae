"""HU to the input of a model: the head's square, a slice with its neighbors, each in each window."""

from collections.abc import Iterable

import cv2
import numpy as np

from ich_lib.models.recipe import Recipe
from ich_lib.prepare.head import Box, crop
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.scan import AIR_HU


def model_inputs(hu: np.ndarray, box: Box, recipe: Recipe, rows: range) -> list[np.ndarray]:
    """Some slices of a scan as a model's input, once for each view of the recipe.

    Args:
        hu: (z, y, x) HU of the whole scan.
        box: the square of the head.
        recipe: size, neighbors, depth and windows; "samples" makes a view for each window.
        rows: slice indices; at most `recipe.depth` of them if that is more than 1.

    Returns:
        (len(rows), size, size, channel) float32 in [0, 1] each; with depth (1, depth, size, size, channel), with air
        for slices beyond the scan's end.
    """
    reach, count = recipe.neighbors if recipe.depth == 1 else 0, len(hu)
    needed = range(max(rows.start - reach, 0), min(rows.stop + reach, count))
    small = {k: crop(hu[k], box, recipe.size, outside=AIR_HU) for k in needed}
    window_groups = [recipe.windows] if recipe.windows_as == "channels" else [(name,) for name in recipe.windows]
    if recipe.depth == 1:
        stacks = [[small[n] for n in neighbor_indices(count, k, reach)] for k in rows]
    else:
        air = np.full((recipe.size, recipe.size), AIR_HU, np.float32)
        stacks = [[small[k]] for k in rows] + [[air]] * (recipe.depth - len(rows))
    inputs = []
    for windows in window_groups:
        pictures = np.stack([_with_channels(stack_channels(stack, windows)) for stack in stacks])
        inputs.append(pictures if recipe.depth == 1 else pictures[None])
    return inputs


def _with_channels(picture: np.ndarray) -> np.ndarray:
    """OpenCV drops the axis of a single channel."""
    return picture if picture.ndim == 3 else picture[..., None]


def stack_channels(planes: Iterable[np.ndarray], windows: tuple[str, ...]) -> np.ndarray:
    """A slice and its neighbors, (y, x) HU each, to (y, x, channel) in [0, 1]: each in each window."""
    return cv2.merge([window(plane, *WINDOWS[name]) for plane in planes for name in windows])


def neighbor_indices(count: int, index: int, reach: int) -> np.ndarray:
    """Slice indices from index - reach to index + reach in a scan of `count`; beyond an end, the last slice is
    repeated."""
    return np.clip(np.arange(index - reach, index + reach + 1), 0, count - 1)


def restore_bone(hu: np.ndarray) -> np.ndarray:
    """Restore bone and air of a picture that is cut off below bone.

    A PNG of the brain window ends at 80 HU, so its skull would look like one large bleed. If nothing reaches 300 HU,
    pixels of the brightest gray count as bone, and black ones as air. Other scans are returned unchanged.
    """
    low, high = float(hu.min()), float(hu.max())
    if high >= 300 or high - low < 1:
        return hu
    edge = 0.004 * (high - low)  # one step of 256
    return np.where(hu >= high - edge, np.float32(1000), np.where(hu <= low + edge, np.float32(AIR_HU), hu))
