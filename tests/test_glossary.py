"""Every entry of the glossary has a term, two sentences, and an existing lesson that uses the term."""

import json
import re

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "glossary.md"
ENTRY = re.compile(r"^- \*\*(?P<term>[^*]+)\*\*: (?P<text>.+) \[Lesson (?P<number>\d+)\]\((?P<link>[^)]+)\)$")
ENTRIES = [ENTRY.match(line) for line in PAGE.read_text().splitlines() if line.startswith("- ")]


def test_there_are_sixty_terms_and_none_twice():
    assert all(ENTRIES)
    terms = [entry["term"].casefold() for entry in ENTRIES]
    assert len(terms) >= 60
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["term"])
def test_an_entry_has_two_sentences_and_its_lesson_speaks_of_it(entry):
    assert len(re.findall(r"[.?](?= [A-Z0-9]|$)", entry["text"])) == 2
    lesson = (PAGE.parent / entry["link"]).resolve()
    assert lesson.name.startswith(f"{int(entry['number']):02}_")
    cells = json.loads(lesson.read_text())["cells"]
    text = " ".join("".join(cell["source"]) for cell in cells).casefold()
    words = re.findall(r"[^()]+", entry["term"].casefold())
    assert any(word.strip() in text for word in words)
