import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from ich_lib.evaluation import _judge_models, build_report
from ich_lib.measures.report import Report
from tests.evaluation.test_evaluate import SCANS, Disk, scan
from tests.planted import table_of_heads
from tests.written import figure, line
from tests.written import report as made_up

KEYS = (
    *("data", "patients", "scans", "threshold", "score_threshold", "calibrated", "dice_per_subject", "slice_auc_any"),
    *(
        "scan_auc_any",
        "volume_mae_ml",
        "ece",
        "masks",
        "spacing",
        "volume",
        "slices",
        "whole_scans",
        "types",
        "accuracy",
    ),
    *("lesion_size", "groups", "abstention", "clean_scans", "worst", "per_patient", "notice", "models", "folds"),
)


@pytest.fixture(scope="module")
def report():
    """A report of the synthetic model on synthetic heads."""
    table = table_of_heads()
    scans = _judge_models(Disk.models(folds={"other": 1}), "run", table, None)
    return build_report(scans, table, [Disk.models()], folds=(0, None), calibrated="not", prevalence=0.1)


def again(report):
    """The report, written to a file and read again."""
    return Report.from_json(json.loads(json.dumps(report.as_json(), allow_nan=False)))


def test_the_keys_of_the_file_and_their_order_stay(report):
    """Other programs read it. Unknown values are left out, so that the key alone shows a leak."""
    output = report.as_json()
    assert tuple(output) == KEYS
    assert tuple(output["slices"])[:4] == ("n", "bleeding", "threshold", "prevalence")
    assert tuple(output["volume"]) == ("bias_ml", "limits_ml", "pairs_ml", "ways")
    assert set(output["per_patient"][0]) == set(vars(line("a"))) - {"answers"}
    more = replace(report, leaky=("leaky row",), before_calibration={"ece": figure(0.1)}, calibration={"scans": [[1]]})
    assert tuple(more.as_json()) == (*KEYS, "leaky", "before_calibration", "calibration")


def test_what_was_written_is_read_again_part_by_part(report):
    """Figures that are not defined are null in the file and NaN here. NaN equals nothing, so the JSON is compared."""
    scans = [*SCANS, scan("d", [1], [0.9], true_px=[10], mask_px=[10], shared_px=[10])]
    other = build_report(scans, table_of_heads(), [Disk.models()], folds=0, calibrated="not", prevalence=0.2)
    more = replace(other, leaky=("leaky row",), before_calibration={"ece": figure(0.1)}, calibration={"scans": [[1.0]]})
    for item in (report, other, more):
        read = again(item)
        assert read.as_json() == item.as_json()
        assert read.per_patient == item.per_patient
        assert read.folds == item.folds
        assert read.slices.counts == item.slices.counts
        assert [type(part) for part in vars(read).values()] == [type(part) for part in vars(item).values()]
    assert np.isnan(again(other).types["subarachnoid"].dice.value)
    assert None in [row["score"] for row in report.as_json()["slices"]["reliability"]]


def test_parts_that_there_are_not_are_none_here_and_empty_in_the_file():
    bare = made_up([])
    output = bare.as_json()
    assert (output["masks"], output["volume"], output["clean_scans"]) == ({}, {}, {})
    read = again(bare)
    assert (read.masks, read.volume, read.clean_scans, read.abstention) == (None,) * 4


def test_an_older_version_told_less(report):
    """A report without facts, spacing and abstention. Its mL come from the mask alone, with the mean absolute error
    of the headline."""
    output = report.as_json()
    for key in ("spacing", "abstention"):
        del output[key]
    del output["volume"]["ways"], output["clean_scans"]["median_soft_ml"]
    for row in output["per_patient"]:
        del row["facts"]
    read = Report.from_json(output)
    assert (read.spacing, read.abstention, read.clean_scans.median_soft_ml) == ("assumed", None, None)
    assert read.per_patient[0].facts == {}
    assert set(read.volume.methods) == {"mask"}
    assert read.volume.mask.pairs_ml == report.volume.mask.pairs_ml
    assert read.volume.mask.mae_ml == report.volume_mae_ml


def test_a_report_is_not_changed_by_accident(report):
    with pytest.raises(FrozenInstanceError):
        report.scans = 1
