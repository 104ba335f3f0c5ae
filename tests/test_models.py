import keras
import numpy as np
import pytest

from ich_lib.losses import dice_bce, slice_dice_bce
from ich_lib.models import build, densenet_bc, unet2d
from ich_lib.recipes import RECIPES, from_json, recipe


def test_the_small_unet_has_about_two_million_parameters_counted_on_paper():
    """Convolutions without bias, 4 numbers a normalized channel, one 1x1 with bias."""
    filters, channels = (16, 32, 64, 128, 256), 6

    def pair(came, f):
        return 9 * came * f + 4 * f + 9 * f * f + 4 * f

    down = sum(pair(c, f) for c, f in zip((channels, *filters[:-1]), filters, strict=True))
    up = sum(pair(below + f, f) for below, f in zip(filters[:0:-1], filters[-2::-1], strict=True))
    assert build(recipe("unet-small")).count_params() == down + up + 16 + 1 == 1_967_473


def test_the_densenet_ends_in_one_pooling_and_one_dense_layer():
    model = build(recipe("densenet-small"))
    assert [layer.name for layer in model.layers[-4:]] == ["features", "pool", "pool_drop", "scores"]
    assert model.get_layer("features").output.shape == (None, 12, 12, model.get_layer("pool").output.shape[-1])
    assert model.get_layer("scores").count_params() == (model.get_layer("pool").output.shape[-1] + 1) * 6


@pytest.mark.parametrize("name", RECIPES)
def test_a_model_gives_probabilities_of_the_right_shape(name):
    model = build(recipe(name))
    out = model.predict(np.random.default_rng(0).random((2, *model.input_shape[1:]), np.float32), verbose=0)
    assert out.shape == ((2, 192, 192, 1) if recipe(name).task == "segment" else (2, 6))
    assert 0 <= out.min() <= out.max() <= 1


def test_weights_do_not_depend_on_the_precision_they_were_trained_in():
    low, full = (unet_weights(precision) for precision in ("mixed_bfloat16", "float32"))
    assert [(w.shape, w.dtype) for w in low] == [(w.shape, w.dtype) for w in full]


def unet_weights(precision):
    from tests.conftest import tiny_recipes

    before = keras.config.dtype_policy()
    weights = build(tiny_recipes()[0], precision=precision).get_weights()
    assert keras.config.dtype_policy() == before
    return weights


def test_a_picture_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="only if 4 divides it"):
        unet2d((30, 32, 1), filters=(4, 8, 16))


def test_every_layer_is_named_for_its_place():
    for model in (unet2d((32, 32, 1), filters=(4, 8)), densenet_bc((32, 32, 1), blocks=(1, 1), growth=4)):
        assert not [layer.name for layer in model.layers if layer.name.split("_")[0] in {"conv2d", "batch", "re"}]


def test_a_recipe_survives_its_json_and_a_strange_key_is_refused():
    small = recipe("unet-small")
    assert from_json({**small.as_json(), "windows": list(small.windows)}).windows == small.windows
    assert from_json(small.as_json()).channels == 6
    with pytest.raises(ValueError, match="holds 'color', which no recipe has"):
        from_json({**small.as_json(), "color": 1})
    with pytest.raises(ValueError, match="No recipe is called 'resnet'; choose from unet-small"):
        recipe("resnet")


def test_dice_bce_on_paper():
    """A perfect mask costs nothing; an empty answer to one pixel of four costs one minus 1/2 plus its cross-entropy."""
    truth = np.array([1, 0, 0, 0], np.float32).reshape(1, 2, 2, 1)
    assert float(dice_bce(truth, truth)) == pytest.approx(0, abs=1e-5)
    empty = np.full_like(truth, 1e-7)
    assert float(dice_bce(truth, empty)) == pytest.approx(-np.log(1e-7) / 4 + 1 - 1 / 2, rel=1e-4)


def test_every_bleeding_slice_weighs_the_same_in_slice_dice():
    """One pixel missed of one loses 1 - 1/2, sixteen of sixteen 1 - 1/17; the clean slice does not count."""
    truth = np.zeros((3, 4, 4, 1), np.float32)
    truth[0, 0, 0], truth[1] = 1, 1
    empty = np.full_like(truth, 1e-7)
    lost = (1 - 1 / 2 + 1 - 1 / 17) / 2
    assert float(slice_dice_bce(truth, empty)) == pytest.approx(-np.log(1e-7) * 17 / 48 + lost, rel=1e-4)
    assert float(slice_dice_bce(truth, truth)) == pytest.approx(0, abs=1e-5)
    assert float(slice_dice_bce(truth[2:], truth[2:])) == pytest.approx(0, abs=1e-5)
