"""Which scans do the gates stop, warn of and pass? Real scans, and phantoms of heads and of other bodies.

    python benchmarks/gates.py --data DIR [--n 5] [--write docs/gates.md]

DIR holds any of ct-ich-1.0.0, ct-ich-samples, dcm_qa_ct/GE and tcga-ov-abdomen; missing sets are left out of the table.
A scan is stopped if a gate refuses it: it gets no finding. The second table shows how much the shipped model marks on
real heads without blood, and how many of them get mL. --write puts both into a page, between its marks.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from ich_lib.evaluation import open_table, table_scan
from ich_lib.labels import ANY, TYPES
from ich_lib.phantoms import phantom
from ich_lib.phantoms.bodies import BODIES, FAULTS, add_fault, body
from ich_lib.prediction.analyze import FLOOR_ML, Result, analyze
from ich_lib.prediction.engine import load
from ich_lib.prediction.gates import Doubt, find_doubts
from ich_lib.prepare.anatomy import measure_head
from ich_lib.readers import read
from ich_lib.scan import Acquisition, Scan

FIRST_SEED = 5000  # not in any training set
MARKS = "<!-- gates: made by benchmarks/gates.py -->", "<!-- end of gates -->"
ALONE = " (anatomy alone)"
TURNS = [(name,) for name in TYPES] + [()]


def main() -> None:
    """Measure, print, and write if requested."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of real scans; without it phantoms alone")
    parser.add_argument("--n", type=int, default=5, help="phantoms of every kind (default 5)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page")
    options = parser.parse_args()
    models, lines = load(), []
    clean: list[Clean] = []
    header = "| kind | scans | stopped | warned | believed | why |\n|---|---|---|---|---|---|"
    for kind, scans in _kinds(options.data, options.n):
        if kind.endswith(ALONE):
            lines.append(_line(kind, [find_doubts(scan, measure_head(scan), None) for scan, _ in scans]))
        else:
            doubts = []
            for scan, bleeds in scans:  # one result at a time: each holds some 100 MB
                result = analyze(scan, models)
                doubts.append(result.doubts)
                clean += [_of_result(result)] if bleeds is False else []
            lines.append(_line(kind, doubts))
        print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join([header, *lines, "", _of_clean(clean), "", _of_time()])
    print(text)
    if options.write:
        start, tail = options.write.read_text().split(MARKS[0])
        options.write.write_text("\n".join([start + MARKS[0], text, MARKS[1] + tail.split(MARKS[1])[1]]))


@dataclass(frozen=True)
class Clean:
    """A real head without blood: the volume of its mask with an assumed voxel size, the headline, and whether it would
    get mL."""

    marked_ml: float
    finding: str
    gets_ml: bool


def _of_result(result: Result) -> Clean:
    known = replace(result, scan=replace(result.scan, spacing_known=True))
    return Clean(known.marked_ml or 0.0, known.finding, known.volume_ml is not None)


def _kinds(data: Path | None, n: int) -> Iterator[tuple[str, Iterable[tuple[Scan, bool | None]]]]:
    """Kind to scans, each with whether it bleeds; None if that is not known, or it is not a real head."""
    if data:
        yield from _real(data)
    heads = [phantom(FIRST_SEED + k, bleeds=TURNS[k % len(TURNS)]).scan for k in range(n)]
    unknown = lambda scans: [(scan, None) for scan in scans]  # noqa: E731
    yield "heads, phantoms", unknown(heads)
    yield "heads, 20 degrees of tilt", unknown(phantom(FIRST_SEED + k, tilt_deg=20).scan for k in range(n))
    yield (
        "heads, 1.5 mm, noise of 20 HU",
        unknown(phantom(FIRST_SEED + k, slices=110, thickness_mm=1.5, noise_hu=20).scan for k in range(min(n, 2))),
    )
    yield "heads, 12 slices of the middle", unknown(phantom(FIRST_SEED + k, slices=12).scan for k in range(n))
    yield "heads, with contrast in the header", unknown(replace(head, acquisition=_CONTRAST) for head in heads)
    yield "heads, cut by the field", unknown(map(_without_one_side, heads))
    yield "heads among twice as many empty slices", unknown(map(_among, heads))
    for name in BODIES:
        yield f"{name}, phantoms", unknown(body(name, seed) for seed in range(n))
    for name in FAULTS:
        yield f"heads, {name}", unknown(add_fault(head, name, seed) for seed, head in enumerate(heads))


_CONTRAST = Acquisition(modality="CT", body_part="head", contrast=True)


def _without_one_side(head: Scan) -> Scan:
    return replace(head, hu=np.ascontiguousarray(head.hu[:, :, head.hu.shape[2] // 4 :]))


def _among(head: Scan) -> Scan:
    air = np.full_like(head.hu, -1000)
    return replace(head, hu=np.concatenate([air, air, head.hu]))


def _real(data: Path) -> Iterator[tuple[str, Iterable[tuple[Scan, bool | None]]]]:
    for folder, kind in (
        ("tcga-ov-abdomen", "abdomen, real (TCGA-OV)"),
        ("dcm_qa_ct/GE", "head, real, uneven slices (dcm_qa_ct)"),
    ):
        if (data / folder).is_dir():
            yield kind, [(_read(data / folder), None)]
    for folder, kind in (("ct-ich-samples", "heads, real (CT-ICH, unseen)"), ("ct-ich-1.0.0", "heads, real (CT-ICH)")):
        if (data / folder).is_dir():
            table = open_table(data / folder)
            yield kind, ((table_scan(table, rows), bool(table.labels[rows, ANY].any())) for rows in table.scans())
            if folder == "ct-ich-1.0.0":
                for fault in ("upside down", "on its side", "feet first", "slices shuffled"):
                    faulty_scans = ((add_fault(table_scan(table, rows), fault), None) for rows in table.scans())
                    yield f"the same, {fault}{ALONE}", faulty_scans


def _read(folder: Path) -> Scan:
    try:
        return read(folder)
    except ValueError:
        return read(folder, allow_gaps=True)


def _line(kind: str, scans: list[tuple[Doubt, ...]]) -> str:
    stopped = sum(any(doubt.refuses for doubt in doubts) for doubts in scans)
    warned = sum(bool(doubts) for doubts in scans) - stopped
    codes = Counter(doubt.code for doubts in scans for doubt in doubts)
    causes = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    return f"| {kind} | {len(scans)} | {stopped} | {warned} | {len(scans) - stopped - warned} | {causes} |"


def _of_clean(clean: list[Clean]) -> str:
    """The marked volume on heads without blood."""
    if not clean:
        return "No real head without blood was there."
    marked = np.array([scan.marked_ml for scan in clean])
    quantiles = ", ".join(f"{q} % {np.percentile(marked, q):.1f}" for q in (25, 50, 75, 90))
    n_with_ml, findings = sum(scan.gets_ml for scan in clean), Counter(scan.finding for scan in clean)
    return (
        f"Real heads without blood: {len(clean)}. Their masks hold up to (mL): {quantiles}, all {marked.max():.1f}. "
        f"Headlines: {', '.join(f'{name} {count}' for name, count in findings.most_common())}. mL are given of "
        f"{n_with_ml}; {sum(marked >= 1)} have 1 mL or more marked. The floor is {FLOOR_ML:.1f} mL."
    )


def _of_time() -> str:
    scan, times = phantom(1, slices=34, pixels=512).scan, []
    for _ in range(7):
        start = time.perf_counter()
        measure_head(scan)
        times.append(time.perf_counter() - start)
    return f"Anatomy of 34 slices of 512 x 512 pixels: {min(times):.2f} s, the best of seven."


if __name__ == "__main__":
    main()
