"""A result as plain values: what result.json holds, every number with all its digits."""

import json
from pathlib import Path

from ich_lib.labels import LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.uncertainty import probability_word


def write_content(result: Result, path: Path) -> None:
    """result.json."""
    path.write_text(json.dumps(as_json(result), indent=1) + "\n", encoding="utf-8")


def as_json(result: Result) -> dict:
    """The content of result.json: plain values, no name of a file or person."""
    mask = result.mask
    pixels = mask.sum(axis=(1, 2))
    ml = result.scan.slice_ml if result.scan.spacing_known else None
    slices = [
        {
            "index": k,
            "scores": {label: float(s) for label, s in zip(LABELS, result.slice_scores[k], strict=True)},
            "slab_mm": float(result.scan.slab_mm[k]) if result.scan.spacing_known else None,
            "mask_pixels": int(pixels[k]),
            "mask_ml": None if ml is None else float(pixels[k] * ml[k]),
            "doubt": None if result.disagreement is None else float(result.disagreement[k]),
        }
        for k in range(len(pixels))
    ]
    return {
        "scores": result.scores,
        "words": probability_word(result.scores["any"]) if result.calibrated else None,
        "slices": slices,
        "unsure": list(result.unsure_slices),
        "strangeness": result.ood and result.ood.as_json(),
        "volume_ml": result.volume_ml,
        "volume_soft_ml": result.soft_ml,
        "volume_abc2_ml": result.abc2_ml,
        "mask_pixels": int(pixels.sum()),
        "spacing_mm": list(result.scan.spacing_mm) if result.scan.spacing_known else None,
        "orientation": result.scan.orientation,
        "warnings": list(result.warnings),
        "models": [{"name": name, "sha256": sha256} for name, sha256 in result.models],
        "notice": NOTICE,
    }
