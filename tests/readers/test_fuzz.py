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
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ich_lib.readers import ReadError, read
from ich_lib.readers.limits import LIMITS
from tests import planted, stacks
from tests.dicom_files import ct_dataset, write_series
from tests.readers import test_views as views
from tests.readers.test_frame import gray, notes, save

SETTINGS = settings(
    max_examples=int(os.environ.get("ICH_FUZZ", "40")),
    deadline=None,
    derandomize=True,  # the same examples every time
    database=None,
    phases=[Phase.generate, Phase.shrink],  # explaining a failure takes minutes
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
        answer = "A scan of numbers." if np.isfinite(scan.hu).all() and len(scan.hu) <= LIMITS["slices"] else ""
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


# --- several folders of windows ------------------------------------------------------------------------------------

WINDOWS = [(40, 80), (40, 40), (80, 200), (100, 254), (40, 400), (600, 2800), (480, 2500), (700, 3200), (50, 1)]
NUMBERS = st.integers(0, 3200) | st.sampled_from([10**7, 10**40, 10**90])
WORDS = st.sampled_from(["brain", "bone", "subdural", "stroke", "soft tissue", "window", "a"])
PARTS = st.sampled_from([views.SLICES, views.SLICES, views.SLICES[:2], views.SLICES[2:], views.SLICES[:1]])
CHANGES = {
    "none": lambda grays: grays,
    "cropped": lambda grays: grays[:-2],
    "turned": np.rot90,
    "inverted": lambda grays: 255 - grays,
    "16 bits": lambda grays: grays.astype(np.uint16) * 257,
    "color": lambda grays: np.dstack([grays, grays // 2, grays]),
    "black": np.zeros_like,
    "white": lambda grays: np.full_like(grays, 255),
    "small": lambda grays: grays[40:44, 40:44],
}
MOSTLY_NONE = st.sampled_from([*["none"] * len(CHANGES), *CHANGES])


@SETTINGS
@given(data=st.data())
def test_folders_of_any_windows_end_in_a_scan_or_a_sentence(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    level = data.draw(NUMBERS)  # the folders may agree on nonsense
    for window in data.draw(st.lists(st.sampled_from(WINDOWS), min_size=2, max_size=3, unique=True)):
        name = data.draw(st.just("W{1}_L{0}".format(*window)) | WORDS | st.builds(f"W{{}}_L{level}".format, NUMBERS))
        change = CHANGES[data.draw(MOSTLY_NONE)]
        suffix = data.draw(st.sampled_from([".png", ".jpg", ".tif"]))
        for k in data.draw(PARTS):
            pixels = np.ascontiguousarray(change(gray(k, *window)))
            path = save(folder / name / f"{k}{'.png' if pixels.dtype == np.uint16 else suffix}", pixels)
            if data.draw(st.integers(0, 30)) == 30:
                path.write_bytes(path.read_bytes()[: data.draw(st.integers(0, 200))])
    ends_in_a_scan_or_a_sentence(folder)


NARROW = st.tuples(st.integers(20, 60), st.integers(60, 200))  # (level, width)
WIDE = st.tuples(st.integers(300, 800), st.integers(1800, 3500))
NOTICED_HU = 15  # half a gray is 7 HU of the widest window, and rounding adds some


@SETTINGS
@given(narrow=NARROW, wide=WIDE, lie_hu=st.just(0) | st.integers(-200, 200))
def test_any_two_windows_give_hu_to_half_a_gray_unless_a_name_lies(narrow, wide, lie_hu, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    for (level, width), lower_hu in ((narrow, 0), (wide, lie_hu)):
        for k in views.SLICES:
            save(folder / f"W{width}_L{level}" / f"{k}.png", gray(k, level - lower_hu, width))
    scan = read(folder)
    if lie_hu == 0:
        views.assert_hu(scan, narrow, wide)
    elif abs(lie_hu) > NOTICED_HU:
        assert not scan.hu_known
        assert "its grays do not fit" in notes(scan)


# --- parts of a head at several tilts ------------------------------------------------------------------------------

STEPS_MM = st.sampled_from([0.06, 0.06, 1.0, 5.0, 20.0])
LEANS_DEG = st.integers(-50, 50) | st.sampled_from([0, 0.3, 0.6, 15, -15, 44.9, 45.1])
ODD_TAGS = st.sampled_from(
    [
        {"RescaleSlope": 1e30},
        {"RescaleSlope": 1e36},
        {"RescaleSlope": -1},
        {"PixelSpacing": [0.02, 50]},
        {"PixelSpacing": None},
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": [0, 1, 0, -1, 0, 0]},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"SeriesInstanceUID": "1.9", "FrameOfReferenceUID": "1.7"},
    ]
)


@SETTINGS
@given(data=st.data())
def test_a_base_at_any_tilt_ends_in_a_scan_or_a_sentence(data, tmp_path_factory):
    slices, meet_mm, leans = [], 0.0, st.just(0)
    for _ in range(data.draw(st.integers(2, 3))):
        step_mm, n = data.draw(STEPS_MM), data.draw(st.integers(1, 5))
        tags = data.draw(st.just({}) | st.just({}) | ODD_TAGS)
        heights = meet_mm + step_mm * np.arange(n)
        slices += stacks.tilted(heights, data.draw(leans), **tags)
        meet_mm, leans = heights[-1] + data.draw(st.integers(-60, 60)), LEANS_DEG
    ends_in_a_scan_or_a_sentence(stacks.write(tmp_path_factory.mktemp("tilts"), slices))


@settings(SETTINGS, max_examples=SETTINGS.max_examples // 3)
@given(
    lean_deg=st.integers(1, 25).flatmap(lambda deg: st.sampled_from([deg, -deg])),
    steps_mm=st.tuples(*[st.sampled_from([3.0, 4.0, 5.0])] * 2),
    meet_mm=st.integers(-10, 10),
)
def test_a_base_at_any_tilt_keeps_the_ml_of_the_ball(lean_deg, steps_mm, meet_mm, tmp_path_factory):
    """The top begins at `meet_mm`. The tilted base reaches it at the front and at the back."""
    rise_mm = stacks.RADIUS_MM * np.tan(np.radians(abs(lean_deg)))
    base = stacks.tilted(np.arange(meet_mm + rise_mm, -28 - rise_mm, -steps_mm[0]), lean_deg)
    top = stacks.images(np.arange(meet_mm, 36, steps_mm[1]))
    scan = read(stacks.write(tmp_path_factory.mktemp("base"), [*base, *top]))
    assert "they were laid on" in notes(scan)
    assert stacks.blood_ml(scan) == pytest.approx(stacks.TRUE_ML, rel=0.04)
    middle = np.argwhere((scan.hu > 50) & (scan.hu < 100)).mean(axis=0)
    np.testing.assert_allclose((scan.affine @ [*middle, 1])[:3], 0, atol=1)  # mm
