"""Web demo: a sample case already read, and the same for one's own scan. Wiring only; what it knows is in ich_lib.

python app.py [--weights RUN] [--port N] [--host H]
"""

import argparse
import html
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from types import SimpleNamespace

from ich_lib import viewer
from ich_lib.engine import Models, load
from ich_lib.phantom import phantom
from ich_lib.predict import NOTICE, analyse
from ich_lib.read import read
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
SAMPLES = {  # name on the page: (seed, bleeds) of a phantom
    "Epidural": (1, ("epidural",)),
    "Intraparenchymal": (101, ("intraparenchymal",)),
    "Intraventricular": (101, ("intraventricular",)),
    "Subarachnoid": (2, ("subarachnoid",)),
    "Subdural": (2, ("subdural",)),
    "No bleed": (1, ()),
}  # the shipped model finds the first four, not always with the right type, and misses the subdural; see MODEL_CARD.md
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

_log = logging.getLogger("ich.app")


def sample_reader(models: Models | None = None) -> Callable[[str], dict]:
    """A function from a sample's name to what the viewer shows; each sample is made and read once."""
    ready, locks = {}, {name: Lock() for name in SAMPLES}

    def sample(name: str) -> dict:
        with locks[name]:
            if name not in ready:
                seed, bleeds = SAMPLES[name]
                case = phantom(seed, bleeds=bleeds)
                planted = ", ".join(f"{kind} {ml:.0f} mL" for kind, ml in case.volumes_ml.items()) or "nothing"
                origin = f"Sample case: a head made by code. Planted: {planted}."
                ready[name] = viewer.payload(analyse(case.scan, models), origin=origin)
        return ready[name]

    return sample


def open_files(
    models: Models | None, paths: Sequence[str], window_name: str, level: float | None, width: float | None
) -> tuple[dict | None, str]:
    """Uploaded files to (what the viewer shows, "") or, where that cannot be, (None, the sentence that says why)."""
    try:
        _check_size(paths)
        window = {UNKNOWN: None, OTHER: (level, width)}.get(window_name, window_name)
        return viewer.payload(analyse(read(paths, window=window), models)), ""
    except ValueError as problem:
        return None, str(problem)
    except Exception as problem:  # noqa: BLE001 - the page goes on, whatever it was
        # neither the message nor a path: they may quote the file, and so name the patient
        _log.error("%s\n%s", type(problem).__name__, "".join(traceback.format_tb(problem.__traceback__)))
        return None, OUR_FAULT


def build_app(models: Models | None = None, samples: Callable[[str], dict] | None = None) -> gr.Blocks:
    """The page.

    Args:
        models: what `engine.load` returned; None for the shipped model.
        samples: what `sample_reader` returned, where it is shared; None for one of its own.
    """
    with gr.Blocks(title=TITLE, delete_cache=(600, 1800), analytics_enabled=False, fill_width=True) as app:
        page = _page()
        _wire(app, page, partial(open_files, models), samples or sample_reader(models))
    return app.queue(max_size=12, api_open=False)


def _page() -> SimpleNamespace:
    """What is on the page, top to bottom, left to right."""
    page = SimpleNamespace()
    gr.HTML(f"<h1>{TITLE}</h1><p>{html.escape(NOTICE)}</p>", html_template="<div id='head'>${value}</div>")
    page.last = gr.State(None)  # this session's last upload, to read a picture again through another window
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="rail"):
            gr.HTML("<h2>Sample cases</h2>", elem_id="cases")
            page.sample = gr.Radio(
                list(SAMPLES), value=FIRST, label="Sample cases", show_label=False, container=False, elem_id="samples"
            )
            gr.HTML(
                "<h2>Your own scan</h2><p class='quiet'>DICOM, zip, NIfTI, PNG or JPG. Nothing that names a person.</p>"
            )
            page.files = gr.File(
                label="Your own scan", show_label=False, file_count="multiple", height=120, elem_id="files"
            )
            gr.HTML(**viewer.folder_parts())
            choices = ["{}, {} / {}".format(shown, *WINDOWS[name]) for shown, name in PICTURE_WINDOWS.items()]
            choices = [UNKNOWN, *zip(choices, PICTURE_WINDOWS.values(), strict=True), OTHER]
            page.window = gr.Dropdown(choices, value=UNKNOWN, label="Window of a PNG or JPG", elem_id="picture-window")
            with gr.Row(visible=False) as page.own:
                page.level = gr.Number(40, label="Level, HU", min_width=80, elem_id="level")
                page.width = gr.Number(80, label="Width, HU", min_width=80, elem_id="width")
        with gr.Column(elem_id="work"):
            page.status = gr.HTML("", html_template="<div id='status' aria-live='polite'>${value}</div>")
            page.viewer = gr.HTML(None, **viewer.parts())
    return page


def _wire(app: gr.Blocks, page: SimpleNamespace, read_files: Callable, samples: Callable[[str], dict]) -> None:
    """Who calls whom. A failed upload changes the sentence and nothing else."""
    outputs = [page.viewer, page.sample, page.files, page.last, page.status]

    def sample(name):
        return samples(name), name, None, None, ""

    def upload(paths, *told):
        shown, problem = read_files(paths, *told)
        if problem:
            return gr.skip(), gr.skip(), None, gr.skip(), _say(problem, "wrong")
        return shown, None, None, paths, ""

    def again(paths, *told):
        return upload(paths, *told) if paths else [gr.skip()] * len(outputs)

    event = {"show_progress": "hidden", "api_visibility": "private"}
    heavy = {**event, "concurrency_id": "read", "concurrency_limit": 2}
    told = [page.window, page.level, page.width]
    # in the browser: where the queue was full, asking the server to take the word back would fail as well
    no_more_waiting = {"fn": None, "js": "() => ''", "outputs": page.status, "api_visibility": "private"}
    app.load(partial(sample, FIRST), None, outputs, concurrency_limit=4, **event)
    page.sample.input(partial(_busy, True), None, page.status, **event).then(
        sample, page.sample, outputs, concurrency_limit=4, **event
    ).failure(**no_more_waiting)
    page.files.upload(partial(_busy, True), None, page.status, **event).then(
        upload, [page.files, *told], outputs, **heavy
    ).failure(**no_more_waiting)
    page.window.input(lambda name: gr.Row(visible=name == OTHER), page.window, page.own, **event)
    for changed in (page.window.input, page.level.submit, page.width.submit):
        changed(_busy, page.last, page.status, **event).then(again, [page.last, *told], outputs, **heavy).failure(
            **no_more_waiting
        )


def _busy(wanted: object) -> str:
    """A word for the time until the result is there, if there is something to read."""
    return _say("Reading the scan and looking for blood. This takes some seconds.", "busy") if wanted else gr.skip()


def _say(text: str, kind: str) -> str:
    return f"<p class='{kind}'>{html.escape(text)}</p>"


def _check_size(paths: Sequence[str]) -> None:
    """Gradio limits each file; this limits them together, and reads files alone: a folder would be everybody's."""
    if not all(Path(path).is_file() for path in paths):
        raise ValueError("A file of this upload is not there any more. Give it once more.")
    size_mb = sum(Path(path).stat().st_size for path in paths) / 1e6
    if size_mb > MOST_UPLOAD_MB:
        raise ValueError(f"The upload has {size_mb:.0f} MB; {MOST_UPLOAD_MB} MB is the most. Give one head scan.")


def main() -> int:
    """Serve the page until it is stopped; 2 where the weights are missing or not what their card says."""
    options = _options()
    try:
        models = load(options.weights)
    except (ValueError, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 2
    samples = sample_reader(models)
    app = build_app(models, samples)
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
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css_paths=viewer.PAGE_CSS,
    )
    Thread(target=lambda: [samples(name) for name in SAMPLES], daemon=True).start()  # read before anyone asks
    app.block_thread()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"{TITLE}: web demo. {NOTICE}")
    parser.add_argument(
        "--weights", type=Path, metavar="RUN", help="a run or an exported folder instead of the shipped models"
    )
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--host", help="default: this computer alone; 0.0.0.0 for the whole network")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
