"""A lesson to read outside of Jupyter."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

_COLAB = re.compile(r"\[!\[[^\]]*\]\([^)]*\)\]\((https://colab\.research\.google\.com/[^)]*)\)\n*")
_NOT_PUBLISHED = re.compile(r"\*The project is not published yet:[^*]*\*\n*")
_FOLD = re.compile(r"<details><summary>(.*?)</summary>\s*(.*?)\s*</details>", re.S)  # Streamlit folds no HTML
_SKIPPED_TAGS = {"solution", "setup", "check"}
_DETAILS = "<details"  # how a learner's copy holds a solution


@dataclass(frozen=True)
class Cell:
    """A cell's text; `code` tells which kind."""

    text: str
    code: bool


@dataclass(frozen=True)
class Lesson:
    """What there is to read.

    Attributes:
        title: the first heading.
        cells: without set-up, checks and solutions; the title is not repeated.
        online: where it opens in Colab; "" where it was not published.
    """

    title: str
    cells: tuple[Cell, ...]
    online: str


def read_lesson(path: str | Path) -> Lesson:
    """Read a notebook.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is no notebook.
    """
    path = Path(path)
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = [("".join(cell["source"]), cell["cell_type"] == "code", _tags(cell)) for cell in cells]
        heading, _, body = texts[0][0].partition("\n")
    except (json.JSONDecodeError, KeyError, IndexError, TypeError, UnicodeDecodeError):
        raise ValueError(f"{path.name} is not a notebook; it may have been saved halfway.") from None
    badge = _COLAB.search(body)
    online = badge.group(1) if badge else ""
    first = Cell(_NOT_PUBLISHED.sub("", _COLAB.sub("", body)).strip(), code=False)
    visible = [Cell(_FOLD.sub(r"*\1:* \2", text), code) for text, code, tags in texts[1:] if _is_readable(text, tags)]
    return Lesson(heading.lstrip("# "), (first, *visible), online)


def _is_readable(text: str, tags: set[str]) -> bool:
    return bool(text.strip()) and not tags & _SKIPPED_TAGS and not text.lstrip().startswith(_DETAILS)


def _tags(cell: dict) -> set[str]:
    return set(cell.get("metadata", {}).get("tags", []))
