"""A baseline without learning: the largest bright blob of each slice, shown beside every model."""

import cv2
import numpy as np

from ich_lib.prepare.head import intracranial

_BLOOD_HU = (50.0, 100.0)  # fresh blood has 50 to 90 HU; voxels that are partly bone have more
# standard deviation, as a share of the side of a slice, so that noise of single pixels makes no blob
_SMOOTH_SIDE = 1 / 256
_RIM_SIDE = 1 / 64  # next to the skull, voxels that are partly bone are as bright as blood


def bright_blobs(hu: np.ndarray) -> np.ndarray:
    """Mark the largest connected piece in the skull of each slice that is as bright as blood.

    This takes an hour to program, and nothing is learned. The value of a model is what it adds to this.

    Args:
        hu: (z, y, x) HU.

    Returns:
        (z, y, x) bool; empty in slices with an open skull or without such pixels.

    Example:
        >>> from ich_lib import phantom
        >>> case = phantom(1, bleeds=["intraparenchymal"], slices=12, pixels=128)
        >>> blobs = bright_blobs(case.scan.hu)
        >>> bool((blobs & case.truth).sum() > 0.5 * case.truth.sum())
        True
    """
    return np.stack([_largest_blob(plane) for plane in hu])


def _largest_blob(hu: np.ndarray) -> np.ndarray:
    """(y, x) bool of one slice."""
    side = max(hu.shape)
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(round(side * _RIM_SIDE), 1) + 1,) * 2)
    inside = cv2.erode(intracranial(hu), rim, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    smooth = cv2.GaussianBlur(hu.astype(np.float32), (0, 0), max(side * _SMOOTH_SIDE, 0.5))
    bright = inside & (smooth >= _BLOOD_HU[0]) & (smooth <= _BLOOD_HU[1])
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8))
    if count < 2:
        return np.zeros(hu.shape, bool)
    return pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
