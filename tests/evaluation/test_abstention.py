import numpy as np
import pytest

from ich_lib.evaluation.abstention import abstention, area, curve
from ich_lib.show.abstention import risk_coverage
from tests.evaluation.test_evaluate import scan


def test_error_against_coverage_on_paper():
    """From the surest on: right, wrong, right, wrong. So the errors are 0, 1/2, 1/3, 1/2 at coverages of 1/4, 1/2, 3/4,
    1."""
    wrong, confidence = np.array([True, False, True, False]), np.array([0.1, 0.9, 0.8, 0.3])
    assert curve(wrong, confidence) == pytest.approx(np.array([[0.25, 0], [0.5, 1 / 2], [0.75, 1 / 3], [1, 1 / 2]]))
    assert area(wrong, confidence) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert area(wrong, ~wrong) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_equally_sure_answers_have_no_order():
    """Two answers have the same confidence and one is wrong. In either order each counts half an error."""
    for wrong in ([True, False, False], [False, True, False]):
        result = curve(np.array(wrong), np.array([0.5, 0.5, 0.9]))
        assert result[:, 1] == pytest.approx([0, 1 / 4, 1 / 3])


# Scan scores in eighths, which differ from one half by exactly equal amounts. The third gets no answer. The fourth
# and the fifth are wrong; the fifth is a missed bleed.
SCANS = [
    scan("a", [1], [0.875]),
    scan("b", [0], [0.25]),
    scan("c", [0], [0.5625]),
    scan("d", [0], [0.75]),
    scan("e", [1], [0.125]),
]


def test_a_rule_that_keeps_silent_on_paper():
    result = abstention(SCANS, threshold=0.5)
    assert result.band == (0.3, 0.7)
    assert (result.scans, result.answered, result.wrong, result.wrong_answered) == (5, 4, 3, 2)
    assert result.missed_answered == 1
    assert result.coverage.value == pytest.approx(4 / 5)
    assert result.error_answered.value == pytest.approx(2 / 4)
    assert result.error_all.value == pytest.approx(3 / 5)
    assert result.coverage.n_patients == 5
    assert result.coverage.low < 4 / 5 < result.coverage.high
    # a and e have the same confidence, and so have b and d
    assert result.area.value == pytest.approx((0.5 + 0.5 + 0.5 + 0.5 + 0.6) / 5)
    assert result.curve[-1] == (1.0, 0.6)


def test_silence_ends_at_the_edges_of_the_band_and_not_a_millionth_before():
    edges = [scan("a", [1], [0.7]), scan("b", [0], [0.3])]
    assert abstention(edges, threshold=0.5).answered == 2
    inside = [scan("a", [1], [0.7 - 1e-7]), scan("b", [0], [0.3 + 1e-7])]
    assert abstention(inside, threshold=0.5).answered == 0


def test_answers_that_differ_by_a_ten_millionth_have_an_order():
    surer = [scan("a", [1], [0.9 + 1e-7]), scan("b", [0], [0.9])]
    assert abstention(surer, threshold=0.5).curve == ((0.5, 0.0), (1.0, 0.5))


def test_a_rule_that_is_never_sure_answers_nothing():
    result = abstention([scan("a", [1], [0.5]), scan("b", [0], [0.6])], threshold=0.5)
    assert (result.answered, result.coverage.value) == (0, 0)
    assert np.isnan(result.error_answered.value)
    assert risk_coverage(result).axes[0].lines


def test_the_plot_shows_the_curve_and_the_rule():
    axes = risk_coverage(abstention(SCANS, threshold=0.5)).axes[0]
    assert axes.lines[0].get_ydata()[-1] == 0.6
    assert [tuple(line.get_data()) for line in axes.lines if line.get_marker() == "o"] == [([0.8], [0.5])]
