"""The quality of models, as plots."""

from collections.abc import Sequence

from ich_lib.colors import BLUE, GRAY, SKY, VERMILION
from ich_lib.measures.metrics import Bin
from ich_lib.measures.report import Report, Volume
from ich_lib.show.figure import Axes, Figure
from ich_lib.show.volume import plot_agreement


def evaluation(report: Report) -> Figure:
    """Four plots of an evaluation: ROC curves, reliability, volumes (Bland and Altman), Dice by patient.

    Args:
        report: from `ich_lib.evaluation.evaluate`.
    """
    figure = Figure(figsize=(11, 8.6), layout="constrained")
    axes = figure.subplots(2, 2)
    _roc(axes[0, 0], report)
    _reliability(axes[0, 1], report.slices.reliability)
    _agreement(axes[1, 0], report.volume)
    _dice_by_patient(axes[1, 1], report)
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _roc(axes: Axes, report: Report) -> None:
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=":")
    for calls, name, color in ((report.slices, "slices", BLUE), (report.whole_scans, "scans", VERMILION)):
        if calls.roc:
            axes.plot(*zip(*calls.roc, strict=True), color=color, label=f"{name}, AUC {calls.auc.value:.3f}")
    axes.set(title="Any bleeding", xlabel="1 − specificity", ylabel="sensitivity", aspect="equal")
    axes.legend(loc="lower right", frameon=False)


def _reliability(axes: Axes, bins: Sequence[Bin]) -> None:
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=":")
    filled = [row for row in bins if row.n]
    axes.plot([row.score for row in filled], [row.share for row in filled], color=BLUE, marker="o")
    for row in filled:
        axes.annotate(str(row.n), (row.score, row.share), (5, -11), textcoords="offset points", fontsize=8)
    axes.set(
        title="Calibration of slices: predicted and observed",
        xlabel="mean predicted probability (numbers: slices)",
        ylabel="share that bleeds",
        xlim=(0, 1),
        ylim=(-0.03, 1.03),
    )


def _agreement(axes: Axes, volume: Volume | None) -> None:
    axes.set(title="Volume of bleeding scans", xlabel="mean of both, mL", ylabel="measured − true, mL")
    if not volume:
        axes.text(0.5, 0.5, "no masks", ha="center", transform=axes.transAxes)
        return
    plot_agreement(axes, volume.mask)


def _dice_by_patient(axes: Axes, report: Report) -> None:
    rows = sorted((line.dice, line.true_ml) for line in report.per_patient if line.dice is not None)
    axes.set(title="Dice by bleeding scan, and its mL of blood", ylabel="Dice", ylim=(0, 1))
    if not rows:
        axes.text(0.5, 0.5, "no masks", ha="center", transform=axes.transAxes)
        return
    axes.bar(range(len(rows)), [dice for dice, _ in rows], color=SKY)
    axes.axhline(report.dice_per_subject.value, color=VERMILION, linewidth=1)
    axes.set_xticks(range(len(rows)), [f"{true_ml:.1f}" for _, true_ml in rows], fontsize=7, rotation=90)
