"""Judged scans to figures, each with its interval and its number of patients. Patients are resampled, never slices."""

from collections.abc import Callable, Sequence

import numpy as np

from ich_lib.evaluation.judged import FIELD_OF_VIEW_MM, THICKNESS_MM, TOLERANCE_MM, Judged, bleeds
from ich_lib.labels import ANY, LABELS
from ich_lib.measures import metrics
from ich_lib.measures.statistics import Figure, grouped_bootstrap

ROUNDS = 1000  # resamples of each interval
SIZES_ML = ((0, 2), (2, 10), (10, 30), (30, float("inf")))
AGES = ((0, 18), (18, 45), (45, 65), (65, 200))
_ROC_POINTS = 200  # on the page's curve
WAYS = {  # of measuring mL; each is held against the voxels of the truth
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


def masks(judged: Sequence[Judged]) -> dict:
    """Overlap and distance of the masks, under every definition that was published for this data, by its name."""
    drawn = [one for one in judged if one.segmented]
    outlined = [one for one in drawn if one.subject_dice is not None]
    if not outlined:
        return {}
    measured = [one for one in outlined if one.hd95_mm is not None]
    finite = [one for one in measured if np.isfinite(one.hd95_mm)]  # the others are counted below

    def pooled(name: str, where: str) -> Statistic:
        return lambda some: float(np.mean(np.concatenate([getattr(one, name)[getattr(one, where)] for one in some])))

    both = lambda one: (one.slice_iou + one.background_iou) / 2  # noqa: E731
    found = {
        "dice_per_bleeding_slice": figure(outlined, pooled("slice_dice", "bleeding")),
        "dice_all_slices": figure(drawn, pooled("slice_dice", "outlined")),
        "dice_per_scan": figure(outlined, lambda some: float(np.mean([one.scan_dice for one in some]))),
        "iou_per_bleeding_slice": figure(outlined, pooled("slice_iou", "bleeding")),
        "iou_with_background": figure(
            drawn, lambda some: float(np.mean(np.concatenate([both(one)[one.outlined] for one in some])))
        ),
        "hd95_mm_median": figure(finite, lambda some: float(np.median([one.hd95_mm for one in some]))),
        "surface_dice": figure(measured, lambda some: float(np.mean([one.surface_dice for one in some]))),
    }
    return {
        **_as_json(found),
        "hd95_infinite": len(measured) - len(finite),
        "surface_tolerance_mm": TOLERANCE_MM,
        "assumed_voxel_mm": _ASSUMED_MM if not all(one.spacing_known for one in judged) else None,
    }


def spacing(judged: Sequence[Judged]) -> str:
    """Where mm and mL come from, in words."""
    known = sum(one.spacing_known for one in judged)
    if known == len(judged):
        return "from the files"
    whose = f"from the files of {known} of {len(judged)} scans; for the others " if known else ""
    return f"{whose}assumed, {_ASSUMED_MM} mm"


def volumes(judged: Sequence[Judged]) -> dict:
    """mL of bleeding scans by each of WAYS, against the voxels of the truth: mean absolute error, bias and limits of
    agreement (Bland and Altman 1986), and each pair (true, measured). The mask's own stand on top too."""
    outlined = [one for one in judged if one.subject_dice is not None]
    ways = {name: found for name, of in WAYS.items() if (found := _agreement(outlined, of))}
    return {key: ways["mask"][key] for key in ("bias_ml", "limits_ml", "pairs_ml")} | {"ways": ways} if ways else {}


def _agreement(outlined: list[Judged], of: Callable[[Judged], float | None]) -> dict:
    """One way of measuring; nothing where fewer than two scans were measured so."""
    measured = [one for one in outlined if of(one) is not None]
    if len(measured) < 2:
        return {}
    apart = lambda some: np.array([of(one) - one.true_ml for one in some])  # noqa: E731
    agreement = metrics.bland_altman([one.true_ml for one in measured], [of(one) for one in measured])
    return {
        "mae_ml": figure(measured, lambda some: float(np.abs(apart(some)).mean())).as_json(),
        "bias_ml": figure(measured, lambda some: float(apart(some).mean())).as_json(),
        "limits_ml": [agreement.low_ml, agreement.high_ml],
        "pairs_ml": [[one.true_ml, of(one)] for one in measured],
    }


def calls(judged: Sequence[Judged], *, of: str, threshold: float, prevalence: float) -> dict:
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
    pooled = {"slices": _of_slices, "scans": _of_scans}[of]
    called = lambda rate: pooled(lambda truth, score: rate(truth, score >= threshold))  # noqa: E731
    at_prevalence = lambda rate: pooled(  # noqa: E731
        lambda truth, score: _at(rate, truth, score >= threshold, prevalence)
    )
    truth, score = pooled(lambda truth, score: (truth, score))(list(judged))
    found = {
        "auc": figure(judged, pooled(metrics.auc)),
        "average_precision": figure(judged, pooled(metrics.average_precision)),
        "log_loss": figure(judged, pooled(lambda t, s: metrics.log_loss(t, np.clip(s, _LOWEST, 1 - _LOWEST)))),
        "ece": figure(judged, pooled(metrics.calibration_error)),
        "sensitivity": figure(judged, called(metrics.sensitivity)),
        "specificity": figure(judged, called(metrics.specificity)),
        "ppv": figure(judged, at_prevalence(metrics.ppv)),
        "npv": figure(judged, at_prevalence(metrics.npv)),
    }
    counts = metrics.count(truth, score >= threshold)
    return {
        "n": len(truth),
        "bleeding": int(truth.sum()),
        "threshold": threshold,
        "prevalence": prevalence,
        **_as_json(found),
        "counts": vars(counts),
        "roc": _roc(truth, score),
        "reliability": [
            {key: None if value != value else value for key, value in vars(row).items()}
            for row in metrics.reliability(truth, score)
        ],
    }


def types(judged: Sequence[Judged], known: Sequence[str]) -> dict:
    """Per label the patients and slices that show it, both AUCs, and the Dice of slices that show it."""
    found = {}
    for label in known:
        k = LABELS.index(label)
        shown = [one for one in judged if one.labels[:, k].any()]
        outlined = [one for one in shown if one.segmented and (one.labels[:, k] & one.bleeding).any()]
        overlap = lambda some, k=k: float(  # noqa: E731
            np.mean([one.slice_dice[one.labels[:, k] & one.bleeding].mean() for one in some])
        )
        found[label] = {
            "patients": len({one.patient for one in shown}),
            "slices": int(sum(one.labels[:, k].sum() for one in shown)),
            "slice_auc": figure(judged, _of_slices(metrics.auc, k)).as_json(),
            "scan_auc": figure(judged, _of_scans(metrics.auc, k)).as_json(),
            "dice": figure(outlined, overlap).as_json(),
        }
    return found


def lesion_sizes(judged: Sequence[Judged]) -> dict:
    """Bleeding scans by the volume of their blood: Dice, and how many were called at all."""
    groups = {}
    for low, high in SIZES_ML:
        name = f"{low} to {high} mL" if high < np.inf else f"{low} mL and more"
        groups[name] = [one for one in judged if one.subject_dice is not None and low <= one.true_ml < high]
    return {name: _group(some) for name, some in groups.items() if some}


def groups(judged: Sequence[Judged]) -> dict:
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


def clean_scans(judged: Sequence[Judged], *, threshold: float) -> dict:
    """What happens to scans without blood: how many are called, on how many slices, and how much is marked."""
    clean = [one for one in judged if not bleeds(one)]
    if not clean:
        return {}
    share = lambda some: float(np.mean([one.scan_scores[ANY] >= threshold for one in some]))  # noqa: E731
    marked = [one.mask_px.sum() * one.voxel_ml for one in clean if one.segmented]
    soft = [one.soft_ml for one in clean if one.soft_px is not None]
    return {
        "n": len(clean),
        "share_called": figure(clean, share).as_json(),
        "slices_called": int(sum((one.scores[:, ANY] >= threshold).sum() for one in clean)),
        "slices": int(sum(len(one.scores) for one in clean)),
        "median_ml_marked": float(np.median(marked)) if marked else None,
        "most_ml_marked": float(np.max(marked)) if marked else None,
        "median_soft_ml": float(np.median(soft)) if soft else None,
    }


def worst(judged: Sequence[Judged], *, threshold: float, count: int = 10) -> list[dict]:
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
    return [{**row(one), "what": what} for _, _, one, what in chosen]


def row(one: Judged) -> dict:
    """One scan as a line of the report. Numbers keep all their digits: who reads the line decides on them again."""
    shown = [label for label, some in zip(LABELS[:ANY], one.labels.T, strict=False) if some.any()]
    return {
        "patient": one.patient,
        "scan": one.scan,
        "fold": one.fold,
        "types": shown,
        "dice": one.subject_dice,
        "scan_any": float(one.scan_scores[ANY]),
        "slices": len(one.labels),
        "slices_with_blood": int(one.labels[:, ANY].sum()),
        "true_ml": one.true_ml,
        "mask_ml": one.mask_ml if one.segmented else None,
        "facts": one.facts,
    }


def _group(some: list[Judged]) -> dict:
    outlined = [one for one in some if one.subject_dice is not None]
    return {
        "patients": len({one.patient for one in some}),
        "bleeding": sum(map(bleeds, some)),
        "dice_per_subject": figure(outlined, lambda few: float(np.mean([o.subject_dice for o in few]))).as_json(),
        "slice_auc_any": figure(some, _of_slices(metrics.auc)).as_json(),
        "scan_auc_any": figure(some, _of_scans(metrics.auc)).as_json(),
        "median_scan_score": float(np.median([one.scan_scores[ANY] for one in some])),
    }


def _of_slices(rate: Callable, label: int = ANY) -> Statistic:
    """A rate of (truth, score) over the slices of all scans."""
    return lambda some: rate(
        np.concatenate([one.labels[:, label] for one in some]), np.concatenate([one.scores[:, label] for one in some])
    )


def _of_scans(rate: Callable, label: int = ANY) -> Statistic:
    """The same over whole scans."""
    return lambda some: rate(
        np.array([one.labels[:, label].any() for one in some]), np.array([one.scan_scores[label] for one in some])
    )


def _at(rate: Callable, truth: np.ndarray, called: np.ndarray, prevalence: float) -> float:
    """PPV or NPV at a prevalence; NaN where one class is missing."""
    sensitivity, specificity = metrics.sensitivity(truth, called), metrics.specificity(truth, called)
    if np.isnan(sensitivity) or np.isnan(specificity):
        return float("nan")
    return rate(sensitivity, specificity, prevalence)


def _roc(truth: np.ndarray, score: np.ndarray) -> list[list[float]]:
    """Points (1 - specificity, sensitivity) of the curve, thinned out for a page."""
    from sklearn.metrics import roc_curve

    if truth.all() or not truth.any():
        return []
    false, true, _ = roc_curve(truth, score)
    keep = np.unique(np.linspace(0, len(false) - 1, _ROC_POINTS).astype(int))
    return [[float(false[k]), float(true[k])] for k in keep]


def _as_json(found: dict[str, Figure]) -> dict:
    return {name: one.as_json() for name, one in found.items()}
