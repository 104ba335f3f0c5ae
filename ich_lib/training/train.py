"""Recipe and slices to a run folder: weights, recipe.json, history.csv, folds.json.

This module decides which patients are trained on and which are held out; the loop itself is `ich_lib.training.loop`.
Keras takes seconds to import, so it is imported inside the functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ich_lib.data import open_set
from ich_lib.data.phantoms import phantoms
from ich_lib.data.real_heads import leave_out_samples, refuse_samples
from ich_lib.data.split import SPLITS, Split, find_leaks, units
from ich_lib.data.store import Store, StoredScan, cached_store, open_store
from ich_lib.models.recipe import Recipe
from ich_lib.models.recipes import get_recipe as recipe_named
from ich_lib.models.run import RECIPE, SPLIT, START, Run, is_run, open_run

if TYPE_CHECKING:
    import keras

FOLDS = 5


def train(
    recipe: Recipe | str,
    data: str | Path | Store | None,
    out: str | Path,
    *,
    fold: int | None = 0,
    split: str | Split = "patient",
    allow_leaks: bool = False,
    start: str | Path | None = None,
    resume: bool = False,
    devices: int = 1,
) -> Run:
    """Train a recipe with one fold of patients held out.

    Nothing is chosen by the held-out fold: the weights are those of the last step, and only the training loss may stop
    the training early.

    Args:
        recipe: the recipe, or its name.
        data: the folder of a data set, a store, or None to train only on phantoms.
        out: the new run folder.
        fold: the fold to hold out, 0 to 4; None trains on everything.
        split: "patient", or, for the lesson on leaks, "leaky image" or "leaky row"; or a finished split with its own
            held-out fold, in which case `fold` is not used.
        allow_leaks: train even if held-out slices are known to the training side.
        start: a finished run that gives the initial weights; its model may lack the last layers of this one.
        resume: continue a stopped run in `out`, with its own recipe and split.
        devices: number of this machine's devices that share every batch, see `ich_lib.training.devices.distribute`.

    Returns:
        The finished run.

    Raises:
        FileExistsError: if `out` already holds a run and `resume` is False.
        FileNotFoundError: if there is nothing to resume, or no data.
        ValueError: for a fold that does not exist, a `start` that has seen the held-out patients, or a split with the
            same patient, picture or nearly the same picture on both sides; for a `start` that is not a network; or for
            devices that do not exist.
        ModuleNotFoundError: without Keras, which requirements-course.txt adds.

    See also:
        `recipes`; `evaluate`, for the held-out fold; `export`, to serve the run; `load`, which opens it as it is.

    Example:
        >>> from ich_lib import Recipe, train
        >>> little = {"size": 32, "stored": 64, "phantoms": 6, "batch": 4, "steps": 2, "epochs": 1}
        >>> tiny = Recipe("tiny", "segment", "unet2d", {"filters": (4, 8)}, **little)
        >>> run = train(tiny, None, "run")  # on phantoms alone
        >>> len(run.history())  # epochs
        1
        >>> len(run.patients(trained=True)), len(run.patients(trained=False))
        (4, 2)
    """
    from ich_lib.models import classical
    from ich_lib.training import loop
    from ich_lib.training.devices import distribute

    recipe, out = recipe_named(recipe) if isinstance(recipe, str) else recipe, Path(out)
    if not recipe.is_network:
        classical.check_recipe(recipe)
        if start is not None:
            raise ValueError(f"{recipe.name} is not a network and has no initial weights; leave start out.")
    started = open_run(out) if resume else None
    # reported before anything is written
    place = distribute(devices, batch=(started.recipe if started else recipe).batch)
    slices = open_slices(recipe, data)
    patient_split = started.split if started else _split(slices, split, fold, recipe.seed)
    if set(patient_split.folds) != set(units(slices.table, patient_split.kind)):
        subject = f"{out} was begun with" if started else "The split deals out"
        raise ValueError(f"{subject} {len(patient_split.folds)} other patients than {slices.table.name} holds.")
    if not allow_leaks and (shared := find_leaks(patient_split, slices)):
        raise ValueError(
            f"This split leaks: {shared}. Its figures would mean nothing; use allow_leaks to train anyway."
        )
    run = started or _new_run(recipe, out, patient_split, start)
    if run.recipe.is_network:
        test_phantoms = _phantoms(run.recipe, 1) if data is not None and run.recipe.mixes_phantoms else None
        with place:
            loop.fit(run, slices, phantoms=test_phantoms, devices=devices)
    else:
        loop.fit_classical(run, slices)
    return run


def open_slices(recipe: Recipe, data: str | Path | Store | None) -> Store:
    """The training slices, at the size that the recipe's pictures are cropped from.

    Args:
        recipe: the recipe of the pictures.
        data: the folder of a data set, a store or its file, or None for phantoms.

    Raises:
        FileNotFoundError: if there is no data.
        ValueError: for neither data nor phantoms, for a store of another size or field than the recipe's, or for one
            with the sample patients of the demo, which no model is trained on.
    """
    if data is None and not recipe.phantoms:
        raise ValueError(
            f"{recipe.name} makes no phantoms (phantoms=0), so it needs data to train on: name a data set."
        )
    if data is None:
        return _phantoms(recipe, 0)
    if isinstance(data, Store):
        store = data
    elif Path(data).is_file():
        store = open_store(data)
    else:
        store = cached_store(
            leave_out_samples(open_set(data)), size=recipe.stored, field=recipe.field, progress=_bar("reading")
        )
    if (store.size, store.field) != (recipe.stored, recipe.field):
        raise ValueError(
            f"{store.path.name} holds {store.field} pictures of {store.size} px; {recipe.name} wants {recipe.field} "
            f"pictures of {recipe.stored} px. Make it with python -m ich_lib store."
        )
    refuse_samples(store.table)
    return store


def _phantoms(recipe: Recipe, add: int) -> Store:
    return phantoms(
        recipe.phantoms, recipe.seed + add, size=recipe.stored, field=recipe.field, progress=_bar("phantoms")
    )


def _bar(unit: str) -> Callable[..., Iterable[StoredScan]]:
    return lambda items, total: tqdm(items, total=total, desc=unit, unit="head")


def _split(slices: Store, kind: str | Split, fold: int | None, seed: int) -> Split:
    if isinstance(kind, Split):
        return kind
    if kind not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {kind!r}.")
    return SPLITS[kind](slices.table, folds=FOLDS, held_out=fold, seed=seed)


def _new_run(recipe: Recipe, out: Path, split: Split, start: str | Path | None) -> Run:
    if is_run(out):
        raise FileExistsError(f"{out} already holds a run. Choose another folder, or continue it with --resume.")
    run = Run(out, recipe, split)
    first = None if start is None else _start_from(open_run(start), run)
    if first is None and recipe.weights:
        from ich_lib.models.builders import build

        build(recipe, pretrained=True)  # missing weights are reported before a run is started
    out.mkdir(parents=True, exist_ok=True)
    if first:
        first.save_weights(out / START)
    (out / SPLIT).write_text(json.dumps(asdict(split), indent=1))
    (out / RECIPE).write_text(json.dumps(recipe.as_json(), indent=1))
    return run


def _start_from(start: Run, run: Run) -> keras.Model:
    """The model of `run` with the weights of `start`, which must all fit. `start` must not know a held-out patient.

    Layers that `start` lacks, such as the scores of a mask-only model, keep weights drawn from the seed.
    """
    if leaked := set(start.patients(trained=True)) & set(run.patients(trained=False)):
        raise ValueError(
            f"{start.folder} was trained on {len(leaked)} of the patients to be held out. Take its own fold."
        )
    import keras

    from ich_lib.models.builders import build

    keras.utils.set_random_seed(run.recipe.seed)
    model, before = build(run.recipe), start.model()
    places = {layer.name: layer for layer in model.layers}
    shapes = lambda layer: [w.shape for w in layer.weights] if layer else None  # noqa: E731
    for layer in before.layers:
        if layer.weights and shapes(layer) != shapes(places.get(layer.name)):
            raise ValueError(
                f"{start.folder} trained another model than {run.recipe.name}: its layer {layer.name} does not fit."
            )
        if layer.weights:
            places[layer.name].set_weights(layer.get_weights())
    return model
