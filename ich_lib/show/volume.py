"""Plots of measured volumes in mL, method by method."""

import numpy as np

from ich_lib.colors import BLUE, VERMILION
from ich_lib.measures.report import Volume, VolumeAgreement
from ich_lib.show.figure import Axes, Figure

VOLUME_METHOD_NAMES = {  # names on a page, in the order of `evaluate.figures.VOLUME_METHODS`
    "mask": "voxels of the mask",
    "soft": "summed probabilities",
    "abc2": "ABC/2 of the mask",
    "abc2_of_truth": "ABC/2 of the truth: only the formula",
}


def agreement(volume: Volume) -> Figure:
    """A Bland and Altman plot for each method to measure mL, on shared axes.

    Args:
        volume: `Report.volume` of an evaluation with at least two bleeding scans.
    """
    methods = {name: volume.methods[key] for key, name in VOLUME_METHOD_NAMES.items() if key in volume.methods}
    figure = Figure(figsize=(11, 3.1), layout="constrained")
    plots = np.ravel(figure.subplots(1, len(methods), sharex=True, sharey=True))
    for axes, (name, method) in zip(plots, methods.items(), strict=True):
        plot_agreement(axes, method)
        axes.set_title(name.replace(": ", "\n"), fontsize=10)
        axes.set_xlabel("mean of both, mL")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("measured − true, mL")
    return figure


def plot_agreement(axes: Axes, method: VolumeAgreement) -> None:
    """The pairs of one method, its bias and its limits of agreement."""
    true, measured_ml = np.array(method.pairs_ml).T
    axes.scatter((true + measured_ml) / 2, measured_ml - true, s=18, color=BLUE)
    low, high = method.limits_ml
    for value, style in ((method.bias_ml.value, "-"), (low, "--"), (high, "--")):
        axes.axhline(value, color=VERMILION, linewidth=1, linestyle=style)
        axes.annotate(
            f"{value:.1f}",
            (1, value),
            (-2, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
        )
