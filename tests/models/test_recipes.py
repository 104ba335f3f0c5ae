import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from ich_lib.data.store import build_store
from ich_lib.labels import SCHEMES
from ich_lib.models.losses import LOSSES
from ich_lib.models.recipe import Recipe, recipe_from_json
from ich_lib.models.recipes import RECIPES, get_recipe, recipes
from ich_lib.models.run import open_run
from ich_lib.prepare.window import WINDOWS
from ich_lib.training.batches import Batches, Slices
from ich_lib.training.loop import build_learning_rate, count_halvings, is_stalled
from ich_lib.training.train import train
from tests.conftest import tiny_recipes
from tests.planted import table_of_heads


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Eight synthetic heads in each field of view."""
    folder = tmp_path_factory.mktemp("stores")
    return {f: build_store(table_of_heads(), folder / f"{f}.slices", size=64, field=f) for f in ("head", "slice")}


def test_recipes_are_found_by_a_pattern_and_the_list_is_ones_own():
    assert list(recipes("*-003")) == ["unet2d-003"]
    mine = recipes()
    assert mine == RECIPES
    del mine["unet-both"]
    assert recipes("unet-both") == {"unet-both": get_recipe("unet-both")}
    with pytest.raises(ValueError, match=r"No recipe is called 'unet-bot'; choose from unet-lite0-first, unet-lite0"):
        recipes("unet-bot")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_its_json(name):
    assert recipe_from_json(json.loads(json.dumps(get_recipe(name).as_json()))) == get_recipe(name)


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_names_exists_and_fits_together(name):
    item = get_recipe(name)
    assert item.name == name
    assert item.loss in LOSSES
    assert item.scheme in SCHEMES
    assert set(item.windows) <= set(WINDOWS)
    softmax = item.task == "classify" and item.scheme.endswith("-class")
    assert (item.loss == "cce") is softmax
    assert item.has_mask_output or item.has_score_output
    assert item.builder != "backbone" or item.channels == 3
    assert item.weights is None or item.builder in ("backbone", "unet_lite0")
    assert item.field == "head" or item.stored == item.size  # a whole slice is stored at the size at which it is shown
    assert item.source or name in ("unet-small-first", "unet-small", "densenet-small")


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_of_a_recipe_fits_its_model_and_its_loss(name, stores):
    """At 32 pixels; four of the eight heads bleed, with one type each."""
    item = get_recipe(name)
    small = replace(item, size=32, stored=64, batch=2)
    pictures, truth = Batches(Slices(stores[item.field], np.arange(48)), small).batch(0, 0)
    assert pictures.shape == (2, *small.shape)
    assert 0 <= pictures.min() <= pictures.max() <= 1
    outputs = len(SCHEMES[item.scheme])
    mask, scores = (2, *small.shape[:-1], 1), (2, *small.shape[:-3], outputs)
    expected = {"segment": [mask], "classify": [scores], "both": [mask, scores]}[item.task]
    truths = truth if item.task == "both" else [truth]
    assert [part.shape for part in truths] == expected
    for part, loss in zip(truths, (item.loss, "bce"), strict=False):
        assert np.isfinite(LOSSES[loss](part, np.full(part.shape, 1 / outputs, np.float32))).all()


def test_the_published_settings():
    """Settings that are easily overlooked and matter most."""
    assert get_recipe("unet2d-003").threshold == 0.7
    assert get_recipe("unet2d-003").windows == ("brain render",) * 3
    assert [get_recipe(f"unet2d-002{x}").batch for x in "ab"] == [16, 32]
    assert get_recipe("unet2d-002a").sampling == "balanced"
    assert (get_recipe("unet2d-002a").augment.flip_lr, get_recipe("unet2d-002a").augment.flip_ud) == (True, True)
    assert get_recipe("unet3d-001").learning_rate == 2e-4
    assert get_recipe("efficientnetb4-000").augment.turn_deg == 30
    assert np.exp(get_recipe("densenet169-000").augment.zoom) == pytest.approx(1.2)
    assert {item.epochs for name, item in RECIPES.items() if name.endswith(("004", "004a", "004b"))} == {1}
    assert LOSSES["weighted_bce"].weights == (0.2, 0.8)


def test_a_recipe_of_before_these_settings_is_read_as_it_was_trained():
    old = get_recipe("unet-small").as_json()
    for later in ("weights", "optimizer", "schedule", "lowest", "restart", "halve", "patience", "source"):
        del old[later]
    assert recipe_from_json(old) == get_recipe("unet-small")
    assert (get_recipe("unet-small").optimizer, get_recipe("unet-small").schedule) == ("adamw", "cosine")
    for name in ("optimizer", "schedule"):
        with pytest.raises(ValueError, match=f"{name} must be one of .*; got 'best'"):
            replace(get_recipe("unet-small"), **{name: "best"})


def test_a_shape_has_a_third_axis_with_depth_only():
    assert get_recipe("unet-small").shape == (192, 192, 6)
    assert get_recipe("unet3d-001").shape == (80, 120, 120, 1)


def rates(one: Recipe, steps: int, at: list[int]) -> list[float]:
    rate = build_learning_rate(one, steps)
    return [float(rate(step)) for step in at]


def test_the_cosine_falls_over_all_steps_as_it_always_did():
    """Half way down after half of 3 epochs of 100 steps."""
    item = Recipe("r", "segment", "unet2d", learning_rate=1e-3, epochs=3)
    assert rates(item, 100, [0, 150, 300, 400]) == pytest.approx([1e-3, 5e-4, 0, 0], abs=1e-9)


def test_the_restarts_really_happen_every_ten_epochs():
    """System 000 went from 1.0000e-5 to 0.9957e-5 in 40 epochs. With 7 steps per epoch the minimum is at step 70."""
    item = get_recipe("densenet169-000")
    got = rates(item, 7, [0, 35, 69, 70, 105, 139, 140])
    assert got == pytest.approx([1e-5, 5.5e-6, 1e-6, 1e-5, 5.5e-6, 1e-6, 1e-5], rel=0.01)


def test_a_constant_rate_is_a_number():
    assert build_learning_rate(get_recipe("unet2d-002a"), 10) == 1e-4
    assert build_learning_rate(get_recipe("unet2d-003"), 10) == 1e-4


def test_a_plateau_halves_on_paper():
    """Two epochs without progress, twice. 0.00005 is no progress. Keras gives the same rates."""
    losses = [1.0, 0.9, 0.95, 0.9, 0.89995, 0.91, 0.5, 0.4]
    counts = [count_halvings(losses[:n], 2) for n in range(len(losses) + 1)]
    assert counts == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0))
    oracle = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2)
    oracle.set_model(model)
    oracle.on_train_begin()
    for epoch, loss in enumerate(losses):
        oracle.on_epoch_end(epoch, {"loss": loss})
        assert float(model.optimizer.learning_rate) == 0.5 ** counts[epoch + 1]


def test_a_run_stalls_on_paper():
    assert not is_stalled([3.0, 2.0, 2.5], 2)
    assert is_stalled([3.0, 2.0, 2.5, 2.0], 2)
    assert not is_stalled([3.0, 2.0, 2.5, 1.9], 2)
    assert not is_stalled([1.0] * 99, 0)


def test_a_run_whose_first_weights_cannot_be_had_is_not_begun(tmp_path, monkeypatch):
    real = keras.applications.MobileNetV2

    def offline(*, weights, **options):
        if weights is not None:
            raise Exception("URL fetch failure")
        return real(weights=None, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    small = replace(get_recipe("mobilenetv2-000"), size=32, stored=64, phantoms=6)
    with pytest.raises(ValueError, match=r"cannot be had: URL fetch failure.*Or pass weights=None"):
        train(small, None, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_stalled_run_stops_early_and_a_plateau_halves_its_rate(tmp_path):
    """A rate of 1e-9 changes nothing, so the loss varies with the random batch and soon stops improving."""
    item = replace(
        tiny_recipes()[0],
        optimizer="adam",
        schedule="plateau",
        learning_rate=1e-9,
        sampling="natural",
        steps=1,
        epochs=12,
        halve=2,
        patience=3,
    )
    run = train(item, None, tmp_path / "run")
    losses, used = zip(*[(entry.loss, entry.learning_rate) for entry in run.history()], strict=True)
    ends = [n for n in range(1, 13) if n == 12 or is_stalled(list(losses[:n]), 3)]
    assert len(losses) == ends[0] < 12
    assert used[-1] < used[0]
    assert list(used) == pytest.approx([1e-9 * 0.5 ** count_halvings(list(losses[:n]), 2) for n in range(len(losses))])
    before = run.model().get_weights()
    repeat = train(item, None, tmp_path / "run", resume=True)
    assert len(open_run(repeat.folder).history()) == len(losses)
    for actual, reference in zip(repeat.model().get_weights(), before, strict=True):
        assert np.array_equal(actual, reference)
