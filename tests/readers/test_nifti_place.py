"""NIfTI files that state the position of the head badly: a note says so, the axes are put in order, and no wrong mL
is given."""

import gzip
import io
from functools import cache
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from ich_lib.phantoms import phantom
from ich_lib.readers import ReadError, read, read_truth
from ich_lib.scan import to_file_grid


@cache
def case():
    """A small head that bleeds on one side, in whole HU."""
    made = phantom(34, bleeds=["intraparenchymal"], pixels=64, slices=34, levels=2)
    return made, np.round(made.scan.hu)


def grid(values=None):
    """(i, j, k) of a head, or of another (z, y, x) volume, as a converter writes it, and its affine."""
    return to_file_grid(case()[0].scan, case()[1] if values is None else values)


def as_nibabel():
    """(i, j, k) of the head in the order that is assumed if a file states none: to the left, front and head."""
    return case()[1].transpose(2, 1, 0)[:, ::-1]


def write(path, values, affine, *, unit=None, **fields):
    """A NIfTI with any given header fields."""
    image = nib.Nifti1Image(values.astype(np.int16), affine)
    if unit:
        image.header.set_xyzt_units(unit)
    data = image.to_bytes()
    header = nib.Nifti1Header(data[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + data[348:])
    return path


def forms(path, sform, qform=None, **fields):
    """sform and qform that may contradict each other; pixdim follows the qform."""
    values, affine = grid()
    image = nib.Nifti1Image(values.astype(np.int16), affine)
    image.set_qform(affine if qform is None else qform, 1)
    data = image.to_bytes()
    header = nib.Nifti1Header(data[:348], check=False)
    header["sform_code"] = 1
    header["srow_x"], header["srow_y"], header["srow_z"] = sform[:3]
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + data[348:])
    return path


def notes(scan):
    return " ".join(scan.notes)


def assert_head(scan):
    np.testing.assert_array_equal(scan.hu, case()[1])


# --- notebooks -----------------------------------------------------------------------------------------------------

ZYX, YXZ, XYZ = (0, 1, 2), (1, 2, 0), (2, 1, 0)


@pytest.mark.parametrize("order", [ZYX, YXZ], ids=["slice, row, column", "row, column, slice"])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (5, 1, 1), (1, 1, 5)])
@pytest.mark.parametrize("from_head", [False, True])
def test_an_array_with_a_made_up_affine_is_a_head_again_and_gives_no_ml(tmp_path, order, spacing, from_head):
    hu = case()[1][::-1] if from_head else case()[1]
    scan = read(write(tmp_path / "a.nii", hu.transpose(order), np.diag([*spacing, 1.0])))
    assert_head(scan)
    assert not scan.spacing_known
    assert "whole mm and no origin, as if it was made in a notebook. Its mm and sides cannot be trusted" in notes(scan)
    assert "left and right are assumed" in notes(scan)


@pytest.mark.parametrize("values", [lambda: grid()[0], lambda: as_nibabel()], ids=["to the back", "to the front"])
def test_an_array_of_x_y_z_with_the_identity_has_its_nose_in_front(tmp_path, values):
    scan = read(write(tmp_path / "a.nii", values(), np.diag([-1.0, 1, 1, 1])))
    assert_head(scan)
    assert not scan.spacing_known
    assert "mm and sides cannot be trusted" in notes(scan)


@pytest.mark.parametrize("order", [ZYX, YXZ])
def test_sizes_without_an_origin_are_believed_and_sides_are_not(tmp_path, order):
    sizes = np.array(case()[0].scan.spacing_mm)[list(order)]
    scan = read(write(tmp_path / "a.nii", case()[1].transpose(order), np.diag([*sizes, 1.0])))
    assert_head(scan)
    assert scan.spacing_known
    assert scan.spacing_mm == pytest.approx(case()[0].scan.spacing_mm)
    assert "The affine has no origin, as if it was made in a notebook; left and right are assumed." in scan.notes


def test_sizes_of_x_y_z_on_an_array_of_z_y_x_give_no_ml(tmp_path):
    _, affine = grid()
    scan = read(write(tmp_path / "a.nii", case()[1], affine))
    assert_head(scan)
    assert not scan.spacing_known
    assert "The voxel sizes belong to other axes than the file says" in notes(scan)
    assert "The skull shows that the slices lie along the first axis of the file, not along the third" in notes(scan)


def test_many_thin_slices_are_found_by_the_skull_where_the_shape_tells_nothing(tmp_path):
    hu = np.repeat(case()[1], 2, axis=0)  # 68 slices of 64 x 64
    scan = read(write(tmp_path / "a.nii", hu, np.eye(4)))
    np.testing.assert_array_equal(scan.hu, hu)
    assert "along the first axis" in notes(scan)


@pytest.mark.parametrize("order", [ZYX, YXZ])
def test_slices_that_are_cut_to_a_part_of_the_head_are_slices_too(tmp_path, order):
    hu = np.repeat(np.repeat(case()[1], 3, axis=1), 3, axis=2)[:, 20:150, 30:180]  # the skull is open
    scan = read(write(tmp_path / "a.nii", hu.transpose(order), np.eye(4)))
    np.testing.assert_array_equal(np.sort(scan.hu, axis=None), np.sort(hu, axis=None))
    assert len(scan.hu) == 34


def test_a_mask_goes_back_to_the_made_up_file_on_its_own_grid(tmp_path):
    read_back = read(write(tmp_path / "a.nii", case()[1], np.eye(4)))
    values, affine = to_file_grid(read_back, read_back.hu)
    np.testing.assert_array_equal(values, case()[1])
    np.testing.assert_allclose(affine, np.eye(4), atol=1e-6)


def test_an_array_of_few_slices_is_not_taken_for_a_slice_of_few_rows(tmp_path):
    scan = read(write(tmp_path / "a.nii", case()[1][12:22], np.eye(4)))
    np.testing.assert_array_equal(scan.hu, case()[1][12:22])


# --- forms that contradict each other ------------------------------------------------------------------------------


def test_sform_against_qform_and_pixdim_gives_no_ml(tmp_path):
    _, affine = grid()
    scan = read(forms(tmp_path / "a.nii", affine @ np.diag([1.1, 1.1, 1, 1])))
    assert_head(scan)
    assert not scan.spacing_known
    assert "its sform has voxels of 3.95 x 3.95 x 5 mm, its pixdim of 3.59 x 3.59 x 5 mm" in notes(scan)


def test_sform_alone_against_pixdim_gives_no_ml(tmp_path):
    _, affine = grid()
    scan = read(forms(tmp_path / "a.nii", affine, qform_code=0, pixdim=[1, 2, 2, 5, 0, 0, 0, 0]))
    assert not scan.spacing_known
    assert "Neither is believed" in notes(scan)


@pytest.mark.parametrize("pixdim", [[1, 0, 0, 0, 0, 0, 0, 0], [1, np.nan, np.nan, np.nan, 0, 0, 0, 0]])
def test_a_pixdim_that_says_nothing_contradicts_nothing(tmp_path, pixdim):
    _, affine = grid()
    scan = read(forms(tmp_path / "a.nii", affine, qform_code=0, pixdim=pixdim))
    assert scan.spacing_known
    assert scan.notes == ()


@pytest.mark.parametrize("height", ["slant", "along the normal"])
def test_a_tilted_gantry_contradicts_nothing_however_pixdim_counts_it(tmp_path, height):
    _, affine = grid()
    tilt = np.deg2rad(20)
    affine[:3, 1] = 0, 3.59375 * np.cos(tilt), 3.59375 * np.sin(tilt)
    step = 5.0 if height == "slant" else 5 * np.cos(tilt)
    scan = read(forms(tmp_path / "a.nii", affine, qform_code=0, pixdim=[1, 3.59375, 3.59375, step, 0, 0, 0, 0]))
    assert scan.spacing_known
    assert scan.notes == ()


@pytest.mark.parametrize(
    ("axis", "ends"), [(0, "left and right"), (1, "front and back"), (2, "foot and head")], ids=["x", "y", "z"]
)
def test_a_qform_that_mirrors_the_sform_is_told(tmp_path, axis, ends):
    _, affine = grid()
    mirror = np.eye(4)
    mirror[axis, axis] = -1
    scan = read(forms(tmp_path / "a.nii", mirror @ affine))
    assert f"its sform and qform disagree on {ends}" in notes(scan)
    assert scan.spacing_known
    if axis > 0:
        assert_head(scan)  # air and vertex are visible


def test_a_quaternion_that_is_none_is_no_qform(tmp_path):
    _, affine = grid()
    bad = {"quatern_b": 1.0, "quatern_c": 1.0, "quatern_d": 1.0}
    scan = read(forms(tmp_path / "a.nii", affine, **bad))
    assert_head(scan)
    assert scan.notes == ()
    scan = read(write(tmp_path / "b.nii", as_nibabel(), affine, sform_code=0, qform_code=1, **bad))
    assert_head(scan)
    assert "left and right are assumed" in notes(scan)


# --- no forms, units, offsets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [ZYX, YXZ, None], ids=["slice, row, column", "row, column, slice", "nibabel's"])
def test_without_forms_the_skull_orders_the_axes(tmp_path, order):
    values = as_nibabel() if order is None else case()[1].transpose(order)
    sizes = np.array(case()[0].scan.spacing_mm)[list(order or XYZ)]
    scan = read(write(tmp_path / "a.nii", values, np.diag([*sizes, 1]), sform_code=0, qform_code=0))
    assert_head(scan)
    assert scan.spacing_known
    assert "left and right are assumed" in notes(scan)


def test_without_forms_and_with_voxels_of_1_mm_there_is_no_ml(tmp_path):
    scan = read(write(tmp_path / "a.nii", as_nibabel(), np.eye(4), sform_code=0, qform_code=0))
    assert_head(scan)
    assert not scan.spacing_known


@pytest.mark.parametrize(("unit", "message"), [("meter", "meters"), ("micron", "microns")])
def test_a_wrong_unit_is_told_and_the_skull_confirms_mm(tmp_path, unit, message):
    scan = read(write(tmp_path / "a.nii", *grid(), unit=unit))
    assert_head(scan)
    assert scan.spacing_mm == pytest.approx(case()[0].scan.spacing_mm, rel=1e-5)
    assert scan.spacing_known
    assert f"distances in {message}, which does not fit a head. They are read as mm." in notes(scan)


def test_meters_that_say_mm_are_meters(tmp_path):
    values, affine = grid()
    affine[:3] /= 1000
    scan = read(write(tmp_path / "a.nii", values, affine, unit="mm"))
    assert scan.spacing_mm == pytest.approx(case()[0].scan.spacing_mm, rel=1e-5)
    assert "distances in mm, which does not fit a head. They are read as meters" in notes(scan)


def test_a_wrong_unit_without_a_skull_gives_no_ml(tmp_path):
    values, affine = grid()
    scan = read(write(tmp_path / "a.nii", np.minimum(values, 100), affine, unit="meter"))
    assert not scan.spacing_known
    assert "No skull confirms this unit" in notes(scan)


@pytest.mark.parametrize("factor", [0.4, 2.0])
def test_a_head_of_impossible_size_gives_no_ml(tmp_path, factor):
    values, affine = grid()
    scan = read(write(tmp_path / "a.nii", values, np.diag([factor, factor, 1, 1]) @ affine))
    assert not scan.spacing_known
    assert "the inside of the skull would be" in notes(scan)


@pytest.mark.parametrize("offset", [0, 10])
@pytest.mark.parametrize("form", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_voxels_that_start_inside_the_header_start_behind_it(tmp_path, offset, form, pack):
    values, affine = grid()
    data = form(values.astype(np.int16), affine).to_bytes()
    size = 348 if form is nib.Nifti1Image else 540
    header = form.header_class(data[:size], check=False)
    header["vox_offset"] = offset
    (tmp_path / "a.nii").write_bytes(pack(header.binaryblock + data[size:]))
    scan = read(tmp_path / "a.nii")
    assert_head(scan)
    assert scan.notes == ()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("degrees", [30, 50, 65])
def test_slices_stay_slices_however_oblique_their_affine_is(tmp_path, degrees, axis):
    values, affine = grid()
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.eye(4)
    first, second = [n for n in range(3) if n != axis]
    turn[[first, first, second, second], [first, second, first, second]] = cos, -sin, sin, cos
    scan = read(write(tmp_path / "a.nii", values, turn @ affine))
    assert_head(scan)
    assert scan.spacing_mm == pytest.approx(case()[0].scan.spacing_mm, rel=1e-5)
    assert scan.voxel_ml == pytest.approx(case()[0].scan.voxel_ml, rel=1e-5)
    assert scan.spacing_known
    assert ("They are shown as they are" in notes(scan)) == (degrees > 45)
    back, _ = to_file_grid(scan, scan.hu)
    np.testing.assert_array_equal(back, values)


ORDERS = ["".join(ends) for axes in permutations(("LR", "PA", "SI")) for ends in product(*axes)]


@pytest.mark.parametrize("letters", ORDERS)
def test_a_trusted_order_is_not_questioned(tmp_path, letters):
    """The header does not change HU or mL either."""
    values, affine = grid()
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(nib.aff2axcodes(affine)), nib.orientations.axcodes2ornt(tuple(letters))
    )
    image = nib.Nifti1Image(values.astype(np.int16), affine).as_reoriented(turn)
    path = tmp_path / "a.nii"
    path.write_bytes(image.to_bytes())
    scan = read(path)
    assert_head(scan)
    assert (scan.orientation, scan.notes) == (letters, ())
    assert scan.voxel_ml == pytest.approx(case()[0].scan.voxel_ml, rel=1e-6)


# --- files that belong together ------------------------------------------------------------------------------------


def pair(folder, *, image_offset=0, suffix="", analyze=False):
    values, affine = as_nibabel(), np.diag([-3.59375, 3.59375, 5, 1])
    affine[:3, 3] = 113, -113, -42.5
    made = nib.Nifti1Pair(values.astype(np.int16), affine)
    made.header["vox_offset"] = image_offset
    made.file_map = {name: nib.FileHolder(fileobj=io.BytesIO()) for name in ("header", "image")}
    made.to_file_map()
    header, image = (bytearray(made.file_map[name].fileobj.getvalue()) for name in ("header", "image"))
    if analyze:
        header[252:348] = bytes(96)
        header[252:340] = b"\x01\x07" * 44  # a patient's name and so on, where NIfTI has its forms
    pack = gzip.compress if suffix else bytes
    (folder / f"head.hdr{suffix}").write_bytes(pack(bytes(header)))
    (folder / f"head.img{suffix}").write_bytes(pack(bytes(image)))
    return folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("offset", [0, 16])
def test_a_pair_of_header_and_image_is_one_file(tmp_path, suffix, offset):
    pair(tmp_path, suffix=suffix, image_offset=offset)
    for paths in (tmp_path, sorted(tmp_path.iterdir()), sorted(tmp_path.iterdir())[::-1]):
        scan = read(paths)
        assert_head(scan)
        assert scan.notes == ()
        assert scan.spacing_mm == pytest.approx(case()[0].scan.spacing_mm)


def test_a_pair_of_analyze_is_read_as_a_file_without_forms(tmp_path):
    scan = read(pair(tmp_path, analyze=True))
    assert_head(scan)
    assert "left and right are assumed" in notes(scan)
    assert scan.spacing_known


def test_half_a_pair_asks_for_the_other(tmp_path):
    pair(tmp_path)
    with pytest.raises(ReadError, match=r"header half of a NIfTI .* Give its \.img file too"):
        read(tmp_path / "head.hdr")
    (tmp_path / "head.img").write_bytes((tmp_path / "head.img").read_bytes()[:5000])
    with pytest.raises(ReadError, match=r"head\.img is cut short"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("5_head", "5_head_Eq_1"), "5_head_Eq_1"),
        (("5_head", "5_head_Tilt_1"), "5_head_Tilt_1"),
        (("5_head", "5_head_Eq", "5_head_Tilt", "5_head_Tilt_Eq"), "5_head_Tilt_Eq"),
        (("5_head", "5_head_Eq", "5_head_Tilt"), "5_head_Eq"),
    ],
)
def test_of_what_dcm2niix_made_the_corrected_scan_is_read(tmp_path, names, chosen):
    values, affine = grid()
    for name in names:
        write(tmp_path / f"{name}.nii", values - (name == chosen), affine)
        (tmp_path / f"{name}.json").write_text("{}")
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, np.clip(case()[1] - 1, -1024, None))
    words = f"Read: {chosen}.nii, which dcm2niix corrected for uneven slices or tilt. Left out: 5_head.nii"
    assert words in notes(scan)


def test_two_scans_are_still_one_too_many(tmp_path):
    for name in ("a", "b_Eq"):
        write(tmp_path / f"{name}.nii", *grid())
    with pytest.raises(ReadError, match="holds 2 NIfTI files"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["head_mask.nii", "head-seg.nii", "labels/head.nii", "mask_head.nii"])
def test_a_mask_beside_its_scan_is_its_truth(tmp_path, name):
    write(tmp_path / "head.nii", *grid())
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name, *grid(case()[0].truth))
    scan = read(tmp_path)
    assert_head(scan)
    assert "Left out: 1 mask. Give the same files as true mask to compare." in scan.notes
    np.testing.assert_array_equal(read_truth(tmp_path, scan.hu.shape, scan.affine), case()[0].truth)


# --- truth ---------------------------------------------------------------------------------------------------------

NO_FORMS = {"sform_code": 0, "qform_code": 0}


def test_a_mask_without_forms_is_laid_over_its_scan_voxel_by_voxel_or_refused(tmp_path):
    scan = read(write(tmp_path / "a.nii", *grid()))
    path = write(tmp_path / "truth.nii", *grid(case()[0].truth), **NO_FORMS)
    found = read_truth(path, scan.hu.shape, scan.affine, orientation=scan.orientation)
    np.testing.assert_array_equal(found, case()[0].truth)
    with pytest.raises(ReadError, match="does not say how it lies"):
        read_truth(path, scan.hu.shape, scan.affine)


@pytest.mark.parametrize("isolated", [False, True])
def test_a_mask_of_a_scan_without_forms_lies_as_that_does(tmp_path, isolated):
    scan = read(write(tmp_path / "a.nii", case()[1], np.eye(4)))
    path = write(tmp_path / "truth.nii", case()[0].truth, np.eye(4))
    for affine in (scan.affine, None):
        mask = read_truth(path, scan.hu.shape, affine, orientation=scan.orientation, isolated=isolated)
        np.testing.assert_array_equal(mask, case()[0].truth)
    np.testing.assert_array_equal(read_truth(path, scan.hu.shape, scan.affine), case()[0].truth)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda: case()[1], "that is a CT, not a mask"),
        (lambda: np.clip(case()[1], 0, 80) * 3, "that is a picture, not a mask"),
        (lambda: case()[1] + 1024, "that is a picture, not a mask"),
    ],
    ids=["HU", "a window", "HU + 1024"],
)
def test_a_ct_is_no_mask(tmp_path, values, words):
    scan = read(write(tmp_path / "a.nii", *grid()))
    with pytest.raises(ReadError, match=words) as refusal:
        read_truth(write(tmp_path / "b.nii", *grid(values())), scan.hu.shape, scan.affine)
    assert "b.nii holds" in str(refusal.value)


def test_numbers_of_types_and_a_few_minus_ones_are_a_mask(tmp_path):
    types = case()[0].truth * (np.arange(64) % 5 + 1)
    types[0] = -1
    scan = read(write(tmp_path / "a.nii", *grid()))
    found = read_truth(write(tmp_path / "b.nii", *grid(types)), scan.hu.shape, scan.affine)
    np.testing.assert_array_equal(found[1:], case()[0].truth[1:])
    assert not found[0].any()
