"""Altair, imported in a quarter of the time.

It imports jsonschema, which builds a grammar of web addresses as it is imported wherever rfc3987_syntax is installed
(as with Jupyter): a second of 1.4, for a check that no chart asks for. jsonschema takes it for not installed.
"""

import sys

_SLOW = "rfc3987_syntax"

_there = _SLOW in sys.modules
if not _there:
    sys.modules[_SLOW] = None  # type: ignore[assignment]  # importing it raises ImportError, as Python documents
try:
    import altair as alt
finally:
    if not _there:
        del sys.modules[_SLOW]

__all__ = ["alt"]
