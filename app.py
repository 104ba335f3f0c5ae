"""Web demo: a sample case already read, and the same for one's own scan. Wiring only; what it knows is in ich_lib.

python app.py [--weights RUN] [--compare RUN] [--port N] [--host H] [--mcp]
"""

import argparse
import html
import importlib.util
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Literal

from ich_lib.demo import session, viewer
from ich_lib.demo.gradio_import import gr
from ich_lib.demo.job import run_in_thread
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import WEIGHTS_FOLDER, Models, load
from ich_lib.prepare.window import WINDOWS
from ich_lib.readers import child
from ich_lib.readers.refusal import words_at
from ich_lib.reports import as_json, write

try:
    import spaces
except ImportError:
    spaces = None
if spaces:

    @spaces.GPU
    def _marker() -> None:
        """Free Spaces start only where a function carries this mark. It is never called: everything runs on the CPU."""


if TYPE_CHECKING:
    from gradio.events import Dependency

TITLE = "Intracranial hemorrhage on head CT"
PICTURE_WINDOWS = {  # name on the page: name in WINDOWS
    "brain": "brain",
    "subdural": "subdural",
    "bone": "bone",
    "CT-ICH brain": "brain render",
    "CT-ICH bone": "bone render",
}
WORDS = gr.I18n(  # what stands around the viewer, which has its own (ich_lib/demo/viewer/words.js)
    en={
        "samples": "Sample cases",
        "own": "Your own scan",
        "truth": "True mask (optional)",
        "series": "Series",
        "window": "Window of a PNG or JPG",
        "level": "Level, HU",
        "width": "Width, HU",
        "stop": "Stop",
        "compare": "Compare both models",
        "believe": "Show the finding anyway",
        "make": "Make downloads",
        "files": "Downloads",
    },
    de={
        "samples": "Beispielfälle",
        "own": "Eigener Scan",
        "truth": "Wahre Maske (optional)",
        "series": "Serie",
        "window": "Fenster eines PNG oder JPG",
        "level": "Mitte, HU",
        "width": "Breite, HU",
        "stop": "Anhalten",
        "compare": "Beide Modelle vergleichen",
        "believe": "Befund trotzdem zeigen",
        "make": "Dateien erstellen",
        "files": "Dateien",
    },
    es={
        "samples": "Casos de ejemplo",
        "own": "Su propio estudio",
        "truth": "Máscara real (opcional)",
        "series": "Serie",
        "window": "Ventana de un PNG o JPG",
        "level": "Nivel, HU",
        "width": "Ancho, HU",
        "stop": "Parar",
        "compare": "Comparar ambos modelos",
        "believe": "Mostrar el hallazgo de todos modos",
        "make": "Crear archivos",
        "files": "Archivos",
    },
)


def build_app(
    models: Models | None = None, samples: Callable[[str], dict] | None = None, second_models: Models | None = None
) -> gr.Blocks:
    """The page.

    Args:
        models: what `engine.load` returned; None for the shipped model.
        samples: what `session.sample_reader` returned, where it is shared; None for one of its own.
        second_models: a second pair of models to compare with; None for no comparison.
    """
    with gr.Blocks(title=TITLE, delete_cache=(600, 1800), analytics_enabled=False, fill_width=True) as app:
        page = _page(comparing=second_models is not None)
        first = ModelPair(models, samples or session.sample_reader(models))
        second = ModelPair(second_models, session.sample_reader(second_models)) if second_models else None
        _wire(app, page, first, second)
        _wire_files(page, models)
    return app.queue(max_size=12, api_open=False)


@dataclass(frozen=True)
class ModelPair:
    """How the page asks one pair of models: them, or for what they said of a sample."""

    models: Models | None
    sample: Callable[[str], dict]


@dataclass(frozen=True)
class Page:
    """What is on the page.

    Attributes:
        last: what this session looks at, a session.CurrentScan.
        asked: (paths, turn) of the files that it wants to see: their box is free again at once.
        turns: what it asked for so far, a session.RequestCounter.
        sample, compare, files, truth, series, window, level, width: what a person chooses.
        own: the row of level and width.
        make, made: downloads.
        status, stop: what is going on, and the button that ends it.
        believe: the button that shows a finding although the scan may be no native head CT.
        viewer, second, beside: both viewers, and the column of the second.
        json, ask, asked_series, believing: of programs, unseen.
    """

    last: gr.State
    asked: gr.State
    turns: gr.State
    sample: gr.Radio
    compare: gr.Checkbox
    files: gr.File
    truth: gr.File
    series: gr.Dropdown
    window: gr.Dropdown
    own: gr.Row
    level: gr.Number
    width: gr.Number
    make: gr.Button
    made: gr.File
    status: gr.HTML
    stop: gr.Button
    believe: gr.Button
    viewer: gr.HTML
    second: gr.HTML
    beside: gr.Column
    json: gr.JSON
    ask: gr.Button
    asked_series: gr.Textbox
    believing: gr.Checkbox

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What the answer to a scan may change."""
        shown = [self.viewer, self.second, self.sample, self.files, self.truth, self.series]
        return [*shown, self.last, self.status, self.stop, self.believe, self.made]


def _page(*, comparing: bool) -> Page:
    """Lay it out, top to bottom, left to right."""
    word = WORDS
    gr.HTML(f"<h1>{TITLE}</h1><p>{html.escape(NOTICE)}</p>", html_template="<div id='head'>${value}</div>")
    last, asked = gr.State(None), gr.State(None)
    turns = gr.State(session.RequestCounter())  # Gradio makes each session its own
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="rail"):
            sample = gr.Radio(
                list(session.SAMPLES),
                value=session.FIRST_SAMPLE,
                label=word("samples"),
                container=False,
                elem_id="samples",
            )
            compare = gr.Checkbox(False, label=word("compare"), visible=comparing, elem_id="compare")
            files = gr.File(label=word("own"), file_count="multiple", height=120, elem_id="files")
            _html(viewer.folder_html())
            series = gr.Dropdown([], label=word("series"), visible=False, elem_id="series")
            truth = gr.File(label=word("truth"), height=80, elem_id="truth")
            gr.HTML("<p class='quiet'>DICOM, zip, tar, 7z, NIfTI or pictures. Nothing that names a person.</p>")
            window = gr.Dropdown(
                _window_choices(), value=session.UNKNOWN_WINDOW, label=word("window"), elem_id="picture-window"
            )
            with gr.Row(visible=False) as own:
                level = gr.Number(40, label=word("level"), min_width=80, elem_id="level")
                width = gr.Number(80, label=word("width"), min_width=80, elem_id="width")
            make = gr.Button(word("make"), size="sm", elem_id="make")
            made = gr.File(label=word("files"), file_count="multiple", interactive=False, visible=False, elem_id="made")
        with gr.Column(elem_id="work"):
            with gr.Row(elem_id="told"):
                status = gr.HTML("", html_template="<div id='status' aria-live='polite'>${value}</div>")
                stop = gr.Button(word("stop"), size="sm", visible=False, elem_id="stop")
            believe = gr.Button(word("believe"), size="sm", visible=False, elem_id="believe")
            with gr.Row(elem_id="viewers"):
                with gr.Column(elem_classes="one-viewer"):
                    first = _html(viewer.viewer_html())
                with gr.Column(elem_classes="one-viewer", visible=False) as beside:
                    second = _html(viewer.viewer_html())
        json, ask = gr.JSON(visible=False), gr.Button(visible=False)
        asked_series, believing = gr.Textbox("", visible=False), gr.Checkbox(False, visible=False)
    return Page(
        last=last,
        asked=asked,
        turns=turns,
        sample=sample,
        compare=compare,
        files=files,
        truth=truth,
        series=series,
        window=window,
        own=own,
        level=level,
        width=width,
        make=make,
        made=made,
        status=status,
        stop=stop,
        believe=believe,
        viewer=first,
        second=second,
        beside=beside,
        json=json,
        ask=ask,
        asked_series=asked_series,
        believing=believing,
    )


def _html(parts: viewer.Parts) -> gr.HTML:
    """A part of the page that we wrote."""
    return gr.HTML(
        None,
        html_template=parts.html_template,
        css_template=parts.css_template,
        js_on_load=parts.js_on_load,
        apply_default_css=False,
    )


def _window_choices() -> list[str | tuple[str, str]]:
    """What the box for the window of a picture offers; of a pair the first is shown, the second is its name."""
    known = [("{}, {} / {}".format(shown, *WINDOWS[name]), name) for shown, name in PICTURE_WINDOWS.items()]
    return [session.UNKNOWN_WINDOW, *known, session.OTHER_WINDOW]


class _Answers:
    """What the page shows for what is asked of it; each method is an event's function.

    Gradio sends what was yielded last a second time, so the last is always small.
    """

    def __init__(self, page: Page, first: ModelPair, second: ModelPair | None):
        self.page, self.first, self.second = page, first, second
        self.nothing = {page.status: gr.skip()}

    def ended(self, status: str = "") -> dict:
        """The word on what is going on, and no button to stop it."""
        return {self.page.status: status, self.page.stop: _hide_stop()}

    def viewers(self, comparing: bool) -> list[gr.HTML]:
        """Those that are seen."""
        return [self.page.viewer, self.page.second] if comparing else [self.page.viewer]

    def pairs(self, comparing: bool) -> list[ModelPair]:
        """Who is asked, one for each of the viewers."""
        return [self.first, self.second] if comparing and self.second else [self.first]

    def sample(self, name: str, comparing: bool, turns: session.RequestCounter) -> dict:
        """A sample, read already or now."""
        page, turn = self.page, turns.next()
        payloads = [one.sample(name) for one in self.pairs(comparing)]
        if turns.last != turn:
            return self.nothing
        turns.word = ""
        last = session.CurrentScan(sample=name)  # the choice itself is left alone: it may have gone on meanwhile
        updates = dict(zip(self.viewers(comparing), payloads, strict=True))
        taken = {page.files: None, page.truth: None, page.last: last, page.series: _series_box(last)}
        return updates | self.ended() | taken | {page.made: _hide_files(), page.believe: _hide_stop()}

    def take(self, paths: list[str], turns: session.RequestCounter) -> tuple:
        """Files that came in: their box is free again at once, and what was there before is not its truth."""
        return (paths, turns.next()), None, None, *_busy_update(True)

    def upload(
        self,
        request: tuple[Sequence[str], int] | None,
        truth: str | None,
        comparing: bool,
        turns: session.RequestCounter,
        *window_settings: *session.Told,
        series: int | None = None,
        believe: bool = False,
    ) -> Iterator[dict]:
        """A scan; whatever is asked for later ends it: another scan, a sample, a stop."""
        if not request:  # a session so old that what it asked for is forgotten
            yield self.ended(_message(session.GONE_TEXT, "wrong"))
            return
        paths, turn = request
        page, viewers = self.page, self.viewers(comparing)
        pairs = [pair.models for pair in self.pairs(comparing)]
        is_wanted = lambda: turns.last == turn  # noqa: E731
        steps = session.read_and_analyze(paths, window_settings, pairs, truth, is_wanted, series, believe=believe)
        try:
            for step in steps:
                if isinstance(step, session.Picture):
                    hidden = {page.made: _hide_files(), page.believe: _hide_stop()}
                    shown = dict.fromkeys(viewers, step.payload) | {page.series: _series_box(step.scan)}
                    yield shown | hidden | {page.sample: None, page.last: step.scan}
                elif isinstance(step, session.Overlay):
                    is_withheld = step.payload.get("report", {}).get("withheld")
                    offer = {page.believe: gr.Button(visible=True)} if is_withheld else {}
                    yield {viewers[number]: step.payload for number in step.viewers} | offer
                else:
                    yield {page.status: _busy_text(step)}
        except ValueError as problem:
            yield self.ended(_message(words_at("page", problem), "wrong"))
            return
        if turns.last == turn:
            turns.word = ""
        yield self.nothing if turns.word is None else self.ended(turns.word)

    def again(
        self,
        last: session.CurrentScan | None,
        truth: str | None,
        comparing: bool,
        turns: session.RequestCounter,
        *window_settings: *session.Told,
        believe: bool = False,
    ) -> Iterator[dict]:
        """The same series of the same files in another window, or with the finding that was held back."""
        if last and last.paths:
            asked, series = (last.paths, turns.next()), last.series_read or None
            yield from self.upload(asked, truth, comparing, turns, *window_settings, series=series, believe=believe)
        else:
            yield self.nothing  # a generator without a word would empty all outputs

    def choose(
        self,
        series: int | None,
        last: session.CurrentScan | None,
        comparing: bool,
        turns: session.RequestCounter,
        *window_settings: *session.Told,
    ) -> Iterator[dict]:
        """Another series of the same files; a mask of the one before is not its truth."""
        if last and last.paths and series:
            yield {self.page.truth: None}
            asked = last.paths, turns.next()
            yield from self.upload(asked, None, comparing, turns, *window_settings, series=series)
        else:
            yield self.nothing

    def add_truth(self, truth: str, last: session.CurrentScan | None, comparing: bool) -> dict:
        """A mask for the scan that is shown."""
        try:
            overlay = session.truth_overlay(truth, last)
        except ValueError as problem:
            return {self.page.status: _message(words_at("page", problem), "wrong"), self.page.truth: None}
        return dict.fromkeys(self.viewers(comparing), overlay) | {self.page.status: ""}

    def drop_truth(self, last: session.CurrentScan | None, comparing: bool) -> dict:
        """The mask was taken away."""
        if not last or not last.paths:
            return self.nothing
        return dict.fromkeys(self.viewers(comparing), viewer.overlay(last.id, {"truth": None}))

    def compare(
        self,
        last: session.CurrentScan | None,
        truth: str | None,
        comparing: bool,
        turns: session.RequestCounter,
        *told: *session.Told,
    ) -> Iterator[dict]:
        """The second viewer comes or goes."""
        yield {self.page.beside: gr.Column(visible=comparing)}
        if comparing and self.second and last and last.sample:
            yield {self.page.second: self.second.sample(last.sample)}
            yield self.nothing
        elif comparing:
            yield from self.again(last, truth, comparing, turns, *told)

    def stop(self, turns: session.RequestCounter) -> tuple[str, gr.Button]:
        """Nothing is waited for any more."""
        turns.next()
        turns.word = _message(session.STOPPED_TEXT, "stopped")
        return turns.word, _hide_stop()


def _on(
    event: Callable[..., "Dependency"],
    answer: Callable,
    inputs: object,
    outputs: object,
    *,
    trigger: Literal["once", "multiple", "always_last"] = "multiple",
    limit: int | Literal["default"] = "default",
    reads: bool = False,
) -> "Dependency":
    """Answer an event of the page's own: told to no program, and without a bar over what it changes.

    Args:
        event: such as `button.click`.
        answer: the function.
        inputs: its arguments, in order.
        outputs: what it changes.
        trigger: "multiple", else what is asked while the former answer is on its way would be dropped; "always_last"
            drops all but the last.
        limit: how many of its kind go on at a time.
        reads: whether it reads a scan: of these two go on at a time.
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
    )


def _wire(app: gr.Blocks, page: Page, first: ModelPair, second: ModelPair | None) -> None:
    """Who calls whom."""
    answers = _Answers(page, first, second)
    outputs, wait = page.outputs, [page.status, page.stop]
    settings = [page.truth, page.compare, page.turns, page.window, page.level, page.width]
    _on(app.load, partial(answers.sample, session.FIRST_SAMPLE, False), page.turns, outputs, limit=4)
    # who holds an arrow key gets the sample where it was let go
    sample_event = _on(page.sample.input, partial(_busy_update, True, False), None, wait, trigger="always_last")
    with_samples = [page.sample, page.compare, page.turns]
    sample_event = _on(sample_event.then, answers.sample, with_samples, outputs, trigger="always_last", limit=4)
    upload_event = _on(
        page.files.upload, answers.take, [page.files, page.turns], [page.asked, page.files, page.truth, *wait]
    )
    read = [_on(upload_event.then, answers.upload, [page.asked, *settings], outputs, reads=True)]
    _on(page.window.input, lambda name: gr.Row(visible=name == session.OTHER_WINDOW), page.window, page.own)
    for changed in (page.window.input, page.level.submit, page.width.submit):
        busy = _on(changed, lambda last: _busy_update(last and last.paths), page.last, wait)
        read.append(_on(busy.then, answers.again, [page.last, *settings], outputs, reads=True))
    busy = _on(page.series.input, lambda last: _busy_update(last and last.paths), page.last, wait)
    chosen = [page.series, page.last, page.compare, page.turns, page.window, page.level, page.width]
    read.append(_on(busy.then, answers.choose, chosen, outputs, reads=True))
    busy = _on(page.believe.click, partial(_busy_update, True), None, wait)
    read.append(_on(busy.then, partial(answers.again, believe=True), [page.last, *settings], outputs, reads=True))
    if second:
        both = [*outputs, page.beside]
        read.append(_on(page.compare.input, answers.compare, [page.last, *settings], both, reads=True))
    masked = [page.truth, page.last, page.compare]
    read.append(_on(page.truth.upload, answers.add_truth, masked, outputs, reads=True))
    _on(page.truth.clear, answers.drop_truth, [page.last, page.compare], outputs)
    _on(page.stop.click, answers.stop, page.turns, wait)
    for last in (sample_event, *read):
        _wait_no_more(page, last)


def _wire_files(page: Page, models: Models | None) -> None:
    """Downloads, which read the scan once more so that nobody's result is kept; and the same for programs."""
    window_inputs = [page.window, page.level, page.width]

    def make(
        last: session.CurrentScan | None, turns: session.RequestCounter, *window_settings: *session.Told
    ) -> Iterator[tuple]:
        turn = turns.last
        try:
            if last is None:  # the first sample is not there yet
                raise ValueError("There is no result to write yet. Wait for the picture.")
            scan = (
                session.sample_case(last.sample).scan
                if last.sample
                else session.read_upload(last.paths, *window_settings, last.series_read or None)
            )
            for step in run_in_thread(lambda tell: session.find_blood(scan, models, tell, believe=last.believe)):
                if turns.last != turn:  # stopped, or something else is looked at by now
                    yield gr.skip(), gr.skip(), gr.skip()
                    return
                if isinstance(step, float):
                    yield gr.skip(), _writing_text(step), gr.skip()
                else:
                    result = step
        except ValueError as problem:
            yield gr.skip(), _message(words_at("page", problem), "wrong"), _hide_stop()
            return
        with TemporaryDirectory() as folder:  # Gradio has its own copies once this goes on
            yield gr.File([str(path) for path in write(result, folder)], visible=True), "", _hide_stop()

    def for_programs(
        paths: list[str] | None,
        window_name: str,
        level: float | None,
        width: float | None,
        series: str | None,
        believe: bool,
    ) -> dict:
        try:
            scan = session.read_upload(paths or [], window_name, level, width, (series or "").strip() or None)
            return as_json(session.find_blood(scan, models, believe=believe))
        except ValueError as problem:
            raise gr.Error(words_at("endpoint", problem), print_exception=False) from None

    wait = [page.status, page.stop]
    begun = _on(page.make.click, lambda: (_writing_text(0), gr.Button(visible=True)), None, wait, trigger="once")
    files = [page.made, *wait]
    _wait_no_more(
        page, _on(begun.then, make, [page.last, page.turns, *window_inputs], files, trigger="once", reads=True)
    )
    page.ask.click(
        for_programs,
        [page.files, *window_inputs, page.asked_series, page.believing],
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


def _hide_stop() -> gr.Button:
    return gr.Button(visible=False)


def _series_box(scan: session.CurrentScan) -> gr.Dropdown:
    """What to choose from where the files hold several series."""
    choices = [(f"{number}: {line}", number) for number, line in enumerate(scan.series, start=1)]
    return gr.Dropdown(choices, value=scan.series_read or None, visible=len(choices) > 1)


def _hide_files() -> gr.File:
    return gr.File(value=None, visible=False)


def _busy_update(condition: object, stoppable: bool = True) -> tuple:
    """A word for the time until the result is there, if there is something to read; and the button that stops it."""
    if not condition:
        return gr.skip(), gr.skip()
    return _busy_text(0), gr.Button(visible=stoppable)


def _busy_text(share: float) -> str:
    return _progress_text("Reading the scan and looking for blood.", share)


def _writing_text(share: float) -> str:
    return _progress_text("Writing the files.", share)


def _progress_text(activity: str, share: float) -> str:
    return _message(f"{activity} {share:.0%} done." if share else f"{activity} This takes some seconds.", "busy")


def _message(text: str, kind: str) -> str:
    return f"<p class='{kind}'>{html.escape(text)}</p>"


def main() -> int:
    """Serve the page until it is stopped; 2 where the weights are missing or not what their card says."""
    options = _options()
    try:
        models = load(options.weights)
        second_models = load(options.compare) if options.compare else None
        _check_mcp(options.mcp)
    except (ValueError, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 2
    samples = session.sample_reader(models)
    app = build_app(models, samples, second_models)
    app.launch(
        prevent_thread_lock=True,
        server_name=options.host,
        server_port=options.port,
        max_file_size=f"{session.MOST_UPLOAD_MB}mb",
        state_session_capacity=24,
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        app_kwargs={"openapi_url": None},  # else FastAPI tells every route, the page's own among them
        footer_links=[],
        mcp_server=options.mcp,
        i18n=WORDS,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=viewer.page_css(),
        js=viewer.PAGE_JS.read_text(encoding="utf-8"),
    )
    child.warm()  # else the first upload would wait for its imports
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidied up as after Ctrl+C
    Thread(target=lambda: [samples(name) for name in session.SAMPLES], daemon=True).start()  # read before anyone asks
    app.block_thread()
    return 0


def _check_mcp(is_requested: bool) -> None:
    if is_requested and importlib.util.find_spec("mcp") is None:
        raise ValueError("--mcp needs the package mcp: pip install 'gradio[mcp]'.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"{TITLE}: web demo. {NOTICE}")
    parser.add_argument(
        "--weights",
        default=WEIGHTS_FOLDER,
        metavar="RUN",
        help="a run or an exported folder instead of the shipped models",
    )
    parser.add_argument(
        "--compare", type=Path, metavar="RUN", help="a second run or exported folder, shown beside the first on request"
    )
    parser.add_argument("--mcp", action="store_true", help="offer /analyze to language models (MCP); off by default")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--host", help="default: this computer alone; 0.0.0.0 for the whole network")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
