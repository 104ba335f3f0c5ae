"""A small DenseNet-BC (Huang et al. 2017, arXiv:1608.06993) for the six labels, or another scheme.

It ends in `pooled_scores`, so its class activation map is exact and needs no gradient.
"""

import keras
from keras import layers

from ich_lib.models.outputs import pooled_scores


def _normalize(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def _dense_block(x: keras.KerasTensor, count: int, growth: int, name: str) -> keras.KerasTensor:
    """`count` times: 1x1 to 4 * growth, 3x3 to growth, concatenated with all before."""
    for i in range(1, count + 1):
        y = layers.Conv2D(4 * growth, 1, use_bias=False, name=f"{name}_{i}_squeeze")(_normalize(x, f"{name}_{i}_a"))
        y = layers.Conv2D(growth, 3, padding="same", use_bias=False, name=f"{name}_{i}_conv")(
            _normalize(y, f"{name}_{i}_b")
        )
        x = layers.Concatenate(name=f"{name}_{i}_join")([x, y])
    return x


def densenet_bc(
    shape: tuple[int, int, int],
    *,
    blocks: tuple[int, ...] = (4, 8, 12),
    growth: int = 24,
    dropout: float = 0.2,
    scheme: str = "6-node",
    name: str = "densenet_bc",
) -> keras.Model:
    """A DenseNet-BC classifier.

    Args:
        shape: (y, x, channel) of the input.
        blocks: layers of each dense block; between blocks channels and sides are halved.
        growth: channels each layer adds.
        dropout: share of pooled features dropped while training.
        scheme: of the outputs, a name from `ich_lib.labels.SCHEMES`.
        name: of the model.

    Returns:
        (n, y, x, channel) in [0, 1] to (n, k), probabilities in the order of SCHEMES[scheme], float32. Layer "features"
        holds the pooled features, "scores" the dense layer.
    """
    inputs = layers.Input(shape, name="picture")
    x = layers.Conv2D(2 * growth, 5, strides=2, padding="same", use_bias=False, name="stem_conv")(inputs)
    x = layers.MaxPooling2D(name="stem_pool")(_normalize(x, "stem"))  # (n, y / 4, x / 4, 2 * growth)
    for b, count in enumerate(blocks, start=1):
        x = _dense_block(x, count, growth, f"block{b}")
        if b < len(blocks):
            x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"narrow{b}_conv")(_normalize(x, f"narrow{b}"))
            x = layers.AveragePooling2D(2, name=f"narrow{b}_pool")(x)
    x = _normalize(x, "last")  # (n, y / 16, x / 16, k) for three blocks
    return keras.Model(inputs, pooled_scores(x, scheme, dropout), name=name)
