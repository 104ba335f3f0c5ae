# %% [markdown]
# # 16. Lab: its own teacher
# **You will** let a model label 20 heads for itself, measure what that brings, and watch it talk itself into its errors.
#
# **Time** 25 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** lesson 8.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from sklearn.semi_supervised import SelfTrainingClassifier
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from ich_lib.course import attempt, phantom_heads
from ich_lib.course.density import density_features
from ich_lib.course.levels import height_auc, level_of_slices, same_level_auc
from ich_lib.course.real import real_slice
from ich_lib.data.split import hold_out
from ich_lib.labels import ANY
from ich_lib.measures.metrics import log_loss
from ich_lib.models.classical import build_estimator
from ich_lib.show import row

SEEDS = range(20)
one_core = threadpool_limits(1)  # fits of milliseconds lose time on several cores

# %% [markdown]
# ## Pictures are many, labels are few
# A hospital stores thousands of heads; a radiologist has labeled four. Can the others help (*semi-supervised* learning)? Two slices with their label, two without:

# %%
store = phantom_heads()
table, truth = store.table, store.table.labels[:, ANY]
level = level_of_slices(table)
examples = [int(store.blood_px.argmax()), 16, 34 * 5 + 16, 34 * 9 + 16]
titles = [
    ("bleeds" if truth[k] else "clean") if place < 2 else "?"
    for place, k in enumerate(examples)
]
row(store.hu(examples), titles, through="brain", height=2.2)

# %% [markdown]
# A real slice of the same 64 pixels, for comparison: thin blood is two or three pixels wide.

# %%
real_hu, real_blood = real_slice("066", size=64)
row([real_hu], ["real, 64 px"], through="brain", masks=[real_blood], height=2.4)

# %% [markdown]
# So that a model trains in a blink, we measure eight numbers a slice (how dense, how much of it, on which side) and fit a
# logistic regression.
#
# Few slices at the skull base or the vertex bleed, so the *height* of a slice tells much. To see what a model knows of
# blood, every AUC below compares only slices of one height.

# %%
columns = density_features(store.hu(range(len(store))))


def rank_auc(rows, p):
    """AUC over pairs of slices at the same height."""
    return same_level_auc(truth[rows], p, level[rows])


def predict(rows, labels, question_rows):
    return (
        build_estimator("logistic", 0)
        .fit(columns[rows], labels)
        .predict_proba(columns[question_rows])[:, 1]
    )


# %% [markdown]
# A draw: 16 heads held out to judge, four labeled (two of them bleed), 20 without labels.


# %%
def deal_heads(seed):
    split = hold_out(table, share=0.4, seed=seed)
    free, test = split.rows(table, trained=True), split.rows(table, trained=False)
    patients = np.random.default_rng(seed).permutation(np.unique(table.patient[free]))
    bleeds = np.array([truth[table.patient == patient].any() for patient in patients])
    labeled = np.isin(
        table.patient[free], [*patients[bleeds][:2], *patients[~bleeds][:2]]
    )
    return free[labeled], free[~labeled], test


# %%
few, pool, test = deal_heads(0)
print(f"height alone: AUC {height_auc(table, test):.2f} over all pairs, ", end="")
print(f"{rank_auc(test, level[test]):.2f} over pairs of one height")
everything = np.r_[few, pool]
for name, rows in (("4 heads", few), ("24 heads", everything)):
    print(
        f"labels of {name:8}: AUC "
        f"{rank_auc(test, predict(rows, truth[rows], test)):.3f}"
    )

# %% [markdown]
# In this draw the labels of four heads are worth a coin, and those of 24 a little more.
#
# ## The model labels the rest
# Train on the few, ask about the pool, believe the sure answers, train again on both.
#
# ### Exercise 16.1: sure enough (6 min)
# Given probabilities of a bleed, return the places of those that are sure (at least `limit`, or at most `1 - limit`) and
# a label for each of them.
#
# *Hint:* there are two ways to be sure.
#
# *Second hint:* `np.flatnonzero`; both ends are sure.


# %% tags=["exercise"]
def confident_labels(probability, limit):
    # your code here
    # solution
    places = np.flatnonzero(np.maximum(probability, 1 - probability) >= limit)
    return places, probability[places] > 0.5


# %% tags=["check"]
if tested := attempt("16.1", confident_labels):
    mine = tested(np.array([0.02, 0.4, 0.97, 0.6]), 0.9)
    places, labels = mine
    assert 0 in places, "A probability of 0.02 is sure too: sure that it is clean."
    assert list(places) == [0, 2], f"Places 0 and 2 are sure, not {list(places)}."
    assert len(labels) == len(places), "One label for each place kept."
    assert list(labels) == [False, True], "0.02 is clean, 0.97 bleeds."
    tested.passes()


# %% tags=["mistake"]
# refused: sure that it is clean
def confident_labels(probability, limit):
    places = np.flatnonzero(probability >= limit)
    return places, np.ones(len(places), bool)


# %% tags=["mistake"]
# refused: One label for each place kept
def confident_labels(probability, limit):
    return np.flatnonzero(abs(probability - 0.5) >= limit - 0.5), probability > 0.5


# %% [markdown] tags=["solution"]
# Such made-up truth is called a *pseudo-label* (Lee 2013).

# %% [markdown]
# The whole method is six lines. scikit-learn has it as well, and gives the same answers:


# %%
def self_train(few, pool, question_rows, limit):
    probabilities = predict(few, truth[few], pool)
    is_confident = np.maximum(probabilities, 1 - probabilities) >= limit
    rows, labels = (
        np.r_[few, pool[is_confident]],
        np.r_[truth[few], probabilities[is_confident] > 0.5],
    )
    return (
        predict(rows, labels, question_rows),
        probabilities[is_confident] > 0.5,
        pool[is_confident],
    )


# %%
by_hand, labels, is_confident = self_train(few, pool, test, 0.9)
library = SelfTrainingClassifier(
    build_estimator("logistic", 0), threshold=0.9, max_iter=1
)
library.fit(columns[everything], np.r_[truth[few].astype(int), np.full(len(pool), -1)])
print(
    "largest difference:",
    np.abs(library.predict_proba(columns[test])[:, 1] - by_hand).max(),
)

# %%
print(
    f"{len(is_confident)} of {len(pool)} slices kept, "
    f"{(labels == truth[is_confident]).mean():.0%} of their labels true"
)

# %% [markdown]
# ## Right is not the same as useful
# **Predict:** of the slices it keeps, how many does it call bleeding? How many bleed?

# %%
print(
    f"called bleeding {labels.sum()}, really bleeding {truth[is_confident].sum()}, of "
    f"{len(is_confident)}"
)

# %% [markdown]
# It is sure of what is easy: clean slices. The labels are mostly right because most slices are clean, and the bleeds
# among them enter the training set as "clean".

# %% [markdown]
# ### Exercise 16.2: an honest comparison (6 min)
# `before` and `after` are AUCs of the same draws, in order. Return the mean gain, the standard deviation of the gain
# (`ddof=1`), and the share of draws that gained.
#
# *Hint:* two values of one draw belong together.
#
# *Second hint:* subtract draw by draw, first of all.


# %% tags=["exercise"]
def compare_pairs(before, after):
    # your code here
    # solution
    gain = np.asarray(after) - np.asarray(before)
    return gain.mean(), gain.std(ddof=1), (gain > 0).mean()


# %% tags=["check"]
if tested := attempt("16.2", compare_pairs):
    mine = tested([0.70, 0.80, 0.90], [0.72, 0.83, 0.89])
    mean, spread, share = mine
    assert np.isclose(mean, 0.04 / 3), (
        f"Gains are .02, .03 and -.01: a mean of .0133, not {mean:.4f}."
    )
    assert np.isclose(spread, 0.0208, atol=2e-4), (
        f"The gains spread by .0208, not {spread:.4f}: pair the draws first."
    )
    assert np.isclose(share, 2 / 3), "Two draws of three gained."
    tested.passes()


# %% tags=["mistake"]
# refused: pair the draws first
def compare_pairs(before, after):
    before, after = np.array(before), np.array(after)
    return (
        after.mean() - before.mean(),
        max(before.std(ddof=1), after.std(ddof=1)),
        (after > before).mean(),
    )


# %% tags=["mistake"]
# refused: a mean of .0133
def compare_pairs(before, after):
    gain = np.array(after) - np.array(before)
    return gain.max(), gain.std(ddof=1), (gain > 0).mean()


# %% [markdown] tags=["solution"]
# Draws differ far more than methods do; pairing takes that out. System 001 trained with several seeds, got several
# results, and reported one. Twenty draws from the same 40 heads are no twenty hospitals either: they overlap.

# %% [markdown]
# ## One draw proves nothing
# Twenty draws, four limits; "gain" is against the same four labeled heads.
# **Predict:** which limit wins, and by how much?


# %%
def scores(seed):
    few, pool, test = deal_heads(seed)
    everything = np.r_[few, pool]
    probabilities = {"four heads": predict(few, truth[few], test)}
    for limit in (0.5, 0.8, 0.9, 0.95):
        probabilities[f"sure by {limit}"] = self_train(few, pool, test, limit)[0]
    probabilities["all labels"] = predict(everything, truth[everything], test)
    return {
        name: (rank_auc(test, p), log_loss(truth[test], p))
        for name, p in probabilities.items()
    }


# %%
runs = [scores(seed) for seed in tqdm(SEEDS)]
aucs = {name: np.array([planes[name] for planes in runs]) for name in runs[0]}
for name, planes in aucs.items():
    gain = planes[:, 0] - aucs["four heads"][:, 0]
    print(
        f"{name:12} AUC {planes[:, 0].mean():.3f}  gain {gain.mean():+.3f} (SD "
        f"{gain.std(ddof=1):.3f}, "
        f"better in {(gain > 0).sum():2} of 20)  log loss {planes[:, 1].mean():.3f}"
    )

# %%
plt.figure(figsize=(7, 2.6))
for place, name in enumerate(list(aucs)[1:]):
    gain = aucs[name][:, 0] - aucs["four heads"][:, 0]
    plt.plot(
        gain, np.full(20, place) + np.linspace(-0.2, 0.2, 20), "o", ms=4, alpha=0.7
    )
plt.axvline(0, color="#999999")
plt.yticks(range(len(aucs) - 1), list(aucs)[1:])
plt.xlabel("AUC gained over the same four labeled heads, one dot a draw")
plt.show()

# %% [markdown]
# Believing every answer loses a little (ahead in 7 of 20 draws); believing only the surest changes nothing: its gain is far
# smaller than its spread. True labels for the same heads gain 0.07 on average, in two draws of three. And the log loss grows
# in every row of pseudo-labels: the student is surer, and not righter.

# %% [markdown]
# ## Again and again: it believes itself
# The student becomes the teacher, five times, with every answer believed. **Predict:** its confidence and the share it
# calls bleeding (14 % is true), round by round.


# %%
def rounds(seed, count=6):
    few, pool, test = deal_heads(seed)
    rows, labels, aucs = few, truth[few], []
    for _ in range(count):
        probabilities = predict(rows, labels, np.r_[pool, test])
        pool_scores, test_scores = (
            probabilities[: len(pool)],
            probabilities[len(pool) :],
        )
        aucs.append(
            (
                np.maximum(pool_scores, 1 - pool_scores).mean(),
                (pool_scores > 0.5).mean(),
                rank_auc(test, test_scores),
            )
        )
        rows, labels = np.r_[few, pool], np.r_[truth[few], pool_scores > 0.5]
    return aucs


# %%
story = np.array([rounds(seed) for seed in tqdm(SEEDS)])
for name, column in (("confidence", 0), ("called bleeding", 1), ("AUC", 2)):
    mean = story[:, :, column].mean(axis=0)
    plt.plot(mean, marker="o", label=f"{name}: {mean[0]:.2f} to {mean[-1]:.2f}")
plt.xlabel("rounds of teaching itself")
plt.legend(loc="center right")
plt.show()

# %% [markdown]
# This is *confirmation bias*: surer with every round, and no better. Nothing in the loop could tell it that it is wrong.
#
# ## Spot the bug: the teacher had seen the exam
# "Pseudo-labels came from our earlier model; the student never saw a label of a test patient." AUC over three draws:


# %%
def student_auc(seed, teacher_sees_exam):
    few, pool, test = deal_heads(seed)
    labeled = np.r_[few, pool, test] if teacher_sees_exam else few
    fit = lambda rows, labels: build_estimator("forest", seed).fit(
        columns[rows], labels
    )
    unlabeled = np.r_[pool, test]
    pseudo = fit(labeled, truth[labeled]).predict(columns[unlabeled])
    student = fit(np.r_[few, unlabeled], np.r_[truth[few], pseudo])
    return rank_auc(test, student.predict_proba(columns[test])[:, 1])


# %%
for name, leaks in (
    ("earlier model, trained on everybody", True),
    ("teacher of four heads", False),
):
    print(
        f"{name:36}", np.round([student_auc(seed, leaks) for seed in tqdm(range(3))], 3)
    )

# %% [markdown]
# The labels of the exam went through the teacher, as slices of one patient through the splits of systems 002 and 003. The
# second row still shows the student *pictures* of held-out patients: no help here, yet no new heads either.
#
# ### Exercise 16.3: whom may it label? (6 min)
# `patient` names the patient of each row. Return the rows that may get a pseudo-label: not labeled yet, and no slice of a
# patient who is judged.
#
# *Hint:* what may a teacher not touch: rows, or whole patients?
#
# *Second hint:* `np.isin` on patients, not on rows.


# %% tags=["exercise"]
def may_label(patient, labeled, test):
    # your code here
    # solution
    is_taken = np.isin(np.arange(len(patient)), labeled) | np.isin(
        patient, patient[test]
    )
    return np.flatnonzero(~is_taken)


# %% tags=["check"]
patient = np.array(["a", "a", "b", "b", "c", "c"])
if tested := attempt("16.3", may_label):
    mine = tested(
        patient, np.array([0, 1]), np.array([4])
    )  # only one slice of c is judged
    assert not np.isin([0, 1], mine).any(), "Rows 0 and 1 have a true label already."
    assert 4 not in mine, "Row 4 is judged."
    assert 5 not in mine, "Row 5 is another slice of patient c, who is judged."
    assert list(mine) == [2, 3], "Both slices of patient b may be labeled."
    tested.passes()


# %% tags=["mistake"]
# refused: another slice of patient c
def may_label(patient, labeled, test):
    return np.setdiff1d(np.arange(len(patient)), np.r_[labeled, test])


# %% tags=["mistake"]
# refused: have a true label already
def may_label(patient, labeled, test):
    return np.flatnonzero(~np.isin(patient, patient[test]))


# %% [markdown] tags=["solution"]
# And the teacher itself may have learned from `labeled` alone. Ask of every pretrained model whom it has seen.

# %% [markdown]
# ## Break it: count those sent home
# Who pays for the confidence? **Predict:** of the bleeding slices held out, how many are called clean with a probability of
# 99 % or more, before and after?

# %%
sent_home = {"four heads": [], "sure by 0.9": [], "every answer believed": []}
for few, pool, test in map(deal_heads, SEEDS):
    bleeding = test[truth[test]]
    probabilities = [
        predict(few, truth[few], bleeding),
        *(self_train(few, pool, bleeding, c)[0] for c in (0.9, 0.5)),
    ]
    for name, p in zip(sent_home, probabilities, strict=True):
        sent_home[name].append((p < 0.01).mean())

# %%
for name, share in sent_home.items():
    print(
        f"{name:22} {np.mean(share):.0%} of bleeding slices surely clean (from "
        f"{min(share):.0%} to {max(share):.0%})"
    )

# %% [markdown]
# A bleed that the teacher misses, the student learns to miss.
#
# ## Recap
# - Pseudo-labels repeat what the model knows; sure ones are easy ones.
# - Compare over draws, in pairs, with the same few labels alone.
# - Whoever makes labels must not have seen the exam.
#
# **Sources** Lee 2013 (pseudo-label); Arazo et al. 2020, arXiv:1908.02983 (confirmation bias); Oliver et al. 2018,
# arXiv:1804.09170 (honest comparison); named as future work by system 000.
#
# **Next** 17. Which scan to label next
