"""The models of the pages: the shipped ones, or those of a run. Wiring only."""

from pathlib import Path

import streamlit as st

from ich_lib.models.run import find_runs
from ich_lib.prediction.engine import WEIGHTS_FOLDER, Models
from ich_lib.workbench import scans
from ich_lib.workbench.shown import modified_at

RUNS_FOLDER = "runs"  # the name in README.md for a folder of runs
_FOLDER = "folder of runs"  # chosen on the page Runs, and kept for the others


def folder_of_runs() -> str:
    """The folder that was chosen last."""
    return st.session_state.get(_FOLDER, RUNS_FOLDER)


def keep_folder_of_runs(folder: str) -> None:
    """Keep the chosen folder for the other pages."""
    st.session_state[_FOLDER] = folder


def finished_runs() -> dict[str, str]:
    """Name of each finished run to its folder; empty without a folder of runs."""
    try:
        run_folders, _ = find_runs(folder_of_runs())
    except OSError:
        return {}
    return {run.name: str(run.folder) for run in run_folders if run.finished}


def model_stamp(source: str) -> float:
    """The time of a model's last change, so that a changed model is opened again."""
    folder = Path(source)
    return (
        0.0 if source == WEIGHTS_FOLDER or not folder.is_dir() else max(map(modified_at, [folder, *folder.glob("*")]))
    )


@st.cache_resource(show_spinner=False, max_entries=8)
def open_models(source: str, when: float) -> Models:
    """The models at a source; `when` is its `model_stamp`.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: for a cross-validation's folder, or a file that its card does not describe.
    """
    return scans.load_models(source)
