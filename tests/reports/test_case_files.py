import csv
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pydicom
import pytest

from ich_lib.phantoms import phantom
from ich_lib.readers import read
from ich_lib.reports.case_files import write_case, write_dicom


@pytest.fixture(scope="module")
def case():
    return phantom(4, bleeds=["epidural", "intraventricular"], slices=12, pixels=64, thickness_mm=12)


@pytest.mark.parametrize("form", ["nifti", "dicom"])
def test_a_written_case_is_read_back_as_it_was(case, form, tmp_path):
    write_case(case, tmp_path, form=form)
    scan = read(tmp_path / ("scan.nii.gz" if form == "nifti" else "dicom"))
    assert scan.hu == pytest.approx(np.round(case.scan.hu), abs=1e-3)
    assert scan.affine == pytest.approx(case.scan.affine, abs=1e-3)
    assert scan.hu_known
    assert scan.spacing_known


def test_mask_labels_and_truth_lie_beside_the_scan(case, tmp_path):
    write_case(case, tmp_path)
    coded = nib.load(tmp_path / "mask.nii.gz")
    scan = nib.load(tmp_path / "scan.nii.gz")
    assert coded.shape == scan.shape
    assert coded.affine == pytest.approx(scan.affine)
    counts = np.bincount(np.asarray(coded.dataobj).ravel(), minlength=6)
    assert counts[1] == case.masks["epidural"].sum() - (case.masks["epidural"] & case.masks["intraventricular"]).sum()
    assert counts[3] == case.masks["intraventricular"].sum()
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["any"] for row in rows] == [str(int(v)) for v in case.labels[:, -1]]
    assert json.loads((tmp_path / "case.json").read_text())["volumes_ml"] == pytest.approx(case.volumes_ml)


def test_dicom_files_carry_all_that_the_ct_image_iod_requires(case, tmp_path):
    """Type 1 attributes of DICOM PS3.3 A.3 have a value, and type 2 attributes exist. Every file has its own
    instance UID."""
    write_case(case, tmp_path, form="dicom")
    files = [pydicom.dcmread(path) for path in sorted((tmp_path / "dicom").iterdir())]
    required = [
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "FrameOfReferenceUID",
        "ImageType", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SamplesPerPixel",
        "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
        "RescaleIntercept", "RescaleSlope", "RescaleType", "PixelData",
    ]  # fmt: skip
    present = [
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
        "ReferringPhysicianName", "StudyID", "AccessionNumber", "SeriesNumber", "Manufacturer",
        "PositionReferenceIndicator", "InstanceNumber", "SliceThickness", "KVP", "AcquisitionNumber",
    ]  # fmt: skip
    for ds in files:
        assert all(ds[key].value not in (None, "") for key in required)
        assert all(key in ds for key in present)
    assert len({ds.SOPInstanceUID for ds in files}) == len(files) == 12
    assert len({ds.SeriesInstanceUID for ds in files}) == 1


def test_another_form_is_refused(case, tmp_path):
    with pytest.raises(ValueError, match="written as nifti or dicom; got 'png'"):
        write_case(case, tmp_path, form="png")


def test_uneven_slices_are_written_where_they_lie_and_read_back(tmp_path):
    case = phantom(1, slices=5, pixels=64)
    uneven = replace(case.scan, places=np.array([0, 1, 2, 4, 5.0]))
    write_dicom(uneven, tmp_path)
    again = read(tmp_path)
    assert again.places.tolist() == [0, 1, 2, 4, 5]
    np.testing.assert_allclose(again.affine, uneven.affine, atol=1e-3)
    np.testing.assert_allclose(again.slab_mm, uneven.slab_mm, atol=1e-3)
