"""What if the model kept silent where it is not sure? Error against the share of scans that get an answer."""

from collections.abc import Sequence

import numpy as np

from ich_lib.evaluation.figures import estimate
from ich_lib.evaluation.judged import JudgedScan, has_blood
from ich_lib.labels import ANY
from ich_lib.measures.report import Abstention

MARGIN = 0.2  # of probability around the threshold, set before any figure was seen: from 0.3 to 0.7 nothing is said


def curve(wrong: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Error among the most confident answers, for every number of them.

    Args:
        wrong: (n,) bool, whether an answer is wrong.
        confidence: (n,) any measure, higher is surer. Equal ones are answered in no order: each counts their mean.

    Returns:
        (n, 2) coverage, from 1 / n to 1, and the share of wrong answers among those given.

    Source:
        El-Yaniv and Wiener 2010, JMLR 11:1605 (risk and coverage of a selective classifier).
    """
    levels, group = np.unique(-np.asarray(confidence, float), return_inverse=True)
    share = np.bincount(group, wrong, len(levels)) / np.bincount(group, minlength=len(levels))
    n_answered = np.arange(1, len(group) + 1)
    return np.stack([n_answered / len(group), np.cumsum(share[np.sort(group)]) / n_answered], axis=1)


def area(wrong: np.ndarray, confidence: np.ndarray) -> float:
    """Mean error over all coverages (AURC, Geifman et al. 2019, arXiv:1805.08206); lower is better."""
    return float(curve(wrong, confidence)[:, 1].mean())


def abstention(scans: Sequence[JudgedScan], *, threshold: float, margin: float = MARGIN) -> Abstention:
    """What a rule gains that answers only for scans whose score lies further than a margin from the threshold.

    Args:
        scans: the scans; their scores should be calibrated, else the margin means nothing in particular.
        threshold: called bleeding from this score for `any` on.
        margin: on either side of it, within which nothing is said; set before, never tuned here.

    Returns:
        The rule, its coverage, the error among answered and among all scans with intervals over patients, the curve of
        error against coverage, its area, and the least area that so many errors allow.
    """
    low, high = round(threshold - margin, 6), round(threshold + margin, 6)  # 0.3, where the sum is a bit off
    silent = lambda score: (low < score) & (score < high)  # noqa: E731
    rate = lambda of: estimate(scans, lambda sample: of(*_answers(sample, threshold)))  # noqa: E731
    wrong, score = _answers(scans, threshold)
    sure = lambda score: np.abs(score - threshold)  # noqa: E731
    missed = wrong & (score < threshold) & ~silent(score)
    return Abstention(
        band=(low, high),
        scans=len(scans),
        answered=int((~silent(score)).sum()),
        wrong=int(wrong.sum()),
        wrong_answered=int(wrong[~silent(score)].sum()),
        missed_answered=int(missed.sum()),
        coverage=rate(lambda wrong, score: float((~silent(score)).mean())),
        error_answered=rate(lambda wrong, score: _mean(wrong[~silent(score)])),
        error_all=rate(lambda wrong, score: _mean(wrong)),
        area=rate(lambda wrong, score: area(wrong, sure(score))),
        least_area=area(wrong, ~wrong),
        curve=tuple((share, error) for share, error in curve(wrong, sure(score)).tolist()),
    )


def _answers(scans: Sequence[JudgedScan], threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool, whether the call is wrong, and the score of each scan."""
    score = np.array([float(scan.scan_scores[ANY]) for scan in scans])
    return (score >= threshold) != [has_blood(scan) for scan in scans], score


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
