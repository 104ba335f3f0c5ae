"""The overview as a secondary capture. The notice is part of the picture, so no viewer can hide it.

Source: DICOM PS3.3 A.8.1 (Secondary Capture Image).
"""

import io

import cv2
import numpy as np
from pydicom.dataset import Dataset

from ich_lib import __version__
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.words.sentences import SHORT_NOTICE

NUMBER = 9003  # of the series
_BAR_PX = 44
_RED, _WHITE = (176, 0, 32), (255, 255, 255)  # RGB


def picture_of(result: Result) -> np.ndarray:
    """(row, column, 3) uint8 RGB: the overview below a red bar with the notice."""
    from ich_lib.show import overview

    png = io.BytesIO()
    overview(result).savefig(png, format="png", dpi=110)
    image = np.asarray(cv2.imdecode(np.frombuffer(png.getvalue(), np.uint8), cv2.IMREAD_COLOR))[..., ::-1]
    bar = np.full((_BAR_PX, image.shape[1], 3), _RED, np.uint8)
    (width, height), _ = cv2.getTextSize(NOTICE, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 2)
    scale = min(0.8, (image.shape[1] - 20) / width)
    place = (10, (_BAR_PX + round(height * scale)) // 2)
    cv2.putText(bar, NOTICE, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _WHITE, 2 if scale > 0.6 else 1, cv2.LINE_AA)
    return np.ascontiguousarray(np.vstack([bar, image]))


def capture_of(result: Result, header: Dataset, series_uid: str, sop_uid: str) -> Dataset:
    """The picture as DICOM.

    Args:
        result: from `analyze`.
        header: of one of its images; its values for patient and study are copied.
        series_uid: of the capture's own series.
        sop_uid: of the capture.
    """
    import highdicom

    capture = highdicom.sc.SCImage.from_ref_dataset(
        ref_dataset=header,
        pixel_array=picture_of(result),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=series_uid,
        series_number=NUMBER,
        sop_instance_uid=sop_uid,
        instance_number=1,
        manufacturer="ich_lib",
        patient_orientation=("L", "P"),
        series_description=SHORT_NOTICE,
    )
    capture.SoftwareVersions = __version__
    capture.ConversionType, capture.BurnedInAnnotation = "WSD", "NO"  # the text in the picture names no person
    capture.ImageComments, capture.Laterality = NOTICE, ""
    return capture
