"""Notes on a scan that was read, in the languages of the page: readers speak English, notes.toml has their sentences.

A note is one sentence or several. In a template {a}, {b} and so on are names and numbers, which end before the next
sentence. Other places have a name of their own, see _KINDS.
"""

import re
from collections.abc import Callable
from functools import cache

from ich_lib.words.languages import LANGUAGES, words_in
from ich_lib.words.refusals import known_refusal
from ich_lib.words.table import Entry, most_first, number_in, pattern_of, read_table, term_in

_IN_SENTENCE = r"(?:(?!\.\s).)+?"
_OUTSIDE_QUOTES = r'(?:"[^"]*"|[^"])+?'  # the description of a series may hold ". "
_WORD = r"[^\s,;()]+"
_Translate = Callable[[str, str], str | None]


def note_in(text: str, language: str) -> str | None:
    """A note in a language; None where a sentence of it is not in the table.

    Args:
        text: one of `Scan.notes`, or of `Result.warnings` that is no doubt.
        language: a key of LANGUAGES.

    Raises:
        ValueError: for a language that has no words here.

    Example:
        >>> from ich_lib.words.notes import note_in
        >>> note_in("Left out: 3 scout views, 1 damaged file.", "de")
        'Ausgelassen: 3 Übersichtsaufnahmen, 1 beschädigte Datei.'
        >>> note_in("The moon is full.", "de")
    """
    words_in(language)
    if language == "en":
        return text
    if whole := _sentence(text, language):
        return whole
    for end in re.finditer(r"(?<=\.)\s", text):
        first = _sentence(text[: end.start()], language)
        if first and (rest := note_in(text[end.end() :], language)):
            return f"{first} {rest}"
    return None


def note_by_language(text: str) -> dict[str, str]:
    """Language to a note, as far as the table has it; "en" is always there.

    >>> note_by_language("Left out: 1 mask.")["es"], list(note_by_language("The moon is full."))
    ('Omitido: 1 máscara.', ['en'])
    """
    notes = {language: note_in(text, language) for language in LANGUAGES}
    return {language: note for language, note in notes.items() if note is not None}


def _sentence(text: str, language: str) -> str | None:
    """What fits one entry of the table as a whole."""
    for pattern, entry in _patterns():
        if match := pattern.fullmatch(text):
            values = {name: _value(name, value, language) for name, value in match.groupdict().items()}
            if None not in values.values():
                return entry[language].format(**values)
    return None


@cache
def _patterns() -> list[tuple[re.Pattern[str], Entry]]:
    places = {name: pattern for name, (pattern, _) in _KINDS.items()} | dict.fromkeys("abcdefg", _IN_SENTENCE)
    return [(re.compile(pattern_of(entry["en"], places)), entry) for entry in most_first(read_table("notes")["notes"])]


def _value(name: str, value: str, language: str) -> str | None:
    kind = _KINDS.get(name.rstrip("0123456789"))
    return kind[1](value, language) if kind else number_in(value, language)


def _counts(value: str, language: str) -> str | None:
    """ "3 scout views, 1 damaged file": None unless each of them is in the table."""
    counts = [_counted(count, language) for count in value.split(", ")]
    return None if None in counts else ", ".join(filter(None, counts))


def _counted(value: str, language: str) -> str | None:
    for pattern, entry in _parts("counted"):
        if match := pattern.fullmatch(value):
            return _filled(match, entry, language)
    return None


def _series(value: str, language: str) -> str:
    """Series with their numbers and slices. Their descriptions, which stand in quotes, stay as they are."""
    pieces = re.split(r'("[^"]*")', value)
    for k in range(0, len(pieces), 2):
        for pattern, entry in _parts("series"):
            pieces[k] = pattern.sub(lambda match, entry=entry: _filled(match, entry, language), pieces[k])
    return "".join(pieces)


def _filled(match: re.Match[str], entry: Entry, language: str) -> str:
    return entry[language].format(**{name: number_in(value, language) for name, value in match.groupdict().items()})


@cache
def _parts(group: str) -> list[tuple[re.Pattern[str], Entry]]:
    words = dict.fromkeys("ab", _WORD)
    entries = most_first(read_table("notes")[group])
    return [(re.compile(rf"(?<![\w.]){pattern_of(entry['en'], words)}(?!\w)"), entry) for entry in entries]


def _names(value: str, language: str) -> str:
    """ "A, B and C": the last "and" is the sentence's."""
    return str(term_in("notes", " and ", language)).join(value.rsplit(" and ", 1))


def _terms(value: str, language: str) -> str | None:
    """ "to the left, to the back": None unless each is in the table."""
    parts = re.split("(, | and on )", value)
    terms = [part if part == ", " else term_in("notes", part, language) for part in parts]
    return None if None in terms else "".join(filter(None, terms))


_KINDS: dict[str, tuple[str, _Translate]] = {  # name of a place, to what may stand there, and its translation
    "counts": (_IN_SENTENCE, _counts),
    "series": (_OUTSIDE_QUOTES, _series),
    "names": (_IN_SENTENCE, _names),
    "terms": (_IN_SENTENCE, _terms),
    "refusal": (".+", known_refusal),
}
