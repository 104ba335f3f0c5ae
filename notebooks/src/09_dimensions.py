# %% [markdown]
# # 9. Two dimensions, two and a half, three
# **You will** give a network a third axis, count what that costs, and measure whether it pays.
#
# **Time** 40 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 8.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
from dataclasses import replace

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from scipy.ndimage import zoom

from ich_lib import WINDOWS, phantom
from ich_lib.course import attempt, phantom_heads
from ich_lib.course.levels import height_auc
from ich_lib.data.real_heads import real_head
from ich_lib.data.split import by_patient
from ich_lib.labels import ANY
from ich_lib.measures.bootstrap import paired_bootstrap, patient_bootstrap
from ich_lib.measures.metrics import auc, f1, pixel_accuracy
from ich_lib.models.builders import build
from ich_lib.models.pictures import neighbor_indices
from ich_lib.models.recipes import get_recipe
from ich_lib.prepare.window import window
from ich_lib.show import row

QUICK = True  # False: the heads at full size, more seeds and epochs
SIDE, SEEDS, EPOCHS = (32, 3, 6) if QUICK else (64, 5, 15)

# %% [markdown]
# ## A voxel is a matchstick, not a cube
# One head, cut from ear to ear. Left: each voxel drawn as a square. Right: in its true proportions.

# %%
case = phantom(101, bleeds=["intraparenchymal"])
hu, (dz, dy, dx) = case.scan.hu, case.scan.spacing_mm
cut = hu[::-1, int(case.truth.sum(axis=(0, 2)).argmax())]
row(
    [cut, np.repeat(cut, round(dz / dx), axis=0)],
    ["as stored", "as it is"],
    through="brain",
)

# %%
print(f"slices {dz} mm apart, pixels {dy:.2f} x {dx:.2f} mm")
for pixel in (dx, 0.5):
    print(
        f"a 3 x 3 x 3 kernel at {pixel:.2f} mm sees {3 * dz:.0f} x {3 * pixel:.1f} x "
        f"{3 * pixel:.1f} mm"
    )

# %% [markdown]
# Up and down, the kernel looks five to ten times as far as sideways. Resampling makes cubes. **Predict:** does it bring
# back what lay between two slices? We can look: the same head, scanned at 1 mm.

# %%
fine = phantom(
    101, bleeds=["intraparenchymal"], slices=170, thickness_mm=1.0, pixels=128
)
thick = phantom(
    101, bleeds=["intraparenchymal"], slices=34, thickness_mm=5.0, pixels=128
)
y = int(fine.truth.sum(axis=(0, 2)).argmax())
cubes = zoom(thick.scan.hu[:, y], (5, 1), order=1)
cuts = (
    np.repeat(thick.scan.hu[:, y], 5, axis=0),
    cubes,
    fine.scan.hu[:, y],
)  # pixels of 1.8 mm, drawn twice
row(
    [np.repeat(section[::-1], 2, axis=1) for section in cuts],
    ["5 mm", "5 mm, resampled to 1 mm", "scanned at 1 mm"],
    through="brain",
)

# %% [markdown]
# Resampled is smooth, and no sharper. It costs five times the memory.

# %% [markdown]
# A real head is no different. Three neighboring slices of patient 084, and the head cut from ear to ear, each slice drawn
# fourteen pixels thick (the pixel size is unknown; 14 makes it look like a head):

# %%
real = real_head("084")
k = int(real.truth.sum(axis=(1, 2)).argmax())
row(real.scan.hu[k - 1 : k + 2], through="brain", masks=real.truth[k - 1 : k + 2])

# %%
cut = real.scan.hu[::-1, 325, ::2]
row([cut, np.repeat(cut, 7, axis=0)], ["as stored", "stretched"], through="brain")

# %% [markdown]
# ## Two and a half: neighbors as channels
# A 2D network can be handed the slices above and below as colors.
#
# ### Exercise 9.1: stack the neighbors (6 min)
# From (z, y, x) make (z, y, x, 2 * reach + 1): slice k with its neighbors k - reach to k + reach. At the ends the last
# slice is repeated.
#
# *Hint:* for each step up or down, which slice stands in the place of slice k?
#
# *Second hint:* `np.clip(k + step, 0, last)` for each step, and `np.stack(..., axis=-1)`.


# %% tags=["exercise"]
def stack_slices(volume, reach):
    # your code here
    # solution
    k = np.arange(len(volume))
    steps = range(-reach, reach + 1)
    return np.stack(
        [volume[np.clip(k + step, 0, len(k) - 1)] for step in steps], axis=-1
    )


# %% tags=["check"]
toy = np.arange(4.0)[:, None, None] * np.ones((1, 2, 2))
if tested := attempt("9.1", stack_slices):
    mine = tested(toy, 1)
    assert mine.shape == (4, 2, 2, 3), (
        f"Three channels at the end: (4, 2, 2, 3), not {mine.shape}."
    )
    assert list(mine[2, 0, 0]) == [1, 2, 3], (
        "Slice 2 goes between slices 1 and 3, from foot to head."
    )
    assert list(mine[0, 0, 0]) == [0, 0, 1], (
        "Below the first slice comes the first again, not the top of the head."
    )
    assert list(mine[3, 0, 0]) == [2, 3, 3], (
        "Above the last slice comes the last again."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: not the top of the head
def stack_slices(volume, reach):
    return np.stack(
        [np.roll(volume, -step, axis=0) for step in range(-reach, reach + 1)], axis=-1
    )


# %% tags=["mistake"]
# refused: Slice 2 goes between
def stack_slices(volume, reach):
    return np.stack([volume] * (2 * reach + 1), axis=-1)


# %% [markdown] tags=["solution"]
# `np.roll` puts the vertex under the jaw. It raises no error and spoils only two slices a head, so it lives long.

# %% [markdown]
# The library's `neighbor_indices` gives the same slice numbers; every recipe of the 2.5D kind uses it.


# %%
def near(volumes, reach=1):
    """(n, z, y, x) to (n, z, y, x, 2 * reach + 1)."""
    z = volumes.shape[1]
    return np.stack(
        [volumes[:, neighbor_indices(z, k, reach)] for k in range(z)], axis=1
    ).transpose(0, 1, 3, 4, 2)


# %%
print(
    "slice 0 of 34 sees",
    neighbor_indices(34, 0, 1),
    " slice 20 sees",
    neighbor_indices(34, 20, 1),
)
print("picture of unet-2.5d:", get_recipe("unet-2.5d").shape, "= 5 slices x 2 windows")

# %% [markdown]
# ## Three: a kernel that also moves up
# A 3D convolution by hand: 27 shifted copies, each times its weight, summed. Then the same from Keras.


# %%
def conv3d(volume, kernel):
    """Same size, zeros outside."""
    padded, out = np.pad(volume, 1), np.zeros_like(volume)
    z, y, x = volume.shape
    for (i, j, k), weight in np.ndenumerate(kernel):
        out += weight * padded[i : i + z, j : j + y, k : k + x]
    return out


# %%
rng = np.random.default_rng(0)
small, kernel = rng.normal(size=(6, 8, 8)), rng.normal(size=(3, 3, 3))
by_keras = keras.ops.conv(
    small[None, ..., None], kernel[..., None, None], padding="same"
)
print(
    "largest difference:",
    float(np.abs(conv3d(small, kernel) - np.array(by_keras)[0, ..., 0]).max()),
)

# %% [markdown]
# **Predict:** set the kernel's upper and lower plane to 0. What is left? And is 2.5D, in its first layer, something else
# than 3D?

# %%
flat = kernel * np.array([0, 1, 0])[:, None, None]
slice_by_slice = keras.ops.conv(
    small[..., None], kernel[1][..., None, None], padding="same"
)
print(
    "flat 3D against 2D:",
    float(np.abs(conv3d(small, flat) - np.array(slice_by_slice)[..., 0]).max()),
)

# %%
three = np.pad(small, ((1, 1), (0, 0), (0, 0)))
as_colors = np.stack([three[k : k + 3] for k in range(6)]).transpose(0, 2, 3, 1)
colored = keras.ops.conv(
    as_colors, kernel.transpose(1, 2, 0)[..., None], padding="same"
)
print(
    "3D against 2.5D:",
    float(np.abs(conv3d(small, kernel) - np.array(colored)[..., 0]).max()),
)

# %% [markdown]
# 2D is a 3D kernel with two planes of zeros. 2.5D *is* 3D, for one layer; then it forgets which slice said what.
#
# ## What a third axis costs
# The 3D U-Net of system 001, as published: 80 x 120 x 120 voxels. It reports 1.2 M parameters in one place and 1.4 M in
# another.

# %%
volumetric = get_recipe("unet3d-001")
model = build(volumetric)
print(f"as in the library {volumetric.shape}: {model.count_params():,} parameters")
for first in (14, 15):
    widths = {"filters": tuple(first * 2**level for level in range(4)), "narrow": True}
    print(
        f"{first} filters at the top: "
        f"{build(replace(volumetric, options=widths)).count_params():,}"
    )

# %% [markdown]
# Sixteen filters come near 1.4 M; no round number gives 1.2 M. Parameters are the cheap part, though: training keeps what
# every layer *gives*.
#
# ### Exercise 9.2: count the activations (8 min)
# Each level has two convolutions on the way down and two on the way up; the bottom has two. From level to level all three
# sides halve. Sum the numbers that all these convolutions give.
#
# *Hint:* all three sides halve from level to level: what happens to their product?
#
# *Second hint:* level `l` has `z * y * x / 8**l` voxels.


# %% tags=["exercise"]
def conv_values(shape, filters):
    # your code here
    # solution
    z, y, x = shape
    bottom = len(filters) - 1
    each = [
        width * z * y * x // 8**level * (2 if level == bottom else 4)
        for level, width in enumerate(filters)
    ]
    return sum(each)


# %% tags=["check"]
if tested := attempt("9.2", conv_values):
    mine = tested((80, 120, 120), (16, 32, 64, 128))
    convs = [layer.output.shape[1:] for layer in model.layers if "conv" in layer.name]
    right = sum(int(np.prod(shape)) for shape in convs)
    halved = "Halving all three sides leaves an eighth of the voxels"
    assert mine < 1.1 * right, (
        f"{halved}; the bottom has no way up. {right:,} numbers, not {mine:,}."
    )
    assert mine > 0.9 * right, (
        f"Two convolutions down and two up. {right:,} numbers, not {mine:,}."
    )
    assert mine == right, f"The model's layers say {right:,}; you say {mine:,}."
    tested.passes()


# %% tags=["mistake"]
# refused: leaves an eighth
def conv_values(shape, filters):
    voxels = np.prod(shape)
    return sum(4 * width * voxels // 2**level for level, width in enumerate(filters))


# %% tags=["mistake"]
# refused: Two convolutions down and two up
def conv_values(shape, filters):
    return sum(
        2 * width * np.prod(shape) // 8**level for level, width in enumerate(filters)
    )


# %% [markdown] tags=["solution"]
# The top level holds three quarters of it all: cut the picture before you cut the depth.

# %%
values = sum(int(np.prod(layer.output.shape[1:])) for layer in model.layers)
print(
    f"weights {model.count_params() * 4 / 1e6:.0f} MB, outputs of all layers "
    f"{values * 4 / 1e6:,.0f} MB"
)

# %%
scale = 34 * 512 * 512 / (80 * 120 * 120)
print(
    f"a whole scan of 34 x 512 x 512: {values * scale * 4 / 1e9:.1f} GB, one sample, "
    "before any gradient"
)

# %% [markdown]
# So the published system shrank its volumes, and small bleeds went with the pixels.
#
# ## How far does it see?
# ### Exercise 9.3: the receptive field (7 min)
# Along one axis, layers are (kernel, stride). Start with field 1 and step 1. Each layer adds `(kernel - 1) * step` to the
# field; then its stride multiplies the step. Give the field.
#
# *Hint:* how many voxels of the input lie between two neighbors of this layer?
#
# *Second hint:* a loop of two lines.


# %% tags=["exercise"]
def sees(stack):
    # your code here
    # solution
    field = step = 1
    for kernel, stride in stack:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% tags=["check"]
if tested := attempt("9.3", sees):
    mine = tested([(3, 1), (3, 1)])
    assert mine == 5, f"Two kernels of 3 see 5 voxels, not {mine}."
    assert tested([(2, 2), (3, 1)]) == 6, (
        "After pooling by 2, a step is two voxels wide: 2 + 2 * 2 = 6."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: a step is two voxels wide
def sees(stack):
    return 1 + sum(kernel - 1 for kernel, _ in stack)


# %% [markdown] tags=["solution"]
# Pooling is what makes a network far-sighted.

# %% [markdown]
# The way down of `unet3d-001` on this head: two convolutions and a pooling, three times, then two more. **Predict:** how
# many heads high does it look?

# %%
down = lambda pool: [(3, 1), (3, 1), (pool, pool)] * 3 + [(3, 1)] * 2
for pool in (2, 1):
    field, step = 1, 1
    for size, stride in down(pool):
        field, step = field + (size - 1) * step, step * stride
    print(
        f"pooling by {pool}: {field} voxels = {field * dz:.0f} mm along z, or "
        f"{field * dx:.0f} mm in the slice"
    )

# %% [markdown]
# Pooled in all directions, it looks 34 cm up and down and 6 cm sideways. So leave z alone: pool by 1 x 2 x 2, and it sees
# 85 mm by 61 mm. The small networks below do that.
#
# ## A case where only the third axis can tell
# Same brightness, same disc. In one volume it runs through all slices, a vessel; in the other it is there in three, a
# bleed.


# %%
def synthetic_volumes(count, seed):
    rng = np.random.default_rng(seed)
    volumes = rng.normal(0, 0.3, (count, 8, 32, 32)).astype(np.float32)
    bleeds, discs = np.zeros((2, count, 8, 1), np.float32)
    rows, columns = np.mgrid[:32, :32]
    for i, volume in enumerate(volumes):
        y, x = rng.integers(8, 24, 2)
        z = rng.integers(1, 7) if i % 2 else None
        where = slice(None) if z is None else slice(z - 1, z + 2)
        volume[where, (rows - y) ** 2 + (columns - x) ** 2 < 16] += 1
        bleeds[i, where], discs[i, where] = z is not None, 1
    return volumes, bleeds, discs > 0


# %%
volumes, bleeds, _ = synthetic_volumes(160, 0)
row(
    list(volumes[0, :4] / 2) + list(volumes[1, :4] / 2),
    ["vessel"] * 4 + ["bleed or not"] * 4,
    height=1.6,
)

# %% [markdown]
# One builder for all three networks; each gives a score a slice. A 2D network is one whose kernels are flat.


# %%
def network(shape, *, deep, seed):
    keras.utils.set_random_seed(seed)
    x = inputs = layers.Input(shape)
    for level, filters in enumerate((8, 16, 32)):
        kernel = (3 if deep else 1, 3, 3)
        x = layers.Conv3D(
            filters,
            kernel,
            strides=(1, 1 if level else 2, 1 if level else 2),
            padding="same",
        )(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling3D((1, 2, 2))(x)  # z is left alone
    x = layers.Dropout(0.3)(layers.Reshape((shape[0], -1))(x))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", jit_compile=False)
    return model


def answers(model, pictures):
    return keras.ops.convert_to_numpy(model(pictures, training=False))


KINDS = {  # how volumes (n, z, y, x) are shown, and whether kernels reach up
    "2D": (lambda volumes: volumes[..., None], False),
    "2.5D": (near, False),
    "3D": (lambda volumes: volumes[..., None], True),
}

# %% [markdown]
# **Predict:** of all slices that show a disc, how well does each network tell bleeds from vessels? 0.5 is tossing a coin.

# %%
tested, truth, discs = synthetic_volumes(80, 1)
for name, (n_slices, deep) in KINDS.items():
    model = network(n_slices(volumes).shape[1:], deep=deep, seed=0)
    model.fit(n_slices(volumes), bleeds, batch_size=8, epochs=5, verbose=0)
    score = answers(model, n_slices(tested))
    print(
        f"{name:5} {model.count_params():6,} parameters   AUC "
        f"{auc(truth[discs], score[discs]):.2f}"
    )

# %% [markdown]
# One slice cannot tell. Three slices tell where a disc ends, and not in its middle. Three layers of 3D kernels reach
# three slices up and down, and can. So the third axis can matter. Does it, on heads?
#
# ## Forty heads, one budget
# The same builder on the phantoms of lesson 5, at half their side: two thirds of the patients train, one third is held
# out. Same blocks of 8 slices, same number of steps, several seeds.

# %%
store = phantom_heads()
table = store.table
gray = window(store.hu(range(len(store))), *WINDOWS["brain render"])
gray = gray.reshape(40, 34, SIDE, 64 // SIDE, SIDE, 64 // SIDE).mean(axis=(3, 5))
labels = table.labels[:, ANY].reshape(40, 34, 1).astype(np.float32)
folds = by_patient(table, folds=3).folds
held_out = np.array([folds[name] == 0 for name in table.patient[::34]])
print(
    f"{(~held_out).sum()} heads train; of {held_out.sum()} held out, "
    f"{labels[held_out].any((1, 2)).sum()} bleed"
)


# %%
def blocks(rows):
    """Eight slices from every fourth on."""
    return np.concatenate([rows[:, k : k + 8] for k in range(0, 27, 4)])


def train_and_score(kind, seed):
    """A network for whole heads, trained on blocks of those that are not held out."""
    n_slices, deep = KINDS[kind]
    cut, bleeding = blocks(n_slices(gray[~held_out])), blocks(labels[~held_out])
    model = network(cut.shape[1:], deep=deep, seed=seed)
    model.fit(cut, bleeding, batch_size=8, epochs=EPOCHS, verbose=0)
    scan_network = network((34, *cut.shape[2:]), deep=deep, seed=seed)
    scan_network.set_weights(model.get_weights())
    return scan_network


def scored(kind, model, heads):
    """(n, z, 1) scores of heads."""
    return answers(model, KINDS[kind][0](heads))


def slice_auc(score):
    return auc(labels[held_out].ravel() > 0, score.ravel())


known = height_auc(table, np.flatnonzero(np.repeat(held_out, 34)))
print(f"height only   AUC {known:.3f}: what knowing a slice's place alone is worth")


# %% [markdown]
# **Predict:** which wins, and by more than the seeds differ?

# %%
models, scores = {}, {name: [] for name in KINDS}
for seed in range(SEEDS):
    for name in KINDS:
        models[name, seed] = train_and_score(name, seed)
        scores[name].append(scored(name, models[name, seed], gray[held_out]))
        print(
            f"seed {seed}  {name:5} AUC {slice_auc(scores[name][-1]):.3f}", flush=True
        )

# %%
plt.figure(figsize=(5, 2.4))
for place, runs in enumerate(scores.values()):
    aucs = [slice_auc(section) for section in runs]
    plt.plot(aucs, [place] * len(aucs), "o", alpha=0.6)
plt.yticks(range(3), list(KINDS))
plt.xlabel("AUC of slices, held-out heads, one dot a seed")
plt.margins(y=0.3)
plt.show()

# %% [markdown]
# Other patients might have been held out, too. The bootstrap draws patients, not slices, and compares on the same ones;
# scores are the mean over seeds.


# %%
def of_patients(entries):
    truth, score = (np.concatenate(side) for side in zip(*entries, strict=True))
    return auc(truth.ravel() > 0, score.ravel()) if 0 < truth.mean() < 1 else np.nan


# %%
means = {name: np.mean(runs, axis=0) for name, runs in scores.items()}
scores_by_model = {
    name: dict(enumerate(zip(labels[held_out], mean, strict=True)))
    for name, mean in means.items()
}
for name in KINDS:
    heads = list(scores_by_model[name].values())
    print(f"{name:5} AUC  {patient_bootstrap(heads, of_patients, rounds=500)}")

# %%
for name in ("2.5D", "3D"):
    pair = scores_by_model["2D"], scores_by_model[name]
    print(f"{name:5} gain over 2D  {paired_bootstrap(*pair, of_patients, rounds=500)}")

# %% [markdown]
# First compare with the line "height only": a network that does not clear it has shown no knowledge of blood, whatever its
# number of axes. And no winner: both intervals of the gain hold 0, the seeds of one network lie as far apart as the networks, and the seed
# decides which comes first. Fourteen heads of 32 pixels and a few epochs cannot tell. A paper that shows one seed could
# show any of the three in front. What is certain: 3D has nearly three times the parameters.
#
# ## Spot the bug: slice 10 comes before slice 2
# A folder of slices, stacked in the order of their names:

# %%
names = [f"{k}.jpg" for k in range(1, 35)]
by_name = np.argsort(names)
print([names[k] for k in by_name[:14]])
k = int(np.flatnonzero(by_name == 1)[0])
row(
    list(gray[1, by_name[k - 1 : k + 2]]),
    [names[n] for n in by_name[k - 1 : k + 2]],
    height=2,
)

# %% [markdown]
# No error, every slice in its place for a 2D network. **Predict:** networks trained in order get
# heads stacked by name. What does it do to each of the three?


# %%
def step_between(volumes):
    return float(np.abs(np.diff(volumes, axis=1)).mean())


print(
    f"mean step to the next slice: in order {step_between(gray):.3f}, by name "
    f"{step_between(gray[:, by_name]):.3f}"
)

# %%
back = np.argsort(by_name)
for kind, runs in scores.items():
    wrong = scored(kind, models[kind, 0], gray[held_out][:, by_name])[:, back]
    change = np.abs(wrong - runs[0]).mean()
    print(
        f"{kind:5} AUC in order {slice_auc(runs[0]):.3f}   by name "
        f"{slice_auc(wrong):.3f}   mean score moved "
        f"by {change:.3f}"
    )

# %% [markdown]
# The 2D network cannot notice. The others judge by slices that are not neighbors at all, and yet the AUC falls by about
# what another seed may cost: a score alone will not find this bug. The step between slices does, at a glance.
#
# ### Exercise 9.4: put them in order (5 min)
# Sort file names such as `CT7_10.jpg` by the slice's number, the last number in the name.
#
# *Hint:* compare numbers, not text.
#
# *Second hint:* `re.findall(r"\d+", name)[-1]` is text; compare numbers.


# %% tags=["exercise"]
def in_order(names):
    # your code here
    # solution
    import re

    return sorted(names, key=lambda name: int(re.findall(r"\d+", name)[-1]))


# %% tags=["check"]
if tested := attempt("9.4", in_order):
    mine = tested(["CT7_10.jpg", "CT7_2.jpg", "CT7_1.jpg"])
    expected = ["CT7_1.jpg", "CT7_2.jpg", "CT7_10.jpg"]
    assert list(mine) != ["CT7_1.jpg", "CT7_10.jpg", "CT7_2.jpg"], (
        "As text, 10 comes before 2."
    )
    assert list(mine) == expected, f"Slices 1, 2, 10 are wanted; got {list(mine)}."
    assert list(tested(["a12_3.jpg", "a12_20.jpg"])) == ["a12_3.jpg", "a12_20.jpg"], (
        "Only the last number counts."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: As text, 10 comes before 2
def in_order(names):
    return sorted(names)


# %% [markdown] tags=["solution"]
# A number in a name is still somebody's habit. DICOM says where a slice lies (Image Position, 0020,0032); the library
# sorts by that, and complains of a missing slice.

# %% [markdown]
# ## Break it: a third axis does not fix a metric
# System 001 segmented with its 3D U-Net and reported an accuracy of 98 % in training and 92 % in its test. What it outlined
# were the ventricles in MRI, not blood. **Predict:** the accuracy of a mask of half the blood, in a quite wrong place.

# %%
blood = case.truth
for name, mask in (
    ("all black", np.zeros_like(blood)),
    ("two slices too high", np.roll(blood, 2, axis=0)),
    ("mirrored", blood[..., ::-1]),
):
    print(
        f"{name:20} accuracy {pixel_accuracy(blood, mask):.4f}   F1 "
        f"{f1(blood, mask):.2f}"
    )

# %% [markdown]
# A surgeon sent to the mirrored side of the head by a "99.8 %" system is no better off for its three dimensions.
#
# ## Recap
# - Think in millimeters: a cube of voxels is a matchstick of tissue.
# - Neighbors can tell what one slice cannot; whether they do is measured, over seeds and patients.
# - Stacking is code like any other: look at the step between slices before you train.
#
# **Sources** Ronneberger et al. 2015 (U-Net); Cicek et al. 2016 (3D U-Net); Isensee et al. 2021 (nnU-Net: pooling by
# spacing); system 001 of the course.
#
# **Next** 10. Which bleed?
