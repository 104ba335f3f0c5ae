"""The whole round trip on this machine: Orthanc sends a study, it is analyzed, and SEG, SR and capture come back and
are valid."""

import dataclasses
import io
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage

from ich_lib.hospital import pull
from ich_lib.hospital.ledger import SENT, Ledger
from ich_lib.hospital.listen import listening, send_waiting
from ich_lib.hospital.settings import parse_target
from ich_lib.hospital.work import analyze_next, forget
from ich_lib.notice import NOTICE
from ich_lib.phantoms.bodies import body
from ich_lib.reports.case_files import write_dicom
from release import free_port
from tests.hospital.conftest import PATIENT, with_target
from tests.hospital.orthanc import PLUGIN, Orthanc
from tests.hospital.test_receive import calling, kept, multipart, series_of, wait_until

OURS = {"SEG", "SR", "OT"}


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory, port):
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"), peer_port=port).start()
    yield archive
    archive.end()


def files_in(orthanc):
    """All files in the archive, by modality."""
    found = {}
    for key in orthanc.http.get("/instances").json():
        file = dcmread(io.BytesIO(orthanc.http.get(f"/instances/{key}/file").content))
        found.setdefault(str(file.Modality), []).append(file)
    return found


def wait_for_results(orthanc, count=3):
    for _ in range(600):
        if sum(len(files) for modality, files in files_in(orthanc).items() if modality in OURS) >= count:
            return
        time.sleep(0.2)
    raise AssertionError(f"Only {list(files_in(orthanc))} came back.")


@pytest.fixture(scope="module")
def came_back(orthanc, port, slices, tmp_path_factory):
    """The archive's content after it sent the study by C-STORE and received the results by C-STORE."""
    from ich_lib.hospital.settings import Settings

    settings = Settings(
        tmp_path_factory.mktemp("listen"),
        port=port,
        callers=("ORTHANC",),
        disk_share=1.0,
        series_idle_s=0.5,
        timeout_s=10,
    )
    orthanc.upload(slices)
    (study,) = orthanc.http.get("/studies").json()
    with listening(with_target(settings, orthanc)):
        orthanc.http.post("/modalities/ich/store", content=study).raise_for_status()
        wait_for_results(orthanc)
    return files_in(orthanc)


def test_results_stand_beside_the_images_in_the_same_study_of_the_same_patient(came_back, slices):
    assert {modality: len(files) for modality, files in came_back.items()} == {"CT": 6, "SEG": 1, "SR": 1, "OT": 1}
    source = dcmread(slices[0])
    for modality in OURS:
        (file,) = came_back[modality]
        assert file.StudyInstanceUID == source.StudyInstanceUID
        assert file.PatientID == PATIENT
        assert file.SeriesInstanceUID != source.SeriesInstanceUID


def test_the_segmentation_refers_to_the_very_images_and_lies_where_they_lie(came_back, slices):
    """The attributes that a viewer needs to lay one over a series: study, series, frame of reference, images."""
    (seg,) = came_back["SEG"]
    source = {str(image.SOPInstanceUID): image for image in map(dcmread, slices)}
    first = next(iter(source.values()))
    assert seg.FrameOfReferenceUID == first.FrameOfReferenceUID
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert {str(item.ReferencedSOPInstanceUID) for item in series.ReferencedInstanceSequence} == set(source)
    assert seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "50960005"
    frames = seg.PerFrameFunctionalGroupsSequence
    assert len(frames) == seg.NumberOfFrames > 0
    for frame in frames:
        (derived,) = frame.DerivationImageSequence[0].SourceImageSequence
        image = source[str(derived.ReferencedSOPInstanceUID)]
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(np.array(place, float), np.array(image.ImagePositionPatient, float), atol=0.01)


def test_the_report_tells_the_volume_and_six_probabilities(came_back, slices):
    from ich_lib import analyze, read

    (report,) = came_back["SR"]
    result = analyze(read(slices))
    (group,) = [
        item
        for part in report.ContentSequence
        if part.ValueType == "CONTAINER"
        for item in part.ContentSequence
        if item.ValueType == "CONTAINER"
    ]
    numbers = {
        item.ConceptNameCodeSequence[0].CodeValue: (
            float(item.MeasuredValueSequence[0].NumericValue),
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }
    codes = ("p-edh", "p-iph", "p-ivh", "p-sah", "p-sdh", "p-any")  # in the order of LABELS
    expected = {
        code: (pytest.approx(score, abs=1e-4), "1") for code, score in zip(codes, result.scan_scores, strict=True)
    }
    assert numbers.pop("118565006") == (pytest.approx(result.volume_ml, abs=0.01), "mL")
    assert numbers == expected
    comments = [
        item.TextValue
        for item in report.ContentSequence
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeMeaning == "Comment"
    ]
    assert comments[0] == NOTICE


def test_the_notice_is_burnt_into_the_capture(came_back):
    (capture,) = came_back["OT"]
    pixels = capture.pixel_array
    red = (pixels[:44] == (176, 0, 32)).all(-1)
    white = (pixels[:44] > 200).all(-1)
    assert red.mean() > 0.6
    assert 0.02 < white.mean() < 0.3, "letters"
    ends = np.flatnonzero(white.any(0))
    assert ends[0] > 4
    assert ends[-1] < pixels.shape[1] - 4, "none of them cut off"


@pytest.mark.parametrize("modality", sorted(OURS))
def test_what_goes_out_is_sound_dicom(modality, came_back, tmp_path):
    checker = shutil.which("dciodvfy") or pytest.skip(
        "dciodvfy is not installed: apt-get install dicom3tools brings it."
    )
    (file,) = came_back[modality]
    file.save_as(tmp_path / "file.dcm")
    said = subprocess.run([checker, tmp_path / "file.dcm"], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_dcmtk_reads_the_report(came_back, tmp_path):
    dump = shutil.which("dsrdump") or pytest.skip("dsrdump is not installed: apt-get install dcmtk brings it.")
    came_back["SR"][0].save_as(tmp_path / "sr.dcm")
    done = subprocess.run([dump, tmp_path / "sr.dcm"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "E:" not in done.stderr
    assert "Imaging Measurement Report" in done.stdout
    assert '(mL,UCUM,"mL")' in done.stdout


def test_what_is_no_head_goes_out_without_a_mask_and_a_number(ledger, settings, orthanc, tmp_path):
    from ich_lib.prediction.engine import load

    chest = write_dicom(body("chest", slices=4, pixels=64), tmp_path / "chest", name="CHEST-X")
    for path in chest:
        kept(path, ledger, settings)
    ledger.close_due(float("inf"))
    assert analyze_next(ledger, with_target(settings, orthanc), load())
    names = [one.path.rpartition("/")[2] for one in ledger.deliveries()]
    assert names == ["sr.dcm", "capture.dcm"]
    report = dcmread(ledger.deliveries()[0].path)
    assert "NumericValue" not in str(report)
    assert "withheld" in str(report)


def test_images_of_a_closed_study_are_deleted_and_its_result_is_remembered(ledger, settings, slices):
    for path in slices:
        kept(path, ledger, settings, clock=lambda: 0.0)
    series = series_of(slices)
    paths = [image.path for image in ledger.images(series)]
    ledger.close_due(60)
    ledger.set_made(series, "w", "d", [], [])
    assert forget(ledger, settings, 899) == 0
    assert forget(ledger, settings, 900) == len(slices)
    assert not any(Path(path).exists() for path in paths)
    assert ledger.is_made(series, "w", "d")
    assert ledger.count_received(series) == len(slices), "a pull does not fetch it again"


@pytest.fixture
def dicomweb(orthanc):
    if not PLUGIN:
        pytest.skip("Orthanc's DICOMweb is not installed here: apt-get install orthanc-dicomweb brings it.")
    orthanc.clear()
    return orthanc


def test_a_pull_fetches_each_series_once_and_a_slice_that_came_later(dicomweb, ledger, settings, slices):
    settings = dataclasses.replace(settings, pull_url=dicomweb.web_url)
    dicomweb.upload(slices[:-1])
    assert pull.pull(ledger, settings) == len(slices) - 1
    assert pull.pull(ledger, settings) == 0
    dicomweb.upload(slices[-1:])
    assert pull.pull(ledger, settings) == len(slices)
    assert len(ledger.images(series_of(slices))) == len(slices)


def test_stow_in_and_stow_out(dicomweb, settings, slices):
    """The same round trip over DICOMweb, with a process that ends in between. The next process sends what is
    waiting."""
    import httpx

    port = free_port()
    target = parse_target(dicomweb.web_url)
    settings = dataclasses.replace(settings, stow_port=port, series_idle_s=0.2, timeout_s=20, targets=(target,))
    with listening(settings) as ledger:
        answer = httpx.post(f"http://127.0.0.1:{port}/studies", **multipart(slices), trust_env=False, timeout=30)
        assert answer.status_code == 200
        assert wait_until(lambda: ledger.deliveries()) or wait_until(lambda: ledger.deliveries())
    assert send_waiting(settings) == []
    base = Ledger(settings.folder / "ledger.sqlite")
    assert [one.state for one in base.deliveries()] == [SENT] * 3
    base.close()
    assert set(files_in(dicomweb)) == OURS


def test_libraries_say_nothing_while_it_listens(settings, capsys):
    """Their warnings and log lines quote the file: highdicom's an odd name, pydicom's an odd value."""
    import logging
    import warnings

    with listening(settings):
        warnings.warn(f'The string "{PATIENT}" is unlikely to represent a name', stacklevel=1)
        for name in ("pydicom", "pynetdicom.acse", "highdicom.base", "dicomweb_client.web"):
            logging.getLogger(name).error(PATIENT)
    written = capsys.readouterr()
    assert PATIENT not in written.err + written.out


def test_a_second_listener_on_one_folder_is_refused(settings):
    with listening(settings), pytest.raises(ValueError, match="Another process"), listening(settings):
        pass


def send_study(settings, paths):
    """Send files in one association, like a scanner."""
    association = calling(settings, CTImageStorage)
    for path in paths:
        assert association.send_c_store(dcmread(path)).Status == 0
    association.release()


@pytest.mark.long
def test_twenty_studies_at_once_keep_their_order_and_memory_flat(settings, slices, tmp_path, monkeypatch):
    """From four senders at a time. The memory after the last five is that after the first ten."""
    import psutil

    from ich_lib.hospital import work

    port, rss = free_port(), []
    settings = dataclasses.replace(settings, port=port, series_idle_s=5.0, timeout_s=60)
    made, real = [], work.make

    def noted(images, *arguments):
        files = real(images, *arguments)
        made.append(images[0].series)
        rss.append(psutil.Process().memory_info().rss)
        return files

    monkeypatch.setattr(work, "make", noted)
    source = [dcmread(path) for path in slices]
    studies = []
    for k in range(20):
        folder = tmp_path / f"{k}"
        folder.mkdir()
        for n, image in enumerate(source):
            image.StudyInstanceUID, image.SeriesInstanceUID = f"1.2.{k}", f"1.2.{k}.1"
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.{k}.1.{n}"
            image.save_as(folder / f"{n}.dcm")
        studies.append(sorted(folder.iterdir()))
    with listening(settings) as ledger:
        with ThreadPoolExecutor(4) as senders:
            list(senders.map(partial(send_study, settings), studies))
        order = [row[0] for row in ledger._rows("select series from series order by last, series")]
        for _ in range(1200):
            if len(made) == 20:
                break
            time.sleep(0.2)
    assert made == order
    assert len(set(made)) == 20
    assert max(rss[15:]) < 1.05 * max(rss[5:10])
