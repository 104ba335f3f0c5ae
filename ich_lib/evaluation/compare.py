"""Compare evaluations by their report.json: two runs patient by patient, or groups of one run.

A report has a line per scan ("per_patient"): Dice, score, mL, types. Scores of single slices are in slices.csv beside
it. A report of an older version has none, and is compared by whole scans.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ich_lib.evaluation.figures import AGES, SIZES_ML, age_name, size_name
from ich_lib.evaluation.slices import FILE, read_slices
from ich_lib.measures import metrics
from ich_lib.measures.bootstrap import group_by_patient, paired_bootstrap, patient_bootstrap, pooled
from ich_lib.measures.paired import Group, Measure, Paired
from ich_lib.measures.report import Line, Report
from ich_lib.measures.statistics import FEW_PATIENTS, anova, mann_whitney, t_test, welch

TESTS = {"t-test": t_test, "Welch": welch, "Mann-Whitney": mann_whitney, "ANOVA": anova}
_PHANTOM_DATA = "phantoms"  # the data set of synthetic heads


def _mean_value(values: list[float]) -> float:
    return float(np.mean(values))


def _wrong_ml(line: Line, threshold: float) -> float | None:
    return None if line.dice is None or line.mask_ml is None else abs(line.mask_ml - line.true_ml)


DICE = Measure("Dice per subject", lambda line, threshold: line.dice, _mean_value)
VOLUME = Measure("Volume, absolute error in mL", _wrong_ml, _mean_value, more_is_better=False)
SCORE = Measure("Score for any bleeding", lambda line, threshold: line.scan_any, _mean_value)
CORRECT_CALLS = Measure(
    "Share of correctly classified scans",
    lambda line, threshold: float((line.scan_any >= threshold) == line.bleeds),
    _mean_value,
)
AUC = Measure(
    "Scan AUC, any bleeding",
    lambda line, threshold: (line.bleeds, line.scan_any),
    lambda pairs: metrics.auc(*map(np.array, zip(*pairs, strict=True))),
    is_pooled=True,
)
SLICE_AUC = Measure(
    "Slice AUC, any bleeding",
    lambda line, threshold: line.answers,
    lambda scans: metrics.auc(*map(np.concatenate, zip(*scans, strict=True))),
    is_pooled=True,
)
RUN_MEASURES: dict[str, Measure] = {  # the measures for two runs
    measure.name: measure for measure in (DICE, SLICE_AUC, AUC, CORRECT_CALLS, VOLUME)
}
GROUP_MEASURES: dict[str, Measure[float]] = {
    measure.name: measure for measure in (DICE, VOLUME, SCORE)
}  # the measures with one number per scan


def read_report(path: str | Path) -> Report:
    """A report of `evaluate`, with the scores of its slices if slices.csv is beside it.

    Raises:
        ValueError: if it is something else.
    """
    path = Path(path)
    try:
        report = Report.from_json(json.loads(path.read_text()))
    except json.JSONDecodeError as problem:
        raise ValueError(f"{path.name} is not a report.json: {problem}.") from problem
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ValueError(
            f"{path.name} is not a report of an evaluation. Name the report.json that evaluate wrote."
        ) from problem
    return replace(report, per_patient=_with_slices(report, path.with_name(FILE)))


def _with_slices(report: Report, path: Path) -> tuple[Line, ...]:
    """The lines of a report with their slices. A slices.csv of another evaluation is ignored: its counts do not fit.

    After a leaky split each run is judged on different slices of a scan, so these cannot be paired.
    """
    try:
        slices = {} if report.leaky else read_slices(path)
    except (ValueError, OSError):
        slices = {}
    lines = []
    for line in report.per_patient:
        answers = slices.get((line.patient, line.scan))
        fits = answers and (len(answers[0]), int(answers[0].sum())) == (line.slices, line.slices_with_blood)
        lines.append(replace(line, answers=answers) if fits else line)
    return tuple(lines)


def number_patients(report: Report) -> dict[str, int]:
    """Patient to a number from 1, in the order of their names. The number is shown instead of the name."""
    return {patient: k for k, patient in enumerate(sorted({line.patient for line in report.per_patient}), 1)}


def common_measures(first: Report, second: Report) -> list[str]:
    """Names of PAIRED for which some scan of both reports has a value.

    Raises:
        ValueError: if there is none, or the reports are of different data.
    """
    if first.data != second.data:
        raise ValueError(
            f"The first run was judged on {first.data}, the second on {second.data}. A paired comparison needs "
            "the same patients: evaluate both on one data set."
        )
    able = [
        name
        for name, measure in RUN_MEASURES.items()
        if _measured_values(first, measure).keys() & _measured_values(second, measure).keys()
    ]
    if not able:
        raise ValueError("The two runs were judged on different patients, so they cannot be compared in pairs.")
    return able


def compare_runs(first: Report, second: Report, measure: Measure, *, rounds: int = 2000) -> Paired:
    """How much better the second run is than the first, on the patients of both.

    Args:
        first: report of `evaluate`.
        second: another on the same data.
        measure: one of PAIRED.
        rounds: resamples of patients.

    Raises:
        ValueError: if the reports are of different data, or share no patient with a value.
    """
    if measure.name not in common_measures(first, second):
        raise ValueError(f"The two runs share no scan that has a figure for: {measure.name}.")
    before, after = (_measured_values(report, measure) for report in (first, second))
    shared = [scan for scan in before if scan in after]
    patients = group_by_patient(shared, lambda scan: scan[0])
    entries = [
        {patient: [values[scan] for scan in scans] for patient, scans in patients.items()} for values in (before, after)
    ]
    patient_numbers = number_patients(first)
    unpaired = {patient for patient, _ in before.keys() ^ after.keys()} - set(entries[0])
    over_scans, single = pooled(measure.of_all), not measure.is_pooled
    differences = [
        measure.of_all(entries[1][patient]) - measure.of_all(entries[0][patient]) for patient in entries[0] if single
    ]
    return Paired(
        measure=measure,
        first=patient_bootstrap(list(entries[0].values()), over_scans, rounds=rounds),
        second=patient_bootstrap(list(entries[1].values()), over_scans, rounds=rounds),
        difference=paired_bootstrap(entries[0], entries[1], over_scans, rounds=rounds),
        differences=np.array(differences),
        numbers=tuple(patient_numbers[patient] for patient in entries[0]) if single else (),
        n_left_out=len(unpaired),
        warnings=_caveats(first, second, len(entries[0]), len(unpaired)),
    )


def group_scans(report: Report, by: str, measure: Measure[float]) -> dict[str, Group]:
    """The scans of a report in groups for a test.

    Args:
        report: from `evaluate`.
        by: one of `groupings(report)`.
        measure: one of GROUPED.

    Returns:
        Name of the group to its scans; groups without a value are left out.
    """
    patient_numbers, names = number_patients(report), defaultdict(list)
    for line in report.per_patient:
        value = measure.of_scan(line, report.score_threshold)
        name = _KINDS[by](line)
        if value is not None and name is not None:
            names[name].append((float(value), patient_numbers[line.patient]))
    return {name: _group(names[name]) for name in sorted(names, key=_place)}


def group_runs(reports: Mapping[str, Report], measure: Measure[float]) -> dict[str, Group]:
    """Whole runs as groups: name of the run to all its scans. Patients in several reports keep one number."""
    all_patients = sorted({(report.data, line.patient) for report in reports.values() for line in report.per_patient})
    patient_numbers = {patient: k for k, patient in enumerate(all_patients, 1)}
    groups = {}
    for name, report in reports.items():
        values_of_runs = [
            (float(value), patient_numbers[report.data, line.patient])
            for line in report.per_patient
            if (value := measure.of_scan(line, report.score_threshold)) is not None
        ]
        if values_of_runs:
            groups[name] = _group(values_of_runs)
    return groups


def groupings(report: Report) -> tuple[str, ...]:
    """The properties that can group the scans of a report. Reports of an older version have no age, sex or fracture."""
    return tuple(kind for kind, of in _KINDS.items() if len({of(line) for line in report.per_patient} - {None}) > 1)


def is_simulated(report: Report) -> bool:
    """Whether the scans are synthetic."""
    return report.data == _PHANTOM_DATA


def _measured_values(report: Report, measure: Measure) -> dict[tuple[str, str], object]:
    """(patient, scan) to the value of the measure."""
    threshold = report.score_threshold
    values = {(line.patient, line.scan): measure.of_scan(line, threshold) for line in report.per_patient}
    return {scan: value for scan, value in values.items() if value is not None}


def _caveats(first: Report, second: Report, patients: int, unpaired: int) -> tuple[str, ...]:
    warnings = []
    if leaky := [name for name, report in (("first", first), ("second", second)) if report.leaky]:
        warnings.append(
            f"The {' and the '.join(leaky)} run was split so that patients are on both sides: its figures flatter it, "
            "and the difference says nothing about new patients."
        )
    if is_simulated(first):
        warnings.append("These are synthetic heads: the difference says nothing about patients.")
    if {model.sha256 for model in first.models} == {model.sha256 for model in second.models}:
        warnings.append("Both reports judge the same weights.")
    if unpaired:
        warnings.append(f"{unpaired} patients have a figure in one report only and were left out of both.")
    if patients < FEW_PATIENTS:
        warnings.append(f"Only {patients} patients: with fewer than {FEW_PATIENTS}, the interval itself is rough.")
    return tuple(warnings)


def _group(pairs: list[tuple[float, int]]) -> Group:
    return Group(*(tuple(part) for part in zip(*pairs, strict=True)))


def _type(line: Line) -> str | None:
    if not line.types:
        return "no bleed" if not line.bleeds else None
    return line.types[0] if len(line.types) == 1 else "several types"


def _size(line: Line) -> str | None:
    if line.dice is None:
        return None
    low, high = next(edges for edges in SIZES_ML if edges[0] <= line.true_ml < edges[1])
    return size_name(low, high)


def _age(line: Line) -> str | None:
    age = line.facts.get("age")
    edges = [] if age is None else [(low, high) for low, high in AGES if low <= age < high]
    return age_name(*edges[0]) if edges else None


def _fracture(line: Line) -> str | None:
    has_fracture = line.facts.get("fracture")
    return None if has_fracture is None else ("fracture" if has_fracture else "no fracture")


_KINDS: dict[str, Callable[[Line], str | None]] = {
    "type of bleed": _type,
    "size of the bleed": _size,
    "age": _age,
    "sex": lambda line: line.facts.get("sex"),
    "fracture": _fracture,
    "fold": lambda line: None if line.fold is None else f"fold {line.fold}",
}


def _place(name: str) -> tuple:
    """Groups with numbers as names in numeric order, the others in alphabetical order."""
    figures = [int(word) for word in name.split() if word.isdigit()]
    return (0, *figures) if figures else (1, name)
