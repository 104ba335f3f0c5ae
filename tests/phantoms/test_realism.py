"""Phantoms are real enough to learn from: a model that has seen nothing else finds blood in patients."""

import numpy as np
import pytest

from ich_lib.labels import ANY
from ich_lib.measures.metrics import auc
from ich_lib.measures.statistics import patient_bootstrap
from ich_lib.models.recipes import Recipe
from ich_lib.training.batches import Slices, Still
from ich_lib.training.train import train

RECIPE = Recipe(
    "phantoms-only",
    "segment",
    "unet2d",
    {"filters": (8, 16, 32, 64)},
    size=96,
    stored=128,
    phantoms=48,
    mix=(0.5, 0.25, 0.25, 0.0),
    steps=400,
    epochs=1,
    learning_rate=2e-3,
    precision="float32",
    seed=7,
)


@pytest.mark.long
def test_a_model_trained_on_phantoms_alone_tells_bleeding_slices_of_patients_better_than_chance(ct_ich_store, tmp_path):
    """A minute of training; the 95 % interval, patients resampled, lies above 0.5. A longer run: see DATA_CARD.md."""
    run = train(RECIPE, None, tmp_path / "run", fold=None)
    model, slices = run.model(), Still(Slices(ct_ich_store, np.arange(len(ct_ich_store))), RECIPE)
    blood = np.concatenate([model.predict_on_batch(slices[i][0])[..., 0] for i in range(len(slices))])
    evidence = np.sort(blood.reshape(len(blood), -1), axis=1)[:, -15:].mean(axis=1)
    table = ct_ich_store.table
    patients = [(table.labels[rows, ANY], evidence[rows]) for rows in table.scans()]
    found = patient_bootstrap(patients, lambda some: auc(*(np.concatenate(part) for part in zip(*some, strict=True))))
    assert found.n_patients == 66
    assert found.low > 0.5, str(found)
