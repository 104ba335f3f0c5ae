"""Maps of networks with hand-set weights and one bright pixel: the correct place of the heat is known in advance."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace

import keras
import nibabel as nib
import numpy as np
import pytest
from keras import layers

from ich_lib.__main__ import main
from ich_lib.data.store import build_store
from ich_lib.explanation import METHODS, explain, gradient_model, heat_map, heat_model, keras_vis, load_network
from ich_lib.explanation.cut import split_model
from ich_lib.explanation.filters import before_and_after, first_filters
from ich_lib.explanation.methods import cam, grad_cam, grad_cam_plus_plus, saliency, seg_grad_cam, smooth_grad
from ich_lib.explanation.scan import choose_model
from ich_lib.explanation.scored import center_blob, energy_inside, hits_blood, score_explanations
from ich_lib.models.builders import build, densenet_bc, unet3d
from ich_lib.models.pictures import model_inputs
from ich_lib.models.recipe import Recipe
from ich_lib.phantoms import phantom
from ich_lib.prediction.engine import Model, ModelOutput, Models
from ich_lib.prepare.head import Box, slice_box
from ich_lib.prepare.window import WINDOWS, window
from ich_lib.readers import read
from ich_lib.reports import write_nifti
from ich_lib.scan import Scan, axial_affine
from ich_lib.show import explanation, filters
from tests.conftest import ROOT
from tests.planted import table_of_heads

SIDE, AT = 16, (5, 11)
TINY = Recipe("tiny", "both", "unet2d", {"filters": (4, 8)}, size=32, stored=64, field="slice")


def look(name="inner"):
    """(n, y, x, 2) to three features: ReLU(second channel - 1/2), and two that stay zero."""
    inputs = layers.Input((SIDE, SIDE, 2), name="picture")
    x = layers.Conv2D(3, 1, activation="relu", name="look")(inputs)
    model = keras.Model(inputs, x, name=name)
    model.get_layer("look").set_weights([np.float32([[[[0, 0, 0], [1, 0, 0]]]]), np.float32([-0.5, -1, -1])])
    return model


def bright_pixel_network(kind: str) -> keras.Model:
    """A network that scores `any` by the brightness of the second channel: flat, nested, or with a mask before its
    scores."""
    inputs = layers.Input((SIDE, SIDE, 2), name="seen")
    body = look()
    x = body(inputs) if kind == "nested" else body.get_layer("look")(inputs)
    x = layers.Activation("linear", name="features")(x)
    scores = layers.Dense(2, activation="sigmoid", name="scores")
    answers = [scores(layers.GlobalAveragePooling2D(name="pool")(x))]
    scores.set_weights([np.float32([[-90, 90], [5, 5], [5, 5]]), np.float32([0, -1])])
    if kind == "two outputs":
        blood = layers.Conv2D(1, 1, activation="sigmoid", name="blood")
        answers.insert(0, blood(x))
        blood.set_weights([np.float32([[[[8], [0], [0]]]]), np.float32([-2])])
    return keras.Model(inputs, answers, name="planted")


def bright(value=1.0):
    """One dark picture with one bright pixel in its second channel."""
    picture = np.zeros((1, SIDE, SIDE, 2), np.float32)
    picture[0, *AT, 1] = value
    return picture


def peak(heat):
    return tuple(int(n) for n in np.unravel_index(heat.argmax(), heat.shape))


@pytest.mark.parametrize("kind", ["flat", "nested", "two outputs"])
def test_every_method_peaks_on_the_planted_pixel_and_a_dark_picture_gives_zeros(kind):
    model = bright_pixel_network(kind)
    for name, method in METHODS.items():
        if name == "seg-grad-cam" and kind != "two outputs":
            with pytest.raises(ValueError, match="planted gives no mask that could be explained"):
                method(model, bright())
            continue
        heat = method(model, np.concatenate([bright(), np.zeros_like(bright())]))
        assert heat.shape == (2, SIDE, SIDE), name
        assert heat.dtype == np.float32, name
        assert peak(heat[0]) == AT, name
        assert heat[0].sum() == pytest.approx(heat[0].max(), rel=0.05), name  # nothing beside it
        assert not heat[1].any(), name  # zeros, and no NaN


def test_grad_cam_on_paper():
    """The feature is 1/2 at one pixel of 256. The slope of the logit with respect to it is 90 / 256 everywhere."""
    heat = grad_cam(split_model(bright_pixel_network("nested")), bright())
    assert heat[0, *AT] == pytest.approx(0.5 * 90 / 256)
    # column 0 has a negative weight for it
    against = grad_cam(split_model(bright_pixel_network("flat")), bright(), of=0)
    assert not against.any()


def test_a_sure_sigmoid_is_explained_all_the_same():
    """At a logit of 87890 the score is 1 in float32 and its slope is 0. The slope of the logit is not 0."""
    model, picture = bright_pixel_network("flat"), bright(500_000)
    assert float(model(picture)[0, 1]) == 1
    assert peak(grad_cam(model, picture)[0]) == AT
    assert peak(saliency(split_model(model), picture)[0]) == AT


def test_a_segmenter_alone_is_explained_by_its_mask():
    combined = bright_pixel_network("two outputs")
    single = keras.Model(combined.input, combined.outputs[0])
    assert peak(grad_cam(single, bright())[0]) == AT
    assert grad_cam(single, bright()) == pytest.approx(seg_grad_cam(combined, bright()), rel=1e-5)


def test_a_mask_is_explained_at_the_bottom():
    assert split_model(build(TINY), output="mask").layer == "bottom_drop"
    assert split_model(build(TINY)).layer == "features"
    assert split_model(build(TINY), "down0_relu2").features(np.zeros((1, 32, 32, 6))).shape == (1, 32, 32, 4)


def nested_twin(flat: keras.Model) -> keras.Model:
    """The same layers; the first half is inside two networks, one in the other."""
    inputs = layers.Input(flat.input.shape[1:])
    inner = keras.Model(flat.input, flat.get_layer("block1_2_join").output, name="inner")
    around = keras.Sequential([layers.Input(flat.input.shape[1:]), inner], name="around")
    x, passed = around(inputs), False
    for layer in flat.layers:
        if passed and layer.name.startswith(("last", "features", "pool", "scores")):
            x = layer(x)
        passed = passed or layer.name == "block1_2_join"
    return keras.Model(inputs, x, name="nested")


def small_densenet():
    keras.utils.set_random_seed(3)
    return densenet_bc((24, 24, 3), blocks=(2,), growth=4)


def pictures(count=2, side=24, seed=0):
    return np.random.default_rng(seed).random((count, side, side, 3), np.float32)


def test_nested_and_flat_give_the_same_map():
    flat = small_densenet()
    nested = nested_twin(flat)
    assert np.array(nested(pictures())) == pytest.approx(np.array(flat(pictures())), rel=1e-5)
    for method in (grad_cam, grad_cam_plus_plus, saliency):
        assert method(split_model(nested), pictures()) == pytest.approx(method(split_model(flat), pictures()), rel=1e-5)
    inside = grad_cam(split_model(nested, "block1_1_conv"), pictures())  # a layer two networks deep
    assert inside == pytest.approx(grad_cam(split_model(flat, "block1_1_conv"), pictures()), rel=1e-5)


def test_two_layers_of_one_name_in_two_networks_are_told_apart():
    inputs = layers.Input((SIDE, SIDE, 2))
    first, second = look(), look("other")
    second.get_layer("look").set_weights([np.zeros((1, 1, 2, 3), np.float32), np.zeros(3, np.float32)])
    x = layers.Subtract(name="rest")([first(inputs), second(inputs)])
    model = keras.Model(inputs, layers.Dense(1, name="scores")(layers.GlobalMaxPooling2D()(x)))
    assert np.array(split_model(model).network(bright())) == pytest.approx(np.array(model(bright())))
    assert peak(np.abs(split_model(model).features(bright()))[0].sum(-1)) == AT


def test_our_own_path_agrees_with_tf_keras_vis():
    if not importlib.util.find_spec("tf_keras_vis"):
        pytest.skip("tf-keras-vis is not installed: pip install -r requirements-course.txt")
    model = small_densenet()
    assert keras_vis.is_usable(split_model(model))
    assert not keras_vis.is_usable(split_model(bright_pixel_network("nested")))
    assert not keras_vis.is_usable(split_model(bright_pixel_network("two outputs")))
    for method in (grad_cam, grad_cam_plus_plus, saliency, smooth_grad):
        reference, actual = method(model, pictures(), of=2), method(split_model(model), pictures(), of=2)
        assert reference.max() > 0
        assert actual == pytest.approx(reference, rel=1e-3, abs=1e-5 * float(reference.max())), method.__name__


def test_the_class_activation_map_of_the_shipped_model_is_its_grad_cam(models):
    """Maps by ONNX compared with gradients, on three slices of a bleeding phantom, after scaling to the peak."""
    scan = phantom(101, bleeds=["epidural"], pixels=128, slices=8, thickness_mm=15).scan
    recipe = models.classifier.recipe
    (visited,) = model_inputs(scan.hu, slice_box(scan.hu.shape), recipe, range(4, 7))
    actual, gradients = (heat_model(name).run(visited).heat for name in ("cam", "grad-cam"))
    assert actual.max() > 0
    for item, other in zip(actual, gradients, strict=True):
        # ONNX holds the kernels as float16: off by 0.0025 of the peak. Grad-CAM++ is off by 0.29 to 0.41.
        assert item / max(item.max(), 1e-9) == pytest.approx(other / max(other.max(), 1e-9), abs=1e-2)


def test_a_model_with_depth_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"looks at blocks of slices.*choose one without depth"):
        split_model(unet3d((8, 16, 16, 1), filters=(2, 4)))
    deep = Model("deep", replace(TINY, depth=8), "0", lambda p: ModelOutput(), {})
    with pytest.raises(ValueError, match="deep looks at blocks of 8 slices"):
        choose_model(Models(deep, deep), "grad-cam", "run")


def test_what_cannot_be_explained_is_said():
    with pytest.raises(ValueError, match=r"planted has no layer called 'lok'; there are look, features"):
        split_model(bright_pixel_network("flat"), "lok")
    with pytest.raises(ValueError, match="Layer pool of planted has no rows and columns"):
        split_model(bright_pixel_network("flat"), "pool")
    with pytest.raises(ValueError, match="must be functional, or sequential and built"):
        split_model(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"No method is called 'lime'; choose from cam, grad-cam"):
        explain(disk(), "lime")
    with pytest.raises(ValueError, match="gives no score for 'fracture'"):
        explain(disk(), label="fracture")
    mute = Model("mute", TINY, "0", lambda p: ModelOutput(scores=np.zeros((1, 6))), {})
    with pytest.raises(ValueError, match="mute has no class activation maps"):
        cam(mute, bright())


def backend_maps(folder) -> dict:
    """Maps of the hand-set network and a small random one, whose weights one backend saves."""
    model = small_densenet()
    path = folder / "small.weights.h5"
    if not path.exists():
        model.save_weights(path)
    model.load_weights(path)
    output = {
        name: method(split_model(model), pictures()).tolist() for name, method in METHODS.items() if name[:3] != "seg"
    }
    return output | {"seg-grad-cam": seg_grad_cam(bright_pixel_network("two outputs"), bright()).tolist()}


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_draws_the_same_maps(backend, tmp_path):
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    actual = backend_maps(tmp_path)
    code = (
        "import json, sys; from pathlib import Path; from tests.explanation import test_explain as t\n"
        "print(json.dumps(t.backend_maps(Path(sys.argv[1]))))"
    )
    env = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, tmp_path], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, reference in json.loads(done.stdout.splitlines()[-1]).items():
        assert np.array(actual[name]) == pytest.approx(np.array(reference), rel=1e-2, abs=1e-4 * np.max(reference)), (
            name
        )


def disk(slices=5, at=2):
    """Brain of 30 HU with a disk of 95 HU on the left of one slice."""
    hu = np.full((slices, 64, 64), 30, np.float32)
    y, x = np.mgrid[:64, :64]
    hu[at][np.hypot(y - 20, x - 12) < 8] = 95
    return Scan(hu, axial_affine((5, 1, 1), hu.shape))


def test_heat_lies_on_the_scans_voxels_with_one_scale_for_all_slices():
    recipe = replace(TINY, size=64, neighbors=0, windows=("brain render",))
    white = Model("r", recipe, "0", lambda p: ModelOutput(heat=7 * (p[..., :1] > 0.9).astype(np.float32)), {})
    scan = disk()
    heat = heat_map(white, scan)
    assert heat.dtype == np.float16
    assert np.array_equal(heat == 1, scan.hu > 90)
    assert not heat[[0, 1, 3, 4]].any()
    thin = Scan(np.repeat(scan.hu, 4, axis=0), axial_affine((1.25, 1, 1), (20, 64, 64)))
    np.testing.assert_array_equal(heat_map(white, thin), np.repeat(heat, 4, axis=0))
    nothing = heat_map(replace(white, run=lambda p: ModelOutput(heat=0 * p[..., :1])), scan)
    assert np.array_equal(nothing, np.zeros_like(heat))


def run_folder(folder, table=None, *, held_out=0, seed=0, spread=True):
    """A finished run with random weights whose patients are in two folds."""
    names = [] if table is None else table.patients
    folder.mkdir(parents=True)
    folds = {name: i // 2 % 2 if spread else 1 for i, name in enumerate(names)}
    (folder / "folds.json").write_text(json.dumps({"folds": folds, "held_out": held_out, "seed": 0}))
    (folder / "recipe.json").write_text(json.dumps(TINY.as_json()))
    keras.utils.set_random_seed(seed + 7)
    build(TINY).save_weights(folder / "model.weights.h5")
    return folder


def test_a_mirrored_head_has_mirrored_heat(tmp_path):
    """Every slice is also scored as a mirror image, so a run with random weights is as symmetrical as the shipped
    one."""
    run, scan = run_folder(tmp_path / "run"), disk()
    mirrored = replace(scan, hu=scan.hu[:, :, ::-1].copy())
    for name in ("grad-cam", "saliency", "seg-grad-cam"):
        forward, back = (explain(item, name, run).astype(float) for item in (scan, mirrored))
        assert forward == pytest.approx(back[:, :, ::-1], abs=2e-3), name
    assert 0.8 < explain(scan, "grad-cam", run).max() <= 1  # between the centers of the small map's cells


def test_class_activation_maps_of_a_run_are_its_grad_cam(tmp_path):
    run = run_folder(tmp_path / "run")
    model = heat_model("cam", run)
    scan = disk()
    assert heat_map(gradient_model("cam", load_network(run, model), model), scan) == pytest.approx(
        explain(scan, "grad-cam", run), abs=2e-3
    )


def test_the_first_filters_before_and_after(tmp_path):
    """Before: the weights that the recipe's seed draws, as the run started from none. After: the weights in the run."""
    run = run_folder(tmp_path / "run")
    before, after = before_and_after(run)
    keras.utils.set_random_seed(TINY.seed)
    assert np.array_equal(before, first_filters(build(TINY)))
    assert before.shape == after.shape == (4, 3, 3, 6)
    assert not np.array_equal(before, after)
    assert first_filters(bright_pixel_network("nested"))[0].tolist() == [[[0, 1]]]
    other = build(TINY)
    # a run that started from another one has the first weights of that one
    other.save_weights(run / "start.weights.h5")
    assert np.array_equal(before_and_after(run)[0], first_filters(other))
    picture = filters(before, after).axes
    assert np.array_equal(picture[0].images[0].get_array(), before[0, ..., 2])
    assert picture[0].images[0].get_clim() == picture[7].images[0].get_clim()
    with pytest.raises(ValueError, match="no channel 6; the first layer sees 6"):
        filters(before, after, channel=6)


def test_pointing_and_energy_on_paper():
    """A map has 3 in the blood and 1 beside it. Whether a peak two pixels away is a hit depends on the tolerance."""
    blood = np.zeros((8, 8), bool)
    blood[2, 2:5] = True
    heat = np.zeros((8, 8))
    heat[2, 3], heat[6, 6] = 3, 1
    assert energy_inside(heat, blood) == pytest.approx(0.75)
    assert hits_blood(heat, blood, tolerance_px=0)
    heat[4, 4] = 5  # two pixels below the right end of the blood
    assert energy_inside(heat, blood) == pytest.approx(3 / 9)
    assert not hits_blood(heat, blood, tolerance_px=1.9)
    assert hits_blood(heat, blood, tolerance_px=2)
    assert energy_inside(0 * heat, blood) == 0
    assert not hits_blood(0 * heat, blood, tolerance_px=99)


def test_the_blob_sits_in_the_middle_of_the_head():
    blob = center_blob(Box(10, 20, 40), (64, 64))
    y, x = (np.average(np.arange(64), weights=blob.sum(axis=axis)) for axis in (1, 0))
    assert (y, x) == pytest.approx((29.5, 39.5), abs=0.05)
    assert blob[:10].sum() == 0


def test_each_scan_is_explained_by_the_run_that_never_saw_it(tmp_path):
    """Four of eight heads bleed, in two slices each; two heads are in each fold."""
    table = table_of_heads(side=64)
    store = build_store(table, tmp_path / "whole.slices", size=64, field="slice")
    for fold in (0, 1):
        run_folder(tmp_path / "runs" / f"fold-{fold}", table, held_out=fold, seed=fold)
    report = score_explanations(tmp_path / "runs", store.path, tmp_path / "out", seeds=(0,))
    assert json.loads((tmp_path / "out" / "explain.json").read_text()) == report
    assert (report["slices"], report["patients"], report["folds"], report["trained_on"]) == (8, 4, [0, 1], False)
    assert list(report["methods"]) == ["cam", "grad-cam", "seg-grad-cam"]
    for values in report["methods"].values():
        assert {"pointing", "energy", "energy_random", "n_patients"} <= set(values)
        assert values["n_patients"] == values["energy"]["n_patients"] == 4
        assert list(values["types"]) == ["epidural", "intraparenchymal", "intraventricular", "subarachnoid"]
        assert 0 <= values["energy"]["low"] <= values["energy"]["value"] <= values["energy"]["high"] <= 1
    cams = [report["methods"][name]["energy"]["value"] for name in ("cam", "grad-cam")]
    assert cams[0] == pytest.approx(cams[1], rel=1e-3)
    assert report["center_blob"]["energy"]["value"] > 0
    assert "never saw its patient" in (tmp_path / "out" / "explain.md").read_text()
    with pytest.raises(ValueError, match="runs of a cross-validation; name one of them, such as fold-0"):
        explain(disk(), "grad-cam", tmp_path / "runs")


def test_a_model_trained_on_everybody_is_scored_with_a_warning(tmp_path, capsys):
    table = table_of_heads(heads=2, side=64)
    store = build_store(table, tmp_path / "whole.slices", size=64, field="slice")
    run_folder(tmp_path / "run", table, held_out=None)
    command = ["explain", "--score", "--source", str(tmp_path / "run"), "--data", str(store.path)]
    assert main([*command, "--method", "cam", "--out", str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out
    assert "These patients are in the training set" in output
    assert "energy_random" in output
    assert "**These patients are in the training set**" in (tmp_path / "out" / "explain.md").read_text()


def test_the_command_writes_heat_on_the_files_own_grid(tmp_path, capsys):
    """A file whose axes run to the back, the feet and the right."""
    scan = replace(phantom(7, bleeds=["subdural"], pixels=96, slices=8, thickness_mm=15).scan, orientation="PIR")
    write_nifti(tmp_path / "scan.nii.gz", scan.hu, scan)
    assert main(["explain", str(tmp_path / "scan.nii.gz"), "--out", str(tmp_path / "out")]) == 0
    assert "heat.nii.gz, heat.png" in capsys.readouterr().out
    reference, actual = nib.load(tmp_path / "scan.nii.gz"), nib.load(tmp_path / "out" / "heat.nii.gz")
    assert nib.aff2axcodes(actual.affine) == ("P", "I", "R")
    assert actual.shape == reference.shape
    assert np.allclose(actual.affine, reference.affine)
    back = read(tmp_path / "scan.nii.gz")
    assert np.array_equal(read(tmp_path / "out" / "heat.nii.gz").hu, explain(back).astype(np.float32))
    assert 0.8 < explain(back).max() <= 1
    assert (tmp_path / "out" / "heat.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name a scan to explain"),
        (["scan.nii.gz", "--method", "cam", "--method", "saliency"], "one method at a time; got cam and saliency"),
        (["--score"], "--score takes its scans only from --data"),
    ],
)
def test_a_question_that_makes_no_sense_gets_one_sentence(arguments, message, tmp_path, capsys):
    assert main(["explain", *arguments, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_class_activation_maps_need_no_keras():
    code = (
        "import sys, numpy as np\n"
        "from ich_lib.explanation import explain; from ich_lib.scan import Scan, axial_affine\n"
        "hu = np.full((2, 32, 32), 30, np.float32); explain(Scan(hu, axial_affine((5, 1, 1), hu.shape)))\n"
        "assert not {'keras', 'tensorflow', 'tf_keras_vis', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_page_leaves_the_gray_picture_as_it_is():
    scan = disk()
    heat = np.zeros(scan.hu.shape, np.float16)
    heat[2, 18:22, 10:14] = 0.5
    figure = explanation(scan, heat, title="cam of any", slices=2)
    plain, under, bar = figure.axes[0], figure.axes[1], figure.axes[-1]  # of slice 3, which is before 5
    gray = window(scan.hu[2], *WINDOWS["brain"])
    for axes in (plain, under):
        assert np.array_equal(axes.images[0].get_array(), gray)
        assert axes.images[0].get_clim() == (0, 1)
    assert [image.get_cmap().name for image in under.images] == ["gray", "inferno"]
    assert under.images[1].get_clim() == bar.get_ylim() == (0, 1)
    assert under.images[1].get_alpha()[0, 0] == 0  # without heat the picture keeps its colors
    assert {"R", "L"} <= {text.get_text() for text in plain.texts}
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "Not a medical device" in texts
    empty = explanation(scan, 0 * heat, title="cam of any")
    assert any("nothing speaks" in text.get_text() for text in empty.texts)
