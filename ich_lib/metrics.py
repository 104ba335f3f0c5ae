"""How well a mask or a score agrees with the truth. Empty cases are decided, not left to chance."""

import numpy as np


def dice(truth: np.ndarray, mask: np.ndarray) -> float:
    """Dice overlap of two bool masks, 0 to 1. Two empty masks agree: 1."""
    total = np.count_nonzero(truth) + np.count_nonzero(mask)
    return 2 * np.count_nonzero(truth & mask) / total if total else 1.0


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


def auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve; NaN where the truth holds one class alone, for which it is not defined."""
    from sklearn.metrics import roc_auc_score

    truth = np.asarray(truth, bool)
    return float(roc_auc_score(truth, score)) if 0 < truth.sum() < truth.size else float("nan")
