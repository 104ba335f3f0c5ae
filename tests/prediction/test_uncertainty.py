from dataclasses import replace

import numpy as np
import pytest

from ich_lib.labels import ANY
from ich_lib.models.recipe import Recipe
from ich_lib.prediction.analyze import UNSURE, analyze
from ich_lib.prediction.engine import Model, ModelOutput, Models
from ich_lib.prediction.uncertainty import (
    EVEN_CHANCE,
    Uncertainty,
    ensemble_members,
    entropy,
    estimate_uncertainty,
    keep_dropout_on,
    mc_dropout_members,
    probability_word,
    score_text,
    tta_members,
)
from ich_lib.scan import Scan, axial_affine
from tests.planted import untrained_run

RECIPE = Recipe("r", "both", "unet2d", size=64, field="slice", neighbors=0, windows=("brain render",))


def models_of(answer, recipe=RECIPE):
    model = Model("r", recipe, "0" * 64, answer, {})
    return Models(model, model)


def saying(blood, score):
    """Models that give every pixel the first value and every label the second, whatever the picture is."""
    return models_of(
        lambda pictures: ModelOutput(
            np.full(pictures.shape[:3], blood, np.float32), np.full((len(pictures), 6), score, np.float32)
        )
    )


def disk(slices=3, at=1, x=12):
    """Brain of 30 HU; a disk of 95 HU on the patient's right of one slice."""
    hu = np.full((slices, 64, 64), 30, np.float32)
    rows, columns = np.mgrid[:64, :64]
    hu[at][np.hypot(rows - 20, columns - x) < 8] = 95
    return Scan(hu, axial_affine((5, 1, 1), hu.shape))


@pytest.mark.parametrize(
    ("probability", "word"),
    [
        (1.0, "virtually certain"), (0.99, "virtually certain"), (0.989, "very likely"), (0.9, "very likely"),
        (0.899, "likely"), (0.66, "likely"), (0.659, EVEN_CHANCE), (0.33, EVEN_CHANCE), (0.329, "unlikely"),
        (0.1, "unlikely"), (0.099, "very unlikely"), (0.01, "very unlikely"), (0.009, "exceptionally unlikely"),
        (0.0, "exceptionally unlikely"),
    ],
)  # fmt: skip
def test_words_change_at_the_edges_of_their_bands(probability, word):
    assert probability_word(probability) == word


def test_a_word_is_chosen_by_the_unrounded_probability():
    assert probability_word(0.9 - 1e-9) == "likely"
    assert probability_word(np.float32(0.9)) == "very likely"  # 0.9 in the model's own precision


@pytest.mark.parametrize(
    ("score", "threshold", "text"),
    [(0.4996, 0.5, "<0.50"), (0.5, 0.5, "0.50"), (0.5004, 0.5, "0.50"), (0.494, 0.5, "0.49"), (0.3, 0.42, "0.30")],
)
def test_a_score_never_seems_to_reach_a_threshold_it_stays_under(score, threshold, text):
    assert score_text(score, threshold) == text


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_no_word_for_what_is_no_probability(wrong):
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        probability_word(wrong)


def test_entropy_in_bits_on_paper():
    quarter = 2 - 0.75 * np.log2(3)
    assert entropy(np.array([0, 0.25, 0.5, 0.75, 1])) == pytest.approx([0, quarter, 1, quarter, 0])


def test_a_model_that_treats_left_and_right_alike_has_no_doubt():
    def answer(pictures):
        blood = (pictures[..., 0] > 0.9).astype(np.float32)
        return ModelOutput(blood, np.repeat(blood.max(axis=(1, 2))[:, None], 6, axis=1))

    result = analyze(disk(), models_of(answer))
    assert result.slice_scores[1, ANY] > 0.9
    assert result.disagreement.tolist() == [0, 0, 0]
    assert result.unsure_slices == ()


def test_a_model_that_looks_left_only_is_unsure_where_one_side_bleeds():
    """The model scores the left half of the picture: 0.9 straight and 0.2 mirrored, and the mask adds nothing. So
    the plain mean of mask and score is 0.35."""

    def answer(pictures):
        visited = (pictures[:, :, :32, 0] > 0.9).any(axis=(1, 2))
        score = np.where(visited, 0.9, 0.2).astype(np.float32)
        return ModelOutput(np.zeros(pictures.shape[:3], np.float32), np.repeat(score[:, None], 6, axis=1))

    result = analyze(disk(), models_of(answer))
    assert result.disagreement == pytest.approx([0, 0.35, 0], abs=1e-6)
    assert result.unsure_slices == (1,)
    single = replace(models_of(answer), segmenter=None)
    assert analyze(disk(), single).disagreement == pytest.approx([0, 0.7, 0], abs=1e-6)
    assert replace(result, disagreement=np.array([UNSURE, 0, 1])).unsure_slices == (0, 2)


def test_two_members_on_paper():
    """Blood 0 and 1: the mean is one half, which is one bit, and all of it is disagreement. Scores 0.25 and 0.75 of
    a classifier: one bit in total; each member alone has 0.811 bits, so 0.189 is disagreement."""
    result = estimate_uncertainty(disk(), [saying(0, 0.25), saying(1, 0.75)])
    assert np.all(result.blood == 0.5)
    assert np.all(result.total_entropy == 1)
    assert np.all(result.disagreement == 1)
    assert result.mask_dice == 0
    scores = [Models(None, saying(0, score).classifier) for score in (0.25, 0.75)]
    output = estimate_uncertainty(disk(), scores)
    assert output.scan_scores == pytest.approx([0.25, 0.75])
    assert output.scan_total == pytest.approx(1)
    assert output.scan_disagreement == pytest.approx(1 - (2 - 0.75 * np.log2(3)))
    assert output.mask_dice == 1  # all masks are empty


def test_members_that_agree_leave_only_what_each_finds_open():
    output = []
    result = estimate_uncertainty(disk(), [saying(0.25, 0.5)] * 3, progress=output.append)
    assert np.allclose(result.total_entropy, 2 - 0.75 * np.log2(3), atol=1e-3)
    assert not result.disagreement.any()
    assert result.scan_disagreement == 0
    assert output == pytest.approx([1 / 3, 2 / 3, 1])


def test_one_member_cannot_disagree():
    with pytest.raises(ValueError, match="two members or more; got 1"):
        estimate_uncertainty(disk(), [saying(0, 0)])


def test_turned_views_see_a_turned_picture_and_bring_its_map_back():
    """The mask follows the disk for every turn. A quarter turn moves a disk from the right to the bottom."""
    visited = []

    def answer(pictures):
        visited.append(np.argwhere(pictures[len(pictures) // 2, ..., 0] > 0.9).mean(axis=0))
        blood = (pictures[..., 0] > 0.9).astype(np.float32)
        score = np.repeat(blood.max(axis=(1, 2))[:, None], 6, axis=1)
        return ModelOutput(blood, score, np.repeat(blood[..., None], 6, axis=-1))

    members = tta_members(models_of(answer), [(0, 0.0), (90, 0.0), (0, 0.125)])
    assert all(member.segmenter is member.classifier for member in members)
    result = estimate_uncertainty(disk(), members)
    assert visited[0] == pytest.approx([20, 12], abs=0.5)
    assert visited[2] == pytest.approx([63 - 12, 20], abs=0.7)  # counter-clockwise, as cv2 turns
    assert visited[4] == pytest.approx([28, 20], abs=0.7)
    truth = disk().hu > 90
    assert ((result.blood > 0.5) == truth).mean() > 0.995
    assert result.mask_dice > 0.9
    with pytest.raises(ValueError, match="Models with depth cannot be used here"):
        tta_members(models_of(None, replace(RECIPE, depth=4)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tiny = replace(RECIPE, options={"filters": (4, 8)}, size=32)
    return untrained_run(tmp_path_factory.mktemp("runs") / "tiny", tiny, {"q": 1}, 0)


def test_dropout_is_on_and_batch_normalization_is_left_alone(run):
    """Two calls differ and no moving statistic changes. The mean of many passes is close to the answer without
    dropout. With statistics of the batch it would not be, because the random numbers are far from mean 0 and
    variance 1."""
    model = run.model()
    copy = keep_dropout_on(model, seed=3)
    pictures = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
    before = [w.copy() for w in copy.get_weights()]
    passes = np.stack([copy.predict_on_batch(pictures)[1] for _ in range(60)])
    assert passes.std(axis=0).max() > 1e-3
    assert all(np.array_equal(a, b) for a, b in zip(before, copy.get_weights(), strict=True))
    assert passes.mean(axis=0) == pytest.approx(model.predict_on_batch(pictures)[1], abs=0.02)
    repeat = keep_dropout_on(model, seed=3)
    assert repeat.predict_on_batch(pictures)[1] == pytest.approx(passes[0], abs=1e-5)


def test_a_run_dropped_and_an_ensemble_of_runs_disagree(run):
    members = mc_dropout_members(run.folder, 3)
    assert len(members) == 3
    assert members[0].segmenter is members[0].classifier
    result = estimate_uncertainty(disk(slices=2), members)
    assert isinstance(result, Uncertainty)
    assert 0 < result.scan_disagreement < result.scan_total < 1
    same = estimate_uncertainty(disk(slices=2), ensemble_members([run.folder, run.folder]))
    assert same.scan_disagreement == pytest.approx(0, abs=1e-6)


def test_a_model_without_dropout_is_refused():
    from ich_lib.models.builders import unet2d

    with pytest.raises(ValueError, match="has no dropout, so its predictions never differ"):
        keep_dropout_on(unet2d((16, 16, 1), filters=(2, 4), dropout=0.0))
