"""CT-ICH 1.0.0 (Hssayeni, PhysioNet, doi 10.13026/w8q8-ky94): its folder to a table of slices.

Layout: `hemorrhage_diagnosis.csv`, `patient_demographics.csv`, `Patients_CT/NNN/{brain,bone}/S.jpg` and, for slices
with blood, the mask `Patients_CT/NNN/brain/S_HGE_Seg.jpg`. Pictures are 650x650 8-bit JPG of 5 mm slices, numbered
foot to head. The column No_Hemorrhage is inverted: 1 means clean.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ich_lib.data.picture import gray
from ich_lib.data.table import DataProblems, Table
from ich_lib.labels import TYPES
from ich_lib.readers.renders import hu_from_brain_render, hu_from_renders

DIAGNOSIS, DEMOGRAPHICS = "hemorrhage_diagnosis.csv", "patient_demographics.csv"
ATTRIBUTION = (
    "CT-ICH 1.0.0, CC BY 4.0: Hssayeni MD, Croock MS, Salman AD, Al-khafaji HF, Yahya ZA, Ghoraani B. "
    "Intracranial Hemorrhage Segmentation Using a Deep Convolutional Model. Data 2020;5(1):14. doi 10.13026/w8q8-ky94"
)


@dataclass(frozen=True)
class Diagnosis:
    """One line of the diagnosis table: a slice, its labels in the order of LABELS, whether the skull is fractured."""

    patient: int
    slice: int
    labels: tuple[bool, ...]
    fracture: bool

    @property
    def name(self) -> str:
        return f"{self.patient:03d}/{self.slice}"


@dataclass(frozen=True)
class _Renders:
    """The pictures of each row: one or two renders and, for slices with blood, the outline."""

    brain: list[Path]
    bone: list[Path | None]
    outline: list[Path | None]

    def hu(self, row: int) -> np.ndarray:
        bone = self.bone[row]
        brain = gray(self.brain[row])
        return hu_from_brain_render(brain) if bone is None else hu_from_renders(brain, gray(bone))

    def mask(self, row: int) -> np.ndarray:
        path = self.outline[row]
        return np.zeros(gray(self.brain[row]).shape, bool) if path is None else gray(path) > 127

    def files(self, row: int) -> tuple[Path, ...]:
        return tuple(path for path in (self.brain[row], self.bone[row], self.outline[row]) if path)


def ct_ich(folder: str | Path) -> Table:
    """Read the table of a CT-ICH 1.0.0 folder; pictures are opened later.

    Args:
        folder: holds hemorrhage_diagnosis.csv and Patients_CT.

    Returns:
        One row per slice that has a brain render. Facts: "fracture"; "bone_render", False for the 13 bleeding slices of
        the published set whose bone render is missing, so that bone and air have one value each; and, if the
        demographics are available, "age" (years, nan if unknown) and "sex" ("Male", "Female" or "").

    Raises:
        FileNotFoundError: if the folder or its CSV does not exist; the message says how to get the data.
        ValueError: if a row of the CSV is not the published form.
    """
    folder = Path(folder)
    if not (folder / DIAGNOSIS).is_file():
        raise FileNotFoundError(
            f"{folder} holds no {DIAGNOSIS}. Get CT-ICH 1.0.0 from PhysioNet (doi 10.13026/w8q8-ky94, open access; "
            "python -m ich_lib fetch ct-ich does) and name the folder that holds that file."
        )
    listed, report = read_diagnoses(folder / DIAGNOSIS)
    slices = [(line, _paths(folder, line)) for line in listed]
    missing = tuple(line.name for line, (brain, _, _) in slices if not brain.is_file())
    slices = [(line, paths) for line, paths in slices if line.name not in set(missing)]
    if not slices:
        raise FileNotFoundError(f"{folder} has its table but no picture under Patients_CT; unpack the whole archive.")
    lines, paths = [line for line, _ in slices], [places for _, places in slices]
    bones = [bone if bone.is_file() else None for _, bone, _ in paths]
    outlines = [outline if outline.is_file() else None for _, _, outline in paths]
    odd = tuple(line.name for line, outline in zip(lines, outlines, strict=True) if line.labels[-1] != bool(outline))
    labels = np.array([line.labels for line in lines], bool)
    patient = np.array([f"{line.patient:03d}" for line in lines])
    return Table(
        name="CT-ICH 1.0.0",
        patient=patient,
        scan=patient,
        slice=np.array([line.slice for line in lines]),
        labels=labels,
        outlined=~labels[:, -1] | np.array([outline is not None for outline in outlines]),
        pixels=_Renders([brain for brain, _, _ in paths], bones, outlines),
        facts={
            "fracture": np.array([line.fracture for line in lines]),
            "bone_render": np.array([bone is not None for bone in bones]),
            **read_demographics(folder / DEMOGRAPHICS, patient),
        },
        report=report + DataProblems(missing=missing, inconsistent=odd),
        attribution=ATTRIBUTION,
    )


def _paths(folder: Path, line: Diagnosis) -> tuple[Path, Path, Path]:
    """The expected paths of brain render, bone render and outline of a slice."""
    pictures = folder / "Patients_CT" / f"{line.patient:03d}"
    name = f"{line.slice}.jpg"
    return pictures / "brain" / name, pictures / "bone" / name, pictures / "brain" / f"{line.slice}_HGE_Seg.jpg"


def read_diagnoses(path: Path) -> tuple[list[Diagnosis], DataProblems]:
    """The lines of a CT-ICH diagnosis table (the same for 1.0.0 and 1.3.1), in order of patient and slice.

    A line equal to an earlier one is counted as doubled. A line that contradicts itself or an earlier one is left out,
    together with the lines it contradicts.

    Raises:
        ValueError: if a line has another form, or if most lines contradict themselves: then a column was inverted.
    """
    lines_by_slice: dict[str, Diagnosis] = {}
    doubled: list[str] = []
    odd: list[str] = []
    count = 0
    for number, row in enumerate(_csv(path), start=2):
        count += 1
        line, consistent = _line(row, f"{path.name} line {number}")
        if not consistent or (line.name in lines_by_slice and lines_by_slice[line.name] != line):
            odd.append(line.name)
        elif line.name in lines_by_slice:
            doubled.append(line.name)
        else:
            lines_by_slice[line.name] = line
    if len(odd) > count / 2:
        raise ValueError(
            f"{path.name}: {len(odd)} of {count} lines contradict themselves. Was No_Hemorrhage read as its opposite?"
        )
    lines = sorted(
        (line for line in lines_by_slice.values() if line.name not in set(odd)), key=lambda d: (d.patient, d.slice)
    )
    return lines, DataProblems(doubled=tuple(doubled), inconsistent=tuple(odd))


def _line(row: dict[str, str], source: str) -> tuple[Diagnosis, bool]:
    """One line, and whether No_Hemorrhage agrees with the five types."""
    try:
        types = tuple(bool(int(row[label.capitalize()])) for label in TYPES)
        clean, fracture = bool(int(row["No_Hemorrhage"])), bool(int(row["Fracture_Yes_No"]))
        number, index = int(row["PatientNumber"]), int(row["SliceNumber"])
    except (KeyError, TypeError, ValueError) as problem:
        raise ValueError(f"{source} is not a row of CT-ICH ({problem}).") from problem
    return Diagnosis(number, index, (*types, any(types)), fracture), clean != any(types)


def read_demographics(path: Path, patient: np.ndarray) -> dict[str, np.ndarray]:
    """Age in years and sex of each row's patient, {"age", "sex"}; empty if the file does not exist."""
    if not path.is_file():
        return {}
    facts_by_patient = {}
    for row in _csv(path):
        values = {key.split("(")[0].strip().lower(): (value or "").strip() for key, value in row.items() if key}
        if values.get("patient number", "").isdigit():  # notes follow the last patient
            facts_by_patient[f"{int(values['patient number']):03d}"] = values
    age = [_years(facts_by_patient.get(name, {}).get("age", "")) for name in patient.tolist()]
    sex = [facts_by_patient.get(name, {}).get("gender", "") for name in patient.tolist()]
    return {"age": np.array(age, np.float32), "sex": np.array(sex)}


def _years(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
