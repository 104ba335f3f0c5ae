"""Many scans: `ich predict --many` compared with a plain loop over Keras, and the memory it needs.

    python benchmarks/archive.py [--n 200] [--keras 10] [--workers 2] [--dask]

N scans are copies of eight synthetic heads (17 slices of 256 pixels). The loop reads a scan, analyzes it with the same
network by Keras's `predict`, and continues with the next, in one process. Memory is that of the command and all its
processes (proportional set size), measured every second. `--dask` does the same with a scheduler and two workers of its
own.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=200)
    options.add_argument("--keras", type=int, default=10, help="scans of the loop")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--dask", action="store_true")
    settings = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scans = make_scans(Path(folder) / "scans", settings.n)
        ours_s, rss = run_ours(scans, Path(folder), settings.workers, dask=settings.dask)
        rate = len(scans) / ours_s * 60
        half = len(rss) // 2
        print(f"ours: {len(scans)} scans in {ours_s:.0f} s, {rate:.1f} scans a minute")
        early, late = max(rss[len(rss) // 4 : half]), max(rss[half:])
        print(f"memory: {early:.0f} MB at most in the second quarter, {late:.0f} MB later")
        if settings.keras:
            keras_s = run_keras(scans[: settings.keras])
            loop = settings.keras / keras_s * 60
            print(f"plain Keras loop: {loop:.1f} scans a minute; ours is {rate / loop:.1f} times that")


def make_scans(folder: Path, n: int) -> list[Path]:
    """Files of n scans."""
    import numpy as np

    from ich_lib.labels import TYPES
    from ich_lib.phantoms import phantom
    from ich_lib.reports import write_nifti

    folder.mkdir()
    for k in range(n):
        path = folder / f"{k:04d}.nii.gz"
        if k < 8:
            scan = phantom(k, bleeds=[TYPES[k % 5]], slices=17, thickness_mm=10).scan
            write_nifti(path, np.round(scan.hu).astype(np.int16), scan)
        else:
            shutil.copyfile(folder / f"{k % 8:04d}.nii.gz", path)
    return sorted(folder.iterdir())


def run_ours(scans: list[Path], folder: Path, workers: int, *, dask: bool) -> tuple[float, list[float]]:
    """Seconds, and MB of all processes by the second."""
    command = [sys.executable, "-m", "ich_lib", "predict", "--many", str(scans[0].parent), "--out", str(folder / "out")]
    others: list[subprocess.Popen] = []
    if dask:
        from release import free_port

        address = f"tcp://127.0.0.1:{free_port()}"
        port = address.rpartition(":")[2]
        quiet = ["--host", "127.0.0.1", "--no-dashboard"]
        start = lambda name, *more: subprocess.Popen(  # noqa: E731
            [sys.executable, "-m", f"distributed.cli.dask_{name}", *more], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        others = [start("scheduler", *quiet, "--port", port)]
        others += [start("worker", address, "--no-nanny", "--no-dashboard", "--nthreads", "1") for _ in range(workers)]
        time.sleep(10)
        command += ["--dask", address]
    before, sizes = time.perf_counter(), []
    ran = subprocess.Popen([*command, "--workers", str(workers)], cwd=ROOT, stderr=subprocess.DEVNULL)
    while ran.poll() is None:
        sizes.append(sum(map(megabytes, [ran, *others])))
        time.sleep(1)
    seconds = time.perf_counter() - before
    for other in reversed(others):
        other.terminate()
        other.wait()
    lines = (folder / "out" / "results.jsonl").read_text().splitlines()
    assert len({json.loads(line)["study"] for line in lines}) == len(lines) == len(scans)
    return seconds, sizes


def megabytes(ran: subprocess.Popen) -> float:
    """Of a process and all that it started."""
    total = 0
    try:
        for process in (psutil.Process(ran.pid), *psutil.Process(ran.pid).children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:  # one ended meanwhile
        pass
    return total / 1e6


def run_keras(scans: list[Path]) -> float:
    """Seconds of the loop, without its imports and the first scan."""
    from dataclasses import replace

    from ich_lib import analyze, load, read
    from ich_lib.models.builders import build
    from ich_lib.prediction.engine import WEIGHTS, Models, model_output

    shipped = load().segmenter
    network = build(shipped.recipe)
    network.load_weights(WEIGHTS / f"{shipped.name}.weights.h5")
    loop = replace(shipped, run=lambda pictures: model_output(network.predict(pictures, verbose=0), shipped.recipe))
    models = Models(loop, loop)
    analyze(read(scans[0]), models)
    before = time.perf_counter()
    for path in scans:
        analyze(read(path), models)
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
