"""Do these values look like Hounsfield units? Masks and windowed copies come in files that say so."""

from dataclasses import replace

import numpy as np

from ich_lib.readers.refusal import ReadError
from ich_lib.scan import HIGHEST_HU, LOWEST_HU, Scan

_AIR_BELOW_HU, _AIR_SHARE = -700, 0.001  # some of any head CT is the air around it
_SAMPLED_PX = 128  # a side
_TISSUE_HU, _TISSUE_SHARE = (0, 80), 0.01  # brain, blood, CSF


def ensure_hu(scan: Scan, name: str) -> Scan:
    """Fill what is not a number with air, check that the rest looks like HU, clip to 12 bits. Writes into `scan.hu`.

    Returns:
        The scan; with `hu_known` False and a note where the values cannot be HU.

    Raises:
        ReadError: if no voxel holds a number, or all hold the same.
    """
    hu, notes = scan.hu, []
    low, high = float(hu.min()), float(hu.max())
    if not np.isfinite([low, high]).all():  # both pass on what is not a number
        notes.append(_without_numbers(hu, name))
        low, high = float(hu.min()), float(hu.max())
    refuse_constant(name, low, high)
    is_known = scan.hu_known and _is_like_hu(hu)
    if scan.hu_known and not is_known:
        notes.append(
            f"The values run from {low:g} to {high:g}, which does not look like Hounsfield units of a head "
            "(air near -1000, brain 0 to 80). HU are treated as unknown; give the original CT."
        )
    if low < LOWEST_HU or high > HIGHEST_HU:
        np.clip(hu, LOWEST_HU, HIGHEST_HU, out=hu)
    return replace(scan, hu_known=is_known).with_notes(*notes)


def _without_numbers(hu: np.ndarray, name: str) -> str:
    """Fill what is not a number with air, and say so."""
    good = np.isfinite(hu)
    if not good.any():
        raise ReadError(f"{name} holds no number in any voxel (all NaN). Export it again.", code="no HU")
    hu[~good] = LOWEST_HU
    return f"{hu.size - np.count_nonzero(good)} voxels held no number and were taken as air."


def refuse_constant(name: str, low: float, high: float) -> None:
    """Refuse a volume without a picture in it."""
    if low == high:
        raise ReadError(f"{name} shows nothing: every voxel is {low:g}. Export it again.", code="no HU")


def _is_like_hu(hu: np.ndarray) -> bool:
    step = max(min(hu.shape[1:]) // _SAMPLED_PX, 1)
    hu = hu[:, ::step, ::step]  # shares need no more
    air = np.count_nonzero(hu < _AIR_BELOW_HU)
    tissue = np.count_nonzero((hu >= _TISSUE_HU[0]) & (hu <= _TISSUE_HU[1]))
    return bool(air >= _AIR_SHARE * hu.size and tissue >= _TISSUE_SHARE * hu.size)
