"""Cross-validations of several recipes in one table."""

from collections.abc import Sequence
from pathlib import Path

from ich_lib.evaluation.compare import read_report
from ich_lib.evaluation.page import to_text
from ich_lib.models.builders import build
from ich_lib.models.run import START, fold_runs, open_run

_PREFACE = """# Models side by side

Made by `python -m ich_lib table RUNS...` from cross-validations of five folds. Every scan is judged by the model that
never saw its patient. Its scores are calibrated on the other folds. Values in parentheses are 95 % intervals over
resampled patients.

After a **leaky split** the model is judged on held-out slices, but other slices of the same patients were in its
training set. Such lines show only the effect of a leak. "Training slices" is the number of slices shown to each fold's
model, with repetitions. Training starts from random weights unless a line says something else.

"""


def results_table(folders: Sequence[str | Path]) -> str:
    """Evaluated cross-validations as one Markdown page with a table.

    Args:
        folders: each holds fold-0, fold-1, ... and the report.json of `evaluate` beside them.

    Raises:
        FileNotFoundError: if a folder has no report.json.
        ValueError: if report.json is something else.
    """
    lines = [_line(Path(folder)) for folder in folders]
    head = (
        "run",
        "picture",
        "parameters",
        "training slices, minutes per fold",
        "Dice per subject",
        "slice AUC",
        "scan AUC",
        "ECE",
    )
    rows = [head, ("---",) * len(head), *lines]
    return _PREFACE + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _line(folder: Path) -> tuple[str, ...]:
    path = folder / "report.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no report.json; make it with python -m ich_lib evaluate {folder}.")
    report = read_report(path)
    runs = [open_run(run) for run in fold_runs(folder)]
    recipe = runs[0].recipe
    minutes = sum(run.minutes for run in runs) / len(runs)
    leak = f", **{report.leaky[0]} split**" if report.leaky else ""
    figures = map(to_text, (report.dice_per_subject, report.slice_auc_any, report.scan_auc_any, report.ece))
    picture = f"{'x'.join(map(str, recipe.shape))}, {recipe.field}"
    count = f"{build(recipe).count_params():,}" if recipe.is_network else "–"
    start_note = ", started from another run" if (runs[0].folder / START).is_file() else ""
    return (
        f"{folder.name} (`{recipe.name}`{leak}{start_note})",
        picture,
        count,
        f"{runs[0].slices_used}, {minutes:.1f}",
        *figures,
    )
