"""Receive images from a DICOMweb archive: query its CT series and download the new ones.

Source: DICOM PS3.18 10.6 (search), 10.4 (retrieve).
"""

import logging
from typing import TYPE_CHECKING

from ich_lib.hospital.ledger import Ledger, hashed_uid
from ich_lib.hospital.receive import has_room, keep, new_file
from ich_lib.hospital.settings import Settings

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient

_PAGE_SIZE = 50  # series at a time
log = logging.getLogger("ich.listen")


def pull(ledger: Ledger, settings: Settings, client: "DICOMwebClient | None" = None) -> int:
    """Download every CT series of the archive that has more images than are known; returns the number of images.

    Raises:
        OSError: if the archive cannot be reached (errors of requests are of this type).
    """
    client = client or _client(settings.pull_url)
    n_fetched, offset = 0, 0
    while page := client.search_for_series(search_filters={"Modality": "CT"}, limit=_PAGE_SIZE, offset=offset):
        for entry in page:
            if not has_room(settings):
                log.warning("the disk is full: nothing more is fetched")
                return n_fetched
            n_fetched += _fetch(client, entry, ledger, settings)
        offset += len(page)
        if len(page) < _PAGE_SIZE:
            break
    return n_fetched


def _fetch(client: "DICOMwebClient", entry: dict, ledger: Ledger, settings: Settings) -> int:
    study, series = _value(entry, "0020000D"), _value(entry, "0020000E")
    state = ledger.series_states().get(series)
    n_in_archive = int(_value(entry, "00201209") or 0)
    if state and n_in_archive and n_in_archive <= ledger.count_received(series):
        return 0
    n_fetched = 0
    for image in client.iter_series(study, series):
        path = new_file(settings)
        image.save_as(path, enforce_file_format=True)
        n_fetched += not keep(path, ledger, settings, only_study=study).status
    log.info("series %s fetched: %d images", hashed_uid(series), n_fetched)
    return n_fetched


def _value(entry: dict, tag: str) -> str:
    return str((entry.get(tag, {}).get("Value") or [""])[0])


def _client(url: str) -> "DICOMwebClient":
    from dicomweb_client.api import DICOMwebClient

    return DICOMwebClient(url)
