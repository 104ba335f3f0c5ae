"""How a series was made, by its header: contrast agent, kernel, plane, part of the body.

The tags are not enough. Half of all hospitals leave ContrastBolusAgent or the kernel empty, and write "CTA" or "H70h"
into the description. So both count, in the words of six languages.
"""

import re
import unicodedata
from dataclasses import dataclass

import pydicom
from pydicom.tag import Tag

TAGS = (  # noqa: SIM905
    "StudyInstanceUID ProtocolName ConvolutionKernel ContrastBolusAgent ContrastBolusAgentSequence ContrastBolusVolume "
    "ContrastBolusIngredient BodyPartExamined"
).split()
SOFT, UNKNOWN, SHARP = range(3)  # kernels
_NO_AGENT = {"", "NONE", "NO", "N", "0", "NATIVE", "PLAIN", "WITHOUT", "UNKNOWN", "NOT GIVEN", "NO CONTRAST", "NO CM"}
_NO_AGENT |= {"NON CONTRAST", "NONCONTRAST", "W O", "WO", "WITHOUT CONTRAST", "UNENHANCED", "OHNE", "OHNE KM", "SIN"}

# "non-contrast", "w/o IV", "ohne KM", "sans injection", "C-": a word of contrast after a "no" does not count
_NATIVE = re.compile(
    r"\b(ncct|nccth?|nect|ncect|nativ\w*|unenhanced|uncontrasted|noncon\w*|precon\w*|plain)\b"
    r"|\b(non|no|not|w ?/? ?o|wo|without|ohne|o\.|sin|sans|senza|sem|zonder|pre)[\s_./-]*(iv|i\.v\.)?[\s_./-]*"
    r"(contrast\w*|kontrast\w*|con|ce|c|km|k\.m\.|mdc|enh\w*|inj\w*|iv|cm|pdc|civ|pc)\b"
    r"|\b(c|iv|km) ?-(?![a-z0-9])|(?<![a-z0-9])s/c\b|\bspc\b|\bw ?/ ?o\b"
)
_CONTRAST = re.compile(
    r"\b(contrast\w*|kontrast\w*|ce|cect|cemct|km|mdc|enhanced|postcon\w*|civ|apc|inj|inject\w*|injekt\w*|iodine|"
    r"angio\w*|anio|cta|ctv|ctp|ctap|ctangio\w*|venogra\w*|phlebo\w*|perf\w*|vpct|carotis|carotid\w*|cow|willis|"
    r"arter\w*|venous|venos\w*|venoes|delay\w*|bolus|testbolus|monitor\w*|premonitor\w*)\b"
    r"|(?<![a-z0-9])\+ ?(c|iv|km|ce)\b|\b(c|iv|km|ce) ?\+|(?<![a-z0-9])c/c\b"
    r"|\b(with|mit|avec|con|com|nach|post) (iv|c)\b"
)
# not a readable head in HU: maps, projections, repeated places, drawings of a program
_ODD = re.compile(
    r"\b(perf\w*|ctp|vpct|tdc|cbf|cbv|mtt|ttp|tmax|tmip|minip|mip|mips|vrt?|ssd|volume rendering|dyn\w*|4d|monitor\w*|"
    r"premonitor\w*|testbolus|test bolus|smartprep|bolus|tracker|tracking|iodine|overlay|dose|scout|topo\w*|"
    r"locali[sz]er|surview|summary|report|vnc|screen\w*)\b"
)
_REFORMATTED = re.compile(r"\b(mpr|reformat\w*|refmt|curved|cor|coronal|koron\w*|sag|sagit\w*|obl\w*|3d)\b")
_ACROSS = re.compile(r"\b(cor|coronal|koron\w*|sag|sagit\w*|obl\w*|curved)\b")
_HEAD = re.compile(
    r"\b(head|brain|skull|neuro|cran\w*|krani\w*|kopf|schadel|schaedel|hirn|cct|ccth|cereb\w*|tete|testa|cabeza|hoofd|"
    r"encef\w*|encep\w*|ncct|headneck)\b"
)
_OTHER_PART = re.compile(
    r"\b(neck|hals|cou|cuello|collo|spine|c ?spine|cspine|tspine|lspine|cervical|lumbar|wirbel\w*|[hblw]ws|chest|"
    r"thorax|torax|lung|lungs|abd\w*|pelvis|becken|face|facial|midface|mandib\w*|maxill\w*|orbit|orbits|sinus|sinuses|nnh|"
    r"temporal|petrous|felsenbein|iac|iacs|dental|extremity|knee|hip|shoulder|leg|foot|arm|hand|colon|liver|heart|"
    r"cardiac|coronary|aorta)\b"
)
_SHARP = re.compile(r"\b(bone|bones|boneplus|bonepl|knochen|os|osso|osseux|hueso|edge|lung|sharp|ultra|hr|y ?detail)\b")
_SOFT = re.compile(
    r"\b(brain|hirn|parenchym\w*|soft|standard|stnd|std|smooth|weich\w*|cerebr\w*|cerveau|posterior fossa|u[abc])\b"
)
_SIEMENS = re.compile(r"\b(?:[hbjiuqt]|h[crvp]|b[rvlf]|qr|ur)(\d\d)[a-z]?\b")  # H31s, Hr40, J70h: sharp from 50
_CANON = re.compile(r"\bfc(\d\d)\b")
_CANON_SHARP = (30, 50, 80)  # and up to 9 more: bone, lung, inner ear
_PHILIPS_SOFT, _PHILIPS_SHARP = {"a", "b", "ua", "ub", "uc"}, {"d", "e", "eb", "ec", "f", "l", "yb", "yc", "yd", "ye"}


@dataclass(frozen=True)
class Protocol:
    """How the series of an image was made.

    Attributes:
        study: its UID, to distinguish studies; never shown.
        patient: a number derived from the patient's identity, different in each run of the program; to distinguish
            patients.
        kernel: as in the header, a code such as "H31s".
        contrast: whether the header says that contrast agent was given.
        body_part: as in the header.
        derived: whether it was computed from other images.
    """

    study: str = ""
    patient: int = 0
    kernel: str = ""
    contrast: bool = False
    body_part: str = ""
    derived: bool = False


NO_PROTOCOL = Protocol()


def protocol_of(header: pydicom.Dataset, frame: pydicom.Dataset) -> Protocol:
    """The protocol of a header and of its first image, which has a header of its own in a file of several images."""
    kernel = frame.get("ConvolutionKernel") or ""
    return Protocol(
        study=str(header.get("StudyInstanceUID") or ""),
        patient=_patient(header),
        kernel=kernel if isinstance(kernel, str) else " ".join(map(str, kernel)),
        contrast=has_agent(header),
        body_part=str(header.get("BodyPartExamined") or ""),
        derived="DERIVED" in str(header.get("ImageType") or ""),
    )


def has_agent(header: pydicom.Dataset) -> bool:
    """Whether the tags say that contrast agent was given; some programs write "none" into them."""
    is_named = any(capitals(header, tag) not in _NO_AGENT for tag in ("ContrastBolusAgent", "ContrastBolusIngredient"))
    return is_named or bool(header.get("ContrastBolusAgentSequence")) or _is_positive(header.get("ContrastBolusVolume"))


def capitals(header: pydicom.Dataset, tag: str) -> str:
    """A tag's value in capitals, the first of several, with punctuation replaced by single spaces."""
    value = header.get(tag)
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        value = next(iter(value), "")
    return re.sub(r"[^A-Z0-9]+", " ", str(value or "").upper()).strip()


def has_contrast(description: str) -> bool | None:
    """Whether a description says that contrast was given; None if it does not say.

    >>> has_contrast("CTA +C"), has_contrast("Head w/o contrast"), has_contrast("Head 5.0 H31s")
    (True, False, None)
    """
    text = plain(description)
    is_native = _NATIVE.search(text) is not None
    if _CONTRAST.search(_NATIVE.sub(" ", text)):
        return True
    return False if is_native else None


def is_odd(description: str) -> bool:
    """Whether a description says that this is not a series of slices: maps, projections, perfusion, dose."""
    return _ODD.search(plain(description)) is not None


def is_reformatted(description: str) -> bool:
    """Whether a description says that the slices were computed from others."""
    return _REFORMATTED.search(plain(description)) is not None


def is_across(description: str) -> bool:
    """Whether a description says that the slices are coronal, sagittal or oblique."""
    return _ACROSS.search(plain(description)) is not None


def is_head(description: str, body_part: str) -> bool:
    """Whether a series shows the head; yes if nothing is said. The description has priority over the tag.

    >>> is_head("", "CHEST"), is_head("Head 5.0", "CHEST"), is_head("C-Spine", "HEAD"), is_head("", "")
    (False, True, False, True)
    """
    for text in map(plain, (description, body_part)):
        if _HEAD.search(text):
            return True
        if _OTHER_PART.search(text):
            return False
    return True


def sharpness(kernel: str, description: str) -> int:
    """SOFT, SHARP or UNKNOWN, by the kernel; if its code is unknown, by the description.

    >>> [sharpness(kernel, "") for kernel in ("H31s", "H70h", "FC21", "FC81", "UB", "STANDARD", "BONEPLUS", "")]
    [0, 2, 0, 2, 0, 0, 2, 1]
    """
    code = plain(kernel)
    if (first := re.split(r"[^a-z]", code)[0]) in _PHILIPS_SOFT | _PHILIPS_SHARP and not re.search(r"\d\d", code):
        return SOFT if first in _PHILIPS_SOFT else SHARP
    return next((level for text in (code, plain(description)) if (level := _level(text)) != UNKNOWN), UNKNOWN)


def plain(text: str) -> str:
    """Lower case, without accents; underscores are spaces."""
    letters = unicodedata.normalize("NFKD", text.lower().replace("_", " "))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _level(text: str) -> int:
    if match := _SIEMENS.search(text):
        return SHARP if int(match[1]) >= 50 else SOFT
    if match := _CANON.search(text):
        return SHARP if int(match[1]) // 10 * 10 in _CANON_SHARP else SOFT
    if _SHARP.search(text):
        return SHARP
    return SOFT if _SOFT.search(text) else UNKNOWN


def _patient(header: pydicom.Dataset) -> int:
    """Python's hash of a text differs in each run, so the identity cannot be recovered from it."""
    identity = tuple(_raw(header, tag) for tag in ("PatientID", "PatientName"))
    return hash(identity) if any(identity) else 0


def _raw(header: pydicom.Dataset, tag: str) -> bytes:
    """The bytes of a tag without parsing: some programs write spaces for ^, or lower case."""
    value = header.get_item(Tag(tag)).value if tag in header else b""
    data = value if isinstance(value, bytes) else str(value or "").encode()
    return b" ".join(re.split(rb"[\s^=\0]+", data)).strip().upper()


def _is_positive(value: object) -> bool:
    try:
        return float(str(value)) > 0
    except ValueError:
        return False
