"""Serving: ours (ONNX Runtime) compared with the same models by Keras `model.predict`, in turns, in one run.

    python benchmarks/serve.py [--rounds 5]
    python benchmarks/serve.py --page [--rounds 5]

Cold is a new process, from its start to the first result: for one slice, and for a whole scan. Warm is `analyze` on a
34-slice 512x512 scan, each way in a process that has done it before. Both get the same pictures, as they are and
mirrored; Keras gets the whole scan in one call of `predict`, which is its fastest way.

With `--page`, the demo itself in Chromium. Start is the time from the process to its first answer. Memory is of the
process and all its children, at its first answer and after its samples are read. First picture and full result are
measured from the moment that a 34-slice 512x512 NIfTI is given to the upload box, until a slice of it is drawn and
until all are there.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
BACKENDS = ("onnx", "keras")


def main() -> None:
    """Measure in turns and print medians and ratios."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--page", action="store_true", help="measure the demo in a browser")
    options.add_argument("--child", choices=BACKENDS, help=argparse.SUPPRESS)
    options.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--slices", type=int, default=34, help=argparse.SUPPRESS)
    settings = options.parse_args()
    if settings.child and settings.warm:
        _warm_child(settings.child)
        return
    if settings.child:
        _child(settings.child, settings.slices)
        return
    if settings.page:
        _page(settings.rounds)
        return
    seconds = {(task, method): [] for task in ("cold, one slice", "cold, 34 slices") for method in BACKENDS}
    for turn in range(settings.rounds):
        for method in BACKENDS:
            for task, slices in (("cold, one slice", 1), ("cold, 34 slices", 34)):
                seconds[task, method].append(_cold(method, slices))
        print(f"cold round {turn + 1} of {settings.rounds}", file=sys.stderr)
    for method, times in _warm(settings.rounds).items():
        seconds["warm, 34 slices", method] = times
    for task in ("cold, one slice", "cold, 34 slices", "warm, 34 slices"):
        own_s, other_s = (statistics.median(seconds[task, method]) for method in BACKENDS)
        print(f"{task:16}  ONNX Runtime {own_s:6.2f} s   Keras predict {other_s:6.2f} s   ratio {other_s / own_s:5.1f}")


def _page(rounds: int) -> None:
    """Start, idle memory, and the time of a scan from the upload box to the screen."""
    from playwright.sync_api import sync_playwright

    from tests.served import Server

    folder, start_s, work_s, born_mb = Path(tempfile.mkdtemp()), [], [], []
    scan = _scan_file(folder)
    for turn in range(rounds):
        with Server(folder) as server:
            start_s.append(server.start_s)
            work_s.append(server.worked_s() or float("nan"))
            born_mb.append(server.memory_mb())
            if turn == rounds - 1:
                server.wait_until_idle()  # the samples are read
                idle_mb = server.memory_mb()
                flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
                with sync_playwright() as kit:
                    browser = kit.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
                    first_s, full_s = zip(
                        *(_seconds_to_pictures(browser, server.url, scan) for _ in range(rounds)), strict=True
                    )
                    browser.close()
                used_mb = server.memory_mb()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {rounds}")
    print(f"start, CPU time  {statistics.median(work_s):6.2f} s   (wanted: under 5 s)")
    for label, values, limit in (("start", start_s, 4), ("first picture", first_s, 3), ("full result", full_s, 6)):
        print(f"{label:16} {statistics.median(values):6.2f} s   (wanted: under {limit} s)")
    print(f"memory           {statistics.median(born_mb):6.0f} MB at the first answer")
    print(f"                 {idle_mb:6.0f} MB idle, samples read   (wanted: under 500 MB)")
    print(f"                 {used_mb:6.0f} MB after {rounds} scans")


def _seconds_to_pictures(browser, url: str, scan: Path) -> tuple[float, float]:
    """Seconds from the upload box to the first picture and to the last."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(url)
    page.wait_for_selector('.viewer[data-ready="yes"][data-decoded="all"]', timeout=120_000)
    start = time.perf_counter()
    page.set_input_files("#files input[type=file]", scan)
    page.wait_for_function(
        "() => document.querySelector('.origin').textContent.startsWith('Your scan')", timeout=120_000
    )
    page.wait_for_selector('.viewer[data-ready="yes"]', timeout=120_000)
    first_s = time.perf_counter() - start
    page.wait_for_selector('.viewer[data-found="yes"][data-decoded="all"]', timeout=120_000)
    full_s = time.perf_counter() - start
    page.close()
    return first_s, full_s


def _scan_file(folder: Path) -> Path:
    import numpy as np

    from ich_lib.reports import write_nifti

    scan = _scan(34)
    write_nifti(folder / "head.nii.gz", np.round(scan.hu).astype(np.int16), scan)
    return folder / "head.nii.gz"


def _cold(method: str, slices: int) -> float:
    """Seconds from the start of a process to its result."""
    start = time.perf_counter()
    command = [sys.executable, __file__, "--child", method, "--slices", str(slices)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return time.perf_counter() - start


def _child(method: str, slices: int) -> None:
    from ich_lib.prediction.analyze import analyze

    scan = _scan(slices)
    analyze(scan, _models(method))


def _warm(rounds: int) -> dict[str, list[float]]:
    """Seconds of `analyze` on 34 slices, in turns, each way in a separate process, as in serving."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--warm", "--child"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    served = {method: subprocess.Popen([*command, method], env=quiet, **pipes) for method in BACKENDS}
    times = {method: [] for method in BACKENDS}
    for turn in range(rounds + 1):
        for method, process in served.items():
            process.stdin.write("\n")
            process.stdin.flush()
            seconds = float(process.stdout.readline())
            if turn:  # the first call compiles
                times[method].append(seconds)
    for process in served.values():
        process.stdin.close()
        process.wait()
    return times


def _warm_child(method: str) -> None:
    """Answer every line on stdin with the seconds that one `analyze` took."""
    from ich_lib.prediction import analyze

    scan, models = _scan(34), _models(method)
    analyze._CHUNK = len(scan.hu) if method == "keras" else analyze._CHUNK
    for _ in sys.stdin:
        start = time.perf_counter()
        analyze.analyze(scan, models)
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


def _models(method: str):
    """The shipped models, from their ONNX files or rebuilt in Keras from the weights beside them."""
    from ich_lib.prediction.engine import WEIGHTS, Model, Models, load

    if method == "onnx":
        return load()
    from ich_lib.models.builders import build
    from ich_lib.models.heat import add_heat_output
    from ich_lib.prediction.engine import recipe_from_json

    models = []
    for path in WEIGHTS.glob("*.json"):
        card = json.loads(path.read_text())
        recipe = recipe_from_json(card["recipe"])
        model = build(recipe)
        model.load_weights(path.with_suffix(".weights.h5"))
        models.append(Model(recipe.name, recipe, "", _predictor(add_heat_output(model), recipe), card))
    segmenter = next(model for model in models if model.recipe.has_mask_output)
    classifier = next(model for model in models if model.recipe.has_score_output)
    return Models(segmenter, classifier)


def _predictor(model, recipe):
    from ich_lib.prediction.engine import model_output

    def run(pictures):
        out = model.predict(pictures, verbose=0)
        return model_output(out if isinstance(out, list | tuple) else [out], recipe)

    return run


if __name__ == "__main__":
    main()
