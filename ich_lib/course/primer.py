"""Heads of the clinician's primer: one of each type, and four whose type the reader names."""

import numpy as np

from ich_lib.case import Case
from ich_lib.phantoms import phantom

_QUIZ = ((50, "subdural"), (41, "intraparenchymal"), (53, "epidural"), (61, "intraventricular"))


def head_of(seed: int, *, bleeds: list[str] | None = None, mimics: list[str] | None = None) -> Case:
    """A phantom in seventeen slices of 10 mm: quick to make, and coarse as an old scanner's."""
    return phantom(seed, bleeds=bleeds or [], mimics=mimics or [], slices=17, thickness_mm=10)


def largest_slice(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The slice with most blood.

    Returns:
        (y, x) HU and (y, x) bool, the blood.
    """
    k = int(case.truth.sum(axis=(1, 2)).argmax())
    return case.scan.hu[k], case.truth[k]


def quiz_slices() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(y, x) HU of four heads, in order, and the blood in them."""
    pairs = [largest_slice(head_of(seed, bleeds=[kind])) for seed, kind in _QUIZ]
    return [hu for hu, _ in pairs], [mask for _, mask in pairs]


def quiz_types() -> list[str]:
    """What bleeds in them."""
    return [kind for _, kind in _QUIZ]


def mimic_slice(name: str, seed: int = 80) -> np.ndarray:
    """(y, x) HU: the slice of a head without blood in which a mimic adds most brightness."""
    plain, changed = head_of(seed).scan.hu, head_of(seed, mimics=[name]).scan.hu
    return changed[int(np.clip(changed - plain, 0, 60).sum(axis=(1, 2)).argmax())]
