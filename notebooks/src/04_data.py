# %% [markdown]
# # 4. The data set
# **You will** read the tables of a data set with their faults: an inverted column, missing pictures, and several
# outlines per slice.
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
# ## A table as it is published
# The cell makes forty phantom heads and writes their labels in the format of CT-ICH: one line per slice, and one column
# per type. Then it shows four slices and their lines.

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
# The last column, `No_Hemorrhage`, is 1 where there is *no* hemorrhage. System 003 inverted it, which was right. A
# script that reads this column as "has hemorrhage" gets this share of "bleeding" slices:

# %%
print(
    f"{np.mean([line['No_Hemorrhage'] == '1' for line in lines]):.0%} of the slices "
    "'bleed'"
)

# %% [markdown]
# ### Exercise 4.1: read it right (4 min)
# For one line of the table, return True if the slice shows blood.
#
# *Hint:* read the name of the column once more, and check the type of its values.
#
# *Second hint:* the values are text, and for Python the text `"0"` is true.


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
# Before you use a column of labels, look at five pictures of each of its values.

# %% [markdown]
# ## Few slices bleed, and even fewer patients have a type
# One slice in seven bleeds here, so clean slices are far more frequent. This is called *class imbalance*. The slices of
# one patient are alike, so the number of patients says more about a type than the number of slices.
#
# ### Exercise 4.2: count twice (6 min)
# For each of the six `LABELS`, count the slices that show it and the *patients* that have such a slice. Return two
# lists.
#
# *Hint:* a slice with two types counts for both. A patient counts once for each type, however many slices show it.
#
# *Second hint:* `table.labels[:, i]` says which slices show label i, and `table.patient` names the patient of each
# slice.


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
# CT-ICH holds 56 slices with subdural blood, from only *four* patients. A score for "subdural" on this set describes
# four people. Report it only with this count and an interval.

# %% [markdown]
# ## Labels without a picture
# Files get lost. Some loaders use a black picture for a file that they cannot find. **Predict:** what does a network
# learn from a black picture with the label "bleeding"? The next cell takes away 25 pictures.

# %%
rng = np.random.default_rng(1)
folder = {f"{line['PatientNumber']}/{line['SliceNumber']}" for line in lines}
folder -= set(rng.choice(sorted(folder), 25, replace=False))  # the pictures on the disk
print(len(lines), "lines,", len(folder), "pictures")

# %% [markdown]
# ### Exercise 4.3: name the missing pictures (6 min)
# Return two lists: the lines that have a picture in `folder`, and the sorted names ("patient/slice") of the pictures
# that are missing.
#
# *Hint:* a line and its picture have the same name: patient and slice.
#
# *Second hint:* make the name of each line with an f-string, and look it up in `folder`.


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
# The library's tables hold such a list: `table.report.sentences`. CT-ICH has this fault too: in the 66 patients that
# were examined, 25 of 2,012 lines have no picture, and 13 of these slices bleed.

# %% [markdown]
# ## From outlines to a mask
# Annotators outline blood with polygons, often several per slice. The next cell shows a text from such a table and the
# number of corners of each region:

# %%
text = """[[{"x": 0.25, "y": 0.125}, {"x": 0.75, "y": 0.125}, {"x": 0.75, "y": 0.25},
           {"x": 0.25, "y": 0.25}],
          [{"x": 0.5, "y": 0.5}, {"x": 0.875, "y": 0.5}, {"x": 0.75, "y": 0.875}]]"""
outlines = regions(text)  # corners as fractions of width and height
print([len(points) for points in outlines], "corners")

# %% [markdown]
# ### Exercise 4.4: one mask of all regions (8 min)
# System 000 saved the mask *inside* its loop over the polygons, always under the same file name, so only the last
# region of each slice stayed. Draw all regions into one mask of `shape`.
#
# *Hint:* start with an empty mask and add one region after the other. Which operator joins two masks?
#
# *Second hint:* `fill([points], shape)` draws one region. A pixel is blood if any region covers it.


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
# For every new data set, compute the area of one polygon on paper (with the shoelace formula) and compare it with the
# mask. `fill(outlines, shape)` draws all regions at once.

# %% [markdown]
# ## A mask of the whole head
# System 000 made its masks with `picture > 0` from the *CT picture itself*. Its U-Net learned the head, not the blood,
# and reached an accuracy of 98 %. The next cell compares such a mask with the blood:

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
# The next cell shows the same two masks for a real slice: everything that is not black, and the outline of the
# radiologists.

# %%
real_hu, real_blood = real_slice("066")
not_black = np.clip((real_hu + 20) / 120, 0, 1) > 0
titles = [f"not black: {not_black.mean():.0%}", f"blood: {real_blood.mean():.1%}"]
row([real_hu] * 2, titles, through="brain", masks=[not_black, real_blood])

# %% [markdown]
# ## On real heads
# If CT-ICH is on this computer, the cell reads it, prints what its reader found, and counts slices and patients.

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
# The table of RSNA 2019 lists a few images twice. **Predict:** two lines of one slice contradict each other. Which one
# does a dictionary keep?

# %%
rows_twice = [{"ID": "a_any", "Label": "1"}, {"ID": "a_any", "Label": "0"}]
print(
    {line["ID"]: line["Label"] for line in rows_twice},
    "- the last line, without a warning",
)

# %% [markdown]
# The library leaves out a slice whose lines contradict each other, and names it in the report. Otherwise a bleeding
# slice could be trained on as clean.
#
# ## Recap
# - Look at pictures of every label before you use it.
# - Count patients as well as slices.
# - Name missing files, and do not replace them.
#
# **Sources** Hssayeni et al., Data 2020;5(1):14; systems 000 (masks) and 003 (inverted the column rightly) of the
# course; RSNA 2019: Flanders et al. 2020.
#
# **Next** 5. The leak lab
