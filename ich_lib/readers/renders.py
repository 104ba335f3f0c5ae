"""8-bit renders of one slice through several windows (such as brain and bone) to approximate Hounsfield units."""

from collections.abc import Sequence

import numpy as np

from ich_lib.prepare.window import WINDOWS, unwindow
from ich_lib.scan import AIR_HU

_WHITE_HU = 1000.0  # saturated pixels of a brain render are bone; without a bone render all bone has one value


def hu_from_renders(brain: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """Approximate HU from a CT-ICH pair of pictures.

    The brain render resolves half a HU but saturates at -20 and 100. There the bone render is used, which resolves 12.5
    HU. JPEG ripples sometimes turn a saturated pixel into 254 or 1, so these count as saturated.

    Args:
        brain: uint8 picture of window 40/120, any shape.
        bone: uint8 picture of window 700/3200, the same shape.

    Returns:
        float32 HU, -900 to 2300, the shape of `brain`.

    Source:
        CT-ICH 1.0.0 Read_me (Hssayeni et al., Data 2020;5(1):14).
    """
    if brain.shape != bone.shape:
        raise ValueError(f"brain and bone renders must have one shape; got {brain.shape} and {bone.shape}.")
    return hu_of_windows([brain, bone], [WINDOWS["brain render"], WINDOWS["bone render"]])


def hu_of_windows(renders: Sequence[np.ndarray], windows: Sequence[tuple[float, float]]) -> np.ndarray:
    """Approximate HU from renders of one slice: each pixel from the narrowest window in which it is not saturated.

    Args:
        renders: uint8 pictures of one shape, the narrowest window first.
        windows: (level, width) of each, in HU.

    Returns:
        float32 HU, the shape of a render, within half a gray of the window that it comes from. What is saturated in
        all windows stays at their ends.

    Example:
        >>> import numpy as np
        >>> from ich_lib.readers.renders import hu_of_windows
        >>> brain, bone = np.array([0, 128, 255], np.uint8), np.array([0, 77, 170], np.uint8)
        >>> hu_of_windows([brain, bone], [(40, 80), (600, 2800)]).round().tolist()
        [-800.0, 40.0, 1067.0]
    """
    *finer, widest = zip(renders, windows, strict=True)
    hu = unwindow(widest[0] / np.float32(255), *widest[1])
    for render, (level, width) in reversed(finer):
        low, high = level - width / 2, level + width / 2
        fine = np.where(render >= 254, np.maximum(hu, high), unwindow(render / np.float32(255), level, width))
        hu = np.where(render <= 1, np.minimum(hu, low), fine)
    return hu.astype(np.float32)


def hu_from_brain_render(brain: np.ndarray) -> np.ndarray:
    """Approximate HU from the brain render only, for a slice whose bone render is missing.

    Unsaturated pixels keep their HU. Saturated pixels get one value: white becomes bone, black becomes air.

    Args:
        brain: uint8 picture of window 40/120, any shape.

    Returns:
        float32 HU, the shape of `brain`: -20 to 100, -1000 or 1000.
    """
    fine = unwindow(brain / np.float32(255), *WINDOWS["brain render"])
    return np.select([brain >= 254, brain <= 1], [np.float32(_WHITE_HU), np.float32(AIR_HU)], fine).astype(np.float32)
