from dataclasses import replace

import numpy as np

from ich_lib.colors import TRUTH, rgb
from ich_lib.data import summary
from ich_lib.data.summary import CLEAN, LabelCount
from ich_lib.labels import ANY, LABELS
from tests.planted import Arrays, table_of_heads


def heads():
    """Eight heads of six slices. p0, p2, p4 and p6 bleed in two slices each, with one type each."""
    return table_of_heads(heads=8)


def test_counts_by_label_are_those_that_were_planted():
    result = {item.label: item for item in summary.count_labels(heads())}
    assert result["any"] == LabelCount("any", 8, 4, 4)
    assert result[CLEAN] == LabelCount(CLEAN, 40, 4, 4)
    assert sum(result[name].slices for name in LABELS[:ANY]) == 8


def test_labels_that_a_set_does_not_tell_are_not_counted_as_none():
    result = summary.count_labels(replace(heads(), known_labels=("any",)))
    assert [item.label for item in result] == ["any", CLEAN]


def test_patients_come_once_with_what_they_show():
    first, second, *rest = summary.patients(heads())
    assert (first.name, first.scans, first.slices, first.bleeding, len(first.types)) == ("p0", 1, 6, 2, 1)
    assert (second.name, second.bleeding, second.types) == ("p1", 0, ())
    assert (first.age, second.age, first.sex) == (20, 21, "")
    assert len(rest) == 6


def test_where_a_set_knows_no_patients_its_scans_are_listed():
    table = heads()
    nameless = replace(table, patient=np.full(len(table), ""))
    assert [item.name for item in summary.patients(nameless)] == [f"p{k}" for k in range(8)]


def test_slices_are_drawn_from_other_patients_first():
    table = heads()
    rows = summary.pick_rows(table, "any", 6, seed=1)
    assert len(set(table.patient[rows[:4]].tolist())) == 4
    assert len(set(rows.tolist())) == 6
    assert table.labels[rows, ANY].all()
    assert not table.labels[summary.pick_rows(table, CLEAN, 9), ANY].any()
    assert rows.tolist() != summary.pick_rows(table, "any", 6, seed=2).tolist()
    assert len(summary.pick_rows(table, "any", 99)) == 8


def test_planted_ct_numbers_stand_in_their_own_bins():
    """Blood of 70 HU on brain of 30: each curve is one bin of 100 %. A damaged file adds nothing."""
    table = heads()
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    hu = np.where(mask, 70, 30).astype(np.float32)
    planted = replace(table, pixels=Arrays([hu] * len(table), [mask] * len(table), broken=[2]))
    result = summary.hu_histogram(planted, [2, 3, 0], low_hu=0, high_hu=100, step_hu=10)
    assert result.edges_hu.tolist() == list(range(0, 101, 10))
    assert result.blood.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert result.other[3] == 24 / 28  # row 0 is labeled clean, so its stripe of 4 pixels counts with the rest
    assert result.other[7] == 4 / 28


def test_a_tile_is_gray_but_for_the_line_and_dark_where_nothing_could_be_read():
    hu = np.full((40, 20), 40, np.float32)
    mask = np.zeros(hu.shape, bool)
    mask[10:30, 5:15] = True
    picture = summary.render_tile(hu, mask, 40, 80, 80)
    assert picture.shape == (80, 80, 3)
    assert (picture[:, :20] == 0).all()  # a tall slice in the middle
    assert (picture[40, 40] == 128).all()
    assert picture[20:24, 40].tolist().count(list(rgb(TRUTH))) >= 1  # the upper edge, row 10 of 40
    assert not summary.render_tile(None, None, 40, 80, 16).any()


def test_tiles_stand_row_by_row_with_a_gap():
    tiles = [np.full((10, 10, 3), value, np.uint8) for value in (50, 100, 150)]
    picture = summary.contact_sheet(tiles, 2, gap=4)
    assert picture.shape == (24, 24, 3)
    assert picture[[5, 5, 19, 19, 12], [5, 19, 5, 19, 5], 0].tolist() == [50, 100, 150, 0, 0]


def test_a_mask_of_another_size_is_left_out():
    table = heads()
    planted = replace(table, pixels=Arrays([np.zeros((4, 4), np.float32)] * 48, [np.ones((5, 5), bool)] * 48))
    ((hu, mask),) = summary.read_rows(planted, [int(np.flatnonzero(table.labels[:, ANY])[0])])
    assert hu.shape == mask.shape
    assert not mask.any()
