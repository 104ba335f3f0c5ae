"""Long work that reports its progress and can be stopped, and work ahead of time that lets it go first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Event, Thread
from typing import TypeVar

T = TypeVar("T")
_changed = Condition()
_n_awaited = 0  # works that somebody waits for
_QUIET_S = 1.0  # between reading a scan and looking for blood in it nothing is awaited for a moment


class Canceled(Exception):
    """Raised inside work that is no longer needed."""


def run_in_thread(work: Callable[[Callable[[float], None]], T], *, every_s: float = 0.3) -> Iterator[float | T]:
    """Run work in a thread of its own and tell how far it is.

    Closing the iterator, or dropping it, stops the work at its next report.

    Args:
        work: gets a function that it calls now and then with the share done, 0 to 1, and returns its result.
        every_s: seconds between two yields.

    Yields:
        The share done, as float; at last the result, which must be no float.

    Raises:
        Exception: what the work raised.
    """
    share, unwanted, done = [0.0], Event(), Event()
    results: list[T] = []
    problems: list[BaseException] = []

    def report(reached: float) -> None:
        if unwanted.is_set():
            raise Canceled
        share[0] = max(share[0], float(reached))

    def run() -> None:
        try:
            results.append(work(report))
        except BaseException as problem:  # noqa: BLE001 - it is raised again where the result is waited for
            problems.append(problem)
        finally:
            done.set()

    Thread(target=run, daemon=True).start()
    try:
        while not done.wait(every_s):
            yield share[0]
    finally:
        unwanted.set()
    for problem in problems:
        raise problem
    yield results[0]


@contextmanager
def awaited() -> Iterator[None]:
    """Mark work that somebody waits for, so that work ahead of time lets it go first; see `wait_for_quiet`."""
    global _n_awaited
    with _changed:
        _n_awaited += 1
        _changed.notify_all()
    try:
        yield
    finally:
        with _changed:
            _n_awaited -= 1
            _changed.notify_all()


def wait_for_quiet(quiet_s: float = _QUIET_S) -> None:
    """Return as soon as no awaited work has run for that many seconds."""
    with _changed:
        while _n_awaited or _changed.wait_for(lambda: _n_awaited > 0, quiet_s):
            _changed.wait_for(lambda: _n_awaited == 0)
