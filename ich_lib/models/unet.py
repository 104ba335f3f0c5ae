"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with same padding: our own, and those of the published systems."""

import keras
from keras import layers

from ich_lib.models.outputs import pooled_scores


def _check_sides(shape: tuple[int, int, int], levels: int) -> None:
    step = 2 ** (levels - 1)
    if shape[0] % step or shape[1] % step:
        raise ValueError(f"{levels} levels halve the picture to a whole number only if {step} divides it; got {shape}.")


def _convs(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Twice convolution, normalization, ReLU."""
    for i in (1, 2):
        x = layers.Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv{i}"
        )(x)
        x = layers.BatchNormalization(name=f"{name}_bn{i}")(x)
        x = layers.ReLU(name=f"{name}_relu{i}")(x)
    return x


def _attention_gate(skip: keras.KerasTensor, below: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """The skip times an attention map in [0, 1] that the level below computes (equations 1 and 2).

    Here the gating signal is upsampled before the sum; the paper halves the skip instead and upsamples the map.
    """
    x = layers.Conv2D(max(filters // 2, 1), 1, use_bias=False, name=f"{name}_skip")(skip)
    g = layers.Conv2D(max(filters // 2, 1), 1, name=f"{name}_below")(below)
    x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, g]))
    score_map = layers.Conv2D(1, 1, activation="sigmoid", name=f"{name}_map")(x)  # (n, y, x, 1)
    return layers.Multiply(name=f"{name}_times")([skip, score_map])


def unet2d(
    shape: tuple[int, int, int],
    *,
    filters: tuple[int, ...] = (16, 32, 64, 128, 256),
    dropout: float = 0.2,
    gates: bool = False,
    scheme: str | None = None,
    name: str = "unet2d",
) -> keras.Model:
    """A 2D U-Net with batch normalization: for one mask, and also for the scores if a label scheme is named.

    Args:
        shape: (y, x, channel) of the input; y and x divisible by 2 ** (len(filters) - 1).
        filters: convolution filters of each level, top to bottom.
        dropout: share of the bottleneck's features dropped while training.
        gates: attention gates on the skips (Oktay et al. 2018, arXiv:1804.03999).
        scheme: of the scores, a name from `ich_lib.labels.SCHEMES`; None gives only the mask.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, y, x, 1), probability of blood, float32. With a scheme, to that and (n, k)
        scores: the bottleneck's features (layer "features"), pooled, and one dense layer, so that their class
        activation map is exact, as in `densenet_bc`.

    Raises:
        ValueError: if the picture cannot be halved that often.
    """
    _check_sides(shape, len(filters))
    x = inputs = layers.Input(shape, name="picture")
    skips = []
    for level, width in enumerate(filters[:-1]):
        x = _convs(x, width, f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)  # (n, y / 2**(level+1), x / 2**(level+1), width)
    bottom = x = _convs(x, filters[-1], "bottom")
    x = layers.SpatialDropout2D(dropout, name="bottom_drop")(x)
    for level in reversed(range(len(filters) - 1)):
        x = layers.UpSampling2D(name=f"up{level}_double")(x)
        skip = _attention_gate(skips[level], x, filters[level], f"up{level}_gate") if gates else skips[level]
        x = layers.Concatenate(name=f"up{level}_join")([x, skip])
        x = _convs(x, filters[level], f"up{level}")
    blood = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="blood")(x)
    if scheme is None:
        return keras.Model(inputs, blood, name=name)
    return keras.Model(inputs, [blood, pooled_scores(bottom, scheme, dropout)], name=name)


def unet_ensemble(shape: tuple[int, int, int], *, members: tuple[dict, ...], name: str = "ensemble") -> keras.Model:
    """Several U-Nets whose probabilities are averaged, as one model.

    The members share only the picture. They are trained together, on the loss of their mean and on the same batches.
    They differ by their random weights and by `members`. Members that are trained separately on different samples would
    differ more, and a larger difference would improve the average.

    Args:
        shape: (y, x, channel) of the input.
        members: arguments of `unet2d`, one entry per member.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, y, x, 1), probability of blood, float32.

    Raises:
        ValueError: if there are fewer than two members, or a picture cannot be halved as often as a member needs.
    """
    if len(members) < 2:
        raise ValueError(f"An ensemble has two members or more; got {len(members)}.")
    inputs = layers.Input(shape, name="picture")
    answers = [
        _copy_member(inputs, unet2d(shape, **options), f"member{i}") for i, options in enumerate(members, start=1)
    ]
    return keras.Model(inputs, layers.Average(dtype="float32", name="blood")(answers), name=name)


def _copy_member(inputs: keras.KerasTensor, member: keras.Model, prefix: str) -> keras.KerasTensor:
    """A member's output on `inputs`, with its layers renamed and inlined."""

    def renamed(layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, layers.InputLayer):
            return layer
        return type(layer).from_config({**layer.get_config(), "name": f"{prefix}_{layer.name}"})

    flat = keras.models.clone_model(member, input_tensors=inputs, clone_function=renamed)
    return flat.output


def unet_000(
    shape: tuple[int, int, int],
    *,
    filters: tuple[int, int, int] = (16, 256, 128),
    dropout: tuple[float, float, float] = (0.1, 0.3, 0.2),
    name: str = "unet_000",
) -> keras.Model:
    """The U-Net of system 000: one pooling only; 1,090,865 parameters.

    One of its pixels sees 18 x 18 pixels, a seventh of the picture's side. Its published "98 %" is that of the head:
    the mask was the CT slice itself, made binary. Here it is trained on outlined blood.

    Args:
        shape: (y, x, channel) of the input, even; published (128, 128, 1).
        filters: of the two convolutions at the top, at the bottom and after joining.
        dropout: between the two convolutions of each.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, y, x, 1), probability of blood, float32.

    Raises:
        ValueError: if the picture cannot be halved.

    Source:
        System 000 (U-Net + EfficientNetB4 + DenseNet169, 2024).
    """
    _check_sides(shape, 2)
    inputs = layers.Input(shape, name="picture")
    skip = _plain_convs(inputs, filters[0], "down0", dropout=dropout[0])  # (n, 128, 128, 16)
    x = layers.MaxPooling2D(name="down0_pool")(skip)  # (n, 64, 64, 16)
    x = _plain_convs(x, filters[1], "bottom", dropout=dropout[1])  # (n, 64, 64, 256)
    x = layers.UpSampling2D(name="up0_double")(x)  # (n, 128, 128, 256)
    x = layers.Concatenate(name="up0_join")([x, skip])  # (n, 128, 128, 272)
    x = _plain_convs(x, filters[2], "up0", dropout=dropout[2])  # (n, 128, 128, 128)
    blood = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="blood")(x)
    return keras.Model(inputs, blood, name=name)


def unet_002(
    shape: tuple[int, int, int],
    *,
    filters: tuple[int, ...] = (64, 128, 256, 512),
    dropout: float = 0.0,
    name: str = "unet_002",
) -> keras.Model:
    """The U-Nets of system 002: convolution, ReLU, convolution, batch normalization, ReLU; transposed convolutions up.

    Args:
        shape: (y, x, channel) of the input; published (256, 256, 1).
        filters: convolution filters of each level, top to bottom.
        dropout: between the two convolutions of each level; published 0 (a) and 0.1 (b).
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, y, x, 1), probability of blood, float32.

    Raises:
        ValueError: if the picture cannot be halved that often.

    Source:
        System 002 (two U-Nets on CT-ICH, 2021).
    """
    _check_sides(shape, len(filters))
    x = inputs = layers.Input(shape, name="picture")
    skips = []
    for level, width in enumerate(filters[:-1]):
        x = _convs_normalized_last(x, width, f"down{level}", dropout=dropout)
        skips.append(x)
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)  # (n, y / 2**(level+1), x / 2**(level+1), width)
    x = _convs_normalized_last(x, filters[-1], "bottom", dropout=dropout)  # (n, 32, 32, 512) of 256x256
    for level in reversed(range(len(filters) - 1)):
        x = layers.Conv2DTranspose(filters[level], 2, strides=2, name=f"up{level}_double")(x)
        x = layers.Concatenate(name=f"up{level}_join")([x, skips[level]])
        x = _convs_normalized_last(x, filters[level], f"up{level}", dropout=dropout)
    blood = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="blood")(x)
    return keras.Model(inputs, blood, name=name)


def unet_003(
    shape: tuple[int, int, int],
    *,
    filters: tuple[int, ...] = (64, 128, 256, 512, 1024),
    dropout: float = 0.5,
    name: str = "unet_003",
) -> keras.Model:
    """The U-Net of system 003: the widths of the first U-Net, 31,032,837 parameters with three channels in.

    Args:
        shape: (y, x, channel) of the input; published (256, 256, 3).
        filters: convolution filters of each level, top to bottom.
        dropout: after the last level but one and after the bottleneck.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, y, x, 1), probability of blood, float32.

    Raises:
        ValueError: if the picture cannot be halved that often.

    Source:
        System 003 (U-Net on CT-ICH, 2025).
    """
    _check_sides(shape, len(filters))
    x = inputs = layers.Input(shape, name="picture")
    skips = []
    for level, width in enumerate(filters[:-1]):
        x = _plain_convs(x, width, f"down{level}", initializer="he_normal")
        if level == len(filters) - 2:
            x = layers.Dropout(dropout, name=f"down{level}_drop")(x)
        skips.append(x)
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)  # (n, y / 2**(level+1), x / 2**(level+1), width)
    x = _plain_convs(x, filters[-1], "bottom", initializer="he_normal")  # (n, 16, 16, 1024) of 256x256
    x = layers.Dropout(dropout, name="bottom_drop")(x)
    for level in reversed(range(len(filters) - 1)):
        x = layers.Conv2DTranspose(
            filters[level], 2, strides=2, kernel_initializer="he_normal", name=f"up{level}_double"
        )(x)
        x = layers.Concatenate(name=f"up{level}_join")([x, skips[level]])
        x = _plain_convs(x, filters[level], f"up{level}", initializer="he_normal")
    x = layers.Conv2D(2, 3, padding="same", activation="relu", kernel_initializer="he_normal", name="narrow")(x)
    blood = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="blood")(x)
    return keras.Model(inputs, blood, name=name)


def _plain_convs(
    x: keras.KerasTensor, filters: int, name: str, *, dropout: float = 0.0, initializer: str = "glorot_uniform"
) -> keras.KerasTensor:
    """Twice convolution and ReLU, with dropout between."""
    for i in (1, 2):
        x = layers.Conv2D(
            filters, 3, padding="same", activation="relu", kernel_initializer=initializer, name=f"{name}_conv{i}"
        )(x)
        if i == 1 and dropout:
            x = layers.Dropout(dropout, name=f"{name}_drop")(x)
    return x


def _convs_normalized_last(x: keras.KerasTensor, filters: int, name: str, *, dropout: float) -> keras.KerasTensor:
    """Convolution, ReLU, convolution, batch normalization, ReLU, with dropout between."""
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_conv1")(x)
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_drop")(x)
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(x)
    return layers.ReLU(name=f"{name}_relu2")(layers.BatchNormalization(name=f"{name}_bn2")(x))
