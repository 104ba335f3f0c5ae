"""Accepted and refused images: C-STORE and STOW, with senders that break off, repeat images, or are unknown."""

import dataclasses
import logging
import shutil
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from ich_lib.hospital import receive, stow
from ich_lib.hospital.ledger import digest_of
from ich_lib.hospital.receive import NOT_OURS, NOT_UNDERSTOOD, OUT_OF_RESOURCES, SUCCESS, keep, new_file
from release import free_port
from tests.hospital.conftest import PATIENT


@pytest.fixture
def server(ledger, settings, request):
    """A running listener; other settings by indirect parametrization."""
    settings = dataclasses.replace(settings, port=free_port(), **getattr(request, "param", {}))
    served = receive.start_server(ledger, settings)
    yield settings
    served.shutdown()


def calling(settings, *contexts, title="SENDER", called="ICHLIB", tls=None):
    ae = AE(ae_title=title)
    for context in contexts:
        ae.add_requested_context(context)
    return ae.associate("127.0.0.1", settings.port, ae_title=called, tls_args=tls)


def series_of(slices):
    return str(dcmread(slices[0], stop_before_pixels=True).SeriesInstanceUID)


def wait_until(condition):
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_study_is_received_echoed_and_closed_after_its_idle_time(server, ledger, slices):
    association = calling(server, CTImageStorage, Verification)
    assert association.send_c_echo().Status == SUCCESS
    before = time.time()
    for path in slices:
        assert association.send_c_store(dcmread(path)).Status == SUCCESS
    association.release()
    series = series_of(slices)
    assert [image.sop for image in ledger.images(series)] == sorted(
        str(dcmread(path).SOPInstanceUID) for path in slices
    )
    ledger.close_due(before + 59)
    assert ledger.next_closed() is None
    ledger.close_due(time.time() + 60)
    assert ledger.next_closed() == series


@pytest.mark.parametrize(
    ("title", "called"),
    [("STRANGER", "ICHLIB"), ("SENDER", "SOMEBODY"), ("", "ICHLIB")],
    ids=["caller", "called", "none"],
)
def test_who_is_not_on_the_list_gets_no_association(title, called, server, ledger, slices):
    association = calling(server, CTImageStorage, title=title or "ANYBODY", called=called)
    assert not association.is_established
    assert ledger.images(series_of(slices)) == []


@pytest.mark.parametrize("server", [{"callers": ()}], indirect=True)
def test_without_a_list_nobody_may_call(server):
    assert not calling(server, Verification).is_established


@pytest.mark.parametrize("server", [{"peers": ("10.1.2.3",)}], indirect=True)
def test_a_computer_that_is_not_on_the_list_is_turned_away(server):
    assert not calling(server, Verification).is_established


def test_nothing_is_offered_but_storage_and_echo(server):
    asked = [
        CTImageStorage,
        MRImageStorage,
        Verification,
        PatientRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    ]
    association = calling(server, *asked)
    accepted = {context.abstract_syntax for context in association.accepted_contexts}
    association.release()
    assert accepted == {CTImageStorage, Verification}


def test_a_sender_that_breaks_off_gets_the_time_of_a_study_and_may_come_again(server, ledger, slices):
    association = calling(server, CTImageStorage)
    for path in slices[:3]:
        association.send_c_store(dcmread(path))
    association.abort()
    series = series_of(slices)

    def is_waited_for():
        ledger.close_due(time.time() + 800)
        return ledger.series_states()[series][0] == "open"

    assert wait_until(is_waited_for), "its half is not taken for the whole"
    again = calling(server, CTImageStorage)
    for path in slices:
        assert again.send_c_store(dcmread(path)).Status == SUCCESS
    again.release()
    assert len(ledger.images(series)) == len(slices)


def test_half_a_study_that_nobody_ever_ends_is_closed_in_the_end(server, ledger, slices):
    association = calling(server, CTImageStorage)
    association.send_c_store(dcmread(slices[0]))
    association.abort()
    ledger.close_due(time.time() + 901)
    assert wait_until(lambda: ledger.close_due(time.time() + 901) or ledger.next_closed() == series_of(slices))


def kept(path, ledger, settings, **options):
    shutil.copyfile(path, arriving := new_file(settings))
    status = keep(arriving, ledger, settings, **options).status
    assert not arriving.exists(), "nothing stays where images arrive"
    return status


def changed(path, folder, **tags):
    image = dcmread(path)
    for name, value in tags.items():
        setattr(image, name, value)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.save_as(folder / "changed.dcm")
    return folder / "changed.dcm"


def test_the_same_study_twice_is_one_and_one_more_slice_opens_it_again(ledger, settings, slices):
    series = series_of(slices)
    for path in (*slices[:-1], *slices[:-1]):
        assert kept(path, ledger, settings, clock=lambda: 0.0) == SUCCESS
    ledger.close_due(60)
    first = digest_of(ledger.images(series))
    ledger.set_made(series, "w", first, [], [])
    assert kept(slices[0], ledger, settings, clock=lambda: 100.0) == SUCCESS
    assert ledger.series_states()[series][0] == "done", "nothing new came"
    assert kept(slices[-1], ledger, settings, clock=lambda: 100.0) == SUCCESS
    assert ledger.series_states()[series][0] == "open"
    assert not ledger.is_made(series, "w", digest_of(ledger.images(series)))


@pytest.mark.parametrize(
    ("tags", "status"),
    [({"Modality": "MR"}, NOT_OURS), ({"SOPClassUID": MRImageStorage}, NOT_OURS)],
    ids=["modality", "kind of image"],
)
def test_what_is_no_ct_is_refused(tags, status, ledger, settings, slices, tmp_path):
    assert kept(changed(slices[0], tmp_path, **tags), ledger, settings) == status
    assert ledger.series_states() == {}


def test_what_is_no_dicom_is_refused(ledger, settings, tmp_path):
    (tmp_path / "x").write_bytes(b"no image")
    assert kept(tmp_path / "x", ledger, settings) == NOT_UNDERSTOOD


Disk = namedtuple("Disk", "total used free")


@pytest.mark.parametrize(("used", "status"), [(849, SUCCESS), (850, OUT_OF_RESOURCES)])
def test_a_disk_at_its_mark_takes_no_new_work(used, status, ledger, settings, slices, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(1000, used, 1000 - used))
    settings = dataclasses.replace(settings, disk_share=0.85)
    assert kept(slices[0], ledger, settings) == status
    assert len(ledger.images(series_of(slices))) == (status == SUCCESS)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_names_from_outside_name_no_file(ledger, settings, slices, tmp_path):
    """A UID may contain anything; this one leads out of the folder."""
    climbing = changed(slices[0], tmp_path, SeriesInstanceUID="1.2.77.99.4")
    climbing.write_bytes(climbing.read_bytes().replace(b"1.2.77.99.4", b"../../../ab"))
    assert kept(climbing, ledger, settings) == SUCCESS
    (image,) = ledger.images("../../../ab")
    assert (settings.folder / "incoming") in Path(image.path).parents


def test_no_log_names_a_patient_or_an_image(server, ledger, slices, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    association = calling(server, CTImageStorage)
    for path in slices[:2]:
        association.send_c_store(dcmread(path))
    association.send_c_store(dcmread(changed(slices[2], tmp_path, Modality="OT")))
    association.abort()
    assert wait_until(lambda: "broke off" in caplog.text)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("ich"))
    assert len(ours.splitlines()) >= 4
    planted = dcmread(slices[0])
    for name in (PATIENT, "PLANTED^NAME", planted.SOPInstanceUID, planted.SeriesInstanceUID, planted.StudyInstanceUID):
        assert str(name) not in ours


def certificate(folder, name):
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed here: no certificate can be made.")
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", pem], check=True, capture_output=True)
    return pem, key


def test_with_a_certificate_only_those_with_one_that_is_known_may_connect(ledger, settings, slices, tmp_path):
    from ich_lib.hospital.deliver import NotSent, send
    from ich_lib.hospital.settings import parse_target

    pem, key = certificate(tmp_path, "us")
    other_pem, other_key = certificate(tmp_path, "stranger")
    own = dataclasses.replace(settings, port=free_port(), certificate=pem, key=key, authority=pem, title="SENDER")
    served = receive.start_server(ledger, dataclasses.replace(own, title="ICHLIB"))
    try:
        address = f"ICHLIB@127.0.0.1:{own.port}"
        send(slices[0], parse_target(f"dicoms://{address}"), own)
        stranger = dataclasses.replace(own, certificate=other_pem, key=other_key)
        for url, sender in ((f"dicom://{address}", own), (f"dicoms://{address}", stranger)):
            with pytest.raises(NotSent):
                send(slices[1], parse_target(url), sender)
    finally:
        served.shutdown()
    assert len(ledger.images(series_of(slices))) == 1


@pytest.fixture
def web(ledger, settings):
    """A client of the STOW app on this computer."""
    starlette = pytest.importorskip("starlette.testclient")
    with starlette.TestClient(stow.build_app(ledger, settings), client=("127.0.0.1", 5000)) as client:
        yield client


def multipart(paths, boundary="PLANTED"):
    parts = [f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + path.read_bytes() for path in paths]
    return {
        "content": b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()]),
        "headers": {"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'},
    }


def test_stow_keeps_a_study_and_tells_each_image(web, ledger, slices):
    answer = web.post("/studies", **multipart(slices))
    assert answer.status_code == 200
    stored = [item["00081155"]["Value"][0] for item in answer.json()["00081199"]["Value"]]
    assert stored == [str(dcmread(path).SOPInstanceUID) for path in slices]
    assert len(ledger.images(series_of(slices))) == len(slices)


def test_stow_tells_what_it_refuses(web, settings, slices, tmp_path, monkeypatch):
    other = changed(slices[0], tmp_path, Modality="MR", SOPInstanceUID=generate_uid())
    answer = web.post("/studies", **multipart([slices[0], other]))
    assert answer.status_code == 202
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [NOT_OURS]
    assert web.post("/studies/1.2.3", **multipart(slices[:1])).status_code == 409, "of another study"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(100, 100, 0))
    assert web.post("/studies", **multipart(slices[:1])).status_code == 507


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [("application/dicom", b"x", 415), ("multipart/related; type=application/dicom; boundary=a", b"x", 400)],
)
def test_stow_refuses_what_is_no_request_of_its_kind(kind, content, status, web):
    assert web.post("/studies", content=content, headers={"Content-Type": kind}).status_code == status


def test_stow_offers_nothing_else_and_knows_its_peers(web, ledger, settings, slices):
    from starlette.testclient import TestClient

    assert web.get("/studies").status_code == 405
    assert web.get("/studies/1.2/series").status_code == 404
    with TestClient(stow.build_app(ledger, settings), client=("10.9.9.9", 1)) as stranger:
        assert stranger.post("/studies", **multipart(slices[:1])).status_code == 403
    assert ledger.series_states() == {}


def test_stow_takes_no_request_without_end(web, monkeypatch, slices):
    monkeypatch.setattr(stow, "MOST_BYTES", 100)
    assert web.post("/studies", **multipart(slices[:1])).status_code == 413
