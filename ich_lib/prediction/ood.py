"""Is this a scan like those the model learned from? A model scores whatever it is given, a chest or noise too.

What the classifier's scores are made of, its pooled features, is compared with the features of scans that it learned
from: the Mahalanobis distance to the nearest of a few centers, all of one covariance (Lee et al. 2018,
arXiv:1807.03888). A scan's score is the root mean square of its slices' distances over the number of features:
about one half on in-distribution scans, for the covariance is shrunk and so wider than the features are.

Scans that a model learned from may lie closer than new ones, so the limit is drawn on scans held out: in each fold of a
cross-validation, which has features of its own, the scans held out are measured against those trained on, and the limit
is a stated quantile of all of these. What lies beyond is unlike the training data; what does not may still be wrong: a
head upside down is told from an upright one only in part, and feet first hardly at all.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

QUANTILE = 0.99  # of held-out in-distribution scans that lie below the limit; of 66 scans it rests on the two farthest
SLICE_COUNTS = (1, 2, 4, 8, 16)  # a mean over few slices spreads wider, so each number of slices has a limit of its own


@dataclass(frozen=True)
class OodScore:
    """How unlike the scans that a model learned from a scan is.

    Attributes:
        value: root mean square of the slices' distances.
        limit: what a stated share of in-distribution scans stays below.
        quantile: that share.
    """

    value: float
    limit: float
    quantile: float

    @property
    def is_ood(self) -> bool:
        """Whether it lies beyond the limit."""
        return not self.value <= self.limit  # NaN is out of distribution

    @property
    def sentence(self) -> str:
        """The warning for a person."""
        return (
            f"This does not look like the head CTs of the training set (out-of-distribution score {self.value:.1f}; "
            f"{self.quantile:.0%} of such scans stay below {self.limit:.1f})."
        )

    def as_json(self) -> dict:
        """Plain values."""
        return {"value": self.value, "limit": self.limit, "strange": self.is_ood}


@dataclass(frozen=True)
class OodDetector:
    """What a model's features are like on scans that it learned from.

    Attributes:
        centers: (c, k) mean of each kind of scan, such as patients and phantoms.
        whitening: (k, k) lower triangle W, so that |W (f - center)| is the Mahalanobis distance of features f.
        limits: number of slices to the limit of a scan that has so many or more.
        quantile: share of in-distribution scans held out that stay below.
    """

    centers: np.ndarray
    whitening: np.ndarray
    limits: Mapping[int, float]
    quantile: float = QUANTILE

    def distances(self, features: np.ndarray) -> np.ndarray:
        """(z,) distance of each slice's (z, k) features to the nearest center, over the root of k."""
        differences = (np.asarray(features, float)[:, None] - self.centers) @ self.whitening.T  # (z, c, k)
        return np.sqrt((differences**2).mean(axis=2)).min(axis=1)

    def score(self, features: np.ndarray) -> OodScore:
        """How far a scan lies from the training set.

        Args:
            features: (z, k) of its slices.
        """
        return self.score_distances(self.distances(features))

    def score_distances(self, distances: np.ndarray) -> OodScore:
        """The same from the (z,) distances of its slices."""
        fitting = max((count for count in self.limits if count <= len(distances)), default=min(self.limits))
        return OodScore(scan_distance(distances), self.limits[fitting], self.quantile)

    def as_json(self) -> dict:
        """Plain values, for a card: the centers and the triangle as base64 of float16, 90 kB for 256 features."""
        size = self.centers.shape[1]
        triangle = self.whitening[np.tril_indices(size)]
        return {
            "features": size,
            "centers": _pack(self.centers),
            "whitening": _pack(triangle),
            "limits": {str(count): limit for count, limit in self.limits.items()},
            "quantile": self.quantile,
        }


def detector_from_json(values: dict) -> OodDetector:
    """Rebuild from `OodDetector.as_json`."""
    size = values["features"]
    whitening = np.zeros((size, size))
    whitening[np.tril_indices(size)] = _unpack(values["whitening"])
    limits = {int(count): limit for count, limit in values["limits"].items()}
    return OodDetector(_unpack(values["centers"]).reshape(-1, size), whitening, limits, values["quantile"])


def scan_distance(distances: np.ndarray) -> float:
    """One number of a scan: the root mean square of its slices' distances."""
    return float(np.sqrt(np.mean(np.square(distances))))


def fit_features(kinds: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Centers and whitening of features.

    Args:
        kinds: (n, k) features of slices, an entry a kind; each kind gets its center, all share one covariance.

    Returns:
        centers (c, k) and whitening (k, k), see `OodDetector`. The covariance is shrunk toward a ball (Ledoit and Wolf
        2004, doi 10.1016/S0047-259X(03)00096-4), for neighboring slices are nearly the same and features many.

    Raises:
        ValueError: for fewer than two slices of a kind.
    """
    from sklearn.covariance import ledoit_wolf

    if not kinds or min(map(len, kinds)) < 2:
        raise ValueError("Features of two slices or more are needed of each kind of scan.")
    centers = np.stack([np.mean(features, axis=0) for features in kinds]).astype(float)
    centered = np.concatenate([features - center for features, center in zip(kinds, centers, strict=True)])
    covariance, _ = ledoit_wolf(centered.astype(float), assume_centered=True)
    return centers, np.linalg.inv(np.linalg.cholesky(covariance))


def fit_limits(held_out: Sequence[np.ndarray], *, quantile: float = QUANTILE) -> dict[int, float]:
    """Number of slices to the limit, from in-distribution scans that the distances were not fitted on.

    Args:
        held_out: (z,) distances of the slices of each scan.
        quantile: share of these scans that shall stay below.

    Returns:
        For each of COUNTS the quantile over all runs of so many neighboring slices; and for whole scans, under the
        least number of slices that one of them has.
    """
    if not held_out:
        raise ValueError("A limit needs usual scans that were held out; there are none.")
    distances_by_count = {
        count: [scan_distance(scan[i : i + count]) for scan in held_out for i in range(len(scan) - count + 1)]
        for count in SLICE_COUNTS
    }
    quantiles = {count: float(np.quantile(values, quantile)) for count, values in distances_by_count.items() if values}
    shortest = max(min(map(len, held_out)), 1)
    return quantiles | {shortest: float(np.quantile([scan_distance(scan) for scan in held_out], quantile))}


def _pack(values: np.ndarray) -> str:
    return base64.b64encode(np.asarray(values, "<f2").tobytes()).decode("ascii")


def _unpack(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f2").astype(float)
