"""The words of a DICOM image: which of their bits are the pixel, and which pixels are padding."""

import math

import cv2
import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

_AIR_HU = -500  # padding below is air anyway


def plain_words(header: pydicom.Dataset) -> np.ndarray | None:
    """The words of the usual CT file as they lie in it: one sample of 16 bits, little endian, not compressed.

    Returns:
        (frame, row, column) uint16 or int16; None for any other file, which pydicom decodes, at ten times the cost.
    """
    usual = header.file_meta.TransferSyntaxUID in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    if (
        not usual
        or (header.get("BitsAllocated"), header.get("SamplesPerPixel")) != (16, 1)
        or "PixelData" not in header
    ):
        return None
    shape = (int(header.get("NumberOfFrames") or 1), int(header.Rows), int(header.Columns))
    data, size = header.PixelData, math.prod(shape)
    if len(data) != 2 * size:
        return None
    return np.frombuffer(data, "<i2" if header.PixelRepresentation else "<u2", size).reshape(shape)


def used_bits(stored: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """Stored words without the bits that are no pixel, negative values made whole. Changes nothing in place.

    Old scanners draw overlays into the bits above HighBit (PS3.5 8.1.1), which native and packed files keep alike.

    Args:
        stored: (row, column) integers as decoded.
        header: with BitsStored, HighBit and PixelRepresentation.

    Returns:
        (row, column) of the same type; `stored` itself where every bit is used.
    """
    width, used = 8 * stored.dtype.itemsize, int(header.BitsStored)
    high = int(header.get("HighBit", used - 1))
    below = high + 1 - used  # pixels that do not start at bit 0 are retired since 2014
    if not 0 < used < width or not 0 <= below <= width - used:
        return stored
    if header.PixelRepresentation:
        signed = stored.view(f"i{stored.dtype.itemsize}")
        return (signed << (width - used - below)) >> (width - used)
    return (stored >> below if below else stored) & stored.dtype.type(2**used - 1)


def padded(stored: np.ndarray, values: np.ndarray, hu: np.ndarray, header: pydicom.Dataset) -> np.ndarray | None:
    """Where the scanner saw nothing (PS3.3 C.7.5.1.1.2).

    A padding value may be a value of the head too: 0 where HU are stored as they are, which is water. So a value that
    is not air counts only where it reaches the side of the slice without a break, as what lies outside the gantry does.

    Args:
        stored: (row, column) words as decoded; some files pad with words that use more bits than their pixels.
        values: the same, see `used_bits`.
        hu: the same in HU.
        header: with PixelPaddingValue and perhaps PixelPaddingRangeLimit.

    Returns:
        (row, column) bool; None if there is no padding value.
    """
    ends = [header.get(tag) for tag in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    ends = [int(end) for end in ends if isinstance(end, int)]
    if not ends:
        return None
    found = _between(values, ends) if stored is values else _between(stored, ends) | _between(values, ends)
    if not found.any() or hu[found].max() < _AIR_HU:
        return found
    _, areas = cv2.connectedComponents(found.astype(np.uint8), connectivity=4)
    side = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
    return found & np.isin(areas, side[side > 0])


def _between(words: np.ndarray, ends: list[int]) -> np.ndarray:
    """Compared as stored: 63536 is -2000 where pixels are signed."""
    low, *_, high = sorted(np.array([*ends, ends[0]]).astype(words.dtype))
    return (words >= low) & (words <= high)
