"""Studies to lines on many workers: processes of this machine, or Dask's workers on others.

Dask rather than Ray: it is pure Python (4 MB, not 70), runs wherever the library runs, gives the very interface of
Python's own pools, and deals a task out anew when its worker dies. Work here is one call of seconds a scan, which needs
none of what Ray is larger for.

A fixed number of studies is on its way at a time, so memory stays flat however long the list is; this process alone
writes, so a study that was scored twice, as when a worker died after its work, still has one line.
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

_AHEAD = 2  # studies on their way for each worker: one in work, one waiting
_MOST_DEATHS = 3  # of workers over one study


@dataclass(frozen=True)
class Order:
    """What is asked of each study, see `score`."""

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
        lines: where they are written.
        order: what is asked of each.
        workers: processes; None for one a core.
        dask: address of a scheduler, whose workers see the same paths; None for processes of this machine.

    Returns:
        The lines, as they come: in no order.

    Raises:
        OSError: if the scheduler cannot be reached.
    """
    waiting = (str(study) for study in studies)
    todo = (study for study in waiting if study not in lines.done)
    crew = _dask_crew(dask) if dask else _local_crew(workers or count_cores())
    with crew as (ask, most):
        for line in _as_they_come(todo, lambda study: ask(study, order), most):
            if lines.add(line):
                yield line


def count_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Ask = Callable[[str, Order], "Future[dict]"]


def _as_they_come(studies: Iterable[str], ask: Callable[[str], "Future[dict]"], most: int) -> Iterator[dict]:
    """Lines of all studies, of which `most` are on their way at a time; a worker that dies is survived."""
    queue, deaths = iter(studies), dict[str, int]()
    running: dict[Future[dict], str] = {ask(study): study for study in islice(queue, most)}
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            study = running.pop(future)
            line = _line_of(future, study, deaths)
            if line is None:
                running[ask(study)] = study
                continue
            yield line
            running.update((ask(one), one) for one in islice(queue, 1))


def _line_of(future: "Future[dict]", study: str, deaths: dict[str, int]) -> dict | None:
    """What came back; None for a study to be asked for again, since the worker died and may not have died of it."""
    try:
        return future.result() | {"study": study}  # a worker elsewhere was given its whole path
    except BrokenProcessPool:
        deaths[study] = deaths.get(study, 0) + 1
        return None if deaths[study] < _MOST_DEATHS else _lost(study)
    except Exception as problem:  # noqa: BLE001 - a fault of ours in one scan must not end a night of others
        return _lost(study) if type(problem).__name__ == "KilledWorker" else _fault(study, problem)


def _lost(study: str) -> dict:
    why = f"The process that scored it ended {_MOST_DEATHS} times. Score this study alone, with more memory."
    return dict.fromkeys(COLUMNS) | {"study": study} | failure("worker ended", why)


def _fault(study: str, problem: Exception) -> dict:
    return dict.fromkeys(COLUMNS) | {"study": study} | failure(type(problem).__name__, f"Our fault: {problem}")


@contextmanager
def _local_crew(workers: int) -> Iterator[tuple[Ask, int]]:
    """Processes that start empty, as on every system; a pool that broke is replaced, which Python's own cannot do."""
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
