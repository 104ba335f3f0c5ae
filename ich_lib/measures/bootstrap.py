"""A figure of patients with its interval, by bootstrap: whole patients are resampled."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")
_Name = TypeVar("_Name", bound=Hashable)


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % interval and its number of patients. NaN if it is not defined."""

    value: float
    low: float
    high: float
    n_patients: int

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % {self.low:.3f} to {self.high:.3f}, {self.n_patients} patients)"

    def as_json(self) -> dict:
        """Plain values; null if the figure is not defined, because JSON has no NaN."""
        return {key: None if value != value else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping) -> "Estimate":
        """The reverse of `as_json`."""
        value, low, high = (float("nan") if values[key] is None else values[key] for key in ("value", "low", "high"))
        return cls(value, low, high, values["n_patients"])


def patient_bootstrap(
    patients: Sequence, statistic: Callable[[list], float], *, rounds: int = 2000, seed: int = 0
) -> Estimate:
    """A statistic over patients with its percentile bootstrap interval.

    Args:
        patients: one entry per patient, in the form that `statistic` expects.
        statistic: list of entries to a number; NaN if a resample leaves it undefined. Such resamples are left out.
        rounds: number of resamples, drawn with replacement among patients.
        seed: of the draw.

    Returns:
        The figure on all patients, with the 2.5th and 97.5th percentile over resamples.

    Source:
        Efron and Tibshirani 1993, chapter 13; resampling whole clusters: Field and Welsh 2007.
    """
    if not len(patients):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(patients), size=(rounds, len(patients)))
    values = np.array([statistic([patients[i] for i in draw]) for draw in draws])
    values = values[~np.isnan(values)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (float("nan"), float("nan"))
    return Estimate(float(statistic(list(patients))), float(low), float(high), len(patients))


def group_by_patient(entries: Iterable[T], patient: Callable[[T], str]) -> dict[str, list[T]]:
    """Entries by patient, in order of appearance, for `paired_bootstrap` with `pooled`.

    Args:
        entries: scans, slices or other items, several per patient.
        patient: function from an entry to its patient.
    """
    groups: dict[str, list[T]] = {}
    for entry in entries:
        groups.setdefault(patient(entry), []).append(entry)
    return groups


def pooled(statistic: Callable[[list[T]], float]) -> Callable[[list[list[T]]], float]:
    """A statistic of entries as a statistic of patients, each with a list of their entries."""
    return lambda patients: statistic([entry for entries in patients for entry in entries])


def grouped_bootstrap(
    entries: Iterable[T],
    patient: Callable[[T], str],
    statistic: Callable[[list[T]], float],
    *,
    rounds: int = 2000,
    seed: int = 0,
) -> Estimate:
    """A statistic of entries, with its interval over patients; a patient may have several entries.

    Args:
        entries: scans, slices or other items, in the form that `statistic` expects.
        patient: function from an entry to its patient. All entries of a patient are drawn together.
        statistic: list of entries to a number; NaN if a resample leaves it undefined. Such resamples are left out.
        rounds: number of resamples, drawn with replacement among patients.
        seed: of the draw.

    Example:
        >>> scans = [("a", 1.0), ("a", 2.0), ("b", 6.0)]
        >>> grouped_bootstrap(scans, lambda scan: scan[0], lambda some: sum(value for _, value in some) / len(some))
        Estimate(value=3.0, low=1.5, high=6.0, n_patients=2)

    See also:
        patient_bootstrap: for one entry per patient.
    """
    groups = list(group_by_patient(entries, patient).values())
    return patient_bootstrap(groups, pooled(statistic), rounds=rounds, seed=seed)


def paired_bootstrap(
    first: Mapping[_Name, object],
    second: Mapping[_Name, object],
    statistic: Callable[[list], float],
    *,
    rounds: int = 2000,
    seed: int = 0,
) -> Estimate:
    """How much better the second run is than the first on the same patients, with its interval.

    Every resample takes the same patients from both runs, so the difficulty of a patient cancels out. Two separate
    intervals may overlap even if this one does not include zero.

    Args:
        first: patient to entry of one run, in the form that `statistic` expects.
        second: the same patients in the other run, in any order.
        statistic: list of entries to a number; NaN if a resample leaves it undefined. Such resamples are left out.
        rounds: number of resamples, drawn with replacement among patients.
        seed: of the draw.

    Returns:
        statistic(second) - statistic(first), with the 2.5th and 97.5th percentile over resamples.

    Raises:
        ValueError: if the runs do not hold the same patients.

    Source:
        Efron and Tibshirani 1993, chapter 13.
    """
    if unpaired := sorted(map(str, first.keys() ^ second.keys())):
        raise ValueError(
            f"A paired comparison needs the same patients in both runs; {len(unpaired)} are in one only, such as "
            f"{', '.join(unpaired[:3])}. Judge both runs on the same patients, or leave these out of both."
        )

    def gain(pairs: list) -> float:
        before, after = zip(*pairs, strict=True)
        return statistic(list(after)) - statistic(list(before))

    return patient_bootstrap([(first[patient], second[patient]) for patient in first], gain, rounds=rounds, seed=seed)
