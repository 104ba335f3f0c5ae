import json

import keras
import numpy as np
import pytest

from ich_lib.models.builders import densenet_bc, vanilla_004
from ich_lib.models.heat import add_heat_output
from ich_lib.prediction.engine import KERAS, ONNX, load
from ich_lib.prediction.export import export, largest_difference
from ich_lib.prediction.kernels import KERNELS, quantize


@pytest.fixture(scope="module")
def export_folder(tiny_runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for task in ("segment", "classify"):
        export(tiny_runs[task].folder, folder, figures={"fold": 0})
    return folder


def test_three_files_a_model_and_a_card_that_tells_all(export_folder, tiny_runs):
    assert sorted(p.name for p in export_folder.iterdir()) == [
        f"tiny-{kind}.{end}" for kind in ("densenet", "unet") for end in ("json", "onnx", "weights.h5")
    ]
    card = json.loads((export_folder / "tiny-unet.json").read_text())
    assert card["recipe"] == json.loads(json.dumps(tiny_runs["segment"].recipe.as_json()))
    assert (card["held_out_fold"], card["folds"]) == (0, tiny_runs["segment"].folds)
    assert card["data"] == "phantoms"
    assert card["onnx_difference"] <= KERNELS["float32"]
    assert set(card["sha256"]) == {"tiny-unet.onnx", "tiny-unet.weights.h5"}


def test_exported_and_keras_outputs_agree(export_folder, tiny_runs):
    """The exported model compared with the run folder, on pictures that the export check did not use."""
    pictures = np.random.default_rng(5).random((3, 32, 32, 6), np.float32)
    served, run = (
        load(export_folder, fill=False),
        {task: load(run.folder, fill=False) for task, run in tiny_runs.items()},
    )
    for actual, reference in (
        (served.segmenter, run["segment"].segmenter),
        (served.classifier, run["classify"].classifier),
    ):
        same(actual.run(pictures), reference.run(pictures))


def same(ours, theirs):
    for a, b in zip(vars(ours).values(), vars(theirs).values(), strict=True):
        assert (a is None) is (b is None)
        if a is not None:
            assert a.shape == b.shape
            assert a == pytest.approx(b, abs=1e-4)


def test_a_model_that_does_both_is_one_file_with_four_answers(tiny_runs, tmp_path):
    """Mask, scores, maps and features. Its card includes the calibration."""
    calibration = {"slices": [[1.0, 0.0, 1.0, 0.0]] * 6, "scans": [[0.5, 0.0, 0.5, 0.0]] * 6}
    export(tiny_runs["both"].folder, tmp_path, calibration=calibration)
    served, run = load(tmp_path, fill=False), load(tiny_runs["both"].folder, fill=False)
    assert served.segmenter is served.classifier
    assert len(list(served)) == 1
    assert served.calibration.as_json() == calibration
    assert run.calibration is None
    pictures = np.random.default_rng(6).random((3, 32, 32, 6), np.float32)
    answer = served.segmenter.run(pictures)
    assert [part.shape for part in vars(answer).values()] == [(3, 32, 32), (3, 6), (3, 16, 16, 6), (3, 8)]
    same(answer, run.classifier.run(pictures))


def test_a_classifier_without_one_last_dense_layer_has_no_maps():
    flat = vanilla_004((64, 64, 3))
    assert add_heat_output(flat) is flat


def test_the_weights_file_rebuilds_the_served_model(export_folder, tiny_runs):
    model = tiny_runs["segment"].model()
    model.load_weights(export_folder / "tiny-unet.weights.h5")
    assert largest_difference(model, export_folder / "tiny-unet.onnx") < KERNELS["float32"]


def test_a_model_that_differs_from_its_file_is_noticed(export_folder, tiny_runs):
    other = tiny_runs["segment"].model()
    other.set_weights([w + 0.1 for w in other.get_weights()])
    assert largest_difference(other, export_folder / "tiny-unet.onnx") > KERNELS["float32"]


def test_the_heat_map_is_grad_cam_of_the_logit():
    """Compared with gradients by TensorFlow: ReLU(sum_k mean-gradient_k * A_k), equal after scaling to its peak."""
    import tensorflow as tf

    keras.utils.set_random_seed(2)
    model = densenet_bc((32, 32, 3), blocks=(2, 2), growth=6)
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    heat = add_heat_output(model).predict(picture, verbose=0)[1][0]
    kernel, bias = model.get_layer("scores").get_weights()
    body = keras.Model(model.input, model.get_layer("features").output)
    features = tf.convert_to_tensor(body(picture, training=False))
    for label in range(6):
        with tf.GradientTape() as tape:
            tape.watch(features)
            logit = (tf.reduce_mean(features, axis=(1, 2)) @ kernel + bias)[0, label]
        weight = tf.reduce_mean(tape.gradient(logit, features), axis=(1, 2))
        cam = tf.nn.relu(tf.reduce_sum(features * weight[:, None, None], axis=-1))[0].numpy()
        if cam.max() > 0:
            assert heat[..., label] / heat[..., label].max() == pytest.approx(cam / cam.max(), abs=1e-3)
        else:
            assert not heat[..., label].any()


def test_kernels_in_fewer_bytes_are_the_same_model_rounded(tiny_runs, tmp_path):
    run = tiny_runs["both"]
    for kernels in KERNELS:
        export(run.folder, tmp_path / kernels, kernels=kernels)
    onnx, weights = (f"{run.recipe.name}{end}" for end in (ONNX, KERAS))
    whole_bytes, half_bytes, int8_bytes = ((tmp_path / kernels / onnx).stat().st_size for kernels in KERNELS)
    assert int8_bytes < half_bytes < 0.9 * whole_bytes  # most of a tiny network's file is its graph
    assert (tmp_path / "float16" / weights).stat().st_size < (tmp_path / "float32" / weights).stat().st_size
    pictures = np.random.default_rng(5).random((3, 32, 32, 6), np.float32)
    whole, *others = (load(tmp_path / kernels, fill=False).segmenter.run(pictures) for kernels in KERNELS)
    for kernels, rounded in zip(("float16", "int8"), others, strict=True):
        assert rounded.blood.dtype == np.float32
        assert rounded.blood == pytest.approx(whole.blood, abs=KERNELS[kernels])
        assert rounded.scores == pytest.approx(whole.scores, abs=KERNELS[kernels])
        card = json.loads((tmp_path / kernels / f"{run.recipe.name}.json").read_text())
        assert 0 < card["onnx_difference"] <= KERNELS[kernels]
    model = run.model()
    expected = [w.astype(np.float16) if w.ndim > 1 else w for w in model.get_weights()]
    model.load_weights(tmp_path / "float16" / weights)
    for stored, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(stored, value.astype(np.float32))


def test_int8_kernels_stand_in_the_file_as_quantized_by_output_channel(tiny_runs, tmp_path):
    """Compared with the kernels of the same graph in float32: each lies within half a scale of its channel."""
    import onnx
    from onnx import numpy_helper

    run = tiny_runs["both"]
    graphs = {}
    for kernels in ("float32", "int8"):
        export(run.folder, tmp_path / kernels, kernels=kernels)
        graphs[kernels] = onnx.load(tmp_path / kernels / f"{run.recipe.name}{ONNX}").graph
    whole, stored = ({t.name: numpy_helper.to_array(t) for t in graphs[kernels].initializer} for kernels in graphs)
    restored = [node for node in graphs["int8"].node if node.op_type == "DequantizeLinear"]
    assert len(restored) == sum(array.ndim > 1 for array in whole.values())
    users = {name: node.op_type for node in graphs["int8"].node for name in node.input}
    for node in restored:
        kernel, axis = whole[node.output[0]], node.attribute[0].i
        assert axis == {"Conv": 0, "ConvTranspose": 1}.get(users[node.output[0]], kernel.ndim - 1)
        values, scale = (stored[name] for name in node.input)
        scale = scale.reshape([-1 if k == axis else 1 for k in range(kernel.ndim)])
        assert values.dtype == np.int8
        assert (np.abs(values * scale - kernel) <= 0.501 * scale).all()
    assert not (tmp_path / "int8" / f"{run.recipe.name}{KERAS}").exists()  # Keras cannot read int8
    assert load(tmp_path / "int8", fill=False).segmenter.recipe == run.recipe


def test_a_kernel_of_zeros_is_quantized_to_zeros():
    values, scale = quantize(np.zeros((2, 3), np.float32), axis=0)
    assert not values.any()
    assert np.isfinite(scale).all()


def test_unknown_kernels_are_refused(tiny_runs, tmp_path):
    with pytest.raises(ValueError, match="float32, float16, int8; got 'int4'"):
        export(tiny_runs["both"].folder, tmp_path / "new", kernels="int4")
    assert not (tmp_path / "new").exists()
