"""The page to print."""

from pathlib import Path

from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.words.sentences import provenance, result_sentence


def write_paper(result: Result, path: Path) -> None:
    """report.pdf, one page of A4. It has no date, so the same result gives the same bytes."""
    from ich_lib.show import paper

    metadata = {"Title": result_sentence(result), "Subject": NOTICE, "Keywords": provenance(result)}
    paper(result).savefig(path, format="pdf", dpi=200, metadata={**metadata, "CreationDate": None})
