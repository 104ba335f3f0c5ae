"""Results to figures: the only package that imports matplotlib. Figures are returned, never shown."""

from ich_lib.show.evaluation import evaluation
from ich_lib.show.explanation import explanation, filters
from ich_lib.show.gallery import failure
from ich_lib.show.paper import paper
from ich_lib.show.pictures import row
from ich_lib.show.result import overview
from ich_lib.show.volume import agreement

__all__ = ["agreement", "evaluation", "explanation", "failure", "filters", "overview", "paper", "row"]
