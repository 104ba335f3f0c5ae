"""The content of the copy that deploy/space.py makes. Its check installs packages, so it is a step of .ci/run."""

import ast
import re
import subprocess
import sys

import pytest

from ich_lib import analyze, read
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "deploy"))

import space

sys.path.remove(str(ROOT / "deploy"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    out = tmp_path_factory.mktemp("copy")
    space.assemble(out)
    return out


def test_the_copy_is_what_a_space_starts_from(copy):
    header = (copy / "README.md").read_text().split("---")[1]
    assert header == (ROOT / "README.md").read_text().split("---")[1]
    assert (copy / re.search(r"^app_file: (\S+)$", header, re.MULTILINE)[1]).read_text() == (
        ROOT / "app.py"
    ).read_text()
    assert list((copy / "ich_lib" / "weights").glob("*.onnx"))
    assert "not a medical device" in (copy / "README.md").read_text()


def test_no_file_of_the_copy_is_too_large_for_a_space_and_none_is_of_training(copy):
    assert max(path.stat().st_size for path in space.files(copy)) < 10_000_000
    assert not list(copy.rglob("*.h5"))
    assert not (copy / "ich_lib" / "training").exists()


def test_requirements_of_the_copy_are_ours_less_what_only_commands_use(copy):
    ours = re.findall(r"^[a-z].*$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    kept = (copy / "requirements.txt").read_text().splitlines()
    assert [line for line in ours if line not in kept] == [
        line for line in ours if line.split(">=")[0] in space.NOT_NEEDED
    ]


def test_the_small_copy_has_no_decoders_and_says_so(tmp_path):
    space.assemble(tmp_path, small=True)
    assert "imagecodecs" not in (tmp_path / "requirements.txt").read_text()
    assert "Compressed DICOM is not read here" in (tmp_path / "README.md").read_text()


def test_the_page_is_built_from_the_copy_alone(copy):
    """None of the modules that it imports is in a room that is left out."""
    code = "import app, ich_lib; app.build_app(); print(ich_lib.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(copy / "ich_lib" / "__init__.py")


def test_no_module_of_the_copy_imports_at_its_top_what_was_left_out(copy):
    gone = tuple(f"ich_lib.{room}" for room in space.LEFT_OUT)
    tops = [(path, node) for path in (copy / "ich_lib").rglob("*.py") for node in ast.parse(path.read_text()).body]
    imports = [(path.name, node.module or "") for path, node in tops if isinstance(node, ast.ImportFrom)]
    assert len(imports) > 300
    assert [place for place in imports if place[1].startswith(gone)] == []


def test_the_shipped_model_finds_the_bleed_in_the_head_of_the_check(tmp_path):
    """Otherwise the check of a good copy fails."""
    assert analyze(read(space._head(tmp_path))).finding == "bleeding"


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis\.tex, which is no part"):
        space.assemble(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_second_copy_replaces_the_first_and_leaves_its_history(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref")
    (tmp_path / "ich_lib").mkdir()
    (tmp_path / "ich_lib" / "of_last_year.py").write_text("")
    space.assemble(tmp_path)
    assert not (tmp_path / "ich_lib" / "of_last_year.py").exists()
    assert (tmp_path / ".git" / "HEAD").read_text() == "ref"
