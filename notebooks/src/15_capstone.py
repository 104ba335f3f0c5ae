# %% [markdown]
# # 15. Rebuild one, beat it honestly
# **You will** rebuild a published system, report it as published and as it is, and try to beat it under a rule set before.
#
# **Time** 40 min. **Runs on** a laptop or free Colab, no GPU, 3 min. **Before this** lessons 5, 8 and 12.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import keras
import matplotlib.pyplot as plt
import numpy as np

from ich_lib import analyze, load, train
from ich_lib.course import attempt, find_ct_ich, phantom_heads
from ich_lib.data import open_set
from ich_lib.data.real_heads import real_head
from ich_lib.data.split import SET_ASIDE, Split, by_patient, leaky_image_split, units
from ich_lib.data.store import cached_store
from ich_lib.measures import metrics
from ich_lib.measures.bootstrap import Estimate, paired_bootstrap, patient_bootstrap
from ich_lib.models.recipes import get_recipe
from ich_lib.show import row
from ich_lib.training.batches import Slices, ValidationBatches

QUICK = True  # False: CT-ICH where it was fetched, a wider network, more steps
SYSTEM = "unet2d-002a"  # yours to choose; python -m ich_lib recipes lists them
folder = Path(mkdtemp())

# %% [markdown]
# ## A published number is a claim with settings
# System 002: a U-Net on CT-ICH, "Dice 0.89, IoU 0.85". Slices were dealt out at random; half of the test slices were empty and
# counted 1; the IoU averaged the background in. Its settings, as far as they were published:

# %%
published = get_recipe(SYSTEM)
for key in (
    "size",
    "field",
    "windows",
    "loss",
    "sampling",
    "learning_rate",
    "batch",
    "epochs",
):
    print(f"{key:14}", getattr(published, key))

# %%
data = None if QUICK else find_ct_ich()
store = cached_store(open_set(data), size=64) if data else phantom_heads()
truth = store.blood(range(len(store))) >= 128
largest = np.argsort(truth.sum(axis=(1, 2)))[::-20][:4]
row(store.hu(largest), through="brain", masks=truth[largest], height=2.5)

# %% [markdown]
# ## Shrink it, and say so
# Two hundred epochs at 256 pixels do not fit a lesson. Every deviation goes on a list, since a rebuild that differs is another
# system.

# %%
width, steps = ((8, 16, 32, 64), 40) if QUICK else ((16, 32, 64, 128), 100)
budget = {
    "steps": steps,
    "epochs": 8,
    "batch": 8,
    "learning_rate": 3e-3,
    "schedule": "cosine",
}
rebuilt = replace(
    published, size=64, stored=64, field="head", options={"filters": width}, **budget
)
for key, was in published.as_json().items():
    if rebuilt.as_json()[key] != was:
        print(f"{key:14} {was} -> {rebuilt.as_json()[key]}")

# %% [markdown]
# ## Seal some patients first
# Four parts: two to train on, part 0 to look at, part 3 **sealed** until the end. A patient set apart is neither trained on nor
# looked at.

# %%
table = store.table
patient_folds = by_patient(table, folds=4).folds
folds = {
    patient: SET_ASIDE if part == 3 else part for patient, part in patient_folds.items()
}
honest_split = Split("patient", folds, held_out=0)
sealed = sorted(patient for patient, part in folds.items() if part == SET_ASIDE)
print(f"{len(sealed)} of {len(folds)} patients are sealed")

# %% [markdown]
# Of the others, the published way deals out slices:

# %%
image_folds = leaky_image_split(table, folds=3).folds
names = units(table, "leaky image")
sealed_names = {
    name
    for name, patient in zip(names, table.patient, strict=True)
    if patient in sealed
}
slice_split = Split(
    "leaky image",
    {
        name: SET_ASIDE if name in sealed_names else fold
        for name, fold in image_folds.items()
    },
    held_out=0,
)


# %%
def train_run(name, recipe, split):
    return train(
        recipe, store, folder / name, split=split, allow_leaks=split is slice_split
    )


def masks(run, rows):
    """(n, y, x) bool: what a run draws on some rows."""
    batches = ValidationBatches(Slices(store, rows), replace(run.recipe, batch=32))
    model = run.model()
    scores = [
        keras.ops.convert_to_numpy(model(batches[i][0])) for i in range(len(batches))
    ]
    return np.concatenate(scores)[..., 0] >= run.recipe.threshold


# %%
as_published = train_run("as-published", rebuilt, slice_split)

# %% [markdown]
# ## The number, as they would report it
# Bleeding test slices and as many empty ones. **Predict:** what would a mask get that is always black?

# %%
tested = slice_split.rows(table, trained=False)
bleeding, clean = (
    tested[truth[tested].any(axis=(1, 2))],
    tested[~table.labels[tested, -1]],
)
balanced = np.concatenate(
    [bleeding, np.random.default_rng(0).permutation(clean)[: len(bleeding)]]
)


def their_numbers(mask, truth):
    pairs = list(zip(truth, mask, strict=True))
    return np.mean([metrics.dice(*pair) for pair in pairs]), np.mean(
        [metrics.mean_iou(*pair) for pair in pairs]
    )


predicted = masks(as_published, balanced)
for name, mask in (("rebuilt", predicted), ("all black", np.zeros_like(predicted))):
    print(
        f"{name:10} Dice {their_numbers(mask, truth[balanced])[0]:.2f}   IoU "
        f"{their_numbers(mask, truth[balanced])[1]:.2f}"
    )

# %% [markdown]
# ### Exercise 15.1: the honest number (8 min)
# For each patient the mean Dice over the slices whose *truth* holds blood: a dictionary. Patients without such slices are not
# in it.
#
# *Hint:* go through the patients; what does a patient without blood give?
#
# *Second hint:* `metrics.dice_per_subject(truth, mask)` does one patient and answers `None` where there is no blood.


# %% tags=["exercise"]
def dice_by_patient(mask, truth, ids):
    # your code here
    # solution
    each = {
        name: metrics.dice_per_subject(truth[ids == name], mask[ids == name])
        for name in sorted(set(ids))
    }
    return {name: value for name, value in each.items() if value is not None}


# %% tags=["check"]
toy = np.zeros((4, 2, 2), bool)
toy[:2, 0] = True  # patient a: two slices, both bleed
guess = toy.copy()
guess[1] = False  # one of them is missed
if tested := attempt("15.1", dice_by_patient):
    mine = tested(guess, toy, np.array(["a", "a", "a", "b"]))
    assert "b" not in mine, (
        "Patient b does not bleed; an empty mask is no success to be counted."
    )
    assert abs(mine["a"] - 0.5) < 1e-9, (
        "One slice found, one missed, the clean one left out: 0.5, not "
        f"{mine['a']:.2f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Patient b does not bleed
def dice_by_patient(mask, truth, ids):
    return {
        name: metrics.dice(truth[ids == name], mask[ids == name])
        for name in set(ids.tolist())
    }


# %% tags=["mistake"]
# refused: the clean one left out
def dice_by_patient(mask, truth, ids):
    bleeds = {name for name in ids if truth[ids == name].any()}
    score = lambda name: [
        metrics.dice(t, m)
        for t, m in zip(truth[ids == name], mask[ids == name], strict=True)
    ]
    return {name: float(np.mean(score(name))) for name in bleeds}


# %% [markdown] tags=["solution"]
# One value a patient: the mean of these is what Hssayeni et al. report, and what the bootstrap resamples.

# %% [markdown]
# ## Three steps down
# The same predictions without the flattery; then the same recipe where patients were dealt out. **Predict** both.


# %%
def by_patients(run, rows):
    predicted, patient = masks(run, rows), table.patient[rows]
    each = {
        name: metrics.dice_per_subject(
            truth[rows][patient == name], predicted[patient == name]
        )
        for name in sorted(set(patient))
    }
    return {name: value for name, value in each.items() if value is not None}


mean = lambda sample: float(np.mean(sample))
rebuild = train_run("rebuild", rebuilt, honest_split)
looked_at = honest_split.rows(table, trained=False)

# %%
ladder = [
    (
        "published way",
        their_numbers(predicted, truth[balanced])[0],
        "slices split, empty slices count 1",
    )
]
for run, rows, how in (
    (as_published, balanced, "slices split"),
    (rebuild, looked_at, "patients split"),
):
    figure = patient_bootstrap(list(by_patients(run, rows).values()), mean)
    ladder.append((str(figure), figure.value, f"{how}, bleeding slices alone"))
for label, value, how in ladder:
    print(f"{value:.2f}  {how:40} {label}")

# %% [markdown]
# The first step down is bookkeeping: nothing about the network has changed. The second should show memory (lesson 5), but a
# network this poor has nothing to remember and few patients bleed, so it may go either way. And look again at the
# all-black mask above: by the published number it may well beat a network that tries.
#
# With `QUICK = False` on CT-ICH (2026-11-24, 4 trainings of 800 steps, 11 minutes on 2 busy CPU cores) the rebuilt network drew
# nothing at all: Dice 0.50 and IoU 0.75 the published way, 0.00 honestly. Change and placebo drew nothing either. The
# loss had settled near 0.46: with half of the slices empty, all black costs only about 0.5, and a short training stays there.

# %% [markdown]
# ## What an honest U-Net draws
# An honest U-Net can draw blood. The U-Net that ships with this library has 2 million weights and 43 minutes of training on
# two CPU cores behind it, on phantoms first and then on patients of CT-ICH (MODEL_CARD.md). **It is pretrained; your rebuild
# began at random and had a minute.** Both meet a real patient whom neither was trained on. **Predict:** who draws what?

# %%
real = real_head("066")
drawn = {
    "shipped": analyze(real.scan, load()).mask,
    "rebuilt": analyze(real.scan, load(rebuild.folder)).mask,
}
for name, mask in drawn.items():
    print(f"{name:9} Dice {metrics.dice_per_subject(real.truth, mask):.2f}")

# %%
k = int(real.truth.sum(axis=(1, 2)).argmax())
outlines = [real.truth[k], drawn["shipped"][k], drawn["rebuilt"][k]]
row([real.scan.hu[k]] * 3, ["radiologists", *drawn], through="brain", masks=outlines)

# %% [markdown]
# One patient is an anecdote, and the two differ in more than their training time. It shows what is possible, so that a mask
# of zeros does not pass for the end of the road.
#
# ## Beat it: decide, then look
# One change. Choose it by reason or by part 0, never by the sealed part.

# %%
CHANGES = {
    "sampling": {
        "sampling": "mix",
        "mix": (0.5, 0.25, 0.25, 0.0),
    },  # blood pasted into clean slices
    "windows": {"windows": ("brain render", "bone")},
    "2.5D": {"neighbors": 1},
    "loss": {"loss": "dice_bce"},
}
CHANGE = "2.5D"  # yours to choose

# %% [markdown]
# The plan is written down and its digest given away (mail it to a friend) before anything is opened.

# %%
plan = {
    "system": SYSTEM,
    "change": CHANGES[CHANGE],
    "sealed": sealed,
    "measure": "Dice of bleeding slices, mean by patient, then over patients",
    "rule": "better only if the 95 % interval of the paired difference lies above 0; "
    "one look",
}
promised = sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
print(promised[:16], "...")

# %% [markdown]
# ### Exercise 15.2: the doorkeeper (8 min)
# `may_open(plan, trained_on, chosen_by)` returns True, or raises a `ValueError` where a sealed patient was trained on or
# used for choosing, or where the plan does not make exactly one change.
#
# *Hint:* who has been seen, in any role?
#
# *Second hint:* `set(plan["sealed"]) & (set(trained_on) | set(chosen_by))`.


# %% tags=["exercise"]
def may_open(plan, trained_on, chosen_by):
    # your code here
    # solution
    if leaked := set(plan["sealed"]) & (set(trained_on) | set(chosen_by)):
        raise ValueError(
            f"{len(leaked)} sealed patients were seen before, such as {min(leaked)}."
        )
    if len(plan["change"]) != 1:
        raise ValueError(
            f"One change was promised; the plan makes {len(plan['change'])}."
        )
    return True


# %% tags=["check"]
toy_plan = {"sealed": ["c", "d"], "change": {"loss": "dice_bce"}}


def is_refused(*case):
    try:
        return may_open(*case) is not True
    except ValueError:
        return True


if tested := attempt("15.2", may_open):
    mine = tested(toy_plan, ["a"], ["b"])
    assert mine is True, "Nobody sealed was seen: open."
    assert is_refused(toy_plan, ["a", "c"], []), (
        "Patient c is sealed and was trained on."
    )
    assert is_refused(toy_plan, ["a"], ["b", "d"]), (
        "Patient d is sealed, and the change was chosen by looking at it."
    )
    two = {**toy_plan, "change": {"loss": "dice_bce", "neighbors": 1}}
    assert is_refused(two, ["a"], ["b"]), (
        "Two changes: who could say which of them helped?"
    )
    tested.passes()


# %% tags=["mistake"]
# refused: chosen by looking at it
def may_open(plan, trained_on, chosen_by):
    if set(plan["sealed"]) & set(trained_on) or len(plan["change"]) != 1:
        raise ValueError("sealed patients were seen")
    return True


# %% tags=["mistake"]
# refused: Two changes
def may_open(plan, trained_on, chosen_by):
    if set(plan["sealed"]) & {*trained_on, *chosen_by}:
        raise ValueError("sealed patients were seen")
    return True


# %% [markdown] tags=["solution"]
# "sampling" above sets two keys: strictly two changes, and your doorkeeper is right to ask. The mix only means something
# with its shares; a plan would name the pair as one change and say so.

# %% [markdown]
# ## One change, and one that is none
# We train the change, and a **placebo**: the same recipe with another seed. **Predict:** how far does the seed alone move the
# score?

# %%
changed = train_run("changed", replace(rebuilt, **plan["change"]), honest_split)
placebo = train_run("placebo", replace(rebuilt, seed=1), honest_split)

# %% [markdown]
# Now the seal is broken, once.

# %%
assert promised == sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest(), (
    "The plan was altered."
)
sealed_rows = np.flatnonzero(np.isin(table.patient, plan["sealed"]))
dice = {
    "rebuild": by_patients(rebuild, sealed_rows),
    CHANGE: by_patients(changed, sealed_rows),
}
dice["placebo"] = by_patients(placebo, sealed_rows)
for name, each in dice.items():
    print(f"{name:9}", patient_bootstrap(list(each.values()), mean))

# %%
for name, each in dice.items():
    plt.plot(list(each.values()), marker="o", label=name)
plt.xlabel("sealed patients with blood")
plt.ylabel("Dice")
plt.legend()
plt.show()

# %% [markdown]
# ### Exercise 15.3: the paired interval (8 min)
# `before` and `after` map patients to Dice, in any order. Return the mean gain and the 2.5th and 97.5th percentile of it over
# 2,000 resamples of patients.
#
# *Hint:* what do a hard patient's two values share, and how does it cancel?
#
# *Second hint:* subtract patient by patient first; then resample the differences.


# %% tags=["exercise"]
def paired_gain(before, after, rng):
    # your code here
    # solution
    gains = np.array([after[patient] - before[patient] for patient in before])
    draws = rng.integers(len(gains), size=(2000, len(gains)))
    return gains.mean(), *np.percentile(gains[draws].mean(axis=1), [2.5, 97.5])


# %% tags=["check"]
before = {f"p{k}": 0.1 * k for k in range(10)}  # easy and hard patients
after = {
    patient: before[patient] + (0.05 if patient in ("p1", "p4") else 0.03)
    for patient in reversed(before)
}
if tested := attempt("15.3", paired_gain):
    mine = tested(before, after, np.random.default_rng(0))
    right = paired_bootstrap(before, after, mean)
    assert abs(mine[0] - right.value) < 1e-9, (
        f"Every patient gained, 0.034 in the mean; not {mine[0]:.3f}."
    )
    assert mine[1] > 0, (
        "Each patient gained at least 0.03, so no resample of pairs can lose: were "
        "they paired by name?"
    )
    assert abs(mine[2] - right.high) < 0.003, (
        f"The upper end should be near {right.high:.3f}, not {mine[2]:.3f}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: were they paired by name
def paired_gain(before, after, rng):
    gains = np.array(list(after.values())) - np.array(list(before.values()))
    draws = rng.integers(len(gains), size=(2000, len(gains)))
    return gains.mean(), *np.percentile(gains[draws].mean(axis=1), [2.5, 97.5])


# %% tags=["mistake"]
# refused: no resample of pairs can lose
def paired_gain(before, after, rng):
    a, b = (
        np.array([scores[patient] for patient in before]) for scores in (before, after)
    )
    first, second = (
        scores[rng.integers(len(scores), size=(2000, len(scores)))].mean(axis=1)
        for scores in (a, b)
    )
    return (b - a).mean(), *np.percentile(second - first, [2.5, 97.5])


# %% [markdown] tags=["solution"]
# What makes a patient hard cancels out in the difference. `statistics.paired_bootstrap` does the same for any statistic.

# %% [markdown]
# ## What the interval says
# The same arithmetic for the change and for the placebo. **Predict:** does either interval leave out 0?

# %%
gains = {
    name: paired_bootstrap(dice["rebuild"], dice[name], mean)
    for name in (CHANGE, "placebo")
}
for name, gain in gains.items():
    print(f"{name:9} {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})")

# %% [markdown]
# It need not win. An interval around 0 does not say "equal"; it says that so few patients cannot tell. And if the *placebo*
# has an interval clear of 0, you see how much one training run is worth: intervals over patients do not know that seeds vary.
#
# ## Spot the bug: an interval over slices
# System 003 tested slices as if they were patients. The same change, slices resampled:

# %%
shows = sealed_rows[truth[sealed_rows].any(axis=(1, 2))]
pairs = [
    [metrics.dice(truth[r], m) for r, m in zip(shows, masks(run, shows), strict=True)]
    for run in (rebuild, changed)
]
wrong = patient_bootstrap(list(np.subtract(*pairs[::-1])), mean)

# %%
gain = gains[CHANGE]
for count, estimate in (
    (f"{len(shows)} slices", wrong),
    (f"{gain.n_patients} patients", gain),
):
    print(
        f"{count:12} {estimate.value:+.3f} ({estimate.low:+.3f} to "
        f"{estimate.high:+.3f})"
    )

# %% [markdown]
# Another mean (patients with many slices count more), and an interval that takes slices of one head for independent patients. Where
# only the first leaves out 0, it is the one that gets published. The second was named in the plan, before anybody looked.
#
# ### Exercise 15.4: the report (9 min)
# `report(gain, change, data)` returns one paragraph from a `Estimate`. It holds the change, the data, the gain and both
# ends with three decimals, the number of patients, and **better**, **worse** or **not shown**, exactly one of them.
#
# *Hint:* the verdict depends on the ends of the interval, not on its middle.
#
# *Second hint:* f"{gain.value:+.3f}"; compare `gain.low` and `gain.high` with 0.


# %% tags=["exercise"]
def report(gain, change, data):
    # your code here
    # solution
    verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "not shown"
    return (
        f"One change ({change}) on {data}, one training each, {gain.n_patients} sealed "
        "patients: the Dice of bleeding "
        f"slices moved by {gain.value:+.3f} (95 % {gain.low:+.3f} to "
        f"{gain.high:+.3f}). By the rule set before: {verdict}. "
        "Seeds and other hospitals were not measured."
    )


# %% tags=["check"]
cases = {
    "better": Estimate(0.051, 0.012, 0.093, 7),
    "worse": Estimate(-0.04, -0.07, -0.011, 7),
}
cases["not shown"] = Estimate(0.033, -0.021, 0.084, 7)
if tested := attempt("15.4", report):
    mine = tested(cases["better"], "2.5D", "phantoms")
    for right, case in cases.items():
        text = tested(case, "2.5D", "phantoms")
        covered = [word for word in cases if word in text]
        assert covered == [right], (
            f"From {case.low} to {case.high} is '{right}'; the text says {covered}."
        )
        for part in (
            f"{abs(case.value):.3f}",
            f"{abs(case.low):.3f}",
            f"{abs(case.high):.3f}",
        ):
            assert part in text, f"{part} is missing: give the gain and both ends."
        assert all(word in text for word in ("7", "2.5D", "phantoms")), (
            "On how many patients, which change, which data?"
        )
    tested.passes()


# %% tags=["mistake"]
# refused: is 'not shown'
def report(gain, change, data):
    verdict = "better" if gain.value > 0 else "worse"
    return (
        f"{change}, {data}, 7: {gain.value:.3f} ({gain.low:.3f} to "
        f"{gain.high:.3f}), {verdict}"
    )


# %% tags=["mistake"]
# refused: give the gain and both ends
def report(gain, change, data):
    verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "not shown"
    return (
        f"{change} on {data}, {gain.n_patients} patients: {gain.value:.3f}, {verdict}"
    )


# %% [markdown] tags=["solution"]
# Limits belong into the same paragraph. Few people read the next one.

# %% [markdown]
# ## Break it: five looks in place of one
# Suppose five changes do *nothing*. Each patient's difference is chance, as wide as above (0.05 if nothing moved there). **Predict:** how often does the best
# of five have an interval above 0?

# %%
rng, sure, size = np.random.default_rng(0), [], gain.n_patients
wide = (
    np.std(
        [
            dice[CHANGE][patient] - dice["rebuild"][patient]
            for patient in dice["rebuild"]
        ]
    )
    or 0.05
)
for _ in range(500):
    nothing = rng.normal(0, wide, (5, size))
    resampled = nothing[:, rng.integers(size, size=(500, size))].mean(axis=2)
    sure.append(np.percentile(resampled, 2.5, axis=1) > 0)
print(
    f"one change decided before: {np.mean(sure):.0%} false wins; the best of five: "
    f"{np.mean(np.any(sure, axis=1)):.0%}"
)

# %% [markdown]
# The first number should be 2.5 %; with so few patients the bootstrap is too narrow. The second is how papers get written, and
# the patient gets the system that was lucky.
#
# ## What a grader looks at
# | points | |
# |---|---|
# | 20 | Every deviation from the published settings is listed. |
# | 20 | The number as published and the honest one, from the same predictions. |
# | 20 | Patients sealed; plan and digest older than the look. |
# | 20 | One change, paired, by patient, with its interval and the number of patients. |
# | 10 | The paragraph says no more than the interval, and names its limits. |
# | 10 | It runs again from the folder, seed and all. |
#
# **No points** for the Dice itself, and none lost for a change that did not win.
#
# ## Recap
# - Rebuild before you improve; list what differs.
# - Seal, decide, look once.
# - "Not shown" is a result.
#
# **Sources** System 002 (two U-Nets on CT-ICH, 2021); Hssayeni et al., Data 2020;5(1):14; Nosek et al. 2018, PNAS 115:2600
# (preregistration); Bouthillier et al. 2021, arXiv:2103.03098 (seeds).
#
# **Next** A recipe of your own: CONTRIBUTING.md, "Add a recipe in four steps".
