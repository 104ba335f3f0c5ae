"""Run folders as they lie on disk, also while one is training: found, followed and held side by side. Without Keras."""

import csv
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ich_lib.models.recipes import Recipe, from_json

_DEPTH = 4  # folders below the one named
_MOST = 300  # runs listed: a disk named by mistake is not read to its end
_FINISHED = ("model.weights.h5", "features.npz")


@dataclass(frozen=True)
class Epoch:
    """A line of history.csv.

    Attributes:
        epoch: from 1 on.
        loss: of the training side.
        val_loss: of the fold held out, where it was measured; training never acts on it.
        learning_rate: at the end of the epoch; None for hand-made features.
        minutes: of training so far.
    """

    epoch: int
    loss: float
    val_loss: float | None
    learning_rate: float | None
    minutes: float


@dataclass(frozen=True)
class Kept:
    """A run folder that `train` wrote or is writing.

    Attributes:
        folder: where it lies.
        name: its way from the folder that was searched, such as "first/fold-0".
        recipe: what is trained.
        split: how patients were dealt out: "patient", or a leaky one.
        held_out: the fold never trained on, or None.
        patients: on both sides.
    """

    folder: Path
    name: str
    recipe: Recipe
    split: str
    held_out: int | None
    patients: int

    @property
    def finished(self) -> bool:
        """Whether it holds the weights of its last step."""
        return any((self.folder / name).is_file() for name in _FINISHED)

    def history(self) -> list[Epoch]:
        """Epochs so far; none before the first has ended. A line that is just being written is left for later."""
        path = self.folder / "history.csv"
        if not path.is_file():
            return []
        with path.open(newline="") as file:
            return [epoch for row in csv.DictReader(file) if (epoch := _epoch(row))]

    @property
    def state(self) -> str:
        """How far it is, in words."""
        epochs = self.history()
        minutes = f"{epochs[-1].minutes:.1f} minutes" if epochs else "no epoch yet"
        if self.finished:
            return f"finished after {len(epochs)} epochs, {minutes}"
        if not epochs:
            return "begun, no epoch yet"
        ago = max((time.time() - (self.folder / "history.csv").stat().st_mtime) / 60, 0)
        return f"{len(epochs)} of {self.recipe.epochs} epochs, {minutes}; the last one ended {ago:.0f} minutes ago"


@dataclass(frozen=True)
class Setting:
    """One setting of some recipes.

    Attributes:
        name: such as "learning_rate" or "augment.turn_deg".
        values: run to value; None where a recipe does not have it.
        differs: whether the values are not all the same.
    """

    name: str
    values: dict[str, object]
    differs: bool


def found(folder: str | Path) -> tuple[list[Kept], list[str]]:
    """Every run below a folder, or the one it is, in order of their names.

    Returns:
        The runs, and a sentence for each that cannot be read.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder. Name one that holds run folders of train or crossval.")
    runs, problems = [], []
    for place in _places(folder, "recipe.json"):
        name = folder.resolve().name if place == folder else place.relative_to(folder).as_posix()
        try:
            runs.append(_kept(place, name))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as problem:
            told = (
                str(problem) if type(problem) is ValueError else "recipe.json or folds.json is not as train writes it"
            )
            problems.append(f"{name} cannot be read: {told.rstrip('.')}.")
    return runs, problems


def reports(folder: str | Path) -> dict[str, Path]:
    """Every report.json below a folder, by the name of the folder it lies in. Whether it is one of `evaluate`,
    `ich_lib.evaluation.compare.read_report` says."""
    folder = Path(folder).expanduser()
    name = lambda place: folder.resolve().name if place == folder else place.relative_to(folder).as_posix()  # noqa: E731
    return {name(place): place / "report.json" for place in _places(folder, "report.json")}


def differences(recipes: Mapping[str, Recipe]) -> list[Setting]:
    """Recipes setting by setting, those that differ first, else in the recipe's own order.

    Args:
        recipes: name of the run to its recipe.
    """
    flat = {run: dict(_flat(recipe.as_json())) for run, recipe in recipes.items()}
    names = dict.fromkeys(name for settings in flat.values() for name in settings)
    settings = []
    for name in names:
        values = {run: settings.get(name) for run, settings in flat.items()}
        settings.append(Setting(name, values, len(set(map(repr, values.values()))) > 1))
    return sorted(settings, key=lambda one: not one.differs)


def _places(folder: Path, file: str) -> Iterator[Path]:
    """Folders that hold a file, sorted, at most _DEPTH below; hidden ones are left out, links to folders followed."""
    count, start = 0, len(folder.parts)
    seen = set()
    for place, below, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            below[:] = []
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        if len(Path(place).parts) - start >= _DEPTH:
            below[:] = []
        if file in files and count < _MOST:
            count += 1
            yield Path(place)


def _kept(folder: Path, name: str) -> Kept:
    recipe = from_json(json.loads((folder / "recipe.json").read_text()))
    told = json.loads((folder / "folds.json").read_text())
    return Kept(folder, name, recipe, told.get("kind", "patient"), told["held_out"], len(told["folds"]))


def _epoch(row: dict[str, str | None]) -> Epoch | None:
    """A line as numbers; None for one that is not whole."""
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


def _flat(values: dict, before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
