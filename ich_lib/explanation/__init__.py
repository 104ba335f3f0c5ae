"""Why did the model say so: maps of what mattered, on pictures (`methods`) and on a whole scan (`explain`).

`cut` takes a network apart and `slopes` asks each backend for a gradient; `filters` are what the first layer looks for;
`scored` holds maps against outlined blood. A map is the model's own account: it says where the answer came from, not
that the answer is right. Nothing here imports Keras before a network is asked.
"""

from ich_lib.explanation.methods import METHOD_NAMES, METHODS
from ich_lib.explanation.scan import explain, gradient_model, heat_map, heat_model, load_network

__all__ = ["METHODS", "METHOD_NAMES", "explain", "gradient_model", "heat_map", "heat_model", "load_network"]
