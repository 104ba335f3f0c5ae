"""What a reader refuses, in the languages of the page: readers speak English, and refusals.toml has their sentences."""

import re
from functools import cache

from ich_lib.words.languages import words_in
from ich_lib.words.page import page_words
from ich_lib.words.table import Entry, most_first, number_in, pattern_of, read_table, term_in


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
        'head.zip ist mit einem Passwort geschützt. Entpacken Sie die Datei selbst und laden Sie den Ordner hoch.'
        >>> refusal_in("The moon is full.", "locked", "de")
        'Die Datei ist mit einem Passwort geschützt. The moon is full.'
    """
    translation = known_refusal(text, language)
    if translation is not None:
        return translation
    kinds = page_words()[language]["refused"]
    return f"{kinds.get(code, kinds['unreadable'])} {text}"


def known_refusal(text: str, language: str) -> str | None:
    """A refusal in a language; None where a sentence of it is not in the table.

    Raises:
        ValueError: for a language that has no words here.

    >>> known_refusal("a.zip holds no file.", "es"), known_refusal("The moon is full.", "es")
    ('a.zip no contiene ningún archivo.', None)
    """
    words_in(language)
    if language == "en":
        return text
    fact, advice = text, list[str]()
    while match := _match("advice", fact, language):
        fact, sentence = match
        advice.insert(0, sentence)
    whole = _match("facts", fact, language)
    return " ".join([whole[1], *advice]) if whole else None


def _match(group: str, text: str, language: str) -> tuple[str, str] | None:
    """What stands before the sentence that the text ends with, and that sentence in the language."""
    for pattern, sentences in _patterns(group):
        if match := pattern.fullmatch(text):
            places = {name: value for name, value in match.groupdict().items() if name != "before"}
            values = {name: _value(value, language) for name, value in places.items()}
            return (match.groupdict().get("before") or "").strip(), sentences[language].format(**values)
    return None


def _value(value: str, language: str) -> str:
    return term_in("refusals", value, language) or number_in(value, language)


@cache
def _patterns(group: str) -> list[tuple[re.Pattern[str], Entry]]:
    before = r"(?P<before>.+)\s" if group == "advice" else ""
    entries = most_first(read_table("refusals")[group])
    return [(re.compile(before + pattern_of(entry["en"]), re.DOTALL), entry) for entry in entries]
