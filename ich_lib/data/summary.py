"""A summary of a data set: counts by label and patient, sample slices, the CT numbers of blood and of the rest."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from ich_lib.colors import TRUTH, rgb
from ich_lib.data.table import Table
from ich_lib.labels import ANY, LABELS, TYPES
from ich_lib.prepare.window import window

CLEAN = "no blood"
_READERS = 4  # decoding releases the interpreter lock


@dataclass(frozen=True)
class LabelCount:
    """How often a label occurs."""

    label: str
    slices: int
    scans: int
    patients: int


@dataclass(frozen=True)
class Patient:
    """One patient of a table.

    Attributes:
        name: as in the set.
        scans, slices, bleeding: how many scans, slices, and slices with blood.
        types: types on any of the slices.
        age: in years, nan if it is not known.
        sex: "" if it is not known.
    """

    name: str
    scans: int
    slices: int
    bleeding: int
    types: tuple[str, ...]
    age: float
    sex: str


def has_label(table: Table, label: str) -> np.ndarray:
    """(n,) bool: the rows that show a label, or CLEAN."""
    return ~table.labels[:, ANY] if label == CLEAN else table.labels[:, LABELS.index(label)]


def count_labels(table: Table) -> list[LabelCount]:
    """Slices, scans and patients of each label of the set, and of CLEAN: those without blood on any slice."""
    result = []
    for label in (name for name in LABELS if name in table.known_labels):
        rows = has_label(table, label)
        result.append(
            LabelCount(label, int(rows.sum()), *(len(np.unique(c[rows])) for c in (table.scan, table.patient)))
        )
    bleeding = table.labels[:, ANY]
    never = [len(np.setdiff1d(column, column[bleeding])) for column in (table.scan, table.patient)]
    return [*result, LabelCount(CLEAN, int((~bleeding).sum()), *never)]


def patients(table: Table) -> list[Patient]:
    """Each patient once, by name; for a set without patients, its scans."""
    patient_or_scan = np.where(table.patient == "", table.scan, table.patient)
    order = np.argsort(patient_or_scan, kind="stable")
    starts = np.flatnonzero(np.r_[True, patient_or_scan[order][1:] != patient_or_scan[order][:-1]])
    return [_patient(table, str(patient_or_scan[rows[0]]), rows) for rows in np.split(order, starts[1:])]


def _patient(table: Table, name: str, rows: np.ndarray) -> Patient:
    labels = table.labels[rows]
    types = tuple(kind for kind, is_present in zip(TYPES, labels[:, :ANY].any(axis=0), strict=True) if is_present)
    age = float(table.facts["age"][rows[0]]) if "age" in table.facts else float("nan")
    sex = str(table.facts["sex"][rows[0]]) if "sex" in table.facts else ""
    return Patient(name, len(np.unique(table.scan[rows])), len(rows), int(labels[:, ANY].sum()), types, age, sex)


def pick_rows(table: Table, label: str, count: int, *, seed: int = 0) -> np.ndarray:
    """Row indices of some slices with a label, drawn at random: one for each patient first, then second ones.

    Args:
        table: the slices.
        label: from LABELS, or CLEAN.
        count: maximum number.
        seed: of the draw.
    """
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(has_label(table, label)))
    turn = np.zeros(len(rows), int)
    times: dict[str, int] = {}
    for place, name in enumerate(table.patient[rows].tolist()):
        turn[place] = times[name] = times.get(name, -1) + 1
    return rows[np.argsort(turn, kind="stable")[:count]]


@dataclass(frozen=True)
class HuHistogram:
    """How often each CT number occurs.

    Attributes:
        edges_hu: (bins + 1,) edges of the bins.
        blood: (bins,) share of the outlined blood in each bin; all 0 without outlines.
        other: (bins,) share of everything else within the edges.
    """

    edges_hu: np.ndarray
    blood: np.ndarray
    other: np.ndarray


def hu_histogram(
    table: Table, rows: Sequence[int], *, low_hu: int = -20, high_hu: int = 120, step_hu: int = 2
) -> HuHistogram:
    """CT numbers of blood and of the rest on some slices; both are shares of the values between the ends.

    Rows whose picture cannot be read are ignored, and for `blood` also rows without outline.
    """
    edges = np.arange(low_hu, high_hu + step_hu, step_hu)
    blood, other = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for hu, mask in read_rows(table, rows):
        if hu is not None and mask is not None:
            blood += np.histogram(hu[mask], edges)[0]
            other += np.histogram(hu[~mask], edges)[0]
    return HuHistogram(edges, blood / max(blood.sum(), 1), other / max(other.sum(), 1))


def read_rows(table: Table, rows: Sequence[int]) -> list[tuple[np.ndarray | None, np.ndarray | None]]:
    """(hu, mask) of each row, several read at a time; (None, None) if a file cannot be read.

    The mask is empty if the slice has no outline.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda row: _read_row(table, int(row)), rows))


def _read_row(table: Table, row: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    try:
        hu = table.hu(row)
        mask = table.truth(row) if table.outlined[row] and table.labels[row, ANY] else np.zeros(hu.shape, bool)
        return (hu, mask) if mask.shape == hu.shape else (hu, np.zeros(hu.shape, bool))
    except (ValueError, OSError):
        return None, None


def render_tile(hu: np.ndarray | None, mask: np.ndarray | None, level: float, width: float, side: int) -> np.ndarray:
    """One slice as a square picture, its mask as a blue line on a black one.

    Args:
        hu: (y, x) HU; None gives a dark square.
        mask: (y, x) bool, or None.
        level: of the window, in HU.
        width: of the window, in HU.
        side: in pixels.

    Returns:
        (side, side, 3) uint8.
    """
    picture = np.zeros((side, side, 3), np.uint8)
    if hu is None:
        return picture
    scale = side / max(hu.shape)
    size = max(round(hu.shape[1] * scale), 1), max(round(hu.shape[0] * scale), 1)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    gray = cv2.resize(window(hu, level, width), size, interpolation=interpolation)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    part = np.ascontiguousarray(np.repeat(np.rint(gray * 255).astype(np.uint8)[..., None], 3, axis=2))
    if mask is not None and mask.any():
        lines = [np.rint((line + 0.5) * scale - 0.5).astype(np.int32) for line in contours(mask)]
        cv2.polylines(part, lines, True, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.polylines(part, lines, True, rgb(TRUTH), 2, cv2.LINE_AA)
    picture[top : top + size[1], left : left + size[0]] = part
    return picture


def contours(mask: np.ndarray) -> list[np.ndarray]:
    """(n, 2) x, y of the border pixels of each region of a (y, x) mask, including holes."""
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return [line[:, 0, :] for line in lines]


def contact_sheet(tiles: Sequence[np.ndarray], columns: int, *, gap: int = 4) -> np.ndarray:
    """Square (side, side, 3) tiles on one picture, row by row, `gap` dark pixels between them."""
    side, lines = tiles[0].shape[0], -(-len(tiles) // columns)
    picture = np.zeros((lines * (side + gap) - gap, columns * (side + gap) - gap, 3), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = (place // columns) * (side + gap), (place % columns) * (side + gap)
        picture[top : top + side, left : left + side] = tile
    return picture
