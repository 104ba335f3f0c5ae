# %% [markdown]
# # 14. Ship it
# **You will** export a network, show that the exported copy gives the same output, protect it with a checksum, prepare
# its input as in training, and start the demo with your weights.
#
# **Time** 30 min. **Runs on** a laptop or free Colab, no GPU, 2 min. **Before this** lesson 13.
#
# *For teaching. Nothing here may be used for a patient.*

# %% tags=["setup"]
import json
import shutil
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
from ich_lib.measures.metrics import dice
from ich_lib.models.heat import add_heat_output
from ich_lib.models.pictures import model_inputs, stack_channels
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import Models
from ich_lib.prediction.export import largest_difference
from ich_lib.prepare.head import crop, field_box
from ich_lib.prepare.window import window
from ich_lib.show import row

folder = Path(mkdtemp())

# %% [markdown]
# A network that is trained is still a folder on your own computer. This lesson makes a file of it that runs elsewhere
# and gives the same result there. Lesson 25 is the second half: what you state about the file, and how others get it.
#
# ## A small network to ship
# We train a small U-Net for two hundred steps on the shared phantoms, with one fold of patients held out. It will be
# bad. The steps of shipping are the same for a good and a bad network, and in lesson 25 its card states how bad it is.

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
# On this slice the outline looks right. Here is the same network on a real head. Would you give it to a ward?

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
# ## Break it: one bit of the weights flips
# **Predict:** a faulty disk flips one bit of the weights. What does the engine do when it loads the file?

# %%
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
# The demo does not start, and it says why. That is better than a demo that serves a damaged network.
#
# ## Recap
# - Check every copy: compare its outputs with the original, and its digest with the card.
# - Use the *same* preprocessing function for training and for the demo.
# - Start the demo with the weights that you ship, once, before anybody else does.
#
# **Sources** onnx.ai; keras.io, "Saving"; NIST FIPS 180-4 (SHA-256).
#
# **Next** 25. Share it, the second half of this lesson; or 15. Rebuild one, beat it honestly
