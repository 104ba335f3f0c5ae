"""Export a finished run for serving: NAME.onnx, NAME.weights.h5 and the card NAME.json.

Keras takes seconds to import, so it is imported inside the functions.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ich_lib.data.ct_ich import ATTRIBUTION
from ich_lib.models.run import Run, open_run
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import KERAS, ONNX
from ich_lib.prediction.kernels import KERNELS, shrink_onnx, shrink_weights
from ich_lib.prediction.ood import OodDetector

if TYPE_CHECKING:
    import keras
    import onnx

_DOUBLING = ("Transpose", "Reshape", "Tile", "Unsqueeze")


def export(
    folder: str | Path,
    out: str | Path,
    *,
    figures: dict | None = None,
    calibration: dict | None = None,
    ood: OodDetector | None = None,
    kernels: str = "float32",
) -> Path:
    """Write the files of a run for serving, and check that they agree with Keras.

    Args:
        folder: a finished run.
        out: folder for NAME.onnx, NAME.weights.h5 and NAME.json.
        figures: results of `evaluate`, for the card.
        calibration: fitted by `evaluate` on the folds of a cross-validation, for the card; `analyze` uses it.
        ood: the run's features on its training scans, from `ich_lib.evaluation.ood_limits.fit_ood`, for the card;
            `analyze` warns of scans that differ.
        kernels: "float32"; "float16", half the size; or "int8", a quarter, without NAME.weights.h5. All computing is
            in float32.

    Returns:
        The path of NAME.json.

    Raises:
        RuntimeError: if the exported model's outputs differ from the run's by more than KERNELS allows.
        ValueError: if the run trained no network, or for other kernels.
        ModuleNotFoundError: without Keras, which requirements-course.txt adds.

    See also:
        `train`, which makes the run; `load`, which opens the files without Keras.

    Example:
        >>> from ich_lib import Recipe, export, load, train
        >>> little = {"size": 32, "stored": 64, "phantoms": 6, "batch": 4, "steps": 2, "epochs": 1}
        >>> tiny = Recipe("tiny", "segment", "unet2d", {"filters": (4, 8)}, **little)
        >>> run = train(tiny, None, "run")
        >>> export(run.folder, "served").name
        'tiny.json'
        >>> load("served").segmenter.recipe == tiny
        True
    """
    import keras

    from ich_lib.models.heat import add_heat_output

    if kernels not in KERNELS:
        raise ValueError(f"kernels must be one of {', '.join(KERNELS)}; got {kernels!r}.")
    run, out = open_run(folder), Path(out)
    if not run.recipe.is_network:
        raise ValueError(
            f"{run.recipe.name} is not a network, and ONNX holds only networks; use its run folder as it is."
        )
    model = run.model()
    served = add_heat_output(model)
    out.mkdir(parents=True, exist_ok=True)
    onnx, weights = out / f"{run.recipe.name}{ONNX}", out / f"{run.recipe.name}{KERAS}"
    signature = [keras.InputSpec(shape=(None, *model.input_shape[1:]), dtype="float32", name="picture")]
    served.export(onnx, format="onnx", input_signature=signature, verbose=False)
    _double_by_resize(onnx)
    shrink_onnx(onnx, kernels)
    files = [onnx]
    if kernels != "int8":  # Keras cannot read int8
        model.save_weights(weights)
        files.append(weights)
    if kernels == "float16":
        shrink_weights(weights)
    difference, limit = largest_difference(served, onnx), KERNELS[kernels]
    if difference > limit:
        raise RuntimeError(f"{onnx.name} differs from Keras by {difference:.1e}, more than {limit:.0e}; do not use it.")
    card_parts = {"figures": figures or {}, "calibration": calibration, "usual": ood and ood.as_json()}
    card = out / f"{run.recipe.name}.json"
    card.write_text(json.dumps(_card(run, files, card_parts, difference), indent=1) + "\n")
    return card


def _double_by_resize(path: Path) -> None:
    """Replace each exported UpSampling2D by one Resize: it has 21 nodes around two Tiles, a fifth of the U-Net's time.

    The chain is followed back from the join after it to the tensor that is doubled. `largest_difference` checks the
    result.
    """
    import onnx
    from onnx import helper

    model = onnx.load(path)
    graph, made_by = model.graph, {name: node for node in model.graph.node for name in node.output}
    graph.initializer.append(helper.make_tensor("double", onnx.TensorProto.FLOAT, [4], [1, 1, 2, 2]))
    for join in [node for node in graph.node if node.op_type == "Concat"]:
        end = join.input[0]
        chain: list[onnx.NodeProto] = []
        while (producer := made_by.get(chain[-1].input[0] if chain else end)) and producer.op_type in _DOUBLING:
            chain.append(producer)
        if [node.op_type for node in chain].count("Tile") != 2:  # one for the rows, one for the columns
            continue
        start = chain[-1].input[0]
        doubled = f"{join.output[0]}/doubled"
        resize = helper.make_node(
            "Resize",
            [start, "", "double"],
            [doubled],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        graph.node.insert(list(graph.node).index(join), resize)
        join.input[list(join.input).index(end)] = doubled
    _drop_unused(graph)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _drop_unused(graph: "onnx.GraphProto") -> None:
    """Remove nodes with unused outputs, last to first."""
    while True:
        read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
        unused = [node for node in graph.node if not read & set(node.output)]
        if not unused:
            return
        for node in unused:
            graph.node.remove(node)


def largest_difference(model: "keras.Model", onnx: Path) -> float:
    """Largest absolute difference of any output between Keras and ONNX Runtime on seeded pictures."""
    import onnxruntime

    pictures = np.random.default_rng(0).random((4, *model.input_shape[1:]), np.float32)
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    onnx_outputs = session.run(None, {session.get_inputs()[0].name: pictures})
    keras_outputs = model.predict(pictures, verbose=0)
    keras_outputs = keras_outputs if isinstance(keras_outputs, list | tuple) else [keras_outputs]
    return max(float(np.abs(a - b).max()) for a, b in zip(onnx_outputs, keras_outputs, strict=True))


def _card(run: Run, files: list[Path], card_parts: dict, difference: float) -> dict:
    history = run.history()
    real = not all(name.startswith("phantom-") for name in run.folds)
    return {
        "name": run.recipe.name,
        "recipe": run.recipe.as_json(),
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "data": "CT-ICH 1.0.0 and phantoms" if real else "phantoms",
        "attribution": ATTRIBUTION if real else "",
        "split": run.split.kind,
        "held_out_fold": run.held_out,
        "folds": run.folds,
        "epochs": len(history),
        "minutes": run.minutes,
        **card_parts,
        "onnx_difference": difference,
        "notice": NOTICE,
    }
