import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.data.split import Split, leaky_image_split
from ich_lib.data.store import build_store
from ich_lib.evaluation.ood_limits import phantom_volumes
from ich_lib.models.recipes import RECIPES
from ich_lib.models.run import open_run
from ich_lib.training.train import train
from tests.conftest import ROOT, tiny_recipes
from tests.planted import table_of_heads


def test_a_run_folder_holds_all_that_rebuilds_the_model(tiny_runs):
    run = tiny_runs["segment"]
    assert {p.name for p in run.folder.iterdir()} >= {"model.weights.h5", "recipe.json", "history.csv", "folds.json"}
    repeat = open_run(run.folder)
    assert repeat.recipe == run.recipe
    assert [item.epoch for item in repeat.history()] == [1, 2]
    assert set(repeat.patients(trained=True)).isdisjoint(repeat.patients(trained=False))
    assert len(repeat.patients(trained=True)) + len(repeat.patients(trained=False)) == run.recipe.phantoms
    assert all(np.isfinite(w).all() for w in repeat.model().get_weights())


def test_no_phantoms_means_none(tmp_path, monkeypatch):
    """Clean slices get their share of the mix. Without a data set there is nothing to train on."""
    monkeypatch.setattr("ich_lib.training.train.phantoms", None)
    bare = replace(tiny_recipes()[0], phantoms=0, mix=(0.25, 0.25, 0.25, 0.25), steps=2, epochs=1)
    store = build_store(table_of_heads(), tmp_path / "heads.slices", size=64)
    run = train(bare, store, tmp_path / "run")
    assert np.isfinite(float(run.history()[-1].loss))
    assert phantom_volumes(bare, 3) == []
    with pytest.raises(ValueError, match=r"tiny-unet makes no phantoms \(phantoms=0\), so it needs data"):
        train(bare, None, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_training_makes_the_loss_fall(tmp_path):
    small = replace(tiny_recipes()[0], steps=30, epochs=3, learning_rate=1e-2, mix=(1, 0, 0, 0))
    history = train(small, None, tmp_path / "run").history()
    assert history[-1].loss < 0.8 * history[0].loss


def test_a_killed_run_resumes_to_the_weights_of_an_unbroken_one(tmp_path):
    """A run is killed after the first of two epochs. The second half gives the same result, up to rounding, in the
    same order."""
    small = replace(tiny_recipes()[0], steps=7)
    full = train(small, None, tmp_path / "whole").model().get_weights()
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from ich_lib.training import loop, train as t; import os\n"
        "end = loop._Checkpoints.on_epoch_end\n"
        "def die(self, epoch, logs=None): end(self, epoch, logs); os._exit(9)\n"
        "loop._Checkpoints.on_epoch_end = die\n"
        "from dataclasses import replace; from tests.conftest import tiny_recipes\n"
        "t.train(replace(tiny_recipes()[0], steps=7), None, sys.argv[1])"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "cut", ROOT], capture_output=True, timeout=300, check=False
    )
    assert killed.returncode == 9, killed.stderr.decode()[-2000:]
    with pytest.raises(FileNotFoundError, match=r"did not end. Continue with train --resume"):
        open_run(tmp_path / "cut").model()
    run = train(small, None, tmp_path / "cut", resume=True)
    assert [item.epoch for item in run.history()] == [1, 2]
    for actual, reference in zip(run.model().get_weights(), full, strict=True):
        assert actual == pytest.approx(reference, abs=1e-6)


def test_a_recipe_may_be_named(tmp_path, monkeypatch):
    tiny = replace(tiny_recipes()[0], steps=1, epochs=1)
    monkeypatch.setitem(RECIPES, tiny.name, tiny)
    assert train(tiny.name, None, tmp_path / "run").recipe == tiny
    with pytest.raises(ValueError, match="No recipe is called 'unet-bot'"):
        train("unet-bot", None, tmp_path / "other")


def test_a_run_is_never_overwritten(tiny_runs):
    with pytest.raises(FileExistsError, match="already holds a run"):
        train(tiny_recipes()[0], None, tiny_runs["segment"].folder)


def test_a_run_is_not_resumed_on_other_patients(tiny_runs, tmp_path):
    other = tmp_path / "run"
    other.mkdir()
    for name in ("recipe.json", "folds.json"):
        (other / name).write_bytes((tiny_runs["segment"].folder / name).read_bytes())
    split = json.loads((other / "folds.json").read_text())
    split["folds"].pop("phantom-0")
    (other / "folds.json").write_text(json.dumps(split))
    with pytest.raises(ValueError, match="was begun with 5 other patients"):
        train(tiny_recipes()[0], None, other, resume=True)


def test_a_fold_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no fold 7; folds are numbered 0 to 4"):
        train(tiny_recipes()[0], None, tmp_path / "run", fold=7)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        open_run(tmp_path)


def test_a_run_can_begin_with_the_weights_of_another(tiny_runs, tmp_path):
    """With a learning rate of 0 the kernels are unchanged."""
    still = replace(tiny_recipes()[0], learning_rate=0.0, epochs=1)
    run = train(still, None, tmp_path / "run", start=tiny_runs["segment"].folder)
    for actual, reference in zip(
        run.model().trainable_weights, tiny_runs["segment"].model().trainable_weights, strict=True
    ):
        assert np.array_equal(actual, reference)


def test_first_weights_that_know_the_patients_held_out_are_refused(tiny_runs, tmp_path):
    with pytest.raises(ValueError, match="was trained on 1 of the patients to be held out"):
        train(tiny_recipes()[0], None, tmp_path / "run", fold=1, start=tiny_runs["segment"].folder)
    assert not (tmp_path / "run").exists()


def test_a_model_that_scores_too_begins_with_the_weights_of_one_that_only_draws(tiny_runs, head_store, tmp_path):
    """With a learning rate of 0 every kernel of the mask is still that of the phantoms. The opposite direction does
    not fit."""
    still = replace(tiny_recipes()[2], learning_rate=0.0, epochs=1, mix=(0.5, 0.25, 0.25, 0))
    run = train(still, head_store, tmp_path / "run", start=tiny_runs["segment"].folder)
    before, after = tiny_runs["segment"].model(), run.model()
    for layer in before.layers:
        for actual, reference in zip(
            after.get_layer(layer.name).trainable_weights, layer.trainable_weights, strict=True
        ):
            assert np.array_equal(actual, reference)
    assert np.isfinite(after.get_layer("scores").get_weights()[0]).all()
    with pytest.raises(ValueError, match="trained another model than tiny-unet: its layer scores does not fit"):
        train(replace(tiny_recipes()[0], mix=still.mix), head_store, tmp_path / "back", start=run.folder)


def test_first_weights_of_another_model_are_refused(tiny_runs, tmp_path):
    with pytest.raises(ValueError, match="trained another model than tiny-unet"):
        train(tiny_recipes()[0], None, tmp_path / "run", start=tiny_runs["classify"].folder)


@pytest.fixture(scope="module")
def head_store(tmp_path_factory):
    return build_store(table_of_heads(), tmp_path_factory.mktemp("store") / "planted.slices", size=64)


def test_a_run_trains_on_a_store_or_on_its_file(head_store, tmp_path):
    """The mix has no phantoms, so none are made: the eight heads are all of the data."""
    small = replace(tiny_recipes()[0], mix=(0.5, 0.25, 0.25, 0), epochs=1)
    run, same = train(small, head_store, tmp_path / "a"), train(small, head_store.path, tmp_path / "b")
    assert set(run.folds) == {f"p{i}" for i in range(8)}
    assert len(run.patients(trained=False)) == 2
    for actual, reference in zip(run.model().get_weights(), same.model().get_weights(), strict=True):
        assert actual == pytest.approx(reference, abs=1e-4)


def test_a_store_of_another_size_is_refused(head_store, tmp_path):
    with pytest.raises(ValueError, match=r"planted.slices holds head pictures of 64 px; tiny-unet wants head pictures"):
        train(replace(tiny_recipes()[0], stored=128), head_store, tmp_path / "run")


def test_a_leaking_split_is_refused_and_leaves_no_run(head_store, tmp_path):
    small = replace(tiny_recipes()[0], mix=(0.5, 0.25, 0.25, 0), epochs=1)
    with pytest.raises(ValueError, match=r"This split leaks: \d patients are on both sides"):
        train(small, head_store, tmp_path / "run", split="leaky image")
    assert not (tmp_path / "run").exists()
    run = train(small, head_store, tmp_path / "run", split="leaky image", allow_leaks=True)
    assert open_run(run.folder).split == leaky_image_split(head_store.table)
    with pytest.raises(ValueError, match="was split by a leaky image split: its patients are on both sides"):
        run.patients(trained=True)
    with pytest.raises(ValueError, match="split must be one of patient, leaky image, leaky row; got 'slice'"):
        train(small, head_store, tmp_path / "other", split="slice")


def test_a_split_that_is_ready_is_used_as_it_is_and_checked_as_any(head_store, tmp_path):
    """p0 to p3 are trained on, p4 and p5 are held out, p6 and p7 set apart."""
    small = replace(tiny_recipes()[0], mix=(0.5, 0.25, 0.25, 0), epochs=1)
    ready = Split("patient", {f"p{i}": 2 if i < 4 else 1 if i < 6 else -1 for i in range(8)}, held_out=1)
    run = train(small, head_store, tmp_path / "run", split=ready, fold=3)
    assert open_run(run.folder).split == ready
    assert run.patients(trained=True) == ["p0", "p1", "p2", "p3"]
    assert run.patients(trained=False) == ["p4", "p5"]
    with pytest.raises(ValueError, match="The split deals out 7 other patients than planted holds"):
        train(small, head_store, tmp_path / "b", split=replace(ready, folds={f"p{i}": i // 4 for i in range(7)}))
    with pytest.raises(ValueError, match=r"This split leaks: \d patients are on both sides"):
        train(small, head_store, tmp_path / "b", split=leaky_image_split(head_store.table))
    assert not (tmp_path / "b").exists()


def test_one_picture_under_two_patients_is_a_leak_too(tmp_path):
    heads = table_of_heads()
    heads.pixels.pictures[1::6] = [heads.pixels.pictures[1]] * 8  # slice 2 of every patient is the same picture
    store = build_store(heads, tmp_path / "s.slices", size=64)
    with pytest.raises(ValueError, match=r"This split leaks: 2 held-out slices equal a trained one \(such as p\d/2"):
        train(replace(tiny_recipes()[0], mix=(0.5, 0.25, 0.25, 0)), store, tmp_path / "run")
