"""The last layer of a classifier, by label scheme."""

import keras
from keras import layers

from ich_lib.labels import SCHEMES


def scores(x: keras.KerasTensor, scheme: str) -> keras.KerasTensor:
    """One dense layer of probabilities, in the order of SCHEMES[scheme].

    A slice may have several types of bleeding, so "binary" and "6-node" end in sigmoids. In a "-class" scheme exactly
    one class is right, so it ends in a softmax. System 004 (five CNNs on RSNA, 2019) had a softmax over its six labels.

    Args:
        x: (n, k) features.
        scheme: a name from `ich_lib.labels.SCHEMES`.

    Returns:
        (n, len(SCHEMES[scheme])), float32 for every precision of the input.

    Raises:
        ValueError: for an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"No label scheme is called {scheme!r}; choose from {', '.join(SCHEMES)}.")
    activation = "softmax" if scheme.endswith("-class") else "sigmoid"
    return layers.Dense(len(SCHEMES[scheme]), activation=activation, dtype="float32", name="scores")(x)


def pooled_scores(x: keras.KerasTensor, scheme: str, dropout: float) -> keras.KerasTensor:
    """Features, their mean over the picture, one dense layer: scores whose class activation map is exact.

    For this ending the map equals Grad-CAM up to scale (Selvaraju et al. 2017, section 3.1) and needs no gradient.

    Args:
        x: (n, r, c, k) features.
        scheme: a name from `ich_lib.labels.SCHEMES`.
        dropout: share of pooled features dropped while training.

    Returns:
        (n, len(SCHEMES[scheme])) scores. Layer "features" holds the pooled features, "scores" the dense layer.
    """
    x = layers.Activation("linear", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return scores(layers.Dropout(dropout, name="pool_drop")(x), scheme)
