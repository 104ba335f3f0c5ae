"""A result whose numbers are all known: the viewer is compared with it, in Python and in the browser."""

from dataclasses import replace

import numpy as np

from ich_lib.prediction.analyze import Result
from ich_lib.prediction.calibration import Evidence
from ich_lib.prediction.gates import find_doubts
from ich_lib.prediction.ood import OodScore
from ich_lib.prepare.anatomy import Head
from ich_lib.scan import Scan, axial_affine

SHAPE = (5, 60, 80)  # (z, y, x), all different
SPACING_MM = (5.0, 0.5, 0.25)  # all different too; 80 columns are 20 mm, 60 rows are 30 mm
BLEED = (slice(3, 4), slice(8, 20), slice(52, 70))  # one slice, in front, on the patient's left
SMALL_BLEED = (slice(1, 2), slice(30, 36), slice(10, 18))
NO_HEAD = Head(np.zeros(5), np.zeros(5, bool), None, None, 0.0, (0.0, 0.0, 0.0))


def doubtful_result() -> Result:
    """The same result, which the gate of the model's features refuses."""
    odd = OodScore(3.14, 1.5, 0.99)
    (doubt,) = find_doubts(Scan(np.full(SHAPE, 30, np.float32), np.eye(4), hu_known=False), NO_HEAD, odd)
    return replace(result(warnings=[doubt.sentence, "Odd."]), ood=odd, doubts=(doubt,))


def result(*, shape=SHAPE, spacing_mm=SPACING_MM, warnings=(), **scan_fields) -> Result:
    """A brain of 30 HU with whole-numbered noise, a bone rim of 1000, air; blood of 70 at BLEED and SMALL_BLEED."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    radius = np.hypot(y / shape[1] - 0.5, x / shape[2] - 0.5) + 0 * z
    noise = np.random.default_rng(7).integers(-9, 10, shape)
    hu = np.where(radius < 0.46, 30 + noise, np.where(radius < 0.49, 1000, -1000)).astype(np.float32)
    blood, heat = np.zeros(shape, np.float16), np.zeros(shape, np.float16)
    for place in (BLEED, SMALL_BLEED):
        hu[place], blood[place], heat[place] = 70, 0.9, 0.8
    slice_scores = np.tile([0.1, 0.2, 0.3, 0.4, 0.6, 0.3], (shape[0], 1))
    slice_scores[3:4, 5] = slice_scores[1:2, 5] = 0.8
    scan = Scan(hu, axial_affine(spacing_mm, shape), **scan_fields)
    models = (("planted", "0123456789abcdef" * 4),)
    evidence = Evidence(slice_scores[:, 5], slice_scores)
    full = slice_scores.max(axis=0)
    return Result(scan, blood, 0.5, evidence, slice_scores, full, 0.5, True, heat, models, tuple(warnings))
