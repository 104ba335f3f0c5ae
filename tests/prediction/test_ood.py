from dataclasses import replace

import numpy as np
import pytest

from ich_lib.data.store import build_store
from ich_lib.evaluation.ood_limits import feature_model, fit_ood
from ich_lib.models.recipe import Recipe
from ich_lib.prediction.analyze import analyze, features
from ich_lib.prediction.engine import Model, ModelOutput, Models, load
from ich_lib.prediction.export import export
from ich_lib.prediction.ood import (
    SLICE_COUNTS,
    OodDetector,
    OodScore,
    detector_from_json,
    fit_features,
    fit_limits,
    scan_distance,
)
from ich_lib.scan import Scan, axial_affine
from tests.planted import table_of_heads, untrained_run


def test_distances_on_paper():
    """Two features with standard deviations 1 and 2 and no correlation: (3, 0) is 3 away and (0, 8) is 4, over root
    2."""
    detector = OodDetector(np.zeros((1, 2)), np.diag([1, 1 / 2]), {1: 2.0})
    assert detector.distances([[3, 0], [0, 8], [0, 0]]) == pytest.approx(np.array([3, 4, 0]) / np.sqrt(2))
    assert detector.score([[3, 0], [0, 8]]).value == pytest.approx(np.sqrt((9 + 16) / 2 / 2))


def test_the_nearest_center_counts():
    detector = OodDetector(np.array([[0.0, 0], [10, 0]]), np.eye(2), {1: 2.0})
    assert detector.distances([[1, 0], [9, 0], [5, 0]]) == pytest.approx(np.array([1, 1, 5]) / np.sqrt(2))


def test_fitted_distances_are_those_of_chi_square():
    """Correlated features of known covariance: the squared distance times k has mean k and variance 2 k."""
    rng, k = np.random.default_rng(0), 6
    mix = rng.normal(0, 1, (k, k)) + 3 * np.eye(k)
    draw = lambda n, at: rng.normal(0, 1, (n, k)) @ mix.T + at  # noqa: E731
    centers, whitening = fit_features([draw(4000, 0.0), draw(4000, 50.0)])
    assert centers == pytest.approx(np.repeat([[0.0], [50]], k, axis=1), abs=0.3)
    squared = OodDetector(centers, whitening, {1: 1.0}).distances(draw(8000, 50.0)) ** 2 * k
    assert squared.mean() == pytest.approx(k, rel=0.05)
    assert squared.var() == pytest.approx(2 * k, rel=0.1)
    assert np.quantile(squared, 0.95) == pytest.approx(12.592, rel=0.04)  # a table's chi-square of 6


def test_fewer_slices_than_features_still_give_a_distance():
    _, whitening = fit_features([np.random.default_rng(0).normal(0, 1, (12, 40))])
    assert np.isfinite(whitening).all()
    with pytest.raises(ValueError, match="two slices or more"):
        fit_features([np.zeros((1, 3))])


def test_limits_are_quantiles_of_runs_of_slices_on_paper():
    """Single slices have 0, 3, 4, 0, and the highest is 4; neighbors have root (9 + 16) / 2; whole scans the same."""
    result = fit_limits([np.array([0.0, 3, 4]), np.array([0.0, 0, 0])], quantile=1)
    assert result == pytest.approx({1: 4, 2: np.sqrt(25 / 2), 3: np.sqrt(25 / 3)})
    assert set(fit_limits([np.ones(40)])) == {*SLICE_COUNTS, 40}
    with pytest.raises(ValueError, match="held out; there are none"):
        fit_limits([])


def test_a_scan_is_held_to_the_limit_of_its_number_of_slices():
    detector = OodDetector(np.zeros((1, 1)), np.eye(1), {1: 5.0, 4: 2.0})
    assert not detector.score([[3.0]]).is_ood
    assert not detector.score([[3.0]] * 3).is_ood
    assert detector.score([[3.0]] * 4).is_ood
    assert OodScore(float("nan"), 1.0, 0.95).is_ood


def test_statistics_survive_a_card_and_stay_small():
    import json

    rng = np.random.default_rng(1)
    detector = OodDetector(
        *fit_features([rng.normal(0, 1, (900, 256)), rng.normal(3, 1, (900, 256))]), {1: 1.5, 8: 1.25}, 0.9
    )
    text = json.dumps(detector.as_json())
    assert len(text) < 100_000
    repeat, group = detector_from_json(json.loads(text)), rng.normal(0, 2, (5, 256))
    assert (repeat.limits, repeat.quantile) == (detector.limits, 0.9)
    assert repeat.distances(group) == pytest.approx(detector.distances(group), rel=2e-3)


RECIPE = Recipe("r", "classify", "densenet_bc", size=32, field="slice", neighbors=0)


TINY = Recipe("tiny", "both", "unet2d", {"filters": (4, 8)}, size=32, stored=64, phantoms=2)


def ood_models(usual, tells=True):
    """Models whose two features of a slice are the mean of its first window, and the share of white pixels."""

    def answer(pictures):
        view = pictures[..., 0]
        output = np.stack([view.mean(axis=(1, 2)), (view > 0.9).mean(axis=(1, 2))], axis=1)
        return ModelOutput(None, np.full((len(pictures), 6), 0.5), features=output if tells else None)

    return Models(None, Model("r", RECIPE, "0" * 64, answer, {"usual": usual and usual.as_json()}))


def plain(hu, slices=3):
    """With unknown HU, so that its anatomy is not measured."""
    shape = (slices, 32, 32)
    return Scan(np.full(shape, hu, np.float32), axial_affine((5, 1, 1), shape), hu_known=False)


def test_a_planted_outlier_is_told_and_a_usual_scan_is_not():
    """Gray of 40 HU is (40 + 20) / 120 of the brain render: in distribution. White bone is half a window away."""
    detector = OodDetector(np.array([[0.5, 0.0]]), np.diag([20.0, 20.0]), {1: 1.0})
    fine, white = (analyze(plain(hu), ood_models(detector)) for hu in (42.0, 400.0))
    assert not fine.ood.is_ood
    assert fine.warnings == ()
    assert white.ood.value == pytest.approx(np.sqrt((10**2 + 20**2) / 2), rel=0.01)
    assert "differs too much from a CT slice" in white.warnings[0]
    assert "Give the original CT" in white.warnings[0]


@pytest.mark.parametrize(
    ("usual", "tells"), [(None, True), (OodDetector(np.zeros((1, 2)), np.eye(2), {1: 1.0}), False)]
)
def test_without_statistics_or_features_there_is_no_gate(usual, tells):
    result = analyze(plain(40), ood_models(usual, tells))
    assert result.ood is None
    assert result.warnings == ()


@pytest.fixture(scope="module")
def table():
    return table_of_heads(heads=6, slices=4, side=64)


@pytest.fixture(scope="module")
def folds(table, tmp_path_factory):
    """A tiny fold and a run on all patients, of synthetic heads and phantoms."""
    folder, dealt = tmp_path_factory.mktemp("folds"), {f"p{i}": i % 2 for i in range(6)}
    for name, held_out in (("fold-0", 0), ("fold-none", None)):
        untrained_run(folder / name, TINY, dealt, held_out)
    build_store(table, folder / "whole.slices", size=64, field="slice")
    return folder


def test_a_card_learns_what_is_usual_and_the_served_model_warns(folds, tmp_path):
    """With the function of the command: features of the file equal those of Keras, and noise is out of distribution."""
    run = folds / "fold-none"
    detector = fit_ood(run, folds / "whole.slices", folds, phantoms=1)
    assert detector.centers.shape == (2, 8)  # heads and phantoms
    export(run, tmp_path, ood=detector)
    served = load(tmp_path, fill=False)
    pictures = np.random.default_rng(2).random((3, 32, 32, 6), np.float32)
    net = feature_model(run)
    assert served.classifier.run(pictures).features == pytest.approx(net.run(pictures).features, abs=1e-4)
    assert served.ood_detector.limits == pytest.approx(detector.limits, abs=1e-3)
    noise = Scan(np.random.default_rng(0).normal(0, 900, (4, 64, 64)).astype(np.float32), plain(0).affine)
    result = analyze(noise, served)
    expected = detector.score(features(noise.hu, net)).value
    assert result.ood.value == pytest.approx(expected, rel=0.02)
    assert result.ood.is_ood


def test_statistics_of_other_data_or_without_folds_are_refused(folds, tmp_path):
    full = folds / "whole.slices"
    with pytest.raises(FileNotFoundError, match="holds no runs fold-0"):
        fit_ood(folds / "fold-none", full, tmp_path)
    with pytest.raises(ValueError, match="was trained on none of the patients of planted"):
        fit_ood(untrained_run(tmp_path / "other", TINY, {"q": 1}, 0).folder, full, folds, phantoms=0)
    with pytest.raises(ValueError, match="tiny pools no features"):
        feature_model(untrained_run(tmp_path / "masks", replace(TINY, task="segment"), {"q": 1}, 0).folder)


def test_one_number_is_the_root_mean_square():
    assert scan_distance(np.array([3.0, 4.0])) == pytest.approx(np.sqrt(12.5))
