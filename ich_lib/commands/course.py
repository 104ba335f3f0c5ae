"""How far one has come in the lessons: course."""

import argparse
from pathlib import Path

from ich_lib.commands.say import say


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    course = commands.add_parser("course", help="list the lessons, and which checks of your copies pass")
    course.add_argument("folder", nargs="?", type=Path, default=Path("notebooks"), help="default: notebooks")
    course.set_defaults(run=_course)


def _course(options: argparse.Namespace) -> None:
    from ich_lib.course.progress import progress

    done = wanted = 0
    for one in progress(options.folder):
        marks = " ".join(f"{number}{'+' if number in one.passed else '-'}" for number in one.exercises)
        say(f"{one.title:58} {len(one.passed)} of {len(one.exercises)}   {marks}")
        done, wanted = done + len(one.passed), wanted + len(one.exercises)
    say(f"{done} of {wanted} checks pass (+), as the copies in {options.folder} were last run and saved.")
