# %% [markdown]
# # 3. Where is left?
# **You will** find a patient's left in a grid of numbers, keep it through a flip, and turn voxels into milliliters.
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
# Slices across the body are called *axial*, and radiologists look at them from the feet. This phantom bleeds under one side of its skull:

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
# The array alone does not know that. The *affine* does: it brings an index (z, y, x, 1) to millimeters, x toward the
# patient's left, y to the back, z to the head.

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
# Answer "left" or "right" of the patient for any mask and affine; the head's middle lies at 0 mm.
#
# *Hint:* a column's number says nothing about the patient. What turns an index into millimeters?
#
# *Second hint:* the first of the three millimeter values, and its sign.


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
        "The same patient, stored from left to right: ask the affine, not the "
        "column's number."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: ask the affine
def side(mask, affine):
    return "left" if np.argwhere(mask).mean(axis=0)[2] > mask.shape[2] / 2 else "right"


# %% [markdown] tags=["solution"]
# Files store a head in any of 48 orders. `ich_lib.scan` brings all of them into one, and is the only module that knows.

# %% [markdown]
# A real patient. CT-ICH comes as pictures, so there is no affine at all: that the patient's left is on your right is the
# custom of radiology, and a pixel's size is unknown. **Predict:** which side bleeds?

# %%
real_hu, real_blood = real_slice("066")
row(
    [real_hu],
    ["R                                      L"],
    through="brain",
    masks=[real_blood],
)
x = np.nonzero(real_blood)[1].mean()
print(
    "on the viewer's",
    "right" if x > real_hu.shape[1] / 2 else "left",
    "- if the custom was kept",
)

# %% [markdown]
# ## Spot the bug: an array without its affine
# A script loads a NIfTI and shows it. On the second file the bleed has changed sides. **Predict:** has the patient?

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
# Return the voxels with axes toward left, back, head ("LPS").
#
# *Hint:* ask each file which way its axes run, then turn them all into one order.
#
# *Second hint:* `nib.orientations.ornt_transform(from, to)` of `axcodes2ornt(...)`, then `apply_orientation`.


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
# `read` does it for every format, and `write_nifti` brings a mask back to the file's own order:

# %%
read(folder / "scan.nii.gz")

# %% [markdown]
# ## From voxels to milliliters
# ### Exercise 3.3: how much blood? (5 min)
# Count voxels, times the volume of one in mL (1 mL is 1000 cubic millimeters).
#
# *Hint:* how large is one voxel, in any grid, tilted or not?
#
# *Second hint:* the volume is the determinant of the affine's upper left 3 x 3.


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
    print(f"{mine:.1f} mL; made were {case.volumes_ml['epidural']:.1f} mL")
    tested.passes()


# %% tags=["mistake"]
# refused: slices come closer
def ml(mask, affine):
    return mask.sum() * np.prod(np.linalg.norm(affine[:3, :3], axis=0)) / 1000


# %% [markdown] tags=["solution"]
# The product of the three spacings is 6 % too much at 20 degrees. The determinant is right for any grid.

# %% [markdown]
# ## The bedside way: ABC/2
# Length times width times height, halved, with a ruler on the screen. It fits a ball. A is the largest diameter on the slice
# with most blood, B the width at 90 degrees to A, C the number of slices with blood times their distance (Kothari et al.
# let faint end slices count half or not at all; here each counts whole).
#
# The corners of every pixel of blood, in mm, as (n, 2) points:


# %%
def corners_mm(plane, dy, dx):
    rows, columns = np.nonzero(plane)
    return np.concatenate(
        [np.c_[(rows + i) * dy, (columns + j) * dx] for i in (0, 1) for j in (0, 1)]
    )


# %% [markdown]
# ### Exercise 3.4: by hand (9 min)
# For one bleed on a grid without tilt, with spacing (z, y, x) in mm: return A * B * C / 2 in mL.
#
# *Hint:* A is the largest distance between two corners. The line between these two has a direction; turn it by 90 degrees
# and see how far the corners spread along that.
#
# *Second hint:* `points[:, None] - points` holds all differences; the direction (u, v) turned by 90 degrees is (-v, u);
# `np.ptp(points @ direction)` is the spread.


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
# The factor 1/2 stands for pi/6, which is 0.52. Extents along the picture's own axes are no diameters: for an oblique
# ellipsoid they are far too large. `abc2_ml` of the library measures along A and B too.

# %% [markdown]
# ## Break it: a shape that is no ball
# **Predict:** what does ABC/2 make of a thin crescent under the skull?

# %%
for name in ("intraparenchymal", "subdural", "epidural"):
    nifti = phantom(12, bleeds=[name])
    print(
        f"{name:17} {nifti.truth.sum() * nifti.scan.voxel_ml:5.1f} mL by voxels, "
        f"{abc2_ml(nifti.truth, nifti.scan.affine):5.1f} by ABC/2"
    )

# %% [markdown]
# Whoever decides on surgery at 30 mL by a ruler had better have a round bleed.
#
# ## Recap
# - No array without its affine.
# - One order inside the program; the file's own order on the way out.
# - mL are voxels times the determinant.
#
# **Sources** NIfTI-1; DICOM PS3.3 C.7.6.2; Kothari et al., Stroke 1996;27:1304 (ABC/2).
#
# **Next** 4. The data set
