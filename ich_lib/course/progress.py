"""Which checks pass in one's own copies of the lessons."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ich_lib.course import CORRECT

_NUMBER = re.compile(r"(?:tried|correct|attempt|attempted)\(\s*[\"']([\w.]+)[\"']")

_MINUTES = re.compile(r"\*\*Time\*\* (\d+) min")


@dataclass(frozen=True)
class Progress:
    """How far one copy has come.

    Attributes:
        lesson: the file's name without its ending.
        title: the first heading.
        exercises: their numbers in order.
        passed_exercises: those whose check said so when the copy was last run and saved.
        minutes: that the lesson takes, by its own word; 0 where it says none.
    """

    lesson: str
    title: str
    exercises: tuple[str, ...]
    passed_exercises: tuple[str, ...]
    minutes: int = 0


def read_progress(folder: str | Path) -> Iterator[Progress]:
    """Read the copies in a folder, in order. Nothing is run: what counts are the outputs saved in them.

    Args:
        folder: of .ipynb files.

    Raises:
        FileNotFoundError: if there is no lesson in it.
        ValueError: if a file is no notebook.
    """
    paths = sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no lesson (NN_name.ipynb). Name the folder of your copies.")
    for path in paths:
        yield _read_copy(path)


def _read_copy(path: Path) -> Progress:
    try:
        cells = json.loads(path.read_text())["cells"]
        first = "".join(cells[0]["source"])
        heading, time = first.splitlines()[0].lstrip("# "), _MINUTES.search(first)
    except (json.JSONDecodeError, KeyError, IndexError, TypeError, UnicodeDecodeError):
        raise ValueError(f"{path.name} is not a notebook; it may have been saved halfway.") from None
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    checks = [cell for cell in code if "check" in cell.get("metadata", {}).get("tags", [])]
    numbers = [number for cell in checks for number in _NUMBER.findall("".join(cell["source"]))]
    output = "".join("".join(out.get("text", "")) for cell in checks for out in cell.get("outputs", []))
    exercises = tuple(dict.fromkeys(numbers))
    passed = tuple(number for number in exercises if f"{number} {CORRECT}\n" in output)
    return Progress(path.stem, heading, exercises, passed, int(time[1]) if time else 0)
