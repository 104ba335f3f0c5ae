"""What the page says while it works and when it refuses, as the markup of its line of status.

The markup is English and names its sentence; page.js says it in the language that the person chose.
"""

import html
import json

from ich_lib.prediction.engine import Models
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


def about_model(models: Models) -> str:
    """What a second model does, and its figures on patients that it never saw."""
    name = next(iter(models)).name
    key = "about_outline" if models.segmenter else "about_scores"
    figure = models.figures.get("dice_per_subject" if models.segmenter else "slice_auc_any")
    if not figure:
        return message("about_unmeasured", "quiet", name=name)
    figures = {part: f"{figure[part]:.2f}" for part in ("value", "low", "high")}
    height = f"{models.figures['height_auc']['value']:.2f}" if "height_auc" in models.figures else ""
    return message(key, "quiet", name=name, height=height, n=figure["n_patients"], **figures)


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
