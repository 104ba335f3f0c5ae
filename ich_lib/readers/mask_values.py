"""Check that values are a mask. A mask holds few values, most of them zero; a CT or a photo has many grays."""

import numpy as np

from ich_lib.readers.refusal import ReadError

_FEW_VALUES = 64  # types and single bleeds are numbered; a CT has hundreds
_SOFT_SHARE = 0.1  # a mask with a soft border, or a map of probabilities, is above 0 on a smaller share
_NEGATIVE = -1.5  # some programs write -1 for voxels without an outline
_ENDS = (26, 230)  # of 256 grays: JPG may turn black and white into grays up to here, and down to here
_GRAY_SHARE = 0.015  # JPG blurs the border of a mask; a larger share of gray means a picture
MOST_CODES = 16  # numbers of types; a picture whose values go no higher holds types, not grays
_MASK_FORMATS = "Give one NIfTI on the grid of the scan, or a PNG or JPG for each slice: 0 where there is no blood."


def refuse_no_mask(name: str, values: np.ndarray) -> None:
    """Refuse numbers that are not a mask.

    Args:
        name: of the file.
        values: all values of the file, or many of them.

    Raises:
        ReadError: says what the values are instead.
    """
    low, high = float(values.min()), float(values.max())
    if low < _NEGATIVE:
        raise ReadError(
            f"{name} holds values from {low:g} to {high:g}: that is a CT, not a mask. {_MASK_FORMATS}", code="mask"
        )
    if np.count_nonzero(values > 0) > _SOFT_SHARE * values.size and len(np.unique(values)) > _FEW_VALUES:
        raise ReadError(
            f"{name} holds grays from {low:g} to {high:g}: that is a picture, not a mask. {_MASK_FORMATS}", code="mask"
        )


def refuse_no_mask_grays(name: str, counts: np.ndarray) -> None:
    """Refuse pictures that are not a mask.

    Args:
        name: of all of them together, for messages.
        counts: (256,) pixels of each gray, from black to white.

    Raises:
        ReadError: if many grays between black and white are frequent.
    """
    middle = counts[_ENDS[0] : _ENDS[1]]
    share = middle.sum() / max(counts.sum(), 1)
    if np.count_nonzero(middle) > MOST_CODES and share > _GRAY_SHARE:
        raise ReadError(
            f"{name} has grays between black and white on {share:.0%} of its pixels: that is a slice or a photo, not a "
            f"mask. {_MASK_FORMATS}",
            code="mask",
        )
