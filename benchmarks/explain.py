"""The cost of heat maps in the demo: all outputs compared with only scores and mask, in turns, in one run.

    python benchmarks/explain.py [--rounds 9]

Both ways `analyze` the same 34-slice 512x512 scan with the shipped models in one process. The second requests all
outputs of ONNX Runtime but the class activation maps, so that neither they nor their resampling to the scan's voxels
cost time. On a busy machine use the processor seconds: they do not include waiting.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from serve import _scan  # noqa: E402

from ich_lib.prediction.analyze import analyze, resample_heat  # noqa: E402
from ich_lib.prediction.engine import WEIGHTS, Models, load, model_output  # noqa: E402


def main() -> None:
    """Measure in turns and print medians and their ratio."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=9)
    rounds = options.parse_args().rounds
    scan, shipped = _scan(34), load()
    variants = {"with heat": shipped, "scores alone": _without_heat(shipped)}
    clocks = {"by the clock": time.perf_counter, "of the processor": time.process_time}
    seconds = {(clock, variant): [] for clock in clocks for variant in variants}
    for turn in range(rounds + 1):
        for variant, models in variants.items():
            start = {clock: read() for clock, read in clocks.items()}
            result = analyze(scan, models)
            took = {clock: read() - start[clock] for clock, read in clocks.items()}
            assert result.heat.any() == (variant == "with heat")
            for clock in clocks if turn else ():  # the first call warms up
                seconds[clock, variant].append(took[clock])
    for clock in clocks:
        heated, plain = (statistics.median(seconds[clock, variant]) for variant in variants)
        line = f"seconds {clock}: with heat {heated:.2f}, scores alone {plain:.2f}"
        print(f"{line}, extra {heated / plain - 1:+.1%} (aim: < 30 %)")
    start = time.perf_counter()
    _onto_the_scan(scan.hu.shape)
    print(f"of it, maps of all slices onto the scan's voxels: {time.perf_counter() - start:.2f} s")


def _onto_the_scan(shape) -> None:
    import numpy as np

    from ich_lib.prepare.head import slice_box

    maps = list(np.random.default_rng(0).random((shape[0], 14, 14), np.float32))
    resample_heat(maps, 1.0, slice_box(shape), shape)


def _without_heat(models: Models) -> Models:
    bare = {model.name: _bare(model) for model in models}
    return Models(bare[models.segmenter.name], bare[models.classifier.name])


def _bare(model):
    """The same file, with all outputs but the maps."""
    import onnxruntime

    session = onnxruntime.InferenceSession(WEIGHTS / f"{model.name}.onnx", providers=["CPUExecutionProvider"])
    picture, outputs = session.get_inputs()[0].name, [output.name for output in session.get_outputs()]
    used = outputs[: model.recipe.has_mask_output + model.recipe.has_score_output]
    return replace(model, run=lambda pictures: model_output(session.run(used, {picture: pictures}), model.recipe))


if __name__ == "__main__":
    main()
