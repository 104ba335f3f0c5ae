"""Who calls whom: the events of the page, and the one endpoint for programs."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ich_lib.demo import downloads, session
from ich_lib.demo.answers import Answers, ModelPair, busy_update
from ich_lib.demo.gradio_import import gr
from ich_lib.demo.messages import writing_text
from ich_lib.demo.page import Page, lay_out
from ich_lib.demo.samples import sample_reader
from ich_lib.demo.whole_values import send_whole_values
from ich_lib.grammar import listed
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import Models, list_weights, load
from ich_lib.words.page import page_sentence

if TYPE_CHECKING:
    from gradio.events import Dependency


TITLE = page_sentence("title")
ASK_CASE = "(name, turns) => [new URLSearchParams(location.search).get('case') ?? '', turns]"  # ?case=epidural
ASK_STUDY = "(number, ...more) => [window.ichStudy ?? null, ...more]"  # which row of the table was opened
ASK_SOLID = "(last, other, turns, threshold, first, ...more) => [last, other, turns, ...window.ichSolid(), ...more]"
ASK_THRESHOLD = """(last, turns, threshold, ...more) => [last, turns, window.ichThreshold?.() ?? null, ...more]"""


def build_app(
    models: Models | None = None, samples: Callable[[str], dict] | None = None, compare: Path | None = None
) -> gr.Blocks:
    """The page.

    Args:
        models: what `engine.load` returned; None for the shipped model.
        samples: what `sample_reader` returned, where it is shared; None for one of its own.
        compare: a run or exported folder to compare with, beside the models that come with the library.
    """
    with gr.Blocks(title=TITLE, delete_cache=(600, 1800), analytics_enabled=False, fill_width=True) as app:
        started = listed(model.name for model in models or load())
        page = lay_out(started, [*list_weights()[1:], *([str(compare)] if compare else [])])
        answers = Answers(page, ModelPair(models, samples or sample_reader(models)), load_pair)
        _wire(app, page, answers)
        _wire_viewers(page, answers)
        _wire_files(page, answers)
    send_whole_values(app)
    return app.queue(max_size=12, api_open=False)


@cache
def load_pair(source: str) -> ModelPair:
    """Another model, loaded when it is first chosen."""
    models = load(source)
    return ModelPair(models, sample_reader(models))


def _on(
    event: Callable[..., "Dependency"],
    answer: Callable,
    inputs: object,
    outputs: object,
    *,
    trigger: Literal["once", "multiple", "always_last"] = "multiple",
    limit: int | Literal["default"] = "default",
    reads: bool = False,
    js: str | None = None,
) -> "Dependency":
    """Answer an event of the page's own: told to no program, and without a bar over what it changes.

    Args:
        event: such as `button.click`.
        answer: the function.
        inputs: its arguments, in order.
        outputs: what it changes.
        trigger: "multiple", else a request during an earlier answer would be dropped; "always_last" drops all but the
            last.
        limit: how many of its kind run at a time.
        reads: whether it reads a scan: two of these run at a time.
        js: a function of the browser, which gets the arguments and gives those to send.
    """
    return event(
        answer,
        inputs,
        outputs,
        show_progress="hidden",
        api_visibility="private",
        trigger_mode=trigger,
        concurrency_id="read" if reads else None,
        concurrency_limit=2 if reads else limit,
        js=js,
    )


def _wire(app: gr.Blocks, page: Page, answers: Answers) -> None:
    """Who calls whom."""
    outputs, wait = page.outputs, [page.status, page.stop]
    settings = [page.truth, page.compare, page.turns, page.window, page.level, page.width]
    _on(app.load, answers.open, [page.case, page.turns], outputs, limit=4, js=ASK_CASE)
    # who holds an arrow key gets the sample where it was let go
    sample_event = _on(page.sample.input, partial(busy_update, True, False), None, wait, trigger="always_last")
    with_samples = [page.sample, page.compare, page.turns]
    sample_event = _on(sample_event.then, answers.sample, with_samples, outputs, trigger="always_last", limit=4)
    upload_event = _on(
        page.files.upload, answers.take, [page.files, page.turns], [page.requested_files, page.files, page.truth, *wait]
    )
    read = [_on(upload_event.then, answers.open_upload, [page.requested_files, *settings], outputs, reads=True)]
    busy = _on(page.studies.select, partial(busy_update, True), None, wait)
    study_inputs = [page.number, page.listed_studies, page.compare, page.turns, page.window, page.level, page.width]
    read.append(_on(busy.then, answers.open_study, study_inputs, outputs, reads=True, js=ASK_STUDY))
    _on(page.window.input, lambda name: gr.Row(visible=name == session.OTHER_WINDOW), page.window, page.window_row)
    for changed in (page.window.input, page.level.submit, page.width.submit):
        busy = _on(changed, lambda last: busy_update(last and last.paths), page.last, wait)
        read.append(_on(busy.then, answers.read_again, [page.last, *settings], outputs, reads=True))
    busy = _on(page.series.input, lambda last: busy_update(last and last.paths), page.last, wait)
    chosen = [page.series, page.last, page.compare, page.turns, page.window, page.level, page.width]
    read.append(_on(busy.then, answers.choose, chosen, outputs, reads=True))
    both = [*outputs, page.second_column, page.difference_column]
    read.append(_on(page.compare.input, answers.compare, [page.last, *settings], both, reads=True))
    read.append(_on(page.model.input, answers.choose_model, [page.model, page.last, *settings], both, reads=True))
    masked = [page.truth, page.last, page.compare]
    read.append(_on(page.truth.upload, answers.add_truth, masked, outputs, reads=True))
    _on(page.truth.clear, answers.drop_truth, [page.last, page.compare], outputs)
    _on(page.stop.click, answers.stop, page.turns, wait)
    for event in (sample_event, *read):
        _wait_no_more(page, event)


def _wire_viewers(page: Page, answers: Answers) -> None:
    """What a viewer asks for: the input of the model, the 3D view, and a finding that was held back.

    The names of Gradio's events are fixed; "expand", "play" and "submit" are free.
    """
    window_inputs = [page.window, page.level, page.width]
    wait, again = [page.status, page.stop], partial(answers.read_again, believe=True)
    for viewer, model_box in ((page.viewer, page.model), (page.second, page.compare)):
        changed = [viewer, page.status]
        shown = _on(viewer.expand, answers.inputs, [page.last, model_box, *window_inputs], changed, reads=True)
        settings = [page.threshold, page.is_first, page.truth, *window_inputs]
        solid_inputs = [page.last, model_box, page.turns, *settings]
        solid = _on(viewer.play, answers.solid, solid_inputs, changed, reads=True, js=ASK_SOLID)
        busy = _on(viewer.submit, partial(busy_update, True), None, wait)
        inputs = [page.last, page.truth, page.compare, page.turns, *window_inputs]
        believed = _on(busy.then, again, inputs, page.outputs, reads=True)
        for event in (shown, solid, believed):
            _wait_no_more(page, event)


def _wire_files(page: Page, answers: Answers) -> None:
    """Downloads, and the same for programs, with the model that the page was started with."""
    window_inputs = [page.window, page.level, page.width]
    wait, models = [page.status, page.stop], answers.first.models
    click = _on(page.make.click, lambda: (writing_text(0), gr.Button(visible=True)), None, wait, trigger="once")
    write = partial(downloads.write_files, lambda model: answers.pair(model).models)
    inputs = [page.last, page.turns, page.threshold, *window_inputs]
    outputs = [page.written, page.zipped, *wait]
    written = _on(click.then, write, inputs, outputs, trigger="once", reads=True, js=ASK_THRESHOLD)
    _wait_no_more(page, written)
    page.ask.click(
        partial(downloads.result_json, models),
        [page.files, *window_inputs, page.requested_series, page.believing],
        page.json,
        api_name="analyze",
        api_description=f"A head CT to the content of result.json. {NOTICE}",
        api_visibility="public",
        concurrency_id="read",
        concurrency_limit=2,
    )


def _wait_no_more(page: Page, event: "Dependency") -> None:
    """Take the word back where it fails, in the browser: where the queue was full, asking the server to would fail as
    well."""
    js = """(told) => (told || "").includes("class='busy'") ? "" : told"""
    event.failure(fn=None, js=js, inputs=page.status, outputs=page.status, api_visibility="private")
