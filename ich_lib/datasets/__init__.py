"""Data sets on disk to one table of slices each."""

from ich_lib.datasets.ct_ich import Table, ct_ich

__all__ = ["Table", "ct_ich"]
