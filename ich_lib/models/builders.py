"""Model builders: Keras 3 only, every layer named, flat."""

import inspect
from collections.abc import Callable, Iterable, Iterator

import keras

from ich_lib.models.backbones import backbone
from ich_lib.models.cnn import alexnet_004, cnn_001, vanilla_004
from ich_lib.models.densenet import densenet_bc
from ich_lib.models.efficientnet_lite import unet_lite0
from ich_lib.models.recipe import Recipe
from ich_lib.models.recipes import RECIPES
from ich_lib.models.recurrent import cnn_rnn
from ich_lib.models.seresnext import se_resnext
from ich_lib.models.unet import unet2d, unet_000, unet_002, unet_003, unet_ensemble
from ich_lib.models.unet3d import unet3d

_SEGMENT: dict[str, Callable[..., keras.Model]] = {
    "unet2d": unet2d,
    "unet_000": unet_000,
    "unet_002": unet_002,
    "unet_003": unet_003,
    "unet3d": unet3d,
    "ensemble": unet_ensemble,
    "unet_lite0": unet_lite0,
}
_CLASSIFY: dict[str, Callable[..., keras.Model]] = {
    "densenet_bc": densenet_bc,
    "cnn_001": cnn_001,
    "vanilla_004": vanilla_004,
    "alexnet_004": alexnet_004,
    "backbone": backbone,
    "se_resnext": se_resnext,
    "cnn_rnn": cnn_rnn,
}
_BUILDERS: dict[str, dict[str, Callable[..., keras.Model]]] = {
    "segment": _SEGMENT,
    "classify": _CLASSIFY,
    "both": {"unet2d": unet2d, "unet_lite0": unet_lite0},
}


def build(recipe: Recipe, *, precision: str = "float32", pretrained: bool = False) -> keras.Model:
    """The recipe's model, untrained. Weights do not depend on `precision`, the Keras dtype policy of the arithmetic.

    Args:
        recipe: the model's description.
        precision: a Keras dtype policy.
        pretrained: start with the recipe's `weights`, which may be downloaded; otherwise all weights are random.

    Raises:
        ValueError: for a builder that does not fit the recipe's task, weights that are not available, or a recipe that
            is not a network.
    """
    if not recipe.is_network:
        raise ValueError(f"{recipe.name} is not a network; it is fitted by ich_lib.models.classical.")
    builder = _builder(recipe)
    options = dict(recipe.options)
    if recipe.has_score_output:
        options["scheme"] = recipe.scheme
    if pretrained and recipe.weights:
        options["weights"] = recipe.weights
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return builder(recipe.shape, name=recipe.name, **options)
    finally:
        keras.config.set_dtype_policy(before)


def builder_options(recipe: Recipe) -> tuple[str, ...]:
    """The names allowed in `Recipe.options`: arguments of the recipe's builder that the recipe does not set otherwise.

    Raises:
        ValueError: as in `build`.
    """
    reserved = {"shape", "scheme", "weights", "name"}
    return tuple(name for name in inspect.signature(_builder(recipe)).parameters if name not in reserved)


def _builder(recipe: Recipe) -> Callable[..., keras.Model]:
    builders = _BUILDERS.get(recipe.task, {})
    if recipe.builder not in builders:
        raise ValueError(
            f"{recipe.name} is a recipe to {recipe.task} with {recipe.builder!r}, which does not; builders that do: "
            f"{', '.join(builders) or 'none'}."
        )
    return builders[recipe.builder]


def list_models(names: Iterable[str] = RECIPES) -> Iterator[dict]:
    """Every model that can be trained, row by row: name, task, shape of the picture, parameters and source.

    The model of a row is built only when the row is read. A row that is not a network has None for its parameters.
    """
    for name in names:
        entry = RECIPES[name]
        count = build(entry).count_params() if entry.is_network else None
        yield {"name": name, "task": entry.task, "shape": entry.shape, "parameters": count, "source": entry.source}


__all__ = [
    "alexnet_004",
    "backbone",
    "build",
    "builder_options",
    "cnn_001",
    "cnn_rnn",
    "densenet_bc",
    "list_models",
    "se_resnext",
    "unet2d",
    "unet3d",
    "unet_000",
    "unet_002",
    "unet_003",
    "unet_ensemble",
    "unet_lite0",
    "vanilla_004",
]
