"""Send files to every target in order, by C-STORE or STOW, with a limited number of tries. Then move them to a folder
with the reason."""

import logging
import shutil
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.dataset import Dataset

from ich_lib.hospital.ledger import FAILED, SENDING, SENT, WAITING, Delivery, Ledger, hashed_uid
from ich_lib.hospital.settings import Settings, Target, client_tls

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient
    from pynetdicom.association import Association

ERRORS, REASON_FILE = "errors", "why.txt"
_LONGEST_WAIT_S = 3600
log = logging.getLogger("ich.listen")


class NotSent(Exception):
    """A file that did not arrive; the text says why, without any content of the file."""


def deliver_next(ledger: Ledger, settings: Settings, target: Target, clock: Callable[[], float]) -> bool:
    """Send the first file that is due to a target; False if there is none.

    The state is noted before and after. A file that a killed process left as "sending" may have arrived, so the target
    is queried.
    """
    delivery = ledger.next_delivery(target.url, clock())
    if delivery is None:
        return False
    try:
        if delivery.state == WAITING or not is_there(delivery, target, settings):
            ledger.set_delivery(delivery, SENDING)
            send(Path(delivery.path), target, settings)
        ledger.set_delivery(delivery, SENT)
        log.info("file %s sent", hashed_uid(delivery.sop))
    except NotSent as problem:
        _note_failure(ledger, settings, delivery, str(problem), clock())
    except OSError as problem:  # of the local disk
        _note_failure(ledger, settings, delivery, f"the file cannot be read: {type(problem).__name__}", clock())
    return True


def _note_failure(ledger: Ledger, settings: Settings, delivery: Delivery, reason: str, now: float) -> None:
    tries = delivery.tries + 1
    if tries < settings.tries:
        wait_s = min(settings.wait_s * 2 ** (tries - 1), _LONGEST_WAIT_S)
        ledger.set_delivery(delivery, WAITING, failed=1, due=now + wait_s, reason=reason)
        log.warning("file %s not sent, try %d of %d: %s", hashed_uid(delivery.sop), tries, settings.tries, reason)
        return
    folder = error_folder(settings, delivery)
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # the file itself may be missing
        shutil.copyfile(delivery.path, folder / Path(delivery.path).name)
    (folder / REASON_FILE).write_text(
        f"Not sent to {delivery.target} after {tries} tries. The last one: {reason}\n"
        "When the target takes files again, run: ich listen --retry\n",
        encoding="utf-8",
    )
    ledger.set_delivery(delivery, FAILED, failed=1, reason=reason)
    log.error("file %s given up: %s", hashed_uid(delivery.sop), reason)


def error_folder(settings: Settings, delivery: Delivery) -> Path:
    """The place of a file after its last try."""
    return settings.folder / ERRORS / f"{delivery.id:06d}"


def retry(ledger: Ledger, settings: Settings) -> int:
    """Set every failed file to waiting again; returns their number."""
    for delivery in ledger.deliveries(FAILED):
        shutil.rmtree(error_folder(settings, delivery), ignore_errors=True)
    return ledger.retry()


def send(path: Path, target: Target, settings: Settings) -> None:
    """Send a file once.

    Raises:
        NotSent: unless the target confirms that it has the file.
    """
    file = dcmread(path)
    if target.title:
        _c_store(file, target, settings)
    else:
        _stow(file, target, settings)


def is_there(delivery: Delivery, target: Target, settings: Settings) -> bool:
    """Whether a target has a file already; False if it cannot be queried. If the file is sent again, it has the same
    UID, and an archive keeps it once."""
    header = dcmread(delivery.path, stop_before_pixels=True)
    try:
        return _c_find(header, target, settings) if target.title else _qido(header, target, settings)
    except NotSent:
        return False


def _association(target: Target, settings: Settings, *contexts: str) -> "Association":
    from pynetdicom import AE

    try:  # pynetdicom leaves its socket open if there is no answer
        socket.create_connection((target.host, target.port), settings.timeout_s).close()
    except OSError:
        raise NotSent("the target does not answer") from None
    ae = AE(ae_title=settings.title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = settings.timeout_s
    for context in contexts:
        ae.add_requested_context(context, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
    tls = (client_tls(settings), target.host) if target.tls else None
    association = ae.associate(target.host, target.port, ae_title=target.title, tls_args=tls)
    if association.is_established:
        return association
    raise NotSent("the target refused the association" if association.is_rejected else "the target does not answer")


def _c_store(file: Dataset, target: Target, settings: Settings) -> None:
    association = _association(target, settings, file.SOPClassUID)
    try:
        status = association.send_c_store(file)
    except ValueError:
        raise NotSent("the target does not take files of this kind") from None
    finally:
        association.release()
    if "Status" not in status:
        raise NotSent("the target broke off or took too long")
    if status.Status != 0 and status.Status >> 12 != 0xB:  # a warning: it was stored
        raise NotSent(f"the target answered with status 0x{status.Status:04X}")


def _c_find(header: Dataset, target: Target, settings: Settings) -> bool:
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(query, name, header[name].value)
    association = _association(target, settings, Find)
    try:
        return any(match is not None for _, match in association.send_c_find(query, Find))
    except ValueError:  # it does not support queries
        return False
    finally:
        association.release()


def _client(target: Target, settings: Settings) -> "DICOMwebClient":
    from dicomweb_client.api import DICOMwebClient
    from dicomweb_client.session_utils import create_session

    session = create_session()
    if settings.authority:
        session.verify = str(settings.authority)
    session.request = _timed(session.request, settings.timeout_s)  # type: ignore[method-assign]
    client = DICOMwebClient(target.url, session=session)
    client.set_http_retry_params(retry=False)
    return client


def _timed(request: Callable, timeout_s: float) -> Callable:
    return lambda *arguments, **options: request(*arguments, **{"timeout": timeout_s, **options})


def _stow(file: Dataset, target: Target, settings: Settings) -> None:
    from requests import RequestException

    try:
        answer = _client(target, settings).store_instances([file])
    except RequestException as problem:
        status = getattr(problem.response, "status_code", None)
        raise NotSent(f"the target answered with {status}" if status else "the target does not answer") from None
    if answer.get("FailedSOPSequence"):
        raise NotSent(f"the target refused it: 0x{answer.FailedSOPSequence[0].get('FailureReason', 0):04X}")


def _qido(header: Dataset, target: Target, settings: Settings) -> bool:
    from requests import RequestException

    try:
        matches = _client(target, settings).search_for_instances(
            header.StudyInstanceUID, header.SeriesInstanceUID, search_filters={"SOPInstanceUID": header.SOPInstanceUID}
        )
    except RequestException:
        return False
    return bool(matches)
