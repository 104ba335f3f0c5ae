import numpy as np
import pytest

from ich_lib.prepare.window import WINDOWS, unwindow, window
from ich_lib.readers.renders import hu_from_renders


def test_the_brain_window_runs_from_0_to_80_hu():
    np.testing.assert_allclose(
        window(np.array([-1000, 0, 20, 40, 80, 900]), *WINDOWS["brain"]), [0, 0, 0.25, 0.5, 1, 1]
    )


def test_windowing_leaves_its_input_alone_and_gives_float32():
    hu = np.array([[10, 50]], np.int16)
    gray = window(hu, 40, 80)
    assert gray.dtype == np.float32
    np.testing.assert_array_equal(hu, [[10, 50]])
    same = np.array([10.0, 50.0], np.float32)
    window(same, 40, 80)
    np.testing.assert_array_equal(same, [10, 50])


@pytest.mark.parametrize("width", [0, -80, float("nan")])
def test_a_window_without_width_is_refused(width):
    with pytest.raises(ValueError, match="width must be positive HU"):
        window(np.zeros(1), 40, width)


@pytest.mark.parametrize("name", WINDOWS)
def test_unwindow_undoes_every_window_where_it_did_not_saturate(name):
    level, width = WINDOWS[name]
    hu = np.linspace(level - width / 2, level + width / 2, 9)
    np.testing.assert_allclose(unwindow(window(hu, level, width), level, width), hu, atol=1e-3)


def test_unwindow_leaves_saturated_grays_at_the_ends_of_the_window():
    np.testing.assert_allclose(unwindow(window(np.array([-1000, 3000]), 40, 80), 40, 80), [0, 80])


def test_two_renders_give_back_the_hu_they_were_made_from():
    truth = np.array([-900, -500, -20, 0, 35, 70, 100, 800, 2300], np.float32)
    brain = np.round(window(truth, *WINDOWS["brain render"]) * 255).astype(np.uint8)
    bone = np.round(window(truth, *WINDOWS["bone render"]) * 255).astype(np.uint8)
    hu = hu_from_renders(brain, bone)
    inside = (truth > -20) & (truth < 100)
    assert np.abs(hu - truth)[inside].max() <= 0.25  # half a gray level of 120/255 HU
    assert np.abs(hu - truth)[~inside].max() <= 6.3  # half a gray level of 3200/255 HU


def test_a_white_pixel_is_never_below_the_window_that_calls_it_white():
    assert hu_from_renders(np.array([255], np.uint8), np.array([0], np.uint8)) == 100
    assert hu_from_renders(np.array([0], np.uint8), np.array([255], np.uint8)) == -20


def test_renders_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        hu_from_renders(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
