"""`analyze`: from a scan to the complete result, in one function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ich_lib.labels import ANY, LABELS, SCHEMES, six_scores
from ich_lib.measures.volume import abc2_ml, soft_voxels
from ich_lib.models.pictures import model_inputs, restore_bone
from ich_lib.models.recipe import Recipe
from ich_lib.prediction.calibration import TOP, Calibration, Evidence, peak_evidence
from ich_lib.prediction.engine import WEIGHTS_FOLDER, Model, ModelOutput, Models, load
from ich_lib.prediction.gates import Doubt, find_doubts
from ich_lib.prediction.ood import OodScore
from ich_lib.prepare.anatomy import measure_head
from ich_lib.prepare.head import Box, crop, field_box, skull_regions, uncrop
from ich_lib.prepare.slabs import Slabs, slabs_of, spread_rows
from ich_lib.scan import Scan

UNSURE = 0.1  # the disagreement from which a slice is reported as unsure
LIKELY, EVEN = 0.66, 0.33  # probabilities from which bleeding is likely, and about as likely as not (`uncertainty`)
# a smaller mask counts as none measurable: 9 of 38 clean scans have 1 mL or more marked, and bleeds below it have a
# Dice of 0.19
FLOOR_ML = 2.0
_CHUNK = 8  # slices at a time, so that long scans need no more memory


@dataclass(frozen=True)
class Result:
    """The complete result of one scan.

    Attributes:
        scan: the scan that was analyzed.
        blood: (z, y, x) float16, probability of blood at each voxel of `scan`.
        threshold: a voxel belongs to the mask if `blood` reaches it.
        evidence: the output of the models, before calibration.
        slice_scores: (z, 6) float64, score of each label in each slice, in the order of LABELS.
        scan_scores: (6,) float64, scores of the whole scan.
        score_threshold: a slice or scan is called bleeding if `any` reaches it.
        calibrated: whether the scores are probabilities, fitted on scans that the models never saw.
        heat: (z, y, x) float16 in [0, 1], the classifier's activation for `any`. All slices share one scale, and the
            maximum is the score of the scan, so a clean scan stays dark.
        models: (name, SHA-256 of the weights' file) of each model used.
        warnings: sentences for the user, the doubts of the gates first.
        disagreement: (z,) float64 in [0, 1], difference between the slice's score for `any` and that of its mirror
            image. Both show the same blood, so the difference is an error of the model. It does not show every error:
            it is low if both scores are wrong in the same way.
        ood: how far the scan is from the training scans of the model; None for a model without this test.
        model_figures: the model's figures on patients it never saw, from its card; None without a card.
        doubts: why the scan may not be a native head CT in HU.
        believe: whether the user asked for the finding although a gate refuses it.
        cavity_ml: volume inside the skull; None if it is not known, or if no skull was seen.
        floor_ml: a smaller mask counts as none measurable.

    See also:
        `analyze`, which makes a result; `ich_lib.words.sentence`, `ich_lib.show.overview` and `ich_lib.reports.write`,
        for words, a figure and files.

    Example:
        >>> from ich_lib import analyze, phantom
        >>> result = analyze(phantom(1, bleeds=["epidural"], slices=12, pixels=128).scan)
        >>> result.mask.shape  # (z, y, x), the scan's own voxels
        (12, 128, 128)
        >>> f"{result.volume_ml:.0f} mL"
        '15 mL'
        >>> list(result.scores)
        ['epidural', 'intraparenchymal', 'intraventricular', 'subarachnoid', 'subdural', 'any']
    """

    scan: Scan
    blood: np.ndarray
    threshold: float
    evidence: Evidence
    slice_scores: np.ndarray
    scan_scores: np.ndarray
    score_threshold: float
    calibrated: bool
    heat: np.ndarray
    models: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    disagreement: np.ndarray | None = None
    ood: OodScore | None = None
    model_figures: dict | None = None
    doubts: tuple[Doubt, ...] = ()
    believe: bool = False
    cavity_ml: float | None = None
    floor_ml: float = 0.0

    @property
    def mask(self) -> np.ndarray:
        """(z, y, x) bool."""
        return self.blood >= np.float16(self.threshold)

    @property
    def has_mask(self) -> bool:
        """Whether the models outline blood; a classifier alone does not, and its mask is empty."""
        return self.evidence.mask is not None

    @property
    def has_types(self) -> bool:
        """Whether the models distinguish the types of bleeding; a segmentation model alone does not."""
        return self.evidence.classes is not None

    @property
    def refusals(self) -> tuple[Doubt, ...]:
        """The doubts that refuse the finding."""
        return tuple(doubt for doubt in self.doubts if doubt.refuses)

    @property
    def is_withheld(self) -> bool:
        """Whether the finding is withheld: no finding, probability, mask or mL is shown or saved."""
        return bool(self.refusals) and not self.believe

    @property
    def finding(self) -> str:
        """The headline, one rule for every place that shows it: "withheld", "bleeding", "uncertain" or "none".

        "bleeding" if its probability is likely, see `uncertainty.probability_word`. "uncertain" if it is about as
        likely as not, or less likely while a slice is called bleeding. Scores that are not probabilities count as
        bleeding from their threshold.
        """
        if self.is_withheld:
            return "withheld"
        score = float(self.scan_scores[ANY])
        if score >= (LIKELY if self.calibrated else self.score_threshold):
            return "bleeding"
        if (self.calibrated and score >= EVEN) or (self.slice_scores[:, ANY] >= self.score_threshold).any():
            return "uncertain"
        return "none"

    @property
    def marked_ml(self) -> float | None:
        """mL of the mask, even if the finding is withheld; None without a mask or a reliable voxel size."""
        return self.scan.volume_ml(self.mask) if self.has_mask and self.scan.spacing_known else None

    @property
    def is_measurable(self) -> bool:
        """Whether mL are given: the voxel size is reliable, the finding is bleeding, and the mask reaches the floor."""
        marked_ml = self.marked_ml
        return marked_ml is not None and self.finding == "bleeding" and marked_ml >= self.floor_ml

    @property
    def volume_ml(self) -> float | None:
        """mL of the mask, never more than the volume inside the skull; None if none is measurable."""
        return self._within_cavity(self.marked_ml)

    @property
    def unsure_slices(self) -> tuple[int, ...]:
        """Indices of the slices, from 0, whose disagreement reaches UNSURE."""
        return () if self.disagreement is None else tuple(np.flatnonzero(self.disagreement >= UNSURE).tolist())

    @property
    def soft_ml(self) -> float | None:
        """mL of the sum of probabilities (`volume.soft_voxels`), under the conditions of `volume_ml`."""
        return self._within_cavity(float(soft_voxels(self.blood) @ self.scan.slice_ml))

    @property
    def abc2_ml(self) -> float | None:
        """mL of the mask by ABC/2 (`volume.abc2_ml`), under the conditions of `volume_ml`."""
        return self._within_cavity(abc2_ml(self.mask, self.scan.affine, slabs=self.scan.slabs))

    def _within_cavity(self, ml: float | None) -> float | None:
        if ml is None or not self.is_measurable:
            return None
        return ml if self.cavity_ml is None else min(ml, self.cavity_ml)

    @property
    def scores(self) -> dict[str, float]:
        """Label to probability of the whole scan, even if the finding is withheld."""
        return {label: float(score) for label, score in zip(LABELS, self.scan_scores, strict=True)}


def analyze(
    scan: Scan,
    models: Models | str | Path | None = None,
    *,
    believe: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Result:
    """Look for blood in a scan.

    Thin slices are averaged to slabs of about 5 mm for the models (`ich_lib.prepare.slabs`), and each slice gets the
    result of its slab. Every slab is scored twice, as it is and mirrored, and the scores are averaged. So a mirrored
    scan gives the mirrored result. A calibration turns the output for a slab, its mask and its neighbors into a
    probability (`ich_lib.prediction.calibration`). Models without a calibration give plain scores, which are not
    probabilities. A scan that is not a native head CT in HU gets no finding (`ich_lib.prediction.gates`). A scan of one
    slice has the scores of that slice.

    Args:
        scan: the result of `read`.
        models: the result of `load`, or a source that `load` accepts; None for the shipped ones.
        believe: give the finding even if a gate refuses it.
        progress: called with the finished share, 0 to 1.

    Returns:
        The result, on the scan's own voxels.

    Raises:
        FileNotFoundError, ValueError: as in `load`, if `models` has to be loaded.

    See also:
        `read`, which makes the scan; `explain`, for other heat maps; `ich_lib.words.sentence`, which describes the
        result.

    Example:
        >>> from ich_lib import analyze, phantom
        >>> from ich_lib.words import result_sentence
        >>> case = phantom(1, bleeds=["epidural"], slices=12, pixels=128)
        >>> print(result_sentence(analyze(case.scan)))
        Bleeding likely on 7 of 12 slices, about 15 mL, pattern most like intraparenchymal.
    """
    models = models if isinstance(models, Models) else load(models or WEIGHTS_FOLDER)
    slabs, thick = slab_scan(scan)
    result = _find_blood(thick, models, progress, believe=believe)
    if slabs.are_slices:
        return result
    for model in models:
        model.release()  # the memory is needed for the many slices
    return _on_slices(result, scan, slabs)


def slab_scan(scan: Scan) -> tuple[Slabs, Scan]:
    """How thin slices are averaged for the models, and the scan of the slabs; the scan itself where none is thin."""
    slabs = slabs_of(scan)
    return slabs, scan if slabs.are_slices else slabs.scan(replace(scan, hu=restore_bone(scan.hu)))


def _on_slices(thick: Result, scan: Scan, slabs: Slabs) -> Result:
    """Results of slabs, on the slices that were averaged."""
    mask, classes, disagreement = spread_rows(slabs, [thick.evidence.mask, thick.evidence.classes, thick.disagreement])
    return replace(
        thick,
        scan=scan,
        blood=slabs.spread_maps(thick.blood),
        evidence=Evidence(mask, classes),
        slice_scores=slabs.spread(thick.slice_scores),
        heat=slabs.spread_maps(thick.heat),
        disagreement=disagreement,
    )


def _find_blood(scan: Scan, models: Models, progress: Callable[[float], None] | None, *, believe: bool) -> Result:
    """`analyze` of slices without averaging."""
    answers = _ask(models, restore_bone(scan.hu), progress)
    evidence, *each_way = (
        Evidence(top if models.segmenter else None, classes if models.classifier else None)
        for top, classes in zip(answers.tops, answers.classes, strict=True)
    )
    scores, scan_scores = _scores_of(evidence, models.calibration)
    scan_scores = scan_scores if len(scores) > 1 else scores[0]
    straight, mirrored = (_scores_of(part, models.calibration)[0][:, ANY] for part in each_way)
    detector = models.ood_detector
    ood = detector.score(np.concatenate(answers.features)) if detector and answers.features else None
    head = measure_head(scan)
    doubts = find_doubts(scan, head, ood)
    thresholds = [model.recipe.threshold for model in models]
    return Result(
        scan=scan,
        blood=_blood_of_called(answers.blood, evidence, models),
        threshold=thresholds[0],
        evidence=evidence,
        slice_scores=scores,
        scan_scores=scan_scores,
        score_threshold=0.5 if models.calibration else thresholds[-1],
        calibrated=models.calibration is not None,
        heat=resample_heat(answers.maps, float(scan_scores[ANY]), answers.box, scan.hu.shape),
        models=tuple((model.name, model.sha256) for model in models),
        warnings=(*(doubt.sentence for doubt in doubts), *scan.notes),
        disagreement=np.abs(straight - mirrored),
        ood=ood,
        model_figures=models.figures or None,
        doubts=doubts,
        believe=believe,
        cavity_ml=head.cavity_ml or None,
        floor_ml=FLOOR_ML,
    )


@dataclass(frozen=True)
class _Answers:
    """The output of a pair of models for a scan: the mask, the classifier's maps and features, and (3, z) means of the
    highest probabilities and (3, z, 6) scores. The three rows are the slices, their mirror images, and both
    together."""

    blood: np.ndarray
    maps: list[np.ndarray]
    features: list[np.ndarray]
    tops: np.ndarray
    classes: np.ndarray
    box: Box | None


def _ask(models: Models, hu: np.ndarray, progress: Callable[[float], None] | None) -> _Answers:
    blood = np.zeros(hu.shape, np.float16)
    maps: list[np.ndarray] = []
    features: list[np.ndarray] = []
    tops, classes = np.zeros((3, len(hu)), np.float32), np.zeros((3, len(hu), len(LABELS)), np.float32)
    box: Box | None = None
    for turn, model in enumerate(models):
        box = field_box(hu, model.recipe.field)
        regions = _searched_regions(model.recipe, hu, box)
        for rows in slice_batches(len(hu), model.recipe):
            columns = slice(rows.start, rows.stop)
            both = [_limit(output, regions[columns]) for output in predict_with_mirror(model, hu, box, rows)]
            answer = average_outputs(both)
            if model is models.segmenter:
                tops[:, columns] = [_top(_required(output.blood).reshape(len(rows), -1)) for output in (answer, *both)]
                for k, small in zip(rows, _required(answer.blood), strict=True):
                    blood[k] = uncrop(_zero_below(small), box, hu.shape[1:])
            if model is models.classifier:
                classes[:, columns] = [
                    six_scores(_required(output.scores), model.recipe.scheme) for output in (answer, *both)
                ]
                features += [] if answer.features is None else [answer.features]
                maps += _any_heat(answer, model.recipe.scheme)
            if progress:
                progress((turn + rows.stop / len(hu)) / len(list(models)))
    return _Answers(blood, maps, features, tops, classes, box)


def _searched_regions(recipe: Recipe, hu: np.ndarray, box: Box) -> np.ndarray:
    """(z, y, x) bool on the model's pictures, or (z, 1, 1): where blood is looked for."""
    if not recipe.within_skull:
        return np.ones((len(hu), 1, 1), bool)
    return np.stack([crop(region.astype(np.float32), box, recipe.size) > 0.5 for region in skull_regions(hu)])


def _limit(output: ModelOutput, regions: np.ndarray) -> ModelOutput:
    """The output without blood outside of the regions."""
    return output if output.blood is None else replace(output, blood=output.blood * regions)


def features(hu: np.ndarray, model: Model) -> np.ndarray:
    """(z, k) features of a scan's (z, y, x) HU, as `analyze` gets them from a model that returns them."""
    hu = restore_bone(hu)
    box = field_box(hu, model.recipe.field)
    parts_of_scan = (
        average_outputs(predict_with_mirror(model, hu, box, rows)).features
        for rows in slice_batches(len(hu), model.recipe)
    )
    return np.concatenate(list(parts_of_scan))


def _required(part: np.ndarray | None) -> np.ndarray:
    """The output that a model must have for its task."""
    if part is None:
        raise ValueError("The model lacks an output of its recipe: mask or scores are missing. Export it again.")
    return part


def _top(blood: np.ndarray) -> np.ndarray:
    """(n,) mean of the TOP highest of (n, pixels)."""
    first = max(blood.shape[1] - TOP, 0)
    return np.partition(blood, first, axis=1)[:, first:].mean(axis=1)


def _blood_of_called(blood: np.ndarray, evidence: Evidence, models: Models) -> np.ndarray:
    """The probabilities of blood, zero where neither a slice nor its neighbors reach the recipe's least score.

    A network that was trained on many slices with blood marks a little in most clean slices. Its score of the whole
    slice knows better. The neighbors count too, because the ends of a bleed score low.
    """
    least_score = models.segmenter.recipe.least_score if models.segmenter else 0.0
    if least_score == 0:
        return blood
    is_called = np.pad(evidence.plain()[:, ANY] >= least_score, 1)
    return blood * (is_called[:-2] | is_called[1:-1] | is_called[2:])[:, None, None]


def _scores_of(evidence: Evidence, calibration: Calibration | None) -> tuple[np.ndarray, np.ndarray]:
    """(z, 6) scores of the slices and (6,) of the scan."""
    if calibration is None:
        plain = evidence.plain()
        return plain, peak_evidence(plain)
    return calibration.slice_scores(evidence), calibration.scan_scores(evidence)


def slice_batches(count: int, recipe: Recipe) -> list[range]:
    """Slice indices that are scored together."""
    step = recipe.depth if recipe.depth > 1 else _CHUNK
    return [range(start, min(start + step, count)) for start in range(0, count, step)]


def predict_with_mirror(model: Model, hu: np.ndarray, box: Box, rows: range) -> tuple[ModelOutput, ModelOutput]:
    """The output for some slices and for their mirror images, each the mean over the views of the recipe; maps are
    mirrored back."""
    straight, mirrored = [], []
    for pictures in model_inputs(hu, box, model.recipe, rows):
        straight.append(model.run(pictures))
        mirrored.append(_mirror(model.run(np.ascontiguousarray(np.flip(pictures, -2)))))
    if model.recipe.depth > 1:
        return _of_block(average_outputs(straight), len(rows)), _of_block(average_outputs(mirrored), len(rows))
    return average_outputs(straight), average_outputs(mirrored)


def _of_block(answer: ModelOutput, count: int) -> ModelOutput:
    """The output for the slices of one block; air beyond the end of the scan is dropped."""
    blood, scores = (None if part is None else part[0, :count] for part in (answer.blood, answer.scores))
    return ModelOutput(blood, scores, answer.heat)


def average_outputs(answers: Sequence[ModelOutput]) -> ModelOutput:
    """The mean of each part of the output."""
    columns = zip(*((output.blood, output.scores, output.heat, output.features) for output in answers), strict=True)
    return ModelOutput(*(None if part[0] is None else np.mean(part, axis=0) for part in columns))


def _any_heat(answer: ModelOutput, scheme: str) -> Sequence[np.ndarray]:
    """(n, r, c) maps for `any`; None if the model has no maps, or no score for `any`."""
    if answer.heat is None or "any" not in SCHEMES[scheme]:
        return ()
    return list(answer.heat[..., SCHEMES[scheme].index("any")])


def _mirror(answer: ModelOutput) -> ModelOutput:
    blood, heat = answer.blood, answer.heat
    return replace(
        answer,
        blood=None if blood is None else blood[..., ::-1],
        heat=None if heat is None else heat[:, :, ::-1],
    )


def resample_heat(maps: list[np.ndarray], peak: float, box: Box | None, shape: tuple[int, int, int]) -> np.ndarray:
    """The classifier's small maps on the scan's voxels, (z, y, x) float16, scaled so that the maximum is `peak`."""
    scale = peak / max([float(slice_map.max()) for slice_map in maps] + [1e-3])
    heat = np.zeros(shape, np.float16)
    for index, slice_map in enumerate(maps):
        if box is not None and slice_map.any():
            heat[index] = uncrop(_zero_below(slice_map * scale), box, shape[1:])
    return heat


def _zero_below(values: np.ndarray) -> np.ndarray:
    """Set values under 1e-4 to zero: float16 keeps no digits there, and NumPy takes 30 times longer to convert them."""
    return np.where(values < 1e-4, np.float32(0), values)
