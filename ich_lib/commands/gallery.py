"""A page of failures: gallery."""

import argparse
from pathlib import Path

from ich_lib.commands.say import say


def add(commands: argparse._SubParsersAction) -> None:
    """Add this command to the parser."""
    gallery = commands.add_parser("gallery", help="write a page of a model's worst failures")
    gallery.add_argument("source", metavar="RUN|shipped", help="as for evaluate")
    gallery.add_argument("--data", type=Path, required=True, help="folder of a data set, or a store with whole slices")
    gallery.add_argument("--out", type=Path, required=True, help="folder for gallery.html; keep it on this machine")
    gallery.add_argument(
        "--report", type=Path, metavar="FILE", help="report.json of evaluate; without it, the evaluation runs first"
    )
    gallery.add_argument("--n", type=int, default=20, help="maximum number of scans (default 20)")
    gallery.set_defaults(run=_gallery, of_course=True)


def _gallery(options: argparse.Namespace) -> None:
    from ich_lib.evaluation.gallery import gallery

    cases = gallery(options.source, options.data, options.out, report=options.report, count=options.n)
    for cause in dict.fromkeys(case.cause for case in cases):
        say(f"{cause:18} {sum(case.cause == cause for case in cases)}")
    say(f"Written to {options.out}: gallery.html. It shows patients' pictures: keep it on this machine.")
