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
from ich_lib.read import read
from ich_lib.report import as_json, write
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
OUR_FAULT = "Something went wrong on our side. What is on the screen is still the former scan; try another file."
STOPPED = "Stopped. What is on the screen is still the former scan."
GONE = "A file of this upload is not there any more (half an hour is the longest). Give it once more."
WORDS = gr.I18n(  # what stands around the viewer, which has its own (ich_lib/viewer/words.js)
    en={
        "samples": "Sample cases",
        "own": "Your own scan",
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
                planted = ", ".join(f"{kind} {ml:.0f} mL" for kind, ml in case.volumes_ml.items()) or "no blood"
                mimics = f" To mislead: {', '.join(case.mimics)}." if case.mimics else ""
                origin = f"Sample case: a head made by code. Planted: {planted}.{mimics}"
                ready[name] = viewer.payload(analyse(case.scan, models), origin=origin, truth=case.mask)
                rest(models)
        return ready[name]

    return sample


def result_of(
    models: Models | None,
    paths: Sequence[str],
    window_name: str,
    level: float | None,
    width: float | None,
    progress: Callable[[float], None] | None = None,
) -> Result:
    """Uploaded files to what is found in them.

    Raises:
        ValueError: with the sentence for the person, where that cannot be.
    """
    try:
        _check_size(paths)
        window = {UNKNOWN: None, OTHER: (level, width)}.get(window_name, window_name)
        return analyse(read(paths, window=window), models, progress=progress)
    except (ValueError, Stopped):
        raise
    except Exception as problem:  # noqa: BLE001 - the page goes on, whatever it was
        # neither the message nor a path: they may quote the file, and so name the patient
        _log.error("%s\n%s", type(problem).__name__, "".join(traceback.format_tb(problem.__traceback__)))
        raise ValueError(OUR_FAULT) from None
    finally:
        rest(models)


def open_files(models: Models | None, paths: Sequence[str], *told, progress=None) -> tuple[dict | None, str]:
    """Uploaded files to (what the viewer shows, "") or, where that cannot be, (None, the sentence that says why)."""
    try:
        return viewer.payload(result_of(models, paths, *told, progress=progress)), ""
    except ValueError as problem:
        return None, str(problem)


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
        first = Asked(partial(open_files, models), samples or sample_reader(models))
        second = Asked(partial(open_files, other), sample_reader(other)) if other else None
        _wire(app, page, first, second)
        _wire_files(page, models)
    return app.queue(max_size=12, api_open=False)


@dataclass(frozen=True)
class Asked:
    """How the page asks one pair of models.

    Attributes:
        files: paths and what was told of their window to (payload, problem), see `open_files`.
        sample: a sample's name to its payload.
    """

    files: Callable[..., tuple[dict | None, str]]
    sample: Callable[[str], dict]


def _page(*, comparing: bool) -> SimpleNamespace:
    """What is on the page, top to bottom, left to right."""
    page, word = SimpleNamespace(), WORDS
    gr.HTML(f"<h1>{TITLE}</h1><p>{html.escape(NOTICE)}</p>", html_template="<div id='head'>${value}</div>")
    page.last = gr.State(None)  # what this session looks at: ("sample", name) or ("files", paths)
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="rail"):
            page.sample = gr.Radio(
                list(SAMPLES), value=FIRST, label=word("samples"), container=False, elem_id="samples"
            )
            page.compare = gr.Checkbox(False, label=word("compare"), visible=comparing, elem_id="compare")
            page.files = gr.File(label=word("own"), file_count="multiple", height=120, elem_id="files")
            gr.HTML(**viewer.folder_parts())
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
    """Who calls whom. A failed upload changes the sentence and nothing else."""
    outputs = [page.viewer, page.second, page.sample, page.files, page.last, page.status, page.stop, page.made]
    no_files = gr.File(value=None, visible=False)

    def sample(name, comparing):
        other = second.sample(name) if comparing else gr.skip()
        stop, chosen = gr.Button(visible=False), gr.skip()  # the choice may have gone on meanwhile
        return first.sample(name), other, chosen, None, ("sample", name), "", stop, no_files

    def upload(paths, comparing, *told):
        asked = (first, second) if comparing else (first,)
        found = []
        for turn, one in enumerate(asked):
            for part in watched(lambda report, one=one: one.files(paths, *told, progress=report)):
                if isinstance(part, float):
                    yield _changed(outputs, page.status, _busy_at((turn + part) / len(asked)))
            if part[1]:
                stop = gr.Button(visible=False)
                yield _changed(outputs, page.status, _say(part[1], "wrong")) | {page.stop: stop, page.files: None}
                return
            found.append(part[0])
        yield {
            page.viewer: found[0],
            page.second: found[-1] if comparing else gr.skip(),
            page.sample: None,
            page.files: None,
            page.last: ("files", paths),
            page.status: "",
            page.stop: gr.Button(visible=False),
            page.made: no_files,
        }

    def again(last, comparing, *told):
        if last and last[0] == "files":
            yield from upload(last[1], comparing, *told)
        else:
            yield _changed(outputs, None, None)  # a generator without a word would empty them all

    def compared(last, comparing, *told):
        yield {page.beside: gr.Column(visible=comparing)}
        if comparing and last and last[0] == "sample":
            yield {page.second: second.sample(last[1])}
        elif comparing:
            yield from again(last, comparing, *told)

    event = {"show_progress": "hidden", "api_visibility": "private"}
    heavy = {**event, "concurrency_id": "read", "concurrency_limit": 2}
    told = [page.compare, page.window, page.level, page.width]
    wait = [page.status, page.stop]
    app.load(partial(sample, FIRST, False), None, outputs, concurrency_limit=4, **event)
    last = {**event, "trigger_mode": "always_last"}  # who holds an arrow key gets the sample where it was let go
    chosen = page.sample.input(partial(_busy, True, False), None, wait, **last).then(
        sample, [page.sample, page.compare], outputs, concurrency_limit=4, **last
    )
    stoppable = [
        page.files.upload(partial(_busy, True), None, wait, **event).then(upload, [page.files, *told], outputs, **heavy)
    ]
    page.window.input(lambda name: gr.Row(visible=name == OTHER), page.window, page.own, **event)
    for changed in (page.window.input, page.level.submit, page.width.submit):
        busy = changed(lambda last: _busy(last and last[0] == "files"), page.last, wait, **event)
        stoppable.append(busy.then(again, [page.last, *told], outputs, **heavy))
    if second:
        stoppable.append(page.compare.input(compared, [page.last, *told], [*outputs, page.beside], **heavy))
    page.stop.click(
        lambda: (_say(STOPPED, "stopped"), gr.Button(visible=False)), None, wait, cancels=stoppable, **event
    )
    for last in (chosen, *stoppable):
        last.failure(**_no_more_waiting(page))


def _wire_files(page: SimpleNamespace, models: Models | None) -> None:
    """Downloads, which read the scan once more so that nobody's result is kept; and the same for programs."""
    event = {"show_progress": "hidden", "api_visibility": "private"}
    heavy = {"concurrency_id": "read", "concurrency_limit": 2}
    told = [page.window, page.level, page.width]

    def make(last, *told):
        try:
            if last is None:  # the first sample is not there yet
                raise ValueError("There is no result to write yet. Wait for the picture.")
            if last[0] == "sample":
                found = analyse(sample_case(last[1]).scan, models)
                rest(models)
            else:
                found = result_of(models, last[1], *told)
        except ValueError as problem:
            yield gr.skip(), _say(str(problem), "wrong")
            return
        with TemporaryDirectory() as folder:  # Gradio has its own copies once this goes on
            yield gr.File([str(path) for path in write(found, folder)], visible=True), ""

    def for_programs(paths, *told):
        try:
            return as_json(result_of(models, paths or [], *told))
        except ValueError as problem:
            raise gr.Error(str(problem), print_exception=False) from None

    page.make.click(
        lambda: _say("Writing the files. This takes some seconds.", "busy"), None, page.status, **event
    ).then(make, [page.last, *told], [page.made, page.status], **event, **heavy).failure(**_no_more_waiting(page))
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
    """Takes the word back in the browser: where the queue was full, asking the server to would fail as well.

    A reading that was stopped fails, too, and its sentence stays.
    """
    js = """(told) => (told || "").includes("class='busy'") ? "" : told"""
    return {"fn": None, "js": js, "inputs": page.status, "outputs": page.status, "api_visibility": "private"}


def _changed(outputs: Sequence, one, value) -> dict:
    """Nothing but one of the outputs; nothing at all for None."""
    return {part: value if part is one else gr.skip() for part in outputs}


def _busy(wanted: object, stoppable: bool = True):
    """A word for the time until the result is there, if there is something to read; and the button that stops it."""
    if not wanted:
        return gr.skip(), gr.skip()
    return _busy_at(0), gr.Button(visible=stoppable)


def _busy_at(share: float) -> str:
    done = f" {share:.0%} done." if share else " This takes some seconds."
    return _say(f"Reading the scan and looking for blood.{done}", "busy")


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
