"""One picture file to gray pixels. OpenCV reads PNG and JPEG; Pillow reads TIFF, BMP and WebP, which may hold several.

The size is read from the header before anything is decoded. Pictures of cameras and phones are turned as their EXIF
says, as in every viewer.
"""

import io
from contextlib import suppress
from typing import Any

import cv2
import numpy as np

from ich_lib.readers.coded import is_complete
from ich_lib.readers.jpeg import frame_size
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged

_ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4: 1 upright, 5 to 8 with rows and columns exchanged
_COLOR_LEVELS, _COLOR_SHARE = 10, 0.005  # noise of JPEG and small marks stay below both
_MASK_COLORS, _MASK_GRAY = 16, 0.1  # maximum
_LEAST_TINT = 0.6  # of the palest channel compared with the strongest: films are bluish, masks are red
_TYPES = (np.uint8, np.uint16, np.int16, np.int32, np.float32)


def sizes(piece: Piece, limit: int) -> list[tuple[int, int]]:
    """(rows, columns) of each picture in a file, after turning; nothing is decoded.

    Args:
        piece: a file of one of `sniff.PICTURES`.
        limit: the maximum number of pictures to list.

    Raises:
        ReadError: if its header is damaged.
    """
    data = _bytes(piece)
    with refuse_damaged(piece.name):
        if data[:1] in (b"\x89", b"\xff"):
            rows, columns = _png_size(data) if data[:1] == b"\x89" else frame_size(data)
            return [(columns, rows) if _orientation(data) >= 5 else (rows, columns)]
        page_sizes = []
        with _opened(data) as image:
            for index in range(min(getattr(image, "n_frames", 1), limit)):
                image.seek(index)
                columns, rows = image.size
                is_turned = image.format == "TIFF" and image.getexif().get(_ORIENTATION, 1) >= 5
                page_sizes.append((columns, rows) if is_turned or _orientation(data) >= 5 else (rows, columns))
        return page_sizes


def gray(piece: Piece, index: int = 0, *, any_color: bool = False) -> np.ndarray:
    """Decode one picture of a file.

    Args:
        piece: a file of one of `sniff.PICTURES`.
        index: which of its pictures.
        any_color: accept colors too; each pixel is as bright as its strongest channel, because some masks are colored.

    Returns:
        (y, x) gray as in the file, upright: uint8, uint16, or int16, int32, float32 of a TIFF. Transparent pixels are
        black.

    Raises:
        ReadError: if the picture is damaged or in color.
    """
    data = _bytes(piece)
    with refuse_damaged(piece.name):
        pixels = _decoded(piece.name, data) if data[:1] in (b"\x89", b"\xff") else _page(data, index)
        if pixels.dtype not in _TYPES:
            raise ValueError("not decoded")
    if pixels.ndim == 2:
        return pixels
    colors = _visible(pixels)
    return colors.max(-1) if any_color else _gray_channel(piece.name, colors)


def _bytes(piece: Piece) -> bytes:
    with piece.open() as stream, refuse_damaged(piece.name):
        return stream.read()


def _decoded(name: str, data: bytes) -> np.ndarray:
    if not is_complete(data):
        raise ReadError(f"{name} is cut short: its last part is missing. Copy it again.", code="damaged")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("not decoded")
    return _upright(pixels, _orientation(data))


def _opened(data: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(data), formats=("TIFF", "BMP", "WEBP"))


def _page(data: bytes, index: int) -> np.ndarray:
    """(y, x), or (y, x, 3 or 4) with blue first and alpha last. Pillow turns a TIFF upright when it decodes it."""
    with _opened(data) as image:
        image.seek(index)
        plain = image if image.mode in ("L", "I", "F", "RGB") or image.mode.startswith("I;16") else _plain(image)
        pixels = np.asarray(plain)
        if image.format != "TIFF":
            pixels = _upright(pixels, _orientation(data))
    pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]] if pixels.ndim == 3 else pixels
    return np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))


def _plain(image: Any) -> Any:
    """One bit to gray; palettes and other colors to red, green, blue, with alpha if there is one."""
    alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if alpha else "L" if image.mode == "1" else "RGB")


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a picture by its EXIF orientation (EXIF 2.32, 4.6.4)."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    pixels = pixels[:, ::-1] if across else pixels
    return np.ascontiguousarray(pixels[::-1] if down else pixels)


def _orientation(data: bytes) -> int:
    """1 to 8; 1 for a file without a valid value."""
    if not any(sign in data for sign in (b"Exif\0\0", b"eXIf", b"EXIF")):
        return 1
    from PIL import Image

    with suppress(Exception), Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
        code = int(image.getexif().get(_ORIENTATION, 1))
        return code if 1 <= code <= 8 else 1
    return 1


def _visible(pixels: np.ndarray) -> np.ndarray:
    """(y, x, 3), black where it is transparent, whatever color is stored there; half transparent counts as visible."""
    colors = pixels[..., :3]
    if pixels.shape[-1] < 4 or not pixels[..., 3].any():
        return colors
    return np.where(pixels[..., 3:] > 0, colors, 0)


def _gray_channel(name: str, pixels: np.ndarray) -> np.ndarray:
    """The strongest channel of a gray picture; a tint is accepted, because films have one."""
    colors = pixels.astype(np.float32)
    most_levels = _COLOR_LEVELS / 255 * np.iinfo(pixels.dtype).max
    strongest = 1
    if np.mean(np.ptp(colors, axis=-1) > most_levels) > _COLOR_SHARE:
        tints, distances = _tints(colors)
        if np.mean(distances > most_levels) > _COLOR_SHARE or tints.min() < _LEAST_TINT * tints.max():
            if _is_mask(pixels[::2, ::2].reshape(-1, 3)):
                raise ReadError(
                    f"{name} is a mask in colors, not a slice. Give the pictures of the slices.", code="no scan"
                )
            raise ReadError(
                f"{name} is a color picture; a CT slice is gray. Export the slice without colors or marks.",
                code="no scan",
            )
        strongest = int(tints.argmax())
    return np.ascontiguousarray(pixels[..., strongest])


def _is_mask(colors: np.ndarray) -> bool:
    """Whether (n, 3) pixels are a few flat colors on black with hardly any gray."""
    gray = (colors.max(-1) > 0) & (np.ptp(colors, axis=-1) == 0)
    return bool(gray.mean() < _MASK_GRAY and len(np.unique(colors, axis=0)) <= _MASK_COLORS)


def _tints(colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much each channel changes with the mean of all (least squares), and how far each pixel deviates from that."""
    means = colors.mean((0, 1))
    middle = colors.mean(-1) - means.mean()
    tints = np.tensordot(middle, colors - means, ((0, 1), (0, 1))) / max(float(np.square(middle).sum()), 1e-9)
    return tints, np.abs(colors - means - middle[..., None] * tints).max(-1)


def _png_size(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")  # IHDR is always first
