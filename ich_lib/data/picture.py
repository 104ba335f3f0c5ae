"""One gray picture of a data set, or the sentence that says why not."""

from pathlib import Path

import cv2
import numpy as np


def gray(path: Path) -> np.ndarray:
    """Read an 8-bit picture.

    A JPEG that was cut off would decode, gray below the cut; its missing end marker tells (ITU-T T.81, B.1.1.3).

    Returns:
        (y, x) uint8.

    Raises:
        ValueError: if the file is missing, cut off or no picture; it names the last three parts of the path.
    """
    name = "/".join(path.parts[-3:])
    try:
        coded = np.fromfile(path, np.uint8)
    except OSError as problem:
        raise ValueError(f"{name} cannot be opened ({problem.strerror}).") from problem
    picture = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE) if coded.size else None
    if picture is None:
        raise ValueError(f"{name} is not a readable picture; download it again.")
    if coded[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in coded[-64:].tobytes():
        raise ValueError(f"{name} ends too early: the picture was cut off. Download it again.")
    return picture
