# %% [markdown]
# # 18. Lab: many weak heads
# **You will** average twenty weak models (an *ensemble*), see why twenty copies of one do not help, and catch a team that was picked on the
# exam.
#
# **Time** 25 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** lesson 8.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from ich_lib.course import attempt, phantom_heads
from ich_lib.course.density import density_features
from ich_lib.course.levels import height_auc, level_of_slices, same_level_auc
from ich_lib.course.real import real_slice
from ich_lib.data.split import hold_out
from ich_lib.labels import ANY
from ich_lib.measures.metrics import auc, calibration_error, log_loss, reliability
from ich_lib.models.classical import build_estimator
from ich_lib.prediction.uncertainty import entropy
from ich_lib.show import row

SEEDS = range(10)
one_core = threadpool_limits(1)  # fits of milliseconds lose time on several cores

# %% [markdown]
# ## One weak head
# Forty phantom heads, eight numbers a slice (how dense, how much of it, on which side), and a decision tree of four
# questions: a model that one can draw.
#
# Few slices at the skull base or the vertex bleed, so the *height* of a slice tells much. To see what a model knows of
# blood, every AUC below compares only slices of one height.

# %%
store = phantom_heads()
table, truth = store.table, store.table.labels[:, ANY]
level = level_of_slices(table)
hu = store.hu(range(len(store)))
largest = int(store.blood_px.argmax())
row(
    [hu[largest], hu[largest][:, ::-1]],
    ["the largest bleed", "its mirror image"],
    through="brain",
    height=2.4,
)


# %%
def tree(rows, seed):
    return DecisionTreeClassifier(
        max_depth=4, min_samples_leaf=5, random_state=seed
    ).fit(columns[rows], truth[rows])


def rank_auc(rows, p):
    """AUC over pairs of slices at the same height."""
    return same_level_auc(truth[rows], p, level[rows])


def predict(model, columns):
    return model.predict_proba(columns)[:, 1]


# %% [markdown]
# A real bleed at the same 64 pixels:

# %%
real_hu, real_blood = real_slice("066", size=64)
row([real_hu], ["real, 64 px"], through="brain", masks=[real_blood], height=2.4)

# %%
columns = density_features(hu)
split = hold_out(table, share=0.4)
trained, test = split.rows(table, trained=True), split.rows(table, trained=False)
print(f"height alone: AUC {height_auc(table, test):.2f} over all pairs, ", end="")
print(f"{rank_auc(test, level[test]):.2f} over pairs of one height")
print(
    "one tree, 16 heads held out: AUC "
    f"{rank_auc(test, predict(tree(trained, 0), columns[test])):.3f}"
)

# %% [markdown]
# ## Members must differ
# A *bag* is drawn with replacement: some items twice, some not at all. Every member gets a bag of its own.
#
# ### Exercise 18.1: a bag of patients (7 min)
# Draw as many patients as there are, with replacement, and return the rows of all of them; a patient drawn twice gives all
# rows twice.
#
# *Hint:* draw names, then look up their rows.
#
# *Second hint:* `rng.choice(names, len(names))`, then `np.concatenate`.


# %% tags=["exercise"]
def bag(rows, patient, rng):
    # your code here
    # solution
    names = np.unique(patient[rows])
    return np.concatenate(
        [
            rows[patient[rows] == drawn_patient]
            for drawn_patient in rng.choice(names, len(names))
        ]
    )


# %% tags=["check"]
toy = np.array(["a", "a", "b", "b", "c", "c", "d", "d"])
if tested := attempt("18.1", bag):
    mine = tested(np.arange(6), toy, np.random.default_rng(1))
    counts = np.bincount(mine, minlength=8)
    assert not counts[6:].any(), "Patient d is not among the rows that were given."
    assert (counts[:6:2] == counts[1:6:2]).all(), (
        "Both slices of a patient go together: draw patients, not rows."
    )
    assert counts.sum() == 6, "Three patients are drawn, two rows each: 6 rows."
    draws = [
        tuple(tested(np.arange(6), toy, np.random.default_rng(k))) for k in range(20)
    ]
    assert any(len(set(member)) < 6 for member in draws), (
        "With replacement, some patient is left out of most bags."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: draw patients, not rows
def bag(rows, patient, rng):
    return rng.choice(rows, len(rows))


# %% tags=["mistake"]
# refused: With replacement
def bag(rows, patient, rng):
    names = rng.permutation(np.unique(patient[rows]))
    return np.concatenate(
        [rows[patient[rows] == drawn_patient] for drawn_patient in names]
    )


# %% [markdown] tags=["solution"]
# A bag of rows would hold nearly every patient: its members would all have met the same people.

# %% [markdown]
# Three teams of twenty: trees that differ by their seed alone, by a bag of slices, by a bag of patients.


# %%
def draw_rows(kind, rows, rng):
    if kind == "seeds":
        return rows
    if kind == "bags of slices":
        return rng.choice(rows, len(rows))
    names = np.unique(table.patient[rows])
    return np.concatenate(
        [
            rows[table.patient[rows] == patient]
            for patient in rng.choice(names, len(names))
        ]
    )


def team(kind, trained, question_rows, seed, count=20):
    """(count, n) probabilities of the members."""
    rng = np.random.default_rng(seed)
    return np.array(
        [
            predict(tree(draw_rows(kind, trained, rng), k), columns[question_rows])
            for k in range(count)
        ]
    )


# %% [markdown]
# ## Mean or votes
# ### Exercise 18.2: two ways to agree (5 min)
# `members` is (members, n), probabilities. Return the mean probability, and the share of members that vote "bleeds" (above
# 0.5).
#
# *Hint:* which axis holds the members?
#
# *Second hint:* both are means over `axis=0`.


# %% tags=["exercise"]
def combine(members):
    # your code here
    # solution
    return members.mean(axis=0), (members > 0.5).mean(axis=0)


# %% tags=["check"]
if tested := attempt("18.2", combine):
    mine = tested(np.array([[0.4, 0.9], [0.4, 0.1], [0.4, 0.8]]))
    mean, votes = mine
    assert np.shape(mean) == (2,), (
        "One number for each slice, not for each member: axis=0."
    )
    assert np.allclose(mean, [0.4, 0.6]), "The means are 0.4 and 0.6."
    assert np.allclose(votes, [0, 2 / 3]), (
        "Nobody votes for the first slice, two of three for the second."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: not for each member
def combine(members):
    return members.mean(axis=1), (members > 0.5).mean(axis=1)


# %% tags=["mistake"]
# refused: Nobody votes for the first slice
def combine(members):
    mean = members.mean(axis=0)
    return mean, mean


# %% [markdown] tags=["solution"]
# Three members at 0.4 are three hints; as votes they are nothing.

# %% [markdown]
# Ten draws of heads. **Predict:** which team gains most over a single tree? Do votes do as well?


# %%
def rate(rows, p):
    return (
        rank_auc(rows, p),
        log_loss(truth[rows], p),
        calibration_error(truth[rows], p),
    )


def scores(seed):
    split = hold_out(table, share=0.4, seed=seed)
    trained, test = split.rows(table, trained=True), split.rows(table, trained=False)
    results = {}
    for kind in ("seeds", "bags of slices", "bags of patients"):
        members = team(kind, trained, test, seed)
        results[f"{kind}, mean"] = rate(test, members.mean(axis=0))
    results["bags of patients, votes"] = rate(test, (members > 0.5).mean(axis=0))
    results["one tree"] = rate(test, predict(tree(trained, 0), columns[test]))
    for name in ("forest", "logistic"):
        model = build_estimator(name, seed).fit(columns[trained], truth[trained])
        results[f"{name} of ich_lib"] = rate(test, predict(model, columns[test]))
    return results


# %%
runs = [scores(seed) for seed in tqdm(SEEDS)]

# %%
aucs = {name: np.array([member[name] for member in runs]) for name in runs[0]}
for name, member in sorted(aucs.items(), key=lambda item: item[1][:, 0].mean()):
    spread = member[:, 0].std(ddof=1)
    area, loss, gap = member.mean(axis=0)
    print(
        f"{name:24} AUC {area:.3f} (SD {spread:.3f})  log loss {loss:.3f}  calibration "
        f"error {gap:.3f}"
    )

# %% [markdown]
# Twenty seeds are one tree twenty times: every tree asks the same questions. Bags help in AUC and a lot in log
# loss: the mean is no longer sure where its members differ. Votes throw that away. Slices or patients in the bag make no
# clear difference here, given the spread. And one logistic regression is better than any team of trees here: a good model first,
# then a team of it.
#
# ## Errors that agree cannot cancel
# An error is what a member said less what was so. **Predict:** the correlation of two members' errors, for each team.

# %%
for kind in ("seeds", "bags of slices", "bags of patients"):
    members = team(kind, trained, test, seed=0)
    errors = np.corrcoef(members - truth[test])
    mean_loss = np.mean([log_loss(truth[test], member) for member in members])
    gain = mean_loss - log_loss(truth[test], members.mean(axis=0))
    print(
        f"{kind:17} errors correlate by {errors[np.triu_indices(20, 1)].mean():.2f}, "
        f"log loss falls by {gain:.2f}"
    )

# %% [markdown]
# The gain follows the differences. A bagged tree has seen fewer heads and is weaker alone; the mean makes up for it. Then the
# curve flattens, since what all members share no mean takes away:

# %%
members = np.array(
    [team("bags of patients", trained, test, seed, 40) for seed in tqdm(range(5))]
)

# %%
sizes = [1, 2, 3, 5, 10, 20, 40]
for member in members:
    plt.plot(
        sizes,
        [rank_auc(test, member[:n].mean(axis=0)) for n in sizes],
        color="#0072B2",
        alpha=0.5,
        marker="o",
        ms=3,
    )
plt.xscale("log")
plt.xticks(sizes, sizes)
plt.xlabel("members (a line: one order of bags)")
plt.ylabel("AUC")
plt.show()

# %% [markdown]
# Each member costs as much as the first, in training and for every patient after that.

# %%
start = perf_counter()
build_estimator("logistic", 0).fit(columns[trained], truth[trained])
middle = perf_counter()
team("bags of patients", trained, test, seed=0)
print(
    f"logistic regression {1000 * (middle - start):.0f} ms, twenty trees "
    f"{1000 * (perf_counter() - middle):.0f} ms"
)

# %% [markdown]
# ## The mean is better calibrated than its members
# A tree says 0 or 1 too easily. In the diagram, dots on the line mean what they say.

# %%
for name, p in {
    "one tree": members[0, 0],
    "mean of 40": members[0].mean(axis=0),
}.items():
    bins = [member for member in reliability(truth[test], p, bins=5) if member.n]
    plt.plot(
        [member.score for member in bins],
        [member.share for member in bins],
        marker="o",
        label=name,
    )
plt.plot([0, 1], [0, 1], color="#999999", linestyle=":")
plt.xlabel("said")
plt.ylabel("so")
plt.legend()
plt.show()

# %% [markdown]
# ## Whom to choose, and where to judge
# ### Exercise 18.3: choose here, judge there (7 min)
# `members` is (members, n). Find the one best *single* member by `auc` on the rows `choose`; return its number and its AUC
# on the rows `judge`.
#
# *Hint:* one set of rows finds the best member, another tells its worth.
#
# *Second hint:* two sets of rows, each used once.


# %% tags=["exercise"]
def choose_best(members, truth, choose, judge):
    # your code here
    # solution
    best = int(np.argmax([auc(truth[choose], member[choose]) for member in members]))
    return best, auc(truth[judge], members[best][judge])


# %% tags=["check"]
so = np.array([0, 1, 0, 1, 0, 1], bool)
toy = np.array(
    [[0.1, 0.9, 0.9, 0.1, 0.8, 0.2], [0.9, 0.1, 0.1, 0.9, 0.2, 0.8]]
)  # one is right first, the other later
if tested := attempt("18.3", choose_best):
    mine = tested(toy, so, np.array([0, 1]), np.array([2, 3, 4, 5]))
    assert mine[0] == 0, (
        "On the rows that choose, member 0 is right and member 1 wrong."
    )
    assert mine[1] == 0, (
        f"Member 0 has an AUC of 0 on the rows that judge, not {mine[1]:.2f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: On the rows that choose, member 0 is right
def choose_best(members, truth, choose, judge):
    best = int(np.argmax([auc(truth[judge], member[judge]) for member in members]))
    return best, auc(truth[judge], members[best][judge])


# %% tags=["mistake"]
# refused: on the rows that judge
def choose_best(members, truth, choose, judge):
    best = int(np.argmax([auc(truth[choose], member[choose]) for member in members]))
    return best, auc(truth[choose], members[best][choose])


# %% [markdown] tags=["solution"]
# Weights are choices too: a *stacked* model that learns weights from test answers has been trained on the test.

# %% [markdown]
# ## A team of one: mirrored copies
# Ask the same model about a slice and its mirror image: *test-time augmentation*. `analyze` does so with every slice, and
# `Result.disagreement` tells how far both answers lie apart. Here, with one tree and with logistic regression:

# %%
mirrored = density_features(hu[:, :, ::-1])
models = {
    "tree": tree(trained, 0),
    "logistic": build_estimator("logistic", 0).fit(columns[trained], truth[trained]),
}
for name, model in models.items():
    views = [predict(model, member[test]) for member in (columns, mirrored)]
    alike = np.corrcoef(views - truth[test])[0, 1]
    before, after = rank_auc(test, views[0]), rank_auc(test, np.mean(views, axis=0))
    print(
        f"{name:9} AUC {before:.3f}, both ways {after:.3f}; errors correlate by "
        f"{alike:.3f}"
    )

# %% [markdown]
# Seven of the eight numbers are the same in a mirror, so both answers share their errors, and there is little to gain.
#
# ## Spot the bug: a team picked on the exam
# "From 40 members we kept the five that work best together, tested on held-out patients." Twice the same team: judged by the
# eight heads that chose it, and by eight others.


# %%
def best_five(members, rows, rng, tries=300):
    """Of many teams of five, the one with the largest AUC on these rows."""
    teams = [rng.choice(len(members), 5, replace=False) for _ in range(tries)]
    return max(
        teams, key=lambda team: rank_auc(rows, members[team][:, rows].mean(axis=0))
    )


# %%
rows_of_aucs = []
for seed in tqdm(SEEDS):
    split = hold_out(table, share=0.4, seed=seed)
    trained, out = split.rows(table, trained=True), split.rows(table, trained=False)
    half = np.isin(table.patient[out], np.unique(table.patient[out])[::2])
    members = team("bags of patients", trained, np.arange(len(table)), seed, 40)
    five = members[best_five(members, out[half], np.random.default_rng(seed))]
    views = (
        (five, out[half]),
        (five, out[~half]),
        (members, out[half]),
        (members, out[~half]),
    )
    rows_of_aucs.append(
        [
            rank_auc(rows, member_scores[:, rows].mean(axis=0))
            for member_scores, rows in views
        ]
    )

# %%
mean = np.mean(rows_of_aucs, axis=0)
print(
    f"the five: AUC {mean[0]:.3f} on the heads that chose them, {mean[1]:.3f} on others"
)
print(
    f"all 40:   AUC {mean[2]:.3f} on those heads,               {mean[3]:.3f} on others"
)

# %% [markdown]
# The five seem to beat all 40, on the very heads that chose them. On the others they do not. (The halves are different heads,
# so compare within a column.) The more teams one tries, the larger the luck of the best.

# %% [markdown]
# ## Break it: all wrong together
# **Predict:** of the bleeding slices held out, how many does *every one* of twenty members call clean?

# %%
split = hold_out(table, share=0.4)
trained, test = split.rows(table, trained=True), split.rows(table, trained=False)
bleeding = test[truth[test]]
members = team("bags of patients", trained, bleeding, seed=0)

# %%
votes = (members > 0.5).sum(axis=0)
mutual_information = entropy(members.mean(axis=0)) - entropy(members).mean(axis=0)
print(
    f"{len(bleeding)} bleeding slices: {(votes == 0).sum()} missed by all twenty, "
    f"{(votes > 10).sum()} found by most"
)
print(
    f"disagreement where all miss {mutual_information[votes == 0].mean():.2f} bits, "
    f"elsewhere {mutual_information[votes > 0].mean():.2f} bits"
)

# %%
missed = bleeding[votes == 0]
missed = missed[np.argsort(-store.blood_px[missed])[:5]]
outlines = [member > 127 for member in store.blood(missed)]
row(
    hu[missed],
    ["missed by all"] * len(missed),
    through="brain",
    masks=outlines,
    height=2.2,
)

# %% [markdown]
# They share features, heads and so their blind spots. Twenty that agree are no second opinion, and a patient with such a
# bleed is sent home by all of them.
#
# ## Recap
# - Average probabilities; votes throw away hints.
# - What differs can cancel. Copies cannot.
# - Choose members, weights and numbers of them on patients who do not judge.
#
# **Sources** Breiman 1996 (bagging predictors); Lakshminarayanan et al. 2017, arXiv:1612.01474; Wolpert 1992 (stacked
# generalization); named as future work by system 000.
#
# **Next** Build one of these ideas on real heads: `python -m ich_lib train` with your own recipe.
