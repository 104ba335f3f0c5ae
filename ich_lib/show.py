"""Results to figures: the only file that imports matplotlib. Figures are returned, never shown."""

import numpy as np
from matplotlib.figure import Figure

from ich_lib.labels import ANY, COLORS, LABELS
from ich_lib.predict import NOTICE, Result
from ich_lib.report import sentence
from ich_lib.window import WINDOWS, window

YELLOW = "#F0E442"  # Okabe-Ito; the only hue told from brain and from blood once it has a black halo
_INK, _PAPER, _QUIET = "#F2F2F2", "#111111", "#A8A8A8"


def overview(result: Result, *, slices: int = 8) -> Figure:
    """One page: the sentence, the slices with most blood outlined on the brain window, the six scores, the notice.

    Args:
        result: of `analyse`.
        slices: how many are shown, in order from foot to head.
    """
    chosen = _most_telling(result, slices)
    columns = min(len(chosen), 4)
    lines = -(-len(chosen) // columns)
    height = 2.9 * lines + 1.3  # inches
    figure = Figure(figsize=(2.9 * columns + 3.6, height), facecolor=_PAPER)
    margins = {
        "top": 1 - 0.75 / height,
        "bottom": 0.5 / height,
        "left": 0.01,
        "right": 0.97,
        "wspace": 0.04,
        "hspace": 0.04,
    }
    grid = figure.add_gridspec(lines, columns + 1, width_ratios=[1] * columns + [1.15], **margins)
    mask = result.mask
    for place, k in enumerate(chosen):
        _slice(figure.add_subplot(grid[place // columns, place % columns]), result, mask[k], k)
    _scores(figure.add_subplot(grid[:, -1]), result)
    figure.text(0.012, 1 - 0.42 / height, sentence(result), color=_INK, fontsize=13, weight="bold")
    figure.text(0.012, 0.17 / height, NOTICE, color=_QUIET, fontsize=9)
    return figure


def _most_telling(result: Result, count: int) -> list[int]:
    """The slices with most blood, then those with the highest score; in order."""
    order = np.lexsort((result.slice_scores[:, ANY], result.mask.sum(axis=(1, 2))))
    return sorted(order[-count:].tolist())


def _slice(axes, result: Result, mask: np.ndarray, k: int) -> None:
    _, dy, dx = result.scan.spacing_mm
    axes.imshow(window(result.scan.hu[k], *WINDOWS["brain"]), cmap="gray", vmin=0, vmax=1, aspect=dy / dx)
    if mask.any():
        axes.contour(mask, levels=[0.5], colors="black", linewidths=3.2)
        axes.contour(mask, levels=[0.5], colors=YELLOW, linewidths=1.6)
    label = {"color": _INK, "fontsize": 9, "transform": axes.transAxes}
    axes.text(0.03, 0.93, f"{k + 1}", **label)
    axes.text(0.97, 0.93, f"any {result.slice_scores[k, ANY]:.2f}", ha="right", **label)
    axes.text(0.02, 0.47, "R", **label)
    axes.text(0.98, 0.47, "L", ha="right", **label)
    axes.set_axis_off()


def _scores(axes, result: Result) -> None:
    values = [result.scores[label] for label in LABELS]
    axes.barh(range(len(LABELS)), values, color=COLORS, height=0.34)
    for line, (label, value) in enumerate(zip(LABELS, values, strict=True)):
        axes.text(0, line - 0.3, f"{label} {value:.2f}", color=_INK, fontsize=10)
    axes.axvline(result.score_threshold, color=_QUIET, linewidth=1, linestyle=":")
    axes.set(
        xlim=(0, 1), ylim=(len(LABELS) - 0.4, -0.8), yticks=[], xticks=[0, result.score_threshold, 1], facecolor=_PAPER
    )
    axes.tick_params(colors=_QUIET, labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)


def evaluation(report: dict) -> Figure:
    """Four plots of an evaluation: ROC curves, reliability, volumes (Bland and Altman), Dice by patient.

    Args:
        report: what `ich_lib.evaluate.evaluate` returned.
    """
    figure = Figure(figsize=(11, 8.6), layout="constrained")
    axes = figure.subplots(2, 2)
    _roc(axes[0, 0], report)
    _reliability(axes[0, 1], report["slices"]["reliability"])
    _agreement(axes[1, 0], report["volume"])
    _dice_by_patient(axes[1, 1], report)
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
    return figure


def _roc(axes, report: dict) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
    for key, name, color in (("slices", "slices", "#0072B2"), ("whole_scans", "scans", "#D55E00")):
        points, auc = report[key]["roc"], report[key]["auc"]["value"]
        if points:
            axes.plot(*zip(*points, strict=True), color=color, label=f"{name}, AUC {auc:.3f}")
    axes.set(title="Any bleeding", xlabel="1 − specificity", ylabel="sensitivity", aspect="equal")
    axes.legend(loc="lower right", frameon=False)


def _reliability(axes, bins: list[dict]) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
    filled = [row for row in bins if row["n"]]
    axes.plot([row["score"] for row in filled], [row["share"] for row in filled], color="#0072B2", marker="o")
    for row in filled:
        axes.annotate(row["n"], (row["score"], row["share"]), (5, -11), textcoords="offset points", fontsize=8)
    axes.set(
        title="What was said, and what was so (slices)",
        xlabel="mean probability said (number: slices)",
        ylabel="share that bleeds",
        xlim=(0, 1),
        ylim=(-0.03, 1.03),
    )


def _agreement(axes, volume: dict) -> None:
    axes.set(title="Volume of bleeding scans", xlabel="mean of both, mL", ylabel="measured − true, mL")
    if not volume:
        axes.text(0.5, 0.5, "no masks", ha="center", transform=axes.transAxes)
        return
    true, measured = np.array(volume["pairs_ml"]).T
    axes.scatter((true + measured) / 2, measured - true, s=18, color="#0072B2")
    low, high = volume["limits_ml"]
    for value, style in ((volume["bias_ml"]["value"], "-"), (low, "--"), (high, "--")):
        axes.axhline(value, color="#D55E00", linewidth=1, linestyle=style)
        axes.annotate(
            f"{value:.1f}",
            (1, value),
            (-2, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
        )


def _dice_by_patient(axes, report: dict) -> None:
    rows = sorted((row for row in report["per_patient"] if row["dice"] is not None), key=lambda row: row["dice"])
    axes.set(title="Dice by bleeding scan, and its mL of blood", ylabel="Dice", ylim=(0, 1))
    if not rows:
        axes.text(0.5, 0.5, "no masks", ha="center", transform=axes.transAxes)
        return
    axes.bar(range(len(rows)), [row["dice"] for row in rows], color="#56B4E9")
    axes.axhline(report["dice_per_subject"]["value"], color="#D55E00", linewidth=1)
    axes.set_xticks(range(len(rows)), [f"{row['true_ml']:.1f}" for row in rows], fontsize=7, rotation=90)
