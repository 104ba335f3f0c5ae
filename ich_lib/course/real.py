"""A real slice for a lesson: what a phantom leaves out."""

import cv2
import numpy as np

from ich_lib.data.real_heads import real_head

CREDIT_LINE = "CT-ICH (Hssayeni et al. 2020), CC BY 4.0; never trained on"


def real_slice(patient: str = "066", *, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The slice of a real head with most blood, or its middle one, and a line that says whose head it is.

    Args:
        patient: "066" (epidural), "084" (small intraparenchymal and subarachnoid) or "099" (no bleed).
        size: side in pixels to shrink to, each new pixel the mean of those it covers; None for the 650 of the picture.

    Returns:
        (y, x) float32 approximate HU, and (y, x) bool, the blood as radiologists outlined it.

    Raises:
        ValueError: for another patient.

    Example:
        >>> hu, blood = real_slice("066", size=64)
        Patient 066, slice 19 of 29, epidural. CT-ICH (Hssayeni et al. 2020), CC BY 4.0; never trained on.
        >>> hu.shape, bool(blood.any())
        ((64, 64), True)
    """
    case = real_head(patient)
    area = case.truth.sum(axis=(1, 2))
    k = int(area.argmax()) if area.any() else len(area) // 2
    types = ", ".join(case.types) or "no bleed"
    print(f"Patient {patient}, slice {k + 1} of {len(area)}, {types}. {CREDIT_LINE}.")  # noqa: T201
    hu, blood = case.scan.hu[k], case.truth[k]
    if size is not None:
        hu = cv2.resize(hu, (size, size), interpolation=cv2.INTER_AREA)
        blood = cv2.resize(blood.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) >= 0.5
    return hu, blood
