"""A finished run to the files that serve it: NAME.onnx, NAME.weights.h5 and the card NAME.json."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np
from keras import layers

from ich_lib.datasets.ct_ich import ATTRIBUTION
from ich_lib.labels import LABELS
from ich_lib.predict import NOTICE
from ich_lib.train import Run, open_run

TOLERANCE = 1e-4  # largest difference between exported and Keras outputs


def with_heat(classifier: keras.Model) -> keras.Model:
    """The classifier with its class activation maps as a second output.

    For global pooling and one dense layer, ReLU(sum_k W[k, c] A_k) equals Grad-CAM up to scale (Selvaraju et al. 2017,
    section 3.1), so the map is a 1x1 convolution with the dense layer's own weights.

    Returns:
        (n, y, x, channel) to scores (n, 6) and heat (n, r, c, 6), not scaled.
    """
    features = classifier.get_layer("features").output
    heat = layers.Conv2D(len(LABELS), 1, use_bias=False, activation="relu", name="heat")
    model = keras.Model(classifier.input, [classifier.output, heat(features)], name=classifier.name)
    heat.set_weights([classifier.get_layer("scores").get_weights()[0][None, None]])
    return model


def export(folder: str | Path, out: str | Path, *, figures: dict | None = None) -> Path:
    """Write a run's three files and check that they agree with Keras.

    Args:
        folder: a finished run.
        out: where NAME.onnx, NAME.weights.h5 and NAME.json go.
        figures: what `evaluate` found on the held-out fold, for the card.

    Returns:
        The path of NAME.json.

    Raises:
        RuntimeError: if the exported model's outputs differ by more than 1e-4.
    """
    run, out = open_run(folder), Path(out)
    model = run.model()
    served = with_heat(model) if run.recipe.task == "classify" else model
    out.mkdir(parents=True, exist_ok=True)
    onnx, weights = out / f"{run.recipe.name}.onnx", out / f"{run.recipe.name}.weights.h5"
    signature = [keras.InputSpec(shape=(None, *model.input_shape[1:]), dtype="float32", name="picture")]
    served.export(onnx, format="onnx", input_signature=signature, verbose=False)
    difference = largest_difference(served, onnx)
    if difference > TOLERANCE:
        raise RuntimeError(
            f"{onnx.name} differs from Keras by {difference:.1e}, more than {TOLERANCE:.0e}; it was not kept."
        )
    model.save_weights(weights)
    card = out / f"{run.recipe.name}.json"
    card.write_text(json.dumps(_card(run, (onnx, weights), figures, difference), indent=1) + "\n")
    return card


def largest_difference(model: keras.Model, onnx: Path) -> float:
    """Largest absolute difference of any output between Keras and ONNX Runtime on seeded pictures."""
    import onnxruntime

    pictures = np.random.default_rng(0).random((4, *model.input_shape[1:]), np.float32)
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    ours = session.run(None, {session.get_inputs()[0].name: pictures})
    theirs = model.predict(pictures, verbose=0)
    theirs = theirs if isinstance(theirs, list | tuple) else [theirs]
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


def _card(run: Run, files: tuple[Path, ...], figures: dict | None, difference: float) -> dict:
    history = run.history()
    real = not all(name.startswith("phantom-") for name in run.folds)
    return {
        "name": run.recipe.name,
        "recipe": run.recipe.as_json(),
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "data": "CT-ICH 1.0.0 and phantoms" if real else "phantoms",
        "attribution": ATTRIBUTION if real else "",
        "held_out_fold": run.held_out,
        "folds": run.folds,
        "epochs": len(history),
        "minutes": run.minutes,
        "figures": figures or {},
        "onnx_difference": difference,
        "notice": NOTICE,
    }
