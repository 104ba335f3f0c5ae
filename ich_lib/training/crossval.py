"""One recipe trained once per fold of patients."""

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
    """Train a recipe once for each fold, that fold held out. Finished folds stay, a stopped one goes on.

    Args:
        recipe: what to train.
        data: the folder of a data set, a store, or its file.
        out: gets a run a fold: fold-0, fold-1, ... `evaluate` takes this folder.
        start: a finished run that knows none of these patients, or a cross-validation whose fold k begins fold k.
        split: "patient", or for the lesson on leaks "leaky image" or "leaky row".
        allow_leaks: train although held-out slices are known to the training side.
        devices: how many of this machine's devices share every batch.

    Returns:
        The runs in order.

    Raises:
        ValueError, FileNotFoundError: as `train`; also if `out` holds folds of another recipe.
    """
    out, runs = Path(out), []
    for fold in range(FOLDS):
        folder = out / f"{FOLD}{fold}"
        begun = is_run(folder)
        if begun and open_run(folder).recipe != recipe:
            raise ValueError(f"{folder} holds a run of other settings than {recipe.name}. Choose another folder.")
        if begun and open_run(folder).weights.is_file():
            runs.append(open_run(folder))
            continue
        first = None if begun else _first(start, fold)
        run = train(
            recipe,
            data,
            folder,
            fold=fold,
            start=first,
            resume=begun,
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
    """A recipe cut to a common budget: as many slices seen at one picture size, whatever the recipe asks for.

    Batch, loss, optimizer, schedule, sampling, augmentation and windows stay the recipe's own; the schedule is squeezed
    into the budget, nothing stops early, and pretrained weights are left out, since not every model has some.

    Args:
        recipe: what to cut.
        size: side of a picture in pixels.
        slices: seen in training, all in all. A 3D picture counts its slices; its depth is cut to 16.

    Raises:
        ValueError: if the budget is smaller than a batch.
    """
    depth = min(recipe.depth, 16)
    if not recipe.is_network:  # it sees every slice once, whatever the budget
        return replace(recipe, size=size, source=f"{recipe.source}; cut to {size} px")
    steps = slices // (recipe.batch * depth)
    if steps < 1:
        raise ValueError(f"{slices} slices are less than one batch of {recipe.name}; give more.")
    epochs = max(k for k in range(1, 11) if steps % k == 0)
    options = {**recipe.options, "trainable": "all"} if recipe.builder == "backbone" else recipe.options
    return replace(
        recipe,
        options=options,
        weights=None,
        size=size,
        stored=size if recipe.field == "slice" else recipe.stored,
        depth=depth,
        steps=steps // epochs,
        epochs=epochs,
        restart=min(recipe.restart, epochs),
        patience=0,
        source=f"{recipe.source}; cut to {size} px and about {slices} slices seen".lstrip("; "),
    )
