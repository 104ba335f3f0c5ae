"""A result to files for people and programs: one module per file, and `write` for all of them.

Each file carries the notice and the models' hashes. None carries a value of the input files: no name, number, date or
UID. Files for programs are content (JSON), table (CSV), nifti and seg (the mask on the scan's own grid). Files for
people are picture (PNG) and paper (PDF).
"""

from ich_lib.reports.content import as_json
from ich_lib.reports.files import WRITERS, write
from ich_lib.reports.nifti import write_nifti

__all__ = ["WRITERS", "as_json", "write", "write_nifti"]
