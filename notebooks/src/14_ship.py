# %% [markdown]
# # 14. Ship it
# **You will** export a network, show that the exported copy gives the same output, protect it with a checksum,
# write its model card, and start the demo with your weights.
#
# **Time** 40 min. **Runs on** a laptop or free Colab, no GPU, 3 min. **Before this** lesson 13.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import json
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from ich_lib import Recipe, analyze, export, load, phantom, train
from ich_lib.course import attempt, phantom_heads
from ich_lib.data.real_heads import real_head
from ich_lib.measures.bootstrap import patient_bootstrap
from ich_lib.measures.metrics import dice, dice_per_subject
from ich_lib.models.heat import add_heat_output
from ich_lib.models.pictures import model_inputs, stack_channels
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import WEIGHTS, Models
from ich_lib.prediction.export import largest_difference
from ich_lib.prepare.head import crop, field_box
from ich_lib.prepare.window import window
from ich_lib.show import row

folder = Path(mkdtemp())

# %% [markdown]
# ## A small network to ship
# We train a small U-Net for three hundred steps on the shared phantoms, with one fold of patients held out. It will
# be bad. The steps of shipping are the same for a good and a bad network, and the card will state how bad it is.

# %%
sizes = {"size": 64, "stored": 64, "mix": (0.5, 0.25, 0.25, 0.0), "learning_rate": 3e-3}
recipe = Recipe(
    "my-net",
    "both",
    "unet2d",
    {"filters": (8, 16, 32)},
    loss="dice",
    steps=60,
    epochs=5,
    **sizes,
)
run = train(recipe, phantom_heads(), folder / "run")
print(sorted(path.name for path in run.folder.iterdir()))

# %%
case = phantom(101, bleeds=["intraparenchymal"], slices=12, thickness_mm=10)
k = int(case.truth.sum(axis=(1, 2)).argmax())
trained = load(run.folder, fill=False).segmenter
mine = analyze(case.scan, Models(trained, trained))
row(
    [case.scan.hu[k]] * 2,
    ["truth", "my-net"],
    through="brain",
    masks=[case.truth[k], mine.mask[k]],
    height=3,
)

# %% [markdown]
# Here is the same network on a real head. Would you give it to a ward?

# %%
real = real_head("066")
r = int(real.truth.sum(axis=(1, 2)).argmax())
answer = analyze(real.scan, Models(trained, trained))
both = [real.truth[r], answer.mask[r]]
row([real.scan.hu[r]] * 2, ["radiologists", "my-net"], through="brain", masks=both)

# %% [markdown]
# ## A run folder needs TensorFlow; an exported graph does not
# `export` writes the network as an ONNX graph, its weights, and a card. ONNX is a file format for networks that
# runs without TensorFlow. (A warning about `np.object` comes from the exporter of Keras and is harmless.)

# %%
card_path = export(run.folder, folder / "served")
for path in sorted(card_path.parent.iterdir()):
    print(f"{path.name:18} {path.stat().st_size / 1e6:5.2f} MB")

# %% [markdown]
# ## Do both give the same output?
# ### Exercise 14.1: parity (6 min)
# `onnx_output` and `keras_output` are lists of arrays, with one array for each output of the network. Return the
# largest absolute difference over all arrays. Raise a `ValueError` if two shapes differ.
#
# *Hint:* compare shapes first: NumPy broadcasts arrays of different shapes without a warning.
#
# *Second hint:* use `zip(..., strict=True)`. NumPy broadcasts (4, 1) to (4, 6).


# %% tags=["exercise"]
def parity(onnx_output, keras_output):
    # your code here
    # solution
    for a, b in zip(onnx_output, keras_output, strict=True):
        if a.shape != b.shape:
            raise ValueError(f"shapes differ: {a.shape} and {b.shape}")
    return max(
        float(np.abs(a - b).max())
        for a, b in zip(onnx_output, keras_output, strict=True)
    )


# %% tags=["check"]
first, second = (
    [np.zeros((4, 6)), np.zeros(3)],
    [np.full((4, 6), 1e-6), np.full(3, 2e-6)],
)
if tested := attempt("14.1", parity):
    mine = tested(first, second)
    assert np.isclose(mine, 2e-6), (
        f"0 and 2e-6 differ by 2e-6, whichever comes first; got {mine:.1g}."
    )
    try:
        tested([np.zeros((4, 1))], [np.zeros((4, 6))])
    except ValueError:
        tested.passes()
    else:
        raise AssertionError("One score was compared with six without an error.")


# %% tags=["mistake"]
# refused: whichever comes first
def parity(onnx_output, keras_output):
    return max(
        float((a - b).max()) for a, b in zip(onnx_output, keras_output, strict=True)
    )


# %% tags=["mistake"]
# refused: without an error
def parity(onnx_output, keras_output):
    return max(
        float(np.abs(a - b).max())
        for a, b in zip(onnx_output, keras_output, strict=True)
    )


# %% [markdown] tags=["solution"]
# Both programs add numbers in a different order, so 32-bit results differ at about the seventh digit. A difference
# above 1e-4 is a fault: `export` raises an error and does not keep the file. The shipped model stores its kernels in 16
# bits (`export --kernels float16`), so its outputs may differ by up to 2e-2.

# %% [markdown]
# **Predict:** the outputs differ slightly. How many pixels move across the threshold of 0.5?

# %%
served = load(card_path.parent, fill=False).segmenter
box = field_box(case.scan.hu, recipe.field)
pictures = model_inputs(case.scan.hu, box, recipe, range(2, 10))[0]
onnx_output, keras_output = served.run(pictures), trained.run(pictures)
errors = [
    np.abs(onnx_output.blood - keras_output.blood).max(),
    np.abs(onnx_output.scores - keras_output.scores).max(),
]
changed = (onnx_output.blood >= 0.5) != (keras_output.blood >= 0.5)
print(f"by hand:    {max(errors):.1e}")
print(f"pixels that cross 0.5: {changed.sum()} of {changed.size:,}")

# %% [markdown]
# The library compares both on pictures of noise, as `export` did. The card stores the difference:

# %%
difference = largest_difference(
    add_heat_output(run.model()), card_path.with_suffix(".onnx")
)
card = json.loads(card_path.read_text())
print(f"by library: {difference:.1e}   on the card: {card['onnx_difference']:.1e}")

# %% [markdown]
# ## Which one is faster, and when?
# **Predict:** which is faster on eight slices if the network is already loaded, Keras or ONNX Runtime? And if
# Python has just started?


# %%
def best_s(model, times=5):
    times_s = []
    for _ in range(times):
        started = time.perf_counter()
        model.run(pictures)
        times_s.append(time.perf_counter() - started)
    return min(times_s)


print(
    f"loaded: Keras {best_s(trained) * 1000:.0f} ms, ONNX Runtime "
    f"{best_s(served) * 1000:.0f} ms for 8 slices"
)

# %%
code = (
    "import sys; from ich_lib.prediction.engine import load; load(sys.argv[1], "
    "fill=False); print('tensorflow' in sys.modules)"
)
for place in (run.folder, card_path.parent):
    started = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", code, str(place)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    print(
        f"fresh Python, {place.name:6} {time.perf_counter() - started:5.1f} s   "
        f"TensorFlow imported: {process.strip()}"
    )

# %% [markdown]
# A loaded network needs milliseconds. A public demo stops when it has no visitors, and starts again for the next
# one. Then importing TensorFlow takes most of the time, and TensorFlow also takes most of the disk space. So the
# engine imports it only for run folders.
#
# ## A checksum: SHA-256
# A *digest* is a short number that is computed from all bytes of a file. If one bit changes, the digest changes.
# The card stores the SHA-256 digest of each file. We compute it by hand:

# %%
data = card_path.with_suffix(".onnx").read_bytes()
print(
    sha256(data).hexdigest() == card["sha256"]["my-net.onnx"],
    sha256(data).hexdigest()[:16],
    "...",
)

# %% [markdown]
# **Predict:** a faulty disk flips one bit of the weights. What does the engine do when it loads the file?

# %%
import shutil

altered = folder / "altered"
shutil.copytree(card_path.parent, altered)
middle = len(data) // 2
_ = (altered / "my-net.onnx").write_bytes(
    data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
)

# %%
try:
    load(altered)
except ValueError as problem:
    print(problem)

# %% [markdown]
# A digest protects against damaged and exchanged files. It does not protect against a person who replaces both the
# file *and* its card. So publish the digest in a second place, as MODEL_CARD.md does.
#
# ## Weights that run code
# Some file formats hold more than numbers. Opening a pickle file calls any function that its author chose:


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
import keras

surprise = keras.layers.Lambda(lambda x: (print("Lambda: foreign code runs"), x)[1])
keras.Sequential([keras.Input((2,)), surprise]).save(folder / "gift.keras")

# %%
print("saved; now another person opens it")
try:
    keras.saving.load_model(folder / "gift.keras")
except ValueError as problem:
    print("refused:", str(problem).splitlines()[0][:100])
print("and with safe_mode=False:")
keras.saving.load_model(folder / "gift.keras", safe_mode=False)

# %% [markdown]
# `safe_mode` is on by default. Never switch it off for a file from an unknown person. This library opens only
# numbers (`.weights.h5`), graphs of known operations (ONNX) and plain JSON.
#
# ## Spot the bug: the demo prepares its pictures differently
# The network was trained on fixed windows, scaled to [0, 1]. Some public programs scale each slice by its own
# darkest and brightest pixel instead. Two other common faults are gray levels from 0 to 255, and channels in
# another order. None of these faults raises an error. We try all of them on one slice with the shipped model:

# %%
shipped = load().segmenter
hu = case.scan.hu[[k - 1, k, k + 1]]
box = field_box(case.scan.hu, shipped.recipe.field)
small = np.stack([crop(plane, box, shipped.recipe.size, outside=-1000) for plane in hu])
truth = crop(case.truth[k].astype(np.float32), box, shipped.recipe.size) > 0.5
right = stack_channels(small, shipped.recipe.windows)


# %%
def min_max(planes):
    """Scale each slice to [0, 1] by its own minimum and maximum, for both windows."""
    low, high = (
        planes.min(axis=(1, 2), keepdims=True),
        planes.max(axis=(1, 2), keepdims=True),
    )
    return np.repeat(
        ((planes - low) / (high - low)).transpose(1, 2, 0), 2, axis=-1
    ).astype(np.float32)


inputs = {
    "as trained": right,
    "0 to 255": right * 255,
    "windows swapped": right[..., [1, 0, 3, 2, 5, 4]],
}
inputs["min-max"] = min_max(small)
for name, picture in inputs.items():
    answer = shipped.run(picture[None])
    mask = answer.blood[0] >= 0.5
    print(
        f"{name:16} any {answer.scores[0, -1]:.2f}   {mask.sum():5} pixels   Dice "
        f"{dice(truth, mask):.2f}"
    )

# %%
row(
    [picture[..., 2] for picture in list(inputs.values())[::3]],
    ["as trained", "min-max"],
    height=3,
)

# %% [markdown]
# Now the same head gets a hairpin: four pixels of metal *outside* the skull. **Predict:** which of the two inputs
# changes inside the skull?

# %%
pinned = small.copy()
pinned[:, 2:4, 2:4] = 12000
for name, before, after in (
    ("as trained", right, stack_channels(pinned, shipped.recipe.windows)),
    ("min-max", min_max(small), min_max(pinned)),
):
    scores = [shipped.run(picture[None]).scores[0, -1] for picture in (before, after)]
    print(
        f"{name:11} any {scores[0]:.3f} -> {scores[1]:.3f}   largest change inside "
        f"{np.abs(before - after)[50:150, 50:150].max():.2f}"
    )

# %% [markdown]
# ### Exercise 14.2: prepare the input as in training (7 min)
# `planes` is (slices, y, x) in HU. `windows` is a list of (level, width). Return (y, x, channel) in [0, 1]. The
# channels are ordered by slice first, and then by window within each slice.
#
# *Hint:* which of the two loops is the outer one?
#
# *Second hint:* `window(plane, level, width)`, then `np.stack(..., axis=-1)`.


# %% tags=["exercise"]
def to_input(planes, windows):
    # your code here
    # solution
    return np.stack(
        [window(plane, *how) for plane in planes for how in windows], axis=-1
    )


# %% tags=["check"]
toy = np.stack([np.full((2, 2), hu) for hu in (40.0, 80.0, -5000.0)])
if tested := attempt("14.2", to_input):
    mine = tested(toy, [(40, 80), (600, 2800)])
    assert np.shape(mine) == (2, 2, 6), (
        f"Three slices through two windows are (2, 2, 6), not {np.shape(mine)}."
    )
    assert np.clip(mine, 0, 1).tolist() == np.asarray(mine).tolist(), (
        "In training all values were between 0 and 1."
    )
    assert np.isclose(mine[0, 0, 0], 0.5), (
        "40 HU in the window 40/80 is 0.5, whatever else the slice holds."
    )
    assert np.isclose(mine[0, 0, 2], 1), (
        "Channel 2 is the second slice through the first window."
    )
    assert np.allclose(tested(small, [(40, 120), (600, 2800)]), right, atol=1e-6), (
        "The library prepares it differently."
    )
    tested.passes()


# %% tags=["mistake"]
# refused: whatever else the slice holds
def to_input(planes, windows):
    low, high = planes.min(), planes.max()
    return np.stack(
        [(plane - low) / (high - low) for plane in planes for _ in windows], axis=-1
    )


# %% tags=["mistake"]
# refused: Channel 2 is the second slice
def to_input(planes, windows):
    return np.stack(
        [window(plane, *how) for how in windows for plane in planes], axis=-1
    )


# %% [markdown] tags=["solution"]
# The library has one function for this, `pictures.stack_channels`. Training, `analyze` and the demo all call it. If
# preprocessing exists in two copies, the copies can differ.

# %% [markdown]
# ## A card needs all its entries
# First we need a correct figure: the Dice of *this* file on the held-out phantoms, with one value per patient.

# %%
from dataclasses import replace

from ich_lib.training.batches import Slices, ValidationBatches

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
# The Dice is low, as expected. A card that states this helps a user more than a demo that hides it.
#
# ### Exercise 14.3: the card (9 min)
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


if tested := attempt("14.3", model_card):
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
print(
    {
        key: card[key]
        for key in ("data", "split", "held_out_fold", "epochs", "figures", "notice")
    }
)

# %% [markdown]
# ## The demo, with your weights
# In a terminal you start the demo with `python app.py --weights RUN`. Here we start it from Python, read its title
# over HTTP, and stop it. `app.py` is in the folder above the notebooks. On Colab only the library is installed, so
# `app.py` is missing and the next cells do nothing. Clone the repository there, or download `served/` and run the
# demo on your own computer.

# %%
import socket
from urllib.request import ProxyHandler, build_opener

import ich_lib

app = Path(ich_lib.__file__).parents[1] / "app.py"
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]


# %%
def fetch_page(url, process, patience_s=120):
    """The text of a page, as soon as the server answers."""
    end_s, direct = time.monotonic() + patience_s, build_opener(ProxyHandler({}))
    while time.monotonic() < end_s and process.poll() is None:
        try:
            return direct.open(url, timeout=10).read().decode()
        except OSError:
            time.sleep(0.3)
    raise RuntimeError("The demo did not answer; start it in a terminal to see why.")


# %%
if app.is_file():
    started = time.perf_counter()
    command = [
        sys.executable,
        str(app),
        "--port",
        str(port),
        "--weights",
        str(card_path.parent),
    ]
    demo = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        config = json.loads(fetch_page(f"http://127.0.0.1:{port}/config", demo))
        print(f"answers after {time.perf_counter() - started:.0f} s:", config["title"])
        print(
            "the page shows the notice:",
            NOTICE in fetch_page(f"http://127.0.0.1:{port}/", demo),
        )
    finally:
        demo.terminate()
        demo.wait(30)

# %% [markdown]
# Your small network will fail on most of the sample cases. **Predict:** what happens if the demo starts with the
# altered file?

# %%
if app.is_file():
    command = [sys.executable, str(app), "--port", str(port), "--weights", str(altered)]
    stopped = subprocess.run(command, capture_output=True, text=True, timeout=300)
    print(
        "exit status", stopped.returncode, "-", stopped.stderr.strip().splitlines()[-1]
    )

# %% [markdown]
# ## A Hugging Face Space needs three files
# The files are a `README.md` with a header, `requirements.txt` and `app.py`. The folder of the library lies beside
# them. **Predict:** is TensorFlow among the requirements?

# %%
import re

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
# The steps are these. 1. Run `python deploy/space.py --out ../space` in the repository. It collects the files,
# installs them into a new environment, starts the demo and sends it a head. 2. On the hub, create a new Space with
# the SDK Gradio. 3. Clone the Space with `git clone`, write the files into that folder with `--no-check`, commit
# and push. 4. Open the page. `docs/space.md` lists each command.
#
# A free account may offer only the hardware ZeroGPU, which means shared GPUs. Such a Space starts only if a
# function has the decorator `@spaces.GPU`. `app.py` has one on a function that is never called, because ONNX on a
# CPU is fast enough.
#
# **Privacy.** People may upload scans of patients to a public demo, although the page forbids it. DICOM headers
# hold names, and a face can be reconstructed from a head scan with thin slices. So a demo should not ask for
# personal data, should delete uploads soon, and should not write paths or headers to a log. `app.py` logs only the
# type of an error. Read scans of patients only on your own computer, and only with permission.
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

# %%
golden = load(WEIGHTS).segmenter.run(right[None]).blood
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
# ## Recap
# - Check every copy: compare outputs, compare the digest, and run a golden case.
# - Use the *same* preprocessing function for training and for the demo.
# - A card needs the data, the number of patients, an interval and the intended use.
#
# **Sources** Mitchell et al. 2019, arXiv:1810.03993 (model cards); onnx.ai; keras.io, "Saving"; huggingface.co/docs/hub,
# "Spaces"; Schwarz et al. 2019, NEJM 381:1684 (faces from head scans).
#
# **Next** 15. Rebuild one, beat it honestly
