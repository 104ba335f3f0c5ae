"""The page of what can be read, made of the table that the tests check: python docs/reading.py

The table stands in tests/readers/test_kinds.py; a test there fails where docs/reading.md is not up to date.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.readers.test_kinds import PAGE, markdown  # noqa: E402

INTRODUCTION = """# What can be read

`read`, the demo and `python -m ich_lib predict` take files, folders and archives. What a file is, its content tells.
`python docs/reading.py` makes this table of the tests: each line is a file that a test writes and gives to the reader.

What happens is one of three things. The scan is **read** as it is; or it is **read, with a note** that says what was
assumed, left out or looks odd; or it is **refused** in a sentence that says why and what to do. The last column holds
words of that note or sentence. Where distances cannot be trusted, nothing is given in mL.

"""

if __name__ == "__main__":
    PAGE.write_text(INTRODUCTION + markdown())
    print(f"wrote {PAGE.relative_to(ROOT)}")
