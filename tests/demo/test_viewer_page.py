"""The viewer alone in a real Chromium: every control, on a result with known synthetic numbers."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ich_lib.demo import viewer
from ich_lib.measures import metrics
from ich_lib.prediction.ood import OodScore
from ich_lib.prediction.uncertainty import PROBABILITY_WORDS
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.words import LANGUAGES
from ich_lib.words.page import page_words
from tests.browsing import MOUNT, SETTLE, mount_viewer, pixels, settle, tab, where, yellow
from tests.viewed import BLEED, SHAPE, SMALL_BLEED, doubtful_result, result


@pytest.fixture(scope="module")
def viewer_page(browser):
    with mount_viewer(browser, result(warnings=["Slice 2 is <b id='injected'>odd</b>."])) as page:
        yield page


@pytest.fixture
def page(viewer_page):
    """The viewer after it has opened, for tests that may change it."""
    viewer_page.evaluate(
        "(payload) => window.show(payload)", viewer.payload(result(warnings=["Slice 2 is <b id='injected'>odd</b>."]))
    )
    for name, expected in (("outline", True), ("fill", True), ("heat", False)):
        viewer_page.set_checked(f"input[name={name}]", expected)
    viewer_page.click("[data-drag=window]")
    viewer_page.mouse.move(1, 1)
    settle(viewer_page)
    return viewer_page


@pytest.mark.parametrize("name", viewer.VIEWER_WINDOWS)
def test_what_is_gray_on_the_screen_is_the_ct_through_the_window(page, name):
    page.click(f".windows button[data-name='{name}']")
    view = pixels(page, "ct")
    gray = window(result().scan.hu[3], *WINDOWS[name]) * 255
    np.testing.assert_allclose(view[..., 0], gray, atol=0.51)
    assert (view[..., 0] == view[..., 1]).all()
    assert (view[..., 1] == view[..., 2]).all()
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
    assert middle[3] == pytest.approx(0.3 * 255, abs=3)  # a fill of 30 %
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
    assert heat[-1, 0, 3] == 0  # without evidence there is no color
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
    for key, name, expected in (("o", "outline", False), ("f", "fill", False), ("h", "heat", True)):
        page.keyboard.press(key)
        assert page.is_checked(f"input[name={name}]") is expected


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
    assert page.get_attribute("canvas.ct", "aria-label") == "Slice 2 of 5, blood marked"
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


def test_a_score_just_under_the_threshold_is_neither_shown_as_the_threshold_nor_called_above_it(page):
    planted = result()
    scores = np.array([0.4996, 0.5, 0.5004, 0.494, 0.1, 0.4999])
    page.evaluate("(payload) => window.show(payload)", viewer.payload(replace(planted, scan_scores=scores)))
    rows = page.locator(".scores tbody tr")
    assert rows.locator(".of-scan").all_inner_texts() == ["<50 %", "<50 %", "50 %", "50 %", "49 %", "10 %"]
    labels = [rows.nth(k).locator(".track").get_attribute("aria-label") for k in range(4)]
    assert labels == ["below the threshold"] * 2 + ["at or above the threshold"] * 2


def test_a_warning_is_text_whatever_stands_in_it(page):
    assert page.inner_text(".warnings li") == "Slice 2 is <b id='injected'>odd</b>."
    assert page.locator("#injected").count() == 0


def test_unknown_hu_are_badged_windows_are_off_with_the_reason_and_no_scale_bar_is_drawn(browser):
    with mount_viewer(browser, result(hu_known=False, spacing_known=False)) as page:
        assert page.inner_text(".badge") == "HU unknown"
        assert page.is_visible(".badge")
        for button in page.locator(".windows button").all():
            assert button.is_disabled()
            assert "window of this picture is not known" in button.get_attribute("title")
        page.focus(".stage")
        page.keyboard.press("3")
        assert page.get_attribute(".viewer", "data-window") == "brain"
        assert page.is_hidden(".bar")
        assert "Volume unknown" in page.inner_text(".volume")


def test_a_single_slice_after_a_long_scan_opens_at_itself(page):
    item = result(shape=(1, *SHAPE[1:]))
    item = replace(item, scan=replace(item.scan, hu=item.scan.hu + 7))
    page.evaluate("(payload) => window.show(payload)", viewer.payload(item))
    settle(page)
    assert where(page) == "Slice 1 of 1"
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], window(item.scan.hu[0], 40, 80) * 255, atol=0.51)
    assert page.is_hidden(".position")


@pytest.mark.parametrize("width", [320, 390, 800, 1280, 1920])
def test_nothing_is_wider_than_the_screen(browser, width):
    with mount_viewer(browser, result(), viewport={"width": width, "height": 800}) as page:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        below = page.locator(".report").bounding_box()["y"] > page.locator(".desk").bounding_box()["y"] + 100
        assert below is (width <= 800)


# ---- window, and what is under the pointer --------------------------------------------------------------------------


def over(page, row, column, shape=SHAPE[1:]):
    """The place on the page where the middle of a pixel of the synthetic scan is drawn, in the first view."""
    box = page.locator(".picture").bounding_box()
    return box["x"] + box["width"] * (column + 0.5) / shape[1], box["y"] + box["height"] * (row + 0.5) / shape[0]


def drag(page, dx, dy, start=(30, 40), **options):
    x, y = over(page, *start)
    page.mouse.move(x, y)
    page.mouse.down(**options)
    page.mouse.move(x + dx / 2, y + dy / 2)
    page.mouse.move(x + dx, y + dy)
    page.mouse.up(**options)


def show(page, planted, **options):
    page.evaluate("(payload) => window.show(payload)", viewer.payload(planted, **options))
    settle(page)


@pytest.mark.parametrize(("key", "name"), [("1", "brain"), ("2", "subdural"), ("3", "bone"), ("4", "stroke")])
def test_keys_1_to_4_choose_the_windows(page, key, name):
    page.focus(".stage")
    page.keyboard.press("3" if key == "1" else "1")
    page.keyboard.press(key)
    gray = window(result().scan.hu[3], *WINDOWS[name]) * 255
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], gray, atol=0.51)


def test_key_5_is_the_window_of_the_file_where_it_has_one(page):
    page.focus(".stage")
    page.keyboard.press("5")
    assert page.get_attribute(".viewer", "data-window") == "brain"
    show(page, result(window=(35.0, 110.0)))
    page.focus(".stage")
    page.keyboard.press("5")
    gray = window(result().scan.hu[3], 35, 110) * 255
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], gray, atol=0.51)
    assert page.inner_text(".windows button[aria-pressed=true]").split() == ["Of", "the", "file", "35", "/", "110"]


def test_dragging_right_widens_the_window_and_down_raises_its_level_and_the_numbers_say_so(page):
    drag(page, 30, 12)
    assert (page.input_value("input[name=level]"), page.input_value("input[name=width]")) == ("52", "140")
    assert page.get_attribute(".viewer", "data-window") == "own"
    gray = window(result().scan.hu[3], 52, 140) * 255
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], gray, atol=0.51)


def test_a_double_click_brings_the_brain_window_back(page):
    drag(page, 30, 12)
    page.mouse.dblclick(*over(page, 30, 40))
    assert page.get_attribute(".viewer", "data-window") == "brain"
    assert page.input_value("input[name=width]") == "80"


def test_level_and_width_can_be_typed(page):
    page.fill("input[name=width]", "200")
    page.press("input[name=width]", "Enter")
    page.fill("input[name=level]", "75")
    page.press("input[name=level]", "Tab")
    gray = window(result().scan.hu[3], 75, 200) * 255
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], gray, atol=0.51)


def test_the_hu_under_the_pointer_are_those_of_the_scan(page):
    page.mouse.move(*over(page, 14, 60))
    assert page.inner_text(".point") == "70 HU, blood 0.90"
    page.mouse.move(*over(page, 30, 40))
    assert page.inner_text(".point") == f"{result().scan.hu[3, 30, 40]:.0f} HU, blood 0.00"
    page.mouse.move(1, 1)
    assert page.inner_text(".point") == ""


def test_shift_and_arrows_move_the_point_from_the_middle_and_tell_it(page):
    page.focus(".stage")
    for key in ("ArrowUp", "ArrowUp", "ArrowRight"):
        page.keyboard.press(f"Shift+{key}")
    output = f"{result().scan.hu[3, 28, 41]:.0f} HU, blood 0.00"
    assert page.inner_text(".point") == output
    assert page.text_content(".announcement") == output
    assert where(page) == "Slice 4 of 5"


def test_gray_of_unknown_hu_is_called_gray(browser):
    with mount_viewer(browser, result(hu_known=False)) as page:
        page.mouse.move(*over(page, 14, 60))
        assert page.inner_text(".point") == "gray 223, HU unknown"  # 70 in a window from 0 to 80


# ---- zoom, sides, planes --------------------------------------------------------------------------------------------


def edges(page):
    """Left, right, top and bottom of the outline, in shares of the picture."""
    marks = yellow(pixels(page, "marks"))
    rows, columns = np.nonzero(marks)
    return np.array([columns.min(), columns.max(), rows.min(), rows.max()]) / np.repeat(marks.shape[::-1], 2)


def test_zoom_by_key_keeps_the_middle_shortens_the_scale_and_zero_brings_all_back(page):
    before, bar = edges(page), page.locator(".bar i").bounding_box()["width"]
    page.focus(".stage")
    page.keyboard.press("+")
    page.keyboard.press("+")
    near = 1.25**2
    view = np.clip(0.5 + (before - 0.5) * near, 0, 1)
    np.testing.assert_allclose(edges(page), view, atol=0.01)
    mm = int(page.inner_text(".bar span").split()[0])
    assert page.locator(".bar i").bounding_box()["width"] / mm == pytest.approx(bar / 5 * near, rel=0.03)
    page.keyboard.press("0")
    np.testing.assert_allclose(edges(page), before, atol=0.002)


def test_ctrl_and_wheel_zoom_at_the_pointer_and_a_double_click_resets(page):
    spot = over(page, 14, 60)
    page.mouse.move(*spot)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_selector('.viewer[data-zoomed="yes"]')
    page.mouse.move(spot[0] + 1, spot[1])
    assert page.inner_text(".point") == "70 HU, blood 0.90"  # the place under the pointer is still there
    assert where(page) == "Slice 4 of 5"
    page.mouse.dblclick(*spot)
    assert page.get_attribute(".viewer", "data-zoom") == "1.00"


def test_buttons_zoom_and_reset(page):
    page.click(".zoom-in")
    assert page.get_attribute(".viewer", "data-zoom") == "1.25"
    page.click(".zoom-out")
    page.click(".zoom-in")
    page.click(".zoom-reset")
    assert page.get_attribute(".viewer", "data-zoom") == "1.00"


@pytest.mark.parametrize("way", ["button", "shift", "alt"])
def test_the_zoomed_picture_moves_with_the_hand_and_never_off_its_rim(page, way):
    page.focus(".stage")
    for _ in range(4):
        page.keyboard.press("+")
    before, box = edges(page), page.locator(".picture").bounding_box()
    if way == "alt":
        page.keyboard.press("Alt+ArrowRight")
    else:
        if way == "button":
            page.click("[data-drag=move]")
        else:
            page.keyboard.down("Shift")
        drag(page, -box["width"] / 10, 0)
        page.keyboard.up("Shift")
    assert edges(page)[0] == pytest.approx(before[0] - 0.1, abs=0.01)
    for _ in range(40):
        page.keyboard.press("Alt+ArrowRight")
    moved = page.evaluate("() => getComputedStyle(document.querySelector('canvas.ct')).transform")
    near, _, _, _, x, _ = (float(number) for number in moved[7:-1].split(","))
    assert x == pytest.approx(-(near - 1) * box["width"], abs=0.5)  # the last column is at the edge


def test_neurological_sides_swap_letters_marks_and_the_point_and_say_so(page):
    before = edges(page)
    page.focus(".stage")
    page.keyboard.press("n")
    assert page.is_visible(".sided")
    assert (page.inner_text(".letter.left"), page.inner_text(".letter.right")) == ("L", "R")
    np.testing.assert_allclose(edges(page)[:2], 1 - before[[1, 0]], atol=0.01)
    page.mouse.move(*over(page, 14, 79 - 60))
    assert page.inner_text(".point") == "70 HU, blood 0.90"
    assert page.get_attribute(".neuro", "aria-pressed") == "true"
    moved = page.evaluate("() => getComputedStyle(document.querySelector('canvas.ct')).transform")
    assert moved.startswith("matrix(-1, 0, 0, 1,")
    page.click(".neuro")
    assert page.is_hidden(".sided")
    assert page.inner_text(".letter.left") == "R"


@pytest.mark.parametrize(
    ("key", "name", "cut", "letters", "mm"),
    [
        ("c", "coronal", np.s_[::-1, 14, :], "RLSI", (80 * 0.25, 5 * 5.0)),
        ("s", "sagittal", np.s_[::-1, :, 60], "APSI", (60 * 0.5, 5 * 5.0)),
    ],
)
def test_other_planes_are_cut_from_the_slices_head_on_top_and_in_proportion(page, key, name, cut, letters, mm):
    planted = result()
    page.focus(".stage")
    page.keyboard.press(key)
    page.fill(".position", {"c": "15", "s": "61"}[key])
    assert where(page) == {"c": "Coronal 15 of 60", "s": "Sagittal 61 of 80"}[key]
    gray = window(planted.scan.hu[cut], *WINDOWS["brain"]) * 255
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], gray, atol=0.51)
    output = [page.inner_text(f".letter.{side}") for side in ("left", "right", "top", "bottom")]
    assert "".join(output) == letters
    box = page.locator(".picture").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(mm[0] / mm[1], rel=0.01)
    middle = [np.mean(np.nonzero(planted.mask[cut])[axis]) + 0.5 for axis in (0, 1)]
    actual = edges(page)
    assert (actual[0] + actual[1]) / 2 == pytest.approx(middle[1] / gray.shape[1], abs=0.02)
    assert (actual[2] + actual[3]) / 2 == pytest.approx(middle[0] / gray.shape[0], abs=0.02)
    assert page.inner_text(".rebuilt") == "Rebuilt, slice spacing 5.0 mm"
    page.click("[data-plane=axial]")
    assert where(page) == "Slice 4 of 5"


def uneven():
    """The synthetic result with slices at 0, 5, 15, 20 and 25 mm: the second step is a gap."""
    planted = result()
    return replace(planted, scan=replace(planted.scan, places=np.array([0, 1, 3, 4, 5.0])))


def test_other_planes_of_uneven_slices_keep_their_proportion_and_repeat_the_nearest(page):
    show(page, uneven())
    page.focus(".stage")
    page.keyboard.press("c")
    page.fill(".position", "15")
    cut = uneven().scan.hu[[0, 1, 1, 2, 3, 4]][::-1, 14, :]
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], window(cut, *WINDOWS["brain"]) * 255, atol=0.51)
    box = page.locator(".picture").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(80 * 0.25 / (6 * 5.0), rel=0.01)
    assert page.inner_text(".rebuilt") == "Rebuilt, slice spacing 5.0 mm"


def test_the_viewer_counts_the_ml_of_uneven_slices_by_their_slabs(page):
    show(page, uneven())
    planted = uneven()
    assert planted.volume_ml == pytest.approx((6 * 8 * 7.5 + 12 * 18 * 5) * 0.5 * 0.25 / 1000)
    page.wait_for_selector(".viewer[data-decoded=all]", state="attached")
    assert f"{planted.volume_ml:.1f} mL marked at" in page.inner_text(".cutting output")


def test_heat_is_rebuilt_too(page):
    page.focus(".stage")
    for key in "ch":
        page.keyboard.press(key)
    page.fill(".position", "15")
    heat = pixels(page, "heat")
    light = heat[..., :3].astype(int).sum(axis=2) * (heat[..., 3] > 0)
    row, column = np.unravel_index(light.argmax(), light.shape)
    assert row == 1  # slice 4 of 5, from the top
    assert 52 / 80 <= column / heat.shape[1] <= 70 / 80


def test_without_spacing_or_with_one_slice_there_is_no_other_plane_and_the_reason_is_told(page):
    show(page, result(spacing_known=False))
    assert page.is_disabled("[data-plane=coronal]")
    assert "no slice spacing" in page.get_attribute("[data-plane=coronal]", "title")
    page.focus(".stage")
    page.keyboard.press("c")
    assert where(page) == "Slice 4 of 5"
    show(page, result(shape=(1, *SHAPE[1:])))
    assert "A single slice" in page.get_attribute("[data-plane=sagittal]", "title")


def test_the_slices_with_most_blood_stand_side_by_side_and_a_click_jumps(page):
    page.focus(".stage")
    page.keyboard.press("m")
    page.wait_for_selector(".montage button")
    voxel_ml = 5 * 0.5 * 0.25 / 1000
    output = [f"Slice {k + 1}, {n * voxel_ml:.1f} mL" for k, n in ((1, 6 * 8), (3, 12 * 18))]
    assert page.locator(".montage button").all_inner_texts() == output
    page.click(".montage button[data-slice='2']")
    assert page.is_hidden(".montage")
    assert where(page) == "Slice 2 of 5"
    page.fill("input[name=threshold]", "255")
    page.click(".most")
    page.wait_for_selector(".montage button")
    assert page.locator(".montage button").count() == 5
    assert page.inner_text(".montage p").startswith("No slice has blood")


def test_of_many_bloody_slices_the_nine_with_most_blood_are_shown_in_their_order(page):
    planted = result(shape=(12, *SHAPE[1:]))
    planted.blood[:] = 0
    for k, pixels_of_blood in enumerate((5, 40, 1, 30, 2, 20, 3, 50, 6, 7, 8, 9)):
        planted.blood[k, 30, 10 : 10 + pixels_of_blood] = 0.9
    show(page, planted)
    page.click(".most")
    page.wait_for_selector(".montage button")
    output = [int(text.split(",")[0].split()[1]) for text in page.locator(".montage button").all_inner_texts()]
    assert output == [1, 2, 4, 6, 8, 9, 10, 11, 12]  # slices 3, 5 and 7 have the lowest values
    page.focus(".stage")
    page.keyboard.press("m")
    assert page.is_hidden(".montage")


# ---- touch ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def phone(browser):
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with mount_viewer(browser, result(), **options) as page:
        yield page


def touch(page, *steps):
    """Fingers go down at the first step, move through the others, and go up. Each step is a list of (x, y)."""
    session = page.context.new_cdp_session(page)
    for kind, step in zip(("touchStart", *["touchMove"] * (len(steps) - 1), "touchEnd"), (*steps, []), strict=True):
        points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(step)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.evaluate(SETTLE)


def test_a_swipe_to_the_side_turns_slices(phone):
    phone.locator(".stage").scroll_into_view_if_needed()
    x, y = over(phone, 30, 30)
    touch(phone, [(x, y)], [(x + 15, y)], [(x + 30, y)])
    assert where(phone) == "Slice 5 of 5"
    touch(phone, [(x, y)], *[[(x - 10 * k, y)] for k in range(1, 6)])
    assert where(phone) == "Slice 3 of 5"


def test_two_fingers_zoom(phone):
    x, y = over(phone, 30, 40)
    touch(phone, *[[(x - far, y), (x + far, y)] for far in (20, 30, 40)])
    assert float(phone.get_attribute(".viewer", "data-zoom")) == pytest.approx(2, abs=0.25)
    phone.click(".zoom-reset")


def test_a_phone_has_one_column_and_buttons_that_a_finger_hits(phone):
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390
    heights = phone.evaluate(
        "() => [...document.querySelectorAll('button')].map((b) => b.offsetHeight).filter(Boolean)"
    )
    assert min(filter(None, heights)) >= 34


def test_on_a_phone_no_word_covers_another_below_the_picture(phone):
    phone.check("input[name=heat]")
    phone.locator(".neuro").click()
    phone.evaluate(SETTLE)
    boxes = [phone.locator(place).bounding_box() for place in (".picture", ".where", ".sided", ".legend")]
    phone.locator(".neuro").click()
    phone.uncheck("input[name=heat]")
    for above, below in itertools.pairwise(boxes):
        assert above["y"] + above["height"] <= below["y"] + 1


@pytest.mark.parametrize("tag", LANGUAGES)
def test_on_a_phone_the_list_of_keys_leaves_more_room_for_what_they_do(browser, tag):
    with mount_viewer(browser, result(), locale=tag, viewport={"width": 390, "height": 844}) as page:
        page.click(".ask")
        keys, meaning = (page.locator(f".legend-of-keys {part}").first.bounding_box() for part in ("dt", "dd"))
        assert meaning["width"] > 1.2 * keys["width"]


# ---- threshold and truth --------------------------------------------------------------------------------------------


def soft_result():
    """Probabilities of all sizes around the synthetic bleeds, with a true mask."""
    planted = result()
    rng = np.random.default_rng(3)
    planted.blood[:] = (rng.random(SHAPE) ** 3 * 0.6).astype(np.float16)
    planted.blood[BLEED] = (0.3 + 0.7 * rng.random(planted.blood[BLEED].shape)).astype(np.float16)
    truth = np.zeros(SHAPE, bool)
    truth[3, 10:22, 50:68] = truth[SMALL_BLEED] = True
    return planted, truth


def value(page, name):
    return float(page.get_attribute(f"data.{name}", "value"))


@pytest.mark.parametrize("level", [20, 128, 200])
def test_live_dice_sensitivity_and_false_milliliters_are_those_of_metrics(page, level):
    planted, truth = soft_result()
    show(page, planted, truth=truth)
    page.fill("input[name=threshold]", str(level))
    mask = planted.mask if level == 128 else planted.blood.astype(np.float32) * 255 >= level
    voxel_ml = planted.scan.voxel_ml
    assert value(page, "dice") == pytest.approx(metrics.dice(truth, mask), abs=1e-3)
    assert value(page, "sensitivity") == pytest.approx(metrics.sensitivity(truth, mask), abs=1e-3)
    assert value(page, "false-ml") == pytest.approx(metrics.count(truth, mask).fp * voxel_ml, abs=1e-3)
    assert f"{mask.sum() * voxel_ml:.1f} mL marked at" in page.inner_text(".cutting output")
    assert page.inner_text("data.dice") == f"{metrics.dice(truth, mask):.3f}"


def test_without_blood_in_truth_and_mask_they_agree_and_there_is_no_sensitivity(page):
    show(page, result(), truth=np.zeros(SHAPE, bool))
    page.fill("input[name=threshold]", "255")
    assert value(page, "dice") == 1
    assert page.inner_text("data.sensitivity") == "no true blood"


def test_a_threshold_above_the_planted_probability_empties_the_mask_and_9_brings_it_back(page):
    page.fill("input[name=threshold]", "229")  # 0.9 is 229 of 255
    assert yellow(pixels(page, "marks")).any()
    page.fill("input[name=threshold]", "230")
    assert not yellow(pixels(page, "marks")).any()
    assert page.inner_text(".cutting output") == "0.0 mL marked at 0.90"
    page.evaluate("() => document.querySelector('.strip canvas').classList.add('strip-canvas')")
    assert not yellow(pixels(page, "strip-canvas"))[-3].any()
    page.focus(".stage")
    page.keyboard.press(",")
    assert yellow(pixels(page, "marks")).any()
    page.keyboard.press("9")
    assert page.input_value("input[name=threshold]") == "128"
    assert page.is_disabled(".shipped")


def blue(marks):
    return (np.abs(marks[..., :3].astype(int) - (0x56, 0xB4, 0xE9)).max(axis=2) < 30) & (marks[..., 3] > 200)


def test_the_truth_shows_dashed_in_blue_where_it_was_planted_and_alters_no_gray(page):
    planted, truth = soft_result()
    show(page, planted, truth=truth)
    assert not blue(pixels(page, "marks")).any()
    gray = pixels(page, "ct")
    page.uncheck("input[name=outline]")
    page.uncheck("input[name=fill]")
    page.focus(".stage")
    page.keyboard.press("t")
    marks = blue(pixels(page, "marks"))
    rows, columns = np.nonzero(marks)
    result = [rows.min() / marks.shape[0], rows.max() / marks.shape[0], columns.min() / marks.shape[1]]
    np.testing.assert_allclose(result, [10 / 60, 22 / 60, 50 / 80], atol=0.01)
    assert cv2.connectedComponents(marks.astype(np.uint8))[0] > 10  # dashes instead of one line
    np.testing.assert_array_equal(pixels(page, "ct"), gray)


def test_milliliters_counted_at_a_lower_resolution_say_so(page):
    assert page.inner_text(".cutting output") == "0.2 mL marked at 0.50"
    show(page, result(shape=(1, 40, 600)))
    assert page.inner_text(".cutting output").endswith("at 0.50, at the resolution shown")


def test_without_truth_there_is_no_switch_and_no_comparison(page):
    assert page.is_hidden(".with-truth")
    assert page.is_hidden(".against")


# ---- beside the picture ---------------------------------------------------------------------------------------------


CALLS = {
    key: {"value": value, "low": value - 0.1, "high": value + 0.1, "n_patients": 66}
    for key, value in (("sensitivity", 0.7241), ("specificity", 0.8649))
}


@pytest.mark.parametrize("prevalence", [0.5, 10, 43.9])
def test_what_a_call_is_worth_is_the_formula_of_metrics_at_the_prevalence_asked_for(page, prevalence):
    show(page, replace(result(), model_figures={"calls": {"whole_scans": CALLS}}))
    page.fill("input[name=prevalence]", str(prevalence))
    for name, rate in (("ppv", metrics.ppv), ("npv", metrics.npv)):
        true = rate(0.7241, 0.8649, prevalence / 100)
        assert value(page, name) == pytest.approx(true, abs=1e-9)
        assert page.inner_text(f"data.{name}") == f"{100 * true:.1f} %"
    assert "66 patients" in page.inner_text(".worth-note")
    assert "0.72 (0.62-0.82)" in page.inner_text(".worth-note")


def test_a_prevalence_that_is_none_gives_no_number_and_no_card_no_claim(page):
    show(page, replace(result(), model_figures={"calls": {"whole_scans": CALLS}}))
    page.fill("input[name=prevalence]", "0")
    assert page.inner_text("data.ppv") == "\N{EN DASH}"
    page.fill("input[name=prevalence]", "10")
    show(page, result())
    assert page.is_hidden(".worth")


def test_doubt_is_told_in_a_sentence_marked_on_the_chart_and_said_of_the_slice(page):
    show(page, replace(result(), disagreement=np.float32([0, 0.3, 0.2, 0, 0])))
    assert page.inner_text(".doubts").startswith("The model is unsure on slices 2-3")
    page.evaluate("() => document.querySelector('.strip canvas').classList.add('strip-canvas')")
    strip = pixels(page, "strip-canvas")
    orange = (np.abs(strip[..., :3].astype(int) - (0xE6, 0x9F, 0x00)).max(axis=2) < 20).any(axis=0)
    assert [bool(orange[int((k + 0.5) * len(orange) / 5)]) for k in range(5)] == [False, True, True, False, False]
    page.fill(".position", "2")
    assert page.inner_text(".score") == "any bleeding 80 %, blood marked, model unsure"
    assert page.is_visible(".with-doubt")


def test_bars_of_the_chart_are_as_tall_as_the_score_and_a_dashed_line_is_the_threshold(page):
    page.evaluate("() => document.querySelector('.strip canvas').classList.add('strip-canvas')")
    strip = pixels(page, "strip-canvas").astype(int)
    columns = strip[:, [int((k + 0.3) * strip.shape[1] / 5) for k in (0, 1)], :3]
    tall = (np.abs(columns - (0x8D, 0x9A, 0xA9)).max(axis=2) < 8).sum(axis=0)
    assert tall[1] / tall[0] == pytest.approx(0.8 / 0.3, rel=0.1)
    white = (strip[..., :3].min(axis=2) > 250) & (strip[..., 3] > 250)
    dashes = white[:, : strip.shape[1] // 5]
    row = int(dashes.sum(axis=1).argmax())
    assert 0.3 < dashes[row].mean() < 0.9
    assert page.inner_text(".strip-cut") == "threshold 50 %"


def test_three_milliliters_stand_with_the_distance_of_slices(page):
    planted = result()
    view = page.locator(".amounts tr").all_inner_texts()
    assert [text.split("\t")[-1] for text in view] == [
        f"{ml:.1f} mL" for ml in (planted.volume_ml, planted.soft_ml, planted.abc2_ml)
    ]
    assert page.inner_text(".apart") == "Slice spacing: 5.0 mm."


def test_a_strange_scan_is_refused_first_and_once_and_a_usual_one_called_usual(page):
    show(page, replace(doubtful_result(), warnings=doubtful_result().warnings[:1]))
    assert page.inner_text(".strange").startswith("The picture differs too much from a CT slice (")
    assert "out-of-distribution score 3.1; 99% of scans like the training data stay below 1.5" in page.inner_text(
        ".strange"
    )
    assert page.inner_text(".sentence") == "No finding is given: this may be no native head CT."
    for hidden in (".warnings", ".scores", ".amounts", ".worth", ".cutting", ".strip-key"):
        assert page.is_hidden(hidden)
    assert page.inner_text(".volume") == page.inner_text(".doubts") == page.inner_text(".usual") == ""
    assert page.is_visible(".models")
    page.click(".strange p + .believe")  # below the reason
    assert page.evaluate("() => window.triggered.at(-1)") == "submit"
    show(page, replace(doubtful_result(), believe=True))
    assert page.locator(".believe").count() == 0
    assert page.inner_text(".strange").startswith("Shown on request, although this may be no native head CT")
    assert page.inner_text(".sentence").startswith("Bleeding likely")
    assert page.is_visible(".scores")
    show(page, replace(result(), ood=OodScore(0.6, 1.5, 0.99)))
    assert page.is_hidden(".strange")
    assert page.inner_text(".usual").startswith("Similar to the training scans")


def test_a_calibrated_score_has_its_word_and_another_has_none(page):
    assert page.inner_text(".scores tbody tr:first-child small") == "likely"
    show(page, replace(result(), calibrated=False))
    assert page.locator(".scores small").count() == 0
    assert "not calibrated" in page.inner_text(".scores caption")


# ---- words, keys, access --------------------------------------------------------------------------------------------


def test_every_language_has_every_word_and_every_place_in_it(page):
    words = page_words()
    assert set(words) == {"en", "de", "es"}
    for table in words.values():
        assert _blanks(table) == _blanks(words["en"])
        assert {word for _, word in PROBABILITY_WORDS} == set(table["sure"])
        assert {score["name"] for score in viewer.payload(result())["report"]["scores"]} == set(table["scores"])
    assert set(words) == set(LANGUAGES)
    for language, message in LANGUAGES.items():  # the sentences use the same terms as the table beside them
        assert message["types"].items() <= words[language]["scores"].items()
    request = set(re.findall(r'data-(?:words|label|title)="(\w+)"', viewer.viewer_html().html_template))
    for part in (viewer.viewer_html(), viewer.difference_html(), viewer.folder_html()):
        request |= set(re.findall(r'say\("(\w+)"[,)]', part.js_on_load))
    request |= set(re.findall(r'say\("(\w+)"[,)]', viewer.page_js()))
    assert request <= set(words["en"])


def _blanks(words):
    """The placeholders in each word, by its name."""
    if isinstance(words, dict):
        return {name: _blanks(part) for name, part in words.items()}
    assert words.strip()
    return set(re.findall(r"{\w+}", words))


def _script(name):
    return Path(viewer.__file__).with_name(name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("locale", "tag", "word"), [("es-ES", "es", "Contorno"), ("de-CH", "de", "Kontur"), ("fr-FR", "en", "Outline")]
)
def test_the_browsers_language_is_taken_or_english(browser, locale, tag, word):
    with mount_viewer(browser, result(), locale=locale) as page:
        assert page.get_attribute(".viewer", "lang") == tag
        assert page.inner_text(".layers label:first-child") == word


def test_the_menu_changes_the_language_of_words_and_sentences_and_leaves_the_slice(page):
    show(page, result(warnings=["Odd."]), origin={"en": "From a test.", "de": "Aus einem Test."})
    page.select_option(".language", "de")
    assert where(page) == "Schicht 4 von 5"
    assert page.inner_text(".windows button:first-child span") == "Hirn"
    assert page.inner_text(".amounts td >> nth=0").endswith("mL")
    assert "," in page.inner_text(".amounts td >> nth=0")
    start = "Blutung wahrscheinlich auf 2 von 5 Schichten, etwa 0,2 mL, "
    assert page.inner_text(".sentence") == start + "Muster am ehesten subdural."
    assert page.inner_text(".volume").startswith("0,2 mL markiert, in Voxeln von 0,25 x 0,50 mm")
    assert page.inner_text(".origin") == "Aus einem Test."
    spoken = page.evaluate(
        """() => ['.sentence', '.volume', '.origin', '.warnings li']
            .map((name) => document.querySelector(name).closest('[lang]').lang)"""
    )
    assert spoken == ["de", "de", "de", "en"]  # a note that is not in the table is English
    page.select_option(".language", "en")
    assert where(page) == "Slice 4 of 5"
    assert page.inner_text(".sentence").startswith("Bleeding likely on 2 of 5 slices, about 0.2 mL")


def test_the_sentence_stays_a_heading_inside_what_is_read_aloud(page):
    assert page.locator("div[role=status] > h2.sentence:not([role])").count() == 1


def test_the_language_chosen_is_spoken_by_the_viewer_beside_and_on_the_next_visit(browser):
    pieces, address = viewer.viewer_html(), "http://viewer.test/"  # a page without an address has no storage
    combined = "".join(f"<div id='{name}'>{pieces.html_template}</div>" for name in ("here", "there"))
    spoken = (
        "() => [...document.querySelectorAll('.viewer')].map((one) => [one.lang, one.querySelector('.language').value])"
    )
    with tab(browser) as page:
        page.route(address, lambda route: route.fulfill(body=combined, content_type="text/html; charset=utf-8"))

        def visit():
            page.goto(address)
            for name in ("here", "there"):
                page.evaluate(MOUNT.replace("'here'", f"'{name}'"), [pieces.js_on_load, None])
            return page.evaluate(spoken)

        assert visit() == [["en", "en"]] * 2
        page.select_option("#there .language", "de")
        assert page.evaluate(spoken) == [["de", "de"]] * 2
        assert page.inner_text("#here .layers label:first-child") == "Kontur"
        assert visit() == [["de", "de"]] * 2
        page.evaluate("() => localStorage.setItem('ich-language', 'xx')")
        assert visit() == [["en", "en"]] * 2


def test_a_question_mark_opens_the_list_of_all_keys_and_escape_closes_it(page):
    page.focus(".stage")
    page.keyboard.press("?")
    assert page.is_visible(".legend-of-keys")
    names = " ".join(page.locator(".legend-of-keys dt").all_inner_texts())
    block = re.search(r"const KEYS = \{(.*?)\n\};", _script("hands.js"), re.DOTALL).group(1)
    keys = set(re.findall(r'(?:^|[ \n])"?([a-z0-9,.+?-])"?: ', block)) - {"="}
    assert len(keys) >= 25
    assert {key for key in keys if key not in names.split()} == set()
    page.keyboard.press("Escape")
    assert page.is_hidden(".legend-of-keys")
    page.click(".ask")
    page.click(".legend-of-keys button")
    assert page.is_hidden(".legend-of-keys")


def test_typing_a_number_is_not_taken_for_a_key(page):
    show(page, replace(result(), model_figures={"calls": {"whole_scans": CALLS}}))
    page.focus("input[name=prevalence]")
    page.keyboard.press("3")
    page.keyboard.press("ArrowUp")
    assert page.get_attribute(".viewer", "data-window") == "brain"
    assert where(page) == "Slice 4 of 5"
    page.fill("input[name=prevalence]", "10")


def test_keys_change_the_opacity_and_what_dragging_does(page):
    page.focus(".stage")
    page.keyboard.press("k")
    assert page.inner_text(".amount output") == "40 %"
    page.keyboard.press("j")
    page.keyboard.press("d")
    assert page.get_attribute("button[data-drag=move]", "aria-pressed") == "true"
    page.keyboard.press("d")
    drag(page, 0, -30)
    assert where(page) == "Slice 5 of 5"
    page.keyboard.press("d")


def test_full_screen_comes_and_goes(page):
    page.click(".full")
    page.wait_for_function("() => document.fullscreenElement?.classList.contains('viewer')")
    page.focus(".stage")
    page.keyboard.press("x")
    page.wait_for_function("() => !document.fullscreenElement")


FOCUS = """() => {
  const node = document.activeElement, style = getComputedStyle(node);
  return [node.outerHTML.slice(0, 90), style.outlineStyle, parseFloat(style.outlineWidth)].join('|');
}"""


def test_everything_is_reached_by_tab_with_a_visible_focus(browser):
    planted = replace(result(), model_figures={"calls": {"whole_scans": CALLS}})
    with mount_viewer(browser, planted, truth=planted.mask) as page:
        page.fill("input[name=threshold]", "100")  # so that the button beside it is enabled
        expected = page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, .stage')]
                .filter((node) => node.checkVisibility() && !node.disabled && !node.closest('dialog')).length"""
        )
        visited = set()
        for _ in range(expected + 1):  # one full turn, over the page itself
            page.keyboard.press("Tab")
            visited.add(page.evaluate(FOCUS))
        visited = {item for item in visited if not item.startswith("<body")}
        assert len(visited) == expected
        assert [item for item in visited if not item.endswith("|solid|3")] == []


def test_every_control_has_a_name(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, [role=group], [role=toolbar], section')]
            .filter((node) => !/[a-z]{3}/i.test([node.ariaLabel, node.textContent, node.labels?.[0]?.textContent]))
            .map((node) => node.outerHTML)"""
    )
    assert nameless == []


CONTRAST = """() => {
  const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const over = (top, below) => [0, 1, 2].map((k) => top[k] * top[3] + below[k] * (1 - top[3])).concat(1);
  const ground = (node) => {
    const layers = [];
    for (; node; node = node.parentElement) {
      const layer = parse(getComputedStyle(node).backgroundColor);
      layers.push(layer);
      if (layer[3] === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (color) => {
    const [r, g, b] = color.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const low = [];
  for (const node of document.querySelectorAll('.viewer *')) {
    if (!node.checkVisibility() || node.matches(':disabled, canvas, option')) continue;
    const style = getComputedStyle(node), below = ground(node);
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (text && ratio(over(parse(style.color), below), below) < 4.5) low.push(['text', node.outerHTML.slice(0, 120)]);
    const edge = ground(node.parentElement);
    const part = Math.max(ratio(parse(style.borderTopColor), edge), ratio(below, edge));
    if (node.matches('button, select, input[type=number]') && part < 3)
      low.push(['part', node.outerHTML.slice(0, 120)]);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_4_5_and_parts_of_3_in_light_and_dark(browser, scheme):
    odd = OodScore(3.14, 1.5, 0.99)
    planted = replace(
        result(warnings=["A note."]),
        model_figures={"calls": {"whole_scans": CALLS}},
        ood=odd,
        disagreement=np.float32([0, 1, 0, 0, 0]),
    )
    with mount_viewer(browser, planted, truth=planted.mask, color_scheme=scheme) as page:
        page.check("input[name=heat]")
        page.focus(".stage")
        page.keyboard.press("n")
        assert page.evaluate(CONTRAST) == []
        paper = page.evaluate("() => getComputedStyle(document.querySelector('.report')).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 28, 36)"}[scheme]


def test_the_reasons_for_no_finding_are_dark_on_a_dark_page(browser):
    with mount_viewer(browser, doubtful_result(), color_scheme="dark") as page:
        assert "refused" in page.get_attribute(".strange", "class")
        assert page.evaluate(CONTRAST) == []
        ground = page.evaluate("() => getComputedStyle(document.querySelector('.strange')).backgroundColor")
        assert max(map(int, re.findall(r"\d+", ground))) < 80


def test_nothing_moves_by_itself_for_those_who_want_less_motion(browser):
    with mount_viewer(browser, result(), reduced_motion="reduce") as page:
        moving = page.evaluate(
            """() => [...document.querySelectorAll('.viewer *')].filter((node) => {
                const style = getComputedStyle(node);
                return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0; }).length"""
        )
        assert moving == 0


@pytest.mark.parametrize("width", [320, 390, 700, 1024])
@pytest.mark.parametrize("tag", ["de", "es"])
def test_longer_words_are_not_wider_than_the_screen(browser, width, tag):
    planted = replace(result(window=(35.0, 110.0)), model_figures={"calls": {"whole_scans": CALLS}})
    with mount_viewer(
        browser, planted, truth=planted.mask, locale=tag, viewport={"width": width, "height": 800}
    ) as page:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


# ---- the picture first, what is found in it later -------------------------------------------------------------------

SHOW = "(value) => window.show(value)"


def first_the_picture(page, planted):
    """Show only the picture on the screen, without a result; return its id."""
    view = viewer.scan_picture(planted.scan)
    page.evaluate(SHOW, view)
    page.wait_for_selector('.viewer[data-ready="yes"][data-found="no"][data-decoded="picture"]')
    page.evaluate(SETTLE)
    return view["id"]


def test_before_the_result_there_is_the_ct_and_no_claim(page):
    planted = result()
    full = pixels(page, "ct")
    first_the_picture(page, planted)
    page.fill(".position", str(int(page.evaluate("document.querySelector('.position').value"))))
    assert page.inner_text(".sentence") == "No result yet."
    for selector in (".scores", ".cutting", ".amounts", ".worth", ".models", ".strip-key", ".against"):
        assert page.is_hidden(selector)
    assert not pixels(page, "marks").any()
    assert "any bleeding" not in page.inner_text(".corner")
    page.evaluate(SHOW, viewer.payload(planted))
    settle(page)
    np.testing.assert_array_equal(pixels(page, "ct"), full)


def test_what_is_found_later_is_laid_over_the_same_picture_and_goes_to_the_slice_with_most_blood(page):
    planted = result()
    position = first_the_picture(page, planted)
    page.evaluate(SHOW, viewer.overlay(position, viewer.findings(planted)))
    page.wait_for_selector('.viewer[data-found="yes"][data-decoded="all"]')
    joint = pixels(page, "marks"), where(page), page.inner_text(".report"), page.inner_text(".cutting output")
    page.evaluate(SHOW, viewer.payload(planted))
    settle(page)
    assert yellow(joint[0]).sum() > 100
    np.testing.assert_array_equal(joint[0], pixels(page, "marks"))
    assert joint[1:] == (where(page), page.inner_text(".report"), page.inner_text(".cutting output"))


def test_who_looks_at_a_slice_already_stays_there_with_window_and_zoom(page):
    planted = result()
    position = first_the_picture(page, planted)
    page.focus(".stage")
    for key in ("Home", "3", "+"):
        page.keyboard.press(key)
    before = where(page), page.get_attribute(".viewer", "data-window"), page.get_attribute(".viewer", "data-zoom")
    page.evaluate(SHOW, viewer.overlay(position, viewer.findings(planted)))
    page.wait_for_selector('.viewer[data-found="yes"][data-decoded="all"]')
    after = where(page), page.get_attribute(".viewer", "data-window"), page.get_attribute(".viewer", "data-zoom")
    assert after == before
    assert before == ("Slice 1 of 5", "bone", "1.25")


def test_what_was_found_in_another_scan_is_dropped(page):
    first_the_picture(page, result())
    page.evaluate(SHOW, viewer.overlay("another", viewer.findings(result())))
    page.evaluate(SETTLE)
    assert page.get_attribute(".viewer", "data-found") == "no"
    assert page.inner_text(".sentence") == "No result yet."


def test_a_truth_that_comes_later_is_counted_and_can_be_taken_away(page):
    planted = result()
    truth = np.zeros(SHAPE, bool)
    truth[BLEED] = True
    view = viewer.payload(planted)
    page.evaluate(SHOW, view)
    settle(page)
    assert page.is_hidden(".with-truth")
    page.evaluate(SHOW, viewer.overlay(view["id"], viewer.truth_layers(truth, SHAPE)))
    page.wait_for_selector(".against", state="visible")
    assert float(page.get_attribute("data.dice", "value")) == pytest.approx(metrics.dice(truth, planted.mask), abs=1e-3)
    page.evaluate(SHOW, viewer.overlay(view["id"], {"truth": None}))
    page.wait_for_selector(".against", state="hidden")
    assert page.is_hidden(".with-truth")
