"""One head in many file layouts: HU and mL are the same for every order, position, syntax and spacing."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ich_lib.readers import read
from tests.dicom_files import write_series
from tests.planted import BLOCK, SPACING_MM, head, laid_out

ORDERS = ["".join(order) for axes in permutations(("LR", "PA", "SI")) for order in product(*axes)]
# the directions in which columns, rows and slices run
POSITIONS = {"HFS": "LPS", "HFP": "RAS", "FFS": "RPI", "FFP": "LAI"}
SPACINGS_MM = [SPACING_MM, (1.25, 0.5, 0.5), (2.0, 0.4, 0.6)]


def _encapsulated(ds, encode):
    stored = np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns)
    ds.PixelData = encapsulate([encode(stored)])
    ds["PixelData"].VR = "OB"


def _as_it_is(ds):
    pass


def _run_length(ds):
    ds.compress(RLELossless, generate_instance_uid=False)


def _jpeg_lossless(ds):
    imagecodecs = pytest.importorskip("imagecodecs")
    _encapsulated(ds, lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=1, bitspersample=12))


def _jpeg_ls(ds):
    imagecodecs = pytest.importorskip("imagecodecs")
    _encapsulated(ds, imagecodecs.jpegls_encode)


SYNTAXES = {
    ExplicitVRLittleEndian: _as_it_is,
    ImplicitVRLittleEndian: _as_it_is,
    DeflatedExplicitVRLittleEndian: _as_it_is,
    RLELossless: _run_length,
    JPEGLosslessSV1: _jpeg_lossless,
    JPEGLSLossless: _jpeg_ls,
}


def assert_is_the_head(scan, spacing_mm):
    np.testing.assert_array_equal(scan.hu, head())
    assert scan.spacing_mm == pytest.approx(spacing_mm)
    assert (scan.hu_known, scan.spacing_known) == (True, True)
    voxels = np.prod([part.stop - part.start for part in BLOCK])
    assert scan.volume_ml(scan.hu == 70) == pytest.approx(voxels * np.prod(spacing_mm) / 1000, rel=0.005)


def test_there_are_48_orders():
    assert len(set(ORDERS)) == 48


@pytest.mark.parametrize("letters", ORDERS)
@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
def test_a_nifti_of_every_order_is_the_same_head(tmp_path, letters, spacing_mm):
    values, affine = laid_out(head(), letters, spacing_mm)
    nib.save(nib.Nifti1Image(values.astype(np.int16), affine), tmp_path / "head.nii.gz")
    scan = read(tmp_path / "head.nii.gz")
    assert_is_the_head(scan, spacing_mm)
    assert scan.orientation == letters


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
def test_a_series_of_every_position_and_syntax_is_the_same_head(tmp_path, position, syntax, spacing_mm):
    values, affine = laid_out(head(), POSITIONS[position], spacing_mm)
    for path in write_series(tmp_path / "series", values, affine, PatientPosition=position):
        ds = dcmread(path)
        SYNTAXES[syntax](ds)
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(path, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    assert_is_the_head(read(tmp_path / "series"), spacing_mm)
