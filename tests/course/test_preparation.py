import itertools

import numpy as np
import pytest

from ich_lib.course.contrast import (
    average_channels,
    clahe,
    compare_channel_average,
    compare_clahe,
    compare_scaling,
    compare_window_mean,
    input_range,
    min_max_per_slice,
    to_8_bit,
)
from ich_lib.course.corrupt_files import blacken_corrupt, count_label_noise, drop_corrupt
from ich_lib.course.preparation import (
    METHODS,
    compare_padding,
    compare_shrinking,
    pad_or_crop,
    pad_overwriting_the_picture,
    resize,
    subsample,
)
from ich_lib.prepare.window import window


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def bleed(top, left, rows, columns, side=32):
    """Brain of 30 HU with one rectangle of blood of 70 HU, and the rectangle's mask."""
    mask = np.zeros((side, side), bool)
    mask[top : top + rows, left : left + columns] = True
    return np.where(mask, np.float32(70), np.float32(30)), mask


# 1. Smaller pictures


def test_subsampling_reads_every_fourth_pixel_and_is_what_nearest_does():
    picture = noise(3, 512, 512)
    small = subsample(picture)
    assert small.shape == (3, 128, 128)
    assert small[1, 5, 9] == picture[1, 20, 36]
    assert np.array_equal(resize(picture, 128, "nearest"), small)


def test_area_is_the_mean_of_what_a_new_pixel_covers_also_between_whole_steps():
    """From 6 to 4 pixels: double them to 12; then every new pixel is a block of 3 x 3."""
    picture = noise(6, 6)
    blocks = np.kron(picture, np.ones((2, 2))).reshape(4, 3, 4, 3).mean(axis=(1, 3))
    assert np.allclose(resize(picture, 4, "area"), blocks, atol=1e-6)


def test_linear_to_a_quarter_is_the_mean_of_the_inner_four_of_sixteen():
    picture = noise(16, 16)
    inner = picture.reshape(4, 4, 4, 4)[:, 1:3, :, 1:3].mean(axis=(1, 3))
    assert np.allclose(resize(picture, 4, "linear"), inner, atol=1e-6)


def test_a_bleed_between_the_sampling_points_vanishes_and_area_keeps_nine_sixteenths_of_it():
    """Rows and columns 5 to 7 are between the points 4 and 8, so they are inside one pixel of the small picture."""
    hu, mask = bleed(5, 5, 3, 3)
    gone, remaining = (compare_shrinking(hu, mask, 8, method) for method in ("nearest", "area"))
    assert (gone.vanished_lesions, gone.lost_from_mask, gone.area_error, gone.mask_area_error) == (1, 1, -1, -1)
    assert (gone.contrast_before, gone.contrast_after, gone.vanished_share) == (40, 0, 1)
    assert (remaining.vanished_lesions, remaining.lost_from_mask, remaining.area_error) == (0, 0, 0)
    assert remaining.mask_area_error == pytest.approx(16 / 9 - 1)
    assert remaining.contrast_after == pytest.approx(40 * 9 / 16)
    assert remaining.contrast_kept == pytest.approx(9 / 16)


def test_the_contrast_comparison_says_what_the_small_picture_shows():
    """The lesion is followed without its background. On a flat background the small picture shows the same."""
    hu, mask = bleed(5, 5, 3, 3)
    small = resize(hu, 8, "area")
    assert compare_shrinking(hu, mask, 8, "area").contrast_after == pytest.approx(small[1, 1] - small[0, 0])


def test_a_bleed_on_a_sampling_point_becomes_sixteen_times_too_large():
    hu, mask = bleed(8, 8, 1, 1)
    lucky = compare_shrinking(hu, mask, 8, "nearest")
    assert (lucky.vanished_lesions, lucky.area_error, lucky.contrast_kept) == (0, 15, 1)


def test_a_bleed_on_the_seam_keeps_its_area_as_shares_and_leaves_the_binary_mask():
    """2 x 2 pixels around the common corner of four new pixels: each new pixel gets a sixteenth."""
    seam = compare_shrinking(*bleed(7, 7, 2, 2), 8, "area")
    assert (seam.vanished_lesions, seam.lost_from_mask, seam.area_error, seam.mask_area_error) == (0, 1, 0, -1)


def test_of_sixteen_specks_fifteen_vanish_by_subsampling_and_none_by_area():
    """One speck for every position that a pixel can have in its block of 4 x 4."""
    hu, mask = np.full((64, 64), 30, np.float32), np.zeros((64, 64), bool)
    for dy, dx in itertools.product(range(4), repeat=2):
        mask[16 * dy + 4 + dy, 16 * dx + 4 + dx] = True
    hu[mask] = 70
    nearest, area = (compare_shrinking(hu, mask, 16, method) for method in ("nearest", "area"))
    assert (nearest.lesions, nearest.vanished_lesions, nearest.area_error) == (16, 15, 0)
    assert nearest.contrast_after == pytest.approx(40 / 16)
    assert (area.vanished_lesions, area.contrast_after) == (0, pytest.approx(40 / 16))


def test_a_stack_counts_the_lesions_of_each_slice():
    """The same column of blood in two slices counts as two lesions. An empty slice adds none."""
    hu, mask = bleed(5, 5, 3, 3)
    stack = np.stack([hu, hu, np.full_like(hu, 30)]), np.stack([mask, mask, np.zeros_like(mask)])
    result = compare_shrinking(*stack, 8, "area")
    assert (result.lesions, result.area_error, result.contrast_before) == (2, 0, 40)


def test_pieces_that_touch_at_a_corner_are_one_lesion_and_pieces_apart_are_two():
    hu, mask = bleed(5, 5, 3, 3)
    touching, apart = mask | np.roll(mask, (3, 3), (0, 1)), mask | np.roll(mask, (8, 8), (0, 1))
    assert compare_shrinking(hu, touching, 8, "area").lesions == 1
    assert compare_shrinking(hu, apart, 8, "area").lesions == 2


def test_fine_stripes_become_a_false_level_by_subsampling_and_average_out_by_area():
    """Stripes of +10 and -10, each one pixel wide: every fourth pixel is +10."""
    stripes = np.tile(np.array([10, -10], np.float32), (32, 16))
    _, mask = bleed(5, 5, 3, 3)
    result = {method: compare_shrinking(stripes, mask, 8, method).aliasing for method in METHODS}
    assert result["nearest"] == pytest.approx(10, rel=1e-4)
    assert result["area"] == result["linear"] == pytest.approx(0, abs=1e-4)


def test_coarse_stripes_are_no_aliasing():
    """One wave over 32 pixels is one over eight pixels of the small picture: no method loses it."""
    wave = np.tile(np.cos(2 * np.pi * np.arange(32) / 32).astype(np.float32), (32, 1))
    _, mask = bleed(5, 5, 3, 3)
    assert all(compare_shrinking(wave, mask, 8, method).aliasing < 1e-5 for method in METHODS)


def test_white_noise_folds_back_whole_by_subsampling_and_shrinks_by_area():
    """15 of 16 parts of the noise's power are too fine. The mean of 16 pixels keeps a sixteenth of the power."""
    picture = np.random.default_rng(1).normal(0, 4, (256, 256)).astype(np.float32)
    mask = np.zeros(picture.shape, bool)
    mask[100:110, 100:110] = True
    nearest, area = (compare_shrinking(picture, mask, 64, method).aliasing for method in ("nearest", "area"))
    assert nearest == pytest.approx(4 * np.sqrt(15 / 16), rel=0.05)
    assert area < 4 / 4


def test_bone_beside_a_bleed_does_not_count_as_its_surroundings_when_tissue_is_named():
    hu, mask = bleed(12, 12, 8, 2)
    hu[:, 14:] = hu[:10] = 1000
    everything = compare_shrinking(hu, mask, 8, "area").contrast_before
    brain = compare_shrinking(hu, mask, 8, "area", tissue=hu < 100).contrast_before
    assert brain == 40
    assert everything < 0


@pytest.mark.parametrize("method", METHODS)
def test_the_same_size_changes_nothing(method):
    hu, mask = bleed(5, 6, 7, 8)
    same = compare_shrinking(hu, mask, 32, method)
    assert np.array_equal(resize(hu, 32, method), hu)
    assert (same.area_error, same.mask_area_error, same.contrast_kept, same.aliasing) == (0, 0, 1, 0)


def test_shrinking_refuses_what_would_distort_or_enlarge_or_cannot_be_measured():
    hu, mask = bleed(5, 5, 3, 3)
    with pytest.raises(ValueError, match=r"square.*got \(32, 30\).*pad_or_crop"):
        resize(hu[:, :30], 8, "area")
    with pytest.raises(ValueError, match="between 1 and the picture's 32 pixels; got 64"):
        resize(hu, 64, "area")
    with pytest.raises(ValueError, match="No method is called 'cubic'; choose from nearest, linear, area"):
        resize(hu, 8, "cubic")
    with pytest.raises(ValueError, match="mask is empty"):
        compare_shrinking(hu, ~np.ones_like(mask), 8, "area")
    with pytest.raises(ValueError, match="no tissue beside its lesion"):
        compare_shrinking(hu, np.ones_like(mask), 8, "area")
    with pytest.raises(ValueError, match=r"picture's shape \(32, 32\); got \(16, 32\)"):
        compare_shrinking(hu, mask[:16], 8, "area")
    with pytest.raises(ValueError, match="step must be a whole number from 1 on; got 0"):
        subsample(hu, 0)


# 2. CLAHE


def two_sides(seed=0):
    """The same tissue of 40 HU, in dark brain on the left and in bright brain on the right, with some noise and one
    bleed of 65 HU."""
    rng = np.random.default_rng(seed)
    hu = np.concatenate([np.full((64, 32), 20.0), np.full((64, 32), 60.0)], axis=1) + rng.normal(0, 2, (64, 64))
    hu[4:12, 4:12] = hu[4:12, 52:60] = 40
    hu[40:46, 8:14] = 65
    mask = np.zeros(hu.shape, bool)
    mask[40:46, 8:14] = True
    return hu.astype(np.float32), mask


def test_clahe_gives_one_tissue_two_grays_and_a_window_gives_it_one():
    hu, mask = two_sides()
    gray = to_8_bit(window(np.rint(hu), 40, 80))
    equalized = clahe(gray, tiles=2)
    assert gray[8, 8] == gray[8, 56] == 128
    assert int(equalized[8, 8]) - int(equalized[8, 56]) > 20
    result = compare_clahe(hu, mask, tiles=2)
    assert result["window"].gray_spread == result["narrow window"].gray_spread == 0
    assert result["CLAHE"].gray_spread > 5
    assert result["CLAHE"].hu_spread > 0.5


def test_the_spreads_are_those_of_a_slow_count():
    """A plain loop computes every gray of each CT number, and every CT number of each gray."""
    hu, mask = two_sides(1)
    hu = np.rint(hu)
    view, visited = clahe(to_8_bit(window(hu, 40, 80)), tiles=2), (hu > 0) & (hu < 80)
    pairs = list(zip(hu[visited].tolist(), view[visited].tolist(), strict=True))
    grays = [np.subtract(*np.percentile([g for h, g in pairs if h == value], [95, 5])) for value, _ in pairs]
    values = [np.subtract(*np.percentile([h for h, g in pairs if g == gray], [95, 5])) for _, gray in pairs]
    result = compare_clahe(hu, mask, tiles=2)["CLAHE"]
    assert result.gray_spread == pytest.approx(np.mean(grays))
    assert result.hu_spread == pytest.approx(np.mean(values))


def test_half_the_window_doubles_contrast_and_noise_alike():
    """From window 40/80 to 40/40 every gray step doubles, so contrast to noise stays the same."""
    rng = np.random.default_rng(2)
    hu = np.clip(np.rint(rng.normal(35, 3, (64, 64))), 22, 58).astype(np.float32)
    mask = np.zeros(hu.shape, bool)
    mask[30:36, 30:36] = True
    hu[mask] = 55
    result = compare_clahe(hu, mask)
    wide, narrow = result["window"], result["narrow window"]
    assert narrow.contrast == pytest.approx(2 * wide.contrast, rel=0.01)
    assert narrow.noise == pytest.approx(2 * wide.noise, rel=0.01)
    assert narrow.contrast_to_noise == pytest.approx(wide.contrast_to_noise, rel=0.01)


def test_contrast_is_the_gray_of_the_bleed_minus_that_of_the_brain_around_it_without_the_skull():
    """70 and 30 HU are gray 223 and 96 in the brain window. The bone beside the bleed is left out."""
    hu, mask = bleed(12, 12, 4, 4)
    hu[:, 17:] = 1000
    plain = compare_clahe(hu, mask)["window"]
    assert (plain.contrast, plain.noise, plain.contrast_to_noise) == (223 - 96, 0, np.inf)


def test_a_narrow_window_pays_by_merging_the_ends():
    """Whole HU from 1 to 79, once each. The stroke window shows 1 to 20 black and 60 to 79 white."""
    hu = np.tile(np.arange(80, dtype=np.float32), (80, 1))
    mask = np.zeros(hu.shape, bool)
    mask[38:42, 50:54] = True
    result = compare_clahe(hu, mask)
    assert result["window"].hu_spread == 0
    assert result["narrow window"].hu_spread == pytest.approx(2 * 20 / 79 * 0.9 * 19)


def test_clahe_refuses_hu_and_a_lesion_outside_its_window():
    hu, mask = bleed(5, 5, 3, 3)
    with pytest.raises(ValueError, match=r"takes \(y, x\) uint8; got \(32, 32\) float32"):
        clahe(hu)
    with pytest.raises(ValueError, match="lies outside the 'brain' window"):
        compare_clahe(np.where(mask, 200, hu), mask)


# 3. The mean of three channels


def test_the_mean_of_a_gray_jpg_is_the_jpg():
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = np.repeat(gray[..., None], 3, axis=2)
    assert np.array_equal(average_channels(picture), gray)
    result = compare_channel_average(picture)
    assert (result.largest_difference, result.colors, result.grays, result.max_values_per_gray) == (0, 256, 256, 1)


def test_the_mean_of_colors_puts_different_tissues_on_one_gray():
    """(90, 0, 0), (0, 90, 0) and (30, 30, 30) are all gray 30; (200, 200, 200) does not overflow."""
    picture = np.array([[[90, 0, 0], [0, 90, 0], [30, 30, 30], [200, 200, 200]]], np.uint8)
    assert average_channels(picture).tolist() == [[30, 30, 30, 200]]
    result = compare_channel_average(picture)
    assert (result.largest_difference, result.colors, result.grays, result.max_values_per_gray) == (60, 4, 2, 3)


def test_the_mean_of_three_windows_has_half_the_contrast_of_the_brain_window():
    """Blood of 60 HU and brain of 30 HU differ by 30/80, 30/200 and 30/2800 of 255: 96, 38 and 3 grays, up to
    rounding."""
    result = compare_window_mean()
    assert np.allclose(result.contrast_of_channels, [96, 38, 3], atol=1)
    assert abs(result.contrast_of_mean - (96 + 38 + 3) / 3) <= 1
    assert (result.hu_values, result.distinct_in_channels) == (101, 101)
    assert result.distinct_in_mean < 101


def test_ct_numbers_on_one_gray_follow_from_the_slope_of_the_windows():
    """The bone window alone, three times: it has 255 grays for 2800 HU, so most grays hold 11 CT numbers."""
    result = compare_window_mean(("bone",) * 3, from_hu=0, to_hu=999)
    assert result.max_values_per_gray == 11
    assert result.distinct_in_channels == result.distinct_in_mean == pytest.approx(1000 * 255 / 2800, abs=1)


def test_black_and_white_are_not_the_fullest_gray():
    """The stroke window is black up to 20 HU and white from 60 HU. Between them, one HU is 6 grays."""
    assert compare_window_mean(("stroke",) * 3).max_values_per_gray == 1


def test_channel_means_refuse_other_than_three():
    with pytest.raises(ValueError, match=r"takes \(y, x, 3\) uint8; got \(4, 4, 4\) uint8"):
        average_channels(np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="Three windows"):
        compare_window_mean(("brain", "bone"))


# 4. Pad and crop


def test_padding_keeps_every_pixel_in_the_middle():
    picture = np.arange(1, 7, dtype=np.uint8).reshape(2, 3)
    padded, cut = pad_or_crop(picture, 5, 0)
    assert np.array_equal(padded[1:3, 1:4], picture)
    assert padded.sum() == 21
    assert (cut.pixels_cut, cut.pixels_added, cut.blood_lost, cut.head_lost) == (0, 19, None, None)


def test_cropping_says_what_share_of_blood_and_head_is_gone():
    """From 6 x 10 to 6 x 6 cuts columns 0, 1, 8 and 9: one of four columns of the blood, and two of eight of the
    head."""
    picture = np.arange(60, dtype=np.float32).reshape(6, 10)
    blood, head = np.zeros((6, 10), bool), np.zeros((6, 10), bool)
    blood[2:4, 5:9], head[:, 1:9] = True, True
    cropped, cut = pad_or_crop(picture, 6, -1000, blood=blood, head=head)
    assert np.array_equal(cropped, picture[:, 2:8])
    assert (cut.pixels_cut, cut.pixels_added, cut.blood_lost, cut.head_lost) == (24, 0, 0.25, 0.25)


def test_one_side_can_be_cut_while_the_other_is_padded_in_every_slice():
    stack = noise(2, 3, 7)
    out, cut = pad_or_crop(stack, 5, -1, blood=np.zeros(stack.shape, bool))
    assert np.array_equal(out[:, 1:4], stack[:, :, 1:6])
    assert (out[:, 0] == -1).all()
    assert (out[:, 4] == -1).all()
    assert (cut.pixels_cut, cut.pixels_added, cut.blood_lost) == (2 * 3 * 2, 2 * 2 * 5, 0)


def test_padding_by_overwriting_gives_a_black_slice_and_its_number_is_nothing_kept():
    gray = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
    assert not pad_overwriting_the_picture(gray, 6).any()
    assert gray.sum() == 78
    result = compare_padding(gray, 6)
    assert (result.share_kept, result.share_kept_overwriting) == (1, 0)


def test_padding_refuses_a_fill_the_picture_cannot_hold_and_a_mask_that_is_not_its_own():
    gray = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="uint8 picture cannot hold the fill -1000"):
        pad_or_crop(gray, 6, -1000)
    with pytest.raises(ValueError, match=r"shape \(4, 4\); got \(3, 4\)"):
        pad_or_crop(gray, 6, 0, head=np.ones((3, 4), bool))
    with pytest.raises(ValueError, match="not black"):
        compare_padding(gray, 6)


# 5. One window or each file's own


def test_min_max_gives_the_same_blood_another_gray_in_every_slice():
    """60 HU is 0.75 through 40/80, the window of a slice of 0 to 80 HU. It is white through 50/100 of a slice of 20 to
    60."""
    hu = np.array([[[-1000, 60, 1000]], [[20, 40, 60]]], np.float32)
    windows = [(40, 80), (50, 100)]
    gray = min_max_per_slice(hu, windows)
    assert gray.tolist() == [[[0, 0.75, 1]], [[0, 0.5, 1]]]
    result = compare_scaling(hu, windows)
    assert result["per file"].gray_of_tissue == (0.75, 1.0) == (gray[0, 0, 1], gray[1, 0, 2])
    assert result["fixed"].gray_of_tissue == (0.75, 0.75)
    assert (result["per file"].gray_step, result["fixed"].gray_step) == (0.25, 0)


def test_one_gray_stands_for_other_ct_numbers_in_every_slice_unless_the_window_is_fixed():
    """Half gray is the center of the window: 40 HU of 0 to 80, 65 HU of 30 to 100."""
    hu = np.array([[[-1000, 1000]], [[30, 1000]]], np.float32)
    result = compare_scaling(hu, [(40, 80), (50, 100)])
    assert result["per file"].hu_of_gray == (40, 65)
    assert result["per file"].hu_step == 25
    assert (result["fixed"].hu_of_gray, result["fixed"].hu_step) == ((40, 40), 0)


def test_the_fixed_window_is_the_librarys_window():
    result = compare_scaling(np.zeros((1, 2, 2)), [(40, 80)], fixed="subdural", tissue_hu=73)["fixed"]
    assert result.gray_of_tissue[0] == pytest.approx(float(window(np.array(73.0), 80, 200)))


def test_a_slice_of_one_value_becomes_black_without_a_warning():
    air = np.full((1, 2, 2), -1000.0)
    assert not min_max_per_slice(air, [(40, 80)]).any()
    assert compare_scaling(air, [(40, 80)])["per file"].gray_of_tissue == (0,)


def test_min_max_needs_one_window_a_slice():
    with pytest.raises(ValueError, match=r"got 1 for \(2, 3, 3\)"):
        min_max_per_slice(np.zeros((2, 3, 3)), [(40, 80)])
    with pytest.raises(ValueError, match="positive width"):
        compare_scaling(np.zeros((1, 3, 3)), [(40, 0)])


# 6. Scaled once or twice


def test_scaled_twice_a_network_sees_less_than_one_gray_of_255():
    picture = np.arange(256, dtype=np.uint8)
    assert input_range(picture) == (0, 255)
    assert input_range(picture, 1 / 255) == (0, 1)
    assert input_range(picture, 1 / 255, 1 / 255) == (0, pytest.approx(1 / 255))
    assert input_range(picture, -1) == (-255, 0)


# 7. Files that cannot be read

LABELED = np.array([[0, 0, 0, 0, 1, 1], [1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]], bool)


def half_corrupt():
    picture = np.full((2, 3), 7, np.uint8)
    return [picture, None, picture + 1, None]


def test_a_black_slice_keeps_its_label_and_a_file_done_right_takes_it_along():
    black = blacken_corrupt(half_corrupt())
    assert black.max(axis=(1, 2)).tolist() == [7, 0, 8, 0]
    assert black.dtype == np.uint8
    pictures, labels, left_out = drop_corrupt(half_corrupt(), LABELED)
    assert pictures.max(axis=(1, 2)).tolist() == [7, 8]
    assert np.array_equal(labels, LABELED[[0, 2]])
    assert left_out == (1, 3)


def test_label_noise_is_the_share_of_labels_without_a_picture():
    """Two of four files are corrupt, and one of the three that bleed is among them."""
    result = count_label_noise(half_corrupt(), LABELED)
    assert (result.files, result.corrupt, result.bleeding, result.bleeding_corrupt) == (4, 2, 3, 1)
    assert (result.share, result.share_of_bleeding) == (0.5, 1 / 3)
    clean = count_label_noise(half_corrupt(), np.zeros((4, 6), bool))
    assert (clean.share, clean.share_of_bleeding) == (0.5, 0)


def test_no_readable_file_and_missing_labels_are_refused():
    with pytest.raises(ValueError, match="Not one of the 2 files could be read"):
        blacken_corrupt([None, None])
    with pytest.raises(ValueError, match="4 pictures and 3 labels"):
        drop_corrupt(half_corrupt(), LABELED[:3])


# All of them


def test_nothing_changes_its_input():
    """Read-only arrays: writing into one raises."""
    hu, mask = two_sides()
    gray, blood = to_8_bit(window(hu, 40, 80)), mask.copy()
    color = np.repeat(gray[..., None], 3, axis=2)
    for given in (hu, mask, gray, blood, color, LABELED):
        given.flags.writeable = False
    subsample(hu)[:] = 0
    for method in METHODS:
        compare_shrinking(hu, mask, 16, method, tissue=~mask)
    compare_clahe(hu, mask)
    compare_channel_average(color)
    pad_or_crop(hu, 40, 0, blood=blood)
    compare_padding(gray, 80)
    min_max_per_slice(hu[None], [(40, 80)])
    compare_scaling(hu[None], [(40, 80)])
    input_range(gray, 1 / 255)
    drop_corrupt([gray, None, gray, gray], LABELED)[0][:] = 0
    blacken_corrupt([gray, None])[:] = 0
