"""Fetching a set from a server that fails in every way servers do. It runs on this machine; nothing leaves it."""

import _thread
import errno
import hashlib
import shutil
import signal
import socket
import struct
import threading
import time
from collections import namedtuple
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from ich_lib.datasets.fetch import PARTS, SOURCES, SUMS, FetchError, Listed, fetch, parse_sums, terms, verify

BIG = bytes(range(256)) * 2000  # 512,000 bytes, eight blocks
FILES = {
    "LICENSE.txt": b"Creative Commons Attribution 4.0",
    "Patients_CT/049/brain/1.jpg": BIG,
    "Patients_CT/049/brain/1_HGE_Seg.jpg": b"mask",
    "Patients_CT/049/bone/1 (copy).jpg": b"mask",  # two files of the same content, and a name to quote
}
SCAN = "Patients_CT/049/brain/1.jpg"
TRICKLED = 1000  # bytes that a slow line brings, one in 0.05 s, unless the client leaves
PAUSES = (0.31, 0.62)  # seconds, such as nobody else waits for
Usage = namedtuple("Usage", "total used free")
NEEDS_ACCOUNT = [name for name, source in SOURCES.items() if source.needs_account]


@dataclass
class Asked:
    path: str
    range: str | None
    sent: int | None = None  # None while it is being answered


class Server(ThreadingHTTPServer):
    """Serves `files`. `faults[path]` are used up one a request: what goes wrong that time."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.log = dict(FILES), {}, []
        self.list_files()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/files/ct-ich/1.0.0/"

    def list_files(self, **lies):
        lines = [f"{lies.get(p) or sha256(data)} {p}\n" for p, data in sorted(self.files.items()) if p != SUMS]
        self.files[SUMS] = "".join(lines).encode()

    @property
    def asked(self):
        """Every request so far, when all are answered: the client may be done before the server's thread is."""
        while any(asked.sent is None for asked in self.log):
            time.sleep(0.001)
        return self.log

    def requests(self, path):
        return [asked for asked in self.asked if asked.path == path]

    def handle_error(self, request, client_address):
        """A client that hangs up is no news here."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = unquote(self.path).removeprefix("/files/ct-ich/1.0.0/")
        waiting = self.server.faults.get(path, [])
        fault = waiting.pop(0) if waiting else None
        asked = Asked(path, self.headers.get("Range"))
        self.server.log.append(asked)
        self.sent = 0
        try:
            self.answer(path, fault)
        finally:
            asked.sent = self.sent

    def answer(self, path, fault):
        if isinstance(fault, int) or path not in self.server.files:
            self.head(fault or 404)
            return
        if isinstance(fault, str) and fault.startswith("http"):
            self.head(302, Location=fault)
            return
        data = fault[1] if isinstance(fault, tuple) else self.server.files[path]
        fault = fault[0] if isinstance(fault, tuple) else fault
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) if "Range" in self.headers else 0
        if start and fault != "no ranges":
            if start >= len(data):
                self.head(416)
                return
            if fault != "another stretch":
                data = data[start:]
            first = 0 if fault == "another stretch" else start
            self.head(206, **{"Content-Length": len(data), "Content-Range": f"bytes {first}-{start + len(data) - 1}/*"})
        else:
            self.head(200, **({} if fault == "no length" else {"Content-Length": len(data)}))
        self.body(data, fault)

    def head(self, code, **headers):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, str(value))
        self.end_headers()

    def body(self, data, fault):
        half = len(data) // 2 if fault in ("cut", "reset", "Ctrl-C") else len(data)
        data, rest = data[:half], data[half:]
        self.wfile.write(data)
        self.sent = len(data)
        if fault == "reset":
            time.sleep(0.05)  # a reset overtakes what the other side has not read yet
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        if fault == "Ctrl-C":
            time.sleep(0.3)  # until the other side has written what it got
            _thread.interrupt_main()
            self.trickle(rest)

    def trickle(self, rest):
        """A byte now and then until the client leaves: the connection lives, and is slow."""
        for byte in rest[:TRICKLED]:
            time.sleep(0.05)
            self.wfile.write(bytes([byte]))
            self.sent += 1

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    for owner, name in ((socket, "create_connection"), (socket, "getaddrinfo"), (socket.socket, "connect")):
        monkeypatch.setattr(owner, name, refuse)


def get(server, out, **options):
    """Fetch quietly and at once. `workers=1` where it matters what a failure leaves of the other files."""
    settings = {"progress": False, "say": lambda text: None, "waits_s": (0, 0)}
    return fetch("ct-ich", out, base_url=server.url, **(settings | options))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def content(folder):
    """Every file under a folder, hidden ones too."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def parts(folder):
    return sorted((folder / PARTS).glob("*.part"))


def limit(monkeypatch, **limits):
    monkeypatch.setitem(SOURCES, "ct-ich", replace(SOURCES["ct-ich"], **limits))


# What is said before anything is asked


def test_the_terms_are_said_before_the_first_request(server, tmp_path):
    said = []
    get(server, tmp_path / "set", say=lambda text: said.append((text, len(server.asked))))
    text, asked = said[0]
    assert asked == 0
    for words in ("CT-ICH 1.0.0", "CC BY 4.0", "Hssayeni", "10.13026/w8q8-ky94", "110 MB"):
        assert words in text


@pytest.mark.parametrize("name", NEEDS_ACCOUNT)
def test_a_set_behind_an_account_says_how_to_get_it_and_asks_no_server(name, tmp_path, no_network):
    said = []
    with pytest.raises(FetchError, match=f"{name} is not fetched by this command") as problem:
        fetch(name, tmp_path / "set", say=said.append)
    assert said == [terms(name)]
    assert SOURCES[name].needs_account in str(problem.value)
    assert not (tmp_path / "set").exists()


def test_every_set_behind_an_account_is_known_as_one():
    assert sorted(NEEDS_ACCOUNT) == ["cq500", "ct-ich-1.3.1", "renders", "rsna-2019"]
    command = "kaggle competitions download -c rsna-intracranial-hemorrhage-detection"
    assert SOURCES["rsna-2019"].needs_account.endswith(command)
    assert "Restricted Health Data License 1.5.0" in terms("ct-ich-1.3.1")


def test_an_unknown_set_is_refused_with_the_names_of_the_known(tmp_path):
    with pytest.raises(FetchError, match=r"no set 'ct-itch'\. Choose one of: ct-ich, "):
        fetch("ct-itch", tmp_path)


# A good line


def test_every_listed_file_arrives_and_nothing_else_is_left(server, tmp_path, capsys):
    assert get(server, tmp_path / "new" / "set", progress=True) == tmp_path / "new" / "set"
    assert content(tmp_path / "new" / "set") == server.files
    assert not (tmp_path / "new" / "set" / PARTS).exists()
    assert "4/4" in capsys.readouterr().err


def test_a_second_call_fetches_nothing_but_the_list(server, tmp_path):
    get(server, tmp_path)
    server.asked.clear()
    get(server, tmp_path)
    assert [asked.path for asked in server.asked] == [SUMS]


def test_a_file_damaged_here_is_named_and_replaced(server, tmp_path):
    get(server, tmp_path)
    (tmp_path / SCAN).write_bytes(b"half a picture")
    server.asked.clear()
    said = []
    get(server, tmp_path, say=said.append)
    assert said[1] == f"1 file here but not as published, to be replaced: {SCAN}."
    assert [asked.path for asked in server.asked] == [SUMS, SCAN]
    assert content(tmp_path) == server.files


def test_a_file_without_a_length_is_judged_by_its_hash(server, tmp_path):
    server.faults[SCAN] = ["no length"]
    get(server, tmp_path)
    assert (tmp_path / SCAN).read_bytes() == BIG


# A bad line


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_a_cut_file_goes_on_where_it_was_cut(fault, server, tmp_path):
    server.faults[SCAN] = [fault, fault]
    get(server, tmp_path)
    assert content(tmp_path) == server.files
    first, second, third = server.requests(SCAN)
    assert first.range is None
    assert second.range is not None
    assert third.range is not None
    assert sum(asked.sent for asked in (first, second, third)) < 1.5 * len(BIG)


def test_a_fetch_that_gave_up_goes_on_in_the_next_call(server, tmp_path):
    server.faults[SCAN] = ["cut"]
    with pytest.raises(FetchError, match=rf"{SCAN} did not come from 127.* in 1 tries .*goes on from there"):
        get(server, tmp_path, waits_s=(), workers=1)
    assert not (tmp_path / SCAN).exists()
    assert [part.stat().st_size for part in parts(tmp_path)] == [len(BIG) // 2]
    get(server, tmp_path)
    assert [(asked.range, asked.sent) for asked in server.requests(SCAN)] == [
        (None, 256_000),
        ("bytes=256000-", 256_000),
    ]
    assert content(tmp_path) == server.files


def test_a_server_that_cannot_go_on_sends_the_whole_file_and_it_is_not_appended(server, tmp_path):
    server.faults[SCAN] = ["cut", "no ranges"]
    get(server, tmp_path)
    assert (tmp_path / SCAN).read_bytes() == BIG


def test_a_server_that_goes_on_elsewhere_is_asked_from_the_start(server, tmp_path):
    server.faults[SCAN] = ["cut", "another stretch"]
    get(server, tmp_path)
    assert (tmp_path / SCAN).read_bytes() == BIG
    assert [asked.range for asked in server.requests(SCAN)] == [None, "bytes=256000-", None]


def test_a_file_that_changed_between_its_halves_is_started_over(server, tmp_path):
    server.faults[SCAN] = [("cut", BIG[::-1])]
    get(server, tmp_path)
    assert (tmp_path / SCAN).read_bytes() == BIG
    assert [asked.range for asked in server.requests(SCAN)] == [None, "bytes=256000-", None]


def test_a_half_of_an_older_version_is_not_continued(server, tmp_path):
    server.faults[SCAN] = ["cut"]
    with pytest.raises(FetchError, match="goes on"):
        get(server, tmp_path, waits_s=())
    server.files[SCAN] = BIG[::-1]
    server.list_files()
    get(server, tmp_path)
    assert content(tmp_path) == server.files
    assert [asked.range for asked in server.requests(SCAN)] == [None, None]


def test_a_part_longer_than_its_file_is_started_over(server, tmp_path):
    server.faults[SCAN] = ["cut"]
    with pytest.raises(FetchError, match="goes on"):
        get(server, tmp_path, waits_s=(), workers=1)
    parts(tmp_path)[0].write_bytes(BIG + b"more")
    get(server, tmp_path)
    assert content(tmp_path) == server.files


def test_a_part_that_is_whole_needs_no_request(server, tmp_path):
    server.faults[SCAN] = ["cut"]
    with pytest.raises(FetchError, match="goes on"):
        get(server, tmp_path, waits_s=(), workers=1)
    parts(tmp_path)[0].write_bytes(BIG)
    get(server, tmp_path)
    assert content(tmp_path) == server.files
    assert len(server.requests(SCAN)) == 1


def test_a_server_in_trouble_is_asked_again(server, tmp_path):
    server.faults = {SUMS: [503], SCAN: [500, 429]}
    get(server, tmp_path)
    assert content(tmp_path) == server.files
    assert len(server.requests(SCAN)) == 3


def test_after_three_tries_the_file_is_named(server, tmp_path):
    server.faults[SCAN] = [500] * 9
    with pytest.raises(FetchError, match=rf"{SCAN} did not come from 127.* in 3 tries \(HTTP 500\)"):
        get(server, tmp_path)
    assert len(server.requests(SCAN)) == 3


def test_the_pauses_between_tries_are_kept(server, tmp_path, monkeypatch):
    """Asked of the clock that waits, since a slow machine would seem to pause by itself."""
    server.faults[SCAN] = [500, 500]
    waits, wait = [], threading.Event.wait

    def noted(event, seconds=None):
        waits.append(seconds)
        return wait(event, 0 if seconds in PAUSES else seconds)

    monkeypatch.setattr(threading.Event, "wait", noted)
    get(server, tmp_path, waits_s=PAUSES, workers=1)
    assert [s for s in waits if s in PAUSES] == list(PAUSES)


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    with pytest.raises(FetchError, match=rf"{SUMS} did not come from 127.* in 2 tries"):
        fetch("ct-ich", tmp_path / "set", base_url=url, say=lambda text: None, waits_s=(0,))
    assert not (tmp_path / "set").exists()


def test_a_cut_list_is_fetched_again(server, tmp_path):
    server.faults[SUMS] = ["cut"]
    get(server, tmp_path)
    assert content(tmp_path) == server.files


# A wrong file, a missing file, a login


def test_a_wrong_hash_leaves_no_file_and_no_part_and_does_not_hold_up_the_others(server, tmp_path):
    server.list_files(**{SCAN: "0" * 64})
    with pytest.raises(FetchError, match=rf"{SCAN} from 127.* has the SHA-256 {sha256(BIG)[:12]}.*thrown away"):
        get(server, tmp_path)
    assert set(content(tmp_path)) == set(server.files) - {SCAN}
    assert not (tmp_path / PARTS).exists()


def test_a_file_the_server_does_not_have_is_named_and_the_others_arrive(server, tmp_path):
    server.faults[SCAN] = [404]
    with pytest.raises(FetchError, match=rf"does not have {SCAN} \(HTTP 404\)\. The same command tries again"):
        get(server, tmp_path)
    assert set(content(tmp_path)) == set(server.files) - {SCAN}
    assert len(server.requests(SCAN)) == 1


def test_a_server_that_has_none_of_them_is_not_asked_for_all(server, tmp_path):
    server.files = {f"{number}.jpg": b"" for number in range(200)}
    server.list_files()
    server.files = {SUMS: server.files[SUMS]}
    with pytest.raises(FetchError, match=r"more files could not be had either"):
        get(server, tmp_path, workers=2)
    assert len(server.asked) < 60


@pytest.mark.parametrize("path", [SUMS, SCAN])
def test_a_login_wall_is_called_one(path, server, tmp_path):
    server.faults[path] = [403]
    with pytest.raises(FetchError, match=r"only to those who log in \(HTTP 403\).*physionet\.org/content/ct-ich/"):
        get(server, tmp_path)
    assert len(server.requests(path)) == 1


def test_a_page_in_place_of_the_list_is_refused(server, tmp_path):
    server.files[SUMS] = b"<!doctype html>\n<title>Log in</title>\n"
    with pytest.raises(FetchError, match=r"line 1 is not a hash and a path.*login page"):
        get(server, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_pinned_list_must_be_the_one_that_is_known(server, tmp_path, monkeypatch):
    limit(monkeypatch, sums_sha256="0" * 64)
    with pytest.raises(FetchError, match="is not the one this program knows"):
        get(server, tmp_path)
    limit(monkeypatch, sums_sha256=sha256(server.files[SUMS]))
    get(server, tmp_path)
    assert content(tmp_path) == server.files


# Addresses


@pytest.mark.parametrize("url", ["http://physionet.org/files/", "ftp://127.0.0.1/", "file:///tmp/", "127.0.0.1"])
def test_an_address_without_https_is_refused_unasked(url, tmp_path, no_network):
    with pytest.raises(FetchError, match="not an https address"):
        fetch("ct-ich", tmp_path, base_url=url, say=lambda text: None)


@pytest.mark.parametrize("path", [SUMS, SCAN])
def test_a_redirect_away_from_https_is_not_followed(path, server, tmp_path):
    server.faults[path] = [f"http://127.0.0.2:{server.server_port}/elsewhere"]
    with pytest.raises(FetchError, match="to an address without https, which was not followed"):
        get(server, tmp_path)
    assert not server.requests("/elsewhere")
    assert not (tmp_path / SCAN).exists()


def test_a_redirect_on_this_machine_is_followed(server, tmp_path):
    server.faults[SCAN] = [server.url + SCAN]
    get(server, tmp_path)
    assert content(tmp_path) == server.files


# Paths and limits


@pytest.mark.parametrize(
    "path",
    [
        "../x.jpg", "a/../../x.jpg", "/tmp/x.jpg", "C:/x.jpg", "C:x.jpg", "a\\..\\x.jpg", "a//x.jpg", "a/./x.jpg", "..",
        "a/", "a/x.jpg.", "a/x.jpg ", "nul", "Aux.txt", "x.jpg:y", "a\x07.jpg", ".parts/x.jpg", ".PARTS/x.jpg",
        "sha256sums.txt",
    ],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_folder_or_is_no_name_everywhere_is_refused(path, server, tmp_path):
    server.files[SUMS] = f"{'0' * 64} good.jpg\n{'0' * 64} {path}\n".encode()
    with pytest.raises(FetchError, match=r"SHA256SUMS\.txt line 2 has the path .*Nothing was fetched"):
        get(server, tmp_path / "set")
    assert [asked.path for asked in server.asked] == [SUMS]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("between", [" ", "  ", " *", "  ./"])
def test_the_list_is_read_in_the_forms_that_are_written(between):
    assert parse_sums(f"{'A' * 64}{between}a/b c.jpg\n".encode()) == (Listed("a/b c.jpg", "a" * 64),)


def test_a_path_twice_is_refused_whatever_its_case():
    with pytest.raises(FetchError, match=r"lists 'a/X\.jpg' twice"):
        parse_sums(f"{'0' * 64} a/X.jpg\n{'1' * 64} A/x.jpg\n".encode())


def test_an_empty_or_endless_list_is_refused(server, tmp_path, monkeypatch):
    with pytest.raises(FetchError, match="has 0 lines; 1 to"):
        parse_sums(b"")
    limit(monkeypatch, most_files=3)
    with pytest.raises(FetchError, match="has 4 lines; 1 to 3 are taken"):
        get(server, tmp_path)


def test_more_bytes_than_the_set_can_have_are_refused_by_their_length(server, tmp_path, monkeypatch):
    limit(monkeypatch, most_bytes=200_000)
    with pytest.raises(FetchError, match="sends more than 0 MB, which is not this set"):
        get(server, tmp_path, workers=1)
    assert not parts(tmp_path)
    assert not (tmp_path / SCAN).exists()


def test_more_bytes_than_the_set_can_have_are_refused_as_they_arrive(server, tmp_path, monkeypatch):
    limit(monkeypatch, most_bytes=200_000)
    server.faults[SCAN] = ["no length"]
    with pytest.raises(FetchError, match="sends more than 0 MB, which is not this set"):
        get(server, tmp_path, workers=1)
    assert sum(part.stat().st_size for part in parts(tmp_path)) <= 200_000
    assert not (tmp_path / SCAN).exists()


# Disks


class FullDisk:
    """A file that takes one block and no more."""

    def __init__(self, file):
        self.file, self.blocks = file, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, block):
        self.blocks += 1
        if self.blocks > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.file.write(block)


def test_a_disk_that_fills_up_gets_the_part_back(server, tmp_path, monkeypatch):
    right = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(
            Path, "open", lambda p, mode="r", *a, **k: FullDisk(f) if (f := right(p, mode, *a, **k)).writable() else f
        )
        with pytest.raises(FetchError, match=r"disk of .* is full\. Make room, then the same command goes on"):
            get(server, tmp_path, workers=1)
    assert not parts(tmp_path)
    assert not (tmp_path / SCAN).exists()
    get(server, tmp_path)
    assert content(tmp_path) == server.files


def test_a_disk_too_small_for_the_set_is_refused_before_the_first_file(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 50_000_000))
    with pytest.raises(FetchError, match="has 50 MB free and the set takes 121 MB"):
        get(server, tmp_path / "set")
    assert [asked.path for asked in server.asked] == [SUMS]
    assert not (tmp_path / "set").exists()


def test_a_set_that_is_already_here_needs_no_room(server, tmp_path, monkeypatch):
    get(server, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 0))
    get(server, tmp_path)


def test_a_file_too_large_for_the_disk_is_refused_by_its_length(server, tmp_path, monkeypatch):
    limit(monkeypatch, bytes_about=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 1000))
    with pytest.raises(FetchError, match=rf"no room for {SCAN} \(0\.5 MB\)"):
        get(server, tmp_path, workers=1)
    assert not parts(tmp_path)


def test_a_folder_that_is_a_file_is_one_sentence(server, tmp_path):
    (tmp_path / "set").write_text("mine")
    with pytest.raises(FetchError, match="set cannot be written to"):
        get(server, tmp_path / "set")
    assert (tmp_path / "set").read_text() == "mine"


# Ctrl-C


def test_ctrl_c_leaves_only_parts_that_the_next_call_goes_on_with(server, tmp_path):
    server.files = {SCAN: BIG}
    server.list_files()
    server.faults[SCAN] = ["Ctrl-C"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            get(server, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert server.requests(SCAN)[0].sent < len(BIG) // 2 + TRICKLED  # the server would have gone on
    assert len(parts(tmp_path)) == 1
    assert set(content(tmp_path)) == {SUMS, parts(tmp_path)[0].relative_to(tmp_path).as_posix()}
    assert verify(tmp_path) == (f"1 file missing: {SCAN}.",)
    get(server, tmp_path)
    assert server.requests(SCAN)[1].range.startswith("bytes=25")
    assert content(tmp_path) == server.files
    assert not (tmp_path / PARTS).exists()


# Verifying


def test_a_fetched_folder_verifies(server, tmp_path):
    assert verify(get(server, tmp_path)) == ()


def test_verify_names_what_is_missing_changed_and_extra(server, tmp_path):
    get(server, tmp_path)
    (tmp_path / "LICENSE.txt").unlink()
    (tmp_path / SCAN).write_bytes(BIG[:-1] + b"\0")
    for number in range(7):
        (tmp_path / "Patients_CT" / f"{number}.jpg").touch()
    assert verify(tmp_path) == (
        "1 file missing: LICENSE.txt.",
        f"1 file not what SHA256SUMS.txt says: {SCAN}.",
        "7 files not in SHA256SUMS.txt: Patients_CT/0.jpg, Patients_CT/1.jpg, Patients_CT/2.jpg, "
        "Patients_CT/3.jpg, Patients_CT/4.jpg and 2 more.",
    )


def test_verify_without_a_list_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no SHA256SUMS\.txt"):
        verify(tmp_path)


def test_verify_looks_at_no_path_outside_the_folder(tmp_path):
    (tmp_path / SUMS).write_text(f"{'0' * 64} ../x.jpg\n")
    with pytest.raises(FetchError, match=r"line 1 has the path '\.\./x\.jpg'"):
        verify(tmp_path)
