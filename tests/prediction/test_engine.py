import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.data.real_heads import real_head
from ich_lib.prediction.analyze import analyze
from ich_lib.prediction.engine import WEIGHTS, list_weights, load
from tests.conftest import ROOT

NAME = load().segmenter.name


def test_the_shipped_model_draws_and_scores_and_its_files_are_small():
    models = load("shipped")
    assert models is load()
    assert models.segmenter is models.classifier
    assert models.segmenter.recipe.task == "both"
    own = {path.name for path in WEIGHTS.iterdir() if path.is_file()}
    assert own == {f"{NAME}.{end}" for end in ("json", "onnx", "weights.h5")}
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert all(path.stat().st_size < 10_000_000 for path in files)
    published = [path for path in files if re.search(r"-00[0-4]", path.name)]
    assert sum(path.stat().st_size for path in published) < 40_000_000
    assert sum(path.stat().st_size for path in files) < 60_000_000  # the wheel holds them all


@pytest.mark.parametrize("name", list_weights()[1:])
def test_every_other_model_is_one_that_was_judged_by_patient(name):
    (model,) = models = load(name)
    assert models is load(name)
    assert model.name == name
    assert model.card["split"] == "patient"
    held_out, figures = model.card["held_out_fold"], model.card["figures"]
    assert figures["folds"] == ([0, 1, 2, 3, 4] if held_out is None else held_out)  # one fold alone has no calibration
    assert (models.calibration is not None) is (held_out is None)
    assert {"slice_auc_any", "height_auc", "scan_auc_any"} <= set(figures)
    assert not {"066", "084", "099"} & {patient.removeprefix("ct-ich-") for patient in model.card["folds"]}
    files = {path.name for path in (WEIGHTS / name).iterdir()}
    assert files == {*model.card["sha256"], f"{name}.json"}


@pytest.mark.parametrize("name", list_weights())
def test_every_model_answers_on_a_phantom_and_on_the_real_heads(name, bleeding_case):
    for whole in (bleeding_case.scan, *(real_head(patient).scan for patient in ("066", "084", "099"))):
        scan = replace(whole, hu=whole.hu[::4])  # fewer slices, still from base to vertex
        result = analyze(scan, load(name))
        assert result.finding in ("bleeding", "uncertain", "none")
        assert result.slice_scores.shape == (len(scan.hu), 6)
        assert ((result.slice_scores >= 0) & (result.slice_scores <= 1)).all()  # without calibration it rounds to them
        assert result.has_mask == (load(name).segmenter is not None)
        assert result.mask.any() <= result.has_mask


def test_a_name_that_is_no_model_is_refused_with_those_there_are():
    with pytest.raises(FileNotFoundError, match=r"no-such-model is not a folder.* one of shipped"):
        load("no-such-model")


def test_the_shipped_cards_name_data_fold_figures_and_every_file():
    for model in load():
        card = model.card
        assert card["data"] == "CT-ICH 1.0.0 and phantoms"
        assert "10.13026/w8q8-ky94" in card["attribution"]
        assert card["held_out_fold"] is None  # trained on all patients; the figures are those of the folds
        assert card["figures"]["folds"] == [0, 1, 2, 3, 4]
        assert {"dice_per_subject", "slice_auc_any", "scan_auc_any"} <= set(card["figures"])
        assert len(card["folds"]) == 66
        assert len(card["sha256"]) == 2


def test_every_shipped_file_has_the_hash_its_card_states():
    import hashlib

    for model in load():
        for name, sha256 in model.card["sha256"].items():
            assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == sha256


@pytest.fixture
def weights_copy(tmp_path):
    for path in WEIGHTS.glob(f"{NAME}*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_one_changed_byte_is_refused(weights_copy):
    path = weights_copy / f"{NAME}.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"{NAME}.onnx is not the file its card {NAME}.json describes"):
        load(weights_copy)


def test_a_folder_that_lacks_a_task_is_filled_from_the_shipped_model(tiny_runs):
    """Then the pair is mixed, and a calibration that was fitted for other models is not used."""
    mixed = load(tiny_runs["segment"].folder)
    assert mixed.classifier is load().classifier
    assert [model.name for model in mixed] == ["tiny-unet", NAME]
    assert load().calibration is not None
    assert mixed.calibration is None
    assert load(tiny_runs["segment"].folder, fill=False).classifier is None


def test_two_models_of_one_task_are_refused(weights_copy):
    card = json.loads((weights_copy / f"{NAME}.json").read_text())
    other = {**card, "name": "other", "sha256": {"other.onnx": card["sha256"][f"{NAME}.onnx"]}}
    (weights_copy / "other.json").write_text(json.dumps(other))
    shutil.copy(weights_copy / f"{NAME}.onnx", weights_copy / "other.onnx")
    with pytest.raises(ValueError, match=f"more than one model that can segment: other and {NAME}"):
        load(weights_copy)


def test_a_folder_with_a_model_is_that_model_whatever_lies_in_its_folders():
    """The library's own folder holds the shipped model, and further models in subfolders."""
    assert [model.name for model in load(WEIGHTS)] == [NAME]


def test_a_folder_of_exported_folders_joins_them(weights_copy):
    inner = weights_copy / "inner"
    inner.mkdir()
    for path in weights_copy.glob(f"{NAME}*"):
        path.rename(inner / path.name)
    assert [model.name for model in load(weights_copy, fill=False)] == [NAME]


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no model"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        load(tmp_path / "absent")


def test_reading_and_predicting_never_import_tensorflow():
    code = (
        "import sys, ich_lib.readers, ich_lib.reports;"
        "from ich_lib.phantoms import phantom; from ich_lib.prediction.analyze import analyze;"
        "analyze(phantom(1, slices=2, pixels=64).scan);"
        "heavy = {'tensorflow', 'keras', 'jax', 'torch', 'sklearn', 'matplotlib', 'highdicom'};"
        "print(sorted(heavy & {m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert re.fullmatch(r"\[\]\s*", out.stdout)


def test_a_rested_model_answers_as_before(models):
    model = models.segmenter
    pictures = np.random.default_rng(0).random((2, *_input_shape(model)), np.float32)
    before = model.run(pictures).blood
    model.release()
    np.testing.assert_allclose(model.run(pictures).blood, before, rtol=1e-5, atol=1e-7)


def _input_shape(model):
    size = model.recipe.size
    return size, size, model.recipe.channels
