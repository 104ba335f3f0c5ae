"""A result to a picture one can scroll through: what travels to the browser, and the page part that shows it.

Each slice travels once, as whole CT numbers; the probability of blood follows when it is there. Window, outline, fill,
heat map, other planes, another threshold and scrolling happen in the browser, without a request to the server. Gray on
the screen is the CT and nothing else. The page part has no library: viewer.html, viewer.css and SCRIPTS.
"""

import json
import secrets
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np

from ich_lib.colors import DIFFERENCE, MEANINGS, rgb
from ich_lib.demo.viewer.about import about_model
from ich_lib.demo.viewer.beside import report
from ich_lib.demo.viewer.inputs import inputs_payload
from ich_lib.demo.viewer.packing import (
    blood_levels,
    heat_size,
    pack,
    pack_blood,
    pack_heat,
    pack_truth,
    quantize_hu,
    unpack,
    unpack_blood,
)
from ich_lib.demo.viewer.solid import library_text, shown_mask, solid_payload
from ich_lib.prediction.analyze import Result
from ich_lib.prepare.window import WINDOWS
from ich_lib.scan import LOWEST_HU, Scan, nearest_slices
from ich_lib.words.notes import note_by_language
from ich_lib.words.page import page_sentence, page_words

VIEWER_WINDOWS = ("brain", "subdural", "bone", "stroke")  # keys 1 to 4; 5 is the file's own
SCRIPTS = tuple(  # one scope
    f"{name}.js"
    for name in (
        "words",
        "state",
        "frames",
        "draw",
        "measure",
        "inputs",
        "report",
        "solid",
        "hands",
        "together",
        "start",
    )
)
MOST_SIDE = 512  # pixels of a slice's longer side in the viewer
MOST_PIXELS = 16_000_000  # of all slices together: about 18 MB of page
_COLORS_CSS, _DIFFERENCE_CSS = (
    " ".join(f"--{name}: {color};" for name, color in colors.items()) for colors in (MEANINGS, DIFFERENCE)
)
THUMBNAILS = Path(__file__).parents[1] / "thumbnails.webp"  # of the samples, side by side
_NARROW_HU = 256  # a picture of one window spans less, and its 256 grays deserve finer steps than whole HU


def payload(
    result: Result,
    *,
    origin: dict[str, str] | None = None,
    truth: np.ndarray | None = None,
    about: dict | None = None,
) -> dict:
    """Everything the viewer shows, as plain values that JSON can carry: picture, findings and truth in one.

    Args:
        result: of `analyze`.
        origin: language to one line on where the scan comes from; None where it was brought.
        truth: (z, y, x) bool, the blood that is really there, where that is known, as of a phantom.
        about: the model, as `about_model` tells it.

    Raises:
        ValueError: if the truth has another shape than the scan.
    """
    picture_part, result_findings = scan_picture(result.scan, origin=origin), findings(result, about)
    truth_part = {} if truth is None else truth_layers(truth, result.scan.hu.shape)
    return {
        **picture_part,
        **result_findings,
        **truth_part,
        "report": {**picture_part["report"], **result_findings["report"]},
    }


def scan_picture(scan: Scan, *, origin: dict[str, str] | None = None, file: str | None = None, more: int = 0) -> dict:
    """What can be shown of a scan before anybody looked for blood in it.

    Slices larger than MOST_SIDE, or too many for MOST_PIXELS, are shrunk: HU by area, probability and truth by maximum,
    so that no small bleed vanishes from the screen. Scores and mL are of the scan itself.

    Args:
        scan: what was read.
        origin: language to one line on where the scan comes from; None where it was brought.
        file: name of the file that was brought, and `more` the number of files beside it.
        more: see there.

    Returns:
        `slices` (base64, see `pack`), `scale` and `offset` (HU = stored * scale + offset), `stack` (which slice stands
        in each row, from the foot on, of a plane across them), `slice_mm` (how far apart these rows are), `slabs` (by
        how much each slice counts in mL), and what is written around the picture. `id` is another one each time: what
        is found later (`overlay`) names it.
    """
    rows, columns = display_size(scan.hu.shape)
    scale = 1.0 if float(np.ptp(scan.hu)) >= _NARROW_HU else 0.125
    return {
        "id": secrets.token_hex(8),
        "slices": [pack(quantize_hu(_shrink(hu, rows, columns), scale)) for hu in scan.hu],
        "rows": rows,
        "columns": columns,
        "scale": scale,
        "offset": LOWEST_HU,
        "start": len(scan.hu) // 2,
        "start_row": rows // 2,
        "start_column": columns // 2,
        "heat_size": heat_size(scan.hu.shape),
        "pixel_mm": _pixel_mm(scan, rows, columns),
        **_stack(scan),
        "pixel_ml": _pixel_ml(scan, rows, columns),
        "letters": {"z": ["S", "I"], "y": ["A", "P"], "x": ["R", "L"]},  # ends of Scan's axes, see its docstring
        "hu_known": scan.hu_known,
        "windows": _windows(scan),
        "report": {
            "origin": origin,
            "file": file,
            "more": more,
            "warnings": [note_by_language(note) for note in scan.notes],
            "shown": _display_sizes(scan, rows, columns),
        },
    }


def findings(result: Result, about: dict | None = None) -> dict:
    """What was found in a scan, to be laid over its `scan_picture`, and what the card says `about` the model.

    Returns:
        `blood` and `heat` (base64, see `pack_blood` and `pack_heat`), the slice to start with, and the `report`. Where
        nothing is believed (`Result.is_withheld`) the report alone, which says why.
    """
    beside = report(result) | {"about": about}
    if result.is_withheld:
        return {"blood": None, "heat": None, "marked": [], "report": beside}
    rows, columns = display_size(result.scan.hu.shape)
    has_blood = [bool(plane.any()) for plane in result.mask]
    return {
        "blood": [
            pack_blood(blood_levels(_max_pool(blood, rows, columns), result.threshold)) for blood in result.blood
        ],
        "heat": [pack_heat(heat) for heat in result.heat],
        "threshold": max(round(result.threshold * 255), 1),
        "start": int(result.mask.sum(axis=(1, 2)).argmax()) if any(has_blood) else len(has_blood) // 2,
        **_starts(result.mask, rows, columns),
        "marked": has_blood,
        "report": beside,
    }


def _starts(mask: np.ndarray, rows: int, columns: int) -> dict:
    """Row and column where the coronal and the sagittal view open: where most blood is, or in the middle."""
    along = mask.sum(axis=(0, 2)), mask.sum(axis=(0, 1))
    if not mask.any():
        return {"start_row": rows // 2, "start_column": columns // 2}
    row, column = (
        int(counts.argmax() * size / len(counts)) for counts, size in zip(along, (rows, columns), strict=True)
    )
    return {"start_row": row, "start_column": column}


def truth_layers(truth: np.ndarray, shape: tuple[int, int, int]) -> dict:
    """(z, y, x) bool truth for the picture of a scan of that shape: `truth` (base64, see `pack_truth`), and `bleeding`,
    whether each slice has some.

    Raises:
        ValueError: if the truth has another shape than the scan.
    """
    if truth.shape != shape:
        raise ValueError(f"The truth must have the shape of the scan, {shape}; got {truth.shape}.")
    rows, columns = display_size(shape)
    return {
        "truth": [pack_truth(_max_pool(plane, rows, columns) > 0) for plane in truth],
        "bleeding": [bool(plane.any()) for plane in truth],
    }


def overlay(id: str, content: dict) -> dict:
    """What the viewer takes as an addition to the picture of that id, and drops where it shows another one by now."""
    return {"to": id, **content}


def display_size(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Rows and columns of a slice in the viewer, for a scan of (z, y, x) `shape`. Never more than the scan has."""
    count, rows, columns = shape
    share = min(1.0, MOST_SIDE / max(rows, columns), (MOST_PIXELS / (count * rows * columns)) ** 0.5)
    return max(round(rows * share), 1), max(round(columns * share), 1)


@dataclass(frozen=True)
class Parts:
    """A part of the page, as `gradio.HTML` takes it: what stands in it, how it looks, and what it does."""

    html_template: str
    css_template: str
    js_on_load: str


def viewer_html() -> Parts:
    """The page part; its value is a payload."""
    scripts = [f"const COLORS = {json.dumps(MEANINGS)};", _words_js(), *map(_file, SCRIPTS)]
    return Parts(_file("viewer.html"), f"{_COLORS_CSS}\n{_file('viewer.css')}", "\n".join(scripts))


def difference_html() -> Parts:
    """The third view where two models are compared: where their masks differ."""
    colors = json.dumps([rgb(DIFFERENCE[name]) for name in ("first", "second", "both")])
    constants = f"const [ONLY_FIRST, ONLY_SECOND, BOTH] = {colors};"
    scripts = [constants, _words_js(), _file("words.js"), _file("difference.js")]
    return Parts(_file("difference.html"), f"{_DIFFERENCE_CSS}\n{_file('difference.css')}", "\n".join(scripts))


def studies_html() -> Parts:
    """The table of several studies; its value is `ich_lib.demo.many.table_payload`."""
    scripts = [_words_js(), _file("words.js"), _file("studies.js")]
    return Parts(_file("studies.html"), _file("studies.css"), "\n".join(scripts))


def head_html() -> str:
    """Title, notice, the way past the rail for who goes by keys, and the offer of a guided first minute."""
    text_of = page_sentence
    return (
        f"<div id='head'><a class='skip' href='#viewers' data-say='skip'>{escape(text_of('skip'))}</a>"
        f"<h1 data-say='title'>{escape(text_of('title'))}</h1>"
        f"<span id='tour-offer' hidden><button type='button' data-say='tour'>{escape(text_of('tour'))}</button>"
        f"<button type='button' aria-label='{escape(text_of('tour_no'))}'>×</button></span>"
        f"<p data-say='notice'>{escape(text_of('notice'))}</p></div>"
    )


def page_css(thumbnails: int) -> str:
    """Style of the page around the viewer, with so many pictures of samples in THUMBNAILS."""
    picture = b64encode(THUMBNAILS.read_bytes()).decode("ascii")
    place = "#samples label:nth-of-type({number})::before {{ background-position-x: -{left}px; }}"
    places = [place.format(number=k + 1, left=32 * k) for k in range(thumbnails)]
    thumbs = f"#samples {{ --thumbnails: url(data:image/webp;base64,{picture}); }}"
    return "\n".join([f":root {{ {_COLORS_CSS} }}", _file("page.css"), thumbs, *places])


def page_js() -> str:
    """What the page does around the viewer, as one function that is called at once."""
    scripts = [_words_js(), *map(_file, ("words.js", "tour.js", "page.js", "line.js"))]
    return "(() => {\n" + "\n".join(scripts) + "\n})();"


def folder_html() -> Parts:
    """The button that opens a folder; it feeds the upload box with the id "files"."""
    scripts = [_words_js(), _file("words.js"), _file("folder.js")]
    return Parts(_file("folder.html"), _file("folder.css"), "\n".join(scripts))


def _words_js() -> str:
    return f"const WORDS = {json.dumps(page_words(), ensure_ascii=False)};"


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _windows(scan: Scan) -> list[dict]:
    """The windows that have a button, in the order of their keys."""
    windows = [(name, *WINDOWS[name]) for name in VIEWER_WINDOWS] + ([("file", *scan.window)] if scan.window else [])
    return [{"name": name, "level": level, "width": width} for name, level, width in windows]


def _display_sizes(scan: Scan, rows: int, columns: int) -> dict:
    """How many slices and pixels there are, and how many of these pixels are shown."""
    count, full_rows, full_columns = scan.hu.shape
    shrunk = (full_rows, full_columns) != (rows, columns)
    return {"slices": count, "rows": full_rows, "columns": full_columns, "shrunk": shrunk}


def _stack(scan: Scan) -> dict:
    """How the slices lie over each other: uneven ones on an even grid, each row of it their nearest."""
    indices, step = (np.arange(len(scan.hu)), 1.0) if scan.places is None else nearest_slices(scan.places)
    return {
        "stack": indices.tolist(),
        "slice_mm": scan.spacing_mm[0] * step if scan.spacing_known else None,
        "slabs": scan.slabs.tolist(),
    }


def _pixel_mm(scan: Scan, rows: int, columns: int) -> list[float] | None:
    """(row, column) distance of the viewer's pixels, or None."""
    if not scan.spacing_known:
        return None
    _, dy, dx = scan.spacing_mm
    return [dy * scan.hu.shape[1] / rows, dx * scan.hu.shape[2] / columns]


def _pixel_ml(scan: Scan, rows: int, columns: int) -> float | None:
    """mL that one pixel of an evenly spaced slice in the viewer stands for, or None."""
    full_rows, full_columns = scan.hu.shape[1:]
    return scan.voxel_ml * full_rows * full_columns / (rows * columns) if scan.spacing_known else None


def _shrink(hu: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return hu if hu.shape == (rows, columns) else cv2.resize(hu, (columns, rows), interpolation=cv2.INTER_AREA)


def _max_pool(blood: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The highest probability around each shown pixel."""
    if blood.shape == (rows, columns):
        return blood
    around = np.ones((-(-blood.shape[0] // rows), -(-blood.shape[1] // columns)), np.uint8)
    highest = cv2.dilate(blood.astype(np.float32), around)
    return cv2.resize(highest, (columns, rows), interpolation=cv2.INTER_NEAREST)


__all__ = [
    "SCRIPTS",
    "VIEWER_WINDOWS",
    "Parts",
    "about_model",
    "blood_levels",
    "difference_html",
    "display_size",
    "findings",
    "folder_html",
    "head_html",
    "inputs_payload",
    "library_text",
    "overlay",
    "pack",
    "pack_truth",
    "page_css",
    "page_js",
    "payload",
    "quantize_hu",
    "scan_picture",
    "shown_mask",
    "solid_payload",
    "studies_html",
    "truth_layers",
    "unpack",
    "unpack_blood",
    "viewer_html",
]
