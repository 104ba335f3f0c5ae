# %% [markdown]
# # 12. Is it true?
# **You will** put an interval on a score, watch a p-value shrink for no reason, and turn sensitivity into what a call is
# worth in a ward.
#
# **Time** 40 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** lesson 8.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from ich_lib.course import attempt
from ich_lib.measures import metrics
from ich_lib.measures.bootstrap import patient_bootstrap
from ich_lib.measures.statistics import anova, t_test

# %% [markdown]
# ## A score without an interval is a rumor
# Dice of two models, each judged on ten patients of its own (two hospitals, say), 12 slices a patient. We made the numbers
# ourselves: **both models are equally good**. Some patients are easy and some are hard; slices of one patient resemble each
# other. Since no patient was judged by both models, the comparison is unpaired; lesson 15 compares on the same patients.

# %%
rng = np.random.default_rng(9)
patient = np.repeat(np.arange(10), 12)
hard = rng.normal(0.6, 0.15, (2, 10))  # each model has its own ten patients
dice = {
    name: np.clip(hard[i][patient] + rng.normal(0, 0.05, 120), 0, 1)
    for i, name in enumerate(("old", "new"))
}
figure, axes = plt.subplots(figsize=(8, 2.6))
for i, (name, values) in enumerate(dice.items()):
    axes.scatter(
        patient + 0.25 * i, values, s=8, label=f"{name}, mean {values.mean():.3f}"
    )
axes.set(xlabel="patient", ylabel="Dice of a slice")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# ### Exercise 12.1: an interval over patients (8 min)
# Average the slices of each patient. Draw as many of these means as there are patients, with replacement, and note their
# mean. A thousand times. Return the 2.5th and 97.5th percentile of what you noted.
#
# *Hint:* each patient counts once, however many slices there are: resample one number a patient.
#
# *Second hint:* `rng.integers(n, size=(1000, n))` draws all rounds at once; `np.percentile(..., [2.5, 97.5])`.


# %% tags=["exercise"]
def interval(values, patient, rng):
    # your code here
    # solution
    means = np.array([values[patient == k].mean() for k in np.unique(patient)])
    draws = rng.integers(len(means), size=(1000, len(means)))
    return np.percentile(means[draws].mean(axis=1), [2.5, 97.5])


# %% tags=["check"]
if tested := attempt("12.1", interval):
    mine = tested(dice["new"], patient, np.random.default_rng(0))
    means = [dice["new"][patient == k].mean() for k in range(10)]
    right = patient_bootstrap(means, lambda sample: float(np.mean(sample)))
    wide = mine[1] - mine[0]
    assert wide > 0.6 * (right.high - right.low), (
        f"{wide:.3f} is too narrow: slices were resampled, not patients."
    )
    assert abs(mine[0] - right.low) < 0.03, (
        f"The lower end should be near {right.low:.2f}, not {mine[0]:.2f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: slices were resampled, not patients
def interval(values, patient, rng):
    draws = rng.integers(len(values), size=(1000, len(values)))
    return np.percentile(values[draws].mean(axis=1), [2.5, 97.5])


# %% [markdown] tags=["solution"]
# 120 slices of ten patients are ten patients. The library's `patient_bootstrap` is behind every interval in
# MODEL_CARD.md.

# %% [markdown]
# ## Ten patients, 120 values, p < .001
# A published system compared slices by a t-test. **Predict:** our models are equally good. What does the test say?

# %%
patients = {"old": [f"a{k}" for k in patient], "new": [f"b{k}" for k in patient]}
print(t_test(dice))

# %% [markdown]
# Told whose slices they are, the library speaks up:

# %%
print(t_test(dice, patients=patients))

# %% [markdown]
# ### Exercise 12.2: one value a patient (5 min)
# `dice` maps two models to the Dice of their slices, `patient` names the patient of each slice (alike for both models, who
# judged other people). Average each patient's slices, then test the two groups. Return the p-value.
#
# *Hint:* one list of means a model; the t-test for two independent groups compares the lists.
#
# *Second hint:* `stats.ttest_ind(first_means, second_means).pvalue`.


# %% tags=["exercise"]
def p_of_patients(dice, patient):
    # your code here
    # solution
    means = [
        [values[patient == k].mean() for k in np.unique(patient)]
        for values in dice.values()
    ]
    return stats.ttest_ind(*means).pvalue


# %% tags=["check"]
if tested := attempt("12.2", p_of_patients):
    p = tested(dice, patient)
    means = [
        [values[patient == k].mean() for k in range(10)] for values in dice.values()
    ]
    right = stats.ttest_ind(*means).pvalue
    assert p > 0.05, (
        f"p = {p:.2g} still takes slices for patients: ten values a group are wanted."
    )
    assert abs(p - right) < 1e-6, f"It should be {right:.3f}, not {p:.3f}."
    print(f"slices: p = {t_test(dice).p:.1g}; patients: p = {p:.2f}")
    tested.passes()


# %% tags=["mistake"]
# refused: still takes slices for patients
def p_of_patients(dice, patient):
    return stats.ttest_ind(*dice.values()).pvalue


# %% [markdown] tags=["solution"]
# How often does the test on slices cry wolf? Here are 500 pairs of models, all equally good:

# %%
wrong = {"slices": 0, "patients": 0}
for trial in range(500):
    rng = np.random.default_rng(trial)
    a, b = (
        rng.normal(0.6, 0.15, 10)[patient] + rng.normal(0, 0.05, 120) for _ in range(2)
    )
    wrong["slices"] += stats.ttest_ind(a, b).pvalue < 0.05
    per = [[v[patient == k].mean() for k in range(10)] for v in (a, b)]
    wrong["patients"] += stats.ttest_ind(*per).pvalue < 0.05
print({name: f"{count / 500:.0%} 'significant'" for name, count in wrong.items()})

# %% [markdown]
# ## Spot the bug: a third group that was never measured
# System 003 compared three groups by an ANOVA, F = 3.503, p = .053, "significant". One group had been *simulated*.
# **Predict:** what happens to p if the simulation draws again?

# %%
dice_of_runs = {
    "first": [0.61, 0.72, 0.55, 0.68, 0.59, 0.7],
    "second": [0.66, 0.75, 0.61, 0.7, 0.69, 0.73],
}
ps = []
for seed in range(200):
    third = np.random.default_rng(seed).normal(0.6, 0.08, 6).tolist()
    ps.append(anova({**dice_of_runs, "third": third}, simulated=("third",)).p)
print(
    f"p from {min(ps):.4f} to {max(ps):.2f}; below .05 in "
    f"{np.mean(np.array(ps) < 0.05):.0%} of the draws"
)
print(anova({**dice_of_runs, "third": third}, simulated=("third",)))

# %% [markdown]
# ## What a call is worth
# A test set is half bleeds; an emergency ward has about 6 in 100.
#
# ### Exercise 12.3: Bayes in a ward (7 min)
# Of those who are called, what share bleeds? Write it for a sensitivity, a specificity and a prevalence.
#
# *Hint:* imagine 1,000 patients and count the rightly and the wrongly called.
#
# *Second hint:* rightly called are sensitivity * prevalence of all; wrongly called (1 - specificity) * (1 - prevalence).


# %% tags=["exercise"]
def worth(sensitivity, specificity, prevalence):
    # your code here
    # solution
    right = sensitivity * prevalence
    wrong = (1 - specificity) * (1 - prevalence)
    return right / (right + wrong)


# %% tags=["check"]
if tested := attempt("12.3", worth):
    mine = tested(0.9, 0.9, 0.06)
    assert abs(mine - metrics.ppv(0.9, 0.9, 0.06)) < 1e-9, (
        "Of 1,000: 60 bleed, 54 of them called; 940 do not, 94 of them called. 54 / "
        f"148 = 0.365, not {mine:.3f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: 54 / 148
def worth(sensitivity, specificity, prevalence):
    return sensitivity / (sensitivity + 1 - specificity)


# %% [markdown] tags=["solution"]
# "90 % sensitive, 90 % specific" means: two of three calls are false alarms. A published model fell to a PPV of 18.6 % at
# another hospital (prevalence 6.1 %).

# %%
shares = np.linspace(0.01, 0.6, 60)
plt.figure(figsize=(6, 2.6))
for specificity in (0.8, 0.9, 0.99):
    plt.plot(
        shares,
        [metrics.ppv(0.9, specificity, s) for s in shares],
        label=f"specificity {specificity}",
    )
plt.xlabel("share of patients who bleed")
plt.ylabel("PPV")
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## Said and so: calibration
# Two models rank patients alike (the same AUC). One says 0.95 where 70 of 100 bleed.

# %%
rng = np.random.default_rng(5)
logit = rng.normal(-1, 1.2, 2000)
bleeds = rng.random(2000) < 1 / (1 + np.exp(-logit))
scores = {"honest": 1 / (1 + np.exp(-logit)), "too sure": 1 / (1 + np.exp(-3 * logit))}
for name, score in scores.items():
    print(
        f"{name:9} AUC {metrics.auc(bleeds, score):.3f}, ECE "
        f"{metrics.calibration_error(bleeds, score):.3f}"
    )

# %% [markdown]
# ### Exercise 12.4: cool it down (8 min)
# Divide the logits of a model by one number `T`. Return the `T` between 0.5 and 6 of the lowest log loss, to one decimal.
# (In real life: fitted on patients set apart.)
#
# *Hint:* logit = log(p / (1 - p)). Turn scores to logits, divide, turn them back, ask `metrics.log_loss`.
#
# *Second hint:* try every `t` of `np.linspace(0.5, 6, 56)` and take that of `np.argmin`.


# %% tags=["exercise"]
def cool(score, bleeds):
    # your code here
    # solution
    hot, tries = np.log(score / (1 - score)), np.linspace(0.5, 6, 56)
    return tries[
        np.argmin([metrics.log_loss(bleeds, 1 / (1 + np.exp(-hot / t))) for t in tries])
    ]


# %% tags=["check"]
if tested := attempt("12.4", cool):
    T = tested(scores["too sure"], bleeds)
    hot = np.log(scores["too sure"] / (1 - scores["too sure"]))
    error = metrics.calibration_error(bleeds, 1 / (1 + np.exp(-hot / T)))
    assert T > 1, (
        f"T = {T:.1f} makes a model that is too sure even surer; divide by more than 1."
    )
    assert error < 0.03, f"With T = {T:.1f} the ECE is still {error:.3f}."
    tested.passes()


# %% tags=["mistake"]
# refused: makes a model that is too sure even surer
def cool(score, bleeds):
    return 1 / 3


# %% [markdown] tags=["solution"]
# Temperature scaling (Guo et al. 2017) changes no ranking, so no AUC. The library fits a logistic regression on the
# mask's, the neighbors' and the classifier's evidence: `ich_lib.prediction.calibration`.

# %% [markdown]
# ## Break it: a counter that was never set back
# System 004 kept one counter object for training and test. Its "test" counts hold all training cells.


# %%
class Counter:
    right = total = 0

    def update(self, truth, call):
        self.right += int((truth == call).sum())
        self.total += len(truth)
        return self.right / self.total


rng, counter = np.random.default_rng(0), Counter()
truth = rng.random(1000) < 0.5
counter.update(truth, truth)  # training, known by heart
print(
    f"'test': {counter.update(truth[:200], rng.random(200) < 0.5):.2f}; really "
    f"{Counter().update(truth[:200], rng.random(200) < 0.5):.2f}"
)

# %% [markdown]
# A coin is "92 % right". Whoever is sent home on that number pays for it.
#
# ## Recap
# - Resample patients. Average slices before a test. Count what you compared.
# - An invented group tells of its inventor.
# - PPV depends on the ward, calibration on the patients at hand.
#
# **Sources** Field and Welsh 2007 (clusters); Altman and Bland, BMJ 1994;309:102 (PPV); Guo et al. 2017,
# arXiv:1706.04599; systems 003 and 004.
#
# **Next** 13. When it breaks
