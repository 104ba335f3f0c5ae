import json

import numpy as np
import pytest

from ich_lib.engine import Models, load
from ich_lib.evaluate import Judged, _unseen, evaluate, figures
from tests.sets import write_ct_ich
from tests.test_datasets import GOOD


def judged(patient, dice, truth, slices):
    return Judged(patient, dice, np.array(truth, bool), np.array(slices), float(max(slices)))


def test_the_three_figures_on_paper():
    """Dice 0.2 and 0.6; 4 of the 2 * 3 slice pairs in order; scans of 0.9 and 0.3 against one of 0.5."""
    some = [
        judged("a", 0.2, [1, 0], [0.9, 0.4]),
        judged("b", 0.6, [1, 0], [0.3, 0.1]),
        judged("c", None, [0], [0.5]),
    ]
    found = figures(some)
    assert found["dice_per_subject"].value == pytest.approx(0.4)
    assert found["dice_per_subject"].n_patients == 2
    assert found["slice_auc_any"].value == pytest.approx(4 / 6)
    assert found["scan_auc_any"].value == pytest.approx(1 / 2)
    assert found["slice_auc_any"].n_patients == 3
    assert all(f.low <= f.value <= f.high for f in found.values())


class Held:
    """A model that knows only its split."""

    def __init__(self, held_out, folds):
        self.card = {"held_out_fold": held_out, "folds": folds}


@pytest.fixture
def table(tmp_path):
    from ich_lib.datasets import ct_ich

    return ct_ich(write_ct_ich(tmp_path / "set", GOOD))


def test_only_patients_never_trained_on_are_judged(table):
    pair = Models(Held(1, {"049": 0, "050": 1}), None)
    assert _unseen(pair, "run", table, None) == (1, ["050"])
    with pytest.raises(ValueError, match="trained on the patients of fold 0; only fold 1 was held out"):
        _unseen(pair, "run", table, 0)


def test_models_trained_on_everyone_or_on_different_splits_are_refused(table):
    folds = {"049": 0, "050": 1}
    with pytest.raises(ValueError, match="trained on every patient of this data"):
        _unseen(Models(Held(None, folds), None), "run", table, None)
    with pytest.raises(ValueError, match="trained on every patient of this data"):
        _unseen(Models(Held(2, folds), None), "run", table, None)
    with pytest.raises(ValueError, match="trained on different patients"):
        _unseen(Models(Held(0, folds), Held(1, folds)), "run", table, None)


def test_patients_of_another_data_set_were_never_seen(table):
    assert _unseen(Models(Held(None, {"phantom-0": 0}), None), "run", table, None) == (None, ["049", "050"])
    assert _unseen(Models(Held(None, {"049": 0}), None), "run", table, None) == (None, ["050"])
    assert _unseen(Models(Held(0, {"049": 0, "phantom-1": 1}), None), "run", table, None) == (0, ["049", "050"])


def test_the_shipped_pair_reaches_the_figures_on_its_card(ct_ich_folder, tmp_path):
    """The whole path on patients never trained on, and the floor this project set itself."""
    report = evaluate("shipped", ct_ich_folder, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    for model in load():
        for key in ("dice_per_subject", "slice_auc_any", "scan_auc_any"):
            assert report[key] == pytest.approx(model.card["figures"][key], abs=2e-3)
    assert report["slice_auc_any"]["value"] >= 0.80
    assert report["threshold"] == load().segmenter.recipe.threshold
