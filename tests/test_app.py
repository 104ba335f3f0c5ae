"""The demo: its functions, then the viewer alone in a real Chromium, then the whole page served by `python app.py`.

The browser is Chromium where CHROMIUM names it, where it is installed, or Playwright's own.
"""

import base64
import contextlib
import inspect
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest

import app
from ich_lib import viewer
from ich_lib.engine import SHIPPED
from ich_lib.phantom import phantom
from ich_lib.report import write_nifti
from ich_lib.window import WINDOWS, window
from ich_lib.write import write_dicom
from tests.conftest import ROOT
from tests.viewed import SHAPE, result

# ---- files that a person may bring ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def case():
    return phantom(6, bleeds=["intraparenchymal"], pixels=192, slices=10, thickness_mm=12)


@pytest.fixture(scope="module")
def bleeding_slice(case):
    return int(case.mask.sum(axis=(1, 2)).argmax())


@pytest.fixture(scope="module")
def files(case, bleeding_slice, tmp_path_factory):
    """Name to path: the same head in the forms the page takes, and a text that calls itself DICOM."""
    folder = tmp_path_factory.mktemp("brought")
    hu = case.scan.hu[bleeding_slice]
    write_nifti(folder / "head.nii.gz", np.round(case.scan.hu).astype(np.int16), case.scan)
    slices = write_dicom(case.scan, folder / "series" / "inner")
    with zipfile.ZipFile(folder / "head.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in slices:
            archive.write(path, f"inner/{path.name}")
    cv2.imwrite(str(folder / "slice.png"), _picture(hu, "brain"))
    for side in ("brain", "bone"):  # as a CT-ICH patient: two renders of each slice
        (folder / "patient" / side).mkdir(parents=True)
        for k in range(3):
            cv2.imwrite(
                str(folder / "patient" / side / f"{k + 1}.jpg"), _picture(case.scan.hu[4 + k], f"{side} render")
            )
    (folder / "scan.dcm").write_text("dear <b>diary</b>")
    names = ("head.nii.gz", "head.zip", "series", "slice.png", "patient", "scan.dcm")
    return {"one.dcm": slices[bleeding_slice], **{name: folder / name for name in names}}


def _picture(hu, name):
    return np.rint(window(hu, *WINDOWS[name]) * 255).astype(np.uint8)


# ---- functions ------------------------------------------------------------------------------------------------------


def opened(files, name, models, *window_told):
    paths = sorted(path for path in [files[name], *files[name].rglob("*")] if path.is_file())
    return app.open_files(models, list(map(str, paths)), *(window_told or (app.UNKNOWN, None, None)))


@pytest.mark.parametrize(
    ("name", "slices"), [("head.nii.gz", 10), ("head.zip", 10), ("one.dcm", 1), ("slice.png", 1), ("patient", 3)]
)
def test_each_form_of_scan_is_read_and_its_bleed_marked(files, models, name, slices):
    shown, problem = opened(files, name, models)
    assert problem == ""
    assert len(shown["slices"]) == slices
    assert any(shown["marked"])


def test_the_bleed_is_marked_where_it_was_planted(files, models, case, bleeding_slice):
    shown, _ = opened(files, "head.nii.gz", models)
    assert shown["start"] == bleeding_slice
    _, blood = viewer.unpack(shown["slices"][bleeding_slice], 192, 192)
    found, planted = blood >= shown["threshold"], case.mask[bleeding_slice]
    assert (found & planted).sum() > 0.7 * planted.sum()


def test_a_picture_of_unknown_window_says_so_and_a_told_window_gives_hu(files, models):
    unknown, _ = opened(files, "slice.png", models)
    told, _ = opened(files, "slice.png", models, "brain", None, None)
    own, _ = opened(files, "slice.png", models, app.OTHER, 40, 80)
    assert [shown["hu_known"] for shown in (unknown, told, own)] == [False, True, True]
    assert told["slices"] == own["slices"]


def test_every_window_on_the_page_is_one_the_reader_knows():
    assert set(app.PICTURE_WINDOWS.values()) <= set(WINDOWS)


def test_a_bad_file_gives_one_sentence_and_no_result(files, models):
    shown, problem = opened(files, "scan.dcm", models)
    assert shown is None
    assert problem.startswith("scan.dcm looks like plain text")


def test_an_own_window_without_a_number_gives_a_sentence(files, models):
    shown, problem = opened(files, "slice.png", models, app.OTHER, None, 80)
    assert shown is None
    assert "level" in problem


def test_a_fault_of_ours_shows_no_trace_and_logs_no_name(files, models, monkeypatch, caplog):
    message = f"{files['scan.dcm']} DOE^JANE"

    def broken(*_, **__):
        raise KeyError(message)

    monkeypatch.setattr(app, "read", broken)
    shown, problem = opened(files, "scan.dcm", models)
    assert (shown, problem) == (None, app.OUR_FAULT)
    assert "KeyError" in caplog.text
    assert "in broken" in caplog.text
    assert "DOE" not in caplog.text
    assert "scan.dcm" not in caplog.text


def test_an_upload_is_limited_as_a_whole(files, models, monkeypatch):
    monkeypatch.setattr(app, "MOST_UPLOAD_MB", 0.1)
    shown, problem = app.open_files(models, [str(files["head.zip"])] * 3, app.UNKNOWN, None, None)
    assert shown is None
    assert "0.1 MB is the most" in problem


def test_what_is_said_on_the_page_is_escaped():
    assert app._say("<img src=x> & co", "wrong") == "<p class='wrong'>&lt;img src=x&gt; &amp; co</p>"


def test_there_is_a_sample_of_each_type_and_one_without_blood():
    planted = [bleeds for _, bleeds in app.SAMPLES.values()]
    assert planted == [
        ("epidural",),
        ("intraparenchymal",),
        ("intraventricular",),
        ("subarachnoid",),
        ("subdural",),
        (),
    ]


def test_a_sample_asked_for_twice_at_once_is_read_once(monkeypatch):
    read = []
    monkeypatch.setattr(app, "phantom", lambda seed, bleeds: read.append(seed) or time.sleep(0.2) or _SmallCase)
    monkeypatch.setattr(app, "analyse", lambda scan, models: result())
    samples, answers = app.sample_reader(), []
    askers = [Thread(target=lambda: answers.append(samples(app.FIRST))) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(read) == 1
    assert answers[0] is answers[1] is answers[2]
    assert answers[0]["report"]["origin"] == "Sample case: a head made by code. Planted: subdural 12 mL."


class _SmallCase:
    scan, volumes_ml = None, {"subdural": 12.3}


def test_missing_weights_stop_the_start_with_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["app.py", "--weights", str(tmp_path / "nowhere")])
    assert app.main() == 2
    assert "nowhere" in capsys.readouterr().err


def test_altered_weights_stop_the_start_with_a_sentence(tmp_path, monkeypatch, capsys):
    for shipped in SHIPPED.glob("*.onnx"):
        (tmp_path / shipped.name).write_bytes(shipped.read_bytes()[:-1] + b"?")
        shutil.copy(shipped.with_suffix(".json"), tmp_path)
    monkeypatch.setattr(sys, "argv", ["app.py", "--weights", str(tmp_path)])
    assert app.main() == 2
    assert "SHA-256 differs" in capsys.readouterr().err


def test_the_quick_import_of_gradio_leaves_python_as_it_was():
    assert inspect.getfile.__module__ == "inspect"


# ---- a browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests.")
    places = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, places)), None)
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as kit:
        try:
            chromium = kit.chromium.launch(executable_path=path, args=arguments)
        except playwright.Error:
            pytest.skip("No Chromium here: install it, name it in CHROMIUM, or run `playwright install chromium`.")
        yield chromium
        chromium.close()


@contextlib.contextmanager
def tab(browser, **options):
    """A page that fails the test when its scripts do."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []


SETTLE = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
MOUNT = """([js, payload]) => {
  const props = { value: payload };
  const watch = (_, changed) => { window.show = (next) => { props.value = next; changed(); }; };
  const run = new Function('element', 'trigger', 'props', 'server', 'upload', 'watch', js);
  run(document.getElementById('here'), null, props, null, null, watch);
}"""
PIXELS = "(name) => document.querySelector('canvas.' + name).toDataURL()"


@contextlib.contextmanager
def mounted(browser, planted, **options):
    """The viewer alone, without Gradio: what Gradio does with its three files, in three lines."""
    parts = viewer.parts()
    with tab(browser, **options) as page:
        page.set_content(
            f"<div id='here'>{parts['html_template']}</div><style>#here {{ {parts['css_template']} }}</style>"
        )
        page.evaluate(MOUNT, [parts["js_on_load"], viewer.payload(planted)])
        page.wait_for_selector('.viewer[data-decoded="all"]')
        yield page


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


def settle(page):
    page.wait_for_selector('.viewer[data-ready="yes"][data-decoded="all"]')
    page.evaluate(SETTLE)


def pixels(page, name):
    """(rows, columns, RGBA) of a canvas."""
    page.evaluate(SETTLE)
    picture = base64.b64decode(page.evaluate(PIXELS, name).split(",")[1])
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def where(page):
    page.evaluate(SETTLE)
    return page.inner_text(".where")


def yellow(marks):
    """Pixels of the outline."""
    return (np.abs(marks[..., :3].astype(int) - (0xF0, 0xE4, 0x42)).max(axis=2) < 30) & (marks[..., 3] > 200)


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
    assert rows.nth(5).locator("th").inner_text().lower() == "subdural"
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


# ---- the whole page -------------------------------------------------------------------------------------------------


class Server:
    """`python app.py` on a free port, with the name of each module it imports written to a file."""

    def __init__(self, folder: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{self.port}", folder / "imports.txt"
        command = [sys.executable, "-X", "importtime", "app.py", "--port", str(self.port)]
        environment = {**os.environ, "GRADIO_TEMP_DIR": str(folder / "uploads"), "GRADIO_ANALYTICS_ENABLED": "False"}
        with self.log.open("w") as errors, (folder / "said.txt").open("w") as said:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=errors)

    def wait(self):
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url, timeout=10) as answer:
                self.worked_s = _seconds_of_work(self.process.pid)
                return answer.status
            time.sleep(0.05)
        raise AssertionError(f"app.py does not answer: {self.log.read_text()[-2000:]}")

    def imported(self):
        lines = self.log.read_text().splitlines()
        return {line.rsplit("|", 1)[-1].strip() for line in lines if line.startswith("import time:")}


def _seconds_of_work(pid):
    """CPU time of a process, which other work on the machine does not stretch; None where /proc is missing."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return None
    user, system = stat.read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def server(tmp_path_factory, browser):
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        assert server.wait() == 200
        yield server
    finally:
        server.process.terminate()
        server.process.wait(20)


@contextlib.contextmanager
def visit(browser, server):
    """The page as it opens: the first sample read."""
    with tab(browser) as page:
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(server.url)
        page.wait_for_selector('.viewer[data-ready="yes"]', timeout=60_000)
        yield page


@pytest.fixture(scope="module")
def site(browser, server):
    with visit(browser, server) as page:
        yield page


def bring(page, path, box="#files input[type=file]"):
    page.set_input_files(box, path)


def wait_for(page, selector, start):
    page.wait_for_function(
        "([selector, start]) => document.querySelector(selector)?.textContent.startsWith(start)",
        arg=[selector, start],
        timeout=60_000,
    )
    page.evaluate(SETTLE)


def test_the_process_answers_within_five_seconds_of_work(server):
    if server.worked_s is None:
        pytest.skip("This system does not tell the CPU time of another process (no /proc).")
    assert server.worked_s < 5


def test_the_page_opens_with_the_notice_and_a_sample_read_and_outlined_at_its_planted_bleed(site):
    assert "Not a medical device" in site.inner_text("#head")
    assert site.inner_text(".origin").startswith("Sample case")
    assert site.inner_text(".sentence").startswith("Bleeding likely")
    assert "mL" in site.inner_text(".volume")
    assert site.locator(".scores tbody tr").count() == 6
    seed, bleeds = app.SAMPLES[app.FIRST]
    planted = phantom(seed, bleeds=bleeds).mask[int(site.get_attribute(".viewer", "data-slice")) - 1]
    marks = pixels(site, "marks")
    near = cv2.dilate(planted.astype(np.uint8), np.ones((15, 15), np.uint8))  # 7 pixels, 6 mm, around it
    near = cv2.resize(near, marks.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    outline = yellow(marks)
    assert outline.sum() > 100
    assert (outline & near).sum() > 0.9 * outline.sum()


def test_the_page_is_complete_without_the_internet(site, server):
    assert [url for url in site.asked if not url.startswith((server.url, "data:", "blob:"))] == []


def test_scrolling_asks_the_server_nothing(site):
    site.wait_for_selector('.viewer[data-decoded="all"]')
    site.wait_for_timeout(500)  # what the page asks for on its own is over
    before, first = len(site.asked), pixels(site, "ct")
    site.hover(".stage")
    site.mouse.wheel(0, -100)
    site.focus(".stage")
    site.keyboard.press("ArrowUp")
    site.fill(".position", "10")
    assert where(site) == "Slice 10 of 34"
    assert (pixels(site, "ct") != first).any()
    assert [url for url in site.asked[before:] if "heartbeat" not in url] == []


def test_a_sample_is_one_click_away(site):
    site.click("#samples label:has-text('No bleed')")
    wait_for(site, ".origin", "Sample case: a head made by code. Planted: nothing")
    assert site.inner_text(".sentence")


@pytest.mark.parametrize(("name", "count"), [("head.nii.gz", 10), ("head.zip", 10), ("slice.png", 1)])
def test_a_scan_is_uploaded_and_read(site, files, name, count):
    bring(site, files[name])
    wait_for(site, ".where", f"Slice {1 if count == 1 else ''}")
    wait_for(site, ".origin", f"Your scan: {count} slice")
    assert yellow(pixels(site, "marks")).sum() > 100
    assert site.is_visible(".badge") is (name == "slice.png")
    site.click("#samples label:has-text('Epidural')")  # and back, so that the next upload is seen to change something
    wait_for(site, ".origin", "Sample case")


@pytest.mark.parametrize(("name", "count"), [("series", 10), ("patient", 3)])
def test_a_folder_is_uploaded_and_read_with_its_order_kept(site, files, name, count):
    bring(site, files[name], ".folder input[type=file]")
    wait_for(site, ".origin", f"Your scan: {count} slices")


def test_a_text_called_scan_dcm_shows_its_sentence_and_the_page_goes_on(site, files):
    before = site.inner_text(".origin")
    bring(site, files["scan.dcm"])
    wait_for(site, "#status", "scan.dcm looks like plain text, not a head CT.")
    assert site.inner_text(".origin") == before
    assert site.get_attribute("#status", "aria-live") == "polite"
    site.wait_for_selector("#files input[type=file]", state="attached")
    bring(site, files["head.nii.gz"])
    wait_for(site, ".origin", "Your scan: 10 slices")
    assert site.inner_text("#status") == ""
    assert site.is_hidden(".warnings")  # the text is gone, not read along with the next file


def test_a_dropped_folder_is_read_too(site, files):
    site.wait_for_selector("#files input[type=file]", state="attached")
    box = site.locator("#files").bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    dragged = {"items": [], "files": [str(files["patient"])], "dragOperationsMask": 1}
    devtools = site.context.new_cdp_session(site)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": dragged, **place})
    wait_for(site, ".origin", "Your scan: 3 slices")


def test_a_picture_is_read_again_when_its_window_is_told(site, files):
    bring(site, files["slice.png"])
    wait_for(site, ".origin", "Your scan: 1 slice")
    assert site.is_visible(".badge")
    site.click("#picture-window input")
    site.get_by_role("option", name="brain, 40 / 80").click()
    site.wait_for_selector(".badge", state="hidden", timeout=60_000)
    assert site.is_enabled(".windows button[data-name='bone']")


def test_another_visitor_sees_the_sample_and_not_somebody_elses_scan(browser, server, site):
    assert site.inner_text(".origin").startswith("Your scan")
    with visit(browser, server) as other:
        assert other.inner_text(".origin").startswith("Sample case")
    assert site.inner_text(".origin").startswith("Your scan")


def test_the_app_never_imports_tensorflow_or_keras(server, site):
    imported = server.imported()
    assert {"gradio", "onnxruntime", "pydicom"} <= imported
    assert {name for name in imported if name.split(".")[0] in {"tensorflow", "keras", "torch", "jax"}} == set()
