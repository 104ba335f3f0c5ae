"""python -m ich_lib predict | phantom | fetch | store | train | evaluate | export"""

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
        print("Stopped. A training run goes on with --resume, a download with the same command.", file=sys.stderr)  # noqa: T201
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
        "--weights", type=Path, metavar="RUN", help="a run or an exported folder instead of the shipped pair"
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

    train = commands.add_parser("train", help="train a recipe")
    train.add_argument("recipe", help="name of a recipe")
    train.add_argument("--data", type=Path, help="folder of a data set, or a file of store; without it, phantoms alone")
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder to make")
    train.add_argument(
        "--fold", type=_fold, default=0, metavar="K|none", help="fold held out, 0 to 4 (default 0), or none"
    )
    train.add_argument(
        "--split",
        choices=("patient", "leaky-image", "leaky-row"),
        default="patient",
        help="what is dealt out to the folds; the leaky ones are for the lesson on leaks and need --allow-leaks",
    )
    train.add_argument("--allow-leaks", action="store_true", help="train although held-out slices are known")
    train.add_argument("--start", type=Path, metavar="RUN", help="finished run whose weights come first")
    train.add_argument("--epochs", type=int, help="instead of the recipe's")
    train.add_argument("--steps", type=int, help="batches an epoch, instead of the recipe's")
    train.add_argument("--phantoms", type=int, help="how many phantom heads, instead of the recipe's")
    train.add_argument("--seed", type=int, help="instead of the recipe's")
    train.add_argument("--resume", action="store_true", help="go on with a stopped run")
    train.set_defaults(run=_train)

    export = commands.add_parser("export", help="write NAME.onnx, NAME.weights.h5 and NAME.json of a run")
    export.add_argument("source", type=Path, metavar="RUN")
    export.add_argument("--out", type=Path, required=True)
    export.add_argument("--report", type=Path, help="report.json of evaluate, whose figures go on the card")
    export.set_defaults(run=_export)

    evaluate = commands.add_parser("evaluate", help="judge models on the fold they never saw")
    evaluate.add_argument("source", metavar="RUN|shipped")
    evaluate.add_argument("--data", type=Path, required=True, help="folder of a data set")
    evaluate.add_argument("--fold", type=int, help="must be the fold held out, which is the default")
    evaluate.add_argument("--out", type=Path, required=True)
    evaluate.set_defaults(run=_evaluate)
    return parser


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


def _train(options: argparse.Namespace) -> None:
    from ich_lib.recipes import recipe
    from ich_lib.train import train

    keys = ("epochs", "steps", "phantoms", "seed")
    changes = {key: value for key in keys if (value := getattr(options, key)) is not None}
    chosen = replace(recipe(options.recipe), **changes)
    run = train(
        chosen,
        options.data,
        options.out,
        fold=options.fold,
        split=options.split.replace("-", " "),
        allow_leaks=options.allow_leaks,
        start=options.start,
        resume=options.resume,
    )
    _say(f"{run.folder}: {run.recipe.name} trained for {run.minutes:.0f} minutes. Next: export, evaluate.")


def _export(options: argparse.Namespace) -> None:
    from ich_lib.export import export

    report = json.loads(options.report.read_text()) if options.report else {}
    figures = {
        key: report[key] for key in ("fold", "dice_per_subject", "slice_auc_any", "scan_auc_any") if key in report
    }
    _say(f"Written: {export(options.source, options.out, figures=figures)}, with .onnx and .weights.h5 beside it.")


def _evaluate(options: argparse.Namespace) -> None:
    from ich_lib.evaluate import evaluate
    from ich_lib.statistics import Figure

    report = evaluate(options.source, options.data, options.out, fold=options.fold)
    _say(
        f"Fold {report['fold']}, {len(report['patients'])} patients never trained on; threshold {report['threshold']}."
    )
    for key in ("dice_per_subject", "slice_auc_any", "scan_auc_any"):
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


def _fold(text: str) -> int | None:
    return None if text.lower() == "none" else int(text)


def _say(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
