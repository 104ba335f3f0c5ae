"""How many workers a hospital or an archive needs, from the cost of one study: the tables of docs/scale.md.

    python docs/scale.py          # simulates, computes, and writes the tables
    python docs/scale.py --check  # fails if the page is not up to date

benchmarks/service.py measured the cost of a study; change COST when it changes.
"""

import argparse
import heapq
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parent / "scale.md"
DAY_S = 24 * 3600
PER_DAY = 300  # head CTs of a large hospital
BURST = 3  # studies that arrive at once, on average: a scanner sends when it has finished, an archive when it has time
# relative weights of the hours of a day
PROFILE = (1, 1, 1, 1, 1, 1, 2, 4, 6, 8, 8, 8, 7, 7, 7, 6, 6, 5, 5, 4, 3, 2, 2, 1)
DAYS = 100  # simulated


@dataclass(frozen=True)
class Cost:
    """What one study costs on one core.

    Attributes:
        read_s, analyze_s, write_s: seconds of a processor.
        in_mb, out_mb: of the study, and of SEG, SR and capture.
        line_b: bytes of its line in results.jsonl.
    """

    read_s: float
    analyze_s: float
    write_s: float
    in_mb: float
    out_mb: float
    line_b: int

    @property
    def service_s(self) -> float:
        """Seconds from the start of its analysis to its files."""
        return self.read_s + self.analyze_s + self.write_s


COST = Cost(read_s=0.58, analyze_s=4.22, write_s=0.77, in_mb=17.9, out_mb=4.65, line_b=484)


def arrivals(per_day: float, burst: float, days: int, seed: int) -> np.ndarray:
    """(n,) ascending seconds of arrival: bursts by the hour, each with a geometric number of studies.

    Args:
        per_day: studies on average.
        burst: studies of a burst on average, 1 or more.
        days: number of days.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    share = np.array(PROFILE, float) / sum(PROFILE)
    counts = random.poisson(np.tile(share, days) * per_day / burst)
    hours = np.repeat(np.arange(24 * days), counts)
    moments = (hours + random.random(len(hours))) * 3600
    return np.sort(np.repeat(moments, random.geometric(1 / burst, len(moments))))


def waits(come_s: np.ndarray, service_s: np.ndarray, workers: int) -> np.ndarray:
    """(n,) seconds that each study waits for a free worker; the first to arrive is the first to be served."""
    free = [0.0] * workers
    waited = np.empty(len(come_s))
    for k, (arrival_s, service) in enumerate(zip(come_s.tolist(), service_s.tolist(), strict=True)):
        begin = max(arrival_s, heapq.heappop(free))
        heapq.heappush(free, begin + service)
        waited[k] = begin - arrival_s
    return waited


def service_times(mean_s: float, count: int, seed: int) -> np.ndarray:
    """(count,) seconds, lognormal with a quarter of their mean as standard deviation, because studies differ in
    slices."""
    spread = 0.25
    sigma = np.sqrt(np.log1p(spread**2))
    return np.random.default_rng(seed).lognormal(np.log(mean_s) - sigma**2 / 2, sigma, count)


def queue_table() -> str:
    """Waiting time by service time and workers."""
    rows = [
        "| one study takes | workers | busy | median wait | 99th percentile | longest |",
        "|---|---|---|---|---|---|",
    ]
    arrival_s = arrivals(PER_DAY, BURST, DAYS, 0)
    for times, words in ((1, "as measured"), (10, "ten times as long"), (30, "thirty times as long")):
        service = service_times(COST.service_s * times, len(arrival_s), 1)
        for workers in (1, 2, 4):
            waited = waits(arrival_s, service, workers)
            busy = service.sum() / (DAYS * DAY_S * workers)
            middle, late, last = np.percentile(waited, (50, 99, 100))
            name = f"{COST.service_s * times:.0f} s ({words})"
            rows.append(f"| {name} | {workers} | {busy:.0%} | {middle:.0f} s | {late:.0f} s | {last:.0f} s |")
    return "\n".join(rows)


def archive_table() -> str:
    """Scans per hour by cores, and the required data rates."""
    rows = ["| cores | scans an hour | read, MB/s | written, MB/s | lines a second |", "|---|---|---|---|---|"]
    for cores in (2, 16, 1000):
        rate = cores / (COST.read_s + COST.analyze_s)  # scans per second; an archive writes lines, no SEG
        flow = rate * COST.in_mb
        written = rate * COST.line_b / 1e6
        rows.append(f"| {cores:,} | {rate * 3600:,.0f} | {flow:,.0f} | {written:.3f} | {rate:,.1f} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with the tables of this script."""
    for name, table in (("archive", archive_table()), ("queue", queue_table())):
        mark = f"<!-- {name}: made by docs/scale.py -->"
        pattern = re.escape(mark) + r"\n.*?(?=\n<!-- end -->)"
        text = re.sub(pattern, f"{mark}\n{table}", text, flags=re.DOTALL)
    return text


def main() -> int:
    """Write the page, or report that it is not up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    text = PAGE.read_text(encoding="utf-8")
    made = page(text)
    if parser.parse_args().check:
        if made != text:
            print("docs/scale.md is not what docs/scale.py says: run it.", file=sys.stderr)
        return int(made != text)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
