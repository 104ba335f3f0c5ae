"""Which decoder takes which DICOM compression: imagecodecs all of them, as a plugin of pydicom.

pydicom's own choices read JPEG Lossless, what archives use most, and 12-bit JPEG only through a GPL library or through
GDCM, which has a record of memory faults. imagecodecs (BSD-3-Clause) brings libjpeg-turbo 3, CharLS and OpenJPEG, all
under permissive licenses. The plugin is named, so that whatever else is installed is never used by chance.
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
_DECODERS = {  # transfer syntax: the library's function; OpenJPEG reads high throughput too
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1), "jpeg8_decode"),
    **dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), "jpegls_decode"),
    **dict.fromkeys((JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K), "jpeg2k_decode"),
    RLELossless: "dicomrle_decode",
}
_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K)
DECODER_DEPENDENCIES = dict.fromkeys(_DECODERS, (_LIBRARY,))  # pydicom asks a plugin for it


def register() -> None:
    """Tell pydicom of the plugin that this module is; a second time changes nothing."""
    for syntax in _DECODERS:
        with suppress(ValueError):  # it is known already
            get_decoder(syntax).add_plugin(_LIBRARY, (__name__, "decode_frame"))


def plugin(name: str, syntax: UID) -> str:
    """The plugin of pydicom that decodes a transfer syntax; "" for pixels that are not compressed.

    Args:
        name: of the file, for the sentence.
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
    with suppress(NotImplementedError):  # pydicom knows no decoder
        if get_decoder(syntax).is_native:
            return ""
    words = "in a private way of its maker" if syntax.name == syntax else f"as {_family(syntax)}"
    raise ReadError(f"{name} is compressed {words}, which is not read here. Export it uncompressed.", code="compressed")


def lossy(header: pydicom.Dataset) -> str | None:
    """How the pixels were compressed with loss, in words; None if they were not.

    LossyImageCompression (0028,2110) stays "01" for ever, also once the file is unpacked (PS3.3 C.7.6.1.1.5); a
    syntax that may lose something counts unless the tag says "00".
    """
    flag, syntax = str(header.get("LossyImageCompression") or ""), header.file_meta.TransferSyntaxUID
    if flag != "01" and (flag == "00" or syntax not in _LOSSY):
        return None
    return _family(syntax) if syntax in _LOSSY else "an earlier compression"


def refuse_other_sizes(name: str, header: pydicom.Dataset) -> None:
    """Compare what the compressed frames say of their size with the header: decoders reserve what a frame claims.

    Raises:
        ReadError: if one is larger or smaller than the header says.
    """
    if _DECODERS.get(header.file_meta.TransferSyntaxUID, "dicomrle_decode") == "dicomrle_decode":
        return  # not compressed, or without a size of its own
    wanted = (int(header.Rows), int(header.Columns))
    for frame in generate_frames(header.PixelData, number_of_frames=int(header.get("NumberOfFrames") or 1)):
        if (found := frame_size(frame)) != wanted:
            raise ReadError(
                f"{name} says {wanted[1]} x {wanted[0]} px and holds a picture of {found[1]} x {found[0]} px. "
                "It is damaged; export it again.",
                code="damaged",
            )


def is_available(uid: str) -> bool:
    """Whether pydicom may use the plugin; the library is imported when the first frame comes."""
    return uid in _DECODERS and find_spec(_LIBRARY) is not None


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """One frame to its samples, as pydicom wants them of a plugin: 1 byte each up to 8 bits, 2 beyond."""
    decode = getattr(import_module(_LIBRARY), _DECODERS[runner.transfer_syntax])
    if runner.transfer_syntax == RLELossless:
        return decode(source, f"<u{runner.bits_allocated // 8}")
    pixels = decode(source)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return pixels.tobytes()


def _family(syntax: UID) -> str:
    return re.split(r", | \(| Image Comp", syntax.name)[0]
