"""Time of the workbench on a folder of 5,000 slices: opened first, opened again, and each view of the data.

    python benchmarks/workbench.py [--patients 150] [--form pictures|volumes]
    python benchmarks/workbench.py --form pages    # a first start on a fresh machine, then page after page, in Chromium

The folder is synthetic: phantom slices in the form of CT-ICH 1.0.0 (650 x 650 JPG, two renders per slice and outlines),
or NIfTI volumes of 256 x 256 with masks. A few files are made, and linked under every name. Times are of a whole run of
the page without a browser, in one process: `AppTest` draws nothing, but sends everything. Times of "pages" are from the
command, or the click, until the last part is on the screen and nothing is running.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import streamlit  # noqa: E402
from streamlit.testing.v1 import AppTest  # noqa: E402

from ich_lib.labels import TYPES  # noqa: E402
from ich_lib.phantoms import phantom  # noqa: E402
from ich_lib.prepare.window import WINDOWS, window  # noqa: E402
from ich_lib.reports.case_files import write_case  # noqa: E402
from ich_lib.workbench import data, source  # noqa: E402, F401 - imported before the clock runs

SIDE = 650
VIEWS = ("Counts", "Pictures", "One case", "CT numbers", "People", "Leaks", "Table")


def pictures(folder: Path, patients: int) -> None:
    """CT-ICH 1.0.0: every second patient bleeds."""
    cases = [phantom(1), phantom(101, bleeds=["epidural"])]
    source_of = [_drawn(folder / "made" / str(k), case) for k, case in enumerate(cases)]
    types = ("Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural", "Subdural")
    lines = [",".join(("PatientNumber", "SliceNumber", *types, "No_Hemorrhage", "Fracture_Yes_No"))]
    for number in range(1, patients + 1):
        case, source = cases[number % 2], source_of[number % 2]
        for kind in ("brain", "bone"):
            (folder / "Patients_CT" / f"{number:03d}" / kind).mkdir(parents=True)
        for path in source:
            os.link(path, folder / "Patients_CT" / f"{number:03d}" / path.parent.name / path.name)
        for k, labels in enumerate(case.labels, start=1):
            label_values = [int(labels[TYPES.index(kind.lower())]) for kind in types]
            lines.append(",".join(map(str, (number, k, *label_values, int(not labels[-1]), 0))))
    (folder / "hemorrhage_diagnosis.csv").write_text("\n".join(lines) + "\n")


def _drawn(folder: Path, case) -> list[Path]:
    """The renders and outlines of one head."""
    paths = []
    for k, hu in enumerate(case.scan.hu, start=1):
        large = cv2.resize(hu, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        renders = {(kind, f"{k}.jpg"): window(large, *WINDOWS[f"{kind} render"]) for kind in ("brain", "bone")}
        if case.truth[k - 1].any():
            mask = cv2.resize(case.truth[k - 1].astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
            renders["brain", f"{k}_HGE_Seg.jpg"] = mask.astype(np.float32)
        for (kind, name), gray in renders.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            paths.append(folder / kind / name)
            cv2.imwrite(str(paths[-1]), np.rint(gray * 255).astype(np.uint8))
    return paths


def volumes(folder: Path, patients: int) -> None:
    """One folder per case, in the form of `python -m ich_lib phantom`."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        cases = [phantom(1), phantom(101, bleeds=["epidural"])]
        for k, case in enumerate(cases):
            write_case(case, Path(temporary) / str(k))
        for number in range(patients):
            (folder / f"case-{number:03d}").mkdir(parents=True)
            for path in (Path(temporary) / str(number % 2)).iterdir():
                os.link(path, folder / f"case-{number:03d}" / path.name)


def page(folder: Path) -> AppTest:
    """The data page, at the folder."""
    at = AppTest.from_string("from ich_lib.workbench import data\ndata.page()", default_timeout=600)
    at.session_state["source"], at.session_state["folder"] = source.FOLDER_SOURCE, str(folder)
    return at.run()


def time_action(label: str, work) -> None:
    """Print the time it took."""
    start = time.perf_counter()
    at = work()
    seconds = time.perf_counter() - start
    assert not at.exception, at.exception
    assert not at.error, at.error
    print(f"{label:34} {seconds:6.2f} s")


PAGES = {
    "Runs": "Folder with runs",
    "Cases": "All scans",
    "Quiz": "Class number",
    "Learn": "checks pass",
    "Data": "of them outlined",
}
HAS_SETTLED = "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


@contextlib.contextmanager
def serve(cache: Path) -> Iterator[str]:
    """The address of a workbench that has just been started, with this cache folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "workbench.py", f"--server.port={port}"]
    environment = {**os.environ, "ICH_CACHE": str(cache)}
    server = subprocess.Popen(
        [*command, "--server.headless=true"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait()


def ready(address: str) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health"):
            return
        time.sleep(0.05)
    raise TimeoutError(address)


def print_time(text: str, start: float) -> None:
    """The time since `start`, and how busy the machine is."""
    print(f"{text:34} {time.perf_counter() - start:6.2f} s   (load {os.getloadavg()[0]:.1f})", flush=True)


def page_times(cache: Path) -> None:
    """A first start with nothing kept, the pages twice over, and a second start."""
    from playwright.sync_api import sync_playwright

    from tests.browsing import chromium

    with sync_playwright() as kit:
        browser = chromium(kit)
        for turn in ("first", "second"):
            start = time.perf_counter()
            with serve(cache) as address:
                page = browser.new_page(viewport={"width": 1400, "height": 900})
                page.set_default_timeout(120_000)
                ready(address)
                print_time(f"{turn} start, server answers", start)
                page.goto(address)
                page.get_by_text("of them outlined").wait_for()
                page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first.wait_for()
                print_time(f"{turn} start, first picture", start)
                page.get_by_text("are made").wait_for(state="detached")
                page.wait_for_function(HAS_SETTLED)
                print_time(f"{turn} start, all heads made", start)
                for visit in ("first visit", "again"):
                    for name, words in PAGES.items():
                        wait_for_change(page, name, words, f"{name}, {visit}")
        browser.close()


def wait_for_change(page, name: str, words: str, expected: str) -> None:
    """From the click on a page's name to the page, whole."""
    start = time.perf_counter()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    page.get_by_text(words).first.wait_for()
    page.wait_for_function(HAS_SETTLED)
    print_time(expected, start)


def main() -> None:
    """Make the folder, open it, look at everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=150, help="of 34 slices each (default 150: 5,100 slices)")
    parser.add_argument("--form", choices=("pictures", "volumes", "pages"), default="pictures")
    options = parser.parse_args()
    if options.form == "pages":
        with tempfile.TemporaryDirectory() as place:
            page_times(Path(place))
        return
    type(streamlit.context).ip_address = None  # there is no browser; this machine is the one measured
    with tempfile.TemporaryDirectory() as place:
        os.environ["ICH_CACHE"] = str(Path(place) / "cache")
        folder = Path(place) / "set"
        folder.mkdir()
        {"pictures": pictures, "volumes": volumes}[options.form](folder, options.patients)
        time_action("opened first", lambda: page(folder))
        streamlit.cache_resource.clear()
        streamlit.cache_data.clear()
        time_action("opened again, by another start", lambda: page(folder))
        at = page(folder)
        for turn in ("first", "again"):
            for view in VIEWS:
                control = at.segmented_control(key="data view").set_value(view)
                time_action(f"{view}, {turn}", control.run)


if __name__ == "__main__":
    main()
