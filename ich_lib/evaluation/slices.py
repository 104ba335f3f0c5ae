"""The slices of a report, one line each, so that pooled figures can be computed again and compared in pairs."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ich_lib.evaluation.judged import JudgedScan
from ich_lib.labels import ANY

FILE = "slices.csv"  # beside report.json
_COLUMNS = ("patient", "scan", "place", "bleeds", "score")


def write_slices(scans: Sequence[JudgedScan], path: Path) -> None:
    """Write every judged slice: its patient and scan, its place among the scan's judged slices from the foot (1 is
    lowest), whether it bleeds, and its score for `any`. Scores keep all digits, so that no new ties appear."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(_COLUMNS)
        for scan in scans:
            for place, (labels, scores) in enumerate(zip(scan.labels, scan.scores, strict=True), start=1):
                lines.writerow((scan.patient, scan.scan, place, int(labels[ANY]), float(scores[ANY])))


def read_slices(path: Path) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """The content of `write_slices`: (patient, scan) to (z,) bool, which slices bleed, and (z,) their scores.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is something else.
    """
    slices_by_scan: dict[tuple[str, str], tuple[list[bool], list[float]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                columns = slices_by_scan.setdefault((row["patient"], row["scan"]), ([], []))
                columns[0].append(bool(int(row["bleeds"])))
                columns[1].append(float(row["score"]))
    except (KeyError, TypeError, ValueError, csv.Error) as problem:
        raise ValueError(f"{path.name} is not a line a slice of {', '.join(_COLUMNS)}.") from problem
    return {scan: (np.array(truth, bool), np.array(score)) for scan, (truth, score) in slices_by_scan.items()}
