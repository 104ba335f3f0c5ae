"""The commands of python -m ich_lib, a file a step of the journey; each file's `add` tells the parser its options."""

from ich_lib.commands import (
    archives,
    course,
    data,
    evaluating,
    explaining,
    fronts,
    gallery,
    hospital,
    robustness,
    scans,
    training,
)

COMMANDS = (  # in the order of the help page
    scans.add,
    data.add,
    training.add,
    evaluating.add,
    explaining.add,
    robustness.add,
    gallery.add,
    archives.add,
    hospital.add,
    course.add,
    fronts.add,
)
