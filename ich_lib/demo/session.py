"""The demo without its page: from samples and uploaded files to the data of the viewer, step by step.

Every sentence here is for the person in front of the page; what goes wrong inside becomes one (ValueError).
"""

import logging
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from ich_lib.demo import viewer
from ich_lib.demo.job import Canceled, awaited, run_in_thread
from ich_lib.demo.samples import release_memory, sample_case
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.engine import Models, load
from ich_lib.prediction.inputs import input_pictures
from ich_lib.readers import read, read_truth
from ich_lib.scan import Scan
from ich_lib.words.page import PageProblem

UNKNOWN_WINDOW, OTHER_WINDOW = "unknown", "other"
MOST_UPLOAD_MB = 150 if os.environ.get("SPACE_ID") else 600  # a Space is shared

# the window of a picture: its name, and level and width in HU for OTHER
WindowSettings = tuple[str, float | None, float | None]
_log = logging.getLogger("ich.demo")


@dataclass(frozen=True)
class CurrentScan:
    """What a session looks at: a sample's name, or where its files lie. Nothing of the scan itself is kept.

    Attributes:
        part: which of several studies in the files it is, as `read` takes it.
        id: of the picture.
        shape: (z, y, x) of the scan.
        affine: of the scan; None where its place is not known.
        places: of its slices where they are uneven, see `Scan`.
        series: a line on each series of the files, and series_read the number of the one that is shown; see `Scan`.
        orientation: of the scan, for a mask whose file does not say how it lies; None of DICOM, whose masks may lie
            in any order.
        believe: whether the finding is shown although the scan may be no native head CT.
    """

    sample: str | None = None
    paths: tuple[str, ...] = ()
    id: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    affine: np.ndarray | None = None
    places: np.ndarray | None = None
    part: str | None = None
    series: tuple[str, ...] = ()
    series_read: int = 0
    orientation: str | None = None
    believe: bool = False


class RequestCounter:
    """Counts what a session asked for, so that only the last is answered, and knows its model.

    Attributes:
        last: number of the last request.
        word: what the page says once that one is answered; None while it is not, and while files are written. An
            earlier reading may have sent its share after that, and then says this word again as it ends.
        model: the name of the model of the first viewer; "" for the one that the page was started with.
    """

    def __init__(self) -> None:
        self.last = 0
        self.word: str | None = None
        self.model = ""

    def next(self) -> int:
        """The number of something new."""
        self.last += 1
        self.word = None
        return self.last

    def end(self, turn: int, word: str = "") -> None:
        """The request of that number is answered, unless a newer one was made."""
        if self.last == turn:
            self.word = word


@contextmanager
def _readable_errors() -> Iterator[None]:
    """Whatever goes wrong inside becomes a ValueError with a sentence for the person; the page goes on."""
    try:
        yield
    except (ValueError, Canceled):
        raise
    except Exception as problem:  # noqa: BLE001 - whatever it was
        # neither the message nor a path: they may quote the file, and so name the patient
        _log.error("%s\n%s", type(problem).__name__, "".join(traceback.format_tb(problem.__traceback__)))
        raise PageProblem("our_fault") from None


def read_upload(
    paths: Sequence[str],
    window_name: str,
    level: float | None,
    width: float | None,
    series: int | str | None = None,
    *,
    part: str | None = None,
) -> Scan:
    """Uploaded files to a scan.

    Args:
        paths: where the files lie.
        window_name: of a picture, with `level` and `width` for OTHER_WINDOW.
        level: see there.
        width: see there.
        series: as `read` takes it.
        part: as `read` takes it.

    Raises:
        ValueError: with the sentence for the person, where that cannot be.
    """
    with awaited(), _readable_errors():
        _check_size(paths)
        if window_name == OTHER_WINDOW and None in (level, width):
            raise PageProblem("own_window")
        own_window = cast("tuple[float, float]", (level, width))
        window = {UNKNOWN_WINDOW: None, OTHER_WINDOW: own_window}.get(window_name, window_name)
        return read(paths, window=window, series=series, part=part, isolated=True)


def current_scan(last: CurrentScan, window_settings: WindowSettings) -> Scan:
    """The scan that a session looks at, read once more.

    Raises:
        ValueError: with the sentence for the person, where that cannot be.
    """
    if last.sample:
        return sample_case(last.sample).scan
    return read_upload(last.paths, *window_settings, last.series_read or None, part=last.part)


def find_blood(
    scan: Scan,
    models: Models | None,
    progress: Callable[[float], None] | None = None,
    *,
    believe: bool = False,
) -> Result:
    """What is found in a scan; with `believe` also where it may be no native head CT.

    Raises:
        ValueError: with the sentence for the person, where something goes wrong.
    """
    try:
        with awaited(), _readable_errors():
            return analyze(scan, models, believe=believe, progress=progress)
    finally:
        release_memory(models)


def at_threshold(result: Result, threshold: float | None) -> Result:
    """The result with the mask of another threshold, in 255ths as the viewer counts; it says so in its warnings.

    >>> from ich_lib import analyze, phantom
    >>> result = analyze(phantom(1, bleeds=["epidural"], slices=12, pixels=128).scan)
    >>> at_threshold(result, 230).warnings[-1]
    "The mask's threshold was set to 0.90 by a person; the model's own is 0.50."
    >>> at_threshold(result, 128) is result  # the model's own
    True
    """
    own_threshold = max(round(result.threshold * 255), 1)
    if threshold is None or not 1 <= threshold <= 255 or int(threshold) == own_threshold:
        return result
    chosen = int(threshold) / 255
    note = f"The mask's threshold was set to {chosen:.2f} by a person; the model's own is {result.threshold:.2f}."
    return replace(result, threshold=chosen, warnings=(*result.warnings, note))


def inputs_overlay(scan: Scan, models: Models | None, picture_id: str) -> dict:
    """What each model is given of a scan, as an addition to the picture with that id."""
    payloads = [viewer.inputs_payload(input_pictures(scan, model)) for model in models or load()]
    return viewer.overlay(picture_id, {"inputs": payloads})


def solid_overlay(
    last: CurrentScan,
    models: Models | None,
    sample: dict | None,
    threshold: float | None,
    truth: str | None,
    window_settings: WindowSettings,
    *,
    progress: Callable[[float], None] | None = None,
) -> dict:
    """What the 3D view of a scan shows, as an addition to its picture. What was uploaded is analyzed once more for it.

    Args:
        last: what the session looks at.
        models: those of the viewer.
        sample: what the viewer shows of a sample, which has its mask already; None of an upload.
        threshold: of the mask, as `at_threshold` takes it.
        truth: where an uploaded true mask lies, if there is one; a sample has its own.
        window_settings: as `read_upload` takes them.
        progress: called with the share done, 0 to 1.

    Raises:
        ValueError: with the sentence for the person, where that cannot be.
    """
    with _readable_errors():
        if sample and last.sample:
            case = sample_case(last.sample)
            content = viewer.solid_payload(case.scan, viewer.shown_mask(sample, threshold), case.truth)
            return viewer.overlay(sample["id"], {"solid": content})
        scan = current_scan(last, window_settings)
        result = at_threshold(find_blood(scan, models, progress, believe=last.believe), threshold)
        blood = result.mask if result.has_mask and not result.is_withheld else None
        true_mask = _read_mask(truth, last) if truth else None
        return viewer.overlay(last.id, {"solid": viewer.solid_payload(scan, blood, true_mask)})


def truth_overlay(path: str, current: CurrentScan | None) -> dict:
    """An uploaded mask as an addition to the picture of the scan that is shown.

    Raises:
        ValueError: with the sentence for the person, where it is none or does not fit.
    """
    if not current or not current.paths:
        raise PageProblem("no_truth")
    with _readable_errors():
        return viewer.overlay(current.id, viewer.truth_layers(_read_mask(path, current), current.shape))


def _read_mask(path: str, current: CurrentScan) -> np.ndarray:
    """(z, y, x) bool, the true mask of the scan that is shown."""
    _check_size([path])
    return read_truth(
        path,
        current.shape,
        current.affine,
        places=current.places,
        orientation=current.orientation,
        isolated=True,
    )


@dataclass(frozen=True)
class Picture:
    """The slices of a scan, before anything is found in them: what the viewers show, and what the session looks at."""

    payload: dict
    scan: CurrentScan


@dataclass(frozen=True)
class Overlay:
    """What is laid over that picture in some of the viewers, by their number."""

    viewers: tuple[int, ...]
    payload: dict


def read_and_analyze(
    paths: Sequence[str],
    window_settings: WindowSettings,
    pairs: Sequence[Models | None],
    truth: str | None,
    is_wanted: Callable[[], bool],
    series: int | None = None,
    *,
    part: str | None = None,
    believe: bool = False,
) -> Iterator[float | Picture | Overlay]:
    """A scan in steps: its picture as soon as there is one, then what each pair of models finds in it, then the truth.

    Args:
        paths: where the files lie.
        window_settings: of their window, as `read_upload` takes it.
        pairs: of models, one for each viewer.
        truth: where its true mask lies, if there is one.
        is_wanted: whether somebody still waits; once not, it ends without a word.
        series: number of the series that was chosen; None for the best.
        part: which of several studies in the files it is.
        believe: show the finding although the scan may be no native head CT.

    Yields:
        The share done now and then, 0 to 1, between the steps.

    Raises:
        ValueError: with the sentence for the person, where that cannot be.
    """
    for step in run_in_thread(lambda _: read_upload(paths, *window_settings, series, part=part)):
        if not is_wanted():
            return
        if isinstance(step, float):
            yield 0.0
        else:
            scan = step
    picture = viewer.scan_picture(scan, file=part or Path(paths[0]).name, more=len(paths) - 1)
    affine = scan.affine if scan.spacing_known else None
    current = CurrentScan(
        None,
        tuple(paths),
        picture["id"],
        scan.hu.shape,
        affine,
        part=part,
        places=scan.places,
        series=scan.series,
        series_read=scan.series_read,
        orientation=None if scan.dicom else scan.orientation,
        believe=believe,
    )
    yield Picture(picture, current)
    for number, models in enumerate(pairs):
        for finding in run_in_thread(partial(_findings, scan, models, believe)):
            if not is_wanted():
                return
            if isinstance(finding, float):
                yield (number + finding) / len(pairs)
            else:
                yield Overlay((number,), viewer.overlay(current.id, finding))
    if truth and is_wanted():
        yield Overlay(tuple(range(len(pairs))), truth_overlay(truth, current))


def _findings(scan: Scan, models: Models | None, believe: bool, report_progress: Callable[[float], None]) -> dict:
    return viewer.findings(find_blood(scan, models, report_progress, believe=believe), viewer.about_model(models))


def _check_size(paths: Sequence[str]) -> None:
    """Gradio limits each file; this limits them together, and reads files alone: a folder would be everybody's."""
    if not all(Path(path).is_file() for path in paths):
        raise PageProblem("gone")
    size_mb = sum(Path(path).stat().st_size for path in paths) / 1e6
    if not paths:
        raise PageProblem("no_file")
    if size_mb > MOST_UPLOAD_MB:
        raise PageProblem("too_large", mb=round(size_mb), most=MOST_UPLOAD_MB)
