"""A page of the worst failures of a model, as pictures grouped by probable cause."""

import base64
import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ich_lib.case import Case
from ich_lib.colors import MASK, TRUTH
from ich_lib.data import Table
from ich_lib.evaluation import case_of, evaluate, held_out_scans, open_table
from ich_lib.evaluation.causes import RULE_TEXTS, Failure, causes
from ich_lib.evaluation.compare import read_report
from ich_lib.evaluation.page import STYLE, html_table
from ich_lib.measures.report import Line, Report
from ich_lib.models.run import fold_runs
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.engine import Models, load
from ich_lib.prediction.uncertainty import score_text

KINDS = ("missed bleed", "false alarm", "low overlap", "wrong volume")  # in order of harm
LOW_DICE = 0.5  # below this, the mask is mostly in another place
VOLUME_ML, VOLUME_SHARE = 2.0, 0.25  # both must be exceeded: mL, and share of the true volume
PRIVATE = (
    "This page shows pictures of the scans in the folder that you named. Where those are patients, keep it on this "
    "machine: send it to nobody, and let no part of it enter a repository."
)
_SLICES = 2  # slices shown of a scan


@dataclass(frozen=True)
class GalleryCase:
    """A scan of the gallery.

    Attributes:
        kind: one of KINDS.
        row: the scan's line of the report.
        causes: from `ich_lib.evaluation.causes`, the most probable first.
        wrong_ml: (missed, falsely marked).
        picture: JPEG of its most informative slices.
    """

    kind: str
    row: Line
    causes: tuple[str, ...]
    wrong_ml: tuple[float, float]
    picture: bytes

    @property
    def cause(self) -> str:
        """The most probable cause."""
        return self.causes[0]


def gallery(
    source: str | Path, data: str | Path, out: str | Path, *, report: str | Path | None = None, count: int = 20
) -> list[GalleryCase]:
    """Write gallery.html: missed bleeds, false alarms, lowest overlap, most wrong volumes, each with its cause.

    Args:
        source: "shipped", a run folder, what `export` wrote, or a folder of runs fold-0, fold-1, ...
        data: the folder of a data set, or a file of `store` with whole slices.
        out: folder for gallery.html; a .gitignore beside it keeps it out of repositories.
        report: report.json of an evaluation of the same models on the same data. Then only the worst scans are read
            again. Without it, the evaluation runs first and is also written into `out`.
        count: maximum number of scans, divided among the four kinds.

    Returns:
        The scans on the page, in its order.

    Raises:
        ValueError: if the models were trained on all patients, if the split leaks, or if the report is of other models
            or other data.
    """
    if count < 1:
        raise ValueError(f"A gallery shows at least 1 scan; got {count}.")
    out = Path(out)
    evaluation = evaluate(source, data, out) if report is None else read_report(report)
    slices = open_table(data)
    unseen_by_scan = _unseen_by_scan(source, slices, evaluation)
    cases = []
    for kind, row in tqdm(
        worst_by_kind(evaluation.per_patient, threshold=evaluation.score_threshold, count=count), unit="scan"
    ):
        if row.scan not in unseen_by_scan:
            raise ValueError(f"The report judges scan {row.scan}, which these models were trained on or do not have.")
        models, rows = unseen_by_scan[row.scan]
        case = case_of(slices, rows)
        cases.append(_gallery_case(kind, row, case, analyze(case.scan, models)))
    order = list(RULE_TEXTS)
    cases.sort(key=lambda case: order.index(case.cause))
    out.mkdir(parents=True, exist_ok=True)
    (out / ".gitignore").write_text("*\n")
    (out / "gallery.html").write_text(gallery_page(cases, evaluation))
    return cases


def worst_by_kind(rows: Sequence[Line], *, threshold: float, count: int) -> list[tuple[str, Line]]:
    """The worst scans of a report: each of KINDS in turn adds its next worst. A scan belongs to the first kind that
    fits.

    Args:
        rows: `Report.per_patient`.
        threshold: a scan is called bleeding from this score.
        count: maximum number.

    Returns:
        (kind, row), kind by kind, the worst first.
    """
    kinds: dict[str, list[tuple[float, Line]]] = {kind: [] for kind in KINDS}
    for row in rows:
        is_called = row.scan_any >= threshold
        if row.bleeds and not is_called:
            kinds["missed bleed"].append((row.scan_any, row))
        elif is_called and not row.bleeds:
            kinds["false alarm"].append((-row.scan_any, row))
        elif row.dice is not None and row.dice < LOW_DICE:
            kinds["low overlap"].append((row.dice, row))
        elif (differing := _wrong_ml(row)) >= VOLUME_ML and differing >= VOLUME_SHARE * row.true_ml:
            kinds["wrong volume"].append((-differing, row))
    queues = {kind: [row for _, row in sorted(entries, key=lambda pair: pair[0])] for kind, entries in kinds.items()}
    turns = [(turn, kind, row) for kind, queue in queues.items() for turn, row in enumerate(queue)]
    picks = sorted(turns, key=lambda turn: (turn[0], KINDS.index(turn[1])))[:count]
    return [(kind, row) for _, kind, row in sorted(picks, key=lambda turn: KINDS.index(turn[1]))]


def _wrong_ml(row: Line) -> float:
    """The error of the mask's volume; 0 if the blood has no outline, or if there is no mask."""
    if row.mask_ml is None or (row.dice is None and row.bleeds):
        return 0.0
    return abs(row.mask_ml - row.true_ml)


def informative_slices(failed: Failure, heat: np.ndarray, *, count: int = _SLICES) -> list[int]:
    """The slice with most blood, which shows a missed bleed, then those with the most wrong pixels; if there are none,
    the slice with most heat. Foot to head."""
    differing, truth = failed.false_alarm if failed.is_overcall else failed.missed, failed.case.truth
    order = np.lexsort([volume.sum(axis=(1, 2), dtype=float) for volume in (heat, truth, differing)])[::-1].tolist()
    if truth.any():
        order.insert(0, int(truth.sum(axis=(1, 2)).argmax()))
    slices = [k for k in dict.fromkeys(order) if (differing | truth)[k].any()]
    return sorted(slices[:count] or order[:1])


def gallery_page(cases: Sequence[GalleryCase], report: Report) -> str:
    """The complete gallery.html, which needs no other file.

    Args:
        cases: in the order of their causes.
        report: from `evaluate`.
    """
    models = html.escape(", ".join(dict.fromkeys(model.name for model in report.models)))
    sections = [
        f"<h1>Where {models} fails on {html.escape(report.data)}</h1>",
        f"<p class='notice'><b>{PRIVATE}</b><br>{html.escape(report.notice)}</p>",
        f"<p>The worst {len(cases)} of {report.scans} scans, of patients never trained on. Each row of pictures is "
        "a slice: the CT in the brain window; <span class='truth'>the truth</span> and <span class='mask'>the "
        "mask</span> on it; the classifier's heat, on one scale up to the scan's score. A cause is what a stated rule "
        "finds in scan and truth: a guess to start from. Size of a voxel: "
        f"{html.escape(report.spacing)}.</p>",
    ]
    for cause in dict.fromkeys(case.cause for case in cases):
        members = [case for case in cases if case.cause == cause]
        sections.append(
            f"<h2>{cause.capitalize()}: {len(members)}</h2><p class='quiet'>{html.escape(RULE_TEXTS[cause])}</p>"
        )
        sections += [_article(case, report.score_threshold) for case in members]
    if not cases:
        sections.append("<p>No scan was missed, called wrongly, or marked far from its truth.</p>")
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{models}: failures</title><style>{STYLE}{_STYLE}</style><body>{''.join(sections)}{_counts(cases)}"
        "</body></html>\n"
    )


_STYLE = f"""
article {{ margin: 1.2rem 0 2rem; }} h3 {{ font-size: 1rem; margin: 0 0 .2rem; }} article p {{ margin: .2rem 0 .5rem; }}
article img {{ background: #111; display: block; }}
.truth, .mask {{ padding: 0 .3rem; color: #111; }} .truth {{ background: {TRUTH}; }} .mask {{ background: {MASK}; }}
"""


def failure_sentence(kind: str, row: Line, threshold: float) -> str:
    """The error of one scan in words."""
    types = f" ({', '.join(row.types)})" if row.types else ""
    bleeding_slices = f"{row.slices_with_blood} of {row.slices} slices"
    reaches = "reaches" if row.scan_any >= threshold else "stays under"
    score = f"its score {score_text(row.scan_any, threshold)} {reaches} the threshold of {threshold:g}"
    if kind == "missed bleed":
        return f"Bleeds{types} on {bleeding_slices} and was not called: {score}."
    if kind == "false alarm":
        return f"Does not bleed and was called: {score}."
    if kind == "low overlap":
        return (
            f"Bleeds{types} on {bleeding_slices}; {score}, but mask and truth overlap by a Dice of only {row.dice:.2f}."
        )
    bleeds = f"Bleeds{types} on {bleeding_slices}" if row.bleeds else "Does not bleed"
    return f"{bleeds}; {row.mask_ml:.1f} mL are marked where there are {row.true_ml:.1f} mL."


def _unseen_by_scan(source: str | Path, slices: Table, evaluation: Report) -> dict[str, tuple[Models, np.ndarray]]:
    """Scan to the models that never saw it, and its rows.

    Raises:
        ValueError: as `gallery`.
    """
    if evaluation.data != slices.name:
        raise ValueError(f"The report is of {evaluation.data}, the data is {slices.name}.")
    if evaluation.leaky:
        raise ValueError("The split leaks: slices of the same patients were trained on, so nobody is unseen.")
    models_by_scan: dict[str, tuple[Models, np.ndarray]] = {}
    hashes = {model.sha256 for model in evaluation.models}
    runs: Sequence[str | Path] = fold_runs(source) or [source]
    for run in runs:
        models = load(run, fill=False)
        if not hashes >= {model.sha256 for model in models}:
            raise ValueError(f"The report judges other models than those of {run}. Evaluate them again.")
        models_by_scan |= {str(slices.scan[rows[0]]): (models, rows) for rows in held_out_scans(models, run, slices)[1]}
    return models_by_scan


def _gallery_case(kind: str, row: Line, case: Case, result: Result) -> GalleryCase:
    from ich_lib.show import failure

    failed = Failure(case, result.mask)
    picture = BytesIO()
    figure = failure(result, case.truth, informative_slices(failed, result.heat))
    figure.savefig(picture, format="jpeg", dpi=110, pil_kwargs={"quality": 85}, facecolor=figure.get_facecolor())
    missed, false = (result.scan.volume_ml(voxels) for voxels in (failed.missed, failed.false_alarm))
    return GalleryCase(kind, row, tuple(causes(failed)), (missed, false), picture.getvalue())


def _article(case: GalleryCase, threshold: float) -> str:
    """One scan on the page."""
    row, encoded = case.row, base64.b64encode(case.picture).decode()
    also = f" Also fits: {', '.join(case.causes[1:])}." if case.causes[1:] else ""
    caption = f"scan {row.scan}" if row.scan == row.patient else f"patient {row.patient}, scan {row.scan}"
    numbers = {
        "true": _ml(row.true_ml),
        "marked": _ml(row.mask_ml),
        "missed": _ml(case.wrong_ml[0]),
        "wrongly marked": _ml(case.wrong_ml[1]),
        "Dice": "–" if row.dice is None else f"{row.dice:.2f}",
        "score": score_text(row.scan_any, threshold),
    }
    return (
        f"<article><h3>{case.kind.capitalize()}: {html.escape(caption)}</h3>"
        f"<p>{html.escape(failure_sentence(case.kind, row, threshold) + also)}</p>"
        f"<p class='quiet'>{' · '.join(f'{name} {value}' for name, value in numbers.items())}</p>"
        f"<img alt='slices of {html.escape(caption)}' src='data:image/jpeg;base64,{encoded}'></article>"
    )


def _ml(ml: float | None) -> str:
    return "–" if ml is None else f"{ml:.{1 if ml >= 1 else 2}f} mL"


def _counts(cases: Sequence[GalleryCase]) -> str:
    """Number of cases by cause and kind, for every rule, including rules without a case."""
    counts = Counter((case.cause, case.kind) for case in cases)
    rows = [
        (cause, *(counts[cause, kind] for kind in KINDS), sum(counts[cause, kind] for kind in KINDS), text)
        for cause, text in RULE_TEXTS.items()
    ]
    total = [sum(counts[cause, kind] for cause in RULE_TEXTS) for kind in KINDS]
    return html_table("Causes", [*rows, ("all", *total, len(cases), "")], ("cause", *KINDS, "all", "rule"))
