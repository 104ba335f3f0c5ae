"""A checkerboard that is picture and mask at once: after any augmentation, the two must show the same board."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from ich_lib.prepare.augment import DEFAULT, NO_AUGMENT, NO_WARP, Augment, Warp, apply_warp, draw_warp, perturb_hu
from ich_lib.scan import AIR_HU

STRONG = {
    "turn_deg": 40.0,
    "shift": 0.2,
    "shear_deg": 20.0,
    "zoom": 0.4,
    "crop": 0.5,
    "flip_lr": True,
    "flip_ud": True,
    "elastic": 0.02,
}
ALONE = {name: replace(NO_AUGMENT, **{name: value}) for name, value in STRONG.items()}
EVERY = {**ALONE, "all together": Augment(**STRONG)}


def board(side=128, cell=8, margin=16):
    """Cells of 0 and 255 within a margin of 0."""
    y, x = np.mgrid[:side, :side]
    cells = ((y // cell + x // cell) % 2) * 255
    inside = (np.minimum(y, x) >= margin) & (np.maximum(y, x) < side - margin)
    return np.where(inside, cells, 0)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("size", "room"), [(128, 1.0), (96, 1.25), (200, 1.0)])
def test_picture_and_mask_agree_to_the_pixel_and_the_mask_stays_binary(name, size, room):
    hu, blood = board()[None].astype(np.float32), board()[None].astype(np.uint8)
    rng = np.random.default_rng(7)
    changed = 0
    for _ in range(12):
        picture, mask = apply_warp(hu, blood, size, draw_warp(EVERY[name], rng), room=room)
        assert np.array_equal(mask[0], picture[0] >= 127.5)
        assert set(np.unique(mask)) == {0, 1}
        changed += not np.array_equal(mask, apply_warp(hu, blood, size, NO_WARP, room=room)[1])
    assert changed >= 3, "the augmentation did nothing"


@pytest.mark.parametrize("slices", [1, 3, 4, 7])
def test_a_stack_of_slices_moves_as_one(slices):
    """Five or more channels are warped in groups. Each slice still gets the same warp as its twin."""
    hu, blood = np.stack([board()] * slices).astype(np.float32), np.stack([board()] * slices).astype(np.uint8)
    picture, mask = apply_warp(hu, blood, 96, draw_warp(EVERY["all together"], np.random.default_rng(1)))
    assert picture.shape == mask.shape == (slices, 96, 96)
    assert all(np.array_equal(plane, picture[0]) for plane in picture)
    assert np.array_equal(mask, picture >= 127.5)


def test_nothing_drawn_moves_nothing():
    hu, blood = board()[None].astype(np.float32), board()[None].astype(np.uint8)
    for move in (NO_WARP, draw_warp(NO_AUGMENT, np.random.default_rng(0))):
        picture, mask = apply_warp(hu, blood, 128, move)
        assert np.array_equal(picture, hu)
        assert np.array_equal(mask, board()[None] >= 128)


def test_a_quarter_turn_and_a_mirror_are_those_of_numpy():
    """(x, y) to (-y, x) turns clockwise on screen, where y points down."""
    hu = np.zeros((1, 64, 64), np.float32)
    hu[0, 10:20, 30:50] = 100
    blood = (hu > 0).astype(np.uint8) * 255
    quarter = Warp(np.array([[0.0, -1.0], [1.0, 0.0]]), np.zeros(2))
    mirror = Warp(np.diag([-1.0, 1.0]), np.zeros(2))
    assert np.array_equal(apply_warp(hu, blood, 64, quarter)[1][0], np.rot90(blood[0] > 0, -1))
    assert np.array_equal(apply_warp(hu, blood, 64, mirror)[1][0], blood[0, :, ::-1] > 0)


def test_a_shift_is_in_shares_of_the_side():
    hu = np.zeros((1, 64, 64), np.float32)
    blood = np.zeros((1, 64, 64), np.uint8)
    blood[0, 30, 30] = 255
    mask = apply_warp(hu, blood, 64, Warp(np.eye(2), np.array([0.25, -0.125])))[1][0]
    assert np.argwhere(mask).tolist() == [[30 - 8, 30 + 16]]


def test_outside_the_source_lie_air_and_no_blood():
    hu, blood = np.full((2, 64, 64), 40, np.float32), np.full((1, 64, 64), 255, np.uint8)
    picture, mask = apply_warp(hu, blood, 64, Warp(np.eye(2) * 0.5, np.zeros(2)))
    assert (picture[:, 0, 0] == AIR_HU).all()
    assert mask[0, 0, 0] == 0
    assert mask.mean() == pytest.approx(0.25, abs=0.02)


def test_each_part_stays_within_what_it_allows():
    """Turn: the angle of the linear part; zoom: its size; crop: a magnification of 1 to 2 and centers that still
    fit."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        turn = draw_warp(ALONE["turn_deg"], rng).linear
        assert abs(math.degrees(math.atan2(turn[1, 0], turn[0, 0]))) <= 40
        assert np.linalg.det(turn) == pytest.approx(1)
        assert math.exp(-0.8) <= np.linalg.det(draw_warp(ALONE["zoom"], rng).linear) <= math.exp(0.8)
        cut = draw_warp(ALONE["crop"], rng)
        magnified = cut.linear[0, 0]
        assert 1 <= magnified <= 2
        assert np.abs(cut.shift).max() <= (magnified - 1) / 2
        shear = draw_warp(ALONE["shear_deg"], rng).linear
        assert abs(math.degrees(math.atan(shear[0, 1]))) <= 20
        assert shear[1, 0] == 0


def test_a_random_crop_never_shows_what_lies_beyond_the_picture():
    hu = np.full((1, 64, 64), 40, np.float32)
    rng = np.random.default_rng(3)
    for _ in range(50):
        picture, _ = apply_warp(hu, hu.astype(np.uint8), 64, draw_warp(ALONE["crop"], rng))
        assert picture.min() == 40


def test_elastic_bends_straight_lines_by_about_its_standard_deviation():
    """0.02 of 256 px: control points move by 5.1 px, and the smooth field between them by 3 to 7."""
    hu = np.tile(np.arange(256, dtype=np.float32), (1, 256, 1))  # the picture is its own x coordinate
    rng = np.random.default_rng(0)
    strays = [
        apply_warp(hu, hu.astype(np.uint8), 256, draw_warp(ALONE["elastic"], rng))[0][0] - hu[0] for _ in range(30)
    ]
    assert 3 < np.std([stray[32:-32, 32:-32] for stray in strays]) < 7


def test_the_same_seed_draws_the_same_movement():
    first, second = (draw_warp(EVERY["all together"], np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.linear, second.linear)
    assert np.array_equal(first.bend, second.bend)


@pytest.mark.parametrize("name", ["contrast", "brightness_hu", "blur", "noise_hu"])
def test_each_disturbance_alone_changes_the_picture_and_not_its_argument(name):
    hu = np.stack([board()] * 2).astype(np.float32)
    before, rng = hu.copy(), np.random.default_rng(0)
    single = replace(NO_AUGMENT, **{name: {"contrast": 0.2, "brightness_hu": 9.0, "blur": 1.0, "noise_hu": 5.0}[name]})
    outcomes = [perturb_hu(hu, single, rng) for _ in range(8)]
    assert any(np.abs(outcome - hu).max() > 0.5 for outcome in outcomes)
    assert np.array_equal(hu, before)
    assert all(np.array_equal(perturb_hu(hu, NO_AUGMENT, rng), hu) for _ in range(3))


def test_disturbed_numbers_stay_within_what_is_allowed():
    """35 HU changes only with the brightness, 135 HU also with 8 % of 100."""
    hu, rng = np.array([[[35.0, 135.0]]], np.float32), np.random.default_rng(0)
    plain = replace(DEFAULT, blur=0, noise_hu=0)
    out = np.array([perturb_hu(hu, plain, rng)[0, 0] for _ in range(300)])
    assert np.abs(out[:, 0] - 35).max() <= 4
    assert 8 < np.abs(out[:, 1] - 135).max() <= 12


def test_a_sharper_kernel_overshoots_at_an_edge_and_leaves_flat_parts_alone():
    hu = np.tile(np.where(np.arange(64) < 32, 30.0, 60.0).astype(np.float32), (2, 64, 1))
    sharp = perturb_hu(hu, replace(NO_AUGMENT, sharpen=1.0), np.random.default_rng(0))
    assert sharp.max() > 61
    assert sharp.min() < 29
    assert np.allclose(sharp[:, :, :24], 30, atol=1e-3)


def test_flat_bone_is_what_a_picture_of_the_brain_window_leaves():
    """All gray levels of the window from -20 to 100 HU are kept. White becomes one bone value, black becomes air."""
    hu = np.linspace(-900, 2300, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    flat = perturb_hu(hu, replace(NO_AUGMENT, flat_bone=1.0), np.random.default_rng(0))
    middle = (hu > -20) & (hu < 100)
    assert np.allclose(flat[middle], hu[middle], atol=1e-3)
    assert set(np.unique(flat[hu >= 101])) == {1000.0}
    assert set(np.unique(flat[hu <= -21])) == {AIR_HU}


def test_every_part_has_a_test_above():
    tested = {*STRONG, "contrast", "brightness_hu", "blur", "noise_hu", "sharpen", "flat_bone"}
    assert tested == {part.name for part in fields(Augment)}
