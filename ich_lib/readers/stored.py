"""The stored words of a DICOM image: which bits are the pixel, and which pixels are padding."""

import math

import cv2
import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

_AIR_HU = -500  # padding below this is air anyway


def plain_words(header: pydicom.Dataset) -> np.ndarray | None:
    """The words of the most common CT file, without a copy: one sample of 16 bits, little endian, not compressed.

    Returns:
        (frame, row, column) uint16 or int16; None for any other file. Those are decoded by pydicom, which takes ten
        times longer.
    """
    is_plain = header.file_meta.TransferSyntaxUID in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    if (
        not is_plain
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
    """Stored words without the bits that are not part of the pixel, with negative values restored. Changes nothing in
    place.

    Old scanners draw overlays into the bits above HighBit (PS3.5 8.1.1). Uncompressed and compressed files keep them.

    Args:
        stored: (row, column) integers as decoded.
        header: with BitsStored, HighBit and PixelRepresentation.

    Returns:
        (row, column) of the same type; `stored` itself if every bit is used.
    """
    width, used_width = 8 * stored.dtype.itemsize, int(header.BitsStored)
    high = int(header.get("HighBit", used_width - 1))
    pieces_of_part = high + 1 - used_width  # pixels that do not start at bit 0 are retired since 2014
    if not 0 < used_width < width or not 0 <= pieces_of_part <= width - used_width:
        return stored
    if header.PixelRepresentation:
        signed = stored.view(f"i{stored.dtype.itemsize}")
        return (signed << (width - used_width - pieces_of_part)) >> (width - used_width)
    return (stored >> pieces_of_part if pieces_of_part else stored) & stored.dtype.type(2**used_width - 1)


def padded(stored: np.ndarray, values: np.ndarray, hu: np.ndarray, header: pydicom.Dataset) -> np.ndarray | None:
    """The pixels that the scanner did not measure (PS3.3 C.7.5.1.1.2).

    A padding value may also occur in the head: 0 if HU are stored directly, which is water. So a value that is not air
    counts only if it is connected to the side of the slice, like the area outside the gantry.

    Args:
        stored: (row, column) words as decoded; some files use more bits for padding than for pixels.
        values: the same after `used_bits`.
        hu: the same in HU.
        header: with PixelPaddingValue and perhaps PixelPaddingRangeLimit.

    Returns:
        (row, column) bool; None if there is no padding value.
    """
    ends = [header.get(tag) for tag in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    ends = [int(end) for end in ends if isinstance(end, int)]
    if not ends:
        return None
    padding = _between(values, ends) if stored is values else _between(stored, ends) | _between(values, ends)
    if not padding.any() or hu[padding].max() < _AIR_HU:
        return padding
    _, areas = cv2.connectedComponents(padding.astype(np.uint8), connectivity=4)
    side = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
    return padding & np.isin(areas, side[side > 0])


def _between(words: np.ndarray, ends: list[int]) -> np.ndarray:
    """Compared as stored: 63536 is -2000 if pixels are signed."""
    low, *_, high = sorted(np.array([*ends, ends[0]]).astype(words.dtype))
    return (words >= low) & (words <= high)
