from dataclasses import replace

import cv2
import numpy as np
import pytest

from ich_lib.batches import Batches, Stack, Still, centered, intracranial, moved, paste, phantom_stacks
from ich_lib.labels import ANY
from ich_lib.recipes import Recipe

RECIPE = Recipe("r", "segment", "unet2d", size=64, batch=6, steps=4, seed=3)


@pytest.fixture(scope="module")
def heads():
    return phantom_stacks(6, 1)


def test_the_same_seed_epoch_and_index_give_the_same_batch(heads):
    one, two = Batches(heads, [], RECIPE), Batches(heads, [], RECIPE)
    assert all(np.array_equal(a, b) for a, b in zip(one.batch(2, 1), two.batch(2, 1), strict=True))
    assert not np.array_equal(one.batch(2, 1)[0], one.batch(2, 2)[0])
    assert not np.array_equal(one.batch(2, 1)[0], one.batch(3, 1)[0])


def test_shapes_ranges_and_binary_masks(heads):
    pictures, masks = Batches(heads, heads, RECIPE).batch(0, 0)
    assert (pictures.shape, pictures.dtype) == ((6, 64, 64, 6), np.float32)
    assert 0 <= pictures.min() < pictures.max() <= 1
    assert masks.shape == (6, 64, 64, 1)
    assert set(np.unique(masks)) <= {0, 1}
    labels = Batches(heads, heads, replace(RECIPE, task="classify")).batch(0, 0)[1]
    assert labels.shape == (6, 6)


def test_the_mix_is_kept(heads):
    """Half of the samples with blood, half clean: of 240 samples 100 to 140 bleed (four standard deviations)."""
    recipe = replace(RECIPE, task="classify", batch=48, size=16, mix=(0.5, 0, 0.5, 0))
    labels = np.concatenate([Batches(heads, [], recipe).batch(0, i)[1] for i in range(5)])
    assert 89 <= labels[:, ANY].sum() <= 151


def test_pasted_blood_brings_its_label_and_mask_into_a_clean_slice(heads):
    recipe = replace(RECIPE, batch=16, mix=(0, 1, 0, 0))
    pictures, masks = Batches(heads, [], recipe).batch(0, 0)
    labels = Batches(heads, [], replace(recipe, task="classify")).batch(0, 0)[1]
    assert 4 <= labels[:, ANY].sum() <= 16
    assert (masks.any(axis=(1, 2, 3)) <= (labels[:, ANY] > 0)).all()
    inside = pictures[..., 2][masks[..., 0] > 0]  # the slice itself through the brain render window
    assert np.median(inside) > (45 + 20) / 120  # brighter than 45 HU


def test_picture_and_mask_move_as_one():
    """A bright square and its mask, moved twenty times: where the mask is, the picture is bright, and nowhere else."""
    hu, blood = np.zeros((1, 256, 256), np.float32), np.zeros((256, 256), np.uint8)
    hu[0, 100:140, 90:150], blood[100:140, 90:150] = 100, 255
    rng = np.random.default_rng(0)
    for _ in range(20):
        planes, mask = moved(hu, blood, 192, rng)
        assert ((planes[0] >= 50) == (mask > 0)).mean() > 0.999
        assert mask.sum() > 500


def test_unmoved_slices_show_the_head_box_and_nothing_more():
    """The stored square is 1.25 times the box: its inner 80 % fills the model's picture."""
    hu, blood = np.zeros((1, 256, 256), np.float32), np.zeros((256, 256), np.uint8)
    blood[26:230, 26:230] = 255
    _, mask = centered(hu, blood, 192)
    assert mask.mean() > 0.98


def test_pasting_leaves_its_input_alone_and_stays_inside_the_skull():
    hu, source = np.full((3, 64, 64), 30, np.float32), np.full((3, 64, 64), 70, np.float32)
    inside = np.zeros((3, 64, 64), np.uint8)
    inside[:, :, :32] = 255
    blood = np.zeros((3, 64, 64), np.uint8)
    blood[:, 16:48, 16:48] = 255
    pasted, share = paste(hu, inside, source, blood, np.random.default_rng(1))
    assert (hu == 30).all()
    assert share[:, :, 32:].max() == 0
    assert pasted[share == 0] == pytest.approx(30, abs=0.2)
    assert pasted[share > 250].mean() > 60


def test_the_inside_of_a_ring_is_found_and_an_open_ring_has_none():
    hu = np.full((100, 100), -1000, np.float32)
    cv2.circle(hu, (50, 50), 40, 1000, 4)
    cv2.circle(hu, (50, 50), 37, 30, -1)
    inside = intracranial(hu)
    assert inside[50, 50] == 255
    assert inside[2, 2] == 0
    assert 0.3 < (inside > 0).mean() < 0.45
    hu[45:75, 60:] = 30
    assert intracranial(hu)[50, 50] == 0


def test_validation_shows_every_slice_once_and_unchanged(heads):
    still = Still(heads[:2], RECIPE)
    pictures = np.concatenate([still[i][0] for i in range(len(still))])
    assert len(pictures) == sum(len(head.hu) for head in heads[:2])
    assert np.array_equal(still[0][0], Still(heads[:2], RECIPE)[0][0])


def test_an_epoch_never_runs_dry(heads):
    batches = Batches(heads[:2], [], replace(RECIPE, steps=50, size=16, mix=(0.5, 0, 0.5, 0)))
    assert len(batches) == 50
    assert all(len(batches[i][0]) == 6 for i in (0, 49))


def test_heads_without_blood_cannot_train():
    clean = Stack("p", *(np.zeros((2, 256, 256), t) for t in (np.int16, np.uint8, np.uint8)), np.zeros((2, 6), bool))
    with pytest.raises(ValueError, match="slices with blood and slices without"):
        Batches([clean], [], RECIPE)
