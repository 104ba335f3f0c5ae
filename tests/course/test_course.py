import json

import pytest

from ich_lib.__main__ import main
from ich_lib.course import find_ct_ich, is_attempted, mark_correct
from ich_lib.course.progress import read_progress


def copy_of_a_lesson(folder, said=("1.1 correct\n", "1.2 not tried yet - go on, nothing below needs it\n")):
    """A saved copy of a lesson in which each check printed one text."""
    cells = [{"cell_type": "markdown", "source": ["# 1. A head in numbers\n", "**Time** 25 min. text"], "metadata": {}}]
    for k, text in enumerate(said, start=1):
        source = f'if tried("1.{k}", mine):\n    correct("1.{k}")\n'
        out = [{"output_type": "stream", "name": "stdout", "text": [text]}] if text else []
        cells.append({"cell_type": "code", "source": [source], "metadata": {"tags": ["check"]}, "outputs": out})
    path = folder / "01_numbers.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_a_stub_is_told_apart_from_an_answer_even_a_false_one(capsys):
    assert not is_attempted("2.1", None)
    assert not is_attempted("2.1", 3, ...)
    assert capsys.readouterr().out == "2.1 not tried yet - go on, nothing below needs it\n" * 2
    assert is_attempted("2.1", 0, False, "")
    mark_correct("2.1")
    assert capsys.readouterr().out == "2.1 correct\n"


def test_progress_counts_what_the_saved_checks_said(tmp_path):
    copy_of_a_lesson(tmp_path, ("1.1 correct\n", "1.2 not tried yet - go on, nothing below needs it\n", ""))
    (item,) = read_progress(tmp_path)
    assert (item.lesson, item.title) == ("01_numbers", "1. A head in numbers")
    assert item.exercises == ("1.1", "1.2", "1.3")
    assert item.passed_exercises == ("1.1",)


def test_the_course_command_lists_lessons_and_sums_up(tmp_path, capsys):
    copy_of_a_lesson(tmp_path)
    assert main(["course", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "1. A head in numbers" in out
    assert "25 min   1 of 2   1.1+ 1.2-" in out
    assert out.splitlines()[-2].startswith("1 of 2 checks pass (+)")


def test_a_course_is_started_once_and_never_over_ones_own_work(tmp_path, capsys):
    folder = tmp_path / "mine"
    assert main(["course", "start", str(folder)]) == 0
    assert " lessons copied to" in capsys.readouterr().out
    lesson = folder / "05_leak.ipynb"
    as_made = lesson.read_text()
    lesson.write_text(as_made.replace("The leak lab", "my notes"))
    (folder / "06_pictures.ipynb").unlink()
    assert main(["course", "start", str(folder)]) == 0
    assert "1 lessons copied" in capsys.readouterr().out
    assert "my notes" in lesson.read_text()
    assert main(["course", "reset", "5", str(folder)]) == 0
    assert "Your copy is now before-reset-05_leak.ipynb" in capsys.readouterr().out
    assert lesson.read_text() == as_made
    assert "my notes" in (folder / "before-reset-05_leak.ipynb").read_text()
    assert main(["course", "reset", "5", str(folder)]) == 0
    assert (folder / "before-reset-05_leak-2.ipynb").exists()


def test_next_names_the_first_lesson_with_an_open_check(tmp_path, capsys, monkeypatch):
    copy_of_a_lesson(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["course", "next"]) == 0
    out = capsys.readouterr().out
    assert "1. A head in numbers (25 min): 1 of 2 checks pass" in out
    assert "01_numbers.ipynb" in out
    copy_of_a_lesson(tmp_path, ("1.1 correct\n", "1.2 correct\n"))
    assert main(["course", "next"]) == 0
    assert "Every check passes" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["start"], ["reset", "x"], ["reset", "99"], ["next", "a", "b"]])
def test_what_the_course_command_does_not_know_is_a_sentence(words, tmp_path, capsys):
    assert main(["course", *words]) == 2
    assert "ich course" in (text := capsys.readouterr().err) or "There is no lesson 99" in text


def test_a_folder_without_lessons_and_a_torn_copy_are_told_in_one_sentence(tmp_path, capsys):
    assert main(["course", str(tmp_path)]) == 2
    assert "holds no lesson (NN_name.ipynb)" in capsys.readouterr().err
    path = copy_of_a_lesson(tmp_path)
    path.write_text(path.read_text()[:100])
    with pytest.raises(ValueError, match=r"01_numbers\.ipynb is not a notebook; it may have been saved halfway"):
        list(read_progress(tmp_path))


def test_ct_ich_is_found_where_it_was_fetched_and_missed_in_words(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("ICH_DATA", raising=False)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert find_ct_ich() is None
    assert "phantoms do for this lesson" in capsys.readouterr().out
    folder = tmp_path / "data" / "ct-ich"
    folder.mkdir(parents=True)
    (folder / "hemorrhage_diagnosis.csv").write_text("")
    assert find_ct_ich() == folder
    assert str(tmp_path) not in capsys.readouterr().out
