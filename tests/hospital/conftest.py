import dataclasses

import pytest

from ich_lib.hospital.ledger import Ledger
from ich_lib.hospital.settings import Settings
from ich_lib.phantoms import phantom
from ich_lib.reports.case_files import write_dicom
from tests.hospital.orthanc import TITLE, Orthanc

PATIENT = "PLANTED-NAME"  # the tests look for it in every log


@pytest.fixture(scope="session")
def slices(tmp_path_factory):
    """Six slices of a head with an epidural bleed, as files."""
    scan = phantom(1, bleeds=["epidural"], slices=6, pixels=64, thickness_mm=20).scan
    return write_dicom(scan, tmp_path_factory.mktemp("study"), name=PATIENT)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    archive = Orthanc(tmp_path_factory.mktemp("orthanc")).start()
    yield archive
    archive.end()


@pytest.fixture
def settings(tmp_path):
    folder = tmp_path / "listen"
    folder.mkdir()
    return Settings(folder, port=None, callers=("SENDER",), disk_share=1.0, wait_s=0, timeout_s=2, tries=3)


@pytest.fixture
def ledger(settings):
    base = Ledger(settings.folder / "ledger.sqlite")
    yield base
    base.close()


def with_target(settings, archive):
    from ich_lib.hospital.settings import parse_target

    target = parse_target(f"dicom://{TITLE}@127.0.0.1:{archive.dicom_port}")
    return dataclasses.replace(settings, targets=(target,))
