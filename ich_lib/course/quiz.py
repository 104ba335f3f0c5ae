"""Do it yourself: one slice a question, to a student and to a model, both marked by the same rules.

Student and model see the same few slices, the asked one in the middle, so neither knows more. The cases follow from a
seed: a class that types the same number gets the same cases in the same order.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

import numpy as np

from ich_lib.data.table import Table
from ich_lib.evaluation import split_of, table_scan, unseen_slices
from ich_lib.labels import ANY, TYPES
from ich_lib.measures.metrics import dice
from ich_lib.phantoms import MIMICS, phantom
from ich_lib.prediction.analyze import analyze
from ich_lib.prediction.engine import Models
from ich_lib.scan import Scan

REACH = 2  # slices shown on each side of the asked one
_FIRST_SEED = 70_000_000  # phantoms of quizzes are none that a model of this library was trained on
_PIXELS = 256  # of a phantom's slice
_MIDDLE = (0.25, 0.85)  # a clean slice is taken from this part of a scan: jaw and vertex are no question


@dataclass(frozen=True)
class Question:
    """One slice, and what is true of it.

    Attributes:
        number: of the question, from 1. The only name that it has.
        scan: the slices that are shown, foot to head.
        index: the slice of the question, from 0.
        bleeds: the truth.
        types: the true types; None if the data set does not state them.
        truth: (y, x) bool, the outlined blood; None if it is not outlined.
    """

    number: int
    scan: Scan
    index: int
    bleeds: bool
    types: frozenset[str] | None
    truth: np.ndarray | None


@dataclass(frozen=True)
class Answer:
    """What a student or a model says of a slice.

    Attributes:
        score: how likely it bleeds, 0 to 1.
        bleeds: what was called.
        types: what kind it is said to be.
        region: (y, x) bool; None where nothing was marked.
    """

    score: float
    bleeds: bool
    types: frozenset[str] = frozenset()
    region: np.ndarray | None = None


@dataclass(frozen=True)
class Mark:
    """One answer against the truth.

    Attributes:
        number: of the question.
        bleeds: whether the slice bleeds.
        true_types: None where they are not told.
        score, said, types: of the answer.
        is_right: whether bleeding was called rightly.
        are_types_right: whether exactly the true types were named; None for a clean slice or unknown types.
        dice: of the region, 0 where none was marked; None for a clean slice, or one without an outline.
        seconds: that the answer took, where that was measured.
    """

    number: int
    bleeds: bool
    true_types: frozenset[str] | None
    score: float
    call: bool
    types: frozenset[str]
    is_right: bool
    are_types_right: bool | None
    dice: float | None
    seconds: float | None = None


def student_answer(
    bleeds: bool, confidence: float, types: Sequence[str] = (), region: np.ndarray | None = None
) -> Answer:
    """A student's answer.

    Args:
        bleeds: what is called.
        confidence: in that, 0.5 (a guess) to 1 (certain).
        types: named by the student; none count for a slice called clean.
        region: (y, x) bool, drawn by the student, or None.

    Raises:
        ValueError: if `confidence` is outside 0.5 to 1, or a type has no such name.
    """
    if not 0.5 <= confidence <= 1:
        raise ValueError(f"The confidence must be 0.5 (a guess) to 1 (certain); got {confidence}.")
    if unknown := sorted(set(types) - set(TYPES)):
        raise ValueError(f"{unknown[0]!r} is no type of bleed; choose from {', '.join(TYPES)}.")
    empty = region is None or not region.any()
    return Answer(
        confidence if bleeds else 1 - confidence, bleeds, frozenset(types if bleeds else ()), None if empty else region
    )


def phantom_question(number: int, seed: int) -> Question:
    """Question `number` (from 1) of a quiz on synthetic heads: every second one bleeds, one in three has a mimic."""
    rng = np.random.default_rng([seed, number])
    bleeds = rng.choice(TYPES, size=rng.choice([0, 1]), replace=False).tolist()
    mimics = rng.choice(MIMICS, size=rng.choice([0, 0, 1]), replace=False).tolist()
    case = phantom(_FIRST_SEED + seed * 1000 + number, bleeds=bleeds, mimics=mimics, pixels=_PIXELS)
    area = case.truth.sum(axis=(1, 2))
    low, high = (round(share * len(area)) for share in _MIDDLE)
    plain = np.arange(low, high)[area[low:high] == 0]
    k = int(rng.choice(np.flatnonzero(area >= max(area.max() / 2, 1)) if area.any() else plain))
    indices = range(max(k - REACH, 0), min(k + REACH + 1, len(area)))
    types = frozenset(kind for kind, mask in case.masks.items() if mask[k].any())
    return Question(number, _take_slices(case.scan, indices), k - indices.start, bool(types), types, case.truth[k])


def _take_slices(scan: Scan, rows: range) -> Scan:
    """Some slices of a scan; what the reader said of the whole is left out, since it may name a file."""
    affine = scan.affine.copy()
    affine[:3, 3] += rows.start * affine[:3, 0]
    return Scan(scan.hu[rows.start : rows.stop], affine, scan.hu_known, scan.spacing_known, scan.orientation)


def draw_rows(table: Table, seed: int) -> np.ndarray:
    """Row numbers of a quiz on a data set: one slice of each scan, scans in random order, about half of them bleeding.

    Where fewer than half of the scans bleed, all of these show a bleeding slice.

    Args:
        table: of the set.
        seed: of the class.
    """
    rng = np.random.default_rng(seed)
    scans = list(table.scans())
    bleeding = sum(bool(table.labels[rows, ANY].any()) for rows in scans)
    chance = min(1.0, len(scans) / 2 / max(bleeding, 1))
    return np.array([_draw_row(table, scans[i], chance, rng) for i in rng.permutation(len(scans))], int)


def _draw_row(table: Table, rows: np.ndarray, chance: float, rng: np.random.Generator) -> int:
    low, high = (round(share * len(rows)) for share in _MIDDLE)
    bleeding = rows[table.labels[rows, ANY]]
    middle = rows[low : max(high, low + 1)]
    clean = middle[~table.labels[middle, ANY]]
    take = bleeding if len(bleeding) and (rng.random() < chance or not len(clean)) else clean
    return int(rng.choice(take if len(take) else rows))


def table_question(table: Table, row: int, number: int) -> Question:
    """A row of a data set as question `number`. Nothing of its name goes with it.

    Raises:
        ValueError: if a picture of it cannot be read.
    """
    same = np.flatnonzero(table.scan == table.scan[row])
    place = int(np.flatnonzero(same == row)[0])
    rows = same[max(place - REACH, 0) : place + REACH + 1]
    try:
        scan = table_scan(table, rows)
        truth = table.truth(row) if table.outlined[row] else None
    except (ValueError, OSError):
        raise ValueError(f"A picture of case {number} cannot be read; go on with the next one.") from None
    types_known = set(TYPES) <= set(table.known_labels)
    types = frozenset(np.array(TYPES)[table.labels[row, :ANY]].tolist()) if types_known else None
    index = int(np.flatnonzero(rows == row)[0])
    return Question(number, scan, index, bool(table.labels[row, ANY]), types, truth)


def model_answer(models: Models, question: Question) -> Answer:
    """What a model says, of the very slices that the student sees."""
    result = analyze(question.scan, models)
    scores, mask = result.slice_scores[question.index], result.mask[question.index]
    bleeds = bool(scores[ANY] >= result.score_threshold)
    kinds = frozenset(kind for kind, score in zip(TYPES, scores, strict=False) if score >= result.score_threshold)
    likeliest = frozenset([TYPES[int(scores[:ANY].argmax())]])
    return Answer(float(scores[ANY]), bleeds, (kinds or likeliest) if bleeds else frozenset(), mask)


def is_fair(models: Models, table: Table) -> bool:
    """Whether the models never saw any of these slices in training, as far as their card states."""
    split = split_of(models, "shipped")
    return bool(all(unseen_slices(split, table, rows).all() for rows in table.scans()))


def mark(question: Question, answer: Answer, *, seconds: float | None = None) -> Mark:
    """An answer against the truth.

    Raises:
        ValueError: if the region is not of the slice's size.
    """
    truth = question.truth if question.bleeds else None
    empty = np.zeros(question.scan.hu.shape[1:], bool)
    return Mark(
        number=question.number,
        bleeds=question.bleeds,
        true_types=question.types,
        score=answer.score,
        call=answer.bleeds,
        types=answer.types,
        is_right=answer.bleeds == question.bleeds,
        are_types_right=answer.types == question.types if question.bleeds and question.types else None,
        dice=None if truth is None else dice(truth, empty if answer.region is None else answer.region),
        seconds=seconds,
    )


@dataclass(frozen=True)
class Tally:
    """How far one has come.

    Attributes:
        n: answers.
        n_right: of them.
        typed, types_right: bleeding slices with known types, and those where exactly these were named.
        dice: mean over outlined bleeding slices; None before the first.
        auc: None until both a clean and a bleeding slice were answered.
    """

    n: int
    n_right: int
    n_typed: int
    n_types_right: int
    dice: float | None
    auc: float | None


def tally(marks: Sequence[Mark]) -> Tally:
    """The sum of some marks."""
    from ich_lib.measures.metrics import auc

    typed = [mark.are_types_right for mark in marks if mark.are_types_right is not None]
    overlaps = [mark.dice for mark in marks if mark.dice is not None]
    area = auc(np.array([mark.bleeds for mark in marks], bool), np.array([mark.score for mark in marks]))
    return Tally(
        n=len(marks),
        n_right=sum(mark.is_right for mark in marks),
        n_typed=len(typed),
        n_types_right=sum(typed),
        dice=float(np.mean(overlaps)) if overlaps else None,
        auc=None if np.isnan(area) else area,
    )


def roc_points(marks: Sequence[Mark]) -> list[tuple[float, float]]:
    """(1 - specificity, sensitivity) at each threshold that the scores make, from (0, 0) to (1, 1).

    Empty until both a clean and a bleeding slice were answered.
    """
    truth, score = np.array([mark.bleeds for mark in marks], bool), np.array([mark.score for mark in marks])
    if not 0 < truth.sum() < len(truth):
        return []
    calls = score[None] >= np.r_[np.inf, np.unique(score)[::-1]][:, None]
    return [(float(c[~truth].mean()), float(c[truth].mean())) for c in calls]


COLUMNS = (
    *("student", "seed", "case", "truth", "true types", "said", "sure", "right", "types said", "types right"),
    *("dice", "seconds", "model", "model said", "model score", "model right", "model types", "model dice"),
)


def to_csv(student: str, seed: int, marks: Sequence[Mark], models: Sequence[Mark], *, model: str = "shipped") -> str:
    """The results of a class test, one line per case, in the order of COLUMNS. No name of a file or a patient is in it.

    Args:
        student: what the student typed.
        seed: of the class.
        marks: the student's.
        models: the model's, of the same cases.
        model: its name.
    """
    text = StringIO()
    table = csv.writer(text, lineterminator="\r\n")  # RFC 4180
    table.writerow(COLUMNS)
    for student_mark, model_mark in zip(marks, models, strict=True):
        sure = student_mark.score if student_mark.call else 1 - student_mark.score
        cells = [
            student,
            seed,
            student_mark.number,
            _call_word(student_mark.bleeds),
            _types(student_mark.true_types),
            _call_word(student_mark.call),
            sure,
        ]
        cells += [
            _yes_or_no(student_mark.is_right),
            _types(student_mark.types),
            _yes_or_no(student_mark.are_types_right),
            _number(student_mark.dice),
        ]
        cells += [
            "" if student_mark.seconds is None else round(student_mark.seconds),
            model,
            _call_word(model_mark.call),
            model_mark.score,
        ]
        cells += [_yes_or_no(model_mark.is_right), _types(model_mark.types), _number(model_mark.dice)]
        table.writerow([escape_formula(cell) for cell in cells])
    return text.getvalue()


def escape_formula(cell: object) -> object:
    """A cell that a spreadsheet would take for a formula, with an apostrophe in front; others as they are.

    Source:
        OWASP, CSV injection: cells that begin with = + - @, tab or carriage return.
    """
    return f"'{cell}" if isinstance(cell, str) and re.match(r"\s*[=+\-@\t\r]", cell) else cell


def _call_word(bleeds: bool) -> str:
    return "blood" if bleeds else "no blood"


def _yes_or_no(right: bool | None) -> str:
    return "" if right is None else "yes" if right else "no"


def _types(types: frozenset[str] | None) -> str:
    return " ".join(kind for kind in TYPES if types and kind in types)


def _number(value: float | None) -> float | str:
    return "" if value is None else value
