"""The overview as a picture."""

from pathlib import Path

from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.words.sentences import provenance, result_sentence


def write_picture(result: Result, path: Path) -> None:
    """overview.png; the text below the picture is also in its text chunks."""
    from ich_lib.show import overview

    metadata = {
        "Title": result_sentence(result),
        "Disclaimer": NOTICE,
        "Source": provenance(result),
        "Software": "ich_lib",
    }
    overview(result).savefig(path, format="png", dpi=110, metadata=metadata)
