"""Judged scans to figures, each with its interval and its number of patients. Patients are resampled, not slices."""

from collections.abc import Callable, Sequence

import numpy as np

from ich_lib.evaluation.judged import FIELD_OF_VIEW_MM, THICKNESS_MM, TOLERANCE_MM, JudgedScan, has_blood
from ich_lib.labels import ANY, LABELS
from ich_lib.measures import metrics
from ich_lib.measures.bootstrap import Estimate, grouped_bootstrap
from ich_lib.measures.height import height_scores
from ich_lib.measures.report import (
    Calls,
    CleanScans,
    Flattering,
    Line,
    Masks,
    OfGroup,
    OfType,
    Volume,
    VolumeAgreement,
    WorstScan,
)

ROUNDS = 1000  # resamples of each interval
SIZES_ML = ((0, 2), (2, 10), (10, 30), (30, float("inf")))
AGES = ((0, 18), (18, 45), (45, 65), (65, 200))
_ROC_POINTS = 200  # on the page's curve
VOLUME_METHODS: dict[
    str, Callable[[JudgedScan], float | None]
] = {  # of volume in mL; each is compared with the voxels of the truth
    "mask": lambda scan: scan.mask_ml,
    "soft": lambda scan: scan.soft_ml,
    "abc2": lambda scan: scan.abc2_ml,
    "abc2_of_truth": lambda scan: scan.true_abc2_ml,  # the error of the formula itself
}
_ASSUMED_MM = f"{THICKNESS_MM} between slices and a field of view of {FIELD_OF_VIEW_MM:.0f}"
_LEAST_PROBABILITY = 1e-6  # probabilities keep this distance from 0 and 1 in the log loss

Statistic = Callable[[list[JudgedScan]], float]


def estimate(scans: Sequence[JudgedScan], statistic: Statistic, *, rounds: int = ROUNDS) -> Estimate:
    """A statistic of scans with its interval over patients; all scans of a patient stay together."""
    return grouped_bootstrap(scans, lambda scan: scan.patient, statistic, rounds=rounds)


def headline_metrics(scans: Sequence[JudgedScan]) -> dict[str, Estimate]:
    """The most important figures.

    `dice_per_subject` is the mean over bleeding scans of their mean Dice over slices with blood (Hssayeni et al. 2020).
    `slice_auc_any` pools the slices; `scan_auc_any` takes one score per scan. `volume_mae_ml` is the mean absolute
    error over bleeding scans. `ece` is the calibration error of the slices' scores for `any`. Resampling adds noise to
    every bin, so the interval of `ece` tends upward and may start above its value.
    """
    outlined = [scan for scan in scans if scan.subject_dice is not None]
    return {
        "dice_per_subject": estimate(outlined, lambda sample: float(np.mean([scan.subject_dice for scan in sample]))),
        "slice_auc_any": estimate(scans, _of_slices(metrics.auc)),
        "scan_auc_any": estimate(scans, _of_scans(metrics.auc)),
        "volume_mae_ml": estimate(
            outlined, lambda sample: float(np.mean([abs(scan.mask_ml - scan.true_ml) for scan in sample]))
        ),
        "ece": estimate(scans, _of_slices(metrics.calibration_error)),
    }


def mask_metrics(scans: Sequence[JudgedScan]) -> Masks | None:
    """Overlap and distance of the masks, under every definition published for this data; None without masks."""
    segmented = [scan for scan in scans if scan.has_mask]
    outlined = [scan for scan in segmented if scan.subject_dice is not None]
    if not outlined:
        return None
    with_distance = [scan for scan in outlined if scan.hd95_mm is not None]
    finite = [
        scan for scan in outlined if scan.hd95_mm is not None and np.isfinite(scan.hd95_mm)
    ]  # the others are counted below

    def pooled(name: str, of_slices: str) -> Statistic:
        return lambda sample: float(
            np.mean(np.concatenate([getattr(scan, name)[getattr(scan, of_slices)] for scan in sample]))
        )

    return Masks(
        dice_per_bleeding_slice=estimate(outlined, pooled("slice_dice", "bleeding")),
        dice_all_slices=estimate(segmented, pooled("slice_dice", "outlined")),
        dice_per_scan=estimate(outlined, lambda sample: float(np.mean([scan.scan_dice for scan in sample]))),
        iou_per_bleeding_slice=estimate(outlined, pooled("slice_iou", "bleeding")),
        hd95_mm_median=estimate(finite, lambda sample: float(np.median([scan.hd95_mm for scan in sample]))),
        surface_dice=estimate(with_distance, lambda sample: float(np.mean([scan.surface_dice for scan in sample]))),
        hd95_infinite=len(with_distance) - len(finite),
        surface_tolerance_mm=TOLERANCE_MM,
        assumed_voxel_mm=_ASSUMED_MM if not all(scan.spacing_known for scan in scans) else None,
        blob_dice=_blob_dice(outlined),
        as_published=_as_published(segmented),
        of_empty_masks=_as_published([scan.without_mask() for scan in segmented]),
    )


def _as_published(scans: Sequence[JudgedScan]) -> Flattering:
    """Figures that published systems reported for masks, by their own definitions."""
    return Flattering(
        pixel_accuracy=estimate(scans, lambda sample: _pooled(sample, lambda scan: scan.pixel_accuracy)),
        iou_with_background=estimate(
            scans, lambda sample: _pooled(sample, lambda scan: (scan.slice_iou + scan.background_iou) / 2)
        ),
        dice_half_empty=estimate(scans, _dice_half_empty),
    )


def _pooled(scans: Sequence[JudgedScan], values: Callable[[JudgedScan], np.ndarray]) -> float:
    """Mean over all outlined slices."""
    return float(np.mean(np.concatenate([values(scan)[scan.outlined] for scan in scans])))


def _dice_half_empty(scans: Sequence[JudgedScan]) -> float:
    """Mean Dice over equal numbers of clean slices and slices with blood; a clean slice without a mask counts 1."""
    dice, bleeding, outlined = (
        np.concatenate([getattr(scan, name) for scan in scans]) for name in ("slice_dice", "bleeding", "outlined")
    )
    clean = outlined & ~bleeding
    return float((dice[bleeding].mean() + dice[clean].mean()) / 2) if bleeding.any() and clean.any() else float("nan")


def _blob_dice(outlined: Sequence[JudgedScan]) -> Estimate | None:
    """Dice per subject of the largest bright blob."""
    if any(scan.blob_dice is None for scan in outlined):
        return None
    return estimate(outlined, lambda sample: float(np.mean([scan.blob_dice for scan in sample])))


def spacing_note(scans: Sequence[JudgedScan]) -> str:
    """The origin of mm and mL, in words."""
    n_known = sum(scan.spacing_known for scan in scans)
    if n_known == len(scans):
        return "from the files"
    sizes_text = f"from the files of {n_known} of {len(scans)} scans; for the others " if n_known else ""
    return f"{sizes_text}assumed, {_ASSUMED_MM} mm"


def volume_metrics(scans: Sequence[JudgedScan]) -> Volume | None:
    """mL of bleeding scans by each of WAYS, compared with the voxels of the truth: mean absolute error, bias and limits
    of agreement (Bland and Altman 1986), and each pair (true, measured). None with fewer than two such scans."""
    outlined = [scan for scan in scans if scan.subject_dice is not None]
    methods = {name: agreement for name, of in VOLUME_METHODS.items() if (agreement := _agreement(outlined, of))}
    return Volume(methods) if methods else None


def _agreement(outlined: list[JudgedScan], of: Callable[[JudgedScan], float | None]) -> VolumeAgreement | None:
    """One method of measuring; None if it has fewer than two scans."""
    pairs = [(scan, ml) for scan in outlined if (ml := of(scan)) is not None]
    if len(pairs) < 2:
        return None
    measured_scans, measured_ml = [scan for scan, _ in pairs], [ml for _, ml in pairs]
    errors = lambda sample: np.array([of(scan) - scan.true_ml for scan in sample])  # noqa: E731
    agreement = metrics.bland_altman([scan.true_ml for scan in measured_scans], measured_ml)
    return VolumeAgreement(
        mae_ml=estimate(measured_scans, lambda sample: float(np.abs(errors(sample)).mean())),
        bias_ml=estimate(measured_scans, lambda sample: float(errors(sample).mean())),
        limits_ml=(agreement.low_ml, agreement.high_ml),
        pairs_ml=tuple((scan.true_ml, ml) for scan, ml in pairs),
    )


def call_metrics(scans: Sequence[JudgedScan], *, of: str, threshold: float, prevalence: float) -> Calls:
    """How well slices or scans are classified as bleeding.

    Args:
        scans: the scans.
        of: "slices" or "scans".
        threshold: called bleeding from this score for `any`; chosen before, never tuned here.
        prevalence: share of bleeding scans in the intended hospital, for PPV and NPV.

    Returns:
        AUC, average precision, log loss, ECE, sensitivity, specificity, PPV and NPV as figures, the counts at the
        threshold, the ROC curve and the reliability table; for slices also the AUC of their height.
    """
    pooled, pairs = {"slices": (_of_slices, _slices), "scans": (_of_scans, _scans)}[of]
    at_threshold = lambda rate: pooled(lambda truth, score: rate(truth, score >= threshold))  # noqa: E731
    at_prevalence = lambda rate: pooled(  # noqa: E731
        lambda truth, score: _rate_at_prevalence(rate, truth, score >= threshold, prevalence)
    )
    truth, score = pairs(scans)
    return Calls(
        n=len(truth),
        bleeding=int(truth.sum()),
        threshold=threshold,
        prevalence=prevalence,
        auc=estimate(scans, pooled(metrics.auc)),
        average_precision=estimate(scans, pooled(metrics.average_precision)),
        log_loss=estimate(
            scans, pooled(lambda t, s: metrics.log_loss(t, np.clip(s, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)))
        ),
        ece=estimate(scans, pooled(metrics.calibration_error)),
        sensitivity=estimate(scans, at_threshold(metrics.sensitivity)),
        specificity=estimate(scans, at_threshold(metrics.specificity)),
        ppv=estimate(scans, at_prevalence(metrics.ppv)),
        npv=estimate(scans, at_prevalence(metrics.npv)),
        counts=metrics.count(truth, score >= threshold),
        roc=_roc(truth, score),
        reliability=tuple(metrics.reliability(truth, score)),
        height_auc=height_auc(scans) if of == "slices" else None,
        blob_auc=_blob_auc(scans, of),
    )


def height_auc(scans: Sequence[JudgedScan], label: int = ANY) -> Estimate | None:
    """Slice AUC of the height of a slice only, learned from the other patients; None with one patient."""
    patients = [scan.patient for scan in scans]
    if len(set(patients)) < 2:
        return None
    labels = [scan.labels[:, label] for scan in scans]
    scores = height_scores([scan.heights for scan in scans], labels, patients)
    pooled = lambda sample: metrics.auc(*(np.concatenate(part) for part in list(zip(*sample, strict=True))[1:]))  # noqa: E731
    scans_by_height = list(zip(patients, labels, scores, strict=True))
    return grouped_bootstrap(scans_by_height, lambda scan: scan[0], pooled, rounds=ROUNDS)


def _blob_auc(scans: Sequence[JudgedScan], of: str) -> Estimate | None:
    """AUC of the area of the largest bright blob; the value of a scan is its two neighboring slices with the most."""
    areas = [scan.blob_px for scan in scans if scan.blob_px is not None]
    if len(areas) < len(scans):
        return None
    truths = [scan.labels[:, ANY] for scan in scans]
    if of == "scans":
        areas = [np.array([_pair_peak(area)]) for area in areas]
        truths = [np.array([truth.any()]) for truth in truths]
    pooled = lambda sample: metrics.auc(*(np.concatenate(part) for part in list(zip(*sample, strict=True))[1:]))  # noqa: E731
    labeled_scans = list(zip([scan.patient for scan in scans], truths, areas, strict=True))
    return grouped_bootstrap(labeled_scans, lambda scan: scan[0], pooled, rounds=ROUNDS)


def _pair_peak(area: np.ndarray) -> float:
    """The largest sum of two neighbors."""
    return float((area[1:] + area[:-1]).max()) if len(area) > 1 else float(area[0])


def type_metrics(scans: Sequence[JudgedScan], known_labels: Sequence[str]) -> dict[str, OfType]:
    """For each label the patients and slices that show it, both AUCs, and the Dice of slices that show it."""
    results = {}
    for label in known_labels:
        k = LABELS.index(label)
        with_label = [scan for scan in scans if scan.labels[:, k].any()]
        outlined = [scan for scan in with_label if scan.has_mask and (scan.labels[:, k] & scan.bleeding).any()]
        overlap = lambda sample, k=k: float(  # noqa: E731
            np.mean([scan.slice_dice[scan.labels[:, k] & scan.bleeding].mean() for scan in sample])
        )
        results[label] = OfType(
            patients=len({scan.patient for scan in with_label}),
            slices=int(sum(scan.labels[:, k].sum() for scan in with_label)),
            slice_auc=estimate(scans, _of_slices(metrics.auc, k)),
            scan_auc=estimate(scans, _of_scans(metrics.auc, k)),
            dice=estimate(outlined, overlap),
            height_auc=height_auc(scans, k),
        )
    return results


def size_name(low: float, high: float) -> str:
    """The words for a group of bleeds from `low` to below `high` mL."""
    return f"{low} to {high} mL" if high < np.inf else f"{low} mL and more"


def age_name(low: int, high: int) -> str:
    """The words for a group of patients from `low` to below `high` years."""
    return f"age {low} to {high - 1}" if high < AGES[-1][1] else f"age {low} and more"


def metrics_by_size(scans: Sequence[JudgedScan]) -> dict[str, OfGroup]:
    """Bleeding scans by the volume of their blood: Dice, and how many were detected."""
    groups = {}
    for low, high in SIZES_ML:
        groups[size_name(low, high)] = [
            scan for scan in scans if scan.subject_dice is not None and low <= scan.true_ml < high
        ]
    return {name: _group(members) for name, members in groups.items() if members}


def metrics_by_group(scans: Sequence[JudgedScan]) -> dict[str, OfGroup]:
    """The same by age, sex and fracture, if the set has them."""
    members_by_group = {}
    for low, high in AGES:
        members_by_group[age_name(low, high)] = [scan for scan in scans if low <= scan.facts.get("age", -1) < high]
    for sex in sorted({scan.facts["sex"] for scan in scans if "sex" in scan.facts}):
        members_by_group[f"sex {sex.lower()}"] = [scan for scan in scans if scan.facts.get("sex") == sex]
    for fracture in (False, True):
        name = "fracture" if fracture else "no fracture"
        members_by_group[name] = [scan for scan in scans if scan.facts.get("fracture") is fracture]
    return {name: _group(members) for name, members in members_by_group.items() if members}


def clean_scan_metrics(scans: Sequence[JudgedScan], *, threshold: float) -> CleanScans | None:
    """Results for scans without blood: how many are called, on how many slices, and how much is marked; None without
    such scans."""
    clean = [scan for scan in scans if not has_blood(scan)]
    if not clean:
        return None
    share = lambda sample: float(np.mean([scan.scan_scores[ANY] >= threshold for scan in sample]))  # noqa: E731
    marked_ml = [float(scan.mask_px @ scan.slice_ml) for scan in clean if scan.has_mask]
    soft = [ml for scan in clean if (ml := scan.soft_ml) is not None]
    return CleanScans(
        n=len(clean),
        share_called=estimate(clean, share),
        slices_called=int(sum((scan.scores[:, ANY] >= threshold).sum() for scan in clean)),
        slices=int(sum(len(scan.scores) for scan in clean)),
        median_ml_marked=float(np.median(marked_ml)) if marked_ml else None,
        most_ml_marked=float(np.max(marked_ml)) if marked_ml else None,
        median_soft_ml=float(np.median(soft)) if soft else None,
    )


def worst_scans(scans: Sequence[JudgedScan], *, threshold: float, count: int = 10) -> list[WorstScan]:
    """The cases to review first: missed scans, then false alarms, then the lowest Dice."""
    reasons = []
    for scan in scans:
        score, bleeding = float(scan.scan_scores[ANY]), has_blood(scan)
        dice = scan.subject_dice
        if bleeding and score < threshold:
            reasons.append((0, score, scan, "bleeds, but was not called"))
        elif not bleeding and score >= threshold:
            reasons.append((1, -score, scan, "does not bleed, but was called"))
        elif dice is not None and dice < 0.5:
            reasons.append((2, dice, scan, "called, but the mask is mostly in another place"))
    first_reasons = sorted(reasons, key=lambda reason: reason[:2])[:count]
    return [WorstScan(scan_row(scan), reason) for _, _, scan, reason in first_reasons]


def scan_row(scan: JudgedScan) -> Line:
    """One scan as a line of the report. Numbers keep all their digits, because programs make decisions with them."""
    labels = [label for label, slices in zip(LABELS[:ANY], scan.labels.T, strict=False) if slices.any()]
    return Line(
        patient=scan.patient,
        scan=scan.scan,
        fold=scan.fold,
        types=tuple(labels),
        dice=scan.subject_dice,
        scan_any=float(scan.scan_scores[ANY]),
        slices=len(scan.labels),
        slices_with_blood=int(scan.labels[:, ANY].sum()),
        true_ml=scan.true_ml,
        mask_ml=scan.mask_ml if scan.has_mask else None,
        facts=scan.facts,
    )


def _group(scans: list[JudgedScan]) -> OfGroup:
    outlined = [scan for scan in scans if scan.subject_dice is not None]
    return OfGroup(
        patients=len({scan.patient for scan in scans}),
        bleeding=sum(map(has_blood, scans)),
        dice_per_subject=estimate(outlined, lambda subset: float(np.mean([o.subject_dice for o in subset]))),
        slice_auc_any=estimate(scans, _of_slices(metrics.auc)),
        scan_auc_any=estimate(scans, _of_scans(metrics.auc)),
        median_scan_score=float(np.median([scan.scan_scores[ANY] for scan in scans])),
    )


def _of_slices(rate: Callable, label: int = ANY) -> Statistic:
    """A rate of (truth, score) over the slices of all scans."""
    return lambda sample: rate(*_slices(sample, label))


def _of_scans(rate: Callable, label: int = ANY) -> Statistic:
    """The same over whole scans."""
    return lambda sample: rate(*_scans(sample, label))


def _slices(scans: Sequence[JudgedScan], label: int = ANY) -> tuple[np.ndarray, np.ndarray]:
    """(n,) truth and score of every slice."""
    return (
        np.concatenate([scan.labels[:, label] for scan in scans]),
        np.concatenate([scan.scores[:, label] for scan in scans]),
    )


def _scans(scans: Sequence[JudgedScan], label: int = ANY) -> tuple[np.ndarray, np.ndarray]:
    """(n,) truth and score of every scan."""
    return np.array([scan.labels[:, label].any() for scan in scans]), np.array(
        [scan.scan_scores[label] for scan in scans]
    )


def _rate_at_prevalence(rate: Callable, truth: np.ndarray, call: np.ndarray, prevalence: float) -> float:
    """PPV or NPV at a prevalence; NaN where one class is missing."""
    sensitivity, specificity = metrics.sensitivity(truth, call), metrics.specificity(truth, call)
    if np.isnan(sensitivity) or np.isnan(specificity):
        return float("nan")
    return rate(sensitivity, specificity, prevalence)


def _roc(truth: np.ndarray, score: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Points (1 - specificity, sensitivity) of the curve, thinned for a page."""
    from sklearn.metrics import roc_curve

    if truth.all() or not truth.any():
        return ()
    false, true, _ = roc_curve(truth, score)
    keep = np.unique(np.linspace(0, len(false) - 1, _ROC_POINTS).astype(int))
    return tuple((float(false[k]), float(true[k])) for k in keep)
