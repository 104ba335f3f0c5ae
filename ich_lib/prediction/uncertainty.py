"""How sure is the model? A word for a probability, and the differences between several predictions for one scan.

A single prediction near one half has two possible reasons: the scan is ambiguous, or the model never learned such a
case. Several predictions separate them: by other models (`ensemble_members`), with parts of one model left out
(`mc_dropout_members`), or of a slightly turned scan (`tta_members`). If the model knows the case, the predictions
agree; if it guesses, they differ. `Result.disagreement` is the cheapest variant, because `analyze` scores every slice
and its mirror image anyway.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ich_lib.measures.metrics import dice
from ich_lib.prediction.analyze import analyze
from ich_lib.prediction.engine import Model, ModelOutput, Models, keras_runner, load
from ich_lib.scan import Scan

if TYPE_CHECKING:
    import keras

EVEN_CHANCE = "about as likely as not"
PROBABILITY_WORDS = (  # from this probability
    (0.99, "virtually certain"),
    (0.90, "very likely"),
    (0.66, "likely"),
    (0.33, EVEN_CHANCE),
    (0.10, "unlikely"),
    (0.01, "very unlikely"),
    (0.00, "exceptionally unlikely"),
)
TRANSFORMS = (
    (-8, 0.0),
    (-4, 0.02),
    (0, 0.0),
    (4, -0.02),
    (8, 0.0),
)  # degrees, and shift as a share of the picture's side


def probability_word(probability: float) -> str:
    """The word for a calibrated probability.

    Args:
        probability: 0 to 1, calibrated. The words are wrong for scores that are not calibrated.

    Returns:
        The strongest word whose range contains it; ranges include their lower end.

    Raises:
        ValueError: if it is not a probability.

    Source:
        Mastrandrea et al. 2010, Guidance Note for Lead Authors of the IPCC Fifth Assessment Report, table 1.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"A probability lies between 0 and 1; got {probability}.")
    return next(word for lower_limit, word in PROBABILITY_WORDS if probability >= lower_limit)


def score_text(score: float, threshold: float) -> str:
    """A score with two digits, rounded so that it never seems to reach a threshold that it does not reach.

    Args:
        score: 0 to 1.
        threshold: a slice or scan is called from this score; it is also shown with two digits.

    Returns:
        The score, rounded; "<0.50" for a score under a threshold of 0.5 that would round to it.

    >>> score_text(0.4996, 0.5), score_text(0.5, 0.5)
    ('<0.50', '0.50')
    """
    text = f"{score:.2f}"
    return f"<{text}" if score < threshold and text == f"{threshold:.2f}" else text


@dataclass(frozen=True)
class Uncertainty:
    """The predictions of several members for one scan.

    In bits, from 0 (sure) to 1 (open). The total is the entropy of the members' mean probability. It has two parts. The
    first is the mean of the members' own entropies: the ambiguity that each member sees. The rest is the mutual
    information between the prediction and the choice of the member, which is 0 if all agree (Gal et al. 2017,
    arXiv:1703.02910; Depeweg et al. 2018, arXiv:1710.07283).

    Attributes:
        blood: (z, y, x) float16, mean probability of blood.
        total_entropy: (z, y, x) float16, bits.
        disagreement: (z, y, x) float16, bits, the part of `total_entropy` that comes from disagreement.
        scan_scores: (m,) each member's score for any bleeding in the scan.
        mask_dice: mean Dice of the masks over pairs of members; two empty masks count as 1 (Roy et al. 2019, doi
            10.1016/j.neuroimage.2019.03.042). A few stray voxels in a clean scan already make it 0.
    """

    blood: np.ndarray
    total_entropy: np.ndarray
    disagreement: np.ndarray
    scan_scores: np.ndarray
    mask_dice: float

    @property
    def scan_total(self) -> float:
        """Bits, for whether the scan bleeds."""
        return float(entropy(self.scan_scores.mean()))

    @property
    def scan_disagreement(self) -> float:
        """The single value of a scan: bits of `scan_total` that come from disagreement.

        It is bounded, it is also defined for clean scans, where the overlap of masks depends on stray voxels, and it
        means the same as the map.
        """
        return max(self.scan_total - float(entropy(self.scan_scores).mean()), 0.0)


def entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy in bits of a yes or no: 0 if it is certain, 1 at one half."""
    p = np.asarray(probability)
    tiny = np.finfo(p.dtype).tiny
    return -(p * np.log2(np.maximum(p, tiny)) + (1 - p) * np.log2(np.maximum(1 - p, tiny)))


def estimate_uncertainty(
    scan: Scan, members: Sequence[Models], *, progress: Callable[[float], None] | None = None
) -> Uncertainty:
    """Run several members on one scan. Takes `len(members)` times as long as `analyze`.

    Args:
        scan: the result of `read`.
        members: from `ensemble_members`, `mc_dropout_members` or `tta_members`; or any list of models.
        progress: called with the finished share, 0 to 1.

    Raises:
        ValueError: for fewer than two members.
    """
    if len(members) < 2:
        raise ValueError(f"Disagreement takes two members or more; got {len(members)}.")
    mean, member_entropy = np.zeros(scan.hu.shape, np.float32), np.zeros(scan.hu.shape, np.float32)
    masks, scores = [], []
    for turn, models in enumerate(members, start=1):
        result = analyze(scan, models)
        blood = result.blood.astype(np.float32)
        mean += blood / len(members)
        member_entropy += entropy(blood) / len(members)
        masks.append(np.packbits(result.mask))  # an eighth of the memory
        scores.append(result.scores["any"])
        if progress:
            progress(turn / len(members))
    total = entropy(np.clip(mean, 0, 1))
    overlap = [dice(*(np.unpackbits(mask).astype(bool) for mask in pair)) for pair in combinations(masks, 2)]
    disagreement = np.maximum(total - member_entropy, 0)
    return Uncertainty(
        mean.astype(np.float16),
        total.astype(np.float16),
        disagreement.astype(np.float16),
        np.array(scores),
        float(np.mean(overlap)),
    )


def ensemble_members(folders: Sequence[str | Path]) -> list[Models]:
    """Runs or exported models as members (Lakshminarayanan et al. 2017, arXiv:1612.01474).

    The five folds of a cross-validation form an ensemble for scans from other sources. Do not use it for patients of
    the same set: four of the five models were trained on each of them, and agree for that reason.

    Args:
        folders: written by `train` or `export`.
    """
    return [load(folder, fill=False) for folder in folders]


def tta_members(models: Models, turns: Sequence[tuple[float, float]] = TRANSFORMS) -> list[Models]:
    """The same models, each with its own small turn and shift of every picture; maps are turned back.

    Test-time augmentation (Wang et al. 2019, arXiv:1807.07356). The mirror image is not included, because `analyze`
    already averages it; see `Result.disagreement`.

    Args:
        models: from `engine.load`.
        turns: degrees, and shift along x and y as a share of the picture's side, one pair per member.

    Raises:
        ValueError: for models with depth.
    """
    if any(model.recipe.depth > 1 for model in models):
        raise ValueError(
            "Models with depth cannot be used here, because their slices cannot be turned "
            "one by one. Choose models of single slices."
        )

    def turned_by(degrees: float, shift: float) -> Models:
        return _change_models(models, lambda model: replace(model, run=_transformed_runner(model.run, degrees, shift)))

    return [turned_by(degrees, shift) for degrees, shift in turns]


def mc_dropout_members(folder: str | Path, count: int = 10, *, seed: int = 0) -> list[Models]:
    """A run as `count` members, each with random parts of the network left out (Gal and Ghahramani 2016,
    arXiv:1506.02142).

    Every prediction is a new draw, also that of the mirror image. Batch normalization works as in training's end state.

    Args:
        folder: a finished run.
        count: number of draws.
        seed: of the first.

    Raises:
        ValueError: if the model has no dropout, so that all members would be equal.
    """
    from ich_lib.models.run import open_run

    run = open_run(folder)
    network = keep_dropout_on(run.model(), seed)
    runner = keras_runner(network, run.recipe)
    return [_change_models(load(folder, fill=False), lambda model: replace(model, run=runner))] * count


def keep_dropout_on(model: "keras.Model", seed: int = 0) -> "keras.Model":
    """A copy of a Keras model with the same weights whose dropout is active in prediction.

    Calling a model with `training=True` would also switch batch normalization to the batch's own statistics.

    Raises:
        ValueError: if the model has no dropout.
    """
    import keras

    class ActiveDropout(keras.layers.Layer):
        def __init__(self, dropout: keras.layers.Dropout, name: str) -> None:
            super().__init__(name=name)
            self.dropout = dropout

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return self.dropout(x, training=True)

    count = 0

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        nonlocal count
        settings = layer.get_config()
        if not (isinstance(layer, keras.layers.Dropout) and layer.rate):
            return type(layer).from_config(settings)
        count += 1
        return ActiveDropout(type(layer).from_config({**settings, "seed": seed + count}), name=layer.name)

    copy = keras.models.clone_model(model, clone_function=copied)
    if not count:
        raise ValueError(f"{model.name} has no dropout, so its predictions never differ. Compare several runs instead.")
    copy.set_weights(model.get_weights())
    return copy


def _change_models(models: Models, change: Callable[[Model], Model]) -> Models:
    """Change both models of a pair; if they are the same model, they stay the same."""
    changed = {id(model): change(model) for model in models}
    return Models(changed.get(id(models.segmenter)), changed.get(id(models.classifier)))


def _transformed_runner(
    run: Callable[[np.ndarray], ModelOutput], turn_deg: float, shift: float
) -> Callable[[np.ndarray], ModelOutput]:
    """The function that predicts for pictures turned about their center and shifted."""

    def predict_transformed(pictures: np.ndarray) -> ModelOutput:
        answer = run(_transform(pictures, turn_deg, shift))
        blood, heat = answer.blood, answer.heat
        return replace(
            answer,
            blood=None if blood is None else _transform(blood[..., None], turn_deg, shift, inverse=True)[..., 0],
            heat=None if heat is None else _transform(heat, turn_deg, shift, inverse=True),
        )

    return predict_transformed


def _transform(pictures: np.ndarray, turn_deg: float, shift: float, *, inverse: bool = False) -> np.ndarray:
    """(n, y, x, c) turned and shifted, 0 outside the picture; `back` reverses it."""
    rows, columns = pictures.shape[1:3]
    move = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), turn_deg, 1)
    move[:, 2] += shift * columns, shift * rows
    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if inverse else 0)
    out = np.empty_like(pictures)
    for n, c in np.ndindex(len(pictures), pictures.shape[-1]):
        plane = np.ascontiguousarray(pictures[n, ..., c])
        out[n, ..., c] = cv2.warpAffine(plane, move, (columns, rows), flags=flags)
    return out
