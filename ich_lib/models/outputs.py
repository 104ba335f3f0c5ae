"""The last layer of a classifier: what its label scheme asks for."""

from keras import layers

from ich_lib.labels import SCHEMES


def scores(x, scheme: str):
    """One dense layer of probabilities, in the order of SCHEMES[scheme].

    A slice may bleed in several ways at once, so "binary" and "6-node" end in sigmoids; of a "-class" scheme exactly
    one class is right, so it ends in a softmax. System 004 (five CNNs on RSNA, 2019) had a softmax over its six labels.

    Args:
        x: (n, k) features.
        scheme: a name from `ich_lib.labels.SCHEMES`.

    Returns:
        (n, len(SCHEMES[scheme])), float32 whatever the precision before.

    Raises:
        ValueError: for an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"No label scheme is called {scheme!r}; choose from {', '.join(SCHEMES)}.")
    activation = "softmax" if scheme.endswith("-class") else "sigmoid"
    return layers.Dense(len(SCHEMES[scheme]), activation=activation, dtype="float32", name="scores")(x)
