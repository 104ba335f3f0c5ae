"""Thin slices are averaged to slabs with their true thickness: each slab is the mean of neighbors, in their middle,
counted from the foot."""

import cv2
import nibabel as nib
import numpy as np
import pytest

from ich_lib.readers import ReadError, read, read_truth
from ich_lib.readers.limits import LIMITS
from ich_lib.readers.slabs import slabs_of
from tests.dicom_files import write_series
from tests.planted import SPACING_MM, head, laid_out


@pytest.fixture
def seven(monkeypatch):
    """A scan may have 7 slices: the 18 slices of the head become 6 slabs of three."""
    monkeypatch.setitem(LIMITS, "slices", 7)


def thick(hu, per_slab, skip=0):
    return hu[skip:].reshape(-1, per_slab, *hu.shape[1:]).mean(1)


def write_nifti(path, values, letters="LAS", dtype=np.int16, slope=None):
    grid, affine = laid_out(values, letters)
    image = nib.Nifti1Image((grid / (slope or 1)).astype(dtype), affine)
    image.header.set_slope_inter(slope or 1, 0)
    nib.save(image, path)
    return path


@pytest.mark.parametrize(
    ("slices", "rows", "per_slab", "skip"),
    [(512, 512, 1, 0), (513, 512, 2, 1), (640, 512, 2, 0), (1100, 512, 3, 2), (300, 1024, 3, 0), (2000, 256, 4, 0)],
)
def test_as_few_neighbors_are_averaged_as_fit(slices, rows, per_slab, skip):
    slabs = slabs_of("scan", slices, rows, rows)
    assert (slabs.per_slab, slabs.skip, len(slabs)) == (per_slab, skip, slices // per_slab)
    assert len(slabs) <= LIMITS["slices"]
    assert len(slabs) * rows * rows <= LIMITS["voxels"]


@pytest.mark.parametrize(
    ("slices", "rows", "words"),
    [
        (2001, 512, "2001 slices; 1 to 2000 are accepted"),
        (2000, 1024, "the maximum is 150 million voxels"),
        (0, 512, "0 sli"),
    ],
)
def test_what_does_not_fit_even_so_is_refused_by_the_name_of_the_limit(slices, rows, words):
    with pytest.raises(ReadError, match=rf"^scan has {slices} slices.*{words}|^scan has {words}") as refusal:
        slabs_of("scan", slices, rows, rows)
    assert "Give" in str(refusal.value)  # the advice


@pytest.mark.parametrize("letters", ["LPS", "RPI", "PIR"])
def test_dicom_slices_are_averaged_where_they_lie(tmp_path, seven, letters):
    write_series(tmp_path, *laid_out(head(), letters))
    scan = read(tmp_path)
    axis = {"S": 0, "I": 0, "L": 2, "R": 2}[letters[2]]
    moved = np.moveaxis(head(), axis, 0)
    per_slab, skip = {18: (3, 0), 20: (3, 2)}[len(moved)]
    np.testing.assert_allclose(np.moveaxis(scan.hu, axis, 0), thick(moved, per_slab, skip), atol=0.01)
    assert scan.spacing_mm[axis] == pytest.approx(SPACING_MM[axis] * per_slab)
    assert not scan.dicom  # a mask cannot be written on the grid of the files


def test_the_first_slab_lies_in_the_middle_of_its_slices_and_the_rest_at_the_foot_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(LIMITS, "slices", 5)
    write_series(tmp_path / "all", *laid_out(head(), "LPS"))
    scan = read(tmp_path / "all")  # 18 = 2 + 4 * 4
    np.testing.assert_allclose(scan.hu, thick(head(), 4, 2), atol=0.01)
    assert (
        "18 slices of 5 mm were averaged, 4 at a time, to 4 of 20 mm. Left out: 2 slices at the foot end." in scan.notes
    )
    monkeypatch.setitem(LIMITS, "slices", 18)
    thin = read(tmp_path / "all")
    third_to_sixth = thin.affine @ [[2, 5], [0, 0], [0, 0], [1, 1]]
    np.testing.assert_allclose(scan.affine[:3, 3], third_to_sixth[:3].mean(1), atol=1e-6)


def test_a_volume_keeps_its_ml(tmp_path, seven):
    write_series(tmp_path / "thin", *laid_out(head(), "LPS"))
    scan = read(tmp_path / "thin")
    planted_ml = (head() == 70).sum() * np.prod(SPACING_MM) / 1000
    share = (scan.hu - thick(np.where(head() == 70, 0, head()), 3)) / 70  # mL of blood in each voxel
    assert share.sum() * scan.voxel_ml == pytest.approx(planted_ml, rel=1e-3)


def test_uneven_slices_are_averaged_and_lie_in_the_middle_of_their_slabs(tmp_path, monkeypatch):
    """Slice 3 of 18 is missing. Of the 17 slices the first is left out, and the others become slabs of four."""
    monkeypatch.setitem(LIMITS, "slices", 5)
    write_series(tmp_path, *laid_out(head(), "LPS"), skip=[3])
    scan = read(tmp_path)
    kept = np.delete(np.arange(18), 3)[1:].reshape(4, 4)
    middle_mm = [(scan.affine @ [place, 0, 0, 1])[2] for place in scan.places]
    first_mm = -40.0  # of slice 0
    np.testing.assert_allclose(middle_mm, first_mm + 5 * kept.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("letters", ["LAS", "RPI", "SPL", "PIR", "ILA"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_nifti_slices_are_averaged_in_any_order(tmp_path, seven, letters, dtype):
    scan = read(write_nifti(tmp_path / "scan.nii.gz", head(), letters, dtype, slope=0.5))
    np.testing.assert_allclose(scan.hu, thick(head(), 3), atol=0.3)
    assert scan.spacing_mm == pytest.approx((15, *SPACING_MM[1:]))
    assert any("18 slices of 5 mm were averaged, 3 at a time, to 6 of 15 mm." in note for note in scan.notes)


@pytest.mark.parametrize("letters", ["LAS", "LAI"])
def test_nifti_and_dicom_of_one_head_become_the_same_slabs(tmp_path, monkeypatch, letters):
    monkeypatch.setitem(LIMITS, "slices", 5)
    write_series(tmp_path / "dicom", *laid_out(head(), "LPS"))
    a, b = read(tmp_path / "dicom"), read(write_nifti(tmp_path / "scan.nii", head(), letters))
    np.testing.assert_allclose(a.hu, b.hu, atol=0.01)
    np.testing.assert_allclose(a.affine, b.affine, atol=1e-4)


def test_a_mask_of_thin_slices_fits_the_averaged_scan(tmp_path, seven):
    scan = read(write_nifti(tmp_path / "scan.nii.gz", head()))
    planted = np.zeros(head().shape)
    planted[3:8, 4:9, 5:11] = 3  # the whole second slab, and two of three slices of the third
    planted[10, 4:9, 5:11] = 3  # one of three slices of the fourth slab
    truth = read_truth(write_nifti(tmp_path / "truth.nii.gz", planted), scan.hu.shape, scan.affine)
    assert sorted(set(np.argwhere(truth)[:, 0])) == [1, 2]
    for k in range(18):
        cv2.imwrite(str(tmp_path / f"{k}.png"), (planted[k] > 0).astype(np.uint8) * 255)
    pictures = read_truth(sorted(tmp_path.glob("*.png")), scan.hu.shape, None)
    np.testing.assert_array_equal(pictures, truth)


def test_pictures_are_averaged_too(tmp_path, seven):
    for k in range(14):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.linspace(0, 10 * k, 1024).reshape(32, 32).round().astype(np.uint8))
    scan = read(tmp_path)
    assert len(scan.hu) == 7
    peaks = [round(float(plane.max()) / 80 * 255) for plane in scan.hu]
    assert peaks == [5, 25, 45, 65, 85, 105, 125]
    assert "14 slices were averaged, 2 at a time, to 7." in " ".join(scan.notes)


def test_too_large_is_refused_before_a_pixel_is_read(tmp_path, monkeypatch):
    write_series(tmp_path / "dicom", *laid_out(head(), "LPS"))
    nifti = write_nifti(tmp_path / "scan.nii", head())
    cv2.imwrite(str(tmp_path / "1.png"), np.eye(32, dtype=np.uint8))
    monkeypatch.setitem(LIMITS, "voxels", 20 * 24)
    monkeypatch.setitem(LIMITS, "thin_slices", 17)
    monkeypatch.setattr("ich_lib.readers.dicom._volume", None)
    monkeypatch.setattr("ich_lib.readers.nifti._Stored", None)
    for path in (tmp_path / "dicom", nifti):
        with pytest.raises(ReadError, match=r"has 18 slices; 1 to 17 are accepted\. Give the series of one head"):
            read(path)
