"""Web demo: a sample case already read, and the same for one's own scan. Wiring only; what it knows is in ich_lib.

python app.py [--weights RUN] [--compare RUN] [--port N] [--host H] [--mcp]
"""

import argparse
import html
import importlib.util
import inspect
import os
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import SimpleNamespace

from ich_lib.demo import session, viewer
from ich_lib.demo.job import watched
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import SHIPPED, Models, load
from ich_lib.prepare.window import WINDOWS
from ich_lib.reports import as_json, write

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it on import


@contextmanager
def _without_stubs():
    """Keep gradio from writing type stubs for editors while it is imported: half of its 3.7 s."""
    where = inspect.getfile

    def nowhere(thing):
        if str(getattr(thing, "__module__", "")).startswith("gradio."):
            raise OSError("no file")  # gradio takes this for a class without one, and writes no stub
        return where(thing)

    inspect.getfile = nowhere
    try:
        yield
    finally:
        inspect.getfile = where


with _without_stubs():
    import gradio as gr

try:
    import spaces
except ImportError:
    spaces = None
if spaces:

    @spaces.GPU
    def _marker() -> None:
        """Free Spaces start only where a function carries this mark. It is never called: everything runs on the CPU."""


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


def _page(*, comparing: bool) -> SimpleNamespace:
    """What is on the page, top to bottom, left to right."""
    page, word = SimpleNamespace(), WORDS
    gr.HTML(f"<h1>{TITLE}</h1><p>{html.escape(NOTICE)}</p>", html_template="<div id='head'>${value}</div>")
    page.last = gr.State(None)  # what this session looks at, a session.Shown
    page.asked = gr.State(None)  # (paths, turn) of the files that it wants to see: their box is free again at once
    page.turns = gr.State(session.Turns())  # Gradio makes each session its own
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="rail"):
            page.sample = gr.Radio(
                list(session.SAMPLES), value=session.FIRST, label=word("samples"), container=False, elem_id="samples"
            )
            page.compare = gr.Checkbox(False, label=word("compare"), visible=comparing, elem_id="compare")
            page.files = gr.File(label=word("own"), file_count="multiple", height=120, elem_id="files")
            gr.HTML(**viewer.folder_parts())
            page.truth = gr.File(label=word("truth"), height=80, elem_id="truth")
            gr.HTML("<p class='quiet'>DICOM, zip, NIfTI, PNG or JPG. Nothing that names a person.</p>")
            choices = ["{}, {} / {}".format(shown, *WINDOWS[name]) for shown, name in PICTURE_WINDOWS.items()]
            choices = [session.UNKNOWN, *zip(choices, PICTURE_WINDOWS.values(), strict=True), session.OTHER]
            page.window = gr.Dropdown(choices, value=session.UNKNOWN, label=word("window"), elem_id="picture-window")
            with gr.Row(visible=False) as page.own:
                page.level = gr.Number(40, label=word("level"), min_width=80, elem_id="level")
                page.width = gr.Number(80, label=word("width"), min_width=80, elem_id="width")
            page.make = gr.Button(word("make"), size="sm", elem_id="make")
            page.made = gr.File(
                label=word("files"), file_count="multiple", interactive=False, visible=False, elem_id="made"
            )
        with gr.Column(elem_id="work"):
            with gr.Row(elem_id="told"):
                page.status = gr.HTML("", html_template="<div id='status' aria-live='polite'>${value}</div>")
                page.stop = gr.Button(word("stop"), size="sm", visible=False, elem_id="stop")
            with gr.Row(elem_id="viewers"):
                with gr.Column(elem_classes="one-viewer"):
                    page.viewer = gr.HTML(None, **viewer.parts())
                with gr.Column(elem_classes="one-viewer", visible=False) as page.beside:
                    page.second = gr.HTML(None, **viewer.parts())
        page.json = gr.JSON(visible=False)
        page.ask = gr.Button(visible=False)
    return page


class _Answers:
    """What the page shows for what is asked of it; each method is an event's function.

    Gradio sends what was yielded last a second time, so the last is always small.
    """

    def __init__(self, page: SimpleNamespace, first: Asked, second: Asked | None):
        self.page, self.first, self.second = page, first, second
        names = ("viewer", "second", "sample", "files", "truth", "last", "status", "stop", "made")
        self.outputs = [getattr(page, name) for name in names]
        self.nothing = self.only(status=gr.skip())

    def only(self, **values) -> dict:
        """These outputs and no other."""
        return {getattr(self.page, name): value for name, value in values.items()}

    def sample(self, name, comparing, turns):
        """A sample, read already or now."""
        turn = turns.next()
        shown = {"viewer": self.first.sample(name)} | ({"second": self.second.sample(name)} if comparing else {})
        if turns.last != turn:
            return self.nothing
        last = session.Shown(sample=name)  # the choice itself is left alone: it may have gone on meanwhile
        return self.only(**shown, files=None, truth=None, last=last, status="", stop=_no_stop(), made=_no_files())

    def take(self, paths, turns):
        """Files that came in: their box is free again at once, and what was there before is not its truth."""
        return (paths, turns.next()), None, None, *_busy(True)

    def upload(self, asked, truth, comparing, turns, *told):
        """A scan; whatever is asked for later ends it: another scan, a sample, a stop."""
        if not asked:  # a session so old that what it asked for is forgotten
            yield self.only(status=_say(session.GONE, "wrong"), stop=_no_stop())
            return
        paths, turn = asked
        viewers = ("viewer", "second") if comparing else ("viewer",)
        pairs = [one.models for one in (self.first, self.second)[: len(viewers)]]
        try:
            for step in session.reading(paths, told, pairs, truth, lambda: turns.last == turn):
                if isinstance(step, session.Picture):
                    yield self.only(
                        **dict.fromkeys(viewers, step.payload), sample=None, last=step.shown, made=_no_files()
                    )
                elif isinstance(step, session.Addition):
                    yield self.only(**{viewers[number]: step.payload for number in step.viewers})
                else:
                    yield self.only(status=_busy_at(step))
        except ValueError as problem:
            yield self.only(status=_say(str(problem), "wrong"), stop=_no_stop())
            return
        yield self.only(status="", stop=_no_stop()) if turns.last == turn else self.nothing

    def again(self, last, truth, comparing, turns, *told):
        """The same files in another window."""
        if last and last.paths:
            yield from self.upload((last.paths, turns.next()), truth, comparing, turns, *told)
        else:
            yield self.nothing  # a generator without a word would empty all outputs

    def add_truth(self, truth, last, comparing):
        """A mask for the scan that is shown."""
        try:
            more = session.truth_of(truth, last)
        except ValueError as problem:
            return self.only(status=_say(str(problem), "wrong"), truth=None)
        return self.only(viewer=more, status="", **({"second": more} if comparing else {}))

    def drop_truth(self, last, comparing):
        """The mask was taken away."""
        if not last or not last.paths:
            return self.nothing
        more = viewer.adding(last.id, {"truth": None})
        return self.only(viewer=more, **({"second": more} if comparing else {}))

    def compare(self, last, truth, comparing, *others):
        """The second viewer comes or goes."""
        yield {self.page.beside: gr.Column(visible=comparing)}
        if comparing and last and last.sample:
            yield self.only(second=self.second.sample(last.sample))
            yield self.nothing
        elif comparing:
            yield from self.again(last, truth, comparing, *others)

    def stop(self, turns):
        """Nothing is waited for any more."""
        turns.next()
        return _say(session.STOPPED, "stopped"), _no_stop()


def _wire(app: gr.Blocks, page: SimpleNamespace, first: Asked, second: Asked | None) -> None:
    """Who calls whom."""
    answers = _Answers(page, first, second)
    outputs, wait = answers.outputs, [page.status, page.stop]
    # "multiple": else what is asked while the former answer is on its way would be dropped
    event = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "multiple"}
    newest = {**event, "trigger_mode": "always_last"}  # who holds an arrow key gets the sample where it was let go
    heavy = {**event, "concurrency_id": "read", "concurrency_limit": 2}
    told = [page.truth, page.compare, page.turns, page.window, page.level, page.width]
    app.load(partial(answers.sample, session.FIRST, False), page.turns, outputs, concurrency_limit=4, **event)
    chosen = page.sample.input(partial(_busy, True, False), None, wait, **newest).then(
        answers.sample, [page.sample, page.compare, page.turns], outputs, concurrency_limit=4, **newest
    )
    taken = page.files.upload(
        answers.take, [page.files, page.turns], [page.asked, page.files, page.truth, *wait], **event
    )
    read = [taken.then(answers.upload, [page.asked, *told], outputs, **heavy)]
    page.window.input(lambda name: gr.Row(visible=name == session.OTHER), page.window, page.own, **event)
    for changed in (page.window.input, page.level.submit, page.width.submit):
        busy = changed(lambda last: _busy(last and last.paths), page.last, wait, **event)
        read.append(busy.then(answers.again, [page.last, *told], outputs, **heavy))
    if second:
        read.append(page.compare.input(answers.compare, [page.last, *told], [*outputs, page.beside], **heavy))
    read.append(page.truth.upload(answers.add_truth, [page.truth, page.last, page.compare], outputs, **heavy))
    page.truth.clear(answers.drop_truth, [page.last, page.compare], outputs, **event)
    page.stop.click(answers.stop, page.turns, wait, **event)
    for last in (chosen, *read):
        last.failure(**_no_more_waiting(page))


def _wire_files(page: SimpleNamespace, models: Models | None) -> None:
    """Downloads, which read the scan once more so that nobody's result is kept; and the same for programs."""
    event = {"show_progress": "hidden", "api_visibility": "private"}
    heavy = {"concurrency_id": "read", "concurrency_limit": 2}
    told = [page.window, page.level, page.width]

    def make(last, turns, *told):
        turn = turns.last
        try:
            if last is None:  # the first sample is not there yet
                raise ValueError("There is no result to write yet. Wait for the picture.")
            scan = session.sample_case(last.sample).scan if last.sample else session.scan_of(last.paths, *told)
            for found in watched(lambda tell: session.found_in(scan, models, tell)):
                if turns.last != turn:  # stopped, or something else is looked at by now
                    yield gr.skip(), gr.skip(), gr.skip()
                    return
                if isinstance(found, float):
                    yield gr.skip(), _writing(found), gr.skip()
        except ValueError as problem:
            yield gr.skip(), _say(str(problem), "wrong"), _no_stop()
            return
        with TemporaryDirectory() as folder:  # Gradio has its own copies once this goes on
            yield gr.File([str(path) for path in write(found, folder)], visible=True), "", _no_stop()

    def for_programs(paths, *told):
        try:
            return as_json(session.found_in(session.scan_of(paths or [], *told), models))
        except ValueError as problem:
            raise gr.Error(str(problem), print_exception=False) from None

    wait = [page.status, page.stop]
    page.make.click(lambda: (_writing(0), gr.Button(visible=True)), None, wait, **event).then(
        make, [page.last, page.turns, *told], [page.made, *wait], **event, **heavy
    ).failure(**_no_more_waiting(page))
    page.ask.click(
        for_programs,
        [page.files, *told],
        page.json,
        api_name="analyse",
        api_description=f"A head CT to the content of result.json. {NOTICE}",
        api_visibility="public",
        **heavy,
    )


def _no_more_waiting(page: SimpleNamespace) -> dict:
    """Takes the word back in the browser: where the queue was full, asking the server to would fail as well."""
    js = """(told) => (told || "").includes("class='busy'") ? "" : told"""
    return {"fn": None, "js": js, "inputs": page.status, "outputs": page.status, "api_visibility": "private"}


def _no_stop():
    return gr.Button(visible=False)


def _no_files():
    return gr.File(value=None, visible=False)


def _busy(wanted: object, stoppable: bool = True):
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
        css_paths=viewer.PAGE_CSS,
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
    parser.add_argument("--mcp", action="store_true", help="offer /analyse to language models (MCP); off by default")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--host", help="default: this computer alone; 0.0.0.0 for the whole network")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
