"""The lessons, and how far one has come in them: course."""

import argparse
import shutil
from pathlib import Path

from ich_lib.commands.fronts import shared
from ich_lib.commands.say import say


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    course = commands.add_parser("course", help="list the lessons, and which checks of your copies pass")
    course.add_argument("folder", nargs="?", type=Path, default=Path("notebooks"), help="default: notebooks")
    course.add_argument("--new", action="store_true", help="put copies of the lessons there; none is written over")
    course.set_defaults(run=_course)


def _course(options: argparse.Namespace) -> None:
    from ich_lib.course.progress import read_progress

    if options.new:
        _copy_lessons(options.folder)
    done = total = 0
    for lesson in read_progress(options.folder):
        marks = " ".join(f"{number}{'+' if number in lesson.passed_exercises else '-'}" for number in lesson.exercises)
        say(f"{lesson.title:58} {len(lesson.passed_exercises)} of {len(lesson.exercises)}   {marks}")
        done, total = done + len(lesson.passed_exercises), total + len(lesson.exercises)
    say(f"{done} of {total} checks pass (+), as the copies in {options.folder} were last run and saved.")


def _copy_lessons(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for lesson in sorted(shared("notebooks").glob("[0-9][0-9]_*.ipynb")):
        if not (folder / lesson.name).exists():
            shutil.copyfile(lesson, folder / lesson.name)
