"""Abstention: the error of a model that answers only if it is sure, against the share of scans with an answer."""

from collections.abc import Sequence

import numpy as np

from ich_lib.evaluation.figures import estimate
from ich_lib.evaluation.judged import JudgedScan, has_blood
from ich_lib.labels import ANY
from ich_lib.measures.report import Abstention

# of probability around the threshold, chosen before any figure was seen: from 0.3 to 0.7 there is no answer
MARGIN = 0.2


def curve(is_wrong: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Error among the most confident answers, for every number of answers.

    Args:
        is_wrong: (n,) bool, whether an answer is wrong.
        confidence: (n,) any measure; higher is surer. Equal values have no order: each counts as their mean.

    Returns:
        (n, 2) coverage, from 1 / n to 1, and the share of wrong answers among those given.

    Source:
        El-Yaniv and Wiener 2010, JMLR 11:1605 (risk and coverage of a selective classifier).
    """
    levels, group = np.unique(-np.asarray(confidence, float), return_inverse=True)
    share = np.bincount(group, is_wrong, len(levels)) / np.bincount(group, minlength=len(levels))
    n_answered = np.arange(1, len(group) + 1)
    return np.stack([n_answered / len(group), np.cumsum(share[np.sort(group)]) / n_answered], axis=1)


def area(is_wrong: np.ndarray, confidence: np.ndarray) -> float:
    """Mean error over all coverages (AURC, Geifman et al. 2019, arXiv:1805.08206); lower is better."""
    return float(curve(is_wrong, confidence)[:, 1].mean())


def abstention(scans: Sequence[JudgedScan], *, threshold: float, margin: float = MARGIN) -> Abstention:
    """The effect of a rule that answers only for scans whose score differs from the threshold by more than a margin.

    Args:
        scans: the scans, with calibrated scores; otherwise the margin has no clear meaning.
        threshold: a scan is called bleeding from this score for `any`.
        margin: on both sides of the threshold, without an answer; chosen before, never tuned here.

    Returns:
        The rule, its coverage, the error among answered and among all scans with intervals over patients, the curve of
        error against coverage, its area, and the smallest area that this number of errors allows.
    """
    low, high = round(threshold - margin, 6), round(threshold + margin, 6)  # 0.3, despite rounding
    silent = lambda score: (low < score) & (score < high)  # noqa: E731
    rate = lambda of: estimate(scans, lambda sample: of(*_answers(sample, threshold)))  # noqa: E731
    is_wrong, score = _answers(scans, threshold)
    confidence = lambda score: np.abs(score - threshold)  # noqa: E731
    missed = is_wrong & (score < threshold) & ~silent(score)
    return Abstention(
        band=(low, high),
        scans=len(scans),
        answered=int((~silent(score)).sum()),
        wrong=int(is_wrong.sum()),
        wrong_answered=int(is_wrong[~silent(score)].sum()),
        missed_answered=int(missed.sum()),
        coverage=rate(lambda is_wrong, score: float((~silent(score)).mean())),
        error_answered=rate(lambda is_wrong, score: _mean(is_wrong[~silent(score)])),
        error_all=rate(lambda is_wrong, score: _mean(is_wrong)),
        area=rate(lambda is_wrong, score: area(is_wrong, confidence(score))),
        least_area=area(is_wrong, ~is_wrong),
        curve=tuple((share, error) for share, error in curve(is_wrong, confidence(score)).tolist()),
    )


def _answers(scans: Sequence[JudgedScan], threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool, whether the decision is wrong, and the score of each scan."""
    score = np.array([float(scan.scan_scores[ANY]) for scan in scans])
    return (score >= threshold) != [has_blood(scan) for scan in scans], score


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
