"""Figures with their interval. The patient is the unit: slices of one head are not independent."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Figure:
    """A figure, its 95 % interval and how many patients it stands on. NaN where it is not defined."""

    value: float
    low: float
    high: float
    n_patients: int

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % {self.low:.3f} to {self.high:.3f}, {self.n_patients} patients)"

    def as_json(self) -> dict:
        """Plain values; null where the figure is not defined, since JSON knows no NaN."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


def patient_bootstrap(
    patients: Sequence, statistic: Callable[[list], float], *, rounds: int = 2000, seed: int = 0
) -> Figure:
    """A statistic over patients with its percentile bootstrap interval.

    Args:
        patients: one entry per patient, whatever `statistic` takes a list of.
        statistic: list of entries to a number; NaN where a resample leaves it undefined, which is then left out.
        rounds: number of resamples, drawn with replacement among patients.
        seed: of the draw.

    Returns:
        The figure on all patients, with the 2.5th and 97.5th percentile over resamples.

    Source:
        Efron and Tibshirani 1993, chapter 13; resampling whole clusters: Field and Welsh 2007.
    """
    if not len(patients):
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(patients), size=(rounds, len(patients)))
    values = np.array([statistic([patients[i] for i in draw]) for draw in draws])
    values = values[~np.isnan(values)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (float("nan"), float("nan"))
    return Figure(float(statistic(list(patients))), float(low), float(high), len(patients))
