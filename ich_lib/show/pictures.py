"""Some slices side by side, for lessons."""

from collections.abc import Sequence

import numpy as np

from ich_lib.colors import MASK
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.show.figure import Figure

_HALO = "black"


def row(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str] = (),
    *,
    through: str | tuple[float, float] | None = None,
    masks: Sequence[np.ndarray] = (),
    height: float = 3.2,
) -> Figure:
    """Pictures in one row, with masks as outlines.

    Args:
        pictures: (y, x) each: HU if `through` is given, else gray in [0, 1].
        titles: one per picture.
        through: a name from WINDOWS, or (level, width) in HU.
        masks: (y, x) bool each, drawn as a yellow line; none, or one per picture.
        height: of the figure in inches.

    Raises:
        ValueError: if the number of titles or masks is not that of the pictures.
    """
    for name, values in (("titles", titles), ("masks", masks)):
        if len(values) not in (0, len(pictures)):
            raise ValueError(f"There are {len(pictures)} pictures and {len(values)} {name}; give one per picture.")
    how = WINDOWS.get(through, through) if isinstance(through, str) else through
    figure = Figure(figsize=(height * len(pictures), height), layout="constrained")
    for k, (axes, picture) in enumerate(
        zip(figure.subplots(1, len(pictures), squeeze=False)[0], pictures, strict=True)
    ):
        axes.imshow(picture if how is None else window(picture, *how), cmap="gray", vmin=0, vmax=1)
        if len(masks) and np.any(masks[k]):
            for color, width in ((_HALO, 3.2), (MASK, 1.6)):
                axes.contour(masks[k], levels=[0.5], colors=color, linewidths=width)
        axes.set_title(titles[k] if len(titles) else "", fontsize=10)
        axes.set_axis_off()
    return figure
