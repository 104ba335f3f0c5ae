# %% [markdown]
# # 6. Preparing pictures
# **You will** find three faults with which published pipelines lost bleeds before a network saw them, correct each
# fault, and keep a picture and its mask together.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** lesson 5.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import cv2
import numpy as np

from ich_lib import WINDOWS, phantom
from ich_lib.course import attempt
from ich_lib.course.contrast import clahe, to_8_bit
from ich_lib.course.corrupt_files import drop_corrupt
from ich_lib.course.preparation import compare_shrinking
from ich_lib.course.real import real_slice
from ich_lib.prepare.augment import Augment, apply_warp, draw_warp
from ich_lib.prepare.window import window
from ich_lib.show import row

# %% [markdown]
# ## Smaller pictures: every fourth pixel loses bleeds
# System 001 made pictures smaller by keeping every fourth pixel: `small[i, j] = large[4 * i, 4 * j]`. Fifteen of
# sixteen pixels are not used at all. The next cell does this to a phantom with subarachnoid blood and 512 x 512 pixels:

# %%
case = phantom(7, bleeds=["subarachnoid"], pixels=512, slices=12, thickness_mm=10)
k = int(case.truth.sum(axis=(1, 2)).argmax())
hu, blood = case.scan.hu[k], case.truth[k]
row(
    [hu, hu[::4, ::4]],
    ["512 x 512", "every fourth pixel"],
    through="brain",
    masks=[blood, blood[::4, ::4]],
    height=4,
)

# %% [markdown]
# ### Exercise 6.1: make it smaller and use every pixel (5 min)
# Shrink a square picture to `size` x `size` pixels. Each new pixel is the *mean* of the pixels that it covers (from 512
# to 128, these are 4 x 4 pixels).
#
# *Hint:* every pixel counts in the result, with the same weight.
#
# *Second hint:* use `reshape(size, step, size, step)` and a mean over two axes, or `cv2.resize` with `INTER_AREA`.


# %% tags=["exercise"]
def shrink(picture, size):
    # your code here
    # solution
    return cv2.resize(
        picture.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA
    )


# %% tags=["check"]
dot = np.zeros((8, 8))
dot[5, 6] = 16.0
if tested := attempt("6.1", shrink):
    mine = tested(dot, 2)
    assert mine[1, 1] > 0, (
        "The dot is gone: a bleed smaller than four pixels would vanish like this."
    )
    np.testing.assert_allclose(
        mine, [[0, 0], [0, 1]], err_msg="16 spread over 4 x 4 pixels is 1."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: The dot is gone
def shrink(picture, size):
    step = len(picture) // size
    return picture[::step, ::step]


# %% tags=["mistake"]
# refused: 16 spread over 4 x 4 pixels is 1
def shrink(picture, size):
    step = len(picture) // size
    return picture.reshape(size, step, size, step).max(axis=(1, 3))


# %% [markdown] tags=["solution"]
# The library compares both methods on the whole head. It counts the separate pieces of blood that vanish, the change of
# the area of blood, and the false pattern in the brain:

# %%
brain = (case.scan.hu > 0) & (case.scan.hu < 80)
for method in ("nearest", "area"):
    shrinkage = compare_shrinking(case.scan.hu, case.truth, 128, method, tissue=brain)
    print(
        f"{method:8} {shrinkage.vanished_lesions} of {shrinkage.lesions} pieces "
        "vanish, area "
        f"{shrinkage.area_error:+.0%}, false pattern {shrinkage.aliasing:.1f} HU"
    )

# %% [markdown]
# Now a slice of patient 084, shrunk from 650 x 650 to 162 x 162 pixels. **Predict:** how much of the area of blood is
# left with each method?

# %%
real_hu, real_blood = real_slice("084")
averaged = cv2.resize(real_hu, (162, 162), interpolation=cv2.INTER_AREA)
shares = cv2.resize(
    real_blood.astype(np.float32), (162, 162), interpolation=cv2.INTER_AREA
)
thin = real_blood[::4, ::4]
print(
    f"{real_blood.sum()} px; every fourth {16 * thin.sum()}, "
    f"mean {16 * shares.sum():.0f}"
)
row(
    [real_hu, averaged],
    ["650", "162, mean"],
    through="brain",
    masks=[real_blood, shares > 0.5],
)

# %% [markdown]
# This bleed is much larger than four pixels, so both methods keep its area within 1 %. Only pieces of a few pixels
# vanish, as in the phantom. The mean also reduces noise, because it uses sixteen times as many pixels.
#
# ## More contrast is not better: CLAHE
# CLAHE (contrast-limited adaptive histogram equalization) divides a picture into tiles and gives each tile its own gray
# curve. **Predict:** do two places of 35 HU still have the same gray?

# %%
gray = window(hu, *WINDOWS["brain"])
pretty = clahe(to_8_bit(gray)) / 255
tissue = (hu > 30) & (hu < 40)
row([gray, pretty], ["brain window", "CLAHE"], height=4)

# %%
for name, picture in {"brain window": gray, "CLAHE": pretty}.items():
    low, high = np.percentile(picture[tissue], [5, 95])
    print(f"{name:13} brain of 30 to 40 HU spans {high - low:.2f} of the gray scale")

# %% [markdown]
# The same brain tissue now spans more of the gray scale. More contrast may help the eye, but for a network a gray no
# longer stands for one CT number.
#
# ## Spot the bug: padding that blacks out
# System 004 padded pictures to a square with code like this:


# %%
def pad(image, size):
    height, width = image.shape
    image = np.zeros((size, size), image.dtype)
    image[:height, :width] = image[:height, :width]
    return image


print("gray left after padding:", pad(gray[:, 40:470], 512).sum())

# %% [markdown]
# ### Exercise 6.2: fix it (5 min)
# Write the same function so that the picture is in the square, at the top left.
#
# *Hint:* the code above overwrites `image` with zeros before it copies from it.
#
# *Second hint:* give the empty square another name, such as `canvas`.


# %% tags=["exercise"]
def pad_fixed(image, size):
    # your code here
    # solution
    canvas = np.zeros((size, size), image.dtype)
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas


# %% tags=["check"]
strip = np.arange(1.0, 7.0).reshape(2, 3)
if tested := attempt("6.2", pad_fixed):
    mine = tested(strip, 4)
    assert mine.shape == (4, 4), f"A square of 4 is wanted, not {mine.shape}."
    assert mine.sum() == strip.sum(), "Gray was lost: the picture did not survive."
    np.testing.assert_array_equal(
        mine[:2, :3], strip, err_msg="The picture belongs to the top left."
    )
    tested.passes()

# %% tags=["mistake"]
# refused: Gray was lost
pad_fixed = pad


# %% tags=["mistake"]
# refused: A square of 4 is wanted
def pad_fixed(image, size):
    return np.pad(image, ((0, size - image.shape[1]), (0, size - image.shape[0])))


# %% [markdown] tags=["solution"]
# Every picture padded with that code was black and kept its label, which could be "bleeding". A look at ten prepared
# pictures would have shown the fault.

# %% [markdown]
# ## A file that cannot be read
# In the list `pictures`, `None` stands for a file that could not be read. System 004 used a black picture for such a
# file and kept its label.
#
# ### Exercise 6.3: remove picture and label together (5 min)
# Remove unreadable pictures *and* their labels. Return three lists: the pictures, the labels, and the positions of the
# pictures that were left out.
#
# *Hint:* decide once which positions stay, and use this decision for both lists.
#
# *Second hint:* make a list of the positions that stay, with `enumerate`.


# %% tags=["exercise"]
def readable(pictures, labels):
    # your code here
    # solution
    remaining = [i for i, picture in enumerate(pictures) if picture is not None]
    out = [i for i, picture in enumerate(pictures) if picture is None]
    return [pictures[i] for i in remaining], [labels[i] for i in remaining], out


# %% tags=["check"]
if tested := attempt("6.3", readable):
    mine = tested(["a", None, None, "d"], [0, 1, 1, 0])
    assert len(mine[0]) == len(mine[1]), (
        "Pictures and labels are no longer of one length."
    )
    assert list(mine[1]) == [0, 0], "The labels kept belong to other pictures."
    assert list(mine[2]) == [1, 2], (
        "Say which were left out, so that somebody can fetch them again."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: Pictures and labels are no longer of one length
def readable(pictures, labels):
    return [p for p in pictures if p is not None], labels, [1, 2]


# %% tags=["mistake"]
# refused: The labels kept belong to other pictures
def readable(pictures, labels):
    remaining = [p for p in pictures if p is not None]
    return remaining, labels[: len(remaining)], [1, 2]


# %% [markdown] tags=["solution"]
# The library's readers do the same and name every file in `table.report`. `drop_corrupt` does it for lists:

# %%
pictures, labels, out = drop_corrupt(
    [gray, None, pretty], np.array([True, True, False])
)
print("kept", len(pictures), "labels", labels, "left out", out)

# %% [markdown]
# ## Picture and mask move together
# Augmentation shows the network heads that are turned, shifted or larger. The mask must move with its picture. If the
# mask is moved by a second random draw, it outlines the wrong place:

# %%
augment, rng = Augment(), np.random.default_rng(4)
move, second_move = draw_warp(augment, rng), draw_warp(augment, rng)
stack, share = hu[None], 255 * blood[None].astype(np.uint8)
warped, mask = apply_warp(stack, share, 256, move)
wrong = apply_warp(stack, share, 256, second_move)[1]
row(
    [warped[0], warped[0]],
    ["one draw", "two draws"],
    through="brain",
    masks=[mask[0], wrong[0]],
    height=4,
)

# %% [markdown]
# ### Exercise 6.4: mirror both (5 min)
# Flip picture and mask left to right in half of the calls. In each call flip both or none.
#
# *Hint:* how many random decisions does one call need?
#
# *Second hint:* draw one random number first, and use it for both.


# %% tags=["exercise"]
def flip(picture, mask, rng):
    # your code here
    # solution
    if rng.random() < 0.5:
        return picture[:, ::-1], mask[:, ::-1]
    return picture, mask


# %% tags=["check"]
left = np.array([[1, 0, 0]])
if tested := attempt("6.4", flip):
    mine = tested(left, left, np.random.default_rng(0))
    pairs = [tested(left, left, np.random.default_rng(seed)) for seed in range(200)]
    n_different = sum(not np.array_equal(a, b) for a, b in pairs)
    assert n_different == 0, (
        f"In {n_different} of 200 calls the mask went another way than its picture."
    )
    share = np.mean([a[0, 2] for a, _ in pairs])
    assert 0.35 < share < 0.65, f"Half of the calls should flip; {share:.0%} do."
    tested.passes()


# %% tags=["mistake"]
# refused: the mask went another way
def flip(picture, mask, rng):
    picture = picture[:, ::-1] if rng.random() < 0.5 else picture
    mask = mask[:, ::-1] if rng.random() < 0.5 else mask
    return picture, mask


# %% tags=["mistake"]
# refused: Half of the calls should flip
def flip(picture, mask, rng):
    return picture[:, ::-1], mask[:, ::-1]


# %% [markdown] tags=["solution"]
# Augment only the training pictures. System 000 also augmented its validation pictures, so it measured its network on
# changed pictures.

# %% [markdown]
# ## Break it: a mask with gray edges
# **Predict:** a mask of 0 and 1 is rotated with linear interpolation. Which values does it hold afterwards, and where
# do they lie?

# %%
spun = cv2.warpAffine(
    blood.astype(np.float32), cv2.getRotationMatrix2D((256, 256), 10, 1), (512, 512)
)
print(
    f"{np.count_nonzero((spun > 0.01) & (spun < 0.99))} pixels are neither; blood "
    f"before {blood.sum()}, at 0.5 {np.count_nonzero(spun >= 0.5)}"
)

# %% [markdown]
# Pixels at the edge get values between 0 and 1. A threshold of one half after the rotation keeps the area nearly the
# same. A threshold of "more than 0" makes the mask thicker with every rotation.
#
# ## Recap
# - Average when you shrink. The same gray must stand for the same CT number.
# - Look at ten prepared pictures before you train.
# - Move or remove picture, mask and label together.
#
# **Sources** Systems 000, 001 and 004 of the course; Zuiderveld 1994 (CLAHE).
#
# **Next** 7. A U-Net from nothing
