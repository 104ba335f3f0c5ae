"""What stands beside the picture, as plain values: scores, words for them, doubts, milliliters, warnings."""

from ich_lib.labels import ANY, COLORS, LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.uncertainty import words
from ich_lib.words import doubts, in_each, sentence, volume


def report(result: Result) -> dict:
    """What the viewer writes beside the picture, in words and shares of one. Sentences come by language.

    A warning of a strange scan is left out of `warnings`: the viewer says `strangeness` in its own words, and first.
    """
    strange = result.strangeness
    said = strange.sentence if strange and strange.strange else None
    return {
        "sentence": in_each(sentence, result),
        "scores": [_score(result, k) for k in (ANY, *range(ANY))],  # whether there is blood, before which kind
        "score_threshold": result.score_threshold,
        "calibrated": result.calibrated,
        "unsure": list(result.unsure),
        "doubts": in_each(doubts, result),
        "volume": in_each(volume, result),
        "ml": [[name, ml] for name, ml in _milliliters(result) if ml is not None],
        "strangeness": strange and strange.as_json(),
        "calls": (result.figures or {}).get("calls", {}).get("whole_scans"),
        "warnings": [warning for warning in result.warnings if warning != said],
        "models": [f"{name} {sha256[:8]}" for name, sha256 in result.models],
        "notice": NOTICE,
    }


def _score(result: Result, k: int) -> dict:
    score = float(result.scan_scores[k])
    return {
        "name": "any bleeding" if k == ANY else LABELS[k],
        "color": COLORS[k],
        "scan": round(score, 4),
        "word": words(score) if result.calibrated else None,
        "slices": [round(float(one), 4) for one in result.slice_scores[:, k]],
    }


def _milliliters(result: Result) -> tuple[tuple[str, float | None], ...]:
    """mL of blood, three ways."""
    return (("mask", result.volume_ml), ("soft", result.soft_ml), ("abc2", result.abc2_ml))
