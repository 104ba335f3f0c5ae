# %% [markdown]
# # 2. Windows: what the eye can see
# **You will** turn Hounsfield units into pictures and fix a scaling that many pipelines get wrong.
#
# **Time** 30 min. **Runs on** a laptop or free Colab, no GPU, under 1 min. **Before this** lesson 1.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from ich_lib import WINDOWS, phantom
from ich_lib.course import attempt, is_attempted, mark_correct
from ich_lib.course.real import real_slice
from ich_lib.prepare.window import unwindow, window
from ich_lib.show import row

# %% [markdown]
# ## A head spans 3000 HU; a picture has 256 grays
# If all 3000 HU shared 256 grays, each gray would stand for 12 HU. A *window* shows only a part of the CT numbers, and
# spreads this part from black to white. The next cell shows one slice through three windows:

# %%
case = phantom(101, bleeds=["epidural"])
k = int(case.truth.sum(axis=(1, 2)).argmax())  # the slice with most blood
hu = case.scan.hu[k]
names = ["brain", "subdural", "bone"]
row(
    [window(hu, *WINDOWS[name]) for name in names],
    [f"{name} {WINDOWS[name]}" for name in names],
)

# %% [markdown]
# Water, brain and blood lie within 80 of these 3000 HU. The histogram counts the pixels of the slice (its vertical axis
# is logarithmic):

# %%
figure, axes = plt.subplots(figsize=(9, 3))
axes.hist(
    hu[hu > -500].ravel(), bins=np.arange(-200, 1500, 5), color="#999999", log=True
)
axes.hist(hu[case.truth[k]], bins=np.arange(-200, 1500, 5), color="#D55E00", log=True)
axes.axvspan(0, 80, color="#56B4E9", alpha=0.25)
axes.set(
    xlabel="CT number, HU",
    ylabel="pixels",
    title="one slice; blue: the brain window; orange: the blood",
)
plt.show()

# %% [markdown]
# The next cell shows a real epidural bleed through the same three windows. The bleed lies along the skull. Which window
# shows the border between blood and bone best?

# %%
real_hu, real_blood = real_slice("066")
windows = [window(real_hu, *WINDOWS[name]) for name in names]
row(windows, names, masks=[real_blood & False, real_blood & False, real_blood])

# %% [markdown]
# ### Exercise 2.1: a window by hand (5 min)
# Write a window. `level - width / 2` and everything below become 0. `level + width / 2` and everything above become 1.
# Between the two, the result is a straight line.
#
# *Hint:* subtract the lower end of the window and divide by the width. Then limit the values that lie outside 0 to 1.
#
# *Second hint:* `np.clip(values, 0, 1)`.


# %% tags=["exercise"]
def my_window(hu, level, width):
    # your code here
    # solution
    return np.clip((hu - (level - width / 2)) / width, 0, 1)


# %% tags=["check"]
if tested := attempt("2.1", my_window):
    mine = tested(np.array([-1000, 0, 20, 40, 80, 3000]), level=40, width=80)
    wrong = (
        "Brain window (40, 80): 0 HU is black, 40 HU is middle gray, 80 HU and "
        "all above is white."
    )
    np.testing.assert_allclose(mine, [0, 0, 0.25, 0.5, 1, 1], err_msg=wrong)
    tested.passes()


# %% tags=["mistake"]
# refused: 80 HU and all above is white
def my_window(hu, level, width):
    return (hu - (level - width / 2)) / width


# %% tags=["mistake"]
# refused: 40 HU is middle gray
def my_window(hu, level, width):
    return np.clip((hu - level) / width, 0, 1)


# %% [markdown] tags=["solution"]
# The clip is easily forgotten. Without it air becomes -12 and dense skull about 20, and a picture scaled to that range
# shows brain and blood in nearly the same gray. The library's `window` does the same as your function, in 32-bit
# numbers:

# %%
by_hand = np.clip((hu - 0) / 80, 0, 1)
print(
    "largest difference to the library:",
    np.abs(by_hand - window(hu, *WINDOWS["brain"])).max(),
)

# %% [markdown]
# ## Which window shows a thin bleed next to bone?
# **Predict:** blood is 60 HU, brain 35 HU and skull 1000 HU. On a scale of 0 to 255, how many gray steps lie between
# blood and brain, and between skull and blood?

# %%
for name in ("brain", "subdural", "bone"):
    brain, blood, bone = (
        255 * window(np.array([35, 60, 1000]), *WINDOWS[name])
    ).round()
    print(
        f"{name:9} blood - brain {blood - brain:4.0f}   skull - blood "
        f"{bone - blood:4.0f}"
    )

# %% [markdown]
# <details><summary>What the numbers mean</summary>
#
# In the brain window blood is 79 steps brighter than brain, but only 64 steps darker than skull. A thin layer of blood
# on the bone is hard to see there, especially if a 5 mm slice averages blood and bone. The subdural window has 153
# steps between skull and blood, but only 32 between blood and brain. No window is best for everything. Therefore the
# shipped model gets two windows.
# </details>
#
# ### Exercise 2.2: your own window (7 min)
# Choose a level and a width. Blood (60 HU) must be at least 40 steps brighter than brain (35 HU) **and** at least 100
# steps darker than skull (1000 HU).
#
# *Hint:* one HU makes 255 / width gray steps. Choose the width first, then move the level.
#
# *Second hint:* 25 HU must make 40 steps. How large may the width be?

# %% tags=["exercise"]
my_level, my_width = None, None
# solution
my_level, my_width = 75, 150

# %% tags=["check"]
if is_attempted("2.2", my_level, my_width):
    brain, blood, bone = 255 * window(np.array([35, 60, 1000]), my_level, my_width)
    assert blood - brain >= 40, (
        f"Blood is {blood - brain:.0f} steps above brain; 40 are needed. "
        "Narrower width."
    )
    assert bone - blood >= 100, (
        f"Skull is {bone - blood:.0f} steps above blood; 100 are needed. Higher level."
    )
    mark_correct("2.2")

# %% tags=["mistake"]
# refused: Narrower
my_level, my_width = 100, 400

# %% tags=["mistake"]
# refused: Higher level
my_level, my_width = 40, 80

# %% [markdown] tags=["solution"]
# 25 HU must make 40 of 255 steps, so the width may be at most 25 * 255 / 40 = 159 HU. Take 150. Skull is white (255),
# so blood must lie at 155 or below. Its gray is 255 * (60 - level + 75) / 150, and a level of 75 gives 102.

# %% [markdown]
# ## Spot the bug: every slice scaled to its own limits
# A script scales each slice by its own darkest and brightest voxel, because "a network wants numbers between 0 and 1".
# The cell applies it to the same slice, without and with a metal clip:


# %%
def scaled_by_itself(hu):
    return (hu - hu.min()) / (hu.max() - hu.min())


clipped = hu.copy()
clipped[60:63, 100:103] = 3000  # an aneurysm clip
for name, rescaled in {"slice": hu, "with a clip": clipped}.items():
    brain = (rescaled > 20) & (rescaled < 45)
    print(
        f"{name:12} brain is {scaled_by_itself(rescaled)[brain].mean():.3f}, blood "
        f"{scaled_by_itself(rescaled)[case.truth[k]].mean():.3f}"
    )

# %% [markdown]
# Nine voxels of metal change the number of all brain voxels, although the brain is the same. A network then sees the
# same HU as different grays in different slices.
#
# ### Exercise 2.3: fix it (5 min)
# Write a scaling with three properties. The result lies between 0 and 1. The same HU gives the same result in every
# slice. A difference of 25 HU makes at least a fifth of the range.
#
# *Hint:* the limits of the scale must not depend on the slice.
#
# *Second hint:* you wrote such a function in exercise 2.1.


# %% tags=["exercise"]
def scaled_alike(hu):
    # your code here
    # solution
    return window(hu, *WINDOWS["brain render"])


# %% tags=["check"]
plain, with_metal = np.array([[35.0, 60.0, -1000.0]]), np.array([[35.0, 60.0, 3000.0]])
if tested := attempt("2.3", scaled_alike):
    a, b = tested(plain), tested(with_metal)
    assert 0 <= np.min(b) <= np.max(b) <= 1, (
        "The result must lie between 0 and 1, with metal too."
    )
    assert np.allclose(a[0, :2], b[0, :2]), (
        "Metal in a slice must not change the gray of its brain."
    )
    assert a[0, 1] - a[0, 0] >= 0.2, (
        f"25 HU make {a[0, 1] - a[0, 0]:.3f} of the range; a fifth is asked."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Metal in a slice must not change the gray of its brain
def scaled_alike(hu):
    return (hu - hu.min()) / (hu.max() - hu.min())


# %% tags=["mistake"]
# refused: a fifth is asked
def scaled_alike(hu):
    return np.clip((hu + 1000) / 4000, 0, 1)


# %% [markdown] tags=["solution"]
# Any fixed window with a width of at most 125 HU passes. The shipped model gets the window "brain render" (-20 to 100
# HU), because the pictures of CT-ICH were made with it, and a bone window.

# %% [markdown]
# ## A JPG keeps only what its window shows
# CT-ICH 1.0.0 consists of pictures with 8 bits. The next cell makes such a brain picture and computes HU from its grays
# again. **Predict:** how many HU does the skull get?

# %%
picture = (255 * window(hu, *WINDOWS["brain render"])).round().astype(np.uint8)
hu_back = unwindow(picture / 255, *WINDOWS["brain render"])
skull = hu > 500
print(
    f"skull: {hu[skull].mean():.0f} HU in the scan, {hu_back[skull].mean():.0f} HU "
    "from the picture"
)
print(f"brain: error {np.abs(hu_back - hu)[(hu > 0) & (hu < 80)].max():.2f} HU at most")

# %% [markdown]
# ### Exercise 2.4: two pictures make a scan (8 min)
# Compute HU from two pictures of one slice. Use the brain picture where it is neither black nor white, and the bone
# picture elsewhere.
#
# *Hint:* which two gray values of the brain picture stand for many different HU?
#
# *Second hint:* use `np.where(condition, fine, coarse)`, `unwindow` and `WINDOWS["bone render"]`.


# %% tags=["exercise"]
def hu_from_two(brain, bone):
    # your code here
    # solution
    fine = unwindow(brain / 255, *WINDOWS["brain render"])
    coarse = unwindow(bone / 255, *WINDOWS["bone render"])
    return np.where((brain > 0) & (brain < 255), fine, coarse)


# %% tags=["check"]
bone_picture = (255 * window(hu, *WINDOWS["bone render"])).round().astype(np.uint8)
if tested := attempt("2.4", hu_from_two):
    mine = tested(picture, bone_picture)
    error = np.abs(mine - np.clip(hu, -900, 2300))
    soft, dense = (hu > -15) & (hu < 95), hu > 110
    assert error[soft].max() < 0.5, (
        f"Brain is off by {error[soft].max():.1f} HU; take it from the brain picture."
    )
    assert error[dense].max() < 7, (
        f"Bone is off by {error[dense].max():.0f} HU; where the brain picture is "
        "white, take the bone picture."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: take it from the brain picture
def hu_from_two(brain, bone):
    return unwindow(bone / 255, *WINDOWS["bone render"])


# %% tags=["mistake"]
# refused: where the brain picture is white, take the bone picture
def hu_from_two(brain, bone):
    return unwindow(brain / 255, *WINDOWS["brain render"])


# %% [markdown] tags=["solution"]
# A gray step of the brain picture is 0.5 HU, and a gray step of the bone picture is 12.5 HU. The library reads CT-ICH
# in the same way (`ich_lib.data.ct_ich`): HU are fine from -20 to 100, and coarse outside.

# %% [markdown]
# ## Break it: a picture with an unknown window
# A picture was made with level 40 and width 80, and is read as "brain render" (40/120). **Predict:** how many HU does
# 35 HU become?

# %%
shot = window(np.array([0, 35, 60]), *WINDOWS["brain"])
for true, read in zip(
    (0, 35, 60), unwindow(shot, *WINDOWS["brain render"]), strict=True
):
    print(f"{true:3} HU is read as {read:5.1f} HU")

# %% [markdown]
# All three values are wrong, and there is no error. A model that expects true HU may then miss a faint clot. The
# library asks for the window of a picture. Without it, the scan is marked "HU unknown".
#
# ## Recap
# - Outside its window a picture is only black or white.
# - The same HU must give the same gray in every slice.
# - A picture no longer holds the HU outside its window.
#
# **Sources** DICOM PS3.3 C.11.2.1.3.2; Hssayeni, Data 2020;5(1):14; Lev, Radiology 1999;213:150.
#
# **Next** 3. Where is left?
