"""What the networks say of a scan to probabilities that mean what they say.

A network trained on samples of which half bleed is too sure on real scans, of whose slices one in eight bleeds. Here
the mask's own evidence, the neighbors' and the classifier's are weighed by a logistic regression, fitted on scans the
network never saw (Platt 1999; Guo et al. 2017, arXiv:1706.04599).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ich_lib.labels import ANY, LABELS

TOP = 60  # the mask's own evidence for blood is the mean of this many highest pixels
_PROBABILITY_MARGIN = 1e-4  # evidence closer to 0 or 1 counts as this close: logits stay within 9.2
_FITTED_C = 1.0  # inverse strength of the ridge that keeps weights of rare types small


@dataclass(frozen=True)
class Evidence:
    """What the networks said of one scan, before anything is made of it.

    Attributes:
        mask: (z,) mean of the TOP highest pixels of the mask's probabilities; None where nobody segmented.
        classes: (z, 6) the classifier's scores in the order of LABELS; None where nobody classified.
    """

    mask: np.ndarray | None
    classes: np.ndarray | None

    def of(self, label: int) -> np.ndarray:
        """(z, k) logits that speak for a label: the mask's, the mean of the neighbors' masks, the classifier's."""
        columns = []
        if self.mask is not None:
            logits = _logit(self.mask)
            columns += [logits, _neighbor_mean(logits)]
        if self.classes is not None:
            columns.append(_logit(self.classes[:, label]))
        return np.stack(columns, axis=1)

    def of_scan(self, label: int) -> np.ndarray:
        """(k,) the same for the whole scan: of each column the highest mean of two neighboring slices."""
        return peak_evidence(self.of(label))

    def plain(self) -> np.ndarray:
        """(z, 6) scores without calibration: the classifier's, and for `any` the mean of its and the mask's."""
        if self.classes is not None:
            scores = self.classes.astype(float)
            if self.mask is not None:
                scores[:, ANY] = (scores[:, ANY] + self.mask) / 2
            return scores
        if self.mask is None:
            raise ValueError("Evidence without a mask and without classes says nothing of any slice.")
        scores = np.zeros((len(self.mask), len(LABELS)))
        scores[:, ANY] = self.mask
        return scores


@dataclass(frozen=True)
class Calibration:
    """Weights that turn evidence into probabilities.

    Attributes:
        slices: (6, k + 1) per label the weights of `Evidence.of`, the constant last.
        scans: (6, k + 1) per label those of `Evidence.of_scan`.
    """

    slices: np.ndarray
    scans: np.ndarray

    def slice_scores(self, evidence: Evidence) -> np.ndarray:
        """(z, 6) probabilities in the order of LABELS.

        Raises:
            ValueError: if the evidence is of another kind than what was fitted.
        """
        return _apply_weights([evidence.of(label) for label in range(len(LABELS))], self.slices)

    def scan_scores(self, evidence: Evidence) -> np.ndarray:
        """(6,) probabilities of the whole scan.

        Raises:
            ValueError: if the evidence is of another kind than what was fitted.
        """
        return _apply_weights([evidence.of_scan(label) for label in range(len(LABELS))], self.scans)

    def as_json(self) -> dict:
        """Plain numbers, for a card."""
        return {"slices": self.slices.tolist(), "scans": self.scans.tolist()}


def calibration_from_json(values: dict) -> Calibration:
    """Rebuild a calibration from `Calibration.as_json`."""
    return Calibration(np.array(values["slices"], float), np.array(values["scans"], float))


def peak_evidence(slices: np.ndarray) -> np.ndarray:
    """(z, k) values of slices to (k,): the highest mean of two neighbors; a real bleed rarely stays in one slice."""
    if len(slices) == 1:
        return slices[0]
    return ((slices[1:] + slices[:-1]) / 2).max(axis=0)


def fit_calibration(evidence: Sequence[Evidence], labels: Sequence[np.ndarray]) -> Calibration:
    """Fit a calibration on scans that the networks were not trained on.

    Slices and scans have weights of their own. A label that all or none of them show keeps its evidence as it is, moved
    to its share. Weights are kept from falling below zero: more evidence never speaks against blood.

    Args:
        evidence: one entry a scan.
        labels: (z, 6) bool a scan, in the order of LABELS.

    Returns:
        The calibration. No patient of `evidence` may be reported with it.
    """
    slices, scans = [], []
    for k in range(len(LABELS)):
        columns = np.concatenate([scan.of(k) for scan in evidence])
        slices.append(_fit_weights(columns, np.concatenate([truth[:, k] for truth in labels])))
        scan_columns = np.stack([scan.of_scan(k) for scan in evidence])
        scans.append(_fit_weights(scan_columns, np.array([truth[:, k].any() for truth in labels])))
    return Calibration(np.array(slices), np.array(scans))


def _apply_weights(columns: list[np.ndarray], table: np.ndarray) -> np.ndarray:
    """Probabilities, the labels along the last axis, of (..., k) evidence a label and (6, k + 1) weights."""
    kinds = columns[0].shape[-1]
    if kinds + 1 != table.shape[1]:
        raise ValueError(
            f"This calibration weighs {table.shape[1] - 1} kinds of evidence; there are {kinds}. It belongs to other "
            "models."
        )
    logits = [
        evidence_column @ weights[:-1] + weights[-1] for evidence_column, weights in zip(columns, table, strict=True)
    ]
    return _sigmoid(np.stack(logits, axis=-1))


def _fit_weights(columns: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(k + 1,) logistic weights, the constant last; columns whose weight would be negative are left out."""
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
    """(z,) mean of the slices above and below; at an end the slice itself stands in for the missing one."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return (padded[:-2] + padded[2:]) / 2


def _logit(probability: np.ndarray | float) -> np.ndarray:
    p = np.clip(np.asarray(probability, float), _PROBABILITY_MARGIN, 1 - _PROBABILITY_MARGIN)
    return np.log(p / (1 - p))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
