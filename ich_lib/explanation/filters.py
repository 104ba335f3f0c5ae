"""The filters of the first layer, before training and after."""

from pathlib import Path

import keras
import numpy as np

from ich_lib.explanation.cut import flatten
from ich_lib.models.run import open_run


def first_filters(model: keras.Model) -> np.ndarray:
    """The weights of a model's first convolution.

    Args:
        model: functional or sequential; networks inside it are opened.

    Returns:
        (filter, y, x, channel) float32.

    Raises:
        ValueError: if it has no two-dimensional convolution.
    """
    for layer in flatten(model).layers:
        if isinstance(layer, keras.layers.Conv2D):
            return np.array(keras.ops.convert_to_numpy(layer.kernel), np.float32).transpose(3, 0, 1, 2)
    raise ValueError(f"{model.name} has no two-dimensional convolution, so it has no filters to show.")


def before_and_after(folder: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """A run's first filters at the start and at the end of its training, (filter, y, x, channel) each.

    Raises:
        FileNotFoundError: if the folder is not a finished run.
        ValueError: as in `first_filters`, or if it trained no network.
    """
    run = open_run(folder)
    after = first_filters(run.model())
    return first_filters(run.first_model()), after
