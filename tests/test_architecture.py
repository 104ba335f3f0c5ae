"""The architecture: its limits, its layers and its documents, measured by docs/architecture.py."""

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def architecture():
    spec = spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
    module = module_from_spec(spec)
    sys.modules["architecture"] = module  # dataclasses look up their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["architecture"]


def test_the_house_keeps_its_limits(architecture):
    figures = architecture.figures()
    over = {name: value for name, value in figures.items() if value > architecture.LIMITS[name]}
    assert not over, f"over the limit: {over}; {architecture.upward()}; {architecture.circle()}"


def test_every_room_says_in_one_sentence_what_it_is_for(architecture):
    assert [room.name for room in architecture.rooms().values() if not 10 < len(room.says) < 200] == []


def test_the_drawings_and_the_table_of_rooms_are_what_the_imports_say(architecture):
    stale = [path.name for path, text in architecture.documents().items() if path.read_text() != text]
    assert stale == [], "run python docs/architecture.py"


def test_every_place_that_the_page_names_is_there(architecture):
    """The table "Where do I change ...?" names files and folders. All of them must exist."""
    places = r"`((?:ich_lib|notebooks|tests|docs|benchmarks)/[\w./*-]*|app\.py|workbench\.py)`"
    named = re.findall(places, architecture.PAGE.read_text())
    assert len(named) >= 12
    assert [place for place in named if not list(ROOT.glob(place.rstrip("/")))] == []


def test_an_arrow_upward_and_a_room_without_a_layer_are_seen(architecture, monkeypatch):
    """A known violation: the two lowest rooms are swapped, and one room is missing in the layers."""
    ground, *rest = architecture.layers()
    monkeypatch.setattr(architecture, "layers", lambda: [*rest, ground])
    assert any("->" in line for line in architecture.upward())
    monkeypatch.setattr(architecture, "layers", lambda: rest)
    assert f"{ground[0]} is in no layer" in architecture.upward()


def test_the_script_prints_what_it_measures():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "architecture.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "upward arrows: 0 (at most 0)" in done.stdout
