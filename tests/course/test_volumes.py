import numpy as np
import pytest

from ich_lib.course.levels import height_auc
from ich_lib.course.volumes import HeadVolumes, disc_volumes, head_volumes
from ich_lib.data.phantoms import phantoms
from ich_lib.data.split import by_patient
from ich_lib.labels import ANY
from ich_lib.prepare.window import WINDOWS, window


@pytest.fixture(scope="module")
def store():
    return phantoms(6, 0, size=64, field="head")


def test_every_second_volume_holds_a_bleed_of_three_neighboring_slices_and_the_others_a_vessel():
    volumes, bleeds, discs = disc_volumes(40, seed=3)
    assert volumes.shape == (40, 8, 32, 32)
    assert discs[::2].all()
    assert not bleeds[::2].any()
    assert np.array_equal(bleeds[1::2] > 0, discs[1::2])
    for rows in discs[1::2, :, 0]:
        at = np.flatnonzero(rows)
        assert len(at) == 3
        assert np.ptp(at) == 2
    inside = volumes.mean(axis=(2, 3), keepdims=True)[..., 0]  # a disc of 45 of 1,024 pixels raises the mean by 0.044
    assert inside[discs].mean() - inside[~discs].mean() == pytest.approx(45 / 1024, abs=0.004)


def test_one_slice_of_a_bleed_looks_like_one_of_a_vessel():
    volumes, _, discs = disc_volumes(200, seed=0)
    vessels, bleeds = (volumes[k::2][discs[k::2, :, 0]] for k in (0, 1))
    for measure in (np.mean, np.std, np.max):
        values = [measure(slices, axis=(1, 2)).mean() for slices in (vessels, bleeds)]
        assert values[0] == pytest.approx(values[1], rel=0.02)


def test_the_seed_alone_decides_where_the_discs_lie():
    first, again, other = (disc_volumes(4, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_heads_keep_their_slices_and_every_pixel_is_the_mean_of_a_block(store):
    heads = head_volumes(32, store)
    assert heads.gray.shape == (6, 34, 32, 32)
    row = 3 * 34 + 20
    whole = window(store.hu([row])[0], *WINDOWS["brain render"])
    assert heads.gray[3, 20, 5, 9] == pytest.approx(whole[10:12, 18:20].mean(), abs=1e-6)
    assert np.array_equal(heads.labels[3, :, 0] > 0, store.table.labels[3 * 34 : 4 * 34, ANY])


def test_a_third_of_the_patients_is_held_out_and_judged_by_the_height_as_well(store):
    heads = head_volumes(32, store)
    folds = by_patient(store.table, folds=3).folds
    assert heads.held_out.tolist() == [folds[name] == 0 for name in store.table.patient[::34]]
    assert heads.held_out.sum() == 2
    assert heads.height_auc == height_auc(store.table, np.flatnonzero(np.repeat(heads.held_out, 34)))


def test_a_score_is_judged_on_the_held_out_heads_and_given_head_by_head():
    labels = np.zeros((3, 4, 1), np.float32)
    labels[:, 2] = 1
    heads = HeadVolumes(np.zeros((3, 4, 2, 2)), labels, np.array([True, False, True]), 0.5)
    assert heads.auc(labels[[0, 2]]) == 1
    assert heads.auc(-labels[[0, 2]]) == 0
    by_head = heads.by_head(np.arange(8.0).reshape(2, 4, 1))
    assert list(by_head) == [0, 1]
    assert by_head[1][0].ravel().tolist() == [0, 0, 1, 0]
    assert by_head[1][1].ravel().tolist() == [4, 5, 6, 7]


def test_a_side_that_does_not_divide_the_stored_pixels_is_refused(store):
    with pytest.raises(ValueError, match="side must divide the 64 pixels of a stored slice; got 30"):
        head_volumes(30, store)
