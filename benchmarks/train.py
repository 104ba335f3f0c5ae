"""Training a recipe: TensorFlow, JAX and PyTorch, those of them that are installed, in turns, in one run.

    python benchmarks/train.py --step
    python benchmarks/train.py [--recipe unet-both] [--steps 20] [--rounds 5] [--size 192] [--store FILE] [--devices 2]

Each backend trains in a process of its own, by `fit` on the recipe's own batches, and on one batch kept: the difference
is what a step waits for data. A round is `steps` steps of both; what compiles comes before the first. With --devices,
TensorFlow and JAX also share every batch among as many devices: GPUs where there are some, else virtual CPUs, which
show what sharing costs and gain nothing. Without a store the pictures are 12 phantoms. --step prints the one
number that the minutes of CONTRIBUTING.md are told beside: seconds of a training step of 8 pictures, by TensorFlow.
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
    chosen = options.parse_args()
    if chosen.child:
        _child(chosen)
        return
    if chosen.step:
        print(f"A training step of 8 pictures of 192 px, 2 M weights, takes {_step_s():.1f} s.")
        return
    chosen.store = chosen.store or _phantoms(chosen)
    rounds = _rounds([way for way in _ways(chosen.devices) if importlib.util.find_spec(way[0])], chosen)
    first = None
    for (backend, devices), told in rounds.items():
        speed, kept = (statistics.median(one[key] for one in told) for key in ("fit", "kept"))
        first = first or speed
        name = BACKENDS[backend] + (f", {devices} devices" if devices > 1 else "")
        waits = max(0.0, 1 - speed / kept)
        print(f"{name:22} {speed:7.1f} slices/s   ratio {speed / first:5.2f}   waits for data {100 * waits:4.1f} %")


def _step_s() -> float:
    """Median of eight steps, in float32, on pictures of noise."""
    import numpy as np

    from ich_lib.models.recipes import recipe
    from ich_lib.training.loop import compile_model

    model, rng = compile_model(replace(recipe("unet-both"), size=192, precision="float32"), 1), np.random.default_rng(0)
    noise = lambda shape: rng.random((8, *shape[1:]), "float32")  # noqa: E731
    batch, spent = (noise(model.input_shape), [noise(one.shape) for one in model.outputs]), []
    for _ in range(10):
        started = time.perf_counter()
        model.train_on_batch(*batch)
        spent.append(time.perf_counter() - started)
    return statistics.median(spent[2:])


def _ways(devices: int) -> list[tuple[str, int]]:
    """Backend and number of devices."""
    return [(backend, 1) for backend in BACKENDS] + [(backend, devices) for backend in SHARING if devices > 1]


def _phantoms(chosen: argparse.Namespace) -> Path:
    """Made once, before the children would all make them."""
    from ich_lib.data.phantoms import phantoms
    from ich_lib.models.recipes import recipe

    return phantoms(12, size=recipe(chosen.recipe).stored, field=recipe(chosen.recipe).field).path


def _rounds(ways: list[tuple[str, int]], chosen: argparse.Namespace) -> dict[tuple[str, int], list[dict]]:
    """Slices a second of every round, the ways taking turns."""
    served, told = {way: _started(*way, chosen) for way in ways}, {way: [] for way in ways}
    for turn in range(chosen.rounds + 1):
        for way, process in served.items():
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{BACKENDS[way[0]]} on {way[1]} device(s) ended early; see above.")
            if turn:  # the first call compiles
                told[way].append(json.loads(line))
        print(f"round {turn} of {chosen.rounds}", file=sys.stderr)
    for process in served.values():
        process.stdin.close()
        process.wait()
    return told


def _started(backend: str, devices: int, chosen: argparse.Namespace) -> subprocess.Popen:
    command = [sys.executable, __file__, "--child", "--devices", str(devices), "--store", str(chosen.store)]
    command += ["--recipe", chosen.recipe, "--steps", str(chosen.steps)]
    command += ["--size", str(chosen.size)] if chosen.size else []
    command += ["--precision", chosen.precision] if chosen.precision else []
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    told = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"} | ({"XLA_FLAGS": flags} if devices > 1 else {})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **told}, **pipes)


def _child(chosen: argparse.Namespace) -> None:
    """Answer every line on stdin with slices a second: trained on batches made on the way, and on one batch kept."""
    import keras
    import numpy as np

    if keras.backend.backend() == "tensorflow" and chosen.devices > 1:
        import tensorflow as tf

        parts = [tf.config.LogicalDeviceConfiguration()] * chosen.devices
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)

    from ich_lib.data.store import open_store
    from ich_lib.models.recipes import recipe
    from ich_lib.training.batches import Batches, Slices
    from ich_lib.training.devices import spread
    from ich_lib.training.loop import compile_model

    class Kept(keras.utils.PyDataset):
        """One batch, again and again."""

        def __init__(self, batch):
            super().__init__()
            self.one = batch

        def __len__(self):
            return chosen.steps + 1

        def __getitem__(self, index):
            return self.one

    class Clock(keras.callbacks.Callback):
        """When each step was done."""

        def on_train_begin(self, logs=None):
            self.done = []

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # waits for the device
            self.done.append(time.perf_counter())

    asked = recipe(chosen.recipe)
    asked = replace(asked, size=chosen.size or asked.size, precision=chosen.precision or asked.precision)
    asked = replace(asked, steps=chosen.steps + 1)  # the clock starts when the first one is done
    store = open_store(chosen.store)
    batches = Batches(Slices(store, np.arange(len(store))), asked)
    data, clock = {"fit": batches, "kept": Kept(batches.batch(0, 0))}, Clock()
    with spread(chosen.devices, batch=asked.batch):
        model = compile_model(asked, asked.steps)
        for _ in sys.stdin:
            speed = {}
            for name, some in data.items():
                model.fit(some, shuffle=False, verbose=0, callbacks=[clock])
                seconds = clock.done[-1] - clock.done[0]
                speed[name] = chosen.steps * asked.batch * asked.depth / seconds
            print(json.dumps(speed), flush=True)


if __name__ == "__main__":
    main()
