"""Numbers and names in a sentence."""

from collections.abc import Iterable


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "slice"), count(34, "slice"), count(2, "series")
    ('1 slice', '34 slices', '2 series')
    """
    return f"{number} {noun}" if number == 1 or noun.endswith("s") else f"{number} {noun}s"


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them.

    >>> listed(["A"]), listed(["A", "B"]), listed(["A", "B", "C"])
    ('A', 'A and B', 'A, B and C')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
