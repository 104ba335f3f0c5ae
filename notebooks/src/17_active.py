# %% [markdown]
# # 17. Lab: which scan to label next
# **You will** let a model choose which scans a radiologist labels, compare this with a random choice, and find out
# why the usual curve looks too good.
#
# **Time** 25 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** lesson 8.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from ich_lib import LABELS
from ich_lib.course import attempt, phantom_heads
from ich_lib.course.density import density_features
from ich_lib.course.levels import height_auc, level_of_slices, same_level_auc
from ich_lib.course.real import real_slice
from ich_lib.data.split import hold_out
from ich_lib.labels import ANY
from ich_lib.models.classical import build_estimator
from ich_lib.prediction.uncertainty import entropy
from ich_lib.show import row

SEEDS = range(20)
one_core = threadpool_limits(1)  # fits of milliseconds lose time on several cores

# %% [markdown]
# ## A label costs a radiologist's time
# In *active learning* a model selects the cases that should be labeled next. It should select those from which it
# learns most. We begin with a model that was trained on two heads, and look at the slices about which it is least
# certain:

# %%
store = phantom_heads()
table, truth = store.table, store.table.labels[:, ANY]
level = level_of_slices(table)

# %%
columns = density_features(store.hu(range(len(store))))


def rank_auc(rows, p):
    """AUC over pairs of slices at the same height."""
    return same_level_auc(truth[rows], p, level[rows])


def predict(rows, question_rows):
    return (
        build_estimator("logistic", 0)
        .fit(columns[rows], truth[rows])
        .predict_proba(columns[question_rows])[:, 1]
    )


# %%
def deal_heads(seed):
    """Held-out rows; the other heads: one bleeds, one is clean, then a shuffle."""
    split = hold_out(table, share=0.4, seed=seed)
    free, test = split.rows(table, trained=True), split.rows(table, trained=False)
    patients = np.random.default_rng(seed).permutation(np.unique(table.patient[free]))
    bleeds = np.array([truth[table.patient == patient].any() for patient in patients])
    first = [patients[bleeds][0], patients[~bleeds][0]]
    return test, [*first, *(patient for patient in patients if patient not in first)]


# %%
test, patients = deal_heads(0)
print(f"height alone: AUC {height_auc(table, test):.2f} over all pairs, ", end="")
print(f"{rank_auc(test, level[test]):.2f} over pairs of one height")
pool = np.flatnonzero(np.isin(table.patient, patients[2:]))
probabilities = predict(np.flatnonzero(np.isin(table.patient, patients[:2])), pool)
hardest = np.argsort(entropy(probabilities))[-5:]
row(
    store.hu(pool[hardest]),
    [f"{probabilities[k]:.2f}, bleeds: {truth[pool[k]]}" for k in hardest],
    through="brain",
    height=2.2,
)

# %% [markdown]
# Here is a real slice. How long would you need to label it?

# %%
real_hu, real_blood = real_slice("066", size=64)
row([real_hu], ["real, 64 px"], through="brain", masks=[real_blood], height=2.4)

# %% [markdown]
# Read the titles. How close to one half are the probabilities, and how many of these slices bleed? A model that was
# trained on two heads also estimates its own uncertainty badly. A good estimate of uncertainty needs training, too.
#
# ## A toy where it works: one edge on a line
# ### Exercise 17.1: select the most uncertain item (6 min)
# `probability` has a value for every item. `labeled` lists the items that are labeled already. Return the unlabeled
# item whose probability is closest to one half.
#
# *Hint:* a probability near one half is uncertain; a labeled item must not be selected.
#
# *Second hint:* compute the distance to one half in a new array, and set it to infinity for labeled items.


# %% tags=["exercise"]
def next_question(probability, labeled):
    # your code here
    # solution
    distance = np.abs(probability - 0.5)
    distance[labeled] = np.inf
    return int(distance.argmin())


# %% tags=["check"]
toy = np.array([0.1, 0.5, 0.45, 0.9])
if tested := attempt("17.1", next_question):
    mine = tested(toy, [1])
    assert mine != 1, "Item 1 is labeled already; do not pay for it twice."
    assert mine == 2, (
        f"0.45 is nearest to one half of what is left: item 2, not {mine}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: do not pay for it twice
def next_question(probability, labeled):
    return int(np.abs(probability - 0.5).argmin())


# %% tags=["mistake"]
# refused: nearest to one half of what is left
def next_question(probability, labeled):
    return int(
        np.argmax(
            np.where(np.isin(np.arange(len(probability)), labeled), 0, probability)
        )
    )


# %% [markdown] tags=["solution"]
# This is *uncertainty sampling* (Lewis and Gale 1994). With two classes, the probability closest to one half also
# has the largest entropy.

# %%
levels = np.linspace(0.01, 0.99, 99)
print(
    "most uncertain by hand:",
    levels[np.abs(levels - 0.5).argmin()],
    " by ich_lib:",
    levels[entropy(levels).argmax()],
)

# %% [markdown]
# The toy has 500 bleeds in order of size. All bleeds above an unknown size are visible, and all smaller ones are
# not. The task is to find this limit by asking for labels. **Predict:** how many labels does a random choice need,
# and how many does the most uncertain item need?


# %%
def questions(ask, seed):
    rng, size = np.random.default_rng(seed), np.arange(500)
    is_visible, labeled = size >= rng.integers(100, 400), [0, 499]
    while True:
        low = max(k for k in labeled if not is_visible[k])
        high = min(k for k in labeled if is_visible[k])
        if high - low == 1:
            return len(labeled) - 2
        labeled.append(
            (low + high) // 2
            if ask == "doubt"
            else rng.choice(np.setdiff1d(size, labeled))
        )


# %%
for ask in ("random", "doubt"):
    print(f"{ask:7} {np.mean([questions(ask, seed) for seed in SEEDS]):.0f} questions")

# %% [markdown]
# This is the advantage that active learning promises. It works here because the toy has a single limit and no
# noise, and because its uncertainty is always correct.
#
# ## On heads: label whole scans
# In each round we label one scan. With "doubt" it is the scan with the largest mean entropy, and with "random" it
# is the next one of a random order. The AUC is measured on sixteen held-out heads, in twenty draws. **Predict:**
# how many labels does "doubt" save?


# %%
def by_scan(seed, ask, n_scans=12):
    test, left = deal_heads(seed)
    have, left, curve = left[:2], left[2:], []
    while True:
        probabilities = predict(
            np.flatnonzero(np.isin(table.patient, have)), np.arange(len(table))
        )
        curve.append(rank_auc(test, probabilities[test]))
        if len(have) == n_scans:
            return curve
        entropies = [
            entropy(probabilities[table.patient == patient]).mean() for patient in left
        ]
        have = [*have, left.pop(int(np.argmax(entropies)) if ask == "doubt" else 0)]


# %%
scans = {
    ask: np.array([by_scan(seed, ask) for seed in tqdm(SEEDS)])
    for ask in ("random", "doubt")
}


# %%
def curves(curves_by_name, steps, label):
    for name, values in curves_by_name.items():
        mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
        plt.plot(steps, mean, marker="o", ms=3, label=name)
        plt.fill_between(steps, mean - spread, mean + spread, alpha=0.2)
    plt.xlabel(label)
    plt.ylabel("AUC on held-out heads")
    plt.legend()
    plt.show()


curves(scans, np.arange(2, 13), "scans labeled (band: one SD over draws)")

# %%
for n in (4, 8, 12):
    gain = (scans["doubt"] - scans["random"])[:, n - 2]
    print(
        f"{n:2} scans: doubt gains {gain.mean():+.3f} (SD {gain.std(ddof=1):.3f}, "
        f"better in {(gain > 0).sum()} of 20)"
    )

# %% [markdown]
# Here "doubt" saves no labels: with 4, 8 and 12 scans it is ahead in about half of the draws. One possible reason
# is that the most uncertain heads are unusual. Then the labeled heads become less and less like the test heads.
#
# ## Label single slices
# Now we label single slices, ten per round, from all heads of the *pool*: the heads that are not held out for
# testing.


# %%
def by_slice(seed, ask, rounds=11, start=40, batch=10):
    test, patients = deal_heads(seed)
    rng, pool = (
        np.random.default_rng(seed),
        np.flatnonzero(np.isin(table.patient, patients)),
    )
    bleeding = rng.permutation(pool[truth[pool]])[:2]  # two bleeds to begin with
    have = np.r_[
        bleeding, rng.choice(np.setdiff1d(pool, bleeding), start - 2, replace=False)
    ]
    aucs = []
    while True:
        unlabeled = np.setdiff1d(pool, have)
        probabilities = predict(have, np.arange(len(table)))
        right = (probabilities > 0.5) == truth
        aucs.append(
            (
                rank_auc(test, probabilities[test]),
                right[test].mean(),
                right[unlabeled].mean(),
            )
        )
        if len(aucs) == rounds:
            return np.array(aucs), have
        doubtful = unlabeled[np.argsort(-entropy(probabilities[unlabeled]))[:batch]]
        have = np.r_[
            have,
            doubtful if ask == "doubt" else rng.choice(unlabeled, batch, replace=False),
        ]


# %%
slices = {
    ask: [by_slice(seed, ask) for seed in tqdm(SEEDS)] for ask in ("random", "doubt")
}

# %%
aucs = {ask: np.array([planes for planes, _ in runs]) for ask, runs in slices.items()}
curves(
    {ask: planes[:, :, 0] for ask, planes in aucs.items()},
    np.arange(40, 150, 10),
    "slices labeled",
)
gain = aucs["doubt"][:, -1, 0] - aucs["random"][:, -1, 0]
print(
    f"140 slices: doubt gains {gain.mean():+.3f} (SD {gain.std(ddof=1):.3f}, better in "
    f"{(gain > 0).sum()} of 20)"
)

# %% [markdown]
# With 140 slices, "doubt" is behind in three of four draws, by 0.03 on average. So it is rather worse than a random
# choice. The twenty draws come from the same 40 heads and overlap, so this is no proof. One possible reason is that
# the bleed of an uncertain slice is often hardly visible, and then the model learns little from its label.
#
# ### Exercise 17.2: count the minutes (5 min)
# We assume that a radiologist needs 3 minutes to open a scan, and 10 more seconds for each labeled slice of it.
# `patient` holds the patient of every row. `rows` are the labeled rows. Return the total time in minutes.
#
# *Hint:* which time is needed once per scan, and which once per slice?
#
# *Second hint:* `len(set(...))` counts different patients.


# %% tags=["exercise"]
def minutes(patient, rows):
    # your code here
    # solution
    return 3 * len(set(patient[rows])) + len(rows) / 6


# %% tags=["check"]
if tested := attempt("17.2", minutes):
    mine = tested(np.array(["a", "a", "b", "c"]), np.array([0, 1, 2]))
    assert mine > 1, "Slices alone take half a minute; scans must be opened too."
    assert np.isclose(mine, 6.5), (
        f"Two scans opened and three slices: 6 + 0.5 = 6.5 minutes, not {mine:.1f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: scans must be opened too
def minutes(patient, rows):
    return len(rows) / 6


# %% tags=["mistake"]
# refused: Two scans opened
def minutes(patient, rows):
    return 3 * len(set(patient)) + len(rows) / 6


# %% [markdown] tags=["solution"]
# These minutes are an assumption; measure them in your own hospital. The horizontal axis of such a curve should
# show the real cost, and the number of slices is not the real cost.

# %%
for ask, runs in slices.items():
    cost = [3 * len(set(table.patient[have])) + len(have) / 6 for _, have in runs]
    print(
        f"140 slices, {ask:6}: {np.mean(cost):3.0f} minutes, AUC "
        f"{aucs[ask][:, -1, 0].mean():.3f}"
    )
print(
    f"8 whole scans at random: {3 * 8 + 8 * 34 / 6:3.0f} minutes, AUC "
    f"{scans['random'][:, 6].mean():.3f}"
)

# %% [markdown]
# The 272 slices of eight heads give about the same AUC as 140 slices from nearly all heads, and they take fewer
# minutes. So the number of slices measures neither the information nor the cost.
#
# ## Spot the bug: the score is measured on the pool
# A report says: "Accuracy rises with every labeled slice." Here it does:

# %%
for ask, planes in aucs.items():
    first, last = planes[:, 0].mean(axis=0), planes[:, -1].mean(axis=0)
    print(
        f"{ask:6} accuracy on the pool left {first[2]:.3f} to {last[2]:.3f}, on heads "
        f"held out {first[1]:.3f} to {last[1]:.3f}"
    )

# %% [markdown]
# The hard slices were labeled and so left the pool. The rest of the pool is easy. The test became easier; the model
# did not become better. Measure on patients who were never in the pool, and on the same ones in every round.
#
# A similar problem occurs within a batch. Neighboring slices are uncertain at the same time, and ten slices of one
# bleed do not give ten times the information.
#
# ### Exercise 17.3: a batch of different patients (7 min)
# Return `count` positions, with the most uncertain first, and with at most `per_patient` positions of each patient.
#
# *Hint:* go from the most uncertain to the least uncertain, and remember which patients you have selected.
#
# *Second hint:* loop over `np.argsort(-uncertainty)` and count the slices of each patient.


# %% tags=["exercise"]
def spread_batch(uncertainty, patient, count, per_patient):
    # your code here
    # solution
    batch = []
    for k in np.argsort(-uncertainty):
        if (
            len(batch) < count
            and sum(patient[j] == patient[k] for j in batch) < per_patient
        ):
            batch.append(int(k))
    return batch


# %% tags=["check"]
unsure, names = (
    np.array([0.9, 0.8, 0.7, 0.2, 0.3, 0.1]),
    np.array(["a", "a", "a", "b", "b", "c"]),
)
if tested := attempt("17.3", spread_batch):
    mine = tested(unsure, names, 3, 1)
    assert len(mine) == 3, f"Return three positions, not {len(mine)}."
    assert len(set(names[mine])) == 3, "Return at most one slice per patient."
    assert list(mine) == [0, 4, 5], (
        f"Most uncertain of a, b and c, in this order: 0, 4, 5, not {list(mine)}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Return at most one slice per patient
def spread_batch(uncertainty, patient, count, per_patient):
    return list(np.argsort(-uncertainty)[:count])


# %% tags=["mistake"]
# refused: Most uncertain of a, b and c
def spread_batch(uncertainty, patient, count, per_patient):
    return [
        int(np.flatnonzero(patient == name)[-1]) for name in dict.fromkeys(patient)
    ][:count]


# %% [markdown] tags=["solution"]
# This batch costs more minutes, because more scans are opened. Only a curve over minutes shows whether it is worth
# the time.

# %% [markdown]
# ## Break it: types that were never selected
# **Predict:** which choice of 140 slices holds more bleeds, "random" or "doubt"? Of which type are there almost
# none?

# %%
for ask, runs in slices.items():
    counts = np.mean([table.labels[have].sum(axis=0) for _, have in runs], axis=0)
    print(
        f"{ask:6}",
        ", ".join(f"{name} {n:.1f}" for name, n in zip(LABELS, counts, strict=True)),
    )

# %% [markdown]
# Here "doubt" has an advantage: it finds more than twice as many bleeding slices for the same number of labels.
# This matters if few heads bleed. But it did not help this model, and the selected sample no longer shows how
# common bleeds are. The rarest type stays rare in both samples. A system that was trained without subarachnoid
# bleeds will probably miss them.
#
# ## Recap
# - A random choice is a strong baseline. Compare with it over many draws, and report the result even if you do not
#   beat it.
# - Measure on patients outside the pool.
# - Report the cost in minutes and patients, not in slices.
#
# **Sources** Lewis and Gale 1994, arXiv:cmp-lg/9407020; Settles 2009 (survey); Munjal et al. 2022, arXiv:2002.09564
# (random choice as a strong baseline). System 000 names active learning as future work.
#
# **Next** 18. Many weak heads
