"""The decoder for each DICOM compression: imagecodecs for all of them, as a plugin of pydicom.

By default, pydicom reads JPEG Lossless (the most common in archives) and 12-bit JPEG only with a GPL library, or with
GDCM, which has a record of memory faults. imagecodecs (BSD-3-Clause) includes libjpeg-turbo 3, CharLS and OpenJPEG, all
under permissive licenses. The plugin is named explicitly, so that no other installed decoder is used by chance.
"""

import re
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ich_lib.readers.jpeg import frame_size
from ich_lib.readers.refusal import ReadError, missing_package

_LIBRARY = "imagecodecs"
_DECODERS = {  # transfer syntax to the library's function; OpenJPEG also reads high throughput
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1), "jpeg8_decode"),
    **dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), "jpegls_decode"),
    **dict.fromkeys((JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K), "jpeg2k_decode"),
    RLELossless: "dicomrle_decode",
}
_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K)
DECODER_DEPENDENCIES = dict.fromkeys(_DECODERS, (_LIBRARY,))  # pydicom reads this from a plugin


def register() -> None:
    """Register this module as a plugin of pydicom; a second call changes nothing."""
    for syntax in _DECODERS:
        with suppress(ValueError):  # it is already registered
            get_decoder(syntax).add_plugin(_LIBRARY, (__name__, "decode_frame"))


def plugin(name: str, syntax: UID) -> str:
    """The plugin of pydicom that decodes a transfer syntax; "" for uncompressed pixels.

    Args:
        name: of the file, for messages.
        syntax: its transfer syntax.

    Raises:
        ReadError: if there is no decoder for it.
    """
    if syntax in _DECODERS:
        if _LIBRARY not in get_decoder(syntax).available_plugins:
            raise ReadError(
                f"{name} is compressed as {_family(syntax)}, which is not read here.",
                code="package",
                to_do=missing_package(_LIBRARY, "Export it uncompressed."),
            )
        return _LIBRARY
    with suppress(NotImplementedError):  # pydicom has no decoder
        if get_decoder(syntax).is_native:
            return ""
    words = "in a private format of its vendor" if syntax.name == syntax else f"as {_family(syntax)}"
    raise ReadError(f"{name} is compressed {words}, which is not read here. Export it uncompressed.", code="compressed")


def lossy(header: pydicom.Dataset) -> str | None:
    """How the pixels were compressed with loss, in words; None if there was no loss.

    LossyImageCompression (0028,2110) stays "01" after the file is decompressed (PS3.3 C.7.6.1.1.5). A transfer syntax
    that may be lossy counts as lossy unless the tag says "00".
    """
    flag, syntax = str(header.get("LossyImageCompression") or ""), header.file_meta.TransferSyntaxUID
    if flag != "01" and (flag == "00" or syntax not in _LOSSY):
        return None
    return _family(syntax) if syntax in _LOSSY else "an earlier compression"


def refuse_other_sizes(name: str, header: pydicom.Dataset) -> None:
    """Compare the size in each compressed frame with the header, because decoders reserve the memory that a frame
    claims.

    Raises:
        ReadError: if a frame is larger or smaller than the header says.
    """
    if _DECODERS.get(header.file_meta.TransferSyntaxUID, "dicomrle_decode") == "dicomrle_decode":
        return  # not compressed, or without a size in the frame
    wanted = (int(header.Rows), int(header.Columns))
    for frame in generate_frames(header.PixelData, number_of_frames=int(header.get("NumberOfFrames") or 1)):
        if (size := frame_size(frame)) != wanted:
            raise ReadError(
                f"{name} declares {wanted[1]} x {wanted[0]} px but holds a picture of {size[1]} x {size[0]} px. "
                "It is damaged; export it again.",
                code="damaged",
            )


def is_available(uid: str) -> bool:
    """Whether pydicom may use the plugin; the library is imported with the first frame."""
    return uid in _DECODERS and find_spec(_LIBRARY) is not None


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame to samples as pydicom expects: 1 byte each for up to 8 bits, else 2."""
    decode = getattr(import_module(_LIBRARY), _DECODERS[runner.transfer_syntax])
    if runner.transfer_syntax == RLELossless:
        return decode(source, f"<u{runner.bits_allocated // 8}")
    pixels = decode(source)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return pixels.tobytes()


def _family(syntax: UID) -> str:
    return re.split(r", | \(| Image Comp", syntax.name)[0]
