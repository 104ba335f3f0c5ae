"""Models and scans they never saw to figures with intervals: report.json, its slices, and a page."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ich_lib.data import Table, open_set
from ich_lib.data.split import Split, units
from ich_lib.data.store import open_store
from ich_lib.evaluation import figures
from ich_lib.evaluation.abstention import abstention
from ich_lib.evaluation.accuracy import accuracy_metrics
from ich_lib.evaluation.judged import JudgedScan, case_of, judge, judge_result, judge_scan, table_scan, table_truth
from ich_lib.evaluation.slices import FILE, write_slices
from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.report import Report, Weights
from ich_lib.models.run import fold_runs
from ich_lib.notice import NOTICE
from ich_lib.prediction.calibration import fit_calibration
from ich_lib.prediction.engine import Models, load

THRESHOLD = 0.5  # of calibrated probabilities: more likely than not


def evaluate(
    source: str | Path, data: str | Path, out: str | Path, *, fold: int | None = None, prevalence: float = 0.1
) -> Report:
    """Evaluate models on scans outside their training set and write report.json, slices.csv and report.html.

    For the data set of the training, these are the scans of the held-out fold; for another data set, all scans. For a
    cross-validation each scan is judged by the model that did not see it, and its scores are calibrated on the scans of
    the other folds. After a leaky split the held-out slices are judged, and the report says that the split leaks.

    Args:
        source: "shipped", a run folder, what `export` wrote, or a folder of runs fold-0, fold-1, ...
        data: the folder of a data set, or a file of `store` with whole slices. The store is faster; its masks are
            compared at the stored size.
        out: folder for the three files.
        fold: the fold to judge; it must be the held-out one, which is the default.
        prevalence: share of scans that bleed, for PPV and NPV.

    Returns:
        The content of report.json (`Report.as_json`).

    Raises:
        ValueError: if the models were trained on that fold, or on every patient of this data, or if the prevalence is
            not valid.

    See also:
        `train`, which makes the runs; `ich_lib.evaluation.compare`, for two reports side by side.

    Example:
        >>> from ich_lib import evaluate, phantom
        >>> from ich_lib.reports.case_files import write_case
        >>> write_case(phantom(1, bleeds=["epidural"], slices=4, pixels=64), "heads/first")
        >>> write_case(phantom(2, slices=4, pixels=64), "heads/second")
        >>> report = evaluate("shipped", "heads", "judged")
        >>> import os
        >>> sorted(os.listdir("judged"))
        ['report.html', 'report.json', 'slices.csv']
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"The prevalence must lie between 0 and 1; got {prevalence}.")
    table, out = open_table(data), Path(out)
    folds: int | tuple[int | None, ...] | None
    runs = fold_runs(source)
    if runs:
        every = [load(run, fill=False) for run in runs]
        scans = [scan for models in every for scan in _judge_models(models, runs[0].parent, table, fold)]
        folds = None if fold is not None else tuple(_folds(scans))
    else:
        every = [load(source, fill=False)]
        scans = _judge_models(every[0], source, table, fold)
        folds = scans[0].fold
    plain = scans
    leaky = sorted({kind for models in every if (kind := split_of(models, source).kind) != "patient"})
    if leaky:
        calibrated = "not"
    elif len(every) > 1 and fold is None:
        scans = cross_fit(scans)
        calibrated = "on the scans of the other folds"
    else:
        calibrated = "as the models' card says" if every[0].calibration else "not"
    report = build_report(scans, table, every, folds=folds, calibrated=calibrated, prevalence=prevalence)
    report = replace(report, leaky=tuple(leaky))
    if scans is not plain:
        fitted = fit_calibration([scan.evidence for scan in scans], [scan.labels for scan in scans])
        report = replace(report, before_calibration=_uncalibrated_figures(plain), calibration=fitted.as_json())
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report.as_json(), indent=1, allow_nan=False) + "\n")
    write_slices(scans, out / FILE)
    from ich_lib.evaluation.page import write_page

    write_page(report, out / "report.html")
    return report


def open_table(data: str | Path) -> Table:
    """The table of a data set's folder, or of a store with whole slices.

    Raises:
        ValueError: for a store of cropped heads.
    """
    if not Path(data).is_file():
        return open_set(data)
    store = open_store(data)
    if store.field != "slice":
        raise ValueError(
            f"{store.path.name} holds cropped heads, so the size of a pixel is lost. Make one with "
            "python -m ich_lib store --field slice."
        )
    return store.table


def cross_fit(scans: Sequence[JudgedScan]) -> list[JudgedScan]:
    """Each fold's scans with scores calibrated on the scans of the other folds."""
    calibrations = {}
    for fold in _folds(scans):
        other_scans = [scan for scan in scans if scan.fold != fold]
        calibrations[fold] = fit_calibration(
            [scan.evidence for scan in other_scans], [scan.labels for scan in other_scans]
        )
    return [scan.rescore(calibrations[scan.fold]) for scan in scans]


def build_report(
    scans: Sequence[JudgedScan],
    table: Table,
    every: Sequence[Models],
    *,
    folds: int | tuple[int | None, ...] | None,
    calibrated: str,
    prevalence: float,
) -> Report:
    """All figures of judged scans.

    Args:
        scans: the scans.
        table: their data set.
        every: the models that judged them; for a cross-validation those of each fold.
        folds: the held-out folds.
        calibrated: the scans that the scores were calibrated on, in words; "not" for plain scores.
        prevalence: share of scans that bleed, for PPV and NPV.
    """
    models, headline = every[0], figures.headline_metrics(scans)
    threshold = THRESHOLD if calibrated != "not" else list(models)[-1].recipe.threshold
    return Report(
        data=table.name,
        patients=tuple(sorted({scan.patient for scan in scans})),
        scans=len(scans),
        threshold=models.segmenter.recipe.threshold if models.segmenter else None,
        score_threshold=threshold,
        calibrated=calibrated,
        dice_per_subject=headline["dice_per_subject"],
        slice_auc_any=headline["slice_auc_any"],
        scan_auc_any=headline["scan_auc_any"],
        volume_mae_ml=headline["volume_mae_ml"],
        ece=headline["ece"],
        masks=figures.mask_metrics(scans),
        spacing=figures.spacing_note(scans),
        volume=figures.volume_metrics(scans),
        slices=figures.call_metrics(scans, of="slices", threshold=threshold, prevalence=prevalence),
        whole_scans=figures.call_metrics(scans, of="scans", threshold=threshold, prevalence=prevalence),
        types=figures.type_metrics(scans, table.known_labels),
        accuracy=accuracy_metrics(scans, table.known_labels, threshold=threshold),
        lesion_size=figures.metrics_by_size(scans),
        groups=figures.metrics_by_group(scans),
        abstention=abstention(scans, threshold=threshold),
        clean_scans=figures.clean_scan_metrics(scans, threshold=threshold),
        worst=tuple(figures.worst_scans(scans, threshold=threshold)),
        per_patient=tuple(figures.scan_row(scan) for scan in scans),
        notice=NOTICE,
        models=tuple(Weights(model.name, model.sha256) for models_of_fold in every for model in models_of_fold),
        folds=folds,
    )


def _folds(scans: Sequence[JudgedScan]) -> list[int | None]:
    """The held-out folds of the scans, in rising order."""
    return sorted({scan.fold for scan in scans}, key=lambda fold: -1 if fold is None else fold)


def _uncalibrated_figures(scans: Sequence[JudgedScan]) -> dict[str, Estimate]:
    """The figures before calibration, which changes them."""
    estimates = figures.headline_metrics(scans)
    return {name: estimates[name] for name in ("slice_auc_any", "scan_auc_any", "ece")}


def _judge_models(models: Models, source: str | Path, table: Table, fold: int | None) -> list[JudgedScan]:
    """The held-out scans; after a leaky split, the held-out slices of every scan."""
    split, rows_of = held_out_scans(models, source, table, fold)
    scans = []
    for rows in tqdm(rows_of, desc=f"evaluating {Path(source).name}", unit="scan"):
        scan, is_unseen = judge(table, rows, models, fold=split.held_out), unseen_slices(split, table, rows)
        scans.append(scan if is_unseen.all() else scan.take_slices(is_unseen))
    return scans


def held_out_scans(
    models: Models, source: str | Path, table: Table, fold: int | None = None
) -> tuple[Split, list[np.ndarray]]:
    """The split of the models' patients, and the rows of each scan with slices that the models never saw.

    Args:
        models: the result of `load` for `source`.
        source: for error messages.
        table: the data set.
        fold: the user's choice; it must be the held-out one.

    Raises:
        ValueError: if the models were trained on that fold, or on every patient of this data.
    """
    split = split_of(models, source)
    if fold is not None and fold != split.held_out:
        raise ValueError(
            f"{source} was trained on the patients of fold {fold}; only fold {split.held_out} was held out."
        )
    rows_of = [rows for rows in table.scans() if unseen_slices(split, table, rows).any()]
    if not rows_of:
        raise ValueError(
            f"{source} was trained on every patient of this data; no patient is left to judge it on. Its "
            f"cross-validated "
            "figures stand on its card."
        )
    return split, rows_of


def unseen_slices(split: Split, table: Table, rows: np.ndarray) -> np.ndarray:
    """(z,) bool, the slices of a scan that were held out, or that belong to a patient unknown to the models.

    Patients set apart (fold -1) are not judged: they are kept for the final report. A patient who is in no fold was in
    another data set than the training set, and so was never seen either.
    """
    names = units(table.take(rows), split.kind)
    return np.array([name not in split.folds or split.folds[name] == split.held_out for name in names])


def split_of(models: Models, source: str | Path) -> Split:
    """The split of the models' patients.

    Raises:
        ValueError: if they were trained on different patients.
    """
    cards = [model.card for model in models]
    splits = [Split(card.get("split", "patient"), card["folds"], card["held_out_fold"]) for card in cards]
    if any(candidate != splits[0] for candidate in splits):
        raise ValueError(f"The models of {source} were trained on different patients; judge them one by one.")
    return splits[0]


__all__ = [
    "THRESHOLD",
    "JudgedScan",
    "Report",
    "build_report",
    "case_of",
    "cross_fit",
    "evaluate",
    "held_out_scans",
    "judge",
    "judge_result",
    "judge_scan",
    "open_table",
    "split_of",
    "table_scan",
    "table_truth",
    "unseen_slices",
]
