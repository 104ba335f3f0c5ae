"""The demo without its page: samples, a stranger's files to what the viewer shows, step by step. app.py is the wiring.

Every sentence here is for the person in front of the page; what goes wrong inside becomes one (ValueError).
"""

import ctypes
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import cast

import numpy as np

from ich_lib.demo import viewer
from ich_lib.demo.job import Stopped, watched
from ich_lib.phantoms import Phantom, phantom
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.engine import Models
from ich_lib.readers import read, read_truth
from ich_lib.scan import Scan
from ich_lib.words import in_each, origin


@dataclass(frozen=True)
class Sample:
    """What `phantom` is asked for."""

    seed: int
    bleeds: tuple[str, ...] = ()
    mimics: tuple[str, ...] = ()
    noise_hu: float = 4.0


SAMPLES = {  # by their names on the page
    "Epidural": Sample(1, bleeds=("epidural",)),
    "Intraparenchymal": Sample(101, bleeds=("intraparenchymal",)),
    "Intraventricular": Sample(101, bleeds=("intraventricular",)),
    "Subarachnoid": Sample(2, bleeds=("subarachnoid",)),
    "Subdural": Sample(2, bleeds=("subdural",)),
    "No bleed": Sample(1),
    "Calcified falx": Sample(3, mimics=("falx calcification",)),
    "Two bleeds, noise": Sample(21, bleeds=("epidural", "subarachnoid"), mimics=("streak",), noise_hu=6),
    "Thin blood, motion": Sample(12, bleeds=("subarachnoid",), mimics=("motion",), noise_hu=6),
}  # the shipped model finds the first four, not always with the right type, misses the subdural, takes chalk in the
# falx for blood and marks the last one in the wrong place; see MODEL_CARD.md
FIRST = next(iter(SAMPLES))
UNKNOWN, OTHER = "unknown", "other"
MOST_UPLOAD_MB = 150 if os.environ.get("SPACE_ID") else 600  # a Space is shared
OUR_FAULT = "Something went wrong on our side. What is on the screen stays; try another file."
STOPPED = "Stopped. What is on the screen stays."
GONE = "A file of this upload is not there any more (half an hour is the longest). Give it once more."
NO_TRUTH_HERE = (
    "A sample brings its own truth (Truth, key t). A mask of yours goes with a scan of yours: give that first."
)

Told = tuple[str, float | None, float | None]  # the window of a picture: its name, and level and width in HU for OTHER
_log = logging.getLogger("ich.demo")


@dataclass(frozen=True)
class Shown:
    """What a session looks at: a sample's name, or where its files lie. Nothing of the scan itself is kept.

    Attributes:
        id: of the picture.
        shape: (z, y, x) of the scan.
        affine: of the scan; None where its place is not known.
    """

    sample: str | None = None
    paths: tuple[str, ...] = ()
    id: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    affine: np.ndarray | None = None


class Turns:
    """Counts what a session asked for, so that only the last is answered."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        """The number of something new."""
        self.last += 1
        return self.last


def rest(models: Models | None) -> None:
    """Give back what a scan needed: after nine samples a process fell from 872 to 317 MB, in 26 ms."""
    for model in models or ():
        model.rest()
    if sys.platform == "linux":  # glibc keeps what was freed until it is asked
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def sample_case(name: str) -> Phantom:
    """A head of SAMPLES with its truth."""
    sample = SAMPLES[name]
    return phantom(sample.seed, bleeds=sample.bleeds, mimics=sample.mimics, noise_hu=sample.noise_hu)


def sample_reader(models: Models | None = None) -> Callable[[str], dict]:
    """A function from a sample's name to what the viewer shows; each sample is made and read once."""
    ready: dict[str, dict] = {}
    locks = {name: Lock() for name in SAMPLES}

    def sample(name: str) -> dict:
        with locks[name]:
            if name not in ready:
                case = sample_case(name)
                found = analyze(case.scan, models)
                ready[name] = viewer.payload(found, origin=in_each(origin, case), truth=case.truth)
                rest(models)
        return ready[name]

    return sample


@contextmanager
def _plainly() -> Iterator[None]:
    """Whatever goes wrong inside becomes a ValueError with a sentence for the person; the page goes on."""
    try:
        yield
    except (ValueError, Stopped):
        raise
    except Exception as problem:  # noqa: BLE001 - whatever it was
        # neither the message nor a path: they may quote the file, and so name the patient
        _log.error("%s\n%s", type(problem).__name__, "".join(traceback.format_tb(problem.__traceback__)))
        raise ValueError(OUR_FAULT) from None


def scan_of(paths: Sequence[str], window_name: str, level: float | None, width: float | None) -> Scan:
    """Uploaded files to a scan.

    Raises:
        ValueError: with the sentence for the person, where that cannot be.
    """
    with _plainly():
        _check_size(paths)
        asked = cast("tuple[float, float]", (level, width))  # `read` refuses a box left empty, where it needs one
        return read(paths, window={UNKNOWN: None, OTHER: asked}.get(window_name, window_name), isolated=True)


def found_in(scan: Scan, models: Models | None, progress: Callable[[float], None] | None = None) -> Result:
    """What is found in a scan.

    Raises:
        ValueError: with the sentence for the person, where something goes wrong.
    """
    try:
        with _plainly():
            return analyze(scan, models, progress=progress)
    finally:
        rest(models)


def truth_of(path: str, shown: Shown | None) -> dict:
    """An uploaded mask as an addition to the picture of the scan that is shown.

    Raises:
        ValueError: with the sentence for the person, where it is none or does not fit.
    """
    if not shown or not shown.paths:
        raise ValueError(NO_TRUTH_HERE)
    with _plainly():
        _check_size([path])
        return viewer.adding(
            shown.id, viewer.truths(read_truth(path, shown.shape, shown.affine, isolated=True), shown.shape)
        )


@dataclass(frozen=True)
class Picture:
    """The slices of a scan, before anything is found in them: what the viewers show, and what the session looks at."""

    payload: dict
    shown: Shown


@dataclass(frozen=True)
class Addition:
    """What is laid over that picture in some of the viewers, by their number."""

    viewers: tuple[int, ...]
    payload: dict


def reading(
    paths: Sequence[str],
    told: Told,
    pairs: Sequence[Models | None],
    truth: str | None,
    wanted: Callable[[], bool],
) -> Iterator[float | Picture | Addition]:
    """A scan in steps: its picture as soon as there is one, then what each pair of models finds in it, then the truth.

    Args:
        paths: where the files lie.
        told: of their window, as `scan_of` takes it.
        pairs: of models, one for each viewer.
        truth: where its true mask lies, if there is one.
        wanted: whether somebody still waits; once not, it ends without a word.

    Yields:
        The share done now and then, 0 to 1, between the steps.

    Raises:
        ValueError: with the sentence for the person, where that cannot be.
    """
    for step in watched(lambda _: scan_of(paths, *told)):
        if not wanted():
            return
        if isinstance(step, float):
            yield 0.0
        else:
            scan = step
    picture = viewer.picture(scan)
    affine = scan.affine if scan.spacing_known else None
    shown = Shown(None, tuple(paths), picture["id"], scan.hu.shape, affine)
    yield Picture(picture, shown)
    for number, models in enumerate(pairs):
        for part in watched(partial(_findings, scan, models)):
            if not wanted():
                return
            if isinstance(part, float):
                yield (number + part) / len(pairs)
            else:
                yield Addition((number,), viewer.adding(shown.id, part))
    if truth and wanted():
        yield Addition(tuple(range(len(pairs))), truth_of(truth, shown))


def _findings(scan: Scan, models: Models | None, tell: Callable[[float], None]) -> dict:
    return viewer.findings(found_in(scan, models, tell))


def _check_size(paths: Sequence[str]) -> None:
    """Gradio limits each file; this limits them together, and reads files alone: a folder would be everybody's."""
    if not all(Path(path).is_file() for path in paths):
        raise ValueError(GONE)
    size_mb = sum(Path(path).stat().st_size for path in paths) / 1e6
    if not paths:
        raise ValueError("No file came with the request. Give the files of one head scan.")
    if size_mb > MOST_UPLOAD_MB:
        raise ValueError(f"The upload has {size_mb:.0f} MB; {MOST_UPLOAD_MB} MB is the most. Give one head scan.")
