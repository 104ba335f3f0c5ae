import shutil
from dataclasses import replace

import pytest

from ich_lib.__main__ import _parser
from ich_lib.commands.training import _chosen_recipe
from ich_lib.data.store import build_store
from ich_lib.evaluation import evaluate
from ich_lib.evaluation.side_by_side import results_table
from ich_lib.models.recipes import RECIPES, get_recipe
from ich_lib.training.crossval import cross_validate, from_random_weights, reduce_budget, resize
from tests.planted import table_of_heads


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return build_store(table_of_heads(10), tmp_path_factory.mktemp("store") / "planted.slices", size=64)


@pytest.fixture(scope="module")
def folds(store, tmp_path_factory):
    """For a model on hand-made features, which is fitted in a moment."""
    small = replace(get_recipe("classical-logistic"), size=64, stored=64)
    out = tmp_path_factory.mktemp("folds") / "tiny"
    return small, out, cross_validate(small, store, out)


def test_every_patient_is_held_out_exactly_once(folds):
    _, out, runs = folds
    assert [run.folder for run in runs] == [out / f"fold-{k}" for k in range(5)]
    held_out = [patient for run in runs for patient in run.patients(trained=False)]
    assert sorted(held_out) == sorted(f"p{i}" for i in range(10))
    assert len({tuple(sorted(run.folds.items())) for run in runs}) == 1


def test_finished_folds_stay_and_other_settings_are_refused(folds, store):
    small, out, runs = folds
    before = [run.weights.stat().st_mtime_ns for run in runs]
    repeat = cross_validate(small, store, out)
    assert [run.weights.stat().st_mtime_ns for run in repeat] == before
    with pytest.raises(ValueError, match="fold-0 holds a run with other settings than classical-logistic"):
        cross_validate(replace(small, seed=1), store, out)


def test_a_stopped_fold_goes_on_and_a_missing_one_is_made(folds, store, tmp_path):
    small, out, _ = folds
    copied = tmp_path / "copied"
    shutil.copytree(out, copied)
    (copied / "fold-1" / "features.npz").unlink()  # as if it was stopped before its end
    shutil.rmtree(copied / "fold-3")
    runs = cross_validate(small, store, copied)
    assert [run.held_out for run in runs] == [0, 1, 2, 3, 4]
    assert all(run.weights.is_file() for run in runs)


def test_the_same_recipe_and_seed_give_the_same_folds_and_figures(folds, store, tmp_path):
    small, _, runs = folds
    repeat = cross_validate(small, store, tmp_path / "again")
    for first, second in zip(runs, repeat, strict=True):
        assert first.split == second.split
        assert first.history()[0].val_loss == pytest.approx(second.history()[0].val_loss, abs=1e-3)


def test_fold_k_begins_with_fold_k_or_every_fold_with_one_run(monkeypatch, store, tmp_path):
    begun = []
    monkeypatch.setattr("ich_lib.training.crossval.train", lambda *_, start, **__: begun.append(start))
    for k in range(5):
        (tmp_path / "before" / f"fold-{k}").mkdir(parents=True)
    cross_validate(get_recipe("unet-both"), store, tmp_path / "a", start=tmp_path / "before")
    assert begun == [tmp_path / "before" / f"fold-{k}" for k in range(5)]
    begun.clear()
    cross_validate(get_recipe("unet-both"), store, tmp_path / "b", start=tmp_path / "run")
    assert begun == [tmp_path / "run"] * 5


def test_folds_are_judged_together_calibrated_on_each_other_and_put_in_a_table(folds, tmp_path):
    """Each patient is scored by the model that never saw it. The planted disk is bright, so hand-made features find
    it."""
    _, out, _ = folds
    full = build_store(table_of_heads(10), tmp_path / "whole.slices", size=96, field="slice")
    report = evaluate(out, full.path, out)
    assert report.patients == tuple(sorted(f"p{i}" for i in range(10)))
    assert report.scans == 10
    assert {row.fold for row in report.per_patient} == {0, 1, 2, 3, 4}
    assert report.folds == (0, 1, 2, 3, 4)
    assert report.calibrated == "on the scans of the other folds"
    assert set(report.before_calibration) == {"slice_auc_any", "scan_auc_any", "ece"}
    assert set(report.calibration) == {"slices", "scans"}
    assert report.slice_auc_any.value > 0.8
    text = results_table([out])
    assert text.startswith("# Models side by side")
    lines = text[text.index("| run") :].splitlines()
    assert lines[0].startswith("| run | picture | parameters | training slices")
    assert lines[2].startswith("| tiny (`classical-logistic`) | 64x64x2, head |")
    with pytest.raises(FileNotFoundError, match=r"has no report.json; make it with python -m ich_lib evaluate"):
        results_table([tmp_path])


@pytest.mark.parametrize("name", [name for name in RECIPES if not name.startswith("classical")])
def test_a_common_budget_shows_every_recipe_about_as_many_slices(name):
    item = reduce_budget(get_recipe(name), size=96, slices=1600)
    assert item.size == 96
    assert item.weights is None
    assert 1600 - item.batch * item.depth < item.batch * item.depth * item.steps * item.epochs <= 1600
    assert (item.batch, item.loss, item.learning_rate) == (
        get_recipe(name).batch,
        get_recipe(name).loss,
        get_recipe(name).learning_rate,
    )
    assert "cut to 96 px and about 1600 training slices" in item.source


def test_a_budget_smaller_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="4 slices are fewer than one batch of unet2d-002b"):
        reduce_budget(get_recipe("unet2d-002b"), size=96, slices=4)


def test_a_recipe_of_another_size_keeps_all_else():
    recipe = get_recipe("unet3d-001")
    item = resize(recipe, size=128, depth=32)
    assert item.shape == (32, 128, 128, 1)
    assert item.stored == 128
    assert replace(item, size=recipe.size, stored=recipe.stored, depth=recipe.depth) == recipe
    assert resize(recipe) == recipe


def test_a_size_for_the_head_leaves_the_store_and_a_depth_leaves_flat_pictures_alone():
    item = resize(get_recipe("unet-both"), size=128, depth=32)
    assert (item.shape, item.stored) == ((128, 128, 6), 256)


def test_a_backbone_from_random_weights_is_trained_whole():
    recipe = get_recipe("densenet121-004")
    item = from_random_weights(recipe)
    assert (item.weights, item.options["trainable"]) == (None, "all")
    assert recipe.options["trainable"] == "none"
    assert from_random_weights(get_recipe("unet2d-003")) == get_recipe("unet2d-003")


def test_the_command_changes_the_recipe_as_it_is_asked_to():
    line = "train densenet169-000 --out RUN --size 96 --precision mixed_bfloat16 --random-weights --epochs 3"
    chosen = _chosen_recipe(_parser().parse_args(line.split()))
    expected = from_random_weights(resize(get_recipe("densenet169-000"), size=96))
    assert chosen == replace(expected, precision="mixed_bfloat16", epochs=3)
    other = _chosen_recipe(
        _parser().parse_args([*["train", "vanilla-004", "--out", "RUN", "--windows"], "brain 004,bone,bone"])
    )
    assert other == replace(get_recipe("vanilla-004"), windows=("brain 004", "bone", "bone"))


def test_a_window_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"No window is called 'brian'; known are brain, .*bone"):
        _chosen_recipe(_parser().parse_args(["train", "vanilla-004", "--out", "RUN", "--windows", "brian"]))
