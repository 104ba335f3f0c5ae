import numpy as np
import pytest
from sklearn.metrics import f1_score

from ich_lib.metrics import auc, dice, dice_per_subject


def test_dice_on_paper():
    """4 and 6 pixels, 3 shared: 2 * 3 / 10."""
    truth, mask = np.zeros(20, bool), np.zeros(20, bool)
    truth[:4], mask[1:7] = True, True
    assert dice(truth, mask) == pytest.approx(0.6)
    assert dice(truth, mask) == pytest.approx(f1_score(truth, mask))


def test_two_empty_masks_agree_and_one_empty_mask_does_not():
    empty, full = np.zeros(4, bool), np.ones(4, bool)
    assert dice(empty, empty) == 1
    assert dice(empty, full) == dice(full, empty) == 0


def test_slices_without_blood_do_not_count_for_the_subject():
    """Two slices with blood score 1 and 0; a clean third one with a false alarm changes nothing."""
    truth = np.zeros((3, 2, 2), bool)
    mask = truth.copy()
    truth[0], mask[0], truth[1], mask[2] = True, True, True, True
    assert dice_per_subject(truth, mask) == pytest.approx(0.5)


def test_a_subject_without_blood_has_no_dice():
    assert dice_per_subject(np.zeros((2, 2, 2), bool), np.ones((2, 2, 2), bool)) is None


def test_auc_counts_the_pairs_in_right_order():
    """Positives .8 and .3 against negatives .4 and .1: 3 of 4 pairs."""
    assert auc([1, 1, 0, 0], [0.8, 0.3, 0.4, 0.1]) == pytest.approx(0.75)


def test_auc_of_one_class_is_not_a_number():
    assert np.isnan(auc([1, 1], [0.2, 0.4]))
