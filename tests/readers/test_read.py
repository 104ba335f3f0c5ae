import gzip
import zipfile

import cv2
import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, RLELossless

from ich_lib.prepare.window import WINDOWS, window
from ich_lib.readers import ReadError, read
from ich_lib.readers.limits import LIMITS
from ich_lib.scan import to_file_grid
from tests.dicom_files import INTERCEPT, ct_dataset, write_series, write_slice
from tests.planted import SHAPE, SPACING_MM, head, laid_out


def axial():
    return laid_out(head(), "LPS")


def write_nifti(path, letters="LAS", dtype=np.int16, **header):
    values, affine = laid_out(head(), letters)
    data = nib.Nifti1Image(values.astype(dtype), affine).to_bytes()
    raw = nib.Nifti1Header(data[:348], check=False)
    for field, value in header.items():
        raw[field] = value
    path.write_bytes(raw.binaryblock + data[348:])
    return path


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def grays(level, width):
    return np.round(window(head()[9], level, width) * 255).astype(np.uint8)


def write_zip(path, files, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data, **options)
    return path


def notes_text(scan):
    return " ".join(scan.notes)


# --- NIfTI ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letters", ["RAS", "LAS", "LPI", "PIR"])
def test_a_nifti_of_any_order_shows_the_patients_left_on_the_viewers_right(tmp_path, letters):
    scan = read(write_nifti(tmp_path / "scan.nii", letters))
    np.testing.assert_array_equal(scan.hu, head())
    assert np.argwhere(scan.hu == 70).mean(0)[2] > SHAPE[2] / 2
    assert scan.spacing_mm == pytest.approx(SPACING_MM)
    assert (scan.orientation, scan.hu_known, scan.spacing_known, scan.notes) == (letters, True, True, ())


def test_a_mask_goes_back_to_the_nifti_it_came_from(tmp_path):
    values, affine = laid_out(head(), "PIR")
    scan = read(write_nifti(tmp_path / "scan.nii", "PIR"))
    back, back_affine = to_file_grid(scan, scan.hu == 70)
    np.testing.assert_array_equal(back, values == 70)
    np.testing.assert_allclose(back_affine, affine, atol=1e-5)


def test_a_mirrored_nifti_comes_out_mirrored(tmp_path):
    values, affine = laid_out(head(), "RAS")
    path = tmp_path / "scan.nii"
    path.write_bytes(nib.Nifti1Image(values[::-1].astype(np.int16), affine).to_bytes())
    np.testing.assert_array_equal(read(path).hu, head()[:, :, ::-1])


def test_the_content_tells_the_kind_not_the_name(tmp_path):
    path = write_nifti(tmp_path / "holiday.jpg")
    packed = tmp_path / "scan.dcm"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for name in (path, packed):
        np.testing.assert_array_equal(read(name).hu, head())


def test_big_endian_nifti_is_read_too(tmp_path):
    values, affine = laid_out(head(), "LAS")
    path = tmp_path / "scan.nii"
    path.write_bytes(nib.Nifti1Image(values, affine, nib.Nifti1Header(endianness=">")).to_bytes())
    np.testing.assert_array_equal(read(path).hu, head())


def test_nifti_2_is_read_too(tmp_path):
    values, affine = laid_out(head(), "LAS")
    path = tmp_path / "scan.nii"
    path.write_bytes(nib.Nifti2Image(values, affine).to_bytes())
    np.testing.assert_array_equal(read(path).hu, head())


def test_scaled_nifti_values_are_scaled_back(tmp_path):
    values, affine = laid_out(head(), "LAS")
    image = nib.Nifti1Image(((values + 1024) / 2).astype(np.int16), affine)
    image.header.set_slope_inter(2, -1024)
    path = tmp_path / "scan.nii"
    nib.save(image, path)
    stored = np.round((head() + 1024) / 2 - 0.25) * 2 - 1024
    np.testing.assert_allclose(read(path).hu, stored, atol=2)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e-3), ("micron", 1e3)])
def test_meters_and_microns_become_mm(tmp_path, unit, factor):
    values, affine = laid_out(head(), "LAS")
    affine[:3] *= factor
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units(unit)
    path = tmp_path / "scan.nii"
    path.write_bytes(image.to_bytes())
    scan = read(path)
    assert scan.spacing_mm == pytest.approx(SPACING_MM)
    assert scan.spacing_known
    assert scan.notes == ()


def test_a_nifti_without_form_codes_keeps_its_voxel_size_and_says_that_sides_are_assumed(tmp_path):
    scan = read(write_nifti(tmp_path / "scan.nii", "LAS", sform_code=0, qform_code=0))
    assert scan.spacing_known
    assert scan.spacing_mm == pytest.approx(SPACING_MM)
    np.testing.assert_array_equal(scan.hu, head())
    assert "left and right are assumed" in notes_text(scan)


def test_a_nifti_without_any_geometry_has_no_mm(tmp_path):
    pixdim = [1, 0, np.nan, 5, 1, 1, 1, 1]
    scan = read(write_nifti(tmp_path / "scan.nii", "LAS", sform_code=0, qform_code=0, pixdim=pixdim))
    assert not scan.spacing_known
    assert "no volume in mL is given" in notes_text(scan)


def test_a_flat_affine_is_not_believed(tmp_path):
    scan = read(write_nifti(tmp_path / "scan.nii", "LAS", srow_x=[1, 0, 0, 0], srow_y=[1, 0, 0, 0], qform_code=0))
    assert not scan.spacing_known
    assert "no usable sform" in notes_text(scan)


def test_a_fourth_axis_of_one_is_dropped_and_a_longer_one_refused(tmp_path):
    values, affine = laid_out(head(), "LAS")
    first, second = tmp_path / "one.nii", tmp_path / "two.nii"
    first.write_bytes(nib.Nifti1Image(values[..., None], affine).to_bytes())
    second.write_bytes(nib.Nifti1Image(np.stack([values, values], -1), affine).to_bytes())
    np.testing.assert_array_equal(read(first).hu, head())
    with pytest.raises(ReadError, match=r"two\.nii holds 20 x 24 x 18 x 2 values; a head CT is one volume"):
        read(second)


@pytest.mark.parametrize("letters", ["LPS", "RAS"])
def test_voxels_that_are_no_number_become_air_and_are_counted(tmp_path, letters):
    hu = head()
    hu[0, 0, :3] = np.nan, np.inf, -np.inf
    values, affine = laid_out(hu, letters)
    path = tmp_path / "scan.nii"
    path.write_bytes(nib.Nifti1Image(values, affine).to_bytes())
    scan = read(path)
    np.testing.assert_array_equal(scan.hu[0, 0, :4], [-1024, -1024, -1024, -1000])
    assert scan.notes == ("3 voxels held no number and became air.",)


@pytest.mark.parametrize(("fill", "words"), [(np.nan, "no number in any voxel"), (7, "every voxel is 7")])
def test_a_volume_without_a_picture_is_refused(tmp_path, fill, words):
    path = tmp_path / "scan.nii"
    path.write_bytes(nib.Nifti1Image(np.full((20, 24, 3), fill, np.float32), np.diag([-1.0, 1, 1, 1])).to_bytes())
    with pytest.raises(ReadError, match=words):
        read(path)


@pytest.mark.parametrize(
    "values", [(head() == 70).astype(float), window(head(), 40, 80) * 255], ids=["a 0-1 mask", "a windowed copy"]
)
def test_values_that_cannot_be_hu_are_read_but_marked(tmp_path, values):
    path = tmp_path / "scan.nii"
    grid, affine = laid_out(values.astype(np.float32), "LAS")
    path.write_bytes(nib.Nifti1Image(grid, affine).to_bytes())
    scan = read(path)
    assert not scan.hu_known
    assert f"from 0 to {values.max():g}, which does not look like Hounsfield units" in notes_text(scan)
    np.testing.assert_array_equal(scan.hu, values.astype(np.float32))


def test_hu_stay_within_twelve_bits(tmp_path):
    hu = head()
    hu[5, 5, 5], hu[0, 0, 0] = 30000, -3000
    values, affine = laid_out(hu, "LAS")
    path = tmp_path / "scan.nii"
    path.write_bytes(nib.Nifti1Image(values, affine).to_bytes())
    assert (read(path).hu.min(), read(path).hu.max()) == (-1024, 3071)


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize(
    ("pack", "words"), [(bytes, "cut short: it promises 17,632 bytes"), (gzip.compress, "damaged")]
)
def test_a_cut_nifti_is_refused(tmp_path, share, pack, words):
    path = tmp_path / "scan.nii.gz"
    noise = np.random.default_rng(0).integers(-1000, 900, (20, 24, 18)).astype(np.int16)
    data = pack(nib.Nifti1Image(noise, np.diag([-1.0, 1, 1, 1])).to_bytes())
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ReadError, match=rf"scan\.nii\.gz is {words}"):
        read(path)


def test_a_wrong_gzip_checksum_is_noticed(tmp_path):
    data = bytearray(gzip.compress(write_nifti(tmp_path / "scan.nii").read_bytes()))
    data[-6] ^= 0xFF
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(data)
    with pytest.raises(ReadError, match="damaged"):
        read(path)


def test_a_header_that_promises_too_much_is_refused_before_its_voxels_are_read(tmp_path):
    path = write_nifti(tmp_path / "scan.nii", dim=[3, 1024, 1024, 1999, 1, 1, 1, 1])
    with pytest.raises(ReadError, match=r"scan\.nii has 4192 MB of voxels; the maximum is 1400 MB\. Save it as int16"):
        read(path)
    path = write_nifti(tmp_path / "scan.nii", dim=[3, 8, 24, 18, 1, 1, 1, 1])
    with pytest.raises(ReadError, match="slices of 8 x 24 px; a side must be 16 to 1024 px"):
        read(path)
    path = write_nifti(tmp_path / "scan.nii", dim=[3, 20, 24, 2001, 1, 1, 1, 1])
    with pytest.raises(ReadError, match="2001 slices; 1 to 2000 are accepted"):
        read(path)
    path = write_nifti(tmp_path / "scan.nii", vox_offset=1e9)
    with pytest.raises(ReadError, match="voxels start 1000000000 bytes into the file"):
        read(path)


def test_colors_and_complex_numbers_are_no_ct(tmp_path):
    path = tmp_path / "scan.nii"
    path.write_bytes(nib.Nifti1Image(np.ones((20, 24, 3), np.complex64), np.eye(4)).to_bytes())
    with pytest.raises(ReadError, match="colors or complex numbers"):
        read(path)


def test_two_niftis_are_one_too_many(tmp_path):
    write_nifti(tmp_path / "a.nii")
    write_nifti(tmp_path / "b.nii")
    with pytest.raises(ReadError, match=r"holds 2 NIfTI files, a\.nii and others\. Give one"):
        read(tmp_path)


# --- DICOM: place --------------------------------------------------------------------------------------------------

LAYOUTS = {
    "head first": "LPS",
    "feet first, table from the other side": "RPI",
    "feet first, same picture": "LPI",
    "prone": "RAS",
    "sagittal": "PIL",
    "sagittal from the left": "PIR",
    "coronal": "LIP",
}


@pytest.mark.parametrize(
    ("center", "width", "kept"),
    [
        ("35", "110", (35, 110)),
        (["40", "600"], ["80", "2800"], (40, 80)),  # brain and bone: the first one is the default
        (None, "80", None),
        ("40", "0", None),
        ("40", "", None),
    ],
)
def test_the_window_of_a_dicom_file_is_kept_for_the_eye_and_leaves_hu_alone(tmp_path, center, width, kept):
    write_series(tmp_path / "with", *axial(), WindowCenter=center, WindowWidth=width)
    write_series(tmp_path / "without", *axial())
    scan, plain = read(tmp_path / "with"), read(tmp_path / "without")
    assert scan.window == kept
    assert plain.window is None
    np.testing.assert_array_equal(scan.hu, plain.hu)


@pytest.mark.parametrize("letters", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_dicom_series_of_any_position_shows_the_patients_left_on_the_viewers_right(tmp_path, letters):
    write_series(tmp_path, *laid_out(head(), letters))
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert np.argwhere(scan.hu == 70).mean(0)[2] > SHAPE[2] / 2
    assert scan.spacing_mm == pytest.approx(SPACING_MM)
    np.testing.assert_allclose(scan.affine, read_truth().affine, atol=1e-6)
    assert scan.orientation[:2] == letters[:2]
    assert scan.spacing_known
    assert scan.hu_known


def read_truth():
    from ich_lib.scan import from_file_grid

    return from_file_grid(*axial())


def test_a_mask_goes_back_to_columns_rows_and_slices(tmp_path):
    write_series(tmp_path, *axial())
    scan = read(tmp_path)
    back, affine = to_file_grid(scan, scan.hu)
    np.testing.assert_array_equal(back, axial()[0])
    np.testing.assert_allclose(affine, axial()[1], atol=1e-6)


def test_a_tilted_gantry_shrinks_every_voxel_by_the_cosine(tmp_path):
    values, affine = axial()
    tilt = np.deg2rad(20)
    affine[:3, 1] = 0, -0.5 * np.cos(tilt), 0.5 * np.sin(tilt)  # rows lean, but the table still moves straight
    write_series(tmp_path, values, affine)
    scan = read(tmp_path)
    assert scan.spacing_mm == pytest.approx(SPACING_MM)
    assert scan.voxel_ml == pytest.approx(5 * 0.5 * 0.75 * 0.9396926 / 1000)
    np.testing.assert_array_equal(scan.hu, head())


def test_the_distance_of_slices_comes_from_positions_not_from_thickness(tmp_path):
    write_series(tmp_path, *axial(), SliceThickness="1.25")
    assert read(tmp_path).spacing_mm[0] == pytest.approx(5)


def test_the_same_image_twice_counts_once(tmp_path):
    files = write_series(tmp_path, *axial())
    (tmp_path / "again").write_bytes(files[4].read_bytes())
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert "Left out: 1 copy of a file." in scan.notes


def test_an_equal_image_at_the_same_place_is_left_out_with_a_note(tmp_path):
    values, affine = axial()
    write_series(tmp_path, values, affine)
    write_series(tmp_path, values, affine, skip=[k for k in range(18) if k != 6], prefix="copy")
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert "Left out: 1 repeated slice." in scan.notes


def test_two_different_images_at_one_place_are_refused(tmp_path):
    values, affine = axial()
    write_series(tmp_path, values, affine)
    write_series(tmp_path, values[::-1], affine, skip=[k for k in range(18) if k != 13], prefix="other")
    with pytest.raises(ReadError, match=r"Two different images lie at one place \(IM\d+ and other\d+\)"):
        read(tmp_path)


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_without_positions_the_scanners_count_gives_the_order_and_no_ml(tmp_path, tag):
    write_series(tmp_path, *axial(), **{tag: None})
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert not scan.spacing_known
    assert "foot to head is assumed" in notes_text(scan)


@pytest.mark.parametrize("first", ["0", "1e9"])
def test_positions_that_are_all_the_same_or_out_of_the_room_are_no_positions(tmp_path, first):
    files = write_series(tmp_path, *axial(), ImagePositionPatient=["0", "0", "0"])
    ds = dcmread(files[0])
    ds.ImagePositionPatient = ["0", "0", first]
    ds.save_as(files[0])
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert not scan.spacing_known


@pytest.mark.parametrize("spacing", [None, ["0", "0"], ["-1", "0.5"], ["1e6", "1e6"]])
def test_without_a_pixel_size_there_is_no_ml(tmp_path, spacing):
    write_series(tmp_path, *axial(), PixelSpacing=spacing)
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert not scan.spacing_known
    assert "no pixel size" in notes_text(scan)


@pytest.mark.parametrize(
    ("thickness", "known", "words"), [("5", True, "thickness of 5 mm"), (None, False, "thickness is not known")]
)
def test_one_slice_is_as_thick_as_it_says(tmp_path, thickness, known, words):
    files = write_series(tmp_path, *axial(), SliceThickness=thickness)
    scan = read(files[8])
    np.testing.assert_array_equal(scan.hu, head()[8:9])
    assert scan.spacing_known == known
    assert scan.spacing_mm == pytest.approx(SPACING_MM)
    assert words in notes_text(scan)


# --- DICOM: which images -------------------------------------------------------------------------------------------


def test_a_scout_a_dose_screen_and_an_mr_image_are_left_out(tmp_path):
    write_series(tmp_path, *axial())
    write_slice(tmp_path / "a", head()[9], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_slice(tmp_path / "b", head()[9], SOPClassUID="1.2.840.10008.5.1.4.1.1.7", RescaleSlope=None)
    write_slice(tmp_path / "c", head()[9], Modality="MR")
    (tmp_path / "readme.txt").write_text("Burned by a workstation.")
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert "Left out: 1 scout view, 1 screenshot, 1 MR image." in scan.notes
    assert "Left out: 1 file of another kind." in scan.notes


def test_a_scout_alone_is_no_head(tmp_path):
    path = write_slice(tmp_path / "a", head()[9], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(ReadError, match="No slice of a CT was found, only 1 scout view"):
        read(path)


# --- DICOM: values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tag", "words"), [("RescaleSlope", r"Slope \(0028,1053\)"), ("RescaleIntercept", "1052")])
def test_without_rescale_tags_nothing_is_guessed(tmp_path, tag, words):
    files = write_series(tmp_path, *axial())
    write_slice(files[3], head()[3], **{tag: None})
    with pytest.raises(ReadError, match=f"^{files[3].name} has no Rescale .*{words}.*Nothing was guessed; export"):
        read(files[3])


@pytest.mark.parametrize(("text", "words"), [("NaN", "not a number"), ("text", "not a number"), ("0", "of 0")])
def test_a_slope_that_cannot_be_one_is_refused(tmp_path, text, words):
    path = write_slice(tmp_path / "IM1", head()[9], RescaleSlope="1234567.")
    path.write_bytes(path.read_bytes().replace(b"1234567.", text.encode().ljust(8)))
    with pytest.raises(ReadError, match=f"IM1 has a Rescale Slope .0028,1053. .*{words}"):
        read(path)


def test_monochrome1_leaves_right_hu_alone(tmp_path):
    path = write_slice(tmp_path / "IM1", head()[9], PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read(path).hu[0], head()[9])


def test_monochrome1_with_exchanged_values_is_turned_round(tmp_path):
    stored = 4095 - (head()[9] - INTERCEPT)
    path = write_slice(tmp_path / "IM1", stored + INTERCEPT, PhotometricInterpretation="MONOCHROME1")
    scan = read(path)
    np.testing.assert_array_equal(scan.hu[0], head()[9])
    assert "Black and white were exchanged" in notes_text(scan)


def test_padding_becomes_air(tmp_path):
    hu = head()[9]
    hu[:2] = 976  # stored as 2000, which would be bone if it were not padding
    path = write_slice(tmp_path / "IM1", hu, PixelPaddingValue=2000)
    scan = read(path)
    assert (scan.hu[0, :2] == -1024).all()
    np.testing.assert_array_equal(scan.hu[0, 2:], hu[2:])


def test_signed_padding_written_as_unsigned_is_recognized(tmp_path):
    hu = head()[9]
    hu[:2] = -200  # would be fat if it were not padding
    ds = ct_dataset(hu, intercept=0)
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 16, 15
    ds.PixelData = hu.astype("<i2").tobytes()
    ds.add_new("PixelPaddingValue", "US", 65536 - 200)
    path = tmp_path / "IM1"
    ds.save_as(path, enforce_file_format=True)
    assert (read(path).hu[0, :2] == -1024).all()


def test_a_slope_other_than_one_counts(tmp_path):
    path = write_slice(tmp_path / "IM1", head()[9] * 2 + 1024, RescaleSlope="0.5", RescaleIntercept="-1024")
    np.testing.assert_allclose(read(path).hu[0], head()[9])  # stored 2 hu + 2048


def test_run_length_encoding_is_read(tmp_path):
    ds = ct_dataset(head()[9])
    ds.compress(RLELossless)
    path = tmp_path / "IM1"
    ds.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read(path).hu[0], head()[9])


def enhanced_dataset(hu):
    """All slices in one file, geometry in functional groups, in reverse order."""
    from pydicom.dataset import Dataset

    ds = ct_dataset(hu[::-1])
    ds.SOPClassUID, ds.NumberOfFrames = EnhancedCTImageStorage, len(hu)
    del ds.RescaleSlope, ds.RescaleIntercept
    shared, plane, measures, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 2
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, INTERCEPT
    shared.PlaneOrientationSequence = Sequence([plane])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([rescale])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence([Dataset() for _ in hu])
    for k, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        where = Dataset()
        where.ImagePositionPatient = [0, 0, -5 * k]
        frame.PlanePositionSequence = Sequence([where])
    return ds


def test_an_enhanced_multi_frame_ct_is_read(tmp_path):
    path = tmp_path / "IM1"
    enhanced_dataset(head()).save_as(path, enforce_file_format=True)
    scan = read(path)
    np.testing.assert_array_equal(scan.hu, head())
    assert scan.spacing_mm == pytest.approx(SPACING_MM)
    assert scan.spacing_known


def test_frames_that_are_promised_but_not_there_are_refused(tmp_path):
    ds = enhanced_dataset(head())
    ds.NumberOfFrames = 2_000_000_000
    path = tmp_path / "IM1"
    ds.save_as(path, enforce_file_format=True)
    with pytest.raises(ReadError, match="says that it holds 2000000000 images"):
        read(path)


# --- DICOM: privacy and damage -------------------------------------------------------------------------------------


def test_identifying_tags_are_counted_and_never_shown(tmp_path):
    write_series(tmp_path, *axial(), skip=[12], InstitutionName="St. Elsewhere")
    scan = read(tmp_path)
    assert "The files carry 4 identifying tags (names, dates, numbers); none is kept." in scan.notes
    with pytest.raises(ReadError, match="does not hold that series") as refusal:
        read(tmp_path, series="Coronal")
    text = notes_text(scan) + str(refusal.value).replace("Axial 5mm", "") + repr(scan)
    for secret in ("Doe", "4711", "2020", "Elsewhere", "1.2.3", "Axial"):
        assert secret not in text


def test_a_warning_of_pydicom_that_would_quote_the_file_is_not_passed_on(tmp_path):
    path = write_slice(tmp_path / "IM1", head()[9], SeriesInstanceUID="1.2.3.4.5.6", PatientAge="040Y")
    path.write_bytes(path.read_bytes().replace(b"1.2.3.4.5.6", b"Doe^Jane^40").replace(b"040Y", b"Jane"))
    np.testing.assert_array_equal(read(path).hu[0], head()[9])  # warnings are errors in these tests


def test_burned_in_text_is_pointed_out(tmp_path):
    path = write_slice(tmp_path / "IM1", head()[9], BurnedInAnnotation="YES")
    assert "text burned in, which may name the patient" in notes_text(read(path))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_cut_dicom_is_refused(tmp_path, share):
    path = write_slice(tmp_path / "IM1", head()[9])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ReadError, match=r"IM1 is damaged or cut short|No slice of a CT was found|has no Rescale"):
        read(path)


def test_a_slice_that_no_scanner_makes_is_refused_before_its_pixels_are_decoded(tmp_path):
    path = write_slice(tmp_path / "IM1", head()[9], Rows=60000, Columns=60000)
    with pytest.raises(ReadError, match="60000 x 60000 px; a side must be 16 to 1024 px"):
        read(path)


def test_dicom_without_preamble_or_header_group_is_read(tmp_path):
    path = write_slice(tmp_path / "IM1", head()[9])
    bare = tmp_path / "IM2"
    bare.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read(bare).hu, read(path).hu)
    ds = ct_dataset(head()[9])
    del ds.file_meta
    ds.save_as(bare, implicit_vr=True, little_endian=True, enforce_file_format=False)
    np.testing.assert_array_equal(read(bare).hu, read(path).hu)


# --- folders and zips ----------------------------------------------------------------------------------------------


def test_a_zip_of_nested_folders_reads_like_the_folder(tmp_path):
    files = write_series(tmp_path / "dicom", *axial())
    entries = {f"study/s{n % 2}/{path.name}": path.read_bytes() for n, path in enumerate(files)}
    junk = {
        "__MACOSX/._IM1": b"x",
        ".DS_Store": b"x",
        "study/DICOMDIR": b"x",
        "../../etc/x": b"words",
        "/a.txt": b"words",
    }
    path = write_zip(tmp_path / "study.zip", entries | junk)
    assert "Left out: 1 file of another kind." in read(path).notes
    for paths in (path, [path], tmp_path / "dicom", files, [str(file) for file in files]):
        np.testing.assert_array_equal(read(paths).hu, head())


def test_a_zip_of_one_nifti_or_of_pictures_is_read(tmp_path):
    data = write_nifti(tmp_path / "scan.nii").read_bytes()
    path = write_zip(tmp_path / "a.zip", {"x/scan.nii": data, "x/readme.txt": b"words"})
    np.testing.assert_array_equal(read(path).hu, head())
    png = write_png(tmp_path / "1.png", grays(40, 80)).read_bytes()
    assert len(read(write_zip(tmp_path / "b.zip", {"1.png": png, "2.png": png})).hu) == 2


def test_zips_that_should_not_be_opened_are_refused(tmp_path):
    with pytest.raises(ReadError, match=r"empty\.zip holds no file"):
        read(write_zip(tmp_path / "empty.zip", {}))
    with pytest.raises(ReadError, match="packed in a way no scanner uses"):
        read(write_zip(tmp_path / "bomb.zip", {"zeros": bytes(20_000_000)}))
    with pytest.raises(ReadError, match="looks like an Office document"):
        read(write_zip(tmp_path / "a.docx", {"[Content_Types].xml": b"<x/>", "word/media/image1.png": b"x"}))
    with pytest.raises(ReadError, match="a zip inside a zip"):
        read(write_zip(tmp_path / "nest.zip", {"in.zip": (tmp_path / "empty.zip").read_bytes()}))
    locked = bytearray(write_zip(tmp_path / "locked.zip", {"scan.nii": b"x" * 50}).read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(ReadError, match="locked with a password"):
        read(tmp_path / "locked.zip")
    full = write_zip(tmp_path / "cut.zip", {"scan.nii": b"x" * 5000}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(full[:60])
    with pytest.raises(ReadError, match=r"cut\.zip is damaged or cut short"):
        read(tmp_path / "cut.zip")


def test_a_zip_entry_with_a_wrong_checksum_is_noticed(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scan.nii", write_nifti(tmp_path / "scan.nii").read_bytes())
    data = bytearray(path.read_bytes())
    data[5000] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ReadError, match=r"a\.zip is damaged"):
        read(path)


def test_hidden_files_do_not_count_but_a_hidden_folder_above_does_not_matter(tmp_path):
    folder = tmp_path / ".cache" / "scan"
    write_series(folder, *axial())
    (folder / ".DS_Store").write_bytes(b"junk")
    scan = read(folder)
    np.testing.assert_array_equal(scan.hu, head())
    assert "another kind" not in notes_text(scan)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(LIMITS, "files", 10)
    write_series(tmp_path, *axial())
    with pytest.raises(ReadError, match="more than 10 files"):
        read(tmp_path)


def test_a_file_over_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(LIMITS, "file_bytes", 1_000)
    with pytest.raises(ReadError, match=r"scan\.nii has .* MB"):
        read(write_nifti(tmp_path / "scan.nii"))


# --- pictures ------------------------------------------------------------------------------------------------------


def test_a_picture_whose_window_is_told_gives_hu(tmp_path):
    path = write_png(tmp_path / "slice.png", grays(*WINDOWS["brain render"]))
    for output in ("brain render", (40, 120)):
        scan = read(path, window=output)
        np.testing.assert_allclose(scan.hu[0], np.clip(head()[9], -20, 100), atol=0.25)
        assert (scan.hu_known, scan.spacing_known, scan.spacing_mm) == (True, False, (5, 1, 1))
        assert "Below -20 and above 100 HU the picture is black or white" in notes_text(scan)
        assert "patient's right is on the left" in notes_text(scan)


def test_a_picture_whose_window_nobody_told_lies_over_the_brain_window_and_says_so(tmp_path):
    scan = read(write_png(tmp_path / "slice.png", grays(40, 80)))
    np.testing.assert_allclose(scan.hu[0], np.clip(head()[9], 0, 80), atol=0.2)
    assert not scan.hu_known
    assert "HU unknown" in notes_text(scan)


def test_sixteen_bits_stay_sixteen(tmp_path):
    pixels = np.round(window(head()[9] + 0.01, 0, 4000) * 65535).astype(np.uint16)
    scan = read(write_png(tmp_path / "slice.png", pixels), window=(0, 4000))
    np.testing.assert_allclose(scan.hu[0], head()[9] + 0.01, atol=0.04)  # with 8 bits it would be 8 HU off


def test_a_stack_of_pictures_is_in_natural_order(tmp_path):
    for k in (1, 2, 10):
        write_png(tmp_path / f"s{k}.png", np.where(grays(40, 80) > 0, 20 * k, 0).astype(np.uint8))
    scan = read(tmp_path)
    assert [round(float(plane.max()) / 80 * 255) for plane in scan.hu] == [20, 40, 200]
    assert "order of their file names" in notes_text(scan)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_equal_color_channels_are_gray_and_different_ones_refused(tmp_path, suffix):
    gray = grays(40, 80)
    scan = read(write_png(tmp_path / f"gray{suffix}", cv2.merge([gray, gray, gray])))
    assert np.abs(scan.hu[0] - np.clip(head()[9], 0, 80)).mean() < 2
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with pytest.raises(ReadError, match=r"photo.* is a color picture; a CT slice is gray"):
        read(write_png(tmp_path / f"photo{suffix}", photo))


def test_alpha_is_dropped(tmp_path):
    gray = grays(40, 80)
    scan = read(write_png(tmp_path / "a.png", cv2.merge([gray, gray, gray, np.full_like(gray, 9)])))
    np.testing.assert_allclose(scan.hu[0], np.clip(head()[9], 0, 80), atol=0.2)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_cut_picture_is_refused(tmp_path, suffix):
    path = write_png(tmp_path / f"a{suffix}", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ReadError, match=r"is cut short|damaged"):
        read(path)


def test_a_png_chunk_that_claims_gigabytes_is_refused_before_opencv_reserves_them(tmp_path):
    path = write_png(tmp_path / "a.png", grays(40, 80))
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") - 4] = 0xF0
    path.write_bytes(data)
    with pytest.raises(ReadError, match=r"a\.png is cut short"):
        read(path)


def test_the_size_of_a_picture_is_checked_before_it_is_decoded(tmp_path):
    path = write_png(tmp_path / "a.png", np.eye(64, dtype=np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[:16] + (30000).to_bytes(4, "big") * 2 + data[24:])
    with pytest.raises(ReadError, match="30000 x 30000 px; a side must be 16 to 4096 px"):
        read(path)
    with pytest.raises(ReadError, match="8 x 8 px"):
        read(write_png(tmp_path / "b.jpg", np.eye(8, dtype=np.uint8)))
    with pytest.raises(ReadError, match="a side must be 16 to 4096 px"):
        read(write_png(tmp_path / "c.jpg", np.zeros((5000, 20), np.uint8)))


def test_pictures_of_two_sizes_and_black_ones_are_refused(tmp_path):
    write_png(tmp_path / "1.png", np.eye(64, dtype=np.uint8))
    write_png(tmp_path / "2.png", np.eye(32, dtype=np.uint8))
    with pytest.raises(ReadError, match=r"2\.png has 32 x 32 px, 1\.png 64 x 64"):
        read(tmp_path)
    with pytest.raises(ReadError, match="every voxel is 0"):
        read(write_png(tmp_path / "black.png", np.zeros((64, 64), np.uint8)))


@pytest.mark.parametrize(
    ("given_window", "words"),
    [("brian", "'brian' is not known. Take one of brain"), ((40, 0), "positive width"), (40, "such as .40, 80.")],
)
def test_a_window_that_makes_no_sense_is_refused(tmp_path, given_window, words):
    with pytest.raises(ReadError, match=words):
        read(write_png(tmp_path / "a.png", grays(40, 80)), window=given_window)


# --- CT-ICH --------------------------------------------------------------------------------------------------------


def ct_ich_patient(folder, planes):
    """Planes by number. A plane that exists on one side only comes from ("brain" | "bone", plane)."""
    for number, plane in planes.items():
        for side in ("brain", "bone"):
            pixels = np.round(window(plane, *WINDOWS[f"{side} render"]) * 255).astype(np.uint8)
            (folder / side).mkdir(parents=True, exist_ok=True)
            quality = [cv2.IMWRITE_JPEG_QUALITY, 100]
            (folder / side / f"{number}.jpg").write_bytes(cv2.imencode(".jpg", pixels, quality)[1].tobytes())
    mask = np.zeros((24, 20), np.uint8)
    (folder / "brain" / "2_HGE_Seg.jpg").write_bytes(cv2.imencode(".jpg", mask)[1].tobytes())
    return folder


def test_a_ct_ich_patient_becomes_hu_again_from_foot_to_head(tmp_path):
    flat = {k: np.full((24, 20), value, np.float32) for k, value in ((1, -800), (2, 30), (9, 60), (10, 1500))}
    scan = read(ct_ich_patient(tmp_path / "050", flat))
    np.testing.assert_allclose(scan.hu.mean((1, 2)), [-800, 30, 60, 1500], atol=7)
    assert (scan.hu_known, scan.spacing_known, scan.spacing_mm) == (True, False, (5, 1, 1))
    assert "Slices 3, 4, 5, 6, 7 and 8 are left out: a brain or bone picture is missing." in scan.notes


def test_a_ct_ich_slice_whose_picture_is_missing_is_named(tmp_path):
    folder = ct_ich_patient(tmp_path / "050", {k: head()[k] for k in range(1, 6)})
    (folder / "bone" / "3.jpg").unlink()
    scan = read(folder)
    assert len(scan.hu) == 4
    assert "Slice 3 is left out: its brain or bone picture is missing." in scan.notes
    assert "another kind" not in notes_text(scan)


def test_a_zipped_ct_ich_patient_is_one_too(tmp_path):
    folder = ct_ich_patient(tmp_path / "050", {k: head()[k] for k in range(1, 6)})
    entries = {str(path.relative_to(tmp_path)): path.read_bytes() for path in folder.rglob("*.jpg")}
    np.testing.assert_array_equal(read(write_zip(tmp_path / "a.zip", entries)).hu, read(folder).hu)


def test_two_ct_ich_patients_are_one_too_many(tmp_path):
    for name in ("050", "051"):
        ct_ich_patient(tmp_path / name, {1: head()[9]})
    with pytest.raises(ReadError, match=r"2 CT-ICH patients\. Give the folder of one, such as 050"):
        read(tmp_path)


def test_the_brain_folder_alone_is_a_stack_of_pictures_without_its_masks(tmp_path):
    folder = ct_ich_patient(tmp_path / "050", {k: head()[k] for k in range(2, 5)})
    scan = read(folder / "brain", window="brain render")
    assert len(scan.hu) == 3
    with pytest.raises(ReadError, match="only masks"):
        read(folder / "brain" / "2_HGE_Seg.jpg")


def test_a_real_ct_ich_patient_is_read(ct_ich_folder):
    patient = min((ct_ich_folder / "Patients_CT").iterdir())
    scan = read(patient)
    assert scan.hu.shape[1:] == (650, 650)
    assert (scan.hu < -700).mean() > 0.2  # air around the head
    assert 0.05 < ((scan.hu > 0) & (scan.hu < 80)).mean() < 0.6


# --- what is no head CT --------------------------------------------------------------------------------------------

OTHERS = {
    "plain text": b"Dear colleague, here is the scan.\n" * 20,
    "a PDF": b"%PDF-1.7\n" + bytes(200),
    "an empty file": b"",
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "an SVG or XML file": b"<?xml version='1.0'?><svg/>",
    "a Windows program": b"MZ" + bytes(200),
    "a GIF picture": b"GIF89a" + bytes(50),
    "a gzip file that holds plain text": gzip.compress(b"words and more words"),
    "a gzip file that holds another": gzip.compress(gzip.compress(b"words")),
    "a damaged gzip file": b"\x1f\x8b\xff\xff\xff\xff",
    "an Analyze or damaged NIfTI header": (348).to_bytes(4, "little") + bytes(400),
    "data of an unknown kind": bytes(range(256)) * 4,
}


@pytest.mark.parametrize(("kind", "data"), OTHERS.items(), ids=OTHERS.keys())
def test_what_is_no_scan_is_refused_by_its_kind(tmp_path, kind, data):
    path = tmp_path / "scan.dcm"
    path.write_bytes(data)
    with pytest.raises(ReadError, match=rf"^scan\.dcm looks like {kind}, not a head CT\. Give DICOM"):
        read(path)


def test_text_in_any_alphabet_is_plain_text(tmp_path):
    path = tmp_path / "scan.dcm"
    path.write_text("Αξονική τομογραφία εγκεφάλου\n" * 9, encoding="utf-8")
    with pytest.raises(ReadError, match="looks like plain text"):
        read(path)


def test_a_folder_of_other_things_says_what_most_of_them_are(tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.txt").write_text("words")
    with pytest.raises(ReadError, match="3 of its 3 files look like plain text"):
        read(tmp_path)


def test_nothing_is_refused_as_nothing(tmp_path):
    with pytest.raises(ReadError, match="holds no file"):
        read(tmp_path)
    with pytest.raises(ReadError, match=r"^gone\.dcm does not exist"):
        read(tmp_path / "gone.dcm")
    with pytest.raises(ReadError, match="No file was given"):
        read([])
    with pytest.raises(ReadError, match="does not exist"):
        read("a\0b")


def test_random_bytes_after_a_valid_start_are_refused(tmp_path):
    noise = np.random.default_rng(0).bytes(4000)
    starts = (bytes(128) + b"DICM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"PK\x03\x04", b"\x08\x00\x05\x00")
    for n, start in enumerate(starts):
        path = tmp_path / f"{n}"
        path.write_bytes(start + noise)
        with pytest.raises(ReadError, match=rf"{n} is |{n} looks like data|No slice|px; a side"):
            read(path)


def test_only_the_base_name_is_shown_and_without_control_characters(tmp_path):
    path = tmp_path / "evil\u202egpj.exe\n"
    path.write_text("words")
    with pytest.raises(ReadError, match=r"^evilgpj\.exe looks like plain text") as refusal:
        read(path)
    assert str(tmp_path) not in str(refusal.value)
