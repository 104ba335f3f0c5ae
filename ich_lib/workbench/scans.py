"""Single scans: the worst and the best, the effect of a threshold, and the results of several models.

Synthetic heads are always available (`sample_cases`). A scan of your own run and data is read again when it is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ich_lib.case import Case
from ich_lib.data import Table
from ich_lib.evaluation import JudgedScan, held_out_scans, judge_result, split_of, unseen_slices
from ich_lib.evaluation.figures import scan_row
from ich_lib.evaluation.gallery import worst_by_kind
from ich_lib.measures import metrics
from ich_lib.measures.report import Line, Report
from ich_lib.models.run import fold_runs
from ich_lib.phantoms import phantom
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.engine import Models, load

BEST = "best overlap"
_SAMPLES = (  # (seed, bleeds, mimics): one of each type, one that only looks like blood, and one of neither
    (1, ("epidural",), ()),
    (101, ("intraparenchymal",), ()),
    (101, ("intraventricular",), ()),
    (3, ("subarachnoid",), ()),
    (2, ("subdural",), ()),
    (3, (), ("dense sinus", "choroid calcification")),
    (1, (), ()),
)
_PIXELS, _SLICES, _THICKNESS_MM = 128, 12, 12.0  # from jaw to vertex, analyzed in a second


@dataclass(frozen=True)
class ThresholdMetrics:
    """The agreement of a mask with its truth at one threshold.

    Attributes:
        dice: of the whole scan; two empty masks give 1.
        dice_per_subject: mean over slices with blood; None for a scan without.
        marked_ml, true_ml, missed_ml, wrong_ml: volumes; `wrong_ml` is marked without blood.
    """

    dice: float
    dice_per_subject: float | None
    marked_ml: float
    true_ml: float
    missed_ml: float
    wrong_ml: float


def sample_cases() -> list[Callable[[], Case]]:
    """A few small synthetic heads, each made when it is called."""
    return [partial(_sample, *settings) for settings in _SAMPLES]


def _sample(seed: int, bleeds: tuple[str, ...], mimics: tuple[str, ...]) -> Case:
    return phantom(seed, bleeds=bleeds, mimics=mimics, pixels=_PIXELS, slices=_SLICES, thickness_mm=_THICKNESS_MM)


def judge_case(result: Result, case: Case, name: str) -> JudgedScan:
    """A result with its truth, under a chosen name."""
    return judge_result(
        result, case.truth, case.labels, patient=name, name=name, outlined=case.outlined, distances=False
    )


def case_row(result: Result, case: Case, name: str) -> Line:
    """The same as a line of a report."""
    return scan_row(judge_case(result, case, name))


def rank_cases(rows: Sequence[Line], *, threshold: float, count: int = 10) -> list[tuple[str, Line]]:
    """The worst scans by kind of failure (`ich_lib.evaluation.gallery.worst_by_kind`), then the best: those that bleed,
    were called, and overlap most.

    Args:
        rows: lines of a report.
        threshold: a scan is called bleeding from this score.
        count: maximum number of each. No scan is in both.

    Returns:
        (kind, row), the worst first, the best last.
    """
    failed = worst_by_kind(rows, threshold=threshold, count=count)
    failed_rows = [row for _, row in failed]
    fine = [
        (row.dice, row) for row in rows if row.dice is not None and row.scan_any >= threshold and row not in failed_rows
    ]
    best = sorted(fine, key=lambda pair: pair[0])[-count:]
    return failed + [(BEST, row) for _, row in best]


def metrics_at_threshold(result: Result, case: Case, threshold: float) -> ThresholdMetrics:
    """Metrics of the mask at a threshold, on the slices with a known truth.

    Args:
        result: from `analyze`.
        case: its truth.
        threshold: a voxel is marked from this probability.
    """
    mask, truth = (volume[case.outlined] for volume in (replace(result, threshold=threshold).mask, case.truth))
    if not mask.size:
        raise ValueError("No slice of this scan is outlined, so no mask can be measured.")
    slice_ml = result.scan.slice_ml[case.outlined]
    ml = lambda voxels: float(np.count_nonzero(voxels, axis=(1, 2)) @ slice_ml)  # noqa: E731
    return ThresholdMetrics(
        metrics.dice(truth, mask),
        metrics.dice_per_subject(truth, mask),
        ml(mask),
        ml(truth),
        ml(truth & ~mask),
        ml(mask & ~truth),
    )


def count_calls(rows: Sequence[Line], threshold: float) -> metrics.Counts:
    """Scans called bleeding from a score, compared with the truth.

    Args:
        rows: lines of a report.
        threshold: of the scans' scores.
    """
    truth, score = np.array([row.bleeds for row in rows]), np.array([row.scan_any for row in rows])
    return metrics.count(truth, score >= threshold)


def run_for_fold(source: str | Path, fold: int | None) -> str | Path:
    """The run that did not see a scan: in a cross-validation's folder the one of its fold, else the source itself.

    Args:
        source: "shipped", a run folder, a folder of `export`, or a folder of runs fold-0, fold-1, ...
        fold: the fold in which the scan was held out, by its report.
    """
    matching = [run for run in fold_runs(source) if fold is not None and run.name == f"fold-{fold}"]
    return matching[0] if matching else source


def load_models(source: str | Path) -> Models:
    """Load the models of a source, as `engine.load`; "shipped" are the models that come with the library.

    Raises:
        FileNotFoundError: if there are no models.
        ValueError: for a cross-validation's folder, or a file that its card does not describe.
    """
    if fold_runs(source):
        raise ValueError(f"{source} holds the runs of a cross-validation; name one of them, such as fold-0.")
    return load(source, fill=False)


def scan_rows(table: Table, scan: str) -> np.ndarray:
    """The rows of one scan, foot to head.

    Raises:
        ValueError: if the data set does not have it.
    """
    for rows in table.scans():
        if str(table.scan[rows[0]]) == scan:
            return rows
    raise ValueError(f"The report judges a scan that {table.name} does not contain: it belongs to other data.")


def is_training_scan(models: Models, source: str | Path, table: Table, rows: np.ndarray) -> bool:
    """Whether slices of a scan are in the models' training set, so that their result is too favorable."""
    return not unseen_slices(split_of(models, source), table, rows).all()


def check_report(report: Report, models: Models, source: str | Path, table: Table) -> None:
    """Check that a report is of these models, of this data, and of scans that they never saw.

    Raises:
        ValueError: if it is not.
    """
    if report.data != table.name:
        raise ValueError(f"The report is of {report.data}, the data is {table.name}.")
    if not {model.sha256 for model in report.models} >= {model.sha256 for model in models}:
        raise ValueError(f"The report judges other models than those of {source}. Evaluate them again.")
    held_out_scans(models, source, table)
