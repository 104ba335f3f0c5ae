"""The hospital side: listen."""

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ich_lib.commands.say import say
from ich_lib.notice import NOTICE

if TYPE_CHECKING:
    from ich_lib.hospital.settings import Settings


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    listen = commands.add_parser("listen", help="receive studies over DICOM and send results to archives")
    listen.add_argument("--folder", type=Path, required=True, help="folder for the ledger, received images and results")
    _add_senders(listen)
    _add_targets(listen)
    listen.add_argument("--weights", default="shipped", metavar="RUN", help="a run folder or an exported folder")
    listen.set_defaults(run=_listen)


def _add_senders(listen: argparse.ArgumentParser) -> None:
    senders = listen.add_argument_group("who may send")
    senders.add_argument("--title", default="ICHLIB", help="our AE title (default ICHLIB)")
    senders.add_argument("--host", default="127.0.0.1", help="address to listen on (default: only this computer)")
    senders.add_argument("--port", type=int, default=11112, help="port of C-STORE (default 11112; 0 for none)")
    senders.add_argument("--stow-port", type=int, metavar="N", help="port of DICOMweb STOW-RS (default: none)")
    senders.add_argument(
        "--caller", nargs="+", default=[], metavar="AETITLE", help="AE titles that may connect; all others are refused"
    )
    senders.add_argument(
        "--peer",
        nargs="+",
        default=["127.0.0.1"],
        metavar="ADDRESS",
        help="computers that may connect (default: only this one)",
    )
    senders.add_argument("--pull", default="", metavar="URL", help="a DICOMweb archive to fetch CT series from")
    senders.add_argument(
        "--series-idle",
        type=float,
        default=60,
        metavar="S",
        help="time after the last image until a series is closed (60)",
    )
    senders.add_argument(
        "--study-idle",
        type=float,
        default=900,
        metavar="S",
        help="time after the last image until a study is closed (900)",
    )
    senders.add_argument(
        "--disk",
        type=float,
        default=0.85,
        metavar="SHARE",
        help="share of the disk that may be used; above it, new images are refused",
    )
    senders.add_argument("--tls-cert", type=Path, metavar="PEM", help="our certificate; only TLS is then accepted")
    senders.add_argument("--tls-key", type=Path, metavar="PEM", help="its key")
    senders.add_argument(
        "--tls-ca", type=Path, metavar="PEM", help="authority that must have signed the callers' certificates"
    )


def _add_targets(listen: argparse.ArgumentParser) -> None:
    go = listen.add_argument_group("where results go")
    go.add_argument(
        "--send",
        nargs="+",
        default=[],
        metavar="URL",
        help="dicom://AETITLE@HOST:PORT, dicoms://, or https://HOST/PATH",
    )
    go.add_argument("--tries", type=int, default=6, help="tries to send one file to one target (default 6)")
    go.add_argument(
        "--wait", type=float, default=10, metavar="S", help="wait after the first failure, then doubled (10)"
    )
    go.add_argument("--timeout", type=float, default=30, metavar="S", help="wait for a target's answer (default 30)")
    go.add_argument("--retry", action="store_true", help="send the files that failed again, and exit")


def _settings(options: argparse.Namespace) -> "Settings":
    from ich_lib.hospital.settings import Settings, parse_target

    if not 0 < options.disk <= 1:
        raise ValueError(f"--disk is a share of the disk, such as 0.85; got {options.disk}.")
    if options.tries < 1:
        raise ValueError(f"--tries must be at least 1; got {options.tries}.")
    return Settings(
        folder=options.folder,
        title=options.title,
        host=options.host,
        port=options.port or None,
        stow_port=options.stow_port,
        callers=tuple(options.caller),
        peers=tuple(options.peer),
        targets=tuple(map(parse_target, options.send)),
        pull_url=options.pull,
        series_idle_s=options.series_idle,
        study_idle_s=options.study_idle,
        disk_share=options.disk,
        tries=options.tries,
        wait_s=options.wait,
        timeout_s=options.timeout,
        weights=options.weights,
        certificate=options.tls_cert,
        key=options.tls_key,
        authority=options.tls_ca,
    )


def _listen(options: argparse.Namespace) -> None:
    settings = _settings(options)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("ich.listen").setLevel(logging.INFO)
    try:
        _run(settings, is_retry=options.retry)
    except ModuleNotFoundError as problem:
        raise ValueError(f"listen needs {problem.name}: pip install -r requirements-hospital.txt.") from None


def _run(settings: "Settings", *, is_retry: bool) -> None:
    from threading import Event

    from ich_lib.hospital.listen import listening, send_waiting
    from ich_lib.reports.seg import PRIVACY

    if is_retry:
        failed = send_waiting(settings)
        say("\n".join(failed) if failed else "Everything was sent.")
        return
    if settings.port and not settings.callers:
        say("No --caller is named, so every association is refused.")
    with listening(settings):
        say(f"{NOTICE}\n{PRIVACY}\nListening on {settings.host}; Ctrl+C ends it.")
        Event().wait()
