"""Model builders: Keras 3 only, every layer named."""

import keras

from ich_lib.models.densenet import densenet_bc
from ich_lib.models.unet import unet2d
from ich_lib.recipes import Recipe

_BUILDERS = {"unet2d": unet2d, "densenet_bc": densenet_bc}


def build(recipe: Recipe, *, precision: str = "float32") -> keras.Model:
    """The recipe's model, untrained. Weights do not depend on `precision`, the Keras dtype policy of the arithmetic."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return _BUILDERS[recipe.builder](
            (recipe.size, recipe.size, recipe.channels), name=recipe.name, **recipe.options
        )
    finally:
        keras.config.set_dtype_policy(before)


__all__ = ["build", "densenet_bc", "unet2d"]
