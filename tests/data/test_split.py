"""Splits of synthetic tables, counted on paper, and leaks that are planted one at a time."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.data import Table
from ich_lib.data.split import Split, by_patient, find_leaks, hold_out, leaky_image_split, leaky_row_split
from ich_lib.data.store import build_store
from ich_lib.labels import ANY, LABELS
from ich_lib.models.run import Run
from tests.planted import Arrays, table_of_heads


def table(types, slices=3):
    """One patient for each entry: the numbers of the types that its middle slice shows; no number for a clean
    patient."""
    labels = np.zeros((len(types) * slices, 6), bool)
    for i, view in enumerate(types):
        labels[i * slices + 1, [*view, ANY] if view else []] = True
    patient = np.repeat([f"{i:03d}" for i in range(len(types))], slices)
    number = np.tile(np.arange(slices), len(types))
    return Table("counts", patient, patient, number, labels, ~labels[:, ANY], Arrays([], []))


CT_ICH_LIKE = table([(0,)] * 15 + [(1,)] * 8 + [(0, 1)] * 3 + [(4,)] * 3 + [()] * 37)


def fold_counts(split, slices, label):
    """The number of patients of each fold that show a label."""
    shows = {str(p) for p in slices.patient[slices.labels[:, LABELS.index(label)]]}
    return sorted(Counter(fold for patient, fold in split.folds.items() if patient in shows).values())


def test_every_patient_has_one_fold_and_every_label_is_shared_out_evenly():
    """66 patients in 5 folds: 13 or 14 each; 29 with blood: 5 or 6; 18 epidural: 3 or 4; 3 subdural: 1 in three."""
    split = by_patient(CT_ICH_LIKE)
    assert sorted(Counter(split.folds.values()).values()) == [13, 13, 13, 13, 14]
    assert fold_counts(split, CT_ICH_LIKE, "any") == [5, 6, 6, 6, 6]
    assert fold_counts(split, CT_ICH_LIKE, "epidural") == [3, 3, 4, 4, 4]
    assert fold_counts(split, CT_ICH_LIKE, "intraparenchymal") == [2, 2, 2, 2, 3]
    assert fold_counts(split, CT_ICH_LIKE, "subdural") == [1, 1, 1]


def test_the_two_sides_of_a_fold_are_all_rows_and_share_none():
    split = by_patient(CT_ICH_LIKE, held_out=2)
    trained, held_out = (split.rows(CT_ICH_LIKE, trained=side) for side in (True, False))
    assert sorted([*trained, *held_out]) == list(range(len(CT_ICH_LIKE)))
    assert set(CT_ICH_LIKE.patient[trained]).isdisjoint(CT_ICH_LIKE.patient[held_out])
    assert len(replace(split, held_out=None).rows(CT_ICH_LIKE, trained=True)) == len(CT_ICH_LIKE)


def test_patients_set_apart_are_on_neither_side(tmp_path):
    """Three slices of each patient: a (rows 0 to 2) is held out, b (3 to 5) trained on, c (6 to 8) set apart."""
    rows = table([(0,), (1,), ()])
    split = Split("patient", {"000": 0, "001": 2, "002": -1}, held_out=0)
    assert split.rows(rows, trained=False).tolist() == [0, 1, 2]
    assert split.rows(rows, trained=True).tolist() == [3, 4, 5]
    assert replace(split, held_out=None).rows(rows, trained=True).tolist() == [0, 1, 2, 3, 4, 5]
    run = Run(tmp_path, None, split)
    assert (run.patients(trained=False), run.patients(trained=True)) == (["000"], ["001"])


def test_the_seed_decides_and_repeats_and_the_order_of_rows_does_not_matter():
    folds = by_patient(CT_ICH_LIKE, seed=1).folds
    assert folds == by_patient(CT_ICH_LIKE, seed=1).folds != by_patient(CT_ICH_LIKE, seed=2).folds
    assert folds == by_patient(CT_ICH_LIKE.take(np.arange(len(CT_ICH_LIKE))[::-1]), seed=1).folds


def test_a_fifth_held_out_holds_a_fifth_of_each_label():
    """0.2 of 66 patients is 13. Of 29 with blood, 5.7 belong there; of 18 epidural, 3.5."""
    split = hold_out(CT_ICH_LIKE)
    held_out = {patient for patient, fold in split.folds.items() if fold == 0}
    assert len(held_out) == 13
    bleeding = CT_ICH_LIKE.bleeding()
    assert sum(bleeding[patient] for patient in held_out) in (5, 6)
    assert {CT_ICH_LIKE.patient[row] for row in split.rows(CT_ICH_LIKE, trained=False)} == held_out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: by_patient(table([(), ()])), "2 patients cannot make 5 folds; choose between 2 and 2"),
        (lambda: by_patient(CT_ICH_LIKE, held_out=5), "There is no fold 5; folds are numbered 0 to 4"),
        (lambda: hold_out(CT_ICH_LIKE, share=0.001), "A share of 0.001 of 66 patients leaves one side empty"),
        (lambda: leaky_row_split(table([()])), "3 slices cannot make 5 folds"),
    ],
)
def test_splits_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_table_without_patients_is_not_split_by_patient():
    nameless = replace(CT_ICH_LIKE, patient=np.full(len(CT_ICH_LIKE), ""))
    with pytest.raises(ValueError, match="counts does not name the patients of its slices"):
        by_patient(nameless)
    assert len(leaky_image_split(nameless).folds) == len(nameless)


def test_a_split_does_not_fit_a_table_with_another_patient():
    with pytest.raises(ValueError, match="holds '000', which is not in this split by patient"):
        Split("patient", {"a": 0}).rows(CT_ICH_LIKE, trained=True)


def test_the_leaky_image_split_parts_a_patient_but_not_an_image():
    rows = CT_ICH_LIKE.take(np.repeat(np.arange(30), 2))  # each image twice: one row for each annotation
    split = leaky_image_split(rows)
    held_out = split.rows(rows, trained=False)
    names = np.array(rows.names)
    assert set(names[held_out]).isdisjoint(names[split.rows(rows, trained=True)])
    assert len(set(rows.patient[held_out]) & set(rows.patient[split.rows(rows, trained=True)])) > 3


def test_the_leaky_row_split_parts_even_an_image():
    rows = CT_ICH_LIKE.take(np.repeat(np.arange(30), 2))
    split = leaky_row_split(rows)
    names = np.array(rows.names)
    assert set(names[split.rows(rows, trained=False)]) & set(names[split.rows(rows, trained=True)])


HALVES = Split("patient", {f"p{i}": int(i >= 4) for i in range(8)})  # p0 to p3 held out


def to_store(slices, folder):
    return build_store(slices, folder / "s.slices", size=128, field="slice")


def test_honest_folds_of_different_heads_do_not_leak(tmp_path):
    result = find_leaks(HALVES, to_store(table_of_heads(), tmp_path))
    assert not result
    assert str(result) == "no leak"


def test_a_patient_on_both_sides_is_named(tmp_path):
    result = find_leaks(leaky_image_split(table_of_heads()), to_store(table_of_heads(), tmp_path))
    assert "p0" in result.patients
    assert "patients are on both sides" in str(result)


def test_a_copy_of_a_patient_set_apart_is_no_leak_between_the_sides(tmp_path):
    heads = table_of_heads()
    # p7 is trained on and shows a slice of p0, which is held out
    heads.pixels.pictures[8 * 6 - 4] = heads.pixels.pictures[1].copy()
    store = to_store(heads, tmp_path)
    assert find_leaks(HALVES, store).images
    assert not find_leaks(replace(HALVES, folds={**HALVES.folds, "p0": -1}), store)


def test_unknown_patients_are_not_one_patient_on_both_sides(tmp_path):
    nameless = replace(table_of_heads(), patient=np.full(48, ""))
    assert find_leaks(leaky_image_split(nameless), to_store(nameless, tmp_path)).patients == ()


def test_an_equal_picture_under_two_names_is_found_by_its_hash(tmp_path):
    heads = table_of_heads()
    heads.pixels.pictures[8 * 6 - 4] = heads.pixels.pictures[1].copy()
    result = find_leaks(HALVES, to_store(heads, tmp_path))
    assert result.images == (("p7/3", "p0/2"),)
    assert not result.patients
    assert not result.near
    assert "1 held-out slices equal a trained one (such as p0/2 and p7/3)" in str(result)


@pytest.mark.parametrize(
    "change",
    [
        lambda hu, rng: hu + rng.normal(0, 5, hu.shape).astype(np.float32),
        lambda hu, rng: hu + np.float32(5),
        lambda hu, rng: hu[:, ::-1] + np.float32(1),
        lambda hu, rng: np.where(hu > 300, np.float32(700), hu),
    ],
    ids=["noise", "brighter", "mirrored", "other bone"],
)
def test_a_picture_made_over_is_found_as_nearly_the_same(change, tmp_path):
    heads = table_of_heads()
    heads.pixels.pictures[45] = change(heads.pixels.pictures[3], np.random.default_rng(0))
    result = find_leaks(HALVES, to_store(heads, tmp_path))
    assert result.near == (("p7/4", "p0/4"),)
    assert not result.images


def test_empty_pictures_are_not_taken_for_copies(tmp_path):
    heads = table_of_heads()
    rng = np.random.default_rng(0)
    for row in (0, 47):
        heads.pixels.pictures[row] = rng.normal(-1000, 3, (96, 96)).astype(np.float32)
    assert not find_leaks(HALVES, to_store(heads, tmp_path)).near


@pytest.mark.long
def test_patients_of_the_real_set_do_not_look_like_copies_and_leaky_slices_do(ct_ich_store):
    real = ct_ich_store.table
    for fold in range(5):
        assert not find_leaks(by_patient(real, held_out=fold), ct_ich_store)
    leaky = [find_leaks(leaky_image_split(real, held_out=fold, seed=1), ct_ich_store) for fold in range(5)]
    assert [len(leaks.patients) for leaks in leaky] == [66] * 5
    near = [pair for leaks in leaky for pair in leaks.near]  # neighbors in one head, which this split separates
    assert {frozenset(pair) for pair in near} == {frozenset(("062/10", "062/11"))}
