"""Plain English: words and phrases that need a dictionary must not return to the text of the project.

Each pattern has a plain word to use. Names, code and quotations in backticks are not searched.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.prose import KINDS, passages, sentences

# Quotations and the words of other people are free.
_QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[a-z_ ]+'")
_ONE = "(file|line|row|slice|case|page|patient|picture|scan|fold|color|module)"
# pattern: what to write
BANNED = {
    r"\b(colou?r|behavio|favo|neighbo|labo)ur(s|ed|ing|al|ite|hood)?\b": "American spelling: -or",
    r"\b(grey|centre|metre|millilitre|licence|catalogue|programme|artefact|haemorrhage)s?\b": "American spelling",
    r"\b(analys|organis|normalis|initialis|recognis|optimis|visualis|summaris|standardis)(e|ed|ing|ation)\b":
        "American spelling: -yze, -ize",
    r"\b(labelled|labelling|modelled|modelling|cancelled|travelled)\b": "American spelling: one l",
    r"\b(heads?|bod(y|ies)|cases?|scans?) made by code\b": "synthetic head (phantom)",
    r"\b[Nn]obody\b": "say who or what: no patient, no file, it is not known",
    r"\b(is|are|was|were|be|been) told\b|\btold (by|of|from|apart|in)\b": "stated, known, distinguished",
    r"\b(it|set|file|header|scan|card|table|model|page|name|that|which|report)s? tells?\b": "states, shows, names",
    r"\b(is|are|was|were|be) asked\b": "is called, is run, is queried, is requested",
    r"\b(was|were|is|are) learned (from|on)\b|\blearned from are\b": "training set",
    r"\banew\b": "again",
    r"\b(go|goes|going|went) on (where|with|at|from)\b": "continues, resumes",
    r"\bhangs? on\b": "depends on",
    r"\bheld against\b": "compared with",
    r"\bmend(s|ed|ing)?\b": "fix, correct",
    r"\bstrangers?\b": "unknown person, out of distribution",
    r"\b(chalk|lime)\b": "calcification",
    r"\bseen slices\b|\bslices seen\b": "training slices",
    r"\bin the mean\b": "on average",
    r"\bfor want of\b": "for lack of",
    r"\bas shipped\b": "shipped",
    r"\bby ruler\b": "bedside formula",
    r"\bNone of none\b|\bfor the eye alone\b|\bno claim\b": "see the pairs of the style guide: say it directly",
    r"\bwhat (it|that|this|a \w+) is worth\b": "the effect of, the value of",
    r"\bnobody's\b|\bwhose it is\b": "without a patient; the patient",
    r"\b(as|whatever) (one|who) (wants|likes|asks)\b": "say who",
    rf"\ba {_ONE} a ({_ONE}|model|step)\b": "one ... per ...",
    r"\bwholly\b|\bthereof\b|\bhence\b|\bwhereby\b": "a common word",
    r"\bmay (be )?had\b|\bcan(not)? be had\b": "available",
}  # fmt: skip
# Not searched: a table that a script makes, and the list of banned words.
_LEFT_OUT = ("docs/reading.md", "tests/test_prose.py")


def banned_words(path: Path) -> Iterator[str]:
    """The banned words of a file, each with its place and the words to use instead."""
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    for passage in passages(path):
        for number, line in enumerate(passage.text.splitlines(), passage.line):
            text = _QUOTED.sub(" ", line)
            for pattern, better in BANNED.items():
                for match in re.finditer(pattern, text):
                    yield f'{name}:{number}: "{match.group(0)}"; better: {better}'


def checked() -> list[Path]:
    patterns = [pattern for kind in KINDS.values() for pattern in kind]
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sorted(path for path in paths if not path.relative_to(ROOT).as_posix().startswith(_LEFT_OUT))


def test_the_text_uses_plain_words():
    hits = [hit for path in checked() for hit in banned_words(path)]
    assert not hits, f"{len(hits)} phrases to rewrite:\n" + "\n".join(hits)


@pytest.mark.parametrize(
    ("name", "text", "hits"),
    [
        ("a.md", "# A\n\nA head made by code\nin grey.\n", ["a.md:3", "a.md:4"]),
        ("a.md", "```\nnobody\n```\n\nThe word `nobody` and the words \"made by code\".\n", []),
        ("a.py", '"""A module.\n\nNobody knows.\n"""\n\nx = "nobody"  # it was told by a file\n', ["a.py:3", "a.py:6"]),
        ("a.py", 'def f():\n    """A slice.\n\n    Args:\n        a: a line a slice.\n    """\n', ["a.py:5"]),
    ],
)  # fmt: skip
def test_a_banned_word_is_named_with_its_line_and_a_better_one(tmp_path, name, text, hits):
    path = tmp_path / name
    path.write_text(text)
    assert [hit.split(": ")[0] for hit in banned_words(path)] == hits
    assert all("better: " in hit for hit in banned_words(path))


def test_a_sentence_ends_at_its_stop_and_not_at_an_abbreviation():
    text = "Read it (see `a.b`). Hssayeni et al. 2020 used 0.5 mm slices. [Here](https://a.b) it is!"
    assert sentences(text) == ["Read it (see a.b).", "Hssayeni et al. 2020 used 0.5 mm slices.", "Here it is!"]
