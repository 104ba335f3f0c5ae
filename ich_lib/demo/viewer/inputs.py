"""What the model is given, as plain values for the panel below the picture."""

import numpy as np

from ich_lib.demo.viewer.packing import pack
from ich_lib.prediction.inputs import InputPictures
from ich_lib.prepare.window import WINDOWS


def inputs_payload(inputs: InputPictures) -> dict:
    """The pictures of one model as values that JSON can carry.

    Returns:
        `pictures[slab][window]` (base64, see `pack`; gray levels 0 to 255), `size` of their sides, `windows` as (level,
        width) in HU, `given` (slabs that go together with each), `slabs` (first and last slice of each, from 0) and
        `box` (top, left, side in pixels of the scan).
    """
    grays = np.rint(inputs.pictures * 255).astype(np.uint16)
    return {
        "model": inputs.model,
        "size": inputs.pictures.shape[1],
        "pictures": [[pack(picture) for picture in np.moveaxis(slab, -1, 0)] for slab in grays],
        "windows": [WINDOWS[name] for name in inputs.windows],
        "given": inputs.slabs_per_input,
        "slabs": [[rows.start, rows.stop - 1] for rows in inputs.slabs],
        "box": [inputs.box.top, inputs.box.left, inputs.box.side],
    }
