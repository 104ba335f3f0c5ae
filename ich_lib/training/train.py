"""Recipe and slices to a run folder: weights, recipe.json, history.csv, folds.json."""

import csv
import json
import time
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from ich_lib.data import open_set
from ich_lib.data.phantoms import phantoms
from ich_lib.data.split import SPLITS, Split, leaks, units
from ich_lib.data.store import Store, kept_store, open_store
from ich_lib.measures.metrics import log_loss
from ich_lib.models import classical
from ich_lib.models.builders import build
from ich_lib.models.losses import LOSSES
from ich_lib.models.recipes import Recipe
from ich_lib.models.run import CHECKPOINT, COLUMNS, HISTORY, START, Run, open_run
from ich_lib.training.batches import Batches, Slices, Still
from ich_lib.training.devices import spread

FOLDS = 5


def train(
    recipe: Recipe,
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
    """Train a recipe, holding one fold of patients out.

    Nothing is chosen by looking at the held-out fold: the weights kept are those of the last step, and what may end
    training early is the training loss.

    Args:
        recipe: what to train.
        data: the folder of a data set, a store, or None to train on phantoms alone.
        out: the run folder to make.
        fold: the fold to hold out, 0 to 4; None trains on everything.
        split: "patient", or, for the lesson on leaks, "leaky image" or "leaky row"; or a split that is ready, which
            names its own fold held out, so that `fold` is not used.
        allow_leaks: train although held-out slices are known to the training side.
        start: a finished run whose weights come first; its model may lack the last layers of this one.
        resume: go on where a stopped run in `out` ended; its own recipe and split are used.
        devices: how many of this machine's devices share every batch, see `ich_lib.training.devices.spread`.

    Returns:
        The finished run.

    Raises:
        FileExistsError: if `out` already holds a run and `resume` is False.
        FileNotFoundError: if there is nothing to resume, or no data.
        ValueError: for a fold that does not exist, a `start` that has seen the patients held out, or a split with the
            same patient, picture or nearly the same picture on both sides; for a `start` of what is no network; or for
            devices that are not there.
    """
    out = Path(out)
    if not recipe.is_network:
        classical.check(recipe)
        if start is not None:
            raise ValueError(f"{recipe.name} is no network and has no weights to begin with; leave start out.")
    begun = open_run(out) if resume else None
    place = spread(devices, batch=(begun.recipe if begun else recipe).batch)  # told before anything is made
    slices = slices_of(recipe, data)
    chosen = begun.split if begun else _split(slices, split, fold, recipe.seed)
    if set(chosen.folds) != set(units(slices.table, chosen.kind)):
        who = f"{out} was begun with" if begun else "The split deals out"
        raise ValueError(f"{who} {len(chosen.folds)} other patients than {slices.table.name} holds.")
    if not allow_leaks and (found := leaks(chosen, slices)):
        raise ValueError(f"This split leaks: {found}. Its figures would mean nothing; allow_leaks trains all the same.")
    run = begun or _new_run(recipe, out, chosen, start)
    seen, unseen = (Slices(slices, run.split.rows(slices.table, trained=side)) for side in (True, False))
    if run.recipe.is_network:
        made = _phantoms(run.recipe, 1) if _mixes_phantoms(run.recipe, data) else None
        with place:
            _fit(run, seen, unseen, phantoms=made, devices=devices)
    else:
        _fit_classical(run, seen, unseen)
    return run


def slices_of(recipe: Recipe, data: str | Path | Store | None) -> Store:
    """The slices to train on, at the size the recipe's pictures are cut from.

    Args:
        recipe: whose pictures they are.
        data: the folder of a data set, a store or its file, or None for phantoms.

    Raises:
        FileNotFoundError: if there is no data.
        ValueError: for a store of another size or field than the recipe's.
    """
    if data is None:
        return _phantoms(recipe, 0)
    if isinstance(data, Store):
        found = data
    elif Path(data).is_file():
        found = open_store(data)
    else:
        found = kept_store(open_set(data), size=recipe.stored, field=recipe.field, progress=_bar("reading"))
    if (found.size, found.field) != (recipe.stored, recipe.field):
        raise ValueError(
            f"{found.path.name} holds {found.field} pictures of {found.size} px; {recipe.name} wants {recipe.field} "
            f"pictures of {recipe.stored} px. Make it with python -m ich_lib store."
        )
    return found


def _phantoms(recipe: Recipe, add: int) -> Store:
    return phantoms(
        recipe.phantoms, recipe.seed + add, size=recipe.stored, field=recipe.field, progress=_bar("phantoms")
    )


def _mixes_phantoms(recipe: Recipe, data: str | Path | Store | None) -> bool:
    return data is not None and recipe.sampling == "mix" and recipe.mix[3] > 0


def _bar(what: str):
    return lambda items, total: tqdm(items, total=total, desc=what, unit="head")


def _split(slices: Store, kind: str | Split, fold: int | None, seed: int) -> Split:
    if isinstance(kind, Split):
        return kind
    if kind not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {kind!r}.")
    return SPLITS[kind](slices.table, folds=FOLDS, held_out=fold, seed=seed)


def _new_run(recipe: Recipe, out: Path, split: Split, start: str | Path | None) -> Run:
    if (out / "recipe.json").exists():
        raise FileExistsError(f"{out} already holds a run. Choose another folder, or go on with it by --resume.")
    run = Run(out, recipe, split)
    first = None if start is None else _begun_by(open_run(start), run)
    if first is None and recipe.weights:
        build(recipe, pretrained=True)  # weights that cannot be had are told before a run is begun
    out.mkdir(parents=True, exist_ok=True)
    if first:
        first.save_weights(out / START)
    (out / "folds.json").write_text(json.dumps(asdict(split), indent=1))
    (out / "recipe.json").write_text(json.dumps(recipe.as_json(), indent=1))
    return run


def _begun_by(start: Run, run: Run) -> keras.Model:
    """The model of `run` with the weights of `start`, which must all find their place and know nobody held out.

    Layers that `start` lacks, such as the scores of a model that only drew masks, keep weights drawn by the seed.
    """
    if leaked := set(start.patients(trained=True)) & set(run.patients(trained=False)):
        raise ValueError(
            f"{start.folder} was trained on {len(leaked)} of the patients to be held out. Take its own fold."
        )
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


def _fit(run: Run, seen: Slices, unseen: Slices, *, phantoms: Store | None, devices: int) -> None:
    recipe = run.recipe
    keras.utils.set_random_seed(recipe.seed)
    made = None if phantoms is None else Slices(phantoms, np.arange(len(phantoms)))
    batches = Batches(seen, recipe, phantoms=made)
    known = any((run.folder / name).is_file() for name in (START, CHECKPOINT))
    model = _compiled(recipe, len(batches), pretrained=not known)
    if (run.folder / START).is_file():
        model.set_weights(run.first_model().get_weights())
    begun = _restore(model, run.folder, len(batches))
    stopped = stalled(_losses(run), recipe.patience)
    batches.begin_with(begun)
    model.fit(
        batches,
        initial_epoch=begun,
        shuffle=False,  # the batches have an order of their own
        epochs=begun if stopped else recipe.epochs,
        validation_data=Still(unseen, recipe, multiple=devices) if len(unseen) else None,
        validation_freq=5,
        callbacks=[_Keep(run, begun, batches), _Watch(run)],
        verbose=0,
    )
    final = build(recipe)
    final.set_weights(model.get_weights())
    final.save_weights(run.weights)


def _fit_classical(run: Run, seen: Slices, unseen: Slices) -> None:
    """Measure the training side, fit on it, and keep the features: opening the run fits again, to the same scores.

    "balanced" draws its clean slices here, so never from the side held out.
    """
    if run.weights.is_file():
        return
    started, recipe = time.monotonic(), run.recipe
    one_pass = Batches(seen, recipe).sampler
    rng = np.random.default_rng(recipe.seed)
    rows = [one_pass.at(place, rng).row for place in range(len(one_pass))]
    taught, held_out = (
        classical.measured(Still(one, recipe), recipe) for one in (Slices(seen.store, np.sort(rows)), unseen)
    )
    scores = classical.fitted(taught, recipe)
    row = {"epoch": 1, "loss": f"{_log_loss(scores, taught):.5f}", "learning_rate": ""}
    row |= {"val_loss": f"{_log_loss(scores, held_out):.5f}" if len(held_out.labels) else ""}
    row |= {"minutes": f"{(time.monotonic() - started) / 60:.2f}"}
    with (run.folder / HISTORY).open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(row)
    taught.save(run.weights)  # last: a run that has it is finished


def _log_loss(scores, shown: classical.Measured) -> float:
    """Mean over the labels, as the networks' binary cross-entropy is."""
    found = scores(shown.columns)
    return float(np.mean([log_loss(*pair) for pair in zip(shown.labels.T, found.T, strict=True)]))


def _compiled(recipe: Recipe, steps: int, *, pretrained: bool = False) -> keras.Model:
    model = build(recipe, precision=recipe.precision, pretrained=pretrained)
    rate = learning_rate(recipe, steps)
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    loss, weights = LOSSES[recipe.loss], None
    if recipe.task == "both":
        loss, weights = [loss, LOSSES["bce"]], [1.0, recipe.label_weight]
    # XLA takes TensorFlow longer to compile than it saves here; JAX without it computes operation by operation.
    fused = keras.backend.backend() == "jax"
    model.compile(optimizer, loss, loss_weights=weights, jit_compile=fused)
    optimizer.build(model.trainable_variables)
    return model


def learning_rate(recipe: Recipe, steps: int) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """The recipe's learning rate: by the step for a cosine, else the one it begins with.

    Both cosines count steps, as the optimizer does. System 000 asked a schedule made for steps once an epoch, so it
    never came to a restart.

    Args:
        recipe: rate, schedule, epochs.
        steps: of an epoch.
    """
    schedules = keras.optimizers.schedules
    if recipe.schedule == "cosine":
        return schedules.CosineDecay(recipe.learning_rate, steps * recipe.epochs, alpha=recipe.lowest)
    if recipe.schedule == "cosine restarts":
        return schedules.CosineDecayRestarts(
            recipe.learning_rate, steps * recipe.restart, t_mul=1.0, m_mul=1.0, alpha=recipe.lowest
        )
    return recipe.learning_rate


def halvings(losses: list[float], patience: int) -> int:
    """How often a plateau has halved the learning rate: each time `patience` epochs bring no loss lower by 0.0001.

    Source:
        The rule and its 0.0001 are those of keras.callbacks.ReduceLROnPlateau; as a function of all losses so far it
        needs no state of its own, so a resumed run goes on as an unbroken one would.
    """
    best, waited, count = float("inf"), 0, 0
    for loss in losses:
        waited = 0 if loss < best - 1e-4 else waited + 1
        best = loss if waited == 0 else best
        if waited == patience:
            count, waited = count + 1, 0
    return count


def stalled(losses: list[float], patience: int) -> bool:
    """Whether the last `patience` epochs brought no loss lower than before them; never for a patience of 0."""
    return 0 < patience < len(losses) and min(losses[-patience:]) >= min(losses[:-patience])


def _losses(run: Run) -> list[float]:
    """Training losses of all epochs so far."""
    return [epoch.loss for epoch in run.history()]


def _restore(model: keras.Model, folder: Path, steps: int) -> int:
    """Load the last checkpoint, optimizer included, and cut the history to it; the epoch to begin with."""
    checkpoint, history = folder / CHECKPOINT, folder / HISTORY
    begun = 0
    if checkpoint.is_file():
        model.load_weights(checkpoint)
        begun = int(_number(model.optimizer.iterations)) // steps
    lines = history.read_text().splitlines()[1 : begun + 1] if history.is_file() else []
    history.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    return begun


def _number(value) -> float:
    """Of a Keras variable or tensor, also of one that lies on several devices."""
    return float(keras.ops.convert_to_numpy(value))


class _Keep(keras.callbacks.Callback):
    """After every epoch a checkpoint, then a line of history; a bar with the time left all along."""

    def __init__(self, run: Run, begun: int, batches: Batches):
        super().__init__()
        self.run, self.batches, self.started = run, batches, time.monotonic() - 60 * run.minutes
        steps = len(batches)
        self.bar = tqdm(
            total=run.recipe.epochs * steps, initial=begun * steps, desc=run.recipe.name, unit="step", mininterval=2
        )

    def on_epoch_begin(self, epoch, logs=None):
        """Give the batches and dropout the epoch's own number, so that every run, resumed or not, draws the same.

        No checkpoint holds dropout's state; and but for TensorFlow on one device, Keras looks into the batches once
        before the first epoch, so who counts its passes is one ahead.
        """
        self.batches.begin_with(epoch)
        for layer in self.model.layers:
            if generator := getattr(layer, "seed_generator", None):  # a rate of 0 has none
                generator.state.assign([self.run.recipe.seed, epoch + 1])

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)

    def on_epoch_end(self, epoch, logs=None):
        part = self.run.folder / f"part-{CHECKPOINT}"
        self.model.save_weights(part)
        part.replace(self.run.folder / CHECKPOINT)  # a kill leaves either the old checkpoint or the new one
        row = {
            "epoch": epoch + 1,
            "loss": f"{logs['loss']:.5f}",
            "learning_rate": f"{_number(self.model.optimizer.learning_rate):.3g}",
        }
        row |= {"val_loss": f"{logs['val_loss']:.5f}" if "val_loss" in logs else ""}
        row |= {"minutes": f"{(time.monotonic() - self.started) / 60:.2f}"}
        with (self.run.folder / HISTORY).open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)

    def on_train_end(self, logs=None):
        self.bar.close()


class _Watch(keras.callbacks.Callback):
    """Halve the learning rate on a plateau and stop a run that stalled, by the training losses in history.csv."""

    def __init__(self, run: Run):
        super().__init__()
        self.run, self.recipe = run, run.recipe

    def on_epoch_begin(self, epoch, logs=None):
        if self.recipe.schedule == "plateau":
            count = halvings(_losses(self.run), self.recipe.halve)
            self.model.optimizer.learning_rate = self.recipe.learning_rate * 0.5**count

    def on_epoch_end(self, epoch, logs=None):
        if stalled(_losses(self.run), self.recipe.patience):
            self.model.stop_training = True
