"""What a reader refuses, in the languages of the page: readers speak English, and refusals.toml has their sentences."""

import re
import tomllib
from functools import cache
from pathlib import Path

from ich_lib.words.languages import words_in
from ich_lib.words.page import page_words

TABLE = Path(__file__).with_name("refusals.toml")
_PLACE = re.compile(r"\\\{(\w)\\\}")  # of a name or number, once the sentence is escaped


def refusal_in(text: str, code: str, language: str) -> str:
    """A refusal in a language.

    Args:
        text: what the reader says, in the words of the page.
        code: of the `ReadError`, or any other word for what is none.
        language: a key of LANGUAGES.

    Returns:
        The translation; where a sentence of it is not in the table, what kind of trouble it is, then the English text.

    Raises:
        ValueError: for a language that has no words here.

    Example:
        >>> from ich_lib.words.refusals import refusal_in
        >>> refusal_in("head.zip is locked with a password. Unpack it yourself and give the folder.", "locked", "de")
        'head.zip ist durch ein Passwort geschützt. Entpacken Sie es selbst und geben Sie den Ordner.'
        >>> refusal_in("The moon is full.", "locked", "de")
        'Die Datei ist durch ein Passwort geschützt. The moon is full.'
    """
    words_in(language)
    if language == "en":
        return text
    fact, advice = text, list[str]()
    while match := _match("advice", fact, language):
        fact, sentence = match
        advice.insert(0, sentence)
    whole = _match("facts", fact, language)
    if whole:
        return " ".join([whole[1], *advice])
    kinds = page_words()[language]["refused"]
    return f"{kinds.get(code, kinds['unreadable'])} {text}"


def _match(group: str, text: str, language: str) -> tuple[str, str] | None:
    """What stands before the sentence that the text ends with, and that sentence in the language."""
    for pattern, sentences in _patterns(group):
        if match := pattern.fullmatch(text):
            values = {name: _term(value, language) for name, value in match.groupdict().items() if name != "before"}
            return (match.groupdict().get("before") or "").strip(), sentences[language].format(**values)
    return None


def _term(value: str, language: str) -> str:
    return _terms().get(value, {}).get(language, value)


@cache
def _table() -> dict[str, list[dict[str, str]]]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


@cache
def _terms() -> dict[str, dict[str, str]]:
    return {entry["en"]: entry for entry in _table()["terms"]}


@cache
def _patterns(group: str) -> list[tuple[re.Pattern[str], dict[str, str]]]:
    """Those that say most first: "{a} has {b} MB." fits much."""
    before = r"(?P<before>.+)\s" if group == "advice" else ""
    forms = [
        (re.compile(before + _PLACE.sub(r"(?P<\1>.+?)", re.escape(entry["en"])), re.DOTALL), entry)
        for entry in _table()[group]
    ]
    return sorted(forms, key=lambda form: -len(re.sub(r"\{\w\}", "", form[1]["en"])))
