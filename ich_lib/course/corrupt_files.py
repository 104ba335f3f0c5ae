"""What a corrupt file does to training: black slices that keep their labels, or slices that are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ich_lib.labels import ANY


def blacken_corrupt(pictures: Sequence[np.ndarray | None]) -> np.ndarray:
    """The fault of system 004, re-enacted: a file that cannot be read becomes a black slice and keeps its label.

    Args:
        pictures: n decoded pictures of one shape (y, x); None where decoding failed, as `cv2.imread` returns.

    Returns:
        (n, y, x), zeros for None.

    Raises:
        ValueError: if not one could be read.

    Source:
        System 004 (five CNNs on RSNA, 2019).
    """
    readable = _readable(pictures)
    return np.stack([np.zeros_like(readable[0]) if picture is None else picture for picture in pictures])


def drop_corrupt(
    pictures: Sequence[np.ndarray | None], labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The same done right: a file that cannot be read leaves together with its label.

    Args:
        pictures: n decoded pictures of one shape (y, x); None where decoding failed.
        labels: (n, ...), a row for each picture.

    Returns:
        (k, y, x) pictures, their (k, ...) labels, and the row numbers that were left out, for the log.

    Raises:
        ValueError: if not one could be read, or the numbers of pictures and labels differ.
    """
    readable = _readable(pictures, labels)
    is_readable = np.array([picture is not None for picture in pictures])
    return np.stack(readable), labels[is_readable], tuple(np.flatnonzero(~is_readable).tolist())


@dataclass(frozen=True)
class LabelNoise:
    """How many labels have no picture behind them when corrupt files become black slices.

    Attributes:
        files: how many there are.
        corrupt: how many of them cannot be read.
        bleeding: how many are labeled as bleeding.
        bleeding_corrupt: how many of these cannot be read: black slices that teach "this is blood".
    """

    files: int
    corrupt: int
    bleeding: int
    bleeding_corrupt: int

    @property
    def share(self) -> float:
        """Share of all labels that belong to no picture."""
        return self.corrupt / self.files

    @property
    def share_of_bleeding(self) -> float:
        """Share of the bleeding labels that belong to no picture; 0 if nothing bleeds."""
        return self.bleeding_corrupt / self.bleeding if self.bleeding else 0.0


def count_label_noise(pictures: Sequence[np.ndarray | None], labels: np.ndarray) -> LabelNoise:
    """Count the labels that `blacken_corrupt` keeps and `drop_corrupt` leaves out.

    Args:
        pictures: n decoded pictures; None where decoding failed.
        labels: (n, 6) bool in the order of LABELS.

    Raises:
        ValueError: if not one could be read, or the numbers of pictures and labels differ.
    """
    _readable(pictures, labels)
    is_corrupt = np.array([picture is None for picture in pictures])
    bleeding = np.asarray(labels)[:, ANY].astype(bool)
    return LabelNoise(len(pictures), int(is_corrupt.sum()), int(bleeding.sum()), int((is_corrupt & bleeding).sum()))


def _readable(pictures: Sequence[np.ndarray | None], labels: np.ndarray | None = None) -> list[np.ndarray]:
    """The pictures that could be decoded; an error if there is none, or not a label for each."""
    if labels is not None and len(labels) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures and {len(labels)} labels do not belong together.")
    readable = [picture for picture in pictures if picture is not None]
    if not readable:
        raise ValueError(f"Not one of the {len(pictures)} files could be read; check the folder.")
    return readable
