from dataclasses import replace

import numpy as np
import pytest

from ich_lib.labels import ANY
from ich_lib.measures.metrics import dice
from ich_lib.models.recipe import Recipe
from ich_lib.phantoms import phantom
from ich_lib.prediction.analyze import analyze
from ich_lib.prediction.engine import WEIGHTS_FOLDER, Model, ModelOutput, Models
from ich_lib.scan import Scan, axial_affine


@pytest.fixture(scope="module")
def bleeding_case():
    return phantom(101, bleeds=["intraparenchymal"])


@pytest.fixture(scope="module")
def result(bleeding_case, models):
    return analyze(bleeding_case.scan, models)


def test_a_planted_bleed_is_found_and_outlined(bleeding_case, result):
    assert result.scores["any"] > result.score_threshold
    assert dice(bleeding_case.truth, result.mask) > 0.5
    assert result.volume_ml == pytest.approx(sum(bleeding_case.volumes_ml.values()), rel=0.5)


def test_the_same_head_without_blood_scores_lower_and_has_a_small_part_of_the_mask(models, result):
    clean = analyze(phantom(101).scan, models)  # the same head without a bleed
    assert clean.scores["any"] < result.scores["any"] - 0.2
    assert clean.marked_ml < 0.2 * result.volume_ml
    # nothing is marked, so nothing is measured
    assert (clean.volume_ml, clean.soft_ml, clean.abc2_ml) == (None, None, None)


def test_every_array_lies_on_the_scans_own_voxels(bleeding_case, result):
    assert result.blood.shape == result.heat.shape == result.mask.shape == bleeding_case.scan.hu.shape
    assert result.slice_scores.shape == (34, 6)
    assert 0 <= result.heat.min() <= result.heat.max() <= 1
    assert result.heat.max() == pytest.approx(result.scores["any"], abs=0.01)


def test_a_mirrored_head_gives_the_mirrored_result(bleeding_case, result, models):
    """For the mirrored patient the scores are the same and the mask is on the other side."""
    mirrored = analyze(replace(bleeding_case.scan, hu=bleeding_case.scan.hu[:, :, ::-1].copy()), models)
    assert mirrored.slice_scores == pytest.approx(result.slice_scores, abs=1e-3)
    assert np.array_equal(mirrored.mask[:, :, ::-1], result.mask)
    forward, back = (left_mm(r) for r in (result, mirrored))
    assert abs(forward) > 10
    assert back == pytest.approx(-forward, abs=0.5)


def left_mm(result):
    """How far to the patient's left the mask's center lies."""
    z, y, x = np.argwhere(result.mask).mean(axis=0)
    return float((result.scan.affine @ [z, y, x, 1])[0])


def test_a_slice_scores_the_same_wherever_the_parts_are_cut(models, monkeypatch):
    scan = phantom(3, bleeds=["subdural"], slices=10, thickness_mm=15).scan
    full = analyze(scan, models)
    monkeypatch.setattr("ich_lib.prediction.analyze._CHUNK", 3)
    cut = analyze(scan, models)
    assert cut.slice_scores == pytest.approx(full.slice_scores, abs=1e-4)
    assert np.abs(cut.blood.astype(float) - full.blood).max() < 2e-3


def test_one_slice_alone_is_a_scan_too(bleeding_case, models):
    k = int(bleeding_case.truth.sum(axis=(1, 2)).argmax())
    single = analyze(Scan(bleeding_case.scan.hu[k : k + 1], bleeding_case.scan.affine), models)
    assert single.scores["any"] > 0.5
    assert dice(bleeding_case.truth[k], single.mask[0]) > 0.5


def test_without_trusted_spacing_there_are_no_milliliters(bleeding_case, models):
    small = replace(bleeding_case.scan, hu=bleeding_case.scan.hu[14:16], spacing_known=False)
    assert analyze(small, models).volume_ml is None


def test_air_alone_is_clean_and_does_not_crash(models):
    empty = analyze(Scan(np.full((2, 64, 64), -1000, np.float32), axial_affine((5, 1, 1), (2, 64, 64))), models)
    assert not empty.mask.any()
    assert np.isfinite(empty.slice_scores).all()
    assert np.isfinite(empty.heat).all()


def test_progress_rises_to_one(bleeding_case, models):
    output = []
    analyze(replace(bleeding_case.scan, hu=bleeding_case.scan.hu[:10]), models, progress=output.append)
    assert output == pytest.approx([0.8, 1.0] if len(list(models)) == 1 else [0.4, 0.5, 0.9, 1.0])


def planted_model(recipe, answer, card=None):
    """A model whose answer for every picture comes from a function."""
    return Model(recipe.name, recipe, "0" * 64, answer, card or {})


def bright(pictures):
    """Blood where the first window of the middle slice is white, in (n, y, x)."""
    return (pictures[..., pictures.shape[-1] // 2] > 0.9).astype(np.float32)


def disk(slices=5, at=2):
    """Brain of 30 HU with a disk of 95 HU on the left of one slice, or of each given slice."""
    hu = np.full((slices, 64, 64), 30, np.float32)
    y, x = np.mgrid[:64, :64]
    hu[np.ix_(np.atleast_1d(at))] = np.where(np.hypot(y - 20, x - 12) < 8, 95, 30)
    return Scan(hu, axial_affine((5, 1, 1), hu.shape))


def test_one_model_may_be_both_and_is_asked_once_each_way():
    recipe, request = Recipe("r", "both", "unet2d", size=64, field="slice", neighbors=0, windows=("brain render",)), []

    def answer(pictures):
        request.append(len(pictures))
        blood = bright(pictures)
        score = np.repeat(blood.max(axis=(1, 2))[:, None], 6, axis=1)
        return ModelOutput(blood, score, np.repeat(blood[..., None], 6, axis=-1))

    model, scan = planted_model(recipe, answer), disk()
    result = analyze(scan, Models(model, model))
    assert request == [5, 5]
    assert np.array_equal(result.mask, scan.hu > 90)
    assert result.slice_scores[:, ANY].tolist() == [0, 0, 1, 0, 0]
    assert np.argwhere(result.heat > 0.4)[:, 0].tolist() == [2] * int((scan.hu > 90).sum())
    assert not result.calibrated


@pytest.mark.parametrize(("least_score", "slices"), [(0.0, [0, 2, 3]), (0.5, [2, 3]), (0.75, [])])
def test_a_slice_has_no_mask_if_it_and_its_neighbors_are_below_the_least_score(least_score, slices):
    """Blood is drawn in three slices. The mean of the mask's 0.8 and the classifier's score is 0.45, 0.45 and 0.7.

    The evidence, from which the probabilities come, is unchanged.
    """
    recipe = Recipe("r", "both", "unet2d", size=64, field="slice", neighbors=0, windows=("brain render",))

    def answer(pictures):
        blood = 0.8 * bright(pictures)
        score = np.where(pictures[:, 0, 0, 0] > 0.5, 0.6, 0.1)  # the corner tells the slices apart
        return ModelOutput(blood, np.repeat(score[:, None], 6, axis=1))

    scan = disk(at=[0, 2, 3])
    scan.hu[3, 0, [0, -1]] = 60  # a corner in both mirror images
    model = planted_model(replace(recipe, least_score=least_score), answer)
    result = analyze(scan, Models(model, model))
    assert np.unique(np.argwhere(result.mask)[:, 0]).tolist() == slices
    assert np.array_equal(result.mask[slices], scan.hu[slices] > 90)
    assert result.evidence.mask == pytest.approx([0.8, 0, 0.8, 0.8, 0])


def test_blood_outside_of_the_skull_is_neither_marked_nor_evidence():
    """The same white disk in the head of one slice, and in a hand beside the head of another."""
    hu = np.full((4, 64, 64), -1000, np.float32)
    y, x = np.mgrid[:64, :64]
    radius = np.hypot(y - 32, x - 40)
    hu[:, radius < 22] = 30
    hu[:, (radius < 20) & (radius > 17)] = 1000
    hu[1][np.hypot(y - 30, x - 44) < 4] = 95  # nearly white in the window of -20 to 100 HU
    hu[2][np.hypot(y - 10, x - 8) < 4] = 95
    scan = Scan(hu, axial_affine((5, 1, 1), hu.shape))
    recipe = Recipe("r", "both", "unet2d", size=64, field="slice", neighbors=0, windows=("brain render",))

    def answer(pictures):
        picture = pictures[..., pictures.shape[-1] // 2]
        return ModelOutput(((picture > 0.9) & (picture < 1)).astype(np.float32), np.full((len(pictures), 6), 0.3))

    marked = {}
    for within_skull in (False, True):
        model = planted_model(replace(recipe, within_skull=within_skull), answer)
        result = analyze(scan, Models(model, model))
        marked[within_skull] = np.unique(np.argwhere(result.mask)[:, 0]).tolist()
        assert (result.evidence.mask[2] > 0) is not within_skull
        assert result.evidence.mask[1] > 0
    assert marked == {False: [1, 2], True: [1]}


def white_model():
    """Blood where a picture is white; the slice scores come from it too."""
    recipe = Recipe("r", "both", "unet2d", size=64, field="slice", neighbors=0, windows=("brain render",))

    def answer(pictures):
        blood = bright(pictures)
        score = np.repeat(blood.max(axis=(1, 2))[:, None], 6, axis=1)
        return ModelOutput(blood, score, np.repeat(blood[..., None], 6, axis=-1))

    model = planted_model(recipe, answer)
    return Models(model, model)


def thin_disk(noise_hu):
    """The disk of 150 HU in slices of 0.625 mm, eight for each slice of 5 mm, with noise."""
    thick = np.where(disk().hu > 90, np.float32(150), disk().hu)
    thin = np.repeat(thick, 8, axis=0) + np.random.default_rng(4).normal(0, noise_hu, (40, 64, 64)).astype(np.float32)
    return Scan(thin, axial_affine((0.625, 1, 1), thin.shape))


@pytest.mark.parametrize("noise_hu", [14, 25])
def test_thin_noisy_slices_are_read_like_their_average_of_5_mm(noise_hu):
    thin = thin_disk(noise_hu)
    thick = Scan(thin.hu.reshape(5, 8, 64, 64).mean(axis=1), axial_affine((5, 1, 1), (5, 64, 64)))
    alone = analyze(replace(thin, spacing_known=False), white_model())
    expected, result = analyze(thick, white_model()), analyze(thin, white_model())
    assert alone.mask[:16].any() == (noise_hu == 25)  # its noise would be marked as blood
    np.testing.assert_array_equal(result.mask, np.repeat(expected.mask, 8, axis=0))
    assert not result.mask[:16].any()
    assert expected.marked_ml == pytest.approx((disk().hu > 90).sum() * 5 / 1000)
    assert result.marked_ml == pytest.approx(expected.marked_ml)
    assert result.scores == expected.scores
    for name in ("slice_scores", "heat", "disagreement"):
        np.testing.assert_array_equal(getattr(result, name), np.repeat(getattr(expected, name), 8, axis=0))
    assert result.scan is thin


@pytest.mark.parametrize("step_mm", [3, 5, 8])
def test_slices_of_3_mm_and_more_are_read_one_by_one(step_mm):
    request = []
    models = white_model()
    count = replace(models.segmenter, run=lambda p: (request.append(len(p)), models.segmenter.run(p))[1])
    scan = replace(disk(), affine=axial_affine((step_mm, 1, 1), (5, 64, 64)))
    result = analyze(scan, Models(count, count))
    assert request == [5, 5]
    assert np.array_equal(result.mask, scan.hu > 90)


def test_uneven_slices_get_the_ml_of_their_slabs():
    """The disk beside a gap of two slices counts 7.5 mm, and in a part with 2.5 mm slices 5 mm."""
    gap = replace(disk(), places=np.array([0, 1, 2, 4, 5.0]))
    result = analyze(gap, white_model())
    assert result.marked_ml == pytest.approx((gap.hu > 90).sum() * 7.5 / 1000)
    hu = np.repeat(disk().hu, [1, 1, 2, 1, 1], axis=0)
    two = Scan(hu, axial_affine((5, 1, 1), hu.shape), places=np.array([0, 1, 1.75, 2.25, 3, 4]))
    assert analyze(two, white_model()).marked_ml == pytest.approx((hu[2] > 90).sum() * 2 * 3.125 / 1000)


def test_a_model_with_depth_reads_blocks_and_every_slice_gets_its_own_answer():
    """Five slices in blocks of four: the second block holds one slice and air."""
    recipe = Recipe("r", "both", "unet2d", size=64, field="slice", depth=4, windows=("brain render",))

    def answer(pictures):
        assert pictures.shape == (1, 4, 64, 64, 1)
        blood = bright(pictures)
        return ModelOutput(blood, np.repeat(blood.max(axis=(2, 3))[..., None], 6, axis=-1))

    model, scan = planted_model(recipe, answer), disk(at=4)
    result = analyze(scan, Models(model, model))
    assert np.array_equal(result.mask, scan.hu > 90)
    assert result.slice_scores[:, ANY].tolist() == [0, 0, 0, 0, 1]
    assert not result.heat.any()  # there are no maps


@pytest.mark.parametrize("task", ["segment", "classify"])
def test_a_model_that_does_not_tell_what_its_task_promises_is_named(task):
    recipe = Recipe("r", task, "unet2d", size=64, field="slice", neighbors=0, windows=("brain render",))
    mute = planted_model(recipe, lambda pictures: ModelOutput())
    models = Models(mute, None) if task == "segment" else Models(None, mute)
    with pytest.raises(ValueError, match="lacks an output of its recipe"):
        analyze(disk(), models)


def test_scores_are_calibrated_only_by_what_was_fitted_for_the_pair():
    """The card says: double the logit of the score for every label. So 0.8 becomes 16 / 17."""
    recipe = Recipe("r", "classify", "densenet_bc", size=64, field="slice", neighbors=0)
    calibration = {"slices": [[2.0, 0.0]] * 6, "scans": [[1.0, 0.0]] * 6}
    output = planted_model(recipe, lambda p: ModelOutput(None, np.full((len(p), 6), 0.8)), {"calibration": calibration})
    result = analyze(disk(), Models(None, output))
    assert result.calibrated
    assert result.slice_scores == pytest.approx(np.full((5, 6), 16 / 17), abs=1e-6)
    assert result.evidence.classes == pytest.approx(np.full((5, 6), 0.8))
    other = planted_model(replace(recipe, task="segment"), lambda p: ModelOutput(bright(p)))
    assert not analyze(disk(), Models(other, output)).calibrated


def test_models_may_be_named_by_their_folder(bleeding_case, models):
    few = replace(bleeding_case.scan, hu=bleeding_case.scan.hu[16:18])
    assert analyze(few, WEIGHTS_FOLDER).slice_scores == pytest.approx(analyze(few, models).slice_scores, rel=1e-5)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        analyze(few, "nowhere")
