# %% [markdown]
# # 12. Is it true?
# **You will** compute an interval for a score, see how slices counted as patients make a p-value too small, and
# compute how often a positive result is right in a hospital ward.
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
# ## A score needs an interval
# The picture shows the Dice of two models. Each model was tested on ten other patients, with 12 slices per patient.
# The numbers are synthetic, and **both models are equally good**. Some patients are easy and some are hard, and the
# slices of one patient resemble each other. No patient was scored by both models, so the comparison is unpaired.
# Lesson 15 compares models on the same patients.

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
# Average the slices of each patient. Draw as many of these means as there are patients, with replacement, and
# record the mean of the draw. Do this a thousand times. Return the 2.5th and the 97.5th percentile of the recorded
# means.
#
# *Hint:* each patient counts once, however many slices there are: resample one number per patient.
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
# The 120 slices come from ten patients, so the sample size is ten. The library's `patient_bootstrap` makes the
# intervals in MODEL_CARD.md.

# %% [markdown]
# ## Ten patients, 120 values, p < .001
# System 003 used a t-test on 20 slices. **Predict:** our two models are equally good. What does the test say about
# their slices?

# %%
patients = {"old": [f"a{k}" for k in patient], "new": [f"b{k}" for k in patient]}
print(t_test(dice))

# %% [markdown]
# If the library also gets the patient of each slice, it prints a warning:

# %%
print(t_test(dice, patients=patients))

# %% [markdown]
# ### Exercise 12.2: one value per patient (5 min)
# `dice` maps two models to the Dice of their slices. `patient` holds the patient number of each slice. The numbers
# are the same for both models, but the patients are different people. Average the slices of each patient, then test
# the two groups of means. Return the p-value.
#
# *Hint:* make one list of means per model; the t-test for two independent groups compares the lists.
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
        f"p = {p:.2g} still takes slices for patients: each group needs ten values."
    )
    assert abs(p - right) < 1e-6, f"It should be {right:.3f}, not {p:.3f}."
    print(f"slices: p = {t_test(dice).p:.1g}; patients: p = {p:.2f}")
    tested.passes()


# %% tags=["mistake"]
# refused: still takes slices for patients
def p_of_patients(dice, patient):
    return stats.ttest_ind(*dice.values()).pvalue


# %% [markdown] tags=["solution"]
# How often does the test on slices give a false alarm? Here are 500 pairs of models that are equally good:

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
# System 003 compared three groups with an ANOVA (analysis of variance). It reported F = 3.503 and p = .053 and
# called this "significant", although p is above .05. One of the three groups was *simulated*: its values were
# random numbers, not measurements. **Predict:** how does p change if the random numbers are drawn again?

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
# ## How often is a positive result right?
# In many test sets half of the patients bleed. In the ward of this example 6 of 100 patients bleed.
#
# ### Exercise 12.3: Bayes in a ward (7 min)
# The model calls some patients "bleeding". What share of these patients really bleeds? This share is the *positive
# predictive value* (PPV). Compute it from a sensitivity, a specificity and a prevalence (the share of all patients
# who bleed).
#
# *Hint:* imagine 1,000 patients, and count those who are called correctly and those who are called wrongly.
#
# *Second hint:* the share of correct calls is sensitivity * prevalence; the share of wrong calls is (1 -
# specificity) * (1 - prevalence).


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
# With 90 % sensitivity, 90 % specificity and a prevalence of 6 %, almost two of three calls are false alarms. A
# model trained on RSNA data had a PPV of 18.6 % at another hospital, where the prevalence was 6.1 %.

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
# ## Calibration: does 95 % mean 95 of 100?
# Two models rank slices in the same order, so they have the same AUC. One of them gives 0.95 where only about 73 of
# 100 slices bleed. *Calibration* describes how well probabilities agree with observed shares. The *expected
# calibration error* (ECE) is the mean difference between the two.

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
# ### Exercise 12.4: temperature scaling (8 min)
# Divide the logits of a model by one number `T`, the *temperature*. Return the `T` between 0.5 and 6 with the
# lowest log loss, to one decimal. (In a real project, `T` is fitted on separate patients.)
#
# *Hint:* logit = log(p / (1 - p)). Convert the scores to logits, divide, convert them back, and compute
# `metrics.log_loss`.
#
# *Second hint:* try every `t` of `np.linspace(0.5, 6, 56)` and select the best one with `np.argmin`.


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
# Temperature scaling (Guo et al. 2017) does not change the order of the scores, so the AUC stays the same. For
# slices, the library fits a logistic regression on three numbers: the evidence of the mask, that of the two
# neighboring slices, and the score of the classifier (`ich_lib.prediction.calibration`).

# %% [markdown]
# ## Break it: a counter that was never reset
# System 004 used one counter object for training and test and did not reset it. Its "test" counts include all
# training data.


# %%
class Counter:
    right = total = 0

    def update(self, truth, call):
        self.right += int((truth == call).sum())
        self.total += len(truth)
        return self.right / self.total


rng, counter = np.random.default_rng(0), Counter()
truth = rng.random(1000) < 0.5
counter.update(truth, truth)  # training: the model memorized all labels
print(
    f"'test': {counter.update(truth[:200], rng.random(200) < 0.5):.2f}; really "
    f"{Counter().update(truth[:200], rng.random(200) < 0.5):.2f}"
)

# %% [markdown]
# The model guesses on the test data like a coin, and the report says "91 % right". A hospital that believes this
# number would miss about half of the bleeds.
#
# ## Recap
# - Resample patients, not slices. Average the slices of each patient before a test.
# - A p-value with a simulated group says nothing about patients.
# - PPV depends on the prevalence in the ward. Calibration holds only for patients like those it was fitted on.
#
# **Sources** Field and Welsh 2007 (clusters); Altman and Bland, BMJ 1994;309:102 (PPV); Guo et al. 2017,
# arXiv:1706.04599; systems 003 and 004.
#
# **Next** 13. When it breaks
