"""The mask as a DICOM segmentation that overlays its CT series.

A segmentation names the images it was drawn on. The UIDs of the real images identify a person, so the file leaves them
out, like all other values of the input. It names stand-ins with the same geometry instead, which exist in no file. A
program that overlays by geometry shows the mask in the right place. A program that goes by UIDs does not know the
series. Before you store the file beside the patient's images, give it the patient, the study, the frame of reference
and the references of that series. Inside a hospital, where the file returns to the archive of the images, `keep` copies
all of this from their headers.

Source: DICOM PS3.3 A.51 and C.8.20 (Segmentation), C.7.6.2.1.1 (position of a pixel), PS3.16 CID 7150, 7159 and 4 (the
codes); PS3.15 E (identifying attributes).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from ich_lib import __version__
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.scan import LPS_TO_RAS, Scan, to_file_grid
from ich_lib.words.sentences import SHORT_NOTICE, provenance

if TYPE_CHECKING:
    import highdicom

_NO_DATE, _NO_TIME = "19000101", "000000"  # the standard requires a date; today's would be close to the scan's
_LONGEST = 64  # characters of a DICOM LO
_NUMBER = 9001  # of the series, for its place among the patient's own series


_OFF_MM = 0.1  # largest difference between the position in a header and the position that was read
PRIVACY = (
    "The references lead back to the patient: this file goes where the images lie, to that patient's record, and "
    "nowhere else."
)


@dataclass(frozen=True)
class SourceReferences:
    """The identifying values that a segmentation copies from the images it was drawn on.

    Attributes:
        headers: of the series, in any order; with the Image Plane module.
        series_uid: of the segmentation's own series.
        sop_uid: of the segmentation.
    """

    headers: Sequence[Dataset]
    series_uid: str
    sop_uid: str


def write_seg(result: Result, path: Path, *, references: SourceReferences | None = None) -> None:
    """mask-seg.dcm: one segment, one bit per pixel, on the slices of the series; slices without blood are left out.

    Args:
        result: from `analyze`.
        path: the file.
        references: to the patient's images, see `PRIVACY`. None: no references, as in every file for download.

    Raises:
        ValueError: without DICOM input, or if its slices are not at the positions that were read.
    """
    if not result.scan.dicom:
        raise ValueError(
            "A DICOM segmentation lies over a DICOM series whose slices and pixel size are all told; "
            "this scan has none. Take the NIfTI mask."
        )
    _segmentation(result, references).save_as(path, enforce_file_format=True)


def _segmentation(result: Result, references: SourceReferences | None) -> Dataset:
    import highdicom

    frames, affine = _frames(result.scan, result.mask)
    images = _placeholder_images(frames.shape, affine, result.scan)
    dataset = highdicom.seg.Segmentation(
        source_images=_in_their_places(references.headers, images) if references else images,
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=[_segment(result)],
        series_instance_uid=references.series_uid if references else generate_uid(),
        series_number=_NUMBER if references else 1,
        sop_instance_uid=references.sop_uid if references else generate_uid(),
        instance_number=1,
        manufacturer="ich_lib",
        manufacturer_model_name="ich_lib",
        software_versions=__version__,
        device_serial_number="none",
        content_label="HEMORRHAGE",
        content_description=SHORT_NOTICE,
        series_description=SHORT_NOTICE,
        omit_empty_frames=bool(frames.any()),
    )
    return _for_research(dataset, result) if references else _for_research(_without_dates(dataset), result)


def _in_their_places(headers: Sequence[Dataset], images: Sequence[Dataset]) -> list[Dataset]:
    """The header of each slice, in the order of the slices.

    Raises:
        ValueError: if no header has the position of a slice.
    """
    places = np.array([header.ImagePositionPatient for header in headers], float)
    nearest = []
    for number, image in enumerate(images, start=1):
        off_mm = np.linalg.norm(places - np.array(image.ImagePositionPatient, float), axis=1)
        if off_mm.min() > _OFF_MM:
            raise ValueError(
                f"Slice {number} lies {off_mm.min():.1f} mm from every image of the series; no reference fits."
            )
        nearest.append(headers[int(off_mm.argmin())])
    return nearest


def _segment(result: Result) -> "highdicom.seg.SegmentDescription":
    """What the one segment shows, and which program drew it.

    Intracranial and not brain: epidural and subdural blood is outside the brain.
    """
    import highdicom
    from pydicom.sr.codedict import codes

    name, sha256 = result.models[0]
    name = name.replace("\\", "/")[:_LONGEST]
    drawn_by = highdicom.AlgorithmIdentificationSequence(name, codes.DCM.ArtificialIntelligence, sha256[:_LONGEST])
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Hemorrhage",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Hemorrhage,
        algorithm_type="AUTOMATIC",
        algorithm_identification=drawn_by,
        anatomic_regions=[codes.SCT.Intracranial],
    )
    segment.SegmentDescription = f"{NOTICE} {provenance(result)}"[:1024]
    return segment


def _without_dates(dataset: Dataset) -> Dataset:
    """State that the file is not of the patient, and remove the time of writing. Changes `dataset`."""
    for element in dataset.iterall():
        if element.VR in ("DA", "TM", "DT"):
            element.value = ""
    dataset.ContentDate, dataset.ContentTime = _NO_DATE, _NO_TIME
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "ich_lib: new file, no value of the source files"
    return dataset


def _for_research(dataset: Dataset, result: Result) -> Dataset:
    """State what the file must not be used for. Changes `dataset`."""
    dataset.ContentQualification = "RESEARCH"
    dataset.ImageComments = f"{NOTICE} {provenance(result)}"
    return dataset


def _frames(scan: Scan, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(slice, row, column) mask in the file's order, and (4, 4) from (column, row, slice, 1) to mm in DICOM axes."""
    values, affine_ras = to_file_grid(scan, mask)
    return np.ascontiguousarray(values.transpose(2, 1, 0)), LPS_TO_RAS @ affine_ras


def _placeholder_images(shape: tuple[int, ...], affine: np.ndarray, scan: Scan) -> list[Dataset]:
    """A stand-in image for each slice, without a patient, at the position of the slice."""
    places = np.arange(shape[0]) if scan.places is None else scan.places  # slices of DICOM: from foot to head
    slabs = np.ones(shape[0]) if scan.places is None else scan.slabs
    study, series, frame_of_reference = (generate_uid() for _ in range(3))
    images = []
    for place, slab in zip(places.tolist(), slabs.tolist(), strict=True):
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID, image.Modality = frame_of_reference, "CT"
        for empty in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"):
            setattr(image, empty, "")
        image.AccessionNumber = image.StudyID = image.ReferringPhysicianName = ""
        image.Rows, image.Columns = shape[1:]
        images.append(_place_image(image, affine, place, slab))
    return images


def _place_image(image: Dataset, affine: np.ndarray, place: float, slab: float) -> Dataset:
    """Image Plane module of a slice at `steps` from the first, with its thickness. Rows run along the first axis,
    columns along the second. Changes `image`."""
    along_row, down, step = affine[:3, :3].T
    dx, dy = float(np.linalg.norm(along_row)), float(np.linalg.norm(down))
    thickness_mm = slab * abs(np.linalg.det(affine[:3, :3])) / (dx * dy)
    image.PixelSpacing, image.SliceThickness = _decimal_strings([dy, dx]), _decimal_strings([thickness_mm])[0]
    image.ImageOrientationPatient = _decimal_strings([*(along_row / dx), *(down / dy)])
    image.ImagePositionPatient = _decimal_strings(affine[:3, 3] + place * step)
    return image


def _decimal_strings(numbers: Iterable[float]) -> list[str]:
    """Numbers within the 16 characters that DICOM allows."""
    return [format_number_as_ds(float(number)) for number in numbers]
