"""The page of the five systems, made from run folders that are written in a moment."""

import json
import re
from dataclasses import replace

import pytest

from ich_lib.__main__ import main
from ich_lib.evaluation.systems import CLAIMS, systems_page
from ich_lib.evaluation.trainings import read_trainings
from ich_lib.measures.report import Accuracy, Flattering, Masks
from ich_lib.models.recipes import RECIPES
from tests.conftest import ROOT
from tests.written import figure, line, recipe, report, run_folder, write_report


def training(folder, name, *, task="both", dice=0.5, auc=0.8, **more):
    """A finished, evaluated run of a recipe."""
    run_folder(folder / name, replace(recipe(name), task=task), finished=True)
    result = replace(report([line("a"), line("b", blood=0)], dice=dice), slice_auc_any=figure(auc), folds=0, **more)
    write_report(folder / name, result)
    return result


def with_masks(result):
    """With figures that are too favorable: 0.95, 0.75 and 0.7; for empty masks 0.94, 0.5 and 0.45."""
    marked, empty = (Flattering(*map(figure, values)) for values in ((0.95, 0.75, 0.7), (0.94, 0.5, 0.45)))
    measures = ("dice_per_bleeding_slice", "dice_all_slices", "dice_per_scan", "iou_per_bleeding_slice")
    distances = ("hd95_mm_median", "surface_dice")
    masks = Masks(
        **dict.fromkeys((*measures, *distances), figure(0.3)),
        hd95_infinite=0,
        surface_tolerance_mm=2,
        assumed_voxel_mm=None,
        as_published=marked,
        of_empty_masks=empty,
    )
    return replace(result, masks=masks)


def cells_of(page, start):
    """The cells of the table line that begins with a name; of the second such line, which holds results."""
    lines = [text for text in page.splitlines() if text.startswith(f"| `{start}`")]
    return [cell.strip() for cell in lines[-1].strip("|").split("|")]


def test_every_claim_is_of_a_recipe_that_can_be_built():
    assert {claim.recipe for claim in CLAIMS} <= set(RECIPES)
    assert {claim.system for claim in CLAIMS} == {"000", "001", "002", "003", "004"}


def test_a_network_stands_beside_its_claim_with_the_fault_and_without(tmp_path):
    result = training(tmp_path, "unet2d-003", task="segment", dice=0.31)
    write_report(tmp_path / "unet2d-003", with_masks(result))
    page = systems_page(read_trainings(tmp_path), "curves.png", "boxes.png")
    name, again, nothing, honest, _, works, cost = cells_of(page, "unet2d-003")
    assert name == "`unet2d-003` (fold 0)"
    assert (again, nothing) == ("0.950 (0.850 to 1.050)", "0.940 (0.840 to 1.040)")
    assert honest == "Dice 0.310 (0.210 to 0.410)"
    assert works == "yes"
    assert cost == "32x32x6; 48; 1"  # two epochs of three steps of eight
    assert "99.9 % pixel accuracy" in page
    assert cells_of(page, "alexnet-004")[1] == "not trained"


def test_a_classifier_is_judged_by_its_auc_and_does_not_work_below_the_least_one(tmp_path):
    cells = Accuracy(*map(figure, (0.6, 0.9, 0.5, 0.95)))
    training(tmp_path, "vanilla-004", task="classify", auc=0.74, accuracy=cells)
    row = cells_of(systems_page(read_trainings(tmp_path), "c.png", "b.png"), "vanilla-004")
    assert row[1].startswith("0.900")
    assert row[2].startswith("0.950")
    assert row[3].startswith("AUC 0.740")
    assert row[5] == "no"


def test_a_classifier_of_types_is_judged_by_its_types_beside_the_most_common_one(tmp_path):
    """It has no class for a slice without blood, so its AUC for any bleeding says nothing."""
    run_folder(tmp_path / "cnn-001", replace(recipe("cnn-001"), task="classify", scheme="6-class"), finished=True)
    result = replace(report([line("a")]), slice_auc_any=figure(0.9), folds=0)
    rows = {}
    for types in (0.45, 0.65):
        cells = Accuracy(*map(figure, (0.6, 0.9, 0.5, 0.95, types, 0.4)))
        write_report(tmp_path / "cnn-001", replace(result, accuracy=cells))
        rows[types] = cells_of(systems_page(read_trainings(tmp_path), "c.png", "b.png"), "cnn-001")
    assert rows[0.65][3:6] == ["right type 0.650 (0.550 to 0.750)", "0.400 (0.300 to 0.500)", "yes"]
    assert rows[0.45][5] == "no"  # its interval begins at 0.35


def test_leaks_and_seeds_and_other_networks_have_tables_of_their_own(tmp_path):
    training(tmp_path, "vanilla-004", task="classify", auc=0.7)
    training(tmp_path, "vanilla-004-leaky", task="classify", auc=0.9)
    for seed, auc in enumerate((0.5, 0.6, 0.7)):
        training(tmp_path, f"cnn-001-seed{seed}", task="classify", auc=auc)
    training(tmp_path, "mine")
    page = systems_page(read_trainings(tmp_path), "c.png", "b.png")
    leak = page[page.index("## The effect of a split by slice") :]
    assert cells_of(leak[: leak.index("## Trained again")], "vanilla-004")[1:] == [
        "0.700 (0.600 to 0.800)",
        "0.900 (0.800 to 1.000)",
    ]
    seeds = page[page.index("## Trained again") :]
    assert cells_of(seeds, "cnn-001")[1:] == ["3", "0.600", "0.500 to 0.700", "0.500, 0.600, 0.700"]
    assert "| `mine` |" in page[page.index("## Beyond the five") :]


def test_the_command_writes_the_page_and_its_curves(tmp_path, capsys):
    runs = tmp_path / "runs"
    training(runs, "unet2d-000", task="segment")
    assert main(["systems", str(runs), "--out", str(tmp_path / "five.md")]) == 0
    assert "](five.png)" in (tmp_path / "five.md").read_text()
    assert (tmp_path / "five.png").read_bytes().startswith(b"\x89PNG")
    assert "curves of 1 training" in capsys.readouterr().out


def test_records_without_weights_make_the_same_page(tmp_path, capsys):
    """One run, and a cross-validation of two folds."""
    runs, kept = tmp_path / "runs", tmp_path / "kept"
    training(runs, "unet2d-000", task="segment")
    result = training(runs, "vanilla-004/fold-0", task="classify", auc=0.7)
    training(runs, "vanilla-004/fold-1", task="classify", auc=0.7)
    write_report(runs / "vanilla-004", replace(result, folds=(0, 1)))
    (kept / "unet2d-000" / "old").mkdir(parents=True)
    out = [tmp_path / f"{name}.md" for name in ("first", "second")]
    assert main(["systems", str(runs), "--out", str(out[0]), "--records", str(kept)]) == 0
    assert main(["systems", str(kept), "--out", str(out[1])]) == 0
    first, second = (path.read_text() for path in out)
    assert first == second.replace("second", "first")
    assert "`vanilla-004` (2 folds)" in first
    assert not list(kept.rglob("*.h5"))
    assert not (kept / "unet2d-000" / "old").exists()


def test_the_stages_of_a_training_count_together_and_stay_in_the_records(tmp_path, capsys):
    runs, kept = tmp_path / "runs", tmp_path / "kept"
    training(runs, "unet2d-002b", task="segment")  # two epochs, of three steps of eight, in one minute
    small = replace(recipe("unet2d-002b"), size=16)
    for stage in (1, 2):
        run_folder(runs / f"unet2d-002b-stage{stage}", small, finished=True)
    (whole,) = read_trainings(runs).values()
    assert whole.cost == "16x16x6 then 32x32x6; 48 then 48 then 48; 3"
    assert [epoch.epoch for epoch in whole.history()] == [1, 2, 3, 4, 5, 6]
    assert [epoch.loss for epoch in whole.history()] == 3 * [epoch.loss for epoch in whole.runs[0].history()]
    assert main(["systems", str(runs), "--out", str(tmp_path / "five.md"), "--records", str(kept)]) == 0
    (again,) = read_trainings(kept).values()
    assert (again.cost, again.history()) == (whole.cost, whole.history())


def test_what_a_training_changed_in_the_published_settings_is_listed(tmp_path):
    published = RECIPES["densenet121-004"]
    changed = replace(
        published, size=96, stored=96, weights=None, learning_rate=5e-4, windows=("brain", "bone", "bone")
    )
    for name, used in {"densenet121-004": changed, "vanilla-004": RECIPES["vanilla-004"]}.items():
        run_folder(tmp_path / name, used, finished=True)
        write_report(tmp_path / name, replace(report([line("a")]), folds=0))
    page = systems_page(read_trainings(tmp_path), "c.png", "b.png")
    assert (
        "- `densenet121-004`: pictures of 96 pixels (512 published), a learning rate of 0.0005 (0.001 published), "
        "random initial weights (ImageNet published) and the windows brain, bone and bone (brain 004, vascular 004 and "
        "bone published).\n"
    ) in page
    assert "- `vanilla-004`: nothing.\n" in page


def test_two_third_channels_are_compared_seed_by_seed(tmp_path):
    """Differences of 0.1, 0.2 and 0.3: mean 0.2, standard error 0.1 / sqrt(3), so t = 2 sqrt(3)."""
    for channel, windows, values in (
        ("bone", ("brain", "bone"), (0.7, 0.9, 0.8)),
        ("vascular", ("brain", "vascular 004"), (0.6, 0.7, 0.5)),
    ):
        for seed, auc in enumerate(values):
            name = f"vanilla-004-{channel}-seed{seed}"
            run_folder(
                tmp_path / name,
                replace(recipe("vanilla-004"), task="classify", windows=windows, seed=seed),
                finished=True,
            )
            result = replace(report([line("a"), line("b", blood=0)]), slice_auc_any=figure(auc), folds=0)
            write_report(tmp_path / name, result)
    page = systems_page(read_trainings(tmp_path), "c.png", "b.png")
    assert (
        "Seed by seed, `vanilla-004-bone` minus `vanilla-004-vascular` is 0.200 on average (0.100 to 0.300; paired "
        "t(2) = 3.46, p = 0.074)."
    ) in page


@pytest.mark.parametrize(
    ("lines", "auc", "reason"),
    [
        (
            ("1,0.9,,1,1", "2,0.1,0.8,1,1"),
            0.5,
            "it overfits: after epoch 2 the loss is 0.10 in training and 0.80 on the",
        ),
        (
            ("1,0.9,,1,1", "2,0.5,,1,1", "3,0.3,,1,1", "4,0.2,,1,1"),
            0.5,
            "the loss was still falling, from 0.90 to 0.20",
        ),
        (("1,0.9,,1,1", "2,0.5,,1,1", "3,0.2,,1,1", "4,0.2,,1,1"), 0.5, "the loss stopped falling, from 0.90 to 0.20"),
        (("1,0.9,,1,1", "2,0.1,0.8,1,1"), 0.8, None),
    ],
)
def test_a_network_that_does_not_work_has_a_reason_from_its_learning_curve(tmp_path, lines, auc, reason):
    run_folder(tmp_path / "alexnet-004", replace(recipe("alexnet-004"), task="classify"), lines=lines, finished=True)
    write_report(tmp_path / "alexnet-004", replace(report([line("a")]), slice_auc_any=figure(auc), folds=0))
    page = systems_page(read_trainings(tmp_path), "c.png", "b.png")
    assert ("Why a network does not work" in page) is (reason is not None)
    assert reason is None or f"- `alexnet-004`: {reason}" in page


def test_a_folder_without_an_evaluated_training_says_how_to_make_one(tmp_path):
    run_folder(tmp_path / "unet2d-000", finished=True)
    with pytest.raises(FileNotFoundError, match=r"holds no evaluated training\. Make some: python -m ich_lib train"):
        read_trainings(tmp_path)


def test_blood_is_compared_between_measured_groups_on_paper(tmp_path):
    """Marked: 10, 20, 30 mL without and 30, 40, 50 mL with a fracture: t = -20 / sqrt(100/3 + 100/3) with 4 degrees of
    freedom. Three groups of age, of which one has a single scan, are not tested. A clean scan is in no group."""
    ages = (30, 30, 50, 50, 50, 70)
    lines = [
        line(f"p{k}", mask=mask, true=mask + 10.0 * (k == 5), fracture=k > 2, age=ages[k])
        for k, mask in enumerate((10.0, 20.0, 30.0, 30.0, 40.0, 50.0))
    ]
    run_folder(tmp_path / "unet2d-003", replace(recipe("unet2d-003"), task="segment"), finished=True)
    write_report(tmp_path / "unet2d-003", report([*lines, line("clean", blood=0, mask=99.0, fracture=True)]))
    page = systems_page(read_trainings(tmp_path), "c.png", "b.png")
    section = page[page.index("## Blood by group") :]
    assert "| fracture | fracture: 3, no fracture: 3 | t(4) = 2.449, p = .070 |" in section
    assert "| age |" not in section
    assert "p leans on assumptions that so few cannot check" in section
    assert "](b.png)" in section


def test_a_grid_of_settings_has_its_analysis_of_variance(tmp_path):
    """Dice rises by 0.1 with the epochs and not with the batch size; a and b differ by 0.02 in every cell. Sums of
    squares: 0.0267 of the epochs (2 degrees of freedom), 0 of the batch size, 0.0012 within the cells (6)."""
    for epochs in (2, 4, 8):
        for batch in (8, 16):
            for kind, more in (("a", 0.0), ("b", 0.02)):
                name = f"unet2d-002{kind}-grid-{epochs}-{batch}"
                training(tmp_path, name, task="segment", dice=0.1 + 0.1 * (epochs > 2) + more)
                settings = recipe(name, epochs=epochs, batch=batch)
                (tmp_path / name / "recipe.json").write_text(json.dumps(replace(settings, task="segment").as_json()))
    page = systems_page(read_trainings(tmp_path), "c.png", "b.png")
    section = page[page.index("## Epochs and batch size") :]
    assert "| 4 | `unet2d-002a-grid-4-8` 0.200; `unet2d-002b-grid-4-8` 0.220 |" in section
    assert "- epochs: F(2, 6) = 66.667, p < .001" in section
    assert "- batch size: F(1, 6) = 0.000, p = 1.000" in section
    assert "grid" not in page[: page.index("## Epochs")]


def test_the_page_in_docs_is_what_its_records_make():
    trainings = read_trainings(ROOT / "docs" / "systems")
    page = systems_page(trainings, "five-systems.png", "five-systems-volumes.png")
    assert (ROOT / "docs" / "five-systems.md").read_text() == page
    for picture in re.findall(r"\]\(([^)]+\.png)\)", page):
        assert (ROOT / "docs" / picture).is_file()
    assert {"vanilla-004", "vanilla-004-leaky"} <= set(trainings)
