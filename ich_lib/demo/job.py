"""Long work that reports its progress and can be stopped."""

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")


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
