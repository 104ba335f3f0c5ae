"""Downloads, which read the scan once more so that no result is kept; and the same for programs."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import make_archive
from tempfile import TemporaryDirectory

from ich_lib.demo import session
from ich_lib.demo.answers import hide_button
from ich_lib.demo.gradio_import import gr
from ich_lib.demo.job import run_in_thread
from ich_lib.demo.messages import refusal, writing_text
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.engine import Models
from ich_lib.readers.refusal import words_at
from ich_lib.reports import as_json, write
from ich_lib.words.page import PageProblem


def write_files(
    models_of: Callable[[str], Models | None],
    last: session.CurrentScan | None,
    turns: session.RequestCounter,
    threshold: float | None,
    *window_settings: *session.WindowSettings,
) -> Iterator[tuple]:
    """The files of what is looked at, all of them in a zip, the word on it, and the button that stops it.

    Args:
        models_of: from a name in the box "Model" to the models to run.
        last: what is looked at.
        turns: what the session asked for, and its model.
        threshold: of the mask, in 255ths, where the person moved it; None for the model's own.
        window_settings: as `session.read_upload` takes them.
    """
    turn, no_change = turns.last, (gr.skip(),) * 4
    turns.word = None
    try:
        if last is None:  # the first sample is not there yet
            raise PageProblem("no_result")
        for step in run_in_thread(partial(_result, models_of(turns.model), last, window_settings)):
            if turns.last != turn:  # stopped, or something else is looked at by now
                yield no_change
                return
            if isinstance(step, float):
                yield gr.skip(), gr.skip(), writing_text(step), gr.skip()
            else:
                result = session.at_threshold(step, threshold)
    except ValueError as problem:
        turns.end(turn, refusal(problem))
        yield gr.skip(), gr.skip(), refusal(problem), hide_button()
        return
    turns.end(turn)
    with TemporaryDirectory() as folder:  # Gradio has its own copies once this goes on
        paths = [str(path) for path in write(result, Path(folder) / "files")]
        packed = make_archive(str(Path(folder) / "result"), "zip", Path(folder) / "files")
        yield gr.File(paths, visible=True), gr.DownloadButton(value=packed, visible=True), "", hide_button()


def _result(
    models: Models | None,
    last: session.CurrentScan,
    window_settings: session.WindowSettings,
    report_progress: Callable[[float], None],
) -> Result:
    scan = session.current_scan(last, window_settings)
    return session.find_blood(scan, models, report_progress, believe=last.believe)


def result_json(
    models: Models | None,
    paths: list[str] | None,
    window_name: str,
    level: float | None,
    width: float | None,
    series: str | None,
    believe: bool,
) -> dict:
    """The content of result.json; `gr.Error` with the sentence for the program where that cannot be."""
    try:
        scan = session.read_upload(paths or [], window_name, level, width, (series or "").strip() or None)
        return as_json(session.find_blood(scan, models, believe=believe))
    except ValueError as problem:
        raise gr.Error(words_at("endpoint", problem), print_exception=False) from None
