"""Masks that people upload: synthetic voxels must come back at their places, and a mask that does not fit is
refused."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ich_lib.readers import ReadError, read_truth
from ich_lib.reports import write_nifti
from ich_lib.scan import Scan, axial_affine

SHAPE = (4, 20, 24)


@pytest.fixture
def scan():
    return Scan(np.zeros(SHAPE, np.float32), axial_affine((5, 0.5, 0.4), SHAPE), orientation="LAS")


@pytest.fixture
def mask():
    """The mask is in one corner only, so that any turned axis is visible."""
    planted = np.zeros(SHAPE, bool)
    planted[2, 3:6, 15:22] = True
    planted[3, 4, 20] = True
    return planted


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "SPL", "PIR"])
def test_a_nifti_mask_comes_back_voxel_for_voxel_in_whatever_order_its_file_is(scan, mask, tmp_path, orientation):
    write_nifti(tmp_path / "mask.nii.gz", mask.astype(np.uint8), replace(scan, orientation=orientation))
    np.testing.assert_array_equal(read_truth(tmp_path / "mask.nii.gz", SHAPE, scan.affine), mask)


def test_any_value_above_zero_is_blood_and_what_is_no_number_is_none(scan, mask, tmp_path):
    values = mask * np.float32(3)
    values[0, 0, 0] = np.nan
    write_nifti(tmp_path / "types.nii", values, scan)
    np.testing.assert_array_equal(read_truth(tmp_path / "types.nii", SHAPE, None), mask)


def test_pictures_are_slices_in_the_order_of_their_numbers(mask, tmp_path):
    for k, plane in enumerate(mask):
        cv2.imwrite(str(tmp_path / f"{k + 8}.png"), plane.astype(np.uint8) * 255)  # 8, 9, 10, 11
    np.testing.assert_array_equal(read_truth([*tmp_path.iterdir()], SHAPE, None), mask)


def test_the_blurred_border_of_a_jpg_is_cut_at_middle_gray(tmp_path):
    soft = np.zeros((20, 24), np.uint8)
    soft[5:10, 5:10], soft[5:10, 10] = 255, 100
    cv2.imwrite(str(tmp_path / "one.png"), soft)
    assert read_truth(tmp_path / "one.png", (1, 20, 24), None).sum() == 25


def test_a_mask_of_another_shape_says_both(scan, tmp_path):
    write_nifti(tmp_path / "mask.nii", np.ones((3, 20, 24), np.uint8), replace(scan, hu=scan.hu[:3]))
    with pytest.raises(ReadError, match=r"mask\.nii has 3 slices of 24 x 20 px, but the scan has 4 of 24 x 20 px"):
        read_truth(tmp_path / "mask.nii", SHAPE, scan.affine)


def test_a_mask_that_lies_elsewhere_is_refused_unless_the_place_of_the_scan_is_unknown(scan, mask, tmp_path):
    moved = scan.affine.copy()
    moved[2, 3] += 5  # one slice higher
    write_nifti(tmp_path / "mask.nii", mask.astype(np.uint8), replace(scan, affine=moved))
    with pytest.raises(ReadError, match=r"lies 5\.0 mm away"):
        read_truth(tmp_path / "mask.nii", SHAPE, scan.affine)
    assert read_truth(tmp_path / "mask.nii", SHAPE, None).any()


def test_what_is_no_mask_is_told_what_would_be_one(tmp_path):
    (tmp_path / "notes.txt").write_text("blood on the left")
    with pytest.raises(ReadError, match="one NIfTI on the grid of the scan, or a PNG or JPG for each slice"):
        read_truth(tmp_path / "notes.txt", SHAPE, None)


def test_a_mask_on_the_grid_turned_about_the_diagonal_of_square_slices_is_turned_back(tmp_path):
    """Both ends of its diagonal are at those of the scan."""
    scan = Scan(np.zeros((4, 20, 20), np.float32), axial_affine((5, 0.5, 0.5), (4, 20, 20)))
    mask = np.zeros((4, 20, 20), np.uint8)
    mask[1, 2, 9] = 1
    turned = scan.affine[:, [0, 2, 1, 3]]
    write_nifti(tmp_path / "mask.nii", mask, replace(scan, affine=turned, orientation="PLS"))
    assert np.argwhere(read_truth(tmp_path / "mask.nii", (4, 20, 20), scan.affine)).tolist() == [[1, 9, 2]]


@pytest.mark.parametrize("places", [[0, 1, 3, 4], [0, 1, 2, 4], [0, 0.5, 1, 2], [0, 2, 3, 7]])
def test_a_mask_of_uneven_slices_comes_back_from_the_even_grid_it_was_written_on(scan, mask, tmp_path, places):
    tilted = scan.affine.copy()
    tilted[1, 0] = 1.5
    for affine in (scan.affine, tilted):
        uneven = replace(scan, places=np.array(places, float), affine=affine, orientation="LPS")
        write_nifti(tmp_path / "mask.nii", mask.astype(np.uint8), uneven)
        for isolated in (False, True):
            read = read_truth(tmp_path / "mask.nii", SHAPE, affine, places=uneven.places, isolated=isolated)
            np.testing.assert_array_equal(read, mask)


def test_a_mask_of_uneven_slices_that_lies_sideways_is_refused(scan, mask, tmp_path):
    uneven = replace(scan, places=np.array([0, 1, 3, 4.0]))
    moved = scan.affine.copy()
    moved[1, 3] += 3
    write_nifti(tmp_path / "mask.nii", mask.astype(np.uint8), replace(uneven, affine=moved))
    with pytest.raises(ReadError, match=r"lies 3\.0 mm away"):
        read_truth(tmp_path / "mask.nii", SHAPE, scan.affine, places=uneven.places)


def test_a_mask_that_reaches_over_a_part_of_uneven_slices_marks_only_those(scan, mask, tmp_path):
    write_nifti(tmp_path / "mask.nii", np.ones((2, 20, 24), np.uint8), replace(scan, hu=scan.hu[:2]))
    read = read_truth(tmp_path / "mask.nii", SHAPE, scan.affine, places=np.array([0, 1, 3, 4.0]))
    assert read.any(axis=(1, 2)).tolist() == [True, True, False, False]
