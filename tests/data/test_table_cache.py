import os
import pickle

import numpy as np
import pytest

from ich_lib.data import table_cache
from ich_lib.data.store import cache_folder
from ich_lib.data.table_cache import kept_table
from tests.sets import write_ct_ich, write_ct_ich_nifti

LINES = ["49,1,0,0,0,0,0,1,0", "50,2,0,0,0,1,0,0,0", "50,3,0,0,0,0,0,1,0"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ICH_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def reads(monkeypatch):
    """The folders that were read and not taken from the cache."""
    seen, read = [], table_cache.open_set
    monkeypatch.setattr(table_cache, "open_set", lambda folder: seen.append(folder) or read(folder))
    return seen


@pytest.mark.parametrize("form", ["pictures", "volumes"])
def test_a_table_comes_back_as_it_was_read_with_its_pictures(tmp_path, reads, form):
    if form == "pictures":
        folder = write_ct_ich(tmp_path / "set", LINES, skip=[(49, 1)])
    else:
        folder = write_ct_ich_nifti(tmp_path / "set", {49: ["", "epidural", ""], 50: ["", "", ""]})
    first, again = kept_table(folder), kept_table(folder)
    assert len(reads) == 1
    assert repr(again) == repr(first)
    assert again.report == first.report
    for column in ("patient", "scan", "slice", "labels", "outlined"):
        np.testing.assert_array_equal(getattr(again, column), getattr(first, column))
    row = int(np.flatnonzero(first.labels[:, -1])[0])
    np.testing.assert_array_equal(again.hu(row), first.hu(row))
    np.testing.assert_array_equal(again.truth(row), first.truth(row))
    assert again.truth(row).any()


def test_a_file_that_was_added_or_written_to_is_read_again(tmp_path, reads):
    folder = write_ct_ich(tmp_path / "set", LINES)
    kept_table(folder)
    (folder / "more.txt").write_text("x")
    kept_table(folder)
    os.utime(folder / "hemorrhage_diagnosis.csv", ns=(1, 1))
    kept_table(folder)
    assert len(reads) == 3


def test_names_of_patients_are_kept_for_the_user_alone(tmp_path):
    kept_table(write_ct_ich(tmp_path / "set", LINES))
    (place,) = cache_folder().glob("table-*")
    assert place.stat().st_mode & 0o077 == 0


RAN = []


def ran():
    RAN.append(True)


class Evil:
    def __reduce__(self):
        return ran, ()


@pytest.mark.parametrize("content", [b"", b"torn", pickle.dumps({"no": "table"}), pickle.dumps(Evil())])
def test_a_torn_or_foreign_file_is_read_past_and_nothing_in_it_runs(tmp_path, reads, content):
    folder = write_ct_ich(tmp_path / "set", LINES)
    kept_table(folder)
    (place,) = cache_folder().glob("table-*")
    place.write_bytes(content)
    assert len(kept_table(folder)) == 3
    assert (len(reads), RAN) == (2, [])


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ICH_CACHE", str(tmp_path / "file"))
    assert len(kept_table(write_ct_ich(tmp_path / "set", LINES))) == 3


def test_a_folder_that_is_none_and_one_that_is_no_set_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        kept_table(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="is no data set that is known here"):
        kept_table(tmp_path)
