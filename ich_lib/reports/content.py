"""A result as plain values: what result.json holds."""

import json
from pathlib import Path

from ich_lib.labels import LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.uncertainty import words


def write_content(result: Result, path: Path) -> None:
    """result.json."""
    path.write_text(json.dumps(as_json(result), indent=1) + "\n", encoding="utf-8")


def as_json(result: Result) -> dict:
    """The content of result.json: plain values, no name of a file or person."""
    mask = result.mask
    pixels = mask.sum(axis=(1, 2))
    ml = result.scan.voxel_ml if result.scan.spacing_known else None
    slices = [
        {
            "index": k,
            "scores": {label: round(float(s), 4) for label, s in zip(LABELS, result.slice_scores[k], strict=True)},
            "mask_pixels": int(pixels[k]),
            "mask_ml": None if ml is None else round(float(pixels[k] * ml), 4),
            "doubt": None if result.doubt is None else round(float(result.doubt[k]), 4),
        }
        for k in range(len(pixels))
    ]
    return {
        "scores": {label: round(score, 4) for label, score in result.scores.items()},
        "words": words(result.scores["any"]) if result.calibrated else None,
        "slices": slices,
        "unsure": list(result.unsure),
        "strangeness": result.strangeness and result.strangeness.as_json(),
        "volume_ml": _rounded(result.volume_ml),
        "volume_soft_ml": _rounded(result.soft_ml),
        "volume_abc2_ml": _rounded(result.abc2_ml),
        "mask_pixels": int(pixels.sum()),
        "spacing_mm": [round(mm, 4) for mm in result.scan.spacing_mm] if result.scan.spacing_known else None,
        "orientation": result.scan.orientation,
        "warnings": list(result.warnings),
        "models": [{"name": name, "sha256": sha256} for name, sha256 in result.models],
        "notice": NOTICE,
    }


def _rounded(ml: float | None) -> float | None:
    return None if ml is None else round(ml, 3)
