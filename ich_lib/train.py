"""Recipe and slices to a run folder: weights, recipe.json, history.csv, folds.json."""

import csv
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import keras
from tqdm import tqdm

from ich_lib.batches import Batches, Stack, Still, phantom_stacks, stacks
from ich_lib.datasets import ct_ich
from ich_lib.labels import ANY
from ich_lib.losses import LOSSES
from ich_lib.models import build
from ich_lib.recipes import Recipe, from_json
from ich_lib.split import patient_folds

FOLDS = 5
_START, _CHECKPOINT, _WEIGHTS, _HISTORY = "start.weights.h5", "checkpoint.weights.h5", "model.weights.h5", "history.csv"
_COLUMNS = ("epoch", "loss", "val_loss", "learning_rate", "minutes")


@dataclass(frozen=True)
class Run:
    """A folder that `train` wrote.

    Attributes:
        folder: where it lies.
        recipe: what was trained.
        held_out: the fold never trained on, or None.
        folds: patient to fold.
    """

    folder: Path
    recipe: Recipe
    held_out: int | None
    folds: dict[str, int]

    @property
    def weights(self) -> Path:
        return self.folder / _WEIGHTS

    def patients(self, *, trained: bool) -> list[str]:
        """Patients the weights saw, or those they never saw."""
        return sorted(patient for patient, fold in self.folds.items() if (fold != self.held_out) is trained)

    def history(self) -> list[dict[str, str]]:
        """Rows of history.csv, as text."""
        with (self.folder / _HISTORY).open(newline="") as file:
            return list(csv.DictReader(file))

    @property
    def minutes(self) -> float:
        """Minutes of training so far, earlier parts of a resumed run counted in."""
        rows = self.history()
        return float(rows[-1]["minutes"]) if rows else 0.0

    def model(self) -> keras.Model:
        """The trained model in float32.

        Raises:
            FileNotFoundError: if the run has not been trained to its end.
        """
        if not self.weights.is_file():
            raise FileNotFoundError(f"{self.folder} has no {_WEIGHTS}: the run did not end. Go on with train --resume.")
        return _loaded(build(self.recipe), self.weights)


def open_run(folder: str | Path) -> Run:
    """Open a run folder.

    Raises:
        FileNotFoundError: if it is none.
    """
    folder = Path(folder)
    if not (folder / "recipe.json").is_file():
        raise FileNotFoundError(
            f"{folder} is no run folder: it holds no recipe.json. Make one with python -m ich_lib train."
        )
    split = json.loads((folder / "folds.json").read_text())
    return Run(folder, from_json(json.loads((folder / "recipe.json").read_text())), split["held_out"], split["folds"])


def train(
    recipe: Recipe,
    data: str | Path | None,
    out: str | Path,
    *,
    fold: int | None = 0,
    start: str | Path | None = None,
    resume: bool = False,
) -> Run:
    """Train a recipe, holding one fold of patients out.

    Nothing is chosen by looking at the held-out fold: the weights kept are those of the last step.

    Args:
        recipe: what to train.
        data: a CT-ICH folder, or None to train on phantoms alone.
        out: the run folder to make.
        fold: the fold to hold out, 0 to 4; None trains on every patient.
        start: a finished run of the same model to take the first weights from.
        resume: go on where a stopped run in `out` ended; its own recipe and fold are used.

    Returns:
        The finished run.

    Raises:
        FileExistsError: if `out` already holds a run and `resume` is False.
        FileNotFoundError: if there is nothing to resume, or no data.
        ValueError: for a fold that does not exist, or a `start` that has seen the patients held out.
    """
    out = Path(out)
    heads, bleeding = _heads(recipe, data)
    run = open_run(out) if resume else _new_run(recipe, out, fold, bleeding, start)
    if set(run.folds) != set(bleeding):
        raise ValueError(f"{out} was begun with {len(run.folds)} other patients than {data or 'the phantoms'} holds.")
    seen, unseen = ([heads[p] for p in run.patients(trained=t)] for t in (True, False))
    _fit(run, seen, unseen, phantoms=[] if data is None else _phantoms(run.recipe, seed=run.recipe.seed + 1))
    return run


def _heads(recipe: Recipe, data: str | Path | None) -> tuple[dict[str, Stack], dict[str, bool]]:
    """Every head by name, and whether it bleeds."""
    if data is None:
        found = _phantoms(recipe, seed=recipe.seed)
    else:
        table = ct_ich(data)
        found = stacks(table, table.patients, progress=lambda it: tqdm(it, desc="reading", unit="head"))
    return {head.name: head for head in found}, {head.name: bool(head.labels[:, ANY].any()) for head in found}


def _new_run(recipe: Recipe, out: Path, fold: int | None, bleeding: dict[str, bool], start: str | Path | None) -> Run:
    if (out / "recipe.json").exists():
        raise FileExistsError(f"{out} already holds a run. Choose another folder, or go on with it by --resume.")
    if fold is not None and not 0 <= fold < FOLDS:
        raise ValueError(f"There is no fold {fold}; folds are numbered 0 to {FOLDS - 1}.")
    run = Run(out, recipe, fold, patient_folds(bleeding, folds=FOLDS, seed=recipe.seed))
    first = None if start is None else _first_weights(open_run(start), run)
    out.mkdir(parents=True, exist_ok=True)
    if first:
        shutil.copy(first, out / _START)
    (out / "folds.json").write_text(json.dumps({"seed": recipe.seed, "held_out": fold, "folds": run.folds}, indent=1))
    (out / "recipe.json").write_text(json.dumps(recipe.as_json(), indent=1))
    return run


def _first_weights(start: Run, run: Run) -> Path:
    """The weights of `start`, if they fit the model of `run` and know nothing of the patients it holds out."""
    before, after = ((r.builder, r.options, r.size, r.channels) for r in (start.recipe, run.recipe))
    if before != after:
        raise ValueError(f"{start.folder} trained another model than {run.recipe.name}, so its weights do not fit.")
    if leaked := set(start.patients(trained=True)) & set(run.patients(trained=False)):
        raise ValueError(
            f"{start.folder} was trained on {len(leaked)} of the patients to be held out. Take its own fold."
        )
    if not start.weights.is_file():
        raise FileNotFoundError(f"{start.folder} has not been trained to its end; go on with train --resume.")
    return start.weights


def _phantoms(recipe: Recipe, *, seed: int) -> list[Stack]:
    return phantom_stacks(recipe.phantoms, seed, progress=lambda items: tqdm(items, desc="phantoms", unit="head"))


def _fit(run: Run, heads: list[Stack], held_out: list[Stack], *, phantoms: list[Stack]) -> None:
    recipe = run.recipe
    keras.utils.set_random_seed(recipe.seed)
    model = _compiled(recipe)
    if (run.folder / _START).is_file():
        model.set_weights(_loaded(build(recipe), run.folder / _START).get_weights())
    begun = _restore(model, run.folder)
    model.fit(
        Batches(heads, phantoms, recipe, epoch=begun),
        initial_epoch=begun,
        epochs=recipe.epochs,
        validation_data=Still(held_out, recipe) if held_out else None,
        validation_freq=5,
        callbacks=[_Keep(run, begun)],
        verbose=0,
    )
    final = build(recipe)
    final.set_weights(model.get_weights())
    final.save_weights(run.weights)


def _loaded(model: keras.Model, weights: Path) -> keras.Model:
    model.load_weights(weights)
    return model


def _compiled(recipe: Recipe) -> keras.Model:
    model = build(recipe, precision=recipe.precision)
    falling = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.steps * recipe.epochs)
    optimizer = keras.optimizers.AdamW(falling, weight_decay=recipe.weight_decay)
    model.compile(optimizer, LOSSES[recipe.loss], jit_compile=False)
    optimizer.build(model.trainable_variables)
    return model


def _restore(model: keras.Model, folder: Path) -> int:
    """Load the last checkpoint, optimizer included, and cut the history to it; the epoch to begin with."""
    checkpoint, history = folder / _CHECKPOINT, folder / _HISTORY
    begun = 0
    if checkpoint.is_file():
        model.load_weights(checkpoint)
        begun = int(model.optimizer.iterations) // open_run(folder).recipe.steps
    lines = history.read_text().splitlines()[1 : begun + 1] if history.is_file() else []
    history.write_text("\n".join([",".join(_COLUMNS), *lines]) + "\n")
    return begun


class _Keep(keras.callbacks.Callback):
    """After every epoch a checkpoint, then a line of history; a bar with the time left all along."""

    def __init__(self, run: Run, begun: int):
        super().__init__()
        steps = run.recipe.steps
        self.run, self.started = run, time.monotonic() - 60 * run.minutes
        self.bar = tqdm(
            total=run.recipe.epochs * steps, initial=begun * steps, desc=run.recipe.name, unit="step", mininterval=2
        )

    def on_epoch_begin(self, epoch, logs=None):
        """Give dropout the epoch's own seed: no checkpoint holds its state, and a resumed run must draw the same."""
        for layer in self.model.layers:
            if generator := getattr(layer, "seed_generator", None):  # a rate of 0 has none
                generator.state.assign([self.run.recipe.seed, epoch + 1])

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)

    def on_epoch_end(self, epoch, logs=None):
        part = self.run.folder / f"part-{_CHECKPOINT}"
        self.model.save_weights(part)
        part.replace(self.run.folder / _CHECKPOINT)  # a kill leaves either the old checkpoint or the new one
        row = {
            "epoch": epoch + 1,
            "loss": f"{logs['loss']:.5f}",
            "learning_rate": f"{float(self.model.optimizer.learning_rate):.3g}",
        }
        row |= {"val_loss": f"{logs['val_loss']:.5f}" if "val_loss" in logs else ""}
        row |= {"minutes": f"{(time.monotonic() - self.started) / 60:.2f}"}
        with (self.run.folder / _HISTORY).open("a", newline="") as file:
            csv.DictWriter(file, _COLUMNS).writerow(row)

    def on_train_end(self, logs=None):
        self.bar.close()
