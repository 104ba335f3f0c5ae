from dataclasses import replace

import numpy as np
import pytest

from ich_lib.metrics import dice
from ich_lib.phantom import phantom
from ich_lib.predict import _over_scan, analyse
from ich_lib.scan import Scan, axial_affine


@pytest.fixture(scope="module")
def result(bleeding_case, models):
    return analyse(bleeding_case.scan, models)


def test_a_planted_bleed_is_found_and_outlined(bleeding_case, result):
    assert result.scores["any"] > result.score_threshold
    assert dice(bleeding_case.mask, result.mask) > 0.5
    assert result.volume_ml == pytest.approx(sum(bleeding_case.volumes_ml.values()), rel=0.5)


def test_the_same_head_without_blood_scores_lower_and_has_a_small_part_of_the_mask(models, result):
    clean = analyse(phantom(101).scan, models)  # the same head, nothing planted
    assert clean.scores["any"] < result.scores["any"] - 0.2
    assert clean.volume_ml < 0.2 * result.volume_ml


def test_every_array_lies_on_the_scans_own_voxels(bleeding_case, result):
    assert result.blood.shape == result.heat.shape == result.mask.shape == bleeding_case.scan.hu.shape
    assert result.slice_scores.shape == (34, 6)
    assert 0 <= result.heat.min() <= result.heat.max() <= 1
    assert result.heat.max() == pytest.approx(result.scores["any"], abs=0.01)


def test_a_mirrored_head_gives_the_mirrored_result(bleeding_case, result, models):
    """The patient mirrored: the same scores, the mask on the other side, at minus the mm to the left."""
    mirrored = analyse(replace(bleeding_case.scan, hu=bleeding_case.scan.hu[:, :, ::-1].copy()), models)
    assert mirrored.slice_scores == pytest.approx(result.slice_scores, abs=1e-3)
    assert np.array_equal(mirrored.mask[:, :, ::-1], result.mask)
    there, back = (left_mm(r) for r in (result, mirrored))
    assert abs(there) > 20
    assert back == pytest.approx(-there, abs=0.5)


def left_mm(result):
    """How far to the patient's left the mask's center lies."""
    z, y, x = np.argwhere(result.mask).mean(axis=0)
    return float((result.scan.affine @ [z, y, x, 1])[0])


def test_a_slice_scores_the_same_wherever_the_parts_are_cut(models, monkeypatch):
    scan = phantom(3, bleeds=["subdural"], slices=10, thickness_mm=15).scan
    whole = analyse(scan, models)
    monkeypatch.setattr("ich_lib.predict._CHUNK", 3)
    cut = analyse(scan, models)
    assert cut.slice_scores == pytest.approx(whole.slice_scores, abs=1e-4)
    assert np.abs(cut.blood.astype(float) - whole.blood).max() < 2e-3


def test_one_slice_alone_is_a_scan_too(bleeding_case, models):
    k = int(bleeding_case.mask.sum(axis=(1, 2)).argmax())
    alone = analyse(Scan(bleeding_case.scan.hu[k : k + 1], bleeding_case.scan.affine), models)
    assert alone.scores["any"] > 0.5
    assert dice(bleeding_case.mask[k], alone.mask[0]) > 0.5


def test_without_trusted_spacing_there_are_no_milliliters(bleeding_case, models):
    small = replace(bleeding_case.scan, hu=bleeding_case.scan.hu[14:16], spacing_known=False)
    assert analyse(small, models).volume_ml is None


def test_air_alone_is_clean_and_does_not_crash(models):
    empty = analyse(Scan(np.full((2, 64, 64), -1000, np.float32), axial_affine((5, 1, 1), (2, 64, 64))), models)
    assert not empty.mask.any()
    assert np.isfinite(empty.slice_scores).all()
    assert np.isfinite(empty.heat).all()


def test_progress_rises_to_one(bleeding_case, models):
    told = []
    analyse(replace(bleeding_case.scan, hu=bleeding_case.scan.hu[:10]), models, progress=told.append)
    assert told == [0.8, 1.0]


def test_the_scans_score_is_the_highest_mean_of_two_neighbors():
    scores = np.array([[0.9], [0.1], [0.4], [0.8]], np.float32)
    assert _over_scan(scores) == pytest.approx([0.6])
    assert _over_scan(scores[:1]) == pytest.approx([0.9])
