# %% [markdown]
# # 1. A head in numbers
# **You will** open a CT as its scanner wrote it, turn pixels into Hounsfield units, and put its slices in order.
#
# **Time** 30 min. **Runs on** a laptop or free Colab, no GPU, under 1 min. **Before this** a little Python and NumPy.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
from copy import deepcopy
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pydicom
from scipy.ndimage import binary_dilation

from ich_lib import phantom, read
from ich_lib.archive.studies import list_studies
from ich_lib.course import attempt, find_ct_ich, is_attempted, mark_correct
from ich_lib.course.real import real_slice
from ich_lib.reports.case_files import write_case
from ich_lib.show import row

# %% [markdown]
# ## A scan is a folder of slices
# A synthetic head, called a *phantom*, replaces the patient in this lesson. The next cell writes it as DICOM, with one
# file per slice.

# %%
folder = Path(mkdtemp())
case = phantom(7, bleeds=["intraparenchymal"])
write_case(case, folder, form="dicom")
files = sorted((folder / "dicom").iterdir())
print(len(files), "files, such as", files[0].name)

# %%
ds = pydicom.dcmread(files[17])
row([ds.pixel_array / ds.pixel_array.max()], ["slice 18, as stored"])

# %% [markdown]
# A DICOM file holds a picture and a header. The header states who was scanned, how the scanner was set, and where the
# slice lies.

# %%
for name in (
    "Modality",
    "PatientName",
    "PixelSpacing",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
):
    print(f"{name:18} {ds[name].value}")

# %% [markdown]
# ## Stored numbers are not Hounsfield units
# By definition, water is 0 HU and air is -1000 HU. The header above holds a slope and an intercept. **Predict:** what
# number does the file store for air?

# %%
stored_values = ds.pixel_array
print("a corner of the picture holds", stored_values[0, 0])

# %% [markdown]
# ### Exercise 1.1: pixels to Hounsfield units (5 min)
# `RescaleSlope` and `RescaleIntercept` describe a straight line from stored numbers to HU. Write a function that
# returns the HU of all pixels of `ds`.
#
# *Hint:* multiply by the slope, then add the intercept. Which number type holds the result without an overflow?
#
# *Second hint:* turn the pixels into floating point first, with `astype(np.float32)`.


# %% tags=["exercise"]
def to_hu(ds):
    # your code here
    # solution
    return ds.pixel_array.astype(np.float32) * ds.RescaleSlope + ds.RescaleIntercept


# %% tags=["check"]
if tested := attempt("1.1", to_hu):
    hu = tested(ds)
    assert abs(hu[0, 0] + 1000) < 80, (
        f"Air came out as {hu[0, 0]:.0f} HU; it should be near -1000."
    )
    odd = deepcopy(ds)
    odd.RescaleSlope = 2
    wrong = (
        "With a slope of 2 every step counts twice: pixel * slope + intercept, in "
        "this order."
    )
    np.testing.assert_allclose(tested(odd), 2.0 * stored_values - 1024, err_msg=wrong)
    tested.passes()


# %% tags=["mistake"]
# refused: it should be near -1000
def to_hu(ds):
    return ds.pixel_array.astype(np.float32)


# %% tags=["mistake"]
# refused: pixel * slope + intercept, in this order
def to_hu(ds):
    return (ds.pixel_array.astype(np.float32) + ds.RescaleIntercept) * ds.RescaleSlope


# %% [markdown] tags=["solution"]
# The rule stands in DICOM PS3.3 C.11.1.1.2. Most CT files have slope 1, and with slope 1 both orders give the same
# result. The wrong order shows only with a scanner that uses another slope.

# %% [markdown]
# ## Spot the bug: numbers without a sign
# The code below reads scans for a network. It runs without an error, but air gets a number as large as that of metal.


# %%
def read_fast(ds):
    return ds.pixel_array + np.uint16(64512)  # "add the intercept": 65536 - 1024


print("air:", read_fast(ds)[0, 0], "  brain:", read_fast(ds)[128, 128])

# %% [markdown]
# ### Exercise 1.2: find it (5 min)
# What is the cause? Set `cause` to "A", "B" or "C".
#
# A: the file is corrupt. B: 16 bits without a sign cannot hold -1000. C: the intercept should be subtracted.
#
# *Hint:* write down the smallest and the largest number that 16 bits without a sign can hold.
#
# *Second hint:* add the intercept by hand, once in `int`, once in `np.uint16`, and compare.

# %% tags=["exercise"]
cause = None
# solution
cause = "B"

# %% tags=["check"]
if is_attempted("1.2", cause):
    assert cause != "A", "to_hu reads the same file well, so it is not corrupt."
    assert cause == "B", (
        "Subtracting -1024 adds 1024: air would be near 1050, not near 65000."
    )
    mark_correct("1.2")

# %% tags=["mistake"]
# refused: air would be near 1050
cause = "C"

# %% [markdown] tags=["solution"]
# `uint16` holds 0 to 65535, and numbers outside this range wrap around. So convert the pixels to floating point (or
# `int16`) before you add the intercept. Files with signed pixels (`PixelRepresentation` 1) cause a similar fault if
# they are read as unsigned.

# %% [markdown]
# ## File names do not give the order
# Archives rename files, so a file name does not say where a slice lies. The tag `ImagePositionPatient` does. It holds
# three numbers in mm: toward the patient's left, back and head. The next cell mixes the files and shows the first five.

# %%
rng = np.random.default_rng(0)
mixed = [pydicom.dcmread(files[k]) for k in rng.permutation(len(files))]
row(
    [to_hu(d) if to_hu(d) is not None else d.pixel_array for d in mixed[:5]],
    through=(40, 80),
    height=2,
)

# %% [markdown]
# ### Exercise 1.3: foot to head (5 min)
# Write a function that sorts the mixed files by height, from foot to head.
#
# *Hint:* neither the file's name nor its place in the list tells the height. Which tag does?
#
# *Second hint:* use `sorted(..., key=lambda ds: ...)`. The third number of the position is the height.


# %% tags=["exercise"]
def in_order(datasets):
    # your code here
    # solution
    return sorted(datasets, key=lambda ds: float(ds.ImagePositionPatient[2]))


# %% tags=["check"]
if tested := attempt("1.3", in_order):
    ordered = tested(mixed)
    heights = [float(ds.ImagePositionPatient[2]) for ds in ordered]
    assert len(ordered) == len(files), "Some slices are gone."
    assert heights == sorted(heights), "The heights must rise, from foot to head."
    tested.passes()


# %% tags=["mistake"]
# refused: The heights must rise
def in_order(datasets):
    return sorted(datasets, key=lambda ds: str(ds.ImagePositionPatient[2]))


# %% [markdown] tags=["solution"]
# Compare numbers, not text: as text, "-2.5" comes before "-42.5". `InstanceNumber` often gives the right order, but in
# some files it runs from head to foot. If the gantry was tilted, sort by the position along the normal of the slices.

# %% [markdown]
# ## The same head with one call
# The library's `read` does all these steps for DICOM, NIfTI and pictures. It also states what it assumed.

# %%
scan = read(folder / "dicom")
scan

# %% [markdown]
# A NIfTI file holds the whole volume in one file. Here its numbers are already HU. A matrix, the affine, states where
# the voxels lie (lesson 3). The cell writes the same head as NIfTI and compares both readings.

# %%
write_case(case, folder)
image = nib.load(folder / "scan.nii.gz")
sizes, directions = (
    [round(float(mm), 2) for mm in image.header.get_zooms()],
    "".join(nib.aff2axcodes(image.affine)),
)
print("NIfTI:", image.shape, "voxels of", sizes, "mm, axes run toward", directions)
print(
    "largest difference:", np.abs(read(folder / "scan.nii.gz").hu - scan.hu).max(), "HU"
)

# %% [markdown]
# ## Tissues have numbers
# ### Exercise 1.4: how dense is the blood? (5 min)
# `blood` is True where there is blood. Return two means in HU: that of the blood, and that of the brain beside it.
# Brain beside it means: in the same slice, at most 10 pixels from the blood (also along diagonals), and between 15 and
# 45 HU.
#
# *Hint:* a mask selects voxels: `hu[blood]`. For the ring around the blood, grow the mask and remove the blood from it.
#
# *Second hint:* `binary_dilation(blood, np.ones((1, 3, 3), bool), iterations=10) & ~blood`.


# %% tags=["exercise"]
def densities(hu, blood):
    # your code here
    # solution
    near = (
        binary_dilation(blood, np.ones((1, 3, 3), bool), iterations=10)
        & ~blood
        & (hu > 15)
        & (hu < 45)
    )
    return hu[blood].mean(), hu[near].mean()


# %% tags=["check"]
if tested := attempt("1.4", densities):
    blood_hu, brain_hu = tested(scan.hu, case.truth)
    right = scan.hu[case.truth].mean()
    assert abs(blood_hu - right) < 0.5, (
        f"The voxels of the mask have a mean of {right:.1f} HU, not {blood_hu:.1f}."
    )
    assert 20 < brain_hu < 42, (
        f"Brain is 20 to 42 HU; {brain_hu:.1f} is something else. Is air or bone in it?"
    )
    print(f"blood {blood_hu:.1f} HU, brain beside it {brain_hu:.1f} HU")
    tested.passes()


# %% tags=["mistake"]
# refused: Is air or bone in it?
def densities(hu, blood):
    return hu[blood].mean(), hu[~blood].mean()


# %% [markdown] tags=["solution"]
# The difference is 14 HU in this head. Clotted blood has 50 to 80 HU, but slices of 5 mm average it with the tissue
# above and below. A CT with 12 bits has 4,096 numbers, and 14 is a third of a percent of them. Lesson 2 makes this
# difference visible. The next cell shows the CT numbers of the whole head, with the usual place of five tissues.

# %%
figure, axes = plt.subplots(figsize=(8, 2.6))
axes.hist(
    scan.hu[scan.hu > -200].ravel(),
    bins=np.arange(-200, 250, 2),
    color="#999999",
    log=True,
)
for name, place in {
    "fat": -90,
    "water": 0,
    "brain": 32,
    "blood": 60,
    "calcium": 150,
}.items():
    axes.annotate(
        name,
        (place, 2),
        (place, 3e5),
        ha="center",
        fontsize=8,
        arrowprops={"arrowstyle": "-", "alpha": 0.4},
    )
axes.set(xlabel="CT number, HU", ylabel="voxels", ylim=(1, 1e6))
plt.show()

# %% [markdown]
# ## A real head
# A phantom is simpler than a patient. The next cell shows the slice with the most blood of a real patient. Radiologists
# drew the outline. **Predict:** has the area inside the outline a higher or a lower mean than the phantom's blood?

# %%
real_hu, real_blood = real_slice("066")
brain = (real_hu > 15) & (real_hu < 45) & ~real_blood
print(
    f"blood {real_hu[real_blood].mean():.0f} HU, brain {real_hu[brain].mean():.0f} HU"
)
row(
    [real_hu] * 2,
    ["real", "outlined"],
    through="brain",
    masks=[brain & False, real_blood],
)

# %% [markdown]
# The mean is higher than in the phantom: about 71 HU. The outline is coarse and touches bone, so the mean includes some
# bone and some brain. The reference of a real data set is a drawing made by people, and it has errors.

# %% [markdown]
# ## On real heads
# CT-ICH 1.0.0 is published as JPG pictures. If the data set is on this computer, the cell reads its table and prints a
# summary.

# %%
data = find_ct_ich()
if data:
    from ich_lib.data import open_set

    table = open_set(data)
    print(table)

# %% [markdown]
# ## A batch of studies, one sentence each
# An archive holds thousands of such folders. A loop reads them one after the other, keeps only one scan in memory, and
# continues if a study cannot be read. The archive below has three studies, and one file of the second study is
# truncated. **Predict:** how many slices of the second study are read?

# %%
archive = folder / "archive"
for seed in (1, 2, 3):
    head = phantom(seed, slices=6, pixels=64)
    write_case(head, archive / str(seed), form="dicom")
damaged = archive / "2" / "dicom" / "IM0004.dcm"
damaged.write_bytes(damaged.read_bytes()[:2000])

# %%
for study in list_studies([archive]):
    try:
        print(study.name, read(study).hu.shape)
    except ValueError as problem:
        print(study.name, problem)

# %% [markdown]
# The library does not read a study with an unreadable file. System 004 put a black slice in the place of an unreadable
# file and kept its label, so the network was trained on a black slice. `ich predict --many FOLDER --out DIR` runs this
# loop on all cores, writes one line for each study, and resumes an interrupted run.
#
# ## Break it: a slice is missing
# One file of a series is lost during a transfer. **Predict:** does `read` notice?

# %%
files[20].rename(folder / "lost.dcm")
try:
    read(folder / "dicom")
except ValueError as problem:
    print(problem)

# %% [markdown]
# Without this check the volume of a bleed in that slice would be too small, and a bleed only in that slice would be
# missed.
#
# ## Recap
# - HU = pixel * slope + intercept, in floating point.
# - Sort slices by their position, not by their names.
# - A reader must state what it assumed, and refuse what it cannot read.
#
# **Sources** DICOM PS3.3 C.11.1.1.2, C.7.6.2.1.1; NIfTI-1 (nifti.nimh.nih.gov).
#
# **Next** 2. Windows: what the eye can see
