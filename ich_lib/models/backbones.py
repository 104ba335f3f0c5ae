"""Backbones of keras.applications with our own head, as one flat model that takes pictures in [0, 1].

Every backbone was trained with its own scaling of pictures. That scaling is the first layer of the model here, so it
happens exactly once. System 000 scaled EfficientNet's pictures twice and got the accuracy of always predicting
"normal". System 004 gave InceptionV3 [0, 1] instead of [-1, 1].
"""

from collections.abc import Callable

import keras
from keras import layers, ops

from ich_lib.models.outputs import scores

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in [0, 1]
_MOST_MOMENTUM = 0.99  # of batch normalization in a training from random weights; the usual value of Keras
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of ImageNet, BGR in 0 to 255


@keras.saving.register_keras_serializable("ich_lib")
class ReversedChannels(layers.Layer):
    """RGB as BGR."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.flip(x, axis=-1)


def _scale_to_symmetric(x: keras.KerasTensor) -> keras.KerasTensor:
    """[-1, 1], as `preprocess_input` in mode "tf"."""
    return layers.Rescaling(2.0, offset=-1.0, dtype="float32", name="scaling")(x)


def _standardize(x: keras.KerasTensor) -> keras.KerasTensor:
    """ImageNet's mean and standard deviation, as `preprocess_input` in mode "torch"."""
    offset = [-mean / std for mean, std in zip(_MEAN, _STD, strict=True)]
    return layers.Rescaling([1 / std for std in _STD], offset=offset, dtype="float32", name="scaling")(x)


def _to_bgr(x: keras.KerasTensor) -> keras.KerasTensor:
    """BGR in 0 to 255 less its mean, as `preprocess_input` in mode "caffe"."""
    x = ReversedChannels(dtype="float32", name="bgr")(x)
    return layers.Rescaling(255.0, offset=[-mean for mean in _CAFFE_MEAN], dtype="float32", name="scaling")(x)


def _scale_to_255(x: keras.KerasTensor) -> keras.KerasTensor:
    """0 to 255, because EfficientNet divides by 255 itself. The mean and deviation of its ImageNet training are applied
    here.

    Keras adds a layer for the deviation only if it is built with weights="imagenet", and keeps the mean as weights. A
    model rebuilt for weights trained later would lack the layer and might lose the mean, so both are applied here.
    """
    offset = [-255 * mean / std for mean, std in zip(_MEAN, _STD, strict=True)]
    return layers.Rescaling([255 / std for std in _STD], offset=offset, dtype="float32", name="scaling")(x)


# Name in keras.applications to its scaling of pictures in [0, 1]
BACKBONES: dict[str, Callable] = {
    "EfficientNetB4": _scale_to_255,
    "DenseNet121": _standardize,
    "DenseNet169": _standardize,
    "MobileNetV2": _scale_to_symmetric,
    "InceptionV3": _scale_to_symmetric,
    "ResNet50": _to_bgr,
}


def backbone(
    shape: tuple[int, int, int],
    *,
    base: str,
    scheme: str = "6-node",
    trainable: str = "all",
    dense: int = 0,
    l2: float = 0.0,
    dropout: tuple[float, float] = (0.0, 0.0),
    weights: str | None = None,
    name: str = "backbone",
) -> keras.Model:
    """A backbone, global average pooling, an optional dense layer, and the scores.

    Args:
        shape: (y, x, 3) of the input.
        base: the backbone, a name from BACKBONES.
        scheme: of the outputs, a name from `ich_lib.labels.SCHEMES`.
        trainable: the trained part besides the head: "all" of the backbone, "none" of it, its "first 5" layers, or
            those "after mixed8", a layer's name. Batch normalization that is not trained keeps its ImageNet statistics.
        dense: width of a ReLU layer between pooling and scores; 0 leaves it out.
        l2: weight penalty of that layer.
        dropout: before and after that layer.
        weights: of the backbone: "imagenet", a file of the same layout ("notop" of keras.applications), or None for
            random ones.
        name: of the model.

    Returns:
        (n, y, x, 3) in [0, 1] to (n, k) probabilities, float32. Layer "features" holds the pooled features.

    Raises:
        ValueError: for an unknown backbone or `trainable`, other than three channels, or weights that are not
            available.
    """
    if base not in BACKBONES:
        raise ValueError(f"No backbone is called {base!r}; choose from {', '.join(BACKBONES)}.")
    if len(shape) != 3 or shape[-1] != 3:
        raise ValueError(
            f"{base} takes pictures of 3 channels (y, x, 3), as its ImageNet weights do; got {tuple(shape)}. "
            "Choose three windows of one slice, or one window of three slices."
        )
    inputs = layers.Input(shape, name="picture")
    features = BACKBONES[base](inputs)
    net = getattr(keras.applications, base)(include_top=False, weights=None, input_tensor=features)
    backbone_layers = [layer for layer in net.layers if layer.name not in ("picture", "bgr", "scaling")]
    if weights is None:
        _forget_faster(backbone_layers)
    else:
        _copy_weights(_pretrained(base, weights), backbone_layers)
    _freeze(backbone_layers, trainable, base)
    x = layers.Activation("linear", name="features")(net.output)  # (n, y / 32, x / 32, k)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout[0]:
        x = layers.Dropout(dropout[0], name="pool_drop")(x)
    if dense:
        penalty = keras.regularizers.L2(l2) if l2 else None
        x = layers.Dense(dense, activation="relu", kernel_regularizer=penalty, name="dense")(x)
    if dropout[1]:
        x = layers.Dropout(dropout[1], name="dense_drop")(x)
    return keras.Model(inputs, scores(x, scheme), name=name)


def _pretrained(base: str, weights: str) -> list:
    """The layers of a backbone with its ImageNet weights."""
    try:
        return getattr(keras.applications, base)(include_top=False, weights=weights, input_shape=(96, 96, 3)).layers
    except Exception as error:
        raise ValueError(
            f"The weights {weights!r} of {base} cannot be had: {str(error).rstrip('.')}. Without network, put "
            f"Keras's own file for {base} (the one that ends in notop) into $KERAS_HOME/models (~/.keras/models), "
            "or give its path as weights. Or pass weights=None to begin with random ones."
        ) from error


def _copy_weights(source: list, target: list) -> None:
    """Layer by layer; EfficientNet's normalization has no effect, because its figures are in our scaling."""
    source, target = (
        [layer for layer in side if layer.weights and not isinstance(layer, layers.Normalization)]
        for side in (source, target)
    )
    for source_layer, target_layer in zip(source, target, strict=True):
        target_layer.set_weights(source_layer.get_weights())


def _forget_faster(backbone_layers: list) -> None:
    """Let batch normalization learn its statistics within some hundred steps.

    MobileNetV2's keeps 0.999 of them at every step. After 500 steps from random weights they were still mostly the
    initial ones, and the network gave every slice the same score (slice AUC 0.495, training loss 0.43).
    """
    for layer in backbone_layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = min(layer.momentum, _MOST_MOMENTUM)


def _freeze(backbone_layers: list, trainable: str, base: str) -> None:
    """Set which of a backbone's layers are trained."""
    kind, _, layer_name = trainable.partition(" ")
    names = [layer.name for layer in backbone_layers]
    if trainable in ("all", "none"):
        trained_layers = backbone_layers if trainable == "all" else []
    elif kind == "first" and layer_name.isdecimal():
        trained_layers = backbone_layers[: int(layer_name)]
    elif kind == "after" and layer_name in names:
        trained_layers = backbone_layers[names.index(layer_name) + 1 :]
    else:
        raise ValueError(
            f"trainable must be 'all', 'none', 'first N' or 'after LAYER' with a layer of {base}; got {trainable!r}."
        )
    for layer in backbone_layers:
        layer.trainable = any(layer is trained_layer for trained_layer in trained_layers)
