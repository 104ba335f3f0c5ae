import json
import os
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.__main__ import main
from ich_lib.data.store import build_store
from ich_lib.labels import ANY, LABELS
from ich_lib.measures.metrics import auc
from ich_lib.models import classical
from ich_lib.models.builders import build, list_models
from ich_lib.models.classical import (
    FEATURES,
    FEWEST_SLICES,
    MODELS,
    FeatureTable,
    build_estimator,
    features,
    fit_classifiers,
    load_features,
)
from ich_lib.models.pictures import stack_channels
from ich_lib.models.recipes import get_recipe
from ich_lib.models.run import open_run
from ich_lib.prediction.engine import load
from ich_lib.prediction.export import export
from ich_lib.training.batches import Slices, ValidationBatches
from ich_lib.training.crossval import reduce_budget
from ich_lib.training.train import train
from tests.planted import table_of_heads

INSIDE = 78 * 78  # a skull with an inside of 80 x 80 px, minus its rim of one pixel


def square_skull(*blood, hu=70.0, brain=30.0, skull=True):
    """(1, 128, 128, 2) picture of a square skull around flat brain, with pieces of blood at (y, x, height, width)."""
    plane = np.full((128, 128), -1000, np.float32)
    plane[16:112, 16:112] = 900 if skull else -1000
    plane[24:104, 24:104] = brain
    for y, x, height, width in blood:
        plane[y : y + height, x : x + width] = hu
    return stack_channels([plane], classical.FEATURE_WINDOWS)[None]


def measure(picture):
    return dict(zip(FEATURES, features(picture)[0].tolist(), strict=True))


def test_every_feature_has_a_name_of_its_own():
    assert len(set(FEATURES)) == len(FEATURES) == features(square_skull()).shape[1]
    assert features(np.zeros((0, 8, 8, 2), np.float32)).shape == (0, len(FEATURES))


def test_a_square_of_blood_has_its_share_and_its_side():
    """10 x 10 px on the picture's left, which is the patient's right, so there is less blood on the left."""
    result = measure(square_skull((50, 30, 10, 10)))
    share = 100 / INSIDE
    assert result["share of picture inside skull"] == pytest.approx(INSIDE / 128**2)
    assert result["share 50 to 90 HU"] == result["share 65 to 75 HU"] == pytest.approx(share)
    assert result["share 25 to 35 HU"] == pytest.approx(1 - share)
    assert result["share 50 to 90 HU, left less right"] == pytest.approx(-share)
    assert result["mean HU"] == pytest.approx(30 + 40 * share, abs=1e-3)
    assert result["mean HU, left less right"] == pytest.approx(-40 * 2 * share, abs=1e-3)
    assert result["difference to mirror image HU"] == pytest.approx(40 * 2 * share, abs=1e-3)


def test_a_mirrored_slice_changes_its_sides_and_nothing_else():
    picture = square_skull((50, 30, 10, 10))
    item, other = measure(picture), measure(np.flip(picture, 2))
    signed = {name for name in FEATURES if "left less right" in name}
    assert all(item[name] == pytest.approx(-other[name], abs=1e-4) and item[name] < 0 for name in signed)
    assert all(item[name] == pytest.approx(other[name], abs=1e-4) for name in set(FEATURES) - signed)


def test_the_largest_piece_is_measured_and_the_smaller_one_counted():
    """Smoothing removes the four corners of a square: 12 * 12 - 4. Its middle is 20 px left of the skull's and 8 px
    behind it, measured in radii of a disk with the area of the inside."""
    result = measure(square_skull((66, 38, 12, 12), (40, 80, 6, 6)))
    radius = (INSIDE / np.pi) ** 0.5
    assert result["pieces"] == 2
    assert result["piece size"] == pytest.approx(140 / INSIDE)
    assert result["piece mean HU"] == pytest.approx(70, abs=1e-3)
    assert result["piece off midline"] == pytest.approx(20 / radius, rel=1e-3)
    assert result["piece behind center"] == pytest.approx(8 / radius, rel=1e-3)
    assert result["piece share at skull"] == 0
    assert result["share 50 to 90 HU near skull"] == 0
    assert result["piece solidity"] == 1


def test_a_rim_of_blood_lies_at_the_skull_and_is_no_disk():
    """4 px deep along one whole side. The first pixel is under the rim that is not measured, so the depths are 1, 2
    and 3 px."""
    rim, square = measure(square_skull((24, 24, 80, 4))), measure(square_skull((56, 56, 16, 16)))
    assert rim["piece distance to skull"] == pytest.approx(2 / (INSIDE / np.pi) ** 0.5, rel=0.1)
    assert rim["share 50 to 90 HU near skull"] == rim["share 50 to 90 HU"] > 0
    assert square["share 50 to 90 HU deep inside"] > 0
    assert rim["piece compactness"] < 0.3 < 0.7 < square["piece compactness"] < 1


def test_a_flat_brain_has_no_piece_and_no_grain():
    result = measure(square_skull())
    assert not any(value for name, value in result.items() if name.startswith(("piece", "share 50")))
    assert result["grain HU"] == pytest.approx(0, abs=1e-4)
    assert result["skewness"] == pytest.approx(0, abs=1e-3)


def test_an_open_skull_is_measured_within_the_hull_of_its_bone_and_air_is_zeros():
    open_base = square_skull((56, 56, 10, 10))
    open_base[:, 90:112, 24:104] = square_skull(skull=False)[:, :1, :1]  # air in place of the lower bone
    result = measure(open_base)
    assert result["skull is closed"] == 0
    assert result["share 50 to 90 HU"] > 0
    assert not features(square_skull(brain=-1000, skull=False)).any()


def test_pictures_through_other_windows_are_refused():
    with pytest.raises(ValueError, match=r"through brain render and bone; got \(1, 8, 8, 3\)"):
        features(np.zeros((1, 8, 8, 3), np.float32))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """20 heads of 6 slices; every second one bleeds in two of them."""
    return build_store(table_of_heads(20), tmp_path_factory.mktemp("store") / "heads.slices", size=160)


def small(model):
    return replace(get_recipe(f"classical-{model}"), stored=160)


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {name: train(small(name), store, folder / name) for name in MODELS}


def scores_and_truth(model, store):
    """(n, 6) scores of all slices and their truth."""
    still = ValidationBatches(Slices(store, np.arange(len(store))), model.recipe)
    scores = np.concatenate([model.run(still[i][0]).scores for i in range(len(still))])
    return scores, store.table.labels


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_planted_bleeds_and_opens_to_equal_scores(name, runs, store):
    run = open_run(runs[name].folder)
    first, repeat = (load(run.folder, fill=False).classifier for _ in range(2))
    scores, truth = scores_and_truth(first, store)
    assert scores.shape == (120, 6)
    assert scores.dtype == np.float32
    assert 0 <= scores.min() <= scores.max() <= 1
    unseen = np.isin(store.table.patient, run.patients(trained=False))
    for side in (unseen, ~unseen):
        assert auc(truth[side, ANY], scores[side, ANY]) > 0.9
    # With a tolerance: the last bits of OpenCV depend on the position of a picture in memory.
    assert scores_and_truth(repeat, store)[0] == pytest.approx(scores, rel=1e-3, abs=1e-6)
    assert first.run(np.zeros((1, 128, 128, 2), np.float32)).blood is None


def test_a_run_keeps_its_features_and_one_line_of_history(runs):
    run = runs["lda"]
    assert sorted(p.name for p in run.folder.iterdir()) == ["features.npz", "folds.json", "history.csv", "recipe.json"]
    assert run.weights == run.folder / "features.npz"
    (only,) = run.history()
    assert 0 < only.loss < 0.7
    assert 0 < only.val_loss < 0.7
    assert run.minutes >= 0


def test_only_the_training_side_is_kept_and_nothing_is_pickled(runs):
    run = runs["lda"]
    with np.load(run.weights, allow_pickle=False) as remaining:
        assert {name: remaining[name].dtype.kind for name in remaining} == {
            "columns": "f",
            "labels": "b",
            "slices": "U",
            "features": "U",
        }
    remaining = load_features(run.weights)
    assert remaining.columns.shape == (len(remaining.slices), len(FEATURES))
    assert {name.split("/")[0] for name in remaining.slices} == set(run.patients(trained=True))
    assert not [p for p in run.folder.iterdir() if p.suffix in (".pkl", ".joblib", ".pickle")]


def test_a_balanced_run_takes_as_many_clean_slices_from_the_training_side(store, tmp_path):
    run = train(replace(small("lda"), sampling="balanced"), store, tmp_path / "run")
    remaining = load_features(run.weights)
    assert 2 * remaining.labels[:, ANY].sum() == len(remaining.labels) == len(set(remaining.slices))
    assert {name.split("/")[0] for name in remaining.slices} <= set(run.patients(trained=True))


def test_a_finished_run_resumes_to_itself_and_a_stopped_one_to_an_unbroken_one(runs, store, tmp_path):
    run = runs["lda"]
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    train(small("lda"), store, run.folder, resume=True)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    for name in ("recipe.json", "folds.json"):
        (tmp_path / name).write_bytes(before[name])
    with pytest.raises(FileNotFoundError, match=r"has no features.npz: the run did not end"):
        open_run(tmp_path).model()
    repeat, first = (
        load_features(path) for path in (train(small("lda"), store, tmp_path, resume=True).weights, run.weights)
    )
    assert repeat.columns == pytest.approx(first.columns, rel=1e-5, abs=1e-6)
    assert np.array_equal(repeat.labels, first.labels)
    assert np.array_equal(repeat.slices, first.slices)


def training_table(shown):
    """`shown` of 40 slices show every label, and a feature tells which slices."""
    labels = np.zeros((40, len(LABELS)), bool)
    labels[:shown] = True
    columns = np.random.default_rng(0).normal(size=(40, len(FEATURES))).astype(np.float32)
    columns[:, 0] += 3 * labels[:, 0]
    return FeatureTable(columns, labels, np.arange(40).astype(str))


@pytest.mark.parametrize("name", MODELS)
def test_a_label_that_nobody_or_everybody_shows_gets_its_share(name):
    for view in (0, FEWEST_SLICES - 1, 40):
        scores = fit_classifiers(training_table(view), get_recipe(f"classical-{name}"))(
            np.zeros((3, len(FEATURES)), np.float32)
        )
        assert scores == pytest.approx(np.full((3, 6), (view + 0.5) / 41))
    few = training_table(FEWEST_SLICES)
    scores = fit_classifiers(few, get_recipe(f"classical-{name}"))(few.columns)
    assert np.isfinite(scores).all()
    assert auc(few.labels[:, 0], scores[:, 0]) > 0.7


def test_features_of_another_version_are_refused(tmp_path):
    np.savez(tmp_path / "features.npz", features=np.array(["hue"]), columns=0, labels=0, slices=0)
    with pytest.raises(ValueError, match="holds other features than this version measures"):
        load_features(tmp_path / "features.npz")


def test_a_pickle_in_the_place_of_features_is_never_opened(tmp_path):
    """A name that would make a folder if it were used as a path."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.savez(tmp_path / "features.npz", features=np.array([Trap()], object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_features(tmp_path / "features.npz")
    assert not (tmp_path / "sprung").exists()


def test_what_cannot_be_fitted_is_told_before_a_run_is_begun(store, runs, tmp_path):
    wrong = {
        "No classical model is called 'tree'; choose from logistic, lda": {"options": {"model": "tree"}},
        "must show one slice through brain render and bone": {"neighbors": 1},
        "classifies by 6-node or binary": {"scheme": "7-class", "loss": "cce"},
        "is fitted on one natural or balanced pass": {"epochs": 2},
    }
    for sentence, settings in wrong.items():
        with pytest.raises(ValueError, match=sentence):
            train(replace(small("lda"), **settings), store, tmp_path / "run")
    with pytest.raises(ValueError, match="classical-lda is not a network and has no initial weights"):
        train(small("lda"), store, tmp_path / "run", start=runs["knn"].folder)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="No classical model is called 'tree'"):
        build_estimator("tree", 0)


def test_what_serves_networks_says_that_this_is_none(runs, tmp_path):
    with pytest.raises(ValueError, match=r"classical-lda is not a network; it is fitted by ich_lib.models.classical"):
        build(get_recipe("classical-lda"))
    with pytest.raises(ValueError, match=r"classical-lda is not a network; it is fitted by ich_lib.models.classical"):
        runs["lda"].model()
    with pytest.raises(ValueError, match="classical-lda is not a network, and ONNX holds only networks"):
        export(runs["lda"].folder, tmp_path)
    assert next(list_models(["classical-lda"]))["parameters"] is None


def test_a_common_budget_leaves_it_its_one_pass():
    cut = reduce_budget(get_recipe("classical-lda"), size=96, slices=4000)
    assert (cut.size, cut.steps, cut.epochs) == (96, 0, 1)
    classical.check_recipe(cut)


def test_the_list_of_recipes_prints_a_dash_for_its_parameters(monkeypatch, capsys):
    monkeypatch.setattr("ich_lib.models.builders.list_models.__defaults__", (["classical-lda"],))
    assert main(["recipes"]) == 0
    assert capsys.readouterr().out.split()[:4] == ["classical-lda", "classify", "128x128x2", "–"]


def test_a_scan_is_read_to_scores_by_a_classical_run(runs, tmp_path, capsys):
    """The recipe's name as a student types it; the mask comes from the shipped model."""
    assert main(["phantom", "--out", str(tmp_path), "--slices", "4"]) == 0
    scan = str(tmp_path / "phantom-0000" / "scan.nii.gz")
    assert main(["predict", scan, "--json", "--weights", str(runs["lda"].folder)]) == 0
    output = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in output["models"]][-1] == "classical-lda"
