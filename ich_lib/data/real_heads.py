"""Three real heads of CT-ICH with their true masks: samples of the demo and the course. No model is trained on them.

They are in the folder heads, under CC BY 4.0; its README.md gives source and citation.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np

from ich_lib.case import Case
from ich_lib.data.ct_ich import ATTRIBUTION, DIAGNOSIS, read_diagnoses
from ich_lib.data.table import DataProblems, Table
from ich_lib.readers import read

PATIENTS = ("066", "084", "099")  # of CT-ICH, in both of its versions
FOLDER = Path(__file__).with_name("heads")
CREDIT = ATTRIBUTION


def real_head(patient: str) -> Case:
    """One of PATIENTS with its true mask, foot to head.

    HU are approximate, computed from two renders of each slice, and the pixel size is unknown. A slice whose second
    render is missing in the published set is left out, as in `read`.

    Raises:
        ValueError: for another patient.

    Example:
        >>> case = real_head("066")
        >>> case.types, int(case.truth.any(axis=(1, 2)).sum())  # slices with blood
        (('epidural',), 12)
    """
    if patient not in PATIENTS:
        raise ValueError(f"There is no patient {patient!r} here; choose from {', '.join(PATIENTS)}.")
    archive = FOLDER / f"ct-ich-{patient}.zip"
    scan, lines = read(archive), {line.slice: line for line in _lines(patient)}
    truth = np.zeros(scan.hu.shape, bool)
    with ZipFile(archive) as packed:
        places = set(packed.namelist())
        slices = sorted(k for k in lines if {f"brain/{k}.jpg", f"bone/{k}.jpg"} <= places)
        for z, k in enumerate(slices):
            if (outline := f"brain/{k}_HGE_Seg.jpg") in places:
                gray = cv2.imdecode(np.frombuffer(packed.read(outline), np.uint8), cv2.IMREAD_GRAYSCALE)
                truth[z] = np.asarray(gray) > 127
    labels = np.array([lines[k].labels for k in slices], bool)
    return Case(scan, truth, labels, np.ones(len(slices), bool))


def _lines(patient: str) -> list:
    diagnoses, _ = read_diagnoses(FOLDER / DIAGNOSIS)
    return [line for line in diagnoses if line.patient == int(patient)]


def sample_patients(name: str, patients: Iterable[str]) -> list[str]:
    """The PATIENTS in a data set, by its `Table.name`.

    >>> sample_patients("CT-ICH 1.0.0", ["065", "066"])
    ['066']
    """
    return sorted(set(PATIENTS) & set(patients)) if name.startswith("CT-ICH") else []


def leave_out_samples(table: Table) -> Table:
    """The table without PATIENTS, which its report then names. Training starts with this."""
    samples = sample_patients(table.name, table.patients)
    if not samples:
        return table
    rows = np.flatnonzero(~np.isin(table.patient, samples))
    names = [table.names[row] for row in table.rows(samples)]
    return replace(table.take(rows), report=table.report + DataProblems(excluded=tuple(names)))


def refuse_samples(table: Table) -> None:
    """Refuse to train on PATIENTS.

    Raises:
        ValueError: if the table holds any, with their names.
    """
    if samples := sample_patients(table.name, table.patients):
        raise ValueError(
            f"{table.name}: patients {', '.join(samples)} are sample cases of the demo and the course, which no model "
            "is trained on. Name the folder of the data set, of which training leaves them out, or make the store "
            "again for training (field head)."
        )
