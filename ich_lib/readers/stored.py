"""The words of a DICOM image: which of their bits are the pixel, and which pixels are padding."""

import cv2
import numpy as np
import pydicom

_AIR_HU = -500  # padding below is air anyway


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
    return (stored >> below) & stored.dtype.type(2**used - 1)


def padded(stored: np.ndarray, values: np.ndarray, hu: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """Where the scanner saw nothing (PS3.3 C.7.5.1.1.2).

    A padding value may be a value of the head too: 0 where HU are stored as they are, which is water. So a value that
    is not air counts only where it reaches the side of the slice without a break, as what lies outside the gantry does.

    Args:
        stored: (row, column) words as decoded; some files pad with words that use more bits than their pixels.
        values: the same, see `used_bits`.
        hu: the same in HU.
        header: with PixelPaddingValue and perhaps PixelPaddingRangeLimit.

    Returns:
        (row, column) bool.
    """
    found = _equal(stored, header) | _equal(values, header)
    if not found.any() or hu[found].max() < _AIR_HU:
        return found
    _, areas = cv2.connectedComponents(found.astype(np.uint8), connectivity=4)
    side = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
    return found & np.isin(areas, side[side > 0])


def _equal(words: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """Compared as stored: 63536 is -2000 where pixels are signed."""
    ends = [header.get(tag) for tag in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    ends = [np.array(int(end)).astype(words.dtype) for end in ends if isinstance(end, int)]
    return (words >= min(ends)) & (words <= max(ends)) if ends else np.zeros(words.shape, bool)
