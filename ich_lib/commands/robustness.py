"""Evaluate models on corrupted scans: robustness."""

import argparse
from pathlib import Path

from ich_lib.commands.say import say


def add(commands: argparse._SubParsersAction) -> None:
    """Add this command to the parser."""
    command = commands.add_parser(
        "robustness", help="evaluate models on corrupted scans: noise, blur, motion, metal, ..."
    )
    command.add_argument(
        "source",
        metavar="RUN|shipped",
        nargs="?",
        default="shipped",
        help="a run folder, a folder of crossval or export, or shipped",
    )
    command.add_argument(
        "--data", type=Path, help="folder of a data set, or a store with whole slices (default: phantoms)"
    )
    command.add_argument(
        "--limit", type=int, metavar="N", help="number of patients (default 20) or phantoms (default 8)"
    )
    command.add_argument("--only", nargs="+", metavar="NAME", help="only these corruptions, such as noise motion")
    command.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default 0)")
    command.add_argument("--out", type=Path, required=True, help="folder for robustness.json and robustness.html")
    command.set_defaults(run=_robustness, of_course=True)


def _robustness(options: argparse.Namespace) -> None:
    from ich_lib.evaluation.robustness import plan, robustness
    from ich_lib.evaluation.robustness_page import write_robustness_page
    from ich_lib.evaluation.robustness_summary import summary_sentence

    planned = plan(options.source, data=options.data, limit=options.limit, only=options.only, seed=options.seed)
    say(
        f"{len(planned.candidates)} scans ({planned.data}), clean and under {len(planned.names)} corruptions of five "
        f"severities: {planned.readings} readings. Finished readings are kept; the same command resumes."
    )
    report = robustness(planned, options.out)
    write_robustness_page(report, options.out / "robustness.html")
    say(summary_sentence(report))
    say(f"Written to {options.out}: robustness.json, robustness.html.")
