"""Plots of the effect of corruptions on scans and on models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ich_lib.colors import BLUE, GRAY, MASK, VERMILION
from ich_lib.prepare.head import Box
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.show.figure import Axes, Figure

_LINES = (("dice_per_subject", "Dice per subject", BLUE, "o"), ("slice_auc_any", "slice AUC", VERMILION, "s"))
_COLUMNS = 5


def robustness_plot(report: dict) -> Figure:
    """One panel per corruption: the change of Dice and slice AUC with severity, with intervals, all on one scale.

    Args:
        report: from `ich_lib.evaluation.robustness.robustness_plot`.
    """
    corruptions = report["corruptions"]
    columns = min(len(corruptions), _COLUMNS)
    lines = -(-len(corruptions) // columns)
    figure = Figure(figsize=(2.4 * columns + 0.8, 2.5 * lines + 0.6), layout="constrained")
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for panel, (name, corruption) in zip(axes.flat, corruptions.items(), strict=False):
        _panel(panel, name, corruption)
    for panel in axes.flat[len(corruptions) :]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_ylabel("change against clean")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False)
    return figure


def _panel(axes: Axes, name: str, corruption: dict) -> None:
    rows = corruption["severities"]
    axes.axhline(0, color=GRAY, linewidth=1)
    for number, (key, label, color, marker) in enumerate(_LINES):
        value, low, high = (
            np.array([np.nan if row[key]["change"][part] is None else row[key]["change"][part] for row in rows])
            for part in ("value", "low", "high")
        )
        if np.isnan(value).all():
            continue
        at = np.array([row["severity"] for row in rows]) + (number - 0.5) * 0.16
        far = np.clip([value - low, high - value], 0, None)  # rounding could change them
        axes.errorbar(
            at, value, far, color=color, marker=marker, markersize=4, linewidth=1.4, elinewidth=1, label=label
        )
    axes.set_title(name, fontsize=11)
    axes.set_xlabel(corruption["unit"])
    axes.set_xticks([row["severity"] for row in rows], [f"{row['strength']:g}" for row in rows])
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


@dataclass(frozen=True)
class Example:
    """A slice to draw.

    Attributes:
        title: the corruption.
        plane: (y, x) HU.
        truth: (y, x) bool, blood.
        box: the part that is shown.
    """

    title: str
    plane: np.ndarray
    truth: np.ndarray
    box: Box


def examples(lines: Sequence[Sequence[Example]]) -> Figure:
    """Slices in the brain window with their blood outlined, one line per corruption.

    Args:
        lines: equal numbers of slices.
    """
    height = 1.95 * len(lines)  # inches
    figure = Figure(figsize=(7.2, height))
    margins = {"left": 0.01, "right": 0.99, "bottom": 0.05 / height, "top": 1 - 0.25 / height}
    axes = figure.subplots(
        len(lines), len(lines[0]), squeeze=False, gridspec_kw={**margins, "wspace": 0.04, "hspace": 0.13}
    )
    for row, line in zip(axes, lines, strict=True):
        for panel, example in zip(row, line, strict=True):
            _slice(panel, example.plane, example.truth, example.box)
            panel.set_title(example.title, fontsize=9, loc="left")
    return figure


def _slice(axes: Axes, plane: np.ndarray, truth: np.ndarray, box: Box) -> None:
    axes.imshow(window(plane, *WINDOWS["brain"]), cmap="gray", vmin=0, vmax=1)
    if truth.any():
        axes.contour(truth, levels=[0.5], colors=MASK, linewidths=0.8)
    right, bottom = box.left + box.side - 0.5, box.top + box.side - 0.5
    axes.set(xlim=(box.left - 0.5, right), ylim=(bottom, box.top - 0.5), facecolor="black")
    axes.set(xticks=[], yticks=[])
