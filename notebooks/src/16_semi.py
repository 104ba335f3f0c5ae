# %% [markdown]
# # 16. Lab: its own teacher
# **You will** let a model label 20 heads for its own training, measure whether this helps, and see how it becomes
# more certain of its errors.
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
# ## Many pictures, few labels
# A hospital stores thousands of head scans, but a radiologist has labeled only four. Can the scans without labels
# help? Training on both kinds is called *semi-supervised* learning. Here are two slices with their label and two
# without:

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
# For comparison, here is a real slice at the same 64 pixels. Thin blood is two or three pixels wide at this size.

# %%
real_hu, real_blood = real_slice("066", size=64)
row([real_hu], ["real, 64 px"], through="brain", masks=[real_blood], height=2.4)

# %% [markdown]
# A small model trains in milliseconds. So we compute eight numbers per slice (how dense the tissue is, how much of
# it is dense, and on which side), and fit a logistic regression.
#
# Few slices at the skull base or at the vertex bleed, so the *height* of a slice already predicts bleeding. On
# CT-ICH the height alone reaches an AUC of 0.71 (MODEL_CARD.md). To measure what a model knows about blood, every
# AUC below compares only slices of the same height.

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
# One *draw* divides the 40 heads at random: 16 are held out for testing, four have labels (two of them bleed), and
# 20 have no labels.


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
all_rows = np.r_[few, pool]
for name, rows in (("4 heads", few), ("24 heads", all_rows)):
    print(
        f"labels of {name:8}: AUC "
        f"{rank_auc(test, predict(rows, truth[rows], test)):.3f}"
    )

# %% [markdown]
# In this draw a model with the labels of four heads is about as good as a coin. With the labels of 24 heads it is a
# little better.
#
# ## The model labels the rest
# The method has four steps. Train on the few labeled heads. Predict the heads without labels (the *pool*). Keep the
# predictions with a high confidence as labels. Train again on both.
#
# ### Exercise 16.1: confident predictions (6 min)
# You get probabilities of a bleed. A probability is confident if it is at least `limit` or at most `1 - limit`.
# Return the positions of the confident ones, and a label for each of them.
#
# *Hint:* a model can be confident of a bleed, and confident of a clean slice.
#
# *Second hint:* use `np.flatnonzero`; both very high and very low probabilities are confident.


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
# A label that a model predicted is called a *pseudo-label* (Lee 2013).

# %% [markdown]
# The whole method is one short function. scikit-learn has it as well, and gives the same probabilities:


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
library.fit(columns[all_rows], np.r_[truth[few].astype(int), np.full(len(pool), -1)])
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
# ## A correct label is not always useful
# **Predict:** of the slices that the model keeps, how many does it call bleeding? How many really bleed?

# %%
print(
    f"called bleeding {labels.sum()}, really bleeding {truth[is_confident].sum()}, of "
    f"{len(is_confident)}"
)

# %% [markdown]
# The model is confident about easy slices, and these are clean. Most pseudo-labels are correct, because most slices
# are clean. But the bleeding slices among them enter the training set with the label "clean".

# %% [markdown]
# ### Exercise 16.2: a paired comparison (6 min)
# `before` and `after` are AUCs of the same draws, in the same order. Return the mean gain, the standard deviation
# of the gain (`ddof=1`), and the share of draws with a gain above 0.
#
# *Hint:* the two values of one draw belong together.
#
# *Second hint:* subtract within each draw first.


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
# The draws differ much more than the methods do, and pairing removes this difference. System 001 was trained with
# several seeds and gave several results, but only one was reported. Note that twenty draws from the same 40 heads
# overlap, so they are not as good as twenty hospitals.

# %% [markdown]
# ## One draw is not enough
# We make twenty draws and try four limits. "Gain" is the difference to a model that was trained on the four labeled
# heads only. **Predict:** which limit wins, and by how much?


# %%
def scores(seed):
    few, pool, test = deal_heads(seed)
    all_rows = np.r_[few, pool]
    probabilities = {"four heads": predict(few, truth[few], test)}
    for limit in (0.5, 0.8, 0.9, 0.95):
        probabilities[f"sure by {limit}"] = self_train(few, pool, test, limit)[0]
    probabilities["all labels"] = predict(all_rows, truth[all_rows], test)
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
plt.xlabel("AUC gained over the same four labeled heads, one dot per draw")
plt.show()

# %% [markdown]
# If every prediction is kept (limit 0.5), the AUC falls a little, and the model is better in only 7 of 20 draws. If
# only the most confident ones are kept, nothing changes: the gain is far smaller than its spread. The true labels
# of the same heads gain 0.07 on average, and help in two of three draws. The log loss rises with all pseudo-labels:
# the new model is more confident, but not more often correct.

# %% [markdown]
# ## Several rounds: it trusts its own errors
# In the literature the first model is called the *teacher* and the second one the *student*. Now each student is
# the teacher of the next round, five times, and every prediction is kept. **Predict:** how do the confidence and
# the share of slices called bleeding change? (14 % of the slices really bleed.)


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
plt.xlabel("rounds of self-training")
plt.legend(loc="center right")
plt.show()

# %% [markdown]
# This is *confirmation bias*: the model becomes more confident with every round, but not better. The loop contains
# no information that could correct its errors.
#
# ## Spot the bug: the teacher was trained on test patients
# A report says: "Pseudo-labels came from our earlier model; the student never saw a label of a test patient." Here
# is the AUC of three draws:


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
    ("earlier model, trained on all heads", True),
    ("teacher of four heads", False),
):
    print(
        f"{name:36}", np.round([student_auc(seed, leaks) for seed in tqdm(range(3))], 3)
    )

# %% [markdown]
# The labels of the test heads reached the student through the teacher. This is a leak, like the slices of one
# patient on both sides of the splits of systems 002 and 003. In the second row, too, the student is trained on
# *pictures* of held-out patients. This does not raise its AUC here, but these heads are no longer new to it.
#
# ### Exercise 16.3: which rows may get a pseudo-label? (6 min)
# `patient` holds the patient of each row. `labeled` and `test` are row numbers. Return the rows that may get a
# pseudo-label. They have no label yet, and they are not slices of a patient in the test.
#
# *Hint:* which rows must be left out: the test rows, or all rows of the test patients?
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
    )  # only one slice of c is in the test
    assert not np.isin([0, 1], mine).any(), "Rows 0 and 1 have a true label already."
    assert 4 not in mine, "Row 4 is in the test."
    assert 5 not in mine, "Row 5 is another slice of patient c, who is in the test."
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
# The teacher itself may be trained only on `labeled`. For every pretrained model, find out which patients were in
# its training set.

# %% [markdown]
# ## Break it: count the missed patients
# A confident error is dangerous, because a confident result is checked less often. **Predict:** what share of the
# held-out bleeding slices is called clean with a probability of 99 % or more, before and after self-training?

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
        f"{name:22} {np.mean(share):.0%} of bleeding slices called clean (from "
        f"{min(share):.0%} to {max(share):.0%})"
    )

# %% [markdown]
# If the teacher misses a bleed, the student learns to miss it, too.
#
# ## Recap
# - Pseudo-labels repeat what the model already knows; the confident ones are mostly easy slices.
# - Compare over many draws, in pairs, with a model that uses only the few true labels.
# - A model that makes labels must not be trained on test patients.
#
# **Sources** Lee 2013 (pseudo-label); Arazo et al. 2020, arXiv:1908.02983 (confirmation bias); Oliver et al. 2018,
# arXiv:1804.09170 (honest comparison); system 000 names semi-supervised learning as future work.
#
# **Next** 17. Which scan to label next
