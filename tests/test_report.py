import json
from dataclasses import replace

import cv2
import nibabel as nib
import numpy as np
import pytest

from ich_lib.calibration import Evidence
from ich_lib.labels import LABELS
from ich_lib.predict import NOTICE, Result
from ich_lib.report import as_json, doubts, sentence, write
from ich_lib.scan import Scan, axial_affine, from_file_grid
from ich_lib.usual import Strangeness


@pytest.fixture
def result():
    """Three slices of 5 x 0.5 x 0.4 mm; 100 voxels of blood in the middle one: 100 * 1 mm3 = 0.1 mL."""
    shape = (3, 20, 30)
    blood = np.zeros(shape, np.float16)
    blood[1, 5:10, 5:25] = 0.9
    scores = np.full((3, 6), 0.1, np.float32)
    scores[1] = [0.8, 0.2, 0.1, 0.1, 0.3, 0.9]
    scan = Scan(np.full(shape, 30, np.float32), axial_affine((5, 0.5, 0.4), shape), notes=("One note.",))
    found = Evidence(scores[:, -1], scores)
    return Result(
        scan, blood, 0.5, found, scores, scores.max(axis=0), 0.5, True, blood, (("m", "ab" * 32),), scan.notes
    )


def test_result_json_has_the_promised_keys_and_plain_values(result):
    content = json.loads(json.dumps(as_json(result), allow_nan=False))
    assert set(content) == {
        "scores", "words", "slices", "unsure", "strangeness", "volume_ml", "volume_soft_ml", "volume_abc2_ml",
        "mask_pixels", "spacing_mm", "orientation",
        "warnings", "models", "notice",
    }  # fmt: skip
    assert list(content["scores"]) == list(LABELS)
    assert content["slices"][1] == {
        "index": 1,
        "scores": dict(zip(LABELS, [0.8, 0.2, 0.1, 0.1, 0.3, 0.9], strict=True)),
        "mask_pixels": 100,
        "mask_ml": 0.1,
        "doubt": None,
    }
    assert (content["words"], content["unsure"], content["strangeness"]) == ("very likely", [], None)
    assert (content["volume_ml"], content["mask_pixels"], content["spacing_mm"]) == (0.1, 100, [5, 0.5, 0.4])
    assert (content["warnings"], content["notice"]) == (["One note."], NOTICE)
    assert content["models"] == [{"name": "m", "sha256": "ab" * 32}]


def test_doubt_and_strangeness_are_told_where_they_are_known(result):
    told = replace(result, doubt=np.float32([0, 0.25, 0.05]), strangeness=Strangeness(2.5, 1.25, 0.95))
    content = json.loads(json.dumps(as_json(told)))
    assert [row["doubt"] for row in content["slices"]] == [0, 0.25, 0.05]
    assert content["unsure"] == [1]
    assert content["strangeness"] == {"value": 2.5, "limit": 1.25, "strange": True}
    assert as_json(replace(result, calibrated=False))["words"] is None


def test_unsure_slices_are_named_from_one_and_neighbors_together(result):
    doubt = lambda *high: replace(result, doubt=np.isin(np.arange(20), high).astype(np.float32))  # noqa: E731
    assert doubts(doubt(3, 11, 12)) == "The model is unsure on slices 4, 12-13: their mirror images score otherwise."
    assert doubts(doubt(0)) == "The model is unsure on slice 1: its mirror image scores otherwise."
    assert doubts(doubt()) == doubts(result) == ""


def test_without_trusted_spacing_volumes_are_null_and_pixels_stay(result):
    content = as_json(replace(result, scan=replace(result.scan, spacing_known=False)))
    assert content["volume_ml"] is content["spacing_mm"] is content["slices"][1]["mask_ml"] is None
    assert content["mask_pixels"] == 100


def test_the_sentence_says_how_many_slices_how_much_and_which_type(result):
    assert sentence(result) == "Bleeding likely on 1 of 3 slices, about 0.1 mL, pattern most like epidural."
    without = replace(result, scan=replace(result.scan, spacing_known=False))
    assert sentence(without) == "Bleeding likely on 1 of 3 slices, pattern most like epidural."
    even = replace(result, scan_scores=np.float32([0.5, 0.2, 0.1, 0.1, 0.3, 0.6]))
    start = "Bleeding about as likely as not on 1 of 3 slices, about 0.1 mL"
    assert sentence(even) == f"{start}, pattern most like epidural."
    assert sentence(replace(even, calibrated=False)).startswith("Bleeding likely")
    clean = replace(result, scan_scores=np.full(6, 0.2, np.float32))
    assert sentence(clean) == "No bleeding found by this model, which does miss bleeds."


@pytest.mark.parametrize("letters", ["LAS", "RAS", "PIR", "LPS"])
def test_the_mask_lies_on_the_files_own_grid(result, letters, tmp_path):
    """A file in any order: mask.nii.gz has its shape, its affine, and blood at the voxel where it was planted."""
    values = np.zeros((9, 10, 11), np.float32)
    affine = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(letters), values.shape)
    affine[:3] *= [[0.4], [0.5], [5]]
    values[2, 7, 4] = 60
    scan = from_file_grid(values, affine)
    written = replace(
        result,
        scan=scan,
        blood=(scan.hu == 60).astype(np.float16),
        slice_scores=np.zeros((len(scan.hu), 6), np.float32),
    )
    write(written, tmp_path)
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.affine == pytest.approx(affine)
    assert np.argwhere(np.asarray(mask.dataobj)).tolist() == [[2, 7, 4]]


def test_writing_gives_three_files_and_an_outlined_picture(result, tmp_path):
    write(result, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["mask.nii.gz", "overview.png", "result.json"]
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == as_json(result)
    picture = cv2.imread(str(tmp_path / "out" / "overview.png")).astype(int)
    yellow = (picture[..., 2] > 200) & (picture[..., 1] > 190) & (picture[..., 0] < 110)
    assert yellow.sum() > 50
