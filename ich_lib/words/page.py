"""Every word of the page, by language. The scripts of the page get all of them; the server uses some of them itself."""

import tomllib
from functools import cache
from pathlib import Path

from ich_lib.words.languages import words_in

TABLE = Path(__file__).with_name("page.toml")


@cache
def page_words() -> dict[str, dict]:
    """Language to the words of the page, as in page.toml; a group of words is a nested dictionary.

    Example:
        >>> page_words()["de"]["outline"]
        'Kontur'
        >>> page_words()["es"]["sample"]["no-bleed"]
        'Sin hemorragia'
    """
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {language: {key: _in(language, entry) for key, entry in table.items()} for language in ("en", "de", "es")}


def _in(language: str, entry: dict) -> str | dict:
    return entry[language] if "en" in entry else {key: _in(language, value) for key, value in entry.items()}


def page_sentence(key: str, language: str = "en", /, **values: object) -> str:
    """One sentence or word of the page, with its placeholders filled in.

    Args:
        key: in page.toml; "group/key" in a group.
        language: a key of LANGUAGES.
        values: for the placeholders.

    Raises:
        ValueError: for an unknown language.
        KeyError: for a key that page.toml does not have.

    Example:
        >>> page_sentence("reading_share", "de", share=40)
        'Der Scan wird gelesen und auf Blutungen untersucht. 40 % fertig.'
    """
    words_in(language)
    group, _, name = key.rpartition("/")
    words = page_words()[language]
    text: str = (words[group] if group else words)[name]
    return text.format(**values)


class PageProblem(ValueError):
    """An error of the page, as a sentence of page.toml; `str()` is English.

    Attributes:
        key: of the sentence.
        values: for the placeholders.

    Example:
        >>> raise PageProblem("too_large", mb=700, most=600)
        Traceback (most recent call last):
        ...
        ich_lib.words.page.PageProblem: The upload has 700 MB. The limit is 600 MB. Upload one head scan.
    """

    def __init__(self, key: str, **values: object) -> None:
        self.key, self.values = key, values
        super().__init__(page_sentence(key, **values))
