# %% [markdown]
# # 0. A clinician's primer
# **You will** tell the five types of bleeding apart, know what hurts when one is missed, pick a window, and unmask four
# things that look like blood.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** nothing but curiosity.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import numpy as np

from ich_lib import WINDOWS
from ich_lib.course import attempt, is_attempted, mark_correct
from ich_lib.course.primer import (
    head_of,
    largest_slice,
    mimic_slice,
    quiz_slices,
    quiz_types,
)
from ich_lib.course.real import real_slice
from ich_lib.prepare.window import window
from ich_lib.show import row

# %% [markdown]
# ## A head CT is read in seconds, and often at night
# *Intracranial hemorrhage* is bleeding inside the skull. Somebody has fallen, or has the worst headache of a lifetime, or
# cannot be woken. The first picture is a CT without contrast
# medium: it is quick, it is everywhere, and fresh blood is bright on it. This is a real patient, seen from the feet: the nose
# points up, and the patient's left is on your right.

# %%
real_hu, real_blood = real_slice("066")
nothing = np.zeros_like(real_blood)
row(
    [real_hu] * 2, ["as read", "outlined"], through="brain", masks=[nothing, real_blood]
)

# %% [markdown]
# ## Density names the tissue
# A CT number says how much a tissue weakens X-rays: water is 0 Hounsfield units (HU), air -1000. Blood that has clotted is
# denser than brain, since its cells are packed together. For a first look, these bounds do:
#
# | HU | below -200 | -200 to -20 | -20 to 18 | 18 to 45 | 45 to 90 | above 90 |
# |---|---|---|---|---|---|---|
# | | air | fat | water | brain | blood | calcium |
#
# Real tissues overlap: a thick slice mixes blood with its neighbors, and muscle and dura are as dense as faint blood.
#
# ### Exercise 0.1: name it (5 min)
# For one number in HU return the name from the table. A number on a bound belongs to the denser tissue.
#
# *Hint:* go from the least dense to the densest, and stop at the first bound that is not reached.
#
# *Second hint:* `if hu < -200: return "air"`, and so on; what is left is calcium.


# %% tags=["exercise"]
def tissue(hu):
    # your code here
    # solution
    names = ["air", "fat", "water", "brain", "blood", "calcium"]
    return names[sum(hu >= bound for bound in (-200, -20, 18, 45, 90))]


# %% tags=["check"]
if tested := attempt("0.1", tissue):
    assert tested(60) == "blood", f"60 HU is blood that has clotted, not {tested(60)}."
    assert tested(0) == "water", "0 HU is water, by definition."
    wrong = "A number on a bound belongs to the denser tissue: 45 HU counts as blood."
    assert tested(45) == "blood", wrong
    tested.passes()


# %% tags=["mistake"]
# refused: on a bound belongs to the denser
def tissue(hu):
    names = ["air", "fat", "water", "brain", "blood", "calcium"]
    return names[sum(hu > bound for bound in (-200, -20, 18, 45, 90))]


# %% tags=["mistake"]
# refused: 0 HU is water
def tissue(hu):
    return "blood" if 45 <= hu < 90 else "brain"


# %% [markdown] tags=["solution"]
# Such a rule segments nothing: between blood and brain lie 15 HU, and noise alone spreads by 4. That is why there is a course.

# %% [markdown]
# ## Five places, five stories
# The types are named for *where* blood lies, from the skull inward. The place tells the source, and the source tells the
# danger.
#
# | type | where, and its shape | usual source | why it must not be missed |
# |---|---|---|---|
# | **epidural** | between skull and dura: a lens that stops at sutures | a torn artery under a fracture | can grow within hours, after a spell in which the patient talks; above 30 mL it is operated on whatever the patient looks like |
# | **subdural** | under the dura: a crescent that crosses sutures | torn bridging veins, often a fall in old age or on blood thinners | thicker than 10 mm, or the midline pushed over by more than 5 mm: surgery |
# | **subarachnoid** | in sulci, fissures and cisterns: a cast of the water spaces | injury; without one, mostly a burst aneurysm | an aneurysm that bled once may bleed again |
# | **intraparenchymal** | inside brain: a round or ragged clot | high blood pressure, amyloid, blood thinners, injury | grows in the first hours; the volume foretells who dies |
# | **intraventricular** | in the ventricles: layers at the back, since the patient lies | mostly broken through from a clot in brain | blocks the flow of cerebrospinal fluid |
#
# One synthetic head for each, its blood outlined:

# %%
types = ("epidural", "subdural", "subarachnoid", "intraparenchymal", "intraventricular")
seeds = (54, 51, 51, 53, 58)  # of heads that bleed plainly
shown = [
    largest_slice(head_of(seed, bleeds=[name]))
    for seed, name in zip(seeds, types, strict=True)
]
pictures, outlines = zip(*shown, strict=True)
row(pictures, types, through="brain", masks=outlines, height=2.6)

# %% [markdown]
# And real: patient 066 above has an epidural bleed; patient 084 has a small clot in brain with blood in the sulci beside it.
# Subdural and intraventricular blood is not among the three real heads that come with this course.

# %%
both_hu, both = real_slice("084")
row([both_hu] * 2, ["as read", "outlined"], through="brain", masks=[both & False, both])

# %% [markdown]
# ### Exercise 0.2: which is which? (6 min)
# Four new heads, a to d, blood outlined. Set `answers` to four of the five type names, in order.
#
# *Hint:* ask of each outline: outside of the brain, or in it? If outside: lens or crescent?
#
# *Second hint:* a lens has a curved inner side that bulges toward the brain; a crescent follows the brain's surface. One of
# the four lies in the middle, where water should be.

# %%
slices, outlines = quiz_slices()
row(slices, list("abcd"), through="brain", masks=outlines, height=2.8)

# %% tags=["exercise"]
answers = None
# solution
answers = ["subdural", "intraparenchymal", "epidural", "intraventricular"]

# %% tags=["check"]
if is_attempted("0.2", answers):
    right = quiz_types()
    assert set(answers) <= set(types), f"Choose from {', '.join(types)}."
    assert len(answers) == 4, "Four heads, four answers."
    swapped = [
        {"epidural": "subdural", "subdural": "epidural"}.get(n, n) for n in answers
    ]
    assert swapped != right, "Lens and crescent are mixed up: which one bulges inward?"
    wrong = [
        letter for letter, a, b in zip("abcd", answers, right, strict=True) if a != b
    ]
    assert not wrong, f"Look again at {', '.join(wrong)}."
    mark_correct("0.2")

# %% tags=["mistake"]
# refused: Lens and crescent are mixed up
answers = ["epidural", "intraparenchymal", "subdural", "intraventricular"]

# %% tags=["mistake"]
# refused: Look again at b
answers = ["subdural", "subarachnoid", "epidural", "intraventricular"]

# %% [markdown] tags=["solution"]
# Several types often come together: a fall may leave a crescent, blood in sulci and a clot in brain. A model here has six
# answers for a slice, one for each type and one for "any", and they do not exclude each other.

# %% [markdown]
# ## A radiologist turns a knob
# A screen cannot show 3000 HU at once, so one *window* after the other is looked at: level (the middle) and width (from black
# to white). **Predict:** in which of these four would you find a thin bleed along the skull?

# %%
names = ("brain", "subdural", "stroke", "bone")
pictures = [window(real_hu, *WINDOWS[name]) for name in names]
row(pictures, [f"{name} {WINDOWS[name]}" for name in names], height=2.8)

# %% [markdown]
# Brain (40/80) for the first look; subdural (80/200), since in a wider window blood parts from white bone; stroke (40/40) to see
# brain that lacks blood; bone for fractures. Whoever reads the brain window alone misses thin blood along the skull.
#
# ## What looks like blood and is none
# **Predict:** which of these four would you have called bleeding? There is no bleed in any of them.

# %%
mimics = ("choroid calcification", "falx calcification", "dense sinus", "streak")
row([mimic_slice(name) for name in mimics], mimics, through="brain", height=2.8)

# %% [markdown]
# - **Calcium** in the choroid plexus, the falx, the pineal gland: harmless, denser than any clot (above 100 HU), often on both
#   sides alike.
# - **A dense sinus**: blood flowing in the veins at the back; where it is denser than it should be, it may have clotted.
# - **Streaks** between dense bones at the skull base, or from metal: straight, and across anatomy.
# - **Motion**: doubled edges.
#
# A healthy head is nearly the same on both sides; a bleed hardly ever is. So the oldest trick of the trade is to compare a
# place with its mirror image.
#
# ### Exercise 0.3: against the mirror (8 min)
# `hu` is a slice, `mask` a suspicious area in it. Return the mean HU in the area, less the mean HU at the mirrored place, left
# to right.
#
# *Hint:* mirror either the mask or the picture, not both.
#
# *Second hint:* `array[:, ::-1]` mirrors columns; `hu[mask].mean()` is the first mean.


# %% tags=["exercise"]
def asymmetry(hu, mask):
    # your code here
    # solution
    return hu[mask].mean() - hu[:, ::-1][mask].mean()


# %% tags=["check"]
toy, area = np.full((4, 6), 30.0), np.zeros((4, 6), bool)
toy[1, 4], toy[1, 1], area[1, 4] = 62, 34, True
if tested := attempt("0.3", asymmetry):
    mine = tested(toy, area)
    assert mine != 0, (
        "Mirrored twice is not mirrored: the area was compared with itself."
    )
    assert mine == 28, f"62 HU here, 34 HU at the mirrored place: 28, not {mine:.0f}."
    tested.passes()


# %% tags=["mistake"]
# refused: Mirrored twice is not mirrored
def asymmetry(hu, mask):
    return hu[mask].mean() - hu[:, ::-1][mask[:, ::-1]].mean()


# %% tags=["mistake"]
# refused: 34 HU at the mirrored place
def asymmetry(hu, mask):
    return hu[mask].mean() - hu[~mask].mean()


# %% [markdown] tags=["solution"]
# The trick needs a head that lies straight. Where the head is turned, the mirror shows other tissue; and blood on both sides,
# in the middle, or in all sulci alike escapes it.

# %%
for patient, hu, blood in (("066", real_hu, real_blood), ("084", both_hu, both)):
    here, mirror = hu[blood].mean(), hu[:, ::-1][blood].mean()
    print(f"patient {patient}: blood {here:.0f} HU, mirrored place {mirror:.0f} HU")

# %% [markdown]
# ## Spot the bug: one window for all
# A script prepares pictures for a colleague who reads bleeds. "Bone is the widest window, so nothing is lost." What does the
# clot look like beside brain, in gray steps of 256?

# %%
clot, brain = 60, 32
for name in names:
    steps = 255 * (window(np.array([clot, brain]), *WINDOWS[name]))
    print(f"{name:9} clot {steps[0]:.0f}, brain {steps[1]:.0f}")

# %% [markdown]
# In the bone window the clot is two or three steps brighter than brain: no eye sees that. Nothing was lost from the file, and
# everything from the picture.
#
# ## Break it: blood that has aged
# Blood is bright for days. Within one to three weeks it fades to the gray of brain, and later it is darker. The same lens,
# fresh and faded. **Predict:** could you still find it?

# %%
hu, mask = largest_slice(head_of(53, bleeds=["epidural"]))
faded = np.where(mask & (hu > 40) & (hu < 100), hu - 26, hu)
row(
    [hu, faded, faded],
    ["fresh", "faded", "outlined"],
    through="brain",
    masks=[mask & False, mask & False, mask],
)

# %% [markdown]
# In a real head something else gives it away: the folds of the brain no longer reach the skull on that side, and the midline
# may be pushed over. A model that learned
# "bright" sends this patient home.
#
# ## Recap
# - The place names the type; the type names the source and the danger.
# - One window shows one thing. Look through several.
# - Calcium, sinuses, streaks and motion look like blood; old blood does not.
#
# **Sources** Bullock et al. 2006, Neurosurgery 58(3 Suppl):S7 and S16 (when epidural and subdural bleeds are operated on);
# van Gijn et al., Lancet 2007;369:306 (subarachnoid); Broderick et al., Stroke 1993;24:987 (volume of a clot in brain); Lev,
# Radiology 1999;213:150 (narrow windows); CT-ICH: Hssayeni et al., Data 2020;5(1):14. Densities are rounded for a first look.
#
# **Next** 1. A head in numbers
