"""The command line, as a user types it."""

import json
import subprocess
import sys

import pytest

from ich_lib.__main__ import main
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    assert main(["phantom", "--n", "2", "--out", str(folder)]) == 0
    return folder


def test_phantoms_are_written_one_folder_a_case(phantoms):
    assert [p.name for p in sorted(phantoms.iterdir())] == ["phantom-0000", "phantom-0001"]
    assert sorted(p.name for p in (phantoms / "phantom-0000").iterdir()) == [
        "case.json",
        "labels.csv",
        "mask.nii.gz",
        "scan.nii.gz",
    ]


def test_predict_writes_its_three_files_and_says_the_sentence(phantoms, tmp_path, capsys):
    assert main(["predict", str(phantoms / "phantom-0000" / "scan.nii.gz"), "--out", str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["mask.nii.gz", "overview.png", "result.json"]
    assert "Bleeding likely on" in capsys.readouterr().out


def test_json_prints_the_content_of_result_json_and_nothing_else(phantoms):
    path = phantoms / "phantom-0001" / "scan.nii.gz"
    command = [sys.executable, "-m", "ich_lib", "predict", path, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    assert set(json.loads(done.stdout)) >= {"scores", "slices", "volume_ml", "notice"}


@pytest.mark.parametrize(
    "arguments", [["predict", "{bad}", "--json"], ["evaluate", "shipped", "--data", "{bad}", "--out", "x"]]
)
def test_a_bad_input_exits_with_2_and_one_sentence(arguments, tmp_path):
    bad = tmp_path / "scan.dcm"
    bad.write_text("not a scan")
    command = [sys.executable, "-m", "ich_lib", *(part.format(bad=bad) for part in arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.strip().endswith(".")


def test_predict_without_a_place_for_the_result_is_refused(capsys):
    assert main(["predict", "x.nii"]) == 2
    assert "Name a folder with --out, or ask for --json." in capsys.readouterr().err


def test_a_window_that_is_no_window_is_refused(phantoms, capsys):
    assert main(["predict", str(phantoms), "--json", "--window", "a,b"]) == 2
    assert "wants a name or LEVEL,WIDTH" in capsys.readouterr().err


def test_the_way_from_training_to_serving_ones_own_model(tmp_path, capsys):
    """train, export, predict with it: the commands of the README, on phantoms, in seconds."""
    run, out = str(tmp_path / "run"), str(tmp_path / "exported")
    small = ["--steps", "2", "--epochs", "1"]
    assert main(["train", "unet-small", "--out", run, *small]) == 0
    assert main(["train", "unet-small", "--out", run, *small]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main(["export", run, "--out", out]) == 0
    assert main(["phantom", "--out", str(tmp_path / "p")]) == 0
    scan = str(tmp_path / "p" / "phantom-0000" / "scan.nii.gz")
    capsys.readouterr()
    assert main(["predict", scan, "--json", "--weights", out]) == 0
    names = [model["name"] for model in json.loads(capsys.readouterr().out)["models"]]
    assert names == ["unet-small", "densenet-small"]
