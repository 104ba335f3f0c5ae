"""The input of a model for a scan, as pictures that a person can look at."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ich_lib.models.pictures import model_inputs, neighbor_indices, restore_bone
from ich_lib.models.recipe import Recipe
from ich_lib.prediction.analyze import slab_scan, slice_batches
from ich_lib.prediction.engine import Model
from ich_lib.prepare.head import Box, field_box
from ich_lib.scan import Scan


@dataclass(frozen=True)
class InputPictures:
    """All pictures of one scan that a model receives. It also receives their mirror images, which are left out here.

    Attributes:
        model: its name.
        pictures: (slab, y, x, window) float32 in [0, 1], each slab through each window.
        windows: names of WINDOWS, in that order.
        slabs_per_input: for each slab the numbers of the slabs in one input with it, foot to head.
        slabs: slice numbers of each slab; a slice each where slices are not thin.
        box: the square of a slice that the pictures show, in pixels of the scan.
    """

    model: str
    pictures: np.ndarray
    windows: tuple[str, ...]
    slabs_per_input: tuple[tuple[int, ...], ...]
    slabs: tuple[range, ...]
    box: Box


def input_pictures(scan: Scan, model: Model) -> InputPictures:
    """What `analyze` gives to a model, made by the same functions.

    Args:
        scan: what `read` returned.
        model: one of those that `load` returned.

    Returns:
        The pictures and how they go together.

    Example:
        >>> from ich_lib import load, phantom
        >>> from ich_lib.prediction.inputs import input_pictures
        >>> scan = phantom(1, slices=4, pixels=64).scan
        >>> inputs = input_pictures(scan, load().segmenter)
        >>> inputs.pictures.shape, inputs.windows
        ((4, 192, 192, 2), ('brain render', 'bone'))
        >>> inputs.slabs_per_input  # the lowest slice has none below it, so it is used twice
        ((0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 3))
    """
    slabs, thick = slab_scan(scan)
    hu, recipe = restore_bone(thick.hu), model.recipe
    box = field_box(hu, recipe.field)
    alone = replace(recipe, neighbors=0, depth=1)
    views = model_inputs(hu, box, alone, range(len(hu)))
    return InputPictures(
        model.name,
        np.concatenate(views, axis=-1),
        recipe.windows,
        tuple(_slabs_per_input(len(hu), recipe)),
        slabs.ranges,
        box,
    )


def _slabs_per_input(count: int, recipe: Recipe) -> Iterator[tuple[int, ...]]:
    """For each slice, the slices that are in one input with it."""
    for rows in slice_batches(count, recipe):
        for k in rows:
            together = rows if recipe.depth > 1 else neighbor_indices(count, k, recipe.neighbors).tolist()
            yield tuple(together)
