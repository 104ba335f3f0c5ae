import json
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.evaluation import figures
from ich_lib.evaluation.compare import (
    AUC,
    CORRECT_CALLS,
    DICE,
    GROUP_MEASURES,
    RUN_MEASURES,
    SLICE_AUC,
    VOLUME,
    common_measures,
    compare_runs,
    group_runs,
    group_scans,
    groupings,
    is_simulated,
    number_patients,
    read_report,
)
from ich_lib.evaluation.slices import FILE, read_slices, write_slices
from ich_lib.measures.report import Report, Weights
from ich_lib.measures.statistics import t_test
from ich_lib.show.comparison import box_plot, confusion_plot, difference_plot
from tests.evaluation.test_evaluate import SCANS, scan
from tests.written import line, report, write_report

NAMES = [f"p{k:02}" for k in range(24)]


def two(gain=0.1, **second):
    """The second run is better by `gain` on every patient."""
    rng = np.random.default_rng(0)
    dice = dict(zip(NAMES, rng.uniform(0.1, 0.8, len(NAMES)).tolist(), strict=True))
    first = report([line(patient, dice=dice[patient], mask=13.0) for patient in NAMES])
    return first, report(
        [line(patient, dice=dice[patient] + gain, mask=11.0) for patient in reversed(NAMES)], sha="two", **second
    )


def test_a_gain_planted_in_every_patient_is_found_with_no_spread_at_all():
    """Dice itself varies by 0.7, so the two separate intervals overlap. The paired interval has no width."""
    result = compare_runs(*two(), DICE)
    assert (result.difference.value, result.difference.low, result.difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert result.second.low < result.first.high
    assert result.difference.n_patients == 24
    assert result.differences == pytest.approx([0.1] * 24)
    assert result.numbers == tuple(range(1, 25))
    assert result.sentence.startswith("The second run is better")
    assert result.warnings == ()


def test_less_error_in_ml_is_better():
    """The errors are 3 mL, then 1 mL, so the difference is -2."""
    result = compare_runs(*two(), VOLUME)
    assert result.difference.value == pytest.approx(-2)
    assert result.sentence.startswith("The second run is better")


def test_a_gain_of_some_and_a_loss_of_others_does_not_tell():
    first, second = two(0.0)
    lines = [replace(row, dice=row.dice + (0.1 if k % 2 else -0.1)) for k, row in enumerate(second.per_patient)]
    result = compare_runs(first, replace(second, per_patient=lines), DICE)
    assert result.difference.low < 0 < result.difference.high
    assert "do not show which" in result.sentence


def test_scan_auc_and_right_calls_are_paired_on_paper():
    """In the first run, the bleed with score 0.4 is below the clean scan with 0.6, so three of four pairs are in order;
    in the second run, all four."""
    blood = {"a": 1, "b": 1, "c": 0, "d": 0}
    built = lambda scores: report([line(w, blood=n, score=s) for (w, n), s in zip(blood.items(), scores, strict=True)])  # noqa: E731
    first, second = built([0.9, 0.4, 0.6, 0.1]), built([0.9, 0.7, 0.6, 0.1])
    result = compare_runs(first, second, AUC)
    assert (result.first.value, result.second.value) == (0.75, 1.0)
    assert len(result.differences) == 0
    result = compare_runs(first, second, CORRECT_CALLS)
    assert (result.first.value, result.second.value) == (0.5, 0.75)


def write_and_read_report(folder, judged, **more):
    """A report of some judged scans with its slices, written as by `evaluate` and read again."""
    path = write_report(folder, report([figures.scan_row(item) for item in judged], **more))
    write_slices(judged, folder / FILE)
    return read_report(path)


def test_slice_auc_is_paired_on_paper_and_the_slices_of_a_patient_go_together(tmp_path):
    """In SCANS, 8 of 9 pairs of slices are in order; with c at 0.1, all of them. A resample without a, or without b and
    c, gives another figure, so the interval has a width."""
    first = write_and_read_report(tmp_path / "first", SCANS)
    second = write_and_read_report(tmp_path / "second", [*SCANS[:2], scan("c", [0], [0.1])], sha="two")
    result = compare_runs(first, second, SLICE_AUC)
    assert result.first.value == pytest.approx(8 / 9)
    assert (result.second.value, result.difference.value) == (1.0, pytest.approx(1 / 9))
    assert result.difference.n_patients == 3
    assert result.difference.low == 0 < result.difference.high
    assert len(result.differences) == 0
    single = write_and_read_report(tmp_path / "alone", SCANS[:1])
    same = compare_runs(single, single, SLICE_AUC)  # each resample of one patient is that patient
    assert (same.first.low, same.first.high) == (1.0, 1.0)


def test_slices_that_are_missing_torn_leaky_or_of_another_evaluation_are_left_aside(tmp_path):
    full = write_and_read_report(tmp_path, SCANS)
    assert SLICE_AUC.name in common_measures(full, full)
    path = tmp_path / "report.json"
    lacks = lambda: SLICE_AUC.name not in common_measures(full, read_report(path))  # noqa: E731
    write_slices([scan(item.patient, [1, 0, 0, 0], [0.9, 0.1, 0.1, 0.1]) for item in SCANS], tmp_path / FILE)
    assert lacks()
    (tmp_path / FILE).write_text("patient,scan,bleeds,score\na,a,yes,1\n")
    assert lacks()
    with pytest.raises(ValueError, match=r"slices.csv is not a line a slice of patient, scan, place, bleeds, score\."):
        read_slices(tmp_path / FILE)
    (tmp_path / FILE).unlink()
    assert lacks()
    leaky = write_and_read_report(tmp_path / "leaky", SCANS, leaky=("leaky image",))
    assert SLICE_AUC.name not in common_measures(full, leaky)


def test_patients_of_one_report_only_are_left_out_and_counted():
    first, second = two()
    fewer = [row for row in second.per_patient if row.patient not in ("p00", "p07")]
    lines = [replace(row, dice=None) if k == 3 else row for k, row in enumerate(first.per_patient)]
    result = compare_runs(replace(first, per_patient=lines), replace(second, per_patient=fewer), DICE)
    assert (result.difference.n_patients, result.n_left_out) == (21, 3)
    assert 1 not in result.numbers
    assert result.warnings[-1].startswith("3 patients have a figure in one report only")


def test_doubts_are_told_with_the_figure():
    first, second = (
        replace(item, data="phantoms", models=(Weights("x", "same"),)) for item in two(leaky=("leaky image",))
    )
    first, second = (replace(item, per_patient=item.per_patient[k : k + 15]) for item, k in ((first, 0), (second, 9)))
    message = " ".join(compare_runs(first, second, DICE).warnings)
    for words in ("The second run was split", "synthetic heads", "the same weights", "fewer than 20"):
        assert words in message


def test_runs_that_cannot_be_paired_get_a_sentence_without_a_name():
    first, second = two()
    with pytest.raises(ValueError, match=r"judged on planted, the second on other\. A paired"):
        compare_runs(first, replace(second, data="other"), DICE)
    others = [replace(row, patient="x", scan="x") for row in second.per_patient[:1]]
    with pytest.raises(ValueError, match="judged on different patients"):
        common_measures(first, replace(second, per_patient=others))
    blind = replace(second, per_patient=[replace(row, dice=None, mask_ml=None) for row in second.per_patient])
    assert common_measures(first, blind) == [AUC.name, CORRECT_CALLS.name]
    with pytest.raises(ValueError, match="share no scan that has a figure for: Dice"):
        compare_runs(first, blind, DICE)
    assert common_measures(first, second) == [name for name in RUN_MEASURES if name != SLICE_AUC.name]


def test_one_class_alone_gives_no_auc_and_says_so():
    first, second = two()
    assert "not defined" in compare_runs(first, second, AUC).sentence


LINES = [
    line("a", dice=0.2, true=1.0, types=("epidural",), age=9.0, sex="F", fracture=True),
    line("b", dice=0.4, true=12.0, types=("epidural", "subdural"), age=50.0, sex="M", fracture=False, fold=1),
    line("b2", dice=0.6, true=300.0, types=("subdural",), age=70.0, sex="M", fracture=False, fold=1),
    line("c", dice=None, blood=0, score=0.3, age=20.0, sex="F", fracture=False),
]


def test_scans_fall_into_the_groups_they_belong_to():
    output = report(LINES)
    assert groupings(output) == ("type of bleed", "size of the bleed", "age", "sex", "fracture", "fold")
    values = lambda by, measure=DICE: {name: item.values for name, item in group_scans(output, by, measure).items()}  # noqa: E731
    assert values("type of bleed") == {"epidural": (0.2,), "several types": (0.4,), "subdural": (0.6,)}
    assert values("size of the bleed") == {"0 to 2 mL": (0.2,), "10 to 30 mL": (0.4,), "30 mL and more": (0.6,)}
    assert list(values("size of the bleed")) == ["0 to 2 mL", "10 to 30 mL", "30 mL and more"]
    assert values("age") == {"age 0 to 17": (0.2,), "age 45 to 64": (0.4,), "age 65 and more": (0.6,)}
    assert values("sex", GROUP_MEASURES["Score for any bleeding"]) == {"F": (0.9, 0.3), "M": (0.9, 0.9)}
    assert values("fracture") == {"fracture": (0.2,), "no fracture": (0.4, 0.6)}
    assert values("fold") == {"fold 0": (0.2,), "fold 1": (0.4, 0.6)}
    older = output.as_json()
    for row in older["per_patient"]:
        del row["facts"]
    assert groupings(Report.from_json(older)) == ("type of bleed", "size of the bleed", "fold")


def test_groups_named_by_numbers_stand_in_their_order():
    sizes = [line(name, true=ml) for name, ml in (("a", 15.0), ("b", 5.0), ("c", 1.0))]
    assert list(group_scans(report(sizes), "size of the bleed", DICE)) == ["0 to 2 mL", "2 to 10 mL", "10 to 30 mL"]


def test_a_report_tells_the_facts_that_groups_are_made_of():
    assert figures.scan_row(SCANS[0]).facts == {"age": 9}


def test_a_patient_in_two_runs_or_twice_in_a_group_is_seen_by_the_tests():
    first, second = two()
    combined = group_runs({"first": first, "second": second}, DICE)
    assert sorted(combined["first"].numbers) == sorted(combined["second"].numbers) == list(range(1, 25))
    result = t_test({n: g.values for n, g in combined.items()}, patients={n: g.numbers for n, g in combined.items()})
    assert "24 patients are in more than one group" in result.warnings[0]
    twice = report([line("a"), line("a", dice=0.1), line("b", dice=0.3)])
    assert group_scans(twice, "type of bleed", DICE)["epidural"].numbers == (1, 1, 2)
    elsewhere = group_runs({"first": first, "other": replace(second, data="phantoms")}, DICE)
    assert not set(elsewhere["first"].numbers) & set(elsewhere["other"].numbers)
    assert is_simulated(replace(second, data="phantoms"))
    assert not is_simulated(second)


def test_numbers_follow_names_and_no_name_is_needed():
    assert number_patients(report([line("z"), line("a"), line("m")])) == {"a": 1, "m": 2, "z": 3}


def test_what_is_no_report_is_refused(tmp_path):
    path = write_report(tmp_path, report(LINES))
    assert read_report(path).data == "planted"
    for text, words in (("{", "not a report.json"), ("[]", "a report of an"), ('{"data": 1}', "not a report of an")):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            read_report(path)
    path.write_text(json.dumps(report(LINES).as_json() | {"per_patient": [{"patient": "a"}]}))
    with pytest.raises(ValueError, match="not a report of an"):
        read_report(path)


def test_a_box_is_drawn_a_group_and_every_scan_is_a_point():
    axes = box_plot(group_scans(report(LINES), "fracture", DICE), DICE.name).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["fracture  (n = 1)", "no fracture  (n = 2)"]
    points = [group.get_offsets()[:, 0].tolist() for group in axes.collections]
    assert points == [[0.2], [0.4, 0.6]]
    assert axes.get_xlabel() == DICE.name


def test_the_gains_are_drawn_least_first_under_numbers():
    first, second = two()
    *others, last = second.per_patient  # the one of p00
    lines = [*others, replace(last, dice=last.dice - 0.5)]
    axes = difference_plot(compare_runs(first, replace(second, per_patient=lines), DICE)).axes[0]
    heights = [bar.get_height() for bar in axes.patches[:24]]
    assert heights[0] == pytest.approx(-0.4)
    assert heights[1:] == pytest.approx([0.1] * 23)
    assert axes.get_xticklabels()[0].get_text() == "1"


def test_the_confusion_matrix_has_truth_in_rows():
    texts = [text.get_text() for text in confusion_plot(report(LINES)).axes[0].texts]
    assert texts == ["3\n60% of the row", "2\n40% of the row", "1\n17% of the row", "5\n83% of the row"]
