# %% [markdown]
# # 0. A clinician's primer
# **You will** distinguish the five types of bleeding, learn why each must not be missed, choose a window, and recognize
# four findings that look like blood.
#
# **Time** 35 min. **Runs on** a laptop or free Colab, no GPU, 1 min. **Before this** no other lesson.
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
# *Intracranial hemorrhage* is bleeding inside the skull. A typical patient has fallen, has the worst headache of their
# life, or cannot be woken. The first picture is usually a CT without contrast medium. It is quick, most hospitals have
# it, and fresh blood is bright on it. The pictures show a real patient, seen from the feet: the nose points up, and the
# patient's left is on your right.

# %%
real_hu, real_blood = real_slice("066")
no_mask = np.zeros_like(real_blood)
row(
    [real_hu] * 2, ["as read", "outlined"], through="brain", masks=[no_mask, real_blood]
)

# %% [markdown]
# ## CT numbers separate tissues
# A CT number states how much a tissue weakens X-rays: water is 0 Hounsfield units (HU), and air is -1000 HU. Clotted
# blood is denser than brain, because its cells and proteins are packed together. For a first look, use these rounded
# bounds:
#
# | HU | below -200 | -200 to -20 | -20 to 18 | 18 to 45 | 45 to 90 | above 90 |
# |---|---|---|---|---|---|---|
# | | air | fat | water | brain | blood | calcium |
#
# Real tissues overlap: thick slices average blood with its surroundings, and muscle and dura are as dense as faint
# blood.
#
# ### Exercise 0.1: name it (5 min)
# Return the name from the table for one number in HU. A number on a bound belongs to the denser tissue.
#
# *Hint:* start with air, and stop at the first bound that the number does not reach.
#
# *Second hint:* `if hu < -200: return "air"`, and so on. Everything above the last bound is calcium.


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
# This rule alone cannot outline blood. Blood and brain differ by only 15 to 30 HU, and the noise of one voxel has a
# standard deviation of about 4 HU. In thick slices the CT numbers of blood and brain overlap. A network therefore uses
# shape and place as well.

# %% [markdown]
# ## The place of the blood names the type
# The table goes from the skull inward. The place suggests the source, and the source determines the danger.
#
# | type | where, and its shape | usual source | why it must not be missed |
# |---|---|---|---|
# | **epidural** | between skull and dura: a lens that stops at sutures | a torn artery under a fracture | can grow within hours, sometimes while the patient is awake; surgery is advised above 30 mL, even if the patient is awake |
# | **subdural** | under the dura: a crescent that crosses sutures | torn bridging veins, often a fall in old age or on blood thinners | surgery is advised above 10 mm of thickness or 5 mm of midline shift |
# | **subarachnoid** | in sulci, fissures and cisterns: it fills the spaces of the cerebrospinal fluid | injury; without an injury, mostly a ruptured aneurysm | an aneurysm that bled once may bleed again |
# | **intraparenchymal** | inside brain: a round or ragged clot | high blood pressure, amyloid, blood thinners, injury | can grow in the first hours; its volume predicts death within 30 days |
# | **intraventricular** | in the ventricles: it sinks to the back of a lying patient | often a clot in the brain that breaks into a ventricle | can block the flow of cerebrospinal fluid |
#
# One synthetic head for each type, with its blood outlined:

# %%
types = ("epidural", "subdural", "subarachnoid", "intraparenchymal", "intraventricular")
seeds = (54, 51, 51, 53, 58)  # heads with a large bleed
panels = [
    largest_slice(head_of(seed, bleeds=[name]))
    for seed, name in zip(seeds, types, strict=True)
]
pictures, outlines = zip(*panels, strict=True)
row(pictures, types, through="brain", masks=outlines, height=2.6)

# %% [markdown]
# Now two real patients. Patient 066 above has an epidural bleed. Patient 084 has a small clot in the brain, with blood
# in the sulci beside it. The course has no real example of subdural or intraventricular blood.

# %%
both_hu, both = real_slice("084")
row([both_hu] * 2, ["as read", "outlined"], through="brain", masks=[both & False, both])

# %% [markdown]
# ### Exercise 0.2: which is which? (6 min)
# The cell shows four new heads, a to d. Set `answers` to a list of four type names, in this order.
#
# *Hint:* does the blood lie outside the brain or inside? If outside, is it a lens or a crescent?
#
# *Second hint:* a lens bulges toward the brain; a crescent follows the brain's surface. One of the bleeds lies in the
# middle, where the fluid of the ventricles should be.

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
# Several types often occur together: a fall may cause a crescent, blood in sulci and a clot in the brain. Therefore a
# model of this course gives six scores for a slice: one for each type, and one for `any` (at least one type). The six
# scores do not exclude each other.

# %% [markdown]
# ## A radiologist uses several windows
# A screen has too few grays for 3000 HU, so a radiologist uses several *windows*. A window has a level (middle gray)
# and a width (the range from black to white). **Predict:** which of these four shows a thin bleed along the skull best?

# %%
names = ("brain", "subdural", "stroke", "bone")
pictures = [window(real_hu, *WINDOWS[name]) for name in names]
row(pictures, [f"{name} {WINDOWS[name]}" for name in names], height=2.8)

# %% [markdown]
# The brain window (40/80) is for the first look. The subdural window (80/200) is wider, so that blood is not as white
# as the bone beside it. The stroke window (40/40) is narrow, and shows brain that lacks blood supply. The bone window
# shows fractures. A reader who uses only the brain window can miss thin blood along the skull.
#
# ## What looks like blood but is not
# None of the four slices below has a bleed. **Predict:** which of them would you have called bleeding?

# %%
mimics = ("choroid calcification", "falx calcification", "dense sinus", "streak")
row([mimic_slice(name) for name in mimics], mimics, through="brain", height=2.8)

# %% [markdown]
# - **Calcification** of the choroid plexus, the falx or the pineal gland is harmless. It is denser than a clot (above
#   100 HU) and often similar on both sides.
# - **A dense sinus** is a large vein with flowing blood. If it is denser than usual, its blood may have clotted.
# - **Streaks** lie between dense bones of the skull base, or beside metal. They are straight and cross tissue borders.
# - **Motion** of the patient doubles edges (not shown here).
#
# A healthy head is nearly the same on both sides, and most bleeds are not. So radiologists compare a place with the
# same place on the other side.
#
# ### Exercise 0.3: compare both sides (8 min)
# `hu` is a slice, and `mask` is a suspicious area in it. Return the mean HU in the area minus the mean HU at the place
# mirrored left to right.
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
# The comparison needs a head that lies straight. If the head is turned, the mirrored place holds other tissue. The
# comparison also misses blood that is the same on both sides, such as blood in the midline or in the sulci of both
# sides. The next cell uses it on the two real patients.

# %%
for patient, hu, blood in (("066", real_hu, real_blood), ("084", both_hu, both)):
    hu_here, mirror = hu[blood].mean(), hu[:, ::-1][blood].mean()
    print(f"patient {patient}: blood {hu_here:.0f} HU, mirrored place {mirror:.0f} HU")

# %% [markdown]
# ## Spot the bug: one window for everything
# A script uses only the bone window, because "it is the widest, so nothing is lost". How bright is a clot of 60 HU
# beside brain of 32 HU, on a scale of 0 to 255?

# %%
clot, brain = 60, 32
for name in names:
    steps = 255 * (window(np.array([clot, brain]), *WINDOWS[name]))
    print(f"{name:9} clot {steps[0]:.0f}, brain {steps[1]:.0f}")

# %% [markdown]
# In the bone window the clot is only two or three gray steps brighter than brain, and no eye sees that.
#
# ## Break it: blood that has aged
# Blood is bright for some days. Within one to three weeks it fades to the gray of brain, and later it is darker.
# **Predict:** could you still find a faded lens?

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
# In a real head other signs remain: the sulci no longer reach the skull on that side, and the midline may be shifted. A
# model that learned only "blood is bright" misses this patient.
#
# ## Recap
# - The place of the blood names the type. The type suggests the source and the danger.
# - Each window shows something different. Look through several.
# - Calcification, sinuses, streaks and motion can look like blood. Old blood can look like brain.
#
# **Sources** Bullock et al. 2006, Neurosurgery 58(3 Suppl):S7 and S16 (surgery of epidural and subdural bleeds); van
# Gijn et al., Lancet 2007;369:306 (subarachnoid); Broderick et al., Stroke 1993;24:987 (volume and 30-day mortality);
# Lev, Radiology 1999;213:150 (narrow windows); CT-ICH: Hssayeni et al., Data 2020;5(1):14. Densities are rounded for a
# first look.
#
# **Next** 1. A head in numbers
