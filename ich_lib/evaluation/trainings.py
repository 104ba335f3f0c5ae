"""Evaluated trainings in a folder of runs: each with its main figure, its baseline, and whether it works."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ich_lib.evaluation.compare import read_report
from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.report import Report
from ich_lib.models.run import HISTORY, RECIPE, SPLIT, Epoch, Run, fold_runs, is_run, open_run

REPORT = "report.json"
_OVERFITTED = 1.5  # times the loss in training is the loss on held-out patients
_FALLING = 0.98  # of the loss at three quarters of a training is less at its end, if it still falls
STAGE = "-stage"  # NAME-stage1, NAME-stage2, ... hold the trainings whose weights NAME started from, in this order
LEAST_DICE, LEAST_AUC = 0.20, 0.75  # of a network that works: Dice per subject, or slice AUC of any bleeding


@dataclass(frozen=True)
class Training:
    """An evaluated training: one run, or one per fold.

    Attributes:
        name: of its folder.
        runs: one, or one per fold.
        report: from `evaluate`.
        earlier: the runs of each earlier stage, whose weights the next stage started from.
    """

    name: str
    runs: tuple[Run, ...]
    report: Report
    earlier: tuple[tuple[Run, ...], ...] = ()

    @property
    def is_segmenter(self) -> bool:
        """Whether it draws masks."""
        return self.runs[0].recipe.has_mask_output

    @property
    def tells_types_only(self) -> bool:
        """Whether it is a classifier of bleeding slices, which has no class for a slice without blood."""
        return self.runs[0].recipe.scheme == "6-class" and not self.is_segmenter

    @property
    def measure(self) -> str:
        """The name of its main figure."""
        if self.tells_types_only:
            return "right type"
        return "Dice" if self.is_segmenter else "AUC"

    @property
    def honest(self) -> Estimate | None:
        """Its main figure: Dice per subject, the slice AUC of a classifier, or the share of right types."""
        if self.tells_types_only:
            return self.report.accuracy.types if self.report.accuracy else None
        return self.report.dice_per_subject if self.is_segmenter else self.report.slice_auc_any

    @property
    def works(self) -> bool:
        """Whether it works, see LEAST_DICE and LEAST_AUC; a classifier of types, whether it is surely better than the
        most common type."""
        if self.honest is None:
            return False
        if self.tells_types_only:
            return self.baseline is not None and self.honest.low > self.baseline.value
        return self.honest.value >= (LEAST_DICE if self.is_segmenter else LEAST_AUC)

    @property
    def baseline(self) -> Estimate | None:
        """The baseline without a model: Dice of the largest bright blob, AUC by the height of the slice, or the share
        of the most common type."""
        if self.tells_types_only:
            return self.report.accuracy.types_most_common if self.report.accuracy else None
        masks = self.report.masks
        return (masks.blob_dice if masks else None) if self.is_segmenter else self.report.slices.height_auc

    @property
    def cost(self) -> str:
        """Picture size, training slices and minutes per fold; those of its stages in order, joined by "then"."""
        stages = (*self.earlier, self.runs)
        size, slices = (
            " then ".join(texts)
            for texts in (
                dict.fromkeys("x".join(map(str, runs[0].recipe.shape)) for runs in stages),
                (runs[0].slices_used for runs in stages),
            )
        )
        minutes = sum(run.minutes / len(runs) for runs in stages for run in runs)
        return f"{size}; {slices}; {minutes:.0f}"

    @property
    def reason(self) -> str:
        """Why it does not work, as far as its learning curve shows; empty if it works."""
        epochs = self.history()
        if self.works or not epochs:
            return ""
        first, last = epochs[0].loss, epochs[-1].loss
        held_out = [(epoch, epoch.val_loss) for epoch in epochs if epoch.val_loss is not None]
        late, late_loss = held_out[-1] if held_out else (epochs[-1], 0.0)
        if late_loss > _OVERFITTED * late.loss:
            return (
                f"it overfits: after epoch {late.epoch} the loss is {late.loss:.2f} in training and {late_loss:.2f} on "
                "the held-out patients"
            )
        earlier = epochs[int(len(epochs) * 0.75) - 1].loss
        if last < _FALLING * earlier:
            return f"the loss was still falling, from {first:.2f} to {last:.2f}, when the training ended"
        return f"the loss stopped falling, from {first:.2f} to {last:.2f}"

    def history(self) -> list[Epoch]:
        """The epochs of the first run and of its earlier stages, counted through."""
        epochs: list[Epoch] = []
        for runs in (*self.earlier, self.runs):
            epochs += [replace(epoch, epoch=len(epochs) + epoch.epoch) for epoch in runs[0].history()]
        return epochs


def read_trainings(folder: str | Path) -> dict[str, Training]:
    """Every evaluated training below a folder, by the name of its own folder.

    Args:
        folder: each of its folders holds a run, or a cross-validation, with the report.json of `evaluate`.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if a report is something else.
    """
    folder, trainings = Path(folder), {}
    for place in sorted(path for path in folder.iterdir() if (path / REPORT).is_file()):
        if (runs := _runs(place)) and STAGE not in place.name:
            earlier = tuple(_runs(stage) for stage in sorted(folder.glob(f"{place.name}{STAGE}*")))
            trainings[place.name] = Training(place.name, runs, read_report(place / REPORT), earlier)
    if not trainings:
        raise FileNotFoundError(
            f"{folder} holds no evaluated training. Make some: python -m ich_lib train RECIPE --data DIR --out "
            f"{folder}/RECIPE, then python -m ich_lib evaluate {folder}/RECIPE --data DIR --out {folder}/RECIPE."
        )
    return trainings


def keep_records(trainings: Mapping[str, Training], folder: str | Path) -> None:
    """Copy what `read_trainings` reads, without weights: recipe, split, history and report of every training.

    Args:
        trainings: from `read_trainings`.
        folder: gets a folder for each training; older records of the same names are replaced.
    """
    for name, training in trainings.items():
        place = Path(folder) / name
        _keep_runs(training.runs, place)
        (place / REPORT).write_text(json.dumps(training.report.as_json(), indent=1) + "\n")
        for number, runs in enumerate(training.earlier, start=1):
            _keep_runs(runs, place.with_name(f"{name}{STAGE}{number}"))


def _keep_runs(runs: tuple[Run, ...], place: Path) -> None:
    """Replace a folder by the records of one run, or by a folder for each."""
    shutil.rmtree(place, ignore_errors=True)
    for run in runs:
        kept = place if len(runs) == 1 else place / run.folder.name
        kept.mkdir(parents=True)
        for file in (RECIPE, SPLIT, HISTORY):
            shutil.copyfile(run.folder / file, kept / file)


def _runs(place: Path) -> tuple[Run, ...]:
    """The run in a folder, or one per fold; none in another folder."""
    return tuple(open_run(run) for run in fold_runs(place) or ([place] if is_run(place) else []))
