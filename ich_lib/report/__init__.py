"""A result to sentences and files that a person takes home: one file a step, and `write` for all of them.

Each carries the notice and the models' hashes, and none carries a value of the files that came in: no name, number,
date or UID. What a computer reads is content (JSON), table (CSV), nifti and seg (the mask on the scan's own grid); what
a person reads is picture (PNG) and paper (PDF).
"""

from ich_lib.report.content import as_json
from ich_lib.report.files import WRITERS, write
from ich_lib.report.languages import LANGUAGES, in_each
from ich_lib.report.nifti import write_nifti
from ich_lib.report.sentences import doubts, made_by, origin, sentence, volume

__all__ = [
    "LANGUAGES",
    "WRITERS",
    "as_json",
    "doubts",
    "in_each",
    "made_by",
    "origin",
    "sentence",
    "volume",
    "write",
    "write_nifti",
]
