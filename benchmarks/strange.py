"""Out of distribution: does the model recognize other bodies and faulty heads?

    python benchmarks/strange.py RUNS --data ct-ich-1.0.0 [--fold 0] [--n 10]

RUNS is a folder of crossval. In each fold the features of the training patients give the centers; the held-out patients
are the in-distribution scans. For every kind of out-of-distribution scan it prints the area under the ROC curve against
these scans and against phantoms outside the training set, the share beyond the limit, and the share that
`ich_lib.readers` already refuses or marks. Faults are those of phantoms. The limit is set on the same held-out scans,
so the share of these beyond it is fixed by construction.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from ich_lib.evaluation import open_table
from ich_lib.evaluation.ood_limits import (
    N_PHANTOMS,
    feature_model,
    fit_run_features,
    held_out_distances,
    phantom_volumes,
)
from ich_lib.labels import TYPES
from ich_lib.measures.metrics import auc
from ich_lib.models.run import fold_runs, open_run
from ich_lib.phantoms import phantom
from ich_lib.phantoms.bodies import BODIES, FAULTS, add_fault, body
from ich_lib.prediction.analyze import features
from ich_lib.prediction.ood import OodDetector, fit_limits
from ich_lib.readers import ReadError
from ich_lib.readers.hounsfield import ensure_hu
from ich_lib.scan import Scan

FIRST_SEED = 5000  # not in any training set


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="what crossval wrote")
    parser.add_argument("--data", type=Path, required=True, help="folder of a data set, or a store of whole slices")
    parser.add_argument("--fold", type=int, help="of one fold alone; default: the mean of all")
    parser.add_argument("--n", type=int, default=10, help="scans of every kind (default 10)")
    parser.add_argument("--phantoms", type=int, default=N_PHANTOMS, help="heads with a center of their own; 0 for none")
    options = parser.parse_args()
    table, heads = open_table(options.data), [_head(i) for i in range(options.n)]
    scans = ood_scans(heads)
    runs = [run for run in fold_runs(options.runs) if options.fold in (None, open_run(run).held_out)]
    folds = [_of_fold(run, table, heads, scans, options.phantoms) for run in runs]
    patients = sum(fold["patients"] for fold in folds)
    print(f"{patients} patients held out in {len(runs)} folds, {options.n} phantoms; {options.n} scans of every kind.")
    print(f"{'':22} {'AUROC against':^21} {'beyond':>8} {'stopped':>8}")
    print(f"{'':22} {'patients':>10} {'phantoms':>10} {'limit':>8} {'by read':>8}")
    for name in ("patients held out", "phantoms", *scans):
        values = np.mean([fold["rows"][name] for fold in folds], axis=0)
        read = f"{np.mean([_stopped(scan) for scan in scans[name]]):8.0%}" if name in scans else ""
        print(f"{name:22} {values[0]:10.3f} {values[1]:10.3f} {values[2]:8.0%} {read}")


def ood_scans(heads: list[Scan]) -> dict[str, list[Scan]]:
    """Kind to equal numbers of scans."""
    scans = {name: [body(name, seed) for seed in range(len(heads))] for name in BODIES}
    return scans | {name: [add_fault(head, name, seed) for seed, head in enumerate(heads)] for name in FAULTS}


def _head(index: int) -> Scan:
    """A phantom; the types of bleed alternate, and one has none."""
    turns = [(name,) for name in TYPES] + [()]
    return phantom(FIRST_SEED + index, bleeds=turns[index % len(turns)]).scan


def _of_fold(run: Path, table, heads: list[Scan], scans: dict[str, list[Scan]], phantoms: int) -> dict:
    """Number of held-out patients, and kind to (AUROC against patients, against phantoms, share beyond the limit)."""
    model = feature_model(run)
    statistics = fit_run_features(model, run, table, phantom_volumes(model.recipe, phantoms) if phantoms else [])
    far = held_out_distances(OodDetector(*statistics, {}), model, run, table)
    detector = OodDetector(*statistics, fit_limits(far))
    scores = {"patients held out": [detector.score_distances(score) for score in far]}
    for name, scans_of_kind in {"phantoms": heads, **scans}.items():
        scores[name] = [detector.score(features(scan.hu, model)) for scan in scans_of_kind]
    patients, phantom_scores = ([score.value for score in scores[name]] for name in ("patients held out", "phantoms"))
    rows = {}
    for name, scans_of_kind in scores.items():
        kind_scores = [score.value for score in scans_of_kind]
        rows[name] = (
            _auc(patients, kind_scores),
            _auc(phantom_scores, kind_scores),
            np.mean([score.is_ood for score in scans_of_kind]),
        )
    return {"patients": len(far), "rows": rows}


def _auc(in_scores: list[float], out_scores: list[float]) -> float:
    return auc(np.repeat([False, True], [len(in_scores), len(out_scores)]), [*in_scores, *out_scores])


def _stopped(scan: Scan) -> bool:
    """Whether `read` refuses the values or marks them as not in Hounsfield units."""
    try:
        return not ensure_hu(Scan(scan.hu.copy(), scan.affine), "scan").hu_known
    except ReadError:
        return True


if __name__ == "__main__":
    main()
