"""The commands of python -m ich_lib, one module per step of the work. The `add` of each module adds its options to the
parser."""

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
