"""The sample cases of the page: three real heads, then synthetic ones, each with its true mask."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import cast

import cv2
import numpy as np

from ich_lib.case import Case
from ich_lib.data.real_heads import CREDIT, real_head
from ich_lib.demo import viewer
from ich_lib.demo.job import wait_for_quiet
from ich_lib.phantoms import Phantom, phantom
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.engine import Models
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.words import in_each_language, phantom_sentence, real_head_sentence, verdict_sentence

THUMBNAIL_PX = 72  # a side; the page shows them at half that


@dataclass(frozen=True)
class RealHead:
    """A patient of `real_head`."""

    patient: str

    def case(self) -> Case:
        """The head with its truth."""
        return real_head(self.patient)

    def source(self, case: Case, language: str) -> str:
        """Where it comes from, and which blood is in it."""
        return real_head_sentence(self.patient, case.labels, language)


@dataclass(frozen=True)
class Sample:
    """The arguments of `phantom`."""

    seed: int
    bleeds: tuple[str, ...] = ()
    mimics: tuple[str, ...] = ()
    noise_hu: float = 4.0

    def case(self) -> Phantom:
        """The head with its truth."""
        return phantom(self.seed, bleeds=self.bleeds, mimics=self.mimics, noise_hu=self.noise_hu)

    def source(self, case: Case, language: str) -> str:
        """Where it comes from, and which blood is in it."""
        return phantom_sentence(cast("Phantom", case), language)


SAMPLES: dict[str, RealHead | Sample] = {  # by their names in an address; page.toml has those on the page
    "ct-ich-066": RealHead("066"),
    "ct-ich-084": RealHead("084"),
    "ct-ich-099": RealHead("099"),
    "epidural": Sample(1, bleeds=("epidural",)),
    "intraparenchymal": Sample(101, bleeds=("intraparenchymal",)),
    "intraventricular": Sample(101, bleeds=("intraventricular",)),
    "subarachnoid": Sample(2, bleeds=("subarachnoid",)),
    "subdural": Sample(2, bleeds=("subdural",)),
    "no-bleed": Sample(1),
    "calcified-falx": Sample(3, mimics=("falx calcification",)),
    "two-bleeds": Sample(21, bleeds=("epidural", "subarachnoid"), mimics=("streak",), noise_hu=6),
    "thin-blood": Sample(12, bleeds=("subarachnoid",), mimics=("motion",), noise_hu=6),
}
FIRST_SAMPLE = next(iter(SAMPLES))


def release_memory(models: Models | None) -> None:
    """Give back what a scan needed: after nine samples a process fell from 872 to 317 MB, in 26 ms."""
    for model in models or ():
        model.release()
    if sys.platform == "linux":  # glibc keeps freed memory until a program requests its return
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def sample_case(name: str) -> Case:
    """A head of SAMPLES with its truth."""
    return SAMPLES[name].case()


def sample_reader(models: Models | None = None) -> Callable[[str], dict]:
    """A function from a sample's name to what the viewer shows; each sample is made and read once."""
    ready: dict[str, dict] = {}
    locks = {name: Lock() for name in SAMPLES}

    def sample(name: str) -> dict:
        with locks[name]:
            if name not in ready:
                ready[name] = sample_payload(name, models)
                release_memory(models)
        return ready[name]

    return sample


def read_ahead(sample: Callable[[str], dict]) -> None:
    """Read every sample before anyone asks. Between two of them, the scans of the visitors go first.

    Args:
        sample: from `sample_reader`.
    """
    for name in SAMPLES:
        sample(name)
        wait_for_quiet()


def sample_payload(name: str, models: Models | None) -> dict:
    """What the viewer shows of a sample: with its truth, where it comes from, and what the model makes of it."""
    case = sample_case(name)
    result = analyze(case.scan, models)
    origin, about = in_each_language(_origin, (name, case, result)), viewer.about_model(models)
    content = viewer.payload(result, origin=origin, truth=case.truth, about=about)
    content["case"] = name
    content["report"]["credit"] = CREDIT if isinstance(SAMPLES[name], RealHead) else None
    return content


def _origin(about: tuple[str, Case, Result], language: str) -> str:
    """Where the head comes from, which blood is there, and whether the model finds it."""
    name, case, result = about
    return f"{SAMPLES[name].source(case, language)} {verdict_sentence(result, case.truth, language)}".strip()


def thumbnail(case: Case) -> np.ndarray:
    """(y, x) uint8, the slice with most true blood, or the middle one, cut to the head and small."""
    filled = case.truth.sum(axis=(1, 2))
    hu = case.scan.hu[int(filled.argmax()) if filled.any() else len(filled) // 2]
    inside = cv2.morphologyEx((hu > -300).astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    x, y, wide, high = cv2.boundingRect(inside)
    side = max(wide, high)
    top, left = max(y + high // 2 - side // 2, 0), max(x + wide // 2 - side // 2, 0)
    square = hu[top : top + side, left : left + side]
    gray = np.rint(window(square, *WINDOWS["brain"]) * 255).astype(np.uint8)
    return cv2.resize(gray, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)


def write_thumbnails(path: Path = viewer.THUMBNAILS) -> None:
    """All samples side by side in one small picture, in the order of SAMPLES: `python docs/picture.py thumbnails`."""
    strip = np.concatenate([thumbnail(sample_case(name)) for name in SAMPLES], axis=1)
    cv2.imwrite(str(path), strip, [cv2.IMWRITE_WEBP_QUALITY, 70])
