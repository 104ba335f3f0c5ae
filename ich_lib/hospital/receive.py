"""Receive images: the rules for accepting them, and DICOM's C-STORE and C-ECHO. There is no C-FIND, C-GET or C-MOVE.

Source: DICOM PS3.4 B (storage), GG.4 (its status codes); PS3.7 C (those of every service).
"""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydicom import dcmread
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from ich_lib.hospital.ledger import Image, Ledger, hashed_uid
from ich_lib.hospital.settings import Settings, server_tls

if TYPE_CHECKING:
    from pynetdicom.transport import ThreadedAssociationServer

SUCCESS, OUT_OF_RESOURCES, NOT_OURS, NOT_UNDERSTOOD, NOT_ALLOWED = 0x0000, 0xA700, 0xA900, 0xC000, 0x0124
INCOMING = "incoming"
STORED = (CTImageStorage, EnhancedCTImageStorage)
_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_SYNTAXES = (  # the ones that `ich_lib.readers.codecs` decodes
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"),
    *("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"),
    *("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"),
)
_MOST_SENDERS = 50  # at a time; a refused sender tries again
log = logging.getLogger("ich.listen")


@dataclass(frozen=True)
class StoreResult:
    """The result for an image: a status of C-STORE, the reason in words, and its series if it is known."""

    status: int
    reason: str = ""
    series: str = ""
    sop: str = ""
    sop_class: str = ""


def has_room(settings: Settings) -> bool:
    """Whether the disk has space for new work."""
    disk = shutil.disk_usage(settings.folder)
    return disk.used / disk.total < settings.disk_share


def keep(
    path: Path, ledger: Ledger, settings: Settings, *, only_study: str = "", clock: Callable[[], float] = time.time
) -> StoreResult:
    """Accept an image in a local file. It is moved to its place first, then noted, then confirmed. A known image is
    confirmed again, because its sender may not have received the confirmation.

    Args:
        path: a DICOM file; it is removed, whether accepted or not.
        ledger: for the note.
        settings: of `listen`.
        only_study: the required study; "" for any.
        clock: seconds.
    """
    try:
        header = dcmread(path, specific_tags=[*_UIDS, "SOPClassUID", "Modality"], stop_before_pixels=True)
        sop, series, study = (str(header[name].value) for name in _UIDS)
        sop_class = str(header.SOPClassUID)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds, and quotes the file
        path.unlink()
        return StoreResult(NOT_UNDERSTOOD, "no DICOM image")
    names = {"series": series, "sop": sop, "sop_class": sop_class}
    if sop_class not in STORED or header.get("Modality") != "CT":
        path.unlink()
        return StoreResult(NOT_OURS, "not a CT image", **names)
    if only_study not in ("", study):
        path.unlink()
        return StoreResult(NOT_OURS, "of another study", **names)
    if not has_room(settings):
        path.unlink()
        return StoreResult(OUT_OF_RESOURCES, "the disk is full", **names)
    place = settings.folder / INCOMING / _name(series) / f"{_name(sop)}.dcm"
    place.parent.mkdir(parents=True, exist_ok=True)
    path.replace(place)
    now = clock()
    if ledger.add_image(Image(sop, series, study, str(place)), now, now + settings.series_idle_s):
        log.info("image %s of series %s", hashed_uid(sop), hashed_uid(series))
    return StoreResult(SUCCESS, **names)


def new_file(settings: Settings) -> Path:
    """A place for an incoming image. Files that a killed process left there are deleted."""
    folder = settings.folder / INCOMING / "arriving"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{os.getpid()}-{time.monotonic_ns()}-{os.urandom(4).hex()}.part"


def write_file(path: Path, data: bytes) -> None:
    """Write the file so that it survives a loss of power."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _name(uid: str) -> str:
    """A file's name for a UID. The UID comes from outside and may contain anything."""
    return hashlib.sha256(uid.encode()).hexdigest()[:32]


def is_allowed(address: str, settings: Settings) -> bool:
    """Whether a computer may connect."""
    return address.removeprefix("::ffff:") in settings.peers


def start_server(ledger: Ledger, settings: Settings) -> "ThreadedAssociationServer":
    """Listen for C-STORE and C-ECHO in separate threads; `shutdown` stops it."""
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

    ae = AE(ae_title=settings.title)
    ae.require_called_aet, ae.require_calling_aet = True, list(settings.callers) or ["(nobody)"]
    ae.maximum_associations, ae.network_timeout = _MOST_SENDERS, 60
    ae.add_supported_context(Verification)
    for sop_class in STORED:
        ae.add_supported_context(sop_class, list(_SYNTAXES))
    series_of_association: dict[int, set[str]] = {}  # series of each association

    def connected(event: Any) -> None:
        if not is_allowed(event.address[0], settings):
            log.warning("a computer that is not allowed was refused")
            event.assoc.dul.socket.close()

    def store(event: Any) -> int:
        path = new_file(settings)
        write_file(path, event.encoded_dataset())
        image = keep(path, ledger, settings)
        series_of_association.setdefault(id(event.assoc), set()).add(image.series)
        if image.status:
            log.warning("image %s refused: %s", hashed_uid(image.sop), image.reason)
        return image.status

    def broke_off(event: Any) -> None:
        for series in series_of_association.pop(id(event.assoc), set()):
            log.warning("the sender of series %s broke off", hashed_uid(series))
            ledger.give_time(series, time.time() + settings.study_idle_s)

    def released(event: Any) -> None:
        series_of_association.pop(id(event.assoc), None)

    handlers: list[Any] = [
        (evt.EVT_CONN_OPEN, connected),
        (evt.EVT_C_STORE, store),
        (evt.EVT_C_ECHO, lambda event: SUCCESS),
        (evt.EVT_ABORTED, broke_off),
        (evt.EVT_CONN_CLOSE, broke_off),
        (evt.EVT_RELEASED, released),
    ]
    place = (settings.host, settings.port or 0)
    served = ae.start_server(place, block=False, evt_handlers=handlers, ssl_context=server_tls(settings))
    return cast("ThreadedAssociationServer", served)
