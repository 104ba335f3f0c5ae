"""Model builders: Keras 3 only, every layer named, flat."""

import inspect
from collections.abc import Callable, Iterable, Iterator

import keras

from ich_lib.models.backbones import backbone
from ich_lib.models.cnn import alexnet_004, cnn_001, vanilla_004
from ich_lib.models.densenet import densenet_bc
from ich_lib.models.recipes import RECIPES, Recipe
from ich_lib.models.recurrent import cnn_rnn
from ich_lib.models.seresnext import se_resnext
from ich_lib.models.unet import ensemble, unet2d, unet_000, unet_002, unet_003
from ich_lib.models.unet3d import unet3d

_SEGMENT = {
    "unet2d": unet2d,
    "unet_000": unet_000,
    "unet_002": unet_002,
    "unet_003": unet_003,
    "unet3d": unet3d,
    "ensemble": ensemble,
}
_CLASSIFY = {
    "densenet_bc": densenet_bc,
    "cnn_001": cnn_001,
    "vanilla_004": vanilla_004,
    "alexnet_004": alexnet_004,
    "backbone": backbone,
    "se_resnext": se_resnext,
    "cnn_rnn": cnn_rnn,
}
_BUILDERS = {"segment": _SEGMENT, "classify": _CLASSIFY, "both": {"unet2d": unet2d}}


def build(recipe: Recipe, *, precision: str = "float32", pretrained: bool = False) -> keras.Model:
    """The recipe's model, untrained. Weights do not depend on `precision`, the Keras dtype policy of the arithmetic.

    Args:
        recipe: what to build.
        precision: a Keras dtype policy.
        pretrained: begin with the recipe's `weights`, which may have to be fetched; otherwise all weights are random.

    Raises:
        ValueError: for a builder that no model of the recipe's task has, weights that cannot be had, or a recipe that
            is no network.
    """
    if not recipe.is_network:
        raise ValueError(f"{recipe.name} is no network; it is fitted by ich_lib.models.classical.")
    builder = _builder(recipe)
    options = dict(recipe.options)
    if recipe.classifies:
        options["scheme"] = recipe.scheme
    if pretrained and recipe.weights:
        options["weights"] = recipe.weights
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return builder(recipe.shape, name=recipe.name, **options)
    finally:
        keras.config.set_dtype_policy(before)


def options_of(recipe: Recipe) -> tuple[str, ...]:
    """What `Recipe.options` may name: the arguments of the recipe's builder that the recipe does not give otherwise.

    Raises:
        ValueError: as `build`.
    """
    given = {"shape", "scheme", "weights", "name"}
    return tuple(name for name in inspect.signature(_builder(recipe)).parameters if name not in given)


def _builder(recipe: Recipe) -> Callable[..., keras.Model]:
    builders = _BUILDERS.get(recipe.task, {})
    if recipe.builder not in builders:
        raise ValueError(
            f"{recipe.name} wants to {recipe.task} with {recipe.builder!r}, which does not; builders that do: "
            f"{', '.join(builders) or 'none'}."
        )
    return builders[recipe.builder]


def catalog(names: Iterable[str] = RECIPES) -> Iterator[dict]:
    """What there is to train, row by row: name, task, shape of the picture, parameters and source.

    A row's model is built only when the row is asked for. What is no network has None for its parameters.
    """
    for name in names:
        one = RECIPES[name]
        count = build(one).count_params() if one.is_network else None
        yield {"name": name, "task": one.task, "shape": one.shape, "parameters": count, "source": one.source}


__all__ = [
    "alexnet_004",
    "backbone",
    "build",
    "catalog",
    "cnn_001",
    "cnn_rnn",
    "densenet_bc",
    "ensemble",
    "options_of",
    "se_resnext",
    "unet2d",
    "unet3d",
    "unet_000",
    "unet_002",
    "unet_003",
    "vanilla_004",
]
