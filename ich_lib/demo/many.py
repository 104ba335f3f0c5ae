"""Several studies in one upload: which they are, a row of a table for each, and the table as CSV."""

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ich_lib.archive.score import COLUMNS, FAILED, line_of
from ich_lib.archive.studies import is_study_file
from ich_lib.demo import session
from ich_lib.demo.job import run_in_thread
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.engine import Models, load
from ich_lib.readers import child
from ich_lib.readers.gather import upload_title
from ich_lib.readers.piece import printable_name
from ich_lib.readers.refusal import ReadError
from ich_lib.words import LANGUAGES, doubt_sentences, in_each_language, notes_of, result_sentence
from ich_lib.words.notes import note_by_language
from ich_lib.words.page import PageProblem
from ich_lib.words.refusals import refusal_in

MOST_STUDIES = 20 if os.environ.get("SPACE_ID") else 200  # a Space is shared
_NIFTI = (".nii", ".nii.gz")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would take for one at the start of a cell


@dataclass(frozen=True)
class Study:
    """One study of an upload: its files, and which part of them, as `read` takes it."""

    name: str
    paths: tuple[str, ...]
    part: str | None = None


def list_upload(paths: Sequence[str]) -> tuple[Study, ...]:
    """The studies of an upload; empty where it is one scan, or what only `read` can refuse.

    Of several files each is a study where all are archives or NIfTI files; a scan with its mask is one. Of an archive
    each folder or NIfTI file may be one, see `ich_lib.readers.parts`.

    Raises:
        PageProblem: if there are more than MOST_STUDIES.
    """
    files = [Path(path) for path in paths]
    if not files or not all(is_study_file(file) and file.is_file() for file in files):
        return ()
    are_nifti = all(file.name.lower().endswith(_NIFTI) for file in files)
    if len(files) == 1 and are_nifti:
        return ()
    if len(files) > 1 and not are_nifti:
        return _limited(Study(printable_name(file.name), (str(file),)) for file in files)
    try:
        parts = child.list_parts(upload_title(paths), paths)
    except (ReadError, RuntimeError):  # RuntimeError: the child failed
        return ()  # `read` tells why
    if len(files) > 1:
        by_name = {file.name: str(file) for file in files}
        return _limited(Study(printable_name(part), (by_name[part],)) for part in parts)
    return _limited(Study(printable_name(part), (str(files[0]),), part) for part in parts)


def _limited(studies: Iterator[Study]) -> tuple[Study, ...]:
    listed = tuple(studies)
    if len(listed) > MOST_STUDIES:
        raise PageProblem("too_many_studies", n=len(listed), most=MOST_STUDIES)
    return listed


def score_studies(
    studies: Sequence[Study],
    models: Models | None,
    window_settings: session.WindowSettings,
    is_wanted: Callable[[], bool],
) -> Iterator[dict]:
    """The rows of the table as they come, in order; it ends if the visitor has left or asks for something else.

    Returns:
        Lines as of `ich_lib.archive.score`, with `sentences` by language and `warnings` of the scan, each by language,
        besides.
    """
    models = models or load()
    for study in studies:
        for step in run_in_thread(partial(_row, study, models, window_settings)):
            if not is_wanted():
                return
            if not isinstance(step, float):
                yield step


def _row(
    study: Study, models: Models, window_settings: session.WindowSettings, report_progress: Callable[[float], None]
) -> dict:
    results: list[Result] = []

    def find() -> Result:
        scan = session.read_upload(study.paths, *window_settings, part=study.part)
        results.append(session.find_blood(scan, models, report_progress))
        return results[0]

    line = line_of(study.name, models, find, place="page")
    if results:
        sentences = in_each_language(result_sentence, results[0])
    else:
        sentences = {language: refusal_in(line["sentence"], line["error"], language) for language in LANGUAGES}
    return line | {"sentences": sentences, "warnings": _warnings(results[0]) if results else []}


def _warnings(result: Result) -> list[dict[str, str]]:
    """The doubts about a scan, then the notes on it; each by language."""
    by_language = in_each_language(doubt_sentences, result)
    doubts = [dict(zip(by_language, sentences, strict=True)) for sentences in zip(*by_language.values(), strict=True)]
    return [*doubts, *map(note_by_language, notes_of(result))]


def as_csv(rows: Sequence[dict]) -> str:
    """The table with the columns of an archive's lines; a name is never a formula.

    >>> print(as_csv([{"study": "=1+1", "finding": "none", "any": 0.25}]).splitlines()[1].rstrip(","))
    '=1+1,none,,,,,,0.25
    """
    out = io.StringIO()
    table = csv.DictWriter(out, list(COLUMNS), extrasaction="ignore")
    table.writeheader()
    table.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def table_payload(studies: Sequence[Study], rows: Sequence[dict]) -> dict:
    """What the page's table shows: names of all studies, the rows so far, and the CSV once all are there."""
    keys = ("study", "finding", "any", "volume_ml", "sentences", "warnings", "seconds")
    return {
        "names": [study.name for study in studies],
        "rows": [{key: row[key] for key in keys} | {"failed": row["finding"] == FAILED} for row in rows],
        "csv": as_csv(rows),
    }
