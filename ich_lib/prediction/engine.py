"""Load trained models: ONNX Runtime runs exported models, and Keras runs the model of a run folder.

A run of hand-made features is fitted again from its stored features.
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

WEIGHTS_FOLDER = "shipped"  # the name of the model that `analyze` uses if none is chosen
WEIGHTS = Path(__file__).parents[1] / "weights"  # its folder; each folder in it holds one more model
ONNX, KERAS = ".onnx", ".weights.h5"  # files beside an exported NAME.json


@dataclass(frozen=True)
class ModelOutput:
    """The output of a model for some pictures; None for parts that it does not have.

    Attributes:
        blood: (n, y, x), or (n, z, y, x) of a model with depth, probability of blood.
        scores: (n, k), or (n, z, k) of a model with depth, in the recipe's scheme.
        heat: (n, r, c, k) class activation maps, not scaled.
        features: (n, f) pooled features of the picture, the input of the last layer.
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
        recipe: describes the input of the model.
        sha256: of the weights' file.
        run: from (n, y, x, channel) float32 pictures, or (n, z, y, x, channel) for a recipe with depth, to the output.
        card: NAME.json: figures, data, attribution, folds. A run folder has only its folds.
        release: frees the memory that is kept for the next pictures; the next call then takes a little longer.
    """

    name: str
    recipe: Recipe
    sha256: str
    run: Callable[[np.ndarray], ModelOutput]
    card: dict
    release: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Models:
    """The pair that `analyze` uses: one model for the mask, one for the scores. They may be the same model.

    One of them may be missing if a single model is evaluated.
    """

    segmenter: Model | None
    classifier: Model | None

    def __iter__(self) -> Iterator[Model]:
        pair = [model for model in (self.segmenter, self.classifier) if model is not None]
        return iter(pair[:1] if self.segmenter is self.classifier else pair)

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of the pair; None unless it was fitted for exactly this pair."""
        cards = [model.card.get("calibration") for model in self]
        return calibration_from_json(cards[0]) if cards[0] and all(card == cards[0] for card in cards) else None

    @property
    def figures(self) -> dict:
        """The pair's figures on patients that it never saw, from its card; empty if no card describes this pair."""
        cards = [model.card.get("figures") for model in self]
        return cards[0] if cards[0] and all(card == cards[0] for card in cards) else {}

    @property
    def ood_detector(self) -> OodDetector | None:
        """The classifier's features on its training scans; None if its card has none."""
        card = self.classifier.card.get("usual") if self.classifier else None
        return detector_from_json(card) if card else None


def load(source: str | Path = WEIGHTS_FOLDER, *, fill: bool = True) -> Models:
    """Load trained models.

    Args:
        source: "shipped" for the model that `analyze` uses, another name of `list_weights`, a folder written by
            `export` or `train`, or a folder of such folders. The folders inside a folder of a model are not read.
        fill: use the shipped model for a task that the folder lacks. A model of `list_weights` is always alone.

    Returns:
        The models.

    Raises:
        FileNotFoundError: if there are no models in the folder.
        ValueError: if a file's SHA-256 differs from its card, or if two models have the same task.

    See also:
        `analyze`, which uses the models; `train` and `export`, which write such folders.

    Example:
        >>> from ich_lib import load
        >>> models = load()
        >>> models.segmenter.recipe.shape  # (y, x, channel) of the picture it wants
        (192, 192, 6)
        >>> models.calibration is not None  # so its scores are probabilities
        True
    """
    if str(source) in list_weights():
        return _own_models(str(source))
    folder = Path(source)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. Name a run folder of train, a folder of export, or one of "
            f"{listed(list_weights())}."
        )
    models = _models_in(folder) or [
        model for place in sorted(p for p in folder.iterdir() if p.is_dir()) for model in _models_in(place)
    ]
    pair = _pair(models, folder)
    if not models:
        raise FileNotFoundError(f"{folder} holds no model: neither NAME.json with NAME.onnx, nor a finished run.")
    if fill and None in (pair.segmenter, pair.classifier):
        shipped = _own_models(WEIGHTS_FOLDER)
        pair = replace(
            pair, segmenter=pair.segmenter or shipped.segmenter, classifier=pair.classifier or shipped.classifier
        )
    return pair


@cache
def list_weights() -> tuple[str, ...]:
    """The models that come with the library, by the names that `load` takes; the one that `analyze` uses is first.

    Example:
        >>> from ich_lib.prediction.engine import list_weights
        >>> list_weights()[0]
        'shipped'
    """
    return WEIGHTS_FOLDER, *sorted(folder.name for folder in WEIGHTS.iterdir() if any(folder.glob(f"*{ONNX}")))


def weights_folder(source: str | Path) -> Path:
    """The folder of a source of `load`."""
    if str(source) == WEIGHTS_FOLDER:
        return WEIGHTS
    return WEIGHTS / source if str(source) in list_weights() else Path(source)


@cache
def _own_models(name: str) -> Models:
    folder = weights_folder(name)
    return _pair(_models_in(folder), folder)


def _models_in(folder: Path) -> list[Model]:
    """The exported models of a folder; without any, the run in it."""
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
    """An exported model, after its SHA-256 is compared with its card."""
    import onnxruntime

    path = card_path.with_suffix(ONNX)
    card = json.loads(card_path.read_text())
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != card["sha256"][path.name]:
        raise ValueError(
            f"{path.name} is not the file its card {card_path.name} describes (SHA-256 differs). Download both again."
        )
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    name, recipe = session.get_inputs()[0].name, recipe_from_json(card["recipe"])

    def run(pictures: np.ndarray) -> ModelOutput:
        return model_output(session.run(None, {name: pictures}), recipe)

    def free_memory() -> None:
        # ONNX Runtime frees its memory (200 MB after a scan) only at the end of a run: one blank picture, 20 ms
        shrinking = onnxruntime.RunOptions()
        shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        shape = [side if isinstance(side, int) else 1 for side in session.get_inputs()[0].shape]
        session.run(None, {name: np.zeros(shape, np.float32)}, shrinking)

    return Model(card["name"], recipe, sha256, run, card, free_memory)


def _run_model(folder: Path) -> Model:
    """The model of a run folder. Imports Keras and its backend, which takes seconds and a gigabyte."""
    from ich_lib.models.run import open_run

    trained = open_run(folder)
    run = keras_runner(trained.model(), trained.recipe) if trained.recipe.is_network else _classical_runner(trained)
    sha256 = hashlib.sha256(trained.weights.read_bytes()).hexdigest()
    split = {"split": trained.split.kind, "held_out_fold": trained.held_out, "folds": trained.folds}
    return Model(trained.recipe.name, trained.recipe, sha256, run, split)


def keras_runner(model: "keras.Model", recipe: Recipe) -> Callable[[np.ndarray], ModelOutput]:
    """The function that runs a Keras network."""
    from ich_lib.models.heat import add_heat_output

    outputs = keras_outputs(add_heat_output(model))
    return lambda pictures: model_output(outputs(pictures), recipe)


def keras_outputs(model: "keras.Model") -> Callable[[np.ndarray], list[np.ndarray]]:
    """The function from pictures to the outputs of a Keras network, in their order."""
    largest_batch = (
        # largest number of pictures so far: smaller batches are filled up, because each new size compiles the model
        # again
        1
    )

    def outputs(pictures: np.ndarray) -> list[np.ndarray]:
        nonlocal largest_batch
        largest_batch = max(largest_batch, len(pictures))
        filled = np.concatenate([pictures, np.repeat(pictures[-1:], largest_batch - len(pictures), axis=0)])
        out = model.predict_on_batch(filled)
        return [part[: len(pictures)] for part in (out if isinstance(out, list | tuple) else [out])]

    return outputs


def _classical_runner(trained: "Run") -> Callable[[np.ndarray], ModelOutput]:
    """The function that runs a model of hand-made features: scores without a map."""
    from ich_lib.models import classical

    scores = classical.fit_classifiers(classical.load_features(trained.weights), trained.recipe)
    return lambda pictures: ModelOutput(scores=scores(classical.features(pictures)))


def model_output(outputs: list[np.ndarray], recipe: Recipe) -> ModelOutput:
    """A model's outputs in their order: the mask without its channel axis, scores, heat, features.

    A model that was exported before an output existed returns None for it.
    """
    parts = list(outputs)
    blood = parts.pop(0)[..., 0] if recipe.has_mask_output else None
    return ModelOutput(blood, *parts)
