"""Two viewers of one page share their state, a third view shows the differences of their masks, and the address holds
all settings."""

from dataclasses import replace

import numpy as np
import pytest

from ich_lib.demo import viewer
from tests.browsing import SETTLE, tab
from tests.viewed import BLEED, SMALL_BLEED, result

ADDRESS = "http://viewer.test/"  # a page without an address has no query
MOUNT = """([name, js, payload]) => {
  const props = { value: payload };
  const watch = (_, act) => { (window.acts ??= {})[name] = (value) => { props.value = value; act(); }; };
  const element = document.getElementById(name);
  new Function('element', 'props', 'watch', js)(element, props, watch);
}"""
DECODED = "() => [...document.querySelectorAll('.viewer')].every((one) => one.dataset.decoded === 'all')"
STATE = """() => [...document.querySelectorAll('.viewer')].map((one) => [
  one.dataset.slice, one.dataset.plane, one.dataset.zoom, one.dataset.window, one.querySelector('[name=heat]').checked,
  one.querySelector('.where').textContent])"""


def findings():
    """Two models on one scan. The second finds only the large bleed, and marks half of it again as much."""
    first = result()
    blood = first.blood.copy()
    blood[SMALL_BLEED] = 0
    blood[3:4, 20:26, 52:70] = 0.9
    return first, replace(first, blood=blood, models=(("other", "f" * 64),))


def payloads():
    return [{**viewer.payload(one), "case": "planted"} for one in findings()]


@pytest.fixture(scope="module")
def both(browser):
    with tab(browser, viewport={"width": 1440, "height": 1000}) as page:
        open_page(page, "")
        yield page


def open_page(page, query):
    parts, third = viewer.viewer_html(), viewer.difference_html()
    halves = "".join(f"<div id='{name}' style='width:50%'>{parts.html_template}</div>" for name in ("here", "there"))
    rules = {"here": parts, "there": parts, "third": third}
    styles = "".join(f"<style>#{name} {{ {part.css_template} }}</style>" for name, part in rules.items())
    body = f"{styles}<div style='display:flex'>{halves}</div><div id='third'>{third.html_template}</div>"
    page.route(f"{ADDRESS}**", lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8"))
    page.goto(ADDRESS + query)
    for name, payload in zip(("here", "there"), payloads(), strict=True):
        page.evaluate(MOUNT, [name, parts.js_on_load, payload])
    page.evaluate(MOUNT, ["third", third.js_on_load, None])
    page.wait_for_function(
        "() => [...document.querySelectorAll('.viewer')].every((one) => one.dataset.decoded === 'all')"
    )
    page.evaluate(SETTLE)


def states(page):
    page.evaluate(SETTLE)
    page.evaluate(SETTLE)
    return page.evaluate(STATE)


@pytest.mark.parametrize("number", [0, 1])
def test_whatever_is_done_in_one_viewer_is_done_in_both(both, number):
    """Wheel, slider, keys, window, plane, zoom and overlays act on both viewers, from either side."""
    viewer_at = both.locator(".viewer").nth(number)
    viewer_at.locator(".position").fill("2")
    assert [one[0] for one in states(both)] == ["2", "2"]
    viewer_at.locator(".stage").hover()
    both.mouse.wheel(0, -100)
    assert [one[0] for one in states(both)] == ["3", "3"]
    viewer_at.locator("button[data-name=bone]").click()
    viewer_at.locator("[name=heat]").check()
    viewer_at.locator(".zoom-in").click()
    viewer_at.locator("[data-plane=coronal]").click()
    first, second = states(both)
    assert first == second
    assert first[1:5] == ["coronal", "1.00", "bone", True]
    viewer_at.locator("[data-plane=axial]").click()
    viewer_at.locator("button[data-name=brain]").click()
    viewer_at.locator("[name=heat]").uncheck()
    viewer_at.locator(".zoom-in").click()
    first, second = states(both)
    assert first == second
    assert first[2] == "1.25"
    viewer_at.locator(".zoom-reset").click()


def test_each_has_the_name_of_its_model_above_it_and_both_open_on_one_slice(both):
    assert both.locator(".title .model").all_inner_texts() == [
        "First model: planted 01234567",
        "Second model: other ffffffff",
    ]
    open_page(both, "")
    first, second = states(both)
    assert first == second


@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_both_pictures_are_as_large_and_as_high_and_each_result_stands_below(browser, width):
    """The second model scores slices only and has fewer switches."""
    first, second = (viewer.payload(one, truth=findings()[0].mask) for one in findings())
    second = second | {"report": second["report"] | {"has_mask": False}}
    with tab(browser, viewport={"width": width, "height": 1000}) as page:
        open_page(page, "")
        page.evaluate("([one, two]) => (acts.here(one), acts.there(two))", [first, second])
        page.wait_for_function(DECODED)
        states(page)
        assert page.locator(".viewer").nth(1).locator("input[name=fill]").is_hidden()
        one, two = (box.bounding_box() for box in page.locator(".picture").all())
        assert {name: one[name] for name in ("y", "width", "height")} == {
            name: pytest.approx(two[name], abs=1) for name in ("y", "width", "height")
        }
        desk, report = (page.locator(part).first.bounding_box() for part in (".desk", ".report"))
        assert report["y"] >= desk["y"] + desk["height"]


@pytest.mark.parametrize("width", [390, 768])
def test_the_second_picture_is_as_high_as_the_first_on_a_phone_and_a_tap_away(browser, width):
    """On a tablet both are on the screen; on a phone a button goes to the other one and back."""
    part, (first, second) = viewer.viewer_html(), payloads()
    halves = "".join(f"<div class='one-viewer' id='{name}'>{part.html_template}</div>" for name in ("here", "there"))
    styles = f"<style>{viewer.page_css(1)} #here, #there {{ {part.css_template} }} body {{ margin: 8px; }}</style>"
    with tab(browser, viewport={"width": width, "height": 844}, has_touch=True) as page:
        page.set_content(f"<!doctype html>{styles}<div id='viewers' style='display:flex'>{halves}</div>")
        page.evaluate(MOUNT, ["here", part.js_on_load, first])
        page.evaluate(MOUNT, ["there", part.js_on_load, second])
        page.wait_for_function(DECODED)
        states(page)
        places = lambda: [box.bounding_box() for box in page.locator(".picture").all()]  # noqa: E731
        one, two = places()
        assert one["y"] == pytest.approx(two["y"], abs=1)
        assert one["width"] == pytest.approx(two["width"], abs=1)
        others = page.locator(".title .other")
        assert others.nth(0).is_visible() == (width == 390)
        if width == 768:
            assert two["x"] + two["width"] <= width
            return
        assert two["x"] >= width
        assert others.nth(0).inner_text() == "Second model"
        for number in (0, 1):
            others.nth(number).tap()
            page.evaluate(SETTLE)
            shown, gone = (places()[k] for k in (1 - number, number))
            assert 0 <= shown["x"] < shown["x"] + shown["width"] <= width
            assert not 0 <= gone["x"] < width
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_scan_that_only_one_shows_moves_no_other(both):
    other = {**viewer.payload(result(shape=(7, 60, 80)))}
    both.evaluate("(payload) => window.acts.there(payload)", other)
    both.wait_for_function("() => document.querySelectorAll('.viewer')[1].querySelector('.position').max === '7'")
    both.locator(".position").nth(0).fill("2")
    both.locator(".position").nth(1).fill("6")
    assert [one[0] for one in states(both)] == ["2", "6"]
    assert "once both models have a result" in both.inner_text(".difference .note")
    open_page(both, "")


def test_the_third_view_paints_and_counts_where_the_masks_differ(both):
    """Both mark all 216 pixels of one bleed; 48 pixels only the first, 108 only the second. A voxel has 0.000625 mL."""
    first, second = (one.mask for one in findings())
    voxel_ml = result().scan.voxel_ml
    counts = ((first & ~second).sum(), (second & ~first).sum(), (first & second).sum())
    assert counts == (48, 108, 216)
    texts = both.locator(".difference li").all_inner_texts()
    assert texts == [
        f"{word}: {count * voxel_ml:.1f} mL"
        for word, count in zip(("only the first", "only the second", "both"), counts, strict=True)
    ]
    both.locator(".position").nth(0).fill("4")
    states(both)
    assert both.evaluate(PAINTED, [10, 60]) == "both"
    assert both.evaluate(PAINTED, [23, 60]) == "second"
    assert both.evaluate(PAINTED, [40, 40]) == "gray"
    both.locator(".position").nth(0).fill("2")
    states(both)
    assert both.evaluate(PAINTED, [33, 14]) == "first"
    both.locator("input[name=threshold]").nth(0).fill("250")
    states(both)
    assert both.evaluate(PAINTED, [33, 14]) == "gray"
    both.locator(".shipped").nth(0).click()


PAINTED = """([row, column]) => {
  const [r, g, b] = document.querySelector('.difference canvas').getContext('2d').getImageData(column, row, 1, 1).data;
  return r === g && g === b ? 'gray' : b > r ? 'second' : g - b > 90 && r - g < 40 ? 'both' : 'first';
}"""


def test_the_address_follows_the_picture_and_opens_it_again(browser):
    with tab(browser, viewport={"width": 1440, "height": 1000}) as page:
        open_page(page, "?other=1")
        page.locator(".position").nth(0).fill("2")
        page.locator("button[data-name=bone]").nth(0).click()
        page.locator("[data-plane=coronal]").nth(0).click()
        page.wait_for_function("() => location.search.includes('plane=coronal')")
        query = page.evaluate("() => location.search")
        assert "other=1&case=planted&slice=" in query
        assert "window=bone" in query
        before = states(page)[0]
        open_page(page, query)
        assert states(page)[0] == before


@pytest.mark.parametrize("query", ["?case=planted&slice=99&window=nobody&plane=up", "?case=other&slice=1", "?slice=x"])
def test_an_address_that_asks_for_what_is_not_there_opens_the_page_as_ever(browser, query):
    with tab(browser, viewport={"width": 1440, "height": 1000}) as page:
        open_page(page, query)
        (slice_number, plane, _, window, *_), _ = states(page)
        assert (plane, window) == ("axial", "brain")
        assert slice_number == ("5" if "99" in query else "4")


def test_the_dark_switch_darkens_the_page_and_the_next_visit(browser):
    dark = "() => [document.body.classList.contains('dark'), document.querySelector('.dark-switch').ariaPressed]"
    with tab(browser, viewport={"width": 1440, "height": 1000}) as page:
        open_page(page, "")
        assert page.evaluate(dark) == [False, None]
        page.locator(".dark-switch").nth(1).click()
        assert page.evaluate(dark) == [True, "true"]
        open_page(page, "")
        assert page.evaluate(dark) == [True, "true"]
        page.locator(".dark-switch").nth(0).click()
        assert page.evaluate(dark) == [False, "false"]


def test_the_planted_masks_differ():
    first, second = findings()
    assert first.mask[BLEED].all()
    assert second.mask[BLEED].all()
    assert not np.array_equal(first.mask, second.mask)
