"""A store compared with the table it was made from, and stores with damaged or missing files."""

import os
import sqlite3
import threading
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.data import DataProblems, open_set
from ich_lib.data.coding import LEVELS_HU, decode_hu, encode_hu
from ich_lib.data.store import ROOM, build_store, cached_store, open_store
from ich_lib.data.store import store as make_store
from ich_lib.phantoms import phantom
from ich_lib.reports.case_files import write_case
from tests.planted import table_of_heads


@pytest.fixture(scope="module")
def table():
    return table_of_heads()


@pytest.fixture(scope="module")
def store(table, tmp_path_factory):
    return build_store(table, tmp_path_factory.mktemp("store") / "planted.slices", size=96, field="slice")


def test_every_column_comes_back_as_it_went_in(table, store):
    for name in ("patient", "scan", "slice", "labels", "outlined"):
        assert np.array_equal(getattr(store.table, name), getattr(table, name)), name
    assert store.table.facts["age"].tolist() == table.facts["age"].tolist()
    assert (store.table.name, store.table.known_labels, store.table.attribution) == (
        "planted",
        table.known_labels,
        "nobody",
    )
    assert (len(store), store.size, store.field) == (48, 96, "slice")


def test_pictures_keep_every_whole_hu_where_blood_and_brain_lie(table, store):
    """At its own size nothing is resampled: steps of 1 HU from -40 to 140, and of 12 HU in bone."""
    for row in (0, 14, 47):
        source, stored = table.hu(row), store.table.hu(row)
        soft = (source >= -40) & (source <= 140)
        assert np.abs(stored - source)[soft].max() <= 0.5
        assert np.abs(stored - source)[source > 300].max() <= 6
        assert np.array_equal(store.table.truth(row), table.truth(row))


def test_coding_rounds_to_the_nearest_level():
    hu = np.tile(np.array([-1000.0, -39.6, 0.4, 41.51, 139.4, 900.0, 2900.0, 5000.0], np.float32), (8, 1))
    assert decode_hu(encode_hu(hu))[5].tolist() == [-1000, -40, 0, 42, 139, 900, 2904, LEVELS_HU[-1]]
    assert np.array_equal(decode_hu(encode_hu(np.tile(LEVELS_HU, (8, 1))))[3], LEVELS_HU)


def test_a_stored_head_is_its_box_times_the_room_around_it(table, tmp_path):
    """A skull of radius r: the box is 2 r * 1.08 wide and the picture ROOM times that, so bone spans 1 / (1.08
    ROOM)."""
    stored = build_store(table, tmp_path / "s.slices", size=128)
    bone = stored.hu([0])[0] > 500
    assert np.ptp(np.flatnonzero(bone.any(axis=0))) / 128 == pytest.approx(1 / (1.08 * ROOM), abs=0.03)
    assert stored.inside_px[0] == pytest.approx(np.pi * (0.88 * bone.any(axis=0).sum() / 2) ** 2, rel=0.06)


def test_blood_counts_pixels_at_the_stored_size(table, store):
    assert store.blood_px.tolist() == [int(table.truth(row).sum()) for row in range(len(table))]


def test_rows_know_the_ends_of_their_scan(store):
    assert store.first[:13].tolist() == [0] * 6 + [6] * 6 + [12]
    assert store.last[:7].tolist() == [5] * 6 + [11]


def test_equal_pictures_have_equal_digests_and_others_not(table, tmp_path):
    twice = build_store(table.take(np.array([0, 1, 1])), tmp_path / "s.slices", size=32)
    assert twice.digest[1] == twice.digest[2] != twice.digest[0]


def test_a_slice_that_cannot_be_read_leaves_with_its_label_and_is_named(tmp_path):
    table = replace(table_of_heads(broken=[2]), report=DataProblems(missing=("p9/1",)))
    store = build_store(table, tmp_path / "s.slices", size=32)
    assert len(store) == len(table) - 1
    assert "p0/3" not in store.table.names
    assert store.table.labels.sum() == table.labels.sum() - 2
    assert store.table.report == DataProblems(missing=("p9/1",), corrupt=("p0/3",))
    assert store.table.report.sentences[1] == "1 slice is unreadable and left out together with the label: p0/3."


def test_a_slice_of_another_size_leaves_too(tmp_path):
    table = table_of_heads(heads=2)
    table.pixels.pictures[4] = np.zeros((50, 50), np.float32)
    assert build_store(table, tmp_path / "s.slices", size=32).table.report.corrupt == ("p0/5",)


def test_a_table_of_nothing_but_broken_files_makes_no_store(tmp_path):
    with pytest.raises(ValueError, match="Not one slice could be read"):
        build_store(table_of_heads(heads=2, broken=range(12)), tmp_path / "s.slices")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_build_leaves_nothing_behind(table, tmp_path):
    def cut(scans, total):
        yield next(iter(scans))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_store(table, tmp_path / "s.slices", progress=cut)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing(table, tmp_path, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("ich_lib.data.store._write", full)
    with pytest.raises(
        OSError, match=r"s.slices could not be written \(database or disk is full\); the incomplete file"
    ):
        build_store(table, tmp_path / "s.slices")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_store_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_store(tmp_path / "no.slices")
    (tmp_path / "text.slices").write_text("no database, " * 200)
    with pytest.raises(ValueError, match=r"text.slices is not a store of slices"):
        open_store(tmp_path / "text.slices")
    with sqlite3.connect(tmp_path / "other.slices") as file:
        file.execute("create table notes (line text)")
    file.close()
    with pytest.raises(ValueError, match=r"other.slices is not a store of slices"):
        open_store(tmp_path / "other.slices")


def test_an_older_format_is_refused(table, tmp_path):
    build_store(table.take(np.arange(6)), tmp_path / "s.slices", size=16)
    file = sqlite3.connect(tmp_path / "s.slices")
    with file:
        file.execute("update about set value = '0' where key = 'format'")
    file.close()
    with pytest.raises(ValueError, match="written by another version"):
        open_store(tmp_path / "s.slices")


def test_an_unknown_field_is_refused(table, tmp_path):
    with pytest.raises(ValueError, match="field must be one of head, slice; got 'brain'"):
        build_store(table, tmp_path / "s.slices", field="brain")


def test_no_more_slices_are_kept_decoded_than_fit_the_memory_given(store):
    """A slice of 96x96 takes 4 * 96 * 96 = 36,864 bytes, so 0.2 MB hold five slices."""
    small = open_store(store.path, memory_mb=0.2)
    full = small.hu(range(48))
    assert len(small.table.pixels.cache) == 5
    assert np.array_equal(full, store.hu(range(48)))


def test_threads_read_the_same_slices(store):
    small, wrong = open_store(store.path, memory_mb=0.2), []

    def look(seed):
        rows = np.random.default_rng(seed).integers(48, size=200)
        wrong.extend(row for row in rows if not np.array_equal(small.hu([row]), store.hu([row])))

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_kept_store_is_made_once_and_again_when_a_file_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("ICH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "1.jpg"
    source.write_bytes(b"one")
    table = table_of_heads(heads=2)
    table.pixels.files = lambda row: (source,)
    first, built = cached_store(table, size=16), []
    repeat = cached_store(table, size=16, progress=lambda scans, total: built.append(total) or scans)
    assert (first.path, built) == (repeat.path, [])
    os.utime(source, (1, 1))
    assert cached_store(table, size=16).path != first.path


def test_a_hundred_thousand_rows_open_in_little_memory(tmp_path):
    """Opening a store reads the columns of its rows, but not their pictures. Measured with a thousand rows."""
    import tracemalloc

    base = build_store(table_of_heads(heads=2), tmp_path / "base.slices", size=16)
    file = sqlite3.connect(base.path)
    columns = ", ".join(row[1] for row in file.execute("pragma table_info(slices)") if row[1] != "row")
    with file:
        file.execute(
            f"with recursive n(i) as (select 1 union all select i + 1 from n where i < 8400) "
            f"insert into slices select i * 12 + row, {columns} from slices, n"
        )
    file.close()
    tracemalloc.start()
    large = open_store(base.path, memory_mb=1)
    opened = tracemalloc.get_traced_memory()[0]
    for row in range(0, 100_000, 100):
        large.hu([row])
    read, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(large) == 12 * 8401
    assert read - opened < 3e6
    assert opened < 40e6
    assert peak < 250e6


def test_a_store_is_made_of_a_folder_or_of_its_table(tmp_path):
    """Two cases that `phantom` wrote. Both ways give the same bytes for each slice."""
    for seed in (1, 2):
        write_case(phantom(seed, bleeds=["subdural"], slices=3, pixels=64), tmp_path / "set" / f"{seed}")
    by_folder = make_store(tmp_path / "set", tmp_path / "a.slices", size=32, field="slice")
    by_table = make_store(open_set(tmp_path / "set"), tmp_path / "b.slices", size=32, field="slice")
    assert len(by_folder) == 6
    assert by_folder.digest.tolist() == by_table.digest.tolist()
    assert by_folder.field == "slice"
