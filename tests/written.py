"""Run folders and reports like those of `train` and `evaluate`, written in a moment, with known content."""

import json
from dataclasses import replace

from ich_lib.measures.bootstrap import Estimate
from ich_lib.measures.metrics import Bin, Counts
from ich_lib.measures.report import Calls, Line, Report, Weights
from ich_lib.models.recipe import Recipe

LINES = ("1,0.90000,,0.001,0.50", "2,0.70000,0.80000,0.0005,1.00")
HEAD = "epoch,loss,val_loss,learning_rate,minutes"


def recipe(name="tiny", **settings):
    detector = {"options": {"filters": (4, 8)}, "size": 32, "epochs": 5, "steps": 3}
    return Recipe(name, "both", "unet2d", **{**detector, **settings})


def run_folder(folder, run_recipe=None, *, lines=LINES, finished=False, held_out=0):
    """A complete run, except that its weights are an empty file."""
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(json.dumps((run_recipe or recipe()).as_json()))
    folds = {"kind": "patient", "folds": {"a": 0, "b": 1}, "held_out": held_out, "seed": 0}
    (folder / "folds.json").write_text(json.dumps(folds))
    (folder / "history.csv").write_text("\n".join([HEAD, *lines]) + "\n")
    if finished:
        (folder / "model.weights.h5").touch()
    return folder


def line(patient, *, dice=0.5, score=0.9, blood=2, true=10.0, mask=12.0, types=("epidural",), fold=0, **facts):
    """A scan's line of a report."""
    return Line(
        patient=patient,
        scan=patient,
        fold=fold,
        types=tuple(types) if blood else (),
        dice=dice,
        scan_any=score,
        slices=9,
        slices_with_blood=blood,
        true_ml=true,
        mask_ml=mask,
        facts=facts,
    )


def figure(value, *, n=30):
    return Estimate(value, value - 0.1, value + 0.1, n)


def calls():
    group = figure(0.8)
    figures = ("auc", "average_precision", "log_loss", "ece", "sensitivity", "specificity", "ppv", "npv")
    return Calls(
        n=11,
        bleeding=5,
        threshold=0.5,
        prevalence=0.1,
        **dict.fromkeys(figures, group),
        counts=Counts(tp=3, fp=1, tn=5, fn=2),
        roc=((0, 0), (0.2, 0.9), (1, 1)),
        reliability=(Bin(0.0, 1.0, 11, 0.4, 0.4),),
    )


def report(lines, *, data="planted", sha="one", dice=0.5, **more):
    """A whole report around some lines; its figures other than those of the lines are invented."""
    group = figure(0.8)
    output = Report(
        data=data,
        patients=tuple(sorted({item.patient for item in lines})),
        scans=len(lines),
        threshold=0.5,
        score_threshold=0.5,
        calibrated="not",
        dice_per_subject=figure(dice),
        slice_auc_any=group,
        scan_auc_any=group,
        volume_mae_ml=group,
        ece=group,
        masks=None,
        spacing="from the files",
        volume=None,
        slices=calls(),
        whole_scans=calls(),
        types={},
        lesion_size={},
        groups={},
        abstention=None,
        clean_scans=None,
        worst=(),
        per_patient=tuple(lines),
        notice="",
        models=(Weights("tiny", sha),),
        folds=None,
    )
    return replace(output, **more)


def write_report(folder, values):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(values.as_json()))
    return folder / "report.json"
