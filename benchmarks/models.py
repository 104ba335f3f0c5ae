"""The seconds that a scan takes with each model that comes with the library, taken in turns in one run.

    python benchmarks/models.py [--rounds 5]

The scan is a synthetic head of 34 slices of 512 x 512 pixels. Each model analyzes it once to warm up, and then once in
every round. Processor seconds depend less on other programs than seconds by the clock; both are printed, with their
ratio to the shipped model.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from serve import _scan  # noqa: E402

from ich_lib.prediction.analyze import analyze  # noqa: E402
from ich_lib.prediction.engine import list_weights, load  # noqa: E402

CLOCKS = {"by the clock": time.perf_counter, "of the processor": time.process_time}


def main() -> None:
    """Measure in turns and print a table of medians."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    rounds, scan = options.parse_args().rounds, _scan(34)
    seconds = {(clock, name): [] for clock in CLOCKS for name in list_weights()}
    for turn in range(rounds + 1):
        for name in list_weights():
            models = load(name)
            start = {clock: read() for clock, read in CLOCKS.items()}
            analyze(scan, models)
            for clock, read in CLOCKS.items() if turn else ():  # the first call warms up
                seconds[clock, name].append(read() - start[clock])
    print("| model | " + " | ".join(f"seconds {clock} | ratio" for clock in CLOCKS) + " |")
    print("| --- |" + " --- | --- |" * len(CLOCKS))
    shipped = list_weights()[0]
    for name in list_weights():
        medians = [
            (statistics.median(seconds[clock, name]), statistics.median(seconds[clock, shipped])) for clock in CLOCKS
        ]
        print(f"| {name} | " + " | ".join(f"{own:.2f} | {own / first:.2f}" for own, first in medians) + " |")


if __name__ == "__main__":
    main()
