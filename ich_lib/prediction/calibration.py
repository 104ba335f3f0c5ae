"""Calibration: from the output of the networks to probabilities.

In the training samples half of the slices bleed, in real scans one in eight. So the networks are overconfident on real
scans. A logistic regression combines the evidence of the mask, the neighboring slices and the classifier. It is fitted
on scans that the networks never saw (Platt 1999; Guo et al. 2017, arXiv:1706.04599).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ich_lib.labels import ANY, LABELS

TOP = 60  # the mask's evidence for blood is the mean of this many highest pixels
_PROBABILITY_MARGIN = 1e-4  # evidence is clipped to this distance from 0 and 1: logits stay within 9.2
_FITTED_C = 1.0  # inverse strength of the ridge penalty, which keeps weights of rare types small


@dataclass(frozen=True)
class Evidence:
    """The output of the networks for one scan, before calibration.

    Attributes:
        mask: (z,) mean of the TOP highest pixels of the mask's probabilities; None without a segmentation model.
        classes: (z, 6) the classifier's scores in the order of LABELS; None without a classifier.
    """

    mask: np.ndarray | None
    classes: np.ndarray | None

    def of(self, label: int) -> np.ndarray:
        """(z, k) logits for a label: of the mask, of the mean of the neighbors' masks, of the classifier."""
        columns = []
        if self.mask is not None:
            logits = _logit(self.mask)
            columns += [logits, _neighbor_mean(logits)]
        if self.classes is not None:
            columns.append(_logit(self.classes[:, label]))
        return np.stack(columns, axis=1)

    def of_scan(self, label: int) -> np.ndarray:
        """(k,) the same for the whole scan: in each column the highest mean of two neighboring slices."""
        return peak_evidence(self.of(label))

    def plain(self) -> np.ndarray:
        """(z, 6) scores without calibration: those of the classifier; for `any` the mean of classifier and mask."""
        if self.classes is not None:
            scores = self.classes.astype(float)
            if self.mask is not None:
                scores[:, ANY] = (scores[:, ANY] + self.mask) / 2
            return scores
        if self.mask is None:
            raise ValueError("Evidence without a mask and without classes is empty.")
        scores = np.zeros((len(self.mask), len(LABELS)))
        scores[:, ANY] = self.mask
        return scores


@dataclass(frozen=True)
class Calibration:
    """Weights that turn evidence into probabilities.

    Attributes:
        slices: (6, k + 1) weights of `Evidence.of` for each label, the constant last.
        scans: (6, k + 1) weights of `Evidence.of_scan` for each label.
    """

    slices: np.ndarray
    scans: np.ndarray

    def slice_scores(self, evidence: Evidence) -> np.ndarray:
        """(z, 6) probabilities in the order of LABELS.

        Raises:
            ValueError: if the evidence is of another kind than the fitted one.
        """
        return _apply_weights([evidence.of(label) for label in range(len(LABELS))], self.slices)

    def scan_scores(self, evidence: Evidence) -> np.ndarray:
        """(6,) probabilities of the whole scan.

        Raises:
            ValueError: if the evidence is of another kind than the fitted one.
        """
        return _apply_weights([evidence.of_scan(label) for label in range(len(LABELS))], self.scans)

    def as_json(self) -> dict:
        """Plain values, for a card."""
        return {"slices": self.slices.tolist(), "scans": self.scans.tolist()}


def calibration_from_json(values: dict) -> Calibration:
    """Rebuild a calibration from `Calibration.as_json`."""
    return Calibration(np.array(values["slices"], float), np.array(values["scans"], float))


def peak_evidence(slices: np.ndarray) -> np.ndarray:
    """(z, k) values of slices to (k,): the highest mean of two neighbors. A real bleed is seldom in a single slice
    only."""
    if len(slices) == 1:
        return slices[0]
    return ((slices[1:] + slices[:-1]) / 2).max(axis=0)


def fit_calibration(evidence: Sequence[Evidence], labels: Sequence[np.ndarray]) -> Calibration:
    """Fit a calibration on scans that the networks were not trained on.

    Slices and scans have separate weights. If all or none of them show a label, its evidence stays as it is, shifted to
    its frequency. Weights never become negative: more evidence never lowers a probability.

    Args:
        evidence: one entry per scan.
        labels: (z, 6) bool per scan, in the order of LABELS.

    Returns:
        The calibration. Do not report a patient of `evidence` with it.
    """
    slices, scans = [], []
    for k in range(len(LABELS)):
        columns = np.concatenate([scan.of(k) for scan in evidence])
        slices.append(_fit_weights(columns, np.concatenate([truth[:, k] for truth in labels])))
        scan_columns = np.stack([scan.of_scan(k) for scan in evidence])
        scans.append(_fit_weights(scan_columns, np.array([truth[:, k].any() for truth in labels])))
    return Calibration(np.array(slices), np.array(scans))


def _apply_weights(columns: list[np.ndarray], table: np.ndarray) -> np.ndarray:
    """Probabilities, the labels along the last axis, from (..., k) evidence per label and (6, k + 1) weights."""
    kinds = columns[0].shape[-1]
    if kinds + 1 != table.shape[1]:
        raise ValueError(
            f"This calibration takes {table.shape[1] - 1} kinds of evidence; there are {kinds}. It belongs to other "
            "models."
        )
    logits = [
        evidence_column @ weights[:-1] + weights[-1] for evidence_column, weights in zip(columns, table, strict=True)
    ]
    return _sigmoid(np.stack(logits, axis=-1))


def _fit_weights(columns: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(k + 1,) logistic weights, the constant last; columns with a negative weight are left out."""
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros(columns.shape[1] + 1)
    if truth.all() or not truth.any():
        weights[:-1] = 1 / columns.shape[1]
        share = (truth.sum() + 0.5) / (len(truth) + 1)
        weights[-1] = _logit(share) - columns.mean()
        return weights
    used = list(range(columns.shape[1]))
    while used:
        model = LogisticRegression(C=_FITTED_C, max_iter=1000).fit(columns[:, used], truth)
        if model.coef_[0].min() >= 0:
            weights[used], weights[-1] = model.coef_[0], model.intercept_[0]
            return weights
        used.pop(int(model.coef_[0].argmin()))
    weights[-1] = _logit(truth.mean())
    return weights


def _neighbor_mean(values: np.ndarray) -> np.ndarray:
    """(z,) mean of the slices above and below; at an end, the slice itself replaces the missing one."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return (padded[:-2] + padded[2:]) / 2


def _logit(probability: np.ndarray | float) -> np.ndarray:
    p = np.clip(np.asarray(probability, float), _PROBABILITY_MARGIN, 1 - _PROBABILITY_MARGIN)
    return np.log(p / (1 - p))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
