"""The whole repository: what a Space needs, what a newcomer types, and what must never be in it."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def tracked_files():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if names.returncode:
        pytest.skip("This is no git checkout, so nobody can say which files belong to it.")
    return [ROOT / name for name in names.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_readme_starts_with_the_card_of_a_space():
    header = dict(re.findall(r"^(\w+): *(.*)$", README.split("---")[1], re.MULTILINE))
    assert header["sdk"] == "gradio"
    assert header["python_version"] == '"3.12"'
    assert (ROOT / header["app_file"]).is_file()
    assert header["license"] == "mit"
    major = int(header["sdk_version"].split(".")[0])
    assert re.search(rf"^gradio>={major}\.\d+,<{major + 1}$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)


def test_the_demo_installs_without_tensorflow():
    names = re.findall(r"^([a-z0-9-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert "onnxruntime" in names
    assert not {"tensorflow", "keras", "torch", "opencv-python"} & set(names)


def test_the_readme_gives_two_set_up_commands_and_one_each_for_the_course_and_the_workbench():
    commands = [line for line in README.splitlines() if "pip install" in line]
    expected = ["-r requirements.txt", "-r requirements-dev.txt", '-e ".[course]"', "-r requirements-course.txt"]
    assert [re.search(r"(-[re] \S+) &&", line).group(1) for line in commands] == expected


def test_what_pip_installs_is_what_the_requirement_files_say():
    """Packaging does not accept "-r" lines, so pyproject.toml repeats the extras."""
    lines = lambda name: re.findall(r"^[a-z].*$", (ROOT / name).read_text(), re.MULTILINE)  # noqa: E731
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"] == {"file": ["requirements.txt"]}
    extras = project["project"]["optional-dependencies"]
    for name in ("archive", "course", "hospital"):
        assert extras[name] == lines(f"requirements-{name}.txt")
    assert extras["dev"] == ["ich_lib[archive,course,hospital]", *lines("requirements-dev.txt")]
    for line in (*lines("requirements.txt"), *(line for extra in extras.values() for line in extra)):
        Requirement(line)


def test_no_scan_and_no_large_file_is_tracked():
    files = tracked_files()
    assert not [p.name for p in files if p.name.lower().endswith((".dcm", ".nii", ".nii.gz", ".ima"))]
    assert not [p.name for p in files if p.stat().st_size > 10_000_000]


@pytest.mark.parametrize("page", ["README.md", "docs/demo.md"])
def test_pictures_that_a_page_shows_are_there_small_and_told_in_words(page):
    view = re.findall(r"!\[([^\]]*)\]\((\S+?)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert view
    for words, name in view:
        assert len(words) > 40, name
        most = 2_000_000 if name.endswith(".webp") else 250_000  # an animation has many frames
        assert ((ROOT / page).parent / name).stat().st_size < most, name
