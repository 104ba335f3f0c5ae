"""What several models say of one slice, side by side."""

from collections.abc import Mapping

import numpy as np

from ich_lib.scan import Scan
from ich_lib.show.figure import Figure
from ich_lib.show.gallery import BLUE, head_of, outline
from ich_lib.show.result import YELLOW
from ich_lib.window import WINDOWS, window

_INK, _PAPER = "#F2F2F2", "#111111"
_COLUMNS = 3


def answers(scan: Scan, truth: np.ndarray, masks: Mapping[str, np.ndarray], k: int) -> Figure:
    """One slice once a model: the truth as a blue line, the model's mask as a yellow one.

    Args:
        scan: what was read.
        truth: (z, y, x) bool.
        masks: name of the model to its mask, (z, y, x) bool.
        k: number of the slice.
    """
    rows, columns = head_of(scan)
    _, dy, dx = scan.spacing_mm
    across = min(len(masks), _COLUMNS)
    lines = -(-len(masks) // across)
    tall = (rows.stop - rows.start) * dy / ((columns.stop - columns.start) * dx)
    figure = Figure(figsize=(3 * across, (3 * tall + 0.35) * lines), facecolor=_PAPER, layout="constrained")
    panels = figure.subplots(lines, across, squeeze=False).ravel()
    gray = window(scan.hu[k], *WINDOWS["brain"])[rows, columns]
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, mask) in zip(panels, masks.items(), strict=False):
        axes.imshow(gray, cmap="gray", vmin=0, vmax=1, aspect=dy / dx)
        outline(axes, truth[k][rows, columns], BLUE)
        outline(axes, mask[k][rows, columns], YELLOW)
        axes.set_title(name, color=_INK, fontsize=10)
    return figure
