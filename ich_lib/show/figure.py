"""The figure class of this package."""

from io import BytesIO
from typing import Literal

import matplotlib.figure
from matplotlib.axes import Axes

__all__ = ["Axes", "Figure", "small_text"]


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows as a picture.

    A plain one is shown only if pyplot has drawn before; until then it appears as the text "<Figure size ...>".
    """

    def _repr_png_(self) -> bytes:
        """The picture for IPython."""
        png = BytesIO()
        self.savefig(png, format="png", dpi=100)
        return png.getvalue()


def small_text(axes: Axes, x: float, y: float, text: str, *, color: str, ha: Literal["left", "right"] = "left") -> None:
    """Write text at shares of the axes' width and height."""
    axes.text(x, y, text, color=color, fontsize=9, ha=ha, transform=axes.transAxes)
