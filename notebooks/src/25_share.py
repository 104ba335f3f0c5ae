# %% [markdown]
# # 25. Share it
# **You will** write the card of a network, refuse files that run code, publish a demo as a Space, and let it check
# itself when it starts.
#
# **Time** 30 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 14.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import keras
import numpy as np

import ich_lib
from ich_lib import Recipe, analyze, export, load, phantom, train
from ich_lib.course import attempt, phantom_heads
from ich_lib.data.real_heads import real_head
from ich_lib.measures.bootstrap import patient_bootstrap
from ich_lib.measures.metrics import dice, dice_per_subject
from ich_lib.models.pictures import stack_channels
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import WEIGHTS
from ich_lib.prepare.head import crop, field_box
from ich_lib.show import row
from ich_lib.training.batches import Slices, ValidationBatches

folder = Path(mkdtemp())

# %% [markdown]
# Lesson 14 exported a network. This lesson is its second half: other people get the file. They must know what it can do,
# open it without danger, and notice when something is wrong.
#
# ## The network of lesson 14
# We train the same small network again, export it, and show its masks of a phantom and of a real head. **Predict:**
# which Dice will the network reach on held-out phantoms?

# %%
sizes = {"size": 64, "stored": 64, "mix": (0.5, 0.25, 0.25, 0.0), "learning_rate": 5e-3}
recipe = Recipe(
    "my-net",
    "both",
    "unet2d",
    {"filters": (8, 16, 32)},
    loss="dice",
    steps=40,
    epochs=5,
    precision="float32",  # bfloat16 halves the memory, but few CPUs are fast with it
    **sizes,
)
run = train(recipe, phantom_heads(), folder / "run")
card_path = export(run.folder, folder / "served")

# %%
case = phantom(101, bleeds=["intraparenchymal"], slices=12, thickness_mm=10)
models = load(card_path.parent, fill=False)
pictures, masks = [], []
for head in (case, real_head("066")):
    k = int(head.truth.sum(axis=(1, 2)).argmax())
    pictures += [head.scan.hu[k]] * 2
    masks += [head.truth[k], analyze(head.scan, models).mask[k]]
names = ["phantom, truth", "phantom, my-net", "real, truth", "real, my-net"]
row(pictures, names, through="brain", masks=masks)

# %% [markdown]
# Two heads that were chosen by hand show nothing about others. A figure needs held-out patients.
#
# ## A card needs all its entries
# First we need a correct figure: the Dice of *this* file on the held-out phantoms, with one value per patient.

# %%
served = models.segmenter
store = phantom_heads()
rows = run.split.rows(store.table, trained=False)
batches = ValidationBatches(Slices(store, rows), replace(recipe, batch=34))
masks = (
    np.concatenate([served.run(batches[i][0]).blood for i in range(len(batches))])
    >= 0.5
)

# %%
patient, truths = store.table.patient[rows], store.blood(rows) >= 128
dices = [
    dice_per_subject(truths[patient == name], masks[patient == name])
    for name in sorted(set(patient))
]
figure = patient_bootstrap(
    [first for first in dices if first is not None],
    lambda sample: float(np.mean(sample)),
)
print("Dice of bleeding slices, then patients:", figure)

# %% [markdown]
# The Dice is low, although the slice of the phantom looks right. In our run the network marked 170 mL in that phantom,
# most of it in other slices and wrong. A card that states the Dice helps a user more than a demo that hides it.
#
# ### Exercise 25.1: the card (9 min)
# `config` is a dictionary. Return the text of a card: one line `key: value` for each entry, and `NOTICE` at the
# end. Some keys of `NEEDED` may be missing, or their value may be `None`, empty or 0. Then raise a `ValueError`
# that names *all* these keys.
#
# *Hint:* collect all missing keys before you raise the error.
#
# *Second hint:* `[key for key in NEEDED if not config.get(key)]`.

# %%
NEEDED = ("data", "patients", "interval", "intended_use")


# %% tags=["exercise"]
def model_card(config):
    # your code here
    # solution
    missing = [key for key in NEEDED if not config.get(key)]
    if missing:
        raise ValueError(f"No card without {', '.join(missing)}.")
    return "\n".join([*(f"{key}: {value}" for key, value in config.items()), NOTICE])


# %% tags=["check"]
full = {
    "data": "phantoms",
    "patients": 5,
    "interval": (0.01, 0.2),
    "intended_use": "teaching",
    "Dice": 0.1,
}


def refusal(config):
    try:
        model_card(config)
    except ValueError as problem:
        return str(problem)


if tested := attempt("25.1", model_card):
    mine = tested(full)
    assert "Dice: 0.1" in mine, (
        "Each entry of config must be on the card, one per line."
    )
    assert NOTICE in mine, "The card must say that this is no medical device: NOTICE."
    empty = refusal({**full, "patients": 0, "intended_use": ""})
    assert empty, "A card on 0 patients and without intended use was written."
    assert all(key in empty for key in ("patients", "intended_use")), (
        f"Name all missing keys at once, not only: {empty}"
    )
    assert refusal({"Dice": 0.98}), "A single figure of 0.98 is not a card."
    tested.passes()


# %% tags=["mistake"]
# refused: A card on 0 patients
def model_card(config):
    if lacking := [key for key in NEEDED if key not in config]:
        raise ValueError(f"No card without {', '.join(lacking)}.")
    return "\n".join([*(f"{key}: {value}" for key, value in config.items()), NOTICE])


# %% tags=["mistake"]
# refused: Name all missing keys at once
def model_card(config):
    for key in NEEDED:
        if not config.get(key):
            raise ValueError(f"No card without {key}.")
    return "\n".join([*(f"{key}: {value}" for key, value in config.items()), NOTICE])


# %% [markdown] tags=["solution"]
# A full card also lists known failures, figures for groups of patients, and experiments that did not help.
# MODEL_CARD.md is such a card.

# %% [markdown]
# `export` writes the figures into the card, so that they stay with the file on which they were measured:

# %%
card_path = export(
    run.folder, folder / "served", figures={"dice_per_subject": figure.as_json()}
)
card = json.loads(card_path.read_text())
keys = ("data", "split", "held_out_fold", "epochs", "figures", "notice")
print(json.dumps({key: card[key] for key in keys}, indent=1))

# %% [markdown]
# ## Spot the bug: the weights print a line
# An unknown person sends you weights. **Predict:** can the file do anything before you use the network? Some formats
# hold more than numbers. Opening a pickle file calls any function that its author chose:


# %%
import pickle


class Gift:
    def __reduce__(self):
        return print, ("pickle: foreign code runs",)


pickle.loads(pickle.dumps(Gift()))

# %% [markdown]
# Keras can store a function in a `Lambda` layer. **Predict:** in which of the next steps is the line of this
# function printed?

# %%
surprise = keras.layers.Lambda(lambda x: (print("Lambda: foreign code runs"), x)[1])
keras.Sequential([keras.Input((2,)), surprise]).save(folder / "gift.keras")

# %%
print("saved; now another person opens it")
try:
    keras.saving.load_model(folder / "gift.keras")
except ValueError as problem:
    print("refused:", str(problem).splitlines()[0][:100])
print("and with safe_mode=False:")
_ = keras.saving.load_model(folder / "gift.keras", safe_mode=False)

# %% [markdown]
# `safe_mode` is on by default. Never switch it off for a file from an unknown person. This library opens only
# numbers (`.weights.h5`), graphs of known operations (ONNX) and plain JSON.
#
# ## A Hugging Face Space needs three files
# The files are a `README.md` with a header, `requirements.txt` and `app.py`. The folder of the library lies beside
# them. On Colab only the library is installed, so the next cell does nothing there. **Predict:** is TensorFlow among
# the requirements?

# %%
app = Path(ich_lib.__file__).parents[1] / "app.py"
if app.is_file():
    header = app.with_name("README.md").read_text(encoding="utf-8").split("---")[1]
    print(
        *re.findall(
            r"^(?:sdk|sdk_version|python_version|app_file|license):.*", header, re.M
        ),
        sep="\n",
    )
    print(
        "TensorFlow required:",
        "tensorflow" in app.with_name("requirements.txt").read_text(),
    )

# %% [markdown]
# 1. Run `python deploy/space.py --out ../space` in the repository. It collects the files, installs them into a new
#    environment, starts the demo and sends it a head.
# 2. On the hub, create a new Space with the SDK Gradio.
# 3. Clone the Space with `git clone`, write the files into that folder with `--no-check`, commit and push.
# 4. Open the page. `docs/space.md` lists each command.
#
# A free account may offer only the hardware ZeroGPU, which means shared GPUs. Such a Space starts only if a
# function has the decorator `@spaces.GPU`. `app.py` has one on a function that is never called, because ONNX on a
# CPU is fast enough.
#
# **Privacy.** People may upload scans of patients to a public demo, although the page forbids it. DICOM headers
# hold names, and a face can be reconstructed from a head scan with thin slices. So a demo should not ask for
# personal data, should delete uploads soon, and should not write paths or headers to a log. **Predict:** what does a
# log keep of the next error, if it keeps the message? And if it keeps only the type?

# %%
upload = folder / "DOE_JANE_born_1970" / "head.dcm"
try:
    upload.read_bytes()
except OSError as problem:
    message, kind = str(problem), type(problem).__name__
    print("message:", message.replace(str(folder), "..."))
    print("type:   ", kind)

# %% [markdown]
# `app.py` logs the type of an error and the lines of code, never the message. Read scans of patients only on your own
# computer, and only with permission. In a hospital the scans come from an archive; `docs/hospital.md` describes that
# side.
#
# ## Break it: the digest is correct and the result is wrong
# The digest covers the *weights*. The card also states the windows, and no digest covers the card. **Predict:** a
# person edits one word on the card. What does `load` do?

# %%
edited = folder / "edited"
shutil.copytree(WEIGHTS, edited)
(path,) = edited.glob("*.json")
path.write_text(path.read_text().replace('"brain render"', '"bone render"'))
results = {
    name: analyze(case.scan, load(place))
    for name, place in (("shipped", WEIGHTS), ("edited", edited))
}
for name, first in results.items():
    print(
        f"{name:11} any {first.scores['any']:.2f}   {first.marked_ml:5.1f} mL   Dice "
        f"{dice(case.truth, first.mask):.2f}"
    )

# %% [markdown]
# `load` raises no error, and the model misses the bleed without a warning. A *golden case* helps: it is an input
# that is shipped together with its correct output, and the program checks it at every start.
#
# ### Exercise 25.2: may it start? (6 min)
# `run` is a function that turns a picture into an array. `cases` is a list of pairs (picture, expected output). Return
# True if *every* output has the shape of its expected output and differs from it by at most `limit` at every place.
# Otherwise, or if an output holds NaN ("not a number"), return False.
#
# *Hint:* every comparison with NaN is False. So ask whether the difference is small, not whether it is large.
#
# *Second hint:* `np.abs(output - expected).max() <= limit` is False if an output is NaN. Compare shapes first.


# %% tags=["exercise"]
def may_start(run, cases, limit):
    # your code here
    # solution
    for picture, expected in cases:
        output = run(picture)
        if output.shape != expected.shape:
            return False
        if not np.abs(output - expected).max() <= limit:
            return False
    return True


# %% tags=["check"]
flat = np.zeros((4, 4))
dot = flat.copy()
dot[1, 2] = 1e-3
if tested := attempt("25.2", may_start):
    half = lambda picture: picture / 2
    assert tested(half, [(flat, flat), (flat + 1, flat + 0.5)], 1e-4), (
        "Both outputs are right, so it may start."
    )
    assert not tested(half, [(flat, flat), (flat, dot)], 1e-4), (
        "The second output is wrong in one pixel, by more than the limit."
    )
    assert not tested(lambda picture: picture * np.nan, [(flat, flat)], 1e-4), (
        "All outputs are NaN, and it started."
    )
    assert not tested(half, [(flat, flat[:1])], 1e-4), (
        "The output is (4, 4), the expected one (1, 4): another network."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: wrong in one pixel
def may_start(run, cases, limit):
    errors = [np.abs(run(picture) - expected).mean() for picture, expected in cases]
    return max(errors) <= limit


# %% tags=["mistake"]
# refused: All outputs are NaN
def may_start(run, cases, limit):
    for picture, expected in cases:
        if (np.abs(run(picture) - expected) > limit).any():
            return False
    return True


# %% [markdown] tags=["solution"]
# Two careful programs differ by a little, so the limit is not 0. With fewer bits it must be larger: 2e-2 for the shipped
# model (lesson 14).

# %% [markdown]
# Here is the check on the two folders. The golden output comes from the shipped model, on one slice and its neighbors:

# %%
k = int(case.truth.sum(axis=(1, 2)).argmax())
shipped = load(WEIGHTS).segmenter
size, box = shipped.recipe.size, field_box(case.scan.hu, shipped.recipe.field)
planes = case.scan.hu[[k - 1, k, k + 1]]
small = np.stack([crop(plane, box, size, outside=-1000) for plane in planes])

# %%
golden = shipped.run(stack_channels(small, shipped.recipe.windows)[None]).blood
for place in (WEIGHTS, edited):
    model = load(place).segmenter
    difference_small = np.abs(
        model.run(stack_channels(small, model.recipe.windows)[None]).blood - golden
    ).max()
    print(
        f"{place.name:8}",
        "serves"
        if difference_small < 1e-4
        else f"does not start: off by {difference_small:.2f}",
    )

# %% [markdown]
# Only the shipped folder serves. The engine does not do this check by itself. Give it several cases, among them a head
# without a bleed, and keep them apart from the card.
#
# ## Recap
# - A card needs the data, the number of patients, an interval and the intended use.
# - Open only files that hold numbers and graphs, and never switch off `safe_mode` for an unknown person.
# - A digest covers the weights. A golden case covers everything from the picture to the output.
#
# **Sources** Mitchell et al. 2019, arXiv:1810.03993 (model cards); keras.io, "Saving"; huggingface.co/docs/hub,
# "Spaces"; Schwarz et al. 2019, NEJM 381:1684 (faces from head scans).
#
# **Next** 15. Rebuild one, beat it honestly
