"""What pages share: sentences that stay plain, and figures."""

import re
from io import BytesIO
from pathlib import Path

import streamlit as st

from ich_lib.readers.refusal import words_at
from ich_lib.show.figure import Figure


def escape_markdown(text: object) -> str:
    """A text, or the words of an error, that Streamlit takes for no Markdown: names of folders hold stars."""
    words = words_at("page", text) if isinstance(text, BaseException) else str(text)
    return re.sub(r"([\\`*_{}\[\]<>#$~|:!])", r"\\\1", words)


def show_figure(figure: Figure, alt_text: str) -> None:
    """Show a figure.

    Args:
        figure: of `ich_lib.show`.
        alt_text: what is on it, for those who cannot see it.
    """
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=130, facecolor=figure.get_facecolor())
    st.image(picture.getvalue(), width="stretch", alt=alt_text)


def modified_at(path: Path) -> float:
    """When a file was written: what is kept of it is made anew when it changes."""
    return path.stat().st_mtime


def error_sentence(problem: Exception) -> str:
    """What went wrong, for a person. Of a file that is none of its kind the libraries say no sentence."""
    is_own = isinstance(problem, ValueError | FileNotFoundError)
    return escape_markdown(problem if is_own else f"A file cannot be read, or is not whole ({problem}).")
