"""One study to one line. Every worker runs this, so it takes and returns plain values."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from ich_lib.labels import LABELS
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.engine import Models, load
from ich_lib.readers import ReadError, read
from ich_lib.reports import write
from ich_lib.words import result_sentence

FAILED = "failed"  # the finding of a study that could not be read or scored
COLUMNS = {  # of a line, with their types in a table
    "study": "string",
    "finding": "string",
    **dict.fromkeys(LABELS, "double"),
    "volume_ml": "double",
    "slices": "int64",
    "bleeding_slices": "int64",
    "unsure_slices": "int64",
    "doubts": "string",
    "sentence": "string",
    "error": "string",
    "weights": "string",
    "seconds": "double",
}


def score(study: str, weights: str, names: Sequence[str] = (), out: str = "", *, believe: bool = False) -> dict:
    """Read and analyze a study.

    Args:
        study: its path.
        weights: as in `load`.
        names: of the files to write for the study, see `ich_lib.reports.write`.
        out: the folder for these files; each study has a subfolder.
        believe: as in `analyze`.

    Returns:
        A line with the keys of COLUMNS. A study that cannot be read has the finding "failed", the code of its
        `ReadError` and the message. A withheld one has no score and no mL.

    Example:
        >>> from ich_lib import phantom
        >>> from ich_lib.archive.score import score
        >>> from ich_lib.reports.case_files import write_case
        >>> write_case(phantom(1, bleeds=["epidural"], slices=12, pixels=128), "head")
        >>> line = score("head/scan.nii.gz", "shipped")
        >>> line["finding"], line["slices"], f"{line['volume_ml']:.0f} mL"
        ('bleeding', 12, '15 mL')
        >>> score("nowhere", "shipped")["error"]
        'missing'
    """
    models = _models(weights)

    def find() -> Result:
        result = analyze(read(study, isolated=True), models, believe=believe)
        if files_to_write := [name for name in names if not (result.is_withheld and name.startswith("mask"))]:
            write(result, Path(out) / folder_of(study), files_to_write)
        return result

    return line_of(study, models, find)


def line_of(study: str, models: Models, find: Callable[[], Result], *, place: str = "command line") -> dict:
    """The line of a study, as `score` returns it.

    Args:
        study: its name.
        models: the models that analyze it.
        find: reads and analyzes it.
        place: one of `ich_lib.readers.refusal.PLACES`, where the sentence on a study that cannot be read is shown.
    """
    start_s = time.perf_counter()
    line = dict.fromkeys(COLUMNS) | {"study": study, "weights": _hashes(models)}
    try:
        line |= _columns(find())
    except ReadError as problem:
        line |= failure(problem.code, problem.in_words_of(place))
    except (ValueError, OSError) as problem:
        line |= failure(type(problem).__name__, str(problem))
    return line | {"seconds": round(time.perf_counter() - start_s, 3)}


def failure(code: str, sentence: str) -> dict:
    """The line of a study without a result."""
    return {"finding": FAILED, "error": code, "sentence": sentence}


def folder_of(study: str) -> str:
    """Name of the subfolder of a study: its path may contain private names, and may be too long."""
    return hashlib.sha256(study.encode()).hexdigest()[:16]


def _columns(result: Result) -> dict:
    scores = dict.fromkeys(LABELS) if result.is_withheld else result.scores
    called = 0 if result.is_withheld else int((result.slice_scores[:, -1] >= result.score_threshold).sum())
    return {
        "finding": result.finding,
        **scores,
        "volume_ml": result.volume_ml,
        "slices": len(result.scan.hu),
        "bleeding_slices": called,
        "unsure_slices": 0 if result.is_withheld else len(result.unsure_slices),
        "doubts": " ".join(doubt.code.replace(" ", "-") for doubt in result.doubts),
        "sentence": result_sentence(result),
    }


@cache
def _models(weights: str) -> Models:
    """Load once per process, with one core, because the other cores belong to other workers. ONNX Runtime takes as many
    threads as its process may have cores when it loads."""
    if not hasattr(os, "sched_setaffinity"):
        return load(weights)
    import cv2

    cores = os.sched_getaffinity(0)
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return load(weights)
    finally:
        os.sched_setaffinity(0, cores)


def _hashes(models: Models) -> str:
    return " ".join(model.sha256[:16] for model in models)
