# %% [markdown]
# # 9. Two dimensions and two and a half
# **You will** give a network the slices above and below, measure whether they help, and find slices in a wrong order.
#
# **Time** 30 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 8.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from scipy.ndimage import zoom

from ich_lib import phantom
from ich_lib.course import attempt
from ich_lib.course.volumes import disc_volumes, head_volumes
from ich_lib.data.real_heads import real_head
from ich_lib.measures.bootstrap import paired_bootstrap, patient_bootstrap
from ich_lib.measures.metrics import auc
from ich_lib.models.pictures import neighbor_indices
from ich_lib.models.recipes import get_recipe
from ich_lib.show import row

QUICK = True  # False: the heads at full size, more seeds and epochs
SIDE, SEEDS, EPOCHS = (32, 3, 6) if QUICK else (64, 5, 15)

# %% [markdown]
# A radiologist scrolls: one slice alone often does not show whether a bright dot is a vessel or a bleed. A network that
# gets single slices cannot scroll. This lesson gives it the neighboring slices, and asks whether that helps. Lesson 24
# then takes the whole volume, with kernels that have a third axis.
#
# ## A voxel is longer than it is wide
# The cell cuts one head from ear to ear. On the left each voxel is drawn as a square. On the right it has its true
# proportions.

# %%
case = phantom(101, bleeds=["intraparenchymal"])
hu, (dz, dy, dx) = case.scan.hu, case.scan.spacing_mm
cut = hu[::-1, int(case.truth.sum(axis=(0, 2)).argmax())]
row(
    [cut, np.repeat(cut, round(dz / dx), axis=0)],
    ["as stored", "true size"],
    through="brain",
)

# %%
print(f"slices {dz} mm apart, pixels {dy:.2f} x {dx:.2f} mm")
for pixel in (dx, 0.5):
    print(
        f"three neighbors at {pixel:.2f} mm cover {3 * dz:.0f} mm from foot to head, "
        f"{3 * pixel:.1f} mm within the slice"
    )

# %% [markdown]
# Three neighbors cover five to ten times as much tissue from foot to head as within the slice. Resampling the scan
# makes cubic voxels. **Predict:** does resampling restore the details between two slices? The next cell compares it
# with the same head scanned at 1 mm.

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
)  # pixels of 1.8 mm, each drawn twice
row(
    [np.repeat(section[::-1], 2, axis=1) for section in cuts],
    ["5 mm", "5 mm, resampled to 1 mm", "scanned at 1 mm"],
    through="brain",
)

# %% [markdown]
# The resampled scan is smoother, but it shows no more detail than the slices of 5 mm. It needs five times the memory.

# %% [markdown]
# The same holds for a real head. The next cells show three neighboring slices of patient 084, and the head cut from ear
# to ear. On the right, each slice is drawn fourteen pixels thick. The pixel size of CT-ICH 1.0.0 is unknown, so this
# factor was chosen by eye:

# %%
real = real_head("084")
k = int(real.truth.sum(axis=(1, 2)).argmax())
row(real.scan.hu[k - 1 : k + 2], through="brain", masks=real.truth[k - 1 : k + 2])

# %%
cut = real.scan.hu[::-1, 325, ::2]
row([cut, np.repeat(cut, 7, axis=0)], ["as stored", "stretched"], through="brain")

# %% [markdown]
# ## 2.5D: neighboring slices as channels
# A 2D network can get the slices above and below as additional channels, as a color picture has red, green and blue.
# This is called 2.5D.
#
# ### Exercise 9.1: stack the neighbors (6 min)
# From a volume of shape (z, y, x) make an array of shape (z, y, x, 2 * reach + 1). The channels of slice k are the
# slices k - reach to k + reach. Beyond the first and the last slice, repeat that slice.
#
# *Hint:* for each step from -reach to reach, which slice is at this distance from slice k?
#
# *Second hint:* use `np.clip(k + step, 0, last)` for each step, and `np.stack(..., axis=-1)`.


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
# `np.roll` would put the top of the head below the first slice. It raises no error and changes only two slices per head
# (for reach 1), so this fault is hard to notice.

# %% [markdown]
# The library's `neighbor_indices` gives the same slice numbers, and every 2.5D recipe uses it.


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
# ## A case that needs a neighbor
# The next cell takes small test volumes with a bright disc. If the disc is in all slices, we call it a vessel. If it is
# in only three slices, we call it a bleed. In a single slice both look the same.

# %%
volumes, bleeds, _ = disc_volumes(160, seed=0)
row(
    list(volumes[0, :4] / 2) + list(volumes[1, :4] / 2),
    ["vessel"] * 4 + ["bleed?"] * 4,
    height=1.6,
)

# %% [markdown]
# One function builds the network for all inputs. It gives one score for each slice. Its kernels are flat: they have
# size 1 along z. So the network computes each slice by itself, from the channels of this slice.


# %%
def network(shape, seed):
    keras.utils.set_random_seed(seed)
    x = inputs = layers.Input(shape)
    for level, filters in enumerate((8, 16, 32)):
        stride = (1, 1, 1) if level else (1, 2, 2)
        x = layers.Conv3D(filters, (1, 3, 3), strides=stride, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling3D((1, 2, 2))(x)  # z is left alone
    x = layers.Dropout(0.3)(layers.Reshape((shape[0], -1))(x))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", jit_compile=False)
    return model


def answers(model, pictures):
    return keras.ops.convert_to_numpy(model(pictures, training=False))


def for_whole(model, pictures):
    """The same weights for volumes with another number of slices."""
    whole = network(pictures.shape[1:], seed=0)
    whole.set_weights(model.get_weights())
    return whole


REACH = {"2D": 0, "2.5D, 3 slices": 1, "2.5D, 5 slices": 2}

# %% [markdown]
# **Predict:** in the slices that show a disc, how well does each network separate bleeds from vessels? An AUC of 0.5 is
# chance. Think of the middle slice of a bleed: what do its two neighbors show?

# %%
others, truth, discs = disc_volumes(80, seed=1)
on_discs = {}
for name, reach in REACH.items():
    model = network(near(volumes, reach).shape[1:], seed=0)
    model.fit(near(volumes, reach), bleeds, batch_size=8, epochs=5, verbose=0)
    score = answers(model, near(others, reach))
    on_discs[name] = model
    print(
        f"{name:15} {model.count_params():6,} parameters   AUC "
        f"{auc(truth[discs], score[discs]):.2f}"
    )

# %% [markdown]
# One slice is not enough. Three slices show the end of a disc, but in the middle slice of a bleed all three slices hold
# the disc, as in a vessel. In our run the AUC was 0.55 with one slice, 0.56 with three and 0.93 with five: every slice
# of a bleed sees at least one end, at the cost of 288 parameters. So the neighbors can matter. The next section
# measures whether they matter for heads.
#
# ## Forty heads, one budget
# The same function builds networks for the phantoms of lesson 5 (with `QUICK` at 32 x 32 pixels). Two thirds of the
# heads are for training, and one third is held out. Both networks get the same blocks of 8 slices and the same number
# of steps, with several seeds.

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


def trained(reach, seed):
    """A network for whole heads, trained on blocks of those that are not held out."""
    cut, bleeding = blocks(near(gray[~held_out], reach)), blocks(labels[~held_out])
    model = network(cut.shape[1:], seed)
    model.fit(cut, bleeding, batch_size=8, epochs=EPOCHS, verbose=0)
    return for_whole(model, near(gray[:1], reach))


# %% [markdown]
# **Predict:** which network has the higher AUC? Is its lead larger than the difference between seeds?

# %%
KINDS = {"2D": 0, "2.5D": 1}
models, scores = {}, {name: [] for name in KINDS}
for seed in range(SEEDS):
    for name, reach in KINDS.items():
        models[name, seed] = trained(reach, seed)
        scores[name].append(answers(models[name, seed], near(gray[held_out], reach)))
        print(
            f"seed {seed}  {name:5} AUC {heads.auc(scores[name][-1]):.3f}", flush=True
        )

# %%
plt.figure(figsize=(5, 2))
for place, runs in enumerate(scores.values()):
    aucs = [heads.auc(score) for score in runs]
    plt.plot(aucs, [place] * len(aucs), "o", alpha=0.6)
plt.yticks(range(2), list(KINDS))
plt.xlabel("AUC of slices, held-out heads, one dot a seed")
plt.margins(y=0.3)
plt.show()

# %% [markdown]
# The result also depends on which patients were held out. The bootstrap measures this: it draws patients again and
# again, and compares the networks on the same patients. It draws patients, not slices, because slices of one patient
# are alike. The scores are means over the seeds.


# %%
def of_patients(entries):
    truth, score = (np.concatenate(side) for side in zip(*entries, strict=True))
    return auc(truth.ravel() > 0, score.ravel()) if 0 < truth.mean() < 1 else np.nan


# %%
by_head = {name: heads.by_head(np.mean(runs, axis=0)) for name, runs in scores.items()}
for name, entries in by_head.items():
    bounds = patient_bootstrap(list(entries.values()), of_patients, rounds=500)
    print(f"{name:5} AUC  {bounds}")
gain = paired_bootstrap(by_head["2D"], by_head["2.5D"], of_patients, rounds=500)
print(f"2.5D  gain over 2D  {gain}")

# %% [markdown]
# First compare each AUC with the line "height only". A network that is not above it has not shown that it recognizes
# blood. Then read the interval of the gain: if it holds 0, the experiment shows no winner. When this lesson was
# written, it held 0, and the seeds of one network differed as much as the networks. So a paper that reports one seed
# could show either of the two as the better one. A few held-out heads with small pictures and a few epochs are not
# enough for a decision.
#
# ## Spot the bug: slice 10 comes before slice 2
# A script stacks the slices of a folder in the order of their names:

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
# There is no error, and a 2D network works on each slice alone. **Predict:** both networks were trained with
# slices in the right order. What happens to each of them if it gets heads stacked by name?


# %%
def step_between(volumes):
    return float(np.abs(np.diff(volumes, axis=1)).mean())


print(
    f"mean step to the next slice: in order {step_between(gray):.3f}, by name "
    f"{step_between(gray[:, by_name]):.3f}"
)

# %%
place_of = np.argsort(by_name)
for name, reach in KINDS.items():
    stacked = near(gray[held_out][:, by_name], reach)
    wrong, right = answers(models[name, 0], stacked)[:, place_of], scores[name][0]
    change = np.abs(wrong - right).mean()
    print(
        f"{name:5} AUC in order {heads.auc(right):.3f}   by name "
        f"{heads.auc(wrong):.3f}   mean score moved by {change:.3f}"
    )

# %% [markdown]
# The 2D network gives the same scores. The 2.5D network gets neighbors that are not neighbors in the head. If its
# AUC changes no more than it does with another seed, the AUC alone does not show this fault. The mean step to the next
# slice shows it clearly. So compute it before you train.
#
# ### Exercise 9.2: put them in order (5 min)
# Sort file names such as `CT7_10.jpg` by the number of the slice. This is the last number in the name.
#
# *Hint:* as text, "10" comes before "2". Compare numbers.
#
# *Second hint:* `re.findall(r"\d+", name)[-1]` is the last number, still as text. Turn it into an `int`.


# %% tags=["exercise"]
def in_order(names):
    # your code here
    # solution
    import re

    return sorted(names, key=lambda name: int(re.findall(r"\d+", name)[-1]))


# %% tags=["check"]
if tested := attempt("9.2", in_order):
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
# A number in a file name depends on the program that wrote it. DICOM states the position of each slice (Image Position
# (Patient), 0020,0032). The library sorts by this position, and reports a missing slice.

# %% [markdown]
# ## Break it: the neighbors come too near
# Another scanner makes slices that are a third as thick. Then a bleed of three slices has nine, and each slice has its
# own noise. The networks of the discs get these volumes. **Predict:** what is left of the 2.5D networks?

# %%
rng = np.random.default_rng(2)
thin = np.repeat(others, 3, axis=1)
thin = thin + rng.normal(0, 0.3, thin.shape).astype(np.float32)
thick = thin.reshape(len(thin), 8, 3, 32, 32).mean(axis=2)
wide = [np.repeat(labels_of, 3, axis=1) for labels_of in (truth, discs)]

# %%
for name, reach in REACH.items():
    model, pictures = on_discs[name], near(thin, reach)
    score = answers(for_whole(model, pictures), pictures)
    averaged = answers(model, near(thick, reach))
    print(
        f"{name:15} AUC thin {auc(wide[0][wide[1]], score[wide[1]]):.2f}   "
        f"averaged to thick {auc(truth[discs], averaged[discs]):.2f}"
    )

# %% [markdown]
# There is no error, because the shape of a picture is the same. But three thin neighbors lie within one thick slice.
# So most slices of a bleed hold the disc in all channels, as a vessel does. In our run the AUC with five slices fell
# from 0.93 to 0.67. The mean of three thin slices is a slice of the training thickness again. The library does the
# same: `analyze` averages thin slices to slabs of about 5 mm.
#
# ## Recap
# - Think in millimeters: a voxel of a head CT is often five to ten times longer than wide.
# - Neighboring slices can hold information that one slice does not. Measure over seeds and patients whether they help.
# - Check the order of the slices before you train, and their distance before you predict.
#
# **Sources** Ronneberger et al. 2015 (U-Net); system 001 of the course; `ich_lib/prepare/slabs.py` (thin slices).
#
# **Next** 24. Three dimensions, the second half of this lesson; or 10. Which bleed?
