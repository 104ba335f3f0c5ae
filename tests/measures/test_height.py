"""What the height of a slice says about blood, in synthetic scans of known levels."""

import numpy as np
import pytest

from ich_lib.measures.height import height_scores
from ich_lib.measures.metrics import auc


def planted(bleeds, *, patients=12, slices=20, seed=0):
    """Heights, labels and names of scans in which a slice bleeds by `bleeds(height, random number)`."""
    random = np.random.default_rng(seed)
    heights = [np.linspace(0, 1, slices) for _ in range(patients)]
    labels = [bleeds(z, random.random(slices)) for z in heights]
    return heights, labels, [f"p{k}" for k in range(patients)]


def pooled_auc(heights, labels, patients):
    scores = height_scores(heights, labels, patients)
    return auc(np.concatenate(labels), np.concatenate(scores))


def test_blood_in_the_middle_of_every_head_is_found_by_height_alone():
    assert pooled_auc(*planted(lambda z, _: np.abs(z - 0.5) < 0.2)) > 0.99


def test_blood_at_every_level_alike_is_not():
    heads = [planted(lambda z, share: share < 0.3, patients=40, seed=seed) for seed in range(5)]
    assert np.mean([pooled_auc(*each) for each in heads]) == pytest.approx(0.5, abs=0.04)


def test_a_patient_never_scores_himself():
    """One patient bleeds at a height where no other patient does. His own slices, in both of his scans, do not count
    for him."""
    heights = [np.linspace(0, 1, 20)] * 4
    labels = [heights[0] > 0.8, heights[0] > 0.8, heights[0] < 0.2, heights[0] < 0.2]
    scores = height_scores(heights, labels, ["odd", "odd", "one", "two"])
    assert scores[0][labels[0]].max() < 0.01
    np.testing.assert_array_equal(scores[0], scores[1])


def test_the_score_is_the_share_of_bleeding_slices_at_that_height():
    """The other patients have three slices at this height, and two of them bleed."""
    heights = [np.full(4, 0.5), np.full(2, 0.5), np.full(1, 0.5)]
    labels = [np.zeros(4, bool), np.array([True, False]), np.array([True])]
    assert height_scores(heights, labels, ["a", "b", "c"])[0] == pytest.approx(2 / 3)


def test_one_patient_has_nobody_to_learn_from():
    with pytest.raises(ValueError, match="only one"):
        height_scores([np.zeros(3)] * 2, [np.zeros(3, bool)] * 2, ["a", "a"])
