"""The pages Runs and Cases: first without a browser, then the main path of each page in a real Chromium.

The browser is that of CHROMIUM, an installed Chromium, or Playwright's own.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.data.store import build_store
from ich_lib.evaluation import figures
from ich_lib.evaluation.slices import FILE, write_slices
from ich_lib.measures.report import Weights
from ich_lib.notice import NOTICE
from tests import browsing
from tests.conftest import ROOT
from tests.evaluation.test_evaluate import SCANS, scan
from tests.planted import table_of_heads, untrained_run
from tests.written import line, recipe, report, run_folder, write_report

pytest.importorskip("streamlit", reason="Streamlit is not installed: no workbench.")
pytestmark = pytest.mark.long
PATIENTS = [f"DOE^JANE^{k:02}" for k in range(24)]
RUNS = "import streamlit as st\nfrom ich_lib.workbench.runs import page\npage()\n"
CASES = "from ich_lib.workbench.cases import page\npage()\n"
# one head shows the same as seven, and sooner
ONE = "from ich_lib.workbench import scans\nscans._SAMPLES = scans._SAMPLES[:1]\n"


def run_script(script):
    from streamlit.testing.v1 import AppTest

    return AppTest.from_string(script, default_timeout=120).run()


def page_text(app):
    """All texts of the page, one per line."""
    kinds = (app.markdown, app.caption, app.info, app.warning, app.title, app.error)
    return "\n".join(str(item.value).replace("\\", "") for kind in kinds for item in kind)


def only_widget(widgets, label):
    (item,) = [entry for entry in widgets if entry.label == label]
    return item


def show(app, part):
    return app.segmented_control(key="runs part").set_value(part).run()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs and a fold of a cross-validation; two reports, the second better by a Dice of 0.1 for every patient."""
    folder = tmp_path_factory.mktemp("runs")
    run_folder(folder / "first", finished=True)
    run_folder(folder / "second", recipe("other", batch=4), lines=("1,0.50000,,0.001,0.20",))
    (run_folder(folder / "broken") / "recipe.json").write_text("{")
    dice = np.random.default_rng(0).uniform(0.1, 0.8, len(PATIENTS)).tolist()
    for name, gain in (("first", 0.0), ("second", 0.1)):
        ages = {"age": 30.0}
        lines = [
            line(patient, dice=group + gain, types=("epidural", "subdural")[k % 2 :][:1], **ages)
            for k, (patient, group) in enumerate(zip(PATIENTS, dice, strict=True))
        ]
        write_report(folder / name, report(lines, sha=name, dice=0.4 + gain))
    return folder


@pytest.fixture
def runs(folder):
    app = run_script(RUNS)
    return app.text_input(key="runs folder").set_value(str(folder)).run()


# ---- Runs -----------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_none_gets_a_sentence_and_the_way_to_begin(tmp_path):
    app = run_script(RUNS)
    for group, words in ((str(tmp_path / "no_where"), "is not a folder"), (str(tmp_path), "holds no run yet")):
        app.text_input(key="runs folder").set_value(group).run()
        assert not app.exception
        assert words in app.info[0].value
        assert "python -m ich_lib train" in app.code[0].value
    assert NOTICE in page_text(app)


def test_curves_hold_every_epoch_and_a_broken_run_a_sentence(runs):
    assert not runs.exception
    assert "broken cannot be read" in runs.warning[0].value
    output = runs.table[0].value
    assert output["run"].tolist() == ["first", "second"]
    assert output["state"][0] == r"finished after 2 epochs, 1.0 minutes"
    assert "1 of 5 epochs" in output["state"][1]
    assert NOTICE in page_text(runs)


def test_recipes_stand_side_by_side_with_what_differs(runs):
    show(runs, "Recipes")
    output = runs.dataframe[0].value
    assert output["setting"].tolist() == ["name", "batch"]
    assert (output["first"].tolist(), output["second"].tolist()) == (["tiny", "8"], ["other", "4"])
    assert output[""].tolist() == ["≠", "≠"]
    runs.toggle(key="recipes differ").set_value(False).run()
    assert len(runs.dataframe[0].value) > 30


def test_scores_come_with_their_intervals(runs):
    show(runs, "Scores")
    assert not runs.exception
    output = runs.table[0].value
    assert "0.400 (0.300 to 0.500), 30 patients" in output["first"].iloc[0]
    assert "0.500 (0.400 to 0.600), 30 patients" in output["second"].iloc[0]
    assert len(runs.get("image")) == 2


def test_the_planted_difference_of_two_runs_is_shown_with_its_interval(runs):
    show(runs, "Two runs")
    assert not runs.exception
    assert [item.value for item in runs.metric][2] == "+0.100"
    assert "95 % 0.100 to 0.100, 24 patients" in page_text(runs)
    assert "The second run is better" in page_text(runs)
    only_widget(runs.selectbox, "First run").set_value("second").run()
    assert "Both reports judge the same weights" in page_text(runs)


def test_slices_are_compared_in_pairs_where_both_reports_have_theirs(folder, tmp_path):
    """The synthetic scans of test_evaluate: 8 of 9 pairs of slices in order, then all of them."""
    for name, last in (("first", 0.6), ("second", 0.1)):
        scans = [*SCANS[:2], scan("c", [0], [last])]
        write_report(tmp_path / name, report([figures.scan_row(item) for item in scans], sha=name))
        write_slices(scans, tmp_path / name / FILE)
    app = run_script(RUNS)
    app.text_input(key="runs folder").set_value(str(tmp_path)).run()
    show(app, "Two runs")
    only_widget(app.selectbox, "Measured by").set_value("Slice AUC, any bleeding").run()
    assert [item.value for item in app.metric] == ["0.889", "1.000", "+0.111"]
    assert "slices.csv" not in page_text(app)
    app.text_input(key="runs folder").set_value(str(folder)).run()
    assert "slices.csv, which evaluate writes beside a report" in page_text(app)


def test_groups_are_tested_with_the_warnings_of_the_statistics(runs):
    show(runs, "Groups")
    assert "Two-sample t-test: t(22) = " in page_text(runs)
    assert "Fewer than 20 patients" in page_text(runs)
    runs.number_input(key="groups comparisons").set_value(4).run()
    assert "One of 4 comparisons" in page_text(runs)
    only_widget(runs.selectbox, "Grouped by").set_value("run").run()
    assert "24 patients are in more than one group" in page_text(runs)
    for name, words in (("ANOVA", "One-way ANOVA: F(1, 46)"), ("Mann-Whitney", "Mann-Whitney: U")):
        runs.selectbox(key="groups test").set_value(name).run()
        assert words in page_text(runs)
    only_widget(runs.multiselect, "Groups tested").set_value(["first"]).run()
    assert "This test compares two groups; got 1." in page_text(runs)
    assert not runs.exception


def test_heads_made_by_code_are_called_simulated(folder, tmp_path):
    for name in ("a", "b"):
        write_report(
            tmp_path / name, report([line(patient, dice=0.1 * k) for k, patient in enumerate("pqr")], data="phantoms")
        )
    app = run_script(RUNS)
    app.text_input(key="runs folder").set_value(str(tmp_path)).run()
    show(app, "Groups")
    assert 'Group "a" was simulated' in page_text(app)


def test_filters_of_weights_that_are_none_get_a_sentence(runs):
    show(runs, "Filters")
    runs.toggle(key="filters read").set_value(True).run()
    assert "A file cannot be read" in runs.warning[-1].value
    assert not runs.exception


def test_filters_before_and_after_are_drawn_of_a_finished_run(tmp_path):
    untrained_run(tmp_path / "run", recipe(), {"a": 0}, 0)
    app = run_script(RUNS)
    app.text_input(key="runs folder").set_value(str(tmp_path)).run()
    show(app, "Filters").toggle(key="filters read").set_value(True).run()
    assert not app.warning
    assert len(app.get("image")) == 1


def test_no_patient_is_named_on_any_part(runs):
    for part in runs.segmented_control(key="runs part").options:
        show(runs, part)
        assert "JANE" not in page_text(runs) + str(runs.main), part


# ---- Cases ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_heads():
    """Made once for all tests here; the page keeps them."""
    from ich_lib.workbench import cases as page
    from ich_lib.workbench import scans

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scans, "_SAMPLES", scans._SAMPLES[:2])
        page.start_analysis()
        while page._analysis_job().n_done < 2:
            time.sleep(0.05)
        yield
    for remaining in (page._analysis_job, page._sample, page._sample_result):
        remaining.clear()


@pytest.fixture
def heads(two_heads):
    app = run_script(CASES)
    assert not app.exception
    return app


def number(app, name):
    return [item.value for item in app.metric if item.label == name][-1]


def test_phantoms_are_ranked_and_the_threshold_moves_their_metrics(heads):
    assert NOTICE in page_text(heads)
    options = only_widget(heads.selectbox, "Case (worst first)").options
    assert sorted(item.split(":")[1].split(",")[0] for item in options) == [" head 1", " head 2"]
    before = float(number(heads, "Marked").split()[0])
    only_widget(heads.slider, "Threshold of the mask").set_value(0.9).run()
    assert 0 < float(number(heads, "Marked").split()[0]) < before
    only_widget(heads.slider, "Called bleeding from this score").set_value(1.0).run()
    assert (number(heads, "Called rightly"), number(heads, "Missed")) == ("0", "2")
    assert len(heads.get("image")) == 3


def test_a_model_held_beside_is_shown_and_one_that_is_none_gets_a_sentence(heads, tmp_path):
    heads.text_input(key="cases others").set_value(f"shipped; {tmp_path / 'no'}").run()
    assert not heads.exception
    assert "is not a folder" in heads.warning[0].value
    assert heads.table[0].value["model"].tolist() == ["shipped"]
    heads.text_input(key="cases model").set_value(str(tmp_path)).run()
    assert "holds no model" in heads.warning[0].value
    assert not heads.exception


def test_a_map_by_gradient_of_ones_own_run_is_drawn_and_is_the_one_that_explain_gives(heads, tmp_path, drawn_pictures):
    from ich_lib.explanation import explain

    run = untrained_run(tmp_path / "run", recipe(), {"a": 0}, 0).folder
    heads.text_input(key="cases model").set_value(str(run)).run()
    for method in ("grad-cam", "saliency", "seg-grad-cam"):
        only_widget(heads.selectbox, "Heat map").set_value(method).run()
        assert not heads.exception
        assert not heads.warning
        assert "1 is the strongest place in this scan." in page_text(heads)
        assert f"Heat ({method})" in page_text(heads)
        (scan_of, heat) = drawn_pictures[-1]
        assert 0.8 < heat.max() <= 1  # it was 1 before it was resampled to the pixels of the scan
        np.testing.assert_allclose(heat, explain(scan_of, method, str(run)), atol=1e-3)
    assert len({group.tobytes() for _, group in drawn_pictures}) == 4  # that of cam, and three others


def test_a_method_that_a_run_cannot_answer_gets_a_sentence(heads, tmp_path):
    """A network that only classifies has no mask, so no mask can be explained."""
    output = recipe("tiny", options={"blocks": (1, 1), "growth": 4})
    run = untrained_run(tmp_path / "run", replace(output, task="classify", builder="densenet_bc"), {"a": 0}, 0).folder
    heads.text_input(key="cases model").set_value(str(run)).run()
    only_widget(heads.selectbox, "Heat map").set_value("seg-grad-cam").run()
    assert not heads.exception
    assert len(heads.warning) == 1
    assert "draws no mask, so seg-grad-cam has nothing to explain" in heads.warning[0].value
    assert len(heads.get("image")) == 3


@pytest.fixture
def drawn_pictures(monkeypatch):
    """Scan and heat of each picture with heat that a page draws."""
    from ich_lib.show import cases

    visited, picture = [], cases.slice_picture

    def watched(scan, k, **what):
        if what.get("heat") is not None:
            visited.append((scan, what["heat"]))
        return picture(scan, k, **what)

    monkeypatch.setattr(cases, "slice_picture", watched)
    return visited


def test_phantoms_ask_the_exported_model_and_never_import_tensorflow(tmp_path):
    code = "from streamlit.testing.v1 import AppTest\nimport sys\n"
    code += f"app = AppTest.from_string({ONE + CASES!r}, default_timeout=120).run()\n"
    code += "assert not app.exception and app.metric and not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


@pytest.fixture(scope="module")
def own(tmp_path_factory, models):
    """Eight synthetic heads with names of patients, and a report of the shipped model on them, with a missed bleed."""
    table = table_of_heads(side=96)
    named = np.array([f"DOE^JOHN^{name}" for name in table.patient])
    folder = tmp_path_factory.mktemp("own")
    store = build_store(replace(table, patient=named, scan=named), folder / "set.slices", size=96, field="slice")
    lines = [line(patient, dice=0.1 * k, fold=None, score=0.9) for k, patient in enumerate(sorted(set(named))[::2], 2)]
    lines[1] = replace(lines[1], scan_any=0.2)
    scans = tuple(Weights(model.name, model.sha256) for model in models)
    output = report(lines, data=store.table.name, models=scans)
    return store.path, write_report(folder, output)


def own_page(run, data, report_path=""):
    app = run_script(CASES)
    app.segmented_control(key="cases whose").set_value("My own run and data").run()
    app.text_input(key="cases run").set_value(str(run)).run()
    app.text_input(key="cases data").set_value(str(data)).run()
    if report_path:
        app.text_input(key="cases report").set_value(str(report_path)).run()
    assert not app.exception
    return app


def test_cases_of_ones_own_run_and_data_are_read_again_and_name_nobody(two_heads, own):
    data, output = own
    app = own_page("shipped", data, output)
    assert only_widget(app.selectbox, "Case (worst first)").options[0].startswith("Missed bleed: patient 2")
    assert "keep them on this machine" in page_text(app)
    assert number(app, "True") != "0.0 mL"
    assert len(app.get("image")) == 3
    assert "JOHN" not in page_text(app) + str(app.main)


@pytest.mark.long
def test_what_ones_own_run_lacks_is_said_in_a_sentence(two_heads, own, tmp_path):
    data, output = own
    run_folder(tmp_path / "run", finished=True)
    assert "python -m ich_lib evaluate" in own_page(tmp_path / "run", data).code[0].value
    assert "neither a folder nor a file" in page_text(own_page("shipped", tmp_path / "no", output))
    write_report(tmp_path / "run", report([line("a")]))
    assert "judges other models" not in page_text(own_page("shipped", data, output))
    other = write_report(tmp_path / "other", report([line("a")], data="planted"))
    assert "judges other models" in page_text(own_page("shipped", data, other))


def test_the_first_head_is_shown_while_the_others_are_made_and_read(monkeypatch):
    from ich_lib.workbench import cases as page
    from ich_lib.workbench import scans

    go, first = threading.Event(), scans.sample_cases()[0]
    monkeypatch.setattr(scans, "sample_cases", lambda: [first, lambda: go.wait(60) and first()])
    remaining = (page._analysis_job, page._sample, page._sample_result)
    for item in remaining:
        item.clear()
    app = run_script(CASES)
    assert len(only_widget(app.selectbox, "Case (worst first)").options) == 1
    assert app.get("progress")[0].proto.text.startswith("1 of 2 heads are made and analyzed")
    go.set()
    while page._analysis_job().n_done < 2:
        time.sleep(0.05)
    app.run()
    assert len(only_widget(app.selectbox, "Case (worst first)").options) == 2
    assert not app.get("progress")
    for item in remaining:
        item.clear()


# ---- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tab(browser, tmp_path):
    """A function from a script to its page, served by Streamlit."""
    served, pages = [], contextlib.ExitStack()

    def start(script):
        (tmp_path / "page.py").write_text(script)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["--server.headless=true", "--server.fileWatcherType=none", "--browser.gatherUsageStats=false"]
        command = [sys.executable, "-m", "streamlit", "run", str(tmp_path / "page.py"), f"--server.port={port}"]
        served.append(
            subprocess.Popen(
                [*command, *options], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        _wait(f"http://127.0.0.1:{port}/_stcore/health")
        page = pages.enter_context(browsing.tab(browser, viewport={"width": 1280, "height": 1400}))
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{port}")
        return page

    with pages:
        yield start
    for item in served:
        item.terminate()
        item.wait()


def _wait(address):
    for _ in range(300):
        try:
            return urllib.request.urlopen(address, timeout=1).read()
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(address)


def test_a_curve_grows_on_the_open_page_while_a_run_trains(tab, tmp_path):
    folder = run_folder(tmp_path / "runs" / "live")
    page = tab(RUNS)  # "runs" is the folder that was named at first, beside the script
    page.get_by_text("2 of 5 epochs").wait_for()
    page.locator("canvas, .vega-embed svg").first.wait_for()
    with (folder / "history.csv").open("a") as file:
        file.write("3,0.60000,,0.0001,1.50\n")
    page.get_by_text("3 of 5 epochs").wait_for()
    (folder / "model.weights.h5").touch()
    page.get_by_text("finished after 3 epochs").wait_for()
    page.get_by_role("radio", name="Recipes").click()
    page.get_by_test_id("stDataFrame").wait_for()
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_case_is_seen_and_its_threshold_moved_by_keyboard(tab):
    page = tab(ONE + CASES)
    page.get_by_text("All scans").wait_for()
    pictures = page.locator("img[alt]")
    pictures.nth(2).wait_for()
    assert pictures.nth(1).get_attribute("alt") == "Truth blue, mask yellow"
    marked = page.get_by_test_id("stMetric").filter(has_text=re.compile("^Marked"))
    before = marked.inner_text()
    page.get_by_role("slider", name="Threshold of the mask").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "(old) => [...document.querySelectorAll('[data-testid=stMetric]')].some("
        "(one) => one.innerText.startsWith('Marked') && one.innerText !== old)",
        arg=before,
    )
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
