"""RSNA 2019 (Flanders et al., Radiology: AI 2020;2(3):e190211): a long CSV and 752,803 DICOM files to a table.

Layout: `stage_2_train.csv` with the columns ID and Label, a line per image and label ("ID_63eb1e259_epidural,0"), six
lines per image; `stage_2_train/ID_*.dcm`. Known faults: 4,516,842 lines are 752,807 times six, so four images are
listed twice; ID_6431af929.dcm has fewer pixels than its header promises. The CSV has no patients: patient, study,
series and place come from the headers, which are read once and stored in a small index beside the data.
"""

import csv
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom

from ich_lib.data.table import DataProblems, Table
from ich_lib.labels import ANY, LABELS
from ich_lib.readers.dicom import read_dicom
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.scan import HIGHEST_HU, LOWEST_HU

LINES, IMAGES, INDEX = "stage_2_train.csv", "stage_2_train", "rsna_index.csv"
ATTRIBUTION = (
    "RSNA 2019 Brain CT Hemorrhage Dataset, Copyright RSNA 2019, non-commercial use: Flanders AE, Prevedello LM, Shih "
    "G, et al. Construction of a Machine Learning Dataset through Collaboration. Radiology: Artificial Intelligence "
    "2020;2(3):e190211. doi 10.1148/ryai.2020190211"
)
_NAMES = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
_NUMBERS = (
    *("ImagePositionPatient", "ImageOrientationPatient", "Rows", "Columns", "BitsAllocated", "BitsStored"),
    *("PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
)
_ALL, _DUPLICATE, _CONTRADICTORY = (1 << len(LABELS)) - 1, 1 << 12, 1 << 13  # bits of the labels of an image in the CSV
_FLUSH = 1000  # headers that an interruption may lose


class Header(NamedTuple):
    """The facts of a DICOM header that the table needs.

    Attributes:
        patient, study, series: as in the set, such as "ID_b81a287f".
        along_mm: place of the slice on its normal, rising toward the head.
        wrapped: whether negative values were stored as unsigned 12 bits, see `unwrap`.
    """

    patient: str
    study: str
    series: str
    along_mm: float
    wrapped: bool


@dataclass(frozen=True)
class _Files:
    """One DICOM file per row."""

    folder: Path
    image: np.ndarray
    wrapped: np.ndarray

    def hu(self, row: int) -> np.ndarray:
        path = self._path(row)
        hu = read_dicom([Piece(path)], path.name).hu[0]
        hu = unwrap(hu) if self.wrapped[row] else hu
        return np.clip(hu, LOWEST_HU, HIGHEST_HU)  # outside the gantry -2000 is stored, often without a padding tag

    def mask(self, row: int) -> np.ndarray:
        return np.zeros(self.hu(row).shape, bool)

    def files(self, row: int) -> tuple[Path, ...]:
        return (self._path(row),)

    def _path(self, row: int) -> Path:
        return self.folder / f"{self.image[row]}.dcm"


def rsna(
    folder: str | Path,
    *,
    patients: Iterable[str] | None = None,
    index: str | Path | None = None,
    progress: Callable[[list[str]], Iterable[str]] = lambda items: items,
) -> Table:
    """Read the table of the RSNA 2019 training set, or of the part that is on disk.

    Args:
        folder: holds stage_2_train.csv and stage_2_train.
        patients: keep only these; None keeps all.
        index: CSV of the headers' facts. It is read if it exists, written while the headers are read, and continued if
            it is incomplete. None: rsna_index.csv in `folder`; no index if that folder is read-only.
        progress: may wrap the images whose headers are read (tqdm): once, about 1,400 a second on one slow core.

    Returns:
        One row per image with six labels and an intact header. A scan is a series, ordered along its normal. Only
        slices
        outlined but slices without blood. Facts: without blood are outlined. Facts: "image", such as "ID_63eb1e259".

    Raises:
        FileNotFoundError: if the CSV or every image is missing.
        ValueError: if a line of the CSV or the index has another form, or `index` cannot be written.
    """
    folder = Path(folder)
    if not (folder / LINES).is_file():
        raise FileNotFoundError(
            f"{folder} holds no {LINES}. Get the data of the RSNA Intracranial Hemorrhage Detection challenge (2019) "
            f"with your own account and name the folder that holds {LINES} and {IMAGES}."
        )
    codes, report = read_labels(folder / LINES)
    present = _images(folder / IMAGES)
    if not present:
        raise FileNotFoundError(f"{folder} has its table but no .dcm file under {IMAGES}; unpack the whole archive.")
    missing, unlabeled = (
        tuple(sorted(codes.keys() - present)),
        tuple(sorted(present - codes.keys() - set(report.inconsistent))),
    )
    images = sorted(codes.keys() & present)
    header_of_image = read_headers(
        folder / IMAGES, images, index=index or _default(folder), must=index is not None, progress=progress
    )
    unreadable = tuple(image for image in images if image not in header_of_image)
    wanted_patients = None if patients is None else set(patients)
    images = [
        image
        for image in images
        if image in header_of_image and (wanted_patients is None or header_of_image[image].patient in wanted_patients)
    ]
    images.sort(
        key=lambda image: (
            header_of_image[image].patient,
            header_of_image[image].series,
            header_of_image[image].along_mm,
        )
    )
    return _table(
        folder,
        images,
        codes,
        header_of_image,
        report + DataProblems(missing=missing, corrupt=unreadable, inconsistent=unlabeled),
    )


def _table(
    folder: Path,
    images: list[str],
    label_codes: dict[str, int],
    header_of_image: dict[str, Header],
    report: DataProblems,
) -> Table:
    """The table of `images`, in order."""
    scan = np.array([header_of_image[image].series for image in images], str)
    starts = np.flatnonzero(np.concatenate([[True], scan[1:] != scan[:-1]])) if images else np.array([], int)
    lengths = np.diff([*starts.tolist(), len(images)])
    codes = np.array([label_codes[image] for image in images], np.uint8)
    values = np.unpackbits(codes[:, None], axis=1, count=len(LABELS), bitorder="little").astype(bool)
    image = np.array(images, str)
    return Table(
        name="RSNA 2019",
        patient=np.array([header_of_image[image].patient for image in images], str),
        scan=scan,
        slice=np.arange(len(images)) - np.repeat(starts, lengths),
        labels=values.reshape(-1, len(LABELS)),
        outlined=codes >> ANY & 1 == 0,
        pixels=_Files(folder / IMAGES, image, np.array([header_of_image[image].wrapped for image in images], bool)),
        facts={"image": image},
        report=report,
        attribution=ATTRIBUTION,
    )


def read_labels(path: Path) -> tuple[dict[str, int], DataProblems]:
    """The long CSV as one number per image: bit i is set if LABELS[i] is 1.

    It is streamed, and only one number per image is kept, so 4.5 million lines fit in about 150 MB.

    Returns:
        image to labels, and a report: images listed twice (doubled); images whose lines contradict each other, are not
            six, or have a type without `any` or the reverse (inconsistent, left out).

    Raises:
        ValueError: if a line is not "ID_..._label,0" or "...,1".
    """
    codes: dict[str, int] = {}
    bits = {name: i for i, name in enumerate(LABELS)}
    with path.open(encoding="utf-8-sig") as file:
        if file.readline().strip() != "ID,Label":
            raise ValueError(f"{path.name} does not start with the line ID,Label; this is not the RSNA 2019 table.")
        for number, line in enumerate(file, start=2):
            name, _, value = line.rstrip().rpartition(",")
            image, _, kind = name.rpartition("_")
            if kind not in bits or value not in ("0", "1") or not image:
                if not line.strip():
                    continue
                raise ValueError(f"{path.name} line {number} is not a line of RSNA 2019: {line.strip()[:60]!r}.")
            codes[image] = _add_label(codes.get(image, 0), bits[kind], int(value))
    odd = tuple(sorted(image for image, code in codes.items() if not _is_consistent(code)))
    for image in odd:
        del codes[image]
    doubled = tuple(sorted(image for image, code in codes.items() if code & _DUPLICATE))
    for image, code in codes.items():
        codes[image] = code & _ALL
    return codes, DataProblems(doubled=doubled, inconsistent=odd)


def _add_label(code: int, bit: int, value: int) -> int:
    """The value of an image after one more line: values in bits 0 to 5, labels seen in bits 6 to 11."""
    if code >> 6 + bit & 1:
        return code | (_DUPLICATE if code >> bit & 1 == value else _CONTRADICTORY)
    return code | value << bit | 1 << 6 + bit


def _is_consistent(code: int) -> bool:
    """Whether all six labels were seen, without contradiction, and `any` agrees with the types."""
    types = code & _ALL & ~(1 << ANY)
    return not code & _CONTRADICTORY and code >> 6 & _ALL == _ALL and bool(types) == bool(code >> ANY & 1)


def _images(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name[:-4] for entry in entries if entry.name.endswith(".dcm")}
    except FileNotFoundError:
        return set()


def _default(folder: Path) -> Path | None:
    """The default path of the index: beside the data, if the folder is writable or the index exists."""
    path = folder / INDEX
    return path if path.is_file() or os.access(folder, os.W_OK) else None


def read_headers(
    folder: Path,
    images: list[str],
    *,
    index: str | Path | None = None,
    must: bool = False,
    progress: Callable[[list[str]], Iterable[str]] = lambda items: items,
) -> dict[str, Header]:
    """The headers of `images`; those that cannot be read, or whose file is too short for its pixels, are left out.

    Each fact is appended to `index` at once, so an interrupted run resumes. Corrupt files are not stored in it: they
    are tried again, because they may have been replaced.

    Raises:
        ValueError: if `index` is not such an index, or if it cannot be written although it `must`.
    """
    headers_by_image = _read_index(Path(index)) if index else {}
    to_read = [image for image in images if image not in headers_by_image]
    if not to_read:
        return headers_by_image
    with _open_for_append(index, must=must) as file:
        table = csv.writer(file)
        for number, image in enumerate(progress(to_read), start=1):
            with suppress(ReadError):
                headers_by_image[image] = _header(folder / f"{image}.dcm")
                table.writerow(
                    (
                        image,
                        *headers_by_image[image][:3],
                        repr(headers_by_image[image].along_mm),
                        int(headers_by_image[image].wrapped),
                    )
                )
            if number % _FLUSH == 0:
                file.flush()
    return headers_by_image


def _read_index(path: Path) -> dict[str, Header]:
    """The index without an incomplete last line."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        first = next(rows, None)
        if first is not None and tuple(first) != ("image", *Header._fields):
            raise ValueError(f"{path.name} is not an index that ich_lib wrote; choose another index path.")
        same = sys.intern  # a few thousand patients in hundreds of thousands of rows
        return {
            row[0]: Header(same(row[1]), same(row[2]), same(row[3]), float(row[4]), row[5] == "1")
            for row in rows
            if len(row) == 6 and row[5] in ("0", "1")
        }


def _open_for_append(index: str | Path | None, *, must: bool) -> TextIOBase:
    """The index, opened for appending after its last complete line; a null device if it cannot be written and need not
    be."""
    if index is None:
        return Path(os.devnull).open("w", encoding="utf-8", newline="")
    path = Path(index)
    try:
        if path.is_file():
            _cut_to_whole_lines(path)
        file = path.open("a", encoding="utf-8", newline="")
    except OSError as problem:
        if must:
            raise ValueError(f"{path} cannot be written ({problem.strerror}); choose another index path.") from problem
        return Path(os.devnull).open("w", encoding="utf-8", newline="")
    if path.stat().st_size == 0:
        csv.writer(file).writerow(("image", *Header._fields))
    return file


def _cut_to_whole_lines(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 4096, 0))
        tail = file.read()
        file.truncate(end - len(tail) + tail.rfind(b"\n") + 1)


def _header(path: Path) -> Header:
    """The facts of one header.

    Raises:
        ReadError: if it is damaged, lacks a fact that the table needs, or if the file is too short for its pixels.
    """
    with path.open("rb") as file, refuse_damaged(path.name):
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[*_NAMES, *_NUMBERS])
        remaining_bytes = path.stat().st_size - file.tell()
        # As stored: the set's "ID_..." are not valid UIDs, and pydicom would warn at every file.
        names = [header.get_item(tag).value.decode("ascii").strip(" \0") for tag in _NAMES]
        position, axes, rows, columns, bits, stored_bits, signed, _, intercept = (header[tag].value for tag in _NUMBERS)
        if not header.file_meta.TransferSyntaxUID.is_compressed and remaining_bytes < rows * columns * bits // 8:
            raise ReadError(f"{path.name} is cut short: it holds fewer pixels than its header promises.")
        if not all(names):
            raise ReadError(f"{path.name} does not say which patient and series it belongs to.")
        wrapped = stored_bits == 12 and signed == 0 and float(intercept) > -100
        patient, study, series = map(sys.intern, names)
        return Header(patient, study, series, _along_mm([*map(float, position)], [*map(float, axes)]), wrapped)


def _along_mm(position: list[float], axes: list[float]) -> float:
    """Place of the slice on its normal, toward head, back or left, whichever is closest (PS3.3 C.7.6.2.1.1)."""
    a, b, c, d, e, f = axes
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    along = sum(n * p for n, p in zip(normal, position, strict=True))
    return along if max(normal, key=abs) > 0 else -along


def unwrap(hu: np.ndarray) -> np.ndarray:
    """HU of a slice whose negative values were stored as unsigned 12 bits: 3096 and more is 4096 too high.

    Such headers have BitsStored 12, PixelRepresentation 0 and an intercept near 0, and air is as bright as bone.

    Args:
        hu: stored value times slope plus intercept. Not changed.

    Returns:
        -1000 to 3095 HU, the shape of `hu`.

    Source:
        J. Howard, "Cleaning the data for rapid prototyping" (notebook of the RSNA 2019 challenge). It adds 1000,
        subtracts 4096 from values above, and sets the intercept to -1000, which is the same.
    """
    return np.where(hu >= 3096, hu - 4096, hu).astype(np.float32)
