"""Pictures whose 16-bit pixels are CT numbers, such as HU + 1024 in a PNG or TIFF: the format of some training sets."""

import numpy as np

from ich_lib.scan import HIGHEST_HU, LOWEST_HU

_OFFSETS = {  # name to the offset added to HU
    "HU": 0,
    "HU + 1024": 1024,
    "HU + 1000": 1000,
    "HU + 32768": 32768,  # DeepLesion
}
_NEGATIVE_AS = 65536  # HU below 0 written as unsigned 16 bits
_RANGE_HU = (-3100, 4100)  # of 12 bits, and of the values that scanners write outside the gantry
_AIR_BELOW_HU, _LEAST_AIR = -700, 0.02
_SOFT_HU, _BRAIN_HU = (-200, 300), (5, 60)
_LEAST_BRAIN, _LEAST_OF_ALL = 0.5, 0.01  # in a head, half of the soft tissue is brain; of all pixels, a few
_BRAIN_PEAK_HU = 33  # between white and gray matter


def hu_of(values: np.ndarray) -> tuple[np.ndarray, str] | None:
    """HU of pixels that are CT numbers.

    An offset is accepted if the values then look like a head: air around it, and most soft tissue within a few HU. No
    picture through a window looks like this. If two offsets fit, the one with the brain nearer to 33 HU is used.

    Args:
        values: (z, y, x) float32 pixels as in the files, with more than 8 bits.

    Returns:
        (z, y, x) float32 HU and the format of the pixels, "HU + 1024"; None if they are grays.
    """
    candidates = []
    for name, offset in _OFFSETS.items():
        hu = values - np.float32(offset)
        if offset == 0 and hu.max() > 2**15:
            hu[hu >= 2**15] -= _NEGATIVE_AS
        if (peak := _brain_peak(hu)) is not None:
            candidates.append((abs(peak - _BRAIN_PEAK_HU), name, hu))
    if not candidates:
        return None
    _, name, hu = min(candidates, key=lambda candidate: candidate[0])
    return np.clip(hu, LOWEST_HU, HIGHEST_HU), name


def _brain_peak(hu: np.ndarray) -> float | None:
    """The most frequent HU of soft tissue; None if these values are not a head."""
    if hu.min() < _RANGE_HU[0] or hu.max() > _RANGE_HU[1] or np.mean(hu < _AIR_BELOW_HU) < _LEAST_AIR:
        return None
    counts, edges = np.histogram(hu, bins=(_SOFT_HU[1] - _SOFT_HU[0]) // 5, range=_SOFT_HU)
    middles = (edges[:-1] + edges[1:]) / 2
    brain = (middles > _BRAIN_HU[0]) & (middles < _BRAIN_HU[1])
    if counts[brain].sum() < max(_LEAST_BRAIN * counts.sum(), _LEAST_OF_ALL * hu.size):
        return None
    return float(np.average(middles[brain], weights=counts[brain]))
