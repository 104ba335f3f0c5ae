"""Explain a whole scan: heat on the scan's own voxels, with box, mirroring and averaging as in `analyze`.

The map of a method is presented as a model's output, so that `ich_lib.prediction.analyze` can process it like any
other. Here every method uses our own code: over a scan it is ten times faster than tf-keras-vis and agrees with it.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ich_lib.explanation.methods import METHOD_NAMES, METHODS, cam
from ich_lib.labels import SCHEMES
from ich_lib.models.pictures import restore_bone
from ich_lib.models.recipe import Recipe
from ich_lib.models.run import FOLD, fold_runs, is_run, open_run
from ich_lib.prediction.analyze import average_outputs, predict_with_mirror, resample_heat, slice_batches
from ich_lib.prediction.engine import KERAS, Model, ModelOutput, Models, load, model_output, weights_folder
from ich_lib.prepare.head import Box, field_box
from ich_lib.prepare.slabs import slabs_of
from ich_lib.scan import Scan

if TYPE_CHECKING:
    import keras

MASKS = "seg-grad-cam"  # the only method that explains a mask


def explain(
    scan: Scan,
    method: str = "cam",
    source: str | Path = "shipped",
    *,
    label: str = "any",
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Show the places of a scan where a model looked.

    As in `analyze`, thin slices are averaged, every slab is scored as it is and mirrored, and the maps are averaged.

    Args:
        scan: the result of `read`.
        method: a name from NAMES. "cam" uses an exported model without Keras; the others import Keras, which takes
            seconds.
        source: "shipped", a run folder, or a folder of `export`.
        label: the label whose score is explained, a name of the model's scheme. A mask has none.
        progress: called with the share done, 0 to 1.

    Returns:
        (z, y, x) float16 in [0, 1], one scale for all slices: 1 is the strongest place of this scan, however low its
        score. Zeros where nothing speaks for the label.

    Raises:
        FileNotFoundError: if there is no model at `source`.
        ValueError: for an unknown method or label, a model with depth, or one that the method cannot explain.

    See also:
        `ich_lib.explanation.methods`, one function per method; `ich_lib.show.explanation`, which draws the map.

    Example:
        >>> from ich_lib import LABELS, explain, phantom
        >>> case = phantom(1, bleeds=["epidural"], slices=12, pixels=128)
        >>> heat = explain(case.scan)
        >>> heat.shape  # (z, y, x), the scan's own voxels
        (12, 128, 128)
        >>> hottest = heat.max(axis=(1, 2)).argmax()
        >>> bool(case.labels[hottest, LABELS.index("any")])  # the model saw reasons where blood is
        True
    """
    return heat_map(heat_model(method, source, label=label), scan, progress=progress)


def heat_model(method: str, source: str | Path = "shipped", *, label: str = "any") -> Model:
    """A trained model whose only output is the method's map, as heat (n, r, c, 1). See `explain`."""
    if method not in METHOD_NAMES:
        raise ValueError(f"No method is called {method!r}; choose from {', '.join(METHOD_NAMES)}.")
    if fold_runs(source):
        raise ValueError(f"{source} holds the runs of a cross-validation; name one of them, such as {FOLD}0.")
    models = load(source, fill=False)
    model = choose_model(models, method, source)
    if method == "cam":
        return cam_model(model, label=label)
    return gradient_model(method, load_network(source, model), model, label=label)


def cam_model(model: Model, *, label: str = "any") -> Model:
    """A model whose only output is the class activation map that it has anyway, as heat (n, r, c, 1)."""
    of = label_column(model.recipe, label)
    return _as_model(model, lambda pictures: cam(model, pictures, of=of))


def choose_model(models: Models, method: str, source: str | Path) -> Model:
    """The model of a pair that a method explains.

    Raises:
        ValueError: if there is none for the method, or for a model with depth.
    """
    if method == MASKS:
        model, lacks = models.segmenter, "draws no mask"
    elif method == "cam":
        model, lacks = models.classifier, "gives no scores"
    else:
        model, lacks = models.classifier or models.segmenter, "holds no model"
    if model is None:
        raise ValueError(f"{source} {lacks}, so {method} has nothing to explain.")
    if model.recipe.depth > 1:
        raise ValueError(
            f"{model.name} looks at blocks of {model.recipe.depth} slices, and only models of single pictures can be "
            "explained here; choose one without depth."
        )
    if not model.recipe.is_network:
        raise ValueError(f"{model.name} is no network: it has no layers to draw a map from.")
    return model


def label_column(recipe: Recipe, label: str) -> int:
    """The index of the explained score; for a model with only a mask, the last and only one.

    Raises:
        ValueError: if the model has no score for the label.
    """
    names = SCHEMES[recipe.scheme] if recipe.has_score_output else ("any",)
    if label not in names:
        raise ValueError(f"{recipe.name} gives no score for {label!r}; it gives {', '.join(names)}.")
    return names.index(label) if recipe.has_score_output else -1


def load_network(source: str | Path, model: Model) -> "keras.Model":
    """The Keras network of a model: that of a run, or from the weights beside an exported file.

    Raises:
        FileNotFoundError: if there are none.
    """
    folder = weights_folder(source)
    if is_run(folder):
        return open_run(folder).model()
    paths = [path for pattern in ("", "*/") for path in folder.glob(f"{pattern}{model.name}{KERAS}")]
    if not paths:
        raise FileNotFoundError(f"{folder} holds no {model.name}{KERAS}, and gradients need the Keras weights.")
    from ich_lib.models.builders import build

    network = build(model.recipe)
    network.load_weights(paths[0])
    return network


def gradient_model(method: str, network: "keras.Model", template: Model, *, label: str = "any") -> Model:
    """A network whose only output is the method's map.

    Args:
        method: a name from NAMES.
        network: the Keras model.
        template: the model that gives recipe, name and card.
        label: as in `explain`.
    """
    if method == "cam":
        return cam_model(replace(template, run=_with_heat(network, template.recipe)), label=label)
    from ich_lib.explanation.cut import split_model

    of = label_column(template.recipe, label)
    parts = split_model(network, output="mask" if method == MASKS else None)
    if method == MASKS:
        return _as_model(template, lambda pictures: METHODS[method](parts, pictures))
    return _as_model(template, lambda pictures: METHODS[method](parts, pictures, of=of))


def _with_heat(network: "keras.Model", recipe: Recipe) -> Callable[[np.ndarray], ModelOutput]:
    from keras import ops

    from ich_lib.models.heat import add_heat_output

    served = add_heat_output(network)

    def run(pictures: np.ndarray) -> ModelOutput:
        answers = served(ops.convert_to_tensor(pictures), training=False)
        answers = answers if isinstance(answers, list | tuple) else [answers]
        return model_output([ops.convert_to_numpy(tensor) for tensor in answers], recipe)

    return run


def _as_model(template: Model, draw: Callable[[np.ndarray], np.ndarray]) -> Model:
    return replace(template, run=lambda pictures: ModelOutput(heat=draw(pictures)[..., None]))


def heat_map(model: Model, scan: Scan, *, progress: Callable[[float], None] | None = None) -> np.ndarray:
    """The heat of a scan from the result of `heat_model` or `gradient_model`. See `explain`."""
    slabs, maps = slabs_of(scan), []
    hu = slabs.average(restore_bone(scan.hu))
    box = field_box(hu, model.recipe.field)
    for rows in slice_batches(len(hu), model.recipe):
        maps += slice_maps(model, hu, box, [rows])
        if progress:
            progress(rows.stop / len(hu))
    top = max(float(slice_map.max()) for slice_map in maps)
    heat = resample_heat([slice_map / top if top else slice_map for slice_map in maps], 1.0, box, hu.shape)
    return slabs.spread_maps(heat)


def slice_maps(model: Model, hu: np.ndarray, box: Box, batches: Iterable[range]) -> list[np.ndarray]:
    """The small maps (r, c) of some slices, each as it is and mirrored."""
    return [
        slice_map
        for rows in batches
        for slice_map in _heat(average_outputs(predict_with_mirror(model, hu, box, rows)))[..., 0]
    ]


def _heat(answer: ModelOutput) -> np.ndarray:
    if answer.heat is None:
        raise ValueError("This model draws no heat map.")
    return answer.heat
