# %% [markdown]
# # 8. The metric lab
# **You will** compute eight scores of one mask, learn which score a paper reported, and see why a loss stopped the
# learning.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** lesson 7.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import shift

from ich_lib import analyze, phantom
from ich_lib.course import attempt, is_attempted, mark_correct
from ich_lib.data.real_heads import real_head
from ich_lib.measures import metrics
from ich_lib.models.losses import LOSSES
from ich_lib.show import row

# %% [markdown]
# ## One head, one mask
# The head is synthetic, so its true mask is known exactly. We make a wrong mask from it: it is shifted by one pixel,
# misses one slice, and has two specks in clean slices.

# %%
case = phantom(101, bleeds=["epidural"], slices=24, thickness_mm=7)
truth = case.truth
mask = shift(truth.astype(float), (0, 1, 1), order=0) > 0.5
slices = np.flatnonzero(truth.any(axis=(1, 2)))
mask[slices[0]] = False
mask[[1, 22], 120:126, 90:96] = True
row(
    [case.scan.hu[k] for k in slices[:4]],
    through="brain",
    masks=[mask[k] for k in slices[:4]],
)

# %% [markdown]
# ## Eight scores of the same mask
# Published systems used scores like these. The numbers in brackets name the systems of the course. **Predict:** which
# score is the largest, and which is the smallest?


# %%
def eight(truth, mask):
    dices = [metrics.dice(a, b) for a, b in zip(truth, mask, strict=True)]
    return {
        "pixel accuracy (000, 001, 003)": metrics.pixel_accuracy(truth, mask),
        "IoU, background averaged in (002)": metrics.mean_iou(truth, mask),
        "Dice, all slices, empty = 1 (002)": np.mean(dices),
        "Dice, slices with blood (Hssayeni)": metrics.dice_per_subject(truth, mask),
        "Dice of the whole volume": metrics.dice(truth, mask),
        "IoU of the blood": metrics.iou(truth, mask),
        "precision": metrics.precision(truth, mask),
        "recall": metrics.recall(truth, mask),
    }


black = np.zeros_like(truth)
for (name, value), empty_value in zip(
    eight(truth, mask).items(), eight(truth, black).values(), strict=True
):
    print(f"{name:36} {value:.3f}   all-black mask {empty_value:.3f}")

# %% [markdown]
# The all-black mask finds no blood and has a pixel accuracy above 99 %, because nearly all voxels of a head are not
# blood.
#
# ### Exercise 8.1: Dice by hand (5 min)
# Dice is twice the overlap, divided by the sum of both sizes. Return 1 for two empty masks.
#
# *Hint:* what is the sum of both sizes if both masks are empty?
#
# *Second hint:* the overlap is `(truth & mask).sum()`.


# %% tags=["exercise"]
def my_dice(truth, mask):
    # your code here
    # solution
    total = truth.sum() + mask.sum()
    return 2 * (truth & mask).sum() / total if total else 1.0


# %% tags=["check"]
half, empty = np.array([True, True, False, False]), np.zeros(4, bool)
if tested := attempt("8.1", my_dice):
    mine = tested(half, np.array([True, False, False, False]))
    assert np.isclose(mine, 2 / 3), (
        "Two pixels of blood, one found, none wrong: 2 * 1 / (2 + 1) = 0.667, not "
        f"{mine:.3f}."
    )
    assert tested(empty, empty) == 1, "Two empty masks agree; 0 / 0 is no number."
    assert tested(empty, half) == 0, (
        "A mask of blood that is not there has no overlap: 0."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: 0 / 0 is no number
def my_dice(truth, mask):
    return 2 * (truth & mask).sum() / max(truth.sum() + mask.sum(), 1)


# %% tags=["mistake"]
# refused: 2 * 1 / (2 + 1)
def my_dice(truth, mask):
    return (truth & mask).sum() / (truth | mask).sum() if (truth | mask).any() else 1.0


# %% [markdown] tags=["solution"]
# The score of two empty masks is a choice. If most slices are clean, it can change the mean over slices by more than
# one half. So state this choice with every mean.

# %% [markdown]
# ### Exercise 8.2: the score of published work on CT-ICH (7 min)
# Hssayeni et al. computed the mean Dice over the slices *that contain blood* for each subject, and then the mean over
# subjects. Return this mean for one subject, or `None` for a subject without blood.
#
# *Hint:* the true mask decides which slices count, not the predicted mask.
#
# *Second hint:* loop over the slices, and use those with `truth[k].any()`.


# %% tags=["exercise"]
def subject_dice(truth, mask):
    # your code here
    # solution
    dices = [metrics.dice(a, b) for a, b in zip(truth, mask, strict=True) if a.any()]
    return float(np.mean(dices)) if dices else None


# %% tags=["check"]
if tested := attempt("8.2", subject_dice):
    mine = tested(truth, mask)
    right = metrics.dice_per_subject(truth, mask)
    assert abs(mine - right) < 1e-9, (
        f"Clean slices must not count: {right:.3f}, not {mine:.3f}."
    )
    assert subject_dice(black, mask) is None, (
        "A subject without blood has no such number: None."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Clean slices must not count
def subject_dice(truth, mask):
    return float(
        np.mean([metrics.dice(a, b) for a, b in zip(truth, mask, strict=True)])
    )


# %% [markdown] tags=["solution"]
# Published on CT-ICH with five folds: 0.31 (Hssayeni 2020) and 0.44 (MELBA 2023:012). The shipped model reaches 0.435,
# with a 95 % interval of 0.331 to 0.543 over 29 patients (five folds, MODEL_CARD.md).

# %% [markdown]
# ## The shipped model on a real head
# The next cell computes the same eight scores for the shipped model on patient 066. The model was not trained on this
# patient. **Predict:** which score looks best, and which describes the outline of the blood?

# %%
real = real_head("066")
mask_of_real = analyze(real.scan).mask
for name, value in eight(real.truth, mask_of_real).items():
    print(f"{name:36} {value:.3f}")
k = int(real.truth.sum(axis=(1, 2)).argmax())
both = [real.truth[k], mask_of_real[k]]
row([real.scan.hu[k]] * 2, ["radiologists", "model"], through="brain", masks=both)

# %% [markdown]
# ## Dice and IoU must fit together
# IoU (intersection over union) is the overlap divided by the union of both masks. For one image it follows from the
# Dice D: IoU = D / (2 - D). So a published pair can be checked.
#
# ### Exercise 8.3: which pairs are possible? (4 min)
# Three pairs: Dice 0.857 with IoU 0.843; 0.89 with 0.85; 0.75 with 0.60. The first two were published. Can both numbers
# of a pair belong to one image (within 0.005)? Set `possible` to a list of three values, True or False.
#
# *Hint:* compute the IoU from each Dice with the formula.
#
# *Second hint:* the library has `metrics.iou_of_dice`.

# %% tags=["exercise"]
possible = None
# solution
possible = [
    abs(metrics.iou_of_dice(d) - i) < 0.005
    for d, i in ((0.857, 0.843), (0.89, 0.85), (0.75, 0.60))
]

# %% tags=["check"]
if is_attempted("8.3", possible):
    assert list(possible) == [False, False, True], (
        "Dice 0.857 gives an IoU of 0.750, 0.89 gives 0.802, 0.75 gives 0.600."
    )
    mark_correct("8.3")

# %% tags=["mistake"]
# refused: 0.89 gives 0.802
possible = [False, True, True]

# %% [markdown] tags=["solution"]
# The formula holds for one image. A mean IoU over many images can lie above the curve, because the curve is convex. So
# such a pair is a reason to ask how the mean was made. System 002 averaged the background into its IoU of 0.85, and
# half of its test slices were empty; the IoU of the lesions was about 0.70.

# %% [markdown]
# ## Spot the bug: a loss that learns nothing
# Training changes a network along the *slope* (gradient) of its loss. The next cells define an IoU loss as published
# code wrote it, and plot its slope for one pixel of blood, with scores from 0 to 1.


# %%
def hard_iou_loss(truth, score):
    mask = (score > 0.5).astype(float)
    return 1 - (truth * mask).sum() / (truth + mask - truth * mask).sum()


def slope(loss, score, step=1e-3):
    """Slope of the loss at the first pixel, which is blood; the others stay fixed."""
    truth, low = np.array([1.0, 1.0, 0.0, 0.0]), np.array([score, 0.9, 0.1, 0.1])
    high = low + np.array([step, 0, 0, 0])
    return (loss(truth, high) - loss(truth, low)) / step


# %%
scores = np.linspace(0.05, 0.94, 90)
plt.figure(figsize=(7, 2.6))
plt.plot(
    scores, [slope(hard_iou_loss, s) for s in scores], label="IoU with > 0.5 inside"
)
for name in ("bce", "dice", "focal"):
    loss = lambda t, s, name=name: float(
        np.mean(LOSSES[name](t[None, :, None], s[None, :, None]))
    )
    plt.plot(scores, [slope(loss, s) for s in scores], label=name)
plt.ylim(-8, 1)
plt.xlabel("score of a pixel that is blood")
plt.ylabel("slope")
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# The slope of this loss is 0 nearly everywhere, because a small change of a score does not change `score > 0.5`. So
# training gets no direction.
#
# ### Exercise 8.4: fix it (7 min)
# Write `soft_iou_loss` without a threshold. It returns 1 minus overlap divided by union, and it adds up scores instead
# of counting pixels.
#
# *Hint:* a count jumps where a score crosses the threshold. Which sum grows smoothly with the score?
#
# *Second hint:* the overlap is `(truth * score).sum()`. The union is the sum of both minus the overlap.


# %% tags=["exercise"]
def soft_iou_loss(truth, score):
    # your code here
    # solution
    overlap = (truth * score).sum()
    return 1 - overlap / (truth.sum() + score.sum() - overlap)


# %% tags=["check"]
if tested := attempt("8.4", soft_iou_loss):
    mine = tested(np.array([1.0, 1, 0, 0]), np.array([0.5, 1, 0.5, 0]))
    assert np.isclose(mine, 0.4), (
        f"Overlap 1.5, union 2 + 2 - 1.5 = 2.5, loss 1 - 0.6 = 0.4; got {mine:.3f}."
    )
    slopes = [slope(soft_iou_loss, s) for s in (0.1, 0.4, 0.8)]
    assert max(slopes) < -0.05, "The slope is still 0 at some score."
    tested.passes()


# %% tags=["mistake"]
# refused: Overlap 1.5, union
def soft_iou_loss(truth, score):
    return hard_iou_loss(truth, score)


# %% [markdown] tags=["solution"]
# `LOSSES["iou"]` computes the same, with half a pixel added to the overlap and to the union. So an empty slice has a
# slope too.

# %% [markdown]
# ## Break it: let the empty slices decide
# A head has no blood, and its mask has one wrong pixel in one of 24 slices. **Predict:** what is the mean Dice over all
# slices if two empty masks count 1, and what is it if they count 0?

# %%
clean, speck = np.zeros((24, 64, 64), bool), np.zeros((24, 64, 64), bool)
speck[3, 30, 30] = True
for agreed in (1.0, 0.0):
    dices = [
        metrics.dice(a, b) if (a.any() or b.any()) else agreed
        for a, b in zip(clean, speck, strict=True)
    ]
    print(f"two empty masks count {agreed:.0f}: mean Dice {np.mean(dices):.3f}")

# %% [markdown]
# The same mask scores 0.958 or 0. In this head no blood was found, and there was none: the 0.958 says nothing about
# finding blood. A system with such a mean can still miss small bleeds.
#
# ## Recap
# - Ask three questions about every score: over which slices, with or without the background, and what did two empty
#   masks count?
# - Pixel accuracy is high even for a mask that finds nothing.
# - A threshold inside a loss makes its slope 0.
#
# **Sources** Hssayeni et al., Data 2020;5(1):14; MELBA 2023:012; Rahman and Wang 2016 (IoU loss); systems 000 to 003.
#
# **Next** 9. Two dimensions, two and a half, three
