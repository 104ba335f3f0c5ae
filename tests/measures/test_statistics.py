import itertools
import json
import math

import numpy as np
import pytest
from scipy import stats

from ich_lib.measures.bootstrap import (
    Estimate,
    group_by_patient,
    grouped_bootstrap,
    paired_bootstrap,
    patient_bootstrap,
    pooled,
)
from ich_lib.measures.statistics import (
    Comparison,
    anova,
    average_per_patient,
    mann_whitney,
    t_test,
    two_factor_anova,
    welch,
)


def test_the_interval_of_a_mean_agrees_with_scipy():
    sample = np.random.default_rng(3).normal(0.4, 0.2, 40).tolist()
    actual = patient_bootstrap(sample, lambda group: float(np.mean(group)), rounds=4000)
    reference = stats.bootstrap((sample,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert actual.value == pytest.approx(np.mean(sample))
    assert (actual.low, actual.high) == pytest.approx((reference.low, reference.high), abs=0.01)
    assert actual.n_patients == 40


def test_resamples_that_leave_the_figure_undefined_are_left_out():
    figure = patient_bootstrap([0, 1], lambda group: float("nan") if len(set(group)) == 1 else 1.0)
    assert (figure.value, figure.low, figure.high) == (1, 1, 1)


def test_nobody_gives_null_not_a_crash():
    figure = patient_bootstrap([], np.mean)
    assert json.loads(json.dumps(figure.as_json(), allow_nan=False)) == {
        "value": None,
        "low": None,
        "high": None,
        "n_patients": 0,
    }


SCANS = [("a", 1.0), ("b", 6.0), ("a", 2.0)]  # two scans of one patient, one of another


def of_patient(scan):
    return scan[0]


def mean_of(scans):
    return float(np.mean([value for _, value in scans]))


def test_scans_are_grouped_by_patient_in_the_order_they_come():
    assert group_by_patient(SCANS, of_patient) == {"a": [SCANS[0], SCANS[2]], "b": [SCANS[1]]}
    assert pooled(mean_of)([[SCANS[0], SCANS[2]], [SCANS[1]]]) == 3.0


def test_all_scans_of_a_patient_are_drawn_together():
    """Two patients: a resample is a a, a b or b b. So its mean is 1.5, 3 or 6, and never 1 or 2."""
    visited = set()

    def noted(scans):
        visited.add(mean_of(scans))
        return mean_of(scans)

    assert grouped_bootstrap(SCANS, of_patient, noted, rounds=200) == Estimate(3.0, 1.5, 6.0, 2)
    assert visited == {1.5, 3.0, 6.0}


def test_a_patient_with_one_scan_each_is_the_plain_bootstrap():
    single = [(str(number), float(number % 7)) for number in range(30)]
    grouped = grouped_bootstrap(single, of_patient, mean_of, rounds=300, seed=3)
    assert grouped == patient_bootstrap(single, mean_of, rounds=300, seed=3)


def test_a_figure_prints_with_its_interval_and_count():
    assert str(Estimate(0.5, 0.25, 0.75, 6)) == "0.500 (95 % 0.250 to 0.750, 6 patients)"


def test_two_runs_on_the_same_patients_are_told_apart_where_their_own_intervals_overlap():
    """Patients differ by far more than the runs do. The interval of a difference allows for that; two single
    intervals do not."""
    rng = np.random.default_rng(5)
    first = {f"p{i:02}": hard for i, hard in enumerate(rng.normal(0.5, 0.2, 30))}
    second = {patient: score + rng.normal(0.03, 0.02) for patient, score in reversed(first.items())}
    gain = paired_bootstrap(first, second, np.mean, rounds=4000)
    differences = np.array([second[patient] - first[patient] for patient in first])
    reference = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=4000, rng=1
    ).confidence_interval
    assert gain.value == pytest.approx(differences.mean())
    assert (gain.low, gain.high) == pytest.approx((reference.low, reference.high), abs=0.001)
    single = [patient_bootstrap(list(run.values()), np.mean) for run in (first, second)]
    assert gain.low > 0
    assert single[1].low < single[0].high
    assert gain.n_patients == 30


def test_a_run_against_itself_gains_exactly_nothing():
    run = {"p1": 0.2, "p2": 0.9, "p3": 0.4}
    figure = paired_bootstrap(run, dict(reversed(run.items())), np.median)
    assert (figure.value, figure.low, figure.high) == (0, 0, 0)


def test_runs_on_different_patients_are_not_paired():
    with pytest.raises(ValueError, match="2 are in one only, such as p2, p3"):
        paired_bootstrap({"p1": 1, "p2": 1}, {"p1": 1, "p3": 1}, np.mean)


def test_the_t_test_worked_on_paper():
    """Means 2 and 4; sums of squares 2 and 8 over 4 degrees: variance 2.5; t = -2 / sqrt(2.5 * 2 / 3) = -1.549."""
    result = t_test({"a": [1, 2, 3], "b": [2, 4, 6]})
    assert result.statistic == pytest.approx(-2 / math.sqrt(2.5 * 2 / 3))
    assert result.degrees == (4,)
    assert result.sizes == {"a": 3, "b": 3}


def test_welch_worked_on_paper():
    """Squared errors 1/3 and 4/3; degrees (5/3)^2 / ((1/3)^2 / 2 + (4/3)^2 / 2) = 50/17, not 4."""
    result = welch({"a": [1, 2, 3], "b": [2, 4, 6]})
    assert result.statistic == pytest.approx(-2 / math.sqrt(5 / 3))
    assert result.degrees == pytest.approx((50 / 17,))
    assert result.p == pytest.approx(2 * stats.t.sf(2 / math.sqrt(5 / 3), 50 / 17))


def test_mann_whitney_counts_pairs_and_its_p_counts_all_shares_of_the_ranks():
    a, b = [1.1, 2.5, 3.9, 0.2], [2.7, 4.0, 5.5, 6.1, 3.3]
    u = sum(x > y for x in a for y in b)
    shares = [sum(ranks) - 10 for ranks in itertools.combinations(range(1, 10), 4)]
    result = mann_whitney({"a": a, "b": b})
    assert result.statistic == u == 2
    assert result.p == pytest.approx(2 * np.mean([share <= u for share in shares]))
    assert result.degrees == ()


def test_mann_whitney_halves_ties():
    assert mann_whitney({"a": [1, 2, 2], "b": [2, 3, 3]}).statistic == 1
    assert mann_whitney({"a": [2, 2], "b": [2, 2]}).p == 1


def test_one_way_anova_worked_on_paper():
    """Means 2, 4, 6 around 4: between groups 3 * 8 = 24 over 2; within groups 2 + 2 + 2 over 6; F = 12."""
    result = anova({"a": [1, 2, 3], "b": [3, 4, 5], "c": [5, 6, 7]})
    assert (result.statistic, result.degrees) == (pytest.approx(12), (2, 6))
    assert result.p == pytest.approx(stats.f.sf(12, 2, 6))


def test_anova_of_two_groups_is_the_t_test_squared():
    groups = {"a": [310.0, 55, 720, 140], "b": [900.0, 430, 1210, 640, 380]}
    squared, f = t_test(groups), anova(groups)
    assert f.statistic == pytest.approx(squared.statistic**2)
    assert f.p == pytest.approx(squared.p)


@pytest.mark.parametrize("spread", [120.0, 450.0])
def test_on_areas_of_twenty_slices_the_tests_agree_with_reshuffled_labels(spread):
    """The independent result uses no distribution: how often do shuffled group names separate the values as far?"""
    rng = np.random.default_rng(11)
    a, b = rng.normal(700, 300, 10), rng.normal(1000, spread, 10)
    pooled = np.concatenate([a, b])
    shuffled = rng.permuted(np.tile(pooled, (20000, 1)), axis=1)
    gaps = np.abs(shuffled[:, :10].mean(axis=1) - shuffled[:, 10:].mean(axis=1))
    by_shuffling = np.mean(gaps >= abs(a.mean() - b.mean()))
    for test in (t_test, welch, anova):
        assert test({"a": a, "b": b}).p == pytest.approx(by_shuffling, abs=0.012)
    assert t_test({"a": a, "b": b}).statistic == pytest.approx(stats.ttest_ind(a, b).statistic)
    assert welch({"a": a, "b": b}).p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_the_published_t_follows_from_two_groups_of_ten_built_by_hand():
    """Not the published areas, which are not available: ten slices of 1000 +- 300 mm2, and ten that are lower by 2.266
    errors.

    Each variance is 10 * 300^2 / 9 = 1e5, so the error of the difference is sqrt(1e5 * 2 / 10) = 141.42 mm2.
    """
    low, high = 1000 - 2.266 * math.sqrt(2e4), 1000
    result = t_test({"a": [low - 300, low + 300] * 5, "b": [high - 300, high + 300] * 5})
    assert result.statistic == pytest.approx(-2.266)
    assert result.p == pytest.approx(2 * stats.t.sf(2.266, 18))
    assert str(result).splitlines()[0] == "Two-sample t-test: t(18) = -2.266, p = .036"


def test_the_published_f_follows_from_three_groups_of_twenty_values_built_by_hand():
    """Not the published areas. Groups of 8, 6 and 6 at 0, +d, -d, all +- 1: within 20 / 17, between 12 d^2 / 2."""
    d = math.sqrt(3.503 * 20 / 17 / 6)
    groups = {"a": [-1, 1] * 4, "b": [d - 1, d + 1] * 3, "c": [-d - 1, 1 - d] * 3}
    result = anova(groups, simulated=("c",))
    assert result.p == pytest.approx(stats.f.sf(3.503, 2, 17))
    assert str(result).splitlines()[:2] == [
        "One-way ANOVA: F(2, 17) = 3.503, p = .053",
        'Group "c" was simulated: a p-value with an invented group says nothing about patients.',
    ]


GRID = {
    ("slow", 8): [0.50, 0.54],
    ("slow", 16): [0.56, 0.60],
    ("fast", 8): [0.60, 0.64],
    ("fast", 16): [0.58, 0.62],
}


def test_two_factor_anova_worked_on_paper():
    """Within 8 * .02^2 over 4. Rates .55 and .61, sizes .57 and .59, crossing .02: between 8 * (.03, .01, .02)^2."""
    result = two_factor_anova(GRID, ("rate", "size"))
    assert list(result) == ["rate", "size", "rate x size"]
    assert [test.statistic for test in result.values()] == pytest.approx([9, 1, 4])
    assert all(test.degrees == (1, 4) for test in result.values())
    assert result["rate"].p == pytest.approx(stats.f.sf(9, 1, 4))
    assert result["rate"].sizes["slow", 8] == 2


def test_unequal_cells_weigh_each_factor_by_what_it_adds_to_the_other():
    """The independent result is least squares: the error that returns when a factor's columns are left out (type
    II)."""
    rng = np.random.default_rng(8)
    counts = {(1e-3, 8): 3, (1e-3, 16): 2, (1e-3, 32): 5, (1e-4, 8): 2, (1e-4, 16): 4, (1e-4, 32): 2}
    cells = {cell: rng.normal(0.6 + 30 * cell[0], 0.05, n) for cell, n in counts.items()}
    rate = np.array([[cell[0] == 1e-4] for cell, n in counts.items() for _ in range(n)], float)
    size = np.array([[cell[1] == 16, cell[1] == 32] for cell, n in counts.items() for _ in range(n)], float)
    scores, item = np.concatenate(list(cells.values())), np.ones((18, 1))

    def error(*columns):
        design = np.hstack([item, *columns])
        return ((scores - design @ np.linalg.lstsq(design, scores)[0]) ** 2).sum()

    full = error(rate, size, rate * size)
    result = two_factor_anova(cells, ("rate", "size"))
    assert result["rate"].statistic == pytest.approx((error(size) - error(rate, size)) / (full / 12))
    assert result["size"].statistic == pytest.approx((error(rate) - error(rate, size)) / 2 / (full / 12))
    assert result["rate x size"].statistic == pytest.approx((error(rate, size) - full) / 2 / (full / 12))
    assert result["size"].degrees == (2, 12)


def test_one_run_a_cell_gives_main_effects_and_no_interaction():
    """The means by hand are 3 and 5, 3 and 5; the remainder is 1 at every corner. F = 4 / 4 each, with (1, 1)
    degrees."""
    single = {("slow", 8): [3], ("slow", 16): [3], ("fast", 8): [3], ("fast", 16): [7]}
    result = two_factor_anova(single, ("rate", "size"), interaction=False)
    assert list(result) == ["rate", "size"]
    assert [(test.statistic, test.degrees) for test in result.values()] == [(pytest.approx(1), (1, 1))] * 2
    with pytest.raises(ValueError, match="another seed, or pass interaction=False"):
        two_factor_anova(single, ("rate", "size"))


def test_a_grid_with_a_hole_one_level_or_no_chance_is_refused():
    with pytest.raises(ValueError, match=r"No run with rate and size at \('fast', 16\)"):
        two_factor_anova({cell: GRID[cell] for cell in list(GRID)[:3]}, ("rate", "size"))
    with pytest.raises(ValueError, match="rate has 1 levels"):
        two_factor_anova({cell: GRID[cell] for cell in list(GRID)[:2]}, ("rate", "size"))
    with pytest.raises(ValueError, match="runs of each cell are equal"):
        two_factor_anova({cell: [group[0]] * 2 for cell, group in GRID.items()}, ("rate", "size"))


def test_a_grid_says_how_many_effects_it_tested():
    warnings = two_factor_anova(GRID, ("rate", "size"))["size"].warnings
    assert any(sentence.startswith("One of 3 comparisons") for sentence in warnings)
    assert any(sentence.startswith("Fewer than 20 values in 4 of 4 groups") for sentence in warnings)


ROOMY = {"a": [*range(20)], "b": [*range(5, 25)]}


@pytest.mark.parametrize("test", [t_test, welch, mann_whitney, anova])
def test_every_test_warns_of_nineteen_values_and_not_of_twenty(test):
    assert test(ROOMY).warnings == ()
    assert test(ROOMY | {"b": ROOMY["b"][:19]}).warnings == (
        'Fewer than 20 values in "b" (19): p leans on assumptions that so few cannot check.',
    )


@pytest.mark.parametrize("test", [t_test, welch, mann_whitney, anova])
def test_every_test_sees_slices_of_one_patient_and_counts_patients_instead(test):
    slices = {"a": [f"p{i // 4}" for i in range(20)], "b": [f"q{i}" for i in range(20)]}
    assert test(ROOMY, patients=slices).warnings == (
        'Group "a" holds 20 values of 5 patients: slices of one head are alike, so as a rule p comes out too small. '
        "Test average_per_patient(groups, patients) instead.",
        'Fewer than 20 patients in "a" (5): p leans on assumptions that so few cannot check.',
    )


def test_a_patient_in_both_groups_is_noticed():
    combined = {"a": [f"p{i}" for i in range(20)], "b": [f"p{i + 19}" for i in range(20)]}
    (sentence,) = t_test(ROOMY, patients=combined).warnings
    assert sentence.startswith("1 patient is in more than one group")
    assert "paired_bootstrap" in sentence


@pytest.mark.parametrize("test", [t_test, welch, mann_whitney, anova])
def test_every_test_names_the_invented_group_and_the_many_comparisons(test):
    assert test(ROOMY, simulated=["b"], comparisons=10).warnings == (
        'Group "b" was simulated: a p-value with an invented group says nothing about patients.',
        "One of 10 comparisons: by chance alone about 0.5 of them would fall below .05. By Bonferroni, ask for p below "
        "0.005.",
    )


def test_slices_of_few_patients_find_a_difference_where_there_is_none():
    """The reason for the sentence: with 4 patients per side and 10 similar slices each, p < .05 should occur 5 times
    in 100."""
    rng = np.random.default_rng(2)
    whose = {name: np.repeat([f"{name}{i}" for i in range(4)], 10).tolist() for name in "ab"}
    naive, honest = 0, 0
    for _ in range(200):
        groups = {name: np.repeat(rng.normal(0, 1, 4), 10) + rng.normal(0, 0.3, 40) for name in "ab"}
        naive += t_test(groups).p < 0.05
        honest += t_test(average_per_patient(groups, whose)).p < 0.05
    assert naive > 80
    assert honest < 20


def test_averaging_gives_every_patient_one_vote_and_leaves_the_input_alone():
    groups, whose = {"a": [1.0, 9, 3], "b": [4.0]}, {"a": ["x", "y", "x"], "b": [7]}
    result = average_per_patient(groups, whose)
    assert {name: group.tolist() for name, group in result.items()} == {"a": [2, 9], "b": [4]}
    assert groups == {"a": [1.0, 9, 3], "b": [4.0]}


def test_a_group_without_spread_is_tested_and_two_are_refused():
    """Empty masks all score 0.5 if IoU includes the background. t = 0.2 / sqrt(.02 / 4 * 2 / 3) = 3.464."""
    for test in (t_test, welch):
        assert test({"a": [0.6, 0.7, 0.8], "b": [0.5, 0.5, 0.5]}).statistic == pytest.approx(2 * math.sqrt(3))
    for test in (t_test, welch, anova):
        with pytest.raises(ValueError, match="no variance to compare a difference with"):
            test({"a": [0.1] * 3, "b": [0.2] * 3})


def test_what_no_test_can_answer_is_refused_in_words():
    with pytest.raises(ValueError, match=r"two groups; got 3. For more, use anova"):
        welch(ROOMY | {"c": [1, 2]})
    with pytest.raises(ValueError, match="two groups or more; got 1"):
        anova({"a": [1, 2]})
    with pytest.raises(ValueError, match='Group "b" holds 1 values that are not numbers'):
        mann_whitney({"a": [1, 2], "b": [float("nan"), 1]})
    with pytest.raises(ValueError, match='Group "b" holds 1 values; a test needs at least 2'):
        t_test({"a": [1, 2], "b": [1]})


def test_labels_and_names_that_do_not_fit_are_refused_in_words():
    with pytest.raises(ValueError, match='No group is named "c"; there are "a" and "b"'):
        t_test(ROOMY, simulated=("c",))
    with pytest.raises(ValueError, match=r'Write \("b",\)'):
        t_test(ROOMY, simulated="b")
    with pytest.raises(ValueError, match='Group "b" has 20 values and 0 patients'):
        t_test(ROOMY, patients={"a": list(range(20))})
    with pytest.raises(ValueError, match='Group "a" holds values of no named patient'):
        t_test(ROOMY, patients={"a": [None] * 20, "b": list(range(20))})


def test_a_comparison_prints_its_warnings_below_its_figures():
    result = Comparison("Welch t-test", "t", 9.5, 0.0002, (17.346,), {"a": 2}, ("Mind this.",))
    assert str(result) == "Welch t-test: t(17.35) = 9.500, p < .001\nMind this."
