"""The demo as a running process, and a visitor who talks to it over HTTP as a browser does, or as nobody should."""

import contextlib
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

ROOT = Path(__file__).parents[1]
API = "/gradio_api"


class Server:
    """`python app.py` on a free port, or `command` in its place; what it says lies in `folder`."""

    def __init__(self, folder: Path, *options: str, command: Sequence[str] = ("app.py",), **environment: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.uploads, self._log = f"http://127.0.0.1:{self.port}", folder / "uploads", folder / "said.txt"
        told = {"GRADIO_TEMP_DIR": str(self.uploads), "GRADIO_ANALYTICS_ENABLED": "False", **environment}
        line = [sys.executable, *command, "--port", str(self.port), *options]
        self.started = time.perf_counter()
        with self._log.open("w") as said:
            self.process = subprocess.Popen(
                line, cwd=ROOT, env={**os.environ, **told}, stdout=said, stderr=subprocess.STDOUT
            )

    def __enter__(self):
        until = time.monotonic() + 90
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(self.url, timeout=10).raise_for_status()
                self.start_s = time.perf_counter() - self.started
                return self
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"app.py does not answer: {self.said()[-2000:]}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # as Ctrl+C does
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def said(self) -> str:
        return self._log.read_text()

    def memory_mb(self) -> float:
        """Resident memory of the process and of all that it started; NaN where /proc is missing."""
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
        shown: what the viewer gets, or None.
        said: sentences in other outputs, joined.
    """

    status: int
    text: str = ""
    shown: dict | None = None
    said: str = ""
    succeeded: bool = False


@dataclass
class Visitor:
    """One session: own name, own connection. Parts of the page are found by their elem_id, never by their number."""

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
        """The event that reads the part `elem_id` and changes the most."""
        reading = [event for event in self.events if self.number(elem_id) in event["inputs"]]
        return max(reading, key=lambda event: len(event["outputs"]))

    def upload(self, *files: tuple[str, bytes]) -> list[str]:
        """The files' places on the server."""
        answer = self.http.post(f"{API}/upload", files=[("files", file) for file in files])
        answer.raise_for_status()
        return answer.json()

    def bring(self, *files: tuple[str, bytes], **told) -> Reply:
        """Upload files and have them read."""
        return self.call("files", files=[file_data(path) for path in self.upload(*files)], **told)

    def call(self, elem_id: str, **told) -> Reply:
        """Run the event behind a part; `told` are values by elem_id ("_" for "-"), the rest is as the page opens."""
        event = self.event_of(elem_id)
        values = {name.replace("_", "-"): value for name, value in told.items()}
        data = [
            values.get(self.parts[number].get("elem_id"), self.parts[number].get("value")) for number in event["inputs"]
        ]
        return self.run(event["id"], data, event["outputs"])

    def join(self, number: int, data: list) -> httpx.Response:
        body = {"data": data, "fn_index": number, "session_hash": self.session, "trigger_id": None, "event_data": None}
        return self.http.post(
            f"{API}/queue/join",
            content=json.dumps(body),
            headers={"Content-Type": "application/json", "Connection": "close"},  # after a fault the server closes it
        )

    def run(self, number: int, data: list, outputs: Sequence[int] = ()) -> Reply:
        """Join the queue with whatever data and wait for the last word."""
        joined = self.join(number, data)
        if joined.status_code != 200:
            return Reply(joined.status_code, joined.text)
        text = [joined.text]
        for message in self.messages():
            text.append(json.dumps(message, ensure_ascii=False))
            if message["msg"] in ("process_completed", "unexpected_error"):
                return _reply("\n".join(text), message)
        return Reply(200, "\n".join(text))

    def messages(self) -> Iterator[dict]:
        with self.http.stream("GET", f"{API}/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])


def file_data(path: str) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def _reply(text: str, message: dict) -> Reply:
    values = (message.get("output") or {}).get("data") or []
    values = [value.get("value") if isinstance(value, dict) and "__type__" in value else value for value in values]
    shown = next((value for value in values if isinstance(value, dict) and "slices" in value), None)
    said = " ".join(value for value in values if isinstance(value, str))
    return Reply(200, text, shown, said, bool(message.get("success")))
