"""Learn: the lessons, your progress, and each lesson to read. Wiring only."""

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from ich_lib.course.lesson import Lesson, read_lesson
from ich_lib.course.progress import Progress, read_progress
from ich_lib.notice import NOTICE
from ich_lib.workbench.shown import escape_markdown

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def page() -> None:
    """The page."""
    st.title("Learn")
    st.caption(NOTICE)
    folder = st.text_input(
        "Folder of your copies", st.session_state.get("lessons", str(NOTEBOOKS)), key="learn folder",
        help="A check counts after its copy was run and saved.",
    )  # fmt: skip
    st.session_state["lessons"] = folder
    try:
        lessons = _progress(folder, _last_changed(folder))
    except (ValueError, OSError) as problem:
        st.error(escape_markdown(problem))
        return
    requested = st.query_params.get("lesson")
    if requested in [lesson.lesson for lesson in lessons]:
        _show_lesson(
            Path(folder) / f"{requested}.ipynb", next(lesson for lesson in lessons if lesson.lesson == requested)
        )
    else:
        _show_all(lessons)


def show_links(lessons: tuple[str, ...]) -> None:
    """A link to each lesson, such as "05_leak"; empty if the lessons are not beside the library."""
    try:
        titles = {lesson.lesson: lesson.title for lesson in _progress(str(NOTEBOOKS), _last_changed(str(NOTEBOOKS)))}
    except (ValueError, OSError):
        return
    for name in (name for name in lessons if name in titles):
        st.page_link(page_link(), label=titles[name], icon=":material/school:", query_params={"lesson": name})


def page_link() -> "StreamlitPage":
    """This page, for navigation and links."""
    return st.Page(page, title="Learn", icon=":material/school:", url_path="learn")


@st.cache_data(show_spinner=False, max_entries=4)
def _progress(folder: str, changed: float) -> list[Progress]:
    return list(read_progress(folder))


def _last_changed(folder: str) -> float:
    """The time of the last change of a lesson in the folder, so that changed lessons are read again."""
    return max((path.stat().st_mtime for path in Path(folder).glob("*.ipynb")), default=0.0)


def _show_all(lessons: list[Progress]) -> None:
    done, count = (
        sum(len(lesson.passed_exercises) for lesson in lessons),
        sum(len(lesson.exercises) for lesson in lessons),
    )
    st.progress(done / max(count, 1), f"{done} of {count} checks pass in your copies")
    for lesson in lessons:
        title, progress_column = st.columns([4, 1], vertical_alignment="center")
        with title:
            st.page_link(page_link(), label=lesson.title, query_params={"lesson": lesson.lesson})
        progress_column.caption(
            f"{len(lesson.passed_exercises)} of {len(lesson.exercises)}" if lesson.exercises else "to read"
        )


def _show_lesson(path: Path, done: Progress) -> None:
    st.page_link(page_link(), label="All lessons", icon=":material/arrow_back:")
    try:
        read = _lesson(str(path), path.stat().st_mtime)
    except (ValueError, OSError) as problem:
        st.error(escape_markdown(problem))
        return
    st.header(read.title, anchor=False)
    if done.exercises:
        marks = [f"{number} {'passed' if number in done.passed_exercises else 'open'}" for number in done.exercises]
        st.markdown(f"**{len(done.passed_exercises)} of {len(done.exercises)} checks pass:** {', '.join(marks)}")
    st.markdown("To work on it, run in a terminal:")
    st.code(f'jupyter lab "{path}"', language="bash")
    if read.online:
        st.link_button("Open in Colab", read.online, icon=":material/open_in_new:")
    with st.container(border=True):
        st.caption("Read only, without solutions.")
        for cell in read.cells:
            if cell.code:
                st.code(cell.text, language="python")
            else:
                st.markdown(cell.text)


@st.cache_data(show_spinner=False, max_entries=8)
def _lesson(path: str, changed: float) -> Lesson:
    return read_lesson(path)
