import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from ich_lib.measures.metrics import (
    Counts,
    auc,
    average_precision,
    bland_altman,
    calibration_error,
    count,
    dice,
    dice_per_subject,
    f1,
    iou,
    iou_of_dice,
    log_loss,
    mean_iou,
    npv,
    pixel_accuracy,
    ppv,
    precision,
    recall,
    reliability,
    sensitivity,
    specificity,
    volume_error_ml,
)
from ich_lib.measures.surface import hd95_mm, surface_dice

EMPTY, FULL = np.zeros((2, 3, 4), bool), np.ones((2, 3, 4), bool)
SPACING_MM = (5.0, 0.5, 0.4)
NAN = pytest.approx(float("nan"), nan_ok=True)


@pytest.fixture
def paper():
    """20 pixels: 4 of blood, 6 called, 3 shared."""
    truth, mask = np.zeros(20, bool), np.zeros(20, bool)
    truth[:4], mask[1:7] = True, True
    return truth, mask


def box(*corner, shape=(8, 8, 8), size=(1, 1, 1)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))] = True
    return mask


def test_dice_on_paper(paper):
    """2 * 3 / 10."""
    assert dice(*paper) == pytest.approx(0.6)
    assert dice(*paper) == pytest.approx(oracle.f1_score(*paper))


def test_every_share_on_paper(paper):
    assert count(*paper) == Counts(tp=3, fp=3, tn=13, fn=1)
    assert pixel_accuracy(*paper) == pytest.approx(16 / 20)
    assert precision(*paper) == pytest.approx(3 / 6)
    assert recall(*paper) == sensitivity(*paper) == pytest.approx(3 / 4)
    assert specificity(*paper) == pytest.approx(13 / 16)
    assert f1(*paper) == pytest.approx(2 * 0.5 * 0.75 / 1.25)
    assert iou(*paper) == pytest.approx(3 / 7)
    assert mean_iou(*paper) == pytest.approx((3 / 7 + 13 / 17) / 2)


def test_every_share_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth, mask = rng.random((3, 5, 7)) < 0.3, rng.random((3, 5, 7)) < 0.4
    t, m = truth.ravel(), mask.ravel()
    c = count(truth, mask)
    assert [c.tn, c.fp, c.fn, c.tp] == oracle.confusion_matrix(t, m).ravel().tolist()
    pairs = {
        pixel_accuracy: oracle.accuracy_score(t, m),
        precision: oracle.precision_score(t, m),
        recall: oracle.recall_score(t, m),
        specificity: oracle.recall_score(t, m, pos_label=0),
        f1: oracle.f1_score(t, m),
        iou: oracle.jaccard_score(t, m),
        mean_iou: oracle.jaccard_score(t, m, average="macro"),
    }
    assert {f.__name__: f(truth, mask) for f in pairs} == pytest.approx({f.__name__: v for f, v in pairs.items()})


@pytest.mark.parametrize(
    ("measure", "both_empty", "nothing_called", "nothing_there"),
    [
        (pixel_accuracy, 1, 0, 0),
        (precision, NAN, NAN, 0),
        (recall, NAN, 0, NAN),
        (sensitivity, NAN, 0, NAN),
        (specificity, 1, NAN, 0),
        (f1, 1, 0, 0),
        (dice, 1, 0, 0),
        (iou, 1, 0, 0),
        (mean_iou, 1, 0, 0),
        (lambda t, m: hd95_mm(t, m, SPACING_MM), 0, np.inf, np.inf),
        (lambda t, m: surface_dice(t, m, SPACING_MM, 2), 1, 0, 0),
        (lambda t, m: volume_error_ml(t, m, 0.5), 0, -12, 12),
    ],
)
def test_empty_masks_count_as_the_stated_policy_says(measure, both_empty, nothing_called, nothing_there):
    assert measure(EMPTY, EMPTY) == both_empty
    assert measure(FULL, EMPTY) == nothing_called
    assert measure(EMPTY, FULL) == nothing_there


def test_an_empty_mask_looks_good_to_accuracy_and_half_good_to_mean_iou():
    """One bleeding pixel of 100, and nothing is called: the published 99 % and 0.495 say nothing about bleeds."""
    truth = np.arange(100) == 7
    nothing = np.zeros(100, bool)
    assert pixel_accuracy(truth, nothing) == pytest.approx(0.99)
    assert mean_iou(truth, nothing) == pytest.approx(0.495)
    assert iou(truth, nothing) == dice(truth, nothing) == 0


def test_dice_and_iou_of_one_image_are_tied_so_a_published_pair_was_none():
    rng = np.random.default_rng(1)
    for share in (0.01, 0.2, 0.7):
        truth, mask = rng.random(200) < share, rng.random(200) < share
        assert iou(truth, mask) == pytest.approx(iou_of_dice(dice(truth, mask)))
    assert iou_of_dice(0.857) == pytest.approx(0.750, abs=0.001)
    assert abs(iou_of_dice(0.857) - 0.843) > 0.09


def test_means_over_images_leave_the_curve_upward_only():
    """Six correct answers and one with Dice 0: both means are 6 / 7. Dice 0.857 and IoU 0.857 are above the curve's
    0.75."""
    dices = np.array([1, 1, 1, 1, 1, 1, 0])
    ious = [iou_of_dice(d) for d in dices]
    assert np.mean(dices) == np.mean(ious) == pytest.approx(0.857, abs=0.001)
    assert np.mean(ious) > iou_of_dice(np.mean(dices)) + 0.1


def test_slices_without_blood_do_not_count_for_the_subject():
    """Two slices with blood score 1 and 0. A third, clean slice with a false alarm changes nothing."""
    truth = np.zeros((3, 2, 2), bool)
    mask = truth.copy()
    truth[0], mask[0], truth[1], mask[2] = True, True, True, True
    assert dice_per_subject(truth, mask) == pytest.approx(0.5)


def test_a_subject_without_blood_has_no_dice():
    assert dice_per_subject(np.zeros((2, 2, 2), bool), np.ones((2, 2, 2), bool)) is None


def test_ppv_falls_with_prevalence_as_bayes_says():
    """Of 1000 patients 100 bleed: 90 are called correctly, 90 wrongly. If 10 bleed: 9 and 99."""
    assert ppv(0.9, 0.9, 0.1) == pytest.approx(90 / 180)
    assert ppv(0.9, 0.9, 0.01) == pytest.approx(9 / 108)
    assert npv(0.9, 0.9, 0.1) == pytest.approx(810 / 820)
    assert npv(0.8, 0.6, 0.25) == pytest.approx(450 / 500)  # of 1000: 450 correctly sent on, 50 missed


def test_ppv_and_npv_at_the_samples_own_prevalence_are_those_of_the_sample(paper):
    truth, mask = paper
    settings = recall(*paper), specificity(*paper), truth.mean()
    assert ppv(*settings) == pytest.approx(precision(*paper))
    assert npv(*settings) == pytest.approx(precision(~truth, ~mask))


def test_ppv_of_a_test_that_calls_nobody_is_not_a_number():
    assert ppv(0, 1, 0.1) == NAN
    assert npv(1, 0, 0.1) == NAN


def test_auc_counts_the_pairs_in_right_order():
    """Positives .8 and .3 against negatives .4 and .1: 3 of 4 pairs."""
    assert auc([1, 1, 0, 0], [0.8, 0.3, 0.4, 0.1]) == pytest.approx(0.75)


def test_average_precision_on_paper():
    """Positives at ranks 1 and 3: the mean of 1/1 and 2/3."""
    assert average_precision([1, 1, 0, 0], [0.8, 0.3, 0.4, 0.1]) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("truth", [[1, 1], [0, 0]])
def test_auc_and_average_precision_of_one_class_are_not_numbers(truth):
    assert auc(truth, [0.2, 0.4]) == NAN
    assert average_precision(truth, [0.2, 0.4]) == NAN


@pytest.mark.parametrize("digits", [1, 6])
def test_average_precision_and_log_loss_are_those_of_scikit_learn(digits):
    """With one digit many scores tie."""
    from sklearn import metrics

    rng = np.random.default_rng(digits)
    truth, score = rng.random(200) < 0.3, rng.random(200).round(digits)
    assert average_precision(truth, score) == pytest.approx(metrics.average_precision_score(truth, score), abs=1e-12)
    assert log_loss(truth, score) == pytest.approx(metrics.log_loss(truth, score), abs=1e-12)
    assert log_loss(truth, truth.astype(int)) == pytest.approx(0, abs=1e-12)


def test_log_loss_on_paper_and_of_one_class():
    assert log_loss([1, 0], [0.5, 0.75]) == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert log_loss([1, 1], [0.5, 0.25]) == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert log_loss([1], [0.0]) == pytest.approx(36.04, abs=0.01)


def test_calibration_on_paper():
    """A score of 0.2 for ten cases, 2 of them positive: no gap. A score of 0.9 for thirty, 18 positive: a gap of
    0.3, with three quarters of the weight."""
    truth = np.r_[np.arange(10) < 2, np.arange(30) < 18]
    score = np.repeat([0.2, 0.9], [10, 30])
    rows = reliability(truth, score, bins=4)
    assert [row.n for row in rows] == [10, 0, 0, 30]
    assert (rows[3].low, rows[3].high, rows[3].score, rows[3].share) == pytest.approx((0.75, 1, 0.9, 0.6))
    assert rows[1].share == NAN
    assert calibration_error(truth, score, bins=4) == pytest.approx(0.225)


def test_a_score_on_an_edge_belongs_to_the_bin_below_and_0_and_1_are_not_lost():
    assert [row.n for row in reliability([0, 0, 1, 1], [0.0, 0.25, 0.5, 1.0], bins=4)] == [2, 1, 0, 1]


def test_reliability_agrees_with_scikit_learn():
    rng = np.random.default_rng(6)
    score = rng.random(300)
    truth = rng.random(300) < score**2
    rows = [row for row in reliability(truth, score, bins=7) if row.n]
    share, message = calibration_curve(truth, score, n_bins=7)
    np.testing.assert_allclose([row.share for row in rows], share)
    np.testing.assert_allclose([row.score for row in rows], message)


@pytest.mark.parametrize(("axis", "moved_mm"), list(enumerate(SPACING_MM)))
def test_a_voxel_moved_by_one_is_as_far_as_the_spacing_of_that_axis(axis, moved_mm):
    """Half of its corners are on the other surface, so half of the surface is within 0 mm."""
    position = box(3, 3, 3)
    forward = np.roll(position, 1, axis)
    assert hd95_mm(position, forward, SPACING_MM) == pytest.approx(moved_mm)
    assert surface_dice(position, forward, SPACING_MM, 0) == pytest.approx(0.5)
    assert surface_dice(position, forward, SPACING_MM, moved_mm - 0.01) == pytest.approx(0.5)
    assert surface_dice(position, forward, SPACING_MM, moved_mm) == 1


def test_a_tolerance_that_is_a_whole_number_of_voxels_takes_them_in():
    """Three voxels of 0.4 mm are 1.2 mm, but 1.2000000000000002 in binary fractions."""
    position = box(3, 3, 1)
    assert surface_dice(position, np.roll(position, 3, 2), SPACING_MM, 1.2) == 1


def test_surface_counts_by_its_area():
    """One voxel against two stacked voxels: they differ only at the upper end, which is 5 mm away.

    Ends are 0.5 x 0.4 = 0.2 mm2; the sides of one voxel are 2 x 5 x (0.5 + 0.4) = 9, half of that for its upper
    corners.
    """
    first, second = box(2, 3, 3), box(2, 3, 3, size=(2, 1, 1))
    off, total = 0.2 + 9 / 2, (2 * 0.2 + 9) + (2 * 0.2 + 2 * 9)
    assert surface_dice(first, second, SPACING_MM, 0) == pytest.approx(1 - off / total)
    assert surface_dice(second, first, SPACING_MM, 4.9) == pytest.approx(1 - off / total)
    assert surface_dice(first, second, SPACING_MM, 5) == 1


def test_uneven_slices_lie_as_far_apart_as_their_slabs():
    """Flat squares in slices 1 and 3 of slabs of 5, 7.5, 7.5 and 5 mm extend from 0 to 5 and from 12.5 to 20 mm."""
    slabs_mm = np.array([5, 7.5, 7.5, 5])
    a, b = np.zeros((2, 4, 6, 6), bool)
    a[0, 2:4, 2:4] = b[2, 2:4, 2:4] = True
    assert hd95_mm(a, b, (slabs_mm, 0.5, 0.4)) == pytest.approx(20 - 5)
    fine = np.repeat(np.arange(4), [2, 3, 3, 2])
    assert hd95_mm(a[fine], b[fine], (2.5, 0.5, 0.4)) == pytest.approx(15)


def test_slabs_that_are_all_alike_are_a_spacing():
    rng = np.random.default_rng(5)
    a, b = rng.random((2, 5, 8, 7)) > 0.7
    even, alike = (5, 0.5, 0.4), (np.full(5, 5.0), 0.5, 0.4)
    nearly = (np.array([5, 5, 5, 5, 5 + 1e-9]), 0.5, 0.4)  # by another method: a tree of corners
    for measure in (hd95_mm, lambda *args: surface_dice(*args, 1.0)):
        assert measure(a, b, even) == measure(a, b, alike) == pytest.approx(measure(a, b, nearly))


def test_area_of_uneven_slabs_is_that_of_the_same_body_in_thin_slices():
    """A column through all slices. Its sides have the weight of their slabs, so a quarter of the surface is in the
    last slab."""
    slabs_mm = np.array([2.0, 4, 2])
    a, b = np.zeros((2, 3, 6, 6), bool)
    a[:, 1:5, 1:5] = b[:, 1:5, 1:5] = True
    b[2] = False
    fine = np.repeat(np.arange(3), [2, 4, 2])
    coarse = surface_dice(a, b, (slabs_mm, 1, 1), 0.5)
    assert coarse == pytest.approx(surface_dice(a[fine], b[fine], (1, 1, 1), 0.5), abs=0.1)
    assert coarse > surface_dice(a, b, (2, 1, 1), 0.5)


def test_a_speck_of_less_than_5_percent_of_the_contour_does_not_move_hd95_but_two_do():
    """A square with a contour of 80 px, and specks of 4 px ten columns away: 4 / 84 is less than 5 %, 8 / 88 is
    more."""
    square = box(2, 2, shape=(30, 40), size=(20, 20))
    one_speck = square | box(5, 32, shape=square.shape, size=(1, 1))
    two_specks = one_speck | box(15, 32, shape=square.shape, size=(1, 1))
    assert hd95_mm(square, one_speck, (1, 1)) == 0
    assert hd95_mm(square, two_specks, (1, 1)) == hd95_mm(two_specks, square, (1, 1)) == 10


def corners_and_areas(mask, spacing):
    """Every corner of every face between inside and outside, by hand, with a quarter of the face's area."""
    areas = {}
    for voxel in np.argwhere(mask):
        for axis, side in itertools.product(range(3), (0, 1)):
            beyond = voxel.copy()
            beyond[axis] += 2 * side - 1
            inside = (beyond >= 0).all() and (beyond < mask.shape).all() and mask[tuple(beyond)]
            others = [a for a in range(3) if a != axis]
            for steps in itertools.product((0, 1), repeat=0 if inside else 2):
                corner = voxel.copy()
                corner[axis] += side
                if not inside:
                    corner[others] += steps
                    area = spacing[others[0]] * spacing[others[1]] / 4
                    areas[tuple(corner)] = areas.get(tuple(corner), 0) + area
    return np.array(list(areas)) * spacing, np.array(list(areas.values()))


def test_surface_measures_agree_with_all_pairs_of_corners():
    """An independent result without distance transforms, on ragged masks that touch the edge of the picture."""
    rng, spacing = np.random.default_rng(8), np.array(SPACING_MM)
    for share in (0.02, 0.3):
        masks = [rng.random((5, 9, 11)) < share for _ in range(2)]
        (a, a_area), (b, b_area) = (corners_and_areas(mask, spacing) for mask in masks)
        pairs = cdist(a, b)
        forward, back = pairs.min(axis=1), pairs.min(axis=0)
        near = a_area[forward <= 0.7].sum() + b_area[back <= 0.7].sum()
        assert surface_dice(*masks, SPACING_MM, 0.7) == pytest.approx(near / (a_area.sum() + b_area.sum()))
        reach = hd95_mm(*masks, SPACING_MM)
        within = [area[far <= reach + 1e-9].sum() / area.sum() for far, area in ((forward, a_area), (back, b_area))]
        short = [area[far < reach - 1e-9].sum() / area.sum() for far, area in ((forward, a_area), (back, b_area))]
        assert min(within) >= 0.95 > min(short)


def test_surface_measures_do_not_care_which_mask_is_which_or_how_axes_are_ordered():
    rng = np.random.default_rng(9)
    truth, mask = rng.random((2, 4, 6, 8)) < 0.2
    turned = [np.transpose(group, (2, 0, 1)) for group in (truth, mask)]
    spacing = tuple(SPACING_MM[i] for i in (2, 0, 1))
    for measure in (hd95_mm, lambda *args: surface_dice(*args, 0.5)):
        assert measure(truth, mask, SPACING_MM) == pytest.approx(measure(mask, truth, SPACING_MM))
        assert measure(truth, mask, SPACING_MM) == pytest.approx(measure(*turned, spacing))


def test_volume_error_is_positive_where_too_much_is_called(paper):
    """6 called against 4 of 0.001 mL."""
    assert volume_error_ml(*paper, 0.001) == pytest.approx(0.002)
    assert volume_error_ml(*paper[::-1], 0.001) == pytest.approx(-0.002)


def test_bland_altman_reproduces_the_paper_it_was_proposed_in():
    """Peak flow by two meters: mean difference -2.1, SD 38.8. The published limits use 2 SD; here 1.96 SD."""
    large = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    small = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    output = bland_altman(small, large)
    assert output.bias_ml == pytest.approx(-2.1, abs=0.05)
    assert (output.high_ml - output.low_ml) / 2 == pytest.approx(1.96 * 38.8, abs=0.1)
    assert (output.high_ml + output.low_ml) / 2 == pytest.approx(output.bias_ml)
    assert output.n == 17


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dice(EMPTY, EMPTY[0]), r"\(2, 3, 4\), the mask \(3, 4\)"),
        (lambda: dice(EMPTY, EMPTY + 0.4), "Turn scores into decisions first"),
        (lambda: count([], []), "not empty"),
        (lambda: ppv(0.9, 0.9, 10), "within 0 and 1"),
        (lambda: iou_of_dice(85.7), "within 0 and 1"),
        (lambda: log_loss([1, 0], [0.2, 1.2]), "within 0 and 1"),
        (lambda: log_loss([1, 0], [0.2, float("nan")]), "within 0 and 1"),
        (lambda: reliability([1, 0], [0.2]), "two equal lists"),
        (lambda: reliability([1, 0], [0.2, 0.3], bins=0), "at least 1"),
        (lambda: hd95_mm(FULL, FULL, (5, 0.5)), "one positive spacing per axis"),
        (lambda: hd95_mm(FULL, FULL, (5, 0.5, 0)), "one positive spacing per axis"),
        (lambda: surface_dice(FULL, FULL, SPACING_MM, -1), "must not be negative"),
        (lambda: volume_error_ml(FULL, FULL, 0), "must be positive"),
        (lambda: bland_altman([1], [2]), "at least 2"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
