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
from ich_lib.evaluation import scan_of, split_of, unseen_slices
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
        asked: which of them is asked about, from 0.
        bleeds: the truth.
        types: the true types; None where the set does not tell them.
        truth: (y, x) bool, the outlined blood; None where nobody outlined it.
    """

    number: int
    scan: Scan
    asked: int
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
        truth: whether the slice bleeds.
        true_types: None where they are not told.
        score, said, types: of the answer.
        right: whether bleeding was called rightly.
        types_right: whether exactly the true types were named; None for a clean slice or types that are not told.
        dice: of the region, 0 where none was marked; None for a clean slice, or one that nobody outlined.
        seconds: that the answer took, where that was measured.
    """

    number: int
    truth: bool
    true_types: frozenset[str] | None
    score: float
    said: bool
    types: frozenset[str]
    right: bool
    types_right: bool | None
    dice: float | None
    seconds: float | None = None


def said(bleeds: bool, sure: float, types: Sequence[str] = (), region: np.ndarray | None = None) -> Answer:
    """A student's answer.

    Args:
        bleeds: what is called.
        sure: of that, 0.5 (a guess) to 1 (certain).
        types: named by the student; none count for a slice called clean.
        region: (y, x) bool, drawn by the student, or None.

    Raises:
        ValueError: if `sure` is outside 0.5 to 1, or a type has no such name.
    """
    if not 0.5 <= sure <= 1:
        raise ValueError(f"How sure lies between 0.5 (a guess) and 1 (certain); got {sure}.")
    if strange := sorted(set(types) - set(TYPES)):
        raise ValueError(f"{strange[0]!r} is no type of bleed; choose from {', '.join(TYPES)}.")
    empty = region is None or not region.any()
    return Answer(sure if bleeds else 1 - sure, bleeds, frozenset(types if bleeds else ()), None if empty else region)


def phantom_question(number: int, seed: int) -> Question:
    """Question `number` (from 1) of a quiz on heads made by code: every second one bleeds, one in three has a mimic."""
    rng = np.random.default_rng([seed, number])
    bleeds = rng.choice(TYPES, size=rng.choice([0, 1]), replace=False).tolist()
    mimics = rng.choice(MIMICS, size=rng.choice([0, 0, 1]), replace=False).tolist()
    case = phantom(_FIRST_SEED + seed * 1000 + number, bleeds=bleeds, mimics=mimics, pixels=_PIXELS)
    area = case.truth.sum(axis=(1, 2))
    low, high = (round(share * len(area)) for share in _MIDDLE)
    plain = np.arange(low, high)[area[low:high] == 0]
    k = int(rng.choice(np.flatnonzero(area >= max(area.max() / 2, 1)) if area.any() else plain))
    shown = range(max(k - REACH, 0), min(k + REACH + 1, len(area)))
    types = frozenset(kind for kind, mask in case.masks.items() if mask[k].any())
    return Question(number, _cut(case.scan, shown), k - shown.start, bool(types), types, case.truth[k])


def _cut(scan: Scan, rows: range) -> Scan:
    """Some slices of a scan; what the reader said of the whole is left out, since it may name a file."""
    affine = scan.affine.copy()
    affine[:3, 3] += rows.start * affine[:3, 0]
    return Scan(scan.hu[rows.start : rows.stop], affine, scan.hu_known, scan.spacing_known, scan.orientation)


def order(table: Table, seed: int) -> np.ndarray:
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
    return np.array([_one_of(table, scans[i], chance, rng) for i in rng.permutation(len(scans))], int)


def _one_of(table: Table, rows: np.ndarray, chance: float, rng: np.random.Generator) -> int:
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
    shown = same[max(place - REACH, 0) : place + REACH + 1]
    try:
        scan = scan_of(table, shown)
        truth = table.truth(row) if table.outlined[row] else None
    except (ValueError, OSError):
        raise ValueError(f"A picture of case {number} cannot be read; go on with the next one.") from None
    told = set(TYPES) <= set(table.known)
    types = frozenset(np.array(TYPES)[table.labels[row, :ANY]].tolist()) if told else None
    asked = int(np.flatnonzero(shown == row)[0])
    return Question(number, scan, asked, bool(table.labels[row, ANY]), types, truth)


def asked_of(models: Models, question: Question) -> Answer:
    """What a model says, of the very slices that the student sees."""
    result = analyze(question.scan, models)
    scores, mask = result.slice_scores[question.asked], result.mask[question.asked]
    bleeds = bool(scores[ANY] >= result.score_threshold)
    kinds = frozenset(kind for kind, score in zip(TYPES, scores, strict=False) if score >= result.score_threshold)
    likeliest = frozenset([TYPES[int(scores[:ANY].argmax())]])
    return Answer(float(scores[ANY]), bleeds, (kinds or likeliest) if bleeds else frozenset(), mask)


def fair(models: Models, table: Table) -> bool:
    """Whether the models never saw any of these slices in training, as far as their card tells."""
    split = split_of(models, "shipped")
    return bool(all(unseen_slices(split, table, rows).all() for rows in table.scans()))


def marked(question: Question, answer: Answer, *, seconds: float | None = None) -> Mark:
    """An answer against the truth.

    Raises:
        ValueError: if the region is not of the slice's size.
    """
    truth = question.truth if question.bleeds else None
    empty = np.zeros(question.scan.hu.shape[1:], bool)
    return Mark(
        number=question.number,
        truth=question.bleeds,
        true_types=question.types,
        score=answer.score,
        said=answer.bleeds,
        types=answer.types,
        right=answer.bleeds == question.bleeds,
        types_right=answer.types == question.types if question.bleeds and question.types else None,
        dice=None if truth is None else dice(truth, empty if answer.region is None else answer.region),
        seconds=seconds,
    )


@dataclass(frozen=True)
class Standing:
    """How far one has come.

    Attributes:
        n: answers.
        right: of them.
        typed, types_right: bleeding slices whose types are told, and those where exactly these were named.
        dice: mean over outlined bleeding slices; None before the first.
        auc: None until both a clean and a bleeding slice were asked.
    """

    n: int
    right: int
    typed: int
    types_right: int
    dice: float | None
    auc: float | None


def standing(marks: Sequence[Mark]) -> Standing:
    """The sum of some marks."""
    from ich_lib.measures.metrics import auc

    typed = [mark.types_right for mark in marks if mark.types_right is not None]
    overlaps = [mark.dice for mark in marks if mark.dice is not None]
    area = auc(np.array([mark.truth for mark in marks], bool), np.array([mark.score for mark in marks]))
    return Standing(
        n=len(marks),
        right=sum(mark.right for mark in marks),
        typed=len(typed),
        types_right=sum(typed),
        dice=float(np.mean(overlaps)) if overlaps else None,
        auc=None if np.isnan(area) else area,
    )


def roc(marks: Sequence[Mark]) -> list[tuple[float, float]]:
    """(1 - specificity, sensitivity) at each threshold that the scores make, from (0, 0) to (1, 1).

    Empty until both a clean and a bleeding slice were asked.
    """
    truth, score = np.array([mark.truth for mark in marks], bool), np.array([mark.score for mark in marks])
    if not 0 < truth.sum() < len(truth):
        return []
    called = score[None] >= np.r_[np.inf, np.unique(score)[::-1]][:, None]
    return [(float(c[~truth].mean()), float(c[truth].mean())) for c in called]


COLUMNS = (
    *("student", "seed", "case", "truth", "true types", "said", "sure", "right", "types said", "types right"),
    *("dice", "seconds", "model", "model said", "model score", "model right", "model types", "model dice"),
)


def as_csv(student: str, seed: int, marks: Sequence[Mark], models: Sequence[Mark], *, model: str = "shipped") -> str:
    """A class test's results, a line a case, in the order of COLUMNS. No name of a file or a patient is in it.

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
    for mine, its in zip(marks, models, strict=True):
        sure = mine.score if mine.said else 1 - mine.score
        cells = [
            student,
            seed,
            mine.number,
            _word(mine.truth),
            _types(mine.true_types),
            _word(mine.said),
            sure,
        ]
        cells += [_yes(mine.right), _types(mine.types), _yes(mine.types_right), _number(mine.dice)]
        cells += ["" if mine.seconds is None else round(mine.seconds), model, _word(its.said), its.score]
        cells += [_yes(its.right), _types(its.types), _number(its.dice)]
        table.writerow([quoted(cell) for cell in cells])
    return text.getvalue()


def quoted(cell: object) -> object:
    """A cell that a spreadsheet would take for a formula, with an apostrophe in front; others as they are.

    Source:
        OWASP, CSV injection: cells that begin with = + - @, tab or carriage return.
    """
    return f"'{cell}" if isinstance(cell, str) and re.match(r"\s*[=+\-@\t\r]", cell) else cell


def _word(bleeds: bool) -> str:
    return "blood" if bleeds else "no blood"


def _yes(right: bool | None) -> str:
    return "" if right is None else "yes" if right else "no"


def _types(types: frozenset[str] | None) -> str:
    return " ".join(kind for kind in TYPES if types and kind in types)


def _number(value: float | None) -> float | str:
    return "" if value is None else value
