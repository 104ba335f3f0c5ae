"""What training makes small, by name."""

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


@keras.saving.register_keras_serializable("ich_lib")
def slice_dice_bce(truth, blood):
    """Binary cross-entropy plus one minus the mean soft Dice of the slices that contain blood.

    In the Dice of a whole batch a bleed of 2,000 pixels outweighs ten of 40; here every bleeding slice counts the
    same, as it does in the figure this field reports (Hssayeni et al. 2020). Clean slices speak through the
    cross-entropy alone.

    Args:
        truth: (n, y, x, 1), 0 or 1.
        blood: (n, y, x, 1), probability.
    """
    truth = ops.cast(truth, blood.dtype)
    overlap, pixels = ops.sum(truth * blood, axis=(1, 2, 3)), ops.sum(truth, axis=(1, 2, 3))
    dice = (2 * overlap + 1) / (pixels + ops.sum(blood, axis=(1, 2, 3)) + 1)
    bleeding = ops.cast(pixels > 0, blood.dtype)
    lost = ops.sum(bleeding * (1 - dice)) / ops.maximum(ops.sum(bleeding), 1)
    return ops.mean(keras.losses.binary_crossentropy(truth, blood)) + lost


LOSSES = {
    "dice_bce": dice_bce,
    "slice_dice_bce": slice_dice_bce,
    "bce": keras.losses.binary_crossentropy,
}
