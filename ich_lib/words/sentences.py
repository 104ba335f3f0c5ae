"""A result in words, and the origin of a synthetic head."""

from collections.abc import Iterable

import numpy as np

from ich_lib import __version__
from ich_lib.labels import ANY, TYPES
from ich_lib.phantoms import Phantom
from ich_lib.prediction.analyze import Result
from ich_lib.words.doubts import doubt_sentence
from ich_lib.words.languages import format_number, words_in

SHORT_NOTICE = "Teaching only, not a medical device."  # for places where NOTICE is too long
SHA_DIGITS = 12  # of a hash, for places where all 64 are too long


def result_sentence(result: Result, language: str = "en") -> str:
    """The result in one sentence for a user: `Result.finding` in words. Page, files and commands all use it.

    Args:
        result: from `analyze`.
        language: a key of LANGUAGES.

    Raises:
        ValueError: for an unknown language.
    """
    ml = result.volume_ml
    about = words_in(language)["about"].format(ml=format_number(ml, 0 if ml >= 10 else 1, language)) if ml else ""
    return _headline(result, about, language)


def _headline(result: Result, about: str, language: str) -> str:
    """The sentence with this text about mL in it."""
    say = words_in(language)
    if result.finding in ("withheld", "none"):
        return say[result.finding]
    bleeding = int((result.slice_scores[:, ANY] >= result.score_threshold).sum())
    count = len(result.slice_scores)
    if result.finding == "uncertain":
        form = "uncertain_slice" if count == 1 else {0: "uncertain_none", 1: "uncertain_one"}.get(bleeding, "uncertain")
        return say[form].format(bleeding=bleeding, count=count)
    place = "here" if count == 1 else "on" if bleeding else "on_none"
    return say["bleeding" if result.has_types else "bleeding_alone"].format(
        where=say[place].format(bleeding=bleeding, count=count),
        about=about,
        type=say["types"][TYPES[int(result.scan_scores[:ANY].argmax())]],
    )


def threshold_sentences(result: Result, language: str = "en") -> dict[str, str]:
    """The parts of `result_sentence` and `volume_sentence` at other thresholds of the mask, for the threshold slider.

    Returns:
        `headline` with the placeholder {about}, `about` and `marked` with the placeholder {ml}, `not_measurable`,
        `not_supported`, `no_voxel` and `no_ml`; empty if the finding is withheld, or without a mask.

    Raises:
        ValueError: for an unknown language.
    """
    say = words_in(language)
    if result.is_withheld or not result.has_mask:
        return {}
    known = {name: say[name] for name in ("about", "not_measurable", "not_supported", "no_voxel", "no_ml")}
    marked = _marked(result, "{ml}", language) if result.scan.spacing_known else ""
    return {"headline": _headline(result, "{about}", language), "marked": marked, **known}


def belief_sentence(result: Result, language: str = "en") -> str:
    """Says that a finding is shown on request although a gate refuses it; "" if no gate does. It marks every file.

    Raises:
        ValueError: for an unknown language.
    """
    return words_in(language)["believed"] if result.refusals and result.believe else ""


def doubt_sentences(result: Result, language: str = "en") -> list[str]:
    """Why a scan may not be a native head CT in HU; doubts that refuse come first.

    Raises:
        ValueError: for an unknown language.
    """
    return [doubt_sentence(doubt, language) for doubt in result.doubts]


def notes_of(result: Result) -> list[str]:
    """The warnings of the reader, without the doubts of the gates."""
    doubts = {doubt.sentence for doubt in result.doubts}
    return [warning for warning in result.warnings if warning not in doubts]


def unsure_sentence(result: Result, language: str = "en") -> str:
    """The slices on which the model is unsure, in one sentence, counted from 1 as in the viewer; "" if there are none,
    or if the finding is withheld.

    Raises:
        ValueError: for an unknown language.
    """
    say = words_in(language)
    if not result.unsure_slices or result.is_withheld:
        return ""
    ranges = _ranges(k + 1 for k in result.unsure_slices)
    return say["unsure_one" if len(result.unsure_slices) == 1 else "unsure"].format(slices=ranges)


def _ranges(numbers: Iterable[int]) -> str:
    """1, 3, 4, 5 as "1, 3-5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def volume_sentence(result: Result, language: str = "en") -> str:
    """The volume in mL and its basis, or why there is none; "" if the finding is withheld.

    Raises:
        ValueError: for an unknown language.
    """
    say = words_in(language)
    if result.is_withheld:
        return ""
    if not result.has_mask:
        return say["no_outline"]
    if result.marked_ml is None:
        return say["no_ml"]
    if not result.marked_ml:
        return say["no_voxel"]
    if result.volume_ml is None:
        return say["not_measurable" if result.finding == "bleeding" else "not_supported"]
    return _marked(result, format_number(result.volume_ml, 1, language), language)


def _marked(result: Result, ml: str, language: str) -> str:
    dz, dy, dx = result.scan.spacing_mm
    sizes = {"dx": (dx, 2), "dy": (dy, 2), "dz": (dz, 1)}
    formatted = {name: format_number(*value, language) for name, value in sizes.items()}
    return words_in(language)["marked"].format(ml=ml, **formatted)


def real_head_sentence(patient: str, labels: np.ndarray, language: str = "en") -> str:
    """The source of a real head, and the blood that its readers labeled, by slice from 1.

    Args:
        patient: of CT-ICH.
        labels: (z, 6) bool in the order of LABELS.
        language: a key of LANGUAGES.

    Raises:
        ValueError: for an unknown language.
    """
    say = words_in(language)
    bleeds = [
        say["blood_slices"].format(type=say["types"][kind], slices=_ranges((np.flatnonzero(column) + 1).tolist()))
        for kind, column in zip(TYPES, labels.T, strict=False)
        if column.any()
    ]
    return say["real"].format(patient=patient, blood=", ".join(bleeds) or say["no_blood"])


def verdict_sentence(result: Result, truth: np.ndarray, language: str = "en") -> str:
    """How much of the true blood the model finds, and on how many slices it is right; "" if the finding is withheld.

    Args:
        result: from `analyze`.
        truth: (z, y, x) bool.
        language: a key of LANGUAGES.

    Raises:
        ValueError: for an unknown language.
    """
    say = words_in(language)
    if result.is_withheld:
        return ""
    blood, called = truth.any(axis=(1, 2)), result.slice_scores[:, ANY] >= result.score_threshold
    hit = int((called & blood).sum())
    if blood.any():
        verdict = "unsure" if result.finding == "uncertain" else _detection(hit, int(blood.sum()), result.finding)
    else:
        verdict = {"none": "clean", "uncertain": "unsure_clean", "bleeding": "false_alarm"}[result.finding]
    counts = {
        "hit": hit,
        "blood": int(blood.sum()),
        "false": int((called & ~blood).sum()),
        "clean": int((~blood).sum()),
    }
    return say["verdicts"][verdict].format(**counts)


def _detection(hit: int, blood: int, finding: str) -> str:
    """The word for so many of the bleeding slices called: a headline must not say "found" of one in four."""
    if finding == "none" or not hit:
        return "missed"
    return "found" if hit == blood else "partly" if 2 * hit >= blood else "mostly"


def phantom_sentence(case: Phantom, language: str = "en") -> str:
    """The origin of a synthetic head: which bleeds and which mimics it has.

    Raises:
        ValueError: for an unknown language.
    """
    say = words_in(language)
    blood = ", ".join(f"{say['types'][kind]} {ml:.0f} mL" for kind, ml in case.volumes_ml.items())
    mimics = ", ".join(say["mimics"][name] for name in case.mimics)
    misled = say["mislead"].format(mimics=mimics) if mimics else ""
    return say["planted"].format(blood=blood or say["no_blood"]) + misled


def ood_sentence(result: Result) -> str:
    """How similar the scan is to the training set, in one sentence; "" if the model has no such test, if the test is a
    doubt, or if the finding is withheld."""
    ood = result.ood
    if ood is None or ood.is_ood or result.is_withheld:
        return ""
    return (
        f"Out-of-distribution score {ood.value:.1f}: {ood.quantile:.0%} of scans like those the model learned "
        "from stay below "
        f"{ood.limit:.1f}."
    )


def provenance(result: Result, *, digits: int = 64) -> str:
    """The software behind a result: the library's version, each model's name and the first `digits` of its weights'
    SHA-256; and `belief_sentence`."""
    models = (f"{name} {sha256[:digits]}" for name, sha256 in result.models)
    return "; ".join(filter(None, [f"ich_lib {__version__}", *models, belief_sentence(result)]))
