"""Comparisons of runs and groups, as plots."""

from collections.abc import Mapping

import numpy as np

from ich_lib.colors import BLUE, ORANGE, SKY, VERMILION
from ich_lib.measures.paired import Group, Paired
from ich_lib.measures.report import Report
from ich_lib.show.figure import Figure

_QUIET = "#767676"


def box_plot(groups: Mapping[str, Group], measure: str) -> Figure:
    """A box for each group (median, quartiles, whiskers to 1.5 times their distance) and every scan as a point on it.

    Args:
        groups: from `ich_lib.evaluation.compare.group_scans`.
        measure: its name, for the axis.
    """
    figure = Figure(figsize=(8, 0.62 * len(groups) + 1.3), layout="constrained")
    axes, rng = figure.subplots(), np.random.default_rng(0)
    rows = range(len(groups), 0, -1)
    values = [np.array(group.values) for group in groups.values()]
    axes.boxplot(
        values,
        positions=list(rows),
        orientation="horizontal",
        widths=0.55,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": "#DCEBF5", "edgecolor": BLUE},
        medianprops={"color": VERMILION, "linewidth": 2},
    )
    for row, group_values in zip(rows, values, strict=True):
        axes.scatter(
            group_values, row + rng.uniform(-0.18, 0.18, len(group_values)), s=14, color=BLUE, alpha=0.6, zorder=3
        )
    names = [f"{name}  (n = {len(group_values)})" for name, group_values in zip(groups, values, strict=True)]
    axes.set_yticks(list(rows), names)
    axes.set(xlabel=measure, ylim=(0.4, len(groups) + 0.6))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def difference_plot(comparison: Paired) -> Figure:
    """Second run minus first: every patient as a bar, in rising order, and the mean with its interval.

    Args:
        comparison: of a measure that exists for a single patient.
    """
    order = np.argsort(comparison.differences, kind="stable")
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    good = (comparison.differences[order] > 0) == comparison.measure.more_is_better
    axes.bar(range(len(order)), comparison.differences[order], color=np.where(good, SKY, ORANGE))
    axes.axhspan(
        comparison.difference.low,
        comparison.difference.high,
        color=VERMILION,
        alpha=0.18,
        label="95 % interval of the difference",
    )
    axes.axhline(comparison.difference.value, color=VERMILION, linewidth=1.5, label="difference")
    axes.axhline(0, color=_QUIET, linewidth=1)
    axes.set_xticks(range(len(order)), [str(comparison.numbers[k]) for k in order], fontsize=7, rotation=90)
    axes.set(xlabel="patient (number)", ylabel=f"second − first\n{comparison.measure.name}")
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def confusion_plot(report: Report) -> Figure:
    """Predicted and true calls, for slices and for whole scans.

    Args:
        report: from `ich_lib.evaluation.evaluate`.
    """
    figure = Figure(figsize=(8, 3.1), layout="constrained")
    parts = (report.slices, "slices"), (report.whole_scans, "scans")
    for axes, (calls, name) in zip(figure.subplots(1, 2), parts, strict=True):
        counts = calls.counts
        cells = np.array([[counts.tp, counts.fn], [counts.fp, counts.tn]])
        share = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1.3)
        for (y, x), count in np.ndenumerate(cells):
            ink = "white" if share[y, x] > 0.65 else "#1b1b1b"
            axes.text(x, y, f"{count}\n{share[y, x]:.0%} of the row", ha="center", va="center", color=ink)
        axes.set_xticks([0, 1], ["called bleeding", "not called"])
        axes.set_yticks([0, 1], ["bleeds", "does not"])
        axes.set_title(f"{calls.n} {name}, called from {calls.threshold:g} on", fontsize=11)
        axes.spines[:].set_visible(False)
    return figure
