"""A result in words."""

from ich_lib import __version__
from ich_lib.labels import ANY, TYPES
from ich_lib.predict import Result
from ich_lib.uncertainty import EVEN, words

SHORT_NOTICE = "Teaching only, not a medical device."  # where NOTICE has no room
TOLD_DIGITS = 12  # of a hash, where all 64 have no room


def sentence(result: Result) -> str:
    """What was found, in one sentence for a person; "likely" means likely, as `uncertainty.words` has it."""
    if result.scores["any"] < result.score_threshold:
        return "No bleeding found by this model, which does miss bleeds."
    bleeding = int((result.slice_scores[:, ANY] >= result.score_threshold).sum())
    count = len(result.slice_scores)
    where = "on this slice" if count == 1 else f"on {max(bleeding, 1)} of {count} slices"
    volume = f", about {result.volume_ml:.{0 if result.volume_ml >= 10 else 1}f} mL" if result.volume_ml else ""
    how = EVEN if result.calibrated and words(result.scores["any"]) == EVEN else "likely"
    return f"Bleeding {how} {where}{volume}, pattern most like {TYPES[int(result.scan_scores[:ANY].argmax())]}."


def doubts(result: Result) -> str:
    """Of which slices the model is unsure, in one sentence, counted from 1 as the viewer does; "" where of none."""
    runs = []
    for number in (k + 1 for k in result.unsure):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    if not runs:
        return ""
    told = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)
    one = len(result.unsure) == 1
    where, image = ("slice", "its mirror image scores") if one else ("slices", "their mirror images score")
    return f"The model is unsure on {where} {told}: {image} otherwise."


def strangeness(result: Result) -> str:
    """How like the scans that the model learned from this one is, in one sentence; "" where the model cannot tell."""
    found = result.strangeness
    if found is None:
        return ""
    if found.strange:
        return found.sentence
    return (
        f"Strangeness {found.value:.1f}: {found.quantile:.0%} of scans like those the model learned from stay below "
        f"{found.limit:.1f}."
    )


def made_by(result: Result, *, digits: int = 64) -> str:
    """Who found it: the library's version, each model's name and the first `digits` of its weights' SHA-256."""
    return "; ".join([f"ich_lib {__version__}", *(f"{name} {sha256[:digits]}" for name, sha256 in result.models)])
