"""Error against coverage, as a plot."""

import math

from ich_lib.colors import BLUE, GRAY, VERMILION
from ich_lib.measures.report import Abstention
from ich_lib.show.figure import Figure


def risk_coverage(abstention: Abstention) -> Figure:
    """The share of wrong answers if only the surest scans get one.

    Args:
        abstention: from `ich_lib.evaluation.abstention.abstention`.
    """
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    coverage, error = zip(*abstention.curve, strict=True)
    axes.step(coverage, error, color=BLUE, where="post", label=f"surest first, area {abstention.area.value:.3f}")
    errors, scans = abstention.wrong, abstention.scans
    best = [max(0.0, 1 - (scans - errors) / n_answered) for n_answered in range(1, scans + 1)]
    axes.plot(coverage, best, color=GRAY, linestyle=":", label=f"best order, area {abstention.least_area:.3f}")
    rule = abstention.coverage.value, abstention.error_answered.value
    if not math.isnan(rule[1]):
        low, high = abstention.band
        axes.plot(*rule, "o", color=VERMILION, label=f"silent from {low:g} to {high:g}")
    axes.set(
        xlabel="share of scans with an answer",
        ylabel="share of wrong answers",
        xlim=(0, 1.02),
        ylim=(-0.01, 1.3 * max(*error, 0.05)),
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure
