"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597), with batch normalization and same padding."""

import keras
from keras import layers


def _convs(x, filters: int, name: str):
    """Twice convolution, normalization, ReLU."""
    for i in (1, 2):
        x = layers.Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv{i}"
        )(x)
        x = layers.BatchNormalization(name=f"{name}_bn{i}")(x)
        x = layers.ReLU(name=f"{name}_relu{i}")(x)
    return x


def unet2d(
    shape: tuple[int, int, int],
    *,
    filters: tuple[int, ...] = (16, 32, 64, 128, 256),
    dropout: float = 0.2,
    name: str = "unet2d",
) -> keras.Model:
    """A 2D U-Net for one mask.

    Args:
        shape: (y, x, channel) of the input; y and x divisible by 2 ** (len(filters) - 1).
        filters: convolution filters of each level, top to bottom.
        dropout: share of the bottom's features dropped while training.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, y, x, 1), probability of blood, float32.
    """
    step = 2 ** (len(filters) - 1)
    if shape[0] % step or shape[1] % step:
        raise ValueError(
            f"{len(filters)} levels halve the picture to a whole number only if {step} divides it; got {shape}."
        )
    x = inputs = layers.Input(shape, name="picture")
    skips = []
    for level, width in enumerate(filters[:-1]):
        x = _convs(x, width, f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)  # (n, y / 2**(level+1), x / 2**(level+1), width)
    x = _convs(x, filters[-1], "bottom")
    x = layers.SpatialDropout2D(dropout, name="bottom_drop")(x)
    for level in reversed(range(len(filters) - 1)):
        x = layers.UpSampling2D(name=f"up{level}_double")(x)
        x = layers.Concatenate(name=f"up{level}_join")([x, skips[level]])
        x = _convs(x, filters[level], f"up{level}")
    blood = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="blood")(x)
    return keras.Model(inputs, blood, name=name)
