from dataclasses import replace

import keras
import numpy as np
import pytest

from ich_lib.labels import SCHEMES
from ich_lib.models.backbones import BACKBONES, backbone
from ich_lib.models.builders import (
    alexnet_004,
    build,
    cnn_rnn,
    densenet_bc,
    list_models,
    se_resnext,
    unet2d,
    unet3d,
    unet_002,
    unet_ensemble,
)
from ich_lib.models.losses import dice_bce, slice_dice_bce
from ich_lib.models.recipe import recipe_from_json
from ich_lib.models.recipes import get_recipe

OURS = ("unet-small", "densenet-small", "unet-2d", "unet-2.5d", "attention-unet", "ensemble-small")
AUTOMATIC = {"conv2d", "conv3d", "batch", "re", "max", "up", "concatenate", "dense", "dropout", "flatten", "multiply"}
SCALED_AS = {  # in keras.applications; EfficientNet: see the test
    "EfficientNetB4": "densenet",
    "DenseNet121": "densenet",
    "DenseNet169": "densenet",
    "MobileNetV2": "mobilenet_v2",
    "InceptionV3": "inception_v3",
    "ResNet50": "resnet50",
}


def pair(came, filters, kernel=9):
    """Parameters of two convolutions with bias: `kernel` weights a channel in and out."""
    return kernel * came * filters + filters + kernel * filters**2 + filters


def transposed_parameters(came, filters):
    """Of a 2x2 transposed convolution with bias."""
    return 4 * came * filters + filters


def test_the_small_unet_has_about_two_million_parameters_counted_on_paper():
    """Convolutions without bias, 4 numbers a normalized channel, one 1x1 with bias."""
    filters, channels = (16, 32, 64, 128, 256), 6

    def pair(came, f):
        return 9 * came * f + 4 * f + 9 * f * f + 4 * f

    down = sum(pair(c, f) for c, f in zip((channels, *filters[:-1]), filters, strict=True))
    up = sum(pair(below + f, f) for below, f in zip(filters[:0:-1], filters[-2::-1], strict=True))
    assert build(get_recipe("unet-small")).count_params() == down + up + 16 + 1 == 1_967_473


def test_one_network_for_mask_and_scores_adds_one_dense_layer_to_the_unet():
    """256 pooled features to 6 scores: 257 * 6 = 1,542 more. The mask's layers keep their names and shapes."""
    combined, single = build(get_recipe("unet-both")), build(get_recipe("unet-small"))
    assert combined.count_params() == single.count_params() + 257 * 6 == 1_969_015
    assert [tuple(out.shape) for out in combined.outputs] == [(None, 192, 192, 1), (None, 6)]
    assert combined.get_layer("features").output.shape == (None, 12, 12, 256)
    for layer in single.layers:
        assert [w.shape for w in combined.get_layer(layer.name).weights] == [w.shape for w in layer.weights]


def test_an_ensemble_is_the_mean_of_its_members():
    """Its members, rebuilt alone with the same weights, give the two answers whose mean it gives."""
    options = ({"filters": (4, 8)}, {"filters": (6, 12), "dropout": 0.0})
    model = unet_ensemble((16, 16, 2), members=options)
    picture = np.random.default_rng(0).random((2, 16, 16, 2), np.float32)
    answers = []
    for i, item in enumerate(options, start=1):
        single = unet2d((16, 16, 2), **item)
        for layer in single.layers:
            if layer.weights:
                layer.set_weights(model.get_layer(f"member{i}_{layer.name}").get_weights())
        answers.append(single.predict(picture, verbose=0))
    assert model.count_params() == sum(unet2d((16, 16, 2), **entry).count_params() for entry in options)
    assert not np.allclose(*answers, atol=1e-3)
    assert model.predict(picture, verbose=0) == pytest.approx(np.mean(answers, axis=0), abs=1e-5)
    with pytest.raises(ValueError, match="two members or more; got 1"):
        unet_ensemble((16, 16, 2), members=options[:1])


def test_only_the_recurrent_layer_lets_a_slice_know_its_neighbors():
    """A change in slice 0 changes the scores of slice 3. If the memory forgets everything, it does not."""
    model = cnn_rnn((4, 16, 16, 2), filters=(4, 8), memory=3)
    assert model.output_shape == (None, 4, 6)
    scan = np.random.default_rng(0).random((1, 4, 16, 16, 2), np.float32)
    other = scan.copy()
    other[0, 0] += 1
    moved = np.abs(model.predict(scan, verbose=0) - model.predict(other, verbose=0))[0].max(axis=1)
    assert moved.min() > 0
    both_ways = model.get_layer("both_ways")
    both_ways.set_weights([w * 0 if w.shape == (3, 12) else w for w in both_ways.get_weights()])  # recurrent kernels
    forward = both_ways.forward_layer
    forward.set_weights([*forward.get_weights()[:2], np.where(np.arange(12) // 3 == 1, -50, 0).astype(np.float32)])
    backward = both_ways.backward_layer
    backward.set_weights([*backward.get_weights()[:2], np.where(np.arange(12) // 3 == 1, -50, 0).astype(np.float32)])
    moved = np.abs(model.predict(scan, verbose=0) - model.predict(other, verbose=0))[0].max(axis=1)
    assert moved[0] > 0
    assert moved[1:].max() < 1e-6


def test_the_densenet_ends_in_one_pooling_and_one_dense_layer():
    model = build(get_recipe("densenet-small"))
    assert [layer.name for layer in model.layers[-4:]] == ["features", "pool", "pool_drop", "scores"]
    assert model.get_layer("features").output.shape == (None, 12, 12, model.get_layer("pool").output.shape[-1])
    assert model.get_layer("scores").count_params() == (model.get_layer("pool").output.shape[-1] + 1) * 6


@pytest.mark.parametrize("name", OURS)
def test_a_model_gives_probabilities_of_the_right_shape(name):
    model = build(get_recipe(name))
    out = model.predict(np.random.default_rng(0).random((2, *model.input_shape[1:]), np.float32), verbose=0)
    assert out.shape == ((2, 192, 192, 1) if get_recipe(name).task == "segment" else (2, 6))
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
    small = (
        unet2d((32, 32, 1), filters=(4, 8), gates=True),
        unet_002((32, 32, 1), filters=(4, 8), dropout=0.1),
        unet3d((8, 8, 8, 1), filters=(4, 8)),
        alexnet_004((96, 96, 1), dense=4),
        se_resnext((64, 64, 1), blocks=(1, 1), width=32),
        densenet_bc((32, 32, 1), blocks=(1, 1), growth=4),
        cnn_rnn((2, 16, 16, 1), filters=(4, 8), memory=3),
        unet_ensemble((16, 16, 1), members=({"filters": (4, 8)}, {"filters": (4, 8)})),
    )
    for model in small:
        assert not [layer.name for layer in model.layers if layer.name.split("_")[0] in AUTOMATIC]


def test_a_recipe_survives_its_json_and_a_strange_key_is_refused():
    small = get_recipe("unet-small")
    assert recipe_from_json({**small.as_json(), "windows": list(small.windows)}).windows == small.windows
    assert recipe_from_json(small.as_json()).channels == 6
    with pytest.raises(ValueError, match="holds 'color', which is not a field of a recipe"):
        recipe_from_json({**small.as_json(), "color": 1})
    with pytest.raises(ValueError, match="No recipe is called 'resnet'; choose from unet-lite0-first, unet-lite0"):
        get_recipe("resnet")


def test_dice_bce_on_paper():
    """A perfect mask costs nothing. An empty answer to one pixel of four costs one minus 1/2 plus its cross-entropy."""
    truth = np.array([1, 0, 0, 0], np.float32).reshape(1, 2, 2, 1)
    assert float(np.mean(dice_bce(truth, truth))) == pytest.approx(0, abs=1e-5)
    empty = np.full_like(truth, 1e-7)
    assert float(np.mean(dice_bce(truth, empty))) == pytest.approx(-np.log(1e-7) / 4 + 1 - 1 / 2, rel=1e-4)


def test_every_bleeding_slice_weighs_the_same_in_slice_dice():
    """One missed pixel of one costs 1 - 1/2, sixteen of sixteen cost 1 - 1/17. The clean slice does not count."""
    truth = np.zeros((3, 4, 4, 1), np.float32)
    truth[0, 0, 0], truth[1] = 1, 1
    empty = np.full_like(truth, 1e-7)
    lost = (1 - 1 / 2 + 1 - 1 / 17) / 2
    assert float(np.mean(slice_dice_bce(truth, empty))) == pytest.approx(-np.log(1e-7) * 17 / 48 + lost, rel=1e-4)
    assert float(np.mean(slice_dice_bce(truth, truth))) == pytest.approx(0, abs=1e-5)
    assert float(np.mean(slice_dice_bce(truth[2:], truth[2:]))) == pytest.approx(0, abs=1e-5)


def test_the_unet_of_system_000_has_its_published_parameters():
    """After joining, the last two convolutions get 256 + 16 channels."""
    on_paper = pair(1, 16) + pair(16, 256) + pair(256 + 16, 128) + 128 + 1
    assert build(get_recipe("unet2d-000")).count_params() == on_paper == 1_090_865


def test_the_unet_of_system_000_level_by_level():
    model = build(get_recipe("unet2d-000"))
    assert [
        model.get_layer(name).output.shape[1:] for name in ("down0_conv2", "bottom_conv2", "up0_join", "blood")
    ] == [
        (128, 128, 16),
        (64, 64, 256),
        (128, 128, 272),
        (128, 128, 1),
    ]
    assert [model.get_layer(f"{at}_drop").rate for at in ("down0", "bottom", "up0")] == [0.1, 0.3, 0.2]


def test_the_unets_of_system_002_level_by_level():
    """Four levels. b is a with dropout between the convolutions. There are 4 numbers for each normalized channel."""
    a, b = (build(get_recipe(name)) for name in ("unet2d-002a", "unet2d-002b"))
    for level, (side, width) in enumerate([(256, 64), (128, 128), (64, 256)]):
        assert a.get_layer(f"down{level}_relu2").output.shape[1:] == (side, side, width)
        assert a.get_layer(f"up{level}_join").output.shape[1:] == (side, side, 2 * width)
    assert a.get_layer("bottom_relu2").output.shape[1:] == (32, 32, 512)
    down = pair(1, 64) + pair(64, 128) + pair(128, 256) + pair(256, 512)
    up = sum(transposed_parameters(2 * f, f) + pair(2 * f, f) for f in (64, 128, 256))
    normalized = 4 * (2 * (64 + 128 + 256) + 512)
    assert a.count_params() == b.count_params() == down + up + normalized + 64 + 1 == 7_701_825
    order = [type(layer).__name__ for layer in b.layers if layer.name.startswith("down1_")]
    assert order == ["Conv2D", "Dropout", "Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"]
    assert not [layer for layer in a.layers if "drop" in layer.name]


def test_the_unet_of_system_003_has_31_million_parameters():
    model = build(get_recipe("unet2d-003"))
    down = sum(pair(c, f) for c, f in [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1024)])
    up = sum(transposed_parameters(2 * f, f) + pair(2 * f, f) for f in (64, 128, 256, 512))
    assert model.count_params() == down + up + (9 * 64 * 2 + 2) + (2 + 1) == 31_032_837
    assert model.get_layer("down3_drop").output.shape[1:] == (32, 32, 512)
    assert model.get_layer("bottom_drop").output.shape[1:] == (16, 16, 1024)
    assert model.get_layer("narrow").output.shape[1:] == (256, 256, 2)


def test_the_3d_unet_of_system_001_has_1_46_million_parameters():
    """27 weights for each pair of channels in and out. After joining, the input has the widths of two levels."""
    model = build(get_recipe("unet3d-001"))
    down = sum(pair(c, f, 27) for c, f in [(1, 16), (16, 32), (32, 64), (64, 128)])
    up = sum(pair(2 * f + f, f, 27) for f in (16, 32, 64))
    assert model.count_params() == down + up + (27 * 16 * 2 + 2) + (2 + 1) == 1_460_437
    assert model.input_shape == (None, 80, 120, 120, 1)
    assert model.get_layer("down2_pool").output.shape[1:] == (10, 15, 15, 64)
    assert model.get_layer("bottom_conv2").output.shape[1:] == (10, 15, 15, 128)
    assert model.get_layer("narrow").output.shape[1:] == (80, 120, 120, 2)
    assert model.output_shape == (None, 80, 120, 120, 1)


def test_the_3d_unet_of_system_000_starts_at_64_filters():
    down = sum(pair(c, f, 27) for c, f in [(1, 64), (64, 128), (128, 256), (256, 512)])
    up = sum(pair(2 * f + f, f, 27) for f in (64, 128, 256))
    assert build(get_recipe("unet3d-000")).count_params() == down + up + 64 + 1 == 23_339_521


def test_a_3d_unet_learns_a_step_on_a_block():
    keras.utils.set_random_seed(0)
    model = unet3d((4, 8, 16, 1), filters=(2, 4))
    truth = np.zeros((2, 4, 8, 16, 1), np.float32)
    truth[:, 1:3, 2:6, 4:12] = 1
    model.compile("adam", "binary_crossentropy")
    before = model.get_weights()
    losses = [float(model.train_on_batch(truth, truth)) for _ in range(3)]
    assert losses[-1] < losses[0] < 1
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    assert model.predict(truth, verbose=0).shape == truth.shape
    with pytest.raises(ValueError, match="halve the volume to a whole number only if 4 divides it"):
        unet3d((6, 8, 8, 1), filters=(2, 4, 8))


def test_the_cnn_of_system_001_has_1_2_million_parameters():
    convolutions = sum(9 * c * f + f for c, f in [(1, 32), (32, 64), (64, 128), (128, 64)])
    dense = 16 * 16 * 64 * 64 + 64 + 64 * 6 + 6  # 128 halved three times is 16
    assert build(get_recipe("cnn-001")).count_params() == convolutions + dense == 1_215_494


def test_the_vanilla_cnn_of_system_004_level_by_level():
    """(512 - 5) // 2 + 1 = 254; (254 - 5) // 2 + 1 = 125."""
    model = build(get_recipe("vanilla-004"))
    assert model.get_layer("level1_conv").output.shape[1:] == (254, 254, 32)
    assert model.get_layer("flat").output.shape[1:] == (125 * 125 * 32,)
    assert model.count_params() == 25 * 3 * 32 + 32 + 500_000 * 6 + 6 == 3_002_438


def test_alexnet_level_by_level():
    """Small in its dense layers, which are the largest part. (512 - 11) // 4 + 1 = 126, then pools of 3 by 2."""
    model = alexnet_004((512, 512, 3), dense=8)
    shapes = [model.get_layer(f"level{i}_conv").output.shape[1:] for i in range(1, 6)]
    assert shapes == [(126, 126, 96), (62, 62, 256), (30, 30, 384), (30, 30, 384), (30, 30, 256)]
    assert [f"level{i}_drop" in {layer.name for layer in model.layers} for i in range(1, 6)] == [1, 1, 0, 0, 1]
    convolutions = 121 * 3 * 96 + 96 + 25 * 96 * 256 + 256 + sum(9 * c * f + f for c, f in [(256, 384), (384, 384)])
    dense = (14 * 14 * 256 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 6
    assert model.count_params() == convolutions + 9 * 384 * 256 + 256 + dense


def test_an_attention_gate_adds_two_small_convolutions_and_a_map():
    """At level f: f / 2 from the skip, f / 2 with bias from the level below (2 f), and one map with bias."""
    gates = sum(f * f // 2 + (2 * f + 1) * f // 2 + f // 2 + 1 for f in (16, 32, 64, 128))
    assert build(get_recipe("attention-unet")).count_params() == 1_967_473 + gates == 2_000_357


def test_a_gate_that_sees_nothing_shuts_the_skip():
    """With a map of sigmoid(-30) the skip connection has no effect: only the bottom counts."""
    model = unet2d((16, 16, 1), filters=(4, 8), gates=True, dropout=0)
    gate = model.get_layer("up0_gate_map")
    gate.set_weights([np.zeros_like(gate.get_weights()[0]), np.full(1, -30, np.float32)])
    times = keras.Model(model.input, model.get_layer("up0_gate_times").output)
    picture = np.random.default_rng(0).random((1, 16, 16, 1), np.float32)
    assert np.abs(times.predict(picture, verbose=0)).max() < 1e-9


@pytest.fixture(scope="module", params=BACKBONES)
def net(request):
    """A backbone's name, Keras's own model with weights in place of ImageNet's, and our model that starts with them."""
    keras.utils.set_random_seed(1)
    constructor = getattr(keras.applications, request.param)
    donor = constructor(include_top=False, weights=None, input_shape=(96, 96, 3))

    def instead(**options):
        return donor if options["weights"] == "imagenet" else constructor(**options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, request.param, instead)
        return request.param, donor, backbone((96, 96, 3), base=request.param, weights="imagenet")


@pytest.fixture(scope="module")
def pictures():
    """A black picture, a white one, and one whose channels all differ."""
    picture = np.random.default_rng(0).random((96, 96, 3)) * [0.2, 0.5, 1.0]
    return np.stack([np.zeros((96, 96, 3)), np.ones((96, 96, 3)), picture]).astype(np.float32)


def published_scaling(base, pictures):
    """The features that Keras itself computes for pictures in 0 to 255."""
    return getattr(keras.applications, SCALED_AS[base]).preprocess_input(255 * pictures.astype(np.float32))


@pytest.mark.long
def test_a_picture_reaches_the_first_convolution_scaled_exactly_once(net, pictures):
    """Scaled as `preprocess_input` scales it. The function for EfficientNet does nothing, because its first layers
    divide by 255 and, with ImageNet's weights, subtract the mean and divide by the deviation twice: (x / 255 - mean)
    / sqrt(deviation) / sqrt(deviation). This equals `preprocess_input` for DenseNet."""
    base, _, model = net
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    came = first.input._keras_history.operation
    arrived = came.input if isinstance(came, keras.layers.ZeroPadding2D) else first.input
    got = keras.Model(model.input, arrived)(pictures).numpy()
    assert got == pytest.approx(published_scaling(base, pictures), abs=1e-3 if base == "ResNet50" else 1e-5)


def test_a_backbone_computes_what_keras_computes_with_the_same_weights(net, pictures):
    """EfficientNet of Keras divides by 255 itself, so it gets 255 times the values it should see."""
    base, donor, model = net
    visited = published_scaling(base, pictures) * (255 if base == "EfficientNetB4" else 1)
    actual = keras.Model(model.input, model.get_layer("features").output)(pictures).numpy()
    reference = donor(visited).numpy()
    assert reference.std() > 0
    assert actual == pytest.approx(reference, abs=1e-3 * float(np.abs(reference).max()))


def test_a_backbone_is_flat_and_ends_in_one_pooling_and_one_dense_layer(net):
    _, _, model = net
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    assert [layer.name for layer in model.layers[-3:]] == ["features", "pool", "scores"]
    assert model.get_layer("scores").activation.__name__ == "sigmoid"


def test_weights_that_cannot_be_fetched_are_explained(monkeypatch):
    """Without a network Keras raises a plain Exception."""
    real = keras.applications.MobileNetV2

    def offline(*, weights, **options):
        if weights is not None:
            raise Exception("URL fetch failure on https://example.org/mobilenet.h5: None")
        return real(weights=None, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    small = replace(get_recipe("mobilenetv2-000"), size=32)
    with pytest.raises(
        ValueError, match=r"'imagenet' of MobileNetV2 cannot be had: URL fetch.*KERAS_HOME.*weights=None"
    ):
        build(small, pretrained=True)
    with pytest.raises(ValueError, match=r"'nowhere.h5' of MobileNetV2 cannot be had"):
        build(replace(small, weights="nowhere.h5"), pretrained=True)
    assert build(small).output_shape == build(replace(small, weights=None), pretrained=True).output_shape == (None, 7)


def test_batch_normalization_settles_within_a_short_training_from_random_weights():
    """Keras's MobileNetV2 keeps 0.999 of its statistics at a step: 0.61 of the initial ones after 500 steps."""
    momenta = [
        {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
        for model in (
            keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3)),
            backbone((32, 32, 3), base="MobileNetV2"),
        )
    ]
    assert momenta == [{0.999}, {0.99}]


def test_a_backbone_takes_three_channels_only():
    with pytest.raises(ValueError, match=r"DenseNet121 takes pictures of 3 channels .* got \(64, 64, 1\)"):
        backbone((64, 64, 1), base="DenseNet121")
    with pytest.raises(ValueError, match="No backbone is called 'VGG'; choose from EfficientNetB4"):
        backbone((64, 64, 3), base="VGG")


@pytest.mark.parametrize(
    ("name", "parameters", "trained"),
    [
        # Keras's published figure less its top of (k + 1) * 1000; then dense (k + 1) * d, scores (k or d + 1) * outputs
        ("efficientnetb4-000", 19_466_823 - 1793 * 1000 + 1793 * 256 + 257 * 7, 1793 * 256 + 257 * 7),
        # its first five layers train a 7x7 convolution of 3 to 64 channels and its normalization
        ("densenet169-000", 14_307_880 - 1665 * 1000 + 1665 * 1024 + 1025 * 7, 9408 + 128 + 1665 * 1024 + 1025 * 7),
        # a 3x3 convolution of 3 to 32 channels, a depthwise one of 32, and their normalizations
        ("mobilenetv2-000", 3_538_984 - 1281 * 1000 + 1281 * 1024 + 1025 * 7, 864 + 288 + 128 + 1281 * 1024 + 1025 * 7),
        ("inceptionv3-004a", 23_851_784 - 2049 * 1000 + 2049 * 6, 2049 * 6),
        # the two Inception blocks that Keras's guide to fine-tuning trains; counted, not worked out
        ("inceptionv3-004b", 23_851_784 - 2049 * 1000 + 2049 * 6, 11_114_880 + 2049 * 6),
        ("resnet50-004", 25_636_712 - 2049 * 1000 + 2049 * 6, 2049 * 6),
        ("densenet121-004", 8_062_504 - 1025 * 1000 + 1025 * 6, 1025 * 6),
    ],
)
def test_a_published_backbone_has_its_parameters_and_trains_only_what_it_should(name, parameters, trained):
    model = build(get_recipe(name))
    assert model.count_params() == parameters
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == trained
    assert model.input_shape[1:] == get_recipe(name).shape


def test_se_resnext_101_has_its_known_parameters_and_learns_a_step():
    """The published 48,955,416 trained weights of SE-ResNeXt-101 (32x4d) minus its top of 2049 * 1000, plus our
    head."""
    model = build(get_recipe("se-resnext-000"))
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trained == 48_955_416 - 2049 * 1000 + 2049 * 1024 + 1025 * 7
    assert model.get_layer("features").output.shape[1:] == (7, 7, 2048)
    small = se_resnext((64, 64, 1), blocks=(1, 1), width=32)
    small.compile("adam", "binary_crossentropy", jit_compile=False)
    before = small.trainable_weights[0].numpy()
    small.train_on_batch(np.random.default_rng(0).random((2, 64, 64, 1), np.float32), np.ones((2, 6), np.float32))
    assert (before != small.trainable_weights[0].numpy()).any()


def test_what_is_trained_must_be_said_in_known_words():
    for wrong in ("some", "first", "first five", "after mixed99"):
        with pytest.raises(ValueError, match=f"or 'after LAYER' with a layer of MobileNetV2; got '{wrong}'"):
            backbone((32, 32, 3), base="MobileNetV2", trainable=wrong)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scores_of_classes_add_up_to_one_and_those_of_labels_need_not(scheme):
    model = densenet_bc((32, 32, 1), blocks=(1, 1), growth=4, scheme=scheme)
    out = model.predict(np.random.default_rng(0).random((2, 32, 32, 1), np.float32), verbose=0)
    assert out.shape == (2, len(SCHEMES[scheme]))
    assert model.get_layer("scores").activation.__name__ == ("softmax" if "class" in scheme else "sigmoid")
    if "class" in scheme:
        assert out.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_builder_of_the_other_task_is_refused():
    with pytest.raises(
        ValueError, match="is a recipe to classify with 'unet2d', which does not; builders that do: densenet"
    ):
        build(replace(get_recipe("unet-small"), task="classify"))
    with pytest.raises(ValueError, match="No label scheme is called '5-node'"):
        densenet_bc((32, 32, 1), blocks=(1,), growth=4, scheme="5-node")


def test_the_catalog_builds_a_model_only_when_its_row_is_asked_for():
    rows = list_models(["unet-phantom", "no such recipe"])
    assert next(rows) == {
        "name": "unet-phantom",
        "task": "segment",
        "shape": (192, 192, 6),
        "parameters": 1_967_473,
        "source": get_recipe("unet-phantom").source,
    }
    assert next(list_models(["vanilla-004"]))["parameters"] == 3_002_438
