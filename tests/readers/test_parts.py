"""A zip of several studies is distinguished from one study in several folders."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from ich_lib.phantoms import phantom
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.readers import ReadError, child, read
from ich_lib.readers.parts import list_parts
from ich_lib.reports import write_nifti
from ich_lib.reports.case_files import write_dicom


@pytest.fixture(scope="module")
def scans():
    return [phantom(seed, slices=slices, pixels=64).scan for seed, slices in ((1, 3), (2, 4))]


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(one for one in folder.rglob("*") if one.is_file()):
            archive.write(file, file.relative_to(folder))
    return path


def write_dicom_studies(folder, scans):
    for number, scan in enumerate(scans):
        write_dicom(scan, folder / "all" / f"p{number}" / "series", name=f"NOBODY-{number}")


def write_nifti_studies(folder, scans):
    for number, scan in enumerate(scans):
        write_nifti(folder / "all" / f"p{number}.nii.gz", np.round(scan.hu).astype(np.int16), scan)


def write_nifti_folders(folder, scans):
    for number, scan in enumerate(scans):
        write_nifti(folder / f"p{number}" / "scan.nii.gz", np.round(scan.hu).astype(np.int16), scan)
        write_nifti(folder / f"p{number}" / "scan_mask.nii.gz", np.ones(scan.hu.shape, np.uint8), scan)


def write_patients(folder, scans):
    for number, scan in enumerate(scans):
        for side in ("brain", "bone"):
            place = folder / f"p{number}" / side
            place.mkdir(parents=True)
            for k, hu in enumerate(scan.hu, start=1):
                gray = np.rint(window(hu, *WINDOWS[f"{side} render"]) * 255).astype(np.uint8)
                cv2.imwrite(str(place / f"{k}.jpg"), gray)


STUDIES = {
    "DICOM": (write_dicom_studies, "all/p{}"),
    "NIfTI": (write_nifti_studies, "all/p{}.nii.gz"),
    "NIfTI with masks": (write_nifti_folders, "p{}"),
    "CT-ICH": (write_patients, "p{}"),
}


@pytest.mark.parametrize(("write", "name"), STUDIES.values(), ids=STUDIES)
def test_each_study_of_a_zip_is_a_part_and_is_read_alone(write, name, scans, tmp_path):
    (tmp_path / "in" / "all").mkdir(parents=True)
    for number in range(2):
        (tmp_path / "in" / f"p{number}").mkdir()
    write(tmp_path / "in", scans)
    path = zipped(tmp_path / "in", tmp_path / "studies.zip")
    assert list_parts(path) == child.list_parts("studies.zip", [path]) == [name.format(0), name.format(1)]
    assert [len(read(path, part=name.format(number)).hu) for number in range(2)] == [3, 4]
    assert len(read(path, part=name.format(1), isolated=True).hu) == 4


def test_series_of_one_study_a_scan_with_its_mask_and_one_patient_are_no_parts(scans, tmp_path):
    files = write_dicom(scans[0], tmp_path / "dicom" / "a")
    (tmp_path / "dicom" / "b").mkdir()
    for path in files:  # the same study in another folder
        (tmp_path / "dicom" / "b" / path.name).write_bytes(Path(path).read_bytes())
    write_patients(tmp_path / "patient", scans[:1])
    write_nifti(tmp_path / "pair.nii.gz", np.round(scans[0].hu).astype(np.int16), scans[0])
    write_nifti(tmp_path / "pair_mask.nii.gz", np.ones(scans[0].hu.shape, np.uint8), scans[0])
    assert list_parts(tmp_path / "dicom") == list_parts(tmp_path / "patient" / "p0") == list_parts(files) == []
    assert list_parts([tmp_path / "pair.nii.gz", tmp_path / "pair_mask.nii.gz"]) == []


def test_a_part_that_is_not_there_is_refused(scans, tmp_path):
    write_dicom(scans[0], tmp_path / "a")
    with pytest.raises(ReadError, match="holds no such study"):
        read(tmp_path / "a", part="b")
    with pytest.raises(ReadError, match="holds no such study"):
        read(tmp_path / "a", part="../a")
