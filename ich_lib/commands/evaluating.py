"""Trained models to figures: evaluate."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ich_lib.commands.say import say

if TYPE_CHECKING:
    from ich_lib.measures.bootstrap import Estimate
    from ich_lib.measures.report import Report


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    evaluate = commands.add_parser("evaluate", help="evaluate models on scans they never saw")
    evaluate.add_argument(
        "source", metavar="RUN|shipped", help="a run folder, a folder of crossval or export, or shipped"
    )
    evaluate.add_argument("--data", type=Path, required=True, help="folder of a data set, or a store with whole slices")
    evaluate.add_argument("--fold", type=int, help="must be the held-out fold, which is the default")
    evaluate.add_argument("--out", type=Path, required=True, help="folder for report.json, slices.csv and report.html")
    evaluate.add_argument(
        "--prevalence", type=float, default=0.1, help="share of scans that bleed, for PPV and NPV (default 0.1)"
    )
    evaluate.set_defaults(run=_evaluate, of_course=True)


def _evaluate(options: argparse.Namespace) -> None:
    from ich_lib.evaluation import evaluate

    print_headline(
        evaluate(options.source, options.data, options.out, fold=options.fold, prevalence=options.prevalence)
    )
    say(f"Written to {options.out}: report.json, slices.csv, report.html.")


def print_headline(report: "Report") -> None:
    """The headline of an evaluation."""
    folds = report.folds
    folds_text = f"Folds {', '.join(map(str, folds))}" if isinstance(folds, tuple) else f"Fold {folds}"
    never = "LEAKY split: patients of the training set" if report.leaky else "patients outside the training set"
    say(f"{folds_text}, {len(report.patients)} {never}; threshold {report.threshold}.")
    for name, figure in report.headline.items():
        say(f"{name:17} {figure}")
        for words, baseline in _baselines(report).get(name, {}).items():
            if baseline:
                say(f"  {words:15} {baseline}")


def _baselines(report: "Report") -> dict[str, dict[str, "Estimate | None"]]:
    """The baselines of a figure without a model, by the figure's name."""
    blob = "by bright blob"
    return {
        "dice_per_subject": {blob: report.masks.blob_dice if report.masks else None},
        "slice_auc_any": {"by height only": report.slices.height_auc, blob: report.slices.blob_auc},
        "scan_auc_any": {blob: report.whole_scans.blob_auc},
    }
