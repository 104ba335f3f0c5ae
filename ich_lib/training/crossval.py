"""Train one recipe once per fold of patients."""

from dataclasses import replace
from pathlib import Path

from ich_lib.data.store import Store
from ich_lib.models.recipe import Recipe
from ich_lib.models.run import FOLD, Run, is_run, open_run
from ich_lib.training.train import FOLDS, train


def cross_validate(
    recipe: Recipe,
    data: str | Path | Store,
    out: str | Path,
    *,
    start: str | Path | None = None,
    split: str = "patient",
    allow_leaks: bool = False,
    devices: int = 1,
) -> list[Run]:
    """Train a recipe once for each fold, with that fold held out. Finished folds are kept, and a stopped one resumes.

    Args:
        recipe: what to train.
        data: the folder of a data set, a store, or its file.
        out: gets one run per fold: fold-0, fold-1, ... `evaluate` takes this folder.
        start: a finished run that knows none of these patients, or a cross-validation whose fold k is the start of fold
            k.
        split: "patient", or for the lesson on leaks "leaky image" or "leaky row".
        allow_leaks: train even if held-out slices are known to the training side.
        devices: number of this machine's devices that share every batch.

    Returns:
        The runs in order.

    Raises:
        ValueError, FileNotFoundError: as in `train`; also if `out` holds folds of another recipe.
    """
    out, runs = Path(out), []
    for fold in range(FOLDS):
        folder = out / f"{FOLD}{fold}"
        is_started = is_run(folder)
        if is_started and open_run(folder).recipe != recipe:
            raise ValueError(f"{folder} holds a run with other settings than {recipe.name}. Choose another folder.")
        if is_started and open_run(folder).weights.is_file():
            runs.append(open_run(folder))
            continue
        first = None if is_started else _first(start, fold)
        run = train(
            recipe,
            data,
            folder,
            fold=fold,
            start=first,
            resume=is_started,
            split=split,
            allow_leaks=allow_leaks,
            devices=devices,
        )
        runs.append(run)
    return runs


def _first(start: str | Path | None, fold: int) -> Path | None:
    if start is None:
        return None
    fold_folder = Path(start) / f"{FOLD}{fold}"
    return fold_folder if fold_folder.is_dir() else Path(start)


def reduce_budget(recipe: Recipe, *, size: int, slices: int) -> Recipe:
    """A recipe limited to a common budget: the same number of training slices at the same picture size for every
    recipe.

    Batch, loss, optimizer, schedule, sampling, augmentation and windows stay as in the recipe. The schedule is scaled
    to the budget, nothing stops early, and pretrained weights are not used, because some models have none.

    Args:
        recipe: the recipe to limit.
        size: side of a picture in pixels.
        slices: total number of training slices, with repetitions. A 3D picture counts its slices; its depth is limited
            to 16.

    Raises:
        ValueError: if the budget is smaller than a batch.
    """
    if not recipe.is_network:  # it uses every slice once, for any budget
        return replace(recipe, size=size, source=f"{recipe.source}; cut to {size} px")
    recipe = from_random_weights(resize(recipe, size=size, depth=min(recipe.depth, 16)))
    steps = slices // (recipe.batch * recipe.depth)
    if steps < 1:
        raise ValueError(f"{slices} slices are fewer than one batch of {recipe.name}; give more.")
    epochs = max(k for k in range(1, 11) if steps % k == 0)
    return replace(
        recipe,
        steps=steps // epochs,
        epochs=epochs,
        restart=min(recipe.restart, epochs),
        patience=0,
        source=f"{recipe.source}; cut to {size} px and about {slices} training slices".lstrip("; "),
    )


def resize(recipe: Recipe, *, size: int | None = None, depth: int | None = None) -> Recipe:
    """A recipe for pictures of another size, with all other settings unchanged.

    Args:
        recipe: the recipe to change.
        size: side of a picture in pixels; None for the recipe's. Whole slices are stored at this size.
        depth: slices of a 3D picture; None for the recipe's. A two-dimensional recipe does not change.

    Example:
        >>> from ich_lib import recipes
        >>> resize(recipes()["unet3d-001"], size=128, depth=32).shape
        (32, 128, 128, 1)
    """
    size = size or recipe.size
    return replace(
        recipe,
        size=size,
        stored=size if recipe.field == "slice" else recipe.stored,
        depth=depth if depth and recipe.depth > 1 else recipe.depth,
    )


def from_random_weights(recipe: Recipe) -> Recipe:
    """A recipe with random initial weights that are all trained, for use without pretrained weights."""
    options = {**recipe.options, "trainable": "all"} if recipe.builder == "backbone" else recipe.options
    return replace(recipe, options=options, weights=None)
