"""The statistical tests of the five systems, repeated on our own trainings: volumes by group, grid, seeds.

System 003 tested areas of blood between groups of patients, one of them simulated. System 002 tested a grid of epochs
and batch sizes. System 004 compared two windows as the third channel by one training each.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from ich_lib.evaluation.compare import group_scans, groupings
from ich_lib.evaluation.trainings import Training
from ich_lib.grammar import count
from ich_lib.measures.paired import Group, Measure
from ich_lib.measures.report import Report
from ich_lib.measures.statistics import Comparison, anova, two_factor_anova, welch

SEED = "-seed"  # in the name of a run that differs from others by its seed only: NAME-seed0, NAME-seed1, ...
GRID = "-grid"  # in the name of a run of the grid of system 002: unet2d-002a-grid-4-8
MARKED = Measure("blood marked by the network, mL", lambda line, _: line.mask_ml if line.bleeds else None, np.mean)
TRUE = Measure("blood in the outlines, mL", lambda line, _: line.true_ml if line.bleeds else None, np.mean)


def largest_segmenter(trainings: Mapping[str, Training]) -> Training | None:
    """The training with masks of the most bleeding scans; of equals the one with the highest Dice."""
    fitting = [training for training in trainings.values() if training.is_segmenter and _n_bleeding(training.report)]
    rank = lambda training: (_n_bleeding(training.report), training.report.dice_per_subject.value)  # noqa: E731
    return max(fitting, key=rank, default=None)


def volume_groups(report: Report) -> dict[str, Group]:
    """Every group of bleeding scans that is tested, by its name, with the mL that the network marks; for a box plot."""
    return {name: group for by in _tested(report) for name, group in group_scans(report, by, MARKED).items()}


def volume_section(training: Training, picture: str) -> str:
    """Tests of the mL of blood between groups of patients, as Markdown; empty without groups.

    Args:
        training: from `largest_segmenter`.
        picture: file name of the box plot of `volume_groups`, for the link.
    """
    rows, warnings = [], set()
    for by in _tested(training.report):
        tests = [_test(group_scans(training.report, by, measure)) for measure in (MARKED, TRUE)]
        sizes = ", ".join(f"{name}: {size}" for name, size in tests[0].sizes.items())
        rows.append((by, sizes, *(_statistic(test) for test in tests)))
        warnings |= {warning for test in tests for warning in test.warnings}
    if not rows:
        return ""
    head = "| groups | bleeding scans | mL marked by the network | mL of the outlines |\n| --- | --- | --- | --- |"
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    cautions = "\n".join(f"- {warning}" for warning in sorted(warnings))
    return f"""## Blood by group of patients

System 003 compared areas of blood on 20 slices by a t-test. Then it added a simulated third group, found F = 3.503 and
p = 0.053, and called that significant. Here the same tests compare measured groups only. Each value is one scan: the
mL that `{training.name}` marks, and the mL of the true outlines.

{head}
{lines}

What limits these tests:

{cautions}

![mL of blood by group of patients]({picture})"""


def grid_section(trainings: Mapping[str, Training]) -> str:
    """The grid of epochs and batch sizes with its two-factor analysis of variance, as Markdown; empty without a grid.

    Runs with equal epochs and batch size, such as those with and without dropout, are the values of one cell.
    """
    cells: dict[tuple, list[float]] = defaultdict(list)
    names = defaultdict(list)
    for name, training in trainings.items():
        if GRID in name and training.honest:
            recipe = training.runs[0].recipe
            cells[recipe.epochs, recipe.batch].append(training.honest.value)
            names[recipe.epochs, recipe.batch].append(f"`{name}` {training.honest.value:.3f}")
    epochs, batches = (sorted({cell[k] for cell in cells}) for k in (0, 1))
    if len(epochs) < 2 or len(batches) < 2 or len(cells) < len(epochs) * len(batches):
        return ""
    head = f"| epochs | {' | '.join(f'batch {batch}' for batch in batches)} |"
    lines = [f"| {e} | {' | '.join('; '.join(names[e, b]) for b in batches)} |" for e in epochs]
    repeated = max(map(len, cells.values())) > 1
    tests = two_factor_anova(
        {cell: values for cell, values in cells.items()}, ("epochs", "batch size"), interaction=repeated
    )
    results = "\n".join(f"- {name}: {_statistic(test)}" for name, test in tests.items())
    return f"""## Epochs and batch size

System 002 trained a grid of epochs and batch sizes, with dropout (b) and without (a). This is a small grid of
{count(sum(map(len, cells.values())), "training")}, with the Dice per subject of each on the same held-out patients.

{head}
|{" --- |" * (len(batches) + 1)}
{chr(10).join(lines)}

Two-factor analysis of variance:

{results}"""


def seed_section(trainings: Mapping[str, Training]) -> str:
    """Networks that were trained several times with different seeds, as Markdown; empty without any.

    If two of them have the same recipe and seeds and see other windows, they are compared seed by seed.
    """
    groups: dict[str, dict[int, Training]] = defaultdict(dict)
    for name, training in trainings.items():
        if SEED in name and training.honest:
            base, seed = name.split(SEED)
            groups[base][int(seed)] = training
    groups = {name: seeds for name, seeds in groups.items() if len(seeds) > 1}
    if not groups:
        return ""
    values = {
        name: {seed: training.honest.value for seed, training in sorted(seeds.items()) if training.honest}
        for name, seeds in groups.items()
    }
    lines = [
        f"| `{name}` | {len(by_seed)} | {np.mean(list(by_seed.values())):.3f} | {min(by_seed.values()):.3f} to "
        f"{max(by_seed.values()):.3f} | {', '.join(f'{value:.3f}' for value in by_seed.values())} |"
        for name, by_seed in values.items()
    ]
    pairs = [
        _seed_by_seed(first, values[first], second, values[second])
        for first, second in combinations(groups, 2)
        if values[first].keys() == values[second].keys() and _differ_in_windows(groups[first], groups[second])
    ]
    return "\n".join(
        (
            "## Trained again with other seeds\n",
            "The same recipe with other seeds, judged on the same held-out patients. A single training gives one of "
            "these.\n",
            "| network | trainings | mean | range | each |\n| --- | --- | --- | --- | --- |",
            *lines,
            *(f"\n{pair}" for pair in pairs),
        )
    )


def _differ_in_windows(first: Mapping[int, Training], second: Mapping[int, Training]) -> bool:
    """Whether two groups of trainings have the same recipe, except for the windows."""
    recipes = [next(iter(group.values())).runs[0].recipe for group in (first, second)]
    return recipes[0].windows != recipes[1].windows and replace(recipes[0], windows=()) == replace(
        recipes[1], windows=(), seed=recipes[0].seed
    )


def _seed_by_seed(first: str, a: Mapping[int, float], second: str, b: Mapping[int, float]) -> str:
    """A paired t-test of two groups of trainings, in a paragraph."""
    from scipy import stats

    differences = np.array([a[seed] - b[seed] for seed in a])
    test = stats.ttest_rel([a[seed] for seed in a], [b[seed] for seed in a])
    return (
        f"Seed by seed, `{first}` minus `{second}` is {differences.mean():.3f} on average ({differences.min():.3f} to "
        f"{differences.max():.3f}; paired t({test.df}) = {test.statistic:.2f}, p = {test.pvalue:.3f}). This test knows "
        "the spread of training, not that of patients: all trainings are judged on the same few patients."
    )


def _n_bleeding(report: Report) -> int:
    return sum(line.bleeds and line.mask_ml is not None for line in report.per_patient)


def _tested(report: Report) -> list[str]:
    """The properties by which bleeding scans form at least two groups of two scans."""
    return [
        by
        for by in groupings(report)
        if by in ("fracture", "sex", "age")
        and len(groups := group_scans(report, by, MARKED)) > 1
        and min(len(group.values) for group in groups.values()) > 1
    ]


def _test(groups: Mapping[str, Group]) -> Comparison:
    """Welch's t-test of two groups, or an analysis of variance of more."""
    test = welch if len(groups) == 2 else anova
    values: dict[Hashable, Sequence[float]] = {name: group.values for name, group in groups.items()}
    return test(values, patients={name: group.numbers for name, group in groups.items()})


def _statistic(test: Comparison) -> str:
    """The first line of a test, without its name."""
    return str(test).splitlines()[0].split(": ", 1)[1]
