"""Models that pages ask: the shipped ones, or those of a run. Wiring only."""

from pathlib import Path

import streamlit as st

from ich_lib.models.run import find_runs
from ich_lib.prediction.engine import SHIPPED, Models
from ich_lib.workbench import scans
from ich_lib.workbench.shown import changed

FOLDER = "runs"  # what README.md names its folders of runs
_FOLDER = "folder of runs"  # named on the page Runs, and kept for the others


def folder_of_runs() -> str:
    """The folder that was named last."""
    return st.session_state.get(_FOLDER, FOLDER)


def keep_folder_of_runs(folder: str) -> None:
    """Keep what was named for the other pages."""
    st.session_state[_FOLDER] = folder


def trained() -> dict[str, str]:
    """Name of each finished run to its folder; none where there is no folder of runs."""
    try:
        kept, _ = find_runs(folder_of_runs())
    except OSError:
        return {}
    return {run.name: str(run.folder) for run in kept if run.finished}


def stamp(source: str) -> float:
    """When a model was written last, so that a run trained anew is opened anew."""
    folder = Path(source)
    return 0.0 if source == SHIPPED or not folder.is_dir() else max(map(changed, [folder, *folder.glob("*")]))


@st.cache_resource(show_spinner=False, max_entries=8)
def opened(source: str, when: float) -> Models:
    """The models at a source; `when` is its `stamp`.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: for a cross-validation's folder, or a file that its card does not describe.
    """
    return scans.opened_models(source)
