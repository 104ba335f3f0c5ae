"""Search for settings within a budget, without the patients that are reported.

The best of twenty runs on the reported fold is partly luck. So the reported fold is set apart before the first trial,
and no trial sees it: the next fold scores the trials, and the other three train them.
"""

import csv
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from ich_lib.data.split import SET_ASIDE, Split, by_patient, find_leaks
from ich_lib.data.store import Store
from ich_lib.data.table import Table
from ich_lib.labels import ANY, from_scheme, six_scores
from ich_lib.measures.metrics import auc, dice
from ich_lib.models.recipe import Recipe, recipe_from_json
from ich_lib.models.run import Run, is_run, open_run
from ich_lib.prepare.augment import Augment
from ich_lib.training.batches import Slices, ValidationBatches
from ich_lib.training.search_space import change_recipe, check_space, is_range
from ich_lib.training.train import FOLDS, open_slices, train

# These are not varied: the settings of the stored data, the seed, which decides the folds, and the threshold, which is
# chosen before training. A recipe's name, task and source are not settings.
_STUDY, _BEST, _TRIALS = "study.db", "best.json", "trials.csv"
_AT_RANDOM = 5  # random trials before "bayes" starts; Optuna's own 10 would be half of the usual budget


@dataclass(frozen=True)
class TuningResult:
    """The best trial.

    Attributes:
        folder: with a run per trial, trials.csv, best.json and study.db.
        recipe: with the best settings, to be trained on the outer fold.
        settings: field, or options.NAME, to the best value.
        score: on the inner fold. It is the best of many, so it is too favorable; never report it.
        trials: number of trials.
    """

    folder: Path
    recipe: Recipe
    settings: dict[str, Any]
    score: float
    trials: int


def tune(
    recipe: Recipe,
    data: str | Path | Store,
    out: str | Path,
    space: Mapping[str, Sequence],
    *,
    by: str = "bayes",
    trials: int = 20,
    minutes: float | None = None,
    fold: int = 0,
    seed: int = 0,
) -> TuningResult:
    """Search for settings of a recipe. The same command resumes a stopped search.

    Args:
        recipe: the recipe to vary.
        data: the folder of a data set, a store, or its file.
        out: gets the trials' runs, trial-000, trial-001, ..., and trials.csv, best.json and study.db.
        space: field of the recipe, or options.NAME for an option of its builder, to a tuple of choices, or to a range
            (low, high, "log") or (low, high, "linear"), ends included.
        by: "grid", every combination once; "random"; "bayes", a tree-structured Parzen estimator.
        trials: maximum number, including earlier ones in `out`. Repeated settings are not trained again.
        minutes: maximum time of training, including earlier trials; a trial that has started is finished.
        fold: the outer fold, 0 to 4, whose patients are set apart for the report. The next one scores the trials.
        seed: decides which settings are tried. The same trials come in the same order, even after an interruption.

    Returns:
        The best trial.

    Raises:
        FileNotFoundError: if there is no data.
        ValueError: for a field that may not be varied, values it cannot take, a grid with a range, a fold that does not
            exist or cannot score, a folder that holds another tuning, or if no trial could be trained.

    Source:
        Bergstra et al., NeurIPS 2011 (the estimator) and Bergstra and Bengio, JMLR 2012;13:281 (random before grid), in
        Optuna (Akiba et al., KDD 2019). Chosen apart from the report: Cawley and Talbot, JMLR 2010;11:2079.
    """
    space = check_space(space, recipe, by)
    if trials < 1 or (minutes is not None and minutes <= 0):
        raise ValueError(f"A tuning needs at least one trial and some minutes; got {trials} and {minutes}.")
    out, slices = Path(out), open_slices(recipe, data)
    split = set_aside(slices.table, fold=fold, seed=recipe.seed)
    _check_scorable(recipe, Slices(slices, split.rows(slices.table, trained=False)), split)
    if shared := find_leaks(by_patient(slices.table, folds=FOLDS, held_out=fold, seed=recipe.seed), slices):
        raise ValueError(f"The fold to be reported leaks: {shared}. Its figures would mean nothing.")
    out.mkdir(parents=True, exist_ok=True)
    settings = {"recipe": asdict(recipe), "space": space, "by": by, "fold": fold, "seed": seed, "folds": split.folds}

    def report_progress(study: optuna.Study, trial: optuna.trial.FrozenTrial | None = None) -> None:
        _write(study, out, recipe, space, split)
        study.sampler = _sampler(by, space, seed, len(study.get_trials(deepcopy=False)))

    if by == "grid":
        trials = min(trials, math.prod(len(_choices_by_json(values)) for values in space.values()))
    with _study(out / _STUDY, json.loads(json.dumps(settings, default=asdict))) as study:
        trials_so_far = study.get_trials()
        remaining_s = None if minutes is None else 60 * (minutes - sum(map(_minutes, trials_so_far)))
        if len(trials_so_far) < trials and (remaining_s is None or remaining_s > 0):
            report_progress(study)
            objective = _objective(recipe, slices, out, space, split)
            study.optimize(
                objective,
                trials - len(trials_so_far),
                timeout=remaining_s,
                catch=(ValueError, TypeError),
                callbacks=[report_progress],
            )
        return _best(study, out, recipe, space)


def set_aside(table: Table, *, fold: int, seed: int) -> Split:
    """The folds of `train`, with one set apart (-1) and the next one, cyclic, held out.

    Raises:
        ValueError: as in `by_patient`.
    """
    outer = by_patient(table, folds=FOLDS, held_out=fold, seed=seed)
    folds = {patient: SET_ASIDE if number == fold else number for patient, number in outer.folds.items()}
    return replace(outer, folds=folds, held_out=(fold + 1) % FOLDS)


def score_run(run: Run, slices: Slices) -> float:
    """The quality of a run on slices outside its training side: one number, higher is better.

    Args:
        run: a finished one.
        slices: for the score.

    Returns:
        For a recipe that segments, the mean Dice over the slices whose mask holds blood, at the recipe's threshold and
        size. For one that only classifies, the AUC of `any` over slices. If a slice is shown in several windows as
        separate samples, their scores are averaged.

    Raises:
        ValueError: if the model returns values that are not numbers, or the score is not defined on these slices.
    """
    recipe, model, still = run.recipe, run.model(), ValidationBatches(slices, run.recipe)
    predicted_masks, truths = [], []
    for i in range(len(still)):
        pictures, expected = still[i]
        outputs = model.predict_on_batch(pictures)
        outputs, truth = (
            (outputs[0], expected[0]) if isinstance(expected, tuple) else (outputs, expected)
        )  # with both outputs, the mask decides
        if not np.isfinite(outputs).all():
            raise ValueError("The model's outputs are not numbers: its training diverged.")
        if recipe.has_mask_output:
            masks, bloods = (_planes(outputs) >= recipe.threshold, _planes(truth) > 0.5)
            predicted_masks += [dice(blood, mask) for blood, mask in zip(bloods, masks, strict=True) if blood.any()]
        else:
            predicted_masks += six_scores(outputs, recipe.scheme)[:, ANY].tolist()
            truths += from_scheme(truth, recipe.scheme)[:, ANY].tolist()
    views = len(recipe.windows) if recipe.windows_as == "samples" else 1
    means = np.reshape(predicted_masks, (-1, views)).mean(axis=1)
    value = np.mean(predicted_masks) if recipe.has_mask_output else auc(np.array(truths[::views]), means)
    if not np.isfinite(value):
        raise ValueError(f"The inner fold cannot score {recipe.name}: it lacks slices with blood, or without.")
    return float(value)


def best_recipe(path: str | Path, name: str, *, fold: int | None, seed: int | None = None) -> Recipe:
    """The recipe with the best settings of a best.json, for the fold that the tuning never saw.

    Args:
        path: best.json.
        name: of the recipe.
        fold: the held-out fold; None trains on all patients.
        seed: for the folds, if not the recipe's own.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for settings of another recipe, or a fold or a seed that would report patients used for tuning.
    """
    best = json.loads(Path(path).read_text())
    recipe = recipe_from_json(best["recipe"])
    if recipe.name != name:
        raise ValueError(f"{path} holds settings of {recipe.name}, not of {name}.")
    if fold not in (None, best["fold"]):
        raise ValueError(
            f"{path} was tuned on patients of fold {fold} and set fold {best['fold']} apart; train with "
            f"--fold {best['fold']}."
        )
    if seed not in (None, recipe.seed):
        raise ValueError(
            f"{path} was tuned with the folds of seed {recipe.seed}; seed {seed} would mix them. Leave it out."
        )
    return recipe


def _check_scorable(recipe: Recipe, slices: Slices, split: Split) -> None:
    bleeding = slices.with_targets(recipe).bleeding
    if not bleeding.any() or (not recipe.has_mask_output and bleeding.all()):
        raise ValueError(
            f"Fold {split.held_out} cannot score trials: its slices {'all' if bleeding.any() else 'never'} show blood "
            f"that {recipe.name} could tell. Set another fold apart."
        )


def _choices_by_json(values: Sequence) -> dict[str, Any]:
    """Choices by their JSON, because Optuna keeps only plain values."""
    return {json.dumps(value, default=asdict): value for value in values}


def _draw_setting(trial: optuna.Trial, name: str, values: Sequence) -> object:
    if not is_range(values):
        choices = _choices_by_json(values)
        return choices[trial.suggest_categorical(name, list(choices))]
    low, high, scale = values
    is_whole = isinstance(low, int) and isinstance(high, int)
    return (trial.suggest_int if is_whole else trial.suggest_float)(name, low, high, log=scale == "log")


def _sampler(by: str, space: Mapping[str, Sequence], seed: int, number: int) -> optuna.samplers.BaseSampler:
    """Optuna's sampler for one trial. Each trial has its own seed, or a second session would repeat the draws of the
    first."""
    if by == "grid":
        return optuna.samplers.GridSampler(
            {name: list(_choices_by_json(values)) for name, values in space.items()}, seed=seed
        )
    trial_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if by == "random":
        return optuna.samplers.RandomSampler(seed=trial_seed)
    return optuna.samplers.TPESampler(seed=trial_seed, n_startup_trials=_AT_RANDOM)


def _objective(
    recipe: Recipe, slices: Store, out: Path, space: Mapping[str, Sequence], split: Split
) -> Callable[[optuna.Trial], float]:
    """A function of a trial that draws its settings, trains and scores."""

    def objective(trial: optuna.Trial) -> float:
        settings = {name: _draw_setting(trial, name, values) for name, values in space.items()}
        for earlier in trial.study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)):
            if earlier.params == trial.params and earlier.value is not None:
                return earlier.value
        started = time.monotonic()
        try:
            value, minutes = _run_trial(
                change_recipe(recipe, settings), slices, out / f"trial-{trial.number:03d}", split
            )
        except (ValueError, TypeError) as problem:  # a builder refuses a size it cannot halve, Python a wrong argument
            trial.set_user_attr("minutes", (time.monotonic() - started) / 60)
            trial.set_user_attr("problem", " ".join(str(problem).split()))
            raise
        trial.set_user_attr("minutes", minutes)
        return value

    return objective


def _run_trial(recipe: Recipe, slices: Store, folder: Path, split: Split) -> tuple[float, float]:
    """Train one trial, or finish it; returns its score on the inner fold and its minutes."""
    is_started = is_run(folder) and open_run(folder).recipe == recipe_from_json(recipe.as_json())
    if is_started and open_run(folder).weights.is_file():
        run = open_run(folder)
    else:
        run = train(recipe, slices, folder, split=split, resume=is_started)
    return score_run(run, Slices(slices, split.rows(slices.table, trained=False))), run.minutes


def _planes(pictures: np.ndarray) -> np.ndarray:
    """(n, y, x, 1), or (n, z, y, x, 1) with depth, as (n, y, x)."""
    return pictures.reshape(-1, *pictures.shape[-3:-1])


@contextmanager
def _study(path: Path, settings: dict) -> Iterator[optuna.Study]:
    """The study stored in a file, without an interrupted trial: it is repeated under its number."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # trials.csv lists each trial, failed ones with their reason
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")

    def opened() -> optuna.Study:
        return optuna.create_study(study_name="tuning", storage=storage, direction="maximize", load_if_exists=True)

    try:
        study = opened()
        if study.user_attrs.get("asked", settings) != settings:
            raise ValueError(f"{path.parent} holds a tuning of another recipe, space or data. Choose another folder.")
        trials = study.get_trials()
        if any(not _is_over(trial) for trial in trials):
            optuna.delete_study(study_name="tuning", storage=storage)
            study = opened()
            study.add_trials(trial for trial in trials if _is_over(trial))
        study.set_user_attr("asked", settings)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()  # otherwise Windows keeps the file locked
        optuna.logging.set_verbosity(before)


def _is_over(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial has a score or a reason for having none; Optuna also calls interrupted ones failed."""
    return trial.state == optuna.trial.TrialState.COMPLETE or "problem" in trial.user_attrs


def _minutes(trial: optuna.trial.FrozenTrial) -> float:
    return trial.user_attrs.get("minutes", 0.0)


def _settings(trial: optuna.trial.FrozenTrial, space: Mapping[str, Sequence]) -> dict[str, Any]:
    """The settings of a trial, with choices decoded from their JSON."""
    values = {name: trial.params[name] for name in space if name in trial.params}
    return {
        name: value if is_range(space[name]) else _choices_by_json(space[name])[value] for name, value in values.items()
    }


def _best(study: optuna.Study, out: Path, recipe: Recipe, space: Mapping[str, Sequence]) -> TuningResult:
    finished = [trial for trial in study.get_trials() if _is_over(trial)]
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in finished):
        why = finished[0].user_attrs["problem"] if finished else "there was no time for a trial."
        raise ValueError(f"None of {len(finished)} trials could be trained: {why}")
    settings = _settings(study.best_trial, space)
    return TuningResult(out, change_recipe(recipe, settings), settings, study.best_value, len(finished))


def _write(study: optuna.Study, out: Path, recipe: Recipe, space: Mapping[str, Sequence], split: Split) -> None:
    """trials.csv and best.json, after every trial."""
    finished = [trial for trial in study.get_trials() if _is_over(trial)]
    with (out / _TRIALS).open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["trial", *space, "score", "minutes", "problem"])
        for trial in finished:
            settings = [_format_value(value) for value in _settings(trial, space).values()]
            value = "" if trial.value is None else trial.value
            problem = trial.user_attrs.get("problem", "")
            lines.writerow([trial.number, *settings, value, f"{_minutes(trial):.2f}", problem])
    if all(trial.state == optuna.trial.TrialState.FAIL for trial in finished):
        return
    best = _best(study, out, recipe, space)
    whom: dict[str, list[str]] = {"trained": [], "scored": [], "apart": []}
    for patient, fold in split.folds.items():
        whom[{split.held_out: "scored", SET_ASIDE: "apart"}.get(fold, "trained")].append(patient)
    content = {
        "settings": best.settings,
        "score": best.score,
        "measure": "mean Dice of bleeding slices" if recipe.has_mask_output else "slice AUC of any",
        "trials": best.trials,
        "fold": study.user_attrs["asked"]["fold"],
        "inner_fold": split.held_out,
        "tuned_on": {"trained": whom["trained"], "scored": whom["scored"]},
        "set_apart": whom["apart"],
        "recipe": best.recipe.as_json(),
    }
    (out / _BEST).write_text(json.dumps(content, indent=1, default=asdict) + "\n")


def _format_value(value: object) -> str:
    """A value in the form of `--vary`."""
    if isinstance(value, tuple):
        return "+".join(map(str, value)) + "+" * (len(value) == 1)
    return json.dumps(asdict(value)) if isinstance(value, Augment) else str(value)
