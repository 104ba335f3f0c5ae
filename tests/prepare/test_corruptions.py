"""Corrupted scans: the stated strength is measured in the result, and the truth changes with the picture."""

from dataclasses import replace

import numpy as np
import pytest

from ich_lib.case import Case
from ich_lib.measures.metrics import dice
from ich_lib.phantoms import from_shares
from ich_lib.prepare import corruptions
from ich_lib.prepare.corruptions import CORRUPTIONS, SEVERITIES, backproject, corrupt, view_response
from ich_lib.scan import Scan, axial_affine

SHAPE, SPACING_MM = (8, 120, 150), (5.0, 1.25, 1.0)  # 150 x 150 mm
CENTER = (60, 75)  # a pixel beside the exact middle


def exam(hu, truth=None):
    """An exam with these CT numbers. Slices with truth are labeled epidural."""
    truth = np.zeros(hu.shape, bool) if truth is None else truth
    labels = np.zeros((len(hu), 6), bool)
    labels[:, [0, 5]] = truth.any(axis=(1, 2))[:, None]
    hu = np.array(hu, np.float32)
    for values in (hu, truth, labels):
        values.flags.writeable = False
    return Case(Scan(hu, axial_affine(SPACING_MM, hu.shape)), truth, labels, np.ones(len(hu), bool))


def flat(value=30.0):
    return exam(np.full(SHAPE, value, np.float32))


def millimeters():
    """(y, x) distances from the slice's middle in mm."""
    y, x = (np.arange(n) - (n - 1) / 2 for n in SHAPE[1:])
    return np.meshgrid(y * SPACING_MM[1], x * SPACING_MM[2], indexing="ij")


@pytest.fixture(scope="module")
def head():
    """An oval head with texture; 70 HU of blood in slices 2 to 4."""
    rng = np.random.default_rng(0)
    y, x = millimeters()
    hu = np.full(SHAPE, -1000, np.float32)
    hu[:, np.hypot(y, 1.3 * x) < 65] = 900
    brain = np.broadcast_to(np.hypot(y, 1.3 * x) < 58, SHAPE)
    texture = np.kron(rng.normal(0, 8, (8, 24, 30)), np.ones((1, 5, 5)))
    hu[brain] = (35 + texture)[brain]
    truth = np.zeros(SHAPE, bool)
    truth[2:5] = np.hypot(y - 12, x + 24) < 12
    hu[truth] = 70
    return exam(hu, truth)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_input_stays_and_the_outcome_is_a_scan_that_says_what_was_done(head, name):
    """The input's arrays are read-only, so a change of them would raise an error."""
    degraded = corrupt(head, name, 5, seed=1)
    assert degraded.scan.hu.dtype == np.float32
    assert np.isfinite(degraded.scan.hu).all()
    assert degraded.truth.dtype == degraded.labels.dtype == degraded.outlined.dtype == bool
    assert degraded.scan.notes == (f"Corrupted on purpose: {name}, {CORRUPTIONS[name].strength(5)}.",)
    assert np.array_equal(degraded.scan.hu, corrupt(head, name, 5, seed=1).scan.hu)
    assert corrupt(head, name, 0) is head


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_is_farther_from_the_clean_scan_than_the_one_before(head, name):
    """Each thin slice is compared with the thick slice that contains it."""
    far = [0.0]
    for severity in SEVERITIES:
        hu = corrupt(head, name, severity).scan.hu
        if name == "thickness":
            hu = hu[((np.arange(8) + 0.5) / CORRUPTIONS[name].strengths[severity - 1]).astype(int)]
        far.append(float(np.abs(hu - head.scan.hu).mean()))
    assert (np.diff(far) > 0).all(), far


@pytest.mark.parametrize("name", ["noise", "motion", "metal"])
def test_another_seed_draws_another_scan(head, name):
    assert not np.array_equal(corrupt(head, name, 3, seed=0).scan.hu, corrupt(head, name, 3, seed=1).scan.hu)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_has_its_stated_sd_and_hangs_together_over_neighbors(severity):
    """Neighbors in noise smoothed by a Gaussian of SD s correlate by exp(-1 / 4 s^2): 0.60 at 0.7 px."""
    noise = corrupt(flat(), "noise", severity).scan.hu - 30
    assert noise.std() == pytest.approx(CORRUPTIONS["noise"].strengths[severity - 1], rel=0.1)
    assert abs(noise.mean()) < 0.05 * noise.std()
    for a, b in ((noise[:, 1:], noise[:, :-1]), (noise[:, :, 1:], noise[:, :, :-1])):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] == pytest.approx(0.6, abs=0.05)
    assert abs(np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]) < 0.02


def test_a_point_is_blurred_to_the_stated_width_along_both_axes():
    hu = np.zeros(SHAPE, np.float32)
    hu[:, CENTER[0], CENTER[1]] = 1000
    for severity in (3, 5):
        spot = corrupt(exam(hu), "blur", severity).scan.hu[4].astype(float)
        assert spot.sum() == pytest.approx(1000, rel=1e-4)
        y_mm, x_mm = (millimeters()[axis] - millimeters()[axis][CENTER] for axis in (0, 1))
        for far_mm in (y_mm, x_mm):
            width = np.sqrt((spot * far_mm**2).sum() / spot.sum()) * np.sqrt(8 * np.log(2))
            assert width == pytest.approx(CORRUPTIONS["blur"].strengths[severity - 1], rel=0.03)


def test_motion_spreads_a_point_over_the_stated_way_and_each_slice_goes_its_own():
    """In the middle a rotation moves nothing, so only the drift remains. A mean of poses keeps the sum."""
    hu = np.full(SHAPE, -1000, np.float32)
    hu[:, 59:61, 74:76] = 1000  # around the very middle
    degraded = corrupt(exam(hu, hu > 0), "motion", 5)
    y_mm, x_mm = millimeters()
    methods = []
    for plane in degraded.scan.hu + 1000:
        weight = plane / plane.sum()
        spread = [[(weight * a * b).sum() for b in (y_mm, x_mm)] for a in (y_mm, x_mm)]
        assert plane.sum() == pytest.approx(2000 * 4, rel=0.01)
        along, method = np.linalg.eigh(np.array(spread) - np.diag([1.25**2 / 4, 1 / 4]))
        assert np.sqrt(12 * along[1] * 6 / 8) == pytest.approx(12, rel=0.05)  # 7 steps spread by (7^2 - 1) / 6^2 / 12
        methods.append(np.degrees(np.arctan2(*method[:, 1])) % 180)
    assert np.ptp(methods) > 20
    assert np.array_equal(degraded.truth, hu > 0)


def test_a_marked_point_turns_by_the_stated_degrees_and_its_mask_with_it():
    """40 mm to the right of the middle, turned clockwise: 40 cos right of it and 40 sin below, for square and oblong
    pixels."""
    y_mm, x_mm = millimeters()
    point = np.broadcast_to(np.hypot(y_mm, x_mm - 40) < 6, SHAPE)
    for severity in SEVERITIES:
        angle = np.radians(CORRUPTIONS["rotation"].strengths[severity - 1])
        degraded = corrupt(exam(np.where(point, 70, 30), point.copy()), "rotation", severity)
        for k in (0, 7):
            assert y_mm[degraded.truth[k]].mean() == pytest.approx(40 * np.sin(angle), abs=0.3)
            assert x_mm[degraded.truth[k]].mean() == pytest.approx(40 * np.cos(angle), abs=0.3)
        assert dice(degraded.truth, degraded.scan.hu > 50) > 0.97
        assert degraded.truth.sum() == pytest.approx(point.sum(), rel=0.03)
        assert np.array_equal(degraded.labels[:, 5], np.ones(8, bool))


def test_a_level_is_off_by_the_stated_hu_up_or_down(head):
    offsets = {
        round(float(np.ptp(off)), 3) or float(off.mean())
        for seed in range(8)
        for off in [corrupt(head, "level", 4, seed=seed).scan.hu - head.scan.hu]
    }
    assert offsets == {15, -15}


def test_a_picture_240_hu_wide_taken_for_80_has_a_third_of_the_contrast_around_40(head):
    degraded = corrupt(head, "width", 5).scan.hu
    assert degraded[head.truth] == pytest.approx(40 + 30 / 3)
    assert degraded[0, 0, 0] == pytest.approx(40 - 1040 / 3, rel=1e-5)


def test_stripes_of_1_mm_become_gray_in_pixels_of_2_mm():
    stripes = np.broadcast_to(np.arange(150) % 2 * 100.0, SHAPE)
    assert corrupt(exam(stripes), "resolution", 2).scan.hu == pytest.approx(50, abs=0.01)


def test_pixels_that_are_coarser_already_stay(head):
    """1.25 x 1 mm times 8 is coarser than all of the strengths."""
    coarse = replace(head, scan=replace(head.scan, affine=head.scan.affine @ np.diag([1, 8, 8, 1])))
    assert np.array_equal(corrupt(coarse, "resolution", 5).scan.hu, head.scan.hu)


def test_slices_twice_as_thick_are_the_means_of_pairs():
    """Slices 0 to 7 with values 0 to 7 become 0.5, 2.5, 4.5, 6.5. Blood in one of two slices is half, which counts."""
    hu = np.broadcast_to(np.arange(8.0)[:, None, None], SHAPE).copy()
    truth = np.zeros(SHAPE, bool)
    truth[1] = truth[4:6, :60] = True
    degraded = corrupt(exam(hu, truth), "thickness", 3)
    assert degraded.scan.hu[:, 0, 0].tolist() == [0.5, 2.5, 4.5, 6.5]
    assert degraded.truth.any(axis=(1, 2)).tolist() == [True, False, True, False]
    assert degraded.truth[2].sum() == 60 * 150
    assert degraded.labels[:, 0].tolist() == [True, False, True, False]
    assert degraded.scan.spacing_mm == pytest.approx((10, 1.25, 1))
    first = (degraded.scan.affine @ [0, 3, 4, 1])[:3]
    thin = [(exam(hu).scan.affine @ [k, 3, 4, 1])[:3] for k in (0, 1)]
    assert first == pytest.approx(np.mean(thin, axis=0))


def test_slices_half_as_thick_again_share_the_one_between_them():
    """1.5 slices: (0 + 1/2) / 1.5, (1/2 + 2) / 1.5, ... The last one holds only half a slice, the 7. A thick slice
    has the labels of all its slices, and it is outlined if all of them are."""
    hu = np.broadcast_to(np.arange(8.0)[:, None, None], SHAPE).copy()
    truth = np.zeros(SHAPE, bool)
    truth[1] = True
    known = replace(exam(hu, truth), outlined=np.arange(8) != 7)
    degraded = corrupt(known, "thickness", 2)
    assert degraded.scan.hu[:, 0, 0] == pytest.approx(np.array([0.5, 0.5 + 2, 3 + 2, 2 + 5, 6 + 3.5, 7 * 1.5]) / 1.5)
    assert degraded.labels[:, 0].tolist() == [True, True, False, False, False, False]
    assert not degraded.truth.any()  # a third of each
    assert degraded.outlined.tolist() == [True, True, True, True, False, False]


def test_errors_alike_in_all_views_make_a_disc_and_nothing_beside_it():
    """The filtered backprojection of a disc's own projections is the disc."""
    radii = np.array([0, 1, 2, 4, 10, 50, 100])
    disc = backproject(np.ones(720), view_response(radii, pixel_mm=0.5))
    assert disc[:3] == pytest.approx(1, abs=0.01)
    assert disc[3:] == pytest.approx(0, abs=0.03)


def test_streaks_have_their_stated_strength_at_30_mm_and_little_far_away():
    for severity in (1, 5):
        stated = CORRUPTIONS["metal"].strengths[severity - 1]
        degraded = corrupt(flat(), "metal", severity).scan.hu
        assert (degraded.max(axis=(1, 2)) == corruptions.METAL_HU).all()
        assert (degraded[:, CENTER[0], CENTER[1]] == corruptions.METAL_HU).all()  # without bone, the middle
        y_mm, x_mm = (np.arange(120) - CENTER[0]) * 1.25, np.arange(150.0) - CENTER[1]
        far_mm = np.hypot(y_mm[:, None], x_mm[None])
        streaks = degraded - 30
        rms = lambda low, high, streaks=streaks, far_mm=far_mm: float(  # noqa: E731
            np.sqrt((streaks[:, (far_mm >= low) & (far_mm < high)] ** 2).mean())
        )
        assert rms(29, 31) == pytest.approx(stated, rel=0.1)
        assert rms(75, 110) < stated / 2.5
        assert abs(streaks[:, far_mm > 8].mean()) < 0.05 * stated


def test_the_rod_stands_on_bone_and_its_streaks_differ_from_slice_to_slice(head):
    degraded = corrupt(head, "metal", 3)
    places = {tuple(np.argwhere(plane == plane.max()).mean(axis=0).round().astype(int)) for plane in degraded.scan.hu}
    assert len(places) == 1
    assert head.scan.hu[(4, *places.pop())] == 900
    brain = (degraded.scan.hu - head.scan.hu)[:2, 40:80, 50:100]
    assert abs(np.corrcoef(*brain.reshape(2, -1))[0, 1]) < 0.5


def test_a_jpeg_loses_what_its_window_does_not_show_and_more_with_each_quality(head):
    soft = (head.scan.hu >= 0) & (head.scan.hu <= 80)
    off = []
    for severity in SEVERITIES:
        hu = corrupt(head, "jpeg", severity).scan.hu
        assert (hu.min(), hu.max()) == (0, 80)
        off.append(float(np.abs(hu - head.scan.hu)[soft].mean()))
    assert (np.diff(off) > 0).all()
    assert off[0] < 1


def test_what_is_unknown_is_refused_in_a_sentence(head):
    with pytest.raises(ValueError, match=r"'fog' is not a corruption; choose from noise, blur, motion"):
        corrupt(head, "fog", 1)
    with pytest.raises(ValueError, match=r"whole number from 0 \(unchanged\) to 5; got 6"):
        corrupt(head, "noise", 6)
    with pytest.raises(ValueError, match=r"needs a truth of that shape.*got \(7, 120, 150\)"):
        replace(head, truth=head.truth[1:])


def test_a_phantom_made_worse_loses_its_shares_which_would_not_go_along():
    share = {"epidural": np.zeros(SHAPE, np.float32)}
    built = from_shares(Scan(np.full(SHAPE, 30, np.float32), axial_affine(SPACING_MM, SHAPE)), share)
    assert corrupt(built, "noise", 0) is built
    assert type(corrupt(built, "noise", 1)) is Case
