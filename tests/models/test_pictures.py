from dataclasses import replace

import numpy as np
import pytest

from ich_lib.models.pictures import model_inputs, neighbor_indices, restore_bone
from ich_lib.models.recipe import Recipe
from ich_lib.prepare.head import Box

RECIPE = Recipe("r", "segment", "unet2d", size=4, windows=("brain render", "bone"))


def test_neighbors_repeat_beyond_the_ends():
    assert neighbor_indices(5, 0, 1).tolist() == [0, 0, 1]
    assert neighbor_indices(5, 4, 1).tolist() == [3, 4, 4]
    assert neighbor_indices(1, 0, 1).tolist() == [0, 0, 0]


def test_channels_are_slices_times_windows_in_the_stated_order():
    """Slices of -20, 40 and 100 HU: the brain render window shows them as 0, one half and 1."""
    hu = np.stack([np.full((4, 4), v, np.float32) for v in (-20, 40, 100)])
    picture = model_inputs(hu, Box(0, 0, 4), RECIPE, range(1, 2))[0][0]
    assert picture.shape == (4, 4, 6) == (4, 4, RECIPE.channels)
    assert picture[0, 0, 0::2].tolist() == [0, 0.5, 1]
    assert np.allclose(picture[0, 0, 1::2], [(v + 800) / 2800 for v in (-20, 40, 100)])


def test_a_part_of_a_scan_gives_the_same_input_as_the_whole():
    hu = np.random.default_rng(0).normal(40, 30, (7, 9, 9)).astype(np.float32)
    full = model_inputs(hu, Box(0, 0, 9), RECIPE, range(7))[0]
    assert model_inputs(hu, Box(0, 0, 9), RECIPE, range(3, 5))[0] == pytest.approx(full[3:5], abs=1e-6)


def test_a_recipe_with_depth_gets_a_block_and_air_beyond_the_scans_end():
    """Slices 2 and 3 of 4 in a block of 5: two slices of 40 HU (one half), three of air (0)."""
    hu = np.full((4, 4, 4), 40, np.float32)
    block = model_inputs(hu, Box(0, 0, 4), replace(RECIPE, depth=5, windows=("brain render",)), range(2, 4))
    assert [part.shape for part in block] == [(1, 5, 4, 4, 1)]
    assert block[0][0, :, 0, 0, 0].tolist() == [0.5, 0.5, 0, 0, 0]


def test_windows_as_samples_make_a_view_each():
    hu = np.full((1, 4, 4), 40, np.float32)
    recipe = replace(RECIPE, neighbors=0)
    joint = model_inputs(hu, Box(0, 0, 4), recipe, range(1))[0]
    apart = model_inputs(hu, Box(0, 0, 4), replace(recipe, windows_as="samples"), range(1))
    assert [part.shape for part in apart] == [(1, 4, 4, 1)] * 2
    assert np.array_equal(np.concatenate(apart, axis=-1), joint)


def test_white_of_a_brain_window_picture_becomes_bone_again():
    hu = np.array([[[0, 40, 75, 80]]], np.float32)
    assert restore_bone(hu).tolist() == [[[-1000, 40, 75, 1000]]]
    assert hu.tolist() == [[[0, 40, 75, 80]]]


def test_a_scan_with_bone_is_left_alone():
    hu = np.array([[[-1000, 40, 900]]], np.float32)
    assert restore_bone(hu) is hu
