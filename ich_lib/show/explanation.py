"""Explanations as a page, and the filters of the first layer."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from ich_lib.notice import NOTICE
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.scan import Scan
from ich_lib.show.figure import Axes, Figure, small_text

HEAT = "inferno"  # perceptual, as in the viewer: equal steps of heat look equally different
_OPACITY, _FADED = 0.65, 0.2  # of the heat; and the share below which it fades out: no evidence has no color
_INK, _PAPER, _QUIET = "#F2F2F2", "#111111", "#A8A8A8"
_PAIRS = 3  # a line


def explanation(scan: Scan, heat: np.ndarray, *, title: str, slices: int = 6) -> Figure:
    """The slices with most heat, each without and with its heat; one scale for all.

    Args:
        scan: the explained scan.
        heat: (z, y, x) in [0, 1], from `ich_lib.explanation.explain`.
        title: the method and the model.
        slices: number of slices, in order from foot to head.
    """
    order = np.argsort(heat.sum(axis=(1, 2), dtype=float), kind="stable")
    indices = sorted(order[-slices:].tolist())
    pairs = min(len(indices), _PAIRS)
    lines = -(-len(indices) // pairs)
    height = 2.35 * lines + 1.35  # inches
    figure = Figure(figsize=(max(4.6 * pairs, 9) + 0.9, height), facecolor=_PAPER)
    grid = figure.add_gridspec(
        lines, 2 * pairs, left=0.01, right=0.93, top=1 - 0.8 / height, bottom=0.5 / height, wspace=0.03, hspace=0.04
    )
    for place, k in enumerate(indices):
        line, column = divmod(place, pairs)
        _slice(figure.add_subplot(grid[line, 2 * column]), scan, k)
        _slice(figure.add_subplot(grid[line, 2 * column + 1]), scan, k, heat[k])
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), HEAT), cax=figure.add_axes((0.945, 0.2, 0.012, 0.6)))
    bar.set_ticks([0, 0.5, 1])
    bar.ax.tick_params(colors=_QUIET, labelsize=8)
    figure.text(0.012, 1 - 0.36 / height, title, color=_INK, fontsize=13, weight="bold")
    note = "1 is the strongest place of this scan, however low its score. Heat tells where the answer came from, not "
    note += "that it is right." if heat.any() else "that it is right. Here nothing speaks for the answer."
    figure.text(0.012, 1 - 0.63 / height, note, color=_QUIET, fontsize=9)
    figure.text(0.012, 0.17 / height, NOTICE, color=_QUIET, fontsize=9)
    return figure


def _slice(axes: Axes, scan: Scan, k: int, heat: np.ndarray | None = None) -> None:
    _, dy, dx = scan.spacing_mm
    axes.imshow(window(scan.hu[k], *WINDOWS["brain"]), cmap="gray", vmin=0, vmax=1, aspect=dy / dx)
    if heat is not None:
        heat = heat.astype(np.float32)
        opacity = _OPACITY * np.minimum(heat / _FADED, 1)
        axes.imshow(heat, cmap=HEAT, vmin=0, vmax=1, alpha=opacity, aspect=dy / dx)
    small_text(axes, 0.03, 0.92, f"{k + 1}" if heat is None else "heat", color=_INK)
    small_text(axes, 0.02, 0.47, "R", color=_INK)
    small_text(axes, 0.98, 0.47, "L", color=_INK, ha="right")
    axes.set_axis_off()


def filters(before: np.ndarray, after: np.ndarray, *, channel: int | None = None, limit: int = 16) -> Figure:
    """The first layer's filters before training and after, one below the other, on one scale.

    Args:
        before: (filter, y, x, channel), from `ich_lib.explanation.filters`.
        after: the same of the trained model.
        channel: the input channel to show; None for the middle one: for a model with neighbors the slice itself, in its
            first window.
        limit: maximum number of filters.

    Raises:
        ValueError: if the two have different shapes, or the channel does not exist.
    """
    if before.shape != after.shape:
        raise ValueError(f"Filters before and after must be of one shape; got {before.shape} and {after.shape}.")
    channel = (before.shape[-1] - 1) // 2 if channel is None else channel
    if not 0 <= channel < before.shape[-1]:
        raise ValueError(f"There is no channel {channel}; the first layer sees {before.shape[-1]}, from 0 on.")
    count = min(len(before), limit)
    top = float(max(np.abs(weights[:count, ..., channel]).max() for weights in (before, after))) or 1.0
    figure = Figure(figsize=(0.72 * count + 2.4, 2.6), layout="constrained")
    axes = figure.subplots(2, count, squeeze=False)
    for line, (name, weights) in enumerate((("before", before), ("after", after))):
        for n in range(count):
            image = axes[line, n].imshow(weights[n, ..., channel], cmap="PuOr", vmin=-top, vmax=top)
            axes[line, n].set(xticks=[], yticks=[])
        axes[line, 0].set_ylabel(f"{name}\ntraining", rotation=0, ha="right", va="center")
    figure.colorbar(image, ax=axes, label="weight", shrink=0.9)
    figure.suptitle(f"First layer, channel {channel}: {count} of {len(before)} filters", fontsize=11)
    return figure
