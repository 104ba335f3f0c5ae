"""Losses by name.

All are written in `keras.ops`, so they run on TensorFlow, JAX and PyTorch. They take pictures (n, y, x, 1), volumes (n,
z, y, x, 1) and labels (n, k). Overlaps are summed over all axes but the first, and Keras takes the mean.

Keras has its own Dice and Tversky losses. Both ignore a picture without blood: their gradient is zero there, and most
slices of a head have no blood. The Tversky of Keras 3.15 also weights misses by the factor that it documents for false
alarms. So both are written here. Losses that Keras computes as published are taken from Keras.

There is no IoU that cuts the prediction at 0.5 inside the loss: a step has no slope, so nothing is learned.
"""

import keras
from keras import ops

from ich_lib.labels import ANY, LABELS

_ANY_WEIGHT = 2.0


@keras.saving.register_keras_serializable("ich_lib")
def dice_loss(truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
    """One minus the soft Dice of each picture.

    The slope on a picture without blood falls with the square of the summed score: small, but not zero. Add a
    cross-entropy (`dice_bce`) if such pictures matter.

    Args:
        truth: (n, ...), 0 or 1.
        score: (n, ...), probability.

    Returns:
        (n,), 0 to 1.

    Raises:
        ValueError: if the shapes differ in their number of axes.

    Source:
        Milletari et al. 2016, arXiv:1606.04797 (squared denominator is not used here).
    """
    return 1 - _overlap(truth, score, 0.5, 0.5)


@keras.saving.register_keras_serializable("ich_lib")
def negative_dice(truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
    """The negative soft Dice of each picture: the slope of `dice_loss`, on a scale from -1 (best) to 0.

    Args:
        truth: (n, ...), 0 or 1.
        score: (n, ...), probability.

    Returns:
        (n,), -1 to 0.

    Raises:
        ValueError: if the shapes differ in their number of axes.
    """
    return -_overlap(truth, score, 0.5, 0.5)


@keras.saving.register_keras_serializable("ich_lib")
def iou_loss(truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
    """One minus the soft intersection over union of each picture.

    Args:
        truth: (n, ...), 0 or 1.
        score: (n, ...), probability, without a threshold, which would leave no slope.

    Returns:
        (n,), 0 to 1. With D the soft Dice it is 1 - D / (2 - D).

    Raises:
        ValueError: if the shapes differ in their number of axes.

    Source:
        Rahman and Wang 2016, doi 10.1007/978-3-319-50835-1_22.
    """
    return 1 - _overlap(truth, score, 1.0, 1.0)


@keras.saving.register_keras_serializable("ich_lib")
class Tversky(keras.losses.Loss):
    """One minus the soft Tversky index of each picture: Dice with unequal costs.

    Costs of 0.5 and 0.5 give `dice_loss`; 1 and 1 give `iou_loss`.

    Args:
        false_alarm: cost of a false positive pixel (alpha).
        miss: cost of a missed pixel of blood (beta).
        name: of the loss.
        reduction: as in Keras.

    Source:
        Salehi et al. 2017, arXiv:1706.05721; 0.3 and 0.7 gave them the best Dice.
    """

    def __init__(
        self,
        false_alarm: float = 0.3,
        miss: float = 0.7,
        *,
        name: str = "tversky",
        reduction: str = "sum_over_batch_size",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        self.false_alarm, self.miss = false_alarm, miss

    def call(self, truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
        return 1 - _overlap(truth, score, self.false_alarm, self.miss)

    def get_config(self) -> dict:
        return {**super().get_config(), "false_alarm": self.false_alarm, "miss": self.miss}


@keras.saving.register_keras_serializable("ich_lib")
class WeightedBCE(keras.losses.Loss):
    """Binary cross-entropy with separate weights for a truth of 0 and of 1; not divided by their sum.

    With weights (1, c) a miss costs c times a false alarm. The scores are then not probabilities: a score of one half
    stands for a probability of 1 / (1 + c), which is the right threshold for such costs.

    Args:
        weights: of truth 0 and of truth 1.
        name: of the loss.
        reduction: as in Keras.

    Raises:
        ValueError: if there are not two positive weights.

    Source:
        (0.2, 0.8): system 001 (small CNN + 3D U-Net, 2021). Costs and thresholds: Elkan 2001, IJCAI, equation 2.
    """

    def __init__(
        self,
        weights: tuple[float, float] = (0.2, 0.8),
        *,
        name: str = "weighted_bce",
        reduction: str = "sum_over_batch_size",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        if len(weights) != 2 or min(weights) <= 0:
            raise ValueError(f"weights must be two positive numbers, for truth 0 and truth 1; got {weights}.")
        self.weights = tuple(weights)

    def call(self, truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
        truth, score = _same_rank(truth, score)
        weight = truth * self.weights[1] + (1 - truth) * self.weights[0]
        return weight * ops.binary_crossentropy(truth, score)

    def get_config(self) -> dict:
        return {**super().get_config(), "weights": list(self.weights)}


@keras.saving.register_keras_serializable("ich_lib")
def rsna_log_loss(truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
    """The log loss of the RSNA 2019 challenge: the mean over the six labels, `any` counted twice.

    Keras clips scores at 1e-7, so the worst answer costs 16.1 here, more where scores are clipped closer to 0.

    Args:
        truth: (n, 6), 0 or 1, in the order of `ich_lib.labels.LABELS`.
        score: (n, 6), probability.

    Returns:
        (n,).

    Raises:
        ValueError: if there are not six outputs.

    Source:
        RSNA Intracranial Hemorrhage Detection 2019, "weighted multi-label logarithmic loss". Its page says only that
        `any` weighs more than a type; 2 to 1 is what the participants used.
    """
    truth, score = _same_rank(truth, score)
    if len(score.shape) != 2 or score.shape[-1] != len(LABELS):
        raise ValueError(f"The RSNA loss takes (n, 6): {', '.join(LABELS)}; got shape {tuple(score.shape)}.")
    entropy = ops.binary_crossentropy(truth, score)
    weights = [_ANY_WEIGHT if i == ANY else 1.0 for i in range(len(LABELS))]
    return ops.sum(entropy * ops.convert_to_tensor(weights, dtype=entropy.dtype), axis=-1) / sum(weights)


@keras.saving.register_keras_serializable("ich_lib")
def dice_bce(truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
    """Binary cross-entropy plus one minus the soft Dice of the whole batch.

    Dice over the batch, not per slice: a single clean slice has no overlap to reward. On several devices the batch is a
    device's part of it, see `ich_lib.training.devices`.

    Args:
        truth: (n, ...), 0 or 1.
        score: (n, ...), probability.

    Returns:
        (n,): each picture's cross-entropy, with the Dice part of the batch added to all. Training uses its mean.

    Raises:
        ValueError: if the shapes differ in their number of axes.

    Source:
        Milletari et al. 2016, arXiv:1606.04797 (squared denominator is not used here).
    """
    truth, score = _same_rank(truth, score)
    overlap = ops.sum(truth * score)
    dice = (2 * overlap + 1) / (ops.sum(truth) + ops.sum(score) + 1)
    return _cross_entropy(truth, score) + 1 - dice


@keras.saving.register_keras_serializable("ich_lib")
def slice_dice_bce(truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
    """Binary cross-entropy plus one minus the mean soft Dice of the slices that contain blood.

    In the Dice of a whole batch a bleed of 2,000 pixels outweighs ten of 40. Here every bleeding slice counts the same,
    as in the figure that this field reports (Hssayeni et al. 2020). Clean slices contribute only through the
    cross-entropy. With volumes, each whole volume counts the same.

    Args:
        truth: (n, ...), 0 or 1.
        score: (n, ...), probability.

    Returns:
        (n,): each picture's cross-entropy, with the Dice part of the batch added to all. Training uses its mean.

    Raises:
        ValueError: if the shapes differ in their number of axes.
    """
    truth, score = _same_rank(truth, score)
    pixels = ops.sum(truth, axis=tuple(range(1, len(truth.shape))))
    bleeding = ops.cast(pixels > 0, score.dtype)
    overlap_loss = ops.sum(bleeding * dice_loss(truth, score)) / ops.maximum(ops.sum(bleeding), 1)
    return _cross_entropy(truth, score) + overlap_loss


def _cross_entropy(truth: keras.KerasTensor, score: keras.KerasTensor) -> keras.KerasTensor:
    """(n,) binary cross-entropy of each picture."""
    return ops.mean(ops.binary_crossentropy(truth, score), axis=tuple(range(1, len(score.shape))))


def _overlap(truth: keras.KerasTensor, score: keras.KerasTensor, false_alarm: float, miss: float) -> keras.KerasTensor:
    """(n,) soft Tversky index of each picture.

    Half a pixel is added to numerator and denominator. So two empty pictures give 1, an empty one still has a slope,
    and IoU = Dice / (2 - Dice) holds to the last digit.
    """
    truth, score = _same_rank(truth, score)
    axes = tuple(range(1, len(score.shape)))
    shared = ops.sum(truth * score, axis=axes)
    alarms = ops.sum((1 - truth) * score, axis=axes)
    missed = ops.sum(truth * (1 - score), axis=axes)
    return (shared + 0.5) / (shared + false_alarm * alarms + miss * missed + 0.5)


def _same_rank(truth: keras.KerasTensor, score: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Both as tensors of the score's type; a ValueError if (n, y, x) would be broadcast to (n, y, x, 1)."""
    score = ops.convert_to_tensor(score)
    truth = ops.cast(ops.convert_to_tensor(truth), score.dtype)
    if len(truth.shape) != len(score.shape):
        raise ValueError(
            f"The truth has shape {tuple(truth.shape)}, the score {tuple(score.shape)}. Give both the same axes, "
            "including the last one: truth[..., None]."
        )
    return truth, score


# "focal" is equation 4 of Lin et al. 2017 (arXiv:1708.02002), gamma 2. "fn_costly" counts a missed 1 ten times: a
# figure for the lesson; a hospital must decide what a missed bleed costs.
LOSSES = {
    "bce": keras.losses.binary_crossentropy,
    "weighted_bce": WeightedBCE(),
    "fn_costly": WeightedBCE((1.0, 10.0), name="fn_costly"),
    "focal": keras.losses.BinaryFocalCrossentropy(gamma=2.0, name="focal"),
    "cce": keras.losses.categorical_crossentropy,
    "rsna": rsna_log_loss,
    "dice": dice_loss,
    "negative_dice": negative_dice,
    "iou": iou_loss,
    "tversky": Tversky(),
    "dice_bce": dice_bce,
    "slice_dice_bce": slice_dice_bce,
}
