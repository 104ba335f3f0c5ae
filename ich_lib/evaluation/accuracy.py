"""Accuracy of calls and of types, beside the accuracy of an answer that no model is needed for."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ich_lib.evaluation.figures import estimate
from ich_lib.evaluation.judged import JudgedScan
from ich_lib.labels import ANY, LABELS
from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.report import Accuracy


def accuracy_metrics(scans: Sequence[JudgedScan], known_labels: Sequence[str], *, threshold: float) -> Accuracy:
    """Accuracy at a threshold, compared with the answer "no bleeding anywhere"."""
    columns = [LABELS.index(label) for label in known_labels]

    def share(labels: list[int], *, answer_clean: bool) -> Estimate:
        def right(scan: JudgedScan) -> np.ndarray:
            called = np.zeros_like(scan.labels) if answer_clean else scan.scores >= threshold
            return (called == scan.labels)[:, labels].ravel()

        return estimate(scans, lambda sample: float(np.mean(np.concatenate([right(scan) for scan in sample]))))

    return Accuracy(
        slices=share([ANY], answer_clean=False),
        cells=share(columns, answer_clean=False),
        slices_all_clean=share([ANY], answer_clean=True),
        cells_all_clean=share(columns, answer_clean=True),
        **_type_accuracy(scans),
    )


def _type_accuracy(scans: Sequence[JudgedScan]) -> dict[str, Estimate]:
    """Whether the highest type score is of the true type, on slices with exactly one; and the most common type."""
    counts = np.sum([_single_types(scan).sum(axis=0) for scan in scans], axis=0)
    answers = {
        "types": lambda scan: scan.scores[:, :ANY].argmax(axis=1),
        "types_most_common": lambda scan: np.full(len(scan.labels), counts.argmax()),
    }

    def share(answer: Callable[[JudgedScan], np.ndarray], sample: Sequence[JudgedScan]) -> float:
        right = []
        for scan in sample:
            types = _single_types(scan)
            right.append(types[np.arange(len(types)), answer(scan)][types.any(axis=1)])
        return float(np.concatenate(right).mean()) if any(map(len, right)) else np.nan

    return {name: estimate(scans, partial(share, answer)) for name, answer in answers.items()}


def _single_types(scan: JudgedScan) -> np.ndarray:
    """(z, 5) bool, the type of each slice that shows exactly one; other slices are all False."""
    types = scan.labels[:, :ANY]
    return types & (types.sum(axis=1, keepdims=True) == 1)
