import numpy as np
import pytest

from ich_lib.course.levels import level_of_slices
from ich_lib.course.painted import PaintedSlices, painted_slices
from ich_lib.data.phantoms import phantoms
from ich_lib.labels import ANY


@pytest.fixture(scope="module")
def heads():
    return phantoms(2, 3, size=64, field="head")


def test_half_of_the_clean_slices_of_every_level_get_a_clot(heads):
    slices = painted_slices(heads)
    counts = [(slices.bleeds[at].sum(), at.sum() // 2) for at in slices.level == np.unique(slices.level)[:, None]]
    painted, half = np.array(counts).T
    assert (painted <= half).all()
    assert painted.sum() > 0.7 * half.sum()  # some slices at the skull base have no room for a bleed


def test_only_clean_middle_slices_are_taken_and_only_the_clot_is_changed(heads):
    slices = painted_slices(heads)
    level = level_of_slices(heads.table)
    rows = np.flatnonzero((level >= 8) & (level < 28) & ~heads.table.labels[:, ANY])
    assert slices.head.tolist() == (rows // 34).tolist()
    assert slices.level.tolist() == level[rows].tolist()
    before, clean = heads.hu(rows), ~slices.bleeds
    assert np.array_equal(slices.hu[clean], before[clean])
    inside = slices.blood[slices.bleeds]
    assert slices.hu[slices.bleeds][inside].mean() > before[slices.bleeds][inside].mean() + 10
    assert slices.hu[slices.bleeds][~inside].mean() < before[slices.bleeds][~inside].mean() + 1


def test_the_seed_alone_decides_what_is_painted(heads):
    first, again, other = (painted_slices(heads, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.hu, again.hu)
    assert not np.array_equal(first.bleeds, other.bleeds)


def test_rows_are_those_of_the_heads_asked_for_and_a_bleed_at_one_height_is_known_by_the_height():
    head, level = np.repeat(np.arange(4), 10), np.tile(np.arange(10) * 3, 4)
    picture = np.zeros((40, 2, 2))
    slices = PaintedSlices(picture, picture > 0, level == 12, head, level)
    assert slices.rows(1, 3).tolist() == list(range(10, 30))
    assert slices.height_auc(slices.rows(0, 4)) == 1
    assert PaintedSlices(picture, picture > 0, head < 2, head, level).height_auc(np.arange(40)) < 0.5
