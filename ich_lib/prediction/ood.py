"""Is this scan similar to the training set? A model gives scores for any input, even for a chest or noise.

The pooled features of the classifier are compared with the features of its training scans. The measure is the
Mahalanobis distance to the nearest of a few centers, all with one covariance (Lee et al. 2018, arXiv:1807.03888). A
scan's score is the root mean square of its slices' distances over the number of features. It is about one half on
in-distribution scans, because the covariance is shrunk and therefore wider than the features.

Training scans may be closer than new scans, so the limit is set on held-out scans. In each fold of a cross-validation
the held-out scans are compared with the features of the training scans of that fold. The limit is a stated quantile of
all these distances. A scan beyond it is unlike the training data. A scan within it may still be wrong: a head upside
down is recognized only in part, and feet first hardly ever.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

QUANTILE = 0.99  # of held-out in-distribution scans below the limit; of 66 scans it rests on the two farthest
SLICE_COUNTS = (1, 2, 4, 8, 16)  # a mean over few slices varies more, so each number of slices has its own limit


@dataclass(frozen=True)
class OodScore:
    """How far a scan is from the training scans of a model.

    Attributes:
        value: root mean square of the slices' distances.
        limit: the value below which a stated share of in-distribution scans stays.
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
        """The warning for a user."""
        return (
            f"This does not look like the head CTs of the training set (out-of-distribution score {self.value:.1f}; "
            f"{self.quantile:.0%} of such scans stay below {self.limit:.1f})."
        )

    def as_json(self) -> dict:
        """Plain values."""
        return {"value": self.value, "limit": self.limit, "strange": self.is_ood}


@dataclass(frozen=True)
class OodDetector:
    """The features of a model on its training scans.

    Attributes:
        centers: (c, k) mean of each kind of scan, such as patients and phantoms.
        whitening: (k, k) lower triangle W, so that |W (f - center)| is the Mahalanobis distance of features f.
        limits: number of slices to the limit for a scan with at least that many.
        quantile: share of held-out in-distribution scans that stays below.
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
        """The distance of a scan from the training set.

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
    """The score of a scan: the root mean square of its slices' distances."""
    return float(np.sqrt(np.mean(np.square(distances))))


def fit_features(kinds: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Centers and whitening of features.

    Args:
        kinds: (n, k) features of slices, one entry per kind of scan. Each kind gets a center; all share one covariance.

    Returns:
        centers (c, k) and whitening (k, k), see `OodDetector`. The covariance is shrunk toward a multiple of the
        identity (Ledoit and Wolf 2004, doi 10.1016/S0047-259X(03)00096-4), because neighboring slices are nearly equal
        and there are many features.

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
    """Number of slices to the limit, from in-distribution scans that were not used to fit the distances.

    Args:
        held_out: (z,) distances of the slices of each scan.
        quantile: share of these scans that must stay below.

    Returns:
        For each of COUNTS the quantile over all runs of that many neighboring slices; for whole scans, the quantile
        under the smallest number of slices of a scan.
    """
    if not held_out:
        raise ValueError("A limit needs in-distribution scans that were held out; there are none.")
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
