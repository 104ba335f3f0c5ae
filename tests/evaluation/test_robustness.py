"""Models judged on corrupted scans: losses that can be computed on paper, saved results, the command."""

import json

import numpy as np
import pytest

import ich_lib.evaluation.robustness as rob
from ich_lib.__main__ import main
from ich_lib.evaluation import judge, judge_scan, table_scan, table_truth
from ich_lib.evaluation.robustness_page import corruption_examples, format_change, write_robustness_page
from ich_lib.evaluation.robustness_summary import is_failing, summary_sentence
from ich_lib.models.recipe import Recipe
from ich_lib.phantoms import from_shares
from ich_lib.prediction.engine import Model, ModelOutput, Models, load
from ich_lib.prepare.corruptions import CORRUPTIONS, SEVERITIES
from ich_lib.scan import Scan, axial_affine
from ich_lib.show.robustness import examples, robustness_plot
from tests.planted import table_of_heads

SIDE = 64
NAMES = ("level", "width")


def threshold_models(*, sha256="0" * 64, segments=True, **card):
    """A "network" that calls voxels between 63.2 and 80 HU blood, and scores 1 if there are any."""
    recipe = Recipe("threshold", "both", "unet2d", size=SIDE, field="slice", neighbors=0, windows=("brain",))

    def answer(pictures):
        blood = ((pictures[..., 0] > 0.79) & (pictures[..., 0] < 1)).astype(np.float32)
        score = np.repeat(blood.max(axis=(1, 2))[:, None], 6, axis=1)
        return ModelOutput(blood, score, np.repeat(blood[..., None], 6, axis=-1))

    model = Model("threshold", recipe, sha256, answer, {"held_out_fold": 0, "folds": {}, **card})
    return Models(model if segments else None, model)


def square_head(seed, *, bleeds=(), slices=4, pixels=SIDE):
    """A head of 30 HU in a skull of 900; its bleed is a square of 10 x 10 px and 70 HU in slices 1 and 2."""
    hu = np.full((slices, pixels, pixels), -1000, np.float32)
    hu[:, 4:-4, 4:-4] = 900
    hu[:, 8:-8, 8:-8] = 30
    share = np.zeros_like(hu)
    share[1:3, 20:30, 20:30] = 1
    if bleeds:
        hu[share > 0] = 70
    return from_shares(Scan(hu, axial_affine((5, 2, 2), hu.shape)), dict.fromkeys(bleeds, share), seed)


@pytest.fixture
def paper(monkeypatch):
    """Synthetic heads replace the phantoms, and a threshold replaces that of the shipped model."""
    monkeypatch.setattr(rob, "phantom", square_head)
    monkeypatch.setattr(rob, "load", lambda *_, **__: threshold_models())
    monkeypatch.setattr(rob, "SLICES", 4)
    monkeypatch.setattr(rob, "PIXELS", SIDE)
    monkeypatch.setattr(rob, "ROUNDS", 20)


def test_a_threshold_at_63_hu_loses_what_the_paper_says(paper, tmp_path):
    """Blood has 70 HU. A shift of 3 or 6 leaves it between 63.2 and 80 HU. A shift of 10, up or down, does not, and
    Dice (1 to 0), half of the AUC (all scores tie), every call, and 200 voxels of 20 mm3 (4 mL) are lost. A window of
    100 instead of 80 makes 64 of 70; one of 120 makes 60."""
    report = rob.robustness(rob.plan(limit=3, only=NAMES), tmp_path)
    assert (report["scans"], report["bleeding"], report["readings"]) == (3, 2, 33)
    assert {name: figure["value"] for name, figure in report["clean"].items()} == {
        "dice_per_subject": 1, "slice_auc_any": 1, "scan_sensitivity": 1, "scan_specificity": 1, "volume_mae_ml": 0,
    }  # fmt: skip
    lost = {"dice_per_subject": -1, "slice_auc_any": -0.5, "scan_sensitivity": -1, "scan_specificity": 0}
    lost["volume_mae_ml"] = pytest.approx(4)
    heads = dict.fromkeys(lost, 2) | {"slice_auc_any": 3, "scan_specificity": 1}
    for name in NAMES:
        rows = report["corruptions"][name]["severities"]
        assert [row["strength"] for row in rows] == list(CORRUPTIONS[name].strengths)
        for row in rows:
            for key, change in lost.items():
                expected = change if row["severity"] >= 3 else 0
                result = row[key]["change"]
                assert (result["value"], result["low"], result["high"]) == (expected,) * 3
                assert result["n_patients"] == heads[key]
                assert row[key]["value"] == pytest.approx(report["clean"][key]["value"] + result["value"])
    assert report["not_believed_from"] == {"level": 3, "width": 3}
    assert summary_sentence(report) == (
        "On 3 scans (phantoms, 4 slices of 64 px) nobody should believe threshold from here on: level (10 HU), width "
        "(120 HU wide); there more than 0.1 of Dice, slice AUC, sensitivity or specificity is lost."
    )


def test_the_report_is_plain_json_and_the_page_says_it_in_a_sentence_first(paper, monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(rob, "load", lambda *_, **__: threshold_models())
    monkeypatch.setattr(rob, "phantom", square_head)
    monkeypatch.setattr("ich_lib.evaluation.robustness_page.example_exam", lambda: square_head(0, bleeds=["epidural"]))
    for name, value in (("SLICES", 4), ("PIXELS", SIDE), ("ROUNDS", 20)):
        monkeypatch.setattr(rob, name, value)
    report = rob.robustness(rob.plan(limit=2, only=["width"]), tmp_path)
    assert json.loads((tmp_path / "robustness.json").read_text()) == report
    assert {"data", "models", "patients", "seed", "calibrated", "score_threshold", "notice"} <= set(report)
    assert set(report["corruptions"]["width"]) == {"unit", "imitates", "severities"}
    write_robustness_page(report, tmp_path / "robustness.html")
    page = (tmp_path / "robustness.html").read_text()
    message = page[page.index("<p>") :]
    assert message.startswith("<p><strong>On 2 scans (phantoms, 4 slices of 64 px) nobody should believe threshold")
    assert "Not a medical device" in page
    assert page.count("data:image/png;base64,") == 2
    assert "−1.00<br>(−1.00 to −1.00)" in page
    assert page.count("class=lost") == 9  # Dice, slice AUC and sensitivity from severity 3 on


def test_models_that_draw_no_mask_are_judged_by_their_scores(paper, monkeypatch, tmp_path):
    monkeypatch.setattr(rob, "load", lambda *_, **__: threshold_models(segments=False))
    report = rob.robustness(rob.plan(limit=3, only=["width"]), tmp_path)
    assert report["clean"]["dice_per_subject"]["value"] is None
    last = report["corruptions"]["width"]["severities"][-1]
    assert last["dice_per_subject"]["change"]["value"] is None
    assert last["slice_auc_any"]["change"]["value"] == -0.5
    assert len(robustness_plot(report).axes) == 1


def test_a_stopped_reading_goes_on_where_it_was(paper, monkeypatch, tmp_path):
    """Two scans: 2 readings of the clean scans, 10 of each corruption. After a stop in the second corruption, only that
    one is repeated."""
    planned, read, real = rob.plan(limit=2, only=NAMES), [], rob.outcome

    def counted(exam, candidate):
        read.append(exam.scan.notes)
        if len(read) == 15:
            raise KeyboardInterrupt
        return real(exam, candidate)

    monkeypatch.setattr(rob, "outcome", counted)
    with pytest.raises(KeyboardInterrupt):
        rob.robustness(planned, tmp_path)
    assert sorted(path.name for path in (tmp_path / rob.PROGRESS_FOLDER).iterdir()) == ["clean.json", "level.json"]
    read.clear()
    monkeypatch.setattr(rob, "outcome", lambda exam, candidate: read.append(exam.scan.notes) or real(exam, candidate))
    report = rob.robustness(planned, tmp_path)
    assert len(read) == 10
    assert all("width" in notes[0] for notes in read)
    read.clear()
    assert rob.robustness(planned, tmp_path) == report
    assert read == []


def test_what_other_models_left_is_not_taken_for_these(paper, monkeypatch, tmp_path):
    rob.robustness(rob.plan(limit=2, only=["width"]), tmp_path)
    with pytest.raises(ValueError, match="results of other models, scans, seed or version"):
        rob.robustness(rob.plan(limit=3, only=["width"]), tmp_path)
    monkeypatch.setattr(rob, "load", lambda *_, **__: threshold_models(sha256="1" * 64))
    with pytest.raises(ValueError, match="Choose another folder, or remove it"):
        rob.robustness(rob.plan(limit=2, only=["width"]), tmp_path)


def test_phantoms_take_turns_and_every_third_is_clean(paper, monkeypatch):
    monkeypatch.setattr(rob, "phantom", lambda seed, bleeds, **_: square_head(seed, bleeds=bleeds))
    exams = [item.open() for item in rob.plan().candidates]
    assert [exam.labels.any(axis=0)[:5].tolist().index(True) if exam.truth.any() else None for exam in exams] == [
        0, None, 1, 2, None, 3, 4, None,
    ]  # fmt: skip
    assert rob.plan().candidates[0].open() is not exams[0]
    assert (first := rob.plan().candidates[0]).open() is first.open()


def outcome(patient, dice, *, truth=(True, False), scores=(0.9, 0.1), ml=(2.0, 1.0)):
    return rob.Outcome(patient, patient, np.array(truth), np.array(scores), max(scores), dice, *ml)


def test_changes_are_paired_and_scans_of_a_patient_go_together():
    """Dice 0.9 and 0.5 of two patients both fall by 0.2: the values differ, but the change has no width. A scan whose
    truth disappeared in thick slices is left out on both sides. Otherwise the clean side would keep its 0.1, and the
    change would be wrong."""
    clean = [outcome("a", 0.9), outcome("b", 0.5), outcome("b", 0.5), outcome("c", 0.1), outcome("d", None)]
    degraded = [outcome("a", 0.7), outcome("b", 0.3), outcome("b", 0.3), outcome("c", None), outcome("d", 0.2)]
    result = rob.compare_outcomes(clean, degraded, *rob.figures_by_name(0.5)["dice_per_subject"])
    assert result["value"] == pytest.approx((0.7 + 0.3 + 0.3) / 3)
    change = result["change"]
    assert (change["value"], change["low"], change["high"]) == pytest.approx((-0.2, -0.2, -0.2))
    assert change["n_patients"] == 2


def test_calls_and_volumes_on_paper():
    """Bleeding slices score 0.9 and 0.4; clean ones 0.1, 0.6, 0.9 and 0.1: 3.5 and 2 of 4 pairs in order."""
    figures = rob.figures_by_name(0.5)
    group = [outcome("a", 1.0), outcome("b", 1.0, scores=(0.4, 0.6)), outcome("c", None, truth=(False, False))]
    value = {name: statistic([item for item in group if counts(item)]) for name, (statistic, counts) in figures.items()}
    assert value == {
        "dice_per_subject": 1,
        "slice_auc_any": (3.5 + 2) / 8,
        "scan_sensitivity": 1,
        "scan_specificity": 0,
        "volume_mae_ml": 1,
    }


def test_a_loss_needs_its_size_and_an_interval_below_zero():
    def change(value, high):
        return {"value": value, "low": -1, "high": high, "n_patients": 8}

    assert is_failing(change(-0.2, -0.01))
    assert not is_failing(change(-0.2, 0.01))
    assert not is_failing(change(-0.05, -0.01))
    assert format_change(change(-0.2, -0.001)) == "−0.20 (−1.00 to 0.00)"
    assert not is_failing({"value": None, "low": None, "high": None, "n_patients": 0})


def test_chosen_patients_keep_the_share_that_bleeds():
    bleeds = {f"p{i:02}": i < 10 for i in range(40)}
    eight = rob.draw_patients(bleeds, 8)
    assert [bleeds[patient] for patient in eight].count(True) == 2
    assert len(set(eight)) == 8
    assert eight == rob.draw_patients(bleeds, 8)
    assert eight != rob.draw_patients(bleeds, 8, seed=1)
    assert rob.draw_patients(bleeds, 40) == sorted(bleeds)
    rare = {f"p{i}": i == 0 for i in range(40)}
    assert "p0" in rob.draw_patients(rare, 2)


def test_of_a_data_set_only_patients_never_seen_are_read(paper, monkeypatch):
    """Of p0 to p7 the even ones were held out, and all of them bleed."""
    table = table_of_heads(side=SIDE)
    monkeypatch.setattr(rob, "open_table", lambda data: table)
    folds = {f"p{i}": i % 2 for i in range(8)}
    monkeypatch.setattr(rob, "load", lambda *_, **__: threshold_models(folds=folds))
    planned = rob.plan("run", data="set")
    assert [item.patient for item in planned.candidates] == ["p0", "p2", "p4", "p6"]
    exam = planned.candidates[1].open()
    assert np.array_equal(exam.truth[2], table.truth(table.rows(["p2"])[2]))
    assert len(rob.plan("run", data="set", limit=3).candidates) == 3
    leaky = threshold_models(folds={name: 0 for name in table.names}, split="leaky image")
    monkeypatch.setattr(rob, "load", lambda *_, **__: leaky)
    with pytest.raises(ValueError, match="run was trained after a leaky image split and has seen every patient"):
        rob.plan("run", data="set")


def test_each_fold_of_a_cross_validation_reads_its_own_patients(paper, monkeypatch, tmp_path):
    table = table_of_heads(side=SIDE)
    monkeypatch.setattr(rob, "open_table", lambda data: table)
    folds = {f"p{i}": i % 2 for i in range(8)}
    for k in (0, 1):
        (tmp_path / f"fold-{k}").mkdir()
        (tmp_path / f"fold-{k}" / "recipe.json").touch()
    named = {k: threshold_models(sha256=str(k) * 64, folds=folds, held_out_fold=k) for k in (0, 1)}
    monkeypatch.setattr(rob, "load", lambda run, **_: named[int(run.name[-1])])
    planned = rob.plan(tmp_path, data="set")
    assert {item.patient: item.models.segmenter.sha256[0] for item in planned.candidates} == {
        f"p{i}": str(i % 2) for i in range(8)
    }
    with pytest.raises(ValueError, match="holds 2 runs, and none of them was trained on these phantoms"):
        rob.plan(tmp_path)


def test_a_scan_is_judged_alike_from_its_table_and_by_itself():
    table = table_of_heads(side=SIDE)
    rows, models = table.rows(["p0"]), threshold_models()
    full = judge(table, rows, models)
    single = judge_scan(
        table_scan(table, rows),
        table_truth(table, rows),
        table.labels[rows],
        models,
        patient="p0",
        name="p0",
        distances=False,
    )
    assert full.hd95_mm is not None
    assert (single.hd95_mm, single.surface_dice) == (None, None)
    assert single.subject_dice == full.subject_dice > 0.8
    assert (single.true_ml, single.mask_ml) == (full.true_ml, full.mask_ml)
    assert single.scores == pytest.approx(full.scores, rel=1e-5)


def test_every_panel_has_one_scale_and_shows_its_intervals():
    """A change of -0.1 for each severity, with an interval of 0.05 to either side."""

    def row(severity):
        change = {"value": -0.1 * severity, "low": -0.1 * severity - 0.05, "high": -0.1 * severity + 0.05}
        figures = {key: {"value": 0.5, "change": change} for key in ("dice_per_subject", "slice_auc_any")}
        return {"severity": severity, "strength": 2.5 * severity, **figures}

    names = ("noise", "blur", "motion", "level", "width", "metal")
    corruption = {"unit": "HU", "imitates": "", "severities": [row(k) for k in SEVERITIES]}
    mild = corruption | {"severities": corruption["severities"][:2]}
    figure = robustness_plot({"corruptions": dict.fromkeys(names, corruption) | {"metal": mild}})
    view = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in view] == list(names)
    assert len({axes.get_ylim() for axes in view}) == 1
    assert [text.get_text() for text in view[0].get_xticklabels()] == ["2.5", "5", "7.5", "10", "12.5"]
    (bars,) = view[0].containers[0].lines[2]
    assert bars.get_segments()[1][:, 1] == pytest.approx([-0.25, -0.15])


def test_examples_stand_in_rows_beside_the_clean_slice():
    exam = square_head(0, bleeds=["epidural"])
    axes = examples(corruption_examples(exam)).axes
    assert len(axes) == 4 * len(CORRUPTIONS)
    clean = axes[0].images[0].get_array()
    assert all(np.array_equal(item.images[0].get_array(), clean) for item in axes[::4])
    assert [item.get_title(loc="left") for item in axes[:4]] == ["noise: clean", "3 HU", "10 HU", "25 HU"]
    noise = [float(np.std(item.images[0].get_array()[10:18, 10:18])) for item in axes[:4]]
    assert (np.diff(noise) > 0).all()


def test_the_command_reads_two_tiny_phantoms_with_the_shipped_model(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(rob, "SLICES", 4)
    monkeypatch.setattr(rob, "PIXELS", 64)
    monkeypatch.setattr(rob, "ROUNDS", 20)
    monkeypatch.setattr("ich_lib.evaluation.robustness_page.example_exam", lambda: square_head(0, bleeds=["epidural"]))
    assert main(["robustness", "--limit", "2", "--only", "level", "--out", str(tmp_path)]) == 0
    message = capsys.readouterr().out
    assert (
        "2 scans (phantoms, 4 slices of 64 px), clean and under 1 corruptions of five severities: 12 readings"
        in message
    )
    assert "On 2 scans (phantoms, 4 slices of 64 px)" in message
    report = json.loads((tmp_path / "robustness.json").read_text())
    assert report["models"][0]["name"] == load().segmenter.name
    assert report["calibrated"] is True
    assert (tmp_path / "robustness.html").is_file()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--only", "fog"], "'fog' is not a corruption; choose from noise, blur,"),
        (["--limit", "0"], "At least 1 scan must be judged; got a limit of 0."),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_word_is_refused_in_a_sentence(options, sentence, tmp_path, capsys):
    assert main(["robustness", *options, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
