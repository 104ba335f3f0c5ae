"""The summary page of an archive (number of studies, how many are positive or unsure, what failed and why), and the
lines as a Parquet table."""

import html
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ich_lib.archive.lines import read_lines
from ich_lib.archive.score import COLUMNS, FAILED
from ich_lib.labels import TYPES
from ich_lib.notice import NOTICE

PAGE, TABLE = "report.html", "results.parquet"
_BINS = 10  # of the probability, for the table of uncertainty
_EXAMPLES = 20  # studies listed for each reason of a failure
_ROWS = 1000  # of the table at a time
_FINDINGS = {
    "bleeding": "bleeding likely",
    "uncertain": "uncertain",
    "none": "no bleeding found",
    "withheld": "withheld: may not be a native head CT",
    FAILED: "failed: could not be read",
}


@dataclass
class Tally:
    """Counts that are updated line by line, so that an archive of any length needs the same memory.

    Attributes:
        findings: number of each.
        any_scores: number of scans in each tenth of the probability of any bleeding.
        types: number of bleeding scans by their most probable type.
        unsure: scans with at least one slice whose mirror image gets a different score.
        volume_ml: sum over scans with a volume.
        measured: scans with a volume.
        slices: of all scans.
        seconds: of work.
        doubts: number of scans with each.
        failures: code to number.
        examples: code to the first studies and their messages.
        weights: of the models that scored them.
    """

    findings: Counter[str] = field(default_factory=Counter)
    any_scores: Counter[int] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    unsure: int = 0
    volume_ml: float = 0.0
    measured: int = 0
    slices: int = 0
    seconds: float = 0.0
    doubts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    weights: Counter[str] = field(default_factory=Counter)


def count_lines(lines: Iterable[dict]) -> Tally:
    """Count the lines, one at a time."""
    tally = Tally()
    for line in lines:
        tally.findings[line["finding"]] += 1
        tally.weights[line.get("weights") or "unknown"] += 1
        tally.seconds += line.get("seconds") or 0.0
        if line["finding"] == FAILED:
            tally.failures[line["error"]] += 1
            examples = tally.examples.setdefault(line["error"], [])
            examples += [(line["study"], line["sentence"])] if len(examples) < _EXAMPLES else []
            continue
        _count_scored(tally, line)
    return tally


def _count_scored(tally: Tally, line: dict) -> None:
    tally.slices += line["slices"]
    tally.doubts.update(line["doubts"].split())
    tally.unsure += bool(line["unsure_slices"])
    if line["any"] is not None:
        tally.any_scores[min(int(line["any"] * _BINS), _BINS - 1)] += 1
    if line["finding"] == "bleeding":
        tally.types[max(TYPES, key=lambda name: line[name])] += 1
    if line["volume_ml"] is not None:
        tally.measured, tally.volume_ml = tally.measured + 1, tally.volume_ml + line["volume_ml"]


def report(folder: str | Path) -> list[Path]:
    """Write report.html beside results.jsonl and, if pyarrow is installed, results.parquet.

    Args:
        folder: the --out of `ich predict --many LIST --out FOLDER`, which may still be running.

    Returns:
        The files.

    Raises:
        FileNotFoundError: if there is no results.jsonl.

    Example:
        >>> from ich_lib.archive.lines import open_lines
        >>> from ich_lib.archive.report import report
        >>> from ich_lib.archive.score import score
        >>> with open_lines("out") as lines:
        ...     _ = lines.add(score("nowhere", "shipped"))
        >>> report("out")[0].name
        'report.html'
    """
    folder = Path(folder)
    (folder / PAGE).write_text(page(count_lines(read_lines(folder))), encoding="utf-8")
    return [folder / PAGE, *([folder / TABLE] if write_table(folder) else [])]


def write_table(folder: Path) -> bool:
    """Write results.parquet, some rows at a time; False if pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return False
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in COLUMNS.items()])
    with parquet.ParquetWriter(folder / TABLE, schema) as table:
        for rows in _batches(read_lines(folder)):
            table.write_table(pyarrow.Table.from_pylist(rows, schema))
    return True


def page(tally: Tally) -> str:
    """The complete page, which needs no other file."""
    from ich_lib.evaluation.page import STYLE, html_table  # a Space has no evaluation, and the demo needs this room

    scored = sum(tally.findings.values()) - tally.findings[FAILED]
    judged = sum(tally.any_scores.values())
    total = scored + tally.findings[FAILED]
    share = lambda part, n: f"{part / n:.1%}" if n else "–"  # noqa: E731
    findings = [(words, tally.findings[name], share(tally.findings[name], total)) for name, words in _FINDINGS.items()]
    score_rows = [
        (f"{k / _BINS:.1f} to {(k + 1) / _BINS:.1f}", tally.any_scores[k], share(tally.any_scores[k], judged))
        for k in range(_BINS)
    ]
    count = ("", "scans", "share")
    sections = [
        f"<h1>{total} studies</h1><p class='notice'>{html.escape(NOTICE)}</p>",
        f"<p>{scored} scored with {tally.slices} slices, {tally.findings[FAILED]} failed; {_work(tally, total)}</p>",
        html_table("What was found", findings, count),
        html_table("Most likely type, of scans with bleeding", _ranked(tally.types), count[:2]),
        f"<p>{tally.measured} scans have a volume, {_mean_ml(tally)}.</p>",
        html_table("Probability of any bleeding", score_rows, count),
        f"<p>On {tally.unsure} of {judged} scans the model is unsure on at least one slice.</p>",
        html_table("Reasons why a scan may not be a native head CT", _ranked(tally.doubts), count[:2]),
        html_table("Why studies failed", _ranked(tally.failures), count[:2]),
        *(html_table(html.escape(code), rows, ("study", "why")) for code, rows in sorted(tally.examples.items())),
        html_table("Weights", _ranked(tally.weights), ("SHA-256, first 16 digits", "scans")),
    ]
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{total} studies</title><style>{STYLE}</style><body>{''.join(sections)}</body></html>\n"
    )


def _work(tally: Tally, total: int) -> str:
    return (
        f"{tally.seconds / 3600:.2f} hours of work, {tally.seconds / total:.1f} s a study." if total else "nothing yet."
    )


def _mean_ml(tally: Tally) -> str:
    return f"{tally.volume_ml / tally.measured:.1f} mL on average" if tally.measured else "so there is no mean"


def _ranked(counted: Counter[str]) -> list[tuple[str, int]]:
    return counted.most_common()


def _batches(lines: Iterator[dict]) -> Iterator[list[dict]]:
    rows: list[dict] = []
    for line in lines:
        rows.append(line)
        if len(rows) == _ROWS:
            yield rows
            rows = []
    if rows:
        yield rows
