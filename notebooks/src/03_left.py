# %% [markdown]
# # 3. Where is left?
# **You will** find the patient's left in an array, keep it when the array is flipped, and turn voxels into milliliters.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** lesson 2.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
from pathlib import Path
from tempfile import mkdtemp

import nibabel as nib
import numpy as np

from ich_lib import phantom, read
from ich_lib.course import attempt
from ich_lib.course.real import real_slice
from ich_lib.measures.volume import abc2_ml
from ich_lib.reports.case_files import write_case
from ich_lib.show import row

# %% [markdown]
# ## The patient's left is on your right
# Slices across the body are called *axial*. Radiologists look at them from the feet, so the patient's left is on the
# viewer's right. This phantom has blood under one side of its skull:

# %%
case = phantom(101, bleeds=["epidural"])
scan, mask = case.scan, case.truth
k = int(mask.sum(axis=(1, 2)).argmax())
row(
    [scan.hu[k]],
    ["R                                      L"],
    through="brain",
    masks=[mask[k]],
    height=4,
)

# %% [markdown]
# The array alone does not say which side is left. The *affine* does. This 4 x 4 matrix turns an index (z, y, x, 1) into
# a place in millimeters. In this course the first number grows toward the patient's left, the second toward the back,
# and the third toward the head.

# %%
print(scan.affine.round(2))
z, y, x = np.argwhere(mask).mean(axis=0)
print(
    "middle of the bleed:",
    (scan.affine @ [z, y, x, 1])[:3].round(1),
    "mm (left, back, head)",
)

# %% [markdown]
# ### Exercise 3.1: which side? (5 min)
# For any mask and affine, return the side of the patient on which the blood lies: "left" or "right". The middle of the
# head lies at 0 mm.
#
# *Hint:* the number of a column says nothing about the patient. Which matrix turns an index into millimeters?
#
# *Second hint:* look at the sign of the first of the three values in mm.


# %% tags=["exercise"]
def side(mask, affine):
    # your code here
    # solution
    middle = np.append(np.argwhere(mask).mean(axis=0), 1)
    return "left" if (affine @ middle)[0] > 0 else "right"


# %% tags=["check"]
flip = np.diag([1.0, 1.0, -1.0, 1.0])
flip[2, 3] = mask.shape[2] - 1
if tested := attempt("3.1", side):
    mine = tested(mask, scan.affine)
    assert mine == "left", (
        "Millimeters along x grow toward the patient's left, and this bleed lies at "
        "more than 0."
    )
    mirrored_side = tested(mask[:, :, ::-1], scan.affine @ flip)
    assert mirrored_side == "left", (
        "The same patient, stored from left to right: use the affine, not the "
        "column's number."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: use the affine
def side(mask, affine):
    return "left" if np.argwhere(mask).mean(axis=0)[2] > mask.shape[2] / 2 else "right"


# %% [markdown] tags=["solution"]
# Three axes can be stored in 6 orders and in 2 directions each, which gives 48 orientations. `ich_lib.scan` converts
# all of them into one orientation. No other module of the library handles orientations.

# %% [markdown]
# Now a real patient. CT-ICH 1.0.0 is published as pictures, so it has no affine. We assume that the pictures follow the
# convention of radiology (the patient's left on your right), and the pixel size is unknown. **Predict:** on which side
# is the blood?

# %%
real_hu, real_blood = real_slice("066")
row(
    [real_hu],
    ["R                                      L"],
    through="brain",
    masks=[real_blood],
)

# %%
x = np.nonzero(real_blood)[1].mean()
print(
    "on the viewer's",
    "right" if x > real_hu.shape[1] / 2 else "left",
    "- if the pictures follow the convention",
)

# %% [markdown]
# ## Spot the bug: an array without its affine
# A script loads a NIfTI file and shows its array. With the second file the bleed appears on the other side.
# **Predict:** do the two files show different patients?

# %%
folder = Path(mkdtemp())
write_case(case, folder)
image = nib.load(folder / "scan.nii.gz")
canonical = nib.as_closest_canonical(
    image
)  # the same patient, its axes toward right, front, head
for name, nifti in {"first": image, "second": canonical}.items():
    print(
        f"{name:7} axes run toward {nib.aff2axcodes(nifti.affine)}, a corner lies at "
        f"{nifti.affine[:3, 3].round()} mm"
    )

# %% [markdown]
# ### Exercise 3.2: one order for both (6 min)
# Return the voxels of any NIfTI image in one orientation: the axes run toward left, back and head ("LPS").
#
# *Hint:* read from the affine in which direction each axis runs, then reorder and flip the axes.
#
# *Second hint:* all functions are in `nib.orientations`: `io_orientation(image.affine)` is the start,
# `axcodes2ornt("LPS")` the goal, `ornt_transform(start, goal)` the change, and `apply_orientation` applies it.


# %% tags=["exercise"]
def as_lps(image):
    # your code here
    # solution
    start = nib.orientations.io_orientation(image.affine)
    turn = nib.orientations.ornt_transform(start, nib.orientations.axcodes2ornt("LPS"))
    return nib.orientations.apply_orientation(np.asarray(image.dataobj), turn)


# %% tags=["check"]
if tested := attempt("3.2", as_lps):
    a, b = tested(image), tested(canonical)
    same = np.array_equal(a, b)
    assert same, (
        "Both files hold one patient; after this they must be equal to the voxel."
    )
    wrong = "Along the first axis the patient's left must come last."
    np.testing.assert_array_equal(a[:, :, k].T, np.round(scan.hu[k]), err_msg=wrong)
    tested.passes()


# %% tags=["mistake"]
# refused: equal to the voxel
def as_lps(image):
    return np.asarray(image.dataobj)


# %% tags=["mistake"]
# refused: the patient's left must come last
def as_lps(image):
    return np.asarray(nib.as_closest_canonical(image).dataobj)


# %% [markdown] tags=["solution"]
# The library's `read` does this for every format, and `write_nifti` converts a mask back to the orientation of the
# original file:

# %%
read(folder / "scan.nii.gz")

# %% [markdown]
# ## From voxels to milliliters
# ### Exercise 3.3: how much blood? (5 min)
# Return the volume of the blood in mL: the number of voxels times the volume of one voxel. 1 mL is 1000 cubic
# millimeters.
#
# *Hint:* how large is one voxel, also if the gantry was tilted and the edges are not at right angles?
#
# *Second hint:* the volume of a voxel is the absolute value of the determinant of the affine's upper left 3 x 3 part.


# %% tags=["exercise"]
def ml(mask, affine):
    # your code here
    # solution
    return mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000


# %% tags=["check"]
tilted = phantom(101, bleeds=["epidural"], tilt_deg=20.0)
if tested := attempt("3.3", ml):
    mine, leaning = tested(mask, scan.affine), tested(tilted.truth, tilted.scan.affine)
    assert abs(mine - mask.sum() * scan.voxel_ml) < 1e-6, (
        f"{mine:.1f} is not {mask.sum() * scan.voxel_ml:.1f} mL."
    )
    right = tilted.truth.sum() * tilted.scan.voxel_ml
    wrong = (
        f"With the gantry tilted by 20 degrees it is {right:.2f} mL, not "
        f"{leaning:.2f}: slices come closer."
    )
    assert abs(leaning - right) < 0.01 * right, wrong
    print(f"{mine:.1f} mL; the phantom has {case.volumes_ml['epidural']:.1f} mL")
    tested.passes()


# %% tags=["mistake"]
# refused: slices come closer
def ml(mask, affine):
    return mask.sum() * np.prod(np.linalg.norm(affine[:3, :3], axis=0)) / 1000


# %% [markdown] tags=["solution"]
# At a tilt of 20 degrees the product of the three spacings is 6 % too large, because 1 / cos(20 degrees) = 1.064. The
# determinant is right for every grid.

# %% [markdown]
# ## ABC/2, the bedside formula
# Clinicians estimate a volume with a ruler on the screen: A times B times C, divided by 2. A is the largest diameter on
# the slice with the most blood. B is the largest width at 90 degrees to A. C is the number of slices with blood times
# their spacing. The formula fits an ellipsoid. Kothari et al. count a slice as half, or not at all, if its area of
# blood is much smaller than the largest one. Here each slice counts as whole.
#
# The next cell gives the corners of every pixel of blood, in mm, as (n, 2) points. You need them in the exercise:


# %%
def corners_mm(plane, dy, dx):
    rows, columns = np.nonzero(plane)
    return np.concatenate(
        [np.c_[(rows + i) * dy, (columns + j) * dx] for i in (0, 1) for j in (0, 1)]
    )


# %% [markdown]
# ### Exercise 3.4: by hand (9 min)
# Return A * B * C / 2 in mL, for one bleed on a grid without tilt. `spacing_mm` is the spacing along (z, y, x).
#
# *Hint:* A is the largest distance between two corners. The line between these two corners has a direction. Turn this
# direction by 90 degrees, and measure how far the corners spread along it: this is B.
#
# *Second hint:* `points[:, None] - points` holds all differences. The direction (u, v) turned by 90 degrees is (-v, u).
# `np.ptp(points @ direction)` is the spread along a direction.


# %% tags=["exercise"]
def abc2(mask, spacing_mm):
    # your code here
    # solution
    dz, dy, dx = spacing_mm
    points = corners_mm(mask[mask.sum(axis=(1, 2)).argmax()], dy, dx)
    differences = points[:, None] - points
    lengths = np.hypot(differences[..., 0], differences[..., 1])
    a = lengths.max()
    u, v = differences[np.unravel_index(lengths.argmax(), lengths.shape)] / a
    return a * np.ptp(points @ [-v, u]) * mask.any(axis=(1, 2)).sum() * dz / 2 / 1000


# %% tags=["check"]
grid = np.mgrid[:21, :41, :41] * np.array([2.0, 1, 1])[:, None, None, None] - 20
ball = (grid**2).sum(axis=0) <= 15.2**2
if tested := attempt("3.4", abc2):
    mine = tested(ball, (2.0, 1.0, 1.0))
    assert abs(mine - 31 * 31 * 15 * 2 / 2000) < 0.8, (
        f"31 x 31 x 30 mm / 2 = 14.4 mL, not {mine:.1f}."
    )
    print(
        f"a ball of {ball.sum() * 0.002:.1f} mL by its voxels, {mine:.1f} mL by ABC/2"
    )
    tested.passes()


# %% tags=["mistake"]
# refused: B is at 90 degrees to A
def abc2(mask, spacing_mm):
    dz, dy, dx = spacing_mm
    rows, columns = np.nonzero(mask[mask.sum(axis=(1, 2)).argmax()])
    a, b = (np.ptp(columns) + 1) * dx, (np.ptp(rows) + 1) * dy
    return a * b * mask.any(axis=(1, 2)).sum() * dz / 2 / 1000


# %% tags=["mistake"]
# refused: 14.4 mL
def abc2(mask, spacing_mm):
    dz, dy, dx = spacing_mm
    z, y, x = (np.ptp(axis) + 1 for axis in np.nonzero(mask))
    return x * dx * y * dy * z * dz / 1000


# %% [markdown] tags=["solution"]
# The volume of an ellipsoid is pi/6 times the product of its diameters. pi/6 is 0.52, and the formula rounds it to 1/2.
# The extents along rows and columns are not the diameters: for an oblique ellipsoid they are too large. The library's
# `abc2_ml` also measures along A and B.

# %% [markdown]
# ## Break it: a shape that is not an ellipsoid
# **Predict:** for which of three shapes is ABC/2 farthest from the count of voxels: a clot in the brain, a thin
# crescent under the skull, or a lens?

# %%
for name in ("intraparenchymal", "subdural", "epidural"):
    nifti = phantom(12, bleeds=[name])
    print(
        f"{name:17} {nifti.truth.sum() * nifti.scan.voxel_ml:5.1f} mL by voxels, "
        f"{abc2_ml(nifti.truth, nifti.scan.affine):5.1f} by ABC/2"
    )

# %% [markdown]
# ABC/2 is too low for all three: by about 20 % for the clot, 40 % for the crescent and 30 % for the lens. Such an error
# can lie on either side of a limit for surgery, such as the 30 mL of lesson 0. One phantom of each type does not show
# how large the error is in general.
#
# ## Recap
# - Keep the affine with every array.
# - Use one orientation inside the program, and convert results back to the orientation of the file.
# - A volume in mL is the number of voxels times the determinant, divided by 1000.
#
# **Sources** NIfTI-1; DICOM PS3.3 C.7.6.2; Kothari et al., Stroke 1996;27:1304 (ABC/2).
#
# **Next** 4. The data set
