"""What the viewer tells of a model that is not the shipped one: its design, its figures by patient, and its folds."""

import pytest

from ich_lib.demo import viewer
from ich_lib.demo.viewer import about_model
from ich_lib.models.recipes import get_recipe
from ich_lib.prediction.engine import Model, Models, load
from tests.browsing import mount_viewer
from tests.viewed import result

DICE = {"value": 0.314, "low": 0.12, "high": 0.49, "n_patients": 6}
AUC = {"value": 0.817, "low": 0.7, "high": 0.9, "n_patients": 14}
FOLDS = {f"{patient:03}": patient % 5 for patient in range(10)}


def models(name, **figures):
    """A pair with a card as `export` writes it."""
    recipe = get_recipe(name)
    model = Model(name, recipe, "0" * 64, lambda pictures: None, {"folds": FOLDS, "figures": figures})
    return Models(model if recipe.has_mask_output else None, model if recipe.has_score_output else None)


def test_a_published_network_is_told_with_its_system_and_its_figures_of_one_fold():
    figures = {"dice_per_subject": DICE, "slice_auc_any": AUC, "height_auc": {"value": 0.712}, "folds": 0}
    assert about_model(models("unet2d-002b", **figures)) == {
        "name": "unet2d-002b",
        "source": "System 002 (two U-Nets on CT-ICH, 2021)",
        "published": True,
        "dice": DICE,
        "auc": AUC,
        "height": 0.712,
        "folds": [1, 5],
    }


@pytest.mark.parametrize(("folds", "expected"), [([0], [1, 5]), ([0, 1, 2, 3, 4], [5, 5]), (3, [1, 5]), (None, None)])
def test_as_many_folds_are_stated_as_were_measured(folds, expected):
    assert about_model(models("unet-both", dice_per_subject=DICE, folds=folds))["folds"] == expected


def test_a_network_that_scores_slices_only_has_no_dice():
    nothing = {"value": None, "low": None, "high": None, "n_patients": 0}
    about = about_model(models("cnn-001", dice_per_subject=nothing, slice_auc_any=AUC))
    assert (about["dice"], about["auc"], about["height"]) == (None, AUC, None)
    assert about_model(models("cnn-001", dice_per_subject=DICE))["dice"] is None


def test_the_shipped_model_is_not_told_and_of_a_pair_that_it_completes_the_other_one_is():
    assert about_model(None) is None
    assert about_model(load()) is None
    other = models("densenet-small", slice_auc_any=AUC).classifier
    about = about_model(Models(load().segmenter, other))
    assert (about["name"], about["published"], about["dice"]) == ("densenet-small", False, None)


def lines(page):
    return [line for line in page.inner_text(".about").split("\n") if line]


def test_the_panel_names_design_figures_and_folds_in_each_language(browser):
    figures = {"dice_per_subject": DICE, "slice_auc_any": AUC, "height_auc": {"value": 0.712}, "folds": 0}
    about = about_model(models("unet2d-002b", **figures)) | {"source": "System 002 <b id='injected'>bold</b>"}
    with mount_viewer(browser, result()) as page:
        assert page.is_hidden(".about")  # the shipped model has no such part
        page.evaluate("(payload) => window.show(payload)", viewer.payload(result(), about=about))
        assert lines(page) == [
            "About unet2d-002b",
            "Design: System 002 <b id='injected'>bold</b>",
            "Dice per patient: 0.31 (95 % interval 0.12 to 0.49), on 6 patients that it had not seen.",
            "Slice AUC: 0.82 (95 % interval 0.70 to 0.90), on 14 patients that it had not seen. "
            "The height of a slice alone reaches 0.71.",
            "Folds of the cross-validation that were measured: 1 of 5.",
            "This network is rebuilt for teaching and is never meant for use on patients.",
        ]
        assert page.locator("#injected").count() == 0
        assert page.get_attribute(".about-design span", "lang") == "en"
        page.select_option(".language", "de")
        assert "Dice je Patient: 0,31 (95-%-Intervall 0,12 bis 0,49)" in page.inner_text(".about")
        page.select_option(".language", "es")
        assert page.inner_text(".about-use").startswith("Esta red se ha reconstruido para la enseñanza")
        bare = about | {"dice": None, "auc": None, "source": "", "published": False}
        page.select_option(".language", "en")
        page.evaluate("(payload) => window.show(payload)", viewer.payload(result(), about=bare))
        assert lines(page)[1:] == [
            "The design is of this project.",
            "There are no figures on patients that it had not seen.",
            "This network is made for teaching and is never meant for use on patients.",
        ]
