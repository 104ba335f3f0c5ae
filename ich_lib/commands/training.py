"""Recipes to trained models: recipes, train, crossval, tune, table, export."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ich_lib.commands.evaluating import print_headline
from ich_lib.commands.say import say
from ich_lib.grammar import count

if TYPE_CHECKING:
    from ich_lib.measures.report import Calls, Report
    from ich_lib.models.recipe import Recipe


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    recipes_parser = commands.add_parser("recipes", help="list every model that can be trained, with its source")
    recipes_parser.set_defaults(run=_recipes, of_course=True)
    _add_train(commands)
    _add_crossval(commands)
    _add_tune(commands)
    table = commands.add_parser("table", help="compare cross-validations in a Markdown table")
    table.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="that crossval wrote")
    table.add_argument("--out", type=Path, metavar="FILE", help="default: print it")
    table.set_defaults(run=_table, of_course=True)
    systems = commands.add_parser("systems", help="write a page of the five published systems and their claims")
    systems.add_argument(
        "folder", type=Path, metavar="RUNS", help="folder whose folders each hold a run with its report.json"
    )
    systems.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="page in Markdown; the curves are written beside it"
    )
    systems.add_argument(
        "--records",
        type=Path,
        metavar="DIR",
        help="keep recipe, split, history and report of each run here; the page can be made from them again",
    )
    systems.set_defaults(run=_systems, of_course=True)
    _add_export(commands)


def _add_train(commands: argparse._SubParsersAction) -> None:
    train = commands.add_parser("train", help="train a recipe")
    train.add_argument("--data", type=Path, help="folder of a data set, or a file of store; without it, phantoms only")
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="new run folder")
    train.add_argument(
        "--fold", type=_fold, default=0, metavar="K|none", help="held-out fold, 0 to 4 (default 0), or none"
    )
    train.add_argument("--resume", action="store_true", help="continue a stopped run")
    train.add_argument(
        "--settings", type=Path, metavar="FILE", help="best.json of tune, for the fold that tune set apart"
    )
    train.add_argument(
        "--split-of",
        type=Path,
        metavar="RUN",
        help="take the split of this run and its held-out fold, so that another seed meets the same patients",
    )
    train.set_defaults(run=_train, of_course=True)
    _add_training_options(train)


def _add_crossval(commands: argparse._SubParsersAction) -> None:
    crossval = commands.add_parser("crossval", help="train a recipe once per fold of patients, then evaluate all folds")
    crossval.add_argument("--data", type=Path, required=True, help="folder of a data set")
    crossval.add_argument("--store", type=Path, metavar="FILE", help="the same data as a file of store, for training")
    crossval.add_argument("--out", type=Path, required=True, help="folder of the runs; run the same command to resume")
    crossval.set_defaults(run=_crossval, of_course=True)
    _add_training_options(crossval)


def _add_tune(commands: argparse._SubParsersAction) -> None:
    tune = commands.add_parser("tune", help="search for settings, without the patients that are reported")
    tune.add_argument("--data", type=Path, required=True, help="folder of a data set, or a file of store")
    tune.add_argument("--out", type=Path, required=True, help="folder of the trials; run the same command to resume")
    tune.add_argument("--by", choices=("grid", "random", "bayes"), default="bayes", help="default: bayes")
    tune.add_argument("--trials", type=int, default=20, help="maximum number, including earlier trials (default 20)")
    tune.add_argument("--minutes", type=float, help="maximum minutes of training; a trial that has started is finished")
    tune.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="repeat it for each; choices such as batch=4,8 or options.filters=8+16,16+32, or a range such as "
        "learning_rate=1e-4..1e-2:log",
    )
    tune.add_argument("--fold", type=int, default=0, metavar="K", help="fold set apart for the report (default 0)")
    _add_recipe_options(tune)
    tune.set_defaults(run=_tune, of_course=True)


def _add_export(commands: argparse._SubParsersAction) -> None:
    export = commands.add_parser("export", help="write NAME.onnx, NAME.weights.h5 and NAME.json of a run")
    export.add_argument("source", type=Path, metavar="RUN")
    export.add_argument("--out", type=Path, required=True)
    export.add_argument("--report", type=Path, help="report.json of evaluate; its figures go on the card")
    export.add_argument(
        "--ood-data",
        type=Path,
        metavar="DATA",
        help="folder or store of the training set, to define what is in distribution",
    )
    export.add_argument(
        "--limit-from",
        type=Path,
        metavar="DIR",
        help="folder of crossval; its held-out scans set the out-of-distribution limit",
    )
    export.add_argument(
        "--kernels",
        choices=("float32", "float16", "int8"),
        default="float32",
        help="how kernels are stored: float16 halves the size, int8 quarters it (default float32)",
    )
    export.set_defaults(run=_export, of_course=True)


def _add_training_options(command: argparse.ArgumentParser) -> None:
    """Options of both `train` and `crossval`."""
    _add_recipe_options(command)
    command.add_argument(
        "--split",
        choices=("patient", "leaky-image", "leaky-row"),
        default="patient",
        help="unit of the split; the leaky ones are for the lesson on leaks and need --allow-leaks",
    )
    command.add_argument("--allow-leaks", action="store_true", help="train even if the split leaks")
    command.add_argument("--start", type=Path, metavar="RUN", help="finished run that gives the first weights")


def _add_recipe_options(command: argparse.ArgumentParser) -> None:
    """The recipe, and options that replace its own settings."""
    command.add_argument("recipe", help="name of a recipe; python -m ich_lib recipes lists them")
    command.add_argument("--epochs", type=int, help="instead of the recipe's")
    command.add_argument("--steps", type=int, help="batches per epoch, instead of the recipe's")
    command.add_argument("--batch", type=int, help="instead of the recipe's")
    command.add_argument("--phantoms", type=int, help="number of phantom heads, instead of the recipe's")
    command.add_argument("--seed", type=int, help="instead of the recipe's")
    command.add_argument("--size", type=int, metavar="PIXELS", help="side of a picture, instead of the recipe's")
    command.add_argument("--depth", type=int, metavar="SLICES", help="slices of a 3D picture, instead of the recipe's")
    command.add_argument(
        "--windows", metavar="NAMES", help="windows such as brain,subdural,bone, instead of the recipe's"
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of the recipe, such as learning_rate=1e-3 or options.dropout=0.1; repeat it for each",
    )
    command.add_argument(
        "--precision", metavar="POLICY", help="Keras policy such as mixed_bfloat16 or float32, instead of the recipe's"
    )
    command.add_argument(
        "--random-weights",
        action="store_true",
        help="start a pretrained recipe from random weights, and train all of them",
    )
    command.add_argument(
        "--devices", type=int, default=1, metavar="N", help="number of devices that share every batch (default 1)"
    )
    command.add_argument(
        "--budget",
        type=_budget,
        metavar="PIXELS,SLICES",
        help="limit the recipe to a picture size and a number of training slices",
    )


def _recipes(options: argparse.Namespace) -> None:
    from ich_lib.models.builders import list_models

    for row in list_models():
        shape = "x".join(map(str, row["shape"]))
        count = "–" if row["parameters"] is None else f"{row['parameters']:,}"
        say(f"{row['name']:18} {row['task']:9} {shape:14} {count:>12}  {row['source']}")


def _chosen_recipe(options: argparse.Namespace) -> "Recipe":
    """The chosen recipe, with the options that replace its own settings."""
    from ich_lib.models.recipes import get_recipe
    from ich_lib.training.crossval import from_random_weights, reduce_budget, resize
    from ich_lib.training.search_space import change_recipe, read_settings

    keys = ("epochs", "steps", "batch", "phantoms", "seed", "precision")
    changes = {key: value for key in keys if (value := getattr(options, key)) is not None}
    if options.windows:
        changes["windows"] = tuple(options.windows.split(","))
    if getattr(options, "settings", None):
        from ich_lib.training.tune import best_recipe

        recipe = best_recipe(options.settings, options.recipe, fold=options.fold, seed=options.seed)
    else:
        recipe = get_recipe(options.recipe)
    if options.random_weights:
        recipe = from_random_weights(recipe)
    recipe = resize(recipe, size=options.size, depth=options.depth)
    if options.budget:
        recipe = reduce_budget(recipe, size=options.budget[0], slices=options.budget[1])
    return change_recipe(replace(recipe, **changes), read_settings(options.set, recipe))


def _crossval(options: argparse.Namespace) -> None:
    from ich_lib.evaluation import evaluate
    from ich_lib.training.crossval import cross_validate

    cross_validate(
        _chosen_recipe(options),
        options.store or options.data,
        options.out,
        start=options.start,
        split=options.split.replace("-", " "),
        allow_leaks=options.allow_leaks,
        devices=options.devices,
    )
    print_headline(evaluate(options.out, options.data, options.out))


def _table(options: argparse.Namespace) -> None:
    from ich_lib.evaluation.side_by_side import results_table

    text = results_table(options.folders)
    if options.out:
        options.out.write_text(text)
    else:
        say(text.rstrip())


def _systems(options: argparse.Namespace) -> None:
    from ich_lib.evaluation.systems import systems_page
    from ich_lib.evaluation.systems_statistics import MARKED, largest_segmenter, volume_groups
    from ich_lib.evaluation.trainings import keep_records, read_trainings
    from ich_lib.show.comparison import box_plot
    from ich_lib.show.training import learning_curves

    trainings, curves = read_trainings(options.folder), options.out.with_suffix(".png")
    boxes = options.out.with_name(f"{options.out.stem}-volumes.png")
    options.out.write_text(systems_page(trainings, curves.name, boxes.name))
    learning_curves({name: training.history() for name, training in trainings.items()}).savefig(curves, dpi=90)
    if (segmenter := largest_segmenter(trainings)) and (groups := volume_groups(segmenter.report)):
        box_plot(groups, MARKED.name).savefig(boxes, dpi=90)
    if options.records:
        keep_records(trainings, options.records)
    say(f"Written: {options.out}, and the learning curves of {count(len(trainings), 'training')} beside it.")


def _train(options: argparse.Namespace) -> None:
    from ich_lib.models.run import open_run
    from ich_lib.training.train import train

    run = train(
        _chosen_recipe(options),
        options.data,
        options.out,
        fold=options.fold,
        split=open_run(options.split_of).split if options.split_of else options.split.replace("-", " "),
        allow_leaks=options.allow_leaks,
        devices=options.devices,
        start=options.start,
        resume=options.resume,
    )
    say(f"{run.folder}: {run.recipe.name} trained for {run.minutes:.0f} minutes. Next: export, evaluate.")


def _tune(options: argparse.Namespace) -> None:
    from ich_lib.training.search_space import read_space
    from ich_lib.training.tune import tune

    recipe = _chosen_recipe(options)
    best = tune(
        recipe,
        options.data,
        options.out,
        read_space(options.vary),
        by=options.by,
        trials=options.trials,
        minutes=options.minutes,
        fold=options.fold,
        seed=recipe.seed,
    )
    say(f"Best of {best.trials} trials, {best.score:.3f} on the patients used for the choice:")
    say("\n".join(f"{name:17} {value}" for name, value in best.settings.items()))
    say(
        f"Next, on the patients set apart: python -m ich_lib train {options.recipe} --data {options.data} --out RUN "
        f"--fold {options.fold} --settings {best.folder / 'best.json'}"
    )


def _export(options: argparse.Namespace) -> None:
    from ich_lib.evaluation.compare import read_report
    from ich_lib.evaluation.ood_limits import fit_ood
    from ich_lib.prediction.export import export

    report = read_report(options.report) if options.report else None
    if bool(options.ood_data) != bool(options.limit_from):
        raise ValueError("Give --ood-data (the training set) and --limit-from (a cross-validation) together.")
    card = export(
        options.source,
        options.out,
        figures=_figures(report) if report else {"calls": {}},
        calibration=report.calibration if report else None,
        ood=options.ood_data and fit_ood(options.source, options.ood_data, options.limit_from),
        kernels=options.kernels,
    )
    say(f"Written: {card}, with .onnx and .weights.h5 beside it.")


def _figures(report: "Report") -> dict:
    """The figures of a report for a card: the headline, and the rates of correct calls, without curves and tables."""
    calls = {"slices": report.slices, "whole_scans": report.whole_scans}
    return {
        "folds": report.folds,
        **{name: figure.as_json() for name, figure in report.headline.items()},
        **{
            name: figure.as_json()
            for name in ("height_auc", "blob_auc")
            if (figure := getattr(report.slices, name)) is not None
        },
        "calls": {of: _call_rates(rates) for of, rates in calls.items()},
    }


def _call_rates(calls: "Calls") -> dict:
    """Sensitivity and specificity at one threshold, as plain values."""
    return {
        "n": calls.n,
        "bleeding": calls.bleeding,
        "threshold": calls.threshold,
        "sensitivity": calls.sensitivity.as_json(),
        "specificity": calls.specificity.as_json(),
    }


def _budget(text: str) -> tuple[int, int]:
    size, slices = (int(part) for part in text.split(","))
    return size, slices


def _fold(text: str) -> int | None:
    return None if text.lower() == "none" else int(text)
