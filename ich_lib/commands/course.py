"""The lessons and your progress: course."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ich_lib.commands.say import say

_HELP = "list the lessons, and which checks of your copies pass; start FOLDER, next and reset N"
_WORDS = """
  ich course start FOLDER     copy the lessons to a folder of your own; existing files are kept
  ich course [FOLDER]         list the lessons, with minutes and the checks that pass
  ich course next [FOLDER]    name the first lesson that is not finished
  ich course reset N [FOLDER] start lesson N again; your copy is renamed, not deleted
"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    course = commands.add_parser(
        "course", help=_HELP, description=_WORDS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    course.add_argument("words", nargs="*", metavar="start|next|reset|FOLDER", help="see above; default: list")
    course.set_defaults(run=_course)


def _course(options: argparse.Namespace) -> None:
    first, *arguments = options.words or ("",)
    if first == "start" and len(arguments) == 1:
        _start(Path(arguments[0]))
    elif first == "next" and len(arguments) <= 1:
        _next(_folder(arguments))
    elif first == "reset" and 1 <= len(arguments) <= 2 and arguments[0].isdecimal():
        _reset(int(arguments[0]), _folder(arguments[1:]))
    elif len(options.words) <= 1 and first not in ("start", "next", "reset"):
        _list(_folder(options.words))
    else:
        raise ValueError(f"ich course does not know: {' '.join(options.words)}. It takes:\n{_WORDS}")


def _folder(words: Sequence[str]) -> Path:
    """The named folder, or the current one, or notebooks below it."""
    if words:
        return Path(words[0])
    return Path() if list(Path().glob("[0-9][0-9]_*.ipynb")) else Path("notebooks")


def _start(folder: Path) -> None:
    from ich_lib.course.place import start_course

    copied, existing_lessons = start_course(folder)
    say(f"{len(copied)} lessons copied to {folder}; {len(existing_lessons)} existed and were kept.")
    say(f"Start with: jupyter lab {folder / min([*copied, *existing_lessons])}")


def _next(folder: Path) -> None:
    from ich_lib.course.place import next_lesson
    from ich_lib.course.progress import read_progress

    lesson = next_lesson(list(read_progress(folder)))
    if lesson is None:
        say("Every check passes. Next: a research question of your own.")
        return
    say(f"{lesson.title} ({lesson.minutes} min): {len(lesson.passed_exercises)} of {len(lesson.exercises)} checks pass")
    say(f"jupyter lab {folder / lesson.lesson}.ipynb")


def _reset(number: int, folder: Path) -> None:
    from ich_lib.course.place import reset_lesson

    path, old = reset_lesson(number, folder)
    say(f"{path.name} is new." + (f" Your copy is now {old.name}." if old else ""))


def _list(folder: Path) -> None:
    from ich_lib.course.progress import read_progress

    n_passed = total = minutes = 0
    for lesson in read_progress(folder):
        marks = " ".join(f"{number}{'+' if number in lesson.passed_exercises else '-'}" for number in lesson.exercises)
        counts = f"{len(lesson.passed_exercises)} of {len(lesson.exercises)}"
        say(f"{lesson.title:58} {lesson.minutes:3} min   {counts}   {marks}")
        n_passed, total = n_passed + len(lesson.passed_exercises), total + len(lesson.exercises)
        minutes += lesson.minutes
    say(f"{n_passed} of {total} checks pass (+), in the copies in {folder}, as last run and saved.")
    say(f"All lessons together: {minutes / 60:.0f} hours.")
