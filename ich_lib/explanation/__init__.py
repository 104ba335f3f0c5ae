"""Why did the model say so: maps of what mattered, on pictures (`methods`) and on a whole scan (`explain`).

`cut` takes a network apart and `slopes` asks each backend for a gradient; `filters` are what the first layer looks for;
`scored` holds maps against outlined blood. A map is the model's own account: it says where the answer came from, not
that the answer is right. Nothing here imports Keras before a network is asked.
"""

from ich_lib.explanation.methods import METHODS, NAMES
from ich_lib.explanation.scan import asked, by_network, explain, heat_of, network_of

__all__ = ["METHODS", "NAMES", "asked", "by_network", "explain", "heat_of", "network_of"]
