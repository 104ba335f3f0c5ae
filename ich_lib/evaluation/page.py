"""report.json as one page that needs nothing else: sentences, tables and four plots."""

import base64
import html
from io import BytesIO
from pathlib import Path

from ich_lib.colors import VERMILION

STYLE = f"""
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin: 2rem 0 .4rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }}
.notice {{ border-left: 4px solid {VERMILION}; padding: .3rem .8rem; background: #fdf3ec; }}
img {{ width: 100%; }} img.small {{ max-width: 36rem; display: block; }} .quiet {{ color: #595959; }}
"""
NAMES = {
    "dice_per_subject": "Dice per subject (mean over bleeding slices, then subjects)",
    "slice_auc_any": "Slice AUC, any bleeding",
    "scan_auc_any": "Scan AUC, any bleeding",
    "volume_mae_ml": "Volume, mean absolute error in mL",
    "ece": "Calibration error (ECE)",
    "dice_per_bleeding_slice": "Dice, mean over bleeding slices",
    "dice_all_slices": "Dice, mean over all slices (two empty masks count 1)",
    "dice_per_scan": "Dice of the whole scan",
    "iou_per_bleeding_slice": "IoU of blood, mean over bleeding slices",
    "iou_with_background": "IoU averaged with the background, all slices (as published; flatters)",
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


def write_page(report: dict, path: Path) -> None:
    """Write a report as HTML with its plots inside."""
    from ich_lib.show import evaluation

    models = ", ".join(dict.fromkeys(model["name"] for model in report["models"]))
    folds = report["folds"]
    whom = f"fold {folds}"
    if isinstance(folds, list):
        whom = f"folds {', '.join(map(str, folds))}, each judged by the model that never saw it"
    parts = [
        f"<h1>{html.escape(models)} on {html.escape(report['data'])}</h1>",
        f"<p class='notice'>{html.escape(report['notice'])}</p>",
        _leaky(report),
        f"<p>{report['scans']} scans of {len(report['patients'])} patients never trained on ({html.escape(whom)}). "
        f"Scores calibrated: {report['calibrated']}. Intervals hold 95 % of resamples of patients.</p>",
        table("Headline", _rows(report, NAMES)),
        _picture(evaluation(report), "ROC curves, reliability, volumes and Dice by patient"),
        table("Masks", _rows(report["masks"], NAMES)),
        _masks_note(report["masks"], report["spacing"]),
        _volumes(report["volume"], report["spacing"]),
        _calls("Slices", report["slices"]),
        _calls("Whole scans", report["whole_scans"]),
        _abstention(report["abstention"]),
        _clean(report["clean_scans"]),
        _grid("Types", report["types"], ("patients", "slices", "dice", "slice_auc", "scan_auc")),
        _grid("Size of the bleed", report["lesion_size"], _GROUP),
        _grid("Age, sex, fracture", report["groups"], _GROUP),
        _worst(report["worst"]),
    ]
    page = "\n".join(part for part in parts if part)
    path.write_text(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(models)}: evaluation</title><style>{STYLE}</style><body>{page}</body></html>\n"
    )


_GROUP = ("patients", "bleeding", "dice_per_subject", "slice_auc_any", "scan_auc_any")


def shown(value) -> str:
    """A figure as "0.512 (0.431 to 0.598)", a number as it is, nothing as a dash."""
    if isinstance(value, dict):
        if value["value"] is None:
            return "–"
        if value["low"] is None:
            return f"{value['value']:.3f}"
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _leaky(report: dict) -> str:
    if "leaky" not in report:
        return ""
    return (
        f"<p class='notice'>The split was a {html.escape(report['leaky'][0])} split: slices of the same patients were "
        "trained on. These figures are for the lesson on leaks and say nothing about new patients.</p>"
    )


def _rows(values: dict, names: dict) -> list[tuple[str, ...]]:
    return [
        (name, shown(values[key]), str(values[key]["n_patients"]))
        for key, name in names.items()
        if isinstance(values.get(key), dict) and "n_patients" in values[key]
    ]


def table(title: str, rows: list[tuple[str, ...]], head: tuple[str, ...] = ("", "value", "patients")) -> str:
    if not rows:
        return ""
    line = lambda cells, tag: f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"  # noqa: E731
    return f"<h2>{title}</h2><table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _calls(title: str, found: dict) -> str:
    counts = found["counts"]
    note = (
        f"<p class='quiet'>{found['bleeding']} of {found['n']} bleed. Called from {found['threshold']} on: "
        f"{counts['tp']} rightly, {counts['fp']} wrongly; {counts['fn']} missed. PPV and NPV where "
        f"{found['prevalence']:.0%} bleed.</p>"
    )
    return table(title, _rows(found, NAMES)) + note


def _masks_note(found: dict, spacing: str) -> str:
    if not found:
        return ""
    return (
        f"<p class='quiet'>{found['hd95_infinite']} bleeding scans got no mask at all, so their HD95 is infinite and "
        f"not in the median. Surface Dice within {found['surface_tolerance_mm']} mm. Spacing: {spacing}.</p>"
    )


def _abstention(found: dict) -> str:
    from ich_lib.show.abstention import risk_coverage

    low, high = found["band"]
    return (
        f"<h2>If it kept silent where it is not sure</h2><p>Answering only for scans whose score is at most {low:g} or "
        f"at least {high:g}, it answers for {found['answered']} of {found['scans']}, a share of "
        f"{shown(found['coverage'])}. Of these answers {found['wrong_answered']} are wrong, a share of "
        f"{shown(found['error_answered'])}, and {found['missed_answered']} of them are missed bleeds; of all scans "
        f"{found['wrong']}, a share of {shown(found['error_all'])}. Area under the curve of error against coverage: "
        f"{shown(found['area'])}; with as many errors, all of them last, it would be {found['least_area']:.3f}.</p>"
        + _picture(risk_coverage(found), "Share of wrong answers against the share of scans answered", "small")
    )


def _volumes(found: dict, spacing: str) -> str:
    """mL three ways: a table, and a plot a way."""
    from ich_lib.show.volume import WAYS, agreement

    if not found:
        return ""
    rows = [
        (name, shown(way["mae_ml"]), shown(way["bias_ml"]), "{:.1f} to {:.1f}".format(*way["limits_ml"]))
        for key, name in WAYS.items()
        if (way := found["ways"].get(key))
    ]
    head = ("measured in mL, against the truth's voxels", "mean absolute error", "bias", "limits of agreement (95 %)")
    return (
        table("Volume of bleeding scans", rows, head)
        + f"<p class='quiet'>Spacing: {spacing}. Limits: bias ∓ 1.96 standard deviations of single differences.</p>"
        + _picture(agreement(found), "Bland and Altman plots of mL by each way")
    )


def _picture(figure, told: str, kind: str = "") -> str:
    """A figure inside the page."""
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return (
        f"<img class='{kind}' alt='{told}' src='data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}'>"
    )


def _clean(found: dict) -> str:
    if not found:
        return ""
    marked = "" if found["median_ml_marked"] is None else f" Marked: {found['median_ml_marked']:.2f} mL at the median, "
    marked += "" if found["most_ml_marked"] is None else f"{found['most_ml_marked']:.1f} mL at most."
    marked += "" if found["median_soft_ml"] is None else f" Probabilities sum to {found['median_soft_ml']:.2f} mL."
    return (
        f"<h2>Scans without blood</h2><p>Of {found['n']}, a share of {shown(found['share_called'])} is called "
        f"bleeding; of their {found['slices']} slices {found['slices_called']}.{marked}</p>"
    )


def _grid(title: str, found: dict, keys: tuple[str, ...]) -> str:
    rows = [(name, *(shown(values.get(key)) for key in keys)) for name, values in found.items()]
    return table(title, rows, ("", *(key.replace("_", " ") for key in keys)))


def _worst(rows: list[dict]) -> str:
    keys = ("patient", "types", "slices_with_blood", "true_ml", "mask_ml", "dice", "scan_any", "what")
    lines = [tuple(", ".join(row[k]) if k == "types" else shown(row[k]) for k in keys) for row in rows]
    return table("Cases to look at first", lines, tuple(key.replace("_", " ") for key in keys))
