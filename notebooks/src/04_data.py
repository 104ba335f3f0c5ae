# %% [markdown]
# # 4. The data set
# **You will** read the tables of a data set as they really are: inverted columns, missing pictures, several regions a
# slice.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 3.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import csv
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np

from ich_lib import LABELS
from ich_lib.course import attempt, find_ct_ich, phantom_heads
from ich_lib.course.real import real_slice
from ich_lib.data.polygons import fill, regions
from ich_lib.labels import ANY, TYPES
from ich_lib.show import row

# %% [markdown]
# ## A table as it comes
# Forty phantom heads, their labels written like those of CT-ICH: one line per slice, one column per type.

# %%
store = phantom_heads()
table = store.table
columns = [
    "PatientNumber",
    "SliceNumber",
    *[name.capitalize() for name in TYPES],
    "No_Hemorrhage",
]
path = Path(mkdtemp()) / "hemorrhage_diagnosis.csv"
with path.open("w", newline="") as file:
    out = csv.writer(file)
    out.writerow(columns)
    for patient, k, shows in zip(table.patient, table.slice, table.labels, strict=True):
        out.writerow(
            [
                patient.removeprefix("phantom-"),
                k,
                *shows[:ANY].astype(int),
                int(not shows[ANY]),
            ]
        )
lines = list(csv.DictReader(path.open()))
row(store.hu([12, 13, 14, 15]), through="brain", height=2)

# %%
for line in lines[12:16]:
    print(line)

# %% [markdown]
# ## Spot the bug: a column that says the opposite
# The last column is 1 where there is *no* hemorrhage. System 003 noticed and inverted it. Whoever takes it for "has
# hemorrhage" gets this share of "bleeding" slices:

# %%
print(
    f"{np.mean([line['No_Hemorrhage'] == '1' for line in lines]):.0%} of the slices "
    "'bleed'"
)

# %% [markdown]
# ### Exercise 4.1: read it right (4 min)
# For one line: does the slice bleed?
#
# *Hint:* read the column's name once more, and mind the type of its values.
#
# *Second hint:* values are text: `"0"` is true to Python.


# %% tags=["exercise"]
def bleeds(line):
    # your code here
    # solution
    return line["No_Hemorrhage"] == "0"


# %% tags=["check"]
if tested := attempt("4.1", bleeds):
    mine = [tested(line) for line in lines]
    share = np.mean(mine)
    assert share < 0.5, (
        f"{share:.0%} would bleed. Look at the pictures: most slices of a head do not."
    )
    assert mine == table.labels[:, ANY].tolist(), (
        "Some lines with a type are called clean, or the other way round."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Look at the pictures
def bleeds(line):
    return bool(line["No_Hemorrhage"])


# %% [markdown] tags=["solution"]
# Believe no column before you have looked at five pictures of each value.

# %% [markdown]
# ## Rare, and rarer still by patient
# One answer is far more frequent than the other, which is called *class imbalance*. It is worse by patient than by slice.
#
# ### Exercise 4.2: count twice (6 min)
# For each of the six LABELS: how many slices show it, and how many *patients* have such a slice? Two lists.
#
# *Hint:* a slice may count for two types; a patient counts once for each type, however many slices show it.
#
# *Second hint:* `table.labels[:, i]` and `table.patient`.


# %% tags=["exercise"]
def count_labels(table):
    # your code here
    # solution
    slices = table.labels.sum(axis=0).tolist()
    patients = [len(set(table.patient[table.labels[:, i]])) for i in range(len(LABELS))]
    return slices, patients


# %% tags=["check"]
if tested := attempt("4.2", count_labels):
    mine = tested(table)
    assert list(mine[0]) == table.labels.sum(axis=0).tolist(), (
        "A slice that shows two types counts for both."
    )
    right = [len(set(table.patient[table.labels[:, i]])) for i in range(6)]
    assert list(mine[1]) == right, f"Each patient counts once: {right}."
    figure, axes = plt.subplots(figsize=(9, 2.6))
    axes.bar(np.arange(6) - 0.2, mine[0], 0.4, label="slices")
    axes.bar(np.arange(6) + 0.2, mine[1], 0.4, label="patients")
    axes.set_xticks(range(6), LABELS, fontsize=8)
    axes.legend()
    plt.show()
    tested.passes()


# %% tags=["mistake"]
# refused: Each patient counts once
def count_labels(table):
    slices = table.labels.sum(axis=0).tolist()
    return slices, slices


# %% [markdown] tags=["solution"]
# CT-ICH holds 56 slices with subdural blood, from *four* patients. A score for "subdural" on this set is a score for four
# people: print it with its count, or not at all.

# %% [markdown]
# ## Labels without a picture
# Files get lost. **Predict:** what does a loader do that makes a black picture of what it cannot find?

# %%
rng = np.random.default_rng(1)
folder = {f"{line['PatientNumber']}/{line['SliceNumber']}" for line in lines}
folder -= set(rng.choice(sorted(folder), 25, replace=False))  # what is left on the disk
print(len(lines), "lines,", len(folder), "pictures")

# %% [markdown]
# ### Exercise 4.3: lines that stay, names that are missing (6 min)
# Return the lines that have a picture, and the sorted names of pictures that are missing ("patient/slice").
#
# *Hint:* a line and a picture meet in the name that both give: patient and slice.
#
# *Second hint:* build the name of each line once.


# %% tags=["exercise"]
def check_lines(lines, folder):
    # your code here
    # solution
    name = lambda line: f"{line['PatientNumber']}/{line['SliceNumber']}"
    return [line for line in lines if name(line) in folder], sorted(
        name(x) for x in lines if name(x) not in folder
    )


# %% tags=["check"]
if tested := attempt("4.3", check_lines):
    mine = tested(lines, folder)
    assert len(mine[0]) == len(folder), (
        f"{len(folder)} lines have a picture; {len(mine[0])} were kept."
    )
    assert len(mine[1]) == 25, (
        f"25 are missing and should be named; {len(mine[1])} are."
    )
    assert not set(mine[1]) & folder, "A picture that is there was called missing."
    tested.passes()


# %% tags=["mistake"]
# refused: 25 are missing and should be named
def check_lines(lines, folder):
    return [
        line
        for line in lines
        if f"{line['PatientNumber']}/{line['SliceNumber']}" in folder
    ], []


# %% [markdown] tags=["solution"]
# The library's tables carry such a list: `table.report.sentences`. CT-ICH lacks a few pictures too.

# %% [markdown]
# ## From outlines to a mask
# Annotators click polygons, several a slice. Text from such a table, and the regions in it:

# %%
text = """[[{"x": 0.25, "y": 0.125}, {"x": 0.75, "y": 0.125}, {"x": 0.75, "y": 0.25},
           {"x": 0.25, "y": 0.25}],
          [{"x": 0.5, "y": 0.5}, {"x": 0.875, "y": 0.5}, {"x": 0.75, "y": 0.875}]]"""
outlines = regions(text)  # corners as shares of width and height
print([len(points) for points in outlines], "corners")

# %% [markdown]
# ### Exercise 4.4: one mask of all regions (8 min)
# System 000 saved a mask file *inside* the loop over polygons, under one name, so only the last region stayed. Draw all of
# them into one mask of `shape`.
#
# *Hint:* start from an empty mask and add region by region. What joins two masks?
#
# *Second hint:* `fill([points], shape)` draws one region; a voxel is blood if any region covers it.


# %% tags=["exercise"]
def mask_of(outlines, shape):
    # your code here
    # solution
    mask = np.zeros(shape, bool)
    for points in outlines:
        mask |= fill([points], shape)
    return mask


# %% tags=["check"]
if tested := attempt("4.4", mask_of):
    mine = tested(outlines, (64, 64))
    area = 32 * 8 + 24 * 24 / 2  # a rectangle and a triangle, on paper
    assert mine[12, 30], (
        "The first region is gone: each one must be added to those before."
    )
    assert abs(mine.sum() - area) < 0.06 * area, (
        f"On paper {area:.0f} pixels, in the mask {mine.sum()}."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: The first region is gone
def mask_of(outlines, shape):
    for points in outlines:
        mask = fill([points], shape)
    return mask


# %% [markdown] tags=["solution"]
# Check the area on paper (the shoelace formula) once for every new set. `fill(outlines, shape)` takes all regions at
# once.

# %% [markdown]
# ## A mask that is the head
# System 000's masks were made by `picture > 0`, from the *CT picture itself*. What its U-Net then "segmented" with 98 %:

# %%
largest = int(store.blood_px.argmax())
case_hu = store.hu([largest])[0]
as_published = np.clip((case_hu + 20) / 120, 0, 1) > 0
blood = store.blood([largest])[0] >= 128
row(
    [case_hu] * 2,
    [f"published: {as_published.mean():.0%}", f"blood: {blood.mean():.1%}"],
    through="brain",
    masks=[as_published, blood],
)

# %% [markdown]
# The same two masks of a real slice: here an annotator's outline, there all that is not black.

# %%
real_hu, real_blood = real_slice("066")
not_black = np.clip((real_hu + 20) / 120, 0, 1) > 0
titles = [f"not black: {not_black.mean():.0%}", f"blood: {real_blood.mean():.1%}"]
row([real_hu] * 2, titles, through="brain", masks=[not_black, real_blood])

# %% [markdown]
# ## On real heads

# %%
data = find_ct_ich()
if data:
    from ich_lib.data import open_set

    real = open_set(data)
    print(real, *real.report.sentences, sep="\n")
    for i, label in enumerate(LABELS):
        shows = real.labels[:, i]
        print(
            f"{label:17} {shows.sum():4} slices of {len(set(real.patient[shows])):2} "
            "patients"
        )

# %% [markdown]
# ## Break it: one line twice
# RSNA's long table holds a few lines twice. **Predict:** two lines of one slice contradict each other. Which one wins in
# your loader?

# %%
twice = [{"ID": "a_any", "Label": "1"}, {"ID": "a_any", "Label": "0"}]
print(
    {line["ID"]: line["Label"] for line in twice}, "- the last one, and nobody was told"
)

# %% [markdown]
# The library drops a slice whose lines contradict each other and says so. A label that is never questioned can hide a bleed.
#
# ## Recap
# - Look at pictures of every label before you believe it.
# - Count patients beside slices.
# - Missing files are named, not replaced.
#
# **Sources** Hssayeni et al., Data 2020;5(1):14; systems 000 and 003 of the course (003: the column, read rightly).
#
# **Next** 5. The leak lab
