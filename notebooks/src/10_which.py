# %% [markdown]
# # 10. Which bleed?
# **You will** train a small classifier of a published system, examine five faults of similar networks, and see how much
# of a score is chance.
#
# **Time** 40 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 9.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
from dataclasses import replace

import keras
import matplotlib.pyplot as plt
import numpy as np

from ich_lib import LABELS, analyze, load
from ich_lib.course import attempt, phantom_heads
from ich_lib.course.contrast import input_range
from ich_lib.course.levels import height_auc
from ich_lib.course.real import real_slice
from ich_lib.data.real_heads import real_head
from ich_lib.data.split import by_patient
from ich_lib.labels import ANY, SCHEMES, TYPES, from_scheme, to_scheme
from ich_lib.measures.metrics import auc
from ich_lib.models.builders import build, list_models
from ich_lib.models.pictures import stack_channels
from ich_lib.models.recipes import get_recipe
from ich_lib.show import row
from ich_lib.training.loop import build_learning_rate

QUICK = True  # False: more epochs
EPOCHS = 6 if QUICK else 30

# %% [markdown]
# ## A slice can show no type, one type or several
# The data are the forty phantom heads of lesson 5, two thirds for training. For each type, the cell shows the slice
# with the most blood of this type alone:

# %%
store = phantom_heads()
table, labels = store.table, store.table.labels
split = by_patient(table, folds=3)
trained, held_out = split.rows(table, trained=True), split.rows(table, trained=False)
single = labels[:, :ANY].sum(axis=1) == 1
examples = [
    max(np.flatnonzero(labels[:, k] & single), key=lambda n: store.blood_px[n])
    for k in range(len(TYPES))
]
row(store.hu(examples), TYPES, through="brain", height=2)

# %%
for k, name in enumerate(LABELS):
    print(
        f"{name:17} {labels[trained, k].sum():4} slices to train on, "
        f"{labels[held_out, k].sum():3} held out"
    )

# %% [markdown]
# Real slices can hold several types: first an epidural bleed, then a small clot in the brain with blood in the sulci
# beside it.

# %%
(epidural, first), (both, second) = real_slice("066"), real_slice("084")
row([epidural, both], ["epidural", "two types"], through="brain", masks=[first, second])

# %% [markdown]
# ### Exercise 10.1: six labels as seven classes (7 min)
# `labels` has the shape (n, 6) and the order of `LABELS`: five types, then `any`. Return one class per slice: 0 if it
# is normal, 1 to 5 if it has exactly one type, and 6 if it has several.
#
# *Hint:* there are three cases: no type, one type, and several types.
#
# *Second hint:* count the types in each row, and use `np.where` twice.


# %% tags=["exercise"]
def seven_classes(labels):
    # your code here
    # solution
    types = labels[:, :5]
    count = types.sum(axis=1)
    return np.where(count == 0, 0, np.where(count > 1, 6, 1 + types.argmax(axis=1)))


# %% tags=["check"]
toy = np.array([[0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 1, 1]], bool)
if tested := attempt("10.1", seven_classes):
    mine = tested(toy)
    assert mine[0] == 0, "A slice without blood is class 0."
    assert mine[1] == 3, "Intraventricular alone is class 3."
    assert mine[2] == 6, (
        "Two types at once are class 6; the first one alone would hide the second."
    )
    assert (tested(labels) == to_scheme(labels, "7-class").argmax(axis=1)).all(), (
        "The library gives other classes."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: would hide the second
def seven_classes(labels):
    types = labels[:, :5]
    return np.where(types.any(axis=1), 1 + types.argmax(axis=1), 0)


# %% [markdown] tags=["solution"]
# Seven classes lose information. The class `multiple` says that there is blood, but no longer which types:

# %%
print(SCHEMES["7-class"])
print(
    "two types, there and back:",
    from_scheme(to_scheme(toy, "7-class"), "7-class")[2].astype(int),
)

# %% [markdown]
# ## Networks from one convolution to hundreds
# The library has the classifiers of the published systems as recipes. The cell counts the parameters of some, and
# prints the settings of two others:

# %%
for entry in list_models(
    ["vanilla-004", "cnn-001", "densenet-small", "mobilenetv2-000", "densenet121-004"]
):
    print(
        f"{entry['name']:16} {entry['shape']!s:16} {entry['parameters']:11,} parameters"
    )
for name in ("densenet169-000", "efficientnetb4-000"):
    entry = get_recipe(name)
    print(
        name,
        entry.options["base"],
        entry.scheme,
        entry.loss,
        entry.learning_rate,
        entry.schedule,
    )

# %% [markdown]
# The large networks start with weights trained on ImageNet, which must be downloaded. This lesson starts from random
# weights and trains only the small network `vanilla-004`, built here for 64 x 64 pixels.


# %%
pictures = np.stack(
    [
        stack_channels([hu], get_recipe("vanilla-004").windows)
        for hu in store.hu(range(len(store)))
    ]
)
ROWS = {"6-node": labels, "7-class": to_scheme(labels, "7-class")}


def score_scheme(scheme, *, seed=0, factor=1.0):
    """Scores (n, k) of the held-out slices."""
    keras.utils.set_random_seed(seed)
    model = build(replace(get_recipe("vanilla-004"), size=64, scheme=scheme))
    loss = "binary_crossentropy" if scheme == "6-node" else "categorical_crossentropy"
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    truth = ROWS[scheme].astype(np.float32)
    model.fit(
        pictures[trained] * factor,
        truth[trained],
        batch_size=32,
        epochs=EPOCHS,
        verbose=0,
    )
    return keras.ops.convert_to_numpy(
        model(pictures[held_out] * factor, training=False)
    )


# %% [markdown]
# ## Five seeds give five results
# A seed fixes the random numbers of a training. System 001 trained again with other seeds, got other results, and
# reported one run. **Predict:** how much does the AUC of five runs of one network differ on the same data?

# %%
runs = []
for seed in range(5):
    runs.append(score_scheme("6-node", seed=seed))
    label_aucs = [auc(labels[held_out, k], runs[-1][:, k]) for k in range(len(LABELS))]
    print(
        f"seed {seed}:",
        "  ".join(
            f"{name[:8]} {entry:.2f}"
            for name, entry in zip(LABELS, label_aucs, strict=True)
        ),
        flush=True,
    )

# %%
height_only = [height_auc(table, held_out, k) for k in range(len(LABELS))]
texts = [
    f"{name[:8]} {entry:.2f}" for name, entry in zip(LABELS, height_only, strict=True)
]
print("height only:", "  ".join(texts))

# %% [markdown]
# The last line is the AUC that the height of a slice alone reaches, without the picture. A network that is not above it
# has not shown that it recognizes blood.

# %%
plt.figure(figsize=(6, 2.4))
for k, name in enumerate(LABELS):
    plt.plot(
        [auc(labels[held_out, k], run[:, k]) for run in runs],
        [name] * 5,
        "o",
        alpha=0.6,
    )
plt.xlabel("AUC, held-out slices, one dot per seed")
plt.show()

# %% [markdown]
# When this lesson was written, `any` changed little, single types changed by up to 0.1, and no seed was best for all
# types. With a threshold of 0.5 the seeds differ even more:

# %%
print(
    "positive cells found:",
    [int(((run > 0.5) & labels[held_out]).sum()) for run in runs],
    "of",
    labels[held_out].sum(),
)

# %% [markdown]
# So one run says little. Report all seeds. Types with few patients change even more if other *patients* are held out.
#
# ## A high accuracy without any bleed found
# System 004 reports an accuracy of 94.3 % over all label cells (one cell for each slice and label). Its AlexNet found
# 12 of 230,745 positive cells. **Predict:** which accuracy has the answer "never" on our held-out cells?

# %%
truth, decided = labels[held_out], runs[0] > 0.5
print(f"never        accuracy {(~truth).mean():.1%}   found 0 of {truth.sum()}")
print(
    f"our network  accuracy {(decided == truth).mean():.1%}   found "
    f"{(decided & truth).sum()} of {truth.sum()}"
)
print(f"AlexNet      found {12 / 230_745:.4%}")

# %% [markdown]
# ## Which type is confused with which?
# The rows are the true types (only slices with one type). The columns are the types with the highest score, in the
# order of the rows. The counts are sums over all five seeds.

# %%
single_type = truth[:, :ANY].sum(axis=1) == 1
confusion = np.zeros((5, 5), int)
for run in runs:
    np.add.at(
        confusion,
        (
            truth[single_type, :ANY].argmax(axis=1),
            run[single_type, :ANY].argmax(axis=1),
        ),
        1,
    )
for name, line in zip(TYPES, confusion, strict=True):
    print(f"{name:17}", *(f"{count:4}" for count in line))

# %% [markdown]
# Subdural is the most frequent type in the training slices, and most answers fall in its column. The AUC of each type
# does not show this.
#
# ## Softmax on labels that are not exclusive
# In system 004 the last layer of InceptionV3 was a softmax over six labels. A slice with subdural blood has two labels,
# `subdural` *and* `any`. **Predict:** can both scores be 0.9?

# %%
logits = np.array([-4.0, -4, -4, -4, 4, 4])
print(
    "softmax",
    np.round(np.exp(logits) / np.exp(logits).sum(), 2),
    " sigmoid",
    np.round(1 / (1 + np.exp(-logits)), 2),
)
clean = np.full(6, -4.0)
print(
    "no blood: softmax",
    np.round(np.exp(clean) / np.exp(clean).sum(), 2),
    " sigmoid",
    np.round(1 / (1 + np.exp(-clean)), 2),
)

# %% [markdown]
# The six scores of a softmax sum to 1. So they cannot all be near 0, and two of them cannot both be near 1. Use
# sigmoids for labels that can occur together, and a softmax for classes that exclude each other.
#
# ## Spot the bug: the input is scaled twice
# The first layers of EfficientNet scale pixels from 0 to 255 themselves. System 000 gave it pictures that were already
# divided by 255, and its test accuracy was 62.30 %. The next cell makes the same fault with `vanilla-004`: it divides
# the input by 255 once more. **Predict:** what accuracy does it reach?

# %%
print(
    "what reaches the network:",
    input_range(np.array([0, 255]), 1 / 255),
    "or",
    input_range(np.array([0, 255]), 1 / 255, 1 / 255),
)
classes = ROWS["7-class"][held_out].argmax(axis=1)
print(f"share of normal slices     {(classes == 0).mean():.2%}")
for name, factor in (("scaled twice", 1 / 255), ("scaled once", 1.0)):
    score = score_scheme("7-class", factor=factor)
    answer = score.argmax(axis=1)
    print(
        f"{name:13} accuracy {(answer == classes).mean():.2%}   classes answered "
        f"{np.unique(answer)}",
        end="   ",
    )
    print(f"AUC of bleeding {auc(truth[:, ANY], 1 - score[:, 0]):.2f}")

# %% [markdown]
# If the accuracy equals the share of the largest class, the network probably gives one answer for everything: 62.3 % of
# the test set of system 000 was normal. With the right scaling the accuracy can even be *lower*, so compare the AUC
# too. In the library each backbone has its scaling as the first layer, so it happens once.
#
# ## "Only five layers are trained"
# System 000 stated that it trained only five layers. But the line that froze the others was commented out, so all were
# trained.
#
# ### Exercise 10.2: freeze all but the first five (6 min)
# Set `trainable` of every layer: True for the first `count` layers, False for all others. Return the number of
# trainable parameters.
#
# *Hint:* a new layer is trainable. Which layers need another setting?
#
# *Second hint:* `sum(int(np.prod(w.shape)) for w in model.trainable_weights)`.


# %% tags=["exercise"]
def freeze(model, count):
    # your code here
    # solution
    for place, layer in enumerate(model.layers):
        layer.trainable = place < count
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# %% tags=["check"]
tiny = keras.Sequential([keras.Input((4,)), *[keras.layers.Dense(2) for _ in range(3)]])
if tested := attempt("10.2", freeze):
    mine = tested(tiny, 1)
    assert mine != 22, "All 22 parameters are still trained."
    assert mine == 10, f"The first layer has 4 * 2 + 2 = 10 parameters, not {mine}."
    assert tested(tiny, 3) == 22, (
        "With count=3 all 22 parameters must be trainable again."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: All 22 parameters are still trained
def freeze(model, count):
    for layer in model.layers[:count]:
        layer.trainable = True
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# %% [markdown] tags=["solution"]
# A new layer is trainable, so setting five layers to trainable changes nothing. Always count the trainable parameters:

# %%
own_recipe = get_recipe("mobilenetv2-000")
for trainable in ("all", "first 5"):
    model = build(
        replace(own_recipe, options={**own_recipe.options, "trainable": trainable})
    )
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    print(
        f"{trainable:8} of the backbone: {count:,} of {model.count_params():,} "
        "parameters trained"
    )

# %% [markdown]
# **Predict:** a layer is frozen *after* the model was compiled and trained, and the model is not compiled again. Do the
# weights of this layer still change?

# %%
keras.utils.set_random_seed(0)
tiny = keras.Sequential(
    [
        keras.Input((4,)),
        keras.layers.Dense(3),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(1),
    ]
)
x, y = np.random.default_rng(0).normal(2, 1, (64, 4)), np.ones((64, 1))


def weight_change():
    before = [
        weight.copy() for layer in tiny.layers[:2] for weight in layer.get_weights()
    ]
    tiny.fit(x, y, verbose=0)
    after = [weight for layer in tiny.layers[:2] for weight in layer.get_weights()]
    return any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


for trainable in ("free", "frozen, not compiled", "frozen, compiled"):
    for layer in tiny.layers[:2]:
        layer.trainable = trainable == "free"
    if trainable != "frozen, not compiled":
        tiny.compile("adam", "mse", jit_compile=False)
    print(f"{trainable:21} moved: {weight_change()}")

# %% [markdown]
# Compile the model after you freeze layers. A frozen batch normalization in Keras also keeps its running mean and
# variance.
#
# ## Restarts that never happened
# System 000 planned a learning rate that falls from 1e-5 along a cosine and restarts. But a schedule for *steps* was
# called only once per *epoch*.
#
# ### Exercise 10.3: a cosine with restarts (7 min)
# Return the learning rate at `step`. Each cycle has `cycle` steps. At its start the rate is `first`. Then it falls
# along half a cosine toward `lowest * first`.
#
# *Hint:* the rate depends on the part of the cycle that is done, from 0 to 1. The operator `%` helps.
#
# *Second hint:* `done = (step % cycle) / cycle`, and the cosine falls from 1 to 0 as `(1 + cos(pi * done)) / 2`.


# %% tags=["exercise"]
def rate(step, cycle, first, lowest):
    # your code here
    # solution
    share = (1 + np.cos(np.pi * (step % cycle) / cycle)) / 2
    return first * (lowest + (1 - lowest) * share)


# %% tags=["check"]
if tested := attempt("10.3", rate):
    mine = tested(5, 10, 1.0, 0.1)
    assert np.isclose(mine, 0.55), f"Half way from 1 to 0.1 is 0.55, not {mine:.3f}."
    assert np.isclose(tested(10, 10, 1.0, 0.1), 1.0), (
        "Step 10 begins a new cycle: the first rate again."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: begins a new cycle
def rate(step, cycle, first, lowest):
    share = (1 + np.cos(np.pi * min(step / cycle, 1))) / 2
    return first * (lowest + (1 - lowest) * share)


# %% tags=["mistake"]
# refused: Half way from 1 to 0.1
def rate(step, cycle, first, lowest):
    return first * (1 + np.cos(np.pi * (step % cycle) / cycle)) / 2


# %% [markdown] tags=["solution"]
# The library's `build_learning_rate` gives the same rate, and the optimizer calls it at every step:

# %%
steps = 90  # per epoch
schedule = build_learning_rate(get_recipe("densenet169-000"), steps)
at = lambda step: float(schedule(step))
print(f"called once per epoch, epoch 40: {at(40):.4e}; published 0.9957e-5")
plt.figure(figsize=(6, 2.4))
plt.plot([at(epoch) for epoch in range(40)], label="called once per epoch")
plt.plot([at(epoch * steps) for epoch in range(40)], label="called at every step")
plt.xlabel("epoch")
plt.ylabel("learning rate")
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# The number of steps per epoch in system 000 is not known. With 90, a cycle of ten epochs has 900 steps. Called once
# per epoch, the rate hardly falls in 40 epochs, as in system 000. Called at every step, it restarts three times.
#
# ## The shipped DenseNet
# The library ships a classifier, `densenet-small`, with 471,670 parameters. It was trained on 66 patients of CT-ICH.
# The figures below come from five folds: each patient was judged by a model that had not seen this patient.
#
# The cell also applies it to the three real patients of the course, which it never saw. **Predict:** how many of their
# bleeding slices does it find?

# %%
dense = load("densenet-small")
for name in ("slice_auc_any", "height_auc", "scan_auc_any"):
    figure = dense.figures[name]
    print(
        f"{name:14} {figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"
    )
for patient in ("066", "084", "099"):
    case = real_head(patient)
    result = analyze(case.scan, dense)
    called = result.slice_scores[:, ANY] >= result.score_threshold
    truth = case.labels[:, ANY]
    hits, alarms = (called & truth).sum(), (called & ~truth).sum()
    print(f"Patient {patient}: calls {hits} of {truth.sum()} bleeding slices, ", end="")
    print(f"and {alarms} of {(~truth).sum()} others")

# %% [markdown]
# Its slice AUC (0.82) is above that of the height alone (0.71), so it learned something about the pictures. But it
# finds none of the 16 bleeding slices of 066 and 084, and calls 11 of the 29 clean slices of 099. An AUC measures only
# the ranking of slices, and a user needs decisions. Only one slice in eight bleeds, so a weak model with calibrated
# scores seldom reaches 0.5. The library's U-Net also learned from outlines. Its slice AUC is 0.95 on the same folds.
#
# ## Break it: another hospital, another prevalence
# **Predict:** what is the accuracy of the answer "never" in a hospital where every fifth slice bleeds, and where every
# hundredth slice bleeds?

# %%
for share in (0.2, 0.01):
    print(
        f"{share:.0%} of slices bleed: never saying so is {1 - share:.0%} accurate, "
        "and finds no bleed"
    )

# %% [markdown]
# The accuracy depends on the share of bleeding slices. So do not compare accuracies of two hospitals. Compare AUC,
# sensitivity and specificity.
#
# ## Recap
# - Compare every accuracy with that of the answer "never".
# - Count the trainable parameters, print the range of the input, and plot the learning rate. Each check is one line of
#   code.
# - One seed is not enough. Report several.
#
# **Sources** Systems 000, 001 and 004 of the course; Loshchilov and Hutter 2017 (restarts); Huang et al. 2017 (DenseNet);
# Tan and Le 2019 (EfficientNet).
#
# **Next** 11. Inside the network
