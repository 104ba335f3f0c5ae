"""Run the receivers, the analysis, and one sender for each target, until they are stopped."""

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from threading import Event, Thread

from ich_lib.hospital import deliver, pull, receive, stow, work
from ich_lib.hospital.ledger import FAILED, Ledger
from ich_lib.hospital.settings import Settings
from ich_lib.lock import hold_lock
from ich_lib.prediction.engine import Models, load

LEDGER, LOCK = "ledger.sqlite", "ledger.lock"
_REST_S = 0.5  # between checks of the ledger
_PULL_S = 60
_TALKERS = ("pydicom", "pynetdicom", "highdicom", "dicomweb_client")  # their lines may quote a file
log = logging.getLogger("ich.listen")


@contextmanager
def listening(settings: Settings) -> Iterator[Ledger]:
    """Listen as long as the block runs.

    Args:
        settings: the allowed senders and the targets.

    Raises:
        OSError: if a port is taken.
        ValueError: if another process uses the folder, or if the model draws no mask.
        FileNotFoundError: as in `load`.
    """
    models, stopped = load(settings.weights), Event()
    if models.segmenter is None:
        raise ValueError(f"{settings.weights} draws no mask to send. Choose a model that outlines blood.")
    settings.folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(settings.folder / LOCK), closing(Ledger(settings.folder / LEDGER)) as ledger, ExitStack() as ends:
        _start(ledger, settings, models, stopped, ends)
        yield ledger


def _start(ledger: Ledger, settings: Settings, models: Models, stopped: Event, ends: ExitStack) -> None:
    """Start everything; `ends` stops it in reverse: first the signal to stop, then the threads, then the ports."""
    ends.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")  # messages of pydicom and highdicom quote the file, and so name the patient
    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def analyze() -> bool:
        ledger.close_due(time.time())
        work.forget(ledger, settings, time.time())
        return work.analyze_next(ledger, settings, models)

    jobs: list[Callable[[], bool]] = [analyze]
    jobs += [partial(deliver.deliver_next, ledger, settings, target, time.time) for target in settings.targets]
    threads = [Thread(target=_repeat, args=(job, stopped)) for job in jobs]
    if settings.pull_url:
        threads.append(
            Thread(target=_repeat, args=(lambda: not pull.pull(ledger, settings) and False, stopped, _PULL_S))
        )
    if settings.port is not None:
        ends.callback(receive.start_server(ledger, settings).shutdown)
    if settings.stow_port is not None:
        ends.callback(_serve_stow(ledger, settings))
    for thread in threads:
        thread.start()
        ends.callback(thread.join)
    ends.callback(stopped.set)


def _repeat(job: Callable[[], bool], stopped: Event, rest_s: float = _REST_S) -> None:
    """Repeat a job as long as there is work, then check again a moment later. A failed job is tried again."""
    while not stopped.is_set():
        try:
            busy = job()
        except Exception as problem:  # noqa: BLE001 - an archive that is gone, a disk that is full
            log.error("%s; trying again", type(problem).__name__)
            busy = False
        if not busy:
            stopped.wait(rest_s)


def _serve_stow(ledger: Ledger, settings: Settings) -> Callable[[], None]:
    """Run STOW in a separate thread; returns the function that stops it."""
    import uvicorn

    config = uvicorn.Config(
        stow.build_app(ledger, settings),
        host=settings.host,
        port=settings.stow_port or 0,
        log_config=None,
        access_log=False,  # its lines contain UIDs
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        ssl_ca_certs=str(settings.authority) if settings.authority else None,
        ssl_cert_reqs=2 if settings.authority else 0,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    if not server.started:
        raise OSError(f"Port {settings.stow_port} cannot be listened on.")

    def end() -> None:
        server.should_exit = True
        thread.join()

    return end


def send_waiting(settings: Settings) -> list[str]:
    """Give every failed file another set of tries, now; returns the reasons of those that still failed.

    Raises:
        ValueError: if another process uses the folder.
    """
    with hold_lock(settings.folder / LOCK), closing(Ledger(settings.folder / LEDGER)) as ledger:
        deliver.retry(ledger, settings)
        for target in settings.targets:
            while deliver.deliver_next(ledger, settings, target, lambda: float("inf")):
                pass
        return [f"{delivery.target}: {delivery.reason}" for delivery in ledger.deliveries(FAILED)]
