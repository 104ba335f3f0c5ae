"""PNG and JPG to a scan. A picture knows neither HU nor mm: what the person does not tell stays unknown."""

import re
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from ich_lib.prepare.window import WINDOWS, unwindow
from ich_lib.readers.hounsfield import refuse_constant
from ich_lib.readers.jpeg import frame_header, frame_size
from ich_lib.readers.limits import LIMITS, check_size
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, decoding
from ich_lib.scan import Scan, axial_affine

PLACEHOLDER_MM = (5, 1, 1)
_MASK = re.compile(r"_HGE_Seg$", re.IGNORECASE)  # CT-ICH masks lie among the slices
_COLOR_LEVELS, _COLOR_SHARE = 10, 0.005  # JPEG and small marks stay below both
_MOST_HU = 1_000_000  # of a window: beyond, float32 overflows
_ASSUMED = (
    "Left and right are assumed: the patient's right is taken to be on the left of the picture, as radiologists look.",
    "Pixel size and slice distance are unknown, so nothing is given in mL.",
)


def read_pictures(pieces: Sequence[Piece], name: str, window: str | tuple[float, float] | None) -> Scan:
    """Read pictures as slices, in natural order of their names (2 before 10), foot to head.

    Args:
        pieces: PNG or JPEG files of one size.
        name: what to call them together.
        window: the window they were made with, (level, width) in HU or a name of WINDOWS; None if nobody knows.

    Raises:
        ReadError: if one is damaged, colored or of another size, or the window makes no sense.
    """
    level, width = _level_width(window)
    pieces = in_order(piece for piece in pieces if not is_mask(piece))
    if not pieces:
        raise ReadError(f"{name} holds only masks (_HGE_Seg), no slice. Give the pictures of the slices too.")
    check_pictures(name, pieces)
    gray = np.stack([_unit(picture(piece)) for piece in pieces])
    refuse_constant(name, float(gray.min()), float(gray.max()))
    affine = axial_affine(PLACEHOLDER_MM, gray.shape)
    notes = (_window_note(window, level, width), *_ASSUMED)
    if len(pieces) > 1:
        notes += ("The slices are in the order of their names, taken to run from foot to head.",)
    hu = unwindow(gray, level, width)
    return Scan(hu, affine, hu_known=window is not None, spacing_known=False, notes=notes)


def picture(piece: Piece) -> np.ndarray:
    """Decode one gray picture: (y, x), uint8 or uint16 as the file has it. EXIF turns are not followed.

    Raises:
        ReadError: if it is damaged or a color picture.
    """
    with piece.open() as stream:
        data = stream.read()
    with decoding(piece.name):
        if not _complete(data):
            raise ReadError(f"{piece.name} is cut short: its last part is missing. Copy it again.")
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError("not decoded")
    return pixels if pixels.ndim == 2 else _gray(piece.name, pixels)


def check_pictures(name: str, pieces: Sequence[Piece]) -> None:
    """Compare and limit the sizes of pictures by their headers.

    Raises:
        ReadError: if they differ, or are too small, large or many.
    """
    first = _size(pieces[0])
    for piece in pieces:
        if (size := _size(piece)) != first:
            raise ReadError(
                f"{piece.name} has {size[1]} x {size[0]} px, {pieces[0].name} {first[1]} x {first[0]}. "
                "Slices of one head have one size: give them alone."
            )
    check_size(name, len(pieces), *first, side_px=LIMITS["picture_side_px"])
    if first[0] * first[1] > LIMITS["picture_px"]:
        raise ReadError(
            f"{name} has {first[1]} x {first[0]} px; {LIMITS['picture_px']:,} pixels are the most. Make it smaller."
        )


def in_order(pieces: Iterable[Piece]) -> list[Piece]:
    """Natural order of the whole path: 2.png before 10.png."""
    return sorted(pieces, key=lambda piece: re.sub("[0-9]+", lambda digits: digits[0].zfill(20), str(piece.path)))


def is_mask(piece: Piece) -> bool:
    """Whether it is a CT-ICH mask rather than a slice."""
    return bool(_MASK.search(piece.path.stem))


def _level_width(window: str | tuple[float, float] | None) -> tuple[float, float]:
    if window is None:
        return WINDOWS["brain"]
    if isinstance(window, str):
        if window not in WINDOWS:
            raise ReadError(
                f"The window {window!r} is not known. Take one of {', '.join(WINDOWS)}, or (level, width) in HU."
            )
        return WINDOWS[window]
    try:
        level, width = (float(number) for number in window)
    except (TypeError, ValueError, OverflowError) as problem:
        raise ReadError(f"A window is (level, width) in HU, such as (40, 80); got {window!r}.") from problem
    if not (abs(level) <= _MOST_HU and 0 < width <= _MOST_HU):
        raise ReadError(
            "A window needs a finite level and a positive width in HU, "
            f"neither beyond {_MOST_HU}; got level {level:g}, width {width:g}."
        )
    return level, width


def _window_note(window, level: float, width: float) -> str:
    if window is None:
        return (
            "HU unknown: nobody told the window of the picture, so its grays are laid over the brain window. "
            "Name the window if you know it: then HU are measured."
        )
    low, high = level - width / 2, level + width / 2
    return f"Below {low:g} and above {high:g} HU the picture is black or white: HU are lost there."


def _unit(pixels: np.ndarray) -> np.ndarray:
    """Full range of the file's type to [0, 1], float32: 255 or 65535 is white."""
    return pixels * np.float32(1 / np.iinfo(pixels.dtype).max)


def _gray(name: str, pixels: np.ndarray) -> np.ndarray:
    """One channel of a picture whose color channels agree; alpha is dropped."""
    colors = pixels[..., :3].astype(np.int32)
    spread = colors.max(-1) - colors.min(-1)
    if np.mean(spread > _COLOR_LEVELS / 255 * np.iinfo(pixels.dtype).max) > _COLOR_SHARE:
        raise ReadError(f"{name} is a color picture; a CT slice is gray. Export the slice without colors or marks.")
    return np.ascontiguousarray(pixels[..., 1])


def _complete(data: bytes) -> bool:
    """Whether the end marker is there. Some versions of OpenCV fill the rest of a cut picture with gray, silently."""
    if data[:1] == b"\x89":
        return _chunks_end(data)
    return data.rfind(b"\xff\xd9") > frame_header(data)  # a thumbnail before it has an end of its own


def _chunks_end(data: bytes) -> bool:
    """Walk the chunks of a PNG to IEND. OpenCV reserves what a chunk claims: 1 kB of file took 2.7 GB and 9 s."""
    at = 8
    while at + 12 <= len(data) and data[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(data[at : at + 4], "big")  # length, type, data, checksum
    return data[at : at + 8] == b"\0\0\0\0IEND"


def _size(piece: Piece) -> tuple[int, int]:
    """(rows, columns) from the header, nothing decoded."""
    with piece.open() as stream:
        data = stream.read()
    with decoding(piece.name):
        if data[:1] == b"\x89":
            return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")  # IHDR is always first
        return frame_size(data)
