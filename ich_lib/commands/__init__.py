"""The commands of python -m ich_lib, a file a step of the journey; each file's `add` tells the parser its options."""

from ich_lib.commands import data, evaluating, explaining, scans, training

ADDED = (scans.add, data.add, training.add, evaluating.add, explaining.add)  # in the order of the help page
