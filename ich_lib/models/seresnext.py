"""SE-ResNeXt (Xie et al. 2017, arXiv:1611.05431; Hu et al. 2018, arXiv:1709.01507), which Keras does not have."""

import keras
from keras import layers

from ich_lib.models.outputs import scores

_GROUPS, _REDUCTION = 32, 16


def _conv(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, *, strides: int = 1, groups: int = 1
) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters, kernel, strides=strides, padding="same", groups=groups, use_bias=False, name=f"{name}_conv"
    )(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _squeeze_excite(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Squeeze and excitation: each channel times a factor that is computed from the means of all channels."""
    filters = x.shape[-1]
    share = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)  # (n, 1, 1, filters)
    share = layers.Conv2D(filters // _REDUCTION, 1, activation="relu", name=f"{name}_fewer")(share)
    share = layers.Conv2D(filters, 1, activation="sigmoid", name=f"{name}_share")(share)
    return layers.Multiply(name=f"{name}_times")([x, share])


def _block(x: keras.KerasTensor, width: int, name: str, *, strides: int) -> keras.KerasTensor:
    """1x1 to `width`, 3x3 in 32 groups, 1x1 to 2 * width, weighted and added to the input."""
    shortcut = x
    if strides > 1 or x.shape[-1] != 2 * width:
        shortcut = _conv(x, 2 * width, 1, f"{name}_short", strides=strides)
    x = layers.ReLU(name=f"{name}_relu1")(_conv(x, width, 1, f"{name}_a"))
    x = layers.ReLU(name=f"{name}_relu2")(_conv(x, width, 3, f"{name}_b", strides=strides, groups=_GROUPS))
    x = _squeeze_excite(_conv(x, 2 * width, 1, f"{name}_c"), f"{name}_se")
    return layers.ReLU(name=f"{name}_relu3")(layers.Add(name=f"{name}_add")([x, shortcut]))


def se_resnext(
    shape: tuple[int, int, int],
    *,
    blocks: tuple[int, ...] = (3, 4, 23, 3),
    width: int = 128,
    scheme: str = "6-node",
    dense: int = 0,
    l2: float = 0.0,
    dropout: float = 0.0,
    name: str = "se_resnext",
) -> keras.Model:
    """An SE-ResNeXt of 32 groups; the default is SE-ResNeXt-101 (32x4d), from random weights.

    Args:
        shape: (y, x, channel) of the input.
        blocks: number of blocks of each stage; from stage to stage sides are halved and channels doubled.
        width: of the first stage's grouped convolution, a multiple of 32.
        scheme: of the outputs, a name from `ich_lib.labels.SCHEMES`.
        dense: width of a ReLU layer between pooling and scores; 0 leaves it out.
        l2: weight penalty of that layer.
        dropout: before the scores.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, k) probabilities, float32. Layer "features" holds the pooled features.
    """
    inputs = layers.Input(shape, name="picture")
    x = _conv(inputs, width // 2, 7, "stem", strides=2)  # (n, y / 2, x / 2, 64)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)  # (n, y / 4, x / 4, 64)
    for stage, count in enumerate(blocks):
        for i in range(count):
            strides = 2 if stage and not i else 1
            x = _block(x, width * 2**stage, f"stage{stage + 1}_{i + 1}", strides=strides)
        # (n, y / 2**(stage+2), x / 2**(stage+2), 256 * 2**stage)
    x = layers.Activation("linear", name="features")(x)  # (n, y / 32, x / 32, 2048)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dense:
        penalty = keras.regularizers.L2(l2) if l2 else None
        x = layers.Dense(dense, activation="relu", kernel_regularizer=penalty, name="dense")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dense_drop")(x)
    return keras.Model(inputs, scores(x, scheme), name=name)
