"""Comparisons as data: two runs on the same patients, and scans by groups."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.report import Line

ScanValue = TypeVar("ScanValue")  # the value that a measure takes from a scan


@dataclass(frozen=True)
class Measure(Generic[ScanValue]):
    """A measure for runs.

    Attributes:
        name: with its unit.
        of_scan: from a line of the report and the threshold of its scores to the value of the scan; None if the scan
            has none.
        of_all: from the values of some scans to the figure.
        more_is_better: whether higher is better.
        is_pooled: whether the figure exists only for many patients together.
    """

    name: str
    of_scan: Callable[[Line, float], ScanValue | None]
    of_all: Callable[[list[ScanValue]], float]
    more_is_better: bool = True
    is_pooled: bool = False


@dataclass(frozen=True)
class Paired:
    """The comparison of two runs on the same patients.

    Attributes:
        measure: the measure used.
        first, second: the figure of each on the shared patients.
        difference: second minus first.
        differences: (n,) of each patient, in the order of `Paired.numbers`; empty for a pooled measure.
        numbers: (n,) the patients, as numbers of the first report.
        n_left_out: patients with a value in only one of the reports.
        warnings: sentences that are shown with the figure.
    """

    measure: Measure
    first: Estimate
    second: Estimate
    difference: Estimate
    differences: np.ndarray
    numbers: tuple[int, ...]
    n_left_out: int
    warnings: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The meaning of the interval in words."""
        value, low, high = self.difference.value, self.difference.low, self.difference.high
        if np.isnan([value, low, high]).any():
            return "The difference is not defined: these scans have only one class."
        direction = "better" if (value > 0) == self.measure.more_is_better else "worse"
        if not low <= 0 <= high:
            return f"The second run is {direction}: the interval of the difference does not include 0."
        return "The interval of the difference includes 0: these patients do not show which run is better."


@dataclass(frozen=True)
class Group:
    """Scans of one kind.

    Attributes:
        values: one per scan.
        numbers: the patient of each value, as a number.
    """

    values: tuple[float, ...]
    numbers: tuple[int, ...]
