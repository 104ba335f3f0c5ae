"""What the page says while it works and when it refuses, as the markup of its line of status.

The markup is English and names its sentence; page.js says it in the language that the person chose.
"""

import html
import json

from ich_lib.readers.refusal import ReadError, words_at
from ich_lib.words.languages import LANGUAGES
from ich_lib.words.page import PageProblem, page_sentence
from ich_lib.words.refusals import refusal_in


def message(key: str, kind: str, **values: object) -> str:
    """One sentence of the page's words; `kind` is "busy", "stopped" or "wrong"."""
    filled = html.escape(json.dumps(values), quote=True)
    text = html.escape(page_sentence(key, **values))
    return f"<p class='{kind}' data-say='{key}' data-values='{filled}'>{text}</p>"


def refusal(problem: ValueError) -> str:
    """Why something was not done, in every language; page.js shows that of the page."""
    if isinstance(problem, PageProblem):
        return message(problem.key, "wrong", **problem.values)
    code = problem.code if isinstance(problem, ReadError) else "unreadable"
    text = words_at("page", problem)
    by_language = {language: refusal_in(text, code, language) for language in LANGUAGES}
    return f"<p class='wrong' data-refused='{html.escape(json.dumps(by_language), quote=True)}'>{html.escape(text)}</p>"


def busy_text(share: float) -> str:
    """A scan is being read; the share done is 0 to 1."""
    return _progress("reading", share)


def writing_text(share: float) -> str:
    """Downloads are being written."""
    return _progress("writing", share)


def _progress(activity: str, share: float) -> str:
    if share:
        return message(f"{activity}_share", "busy", share=round(100 * share))
    return message("reading_scan" if activity == "reading" else activity, "busy")
