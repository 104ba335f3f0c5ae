"""What is on the page and where: its parts, top to bottom, left to right."""

import html
from dataclasses import dataclass

from ich_lib.demo import session, viewer
from ich_lib.demo.gradio_import import gr
from ich_lib.demo.samples import FIRST_SAMPLE, SAMPLES
from ich_lib.notice import NOTICE
from ich_lib.prepare.window import WINDOWS

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


def lay_out(*, comparing: bool) -> Page:
    """Lay it out, top to bottom, left to right."""
    word = WORDS
    gr.HTML(f"<h1>{TITLE}</h1><p>{html.escape(NOTICE)}</p>", html_template="<div id='head'>${value}</div>")
    last, asked = gr.State(None), gr.State(None)
    turns = gr.State(session.RequestCounter())  # Gradio makes each session its own
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="rail"):
            sample = gr.Radio(
                list(SAMPLES),
                value=FIRST_SAMPLE,
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
