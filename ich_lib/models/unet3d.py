"""3D U-Net (Cicek et al. 2016, arXiv:1606.06650): the 2D one with a third axis, for whole scans."""

import keras
from keras import layers


def _convs(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Twice 3x3x3 convolution and ReLU."""
    for i in (1, 2):
        x = layers.Conv3D(filters, 3, padding="same", activation="relu", name=f"{name}_conv{i}")(x)
    return x


def unet3d(
    shape: tuple[int, int, int, int],
    *,
    filters: tuple[int, ...] = (16, 32, 64, 128),
    narrow: bool = True,
    name: str = "unet3d",
) -> keras.Model:
    """A 3D U-Net for one mask.

    Args:
        shape: (z, y, x, channel) of the input; z, y and x divisible by 2 ** (len(filters) - 1).
        filters: convolution filters of each level, top to bottom.
        narrow: go through a 3x3x3 convolution of two channels before the last one.
        name: of the model.

    Returns:
        (n, z, y, x, channel) in [0, 1] to (n, z, y, x, 1), probability of blood, float32.

    Raises:
        ValueError: if the volume cannot be halved that often.

    Source:
        Systems 000 (U-Net + EfficientNetB4 + DenseNet169, 2024) and 001 (small CNN + 3D U-Net, 2021). System 001
        prints 1.2 M and 1.4 M parameters; 16-32-64-128 filters with `narrow` make 1,460,437.
    """
    step = 2 ** (len(filters) - 1)
    if any(side % step for side in shape[:3]):
        raise ValueError(
            f"{len(filters)} levels halve the volume to a whole number only if {step} divides it; got {shape}."
        )
    x = inputs = layers.Input(shape, name="picture")
    skips = []
    for level, width in enumerate(filters[:-1]):
        x = _convs(x, width, f"down{level}")
        skips.append(x)
        x = layers.MaxPooling3D(name=f"down{level}_pool")(x)  # each side / 2**(level+1)
    x = _convs(x, filters[-1], "bottom")  # (n, 10, 15, 15, 128) of 80x120x120
    for level in reversed(range(len(filters) - 1)):
        x = layers.UpSampling3D(name=f"up{level}_double")(x)
        x = layers.Concatenate(name=f"up{level}_join")([x, skips[level]])
        x = _convs(x, filters[level], f"up{level}")  # each side / 2**level
    if narrow:
        x = layers.Conv3D(2, 3, padding="same", activation="relu", name="narrow")(x)
    blood = layers.Conv3D(1, 1, activation="sigmoid", dtype="float32", name="blood")(x)
    return keras.Model(inputs, blood, name=name)
