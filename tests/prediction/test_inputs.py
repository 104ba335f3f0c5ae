"""The page shows exactly the input that the model gets, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest

from ich_lib.labels import LABELS
from ich_lib.models.recipe import Recipe
from ich_lib.phantoms import phantom
from ich_lib.prediction.analyze import analyze
from ich_lib.prediction.engine import Model, ModelOutput, Models
from ich_lib.prediction.inputs import input_pictures

PLAIN = Recipe("plain", "both", "unet2d", size=32, windows=("brain", "bone"))
RECIPES = {
    "three slices": PLAIN,
    "five slices": replace(PLAIN, neighbors=2),
    "one slice, whole": replace(PLAIN, neighbors=0, field="slice"),
    "a picture for each window": replace(PLAIN, windows_as="samples"),
    "a block": replace(PLAIN, depth=4),
}


def given_to(recipe, scan):
    """The inputs that `analyze` gives to a model of this recipe, without their mirror images."""
    given = []

    def run(pictures):
        given.append(pictures)
        grid = pictures.shape[:-1]
        scores = np.zeros((*grid[:-2], len(LABELS)), np.float32)
        return ModelOutput(blood=np.zeros(grid, np.float32), scores=scores)

    model = Model("watched", recipe, "0" * 64, run, {})
    analyze(scan, Models(model, model))
    return model, given[::2]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("thickness_mm", [5.0, 1.25])
def test_pictures_put_together_as_told_are_what_the_model_is_given(recipe, thickness_mm):
    scan = phantom(1, slices=12, pixels=64, thickness_mm=thickness_mm).scan
    model, given = given_to(recipe, scan)
    seen = input_pictures(scan, model)
    assert sorted(k for rows in seen.slabs for k in rows) == list(range(12))
    assert len(seen.pictures) == len(seen.slabs) == (12 if thickness_mm == 5 else 3)
    stacks = [seen.pictures[list(together)] for together in seen.slabs_per_input]  # (slab, y, x, window) of each slab
    if recipe.depth > 1:  # the last block is filled up with air
        for block, inputs in zip(stacks[:: recipe.depth], given, strict=True):
            assert np.array_equal(block, inputs[0, : len(block)])
        return
    channels = [np.concatenate(list(stack), axis=-1) for stack in stacks]
    if recipe.windows_as == "samples":
        brain, bone = (np.concatenate(given[number::2]) for number in (0, 1))
        assert np.array_equal(np.stack(channels)[..., 0::2], brain)
        assert np.array_equal(np.stack(channels)[..., 1::2], bone)
    else:
        assert np.array_equal(np.stack(channels), np.concatenate(given))


def test_the_box_is_the_square_around_the_head_or_the_whole_slice():
    scan = phantom(1, slices=4, pixels=64).scan
    recipes = RECIPES["three slices"], RECIPES["one slice, whole"]
    head, full = (input_pictures(scan, given_to(recipe, scan)[0]).box for recipe in recipes)
    assert (full.top, full.left, full.side) == (0, 0, 64)
    bone = np.argwhere((scan.hu > 300).any(axis=0))
    assert head.top <= bone[:, 0].min() < bone[:, 0].max() < head.top + head.side
    assert head.side < 64
