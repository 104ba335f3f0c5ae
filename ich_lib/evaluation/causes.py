"""The probable cause of a wrong mask, by simple rules on the scan and its truth.

A rule that fits is a hint and not a proof. Each is a small function of arrays with its threshold and its reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from ich_lib.case import Case
from ich_lib.prepare.head import BONE_HU, intracranial

SMALL_ML = 2.0  # the smallest class of the evaluation: 500 voxels of a 256 px slice at 5 mm
THIN_MM = 5.0  # a slice of 5 mm averages a layer this thin with its surroundings
CHRONIC_HU = 5.0  # over brain; fresh bleeds in 5 mm slices are at least 10 HU above it (BHSD: 39 to 56 HU, brain 32)
CALCIFICATION_HU, CALCIFICATION_SHARE = (
    100.0,
    0.1,
)  # clotted blood reaches 80 HU and noise adds 4; a mask also includes the calcification's dark rim
BONE_MM2 = 300.0  # a smaller bright piece of a slice is not skull: it may be a calcification
NEAR_MM, MOST_SHARE = 3.0, 0.5  # about three pixels of 256: bone brightens its surroundings this far
LOWEST_SHARE = 1 / 3  # of a head scan, from the foot: the skull base with its petrous bones
OTHER_CAUSE = "other"


@dataclass(frozen=True)
class Failure:
    """A case and the mask of a model.

    Attributes:
        case: scan, truth and labels.
        mask: (z, y, x) bool.
    """

    case: Case
    mask: np.ndarray

    @cached_property
    def missed(self) -> np.ndarray:
        """(z, y, x) bool, missed blood."""
        return self.case.truth & ~self.mask

    @cached_property
    def false_alarm(self) -> np.ndarray:
        """(z, y, x) bool, marked without blood."""
        return self.mask & ~self.case.truth

    @property
    def is_overcall(self) -> bool:
        """Whether more is marked wrongly than is missed."""
        return int(self.false_alarm.sum()) > int(self.missed.sum())


class Rule(NamedTuple):
    """A cause, in words with its threshold and reason, and its test."""

    cause: str
    text: str
    applies: Callable[[Failure], bool]


def is_small(truth: np.ndarray, slice_ml: float | np.ndarray) -> bool:
    """Whether there is blood, but less than SMALL_ML of it in the whole scan.

    Args:
        truth: (z, y, x) bool.
        slice_ml: mL of a voxel, or (z,) of a voxel of each slice.
    """
    return 0 < float((np.count_nonzero(truth, axis=(1, 2)) * slice_ml).sum()) < SMALL_ML


def is_thin(truth: np.ndarray, spacing_mm: tuple[float, float, float]) -> bool:
    """Whether there is blood, in layers thinner than THIN_MM within their slices."""
    return bool(truth.any()) and thickness_mm(truth, spacing_mm) < THIN_MM


def thickness_mm(truth: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """Thickness of the blood within its slices: four times the mean distance from its border.

    A layer of thickness t has a mean distance of t / 4. A disk gives 2/3 of its diameter.

    Args:
        truth: (z, y, x) bool with blood.
        spacing_mm: along (z, y, x).
    """
    from scipy import ndimage

    sides_mm = spacing_mm[1:]
    planes = [np.pad(plane, 1) for plane in truth if plane.any()]
    far_mm = np.concatenate([ndimage.distance_transform_edt(plane, sampling=sides_mm)[plane] for plane in planes])
    return float(4 * (far_mm.mean() - np.mean(sides_mm) / 2))  # the border is half a pixel before the next center


def is_chronic(hu: np.ndarray, truth: np.ndarray) -> bool:
    """Whether the blood is hardly brighter than the brain of its slices, or darker: the medians differ by less than
    CHRONIC_HU.

    Old blood loses its density within weeks. Thin blood is dark too, because it is averaged: test `is_thin` first.
    False if no brain is visible around it.
    """
    slices = np.flatnonzero(truth.any(axis=(1, 2)))
    brain = [hu[k][(intracranial(hu[k]) > 0) & ~truth[k] & (hu[k] > 15) & (hu[k] < 60)] for k in slices]
    around = np.concatenate([np.zeros(0), *brain])
    return bool(around.size and np.median(hu[truth]) < np.median(around) + CHRONIC_HU)


def is_calcification(hu: np.ndarray, false: np.ndarray) -> bool:
    """Whether at least LIME_SHARE of the falsely marked voxels is brighter than blood can be: LIME_HU and more."""
    return bool(false.any()) and float((hu[false] >= CALCIFICATION_HU).mean()) >= CALCIFICATION_SHARE


def is_next_to_bone(hu: np.ndarray, wrong: np.ndarray, spacing_mm: tuple[float, float, float]) -> bool:
    """Whether at least MOST of the wrong voxels are within NEAR_MM of bone in their slice."""
    return bool(wrong.any()) and share_near_bone(hu, wrong, spacing_mm) >= MOST_SHARE


def share_near_bone(hu: np.ndarray, wrong: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """The share of some voxels, (z, y, x) bool, that is within NEAR_MM of bone in its slice."""
    from scipy import ndimage

    near = 0
    for k in np.flatnonzero(wrong.any(axis=(1, 2))):
        hard = bone(hu[k], spacing_mm)
        if hard.any():
            far_mm = ndimage.distance_transform_edt(~hard, sampling=spacing_mm[1:])
            near += int((far_mm[wrong[k]] <= NEAR_MM).sum())
    return near / int(wrong.sum())


def bone(plane: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """(y, x) bool, the bones of one slice in HU: bright pieces of at least BONE_MM2."""
    bright = (plane >= BONE_HU).astype(np.uint8)
    _, piece, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] * spacing_mm[1] * spacing_mm[2] >= BONE_MM2
    large[0] = False  # dark pixels
    return large[piece]


def is_skull_base(hu: np.ndarray, false: np.ndarray, spacing_mm: tuple[float, float, float]) -> bool:
    """Whether at least MOST of the falsely marked voxels are in the lowest LOW of the slices, and next to bone."""
    low = false.copy()
    low[max(round(LOWEST_SHARE * len(hu)), 1) :] = False
    enough = low.any() and low.sum() >= MOST_SHARE * false.sum()
    return bool(enough) and is_next_to_bone(hu, low, spacing_mm)


def _is_thick(failure: Failure) -> bool:
    return bool(failure.missed.any()) and not is_thin(failure.case.truth, failure.case.scan.spacing_mm)


# In order: the first match is the cause of a case. Causes of the larger fault (too much, or too little) come first.
FALSE_RULES = (
    Rule(
        "skull base",
        f"Half of what is wrongly marked lies in the lowest third of the slices and within {NEAR_MM:.0f} mm of bone: "
        "beams harden between the petrous bones, and bone fills part of the voxels.",
        lambda failure: is_skull_base(failure.case.scan.hu, failure.false_alarm, failure.case.scan.spacing_mm),
    ),
    Rule(
        "next to bone",
        f"Half of what is wrong lies within {NEAR_MM:.0f} mm of bone, which brightens what is beside it.",
        lambda failure: is_next_to_bone(failure.case.scan.hu, failure.false_alarm, failure.case.scan.spacing_mm),
    ),
    Rule(
        "calcification",
        f"A tenth of what is wrongly marked has {CALCIFICATION_HU:.0f} HU and more, brighter than clotted "
        "blood (up to 80).",
        lambda failure: is_calcification(failure.case.scan.hu, failure.false_alarm),
    ),
)
MISSED_RULES = (
    Rule(
        "thin subarachnoid",
        f"Labeled subarachnoid, and its sheets are thinner than {THIN_MM:.0f} mm: a slice averages them with brain.",
        lambda failure: (
            "subarachnoid" in failure.case.types and is_thin(failure.case.truth, failure.case.scan.spacing_mm)
        ),
    ),
    Rule(
        "small",
        f"Less than {SMALL_ML:.0f} mL of blood in the whole scan, a few hundred pixels at the most.",
        lambda failure: is_small(failure.case.truth, failure.case.scan.slice_ml),
    ),
    Rule(
        "chronic",
        f"The blood is less than {CHRONIC_HU:.0f} HU brighter than the brain of its slices, or darker, as blood "
        f"of weeks ago is (fresh blood: 10 and more above); at least {THIN_MM:.0f} mm thick, so not dark by averaging.",
        lambda failure: _is_thick(failure) and is_chronic(failure.case.scan.hu, failure.case.truth),
    ),
    FALSE_RULES[1]._replace(
        applies=lambda failure: is_next_to_bone(failure.case.scan.hu, failure.missed, failure.case.scan.spacing_mm)
    ),
    Rule(
        "thin",
        f"Sheets of blood thinner than {THIN_MM:.0f} mm, averaged with what lies beside them; not subarachnoid.",
        lambda failure: (
            "subarachnoid" not in failure.case.types and is_thin(failure.case.truth, failure.case.scan.spacing_mm)
        ),
    ),
)
RULE_TEXTS = {rule.cause: rule.text for rule in MISSED_RULES + FALSE_RULES} | {OTHER_CAUSE: "None of the rules fits."}


def causes(failure: Failure) -> list[str]:
    """Every cause whose rule fits, the most probable first; only OTHER if none does."""
    order = FALSE_RULES + MISSED_RULES if failure.is_overcall else MISSED_RULES + FALSE_RULES
    return list(dict.fromkeys(rule.cause for rule in order if rule.applies(failure))) or [OTHER_CAUSE]
