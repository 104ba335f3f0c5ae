"""The command line, as a user types it."""

import importlib
import json
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from pydicom.uid import generate_uid

import ich_lib
from ich_lib import analyze, read
from ich_lib.__main__ import _parser, main
from ich_lib.labels import ANY
from ich_lib.phantoms.bodies import body
from ich_lib.prediction.engine import list_weights, load
from ich_lib.reports import write_nifti
from ich_lib.words import result_sentence
from tests.conftest import ROOT
from tests.dicom_files import write_series
from tests.planted import head, laid_out


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


def test_predict_writes_its_files_and_says_the_sentence(phantoms, tmp_path, capsys):
    assert main(["predict", str(phantoms / "phantom-0000" / "scan.nii.gz"), "--out", str(tmp_path / "out")]) == 0
    message = capsys.readouterr().out
    assert "Bleeding likely on" in message
    assert message.endswith("result.json, slices.csv, mask.nii.gz, overview.png, report.pdf.\n")
    assert all((tmp_path / "out" / name).is_file() for name in message.rstrip(".\n").split(": ")[-1].split(", "))


def test_every_model_is_listed_with_its_figures_and_can_be_chosen(phantoms, capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert tuple(line.split()[0] for line in lines) == list_weights()
    dice, slice_auc, scan_auc = (
        load().figures[name]["value"] for name in ("dice_per_subject", "slice_auc_any", "scan_auc_any")
    )
    assert lines[0].split(maxsplit=1)[1] == (
        f"mask and scores  Dice {dice:.2f}, slice AUC {slice_auc:.2f}, scan AUC {scan_auc:.2f}"
    )
    for name in list_weights()[1:]:
        assert main(["predict", str(phantoms / "phantom-0000" / "scan.nii.gz"), "--model", name]) == 0
        assert "This model scores slices only" in capsys.readouterr().out or load(name).segmenter


def test_json_prints_the_content_of_result_json_and_nothing_else(phantoms):
    path = phantoms / "phantom-0001" / "scan.nii.gz"
    command = [sys.executable, "-m", "ich_lib", "predict", path, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    assert set(json.loads(done.stdout)) >= {"scores", "slices", "volume_ml", "notice"}


def test_what_is_no_head_gets_no_finding_unless_it_is_asked_for(tmp_path, capsys):
    chest = body("chest", slices=4, pixels=64)
    write_nifti(tmp_path / "chest.nii.gz", chest.hu.astype(np.int16), chest)
    command = ["predict", str(tmp_path / "chest.nii.gz"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    message = capsys.readouterr().out
    assert message.startswith("No finding is given")
    assert "No slice shows brain inside a skull." in message
    assert "Use --believe to see the finding" in message
    assert not re.search(r"\bmL\b|likely", message)
    assert not (tmp_path / "out" / "mask.nii.gz").exists()
    assert main([*command, "--believe"]) == 0
    message = capsys.readouterr().out
    assert "No finding" not in message
    assert message.splitlines()[1].startswith("Shown on request")
    assert (tmp_path / "out" / "mask.nii.gz").is_file()


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


def test_predict_without_a_place_for_the_result_prints_the_finding_and_its_slices(phantoms, capsys):
    path = phantoms / "phantom-0000" / "scan.nii.gz"
    assert main(["predict", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = analyze(read(path))
    called = (np.flatnonzero(result.slice_scores[:, ANY] >= 0.5) + 1).tolist()
    assert called
    assert lines[0] == result_sentence(result)
    assert [int(line.split(":")[0].removeprefix("slice")) for line in lines if line.startswith("slice ")] == called
    assert lines[-1] == "--out FOLDER writes the mask, a picture and a report."


def test_predict_looks_at_the_path_first(capsys):
    assert main(["predict", "x.nii"]) == 2
    assert "x.nii does not exist." in capsys.readouterr().err


def test_a_window_that_is_no_window_is_refused(phantoms, capsys):
    assert main(["predict", str(phantoms), "--json", "--window", "a,b"]) == 2
    assert "takes a name or LEVEL,WIDTH" in capsys.readouterr().err


@pytest.mark.long
def test_the_way_from_training_to_serving_ones_own_model(tmp_path, capsys):
    """Train, export, and predict with the result: the commands of the README, on phantoms, in seconds."""
    run, out = str(tmp_path / "run"), str(tmp_path / "exported")
    small = ["--steps", "2", "--epochs", "1", "--phantoms", "6"]
    assert main(["train", "unet-small", "--out", run, *small]) == 0
    assert main(["train", "unet-small", "--out", run, *small]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main(["export", run, "--out", out]) == 0
    assert main(["phantom", "--thickness", "34", "--out", str(tmp_path / "p")]) == 0  # five slices
    scan = str(tmp_path / "p" / "phantom-0000" / "scan.nii.gz")
    capsys.readouterr()
    assert main(["predict", scan, "--json", "--weights", out]) == 0
    names = [model["name"] for model in json.loads(capsys.readouterr().out)["models"]]
    assert names == ["unet-small", load().classifier.name]


def test_every_recipe_is_listed_with_its_source(capsys, monkeypatch):
    from ich_lib.models import builders

    rows = [{"name": "r", "task": "both", "shape": (4, 4, 6), "parameters": 1234567, "source": "somebody 2020"}]
    monkeypatch.setattr(builders, "list_models", lambda: iter(rows))
    assert main(["recipes"]) == 0
    assert capsys.readouterr().out.split() == ["r", "both", "4x4x6", "1,234,567", "somebody", "2020"]


def test_phantoms_take_mimics_thickness_tilt_and_noise(tmp_path, capsys):
    """A head of 170 mm in slices of 17 mm has ten slices. A tilt of 20 degrees multiplies a voxel by the cosine."""
    import nibabel as nib
    import numpy as np

    out = str(tmp_path / "p")
    options = ["--thickness", "17", "--tilt", "20", "--noise", "0", "--mimics", "dense sinus", "--bleeds", "subdural"]
    assert main(["phantom", "--out", out, *options]) == 0
    scan = nib.load(tmp_path / "p" / "phantom-0000" / "scan.nii.gz")
    assert scan.shape == (256, 256, 10)
    assert abs(np.linalg.det(scan.affine[:3, :3])) == pytest.approx(17 * (230 / 256) ** 2 * np.cos(np.radians(20)))
    output = json.loads((tmp_path / "p" / "phantom-0000" / "case.json").read_text())
    assert output["mimics"] == ["dense sinus"]
    assert main(["phantom", "--out", out, "--mimics", "tumor"]) == 2
    assert "'tumor' is no mimic" in capsys.readouterr().err


def test_a_set_that_needs_an_account_says_how_to_get_it(capsys, tmp_path):
    assert main(["fetch", "rsna-2019", "--out", str(tmp_path / "rsna")]) == 2
    message = capsys.readouterr()
    assert "non-commercial" in message.out
    assert "kaggle competitions download" in message.err
    assert not (tmp_path / "rsna").exists()


def test_a_data_set_is_checked_stored_and_trained_from(phantoms, tmp_path, capsys):
    """Two cases that `phantom` wrote are a data set like any other. A case with a truncated mask has no mask."""
    store = str(tmp_path / "two.slices")
    assert main(["store", "--data", str(phantoms), "--out", store, "--size", "64"]) == 0
    message = capsys.readouterr().out
    assert "2 scans and 2 patients" in message
    assert "two.slices" in message
    small = ["--steps", "2", "--epochs", "1", "--phantoms", "6", "--out", str(tmp_path / "run")]
    assert main(["train", "unet-small", "--data", store, *small]) == 2
    assert "holds head pictures of 64 px; unet-small wants head pictures of 256 px" in capsys.readouterr().err
    assert main(["store", "--data", str(tmp_path), "--out", store]) == 2
    assert "is not a known data set" in capsys.readouterr().err


def test_a_split_that_leaks_is_refused_unless_asked_for(tmp_path, capsys):
    run = ["--out", str(tmp_path / "run"), "--steps", "2", "--epochs", "1", "--phantoms", "3"]
    assert main(["train", "cnn-001", "--split", "leaky-image", *run]) == 2
    assert "This split leaks: 3 patients are on both sides" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_another_seed_can_meet_the_same_held_out_patients(tmp_path, monkeypatch):
    """The seed also deals out the folds, so the split is taken from a run with another seed."""
    from ich_lib.models.run import open_run
    from ich_lib.training import train as module
    from tests.written import run_folder

    first, given = open_run(run_folder(tmp_path / "first", held_out=1)), {}
    monkeypatch.setattr(module, "train", lambda *of, **settings: given.update(settings) or first)
    settings = ["--seed", "3", "--out", str(tmp_path / "again"), "--split-of", str(first.folder)]
    assert main(["train", "vanilla-004", *settings]) == 0
    assert given["split"] == first.split
    assert given["split"].held_out == 1


def test_a_folder_with_its_hashes_is_held_against_them(tmp_path, capsys):
    from tests.data.test_datasets import GOOD
    from tests.sets import write_ct_ich

    folder = write_ct_ich(tmp_path / "set", GOOD)
    (folder / "SHA256SUMS.txt").write_text("0" * 64 + " hemorrhage_diagnosis.csv\n")
    assert main(["store", "--data", str(folder), "--out", str(tmp_path / "s.slices"), "--size", "32"]) == 0
    message = capsys.readouterr().out
    assert "1 file not what SHA256SUMS.txt says: hemorrhage_diagnosis.csv." in message
    assert "2 scans and 2 patients" in message


def test_the_command_ich_is_python_m_ich_lib():
    module, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["ich"].split(":")
    assert getattr(importlib.import_module(module), function) is main


@pytest.mark.parametrize(
    ("called", "usage"),
    [("/usr/bin/ich", "ich"), ("C:/bin/ich.exe", "ich"), ("/x/ich_lib/__main__.py", "python -m ich_lib")],
)
def test_usage_tells_the_command_as_it_was_typed(called, usage, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [called])
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.startswith(f"usage: {usage} [-h] [--version] COMMAND")
    with pytest.raises(SystemExit):
        main(["store", "--help"])
    assert capsys.readouterr().out.startswith(f"usage: {usage} store ")


def test_the_version_is_that_of_the_library(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"ich_lib {ich_lib.__version__}\n"


COURSE = [
    *("recipes", "train unet-small --out RUN", "crossval unet-small --data D --out RUN"),
    *("tune unet-small --data D --out RUN", "table RUN --out FILE", "export RUN --out DIR", "systems D --out FILE"),
    *("evaluate shipped --data D --out DIR", "gallery shipped --data D --out DIR", "robustness shipped --out DIR"),
    "workbench",
]
DEMO = ["predict", "models", "phantom", "fetch", "store", "explain", "course", "demo", "archive", "listen"]


def without(package: str, arguments: list[str]) -> subprocess.CompletedProcess:
    """Run a command as if a package were not installed."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; from ich_lib.__main__ import main; sys.exit(main({arguments!r}))"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("command", COURSE)
def test_a_command_of_the_course_says_at_once_what_to_install(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert main(command.split()) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == (
        "This command needs sklearn, which belongs to the course: pip install -r requirements-course.txt.\n"
    )
    assert not list(tmp_path.iterdir())


def test_every_command_belongs_to_the_demo_or_to_the_course():
    """A new command is either tried above or runs with requirements.txt alone."""
    parsers = next(action for action in _parser()._actions if action.choices)
    assert sorted(parsers.choices) == sorted({line.split()[0] for line in COURSE} | set(DEMO))
    assert {name for name in DEMO if parsers.choices[name].get_default("of_course")} == set()


def test_what_is_not_installed_is_told_where_it_is_not_even_imported_by_the_tests(tmp_path):
    done = without("keras", ["train", "unet-small", "--out", str(tmp_path / "run")])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "This command needs keras, which belongs to the course: pip install -r requirements-course.txt.\n"
    )


def test_a_series_is_chosen_by_its_number_and_a_wrong_one_refused_in_words_of_the_command_line(tmp_path, capsys):
    for name, slices in (("A", 8), ("B", 6)):
        values, affine = laid_out(head()[:slices], "LPS")
        write_series(tmp_path / name, values, affine, SeriesInstanceUID=generate_uid(), SeriesDescription="Head")
    for number, slices in ((1, 8), (2, 6)):
        assert main(["predict", str(tmp_path), "--json", "--series", str(number)]) == 0
        assert len(json.loads(capsys.readouterr().out)["slices"]) == slices
    assert main(["predict", str(tmp_path), "--json", "--series", "Head"]) == 2
    message = capsys.readouterr().err
    assert "holds 2 series of that description" in message
    assert message.endswith("Choose one by its number: --series 1.\n")
