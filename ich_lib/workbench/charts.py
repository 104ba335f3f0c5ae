"""Altair, imported in a third of the time.

It imports jsonschema, which builds a grammar of web addresses as it is imported wherever rfc3987_syntax is installed
(as with Jupyter): two seconds on two cores, for a check that no chart asks for. jsonschema takes it for not installed.
"""

import sys

_SLOW = "rfc3987_syntax"

_there = _SLOW in sys.modules
if not _there:
    sys.modules[_SLOW] = None  # importing it raises ImportError
try:
    import altair as alt
finally:
    if not _there:
        del sys.modules[_SLOW]

__all__ = ["alt"]
