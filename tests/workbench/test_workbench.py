"""The workbench: its pages without a browser, then the main path of each page in a real Chromium."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from ich_lib.course import quiz
from ich_lib.data import phantoms
from ich_lib.data.summary import CLEAN
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import load
from ich_lib.workbench import cases, making, source, stack
from tests import browsing
from tests.conftest import ROOT
from tests.sets import write_ct_ich

HEADS, FEW, SIZE, PIXELS = 5, 1, 64, 64  # small heads, so that a page waits for seconds and not for half a minute
LINES = ["49,1,0,0,0,0,0,1,0", "50,2,0,0,0,1,0,0,0", "50,3,0,0,0,0,0,1,0", "51,1,0,0,0,0,0,1,0"]
AGES = 'Patient Number,"Age\n(years)",Gender\n49,30,Male\n50,61,Female\n51,44,Male\n'


def data_page():
    from ich_lib.workbench import data

    data.page()


def quiz_page():
    from ich_lib.workbench import quiz

    quiz.page()


def learn_page():
    from ich_lib.workbench import learn

    learn.page()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(source, "HEADS", HEADS)
    monkeypatch.setattr(source, "FIRST_HEADS", HEADS)  # all heads at once; another test checks the first start
    monkeypatch.setattr(source, "SIZE", SIZE)
    monkeypatch.setattr(quiz, "_PIXELS", PIXELS)
    monkeypatch.setattr(cases, "start_analysis", lambda: None)
    monkeypatch.setattr(type(streamlit.context), "ip_address", None)  # this computer


def open_page(page) -> AppTest:
    return sound(AppTest.from_function(page, default_timeout=60).run())


def sound(at: AppTest) -> AppTest:
    assert [item.message for item in at.exception] == []
    return at


def wait_for(true, seconds=120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def page_text(at: AppTest) -> str:
    """All sentences of a page."""
    pieces = (at.title, at.subheader, at.header, at.markdown, at.caption, at.info, at.warning, at.error, at.success)
    return "\n".join(str(item.value) for group in pieces for item in group)


def folder_page(folder) -> AppTest:
    at = open_page(data_page)
    at.segmented_control(key="data source").set_value(source.FOLDER_SOURCE).run()
    return sound(at.text_input(key="data folder").set_value(str(folder)).run())


def view(at: AppTest, name: str) -> AppTest:
    return sound(at.segmented_control(key="data view").set_value(name).run())


# ---- data -----------------------------------------------------------------------------------------------------------


def test_a_fresh_machine_shows_heads_made_by_code_and_the_notice():
    at = sound(AppTest.from_file(ROOT / "workbench.py", default_timeout=60).run())
    assert at.title[0].value == "Data"
    assert NOTICE in page_text(at)
    assert f"**{HEADS * 34}** slices" in page_text(at)
    counts = at.dataframe[0].value.set_index("label")
    assert counts.loc[CLEAN, "slices"] + counts.loc["any", "slices"] == HEADS * 34


def test_the_first_heads_are_shown_while_the_others_are_made_and_are_the_same_then(tmp_path, monkeypatch):
    monkeypatch.setenv("ICH_CACHE", str(tmp_path))
    monkeypatch.setattr(source, "FIRST_HEADS", FEW)
    monkeypatch.setattr(making, "_FIRST_S", 0)
    streamlit.cache_resource.clear()
    at = open_page(data_page)
    assert f"**{FEW * 34}** slices" in page_text(at)
    assert "A split needs at least two patients" in page_text(view(at, "Leaks"))
    assert f"of {HEADS}; {FEW} are shown" in next(item.proto.text for item in at.get("progress"))
    wait_for(lambda: phantoms.phantoms_path(HEADS, size=SIZE).is_file())
    assert f"**{HEADS * 34}** slices" in page_text(sound(at.run()))
    assert not at.get("progress")
    few, full = (phantoms.phantoms(count, size=SIZE) for count in (FEW, HEADS))
    assert full.digest[: len(few)].tolist() == few.digest.tolist()


def test_heads_that_cannot_be_kept_get_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ICH_CACHE", str(tmp_path / "file"))
    streamlit.cache_resource.clear()
    at = open_page(data_page)
    assert len(at.error) == 1
    assert "The synthetic heads cannot be stored" in at.error[0].value
    streamlit.cache_resource.clear()


@pytest.mark.parametrize("name", ["Pictures", "One case", "CT numbers", "People", "Leaks", "Table"])
def test_every_view_of_the_data_opens_without_an_error(name):
    at = view(open_page(data_page), name)
    assert not at.error
    assert NOTICE in page_text(at)


def test_a_split_by_image_is_called_a_leak_and_one_by_patient_is_not():
    at = view(open_page(data_page), "Leaks")
    assert "No patient is on both sides." in page_text(at)
    assert "No held-out picture equals a training picture" in page_text(at)
    at.selectbox(key="data split").set_value("by image").run()
    assert f"{HEADS} of {HEADS} patients are on both sides" in page_text(sound(at))


def test_more_parts_than_patients_are_refused_in_one_sentence():
    at = view(open_page(data_page), "Leaks")
    at.number_input(key="data folds").set_value(9).run()
    assert [item.value for item in at.error] == ["5 patients cannot make 9 folds; choose between 2 and 5."]


def test_names_of_a_folder_stand_in_its_table_and_nowhere_else(tmp_path):
    at = folder_page(write_ct_ich(tmp_path / "set", LINES, skip=[(49, 1)], demographics=AGES))
    assert "1 slice is listed without a file and left out." in page_text(at)
    for name in ("Counts", "Pictures", "One case", "People", "Leaks"):
        at = view(at, name)
        assert "049" not in page_text(at)
        assert "050" not in page_text(at) + str([box.options for box in at.selectbox])
    at = view(at, "Table")
    assert "049/1" in page_text(at)
    assert at.dataframe[0].value["patient"].tolist() == ["050", "050", "051"]


def test_age_and_sex_are_told_where_the_set_tells_them(tmp_path):
    at = view(folder_page(write_ct_ich(tmp_path / "set", LINES, demographics=AGES)), "People")
    assert "Age, median 44 years; 2 Male, 1 Female" in page_text(at)
    assert "3 patients, 1 with blood on some slice" in page_text(at)


def test_copies_are_found_once_every_picture_was_read(tmp_path):
    """All heads of the synthetic set show the same gray square."""
    at = view(folder_page(write_ct_ich(tmp_path / "set", LINES)), "Leaks")
    assert "every picture must be read once" in page_text(at)
    at = sound(next(item for item in at.button if item.label == "Read every picture").click().run())
    assert "held-out slices equal a training slice to the pixel" in page_text(at)


def test_a_file_that_is_no_picture_is_counted_after_reading(tmp_path):
    folder = write_ct_ich(tmp_path / "set", LINES)
    (folder / "Patients_CT" / "051" / "brain" / "1.jpg").write_text("torn")
    at = view(folder_page(folder), "Pictures")
    at.pills(key="data label").set_value(CLEAN).run()
    assert "1 of these slices cannot be read; they are dark." in page_text(sound(at))
    at = view(at, "Leaks")
    at = sound(next(item for item in at.button if item.label == "Read every picture").click().run())
    assert "1 slice is unreadable and left out together with the label." in page_text(at)


@pytest.mark.parametrize(("name", "says"), [("nowhere", "is not a folder"), (".", "is not a known data set")])
def test_a_bad_folder_gives_one_sentence_and_nothing_else(tmp_path, name, says):
    at = folder_page(tmp_path / name)
    assert len(at.error) == 1
    assert says in at.error[0].value
    assert not at.dataframe


def test_a_browser_on_another_machine_opens_no_folder(tmp_path, monkeypatch):
    at = open_page(data_page)
    monkeypatch.setattr(type(streamlit.context), "ip_address", "10.0.0.7")
    at.segmented_control(key="data source").set_value(source.FOLDER_SOURCE).run()
    assert "only be opened in a browser on the machine" in sound(at).error[0].value
    assert not at.text_input


# ---- quiz -----------------------------------------------------------------------------------------------------------


def start_quiz(number=1) -> AppTest:
    at = open_page(quiz_page)
    at.number_input(key="quiz seed").set_value(number)
    at.text_input(key="quiz student").set_value("=1+1")
    return sound(next(item for item in at.button if item.label == "Start").click().run())


def test_an_answer_is_marked_against_the_truth_and_the_next_case_follows():
    at = start_quiz()
    assert at.button(key="answer 1").disabled
    at.segmented_control(key="says 1").set_value("Blood").run()
    at.slider(key="sure 1").set_value(90).run()
    at = sound(at.button(key="answer 1").click().run())
    truth = quiz.phantom_question(1, 1)
    assert ("Right." if truth.bleeds else "Wrong.") in page_text(at)
    verdict = at.dataframe[0].value.set_index("")
    assert verdict.loc["You", ["says", "score"]].tolist() == ["Blood", 0.9]
    assert at.dataframe[1].value["right"].tolist()[0] == f"{int(truth.bleeds)} of 1"
    next(item for item in at.button if item.label == "Next case").click().run()
    assert "Case 2 of 10" in page_text(sound(at))
    assert NOTICE in page_text(at)


def test_what_was_drawn_is_the_region_that_is_marked():
    """The browser sends shares of width and height. The right half of the upper half is drawn."""
    square = [[[0.5, 0], [1, 0], [1, 0.5], [0.5, 0.5]]]
    mask = stack.drawn_mask(square, (8, 8))
    np.testing.assert_array_equal(np.argwhere(mask).min(axis=0), [0, 4])
    assert mask.sum() == 16
    assert stack.drawn_mask([], (8, 8)) is None
    assert stack.drawn_mask([[[0, 0], [1, 1]]], (8, 8)) is None
    assert stack.drawn_mask(None, (8, 8)) is None


def test_a_line_goes_to_the_browser_as_shares_of_the_picture():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 5:11] = True
    output = stack.outline_points(mask, 3, stack.TRUTH)
    assert output["slice"] == 3
    points = np.array(output["lines"][0])
    assert points.min(axis=0) == pytest.approx([5.5 / 20, 2.5 / 10], abs=1e-3)
    assert points.max(axis=0) == pytest.approx([10.5 / 20, 4.5 / 10], abs=1e-3)


def test_a_quiz_on_a_folder_asks_its_slices_and_shows_no_name(tmp_path):
    folder = write_ct_ich(tmp_path / "set", LINES)
    at = open_page(quiz_page)
    at.segmented_control(key="quiz source").set_value(source.FOLDER_SOURCE).run()
    at.text_input(key="quiz folder").set_value(str(folder)).run()
    assert "it may remember them" in page_text(sound(at))  # the shipped model was trained on patients 049 to 051
    at = sound(next(item for item in at.button if item.label == "Start").click().run())
    assert "Case 1 of 3" in page_text(at)
    assert "049" not in page_text(at)


def test_a_run_of_ones_own_is_the_opponent_and_one_that_is_none_gets_a_sentence(tmp_path):
    from tests.planted import untrained_run
    from tests.written import recipe

    untrained_run(tmp_path / "runs" / "first", recipe(), {"a": 0}, 0)
    at = AppTest.from_function(quiz_page, default_timeout=60)
    at.session_state["folder of runs"] = str(tmp_path / "runs")
    at = sound(at.run())
    chosen = at.selectbox(key="quiz opponent")
    assert chosen.options == ["shipped", "first", "another run folder"]
    chosen.set_value("another run folder").run()
    assert "Name the folder of a run" in page_text(sound(at))
    at.text_input(key="quiz run").set_value(str(tmp_path / "no")).run()
    assert "is not a folder" in sound(at).error[0].value
    assert not at.button
    at.selectbox(key="quiz opponent").set_value("first").run()
    at = sound(next(item for item in at.button if item.label == "Start").click().run())
    at.segmented_control(key="says 1").set_value("Blood").run()
    at = sound(at.button(key="answer 1").click().run())
    assert "The model is first." in page_text(at)
    state = at.session_state["quiz"]
    request = quiz.model_answer(load(tmp_path / "runs" / "first", fill=False), quiz.phantom_question(1, 1))
    assert state.model_marks[0].score == pytest.approx(request.score)


# ---- learn ----------------------------------------------------------------------------------------------------------


def test_the_lessons_are_listed_with_what_was_passed():
    at = open_page(learn_page)
    assert NOTICE in page_text(at)
    assert "0 of 4" in page_text(at)


def test_a_lesson_can_be_read_without_its_solutions():
    at = AppTest.from_function(learn_page, default_timeout=60)
    at.query_params["lesson"] = "05_leak"
    at = sound(at.run())
    assert at.header[0].value == "5. The leak lab"
    assert "5.1 open" in page_text(at)
    assert any("def memory_accuracy" in item.value for item in at.code)
    assert "<details" not in page_text(at)


def test_a_folder_without_lessons_gives_one_sentence(tmp_path):
    at = open_page(learn_page)
    at.text_input(key="learn folder").set_value(str(tmp_path)).run()
    assert "holds no lesson" in sound(at).error[0].value


# ---- the whole ------------------------------------------------------------------------------------------------------


_LEAN = f"""
import sys
from streamlit.testing.v1 import AppTest
from ich_lib.course import quiz
from ich_lib.workbench import scans, source

scans._SAMPLES = scans._SAMPLES[:1]
source.HEADS, source.FIRST_HEADS, source.SIZE, quiz._PIXELS = {HEADS}, {FEW}, {SIZE}, {PIXELS}
print("started", AppTest.from_file("workbench.py", default_timeout=60).run().title[0].value)
for name in ("data", "quiz", "learn"):
    at = AppTest.from_string(f"from ich_lib.workbench import {{name}}\\n{{name}}.page()", default_timeout=60).run()
    for start in [one for one in at.button if one.label == "Start"]:
        at = start.click().run()
        at.segmented_control(key="says 1").set_value("Blood").run()
        at = at.button(key="answer 1").click().run()
        print("asked", len(at.session_state["quiz"].model_marks))
    for view in [one for one in at.segmented_control if one.key == "data view"]:
        for option in view.options:
            at = at.segmented_control(key="data view").set_value(option).run()
    assert not at.exception
print("heavy", sorted({{"tensorflow", "keras", "torch", "jax"}} & set(sys.modules)))
"""


def test_starting_looking_and_asking_the_shipped_model_import_no_tensorflow():
    output = subprocess.run([sys.executable, "-c", _LEAN], cwd=ROOT, capture_output=True, text=True, check=False)
    assert output.stdout.splitlines() == ["started Data", "asked 1", "heavy []"], output.stderr[-2000:]


def test_the_workbench_tells_nobody_and_serves_this_computer_alone():
    import tomllib

    output = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert output["browser"]["gatherUsageStats"] is False
    assert output["client"]["showErrorDetails"] == "none"
    assert output["server"]["address"] == "localhost"


# ---- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workbench_url(browser, tmp_path_factory):
    """The address of a workbench with small heads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path_factory.mktemp("served") / "small.py"
    script.write_text(
        "import pathlib, runpy, sys\nfrom ich_lib.course import quiz\n"
        "from ich_lib.workbench import scans, source\n"
        f"source.HEADS, source.FIRST_HEADS, source.SIZE, quiz._PIXELS = {HEADS}, {FEW}, {SIZE}, {PIXELS}\n"
        "scans._SAMPLES = scans._SAMPLES[:1]\n"
        f"try:\n    runpy.run_path({str(ROOT / 'workbench.py')!r}, run_name='__main__')\n"
        "finally:\n    heavy = sorted({'tensorflow', 'keras'} & set(sys.modules))\n"
        "    pathlib.Path(__file__).with_name('heavy').write_text(str(heavy))\n"
    )
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen([*command, "--server.headless", "true"], cwd=ROOT, env=environment)
    address = f"http://localhost:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health"):
                break
            time.sleep(0.1)
        yield address
        assert (script.parent / "heavy").read_text() == "[]"  # after all clicks of this test
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def tab(browser, address):
    """A page that fails the test if one of its scripts fails, or if it sends a request to another machine."""
    elsewhere = []
    with browsing.tab(browser, viewport={"width": 1280, "height": 900}) as page:
        page.set_default_timeout(60_000)
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((address, "data:", "blob:")) else elsewhere.append(request.url)
            ),
        )
        page.goto(address)
        page.get_by_text("of them outlined").wait_for()
        yield page
    assert elsewhere == []


def brightest(page) -> int:
    """The highest gray on the canvas: 0 before anything is painted."""
    return page.locator("canvas").first.evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".reduce((most, v, i) => i % 4 ? most : Math.max(most, v), 0)"
    )


def test_a_case_is_scrolled_in_the_browser(browser, workbench_url):
    with tab(browser, workbench_url) as page:
        page.get_by_test_id("stButtonGroup").get_by_text("One case", exact=True).click()
        slider = page.get_by_role("slider", name="Slice")
        slider.wait_for()
        page.wait_for_timeout(500)
        assert brightest(page) == 255
        slider.fill("0")
        assert page.get_by_text("Slice 1 of 34").is_visible()
        page.locator("canvas").first.press("ArrowUp")
        assert page.get_by_text("Slice 2 of 34").is_visible()
        page.get_by_role("button", name="bone").click()
        assert page.get_by_role("button", name="bone").get_attribute("aria-pressed") == "true"


def test_a_student_draws_answers_and_sees_the_truth(browser, workbench_url):
    with tab(browser, workbench_url) as page:
        page.get_by_role("link", name="Quiz").click()
        page.get_by_role("button", name="Start").click()
        page.get_by_text("Case 1 of 10").wait_for()
        page.get_by_text("Blood", exact=True).click()
        canvas = page.locator("canvas").first
        box = canvas.bounding_box()
        at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
        page.mouse.move(*at(0.3, 0.4))
        page.mouse.down()
        for point in ((0.5, 0.4), (0.5, 0.6), (0.3, 0.6)):
            page.mouse.move(*at(*point), steps=4)
        page.mouse.up()
        page.wait_for_timeout(500)
        assert page.get_by_role("button", name="Undo").is_enabled()
        page.get_by_role("button", name="Answer").click()
        page.get_by_role("button", name="Next case").wait_for()
        page.locator(".key").get_by_text("yours").wait_for()
        page.get_by_text("So far").wait_for()
        page.get_by_role("button", name="Next case").click()
        page.get_by_text("Case 2 of 10").wait_for()


def test_a_student_draws_by_keyboard_alone(browser, workbench_url):
    """From the middle, a square with 20 steps of 1 %. The model's slice is 1 wide and 1 high."""
    with tab(browser, workbench_url) as page:
        page.get_by_role("link", name="Quiz").click()
        page.get_by_role("button", name="Start").click()
        page.get_by_text("Case 1 of 10").wait_for()
        page.get_by_text("sets a point").wait_for()
        canvas, hint = page.locator("canvas").first, page.locator(".hint")
        page.get_by_role("button", name="bone", exact=True).focus()
        page.keyboard.press("Tab")
        assert canvas.evaluate("c => c.getRootNode().activeElement === c")
        assert hint.inner_text() == "Arrows move the cross, Enter sets a point."
        keys = page.keyboard
        for k, method in enumerate(("ArrowRight", "ArrowDown", "ArrowLeft")):
            keys.press(("Enter", "Space", "Enter")[k])
            for _ in range(4):
                keys.press(f"Shift+{method}")
        assert "from the left" in canvas.get_attribute("aria-label")
        assert "cross at 50 % from the left and 70 % from the top" in canvas.get_attribute("aria-label")
        keys.press("Enter")
        keys.press("ArrowLeft")
        keys.press("Enter")
        assert hint.inner_text().startswith("5 points.")
        keys.press("Backspace")
        assert hint.inner_text().startswith("4 points.")
        keys.press("PageUp")
        assert hint.inner_text() == "Scroll back to the slice in question to draw."
        keys.press("ArrowDown")
        page.wait_for_timeout(500)
        page.get_by_text("Blood", exact=True).click()
        page.get_by_role("button", name="Answer").click()
        page.locator(".key").get_by_text("yours").wait_for()


def test_a_page_leads_to_the_lesson_that_explains_it(browser, workbench_url):
    with tab(browser, workbench_url) as page:
        page.get_by_role("link", name="5. The leak lab").click()
        page.get_by_role("heading", name="Slices of one head look alike").wait_for()
        page.get_by_role("link", name="All lessons").click()
        page.get_by_text("checks pass in your copies").wait_for()
