import numpy as np
import pytest

from ich_lib.course.density import DENSITY_FEATURES, density_features
from ich_lib.course.levels import LEVELS, height_auc, level_of_slices, same_level_auc
from ich_lib.course.real import real_slice
from ich_lib.measures.metrics import auc


class Heads:
    """A table of four heads of ten slices; the fifth one bleeds."""

    labels = np.tile(np.arange(10) == 4, 4)[:, None] & np.ones(6, bool)
    patient = np.repeat(list("abcd"), 10)

    def __len__(self):
        return 40

    def scans(self):
        return np.split(np.arange(40), 4)


def test_a_bleed_always_at_one_height_is_known_by_the_height_alone():
    table = Heads()
    level = level_of_slices(table)
    assert level[:10].tolist() == [round(k * (LEVELS - 1) / 9) for k in range(10)]
    assert height_auc(table) == 1
    assert height_auc(table, np.arange(20)) == 1


def test_what_a_score_knows_of_heights_does_not_help_at_equal_height():
    rng = np.random.default_rng(0)
    level = np.tile(np.arange(20), 30)
    truth = rng.random(600) < np.where((level > 5) & (level < 14), 0.5, 0.02)
    by_height = np.where((level > 5) & (level < 14), 1.0, 0.0)
    assert auc(truth, by_height) > 0.8
    assert same_level_auc(truth, by_height, level) == 0.5
    assert same_level_auc(truth, truth + by_height, level) == 1
    assert np.isnan(same_level_auc(truth, by_height, np.arange(600)))


def test_density_features_find_a_clot_and_its_side():
    hu = np.full((3, 64, 64), -1000.0)
    hu[:, 8:56, 8:56] = 30
    hu[1, 20:30, 40:50] = 65  # on the patient's left
    hu[2, 20:30, 14:24] = 65
    clean, left, right = density_features(hu)
    assert len(clean) == len(DENSITY_FEATURES)
    assert left[0] > 60 > 35 > clean[0]
    assert left[3] > 40
    assert clean[3] == 0
    assert left[-1] == -right[-1] > 0
    np.testing.assert_allclose(left[:-1], right[:-1], rtol=1e-5)


@pytest.mark.parametrize(
    ("patient", "words"),
    [("066", "slice 19 of 29, epidural"), ("099", "slice 15 of 29, no bleed")],
)
def test_a_real_slice_says_whose_it_is(patient, words, capsys):
    hu, blood = real_slice(patient, size=64)
    assert f"Patient {patient}, {words}. CT-ICH" in capsys.readouterr().out
    assert hu.shape == blood.shape == (64, 64)
    assert blood.any() == (patient == "066")
    assert 0 < np.median(hu[(hu > -100) & (hu < 200)]) < 60
