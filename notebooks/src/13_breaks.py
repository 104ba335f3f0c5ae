# %% [markdown]
# # 13. When it breaks
# **You will** make scans worse on purpose, give the model a chest instead of a head, and count which patients are
# missed most often.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 12.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from ich_lib import analyze, phantom
from ich_lib.course import attempt
from ich_lib.data.real_heads import PATIENTS, real_head
from ich_lib.measures.metrics import dice
from ich_lib.phantoms.bodies import BODIES, body
from ich_lib.prepare.corruptions import CORRUPTIONS, corrupt
from ich_lib.show import row
from ich_lib.words import result_sentence

# %% [markdown]
# ## The shipped model on a good scan
# Here are two synthetic heads with the same anatomy. One has a bleed, the other has none.


# %%
def head_with(bleeds):
    return phantom(101, bleeds=bleeds, slices=12, thickness_mm=5)


heads = {"bleeding": head_with(["intraparenchymal"]), "clean": head_with([])}
for name, head in heads.items():
    print(f"{name:9}", result_sentence(analyze(head.scan)))

# %% [markdown]
# Here are three real patients who are not in its training set: one with an epidural, one with a small bleed of two
# types, and one without blood. **Predict:** what does the model say about each of them?

# %%
for patient in PATIENTS:
    real = real_head(patient)
    print(patient, real.types or "no bleed", "-", result_sentence(analyze(real.scan)))

# %% [markdown]
# The model calls both bleeding patients, but also patient 099, who has no blood. The score of a scan is fitted apart
# from the scores of its slices, so it can reach the threshold when no slice does. Three patients are too few for a
# conclusion. MODEL_CARD.md has the measured figures.

# %% [markdown]
# ## Noise, motion, metal
# The library has ten corruptions with five severities each. The strength is given in plain units, such as HU or mm.
# Metal causes bright and dark lines across the picture. Such a line is called a *streak artifact*.

# %%
for name in ("noise", "motion", "metal"):
    print(
        f"{name:7}",
        ", ".join(CORRUPTIONS[name].strength(s) for s in (1, 3, 5)),
        "-",
        CORRUPTIONS[name].imitates,
    )

# %%
k = int(heads["bleeding"].truth.sum(axis=(1, 2)).argmax())
worse_exams = [
    corrupt(heads["bleeding"], name, 4) for name in ("noise", "motion", "metal")
]
row(
    [item.scan.hu[k] for item in worse_exams],
    ["noise", "motion", "metal"],
    through="brain",
    masks=[item.truth[k] for item in worse_exams],
)

# %% [markdown]
# ### Exercise 13.1: noise of a stated strength (5 min)
# Add Gaussian noise with a standard deviation of `sd_hu` to a slice.
#
# *Hint:* which distribution has a mean of 0 and a spread that you choose?
#
# *Second hint:* `rng.normal(0, sd_hu, hu.shape)`; do not change the input slice.


# %% tags=["exercise"]
def add_noise(hu, sd_hu, rng):
    # your code here
    # solution
    return hu + rng.normal(0, sd_hu, hu.shape)


# %% tags=["check"]
flat = np.full((200, 200), 35.0)
if tested := attempt("13.1", add_noise):
    mine = tested(flat, 10.0, np.random.default_rng(0))
    assert abs(mine.std() - 10) < 0.5, (
        f"The standard deviation is {mine.std():.1f} HU; it must be 10."
    )
    assert abs(mine.mean() - 35) < 0.5, (
        f"The mean moved to {mine.mean():.1f} HU; the noise must have mean 0."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: the noise must have mean 0
def add_noise(hu, sd_hu, rng):
    return hu + rng.random(hu.shape) * sd_hu * 12**0.5


# %% tags=["mistake"]
# refused: it must be 10
def add_noise(hu, sd_hu, rng):
    return hu + rng.normal(0, sd_hu**0.5, hu.shape)


# %% [markdown] tags=["solution"]
# Real CT noise is correlated between neighboring pixels. So `corrupt` smooths the noise, and then scales it back to
# the stated strength.

# %% [markdown]
# **Predict:** if the noise increases, does the model miss the bleed, or does it call the clean head "bleeding"?

# %%
severities = range(6)
for name, head in heads.items():
    results = [analyze(corrupt(head, "noise", s).scan) for s in severities]
    plt.plot(severities, [r.scores["any"] for r in results], marker="o", label=name)
plt.axhline(0.5, color="#999999", linestyle=":")
plt.xlabel("severity of noise (5: 25 HU)")
plt.ylabel("probability of a bleed")
plt.legend()
plt.show()

# %% [markdown]
# Here the model does both: at severity 4 the clean head reaches 0.5, and at severity 5 the bleeding head falls below
# it. The probabilities were calibrated on *good* scans. On bad scans they are no longer valid probabilities.
# `python -m ich_lib robustness` makes the table of all ten corruptions.
#
# ## A chest is not a head
# **Predict:** which score does the model give to a chest, to water and to noise?

# %%
bodies = {name: body(name, slices=12) for name in BODIES[:5]}
row([item.hu[6] for item in bodies.values()], list(bodies), through=(40, 400), height=2)

# %%
for name, item in bodies.items():
    result = analyze(item)
    print(f"{name:8} any {result.scores['any']:.2f}", *result.warnings)

# %% [markdown]
# ### Exercise 13.2: distance from the training set (8 min)
# Compute how far the features of a scan lie from those of the training scans. Use the *Mahalanobis* distance: the
# square root of d' C^-1 d. Here d is the difference to the mean of the training features, and C is their covariance
# matrix.
#
# *Hint:* a difference counts less in a direction in which the training scans vary a lot.
#
# *Second hint:* `np.cov(training_features, rowvar=False)`, `np.linalg.solve`.


# %% tags=["exercise"]
def distances(features, training_features):
    # your code here
    # solution
    differences = features - training_features.mean(axis=0)
    return np.sqrt(
        differences
        @ np.linalg.solve(np.cov(training_features, rowvar=False), differences)
    )


# %% tags=["check"]
rng = np.random.default_rng(0)
training_features = rng.normal(0, 1, (4000, 2)) * [
    1,
    10,
]  # the second feature spreads ten times wider
if tested := attempt("13.2", distances):
    mine = tested(np.array([0.0, 30.0]), training_features)
    assert abs(tested(np.array([3.0, 0.0]), training_features) - 3) < 0.2, (
        "3 away where the spread is 1: a distance of 3."
    )
    assert abs(mine - 3) < 0.2, (
        f"30 away where the spread is 10 is a distance of 3, not {mine:.0f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: 30 away where the spread is 10
def distances(features, training_features):
    return np.linalg.norm(features - training_features.mean(axis=0))


# %% [markdown] tags=["solution"]
# A scan unlike the training set is called *out of distribution*. The library computes this distance on the pooled
# features of the network (`ich_lib.prediction.ood`). Its limit comes from held-out patients. A head that lies
# upside down or feet first can still pass this gate. Two further gates check the header and the anatomy; they stop
# most upside-down heads and warn of most feet-first ones (docs/gates.md). No gate is a guarantee.

# %% [markdown]
# ## Which group is missed more often?
# ### Exercise 13.3: sensitivity by group (7 min)
# For each group, compute the sensitivity: of the patients who bleed, what share did the model call? Return
# `{group: (share, number of bleeding patients)}`. If fewer than 5 patients of a group bleed, the share is `None`.
#
# *Hint:* sensitivity counts only patients who bleed; so select them in each group.
#
# *Second hint:* a mask per group: `(group == name) & bleeds`.


# %% tags=["exercise"]
def by_group(bleeds, calls, group):
    # your code here
    # solution
    sensitivity = {}
    for name in sorted(set(group)):
        members = (group == name) & bleeds
        sensitivity[name] = (
            calls[members].mean() if members.sum() >= 5 else None,
            int(members.sum()),
        )
    return sensitivity


# %% tags=["check"]
group = np.array(["child"] * 10 + ["adult"] * 10 + ["old"] * 4)
bleeds = np.array([1] * 6 + [0] * 4 + [1] * 8 + [0] * 2 + [1] * 3 + [0], bool)
calls = np.array([1, 1, 1, 0, 0, 0] + [1] * 4 + [1] * 8 + [0] * 2 + [1] * 4, bool)
if tested := attempt("13.3", by_group):
    mine = tested(bleeds, calls, group)
    assert mine["adult"] == (1.0, 8), "All 8 bleeding adults were called."
    assert mine["child"] == (0.5, 6), (
        f"Of 6 bleeding children 3 were called: (0.5, 6), not {mine['child']}."
    )
    assert mine["old"] == (None, 3), (
        "Three patients are too few for a share: None, and their number."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Of 6 bleeding children 3 were called
def by_group(bleeds, calls, group):
    return {
        name: (
            float((calls == bleeds)[group == name].mean()),
            int((bleeds & (group == name)).sum()),
        )
        for name in set(group)
    }


# %% tags=["mistake"]
# refused: Three patients are too few
def by_group(bleeds, calls, group):
    return {
        n: (
            float(calls[(group == n) & bleeds].mean()),
            int(((group == n) & bleeds).sum()),
        )
        for n in set(group)
    }


# %% [markdown] tags=["solution"]
# On CT-ICH the shipped recipe has a mean Dice of 0.37 at age 0 to 17 and of 0.47 at age 18 to 44. The intervals
# overlap (MODEL_CARD.md), so this is a hint and no proof.

# %% [markdown]
# ## Spot the bug: a mirrored mask that was never mirrored back
# A model can score each picture twice, as it is and mirrored, and average both results. This is called *test-time
# augmentation*. A colleague reports that it made the result worse, and shows this code:


# %%
def flipped_mean(draw, picture):
    return (draw(picture) + draw(picture[:, ::-1])) / 2


bright = lambda picture: (picture > 50).astype(float)  # stands in for a network
picture = np.zeros((40, 40))
picture[10:20, 5:15] = 70.0
print(
    "Dice without flips 1.00, with flips",
    round(dice(picture > 50, flipped_mean(bright, picture) > 0.5), 2),
)

# %% [markdown]
# ### Exercise 13.4: fix it (4 min)
# Write `both_ways` so that it averages the result of the picture and the result of the mirrored picture in the same
# orientation.
#
# *Hint:* where does the left half of the mirrored picture lie?
#
# *Second hint:* the result of a mirrored picture is mirrored, too.


# %% tags=["exercise"]
def both_ways(draw, picture):
    # your code here
    # solution
    return (draw(picture) + draw(picture[:, ::-1])[:, ::-1]) / 2


# %% tags=["check"]
if tested := attempt("13.4", both_ways):
    mine = tested(bright, picture)
    assert np.array_equal(mine > 0.5, picture > 50), (
        "The two halves still lie on different sides."
    )
    half = lambda picture: bright(picture) * (np.arange(40) < 20)  # blind on the right
    assert tested(half, picture).max() == 0.5, (
        "The mirrored picture must be scored, too, and count half."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: The two halves still lie on different sides
def both_ways(draw, picture):
    return flipped_mean(draw, picture)


# %% tags=["mistake"]
# refused: must be scored, too
def both_ways(draw, picture):
    return draw(picture)


# %% [markdown] tags=["solution"]
# If the two results differ, the model is uncertain. `analyze(...).disagreement` holds this difference for each
# slice.

# %% [markdown]
# ## Break it: your worst case
# Find a head for which the shipped model is wrong. Change the seed, the bleed and the mimics, and look at its mask.
# The model card says which types it misses most often.

# %%
case = phantom(6, bleeds=["subdural"], slices=20)
result = analyze(case.scan)
k = int(case.truth.sum(axis=(1, 2)).argmax())
print(result_sentence(result))
row(
    [case.scan.hu[k]] * 2,
    ["truth", "model"],
    through="brain",
    masks=[case.truth[k], result.mask[k]],
    height=4,
)

# %% [markdown]
# A patient with a missed subdural may be sent home and come back unconscious. `python -m ich_lib gallery` collects
# the worst cases of a model and groups them by probable cause.
#
# ## Recap
# - Test the model on bad scans before it is used.
# - Probabilities are valid only for scans like those they were fitted on.
# - Report the number of patients with every group.
#
# **Sources** Hendrycks and Dietterich 2019, arXiv:1903.12261; Lee et al. 2018, arXiv:1807.03888.
#
# **Next** 14. Ship it
