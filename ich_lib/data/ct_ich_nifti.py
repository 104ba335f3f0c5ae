"""CT-ICH 1.3.1 (Hssayeni, PhysioNet, doi 10.13026/4nae-zg36): 75 NIfTI scans with masks to a table of slices.

Layout: `ct_scans/NNN.nii`, `masks/NNN.nii` (0 and 255), `hemorrhage_diagnosis_raw_ct.csv` with the columns of 1.0.0 and
`Patient_demographics.csv` (the Read_me writes it in lower case; both are accepted). NNN is 049 to 058 and 066 to 130.

SliceNumber counts the slices of the file from 1, in the file's own order: the set's script split_raw_data.py pairs the
lines of a patient with ct_scan[:, :, 0], [:, :, 1], ... The published scans are LAS, so that order runs from foot to
head and equals the row's `slice`. If the affine of a file runs from the head down, file and labels are reversed, so
that `slice` counts from the foot.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ich_lib.data.ct_ich import Diagnosis, read_demographics, read_diagnoses
from ich_lib.data.table import DataProblems, Table
from ich_lib.data.volumes import FileGrid, Volumes, hu_volume, mask_volume, read_grid
from ich_lib.readers.refusal import ReadError

DIAGNOSIS = "hemorrhage_diagnosis_raw_ct.csv"
_DEMOGRAPHICS = ("Patient_demographics.csv", "patient_demographics.csv")
ATTRIBUTION = (
    "CT-ICH 1.3.1, PhysioNet Restricted Health Data License 1.5.0: Hssayeni MD, Croock MS, Salman AD, Al-khafaji HF, "
    "Yahya ZA, Ghoraani B. Intracranial Hemorrhage Segmentation Using a Deep Convolutional Model. Data 2020;5(1):14. "
    "doi 10.13026/4nae-zg36"
)


@dataclass(frozen=True)
class _Row:
    """A slice: its line, its place from the foot (0 is lowest), its scan, its mask if that is reliable."""

    line: Diagnosis
    z: int
    scan: Path
    grid: FileGrid
    mask: Path | None
    is_contradicted: bool = False

    @property
    def is_outlined(self) -> bool:
        return not self.is_contradicted and (self.mask is not None or not self.line.labels[-1])


@dataclass(frozen=True)
class _Scans:
    """The volumes of the rows; the last scan and the last mask are kept."""

    rows: list[_Row]
    scans: Volumes = field(default_factory=lambda: Volumes(keep=1))
    masks: Volumes = field(default_factory=lambda: Volumes(keep=1))

    def hu(self, row: int) -> np.ndarray:
        return self.scans.get(self.rows[row].scan, hu_volume)[self.rows[row].z].copy()

    def mask(self, row: int) -> np.ndarray:
        entry = self.rows[row]
        if entry.mask is None or not entry.line.labels[-1]:
            return np.zeros(self.hu(row).shape, bool)
        return self.masks.get(entry.mask, lambda path: mask_volume(path, entry.grid))[entry.z] > 0

    def files(self, row: int) -> tuple[Path, ...]:
        entry = self.rows[row]
        return (entry.scan,) if entry.mask is None else (entry.scan, entry.mask)


def ct_ich_nifti(folder: str | Path) -> Table:
    """Read the table of a CT-ICH 1.3.1 folder. Every mask is examined once; scans are opened later.

    Args:
        folder: holds hemorrhage_diagnosis_raw_ct.csv, ct_scans and masks.

    Returns:
        One row per labeled slice, with pictures in the canonical order of `ich_lib.scan`. Facts as in `ct_ich`. A slice
        is not `outlined` if its mask contradicts its label, or if the mask has another place than its scan.

    Raises:
        FileNotFoundError: if the CSV or every scan is missing.
        ValueError: if a row of the CSV is not the published form.
    """
    folder = Path(folder)
    if not (folder / DIAGNOSIS).is_file():
        raise FileNotFoundError(
            f"{folder} holds no {DIAGNOSIS}. Get CT-ICH 1.3.1 with your own PhysioNet account (doi "
            "10.13026/4nae-zg36, restricted license) and name the folder that holds that file."
        )
    lines, report = read_diagnoses(folder / DIAGNOSIS)
    rows, problems = _rows(folder, lines)
    if not rows:
        raise FileNotFoundError(f"{folder} has its table but no readable scan in ct_scans; unpack the whole archive.")
    patient = np.array([f"{row.line.patient:03d}" for row in rows])
    demographics_path = next(
        (folder / name for name in _DEMOGRAPHICS if (folder / name).is_file()), folder / _DEMOGRAPHICS[0]
    )
    return Table(
        name="CT-ICH 1.3.1",
        patient=patient,
        scan=patient,
        slice=np.array([row.z + 1 for row in rows]),
        labels=np.array([row.line.labels for row in rows], bool),
        outlined=np.array([row.is_outlined for row in rows]),
        pixels=_Scans(rows),
        facts={
            "fracture": np.array([row.line.fracture for row in rows]),
            **read_demographics(demographics_path, patient),
        },
        report=report + problems,
        attribution=ATTRIBUTION,
        steps_mm=np.array([row.grid.steps_mm for row in rows]),
    )


def _rows(folder: Path, lines: list[Diagnosis]) -> tuple[list[_Row], DataProblems]:
    """The rows of all scans, each foot to head, and their problems."""
    lines_by_patient = defaultdict(list)
    for line in lines:
        lines_by_patient[f"{line.patient:03d}"].append(line)
    scans = _volumes(folder / "ct_scans")
    masks = _volumes(folder / "masks")
    rows, report = [], DataProblems(inconsistent=tuple(sorted((scans.keys() | masks.keys()) - lines_by_patient.keys())))
    for name, of_patient in lines_by_patient.items():
        rows_of_scan, odd = _scan(of_patient, scans.get(name), masks.get(name))
        rows += rows_of_scan
        report += odd
    return rows, report


def _volumes(folder: Path) -> dict[str, Path]:
    return {path.name.split(".")[0]: path for path in sorted(folder.glob("*.nii*"))}


def _scan(lines: list[Diagnosis], scan: Path | None, mask: Path | None) -> tuple[list[_Row], DataProblems]:
    """The rows of one scan. A scan that cannot be read is left out with all its labels."""
    names = tuple(line.name for line in lines)
    if scan is None:
        return [], DataProblems(missing=names)
    try:
        file_grid = read_grid(scan)
    except ReadError:
        return [], DataProblems(corrupt=names)
    beyond = tuple(line.name for line in lines if not 1 <= line.slice <= file_grid.slices)
    rows = [
        _Row(line, _slice_index(line.slice, file_grid), scan, file_grid, mask)
        for line in lines
        if line.name not in set(beyond)
    ]
    rows = sorted(rows, key=lambda row: row.z)
    unlabeled = sorted(set(range(file_grid.slices)) - {row.z for row in rows})
    odd = tuple(f"{lines[0].patient:03d}/{z + 1}" for z in unlabeled)
    rows, contradicted = _drop_masks(rows, mask)
    return rows, DataProblems(missing=beyond, inconsistent=odd + contradicted)


def _slice_index(number: int, file_grid: FileGrid) -> int:
    """SliceNumber, which counts the file's slices from 1, as a place from the foot."""
    return number - 1 if file_grid.is_foot_to_head else file_grid.slices - number


def _drop_masks(rows: list[_Row], mask: Path | None) -> tuple[list[_Row], tuple[str, ...]]:
    """The rows without unreliable masks, and the names of their slices."""
    blood = _blood(mask, rows[0].grid) if rows and mask else None
    if blood is None:
        odd = {row.z for row in rows if row.line.labels[-1]} if mask is None else {row.z for row in rows}
        return [replace(row, mask=None) for row in rows], tuple(_name(row) for row in rows if row.z in odd)
    odd = {row.z for row in rows if blood[row.z] != row.line.labels[-1]}
    rows = [replace(row, mask=None, is_contradicted=True) if row.z in odd else row for row in rows]
    return rows, tuple(_name(row) for row in rows if row.z in odd)


def _blood(mask: Path, scan: FileGrid) -> np.ndarray | None:
    """(z,) bool, the slices with mask voxels; None if the mask cannot be read or has another place than its scan."""
    try:
        return np.any(mask_volume(mask, scan), axis=(1, 2)) if scan.matches(read_grid(mask)) else None
    except ReadError:
        return None


def _name(row: _Row) -> str:
    return f"{row.line.patient:03d}/{row.z + 1}"
