"""Three plain CNNs of the published systems, the smallest first step into classification."""

import keras
from keras import layers

from ich_lib.models.outputs import scores


def _conv(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, *, strides: int = 1, padding: str = "same"
) -> keras.KerasTensor:
    return layers.Conv2D(filters, kernel, strides=strides, padding=padding, activation="relu", name=f"{name}_conv")(x)


def cnn_001(
    shape: tuple[int, int, int], *, scheme: str = "6-class", dropout: float = 0.5, name: str = "cnn_001"
) -> keras.Model:
    """Three times convolution, ReLU and pooling; one more convolution; two dense layers.

    The publication gives 1.2 M parameters and no widths; 32-64-128, 64 and a dense layer of 64 make 1,215,494.

    Args:
        shape: (y, x, channel) of the input; published (128, 128, 1).
        scheme: of the outputs, a name from `ich_lib.labels.SCHEMES`.
        dropout: share of the dense layer's features dropped while training.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, k) probabilities, float32.

    Source:
        System 001 (small CNN + 3D U-Net, 2021).
    """
    x = inputs = layers.Input(shape, name="picture")
    for level, filters in enumerate((32, 64, 128), start=1):
        x = _conv(x, filters, 3, f"level{level}")
        x = layers.MaxPooling2D(name=f"level{level}_pool")(x)  # (n, y / 2**level, x / 2**level, filters)
    x = _conv(x, 64, 3, "last")  # (n, 16, 16, 64) of 128x128
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(64, activation="relu", name="dense")(x)
    x = layers.Dropout(dropout, name="dense_drop")(x)
    return keras.Model(inputs, scores(x, scheme), name=name)


def vanilla_004(shape: tuple[int, int, int], *, scheme: str = "6-node", name: str = "vanilla_004") -> keras.Model:
    """One convolution, one pooling, one dense layer: 3,002,438 parameters, all but 2,432 of them in the dense layer.

    Args:
        shape: (y, x, channel) of the input; published (512, 512, 3).
        scheme: of the outputs, a name from `ich_lib.labels.SCHEMES`.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, k) probabilities, float32.

    Source:
        System 004 (five CNNs on RSNA, 2019).
    """
    inputs = layers.Input(shape, name="picture")
    x = _conv(inputs, 32, 5, "level1", strides=2, padding="valid")  # (n, 254, 254, 32) of 512x512
    x = layers.MaxPooling2D(5, strides=2, name="level1_pool")(x)  # (n, 125, 125, 32)
    x = layers.Flatten(name="flat")(x)  # (n, 500000)
    return keras.Model(inputs, scores(x, scheme), name=name)


def alexnet_004(
    shape: tuple[int, int, int],
    *,
    scheme: str = "6-node",
    dropout: float = 0.5,
    dense: int = 4096,
    name: str = "alexnet_004",
) -> keras.Model:
    """AlexNet (Krizhevsky et al. 2012) in one column, with pooling and dropout after convolutions 1, 2 and 5.

    Widths and strides are those of the AlexNet paper; the last of three dense layers gives the scores.

    Args:
        shape: (y, x, channel) of the input; published (512, 512, 3).
        scheme: of the outputs, a name from `ich_lib.labels.SCHEMES`.
        dropout: share of features dropped after each pooling and dense layer while training.
        dense: width of the two hidden dense layers.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, k) probabilities, float32.

    Source:
        System 004 (five CNNs on RSNA, 2019).
    """

    def pooled(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        x = layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x)
        return layers.Dropout(dropout, name=f"{name}_drop")(x)

    inputs = layers.Input(shape, name="picture")
    x = _conv(inputs, 96, 11, "level1", strides=4, padding="valid")  # (n, 126, 126, 96) of 512x512
    x = _conv(pooled(x, "level1"), 256, 5, "level2")  # (n, 62, 62, 256)
    x = _conv(pooled(x, "level2"), 384, 3, "level3")  # (n, 30, 30, 384)
    x = _conv(x, 384, 3, "level4")  # (n, 30, 30, 384)
    x = pooled(_conv(x, 256, 3, "level5"), "level5")  # (n, 14, 14, 256)
    x = layers.Flatten(name="flat")(x)  # (n, 50176)
    for i in (1, 2):
        x = layers.Dense(dense, activation="relu", name=f"dense{i}")(x)  # (n, 4096)
        x = layers.Dropout(dropout, name=f"dense{i}_drop")(x)
    return keras.Model(inputs, scores(x, scheme), name=name)
