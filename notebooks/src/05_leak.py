# %% [markdown]
# # 5. The leak lab
# **You will** see how a model that only remembers gets a high score, and then split by patient instead of by slice.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 4.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import numpy as np

from ich_lib.course import attempt, find_ct_ich, phantom_heads
from ich_lib.course.levels import height_auc, level_of_slices, same_level_auc
from ich_lib.data.real_heads import real_head
from ich_lib.data.split import by_patient, find_leaks, leaky_image_split
from ich_lib.labels import ANY
from ich_lib.show import row

# %% [markdown]
# ## Slices of one head look alike
# The set has forty phantom heads with 34 slices each. The first row shows four neighboring slices of one head. The
# second row shows slices at the same height from four other heads:

# %%
store = phantom_heads()
table = store.table
row(store.hu([15, 16, 17, 18]), through="brain", height=2)

# %%
row(store.hu([16 + 34 * k for k in (1, 2, 3, 4)]), through="brain", height=2)

# %% [markdown]
# Real neighbors are alike too. The next two cells show four neighboring slices of patient 066 and the correlation between
# neighbors.

# %%
real = real_head("066").scan.hu
row(real[17:21], through="brain", height=2)

# %%
pairs = [np.corrcoef(real[k].ravel(), real[k + 1].ravel())[0, 1] for k in range(17, 20)]
print("real neighbors correlate by", np.round(pairs, 3))

# %% [markdown]
# To measure how alike two slices are, each slice is shrunk to a *stamp* of 32 x 32 pixels. The number is the
# correlation of two stamps.


# %%
def stamps(rows):
    flat = store.thumbs(rows).reshape(len(rows), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1)


every = stamps(np.arange(len(store)))
alike = every @ every.T
print(
    f"to the next slice {alike[16, 17]:.3f}, to another head's {alike[16, 16 + 34]:.3f}"
)

# %% [markdown]
# ## A model without any learning
# ### Exercise 5.1: the most similar slice (7 min)
# This model learns nothing: it looks up the most similar training slice. For each held-out row, find the training row
# with the highest correlation in `alike`, and return the labels of these rows.
#
# *Hint:* each held-out row may be compared only with training rows. Cut out this part of `alike`.
#
# *Second hint:* `alike[np.ix_(held_out, trained)]` is this part. Then use `argmax(axis=1)`.


# %% tags=["exercise"]
def memory_accuracy(alike, labels, trained, held_out):
    # your code here
    # solution
    nearest = alike[np.ix_(held_out, trained)].argmax(axis=1)
    return labels[trained[nearest]]


# %% tags=["check"]
toy = np.array(
    [[1, 0.2, 0.9, 0.1], [0.2, 1, 0.3, 0.8], [0.9, 0.3, 1, 0.4], [0.1, 0.8, 0.4, 1]]
)
if tested := attempt("5.1", memory_accuracy):
    mine = tested(
        toy, np.array([True, False, False, True]), np.array([0, 3]), np.array([1, 2])
    )
    assert len(mine) == 2, "One answer for each held-out row."
    assert list(mine) == [True, True], (
        "Row 1 is most like row 3, row 2 most like row 0: both of them bleed."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Row 1 is most like row 3
def memory_accuracy(alike, labels, trained, held_out):
    return labels[alike[held_out].argmax(axis=1)]


# %% [markdown] tags=["solution"]
# `argmax` returns a position within `trained`, and `trained[nearest]` turns it into a row of the table. If held-out
# rows are among the candidates, every slice finds itself.

# %% [markdown]
# ## The same model, two splits
# An AUC needs a score for each slice, not only a label. So the ten most similar training rows vote, and a more similar
# row has a larger weight.
#
# One shortcut must be removed first. Few slices at the skull base or the vertex bleed, and slices at the same height
# look alike in all heads. So the *height* of a slice alone predicts blood better than chance. Therefore we compare only
# slices at the same height: how often does the bleeding slice get a higher score than the clean one?

# %%
level = level_of_slices(table)
is_bleeding = table.labels[:, ANY]
print(f"height alone: AUC {height_auc(table):.2f} over all pairs", end=", ")
print(f"{same_level_auc(is_bleeding, level, level):.2f} over pairs of the same height")

# %% [markdown]
# An AUC of 0.5 is chance. **Predict:** what is the AUC at equal height if *slices* are distributed over five folds, and
# what if *patients* are?


# %%
def memory_auc(split, alike, labels):
    trained, held_out = (
        split.rows(table, trained=True),
        split.rows(table, trained=False),
    )
    near = alike[np.ix_(held_out, trained)]
    top = np.argsort(near, axis=1)[:, -10:]
    votes = np.exp(50 * (np.take_along_axis(near, top, axis=1) - 1))
    score = (votes * labels[trained][top]).sum(axis=1) / votes.sum(axis=1)
    return same_level_auc(labels[held_out], score, level_of_slices(table)[held_out])


labels = table.labels[:, ANY]
for name, deal in (("slices", leaky_image_split), ("patients", by_patient)):
    scores = [memory_auc(deal(table, held_out=k), alike, labels) for k in range(5)]
    print(
        f"split by {name:9} AUC {np.mean(scores):.2f}   (folds {np.round(scores, 2)})"
    )

# %% [markdown]
# The model and the heads are the same, and nothing was learned in either case. With a split by slice the AUC is about
# 0.87, because the training set holds neighboring slices of the same patient. With a split by patient it is about 0.5,
# which is chance.
#
# ### Exercise 5.2: split by patient (7 min)
# Give each *patient* a fold from 0 to `folds - 1`. The folds must be as equal in size as possible, and `seed` must
# decide the draw. Return a dictionary from patient to fold.
#
# *Hint:* work on the set of patient names, not on the slices. Sort the names, so that their order is fixed, then
# shuffle.
#
# *Second hint:* use `np.random.default_rng(seed).permutation(...)`. The patient at position `place` gets fold `place %
# folds`.


# %% tags=["exercise"]
def deal_patients(patients, folds, seed):
    # your code here
    # solution
    order = np.random.default_rng(seed).permutation(sorted(set(patients)))
    return {patient: place % folds for place, patient in enumerate(order.tolist())}


# %% tags=["check"]
if tested := attempt("5.2", deal_patients):
    mine = tested(table.patient.tolist(), 5, seed=1)
    assert set(mine) == set(table.patients), "Every patient gets a fold, once."
    sizes = np.bincount(list(mine.values()), minlength=5)
    assert sizes.min() == sizes.max() == 8, (
        f"40 patients make five folds of 8, not of {sizes.tolist()}."
    )
    assert mine != tested(table.patient.tolist(), 5, seed=2), (
        "Another seed must deal otherwise."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Every patient gets a fold, once
def deal_patients(patients, folds, seed):
    order = np.random.default_rng(seed).permutation(len(patients))
    return {int(row): place % folds for place, row in enumerate(order)}


# %% tags=["mistake"]
# refused: Another seed must deal otherwise
def deal_patients(patients, folds, seed):
    return {
        patient: place % folds for place, patient in enumerate(sorted(set(patients)))
    }


# %% [markdown] tags=["solution"]
# The library's `by_patient` also gives every fold a similar share of the rare types (a stratified split).
# *Cross-validation* trains one model per fold, each time without the slices of that fold. So every patient is judged by
# a model that never saw that patient.

# %% [markdown]
# ## The library refuses a leak
# `find_leaks` looks for three leaks between training and held-out slices: the same patient, equal pictures, and near
# copies. Training does not start if it finds a leak.

# %%
print("slices:  ", find_leaks(leaky_image_split(table), store))
print("patients:", find_leaks(by_patient(table), store))

# %% [markdown]
# ## Spot the bug: copies made before the split
# Bleeds are rare. A published pipeline therefore added synthetic bleeding samples with SMOTE, which interpolates
# between similar samples, and split the data *afterwards*. The next cell does the same with plain copies.

# %%
rng = np.random.default_rng(0)
bleeding = np.flatnonzero(labels)
enlarged = np.concatenate([np.arange(len(labels)), rng.choice(bleeding, 600)])
order = rng.permutation(len(enlarged))
trained, held_out = enlarged[order[300:]], enlarged[order[:300]]
twins = np.isin(held_out[labels[held_out]], trained).mean()
print(f"{twins:.0%} of the held-out bleeding slices are also in the training set")

# %% [markdown]
# ### Exercise 5.3: fix the order (7 min)
# `split` is a split by patient. Return two arrays: the training rows plus 600 copies of bleeding training rows, and the
# held-out rows without any copy.
#
# *Hint:* which must come first, the split or the copies?
#
# *Second hint:* split first, then copy only rows of `trained`.


# %% tags=["exercise"]
def enlarged_rows(split, table, labels, rng):
    # your code here
    # solution
    trained, held_out = (
        split.rows(table, trained=True),
        split.rows(table, trained=False),
    )
    copies = rng.choice(trained[labels[trained]], 600)
    return np.concatenate([trained, copies]), held_out


# %% tags=["check"]
split = by_patient(table)
if tested := attempt("5.3", enlarged_rows):
    mine = tested(split, table, labels, np.random.default_rng(0))
    trained, held_out = mine
    assert len(trained) == len(split.rows(table, trained=True)) + 600, (
        "The training rows must include 600 copies."
    )
    assert len(held_out) == len(set(held_out)), (
        "Each held-out slice must occur only once."
    )
    assert not np.isin(held_out, trained).any(), "A held-out slice is among the copies."
    tested.passes()


# %% tags=["mistake"]
# refused: A held-out slice is among the copies
def enlarged_rows(split, table, labels, rng):
    trained, held_out = (
        split.rows(table, trained=True),
        split.rows(table, trained=False),
    )
    return np.concatenate([trained, rng.choice(np.flatnonzero(labels), 600)]), held_out


# %% [markdown] tags=["solution"]
# Everything that is fitted, copied or chosen may use only the training side. This also holds for the mean of the
# pixels, thresholds and the selection of features.

# %% [markdown]
# ## On real heads
# If CT-ICH is on this computer, the cell repeats the comparison on it.

# %%
data = find_ct_ich()
if data:
    from ich_lib.data import open_set
    from ich_lib.data.store import cached_store

    store = cached_store(open_set(data), size=64)
    table, labels = store.table, store.table.labels[:, ANY]
    every = stamps(np.arange(len(store)))
    for name, deal in (("slices", leaky_image_split), ("patients", by_patient)):
        scores = [
            memory_auc(deal(table, held_out=k), every @ every.T, labels)
            for k in range(5)
        ]
        print(f"split by {name:9} AUC {np.mean(scores):.2f}")

# %% [markdown]
# ## Break it: one patient, two names
# A patient returns to the hospital and gets a new number. **Predict:** does a split by patient number still prevent the
# leak?

# %%
renamed = [
    name if k % 34 < 17 else f"{name}-again"
    for k, name in enumerate(phantom_heads().table.patient)
]
print(
    len(set(renamed)),
    "names for 40 heads;",
    f"slices 17 and 18 of one head still correlate by {alike[16, 17]:.3f}",
)

# %% [markdown]
# A split by patient uses only the numbers of the patients, so one person with two numbers can be on both sides.
# `find_leaks` can notice near copies, but two scans of one person need not be near copies. Ask the hospital for its
# list of patients with several numbers.
#
# ## Recap
# - Split by patient first, before any other step.
# - Report how the data were split beside every score.
# - A leak makes memory look like skill. New patients show the difference.
#
# **Sources** Systems 000 and 002 of the course split by slice. System 003 states a split by patient, but its counts
# (2,235 and 559) are exactly 80 % and 20 % of the rows. Chawla et al. 2002 (SMOTE); Sechidis et al. 2011 (stratified
# folds).
#
# **Next** 6. Preparing pictures
