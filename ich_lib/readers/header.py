"""DICOM headers to slices: the facts that the reader keeps of each image, and nothing that names a patient."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, MediaStorageDirectoryStorage

from ich_lib.grammar import count
from ich_lib.readers.acquisition import TAGS as ACQUISITION_TAGS
from ich_lib.readers.acquisition import acquisition_of
from ich_lib.readers.inflate import plain
from ich_lib.readers.limits import are_plausible_mm
from ich_lib.readers.piece import Piece, printable_name
from ich_lib.readers.protocol import NO_PROTOCOL, Protocol, protocol_of
from ich_lib.readers.protocol import TAGS as PROTOCOL_TAGS
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.scan import UNKNOWN_ACQUISITION, Acquisition

# Tags of the Basic Application Level Confidentiality Profile (PS3.15 table E.1-1) that identify a person.
_IDENTIFYING = (  # noqa: SIM905 - a list would take 22 lines
    "PatientName PatientID PatientBirthDate PatientSex PatientAge PatientAddress PatientTelephoneNumbers "
    "OtherPatientIDs InstitutionName InstitutionAddress StationName ReferringPhysicianName "
    "PerformingPhysicianName OperatorsName AccessionNumber StudyID StudyDate SeriesDate AcquisitionDate "
    "ContentDate StudyTime DeviceSerialNumber"
).split()
_READ_TAGS = (  # noqa: SIM905
    "SOPClassUID SOPInstanceUID SeriesInstanceUID SeriesDescription SeriesNumber AcquisitionNumber InstanceNumber "
    "Modality ImageType Rows Columns SamplesPerPixel NumberOfFrames ImagePositionPatient ImageOrientationPatient "
    "PixelSpacing SliceThickness RescaleSlope RescaleIntercept WindowCenter WindowWidth BurnedInAnnotation "
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence FrameOfReferenceUID"
).split()
_TAGS = [Tag(name) for name in dict.fromkeys((*_READ_TAGS, *PROTOCOL_TAGS, *ACQUISITION_TAGS, *_IDENTIFYING))]
_DICOMDIR = "table of contents (DICOMDIR)"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MAX_FRAMES = 4096


@dataclass(frozen=True)
class Slice:
    """One image of a DICOM file, by its header.

    Attributes:
        piece, frame: the file and the image in it (0 unless it is a multi-frame file).
        instance_uid, series_uid: UIDs, to distinguish images and series; never shown.
        description, series_number: the scanner's name of the series.
        instance_number: place in the series, counted by the scanner.
        rows, columns: size in px.
        position: (3,) mm of the first pixel in patient axes (+x left, +y back, +z head), or None.
        orientation: (2, 3) unit vectors along a row and down a column, or None.
        pixel_mm: (2,) distance between rows and between columns, or None.
        thickness_mm: SliceThickness, or None.
        slope, intercept: stored value to HU; None if the tag is missing, NaN if it holds no finite number.
        may_name_patient: whether it is a screenshot or has text burned in.
        is_compressed: whether the whole file is compressed, by gzip or deflate.
        window: (level, width) in HU that the file suggests for display, the first of several, or None.
        pass_number: AcquisitionNumber, which counts the passes of the scanner; 0 if it is missing.
        protocol: how the series was made, to choose among series.
        acquisition: how the image was made, to recognize scans that are not a native head CT.
        frame_uid: FrameOfReferenceUID; positions of one frame can be compared. "" if it is missing; never shown.
    """

    piece: Piece
    frame: int
    instance_uid: str
    series_uid: str
    description: str
    series_number: int
    instance_number: int
    rows: int
    columns: int
    position: np.ndarray | None
    orientation: np.ndarray | None
    pixel_mm: np.ndarray | None
    thickness_mm: float | None
    slope: float | None
    intercept: float | None
    may_name_patient: bool
    window: tuple[float, float] | None = None
    is_compressed: bool = False
    pass_number: int = 0
    protocol: Protocol = NO_PROTOCOL
    acquisition: Acquisition = UNKNOWN_ACQUISITION
    frame_uid: str = ""


def read_slices(pieces: list[Piece]) -> tuple[list[Slice], list[str]]:
    """Read all headers. Returns the CT slices, each once, and notes on the other files.

    Raises:
        ReadError: if no file is a CT slice. A damaged file is left out if others are intact: it may belong to any
            series.
    """
    slices: dict[tuple[Piece | str, int], Slice] = {}
    left_out: Counter[str] = Counter()
    identifying: set[str] = set()
    damaged: list[ReadError] = []
    for piece in pieces:
        try:
            header, is_compressed = _header(piece)
            with refuse_damaged(piece.name):
                reason = _reason_not_ct(header)
                images = [] if reason else list(_slices(piece, header, is_compressed=is_compressed))
                tags = {tag for tag in _IDENTIFYING if _has_value(header, tag)}
        except ReadError as problem:
            damaged.append(problem)
            continue
        identifying |= tags
        if reason:
            left_out[reason] += 1
        for item in images:
            key: tuple[Piece | str, int] = (item.instance_uid, item.frame) if item.instance_uid else (piece, item.frame)
            left_out["copy of a file"] += key in slices
            slices.setdefault(key, item)
    if damaged and not slices:
        raise damaged[0]
    left_out["damaged file"] += len(damaged)
    left_out_counts = ", ".join(count(number, reason) for reason, number in left_out.items() if number)
    if not slices and left_out.keys() - {"damaged file"} == {_DICOMDIR}:
        raise ReadError(
            "This is a DICOMDIR, only the table of contents of a CD; the images are in other files. Give the "
            "whole folder.",
            code="no scan",
        )
    if not slices:
        raise ReadError(
            f"No slice of a CT was found, only {left_out_counts}. Give the axial CT series.", code="no scan"
        )
    notes = [f"Left out: {left_out_counts}."] if left_out_counts else []
    if identifying:
        notes.append(
            f"The files carry {count(len(identifying), 'identifying tag')} (names, dates, numbers); none is kept."
        )
    return list(slices.values()), notes


def parse_dataset(
    stream: BinaryIO, *, stop_before_pixels: bool = False, specific_tags: list[BaseTag] | None = None
) -> pydicom.Dataset:
    """Parse a file that is not compressed as a whole, see `inflate.plain`. A missing transfer syntax is guessed.

    Args:
        stream: the file; read from its current position.
        stop_before_pixels: leave the pixels out.
        specific_tags: the tags to keep; None for all.
    """
    parsed = pydicom.dcmread(stream, force=True, stop_before_pixels=stop_before_pixels, specific_tags=specific_tags)
    if "TransferSyntaxUID" not in parsed.file_meta:
        implicit, little = parsed.original_encoding
        parsed.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2" + ("" if implicit else ".1" if little else ".2"))
    return parsed


def _header(piece: Piece) -> tuple[pydicom.Dataset, bool]:
    """The needed tags, and whether the file is compressed as a whole."""
    with piece.open() as stream, refuse_damaged(piece.name):
        unpacked = plain(piece.name, stream)
        header = parse_dataset(unpacked, stop_before_pixels=True, specific_tags=_TAGS)
        for tag in (*_READ_TAGS, *PROTOCOL_TAGS, *ACQUISITION_TAGS):
            header.get(tag)  # pydicom converts values at their first use: here, inside `refuse_damaged`
        header.file_meta.get("MediaStorageSOPClassUID")
        return header, unpacked is not stream


def _has_value(header: pydicom.Dataset, tag: str) -> bool:
    """Whether a tag holds a value, without parsing it."""
    return tag in header and bool(header.get_item(Tag(tag)).value)


def _reason_not_ct(header: pydicom.Dataset) -> str | None:
    """Why a file is not a CT slice, as a noun that can be counted; None if it is one."""
    if str(header.file_meta.get("MediaStorageSOPClassUID") or "") == MediaStorageDirectoryStorage:
        return _DICOMDIR
    if _integer(header, "Rows") < 1 or _integer(header, "Columns") < 1:
        return "non-image DICOM file"
    if (modality := str(header.get("Modality") or "CT")) != "CT":
        return f"{printable_name(modality)[:16]} image"
    if "LOCALIZER" in _strings(header.get("ImageType")):
        return "scout view"
    color = _integer(header, "SamplesPerPixel", 1) != 1
    capture = str(header.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE) and "RescaleSlope" not in header
    return "screenshot" if color or capture else None


def _slices(piece: Piece, header: pydicom.Dataset, *, is_compressed: bool) -> Iterator[Slice]:
    frames = _frames(piece, header)
    protocol = protocol_of(header, frames[0])
    description = printable_name(str(header.get("SeriesDescription") or header.get("ProtocolName") or ""))
    for index, frame in enumerate(frames):
        yield Slice(
            piece=piece,
            frame=index,
            instance_uid=str(header.get("SOPInstanceUID") or ""),
            series_uid=str(header.get("SeriesInstanceUID") or ""),
            description=description,
            series_number=_integer(header, "SeriesNumber"),
            instance_number=index if len(frames) > 1 else _integer(header, "InstanceNumber"),
            rows=_integer(header, "Rows"),
            columns=_integer(header, "Columns"),
            position=_numbers(frame, "ImagePositionPatient", 3),
            orientation=_orientation(frame),
            pixel_mm=_lengths_mm(frame, "PixelSpacing", 2),
            thickness_mm=None if (mm := _lengths_mm(frame, "SliceThickness", 1)) is None else float(mm[0]),
            slope=_rescale(frame, "RescaleSlope"),
            intercept=_rescale(frame, "RescaleIntercept"),
            may_name_patient=_may_name_patient(header),
            window=_window(frame),
            is_compressed=is_compressed,
            pass_number=_integer(header, "AcquisitionNumber"),
            protocol=protocol,
            acquisition=acquisition_of(frame, description),
            frame_uid=str(header.get("FrameOfReferenceUID") or ""),
        )


def _frames(piece: Piece, header: pydicom.Dataset) -> list[pydicom.Dataset]:
    """One flat header per image: a multi-frame file keeps its geometry in shared and per-frame groups (C.7.6.16)."""
    frames = _integer(header, "NumberOfFrames", 1)
    if not 1 <= frames <= _MAX_FRAMES:
        raise ReadError(
            f"{piece.name} says that it holds {frames} images; 1 to {_MAX_FRAMES} are accepted. Export it again.",
            code="too large",
        )
    if frames == 1 and "PerFrameFunctionalGroupsSequence" not in header:
        return [header]
    with refuse_damaged(piece.name):
        shared = list(header.get("SharedFunctionalGroupsSequence") or [])[:1]
        per_frame = list(header.get("PerFrameFunctionalGroupsSequence") or [])
        return [_flatten([header, *shared, *per_frame[index : index + 1]]) for index in range(frames)]


def _flatten(levels: list[pydicom.Dataset]) -> pydicom.Dataset:
    """The tags of all levels and of the first item of each of their groups in one dataset; later levels override."""
    flat = pydicom.Dataset()
    for level in levels:
        groups = [
            element.value[0] for element in level if element.VR == "SQ" and element.value and level is not levels[0]
        ]
        for source in (level, *groups):
            flat.update({tag: source[tag] for tag in source.keys()})  # noqa: SIM118 - a Dataset iterates over elements
    return flat


def _numbers(header: pydicom.Dataset, tag: str, length: int) -> np.ndarray | None:
    """The finite numbers of a tag; None if they are missing, too few or not numbers."""
    try:
        numbers = np.array(header.get(tag), float).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if len(numbers) == length and np.isfinite(numbers).all() else None


def _lengths_mm(header: pydicom.Dataset, tag: str, length: int) -> np.ndarray | None:
    numbers = _numbers(header, tag, length)
    return numbers if numbers is not None and are_plausible_mm(numbers) else None


def _orientation(header: pydicom.Dataset) -> np.ndarray | None:
    """(2, 3) unit vectors; None unless they are two perpendicular directions (C.7.6.2.1.1)."""
    if (numbers := _numbers(header, "ImageOrientationPatient", 6)) is None:
        return None
    axes = numbers.reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), atol=0.01):
        return None
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def _rescale(header: pydicom.Dataset, tag: str) -> float | None:
    if tag not in header or header.get(tag) in (None, ""):
        return None
    number = _numbers(header, tag, 1)
    return float("nan") if number is None else float(number[0])


def _window(header: pydicom.Dataset) -> tuple[float, float] | None:
    """A file may offer several windows; the first is its default (C.11.2.1.2)."""
    level, width = (_first_number(header, tag) for tag in ("WindowCenter", "WindowWidth"))
    return None if level is None or width is None or width < 1 else (level, width)


def _first_number(header: pydicom.Dataset, tag: str) -> float | None:
    try:
        number = float(np.array(header.get(tag), float).reshape(-1)[0])
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return number if np.isfinite(number) else None


def _integer(header: pydicom.Dataset, tag: str, default: int = 0) -> int:
    number = _numbers(header, tag, 1)
    return default if number is None else int(number[0])


def _strings(value: Iterable[object] | None) -> list[str]:
    return [value] if isinstance(value, str) else [str(word) for word in value or ()]


def _may_name_patient(header: pydicom.Dataset) -> bool:
    burned = str(header.get("BurnedInAnnotation") or "").upper() == "YES"
    return burned or str(header.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE)
