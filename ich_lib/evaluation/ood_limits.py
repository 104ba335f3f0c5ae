"""What a run's features are like on scans as it learned from: measured once, for the card that `export` writes."""

from pathlib import Path

import keras
import numpy as np

from ich_lib.data import Table
from ich_lib.data.phantoms import phantom_cases
from ich_lib.evaluation import opened
from ich_lib.models.recipes import Recipe
from ich_lib.models.run import fold_runs, open_run
from ich_lib.prediction.analyze import features
from ich_lib.prediction.engine import Answer, Model, asked
from ich_lib.prediction.ood import QUANTILE, Usual, fit, limits

PHANTOMS = 20  # heads that show what usual phantoms are


def learned(
    folder: str | Path, data: str | Path, folds: str | Path, *, phantoms: int = PHANTOMS, quantile: float = QUANTILE
) -> Usual:
    """What a run's features are like on the scans it learned from, and how far usual scans lie from them.

    Args:
        folder: a finished run of a network that tells its features (`ich_lib.models.heat.with_heat`).
        data: what it was trained on: the folder of a data set, or a file of `store` that holds whole slices.
        folds: a cross-validation of the same recipe on the same data, whose scans held out draw the limits.
        phantoms: heads made by code, of those it was trained on too, that get a center of their own; none for a recipe
            that mixes none in.
        quantile: share of scans held out that shall stay below the limit.

    Raises:
        FileNotFoundError: if `folds` holds no runs.
        ValueError: if a model tells no features, or was not trained on this data.
    """
    table, runs = opened(data), fold_runs(folds)
    if not runs:
        raise FileNotFoundError(
            f"{folds} holds no runs fold-0, fold-1, ...; make them with python -m ich_lib crossval."
        )
    made, far = made_heads(open_run(folder).recipe, phantoms), []
    for run in runs:
        model = pooling(run)
        own = Usual(*fitted(model, run, table, made), {}, quantile)
        far += held_out(own, model, run, table)
    return Usual(*fitted(pooling(folder), folder, table, made), limits(far, quantile=quantile), quantile)


def fitted(model: Model, run: str | Path, table: Table, made: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Centers and whitening of what `pooling` says of the patients a run was trained on, and of phantoms' HU."""
    real = [_features(model, table, rows) for rows in _side(run, table, trained=True)]
    return fit([np.concatenate(some) for some in (real, [features(hu, model) for hu in made]) if some])


def held_out(usual: Usual, model: Model, run: str | Path, table: Table) -> list[np.ndarray]:
    """(z,) distances of the slices of each scan that a run held out."""
    return [usual.distances(_features(model, table, rows)) for rows in _side(run, table, trained=False)]


def pooling(folder: str | Path) -> Model:
    """The part of a run's network that makes its features, as a model for `prediction.analyze.features`: half the time.

    Raises:
        ValueError: if it has none.
    """
    run = open_run(folder)
    whole = run.model() if run.recipe.is_network else None
    if whole is None or not {"features", "pool"} <= {layer.name for layer in whole.layers}:
        raise ValueError(f"{run.recipe.name} pools no features, so nobody can tell which scans are usual to it.")
    ask = asked(keras.Model(whole.input, whole.get_layer("pool").output))
    return Model(run.recipe.name, run.recipe, "", lambda pictures: Answer(features=ask(pictures)[0]), {})


def _side(folder: str | Path, table: Table, *, trained: bool) -> list[np.ndarray]:
    """Row numbers of each scan that a run was trained on, or held out."""
    patients = set(open_run(folder).patients(trained=trained))
    found = [rows for rows in table.scans() if str(table.patient[rows[0]]) in patients]
    if not found:
        what = "was trained on" if trained else "held out"
        raise ValueError(f"{folder} {what} none of the patients of {table.name}; name the data it was trained on.")
    return found


def made_heads(recipe: Recipe, count: int) -> list[np.ndarray]:
    """HU of phantoms, the first of those that a recipe mixes into its training."""
    if recipe.sampling != "mix" or not recipe.mix[3]:
        return []
    cases = phantom_cases(min(count, recipe.phantoms), recipe.seed + 1, pixels=recipe.stored)  # as `train` makes them
    return [case.scan.hu for case in cases]


def _features(model: Model, table: Table, rows: np.ndarray) -> np.ndarray:
    return features(np.stack([table.hu(row) for row in rows]), model)
