"""The figure that all of these return."""

from io import BytesIO

import matplotlib.figure
from matplotlib.axes import Axes

__all__ = ["Axes", "Figure"]


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows as a picture.

    A plain one is shown only where pyplot has been asked to draw before; until then it is the text "<Figure size ...>".
    """

    def _repr_png_(self) -> bytes:
        """What IPython shows."""
        png = BytesIO()
        self.savefig(png, format="png", dpi=100)
        return png.getvalue()
