"""Write docs/reading.md, the page of what can be read, from the table that the tests check: python docs/reading.py

The table is in tests/readers/test_kinds.py. A test there fails if docs/reading.md is not up to date.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.readers.test_kinds import PAGE, markdown  # noqa: E402

INTRODUCTION = """# What can be read

`read`, the demo and `python -m ich_lib predict` take files, folders and archives. They recognize a file by its content,
not by its name. `python docs/reading.py` makes this table from the tests: each line is a file that a test writes and
reads.

| result | meaning |
|---|---|
| **read** | the scan is read as it is |
| **read, with a note** | the note says what was assumed, what was left out, or what looks odd |
| **refused** | the message says why, and what to do |

The last column holds words of the note or the message. If distances are not reliable, no volume in mL is given.

"""

if __name__ == "__main__":
    PAGE.write_text(INTRODUCTION + markdown())
    print(f"wrote {PAGE.relative_to(ROOT)}")
