"""A plain folder of NIfTI scans with masks to a table of slices.

Layouts, in this order; .nii and .nii.gz. One folder per case: CASE/scan.nii.gz, CASE/mask.nii.gz and, as `python -m
    ich_lib phantom` writes them, CASE/labels.csv (a line per slice) and CASE/case.json ("coding": the mask value of
    each type). Two folders: images, scans, ct_scans or imagesTr with NAME, and masks, labels, segmentations or labelsTr
    with the same NAME; nnU-Net's NAME_0000 is NAME. Side by side: NAME and NAME_mask, NAME_seg, NAME_segmentation or
    NAME_label(s).

The contents decide `known_labels`: with a coding or labels.csv for every case the five types, else only `any`, for any
values in the masks.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ich_lib.data.table import DataProblems, Table
from ich_lib.data.volumes import FileGrid, Volumes, hu_volume, mask_volume, read_grid
from ich_lib.labels import ANY, LABELS, TYPES
from ich_lib.readers.refusal import ReadError

_SCANS, _MASKS = ("images", "scans", "ct_scans", "imagesTr"), ("masks", "labels", "segmentations", "labelsTr")
_MASK_NAME = re.compile(r"(.+)_(mask|seg|segmentation|labels?)", re.IGNORECASE)
LAYOUTS = (
    "CASE/scan.nii.gz and CASE/mask.nii.gz, images/NAME.nii.gz and masks/NAME.nii.gz, or NAME.nii.gz and "
    "NAME_mask.nii.gz"
)


@dataclass(frozen=True)
class ScanFiles:
    """A scan with the files beside it."""

    name: str
    scan: Path
    mask: Path | None = None
    folder: Path | None = None  # of labels.csv and case.json


@dataclass(frozen=True)
class _Slices:
    """The slices of a case that have a label; `types_known` says whether their types are known, not only `any`."""

    case: ScanFiles
    grid: FileGrid
    z: np.ndarray
    labels: np.ndarray
    outlined: np.ndarray
    types_known: bool


@dataclass(frozen=True)
class _Volumes:
    """Case and slice of each row; the last scan and the last mask are kept."""

    slices: list[_Slices]
    case: np.ndarray
    z: np.ndarray
    scans: Volumes = field(default_factory=lambda: Volumes(keep=1))
    masks: Volumes = field(default_factory=lambda: Volumes(keep=1))

    def hu(self, row: int) -> np.ndarray:
        return self.scans.get(self._of(row).case.scan, hu_volume)[self.z[row]].copy()

    def mask(self, row: int) -> np.ndarray:
        slices = self._of(row)
        if slices.case.mask is None:
            return np.zeros(self.hu(row).shape, bool)
        return self.masks.get(slices.case.mask, lambda path: mask_volume(path, slices.grid))[self.z[row]] > 0

    def files(self, row: int) -> tuple[Path, ...]:
        case = self._of(row).case
        return (case.scan,) if case.mask is None else (case.scan, case.mask)

    def _of(self, row: int) -> _Slices:
        return self.slices[self.case[row]]


def pairs(
    folder: str | Path, *, progress: Callable[[list[ScanFiles]], Iterable[ScanFiles]] = lambda items: items
) -> Table:
    """Read the table of a folder of scans with masks. Every mask is examined once; scans are opened later.

    Args:
        folder: see the layouts above.
        progress: may wrap the cases (tqdm).

    Returns:
        One row per slice, foot to head, `slice` from 0. Patient and scan are the case's name.

    Raises:
        FileNotFoundError: if no scan has a mask.
        ValueError: if labels.csv or case.json has another form.
    """
    cases = find_scans(folder := Path(folder))
    if not cases:
        raise FileNotFoundError(f"{folder} holds no scan with its mask. Lay them out as {LAYOUTS}.")
    slices, report = [], DataProblems()
    for case in progress(cases):
        of_case, odd = _case(case)
        slices += [of_case] if of_case is not None and len(of_case.z) else []
        report += odd
    lengths = [len(of_case.z) for of_case in slices]
    known_labels = LABELS if all(of_case.types_known for of_case in slices) else ("any",)
    name = np.repeat(np.array([of_case.case.name for of_case in slices], str), lengths)
    z = np.concatenate([np.zeros(0, int), *(of_case.z for of_case in slices)])
    labels = np.concatenate([np.zeros((0, len(LABELS)), bool), *(of_case.labels for of_case in slices)])
    return Table(
        name=folder.name,
        patient=name,
        scan=name,
        slice=z,
        labels=labels & np.isin(LABELS, known_labels),
        outlined=np.concatenate([np.zeros(0, bool), *(of_case.outlined for of_case in slices)]),
        pixels=_Volumes(slices, np.repeat(np.arange(len(slices)), lengths), z),
        known_labels=known_labels,
        report=report,
        steps_mm=np.concatenate([np.zeros((0, 3, 3)), *(np.tile(s.grid.steps_mm, (len(s.z), 1, 1)) for s in slices)]),
    )


def find_scans(folder: Path) -> list[ScanFiles]:
    """The cases of the first layout that fits, in order of name; none if no scan has a mask or labels."""
    for layout in (_case_folders, _two_folders, _side_by_side):
        cases = sorted(layout(folder), key=lambda case: case.name)
        if any(case.mask or _file_beside(case, "labels.csv") for case in cases):
            return cases
    return []


def _case_folders(folder: Path) -> list[ScanFiles]:
    places = [folder, *(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []
    volumes_by_place = [(place, _volumes(place)) for place in places]
    return [
        ScanFiles(place.name, volumes["scan"], volumes.get("mask"), place)
        for place, volumes in volumes_by_place
        if "scan" in volumes
    ]


def _two_folders(folder: Path) -> list[ScanFiles]:
    scans = next((volumes for name in _SCANS if (volumes := _volumes(folder / name))), {})
    masks = next((volumes for name in _MASKS if (volumes := _volumes(folder / name))), {})
    channels = any(name.endswith("_0000") for name in scans)
    scans = {name.removesuffix("_0000"): path for name, path in scans.items() if not channels or name.endswith("_0000")}
    return [ScanFiles(name, path, masks.get(name)) for name, path in scans.items()]


def _side_by_side(folder: Path) -> list[ScanFiles]:
    volumes = _volumes(folder)
    masks = {match.group(1): path for name, path in volumes.items() if (match := _MASK_NAME.fullmatch(name))}
    scans = {name: path for name, path in volumes.items() if path not in masks.values()}
    return [ScanFiles(name, path, masks.get(name)) for name, path in scans.items()]


def _volumes(folder: Path) -> dict[str, Path]:
    return {path.name.split(".nii")[0]: path for path in sorted([*folder.glob("*.nii"), *folder.glob("*.nii.gz")])}


def _file_beside(case: ScanFiles, name: str) -> Path | None:
    path = case.folder / name if case.folder else None
    return path if path and path.is_file() else None


def _case(case: ScanFiles) -> tuple[_Slices | None, DataProblems]:
    """The slices of one case that have a label, and their problems."""
    try:
        file_grid = read_grid(case.scan)
    except ReadError:
        return None, DataProblems(corrupt=(case.name,))
    values, odd = _mask(case, file_grid)
    csv_labels = _labels_csv(case, file_grid.slices)
    if values is None and csv_labels is None:
        return None, odd or DataProblems(missing=(case.name,))
    odd = DataProblems(inconsistent=odd.corrupt + odd.inconsistent)  # labels.csv labels it, so the case stays
    coding = _coding(case)
    mask_labels, unknown = _labels_of_mask(values, coding, file_grid.slices)
    labels = mask_labels if csv_labels is None else csv_labels
    is_inconsistent = np.zeros(file_grid.slices, bool) if values is None else mask_labels[:, ANY] != labels[:, ANY]
    is_inconsistent |= (mask_labels & ~labels)[:, :ANY].any(axis=1) | unknown
    odd += DataProblems(inconsistent=tuple(f"{case.name}/{z}" for z in np.flatnonzero(is_inconsistent)))
    outlined = ~is_inconsistent & (~labels[:, ANY] if values is None else True)
    files = case if values is not None else ScanFiles(case.name, case.scan)
    return _Slices(
        files, file_grid, np.arange(file_grid.slices), labels, outlined, csv_labels is not None or bool(coding)
    ), odd


def _mask(case: ScanFiles, file_grid: FileGrid) -> tuple[np.ndarray | None, DataProblems]:
    """(z, y, x) mask values; None if the mask is missing or unreliable, the latter with a report."""
    if case.mask is None:
        return None, DataProblems()
    try:
        if file_grid.matches(read_grid(case.mask)):
            return mask_volume(case.mask, file_grid), DataProblems()
    except ReadError:
        return None, DataProblems(corrupt=(case.name,))
    return None, DataProblems(inconsistent=(case.name,))


def _labels_of_mask(values: np.ndarray | None, coding: dict[str, int], slices: int) -> tuple[np.ndarray, np.ndarray]:
    """(z, 6) labels of the mask, and (z,) whether it holds a value that is not in the coding."""
    labels, unknown = np.zeros((slices, len(LABELS)), bool), np.zeros(slices, bool)
    for z, plane in enumerate([] if values is None else values):
        codes = _codes(plane)
        labels[z, ANY] = bool(codes)
        labels[z, :ANY] = [coding.get(name) in codes for name in TYPES]
        unknown[z] = bool(coding) and not codes <= set(coding.values())
    return labels, unknown


def _codes(plane: np.ndarray) -> set[int]:
    """The nonzero values of a mask's slice. Most slices hold none, and thousands are examined."""
    return set((np.flatnonzero(np.bincount(plane.ravel())[1:]) + 1).tolist()) if plane.any() else set()


def _coding(case: ScanFiles) -> dict[str, int]:
    """Type to its mask value, from case.json; empty if it does not say."""
    path = _file_beside(case, "case.json")
    if path is None:
        return {}
    try:
        coding = {name: int(value) for name, value in json.loads(path.read_text("utf-8")).get("coding", {}).items()}
    except (ValueError, TypeError, AttributeError) as problem:
        raise ValueError(f"{case.name}/case.json is not of the form {{'coding': {{type: number}}}}.") from problem
    if unknown := sorted(coding.keys() - set(TYPES)):
        raise ValueError(f"{case.name}/case.json codes {unknown[0]!r}; the types are {', '.join(TYPES)}.")
    return coding


def _labels_csv(case: ScanFiles, slices: int) -> np.ndarray | None:
    """(z, 6) labels, a line per slice, or None without a labels.csv."""
    path = _file_beside(case, "labels.csv")
    if path is None:
        return None
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    try:
        labels_by_slice = {int(line["slice"]): [bool(int(line[name])) for name in LABELS] for line in lines}
    except (KeyError, TypeError, ValueError) as problem:
        raise ValueError(
            f"{case.name}/labels.csv must have one line per slice with the columns slice,{','.join(LABELS)}."
        ) from problem
    labels = (
        np.array([labels_by_slice.get(z, []) for z in range(slices)])
        if labels_by_slice.keys() == set(range(slices))
        else None
    )
    if labels is None or (labels[:, :ANY].any(axis=1) != labels[:, ANY]).any():
        raise ValueError(f"{case.name}/labels.csv must name each of the {slices} slices once, types with `any`.")
    return labels
