"""Explain a scan, or compare explanations of many scans with masks: explain."""

import argparse
from pathlib import Path

from ich_lib.commands.say import say
from ich_lib.commands.scans import parse_window
from ich_lib.grammar import listed


def add(commands: argparse._SubParsersAction) -> None:
    """Add this command to the parser."""
    explain = commands.add_parser("explain", help="show where a model looked, or compare such maps with masks")
    explain.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a scan, as in predict")
    explain.add_argument(
        "--method",
        action="append",
        metavar="NAME",
        help="cam (default), grad-cam, grad-cam++, score-cam, saliency, smoothgrad or seg-grad-cam; with --score, "
        "repeat it for each; without it, the fast methods",
    )
    explain.add_argument(
        "--source", default="shipped", metavar="RUN|RUNS|shipped", help="the model to explain (default shipped)"
    )
    explain.add_argument("--label", default="any", help="the label whose score is explained (default any)")
    explain.add_argument("--out", type=Path, required=True, help="folder for heat.nii.gz and heat.png, or explain.json")
    explain.add_argument("--score", action="store_true", help="compare maps with the outlined slices of --data")
    explain.add_argument("--data", type=Path, help="with --score: folder of a data set, or a store with whole slices")
    explain.add_argument("--window", metavar="NAME|LEVEL,WIDTH", help="window of a PNG or JPG, e.g. brain or 40,80")
    explain.add_argument(
        "--series", metavar="N", help="number or description of the series to read, if there are several"
    )
    explain.set_defaults(run=_explain)


def _explain(options: argparse.Namespace) -> None:
    if options.score:
        _score(options)
    else:
        _explain_scan(options)


def _explain_scan(options: argparse.Namespace) -> None:
    import numpy as np

    from ich_lib.explanation import explain
    from ich_lib.readers import read
    from ich_lib.reports import write_nifti
    from ich_lib.show import explanation

    methods = options.method or ["cam"]
    if not options.paths or options.data:
        raise ValueError("Name a scan to explain, or give --score and --data to compare maps with masks.")
    if len(methods) > 1:
        raise ValueError(f"A scan is explained by one method at a time; got {listed(methods)}.")
    scan = read(options.paths, window=parse_window(options.window), series=options.series)
    heat = explain(scan, methods[0], options.source, label=options.label)
    options.out.mkdir(parents=True, exist_ok=True)
    write_nifti(options.out / "heat.nii.gz", heat.astype(np.float32), scan)
    of = "the mask" if methods[0] == "seg-grad-cam" else f"the score for {options.label}"
    title = f"{methods[0]}: {of} ({Path(options.source).name})"
    explanation(scan, heat, title=title).savefig(options.out / "heat.png", dpi=110)
    empty_note = "" if heat.any() else " The map is empty: no place supports the score."
    say("\n".join([*scan.notes, f"Written to {options.out}: heat.nii.gz, heat.png.{empty_note}"]))


def _score(options: argparse.Namespace) -> None:
    from ich_lib.explanation.scored import score_explanations
    from ich_lib.measures.bootstrap import Estimate

    if options.paths or not options.data:
        raise ValueError("--score takes its scans only from --data: name a data set there, and no scan.")
    report = score_explanations(options.source, options.data, options.out, methods=options.method, label=options.label)
    if report["trained_on"]:
        say("These patients are in the training set: the figures are too favorable.")
    for name, values in report["methods"].items():
        for key in ("pointing", "energy", "energy_random", "energy_over_random"):
            say(f"{name:12} {key:18} {Estimate.from_json(values[key])}")
    say(f"Written to {options.out}: explain.json, explain.md.")
