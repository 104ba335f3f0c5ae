"""Tuning on synthetic heads: which settings are tried, on which patients, and whether the one that can learn is
chosen."""

import csv
import json
from dataclasses import replace

import numpy as np
import optuna
import pytest

from ich_lib.__main__ import main
from ich_lib.data.split import by_patient
from ich_lib.data.store import build_store
from ich_lib.models.builders import builder_options
from ich_lib.models.recipe import recipe_from_json
from ich_lib.models.recipes import RECIPES
from ich_lib.models.run import open_run
from ich_lib.prepare.augment import NO_AUGMENT
from ich_lib.training import tune as tuning
from ich_lib.training.batches import Slices
from ich_lib.training.search_space import change_recipe, read_settings, read_space
from ich_lib.training.train import train
from ich_lib.training.tune import best_recipe, score_run, set_aside, tune
from tests.conftest import tiny_recipes
from tests.planted import table_of_heads

SMALL = replace(tiny_recipes()[0], steps=110, epochs=2, mix=(0.75, 0, 0.25, 0), augment=NO_AUGMENT)
RANGES = {"learning_rate": (1e-4, 1e-1, "log"), "batch": (2, 9, "linear"), "options.dropout": (0.0, 0.3)}


@pytest.fixture(scope="module")
def head_store(tmp_path_factory):
    """Ten heads, two in each fold, of which one bleeds."""
    return build_store(table_of_heads(10), tmp_path_factory.mktemp("store") / "planted.slices", size=64)


@pytest.fixture(scope="module")
def grid_result(head_store, tmp_path_factory):
    """Two real trainings, of which one cannot learn."""
    return tune(SMALL, head_store, tmp_path_factory.mktemp("tuned"), {"learning_rate": (0, 1e-2)}, by="grid", fold=4)


@pytest.fixture(scope="module")
def brief_result(head_store, tmp_path_factory):
    """The same with fewer steps: enough for a mask that is partly right."""
    brief = replace(SMALL, steps=40, epochs=1)
    return tune(brief, head_store, tmp_path_factory.mktemp("brief"), {"learning_rate": (0, 1e-2)}, by="grid", fold=4)


@pytest.fixture
def trials(monkeypatch):
    """Trials that train nothing and score by the learning rate, with the best at 0.01, and the list of tried
    settings."""
    recipes = []

    def recorded(recipe, slices, folder, split):
        recipes.append((folder.name, recipe))
        return 1 - abs(np.log10(recipe.learning_rate) + 2), 2.0

    monkeypatch.setattr(tuning, "_run_trial", recorded)
    return recipes


def rows(folder):
    with (folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def trial_settings(trials):
    return [(recipe.learning_rate, recipe.batch, recipe.options["dropout"]) for _, recipe in trials]


@pytest.mark.long
def test_the_learning_rate_that_can_learn_is_found(grid_result):
    assert grid_result.settings == {"learning_rate": 1e-2}
    assert grid_result.recipe == replace(SMALL, learning_rate=1e-2)
    scores = {float(row["learning_rate"]): float(row["score"]) for row in rows(grid_result.folder)}
    assert scores[1e-2] == pytest.approx(grid_result.score, abs=1e-5)
    assert scores[1e-2] > scores[0.0] + 0.2
    assert all(float(row["minutes"]) > 0 for row in rows(grid_result.folder))


def test_patients_set_apart_are_in_no_trial_and_the_next_fold_scores(brief_result, head_store):
    outer = by_patient(head_store.table, held_out=4)
    apart, inner = ({name for name, fold in outer.folds.items() if fold == number} for number in (4, 0))
    runs = [open_run(folder) for folder in sorted(brief_result.folder.glob("trial-*"))]
    assert len(runs) == 2
    for run in runs:
        assert set(run.patients(trained=False)) == inner
        assert set(run.patients(trained=True)) == set(outer.folds) - apart - inner
    output = json.loads((brief_result.folder / "best.json").read_text())
    assert (output["fold"], output["inner_fold"], set(output["set_apart"])) == (4, 0, apart)
    assert set(output["tuned_on"]["scored"]) == inner
    assert not apart & {*output["tuned_on"]["trained"], *output["tuned_on"]["scored"]}


def test_the_score_is_the_mean_dice_of_the_bleeding_slices_of_the_inner_fold(brief_result, head_store):
    """The figure is computed again from all masks at once. A clean slice, whose Dice would be 0 or 1, must not
    count."""
    split = set_aside(head_store.table, fold=4, seed=0)
    inner = Slices(head_store, split.rows(head_store.table, trained=False))
    run = open_run(brief_result.folder / "trial-001")
    pictures, truth = tuning.ValidationBatches(inner, replace(run.recipe, batch=100))[0]
    truth, mask = truth[..., 0] > 0.5, run.model().predict(pictures, verbose=0)[..., 0] >= 0.5
    combined = (truth & mask).sum((1, 2))[truth.any((1, 2))]
    all_of_them = (truth.sum((1, 2)) + mask.sum((1, 2)))[truth.any((1, 2))]
    assert len(combined) == 2  # one patient bleeds, in two slices
    assert combined.any()
    assert score_run(run, inner) == pytest.approx(float(np.mean(2 * combined / all_of_them)), abs=1e-3)


def test_a_classifier_is_scored_by_the_auc_of_any(head_store, tmp_path, monkeypatch):
    """The model gives prepared answers: the truth scores 1, one answer for all scores 0.5, and NaN gives no score."""
    tiny = replace(tiny_recipes()[1], epochs=1, steps=1, mix=(0.5, 0, 0.5, 0))
    run = train(tiny, head_store, tmp_path / "run")
    inner = Slices(head_store, run.split.rows(head_store.table, trained=False))
    model = run.model()
    bleeding = iter(inner.bleeding.tolist())
    output = lambda pictures: np.array([[0, 0, 0, 0, 0, 0.2 + 0.6 * next(bleeding)] for _ in pictures])  # noqa: E731
    monkeypatch.setattr(type(run), "model", lambda self: model)
    monkeypatch.setattr(model, "predict_on_batch", output)
    assert score_run(run, inner) == 1
    monkeypatch.setattr(model, "predict_on_batch", lambda pictures: np.full((len(pictures), 6), 0.5))
    assert score_run(run, inner) == 0.5
    monkeypatch.setattr(model, "predict_on_batch", lambda pictures: np.full((len(pictures), 6), np.nan))
    with pytest.raises(ValueError, match="outputs are not numbers: its training diverged"):
        score_run(run, inner)


def test_a_grid_visits_every_cell_once(head_store, trials, tmp_path):
    space = {"learning_rate": (1e-3, 1e-2, 1e-1), "options.filters": ((4, 8), (8, 16)), "weights": (None,)}
    best = tune(SMALL, head_store, tmp_path, space, by="grid")
    cells = [(recipe.learning_rate, recipe.options["filters"]) for _, recipe in trials]
    assert sorted(cells) == [(rate, wide) for rate in (1e-3, 1e-2, 1e-1) for wide in ((4, 8), (8, 16))]
    assert [name for name, _ in trials] == [f"trial-{k:03d}" for k in range(6)]
    assert (best.trials, best.settings["learning_rate"], best.score) == (6, 1e-2, 1)
    assert {row["options.filters"] for row in rows(tmp_path)} == {"4+8", "8+16"}


@pytest.mark.parametrize("by", ["random", "bayes"])
def test_the_seed_decides_what_is_tried(by, head_store, trials, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tune(SMALL, head_store, tmp_path / name, RANGES, by=by, trials=8, seed=seed)
    first, repeat, other = (trial_settings(trials[k : k + 8]) for k in (0, 8, 16))
    assert len(set(first)) == 8
    assert first == repeat != other
    assert all(1e-4 <= rate <= 1e-1 and 2 <= batch <= 9 and drop in (0, 0.3) for rate, batch, drop in first)


def test_bayes_comes_nearer_to_the_best_rate_than_chance(head_store, trials, tmp_path):
    """In orders of magnitude: random values from -5 to -1 are on average (9 + 1) / 2 / 4 = 1.25 from -2. Bayes comes
    closer."""
    for by in ("bayes", "random"):
        tune(SMALL, head_store, tmp_path / by, {"learning_rate": (1e-5, 1e-1, "log")}, by=by, trials=25)
    off = [abs(np.log10(recipe.learning_rate) + 2) for _, recipe in trials]
    bayes, chance = np.mean(off[5:25]), np.mean(off[30:])  # both draw the first five at random
    assert bayes < 0.7 * 1.25
    assert chance == pytest.approx(1.25, abs=0.4)


@pytest.mark.parametrize(
    ("by", "space"), [("grid", {"batch": (2, 4, 8, 16, 32)}), ("random", RANGES), ("bayes", RANGES)]
)
def test_a_stopped_tuning_goes_on_with_the_trial_it_was_at_and_repeats_none(by, space, head_store, trials, tmp_path):
    """A search that Ctrl-C stops in trial 2 and a kill stops in trial 3. An uninterrupted one is the reference."""
    request = {"by": by, "trials": 5}
    tune(SMALL, head_store, tmp_path / "whole", space, **request)
    full, count = list(trials), len(trials)
    train_one = tuning._run_trial

    def stopped(recipe, slices, folder, split):
        if folder.name == "trial-002":
            raise KeyboardInterrupt
        return train_one(recipe, slices, folder, split)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "_run_trial", stopped)
        with pytest.raises(KeyboardInterrupt):
            tune(SMALL, head_store, tmp_path / "cut", space, **request)
    assert [row["trial"] for row in rows(tmp_path / "cut")] == ["0", "1"]
    tune(SMALL, head_store, tmp_path / "cut", space, by=by, trials=3)
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'cut' / 'study.db'}")
    # the state after a kill: a trial that is marked as running
    optuna.load_study(study_name="tuning", storage=storage).ask()
    storage.remove_session()
    storage.engine.dispose()
    best = tune(SMALL, head_store, tmp_path / "cut", space, **request)
    assert trials[count:] == full
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert tune(SMALL, head_store, tmp_path / "cut", space, **request) == best
    assert len(trials) == 2 * count


def test_a_trial_that_was_cut_goes_on_in_its_own_run(head_store, tmp_path, monkeypatch):
    """The training reached its end but was not scored. Only the score is computed, and the history shows no second
    training."""
    small, space = replace(SMALL, steps=3), {"batch": (4,)}
    monkeypatch.setattr(tuning, "score_run", lambda run, slices: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        tune(small, head_store, tmp_path, space, by="grid")
    (tmp_path / "trial-000" / "model.weights.h5").unlink()  # as if the last epoch had just been saved
    before = open_run(tmp_path / "trial-000").history()
    monkeypatch.undo()
    assert 0 <= tune(small, head_store, tmp_path, space, by="grid").score <= 1
    assert open_run(tmp_path / "trial-000").history() == before
    assert [path.name for path in sorted(tmp_path.glob("trial-*"))] == ["trial-000"]


def test_settings_met_again_are_not_trained_again(head_store, trials, tmp_path):
    best = tune(SMALL, head_store, tmp_path, {"batch": (4, 8)}, by="random", trials=12)
    assert sorted(recipe.batch for _, recipe in trials) == [4, 8]
    assert best.trials == len(rows(tmp_path)) == 12


def test_the_budget_of_minutes_counts_what_was_spent(head_store, trials, tmp_path):
    """Each trial reports 2 minutes. 5 trials took 10 minutes, so a limit of 9 minutes allows no further trial."""
    tune(SMALL, head_store, tmp_path, RANGES, by="random", trials=5)
    assert tune(SMALL, head_store, tmp_path, RANGES, by="random", trials=12, minutes=9).trials == 5
    assert tune(SMALL, head_store, tmp_path, RANGES, by="random", trials=7, minutes=11).trials == 7


def test_a_setting_that_cannot_be_built_is_told_and_the_others_go_on(head_store, tmp_path):
    """32 pixels can be halved five times, but 7 levels need six; and `4` is not a list of filters."""
    small = replace(SMALL, steps=2, epochs=1)
    space = {"options.filters": ((4, 8), (4,) * 7, 4)}
    best = tune(small, head_store, tmp_path, space, by="grid")
    assert best.settings == {"options.filters": (4, 8)}
    output = {row["options.filters"]: row for row in rows(tmp_path)}
    assert "64 divides it" in output["4+4+4+4+4+4+4"]["problem"]
    assert output["4"]["problem"]
    assert (output["4"]["score"], output["4+8"]["problem"]) == ("", "")
    with pytest.raises(ValueError, match=r"None of 1 trials could be trained: 7 levels halve the picture"):
        tune(small, head_store, tmp_path / "none", {"options.filters": ((4,) * 7,)}, by="grid")
    assert not (tmp_path / "none" / "best.json").exists()


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        ({"rate": (1, 2)}, r"rate cannot be varied in tiny-unet; these can: builder, weights, .*options.filters"),
        ({"threshold": (0.3, 0.5)}, "threshold cannot be varied"),
        ({"seed": (0, 1)}, "seed cannot be varied"),
        ({"options.depth": (1, 2)}, r"options.depth cannot be varied .*options.dropout, options.gates\."),
        ({}, "Nothing cannot be varied"),
        ({"batch": ()}, r"batch, now 4, cannot be \(\)"),
        ({"batch": (4, 8.5)}, r"batch, now 4, cannot be 8.5. Write choices as 4,8,16"),
        ({"batch": (True,)}, "batch, now 4, cannot be True"),
        ({"learning_rate": ("fast",)}, "learning_rate, now 0.001, cannot be 'fast'"),
        ({"mix": (0.5,)}, r"mix, now .*, cannot be 0.5"),
        ({"loss": ("dice", "dise")}, "loss cannot be 'dise'; known are bce, "),
        ({"windows": (("brain", "bones"),)}, "windows cannot be 'bones'; known are "),
        ({"batch": (8, 4, "linear")}, "goes from low to high"),
        ({"learning_rate": (0.0, 1e-2, "log")}, "a log range begins above 0"),
    ],
)
def test_what_cannot_be_varied_is_refused_before_anything_is_written(space, problem, head_store, tmp_path):
    with pytest.raises(ValueError, match=problem):
        tune(SMALL, head_store, tmp_path / "out", space)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"by": "grid"}, "A grid cannot hold the range of learning_rate; name choices"),
        ({"by": "luck"}, "by must be one of grid, random, bayes; got 'luck'"),
        ({"trials": 0}, "at least one trial and some minutes; got 0"),
        ({"minutes": 0}, "at least one trial and some minutes; got 20 and 0"),
        ({"fold": 5}, "There is no fold 5"),
    ],
)
def test_a_search_that_cannot_be_is_refused(arguments, problem, head_store, tmp_path):
    with pytest.raises(ValueError, match=problem):
        tune(SMALL, head_store, tmp_path / "out", {"learning_rate": (1e-4, 1e-2, "log")}, **arguments)


def test_another_tuning_in_the_same_folder_is_refused(head_store, trials, tmp_path):
    tune(SMALL, head_store, tmp_path, RANGES, by="random", trials=1)
    for other in ({"by": "bayes"}, {"by": "random", "fold": 1}, {"by": "random", "seed": 1}):
        with pytest.raises(ValueError, match="holds a tuning of another recipe, space or data"):
            tune(SMALL, head_store, tmp_path, RANGES, trials=2, **other)


def test_an_inner_fold_without_blood_cannot_score(tmp_path):
    """Of ten heads, the two of fold 1 are made clean."""
    heads = table_of_heads(10)
    inner = [name for name, fold in by_patient(heads).folds.items() if fold == 1]
    heads.labels[np.isin(heads.patient, inner)] = False
    store = build_store(heads, tmp_path / "s.slices", size=64)
    folds = set_aside(store.table, fold=0, seed=0)
    clean = next(
        k
        for k in range(5)
        if not any(
            heads.labels[heads.patient == name].any() for name, fold in by_patient(heads).folds.items() if fold == k
        )
    )
    assert folds.held_out == 1
    with pytest.raises(ValueError, match=rf"Fold {clean} cannot score trials: its slices never show blood"):
        tune(SMALL, store, tmp_path / "out", {"batch": (4, 8)}, fold=(clean - 1) % 5)


def test_leaks_into_the_reported_fold_are_told_before_the_first_trial(tmp_path):
    heads = table_of_heads(10)
    folds = by_patient(heads).folds
    a, b = (next(name for name, fold in folds.items() if fold == number) for number in (0, 3))
    pictures = heads.pixels.pictures
    pictures[6 * int(a[1:])] = pictures[6 * int(b[1:])].copy()  # the first slice of each, which shows no blood
    store = build_store(heads, tmp_path / "s.slices", size=64)
    with pytest.raises(ValueError, match="The fold to be reported leaks: 1 held-out slices equal a trained one"):
        tune(SMALL, store, tmp_path / "out", {"batch": (4, 8)}, fold=0)


def test_the_command_line_says_choices_and_ranges():
    texts = ["learning_rate=1e-4..1e-2:log", "batch=4..16", "loss=dice,dice_bce", "options.filters=8+16,4+"]
    assert read_space([*texts, "options.gates=True,False", "weights=None,imagenet", "options.trainable=none,all"]) == {
        "learning_rate": (1e-4, 1e-2, "log"),
        "batch": (4, 16, "linear"),
        "loss": ("dice", "dice_bce"),
        "options.filters": ((8, 16), (4,)),
        "options.gates": (True, False),
        "weights": (None, "imagenet"),
        "options.trainable": ("none", "all"),
    }
    for bad in (["batch"], ["batch="], ["=4"], ["batch=4", "batch=8"]):
        with pytest.raises(ValueError, match=r"--vary takes each NAME once, as NAME=A,B"):
            read_space(bad)


def test_a_training_may_change_any_setting_of_its_recipe():
    settings = read_settings(["learning_rate=1", "loss=dice", "options.filters=4+"], SMALL)
    assert settings == {"learning_rate": 1.0, "loss": "dice", "options.filters": (4,)}
    assert isinstance(settings["learning_rate"], float)
    assert read_settings([], SMALL) == {}
    for bad, reason in {
        "loss": "--set takes each NAME once",
        "batch=4,8": "--set takes one value for batch",
        "batch=1..2": "--set takes one value for batch",
        "loss=best": "loss cannot be 'best'",
        "epoch=1": "epoch cannot be varied in tiny-unet",
    }.items():
        with pytest.raises(ValueError, match=reason):
            read_settings([bad], SMALL)


def test_settings_replace_fields_and_single_options():
    other = change_recipe(SMALL, {"batch": 2, "options.dropout": 0.1})
    assert other == replace(SMALL, batch=2, options={"filters": (4, 8), "dropout": 0.1})
    assert builder_options(SMALL) == ("filters", "dropout", "gates")


def test_the_command_line_tunes_and_trains_the_best_on_the_fold_set_apart(
    head_store, trials, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(RECIPES, SMALL.name, SMALL)
    out, data = tmp_path / "out", ["--data", str(head_store.path)]
    vary = ["--vary", "learning_rate=1e-3,1e-2", "--by", "grid", "--fold", "2", "--epochs", "1", "--steps", "2"]
    assert main(["tune", SMALL.name, *data, "--out", str(out), *vary]) == 0
    message = capsys.readouterr().out
    assert "Best of 2 trials, 1.000 on the patients used for the choice:" in message
    assert f"train tiny-unet --data {head_store.path} --out RUN --fold 2 --settings {out / 'best.json'}" in message
    output = recipe_from_json(json.loads((out / "best.json").read_text())["recipe"])
    assert output == replace(SMALL, learning_rate=1e-2, epochs=1, steps=2)
    best = ["--settings", str(out / "best.json"), "--set", "weight_decay=0.5"]
    assert main(["train", SMALL.name, *data, "--out", str(tmp_path / "run"), "--fold", "2", *best]) == 0
    run = open_run(tmp_path / "run")
    assert (run.recipe, run.held_out) == (replace(output, weight_decay=0.5), 2)
    apart = json.loads((out / "best.json").read_text())["set_apart"]
    assert run.patients(trained=False) == apart
    capsys.readouterr()
    assert main(["train", SMALL.name, *data, "--out", str(tmp_path / "other"), "--fold", "1", *best]) == 2
    assert "was tuned on patients of fold 1 and set fold 2 apart" in capsys.readouterr().err
    with pytest.raises(ValueError, match="holds settings of tiny-unet, not of unet-small"):
        best_recipe(out / "best.json", "unet-small", fold=2)
    with pytest.raises(ValueError, match="was tuned with the folds of seed 0; seed 3 would mix them"):
        best_recipe(out / "best.json", SMALL.name, fold=2, seed=3)


def test_optuna_keeps_its_voice_for_others(head_store, trials, tmp_path, capfd):
    before = optuna.logging.get_verbosity()
    tune(SMALL, head_store, tmp_path, RANGES, by="bayes", trials=2)
    assert optuna.logging.get_verbosity() == before
    assert "Trial" not in capfd.readouterr().err
