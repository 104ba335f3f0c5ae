"""Common parts of the pages: messages without Markdown, and figures."""

import re
from io import BytesIO
from pathlib import Path

import streamlit as st

from ich_lib.readers.refusal import words_at
from ich_lib.show.figure import Figure


def escape_markdown(text: object) -> str:
    """A text, or the words of an error, with Markdown escaped for Streamlit: names of folders may contain stars."""
    words = words_at("page", text) if isinstance(text, BaseException) else str(text)
    return re.sub(r"([\\`*_{}\[\]<>#$~|:!])", r"\\\1", words)


def show_figure(figure: Figure, alt_text: str) -> None:
    """Show a figure.

    Args:
        figure: from `ich_lib.show`.
        alt_text: the content of the figure, for people who cannot see it.
    """
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=130, facecolor=figure.get_facecolor())
    st.image(picture.getvalue(), width="stretch", alt=alt_text)


def modified_at(path: Path) -> float:
    """The time when a file was written, so that changed files are processed again."""
    return path.stat().st_mtime


def error_sentence(problem: Exception) -> str:
    """An error as a message for a user. For a file of the wrong kind the libraries give no sentence."""
    is_own = isinstance(problem, ValueError | FileNotFoundError)
    return escape_markdown(problem if is_own else f"A file cannot be read, or is not whole ({problem}).")
