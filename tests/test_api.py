"""The API pages: every public name is on the first page, and every module has a page."""

import importlib.util
import re

import pytest

import ich_lib
from tests.conftest import ROOT

pytest.importorskip("pdoc", reason="pdoc is not installed: pip install -r requirements-dev.txt")


@pytest.fixture(scope="module")
def api():
    """docs/api.py as a module."""
    spec = importlib.util.spec_from_file_location("api", ROOT / "docs" / "api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_first_page_shows_the_face_with_arguments_examples_and_links(api, tmp_path):
    page = api.write(["ich_lib.labels", "ich_lib"], tmp_path).read_text(encoding="utf-8")
    assert not [name for name in ich_lib.__all__ if f'<section id="{name}"' not in page]
    analyze = page.partition('<section id="analyze"')[2].partition("</section>")[0]
    assert "<strong>scan:</strong>" in analyze
    assert "Bleeding likely on 7 of 12 slices" in analyze
    assert '<a href="#explain">explain</a>' in analyze
    assert f"ich_lib {ich_lib.__version__}. Not a medical device." in page


def test_a_warning_of_the_tool_stops_it(api, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("def odd(x: 'NoSuchType') -> None:\n    '''Refer to nothing.'''\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserWarning, match="NoSuchType"):
        api.write(["planted"], tmp_path / "out")


def test_every_module_is_named_or_lies_where_the_tool_looks_by_itself(api):
    hidden = api.modules()
    assert hidden[0] == "ich_lib"
    assert {"ich_lib.readers.dicom", "ich_lib.words.sentences"} <= set(hidden)
    assert "ich_lib.commands.course" not in hidden  # its package hides nothing
    assert len(set(hidden)) == len(hidden)


@pytest.mark.long
def test_every_module_has_its_page(api, tmp_path):
    api.write(api.modules(), tmp_path)
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "ich_lib").rglob("*.py")]
    names = ["/".join(path.parts).removesuffix("/__init__") for path in paths if path.name != "__main__"]
    assert not [name for name in names if not (tmp_path / f"{name}.html").is_file()]
    index = (tmp_path / "search.js").read_text(encoding="utf-8")
    assert re.search(r"ich_lib\.readers\.nifti", index)
