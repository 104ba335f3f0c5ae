"""Altair, imported without the grammar of web addresses that jsonschema builds: import `alt` from here.

Saves 1.6 of 3.9 CPU seconds that the workbench needs to import its pages, where rfc3987-syntax is installed, as with
Jupyter (altair 6.3, jsonschema 4.26, rfc3987-syntax 1.1, Python 3.11; medians of 5 rounds, with and without in turns).

jsonschema, which altair imports, uses rfc3987-syntax if it is installed, and that builds a parser during its import. No
chart needs this check. None in sys.modules makes jsonschema believe that the package is not installed.

tests/workbench/test_charts.py fails if jsonschema no longer does so, or no longer accepts this.
"""

import sys

_SLOW = "rfc3987_syntax"

_installed = _SLOW in sys.modules
if not _installed:
    sys.modules[_SLOW] = None  # type: ignore[assignment]  # importing it raises ImportError, as Python documents
try:
    import altair as alt
finally:
    if not _installed:
        del sys.modules[_SLOW]

__all__ = ["alt"]
