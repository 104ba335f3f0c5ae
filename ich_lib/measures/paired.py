"""Two runs on the same patients, and scans by groups: what is compared, and what the interval says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.report import Line

Taken = TypeVar("Taken")  # what a measure takes of a scan


@dataclass(frozen=True)
class Measure(Generic[Taken]):
    """What a run is measured by.

    Attributes:
        name: with its unit.
        of_scan: a line of the report and the threshold of its scores to what is taken of the scan; None where the
            scan has nothing of the kind.
        of_all: what was taken of some scans to the figure.
        more_is_better: which way is up.
        is_pooled: whether only many patients together have the figure, and no single one has.
    """

    name: str
    of_scan: Callable[[Line, float], Taken | None]
    of_all: Callable[[list[Taken]], float]
    more_is_better: bool = True
    is_pooled: bool = False


@dataclass(frozen=True)
class Paired:
    """Two runs on the same patients.

    Attributes:
        measure: what they are measured by.
        first, second: the figure of each on the shared patients.
        difference: second minus first.
        differences: (n,) of each patient, in the order of `Paired.numbers`; empty for a measure that a single patient
            has not.
        numbers: (n,) who they are, as numbers of the first report.
        n_left_out: patients that only one of the reports can be measured on.
        warnings: sentences. They are shown with the figure.
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
        """What the interval says."""
        value, low, high = self.difference.value, self.difference.low, self.difference.high
        if np.isnan([value, low, high]).any():
            return "The difference is not defined: these scans hold one class alone."
        direction = "better" if (value > 0) == self.measure.more_is_better else "worse"
        if not low <= 0 <= high:
            return f"The second run is {direction}: the interval of the difference lies clear of 0."
        return "The interval of the difference holds 0: these patients do not tell which run is better."


@dataclass(frozen=True)
class Group:
    """Scans of one kind.

    Attributes:
        values: one a scan.
        numbers: which patient each is of, by a number.
    """

    values: tuple[float, ...]
    numbers: tuple[int, ...]
