import json

import pytest

from ich_lib.course.lesson import read_lesson
from tests.conftest import ROOT


def test_a_lesson_is_read_without_its_solutions_checks_and_badge(tmp_path):
    badge = "[![Open in Colab](https://x/badge.svg)](https://colab.research.google.com/github/me/it/blob/v1/a.ipynb)"
    cells = [
        ("markdown", f"# 5. The leak lab\n\n{badge}\n\n**You will** see.", []),
        ("code", "import numpy", ["setup"]),
        ("markdown", "## A claim", []),
        ("code", "def mine(): ...", ["exercise"]),
        ("code", "correct('5.1')", ["check"]),
        ("markdown", "<details>the answer</details>", ["solution"]),
        ("code", "  \n", []),
    ]
    output = [{"cell_type": kind, "source": [text], "metadata": {"tags": tags}} for kind, text, tags in cells]
    path = tmp_path / "05_leak.ipynb"
    path.write_text(json.dumps({"cells": output}))
    read = read_lesson(path)
    assert (read.title, read.online) == ("5. The leak lab", badge.split("](")[2].rstrip(")"))
    assert [(cell.text, cell.code) for cell in read.cells] == [
        ("**You will** see.", False),
        ("## A claim", False),
        ("def mine(): ...", True),
    ]


def test_no_lesson_shows_its_solution_or_points_nowhere():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        read = read_lesson(path)
        assert not any("<details" in cell.text for cell in read.cells), path.name
        assert "OWNER" not in read.online


def test_a_torn_copy_is_refused(tmp_path):
    path = tmp_path / "05_leak.ipynb"
    path.write_text('{"cells": [')
    with pytest.raises(ValueError, match=r"05_leak.ipynb is not a notebook"):
        read_lesson(path)
