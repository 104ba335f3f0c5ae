from dataclasses import replace

import pytest

from ich_lib.crossval import cross_validate, reduced, table
from ich_lib.evaluate import evaluate
from ich_lib.recipes import RECIPES, recipe
from ich_lib.store import build_store
from ich_lib.train import open_run
from tests.conftest import tiny_recipes
from tests.planted import table_of_heads
from tests.sets import write_ct_ich
from tests.test_datasets import GOOD


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return build_store(table_of_heads(10), tmp_path_factory.mktemp("store") / "planted.slices", size=64)


@pytest.fixture(scope="module")
def folds(store, tmp_path_factory):
    small = replace(tiny_recipes()[2], mix=(0.5, 0.25, 0.25, 0), epochs=1)
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
    again = cross_validate(small, store, out)
    assert [run.weights.stat().st_mtime_ns for run in again] == before
    with pytest.raises(ValueError, match="fold-0 holds a run of other settings than tiny-both"):
        cross_validate(replace(small, epochs=2), store, out)


def test_the_same_recipe_and_seed_give_the_same_folds_and_nearly_the_same_losses(folds, store, tmp_path):
    small, _, runs = folds
    again = cross_validate(small, store, tmp_path / "again")
    for one, two in zip(runs, again, strict=True):
        assert one.split == two.split
        losses = [float(run.history()[-1]["loss"]) for run in (one, two)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_a_fold_begins_with_its_own_fold_of_another_cross_validation(folds, store, tmp_path):
    small, out, _ = folds
    still = replace(small, learning_rate=0.0)
    runs = cross_validate(still, store, tmp_path / "next", start=out)
    for k, run in enumerate(runs):
        ours, theirs = run.model().get_layer("scores").get_weights(), open_run(out / f"fold-{k}").model()
        assert (ours[0] == theirs.get_layer("scores").get_weights()[0]).all()


def test_folds_are_judged_together_calibrated_on_each_other_and_put_in_a_table(folds, tmp_path):
    """On two patients of another set, whom each of the five never saw: ten scans judged."""
    _, out, _ = folds
    report = evaluate(out, write_ct_ich(tmp_path / "set", GOOD), out)
    assert report["folds"] == [0, 1, 2, 3, 4]
    assert report["calibrated"] == "on the scans of the other folds"
    assert set(report["before_calibration"]) == {"slice_auc_any", "scan_auc_any", "ece"}
    assert set(report["calibration"]) == {"slices", "scans"}
    lines = table([out]).splitlines()
    assert lines[0].startswith("| run | picture | parameters | slices seen")
    assert lines[2].startswith("| tiny (`tiny-both`) | 32x32x6, head |")
    assert "| 12, 0." in lines[2]  # 3 steps of 4
    with pytest.raises(FileNotFoundError, match=r"has no report.json; make it with python -m ich_lib evaluate"):
        table([tmp_path])


@pytest.mark.parametrize("name", [name for name in RECIPES if not name.startswith("classical")])
def test_a_common_budget_shows_every_recipe_about_as_many_slices(name):
    one = reduced(recipe(name), size=96, slices=1600)
    assert one.size == 96
    assert one.weights is None
    assert 1600 - one.batch * one.depth < one.batch * one.depth * one.steps * one.epochs <= 1600
    assert (one.batch, one.loss, one.learning_rate) == (
        recipe(name).batch,
        recipe(name).loss,
        recipe(name).learning_rate,
    )
    assert "cut to 96 px and about 1600 slices seen" in one.source


def test_a_budget_smaller_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="4 slices are less than one batch of unet2d-002b"):
        reduced(recipe("unet2d-002b"), size=96, slices=4)
