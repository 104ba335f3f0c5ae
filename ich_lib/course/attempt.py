"""A learner's function under test: three mistakes are named, and hidden inputs compare it with the library."""

import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

NOT_ATTEMPTED = "not tried yet - go on, nothing below needs it"
CORRECT = "correct"
ROUNDS = 40  # hidden inputs of one exercise, seeded by their place
_OPAQUE = (type(None), str, set, int, float, bool, complex, np.generic)


def is_attempted(number: str, *answers: object) -> bool:
    """Whether an exercise was tried, told if it was not.

    A stub answers None (or Ellipsis), so a check that begins with this lets a learner who is stuck go on.

    Args:
        number: of the exercise, such as "2.1".
        *answers: what the learner's code gave; all of them are wanted.
    """
    if any(answer is None or answer is ... for answer in answers):
        print(f"{number} {NOT_ATTEMPTED}")  # noqa: T201
        return False
    return True


def mark_correct(number: str) -> None:
    """Say that every check of an exercise passed."""
    print(f"{number} {CORRECT}")  # noqa: T201


def _stub() -> None: ...


@dataclass(frozen=True)
class Attempt:
    """A function that a learner wrote, watched while a check calls it.

    Attributes:
        number: of the exercise, such as "2.1".
        function: as written.
    """

    number: str
    function: Callable

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function.

        Raises:
            AssertionError: if it gives nothing back, or changes what it was given.
        """
        arguments_copy = copy(arguments)
        answer = self.function(*arguments_copy, **options)
        assert answer is not None, self._nothing()
        assert agree(arguments, arguments_copy), self._changed()
        return answer

    def passes(self) -> None:
        """Compare with the library on hidden inputs, then say that the exercise is correct.

        Raises:
            AssertionError: if an answer differs; the message shows the input, the answer and the library's.
        """
        from ich_lib.course.hidden import INPUTS, JUDGES

        for seed in range(ROUNDS):
            if self.number in INPUTS:
                arguments, expected = INPUTS[self.number](np.random.default_rng(seed))
                self._compare(arguments, expected)
        if self.number in JUDGES:
            JUDGES[self.number](self)
        mark_correct(self.number)

    def _compare(self, arguments: tuple, expected: Any) -> None:
        arguments_copy = copy(arguments)
        with np.errstate(all="ignore"):
            for _ in range(2):  # the second answer differs where the first call spoiled its input
                mine = _call(self.function, *arguments_copy)
                assert mine is not None or expected is None, self._nothing()
                wrong = f"On a hidden input {self._text(arguments)} gave {_short(mine)}"
                assert agree(mine, expected), f"{wrong}; the library says {_short(expected)}."
        assert agree(arguments, arguments_copy), self._changed()

    def _text(self, arguments: tuple) -> str:
        return f"{self.function.__name__}({', '.join(map(_short, arguments))})"

    def _nothing(self) -> str:
        name = self.function.__name__
        if "sort" in getattr(self.function, "__code__", _stub.__code__).co_names:
            return f"{name} gave None: `.sort()` sorts in place and gives nothing back. Return `sorted(...)`."
        return f"{name} gave None. Is a `return` missing?"

    def _changed(self) -> str:
        return f"{self.function.__name__} has changed what it was given. Work on a copy."


def attempt(number: str, function: Callable | None) -> Attempt | None:
    """The function of a learner, ready to be checked; None, with a sentence, if it is still the stub.

    Args:
        number: of the exercise, such as "2.1".
        function: the learner's.

    Example:
        >>> def my_window(hu, level, width): ...
        >>> attempt("2.1", my_window)
        2.1 not tried yet - go on, nothing below needs it
    """
    code = getattr(function, "__code__", None)
    is_stub = code is not None and code.co_code == _stub.__code__.co_code and not code.co_freevars
    is_stub = is_stub and code is not None and set(code.co_consts) <= {None, ...}
    return Attempt(number, function) if is_attempted(number, None if is_stub else function) and function else None


def _call(function: Callable, *arguments: Any) -> Any:
    """The answer, or ValueError (the class) where that is raised: some exercises ask for it."""
    try:
        return function(*arguments)
    except ValueError:
        return ValueError


def copy(value: Any) -> Any:
    """A copy of arrays and containers; anything else is passed on."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(copy(item) for item in value)
    if isinstance(value, SimpleNamespace):
        return SimpleNamespace(**copy(vars(value)))
    return set(value) if isinstance(value, set) else value


def agree(mine: Any, expected: Any) -> bool:
    """Whether two answers are equal: numbers within rounding, sequences item by item, objects by identity.

    Example:
        >>> agree([0.5, 1], np.array([0.5, 1.0])), agree([0.5], [0.5, 1])
        (True, False)
    """
    if mine is expected:
        return True
    if isinstance(expected, dict):
        return isinstance(mine, dict) and set(mine) == set(expected) and all(agree(mine[k], expected[k]) for k in mine)
    if isinstance(expected, SimpleNamespace):
        return isinstance(mine, SimpleNamespace) and agree(vars(mine), vars(expected))
    if _is_numeric(expected):
        return _is_numeric(mine) and _close(np.asarray(mine), np.asarray(expected))
    if isinstance(expected, (list, tuple)) or (isinstance(expected, np.ndarray) and expected.ndim):
        is_sequence = isinstance(mine, (list, tuple, np.ndarray)) and np.ndim(np.empty(len(mine))) == 1
        return is_sequence and len(mine) == len(expected) and all(map(agree, mine, expected))
    return isinstance(expected, _OPAQUE) and bool(mine == expected)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, (list, tuple)) and not all(map(_is_numeric, value)):
        return False
    try:
        return np.asarray(value).dtype.kind in "biuf" if _may_be_array(value) else False
    except ValueError:  # lists of unequal length
        return False


def _may_be_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, bool, int, float, list, tuple))


def _close(mine: np.ndarray, expected: np.ndarray) -> bool:
    return mine.shape == expected.shape and bool(
        np.allclose(mine.astype(float), expected.astype(float), rtol=1e-4, atol=1e-5, equal_nan=True)
    )


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 12:
        mean = f", mean {value.astype(float).mean():.4g}" if value.dtype.kind in "biuf" else ""
        return f"array of {value.shape}{mean}"
    if isinstance(value, (list, tuple)) and len(value) > 12:
        return _short(list(value[:8]))[:-1] + ", ...]"
    return "a ValueError" if value is ValueError else reprlib.repr(value)
