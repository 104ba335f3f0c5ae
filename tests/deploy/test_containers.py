"""Container files are linted, and the files that they copy exist. deploy/containers/check.py runs their steps."""

import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "containers"
FILES = sorted(FOLDER.glob("*.Dockerfile"))


@pytest.fixture(scope="module")
def check():
    spec = spec_from_file_location("check", FOLDER / "check.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_hadolint_has_nothing_to_say(path):
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if not hadolint:
        pytest.skip("hadolint is not installed: pip install -r requirements-dev.txt brings it.")
    done = subprocess.run([hadolint, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_container_is_pinned_unprivileged_healthy_and_writes_to_one_folder(check, path):
    lines = check.steps(path)
    settings = dict(lines)
    assert re.fullmatch(r"python:3\.12-slim-bookworm@sha256:[0-9a-f]{64}", settings["FROM"])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", settings["USER"])
    assert f":{settings['EXPOSE']}/" in settings["HEALTHCHECK"]
    assert f'"{settings["EXPOSE"]}"' in settings["CMD"]
    places = re.findall(r"=(/\S+)", " ".join(rest for word, rest in lines if word == "ENV"))
    assert len(places) >= 4
    assert all(place.startswith("/tmp") for place in places)
    assert "--read-only --tmpfs /tmp" in path.read_text()
    words = [word for word, _ in lines]
    assert words.index("USER") > max(at for at, word in enumerate(words) if word in ("RUN", "COPY"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_container_copies_is_there_and_sent(check, path, tmp_path):
    for word, rest in check.steps(path):
        if word == "COPY":
            check.copy(rest, tmp_path)
    assert list((tmp_path / "ich_lib" / "weights").glob("*.onnx"))
    assert (tmp_path / f"{dict(check.steps(path))['CMD'].split('.py')[0].split(chr(34))[-1]}.py").is_file()


def test_what_is_not_named_is_not_sent_to_the_engine(check):
    assert check.is_sent("app.py")
    assert not check.is_sent("tests/conftest.py")
    assert not check.is_sent("runs/mine/weights.h5")
    assert not check.is_sent("ich_lib/__pycache__/x.cpython-312.pyc")
    with pytest.raises(ValueError, match="kept back"):
        check.copy("tests tests", ROOT / "build")
    with pytest.raises(ValueError, match="is not there"):
        check.copy("nothing.py ./", ROOT / "build")
