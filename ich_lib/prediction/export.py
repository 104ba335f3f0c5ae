"""A finished run to the files that serve it: NAME.onnx, NAME.weights.h5 and the card NAME.json."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np

from ich_lib.data.ct_ich import ATTRIBUTION
from ich_lib.models.heat import with_heat
from ich_lib.models.run import Run, open_run
from ich_lib.notice import NOTICE
from ich_lib.prediction.ood import Usual

_DOUBLING = ("Transpose", "Reshape", "Tile", "Unsqueeze")
TOLERANCE = 1e-4  # largest difference between exported and Keras outputs


def export(
    folder: str | Path,
    out: str | Path,
    *,
    figures: dict | None = None,
    calibration: dict | None = None,
    usual: Usual | None = None,
) -> Path:
    """Write a run's three files and check that they agree with Keras.

    Args:
        folder: a finished run.
        out: where NAME.onnx, NAME.weights.h5 and NAME.json go.
        figures: what `evaluate` found, for the card.
        calibration: what `evaluate` fitted on the folds of a cross-validation, for the card; `analyse` uses it.
        usual: what the run's features are like on scans as it learned from, of `ich_lib.evaluation.ood_limits.learned`,
            for the card; `analyse` warns of other scans.

    Returns:
        The path of NAME.json.

    Raises:
        RuntimeError: if the exported model's outputs differ by more than 1e-4.
        ValueError: if the run trained no network.
    """
    run, out = open_run(folder), Path(out)
    if not run.recipe.is_network:
        raise ValueError(f"{run.recipe.name} is no network, and ONNX serves networks; use its run folder as it is.")
    model = run.model()
    served = with_heat(model)
    out.mkdir(parents=True, exist_ok=True)
    onnx, weights = out / f"{run.recipe.name}.onnx", out / f"{run.recipe.name}.weights.h5"
    signature = [keras.InputSpec(shape=(None, *model.input_shape[1:]), dtype="float32", name="picture")]
    served.export(onnx, format="onnx", input_signature=signature, verbose=False)
    _double_by_resize(onnx)
    difference = largest_difference(served, onnx)
    if difference > TOLERANCE:
        raise RuntimeError(
            f"{onnx.name} differs from Keras by {difference:.1e}, more than {TOLERANCE:.0e}; it was not kept."
        )
    model.save_weights(weights)
    told = {"figures": figures or {}, "calibration": calibration, "usual": usual and usual.as_json()}
    card = out / f"{run.recipe.name}.json"
    card.write_text(json.dumps(_card(run, (onnx, weights), told, difference), indent=1) + "\n")
    return card


def _double_by_resize(path: Path) -> None:
    """Let one Resize do what each UpSampling2D became: 21 nodes around two Tiles, a fifth of the U-Net's time.

    The chain is followed back from the join behind it to the tensor that is doubled. `largest_difference` proves the
    outcome.
    """
    import onnx
    from onnx import helper

    model = onnx.load(path)
    graph, made_by = model.graph, {name: node for node in model.graph.node for name in node.output}
    graph.initializer.append(helper.make_tensor("double", onnx.TensorProto.FLOAT, [4], [1, 1, 2, 2]))
    for join in [node for node in graph.node if node.op_type == "Concat"]:
        end, chain = join.input[0], []
        while (made := made_by.get(chain[-1].input[0] if chain else end)) and made.op_type in _DOUBLING:
            chain.append(made)
        if [node.op_type for node in chain].count("Tile") != 2:  # one for the rows, one for the columns
            continue
        start = chain[-1].input[0]
        doubled = f"{join.output[0]}/doubled"
        rule = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        at = list(graph.node).index(join)
        graph.node.insert(at, helper.make_node("Resize", [start, "", "double"], [doubled], **rule))
        join.input[list(join.input).index(end)] = doubled
    _drop_unused(graph)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _drop_unused(graph) -> None:
    """Remove nodes whose outputs nobody reads, last to first."""
    while True:
        read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
        unused = [node for node in graph.node if not read & set(node.output)]
        if not unused:
            return
        for node in unused:
            graph.node.remove(node)


def largest_difference(model: keras.Model, onnx: Path) -> float:
    """Largest absolute difference of any output between Keras and ONNX Runtime on seeded pictures."""
    import onnxruntime

    pictures = np.random.default_rng(0).random((4, *model.input_shape[1:]), np.float32)
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    ours = session.run(None, {session.get_inputs()[0].name: pictures})
    theirs = model.predict(pictures, verbose=0)
    theirs = theirs if isinstance(theirs, list | tuple) else [theirs]
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


def _card(run: Run, files: tuple[Path, ...], told: dict, difference: float) -> dict:
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
        **told,
        "onnx_difference": difference,
        "notice": NOTICE,
    }
