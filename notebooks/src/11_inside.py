# %% [markdown]
# # 11. Looking inside
# **You will** draw a heat map by hand, meet its family, and find out how much a random network knows.
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
# ## Where did the answer come from?
# The shipped model reads a head and says "bleeding". One call shows where it saw reasons:

# %%
case = phantom(101, bleeds=["intraparenchymal"], slices=16, thickness_mm=8)
explanation(
    case.scan, explain(case.scan, "cam"), title="cam: the score for any", slices=3
)

# %% [markdown]
# One slice as the model sees it, and its blood in the same frame.

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
# Scores are 256 feature maps, averaged over the picture, then weighed. So each *place* adds features times weights.
#
# ### Exercise 11.1: the class activation map (7 min)
# `features` is (rows, columns, k), `weights` is (k,). Give (rows, columns): what each place adds to the score, and 0 where it
# speaks against it.
#
# *Hint:* at each place there is a vector of features and one vector of weights.
#
# *Second hint:* `features @ weights`, then `np.maximum`.


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
        f"One number a place is wanted, (2, 2), not {mine.shape}."
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
# refused: One number a place
def activation_map(features, weights):
    return np.maximum((features * weights).mean(axis=(0, 1)), 0)


# %% [markdown] tags=["solution"]
# On the real network, and the map that the exported model gives as its third output:

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
# ## Grad-CAM: for networks that end otherwise
# A class activation map needs one ending only: global average pooling, then exactly one linear layer. Where a network ends
# otherwise (several dense layers, or a flattening), the *gradient* of the score tells each feature map's weight.
#
# ### Exercise 11.2: Grad-CAM by hand (7 min)
# Weight of a map: the mean of its gradient over all places. Then as before.
#
# *Hint:* only the weights are new: one number for each feature map.
#
# *Second hint:* both arrays are (rows, columns, k).


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
    assert np.shape(mine) == (2, 2), "One number a place is wanted."
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
# For pooling and one dense layer the gradient is the weight over the number of places, so both maps are one (Selvaraju et
# al. 2017, section 3.1):

# %%
own_cam = grad_cam(model, picture)[0]
print(
    "Grad-CAM against CAM, each scaled to 1:",
    np.abs(own_cam / own_cam.max() - served / served.max()).max().round(6),
)

# %% [markdown]
# ## The family
# **Predict:** which of these would you show a colleague?

# %%
large = lambda heat: crop(
    heat / heat.max(), type(box)(0, 0, len(heat)), shipped.recipe.size
)
maps = {
    "Grad-CAM": grad_cam(model, picture)[0],
    "saliency": saliency(model, picture)[0],
    "SmoothGrad": smooth_grad(model, picture, samples=8)[0],
}
slice_seen = picture[0, ..., 2]  # the slice itself through the brain window
row(
    [slice_seen, *[large(heat) for heat in maps.values()]],
    ["slice", *maps],
    masks=[blood] * 4,
    height=3,
)

# %% [markdown]
# ## Spot the bug: a map of nothing
# A widely copied tutorial scales each map by its maximum:

# %%
nothing = np.zeros((2, 2))
with np.errstate(invalid="ignore"):
    print(nothing / nothing.max())

# %% [markdown]
# ### Exercise 11.3: fix it (4 min)
# Scale to a peak of 1; an empty map stays empty. And nothing may be changed in place.
#
# *Hint:* which division fails, and what should come out of it?
#
# *Second hint:* ask for the maximum first.


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
        empty = tested(nothing)
    assert np.isfinite(empty).all(), (
        "An empty map became NaN; somebody will draw that as red."
    )
    assert empty.max() == 0, "An empty map must stay empty."
    np.testing.assert_allclose(mine, [[0, 1]], err_msg="A peak of 2 becomes 1.")
    tested.passes()


# %% tags=["mistake"]
# refused: An empty map became NaN
def scale(heat):
    return heat / heat.max()


# %% [markdown] tags=["solution"]
# A scale per picture also makes faint heat on a clean slice glow like a bleed. The app uses one scale for the whole scan.

# %% [markdown]
# ## Does it look at the blood?
# ### Exercise 11.4: energy inside (5 min)
# The share of a map's sum that lies in the blood; 0 for an empty map.
#
# *Hint:* how much heat is there in all, and how much of it lies in the blood?
#
# *Second hint:* `heat[blood].sum()`.


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
# Beside it belongs the share of the picture that is blood: a map that is even everywhere reaches that without knowing
# anything.

# %% [markdown]
# ## A real head
# The map of the shipped model for patient 066. **Predict:** does the hottest place lie in the blood?

# %%
real = real_head("066")
explanation(
    real.scan, explain(real.scan, "cam"), title="patient 066, epidural", slices=3
)

# %% [markdown]
# ## A whole scan, in little memory
# Whoever draws every voxel of a scan runs out of memory: matplotlib's `voxels` would go through 12 million boxes with six faces
# each. The map comes in half precision, and the surface of a bleed is thin. **Predict:** how many points has it?

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
plt.plot(heat.max(axis=(1, 2)), label="hottest place of the slice")
plt.plot(area / area.max(), label="true blood, the largest slice as 1")
plt.xlabel("slice, foot to head")
plt.legend(fontsize=8)
space = plt.subplot(1, 2, 2, projection="3d")
space.scatter(x, y, z, s=1, c=heat[z, y, x], cmap="inferno", vmin=0, vmax=1)
space.set(xlabel="x", ylabel="y, nose to back", zlabel="slice")
space.invert_yaxis()
plt.show()

# %% [markdown]
# Ten thousand points are drawn in a moment. In this head the heat is strongest in the slice with most blood; above and below, it
# lasts longer than the blood does.
#
# ## The random-weight check
# **Predict:** the same network with new random weights. How much of its heat lies in the blood?

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
# A map that looks the same with random weights explains the picture, not the model (Adebayo et al. 2018). Over 236 bleeding
# slices of CT-ICH the shipped recipe has 2.8 times the energy of random weights, and points into the blood on every fifth
# slice: a hint, no outline.
#
# ## Break it: a reason for nothing
# **Predict:** a head without blood. Is its map empty?

# %%
clean = phantom(101, slices=16, thickness_mm=8)
explanation(
    clean.scan, explain(clean.scan, "cam"), title="the same person, no blood", slices=3
)

# %% [markdown]
# There is always a strongest place. Who believes heat operates on it.
#
# ## Recap
# - CAM: features times weights. Grad-CAM: the gradient finds the weights.
# - Scale with care; empty stays empty.
# - Hold every map against truth and against random weights.
#
# **Sources** Zhou et al. 2016, arXiv:1512.04150; Selvaraju et al. 2017, arXiv:1610.02391; Adebayo et al. 2018,
# arXiv:1810.03292; Wang et al. 2020, arXiv:1910.01279.
#
# **Next** 12. Is it true?
