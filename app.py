"""Web demo: a sample case already read, and the same for one's own scan. Wiring only; what it knows is in ich_lib.

python app.py [--weights RUN] [--compare RUN] [--port N] [--host H] [--mcp]
"""

import argparse
import ctypes
import html
import importlib.util
import inspect
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from types import SimpleNamespace

from ich_lib import viewer
from ich_lib.engine import Models, load
from ich_lib.job import Stopped, watched
from ich_lib.phantom import phantom
from ich_lib.predict import NOTICE, Result, analyse
from ich_lib.read import read, read_truth
from ich_lib.report import as_json, in_each, origin, write
from ich_lib.scan import Scan
from ich_lib.window import WINDOWS

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
SAMPLES = {  # name on the page: what `phantom` is asked for
    "Epidural": {"seed": 1, "bleeds": ("epidural",)},
    "Intraparenchymal": {"seed": 101, "bleeds": ("intraparenchymal",)},
    "Intraventricular": {"seed": 101, "bleeds": ("intraventricular",)},
    "Subarachnoid": {"seed": 2, "bleeds": ("subarachnoid",)},
    "Subdural": {"seed": 2, "bleeds": ("subdural",)},
    "No bleed": {"seed": 1},
    "Calcified falx": {"seed": 3, "mimics": ("falx calcification",)},
    "Two bleeds, noise": {
        "seed": 21,
        "bleeds": ("epidural", "subarachnoid"),
        "mimics": ("streak",),
        "noise_hu": 6,
    },
    "Thin blood, motion": {"seed": 12, "bleeds": ("subarachnoid",), "mimics": ("motion",), "noise_hu": 6},
}  # the shipped model finds the first four, not always with the right type, misses the subdural, takes chalk in the
# falx for blood and marks the last one in the wrong place; see MODEL_CARD.md
FIRST = next(iter(SAMPLES))
UNKNOWN, OTHER = "unknown", "other"
PICTURE_WINDOWS = {  # name on the page: name in WINDOWS
    "brain": "brain",
    "subdural": "subdural",
    "bone": "bone",
    "CT-ICH brain": "brain render",
    "CT-ICH bone": "bone render",
}
MOST_UPLOAD_MB = 150 if os.environ.get("SPACE_ID") else 600  # a Space is shared
OUR_FAULT = "Something went wrong on our side. What is on the screen stays; try another file."
STOPPED = "Stopped. What is on the screen stays."
GONE = "A file of this upload is not there any more (half an hour is the longest). Give it once more."
NO_TRUTH_HERE = (
    "A sample brings its own truth (Truth, key t). A mask of yours goes with a scan of yours: give that first."
)
WORDS = gr.I18n(  # what stands around the viewer, which has its own (ich_lib/viewer/words.js)
    en={
        "samples": "Sample cases",
        "own": "Your own scan",
        "truth": "Its true mask, if you have one",
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
        "truth": "Wahre Maske dazu, falls vorhanden",
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
        "truth": "Su máscara verdadera, si la tiene",
        "window": "Ventana de un PNG o JPG",
        "level": "Nivel, HU",
        "width": "Ancho, HU",
        "stop": "Parar",
        "compare": "Comparar ambos modelos",
        "make": "Crear archivos",
        "files": "Archivos",
    },
)

_log = logging.getLogger("ich.app")


def rest(models: Models | None) -> None:
    """Give back what a scan needed: after nine samples a process fell from 872 to 317 MB, in 26 ms."""
    for model in models or ():
        model.rest()
    if sys.platform == "linux":  # glibc keeps what was freed until it is asked
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def sample_case(name: str):
    """A head of SAMPLES with its truth."""
    wanted = dict(SAMPLES[name])
    return phantom(wanted.pop("seed"), **wanted)


def sample_reader(models: Models | None = None) -> Callable[[str], dict]:
    """A function from a sample's name to what the viewer shows; each sample is made and read once."""
    ready, locks = {}, {name: Lock() for name in SAMPLES}

    def sample(name: str) -> dict:
        with locks[name]:
            if name not in ready:
                case = sample_case(name)
                found = analyse(case.scan, models)
                ready[name] = viewer.payload(found, origin=in_each(origin, case), truth=case.mask)
                rest(models)
        return ready[name]

    return sample


@contextmanager
def _plainly():
    """Whatever goes wrong inside becomes a ValueError with a sentence for the person; the page goes on."""
    try:
        yield
    except (ValueError, Stopped):
        raise
    except Exception as problem:  # noqa: BLE001 - whatever it was
        # neither the message nor a path: they may quote the file, and so name the patient
        _log.error("%s\n%s", type(problem).__name__, "".join(traceback.format_tb(problem.__traceback__)))
        raise ValueError(OUR_FAULT) from None


def scan_of(paths: Sequence[str], window_name: str, level: float | None, width: float | None) -> Scan:
    """Uploaded files to a scan.

    Raises:
        ValueError: with the sentence for the person, where that cannot be.
    """
    with _plainly():
        _check_size(paths)
        return read(paths, window={UNKNOWN: None, OTHER: (level, width)}.get(window_name, window_name))


def found_in(scan: Scan, models: Models | None, progress: Callable[[float], None] | None = None) -> Result:
    """What is found in a scan.

    Raises:
        ValueError: with the sentence for the person, where something goes wrong.
    """
    try:
        with _plainly():
            return analyse(scan, models, progress=progress)
    finally:
        rest(models)


def truth_of(path: str, shown: "Shown") -> dict:
    """An uploaded mask as the viewer takes it, for the scan that is shown.

    Raises:
        ValueError: with the sentence for the person, where it is none or does not fit.
    """
    with _plainly():
        _check_size([path])
        return viewer.truths(read_truth(path, shown.shape, shown.affine), shown.shape)


def build_app(
    models: Models | None = None, samples: Callable[[str], dict] | None = None, other: Models | None = None
) -> gr.Blocks:
    """The page.

    Args:
        models: what `engine.load` returned; None for the shipped model.
        samples: what `sample_reader` returned, where it is shared; None for one of its own.
        other: a second pair of models to compare with; None for no comparison.
    """
    with gr.Blocks(title=TITLE, delete_cache=(600, 1800), analytics_enabled=False, fill_width=True) as app:
        page = _page(comparing=other is not None)
        first = Asked(models, samples or sample_reader(models))
        second = Asked(other, sample_reader(other)) if other else None
        _wire(app, page, first, second)
        _wire_files(page, models)
    return app.queue(max_size=12, api_open=False)


@dataclass(frozen=True)
class Asked:
    """How the page asks one pair of models: them, or for what they said of a sample."""

    models: Models | None
    sample: Callable[[str], dict]


@dataclass(frozen=True)
class Shown:
    """What a session looks at: a sample's name, or where its files lie. Nothing of the scan itself is kept.

    Attributes:
        id: of the picture.
        shape: (z, y, x) of the scan.
        affine: of the scan; None where its place is not known.
    """

    sample: str | None = None
    paths: tuple[str, ...] = ()
    id: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    affine: object = None


class Turns:
    """Counts what a session asked for, so that only the last is answered."""

    def __init__(self):
        self.last = 0

    def next(self) -> int:
        """The number of something new."""
        self.last += 1
        return self.last


def _page(*, comparing: bool) -> SimpleNamespace:
    """What is on the page, top to bottom, left to right."""
    page, word = SimpleNamespace(), WORDS
    gr.HTML(f"<h1>{TITLE}</h1><p>{html.escape(NOTICE)}</p>", html_template="<div id='head'>${value}</div>")
    page.last = gr.State(None)  # what this session looks at, a Shown
    page.asked = gr.State(None)  # (paths, turn) of the files that it wants to see: their box is free again at once
    page.turns = gr.State(Turns())  # Gradio makes each session its own
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="rail"):
            page.sample = gr.Radio(
                list(SAMPLES), value=FIRST, label=word("samples"), container=False, elem_id="samples"
            )
            page.compare = gr.Checkbox(False, label=word("compare"), visible=comparing, elem_id="compare")
            page.files = gr.File(label=word("own"), file_count="multiple", height=120, elem_id="files")
            gr.HTML(**viewer.folder_parts())
            page.truth = gr.File(label=word("truth"), height=80, elem_id="truth")
            gr.HTML("<p class='quiet'>DICOM, zip, NIfTI, PNG or JPG. Nothing that names a person.</p>")
            choices = ["{}, {} / {}".format(shown, *WINDOWS[name]) for shown, name in PICTURE_WINDOWS.items()]
            choices = [UNKNOWN, *zip(choices, PICTURE_WINDOWS.values(), strict=True), OTHER]
            page.window = gr.Dropdown(choices, value=UNKNOWN, label=word("window"), elem_id="picture-window")
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


def _wire(app: gr.Blocks, page: SimpleNamespace, first: Asked, second: Asked | None) -> None:
    """Who calls whom. An upload that cannot be read changes the sentence and nothing else."""
    names = ("viewer", "second", "sample", "files", "truth", "last", "status", "stop", "made")
    outputs = [getattr(page, name) for name in names]
    no_files, no_stop = gr.File(value=None, visible=False), gr.Button(visible=False)

    def only(**values):
        """These outputs and no other. Gradio sends what was yielded last a second time, so the last is always small."""
        return {getattr(page, name): value for name, value in values.items()}

    nothing = only(status=gr.skip())

    def sample(name, comparing, turns):
        """A sample, read already or now."""
        turn = turns.next()
        shown = {"viewer": first.sample(name)} | ({"second": second.sample(name)} if comparing else {})
        if turns.last != turn:
            return nothing
        last = Shown(sample=name)  # the choice itself is left alone: it may have gone on meanwhile
        return only(**shown, files=None, truth=None, last=last, status="", stop=no_stop, made=no_files)

    def upload(asked, truth, comparing, turns, *told):
        """The picture as soon as there is one, then what each pair of models finds in it.

        Whatever was asked for later ends it: another scan, a sample, a stop.
        """
        paths, turn = asked
        pairs = {"viewer": first, "second": second} if comparing else {"viewer": first}
        try:
            for scan in watched(lambda _: scan_of(paths, *told)):
                if turns.last != turn:
                    break
                if isinstance(scan, float):
                    yield only(status=_busy_at(0))
            else:
                picture = viewer.picture(scan)
                place = scan.affine if scan.spacing_known else None
                last = Shown(None, tuple(paths), picture["id"], scan.hu.shape, place)
                yield only(**dict.fromkeys(pairs, picture), sample=None, last=last, made=no_files)
                yield from findings(scan, last, pairs, turn, turns)
                if truth and turns.last == turn:
                    yield only(**dict.fromkeys(pairs, viewer.adding(last.id, truth_of(truth, last))))
        except ValueError as problem:
            yield only(status=_say(str(problem), "wrong"), stop=no_stop)
            return
        yield only(status="", stop=no_stop) if turns.last == turn else nothing

    def findings(scan, last, pairs, turn, turns):
        for number, (name, one) in enumerate(pairs.items()):
            for part in watched(lambda tell, one=one: viewer.findings(found_in(scan, one.models, tell))):
                if turns.last != turn:
                    return
                if isinstance(part, float):
                    yield only(status=_busy_at((number + part) / len(pairs)))
            yield only(**{name: viewer.adding(last.id, part)})

    def again(last, truth, comparing, turns, *told):
        if last and last.paths:
            yield from upload((last.paths, turns.next()), truth, comparing, turns, *told)
        else:
            yield nothing  # a generator without a word would empty all outputs

    def truth_added(truth, last, comparing):
        try:
            if not last or not last.paths:
                raise ValueError(NO_TRUTH_HERE)
            more = viewer.adding(last.id, truth_of(truth, last))
        except ValueError as problem:
            return only(status=_say(str(problem), "wrong"), truth=None)
        return only(viewer=more, status="", **({"second": more} if comparing else {}))

    def compared(last, truth, comparing, *others):
        yield {page.beside: gr.Column(visible=comparing)}
        if comparing and last and last.sample:
            yield only(second=second.sample(last.sample))
            yield only(status="")
        elif comparing:
            yield from again(last, truth, comparing, *others)

    def stop(turns):
        turns.next()
        return _say(STOPPED, "stopped"), no_stop

    # "multiple": else what is asked while the former answer is on its way would be dropped
    event = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "multiple"}
    heavy = {**event, "concurrency_id": "read", "concurrency_limit": 2}
    told = [page.compare, page.turns, page.window, page.level, page.width]
    wait = [page.status, page.stop]
    app.load(partial(sample, FIRST, False), page.turns, outputs, concurrency_limit=4, **event)
    last = {**event, "trigger_mode": "always_last"}  # who holds an arrow key gets the sample where it was let go
    chosen = page.sample.input(partial(_busy, True, False), None, wait, **last).then(
        sample, [page.sample, page.compare, page.turns], outputs, concurrency_limit=4, **last
    )
    taken = page.files.upload(
        lambda paths, turns: ((paths, turns.next()), None, None, *_busy(True)),
        [page.files, page.turns],
        [page.asked, page.files, page.truth, *wait],
        **event,
    )
    reading = [taken.then(upload, [page.asked, page.truth, *told], outputs, **heavy)]
    page.window.input(lambda name: gr.Row(visible=name == OTHER), page.window, page.own, **event)
    for changed in (page.window.input, page.level.submit, page.width.submit):
        busy = changed(lambda last: _busy(last and last.paths), page.last, wait, **event)
        reading.append(busy.then(again, [page.last, page.truth, *told], outputs, **heavy))
    if second:
        reading.append(page.compare.input(compared, [page.last, page.truth, *told], [*outputs, page.beside], **heavy))
    added = page.truth.upload(truth_added, [page.truth, page.last, page.compare], outputs, **heavy)
    page.truth.clear(
        lambda last: viewer.adding(last.id, {"truth": None}) if last else gr.skip(), page.last, page.viewer, **event
    )
    page.stop.click(stop, page.turns, wait, **event)
    for last in (chosen, added, *reading):
        last.failure(**_no_more_waiting(page))


def _wire_files(page: SimpleNamespace, models: Models | None) -> None:
    """Downloads, which read the scan once more so that nobody's result is kept; and the same for programs."""
    event = {"show_progress": "hidden", "api_visibility": "private"}
    heavy = {"concurrency_id": "read", "concurrency_limit": 2}
    told = [page.window, page.level, page.width]

    def make(last, turns, *told):
        turn, no_stop = turns.last, gr.Button(visible=False)
        try:
            if last is None:  # the first sample is not there yet
                raise ValueError("There is no result to write yet. Wait for the picture.")
            scan = sample_case(last.sample).scan if last.sample else scan_of(last.paths, *told)
            for found in watched(lambda tell: found_in(scan, models, tell)):
                if turns.last != turn:  # stopped, or something else is looked at by now
                    yield gr.skip(), gr.skip(), gr.skip()
                    return
                if isinstance(found, float):
                    yield gr.skip(), _writing(found), gr.skip()
        except ValueError as problem:
            yield gr.skip(), _say(str(problem), "wrong"), no_stop
            return
        with TemporaryDirectory() as folder:  # Gradio has its own copies once this goes on
            yield gr.File([str(path) for path in write(found, folder)], visible=True), "", no_stop

    def for_programs(paths, *told):
        try:
            return as_json(found_in(scan_of(paths or [], *told), models))
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


def _check_size(paths: Sequence[str]) -> None:
    """Gradio limits each file; this limits them together, and reads files alone: a folder would be everybody's."""
    if not all(Path(path).is_file() for path in paths):
        raise ValueError(GONE)
    size_mb = sum(Path(path).stat().st_size for path in paths) / 1e6
    if not paths:
        raise ValueError("No file came with the request. Give the files of one head scan.")
    if size_mb > MOST_UPLOAD_MB:
        raise ValueError(f"The upload has {size_mb:.0f} MB; {MOST_UPLOAD_MB} MB is the most. Give one head scan.")


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
    samples = sample_reader(models)
    app = build_app(models, samples, other)
    app.launch(
        prevent_thread_lock=True,
        server_name=options.host,
        server_port=options.port,
        max_file_size=f"{MOST_UPLOAD_MB}mb",
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
    Thread(target=lambda: [samples(name) for name in SAMPLES], daemon=True).start()  # read before anyone asks
    app.block_thread()
    return 0


def _check_mcp(wanted: bool) -> None:
    if wanted and importlib.util.find_spec("mcp") is None:
        raise ValueError("--mcp needs the package mcp: pip install 'gradio[mcp]'.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"{TITLE}: web demo. {NOTICE}")
    parser.add_argument(
        "--weights", type=Path, metavar="RUN", help="a run or an exported folder instead of the shipped models"
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
