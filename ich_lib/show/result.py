"""The result of one scan as a page."""

import textwrap

import numpy as np

from ich_lib.colors import MASK
from ich_lib.labels import ANY, COLORS, LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.uncertainty import score_text
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.show.figure import Axes, Figure, small_text
from ich_lib.words.sentences import SHA_DIGITS, belief_sentence, provenance, result_sentence

_INK, _PAPER, _QUIET = "#F2F2F2", "#111111", "#A8A8A8"


def overview(result: Result, *, slices: int = 8) -> Figure:
    """One picture: the sentence, the slices with most blood outlined, the six scores, the notice, the models. If the
    finding is withheld, it shows slices without outlines and the reasons.

    Args:
        result: from `analyze`.
        slices: number of slices, in order from foot to head.
    """
    indices = most_informative(result, slices)
    columns = min(len(indices), 4)
    lines = -(-len(indices) // columns)
    height = 2.9 * lines + 1.45  # inches
    width = 2.9 * columns + 3.6
    figure = Figure(figsize=(width, height), facecolor=_PAPER)
    grid = figure.add_gridspec(
        lines,
        columns + 1,
        width_ratios=[1] * columns + [1.15],
        top=1 - 0.75 / height,
        bottom=0.66 / height,
        left=0.01,
        right=0.97,
        wspace=0.04,
        hspace=0.04,
    )
    mask = result.mask
    for place, k in enumerate(indices):
        draw_outlined(figure.add_subplot(grid[place // columns, place % columns]), result, mask[k], k)
    side_panel = figure.add_subplot(grid[:, -1])
    if result.is_withheld:
        _reasons(side_panel, result)
    else:
        _scores(side_panel, result)
    words = " ".join(filter(None, [result_sentence(result), belief_sentence(result)]))
    heading = textwrap.fill(words, int(8.3 * width))  # letters of this size per inch
    figure.text(0.012, 1 - 0.38 / height, heading, color=_INK, fontsize=13, weight="bold", va="center")
    figure.text(0.012, 0.26 / height, NOTICE, color=_QUIET, fontsize=9)
    footer = provenance(result, digits=SHA_DIGITS)
    figure.text(0.012, 0.09 / height, footer, color=_QUIET, fontsize=7, parse_math=False)
    return figure


def most_informative(result: Result, count: int) -> list[int]:
    """The slices with most blood, then those with the highest score; in order. If the finding is withheld, some evenly
    spaced slices."""
    if result.is_withheld:
        return np.unique(np.linspace(0, len(result.mask) - 1, count).round().astype(int)).tolist()
    order = np.lexsort((result.slice_scores[:, ANY], result.mask.sum(axis=(1, 2))))
    return sorted(order[-count:].tolist())


def draw_outlined(axes: Axes, result: Result, mask: np.ndarray, k: int) -> None:
    """Slice k in the brain window, its (y, x) mask as an outline, with its number, score and sides."""
    _, dy, dx = result.scan.spacing_mm
    axes.imshow(window(result.scan.hu[k], *WINDOWS["brain"]), cmap="gray", vmin=0, vmax=1, aspect=dy / dx)
    if mask.any() and not result.is_withheld:
        axes.contour(mask, levels=[0.5], colors="black", linewidths=3.2)
        axes.contour(mask, levels=[0.5], colors=MASK, linewidths=1.6)
    small_text(axes, 0.03, 0.93, f"{k + 1}", color=_INK)
    if not result.is_withheld:
        score = score_text(result.slice_scores[k, ANY], result.score_threshold)
        small_text(axes, 0.97, 0.93, f"any {score}", color=_INK, ha="right")
    small_text(axes, 0.02, 0.47, "R", color=_INK)
    small_text(axes, 0.98, 0.47, "L", color=_INK, ha="right")
    axes.set_axis_off()


def _reasons(axes: Axes, result: Result) -> None:
    paragraphs = [textwrap.fill(doubt.sentence, 34) for doubt in result.doubts]
    axes.text(0, 1, "\n\n".join(paragraphs), color=_INK, fontsize=10, va="top", parse_math=False)
    axes.set_axis_off()


def _scores(axes: Axes, result: Result) -> None:
    values = [result.scores[label] for label in LABELS]
    axes.barh(range(len(LABELS)), values, color=COLORS, height=0.34)
    for line, (label, value) in enumerate(zip(LABELS, values, strict=True)):
        axes.text(0, line - 0.3, f"{label} {score_text(value, result.score_threshold)}", color=_INK, fontsize=10)
    axes.axvline(result.score_threshold, color=_QUIET, linewidth=1, linestyle=":")
    axes.set(
        xlim=(0, 1), ylim=(len(LABELS) - 0.4, -0.8), yticks=[], xticks=[0, result.score_threshold, 1], facecolor=_PAPER
    )
    axes.tick_params(colors=_QUIET, labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
