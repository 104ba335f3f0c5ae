"""The coding of a stored slice: HU as JPEG-LS, masks as PNG, and two fingerprints for equal and similar slices."""

import hashlib

import cv2
import jpeg_ls
import numpy as np

from ich_lib.prepare.window import WINDOWS, window

LEVELS_HU = np.concatenate(
    [np.arange(*part) for part in ((-1024, -200, 24), (-200, -40, 6), (-40, 140, 1), (140, 300, 4), (300, 3073, 12))]
).astype(np.int16)


THUMBNAIL_PX = 32


def encode_hu(hu: np.ndarray) -> bytes:
    """(y, x) HU to JPEG-LS (ITU-T T.87, lossless) of the numbers of the nearest LEVELS_HU."""
    middle = (LEVELS_HU[1:].astype(np.float32) + LEVELS_HU[:-1]) / 2
    return bytes(jpeg_ls.encode(np.searchsorted(middle, hu).astype(np.uint16)))


def decode_hu(code: bytes) -> np.ndarray:
    """The reverse of `encode_hu`: (y, x) int16 HU, within half a step of LEVELS_HU."""
    return LEVELS_HU[jpeg_ls.decode(np.frombuffer(code, np.uint8))]


def encode_png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def picture_digest(plane: np.ndarray) -> bytes:
    """Equal for pictures that are equal to a whole HU."""
    rounded = np.round(plane).astype(np.int16)
    return hashlib.blake2b(str(rounded.shape).encode() + rounded.tobytes(), digest_size=16).digest()


def thumbnail(hu: np.ndarray) -> np.ndarray:
    """A thumbnail of a slice in the window of the brain render."""
    small = cv2.resize(window(hu, *WINDOWS["brain render"]), (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return np.round(small * 255).astype(np.uint8)
