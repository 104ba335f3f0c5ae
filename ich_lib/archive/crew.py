"""Studies to lines with many workers: processes of this machine, or Dask's workers on others.

Dask and not Ray: it is pure Python (4 MB, not 70), runs wherever the library runs, has the same interface as Python's
own pools, and repeats a task if its worker dies. The work here is one call of some seconds per scan, which needs none
of Ray's additional features.

A fixed number of studies is in progress at a time, so the memory does not depend on the length of the list. Only this
process writes, so a study that was scored twice (for example because a worker died after its work) still has one line.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ich_lib.archive.lines import Lines
from ich_lib.archive.score import COLUMNS, failure, score

_AHEAD = 2  # studies in progress for each worker: one in work, one waiting
_MOST_DEATHS = 3  # of workers on one study


@dataclass(frozen=True)
class Order:
    """The settings for each study, see `score`."""

    weights: str = "shipped"
    names: tuple[str, ...] = ()
    out: str = ""
    believe: bool = False


def score_all(
    studies: Iterable[Path], lines: Lines, order: Order, *, workers: int | None = None, dask: str | None = None
) -> Iterator[dict]:
    """Score every study that has no line yet, and write its line.

    Args:
        studies: read as they are needed.
        lines: the file of lines.
        order: the settings for each study.
        workers: number of processes; None for one per core.
        dask: address of a scheduler whose workers see the same paths; None for processes of this machine.

    Returns:
        The lines, as they come: The lines, in the order in which they finish.

    Raises:
        OSError: if the scheduler cannot be reached.
    """
    waiting = (str(study) for study in studies)
    todo = (study for study in waiting if study not in lines.finished)
    crew = _dask_crew(dask) if dask else _local_crew(workers or count_cores())
    with crew as (ask, n_at_a_time):
        for line in _as_they_come(todo, lambda study: ask(study, order), n_at_a_time):
            if lines.add(line):
                yield line


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Ask = Callable[[str, Order], "Future[dict]"]


def _as_they_come(studies: Iterable[str], ask: Callable[[str], "Future[dict]"], n_at_a_time: int) -> Iterator[dict]:
    """Lines of all studies, with `n_at_a_time` in progress. If a worker dies, the work continues."""
    queue, deaths = iter(studies), dict[str, int]()
    running: dict[Future[dict], str] = {ask(study): study for study in islice(queue, n_at_a_time)}
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            study = running.pop(future)
            line = _line_of(future, study, deaths)
            if line is None:
                running[ask(study)] = study
                continue
            yield line
            running.update((ask(entry), entry) for entry in islice(queue, 1))


def _line_of(future: "Future[dict]", study: str, deaths: dict[str, int]) -> dict | None:
    """The result; None for a study that must be repeated, because the worker died and the study may not be the
    reason."""
    try:
        return future.result() | {"study": study}  # a worker on another machine got its whole path
    except BrokenProcessPool:
        deaths[study] = deaths.get(study, 0) + 1
        return None if deaths[study] < _MOST_DEATHS else _line_of_lost_study(study)
    except Exception as problem:  # noqa: BLE001 - a fault of ours in one scan must not end a night of others
        return _line_of_lost_study(study) if type(problem).__name__ == "KilledWorker" else _fault(study, problem)


def _line_of_lost_study(study: str) -> dict:
    reason = f"The process that scored it ended {_MOST_DEATHS} times. Score this study alone, with more memory."
    return dict.fromkeys(COLUMNS) | {"study": study} | failure("worker ended", reason)


def _fault(study: str, problem: Exception) -> dict:
    return dict.fromkeys(COLUMNS) | {"study": study} | failure(type(problem).__name__, f"Our fault: {problem}")


@contextmanager
def _local_crew(workers: int) -> Iterator[tuple[Ask, int]]:
    """Processes that start empty on every system. A broken pool is replaced, which Python's own cannot do."""
    pools: list[Executor] = []

    def ask(study: str, order: Order) -> "Future[dict]":
        for _ in range(2):
            if not pools:
                pools.append(ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")))
            try:
                return pools[-1].submit(score, study, *_arguments(order), believe=order.believe)
            except BrokenProcessPool:
                pools.pop().shutdown(wait=False)
        raise OSError("This system cannot start another process.")

    try:
        yield ask, workers * _AHEAD
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _dask_crew(address: str) -> Iterator[tuple[Ask, int]]:
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("--dask needs Dask: pip install -r requirements-archive.txt.") from None

    with Client(address, timeout=10, set_as_default=False) as client:
        pool = client.get_executor(pure=False, retries=0)
        threads = sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())
        yield (
            lambda study, order: pool.submit(
                score, str(Path(study).absolute()), *_arguments(order), believe=order.believe
            ),
            max(threads, 1) * _AHEAD,
        )


def _arguments(order: Order) -> tuple[str, Sequence[str], str]:
    return order.weights, order.names, order.out and str(Path(order.out).absolute())
