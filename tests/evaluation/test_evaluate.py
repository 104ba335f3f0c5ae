import json
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.data.store import build_store
from ich_lib.evaluation import _judge_models, build_report, cross_fit, evaluate, figures
from ich_lib.evaluation.accuracy import accuracy_metrics
from ich_lib.evaluation.judged import JudgedScan, judge, judge_result
from ich_lib.evaluation.slices import FILE, read_slices, write_slices
from ich_lib.labels import ANY, LABELS
from ich_lib.measures import metrics
from ich_lib.measures.metrics import Counts, auc, dice
from ich_lib.measures.report import Weights
from ich_lib.models.recipe import Recipe
from ich_lib.models.run import FOLD
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.calibration import Evidence
from ich_lib.prediction.engine import Model, ModelOutput, Models
from ich_lib.scan import Scan, axial_affine
from tests.data.test_datasets import GOOD
from tests.planted import table_of_heads
from tests.sets import write_ct_ich


def scan(patient, truth, scores, *, true_px=None, mask_px=None, shared_px=None, fold=0, kind=0, **facts):
    """A judged scan with only the given values; its slices have 100 pixels of 1 mm3."""
    truth, count = np.array(truth, bool), len(truth)
    labels = np.zeros((count, 6), bool)
    labels[:, [kind, ANY]] = truth[:, None]
    pixels = [np.array(group if group is not None else [0] * count) for group in (true_px, mask_px, shared_px)]
    table = np.repeat(np.array(scores, float)[:, None], 6, axis=1)
    evidence = Evidence(np.array(scores, float), table)
    far = 5.0 if pixels[0].any() else None
    near = 0.5 if pixels[0].any() else None
    return JudgedScan(
        patient, patient, fold, facts, labels, np.ones(count, bool), 100, *pixels, evidence, table, table.max(axis=0),
        (1, 1, 1), far, near,
    )  # fmt: skip


# Dice is 0.5 and 1 in the bleeding slices of a, and 0 in that of b; c is clean, with 5 px marked in its one slice
SCANS = [
    scan("a", [1, 1, 0], [0.9, 0.8, 0.1], true_px=[20, 10, 0], mask_px=[20, 10, 0], shared_px=[10, 10, 0], age=9),
    scan("b", [1, 0], [0.3, 0.2], true_px=[40, 0], mask_px=[0, 4], shared_px=[0, 0], age=30, kind=4),
    scan("c", [0], [0.6], mask_px=[5], age=31),
]


def test_the_headline_on_paper():
    """Dice is (0.75 + 0) / 2. Of the slice pairs 6 of 9 are in order, of two scan pairs one. The errors are 0 and 36
    px."""
    result = figures.headline_metrics(SCANS)
    assert result["dice_per_subject"].value == pytest.approx(0.375)
    assert result["dice_per_subject"].n_patients == 2
    assert result["slice_auc_any"].value == pytest.approx((3 + 3 + 2) / 9)
    assert result["scan_auc_any"].value == pytest.approx(1 / 2)
    assert result["volume_mae_ml"].value == pytest.approx(0.036 / 2)
    assert result["ece"].value == pytest.approx((0.1 + 0.2 + 0.1 + 0.7 + 0.2 + 0.6) / 6)
    assert {name: item.n_patients for name, item in result.items()} == {
        "dice_per_subject": 2, "slice_auc_any": 3, "scan_auc_any": 3, "volume_mae_ml": 2, "ece": 3,
    }  # fmt: skip
    assert all(item.low <= item.value <= item.high for item in result.values())


def test_a_scan_of_uneven_slices_is_judged_by_its_slabs():
    """Blood is in slices 1 and 2. They are beside a gap, so each stands for 7.5 mm."""
    item = replace(SCANS[0], slabs=np.array([1, 1.5, 1.5]))
    assert item.true_ml == pytest.approx((20 + 1.5 * 10) / 1000)
    assert item.mask_ml == pytest.approx((20 + 1.5 * 10) / 1000)
    assert item.take_slices(np.array([False, True, True])).true_ml == pytest.approx(0.015)
    blood = np.zeros((4, 8, 8), bool)
    blood[1:3, 2:5, 2:5] = True
    head = Scan(
        np.zeros(blood.shape, np.float32), axial_affine((5, 1, 1), blood.shape), places=np.array([0, 1, 3, 4.0])
    )
    evidence = Evidence(np.zeros(4), np.zeros((4, 6)))
    zeros, heat = np.zeros((4, 6)), np.zeros(blood.shape, np.float16)
    analyzed = Result(head, blood.astype(np.float16), 0.5, evidence, zeros, zeros[0], 0.5, True, heat, (), ())
    judged = judge_result(analyzed, blood, zeros > 0, patient="p", name="s")
    assert judged.true_ml == judged.mask_ml == pytest.approx(2 * 9 * 7.5 / 1000)
    assert judged.soft_ml == pytest.approx(judged.mask_ml)
    assert (
        judged.true_abc2_ml
        == judged.abc2_ml
        > 1.4
        * judge_result(
            replace(analyzed, scan=replace(head, places=None)), blood, zeros > 0, patient="p", name="s"
        ).abc2_ml
    )
    shifted = judge_result(analyzed, np.roll(blood, 1, axis=0), zeros > 0, patient="p", name="s")
    assert shifted.hd95_mm == 7.5  # the slab that one has and the other lacks


def test_every_definition_of_overlap_on_paper():
    """Six slices: Dice 0.5, 1, 1 (two empty masks), 0, 0, 0; IoU 1/3, 1, 1, 0, 0, 0."""
    result = figures.mask_metrics(SCANS)
    assert result.dice_per_bleeding_slice.value == pytest.approx((0.5 + 1 + 0) / 3)
    assert result.dice_all_slices.value == pytest.approx(2.5 / 6)
    assert result.dice_per_scan.value == pytest.approx((2 * 20 / 60 + 0) / 2)
    assert result.iou_per_bleeding_slice.value == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert result.hd95_mm_median.value == 5
    assert result.hd95_infinite == 0
    missed = replace(SCANS[1], hd95_mm=float("inf"))
    assert figures.mask_metrics([SCANS[0], missed]).hd95_infinite == 1


def test_calls_at_a_threshold_and_a_prevalence_on_paper():
    """At threshold 0.5 the slices a1, a2 and c are called, and b1 is missed. Of the scans a and c are called, b is
    missed."""
    result = figures.call_metrics(SCANS, of="slices", threshold=0.5, prevalence=0.5)
    assert result.counts == Counts(tp=2, fp=1, tn=2, fn=1)
    assert (result.n, result.bleeding) == (6, 3)
    assert result.sensitivity.value == pytest.approx(2 / 3)
    assert result.specificity.value == pytest.approx(2 / 3)
    assert result.ppv.value == pytest.approx(2 / 3)
    assert result.npv.value == pytest.approx(2 / 3)
    rare = figures.call_metrics(SCANS, of="slices", threshold=0.5, prevalence=0.1)
    assert rare.ppv.value == pytest.approx((2 / 3 * 0.1) / (2 / 3 * 0.1 + 1 / 3 * 0.9))
    full = figures.call_metrics(SCANS, of="scans", threshold=0.5, prevalence=0.5)
    assert full.counts == Counts(tp=1, fp=1, tn=0, fn=1)
    assert result.roc[0] == (0, 0)
    assert result.roc[-1] == (1, 1)
    assert sum(row.n for row in result.reliability) == 6


def test_types_sizes_groups_and_clean_scans_count_their_patients():
    result = figures.type_metrics(SCANS, LABELS)
    assert (result["epidural"].patients, result["epidural"].slices) == (1, 2)
    assert result["epidural"].dice.value == pytest.approx(0.75)
    assert (result["subdural"].patients, result["subdural"].dice.value) == (1, 0)
    assert np.isnan(result["subarachnoid"].dice.value)
    assert list(figures.metrics_by_size(SCANS)) == ["0 to 2 mL"]
    groups = figures.metrics_by_group(SCANS)
    assert {name: item.patients for name, item in groups.items()} == {"age 0 to 17": 1, "age 18 to 44": 2}
    clean = figures.clean_scan_metrics(SCANS, threshold=0.5)
    assert (clean.n, clean.share_called.value, clean.slices_called) == (1, 1.0, 1)
    assert clean.most_ml_marked == pytest.approx(0.005)


def test_the_worst_cases_come_in_order_of_harm():
    """The list starts with a missed bleed, then a false alarm. a is called, and its mask is good enough to be left
    out."""
    assert [(item.line.patient, item.error) for item in figures.worst_scans(SCANS, threshold=0.5)] == [
        ("b", "bleeds, but was not called"),
        ("c", "does not bleed, but was called"),
    ]


def test_two_scans_of_a_patient_go_together():
    """Scans are resampled by patient. With one patient every resample is the same, so the interval has no width."""
    twice = [replace(SCANS[0], scan="1"), replace(SCANS[0], scan="2", shared_px=np.array([0, 0, 0]))]
    result = figures.headline_metrics(twice)["dice_per_subject"]
    assert (result.value, result.low, result.high, result.n_patients) == (0.375, 0.375, 0.375, 1)


def test_a_fold_is_calibrated_on_the_other_folds_alone():
    """A change of the truth of fold 0 changes the scores of fold 1, and none of fold 0."""
    rng = np.random.default_rng(0)
    group = []
    for i in range(40):
        truth = rng.random(10) < 0.3
        group.append(scan(f"p{i}", truth, np.clip(0.3 * truth + rng.random(10) * 0.6, 0, 1), fold=i % 2))
    wrong = [replace(item, labels=~item.labels) if item.fold == 0 else item for item in group]
    before, after = cross_fit(group), cross_fit(wrong)
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a.scores, b.scores) is (a.fold == 0)


class Disk:
    """A model that finds the 70 HU disk of `table_of_heads` by its brightness."""

    recipe = Recipe("planted", "both", "unet2d", size=96, field="slice", neighbors=0, windows=("brain",))

    @classmethod
    def models(cls, **card):
        def answer(pictures):
            blood = ((pictures[..., 0] > 0.8) & (pictures[..., 0] < 1)).astype(np.float32)
            score = np.repeat(blood.max(axis=(1, 2))[:, None], 6, axis=1)
            return ModelOutput(blood, score, np.repeat(blood[..., None], 6, axis=-1))

        model = Model("planted", cls.recipe, "0" * 64, answer, {"held_out_fold": 0, "folds": {}, **card})
        return Models(model, model)


def test_a_scan_is_judged_against_its_outline_pixel_by_pixel():
    table = table_of_heads()
    rows = table.rows(["p0"])
    item = judge(table, rows, Disk.models())
    truth = np.stack([table.truth(r) for r in rows])
    assert item.true_px.tolist() == truth.sum(axis=(1, 2)).tolist()
    assert item.subject_dice > 0.9
    assert item.facts == {"age": 20.0}
    assert item.surface_dice > 0.9
    assert item.true_ml == pytest.approx(truth.sum() * 5 * (230 / 96) ** 2 / 1000)
    result = [k for k in range(6) if item.slice_dice[k] == pytest.approx(dice(truth[k], truth[k]))]
    assert set(result) >= {0, 1, 4, 5}


def test_only_patients_never_trained_on_are_judged():
    table = table_of_heads()
    folds = {f"p{i}": i % 2 for i in range(8)}
    assert {item.patient for item in _judge_models(Disk.models(folds=folds), "run", table, None)} == {
        "p0",
        "p2",
        "p4",
        "p6",
    }
    with pytest.raises(ValueError, match="trained on the patients of fold 1; only fold 0 was held out"):
        _judge_models(Disk.models(folds=folds), "run", table, 1)
    with pytest.raises(ValueError, match=r"trained on every patient of this data.*figures stand on its card"):
        _judge_models(Disk.models(folds=folds, held_out_fold=None), "run", table, None)
    strangers = _judge_models(Disk.models(folds={"other": 0}, held_out_fold=None), "run", table, None)
    assert len(strangers) == 8


def test_models_trained_on_different_patients_are_refused():
    first, second = (Disk.models(folds={"p0": fold}).segmenter for fold in (0, 1))
    with pytest.raises(ValueError, match="trained on different patients"):
        _judge_models(Models(first, second), "run", table_of_heads(), None)


def test_after_a_leaky_split_only_slices_held_out_are_judged():
    table = table_of_heads()
    folds = {name: int(name.endswith(("/1", "/2", "/5", "/6"))) for name in table.names}  # slices 3 and 4 held out
    scans = _judge_models(Disk.models(folds=folds, split="leaky image"), "run", table, None)
    assert {item.patient for item in scans} == set(table.patients)
    assert {len(item.labels) for item in scans} == {2}
    assert scans[0].bleeding.tolist() == [True, True]
    folds = {
        name: int(not name.endswith("/1")) for name in table.names
    }  # of p0, which bleeds, one clean slice is held out
    clean = _judge_models(Disk.models(folds=folds, split="leaky image"), "run", table, None)[0]
    assert not clean.labels.any()
    assert clean.scan_scores[ANY] == 0  # although the whole scan scores 1


def test_a_report_is_plain_json_and_a_page_that_names_what_it_shows(tmp_path):
    from ich_lib.evaluation.page import write_page

    table = table_of_heads()
    scans = _judge_models(Disk.models(folds={"other": 1}), "run", table, None)
    report = build_report(scans, table, [Disk.models()], folds=(0,), calibrated="not", prevalence=0.1)
    report = replace(report, models=(Weights("<b>planted</b>", "0"),))
    assert report.dice_per_subject.value > 0.9
    assert report.slice_auc_any.value == 1
    assert json.loads(json.dumps(report.as_json(), allow_nan=False)) == report.as_json()
    write_page(report, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Dice per subject" in page
    assert "Not a medical device" in page
    assert "<b>planted" not in page
    assert "data:image/png;base64," in page


def close_scores(seed=3):
    """Twelve scans of eight slices. Their scores are around the threshold and differ by 1e-7, in an order that is
    independent of the truth."""
    rng = np.random.default_rng(seed)
    scores = 0.5 + 1e-7 * rng.permutation(np.arange(-48, 48)).reshape(12, 8)
    true_px, mask_px = rng.integers(1, 30, (2, 12, 8))
    truth = rng.random((12, 8)) < 0.4
    truth[::3] = False
    shared_px = np.minimum(true_px, mask_px) // 2
    pixels = np.stack([true_px * truth, mask_px, shared_px * truth], axis=1)
    names = ("true_px", "mask_px", "shared_px")
    return [scan(f"p{i}", truth[i], scores[i], **dict(zip(names, pixels[i], strict=True))) for i in range(12)]


def again(truth, score, threshold):
    """The pooled figures of some truths and scores."""
    called = score >= threshold
    return {
        "auc": metrics.auc(truth, score),
        "average_precision": metrics.average_precision(truth, score),
        "log_loss": metrics.log_loss(truth, score),
        "ece": metrics.calibration_error(truth, score),
        "sensitivity": metrics.sensitivity(truth, called),
        "specificity": metrics.specificity(truth, called),
    }


def close_report(folder):
    """The report of `close_scores` after reading it again, and (truth, score) of its slices from the table beside
    it."""
    scans = close_scores()
    write_slices(scans, folder / FILE)
    report = build_report(scans, table_of_heads(), [Disk.models()], folds=(0,), calibrated="not", prevalence=0.1)
    slices = [np.concatenate(group) for group in zip(*read_slices(folder / FILE).values(), strict=True)]
    assert slices[1].tolist() == np.concatenate([item.scores[:, ANY] for item in scans]).tolist()
    return json.loads(json.dumps(report.as_json())), slices


def test_every_pooled_figure_of_a_report_can_be_computed_again_from_the_tables_beside_it(tmp_path):
    """The scores differ by 1e-7 around the threshold. With six decimals they would tie and change sides."""
    report, slices = close_report(tmp_path)
    rows = report["per_patient"]
    bleeding, score = (np.array([row[key] for row in rows]) for key in ("slices_with_blood", "scan_any"))
    for output, pooled in ((report["slices"], slices), (report["whole_scans"], (bleeding > 0, score))):
        for name, value in again(*pooled, output["threshold"]).items():
            assert output[name]["value"] == pytest.approx(value, abs=1e-12), name
        assert output["counts"] == vars(metrics.count(pooled[0], pooled[1] >= output["threshold"]))
        roc = np.array(output["roc"])
        assert np.trapezoid(roc[:, 1], roc[:, 0]) == pytest.approx(output["auc"]["value"], abs=1e-12)
    wrong = (score >= report["score_threshold"]) != (bleeding > 0)
    assert report["abstention"]["wrong"] == wrong.sum()
    assert report["abstention"]["curve"][-1] == [1, wrong.mean()]


def test_dice_and_volumes_of_a_report_can_be_computed_again_from_its_lines(tmp_path):
    report, _ = close_report(tmp_path)
    rows = [row for row in report["per_patient"] if row["dice"] is not None]
    assert report["dice_per_subject"]["value"] == pytest.approx(np.mean([row["dice"] for row in rows]), abs=1e-12)
    apart = np.array([row["mask_ml"] - row["true_ml"] for row in rows])
    assert report["volume_mae_ml"]["value"] == pytest.approx(np.abs(apart).mean(), abs=1e-12)
    true, marked = np.array(report["volume"]["pairs_ml"]).T
    assert report["volume"]["bias_ml"]["value"] == pytest.approx((marked - true).mean(), abs=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("task", ["segment", "classify", "both"])
def test_a_run_of_any_task_is_judged_whole(tiny_runs, tmp_path, task):
    """The model was trained on phantoms, so no patient of this set is in its training set."""
    data = write_ct_ich(tmp_path / "set", GOOD)
    report = evaluate(tiny_runs[task].folder, data, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report.as_json()
    assert (tmp_path / "out" / "report.html").is_file()
    assert report.patients == ("049", "050")
    truth, score = (np.concatenate(group) for group in zip(*read_slices(tmp_path / "out" / FILE).values(), strict=True))
    assert (len(truth), truth.sum()) == (report.slices.n, report.slices.bleeding)
    assert auc(truth, score) == pytest.approx(report.slice_auc_any.value)
    assert bool(np.isnan(report.dice_per_subject.value)) is (task == "classify")
    assert report.calibrated == "not"


def test_a_prevalence_of_nothing_is_refused(tiny_runs, tmp_path):
    with pytest.raises(ValueError, match="prevalence must lie between 0 and 1; got 0"):
        evaluate(tiny_runs["both"].folder, tmp_path, tmp_path, prevalence=0)


def test_the_shipped_model_states_its_cross_validated_figures(models):
    """The model's card holds the figures of the folds, each with interval and patients, and the calibration of the
    folds."""
    for model in models:
        card = model.card["figures"]
        for key in ("dice_per_subject", "slice_auc_any", "scan_auc_any", "volume_mae_ml", "ece"):
            assert card[key]["low"] < card[key]["high"]
            assert card[key]["value"] <= card[key]["high"]
            assert key == "ece" or card[key]["low"] <= card[key]["value"]  # resampling can only add to a gap
            assert card[key]["n_patients"] >= 29
        assert card["dice_per_subject"]["value"] > 0.31
        assert card["slice_auc_any"]["value"] > 0.85
    assert models.calibration is not None


def test_the_folder_of_a_cross_validation_is_known_by_its_folds(tmp_path):
    from ich_lib.models.run import fold_runs

    for name in (f"{FOLD}1", f"{FOLD}0", f"{FOLD}none", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.json").write_text("{}")
    (tmp_path / f"{FOLD}2").mkdir()
    assert [run.name for run in fold_runs(tmp_path)] == ["fold-0", "fold-1"]


def test_a_store_of_whole_slices_is_judged_as_its_folder_would_be(tiny_runs, tmp_path):
    """Heads that were cropped have lost their scale and are refused."""
    full = build_store(table_of_heads(), tmp_path / "whole.slices", size=96, field="slice")
    report = evaluate(tiny_runs["both"].folder, full.path, tmp_path / "out")
    assert report.patients == tuple(f"p{i}" for i in range(8))
    assert report.slices.bleeding == 8
    cut = build_store(table_of_heads(), tmp_path / "cut.slices", size=64)
    with pytest.raises(ValueError, match=r"cut.slices holds cropped heads.*--field slice"):
        evaluate(tiny_runs["both"].folder, cut.path, tmp_path / "out")


def test_what_height_alone_reaches_stands_beside_every_auc_of_slices():
    """Twelve heads bleed in their middle slice. Height alone tells which slices bleed, also if only a part of a head is
    judged."""
    middle = [int(k == 4) for k in range(9)]
    heads = [scan(f"p{k}", middle, [0.5] * 9) for k in range(12)]
    calls = figures.call_metrics(heads, of="slices", threshold=0.5, prevalence=0.1)
    assert calls.auc.value == 0.5
    assert calls.height_auc.value == 1
    assert calls.height_auc.n_patients == 12
    assert figures.type_metrics(heads, ["epidural"])["epidural"].height_auc is not None
    assert figures.call_metrics(heads, of="scans", threshold=0.5, prevalence=0.1).height_auc is None
    assert figures.height_auc(heads[:1]) is None
    upper = [head.take_slices(np.arange(9) >= 3) for head in heads]
    assert upper[0].heights.tolist() == pytest.approx([k / 8 for k in range(3, 9)])


def test_what_the_largest_bright_blob_reaches_stands_beside_the_models_figures():
    """Dice is 0.5 on the one bleeding slice of a and 0 on that of b. Of two bleeding and two clean slices, 3 pairs are
    in order. Two neighbors of a hold 24 px, the one slice of c 16, those of b 8."""
    heads = [
        replace(SCANS[0].take_slices(np.array([0, 2])), blob_px=np.array([20, 4]), blob_shared_px=np.array([10, 0])),
        replace(SCANS[1], blob_px=np.array([8, 0]), blob_shared_px=np.array([0, 0])),
        replace(SCANS[2], blob_px=np.array([16]), blob_shared_px=np.array([0])),
    ]
    assert figures.mask_metrics(heads).blob_dice.value == pytest.approx((0.5 + 0) / 2)
    slices, scans = (
        figures.call_metrics(heads, of=of, threshold=0.5, prevalence=0.1).blob_auc for of in ("slices", "scans")
    )
    assert slices.value == pytest.approx((3 + 2) / 6)  # 20 beats 4, 0 and 16; 8 beats 4 and 0
    assert scans.value == pytest.approx(1 / 2)  # 24 beats 16, 8 does not
    assert figures.mask_metrics(SCANS).blob_dice is None
    assert figures.call_metrics(SCANS, of="slices", threshold=0.5, prevalence=0.1).blob_auc is None
    part = heads[0].take_slices(np.array([True, False]))
    assert (part.blob_px.tolist(), part.blob_shared_px.tolist()) == ([20], [10])


def test_figures_that_flatter_stand_beside_those_of_empty_masks_on_paper():
    """Six slices of 100 px. Three hold 20, 10 and 40 px of blood. 20, 10, 0, 0, 4 and 5 px are marked, 10 and 10 of
    them correctly."""
    masks = figures.mask_metrics(SCANS)
    marked, empty = masks.as_published, masks.of_empty_masks
    assert marked.pixel_accuracy.value == pytest.approx((0.8 + 1 + 1 + 0.6 + 0.96 + 0.95) / 6)
    assert empty.pixel_accuracy.value == pytest.approx((0.8 + 0.9 + 1 + 0.6 + 1 + 1) / 6)
    background = [70 / 90, 1, 1, 60 / 100, 96 / 100, 95 / 100]
    assert marked.iou_with_background.value == pytest.approx((sum(background) + 1 / 3 + 1 + 1) / 12)
    assert empty.iou_with_background.value == pytest.approx((0.8 + 0.9 + 1 + 0.6 + 1 + 1 + 3) / 12)
    assert marked.dice_half_empty.value == pytest.approx(((0.5 + 1 + 0) / 3 + 1 / 3) / 2)
    assert empty.dice_half_empty.value == 0.5


def test_accuracy_stands_beside_that_of_never_calling_anything_on_paper():
    """At threshold 0.5, b1 and c1 of six slices are wrong, and three slices bleed. All six label scores are equal. So a
    called slice is wrong in four of six cells if it bleeds and in all six if not; a slice that is not called is wrong
    in two cells or in none."""
    result = accuracy_metrics(SCANS, LABELS, threshold=0.5)
    assert result.slices.value == pytest.approx(4 / 6)
    assert result.slices_all_clean.value == pytest.approx(3 / 6)
    assert result.cells.value == pytest.approx(1 - (4 + 4 + 0 + 2 + 0 + 6) / 36)
    assert result.cells_all_clean.value == pytest.approx(1 - 6 / 36)
    only_any = accuracy_metrics(SCANS, ["any"], threshold=0.5)
    assert only_any.cells.value == only_any.slices.value


def test_the_type_is_judged_on_slices_with_exactly_one_beside_the_most_common_type_on_paper():
    """Four slices show one type (three subdural, one epidural), one shows both, and one is clean. Two of the four are
    right; the answer "subdural" is right in three."""
    heads = [scan("a", [1, 1, 1], [0.1] * 3, kind=4), scan("b", [1, 1, 0], [0.1] * 3, kind=0)]
    heads[1].labels[1, 4] = True  # both
    heads[0].scores[:2, 4] = 0.3  # right, where no score reaches a threshold
    heads[0].scores[2, 1] = 0.3
    heads[1].scores[0, 2] = 0.3
    result = accuracy_metrics(heads, LABELS, threshold=0.5)
    assert result.types.value == pytest.approx(2 / 4)
    assert result.types_most_common.value == pytest.approx(3 / 4)
    clean = accuracy_metrics([scan("a", [0, 0], [0.1] * 2)], LABELS, threshold=0.5)
    assert np.isnan(clean.types.value)
