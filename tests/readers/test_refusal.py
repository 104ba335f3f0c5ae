"""Errors use the words of the place where they are shown: no page mentions Python."""

import ast
import re
from pathlib import Path

import pytest

import ich_lib
from ich_lib.__main__ import main
from ich_lib.readers import ReadError, read
from ich_lib.readers.refusal import CODES, PLACES, missing_package, words_at

READERS = Path(ich_lib.__file__).parent / "readers"
PYTHON = re.compile(r"\b[a-z_]+=|\bread\(|pip install|(?<![a-z-])--[a-z]|\b(True|False|None)\b")
OWN = "python", "command line"  # places where these words are right


def raised():
    """(place in the source, node of the call) of each `ReadError(...)` in the readers."""
    for path in sorted(READERS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ReadError":
                yield f"{path.name}:{node.lineno}", node


def words(node, *, of_python=False):
    """The constant words in a call; those for Python and for the command line only if wanted."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return [w for key, value in pairs if of_python or getattr(key, "value", "") not in OWN for w in words(value)]
    return [word for child in ast.iter_child_nodes(node) for word in words(child, of_python=of_python)]


def test_no_refusal_of_the_readers_speaks_python_where_a_page_shows_it():
    calls = dict(raised())
    assert len(calls) > 50
    assert {where: found for where, call in calls.items() if (found := PYTHON.findall(" ".join(words(call))))} == {}


def test_every_refusal_of_the_readers_carries_a_code():
    without = [where for where, call in raised() if not {"code", None} & {keyword.arg for keyword in call.keywords}]
    assert without == []


def test_the_search_for_python_finds_it():
    call = ast.parse('ReadError(f"{name} holds 2 series. Take read(path, series=2).")').body[0].value
    assert PYTHON.search(" ".join(words(call)))
    call = ast.parse('ReadError("2 series.", to_do={"python": "series=2", "page": "the list"})').body[0].value
    assert not PYTHON.search(" ".join(words(call)))


def test_every_code_that_is_used_is_explained_and_every_explained_one_used():
    sources = "".join(path.read_text(encoding="utf-8") for path in READERS.glob("*.py") if path.name != "refusal.py")
    used = set(re.findall(r'(?:code=|"code": )"([a-z A-Z]+)"', sources))
    assert used <= CODES.keys()
    assert CODES.keys() - used <= {"unreadable", "window"}
    with pytest.raises(KeyError, match="is no code"):
        ReadError("What.", code="made up")


def test_what_to_do_follows_what_was_found_at_each_place():
    problem = ReadError("a.dcm is odd.", code="damaged", to_do={place: f"Do it as {place}." for place in PLACES})
    assert [problem.in_words_of(place) for place in PLACES] == [f"a.dcm is odd. Do it as {place}." for place in PLACES]
    assert str(problem) == words_at("python", problem) == "a.dcm is odd. Do it as python."
    assert words_at("page", ValueError("No.")) == "No."
    again = ReadError(**problem.as_plain())
    assert (again.reason, again.code, again.to_do) == (problem.reason, "damaged", problem.to_do)
    assert ReadError("a.dcm is odd.").in_words_of("page") == "a.dcm is odd."


def test_who_looks_at_a_page_is_not_told_to_install():
    to_do = missing_package("py7zr", "Zip the files.")
    assert to_do["page"] == to_do["endpoint"] == "Zip the files."
    assert to_do["python"] == to_do["command line"] == "Install it: pip install py7zr. Or: zip the files."


def test_a_missing_file_is_told_in_the_words_of_each_place(tmp_path, capsys):
    with pytest.raises(ReadError, match="Check the path") as refusal:
        read(tmp_path / "gone.dcm")
    assert refusal.value.in_words_of("page") == "gone.dcm does not exist. Give the file again."
    assert main(["predict", str(tmp_path / "gone.dcm"), "--json"]) == 2
    message = "gone.dcm does not exist. Check the path: there is no file or folder of that name.\n"
    assert capsys.readouterr().err == message


def test_the_workbench_shows_the_words_of_a_page():
    shown = pytest.importorskip("ich_lib.workbench.shown", reason="Streamlit is missing.")
    problem = ReadError("It holds 2.", code="series", to_do=missing_package("py7zr", "Zip it."))
    assert shown.error_sentence(problem) == shown.escape_markdown(problem) == "It holds 2. Zip it."
