"""A flat copy of a network, cut in two at one layer and without its last sigmoid, for gradients.

A saturated sigmoid has no slope: at a probability of 0.9999 no pixel seems to matter. So the logit is explained, which
is the input of the last sigmoid or softmax.
"""

from dataclasses import dataclass

import keras
import numpy as np

from ich_lib.explanation.slopes import gradient

_OUTPUTS = ("scores", "mask")


@dataclass(frozen=True)
class SplitModel:
    """A network cut in two at one layer, and the output that is explained.

    Attributes:
        model: the original network, which shares its layers with the copies below.
        layer: name of the layer.
        output: "scores", (n, k) a picture, or "mask", (n, y, x, 1).
        is_logit: whether the output is a logit. If the network ends in another way (for example in a mean of
            probabilities), its output is explained as it is.
        is_plain: whether the network holds no nested network and has one output, as tf-keras-vis requires.
        body: pictures (n, y, x, channel) to the layer's output (n, r, c, k).
        top: pictures and the layer's output to the explained output.
        network: pictures to the explained output.
    """

    model: keras.Model
    layer: str
    output: str
    is_logit: bool
    is_plain: bool
    body: keras.Model
    top: keras.Model
    network: keras.Model

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """(n, r, c, k) output of the layer."""
        return _predict(self.body, pictures)

    def blood(self, pictures: np.ndarray) -> np.ndarray:
        """(n, y, x) float32, 1 for pixels that a mask calls blood: probability at least one half."""
        return (_predict(self.network, pictures)[..., 0] >= (0 if self.is_logit else 0.5)).astype(np.float32)

    def target(self, pictures: np.ndarray, *, of: int, blood: np.ndarray | None = None) -> np.ndarray:
        """(n,) the explained value: score `of`, or the mask's sum over the pixels of `blood`."""
        return np.asarray(keras.ops.convert_to_numpy(self._target(self.network(_tensor(pictures)), of, blood)))

    def gradient(self, pictures: np.ndarray, features: np.ndarray | None = None, *, of: int) -> np.ndarray:
        """The gradient of `target` with respect to the layer's output, or to the pictures if no output is given."""
        blood = self.blood(pictures) if self.output == "mask" else None
        if features is None:
            return gradient(lambda at: self._target(self.network(at, training=False), of, blood), pictures)
        pictures_tensor = _tensor(pictures)
        return gradient(lambda at: self._target(self.top([pictures_tensor, at], training=False), of, blood), features)

    def _target(self, answer: keras.KerasTensor, of: int, blood: np.ndarray | None) -> keras.KerasTensor:
        if blood is None:
            return answer[:, of]
        return keras.ops.sum(answer[..., 0] * _tensor(blood), axis=(1, 2))


def _tensor(values: np.ndarray) -> keras.KerasTensor:
    return keras.ops.convert_to_tensor(values, dtype="float32")


def _predict(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(model(_tensor(pictures), training=False)))


def split_model(model: keras.Model, layer: str | None = None, *, output: str | None = None) -> SplitModel:
    """Make a flat copy of a network and cut it at one layer. Its layers and weights are shared, not copied.

    Args:
        model: functional or sequential, with one picture (y, x, channel) as input; networks inside it are opened.
        layer: name of the layer, which may be inside a nested network. None takes, for scores, the last layer with rows
            and columns; for a mask, the bottleneck: the last of those with the fewest.
        output: "scores" or "mask"; None takes the scores if there are any.

    Returns:
        The cut.

    Raises:
        ValueError: for a network with depth, with more than one input or of another kind; for a missing output or
            layer; or if the layer does not affect the output.
    """
    bare = _strip_training(model)
    _check_input(bare, model.name)
    nested = any(_is_network(layer_) for layer_ in bare.layers)
    flat = flatten(bare) if nested else bare
    kind, place = _explainable_output(flat, output, model.name)
    last = flat.get_layer(flat.output_names[place])
    linear = _without_activation(last)
    outcomes = {}

    def called(called_layer: keras.Layer, *tensors: keras.KerasTensor, **options: object) -> keras.KerasTensor:
        outcome = called_layer(*tensors, **options)
        if linear is not None and called_layer is linear and called_layer is not last:
            linear.set_weights(last.get_weights())
        outcomes[called_layer.name] = outcome
        return outcome

    twin = keras.models.clone_model(
        flat, clone_function=lambda layer_: linear if layer_ is last and linear else layer_, call_function=called
    )
    picture, answer = twin.inputs[0], twin.outputs[place]
    network = keras.Model(picture, answer)
    name = _choose_layer(layer, outcomes, network, kind, model.name)
    return SplitModel(
        model=bare,
        layer=name,
        output=kind,
        is_logit=linear is not None,
        is_plain=not nested and len(flat.outputs) == 1,
        body=keras.Model(picture, outcomes[name]),
        top=keras.Model([picture, outcomes[name]], answer),
        network=network,
    )


def flatten(model: keras.Model) -> keras.Model:
    """A network without nested networks: each of their layers is called directly, with the same weights.

    Keras clones a graph layer by layer and uses `call_function` for each. A nested network is not called but made flat
    itself, and run layer by layer on its input tensors. If two layers have one name, the second is copied under a
    longer one, because names in a graph are unique.
    """
    owners: dict[str, keras.Layer] = {}
    twins: dict[int, keras.Layer] = {}

    def called(layer: keras.Layer, *tensors: keras.KerasTensor, **options: object) -> keras.KerasTensor:
        if _is_network(layer):
            inner = keras.models.clone_model(
                _strip_training(layer), clone_function=lambda inner_layer: inner_layer, call_function=called
            )
            return keras.Function.call(inner, keras.tree.flatten(tensors))
        if owners.setdefault(layer.name, layer) is layer:
            return layer(*tensors, **options)
        twin = twins.setdefault(id(layer), _rename(layer, f"{layer.name}_{len(twins) + 2}"))
        outcome = twin(*tensors, **options)
        twin.set_weights(layer.get_weights())
        owners[twin.name] = twin
        return outcome

    return keras.models.clone_model(
        _strip_training(model), clone_function=lambda inner_layer: inner_layer, call_function=called
    )


def _strip_training(model: keras.Model) -> keras.Model:
    """The same graph without losses and metrics; a sequential network as a graph."""
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"{model.name} is no network whose layers can be reached: it must be functional, or sequential and built."
        )
    return keras.Model(model.inputs, model.outputs, name=model.name)


def _is_network(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.Sequential | keras.Function)


def _rename(layer: keras.Layer, name: str) -> keras.Layer:
    return type(layer).from_config({**layer.get_config(), "name": name})


def _check_input(model: keras.Model, name: str) -> None:
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) == 1 and len(shapes[0]) == 5:
        raise ValueError(
            f"{name} looks at blocks of slices, and only models of single pictures can be explained here; choose one "
            "without depth."
        )
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ValueError(f"{name} must take one picture (y, x, channel) to be explained; it takes {shapes}.")


def _explainable_output(model: keras.Model, requested: str | None, name: str) -> tuple[str, int]:
    """The kind of output that can be explained, and its index among the outputs."""
    if requested not in (None, *_OUTPUTS):
        raise ValueError(f"answers must be one of {', '.join(_OUTPUTS)}; got {requested!r}.")
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    places = {"scores": [n for n, shape in enumerate(shapes) if len(shape) == 2]}
    places["mask"] = [n for n, shape in enumerate(shapes) if len(shape) == 4 and shape[-1] == 1]
    for kind in _OUTPUTS if requested is None else (requested,):
        if places[kind]:
            return kind, places[kind][0]
    raise ValueError(f"{name} gives no {requested or 'scores and no mask'} that could be explained; it gives {shapes}.")


def _without_activation(layer: keras.Layer) -> keras.Layer | None:
    """The last layer without its sigmoid or softmax; None if that is not possible."""
    activation = getattr(layer, "activation", None)
    if activation is keras.activations.linear:
        return layer
    if activation in (keras.activations.sigmoid, keras.activations.softmax):
        return type(layer).from_config({**layer.get_config(), "activation": "linear"})
    return None


def _choose_layer(requested: str | None, outcomes: dict, network: keras.Model, kind: str, name: str) -> str:
    """The layer to cut at."""
    on_the_way = [layer.name for layer in network.layers if layer.name in outcomes][:-1]  # the last one is the output
    rooms = {
        candidate: outcomes[candidate].shape
        for candidate in on_the_way
        if len(getattr(outcomes[candidate], "shape", ())) == 4
    }
    rooms = {candidate: (shape[1] or 0) * (shape[2] or 0) for candidate, shape in rooms.items() if shape[1:3] != (1, 1)}
    if requested is None and kind == "mask" and not all(rooms.values()):
        raise ValueError(f"{name} takes pictures of any size, so its bottleneck is not known; name a layer.")
    if requested is None and rooms:
        fewest = min(rooms.values()) if kind == "mask" else None
        return [candidate for candidate, room in rooms.items() if fewest in (None, room)][-1]
    if requested is not None and requested in rooms:
        return requested
    if requested in outcomes:
        raise ValueError(
            f"Layer {requested} of {name} has no rows and columns, or no say in the {kind}; a map cannot be "
            "drawn from it."
        )
    problem = (
        f"no layer called {requested!r}" if requested else f"no layer with rows and columns on the way to its {kind}"
    )
    raise ValueError(f"{name} has {problem}; there are {', '.join(list(rooms)[-8:]) or 'none to choose from'}.")
