"""How well a mask or a score agrees with the truth. Empty cases follow a stated policy.

The policy is the same everywhere. Two empty masks agree fully. One empty mask against a full one is a complete failure
(0, or an infinite distance) and is never dropped. A rate without a denominator is NaN, and
`ich_lib.measures.statistics` leaves it out. Each function says which rule applies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """Counts of pixels, slices or patients by truth and prediction."""

    tp: int
    fp: int
    tn: int
    fn: int


def count(truth: np.ndarray, mask: np.ndarray) -> Counts:
    """True and false positives and negatives.

    Args:
        truth: bool or 0 and 1, any shape.
        mask: the same shape: pixels called blood, or slices called bleeding.

    Raises:
        ValueError: if the shapes differ, if nothing is given, or for scores without a threshold.
    """
    truth, mask = check_masks(truth, mask)
    tp, n_called, positive = (int(np.count_nonzero(mask_)) for mask_ in (truth & mask, mask, truth))
    return Counts(tp, n_called - tp, truth.size - positive - n_called + tp, positive - tp)


def pixel_accuracy(truth: np.ndarray, mask: np.ndarray) -> float:
    """Share of correct pixels, including the background.

    Not suitable for bleeds: in a head with 1 % of blood the empty mask scores 0.99. Two empty masks: 1.
    """
    c = count(truth, mask)
    return (c.tp + c.tn) / (c.tp + c.fp + c.tn + c.fn)


def precision(truth: np.ndarray, mask: np.ndarray) -> float:
    """Share of the predicted blood that is blood: the PPV at the prevalence of this sample.

    NaN for an empty mask, whatever the truth; 0 for an empty truth and a mask that is not.
    """
    c = count(truth, mask)
    return _share(c.tp, c.tp + c.fp)


def recall(truth: np.ndarray, mask: np.ndarray) -> float:
    """Share of the blood that is predicted. NaN for an empty truth; 0 for an empty mask and a truth that is not."""
    c = count(truth, mask)
    return _share(c.tp, c.tp + c.fn)


def sensitivity(truth: np.ndarray, mask: np.ndarray) -> float:
    """The clinical name of `recall`. NaN for an empty truth; 0 for an empty mask and a truth that is not."""
    return recall(truth, mask)


def specificity(truth: np.ndarray, mask: np.ndarray) -> float:
    """Share of the clean part that is not predicted. NaN for a truth that is full; 1 for two empty masks."""
    c = count(truth, mask)
    return _share(c.tn, c.tn + c.fp)


def f1(truth: np.ndarray, mask: np.ndarray) -> float:
    """Harmonic mean of precision and recall; for masks it equals `dice`. Two empty: 1; one empty: 0."""
    return dice(truth, mask)


def dice(truth: np.ndarray, mask: np.ndarray) -> float:
    """Dice overlap of two masks, 0 to 1. Two empty masks: 1; one empty: 0."""
    c = count(truth, mask)
    return _share(2 * c.tp, 2 * c.tp + c.fp + c.fn, empty=1.0)


def dice_per_subject(truth: np.ndarray, mask: np.ndarray) -> float | None:
    """Mean Dice over the slices of one subject that contain blood; None for a subject without.

    Args:
        truth: (z, y, x) bool.
        mask: (z, y, x) bool.

    Source:
        Hssayeni et al., Data 2020;5(1):14: slices without blood in the truth do not count.
    """
    scores = [dice(t, m) for t, m in zip(truth, mask, strict=True) if t.any()]
    return float(np.mean(scores)) if scores else None


def iou(truth: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of the blood, 0 to 1. Two empty masks: 1; one empty: 0."""
    c = count(truth, mask)
    return _share(c.tp, c.tp + c.fp + c.fn, empty=1.0)


def mean_iou(truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean of the IoU of the blood and the IoU of the background.

    Not a measure of lesions: in a slice with 1 % of blood the empty mask scores 0.495. It is included because it was
    published as "IoU". Two empty masks: 1; one empty: half the background's IoU.

    Source:
        System 002 (two U-Nets on CT-ICH, 2021), which reports 0.85 by it.
    """
    truth, mask = check_masks(truth, mask)
    return (iou(truth, mask) + iou(~truth, ~mask)) / 2


def iou_of_dice(overlap: float) -> float:
    """The IoU of one image with this Dice: D / (2 - D). A reported pair off this curve does not belong to a single
    image.

    A mean IoU over images may be above the value for their mean Dice, never below.

    Raises:
        ValueError: if the Dice is not within 0 and 1.
    """
    _in_unit("The Dice", overlap)
    return overlap / (2 - overlap)


def ppv(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Probability that a patient with a positive result bleeds, if a share `prevalence` of patients does.

    Args:
        sensitivity: 0 to 1.
        specificity: 0 to 1.
        prevalence: 0 to 1, of the intended hospital; a test set with half bleeds is seldom typical.

    Returns:
        0 to 1; NaN if no result is positive.

    Raises:
        ValueError: if a value is not within 0 and 1.

    Source:
        Altman and Bland 1994, BMJ 309:102 (Bayes).
    """
    _in_unit("Sensitivity, specificity and prevalence", sensitivity, specificity, prevalence)
    right, wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    return _share(right, right + wrong)


def npv(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Probability that a patient with a negative result does not bleed; arguments and errors as in `ppv`.

    Returns:
        0 to 1; NaN if every result is positive.
    """
    _in_unit("Sensitivity, specificity and prevalence", sensitivity, specificity, prevalence)
    right, wrong = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return _share(right, right + wrong)


def auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve; NaN if the truth has only one class.

    Computed from ranks, with shared ties: the Mann-Whitney U over all pairs. This takes a tenth of the time of
    scikit-learn, which builds the curve first. A bootstrap calls it a thousand times.

    Source:
        Hanley and McNeil 1982, Radiology 143:29.
    """
    from scipy.stats import rankdata

    truth = np.asarray(truth, bool)
    positive = int(truth.sum())
    negative = truth.size - positive
    if not positive or not negative:
        return float("nan")
    ranks = rankdata(score)[truth].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the precision-recall curve, by steps; NaN if the truth has only one class.

    A score without knowledge gets the share of positives here, not 0.5. Equal scores share one threshold.

    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]))
    0.8333333333333333
    """
    truth, score = np.asarray(truth, bool), np.asarray(score)
    if not 0 < truth.sum() < truth.size:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    called = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) + 1  # at each threshold that the scores give
    hits = np.cumsum(truth[order])[called - 1]
    return float((hits / called * np.diff(hits, prepend=0)).sum() / hits[-1])


def log_loss(truth: np.ndarray, score: np.ndarray) -> float:
    """Mean of minus the log of the probability that was given to the true class.

    One class is enough. A score of exactly 0 or 1 is moved by the rounding step of its type (2e-16 in float64), so that
    one certain and wrong answer costs 36, not infinity.

    Args:
        truth: (n,) bool or 0 and 1.
        score: (n,) probability.

    Raises:
        ValueError: if the lengths differ, if nothing is given, or if a score is not a probability.
    """
    truth, score = _probabilities(truth, score)
    smallest = np.finfo(np.result_type(score, np.float16)).eps  # integers, float64
    probability = np.where(truth, score, 1 - score)
    return float(-np.log(np.clip(probability, smallest, 1 - smallest)).mean())


@dataclass(frozen=True)
class Bin:
    """The predictions with a score above `low` and not above `high` (the first bin includes 0).

    Attributes:
        low: lower edge.
        high: upper edge.
        n: number of predictions.
        score: their mean score; NaN in an empty bin.
        share: the share of them that was true; NaN in an empty bin.
    """

    low: float
    high: float
    n: int
    score: float
    share: float


def reliability(truth: np.ndarray, score: np.ndarray, *, bins: int = 10) -> list[Bin]:
    """Predicted probabilities and observed frequencies in bins of equal width: the table of a reliability diagram.

    Args:
        truth: (n,) bool or 0 and 1.
        score: (n,) probability of 1, not of the more probable class.
        bins: number of bins, at least 1.

    Returns:
        One row per bin, including empty bins.

    Raises:
        ValueError: if the lengths differ, if nothing is given, if a score is not a probability, or if there are no
            bins.

    Source:
        Guo et al. 2017, arXiv:1706.04599, section 2.
    """
    truth, score = _probabilities(truth, score)
    if bins < 1:
        raise ValueError(f"bins must be at least 1; got {bins}.")
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], score)
    n, score_sum, truth_sum = (np.bincount(place, weight, bins) for weight in (None, score, truth))
    return [
        Bin(float(edges[i]), float(edges[i + 1]), int(n[i]), _share(score_sum[i], n[i]), _share(truth_sum[i], n[i]))
        for i in range(bins)
    ]


def calibration_error(truth: np.ndarray, score: np.ndarray, *, bins: int = 10) -> float:
    """Expected calibration error: the mean gap between predicted and observed over the bins, weighted by their counts.

    It depends on the number of bins, and 0 does not mean useful: to always predict the prevalence is calibrated.
    Arguments, errors and source as in `reliability`; empty bins have no weight.
    """
    rows = [row for row in reliability(truth, score, bins=bins) if row.n]
    return float(np.average([abs(row.share - row.score) for row in rows], weights=[row.n for row in rows]))


def volume_error_ml(truth: np.ndarray, mask: np.ndarray, voxel_ml: float) -> float:
    """Volume of the mask minus that of the truth, in mL: positive if the mask is too large.

    A correct volume may be in the wrong place; see `dice` for that. Two empty masks: 0; one empty: the other's volume.

    Args:
        truth: bool or 0 and 1.
        mask: the same shape.
        voxel_ml: volume of a voxel, `Scan.voxel_ml`.

    Raises:
        ValueError: if the shapes differ or the voxel has no volume.
    """
    if not voxel_ml > 0:
        raise ValueError(f"voxel_ml must be positive; got {voxel_ml}.")
    c = count(truth, mask)
    return (c.fp - c.fn) * voxel_ml


@dataclass(frozen=True)
class Agreement:
    """Bias of measured volumes, and the limits that contain 95 % of single differences."""

    bias_ml: float
    low_ml: float
    high_ml: float
    n: int


def bland_altman(truth_ml: Sequence[float], mask_ml: Sequence[float]) -> Agreement:
    """Bias (measured minus true) and limits of agreement, bias -+ 1.96 standard deviations.

    The limits assume that the differences are normally distributed and not wider for large bleeds: plot them before
    use. Patients without blood on both sides add differences of 0, which narrows the limits: leave them out or report
    them.

    Args:
        truth_ml: (n,) volume per patient.
        mask_ml: (n,) volume per patient, in the same order.

    Raises:
        ValueError: if the lengths differ or there are fewer than two patients.

    Source:
        Bland and Altman 1986, Lancet 327:307.
    """
    true, measured = np.asarray(truth_ml, float), np.asarray(mask_ml, float)
    if true.shape != measured.shape or true.ndim != 1 or len(true) < 2:
        raise ValueError(f"Two equal lists of at least 2 volumes are needed; got {true.shape}, {measured.shape}.")
    gap = measured - true
    bias, reach = float(gap.mean()), 1.96 * float(gap.std(ddof=1))
    return Agreement(bias, bias - reach, bias + reach, len(gap))


def _share(part: float, total: float, *, empty: float = float("nan")) -> float:
    return float(part / total) if total else empty


def check_masks(truth: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as bool of one shape, or a ValueError."""
    truth, mask = np.asarray(truth), np.asarray(mask)
    if truth.shape != mask.shape or not truth.size:
        raise ValueError(f"The truth has shape {truth.shape}, the mask {mask.shape}; they must be equal, not empty.")
    for values in (truth, mask):
        if values.dtype != bool and not np.isin(values, (0, 1)).all():
            raise ValueError("Masks hold 0 and 1. Turn scores into decisions first: score >= threshold.")
    return truth.astype(bool), mask.astype(bool)


def _probabilities(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool and (n,) in [0, 1], or a ValueError."""
    truth, score = np.asarray(truth, bool), np.asarray(score)
    if truth.shape != score.shape or truth.ndim != 1 or not truth.size:
        raise ValueError(f"Truth and score must be two equal lists; got shapes {truth.shape} and {score.shape}.")
    _in_unit("A score here is a probability, which", score)
    return truth, score


def _in_unit(name: str, *values: float | np.ndarray) -> None:
    if not all(((np.asarray(value) >= 0) & (np.asarray(value) <= 1)).all() for value in values):
        raise ValueError(f"{name} must lie within 0 and 1.")
