"""A result as plain values: the content of result.json, every number with all its digits."""

import json
from pathlib import Path

from ich_lib.labels import LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.uncertainty import probability_word
from ich_lib.words import belief_sentence, result_sentence, volume_sentence


def write_content(result: Result, path: Path) -> None:
    """result.json."""
    path.write_text(json.dumps(as_json(result), indent=1) + "\n", encoding="utf-8")


def as_json(result: Result) -> dict:
    """The content of result.json: plain values, without the name of a file or person. If the finding is withheld, the
    model's values are null: scores, pixels, mL. Slices are counted from 1, foot to head, as on the page and in
    slices.csv."""
    has_finding = not result.is_withheld
    has_mask = has_finding and result.has_mask
    pixels = result.mask.sum(axis=(1, 2))
    return {
        "finding": result.finding,
        "sentence": result_sentence(result),
        "believed_on_request": bool(result.refusals and result.believe),
        "doubts": [
            {"code": doubt.code, "refuses": doubt.refuses, "sentence": doubt.sentence} for doubt in result.doubts
        ],
        "scores": result.scores if has_finding else None,
        "words": probability_word(result.scores["any"]) if has_finding and result.calibrated else None,
        "slices": [_slice(result, k, int(pixels[k])) for k in range(len(pixels))],
        "unsure": [k + 1 for k in result.unsure_slices] if has_finding else [],
        "strangeness": result.ood and result.ood.as_json(),
        "volume_ml": result.volume_ml,
        "volume_soft_ml": result.soft_ml,
        "volume_abc2_ml": result.abc2_ml,
        "volume": volume_sentence(result),
        "mask_pixels": int(pixels.sum()) if has_mask else None,
        "mask_threshold": result.threshold if has_mask else None,
        "spacing_mm": list(result.scan.spacing_mm) if result.scan.spacing_known else None,
        "orientation": result.scan.orientation,
        "warnings": [*filter(None, [belief_sentence(result)]), *result.warnings],
        "models": [{"name": name, "sha256": sha256} for name, sha256 in result.models],
        "notice": NOTICE,
    }


def _slice(result: Result, k: int, pixels: int) -> dict:
    slab_mm = float(result.scan.slab_mm[k]) if result.scan.spacing_known else None
    if result.is_withheld:
        return {"slice": k + 1, "slab_mm": slab_mm} | dict.fromkeys(("scores", "mask_pixels", "mask_ml", "doubt"))
    return {
        "slice": k + 1,
        "slab_mm": slab_mm,
        "scores": {label: float(s) for label, s in zip(LABELS, result.slice_scores[k], strict=True)},
        "mask_pixels": pixels if result.has_mask else None,
        "mask_ml": float(pixels * result.scan.slice_ml[k]) if result.is_measurable else None,
        "doubt": None if result.disagreement is None else float(result.disagreement[k]),
    }
