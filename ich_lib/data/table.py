"""The common form of every data set: a table with one row per slice."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from ich_lib.grammar import first_few
from ich_lib.labels import ANY, LABELS

_MOST_NAMES = 12  # entries named in a sentence of the report; the rest are counted


class Pixels(Protocol):
    """The source of a table's pictures. Rows are indices of the table they were made with."""

    def hu(self, row: int) -> np.ndarray:
        """(y, x) float32 HU of one slice. ValueError, naming the file, if it cannot be read."""

    def mask(self, row: int) -> np.ndarray:
        """(y, x) bool, the outlined blood; all False if the set says that there is none."""

    def files(self, row: int) -> tuple[Path, ...]:
        """The source files of a row."""


@dataclass(frozen=True)
class DataProblems:
    """The problems of a data set on disk, by name.

    Missing, corrupt and excluded slices are not in the table. Inconsistent ones are not either if their labels
    contradict each other; if only the mask contradicts the label, the slice stays with `outlined` False.

    Attributes:
        missing: slices that the set lists without a file.
        doubled: lines that repeat another one; one of them is kept.
        corrupt: unreadable slices. Their labels are left out with them.
        inconsistent: slices whose parts contradict each other (a mask without a label, a mask of another size).
        excluded: slices that the set itself withdraws (flagged, unfinished), or that are samples of the demo.
    """

    missing: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    corrupt: tuple[str, ...] = ()
    inconsistent: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) for f in fields(self))

    def __add__(self, other: "DataProblems") -> "DataProblems":
        return DataProblems(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence for each kind of problem that occurs."""
        counts_by_problem = {
            "missing": "{} listed without a file and left out: {}.",
            "doubled": "{} listed more than once and kept once: {}.",
            "corrupt": "{} unreadable and left out together with the label: {}.",
            "inconsistent": "{} whose parts contradict each other: {}.",
            "excluded": "{} withdrawn by the set or reserved as samples of the demo, and left out: {}.",
        }
        return tuple(
            text.format(*_count_and_names(getattr(self, kind)))
            for kind, text in counts_by_problem.items()
            if getattr(self, kind)
        )


@dataclass(frozen=True)
class Table:
    """The slices of a data set, one row each. Rows of one scan are together and run from foot to head.

    Attributes:
        name: of the data set.
        patient: (n,) str, "" if the set does not say; splitting by patient is refused then.
        scan: (n,) str, one acquisition.
        slice: (n,) int, rising from foot to head within a scan.
        labels: (n, 6) bool in the order of LABELS; False in a column that `known_labels` leaves out.
        outlined: (n,) bool, slices with a known `truth`. A slice without blood is outlined: its mask is empty.
        pixels: reads a row's picture and mask.
        known_labels: the LABELS that the set has.
        facts: further columns, (n,) each: "age", "sex", "fracture", ...
        report: missing, doubled, corrupt, inconsistent and excluded slices.
        attribution: citation and license.
        steps_mm: (n, 3, 3), the step in mm to the next voxel along z, y and x (the columns of each) in the axes of
            `Scan`; NaN if the files of a scan do not state it, None if those of no scan do.
    """

    name: str
    patient: np.ndarray
    scan: np.ndarray
    slice: np.ndarray
    labels: np.ndarray
    outlined: np.ndarray
    pixels: Pixels
    known_labels: tuple[str, ...] = LABELS
    facts: dict[str, np.ndarray] = field(default_factory=dict)
    report: DataProblems = DataProblems()
    attribution: str = ""
    steps_mm: np.ndarray | None = None

    def __post_init__(self) -> None:
        columns = {"scan": self.scan, "slice": self.slice, "labels": self.labels, "outlined": self.outlined}
        for name, column in {**columns, **self.facts}.items():
            if len(column) != len(self.patient):
                raise ValueError(f"{self.name}: {name} has {len(column)} rows, patient has {len(self.patient)}.")

    def __len__(self) -> int:
        return len(self.patient)

    def __repr__(self) -> str:
        bleeding = int(self.labels[:, ANY].sum())
        return (
            f"Table({self.name}: {len(self)} slices of {len(set(self.scan.tolist()))} scans and "
            f"{len(self.patients)} patients, {bleeding} with blood, {int(self.outlined.sum())} outlined)"
        )

    @property
    def patients(self) -> list[str]:
        """Each patient once, sorted."""
        return sorted(set(self.patient.tolist()))

    @property
    def names(self) -> list[str]:
        """Each row as "scan/slice", its name in the report."""
        return [f"{scan}/{index}" for scan, index in zip(self.scan.tolist(), self.slice.tolist(), strict=True)]

    def rows(self, patients: Iterable[str]) -> np.ndarray:
        """Row numbers of these patients."""
        return np.flatnonzero(np.isin(self.patient, list(patients)))

    def scans(self) -> Iterator[np.ndarray]:
        """The row numbers of each scan, in turn."""
        starts = np.flatnonzero(self.scan[1:] != self.scan[:-1]) + 1
        yield from np.split(np.arange(len(self)), starts)

    def bleeding(self) -> dict[str, bool]:
        """Patient to whether any slice shows blood."""
        bleeds = set(self.patient[self.labels[:, ANY]].tolist())
        return {patient: patient in bleeds for patient in self.patients}

    def hu(self, row: int) -> np.ndarray:
        """(y, x) float32 HU of one slice.

        Raises:
            ValueError: if its file cannot be read; the message names it.
        """
        return self.pixels.hu(int(row))

    def truth(self, row: int) -> np.ndarray:
        """(y, x) bool, the outlined blood of one slice.

        Raises:
            ValueError: if it has no outline, or the file cannot be read.
        """
        if not self.outlined[row]:
            raise ValueError(f"{self.name}: there is no outline of the blood of slice {self.names[row]}.")
        return self.pixels.mask(int(row))

    def take(self, rows: np.ndarray) -> "Table":
        """The table of these rows only, in this order."""
        rows = np.asarray(rows, int)
        return replace(
            self,
            patient=self.patient[rows],
            scan=self.scan[rows],
            slice=self.slice[rows],
            labels=self.labels[rows],
            outlined=self.outlined[rows],
            pixels=_RowSubset(self.pixels, rows),
            facts={name: column[rows] for name, column in self.facts.items()},
            steps_mm=None if self.steps_mm is None else self.steps_mm[rows],
        )

    def drop_corrupt(self, *, progress: Callable[[Iterable[int]], Iterable[int]] = lambda items: items) -> "Table":
        """Read every picture and mask once. An unreadable slice is left out with its label and named in the report.

        Args:
            progress: may wrap the row numbers (tqdm).
        """
        unreadable = [row for row in progress(range(len(self))) if not self._readable(row)]
        names = self.names
        readable = np.setdiff1d(np.arange(len(self)), unreadable)
        problems = DataProblems(corrupt=tuple(names[row] for row in unreadable))
        return replace(self.take(readable), report=self.report + problems)

    def _readable(self, row: int) -> bool:
        try:
            shape = self.hu(row).shape
            return not self.outlined[row] or self.truth(row).shape == shape
        except (ValueError, OSError):
            return False


@dataclass(frozen=True)
class _RowSubset:
    """Some rows of another table's pixels."""

    pixels: Pixels
    rows: np.ndarray

    def hu(self, row: int) -> np.ndarray:
        return self.pixels.hu(int(self.rows[row]))

    def mask(self, row: int) -> np.ndarray:
        return self.pixels.mask(int(self.rows[row]))

    def files(self, row: int) -> tuple[Path, ...]:
        return self.pixels.files(int(self.rows[row]))


def _count_and_names(entries: tuple[str, ...]) -> tuple[str, str]:
    """ "3 slices are", and the first names."""
    subject = "1 slice is" if len(entries) == 1 else f"{len(entries)} slices are"
    return subject, first_few(entries, most=_MOST_NAMES)
