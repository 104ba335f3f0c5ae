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
from ich_lib.demo.job import watched
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import SHIPPED, Models, load
from ich_lib.prepare.window import WINDOWS
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
        "window": "Window of a PNG or JPG",
        "level": "Level, HU",
        "width": "Width, HU",
        "stop": "Stop",
        "compare": "Compare both models",
        "make": "Make downloads",
        "files": "Downloads",
    },
    de={
        "samples": "Beispielfälle",
        "own": "Eigener Scan",
        "truth": "Wahre Maske (optional)",
        "window": "Fenster eines PNG oder JPG",
        "level": "Mitte, HU",
        "width": "Breite, HU",
        "stop": "Anhalten",
        "compare": "Beide Modelle vergleichen",
        "make": "Dateien erstellen",
        "files": "Dateien",
    },
    es={
        "samples": "Casos de ejemplo",
        "own": "Su propio estudio",
        "truth": "Máscara real (opcional)",
        "window": "Ventana de un PNG o JPG",
        "level": "Nivel, HU",
        "width": "Ancho, HU",
        "stop": "Parar",
        "compare": "Comparar ambos modelos",
        "make": "Crear archivos",
        "files": "Archivos",
    },
)


def build_app(
    models: Models | None = None, samples: Callable[[str], dict] | None = None, other: Models | None = None
) -> gr.Blocks:
    """The page.

    Args:
        models: what `engine.load` returned; None for the shipped model.
        samples: what `session.sample_reader` returned, where it is shared; None for one of its own.
        other: a second pair of models to compare with; None for no comparison.
    """
    with gr.Blocks(title=TITLE, delete_cache=(600, 1800), analytics_enabled=False, fill_width=True) as app:
        page = _page(comparing=other is not None)
        first = Asked(models, samples or session.sample_reader(models))
        second = Asked(other, session.sample_reader(other)) if other else None
        _wire(app, page, first, second)
        _wire_files(page, models)
    return app.queue(max_size=12, api_open=False)


@dataclass(frozen=True)
class Asked:
    """How the page asks one pair of models: them, or for what they said of a sample."""

    models: Models | None
    sample: Callable[[str], dict]


@dataclass(frozen=True)
class Page:
    """What is on the page.

    Attributes:
        last: what this session looks at, a session.Shown.
        asked: (paths, turn) of the files that it wants to see: their box is free again at once.
        turns: what it asked for so far, session.Turns.
        sample, compare, files, truth, window, level, width: what a person chooses.
        own: the row of level and width.
        make, made: downloads.
        status, stop: what is going on, and the button that ends it.
        viewer, second, beside: both viewers, and the column of the second.
        json, ask: of programs, unseen.
    """

    last: gr.State
    asked: gr.State
    turns: gr.State
    sample: gr.Radio
    compare: gr.Checkbox
    files: gr.File
    truth: gr.File
    window: gr.Dropdown
    own: gr.Row
    level: gr.Number
    width: gr.Number
    make: gr.Button
    made: gr.File
    status: gr.HTML
    stop: gr.Button
    viewer: gr.HTML
    second: gr.HTML
    beside: gr.Column
    json: gr.JSON
    ask: gr.Button

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What the answer to a scan may change."""
        shown = [self.viewer, self.second, self.sample, self.files, self.truth]
        return [*shown, self.last, self.status, self.stop, self.made]


def _page(*, comparing: bool) -> Page:
    """Lay it out, top to bottom, left to right."""
    word = WORDS
    gr.HTML(f"<h1>{TITLE}</h1><p>{html.escape(NOTICE)}</p>", html_template="<div id='head'>${value}</div>")
    last, asked = gr.State(None), gr.State(None)
    turns = gr.State(session.Turns())  # Gradio makes each session its own
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="rail"):
            sample = gr.Radio(
                list(session.SAMPLES), value=session.FIRST, label=word("samples"), container=False, elem_id="samples"
            )
            compare = gr.Checkbox(False, label=word("compare"), visible=comparing, elem_id="compare")
            files = gr.File(label=word("own"), file_count="multiple", height=120, elem_id="files")
            _html(viewer.folder_parts())
            truth = gr.File(label=word("truth"), height=80, elem_id="truth")
            gr.HTML("<p class='quiet'>DICOM, zip, NIfTI, PNG or JPG. Nothing that names a person.</p>")
            window = gr.Dropdown(
                _window_choices(), value=session.UNKNOWN, label=word("window"), elem_id="picture-window"
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
            with gr.Row(elem_id="viewers"):
                with gr.Column(elem_classes="one-viewer"):
                    first = _html(viewer.parts())
                with gr.Column(elem_classes="one-viewer", visible=False) as beside:
                    second = _html(viewer.parts())
        json, ask = gr.JSON(visible=False), gr.Button(visible=False)
    return Page(
        last=last,
        asked=asked,
        turns=turns,
        sample=sample,
        compare=compare,
        files=files,
        truth=truth,
        window=window,
        own=own,
        level=level,
        width=width,
        make=make,
        made=made,
        status=status,
        stop=stop,
        viewer=first,
        second=second,
        beside=beside,
        json=json,
        ask=ask,
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
    return [session.UNKNOWN, *known, session.OTHER]


class _Answers:
    """What the page shows for what is asked of it; each method is an event's function.

    Gradio sends what was yielded last a second time, so the last is always small.
    """

    def __init__(self, page: Page, first: Asked, second: Asked | None):
        self.page, self.first, self.second = page, first, second
        self.nothing = {page.status: gr.skip()}

    def ended(self, status: str = "") -> dict:
        """The word on what is going on, and no button to stop it."""
        return {self.page.status: status, self.page.stop: _no_stop()}

    def viewers(self, comparing: bool) -> list[gr.HTML]:
        """Those that are seen."""
        return [self.page.viewer, self.page.second] if comparing else [self.page.viewer]

    def pairs(self, comparing: bool) -> list[Asked]:
        """Who is asked, one for each of the viewers."""
        return [self.first, self.second] if comparing and self.second else [self.first]

    def sample(self, name: str, comparing: bool, turns: session.Turns) -> dict:
        """A sample, read already or now."""
        page, turn = self.page, turns.next()
        payloads = [one.sample(name) for one in self.pairs(comparing)]
        if turns.last != turn:
            return self.nothing
        last = session.Shown(sample=name)  # the choice itself is left alone: it may have gone on meanwhile
        shown = dict(zip(self.viewers(comparing), payloads, strict=True))
        return shown | self.ended() | {page.files: None, page.truth: None, page.last: last, page.made: _no_files()}

    def take(self, paths: list[str], turns: session.Turns) -> tuple:
        """Files that came in: their box is free again at once, and what was there before is not its truth."""
        return (paths, turns.next()), None, None, *_busy(True)

    def upload(
        self,
        asked: tuple[Sequence[str], int] | None,
        truth: str | None,
        comparing: bool,
        turns: session.Turns,
        *told: *session.Told,
    ) -> Iterator[dict]:
        """A scan; whatever is asked for later ends it: another scan, a sample, a stop."""
        if not asked:  # a session so old that what it asked for is forgotten
            yield self.ended(_say(session.GONE, "wrong"))
            return
        paths, turn = asked
        page, viewers = self.page, self.viewers(comparing)
        pairs = [one.models for one in self.pairs(comparing)]
        try:
            for step in session.reading(paths, told, pairs, truth, lambda: turns.last == turn):
                if isinstance(step, session.Picture):
                    shown = dict.fromkeys(viewers, step.payload)
                    yield shown | {page.sample: None, page.last: step.shown, page.made: _no_files()}
                elif isinstance(step, session.Addition):
                    yield {viewers[number]: step.payload for number in step.viewers}
                else:
                    yield {page.status: _busy_at(step)}
        except ValueError as problem:
            yield self.ended(_say(str(problem), "wrong"))
            return
        yield self.ended() if turns.last == turn else self.nothing

    def again(
        self,
        last: session.Shown | None,
        truth: str | None,
        comparing: bool,
        turns: session.Turns,
        *told: *session.Told,
    ) -> Iterator[dict]:
        """The same files in another window."""
        if last and last.paths:
            yield from self.upload((last.paths, turns.next()), truth, comparing, turns, *told)
        else:
            yield self.nothing  # a generator without a word would empty all outputs

    def add_truth(self, truth: str, last: session.Shown | None, comparing: bool) -> dict:
        """A mask for the scan that is shown."""
        try:
            more = session.truth_of(truth, last)
        except ValueError as problem:
            return {self.page.status: _say(str(problem), "wrong"), self.page.truth: None}
        return dict.fromkeys(self.viewers(comparing), more) | {self.page.status: ""}

    def drop_truth(self, last: session.Shown | None, comparing: bool) -> dict:
        """The mask was taken away."""
        if not last or not last.paths:
            return self.nothing
        return dict.fromkeys(self.viewers(comparing), viewer.adding(last.id, {"truth": None}))

    def compare(
        self,
        last: session.Shown | None,
        truth: str | None,
        comparing: bool,
        turns: session.Turns,
        *told: *session.Told,
    ) -> Iterator[dict]:
        """The second viewer comes or goes."""
        yield {self.page.beside: gr.Column(visible=comparing)}
        if comparing and self.second and last and last.sample:
            yield {self.page.second: self.second.sample(last.sample)}
            yield self.nothing
        elif comparing:
            yield from self.again(last, truth, comparing, turns, *told)

    def stop(self, turns: session.Turns) -> tuple[str, gr.Button]:
        """Nothing is waited for any more."""
        turns.next()
        return _say(session.STOPPED, "stopped"), _no_stop()


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


def _wire(app: gr.Blocks, page: Page, first: Asked, second: Asked | None) -> None:
    """Who calls whom."""
    answers = _Answers(page, first, second)
    outputs, wait = page.outputs, [page.status, page.stop]
    told = [page.truth, page.compare, page.turns, page.window, page.level, page.width]
    _on(app.load, partial(answers.sample, session.FIRST, False), page.turns, outputs, limit=4)
    # who holds an arrow key gets the sample where it was let go
    chosen = _on(page.sample.input, partial(_busy, True, False), None, wait, trigger="always_last")
    with_samples = [page.sample, page.compare, page.turns]
    chosen = _on(chosen.then, answers.sample, with_samples, outputs, trigger="always_last", limit=4)
    taken = _on(page.files.upload, answers.take, [page.files, page.turns], [page.asked, page.files, page.truth, *wait])
    read = [_on(taken.then, answers.upload, [page.asked, *told], outputs, reads=True)]
    _on(page.window.input, lambda name: gr.Row(visible=name == session.OTHER), page.window, page.own)
    for changed in (page.window.input, page.level.submit, page.width.submit):
        busy = _on(changed, lambda last: _busy(last and last.paths), page.last, wait)
        read.append(_on(busy.then, answers.again, [page.last, *told], outputs, reads=True))
    if second:
        both = [*outputs, page.beside]
        read.append(_on(page.compare.input, answers.compare, [page.last, *told], both, reads=True))
    masked = [page.truth, page.last, page.compare]
    read.append(_on(page.truth.upload, answers.add_truth, masked, outputs, reads=True))
    _on(page.truth.clear, answers.drop_truth, [page.last, page.compare], outputs)
    _on(page.stop.click, answers.stop, page.turns, wait)
    for last in (chosen, *read):
        _wait_no_more(page, last)


def _wire_files(page: Page, models: Models | None) -> None:
    """Downloads, which read the scan once more so that nobody's result is kept; and the same for programs."""
    told = [page.window, page.level, page.width]

    def make(last: session.Shown | None, turns: session.Turns, *told: *session.Told) -> Iterator[tuple]:
        turn = turns.last
        try:
            if last is None:  # the first sample is not there yet
                raise ValueError("There is no result to write yet. Wait for the picture.")
            scan = session.sample_case(last.sample).scan if last.sample else session.scan_of(last.paths, *told)
            for step in watched(lambda tell: session.found_in(scan, models, tell)):
                if turns.last != turn:  # stopped, or something else is looked at by now
                    yield gr.skip(), gr.skip(), gr.skip()
                    return
                if isinstance(step, float):
                    yield gr.skip(), _writing(step), gr.skip()
                else:
                    found = step
        except ValueError as problem:
            yield gr.skip(), _say(str(problem), "wrong"), _no_stop()
            return
        with TemporaryDirectory() as folder:  # Gradio has its own copies once this goes on
            yield gr.File([str(path) for path in write(found, folder)], visible=True), "", _no_stop()

    def for_programs(paths: list[str] | None, *told: *session.Told) -> dict:
        try:
            return as_json(session.found_in(session.scan_of(paths or [], *told), models))
        except ValueError as problem:
            raise gr.Error(str(problem), print_exception=False) from None

    wait = [page.status, page.stop]
    begun = _on(page.make.click, lambda: (_writing(0), gr.Button(visible=True)), None, wait, trigger="once")
    files = [page.made, *wait]
    _wait_no_more(page, _on(begun.then, make, [page.last, page.turns, *told], files, trigger="once", reads=True))
    page.ask.click(
        for_programs,
        [page.files, *told],
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


def _no_stop() -> gr.Button:
    return gr.Button(visible=False)


def _no_files() -> gr.File:
    return gr.File(value=None, visible=False)


def _busy(wanted: object, stoppable: bool = True) -> tuple:
    """A word for the time until the result is there, if there is something to read; and the button that stops it."""
    if not wanted:
        return gr.skip(), gr.skip()
    return _busy_at(0), gr.Button(visible=stoppable)


def _busy_at(share: float) -> str:
    return _going("Reading the scan and looking for blood.", share)


def _writing(share: float) -> str:
    return _going("Writing the files.", share)


def _going(what: str, share: float) -> str:
    return _say(f"{what} {share:.0%} done." if share else f"{what} This takes some seconds.", "busy")


def _say(text: str, kind: str) -> str:
    return f"<p class='{kind}'>{html.escape(text)}</p>"


def main() -> int:
    """Serve the page until it is stopped; 2 where the weights are missing or not what their card says."""
    options = _options()
    try:
        models = load(options.weights)
        other = load(options.compare) if options.compare else None
        _check_mcp(options.mcp)
    except (ValueError, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 2
    samples = session.sample_reader(models)
    app = build_app(models, samples, other)
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidied up as after Ctrl+C
    Thread(target=lambda: [samples(name) for name in session.SAMPLES], daemon=True).start()  # read before anyone asks
    app.block_thread()
    return 0


def _check_mcp(wanted: bool) -> None:
    if wanted and importlib.util.find_spec("mcp") is None:
        raise ValueError("--mcp needs the package mcp: pip install 'gradio[mcp]'.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"{TITLE}: web demo. {NOTICE}")
    parser.add_argument(
        "--weights", default=SHIPPED, metavar="RUN", help="a run or an exported folder instead of the shipped models"
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
