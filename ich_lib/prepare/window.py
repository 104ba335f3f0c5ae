"""Hounsfield units to gray levels through the display windows of radiology."""

import numpy as np

# name to (level, width) in HU
WINDOWS = {
    "brain": (40, 80),  # OHIF and Orthanc presets
    "subdural": (80, 200),  # RSNA 2019 pipelines
    "stroke": (40, 40),  # Lev et al., Radiology 1999;213:150
    "bone": (600, 2800),  # usual bone preset
    "soft tissue": (40, 400),  # OHIF preset
    "brain render": (40, 120),  # CT-ICH 1.0.0 Read_me: black -20 HU, white 100 HU
    "bone render": (700, 3200),  # CT-ICH 1.0.0 Read_me: black -900 HU, white 2300 HU
    "vascular 004": (68, 90),  # Barker et al. 2019
    "brain 004": (40, 70),  # Barker et al. 2019
}


def window(hu: np.ndarray, level: float, width: float) -> np.ndarray:
    """Map CT numbers to [0, 1] through one display window.

    Args:
        hu: CT numbers in HU, any shape. Not changed.
        level: center of the window, in HU.
        width: full width of the window, in HU. Must be positive.

    Returns:
        float32 in [0, 1], the shape of `hu`.

    Raises:
        ValueError: if `width` is not positive.

    Source:
        DICOM PS3.3 C.11.2.1.3.2 (LINEAR_EXACT). DICOM's default, LINEAR, reaches white one HU earlier.
    """
    if not width > 0:
        raise ValueError(f"width must be positive HU; got {width}. The brain window is level 40, width 80.")
    gray = np.array(hu, np.float32)
    gray -= np.float32(level - width / 2)
    gray *= np.float32(1 / width)
    return np.clip(gray, 0, 1, out=gray)


def unwindow(gray: np.ndarray, level: float, width: float) -> np.ndarray:
    """Reverse `window`: [0, 1] back to HU, float32. Saturated values stay at the ends of the window."""
    return (np.asarray(gray, np.float32) * np.float32(width) + np.float32(level - width / 2)).astype(np.float32)
