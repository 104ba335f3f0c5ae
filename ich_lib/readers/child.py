"""Decoding in a separate process with limits: a harmful file can damage the decoder, but not the caller.

A child process reads the files and writes the arrays as .npy to a private folder. It returns the rest as JSON, never as
a pickle. LIMITS restrict its memory, processor time and time. If a child crashes, hangs or exceeds a limit, it is
ended, the user gets a message, and the next upload gets a new child. A child that succeeds is kept, which saves the
time of its imports. On a system without such limits (Windows) only the time limit works.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from threading import Lock, Timer
from typing import IO, Any, cast

import numpy as np

from ich_lib.readers.limits import LIMITS, RANGES
from ich_lib.readers.refusal import ReadError
from ich_lib.scan import Acquisition, Scan

_COMMAND = [sys.executable, "-c", "from ich_lib.readers.child import serve; serve()"]
_READERS = "ich_lib.readers"  # asks a child to read; only the child itself uses the readers
_VALUES = "values.npy"
_MOST_READINGS = 100  # then a new one starts, because libraries leak memory
_KEPT_BYTES = str(256 << 20)  # for glibc
_MANY_PAGES = 50_000  # of 4 kB; above this, a child returns its memory. A child that has read a head holds 40,000
_MARK = "array"  # key of an array in JSON
_ACQUISITION = "acquisition"


class Child:
    """One process that reads files; see `serve`."""

    def __init__(self) -> None:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
            "MALLOC_ARENA_MAX": "2",  # the limit of memory counts reserved memory
            "MALLOC_MMAP_THRESHOLD_": _KEPT_BYTES,  # else each volume causes its page faults again: a third of the time
            "MALLOC_TRIM_THRESHOLD_": _KEPT_BYTES,
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.readings, self._timed_out = 0, False
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the output may quote the file, and so name the patient
            env=environment,
        )
        self._questions = cast("IO[bytes]", self._process.stdin)  # the process was started with pipes
        self._answers = cast("IO[bytes]", self._process.stdout)

    def ask(self, question: dict) -> dict:
        """The answer of the child.

        Raises:
            ReadError: if the child ended or took too long.
        """
        self.readings += 1
        timer = Timer(LIMITS["decode_s"], self._end_at_timeout)
        timer.daemon = True
        timer.start()
        try:
            self._questions.write(json.dumps(question).encode() + b"\n")
            self._questions.flush()
            answer = self._answers.readline()
        except OSError:  # it has already ended
            answer = b""
        finally:
            timer.cancel()
        if not answer.endswith(b"\n"):
            raise ReadError(
                f"{question['name']} {self._failure_reason()}", code="too large" if self._timed_out else "damaged"
            )
        return json.loads(answer)

    def alive(self) -> bool:
        """Whether the child accepts another request."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the child, even if it is working."""
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for stream in (self._questions, self._answers):
            with suppress(OSError):
                stream.close()

    def _end_at_timeout(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _failure_reason(self) -> str:
        """Why there was no answer, and what the user can do."""
        code = self._process.wait()
        if self._timed_out or code == -_signal("SIGXCPU"):
            return f"took more than {LIMITS['decode_s' if self._timed_out else 'decode_cpu_s']} s to decode. {_ADVICE}"
        if code == -_signal("SIGKILL"):
            return f"needs more memory than is available. {_ADVICE}"
        return _STOPPED


_STOPPED = "could not be decoded: its decoder stopped. Export it again, without compression."
_ADVICE = "Give one head scan, in thicker slices or without compression."
_idle: list[Child] = []
_at_work: dict[str, Child] = {}  # by the folder of the result
_lock = Lock()


def read_scan(name: str, paths: Sequence[str | os.PathLike], **options: Any) -> Scan:
    """`read` in a child.

    Args:
        name: of the upload, for messages.
        paths: as in `read`, in a list.
        **options: as in `read`.

    Raises:
        ReadError: as `read` does, and if the child ended or took too long.
    """
    fields, hu = _answer(name, "scan", paths, options)
    return Scan(hu=hu, **{key: _from_plain(value) for key, value in fields.items()})


def read_mask(name: str, paths: Sequence[str | os.PathLike], **options: Any) -> np.ndarray:
    """`read_truth` in a child, see `read_scan`."""
    return _answer(name, "mask", paths, {key: _plain(value) for key, value in options.items()})[1]


def list_parts(name: str, paths: Sequence[str | os.PathLike]) -> list[str]:
    """`ich_lib.readers.parts.list_parts` in a child, see `read_scan`."""
    return _answer(name, "parts", paths, {})[0]["parts"]


def _answer(name: str, work: str, paths: Sequence[str | os.PathLike], options: dict) -> tuple[dict, np.ndarray]:
    child = _idle_child()
    try:
        with TemporaryDirectory(prefix="ich-") as folder, _working(folder, child):
            question = {"work": work, "name": name, "paths": [os.path.abspath(path) for path in paths]}  # noqa: PTH100
            answer = child.ask(question | {"options": options, "folder": folder, "limits": LIMITS, "ranges": RANGES})
            values = _loaded(name, Path(folder) / _VALUES) if "told" in answer else None
    except BaseException:
        child.end()
        raise
    _keep(child)
    if "refused" in answer:
        raise ReadError(**answer["refused"])
    if values is None:  # an error of this library
        raise RuntimeError(f"the child failed: {answer.get('fault')}")
    return answer["told"], values


@contextmanager
def _working(folder: str, child: Child) -> Iterator[None]:
    """Remember what to delete if the caller ends during the reading."""
    _at_work[folder] = child
    try:
        yield
    finally:
        del _at_work[folder]


def _loaded(name: str, path: Path) -> np.ndarray:
    """The array, memory-mapped if the system can delete a mapped file. Its pages are private, and nothing is copied."""
    try:
        return np.asarray(np.load(path, mmap_mode=None if os.name == "nt" else "c", allow_pickle=False))
    except (OSError, ValueError) as problem:  # a hijacked decoder may write anything
        raise ReadError(f"{name} {_STOPPED}", code="damaged") from problem


def _idle_child() -> Child:
    with _lock:
        child = _idle.pop() if _idle else None
    if child and child.alive():
        return child
    if child:  # it ended while it waited, perhaps for lack of memory
        child.end()
    return Child()


def _keep(child: Child) -> None:
    """Keep one child, for a limited number of uploads."""
    with _lock:
        if not _idle and child.readings < _MOST_READINGS:
            _idle.append(child)
            return
    child.end()


def warm() -> None:
    """Start a child before the first upload, which saves the wait."""
    with _lock:
        if not _idle:
            _idle.append(Child())


def end_idle() -> None:
    """End the waiting child."""
    with _lock:
        while _idle:
            _idle.pop().end()


@atexit.register
def end_all() -> None:
    """End every child, even while it works, and delete what it read. Threads end without a chance to do so."""
    end_idle()
    for folder, child in list(_at_work.items()):
        child.end()
        rmtree(folder, ignore_errors=True)


def _signal(name: str) -> int:
    import signal

    return int(getattr(signal, name, 1 << 16))  # Windows has no such limits


def _plain(value: Any) -> Any:
    """A field of `Scan` as a JSON value."""
    if isinstance(value, np.ndarray):
        return {_MARK: value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, Acquisition):
        return {_ACQUISITION: asdict(value)}
    return value.item() if isinstance(value, np.generic) else value


def _from_plain(value: Any) -> Any:
    """The field from its JSON value; lists become tuples."""
    if isinstance(value, dict) and _MARK in value:
        return np.array(value[_MARK], np.dtype(value["dtype"]))
    if isinstance(value, dict) and _ACQUISITION in value:
        return Acquisition(**value[_ACQUISITION])
    return tuple(_from_plain(item) for item in value) if isinstance(value, list) else value


# --- in the child --------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests, one line of JSON each, until the input ends."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of a library must not mix with the answers
    _ignore_interrupts()
    for line in sys.stdin.buffer:
        question = json.loads(line)
        LIMITS.update(question["limits"])  # the modules of the caller
        RANGES.update((name, tuple(ends)) for name, ends in question["ranges"].items())
        _limit()
        channel.write(json.dumps(_answered(question)).encode() + b"\n")
        channel.flush()
        _give_back_memory()


def _answered(question: dict) -> dict:
    import traceback

    try:
        answer, values = _WORK[question["work"]](question)
        np.save(Path(question["folder"]) / _VALUES, values, allow_pickle=False)
    except ReadError as problem:
        return {"refused": problem.as_plain()}
    except MemoryError:
        return {
            "refused": {
                "reason": f"{question['name']} needs more memory than is available. {_ADVICE}",
                "code": "too large",
            }
        }
    except Exception as problem:  # noqa: BLE001 - without its message, which may quote the file
        return {"fault": f"{type(problem).__name__} {''.join(traceback.format_tb(problem.__traceback__))}"}
    return {"told": answer}


def _scan(question: dict) -> tuple[dict, np.ndarray]:
    scan = import_module(_READERS).read(
        question["paths"], **{key: _from_plain(value) for key, value in question["options"].items()}
    )
    return {field.name: _plain(getattr(scan, field.name)) for field in fields(scan) if field.name != "hu"}, scan.hu


def _mask(question: dict) -> tuple[dict, np.ndarray]:
    return {}, import_module(_READERS).read_truth(
        question["paths"], **{k: _from_plain(value) for k, value in question["options"].items()}
    )


def _parts(question: dict) -> tuple[dict, np.ndarray]:
    return {"parts": import_module(f"{_READERS}.parts").list_parts(question["paths"])}, np.zeros(0)


_WORK: dict[str, Callable[[dict], tuple[dict, np.ndarray]]] = {"scan": _scan, "mask": _mask, "parts": _parts}


def _ignore_interrupts() -> None:
    """Ctrl+C in a terminal goes to all processes; the caller decides when the child ends."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _limit() -> None:
    """Set the limits. The limit of processor time counts the whole life of a process, so it is raised for each
    request."""
    with suppress(ImportError):  # Windows has no such module
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(usage.ru_utime + usage.ru_stime) + 1 + LIMITS["decode_cpu_s"]
        for limit, maximum in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, LIMITS["volume_bytes"]),
            (resource.RLIMIT_AS, LIMITS["decode_bytes"]),
            (resource.RLIMIT_CPU, seconds),
        ):
            with suppress(ValueError, OSError):  # macOS refuses some of them
                resource.setrlimit(limit, (maximum, resource.getrlimit(limit)[1]))


def _give_back_memory() -> None:
    """Ask glibc to return freed memory to the system, which matters after a large scan."""
    if sys.platform == "linux" and int(Path("/proc/self/statm").read_text().split()[1]) > _MANY_PAGES:
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
