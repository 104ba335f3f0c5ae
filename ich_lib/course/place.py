"""A learner's own folder of lessons: copy them, start one again, and show which comes next."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

from ich_lib.course.progress import Progress

LESSONS = Path(__file__).with_name("lessons.zip")  # the learner's copies, packed by notebooks/build.py
_OLD_PREFIX = "before-reset-"


def _packed() -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """The lessons, and the documents that they link to."""
    with ZipFile(LESSONS) as packed:
        files = {name: packed.read(name) for name in sorted(packed.namelist())}
    lessons = {name: content for name, content in files.items() if name.endswith(".ipynb")}
    return lessons, {name: content for name, content in files.items() if name not in lessons}


def start_course(folder: str | Path) -> tuple[list[str], list[str]]:
    """Copy the lessons to a folder of one's own. A lesson that is there already stays as it is.

    The documents that lessons link to are copied to its folder docs.

    Args:
        folder: made where it is missing.

    Returns:
        Names of the lessons that were copied, and of those that were there.

    Example:
        >>> from tempfile import mkdtemp
        >>> copied, existing_lessons = start_course(mkdtemp())
        >>> copied[1], existing_lessons
        ('01_numbers.ipynb', [])
    """
    folder = Path(folder)
    lessons, documents = _packed()
    existing_lessons = [name for name in lessons if (folder / name).exists()]
    copied = [name for name in lessons if name not in existing_lessons]
    for name, content in {**{name: lessons[name] for name in copied}, **documents}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return copied, existing_lessons


def reset_lesson(number: int, folder: str | Path) -> tuple[Path, Path | None]:
    """Start one lesson again. The earlier copy is renamed, never deleted.

    Args:
        number: of the lesson.
        folder: of the copies.

    Returns:
        The new copy, and where the old one lies now; None if there was none.

    Raises:
        ValueError: if there is no such lesson.
    """
    lessons, _ = _packed()
    name = next((name for name in lessons if name.startswith(f"{number:02d}_")), None)
    if name is None:
        last = max(int(name[:2]) for name in lessons)
        raise ValueError(f"There is no lesson {number}; they run from 0 to {last}.")
    path, old = Path(folder) / name, None
    if path.exists():
        old = _free_name(path.with_name(_OLD_PREFIX + name))
        path.rename(old)
    path.write_bytes(lessons[name])
    return path, old


def _free_name(path: Path) -> Path:
    number = 2
    free = path
    while free.exists():
        free, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return free


def next_lesson(lessons: Sequence[Progress]) -> Progress | None:
    """The first lesson with a check that has not passed; None after the last one."""
    return next((item for item in lessons if len(item.passed_exercises) < len(item.exercises)), None)
