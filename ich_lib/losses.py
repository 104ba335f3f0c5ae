"""What training makes small."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("ich_lib")
def dice_bce(truth, blood):
    """Binary cross-entropy plus one minus the soft Dice of the whole batch.

    Dice over the batch, not per slice: a clean slice alone has no overlap to reward.

    Args:
        truth: (n, y, x, 1), 0 or 1.
        blood: (n, y, x, 1), probability.

    Source:
        Milletari et al. 2016, arXiv:1606.04797 (squared denominator is not used here).
    """
    truth = ops.cast(truth, blood.dtype)
    overlap = ops.sum(truth * blood)
    dice = (2 * overlap + 1) / (ops.sum(truth) + ops.sum(blood) + 1)
    return ops.mean(keras.losses.binary_crossentropy(truth, blood)) + 1 - dice
