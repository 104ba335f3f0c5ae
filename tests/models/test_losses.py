import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss

from ich_lib.labels import ANY, LABELS
from ich_lib.models.losses import LOSSES, Tversky, WeightedBCE, dice_loss, iou_loss, negative_dice, rsna_log_loss
from tests.conftest import ROOT

PICTURES, VOLUMES, ROWS, CLASSES = (3, 6, 5, 1), (2, 4, 6, 5, 1), (4, 6), (4, 3)
SHAPES = [
    *[(name, shape) for name in LOSSES if name not in ("cce", "rsna") for shape in (PICTURES, VOLUMES, ROWS)],
    ("cce", CLASSES),
    ("cce", (3, 6, 5, 2)),
    ("rsna", ROWS),
]
# 4 pixels of truth; 2.0 of the score lies on them, 1.0 beside them.
TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0], "float32").reshape(1, 2, 4, 1)
SCORE = np.array([0.9, 0.5, 0.5, 0.1, 0.6, 0.4, 0.0, 0.0], "float32").reshape(1, 2, 4, 1)


def mean(loss, truth, score):
    return float(np.mean(keras.ops.convert_to_numpy(loss(truth, score))))


def masks(name, shape):
    """A random, an empty and a full mask. For classes: random, all in the first class, all in the last."""
    rng = np.random.default_rng(3)
    if name == "cce":
        numbers = [rng.integers(shape[-1], size=shape[:-1]), np.zeros(shape[:-1], int), np.full(shape[:-1], -1)]
        return [np.eye(shape[-1], dtype="float32")[group] for group in numbers]
    return [(rng.random(shape) < 0.3).astype("float32"), np.zeros(shape, "float32"), np.ones(shape, "float32")]


@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_every_loss_pulls_on_a_random_an_empty_and_a_full_mask(name, shape):
    logits = tf.Variable(np.random.default_rng(7).normal(size=shape).astype("float32"))
    for truth in masks(name, shape):
        with tf.GradientTape() as tape:
            score = tf.nn.softmax(logits) if name == "cce" else tf.sigmoid(logits)
            lost = tf.reduce_mean(LOSSES[name](truth, score))
        slope = tape.gradient(lost, logits).numpy()
        assert np.isfinite(slope).all()
        assert (np.abs(slope).reshape(shape[0], -1).max(axis=1) > 1e-6).all(), "a picture of the batch is not heard"


@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_every_loss_prefers_the_truth_to_its_opposite(name, shape):
    for truth in masks(name, shape):
        wrong = np.roll(truth, 1, axis=-1) if name == "cce" else 1 - truth
        assert mean(LOSSES[name], truth, truth) < mean(LOSSES[name], truth, wrong) - 0.1


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_comes_back_from_a_saved_model(name):
    """Its own settings are included: unequal settings change the value."""
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(LOSSES[name])))
    repeat = keras.saving.deserialize_keras_object(stored)
    shape = {"cce": CLASSES, "rsna": ROWS}.get(name, PICTURES)
    score = np.random.default_rng(1).uniform(0.1, 0.9, shape).astype("float32")
    truth = masks(name, shape)[0]
    assert mean(repeat, truth, score) == pytest.approx(mean(LOSSES[name], truth, score), abs=1e-7)


def test_settings_of_ones_own_are_saved_too():
    for loss in (Tversky(0.1, 0.9), WeightedBCE((3, 5), reduction="sum")):
        repeat = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert repeat.get_config() == loss.get_config()
        assert float(repeat(TRUTH, SCORE)) == float(loss(TRUTH, SCORE))


def test_a_model_trains_with_every_name():
    rng = np.random.default_rng(0)
    x, truth = rng.normal(size=(8, 4)).astype("float32"), np.eye(6, dtype="float32")[rng.integers(6, size=8)]
    for name, loss in LOSSES.items():
        keras.utils.set_random_seed(0)
        end = "softmax" if name == "cce" else "sigmoid"
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, activation=end)])
        model.compile(keras.optimizers.Adam(0.1), loss)
        fell = model.fit(x, truth, epochs=6, batch_size=8, verbose=0).history["loss"]
        assert fell[-1] < fell[0], name


def test_soft_overlaps_on_paper():
    """Shared 2, beside 1, missed 2, and half a pixel above and below the line."""
    assert mean(dice_loss, TRUTH, SCORE) == pytest.approx(1 - 2.5 / 4)  # 2 + 1/2 + 2/2 + 0.5
    assert mean(negative_dice, TRUTH, SCORE) == pytest.approx(-2.5 / 4)
    assert mean(iou_loss, TRUTH, SCORE) == pytest.approx(1 - 2.5 / 5.5)  # 2 + 1 + 2 + 0.5
    assert mean(Tversky(0.3, 0.7), TRUTH, SCORE) == pytest.approx(1 - 2.5 / 4.2)  # 2 + 0.3 + 1.4 + 0.5
    assert mean(LOSSES["dice_bce"], TRUTH, SCORE) == pytest.approx(mean(LOSSES["bce"], TRUTH, SCORE) + 1 - 5 / 8)


def test_every_picture_counts_the_same_in_dice_however_large_its_bleed():
    large, small = np.zeros((2, 10, 10, 1), "float32")
    large[:9], small[0, 0] = 1, 1
    truth, score = np.stack([large, small]), np.stack([large, np.zeros_like(small)])
    assert mean(dice_loss, truth, score) == pytest.approx((0 + 0.5) / 2)  # 0.5 / (0.5 * 1 + 0.5) is missed
    assert mean(LOSSES["dice_bce"], truth, score) < 0.2  # one missed pixel of 91


def test_dice_and_iou_are_tversky_with_equal_prices_and_tied_to_each_other():
    rng = np.random.default_rng(5)
    truth, score = (rng.random(PICTURES) < 0.4).astype("float32"), rng.random(PICTURES).astype("float32")
    soft_dice = 1 - np.asarray(dice_loss(truth, score))
    assert mean(Tversky(0.5, 0.5), truth, score) == pytest.approx(1 - soft_dice.mean(), abs=1e-6)
    np.testing.assert_allclose(1 - np.asarray(iou_loss(truth, score)), soft_dice / (2 - soft_dice), atol=1e-6)


def test_a_miss_costs_more_than_a_false_alarm_where_the_name_says_so():
    item = np.ones((1, 1, 1, 1), "float32")
    for name, ratio in {"weighted_bce": 4, "fn_costly": 10, "bce": 1}.items():
        missed, alarm = mean(LOSSES[name], item, 0.1 * item), mean(LOSSES[name], 0 * item, 0.9 * item)
        assert missed / alarm == pytest.approx(ratio, rel=1e-5), name
    combined = np.array([1, 1, 0, 0], "float32").reshape(1, 2, 2, 1)
    missed = np.array([1, 0, 0, 0], "float32").reshape(combined.shape)
    alarm = np.array([1, 1, 1, 0], "float32").reshape(combined.shape)
    assert mean(Tversky(0.3, 0.7), combined, missed) > mean(Tversky(0.7, 0.3), combined, missed)
    assert mean(Tversky(0.3, 0.7), combined, alarm) < mean(Tversky(0.7, 0.3), combined, alarm)


def test_a_score_trained_with_a_cost_of_ten_says_one_half_where_one_in_eleven_bleeds():
    truth, says = np.eye(11, 1, dtype="float32"), np.linspace(0.01, 0.99, 99)
    lost = [mean(LOSSES["fn_costly"], truth, np.full_like(truth, score)) for score in says]
    assert says[np.argmin(lost)] == pytest.approx(0.5)


def test_weighted_bce_agrees_with_sample_weights_of_scikit_learn():
    rng = np.random.default_rng(2)
    truth, score = (rng.random(50) < 0.3).astype("float32"), rng.uniform(0.05, 0.95, 50).astype("float32")
    weight = np.where(truth, 0.8, 0.2)
    oracle = log_loss(truth, score, sample_weight=weight, normalize=False) / 50
    assert mean(LOSSES["weighted_bce"], truth[:, None], score[:, None]) == pytest.approx(oracle, rel=1e-5)


def test_focal_is_the_formula_of_the_paper():
    rng = np.random.default_rng(2)
    truth, score = (rng.random(ROWS) < 0.3).astype("float32"), rng.uniform(0.05, 0.95, ROWS).astype("float32")
    right = np.where(truth, score, 1 - score)
    assert mean(LOSSES["focal"], truth, score) == pytest.approx((-((1 - right) ** 2) * np.log(right)).mean(), rel=1e-5)


def test_cce_is_minus_the_log_of_the_score_of_the_right_class():
    score = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]], "float32")
    truth = np.array([[1, 0, 0], [0, 0, 1]], "float32")
    assert mean(LOSSES["cce"], truth, score) == pytest.approx(-(np.log(0.7) + np.log(0.5)) / 2, rel=1e-5)


def test_the_rsna_loss_counts_any_twice():
    """Only one label is uncertain (score 0.5): log 2 over a weight of 7, and twice that if it is `any`."""
    truth = np.zeros((len(LABELS), len(LABELS)), "float32")
    score = np.eye(len(LABELS), dtype="float32") / 2
    expected = np.full(len(LABELS), np.log(2) / 7)
    expected[ANY] *= 2
    np.testing.assert_allclose(np.asarray(rsna_log_loss(truth, score)), expected, atol=1e-6)


def test_the_rsna_loss_agrees_with_scikit_learn_label_by_label():
    rng = np.random.default_rng(4)
    truth, score = (rng.random((30, 6)) < 0.4).astype("float32"), rng.uniform(0.02, 0.98, (30, 6)).astype("float32")
    columns = [log_loss(truth[:, i], score[:, i], labels=[0, 1]) for i in range(6)]
    assert mean(rsna_log_loss, truth, score) == pytest.approx(np.average(columns, weights=[1, 1, 1, 1, 1, 2]), rel=1e-5)


def test_an_iou_cut_at_one_half_inside_the_loss_teaches_nothing():
    """The published fault: after `> 0.5` no weight has a slope. The soft IoU has one."""

    def hard_iou(truth, score):
        called = tf.cast(score > 0.5, tf.float32)
        shared = tf.reduce_sum(truth * called)
        return 1 - shared / (tf.reduce_sum(truth) + tf.reduce_sum(called) - shared)

    score = tf.Variable(SCORE)
    with tf.GradientTape(persistent=True) as tape:
        hard, soft = hard_iou(TRUTH, score), tf.reduce_mean(iou_loss(TRUTH, score))
    assert 0 < float(hard) < 1
    assert not tape.gradient(hard, score, unconnected_gradients="zero").numpy().any()
    assert tape.gradient(soft, score).numpy().all()


def test_why_the_dice_and_the_tversky_of_keras_are_not_used():
    """On an empty picture the slope is zero. Misses (2 of 4 pixels, no false alarm) are weighted by alpha, not beta."""
    score, empty = tf.Variable(SCORE), np.zeros_like(TRUTH)
    with tf.GradientTape(persistent=True) as tape:
        reference, actual = keras.losses.dice(empty, score), tf.reduce_mean(dice_loss(empty, score))
    assert not tape.gradient(reference, score).numpy().any()
    assert tape.gradient(actual, score).numpy().all()
    half = TRUTH * np.array([1, 1, 0, 0], "float32")[None, None, :, None]
    beta_is_free = float(keras.losses.tversky(TRUTH, half, alpha=1.0, beta=0.0))
    assert beta_is_free == pytest.approx(0.5)
    assert float(Tversky(false_alarm=1.0, miss=0.0)(TRUTH, half)) == pytest.approx(0)


def test_axes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"including the last one: truth\[..., None\]"):
        dice_loss(TRUTH[..., 0], SCORE)
    with pytest.raises(ValueError, match=r"takes \(n, 6\)"):
        rsna_log_loss(TRUTH, SCORE)
    with pytest.raises(ValueError, match="two positive numbers"):
        WeightedBCE((0.2,))


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_values_are_the_same_without_tensorflow(backend):
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed.")
    code = """
import json, sys, keras, numpy as np
from ich_lib.models.losses import LOSSES
pair = np.array(json.load(sys.stdin), "float32")
print(json.dumps({name: float(np.mean(keras.ops.convert_to_numpy(loss(*pair)))) for name, loss in LOSSES.items()}))
"""
    rng = np.random.default_rng(0)
    truth, score = np.eye(6)[rng.integers(6, size=5)].astype("float32"), rng.uniform(0.1, 0.9, (5, 6)).astype("float32")
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([truth.tolist(), score.tolist()]),
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    output = json.loads(run.stdout.splitlines()[-1])
    assert output == pytest.approx({name: mean(loss, truth, score) for name, loss in LOSSES.items()}, rel=1e-5)
