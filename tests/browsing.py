"""A real Chromium for tests, and the viewer alone in it. Three lines do what Gradio does with its page part."""

import base64
import contextlib
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from ich_lib.demo import viewer

SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
open_pages = []  # of `tab`


def chromium(kit, *more):
    """The browser that CHROMIUM names, else an installed one, else Playwright's own; with more arguments."""
    places = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, places)), None)
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", *more]
    return kit.chromium.launch(executable_path=path, args=arguments)


def open_chromium(*more):
    """For a fixture: the browser, closed at the end. If there is no browser, its tests are skipped and say why."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests.")
    with playwright.sync_playwright() as kit:
        try:
            opened = chromium(kit, *more)
        except playwright.Error:
            pytest.skip("No Chromium here: install it, name it in CHROMIUM, or run `playwright install chromium`.")
        yield opened
        opened.close()


@contextlib.contextmanager
def tab(browser, **options):
    """A page that fails the test if one of its scripts fails."""
    opener, context = picture(), browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    open_pages.append(page)
    try:
        yield page
    finally:
        if picture() == opener:  # otherwise a whole module shares the page
            keep(page)
        open_pages.remove(page)
        context.close()
    assert problems == []


def picture():
    """The path for a picture of the page of the current test; None outside a test."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[2].rpartition(" (")[0]
    return SCREENSHOTS / f"{re.sub('[^a-zA-Z0-9_.=-]+', '-', test)[:150].strip('-')}.jpg" if test else None


def keep(page):
    """Save this picture, fast and small. An error here never fails a test."""
    if path := picture():
        with contextlib.suppress(Exception):
            page.screenshot(path=path, type="jpeg", quality=50, scale="css", timeout=3000)


SETTLE = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
STILL = """() => Promise.allSettled(document.getAnimations()
  .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime)).map((one) => one.finished))"""
MOUNT = """([js, payload]) => {
  const props = { value: payload }, trigger = (name) => (window.triggered ??= []).push(name);
  const watch = (_, changed) => { window.show = (next) => { props.value = next; changed(); }; };
  const run = new Function('element', 'trigger', 'props', 'server', 'upload', 'watch', js);
  run(document.getElementById('here'), trigger, props, null, null, watch);
}"""
# Measures the milliseconds from a key to the slice on its canvas, for some slices one after the other.
SLICE_TIMES = """async (count) => {
  const root = document.querySelector('.viewer'), stage = root.querySelector('.stage'), times = [];
  stage.focus();
  stage.dispatchEvent(new KeyboardEvent('keydown', { key: 'Home', bubbles: true }));
  await new Promise((done) => setTimeout(done, 300));
  for (let k = 0; k < count; k++) {
    const start = performance.now(), before = root.dataset.slice;
    const drawn = new Promise((done) => new MutationObserver((_, self) => {
      if (root.dataset.slice !== before) self.disconnect(), done();
    }).observe(root, { attributes: true }));
    stage.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowUp', bubbles: true }));
    await drawn;
    times.push(performance.now() - start);
    await new Promise((done) => requestAnimationFrame(done));
  }
  return times;
}"""
PIXELS = "(name) => document.querySelector('canvas.' + name).toDataURL()"


@contextlib.contextmanager
def mount_viewer(browser, planted, *, truth=None, **options):
    """The viewer alone, without Gradio: three lines do what Gradio does with its three files."""
    pieces = viewer.viewer_html()
    with tab(browser, **options) as page:
        page.set_content(
            "<!doctype html><meta name='viewport' content='width=device-width'>"
            f"<div id='here'>{pieces.html_template}</div><style>#here {{ {pieces.css_template} }}</style>"
        )
        page.evaluate(MOUNT, [pieces.js_on_load, viewer.payload(planted, truth=truth)])
        page.wait_for_selector('.viewer[data-decoded="all"]')
        yield page


def settle(page):
    page.wait_for_selector('.viewer[data-ready="yes"][data-decoded="all"]')
    page.evaluate(SETTLE)


def pixels(page, name):
    """(rows, columns, RGBA) of a canvas."""
    page.evaluate(SETTLE)
    picture = base64.b64decode(page.evaluate(PIXELS, name).split(",")[1])
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def choose(page, sample):
    """Click a sample of the demo and wait for its picture."""
    settle(page)
    expected = page.locator("#samples label").filter(has=page.get_by_text(sample, exact=True))
    before = page.inner_text(".origin")
    if not expected.locator("input").is_checked():
        expected.click()
        page.wait_for_function(
            "(before) => document.querySelector('.origin').textContent !== before", arg=before, timeout=60_000
        )
        page.wait_for_selector("#status:empty", state="attached")
        settle(page)


def where(page):
    page.evaluate(SETTLE)
    return page.inner_text(".where")


def yellow(marks):
    """Pixels of the outline."""
    return (np.abs(marks[..., :3].astype(int) - (0xF0, 0xE4, 0x42)).max(axis=2) < 30) & (marks[..., 3] > 200)


def grave(page):
    """What axe-core calls serious or critical, as (rule, place)."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing.")
    page.evaluate(STILL)  # a color on its way from white to blue is none that stays
    result = axe.Axe().run(page).response["violations"]
    bad = [item for item in result if item["impact"] in ("serious", "critical")]
    return [(item["id"], node["target"], node["failureSummary"]) for item in bad for node in item["nodes"]]
