# %% [markdown]
# # 18. Lab: many weak heads
# **You will** average twenty weak models (an *ensemble*), see why twenty copies of one model do not help, and find
# an ensemble that was selected on the test patients.
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
# ## One weak model
# We use forty phantom heads and eight numbers per slice: how dense the tissue is, how much of it is dense, and on
# which side. The model is a decision tree of depth 4. It asks at most four questions about a slice, such as "is
# this number above 3?".
#
# Few slices at the skull base or at the vertex bleed, so the *height* of a slice already predicts bleeding. On
# CT-ICH the height alone reaches an AUC of 0.71 (MODEL_CARD.md). To measure what a model knows about blood, every
# AUC below compares only slices of the same height.

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
# Here is a real bleed at the same 64 pixels:

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
# ## The members must differ
# A *bag* is a sample that is drawn with replacement: some items are in it twice, and some are not in it. Each
# member of the ensemble is trained on another bag.
#
# ### Exercise 18.1: a bag of patients (7 min)
# Draw as many patients as there are in `rows`, with replacement. Return the rows of all drawn patients. If a
# patient is drawn twice, return the rows of this patient twice.
#
# *Hint:* draw patients, then find their rows.
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
# A bag of rows holds slices of nearly every patient. Then all members are trained on the same patients.

# %% [markdown]
# We make three ensembles of twenty trees. In the first, the trees differ only in their seed. In the second, each
# tree gets a bag of slices. In the third, each tree gets a bag of patients. The code calls an ensemble a *team*.


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
# ### Exercise 18.2: mean and votes (5 min)
# `members` is (members, n) and holds probabilities. For each slice, return the mean probability, and the share of
# members that vote "bleeds" (a probability above 0.5).
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
        "No member votes for the first slice, two of three for the second."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: not for each member
def combine(members):
    return members.mean(axis=1), (members > 0.5).mean(axis=1)


# %% tags=["mistake"]
# refused: No member votes for the first slice
def combine(members):
    mean = members.mean(axis=0)
    return mean, mean


# %% [markdown] tags=["solution"]
# Three members with 0.4 give a mean of 0.4, which is a hint of a bleed. As votes they count 0, and the hint is
# lost.

# %% [markdown]
# We compare the ensembles in ten draws of heads. **Predict:** which ensemble gains most over a single tree? Are
# votes as good as the mean?


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
# With twenty seeds all trees are nearly the same, because they ask the same questions. Bags help in AUC, and a lot
# in log loss: the mean is close to 0.5 where the members differ. Votes lose this information. Bags of slices and
# bags of patients make no clear difference here, compared with the spread. A single logistic regression is better
# than any ensemble of trees here. So find a good model first, and then make an ensemble of it.
#
# ## Equal errors do not cancel
# The error of a member is its probability minus the truth (0 or 1). **Predict:** how strongly do the errors of two
# members correlate in each ensemble?

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
# The gain is larger if the members differ more. A bagged tree was trained on fewer different heads, so it is weaker
# alone, but the mean compensates for this. With more members the curve becomes flat, because a mean cannot remove
# an error that all members share:

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
plt.xlabel("members (each line: one sequence of bags)")
plt.ylabel("AUC")
plt.show()

# %% [markdown]
# Each member costs as much as the first one, in training and later for every patient.

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
# A single tree gives probabilities near 0 or 1 too often. In this *reliability diagram*, a dot on the dotted line
# is well calibrated: the predicted probability equals the share of slices that bleed.

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
plt.xlabel("predicted probability")
plt.ylabel("share that bleeds")
plt.legend()
plt.show()

# %% [markdown]
# ## Select members on other patients than you test on
# ### Exercise 18.3: choose on some rows, test on others (7 min)
# `members` is (members, n). Find the *single* member with the best `auc` on the rows `choose`. Return its number,
# and its AUC on the rows `judge`.
#
# *Hint:* use one set of rows to find the best member, and the other set to measure it.
#
# *Second hint:* use `np.argmax` over the AUCs on `choose`; then compute one AUC on `judge`.


# %% tags=["exercise"]
def choose_best(members, truth, choose, judge):
    # your code here
    # solution
    best = int(np.argmax([auc(truth[choose], member[choose]) for member in members]))
    return best, auc(truth[judge], members[best][judge])


# %% tags=["check"]
pattern = np.array([0, 1, 0, 1, 0, 1], bool)
toy = np.array(
    [[0.1, 0.9, 0.9, 0.1, 0.8, 0.2], [0.9, 0.1, 0.1, 0.9, 0.2, 0.8]]
)  # one is right first, the other later
if tested := attempt("18.3", choose_best):
    mine = tested(toy, pattern, np.array([0, 1]), np.array([2, 3, 4, 5]))
    assert mine[0] == 0, "On the rows `choose`, member 0 is right and member 1 wrong."
    assert mine[1] == 0, (
        f"Member 0 has an AUC of 0 on the rows `judge`, not {mine[1]:.2f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: On the rows `choose`, member 0 is right
def choose_best(members, truth, choose, judge):
    best = int(np.argmax([auc(truth[judge], member[judge]) for member in members]))
    return best, auc(truth[judge], members[best][judge])


# %% tags=["mistake"]
# refused: on the rows `judge`
def choose_best(members, truth, choose, judge):
    best = int(np.argmax([auc(truth[choose], member[choose]) for member in members]))
    return best, auc(truth[choose], members[best][choose])


# %% [markdown] tags=["solution"]
# The weights of the members are a choice, too. A *stacked* model learns these weights. If it learns them from the
# test labels, it was trained on the test.

# %% [markdown]
# ## One model on two views: mirrored slices
# One model can score a slice and its mirror image, and the mean of both scores is the result. This is *test-time
# augmentation*. `analyze` does this for every slice, and `Result.disagreement` is the difference between both
# scores. Here we try it with one tree and with logistic regression:

# %%
mirrored = density_features(hu[:, :, ::-1])
models = {
    "tree": tree(trained, 0),
    "logistic": build_estimator("logistic", 0).fit(columns[trained], truth[trained]),
}
for name, model in models.items():
    views = [predict(model, member[test]) for member in (columns, mirrored)]
    correlation = np.corrcoef(views - truth[test])[0, 1]
    before, after = rank_auc(test, views[0]), rank_auc(test, np.mean(views, axis=0))
    print(
        f"{name:9} AUC {before:.3f}, both ways {after:.3f}; errors correlate by "
        f"{correlation:.3f}"
    )

# %% [markdown]
# Seven of the eight numbers are the same for the mirrored slice. Only the difference between left and right
# changes. So both scores have nearly the same errors, and there is little to gain.
#
# ## Spot the bug: an ensemble selected on the test patients
# A report says: "From 40 members we kept the five that work best together, tested on held-out patients." We measure
# the same five members twice: on the eight heads on which they were selected, and on eight other heads.


# %%
def best_five(members, rows, rng, tries=300):
    """The team of five with the largest AUC on these rows, of many tries."""
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
# On the heads on which they were selected, the five seem better than all 40. On the other heads they are not. (The
# two halves are different heads, so compare only within a column.) If more ensembles are tried, the best one looks
# better by chance.

# %% [markdown]
# ## Break it: all wrong together
# **Predict:** of the held-out bleeding slices, how many are called clean by *all* twenty members?

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
# The members share their features and most of their training heads, so they also miss the same bleeds. Agreement of
# twenty such members is not a second opinion. A patient with one of these bleeds is missed by the whole ensemble.
#
# ## Recap
# - Average probabilities, because votes lose information.
# - Different errors can cancel. Equal errors cannot.
# - Choose the members, their number and their weights on patients who are not in the test.
#
# **Sources** Breiman 1996 (bagging predictors); Lakshminarayanan et al. 2017, arXiv:1612.01474; Wolpert 1992
# (stacked generalization); ensembles are among the future work of the published systems.
#
# **Next** 19. Five examples
