"""The demo as other programs see it: a running process receives over HTTP what the page sends, and what no page should
send.

It runs as on a public Space, with the smaller limits.
"""

import hashlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import httpx
import numpy as np
import pytest

from ich_lib.phantoms import phantom
from ich_lib.prediction.engine import WEIGHTS
from ich_lib.reports import write_nifti
from tests.conftest import ROOT
from tests.served import API, ON_DEMAND, Server, Visitor, file_data

SPACE = {"SPACE_ID": "somebody/demo"}
WORD_OF_A_FAULT = re.compile(r"Traceback|File \"|site-packages|\.py\b|/etc/|Error\(")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), command=ON_DEMAND, **SPACE) as served:
        yield served


@pytest.fixture
def visitor(server):
    with Visitor(server.url) as guest:
        yield guest


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """(name, bytes) of a NIfTI of 4 slices."""
    path = tmp_path_factory.mktemp("brought") / "head.nii.gz"
    scan = phantom(6, bleeds=["intraparenchymal"], pixels=96, slices=4, thickness_mm=30).scan
    write_nifti(path, np.round(scan.hu).astype(np.int16), scan)
    return path.name, path.read_bytes()


@pytest.fixture(scope="module")
def picture():
    grays = np.random.default_rng(0).integers(0, 255, (96, 96), np.uint8)
    return "slice.png", cv2.imencode(".png", grays)[1].tobytes()


def is_unanswered(reply):
    """Whether an answer contains no result, no traceback and no path of the server."""
    return reply.payload is None and not WORD_OF_A_FAULT.search(reply.text)


# ---- files -----------------------------------------------------------------------------------------------------------

OUTSIDE = [
    "/etc/passwd",
    "../app.py",
    "../../../../../../etc/passwd",
    "app.py",
    "/",
    "",
    "\0",
    "file:///etc/passwd",
    "http://127.0.0.1:1/head.nii.gz",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_forged_path_is_refused_and_not_told_apart_from_others(visitor, path):
    reply = visitor.call("files", files=[file_data(path)])
    assert not reply.succeeded
    assert is_unanswered(reply)
    assert '"error": null' in reply.text


def test_an_address_that_answers_is_not_fetched_either(visitor, server):
    for output in ({"path": f"{server.url}/config"}, {"path": "/x", "url": f"{server.url}/config"}):
        reply = visitor.call("files", files=[output | {"meta": {"_type": "gradio.FileData"}}])
        assert not reply.succeeded
        assert is_unanswered(reply)
    assert not list(server.uploads.rglob("config*"))


def test_what_is_in_the_cache_already_cannot_be_found_by_its_content(visitor, server, head):
    """Gradio does not bind the paths of uploads to a session. They are safe because they cannot be guessed."""
    (place,) = visitor.upload(head)
    folder = place.split("/")[-2]
    assert re.fullmatch("[0-9a-f]{64}", folder)
    assert folder != hashlib.sha256(head[1]).hexdigest()
    with Visitor(server.url) as other:
        assert is_unanswered(other.call("files", files=[file_data(place.replace(folder, "0" * 64))]))


def test_the_folder_of_all_uploads_is_not_read_as_one_upload(visitor, server, head):
    """The file is inside the cache, so Gradio lets the path pass. Its name is not secret."""
    (place,) = visitor.upload(head)
    with Visitor(server.url) as other:
        for folder in (f"{server.uploads}", f"{server.uploads}/", place.rsplit("/", 1)[0]):
            reply = other.call("files", files=[file_data(folder)])
            assert is_unanswered(reply)
            assert "Please upload the scan again." in reply.message


@pytest.mark.parametrize("route", [f"{API}/file=", f"{API}/file/", "/file=", "/static/", "/assets/", f"{API}/proxy="])
@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "app.py", "..%2f..%2f..%2fetc%2fpasswd", "http://127.0.0.1:1/x", "file:///etc/passwd", "ich_lib/"],
)
def test_no_route_serves_a_file_of_this_machine(visitor, route, path):
    reply = visitor.http.get(route + path)
    assert reply.status_code in (400, 403, 404)
    assert "root:" not in reply.text
    assert "import " not in reply.text


def test_the_cache_serves_files_as_downloads_and_no_list_of_them(visitor, server):
    (place,) = visitor.upload(("page.html", b"<script>alert(1)</script>"))
    reply = visitor.http.get(f"{API}/file={place}")
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment")
    assert visitor.http.get(f"{API}/file={server.uploads}").status_code == 403


def test_an_upload_that_climbs_out_of_its_folder_stays_in_it(visitor, server):
    for name in ("../../climbed.dcm", "/tmp/climbed.dcm", "..\\..\\climbed.dcm", "a/../../climbed.dcm"):
        (place,) = visitor.upload((name, b"x"))
        assert place.startswith(f"{server.uploads}/")
        assert ".." not in place.split("/")
    assert not list(server.uploads.parent.glob("climbed*"))


@pytest.mark.parametrize(
    ("name", "never"),
    [("<b>bold</b>.dcm", "<b>"), ("a\u202ecod.dcm", "\u202e"), ("<img src=x onerror=a()>.dcm", "<img")],
)
def test_a_name_that_would_be_markup_or_turn_the_line_never_comes_back(visitor, name, never):
    reply = visitor.open_files((name, b"dear diary"))
    assert "looks like plain text" in reply.message
    assert never not in reply.message


def test_a_name_that_is_a_formula_comes_back_inside_a_sentence_only(visitor):
    message = visitor.open_files(("=1+1.dcm", b"dear diary")).message
    assert re.sub("<[^>]*>", "", message).startswith("=1+1.dcm looks like")
    assert message.startswith("<p class='wrong' ")


# ---- sizes -----------------------------------------------------------------------------------------------------------


def test_files_that_are_small_one_by_one_and_too_large_together_are_refused(visitor):
    half = bytes(80_000_000)
    reply = visitor.open_files(("a.dcm", half), ("b.dcm", half))
    assert reply.payload is None
    assert "160 MB. The limit is 150 MB." in reply.message


def test_one_file_too_large_is_refused_before_it_is_kept(visitor, server):
    reply = visitor.http.post(f"{API}/upload", files=[("files", ("huge.dcm", bytes(160_000_000)))])
    assert reply.status_code == 413
    assert not list(server.uploads.rglob("huge.dcm"))


# ---- private events --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [[], [1] * 9, [None] * 4, [{}] * 4, ["x"] * 4, [[[[]]]] * 4])
def test_every_event_answers_nonsense_without_a_trace(visitor, data):
    for event in visitor.events:
        reply = visitor.run(event["id"], data)
        assert reply.status == 200
        assert not WORD_OF_A_FAULT.search(reply.text), event["api_name"]


@pytest.mark.parametrize("number", [-1, 9999, 2**70, None, "x", 1.5])
def test_an_event_that_is_not_there_is_an_error_without_a_trace(visitor, number):
    reply = visitor.join(number, [])
    assert reply.status_code >= 400
    assert not WORD_OF_A_FAULT.search(reply.text)


@pytest.mark.parametrize("name", ["nobody", "/etc/passwd", "../", 5, None, [], {}])
def test_an_unknown_sample_is_no_sample(visitor, name):
    reply = visitor.call("samples", samples=name)
    assert not reply.succeeded
    assert reply.payload is None
    assert "Traceback" not in reply.text


@pytest.mark.parametrize(
    ("level", "width"),
    [(float("nan"), 80), (40, float("inf")), (1e308, 80), (10**400, 80), (40, 0), (40, -5), ("x", 80), ([], {})],
)
def test_a_window_that_is_none_gives_the_sentence_about_windows(visitor, picture, level, width):
    reply = visitor.open_files(picture, picture_window="other", level=level, width=width)
    assert reply.payload is None
    assert "A window" in reply.message
    assert is_unanswered(reply)


@pytest.mark.parametrize("name", ["nobody", 5, [], {}, "../"])
def test_an_unknown_window_reads_nothing(visitor, picture, name):
    assert is_unanswered(visitor.open_files(picture, picture_window=name))


@pytest.mark.parametrize("number", [99, "x", [], {}, -1])
def test_a_series_that_was_never_offered_reads_nothing(visitor, head, number):
    visitor.open_files(head)
    assert is_unanswered(visitor.call("series", series=number))


def test_a_session_cannot_be_given_somebody_elses_last_upload(visitor, server, picture):
    """The last upload is on the server. A path in the call is ignored."""
    (place,) = visitor.upload(picture)
    with Visitor(server.url) as other:
        event = other.event_of("level")
        data = [other.parts[n].get("value", [place]) for n in event["inputs"]]
        assert other.run(event["id"], data).payload is None


# ---- doors that are closed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring",
        "/monitoring/summary",
        "/monitoring/guess",
        "/docs",
        "/redoc",
        "/openapi.json",
        f"{API}/runs",
        f"{API}/run-history/buckets",
        f"{API}/run-history/records",
        f"{API}/profiling/summary",
        f"{API}/vibe-code",
        f"{API}/mcp/sse",
        "/custom_component/x/y/z/w",
    ],
)
def test_a_door_that_nobody_needs_is_closed(visitor, path):
    assert visitor.http.get(path).status_code in (403, 404)


def test_no_private_event_is_told_or_answers_without_the_queue(visitor):
    output = visitor.http.get(f"{API}/info", params={"all_endpoints": "true"}).json()
    private = [event["api_name"] for event in visitor.events if event["api_visibility"] == "private"]
    assert private
    assert not {f"/{name}" for name in private} & set(output["named_endpoints"])
    for name in private:
        reply = visitor.http.post(f"{API}/run/{name}", json={"data": [], "session_hash": "x"})
        assert reply.status_code == 404
        assert not WORD_OF_A_FAULT.search(reply.text)


def test_another_site_may_not_read_what_this_computer_serves(visitor):
    for path in ("/config", f"{API}/queue/status"):
        reply = visitor.http.get(path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in reply.headers
    request = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in visitor.http.options(f"{API}/queue/join", headers=request).headers


def test_a_page_opened_in_a_sandbox_counts_as_another_site(visitor):
    reply = visitor.http.get("/config", headers={"Origin": "null"})
    assert "access-control-allow-origin" not in reply.headers


def test_the_headers_say_nothing_of_versions_and_set_no_cookie(visitor):
    headers = visitor.http.get("/").headers
    assert "set-cookie" not in headers
    assert not re.search(r"\d", headers["server"])
    assert "x-powered-by" not in headers


def test_the_page_holds_no_place_of_this_machine(visitor):
    for path in ("/", "/config"):
        assert str(ROOT) not in visitor.http.get(path).text


# ---- many at once ----------------------------------------------------------------------------------------------------


def test_a_full_queue_says_so_at_once_and_all_who_got_in_are_served(server, head):
    with ThreadPoolExecutor(28) as people:
        visitors = list(people.map(lambda _: Visitor(server.url), range(28)))
        paths = list(people.map(lambda item: item.upload(head)[0], visitors))
        replies = list(people.map(lambda item, path: item.call("files", files=[file_data(path)]), visitors, paths))
    for item in visitors:
        item.http.close()
    served, turned_away = ([r for r in replies if (r.status == 200) is forward] for forward in (True, False))
    assert len(served) >= 12
    assert turned_away
    assert all(len(reply.payload["slices"]) == 4 for reply in served)
    for reply in turned_away:
        assert reply.status == 503
        assert "Queue is full" in reply.text


def test_two_at_once_get_their_own_scan_each(server, head, picture):
    with ThreadPoolExecutor(8) as people:
        visits = [(Visitor(server.url), *(((picture, 1), (head, 4))[k % 2])) for k in range(8)]
        replies = list(people.map(lambda visit: visit[0].open_files(visit[1]), visits))
    for (item, _, slices), reply in zip(visits, replies, strict=True):
        item.http.close()
        assert len(reply.payload["slices"]) == slices


@pytest.mark.long
def test_200_bad_uploads_in_a_row_leave_memory_where_it_was(server, visitor, head):
    if np.isnan(server.memory_mb()):
        pytest.skip("This system does not tell the memory of another process (no /proc).")
    junk = np.random.default_rng(1)
    server.wait_until_idle()  # what the start leaves to do needs memory for a while
    visitor.open_files(head)
    for k in range(20):  # what the first requests import and cache is not growth
        visitor.open_files(_bad(k, head, junk))
    before = server.memory_mb()
    for k in range(200):
        reply = visitor.open_files(_bad(k, head, junk))
        assert reply.payload is None
        assert "class='wrong'" in reply.message
    assert server.memory_mb() - before < 100


def _bad(k, head, junk):
    """A file of 80 kB that differs each time: text, noise, a truncated scan, noise behind a DICOM preamble, a broken
    zip."""
    noise = junk.bytes(80_000)
    kinds = (b"dear diary " * 7000, noise, head[1][: 2000 + k], bytes(128) + b"DICM" + noise, b"PK\3\4" + noise)
    return f"bad{k}.dcm", kinds[k % len(kinds)] + bytes([k])


# ---- what is left behind ---------------------------------------------------------------------------------------------

SOON = """
import sys, gradio
sys.path.insert(0, ".")
import app
blocks = gradio.Blocks
gradio.Blocks = lambda **options: blocks(**{**options, "delete_cache": options["delete_cache"] and (1, 8)})
sys.exit(app.main())
"""


@pytest.mark.long
def test_an_upload_goes_by_itself_and_all_the_rest_when_the_server_stops(tmp_path, picture):
    """The app deletes uploads after half an hour. Here the time is eight seconds: Gradio deletes nothing if it is not
    set."""
    with Server(tmp_path, command=("-c", SOON)) as served, Visitor(served.url) as guest:
        assert guest.open_files(picture).payload
        (place,) = list(served.uploads.rglob(picture[0]))
        until = time.monotonic() + 60
        while place.exists() and time.monotonic() < until:
            time.sleep(0.2)
        assert not place.exists()
        guest.upload(picture)
        assert place.exists()
    assert not [path for path in served.uploads.rglob("*") if path.is_file() and path.stat().st_size]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_by_sigterm_or_ctrl_c_leaves_nothing_of_an_upload(tmp_path, picture, how):
    if signal.getsignal(how) is signal.SIG_IGN:
        pytest.skip("Whoever started the tests ignores this signal, and so does all that they start.")
    with Server(tmp_path) as served, Visitor(served.url) as guest:
        guest.upload(picture)
        assert list(served.uploads.rglob(picture[0]))
        served.stop(how)
        assert not list(served.uploads.rglob(picture[0]))


def test_nothing_is_said_aloud_of_what_was_brought(server, visitor):
    visitor.open_files(("DOE_JANE.dcm", b"dear diary of Jane Doe"))
    assert "JANE" not in server.log_text()
    assert "diary" not in server.log_text()


def test_altered_weights_stop_the_start(tmp_path):
    for shipped in WEIGHTS.glob("*.onnx"):
        (tmp_path / shipped.name).write_bytes(shipped.read_bytes()[:-1] + b"?")
        shutil.copy(shipped.with_suffix(".json"), tmp_path)
    command = [sys.executable, "app.py", "--weights", str(tmp_path)]
    stopped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert stopped.returncode == 2
    assert "SHA-256 differs" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "Running on" not in stopped.stdout


def test_it_listens_to_this_computer_alone(server):
    own = socket.gethostbyname(socket.gethostname())
    if own.startswith("127."):
        pytest.skip("This computer has no other address.")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{own}:{server.port}/", timeout=5)
