"""Is this a native head CT in Hounsfield units? Three gates check a scan before its finding is shown.

The first gate checks the header (`Scan.acquisition`), the second the slices (`ich_lib.prepare.anatomy`), the third the
model's own features (`ich_lib.prediction.ood`). Each returns doubts: sentences that either warn or refuse. If a doubt
refuses, the finding, the probabilities and the mL are withheld wherever a result is shown or saved, unless the user
asks for them (`analyze(scan, believe=True)`).

Headers are often wrong. So the part of the body in a header refuses nothing if the slices show a whole skull with brain
in it. Contrast agent, other units than HU and another modality are not visible in the slices, so there the header
decides. Slices that are not in Hounsfield units (`Scan.hu_known`) skip the second gate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ich_lib.prediction.ood import OodScore
from ich_lib.prepare.anatomy import Head
from ich_lib.scan import Acquisition, Scan

CAVITY_ML = (700, 2200)  # normal range of a head; newborns have less
_IMPOSSIBLE_ML = (250, 2500)  # outside these limits it is not a human head, or the spacing is wrong
_WHOLE_MM = 100.0  # length of the slices; a shorter scan shows only a part of the head
_WIDEST_FIELD_MM = 350.0
_LEAST_SHARE, _SMALL_SHARE = 0.3, 0.4  # of the slices that show brain in a skull; the minimum of 70 real heads was 0.52
_CUT_SHARE = 0.25
_LEAST_AIR_ML = 30.0
_BACK_MM, _SIDE_MM, _UP_MM = 15.0, 25.0, 15.0  # the maxima of 70 heads were 3 in front, 19 aside, 21 below
_SHUFFLED, _MOST_FOR_SHUFFLED = 3.0, 60
_LEAST_RANGE_HU = 1000.0  # of a CT, from air to bone

SENTENCES = {
    "no CT": "The header says that this is not a CT.",
    "no HU": "The header says that the numbers are not Hounsfield units.",
    "contrast": "The header says that contrast agent was given. It looks like blood, and the model was trained "
    "on scans without it.",
    "other part": "The header names the body part {part}, and the slices do not clearly show a head.",
    "other part, but a head": "The header names the body part {part}, but the slices show a head.",
    "wide field": "The field of view is {mm:.0f} mm wide, so the head is small in the picture and details are lost.",
    "sharp kernel": "The slices were reconstructed with a sharp (bone) kernel. Its noise can look like blood.",
    "no skull": "No slice shows brain inside a skull. This is probably not a head CT, or its values are not "
    "Hounsfield units.",
    "no whole skull": "The edge of the picture cuts through the body, and no slice shows a whole skull.",
    "small cavity": "The inside of the skull measures {ml:.0f} mL; 700 to 2200 mL is normal. The scan may show a part "
    "of a head, a young child, or an open skull.",
    "tiny cavity": "The structure that looks like a skull has only {ml:.0f} mL inside; 700 to 2200 mL is normal.",
    "large cavity": "The inside of the skull measures {ml:.0f} mL; 700 to 2200 mL is normal. The spacing may be wrong.",
    "huge cavity": "The structure that looks like a skull has {ml:.0f} mL inside; 700 to 2200 mL is normal. The "
    "spacing is wrong, or this is not a head.",
    "few slices of a head": "Only {head} of {count} slices show brain inside a skull. Give only the slices of the "
    "head.",
    "many slices of no head": "Only {head} of {count} slices show brain inside a skull; the model was not "
    "trained on slices like the others.",
    "cut off": "The edge of the picture cuts through the head. The model cannot see blood outside the picture.",
    "upside down": "The face points down: the head is upside down in the picture.",
    "on its side": "The face points to the side: the head lies on its side in the picture.",
    "feet first": "The nose is above the brain: the slices run from head to foot, or the head is upside down. Right "
    "and left may be swapped.",
    "shuffled": "The size of the skull jumps from slice to slice: the slices are not in order.",
    "unlike picture": "The picture differs too much from a CT slice (out-of-distribution score {value:.1f}; "
    "{quantile:.0%} of scans like the training data stay below {limit:.1f}). Give the original CT, or a picture of one "
    "slice without a frame or marks.",
}


@dataclass(frozen=True)
class Doubt:
    """Why a scan may not be a native head CT in HU.

    Attributes:
        code: a key of SENTENCES, or "unlike" for the model's features.
        refuses: whether the finding is withheld because of it.
        values: for the placeholders of the sentence.
        sentence: for a user, in English.
    """

    code: str
    refuses: bool
    values: Mapping[str, float | str]
    sentence: str


def find_doubts(scan: Scan, head: Head, ood: OodScore | None) -> tuple[Doubt, ...]:
    """Check a scan with all three gates.

    Args:
        scan: the scan to check.
        head: the result of `measure_head`.
        ood: the distance of the model's features; None for a model without this test.

    Returns:
        The doubts; those that refuse come first.

    Example:
        >>> from ich_lib import phantom
        >>> from ich_lib.phantoms.bodies import body
        >>> from ich_lib.prepare.anatomy import measure_head
        >>> chest = body("chest", pixels=64, slices=4)
        >>> [doubt.code for doubt in find_doubts(chest, measure_head(chest), None)]
        ['no skull']
        >>> scan = phantom(1, slices=12, pixels=64).scan
        >>> find_doubts(scan, measure_head(scan), None)
        ()
    """
    anatomy = _of_anatomy(scan, head) if scan.hu_known else []
    is_head = scan.hu_known and bool(head.slices.any()) and not any(doubt.refuses for doubt in anatomy)
    doubts = [*_of_header(scan.acquisition, is_head=is_head), *anatomy, *_of_features(scan, ood)]
    return tuple(sorted(doubts, key=lambda doubt: not doubt.refuses))


def _doubt(code: str, *, refuses: bool = False, **values: float | str) -> Doubt:
    return Doubt(code, refuses, values, SENTENCES[code].format(**values))


def _of_header(header: Acquisition, *, is_head: bool) -> list[Doubt]:
    doubts = []
    if header.modality not in ("", "CT"):
        doubts.append(_doubt("no CT", refuses=True))
    if header.numbers == "other":
        doubts.append(_doubt("no HU", refuses=True))
    if header.contrast:
        doubts.append(_doubt("contrast", refuses=True))
    if header.body_part not in ("", "head"):
        code = "other part, but a head" if is_head else "other part"
        doubts.append(_doubt(code, refuses=not is_head, part=header.body_part))
    if header.diameter_mm and header.diameter_mm > _WIDEST_FIELD_MM:
        doubts.append(_doubt("wide field", mm=header.diameter_mm))
    if header.kernel == "sharp":
        doubts.append(_doubt("sharp kernel"))
    return doubts


def _of_anatomy(scan: Scan, head: Head) -> list[Doubt]:
    count, n_head = len(head.slices), int(head.slices.sum())
    if not n_head:
        lone = count == 1 and scan.acquisition.body_part == "head"  # below the brain a head shows no closed skull
        return [_doubt("no whole skull" if head.cut.mean() > 0.5 else "no skull", refuses=not lone)]
    doubts = _of_cavity(head)
    if head.share < _SMALL_SHARE:
        refuses = head.share < _LEAST_SHARE
        code = "few slices of a head" if refuses else "many slices of no head"
        doubts.append(_doubt(code, refuses=refuses, head=n_head, count=count))
    if head.cut[head.slices].mean() > _CUT_SHARE:
        doubts.append(_doubt("cut off"))
    if head.jumps > _SHUFFLED and count <= _MOST_FOR_SHUFFLED:
        doubts.append(_doubt("shuffled", refuses=True))
    return doubts + _of_lie(head)


def _of_cavity(head: Head) -> list[Doubt]:
    ml = head.cavity_ml
    if ml is None or head.length_mm is None:
        return []
    is_whole = head.length_mm >= _WHOLE_MM
    if ml > _IMPOSSIBLE_ML[1] or (is_whole and ml < _IMPOSSIBLE_ML[0]):
        return [_doubt("huge cavity" if ml > _IMPOSSIBLE_ML[1] else "tiny cavity", refuses=True, ml=ml)]
    if ml > CAVITY_ML[1] or (is_whole and ml < CAVITY_ML[0]):
        return [_doubt("large cavity" if ml > CAVITY_ML[1] else "small cavity", ml=ml)]
    return []


def _of_lie(head: Head) -> list[Doubt]:
    """Doubts about the position of the head. The air in nose and sinuses shows it, if there is enough."""
    up_mm, back_mm, left_mm = head.air_mm
    if head.air_ml < _LEAST_AIR_ML:
        return []
    doubts = []
    if abs(left_mm) > max(_SIDE_MM, abs(back_mm)):
        doubts.append(_doubt("on its side", refuses=True))
    elif back_mm > _BACK_MM:
        doubts.append(_doubt("upside down", refuses=True))
    if up_mm > _UP_MM:
        doubts.append(_doubt("feet first"))
    return doubts


def _of_features(scan: Scan, ood: OodScore | None) -> list[Doubt]:
    """A picture is recognized by its narrow range of HU: a window never keeps both air and bone."""
    if ood is None or not ood.is_ood:
        return []
    values = {"value": ood.value, "limit": ood.limit, "quantile": ood.quantile}
    if not scan.hu_known or float(np.ptp(scan.hu)) < _LEAST_RANGE_HU:
        return [_doubt("unlike picture", refuses=True, **values)]
    return [Doubt("unlike", True, values, ood.sentence)]
