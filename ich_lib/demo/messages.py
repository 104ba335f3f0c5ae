"""What the page says while it works and when it refuses, as the markup of its line of status.

The markup is English and names its sentence; page.js says it in the language that the person chose.
"""

import html
import json

from ich_lib.readers.refusal import ReadError, words_at
from ich_lib.words.page import PageProblem, page_sentence


def message(key: str, kind: str, **values: object) -> str:
    """One sentence of the page's words; `kind` is "busy", "stopped" or "wrong"."""
    filled = html.escape(json.dumps(values), quote=True)
    text = html.escape(page_sentence(key, **values))
    return f"<p class='{kind}' data-say='{key}' data-values='{filled}'>{text}</p>"


def refusal(problem: ValueError) -> str:
    """Why something was not done. What a reader found is English; page.js says before it what kind of trouble it is."""
    if isinstance(problem, PageProblem):
        return message(problem.key, "wrong", **problem.values)
    code = problem.code if isinstance(problem, ReadError) else "unreadable"
    text = html.escape(words_at("page", problem), quote=True)
    return f"<p class='wrong' data-refused='{code}' data-detail='{text}'>{text}</p>"


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
