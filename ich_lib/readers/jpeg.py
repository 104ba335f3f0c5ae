"""Read the size of a JPEG or JPEG 2000 from its markers, without decoding."""

from collections.abc import Iterator
from itertools import islice

_PLAIN_TYPES = {0xD8, 0x01, *range(0xD0, 0xD8)}  # markers without a length
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC have numbers among those of the frame headers


def frame_size(data: bytes) -> tuple[int, int]:
    """(rows, columns) of a JPEG, JPEG Lossless, JPEG-LS or JPEG 2000 stream.

    Source:
        ITU-T T.81, B.2.2; T.87, C.2.2; T.800, A.5.1 (SIZ: the grid less its offset).

    Raises:
        ValueError: if there is no frame header.
    """
    if (at := data[:2048].find(b"\xff\x4f\xff\x51")) >= 0:  # at the start or, in a JP2 file, after a few boxes
        width, height, left, top = (int.from_bytes(data[at + n : at + n + 4], "big") for n in (8, 12, 16, 20))
        return height - top, width - left
    at = frame_header(data)
    return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")


def frame_header(data: bytes) -> int:
    """Offset of the frame header (SOF), which holds the size.

    Source:
        ITU-T T.81, B.1.1.3 and B.2.2: C0 to CF except DHT (C4), JPG (C8) and DAC (CC); T.87: F7 for JPEG-LS.

    Raises:
        ValueError: if there is no frame header.
    """
    for at in islice(_markers(data), 10_000):
        code = data[at + 1]
        if code == 0xF7 or (0xC0 <= code <= 0xCF and code not in _NO_FRAME):
            return at
    raise ValueError("no frame header")


def _markers(data: bytes) -> Iterator[int]:
    """Offsets of the markers before the first scan."""
    at = 0
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        yield at
        at += 2 if data[at + 1] in _PLAIN_TYPES else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
