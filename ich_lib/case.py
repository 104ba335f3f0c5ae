"""A scan with its truth: a phantom, a scan of a data set, or a corrupted copy of one."""

from dataclasses import dataclass

import numpy as np

from ich_lib.labels import TYPES
from ich_lib.scan import Scan


@dataclass(frozen=True)
class Case:
    """A scan with its truth, on the same voxels.

    Attributes:
        scan: the head CT.
        truth: (z, y, x) bool, blood.
        labels: (z, 6) bool in the order of LABELS.
        outlined: (z,) bool, slices with a known `truth`.

    Raises:
        ValueError: if the truth has another shape than the scan, or a column has not one entry per slice.

    See also:
        `phantom`, which makes a case; `ich_lib.reports.case_files.write_case`, which writes a phantom as files.

    Example:
        >>> from ich_lib import LABELS, phantom
        >>> case = phantom(1, bleeds=["epidural"], slices=12, pixels=128)
        >>> case.truth.shape  # (z, y, x)
        (12, 128, 128)
        >>> case.types
        ('epidural',)
        >>> bool((case.labels[:, LABELS.index("any")] == case.truth.any(axis=(1, 2))).all())
        True
    """

    scan: Scan
    truth: np.ndarray
    labels: np.ndarray
    outlined: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.scan.hu)
        if self.truth.shape != self.scan.hu.shape or not len(self.labels) == len(self.outlined) == count:
            raise ValueError(
                f"A scan of shape {self.scan.hu.shape} needs a truth of that shape and a label for each slice; got "
                f"{self.truth.shape}, {len(self.labels)} labels and {len(self.outlined)} marks of what is outlined."
            )

    @property
    def types(self) -> tuple[str, ...]:
        """The types of bleeding in this case."""
        return tuple(name for name, column in zip(TYPES, self.labels.T, strict=False) if column.any())
