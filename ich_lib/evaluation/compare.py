"""Evaluations held against each other: two runs patient by patient, or the groups of one, by what report.json keeps.

A report keeps a line a scan ("per_patient"): Dice, score, mL, types. Scores of single slices lie in slices.csv
beside it; a report of an older version has none, and is compared by whole scans.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ich_lib.evaluation.figures import AGES, SIZES_ML
from ich_lib.evaluation.slices import FILE, read_slices
from ich_lib.measures import metrics
from ich_lib.measures.paired import Group, Measure, Paired
from ich_lib.measures.statistics import (
    FEW,
    anova,
    group_by_patient,
    mann_whitney,
    paired_bootstrap,
    patient_bootstrap,
    pooled,
    t_test,
    welch,
)

TESTS = {"t-test": t_test, "Welch": welch, "Mann-Whitney": mann_whitney, "ANOVA": anova}
_MADE = "phantoms"  # the data set of heads made by code

_LINE = {"patient", "scan", "fold", "types", "dice", "scan_any", "slices_with_blood", "true_ml", "mask_ml"}
_SLICES = "slices_any"  # of a line: (z,) which slices bleed, and (z,) their scores, where slices.csv tells them


def _mean(values: list) -> float:
    return float(np.mean(values))


def _bleeds(row: dict) -> bool:
    return row["slices_with_blood"] > 0


def _wrong_ml(row: dict, threshold: float) -> float | None:
    told = row["dice"] is not None and row["mask_ml"] is not None
    return abs(row["mask_ml"] - row["true_ml"]) if told else None


DICE = Measure("Dice per subject", lambda row, threshold: row["dice"], _mean)
VOLUME = Measure("Volume, absolute error in mL", _wrong_ml, _mean, more_is_better=False)
SCORE = Measure("Score for any bleeding", lambda row, threshold: row["scan_any"], _mean)
RIGHT = Measure(
    "Share of scans called rightly",
    lambda row, threshold: float((row["scan_any"] >= threshold) == _bleeds(row)),
    _mean,
)
AUC = Measure(
    "Scan AUC, any bleeding",
    lambda row, threshold: (_bleeds(row), row["scan_any"]),
    lambda pairs: metrics.auc(*map(np.array, zip(*pairs, strict=True))),
    pooled=True,
)
SLICE_AUC = Measure(
    "Slice AUC, any bleeding",
    lambda row, threshold: row.get(_SLICES),
    lambda scans: metrics.auc(*map(np.concatenate, zip(*scans, strict=True))),
    pooled=True,
)
PAIRED = {one.name: one for one in (DICE, SLICE_AUC, AUC, RIGHT, VOLUME)}  # what two runs are compared by
GROUPED = {one.name: one for one in (DICE, VOLUME, SCORE)}  # what has one number a scan


def read_report(path: str | Path) -> dict:
    """A report of `evaluate`, with the scores of its slices where slices.csv beside it tells them.

    Raises:
        ValueError: if it is something else.
    """
    path = Path(path)
    try:
        told = json.loads(path.read_text())
    except json.JSONDecodeError as problem:
        raise ValueError(f"{path.name} is no report.json: {problem}.") from problem
    whole = isinstance(told, dict) and {"per_patient", "score_threshold", "models", "data"} <= told.keys()
    if not whole or not all(row.keys() >= _LINE for row in told["per_patient"]):
        raise ValueError(f"{path.name} is no report of an evaluation. Name the report.json that evaluate wrote.")
    return told | {"per_patient": _with_slices(told, path.with_name(FILE))}


def _with_slices(report: dict, path: Path) -> list[dict]:
    """The lines of a report with their slices. A file of another evaluation is left aside: its counts do not fit.

    After a leaky split each run is judged on other slices of a scan, so these cannot be paired.
    """
    try:
        slices = {} if "leaky" in report else read_slices(path)
    except (ValueError, OSError):
        slices = {}
    lines = []
    for row in report["per_patient"]:
        truth, score = slices.get((row["patient"], row["scan"]), ((), ()))
        fits = len(truth) and (len(truth), int(sum(truth))) == (row.get("slices"), row["slices_with_blood"])
        lines.append(row | {_SLICES: (truth, score)} if fits else row)
    return lines


def numbers(report: dict) -> dict[str, int]:
    """Patient to a number from 1 on, in the order of their names: who is shown is told by it and by no name."""
    return {who: k for k, who in enumerate(sorted({row["patient"] for row in report["per_patient"]}), 1)}


def measurable(first: dict, second: dict) -> list[str]:
    """Names of PAIRED by which some scan of both reports has a figure.

    Raises:
        ValueError: if there is none, or the reports are of different data.
    """
    if first["data"] != second["data"]:
        raise ValueError(
            f"The first run was judged on {first['data']}, the second on {second['data']}. A paired comparison needs "
            "the same patients: evaluate both on one data set."
        )
    able = [name for name, one in PAIRED.items() if _taken(first, one).keys() & _taken(second, one).keys()]
    if not able:
        raise ValueError("The two runs were judged on different patients, so they cannot be compared in pairs.")
    return able


def paired(first: dict, second: dict, measure: Measure, *, rounds: int = 2000) -> Paired:
    """How much better the second run does than the first, on the patients both were judged on.

    Args:
        first: report of `evaluate`.
        second: another on the same data.
        measure: one of PAIRED.
        rounds: resamples of patients.

    Raises:
        ValueError: if the reports are of different data, or share nobody that can be measured.
    """
    if measure.name not in measurable(first, second):
        raise ValueError(f"The two runs share no scan that has a figure for: {measure.name}.")
    before, after = (_taken(report, measure) for report in (first, second))
    shared = [scan for scan in before if scan in after]
    patients = group_by_patient(shared, lambda scan: scan[0])
    entries = [{who: [taken[scan] for scan in scans] for who, scans in patients.items()} for taken in (before, after)]
    known = numbers(first)
    alone = {who for who, _ in before.keys() ^ after.keys()} - set(entries[0])
    single = not measure.pooled
    each = [measure.of_all(entries[1][who]) - measure.of_all(entries[0][who]) for who in entries[0] if single]
    return Paired(
        measure,
        *(patient_bootstrap(list(some.values()), pooled(measure.of_all), rounds=rounds) for some in entries),
        paired_bootstrap(*entries, pooled(measure.of_all), rounds=rounds),
        np.array(each),
        tuple(known[who] for who in entries[0]) if single else (),
        len(alone),
        _doubts(first, second, len(entries[0]), len(alone)),
    )


def cohorts(report: dict, by: str, measure: Measure) -> dict[str, Group]:
    """The scans of a report in groups that a test may compare.

    Args:
        report: of `evaluate`.
        by: one of `kinds(report)`.
        measure: one of GROUPED.

    Returns:
        Name of the group to its scans; groups without a value are left out.
    """
    known, names = numbers(report), {}
    for row in report["per_patient"]:
        value = measure.of_scan(row, report["score_threshold"])
        name = _KINDS[by](row)
        if value is not None and name is not None:
            names.setdefault(name, []).append((float(value), known[row["patient"]]))
    return {name: _group(names[name]) for name in sorted(names, key=_place)}


def between(reports: Mapping[str, dict], measure: Measure) -> dict[str, Group]:
    """Whole runs as groups: name of the run to all its scans. Patients in several reports keep one number."""
    everyone = sorted({(told["data"], row["patient"]) for told in reports.values() for row in told["per_patient"]})
    known = {who: k for k, who in enumerate(everyone, 1)}
    groups = {}
    for name, told in reports.items():
        taken = [
            (float(value), known[told["data"], row["patient"]])
            for row in told["per_patient"]
            if (value := measure.of_scan(row, told["score_threshold"])) is not None
        ]
        groups |= {name: _group(taken)} if taken else {}
    return groups


def kinds(report: dict) -> tuple[str, ...]:
    """By what the scans of a report can be grouped. Reports of an older version do not tell age, sex and fracture."""
    return tuple(kind for kind, of in _KINDS.items() if len({of(row) for row in report["per_patient"]} - {None}) > 1)


def simulated(report: dict) -> bool:
    """Whether the scans were made by code."""
    return report["data"] == _MADE


def _taken(report: dict, measure: Measure) -> dict[tuple[str, str], object]:
    """(patient, scan) to what the measure takes of it."""
    threshold = report["score_threshold"]
    lines = {(row["patient"], row["scan"]): measure.of_scan(row, threshold) for row in report["per_patient"]}
    return {scan: value for scan, value in lines.items() if value is not None}


def _doubts(first: dict, second: dict, patients: int, alone: int) -> tuple[str, ...]:
    said = []
    if leaky := [name for name, told in (("first", first), ("second", second)) if "leaky" in told]:
        said.append(
            f"The {' and the '.join(leaky)} run was split so that patients are on both sides: its figures flatter it, "
            "and the difference says nothing about new patients."
        )
    if simulated(first):
        said.append("These are heads made by code: the difference says nothing about patients.")
    if {model["sha256"] for model in first["models"]} == {model["sha256"] for model in second["models"]}:
        said.append("Both reports judge the same weights.")
    if alone:
        said.append(f"{alone} patients have a figure in one report only and were left out of both.")
    if patients < FEW:
        said.append(f"Only {patients} patients: with fewer than {FEW}, the interval itself is rough.")
    return tuple(said)


def _group(pairs: list[tuple[float, int]]) -> Group:
    return Group(*(tuple(part) for part in zip(*pairs, strict=True)))


def _type(row: dict) -> str | None:
    if not row["types"]:
        return "no bleed" if not _bleeds(row) else None
    return row["types"][0] if len(row["types"]) == 1 else "several types"


def _size(row: dict) -> str | None:
    if row["dice"] is None:
        return None
    low, high = next(edges for edges in SIZES_ML if edges[0] <= row["true_ml"] < edges[1])
    return f"{low} mL and more" if high == float("inf") else f"{low} to {high} mL"


def _age(row: dict) -> str | None:
    age = row.get("facts", {}).get("age")
    edges = [] if age is None else [(low, high) for low, high in AGES if low <= age < high]
    return f"age {edges[0][0]} to {edges[0][1] - 1}" if edges else None


def _fracture(row: dict) -> str | None:
    told = row.get("facts", {}).get("fracture")
    return None if told is None else ("fracture" if told else "no fracture")


_KINDS = {
    "type of bleed": _type,
    "size of the bleed": _size,
    "age": _age,
    "sex": lambda row: row.get("facts", {}).get("sex"),
    "fracture": _fracture,
    "fold": lambda row: None if row["fold"] is None else f"fold {row['fold']}",
}


def _place(name: str) -> tuple:
    """Groups named by numbers in the order of the numbers, the others by their letters."""
    figures = [int(word) for word in name.split() if word.isdigit()]
    return (0, *figures) if figures else (1, name)
