"""One failed scan as pictures: the truth, the mask, and the heat."""

from typing import Literal

import numpy as np
from matplotlib.patheffects import withStroke

from ich_lib.colors import MASK, TRUTH
from ich_lib.prediction.analyze import Result
from ich_lib.prepare.head import field_box
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.scan import Scan
from ich_lib.show.figure import Axes, Figure

_INK, _PAPER = "#F2F2F2", "#111111"
_HALO = [withStroke(linewidth=2.5, foreground="black")]  # letters must be readable on bone too


def failure(result: Result, truth: np.ndarray, slices: list[int]) -> Figure:
    """Some slices of a scan, a row each: the CT, both outlines on it (truth blue, mask yellow), the heat.

    Args:
        result: from `analyze`.
        truth: (z, y, x) bool.
        slices: their indices.
    """
    rows, columns = head_region(result.scan)
    _, dy, dx = result.scan.spacing_mm
    across = 3 * (columns.stop - columns.start) * dx
    down = len(slices) * (rows.stop - rows.start) * dy
    figure = Figure(figsize=(9, 9 * down / across), facecolor=_PAPER)
    figure.subplots_adjust(0, 0, 1, 1, wspace=0.01, hspace=0.01)
    for axes_of_slice, k in zip(figure.subplots(len(slices), 3, squeeze=False), slices, strict=True):
        gray = window(result.scan.hu[k], *WINDOWS["brain"])[rows, columns]
        for axes in axes_of_slice:
            axes.imshow(gray, cmap="gray", vmin=0, vmax=1, aspect=dy / dx)
            axes.set_axis_off()
        draw_outline(axes_of_slice[1], truth[k][rows, columns], TRUTH)
        draw_outline(axes_of_slice[1], result.mask[k][rows, columns], MASK)
        heat = result.heat[k][rows, columns].astype(np.float32)
        axes_of_slice[2].imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.75 * heat, aspect=dy / dx)
        _label(axes_of_slice[0], 0.02, 0.93, f"slice {k + 1} of {len(truth)}")
        _label(axes_of_slice[0], 0.02, 0.48, "R")
        _label(axes_of_slice[0], 0.98, 0.48, "L", ha="right")
    return figure


def _label(axes: Axes, x: float, y: float, text: str, *, ha: Literal["left", "right"] = "left") -> None:
    axes.text(x, y, text, color=_INK, fontsize=10, ha=ha, transform=axes.transAxes, path_effects=_HALO)


def draw_outline(axes: Axes, mask: np.ndarray, color: str) -> None:
    """Draw the border of a (y, x) mask in a color with a black halo."""
    if mask.any():
        axes.contour(mask, levels=[0.5], colors="black", linewidths=2.6)
        axes.contour(mask, levels=[0.5], colors=color, linewidths=1.3)


def head_region(scan: Scan) -> tuple[slice, slice]:
    """Rows and columns of the head, so that small bleeds are visible."""
    box, (rows, columns) = field_box(scan.hu, "head"), scan.hu.shape[1:]
    return (
        slice(max(box.top, 0), min(box.top + box.side, rows)),
        slice(max(box.left, 0), min(box.left + box.side, columns)),
    )
