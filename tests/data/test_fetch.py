"""Fetch a set from a server that has the faults of real servers. It runs on this machine; no request leaves it."""

import _thread
import errno
import hashlib
import shutil
import signal
import socket
import threading
import time
from collections import namedtuple
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pooch
import pytest

from ich_lib.data.checksums import SUMS, verify
from ich_lib.data.fetch import FetchError, fetch
from ich_lib.data.public_sets import PUBLIC_SETS, terms

BIG = bytes(range(256)) * 2000  # 512,000 bytes, eight blocks
FILES = {
    "LICENSE.txt": b"Creative Commons Attribution 4.0",
    "Patients_CT/049/brain/1.jpg": BIG,
    "Patients_CT/049/brain/1_HGE_Seg.jpg": b"mask",
    "Patients_CT/049/bone/1 (copy) #2.jpg": b"mask",  # two files with the same content, and a name that needs quoting
}
SCAN = "Patients_CT/049/brain/1.jpg"
Usage = namedtuple("Usage", "total used free")
NEEDS_ACCOUNT = [name for name, known in PUBLIC_SETS.items() if known.needs_account]


@dataclass
class LoggedRequest:
    path: str
    connection: int
    answered: bool = False


class Server(ThreadingHTTPServer):
    """Serves `files`. Each request uses up one of `faults[path]`: the fault of that request."""

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
    def request_log(self):
        """Every request so far, after all are answered: the client may finish before the server's thread."""
        while not all(request.answered for request in self.log):
            threading.Event().wait(0.001)
        return self.log

    def requests(self, path):
        return [request for request in self.request_log if request.path == path]

    def handle_error(self, request, client_address):
        """A client that hangs up is not an error here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open

    def do_GET(self):
        path = unquote(self.path).removeprefix("/files/ct-ich/1.0.0/")
        waiting = self.server.faults.get(path, [])
        fault = waiting.pop(0) if waiting else None
        request = LoggedRequest(path, self.client_address[1])
        self.server.log.append(request)
        try:
            self.answer(path, fault)
        finally:
            request.answered = True

    def answer(self, path, fault):
        if isinstance(fault, int) or path not in self.server.files:
            self.head(fault or 404, **{"Content-Length": 0})
        elif isinstance(fault, str) and fault.startswith("http"):
            self.head(302, Location=fault, **{"Content-Length": 0})
        else:
            data = self.server.files[path]
            self.head(200, **({"Connection": "close"} if fault == "no length" else {"Content-Length": len(data)}))
            self.body(data, fault)

    def head(self, code, **headers):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, str(value))
        self.end_headers()

    def body(self, data, fault):
        half = len(data) // 2 if fault in ("cut", "Ctrl-C") else len(data)
        self.wfile.write(data[:half])
        if fault == "Ctrl-C":
            _thread.interrupt_main()
        if fault in ("cut", "Ctrl-C"):
            self.close_connection = True

    def log_message(self, *_):
        """No log lines."""


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The waits between tries in seconds, recorded without waiting."""
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    for owner, name in ((socket, "create_connection"), (socket, "getaddrinfo"), (socket.socket, "connect")):
        monkeypatch.setattr(owner, name, refuse)


def get(server, out, **options):
    """Fetch without a bar. `workers=1` where a test depends on which files are there after a failure."""
    return fetch("ct-ich", out, base_url=server.url, **({"progress": False, "tell_user": lambda text: None} | options))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def content(folder):
    """Every file under a folder, including hidden ones."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def limit(monkeypatch, **limits):
    monkeypatch.setitem(PUBLIC_SETS, "ct-ich", replace(PUBLIC_SETS["ct-ich"], **limits))


# The output before any server is contacted


def test_the_terms_are_said_before_the_first_request(server, tmp_path):
    message = []
    get(server, tmp_path / "set", tell_user=lambda text: message.append((text, len(server.request_log))))
    text, request = message[0]
    assert request == 0
    for words in ("CT-ICH 1.0.0", "CC BY 4.0", "Hssayeni", "10.13026/w8q8-ky94", "110 MB"):
        assert words in text


@pytest.mark.parametrize("name", NEEDS_ACCOUNT)
def test_a_set_behind_an_account_says_how_to_get_it_and_asks_no_server(name, tmp_path, no_network):
    message = []
    with pytest.raises(FetchError, match=f"{name} cannot be downloaded by this command") as problem:
        fetch(name, tmp_path / "set", tell_user=message.append)
    assert message == [terms(name)]
    assert PUBLIC_SETS[name].needs_account in str(problem.value)
    assert not (tmp_path / "set").exists()


def test_every_set_behind_an_account_is_known_as_one():
    assert sorted(NEEDS_ACCOUNT) == ["cq500", "ct-ich-1.3.1", "renders", "rsna-2019"]
    command = "kaggle competitions download -c rsna-intracranial-hemorrhage-detection"
    assert PUBLIC_SETS["rsna-2019"].needs_account.endswith(command)
    assert "Restricted Health Data License 1.5.0" in terms("ct-ich-1.3.1")


def test_an_unknown_set_is_refused_with_the_names_of_the_known(tmp_path):
    with pytest.raises(ValueError, match=r"no set 'ct-itch'\. Choose one of: ct-ich, "):
        fetch("ct-itch", tmp_path)


# A good line


def test_every_listed_file_arrives_and_nothing_else_is_left(server, tmp_path, capsys):
    assert get(server, tmp_path / "new" / "set", progress=True) == tmp_path / "new" / "set"
    assert content(tmp_path / "new" / "set") == server.files
    assert verify(tmp_path / "new" / "set") == ()
    assert "4/4" in capsys.readouterr().err


def test_a_second_call_fetches_nothing_but_the_list(server, tmp_path):
    get(server, tmp_path)
    server.request_log.clear()
    get(server, tmp_path)
    assert [request.path for request in server.request_log] == [SUMS]


def test_a_file_damaged_here_is_named_and_replaced(server, tmp_path):
    get(server, tmp_path)
    (tmp_path / SCAN).write_bytes(b"half a picture")
    server.request_log.clear()
    message = []
    get(server, tmp_path, tell_user=message.append)
    assert message[1] == f"1 file here but not as published, to be replaced: {SCAN}."
    assert [request.path for request in server.request_log] == [SUMS, SCAN]
    assert content(tmp_path) == server.files


def test_a_file_without_a_length_is_judged_by_its_hash(server, tmp_path):
    server.faults[SCAN] = ["no length"]
    get(server, tmp_path)
    assert (tmp_path / SCAN).read_bytes() == BIG


def test_many_files_come_over_a_few_connections(server, tmp_path):
    server.files = {f"{number}.jpg": b"%d" % number for number in range(60)}
    server.list_files()
    get(server, tmp_path, workers=2)
    assert content(tmp_path) == server.files
    assert len({request.connection for request in server.request_log}) <= 2


def test_files_are_as_readable_as_any_that_the_user_makes(server, tmp_path):
    get(server, tmp_path / "set")
    (tmp_path / "mine").touch()
    assert (tmp_path / "set" / SCAN).stat().st_mode == (tmp_path / "mine").stat().st_mode


def test_folders_are_made_before_threads_share_them(server, tmp_path, monkeypatch):
    """pooch checks whether a folder exists and then makes it. Two threads that do this at once fail."""
    right, forward = pooch.Pooch.fetch, []

    def noted(store, path, **options):
        forward.append((store.abspath / path).parent.is_dir())
        return right(store, path, **options)

    monkeypatch.setattr(pooch.Pooch, "fetch", noted)
    get(server, tmp_path)
    assert forward == [True] * (1 + len(FILES))


# A bad line


def test_a_cut_file_is_fetched_again(server, tmp_path, pauses):
    server.faults = {SUMS: ["cut"], SCAN: ["cut", "cut"]}
    get(server, tmp_path)
    assert content(tmp_path) == server.files
    assert len(server.requests(SCAN)) == 3
    assert sorted(pauses) == [1, 1, 2]


def test_a_fetch_that_gave_up_continues_with_what_is_missing(server, tmp_path):
    server.faults[SCAN] = ["cut"] * 3
    with pytest.raises(
        FetchError,
        match=rf"{SCAN} did not come from 127.* in 3 tries .* again to "
        rf"download what is missing",
    ):
        get(server, tmp_path)
    assert set(content(tmp_path)) == set(server.files) - {SCAN}
    assert verify(tmp_path) == (f"1 file missing: {SCAN}.",)
    server.request_log.clear()
    get(server, tmp_path)
    assert [request.path for request in server.request_log] == [SUMS, SCAN]
    assert content(tmp_path) == server.files


def test_a_server_in_trouble_is_asked_again(server, tmp_path):
    server.faults = {SUMS: [503], SCAN: [500, 429]}
    get(server, tmp_path)
    assert content(tmp_path) == server.files
    assert len(server.requests(SCAN)) == 3


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    with pytest.raises(FetchError, match=rf"{SUMS} did not come from 127.* in 3 tries"):
        fetch("ct-ich", tmp_path / "set", base_url=url, tell_user=lambda text: None)
    assert not (tmp_path / "set").exists()


# A wrong file, a missing file, a login


def test_a_wrong_hash_leaves_no_file_and_does_not_hold_up_the_others(server, tmp_path):
    server.list_files(**{SCAN: "0" * 64})
    with pytest.raises(FetchError, match=rf"{SCAN} did not come .*hash .*{sha256(BIG)}"):
        get(server, tmp_path)
    assert set(content(tmp_path)) == set(server.files) - {SCAN}


def test_a_file_the_server_does_not_have_is_named_and_the_others_arrive(server, tmp_path):
    server.faults[SCAN] = [404] * 3
    with pytest.raises(FetchError, match=rf"{SCAN} did not come .*404.*\. Run the same command again"):
        get(server, tmp_path)
    assert set(content(tmp_path)) == set(server.files) - {SCAN}


def test_a_server_that_has_none_of_them_is_not_asked_for_all(server, tmp_path):
    server.files = {f"{number}.jpg": b"" for number in range(200)}
    server.list_files()
    server.files = {SUMS: server.files[SUMS]}
    with pytest.raises(FetchError, match=r"19 more files failed too"):
        get(server, tmp_path, workers=2)
    assert len({request.path for request in server.request_log}) < 60


@pytest.mark.parametrize("path", [SUMS, SCAN])
def test_a_login_wall_is_called_one(path, server, tmp_path):
    server.faults[path] = [403]
    with pytest.raises(FetchError, match=r"requires a login \(HTTP 403\).*physionet\.org/content/ct-ich/"):
        get(server, tmp_path)
    assert len(server.requests(path)) == 1


def test_a_page_in_place_of_the_list_is_refused(server, tmp_path):
    server.files[SUMS] = b"<!doctype html>\n<title>Log in</title>\n"
    with pytest.raises(ValueError, match=r"line 1 is not a hash and a path.*login page"):
        get(server, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_list_with_a_path_out_of_the_folder_is_refused_before_any_file_is_asked_for(server, tmp_path):
    server.files[SUMS] = f"{'0' * 64} good.jpg\n{'0' * 64} ../x.jpg\n".encode()
    with pytest.raises(ValueError, match=r"line 2 has the path '\.\./x\.jpg'"):
        get(server, tmp_path / "set")
    assert [request.path for request in server.request_log] == [SUMS]
    assert not list(tmp_path.iterdir())


def test_a_pinned_list_must_be_the_one_that_is_known(server, tmp_path, monkeypatch):
    limit(monkeypatch, sums_sha256="0" * 64)
    with pytest.raises(FetchError, match=r"SHA256SUMS\.txt did not come .*hash .*Nothing was downloaded"):
        get(server, tmp_path)
    limit(monkeypatch, sums_sha256=sha256(server.files[SUMS]))
    get(server, tmp_path)
    assert content(tmp_path) == server.files


# Addresses


@pytest.mark.parametrize("url", ["http://physionet.org/files/", "ftp://127.0.0.1/", "file:///tmp/", "127.0.0.1"])
def test_an_address_without_https_is_refused_unasked(url, tmp_path, no_network):
    with pytest.raises(FetchError, match="is not an https address"):
        fetch("ct-ich", tmp_path, base_url=url, tell_user=lambda text: None)


@pytest.mark.parametrize("path", [SUMS, SCAN])
def test_a_redirect_away_from_https_is_not_followed(path, server, tmp_path):
    server.faults[path] = [f"http://127.0.0.2:{server.server_port}/elsewhere"]
    with pytest.raises(FetchError, match="or redirects to one that is not"):
        get(server, tmp_path)
    assert not server.requests("/elsewhere")
    assert not (tmp_path / SCAN).exists()


def test_a_redirect_on_this_machine_is_followed(server, tmp_path):
    server.faults[SCAN] = [server.url + SCAN]
    get(server, tmp_path)
    assert content(tmp_path) == server.files


# Disks


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_no_half_a_file(server, tmp_path, monkeypatch):
    right = Path.open

    def full(path, mode="r", *rest, **options):
        if mode == "wb" and path.stem.startswith("tmp") and path.parent.name == "brain":
            raise OSError(errno.ENOSPC, "No space left on device")
        return right(path, mode, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(FetchError, match=r"cannot be written to \(No space left on device\)\. Make room"):
            get(server, tmp_path, workers=1)
    assert set(content(tmp_path)) <= set(server.files) - {SCAN}
    get(server, tmp_path)
    assert content(tmp_path) == server.files


def test_a_disk_too_small_for_the_set_is_refused_before_the_first_file(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 50_000_000))
    with pytest.raises(FetchError, match="has 50 MB free and the set takes 121 MB"):
        get(server, tmp_path / "set")
    assert [request.path for request in server.request_log] == [SUMS]
    assert not (tmp_path / "set").exists()


def test_a_set_that_is_already_here_needs_no_room(server, tmp_path, monkeypatch):
    get(server, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 0))
    get(server, tmp_path)


def test_a_folder_that_is_a_file_is_one_sentence(server, tmp_path):
    (tmp_path / "set").write_text("mine")
    with pytest.raises(FetchError, match="set cannot be written to"):
        get(server, tmp_path / "set")
    assert (tmp_path / "set").read_text() == "mine"


# Ctrl-C


def test_ctrl_c_leaves_whole_files_alone_and_the_next_call_continues(server, tmp_path):
    server.faults[SCAN] = ["Ctrl-C"] + ["cut"] * 9
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            get(server, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert content(tmp_path).items() <= server.files.items()
    assert SCAN not in content(tmp_path)
    server.faults.clear()
    get(server, tmp_path)
    assert content(tmp_path) == server.files
