# %% [markdown]
# # 5. The leak lab
# **You will** let a model that learned nothing look brilliant, and then deal out patients instead of slices.
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
# Forty phantom heads, 34 slices each. Four neighbors of one patient, then four slices of the same height from others:

# %%
store = phantom_heads()
table = store.table
row(store.hu([15, 16, 17, 18]), through="brain", height=2)

# %%
row(store.hu([16 + 34 * k for k in (1, 2, 3, 4)]), through="brain", height=2)

# %% [markdown]
# In a real head it is the same: four neighbors of patient 066.

# %%
real = real_head("066").scan.hu
row(real[17:21], through="brain", height=2)
pairs = [np.corrcoef(real[k].ravel(), real[k + 1].ravel())[0, 1] for k in range(17, 20)]
print("real neighbors correlate by", np.round(pairs, 3))

# %% [markdown]
# How alike, in a number: slices as stamps of 32 x 32 pixels, and the correlation of two stamps.


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
# ### Exercise 5.1: the slice most alike (7 min)
# For each held-out row find the trained row whose stamp is most alike, and answer with that row's label.
#
# *Hint:* who may be compared with whom? Cut the table down to held-out rows against trained ones.
#
# *Second hint:* `alike[np.ix_(held_out, trained)]` is a table; `argmax(axis=1)`.


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
# The number that `argmax` gives counts within `trained`; `trained[nearest]` makes it a row again. Forget that, or let
# held-out rows in, and a slice finds itself.

# %% [markdown]
# ## One switch, two numbers
# To rank, we let the ten most alike rows vote, each by how alike it is.
#
# One shortcut must be closed first. Few slices at the skull base or the vertex bleed, and slices of one height look alike
# in all heads: whoever knows only the *height* of a slice is right surprisingly often. So we compare only slices of the
# same height: how often does the bleeding one score above the clean one?

# %%
level = level_of_slices(table)
known = table.labels[:, ANY]
print(f"height alone: AUC {height_auc(table):.2f} over all pairs", end=", ")
print(f"{same_level_auc(known, level, level):.2f} over pairs of the same height")

# %% [markdown]
# **Predict:** the AUC at equal height when *slices* are dealt out to five folds, and when *patients* are.


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
        f"{name:9} dealt out: AUC {np.mean(scores):.2f}   (folds {np.round(scores, 2)})"
    )

# %% [markdown]
# The model is the same, and so are the heads. Nothing was learned in either case. The first number is memory: the slice next
# door, of the same patient, was in the training set. For new patients the memory is worth a coin.
#
# ### Exercise 5.2: deal out patients (7 min)
# Give each *patient* a fold, 0 to `folds - 1`, as evenly as can be, drawn by `seed`: a dictionary, patient to fold.
#
# *Hint:* a patient's slices must not decide anything: work on the set of names, in a fixed order, then shuffle.
#
# *Second hint:* `np.random.default_rng(seed).permutation(...)`, then count round: `place % folds`.


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
# The library's `by_patient` also sees to it that every fold gets its share of the rare bleeds. Training once for each fold, the
# fold held out, is called *cross-validation*: it judges every patient by a model that never saw them.

# %% [markdown]
# ## The library refuses
# `find_leaks` looks for patients on both sides, equal pictures and near copies; training stops where it finds any.

# %%
print("slices:  ", find_leaks(leaky_image_split(table), store))
print("patients:", find_leaks(by_patient(table), store))

# %% [markdown]
# ## Spot the bug: more bleeds, before the split
# Bleeds are rare, so a published pipeline copied them (SMOTE does much the same) and *then* split.

# %%
rng = np.random.default_rng(0)
bleeding = np.flatnonzero(labels)
enlarged = np.concatenate([np.arange(len(labels)), rng.choice(bleeding, 600)])
order = rng.permutation(len(enlarged))
trained, held_out = enlarged[order[300:]], enlarged[order[:300]]
twins = np.isin(held_out[labels[held_out]], trained).mean()
print(f"{twins:.0%} of the held-out bleeds lie in the training set, pixel for pixel")

# %% [markdown]
# ### Exercise 5.3: fix the order (7 min)
# Return training rows with 600 copies of bleeding ones among them, and held-out rows without any copy. `split` is by
# patient.
#
# *Hint:* in which order do splitting and copying have to come?
#
# *Second hint:* split first; copy only `trained`.


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
        "600 copies are to be trained on."
    )
    assert len(held_out) == len(set(held_out)), (
        "The held-out side judges; it wants every slice once."
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
# Whatever is fitted, copied, scaled or chosen belongs inside the training side. That holds for means, thresholds and
# feature selection too.

# %% [markdown]
# ## On real heads
# The same memory on CT-ICH, where it was fetched.

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
        print(f"{name:9} dealt out: AUC {np.mean(scores):.2f}")

# %% [markdown]
# ## Break it: one patient, two names
# A patient comes back and gets a new number. **Predict:** does a split by patient help? Does `find_leaks` notice?

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
# Names are all a split can see. Hospitals share such lists for a reason; ask for them.
#
# ## Recap
# - Deal out patients, then do everything else.
# - A number without its split is no result.
# - Memory looks like skill until somebody new comes in.
#
# **Sources** Systems 000, 002 and 003 of the course split by slice; Sechidis et al. 2011 (stratified folds).
#
# **Next** 6. Preparing pictures
