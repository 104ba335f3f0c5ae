"""Read one gray picture of a data set, or say why it cannot be read."""

from pathlib import Path

import cv2
import numpy as np

from ich_lib.readers.coded import is_complete


def gray(path: Path) -> np.ndarray:
    """Read an 8-bit picture, PNG or JPEG.

    Returns:
        (y, x) uint8.

    Raises:
        ValueError: if the file is missing, truncated or not a picture; it names the last three parts of the path.
    """
    name = "/".join(path.parts[-3:])
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ValueError(f"{name} cannot be opened ({problem.strerror}).") from problem
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if picture is None:
        raise ValueError(f"{name} is not a readable picture; download it again.")
    if not is_complete(data):
        raise ValueError(f"{name} ends too early: the picture was cut off. Download it again.")
    return picture
