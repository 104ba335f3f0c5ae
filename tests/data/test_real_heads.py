"""The three real heads in the repository: their content, and that no training uses them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ich_lib.data import ct_ich, open_set
from ich_lib.data.real_heads import FOLDER, PATIENTS, leave_out_samples, real_head, refuse_samples, sample_patients
from ich_lib.data.store import store
from ich_lib.labels import LABELS
from tests.sets import write_ct_ich

LINES = [f"{patient},{k},0,0,0,{int(k == 2)},0,{int(k != 2)},0" for patient in (50, 51, 66, 84, 99) for k in (1, 2, 3)]
MASKS = tuple((patient, 2) for patient in (50, 51, 66, 84, 99))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_ct_ich(tmp_path_factory.mktemp("set") / "ct-ich", LINES, masks=MASKS)


@pytest.mark.parametrize(
    ("patient", "slices", "types", "bloody"),
    [
        ("066", 29, ("epidural",), list(range(13, 25))),
        ("084", 35, ("intraparenchymal", "subarachnoid"), [18, 19, 20, 21]),
        ("099", 29, (), []),
    ],
)
def test_each_head_has_its_true_mask_on_the_slices_that_the_published_table_names(patient, slices, types, bloody):
    case = real_head(patient)
    assert case.scan.hu.shape == (slices, 650, 650)
    assert case.types == types
    assert (np.flatnonzero(case.truth.any(axis=(1, 2))) + 1).tolist() == bloody
    assert (np.flatnonzero(case.labels[:, LABELS.index("any")]) + 1).tolist() == bloody
    if bloody:  # with the mask of another slice this fails: the mask holds soft tissue and blood, not air or bone
        inside = case.scan.hu[case.truth]
        assert 20 < np.median(inside) < 100


def test_another_patient_is_not_here():
    with pytest.raises(ValueError, match="no patient '050' here; choose from 066, 084, 099"):
        real_head("050")


def test_whose_heads_they_are_and_under_which_license_stands_beside_them():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for words in ("Hssayeni", "10.13026/w8q8-ky94", "Creative Commons Attribution 4.0", "Changes:"):
        assert words in text
    assert "Attribution 4.0 International" in (FOLDER / "LICENSE.txt").read_text(encoding="utf-8")
    assert {path.name for path in FOLDER.iterdir()} == {
        "README.md", "LICENSE.txt", "hemorrhage_diagnosis.csv", *(f"ct-ich-{patient}.zip" for patient in PATIENTS)
    }  # fmt: skip
    assert all(path.stat().st_size < 3e6 for path in FOLDER.iterdir())


def test_a_store_to_train_from_leaves_them_out_and_names_them_and_one_to_evaluate_on_has_them(folder, tmp_path):
    trained = store(folder, tmp_path / "head.slices", size=32)
    assert trained.table.patients == ["050", "051"]
    assert trained.table.report.excluded == tuple(f"{p}/{k}" for p in PATIENTS for k in (1, 2, 3))
    assert "samples of the demo" in " ".join(trained.table.report.sentences)
    whole = store(folder, tmp_path / "slice.slices", size=32, field="slice")
    assert whole.table.patients == ["050", "051", *PATIENTS]


def test_training_refuses_them_by_name(folder):
    table = ct_ich(folder)
    with pytest.raises(ValueError, match=r"CT-ICH 1\.0\.0: patients 066, 084, 099 are sample cases"):
        refuse_samples(table)
    refuse_samples(leave_out_samples(table))
    assert sample_patients("my hospital", ["066"]) == []  # another set numbers its own patients


def test_train_leaves_them_out_of_a_folder_and_refuses_a_store_that_holds_them(folder, tmp_path, monkeypatch):
    from ich_lib.data.store import build_store
    from ich_lib.models.recipe import Recipe
    from ich_lib.training.train import open_slices

    monkeypatch.setenv("ICH_CACHE", str(tmp_path / "cache"))
    recipe = Recipe("tiny", "segment", "unet2d", {"filters": (4, 8)}, size=32, stored=32, phantoms=0, batch=4)
    assert open_slices(recipe, folder).table.patients == ["050", "051"]
    full = build_store(open_set(folder), tmp_path / "all.slices", size=32)
    for data in (full, tmp_path / "all.slices"):
        with pytest.raises(ValueError, match="patients 066, 084, 099 are sample cases"):
            open_slices(recipe, data)


def test_the_files_are_those_that_were_packed():
    """One changed picture makes it another head. The digest covers all names and pictures together."""
    digest = hashlib.sha256()
    for patient in PATIENTS:
        digest.update(Path(FOLDER / f"ct-ich-{patient}.zip").read_bytes())
    assert digest.hexdigest() == DIGEST


DIGEST = "22968dc8b3ed67aea3879709538ca04b47d7dea018ef26e2ced7164aebce6a20"
