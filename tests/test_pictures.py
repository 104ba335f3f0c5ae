import numpy as np

from ich_lib.head import Box
from ich_lib.pictures import bone_restored, model_input, neighbors
from ich_lib.recipes import Recipe

RECIPE = Recipe("r", "segment", "unet2d", size=4, windows=("brain render", "bone"))


def test_neighbors_repeat_beyond_the_ends():
    assert neighbors(5, 0, 1).tolist() == [0, 0, 1]
    assert neighbors(5, 4, 1).tolist() == [3, 4, 4]
    assert neighbors(1, 0, 1).tolist() == [0, 0, 0]


def test_channels_are_slices_times_windows_in_the_stated_order():
    """Slices of -20, 40 and 100 HU: the brain render window shows 0, one half and 1."""
    hu = np.stack([np.full((4, 4), v, np.float32) for v in (-20, 40, 100)])
    picture = model_input(hu, Box(0, 0, 4), RECIPE, range(1, 2))[0]
    assert picture.shape == (4, 4, 6) == (4, 4, RECIPE.channels)
    assert picture[0, 0, 0::2].tolist() == [0, 0.5, 1]
    assert np.allclose(picture[0, 0, 1::2], [(v + 800) / 2800 for v in (-20, 40, 100)])


def test_a_part_of_a_scan_gives_the_same_input_as_the_whole():
    hu = np.random.default_rng(0).normal(40, 30, (7, 9, 9)).astype(np.float32)
    whole = model_input(hu, Box(0, 0, 9), RECIPE, range(7))
    assert np.array_equal(model_input(hu, Box(0, 0, 9), RECIPE, range(3, 5)), whole[3:5])


def test_white_of_a_brain_window_picture_becomes_bone_again():
    hu = np.array([[[0, 40, 75, 80]]], np.float32)
    assert bone_restored(hu).tolist() == [[[-1000, 40, 75, 1000]]]
    assert hu.tolist() == [[[0, 40, 75, 80]]]


def test_a_scan_with_bone_is_left_alone():
    hu = np.array([[[-1000, 40, 900]]], np.float32)
    assert bone_restored(hu) is hu
