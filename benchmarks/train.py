"""Training a recipe on TensorFlow, JAX and PyTorch, if they are installed, in turns, in one run.

    python benchmarks/train.py --step
    python benchmarks/train.py [--recipe unet-both] [--steps 20] [--rounds 5] [--size 192] [--store FILE] [--devices 2]

Each backend trains in a separate process, by `fit` on the recipe's own batches, and on one stored batch: the difference
is the time that a step waits for data. A round is `steps` steps of both; compilation comes before the first. With
--devices, TensorFlow and JAX also share every batch among several devices: GPUs if there are any, else virtual CPUs,
which show the cost of sharing and gain nothing. Without a store the pictures are 12 phantoms. --step prints the number
that belongs to the time limits of CONTRIBUTING.md: seconds of a training step of 8 pictures, by TensorFlow.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
SHARING = ("tensorflow", "jax")


def main() -> None:
    """Measure in turns and print medians and ratios."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--recipe", default="unet-both")
    options.add_argument("--steps", type=int, default=20, help="measured in a round (default 20)")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--size", type=int, help="side of a picture in pixels, instead of the recipe's")
    options.add_argument("--precision", help="Keras dtype policy such as float32, instead of the recipe's")
    options.add_argument("--store", type=Path, help="what python -m ich_lib store wrote; without it, 12 phantoms")
    options.add_argument("--devices", type=int, default=1, help="that share a batch, measured beside one")
    options.add_argument("--step", action="store_true", help="print seconds of a training step, and nothing else")
    options.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    settings = options.parse_args()
    if settings.child:
        _child(settings)
        return
    if settings.step:
        print(f"A training step of 8 pictures of 192 px, 2 M weights, takes {_step_s():.1f} s.")
        return
    settings.store = settings.store or _phantoms(settings)
    rounds = _rounds(
        [method for method in _configurations(settings.devices) if importlib.util.find_spec(method[0])], settings
    )
    first = None
    for (backend, devices), results in rounds.items():
        speed, memory = (statistics.median(result[key] for result in results) for key in ("fit", "kept"))
        first = first or speed
        name = BACKENDS[backend] + (f", {devices} devices" if devices > 1 else "")
        waits = max(0.0, 1 - speed / memory)
        print(f"{name:22} {speed:7.1f} slices/s   ratio {speed / first:5.2f}   waits for data {100 * waits:4.1f} %")


def _step_s() -> float:
    """Median of eight steps, in float32, on pictures of noise."""
    import numpy as np

    from ich_lib.models.recipes import get_recipe
    from ich_lib.training.loop import compile_model

    model, rng = (
        compile_model(replace(get_recipe("unet-both"), size=192, precision="float32"), 1),
        np.random.default_rng(0),
    )
    noise = lambda shape: rng.random((8, *shape[1:]), "float32")  # noqa: E731
    batch, steps_s = (noise(model.input_shape), [noise(output.shape) for output in model.outputs]), []
    for _ in range(10):
        started = time.perf_counter()
        model.train_on_batch(*batch)
        steps_s.append(time.perf_counter() - started)
    return statistics.median(steps_s[2:])


def _configurations(devices: int) -> list[tuple[str, int]]:
    """Backend and number of devices."""
    return [(backend, 1) for backend in BACKENDS] + [(backend, devices) for backend in SHARING if devices > 1]


def _phantoms(settings: argparse.Namespace) -> Path:
    """Made once, so that the children do not all make them."""
    from ich_lib.data.phantoms import phantoms
    from ich_lib.models.recipes import get_recipe

    return phantoms(12, size=get_recipe(settings.recipe).stored, field=get_recipe(settings.recipe).field).path


def _rounds(methods: list[tuple[str, int]], settings: argparse.Namespace) -> dict[tuple[str, int], list[dict]]:
    """Slices a second of every round, the ways taking turns."""
    served, results = {method: _started(*method, settings) for method in methods}, {method: [] for method in methods}
    for turn in range(settings.rounds + 1):
        for method, process in served.items():
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{BACKENDS[method[0]]} on {method[1]} device(s) ended early; see above.")
            if turn:  # the first call compiles
                results[method].append(json.loads(line))
        print(f"round {turn} of {settings.rounds}", file=sys.stderr)
    for process in served.values():
        process.stdin.close()
        process.wait()
    return results


def _started(backend: str, devices: int, settings: argparse.Namespace) -> subprocess.Popen:
    command = [sys.executable, __file__, "--child", "--devices", str(devices), "--store", str(settings.store)]
    command += ["--recipe", settings.recipe, "--steps", str(settings.steps)]
    command += ["--size", str(settings.size)] if settings.size else []
    command += ["--precision", settings.precision] if settings.precision else []
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"} | (
        {"XLA_FLAGS": flags} if devices > 1 else {}
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **environment}, **pipes)


def _child(settings: argparse.Namespace) -> None:
    """Answer every line on stdin with slices per second: trained on batches made in the background, and on one stored
    batch."""
    import keras
    import numpy as np

    if keras.backend.backend() == "tensorflow" and settings.devices > 1:
        import tensorflow as tf

        devices = [tf.config.LogicalDeviceConfiguration()] * settings.devices
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)

    from ich_lib.data.store import open_store
    from ich_lib.models.recipes import get_recipe
    from ich_lib.training.batches import Batches, Slices
    from ich_lib.training.devices import distribute
    from ich_lib.training.loop import compile_model

    class RepeatedBatch(keras.utils.PyDataset):
        """One batch, again and again."""

        def __init__(self, batch):
            super().__init__()
            self.batch = batch

        def __len__(self):
            return settings.steps + 1

        def __getitem__(self, index):
            return self.batch

    class Clock(keras.callbacks.Callback):
        """When each step was done."""

        def on_train_begin(self, logs=None):
            self.step_ends = []

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # waits for the device
            self.step_ends.append(time.perf_counter())

    recipe_ = get_recipe(settings.recipe)
    recipe_ = replace(recipe_, size=settings.size or recipe_.size, precision=settings.precision or recipe_.precision)
    recipe_ = replace(recipe_, steps=settings.steps + 1)  # the clock starts when the first one is done
    store = open_store(settings.store)
    batches = Batches(Slices(store, np.arange(len(store))), recipe_)
    data, clock = {"fit": batches, "kept": RepeatedBatch(batches.batch(0, 0))}, Clock()
    with distribute(settings.devices, batch=recipe_.batch):
        model = compile_model(recipe_, recipe_.steps)
        for _ in sys.stdin:
            speed = {}
            for name, slices in data.items():
                model.fit(slices, shuffle=False, verbose=0, callbacks=[clock])
                seconds = clock.step_ends[-1] - clock.step_ends[0]
                speed[name] = settings.steps * recipe_.batch * recipe_.depth / seconds
            print(json.dumps(speed), flush=True)


if __name__ == "__main__":
    main()
