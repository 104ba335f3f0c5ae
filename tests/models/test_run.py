import os
import subprocess
import sys
import time

import pytest

from ich_lib.models.run import Epoch, compare_recipes, find_reports, find_runs
from tests.written import HEAD, recipe, report, run_folder, write_report


def test_runs_are_found_in_a_folder_and_below_with_what_they_hold(tmp_path):
    run_folder(tmp_path / "first", finished=True)
    run_folder(tmp_path / "cross" / "fold-0", recipe("other"), held_out=0)
    run_folder(tmp_path / ".hidden" / "fold-0")
    remaining, problems = find_runs(tmp_path)
    assert not problems
    assert [(run.name, run.recipe.name, run.finished) for run in remaining] == [
        ("cross/fold-0", "other", False),
        ("first", "tiny", True),
    ]
    assert (remaining[0].split.kind, remaining[0].held_out, remaining[0].folds) == ("patient", 0, {"a": 0, "b": 1})
    assert remaining[1].history() == [Epoch(1, 0.9, None, 0.001, 0.5), Epoch(2, 0.7, 0.8, 0.0005, 1.0)]
    assert remaining[1].state == "finished after 2 epochs, 1.0 minutes"
    (single,), _ = find_runs(tmp_path / "first")
    assert single.name == "first"


def test_a_run_that_trains_tells_how_far_it_is_and_leaves_a_half_written_line_for_later(tmp_path):
    folder = run_folder(tmp_path / "run")
    with (folder / "history.csv").open("a") as file:
        file.write("3,0.6")
    (run,), _ = find_runs(tmp_path)
    assert [item.epoch for item in run.history()] == [1, 2]
    os.utime(folder / "history.csv", (time.time() - 180,) * 2)
    assert run.state == "2 of 5 epochs, 1.0 minutes; the last one ended 3 minutes ago"
    with (folder / "history.csv").open("a") as file:
        file.write("0000,,0.0001,1.50\n")
    assert [item.loss for item in run.history()] == [0.9, 0.7, 0.6]
    (folder / "history.csv").unlink()
    assert (run.history(), run.state) == ([], "started, no epoch yet")


def test_a_run_that_cannot_be_read_gets_a_sentence_and_the_others_are_found(tmp_path):
    run_folder(tmp_path / "fine")
    (run_folder(tmp_path / "broken") / "recipe.json").write_text("{")
    (run_folder(tmp_path / "newer") / "recipe.json").write_text('{"name": "x", "warp": 1}')
    (run_folder(tmp_path / "half") / "folds.json").unlink()
    remaining, problems = find_runs(tmp_path)
    assert [run.name for run in remaining] == ["fine"]
    assert problems == [
        "broken cannot be read: recipe.json or folds.json was not written by train.",
        "half cannot be read: recipe.json or folds.json was not written by train.",
        "newer cannot be read: recipe.json holds 'warp', which is not a field of a recipe; it was "
        "written by another version.",
    ]
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        find_runs(tmp_path / "nowhere")


def test_links_in_a_circle_end_and_a_run_linked_twice_is_one(tmp_path):
    folder = run_folder(tmp_path / "a" / "run")
    (tmp_path / "a" / "around").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(folder)
    assert len(find_runs(tmp_path)[0]) == 1


def test_reports_are_found_by_the_folder_they_lie_in(tmp_path):
    path = write_report(tmp_path / "cross", report([]))
    assert find_reports(tmp_path) == {"cross": path}
    assert find_reports(tmp_path / "cross") == {"cross": path}


def test_settings_that_differ_come_first_and_what_a_recipe_lacks_is_none():
    output = compare_recipes({"a": recipe(), "b": recipe("tiny", batch=4, options={"filters": (4, 8), "gates": True})})
    apart = {item.name: item.values for item in output if item.is_different}
    assert apart == {"batch": {"a": 8, "b": 4}, "options.gates": {"a": None, "b": True}}
    assert [item.is_different for item in output] == sorted((item.is_different for item in output), reverse=True)
    assert "augment.turn_deg" in {item.name for item in output}
    assert not any(item.is_different for item in compare_recipes({"a": recipe(), "b": recipe()}))


def test_looking_at_runs_imports_no_keras(tmp_path):
    run_folder(tmp_path / "run")
    code = (
        "import sys; from ich_lib.models.run import find_runs, open_run\n"
        f"find_runs({str(tmp_path)!r}); open_run({str(tmp_path / 'run')!r}).state\n"
        "assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_history_read_here_is_the_one_that_training_writes(tmp_path):
    """Column by column, so that a changed name in `train` is noticed here."""
    from ich_lib.models.run import COLUMNS

    assert ",".join(COLUMNS) == HEAD
