"""What the height of a slice gives away, and a comparison that it cannot help."""

import numpy as np

from ich_lib.data.table import Table
from ich_lib.labels import ANY
from ich_lib.measures.height import height_scores
from ich_lib.measures.metrics import auc

LEVELS = 34  # as many as a phantom of the course has slices


def level_of_slices(table: Table) -> np.ndarray:
    """Level of each slice in its scan, 0 for the lowest to LEVELS - 1 for the highest.

    Args:
        table: slices in the order of their scans.

    Returns:
        (n,) int.
    """
    level = np.zeros(len(table), int)
    for rows in table.scans():
        level[rows] = np.linspace(0, LEVELS - 1, len(rows)).round() if len(rows) > 1 else LEVELS // 2
    return level


def height_auc(table: Table, rows: np.ndarray | None = None, label: int = ANY) -> float:
    """AUC of a model that knows nothing of a slice but its height in the head, learned from the other patients.

    Args:
        table: slices with labels.
        rows: to be judged; None for all.
        label: column of the labels.

    Returns:
        The AUC over these rows, which stands beside every AUC of slices.
    """
    rows = np.arange(len(table)) if rows is None else np.asarray(rows)
    level, truth, names = level_of_slices(table) / (LEVELS - 1), table.labels[:, label], table.patient[rows]
    groups = [rows[names == name] for name in dict.fromkeys(names.tolist())]
    scores = height_scores(
        [level[group] for group in groups],
        [truth[group] for group in groups],
        [str(table.patient[group[0]]) for group in groups],
    )
    return auc(np.concatenate([truth[group] for group in groups]), np.concatenate(scores))


def same_level_auc(truth: np.ndarray, score: np.ndarray, level: np.ndarray) -> float:
    """AUC over pairs of one level: how often a bleeding slice scores above a clean one *at the same height*.

    What a model knows of heights cannot help it: the height alone has 0.5.

    Args:
        truth: (n,) bool.
        score: (n,), higher where blood is likelier.
        level: (n,) the height of each slice; only slices of equal level are compared.

    Returns:
        The share of pairs in the right order, ties counted half; NaN where no level holds both kinds.

    Example:
        >>> truth, score = np.array([True, False, False]), np.array([0.7, 0.4, 0.9])
        >>> same_level_auc(truth, score, level=np.array([1, 1, 2]))
        1.0
    """
    right = pairs = 0.0
    for value in np.unique(level):
        at = level == value
        bleeding, clean = score[at & truth], score[at & ~truth]
        difference = bleeding[:, None] - clean
        right += (difference > 0).sum() + 0.5 * (difference == 0).sum()
        pairs += difference.size
    return float(right / pairs) if pairs else float("nan")
