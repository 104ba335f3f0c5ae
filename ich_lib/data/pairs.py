"""A plain folder of NIfTI scans with masks to a table of slices.

Layouts, the first that fits; .nii and .nii.gz:
    a folder a case: CASE/scan.nii.gz, CASE/mask.nii.gz and, as `python -m ich_lib phantom` writes them, CASE/labels.csv
        (a line a slice) and CASE/case.json ("coding": the mask value of each type);
    two folders: images, scans, ct_scans or imagesTr with NAME, and masks, labels, segmentations or labelsTr with the
        same NAME; nnU-Net's NAME_0000 is NAME;
    side by side: NAME and NAME_mask, NAME_seg, NAME_segmentation or NAME_label(s).

What a set tells decides its `known` labels: with a coding or labels.csv for every case the five types, else only `any`,
whatever the values of the masks are.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ich_lib.data.table import Report, Table
from ich_lib.data.volumes import Grid, Volumes, grid, hu_volume, mask_volume
from ich_lib.labels import ANY, LABELS, TYPES
from ich_lib.readers.refusal import ReadError

_SCANS, _MASKS = ("images", "scans", "ct_scans", "imagesTr"), ("masks", "labels", "segmentations", "labelsTr")
_MASK_NAME = re.compile(r"(.+)_(mask|seg|segmentation|labels?)", re.IGNORECASE)
LAYOUTS = (
    "CASE/scan.nii.gz and CASE/mask.nii.gz, images/NAME.nii.gz and masks/NAME.nii.gz, or NAME.nii.gz and "
    "NAME_mask.nii.gz"
)


@dataclass(frozen=True)
class Case:
    """A scan with what lies beside it."""

    name: str
    scan: Path
    mask: Path | None = None
    folder: Path | None = None  # of labels.csv and case.json


@dataclass(frozen=True)
class _Slices:
    """The slices of a case that have a label; `typed` tells whether their types are known, not only `any`."""

    case: Case
    grid: Grid
    z: np.ndarray
    labels: np.ndarray
    outlined: np.ndarray
    typed: bool


@dataclass(frozen=True)
class _Volumes:
    """Case and slice of each row; of scans and of masks the last one read is kept."""

    slices: list[_Slices]
    case: np.ndarray
    z: np.ndarray
    scans: Volumes = field(default_factory=lambda: Volumes(keep=1))
    masks: Volumes = field(default_factory=lambda: Volumes(keep=1))

    def hu(self, row: int) -> np.ndarray:
        return self.scans.get(self._of(row).case.scan, hu_volume)[self.z[row]].copy()

    def mask(self, row: int) -> np.ndarray:
        found = self._of(row)
        if found.case.mask is None:
            return np.zeros(self.hu(row).shape, bool)
        return self.masks.get(found.case.mask, lambda path: mask_volume(path, found.grid))[self.z[row]] > 0

    def files(self, row: int) -> tuple[Path, ...]:
        case = self._of(row).case
        return (case.scan,) if case.mask is None else (case.scan, case.mask)

    def _of(self, row: int) -> _Slices:
        return self.slices[self.case[row]]


def pairs(folder: str | Path, *, progress: Callable[[list[Case]], Iterable[Case]] = lambda items: items) -> Table:
    """Read the table of a folder of scans with masks. Every mask is looked through once, scans are opened later.

    Args:
        folder: see the layouts above.
        progress: may wrap the cases (tqdm).

    Returns:
        One row per slice, foot to head, `slice` from 0. Patient and scan are the case's name.

    Raises:
        FileNotFoundError: if no scan lies beside a mask.
        ValueError: if labels.csv or case.json is not of its form.
    """
    cases = found(folder := Path(folder))
    if not cases:
        raise FileNotFoundError(f"{folder} holds no scan with its mask. Lay them out as {LAYOUTS}.")
    slices, report = [], Report()
    for case in progress(cases):
        of_case, odd = _case(case)
        slices += [of_case] if of_case is not None and len(of_case.z) else []
        report += odd
    lengths = [len(of_case.z) for of_case in slices]
    known = LABELS if all(of_case.typed for of_case in slices) else ("any",)
    name = np.repeat(np.array([of_case.case.name for of_case in slices], str), lengths)
    z = np.concatenate([np.zeros(0, int), *(of_case.z for of_case in slices)])
    labels = np.concatenate([np.zeros((0, len(LABELS)), bool), *(of_case.labels for of_case in slices)])
    return Table(
        name=folder.name,
        patient=name,
        scan=name,
        slice=z,
        labels=labels & np.isin(LABELS, known),
        outlined=np.concatenate([np.zeros(0, bool), *(of_case.outlined for of_case in slices)]),
        pixels=_Volumes(slices, np.repeat(np.arange(len(slices)), lengths), z),
        known=known,
        report=report,
        steps_mm=np.concatenate([np.zeros((0, 3, 3)), *(np.tile(s.grid.steps_mm, (len(s.z), 1, 1)) for s in slices)]),
    )


def found(folder: Path) -> list[Case]:
    """The cases of the first layout that fits, in order of name; none if no scan has a mask or labels."""
    for layout in (_case_folders, _two_folders, _side_by_side):
        cases = sorted(layout(folder), key=lambda case: case.name)
        if any(case.mask or _told(case, "labels.csv") for case in cases):
            return cases
    return []


def _case_folders(folder: Path) -> list[Case]:
    places = [folder, *(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []
    found = [(place, _volumes(place)) for place in places]
    return [Case(place.name, here["scan"], here.get("mask"), place) for place, here in found if "scan" in here]


def _two_folders(folder: Path) -> list[Case]:
    scans = next((here for name in _SCANS if (here := _volumes(folder / name))), {})
    masks = next((here for name in _MASKS if (here := _volumes(folder / name))), {})
    channels = any(name.endswith("_0000") for name in scans)
    scans = {name.removesuffix("_0000"): path for name, path in scans.items() if not channels or name.endswith("_0000")}
    return [Case(name, path, masks.get(name)) for name, path in scans.items()]


def _side_by_side(folder: Path) -> list[Case]:
    here = _volumes(folder)
    masks = {match.group(1): path for name, path in here.items() if (match := _MASK_NAME.fullmatch(name))}
    scans = {name: path for name, path in here.items() if path not in masks.values()}
    return [Case(name, path, masks.get(name)) for name, path in scans.items()]


def _volumes(folder: Path) -> dict[str, Path]:
    return {path.name.split(".nii")[0]: path for path in sorted([*folder.glob("*.nii"), *folder.glob("*.nii.gz")])}


def _told(case: Case, name: str) -> Path | None:
    path = case.folder / name if case.folder else None
    return path if path and path.is_file() else None


def _case(case: Case) -> tuple[_Slices | None, Report]:
    """The slices of one case that have a label, and what is wrong with it."""
    try:
        lies = grid(case.scan)
    except ReadError:
        return None, Report(corrupt=(case.name,))
    values, odd = _mask(case, lies)
    told = _labels_csv(case, lies.slices)
    if values is None and told is None:
        return None, odd or Report(missing=(case.name,))
    odd = Report(inconsistent=odd.corrupt + odd.inconsistent)  # labels.csv speaks for it, so the case stays
    coding = _coding(case)
    drawn, unknown = _drawn(values, coding, lies.slices)
    labels = drawn if told is None else told
    apart = np.zeros(lies.slices, bool) if values is None else drawn[:, ANY] != labels[:, ANY]
    apart |= (drawn & ~labels)[:, :ANY].any(axis=1) | unknown
    odd += Report(inconsistent=tuple(f"{case.name}/{z}" for z in np.flatnonzero(apart)))
    outlined = ~apart & (~labels[:, ANY] if values is None else True)
    kept = case if values is not None else Case(case.name, case.scan)
    return _Slices(kept, lies, np.arange(lies.slices), labels, outlined, told is not None or bool(coding)), odd


def _mask(case: Case, lies: Grid) -> tuple[np.ndarray | None, Report]:
    """(z, y, x) mask values; None, with a report where there is a mask, if it cannot be believed."""
    if case.mask is None:
        return None, Report()
    try:
        if lies.fits(grid(case.mask)):
            return mask_volume(case.mask, lies), Report()
    except ReadError:
        return None, Report(corrupt=(case.name,))
    return None, Report(inconsistent=(case.name,))


def _drawn(values: np.ndarray | None, coding: dict[str, int], slices: int) -> tuple[np.ndarray, np.ndarray]:
    """(z, 6) labels that the mask shows, and (z,) whether it holds a value that the coding does not."""
    labels, unknown = np.zeros((slices, len(LABELS)), bool), np.zeros(slices, bool)
    for z, plane in enumerate([] if values is None else values):
        here = _codes(plane)
        labels[z, ANY] = bool(here)
        labels[z, :ANY] = [coding.get(name) in here for name in TYPES]
        unknown[z] = bool(coding) and not here <= set(coding.values())
    return labels, unknown


def _codes(plane: np.ndarray) -> set[int]:
    """The values of a mask's slice but 0. Most slices hold none, and thousands are looked through."""
    return set((np.flatnonzero(np.bincount(plane.ravel())[1:]) + 1).tolist()) if plane.any() else set()


def _coding(case: Case) -> dict[str, int]:
    """Type to its mask value, from case.json; empty where nobody says."""
    path = _told(case, "case.json")
    if path is None:
        return {}
    try:
        coding = {name: int(value) for name, value in json.loads(path.read_text("utf-8")).get("coding", {}).items()}
    except (ValueError, TypeError, AttributeError) as problem:
        raise ValueError(f"{case.name}/case.json is not of the form {{'coding': {{type: number}}}}.") from problem
    if strange := sorted(coding.keys() - set(TYPES)):
        raise ValueError(f"{case.name}/case.json codes {strange[0]!r}; the types are {', '.join(TYPES)}.")
    return coding


def _labels_csv(case: Case, slices: int) -> np.ndarray | None:
    """(z, 6) labels, a line a slice, or None where there is no labels.csv."""
    path = _told(case, "labels.csv")
    if path is None:
        return None
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    try:
        told = {int(line["slice"]): [bool(int(line[name])) for name in LABELS] for line in lines}
    except (KeyError, TypeError, ValueError) as problem:
        raise ValueError(f"{case.name}/labels.csv is not a line a slice of slice,{','.join(LABELS)}.") from problem
    labels = np.array([told.get(z, []) for z in range(slices)]) if told.keys() == set(range(slices)) else None
    if labels is None or (labels[:, :ANY].any(axis=1) != labels[:, ANY]).any():
        raise ValueError(f"{case.name}/labels.csv does not tell each of the {slices} slices once, types with `any`.")
    return labels
