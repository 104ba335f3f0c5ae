"""Random files: heads in random layouts are read correctly, and mutated files give a scan or a sentence.

ICH_FUZZ=5000 tries that number of each. `python -m tests.fuzz DOOR --seconds S` searches the same readers guided by
coverage.
"""

import io
import os
import warnings
import zipfile
from functools import cache

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ich_lib.readers import ReadError, read
from tests import planted
from tests.dicom_files import ct_dataset, write_series

SETTINGS = settings(
    max_examples=int(os.environ.get("ICH_FUZZ", "40")),
    deadline=None,
    derandomize=True,  # the same examples every time
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
LETTERS = st.permutations(["LR", "AP", "IS"]).flatmap(lambda axes: st.tuples(*map(st.sampled_from, axes))).map("".join)
SIDES_MM = st.tuples(*[st.floats(0.3, 8.0).map(lambda mm: round(mm, 3))] * 3)  # along (z, y, x)
TAGS = (  # noqa: SIM905 - a list would take 30 lines
    "Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel PhotometricInterpretation "
    "RescaleSlope RescaleIntercept RescaleType ImagePositionPatient ImageOrientationPatient PixelSpacing "
    "SliceThickness InstanceNumber NumberOfFrames SeriesInstanceUID SOPInstanceUID SeriesNumber AcquisitionNumber "
    "ImageType Modality ConvolutionKernel ContrastBolusAgent BodyPartExamined ReconstructionDiameter "
    "PixelPaddingValue WindowCenter WindowWidth SeriesDescription SpecificCharacterSet GantryDetectorTilt"
).split()
BYTES = st.binary(max_size=12) | st.sampled_from([b"0", b"-1", b"1e308", b"nan", b"1\\2\\3", b"\\", b" ", b"\xff\xfe"])


def laid_out(letters: str, sides_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The synthetic head in the order of a file, with other voxel sizes."""
    grid, affine = planted.laid_out(planted.head(), letters)
    for n, letter in enumerate(letters):
        axis = next(k for k, pair in enumerate(("SI", "PA", "LR")) if letter in pair)
        affine[:3, n] *= sides_mm[axis] / planted.SPACING_MM[axis]
    return grid, affine


@SETTINGS
@given(letters=LETTERS, sides_mm=SIDES_MM, kind=st.sampled_from(["<i2", ">i2", "<f4", "<f8"]))
def test_a_nifti_in_any_order_with_any_voxels_is_the_same_head(letters, sides_mm, kind, tmp_path):
    grid, affine = laid_out(letters, sides_mm)
    image = nib.Nifti1Image(grid.astype(kind), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "head.nii")
    scan = read(tmp_path / "head.nii")
    np.testing.assert_array_equal(scan.hu, planted.head())
    if scan.spacing_known:  # sizes that no head has are not believed, and a note says so
        np.testing.assert_allclose(scan.spacing_mm, sides_mm, rtol=1e-4)


@SETTINGS
@given(letters=LETTERS.filter(lambda letters: letters[2] in "IS"), sides_mm=SIDES_MM)
def test_dicom_slices_in_any_order_with_any_voxels_are_the_same_head(letters, sides_mm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    write_series(folder, *laid_out(letters, sides_mm))
    scan = read(folder)
    np.testing.assert_array_equal(scan.hu, planted.head())
    np.testing.assert_allclose(scan.spacing_mm, sides_mm, rtol=1e-3)


def ends_in_a_scan_or_a_sentence(path) -> None:
    """There is no other error, no warning and no endless loop, and every voxel of a scan is a number."""
    try:
        scan = read(path)
    except ReadError as problem:
        answer = str(problem)
    else:
        answer = "A scan of numbers." if np.isfinite(scan.hu).all() else ""
    assert len(answer) > 15
    assert answer.endswith((".", ")"))


@cache
def plain_file(door: str) -> bytes:
    """A small valid file of a kind."""
    buffer = io.BytesIO()
    if door == "NIfTI":
        grid, affine = planted.laid_out(planted.head(), "LPS")
        return nib.Nifti1Image(grid.astype(np.int16), affine).to_bytes()
    if door == "DICOM":
        ds = ct_dataset(planted.head()[9])
        ds.SOPInstanceUID = "1.2.3.4"  # the same file every time
        ds.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("IM1", plain_file("DICOM"))
    return buffer.getvalue()


@SETTINGS
@given(tag=st.sampled_from(TAGS), value=st.none() | BYTES)
def test_a_dicom_tag_that_is_missing_or_holds_anything_breaks_nothing(tag, value, tmp_path):
    ds = pydicom.dcmread(io.BytesIO(plain_file("DICOM")))
    if value is None:
        ds.pop(pydicom.tag.Tag(tag), None)
    else:
        vr = pydicom.datadict.dictionary_VR(tag).split(" ")[0]
        ds[tag] = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(tag), vr, len(value), value, 0, False, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the name of the program that writes
        ds.save_as(tmp_path / "IM1")
    ends_in_a_scan_or_a_sentence(tmp_path / "IM1")


@pytest.mark.parametrize("door", ["NIfTI", "DICOM", "zip"])
def test_bytes_changed_added_or_cut_break_nothing(door, tmp_path):
    @SETTINGS
    @given(data=st.data())
    def try_one(data):
        content = bytearray(plain_file(door))
        head = min(len(content), 600)
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, head - 1) | st.integers(0, len(content) - 1))
            content[at : at + data.draw(st.integers(0, 4))] = data.draw(BYTES)
        (tmp_path / "file").write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
        ends_in_a_scan_or_a_sentence(tmp_path / "file")

    try_one()
