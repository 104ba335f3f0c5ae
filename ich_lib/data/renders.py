"""Zeta Surgical / Centaur Labs: JPG renders of RSNA 2019 slices with polygons of their bleeds, to a table of slices.

Layout, as the public course repositories with this set read it:
`renders/{epidural,intraparenchymal,intraventricular,subarachnoid,subdural,multi,normal}/WINDOW/ID_*.jpg`, where WINDOW
is brain_bone_window, brain_window, max_contrast_window or subdural_window; `hemorrhage-labels.csv` (Image and the six
labels, for all of RSNA 2019, not only for the renders); `flagged.txt`, one image per line; and the annotations
`Results_{Type} Hemorrhage Detection_{date}.csv` (two for subdural, none for intraventricular) and `Results_Brain
Hemorrhage Tracing_{date}.csv`. The tables are beside `renders`, or in a folder beside it.

An annotation table has a line per case: Origin (the picture's name), Labeling State (Gold Standard, Labeled, In
Progress, Flagged) and polygons: Correct Label, Majority Label, All Labels, or in the Tracing table ROI (a line per
region) and All Annotations. Correct Label is the owner's own for Gold Standard, and the majority's for a case with
enough reads (Labeled); see Centaur's README of its results format.

Only brain_window (40/80) and subdural_window (80/200) are windows of HU here; the other two are pictures. The set does
not state its levels. 40/80 is the usual brain window; subdural is 80/200 in one family of RSNA 2019 pipelines and
100/254 in another (fastai). `fit_window` measures it on the pictures themselves.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from ich_lib.data.picture import gray
from ich_lib.data.polygons import fill, regions
from ich_lib.data.table import DataProblems, Table
from ich_lib.labels import ANY, LABELS, TYPES
from ich_lib.prepare.window import WINDOWS, unwindow

BRAIN, SUBDURAL = "brain_window", "subdural_window"
RENDERS = ("brain_bone_window", BRAIN, "max_contrast_window", SUBDURAL)
LABELED = "hemorrhage-labels.csv"
CORRUPT = frozenset({"ID_6431af929"})  # rendered from a truncated DICOM file
ATTRIBUTION = (
    "Renders and polygons: Zeta Surgical and Centaur Labs, not public; pictures after the RSNA 2019 Brain CT "
    "Hemorrhage Dataset, Copyright RSNA 2019, non-commercial use (doi 10.1148/ryai.2020190211)"
)
# the first column with a region
_POLYGONS = ("Correct Label", "Majority Label", "ROI", "All Labels", "All Annotations")
_LONGEST_CELL = 2**31 - 1  # the polygons of thirty readers exceed csv's usual 128 KB


@dataclass
class Annotations:
    """The content of the annotation tables, by image.

    Attributes:
        polygons: accepted regions of all tables and lines together, (n, 2) shares of width and height.
        flagged: images that a reader withdrew.
        unfinished: images without an accepted line, but with one in progress.
        unreadable: images with a cell that is not a list of points, and lines that name no image.
    """

    polygons: dict[str, list[np.ndarray]] = field(default_factory=dict)
    flagged: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Renders:
    """Two renders per row, and its polygons."""

    brain: list[Path]
    polygons: list[list[np.ndarray]]
    subdural: tuple[float, float]

    def hu(self, row: int) -> np.ndarray:
        brain, subdural = (gray(path) for path in self.files(row))
        if brain.shape != subdural.shape:
            raise ValueError(f"{self.brain[row].name}: its brain and subdural renders differ in size.")
        return hu_from_windows(brain, subdural, subdural_window=self.subdural)

    def mask(self, row: int) -> np.ndarray:
        return fill(self.polygons[row], gray(self.brain[row]).shape)

    def files(self, row: int) -> tuple[Path, ...]:
        return self.brain[row], _sibling(self.brain[row], SUBDURAL)


def read_renders(
    folder: str | Path,
    *,
    patients: Mapping[str, str] | str | Path | None = None,
    unfinished: bool = False,
    subdural: tuple[float, float] = WINDOWS["subdural"],
) -> Table:
    """Read the table of a folder of renders; pictures are opened later.

    Args:
        folder: holds `renders`; the tables are beside it or in a folder beside it.
        patients: image to patient, as a mapping or a CSV with the columns image and patient, such as the index that
            `rsna` writes. None: no patient is known, and splitting by patient is refused.
        unfinished: also accept polygons that are still In Progress.
        subdural: (level, width) in HU of the subdural renders; `fit_window` measures it.

    Returns:
        One row per image, each a scan of its own: One row per image, each a scan of its own, because the renders do not
            say which slices belong together. Outlined if
        polygons were accepted or no blood is seen. Facts: polygons were accepted or the slice has no blood. Facts:
            "image".

    Raises:
        FileNotFoundError: if there are no renders or no hemorrhage-labels.csv.
        ValueError: if a table has another form.
    """
    folder = Path(folder)
    images_by_name, doubled = _find_renders(folder)
    labels, report = _labels(_only_file(folder, LABELED), images_by_name)
    outlines = read_annotations(_find_files(folder, "[Rr]esults_*.csv"), unfinished=unfinished)
    withdrawn = outlines.flagged | outlines.unfinished | _read_flagged(folder)
    without_subdural = {image for image in images_by_name if not _sibling(images_by_name[image][0], SUBDURAL).is_file()}
    excluded = withdrawn | CORRUPT | without_subdural
    images = sorted(image for image in images_by_name.keys() & labels.keys() if image not in excluded)
    odd = {image for image in images if _contradicts(image, labels, outlines, images_by_name[image][1])}
    unlabeled = images_by_name.keys() - labels.keys() - set(report.inconsistent) - excluded
    report += DataProblems(
        missing=tuple(
            sorted((outlines.polygons.keys() - images_by_name.keys() | without_subdural) - withdrawn - CORRUPT)
        ),
        doubled=tuple(sorted(doubled - set(report.doubled))),
        corrupt=tuple(sorted(CORRUPT & images_by_name.keys())),
        inconsistent=tuple(sorted(odd | unlabeled | outlines.unreadable)),
        excluded=tuple(sorted(withdrawn & (images_by_name.keys() | outlines.polygons.keys()))),
    )
    return _table(images, labels, outlines, images_by_name, _patients(patients), subdural, report)


def _table(
    images: list[str],
    labels: Mapping[str, tuple[bool, ...]],
    annotated: Annotations,
    images_by_name: Mapping[str, tuple[Path, str]],
    patients: Mapping[str, str],
    subdural: tuple[float, float],
    report: DataProblems,
) -> Table:
    """The table of `images`, in order."""
    image_labels = np.array([labels[image] for image in images], bool).reshape(-1, len(LABELS))
    outlines = [[] if image in annotated.unreadable else annotated.polygons.get(image, []) for image in images]
    outlined = np.array([bool(outline) for outline in outlines], bool)
    return Table(
        name="Zeta renders",
        patient=np.array([patients.get(image, "") for image in images], str),
        scan=np.array(images, str),
        slice=np.zeros(len(images), int),
        labels=image_labels,
        outlined=outlined == image_labels[:, ANY],
        pixels=_Renders([images_by_name[image][0] for image in images], outlines, subdural),
        facts={"image": np.array(images, str)},
        report=report,
        attribution=ATTRIBUTION,
    )


def read_render(table: Table, row: int, window: str) -> np.ndarray:
    """(y, x) uint8, one of the four renders of a row, as in its file.

    Raises:
        ValueError: for a window that the set does not have, or a picture that cannot be read.
    """
    if window not in RENDERS:
        raise ValueError(f"There is no render {window!r}; choose from {', '.join(RENDERS)}.")
    return gray(_sibling(table.pixels.files(int(row))[0], window))


def hu_from_windows(
    brain: np.ndarray, subdural: np.ndarray, *, subdural_window: tuple[float, float] = WINDOWS["subdural"]
) -> np.ndarray:
    """Approximate HU from two uint8 renders: 0 to 80 from the brain window, the rest from the subdural window.

    Returns:
        float32 HU, the shape of `brain`; pixels that saturate in both stay at the ends of the subdural window.
    """
    fine = unwindow(brain / np.float32(255), *WINDOWS["brain"])
    coarse = unwindow(subdural / np.float32(255), *subdural_window)
    hu = np.where(brain >= 254, np.maximum(coarse, 80), fine)  # JPEG sometimes turns a white pixel into 254
    return np.where(brain <= 1, np.minimum(coarse, 0), hu).astype(np.float32)


def fit_window(hu: np.ndarray, picture: np.ndarray) -> tuple[float, float]:
    """Level and width of a render, from HU of the same pixels: a straight line through unsaturated pixels.

    Args:
        hu: HU of the slice, from its brain render: `unwindow(read_render / 255, 40, 80)`. Values at 0 or 80 are
            ignored.
        picture: uint8 render, the same shape.

    Raises:
        ValueError: if too few pixels remain, or the picture does not rise with HU, so that it is not a window.
    """
    good = (picture > 4) & (picture < 251) & (hu > 2) & (hu < 78)
    if good.sum() < 100:
        raise ValueError(f"Only {good.sum()} pixels are unsaturated in both; 100 are needed to fit a window.")
    slope, low = np.polyfit(hu[good], picture[good] / 255.0, 1)
    if slope <= 0:
        raise ValueError("The picture does not grow brighter with HU, so it is not a display window.")
    return float((0.5 - low) / slope), float(1 / slope)


def read_annotations(tables: list[Path], *, unfinished: bool = False) -> Annotations:
    """The polygons of all annotation tables: every line of an image adds its regions.

    In each line, the first of Correct Label, Majority Label, ROI, All Labels, All Annotations with a region counts.

    Raises:
        ValueError: if a table has no column Origin.
    """
    result = Annotations()
    for line in chain.from_iterable(_csv(path, "Origin") for path in tables):
        image, state = _image(line["Origin"]), (line.get("Labeling State") or "").strip().lower()
        if not image:
            result.unreadable.add(f"Origin {line['Origin']!r}")
        elif state == "flagged":
            result.flagged.add(image)
        elif state == "in progress" and not unfinished:
            result.unfinished.add(image)
        else:
            _add(result, image, line)
    result.unfinished -= result.polygons.keys()
    return result


def _add(annotated: Annotations, image: str, line: dict[str, str]) -> None:
    try:
        polygons = next(filter(None, (regions(line.get(column)) for column in _POLYGONS)), [])
    except ValueError:
        annotated.unreadable.add(image)
        return
    if polygons:
        annotated.polygons.setdefault(image, []).extend(polygons)


def _image(name: str | None) -> str:
    """ID_63eb1e259 of ID_63eb1e259.jpg, with or without folders before it."""
    match = re.search(r"ID_[0-9A-Za-z]+", name or "")
    return match.group() if match else ""


def _contradicts(image: str, labels: dict, annotated: Annotations, kind: str) -> bool:
    """Whether label, polygon and the picture's folder `kind` disagree."""
    types = [name for name, value in zip(TYPES, labels[image][:ANY], strict=True) if value]
    bleeds = labels[image][ANY]
    contradicts = {"normal": bleeds, "multi": len(types) < 2, **{name: name not in types for name in TYPES}}
    return contradicts.get(kind, False) or (not bleeds and image in annotated.polygons)


def _find_renders(folder: Path) -> tuple[dict[str, tuple[Path, str]], set[str]]:
    """Image to its brain render and type folder, and the images in several folders; the first counts."""
    images_by_name, doubled = {}, set()
    for place in sorted({*_renders(folder)}):
        for path in sorted(place.glob("*.jpg")):
            image = _image(path.stem)
            if image in images_by_name:
                doubled.add(image)
            elif image:
                images_by_name[image] = (path, place.parent.name)
    if not images_by_name:
        raise FileNotFoundError(
            f"{folder} holds no renders. Name the folder that holds renders/epidural/{BRAIN}/ID_*.jpg and so on."
        )
    return images_by_name, doubled


def _renders(folder: Path) -> Iterator[Path]:
    """The brain windows of each type; some copies of the set hold subdural/subdural."""
    for top in (folder, *_folders(folder)):
        yield from (path for depth in ("*", "*/*") for path in top.glob(f"{depth}/{BRAIN}") if path.is_dir())


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _find_files(folder: Path, pattern: str) -> list[Path]:
    """The tables with this name, in the folder or one below."""
    return [path for place in (folder, *_folders(folder)) for path in sorted(place.glob(pattern))]


def _only_file(folder: Path, name: str) -> Path:
    paths = _find_files(folder, name)
    if not paths:
        raise FileNotFoundError(f"{folder} has renders but no {name}; put it beside the folder renders.")
    return paths[0]


def _sibling(brain: Path, window: str) -> Path:
    return brain.parent.parent / window / brain.name


def _read_flagged(folder: Path) -> set[str]:
    """The images of flagged.txt (flagged-cases.txt in some copies), with or without .jpg."""
    lines = (line for path in _find_files(folder, "flagged*.txt") for line in path.read_text("utf-8-sig").splitlines())
    return {image for line in lines if (image := _image(line))}


def _labels(
    path: Path, images_by_name: Mapping[str, tuple[Path, str]]
) -> tuple[dict[str, tuple[bool, ...]], DataProblems]:
    """Image to labels, for the rendered images; the others are RSNA slices without renders."""
    labels_by_image: dict[str, tuple[bool, ...]] = {}
    doubled: set[str] = set()
    odd: set[str] = set()
    for line in _csv(path, "Image"):
        if (image := _image(line["Image"])) not in images_by_name:
            continue
        try:
            labels = tuple(bool(int(line[name])) for name in LABELS)
        except (KeyError, TypeError, ValueError) as problem:
            raise ValueError(f"{path.name}: the line of {image} is not 0 or 1 for each label ({problem}).") from problem
        doubled |= {image} if labels_by_image.get(image) == labels else set()
        odd |= {image} if any(labels[:ANY]) != labels[ANY] or labels_by_image.get(image, labels) != labels else set()
        labels_by_image[image] = labels
    report = DataProblems(doubled=tuple(sorted(doubled)), inconsistent=tuple(sorted(odd)))
    return {image: labels for image, labels in labels_by_image.items() if image not in odd}, report


def _patients(patients: Mapping[str, str] | str | Path | None) -> Mapping[str, str]:
    if not isinstance(patients, str | Path):
        return patients or {}
    return {_image(line["image"]): line.get("patient") or "" for line in _csv(Path(patients), "image")}


def _csv(path: Path, column: str) -> Iterator[dict[str, str]]:
    """The lines of a table that has `column`."""
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        if column not in (table.fieldnames or ()):
            raise ValueError(f"{path.name} has no column {column}; this is not the published form.")
        yield from table
