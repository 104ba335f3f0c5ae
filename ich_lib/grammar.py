"""Numbers and names in a sentence."""

import re
from collections.abc import Iterable, Sequence


def count(number: int, noun: str) -> str:
    """A number with its noun. Of "copy of a file", the copies are counted.

    >>> count(1, "slice"), count(34, "slice"), count(2, "series"), count(2, "copy of a file")
    ('1 slice', '34 slices', '2 series', '2 copies of a file')
    """
    return f"{number} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    words, of, rest = noun.partition(" of ")
    if words.endswith("s"):  # such as series
        return noun
    if re.search("[^aeiou]y$", words):
        return f"{words[:-1]}ies{of}{rest}"
    return f"{words}{'es' if words.endswith(('x', 'z', 'ch', 'sh')) else 's'}{of}{rest}"


def first_few(names: Sequence[str], *, most: int = 5) -> str:
    """The first names, and the number of the others.

    >>> first_few(["a", "b", "c", "d"], most=2)
    'a, b and 2 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def listed(names: Iterable[str]) -> str:
    """Names joined for a sentence.

    >>> listed(["A"]), listed(["A", "B"]), listed(["A", "B", "C"])
    ('A', 'A and B', 'A, B and C')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
