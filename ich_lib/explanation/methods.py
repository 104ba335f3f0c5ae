"""Explanation methods: one function each, from the input of a model to a map of the places that changed its output.

Every method takes a Keras model, flat or nested, with one output or several, and pictures (n, y, x, channel) as the
model sees them. It returns (n, r, c) float32, never negative and never NaN, with the rows and columns of the chosen
layer, or those of the picture for saliency. If no place supports the output, the map is zero. Maps are not scaled, so
those of one model can be compared with each other.

The logit of a score is explained, not the probability: a certain sigmoid is flat and has no gradient. For a model with
a mask and without scores it is the sum of the mask's logits over the pixels of blood.

If it is installed, tf-keras-vis (https://github.com/keisen/tf-keras-vis) computes Grad-CAM, Grad-CAM++ and saliency for
the cases it supports: TensorFlow and a flat model with one output. Other cases, and models that were cut by `cut`
before, use our own code. A test compares both.
"""

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import ArrayLike

from ich_lib.prediction.engine import Model

if TYPE_CHECKING:
    import keras

    from ich_lib.explanation.cut import SplitModel

_BATCH = 16  # masked pictures of Score-CAM per batch


def cam(model: Model, pictures: np.ndarray, *, of: int = -1) -> np.ndarray:
    """Class activation maps, as an exported model returns them beside its scores, without a gradient and without Keras.

    For global average pooling and one dense layer it equals Grad-CAM of the logit up to a scale (Selvaraju et al. 2017,
    section 3.1).

    Args:
        model: from `ich_lib.prediction.engine.load`.
        pictures: (n, y, x, channel).
        of: column of the scores; the last one of "6-node" and "binary" is `any`.

    Raises:
        ValueError: if the model has no such maps.

    Source:
        Zhou et al. 2016, arXiv:1512.04150.
    """
    heat = model.run(pictures).heat
    if heat is None:
        raise ValueError(f"{model.name} has no class activation maps: it does not end in pooling and one dense layer.")
    return _keep_positive(heat[..., of])


def grad_cam(
    model: "keras.Model | SplitModel", pictures: np.ndarray, *, of: int = -1, layer: str | None = None
) -> np.ndarray:
    """Grad-CAM: a layer's channels, each weighted by the mean gradient of the output with respect to it.

    Args:
        model: a Keras model, or the result of `cut`.
        pictures: (n, y, x, channel).
        of: column of the scores.
        layer: name of the layer; None for the last with rows and columns, or the bottleneck for a mask.

    Source:
        Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
    """
    parts = _as_split_model(model, layer)
    if keras_vis := _keras_vis(model, parts):
        return _keep_positive(keras_vis.grad_cam(parts, pictures, of=of))
    features = parts.features(pictures)
    weights = parts.gradient(pictures, features, of=of).mean(axis=(1, 2), keepdims=True)
    return _keep_positive((weights * features).sum(axis=-1))


def grad_cam_plus_plus(
    model: "keras.Model | SplitModel", pictures: np.ndarray, *, of: int = -1, layer: str | None = None
) -> np.ndarray:
    """Grad-CAM++: like Grad-CAM, but each position has its own weight from the gradient, so that small spots are not
    lost.

    The paper derives its weights from the exponential of the output. It is a factor of the whole map and is left out.

    Args:
        model: a Keras model, or the result of `cut`.
        pictures: (n, y, x, channel).
        of: column of the scores.
        layer: as in `grad_cam`.

    Source:
        Chattopadhay et al. 2018, arXiv:1710.11063, equations 5 and 19; the shares of a channel add up to 1 as in the
        authors' code.
    """
    parts = _as_split_model(model, layer)
    if keras_vis := _keras_vis(model, parts):
        return _keep_positive(keras_vis.grad_cam(parts, pictures, of=of, plus_plus=True))
    features = parts.features(pictures).astype(float)
    slope = parts.gradient(pictures, features.astype(np.float32), of=of).astype(float)
    below = 2 * slope**2 + slope**3 * features.sum(axis=(1, 2), keepdims=True)
    shares = _divide(slope**2, below)
    shares = _divide(shares, shares.sum(axis=(1, 2), keepdims=True))
    weights = (np.maximum(slope, 0) * shares).sum(axis=(1, 2), keepdims=True)
    return _keep_positive((weights * features).sum(axis=-1))


def score_cam(
    model: "keras.Model | SplitModel",
    pictures: np.ndarray,
    *,
    of: int = -1,
    layer: str | None = None,
    channels: int | None = 32,
) -> np.ndarray:
    """Score-CAM: a layer's channels, each weighted by how much the output rises if only the area of that channel is
    shown.

    No gradient, but one more picture per channel. A weight is the rise of the logit over that of a black picture. The
    paper then takes a softmax over the channels, as tf-keras-vis does. That is meant for classes that exclude each
    other, and it gives a positive weight even to channels that lower the output. So it is left out here.

    Args:
        model: a Keras model, or the result of `cut`.
        pictures: (n, y, x, channel), 0 being black.
        of: column of the scores.
        layer: as in `grad_cam`.
        channels: number of channels, those with the largest variance over the picture first; None for all.

    Source:
        Wang H. et al. 2020, arXiv:1910.01279; the choice of channels: tabayashi0117, Faster Score-CAM.
    """
    parts = _as_split_model(model, layer)
    blood = parts.blood(pictures) if parts.output == "mask" else [None] * len(pictures)
    maps = [
        _score_cam(parts, *slice_inputs, of, channels)
        for slice_inputs in zip(pictures, parts.features(pictures), blood, strict=True)
    ]
    return _keep_positive(np.stack(maps))


def _score_cam(
    parts: "SplitModel",
    picture: np.ndarray,
    features: np.ndarray,
    blood: np.ndarray | None,
    of: int,
    channels: int | None,
) -> np.ndarray:
    """(r, c) of one picture."""
    low, high = features.min(axis=(0, 1)), features.max(axis=(0, 1))
    order = np.argsort(low - high, kind="stable")[:channels]
    order = order[high[order] > low[order]]
    weights = np.zeros(len(order), np.float32)
    black = parts.target(np.zeros_like(picture[None]), of=of, blood=None if blood is None else blood[None])
    size = picture.shape[1::-1]
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        lit = (features[..., batch] - low[batch]) / (high[batch] - low[batch])
        masked = np.stack([cv2.resize(lit[..., n], size)[..., None] * picture for n in range(len(batch))])
        blood_of_each = None if blood is None else np.repeat(blood[None], len(batch), axis=0)
        weights[start : start + len(batch)] = parts.target(masked, of=of, blood=blood_of_each) - black
    return features[..., order] @ weights


def saliency(model: "keras.Model | SplitModel", pictures: np.ndarray, *, of: int = -1) -> np.ndarray:
    """How much the output changes with each pixel: the largest absolute gradient over the channels, (n, y, x).

    Args:
        model: a Keras model, or the result of `cut`.
        pictures: (n, y, x, channel).
        of: column of the scores.

    Source:
        Simonyan et al. 2014, arXiv:1312.6034, section 3.1.
    """
    parts = _as_split_model(model)
    if keras_vis := _keras_vis(model, parts):
        return _keep_positive(keras_vis.saliency(parts, pictures, of=of))
    return _keep_positive(np.abs(parts.gradient(pictures, of=of)).max(axis=-1))


def smooth_grad(
    model: "keras.Model | SplitModel",
    pictures: np.ndarray,
    *,
    of: int = -1,
    samples: int = 16,
    noise: float = 0.15,
    seed: int = 0,
) -> np.ndarray:
    """SmoothGrad: the mean saliency of noisy copies of a picture, (n, y, x).

    The noise is drawn here from a seed, even if tf-keras-vis computes the gradients, because its own noise cannot be
    repeated.

    Args:
        model: a Keras model, or the result of `cut`.
        pictures: (n, y, x, channel).
        of: column of the scores.
        samples: number of copies.
        noise: standard deviation, as a share of the picture's range.
        seed: of the noise.

    Source:
        Smilkov et al. 2017, arXiv:1706.03825; absolute values are taken before the mean, as in tf-keras-vis.
    """
    rng = np.random.default_rng(seed)
    spread = noise * np.ptp(pictures, axis=(1, 2, 3), keepdims=True)
    draws = (pictures + spread * rng.standard_normal(pictures.shape, np.float32) for _ in range(samples))
    return _keep_positive(sum(saliency(model, copies, of=of) for copies in draws) / samples)


def seg_grad_cam(model: "keras.Model | SplitModel", pictures: np.ndarray, *, layer: str | None = None) -> np.ndarray:
    """Segmentation Grad-CAM: Grad-CAM of the mask's logits, summed over the pixels of blood.

    A mask without blood has nothing to explain: the map is zero.

    Args:
        model: a Keras model that draws a mask, or the result of `cut` with `answers="mask"`.
        pictures: (n, y, x, channel).
        layer: name of the layer; None for the bottleneck, which has the fewest rows and columns.

    Source:
        Vinogradova et al. 2020, arXiv:2002.11434, equation 2.
    """
    return grad_cam(_as_split_model(model, layer, answers="mask"), pictures)


METHODS: dict[str, Callable] = {
    "grad-cam": grad_cam,
    "grad-cam++": grad_cam_plus_plus,
    "score-cam": score_cam,
    "saliency": saliency,
    "smoothgrad": smooth_grad,
    "seg-grad-cam": seg_grad_cam,
}
METHOD_NAMES = ("cam", *METHODS)  # their names in commands


def _as_split_model(
    model: "keras.Model | SplitModel", layer: str | None = None, *, answers: str | None = None
) -> "SplitModel":
    from ich_lib.explanation.cut import SplitModel, split_model

    return model if isinstance(model, SplitModel) else split_model(model, layer, output=answers)


def _keras_vis(model: "keras.Model | SplitModel", parts: "SplitModel") -> ModuleType | None:
    """The module for tf-keras-vis, if it supports this case."""
    from ich_lib.explanation import keras_vis

    return keras_vis if model is not parts and keras_vis.is_usable(parts) else None


def _divide(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    return np.divide(over, under, out=np.zeros(np.broadcast_shapes(over.shape, under.shape)), where=under != 0)


def _keep_positive(values: ArrayLike) -> np.ndarray:
    """Only what raises the output; negative values and overflow become zero."""
    values = np.asarray(values, np.float32)
    return np.where(np.isfinite(values) & (values > 0), values, np.float32(0))
