"""robustness.json as one self-contained page: a sentence, two tables of changes, the plot, examples, and all
figures."""

import base64
import html
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from ich_lib.case import Case
from ich_lib.evaluation.page import STYLE, to_text
from ich_lib.evaluation.robustness import FIRST, SLICES
from ich_lib.evaluation.robustness_summary import DECIDING_FIGURES, TOLERATED_DROP, is_failing, summary_sentence
from ich_lib.phantoms import phantom
from ich_lib.prepare.corruptions import CORRUPTIONS, corrupt
from ich_lib.prepare.head import head_box
from ich_lib.show.figure import Figure
from ich_lib.show.robustness import Example, examples, robustness_plot

EXAMPLE_SEVERITIES = (1, 3, 5)  # severities of the examples
_NAMES = {
    "dice_per_subject": "Dice per subject",
    "slice_auc_any": "Slice AUC",
    "scan_sensitivity": "Sensitivity (scans)",
    "scan_specificity": "Specificity (scans)",
    "volume_mae_ml": "Volume error, mL",
}
_STYLE = "td.lost { background: #fdf3ec; font-weight: 600; } img.examples { max-width: 46rem; }"


def write_robustness_page(report: dict, path: Path) -> None:
    """Write a report as HTML with its pictures inside. The examples are of a phantom, never of a patient."""
    models = ", ".join(dict.fromkeys(model["name"] for model in report["models"]))
    scores = "probabilities" if report["calibrated"] else "plain scores"
    sections = [
        f"<h1>When does {html.escape(models)} fail?</h1>",
        f"<p><strong>{html.escape(summary_sentence(report))}</strong></p>",
        f"<p class='notice'>{html.escape(report['notice'])}</p>",
        f"<p>{report['scans']} scans ({html.escape(report['data'])}), {report['bleeding']} bleeding, were read clean "
        f"and again under every corruption and severity: {report['readings']} readings. Each change is that of the "
        "same scans against themselves clean; its interval holds 95 % of resamples of patients. With few of them, an "
        "interval that reaches zero says that the loss is unknown, not that there is none, and one without width says "
        "that all changed alike, not that others would.</p>",
        _picture(robustness_plot(report), "Change of Dice and slice AUC by corruption and severity"),
        _clean(report["clean"]),
        *(_changes(report, key) for key in DECIDING_FIGURES),
        "<h2>What it looks like</h2>",
        "<p class='quiet'>One slice of a phantom in the brain window, its blood outlined. No patient.</p>",
        _picture(
            examples(corruption_examples(example_exam())),
            "A phantom's slice under each corruption at severities 1, 3 and 5",
            "examples",
        ),
        _full_table(report),
        f"<p class='quiet'>Shaded: a loss of more than {TOLERATED_DROP} whose interval lies below zero. Scans "
        "are called "
        f"from {report['score_threshold']} on; scores are {scores}. Dice is the mean over bleeding scans of their mean "
        "over slices with blood; volume error the mean absolute error over the same scans.</p>",
    ]
    page = "\n".join(sections)
    path.write_text(
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(models)}: robustness</title><style>{STYLE}{_STYLE}</style>"
        f"<body>{page}</body></html>\n"
    )


def example_exam() -> Case:
    """A phantom with a bleed in the brain."""
    return phantom(FIRST, bleeds=["intraparenchymal"], slices=SLICES)


def corruption_examples(case: Case, *, seed: int = 0) -> list[list[Example]]:
    """The slice with most blood, one line per corruption: clean, then at severities 1, 3 and 5.

    Args:
        case: a phantom. Do not put a patient's slice on a page that is passed on.
        seed: of the random numbers.
    """
    k, box = int(case.truth.sum(axis=(1, 2)).argmax()), head_box(case.scan.hu).scaled(1.1)
    lines = []
    for name, corruption in CORRUPTIONS.items():
        titles = {0: f"{name}: clean", **{severity: corruption.strength(severity) for severity in EXAMPLE_SEVERITIES}}
        line = []
        for severity, title in titles.items():
            worse = corrupt(case, name, severity, seed=seed)
            at = min(int((k + 0.5) * case.scan.spacing_mm[0] / worse.scan.spacing_mm[0]), len(worse.truth) - 1)
            line.append(Example(title, worse.scan.hu[at], worse.truth[at], box))
        lines.append(line)
    return lines


def _picture(figure: Figure, words: str, kind: str = "") -> str:
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    encoded = base64.b64encode(picture.getvalue()).decode()
    return f"<img class='{kind}' alt='{words}' src='data:image/png;base64,{encoded}'>"


def _row(cells: list[str], tag: str = "td") -> str:
    return f"<tr>{''.join(cell if cell.startswith('<td') else f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def _clean(clean: dict) -> str:
    rows = [
        _row([name, to_text(clean[key]), str(clean[key]["n_patients"])])
        for key, name in _NAMES.items()
        if clean[key]["value"] is not None
    ]
    return f"<h2>Clean</h2><table>{_row(['', 'value', 'heads'], 'th')}{''.join(rows)}</table>"


def _changes(report: dict, key: str) -> str:
    """The changes of one figure: one line per corruption, one column per severity."""
    if report["clean"][key]["value"] is None:
        return ""
    severities = [row["severity"] for row in next(iter(report["corruptions"].values()))["severities"]]
    head = _row(["corruption", *(f"severity {severity}" for severity in severities)], "th")
    rows = [
        _row(
            [
                f"{name}<br><span class='quiet'>{html.escape(corruption['unit'])}</span>",
                *map(_cell(key), corruption["severities"]),
            ]
        )
        for name, corruption in report["corruptions"].items()
    ]
    return f"<h2>Change of {_NAMES[key]}</h2><table>{head}{''.join(rows)}</table>"


def _cell(key: str) -> Callable[[dict], str]:
    def cell(row: dict) -> str:
        change = row[key]["change"]
        text = f"<span class='quiet'>{row['strength']:g}</span><br>{format_change(change).replace(' (', '<br>(')}"
        return f"<td{' class=lost' if is_failing(change) else ''}>{text}</td>"

    return cell


def format_change(change: dict) -> str:
    """A change as "−0.12 (−0.20 to −0.05)", or a dash if there is none."""
    if change["value"] is None:
        return "–"
    value, low, high = ("?" if change[key] is None else _number(change[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _number(value: float) -> str:
    """Two digits and a sign; no sign on a value that rounds to zero."""
    return "0.00" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")


def _full_table(report: dict) -> str:
    """Every figure of every corruption and severity, folded away."""
    names = {key: name for key, name in _NAMES.items() if report["clean"][key]["value"] is not None}
    head = _row(["severity", *names.values()], "th")
    sections = []
    for name, corruption in report["corruptions"].items():
        rows = [
            _row(
                [
                    f"{row['severity']}: {row['strength']:g} {html.escape(corruption['unit'])}",
                    *(f"{to_text(row[key]['value'])}<br>{format_change(row[key]['change'])}" for key in names),
                ]
            )
            for row in corruption["severities"]
        ]
        sections.append(
            f"<h3>{name}</h3><p>{html.escape(corruption['imitates'])}</p><table>{head}{''.join(rows)}</table>"
        )
    title = "<h2>Everything</h2><details><summary>Every figure, and what each corruption imitates</summary>"
    return f"{title}{''.join(sections)}</details>"
