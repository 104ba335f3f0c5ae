"""Export a finished run for serving: NAME.onnx, NAME.weights.h5 and the card NAME.json.

Keras takes seconds to import, so it is imported inside the functions.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ich_lib.data.ct_ich import ATTRIBUTION
from ich_lib.models.run import Run, open_run
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import KERAS, ONNX
from ich_lib.prediction.ood import OodDetector

if TYPE_CHECKING:
    import keras
    import onnx

_DOUBLING = ("Transpose", "Reshape", "Tile", "Unsqueeze")
TOLERANCE = 1e-4  # largest difference between exported and Keras outputs
HALF_TOLERANCE = 2e-2  # the same for kernels stored as float16, for single pixels; scores differ by 3e-4


def export(
    folder: str | Path,
    out: str | Path,
    *,
    figures: dict | None = None,
    calibration: dict | None = None,
    ood: OodDetector | None = None,
    half: bool = False,
) -> Path:
    """Write the three files of a run and check that they agree with Keras.

    Args:
        folder: a finished run.
        out: folder for NAME.onnx, NAME.weights.h5 and NAME.json.
        figures: results of `evaluate`, for the card.
        calibration: fitted by `evaluate` on the folds of a cross-validation, for the card; `analyze` uses it.
        ood: the run's features on its training scans, from `ich_lib.evaluation.ood_limits.fit_ood`, for the card;
            `analyze` warns of scans that differ.
        half: store kernels as float16, which halves the size. All computing is still in float32.

    Returns:
        The path of NAME.json.

    Raises:
        RuntimeError: if the exported model's outputs differ from the run's by more than 1e-4, or 2e-2 with `half`.
        ValueError: if the run trained no network.
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
    model.save_weights(weights)
    if half:
        _halve_onnx(onnx)
        _halve_weights(weights)
    difference, limit = largest_difference(served, onnx), HALF_TOLERANCE if half else TOLERANCE
    if difference > limit:
        raise RuntimeError(f"{onnx.name} differs from Keras by {difference:.1e}, more than {limit:.0e}; do not use it.")
    card_parts = {"figures": figures or {}, "calibration": calibration, "usual": ood and ood.as_json()}
    card = out / f"{run.recipe.name}.json"
    card.write_text(json.dumps(_card(run, (onnx, weights), card_parts, difference), indent=1) + "\n")
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


def _halve_onnx(path: Path) -> None:
    """Store kernels as float16. ONNX Runtime casts each one once, when it opens the file."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    for tensor in [tensor for tensor in graph.initializer if _is_kernel(tensor.dims, tensor.data_type)]:
        name = f"{tensor.name}/half"
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name)
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
        graph.node.insert(0, helper.make_node("Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT))
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _is_kernel(dims: Sequence[int], data_type: int) -> bool:
    """Only kernels of convolutions and dense layers: normalization and biases are small, and their values matter
    more."""
    import onnx

    return len(dims) > 1 and data_type == onnx.TensorProto.FLOAT


def _halve_weights(path: Path) -> None:
    """Store kernels as float16; Keras reads them as float32."""
    import h5py

    with h5py.File(path) as old, h5py.File(half := path.with_suffix(".half"), "w") as new:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                target = new.create_dataset(name, data=values.astype(np.float16) if np.ndim(values) > 1 else values)
            else:
                target = new.require_group(name)
            target.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    half.replace(path)


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


def _card(run: Run, files: tuple[Path, ...], card_parts: dict, difference: float) -> dict:
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
