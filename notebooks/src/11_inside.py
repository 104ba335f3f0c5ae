# %% [markdown]
# # 11. Looking inside
# **You will** compute a heat map by hand, compare several kinds of heat maps, and test them against a network with
# random weights.
#
# **Time** 40 min. **Runs on** a laptop or free Colab, no GPU, 3 min. **Before this** lesson 10.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import binary_erosion

from ich_lib import explain, load, phantom
from ich_lib.course import attempt
from ich_lib.data.real_heads import real_head
from ich_lib.explanation import load_network
from ich_lib.explanation.methods import cam, grad_cam, saliency, smooth_grad
from ich_lib.explanation.scored import energy_inside
from ich_lib.models.pictures import model_inputs
from ich_lib.prepare.head import crop, field_box
from ich_lib.show import explanation, row

# %% [markdown]
# ## Which places raise the score?
# The shipped model gives a head a high score for `any`. One call draws a heat map of the places that raise this score:

# %%
case = phantom(101, bleeds=["intraparenchymal"], slices=16, thickness_mm=8)
explanation(
    case.scan, explain(case.scan, "cam"), title="cam: the score for any", slices=3
)

# %% [markdown]
# For the next steps we need one slice as the model gets it (`picture`), and the true blood cut to the same frame
# (`blood`).

# %%
shipped = load().classifier
model = load_network("shipped", shipped)
k = int(case.truth.sum(axis=(1, 2)).argmax())
box = field_box(case.scan.hu, shipped.recipe.field)
picture = model_inputs(case.scan.hu, box, shipped.recipe, range(k, k + 1))[0]
blood = crop(case.truth[k].astype(np.float32), box, shipped.recipe.size) > 0.5
mask, scores = model.predict(picture, verbose=0)
print("picture", picture.shape, " score for any:", scores[0, -1].round(2))

# %% [markdown]
# ## A heat map by hand
# The model computes 96 feature maps, averages each over the picture, and adds up these means with one weight each. So
# the contribution of each *place* to the score is its features times the weights. A map of these contributions is a
# *class activation map* (CAM).
#
# ### Exercise 11.1: the class activation map (7 min)
# `features` has the shape (rows, columns, k), and `weights` has the shape (k,). Return the contribution of each place
# to the score, with the shape (rows, columns). Negative contributions become 0.
#
# *Hint:* at each place there is a vector of features and one vector of weights.
#
# *Second hint:* `features @ weights`, then `np.maximum(..., 0)`.


# %% tags=["exercise"]
def activation_map(features, weights):
    # your code here
    # solution
    return np.maximum(features @ weights, 0)


# %% tags=["check"]
toy = np.zeros((2, 2, 2))
toy[0, 0], toy[1, 1] = [1, 0], [0, 1]
if tested := attempt("11.1", activation_map):
    mine = tested(toy, np.array([2.0, -3.0]))
    assert mine.shape == (2, 2), (
        f"One number per place is needed, (2, 2), not {mine.shape}."
    )
    assert mine.min() >= 0, "What speaks against bleeding is no reason for it: 0."
    np.testing.assert_allclose(
        mine, [[2, 0], [0, 0]], err_msg="The first place adds 2, the last one nothing."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: What speaks against bleeding
def activation_map(features, weights):
    return features @ weights


# %% tags=["mistake"]
# refused: One number per place
def activation_map(features, weights):
    return np.maximum((features * weights).mean(axis=(0, 1)), 0)


# %% [markdown] tags=["solution"]
# The next cell computes the map of the real network in the same way. It compares the result with the map that the
# exported model gives as its third output. The exported file stores its weights in 16 bits, so the two maps differ by
# less than 0.01:

# %%
bottom = keras.Model(model.input, model.get_layer("features").output)
features = bottom.predict(picture, verbose=0)[0]
weights = model.get_layer("scores").get_weights()[0][:, -1]
by_hand = np.maximum(features @ weights, 0)
served = cam(shipped, picture)[0]
print(
    "features",
    features.shape,
    " largest difference to the served map:",
    np.abs(by_hand - served).max(),
)

# %% [markdown]
# ## Grad-CAM works for other network ends too
# A class activation map needs a certain end of the network: global average pooling, then exactly one linear layer.
# Other networks end in several dense layers, or flatten the features. For them Grad-CAM takes the weight of each
# feature map from the *gradient* of the score.
#
# ### Exercise 11.2: Grad-CAM by hand (7 min)
# The weight of a feature map is the mean of its gradient over all places. Then compute the map as in exercise 11.1.
#
# *Hint:* only the weights are new. You need one number for each feature map.
#
# *Second hint:* both arrays have the shape (rows, columns, k), so take the mean over the first two axes.


# %% tags=["exercise"]
def my_grad_cam(features, gradients):
    # your code here
    # solution
    return np.maximum(features @ gradients.mean(axis=(0, 1)), 0)


# %% tags=["check"]
slopes = np.zeros((2, 2, 2))
slopes[..., 0], slopes[0, 0, 1] = 1.0, -4.0
if tested := attempt("11.2", my_grad_cam):
    mine = tested(toy, slopes)
    assert np.shape(mine) == (2, 2), "One number per place is needed."
    wrong = (
        "Weights are 1 and -1 (means over four places): the first place adds 1, "
        "the last one nothing."
    )
    np.testing.assert_allclose(mine, [[1, 0], [0, 0]], err_msg=wrong)
    tested.passes()


# %% tags=["mistake"]
# refused: means over four places
def my_grad_cam(features, gradients):
    return np.maximum(features @ gradients.sum(axis=(0, 1)), 0)


# %% [markdown] tags=["solution"]
# With pooling and one dense layer, the gradient is the weight divided by the number of places. So Grad-CAM and CAM
# differ only by a constant factor (Selvaraju et al. 2017, section 3.1). Here the 16 bits add a small difference:

# %%
own_cam = grad_cam(model, picture)[0]
print(
    "Grad-CAM against CAM, each scaled to 1:",
    np.abs(own_cam / own_cam.max() - served / served.max()).max().round(6),
)

# %% [markdown]
# ## Several kinds of heat maps
# Grad-CAM is coarse, because it has one value for each place of the 12 x 12 feature maps. Saliency is the gradient of
# the score by each pixel. SmoothGrad is the mean of several saliency maps with noise added to the picture. **Predict:**
# which map marks the blood best?

# %%
large = lambda heat: crop(
    heat / heat.max(), type(box)(0, 0, len(heat)), shipped.recipe.size
)
maps = {
    "Grad-CAM": grad_cam(model, picture)[0],
    "saliency": saliency(model, picture)[0],
    "SmoothGrad": smooth_grad(model, picture, samples=8)[0],
}
slice_seen = picture[0, ..., 2]  # this slice in the brain window
row(
    [slice_seen, *[large(heat) for heat in maps.values()]],
    ["slice", *maps],
    masks=[blood] * 4,
    height=3,
)

# %% [markdown]
# ## Spot the bug: an empty map becomes NaN
# A tutorial that many people copy divides each map by its maximum. The next cell does this with an empty map:

# %%
zeros = np.zeros((2, 2))
with np.errstate(invalid="ignore"):
    print(zeros / zeros.max())

# %% [markdown]
# ### Exercise 11.3: fix it (4 min)
# Return the map scaled to a maximum of 1. An empty map must stay empty. Do not change the input.
#
# *Hint:* which division fails, and which result do we need instead?
#
# *Second hint:* compute the maximum first, and divide only if it is above 0.


# %% tags=["exercise"]
def scale(heat):
    # your code here
    # solution
    top = heat.max()
    return heat / top if top > 0 else heat * 0.0


# %% tags=["check"]
ramp = np.array([[0.0, 2.0]])
if tested := attempt("11.3", scale):
    mine = tested(ramp)
    with np.errstate(invalid="ignore"):
        empty = tested(zeros)
    assert np.isfinite(empty).all(), (
        "An empty map became NaN, and a plot may draw NaN as red."
    )
    assert empty.max() == 0, "An empty map must stay empty."
    np.testing.assert_allclose(mine, [[0, 1]], err_msg="A peak of 2 becomes 1.")
    tested.passes()


# %% tags=["mistake"]
# refused: An empty map became NaN
def scale(heat):
    return heat / heat.max()


# %% [markdown] tags=["solution"]
# If every slice has its own scale, weak heat on a clean slice looks as strong as heat on a bleed. The demo uses one
# scale for the whole scan.

# %% [markdown]
# ## Does it look at the blood?
# ### Exercise 11.4: energy inside (5 min)
# Return the share of the sum of a map that lies in the blood, and 0 for an empty map. This share is called the *energy
# inside*.
#
# *Hint:* compare the sum over the whole map with the sum over the blood.
#
# *Second hint:* the sum over the blood is `heat[blood].sum()`.


# %% tags=["exercise"]
def inside(heat, blood):
    # your code here
    # solution
    return heat[blood].sum() / heat.sum() if heat.any() else 0.0


# %% tags=["check"]
spot = np.array([[True, False], [False, False]])
if tested := attempt("11.4", inside):
    mine = tested(np.array([[1.0, 1.0], [1.0, 1.0]]), spot)
    assert np.isclose(mine, 0.25), (
        f"One of four equal places is blood: 0.25, not {mine:.2f}."
    )
    assert tested(np.zeros((2, 2)), spot) == 0, (
        "An empty map has no energy anywhere: 0, not NaN."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: 0.25, not
def inside(heat, blood):
    return heat[blood].mean() / heat.mean() if heat.any() else 0.0


# %% [markdown] tags=["solution"]
# Compare this number with the share of the picture that is blood. A map with the same value everywhere reaches that
# share without any knowledge.

# %% [markdown]
# ## A real head
# The next cell draws the map of the shipped model for patient 066. **Predict:** does the place with the most heat lie
# in the blood?

# %%
real = real_head("066")
explanation(
    real.scan, explain(real.scan, "cam"), title="patient 066, epidural", slices=3
)

# %% [markdown]
# ## A whole scan in little memory
# Drawing every voxel of a scan needs too much memory: matplotlib's `voxels` would handle 12 million boxes with six
# faces each. Two steps save memory. The map is stored in half precision, and only the surface of the bleed is drawn.
# **Predict:** how many points does the surface have?

# %%
heat, voxels = explain(real.scan, "cam"), real.truth.size
print(f"{voxels / 1e6:.1f} million voxels")
for kind in (heat.dtype, np.dtype(np.float64)):
    print(f"as {kind}: {voxels * kind.itemsize >> 20} MiB")
z, y, x = np.nonzero(real.truth & ~binary_erosion(real.truth))
print(len(z), "points on the surface of the true bleed")

# %%
area = real.truth.sum(axis=(1, 2))
plt.figure(figsize=(9, 3))
plt.subplot(1, 2, 1)
plt.plot(heat.max(axis=(1, 2)), label="maximum of the heat in the slice")
plt.plot(area / area.max(), label="true blood, the largest slice as 1")
plt.xlabel("slice, foot to head")
plt.legend(fontsize=8)
space = plt.subplot(1, 2, 2, projection="3d")
space.scatter(x, y, z, s=1, c=heat[z, y, x], cmap="inferno", vmin=0, vmax=1)
space.set(xlabel="x", ylabel="y, nose to back", zlabel="slice")
space.invert_yaxis()
plt.show()

# %% [markdown]
# About ten thousand points are drawn quickly. In this head the heat is strongest in the slice with the most blood, but
# its maximum lies outside the outline. The heat also continues into slices above and below that show no blood.
#
# ## The random-weight check
# The next cell gives the same network new random weights. **Predict:** how much of its heat lies in the blood?

# %%
random = keras.models.clone_model(model)
heats = {"trained": grad_cam(model, picture)[0], "random": grad_cam(random, picture)[0]}
for name, heat in heats.items():
    print(
        f"{name:8} energy inside {energy_inside(large(heat), blood):.3f}   (blood is "
        f"{blood.mean():.3f} of the picture)"
    )
row(
    [slice_seen, *[large(heat) for heat in heats.values()]],
    ["slice", *heats],
    masks=[blood] * 3,
    height=3,
)

# %% [markdown]
# If a map looks the same with random weights, it shows the picture and not what the model learned (Adebayo et al.
# 2018). On 236 bleeding slices of CT-ICH, judged in five folds, the energy inside of `unet-both`, the model that was
# shipped before, is 2.8 times that of random weights (95 % interval 2.4 to 3.3). Its maximum lies in or beside the
# blood in 20 % of the slices. So the map is a hint, not an outline.
#
# ## Break it: heat without blood
# The next cell explains a head without blood. **Predict:** is its map empty?

# %%
clean = phantom(101, slices=16, thickness_mm=8)
explanation(
    clean.scan, explain(clean.scan, "cam"), title="the same person, no blood", slices=3
)

# %% [markdown]
# Every map that is not empty has a maximum, even without blood. So heat alone is no evidence of a bleed. Read the slice
# and the score too.
#
# ## Recap
# - CAM is features times weights. Grad-CAM takes the weights from the gradient.
# - Use one scale for a scan, and keep an empty map empty.
# - Compare every map with the true mask and with random weights.
#
# **Sources** Zhou et al. 2016, arXiv:1512.04150; Selvaraju et al. 2017, arXiv:1610.02391; Adebayo et al. 2018,
# arXiv:1810.03292; Wang et al. 2020, arXiv:1910.01279.
#
# **Next** 12. Is it true?
