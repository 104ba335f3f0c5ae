"""A small CNN for every slice, and a recurrent layer that reads the scan in both directions."""

import keras
from keras import layers

from ich_lib.models.outputs import scores


def cnn_rnn(
    shape: tuple[int, int, int, int],
    *,
    filters: tuple[int, ...] = (16, 32, 64, 128),
    memory: int = 64,
    dropout: float = 0.2,
    scheme: str = "6-node",
    name: str = "cnn_rnn",
) -> keras.Model:
    """A CNN shared by all slices of a scan, and a bidirectional LSTM over its features.

    A convolution of 1 x 3 x 3 voxels uses a single slice; only the recurrent layer combines slices. If a neighbor
    bleeds, a slice is more likely to bleed, which a single picture cannot show.

    Args:
        shape: (z, y, x, channel) of the input.
        filters: of each level, top to bottom; each level halves y and x.
        memory: units of the recurrent layer in each direction.
        dropout: share of the remembered features dropped while training.
        scheme: of the outputs, a name from `ich_lib.labels.SCHEMES`.
        name: of the model.

    Returns:
        (n, z, y, x, channel) in [0, 1] to (n, z, k): probabilities for every slice, float32.

    Source:
        CNN and recurrent layer over slices: future work of the published systems, and the winning method of RSNA 2019
        (Wang et al. 2021, NeuroImage: Clinical 32:102785); widths chosen here.
    """
    x = inputs = layers.Input(shape, name="scan")
    for level, width in enumerate(filters):
        x = layers.Conv3D(
            width, (1, 3, 3), padding="same", use_bias=False, kernel_initializer="he_normal", name=f"see{level}_conv"
        )(x)
        x = layers.ReLU(name=f"see{level}_relu")(layers.BatchNormalization(name=f"see{level}_bn")(x))
        x = layers.MaxPooling3D((1, 2, 2), name=f"see{level}_pool")(x)  # (n, z, y / 2**(level+1), ..., width)
    side = [length // 2 ** len(filters) for length in shape[1:3]]
    x = layers.AveragePooling3D((1, *side), name="pool")(x)  # (n, z, 1, 1, filters[-1])
    x = layers.Reshape((shape[0], filters[-1]), name="sequence")(x)
    x = layers.Bidirectional(layers.LSTM(memory, return_sequences=True, name="lstm"), name="both_ways")(x)
    x = layers.Dropout(dropout, name="forget")(x)  # (n, z, 2 * memory)
    return keras.Model(inputs, scores(x, scheme), name=name)
