"""The commands demo, workbench and lessons, run from a checkout and from the files that a wheel installs."""

import re
import subprocess
import sys

import pytest

from ich_lib.__main__ import _parser, main
from ich_lib.commands import fronts
from tests.conftest import ROOT


def options_of(text):
    return set(re.findall(r"--[a-z]+", text)) - {"--help"}


def test_the_command_demo_has_every_option_of_the_page():
    command = [sys.executable, "app.py", "--help"]
    page = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout
    parsers = next(action for action in _parser()._actions if action.choices)
    assert options_of(parsers.choices["demo"].format_usage()) == options_of(page.split("\n\n")[0])


def test_the_command_demo_hands_its_options_to_the_page(tmp_path, monkeypatch, capsys):
    (tmp_path / "app.py").write_text("import sys; print(__name__, sys.argv[1:])")
    monkeypatch.setattr(fronts, "_CHECKOUT", tmp_path / "elsewhere")
    monkeypatch.setattr(fronts, "_INSTALLED", tmp_path)
    assert main(["demo", "--port", "7861", "--mcp"]) == 0
    assert capsys.readouterr().out == "__main__ ['--port', '7861', '--mcp']\n"


def test_a_front_that_is_nowhere_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fronts, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(fronts, "_INSTALLED", tmp_path)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err.startswith("app.py is not installed here.")


@pytest.mark.parametrize("name", ["app.py", "workbench.py"])
def test_a_checkout_comes_before_what_was_installed(name):
    assert fronts.shared(name) == ROOT / name
