from dataclasses import replace

import numpy as np
import pytest

from ich_lib.case import Case
from ich_lib.measures.metrics import Counts
from ich_lib.measures.report import Weights
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.calibration import Evidence
from ich_lib.scan import Scan, axial_affine
from ich_lib.show.cases import slice_picture
from ich_lib.workbench import scans
from ich_lib.workbench.scans import (
    BEST,
    case_row,
    check_report,
    count_calls,
    is_training_scan,
    metrics_at_threshold,
    rank_cases,
    run_for_fold,
    scan_rows,
)
from tests.planted import table_of_heads
from tests.written import line, report, run_folder

SHAPE = (3, 10, 10)


def disk_case(outlined=(True, True, True)):
    """4 voxels of 5 mm3 bleed in slice 1. The model gives 0.9 to two of them, 0.4 to two, and 0.6 to two other
    voxels."""
    truth, blood = np.zeros(SHAPE, bool), np.zeros(SHAPE, np.float16)
    truth[1, 4, :4] = True
    blood[1, 4, :2], blood[1, 4, 2:4], blood[1, 7, :2] = 0.9, 0.4, 0.6
    labels = np.zeros((3, 6), bool)
    labels[1, [0, 5]] = True
    scores = np.tile(np.float32([0.1, 0.8, 0.1])[:, None], 6)
    scan = Scan(np.zeros(SHAPE, np.float32), axial_affine((5, 1, 1), SHAPE))
    evidence = Evidence(scores[:, 0], scores)
    heat = np.zeros(SHAPE, np.float16)
    result = Result(scan, blood, 0.5, evidence, scores, scores[1], 0.5, True, heat, (), ())
    return result, Case(scan, truth, labels, np.array(outlined))


@pytest.mark.parametrize(("threshold", "right", "wrong"), [(0.3, 4, 2), (0.5, 2, 2), (0.7, 2, 0), (0.95, 0, 0)])
def test_the_mask_at_each_threshold_on_paper(threshold, right, wrong):
    """Voxels are 0.005 mL."""
    result = metrics_at_threshold(*disk_case(), threshold)
    assert result.dice == pytest.approx(2 * right / (right + wrong + 4))
    assert result.dice_per_subject == pytest.approx(result.dice)
    volumes = (result.marked_ml, result.true_ml, result.missed_ml, result.wrong_ml)
    assert volumes == pytest.approx(np.array([right + wrong, 4, 4 - right, wrong]) * 0.005)


def test_the_mask_of_uneven_slices_has_the_ml_of_their_slabs():
    """Slice 1 is 5 mm above slice 0 and 10 mm below slice 2, so it counts 7.5 mm."""
    result, case = disk_case()
    uneven = replace(result, scan=replace(result.scan, places=np.array([0, 1, 3.0])))
    even, output = metrics_at_threshold(result, case, 0.7), metrics_at_threshold(uneven, case, 0.7)
    assert (output.marked_ml, output.true_ml, output.missed_ml) == pytest.approx(
        (1.5 * even.marked_ml, 1.5 * even.true_ml, 1.5 * even.missed_ml)
    )
    row = case_row(uneven, replace(case, scan=uneven.scan), "3")
    assert (row.true_ml, row.mask_ml) == pytest.approx((0.03, 0.03))


def test_slices_that_nobody_outlined_are_not_measured():
    result = metrics_at_threshold(*disk_case((True, False, True)), 0.5)
    assert (result.dice, result.dice_per_subject, result.marked_ml) == (1.0, None, 0.0)
    with pytest.raises(ValueError, match="No slice of this scan is outlined"):
        metrics_at_threshold(*disk_case((False, False, False)), 0.5)


def test_a_result_beside_its_truth_is_a_line_of_a_report():
    output = case_row(*disk_case(), "3")
    assert (output.patient, output.types, output.slices_with_blood) == ("3", ("epidural",), 1)
    assert output.dice == pytest.approx(0.5)
    assert (output.true_ml, output.mask_ml) == pytest.approx((0.02, 0.02))
    assert output.scan_any == pytest.approx(0.8)
    assert disk_case()[1].types == ("epidural",)


def test_the_worst_come_first_the_best_last_and_none_twice():
    rows = [
        line("good", dice=0.8, mask=10.0),
        line("best", dice=0.9, mask=10.0),
        line("missed", score=0.1, dice=0.95),
        line("low", dice=0.2),
        line("alarm", blood=0, dice=None, true=0.0),
        line("quiet", blood=0, dice=None, score=0.1, true=0.0, mask=0.0),
    ]
    result = [(kind, item.patient) for kind, item in rank_cases(rows, threshold=0.5)]
    assert result == [
        ("missed bleed", "missed"),
        ("false alarm", "alarm"),
        ("low overlap", "low"),
        (BEST, "good"),
        (BEST, "best"),
    ]
    assert [item.patient for _, item in rank_cases(rows, threshold=0.5, count=1)] == ["missed", "best"]
    assert count_calls(rows, 0.5) == Counts(tp=3, fp=1, tn=1, fn=1)
    assert count_calls(rows, 0.05) == Counts(tp=4, fp=2, tn=0, fn=0)


def test_a_cross_validation_is_asked_by_the_fold_that_did_not_see_the_scan(tmp_path):
    for fold in (0, 1):
        run_folder(tmp_path / f"fold-{fold}", finished=True)
    assert run_for_fold(tmp_path, 1) == tmp_path / "fold-1"
    assert run_for_fold(tmp_path, None) == tmp_path
    assert run_for_fold("shipped", 1) == "shipped"
    with pytest.raises(ValueError, match="holds the runs of a cross-validation"):
        scans.load_models(tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        scans.load_models(tmp_path / "nowhere")


def test_a_report_of_other_models_or_other_data_is_refused(models):
    table = table_of_heads()
    output = report([line("p1")], models=tuple(Weights(model.name, model.sha256) for model in models))
    check_report(output, models, "shipped", table)
    with pytest.raises(ValueError, match="judges other models"):
        check_report(report([]), models, "shipped", table)
    with pytest.raises(ValueError, match=r"report is of elsewhere, the data is planted"):
        check_report(replace(output, data="elsewhere"), models, "shipped", table)


def test_a_scan_is_found_by_its_name_and_whether_it_was_trained_on_is_known(models):
    table = table_of_heads()
    rows = scan_rows(table, "p3")
    assert set(table.patient[rows]) == {"p3"}
    with pytest.raises(ValueError, match="belongs to other data") as refused:
        scan_rows(table, "nobody")
    assert "nobody" not in str(refused.value)
    assert not is_training_scan(models, "shipped", table, rows)
    known = next(name for name, fold in next(iter(models)).card["folds"].items() if fold >= 0)
    trained = replace(table, patient=np.where(table.patient == "p3", known, table.patient))
    assert is_training_scan(models, "shipped", trained, rows)


def test_a_picture_outlines_what_it_is_given_and_nothing_else():
    result, case = disk_case()
    plain, marked = slice_picture(result.scan, 1), slice_picture(result.scan, 1, truth=case.truth, mask=result.mask)
    assert len(plain.axes[0].collections) == 0
    assert len(marked.axes[0].collections) == 4  # two lines and their halos
    assert [text.get_text() for text in plain.axes[0].texts] == ["R", "L"]
