# %% [markdown]
# # 7. A U-Net from nothing
# **You will** compute a convolution and a pooling by hand, build a U-Net in 15 lines, train it, and see why "99 %
# accuracy" means little.
#
# **Time** 40 min. **Runs on** a laptop or free Colab, 3 min without a GPU. **Before this** lesson 6.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from matplotlib.colors import LinearSegmentedColormap
from scipy.signal import correlate2d
from tqdm.auto import tqdm

from ich_lib import WINDOWS, phantom
from ich_lib.course import attempt
from ich_lib.course.real import real_slice
from ich_lib.measures.metrics import dice, pixel_accuracy
from ich_lib.models.losses import LOSSES
from ich_lib.prepare.window import window
from ich_lib.show import filters, row

QUICK = True  # False: pictures of twice the side, more heads, three times the steps

# %% [markdown]
# ## Pictures and masks
# The data are synthetic heads with one bleed each. The first twenty heads are held out: the network is never trained on
# them (a split by patient, lesson 5). The second cell shows some held-out slices with their blood.

# %%
kinds = ("intraparenchymal", "epidural")
side, count, steps = (64, 60, 400) if QUICK else (128, 260, 2500)
look = {"pixels": side, "slices": 12, "thickness_mm": 10}
cases = [
    phantom(7000 + s, bleeds=[kinds[s % 2]], **look)
    for s in tqdm(range(count), desc="making heads")
]
hu, blood = (
    np.stack([case.scan.hu for case in cases]),
    np.stack([case.truth for case in cases]),
)
pictures = window(hu, *WINDOWS["brain render"])[..., None]  # (patient, z, y, x, 1)
masks = blood[..., None].astype(np.float32)

# %%
per_slice = lambda volumes: volumes.reshape(-1, side, side, 1)
x_train, y_train = per_slice(pictures[20:]), per_slice(masks[20:])
x_held, y_held = per_slice(pictures[:20]), per_slice(masks[:20])
examples = np.argsort(y_held.sum(axis=(1, 2, 3)))[-40::10]  # from middling to large
row(x_held[examples, ..., 0], masks=y_held[examples, ..., 0], height=2.5)

# %% [markdown]
# ## One layer by hand
# ### Exercise 7.1: a convolution (8 min)
# Lay a 3 x 3 kernel over every place of the picture where it fits. At each place, multiply the kernel and the picture
# number by number, and add up the products. A picture of shape (y, x) gives a result of shape (y - 2, x - 2).
#
# *Hint:* at how many places does a kernel of 3 pixels fit along 5 pixels?
#
# *Second hint:* use two loops and `picture[i : i + 3, j : j + 3]`. (Networks do not flip the kernel.)


# %% tags=["exercise"]
def convolve(picture, kernel):
    # your code here
    # solution
    rows, columns = picture.shape[0] - 2, picture.shape[1] - 2
    out = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            out[i, j] = (picture[i : i + 3, j : j + 3] * kernel).sum()
    return out


# %% tags=["check"]
edge = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
picture = x_held[examples[-1], ..., 0]
if tested := attempt("7.1", convolve):
    mine = tested(picture, edge)
    fits = (side - 2, side - 2)
    assert mine.shape == fits, (
        f"A 3 x 3 kernel fits {fits} times into {picture.shape}; got {mine.shape}."
    )
    wrong = "Compare one place by hand: is the kernel turned around?"
    np.testing.assert_allclose(
        mine, correlate2d(picture, edge, mode="valid"), atol=1e-5, err_msg=wrong
    )
    tested.passes()


# %% tags=["mistake"]
# refused: is the kernel turned around
def convolve(picture, kernel):
    return correlate2d(picture, kernel[::-1, ::-1], mode="valid")


# %% tags=["mistake"]
# refused: A 3 x 3 kernel fits
def convolve(picture, kernel):
    return correlate2d(picture, kernel, mode="same")


# %% [markdown] tags=["solution"]
# A picture of 64 x 64 pixels needs 62 x 62 x 9 products for one kernel. A network has thousands of such kernels, and
# training finds their numbers. The next cell shows the result of this kernel, which responds to vertical edges.

# %%
row(
    [picture, np.clip(correlate2d(picture, edge, mode="same") / 8 + 0.5, 0, 1)],
    ["slice", "its vertical edges"],
)

# %% [markdown]
# ### Exercise 7.2: max pooling (4 min)
# Return the largest number of every 2 x 2 block. A picture of shape (y, x) gives a result of shape (y / 2, x / 2).
#
# *Hint:* divide the picture into blocks: `reshape` it to four axes.
#
# *Second hint:* `reshape(y // 2, 2, x // 2, 2)` and a maximum over two axes.


# %% tags=["exercise"]
def max_pool(picture):
    # your code here
    # solution
    y, x = picture.shape
    return picture.reshape(y // 2, 2, x // 2, 2).max(axis=(1, 3))


# %% tags=["check"]
if tested := attempt("7.2", max_pool):
    mine = tested(np.array([[1, 2, 0, 0], [3, 4, 0, 9], [5, 5, 7, 1], [5, 6, 1, 1]]))
    assert np.array_equal(mine, [[4, 9], [6, 7]]), (
        f"The largest of each block: [[4, 9], [6, 7]], not {np.asarray(mine).tolist()}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: The largest of each block
def max_pool(picture):
    return picture[::2, ::2]


# %% [markdown] tags=["solution"]
# After pooling, a kernel covers twice the distance, but the exact place of a detail is lost. The *skip connections* of
# a U-Net pass the features from before the pooling to the way up, and so they restore the place.

# %% [markdown]
# ## A U-Net in 15 lines
# The way down has three levels. Each has a convolution and a pooling that halves the picture. The way up doubles the
# picture at each level and adds the features of the same size from the way down.


# %%
def block(x, width):
    x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def unet(skips=True):
    x = inputs = layers.Input((side, side, 1))
    skip_features = []
    for width in (8, 16, 32):
        x = block(x, width)
        skip_features.append(x)
        x = layers.MaxPooling2D()(x)
    x = block(x, 64)
    for width in (32, 16, 8):
        x = layers.UpSampling2D()(x)
        x = block(layers.Concatenate()([x, skip_features.pop()]) if skips else x, width)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


keras.utils.set_random_seed(0)
model = unet()
print(f"{model.count_params():,} weights")

# %% [markdown]
# Batch normalization uses running means for prediction. With the default `momentum=0.99` and few training steps, these
# means are not yet right, and predictions fail. So the block uses `momentum=0.9`.

# %% [markdown]
# ### Exercise 7.3: how many weights does a layer have? (4 min)
# A convolution has kernels of `k` x `k`, `into` input channels and `out` output channels, and one bias per output
# channel. Return its number of weights, biases included.
#
# *Hint:* count the weights of one kernel, add its bias, and multiply by the number of kernels.
#
# *Second hint:* each of the `out` kernels has k x k x into weights.


# %% tags=["exercise"]
def weights_of(k, into, out):
    # your code here
    # solution
    return (k * k * into + 1) * out


# %% tags=["check"]
if tested := attempt("7.3", weights_of):
    mine = tested(3, 8, 16)
    assert mine == 1168, (
        f"3 * 3 * 8 products and one bias, for each of 16: 1168, not {mine}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: and one bias
def weights_of(k, into, out):
    return k * k * into * out


# %% [markdown]
# ## Spot the bug: "99 % accuracy"
# Systems 000, 001 and 003 report pixel accuracy: the share of pixels with the right answer. **Predict:** which accuracy
# has a mask that is black everywhere?

# %%
black = np.zeros_like(y_held)
print(f"an all-black mask: accuracy {pixel_accuracy(y_held > 0, black > 0):.4f}")

# %% [markdown]
# ### Exercise 7.4: a score for the blood (5 min)
# Return the mean Dice over the slices *with* blood. `truth` and `probability` have the shape (n, y, x, 1). A pixel
# counts as blood if its probability is at least one half.
#
# *Hint:* which slices can show whether the network finds blood?
#
# *Second hint:* use the library's `dice(truth, mask)`, and leave out slices without blood.


# %% tags=["exercise"]
def mean_dice(truth, probability):
    # your code here
    # solution
    return np.mean(
        [
            dice(t > 0, p >= 0.5)
            for t, p in zip(truth, probability, strict=True)
            if t.any()
        ]
    )


# %% tags=["check"]
if tested := attempt("7.4", mean_dice):
    mine = tested(y_held, black)
    assert mine == 0, (
        f"The all-black mask finds nothing: 0, not {mine:.2f}. Do clean slices count?"
    )
    assert tested(y_held, y_held) == 1, "The truth itself must score 1."
    tested.passes()


# %% tags=["mistake"]
# refused: Do clean slices count
def mean_dice(truth, probability):
    return np.mean(
        [dice(t > 0, p >= 0.5) for t, p in zip(truth, probability, strict=True)]
    )


# %% [markdown] tags=["solution"]
# One number is not enough. Report the Dice over slices with blood together with the share of clean slices that have a
# false alarm.

# %% [markdown]
# ## Train it
# Half of the slices in every batch have blood. The loss is the cross-entropy plus one minus Dice (lesson 8). The
# generator yields enough batches for all epochs. In system 000 the data ended too early: every second epoch had an
# accuracy of 0.0000, and these epochs were left out of the plot.

# %%
bleeds = y_train.any(axis=(1, 2, 3))


def batches(rng):
    for _ in range(steps):
        rows = np.r_[
            rng.choice(np.flatnonzero(bleeds), 8),
            rng.choice(np.flatnonzero(~bleeds), 8),
        ]
        direction = slice(
            None, None, rng.choice([1, -1])
        )  # half of the batches are mirrored
        yield x_train[rows, :, direction], y_train[rows, :, direction]


# %%
def train(model):
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(rate), LOSSES["slice_dice_bce"])
    model.fit(
        batches(np.random.default_rng(0)),
        steps_per_epoch=steps // 10,
        epochs=10,
        shuffle=False,
        verbose=2,
    )
    return model.predict(x_held, verbose=0)


def print_losses(losses):
    bleeding = y_held.any(axis=(1, 2, 3))
    dices = [
        dice(t > 0, p >= 0.5)
        for t, p in zip(y_held[bleeding], losses[bleeding], strict=True)
    ]
    share_marked = np.mean([value > 0 for value in dices])
    alarms = (losses[~bleeding] >= 0.5).any(axis=(1, 2, 3)).mean()
    return (
        f"Dice {np.mean(dices):.2f} on {len(dices)} slices with blood, "
        f"{share_marked:.0%} touched; false alarms on {alarms:.0%}"
    )


before = model.layers[1].get_weights()[0].transpose(3, 0, 1, 2)
history = train(model)
accuracy = pixel_accuracy(y_held > 0, history >= 0.5)
print(f"20 held-out heads: accuracy {accuracy:.4f}. {print_losses(history)}")
row(x_held[examples, ..., 0], masks=history[examples, ..., 0] >= 0.5, height=2.5)

# %% [markdown]
# The Dice is low, but it is measured on held-out heads. Compare the accuracy with that of the black mask: it hardly
# depends on what the network found.
#
# An outline does not show how certain the network is. A map of the probabilities does. It is transparent below 0.5,
# white at 0.5 and red at 1.

# %%
certainty = LinearSegmentedColormap.from_list("white to red", ["white", "red"])
plt.figure(figsize=(10, 2.4))
for place, k in enumerate(examples, start=1):
    plt.subplot(1, len(examples), place)
    plt.imshow(x_held[k, ..., 0], cmap="gray")
    called = np.ma.masked_less(history[k, ..., 0], 0.5)
    plt.imshow(called, certainty, vmin=0.5, vmax=1)
    plt.axis("off")
plt.colorbar(ax=plt.gcf().axes, label="probability of blood")
plt.show()

# %% [markdown]
# In red places the network is certain, but it can be wrong there. In pale rims the network is less certain where the
# outline lies.
#
# Larger pictures and longer training help. With `QUICK = False` (128 x 128 pixels, 240 training heads, 2,500 steps;
# half an hour on two busy CPU cores, November 2026) the Dice was 0.58. But 48 % of the clean slices had a false alarm.

# %% [markdown]
# The next cell applies this network to a real head. The network was trained only on phantoms. **Predict:** does it find
# the bleed?

# %%
real_hu, real_blood = real_slice("066", size=side)
real_picture = window(real_hu, *WINDOWS["brain render"])[None, ..., None]
marked = model.predict(real_picture, verbose=0)[0, ..., 0] >= 0.5
print(f"Dice {dice(real_blood, marked):.2f}")
masks_shown = [real_blood, marked]
row([real_hu] * 2, ["truth", "trained on phantoms"], through="brain", masks=masks_shown)

# %% [markdown]
# One slice is not a measurement. It shows how training data and real data can differ: real skulls, real contrast, and
# outlines drawn by hand.

# %% [markdown]
# The next cell shows the kernels of the first layer, before and after training. **Predict:** can you recognize a "blood
# detector"?

# %%
filters(before, model.layers[1].get_weights()[0].transpose(3, 0, 1, 2))

# %% [markdown]
# A kernel of 3 x 3 pixels can respond to edges and to brightness, but it cannot recognize a bleed. Deeper layers
# combine these responses.
#
# ## Break it: without skip connections
# Now the same network is trained without its skip connections. **Predict:** what gets worse, finding the blood or
# outlining it?

# %%
keras.utils.set_random_seed(0)
blurred = train(unet(skips=False))
print(f"with skips:    {print_losses(history)}\nwithout skips: {print_losses(blurred)}")
row(x_held[examples, ..., 0], masks=blurred[examples, ..., 0] >= 0.5, height=2.5)

# %% [markdown]
# Two numbers measure two things. The share of bleeding slices where the mask touches blood measures finding. The Dice
# measures mostly outlining. Compare both lines before you decide which became worse. With `QUICK = False` the Dice was
# 0.50 without skip connections and 0.58 with them. Thin blood under the skull is only a few pixels wide, so an outline
# that is wrong by one pixel loses much of it.
#
# ## Recap
# - A convolution multiplies and adds, with the same weights at every place.
# - Pooling lets a kernel cover more of the picture. Skip connections keep the place.
# - Pixel accuracy says almost nothing about a bleed.
#
# **Sources** Ronneberger et al. 2015, arXiv:1505.04597; systems 000, 001 and 003 of the course.
#
# **Next** 8. The metric lab
