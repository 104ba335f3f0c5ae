"""A result as a table for a spreadsheet, with a row per slice."""

import csv
from pathlib import Path

from ich_lib.labels import LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.reports.content import as_json
from ich_lib.words import belief_sentence, doubt_sentences

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(result: Result, path: Path) -> None:
    """slices.csv: slice (from 1, as in the viewer), six scores, pixels and mL of the mask, doubt; empty cells if the
    finding is withheld.

    The sentence of the whole scan, its doubts, the notice and the models are columns of every row. A comment line above
    the header becomes a row of data in some programs, and it is lost if the table is sorted or copied in part.
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
    """Text that no spreadsheet interprets as a formula.

    Source:
        OWASP, CSV Injection.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
