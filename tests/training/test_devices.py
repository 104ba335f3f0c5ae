"""Training on two virtual CPUs compared with one: each in its own process, because a backend counts its devices
once."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from ich_lib.data.phantoms import phantoms
from ich_lib.models.losses import LOSSES
from ich_lib.models.run import open_run
from ich_lib.training.batches import Slices, ValidationBatches
from ich_lib.training.devices import distribute
from ich_lib.training.train import train
from tests.conftest import ROOT, tiny_recipes

VIRTUAL = """
import os, sys, json, keras, numpy as np
from dataclasses import replace
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from ich_lib.training import loop, train as t
from ich_lib.training.devices import distribute
from ich_lib.models.losses import LOSSES
from tests.conftest import tiny_recipes
"""
# A model whose result does not depend on how a batch is divided: no batch normalization, no dropout.
TRAINED = """
from ich_lib.models.recipe import Recipe
shape = {"size": 32, "stored": 64, "phantoms": 6, "batch": 4, "steps": 2, "epochs": 5, "precision": "float32"}
plain = Recipe("plain", "classify", "cnn_001", {"dropout": 0.0}, loss="bce", learning_rate=1e-4, **shape)
one, two = (t.train(plain, None, f"{sys.argv[1]}/{n}", devices=n) for n in (1, 2))
"""
RESUMED = """
end = loop._Checkpoints.on_epoch_end
def stop(self, epoch, logs=None):
    end(self, epoch, logs)
    if epoch == 1: raise KeyboardInterrupt
loop._Checkpoints.on_epoch_end = stop
try: t.train(plain, None, f"{sys.argv[1]}/cut", devices=2)
except KeyboardInterrupt: pass
loop._Checkpoints.on_epoch_end = end
cut = t.train(plain, None, f"{sys.argv[1]}/cut", devices=2, resume=True)
"""
# The last epoch of a run is judged, so there is a partial batch of held-out slices; all layers of the tiny U-Net run.
PLAIN_RUN = """
usual = replace(tiny_recipes()[0], steps=10, epochs=5, learning_rate=1e-2, schedule="plateau", halve=1,
                loss="slice_dice_bce", mix=(1, 0, 0, 0))
run = t.train(usual, None, f"{sys.argv[1]}/usual", devices=2)
"""
# The weights move by the slope itself, so a slope that is N times too large is visible.
STEP = """
def stepped(n, name, truth):
    with distribute(n, batch=4):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same",
                                  activation="sigmoid", name="c", kernel_regularizer="l2")])
        model.compile(keras.optimizers.SGD(1.0), LOSSES[name])
        x = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
        loss = model.fit(x, truth, batch_size=4, verbose=0, shuffle=False).history["loss"][0]
        return [loss, *(float(w) for w in np.concatenate([w.ravel() for w in model.get_weights()]))]
half = (np.random.default_rng(1).random((2, 8, 8, 1)) < 0.3).astype("float32")
truth = np.concatenate([half, half])
losses = {name: [stepped(n, name, truth) for n in (1, 2)] for name in ("tversky", "dice_bce", "slice_dice_bce")}
print(json.dumps(losses))
"""


BACKENDS = ["tensorflow", pytest.param("jax", marks=pytest.mark.backends)]


@pytest.fixture(scope="module", params=BACKENDS)
def on_two(request, tmp_path_factory):
    """Backend, folder of the runs, and losses with the weights after a step, if the backend has two CPUs."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, json.loads(seen_two(request.param, TRAINED + RESUMED + STEP, folder).splitlines()[-1])


@pytest.fixture(scope="module", params=BACKENDS)
def usual_on_two(request, tmp_path_factory):
    """The run of USUAL."""
    folder = tmp_path_factory.mktemp(f"usual-{request.param}")
    seen_two(request.param, PLAIN_RUN, folder)
    return open_run(folder / "usual")


def seen_two(backend, code, folder) -> str:
    """The output of code in a process whose backend has two CPUs. It gets `folder` in sys.argv[1]."""
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    output = {"KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    run = subprocess.run(
        [sys.executable, "-c", VIRTUAL + code, folder],
        env={**os.environ, **output, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


def weights(run):
    return np.concatenate([w.ravel() for w in open_run(run).model().get_weights()])


@pytest.mark.long
def test_two_devices_train_the_weights_of_one_and_a_stopped_run_goes_on(on_two):
    _, folder, _ = on_two
    first, second, cut = (weights(folder / name) for name in ("1", "2", "cut"))
    assert np.abs(second - first).max() < 1e-4
    assert np.abs(cut - second).max() < 1e-5
    shared, single = (open_run(folder / name).history() for name in ("2", "1"))
    assert [item.loss for item in shared] == pytest.approx([item.loss for item in single], abs=1e-4)
    assert shared[-1].val_loss is not None
    assert [item.epoch for item in open_run(folder / "cut").history()] == [1, 2, 3, 4, 5]


def test_normalization_dropout_dice_and_a_plateau_train_on_two_devices(usual_on_two):
    history = usual_on_two.history()
    assert history[-1].loss < 0.9 * history[0].loss
    assert np.isfinite(history[-1].val_loss)


@pytest.mark.long
def test_two_devices_pull_no_harder_than_one(on_two):
    """Both halves of the batch have the same truth, so a Dice over one half is nearly that over the batch."""
    backend, _, output = on_two
    for name, (first, second) in output.items():
        share = backend == "tensorflow" and name == "dice_bce"
        assert second == pytest.approx(first, abs=5e-3 if share else 1e-5), name


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_number_a_picture(name):
    """Keras divides no other loss by the number of devices: see `distribute`."""
    score = np.full((4, 6), 0.3, "float32")
    loss = getattr(LOSSES[name], "call", LOSSES[name])
    assert loss(np.eye(4, 6, dtype="float32"), score).shape[:1] == (4,)


def test_the_last_batch_of_validation_is_filled_up_for_all_devices():
    recipe = tiny_recipes()[0]
    store = phantoms(6, size=64, field="head")
    three = Slices(store, np.arange(5))
    assert [len(x) for x, _ in (ValidationBatches(three, recipe)[i] for i in range(2))] == [4, 1]
    filled = ValidationBatches(three, recipe, multiple=2)
    assert [len(filled[i][0]) for i in range(len(filled))] == [4, 2]
    assert np.array_equal(filled[1][0][1], filled[0][0][0])
    single = ValidationBatches(Slices(store, np.arange(1)), recipe, multiple=4)
    assert len(single[0][0]) == 4


def test_devices_that_are_not_there_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match=r"4 devices were requested, tensorflow sees \d: .pu:0"):
        train(tiny_recipes()[0], None, tmp_path / "run", devices=4)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="batch of 4 cannot be shared evenly by 3 devices"):
        train(tiny_recipes()[0], None, tmp_path / "run", devices=3)
    with pytest.raises(ValueError, match="devices must be 1 or more; got 0"):
        distribute(0, batch=4)


def test_pytorch_is_told_to_use_another_backend(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="with TensorFlow or JAX, not with torch: set KERAS_BACKEND"):
        distribute(2, batch=4)
