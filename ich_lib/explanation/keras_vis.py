"""tf-keras-vis, for the cases that it supports: TensorFlow, a flat model, one output.

Version 0.8.7 fails on nested models and on several outputs. Its Grad-CAM++ takes the exponential of the score, so it
gets the score minus its own value: e^0 is 1 and the gradient stays. It returns maps without scaling here.
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np

from ich_lib.explanation.cut import SplitModel


def is_usable(split_model: SplitModel) -> bool:
    """Whether tf-keras-vis is installed and can explain this."""
    suited = split_model.is_plain and split_model.output == "scores" and keras.backend.backend() == "tensorflow"
    return suited and importlib.util.find_spec("tf_keras_vis") is not None


def grad_cam(split_model: SplitModel, pictures: np.ndarray, *, of: int, plus_plus: bool = False) -> np.ndarray:
    """(n, r, c) by `Gradcam` or `GradcamPlusPlus`."""
    with _removed_scipy_names():
        from tf_keras_vis.gradcam import Gradcam, GradcamPlusPlus
    visualizer = (GradcamPlusPlus if plus_plus else Gradcam)(split_model.model, model_modifier=_modifier(split_model))
    heat = visualizer(
        _score(of),
        pictures,
        penultimate_layer=split_model.layer,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    return np.asarray(heat)


def saliency(split_model: SplitModel, pictures: np.ndarray, *, of: int) -> np.ndarray:
    """(n, y, x) by `Saliency`, without its own noise."""
    with _removed_scipy_names():
        from tf_keras_vis.saliency import Saliency
    return np.asarray(
        Saliency(split_model.model, model_modifier=_modifier(split_model))(_score(of), pictures, normalize_map=False)
    )


def _modifier(split_model: SplitModel) -> Callable:
    with _removed_scipy_names():
        from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    return ReplaceToLinear() if split_model.is_logit else lambda model: None  # any modifier makes it work on a copy


def _score(of: int) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    return lambda answer: answer[:, of] - keras.ops.stop_gradient(answer[:, of])


@contextmanager
def _removed_scipy_names() -> Iterator[None]:
    """It imports SciPy's zoom by a name that SciPy 2 will remove."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please import `zoom`", DeprecationWarning)
        yield
