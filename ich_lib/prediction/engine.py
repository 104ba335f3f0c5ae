"""Weights to something that can be called: ONNX Runtime for what was exported, Keras for a run folder as it is.

A run of hand-made features is fitted again from what it kept.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ich_lib.grammar import listed
from ich_lib.models.recipe import Recipe, recipe_from_json
from ich_lib.models.run import Run
from ich_lib.prediction.calibration import Calibration, calibration_from_json
from ich_lib.prediction.ood import OodDetector, detector_from_json

if TYPE_CHECKING:
    import keras

WEIGHTS_FOLDER = "shipped"  # the word for the models that come with the library
WEIGHTS = Path(__file__).parents[1] / "weights"  # where those lie
ONNX, KERAS = ".onnx", ".weights.h5"  # what an exported NAME.json has beside it


@dataclass(frozen=True)
class ModelOutput:
    """What a model says of some pictures; None for what it does not tell.

    Attributes:
        blood: (n, y, x), or (n, z, y, x) of a model with depth, probability of blood.
        scores: (n, k), or (n, z, k) of a model with depth, in the recipe's scheme.
        heat: (n, r, c, k) class activation maps, not scaled.
        features: (n, f) what the scores are made of, pooled over the picture.
    """

    blood: np.ndarray | None = None
    scores: np.ndarray | None = None
    heat: np.ndarray | None = None
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Model:
    """One trained model, ready to run.

    Attributes:
        name: the recipe's name.
        recipe: tells which input it wants.
        sha256: of the file the weights came from.
        run: (n, y, x, channel) float32 pictures, (n, z, y, x, channel) for a recipe with depth, to its answer.
        card: NAME.json: figures, data, attribution, folds. A run folder gives its folds only.
        release: gives back memory that is kept for the next pictures; the next ones then take a little longer.
    """

    name: str
    recipe: Recipe
    sha256: str
    run: Callable[[np.ndarray], ModelOutput]
    card: dict
    release: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Models:
    """The pair `analyze` asks: one that draws the mask, one that scores. They may be the same model.

    One of them may be missing where a single model is to be judged.
    """

    segmenter: Model | None
    classifier: Model | None

    def __iter__(self) -> Iterator[Model]:
        pair = [model for model in (self.segmenter, self.classifier) if model is not None]
        return iter(pair[:1] if self.segmenter is self.classifier else pair)

    @property
    def calibration(self) -> Calibration | None:
        """What turns the pair's evidence into probabilities; None unless it was fitted for just this pair."""
        cards = [model.card.get("calibration") for model in self]
        return calibration_from_json(cards[0]) if cards[0] and all(card == cards[0] for card in cards) else None

    @property
    def figures(self) -> dict:
        """What the pair reached on patients that it never saw, as its card tells; empty where it tells of no pair."""
        cards = [model.card.get("figures") for model in self]
        return cards[0] if cards[0] and all(card == cards[0] for card in cards) else {}

    @property
    def ood_detector(self) -> OodDetector | None:
        """What the classifier's features are like on scans as it learned from; None where its card does not tell."""
        card = self.classifier.card.get("usual") if self.classifier else None
        return detector_from_json(card) if card else None


def load(source: str | Path = WEIGHTS_FOLDER, *, fill: bool = True) -> Models:
    """Load trained models.

    Args:
        source: "shipped" for the models that come with the library, or a folder that `export` or `train` wrote, or a
            folder of such folders.
        fill: take a model that the folder lacks from the shipped model.

    Returns:
        The models.

    Raises:
        FileNotFoundError: if there are no models in the folder.
        ValueError: if a file's SHA-256 is not the one its card states, or two models of one task are there.

    See also:
        `analyze`, which asks the models; `train` and `export`, which write such folders.

    Example:
        >>> from ich_lib import load
        >>> models = load()
        >>> models.segmenter.recipe.shape  # (y, x, channel) of the picture it wants
        (192, 192, 6)
        >>> models.calibration is not None  # so its scores are probabilities
        True
    """
    if str(source) == WEIGHTS_FOLDER:
        return _shipped_models()
    folder = Path(source)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder. Name a run folder of train, or what export wrote.")
    models = [
        model for place in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())) for model in _models_in(place)
    ]
    pair = _pair(models, folder)
    if not models:
        raise FileNotFoundError(f"{folder} holds no model: neither NAME.json with NAME.onnx, nor a finished run.")
    if fill and None in (pair.segmenter, pair.classifier):
        shipped = _shipped_models()
        pair = replace(
            pair, segmenter=pair.segmenter or shipped.segmenter, classifier=pair.classifier or shipped.classifier
        )
    return pair


@cache
def _shipped_models() -> Models:
    return _pair(_models_in(WEIGHTS), WEIGHTS)


def _models_in(folder: Path) -> list[Model]:
    """Exported models of a folder, or else the run it is."""
    exported = [_onnx_model(path) for path in sorted(folder.glob("*.json")) if path.with_suffix(ONNX).is_file()]
    if exported:
        return exported
    from ich_lib.models.run import is_finished

    return [_run_model(folder)] if is_finished(folder) else []


def _pair(models: list[Model], folder: Path) -> Models:
    segmenters, classifiers = (
        [model for model in models if model.recipe.has_mask_output],
        [model for model in models if model.recipe.has_score_output],
    )
    return Models(_only_model(segmenters, "segment", folder), _only_model(classifiers, "classify", folder))


def _only_model(fitting: list[Model], task: str, folder: Path) -> Model | None:
    """The one model of this task, or None."""
    if len(fitting) > 1:
        names = listed(model.name for model in fitting)
        raise ValueError(
            f"{folder} holds more than one model that can {task}: {names}. Name the folder of one of them."
        )
    return fitting[0] if fitting else None


def _onnx_model(card_path: Path) -> Model:
    """An exported model, if its bytes are those its card names."""
    import onnxruntime

    path = card_path.with_suffix(ONNX)
    card = json.loads(card_path.read_text())
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != card["sha256"][path.name]:
        raise ValueError(
            f"{path.name} is not the file its card {card_path.name} describes (SHA-256 differs). Get both again."
        )
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    name, recipe = session.get_inputs()[0].name, recipe_from_json(card["recipe"])

    def run(pictures: np.ndarray) -> ModelOutput:
        return model_output(session.run(None, {name: pictures}), recipe)

    def rest() -> None:
        # ONNX Runtime shrinks its arena (200 MB after a scan) only at the end of a run: one blank picture, 20 ms
        shrinking = onnxruntime.RunOptions()
        shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        shape = [side if isinstance(side, int) else 1 for side in session.get_inputs()[0].shape]
        session.run(None, {name: np.zeros(shape, np.float32)}, shrinking)

    return Model(card["name"], recipe, sha256, run, card, rest)


def _run_model(folder: Path) -> Model:
    """A run folder as it is. Imports Keras and its backend: seconds, and a gigabyte."""
    from ich_lib.models.run import open_run

    trained = open_run(folder)
    run = keras_runner(trained.model(), trained.recipe) if trained.recipe.is_network else _classical_runner(trained)
    sha256 = hashlib.sha256(trained.weights.read_bytes()).hexdigest()
    split = {"split": trained.split.kind, "held_out_fold": trained.held_out, "folds": trained.folds}
    return Model(trained.recipe.name, trained.recipe, sha256, run, split)


def keras_runner(model: "keras.Model", recipe: Recipe) -> Callable[[np.ndarray], ModelOutput]:
    """What answers for a network of Keras."""
    from ich_lib.models.heat import add_heat_output

    outputs = keras_outputs(add_heat_output(model))
    return lambda pictures: model_output(outputs(pictures), recipe)


def keras_outputs(model: "keras.Model") -> Callable[[np.ndarray], list[np.ndarray]]:
    """Pictures to the outputs of a network of Keras, in their order."""
    largest_batch = (
        1  # pictures asked at a time so far: fewer are filled up, since every new number compiles the model anew
    )

    def outputs(pictures: np.ndarray) -> list[np.ndarray]:
        nonlocal largest_batch
        largest_batch = max(largest_batch, len(pictures))
        filled = np.concatenate([pictures, np.repeat(pictures[-1:], largest_batch - len(pictures), axis=0)])
        out = model.predict_on_batch(filled)
        return [part[: len(pictures)] for part in (out if isinstance(out, list | tuple) else [out])]

    return outputs


def _classical_runner(trained: "Run") -> Callable[[np.ndarray], ModelOutput]:
    """What answers for a run of hand-made features: scores without a map."""
    from ich_lib.models import classical

    scores = classical.fit_classifiers(classical.load_features(trained.weights), trained.recipe)
    return lambda pictures: ModelOutput(scores=scores(classical.features(pictures)))


def model_output(outputs: list[np.ndarray], recipe: Recipe) -> ModelOutput:
    """A model's outputs in their order: the mask without its channel axis, scores, heat, features.

    What was exported before a later output was thought of lacks it, and answers None there.
    """
    told = list(outputs)
    blood = told.pop(0)[..., 0] if recipe.has_mask_output else None
    return ModelOutput(blood, *told)
