"""How well the height of a slice predicts blood: the baseline for every AUC over slices."""

from collections.abc import Sequence

import numpy as np

_BINS = 40  # of the height of a head
_BLUR = 0.05  # standard deviation of the smoothing of counts, as a share of the head's height


def height_scores(
    heights: Sequence[np.ndarray], labels: Sequence[np.ndarray], patients: Sequence[str]
) -> list[np.ndarray]:
    """Score each slice only by its height: how often slices at that height bleed in all other patients.

    A model that uses no pixel reaches the AUC of these scores, because few slices at the vertex or the skull base
    bleed. The value of a model is what it adds to this.

    Args:
        heights: for each scan, (z,) height of its slices, 0 at the lowest and 1 at the highest.
        labels: for each scan, (z,) bool, which slices bleed.
        patients: for each scan, its patient; the scans of one patient never score each other.

    Returns:
        For each scan, (z,) scores from 0 to 1.

    Raises:
        ValueError: if the scans are of fewer than two patients.

    Example:
        >>> low, high = np.array([0.0, 0.1]), np.array([0.9, 1.0])
        >>> scores = height_scores([low, low, high], [low < 1, low < 1, high < 0], ["a", "b", "c"])
        >>> bool(scores[0].min() > scores[2].max())
        True
    """
    if len(set(patients)) < 2:
        raise ValueError("Scores by height are learned from other patients, but there is only one patient.")
    counts: dict[str, np.ndarray] = {}
    bleeding: dict[str, np.ndarray] = {}
    for of_scan, truth, patient in zip(heights, labels, patients, strict=True):
        slices = np.histogram(of_scan, _BINS, (0, 1))[0].astype(float)
        with_blood = np.histogram(of_scan[truth], _BINS, (0, 1))[0].astype(float)
        counts[patient] = counts.get(patient, np.zeros(_BINS)) + slices
        bleeding[patient] = bleeding.get(patient, np.zeros(_BINS)) + with_blood
    centers = (np.arange(_BINS) + 0.5) / _BINS
    shared = np.exp(-0.5 * ((centers[:, None] - centers) / _BLUR) ** 2)
    every, every_bleeding = sum(counts.values(), np.zeros(_BINS)), sum(bleeding.values(), np.zeros(_BINS))
    rates = {
        patient: (every_bleeding - bleeding[patient]) @ shared / ((every - counts[patient]) @ shared + 1e-9)
        for patient in counts
    }
    return [np.interp(of_scan, centers, rates[patient]) for of_scan, patient in zip(heights, patients, strict=True)]
