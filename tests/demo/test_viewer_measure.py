"""Measurements by hand in the viewer, and the values that depend on the threshold: synthetic numbers in a real
Chromium."""

from dataclasses import replace

import numpy as np
import pytest

from ich_lib.demo import viewer
from ich_lib.demo.session import at_threshold
from ich_lib.words import result_sentence, volume_sentence
from tests.browsing import SETTLE, mount_viewer, pixels, settle, where
from tests.viewed import BLEED, SHAPE, result

SCORES = np.tile([0.1, 0.2, 0.3, 0.4, 0.6, 0.9], (SHAPE[0], 1))


def bleeding(**fields):
    """The synthetic result, which says bleeding. Voxels are 5 x 5 x 2.5 mm, so the mask has 16 mL."""
    planted = result(spacing_mm=(5.0, 5.0, 2.5))
    return replace(planted, slice_scores=SCORES, scan_scores=SCORES[0], **fields)


@pytest.fixture(scope="module")
def shown(browser):
    truth = np.zeros(SHAPE, bool)
    truth[BLEED] = truth[4, 5:9, 5:9] = True
    with mount_viewer(browser, bleeding(), truth=truth, viewport={"width": 1280, "height": 900}) as page:
        yield page


@pytest.fixture
def page(shown):
    truth = np.zeros(SHAPE, bool)
    truth[BLEED] = truth[4, 5:9, 5:9] = True
    show(shown, bleeding(), truth=truth)
    return shown


def show(page, planted, **options):
    page.evaluate("(payload) => window.show(payload)", viewer.payload(planted, **options))
    settle(page)


def at_pixel(page, row, column):
    """The position of a corner of a pixel on the screen."""
    box = page.locator(".picture").bounding_box()
    return box["x"] + column / SHAPE[2] * box["width"], box["y"] + row / SHAPE[1] * box["height"]


def click_at(page, row, column):
    """Click when the slice is drawn and its HU are known."""
    x, y = at_pixel(page, row, column)
    for _ in range(100):
        page.mouse.move(x + 1, y)
        page.mouse.move(x, y)
        if page.inner_text(".point"):
            break
        page.wait_for_timeout(50)
    page.mouse.click(x, y)


def drag(page, kind, start, end):
    page.click(f"[data-drag={kind}]")
    page.mouse.move(*at_pixel(page, *start))
    page.mouse.down()
    page.mouse.move(*at_pixel(page, *end), steps=3)
    page.mouse.up()
    return page.inner_text(".measured")


def test_the_ruler_measures_mm_by_the_spacing_of_rows_and_columns(page):
    """30 columns of 2.5 mm are 75 mm, 20 rows of 5 mm are 100 mm, and the diagonal is 125 mm."""
    length = float(drag(page, "ruler", (10, 20), (30, 50)).removesuffix(" mm"))
    assert length == pytest.approx(125, abs=1)
    page.keyboard.press("ArrowUp")
    assert page.inner_text(".measured") == ""  # it belongs to the other slice
    page.keyboard.press("ArrowDown")
    page.evaluate(SETTLE)
    assert page.inner_text(".measured").endswith(" mm")


def test_a_region_in_the_bleed_has_its_hu_and_no_spread_and_its_area(page):
    """The blood is 70 HU. 12 rows of 5 mm and 18 columns of 2.5 mm contain an ellipse of 60 x 45 mm."""
    text = drag(page, "region", (8, 52), (20, 70))
    assert text.startswith("Region: mean 70.0 HU, SD 0.0, ")
    assert float(text.split(", ")[-1].removesuffix(" mm²")) == pytest.approx(np.pi / 4 * 60 * 45, rel=0.1)
    page.keyboard.press("Escape")
    assert page.inner_text(".measured") == ""


def test_a_bleed_is_measured_by_keys_alone(page):
    page.focus(".stage")
    page.keyboard.press("Shift+ArrowRight")  # the point starts in the middle: row 30, column 40
    page.keyboard.press("r")
    for _ in range(8):
        page.keyboard.press("Shift+ArrowRight")
    assert page.inner_text(".measured") == "20.0 mm"
    page.keyboard.press("r")
    page.keyboard.press("Shift+ArrowRight")
    assert page.inner_text(".measured") == "20.0 mm"  # it is finished


def test_where_the_spacing_is_not_known_a_ruler_counts_pixels_and_says_so(page):
    show(page, bleeding(), truth=None)
    payload = {**viewer.payload(replace(bleeding(), scan=replace(bleeding().scan, spacing_known=False)))}
    page.evaluate("(payload) => window.show(payload)", payload)
    settle(page)
    assert drag(page, "ruler", (10, 20), (10, 50)) == "30 pixels; slice spacing unknown"


def test_b_and_v_go_to_the_slices_with_blood_and_round_again(page):
    page.focus(".stage")
    visited = []
    for key in ("b", "b", "v", "v"):
        page.keyboard.press(key)
        visited.append(where(page))
    assert visited == ["Slice 2 of 5", "Slice 4 of 5", "Slice 2 of 5", "Slice 4 of 5"]
    page.keyboard.press("c")
    page.click(".next-blood")
    assert where(page) == "Slice 2 of 5"


def test_the_strip_marks_true_blood_in_blue_once_the_truth_is_shown(page):
    page.evaluate("() => document.querySelector('.strip canvas').classList.add('strip-canvas')")
    blue = lambda: np.abs(pixels(page, "strip-canvas")[-2, :, :3].astype(int) - (0x56, 0xB4, 0xE9)).max(axis=1) < 30  # noqa: E731
    page.set_checked("input[name=truth]", False)
    assert not blue().any()
    page.set_checked("input[name=truth]", True)
    assert (np.flatnonzero(np.array([part.mean() > 0.5 for part in np.array_split(blue(), 5)]))).tolist() == [3, 4]
    page.set_checked("input[name=truth]", False)


def test_other_planes_open_where_most_blood_is(page):
    page.focus(".stage")
    assert page.is_visible(".strip")
    page.keyboard.press("c")
    assert 9 <= int(where(page).split()[1]) <= 20  # rows 8 to 19 of the bleed, counted from 1
    page.wait_for_selector(".viewer[data-plane=coronal]")
    assert (page.inner_text(".first-end"), page.inner_text(".last-end")) == ("front", "back")
    assert page.is_hidden(".strip")  # axial slices, whose ends are toward the feet and the head
    page.keyboard.press("s")
    assert 53 <= int(where(page).split()[1]) <= 70


def test_the_crosshair_takes_the_other_planes_to_the_point(page):
    page.click("[data-drag=window]")  # otherwise the ruler of another test would measure from the point
    page.focus(".stage")
    page.keyboard.press("l")
    assert page.get_attribute(".cross", "aria-pressed") == "true"
    click_at(page, 12.5, 61.5)
    page.focus(".stage")
    page.keyboard.press("c")
    assert where(page) == "Coronal 13 of 60"
    box = page.locator(".picture").bounding_box()  # five rows of slices, the head's on top: the second is slice 4
    page.mouse.click(box["x"] + box["width"] * 20.5 / 80, box["y"] + box["height"] * 1.5 / 5)
    page.focus(".stage")
    page.keyboard.press("s")
    assert where(page) == "Sagittal 21 of 80"
    lines = pixels(page, "marks")
    teal = lines[..., 1].astype(int) - lines[..., 0] > 25  # thin lines mix with their halo
    assert abs(np.median(np.flatnonzero(teal.mean(axis=0) > 0.5)) / lines.shape[1] - 12.5 / 60) < 0.02
    assert abs(np.median(np.flatnonzero(teal.mean(axis=1) > 0.5)) / lines.shape[0] - 1.5 / 5) < 0.05
    page.keyboard.press("a")
    assert where(page) == "Slice 4 of 5"
    page.keyboard.press("l")


@pytest.mark.parametrize(("presses", "reduce"), [(0, None), (1, np.mean), (2, np.max)])
def test_a_thick_slab_is_the_mean_or_the_maximum_of_ten_mm(page, presses, reduce):
    """Rows are 5 mm apart, so 10 mm around row 12 are rows 11 to 13."""
    page.focus(".stage")
    page.keyboard.press("c")
    page.fill(".position", "13")
    page.focus(".stage")
    for _ in range(presses):
        page.keyboard.press("y")
    page.evaluate(SETTLE)
    hu = bleeding().scan.hu[::-1]
    expected = hu[:, 12] if reduce is None else reduce(hu[:, 11:14], axis=1)
    gray = np.clip(expected / 80, 0, 1) * 255
    np.testing.assert_allclose(pixels(page, "ct")[..., 0], gray, atol=2.2)  # a mean is rounded to whole HU
    words = page.inner_text(".rebuilt")
    assert words == "Rebuilt, slice spacing 5.0 mm" + ("", ", 10 mm mean", ", 10 mm maximum")[presses]
    for _ in range(-presses % 3):
        page.keyboard.press("y")


def test_the_threshold_moves_the_headline_the_volume_and_the_table_and_says_so(page):
    """After a change of the threshold, the viewer shows what Python computes for the result at that threshold."""
    planted = bleeding()
    planted.blood[BLEED] = np.linspace(0.55, 0.95, planted.blood[BLEED].size).reshape(planted.blood[BLEED].shape)
    show(page, planted)
    assert page.inner_text(".sentence") == result_sentence(planted)
    assert page.inner_text(".moved") == ""
    for level in (170, 60, 254):
        page.fill("input[name=threshold]", str(level))
        moved = at_threshold(planted, level)
        assert page.inner_text(".sentence") == result_sentence(moved)
        assert page.inner_text(".volume") == volume_sentence(moved)
        assert f"Mask threshold {level / 255:.2f}, set by you; the model's own is 0.50." in page.inner_text(".moved")
        rows = page.locator(".amounts tbody tr").all_inner_texts()
        assert (f"{moved.volume_ml:.1f} mL" in rows[0]) if moved.volume_ml else rows == []
    page.click(".shipped")
    assert page.inner_text(".sentence") == result_sentence(planted)
    assert page.locator(".amounts tbody tr").count() == 3


def test_a_mask_below_the_floor_at_another_threshold_is_none_measurable(page):
    planted = bleeding(floor_ml=15.0)
    planted.blood[BLEED][..., 9:] = 0.6
    show(page, planted)
    page.fill("input[name=threshold]", "200")
    assert page.inner_text(".volume") == volume_sentence(at_threshold(planted, 200))
    assert page.inner_text(".volume").startswith("Volume: none measurable")
    assert page.is_hidden(".amounts")


def test_the_list_of_keys_opens_at_its_top(browser):
    with mount_viewer(browser, result(), viewport={"width": 700, "height": 360}) as page:
        page.focus(".stage")
        page.keyboard.press("?")
        assert page.evaluate("() => document.querySelector('.legend-of-keys').scrollTop") == 0
        assert page.locator(".legend-of-keys h2").bounding_box()["y"] >= 0


def test_where_hu_are_unknown_dragging_turns_slices_and_the_window_button_says_why(browser):
    with mount_viewer(browser, result(hu_known=False, window=(40, 80))) as page:
        assert page.is_disabled("[data-drag=window]")
        assert "HU are unknown" in page.get_attribute("[data-drag=window]", "title")
        assert page.get_attribute("[data-drag=slices]", "aria-pressed") == "true"
        before, box = where(page), page.locator(".stage").bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 40, box["y"] + 100, steps=4)
        page.mouse.up()
        assert where(page) != before
        for _ in range(5):
            page.keyboard.press("d")
            assert page.get_attribute("[data-drag=window]", "aria-pressed") == "false"


@pytest.mark.parametrize(("width", "height"), [(390, 844), (768, 1024), (1024, 700)])
def test_full_screen_in_one_column_shows_picture_and_report_beside_nothing(browser, width, height):
    with mount_viewer(browser, result(), viewport={"width": width, "height": height}) as page:
        page.focus(".stage")
        page.keyboard.press("x")
        page.wait_for_function("() => document.fullscreenElement")
        page.evaluate(SETTLE)
        desk, report, stage, strip = (
            page.locator(name).bounding_box() for name in (".desk", ".report", ".stage", ".strip")
        )
        assert report["y"] >= desk["y"] + desk["height"]
        assert strip["y"] >= stage["y"] + stage["height"]
        assert desk["y"] + desk["height"] >= strip["y"] + strip["height"]  # no part of it is cut off
        assert page.locator(".report").bounding_box()["width"] > 0.9 * (width - 40)


def test_on_a_phone_no_words_lie_over_the_picture(browser):
    with mount_viewer(browser, result(), viewport={"width": 390, "height": 844}) as page:
        picture, words = (page.locator(name).bounding_box() for name in (".picture", ".corner:has(.where)"))
        assert words["y"] >= picture["y"] + picture["height"]


def test_the_name_of_the_file_is_shown(page):
    picture = viewer.scan_picture(result().scan, file="head.nii.gz", more=2)
    page.evaluate("(payload) => window.show(payload)", picture)
    page.wait_for_selector('.viewer[data-decoded="picture"]')
    assert page.inner_text(".origin") == "Your scan: 5 slices of 80 x 60 pixels, from head.nii.gz and 2 more."
