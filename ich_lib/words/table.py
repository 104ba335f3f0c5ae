"""Tables of sentences: English templates of the readers with their German and Spanish, one TOML file for each table."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ich_lib.words.languages import words_in

_PLACE = re.compile(r"\\\{(\w+)\\\}")  # of a name or number, once the sentence is escaped
_NUMBERS = re.compile(r"-?\d+(\.\d+)?( x -?\d+(\.\d+)?)*")  # a number, or sizes such as 0.45 x 0.45 x 5
ANYTHING = ".+?"
Entry = Mapping[str, str]  # language to a sentence


@cache
def read_table(name: str) -> dict[str, list[dict[str, str]]]:
    """The groups of entries of a table of this folder.

    >>> read_table("refusals")["terms"][0]
    {'en': 'The upload', 'de': 'Der Upload', 'es': 'El conjunto subido'}
    """
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


def pattern_of(sentence: str, places: Mapping[str, str] | None = None) -> str:
    """The regular expression of a template.

    Args:
        sentence: with {a}, {b} and so on in the places of names and numbers.
        places: name of a place, without digits at its end, to what may stand there; ANYTHING unless it is named.

    >>> pattern_of("{a} MB.")
    '(?P<a>.+?)\\\\ MB\\\\.'
    """
    known = places or {}
    return _PLACE.sub(
        lambda place: f"(?P<{place[1]}>{known.get(place[1].rstrip('0123456789'), ANYTHING)})", re.escape(sentence)
    )


def most_first(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    """The entries in the order in which they are tried: those with most words first, as "{a} has {b} MB." fits much."""
    return sorted(entries, key=lambda entry: -len(re.sub(r"\{\w+\}", "", entry["en"])))


def number_in(value: str, language: str) -> str:
    """A number, or sizes, with the decimal point of the language; any other text as it is.

    >>> number_in("0.45 x 0.45 x 5", "de"), number_in("a.nii", "de")
    ('0,45 x 0,45 x 5', 'a.nii')
    """
    return value.replace(".", words_in(language)["point"]) if _NUMBERS.fullmatch(value) else value


def term_in(table: str, value: str, language: str) -> str | None:
    """A word that may stand in a sentence; None if it is not among the terms of the table.

    >>> term_in("refusals", "plain text", "es"), term_in("refusals", "a.nii", "es")
    ('texto sin formato', None)
    """
    return _terms(table).get(value, {}).get(language)


@cache
def _terms(table: str) -> dict[str, dict[str, str]]:
    return {entry["en"]: entry for entry in read_table(table)["terms"]}
