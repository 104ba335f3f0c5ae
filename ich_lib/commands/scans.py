"""From a scan to a result: predict; and synthetic heads: phantom."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ich_lib.commands import archives
from ich_lib.commands.say import say
from ich_lib.labels import TYPES

if TYPE_CHECKING:
    from ich_lib.prediction.analyze import Result
    from ich_lib.prediction.engine import Models
    from ich_lib.scan import Scan


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    predict = commands.add_parser("predict", help="look for blood in a scan")
    predict.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="DICOM files, a folder or archive, NIfTI, or pictures"
    )
    predict.add_argument(
        "--out",
        type=Path,
        help="folder for the result: JSON, CSV, NIfTI, PNG, PDF, and DICOM SEG for DICOM; without it, "
        "the finding is printed",
    )
    predict.add_argument("--json", action="store_true", help="print only the content of result.json")
    predict.add_argument("--window", metavar="NAME|LEVEL,WIDTH", help="window of a PNG or JPG, e.g. brain or 40,80")
    predict.add_argument(
        "--series", metavar="N", help="number or description of the series to read, if there are several"
    )
    predict.add_argument(
        "--model",
        "--weights",
        dest="weights",
        default="shipped",
        metavar="NAME|RUN",
        help="another model of the library (list them with `models`), a run folder or an exported folder",
    )
    predict.add_argument(
        "--believe", action="store_true", help="show the finding even if the scan may not be a native head CT"
    )
    archives.add_options(predict)
    predict.set_defaults(run=_predict)

    models = commands.add_parser("models", help="list the trained models that come with the library")
    models.set_defaults(run=_models)

    phantom = commands.add_parser("phantom", help="write synthetic heads with their truth")
    phantom.add_argument("--n", type=int, default=1, help="how many (default 1)")
    phantom.add_argument("--out", type=Path, required=True)
    phantom.add_argument("--format", choices=("nifti", "dicom"), default="nifti")
    phantom.add_argument("--seed", type=int, default=0, help="seed of the first head; the next ones count up")
    phantom.add_argument(
        "--bleeds", nargs="*", choices=TYPES, help="types of bleeding for every case; without it, they alternate"
    )
    phantom.add_argument("--mimics", nargs="*", default=(), metavar="NAME", help='such as "falx calcification"')
    phantom.add_argument("--thickness", type=float, default=5.0, metavar="MM", help="thickness of a slice (default 5)")
    phantom.add_argument("--slices", type=int, help="default: enough for the whole head")
    phantom.add_argument("--tilt", type=float, default=0.0, metavar="DEG", help="tilt of the gantry (default 0)")
    phantom.add_argument(
        "--noise", type=float, default=4.0, metavar="HU", help="standard deviation of the noise (default 4)"
    )
    phantom.set_defaults(run=_phantom)


def _predict(options: argparse.Namespace) -> None:
    if options.many:
        archives.predict_many(options)
        return
    if not options.paths:
        raise ValueError("Name a scan, or give a list or folder of scans with --many.")
    from ich_lib.prediction.engine import load
    from ich_lib.readers import read
    from ich_lib.reports import as_json, write

    scan = read(options.paths, window=parse_window(options.window), series=options.series)
    result = _analyze_with_progress(scan, load(options.weights), believe=options.believe)
    files = write(result, options.out) if options.out else []
    if options.json:
        say(json.dumps(as_json(result), indent=1))
        return
    say("\n".join(_sentences(result)))
    if files:
        say(f"Written to {options.out}: {', '.join(file.name for file in files)}.")
    else:
        say("\n".join([*_slice_lines(result), "--out FOLDER writes the mask, a picture and a report."]))


def _models(options: argparse.Namespace) -> None:
    """A line for each model: its name for --model, its task, and its figures on patients that it never saw."""
    from ich_lib.prediction.engine import list_weights, load

    for name in list_weights():
        models = load(name)
        tasks = [task for task, model in (("mask", models.segmenter), ("scores", models.classifier)) if model]
        figure_keys = {"Dice": "dice_per_subject", "slice AUC": "slice_auc_any", "scan AUC": "scan_auc_any"}
        figures = [(word, models.figures.get(key)) for word, key in figure_keys.items()]
        texts = [f"{word} {figure['value']:.2f}" for word, figure in figures if figure and figure["value"] is not None]
        say(f"{name:16} {' and '.join(tasks):16} {', '.join(texts) or 'not measured'}")


def _analyze_with_progress(scan: "Scan", models: "Models", *, believe: bool) -> "Result":
    """`analyze`, with a progress bar."""
    from tqdm import tqdm

    from ich_lib.prediction.analyze import analyze

    with tqdm(total=len(scan.hu), desc="looking for blood", unit="slice", disable=None, leave=False) as bar:
        return analyze(scan, models, believe=believe, progress=lambda share: bar.update(share * bar.total - bar.n))


def _sentences(result: "Result") -> list[str]:
    from ich_lib.words import belief_sentence, result_sentence, unsure_sentence, volume_sentence

    sentences = [belief_sentence(result), volume_sentence(result), unsure_sentence(result)]
    override = ["Use --believe to see the finding anyway."] if result.is_withheld else []
    return [result_sentence(result), *filter(None, sentences), *result.warnings, *override]


def _slice_lines(result: "Result") -> list[str]:
    """A line for each slice that is called bleeding, counted from 1; none if the finding is withheld."""
    from ich_lib.labels import ANY

    if result.is_withheld:
        return []
    called = [k for k, score in enumerate(result.slice_scores[:, ANY]) if score >= result.score_threshold]
    ml = result.mask.sum(axis=(1, 2)) * result.scan.slice_ml
    return [
        f"slice {k + 1:4}: any {result.slice_scores[k, ANY]:.2f}"
        + (f", {ml[k]:.1f} mL" if result.is_measurable else "")
        for k in called
    ]


def _phantom(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ich_lib.phantoms import phantom
    from ich_lib.reports.case_files import write_case

    if options.n < 1:
        raise ValueError(f"--n must be at least 1; got {options.n}.")
    slices = options.slices or max(1, round(170 / max(options.thickness, 0.1)))
    turns = [(name,) for name in TYPES] + [()]
    for i in tqdm(range(options.n), desc="phantoms", unit="head", disable=options.n == 1):
        seed = options.seed + i
        bleeds = turns[seed % len(turns)] if options.bleeds is None else options.bleeds
        case = phantom(
            seed,
            bleeds=bleeds,
            mimics=options.mimics,
            slices=slices,
            thickness_mm=options.thickness,
            tilt_deg=options.tilt,
            noise_hu=options.noise,
        )
        write_case(case, options.out / f"phantom-{seed:04d}", form=options.format)


def parse_window(text: str | None) -> str | tuple[float, float] | None:
    """A window's name, or "level,width" as numbers."""
    if text is None or "," not in text:
        return text
    try:
        level, width = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--window takes a name or LEVEL,WIDTH in HU, such as 40,80; got {text!r}.") from None
    return level, width
