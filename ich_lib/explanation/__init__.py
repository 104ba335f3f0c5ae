"""Explanations: maps of the places that changed a score, for pictures (`methods`) and for a whole scan (`explain`).

`cut` divides a network, and `slopes` computes a gradient for each backend. `filters` shows the filters of the first
layer. `scored` compares maps with outlined blood. A map is the model's own account: it shows where a score came from,
not that the score is right. Nothing here imports Keras before a network is used.
"""

from ich_lib.explanation.methods import METHOD_NAMES, METHODS
from ich_lib.explanation.scan import explain, gradient_model, heat_map, heat_model, load_network

__all__ = ["METHODS", "METHOD_NAMES", "explain", "gradient_model", "heat_map", "heat_model", "load_network"]
