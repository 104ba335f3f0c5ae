"""Weights to something that can be called: ONNX Runtime for what was exported, Keras for a run folder as it is.

A run of hand-made features is fitted again from what it kept.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ich_lib.models.recipes import Recipe
from ich_lib.models.recipes import from_json as recipe_from_json
from ich_lib.prediction.calibration import Calibration, from_json
from ich_lib.prediction.ood import Usual
from ich_lib.prediction.ood import from_json as usual_from_json

SHIPPED = "shipped"  # the word for the models that come with the library
WEIGHTS = Path(__file__).parents[1] / "weights"  # where those lie


@dataclass(frozen=True)
class Answer:
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
        rest: gives back memory that is kept for the next pictures; the next ones then take a little longer.
    """

    name: str
    recipe: Recipe
    sha256: str
    run: Callable[[np.ndarray], Answer]
    card: dict
    rest: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Models:
    """The pair `analyse` asks: one that draws the mask, one that scores. They may be the same model.

    One of them may be missing where a single model is to be judged.
    """

    segmenter: Model | None
    classifier: Model | None

    def __iter__(self):
        pair = [model for model in (self.segmenter, self.classifier) if model is not None]
        return iter(pair[:1] if self.segmenter is self.classifier else pair)

    @property
    def calibration(self) -> Calibration | None:
        """What turns the pair's evidence into probabilities; None unless it was fitted for just this pair."""
        told = [model.card.get("calibration") for model in self]
        return from_json(told[0]) if told[0] and all(one == told[0] for one in told) else None

    @property
    def figures(self) -> dict:
        """What the pair reached on patients that it never saw, as its card tells; empty where it tells of no pair."""
        told = [model.card.get("figures") for model in self]
        return told[0] if told[0] and all(one == told[0] for one in told) else {}

    @property
    def usual(self) -> Usual | None:
        """What the classifier's features are like on scans as it learned from; None where its card does not tell."""
        told = self.classifier.card.get("usual") if self.classifier else None
        return usual_from_json(told) if told else None


def load(source: str | Path = SHIPPED, *, fill: bool = True) -> Models:
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
    """
    if str(source) == SHIPPED:
        return _shipped()
    folder = Path(source)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder. Name a run folder of train, or what export wrote.")
    found = [
        model for place in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())) for model in _models_in(place)
    ]
    pair = _pair(found, folder)
    if not found:
        raise FileNotFoundError(f"{folder} holds no model: neither NAME.json with NAME.onnx, nor a finished run.")
    if fill and None in (pair.segmenter, pair.classifier):
        shipped = _shipped()
        pair = replace(
            pair, segmenter=pair.segmenter or shipped.segmenter, classifier=pair.classifier or shipped.classifier
        )
    return pair


@cache
def _shipped() -> Models:
    return _pair(_models_in(WEIGHTS), WEIGHTS)


def _models_in(folder: Path) -> list[Model]:
    """Exported models of a folder, or else the run it is."""
    exported = [_onnx_model(path) for path in sorted(folder.glob("*.json")) if path.with_suffix(".onnx").is_file()]
    if not exported and any((folder / name).is_file() for name in ("model.weights.h5", "features.npz")):
        return [_run_model(folder)]
    return exported


def _pair(found: list[Model], folder: Path) -> Models:
    segmenters, classifiers = (
        [model for model in found if model.recipe.segments],
        [model for model in found if model.recipe.classifies],
    )
    return Models(_only(segmenters, "segment", folder), _only(classifiers, "classify", folder))


def _only(fitting: list[Model], task: str, folder: Path) -> Model | None:
    """The one model of this task, or None."""
    if len(fitting) > 1:
        names = " and ".join(model.name for model in fitting)
        raise ValueError(
            f"{folder} holds more than one model that can {task}: {names}. Name the folder of one of them."
        )
    return fitting[0] if fitting else None


def _onnx_model(card_path: Path) -> Model:
    """An exported model, if its bytes are those its card names."""
    import onnxruntime

    path = card_path.with_suffix(".onnx")
    card = json.loads(card_path.read_text())
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != card["sha256"][path.name]:
        raise ValueError(
            f"{path.name} is not the file its card {card_path.name} describes (SHA-256 differs). Get both again."
        )
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    name, recipe = session.get_inputs()[0].name, recipe_from_json(card["recipe"])

    def run(pictures: np.ndarray) -> Answer:
        return answer_of(session.run(None, {name: pictures}), recipe)

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
    run = answering(trained.model(), trained.recipe) if trained.recipe.is_network else _fitted_again(trained)
    sha256 = hashlib.sha256(trained.weights.read_bytes()).hexdigest()
    split = {"split": trained.split.kind, "held_out_fold": trained.held_out, "folds": trained.folds}
    return Model(trained.recipe.name, trained.recipe, sha256, run, split)


def answering(model, recipe: Recipe) -> Callable[[np.ndarray], Answer]:
    """What answers for a network of Keras."""
    from ich_lib.models.heat import with_heat

    outputs = asked(with_heat(model))
    return lambda pictures: answer_of(outputs(pictures), recipe)


def asked(model) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Pictures to the outputs of a network of Keras, in their order."""
    most = 1  # pictures asked at a time so far: fewer are filled up, since every new number compiles the model anew

    def outputs(pictures: np.ndarray) -> list[np.ndarray]:
        nonlocal most
        most = max(most, len(pictures))
        filled = np.concatenate([pictures, np.repeat(pictures[-1:], most - len(pictures), axis=0)])
        out = model.predict_on_batch(filled)
        return [part[: len(pictures)] for part in (out if isinstance(out, list | tuple) else [out])]

    return outputs


def _fitted_again(trained) -> Callable[[np.ndarray], Answer]:
    """What answers for a run of hand-made features: scores without a map."""
    from ich_lib.models import classical

    scores = classical.fitted(classical.saved(trained.weights), trained.recipe)
    return lambda pictures: Answer(scores=scores(classical.features(pictures)))


def answer_of(parts: list[np.ndarray], recipe: Recipe) -> Answer:
    """A model's outputs in their order: the mask without its channel axis, scores, heat, features.

    What was exported before a later output was thought of lacks it, and answers None there.
    """
    parts = list(parts)
    blood = parts.pop(0)[..., 0] if recipe.segments else None
    return Answer(blood, *parts)
