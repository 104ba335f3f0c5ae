"""Unpack files that are compressed as a whole (gzip around DICOM, or DICOM's own deflate), with a size limit.

pydicom has no limit: a file of 1.5 MB took 3.1 GB, even if only its header was needed.
"""

import io
import zlib
from typing import BinaryIO

from pydicom.filereader import read_dataset, read_preamble
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from ich_lib.readers.limits import LIMITS
from ich_lib.readers.refusal import ReadError

_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's names for a gzip file, its own header, and none
_FLOOR_BYTES = 5000  # below this size a high ratio is harmless


def plain(name: str, stream: BinaryIO) -> BinaryIO:
    """A DICOM file without its outer compression: neither gzipped nor deflated.

    Args:
        name: of the file, for messages.
        stream: at its first byte.

    Returns:
        The same stream, or one in memory, at its first byte.

    Raises:
        ReadError: if it unpacks to more than LIMITS allow.
    """
    if stream.read(2) == b"\x1f\x8b":
        stream.seek(0)
        stream = io.BytesIO(inflated(name, stream.read(), _GZIP))
    stream.seek(0)
    if _transfer_syntax(stream) == DeflatedExplicitVRLittleEndian:
        stream = _undeflated(name, stream)
    stream.seek(0)
    return stream


def inflated(name: str, packed: bytes, kind: int) -> bytes:
    """Inflate up to a limit; the allowed ratio is that of zip entries.

    Raises:
        ReadError: if the data exceeds the limit.
    """
    limit = min(LIMITS["file_bytes"], LIMITS["packing_ratio"] * max(len(packed), _FLOOR_BYTES))
    unpacker = zlib.decompressobj(kind)
    data = unpacker.decompress(packed, limit + 1)
    if len(data) > limit:
        times = max(limit // len(packed), 1)
        raise ReadError(
            f"{name} unpacks to more than {times} times its size; no CT slice does. Export it unpacked.",
            code="too large",
        )
    if not unpacker.eof:
        raise ValueError("the packed part is cut short")  # `decoding` writes the message
    return data


def _undeflated(name: str, stream: BinaryIO) -> BinaryIO:
    """The preamble and group 2 are never deflated (PS3.5 A.5); the rest becomes explicit little endian."""
    start = stream.tell()  # end of group 2
    stream.seek(0)
    head, packed = stream.read(start), stream.read()
    old, new = (_element(syntax) for syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian))
    if old not in head:  # else pydicom would inflate it again, without a limit
        raise ValueError("the transfer syntax is written in a way that no program does")
    kind = _ZLIB if packed[:1] == b"\x78" else _RAW  # some programs add zlib's header, against the standard
    return io.BytesIO(head.replace(old, new, 1) + inflated(name, packed, kind))


def _element(syntax: UID) -> bytes:
    """TransferSyntaxUID (0002,0010) as written in group 2, with the value padded to 22 bytes: parsers strip the
    zeros."""
    value = str(syntax).encode().ljust(22, b"\0")
    return b"\x02\x00\x10\x00UI" + len(value).to_bytes(2, "little") + value


def _transfer_syntax(stream: BinaryIO) -> UID | None:
    read_preamble(stream, force=True)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    return meta.get("TransferSyntaxUID")
