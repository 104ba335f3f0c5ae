"""CT-ICH 1.0.0 (Hssayeni, PhysioNet, doi 10.13026/w8q8-ky94): its folder to a table of slices.

Layout: `hemorrhage_diagnosis.csv`, `patient_demographics.csv`, `Patients_CT/NNN/{brain,bone}/S.jpg` and, for slices
with blood, the mask `Patients_CT/NNN/brain/S_HGE_Seg.jpg`. Pictures are 650x650 8-bit JPG of 5 mm slices, numbered
foot to head.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ich_lib.labels import LABELS, TYPES
from ich_lib.read.renders import hu_from_renders

ATTRIBUTION = (
    "CT-ICH 1.0.0, CC BY 4.0: Hssayeni MD, Croock MS, Salman AD, Al-khafaji HF, Yahya ZA, Ghoraani B. "
    "Intracranial Hemorrhage Segmentation Using a Deep Convolutional Model. Data 2020;5(1):14. doi 10.13026/w8q8-ky94"
)


@dataclass(frozen=True)
class Table:
    """The slices of a data set, a row each, in order of patient and slice.

    Attributes:
        patient: (n,) str.
        slice: (n,) int, the data set's own number.
        labels: (n, 6) bool in the order of LABELS.
        brain, bone, mask: (n,) paths; `mask` is None for a slice without one.
        fracture: (n,) bool.
        report: sentences about what is missing or inconsistent.
    """

    patient: np.ndarray
    slice: np.ndarray
    labels: np.ndarray
    brain: list[Path]
    bone: list[Path]
    mask: list[Path | None]
    fracture: np.ndarray
    report: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def patients(self) -> list[str]:
        """Each patient once, sorted."""
        return sorted(set(self.patient.tolist()))

    def rows(self, patients) -> np.ndarray:
        """Row numbers of these patients."""
        return np.flatnonzero(np.isin(self.patient, list(patients)))

    def bleeding(self) -> dict[str, bool]:
        """Patient to whether any slice shows blood."""
        return {p: bool(self.labels[self.rows([p]), -1].any()) for p in self.patients}

    def hu(self, row: int) -> np.ndarray:
        """(y, x) approximate HU of one slice."""
        return hu_from_renders(_gray(self.brain[row]), _gray(self.bone[row]))

    def truth(self, row: int) -> np.ndarray:
        """(y, x) bool, the outlined blood of one slice; all False where there is no mask."""
        path = self.mask[row]
        return np.zeros(_gray(self.brain[row]).shape, bool) if path is None else _gray(path) > 127


def ct_ich(folder: str | Path) -> Table:
    """Read the table of a CT-ICH 1.0.0 folder; pictures are opened later.

    Args:
        folder: holds hemorrhage_diagnosis.csv and Patients_CT.

    Returns:
        One row per slice whose two pictures exist. What was left out stands in `report`.

    Raises:
        FileNotFoundError: if the folder or its CSV is not there, with how to get the data.
        ValueError: if a row of the CSV is not the published form.
    """
    folder = Path(folder)
    path = folder / "hemorrhage_diagnosis.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no hemorrhage_diagnosis.csv. Download CT-ICH 1.0.0 from PhysioNet "
            "(doi 10.13026/w8q8-ky94, open access) and name the folder that holds that file."
        )
    found, missing, unmasked, seen = [], [], [], set()
    for line, row in enumerate(_rows(path), start=2):
        number, index, flags = _row(row, path.name, line)
        if (number, index) in seen:
            raise ValueError(f"{path.name} line {line}: patient {number} slice {index} is there twice.")
        seen.add((number, index))
        pictures = folder / "Patients_CT" / f"{number:03d}"
        brain, bone = pictures / "brain" / f"{index}.jpg", pictures / "bone" / f"{index}.jpg"
        mask = pictures / "brain" / f"{index}_HGE_Seg.jpg"
        if not (brain.is_file() and bone.is_file()):
            missing.append(f"{number:03d}/{index}")
            continue
        if flags["any"] != mask.is_file():
            unmasked.append(f"{number:03d}/{index}")
        found.append((f"{number:03d}", index, flags, brain, bone, mask if mask.is_file() else None))
    if not found:
        raise FileNotFoundError(f"{folder} has its table but no picture under Patients_CT; unpack the whole archive.")
    return _table(sorted(found, key=lambda row: row[:2]), _report(missing, unmasked))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _row(row: dict[str, str], name: str, line: int) -> tuple[int, int, dict[str, bool]]:
    """Patient, slice and flags of one CSV line. `No_Hemorrhage` is inverted: 1 means clean."""
    try:
        flags = {label: bool(int(row[label.capitalize()])) for label in TYPES}
        clean, fracture = bool(int(row["No_Hemorrhage"])), bool(int(row["Fracture_Yes_No"]))
        number, index = int(row["PatientNumber"]), int(row["SliceNumber"])
    except (KeyError, TypeError, ValueError) as problem:
        raise ValueError(f"{name} line {line} is not a row of CT-ICH 1.0.0 ({problem}).") from problem
    if clean == any(flags.values()):
        raise ValueError(f"{name} line {line}: No_Hemorrhage={int(clean)} contradicts the five types.")
    return number, index, {**flags, "any": not clean, "fracture": fracture}


def _table(found: list, report: tuple[str, ...]) -> Table:
    patient, index, flags, brain, bone, mask = zip(*found, strict=True)
    return Table(
        patient=np.array(patient),
        slice=np.array(index),
        labels=np.array([[f[label] for label in LABELS] for f in flags], bool),
        brain=list(brain),
        bone=list(bone),
        mask=list(mask),
        fracture=np.array([f["fracture"] for f in flags], bool),
        report=report,
    )


def _report(missing: list[str], unmasked: list[str]) -> tuple[str, ...]:
    lines = []
    if missing:
        lines.append(f"{len(missing)} slices of the table have no picture and are left out: {', '.join(missing)}.")
    if unmasked:
        lines.append(
            f"{len(unmasked)} slices have a mask without a label or a label without a mask: {', '.join(unmasked)}."
        )
    return tuple(lines)


def _gray(path: Path) -> np.ndarray:
    """An 8-bit picture, or an error that names it."""
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError(
            f"{path.parent.parent.name}/{path.parent.name}/{path.name} is not a readable picture; download it again."
        )
    return picture
