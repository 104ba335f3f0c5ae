# %% [markdown]
# # 22. Training that generalizes
# **You will** see how a network memorizes twelve heads, stop its training in time, try four remedies, and let the
# learning rate fall.
#
# **Time** 30 min. **Runs on** a laptop or free Colab, no GPU, 2 min (`QUICK = False`: 4 min, an estimate).
# **Before this** lesson 10.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from ich_lib import WINDOWS
from ich_lib.course import attempt
from ich_lib.course.painted import painted_slices
from ich_lib.course.real import real_slice
from ich_lib.measures.metrics import auc
from ich_lib.models.recipes import get_recipe
from ich_lib.prepare.augment import Augment, apply_warp, draw_warp
from ich_lib.prepare.window import window
from ich_lib.show import row
from ich_lib.training.loop import build_learning_rate, count_halvings

QUICK = True  # False: longer trainings
EPOCHS = 24 if QUICK else 60

# %% [markdown]
# ## A training set of twelve heads
# We use the middle slices of the forty phantom heads. A program has painted a clot into half of the slices, equally
# often at every height. The network trains on heads 0 to 11. Heads 12 to 19 are the *validation* heads: they decide
# when training stops. Heads 20 to 39 are the test heads, and we make no choice with them.

# %%
slices = painted_slices()
truth = slices.bleeds.astype(np.float32)
train, validation, test = (
    slices.rows(*heads) for heads in ((0, 12), (12, 20), (20, 40))
)
examples = np.flatnonzero(slices.bleeds)[20:200:40]
row(slices.hu[examples], through="brain", masks=slices.blood[examples], height=2.2)

# %% [markdown]
# Here is a real bleed at the same size. This slice and its mirror image are added after the painted slices. They
# are in none of the three groups, but every network scores them.

# %%
real_hu, real_blood = real_slice("066", size=64)
row([real_hu], ["real, 64 px"], through="brain", masks=[real_blood], height=2.4)

# %%
all_hu = np.concatenate([slices.hu, [real_hu, real_hu[:, ::-1]]])
pictures = window(all_hu, *WINDOWS["brain"])[..., None]
for name, rows in (("train", train), ("validation", validation), ("test", test)):
    print(f"{name:10} {len(rows)} slices, {int(truth[rows].sum())} with blood")
height = slices.height_auc(test)
print(f"height only: AUC {height:.2f} on the test heads")

# %% [markdown]
# By design, height does not predict a bleed here. Its AUC is a little below 0.5. The height score of a slice is the
# share of bleeding slices at the same height in the other heads. At each height about half of all slices bleed. So
# for a slice that bleeds, the share in the other heads is slightly lower.
#
# ## The training loss keeps falling
# The network is small: three convolutions and two dense layers. Still it has 145,249 weights, and only 191 training
# slices. After every epoch we store its scores of all slices, so that we can draw any curve later.


# %%
def build_network(dropout=0.0):
    x = inputs = layers.Input((64, 64, 1))
    for filters in (16, 32, 32):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(x)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.Dropout(dropout)(layers.Dense(64, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def answer(model):
    """(n,) scores of all slices."""
    return keras.ops.convert_to_numpy(model(pictures, training=False))[:, 0]


def mean_loss(rows, scores):
    """Binary cross-entropy."""
    right = np.where(slices.bleeds[rows], scores[rows], 1 - scores[rows])
    return float(-np.log(right.clip(1e-7)).mean())


# %%
def fit(
    draw=lambda rng: (pictures[train], truth[train]),
    *,
    dropout=0.0,
    decay=0.0,
    rate=lambda losses: 1e-3,
    epochs=None,
    seed=0,
):
    """(epoch, n) scores. `draw` gives the pictures and labels of an epoch, `rate` its
    learning rate from the validation losses so far."""
    keras.utils.set_random_seed(seed)
    rng, scores, losses = np.random.default_rng(seed), [], []
    model = build_network(dropout)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=decay)
    model.compile(optimizer, "binary_crossentropy", jit_compile=False)
    for _ in range(epochs or EPOCHS):
        optimizer.learning_rate = rate(losses)
        x, y = draw(rng)
        order = rng.permutation(len(y))
        for rows in np.array_split(order, -(-len(y) // 32)):
            model.train_on_batch(x[rows], y[rows, None])
        scores.append(answer(model))
        losses.append(mean_loss(validation, scores[-1]))
    return np.array(scores)


# %% [markdown]
# **Predict:** the loss on the training heads falls toward zero. How does the loss on the validation heads change?


# %%
def losses_of(run, rows):
    return np.array([mean_loss(rows, scores) for scores in run])


def draw_curves(runs):
    plt.figure(figsize=(2.6 * len(runs), 2.3))
    for place, (name, run) in enumerate(runs.items(), start=1):
        plt.subplot(1, len(runs), place)
        plt.plot(losses_of(run, train), label="training heads")
        plt.plot(losses_of(run, validation), label="validation heads")
        plt.ylim(0, 1.2)
        plt.title(name, fontsize=9)
    plt.legend(fontsize=7)
    plt.show()


# %%
plain = fit()
draw_curves({"as it is": plain})

# %% [markdown]
# This is *overfitting*. At first both curves fall. Then the network learns details that only these twelve heads
# have: the training loss continues to fall, and the validation loss rises. The network is now very confident, also
# where it is wrong.
#
# ## Stop early, and keep the best weights
# *Early stopping* ends the training if the loss has not reached a new minimum for `patience` epochs.
#
# ### Exercise 22.1: when to stop, and what to keep (7 min)
# `losses` holds the validation loss of each epoch. Return two epochs, counted from 0: the last epoch that is
# trained, and the epoch whose weights are kept. The kept epoch has the lowest loss up to the end of training; of
# equal losses take the first. Training ends after `patience` epochs in a row without a lower loss, or at the end of
# the list.
#
# *Hint:* loop over the losses. What must you remember?
#
# *Second hint:* remember `best`, the epoch of the lowest loss. Stop when `epoch - best == patience`.


# %% tags=["exercise"]
def early_stop(losses, patience):
    # your code here
    # solution
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        if epoch - best == patience:
            break
    return epoch, best


# %% tags=["check"]
if tested := attempt("22.1", early_stop):
    mine = tested([5.0, 4.0, 3.0, 4.0, 5.0, 1.0], 2)
    assert tuple(mine) != (5, 5), (
        "The loss of 1.0 is never seen: training has ended two epochs after the 3.0."
    )
    assert mine[1] != mine[0], "The weights of the last epoch are not the best ones."
    assert tuple(mine) == (4, 2), (
        f"Trained to epoch 4, kept epoch 2; not {tuple(mine)}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: is never seen
def early_stop(losses, patience):
    best = int(np.argmin(losses))
    return min(best + patience, len(losses) - 1), best


# %% tags=["mistake"]
# refused: not the best ones
def early_stop(losses, patience):
    for epoch in range(patience, len(losses)):
        if min(losses[epoch - patience + 1 : epoch + 1]) >= min(losses[: epoch - 1]):
            return epoch, epoch
    return len(losses) - 1, len(losses) - 1


# %% [markdown] tags=["solution"]
# Keras has the callback `EarlyStopping(monitor="val_loss", patience=..., restore_best_weights=True)`.

# %% [markdown]
# Which figure should early stopping watch? **Predict:** which of these four choices is not allowed?


# %%
def auc_of(run, rows):
    return np.array([auc(slices.bleeds[rows], scores[rows]) for scores in run])


results = {
    "lowest training loss": losses_of(plain, train).argmin(),
    "lowest validation loss": losses_of(plain, validation).argmin(),
    "highest validation AUC": auc_of(plain, validation).argmax(),
    "highest test AUC": auc_of(plain, test).argmax(),
}
for name, epoch in results.items():
    loss, rank = mean_loss(test, plain[epoch]), auc_of(plain, test)[epoch]
    print(f"{name:23} epoch {epoch:2}   test: loss {loss:.2f}, AUC {rank:.3f}")
print(f"{'height only':23}                        AUC {height:.3f}")

# %% [markdown]
# The last choice used the test heads, so its figure is no longer a test result. The first choice keeps the most
# overfitted weights: the order of the slices is good, but the probabilities are not. Watch the figure that matters
# for your task, on heads that are neither trained on nor reported.
#
# ## Spot the bug: the wrong weights are kept
# A colleague writes `EarlyStopping(patience=20)` and reports the model at the end of training. **Predict:** what is
# missing?

# %%
curve = losses_of(plain, validation)
best = int(curve.argmin())
ended = min(best + 20, len(curve) - 1)
for name, epoch in (("end of training", ended), ("best weights", best)):
    print(f"{name:20} epoch {epoch:2}: test loss {mean_loss(test, plain[epoch]):.2f}")

# %% [markdown]
# The default of `restore_best_weights` is False. So the colleague keeps weights that have overfitted for up to
# twenty more epochs.
#
# ## Four remedies
# - *Dropout*: each training step sets a random three in ten of the features to zero, so the network cannot rely on
#   a single feature. System 002 trained its U-Net twice: without dropout, and with a dropout of 0.1.
# - *Weight decay*: each step moves all weights a little toward zero.
# - *Augmentation*: in each epoch the training slices are randomly rotated, shifted, zoomed and mirrored. Validation
#   slices never change.
# - More patients: often the most effective remedy, but also the most expensive one. It is not tried here.


# %%
moves = Augment(turn_deg=20, shift=0.05, zoom=0.15)


def move(rows, rng):
    """These slices, each randomly rotated, shifted, zoomed and mirrored."""
    masks = 255 * slices.blood.astype(np.uint8)
    moved = [
        apply_warp(slices.hu[[k]], masks[[k]], 64, draw_warp(moves, rng)) for k in rows
    ]
    hu = np.concatenate([hu for hu, _ in moved])
    return window(hu, *WINDOWS["brain"])[..., None], truth[rows]


def augmented(rng):
    return move(train, rng)


# %%
cures = {
    "as it is": {},
    "dropout": {"dropout": 0.3},
    "weight decay": {"decay": 2.0},
    "augmentation": {"draw": augmented},
    "all three": {"dropout": 0.3, "decay": 2.0, "draw": augmented},
}
runs = {
    name: plain if name == "as it is" else fit(**cure) for name, cure in cures.items()
}
draw_curves(runs)

# %%
for name, run in runs.items():
    curve = losses_of(run, validation)
    rank = auc_of(run, test)[curve.argmin()]
    print(
        f"{name:13} training loss {losses_of(run, train)[-1]:.2f}   validation: lowest "
        f"{curve.min():.2f}, last {curve[-1]:.2f}   test AUC {rank:.3f}"
    )
print(f"{'height only':13} {'':66} {height:.3f}")

# %% [markdown]
# In our run, augmentation helped more than dropout and weight decay, and both curves fell together: the training
# loss reached 0.35, the validation loss 0.45, and the test AUC 0.91, compared with 0.71 without a remedy. With
# dropout or weight decay the validation loss starts to rise later, but it still rises. With all three, the network
# learns more slowly, and 24 epochs are too few.
#
# ## A learning rate that falls on a plateau
# System 003 halved its learning rate if the loss had not improved for five epochs (`ReduceLROnPlateau` with a
# factor of 0.5). Such a phase is called a *plateau*.
#
# ### Exercise 22.2: halve on a plateau (7 min)
# Return the learning rate of the next epoch. Begin with `rate`. If `patience` epochs in a row have no loss below
# the lowest one so far, halve the rate and restart the count.
#
# *Hint:* you need the lowest loss so far, and how many epochs you have waited.
#
# *Second hint:* `waited = 0 if loss < best else waited + 1`; at `patience` halve, and set `waited` to 0.


# %% tags=["exercise"]
def plateau_rate(losses, rate, patience):
    # your code here
    # solution
    best, waited = np.inf, 0
    for loss in losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited == patience:
            rate, waited = rate / 2, 0
    return rate


# %% tags=["check"]
if tested := attempt("22.2", plateau_rate):
    mine = tested([3.0, 2.0, 2.5, 2.5, 2.5, 2.5], 8.0, 2)
    assert mine != 4, (
        "Four epochs without progress are two plateaus of two: 2.0, not 4.0."
    )
    assert mine != 1, "After halving, the count of epochs starts again."
    assert mine == 2, f"8 halved twice is 2, not {mine}."
    falling = tested([3.0, 2.0, 1.0], 8.0, 2)
    assert falling == 8, f"While the loss falls, the rate stays: 8, not {falling}."
    tested.passes()


# %% tags=["mistake"]
# refused: the count of epochs starts again
def plateau_rate(losses, rate, patience):
    best, waited = np.inf, 0
    for loss in losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        rate = rate / 2 if waited >= patience else rate
    return rate


# %% tags=["mistake"]
# refused: are two plateaus of two
def plateau_rate(losses, rate, patience):
    waited = len(losses) - 1 - int(np.argmin(losses))
    return rate / 2 if waited >= patience else rate


# %% [markdown] tags=["solution"]
# The library's `count_halvings` counts only improvements of at least 0.0001, as Keras does.

# %% [markdown]
# With *restarts* the rate falls along a cosine, jumps back to its first value, and falls again (lesson 10).
# **Predict:** which of three schedules gives the best test AUC here?

# %%
steps = EPOCHS // 3
cosine = build_learning_rate(get_recipe("densenet169-000"), 1)
restarts = [100 * float(cosine(10 * (k % steps) / steps)) for k in range(EPOCHS)]
rates = {
    "constant": lambda losses: 1e-3,
    "plateau": lambda losses: 1e-3 / 2 ** count_halvings(losses, 3),
    "restarts": lambda losses: restarts[len(losses)],
}
scheduled = {
    name: runs["dropout"] if name == "constant" else fit(dropout=0.3, rate=rate)
    for name, rate in rates.items()
}

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.4))
for name, run in scheduled.items():
    losses = losses_of(run, validation).tolist()
    left.plot([rates[name](losses[:k]) for k in range(EPOCHS)], label=name)
    right.plot(losses, label=f"{name}: test AUC {auc_of(run, test)[-1]:.3f}")
left.set(xlabel="epoch", ylabel="learning rate")
right.set(xlabel="epoch", ylabel="validation loss")
right.legend(fontsize=7)
plt.show()
print(f"height only: AUC {height:.3f}")

# %% [markdown]
# In our run, the validation loss at the end was lower with both falling rates (0.73 and 0.80) than with the
# constant rate (0.87). The test AUC did not improve (0.80 and 0.80, compared with 0.82), and the differences are as
# small as between two seeds. A schedule does not prevent overfitting.
#
# ## Break it: random labels
# Now the training labels are shuffled at random, so there is no rule to learn. **Predict:** what are the training
# loss and the test AUC?

# %%
lot = np.random.default_rng(5).permutation(truth[train])
nonsense = fit(lambda rng: (pictures[train], lot), epochs=2 * EPOCHS)
agreed = ((nonsense[-1][train] > 0.5) == lot).mean()
print(f"random labels that the network memorized: {agreed:.0%}")
print(f"test AUC {auc_of(nonsense, test)[-1]:.2f}, height only {height:.2f}")

# %% [markdown]
# A network that can memorize random labels can memorize any labels. So a low training loss does not show that it
# has learned anything useful.
#
# ## What do the networks say about a real head?
# **Predict:** which score does each network give to the real bleed and to its mirror image?

# %%
for name, run in runs.items():
    curve = losses_of(run, validation)
    print(f"{name:13}", np.round(run[curve.argmin(), -2:], 2))

# %% [markdown]
# In our run, the network that is best on phantoms gave 0.51 to the real bleed and 0.39 to its mirror image. The
# network with weight decay gave 0.75 and 0.96. A network that works on twenty further phantoms may still fail on real
# heads. And one real head is too few to compare networks.
#
# ## Recap
# - Always draw both curves. Use validation patients to stop and to keep the best weights, and report figures of
#   other patients.
# - Augmentation and more patients help against overfitting. A smaller learning rate alone does not.
# - A network that memorizes random labels has learned nothing.
#
# **Sources** Srivastava et al. 2014, JMLR 15:1929 (dropout); Loshchilov and Hutter 2019, arXiv:1711.05101 (weight
# decay); Zhang et al. 2017, arXiv:1611.03530 (random labels); systems 002 and 003 of the course.
#
# **Next** 26. Rare bleeds, the second half of this lesson; or 23. Transfer learning
