"""The demo: its functions, then the whole page served by `python app.py`, in a real Chromium."""

import contextlib
import json
import re
import shutil
import sys
import time
import urllib.request
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

import app
from ich_lib.demo import samples, session, viewer
from ich_lib.demo.answers import Answers
from ich_lib.demo.messages import message, refusal
from ich_lib.demo.page import PICTURE_WINDOWS, Page
from ich_lib.labels import TYPES
from ich_lib.measures.metrics import dice
from ich_lib.phantoms import phantom
from ich_lib.phantoms.bodies import body
from ich_lib.prediction.analyze import analyze
from ich_lib.prediction.engine import WEIGHTS, list_weights, load
from ich_lib.prediction.inputs import input_pictures
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.readers import read as read_scan
from ich_lib.reports import WRITERS, as_json, write_nifti
from ich_lib.reports.case_files import write_dicom
from ich_lib.words import LANGUAGES
from ich_lib.words.doubts import SENTENCES as DOUBTS
from ich_lib.words.page import page_sentence, page_words
from tests.browsing import SETTLE, pixels, tab, where, yellow
from tests.served import Server
from tests.viewed import result

WAIT_MS = 240_000  # at most, while other work goes on

# ---- files that a person may bring ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def case():
    return phantom(6, bleeds=["intraparenchymal"], pixels=192, slices=10, thickness_mm=12)


@pytest.fixture(scope="module")
def bleeding_slice(case):
    return int(case.truth.sum(axis=(1, 2)).argmax())


@pytest.fixture(scope="module")
def files(case, bleeding_slice, tmp_path_factory):
    """Name to path: the same head in each form that the page accepts, and a text file with a DICOM suffix."""
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


@pytest.fixture(scope="module")
def no_head(tmp_path_factory):
    """A chest of four slices."""
    path, chest = tmp_path_factory.mktemp("chest") / "chest.nii.gz", body("chest", slices=4, pixels=64)
    write_nifti(path, chest.hu.astype(np.int16), chest)
    return path


def _picture(hu, name):
    return np.rint(window(hu, *WINDOWS[name]) * 255).astype(np.uint8)


# ---- functions ------------------------------------------------------------------------------------------------------


def open_file(files, name, models, *arguments):
    """The arguments with which the viewer draws a file or folder; the sentence of a refusal if it draws nothing."""
    paths = sorted(path for path in [files[name], *files[name].rglob("*")] if path.is_file())
    return read_upload(models, list(map(str, paths)), *arguments)


def read_upload(models, paths, *arguments):
    try:
        scan = session.read_upload(paths, *(arguments or (session.UNKNOWN_WINDOW, None, None)))
        return viewer.payload(session.find_blood(scan, models)), ""
    except ValueError as problem:
        return None, str(problem)


@pytest.mark.parametrize(
    ("name", "slices"), [("head.nii.gz", 10), ("head.zip", 10), ("one.dcm", 1), ("slice.png", 1), ("patient", 3)]
)
def test_each_form_of_scan_is_read_and_its_bleed_marked(files, models, name, slices):
    view, problem = open_file(files, name, models)
    assert problem == ""
    assert len(view["slices"]) == slices
    assert any(view["marked"])


def test_the_bleed_is_marked_where_it_was_planted(files, models, case, bleeding_slice):
    view, _ = open_file(files, "head.nii.gz", models)
    assert view["start"] == bleeding_slice
    blood = viewer.unpack_blood(view["blood"][bleeding_slice], 192, 192)
    result, planted = blood >= view["threshold"], case.truth[bleeding_slice]
    assert (result & planted).sum() > 0.7 * planted.sum()


def test_a_picture_of_unknown_window_says_so_and_a_told_window_gives_hu(files, models):
    unknown, _ = open_file(files, "slice.png", models)
    output, _ = open_file(files, "slice.png", models, "brain", None, None)
    own, _ = open_file(files, "slice.png", models, session.OTHER_WINDOW, 40, 80)
    assert [view["hu_known"] for view in (unknown, output, own)] == [False, True, True]
    assert output["slices"] == own["slices"]


def test_every_window_on_the_page_is_one_the_reader_knows():
    assert set(PICTURE_WINDOWS) <= set(WINDOWS)
    words = page_words()["en"]["picture"]
    assert set(words) == {session.UNKNOWN_WINDOW, *PICTURE_WINDOWS, session.OTHER_WINDOW}
    for name in PICTURE_WINDOWS:  # the table holds the numbers, so that every word of the page is in it
        assert words[name].endswith(", {:g} / {:g}".format(*WINDOWS[name]))


def test_a_bad_file_gives_one_sentence_and_no_result(files, models):
    view, problem = open_file(files, "scan.dcm", models)
    assert view is None
    assert problem.startswith("scan.dcm looks like plain text")


def test_an_own_window_without_a_number_gives_a_sentence(files, models):
    view, problem = open_file(files, "slice.png", models, session.OTHER_WINDOW, None, 80)
    assert view is None
    assert "level" in problem


def test_a_fault_of_ours_shows_no_trace_and_logs_no_name(files, models, monkeypatch, caplog):
    message = f"{files['scan.dcm']} DOE^JANE"

    def broken(*_, **__):
        raise KeyError(message)

    monkeypatch.setattr(session, "read", broken)
    view, problem = open_file(files, "scan.dcm", models)
    assert (view, problem) == (None, page_sentence("our_fault"))
    assert "KeyError" in caplog.text
    assert "in broken" in caplog.text
    assert "DOE" not in caplog.text
    assert "scan.dcm" not in caplog.text


def steps(paths, models, *, pairs=1, truth=None, wanted=lambda: True, believe=False):
    """What `reading` yields, without the shares of work."""
    output = (session.UNKNOWN_WINDOW, None, None)
    result = session.read_and_analyze(
        [str(path) for path in paths], output, [models] * pairs, truth and str(truth), wanted, believe=believe
    )
    return [step for step in result if not isinstance(step, float)]


def test_the_picture_comes_first_then_what_each_pair_of_models_finds_then_the_truth(files, models, case, tmp_path):
    write_nifti(tmp_path / "truth.nii.gz", case.truth.astype(np.uint8), case.scan)
    picture, *more = steps([files["head.nii.gz"]], models, pairs=2, truth=tmp_path / "truth.nii.gz")
    full, _ = open_file(files, "head.nii.gz", models)
    assert picture.payload["slices"] == full["slices"]
    assert [step.viewers for step in more] == [(0,), (1,), (0, 1)]
    assert {step.payload["to"] for step in more} == {picture.payload["id"]} == {picture.scan.id}
    assert more[0].payload["blood"] == more[1].payload["blood"] == full["blood"]
    assert more[2].payload["truth"] == viewer.truth_layers(case.truth, case.truth.shape)["truth"]


def test_a_reading_that_nobody_waits_for_any_more_ends_without_a_word(files, models):
    waiting = [True]
    result = session.read_and_analyze(
        [str(files["head.nii.gz"])], (session.UNKNOWN_WINDOW, None, None), [models], None, lambda: waiting[0]
    )
    while not isinstance(next(result), session.Picture):
        pass
    waiting[0] = False
    assert list(result) == []
    assert steps([files["head.nii.gz"]], models, wanted=lambda: False) == []


def test_what_is_no_head_is_shown_without_a_finding_unless_it_is_asked_for(no_head, models):
    picture, withheld = steps([no_head], models)
    assert len(picture.payload["slices"]) == 4
    assert withheld.payload["report"]["withheld"]
    assert withheld.payload["blood"] is None
    assert not picture.scan.believe
    picture, believed = steps([no_head], models, believe=True)
    assert picture.scan.believe
    assert len(believed.payload["blood"]) == 4
    assert believed.payload["report"]["belief"]["en"].startswith("Shown on request")


def test_what_a_session_keeps_of_a_scan_is_its_place_and_not_the_scan(files, models):
    picture, *_ = steps([files["head.nii.gz"]], models)
    assert picture.scan.paths == (str(files["head.nii.gz"]),)
    assert picture.scan.shape == (10, 192, 192)
    assert all(np.size(value) < 20 for value in vars(picture.scan).values())


def test_an_upload_is_limited_as_a_whole(files, models, monkeypatch):
    monkeypatch.setattr(session, "MOST_UPLOAD_MB", 0.1)
    view, problem = read_upload(models, [str(files["head.zip"])] * 3)
    assert view is None
    assert "The limit is 0.1 MB." in problem


def test_what_is_said_on_the_page_is_escaped():
    text = refusal(ValueError("<img src=x> & 'co'"))
    assert "<img" not in text
    assert text.endswith(">&lt;img src=x&gt; &amp; &#x27;co&#x27;</p>")
    assert "data-values='{&quot;mb&quot;: 7, &quot;most&quot;: 6}'" in message("too_large", "wrong", mb=7, most=6)


def test_there_is_a_sample_of_each_type_one_without_blood_a_mimic_and_hard_ones():
    heads = [sample for sample in samples.SAMPLES.values() if isinstance(sample, samples.Sample)]
    bleeds = [sample.bleeds for sample in heads]
    assert {kind for group in bleeds for kind in group} == set(TYPES)
    mimicking = [sample for sample in heads if sample.mimics and not sample.bleeds]
    assert mimicking
    assert samples.Sample(1) in samples.SAMPLES.values()
    assert len(heads) >= 8
    assert [sample.patient for sample in list(samples.SAMPLES.values())[:3]] == ["066", "084", "099"]
    assert set(page_words()["en"]["sample"]) == set(samples.SAMPLES)


def test_a_sample_asked_for_twice_at_once_is_read_once(monkeypatch):
    read = []
    monkeypatch.setattr(samples, "phantom", lambda seed, **_: read.append(seed) or time.sleep(0.2) or _SmallCase)
    monkeypatch.setattr(samples, "analyze", lambda scan, models: result())
    sample, answers = samples.sample_reader(), []
    requests = [Thread(target=lambda: answers.append(sample("subdural"))) for _ in range(3)]
    for asker in requests:
        asker.start()
    for asker in requests:
        asker.join()
    assert len(read) == 1
    assert answers[0] is answers[1] is answers[2]
    output = answers[0]["report"]["origin"]
    assert output["en"].startswith("Synthetic head (phantom). True bleed: subdural 12 mL. Includes a mimic: motion. ")
    assert output["de"].startswith("Synthetischer Kopf (Phantom). Tatsächliche Blutung: subdural 12 mL. Enthält ei")


class _SmallCase:
    scan, truth = None, np.zeros((5, 60, 80), bool)
    volumes_ml, mimics = {"subdural": 12.3}, ("motion",)


def test_missing_weights_stop_the_start_with_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["app.py", "--weights", str(tmp_path / "nowhere")])
    assert app.main() == 2
    assert "nowhere" in capsys.readouterr().err


def test_altered_weights_stop_the_start_with_a_sentence(tmp_path, monkeypatch, capsys):
    for shipped in WEIGHTS.glob("*.onnx"):
        (tmp_path / shipped.name).write_bytes(shipped.read_bytes()[:-1] + b"?")
        shutil.copy(shipped.with_suffix(".json"), tmp_path)
    monkeypatch.setattr(sys, "argv", ["app.py", "--weights", str(tmp_path)])
    assert app.main() == 2
    assert "SHA-256 differs" in capsys.readouterr().err


def test_files_that_are_deleted_meanwhile_give_a_sentence(files, models, tmp_path):
    view, problem = read_upload(models, [str(tmp_path / "gone.nii.gz")])
    assert view is None
    assert problem == page_sentence("gone")


def test_every_sample_is_read_ahead_as_soon_as_the_page_is_served(monkeypatch):
    """The server of the other tests does not read them ahead, see tests/app/on_demand.py."""
    steps, done = [], Event()
    page = SimpleNamespace(launch=lambda **_: steps.append("served"), block_thread=lambda: done.wait(60))
    monkeypatch.setattr(app, "build_app", lambda *_: page)
    monkeypatch.setattr(app, "sample_reader", lambda _: steps.append)
    monkeypatch.setattr(app.child, "warm", lambda: None)
    monkeypatch.setattr(app.signal, "signal", lambda *_: None)
    monkeypatch.setattr(samples, "wait_for_quiet", lambda: list(samples.SAMPLES) == steps[1:] and done.set())
    monkeypatch.setattr(sys, "argv", ["app.py"])
    assert app.main() == 0
    assert steps == ["served", *samples.SAMPLES]


def test_mcp_without_its_package_stops_the_start_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["app.py", "--mcp"])
    assert app.main() == 2
    assert "pip install 'gradio[mcp]'" in capsys.readouterr().err


# ---- the whole page -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory, browser):
    """The demo in a process that prints each module it imports, and that can be held, see tests/app/held.py."""
    folder = tmp_path_factory.mktemp("server")
    command, hold = ("-X", "importtime", "-m", "tests.app.held"), folder / "hold"
    with Server(folder, command=command, ICH_TEST_HOLD=str(hold)) as served:
        served.hold = hold
        yield served


@contextlib.contextmanager
def held(server):
    """No result comes while this lasts."""
    server.hold.touch()
    try:
        yield
    finally:
        server.hold.unlink()


@contextlib.contextmanager
def visit(browser, server, query="", **options):
    """The page after it has opened, with the first sample."""
    with tab(browser, **options) as page:
        page.set_default_timeout(WAIT_MS)
        page.requests = []
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(server.url + query)
        page.wait_for_selector('.viewer[data-ready="yes"][data-found="yes"]', timeout=WAIT_MS)
        yield page


@pytest.fixture(scope="module")
def site(browser, server):
    with visit(browser, server) as page:
        yield page


SCAN = "() => [...window.ichViewers].find(({ root, state }) => root.isConnected && state.scan).state.scan.id"


def upload_file(page, path, box="#files input[type=file]"):
    page.set_input_files(box, path)


def read(page, path, start, box="#files input[type=file]"):
    """Upload a file and wait until the viewer shows its result instead of the last scan."""
    shown = page.evaluate(SCAN)
    upload_file(page, path, box)
    page.wait_for_function(f"(shown) => ({SCAN})() !== shown", arg=shown, timeout=WAIT_MS)
    wait_for(page, ".origin", start)
    page.wait_for_selector('.viewer[data-found="yes"][data-decoded="all"]', timeout=WAIT_MS)
    page.evaluate(SETTLE)


def wait_for(page, selector, start):
    page.wait_for_function(
        "([selector, start]) => document.querySelector(selector)?.textContent.startsWith(start)",
        arg=[selector, start],
        timeout=WAIT_MS,
    )
    page.evaluate(SETTLE)


def test_the_page_opens_with_the_notice_and_a_sample_read_and_outlined_at_its_planted_bleed(site):
    assert "Not a medical device" in site.inner_text("#head")
    assert site.inner_text(".origin").startswith("Real head")
    assert site.inner_text(".sentence").startswith("Bleeding likely")
    assert site.inner_text(".volume").startswith("Volume unknown")  # of two renders
    assert site.locator(".scores tbody tr").count() == 6
    planted = samples.sample_case(samples.FIRST_SAMPLE).truth[int(site.get_attribute(".viewer", "data-slice")) - 1]
    marks = pixels(site, "marks")
    near = cv2.dilate(planted.astype(np.uint8), np.ones((15, 15), np.uint8))  # 7 pixels, 6 mm, around it
    near = cv2.resize(near, marks.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    outline = yellow(marks)
    assert outline.sum() > 100
    assert (outline & near).sum() > 0.6 * outline.sum()  # of a real head: this model marks more than the blood in it
    assert site.inner_text(".credit").startswith("CT-ICH 1.0.0, CC BY 4.0: Hssayeni")
    assert "Found: the model calls 12 of 12 bleeding slices, and 2 of 17" in site.inner_text(".origin")


TEXTS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), texts = [];
  const others = "[lang=en], .warnings li[lang], script, style, .language, .models, .filename";
  const isOurs = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(others);
  while (walker.nextNode()) if (isOurs(walker.currentNode.parentElement)) texts.push(walker.currentNode.data);
  for (const node of document.querySelectorAll("[aria-label], [title], [placeholder]")) {
    if (isOurs(node)) texts.push(node.ariaLabel ?? "", node.title, node.placeholder ?? "");
  }
  for (const node of document.querySelectorAll("input:not([type])")) if (isOurs(node)) texts.push(node.value);
  return [document.title, ...texts].map((text) => text.trim()).filter(Boolean);
}"""


def known_words(language):
    """A pattern that each text of the page must match as a whole: a sentence of the tables, numbers, keys, letters."""

    def sentences(words):
        return [text for part in words.values() for text in (sentences(part) if isinstance(part, dict) else [part])]

    texts = [*sentences(page_words()[language]), *sentences(LANGUAGES[language]), *DOUBTS.get(language, {}).values()]
    texts += [piece for text in texts for piece in text.split("|")]
    forms = [re.sub(r"\\{\w*\\}", "(?:.+?)", re.escape(text.strip())) for text in texts]
    joint = "|".join(sorted(set(forms) - {"(?:.+?)"}, key=len, reverse=True))
    joint += "|" + "|".join(map(re.escape, [*list_weights(), *(model.name for model in load())]))
    numbers = r"[\d\s.,:;/%<>+–−-]*(?:mL|cm|mm)?|[a-zA-Z?⇣×✓]|j k"
    return re.compile(rf"(?:(?:{joint}|{numbers})[\s,.:]*)+", re.DOTALL | re.IGNORECASE)


@pytest.mark.parametrize(("locale", "language"), [("de-DE", "de"), ("es-ES", "es")])
def test_no_string_on_the_page_is_outside_the_tables_of_words(browser, server, files, two_series, locale, language):
    """The page is in the language of the browser: after opening, after a refusal, and after an upload of two series."""
    known = known_words(language)
    with visit(browser, server, locale=locale) as page:
        assert page.evaluate("() => document.documentElement.lang") == language
        seen = page.evaluate(TEXTS)
        upload_file(page, files["scan.dcm"])
        wait_for(page, "#status", {"de": "scan.dcm sieht aus wie reiner Text", "es": "scan.dcm parece texto"}[language])
        page.wait_for_selector("#files input[type=file]", state="attached")
        upload_file(page, two_series)
        page.wait_for_selector("#series", state="visible", timeout=WAIT_MS)
        page.wait_for_selector("#status:empty", state="attached", timeout=WAIT_MS)
        page.click("#make")
        page.wait_for_selector("#made a[download]", timeout=WAIT_MS)
        seen += page.evaluate(TEXTS)
        notes = page.locator(".warnings li[lang]")  # of the reader: tests/demo/test_notes.py has their words
        assert [note.get_attribute("lang") for note in notes.all()] == [language] * max(notes.count(), 1)
    assert len(seen) > 100
    strangers = [text for text in seen if not known.fullmatch(text)]
    assert strangers == []
    english = set(map(str, page_words()["en"].values())) - set(map(str, page_words()[language].values()))
    assert english & set(seen) == set()


def test_the_menu_of_languages_moves_the_whole_page(browser, server):
    with visit(browser, server) as page:
        page.select_option(".viewer .language", "de")
        assert page.inner_text("#head h1") == "Intrakranielle Blutung im Kopf-CT"
        assert page.inner_text("#make") == "Dateien erstellen"
        assert "Keine Blutung" in page.inner_text("#samples")
        assert page.input_value("#picture-window input") == "unbekannt"
        page.select_option(".viewer .language", "en")
        assert page.inner_text("#make") == "Make downloads"
        assert page.input_value("#picture-window input") == "not known"


def test_the_tour_is_offered_goes_by_keys_alone_speaks_the_language_and_is_not_offered_again(browser, server):
    """The tour has five steps. Each names what its ring surrounds. Esc ends it; later only the list of keys offers
    it."""
    with visit(browser, server, locale="de-DE") as page:
        assert page.locator(".tour-card").count() == 0  # the tour never starts by itself
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        places = [".stage", ".report .sentence", ".layers .with-truth", ".sees", "#files"]
        for number, place in enumerate(places, start=1):
            card = page.locator(".tour-card")
            assert card.locator(".tour-count").inner_text() == f"Schritt {number} von 5"
            assert all(known_words("de").fullmatch(text) for text in card.locator("h2, p, button").all_inner_texts())
            ring, target, box = (page.locator(one).first.bounding_box() for one in (".tour-ring", place, ".tour-card"))
            assert abs(ring["y"] + 4 - target["y"]) < 3
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 1280
            assert 0 <= box["y"] <= box["y"] + box["height"] <= 800
            page.keyboard.press("Enter")
        assert page.locator(".tour-card").count() == 0
        assert page.evaluate("() => document.activeElement.matches('.stage')")
        page.reload()
        page.wait_for_selector('.viewer[data-ready="yes"]')
        assert page.is_hidden("#tour-offer")
        page.focus(".stage")
        page.keyboard.press("?")
        page.click(".begin-tour")
        assert page.locator(".tour-card h2").inner_text() == "Schichten wechseln"
        page.keyboard.press("Escape")
        assert page.locator(".tour-card").count() == 0


def test_on_a_phone_the_tour_brings_the_switch_of_the_truth_into_view(browser, server):
    with visit(browser, server, viewport={"width": 390, "height": 844}) as page:
        page.click("#tour-offer [data-say]")
        page.click(".tour-next")
        page.click(".tour-next")
        assert page.locator(".tour-card h2").inner_text() == "Compare with the truth"
        box = page.locator(".layers .with-truth").bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 390 - 40  # before the row fades out


def test_who_wants_no_tour_is_asked_once(browser, server):
    with visit(browser, server) as page:
        page.get_by_role("button", name="No, thanks").click()
        assert page.is_hidden("#tour-offer")
        page.reload()
        page.wait_for_selector('.viewer[data-ready="yes"]')
        assert page.is_hidden("#tour-offer")


def test_a_link_opens_its_case_slice_and_window(browser, server):
    with visit(browser, server, "/?case=no-bleed&slice=9&window=bone") as page:
        assert page.inner_text(".origin").startswith("Synthetic head (phantom). True bleed: none.")
        assert page.locator("#samples input:checked").input_value() == "no-bleed"
        assert where(page) == "Slice 9 of 34"
        assert page.get_attribute(".viewer", "data-window") == "bone"
    with visit(browser, server, "/?case=nobody") as page:
        assert page.inner_text(".origin").startswith("Real head: patient 066")


def test_a_file_may_be_dropped_anywhere_and_its_name_is_shown(browser, server, files):
    with visit(browser, server) as page:
        dragged = {"items": [], "files": [str(files["head.nii.gz"])], "dragOperationsMask": 1}
        box, devtools = page.locator(".stage").bounding_box(), page.context.new_cdp_session(page)
        place = {"x": box["x"] + 50, "y": box["y"] + 50}
        for kind in ("dragEnter", "dragOver"):
            devtools.send("Input.dispatchDragEvent", {"type": kind, "data": dragged, **place})
        assert page.get_attribute("html", "data-dropping") == "yes"
        devtools.send("Input.dispatchDragEvent", {"type": "drop", "data": dragged, **place})
        wait_for(page, ".origin", "Your scan: 10 slices")
        assert page.inner_text(".origin").endswith("from head.nii.gz.")
        assert page.get_attribute("html", "data-dropping") is None
        page.wait_for_function("() => !location.search.includes('case=')")


def test_by_keys_alone_one_goes_past_the_rail_to_a_slice_with_blood_and_measures_there(browser, server):
    with visit(browser, server) as page:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("() => document.activeElement.matches('.stage')")
        page.keyboard.press("Home")
        assert where(page).startswith("Slice 1 of")
        page.keyboard.press("b")  # the first slice with blood, and a region in the middle of it
        assert "blood marked" in page.inner_text(".score")
        page.keyboard.press("g")
        for key in ("Shift+ArrowRight", "Shift+ArrowDown") * 10:
            page.keyboard.press(key)
        assert re.fullmatch(r"Region: mean [\d.-]+ HU, SD [\d.]+, \d+ pixels", page.inner_text(".measured"))


def test_the_page_is_complete_without_the_internet(site, server):
    assert [url for url in site.requests if not url.startswith((server.url, "data:", "blob:"))] == []


def test_scrolling_asks_the_server_nothing(site):
    site.wait_for_selector('.viewer[data-decoded="all"]')
    site.wait_for_timeout(500)  # the page has finished its own requests
    before, first = len(site.requests), pixels(site, "ct")
    site.hover(".stage")
    site.mouse.wheel(0, -100)
    site.focus(".stage")
    site.keyboard.press("ArrowUp")
    site.fill(".position", "10")
    assert where(site) == "Slice 10 of 29"
    assert (pixels(site, "ct") != first).any()
    assert [url for url in site.requests[before:] if "heartbeat" not in url] == []


def test_a_sample_is_one_click_away(site):
    site.click("#samples label:has(:text-is('No bleed'))")
    wait_for(site, ".origin", "Synthetic head (phantom). True bleed: none")
    assert site.inner_text(".sentence")


@pytest.mark.parametrize(("name", "count"), [("head.nii.gz", 10), ("head.zip", 10), ("slice.png", 1)])
def test_a_scan_is_uploaded_and_read(site, files, name, count):
    read(site, files[name], f"Your scan: {count} slice")
    assert yellow(pixels(site, "marks")).sum() > 100
    assert site.is_visible(".badge") is (name == "slice.png")
    # the settings are back, so the next upload changes something
    site.click("#samples label:has(:text-is('Epidural'))")
    wait_for(site, ".origin", "Synthetic head")


def test_a_zip_of_studies_becomes_a_table_with_a_csv_and_each_opens_in_the_viewer(site, files, case, tmp_path):
    """Two heads of 10 and 3 slices and a damaged file give two rows with a result and one with its reason."""
    short = replace(case.scan, hu=case.scan.hu[4:7])
    write_nifti(tmp_path / "short.nii.gz", np.round(short.hu).astype(np.int16), short)
    with zipfile.ZipFile(tmp_path / "week.zip", "w") as archive:
        archive.write(files["head.nii.gz"], "week/a/scan.nii.gz")
        archive.write(tmp_path / "short.nii.gz", "week/b/scan.nii.gz")
        archive.writestr("week/c/scan.nii.gz", b"junk")
    upload_file(site, tmp_path / "week.zip")
    site.wait_for_function("() => document.querySelectorAll('.studies tbody button').length === 2", timeout=90_000)
    site.wait_for_selector("#status:empty", state="attached", timeout=WAIT_MS)
    rows = [row.all_inner_texts() for row in [one.locator("th, td") for one in site.locator(".studies tbody tr").all()]]
    assert [row[0] for row in rows] == ["week/a", "week/b", "week/c"]
    assert rows[0][2].startswith("Bleeding likely on ")
    assert rows[0][3].endswith(" %")
    assert rows[2][2].startswith("scan.nii.gz in week.zip")
    with site.expect_download() as saved:
        site.click(".studies .csv")
    lines = saved.value.path().read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["study", "week/a", "week/b", "week/c"]
    assert [lines[k].split(",")[1] for k in (1, 3)] == ["bleeding", "failed"]
    site.click(".studies tbody tr:nth-child(2) button")
    wait_for(site, ".origin", "Your scan: 3 slices of 192 x 192 pixels, from week/b.")
    site.wait_for_selector('.viewer[data-found="yes"][data-decoded="all"]', timeout=WAIT_MS)
    site.click(".sees summary")  # every later reading of the scan reads this study
    site.wait_for_selector(".sees canvas[data-painted]", timeout=WAIT_MS)
    assert site.locator(".sees th[scope=col]").count() == 3
    site.click(".sees summary")
    read(site, files["head.nii.gz"], "Your scan: 10 slices")
    assert site.is_hidden(".studies")


def test_what_the_model_sees_is_made_of_the_scan_that_is_shown(site, files, case, models):
    """In the panel, the brain window of the middle slice differs from the library's by at most one gray level."""
    read(site, files["head.nii.gz"], "Your scan: 10 slices")
    expected = input_pictures(read_scan(files["head.nii.gz"]), models.segmenter)
    site.click(".sees summary")
    site.wait_for_function(
        "() => document.querySelectorAll('.sees canvas[data-painted]').length === 6",  # three slices, two windows
        timeout=WAIT_MS,
    )
    k = int(site.get_attribute(".viewer", "data-slice")) - 1
    site.evaluate("() => document.querySelector('.sees td.here canvas').classList.add('seen-by-model')")
    shown = pixels(site, "seen-by-model")[..., 0]
    assert abs(shown - np.rint(expected.pictures[k, :, :, 0] * 255)).max() <= 1
    site.click(".sees summary")


def test_the_finding_of_no_head_comes_with_a_button_and_its_downloads_say_so(site, no_head):
    upload_file(site, no_head, "#files input[type=file]")
    wait_for(site, ".origin", "Your scan: 4 slices")
    wait_for(site, ".sentence", "No finding is given")
    assert "No slice shows brain inside a skull" in site.inner_text(".strange")
    button, reason = (site.locator(f".strange {place}").last.bounding_box() for place in (".believe", "p"))
    assert button["y"] >= reason["y"] + reason["height"]  # the reason is read first
    site.click(".believe")
    wait_for(site, ".strange", "Shown on request")
    site.wait_for_selector(".believe", state="detached")
    assert "No finding" not in site.inner_text(".sentence")
    site.click("#make")
    site.wait_for_selector("#made a[download]", timeout=WAIT_MS)
    links = {a.get_attribute("download"): a.get_attribute("href") for a in site.locator("#made a[download]").all()}
    assert json.loads(urllib.request.urlopen(links["result.json"]).read())["believed_on_request"]
    site.click("#samples label:has(:text-is('Epidural'))")
    wait_for(site, ".origin", "Synthetic head")
    assert site.locator(".believe").count() == 0


@pytest.mark.parametrize(("name", "count"), [("series", 10), ("patient", 3)])
def test_a_folder_is_uploaded_and_read_with_its_order_kept(site, files, name, count):
    read(site, files[name], f"Your scan: {count} slices", ".folder input[type=file]")


def test_a_text_called_scan_dcm_shows_its_sentence_and_the_page_goes_on(site, files):
    before = site.inner_text(".origin")
    upload_file(site, files["scan.dcm"])
    wait_for(site, "#status", "scan.dcm looks like plain text, not a head CT.")
    assert site.inner_text(".origin") == before
    assert site.get_attribute("#status", "aria-live") == "polite"
    site.wait_for_selector("#files input[type=file]", state="attached")
    read(site, files["head.nii.gz"], "Your scan: 10 slices")
    assert site.inner_text("#status") == ""
    assert site.is_hidden(".warnings")  # the text is gone and is not read with the next file


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
    read(site, files["slice.png"], "Your scan: 1 slice")
    assert site.is_visible(".badge")
    site.click("#picture-window input")
    site.get_by_role("option", name="brain, 40 / 80").click()
    site.wait_for_selector(".badge", state="hidden", timeout=WAIT_MS)
    assert site.is_enabled(".windows button[data-name='bone']")


def test_another_visitor_sees_the_sample_and_not_somebody_elses_scan(browser, server, site):
    assert site.inner_text(".origin").startswith("Your scan")
    with visit(browser, server) as other:
        assert other.inner_text(".origin").startswith("Real head")
    assert site.inner_text(".origin").startswith("Your scan")


def test_the_app_never_imports_tensorflow_or_keras(server, site):
    lines = server.log_text().splitlines()
    imported = {line.rsplit("|", 1)[-1].strip() for line in lines if line.startswith("import time:")}
    assert {"gradio", "onnxruntime", "pydicom"} <= imported
    assert {name for name in imported if name.split(".")[0] in {"tensorflow", "keras", "torch", "jax"}} == set()


IS_WHOLE = """(row) => [...row.querySelectorAll('*')].every((part) =>
  part.scrollWidth <= part.clientWidth + 1 || getComputedStyle(part).overflow === 'visible')"""


def test_downloads_hold_what_is_on_the_screen_and_no_name_of_the_file(site, files):
    read(site, files["head.zip"], "Your scan: 10 slices")
    site.click("#make")
    site.wait_for_selector("#made a[download]", timeout=WAIT_MS)
    assert site.is_hidden("#stop")
    links = {a.get_attribute("download"): a.get_attribute("href") for a in site.locator("#made a[download]").all()}
    assert set(links) == set(WRITERS)
    for name in WRITERS:  # as a person sees it: no thumbnail is cut off
        row = site.locator("#made tr", has=site.locator(f"a[download='{name}']")).locator(".filename")
        assert re.sub(r"\s", "", row.inner_text()) == name
        assert row.evaluate(IS_WHOLE)
    holder = site.locator("#made .file-preview-holder")  # sizes and arrows neither
    assert holder.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    with site.expect_download() as download:
        site.click("#all-files")
    with zipfile.ZipFile(download.value.path()) as packed:
        assert set(packed.namelist()) == set(WRITERS)
    output = json.loads(urllib.request.urlopen(links["result.json"]).read())
    view = site.locator(".scores tbody tr").first.locator("td").all_inner_texts()
    assert f"{output['scores']['any']:.0%}".replace("%", " %") in [text.strip() for text in view]
    assert "head.zip" not in json.dumps(output)


def test_downloads_follow_the_threshold_and_say_so(browser, server, files):
    with visit(browser, server) as page:
        read(page, files["head.nii.gz"], "Your scan: 10 slices")
        page.fill("input[name=threshold]", "230")
        sentence, volume = page.inner_text(".sentence"), page.inner_text(".volume")
        page.click("#make")
        page.wait_for_selector("#made a[download]", timeout=WAIT_MS)
        output = json.loads(
            urllib.request.urlopen(page.get_attribute("#made a[download='result.json']", "href")).read()
        )
        assert output["mask_threshold"] == pytest.approx(230 / 255)
        assert (output["sentence"], output["volume"]) == (sentence, volume)
        assert output["warnings"][-1] == "The mask's threshold was set to 0.90 by a person; the model's own is 0.50."
        assert page.inner_text("#stale") == ""
        page.click(".shipped")
        assert page.inner_text("#stale") == "Made at mask threshold 0.90. Make them again for 0.50."


@pytest.fixture(scope="module")
def long_scan(tmp_path_factory):
    long = phantom(6, bleeds=["intraparenchymal"], pixels=256, slices=120, thickness_mm=1.5)
    path = tmp_path_factory.mktemp("long") / "long.nii.gz"
    write_nifti(path, np.round(long.scan.hu).astype(np.int16), long.scan)
    return path


def test_the_picture_is_there_before_the_result_and_reading_on_can_be_stopped(site, server, files, long_scan):
    with held(server):
        upload_file(site, long_scan)
        wait_for(site, ".origin", "Your scan: 120 slices")
        site.wait_for_selector('.viewer[data-ready="yes"][data-found="no"]', timeout=WAIT_MS)
        assert pixels(site, "ct")[..., 0].max() > 200
        site.click("#stop")
        wait_for(site, "#status", "Stopped.")
        site.wait_for_selector("#stop", state="hidden")
    site.wait_for_timeout(1500)
    assert site.get_attribute(".viewer", "data-found") == "no"
    assert site.inner_text("#status").startswith("Stopped.")
    assert site.inner_text(".sentence") == "No result yet."
    assert pixels(site, "ct")[..., 0].max() > 200
    assert yellow(pixels(site, "marks")).sum() == 0
    assert site.is_hidden(".cutting")
    assert site.is_hidden(".scores")
    read(site, files["head.nii.gz"], "Your scan: 10 slices")  # the page goes on
    site.wait_for_selector("#status:empty", state="attached")
    assert yellow(pixels(site, "marks")).sum() > 0


def test_writing_files_can_be_stopped(site, server, files):
    read(site, files["head.nii.gz"], "Your scan: 10 slices")
    with held(server):
        site.click("#make")
        site.wait_for_function("() => /Writing.*[0-9]+ % done/.test(document.querySelector('#status')?.textContent)")
        site.click("#stop")
        wait_for(site, "#status", "Stopped.")
    site.wait_for_timeout(1500)
    assert site.inner_text("#status").startswith("Stopped.")
    assert site.locator("#made a[download]").count() == 0


def test_a_sample_chosen_meanwhile_stays_and_no_finding_of_another_scan_comes_over_it(site, server, long_scan):
    site.click("#samples label:has(:text-is('Epidural'))")
    wait_for(site, ".origin", "Synthetic head")
    with held(server):
        upload_file(site, long_scan)
        wait_for(site, ".origin", "Your scan: 120 slices")
        site.click("#samples label:has(:text-is('No bleed'))")
        wait_for(site, ".origin", "Synthetic head")
        sentence = site.inner_text(".sentence")
    site.wait_for_timeout(3000)
    assert site.inner_text(".origin").startswith("Synthetic head")
    assert site.inner_text(".sentence") == sentence
    assert site.inner_text("#status") == ""


@pytest.mark.parametrize("then", ["sample", "stop"])
def test_a_share_that_is_sent_late_is_taken_back(then, monkeypatch):
    """The last message stays on the page even if an earlier reading reports its progress after it."""
    page = SimpleNamespace(**{part.name: part.name for part in fields(Page)})
    answers = Answers(page, SimpleNamespace(models=None, sample=lambda name: {}), None)
    turns = session.RequestCounter()
    monkeypatch.setattr(session, "read_and_analyze", lambda *files, **options: iter([0.5]))
    reading = answers.upload((["scan.nii"], turns.next()), None, False, turns)
    assert "Reading the scan" in next(reading)["status"]
    word = answers.stop(turns)[0] if then == "stop" else answers.sample("no-bleed", False, turns)["status"]
    assert next(reading)["status"] == word
    turns.next()  # another scan, whose last message has not arrived
    other = answers.upload((["scan.nii"], 1), None, False, turns)
    assert list(other)[-1]["status"] != word


@pytest.mark.parametrize("problem", [None, ValueError("cut short")])
def test_a_stop_that_comes_after_the_answer_leaves_it(problem, monkeypatch):
    """The page never says "Stopped." beside a finding or over the word on a refusal."""
    page = SimpleNamespace(**{part.name: part.name for part in fields(Page)})
    answers = Answers(page, SimpleNamespace(models=None, sample=lambda name: {}), None)
    turns = session.RequestCounter()

    def steps(*files, **options):
        yield 0.5
        if problem:
            raise problem
        yield session.Overlay((0,), {"report": {}})

    monkeypatch.setattr(session, "read_and_analyze", steps)
    reading = answers.upload((["scan.nii"], turns.next()), None, "", turns)
    next(reading)
    update = next(reading)
    word, button = answers.stop(turns)
    assert word == update.get("status", "")
    assert not button.visible
    assert [answer["status"] for answer in reading] == ([] if problem else [""])


def test_a_truth_of_ones_own_is_laid_over_ones_scan_and_counted(site, files, case, models, tmp_path):
    write_nifti(tmp_path / "truth.nii.gz", case.truth.astype(np.uint8), case.scan)
    write_nifti(tmp_path / "half.nii.gz", case.truth[:5].astype(np.uint8), replace(case.scan, hu=case.scan.hu[:5]))
    read(site, files["head.nii.gz"], "Your scan: 10 slices")
    upload_file(site, tmp_path / "half.nii.gz", "#truth input[type=file]")
    wait_for(site, "#status", "half.nii.gz has 5 slices of 192 x 192 px, but the scan has 10 of 192 x 192 px.")
    assert site.is_hidden(".with-truth")
    upload_file(site, tmp_path / "truth.nii.gz", "#truth input[type=file]")
    site.wait_for_selector(".against", state="visible", timeout=WAIT_MS)
    result = analyze(read_scan([files["head.nii.gz"]]), models).mask
    output = float(site.get_attribute("data.dice", "value"))
    assert output == pytest.approx(dice(case.truth, result), abs=1e-3)
    assert site.inner_text("#status") == ""
    read(site, files["slice.png"], "Your scan: 1 slice")  # another scan: the true mask does not belong to it
    assert site.is_hidden(".with-truth")


def test_a_truth_goes_with_ones_own_scan_not_with_a_sample(site, case, tmp_path):
    write_nifti(tmp_path / "truth.nii.gz", case.truth.astype(np.uint8), case.scan)
    site.click("#samples label:has(:text-is('Epidural'))")
    wait_for(site, ".origin", "Synthetic head")
    upload_file(site, tmp_path / "truth.nii.gz", "#truth input[type=file]")
    wait_for(site, "#status", "A sample brings its own truth")


def test_a_program_gets_the_content_of_result_json_and_nothing_else_is_offered(server, site, files, models):
    from gradio_client import Client, handle_file

    client = Client(server.url, verbose=False)
    output = client.predict(
        [handle_file(str(files["head.nii.gz"]))], session.UNKNOWN_WINDOW, 40, 80, api_name="/analyze"
    )
    assert output == json.loads(json.dumps(as_json(analyze(read_scan([files["head.nii.gz"]]), models))))
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/analyze"]
    with pytest.raises(Exception, match=r"scan\.dcm looks like plain text|plain text"):
        client.predict([handle_file(str(files["scan.dcm"]))], session.UNKNOWN_WINDOW, 40, 80, api_name="/analyze")


@pytest.fixture(scope="module")
def two_series(case, tmp_path_factory):
    """A zip of a native head and of its upper half with a bone kernel."""
    folder = tmp_path_factory.mktemp("two")
    upper, shared = (
        replace(case.scan, hu=case.scan.hu[4:]),
        {"StudyInstanceUID": "1.2", "PatientName": "", "PatientID": ""},
    )
    for name, scan, tags in (
        ("B", upper, {"SeriesDescription": "Bone 12mm", "ConvolutionKernel": "H70h", "SeriesNumber": 3}),
        ("A", case.scan, {"SeriesDescription": "DOE^JANE Head", "ConvolutionKernel": "H31s", "SeriesNumber": 2}),
    ):
        uid = generate_uid()
        for path in write_dicom(scan, folder / name, name=name):
            header = pydicom.dcmread(path)
            for tag, value in (shared | tags | {"SeriesInstanceUID": uid}).items():
                setattr(header, tag, value)
            header.save_as(path)
    return Path(shutil.make_archive(str(tmp_path_factory.mktemp("zipped") / "two"), "zip", folder))


def test_of_two_series_the_page_shows_the_better_one_and_offers_the_other(site, two_series):
    read(site, two_series, "Your scan: 10 slices")
    site.wait_for_selector("#series", state="visible", timeout=WAIT_MS)  # another part of the page than the viewer
    assert "Read: series 1 of 2" in site.inner_text(".warnings")
    assert "jane" not in site.content().lower()
    site.click("#series input")
    site.wait_for_selector("#series [role=option]", timeout=WAIT_MS)
    choices = site.locator("#series [role=option]").all_inner_texts()
    assert [one.lstrip("✓ \n") for one in choices] == [
        "1: Head, 10 slices, 12 mm apart, kernel H31s",
        "2: Bone 12mm, 6 slices, 12 mm apart, kernel H70h",
    ]
    site.get_by_role("option", name="2: Bone").click()
    wait_for(site, ".origin", "Your scan: 6 slices")
    site.wait_for_selector('.viewer[data-found="yes"][data-decoded="all"]', timeout=WAIT_MS)
    assert "sharp (bone) kernel" in site.inner_text(".report")
    site.click("#make")
    site.wait_for_selector("#made a[download]", timeout=WAIT_MS)
    links = {a.get_attribute("download"): a.get_attribute("href") for a in site.locator("#made a[download]").all()}
    assert len(json.loads(urllib.request.urlopen(links["result.json"]).read())["slices"]) == 6
    site.click("#samples label:has(:text-is('Epidural'))")
    wait_for(site, ".origin", "Synthetic head")
    site.wait_for_selector("#series", state="hidden")


def test_no_text_of_the_page_or_the_endpoint_speaks_python(server, site, two_series, tmp_path):
    from gradio_client import Client, handle_file

    client = Client(server.url, verbose=False)
    ask = [[handle_file(str(two_series))], session.UNKNOWN_WINDOW, 40, 80]
    assert len(client.predict(*ask, "bone 12mm", api_name="/analyze")["slices"]) == 6
    assert len(client.predict(*ask, "1", api_name="/analyze")["slices"]) == 10
    with pytest.raises(Exception, match=r'Choose one by its number: "1" as the series\.$'):
        client.predict(*ask, "Scout", api_name="/analyze")
    assert not re.search(r"\b[a-z_]+=\S|\bread\(|pip install", site.inner_text("body"))


@pytest.mark.parametrize("cut", [lambda line: line.abort(), lambda line: line.fulfill(body="")], ids=["fails", "ends"])
def test_a_lost_line_is_said_and_the_picture_stays(browser, server, files, cut):
    """If the server stops answering, with or without an error, the page neither waits for ever nor stays empty."""
    with visit(browser, server) as page:
        page.wait_for_timeout(1500)  # the progress line of the first sample has ended correctly
        assert page.inner_text("#status") == ""
        page.route("**/queue/data*", cut)
        before = page.inner_text(".origin")
        upload_file(page, files["head.nii.gz"])
        wait_for(page, "#status .wrong", page_sentence("line_lost")[:20])
        assert page.inner_text("#status") == page_sentence("line_lost")
        assert page.inner_text(".origin") == before
        page.select_option("#viewers .language", "de")
        wait_for(page, "#status .wrong", "Die Verbindung zum Server ist abgebrochen")


def choose_model(page, name, box="#compare"):
    """Pick a model in the box "Compare with", or "Model"."""
    page.click(f"{box} input")
    page.get_by_role("option", name=name, exact=True).click()


@pytest.mark.long
def test_two_models_are_shown_side_by_side(browser, files, tmp_path_factory):
    with Server(tmp_path_factory.mktemp("pair"), "--compare", str(WEIGHTS)) as server, visit(browser, server) as page:
        assert page.locator(".viewer").count() == 1
        choose_model(page, "weights")
        page.wait_for_function(
            "() => document.querySelectorAll('.viewer[data-ready=yes]').length == 2", timeout=WAIT_MS
        )
        first, second = page.locator(".sentence").all_inner_texts()
        assert first == second != ""
        assert page.locator(".about").nth(1).is_hidden()  # it is the shipped model
        upload_file(page, files["head.nii.gz"])
        page.wait_for_function("() => document.querySelectorAll('.viewer[data-found=no]').length == 2", timeout=WAIT_MS)
        page.wait_for_function(
            "() => document.querySelectorAll('.viewer[data-found=yes]').length == 2", timeout=WAIT_MS
        )
        first, second = page.locator(".sentence").all_inner_texts()
        assert first == second != ""


def test_a_model_of_the_library_stands_beside_the_shipped_one_and_leaves_again(site):
    """A classifier shows its score and how often it is right. It has no mask threshold and no difference view."""
    choose_model(site, "densenet-small")
    site.wait_for_function("() => document.querySelectorAll('.viewer[data-ready=yes]').length == 2", timeout=WAIT_MS)
    first, second = site.locator(".viewer").all()
    about = second.locator(".about")
    assert about.locator("h3").inner_text() == "About densenet-small"
    assert "on 66 patients that it had not seen. The height of a slice alone reaches 0.71." in about.inner_text()
    assert first.locator(".about").is_hidden()
    site.locator(".language").first.select_option("de")
    assert "Die Höhe der Schicht allein erreicht 0,71." in about.inner_text()
    site.locator(".language").first.select_option("en")
    assert second.locator(".volume").inner_text().startswith("This model scores slices only")
    assert second.locator(".cutting").is_hidden()
    assert first.locator(".cutting").is_visible()
    assert site.locator(".difference").is_hidden()
    choose_model(site, "no other model")
    site.wait_for_function(
        "() => document.querySelectorAll('.viewer').length == 1 || "
        "!document.querySelectorAll('.viewer')[1].checkVisibility()"
    )


def test_another_model_takes_the_place_of_the_first_and_one_name_stands_everywhere(site, files):
    """It is used for samples, uploads and downloads, until the first one is chosen again."""
    settled = "(name) => document.querySelector('.viewer[data-found=yes] .models')?.textContent.includes(name)"
    site.click("#samples label:has(:text-is('Epidural'))")
    wait_for(site, ".origin", "Synthetic head")
    choose_model(site, "densenet-small", "#model")
    site.wait_for_function(settled, arg="densenet-small", timeout=WAIT_MS)
    assert site.inner_text(".about h3") == "About densenet-small"
    assert site.input_value("#model input") == "densenet-small"
    read(site, files["head.nii.gz"], "Your scan: 10 slices")
    assert "densenet-small" in site.inner_text(".models")
    site.click("#make")
    site.wait_for_selector("#made a[download]", timeout=WAIT_MS)
    links = {a.get_attribute("download"): a.get_attribute("href") for a in site.locator("#made a[download]").all()}
    models = json.loads(urllib.request.urlopen(links["result.json"]).read())["models"]
    assert "densenet-small" in json.dumps(models)
    choose_model(site, next(iter(load())).name, "#model")
    site.wait_for_function(settled, arg=next(iter(load())).name, timeout=WAIT_MS)
    assert site.is_hidden(".about")
