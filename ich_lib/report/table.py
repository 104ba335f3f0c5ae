"""A result as a table for a spreadsheet: a row a slice."""

import csv
from pathlib import Path

from ich_lib.predict import NOTICE, Result
from ich_lib.report.content import as_json
from ich_lib.report.sentences import made_by

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(result: Result, path: Path) -> None:
    """slices.csv: slice (from 1, as the viewer counts), six scores, pixels and mL of the mask, doubt.

    The notice and the models stand in every row, as columns: a line of comment above the header becomes a row of data
    in some programs, and is lost as soon as the table is sorted or a part of it copied.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = [
            {
                "slice": row["index"] + 1,
                **row["scores"],
                "mask_pixels": row["mask_pixels"],
                "mask_ml": row["mask_ml"],
                "doubt": row["doubt"],
                "notice": cell(NOTICE),
                "models": cell(made_by(result)),
            }
            for row in as_json(result)["slices"]
        ]
        table = csv.DictWriter(file, lines[0].keys())
        table.writeheader()
        table.writerows(lines)


def cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Source:
        OWASP, CSV Injection.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
