"""DICOM headers to how a scan was made, in a fixed vocabulary: no text of a header is copied.

People fill in headers by hand and from templates, so each tag is only a hint. `ich_lib.prediction.gates` compares the
hints with the slices.
"""

import re

import pydicom

from ich_lib.readers.protocol import SHARP, SOFT, capitals, has_agent, has_contrast, sharpness
from ich_lib.scan import Acquisition

TAGS = (
    "Modality",
    "BodyPartExamined",
    "ReconstructionDiameter",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "ContrastBolusVolume",
    "ContrastBolusIngredient",
    "ConvolutionKernel",
    "RescaleType",
)
_PARTS = {  # our word: words of PS3.16 CID 4030 and of common use; the first match counts
    "head": "HEAD BRAIN SKULL CRANI ENCEPH KOPF SCHAEDEL CEREBR NEURO TETE CABEZA",
    "face": "FACE FACIAL ORBIT SINUS JAW MANDIB MAXILL DENT TMJ INNEREAR MIDDLEEAR TEMPORAL PETROUS NASAL",
    "neck": "NECK CERVIC CSPINE HALS CAROTID THYROID LARYN PHARYN",
    "spine": "SPINE LUMBAR SACR COCCYX WIRBEL",
    "chest": "CHEST THORA LUNG HEART BREAST RIB STERN MEDIAST CARDI CORONARY TORAX ESOPH",
    "abdomen": "ABD LIVER KIDNEY PANCREA SPLEEN STOMACH COLON BOWEL ADRENAL RENAL GALLBLADDER RECTUM",
    "pelvis": "PELVI HIP OVAR UTERUS PROSTATE BLADDER CERVIX BECKEN",
    "limb": "ARM LEG HAND FOOT KNEE ANKLE ELBOW SHOULDER WRIST FEMUR THIGH CALF HUMER TIBIA EXTREM FINGER TOE CLAVIC",
    "whole body": "WHOLEBODY BODY",
}


def acquisition_of(header: pydicom.Dataset, description: str = "") -> Acquisition:
    """What the header of one image says about how it was made.

    Args:
        header: the TAGS that the file has.
        description: of its series. It often names contrast agent and kernel if the tags are empty.
    """
    modality = capitals(header, "Modality")
    return Acquisition(
        modality=modality if modality in ("", "CT") else "other",
        body_part=body_part(capitals(header, "BodyPartExamined")),
        diameter_mm=_diameter_mm(header),
        contrast=has_agent(header) or has_contrast(description) is True,
        kernel=kernel_kind(capitals(header, "ConvolutionKernel"), description),
        numbers={"": "", "HU": "HU", "US": "unspecified"}.get(capitals(header, "RescaleType"), "other"),
    )


def body_part(text: str) -> str:
    """The part of the body that a tag names, in our vocabulary; "" if it names no known part.

    >>> [body_part(text) for text in ("HEAD", "HEADNECK", "CSPINE", "OVARY", "MILLER")]
    ['head', 'head', 'neck', 'pelvis', '']
    """
    text = re.sub(r"[^A-Z]", "", text.upper())
    return next((part for part, words in _PARTS.items() if any(word in text for word in words.split())), "")


def kernel_kind(kernel: str, description: str = "") -> str:
    """Whether a reconstruction kernel is "soft" or "sharp"; "" if its name is unknown. See `protocol.sharpness`.

    >>> [kernel_kind(kernel) for kernel in ("H31s", "H70h", "FC21", "FC81", "STANDARD", "BONEPLUS", "XY")]
    ['soft', 'sharp', 'soft', 'sharp', 'soft', 'sharp', '']
    """
    return {SOFT: "soft", SHARP: "sharp"}.get(sharpness(kernel, description), "")


def _diameter_mm(header: pydicom.Dataset) -> float | None:
    try:
        diameter = float(header.get("ReconstructionDiameter"))
    except (TypeError, ValueError, OverflowError):
        return None
    return diameter if 0 < diameter < 3000 else None
