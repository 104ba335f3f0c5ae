"""Results to figures: the only package that imports matplotlib. Figures are returned, never shown."""

from ich_lib.show.evaluation import evaluation
from ich_lib.show.explanation import explanation, filters
from ich_lib.show.result import overview

__all__ = ["evaluation", "explanation", "filters", "overview"]
