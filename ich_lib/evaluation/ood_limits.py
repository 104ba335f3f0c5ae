"""Measure a run's features on its training scans, once, for the card that `export` writes."""

from pathlib import Path

import keras
import numpy as np

from ich_lib.data import Table
from ich_lib.data.phantoms import phantom_cases
from ich_lib.evaluation import open_table
from ich_lib.models.recipe import Recipe
from ich_lib.models.run import fold_runs, open_run
from ich_lib.prediction.analyze import features
from ich_lib.prediction.engine import Model, ModelOutput, keras_outputs
from ich_lib.prediction.ood import QUANTILE, OodDetector, fit_features, fit_limits

N_PHANTOMS = 20  # heads that represent the in-distribution phantoms


def fit_ood(
    folder: str | Path, data: str | Path, folds: str | Path, *, phantoms: int = N_PHANTOMS, quantile: float = QUANTILE
) -> OodDetector:
    """A run's features on its training scans, and the distances of in-distribution scans.

    Args:
        folder: a finished run of a network that returns its features (`ich_lib.models.heat.add_heat_output`).
        data: its training data: the folder of a data set, or a file of `store` with whole slices.
        folds: a cross-validation of the same recipe on the same data, whose held-out scans set the limits.
        phantoms: how many of the training phantoms get a center of their own; not used for a recipe without phantoms.
        quantile: share of held-out scans that must stay below the limit.

    Raises:
        FileNotFoundError: if `folds` holds no runs.
        ValueError: if a model returns no features, or was not trained on this data.
    """
    table, runs = open_table(data), fold_runs(folds)
    if not runs:
        raise FileNotFoundError(
            f"{folds} holds no runs fold-0, fold-1, ...; make them with python -m ich_lib crossval."
        )
    phantom_hu, far = phantom_volumes(open_run(folder).recipe, phantoms), []
    for run in runs:
        model = feature_model(run)
        detector = OodDetector(*fit_run_features(model, run, table, phantom_hu), {}, quantile)
        far += held_out_distances(detector, model, run, table)
    return OodDetector(
        *fit_run_features(feature_model(folder), folder, table, phantom_hu),
        fit_limits(far, quantile=quantile),
        quantile,
    )


def fit_run_features(
    model: Model, run: str | Path, table: Table, phantom_hu: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Centers and whitening of the features of `feature_model`, for the training patients of a run and for phantoms'
    HU."""
    real = [_features(model, table, rows) for rows in _scans_of_side(run, table, trained=True)]
    return fit_features(
        [
            np.concatenate(features_of_kind)
            for features_of_kind in (real, [features(hu, model) for hu in phantom_hu])
            if features_of_kind
        ]
    )


def held_out_distances(detector: OodDetector, model: Model, run: str | Path, table: Table) -> list[np.ndarray]:
    """(z,) distances of the slices of each scan that a run held out."""
    return [detector.distances(_features(model, table, rows)) for rows in _scans_of_side(run, table, trained=False)]


def feature_model(folder: str | Path) -> Model:
    """The part of a run's network that computes its features, as a model for `prediction.analyze.features`: half the
    time.

    Raises:
        ValueError: if it has no such part.
    """
    run = open_run(folder)
    network = run.model() if run.recipe.is_network else None
    if network is None or not {"features", "pool"} <= {layer.name for layer in network.layers}:
        raise ValueError(f"{run.recipe.name} pools no features, so it has no out-of-distribution test.")
    ask = keras_outputs(keras.Model(network.input, network.get_layer("pool").output))
    return Model(run.recipe.name, run.recipe, "", lambda pictures: ModelOutput(features=ask(pictures)[0]), {})


def _scans_of_side(folder: str | Path, table: Table, *, trained: bool) -> list[np.ndarray]:
    """Row numbers of each scan in a run's training set, or of each held-out scan."""
    patients = set(open_run(folder).patients(trained=trained))
    scans = [rows for rows in table.scans() if str(table.patient[rows[0]]) in patients]
    if not scans:
        side = "was trained on" if trained else "held out"
        raise ValueError(f"{folder} {side} none of the patients of {table.name}; name the data it was trained on.")
    return scans


def phantom_volumes(recipe: Recipe, count: int) -> list[np.ndarray]:
    """HU of the first phantoms of a recipe's training."""
    if not recipe.mixes_phantoms:
        return []
    # made like those of `train`
    cases = phantom_cases(min(count, recipe.phantoms), recipe.seed + 1, pixels=recipe.stored)
    return [case.scan.hu for case in cases]


def _features(model: Model, table: Table, rows: np.ndarray) -> np.ndarray:
    return features(np.stack([table.hu(row) for row in rows]), model)
