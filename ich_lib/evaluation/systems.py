"""The five published student systems: each network compared with its published claim, on one page made from run
folders."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ich_lib.evaluation.page import to_text
from ich_lib.evaluation.systems_statistics import (
    GRID,
    SEED,
    grid_section,
    largest_segmenter,
    seed_section,
    volume_section,
)
from ich_lib.evaluation.trainings import LEAST_AUC, LEAST_DICE, Training
from ich_lib.grammar import listed
from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.report import Report
from ich_lib.models.recipe import Recipe
from ich_lib.models.recipes import RECIPES

FIXED, LEAKY = "-fixed", "-leaky"  # ends of the names of variants of a run
Pair = tuple[Estimate, Estimate]  # a figure of the network, and of a model that never calls anything


SYSTEMS = {  # number to its title and year, and the lessons of the course that re-enact its faults
    "000": ("U-Net, EfficientNetB4 and DenseNet169, 2024", (4, 5, 6, 7, 10)),
    "001": ("Small CNN and 3D U-Net, 2021", (6, 10, 24)),
    "002": ("Two U-Nets on CT-ICH, 2021", (5, 8, 15, 22, 26)),
    "003": ("U-Net on CT-ICH, 2025", (4, 5, 12)),
    "004": ("Five CNNs on RSNA 2019, 2019", (1, 6, 10, 12, 23)),
}


@dataclass(frozen=True)
class Claim:
    """The published claim of one network.

    Attributes:
        recipe: its name in `ich_lib.recipes`.
        claimed: the published figure; "none" if the system gave none.
        measured: the definition of that figure.
        same_figure: that figure of a report, with the same fault; None if no report has it.
        fix: the correct alternative, in one line.
        limit: why the published design stays weak, as seen in its trainings here; empty if that was not looked into.
    """

    recipe: str
    claimed: str
    measured: str
    same_figure: Callable[[Report], Pair | None]
    fix: str
    limit: str = ""

    @property
    def system(self) -> str:
        """Its number, 000 to 004."""
        return re.findall(r"-(\d{3})", self.recipe)[0]


def _pixel_accuracy(report: Report) -> Pair | None:
    return _of_masks(report, "pixel_accuracy")


def _iou_with_background(report: Report) -> Pair | None:
    return _of_masks(report, "iou_with_background")


def _dice_half_empty(report: Report) -> Pair | None:
    return _of_masks(report, "dice_half_empty")


def _of_masks(report: Report, name: str) -> Pair | None:
    masks = report.masks
    if not masks or not masks.as_published or not masks.of_empty_masks:
        return None
    return getattr(masks.as_published, name), getattr(masks.of_empty_masks, name)


def _slice_accuracy(report: Report) -> Pair | None:
    return (report.accuracy.slices, report.accuracy.slices_all_clean) if report.accuracy else None


def _cell_accuracy(report: Report) -> Pair | None:
    return (report.accuracy.cells, report.accuracy.cells_all_clean) if report.accuracy else None


def _type_accuracy(report: Report) -> Pair | None:
    accuracy = report.accuracy
    if not accuracy or not accuracy.types or not accuracy.types_most_common:
        return None
    return accuracy.types, accuracy.types_most_common


_PIXELS = "the share of pixels that are right, nearly all of them background"
_CELLS = "the share of right cells in the table of slices and labels, nearly all of them negative"
_SLICES = "the share of slices that are right, split by slice: the same patients on both sides"
_BY_PATIENT = "split by patient; judge by AUC"
_BY_DICE = "judge by Dice of slices with blood, split by patient"

CLAIMS = (
    Claim(
        "unet2d-000",
        "98 % accuracy",
        f"{_PIXELS}; its masks were the head itself (`img > 0`)",
        _pixel_accuracy,
        f"masks of blood; {_BY_DICE}",
    ),
    Claim(
        "efficientnetb4-000",
        "62.30 % accuracy",
        "the share of slices that are normal (62.3 %): pictures were scaled twice, and nothing was learned",
        _slice_accuracy,
        f"scale once; {_BY_PATIENT}",
    ),
    Claim("densenet169-000", "none that stands alone", _SLICES, _slice_accuracy, _BY_PATIENT),
    Claim("mobilenetv2-000", "none (repository only)", _SLICES, _slice_accuracy, _BY_PATIENT),
    Claim("unet3d-001", "98 % accuracy in training, 92 % in the test", f"{_PIXELS}; of MRI ventricles, not blood",
          _pixel_accuracy, _BY_DICE),
    Claim("cnn-001", "90 % accuracy in training, 50 % in validation",
          "the share of bleeding slices whose class is right, of one training among several that differed",
          _type_accuracy, "five seeds, all reported; split by patient"),
    Claim("unet2d-002a", "IoU 0.85", "the mean of the IoU of blood and of the background", _iou_with_background,
          f"IoU of blood alone; {_BY_DICE}"),
    Claim("unet2d-002b", "Dice 0.89", "the mean over slices of which half are empty and count 1, split by slice",
          _dice_half_empty, f"a loss over the slices with blood; {_BY_DICE}",
          "half of the training slices are empty, and an empty mask there makes the Dice loss nearly 0; so most of the "
          "loss is won by telling these slices from the others, on which it marks most of the brain"),
    Claim("unet2d-003", "99.9 % pixel accuracy", f"{_PIXELS}; split by rows", _pixel_accuracy, _BY_DICE),
    *(
        Claim(name, "94.3 % accuracy", _CELLS, _cell_accuracy, _BY_PATIENT)
        for name in ("vanilla-004", "alexnet-004", "resnet50-004", "densenet121-004", "inceptionv3-004a",
                     "inceptionv3-004b")
    ),
)  # fmt: skip


def systems_page(trainings: Mapping[str, Training], curves: str, boxes: str) -> str:
    """All networks of the five systems with their claims, as Markdown.

    Args:
        trainings: from `read_trainings`. A network without one is listed as missing.
        curves: the file name of the picture of learning curves, for the link.
        boxes: the file name of the box plot of `volume_groups`.
    """
    sections = [_INTRODUCTION]
    for system in sorted({claim.system for claim in CLAIMS}):
        claims = [claim for claim in CLAIMS if claim.system == system]
        title, lessons = SYSTEMS[system]
        about = f"{title}. Lessons that re-enact its faults: {listed(map(str, lessons))}."
        parts = (
            f"## System {system}",
            about,
            _claim_table(claims),
            _result_table(claims, trainings),
            _changes(claims, trainings),
            _reasons(claims, trainings),
        )
        sections.append("\n\n".join(filter(None, parts)))
    sections += [
        f"## Learning curves\n\nLoss on the training side, epoch by epoch.\n\n![learning curves]({curves})",
        _leak_table(trainings),
        seed_section(trainings),
        grid_section(trainings),
        volume_section(segmenter, boxes) if (segmenter := largest_segmenter(trainings)) else "",
        _other_table(trainings),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


_INTRODUCTION = f"""# The five published systems, each beside its claim

Made by `python -m ich_lib systems RUNS --out FILE`. `docs/systems` keeps the recipe, split, history and report of every
training here. Every network is rebuilt from its publication (`ich_lib/models/published.py`) and trained on CT-ICH
1.0.0. If two CPU cores cannot train it at its published picture size, the table states the smaller size. A training in
several stages starts each stage from the weights of the one before.

**Honest** is the figure of patients whom the network never saw, with an interval that holds 95 % of resamples of
patients: Dice per subject for networks that outline blood, slice AUC for any bleeding for the others. `cnn-001` has no
class for a slice without blood, so its figure is the share of slices with exactly one type whose type is right. A
network works here from a Dice of {LEAST_DICE:.2f} or an AUC of {LEAST_AUC:.2f}; `cnn-001` works if its interval lies
above the share of the most common type.

**Without a model** is what needs no network: the Dice of the largest bright blob, the AUC that the height of the slice
alone reaches, or the share of the most common type.

**The claimed figure again** is the published figure, computed with its fault on the same patients, beside what is
reached by an answer that needs no model: nothing is ever marked or called, or always the most common type."""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _claim_table(claims: Sequence[Claim]) -> str:
    rows = [(f"`{claim.recipe}`", claim.claimed, claim.measured, claim.fix) for claim in claims]
    return _table(("network", "claimed", "what that figure measured", "what is done here"), rows)


def _result_table(claims: Sequence[Claim], trainings: Mapping[str, Training]) -> str:
    head = (
        "network",
        "the claimed figure again",
        "of an answer that needs no model",
        "honest",
        "without a model",
        "works",
        "picture; training slices; minutes per fold",
    )
    rows = []
    for claim in claims:
        for name in (claim.recipe, claim.recipe + FIXED):
            if training := trainings.get(name):
                rows.append(_result(claim, training))
            elif name == claim.recipe:
                rows.append((f"`{name}`", "not trained", *["–"] * 5))
    return _table(head, rows)


def _result(claim: Claim, training: Training) -> tuple[str, ...]:
    figure, empty_figure = claim.same_figure(training.report) or (None, None)
    folds = training.report.folds
    of = f"{len(training.runs)} folds" if isinstance(folds, tuple) else f"fold {folds}"
    return (
        f"`{training.name}` ({of})",
        to_text(figure),
        to_text(empty_figure),
        f"{training.measure} {to_text(training.honest)}",
        to_text(training.baseline),
        "yes" if training.works else "no",
        training.cost,
    )


_SETTINGS = {  # a recipe's setting to its words; the source of a recipe names what was chosen for the published one
    "size": "pictures of {} pixels",
    "depth": "{} slices",
    "batch": "batches of {}",
    "epochs": "{} epochs",
    "learning_rate": "a learning rate of {}",
    "weights": "{} initial weights",
    "windows": "the windows {}",
    "loss": "the loss `{}`",
    "schedule": "a {} schedule",
}


def _changes(claims: Sequence[Claim], trainings: Mapping[str, Training]) -> str:
    """What each training changed in the published settings, as a list; empty if no network was trained."""
    lines = []
    for claim in claims:
        published = RECIPES[claim.recipe]
        for name in (claim.recipe, claim.recipe + FIXED):
            if training := trainings.get(name):
                used = training.runs[0].recipe
                changed = [
                    f"{_setting(setting, used)} ({_value(setting, published)} published)"
                    for setting in _SETTINGS
                    if getattr(used, setting) != getattr(published, setting)
                ]
                lines.append(f"- `{name}`: {listed(changed) if changed else 'nothing'}.")
    title = "What is changed in the published settings, to fit two CPU cores or to correct a fault (`-fixed`):"
    return _list_under(title, lines)


def _reasons(claims: Sequence[Claim], trainings: Mapping[str, Training]) -> str:
    """Why networks do not work, as a list; empty if all do."""
    lines = []
    for claim in claims:
        for name in (claim.recipe, claim.recipe + FIXED):
            if name in trainings and (reason := trainings[name].reason):
                limit = claim.limit if name == claim.recipe else ""
                lines.append(f"- `{name}`: {reason}{'; ' + limit if limit else ''}.")
    return _list_under("Why a network does not work, by its learning curve:", lines)


def _list_under(title: str, lines: Sequence[str]) -> str:
    """A title and its lines; empty without lines."""
    return "\n".join((f"{title}\n", *lines)) if lines else ""


def _setting(name: str, recipe: Recipe) -> str:
    return _SETTINGS[name].format(_value(name, recipe))


def _value(name: str, recipe: Recipe) -> object:
    value = getattr(recipe, name)
    if name == "weights":
        return {None: "random", "imagenet": "ImageNet"}.get(value, value)
    return listed(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else value


def _leak_table(trainings: Mapping[str, Training]) -> str:
    """Networks trained with both splits: by patient, and by slice."""
    rows = [
        (f"`{name}`", to_text(training.honest), to_text(trainings[name + LEAKY].honest))
        for name, training in trainings.items()
        if name + LEAKY in trainings
    ]
    if not rows:
        return ""
    text = "The same network, data and settings. Split by slice, it is judged on patients that it was trained on."
    return f"## The effect of a split by slice\n\n{text}\n\n{_table(('network', 'by patient', 'by slice'), rows)}"


def _other_table(trainings: Mapping[str, Training]) -> str:
    """Every other training: ideas that the systems called future work, variants, and our own networks."""
    claimed_names = {claim.recipe + end for claim in CLAIMS for end in ("", FIXED, LEAKY)}
    rows = [
        (
            f"`{name}`",
            to_text(training.report.dice_per_subject) if training.is_segmenter else "–",
            to_text(training.report.slice_auc_any),
            to_text(training.report.scan_auc_any),
            training.cost,
        )
        for name, training in trainings.items()
        if name not in claimed_names and SEED not in name and GRID not in name
    ]
    if not rows:
        return ""
    head = ("network", "Dice per subject", "slice AUC", "scan AUC", "picture; training slices; minutes per fold")
    text = "What the systems named as future work, variations of their networks, and networks of our own."
    return f"## Beyond the five\n\n{text}\n\n{_table(head, rows)}"
