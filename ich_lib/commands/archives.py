"""Many scans: predict --many, and the summary page: archive report."""

import argparse
from pathlib import Path

from ich_lib.commands.say import say


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    archive = commands.add_parser("archive", help="summarize the results of predict --many")
    parts = archive.add_subparsers(required=True, metavar="PART")
    report = parts.add_parser(
        "report", help="write a page: number of studies, how many are positive or unsure, what failed and why"
    )
    report.add_argument("folder", type=Path, help="the --out of predict --many")
    report.set_defaults(run=_report)


def add_options(predict: argparse.ArgumentParser) -> None:
    """Add the options for many scans to the parser of predict."""
    group = predict.add_argument_group("many scans")
    group.add_argument(
        "--many",
        nargs="+",
        type=Path,
        metavar="LIST",
        help="lists (one path per line) and folders of studies; --out gets one line for each; the same command resumes",
    )
    group.add_argument(
        "--files", nargs="+", default=[], metavar="NAME", help="files to write for each study, such as mask.nii.gz"
    )
    group.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    group.add_argument("--dask", metavar="ADDRESS", help="address of a Dask scheduler whose workers see the same paths")


def predict_many(options: argparse.Namespace) -> None:
    """Score all studies, with a progress bar, and report the counts."""
    from tqdm import tqdm

    from ich_lib.archive.crew import Order, score_all
    from ich_lib.archive.lines import RESULTS, open_lines
    from ich_lib.archive.report import report
    from ich_lib.archive.score import FAILED
    from ich_lib.archive.studies import list_studies

    _check(options)
    total = sum(1 for _ in list_studies(options.many))
    order = Order(options.weights, tuple(options.files), str(options.out), options.believe)
    new = failed = 0
    with open_lines(options.out) as lines:
        scored = score_all(list_studies(options.many), lines, order, workers=options.workers, dask=options.dask)
        for line in tqdm(scored, total=total, initial=len(lines.finished), desc="scoring", unit="scan", disable=None):
            new, failed = new + 1, failed + (line["finding"] == FAILED)
        done = len(lines.finished)
    files = ", ".join(path.name for path in report(options.out))
    say(
        f"{new} new studies scored, {failed} of them failed; {done} lines in {options.out / RESULTS}. Written: {files}."
    )


def _check(options: argparse.Namespace) -> None:
    from ich_lib.prediction.engine import load
    from ich_lib.reports import WRITERS

    if options.paths or options.series or options.window or options.json:
        raise ValueError("--many takes only lists and folders: no other path, --series, --window or --json.")
    if not options.out:
        raise ValueError("--many needs --out FOLDER for its results.")
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers must be at least 1; got {options.workers}.")
    if unknown := set(options.files) - set(WRITERS):
        raise ValueError(f"No result file is called {min(unknown)!r}; there are {', '.join(WRITERS)}.")
    load(options.weights)  # an error here saves an hour of failures


def _report(options: argparse.Namespace) -> None:
    from ich_lib.archive.report import report

    say(f"Written to {options.folder}: {', '.join(path.name for path in report(options.folder))}.")
