# %% [markdown]
# # 24. Three dimensions
# **You will** compute a 3D convolution by hand, count what a third axis costs, and measure whether it improves the
# result.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 9.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
from dataclasses import replace

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers

from ich_lib import phantom
from ich_lib.course import attempt
from ich_lib.course.volumes import disc_volumes, head_volumes
from ich_lib.data.real_heads import real_head
from ich_lib.measures.bootstrap import paired_bootstrap, patient_bootstrap
from ich_lib.measures.metrics import auc, f1, pixel_accuracy
from ich_lib.models.builders import build
from ich_lib.models.pictures import neighbor_indices
from ich_lib.models.recipes import get_recipe
from ich_lib.show import row

QUICK = True  # False: the heads at full size, more seeds and epochs
SIDE, SEEDS, EPOCHS = (32, 3, 6) if QUICK else (64, 5, 15)

# %% [markdown]
# This lesson is the second half of lesson 9: the kernels get a third axis and also move from foot to head. The bleeds
# below are several slices high. The upper row is a synthetic head, the lower row is patient 084.

# %%
case = phantom(101, bleeds=["intraparenchymal"])
dz, dy, dx = case.scan.spacing_mm
for head in (case, real_head("084")):
    k = int(head.truth.sum(axis=(1, 2)).argmax())
    where = slice(k - 2, k + 3)
    display(
        row(head.scan.hu[where], through="brain", masks=head.truth[where], height=1.8)
    )
print(f"slices {dz} mm apart, pixels {dy:.2f} x {dx:.2f} mm")

# %%
for pixel in (dx, 0.5):
    print(
        f"a 3 x 3 x 3 kernel at {pixel:.2f} mm sees {3 * dz:.0f} x {3 * pixel:.1f} x "
        f"{3 * pixel:.1f} mm"
    )

# %% [markdown]
# A 3 x 3 x 3 kernel covers five to ten times as much tissue from foot to head as within the slice.
#
# ## 3D: a kernel that also moves along z
# The next cells compute a 3D convolution by hand: 27 shifted copies of the volume, each multiplied by its weight, are
# added up. Keras gives the same result.


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
# **Predict:** what does a 3D kernel compute if its upper and lower plane are 0? And does the first layer of a 2.5D
# network compute something else than a 3D convolution?

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
# A 2D convolution is a 3D convolution whose upper and lower plane are 0. The first layer of a 2.5D network computes the
# same as a 3D convolution. After this layer the slices are mixed, and later layers of a 2.5D network no longer move
# along z.
#
# ## What a third axis costs
# System 001 used a 3D U-Net on 80 x 120 x 120 voxels. Its paper states 1.2 M parameters in one place and 1.4 M in
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
# Sixteen filters at the top level give 1.46 M parameters, which is near 1.4 M. Neither 14 nor 15 filters give 1.2 M.
# But the parameters need little memory. Training must also keep the output (the *activations*) of every layer.
#
# ### Exercise 24.1: count the activations (8 min)
# Each level has two convolutions on the way down and two on the way up. The lowest level has only two. From level to
# level all three sides halve. `filters` holds the number of filters of each level, from the top to the lowest. Return
# how many numbers all these convolutions produce for one volume of `shape`.
#
# *Hint:* all three sides halve from level to level. What happens to the number of voxels?
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
if tested := attempt("24.1", conv_values):
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
    assert mine == right, f"The layers produce {right:,} numbers, not {mine:,}."
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
# The top level produces three quarters of all these numbers. So a smaller volume saves more memory than fewer levels.

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
# At full size, one scan needs several GB before any gradient is stored. This is why 3D networks are usually trained on
# shrunken volumes or on parts of them. Shrinking can lose small bleeds (lesson 6).
#
# ## How much of the scan does a voxel depend on?
# ### Exercise 24.2: the receptive field (7 min)
# The *receptive field* is the number of input voxels, along one axis, that one output voxel depends on. Each layer is a
# pair (kernel, stride). Start with field 1 and step 1. Each layer adds `(kernel - 1) * step` to the field. Then its
# stride multiplies the step. Return the field after the last layer.
#
# *Hint:* `step` is the distance between two neighbors of this layer, in voxels of the input.
#
# *Second hint:* a loop with two lines is enough: first the field, then the step.


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
if tested := attempt("24.2", sees):
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
# Pooling makes the receptive field grow quickly, because every later kernel takes larger steps.

# %% [markdown]
# On its way down, `unet3d-001` has two convolutions and a pooling, three times, and then two more convolutions.
# **Predict:** how many mm of this head does the receptive field cover along z?

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
# With pooling in all three directions the field is 34 cm high, which is more than a head, and only 6 cm wide. With
# pooling by 1 x 2 x 2, z is not pooled, and the field is 85 mm high and 61 mm wide. The small networks below do this.
#
# ## A case that needs the third axis
# The next cell takes the test volumes of lesson 9. A disc in all slices is a vessel. A disc in only three slices is a
# bleed. In a single slice both look the same.

# %%
volumes, bleeds, _ = disc_volumes(160, seed=0)
row(
    list(volumes[0, :4] / 2) + list(volumes[1, :4] / 2),
    ["vessel"] * 4 + ["bleed?"] * 4,
    height=1.6,
)

# %% [markdown]
# One function builds all three networks, as in lesson 9. Each gives one score for each slice. In the 2D and 2.5D
# networks the kernels are flat: they have size 1 along z. In the 3D network `deep` makes them three slices high.


# %%
def near(volumes):
    """(n, z, y, x) to (n, z, y, x, 3), as in lesson 9."""
    z = volumes.shape[1]
    return np.stack(
        [volumes[:, neighbor_indices(z, k, 1)] for k in range(z)], axis=1
    ).transpose(0, 1, 3, 4, 2)


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
# **Predict:** in the slices that show a disc, how well does each network separate bleeds from vessels? An AUC of 0.5 is
# chance.

# %%
tested, truth, discs = disc_volumes(80, seed=1)
for name, (n_slices, deep) in KINDS.items():
    model = network(n_slices(volumes).shape[1:], deep=deep, seed=0)
    model.fit(n_slices(volumes), bleeds, batch_size=8, epochs=5, verbose=0)
    score = answers(model, n_slices(tested))
    print(
        f"{name:5} {model.count_params():6,} parameters   AUC "
        f"{auc(truth[discs], score[discs]):.2f}"
    )

# %% [markdown]
# One slice is not enough. Three slices show the end of a disc, but in the middle slice of a bleed all three slices hold
# the disc, as in a vessel. Three layers of 3D kernels reach three slices up and down, so they can see both ends. So the
# third axis can matter. The next section measures whether it matters for heads.
#
# ## Forty heads, one budget
# The same function builds networks for the heads of lesson 9. All three networks get the same blocks of 8 slices and
# the same number of steps, with several seeds.

# %%
heads = head_volumes(SIDE)
gray, labels, held_out = heads.gray, heads.labels, heads.held_out
print(
    f"{(~held_out).sum()} heads train; of {held_out.sum()} held out, "
    f"{labels[held_out].any((1, 2)).sum()} bleed"
)
print(f"height only   AUC {heads.height_auc:.3f}: from the height of a slice alone")


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


def scored(kind, model, volumes):
    """(n, z, 1) scores of heads."""
    return answers(model, KINDS[kind][0](volumes))


# %% [markdown]
# **Predict:** which network has the highest AUC? Is its lead larger than the difference between seeds?

# %%
models, scores = {}, {name: [] for name in KINDS}
for seed in range(SEEDS):
    for name in KINDS:
        models[name, seed] = train_and_score(name, seed)
        scores[name].append(scored(name, models[name, seed], gray[held_out]))
        print(
            f"seed {seed}  {name:5} AUC {heads.auc(scores[name][-1]):.3f}", flush=True
        )

# %%
plt.figure(figsize=(5, 2.4))
for place, runs in enumerate(scores.values()):
    aucs = [heads.auc(score) for score in runs]
    plt.plot(aucs, [place] * len(aucs), "o", alpha=0.6)
plt.yticks(range(3), list(KINDS))
plt.xlabel("AUC of slices, held-out heads, one dot a seed")
plt.margins(y=0.3)
plt.show()

# %% [markdown]
# As in lesson 9, the bootstrap draws patients, not slices. The scores are means over the seeds.


# %%
def of_patients(entries):
    truth, score = (np.concatenate(side) for side in zip(*entries, strict=True))
    return auc(truth.ravel() > 0, score.ravel()) if 0 < truth.mean() < 1 else np.nan


# %%
by_head = {name: heads.by_head(np.mean(runs, axis=0)) for name, runs in scores.items()}
for name, entries in by_head.items():
    bounds = patient_bootstrap(list(entries.values()), of_patients, rounds=500)
    print(f"{name:5} AUC  {bounds}")

# %%
for name in ("2.5D", "3D"):
    gain = paired_bootstrap(by_head["2D"], by_head[name], of_patients, rounds=500)
    print(f"{name:5} gain over 2D  {gain}")

# %% [markdown]
# First compare each AUC with the line "height only". Then read the two intervals of the gain: if an interval holds 0,
# the experiment shows no winner. When this lesson was written, both intervals held 0, the seeds of one network
# differed as much as the networks, and the seed decided which network came first. So a paper that reports one seed
# could show any of the three as the best. A few held-out heads with small pictures and a few epochs are not enough
# for a decision. One difference is certain: the 3D network has nearly three times the parameters.
#
# ## Spot the bug: the head stands upside down
# Lesson 9 stacked slices by the name of their file. Another script reads a file whose slices go from head to foot, and
# does not look at the direction. It has the same check: the mean step to the next slice.

# %%
numbers = np.arange(34)
by_name = np.argsort([f"{k}.jpg" for k in range(1, 35)])
ORDERS = {"in order": numbers, "by name": by_name, "upside down": numbers[::-1]}
for name, order in ORDERS.items():
    step = float(np.abs(np.diff(gray[:, order], axis=1)).mean())
    print(f"{name:12} mean step to the next slice {step:.3f}")

# %% [markdown]
# There is no error. **Predict:** the three networks were trained with slices in the right order. What happens to each
# of them in the two wrong orders, and which fault does the check find?

# %%
for kind, runs in scores.items():
    print(f"{kind:5} in order     AUC {heads.auc(runs[0]):.3f}")
    for name, order in list(ORDERS.items())[1:]:
        back = np.argsort(order)
        wrong = scored(kind, models[kind, 0], gray[held_out][:, order])[:, back]
        print(
            f"      {name:12} AUC {heads.auc(wrong):.3f}   "
            f"mean score moved by {np.abs(wrong - runs[0]).mean():.3f}"
        )

# %% [markdown]
# The 2D network gives the same scores in every order. The mean step finds the order by name. It does not find the head
# upside down, because there each slice has its true neighbors, only exchanged. If the AUC changes no more than it does
# with another seed, the AUC does not show the fault either. So look at the direction of the z axis (lesson 3). The
# library sorts by position, so in its scans z always runs from foot to head.

# %% [markdown]
# ## Break it: a third axis does not fix a metric
# System 001 reported an accuracy of 98 % in training and 92 % in the test for its 3D U-Net. The network outlined the
# ventricles in MRI, not blood. **Predict:** which accuracy do three wrong masks of the bleed have: an empty mask, the
# true mask two slices too high, and the mirrored mask?

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
# All three masks have an accuracy of 99.8 to 99.9 %, even the one on the wrong side of the head. The F1 score shows how
# wrong they are. A third axis does not change this: the metric must fit the task.
#
# ## Recap
# - A 3D kernel mixes slices in every layer. A 2.5D network mixes them once, in its first layer.
# - Activations, not parameters, fill the memory. Pool an axis only where its voxels are small enough.
# - Measure over seeds and patients whether the third axis helps, with a metric that fits the task.
#
# **Sources** Cicek et al. 2016 (3D U-Net); Isensee et al. 2021 (nnU-Net: pooling by spacing); system 001 of the course.
#
# **Next** 10. Which bleed?
