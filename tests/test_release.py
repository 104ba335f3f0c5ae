"""release.py: the content of a release, and what it refuses. `release.py --check` itself is a step of .ci/run."""

import io
import re
import subprocess
import sys
import tarfile
import zipfile
from datetime import date

import pytest

import ich_lib
import release
from tests.conftest import ROOT

DAY = date(2027, 1, 31)


def test_version_citation_and_changelog_name_one_release():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == ich_lib.__version__
    day = re.search(r"^date-released: (.*)$", citation, re.MULTILINE)[1]
    assert f"\n## {ich_lib.__version__} ({day})\n" in (ROOT / "CHANGELOG.md").read_text()


def test_what_ci_ran_with_meets_what_is_required():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / release.LOCK).read_text(), re.MULTILINE))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    files = ("requirements.txt", "requirements-course.txt", "requirements-dev.txt")
    lines = [line for name in files for line in re.findall(r"^[a-z].*$", (ROOT / name).read_text(), re.MULTILINE)]
    wanted = [Requirement(line) for line in lines]
    assert len(wanted) > 35
    assert [str(one) for one in wanted if not one.specifier.contains(pins.get(canonicalize_name(one.name), "0"))] == []


def test_the_lock_tells_versions_and_no_place_on_this_machine():
    text = release.lock()
    assert f"numpy=={__import__('numpy').__version__}" in text
    assert not re.search(r"@|://|/work|ich_lib==", text)


@pytest.mark.parametrize("heading", ["Unreleased", "0.8.0 (unreleased)"])
def test_the_unreleased_section_becomes_that_of_the_version(heading):
    text = f"# Changes\n\n## {heading}\n\n- A thing.\n\n## 0.7.0 (2026-11-28)\n\n- Old.\n"
    assert release.dated(text, "0.8.0", DAY) == text.replace(heading, "0.8.0 (2027-01-31)")
    with pytest.raises(ValueError, match="say what has changed"):
        release.dated(text.replace("- A thing.\n", ""), "0.8.0", DAY)
    with pytest.raises(ValueError, match="say what has changed"):
        release.dated("# Changes\n\n## 0.7.0 (2026-11-28)\n\n- Old.\n", "0.8.0", DAY)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small repository in the state of 0.7.0, with one later change."""
    (tmp_path / "ich_lib").mkdir()
    (tmp_path / "ich_lib" / "__init__.py").write_text('__version__ = "0.7.0"\n')
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 0.7.0\ndate-released: 2026-11-28\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## Unreleased\n\n- A thing.\n")
    for command in (
        ["init", "-q"],
        ["config", "user.name", "nobody"],
        ["config", "user.email", "nobody@example.org"],
        ["add", "."],
        ["commit", "-q", "-m", "all"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "check", lambda: None)
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["release.py", *arguments])
    return release.main()


def test_a_release_writes_three_files_commits_them_and_tags(checkout, monkeypatch):
    assert run(monkeypatch, "0.8.0", "--date", "2027-01-31") == 0
    assert (checkout / "ich_lib" / "__init__.py").read_text() == '__version__ = "0.8.0"\n'
    assert (checkout / "CITATION.cff").read_text() == (
        "cff-version: 1.2.0\nversion: 0.8.0\ndate-released: 2027-01-31\n"
    )
    assert "## 0.8.0 (2027-01-31)\n" in (checkout / "CHANGELOG.md").read_text()
    git = lambda *command: subprocess.run(["git", *command], cwd=checkout, capture_output=True, text=True, check=True)  # noqa: E731
    assert git("tag").stdout == "v0.8.0\n"
    assert git("status", "--porcelain").stdout == ""


@pytest.mark.parametrize(
    ("version", "message"),
    [("0.7.0", "does not come after"), ("0.6.9", "does not come after"), ("v1", "three numbers")],
)
def test_a_version_that_does_not_follow_is_refused(checkout, monkeypatch, capsys, version, message):
    assert run(monkeypatch, version) == 1
    assert message in capsys.readouterr().err
    assert '"0.7.0"' in (checkout / "ich_lib" / "__init__.py").read_text()


def test_changes_that_are_not_committed_are_refused(checkout, monkeypatch, capsys):
    (checkout / "new.txt").write_text("x")
    assert run(monkeypatch, "0.8.0") == 1
    assert "not committed" in capsys.readouterr().err


def test_a_check_that_fails_tags_nothing(checkout, monkeypatch, capsys):
    def fail():
        raise ValueError("The wheel lacks its weights.")

    monkeypatch.setattr(release, "check", fail)
    assert run(monkeypatch, "0.8.0") == 1
    assert capsys.readouterr().err == "The wheel lacks its weights.\n"
    assert '"0.7.0"' in (checkout / "ich_lib" / "__init__.py").read_text()


def packed(folder, kind, names):
    path = folder / ("x.whl" if kind == ".whl" else "x.tar.gz")
    if kind == ".whl":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "")
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(f"ich_lib-1/{name}"), io.BytesIO())
    return path


@pytest.mark.parametrize("kind", release.NEEDED)
def test_a_file_that_lacks_something_or_holds_a_scan_is_refused(kind, tmp_path):
    needed = release.NEEDED[kind]
    assert release.check_content(packed(tmp_path, kind, needed)) == len(needed)
    for left_out in needed:
        with pytest.raises(ValueError, match=re.escape(f"lacks {left_out}")):
            release.check_content(packed(tmp_path, kind, [name for name in needed if name != left_out]))
    with pytest.raises(ValueError, match="must not be published"):
        release.check_content(packed(tmp_path, kind, [*needed, "tests/real.dcm"]))


def test_a_command_that_fails_says_what_it_said():
    with pytest.raises(ValueError, match="no such thing"):
        release._run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_a_server_that_ends_is_not_waited_for():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    with pytest.raises(ValueError, match="the process ended"):
        release.await_page(ended, f"http://127.0.0.1:{release.free_port()}/")
