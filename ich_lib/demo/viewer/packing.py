"""Slices to text that JSON can carry, and back: what travels to the browser, byte for byte."""

import base64
import zlib

import cv2
import numpy as np

from ich_lib.scan import LOWEST_HU

_HEAT_SIDE = 64


def quantize_hu(hu: np.ndarray, scale: float) -> np.ndarray:
    """HU as uint16: stored * scale - 1024."""
    return np.clip(np.rint((hu - LOWEST_HU) / scale), 0, 65535).astype(np.uint16)


def blood_levels(blood: np.ndarray, threshold: float) -> np.ndarray:
    """Probability as uint8 in 255ths, rounded so that `level >= round(255 * threshold)` is exactly the mask."""
    level, byte_threshold = (np.asarray(blood, np.float32) * 255).astype(np.uint8), max(round(threshold * 255), 1)
    inside = blood >= np.float16(threshold)
    return np.where(inside, np.maximum(level, byte_threshold), np.minimum(level, byte_threshold - 1)).astype(np.uint8)


def pack(values: np.ndarray) -> str:
    """One slice as text: what is left after guessing each pixel from its neighbors, deflated, in base64.

    A pixel's guess is the mean of its left and upper neighbor, as in PNG's filter 3, in 16 bits. PNG itself is not
    used: reading pixels back from a canvas is where browsers convert colors and add noise against tracking.

    Args:
        values: (y, x) uint16.

    Returns:
        Base64 of zlib of two planes of y * x bytes: high byte and low byte of the zigzag difference.
    """
    wide = np.pad(values.astype(np.int32), ((1, 0), (1, 0)))  # what lies outside counts as 0
    guess = (wide[1:, :-1] + wide[:-1, 1:]) >> 1
    residual = (wide[1:, 1:] - guess).astype(np.int16)  # wraps at 16 bits, and back when it is added
    zigzag = (
        (residual.astype(np.int32) << 1) ^ (residual.astype(np.int32) >> 15)
    ) & 0xFFFF  # 0, -1, 1, -2 to 0, 1, 2, 3
    planes = np.stack([zigzag >> 8, zigzag & 255]).astype(np.uint8)
    return deflate(planes, zlib.Z_RLE)  # noise has no repeats worth a search


def unpack(text: str, rows: int, columns: int) -> np.ndarray:
    """The inverse of `pack`, as frames.js does it: values (y, x) uint16. Slow, to be read."""
    high, low = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(2, rows, columns)
    zigzag = high.astype(np.int64) << 8 | low
    residual = (zigzag >> 1) ^ -(zigzag & 1)
    wide = np.zeros((rows + 1, columns + 1), np.int64)
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            wide[y, x] = ((wide[y, x - 1] + wide[y - 1, x]) >> 1) + residual[y - 1, x - 1] & 0xFFFF
    return wide[1:, 1:].astype(np.uint16)


def pack_blood(levels: np.ndarray) -> str:
    """(y, x) uint8 levels of blood as base64 of deflated bytes."""
    return deflate(levels, zlib.Z_RLE)


def unpack_blood(text: str, rows: int, columns: int) -> np.ndarray:
    """The inverse of `pack_blood`."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(rows, columns)


def pack_truth(truth: np.ndarray) -> str:
    """A (y, x) bool truth as base64 of deflated bits, eight pixels a byte, the first in the highest bit."""
    return deflate(np.packbits(truth), zlib.Z_DEFAULT_STRATEGY)


def heat_size(shape: tuple[int, int, int]) -> list[int]:
    """Rows and columns of a heat picture."""
    _, rows, columns = shape
    share = min(1.0, _HEAT_SIDE / max(rows, columns))
    return [max(round(rows * share), 1), max(round(columns * share), 1)]


def pack_heat(heat: np.ndarray) -> str:
    """A heat map as base64 of deflated bytes, 255 for 1."""
    rows, columns = heat_size((1, *heat.shape))
    small = cv2.resize(heat.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return deflate(np.clip(np.rint(small * 255), 0, 255).astype(np.uint8), zlib.Z_DEFAULT_STRATEGY)


def deflate(values: np.ndarray, strategy: int) -> str:
    """Base64 of what zlib makes of the bytes."""
    squeeze = zlib.compressobj(level=1, strategy=strategy)
    return base64.b64encode(squeeze.compress(values.tobytes()) + squeeze.flush()).decode("ascii")
