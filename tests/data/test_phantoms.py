"""Phantoms as a data set: the same heads as `phantom` makes, kept in a file."""

import numpy as np
import pytest

from ich_lib.data.phantoms import phantom_cases, phantoms
from ich_lib.labels import ANY


@pytest.fixture(scope="module")
def small_store():
    return phantoms(4, 3, size=64)


def test_the_store_holds_what_the_cases_are(small_store):
    cases = list(phantom_cases(4, 3, pixels=64))
    assert len(small_store) == sum(len(case.scan.hu) for case in cases)
    for i, case in enumerate(cases):
        rows = small_store.table.rows([f"phantom-{i}"])
        soft = np.abs(case.scan.hu - 50) <= 90
        assert np.abs(small_store.hu(rows) - case.scan.hu)[soft].max() <= 0.5
        assert np.array_equal(small_store.table.labels[rows], case.labels)
        total = sum(case.shares.values(), np.zeros(case.scan.hu.shape))
        assert np.abs(small_store.blood(rows) / 255 - total).max() <= 0.51 / 255 + 1e-6
    assert small_store.table.facts["seed"].tolist() == np.repeat([300_000 + i for i in range(4)], 34).tolist()


def test_a_second_call_opens_the_file_of_the_first(small_store):
    request = []
    repeat = phantoms(4, 3, size=64, progress=lambda heads, total: request.append(total) or heads)
    assert (repeat.path, request) == (small_store.path, [])


def test_a_head_is_the_same_however_many_are_made():
    item, many = (next(iter(phantom_cases(n, 5, pixels=64))) for n in (1, 9))
    assert np.array_equal(item.scan.hu, many.scan.hu)
    assert item.mimics == many.mimics


def test_of_many_heads_a_third_is_clean_and_all_types_occur(monkeypatch):
    """The plan of 600 heads, without making them: a third has no blood, within four standard deviations (46)."""
    request = []
    monkeypatch.setattr("ich_lib.data.phantoms.phantom", lambda seed, **options: request.append(options))
    list(phantom_cases(600, 0))
    bleeds = [options["bleeds"] for options in request]
    assert abs(sum(not b for b in bleeds) - 200) < 46
    counts = [sum(name in b for b in bleeds) for name in ("epidural", "subdural", "subarachnoid")]
    assert min(counts) > 60
    assert all(2.5 <= options["noise_hu"] <= 6 for options in request)


def test_the_table_tells_bleeding_and_clean_slices_apart(small_store):
    bleeding = small_store.table.labels[:, ANY]
    assert bleeding.any()
    assert (small_store.blood_px[bleeding] > 0).all()
    assert (small_store.blood_px[~bleeding] == 0).all()
    assert small_store.table.outlined.all()
    assert (small_store.size, small_store.field, small_store.table.name) == (64, "slice", "phantoms")
