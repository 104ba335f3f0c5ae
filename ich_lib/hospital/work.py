"""A closed series to its files: read, analyzed once for each set of weights, written, and noted for every target."""

import logging
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from ich_lib.hospital.capture import capture_of
from ich_lib.hospital.ledger import FAILED, Image, Ledger, digest_of, hashed_uid
from ich_lib.hospital.settings import Settings
from ich_lib.hospital.structured import report_of
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.engine import Models
from ich_lib.readers import ReadError, read
from ich_lib.reports.seg import SourceReferences, write_seg

OUTGOING = "outgoing"
_PARTS = ("seg", "sr", "capture")
UIDS = (*_PARTS, "bleeding")  # the files that `write_files` needs a UID for
log = logging.getLogger("ich.listen")


def analyze_next(ledger: Ledger, settings: Settings, models: Models) -> bool:
    """Analyze the series that has waited longest; False if none is closed."""
    series = ledger.next_closed()
    if series is None:
        return False
    images = ledger.images(series)
    digest, weights = digest_of(images), weights_of(models)
    if ledger.is_made(series, weights, digest):
        ledger.set_series(series, "done")
        return True
    try:
        files = make(images, settings, models, digest)
    except ReadError as problem:  # its message names local files and numbers
        log.warning("series %s cannot be read: %s", hashed_uid(series), problem.code)
        ledger.set_series(series, FAILED, problem.code)
        return True
    except Exception as problem:  # noqa: BLE001 - a fault of ours in one series must not stop the others
        log.error("series %s failed: %s", hashed_uid(series), type(problem).__name__)
        ledger.set_series(series, FAILED, type(problem).__name__)
        return True
    ledger.set_made(series, weights, digest, files, [target.url for target in settings.targets])
    log.info("series %s analyzed: %d files", hashed_uid(series), len(files))
    return True


def weights_of(models: Models) -> str:
    """One hash for the weights of all models used."""
    return " ".join(model.sha256 for model in models)


def make(images: Sequence[Image], settings: Settings, models: Models, digest: str) -> list[tuple[str, str]]:
    """Read, analyze and write: (UID, path) of each file.

    Names and UIDs are derived only from images and weights. So files of a killed process are found again, or made
    identically.

    Raises:
        ReadError: if the images are not a scan.
    """
    uids = {part: _uid(images[0].series, weights_of(models), digest, part) for part in UIDS}
    folder = settings.folder / OUTGOING / uids["seg"].rpartition(".")[2]
    if not folder.is_dir():
        result = analyze(read([image.path for image in images], isolated=True), models)
        unfinished = folder.with_suffix(".unfinished")
        rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write_files(result, [_header(image) for image in images], unfinished, uids)
        unfinished.rename(folder)
    return [(uids[part], str(folder / f"{part}.dcm")) for part in _PARTS if (folder / f"{part}.dcm").is_file()]


def write_files(result: Result, headers: Sequence[Dataset], folder: Path, uids: dict[str, str]) -> None:
    """SEG (if a mask may be shown), SR and secondary capture.

    Args:
        result: from `analyze`.
        headers: of the images.
        folder: must exist.
        uids: UIDS to the UID of each.
    """
    series = {part: _uid(uids[part], "series") for part in _PARTS}
    if result.scan.dicom and not result.is_withheld:
        write_seg(result, folder / "seg.dcm", references=SourceReferences(headers, series["seg"], uids["seg"]))
    report = report_of(result, headers, series["sr"], uids["sr"], uids["bleeding"])
    report.save_as(folder / "sr.dcm", enforce_file_format=True)
    capture = capture_of(result, headers[0], series["capture"], uids["capture"])
    capture.save_as(folder / "capture.dcm", enforce_file_format=True)


def _header(image: Image) -> Dataset:
    return dcmread(image.path, stop_before_pixels=True)


def _uid(*words: str) -> str:
    return str(generate_uid(entropy_srcs=list(words)))


def forget(ledger: Ledger, settings: Settings, now: float) -> int:
    """Delete the images of closed studies; returns their number."""
    images = ledger.forget_before(now - settings.study_idle_s)
    for image in images:
        Path(image.path).unlink(missing_ok=True)
    return len(images)
