"""Serving: ours (ONNX Runtime) against the same models by Keras `model.predict`, in turns, in one run.

    python benchmarks/serve.py [--rounds 5]

Cold is a new process, from its start to the first result: of one slice, and of a whole scan. Warm is `analyse` on a
34-slice 512x512 scan, each way in a process of its own that has done it before. Both get the same pictures, asked
straight and mirrored; Keras gets the whole scan in one call of `predict`, which is its fastest way.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
WAYS = ("onnx", "keras")


def main() -> None:
    """Measure in turns and print medians and ratios."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    options.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--slices", type=int, default=34, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child and chosen.warm:
        _warm_child(chosen.child)
        return
    if chosen.child:
        _child(chosen.child, chosen.slices)
        return
    seconds = {(what, way): [] for what in ("cold, one slice", "cold, 34 slices") for way in WAYS}
    for turn in range(chosen.rounds):
        for way in WAYS:
            for what, slices in (("cold, one slice", 1), ("cold, 34 slices", 34)):
                seconds[what, way].append(_cold(way, slices))
        print(f"cold round {turn + 1} of {chosen.rounds}", file=sys.stderr)
    for way, times in _warm(chosen.rounds).items():
        seconds["warm, 34 slices", way] = times
    for what in ("cold, one slice", "cold, 34 slices", "warm, 34 slices"):
        ours, theirs = (statistics.median(seconds[what, way]) for way in WAYS)
        print(f"{what:16}  ONNX Runtime {ours:6.2f} s   Keras predict {theirs:6.2f} s   ratio {theirs / ours:5.1f}")


def _cold(way: str, slices: int) -> float:
    """Seconds from the start of a process to its result."""
    start = time.perf_counter()
    command = [sys.executable, __file__, "--child", way, "--slices", str(slices)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return time.perf_counter() - start


def _child(way: str, slices: int) -> None:
    from ich_lib.predict import analyse

    scan = _scan(slices)
    analyse(scan, _models(way))


def _warm(rounds: int) -> dict[str, list[float]]:
    """Seconds of `analyse` on 34 slices, in turns, each way in a process of its own, as it would serve."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--warm", "--child"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    served = {way: subprocess.Popen([*command, way], env=quiet, **pipes) for way in WAYS}
    times = {way: [] for way in WAYS}
    for turn in range(rounds + 1):
        for way, process in served.items():
            process.stdin.write("\n")
            process.stdin.flush()
            seconds = float(process.stdout.readline())
            if turn:  # the first call compiles
                times[way].append(seconds)
    for process in served.values():
        process.stdin.close()
        process.wait()
    return times


def _warm_child(way: str) -> None:
    """Answer every line on stdin with the seconds that one `analyse` took."""
    from ich_lib import predict

    scan, models = _scan(34), _models(way)
    predict._CHUNK = len(scan.hu) if way == "keras" else predict._CHUNK
    for _ in sys.stdin:
        start = time.perf_counter()
        predict.analyse(scan, models)
        print(time.perf_counter() - start, flush=True)


def _scan(slices: int):
    """A head of 512x512 that costs nothing to make, so that only serving is timed."""
    import numpy as np

    from ich_lib.scan import Scan, axial_affine

    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    rho = np.hypot(x / 0.72, y / 0.88)
    head = np.select([rho < 0.92, rho < 1], [30, 1000], -1000).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 4, (slices, 512, 512)).astype(np.float32)
    return Scan(head + noise, axial_affine((5, 0.45, 0.45), (slices, 512, 512)))


def _models(way: str):
    """The shipped models, by their ONNX files or rebuilt in Keras from the weights beside them."""
    from ich_lib.engine import SHIPPED, Model, Models, load

    if way == "onnx":
        return load()
    from ich_lib.engine import recipe_from_json
    from ich_lib.export import with_heat
    from ich_lib.models import build

    found = []
    for path in SHIPPED.glob("*.json"):
        card = json.loads(path.read_text())
        recipe = recipe_from_json(card["recipe"])
        model = build(recipe)
        model.load_weights(path.with_suffix(".weights.h5"))
        found.append(Model(recipe.name, recipe, "", _predictor(with_heat(model), recipe), card))
    segmenter, classifier = (
        next(model for model in found if getattr(model.recipe, task)) for task in ("segments", "classifies")
    )
    return Models(segmenter, classifier)


def _predictor(model, recipe):
    from ich_lib.engine import answer_of

    def run(pictures):
        out = model.predict(pictures, verbose=0)
        return answer_of(out if isinstance(out, list | tuple) else [out], recipe)

    return run


if __name__ == "__main__":
    main()
