"""A result to a picture one can scroll through: what travels to the browser, and the page part that shows it.

Each slice travels once, as whole CT numbers beside the probability of blood. Window, outline, fill, heat map and
scrolling happen in the browser, so nobody waits for a server, and what is gray on the screen is the CT and nothing
else. The page part is three files without any library: viewer.html, viewer.css, viewer.js.
"""

import base64
import zlib
from pathlib import Path

import cv2
import numpy as np

from ich_lib.labels import ANY, COLORS, LABELS
from ich_lib.predict import NOTICE, Result
from ich_lib.report import sentence
from ich_lib.scan import Scan
from ich_lib.window import WINDOWS

SHOWN_WINDOWS = ("brain", "subdural", "bone")
MOST_SIDE = 512  # pixels of a slice's longer side in the viewer
MOST_PIXELS = 16_000_000  # of all slices together: about 18 MB of page
PAGE_CSS = Path(__file__).with_name("page.css")  # the page around the viewer
_HEAT_SIDE = 64
_LOWEST_HU = -1024
_NARROW_HU = 256  # a picture of one window spans less, and its 256 grays deserve finer steps than whole HU


def payload(result: Result, *, origin: str = "") -> dict:
    """Everything the viewer shows, as plain values that JSON can carry.

    Slices larger than MOST_SIDE, or too many for MOST_PIXELS, are shrunk: HU by area, probability by maximum, so that
    no small bleed vanishes from the screen. Scores and mL are of the scan itself.

    Args:
        result: of `analyse`.
        origin: one line on where the scan comes from.

    Returns:
        `slices` (base64, see `pack`), `heat` (base64 of deflated bytes), `scale` and `offset` (HU = stored * scale +
        offset), and what is written around the picture.
    """
    scan = result.scan
    rows, columns = shown_size(scan.hu.shape)
    scale = 1.0 if float(np.ptp(scan.hu)) >= _NARROW_HU else 0.125
    level = max(round(result.threshold * 255), 1)
    marked = result.mask.sum(axis=(1, 2))
    return {
        "slices": [
            pack(stored(_shrunk(hu, rows, columns), scale), blood_levels(_most(blood, rows, columns), result.threshold))
            for hu, blood in zip(scan.hu, result.blood, strict=True)
        ],
        "heat": [_small_heat(heat) for heat in result.heat],
        "heat_size": _heat_size(scan.hu.shape),
        "rows": rows,
        "columns": columns,
        "scale": scale,
        "offset": _LOWEST_HU,
        "threshold": level,
        "start": int(marked.argmax()) if marked.any() else len(marked) // 2,
        "marked": [bool(pixels) for pixels in marked],
        "pixel_mm": _pixel_mm(scan, rows, columns),
        "letters": {"top": "A", "bottom": "P", "left": "R", "right": "L"},  # Scan's axes, see its docstring
        "hu_known": scan.hu_known,
        "windows": [{"name": name, "level": WINDOWS[name][0], "width": WINDOWS[name][1]} for name in SHOWN_WINDOWS],
        "report": _report(result, origin, rows, columns),
    }


def shown_size(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Rows and columns of a slice in the viewer, for a scan of (z, y, x) `shape`. Never more than the scan has."""
    count, rows, columns = shape
    share = min(1.0, MOST_SIDE / max(rows, columns), (MOST_PIXELS / (count * rows * columns)) ** 0.5)
    return max(round(rows * share), 1), max(round(columns * share), 1)


def stored(hu: np.ndarray, scale: float) -> np.ndarray:
    """HU as uint16: stored * scale - 1024."""
    return np.clip(np.rint((hu - _LOWEST_HU) / scale), 0, 65535).astype(np.uint16)


def blood_levels(blood: np.ndarray, threshold: float) -> np.ndarray:
    """Probability as uint8 in 255ths, rounded so that `level >= round(255 * threshold)` is exactly the mask."""
    level, cut = (np.asarray(blood, np.float32) * 255).astype(np.uint8), max(round(threshold * 255), 1)
    inside = blood >= np.float16(threshold)
    return np.where(inside, np.maximum(level, cut), np.minimum(level, cut - 1)).astype(np.uint8)


def pack(values: np.ndarray, blood: np.ndarray) -> str:
    """One slice as text: what is left after guessing each pixel from its neighbors, deflated, in base64.

    A pixel's guess is the mean of its left and upper neighbor, as in PNG's filter 3, in 16 bits. PNG itself is not
    used: reading pixels back from a canvas is where browsers convert colors and add noise against tracking.

    Args:
        values: (y, x) uint16.
        blood: (y, x) uint8.

    Returns:
        Base64 of zlib of three planes of y * x bytes: high byte and low byte of the zigzag difference, then `blood`.
    """
    wide = np.pad(values.astype(np.int32), ((1, 0), (1, 0)))  # what lies outside counts as 0
    guess = (wide[1:, :-1] + wide[:-1, 1:]) >> 1
    rest = (wide[1:, 1:] - guess).astype(np.int16)  # wraps at 16 bits, and back when it is added
    zigzag = ((rest.astype(np.int32) << 1) ^ (rest.astype(np.int32) >> 15)) & 0xFFFF  # 0, -1, 1, -2 to 0, 1, 2, 3
    planes = np.stack([zigzag >> 8, zigzag & 255, blood]).astype(np.uint8)
    return _deflated(planes, zlib.Z_RLE)  # noise has no repeats worth a search


def unpack(text: str, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of `pack`, as viewer.js does it: values (y, x) uint16 and blood (y, x) uint8. Slow, to be read."""
    high, low, blood = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(3, rows, columns)
    zigzag = high.astype(np.int64) << 8 | low
    rest = (zigzag >> 1) ^ -(zigzag & 1)
    wide = np.zeros((rows + 1, columns + 1), np.int64)
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            wide[y, x] = ((wide[y, x - 1] + wide[y - 1, x]) >> 1) + rest[y - 1, x - 1] & 0xFFFF
    return wide[1:, 1:].astype(np.uint16), blood


def parts() -> dict[str, str | bool]:
    """The page part, as arguments of `gradio.HTML`; its value is a payload."""
    return {
        "html_template": _file("viewer.html"),
        "css_template": _file("viewer.css"),
        "js_on_load": _file("viewer.js"),
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


def _report(result: Result, origin: str, rows: int, columns: int) -> dict:
    """What stands beside the picture, in words and shares of one."""
    order = (ANY, *(k for k in range(len(LABELS)) if k != ANY))  # whether there is blood, before which kind
    return {
        "origin": origin or _size(result.scan),
        "sentence": sentence(result),
        "scores": [
            {
                "name": "any bleeding" if k == ANY else LABELS[k],
                "color": COLORS[k],
                "scan": round(float(result.scan_scores[k]), 4),
                "slices": [round(float(score), 4) for score in result.slice_scores[:, k]],
            }
            for k in order
        ],
        "score_threshold": result.score_threshold,
        "volume": volume(result),
        "warnings": [*result.warnings, *_shrunk_note(result.scan, rows, columns)],
        "models": [f"{name} {sha256[:8]}" for name, sha256 in result.models],
        "notice": NOTICE,
    }


def volume(result: Result) -> str:
    """mL and what they rest on, or why there are none."""
    if result.volume_ml is None:
        return "Volume unknown: the file carries no trusted spacing."
    if not result.volume_ml:
        return "No voxel is marked as blood."
    dz, dy, dx = result.scan.spacing_mm
    return f"{result.volume_ml:.1f} mL marked, in voxels of {dx:.2f} x {dy:.2f} mm, slices {dz:.1f} mm apart."


def _size(scan: Scan) -> str:
    count, rows, columns = scan.hu.shape
    return f"Your scan: {count} slice{'s' if count > 1 else ''} of {columns} x {rows} pixels."


def _shrunk_note(scan: Scan, rows: int, columns: int) -> list[str]:
    if scan.hu.shape[1:] == (rows, columns):
        return []
    full_rows, full_columns = scan.hu.shape[1:]
    return [f"Shown at {columns} x {rows} of {full_columns} x {full_rows} pixels; scores and mL are of the full scan."]


def _pixel_mm(scan: Scan, rows: int, columns: int) -> list[float] | None:
    """(row, column) distance of the viewer's pixels, or None."""
    if not scan.spacing_known:
        return None
    _, dy, dx = scan.spacing_mm
    return [dy * scan.hu.shape[1] / rows, dx * scan.hu.shape[2] / columns]


def _shrunk(hu: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return hu if hu.shape == (rows, columns) else cv2.resize(hu, (columns, rows), interpolation=cv2.INTER_AREA)


def _most(blood: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The highest probability around each shown pixel."""
    if blood.shape == (rows, columns):
        return blood
    around = np.ones((-(-blood.shape[0] // rows), -(-blood.shape[1] // columns)), np.uint8)
    highest = cv2.dilate(blood.astype(np.float32), around)
    return cv2.resize(highest, (columns, rows), interpolation=cv2.INTER_NEAREST)


def _heat_size(shape: tuple[int, int, int]) -> list[int]:
    """Rows and columns of a heat picture."""
    _, rows, columns = shape
    share = min(1.0, _HEAT_SIDE / max(rows, columns))
    return [max(round(rows * share), 1), max(round(columns * share), 1)]


def _small_heat(heat: np.ndarray) -> str:
    """A heat map as base64 of deflated bytes, 255 for 1."""
    rows, columns = _heat_size((1, *heat.shape))
    small = cv2.resize(heat.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return _deflated(np.clip(np.rint(small * 255), 0, 255).astype(np.uint8), zlib.Z_DEFAULT_STRATEGY)


def _deflated(values: np.ndarray, strategy: int) -> str:
    squeeze = zlib.compressobj(level=1, strategy=strategy)
    return base64.b64encode(squeeze.compress(values.tobytes()) + squeeze.flush()).decode("ascii")
