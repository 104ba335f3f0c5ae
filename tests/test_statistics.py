import json

import numpy as np
import pytest
from scipy import stats

from ich_lib.statistics import Figure, patient_bootstrap


def test_the_interval_of_a_mean_agrees_with_scipy():
    sample = np.random.default_rng(3).normal(0.4, 0.2, 40).tolist()
    ours = patient_bootstrap(sample, lambda some: float(np.mean(some)), rounds=4000)
    theirs = stats.bootstrap((sample,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert ours.value == pytest.approx(np.mean(sample))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)
    assert ours.n_patients == 40


def test_resamples_that_leave_the_figure_undefined_are_left_out():
    figure = patient_bootstrap([0, 1], lambda some: float("nan") if len(set(some)) == 1 else 1.0)
    assert (figure.value, figure.low, figure.high) == (1, 1, 1)


def test_nobody_gives_null_not_a_crash():
    figure = patient_bootstrap([], np.mean)
    assert json.loads(json.dumps(figure.as_json(), allow_nan=False)) == {
        "value": None,
        "low": None,
        "high": None,
        "n_patients": 0,
    }


def test_a_figure_prints_with_its_interval_and_count():
    assert str(Figure(0.5, 0.25, 0.75, 6)) == "0.500 (95 % 0.250 to 0.750, 6 patients)"
