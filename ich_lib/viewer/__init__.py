"""A result to a picture one can scroll through: what travels to the browser, and the page part that shows it.

Each slice travels once, as whole CT numbers beside the probability of blood. Window, outline, fill, heat map, other
planes, another threshold and scrolling happen in the browser, so nobody waits for a server, and what is gray on the
screen is the CT and nothing else. The page part has no library: viewer.html, viewer.css and the files of SCRIPTS.
"""

from pathlib import Path

import cv2
import numpy as np

from ich_lib.predict import Result
from ich_lib.scan import Scan
from ich_lib.viewer.beside import report, volume
from ich_lib.viewer.packing import (
    LOWEST_HU,
    blood_levels,
    heat_size,
    pack,
    pack_heat,
    pack_truth,
    stored,
    unpack,
)
from ich_lib.window import WINDOWS

SHOWN_WINDOWS = ("brain", "subdural", "bone", "stroke")  # keys 1 to 4; 5 is the file's own
SCRIPTS = ("words.js", "frames.js", "draw.js", "report.js", "hands.js", "start.js")  # one scope, in this order
MOST_SIDE = 512  # pixels of a slice's longer side in the viewer
MOST_PIXELS = 16_000_000  # of all slices together: about 18 MB of page
PAGE_CSS = Path(__file__).with_name("page.css")  # the page around the viewer
PAGE_JS = Path(__file__).with_name("page.js")
_NARROW_HU = 256  # a picture of one window spans less, and its 256 grays deserve finer steps than whole HU


def payload(result: Result, *, origin: str = "", truth: np.ndarray | None = None) -> dict:
    """Everything the viewer shows, as plain values that JSON can carry.

    Slices larger than MOST_SIDE, or too many for MOST_PIXELS, are shrunk: HU by area, probability and truth by maximum,
    so that no small bleed vanishes from the screen. Scores and mL are of the scan itself.

    Args:
        result: of `analyse`.
        origin: one line on where the scan comes from.
        truth: (z, y, x) bool, the blood that is really there, where that is known, as of a phantom.

    Returns:
        `slices` (base64, see `pack`), `heat` and `truth` (base64, see `pack_heat` and `pack_truth`), `scale` and
        `offset` (HU = stored * scale + offset), and what is written around the picture.

    Raises:
        ValueError: if the truth has another shape than the scan.
    """
    scan = result.scan
    _check_truth(truth, scan.hu.shape)
    rows, columns = shown_size(scan.hu.shape)
    scale = 1.0 if float(np.ptp(scan.hu)) >= _NARROW_HU else 0.125
    marked = result.mask.sum(axis=(1, 2))
    return {
        "slices": [
            pack(stored(_shrunk(hu, rows, columns), scale), blood_levels(_most(blood, rows, columns), result.threshold))
            for hu, blood in zip(scan.hu, result.blood, strict=True)
        ],
        "heat": [pack_heat(heat) for heat in result.heat],
        "heat_size": heat_size(scan.hu.shape),
        "truth": None if truth is None else [pack_truth(_most(plane, rows, columns) > 0) for plane in truth],
        "rows": rows,
        "columns": columns,
        "scale": scale,
        "offset": LOWEST_HU,
        "threshold": max(round(result.threshold * 255), 1),
        "start": int(marked.argmax()) if marked.any() else len(marked) // 2,
        "marked": [bool(pixels) for pixels in marked],
        "pixel_mm": _pixel_mm(scan, rows, columns),
        "slice_mm": scan.spacing_mm[0] if scan.spacing_known else None,
        "pixel_ml": _pixel_ml(scan, rows, columns),
        "letters": {"z": ["S", "I"], "y": ["A", "P"], "x": ["R", "L"]},  # ends of Scan's axes, see its docstring
        "hu_known": scan.hu_known,
        "windows": _windows(scan),
        "report": {"origin": origin, **report(result), "shown": _shown(scan, rows, columns)},
    }


def shown_size(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Rows and columns of a slice in the viewer, for a scan of (z, y, x) `shape`. Never more than the scan has."""
    count, rows, columns = shape
    share = min(1.0, MOST_SIDE / max(rows, columns), (MOST_PIXELS / (count * rows * columns)) ** 0.5)
    return max(round(rows * share), 1), max(round(columns * share), 1)


def parts() -> dict[str, str | bool]:
    """The page part, as arguments of `gradio.HTML`; its value is a payload."""
    return {
        "html_template": _file("viewer.html"),
        "css_template": _file("viewer.css"),
        "js_on_load": "\n".join(map(_file, SCRIPTS)),
        "apply_default_css": False,
    }


def folder_parts() -> dict[str, str | bool]:
    """The button that opens a folder, as arguments of `gradio.HTML`; it feeds the upload box with the id "files"."""
    return {
        "html_template": _file("folder.html"),
        "css_template": _file("folder.css"),
        "js_on_load": _file("folder.js"),
        "apply_default_css": False,
    }


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _check_truth(truth: np.ndarray | None, shape: tuple[int, ...]) -> None:
    if truth is not None and truth.shape != shape:
        raise ValueError(f"The truth must have the shape of the scan, {shape}; got {truth.shape}.")


def _windows(scan: Scan) -> list[dict]:
    """The windows that have a button, in the order of their keys."""
    shown = [(name, *WINDOWS[name]) for name in SHOWN_WINDOWS] + ([("file", *scan.window)] if scan.window else [])
    return [{"name": name, "level": level, "width": width} for name, level, width in shown]


def _shown(scan: Scan, rows: int, columns: int) -> dict:
    """How many slices and pixels there are, and how many of these pixels are shown."""
    count, full_rows, full_columns = scan.hu.shape
    shrunk = (full_rows, full_columns) != (rows, columns)
    return {"slices": count, "rows": full_rows, "columns": full_columns, "shrunk": shrunk}


def _pixel_mm(scan: Scan, rows: int, columns: int) -> list[float] | None:
    """(row, column) distance of the viewer's pixels, or None."""
    if not scan.spacing_known:
        return None
    _, dy, dx = scan.spacing_mm
    return [dy * scan.hu.shape[1] / rows, dx * scan.hu.shape[2] / columns]


def _pixel_ml(scan: Scan, rows: int, columns: int) -> float | None:
    """mL that one pixel of a slice in the viewer stands for, or None."""
    full_rows, full_columns = scan.hu.shape[1:]
    return scan.voxel_ml * full_rows * full_columns / (rows * columns) if scan.spacing_known else None


def _shrunk(hu: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return hu if hu.shape == (rows, columns) else cv2.resize(hu, (columns, rows), interpolation=cv2.INTER_AREA)


def _most(blood: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The highest probability around each shown pixel."""
    if blood.shape == (rows, columns):
        return blood
    around = np.ones((-(-blood.shape[0] // rows), -(-blood.shape[1] // columns)), np.uint8)
    highest = cv2.dilate(blood.astype(np.float32), around)
    return cv2.resize(highest, (columns, rows), interpolation=cv2.INTER_NEAREST)


__all__ = [
    "PAGE_CSS",
    "PAGE_JS",
    "SCRIPTS",
    "SHOWN_WINDOWS",
    "blood_levels",
    "folder_parts",
    "pack",
    "pack_truth",
    "parts",
    "payload",
    "shown_size",
    "stored",
    "unpack",
    "volume",
]
