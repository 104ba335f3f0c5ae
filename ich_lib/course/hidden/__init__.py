"""Inputs that no lesson shows: random, unequal from side to side, each with the library's answer.

`INPUTS` draws a function's arguments and the answer expected; `JUDGES` looks at functions whose answer is a matter of
chance, or whose rule allows several. The keys are the numbers of the exercises.
"""

from collections.abc import Callable, Mapping

import numpy as np

from ich_lib.course.hidden import labs, measuring, networks, reading, training

Draw = Callable[[np.random.Generator], tuple[tuple, object]]
Judge = Callable[[Callable], None]

_ROOMS = (reading, networks, measuring, labs, training)
INPUTS: Mapping[str, Draw] = {number: draw for room in _ROOMS for number, draw in room.INPUTS.items()}
JUDGES: Mapping[str, Judge] = {number: judge for room in _ROOMS for number, judge in room.JUDGES.items()}
