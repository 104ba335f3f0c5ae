"""Slices as scanners and archives deliver them: uneven, missing, repeated, far from the others. They are read with a
note and the correct mL."""

import numpy as np
import pytest
from pydicom.uid import generate_uid

from ich_lib.readers import ReadError, read
from ich_lib.readers.geometry import Line, find_gaps, is_even, place_slices
from ich_lib.readers.header import read_slices
from ich_lib.readers.piece import Piece
from ich_lib.scan import axial_affine
from tests.dicom_files import write_series
from tests.planted import head, laid_out
from tests.stacks import (
    BELOW_AND_ABOVE,
    BLOOD_HU,
    COUNT,
    PIXEL_MM,
    SIDE,
    TRUE_ML,
    Image,
    ball,
    blood_ml,
    heights,
    images,
    tilted,
    tilted_base,
    write,
)


def notes_of(scan):
    return " ".join(note for note in scan.notes if "identifying" not in note)


# --- distances -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("z_mm", "words"),
    [
        (BELOW_AND_ABOVE, "varies between 2.5 and 5.0 mm"),
        (np.concatenate([heights()[:20], heights()[20] + 7.0 * np.arange(7)]), "varies between 2.5 and 7.0 mm"),
        (np.cumsum(np.random.default_rng(1).uniform(2, 3, COUNT)) - 50, "varies between 2.0 and"),
    ],
)
def test_every_slice_counts_half_way_to_its_neighbors(tmp_path, z_mm, words):
    scan = read(write(tmp_path, images(z_mm)))
    assert len(scan.hu) == len(z_mm)
    assert blood_ml(scan) == pytest.approx(TRUE_ML, rel=0.02)
    assert words in notes_of(scan)
    assert "missing" not in notes_of(scan)
    mm = [(scan.affine @ [place, 0, 0, 1])[2] for place in scan.places]
    np.testing.assert_allclose(mm, z_mm, atol=1e-6)


@pytest.mark.parametrize(("step_mm", "digits", "count"), [(1.25, 0, 80), (1.5, 0, 67)])
def test_rounded_positions_are_even_and_no_word_is_said(tmp_path, step_mm, digits, count):
    z_mm = heights(count, step_mm)
    found = [Image(round(float(z) + 0.03, digits), ball(z), {}) for z in z_mm]
    scan = read(write(tmp_path, found))
    assert scan.places is None
    assert scan.spacing_mm[0] == pytest.approx(step_mm, rel=0.01)
    assert blood_ml(scan) == pytest.approx(TRUE_ML, rel=0.02)
    assert not notes_of(scan)


def test_rounded_positions_of_a_tilted_scan_are_even_too(tmp_path):
    found = [Image(float(round(z)), ball(z), {}) for z in heights()]
    scan = read(write(tmp_path, found, lean_deg=15))
    assert scan.places is None
    assert scan.slab_mm[0] == pytest.approx(2.5 * np.cos(np.radians(15)), rel=0.01)


# --- gaps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [[18], [11], [19, 20], [14, 24]])
def test_slices_missing_in_a_clot_are_told_and_their_neighbors_reach_into_the_gap(tmp_path, missing):
    scan = read(write(tmp_path, images(np.delete(heights(), missing))))
    within = 0.04 if len(missing) == 1 else 0.08
    assert blood_ml(scan) == pytest.approx(TRUE_ML, rel=within)
    how_many = "one is" if len(missing) == 1 else f"{len(missing)} are"
    assert f"Slices {missing[0]} and {missing[0] + 1} are" in notes_of(scan)
    assert f"instead of 2.5 mm: {how_many} missing." in notes_of(scan)


def test_a_gap_says_how_much_of_the_head_it_hides(tmp_path):
    scan = read(write(tmp_path, images(np.delete(heights(), [19, 20]))))
    hidden_ml = np.pi * 33**2 * 5 / 1000
    note = next(note for note in scan.notes if "missing" in note)
    assert float(note.split("Up to ")[1].split(" mL")[0]) == pytest.approx(hidden_ml, rel=0.02)
    assert "Slices 19 and 20 are 7.5 mm apart instead of 2.5 mm: 2 are missing" in note


def test_a_gap_above_the_head_hides_nothing_of_it(tmp_path):
    z_mm = heights()
    found = images(np.delete(z_mm, 37))
    empty = [Image(image.z_mm, np.full_like(image.hu, -1000), {}) if image.z_mm > 40 else image for image in found]
    note = next(note for note in read(write(tmp_path, empty)).notes if "missing" in note)
    assert "The head in this gap is not seen" in note


def test_gaps_at_several_places_and_a_change_of_distance_are_told_apart(tmp_path):
    scan = read(write(tmp_path, images(np.delete(BELOW_AND_ABOVE, [9, 25]))))
    assert "varies between 2.5 and 5.0 mm" in notes_of(scan)
    assert "Slices 9 and 10 are 5.0 mm apart (and 1 more such place) instead of 2.5 mm: 2 are" in notes_of(scan)
    assert blood_ml(scan) == pytest.approx(TRUE_ML, rel=0.05)


def test_a_missing_slice_keeps_what_is_read(tmp_path):
    write_series(tmp_path, *laid_out(head(), "RPI"), skip=[5])  # the thirteenth, counted from the foot
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, np.delete(head(), 12, axis=0))
    assert scan.places.tolist() == [k for k in range(18) if k != 12]
    assert scan.spacing_mm[0] == pytest.approx(5)
    assert "Slices 12 and 13 are 10.0 mm apart instead of 5.0 mm: one is missing." in notes_of(scan)
    assert scan.volume_ml(scan.hu == BLOOD_HU) == pytest.approx(4 * 4 * 4 * 5 * 0.5 * 0.75 / 1000 - 0.0075 * 2)


@pytest.mark.parametrize(
    ("steps", "gaps"),
    [
        ([5, 5, 10, 5, 5], [2]),
        ([5, 10], [1]),
        ([10, 5], [0]),
        ([5, 5, 7], []),
        ([5, 5, 8], [2]),
        ([2.5] * 6 + [5] * 6, []),
        ([5] * 6 + [2.5] * 6, []),
        ([2.5] * 6 + [5] * 3 + [10] + [5] * 3, [9]),
        ([3, 6, 3, 3, 9, 3], [1, 4]),
        ([5], []),
    ],
)
def test_a_gap_is_more_than_one_and_a_half_of_the_distances_around_it(steps, gaps):
    assert [gap.index for gap in find_gaps(np.array(steps, float))] == gaps


@pytest.mark.parametrize(("step_mm", "grid_mm"), [(0.6, 0.1), (0.625, 0.1), (1, 1), (2.5, 1), (3.3, 1), (5, 1)])
@pytest.mark.parametrize("missing", [[20], [20, 21, 40]])
def test_rounding_hides_no_missing_slice(step_mm, grid_mm, missing):
    z_mm = np.delete(np.round((np.arange(60) * step_mm + 0.03) / grid_mm) * grid_mm, missing)
    assert not is_even(Line(np.stack([np.full_like(z_mm, -114.83), np.full_like(z_mm, 7.51), z_mm], 1), np.eye(3)[2]))


# --- which images --------------------------------------------------------------------------------------------------


def test_a_base_scanned_twice_counts_once(tmp_path):
    first = images(heights(), AcquisitionNumber=1)
    second_pass = [Image(image.z_mm, ball(image.z_mm, side_mm=6), {"AcquisitionNumber": 2}) for image in first[:12]]
    scan = read(write(tmp_path, [*second_pass, *first]))
    np.testing.assert_array_equal(scan.hu, [image.hu for image in first])
    assert "Left out: 12 slices at positions of other slices" in notes_of(scan)


def test_a_second_pass_between_the_slices_of_the_first_counts_as_a_repeat(tmp_path):
    first = images(heights(), AcquisitionNumber=4)
    second_pass = [Image(image.z_mm + 1.0, image.hu, {"AcquisitionNumber": 3}) for image in first[5:15]]
    scan = read(write(tmp_path, first + second_pass))
    assert len(scan.hu) == COUNT
    assert scan.places is None
    assert "Left out: 10 slices at positions" in notes_of(scan)


@pytest.mark.parametrize("number", [lambda k: k % 2, lambda k: k, lambda k: k // 4])
def test_passes_that_lie_beside_or_evenly_between_each_other_are_one_scan(tmp_path, number):
    found = [Image(z, ball(z), {"AcquisitionNumber": number(k) + 1}) for k, z in enumerate(heights())]
    scan = read(write(tmp_path, found))
    assert len(scan.hu) == COUNT
    assert not notes_of(scan)


def test_slices_of_two_distances_each_a_pass_of_its_own_are_all_kept(tmp_path):
    z_mm = np.concatenate([np.arange(8) * 2.0, 14 + np.arange(1, 20) * 6.0]) - 64
    scan = read(write(tmp_path, [Image(z, ball(z), {"AcquisitionNumber": k + 1}) for k, z in enumerate(z_mm)]))
    assert len(scan.hu) == len(z_mm)


def test_two_reconstructions_in_one_series_are_told_apart_by_the_scanners_count(tmp_path):
    first = images(heights())
    sharp = [Image(image.z_mm, image.hu + 5, {}) for image in first]
    scan = read(write(tmp_path, first + sharp))
    np.testing.assert_array_equal(scan.hu, [image.hu for image in first])
    assert f"Left out: {COUNT} slices at positions" in notes_of(scan)


def test_different_images_at_one_place_that_nothing_tells_apart_are_refused(tmp_path):
    found = images(heights())
    other = Image(found[9].z_mm, found[9].hu + 5, {"InstanceNumber": 10})
    with pytest.raises(ReadError, match=r"Two different images lie at one place \(IM\d+ and IM\d+\)"):
        read(write(tmp_path, [*found, other]))


@pytest.mark.parametrize("z_mm", [[-250, -250.0], [-90.0], [-250, 130]])
def test_a_slice_far_from_the_head_is_left_out_and_told(tmp_path, z_mm):
    strays = [Image(z, ball(0) + k, {"InstanceNumber": 90 + k}) for k, z in enumerate(z_mm)]
    scan = read(write(tmp_path, [*strays, *images(heights())]))
    np.testing.assert_array_equal(scan.hu, [image.hu for image in images(heights())])
    assert f"Left out: {len(z_mm)} slice" in notes_of(scan)
    assert "far from the others" in notes_of(scan)


def test_a_part_of_a_head_beyond_a_wide_gap_is_no_stray(tmp_path):
    scan = read(write(tmp_path, images(np.delete(heights(), range(10, 20)))))
    assert len(scan.hu) == 30
    assert "27.5 mm apart" in notes_of(scan)


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_one_image_without_a_position_is_left_out_and_told(tmp_path, tag):
    found = images(heights())
    scan = read(write(tmp_path, [*found, Image(0, ball(0), {tag: None})]))
    np.testing.assert_array_equal(scan.hu, [image.hu for image in found])
    assert scan.spacing_known
    assert "Left out: 1 slice without a position" in notes_of(scan)


def test_files_that_name_a_series_each_are_one_scan(tmp_path):
    found = [Image(z, ball(z), {"SeriesInstanceUID": generate_uid()}) for z in heights()]
    scan = read(write(tmp_path, found))
    np.testing.assert_array_equal(scan.hu, [image.hu for image in found])
    assert "40 files have a series UID each" in notes_of(scan)


def test_two_series_whose_files_name_a_series_each_stay_two(tmp_path):
    brain = [Image(z, ball(z), {"SeriesInstanceUID": generate_uid(), "SeriesNumber": 2}) for z in heights()]
    bone = [Image(z, ball(z) + 5, {"SeriesInstanceUID": generate_uid(), "SeriesNumber": 3}) for z in heights()[:30]]
    scan = read(write(tmp_path, bone + brain))
    np.testing.assert_array_equal(scan.hu, [image.hu for image in brain])


def test_a_scout_of_one_slice_joins_no_series(tmp_path):
    """Series with one image are common. They are joined only if each file has its own series UID."""
    found = images(heights())
    other = Image(0, np.tile(ball(0), (1, 1))[:40], {"SeriesInstanceUID": "9.9"})
    scan = read(write(tmp_path, [*found, other]))
    assert len(scan.hu) == COUNT
    assert "have a series UID each" not in notes_of(scan)


def with_tags(found, **tags):
    return [Image(image.z_mm, image.hu, image.tags | tags) for image in found]


@pytest.mark.parametrize(
    ("lean_deg", "up_to", "first"),
    [(15, 22, 20), (-15, 22, 20), (20, 23, 20), (15, 14, 12), (10, 30, 28), (15, 18, 20)],
)
def test_a_base_of_another_tilt_is_laid_below_the_others(tmp_path, lean_deg, up_to, first):
    scan = read(write(tmp_path, tilted_base(lean_deg, up_to, first)))
    assert blood_ml(scan) == pytest.approx(TRUE_ML, rel=0.02)
    blood = np.argwhere((scan.hu > 50) & (scan.hu < 100)).mean(axis=0)
    np.testing.assert_allclose((scan.affine @ [*blood, 1])[:3], 0, atol=0.3)
    few, many = sorted((up_to, COUNT - first))
    assert f"{few} slices lie tilted by {abs(lean_deg)} degrees against the {many} others" in notes_of(scan)
    assert ("of the head between the two parts are not seen" in notes_of(scan)) == (up_to < first)
    assert "Left out" not in notes_of(scan)
    assert not scan.dicom


def test_the_slices_of_the_larger_part_stay_as_they_are(tmp_path):
    scan = read(write(tmp_path, tilted_base(15, up_to=14, first=12)))
    straight = [image.hu for image in images(heights()[12:])]
    np.testing.assert_array_equal(scan.hu[-len(straight) :], straight)


def test_what_the_gap_between_two_tilts_hides_is_told(tmp_path):
    """A wedge of 15 degrees whose edge is 2.5 mm away: half of its head lies more than half a slice from both."""
    note = next(
        note for note in read(write(tmp_path, tilted_base(15, 18, 20))).notes if "between the two parts" in note
    )
    x, y = np.meshgrid(*[(np.arange(SIDE) - 23.5) * PIXEL_MM] * 2)
    wide_mm = 7.5 - y * np.tan(np.radians(15))  # from the base's last slice at -6.25 to the first straight one at 1.25
    hidden_ml = np.where(np.hypot(x, y) < 33, np.maximum(wide_mm - 2.5, 0), 0).sum() * PIXEL_MM**2 / 1000
    assert float(note.split()[2]) == pytest.approx(hidden_ml, rel=0.15)


TWO = {"SeriesInstanceUID": "1.9", "SeriesNumber": 5, "FrameOfReferenceUID": "1.7"}


@pytest.mark.parametrize(
    ("of_base", "joined"),
    [
        ({}, True),
        ({"SeriesDescription": "Posterior fossa"}, True),
        ({"FrameOfReferenceUID": "1.8"}, False),
        ({"FrameOfReferenceUID": None}, False),
        ({"ContrastBolusAgent": "Iodine"}, False),
        ({"ConvolutionKernel": "H70h"}, False),
        ({"SeriesDescription": "C-Spine 3.0"}, False),
        ({"PatientID": "2"}, False),
    ],
    ids=str,
)
def test_two_series_are_one_head_in_one_frame_of_reference_only(tmp_path, of_base, joined):
    top = with_tags(images(heights()[14:]), FrameOfReferenceUID="1.7", ConvolutionKernel="H31s")
    base = with_tags(tilted(heights()[:16], 15), **({"ConvolutionKernel": "H31s"} | TWO | of_base))
    scan = read(write(tmp_path, top + base))
    assert ("they were laid on" in notes_of(scan)) == joined
    assert ("Not read: series" in notes_of(scan)) != joined
    if joined:
        assert blood_ml(scan) == pytest.approx(TRUE_ML, rel=0.02)
        assert "read as one series" not in notes_of(scan)
    else:
        np.testing.assert_array_equal(scan.hu, [image.hu for image in top])


def test_a_whole_head_at_another_tilt_stays_a_series_of_its_own(tmp_path):
    other = with_tags(tilted(heights(), 15), **TWO)
    scan = read(write(tmp_path, [*with_tags(images(heights()), FrameOfReferenceUID="1.7"), *other]))
    np.testing.assert_array_equal(scan.hu, [image.hu for image in images(heights())])
    assert len(scan.series) == 2


def test_a_base_without_a_place_is_told_with_what_it_hides(tmp_path):
    base = with_tags(tilted(heights()[:12], 15), PixelSpacing=None)
    scan = read(write(tmp_path, [*base, *images(heights()[14:])]))
    assert len(scan.hu) == 26
    assert "Left out: 12 slices of the same series" in notes_of(scan)
    assert "tilted by 15 degrees relative to the 26 that were read. The model does not see bleeding there." in notes_of(
        scan
    )


def test_a_base_of_two_tilts_is_laid_below_too(tmp_path):
    found = [*tilted(heights()[:10], 25), *tilted(heights()[8:20], 12), *images(heights()[17:])]
    scan = read(write(tmp_path, found))
    assert blood_ml(scan) == pytest.approx(TRUE_ML, rel=0.02)
    assert notes_of(scan).count("they were laid on") == 2


def test_bases_that_lean_to_opposite_sides_are_two_parts(tmp_path):
    """They lie 50 degrees apart, which is too much for parts of one head, but each belongs to the larger part."""
    found = [*tilted(heights()[:12], 25), *images(heights()[9:31]), *tilted(heights()[28:], -25)]
    scan = read(write(tmp_path, found))
    assert notes_of(scan).count("lie tilted by 25 degrees against the 22 others") == 2
    assert blood_ml(scan) == pytest.approx(TRUE_ML, rel=0.02)


def test_a_base_that_would_need_too_many_thin_slices_is_left_out_and_told(tmp_path):
    found = [*tilted(-(np.arange(8) + 1) * 15.0, 20), *images(np.arange(12) * 0.1)]
    scan = read(write(tmp_path, found))
    assert len(scan.hu) == 12
    assert "Left out: 8 slices of the same series" in notes_of(scan)


def test_a_base_of_infinite_values_ends_as_air(tmp_path):
    found = [*with_tags(tilted(heights()[:12], 15), RescaleSlope="1e36"), *images(heights()[14:])]
    scan = read(write(tmp_path, found))
    assert np.isfinite(scan.hu).all()
    assert "held no number and became air" in notes_of(scan)


# --- sideways ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "lean_deg"), [(34, 0), (20, 15), (6, 15)])
def test_slices_that_lie_sideways_are_read_at_their_place(tmp_path, first, lean_deg):
    found = images(heights())
    for k in range(first, COUNT):
        moved = [-35.25 + 8 * PIXEL_MM, -35.25 + 4 * PIXEL_MM * np.cos(np.radians(lean_deg)), found[k].z_mm]
        moved[2] += 4 * PIXEL_MM * np.sin(np.radians(lean_deg))
        cut = np.pad(found[k].hu[4:, 8:], ((0, 4), (0, 8)), constant_values=-1000)
        found[k] = Image(found[k].z_mm, cut, {"ImagePositionPatient": moved})
    scan = read(write(tmp_path, found, lean_deg=lean_deg))
    few = first < COUNT / 2  # then the others are those that lie sideways
    where = np.argwhere(scan.hu == BLOOD_HU).mean(axis=0)
    x_mm, y_mm = (scan.affine @ [*where, 1])[:2]
    assert (x_mm, y_mm) == pytest.approx((0, 35.25 * (np.cos(np.radians(lean_deg)) - 1)), abs=0.5)
    assert blood_ml(scan) == pytest.approx(TRUE_ML * np.cos(np.radians(lean_deg)), rel=0.02)
    assert f"{first if few else COUNT - first} slices" in notes_of(scan)
    assert "The shift was removed." in notes_of(scan)
    assert not scan.dicom


# --- where the slices do not run from foot to head -----------------------------------------------------------------


def test_uneven_slices_from_front_to_back_are_laid_on_an_even_grid(tmp_path):
    write_series(tmp_path, *laid_out(head(), "LIP"), skip=[10])
    scan = read(tmp_path)
    assert scan.places is None
    assert scan.hu.shape == head().shape
    np.testing.assert_array_equal(np.delete(scan.hu, 10, axis=1), np.delete(head(), 10, axis=1))
    assert "The nearest ones were copied to an even grid" in notes_of(scan)
    assert not scan.dicom


def test_an_even_scan_has_no_places_and_lies_where_it_says(tmp_path):
    write_series(tmp_path, *laid_out(head(), "LPS"))
    found, _ = read_slices([Piece(path) for path in sorted(tmp_path.iterdir())])
    place = place_slices(sorted(found, key=lambda item: item.position[2]))
    assert (place.places, place.gaps, place.shifts, place.notes) == (None, (), None, ())
    assert axial_affine((5, 0.5, 0.75), (1, 1, 1))[:3, 0] @ [0, 0, 1] == pytest.approx(place.affine_ras[2, 2])


def test_a_child_tells_where_uneven_slices_lie(tmp_path):
    write(tmp_path, images(np.delete(heights(), 9)))
    scan, alone = read(tmp_path), read(tmp_path, isolated=True)
    np.testing.assert_array_equal(alone.places, scan.places)
    assert alone.notes == scan.notes
