"""Settings of `ich listen`: the allowed senders, the targets, and the waiting times."""

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
_TARGET = re.compile(r"(?P<scheme>dicoms?)://(?P<title>[^@/]{1,16})@(?P<host>[^:/]+):(?P<port>\d+)/?")


@dataclass(frozen=True)
class Target:
    """An archive that receives the results.

    Attributes:
        url: as given; its name in the ledger.
        title: its AE title; "" for DICOMweb.
        host, port: of DICOM.
        tls: whether DICOM goes through TLS.
    """

    url: str
    title: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False


@dataclass(frozen=True)
class Settings:
    """How `listen` listens.

    Attributes:
        folder: for the ledger, received images and results.
        title: our AE title.
        host: address to listen on; by default only this computer.
        port: of C-STORE; None for none.
        stow_port: of DICOMweb STOW; None for none.
        callers: AE titles that may connect. All others are refused; if it is empty, every caller is refused.
        peers: addresses that may connect.
        targets: the archives for the results.
        pull_url: a DICOMweb archive whose CT series are downloaded; "" for none.
        series_idle_s: a series without a new image for this time is closed and analyzed.
        study_idle_s: a study without a new image for this time is closed, and its images are deleted. A series with an
            interrupted transfer also waits this long.
        disk_share: if more of the disk is used, new work is refused.
        tries: to send one file to one target.
        wait_s: after the first failed try; doubled after each.
        timeout_s: for the answer of a target.
        weights: as in `load`.
        certificate, key, authority: PEM files for TLS; with an authority, callers need a certificate signed by it.
    """

    folder: Path
    title: str = "ICHLIB"
    host: str = LOOPBACK
    port: int | None = 11112
    stow_port: int | None = None
    callers: tuple[str, ...] = ()
    peers: tuple[str, ...] = (LOOPBACK,)
    targets: tuple[Target, ...] = ()
    pull_url: str = ""
    series_idle_s: float = 60
    study_idle_s: float = 900
    disk_share: float = 0.85
    tries: int = 6
    wait_s: float = 10
    timeout_s: float = 30
    weights: str = "shipped"
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None


def parse_target(url: str) -> Target:
    """A target from its address.

    Raises:
        ValueError: if the address is not valid.

    Example:
        >>> from ich_lib.hospital.settings import parse_target
        >>> parse_target("dicom://PACS@10.1.2.3:104").port
        104
        >>> parse_target("https://archive/dicom-web").title
        ''
    """
    if re.match(r"https?://.", url):
        return Target(url)
    if not (match := _TARGET.fullmatch(url)):
        raise ValueError(
            f"A target is dicom://AETITLE@HOST:PORT, dicoms:// for TLS, or https://HOST/PATH; got {url!r}."
        )
    return Target(url, match["title"], match["host"], int(match["port"]), match["scheme"] == "dicoms")


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """For incoming connections; None without a certificate."""
    if not settings.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.authority)
    context.load_cert_chain(settings.certificate, settings.key)
    context.verify_mode = ssl.CERT_REQUIRED if settings.authority else ssl.CERT_NONE
    return context


def client_tls(settings: Settings) -> ssl.SSLContext:
    """For targets, which are checked with the authority, or with those of the system."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=settings.authority)
    if settings.certificate:
        context.load_cert_chain(settings.certificate, settings.key)
    return context
