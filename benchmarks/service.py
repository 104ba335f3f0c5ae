"""The cost of one study on the hospital side: processor seconds to read, to analyze, and to write SEG, SR and capture.

    python benchmarks/service.py [--rounds 5]

The study is a synthetic head with a bleed: 34 slices of 512 x 512 pixels, uncompressed DICOM. Processor seconds, of
this process and the one that decodes, depend less on other programs than elapsed seconds; both are printed.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pydicom import dcmread

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Measure and print medians."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds

    from ich_lib import analyze, load, phantom, read
    from ich_lib.hospital import work
    from ich_lib.readers import child
    from ich_lib.reports.case_files import write_dicom

    with tempfile.TemporaryDirectory() as folder:
        paths = write_dicom(phantom(1, bleeds=["epidural"], pixels=512).scan, Path(folder) / "study")
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
        models, times = load(), {"read": [], "analyze": [], "write": []}
        for k in range(rounds + 1):
            marks = [now()]
            scan = read(paths, isolated=True)
            child.end_idle()  # so that its processor time counts
            marks.append(now())
            result = analyze(scan, models)
            marks.append(now())
            out = Path(folder) / f"out-{k}"
            out.mkdir()
            headers = [dcmread(path, stop_before_pixels=True) for path in paths]
            work.write_files(result, headers, out, {part: f"1.2.{n}" for n, part in enumerate(work.UIDS)})
            marks.append(now())
            if k:  # the first one imports
                for name, (start, ended) in zip(times, itertools.pairwise(marks), strict=True):
                    times[name].append((ended[0] - start[0], ended[1] - start[1]))
        written = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    print(f"study {megabytes:.1f} MB in, {written:.2f} MB out")
    for name, pairs in times.items():
        processor, clock = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name:8} {processor:5.2f} s of a processor, {clock:5.2f} s by the clock")


def now() -> tuple[float, float]:
    """Processor seconds of this process and of its finished children, and elapsed seconds."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system, time.perf_counter()


if __name__ == "__main__":
    main()
