"""Recognize a file by its first bytes. Its name is ignored: exports often have none, and names may be wrong."""

import struct
import zlib

HEAD_BYTES, DISC_AT = 4096, 0x8000  # bytes that are examined, and where a CD image begins (ECMA-119, 6.2.1)
UNKNOWN = "data of an unknown kind"
PICTURES = ("png", "jpeg", "tiff", "bmp", "webp")
READABLE = ("dicom", "nifti", *PICTURES)  # kinds that become a scan
PAIR_HEADERS = (  # of files in two halves
    "the header half of a NIfTI .hdr/.img pair",
    "an Analyze or damaged NIfTI header",
    "a gzip file that holds the header half of a NIfTI .hdr/.img pair",
    "a gzip file that holds an Analyze or damaged NIfTI header",
)
ARCHIVES = ("zip", "tar", "7z", "disc")  # kinds that are opened; all others are refused by name

# (offset, bytes, kind); the first match counts
_SIGNATURES = (
    (128, b"DICM", "dicom"),  # PS3.10 section 7.1
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),  # a zip without entries
    (0, b"%PDF", "a PDF"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "bmp"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (8, b"WEBP", "webp"),
    (4, b"ftyp", "a video or HEIC picture"),
    (0, b"MZ", "a Windows program"),
    (0, b"\x7fELF", "a Linux program"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (257, b"ustar", "tar"),
    (0, b"BZh", "tar"),  # the content of bzip2 and xz is examined when they are opened
    (0, b"\xfd7zXZ\x00", "tar"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"PK\x07\x08", "one part of a zip in several parts"),
    (0, b"MSCF", "a CAB archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"\x1f\x9d", "a .Z archive"),
    (0, b"NRRD", "an NRRD volume"),
    (0, b"ObjectType", "a MetaImage header"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\xd0\xcf\x11\xe0", "an Office document"),
)


def file_kind(head: bytes, disc: bytes | None = None) -> str:
    """Name the kind of a file.

    Args:
        head: its first HEAD_BYTES bytes, or all of a shorter file.
        disc: as many bytes from DISC_AT, needed if the first bytes decide nothing.

    Returns:
        One of READABLE (also gzipped DICOM and NIfTI), one of ARCHIVES ("tar" also compressed), or words for a message:
        "a PDF", "plain text".
    """
    if disc is not None:
        return "disc" if disc[1:6] in (b"CD001", b"BEA01") else UNKNOWN
    if not head:
        return "an empty file"
    if head[:2] == b"\x1f\x8b":
        return _inside_gzip(head)
    for offset, signature, name in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    return _nifti(head) or ("dicom" if _is_bare_dicom(head) else _text(head))


def in_words(kind: str) -> str:
    """A kind for a message: "a zip inside a zip or folder", "a PDF"."""
    archive = {"zip": "a zip", "tar": "a tar archive", "7z": "a 7z archive", "disc": "a CD image"}.get(kind)
    return f"{archive} inside a zip or folder" if archive else kind


def _inside_gzip(head: bytes) -> str:
    try:
        inner = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return "a damaged gzip file"
    name = "another" if inner[:2] == b"\x1f\x8b" else file_kind(inner)
    if name in ("nifti", "dicom", "tar"):
        return name
    return f"a gzip file that holds {name.upper() if name in (*READABLE, *ARCHIVES) else name}"


def _nifti(head: bytes) -> str | None:
    """NIfTI-1 starts with the length 348 and has its magic at 344; NIfTI-2 starts with 540, followed by its magic."""
    lengths = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if len(head) >= 348 else set()
    magic = head[4:7] if 540 in lengths else head[344:347]
    if not lengths & {348, 540}:
        return None
    if magic in (b"ni1", b"ni2"):
        return "the header half of a NIfTI .hdr/.img pair"
    return "nifti" if magic in (b"n+1", b"n+2") else "an Analyze or damaged NIfTI header"


def _is_bare_dicom(head: bytes) -> bool:
    """DICOM without its preamble starts with a tag of group 2 or 8; then come VR letters or a short length."""
    if len(head) < 8 or head[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        return False
    length = int.from_bytes(head[4:8], "little")
    return (head[4:6].isalpha() and head[4:6].isupper()) or length < 256


def _text(head: bytes) -> str:
    words = head.decode("utf-8", errors="ignore")
    if len(words.encode()) < 0.9 * len(head) or sum(c.isprintable() or c.isspace() for c in words) < 0.95 * len(words):
        return UNKNOWN
    start = words.lstrip("\ufeff \r\n\t").lower()
    if start.startswith(("<!doctype html", "<html")):
        return "a web page"
    return "an SVG or XML file" if start.startswith(("<?xml", "<svg")) else "plain text"
