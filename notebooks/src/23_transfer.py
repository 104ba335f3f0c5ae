# %% [markdown]
# # 23. Transfer learning
# **You will** use a network that was trained on photographs for head CT, freeze it, train a part of it, and find a
# frozen network whose output still changes.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 2 min (`QUICK = False`: 5 min, an estimate).
# **Before this** lesson 22.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import layers
from sklearn.linear_model import LogisticRegression

from ich_lib import WINDOWS
from ich_lib.course import attempt
from ich_lib.course.painted import painted_slices
from ich_lib.course.real import real_slice
from ich_lib.measures.metrics import auc
from ich_lib.models.efficientnet_lite import unet_lite0
from ich_lib.prepare.window import window
from ich_lib.show import row

QUICK = True  # False: three seeds and more epochs where the network itself is trained
SEEDS = range(1) if QUICK else range(3)
EPOCHS = 6 if QUICK else 20

# %% [markdown]
# ## Filters that were trained on photographs
# In *transfer learning* a network starts with weights that were trained on another task. EfficientNet-Lite0 was
# trained on the 1.3 million photographs of ImageNet: dogs, cars, mushrooms. Its weights are in a small package that
# is installed with the course, so nothing is downloaded. It is the encoder of the recipe `unet-lite0`. For
# comparison we use the same network with random weights.


# %%
def build_encoder(weights, seed=0):
    """The first eleven blocks: (n, 64, 64, 3) in [0, 1] to (n, 4, 4, 112)."""
    keras.utils.set_random_seed(seed)
    unet = unet_lite0((64, 64, 3), weights=weights)
    return keras.Model(unet.input, unet.get_layer("block10_add").output)


encoders = {"ImageNet": build_encoder("imagenet"), "random": build_encoder(None)}
for name, encoder in encoders.items():
    kernels = keras.ops.convert_to_numpy(encoder.get_layer("stem").kernel)[:, :, 1, :8]
    gray = 0.5 + kernels / (2 * np.abs(kernels).max(axis=(0, 1)))  # 0 is gray
    display(row(np.moveaxis(gray, -1, 0), [name] + [""] * 7, height=1.2))

# %% [markdown]
# The upper row shows the first filters of the trained network. Some of them detect edges and bars, which are in
# pictures of brains as well as of dogs. The lower row shows random filters.
#
# ## Heads through three windows
# We use the painted slices of lesson 22. A photograph has the channels red, green and blue. In their place we use
# the three windows of system 004: brain, vascular and bone.

# %%
slices = painted_slices()
system_004 = ("brain 004", "vascular 004", "bone")


def show_as_colors(hu, names):
    """(n, y, x) HU to (n, y, x, 3) in [0, 1]."""
    return np.stack([window(hu, *WINDOWS[name]) for name in names], axis=-1)


pictures = show_as_colors(slices.hu, system_004)
example = int(np.flatnonzero(slices.bleeds)[60])
row([*np.moveaxis(pictures[example], -1, 0)], system_004, height=2.2)

# %%
real_hu, real_blood = real_slice("066", size=64)
row([real_hu], ["real, 64 px"], through="brain", masks=[real_blood], height=2.2)

# %% [markdown]
# ## A frozen encoder runs only once
# The weights of a *frozen* encoder do not change. So each slice passes through it only once, and we store the
# output. Its output has 4 x 4 positions with 112 channels. The average over the positions gives 112 *features* of
# the slice. A logistic regression on these features trains in milliseconds.


# %%
def features_of(encoder, pictures):
    """Layer to (n, channel): the outputs of four layers, averaged over the picture."""
    pool = layers.GlobalAveragePooling2D()
    pooled = {name: pool(encoder.get_layer(name).output) for name in depths}
    return keras.Model(encoder.input, pooled).predict(pictures, verbose=0)


# %%
depths = ("block0_project_bn", "block2_add", "block4_add", "block10_add")
of_layers = {name: features_of(encoder, pictures) for name, encoder in encoders.items()}

# %% [markdown]
# ### Exercise 23.1: scale the features (6 min)
# A regression works best if each column has mean 0 and standard deviation (SD) 1. Scale all rows by the mean and
# the SD of the rows `train`. If the SD of a column is 0, divide by 1 instead. Do not change `features` itself.
#
# *Hint:* from which rows may the mean be computed?
#
# *Second hint:* `spread = features[train].std(axis=0)`, then `np.where(spread > 0, spread, 1)`.


# %% tags=["exercise"]
def scale(features, train):
    # your code here
    # solution
    mean, spread = features[train].mean(axis=0), features[train].std(axis=0)
    return (features - mean) / np.where(spread > 0, spread, 1)


# %% tags=["check"]
toy, toy_rows = np.array([[0.0, 5.0], [2.0, 5.0], [7.0, 6.0]]), np.array([0, 1])
if tested := attempt("23.1", scale):
    mine = np.asarray(tested(toy, toy_rows))
    assert mine.shape == toy.shape, f"All rows are scaled: (3, 2), not {mine.shape}."
    assert np.isfinite(mine).all(), "The second column has SD 0 in the training rows."
    assert np.allclose(mine[:2].mean(axis=0), 0), (
        "The training rows must have mean 0: do not use the other rows."
    )
    assert np.allclose(mine[2], [6, 1]), f"The last row becomes 6 and 1, not {mine[2]}."
    tested.passes()


# %% tags=["mistake"]
# refused: do not use the other rows
def scale(features, train):
    return (features - features.mean(axis=0)) / features.std(axis=0)


# %% tags=["mistake"]
# refused: has SD 0
def scale(features, train):
    with np.errstate(all="ignore"):
        return (features - features[train].mean(axis=0)) / features[train].std(axis=0)


# %% [markdown] tags=["solution"]
# `StandardScaler().fit(features[train]).transform(features)` does the same.

# %% [markdown]
# The result of a single draw of training heads depends on chance (lesson 10). So we draw twelve of the heads 0 to
# 19, ten times. The test heads are always 20 to 39.

# %%
test = slices.rows(20, 40)
height = slices.height_auc(test)
draws = [np.random.default_rng(seed).permutation(20) for seed in range(10)]


def test_auc(features, heads):
    """AUC on the test heads after training on these heads."""
    train = np.flatnonzero(np.isin(slices.head, heads))
    mean, spread = features[train].mean(axis=0), features[train].std(axis=0)
    scaled = (features - mean) / np.where(spread > 0, spread, 1)
    model = LogisticRegression(C=0.01, max_iter=500)
    model.fit(scaled[train], slices.bleeds[train])
    return auc(slices.bleeds[test], model.predict_proba(scaled[test])[:, 1])


def all_draws(features, count=12):
    return np.array([test_auc(features, heads[:count]) for heads in draws])


# %% [markdown]
# **Predict:** which layer of the pretrained network gives the best AUC, an early one or a late one? And which layer
# of the random network?

# %%
for name, of_layer in of_layers.items():
    for layer in depths:
        each = all_draws(of_layer[layer])
        print(f"{name:9} {layer:18} AUC {each.mean():.3f}, SD {each.std(ddof=1):.3f}")
print(f"height only                  AUC {height:.3f}")

# %% [markdown]
# In our run, the AUC was 0.83 for the first block of the pretrained network and 0.93 for the last block used here.
# Even the *random* network reached 0.84. Random filters at several scales already respond to a large bright clot.
# So compare with random weights: only the difference comes from the photographs.
#
# **Predict:** how many training heads does the pretrained network need to be as good as the random network with
# twelve?

# %%
features = {name: of_layer[depths[-1]] for name, of_layer in of_layers.items()}
counts = (2, 4, 8, 12, 20)
for name, columns in features.items():
    each = np.array([all_draws(columns, count) for count in counts])
    plt.errorbar(counts, each.mean(axis=1), each.std(axis=1), capsize=3, label=name)
    print(f"{name:9}", "  ".join(f"{value:.3f}" for value in each.mean(axis=1)))
plt.axhline(height, color="gray", linestyle=":", label="height only")
plt.xlabel("training heads")
plt.ylabel("test AUC")
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# In our run, ImageNet weights with two heads (0.84) were as good as random weights with twelve heads (0.84). This
# is the advantage of transfer learning: fewer labeled patients are needed. With 20 heads all ten draws hold the
# same heads, so the spread is zero there.
#
# ## Batch normalization stores moving averages
# In this network each convolution is followed by *batch normalization*. It has two modes. In training mode it
# scales by the mean and variance of the current batch, and updates a moving average of both. In inference mode,
# which is used after training, it scales by these moving averages and does not change them.
#
# ### Exercise 23.2: both modes by hand (8 min)
# `x` is (n, channel). `mean` and `variance` are the moving values. Return the scaled `x`, the new moving mean and
# the new moving variance. Scale with `(x - mean) / sqrt(variance + 0.001)`. If `training` is True, use the mean and
# variance of the batch for scaling, and update each moving value to `momentum * old + (1 - momentum) * batch`.
#
# *Hint:* in inference mode, which of the three returned values differs from the input?
#
# *Second hint:* `x.mean(axis=0)` and `x.var(axis=0)` if `training`, else the inputs `mean` and `variance`.


# %% tags=["exercise"]
def batch_norm(x, mean, variance, training, momentum):
    # your code here
    # solution
    if not training:
        return (x - mean) / np.sqrt(variance + 0.001), mean, variance
    here, spread = x.mean(axis=0), x.var(axis=0)
    moved = [
        momentum * old + (1 - momentum) * new
        for old, new in ((mean, here), (variance, spread))
    ]
    return (x - here) / np.sqrt(spread + 0.001), *moved


# %% tags=["check"]
x, mean, variance = np.array([[1.0], [3.0]]), np.array([0.0]), np.array([4.0])
if tested := attempt("23.2", batch_norm):
    scaled, new_mean, new_variance = tested(x, mean, variance, False, 0.9)
    assert np.isclose(new_mean[0], 0), "Outside of training the moving mean stays."
    assert np.isclose(scaled[0][0], 0.5, atol=0.01), (
        f"Outside of training 1 becomes (1 - 0) / 2 = 0.5, not {scaled[0][0]:.2f}."
    )
    scaled, new_mean, new_variance = tested(x, mean, variance, True, 0.9)
    assert np.isclose(scaled[0][0], -1, atol=0.01), (
        f"In training 1 becomes (1 - 2) / 1 = -1, not {scaled[0][0]:.2f}."
    )
    assert np.isclose(new_mean[0], 0.2), (
        "The moving mean moves a tenth of the way from 0 to 2; yours is "
        f"{new_mean[0]:.2f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Outside of training the moving mean stays
def batch_norm(x, mean, variance, training, momentum):
    here, spread = x.mean(axis=0), x.var(axis=0)
    moved = momentum * mean + (1 - momentum) * here
    return (x - here) / np.sqrt(spread + 0.001), moved, variance


# %% tags=["mistake"]
# refused: a tenth of the way
def batch_norm(x, mean, variance, training, momentum):
    if not training:
        return (x - mean) / np.sqrt(variance + 0.001), mean, variance
    here, spread = x.mean(axis=0), x.var(axis=0)
    return (x - here) / np.sqrt(spread + 0.001), here, spread


# %% [markdown] tags=["solution"]
# In Keras the argument `training` sets the mode. A batch normalization layer with `trainable = False` stays in
# inference mode, even if `training=True`. This rule is special to batch normalization; dropout, for example, does
# not follow it.

# %% [markdown]
# ## Spot the bug: the output of a frozen encoder changes
# A colleague freezes every layer that has a kernel. In a network the last layers, which give the result, are called
# the *head*. The head is trained for four epochs, and no kernel of the encoder changes. **Predict:** do the
# features of a slice stay the same?


# %%
train = slices.rows(0, 12)
encoder = encoders["ImageNet"]
for layer in encoder.layers:
    layer.trainable = not hasattr(layer, "kernel")
order = np.random.default_rng(0).permutation(np.tile(train, 4))
for batch in np.array_split(order, len(order) // 32):
    encoder(pictures[batch], training=True)  # the forward pass of a training step

# %%
drifted = features_of(encoder, pictures)[depths[-1]]
imagenet = features["ImageNet"]
change = np.abs(drifted - imagenet).mean() / np.abs(imagenet).mean()
print(f"the features have changed by {change:.0%}")
scaler = imagenet[train].mean(axis=0), imagenet[train].std(axis=0)
head = LogisticRegression(C=0.01, max_iter=500)
head.fit((imagenet[train] - scaler[0]) / scaler[1], slices.bleeds[train])
for name, columns in (("unchanged", imagenet), ("drifted", drifted)):
    p = head.predict_proba((columns[test] - scaler[0]) / scaler[1])[:, 1]
    rank = auc(slices.bleeds[test], p)
    called = (p >= 0.5).mean()
    print(
        f"a head on features {name:10} AUC {rank:.3f}, calls {called:.0%} of the slices"
    )
print(f"height only{'':18} AUC {height:.3f}")

# %% [markdown]
# The features changed by a third, although no kernel was trained. The reason is batch normalization: its layers
# have no kernel, so they were not frozen, and their moving averages changed. The order of the slices stayed nearly
# the same (AUC 0.93 before and after). But the head called 40 % of the slices bleeding before and 7 % after, and 51
# % really bleed. The AUC alone does not show this fault.
#
# ### Exercise 23.3: freeze without drift (7 min)
# Set `trainable` of every layer. It is True if the name of the layer begins with an entry of `blocks`, and False
# otherwise. Batch normalization layers are always False. Return the names of the trainable layers, in order.
#
# *Hint:* `isinstance` shows whether a layer is a batch normalization.
#
# *Second hint:* `layer.name.startswith(tuple(blocks)) and not isinstance(layer, keras.layers.BatchNormalization)`.


# %% tags=["exercise"]
def thaw(model, blocks):
    # your code here
    # solution
    for layer in model.layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = layer.name.startswith(tuple(blocks)) and not is_norm
    return [layer.name for layer in model.layers if layer.trainable]


# %% tags=["check"]
tiny = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Dense(3, name="a_dense"),
        layers.BatchNormalization(name="a_norm"),
        layers.Dense(2, name="b_dense"),
        layers.BatchNormalization(name="b_norm"),
    ]
)
if tested := attempt("23.3", thaw):
    mine = tested(tiny, ["b"])
    assert not tiny.get_layer("a_dense").trainable, "Block a is still trained."
    assert not tiny.get_layer("a_norm").trainable, (
        "Batch normalization of a still moves."
    )
    assert not tiny.get_layer("b_norm").trainable, (
        "Batch normalization of b still moves."
    )
    assert list(mine) == ["b_dense"], f"Only b_dense is trained, not {mine}."
    tested.passes()


# %% tags=["mistake"]
# refused: Block a is still trained
def thaw(model, blocks):
    for layer in model.layers:
        if layer.name.startswith(tuple(blocks)):
            layer.trainable = True
    return [layer.name for layer in model.layers if layer.trainable]


# %% tags=["mistake"]
# refused: Batch normalization of b still moves
def thaw(model, blocks):
    for layer in model.layers:
        layer.trainable = layer.name.startswith(tuple(blocks))
    return [layer.name for layer in model.layers if layer.trainable]


# %% [markdown] tags=["solution"]
# Compile the model after you set `trainable`, not before (lesson 10). In PyTorch, `requires_grad = False` does not
# stop the moving averages either. Call `.eval()` on a frozen encoder there.

# %% [markdown]
# ## Fine-tuning: train the encoder, too
# Now we train the encoder itself on the slices of heads 0 to 11. First we train only blocks 8 to 10, with batch
# normalization frozen. Then we train all blocks, with batch normalization in training mode. **Predict:** how much
# better than the frozen encoder is each of them?


# %%
def fine_tune(blocks, moving, seed):
    """Test AUC after training these blocks and a dense layer."""
    encoder = build_encoder("imagenet", seed)
    for layer in encoder.layers:
        is_norm = isinstance(layer, layers.BatchNormalization)
        layer.trainable = layer.name.startswith(blocks) and (moving or not is_norm)
    pooled = layers.GlobalAveragePooling2D()(encoder.output)
    model = keras.Model(encoder.input, layers.Dense(1, activation="sigmoid")(pooled))
    model.compile("adam", "binary_crossentropy", jit_compile=False)
    truth = slices.bleeds[train].astype(np.float32)
    model.fit(pictures[train], truth, batch_size=32, epochs=EPOCHS, verbose=0)
    return auc(slices.bleeds[test], model.predict(pictures[test], verbose=0)[:, 0])


# %%
last, whole = ("block8", "block9", "block10"), ("stem", "block")
plans = {
    "ImageNet, blocks 8 to 10": (last, False),
    "ImageNet, all": (whole, True),
}
frozen = test_auc(imagenet, range(12))
print(f"{'ImageNet, frozen':24} test AUC {frozen:.3f}")
for name, plan in plans.items():
    each = [fine_tune(*plan, seed) for seed in SEEDS]
    print(
        f"{name:24} test AUC", "  ".join(f"{value:.3f}" for value in each), flush=True
    )
print(f"{'height only':24} test AUC {height:.3f}")

# %% [markdown]
# In our run with one seed, the test AUC was 0.93 with the frozen encoder, 0.92 with three trained blocks, and 0.95
# with all blocks trained. The network of lesson 22 started from random weights, on the same heads and with one
# window. It had 0.71, and 0.91 with augmentation. So most of the gain comes from the frozen encoder. The further
# gain of fine-tuning is no larger than a difference between two seeds may be.
#
# ## Which windows help?
# System 004 chose the windows brain, vascular and bone for the three channels. Does the bone window help? Does the
# vascular window help? The encoder is frozen, so each trial needs only one pass. **Predict** the order of the four
# choices.

# %%
choices = {
    "brain, vascular, vascular": ("brain 004", "vascular 004", "vascular 004"),
    "brain, bone, bone": ("brain 004", "bone", "bone"),
    "brain three times": ("brain 004",) * 3,
}
pretrained = build_encoder("imagenet")
of_choice = {"brain, vascular, bone": all_draws(imagenet)}
for name, names in choices.items():
    columns = features_of(pretrained, show_as_colors(slices.hu, names))[depths[-1]]
    of_choice[name] = all_draws(columns)

# %%
for name, each in of_choice.items():
    gain = each - of_choice["brain, vascular, bone"]
    n_better = (gain > 0).sum()
    print(
        f"{name:26} AUC {each.mean():.3f}, against the first {gain.mean():+.3f} "
        f"(SD {gain.std(ddof=1):.3f}), better in {n_better} of {len(draws)} draws"
    )
print(f"{'height only':26} AUC {height:.3f}")

# %%
plt.figure(figsize=(7, 2.2))
plt.boxplot(list(of_choice.values()), orientation="horizontal")
for place, each in enumerate(of_choice.values(), start=1):
    plt.plot(each, [place] * len(each), "o", alpha=0.5)
plt.yticks(range(1, 5), of_choice)
plt.xlabel("test AUC, one dot per draw")
plt.show()

# %% [markdown]
# This is a *box plot*. The box holds the middle half of the draws, and the line in it is the median. Each whisker
# reaches to the last draw that is at most 1.5 box lengths away from the box. With only ten values, draw the single
# values as dots, too.

# %% [markdown]
# In our run, brain with two bone channels and brain with two vascular channels had the same AUC (0.943). All three
# other choices were better than system 004's own choice in all ten draws, even the brain window three times. But
# the ten draws have the same test heads. So they show only that the gain of 0.014 does not depend on the *training*
# heads. Twenty test heads are too few to show that it holds for other patients (lesson 12).
#
# ## Break it: gray levels from 0 to 255
# The encoder expects pictures in [0, 1], and its first layer scales them to [-1, 1]. We give it gray levels from 0
# to 255. **Predict:** what is the AUC of a head that was trained on correct pictures? And of a head that was
# trained on wrong pictures, too?

# %%
wrong = features_of(pretrained, 255 * pictures)[depths[-1]]
p = head.predict_proba((wrong[test] - scaler[0]) / scaler[1])[:, 1]
print(f"head, correct pictures:   AUC {auc(slices.bleeds[test], p):.3f}")
print(f"head, wrong pictures:     AUC {test_auc(wrong, range(12)):.3f}")
print(f"all pictures correct:     AUC {frozen:.3f}   height only {height:.3f}")

# %% [markdown]
# In our run, the AUC was 0.57 and 0.76, compared with 0.93 for correct pictures. No error is raised. The AUC of
# 0.76 looks like the result of a difficult task, so the fault is easy to overlook. Always look at the values that
# reach the first layer (lesson 10).
#
# Which score do the real bleed and its mirror image get? The head was trained only on painted phantoms.

# %%
real = show_as_colors(np.stack([real_hu, real_hu[:, ::-1]]), system_004)
columns = features_of(pretrained, real)[depths[-1]]
p = head.predict_proba((columns - scaler[0]) / scaler[1])[:, 1]
print("score of the real bleed and of its mirror image:", np.round(p, 2))

# %% [markdown]
# In our run, the scores were 0.16 and 0.18, so the real bleed is missed. Only the filters were transferred from the
# photographs. The head learned its decision from phantoms with clots inside the brain, but this bleed is an
# epidural along the skull.
#
# ## Recap
# - A frozen encoder needs only one pass per slice. Begin with it, and train the encoder itself if you have enough
#   patients.
# - A frozen encoder has no gradient *and* keeps batch normalization in inference mode. Compare its features before
#   and after training.
# - Compare choices on the same draws, and use several draws.
#
# **Sources** Tan and Le 2019, arXiv:1905.11946 (EfficientNet); Ioffe and Szegedy 2015, arXiv:1502.03167 (batch normalization);
# Raghu et al. 2019, arXiv:1902.07208 (ImageNet weights on medical pictures); Barker et al. 2019 (windows of system 004).
#
# **Next** Your own question
