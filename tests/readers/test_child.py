"""Files are read in a separate process: the same scan, and a sentence if the process crashes, hangs or uses too
much."""

import os
import subprocess
import sys
import tempfile
from dataclasses import fields
from threading import Thread

import cv2
import nibabel as nib
import numpy as np
import pytest

from ich_lib.readers import ReadError, child, read, read_truth
from ich_lib.readers.limits import LIMITS, RANGES
from tests.dicom_files import write_series, write_slice
from tests.planted import head, laid_out


@pytest.fixture(autouse=True)
def fresh(tmp_path_factory, monkeypatch):
    """No child process of another test, and a folder for temporary files in which no file may remain."""
    child.end_idle()
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    child.end_idle()
    assert not list(folder.iterdir())


@pytest.fixture
def strange(monkeypatch):
    """A child process whose reader misbehaves as requested if a file is called "evil"."""

    def set_code(code, before=""):
        body = f"""
import os, sys, time
{before}
from ich_lib.readers import child
import ich_lib.readers as readers
right = readers.read
def read(paths, **options):
    if any(path.endswith("evil") for path in paths):
        {code}
    return right(paths, **options)
readers.read = read
child.serve()
"""
        monkeypatch.setattr(child, "_COMMAND", [sys.executable, "-c", body])

    return set_code


@pytest.fixture
def evil(tmp_path):
    return write_slice(tmp_path / "evil", head()[9])


@pytest.fixture
def good(tmp_path):
    return write_slice(tmp_path / "good", head()[9])


def write_nifti(path, values, letters="PIR"):
    grid, affine = laid_out(values, letters)
    nib.save(nib.Nifti1Image(grid.astype(np.int16), affine), path)
    return path


def same(a, b):
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype
        else:
            assert left == right, field.name


def test_every_field_of_a_scan_comes_back(tmp_path):
    write_series(tmp_path / "dicom", *laid_out(head(), "RPI"), WindowCenter="35", WindowWidth="110")
    cv2.imwrite(str(tmp_path / "a.png"), np.arange(1024, dtype=np.uint16).reshape(32, 32).astype(np.uint8))
    paths = [tmp_path / "dicom", write_nifti(tmp_path / "scan.nii.gz", head()), tmp_path / "a.png"]
    for path in paths:
        same(read(path, isolated=True), read(path))
    same(read(paths[2], window=(40, 120), isolated=True), read(paths[2], window=(40, 120)))
    files = sorted((tmp_path / "dicom").iterdir())
    same(read(files, series="axial 5mm", isolated=True), read(files, series="axial 5mm"))


def test_a_mask_comes_back(tmp_path):
    scan = read(write_nifti(tmp_path / "scan.nii.gz", head()))
    path = write_nifti(tmp_path / "truth.nii.gz", head() == 70)
    np.testing.assert_array_equal(read_truth(path, scan.hu.shape, scan.affine, isolated=True), head() == 70)
    np.testing.assert_array_equal(read_truth(path, scan.hu.shape, None, isolated=True), head() == 70)


def test_a_refusal_is_the_same_sentence(tmp_path, monkeypatch):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n" + bytes(200))
    with pytest.raises(ReadError) as near:
        read(tmp_path / "a.pdf")
    with pytest.raises(ReadError) as apart:
        read(tmp_path / "a.pdf", isolated=True)
    assert str(apart.value) == str(near.value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReadError, match=r"a\.pdf looks like a PDF"):
        read("a.pdf", isolated=True)


def test_the_limits_are_those_of_the_caller(good, monkeypatch):
    monkeypatch.setitem(RANGES, "side_px", (100, 200))
    with pytest.raises(ReadError, match="a side must be 100 to 200 px"):
        read(good, isolated=True)


def test_one_child_is_kept_warm_and_replaced_after_a_while(good, monkeypatch):
    pids = []
    monkeypatch.setattr(child, "_MOST_READINGS", 3)
    for _ in range(4):
        read(good, isolated=True)
        pids += [item._process.pid for item in child._idle]
    assert len(pids) == 3  # the third one was not kept
    assert pids[0] == pids[1] != pids[2]


def test_two_at_once_are_both_read_and_one_child_is_kept(good, evil):
    scans = []
    threads = [Thread(target=lambda path=path: scans.append(read(path, isolated=True))) for path in (good, evil)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(scans) == 2
    assert len(child._idle) == 1


CRASHES = {
    "abort": ("os.abort()", "could not be decoded: its decoder stopped"),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", "could not be decoded: its decoder stopped"),
    "exit": ("os._exit(3)", "could not be decoded: its decoder stopped"),
    "killed by the system": ("os.kill(os.getpid(), 9)", "needs more memory than is available"),
}


@pytest.mark.parametrize(("code", "words"), CRASHES.values(), ids=CRASHES.keys())
def test_a_crash_is_one_sentence_and_the_next_upload_is_read(strange, evil, good, code, words):
    strange(code)
    with pytest.raises(ReadError, match=rf"^evil {words}.* (Export it again|Give one head scan)"):
        read(evil, isolated=True)
    np.testing.assert_array_equal(read(good, isolated=True).hu[0], head()[9])


def test_a_hang_is_one_sentence_and_the_next_upload_is_read(strange, evil, good, monkeypatch):
    strange("time.sleep(600)")
    read(good, isolated=True)  # imports take time too
    monkeypatch.setitem(LIMITS, "decode_s", 2)
    with pytest.raises(ReadError, match=r"^evil took more than 2 s to decode"):
        read(evil, isolated=True)
    monkeypatch.setitem(LIMITS, "decode_s", 90)
    np.testing.assert_array_equal(read(good, isolated=True).hu[0], head()[9])


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux holds to all these limits.")
def test_a_loop_without_end_and_gigabytes_are_stopped_by_the_limits(strange, evil, good, monkeypatch):
    strange("exec('while True: pass')")
    monkeypatch.setitem(LIMITS, "decode_cpu_s", 1)
    with pytest.raises(ReadError, match=r"^evil took more than 1 s to decode"):
        read(evil, isolated=True)
    monkeypatch.setitem(LIMITS, "decode_cpu_s", 30)
    strange("bytearray(5_000_000_000)")
    for _ in range(2):
        with pytest.raises(ReadError, match=r"^evil needs more memory than is available\. Give one head scan"):
            read(evil, isolated=True)
        np.testing.assert_array_equal(read(good, isolated=True).hu[0], head()[9])


def test_without_limits_of_the_system_it_still_reads(strange, evil, good):
    strange("os.abort()", before="sys.modules['resource'] = None")
    np.testing.assert_array_equal(read(good, isolated=True).hu[0], head()[9])
    with pytest.raises(ReadError, match=r"^evil could not be decoded"):
        read(evil, isolated=True)
    np.testing.assert_array_equal(read(good, isolated=True).hu[0], head()[9])


def test_a_child_that_died_while_it_waited_is_replaced(good):
    read(good, isolated=True)
    child._idle[0]._process.kill()
    child._idle[0]._process.wait()
    np.testing.assert_array_equal(read(good, isolated=True).hu[0], head()[9])


def test_what_a_library_prints_does_not_get_among_the_answers(strange, evil):
    strange("print('{}', flush=True); os.write(1, b'{}\\\\n')")
    np.testing.assert_array_equal(read(evil, isolated=True).hu[0], head()[9])


def test_a_slip_of_ours_is_no_sentence_for_the_person_and_quotes_nothing(strange, evil):
    strange("raise NameError('Doe, Jane')")
    with pytest.raises(RuntimeError, match="the child failed: NameError") as fault:
        read(evil, isolated=True)
    assert "Doe" not in str(fault.value)


def test_an_answer_that_is_a_pickle_is_not_loaded(strange, evil):
    strange("import pickle; child.np.save = lambda path, *_, **__: path.write_bytes(pickle.dumps([1]))")
    with pytest.raises(ReadError, match=r"^evil could not be decoded"):
        read(evil, isolated=True)
    assert not child._idle  # it is not used again


def test_a_child_ends_with_its_caller(good):
    read(good, isolated=True)
    process = child._idle[0]._process
    process.stdin.close()
    assert process.wait(30) == 0


def test_nothing_is_left_where_the_caller_ends_in_the_middle_of_a_reading(tmp_path, evil):
    left = tmp_path / "left"
    left.mkdir()
    script = f"""
import sys, tempfile, threading, time
tempfile.tempdir = {str(left)!r}
from pathlib import Path
from ich_lib.readers import child, read
child._COMMAND = [sys.executable, "-c", "import time; from pathlib import Path; from ich_lib.readers import child\\n"
    "child._answered = lambda question: [Path(question['folder'], 'values.npy').write_bytes(b'x'), time.sleep(600)]\\n"
    "child.serve()"]
threading.Thread(target=lambda: read({str(evil)!r}, isolated=True), daemon=True).start()
while not list(Path({str(left)!r}).rglob("values.npy")):
    time.sleep(0.05)
print([one._process.pid for one in child._at_work.values()][0])
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not list(left.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), 0)


def test_the_demo_reads_in_a_child(good, monkeypatch):
    from ich_lib.demo import session

    request = []
    monkeypatch.setattr(child, "read_scan", lambda name, *_, **__: request.append(name) or read(good))
    monkeypatch.setattr(child, "read_mask", lambda name, *_, **__: request.append(name) or head()[9:10] == 70)
    scan = session.read_upload([str(good)], session.UNKNOWN_WINDOW, None, None)
    session.truth_overlay(str(good), session.CurrentScan(paths=("a",), id="1", shape=scan.hu.shape, affine=None))
    assert request == ["good", "good"]


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="There is no /proc here to look into.")  # noqa: PTH112
def test_a_child_sees_no_more_memory_after_many_bad_files(tmp_path):
    def resident_mb():
        from pathlib import Path

        pid = child._idle[0]._process.pid
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    rng = np.random.default_rng(0)
    data = write_slice(tmp_path / "IM1", head()[9]).read_bytes()
    starts = (data[:400], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"PK\x03\x04", bytes(128) + b"DICM")
    for n in range(60):
        (tmp_path / "IM1").write_bytes(starts[n % 5] + rng.bytes(100_000))
        with pytest.raises(ReadError):
            read(tmp_path / "IM1", isolated=True)
        if n == 9:
            before = resident_mb()
    assert resident_mb() - before < 50
