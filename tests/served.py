"""The demo as a running process, and a visitor that uses it over HTTP like a browser or like an attacker."""

import contextlib
import copy
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from gradio_client.utils import apply_diff

ROOT = Path(__file__).parents[1]
API = "/gradio_api"
ON_DEMAND = ("-m", "tests.app.on_demand")  # for `Server`: a sample is made when a page opens it


class Server:
    """`python app.py` on a free port, or `command` in its place. Its output is in `folder`."""

    def __init__(self, folder: Path, *options: str, command: Sequence[str] = ("app.py",), **environment: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.uploads, self._log = f"http://127.0.0.1:{self.port}", folder / "uploads", folder / "said.txt"
        output = {"GRADIO_TEMP_DIR": str(self.uploads), "GRADIO_ANALYTICS_ENABLED": "False", **environment}
        line = [sys.executable, *command, "--port", str(self.port), *options]
        self.started = time.perf_counter()
        with self._log.open("w") as message:
            self.process = subprocess.Popen(
                line, cwd=ROOT, env={**os.environ, **output}, stdout=message, stderr=subprocess.STDOUT
            )

    def __enter__(self):
        until = time.monotonic() + 300
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(self.url, timeout=10).raise_for_status()
                self.start_s = time.perf_counter() - self.started
                return self
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"app.py does not answer: {self.log_text()[-2000:]}")

    def __exit__(self, *_):
        self.stop()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end; its return code. SIGINT is ignored if a shell started the tests in the background."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def worked_s(self) -> float | None:
        """CPU time so far, which other work on the machine does not change; None if /proc is missing."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        if not stat.is_file():
            return None
        user, system = stat.read_text().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def wait_until_idle(self) -> None:
        """Wait for three seconds in which the process does almost nothing."""
        before, worked_s = None, self.worked_s()
        while worked_s is not None and (before is None or worked_s - before > 0.2):
            time.sleep(3)
            before, worked_s = worked_s, self.worked_s()

    def log_text(self) -> str:
        return self._log.read_text()

    def memory_mb(self) -> float:
        """Resident memory of the process and of all its children; NaN if /proc is missing."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        family = {self.process.pid}
        while more := {child for child, parent in parents.items() if parent in family} - family:
            family |= more
        return sum(map(_resident_mb, family)) if parents else float("nan")


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class Reply:
    """What came back for one call.

    Attributes:
        status: of HTTP, for the call itself.
        text: every byte that came back, as text.
        payload: what the viewer has in the end, or None.
        message: sentences in other outputs, joined.
    """

    status: int
    text: str = ""
    payload: dict | None = None
    message: str = ""
    succeeded: bool = False


@dataclass
class Visitor:
    """One session with its own name and connection. Parts of the page are found by their elem_id, never by their
    number."""

    url: str
    session: str = field(default_factory=lambda: secrets.token_hex(6))

    def __post_init__(self):
        self.http = httpx.Client(base_url=self.url, timeout=120)
        config = self.http.get("/config").json()
        self.parts = {part["id"]: part["props"] for part in config["components"]}
        self.events = [event for event in config["dependencies"] if event["backend_fn"]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

    def number(self, elem_id: str) -> int:
        return next(number for number, props in self.parts.items() if props.get("elem_id") == elem_id)

    def event_of(self, elem_id: str) -> dict:
        """The event that reads the part `elem_id` and changes the most outputs."""
        reading = [event for event in self.events if self.number(elem_id) in event["inputs"]]
        return max(reading, key=lambda event: len(event["outputs"]))

    def upload(self, *files: tuple[str, bytes]) -> list[str]:
        """The paths of the files on the server."""
        answer = self.http.post(f"{API}/upload", files=[("files", file) for file in files])
        answer.raise_for_status()
        return answer.json()

    def open_files(self, *files: tuple[str, bytes], **box_values) -> Reply:
        """Upload files and have them read."""
        return self.call("files", files=[file_data(path) for path in self.upload(*files)], **box_values)

    def call(self, elem_id: str, **box_values) -> Reply:
        """Run the event of a part and what follows it.

        `box_values` are values by elem_id ("_" for "-"); the others are those of the page as it opens.
        """
        values = {name.replace("_", "-"): value for name, value in box_values.items()}
        event = self.event_of(elem_id)
        while True:
            given = [(self.parts[number].get("elem_id"), self.parts[number].get("value")) for number in event["inputs"]]
            reply = self.run(event["id"], [values.get(name, as_opened) for name, as_opened in given])
            after = [item for item in self.events if item["trigger_after"] == event["id"]]
            if not after or not reply.succeeded:
                return reply
            (event,) = after

    def join(self, number: int, data: list) -> httpx.Response:
        body = {"data": data, "fn_index": number, "session_hash": self.session, "trigger_id": None, "event_data": None}
        return self.http.post(
            f"{API}/queue/join",
            content=json.dumps(body),
            headers={"Content-Type": "application/json", "Connection": "close"},  # after an error the server closes it
        )

    def run(self, number: int, data: list) -> Reply:
        """Join the queue with any data and wait for the last message."""
        joined = self.join(number, data)
        if joined.status_code != 200:
            return Reply(joined.status_code, joined.text)
        text, visited = [joined.text], _Message()
        for message in self.messages():
            text.append(json.dumps(message, ensure_ascii=False))
            if message["msg"] in ("process_generating", "process_completed"):
                visited.take(message)
            if message["msg"] in ("process_completed", "unexpected_error"):
                return Reply(200, "\n".join(text), visited.payload, visited.message(), bool(message.get("success")))
        return Reply(200, "\n".join(text))

    def messages(self) -> Iterator[dict]:
        with self.http.stream("GET", f"{API}/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])


def file_data(path: str) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


class _Message:
    """What a page shows after some messages: the last value of each output, and the viewer's value, joined as the page
    does it.

    After the first part of a result Gradio sends only the differences from the part before.
    """

    def __init__(self):
        self.sent, self.now, self.payload = None, [], None

    def take(self, message: dict) -> None:
        data = (message.get("output") or {}).get("data") or []
        if message["msg"] == "process_generating" and self.sent is not None:
            data = [apply_diff(old, edits) for old, edits in zip(self.sent, data, strict=True)]
        if message["msg"] == "process_generating":
            self.sent = copy.deepcopy(data)
        self.now += [None] * (len(data) - len(self.now))
        for k, value in enumerate(data):
            updated = isinstance(value, dict) and "__type__" in value
            if updated and "value" not in value:
                continue
            self.now[k] = value["value"] if updated else value
            self._show(self.now[k])

    def _show(self, value) -> None:
        if not isinstance(value, dict):
            return
        if "slices" in value:
            self.payload = value
        elif self.payload and value.get("to") == self.payload["id"]:
            report = {**self.payload["report"], **value.get("report", {})}
            self.payload = {**self.payload, **value, "report": report}

    def message(self) -> str:
        return " ".join(value for value in self.now if isinstance(value, str))
