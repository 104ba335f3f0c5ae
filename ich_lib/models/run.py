"""Run folders of `train`, finished or still training: open them, list them, follow them and compare them.

Their facts are read without Keras; only `Run.model` and `Run.first_model` import it.
"""

import csv
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ich_lib.data.split import SET_ASIDE, Split
from ich_lib.models.recipe import Recipe, recipe_from_json

if TYPE_CHECKING:
    import keras

_DEPTH = 4  # folders below the named one
_MAX_RUNS = 300  # maximum number of runs listed: a whole disk, named by mistake, is not read to its end
RECIPE, SPLIT = "recipe.json", "folds.json"
WEIGHTS, FEATURES = "model.weights.h5", "features.npz"  # of a network; of a model fitted to hand-made features
START, CHECKPOINT, HISTORY = "start.weights.h5", "checkpoint.weights.h5", "history.csv"
COLUMNS = ("epoch", "loss", "val_loss", "learning_rate", "minutes")
FOLD = "fold-"  # the folder of a cross-validation holds one run per fold: fold-0, fold-1, ...


@dataclass(frozen=True)
class Epoch:
    """A line of history.csv.

    Attributes:
        epoch: from 1 on.
        loss: of the training side.
        val_loss: of the held-out fold, if it was measured; training never uses it.
        learning_rate: at the end of the epoch; None for hand-made features.
        minutes: of training so far.
    """

    epoch: int
    loss: float
    val_loss: float | None
    learning_rate: float | None
    minutes: float


@dataclass(frozen=True)
class Run:
    """A run folder that `train` wrote or is writing.

    Attributes:
        folder: its path.
        recipe: the trained recipe.
        split: the training side and the held-out side.
        name: its name in comparisons: its path from the searched folder, such as "first/fold-0".
    """

    folder: Path
    recipe: Recipe
    split: Split
    name: str = field(default="", compare=False)

    @property
    def weights(self) -> Path:
        """The file that a finished run has: weights, or the features of a model fitted to hand-made ones."""
        return self.folder / (WEIGHTS if self.recipe.is_network else FEATURES)

    @property
    def finished(self) -> bool:
        """Whether it holds the weights of its last step."""
        return self.weights.is_file()

    @property
    def held_out(self) -> int | None:
        """The held-out fold, or None."""
        return self.split.held_out

    @property
    def folds(self) -> dict[str, int]:
        """Patient, or another unit of the split, to fold."""
        return self.split.folds

    def patients(self, *, trained: bool) -> list[str]:
        """The patients of the training side, or the held-out ones; patients set apart are in neither.

        Raises:
            ValueError: if the split is not by patient, so that most patients are on both sides.
        """
        if self.split.kind != "patient":
            raise ValueError(f"{self.folder} was split by a {self.split.kind} split: its patients are on both sides.")
        sides = {patient: fold != self.held_out for patient, fold in self.folds.items() if fold != SET_ASIDE}
        return sorted(patient for patient, side in sides.items() if side is trained)

    def history(self) -> list[Epoch]:
        """Finished epochs; none before the first has ended. An incomplete line is ignored until later."""
        path = self.folder / HISTORY
        if not path.is_file():
            return []
        with path.open(newline="") as file:
            return [epoch for row in csv.DictReader(file) if (epoch := _epoch(row))]

    @property
    def minutes(self) -> float:
        """Minutes of training so far, including earlier parts of a resumed run."""
        epochs = self.history()
        return epochs[-1].minutes if epochs else 0.0

    @property
    def slices_used(self) -> str:
        """How many slices training has used so far, or how often all of them, in words."""
        recipe, epochs = self.recipe, len(self.history())
        if recipe.steps:
            return f"{epochs * recipe.steps * recipe.batch * recipe.depth:,}"
        return f"{'all' if recipe.sampling == 'natural' else 'all with blood and as many without'}, {epochs} times"

    @property
    def state(self) -> str:
        """The progress in words."""
        epochs = self.history()
        minutes = f"{epochs[-1].minutes:.1f} minutes" if epochs else "no epoch yet"
        if self.finished:
            return f"finished after {len(epochs)} epochs, {minutes}"
        if not epochs:
            return "started, no epoch yet"
        ago = max((time.time() - (self.folder / HISTORY).stat().st_mtime) / 60, 0)
        return f"{len(epochs)} of {self.recipe.epochs} epochs, {minutes}; the last one ended {ago:.0f} minutes ago"

    def model(self) -> "keras.Model":
        """The trained model in float32, a `keras.Model`. Imports Keras.

        Raises:
            FileNotFoundError: if the training is not finished.
            ValueError: if it trained no network; `engine.load` opens such runs too.
        """
        from ich_lib.models.builders import build

        if not self.finished:
            raise FileNotFoundError(
                f"{self.folder} has no {self.weights.name}: the run did not end. Continue with train --resume."
            )
        return _loaded(build(self.recipe), self.weights)

    def first_model(self) -> "keras.Model":
        """The model at the start of its training: with its initial weights, or with those drawn from its seed.

        Raises:
            ValueError: if the recipe starts from weights that are not available, or it trained no network.
        """
        import keras

        from ich_lib.models.builders import build

        if (self.folder / START).is_file():
            return _loaded(build(self.recipe), self.folder / START)
        keras.utils.set_random_seed(self.recipe.seed)
        return build(self.recipe, pretrained=True)


@dataclass(frozen=True)
class Setting:
    """One setting of some recipes.

    Attributes:
        name: such as "learning_rate" or "augment.turn_deg".
        values: run to value; None if a recipe does not have it.
        is_different: whether the values are not all the same.
    """

    name: str
    values: dict[str, object]
    is_different: bool


def open_run(folder: str | Path, *, name: str | None = None) -> Run:
    """Open a run folder.

    Args:
        folder: written by `train`, or still in training.
        name: its name in comparisons; None for the folder's own name.

    Raises:
        FileNotFoundError: if it is not a run folder.
    """
    folder = Path(folder)
    if not is_run(folder):
        raise FileNotFoundError(
            f"{folder} is not a run folder: it holds no {RECIPE}. Make one with python -m ich_lib train."
        )
    recipe = recipe_from_json(json.loads((folder / RECIPE).read_text()))
    content = json.loads((folder / SPLIT).read_text())
    split = Split(content.get("kind", "patient"), content["folds"], content["held_out"], content["seed"])
    return Run(folder, recipe, split, folder.name if name is None else name)


def is_run(folder: Path) -> bool:
    """Whether `train` wrote or is writing this folder."""
    return (folder / RECIPE).is_file()


def is_finished(folder: Path) -> bool:
    """Whether this folder holds the files of a finished training, of a network or of a model on hand-made features."""
    return any((folder / name).is_file() for name in (WEIGHTS, FEATURES))


def fold_runs(source: str | Path) -> list[Path]:
    """The runs in a cross-validation's folder, in order; none for another folder."""
    folder = Path(source)
    return sorted(path for path in folder.glob(f"{FOLD}[0-9]*") if is_run(path))


def find_runs(folder: str | Path) -> tuple[list[Run], list[str]]:
    """Every run below a folder, or the folder itself if it is a run, in order of their names.

    Returns:
        The runs, and a message for each that cannot be read.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder. Name one that holds run folders of train or crossval.")
    runs, problems = [], []
    for place in _folders_with(folder, RECIPE):
        name = folder.resolve().name if place == folder else place.relative_to(folder).as_posix()
        try:
            runs.append(open_run(place, name=name))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as problem:
            reason = str(problem) if type(problem) is ValueError else f"{RECIPE} or {SPLIT} was not written by train"
            problems.append(f"{name} cannot be read: {reason.rstrip('.')}.")
    return runs, problems


def find_reports(folder: str | Path) -> dict[str, Path]:
    """Every report.json below a folder, by the name of its folder. `ich_lib.evaluation.compare.read_report` checks
    whether it was written by `evaluate`."""
    folder = Path(folder).expanduser()
    name = lambda place: folder.resolve().name if place == folder else place.relative_to(folder).as_posix()  # noqa: E731
    return {name(place): place / "report.json" for place in _folders_with(folder, "report.json")}


def compare_recipes(recipes: Mapping[str, Recipe]) -> list[Setting]:
    """Compare recipes setting by setting; settings that differ come first, then the recipe's own order.

    Args:
        recipes: name of the run to its recipe.
    """
    flat = {run: dict(_flatten(recipe.as_json())) for run, recipe in recipes.items()}
    names = dict.fromkeys(name for settings in flat.values() for name in settings)
    settings = []
    for name in names:
        values = {run: settings.get(name) for run, settings in flat.items()}
        settings.append(Setting(name, values, len(set(map(repr, values.values()))) > 1))
    return sorted(settings, key=lambda setting: not setting.is_different)


def _folders_with(folder: Path, file: str) -> Iterator[Path]:
    """Folders that hold a file, sorted, at most _DEPTH levels below; hidden ones are left out, links to folders are
    followed."""
    count, start = 0, len(folder.parts)
    visited = set()
    for place, below, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in visited:
            below[:] = []
            continue
        visited.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        if len(Path(place).parts) - start >= _DEPTH:
            below[:] = []
        if file in files and count < _MAX_RUNS:
            count += 1
            yield Path(place)


def _loaded(model: "keras.Model", weights: Path) -> "keras.Model":
    model.load_weights(weights)
    return model


def _epoch(row: dict[str, str]) -> Epoch | None:
    """A line as numbers; None for an incomplete line."""
    number = lambda text: float(text) if text else None  # noqa: E731
    try:
        return Epoch(
            int(row["epoch"]),
            float(row["loss"]),
            number(row["val_loss"]),
            number(row["learning_rate"]),
            float(row["minutes"]),
        )
    except (TypeError, ValueError, KeyError):
        return None


def _flatten(values: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
