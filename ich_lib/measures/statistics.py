"""Figures with their interval, and tests with their warnings. The patient is the unit: slices of one head belong
together.

Report `patient_bootstrap` and `paired_bootstrap`. The classical tests are here for learning and for criticism. scipy
and statsmodels compute them; this module adds the warnings that a bare p-value leaves out.

A published student system reports t = -2.266, p = .036 and F = 3.503, p = .053. Its data are not available, so its
result is not reproduced here. To the given digits, t and p fit only 18 degrees of freedom, and F and p, in a one-way
design of three groups, only 17. The tests build groups with these figures.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence, Sized
from dataclasses import dataclass
from warnings import catch_warnings, filterwarnings

import numpy as np

from ich_lib.grammar import listed
from ich_lib.measures.bootstrap import _Name

FEW_PATIENTS = 20  # in a smaller group the distribution is hardly known, and a test depends on its assumptions
Groups = Mapping[Hashable, Sequence[float]]  # name of the group to its values
Labels = Mapping[Hashable, Sequence[Hashable]]  # name of the group to the patient of each value


@dataclass(frozen=True)
class Comparison:
    """The result of a test of groups, with the warnings that belong to it.

    Attributes:
        test: name of the test, or of the tested effect.
        letter: of the statistic: t, U or F.
        statistic: its value.
        p: how often a difference at least this large would occur by chance, if the test's assumptions were true.
            Two-sided.
        degrees: degrees of freedom: one for t, two for F, none for U.
        sizes: name of the group to its number of values.
        warnings: sentences that are printed with the result.
    """

    test: str
    letter: str
    statistic: float
    p: float
    degrees: tuple[float, ...]
    sizes: dict[Hashable, int]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        degrees = f"({', '.join(f'{d:.4g}' for d in self.degrees)})" if self.degrees else ""
        p = "p < .001" if self.p < 0.001 else f"p = {self.p:.3f}".replace("0.", ".")
        return "\n".join((f"{self.test}: {self.letter}{degrees} = {self.statistic:.3f}, {p}", *self.warnings))


def t_test(
    groups: Groups, *, patients: Labels | None = None, simulated: Collection[Hashable] = (), comparisons: int = 1
) -> Comparison:
    """Two-sample t-test: do two groups differ in their mean, if their variances are equal?

    If this is not known, `welch` is safer and loses almost nothing.

    Args:
        groups: two names, each with its values. The statistic is positive if the first mean is larger.
        patients: for every group, the patient of each value; needed to detect several slices of one patient.
        simulated: names of groups with simulated values.
        comparisons: number of all tests that were made, including those not reported.

    Returns:
        t with n1 + n2 - 2 degrees of freedom.

    Raises:
        ValueError: if there are not two groups of two finite values, if the variance is zero, or if labels do not fit.

    Source:
        Student 1908; scipy.stats.ttest_ind.
    """
    return _two_means("Two-sample t-test", groups, True, patients, simulated, comparisons)


def welch(
    groups: Groups, *, patients: Labels | None = None, simulated: Collection[Hashable] = (), comparisons: int = 1
) -> Comparison:
    """Welch's t-test: do two groups differ in their mean, with any variances?

    Args:
        groups: two names, each with its values. The statistic is positive if the first mean is larger.
        patients: for every group, the patient of each value; needed to detect several slices of one patient.
        simulated: names of groups with simulated values.
        comparisons: number of all tests that were made, including those not reported.

    Returns:
        t with the degrees of freedom of Welch and Satterthwaite, usually not an integer.

    Raises:
        ValueError: if there are not two groups of two finite values, if the variance is zero, or if labels do not fit.

    Source:
        Welch 1947; scipy.stats.ttest_ind(equal_var=False).
    """
    return _two_means("Welch t-test", groups, False, patients, simulated, comparisons)


def _two_means(
    test: str,
    groups: Groups,
    equal_var: bool,
    patients: Labels | None,
    simulated: Collection[Hashable],
    comparisons: int,
) -> Comparison:
    """A t-test of two groups, with pooled or separate variances."""
    _check_two_groups(groups)
    values = _check_groups(groups)
    _check_spread(values)
    t, p, degrees = _t_test(values, equal_var=equal_var)
    warnings = _warnings(values, patients, simulated, comparisons)
    return _comparison(test, "t", (t, p), (degrees,), values, warnings)


def mann_whitney(
    groups: Groups, *, patients: Labels | None = None, simulated: Collection[Hashable] = (), comparisons: int = 1
) -> Comparison:
    """Mann-Whitney U: do values of one group tend to be above values of the other?

    Only ranks count, so outliers have little weight. U / (n1 n2) is the area under the ROC curve for the two groups.

    Args:
        groups: two names, each with its values.
        patients: for every group, the patient of each value; needed to detect several slices of one patient.
        simulated: names of groups with simulated values.
        comparisons: number of all tests that were made, including those not reported.

    Returns:
        U of the first group: pairs in which its value is larger; ties count half. No degrees of freedom. p is exact if
        a group has 8 values or fewer and none are equal, else by the normal distribution.

    Raises:
        ValueError: if there are not two groups of at least two finite values, or if labels or names do not fit.

    Source:
        Mann and Whitney 1947; scipy.stats.mannwhitneyu.
    """
    from scipy import stats

    _check_two_groups(groups)
    values = _check_groups(groups)
    test_result = stats.mannwhitneyu(*values.values())
    return _comparison(
        "Mann-Whitney", "U", test_result, (), values, _warnings(values, patients, simulated, comparisons)
    )


def anova(
    groups: Groups, *, patients: Labels | None = None, simulated: Collection[Hashable] = (), comparisons: int = 1
) -> Comparison:
    """One-way analysis of variance: do the means of several groups differ more than their variance explains?

    It does not say which groups differ.

    Args:
        groups: two or more names, each with its values.
        patients: for every group, the patient of each value; needed to detect several slices of one patient.
        simulated: names of groups with simulated values.
        comparisons: number of all tests that were made, including those not reported.

    Returns:
        F with (groups - 1, values - groups) degrees of freedom.

    Raises:
        ValueError: if there are not two groups of two finite values, if the variance is zero, or if labels do not fit.

    Source:
        Fisher 1925; scipy.stats.f_oneway.
    """
    from scipy import stats

    if len(groups) < 2:
        raise ValueError(f"An analysis of variance compares two groups or more; got {len(groups)}.")
    values = _check_groups(groups)
    _check_spread(values)
    degrees = (len(values) - 1, sum(map(len, values.values())) - len(values))
    warnings = _warnings(values, patients, simulated, comparisons)
    return _comparison("One-way ANOVA", "F", stats.f_oneway(*values.values()), degrees, values, warnings)


def two_factor_anova(
    cells: Mapping[tuple[Hashable, Hashable], Sequence[float]],
    factors: tuple[str, str],
    *,
    interaction: bool = True,
    patients: Labels | None = None,
    simulated: Collection[tuple] = (),
    comparisons: int | None = None,
) -> dict[str, Comparison]:
    """Two hyperparameters over a grid of runs: does either change the score, and does one effect depend on the other?

    A value is the score of a whole run. Runs of one cell differ by their seed, and the effects are compared with this
    difference. With unequal cells, each main effect is what it adds to the other (type II).

    Args:
        cells: (level of the first factor, level of the second) to the scores of its runs: {(1e-3, 8): [.61, .64]}.
        factors: their names, such as ("learning rate", "batch size").
        interaction: whether to test it. It needs a cell with two runs; without it, one run per cell is enough.
        patients: for every cell, the patient of each value, if values are patients' scores.
        simulated: cells with simulated values.
        comparisons: number of all tests that were made; None counts those returned.

    Returns:
        Name of the factor to its test, and "first x second" to the test of the interaction.

    Raises:
        ValueError: if the grid has holes or a single level, if there is no variance left, or if labels do not fit.

    Source:
        Fisher and Mackenzie 1923; type II: Langsrud 2003; statsmodels.stats.anova.anova_lm.
    """
    _full_grid(cells, factors)
    values = _check_groups(cells, min_values=1)
    table = _anova_table(values, interaction)
    names = dict(zip(("C(a)", "C(b)", "C(a):C(b)"), (*factors, " x ".join(factors)), strict=True))
    tested = [row for row in names if row in table]
    warnings = _warnings(values, patients, simulated, len(tested) if comparisons is None else comparisons)
    title, (residual, _, _) = "Two-factor ANOVA, ", table["Residual"]
    return {
        names[row]: _comparison(title + names[row], "F", (f, p), (df, residual), values, warnings)
        for row, (df, f, p) in ((row, table[row]) for row in tested)
    }


def average_per_patient(groups: Groups, patients: Labels) -> dict[Hashable, np.ndarray]:
    """One value per patient in every group: the mean over slices. Use it before a test, if slices were measured.

    Args:
        groups: name of the group to its values. Not changed.
        patients: name of the group to the patient of each value.

    Returns:
        Name of the group to one mean per patient, in order of first appearance.

    Raises:
        ValueError: if there is not one patient for every value.

    Source:
        Hurlbert 1984, pseudo-replication.
    """
    _check_labels(groups, patients)
    averaged = {}
    for name, values in groups.items():
        labels = list(patients[name])
        values_by_patient = {
            patient: [value for value, of in zip(values, labels, strict=True) if of == patient] for patient in labels
        }
        averaged[name] = np.array([np.mean(patient_values) for patient_values in values_by_patient.values()])
    return averaged


def _comparison(
    test: str,
    letter: str,
    test_result: tuple[float, float],
    degrees: tuple[float, ...],
    values: Mapping[_Name, np.ndarray],
    warnings: tuple[str, ...],
) -> Comparison:
    """scipy's pair of statistic and p, with the related numbers, as plain values."""
    statistic, p = map(float, test_result)
    sizes: dict[Hashable, int] = {name: len(group) for name, group in values.items()}
    return Comparison(test, letter, statistic, p, tuple(map(float, degrees)), sizes, warnings)


def _t_test(values: dict[Hashable, np.ndarray], *, equal_var: bool) -> tuple[float, float, float]:
    """t, p and the degrees of freedom."""
    from scipy import stats

    with catch_warnings():
        if any(np.ptp(group) == 0 for group in values.values()):  # exact, although scipy warns about its precision
            filterwarnings("ignore", "Precision loss", RuntimeWarning)
        test = stats.ttest_ind(*values.values(), equal_var=equal_var)
    return test.statistic, test.pvalue, test.df


def _check_two_groups(groups: Groups) -> None:
    if len(groups) != 2:
        raise ValueError(f"This test compares two groups; got {len(groups)}. For more, use anova(groups).")


def _check_groups(groups: Mapping[_Name, Sequence[float]], *, min_values: int = 2) -> dict[_Name, np.ndarray]:
    """Groups as float arrays; a ValueError if a test would give NaN."""
    values = {name: np.asarray(group, dtype=float).ravel() for name, group in groups.items()}
    for name, group in values.items():
        if not np.isfinite(group).all():
            bad = int((~np.isfinite(group)).sum())
            raise ValueError(
                f"Group {_name(name)} holds {bad} values that are not numbers. Leave them out and report it."
            )
        if len(group) < min_values:
            raise ValueError(f"Group {_name(name)} holds {len(group)} values; a test needs at least {min_values}.")
    return values


def _check_spread(values: dict[Hashable, np.ndarray]) -> None:
    if all(np.ptp(group) == 0 for group in values.values()):
        raise ValueError("In every group all values are equal, so there is no variance to compare a difference with.")


def _full_grid(cells: Mapping[tuple, Sequence[float]], factors: tuple[str, str]) -> None:
    levels = [list(dict.fromkeys(cell[axis] for cell in cells)) for axis in (0, 1)]
    for factor, factor_levels in zip(factors, levels, strict=True):
        if len(factor_levels) < 2:
            raise ValueError(
                f"{factor} has {len(factor_levels)} levels; an effect takes two or more. Use anova(groups)."
            )
    if holes := [(a, b) for a in levels[0] for b in levels[1] if (a, b) not in cells]:
        raise ValueError(f"No run with {listed(factors)} at {_name(holes[0])}. Run it, or leave out a level.")


def _anova_table(
    cells: Mapping[tuple[Hashable, Hashable], np.ndarray], interaction: bool
) -> dict[str, tuple[float, float, float]]:
    """The type II table of statsmodels: degrees of freedom, F and p of C(a), C(b), C(a):C(b) and Residual."""
    import pandas
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    rows = [(str(first), str(second), score) for (first, second), scores in cells.items() for score in scores]
    formula = "score ~ C(a) * C(b)" if interaction else "score ~ C(a) + C(b)"
    model = ols(formula, pandas.DataFrame(rows, columns=["a", "b", "score"])).fit()
    if model.df_resid < 1:
        raise ValueError(
            "Every cell holds one run, so chance and interaction cannot be separated. Run some cells again with "
            "another seed, or pass interaction=False."
        )
    if model.ssr <= 1e-12 * model.centered_tss:
        raise ValueError("The runs of each cell are equal, so there is no variance to compare an effect with.")
    table = anova_lm(model, typ=2)[["df", "F", "PR(>F)"]]
    return {row: (df, f, p) for row, df, f, p in table.itertuples()}


def _check_labels(groups: Mapping[_Name, Sized], patients: Labels) -> None:
    for name, group in groups.items():
        labels = list(patients.get(name, ()))
        if len(labels) != len(group):
            raise ValueError(f"Group {_name(name)} has {len(group)} values and {len(labels)} patients; give one each.")
        if any(patient is None or patient == "" or patient != patient for patient in labels):
            raise ValueError(f"Group {_name(name)} holds values of no named patient, which would count as one patient.")


def _warnings(
    values: Mapping[_Name, np.ndarray], patients: Labels | None, simulated: Collection[Hashable], comparisons: int
) -> tuple[str, ...]:
    """The warnings that a p-value needs, worst first."""
    warnings = [*_simulation_warnings(values, simulated)]
    units, unit = {name: len(group) for name, group in values.items()}, "values"
    if patients is not None:
        _check_labels(values, patients)
        warnings += _repetition_warnings(values, patients)
        units, unit = {name: len(set(patients[name])) for name in values}, "patients"
    if few := [f"{_name(name)} ({n})" for name, n in units.items() if n < FEW_PATIENTS]:
        where = listed(few) if len(few) <= 3 else f"{len(few)} of {len(units)} groups"
        warnings.append(
            f"Fewer than {FEW_PATIENTS} {unit} in {where}: p leans on assumptions that so few cannot check."
        )
    if comparisons > 1:
        warnings.append(
            f"One of {comparisons} comparisons: by chance alone about {0.05 * comparisons:.2g} of them would fall "
            f"below .05. By Bonferroni, ask for p below {0.05 / comparisons:.2g}."
        )
    return tuple(warnings)


def _simulation_warnings(values: Mapping[_Name, np.ndarray], simulated: Collection[Hashable]) -> list[str]:
    if isinstance(simulated, str):
        raise ValueError(f'simulated takes a collection of names; got the text "{simulated}". Write ("{simulated}",).')
    if unknown := [name for name in simulated if name not in values]:
        raise ValueError(f"No group is named {_name(unknown[0])}; there are {listed(map(_name, values))}.")
    return [
        f"Group {_name(name)} was simulated: a p-value with an invented group says nothing about patients."
        for name in simulated
    ]


def _repetition_warnings(values: Mapping[_Name, np.ndarray], patients: Labels) -> list[str]:
    """Several slices of one patient inside a group, and patients in several groups."""
    repetition = [
        f"Group {_name(name)} holds {len(group)} values of {n} patient{'s' * (n > 1)}: slices of one head are "
        "alike, so "
        "as a rule p comes out too small. Test average_per_patient(groups, patients) instead."
        for name, group in values.items()
        if (n := len(set(patients[name]))) < len(group)
    ]
    shared = sum(n > 1 for n in Counter(patient for name in values for patient in set(patients[name])).values())
    if shared:
        repetition.append(
            f"{shared} patient{'s are' if shared > 1 else ' is'} in more than one group, which this test takes for "
            "different people. Compare them in pairs: paired_bootstrap(first, second, statistic)."
        )
    return repetition


def _name(name: Hashable) -> str:
    return f'"{name}"' if isinstance(name, str) else str(name)
