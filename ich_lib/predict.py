"""A scan in, everything found in it out: the whole journey as one function."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ich_lib.engine import Model, Models, load
from ich_lib.head import Box, field_box, uncrop
from ich_lib.labels import ANY, LABELS
from ich_lib.pictures import bone_restored, model_input
from ich_lib.scan import Scan

NOTICE = "Teaching and research only. Not a medical device: never use it to diagnose, treat or triage anyone."
_CHUNK = 8  # slices at a time, so that memory stays flat on long scans
_TOP = 60  # the mask's own evidence for blood is the mean of this many highest pixels


@dataclass(frozen=True)
class Result:
    """All that was found in one scan.

    Attributes:
        scan: what was read.
        blood: (z, y, x) float16, probability of blood at each voxel of `scan`.
        threshold: a voxel belongs to the mask where `blood` reaches it.
        slice_scores: (z, 6) float32, probability of each label in each slice, in the order of LABELS.
        scan_scores: (6,) float32, the same for the whole scan.
        score_threshold: a slice or scan is called bleeding where `any` reaches it.
        heat: (z, y, x) float16 in [0, 1], where the classifier saw evidence for `any`; one scale for all slices, its
            peak as high as the scan's score, so that a clean scan stays dark.
        models: (name, SHA-256 of the weights' file) of each model asked.
        warnings: sentences for the person.
    """

    scan: Scan
    blood: np.ndarray
    threshold: float
    slice_scores: np.ndarray
    scan_scores: np.ndarray
    score_threshold: float
    heat: np.ndarray
    models: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    @property
    def mask(self) -> np.ndarray:
        """(z, y, x) bool."""
        return self.blood >= np.float16(self.threshold)

    @property
    def volume_ml(self) -> float | None:
        """mL of the mask, or None where the voxel size is not trusted."""
        return float(np.count_nonzero(self.mask) * self.scan.voxel_ml) if self.scan.spacing_known else None

    @property
    def scores(self) -> dict[str, float]:
        """Label to probability, whole scan."""
        return {label: float(score) for label, score in zip(LABELS, self.scan_scores, strict=True)}


def analyse(scan: Scan, models: Models | None = None, *, progress: Callable[[float], None] | None = None) -> Result:
    """Find blood in a scan.

    Every slice is asked twice, as it is and mirrored, and the answers are averaged: a mirrored scan gives the mirrored
    result. A slice's score for `any` is the mean of the classifier's and of the mask's own evidence (the mean of its
    60 highest pixels); a scan's score is the highest mean of two neighboring slices.

    Args:
        scan: what `read` returned.
        models: what `engine.load` returned; None for the shipped pair.
        progress: called with the share done, 0 to 1.

    Returns:
        The result, on the scan's own voxels.
    """
    models = load() if models is None else models
    hu = bone_restored(scan.hu)
    boxes = {field: field_box(hu, field) for field in {model.recipe.field for model in models}}
    shown = [boxes[model.recipe.field] for model in models]  # the segmenter comes first, the classifier last
    scores = np.empty((len(hu), len(LABELS)), np.float32)
    blood, maps = np.zeros(hu.shape, np.float16), []
    for start in range(0, len(hu), _CHUNK):
        rows = range(start, min(start + _CHUNK, len(hu)))
        scores[rows.start : rows.stop], small_blood, small_heat = _ask(models, hu, boxes, rows)
        for k, index in enumerate(rows):
            blood[index] = uncrop(_without_dust(small_blood[k]), shown[0], hu.shape[1:])
        maps.extend(small_heat)
        if progress:
            progress(rows.stop / len(hu))
    whole = _over_scan(scores)
    thresholds = [model.recipe.threshold for model in models]
    return Result(
        scan=scan,
        blood=blood,
        threshold=thresholds[0],
        slice_scores=scores,
        scan_scores=whole,
        score_threshold=thresholds[-1],
        heat=_over_slices(maps, float(whole[ANY]), shown[-1], hu.shape),
        models=tuple((model.name, model.sha256) for model in models),
        warnings=scan.notes,
    )


def _ask(models: Models, hu: np.ndarray, boxes: dict[str, Box], rows: range) -> tuple[np.ndarray, ...]:
    """Scores (n, 6), blood (n, size, size) and heat for `any` (n, r, c) of some slices; `boxes` by field."""
    scores = np.zeros((len(rows), len(LABELS)), np.float32)
    blood = heat = np.zeros((len(rows), 1, 1), np.float32)
    evidence = []
    asked = {}  # the pair shares its input
    for model in models:
        kind = (model.recipe.field, model.recipe.size, model.recipe.neighbors, model.recipe.windows)
        if kind not in asked:
            asked[kind] = model_input(hu, boxes[model.recipe.field], model.recipe, rows)
        answer = _both_ways(model, asked[kind])
        if model.recipe.task == "segment":
            blood = answer[0]
            evidence.append(np.sort(blood.reshape(len(rows), -1), axis=1)[:, -_TOP:].mean(axis=1))
        else:
            scores, heat = answer[0], answer[1][..., ANY]
            evidence.append(scores[:, ANY])
    scores[:, ANY] = np.mean(evidence, axis=0)
    return scores, blood, heat


def _both_ways(model: Model, pictures: np.ndarray) -> tuple[np.ndarray, ...]:
    """The mean answer to pictures and their mirror images; maps are mirrored back."""
    straight = model.run(pictures)
    mirrored = model.run(np.ascontiguousarray(pictures[:, :, ::-1]))
    return tuple((a + (b if b.ndim == 2 else b[:, :, ::-1])) / 2 for a, b in zip(straight, mirrored, strict=True))


def _over_slices(maps: list[np.ndarray], peak: float, box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """The classifier's small maps on the scan's voxels, (z, y, x) float16, scaled so that the highest is `peak`."""
    scale = peak / max(*(float(one.max()) for one in maps), 1e-3)
    heat = np.zeros(shape, np.float16)
    for index, one in enumerate(maps):
        if one.any():
            heat[index] = uncrop(_without_dust(one * scale), box, shape[1:])
    return heat


def _without_dust(values: np.ndarray) -> np.ndarray:
    """Zero for what is under 1e-4: float16 keeps no digits there, and NumPy takes 30 times as long to convert it."""
    return np.where(values < 1e-4, np.float32(0), values)


def _over_scan(scores: np.ndarray) -> np.ndarray:
    """(z, 6) slice scores to (6,): the highest mean of two neighbors, since a real bleed rarely stays in one slice."""
    if len(scores) == 1:
        return scores[0]
    return ((scores[1:] + scores[:-1]) / 2).max(axis=0)
