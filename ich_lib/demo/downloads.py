"""Downloads, which read the scan once more so that nobody's result is kept; and the same for programs."""

from collections.abc import Iterator
from tempfile import TemporaryDirectory

from ich_lib.demo import session
from ich_lib.demo.answers import hide_button
from ich_lib.demo.gradio_import import gr
from ich_lib.demo.job import run_in_thread
from ich_lib.demo.messages import message, writing_text
from ich_lib.demo.samples import sample_case
from ich_lib.prediction.engine import Models
from ich_lib.readers.refusal import words_at
from ich_lib.reports import as_json, write


def write_files(
    models: Models | None,
    last: session.CurrentScan | None,
    turns: session.RequestCounter,
    *window_settings: *session.Told,
) -> Iterator[tuple]:
    """The files of what is looked at, then the word on it, then the button that stops it."""
    turn = turns.last
    try:
        if last is None:  # the first sample is not there yet
            raise ValueError("There is no result to write yet. Wait for the picture.")
        scan = (
            sample_case(last.sample).scan
            if last.sample
            else session.read_upload(last.paths, *window_settings, last.series_read or None)
        )
        for step in run_in_thread(lambda tell: session.find_blood(scan, models, tell, believe=last.believe)):
            if turns.last != turn:  # stopped, or something else is looked at by now
                yield gr.skip(), gr.skip(), gr.skip()
                return
            if isinstance(step, float):
                yield gr.skip(), writing_text(step), gr.skip()
            else:
                result = step
    except ValueError as problem:
        yield gr.skip(), message(words_at("page", problem), "wrong"), hide_button()
        return
    with TemporaryDirectory() as folder:  # Gradio has its own copies once this goes on
        yield gr.File([str(path) for path in write(result, folder)], visible=True), "", hide_button()


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
