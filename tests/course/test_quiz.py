import csv
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from ich_lib.course import quiz
from ich_lib.course.quiz import COLUMNS, Question
from ich_lib.labels import ANY, TYPES
from ich_lib.prediction.engine import Models
from ich_lib.scan import Scan, axial_affine
from tests.planted import table_of_heads

SHAPE = (5, 20, 20)


def question(number=1, *, bleeds=True, types=("subdural",), outlined=True):
    """Blood is the 4 x 10 pixels of rows 4 to 7."""
    truth = np.zeros(SHAPE[1:], bool)
    truth[4:8, :10] = bleeds
    scan = Scan(np.zeros(SHAPE, np.float32), axial_affine((5, 1, 1), SHAPE))
    output = frozenset(types) if types is not None and bleeds else frozenset() if types is not None else None
    return Question(number, scan, 2, bleeds, output, truth if outlined else None)


def region(rows, columns):
    mask = np.zeros(SHAPE[1:], bool)
    mask[rows, columns] = True
    return mask


def mark(truth, score, number=1):
    return quiz.mark(question(number, bleeds=truth), quiz.student_answer(score >= 0.5, max(score, 1 - score)))


# ---- marks ----------------------------------------------------------------------------------------------------------


def test_half_of_the_blood_drawn_and_nothing_else_is_a_dice_of_two_thirds():
    answer = quiz.student_answer(True, 0.8, ["subdural"], region(slice(4, 6), slice(0, 10)))
    result = quiz.mark(question(), answer, seconds=7)
    assert result.dice == pytest.approx(2 * 20 / (20 + 40))
    assert (result.is_right, result.are_types_right, result.score, result.seconds) == (True, True, 0.8, 7)


def test_blood_that_was_called_and_not_drawn_is_an_overlap_of_nothing():
    assert quiz.mark(question(), quiz.student_answer(True, 1)).dice == 0
    assert quiz.mark(question(), quiz.student_answer(True, 1, region=region(0, 0) & False)).dice == 0


def test_a_clean_slice_has_no_overlap_and_no_type_to_be_right_about():
    result = quiz.mark(question(bleeds=False), quiz.student_answer(False, 0.9))
    assert (result.is_right, result.dice, result.are_types_right) == (True, None, None)
    assert result.score == pytest.approx(0.1)


def test_a_slice_that_nobody_outlined_or_typed_is_marked_for_bleeding_alone():
    result = quiz.mark(question(types=None, outlined=False), quiz.student_answer(True, 0.6, ["epidural"]))
    assert (result.is_right, result.dice, result.are_types_right) == (True, None, None)


def test_types_are_right_only_when_all_and_no_other_are_named():
    second = question(types=("subdural", "epidural"))
    assert [quiz.mark(second, quiz.student_answer(True, 1, group)).are_types_right for group in (
        ["subdural"], ["epidural", "subdural"], ["epidural", "subdural", "subarachnoid"]
    )] == [False, True, False]  # fmt: skip


def test_types_and_region_of_a_slice_called_clean_count_for_nothing():
    assert quiz.student_answer(False, 0.7, ["epidural"]).types == frozenset()


def test_an_unsure_and_an_unknown_answer_are_refused():
    with pytest.raises(ValueError, match=r"0.5 \(a guess\) to 1 \(certain\); got 0.3"):
        quiz.student_answer(True, 0.3)
    with pytest.raises(ValueError, match="'stroke' is no type of bleed"):
        quiz.student_answer(True, 0.6, ["stroke"])


# ---- standing -------------------------------------------------------------------------------------------------------


def test_the_curve_of_confidences_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    truth, score = rng.random(40) < 0.4, np.round(rng.random(40), 1)
    marks = [mark(bool(t), float(s)) for t, s in zip(truth, score, strict=True)]
    x, y, _ = roc_curve(truth, [item.score for item in marks], drop_intermediate=False)
    np.testing.assert_allclose(quiz.roc_points(marks), np.stack([x, y], axis=1))


def test_three_answers_on_paper():
    """Blood scored 0.9 and 0.4, clean scored 0.5 (called blood): one of two pairs is in order, so the area is one
    half."""
    result = quiz.tally([mark(True, 0.9), mark(True, 0.4), mark(False, 0.5)])
    assert (result.n, result.n_right, result.auc, result.dice) == (3, 1, 0.5, 0)
    assert (result.n_typed, result.n_types_right) == (2, 0)


def test_there_is_no_curve_before_both_kinds_were_asked():
    assert quiz.roc_points([mark(True, 0.9)]) == []
    assert quiz.tally([mark(True, 0.9)]).auc is None
    assert quiz.tally([]).n == 0


# ---- cases ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(quiz, "_PIXELS", 64)


def test_the_same_class_number_gives_the_same_heads_and_another_others(small):
    item, repeat, other = (quiz.phantom_question(3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(item.scan.hu, repeat.scan.hu)
    assert (item.types, item.index) == (repeat.types, repeat.index)
    assert other.scan.hu.shape != item.scan.hu.shape or (other.scan.hu != item.scan.hu).any()


def test_a_made_head_shows_five_slices_and_its_truth_is_of_the_middle_one(small):
    for number in range(1, 6):
        built = quiz.phantom_question(number, 4)
        assert (len(built.scan.hu), built.index) == (5, 2)
        assert bool(built.truth.any()) == built.bleeds == bool(built.types)


def test_a_quiz_asks_each_scan_once_and_bleeding_slices_of_those_that_bleed():
    """Half of the eight heads bleed, in slices 3 and 4, so the questions show one of these two slices."""
    table = table_of_heads(heads=8)
    rows = quiz.draw_rows(table, 5)
    assert sorted(table.scan[rows].tolist()) == sorted(set(table.scan.tolist()))
    assert table.labels[rows, ANY].sum() == 4
    np.testing.assert_array_equal(rows, quiz.draw_rows(table, 5))
    assert rows.tolist() != quiz.draw_rows(table, 6).tolist()


def test_where_all_scans_bleed_about_half_of_the_questions_do():
    table = table_of_heads(heads=120, slices=6, side=32)
    bleeding = table.take(np.flatnonzero(np.isin(table.scan, table.scan[table.labels[:, ANY]])))
    share = bleeding.labels[quiz.draw_rows(bleeding, 0), ANY].mean()
    assert 0.3 < share < 0.7


def test_a_question_of_a_data_set_carries_no_name():
    table = table_of_heads(heads=2)
    row = int(np.flatnonzero(table.labels[:, ANY])[0])
    request = quiz.table_question(table, row, 9)
    np.testing.assert_array_equal(request.scan.hu[request.index], table.hu(row))
    np.testing.assert_array_equal(request.truth, table.truth(row))
    assert request.types == {TYPES[table.labels[row, :ANY].argmax()]}
    assert table.patient[row] not in repr(replace(request, truth=None))


def test_at_the_foot_of_a_scan_fewer_slices_are_shown_and_the_asked_one_is_the_first():
    table = table_of_heads(heads=2)
    request = quiz.table_question(table, 6, 1)
    assert (len(request.scan.hu), request.index) == (3, 0)
    np.testing.assert_array_equal(request.scan.hu[0], table.hu(6))


def test_a_picture_that_cannot_be_read_is_told_by_its_case_alone():
    with pytest.raises(ValueError, match=r"^A picture of case 4 cannot be read; go on with the next one\.$"):
        quiz.table_question(table_of_heads(heads=2, broken=[1]), 1, 4)


def test_types_that_a_set_does_not_tell_are_not_asked():
    table = replace(table_of_heads(heads=2), known_labels=("any",))
    assert quiz.table_question(table, 3, 1).types is None


# ---- the model ------------------------------------------------------------------------------------------------------


def test_the_model_is_asked_of_the_slices_that_the_student_sees(models, monkeypatch):
    visited, analyze = [], quiz.analyze
    monkeypatch.setattr(quiz, "analyze", lambda scan, models: visited.append(scan) or analyze(scan, models))
    request = replace(
        question(), scan=Scan(np.full((3, 64, 64), -1000, np.float32), axial_affine((5, 3, 3), (3, 64, 64)))
    )
    answer = quiz.model_answer(models, replace(request, index=1))
    assert visited == [request.scan]
    assert (answer.bleeds, answer.types, bool(answer.region.any())) == (False, frozenset(), False)
    assert 0 <= answer.score < 0.5


def test_a_model_that_learned_from_these_patients_is_no_fair_opponent():
    class Known:
        card = {"folds": {"p0": 1, "p1": 0}, "held_out_fold": 0}  # noqa: RUF012

    models = Models(Known, Known)
    table = table_of_heads(heads=3)
    assert not quiz.is_fair(models, table)
    assert quiz.is_fair(models, table.take(table.rows(["p1", "p2"])))


# ---- results --------------------------------------------------------------------------------------------------------


def test_results_come_as_a_table_and_no_cell_is_a_formula():
    mine = [
        quiz.mark(
            question(1), quiz.student_answer(True, 0.8, ["subdural"], region(slice(4, 8), slice(0, 10))), seconds=4.4
        )
    ]
    its = [quiz.mark(question(1), quiz.student_answer(False, 0.75))]
    header, row = csv.reader(StringIO(quiz.to_csv("=HYPERLINK(1)", 7, mine, its)))
    assert header == list(COLUMNS)
    assert dict(zip(header, row, strict=True)) == {
        "student": "'=HYPERLINK(1)", "seed": "7", "case": "1", "truth": "blood", "true types": "subdural",
        "said": "blood", "sure": "0.8", "right": "yes", "types said": "subdural", "types right": "yes",
        "dice": "1.0", "seconds": "4", "model": "shipped", "model said": "no blood", "model score": "0.25",
        "model right": "no", "model types": "", "model dice": "0.0",
    }  # fmt: skip


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r", " ="])
def test_every_start_of_a_formula_is_quoted(start):
    assert quiz.escape_formula(f"{start}1") == f"'{start}1"
    assert quiz.escape_formula(f"a{start}1") == f"a{start}1"


def test_numbers_stay_numbers():
    assert quiz.escape_formula(-1) == -1
