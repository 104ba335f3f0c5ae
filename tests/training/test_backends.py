"""Every recipe learns one step on TensorFlow, and a sample of the recipes learns the same step on JAX and PyTorch.

The networks have all their layers but get small pictures of synthetic heads.
"""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from ich_lib.data.phantoms import phantoms
from ich_lib.models.recipe import Recipe
from ich_lib.models.recipes import RECIPES
from ich_lib.training.batches import Batches, Slices
from ich_lib.training.loop import compile_model
from tests.conftest import ROOT

# The recipes of scikit-learn have no steps to learn; their own tests train them.
BY_STEPS = [name for name, recipe in RECIPES.items() if recipe.builder != "classical"]
# One of each kind, without dropout, because every backend draws dropout in its own way.
SAMPLE = {
    "unet-both": {"filters": (8, 16), "dropout": 0.0},
    "densenet-small": {"blocks": (2, 2), "growth": 8, "dropout": 0.0},
    "unet2d-002b": {"filters": (8, 16)},
    "vanilla-004": {},
    "unet3d-001": {"filters": (4, 8), "narrow": True},
    "resnet50-004": {"base": "MobileNetV2", "trainable": "none"},  # the fastest of all backbones to compile
}


def small(recipe: Recipe) -> Recipe:
    """Pictures as small as the layers allow: 96 px for networks made for ImageNet, else 32; 8 slices deep."""
    size = 96 if recipe.builder in ("backbone", "alexnet_004", "ensemble") else 32
    depth = 8 if recipe.depth > 1 else 1
    return replace(recipe, size=size, stored=64, depth=depth, batch=2, steps=1, phantoms=6, precision="float32")


def batches(recipe: Recipe) -> Batches:
    """One small store for each field of view, made once per session."""
    store = phantoms(recipe.phantoms, size=recipe.stored, field=recipe.field)
    return Batches(Slices(store, np.arange(len(store))), recipe)


def weights_changed(model, before) -> list[bool]:
    return [bool((actual != reference).any()) for actual, reference in zip(values(model), before, strict=True)]


def values(model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.trainable_weights]


@pytest.mark.parametrize("name", BY_STEPS)
def test_every_recipe_learns_a_step(name):
    keras.utils.set_random_seed(0)
    recipe = small(RECIPES[name])
    model = compile_model(recipe, 1)
    model.run_eagerly = True  # TensorFlow needs half a minute to build a graph of 169 layers, for one step
    before = values(model)
    losses = model.train_on_batch(*batches(recipe).batch(0, 0))
    assert np.isfinite(losses).all()
    moved = weights_changed(model, before)
    assert sum(moved) > len(moved) / 2  # with two pictures some slopes are lost in Adam's epsilon


def steps(folder: Path, *, save: bool = False) -> dict[str, list[float]]:
    """The losses of two steps of every sampled recipe, with the weights in `folder`, which one backend saves."""
    output = {}
    for name, options in SAMPLE.items():
        keras.utils.set_random_seed(0)
        recipe = small(replace(RECIPES[name], options=options))
        model = compile_model(recipe, 1)
        model.run_eagerly = save  # JAX is compiled, as in training; TensorFlow would need longer to build the graph
        if save:
            model.save_weights(folder / f"{name}.weights.h5")
        model.load_weights(folder / f"{name}.weights.h5")
        before = values(model)
        output[name] = [float(np.ravel(model.train_on_batch(*batches(recipe).batch(0, 0)))[0]) for _ in range(2)]
        assert all(weights_changed(model, before)), name
    return output


@pytest.fixture(scope="module")
def on_tensorflow(tmp_path_factory):
    """The folder of the weights, and the losses with them."""
    folder = tmp_path_factory.mktemp("weights")
    return folder, steps(folder, save=True)


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_learns_what_tensorflow_learns(backend, request):
    """The same batch and the same weights give the same loss. After one step on it they give about the same loss
    again."""
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    folder, expected = request.getfixturevalue("on_tensorflow")
    code = (
        "import json, sys; from pathlib import Path; from tests.training import test_backends as t\n"
        "print(json.dumps(t.steps(Path(sys.argv[1]))))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, folder],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    output = json.loads(run.stdout.splitlines()[-1])
    for name, (first, second) in expected.items():
        assert output[name][0] == pytest.approx(first, abs=1e-3), name
        assert output[name][1] == pytest.approx(second, abs=2e-2), name
