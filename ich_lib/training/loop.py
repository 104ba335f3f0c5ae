"""The loop of a training run: from batches to weights, with a checkpoint and a line of history after every epoch."""

import csv
import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from ich_lib.data.store import Store
from ich_lib.measures.metrics import log_loss
from ich_lib.models import classical
from ich_lib.models.builders import build
from ich_lib.models.losses import LOSSES
from ich_lib.models.recipe import Recipe
from ich_lib.models.run import CHECKPOINT, COLUMNS, HISTORY, START, Run
from ich_lib.training.batches import Batches, Slices, ValidationBatches


def fit(run: Run, slices: Store, *, phantoms: Store | None = None, devices: int = 1) -> None:
    """Train a run's network from its last checkpoint, or from the start, to the end of its recipe.

    Args:
        run: started by `ich_lib.training.train.train`.
        slices: of both sides of its split.
        phantoms: for the recipe's share of phantoms.
        devices: number that share every batch; call this inside their context.
    """
    recipe, (training_part, held_out_part) = run.recipe, _sides(run, slices)
    keras.utils.set_random_seed(recipe.seed)
    phantom_slices = None if phantoms is None else Slices(phantoms, np.arange(len(phantoms)))
    batches = Batches(training_part, recipe, phantoms=phantom_slices)
    has_weights = any((run.folder / name).is_file() for name in (START, CHECKPOINT))
    model = compile_model(recipe, len(batches), pretrained=not has_weights)
    if (run.folder / START).is_file():
        model.set_weights(run.first_model().get_weights())
    first_epoch = _restore(model, run.folder, len(batches))
    stopped = is_stalled(_losses(run), recipe.patience)
    batches.start_at(first_epoch)
    model.fit(
        batches,
        initial_epoch=first_epoch,
        shuffle=False,  # the batches have their own order
        epochs=first_epoch if stopped else recipe.epochs,
        validation_data=ValidationBatches(held_out_part, recipe, multiple=devices) if len(held_out_part) else None,
        validation_freq=5,
        callbacks=[_Checkpoints(run, first_epoch, batches), _Plateau(run)],
        verbose=0,
    )
    final = build(recipe)
    final.set_weights(model.get_weights())
    final.save_weights(run.weights)


def _sides(run: Run, slices: Store) -> tuple[Slices, Slices]:
    """The training side and the held-out side."""
    training_part, held_out_part = (
        Slices(slices, run.split.rows(slices.table, trained=side)) for side in (True, False)
    )
    return training_part, held_out_part


def fit_classical(run: Run, slices: Store) -> None:
    """Measure the training side, fit on it, and store the features: opening the run fits again, with the same scores.

    "balanced" draws its clean slices here, so never from the held-out side.
    """
    if run.weights.is_file():
        return
    started, recipe, (training_part, held_out_part) = time.monotonic(), run.recipe, _sides(run, slices)
    rows = np.sort(Batches(training_part, recipe).first_pass())
    parts = Slices(training_part.store, rows), held_out_part
    taught, held_out = (classical.measure_slices(ValidationBatches(part, recipe), recipe) for part in parts)
    scores = classical.fit_classifiers(taught, recipe)
    row = {"epoch": 1, "loss": _log_loss(scores, taught), "learning_rate": ""}
    row |= {"val_loss": _log_loss(scores, held_out) if len(held_out.labels) else ""}
    row |= {"minutes": f"{(time.monotonic() - started) / 60:.2f}"}
    with (run.folder / HISTORY).open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(row)
    taught.save(run.weights)  # last: a run with this file is finished


def _log_loss(scores: Callable[[np.ndarray], np.ndarray], table: classical.FeatureTable) -> float:
    """Mean over the labels, as in the networks' binary cross-entropy."""
    probabilities = scores(table.columns)
    return float(np.mean([log_loss(*pair) for pair in zip(table.labels.T, probabilities.T, strict=True)]))


def compile_model(recipe: Recipe, steps: int, *, pretrained: bool = False) -> keras.Model:
    """The recipe's model with its loss, optimizer and learning rate, for epochs of `steps` batches."""
    model = build(recipe, precision=recipe.precision, pretrained=pretrained)
    rate = build_learning_rate(recipe, steps)
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    loss, weights = LOSSES[recipe.loss], None
    if recipe.task == "both":
        loss, weights = [loss, LOSSES["bce"]], [1.0, recipe.label_weight]
    # XLA takes TensorFlow longer to compile than it saves here; without it, JAX runs operation by operation.
    fused = keras.backend.backend() == "jax"
    model.compile(optimizer, loss, loss_weights=weights, jit_compile=fused)
    optimizer.build(model.trainable_variables)
    return model


def build_learning_rate(recipe: Recipe, steps: int) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """The recipe's learning rate: by the step for a cosine, else the initial one.

    Both cosines count steps, like the optimizer. System 000 queried a schedule of steps once per epoch, so it never
    reached a restart.

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


def count_halvings(losses: list[float], patience: int) -> int:
    """How often a plateau has halved the learning rate: each time `patience` epochs do not lower the loss by 0.0001.

    Source:
        The rule and its 0.0001 are those of keras.callbacks.ReduceLROnPlateau. It is a function of all losses so far
        and has no state, so a resumed run continues like an uninterrupted one.
    """
    best, waited, count = float("inf"), 0, 0
    for loss in losses:
        waited = 0 if loss < best - 1e-4 else waited + 1
        best = loss if waited == 0 else best
        if waited == patience:
            count, waited = count + 1, 0
    return count


def is_stalled(losses: list[float], patience: int) -> bool:
    """Whether the last `patience` epochs did not lower the loss; never for a patience of 0."""
    return 0 < patience < len(losses) and min(losses[-patience:]) >= min(losses[:-patience])


def _losses(run: Run) -> list[float]:
    """Training losses of all epochs so far."""
    return [epoch.loss for epoch in run.history()]


def _restore(model: keras.Model, folder: Path, steps: int) -> int:
    """Load the last checkpoint, including the optimizer, and cut the history to it; returns the next epoch."""
    checkpoint, history = folder / CHECKPOINT, folder / HISTORY
    next_epoch = 0
    if checkpoint.is_file():
        model.load_weights(checkpoint)
        next_epoch = int(_number(model.optimizer.iterations)) // steps
    lines = history.read_text().splitlines()[1 : next_epoch + 1] if history.is_file() else []
    history.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    return next_epoch


def _number(value: keras.Variable | keras.KerasTensor) -> float:
    """For a Keras variable or tensor, even if it is on several devices."""
    return float(keras.ops.convert_to_numpy(value))


def return_freed_memory() -> None:
    """Return freed memory to the system if jemalloc holds it; with any other allocator nothing happens.

    A training is faster if its allocator keeps what each step frees. jemalloc that never returns memory grows, because
    the free pieces fit ever worse: to 15 GB in 30 minutes. With a call every 100 s it stayed below 2.5 GB.

    Source:
        jemalloc 5, `arena.<i>.purge`, where arena 4096 stands for all.
    """
    mallctl = getattr(ctypes.CDLL(None), "mallctl", None) if sys.platform == "linux" else None
    if mallctl is not None:
        mallctl(b"arena.4096.purge", None, None, None, 0)


class _Checkpoints(keras.callbacks.Callback):
    """After every epoch a checkpoint, then a line of history; a progress bar shows the time left."""

    def __init__(self, run: Run, first_epoch: int, batches: Batches):
        super().__init__()
        self.run, self.batches, self.started = run, batches, time.monotonic() - 60 * run.minutes
        steps = len(batches)
        self.bar = tqdm(
            total=run.recipe.epochs * steps,
            initial=first_epoch * steps,
            desc=run.recipe.name,
            unit="step",
            mininterval=2,
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Give the batches and dropout the number of the epoch, so that every run, resumed or not, draws the same.

        A checkpoint does not hold dropout's state. Except for TensorFlow on one device, Keras also reads batches once
        before the first epoch, so counting passes would be one ahead.
        """
        self.batches.start_at(epoch)
        for layer in self.model.layers:
            if generator := getattr(layer, "seed_generator", None):  # a rate of 0 has no such state
                generator.state.assign([self.run.recipe.seed, epoch + 1])

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.bar.update()
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        part = self.run.folder / f"part-{CHECKPOINT}"
        self.model.save_weights(part)
        # an interrupted call leaves either the old checkpoint or the new one
        part.replace(self.run.folder / CHECKPOINT)
        row = {
            "epoch": epoch + 1,
            "loss": float(logs["loss"]),
            "learning_rate": np.float32(_number(self.model.optimizer.learning_rate)),
        }
        row |= {"val_loss": float(logs["val_loss"]) if "val_loss" in logs else ""}
        row |= {"minutes": f"{(time.monotonic() - self.started) / 60:.2f}"}
        with (self.run.folder / HISTORY).open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)
        return_freed_memory()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.bar.close()


class _Plateau(keras.callbacks.Callback):
    """Halve the learning rate on a plateau, and stop a run that makes no progress, by the training losses in
    history.csv."""

    def __init__(self, run: Run):
        super().__init__()
        self.run, self.recipe = run, run.recipe

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.recipe.schedule == "plateau":
            count = count_halvings(_losses(self.run), self.recipe.halve)
            self.model.optimizer.learning_rate = self.recipe.learning_rate * 0.5**count

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if is_stalled(_losses(self.run), self.recipe.patience):
            self.model.stop_training = True
