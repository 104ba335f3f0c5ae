"""Check that values look like Hounsfield units. Masks and windowed copies often claim to be HU."""

from dataclasses import replace

import numpy as np

from ich_lib.grammar import count
from ich_lib.readers.ct_numbers import hu_of
from ich_lib.readers.refusal import ReadError
from ich_lib.scan import HIGHEST_HU, LOWEST_HU, Scan

_AIR_BELOW_HU, _AIR_SHARE = -700, 0.001  # a part of every head CT is the air around it
_SAMPLED_PX = 128  # one side
_TISSUE_HU, _TISSUE_SHARE = (0, 80), 0.01  # brain, blood, CSF


def ensure_hu(scan: Scan, name: str, *, any_offset: bool = False) -> Scan:
    """Replace values that are not numbers by air, check that the rest looks like HU, clip to 12 bits. Changes
    `scan.hu`.

    Args:
        scan: as read.
        name: for messages.
        any_offset: whether values such as HU + 1024 become HU.

    Returns:
        The scan; with `hu_known` False and a note if the values cannot be HU.

    Raises:
        ReadError: if no voxel holds a number, or all hold the same.
    """
    hu, notes = scan.hu, []
    low, high = float(hu.min()), float(hu.max())
    if not np.isfinite([low, high]).all():  # both ignore values that are not numbers
        notes.append(_without_numbers(hu, name))
        low, high = float(hu.min()), float(hu.max())
    refuse_constant(name, low, high)
    is_known = scan.hu_known and _is_like_hu(hu)
    if any_offset and scan.hu_known and not is_known and (numbers := hu_of(hu)):
        shifted, how = numbers
        notes.append(f"The values are CT numbers ({how}), without the offset in the header: HU were made of them.")
        return replace(scan, hu=shifted).with_notes(*notes)
    if scan.hu_known and not is_known:
        notes.append(
            f"The values run from {low:g} to {high:g}, which does not look like Hounsfield units of a head "
            "(air near -1000, brain 0 to 80). HU are treated as unknown; give the original CT."
        )
    if low < LOWEST_HU or high > HIGHEST_HU:
        np.clip(hu, LOWEST_HU, HIGHEST_HU, out=hu)
    return replace(scan, hu_known=is_known).with_notes(*notes)


def _without_numbers(hu: np.ndarray, name: str) -> str:
    """Replace values that are not numbers by air, and add a note."""
    good = np.isfinite(hu)
    if not good.any():
        raise ReadError(f"{name} holds no number in any voxel (all NaN). Export it again.", code="no HU")
    hu[~good] = LOWEST_HU
    return f"{count(int(hu.size - np.count_nonzero(good)), 'voxel')} held no number and became air."


def refuse_constant(name: str, low: float, high: float) -> None:
    """Refuse a volume that holds no picture."""
    if low == high:
        raise ReadError(f"{name} shows nothing: every voxel is {low:g}. Export it again.", code="no HU")


def _is_like_hu(hu: np.ndarray) -> bool:
    step = max(min(hu.shape[1:]) // _SAMPLED_PX, 1)
    hu = hu[:, ::step, ::step]  # shares do not need more
    air = np.count_nonzero(hu < _AIR_BELOW_HU)
    tissue = np.count_nonzero((hu >= _TISSUE_HU[0]) & (hu <= _TISSUE_HU[1]))
    return bool(air >= _AIR_SHARE * hu.size and tissue >= _TISSUE_SHARE * hu.size)
