"""Models and patients they never saw to figures with intervals."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ich_lib.datasets import Table, open_set
from ich_lib.engine import Models, load
from ich_lib.labels import ANY
from ich_lib.metrics import auc, dice_per_subject
from ich_lib.predict import NOTICE, analyse
from ich_lib.scan import Scan, axial_affine
from ich_lib.statistics import Figure, patient_bootstrap


@dataclass(frozen=True)
class Judged:
    """One patient's truth and answer, as much as the figures need."""

    patient: str
    dice: float | None
    truth: np.ndarray  # (z,) bool, blood in the slice
    slices: np.ndarray  # (z,) score for `any`
    scan: float


def evaluate(source: str | Path, data: str | Path, out: str | Path, *, fold: int | None = None) -> dict:
    """Judge models on patients they were not trained on and write report.json.

    Of the data set that was trained on, that is the fold held out; of another data set, everybody.

    Args:
        source: "shipped", a run folder, or what `export` wrote.
        data: the folder of a data set.
        out: where report.json goes.
        fold: the fold to judge on; it must be the one held out, which is also the default.

    Returns:
        What report.json holds.

    Raises:
        ValueError: if the models were trained on that fold, or on every patient of this data.
    """
    models = load(None if str(source) == "shipped" else source, fill=False)
    table = open_set(data)
    held_out, patients = _unseen(models, source, table, fold)
    judged = [judge(table, patient, models) for patient in tqdm(patients, desc="evaluating", unit="patient")]
    report = {
        "models": [{"name": model.name, "sha256": model.sha256} for model in models],
        "data": table.name,
        "fold": held_out,
        "patients": patients,
        "threshold": models.segmenter.recipe.threshold if models.segmenter else None,
        **{name: figure.as_json() for name, figure in figures(judged).items()},
        "per_patient": [_row(one) for one in judged],
        "notice": NOTICE,
    }
    Path(out).mkdir(parents=True, exist_ok=True)
    (Path(out) / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def judge(table: Table, patient: str, models: Models) -> Judged:
    """Analyse one patient exactly as the demo would, and compare."""
    rows = table.rows([patient])
    hu = np.stack([table.hu(r) for r in rows])
    result = analyse(Scan(hu, axial_affine((5, 1, 1), hu.shape), spacing_known=False), models)
    known = np.flatnonzero(table.outlined[rows])
    truth = np.stack([table.truth(r) for r in rows[known]])
    overlap = dice_per_subject(truth, result.mask[known]) if models.segmenter and len(known) else None
    return Judged(patient, overlap, table.labels[rows, ANY], result.slice_scores[:, ANY], result.scores["any"])


def figures(judged: list[Judged]) -> dict[str, Figure]:
    """The three headline figures.

    `dice_per_subject` is the mean over bleeding subjects of their mean over slices with blood (Hssayeni 2020);
    `slice_auc_any` pools the slices, `scan_auc_any` takes one score a patient. Patients are resampled, never slices.
    """
    with_blood = [one.dice for one in judged if one.dice is not None]
    pooled = lambda some: auc(np.concatenate([o.truth for o in some]), np.concatenate([o.slices for o in some]))  # noqa: E731
    return {
        "dice_per_subject": patient_bootstrap(with_blood, lambda some: float(np.mean(some))),
        "slice_auc_any": patient_bootstrap(judged, pooled),
        "scan_auc_any": patient_bootstrap(
            judged, lambda some: auc([o.truth.any() for o in some], [o.scan for o in some])
        ),
    }


def _unseen(models: Models, source, table: Table, fold: int | None) -> tuple[int | None, list[str]]:
    """The held-out fold and the patients never trained on, or an error that says why nobody can be judged.

    A patient whom the folds do not name was in another data set than the one trained on, and so was never seen either.
    """
    splits = {(held_out, tuple(sorted(folds.items()))) for held_out, folds in map(_split, models)}
    if len(splits) > 1:
        raise ValueError(f"The models of {source} were trained on different patients; judge them one by one.")
    held_out, folds = splits.pop()
    if fold is not None and fold != held_out:
        raise ValueError(f"{source} was trained on the patients of fold {fold}; only fold {held_out} was held out.")
    seen = {patient for patient, its_fold in folds if its_fold != held_out}
    patients = [patient for patient in table.patients if patient not in seen]
    if not patients:
        raise ValueError(f"{source} was trained on every patient of this data; nobody is left to judge it on.")
    return held_out, patients


def _split(model) -> tuple[int | None, dict[str, int]]:
    return model.card["held_out_fold"], model.card["folds"]


def _row(one: Judged) -> dict:
    dice = None if one.dice is None else round(one.dice, 4)
    return {
        "patient": one.patient,
        "dice": dice,
        "scan_any": round(one.scan, 4),
        "slices": len(one.truth),
        "slices_with_blood": int(one.truth.sum()),
    }
