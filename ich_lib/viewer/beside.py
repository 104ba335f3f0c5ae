"""What stands beside the picture, as plain values: scores, words for them, doubts, milliliters, warnings."""

from ich_lib.labels import ANY, COLORS, LABELS
from ich_lib.predict import NOTICE, Result
from ich_lib.report import doubts, sentence
from ich_lib.uncertainty import words


def report(result: Result) -> dict:
    """What the viewer writes beside the picture, in words and shares of one.

    A warning of a strange scan stands in `strangeness` alone, where it is told first.
    """
    strange = result.strangeness
    said = strange.sentence if strange and strange.strange else None
    return {
        "sentence": sentence(result),
        "scores": [_score(result, k) for k in (ANY, *range(ANY))],  # whether there is blood, before which kind
        "score_threshold": result.score_threshold,
        "calibrated": result.calibrated,
        "unsure": list(result.unsure),
        "doubts": doubts(result),
        "volume": volume(result),
        "ml": [[name, ml] for name, ml in _milliliters(result) if ml is not None],
        "strangeness": strange and {**strange.as_json(), "sentence": said},
        "calls": (result.figures or {}).get("calls", {}).get("whole_scans"),
        "warnings": [warning for warning in result.warnings if warning != said],
        "models": [f"{name} {sha256[:8]}" for name, sha256 in result.models],
        "notice": NOTICE,
    }


def volume(result: Result) -> str:
    """mL and what they rest on, or why there are none."""
    if result.volume_ml is None:
        return "Volume unknown: the file carries no trusted spacing."
    if not result.volume_ml:
        return "No voxel is marked as blood."
    dz, dy, dx = result.scan.spacing_mm
    return f"{result.volume_ml:.1f} mL marked, in voxels of {dx:.2f} x {dy:.2f} mm, slices {dz:.1f} mm apart."


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
