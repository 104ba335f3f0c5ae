"""What stands beside the picture, as plain values: scores, words for them, doubts, milliliters, warnings."""

from ich_lib.labels import ANY, COLORS, LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.uncertainty import probability_word
from ich_lib.words import in_each_language, result_sentence, unsure_sentence, volume_sentence


def report(result: Result) -> dict:
    """What the viewer writes beside the picture, in words and shares of one. Sentences come by language.

    The out-of-distribution warning is left out of `warnings`: the viewer says `strangeness` in its own words, and
    first.
    """
    ood_score = result.ood
    ood_warning = ood_score.sentence if ood_score and ood_score.is_ood else None
    return {
        "sentence": in_each_language(result_sentence, result),
        "scores": [_score(result, k) for k in (ANY, *range(ANY))],  # whether there is blood, before which kind
        "score_threshold": result.score_threshold,
        "calibrated": result.calibrated,
        "unsure": list(result.unsure_slices),
        "doubts": in_each_language(unsure_sentence, result),
        "volume": in_each_language(volume_sentence, result),
        "ml": [[name, ml] for name, ml in _milliliters(result) if ml is not None],
        "strangeness": ood_score and ood_score.as_json(),
        "calls": (result.model_figures or {}).get("calls", {}).get("whole_scans"),
        "warnings": [warning for warning in result.warnings if warning != ood_warning],
        "models": [f"{name} {sha256[:8]}" for name, sha256 in result.models],
        "notice": NOTICE,
    }


def _score(result: Result, k: int) -> dict:
    score = float(result.scan_scores[k])
    return {
        "name": "any bleeding" if k == ANY else LABELS[k],
        "color": COLORS[k],
        "scan": score,
        "word": probability_word(score) if result.calibrated else None,
        "slices": result.slice_scores[:, k].tolist(),
    }


def _milliliters(result: Result) -> tuple[tuple[str, float | None], ...]:
    """mL of blood, three ways."""
    return (("mask", result.volume_ml), ("soft", result.soft_ml), ("abc2", result.abc2_ml))
