"""What is on the page and where: its parts, top to bottom, left to right.

Labels are English here; page.js says them in the language that the person chose (ich_lib/words/page.toml).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ich_lib.demo import session, viewer
from ich_lib.demo.gradio_import import gr
from ich_lib.demo.samples import FIRST_SAMPLE, SAMPLES
from ich_lib.words.page import page_sentence as word

STARTED_MODEL = "started"  # in the box "Compare with": the model that the page was started with
PICTURE_WINDOWS = ("brain", "subdural", "bone", "brain render", "bone render")  # of WINDOWS


@dataclass(frozen=True)
class Page:
    """What is on the page.

    Attributes:
        last: what this session looks at, a session.CurrentScan.
        requested_files: (paths, turn) of the files that it wants to see: their box is free again at once.
        turns: what it asked for so far, a session.RequestCounter.
        sample, model, compare, files, truth, series, window, level, width: what a person chooses. `model` is the name
            of the first viewer's model, "" for the one that the page was started with; `compare` is that of a second
            model, "" for none.
        window_row: the row of level and width.
        make, written, zipped: downloads, one by one and together.
        status, stop: what is going on, and the button that ends it.
        studies: the table of several studies.
        listed_studies: these studies.
        number: the study to open (page.js fills it in).
        viewer, second: both viewers.
        second_column, difference_column: the columns of the second viewer and of the difference of both.
        json, ask, requested_series, believing: for programs, invisible.
        threshold: of the mask, as the viewer's slider stands (of 255); page.js fills it in.
        case: the sample that the address of the page asks for.
        is_first: whether the page lacks the library of the 3D view; solid.js fills it in.
    """

    last: gr.State
    requested_files: gr.State
    turns: gr.State
    sample: gr.Radio
    model: gr.Dropdown
    compare: gr.Dropdown
    files: gr.File
    truth: gr.File
    series: gr.Dropdown
    window: gr.Dropdown
    window_row: gr.Row
    level: gr.Number
    width: gr.Number
    make: gr.Button
    written: gr.File
    zipped: gr.DownloadButton
    status: gr.HTML
    stop: gr.Button
    studies: gr.HTML
    listed_studies: gr.State
    number: gr.Number
    viewer: gr.HTML
    second: gr.HTML
    second_column: gr.Column
    difference_column: gr.Column
    json: gr.JSON
    ask: gr.Button
    requested_series: gr.Textbox
    believing: gr.Checkbox
    threshold: gr.Number
    case: gr.Textbox
    is_first: gr.Checkbox

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What the answer to a scan may change."""
        parts = [
            self.viewer,
            self.second,
            self.sample,
            self.files,
            self.truth,
            self.series,
            self.studies,
            self.listed_studies,
        ]
        return [*parts, self.last, self.status, self.stop, self.written, self.zipped]


def lay_out(started: str, others: Sequence[str]) -> Page:
    """The page. `started` names the model that it is started with; `others` can be chosen, by name or folder."""
    gr.HTML(viewer.head_html())
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="rail"):
            rail = _rail(started, others) | _downloads()
        with gr.Column(elem_id="work"):
            work = _work()
    return Page(
        last=gr.State(None),
        requested_files=gr.State(None),
        turns=gr.State(session.RequestCounter()),  # Gradio makes each session its own
        json=gr.JSON(visible=False),
        ask=gr.Button(visible=False),
        requested_series=gr.Textbox("", visible=False),
        believing=gr.Checkbox(False, visible=False),
        threshold=gr.Number(None, visible=False),
        case=gr.Textbox("", visible=False),
        is_first=gr.Checkbox(True, visible=False),
        listed_studies=gr.State(()),
        number=gr.Number(None, visible=False),
        **rail,
        **work,
    )


def _rail(started: str, others: Sequence[str]) -> dict:
    """What a person chooses from."""
    choices = [(word(f"sample/{name}"), name) for name in SAMPLES]
    sample = gr.Radio(choices, value=FIRST_SAMPLE, label=word("samples"), container=False, elem_id="samples")
    files = gr.File(label=word("own"), file_count="multiple", height=120, elem_id="files")
    _html(viewer.folder_html())
    series = gr.Dropdown([], label=word("series"), visible=False, filterable=False, elem_id="series")
    truth = gr.File(label=word("truth_box"), height=80, elem_id="truth")
    hints = [f"<span data-say='{name}'>{word(name)}</span>" for name in ("files_hint", "names_hint")]
    gr.HTML(f"<p class='quiet'>{' '.join(hints)}</p>")
    window = gr.Dropdown(
        _window_choices(),
        value=session.UNKNOWN_WINDOW,
        label=word("picture_window"),
        filterable=False,
        elem_id="picture-window",
    )
    with gr.Row(visible=False) as window_row:
        level = gr.Number(40, label=word("level_box"), min_width=80, elem_id="level")
        width = gr.Number(80, label=word("width_box"), min_width=80, elem_id="width")
    model, compare = _model_boxes(started, others)
    parts = {"sample": sample, "model": model, "compare": compare, "files": files, "series": series, "truth": truth}
    return parts | {"window": window, "window_row": window_row, "level": level, "width": width}


def _model_boxes(started: str, others: Sequence[str]) -> tuple[gr.Dropdown, gr.Dropdown]:
    """The box for the model, and the box for a second one. Models have the names that `--model` takes."""
    named = [(Path(name).name, name) for name in others]
    box = partial(gr.Dropdown, value="", visible=bool(others), filterable=False)
    choices = [(word("no_model"), ""), (started, STARTED_MODEL), *named]
    model = box([(started, ""), *named], label=word("model"), elem_id="model")
    return model, box(choices, label=word("compare"), elem_id="compare")


def _downloads() -> dict:
    """The button that makes them, and where they lie then."""
    make = gr.Button(word("make"), size="sm", elem_id="make")
    zipped = gr.DownloadButton(word("all_files"), size="sm", visible=False, elem_id="all-files")
    written = gr.File(label=word("downloads"), file_count="multiple", interactive=False, visible=False, elem_id="made")
    gr.HTML("<p id='stale' class='quiet' role='status'></p>")
    return {"make": make, "zipped": zipped, "written": written}


def _work() -> dict:
    """The line of status, both viewers, and where their masks differ."""
    with gr.Row(elem_id="progress"):
        status = gr.HTML("", html_template="<div id='status' aria-live='polite'>${value}</div>")
        stop = gr.Button(word("stop"), size="sm", visible=False, elem_id="stop")
    studies = _html(viewer.studies_html())
    with gr.Row(elem_id="viewers"):
        with gr.Column(elem_classes="one-viewer"):
            first = _html(viewer.viewer_html())
        with gr.Column(elem_classes="one-viewer", visible=False) as second_column:
            second = _html(viewer.viewer_html())
    with gr.Column(visible=False) as difference_column:
        _html(viewer.difference_html())
    parts = {"status": status, "stop": stop, "studies": studies, "viewer": first, "second": second}
    return parts | {"second_column": second_column, "difference_column": difference_column}


def _html(parts: viewer.Parts) -> gr.HTML:
    """A part of the page that we wrote."""
    return gr.HTML(
        None,
        html_template=parts.html_template,
        css_template=parts.css_template,
        js_on_load=parts.js_on_load,
        apply_default_css=False,
    )


def _window_choices() -> list[tuple[str, str]]:
    """What the box for the window of a picture offers; of a pair the first is shown, the second is its name."""
    names = (session.UNKNOWN_WINDOW, *PICTURE_WINDOWS, session.OTHER_WINDOW)
    return [(word(f"picture/{name}"), name) for name in names]
