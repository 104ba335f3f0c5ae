"""Every refusal of the readers has a German and a Spanish text: a test finds each of them in the source of the
readers."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import ich_lib.readers
from ich_lib.demo.messages import refusal
from ich_lib.readers import _WAY_OUT, ReadError, child
from ich_lib.readers.sniff import _SIGNATURES, ARCHIVES, READABLE, in_words
from ich_lib.words.refusals import refusal_in
from ich_lib.words.table import read_table

FOLDER = Path(ich_lib.readers.__file__).parent
PASSED_ON = {"answer['refused']", "self._failure_reason()"}  # refusals of a child process, which differ from these


class Templates:
    """The English text of each ReadError of a module, with "[expression]" in each place that is filled in."""

    def __init__(self, path):
        name = path.stem if path.stem != "__init__" else None
        self.module = importlib.import_module(".".join(filter(None, ["ich_lib.readers", name])))
        self.tree = ast.parse(path.read_text())
        assigned = [node for node in ast.walk(self.tree) if isinstance(node, ast.Assign)]
        self.local = {
            node.targets[0].id: node.value
            for node in assigned
            if isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant | ast.JoinedStr)
        }

    def __iter__(self):
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ReadError" and node.args:
                yield self.text(node.args[0])

    def text(self, node):
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(self.text(part) for part in node.values)
        if isinstance(node, ast.FormattedValue):
            return self.text(node.value)
        if isinstance(node, ast.Name) and isinstance(getattr(self.module, node.id, None), str):
            return getattr(self.module, node.id)
        if isinstance(node, ast.Name) and node.id in ("end", "fact"):
            return self.text(self.local[node.id])
        if ast.unparse(node) == "_WAY_OUT.get(kind, READABLE_FORMATS)":
            return ich_lib.readers.READABLE_FORMATS
        if ast.unparse(node) == "_LOCKED.format(name)":
            return self.module._LOCKED.format("[name]")
        return f"[{ast.unparse(node)}]"


TEXTS = sorted({text for path in sorted(FOLDER.glob("*.py")) for text in Templates(path)})


def test_the_walk_finds_the_refusals():
    assert len(TEXTS) > 80
    assert "[name] is locked with a password. Unpack it yourself and give the folder." in TEXTS


@pytest.mark.parametrize("language", ["de", "es"])
def test_every_refusal_is_translated_as_a_whole_with_all_that_is_filled_in(language):
    missing = []
    for text in TEXTS:
        if any(f"[{expression}]" in text for expression in PASSED_ON):
            continue
        translation = refusal_in(text, "locked", language)
        places = sorted(re.findall(r"\[[^ ][^]]*\]+", text))
        if text in translation or sorted(re.findall(r"\[[^ ][^]]*\]+", translation)) != places:
            missing.append((text, translation))
    assert missing == []


def in_german(text):
    translation = refusal_in(text, "no scan", "de")
    assert text not in translation, text
    return translation


def test_what_else_a_refusal_may_say_is_translated_too():
    for advice in _WAY_OUT.values():
        assert not in_german(f"a.bin looks like a PDF, not a head CT. {advice}").endswith(advice)
    for reason in (
        child._STOPPED,
        f"took more than 90 s to decode. {child._ADVICE}",
        f"needs more memory than is available. {child._ADVICE}",
    ):
        assert in_german(f"a.dcm {reason}").startswith("a.dcm ")
    assert in_german("a.zip does not hold that series, but 1: Head. Choose one in the list of series.").endswith(
        "aus der Liste aus."
    )
    assert (
        in_german("a.dcm does not exist. Give the file again.")
        == "a.dcm existiert nicht. Laden Sie die Datei noch einmal hoch."
    )


def test_every_kind_of_file_has_its_words():
    kinds = {kind for *_, kind in _SIGNATURES} | {"plain text", "a web page", "an SVG or XML file", "an empty file"}
    kinds = {in_words(kind) for kind in (kinds - set(READABLE)) | set(ARCHIVES)}
    for kind in kinds:
        assert kind not in in_german(f"a.bin looks like {kind}, not a head CT."), kind


def test_each_translation_fills_in_the_same_places():
    for group in ("facts", "advice"):
        for entry in read_table("refusals")[group]:
            places = [sorted(re.findall(r"\{\w\}", entry[language])) for language in ("en", "de", "es")]
            assert places[0] == places[1] == places[2], entry["en"]


def test_the_page_gets_a_refusal_in_each_language_and_what_is_not_known_keeps_its_kind():
    text = refusal(ReadError("a.zip is locked with a password. Unpack it yourself and give the folder.", code="locked"))
    assert "mit einem Passwort gesch" in text
    assert "protegido con contrase" in text
    assert refusal_in("Something else.", "locked", "es") == "El archivo está protegido con contraseña. Something else."
    assert refusal_in("Something else.", "nothing", "de").startswith("Die Datei konnte nicht gelesen werden. ")
    assert refusal_in("Something else.", "locked", "en") == "Something else."
