"""The class activation maps of a trained classifier, as an additional output of the network."""

import keras
from keras import layers


def add_heat_output(model: keras.Model) -> keras.Model:
    """A classifier with its class activation maps and pooled features as additional outputs; other models are returned
    unchanged.

    For global pooling and one dense layer, ReLU(sum_k W[k, c] A_k) equals Grad-CAM up to scale (Selvaraju et al. 2017,
    section 3.1), so the map is a 1x1 convolution with the dense layer's own weights. Other classifiers (a second dense
    layer, a flattened picture) have no such map.

    Returns:
        (n, y, x, channel) to the previous outputs, heat (n, r, c, k), not scaled, and features (n, f), the pooled ones
        that `ich_lib.prediction.ood` uses.
    """
    names = [layer.name for layer in model.layers]
    if "features" not in names or "dense" in names:
        return model
    weights = model.get_layer("scores").get_weights()[0]
    heat = layers.Conv2D(weights.shape[1], 1, use_bias=False, activation="relu", dtype="float32", name="heat")
    outputs = [*model.outputs, heat(model.get_layer("features").output), model.get_layer("pool").output]
    served = keras.Model(model.input, outputs, name=model.name)
    heat.set_weights([weights[None, None]])
    return served
