"""report.json as one self-contained page: sentences, tables and four plots."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ich_lib.colors import VERMILION
from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.report import (
    Abstention,
    Accuracy,
    Calls,
    CleanScans,
    Masks,
    OfGroup,
    OfType,
    Report,
    Volume,
    WorstScan,
    figures_of,
)

if TYPE_CHECKING:
    from ich_lib.show.figure import Figure as Plot

STYLE = f"""
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin: 2rem 0 .4rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }}
.notice {{ border-left: 4px solid {VERMILION}; padding: .3rem .8rem; background: #fdf3ec; }}
img {{ width: 100%; }} img.small {{ max-width: 36rem; display: block; }} .quiet {{ color: #595959; }}
"""
FIGURE_NAMES = {
    "dice_per_subject": "Dice per subject (mean over bleeding slices, then subjects)",
    "slice_auc_any": "Slice AUC, any bleeding",
    "height_auc": "AUC by the slice's height only, without its pixels",
    "blob_auc": "AUC by the area of the largest bright blob, without any learning",
    "scan_auc_any": "Scan AUC, any bleeding",
    "volume_mae_ml": "Volume, mean absolute error in mL",
    "ece": "Calibration error (ECE)",
    "dice_per_bleeding_slice": "Dice, mean over bleeding slices",
    "dice_all_slices": "Dice, mean over all slices (two empty masks count 1)",
    "dice_per_scan": "Dice of the whole scan",
    "iou_per_bleeding_slice": "IoU of blood, mean over bleeding slices",
    "blob_dice": "Dice per subject of the largest bright blob, without any learning",
    "hd95_mm_median": "HD95 in mm, median of scans with a mask",
    "surface_dice": "Surface Dice",
    "auc": "AUC",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV at the prevalence",
    "npv": "NPV at the prevalence",
}


FLATTERING_NAMES = {
    "pixel_accuracy": "Pixel accuracy",
    "iou_with_background": "IoU averaged with the background",
    "dice_half_empty": "Dice where half of the slices are clean",
}


def write_page(report: Report, path: Path) -> None:
    """Write a report as HTML with its plots inside."""
    from ich_lib.show import evaluation

    models = ", ".join(dict.fromkeys(model.name for model in report.models))
    folds_text = f"fold {report.folds}"
    if isinstance(report.folds, tuple):
        folds_text = f"folds {', '.join(map(str, report.folds))}, each judged by the model that never saw it"
    sections = [
        f"<h1>{html.escape(models)} on {html.escape(report.data)}</h1>",
        f"<p class='notice'>{html.escape(report.notice)}</p>",
        _leaky(report),
        f"<p>{report.scans} scans of {len(report.patients)} patients never trained on ({html.escape(folds_text)}). "
        f"Scores calibrated: {report.calibrated}. Intervals: 95 %, over resampled patients.</p>",
        html_table("Headline", _rows(report)),
        _picture(evaluation(report), "ROC curves, reliability, volumes and Dice by patient"),
        _masks(report.masks, report.spacing),
        _volumes(report.volume, report.spacing),
        _calls("Slices", report.slices),
        _calls("Whole scans", report.whole_scans),
        _abstention(report.abstention),
        _clean(report.clean_scans),
        _types(report.types),
        _accuracy(report.accuracy),
        _groups("Size of the bleed", report.lesion_size),
        _groups("Age, sex, fracture", report.groups),
        _worst(report.worst),
    ]
    page = "\n".join(part for part in sections if part)
    path.write_text(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(models)}: evaluation</title><style>{STYLE}</style><body>{page}</body></html>\n"
    )


def to_text(value: Estimate | Mapping | float | str | None) -> str:
    """A figure, or its `as_json`, as "0.512 (0.431 to 0.598)"; a number as it is, None as a dash."""
    if isinstance(value, Mapping):
        value = Estimate.from_json(value)
    if isinstance(value, Estimate):
        if math.isnan(value.value):
            return "–"
        if math.isnan(value.low):
            return f"{value.value:.3f}"
        return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _leaky(report: Report) -> str:
    if not report.leaky:
        return ""
    return (
        f"<p class='notice'>The split was a {html.escape(report.leaky[0])} split: slices of the same patients were "
        "trained on. These figures are for the lesson on leaks and say nothing about new patients.</p>"
    )


def _rows(part: Report | Masks | Calls) -> list[tuple[str, str, str]]:
    estimates = figures_of(part)
    if isinstance(part, Report):
        baselines = ("height_auc", "blob_auc")
        estimates |= {name: figure for name, figure in figures_of(part.slices).items() if name in baselines}
    return [
        (title, to_text(estimates[name]), str(estimates[name].n_patients))
        for name, title in FIGURE_NAMES.items()
        if name in estimates
    ]


def html_table(title: str, rows: Sequence[Sequence[object]], head: tuple[str, ...] = ("", "value", "patients")) -> str:
    if not rows:
        return ""
    line = lambda cells, tag: f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"  # noqa: E731
    return f"<h2>{title}</h2><table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _calls(title: str, part: Calls) -> str:
    counts = part.counts
    note = (
        f"<p class='quiet'>{part.bleeding} of {part.n} bleed. Called from {part.threshold} on: "
        f"{counts.tp} rightly, {counts.fp} wrongly; {counts.fn} missed. PPV and NPV where "
        f"{part.prevalence:.0%} bleed.</p>"
    )
    return html_table(title, _rows(part)) + note


def _masks(part: Masks | None, spacing: str) -> str:
    if not part:
        return ""
    return (
        f"{html_table('Masks', _rows(part))}\n"
        f"<p class='quiet'>{part.hd95_infinite} bleeding scans got no mask at all, so their HD95 is infinite and "
        f"not in the median. Surface Dice within {part.surface_tolerance_mm} mm. Spacing: {spacing}.</p>"
        + _flattering(part)
    )


def _flattering(part: Masks) -> str:
    """The figures of published systems, and the same for a model that marks nothing."""
    if not part.as_published or not part.of_empty_masks:
        return ""
    rows = [
        (title, to_text(getattr(part.as_published, name)), to_text(getattr(part.of_empty_masks, name)))
        for name, title in FLATTERING_NAMES.items()
    ]
    head = ("figure that has been published for masks", "these masks", "empty masks")
    note = "<p class='quiet'>A figure says little where a model that marks nothing reaches almost the same.</p>"
    return html_table("Figures that flatter", rows, head) + note


def _accuracy(part: Accuracy | None) -> str:
    if not part:
        return ""
    rows = [
        ("Slices: bleeding or not", to_text(part.slices), to_text(part.slices_all_clean)),
        ("Slices and labels", to_text(part.cells), to_text(part.cells_all_clean)),
    ]
    head = ("share of right answers", "this model", "the answer: no bleeding anywhere")
    types = ""
    if part.types and part.types_most_common and not math.isnan(part.types.value):
        row = ("Slices with exactly one type", to_text(part.types), to_text(part.types_most_common))
        columns = ("share of right answers", "this model", "the answer: always the most common type")
        types = html_table("The type of the bleeding", [row], columns)
    return html_table("Accuracy, which flatters", rows, head) + types


def _abstention(part: Abstention | None) -> str:
    from ich_lib.show.abstention import risk_coverage

    if not part:
        return ""
    low, high = part.band
    return (
        f"<h2>If the model answers only when it is sure</h2><p>Answering only for scans whose score is "
        f"at most {low:g} or "
        f"at least {high:g}, it answers for {part.answered} of {part.scans}, a share of "
        f"{to_text(part.coverage)}. Of these answers {part.wrong_answered} are wrong, a share of "
        f"{to_text(part.error_answered)}, and {part.missed_answered} of them are missed bleeds; of all scans "
        f"{part.wrong}, a share of {to_text(part.error_all)}. Area under the curve of error against coverage: "
        f"{to_text(part.area)}; with as many errors, all of them last, it would be {part.least_area:.3f}.</p>"
        + _picture(risk_coverage(part), "Share of wrong answers against the share of scans answered", "small")
    )


def _volumes(part: Volume | None, spacing: str) -> str:
    """mL by three methods: a table, and a plot for each."""
    from ich_lib.show.volume import VOLUME_METHOD_NAMES, agreement

    if not part:
        return ""
    rows = [
        (name, to_text(method.mae_ml), to_text(method.bias_ml), "{:.1f} to {:.1f}".format(*method.limits_ml))
        for key, name in VOLUME_METHOD_NAMES.items()
        if (method := part.methods.get(key))
    ]
    head = (
        "volume in mL, compared with the truth's voxels",
        "mean absolute error",
        "bias",
        "limits of agreement (95 %)",
    )
    return (
        html_table("Volume of bleeding scans", rows, head)
        + f"<p class='quiet'>Spacing: {spacing}. Limits: bias ∓ 1.96 standard deviations of single differences.</p>"
        + _picture(agreement(part), "Bland and Altman plots of mL by each method")
    )


def _picture(figure: "Plot", alt_text: str, kind: str = "") -> str:
    """A figure inside the page."""
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return (
        f"<img class='{kind}' alt='{alt_text}' "
        f"src='data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}'>"
    )


def _clean(part: CleanScans | None) -> str:
    if not part:
        return ""
    marked_note = "" if part.median_ml_marked is None else f" Marked: {part.median_ml_marked:.2f} mL at the median, "
    marked_note += "" if part.most_ml_marked is None else f"{part.most_ml_marked:.1f} mL at most."
    marked_note += "" if part.median_soft_ml is None else f" Probabilities sum to {part.median_soft_ml:.2f} mL."
    return (
        f"<h2>Scans without blood</h2><p>Of {part.n}, a share of {to_text(part.share_called)} is called "
        f"bleeding; of their {part.slices} slices {part.slices_called}.{marked_note}</p>"
    )


def _types(types: Mapping[str, OfType]) -> str:
    rows = [
        (name, of.patients, of.slices, *map(to_text, (of.dice, of.slice_auc, of.height_auc, of.scan_auc)))
        for name, of in types.items()
    ]
    return html_table("Types", rows, ("", "patients", "slices", "dice", "slice auc", "by height alone", "scan auc"))


def _groups(title: str, groups: Mapping[str, OfGroup]) -> str:
    rows = [
        (name, of.patients, of.bleeding, *map(to_text, (of.dice_per_subject, of.slice_auc_any, of.scan_auc_any)))
        for name, of in groups.items()
    ]
    return html_table(title, rows, ("", "patients", "bleeding", "dice per subject", "slice auc any", "scan auc any"))


def _worst(worst: Sequence[WorstScan]) -> str:
    rows = []
    for line, error in ((entry.line, entry.error) for entry in worst):
        measured = map(to_text, (line.true_ml, line.mask_ml, line.dice, line.scan_any))
        rows.append((line.patient, ", ".join(line.types), line.slices_with_blood, *measured, error))
    head = ("patient", "types", "slices with blood", "true ml", "mask ml", "dice", "scan any", "error")
    return html_table("Cases to review first", rows, head)
