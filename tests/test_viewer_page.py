"""The viewer alone in a real Chromium: each thing that a hand touches, on a result whose every number is planted."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ich_lib import viewer
from ich_lib.window import WINDOWS, window
from tests.browsing import mounted, pixels, settle, where, yellow
from tests.viewed import SHAPE, result


@pytest.fixture(scope="module")
def viewer_page(browser):
    with mounted(browser, result(warnings=["Slice 2 is <b id='injected'>odd</b>."])) as page:
        yield page


@pytest.fixture
def page(viewer_page):
    """The viewer as it opens, for tests that leave it as they like."""
    viewer_page.evaluate(
        "(payload) => window.show(payload)", viewer.payload(result(warnings=["Slice 2 is <b id='injected'>odd</b>."]))
    )
    for name, wanted in (("outline", True), ("fill", True), ("heat", False)):
        viewer_page.set_checked(f"input[name={name}]", wanted)
    viewer_page.mouse.move(1, 1)
    settle(viewer_page)
    return viewer_page


@pytest.mark.parametrize("name", viewer.SHOWN_WINDOWS)
def test_what_is_gray_on_the_screen_is_the_ct_through_the_window(page, name):
    page.click(f".windows button[data-name='{name}']")
    shown = pixels(page, "ct")
    gray = window(result().scan.hu[3], *WINDOWS[name]) * 255
    np.testing.assert_allclose(shown[..., 0], gray, atol=0.51)
    assert (shown[..., 0] == shown[..., 1]).all()
    assert (shown[..., 1] == shown[..., 2]).all()
    assert page.get_attribute(f".windows button[data-name='{name}']", "aria-pressed") == "true"


def test_no_overlay_alters_the_gray_below_it(page):
    with_marks = pixels(page, "ct")
    page.check("input[name=heat]")
    with_heat = pixels(page, "ct")
    for name in ("outline", "fill", "heat"):
        page.uncheck(f"input[name={name}]")
    np.testing.assert_array_equal(pixels(page, "ct"), with_marks)
    np.testing.assert_array_equal(with_heat, with_marks)


def test_the_outline_runs_around_the_planted_bleed_and_nowhere_else(page):
    marks = pixels(page, "marks")
    rows, columns = np.nonzero(yellow(marks))
    scale_y, scale_x = marks.shape[0] / SHAPE[1], marks.shape[1] / SHAPE[2]
    edges = np.array([rows.min() / scale_y, rows.max() / scale_y, columns.min() / scale_x, columns.max() / scale_x])
    np.testing.assert_allclose(edges, [8, 20, 52, 70], atol=0.6)
    middle = marks[round(14 * scale_y), round(61 * scale_x)]
    assert middle[3] == pytest.approx(0.3 * 255, abs=3)  # fill of 30 %
    far = marks[: round(6 * scale_y)]
    assert far[..., 3].max() == 0


def test_the_outline_has_a_black_halo(page):
    marks = pixels(page, "marks")
    black = (marks[..., :3].max(axis=2) < 60) & (marks[..., 3] > 150)
    near = cv2.dilate(yellow(marks).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert black.sum() > 0.5 * yellow(marks).sum()
    assert near[black].all()


def test_outline_and_fill_go_and_the_fill_follows_its_slider(page):
    page.uncheck("input[name=outline]")
    assert pixels(page, "marks")[..., 3].max() == pytest.approx(0.3 * 255, abs=3)
    page.fill("input[name=opacity]", "60")
    assert pixels(page, "marks")[..., 3].max() == pytest.approx(0.6 * 255, abs=3)
    assert page.inner_text(".amount output") == "60 %"
    page.fill("input[name=opacity]", "30")
    page.uncheck("input[name=fill]")
    assert pixels(page, "marks")[..., 3].max() == 0


def test_a_slice_without_blood_has_no_outline(page):
    page.focus(".stage")
    page.keyboard.press("Home")
    assert where(page) == "Slice 1 of 5"
    assert pixels(page, "marks")[..., 3].max() == 0


def test_heat_comes_and_goes_and_is_brightest_at_the_planted_place(page):
    assert page.is_hidden("canvas.heat")
    page.check("input[name=heat]")
    assert page.is_visible("canvas.heat")
    assert page.is_visible(".legend")
    heat = pixels(page, "heat")
    light = heat[..., :3].astype(int).sum(axis=2) * (heat[..., 3] > 0)
    row, column = np.unravel_index(light.argmax(), light.shape)
    assert 8 / 60 <= row / heat.shape[0] <= 20 / 60
    assert 52 / 80 <= column / heat.shape[1] <= 70 / 80
    assert heat[-1, 0, 3] == 0  # no evidence, no color
    page.uncheck("input[name=heat]")
    assert page.is_hidden("canvas.heat")


@pytest.mark.parametrize(
    ("key", "slice_number"),
    [
        ("ArrowUp", 5),
        ("ArrowRight", 5),
        ("ArrowDown", 3),
        ("ArrowLeft", 3),
        ("Home", 1),
        ("End", 5),
        ("PageDown", 1),
        ("PageUp", 5),
    ],
)
def test_keys_change_the_slice_up_being_towards_the_head(page, key, slice_number):
    page.focus(".stage")
    page.keyboard.press(key)
    assert where(page) == f"Slice {slice_number} of 5"
    assert page.input_value(".position") == str(slice_number)


def test_keys_work_on_the_slider_too_and_choose_windows_and_overlays(page):
    page.focus(".position")
    page.keyboard.press("ArrowDown")
    assert where(page) == "Slice 3 of 5"
    page.keyboard.press("3")
    assert page.get_attribute(".viewer", "data-window") == "bone"
    for key, name, wanted in (("o", "outline", False), ("f", "fill", False), ("h", "heat", True)):
        page.keyboard.press(key)
        assert page.is_checked(f"input[name={name}]") is wanted


def test_keys_elsewhere_on_the_page_are_left_alone(page):
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("ArrowUp")
    assert where(page) == "Slice 4 of 5"
    page.hover(".stage")
    page.keyboard.press("ArrowUp")
    assert where(page) == "Slice 5 of 5"


def test_the_wheel_goes_up_towards_the_head_one_slice_a_notch(page):
    page.hover(".stage")
    page.mouse.wheel(0, -100)
    page.wait_for_function("document.querySelector('.where').textContent === 'Slice 5 of 5'")
    page.mouse.wheel(0, 100)
    page.wait_for_function("document.querySelector('.where').textContent === 'Slice 4 of 5'")


def test_slider_and_strip_change_the_slice(page):
    page.fill(".position", "2")
    assert where(page) == "Slice 2 of 5"
    assert page.get_attribute(".position", "aria-valuetext") == "Slice 2 of 5, blood marked"
    place = page.locator(".strip canvas").bounding_box()
    page.mouse.click(place["x"] + place["width"] * 0.9, place["y"] + 5)
    assert where(page) == "Slice 5 of 5"


def test_the_strip_marks_slices_with_blood_in_yellow(page):
    page.evaluate("() => document.querySelector('.strip canvas').classList.add('strip-canvas')")
    strip = pixels(page, "strip-canvas")
    foot = yellow(strip)[-3]
    middles = [foot[int((k + 0.5) * len(foot) / 5)] for k in range(5)]
    assert middles == [False, True, False, True, False]


def test_r_stands_left_and_l_right_a_on_top_and_p_below(page):
    center = {}
    for side, letter in (("left", "R"), ("right", "L"), ("top", "A"), ("bottom", "P")):
        assert page.inner_text(f".letter.{side}") == letter
        box = page.locator(f".letter.{side}").bounding_box()
        center[letter] = (box["x"], box["y"])
    assert center["R"][0] < center["A"][0] < center["L"][0]
    assert center["A"][1] < center["R"][1] < center["P"][1]


def test_the_picture_has_the_shape_of_the_patient_and_the_scale_bar_its_length(page):
    picture = page.locator(".picture").bounding_box()
    assert picture["width"] / picture["height"] == pytest.approx((80 * 0.25) / (60 * 0.5), rel=0.01)
    assert page.inner_text(".bar span") == "5 mm"
    assert page.locator(".bar i").bounding_box()["width"] == pytest.approx(picture["width"] * 5 / 20, rel=0.02)


def test_scores_stand_as_text_beside_bars_that_end_where_the_text_says(page):
    rows = page.locator(".scores tbody tr")
    assert rows.count() == 6
    assert rows.nth(5).locator("th").inner_text().lower() == "subdural\nabout as likely as not"
    assert rows.nth(5).locator(".of-scan").inner_text() == "60 %"
    track, bar = (rows.nth(5).locator(part).bounding_box()["width"] for part in (".track", ".value"))
    assert bar / track == pytest.approx(0.6, abs=0.02)
    cut = rows.nth(5).locator(".cut-line").bounding_box()
    middle = cut["x"] + cut["width"] / 2 - rows.nth(5).locator(".track").bounding_box()["x"]
    assert middle / track == pytest.approx(0.5, abs=0.02)
    page.focus(".stage")
    page.keyboard.press("Home")
    assert rows.nth(0).locator(".of-slice").inner_text() == "30 %"


def test_a_warning_is_text_whatever_stands_in_it(page):
    assert page.inner_text(".warnings li") == "Slice 2 is <b id='injected'>odd</b>."
    assert page.locator("#injected").count() == 0


def test_unknown_hu_are_badged_windows_are_off_with_the_reason_and_no_scale_bar_is_drawn(browser):
    with mounted(browser, result(hu_known=False, spacing_known=False)) as page:
        assert page.inner_text(".badge") == "HU unknown"
        assert page.is_visible(".badge")
        for button in page.locator(".windows button").all():
            assert button.is_disabled()
            assert "HU are unknown" in button.get_attribute("title")
        page.focus(".stage")
        page.keyboard.press("3")
        assert page.get_attribute(".viewer", "data-window") == "brain"
        assert page.is_hidden(".bar")
        assert "Volume unknown" in page.inner_text(".volume")


def test_a_single_slice_after_a_long_scan_opens_at_itself(page):
    one = result(shape=(1, *SHAPE[1:]))
    one = replace(one, scan=replace(one.scan, hu=one.scan.hu + 7))
    page.evaluate("(payload) => window.show(payload)", viewer.payload(one))
    settle(page)
    assert where(page) == "Slice 1 of 1"
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], window(one.scan.hu[0], 40, 80) * 255, atol=0.51)
    assert page.is_hidden(".position")


@pytest.mark.parametrize("width", [320, 390, 800, 1280, 1920])
def test_nothing_is_wider_than_the_screen(browser, width):
    with mounted(browser, result(), viewport={"width": width, "height": 800}) as page:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        below = page.locator(".report").bounding_box()["y"] > page.locator(".desk").bounding_box()["y"] + 100
        assert below is (width <= 800)
