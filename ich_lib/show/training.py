"""Learning curves of several trainings."""

from collections.abc import Mapping, Sequence

from ich_lib.colors import BLUE, VERMILION
from ich_lib.models.run import Epoch
from ich_lib.show.figure import Figure

_COLUMNS = 4


def learning_curves(histories: Mapping[str, Sequence[Epoch]]) -> Figure:
    """Loss of the training side, and of the held-out patients if it was measured: one small plot per training.

    Args:
        histories: name of the training to its epochs (`Run.history`).

    Example:
        >>> from ich_lib.models.run import Epoch
        >>> figure = learning_curves({"tiny": [Epoch(1, 0.9, None, 1e-3, 0.5), Epoch(2, 0.7, 0.8, 1e-3, 1.0)]})
        >>> [axes.get_title() for axes in figure.axes]
        ['tiny']
    """
    rows = -(-len(histories) // _COLUMNS)
    figure = Figure(figsize=(11, 2.2 * rows + 0.3), layout="constrained")
    for number, (name, epochs) in enumerate(histories.items(), start=1):
        axes = figure.add_subplot(rows, _COLUMNS, number)
        axes.plot([epoch.epoch for epoch in epochs], [epoch.loss for epoch in epochs], color=BLUE, label="training")
        held_out = [(epoch.epoch, epoch.val_loss) for epoch in epochs if epoch.val_loss is not None]
        if held_out:
            axes.plot(*zip(*held_out, strict=True), color=VERMILION, marker="o", markersize=3, label="held out")
        axes.set_title(name, fontsize=9)
        axes.set(xlabel="epoch", ylabel="loss")
        axes.locator_params(axis="x", integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    if figure.axes:
        figure.axes[0].legend(frameon=False, fontsize=8)
    return figure
