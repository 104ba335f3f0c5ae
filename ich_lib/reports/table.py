"""A result as a table for a spreadsheet: a row a slice."""

import csv
from pathlib import Path

from ich_lib.labels import LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.reports.content import as_json
from ich_lib.words import belief_sentence, doubt_sentences

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(result: Result, path: Path) -> None:
    """slices.csv: slice (from 1, as the viewer counts), six scores, pixels and mL of the mask, doubt; empty cells where
    nothing is believed.

    The sentence of the whole scan, its doubts, the notice and the models stand in every row, as columns: a line of
    comment above the header becomes a row of data in some programs, and is lost as soon as the table is sorted or a
    part of it copied.
    """
    content = as_json(result)
    constants = {
        "finding": _cell(content["sentence"]),
        "remarks": _cell(" ".join(filter(None, [belief_sentence(result), *doubt_sentences(result)]))),
        "notice": _cell(NOTICE),
        "models": _cell("; ".join(f"{name} {sha256}" for name, sha256 in result.models)),
    }
    rows = [
        {
            "slice": row["slice"],
            **(row["scores"] or dict.fromkeys(LABELS)),
            "mask_pixels": row["mask_pixels"],
            "mask_ml": row["mask_ml"],
            "doubt": row["doubt"],
            **constants,
        }
        for row in content["slices"]
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


def _cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Source:
        OWASP, CSV Injection.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
