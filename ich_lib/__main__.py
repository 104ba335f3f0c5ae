"""python -m ich_lib COMMAND: from a scan to a result, and from a data set to models that are trained and judged."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from ich_lib.head import FIELDS
from ich_lib.labels import TYPES


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it went well, 2 with one sentence on stderr when its input was bad."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as problem:
        print(" ".join(str(problem).split()), file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print("Stopped. A training run goes on with --resume, anything else with the same command.", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ich_lib", description="Head CT hemorrhage: teaching and research only."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="find blood in a scan")
    predict.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="DICOM files, a folder, a zip, NIfTI, PNG or JPG"
    )
    predict.add_argument("--out", type=Path, help="folder for result.json, mask.nii.gz and overview.png")
    predict.add_argument("--json", action="store_true", help="print result.json's content and nothing else")
    predict.add_argument("--window", metavar="NAME|LEVEL,WIDTH", help="window of a PNG or JPG, e.g. brain or 40,80")
    predict.add_argument("--series", help="description of the series to read, where there are several")
    predict.add_argument("--allow-gaps", action="store_true", help="read a series with missing slices")
    predict.add_argument(
        "--weights", type=Path, metavar="RUN", help="a run or an exported folder instead of the shipped model"
    )
    predict.set_defaults(run=_predict)

    phantom = commands.add_parser("phantom", help="write heads made by code, with their truth")
    phantom.add_argument("--n", type=int, default=1, help="how many (default 1)")
    phantom.add_argument("--out", type=Path, required=True)
    phantom.add_argument("--format", choices=("nifti", "dicom"), default="nifti")
    phantom.add_argument("--seed", type=int, default=0, help="of the first one; the next ones count up")
    phantom.add_argument("--bleeds", nargs="*", choices=TYPES, help="types for every case; without it they take turns")
    phantom.add_argument("--mimics", nargs="*", default=(), metavar="NAME", help='such as "falx calcification"')
    phantom.add_argument("--thickness", type=float, default=5.0, metavar="MM", help="of a slice (default 5)")
    phantom.add_argument("--slices", type=int, help="default: enough of them for the whole head")
    phantom.add_argument("--tilt", type=float, default=0.0, metavar="DEG", help="of the gantry (default 0)")
    phantom.add_argument("--noise", type=float, default=4.0, metavar="HU", help="standard deviation (default 4)")
    phantom.set_defaults(run=_phantom)

    fetch = commands.add_parser("fetch", help="download a data set, or say how to get it")
    fetch.add_argument("name", metavar="SET", help="ct-ich, ct-ich-1.3.1, rsna-2019, cq500 or renders")
    fetch.add_argument("--out", type=Path, help="folder to fill (default: data/SET); run again to go on")
    fetch.set_defaults(run=_fetch)

    store = commands.add_parser("store", help="check a data set and write it into one compact file to train from")
    store.add_argument("--data", type=Path, required=True, help="folder of a data set")
    store.add_argument("--out", type=Path, required=True, metavar="FILE")
    store.add_argument("--size", type=int, default=256, help="side of a stored picture in pixels (default 256)")
    store.add_argument("--field", choices=FIELDS, default="head", help="cut to the head (default), or whole slices")
    store.set_defaults(run=_store)

    listed = commands.add_parser("recipes", help="list every model that can be trained, with its source")
    listed.set_defaults(run=_recipes)

    train = commands.add_parser("train", help="train a recipe")
    train.add_argument("--data", type=Path, help="folder of a data set, or a file of store; without it, phantoms alone")
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder to make")
    train.add_argument(
        "--fold", type=_fold, default=0, metavar="K|none", help="fold held out, 0 to 4 (default 0), or none"
    )
    train.add_argument("--resume", action="store_true", help="go on with a stopped run")
    train.add_argument("--settings", type=Path, metavar="FILE", help="best.json of tune, for the fold it set apart")
    train.set_defaults(run=_train)

    crossval = commands.add_parser("crossval", help="train a recipe once per fold of patients, then evaluate all folds")
    crossval.add_argument("--data", type=Path, required=True, help="folder of a data set")
    crossval.add_argument("--store", type=Path, metavar="FILE", help="the same as a file of store, to train from")
    crossval.add_argument("--out", type=Path, required=True, help="folder of the runs; run again to go on")
    crossval.set_defaults(run=_crossval)
    for command in (train, crossval):
        _how_to_train(command)

    tune = commands.add_parser("tune", help="search for settings, on other patients than those that are reported")
    tune.add_argument("--data", type=Path, required=True, help="folder of a data set, or a file of store")
    tune.add_argument("--out", type=Path, required=True, help="folder of the trials; run again to go on")
    tune.add_argument("--by", choices=("grid", "random", "bayes"), default="bayes", help="default: bayes")
    tune.add_argument("--trials", type=int, default=20, help="at most, earlier ones counted in (default 20)")
    tune.add_argument("--minutes", type=float, help="of training, at most; a trial begun is finished")
    tune.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="again for each; choices such as batch=4,8 or options.filters=8+16,16+32, or a range such as "
        "learning_rate=1e-4..1e-2:log",
    )
    tune.add_argument("--fold", type=int, default=0, metavar="K", help="fold set apart for the report (default 0)")
    _recipe_changes(tune)
    tune.set_defaults(run=_tune)

    table = commands.add_parser("table", help="cross-validations side by side, as a table in Markdown")
    table.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="that crossval wrote")
    table.add_argument("--out", type=Path, metavar="FILE", help="default: print it")
    table.set_defaults(run=_table)

    export = commands.add_parser("export", help="write NAME.onnx, NAME.weights.h5 and NAME.json of a run")
    export.add_argument("source", type=Path, metavar="RUN")
    export.add_argument("--out", type=Path, required=True)
    export.add_argument("--report", type=Path, help="report.json of evaluate, whose figures go on the card")
    export.set_defaults(run=_export)

    evaluate = commands.add_parser("evaluate", help="judge models on scans they never saw")
    evaluate.add_argument("source", metavar="RUN|shipped", help="a run, what crossval or export wrote, or shipped")
    evaluate.add_argument("--data", type=Path, required=True, help="folder of a data set, or a store of whole slices")
    evaluate.add_argument("--fold", type=int, help="must be the fold held out, which is the default")
    evaluate.add_argument("--out", type=Path, required=True, help="folder for report.json and report.html")
    evaluate.add_argument("--prevalence", type=float, default=0.1, help="of bleeding, for PPV and NPV (default 0.1)")
    evaluate.set_defaults(run=_evaluate)
    return parser


def _how_to_train(command: argparse.ArgumentParser) -> None:
    """What `train` and `crossval` share."""
    _recipe_changes(command)
    command.add_argument(
        "--split",
        choices=("patient", "leaky-image", "leaky-row"),
        default="patient",
        help="what is dealt out to the folds; the leaky ones are for the lesson on leaks and need --allow-leaks",
    )
    command.add_argument("--allow-leaks", action="store_true", help="train although held-out slices are known")
    command.add_argument("--start", type=Path, metavar="RUN", help="finished run whose weights come first")


def _recipe_changes(command: argparse.ArgumentParser) -> None:
    """The recipe, and what is asked for instead of its own settings."""
    command.add_argument("recipe", help="name of a recipe; python -m ich_lib recipes lists them")
    command.add_argument("--epochs", type=int, help="instead of the recipe's")
    command.add_argument("--steps", type=int, help="batches an epoch, instead of the recipe's")
    command.add_argument("--batch", type=int, help="instead of the recipe's")
    command.add_argument("--phantoms", type=int, help="how many phantom heads, instead of the recipe's")
    command.add_argument("--seed", type=int, help="instead of the recipe's")
    command.add_argument("--devices", type=int, default=1, metavar="N", help="that share every batch (default 1)")
    command.add_argument(
        "--budget", type=_budget, metavar="PIXELS,SLICES", help="cut the recipe to a picture size and slices seen"
    )


def _predict(options: argparse.Namespace) -> None:
    from ich_lib.engine import load
    from ich_lib.predict import analyse
    from ich_lib.read import read
    from ich_lib.report import as_json, sentence, write

    if not (options.out or options.json):
        raise ValueError("Name a folder with --out, or ask for --json.")
    scan = read(options.paths, window=_window(options.window), series=options.series, allow_gaps=options.allow_gaps)
    result = analyse(scan, load(options.weights))
    if options.out:
        write(result, options.out)
    if options.json:
        _say(json.dumps(as_json(result), indent=1))
    else:
        _say(
            "\n".join(
                [
                    sentence(result),
                    *result.warnings,
                    f"Written to {options.out}: result.json, mask.nii.gz, overview.png.",
                ]
            )
        )


def _phantom(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ich_lib.phantom import phantom
    from ich_lib.write import write_case

    if options.n < 1:
        raise ValueError(f"--n must be at least 1; got {options.n}.")
    asked = {"mimics": options.mimics, "thickness_mm": options.thickness, "tilt_deg": options.tilt}
    asked |= {"noise_hu": options.noise, "slices": options.slices or max(1, round(170 / max(options.thickness, 0.1)))}
    turns = [(name,) for name in TYPES] + [()]
    for i in tqdm(range(options.n), desc="phantoms", unit="head", disable=options.n == 1):
        seed = options.seed + i
        bleeds = turns[seed % len(turns)] if options.bleeds is None else options.bleeds
        case = phantom(seed, bleeds=bleeds, **asked)
        write_case(case, options.out / f"phantom-{seed:04d}", form=options.format)


def _fetch(options: argparse.Namespace) -> None:
    from ich_lib.datasets.fetch import fetch

    folder = fetch(options.name, options.out or Path("data") / options.name)
    _say(f"{folder} is complete. Next: python -m ich_lib store --data {folder} --out {options.name}.slices")


def _store(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ich_lib.datasets import open_set
    from ich_lib.datasets.fetch import SUMS, verify
    from ich_lib.store import build_store

    if (options.data / SUMS).is_file():
        _say("\n".join(verify(options.data)) or f"Every file is what {SUMS} says.")
    table = open_set(options.data)
    bar = lambda scans, total: tqdm(scans, total=total, desc="reading", unit="scan")  # noqa: E731
    store = build_store(table, options.out, size=options.size, field=options.field, progress=bar)
    megabytes = options.out.stat().st_size / 1e6
    _say("\n".join([*store.table.report.sentences, repr(store.table), f"Written: {options.out}, {megabytes:.0f} MB."]))


def _recipes(options: argparse.Namespace) -> None:
    from ich_lib.models import catalog

    for row in catalog():
        shape = "x".join(map(str, row["shape"]))
        count = "–" if row["parameters"] is None else f"{row['parameters']:,}"
        _say(f"{row['name']:18} {row['task']:9} {shape:14} {count:>12}  {row['source']}")


def _chosen(options: argparse.Namespace):
    """The recipe asked for, with what was asked for instead of its own settings."""
    from ich_lib.crossval import reduced
    from ich_lib.recipes import recipe

    keys = ("epochs", "steps", "batch", "phantoms", "seed")
    changes = {key: value for key in keys if (value := getattr(options, key)) is not None}
    if getattr(options, "settings", None):
        from ich_lib.tune import settled

        chosen = settled(options.settings, options.recipe, fold=options.fold, seed=options.seed)
    else:
        chosen = recipe(options.recipe)
    if options.budget:
        chosen = reduced(chosen, size=options.budget[0], slices=options.budget[1])
    return replace(chosen, **changes)


def _crossval(options: argparse.Namespace) -> None:
    from ich_lib.crossval import cross_validate
    from ich_lib.evaluate import evaluate

    cross_validate(
        _chosen(options),
        options.store or options.data,
        options.out,
        start=options.start,
        split=options.split.replace("-", " "),
        allow_leaks=options.allow_leaks,
        devices=options.devices,
    )
    _tell(evaluate(options.out, options.data, options.out))


def _table(options: argparse.Namespace) -> None:
    from ich_lib.crossval import table

    text = table(options.folders)
    if options.out:
        options.out.write_text(text)
    else:
        _say(text.rstrip())


def _train(options: argparse.Namespace) -> None:
    from ich_lib.train import train

    run = train(
        _chosen(options),
        options.data,
        options.out,
        fold=options.fold,
        split=options.split.replace("-", " "),
        allow_leaks=options.allow_leaks,
        devices=options.devices,
        start=options.start,
        resume=options.resume,
    )
    _say(f"{run.folder}: {run.recipe.name} trained for {run.minutes:.0f} minutes. Next: export, evaluate.")


def _tune(options: argparse.Namespace) -> None:
    from ich_lib.tune import read_space, tune

    asked = {"by": options.by, "trials": options.trials, "minutes": options.minutes, "fold": options.fold}
    chosen = _chosen(options)
    best = tune(chosen, options.data, options.out, read_space(options.vary), **asked, seed=chosen.seed)
    _say(f"Best of {best.trials} trials, {best.score:.3f} on the patients it was chosen by:")
    _say("\n".join(f"{name:17} {value}" for name, value in best.settings.items()))
    _say(
        f"Next, on the patients set apart: python -m ich_lib train {options.recipe} --data {options.data} --out RUN "
        f"--fold {options.fold} --settings {best.folder / 'best.json'}"
    )


def _export(options: argparse.Namespace) -> None:
    from ich_lib.evaluate import HEADLINE
    from ich_lib.export import export

    report = json.loads(options.report.read_text()) if options.report else {}
    figures = {key: report[key] for key in ("folds", *HEADLINE) if key in report}
    card = export(options.source, options.out, figures=figures, calibration=report.get("calibration"))
    _say(f"Written: {card}, with .onnx and .weights.h5 beside it.")


def _evaluate(options: argparse.Namespace) -> None:
    from ich_lib.evaluate import evaluate

    _tell(evaluate(options.source, options.data, options.out, fold=options.fold, prevalence=options.prevalence))
    _say(f"Written to {options.out}: report.json, report.html.")


def _tell(report: dict) -> None:
    """The headline of an evaluation."""
    from ich_lib.evaluate import HEADLINE
    from ich_lib.statistics import Figure

    folds = report["folds"]
    whom = f"Folds {', '.join(map(str, folds))}" if isinstance(folds, list) else f"Fold {folds}"
    never = "LEAKY split: patients trained on" if "leaky" in report else "patients never trained on"
    _say(f"{whom}, {len(report['patients'])} {never}; threshold {report['threshold']}.")
    for key in HEADLINE:
        values = {name: float("nan") if value is None else value for name, value in report[key].items()}
        _say(f"{key:17} {Figure(**values)}")


def _window(text: str | None) -> str | tuple[float, float] | None:
    """A window's name, or "level,width" as numbers."""
    if text is None or "," not in text:
        return text
    try:
        level, width = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--window wants a name or LEVEL,WIDTH in HU, such as 40,80; got {text!r}.") from None
    return level, width


def _budget(text: str) -> tuple[int, int]:
    size, slices = (int(part) for part in text.split(","))
    return size, slices


def _fold(text: str) -> int | None:
    return None if text.lower() == "none" else int(text)


def _say(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
