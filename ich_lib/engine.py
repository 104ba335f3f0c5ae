"""Weights to something that can be called: ONNX Runtime for what was exported, Keras for a run folder as it is."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ich_lib.recipes import Recipe, from_json

SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Model:
    """One trained model, ready to run.

    Attributes:
        name: the recipe's name.
        recipe: tells which input it wants.
        sha256: of the file the weights came from.
        run: (n, y, x, channel) float32 to a tuple of arrays. A segmenter gives blood (n, y, x); a classifier gives
            scores (n, 6) and heat (n, r, c, 6).
        card: NAME.json: figures, data, attribution, folds. A run folder gives its folds only.
    """

    name: str
    recipe: Recipe
    sha256: str
    run: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    card: dict


@dataclass(frozen=True)
class Models:
    """The pair `analyse` asks. One of them may be missing where a single model is to be judged."""

    segmenter: Model | None
    classifier: Model | None

    def __iter__(self):
        return iter(model for model in (self.segmenter, self.classifier) if model is not None)


def load(folder: str | Path | None = None, *, fill: bool = True) -> Models:
    """Load trained models.

    Args:
        folder: what `export` or `train` wrote, or a folder of such folders; None for the weights that come with the
            library.
        fill: take a model that `folder` lacks from the shipped pair.

    Returns:
        The models.

    Raises:
        FileNotFoundError: if there are no models in `folder`.
        ValueError: if a file's SHA-256 is not the one its card states, or two models of one task are there.
    """
    if folder is None:
        return _shipped()
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder. Name a run folder of train, or what export wrote.")
    found = [
        model for place in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())) for model in _models_in(place)
    ]
    pair = Models(_only(found, "segment", folder), _only(found, "classify", folder))
    if not list(pair):
        raise FileNotFoundError(f"{folder} holds no model: neither NAME.json with NAME.onnx, nor a finished run.")
    if fill and len(list(pair)) < 2:
        shipped = _shipped()
        pair = replace(
            pair, segmenter=pair.segmenter or shipped.segmenter, classifier=pair.classifier or shipped.classifier
        )
    return pair


@cache
def _shipped() -> Models:
    found = _models_in(SHIPPED)
    return Models(_only(found, "segment", SHIPPED), _only(found, "classify", SHIPPED))


def _models_in(folder: Path) -> list[Model]:
    """Exported models of a folder, or else the run it is."""
    exported = [_onnx_model(path) for path in sorted(folder.glob("*.json")) if path.with_suffix(".onnx").is_file()]
    if not exported and (folder / "model.weights.h5").is_file():
        return [_keras_model(folder)]
    return exported


def _only(found: list[Model], task: str, folder: Path) -> Model | None:
    """The one model of this task, or None."""
    fitting = [model for model in found if model.recipe.task == task]
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
    name = session.get_inputs()[0].name

    def run(pictures: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(_flat(part) for part in session.run(None, {name: pictures}))

    return Model(card["name"], from_json(card["recipe"]), sha256, run, card)


def _keras_model(folder: Path) -> Model:
    """A run folder as it is. Imports Keras and its backend: seconds, and a gigabyte."""
    from ich_lib.export import with_heat
    from ich_lib.train import open_run

    trained = open_run(folder)
    model = with_heat(trained.model()) if trained.recipe.task == "classify" else trained.model()

    def run(pictures: np.ndarray) -> tuple[np.ndarray, ...]:
        out = model.predict(pictures, batch_size=len(pictures), verbose=0)
        return tuple(_flat(part) for part in (out if isinstance(out, list | tuple) else [out]))

    sha256 = hashlib.sha256(trained.weights.read_bytes()).hexdigest()
    split = {"held_out_fold": trained.held_out, "folds": trained.folds}
    return Model(trained.recipe.name, trained.recipe, sha256, run, split)


def _flat(part: np.ndarray) -> np.ndarray:
    """A mask without its channel axis."""
    return part[..., 0] if part.ndim == 4 and part.shape[-1] == 1 else part
