"""The queue of docs/scale.py, compared with formulas that can be worked out on paper."""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def scale():
    spec = spec_from_file_location("scale", ROOT / "docs" / "scale.py")
    module = module_from_spec(spec)
    sys.modules["scale"] = module  # dataclasses look up their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scale"]


def test_three_studies_at_once_wait_for_one_worker_and_for_two(scale):
    come, service = np.array([10.0, 10.0, 10.0, 100.0]), np.full(4, 5.0)
    assert scale.waits(come, service, 1).tolist() == [0, 5, 10, 0]
    assert scale.waits(come, service, 2).tolist() == [0, 0, 5, 0]
    assert scale.waits(come, service, 4).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("workers", "rate", "mean_wait"), [(1, 0.5, 1.0), (2, 1.0, 1 / 3)])
def test_random_arrivals_wait_as_queueing_theory_says(scale, workers, rate, mean_wait):
    """M/M/1 at half load: rho / (mu - lambda) = 1. M/M/2 at half load (Erlang C 1/3): 1/3."""
    random = np.random.default_rng(3)
    come = np.cumsum(random.exponential(1 / rate, 50_000))
    waited = scale.waits(come, random.exponential(1.0, 50_000), workers)
    assert waited.mean() == pytest.approx(mean_wait, rel=0.08)


def test_arrivals_come_as_many_as_asked_most_of_them_by_day_and_in_bursts(scale):
    come = scale.arrivals(300, 3, 200, 0)
    assert len(come) / 200 == pytest.approx(300, rel=0.03)
    hours = (come % scale.DAY_S) // 3600
    assert ((hours >= 8) & (hours < 18)).mean() == pytest.approx(
        sum(scale.PROFILE[8:18]) / sum(scale.PROFILE), abs=0.02
    )
    assert len(come) / len(np.unique(come)) == pytest.approx(3, rel=0.03)
    assert (np.diff(come) >= 0).all()


def test_service_times_have_their_mean_and_spread(scale):
    times = scale.service_times(5.0, 100_000, 0)
    assert times.mean() == pytest.approx(5, rel=0.01)
    assert times.std() == pytest.approx(1.25, rel=0.02)


def test_the_tables_of_the_page_are_what_the_script_says(scale):
    text = scale.PAGE.read_text(encoding="utf-8")
    changed = text.replace("| 16 |", "| 17 |")
    assert changed != text
    assert scale.page(changed) == text, "run python docs/scale.py"
