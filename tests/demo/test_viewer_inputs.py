"""The panel "what the model sees", with synthetic pictures in a real Chromium."""

import numpy as np
import pytest

from ich_lib.demo import viewer
from ich_lib.prediction.inputs import InputPictures
from ich_lib.prepare.head import Box
from tests.browsing import SETTLE, mount_viewer, pixels, settle
from tests.viewed import SHAPE, result

GRAYS = "(canvas) => canvas.getContext('2d').getImageData(3, 2, 1, 1).data[0]"
BOX = Box(10, 20, 40)


def planted(slabs):
    """Pictures whose gray level is 10 for each slab, plus 100 for the second window."""
    grays = 10 * np.arange(len(slabs))[:, None, None, None] + np.array([0, 100]) + np.zeros((1, 8, 8, 1))
    given = tuple(tuple(np.clip([k - 1, k, k + 1], 0, len(slabs) - 1).tolist()) for k in range(len(slabs)))
    return InputPictures("planted", (grays / 255).astype(np.float32), ("brain", "bone"), given, slabs, BOX)


@pytest.fixture
def page(browser):
    with mount_viewer(browser, result(), viewport={"width": 1280, "height": 1000}) as page:
        yield page


def send(page, content, to=None):
    """Put the server's answer into the picture that is shown."""
    shown = "[...window.ichViewers].at(-1).state.scan.id"
    page.evaluate(f"([content, to]) => window.show({{ to: to ?? {shown}, inputs: content }})", [content, to])
    page.evaluate(SETTLE)


def opened(page, slabs):
    page.focus(".stage")
    page.keyboard.press("i")
    page.wait_for_function("() => window.triggered?.length")
    send(page, [viewer.inputs_payload(planted(slabs))])
    page.wait_for_selector(".sees canvas[data-painted]")
    page.evaluate(SETTLE)


def grays(page):
    return [canvas.evaluate(GRAYS) for canvas in page.locator(".sees canvas").all()]


SLICES = tuple(range(k, k + 1) for k in range(SHAPE[0]))


def test_the_server_is_asked_once_and_only_when_the_panel_is_opened(page):
    assert page.evaluate("() => window.triggered") is None
    opened(page, SLICES)
    page.keyboard.press("i")
    page.keyboard.press("i")
    page.evaluate(SETTLE)
    assert page.evaluate("() => window.triggered") == ["expand"]


def test_the_panel_follows_the_slice_and_repeats_the_last_one_at_an_end(page):
    opened(page, SLICES)
    assert grays(page) == [20, 30, 40, 120, 130, 140]  # slice 4 of 5, with most blood, is open
    assert page.locator(".sees th.here").inner_text() == "Slice 4"
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('.sees th.here').textContent === 'Slice 5'")
    page.wait_for_function("() => document.querySelectorAll('.sees canvas[data-painted]').length === 6")
    assert grays(page) == [30, 40, 40, 130, 140, 140]
    assert [head.inner_text() for head in page.locator(".sees th[scope=row]").all()] == [
        "Window 40 / 80 HU",
        "Window 600 / 2800 HU",
    ]


def test_of_thin_slices_the_panel_shows_the_mean_that_the_open_slice_is_in(page):
    opened(page, (range(0, 2), range(2, 5)))
    assert page.locator(".sees th[scope=col]").all_inner_texts() == ["Mean of 1-2", "Mean of 3-5", "Mean of 3-5"]
    assert grays(page) == [0, 10, 10, 100, 110, 110]


def test_the_square_of_the_pictures_lies_over_the_slice_while_the_panel_is_open(page):
    opened(page, SLICES)
    marks = pixels(page, "marks")
    scale = marks.shape[0] / SHAPE[1], marks.shape[1] / SHAPE[2]
    edges = [(BOX.top, 30), (BOX.top + BOX.side, 30), (40, BOX.left), (40, BOX.left + BOX.side)]

    def is_white(marks, row, column):
        y, x = round(row * scale[0]), round(column * scale[1])
        return (marks[y - 2 : y + 3, x - 2 : x + 3, :3].min(axis=2) > 200).any()

    assert all(is_white(marks, *edge) for edge in edges)
    assert not is_white(marks, 40, 30)
    page.keyboard.press("i")
    page.evaluate(SETTLE)
    assert not any(is_white(pixels(page, "marks"), *edge) for edge in edges)


def test_pictures_of_another_scan_are_dropped_and_a_failed_reading_is_told_and_can_be_repeated(page):
    page.focus(".stage")
    page.keyboard.press("i")
    send(page, [viewer.inputs_payload(planted(SLICES))], to="somebody else's")
    assert page.locator(".sees canvas").count() == 0
    send(page, [])
    assert page.inner_text(".sees-note").startswith("These pictures cannot be made")
    page.keyboard.press("i")
    page.keyboard.press("i")
    page.wait_for_function("() => window.triggered.length === 2")


def test_the_panel_speaks_the_language_of_the_page(page):
    opened(page, SLICES)
    page.select_option(".language", "de")
    settle(page)
    assert page.locator(".sees summary").inner_text() == "Was das Modell sieht"
    assert page.locator(".sees th.here").inner_text() == "Schicht 4"
    page.select_option(".language", "en")
