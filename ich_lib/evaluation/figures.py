"""Judged scans to figures, each with its interval and its number of patients. Patients are resampled, never slices."""

from collections.abc import Callable, Sequence

import numpy as np

from ich_lib.evaluation.judged import FIELD_OF_VIEW_MM, THICKNESS_MM, TOLERANCE_MM, Judged, bleeds
from ich_lib.labels import ANY, LABELS
from ich_lib.measures import metrics
from ich_lib.measures.report import Calls, CleanScans, Line, Masks, OfGroup, OfType, Volume, Way, Worst
from ich_lib.measures.statistics import Figure, grouped_bootstrap

ROUNDS = 1000  # resamples of each interval
SIZES_ML = ((0, 2), (2, 10), (10, 30), (30, float("inf")))
AGES = ((0, 18), (18, 45), (45, 65), (65, 200))
_ROC_POINTS = 200  # on the page's curve
WAYS: dict[str, Callable[[Judged], float | None]] = {  # of measuring mL; each is held against the voxels of the truth
    "mask": lambda one: one.mask_ml,
    "soft": lambda one: one.soft_ml,
    "abc2": lambda one: one.abc2_ml,
    "abc2_of_truth": lambda one: one.true_abc2_ml,  # what the formula alone makes wrong
}
_ASSUMED_MM = f"{THICKNESS_MM} between slices and a field of view of {FIELD_OF_VIEW_MM:.0f}"
_LOWEST = 1e-6  # probabilities are kept this far from 0 and 1 in the log loss

Statistic = Callable[[list[Judged]], float]


def figure(judged: Sequence[Judged], statistic: Statistic, *, rounds: int = ROUNDS) -> Figure:
    """A statistic of scans with its interval over patients, all scans of a patient going together."""
    return grouped_bootstrap(judged, lambda one: one.patient, statistic, rounds=rounds)


def headline(judged: Sequence[Judged]) -> dict[str, Figure]:
    """The figures others look for first.

    `dice_per_subject` is the mean over bleeding scans of their mean Dice over slices with blood (Hssayeni et al. 2020);
    `slice_auc_any` pools the slices, `scan_auc_any` takes one score a scan; `volume_mae_ml` is the mean absolute error
    over bleeding scans; `ece` the calibration error of the slices' scores for `any`. Resampling adds noise to every
    bin, so the interval of `ece` leans upward and may begin above its value.
    """
    outlined = [one for one in judged if one.subject_dice is not None]
    return {
        "dice_per_subject": figure(outlined, lambda some: float(np.mean([one.subject_dice for one in some]))),
        "slice_auc_any": figure(judged, _of_slices(metrics.auc)),
        "scan_auc_any": figure(judged, _of_scans(metrics.auc)),
        "volume_mae_ml": figure(
            outlined, lambda some: float(np.mean([abs(one.mask_ml - one.true_ml) for one in some]))
        ),
        "ece": figure(judged, _of_slices(metrics.calibration_error)),
    }


def masks(judged: Sequence[Judged]) -> Masks | None:
    """Overlap and distance of the masks, under every definition that was published for this data; None without any."""
    drawn = [one for one in judged if one.segmented]
    outlined = [one for one in drawn if one.subject_dice is not None]
    if not outlined:
        return None
    measured = [one for one in outlined if one.hd95_mm is not None]
    finite = [
        one for one in outlined if one.hd95_mm is not None and np.isfinite(one.hd95_mm)
    ]  # the others are counted below

    def pooled(name: str, where: str) -> Statistic:
        return lambda some: float(np.mean(np.concatenate([getattr(one, name)[getattr(one, where)] for one in some])))

    both = lambda one: (one.slice_iou + one.background_iou) / 2  # noqa: E731
    return Masks(
        dice_per_bleeding_slice=figure(outlined, pooled("slice_dice", "bleeding")),
        dice_all_slices=figure(drawn, pooled("slice_dice", "outlined")),
        dice_per_scan=figure(outlined, lambda some: float(np.mean([one.scan_dice for one in some]))),
        iou_per_bleeding_slice=figure(outlined, pooled("slice_iou", "bleeding")),
        iou_with_background=figure(
            drawn, lambda some: float(np.mean(np.concatenate([both(one)[one.outlined] for one in some])))
        ),
        hd95_mm_median=figure(finite, lambda some: float(np.median([one.hd95_mm for one in some]))),
        surface_dice=figure(measured, lambda some: float(np.mean([one.surface_dice for one in some]))),
        hd95_infinite=len(measured) - len(finite),
        surface_tolerance_mm=TOLERANCE_MM,
        assumed_voxel_mm=_ASSUMED_MM if not all(one.spacing_known for one in judged) else None,
    )


def spacing(judged: Sequence[Judged]) -> str:
    """Where mm and mL come from, in words."""
    known = sum(one.spacing_known for one in judged)
    if known == len(judged):
        return "from the files"
    whose = f"from the files of {known} of {len(judged)} scans; for the others " if known else ""
    return f"{whose}assumed, {_ASSUMED_MM} mm"


def volumes(judged: Sequence[Judged]) -> Volume | None:
    """mL of bleeding scans by each of WAYS, against the voxels of the truth: mean absolute error, bias and limits of
    agreement (Bland and Altman 1986), and each pair (true, measured). None with fewer than two such scans."""
    outlined = [one for one in judged if one.subject_dice is not None]
    ways = {name: found for name, of in WAYS.items() if (found := _agreement(outlined, of))}
    return Volume(ways) if ways else None


def _agreement(outlined: list[Judged], of: Callable[[Judged], float | None]) -> Way | None:
    """One way of measuring; None where fewer than two scans were measured so."""
    pairs = [(one, ml) for one in outlined if (ml := of(one)) is not None]
    if len(pairs) < 2:
        return None
    measured, found_ml = [one for one, _ in pairs], [ml for _, ml in pairs]
    apart = lambda some: np.array([of(one) - one.true_ml for one in some])  # noqa: E731
    agreement = metrics.bland_altman([one.true_ml for one in measured], found_ml)
    return Way(
        mae_ml=figure(measured, lambda some: float(np.abs(apart(some)).mean())),
        bias_ml=figure(measured, lambda some: float(apart(some).mean())),
        limits_ml=(agreement.low_ml, agreement.high_ml),
        pairs_ml=tuple((one.true_ml, ml) for one, ml in pairs),
    )


def calls(judged: Sequence[Judged], *, of: str, threshold: float, prevalence: float) -> Calls:
    """How well slices, or scans, are called bleeding.

    Args:
        judged: the scans.
        of: "slices" or "scans".
        threshold: called bleeding from this score for `any` on; set before, never tuned here.
        prevalence: share of bleeding ones in the place one has in mind, for PPV and NPV.

    Returns:
        AUC, average precision, log loss, ECE, sensitivity, specificity, PPV and NPV as figures, the counts at the
        threshold, the ROC curve and the reliability table.
    """
    pooled, pairs = {"slices": (_of_slices, _slices), "scans": (_of_scans, _scans)}[of]
    called = lambda rate: pooled(lambda truth, score: rate(truth, score >= threshold))  # noqa: E731
    at_prevalence = lambda rate: pooled(  # noqa: E731
        lambda truth, score: _at(rate, truth, score >= threshold, prevalence)
    )
    truth, score = pairs(judged)
    return Calls(
        n=len(truth),
        bleeding=int(truth.sum()),
        threshold=threshold,
        prevalence=prevalence,
        auc=figure(judged, pooled(metrics.auc)),
        average_precision=figure(judged, pooled(metrics.average_precision)),
        log_loss=figure(judged, pooled(lambda t, s: metrics.log_loss(t, np.clip(s, _LOWEST, 1 - _LOWEST)))),
        ece=figure(judged, pooled(metrics.calibration_error)),
        sensitivity=figure(judged, called(metrics.sensitivity)),
        specificity=figure(judged, called(metrics.specificity)),
        ppv=figure(judged, at_prevalence(metrics.ppv)),
        npv=figure(judged, at_prevalence(metrics.npv)),
        counts=metrics.count(truth, score >= threshold),
        roc=_roc(truth, score),
        reliability=tuple(metrics.reliability(truth, score)),
    )


def types(judged: Sequence[Judged], known: Sequence[str]) -> dict[str, OfType]:
    """Per label the patients and slices that show it, both AUCs, and the Dice of slices that show it."""
    found = {}
    for label in known:
        k = LABELS.index(label)
        shown = [one for one in judged if one.labels[:, k].any()]
        outlined = [one for one in shown if one.segmented and (one.labels[:, k] & one.bleeding).any()]
        overlap = lambda some, k=k: float(  # noqa: E731
            np.mean([one.slice_dice[one.labels[:, k] & one.bleeding].mean() for one in some])
        )
        found[label] = OfType(
            patients=len({one.patient for one in shown}),
            slices=int(sum(one.labels[:, k].sum() for one in shown)),
            slice_auc=figure(judged, _of_slices(metrics.auc, k)),
            scan_auc=figure(judged, _of_scans(metrics.auc, k)),
            dice=figure(outlined, overlap),
        )
    return found


def lesion_sizes(judged: Sequence[Judged]) -> dict[str, OfGroup]:
    """Bleeding scans by the volume of their blood: Dice, and how many were called at all."""
    groups = {}
    for low, high in SIZES_ML:
        name = f"{low} to {high} mL" if high < np.inf else f"{low} mL and more"
        groups[name] = [one for one in judged if one.subject_dice is not None and low <= one.true_ml < high]
    return {name: _group(some) for name, some in groups.items() if some}


def groups(judged: Sequence[Judged]) -> dict[str, OfGroup]:
    """The same by age, sex and fracture, as far as the set tells them."""
    found = {}
    for low, high in AGES:
        name = f"age {low} to {high - 1}" if high < 200 else f"age {low} and more"
        found[name] = [one for one in judged if low <= one.facts.get("age", -1) < high]
    for sex in sorted({one.facts["sex"] for one in judged if "sex" in one.facts}):
        found[f"sex {sex.lower()}"] = [one for one in judged if one.facts.get("sex") == sex]
    for fracture in (False, True):
        name = "fracture" if fracture else "no fracture"
        found[name] = [one for one in judged if one.facts.get("fracture") is fracture]
    return {name: _group(some) for name, some in found.items() if some}


def clean_scans(judged: Sequence[Judged], *, threshold: float) -> CleanScans | None:
    """What happens to scans without blood: how many are called, on how many slices, and how much is marked; None
    where there are none."""
    clean = [one for one in judged if not bleeds(one)]
    if not clean:
        return None
    share = lambda some: float(np.mean([one.scan_scores[ANY] >= threshold for one in some]))  # noqa: E731
    marked = [one.mask_px.sum() * one.voxel_ml for one in clean if one.segmented]
    soft = [ml for one in clean if (ml := one.soft_ml) is not None]
    return CleanScans(
        n=len(clean),
        share_called=figure(clean, share),
        slices_called=int(sum((one.scores[:, ANY] >= threshold).sum() for one in clean)),
        slices=int(sum(len(one.scores) for one in clean)),
        median_ml_marked=float(np.median(marked)) if marked else None,
        most_ml_marked=float(np.max(marked)) if marked else None,
        median_soft_ml=float(np.median(soft)) if soft else None,
    )


def worst(judged: Sequence[Judged], *, threshold: float, count: int = 10) -> list[Worst]:
    """The cases to look at first: missed scans, then false alarms, then the lowest Dice."""
    reasons = []
    for one in judged:
        score, bleeding = float(one.scan_scores[ANY]), bleeds(one)
        dice = one.subject_dice
        if bleeding and score < threshold:
            reasons.append((0, score, one, "bleeds and was not called"))
        elif not bleeding and score >= threshold:
            reasons.append((1, -score, one, "does not bleed and was called"))
        elif dice is not None and dice < 0.5:
            reasons.append((2, dice, one, "called, and the mask lies mostly elsewhere"))
    chosen = sorted(reasons, key=lambda reason: reason[:2])[:count]
    return [Worst(row(one), what) for _, _, one, what in chosen]


def row(one: Judged) -> Line:
    """One scan as a line of the report. Numbers keep all their digits: who reads the line decides on them again."""
    shown = [label for label, some in zip(LABELS[:ANY], one.labels.T, strict=False) if some.any()]
    return Line(
        patient=one.patient,
        scan=one.scan,
        fold=one.fold,
        types=tuple(shown),
        dice=one.subject_dice,
        scan_any=float(one.scan_scores[ANY]),
        slices=len(one.labels),
        slices_with_blood=int(one.labels[:, ANY].sum()),
        true_ml=one.true_ml,
        mask_ml=one.mask_ml if one.segmented else None,
        facts=one.facts,
    )


def _group(some: list[Judged]) -> OfGroup:
    outlined = [one for one in some if one.subject_dice is not None]
    return OfGroup(
        patients=len({one.patient for one in some}),
        bleeding=sum(map(bleeds, some)),
        dice_per_subject=figure(outlined, lambda few: float(np.mean([o.subject_dice for o in few]))),
        slice_auc_any=figure(some, _of_slices(metrics.auc)),
        scan_auc_any=figure(some, _of_scans(metrics.auc)),
        median_scan_score=float(np.median([one.scan_scores[ANY] for one in some])),
    )


def _of_slices(rate: Callable, label: int = ANY) -> Statistic:
    """A rate of (truth, score) over the slices of all scans."""
    return lambda some: rate(*_slices(some, label))


def _of_scans(rate: Callable, label: int = ANY) -> Statistic:
    """The same over whole scans."""
    return lambda some: rate(*_scans(some, label))


def _slices(some: Sequence[Judged], label: int = ANY) -> tuple[np.ndarray, np.ndarray]:
    """(n,) truth and score of every slice."""
    return (
        np.concatenate([one.labels[:, label] for one in some]),
        np.concatenate([one.scores[:, label] for one in some]),
    )


def _scans(some: Sequence[Judged], label: int = ANY) -> tuple[np.ndarray, np.ndarray]:
    """(n,) truth and score of every scan."""
    return np.array([one.labels[:, label].any() for one in some]), np.array([one.scan_scores[label] for one in some])


def _at(rate: Callable, truth: np.ndarray, called: np.ndarray, prevalence: float) -> float:
    """PPV or NPV at a prevalence; NaN where one class is missing."""
    sensitivity, specificity = metrics.sensitivity(truth, called), metrics.specificity(truth, called)
    if np.isnan(sensitivity) or np.isnan(specificity):
        return float("nan")
    return rate(sensitivity, specificity, prevalence)


def _roc(truth: np.ndarray, score: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Points (1 - specificity, sensitivity) of the curve, thinned out for a page."""
    from sklearn.metrics import roc_curve

    if truth.all() or not truth.any():
        return ()
    false, true, _ = roc_curve(truth, score)
    keep = np.unique(np.linspace(0, len(false) - 1, _ROC_POINTS).astype(int))
    return tuple((float(false[k]), float(true[k])) for k in keep)
