"""One evaluation as data: the result of `ich_lib.evaluation.evaluate`. `Report.as_json` is report.json, key for key."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import NoneType
from typing import Any, TypedDict, get_args, get_origin, get_type_hints

import numpy as np

from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.metrics import Bin, Counts

ASSUMED = "assumed"  # the spacing of a report of an older version, which does not state it


class Facts(TypedDict, total=False):
    """Facts about the patient of a scan: age in years, sex, and whether the skull is fractured."""

    age: float
    sex: str
    fracture: bool


@dataclass(frozen=True)
class Weights:
    """An evaluated model: its name, and the SHA-256 of its file."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Line:
    """One scan of an evaluation.

    Attributes:
        patient, scan: the patient and the acquisition.
        fold: the fold in which it was held out; None without folds.
        types: kinds of its bleeds, if the labels have them.
        dice: mean Dice of its slices with blood; None for a scan without, and without a mask.
        scan_any: score of the scan for any bleeding.
        slices, slices_with_blood: their numbers.
        true_ml, mask_ml: mL of the outlined blood, and of the mask; None if there is none.
        facts: age, sex, fracture, if the set has them. A report of an older version has none.
        answers: (z,) bool, which slices bleed, and (z,) their scores; None without a slices.csv. They are not part of
            report.json.
    """

    patient: str
    scan: str
    fold: int | None
    types: tuple[str, ...]
    dice: float | None
    scan_any: float
    slices: int
    slices_with_blood: int
    true_ml: float
    mask_ml: float | None
    facts: Facts = field(default_factory=Facts)
    answers: tuple[np.ndarray, np.ndarray] | None = field(
        default=None, compare=False, repr=False, metadata={"json": False}
    )

    @property
    def bleeds(self) -> bool:
        """Whether any slice of the scan is labeled as bleeding."""
        return self.slices_with_blood > 0


@dataclass(frozen=True)
class WorstScan:
    """A scan to review first, and its error."""

    line: Line
    error: str


@dataclass(frozen=True)
class Flattering:
    """Figures that published systems reported for their masks. They are high for any mask, even for empty ones.

    Attributes:
        pixel_accuracy: share of correct pixels, mean over outlined slices (systems 000, 001, 003).
        iou_with_background: mean of the IoU of blood and of background, over all outlined slices (system 002).
        dice_half_empty: mean Dice if half of the slices hold no blood and count 1 without a mask (system 002).
    """

    pixel_accuracy: Estimate
    iou_with_background: Estimate
    dice_half_empty: Estimate


@dataclass(frozen=True)
class Masks:
    """Overlap and distance of the masks; each definition has the name under which it was published.

    Attributes:
        dice_per_bleeding_slice: mean Dice over slices with blood.
        dice_all_slices: mean Dice over all outlined slices; two empty masks count 1.
        dice_per_scan: mean over bleeding scans of the Dice of the scan as one volume.
        iou_per_bleeding_slice: mean intersection over union over slices with blood.
        hd95_mm_median: over bleeding scans with a mask, mm.
        surface_dice: mean over bleeding scans, within `surface_tolerance_mm`.
        hd95_infinite: bleeding scans without any mask.
        assumed_voxel_mm: in words, if the files do not state the size of a voxel.
        blob_dice: `dice_per_subject` of the largest bright blob (`evaluation.bright_blob`), a baseline for the mask;
            None in a report of an older version.
        as_published, of_empty_masks: figures that are too favorable, of these masks and of empty masks; None in a
            report of an older version.
    """

    dice_per_bleeding_slice: Estimate
    dice_all_slices: Estimate
    dice_per_scan: Estimate
    iou_per_bleeding_slice: Estimate
    hd95_mm_median: Estimate
    surface_dice: Estimate
    hd95_infinite: int
    surface_tolerance_mm: float
    assumed_voxel_mm: str | None
    blob_dice: Estimate | None = None
    as_published: Flattering | None = None
    of_empty_masks: Flattering | None = None


@dataclass(frozen=True)
class VolumeAgreement:
    """One method to measure mL, compared with the voxels of the truth.

    Attributes:
        mae_ml, bias_ml: mean absolute and mean error over bleeding scans, mL.
        limits_ml: limits of agreement (Bland and Altman 1986), low and high.
        pairs_ml: true and measured mL of each scan.
    """

    mae_ml: Estimate
    bias_ml: Estimate
    limits_ml: tuple[float, float]
    pairs_ml: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Volume:
    """mL of bleeding scans by method: "mask", and "soft", "abc2", "abc2_of_truth" if available."""

    methods: Mapping[str, VolumeAgreement]

    @property
    def mask(self) -> VolumeAgreement:
        """By the voxels of the mask."""
        return self.methods["mask"]

    def as_json(self) -> dict:
        """Plain values; those of the mask are also at the top level."""
        values = {name: _plain(method) for name, method in self.methods.items()}
        return {key: values["mask"][key] for key in ("bias_ml", "limits_ml", "pairs_ml")} | {"ways": values}


@dataclass(frozen=True)
class Calls:
    """How well slices, or scans, are classified as bleeding.

    Attributes:
        n, bleeding: all slices or scans, and those that bleed.
        threshold: called bleeding from this score.
        prevalence: share of bleeding scans for `ppv` and `npv`.
        counts: at the threshold.
        roc: (1 - specificity, sensitivity), thinned for a page; empty if one class is missing.
        reliability: predicted probabilities and observed frequencies.
        height_auc: AUC of slices by their height in the head only (`measures.height`), a baseline for `auc`; None for
            scans, for one patient, and in a report of an older version.
        blob_auc: AUC by the area of the largest bright blob (`evaluation.bright_blob`), a baseline for `auc`; None in a
            report of an older version.
    """

    n: int
    bleeding: int
    threshold: float
    prevalence: float
    auc: Estimate
    average_precision: Estimate
    log_loss: Estimate
    ece: Estimate
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    counts: Counts
    roc: tuple[tuple[float, float], ...]
    reliability: tuple[Bin, ...]
    height_auc: Estimate | None = None
    blob_auc: Estimate | None = None


@dataclass(frozen=True)
class Accuracy:
    """Accuracy as published systems reported it, and the accuracy of the answer "no bleeding anywhere".

    Attributes:
        slices: share of slices with a correct decision.
        cells: the same over all slices and the labels of the data set; each is a cell of the table (system 004).
        slices_all_clean, cells_all_clean: the same if nothing is ever called.
        types: share of slices with exactly one type of bleeding whose highest type score is of that type.
        types_most_common: the same for the answer that is always the most common type. Both are NaN without types, and
            None in a report of an older version.
    """

    slices: Estimate
    cells: Estimate
    slices_all_clean: Estimate
    cells_all_clean: Estimate
    types: Estimate | None = None
    types_most_common: Estimate | None = None


@dataclass(frozen=True)
class OfType:
    """A label: the number of patients and slices that show it, both AUCs, the Dice of slices that show it, and the
    slice AUC of height only (None as in `Calls`)."""

    patients: int
    slices: int
    slice_auc: Estimate
    scan_auc: Estimate
    dice: Estimate
    height_auc: Estimate | None = None


@dataclass(frozen=True)
class OfGroup:
    """Scans of one size, age or sex: patients, scans that bleed, and figures as in the headline."""

    patients: int
    bleeding: int
    dice_per_subject: Estimate
    slice_auc_any: Estimate
    scan_auc_any: Estimate
    median_scan_score: float


@dataclass(frozen=True)
class Abstention:
    """The effect of a rule that answers only if it is sure.

    Attributes:
        band: a scan whose score is between these two gets no answer.
        scans, answered: all scans, and those with an answer.
        wrong, wrong_answered: wrong decisions among all, and among the answers.
        missed_answered: answers that miss a bleed.
        coverage: share of scans that get an answer.
        error_answered, error_all: share of wrong calls.
        area: under the curve of error against coverage.
        least_area: the area if the same number of errors all came last.
        curve: (coverage, error), the surest scan first.
    """

    band: tuple[float, float]
    scans: int
    answered: int
    wrong: int
    wrong_answered: int
    missed_answered: int
    coverage: Estimate
    error_answered: Estimate
    error_all: Estimate
    area: Estimate
    least_area: float
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class CleanScans:
    """Results for scans without blood.

    Attributes:
        n: number of these scans.
        share_called: share of them that is called bleeding.
        slices_called, slices: called slices, and all slices.
        median_ml_marked, most_ml_marked: mL of the masks; None without masks.
        median_soft_ml: mL of the sum of probabilities; None if there are none, and in an older version.
    """

    n: int
    share_called: Estimate
    slices_called: int
    slices: int
    median_ml_marked: float | None
    most_ml_marked: float | None
    median_soft_ml: float | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Models evaluated on scans outside their training set.

    Attributes:
        data: name of the data set.
        patients: the evaluated patients.
        scans: their number.
        threshold: a voxel is marked from this probability; None if no model draws masks.
        score_threshold: a slice or scan is called bleeding from this score for any bleeding.
        calibrated: the scans that the scores were calibrated on, in words.
        dice_per_subject, slice_auc_any, scan_auc_any, volume_mae_ml, ece: the headline; see
            `ich_lib.evaluation.figures.headline_metrics`.
        masks: None if no bleeding scan got a mask.
        spacing: the origin of mm and mL, in words.
        volume: None with fewer than two bleeding scans.
        slices, whole_scans: how well they are classified.
        types: figures of each label.
        accuracy: of slices and cells, as published; None in a report of an older version.
        lesion_size, groups: by the volume of the blood, and by age, sex, fracture.
        abstention: None in a report of an older version.
        clean_scans: None if every scan bleeds.
        worst: the scans to review first.
        per_patient: every scan.
        notice: that this is not a medical device.
        models: the evaluated models.
        folds: the held-out fold, None for other data; for a cross-validation all its folds.
        leaky: kinds of leaky splits in the models' training; empty if no patient is on both sides.
        before_calibration: the figures before calibration on the other folds; None without calibration.
        calibration: weights fitted on all scans of a cross-validation (`Calibration.as_json`); None without.
    """

    data: str
    patients: tuple[str, ...]
    scans: int
    threshold: float | None
    score_threshold: float
    calibrated: str
    dice_per_subject: Estimate
    slice_auc_any: Estimate
    scan_auc_any: Estimate
    volume_mae_ml: Estimate
    ece: Estimate
    masks: Masks | None
    spacing: str = ASSUMED
    volume: Volume | None
    slices: Calls
    whole_scans: Calls
    types: Mapping[str, OfType]
    accuracy: Accuracy | None = None
    lesion_size: Mapping[str, OfGroup]
    groups: Mapping[str, OfGroup]
    abstention: Abstention | None = None
    clean_scans: CleanScans | None
    worst: tuple[WorstScan, ...]
    per_patient: tuple[Line, ...]
    notice: str
    models: tuple[Weights, ...]
    folds: int | tuple[int | None, ...] | None
    leaky: tuple[str, ...] = ()
    before_calibration: Mapping[str, Estimate] | None = None
    calibration: dict[str, list[list[float]]] | None = None

    @property
    def headline(self) -> dict[str, Estimate]:
        """The five most important figures."""
        return figures_of(self)

    def as_json(self) -> dict:
        """Plain values, as in report.json; null if a figure is not defined, because JSON has no NaN."""
        values = {part.name: _plain(getattr(self, part.name)) for part in fields(self)}
        values |= {key: values[key] or {} for key in ("masks", "clean_scans")}
        values["volume"] = self.volume.as_json() if self.volume else {}
        values["worst"] = [scan["line"] | {"what": scan["error"]} for scan in values["worst"]]
        optional = ("leaky", "before_calibration", "calibration", "abstention", "accuracy")
        return {key: value for key, value in values.items() if value or key not in optional}

    @classmethod
    def from_json(cls, values: dict) -> "Report":
        """The reverse of `as_json`.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: if the values are not a report.
        """
        parts = {**values, "volume": _volume(values)}
        parts |= {key: values[key] or None for key in ("masks", "clean_scans")}
        parts["worst"] = [{"line": scan, "error": scan["what"]} for scan in values["worst"]]
        return _typed(cls, parts)


def figures_of(part: Report | Masks | Calls) -> dict[str, Estimate]:
    """The figures of a part of a report by their names, in its order."""
    values = {member.name: getattr(part, member.name) for member in fields(part)}
    return {name: value for name, value in values.items() if isinstance(value, Estimate)}


def _volume(values: dict) -> dict | None:
    """mL of a report. An older version has only the mask, with its mean absolute error in the headline."""
    volume = values["volume"]
    methods = volume.get("ways") or {"mask": {**volume, "mae_ml": values["volume_mae_ml"]}}
    return {"methods": methods} if volume else None


def _plain(value: Any) -> Any:
    """Dataclasses as dicts in the order of their fields, tuples as lists, NaN as None."""
    if is_dataclass(value):
        parts = [part.name for part in fields(value) if part.metadata.get("json", True)]
        return {name: _plain(getattr(value, name)) for name in parts}
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if value != value else value


def _typed(kind: Any, value: Any) -> Any:
    """The reverse of `_plain`: plain values in the types of their fields. Unknown keys are left out."""
    arguments = get_args(kind)
    if NoneType in arguments:
        fits = [part_kind for part_kind in arguments if (get_origin(part_kind) is tuple) == isinstance(value, list)]
        return None if value is None else _typed(fits[0], value)
    if isinstance(kind, type) and is_dataclass(kind):
        types = get_type_hints(kind)
        return kind(**{name: _typed(types[name], value[name]) for name in types if name in value})
    if get_origin(kind) is Mapping:
        return {name: _typed(arguments[1], part) for name, part in value.items()}
    if get_origin(kind) is tuple:
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_typed(part_kind, part) for part_kind, part in zip(kinds, value, strict=True))
    return float("nan") if kind is float and value is None else value
