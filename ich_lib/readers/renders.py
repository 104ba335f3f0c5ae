"""Two 8-bit renders of one slice (brain and bone window) to approximate Hounsfield units."""

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
    fine = unwindow(brain / np.float32(255), *WINDOWS["brain render"])
    coarse = unwindow(bone / np.float32(255), *WINDOWS["bone render"])
    hu = np.where(brain >= 254, np.maximum(coarse, 100), fine)
    return np.where(brain <= 1, np.minimum(coarse, -20), hu).astype(np.float32)


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
