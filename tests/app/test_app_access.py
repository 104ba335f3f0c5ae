"""People who cannot see or cannot use a mouse can use the whole page. The tests use axe-core and the keyboard alone,
and check that the page contacts no other machine.

axe-core is the checker inside most browsers' accessibility tools. Its wheel contains it, so no network is needed.
"""

import contextlib
import itertools

import cv2
import numpy as np
import pytest

from tests.browsing import SETTLE, STILL, grave, keep, picture, settle, tab
from tests.served import ON_DEMAND, Server

pytestmark = pytest.mark.long
SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}
WHERE_THE_FOCUS_IS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const shown = at.closest("label") ?? at, box = shown.getBoundingClientRect();
  const name = at.getAttribute("aria-label") || at.closest("label")?.textContent || at.textContent || at.title || "";
  const part = at.closest("#rail") ? "rail" : at.closest("#work") ? "work" : "";
  return { name: name.trim(), part, x: box.x, y: box.y, width: box.width, height: box.height };
}"""
CONTROLS = """() => {
  const all = [...document.querySelectorAll("button, input, select, textarea, a[href], [tabindex='0']")];
  const seen = all.filter((one) => !one.disabled && one.checkVisibility({ visibilityProperty: true }));
  return new Set(seen.filter((one) => one.tabIndex >= 0).map((one) => (one.type === 'radio' ? one.name : one))).size;
}"""
REMEMBER = "() => { window.stops = []; document.addEventListener('focusin', (event) => stops.push(event.target)); }"
# The positions of the stops while nothing is scrolled, each with its part of the page.
PLACES = """() => {
  for (const one of document.querySelectorAll('*')) one.scrollLeft = one.scrollTop = 0;
  const sides = (node) => node.getBoundingClientRect().toJSON();
  return stops.map((one) => ({
    name: one.ariaLabel || (one.closest('label') ?? one).textContent.trim() || one.outerHTML.slice(0, 80),
    ...sides(one.closest('label') ?? one), part: sides(one.closest('#rail, .desk, .report') ?? one),
  }));
}"""
NAMES = "() => [...new Set([...document.querySelectorAll('#samples input')].map((one) => one.name))]"


@pytest.fixture(scope="module")
def server(tmp_path_factory, browser):
    with Server(tmp_path_factory.mktemp("server"), command=ON_DEMAND) as served:
        yield served


@contextlib.contextmanager
def visit(browser, server, size="wide", scheme="light", **options):
    """The page with its sample; `requests` holds each address that it requested."""
    options = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce", **options}
    with tab(browser, **options) as page:
        page.requests = []
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(server.url)
        page.wait_for_selector('.viewer[data-ready="yes"][data-decoded="all"]', timeout=90_000)
        yield page


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("wide", "light"),
        pytest.param("narrow", "dark", marks=pytest.mark.long),
        pytest.param("wide", "dark", marks=pytest.mark.long),
        pytest.param("narrow", "light", marks=pytest.mark.long),
    ],
)
def test_axe_finds_nothing_grave_on_the_page_after_an_upload_and_after_a_refusal(
    browser, server, tmp_path, size, scheme
):
    grays = np.random.default_rng(0).integers(0, 255, (96, 96), np.uint8)
    cv2.imwrite(str(tmp_path / "slice.png"), grays)
    (tmp_path / "scan.dcm").write_text("dear diary")
    with visit(browser, server, size, scheme) as page:
        assert grave(page) == []
        page.set_input_files("#files input[type=file]", tmp_path / "slice.png")
        page.wait_for_function("() => document.querySelector('.origin').textContent.startsWith('Your scan')")
        page.wait_for_selector("#status:empty", state="attached")
        assert grave(page) == []
        page.wait_for_selector("#files input[type=file]", state="attached")
        page.set_input_files("#files input[type=file]", tmp_path / "scan.dcm")
        page.get_by_text("looks like plain text").first.wait_for()
        assert grave(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave_beside_a_second_model_and_in_the_panel(browser, server, scheme):
    with visit(browser, server, scheme=scheme) as page:
        page.click("#compare input")
        page.get_by_role("option", name="densenet-small").click()
        page.wait_for_function(
            "() => document.querySelectorAll('.viewer[data-found=yes]').length === 2", timeout=180_000
        )
        page.locator(".sees summary").first.click()
        page.wait_for_selector(".sees canvas[data-painted]", timeout=60_000)
        assert grave(page) == []


def test_axe_sees_a_fault_that_is_planted(browser, server):
    with visit(browser, server) as page:
        page.evaluate("() => document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\"><button></button>')")
        assert {rule for rule, *_ in grave(page)} >= {"image-alt", "button-name"}


def test_nothing_leaves_this_machine(browser, server):
    with visit(browser, server) as page:
        page.wait_for_timeout(500)
        assert page.requests
        assert [url for url in page.requests if not url.startswith((f"{server.url}/", "data:", "blob:"))] == []


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_tab_reaches_every_control_once_with_a_name_and_a_focus_that_shows(browser, server, scheme):
    with visit(browser, server, scheme=scheme) as page:
        expected = page.evaluate(CONTROLS)
        visited = [(at, changes) for at, changes in _walk(page)]
        assert len(visited) >= expected
        assert [at for at, _ in visited if not at["name"]] == []
        assert [at["name"] for at, changes in visited if not changes] == []
        pieces = [at["part"] for at, _ in visited if at["part"]]
        assert pieces == sorted(pieces)  # the rail with the cases, then the viewer


def _walk(page):
    """Each stop of the Tab key, and whether the screen around it changed when the focus came."""
    page.evaluate("() => document.activeElement.blur()")
    now = _screen(page)
    for _ in range(100):
        before = now
        page.keyboard.press("Tab")
        at = page.evaluate(WHERE_THE_FOCUS_IS)
        if at is None:
            return
        low, high = (max(int(at["x"]) - 8, 0), max(int(at["y"]) - 8, 0)), (at["width"] + 16, at["height"] + 16)
        position = np.s_[low[1] : low[1] + int(high[1]), low[0] : low[0] + int(high[0])]
        now = _screen(page)
        yield at, bool((before[position] != now[position]).any())


def _screen(page):
    page.evaluate(STILL)
    page.evaluate(SETTLE)
    return cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)


def test_a_sample_is_chosen_and_a_slice_reached_by_keys_alone(browser, server):
    with visit(browser, server) as page:
        _to_the_samples(page)
        page.keyboard.press("ArrowDown")
        _shows(page, "intraparenchymal")
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.matches('.stage')"):
                break
        page.keyboard.press("Home")
        page.wait_for_function("() => document.querySelector('.where').textContent.startsWith('Slice 1 of')")


def _to_the_samples(page):
    """Tab from the top of the page to the samples."""
    page.evaluate("() => document.activeElement.blur()")
    for _ in range(4):  # the link past the rail, the tour, and no tour
        page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.matches('#samples input')")


def _shows(page, planted):
    """Wait until all slices of the sample with this true bleed are loaded."""
    page.wait_for_function(
        "(planted) => document.querySelector('.origin').textContent.includes('True bleed: ' + planted)",
        arg=planted,
        timeout=60_000,
    )
    settle(page)


@pytest.mark.parametrize("size", ["narrow", pytest.param("wide", marks=pytest.mark.long)])
def test_arrows_choose_among_the_samples_and_tab_leaves_them(browser, server, size):
    with visit(browser, server, size) as page:
        _to_the_samples(page)
        for key, planted in (("ArrowUp", "subarachnoid"), ("ArrowRight", "epidural"), ("ArrowDown", "intraparen")):
            page.keyboard.press(key)
            chip = page.locator("#samples label:has(input:checked)")
            assert chip.evaluate("(chip) => getComputedStyle(chip).outlineStyle") == "solid"
            box = chip.bounding_box()
            assert 0 <= box["x"] <= box["x"] + box["width"] <= SIZES[size]["width"]
            _shows(page, planted)
        page.keyboard.press("Tab")
        assert not page.evaluate("() => document.activeElement.matches('#samples input')")
        page.keyboard.press("Shift+Tab")
        assert page.evaluate("() => document.activeElement.matches('#samples input:checked')")


def test_who_holds_an_arrow_key_gets_the_sample_where_it_was_let_go(browser, server):
    with visit(browser, server) as page:
        _to_the_samples(page)
        with page.expect_request(lambda request: "ct-ich-084" in (request.post_data or "")):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.get_by_text("Synthetic head (phantom). True bleed: epidural").wait_for(timeout=60_000)
        page.wait_for_selector("#status:empty", state="attached")
        assert page.locator("#samples input:checked").input_value() == "epidural"


def test_tab_past_the_window_of_a_picture_leaves_the_sample_and_its_downloads(browser, server):
    with visit(browser, server) as page:
        page.focus("#picture-window input")
        page.keyboard.press("Tab")
        page.click("#make")
        page.wait_for_selector("#made a[download]", timeout=60_000)
        assert page.locator("#samples input:checked").count() == 1


def test_samples_are_one_stop_after_an_upload_too_where_none_is_chosen(browser, server, tmp_path):
    cv2.imwrite(str(tmp_path / "slice.png"), np.random.default_rng(0).integers(0, 255, (96, 96), np.uint8))
    with visit(browser, server) as page:
        page.set_input_files("#files input[type=file]", tmp_path / "slice.png")
        page.wait_for_selector("#samples:not(:has(input:checked))", timeout=60_000)
        settle(page)
        assert len(page.evaluate(NAMES)) == 1
        _to_the_samples(page)
        page.keyboard.press("ArrowDown")
        _shows(page, "intraparenchymal")
        assert page.locator("#samples input:checked").count() == 1


@pytest.mark.parametrize(
    ("locale", "name", "box"),
    [("en-US", "Sample cases", "Upload your own scan"), ("de-DE", "Beispielfälle", "Eigenen Scan hochladen")],
    ids=["en", "de"],
)
def test_the_samples_are_announced_as_a_group_and_the_upload_box_by_its_label(browser, server, locale, name, box):
    with visit(browser, server, locale=locale) as page:
        assert page.get_by_role("radiogroup", name=name, exact=True).get_by_role("radio").count() == 12
        assert page.get_by_role("button", name=box, exact=True).count() == 1


@pytest.mark.parametrize("size", SIZES)
def test_tab_goes_where_the_eye_goes(browser, server, size):
    with visit(browser, server, size) as page:
        page.evaluate(REMEMBER)
        page.evaluate("() => document.activeElement.blur()")
        for _ in range(100):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement === document.body"):
                break
        stops = page.evaluate(PLACES)
        assert len(stops) > 30
        jumps = [(a["name"], b["name"]) for a, b in itertools.pairwise(stops) if not _goes_on(a, b)]
        assert jumps == []


def _goes_on(one, next_one):
    """Whether the next stop is below, to the right in the same row, or in the part of the page to the right."""
    below = next_one["top"] >= one["bottom"] - 1
    beside = next_one["left"] >= one["right"] - 1 and next_one["bottom"] > one["top"]
    return below or beside or next_one["part"]["left"] >= one["part"]["right"]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_the_picture_begins_in_the_upper_half_of_a_phone(browser, server, scheme):
    with visit(browser, server, "narrow", scheme) as page:
        assert page.locator(".picture").bounding_box()["y"] <= 420
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_on_a_phone_a_refusal_is_seen_and_covers_no_picture(browser, server, tmp_path):
    (tmp_path / "scan.dcm").write_text("dear diary")
    with visit(browser, server, "narrow") as page:
        page.set_input_files("#files input[type=file]", tmp_path / "scan.dcm")
        notice = page.get_by_text("looks like plain text").first
        notice.wait_for()
        page.evaluate(SETTLE)
        box, picture = notice.bounding_box(), page.locator(".picture").bounding_box()
        assert 0 <= box["y"] <= box["y"] + box["height"] <= min(picture["y"], SIZES["narrow"]["height"])


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "es-ES"])
@pytest.mark.parametrize("size", SIZES)
def test_closed_menus_show_their_choice_whole_and_beside_the_arrow(browser, server, size, locale):
    with visit(browser, server, size, locale=locale) as page:
        for name in ("#picture-window", "#compare"):
            shown = page.locator(f"{name} input")
            assert shown.evaluate("(one) => [one.scrollWidth <= one.clientWidth, one.title]") == [
                True,
                shown.input_value(),
            ]
            arrow = page.locator(f"{name} .icon-wrap").bounding_box()
            words = shown.evaluate(
                "(one) => one.getBoundingClientRect().right - parseFloat(getComputedStyle(one).paddingRight)"
            )
            assert words <= arrow["x"] + 2


def test_a_test_leaves_a_picture_of_its_page_and_a_closed_page_fails_no_test(browser):
    with tab(browser) as page:
        page.set_content("<p>open</p>")
    assert cv2.imread(str(picture())).shape == (800, 1280, 3)
    keep(page)


def test_a_full_queue_is_told_on_the_page(browser, server, tmp_path):
    (tmp_path / "scan.dcm").write_text("dear diary")
    full = {"status": 503, "content_type": "application/json", "body": '{"detail": "Queue is full."}'}
    with visit(browser, server) as page:
        page.route("**/queue/join*", lambda route: route.fulfill(**full))
        page.set_input_files("#files input[type=file]", tmp_path / "scan.dcm")
        page.get_by_text("currently busy").first.wait_for()


def test_a_queue_that_fills_between_two_calls_does_not_leave_the_page_reading(browser, server, tmp_path):
    (tmp_path / "scan.dcm").write_text("dear diary")
    full = {"status": 503, "content_type": "application/json", "body": '{"detail": "Queue is full."}'}
    joins = []

    def second_is_full(route):
        joins.append(route)
        route.continue_() if len(joins) == 1 else route.fulfill(**full)

    with visit(browser, server) as page:
        page.route("**/queue/join*", second_is_full)
        page.set_input_files("#files input[type=file]", tmp_path / "scan.dcm")
        page.get_by_text("currently busy").first.wait_for()
        assert page.get_by_text("Reading the scan").count() == 0
