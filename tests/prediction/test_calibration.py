import numpy as np
import pytest

from ich_lib.labels import ANY
from ich_lib.measures.metrics import auc, calibration_error
from ich_lib.prediction.calibration import Calibration, Evidence, calibration_from_json, fit_calibration, peak_evidence


def test_the_scans_score_is_the_highest_mean_of_two_neighbors():
    scores = np.array([[0.9], [0.1], [0.4], [0.8]], np.float32)
    assert peak_evidence(scores) == pytest.approx([0.6])
    assert peak_evidence(scores[:1]) == pytest.approx([0.9])


def test_plain_scores_on_paper():
    """The mask alone gives a score for `any` and for no type. With a classifier the two are averaged."""
    mask, classes = np.array([0.2, 0.6]), np.full((2, 6), 0.4)
    single = Evidence(mask, None).plain()
    assert single[:, ANY] == pytest.approx([0.2, 0.6])
    assert not single[:, :ANY].any()
    combined = Evidence(mask, classes).plain()
    assert combined[:, ANY] == pytest.approx([0.3, 0.5])
    assert combined[:, :ANY] == pytest.approx(np.full((2, 5), 0.4))
    assert Evidence(None, classes).plain() == pytest.approx(classes)
    with pytest.raises(ValueError, match="without a mask and without classes"):
        Evidence(None, None).plain()


def test_evidence_is_logits_of_own_mask_neighbors_and_classifier():
    """The logits of 1/2, 10/11 and 1/11 are 0, ln 10 and -ln 10. At the ends the slice itself replaces its missing
    neighbor."""
    ten = np.log(10)
    result = Evidence(np.array([1 / 2, 10 / 11, 1 / 11]), np.full((3, 6), 10 / 11)).of(ANY)
    assert result == pytest.approx(np.array([[0, ten / 2, ten], [ten, -ten / 2, ten], [-ten, 0, ten]]))


def test_weights_turn_logits_into_probabilities_on_paper():
    """Twice the classifier's logit plus ln 2: a score of 1/2 becomes 2/3, and 2/3 becomes 8/9.

    For the scan the strongest pair of slices counts, the last two: logits ln 2 and ln 8 have the mean ln 4, so 4/5.
    """
    calibration = Calibration(np.tile([2.0, np.log(2)], (6, 1)), np.tile([1.0, 0.0], (6, 1)))
    evidence = Evidence(None, np.array([[1 / 2] * 6, [2 / 3] * 6, [8 / 9] * 6]))
    assert calibration.slice_scores(evidence)[:2] == pytest.approx(np.array([[2 / 3] * 6, [8 / 9] * 6]), abs=1e-6)
    assert calibration.scan_scores(evidence) == pytest.approx(np.full(6, 4 / 5), abs=1e-6)


def test_a_calibration_survives_its_json_and_refuses_evidence_of_another_kind():
    calibration = Calibration(np.ones((6, 4)), np.ones((6, 4)))
    repeat = calibration_from_json(calibration.as_json())
    assert np.array_equal(repeat.slices, calibration.slices)
    assert np.array_equal(repeat.scans, calibration.scans)
    with pytest.raises(ValueError, match=r"takes 3 kinds of evidence; there are 1. It belongs to other models"):
        calibration.slice_scores(Evidence(None, np.full((2, 6), 0.5)))


def overconfident(scans=400, slices=12, seed=0):
    """Scans with overconfident networks: one slice in ten bleeds, and the logits of the scores are tripled and
    shifted up."""
    rng = np.random.default_rng(seed)
    evidence, labels = [], []
    for _ in range(scans):
        truth = rng.random(slices) < 0.1
        # a calibrated network would give the sigmoid of it
        logit = np.where(truth, 0.7, -3.7) + rng.normal(0, 1.5, slices)
        output = 1 / (1 + np.exp(-(3 * logit + 9)))
        view = np.zeros((slices, 6), bool)
        view[:, [0, ANY]] = truth[:, None]
        evidence.append(Evidence(output, np.repeat(output[:, None], 6, axis=1)))
        labels.append(view)
    return evidence, labels


def test_overconfidence_is_found_and_mended_on_scans_not_fitted():
    evidence, labels = overconfident()
    calibration = fit_calibration(evidence[:200], labels[:200])
    truth = np.concatenate([item[:, ANY] for item in labels[200:]])
    before = np.concatenate([item.plain()[:, ANY] for item in evidence[200:]])
    after = np.concatenate([calibration.slice_scores(item)[:, ANY] for item in evidence[200:]])
    assert calibration_error(truth, before) > 0.1
    assert calibration_error(truth, after) < 0.03
    assert auc(truth, after) > auc(truth, before) - 0.01
    scans = np.array([calibration.scan_scores(item)[ANY] for item in evidence[200:]])
    assert calibration_error(np.array([item[:, ANY].any() for item in labels[200:]]), scans) < 0.15


def test_more_evidence_never_speaks_against_blood():
    """A classifier that always contradicts the truth gets weight 0, not a negative weight."""
    evidence, labels = overconfident(100)
    wrong = [Evidence(item.mask, 1 - item.classes) for item in evidence]
    calibration = fit_calibration(wrong, labels)
    assert calibration.slices[:, :-1].min() >= 0
    assert calibration.slices[ANY, 2] == 0
    assert calibration.slices[ANY, 0] > 0


def test_a_label_that_nobody_shows_stays_rare():
    """Of 1,200 slices none is subdural. So no slice is called subdural, however high its score is."""
    evidence, labels = overconfident(100)
    subdural = 4
    calibration = fit_calibration(evidence, labels)
    scores = np.concatenate([calibration.slice_scores(item)[:, subdural] for item in evidence])
    assert np.isfinite(scores).all()
    assert np.median(scores) < 0.01
