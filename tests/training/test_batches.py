from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.data.store import build_store
from ich_lib.labels import ANY
from ich_lib.models.recipe import Recipe
from ich_lib.prepare.augment import NO_AUGMENT
from ich_lib.training.batches import Batches, Slices, ValidationBatches, paste
from tests.planted import table_of_heads

RECIPE = Recipe("r", "segment", "unet2d", size=64, batch=6, steps=4, seed=3)
PLAIN = replace(
    RECIPE, augment=NO_AUGMENT, size=128, neighbors=0, windows=("brain render",), sampling="natural", steps=0
)
# 128 px is the stored 160 px minus the room around the head: every pixel of PLAIN is a stored pixel


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return build_store(table_of_heads(), tmp_path_factory.mktemp("store") / "planted.slices", size=160)


@pytest.fixture(scope="module")
def slices(store):
    return Slices(store, np.arange(len(store)))


def pictures_of(batches, epochs=1):
    """Every picture and truth of some epochs, in order."""
    picture = [batches.batch(epoch, i) for epoch in range(epochs) for i in range(len(batches))]
    return tuple(np.concatenate(part) for part in zip(*picture, strict=True))


def test_the_same_seed_epoch_and_index_give_the_same_batch(slices):
    first, second = Batches(slices, RECIPE), Batches(slices, RECIPE)
    assert all(np.array_equal(a, b) for a, b in zip(first.batch(2, 1), second.batch(2, 1), strict=True))
    assert not np.array_equal(first.batch(2, 1)[0], first.batch(2, 2)[0])
    assert not np.array_equal(first.batch(2, 1)[0], first.batch(3, 1)[0])


def test_shapes_ranges_and_binary_masks(slices):
    pictures, masks = Batches(slices, RECIPE, phantoms=slices).batch(0, 0)
    assert (pictures.shape, pictures.dtype) == ((6, 64, 64, 6), np.float32)
    assert 0 <= pictures.min() < pictures.max() <= 1
    assert (masks.shape, masks.dtype) == ((6, 64, 64, 1), np.float32)
    assert set(np.unique(masks)) <= {0, 1}


@pytest.mark.parametrize(
    "windows", [("brain",), ("brain", "subdural", "bone"), ("brain", "stroke", "subdural", "bone")]
)
def test_windows_are_channels_or_samples_of_their_own(slices, windows):
    """An epoch of samples has more steps. Its pictures are the channels of the other kind, one by one."""
    channels = replace(PLAIN, windows=windows)
    samples = replace(channels, windows_as="samples")
    joint, apart = Batches(slices, channels).batch(0, 0)[0], Batches(slices, samples).batch(0, 0)[0]
    assert joint.shape == (6, 128, 128, len(windows))
    assert apart.shape == (6, 128, 128, 1)
    assert (channels.channels, samples.channels) == (len(windows), 1)
    assert len(Batches(slices, samples)) == len(windows) * len(Batches(slices, channels))
    every = {
        picture[..., w].tobytes() for picture in pictures_of(Batches(slices, channels))[0] for w in range(len(windows))
    }
    assert {picture[..., 0].tobytes() for picture in pictures_of(Batches(slices, samples))[0]} == every


def test_a_slice_comes_with_its_neighbors_and_the_end_ones_repeat(slices):
    recipe = replace(PLAIN, neighbors=1)
    single = np.concatenate([ValidationBatches(slices, PLAIN)[i][0] for i in range(8)])
    triple = np.concatenate([ValidationBatches(slices, recipe)[i][0] for i in range(8)])
    assert np.array_equal(triple[7], single[[6, 7, 8], ..., 0].transpose(1, 2, 0))
    assert np.array_equal(triple[6], single[[6, 6, 7], ..., 0].transpose(1, 2, 0))
    assert np.array_equal(triple[5], single[[4, 5, 5], ..., 0].transpose(1, 2, 0))


def test_a_natural_pass_shows_every_slice_once(slices):
    """48 slices are 8 batches of 6. The second pass shows them in another order."""
    batches = Batches(slices, PLAIN)
    assert len(batches) == 8
    first, second = (
        [picture.tobytes() for i in range(8) for picture in batches.batch(epoch, i)[0]] for epoch in (0, 1)
    )
    assert len(set(first)) == 48
    assert sorted(first) == sorted(second)
    assert first != second


def test_one_pass_names_every_row_once_and_the_mix_has_none(slices):
    assert sorted(Batches(slices, PLAIN).first_pass()) == list(range(48))
    with pytest.raises(ValueError, match="The mix never ends"):
        Batches(slices, RECIPE).first_pass()


def test_a_balanced_pass_shows_all_blood_and_as_many_clean_slices(slices):
    """Four heads bleed in two slices each: 8 and 8. So there are 3 batches of 6, and the last one begins the next
    pass."""
    batches = Batches(slices, replace(PLAIN, sampling="balanced", task="classify"))
    assert len(batches) == 3
    labels = pictures_of(batches, epochs=8)[1]  # 144 samples: nine passes
    assert labels[:, ANY].sum() == 72
    assert (labels[:16, ANY].sum(), labels[16:32, ANY].sum()) == (8, 8)


def test_balanced_sampling_takes_other_clean_slices_each_pass(slices):
    recipe = replace(PLAIN, sampling="balanced", batch=16)
    batches = Batches(slices, recipe)
    clean = [{p.tobytes() for p, m in zip(*batches.batch(e, 0), strict=True) if not m.any()} for e in range(4)]
    assert [len(c) for c in clean] == [8] * 4
    assert len(set.union(*clean)) > 16


def test_the_mix_is_kept(slices):
    """Half of the samples have blood, half are clean: of 240 samples 89 to 151 bleed (four standard deviations)."""
    recipe = replace(RECIPE, task="classify", batch=48, size=16, mix=(0.5, 0, 0.5, 0))
    labels = np.concatenate([Batches(slices, recipe).batch(0, i)[1] for i in range(5)])
    assert 89 <= labels[:, ANY].sum() <= 151


def test_phantoms_get_their_share_and_nothing_else_does(slices, tmp_path):
    """A store of heads that are 100 years older: with a mix of phantoms only, every slice comes from the phantoms."""
    other = build_store(table_of_heads(heads=2, seed=9), tmp_path / "phantoms.slices", size=160)
    built = Slices(other, np.arange(len(other)))
    recipe = replace(PLAIN, sampling="mix", mix=(0, 0, 0, 1), steps=3)
    known = {p.tobytes() for i in range(2) for p in ValidationBatches(built, PLAIN)[i][0]}
    assert {p.tobytes() for p in pictures_of(Batches(slices, recipe, phantoms=built))[0]} <= known


def test_pasted_blood_brings_its_label_and_mask_into_a_clean_slice(slices):
    recipe = replace(RECIPE, batch=16, mix=(0, 1, 0, 0))
    pictures, masks = Batches(slices, recipe).batch(0, 0)
    labels = Batches(slices, replace(recipe, task="classify")).batch(0, 0)[1]
    assert 4 <= labels[:, ANY].sum() <= 16
    assert (masks.any(axis=(1, 2, 3)) <= (labels[:, ANY] > 0)).all()
    inside = pictures[..., 2][masks[..., 0] > 0]  # the slice itself through the brain render window
    assert np.median(inside) > (45 + 20) / 120  # brighter than 45 HU


def test_a_3d_picture_is_consecutive_slices_of_one_scan_and_air_beyond_its_ends(slices):
    """Scans of 6 slices, blocks of 8: at least two slices of each block are air."""
    recipe = replace(PLAIN, depth=8, batch=4)
    pictures, masks = Batches(slices, recipe).batch(0, 0)
    assert pictures.shape == masks.shape == (4, 8, 128, 128, 1)
    stored = [p.tobytes() for i in range(8) for p in ValidationBatches(slices, PLAIN)[i][0]]
    for block in pictures:
        forward = [plane.tobytes() for plane in block if plane.any()]
        first = stored.index(forward[0])
        assert first // 6 == (first + len(forward) - 1) // 6
        assert forward == stored[first : first + len(forward)]
        assert len(forward) <= 6


def test_a_3d_pass_of_validation_covers_each_scan_once(slices):
    """6 slices in blocks of 4: two blocks per scan, the second one half air."""
    still = ValidationBatches(slices, replace(PLAIN, depth=4, batch=5))
    pictures, masks = (np.concatenate(part) for part in zip(*(still[i] for i in range(len(still))), strict=True))
    assert pictures.shape == (16, 4, 128, 128, 1)
    flat = pictures.reshape(-1, 128 * 128)
    assert np.count_nonzero(flat.any(axis=1)) == 48
    assert masks.sum() == np.concatenate([ValidationBatches(slices, PLAIN)[i][1] for i in range(8)]).sum()


def test_labels_come_in_the_scheme_asked_for(slices):
    recipe = replace(PLAIN, task="classify", scheme="7-class", batch=48)
    labels = Batches(slices, recipe).batch(0, 0)[1]
    assert labels.shape == (48, 7)
    assert (labels.sum(axis=1) == 1).all()
    assert labels[:, 0].sum() == 40
    only_blood = Batches(slices, replace(recipe, scheme="6-class", batch=8)).batch(0, 0)[1]
    assert only_blood.sum(axis=0).tolist() == [2, 2, 2, 2, 0, 0]


def test_a_set_that_does_not_tell_types_trains_no_types(slices):
    unlabeled = replace(slices.store, table=replace(slices.store.table, known_labels=("any",)))
    with pytest.raises(ValueError, match="planted has no label epidural; train the scheme 'binary', or segment"):
        Batches(Slices(unlabeled, slices.rows), replace(PLAIN, task="classify"))
    assert (
        Batches(Slices(unlabeled, slices.rows), replace(PLAIN, task="classify", scheme="binary")).batch(0, 0)[1].shape
    )


def test_slices_nobody_outlined_are_not_segmented(slices):
    outlined = np.arange(len(slices)) % 2 == 0
    half = replace(slices.store, table=replace(slices.store.table, outlined=outlined))
    assert len(Batches(Slices(half, slices.rows), PLAIN).sampler) == 24
    assert len(Batches(Slices(half, slices.rows), replace(PLAIN, task="classify")).sampler) == 48


def test_validation_shows_every_slice_once_and_unchanged(slices):
    """With or without augmentation, the pictures are the same: the stored ones without the room around the head."""
    calm, wild = ValidationBatches(slices, PLAIN), ValidationBatches(slices, replace(PLAIN, augment=RECIPE.augment))
    pictures = np.concatenate([calm[i][0] for i in range(len(calm))])
    assert len(pictures) == len(slices)
    assert np.array_equal(pictures, np.concatenate([wild[i][0] for i in range(len(wild))]))
    inner = slices.store.hu([9])[0][16:144, 16:144].astype(np.float32)
    assert pictures[9, ..., 0] == pytest.approx(np.clip((inner + 20) / 120, 0, 1), abs=1e-5)


def test_an_epoch_never_runs_dry(slices):
    """More steps than slices, and a pass that does not divide into batches: every batch is full."""
    long = Batches(slices, replace(PLAIN, steps=50))
    assert len(long) == 50
    assert all(len(long.batch(epoch, i)[0]) == 6 for epoch in (0, 3) for i in (0, 7, 8, 49))
    odd = Batches(slices, replace(PLAIN, batch=10))
    assert len(odd) == 5
    assert {len(odd.batch(epoch, 4)[0]) for epoch in range(3)} == {10}
    visited = Counter(p.tobytes() for epoch in range(24) for i in range(5) for p in odd.batch(epoch, i)[0])
    assert set(visited.values()) == {25}  # 24 epochs of 50 samples are 25 passes over 48 slices


def test_heads_without_blood_cannot_train(slices):
    clean = slices.select(~slices.bleeding)
    with pytest.raises(ValueError, match="slices with blood and slices without"):
        Batches(clean, RECIPE)
    with pytest.raises(ValueError, match="Balanced sampling needs slices with blood"):
        Batches(clean, replace(PLAIN, sampling="balanced"))
    with pytest.raises(ValueError, match="There is no slice to train on"):
        Batches(Slices(slices.store, np.arange(0)), PLAIN)


def test_a_recipe_that_cannot_be_sampled_is_refused():
    with pytest.raises(ValueError, match="sampling must be one of mix, natural, balanced; got 'smote'"):
        replace(RECIPE, sampling="smote")
    with pytest.raises(ValueError, match="must say how many steps an epoch has"):
        replace(RECIPE, steps=0)


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


def test_memory_stays_flat_over_a_hundred_thousand_rows(store):
    """Rows drawn with repetition replace a large set: the decoded slices in memory never need more than the limit."""
    import tracemalloc

    from ich_lib.data.store import open_store

    small = open_store(store.path, memory_mb=0.5)  # seven of 48 slices
    rows = np.random.default_rng(0).integers(len(small), size=100_000)
    batches = Batches(Slices(small, rows), replace(PLAIN, batch=16, size=32))
    assert len(batches) == 6250
    batches.batch(0, 0)
    tracemalloc.start()
    peaks = []
    for part in range(4):
        tracemalloc.reset_peak()
        for i in range(part * 40, part * 40 + 40):
            batches.batch(0, i)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert peaks[-1] < peaks[0] * 1.1 + 1e5
    assert peaks[-1] < 10e6


def test_keras_gets_every_batch_once_and_in_order(slices):
    """In two epochs a model gets batch(0, 0) to batch(1, 11). A resumed run continues with batch(1, 0)."""
    import keras

    model = keras.Sequential([keras.layers.Input((16, 16, 1)), keras.layers.Conv2D(1, 1)])
    model.compile("sgd", "mse", run_eagerly=True)
    visited = []
    model.train_step = lambda data: visited.append(np.asarray(data[0])) or {"loss": 0.0}
    batches = Batches(slices, replace(PLAIN, batch=4, size=16))
    model.fit(batches, epochs=2, verbose=0, shuffle=False)
    resumed = Batches(slices, replace(PLAIN, batch=4, size=16))
    resumed.start_at(1)
    model.fit(resumed, initial_epoch=1, epochs=2, verbose=0, shuffle=False)
    expected = [batches.batch(epoch, i)[0] for epoch in (0, 1, 1) for i in range(12)]
    assert len(visited) == 36
    assert all(np.array_equal(a, b) for a, b in zip(visited, expected, strict=True))


def test_painted_slices_show_blood_of_every_type_and_only_where_the_recipe_asks(slices):
    """In a mix of clean slices, only those with painted blood bleed, and their masks and labels agree."""
    mixed = replace(RECIPE, task="both", mix=(0, 0, 1, 0), size=128, steps=20, augment=NO_AUGMENT)
    masks, labels = (np.concatenate(part) for part in zip(*truths(slices, replace(mixed, painted=0.8)), strict=True))
    assert np.array_equal(masks.any(axis=(1, 2, 3)), labels[:, ANY] > 0)
    assert 0.3 < labels[:, ANY].mean() < 0.85
    assert labels[:, :ANY].sum(axis=1).max() == 1
    assert np.count_nonzero(labels[:, :ANY].any(axis=0)) >= 3
    masks, labels = (np.concatenate(part) for part in zip(*truths(slices, mixed), strict=True))
    assert not masks.any()
    assert not labels.any()


def truths(slices, recipe):
    batches = Batches(slices, recipe)
    return [batches.batch(0, i)[1] for i in range(recipe.steps)]
