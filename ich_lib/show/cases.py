"""One slice of a case as one picture, for pages that place several of them."""

import numpy as np

from ich_lib.colors import MASK, TRUTH
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.scan import Scan
from ich_lib.show.explanation import HEAT
from ich_lib.show.figure import Figure
from ich_lib.show.gallery import draw_outline, head_region

_INK, _PAPER = "#F2F2F2", "#111111"


def slice_picture(
    scan: Scan,
    k: int,
    *,
    truth: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    heat: np.ndarray | None = None,
) -> Figure:
    """The head in one slice, in the brain window, with optional overlays.

    Args:
        scan: the head CT.
        k: index of the slice.
        truth: (z, y, x) bool, a blue line.
        mask: (z, y, x) bool, a yellow line.
        heat: (z, y, x) in [0, 1].
    """
    part = (k, *head_region(scan))
    gray = window(scan.hu[part], *WINDOWS["brain"])
    _, dy, dx = scan.spacing_mm
    figure = Figure(figsize=(4, 4 * gray.shape[0] * dy / (gray.shape[1] * dx)), facecolor=_PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, aspect="auto")
    for outline_mask, color in ((truth, TRUTH), (mask, MASK)):
        if outline_mask is not None:
            draw_outline(axes, outline_mask[part], color)
    if heat is not None:
        warm = heat[part].astype(np.float32)
        axes.imshow(warm, cmap=HEAT, vmin=0, vmax=1, alpha=0.75 * warm, aspect="auto")
    for x, letter in ((0.02, "R"), (0.94, "L")):
        axes.text(x, 0.48, letter, color=_INK, fontsize=12, transform=axes.transAxes)
    return figure
