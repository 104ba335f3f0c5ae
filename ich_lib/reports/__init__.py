"""A result to files that a person takes home: one file a step, and `write` for all of them.

Each carries the notice and the models' hashes, and none carries a value of the files that came in: no name, number,
date or UID. What a computer reads is content (JSON), table (CSV), nifti and seg (the mask on the scan's own grid); what
a person reads is picture (PNG) and paper (PDF).
"""

from ich_lib.reports.content import as_json
from ich_lib.reports.files import WRITERS, write
from ich_lib.reports.nifti import write_nifti

__all__ = ["WRITERS", "as_json", "write", "write_nifti"]
