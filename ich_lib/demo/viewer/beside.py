"""What stands beside the picture, as plain values: scores, words for them, doubts, milliliters, warnings."""

from ich_lib.labels import ANY, COLORS, LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.uncertainty import probability_word
from ich_lib.words import (
    belief_sentence,
    doubt_sentences,
    in_each_language,
    notes_of,
    result_sentence,
    threshold_sentences,
    unsure_sentence,
    volume_sentence,
)
from ich_lib.words.notes import note_by_language


def report(result: Result) -> dict:
    """What the viewer writes beside the picture, in words and shares of one. Sentences come by language.

    The doubts about the scan are not in `warnings`: the viewer shows them first. Each warning comes by language, and in
    English only where notes.toml does not have it.
    If the finding is withheld, there are no scores, no mL and no predictive values.
    """
    has_finding, ood = not result.is_withheld, result.ood
    return {
        "withheld": result.is_withheld,
        "finding": result.finding,
        "belief": in_each_language(belief_sentence, result),
        "reasons": in_each_language(doubt_sentences, result),
        "sentence": in_each_language(result_sentence, result),
        # whether there is blood, before which kind
        "scores": [_score(result, k) for k in (ANY, *range(ANY if result.has_types else 0))] if has_finding else [],
        "score_threshold": result.score_threshold,
        "calibrated": result.calibrated,
        "unsure": list(result.unsure_slices) if has_finding else [],
        "doubts": in_each_language(unsure_sentence, result),
        "volume": in_each_language(volume_sentence, result),
        "at_threshold": in_each_language(threshold_sentences, result),
        "floor_ml": result.floor_ml,
        "cavity_ml": result.cavity_ml,
        "measurable": result.is_measurable,
        "has_mask": result.has_mask,
        "ml": [[name, ml] for name, ml in _milliliters(result) if ml is not None],
        "strangeness": ood.as_json() if ood and not ood.is_ood else None,  # else it is a doubt
        "calls": (result.model_figures or {}).get("calls", {}).get("whole_scans") if has_finding else None,
        "warnings": [note_by_language(note) for note in notes_of(result)],
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
