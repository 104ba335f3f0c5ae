"""Files for an archive that fails in every way: none is lost, none is sent twice, and each one given up has a
reason."""

import dataclasses
from pathlib import Path

import pytest
from pydicom import dcmread

from ich_lib.hospital.deliver import ERRORS, REASON_FILE, deliver_next, retry
from ich_lib.hospital.ledger import FAILED, SENDING, SENT, WAITING
from ich_lib.hospital.settings import Target, parse_target
from release import free_port
from tests.hospital.conftest import PATIENT, with_target
from tests.hospital.orthanc import PLUGIN


@pytest.fixture
def queued(ledger, settings, orthanc, slices):
    """Three files for Orthanc."""
    orthanc.clear()
    settings = with_target(settings, orthanc)
    files = [(str(dcmread(path, stop_before_pixels=True).SOPInstanceUID), str(path)) for path in slices[:3]]
    ledger.set_made("1.2", "w", "d", files, [target.url for target in settings.targets])
    return settings


def send_all(ledger, settings, now=0.0, target=None):
    while deliver_next(ledger, settings, target or settings.targets[0], lambda: now):
        pass


def states(ledger):
    return [(one.state, one.tries) for one in ledger.deliveries()]


def uids(ledger):
    return [one.sop for one in ledger.deliveries()]


def test_files_arrive_once_and_in_order(queued, ledger, orthanc):
    before = len(orthanc.received())
    send_all(ledger, queued)
    send_all(ledger, queued)
    assert states(ledger) == [(SENT, 0)] * 3
    assert orthanc.received()[before:] == uids(ledger)


def gone(orthanc, settings):
    orthanc.stop()
    return settings, orthanc.start


def slow(orthanc, settings):
    orthanc.hang()
    return settings, orthanc.go_on


def refusing(orthanc, settings):
    wrong = parse_target(settings.targets[0].url.replace("ORTHANC", "SOMEBODY"))
    return dataclasses.replace(settings, targets=(dataclasses.replace(wrong, url=settings.targets[0].url),)), None


def full(orthanc, settings):
    orthanc.fill_disk()
    return settings, orthanc.free_disk


FAULTS = [
    (gone, "does not answer"),
    (slow, "does not answer|broke off or took too long"),
    (refusing, "refused the association"),
    (full, "status 0x"),
]


@pytest.mark.parametrize(("fault", "why"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_fault_of_the_target_is_waited_out_and_its_files_arrive_once(fault, why, queued, ledger, orthanc):
    import re

    faulty, mend = fault(orthanc, dataclasses.replace(queued, wait_s=10))
    try:
        assert deliver_next(ledger, faulty, faulty.targets[0], lambda: 0.0)
        assert not deliver_next(ledger, faulty, faulty.targets[0], lambda: 9.0), "not before the wait is over"
    finally:
        if mend:
            mend()
    first, *others = ledger.deliveries()
    assert (first.state, first.tries) == (WAITING, 1)
    assert re.search(why, first.reason)
    assert [(one.state, one.tries) for one in others] == [(WAITING, 0)] * 2, "those behind it wait: the order is kept"
    send_all(ledger, queued, now=1e9)
    assert states(ledger) == [(SENT, 1), (SENT, 0), (SENT, 0)]
    assert orthanc.kept() == sorted(uids(ledger))


def test_what_is_given_up_lies_in_a_folder_that_says_why_until_it_is_retried(queued, ledger, orthanc):
    nowhere = parse_target(f"dicom://NOBODY@127.0.0.1:{free_port()}")
    faulty = dataclasses.replace(queued, targets=(dataclasses.replace(nowhere, url=queued.targets[0].url),))
    send_all(ledger, faulty, now=1e12)
    assert states(ledger) == [(FAILED, 3)] * 3
    folders = sorted((queued.folder / ERRORS).iterdir())
    assert len(folders) == 3
    for folder in folders:
        text = (folder / REASON_FILE).read_text()
        assert "after 3 tries. The last one: the target does not answer" in text
        assert PATIENT not in text
        assert len(list(folder.glob("*.dcm"))) == 1
    assert retry(ledger, queued) == 3
    assert not list((queued.folder / ERRORS).iterdir())
    send_all(ledger, queued)
    assert states(ledger) == [(SENT, 0)] * 3
    assert orthanc.kept() == sorted(uids(ledger))


def test_a_file_that_is_gone_is_given_up_and_holds_up_no_other(queued, ledger, orthanc, tmp_path):
    files = [(one.sop, one.path) for one in ledger.deliveries()]
    other = dataclasses.replace(queued.targets[0], url=queued.targets[0].url + "/")
    ledger.set_made("1.2", "w", "e", [("1.9", str(tmp_path / "gone.dcm")), *files], [other.url])
    send_all(ledger, queued, now=1e12, target=other)
    gone, *others = ledger.deliveries()[3:]
    assert (gone.state, gone.reason) == (FAILED, "the file cannot be read: FileNotFoundError")
    assert [one.state for one in others] == [SENT] * 3


def test_waits_double_and_end(queued, ledger):
    nowhere = parse_target(f"dicom://NOBODY@127.0.0.1:{free_port()}")
    faulty = dataclasses.replace(
        queued, tries=4, wait_s=10, targets=(dataclasses.replace(nowhere, url=queued.targets[0].url),)
    )
    due = []
    for now in (0, 9.9, 10, 29.9, 30, 69.9, 70):
        due += [now] if deliver_next(ledger, faulty, faulty.targets[0], lambda now=now: now) else []
        if states(ledger)[0][0] == FAILED:
            break
    assert due == [0, 10, 30, 70]
    assert states(ledger) == [(FAILED, 4), (WAITING, 0), (WAITING, 0)]


@pytest.mark.parametrize("arrived", [True, False])
def test_what_a_killed_process_left_on_its_way_is_asked_for_before_it_is_sent_again(arrived, queued, ledger, orthanc):
    """Whether the target has the file or not, it has received it once."""
    before = len(orthanc.received())
    first = ledger.deliveries()[0]
    if arrived:
        orthanc.upload([Path(first.path)])
    ledger.set_delivery(first, SENDING)
    send_all(ledger, queued)
    assert orthanc.received()[before:] == uids(ledger)
    assert states(ledger) == [(SENT, 0)] * 3


def test_one_target_that_fails_holds_up_no_other(queued, ledger, orthanc):
    nowhere = Target(f"dicom://NOBODY@127.0.0.1:{free_port()}", "NOBODY", "127.0.0.1", free_port())
    files = [(one.sop, one.path) for one in ledger.deliveries()]
    ledger.set_made("1.2", "w", "e", files, [nowhere.url])
    assert deliver_next(ledger, queued, nowhere, lambda: 0.0)
    send_all(ledger, queued)
    assert states(ledger) == [(SENT, 0)] * 3 + [(WAITING, 1), (WAITING, 0), (WAITING, 0)]


@pytest.fixture
def web(queued, ledger, orthanc):
    """The same three files for Orthanc's DICOMweb."""
    if not PLUGIN:
        pytest.skip("Orthanc's DICOMweb is not installed here: apt-get install orthanc-dicomweb brings it.")
    target = parse_target(orthanc.web_url)
    ledger.set_made("1.2", "w", "d", [(one.sop, one.path) for one in ledger.deliveries()], [target.url])
    return target


def test_stow_sends_asks_and_survives_an_archive_that_is_gone(queued, web, ledger, orthanc):
    orthanc.stop()
    assert deliver_next(ledger, queued, web, lambda: 0.0)
    orthanc.start()
    first = ledger.deliveries()[3]
    assert (first.state, first.reason) == (WAITING, "the target does not answer")
    before = len(orthanc.received())
    orthanc.upload([Path(first.path)])
    ledger.set_delivery(first, SENDING)
    send_all(ledger, queued, target=web)
    assert [one.state for one in ledger.deliveries()[3:]] == [SENT] * 3
    assert orthanc.received()[before:] == uids(ledger)[3:]


def test_stow_to_an_address_that_is_no_archive_says_what_it_answers(queued, ledger, orthanc):
    target = parse_target(f"http://127.0.0.1:{orthanc.http_port}/nothing-here")
    first = ledger.deliveries()[0]
    ledger.set_made("1.2", "w", "d", [(first.sop, first.path)], [target.url])
    deliver_next(ledger, queued, target, lambda: 0.0)
    assert ledger.deliveries()[-1].reason == "the target answered with 404"


@pytest.mark.parametrize(
    "url", ["PACS@10.0.0.1:104", "dicom://10.0.0.1:104", "dicom://A-TITLE-THAT-IS-TOO-LONG@h:1", "ftp://x"]
)
def test_an_address_that_is_no_target_is_told(url):
    with pytest.raises(ValueError, match="A target is dicom://"):
        parse_target(url)
