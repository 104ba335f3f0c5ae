"""Splits into a training side and a held-out side, and a test for leaks between them.

Slices of one patient look alike: thumbnails of neighbors correlate by 0.93 in CT-ICH. If a model is tested on neighbors
of its training slices, its memory is tested. So folds are by patient. The two splits that the published student systems
used are here by name, for the lesson that measures their effect.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ich_lib.data.store import Store
from ich_lib.data.table import Table
from ich_lib.labels import LABELS

SET_ASIDE = -1  # the fold of patients set apart
_SIMILARITY = 0.997  # copies (JPEG 40, 5 HU of noise or brightness) reach 0.9986, slices of two patients at most 0.993
_BLOCK = 4096  # slices compared at a time: 64 MB of correlations


@dataclass(frozen=True)
class Split:
    """Units (patients, images or rows) and the fold of each.

    Attributes:
        kind: "patient", or "leaky image" or "leaky row", which put a patient on both sides.
        folds: unit to fold. APART (-1) is not a fold: such patients are neither trained on nor held out. So settings
            may be chosen on the held-out patients and reported on those set apart.
        held_out: the held-out fold; None trains on everything.
        seed: of the folds.
    """

    kind: str
    folds: dict[str, int]
    held_out: int | None = 0
    seed: int = 0

    def rows(self, table: Table, *, trained: bool) -> np.ndarray:
        """Row indices of `table` on one side; patients set apart are on neither.

        Raises:
            ValueError: if the table holds a unit that is not in the split.
        """
        names = units(table, self.kind)
        if unknown := sorted(set(names) - set(self.folds)):
            raise ValueError(f"{table.name} holds {unknown[0]!r}, which is not in this split by {self.kind}.")
        fold = np.array([self.folds[unit] for unit in names])
        return np.flatnonzero((fold != self.held_out) & (fold != SET_ASIDE) if trained else fold == self.held_out)


def by_patient(table: Table, *, folds: int = 5, held_out: int | None = 0, seed: int = 0) -> Split:
    """Distribute patients evenly, stratified by label: each fold gets its share of the rarest bleeds too.

    Iterative stratification (Sechidis et al., ECML PKDD 2011) over patients. The rarest label is first. Each of its
    patients goes to the fold that needs most of that label, then most of the patient's other labels.

    Args:
        table: the slices.
        folds: number of folds.
        held_out: the fold to hold out, or None.
        seed: decides the order.

    Raises:
        ValueError: if patients are not known, if there are fewer of them than folds, or if the fold does not exist.
    """
    labels_of = _labels_by_patient(table)
    if not 2 <= folds <= len(labels_of):
        raise ValueError(f"{len(labels_of)} patients cannot make {folds} folds; choose between 2 and {len(labels_of)}.")
    _check_fold(held_out, folds)
    room = [len(labels_of) // folds + (k < len(labels_of) % folds) for k in range(folds)]
    return Split("patient", _stratify(labels_of, room, seed), held_out, seed)


def hold_out(table: Table, *, share: float = 0.2, seed: int = 0) -> Split:
    """One part of the patients held out (fold 0), the others (fold 1) for training; stratified like `by_patient`.

    Raises:
        ValueError: if patients are not known, or for a share that would leave one side without a patient.
    """
    labels_of = _labels_by_patient(table)
    count = round(share * len(labels_of))
    if not 0 < count < len(labels_of):
        raise ValueError(f"A share of {share} of {len(labels_of)} patients leaves one side empty.")
    return Split("patient", _stratify(labels_of, [count, len(labels_of) - count], seed), 0, seed)


def leaky_image_split(table: Table, *, folds: int = 5, held_out: int | None = 0, seed: int = 0) -> Split:
    """LEAKY, for the lesson: splits images, so neighboring slices of a patient are on both sides."""
    return _deal("leaky image", table, folds, held_out, seed)


def leaky_row_split(table: Table, *, folds: int = 5, held_out: int | None = 0, seed: int = 0) -> Split:
    """LEAKY, for the lesson: splits rows; if rows are annotations, one image is on both sides."""
    return _deal("leaky row", table, folds, held_out, seed)


SPLITS = {"patient": by_patient, "leaky image": leaky_image_split, "leaky row": leaky_row_split}


@dataclass(frozen=True)
class Leaks:
    """The overlap of both sides of a split; true if there is any.

    Attributes:
        patients: names of patients on both sides.
        images: pairs of slice names, trained and held out, whose pictures are equal to the pixel.
        near: pairs of slice names whose pictures are copies except for coding, noise, brightness or mirroring.
    """

    patients: tuple[str, ...]
    images: tuple[tuple[str, str], ...]
    near: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.patients or self.images or self.near)

    def __str__(self) -> str:
        findings = []
        if self.patients:
            findings.append(f"{len(self.patients)} patients are on both sides (such as {self.patients[0]})")
        for pairs, kind in (
            (self.images, "held-out slices equal a trained one"),
            (self.near, "held-out slices nearly equal one"),
        ):
            if pairs:
                findings.append(f"{len(pairs)} {kind} (such as {pairs[0][1]} and {pairs[0][0]})")
        return "; ".join(findings) or "no leak"


def find_leaks(split: Split, slices: Store) -> Leaks:
    """Find overlaps between both sides of a split.

    Args:
        split: any split of these slices.
        slices: a store, which holds a digest and a thumbnail of every picture.

    Returns:
        Shared patients, equal pictures (by hash) and near-duplicates (thumbnails of 32x32 pixels that correlate by
        0.997 or more, as they are or mirrored). In CT-ICH slices of two patients reach 0.993; copies saved as JPEG of
        quality 40, with 5 HU of noise or 5 HU brighter stay above 0.998. A copy that is shifted inside a whole-slice
        picture is not detected; a store of heads aligns them first.
    """
    table = slices.table
    trained, held_out = (split.rows(table, trained=side) for side in (True, False))
    shared_patients = set(table.patient[trained].tolist()) & set(table.patient[held_out].tolist()) - {""}
    names = table.names
    first = {slices.digest[row]: row for row in trained.tolist()}
    equal = [(first[slices.digest[row]], row) for row in held_out.tolist() if slices.digest[row] in first]
    near = [pair for pair in _near_duplicates(slices, trained, held_out) if pair not in set(equal)]
    name_pairs = [tuple((names[a], names[b]) for a, b in pairs) for pairs in (equal, near)]
    return Leaks(tuple(sorted(shared_patients)), *name_pairs)


def _near_duplicates(slices: Store, trained: np.ndarray, held_out: np.ndarray) -> list[tuple[int, int]]:
    """For each held-out slice the most similar training slice, if it is similar enough. Blank pictures match
    nothing."""
    pairs = []
    for start in range(0, len(held_out), _BLOCK):
        block = held_out[start : start + _BLOCK]
        thumbs = slices.thumbs(block)
        candidates = np.concatenate([_unit_thumbnails(thumbs), _unit_thumbnails(thumbs[:, :, ::-1])])
        best, nearest = np.full(len(block), -1.0), np.zeros(len(block), int)
        for begin in range(0, len(trained), _BLOCK):
            trained_block = trained[begin : begin + _BLOCK]
            similarity = (
                (candidates @ _unit_thumbnails(slices.thumbs(trained_block)).T)
                .reshape(2, len(block), len(trained_block))
                .max(axis=0)
            )
            top = similarity.argmax(axis=1)
            closer = similarity[np.arange(len(block)), top] > best
            best[closer], nearest[closer] = similarity[np.arange(len(block)), top][closer], trained_block[top][closer]
        pairs += [(int(nearest[i]), int(block[i])) for i in np.flatnonzero(best >= _SIMILARITY)]
    return pairs


def _unit_thumbnails(thumb: np.ndarray) -> np.ndarray:
    """(n, pixels) float32 of mean 0 and length 1, so that a product of two is their correlation."""
    flat = thumb.reshape(len(thumb), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1)


def units(table: Table, kind: str) -> list[str]:
    """The unit of this kind of split for each row: the name of its patient, of its image, or the row itself."""
    if kind == "patient":
        return _patients(table)
    if kind == "leaky image":
        return table.names
    counts: Counter[str] = Counter()
    return [f"{name}#{counts.update([name]) or counts[name]}" for name in table.names]


def _patients(table: Table) -> list[str]:
    if (table.patient == "").any():
        raise ValueError(f"{table.name} does not name the patients of its slices, so they cannot be split by patient.")
    return table.patient.tolist()


def _labels_by_patient(table: Table) -> dict[str, frozenset[str]]:
    """Patient to the labels its slices show, or "clean"."""
    names = np.array(_patients(table))
    labels_by_patient: dict[str, set[str]] = {patient: set() for patient in table.patients}
    for row, column in zip(*np.nonzero(table.labels), strict=True):
        labels_by_patient[names[row]].add(LABELS[column])
    return {patient: frozenset(labels or {"clean"}) for patient, labels in labels_by_patient.items()}


def _stratify(labels_of: dict[str, frozenset[str]], room: list[int], seed: int) -> dict[str, int]:
    """Patient to fold: the rarest label first, each of its patients to the fold that needs most of it."""
    total, room = sum(room), list(room)
    count = Counter(label for labels in labels_of.values() for label in labels)
    lacks = {label: [number * part / total for part in room] for label, number in count.items()}
    unassigned, fold_of = np.random.default_rng(seed).permutation(sorted(labels_of)).tolist(), {}
    while unassigned:
        remaining = Counter(label for patient in unassigned for label in labels_of[patient])
        rarest = min(remaining, key=lambda label: (remaining[label], label))
        patient = next(patient for patient in unassigned if rarest in labels_of[patient])
        open_folds = [k for k, places in enumerate(room) if places]
        need = {
            k: (lacks[rarest][k], sum(lacks[label][k] for label in labels_of[patient]), room[k]) for k in open_folds
        }
        fold = max(open_folds, key=lambda k: need[k])
        unassigned.remove(patient)
        fold_of[patient], room[fold] = fold, room[fold] - 1
        for label in labels_of[patient]:
            lacks[label][fold] -= 1
    return dict(sorted(fold_of.items()))


def _deal(kind: str, table: Table, folds: int, held_out: int | None, seed: int) -> Split:
    names = list(dict.fromkeys(units(table, kind)))
    if not 2 <= folds <= len(names):
        raise ValueError(f"{len(names)} slices cannot make {folds} folds.")
    _check_fold(held_out, folds)
    order = np.random.default_rng(seed).permutation(len(names))
    return Split(kind, {names[unit]: place % folds for place, unit in enumerate(order.tolist())}, held_out, seed)


def _check_fold(held_out: int | None, folds: int) -> None:
    if held_out is not None and not 0 <= held_out < folds:
        raise ValueError(f"There is no fold {held_out}; folds are numbered 0 to {folds - 1}.")
