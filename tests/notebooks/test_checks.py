"""No check accepts a wrong answer: automatic mutants of every solution are tried on the hidden inputs.

Some mutants give the same answers as the solution. `EQUIVALENT` names each of them with its reason; any other survivor
fails.
`python -m tests.notebooks.test_checks` prints the table.
"""

import ast
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import pytest

from ich_lib.course.attempt import Attempt, attempt
from ich_lib.course.hidden import INPUTS, JUDGES
from tests.notebooks.mutants import Mutant, mutants
from tests.notebooks.test_notebooks import LESSONS, build

QUICK_KINDS = ("argument ignored", "input changed in place")
IN_PLACE, SWAPPED, REDUCED = "input changed in place", "operator swapped", "reduction swapped"
NUMBER, DROPPED, CONSTANT = "number changed", "option dropped", "constant returned"
UNSPOILED = "its arguments are numbers, text or objects that the machine does not spoil"
ONE_LENGTH = "both are of one length"
SAME_SET = "the order of a set or a dictionary does not count"
EVEN = "the noise is symmetric"
NO_TIE = "real numbers are never exactly there"
EQUIVALENT = {
    ("0.1", IN_PLACE, ""): UNSPOILED,
    ("1.4", SWAPPED, "hu < 45 -> hu <= 45"): NO_TIE,
    ("1.4", SWAPPED, "hu > 15 -> hu >= 15"): NO_TIE,
    (
        "3.1",
        SWAPPED,
        "(affine @ middle)[0] > 0 -> (affine @ middle)[0] >= 0",
    ): NO_TIE,
    ("3.2", IN_PLACE, ""): UNSPOILED,
    ("3.4", REDUCED, "lengths.max -> lengths.mean"): "the length cancels: a * (spread / a)",
    ("3.4", NUMBER, "0 -> 1"): "on an ellipse each diameter times the width along it is the same",
    ("3.4", NUMBER, "1000 -> 1001"): "a thousandth, less than the pixels of an ellipse allow",
    ("3.4", REDUCED, "mask.sum -> mask.mean"): "the largest slice is the same",
    ("5.2", REDUCED, "sorted -> list"): "within one Python the order of a set is fixed",
    ("6.4", SWAPPED, "rng.random() < 0.5 -> rng.random() <= 0.5"): NO_TIE,
    ("7.3", IN_PLACE, ""): UNSPOILED,
    ("7.4", DROPPED, "zip(truth, probability, strict=True) -> zip(truth, probability)"): ONE_LENGTH,
    ("8.2", DROPPED, "zip(truth, mask, strict=True) -> zip(truth, mask)"): ONE_LENGTH,
    ("10.2", IN_PLACE, ""): UNSPOILED,
    ("10.3", IN_PLACE, ""): UNSPOILED,
    ("11.3", NUMBER, "0.0 -> 1.0"): "an empty map is 0 whatever it is multiplied by",
    ("12.1", NUMBER, "1000 -> 1001"): "one draw more",
    ("12.3", IN_PLACE, ""): UNSPOILED,
    ("12.4", NUMBER, "6 -> 7"): "a slightly coarser grid",
    ("12.4", NUMBER, "56 -> 57"): "a slightly finer grid",
    (
        "13.1",
        SWAPPED,
        "hu + rng.normal(0, sd_hu, hu.shape) -> hu - rng.normal(0, sd_hu, hu.shape)",
    ): EVEN,
    ("13.3", REDUCED, "sorted -> list"): SAME_SET,
    ("14.1", DROPPED, "zip(onnx_output, keras_output, strict=True) -> zip(onnx_output, keras_output)"): ONE_LENGTH,
    ("15.1", CONSTANT, "its first answer"): "it answers True or raises",
    ("15.1", REDUCED, "min -> max"): "another example in the message",
    ("15.2", NUMBER, "2000 -> 2001"): "one draw more",
    ("15.3", IN_PLACE, ""): UNSPOILED,
    ("16.1", SWAPPED, "probability[places] > 0.5 -> probability[places] >= 0.5"): "what is kept is never one half",
    ("22.2", NUMBER, "0 -> 1"): "the first loss is below infinity, which sets the count to 0",
    ("24.1", IN_PLACE, ""): UNSPOILED,
    ("24.1", SWAPPED, "width * z * y * x // 8 ** level -> width * z * y * x / 8 ** level"): "it divides evenly",
}


@dataclass(frozen=True)
class Exercise:
    """A function that a learner writes.

    Attributes:
        number: such as "2.1".
        name: of the function.
        source: solved.
        lesson: its name.
    """

    number: str
    name: str
    source: str
    lesson: str

    def function(self, source: str) -> Callable:
        """The function, with the imports and definitions of the lesson."""
        space = dict(_around(self.lesson))
        exec(source, space)
        return space[self.name]


def _exercises() -> list[Exercise]:
    found = []
    for lesson in LESSONS:
        code = [cell for cell in lesson.cells if cell.cell_type == "code"]
        for cell, check in pairwise(code):
            name = re.search(r"(?m)^def (\w+)", cell.source)
            if "exercise" in build.tags(cell) and name:
                number = re.search(r'attempt\("([\d.]+)"', check.source)[1]
                found.append(Exercise(number, name[1], build.solution(cell.source), lesson.name))
    return found


EXERCISES = _exercises()


@cache
def _around(name: str) -> dict:
    """The imports, functions and constants of a lesson, and nothing that takes time."""
    space: dict = {}
    (lesson,) = (lesson for lesson in LESSONS if lesson.name == name)
    cells = [cell for cell in lesson.cells if cell.cell_type == "code"]
    for cell in cells:
        if not {"exercise", "check", "mistake"} & set(build.tags(cell)):
            for node in ast.parse(cell.source).body:
                if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)) or _is_literal(node):
                    exec(ast.unparse(node), space)
    return space


def _is_literal(node: ast.AST) -> bool:
    """A constant, such as NEEDED = ("data", ...)."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("NEEDED", "RULE")
    )


def survives(exercise: Exercise, mutant: Mutant) -> bool:
    """Whether the check accepts it. Any error counts as a refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Attempt(exercise.number, exercise.function(mutant.source)).passes()
    except Exception:  # noqa: BLE001
        return False
    return True


def survivors(exercise: Exercise, *kinds: str) -> tuple[Counter, list[tuple[str, str, str]]]:
    """The number of mutants of each kind, and those that pass."""
    made = [mutant for mutant in mutants(exercise.source) if not kinds or mutant.kind in kinds]
    alive = [(exercise.number, mutant.kind, mutant.change) for mutant in made if survives(exercise, mutant)]
    return Counter(mutant.kind for mutant in made), alive


def test_every_function_that_a_learner_writes_meets_hidden_inputs():
    numbers = [exercise.number for exercise in EXERCISES]
    assert sorted(numbers) == sorted({*INPUTS, *JUDGES})
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.number)
def test_a_solution_passes_on_hidden_inputs_and_its_worst_mutants_do_not(exercise, capsys):
    Attempt(exercise.number, exercise.function(exercise.source)).passes()
    assert capsys.readouterr().out == f"{exercise.number} correct\n"
    made, alive = survivors(exercise, *QUICK_KINDS)
    assert made
    assert [mutant for mutant in alive if mutant not in EQUIVALENT] == []


@pytest.mark.long
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.number)
def test_every_mutant_of_a_solution_is_refused_or_named_with_its_reason(exercise):
    _, alive = survivors(exercise)
    named = {mutant for mutant in EQUIVALENT if mutant[0] == exercise.number}
    assert {*alive} == named, "a wrong answer is accepted, or a reason is out of date"


def test_a_stub_a_forgotten_return_a_sort_in_place_and_a_changed_argument_say_so(capsys):
    def stub(values): ...
    def forgotten(values):
        values + 1

    def in_place(values):
        values.sort()

    def spoiling(values):
        values += 1
        return values - 1

    assert attempt("1.1", stub) is None
    assert attempt("1.1", None) is None
    assert capsys.readouterr().out == "1.1 not tried yet - go on, nothing below needs it\n" * 2
    numbers = __import__("numpy").array([3.0, 1.0])
    for function, words in ((forgotten, "Is a `return` missing"), (in_place, "sorts in place and gives nothing back")):
        with pytest.raises(AssertionError, match=words):
            attempt("1.1", function)(numbers)
    with pytest.raises(AssertionError, match="spoiling has changed what it was given"):
        attempt("1.1", spoiling)(numbers)
    assert numbers.tolist() == [3, 1]


def test_a_refusal_shows_the_hidden_input_the_answer_and_the_librarys():
    (exercise,) = (exercise for exercise in EXERCISES if exercise.number == "7.3")
    wrong = exercise.function("def weights_of(k, into, out):\n    return k * k * into * out")
    with pytest.raises(AssertionError, match=r"On a hidden input weights_of\(\d.*\) gave \d+; the library says \d+"):
        attempt("7.3", wrong).passes()


def main() -> None:
    """The table: mutants made, refused, accepted."""
    made, alive = Counter(), Counter()
    for exercise in EXERCISES:
        kinds, found = survivors(exercise)
        made, alive = made + kinds, alive + Counter(kind for _, kind, _ in found)
    print("| kind | made | refused | accepted, each equivalent |\n|---|---|---|---|", file=sys.stderr)
    for kind, count in made.most_common():
        print(f"| {kind} | {count} | {count - alive[kind]} | {alive[kind]} |", file=sys.stderr)
    print(f"| all | {made.total()} | {made.total() - alive.total()} | {alive.total()} |", file=sys.stderr)


if __name__ == "__main__":
    main()
