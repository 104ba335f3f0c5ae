"""Slices to scroll through and draw on in the browser: the component and its data."""

import base64
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import streamlit as st

from ich_lib import colors
from ich_lib.data.polygons import fill
from ich_lib.data.summary import contours
from ich_lib.prepare.window import WINDOWS, window

STACK_WINDOWS = ("brain", "subdural", "bone")
TRUTH, MODEL, STUDENT = "truth", "model", "yours"
_LINES = {TRUTH: (colors.TRUTH, []), MODEL: (colors.MASK, [9, 5]), STUDENT: (colors.YOURS, [3, 4])}  # color and dashes
_FOLDER = Path(__file__).parent


def encode_frames(hu: np.ndarray, *, side: int = 512, sharp: bool = False) -> dict:
    """Slices in each window, in the form that the component takes.

    Args:
        hu: (z, y, x) HU.
        side: pixels of the longer side.
        sharp: PNG, exact to the gray; else JPEG, a quarter of the size.
    """
    share = min(1.0, side / max(hu.shape[1:]))
    columns, rows = (max(round(side * share), 1) for side in (hu.shape[2], hu.shape[1]))
    small = [cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA) if share < 1 else plane for plane in hu]
    with ThreadPoolExecutor(4) as coders:
        pictures = {
            name: list(coders.map(lambda plane, name=name: _encoded(window(plane, *WINDOWS[name]), sharp), small))
            for name in STACK_WINDOWS
        }
    return {"frames": pictures, "rows": rows, "columns": columns}


def _encoded(gray: np.ndarray, sharp: bool) -> str:
    kind, how = ("png", []) if sharp else ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, 90])
    coded = cv2.imencode(f".{kind}", np.rint(gray * 255).astype(np.uint8), how)[1]
    return f"data:image/{kind};base64,{base64.b64encode(coded.tobytes()).decode()}"


def outline_points(mask: np.ndarray, index: int, name: str) -> dict:
    """A (y, x) mask as a line on slice `index`; `name` is TRUTH, MODEL or YOURS."""
    size = np.array(mask.shape[::-1])
    color, dash = _LINES[name]
    lines = [((line + 0.5) / size).round(4).tolist() for line in contours(mask)]
    return {"slice": index, "name": name, "color": color, "dash": dash, "lines": lines}


def drawn_mask(strokes: Sequence[Sequence[Sequence[float]]] | None, shape: tuple[int, int]) -> np.ndarray | None:
    """The drawing as a (y, x) mask; None if there is none.

    Args:
        strokes: regions of points, as shares of width and height, from the browser.
        shape: (rows, columns) of the slice.
    """
    points = [np.array(stroke, float) for stroke in strokes or () if len(stroke) >= 3]
    return fill(points, shape) if points else None


def show_stack(
    pictures: dict, names: Sequence[str], index: int, *, key: str, draw: bool = False, outlines: Sequence[dict] = ()
) -> list:
    """Show slices; returns the drawing.

    Args:
        pictures: from `encode_frames`.
        names: one per slice.
        index: the slice shown first, and the only one for drawing.
        key: of the widget; another key starts again.
        draw: whether drawing is allowed.
        outlines: lines of `outline_points`.

    Returns:
        The drawn regions, None before the first.
    """
    arguments = pictures | {"id": key, "names": list(names), "slice": index, "draw": draw, "regions": []}
    arguments |= {"ink": colors.YOURS, "outlines": list(outlines)}
    state = _component()(key=key, data=arguments, default={"regions": []}, on_regions_change=lambda: None)
    return state.regions


@st.cache_resource(show_spinner=False)
def _component() -> Callable:
    """The component, registered once."""
    html, css, js = (_FOLDER.joinpath(f"slices.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    css = f".slices {{ --focus: {colors.SKY}; }}\n{css}"
    return st.components.v2.component("ich_lib_slices", html=html, css=css, js=js)
