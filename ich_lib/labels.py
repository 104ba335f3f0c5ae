"""The six labels, with one order and one color each, and the other label schemes that models are trained on."""

import numpy as np

from ich_lib.colors import GREEN, ORANGE, PURPLE, SKY, VERMILION

# The order of the RSNA 2019 challenge; `any` is last. `normal` and `multiple` are derived from it and never stored.
LABELS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
TYPES = LABELS[:-1]
ANY = LABELS.index("any")
# Each color is shown beside the name of its type. The order is that of LABELS.
COLORS = (ORANGE, SKY, GREEN, PURPLE, VERMILION, "#BBBBBB")

# Scheme to the names of a model's outputs, in order. A "-class" scheme is a softmax: exactly one output per slice is
# true. The others are sigmoids: each output is true or false by itself.
SCHEMES = {
    "binary": ("any",),
    "6-node": LABELS,  # system 004 (five CNNs on RSNA, 2019)
    "6-class": (*TYPES, "multiple"),  # system 001 (small CNN + 3D U-Net, 2021); slices with blood only
    "7-class": ("normal", *TYPES, "multiple"),  # system 000 (U-Net + EfficientNetB4 + DenseNet169, 2024)
}


def to_scheme(labels: np.ndarray, scheme: str) -> np.ndarray:
    """The six labels as the target of a model of another scheme.

    Some schemes lose information. "binary" loses every type. "6-class" and "7-class" turn two or more types into
    `multiple`. "6-node" loses nothing.

    Args:
        labels: (n, 6) bool in the order of LABELS. Not changed.
        scheme: a name from SCHEMES.

    Returns:
        (n, k) bool, a column per name in SCHEMES[scheme]. In a "-class" scheme each row is one-hot; `argmax(axis=1)`
        turns it into class numbers.

    Raises:
        ValueError: for an unknown scheme; for a type without `any`; for rows that the scheme cannot hold (see
            `fits_scheme`): slices without blood in "6-class", bleeding of unknown type in both "-class" schemes.
    """
    names, labels = _names(scheme), _check_labels(labels)
    if homeless := np.flatnonzero(~fits_scheme(labels, scheme)).tolist():
        problem = "bleeds without a type" if labels[homeless[0], ANY] else "shows no blood"
        raise ValueError(
            f"Row {homeless[0]} {problem}, for which {scheme!r} has no class ({len(homeless)} such rows of "
            f"{len(labels)})."
            f" Leave them out first: labels[has_place(labels, {scheme!r})]."
        )
    types, bleeding = labels[:, :ANY], labels[:, ANY]
    count = types.sum(axis=1)
    columns = {"any": bleeding, "normal": ~bleeding, "multiple": count > 1}
    is_single = count == 1 if _is_softmax(scheme) else np.ones(len(labels), bool)
    columns |= {name: types[:, i] & is_single for i, name in enumerate(TYPES)}
    return np.stack([columns[name] for name in names], axis=1)


def from_scheme(values: np.ndarray, scheme: str) -> np.ndarray:
    """Targets or decisions of a model of another scheme as the six labels.

    `any` of "binary" and `multiple` of the "-class" schemes set only `any`: the types are no longer known.

    Args:
        values: (n, k) of 0 and 1, a column per name in SCHEMES[scheme]; or (n,): class numbers of a "-class" scheme, 0
            and 1 of "binary". Turn scores into decisions first, by a threshold or `argmax(axis=1)`. Not changed.
        scheme: a name from SCHEMES.

    Returns:
        (n, 6) bool in the order of LABELS.

    Raises:
        ValueError: for an unknown scheme, scores, a class row that is not one-hot, or a type without `any`.
    """
    names, values = _names(scheme), np.asarray(values)
    if values.ndim == 1:
        values = _one_hot(values, names, scheme) if _is_softmax(scheme) else values[:, None]
    values = _zeros_and_ones(values, len(names), f"the {scheme!r} scheme")
    if _is_softmax(scheme) and (bad_rows := np.flatnonzero(values.sum(axis=1) != 1)).size:
        row = int(bad_rows[0])
        raise ValueError(f"Row {row} has {values[row].sum()} classes at once; {scheme!r} takes exactly one per slice.")
    labels = np.zeros((len(values), len(LABELS)), bool)
    for column, name in zip(values.T, names, strict=True):
        if name in LABELS:
            labels[:, LABELS.index(name)] = column
        if _is_softmax(scheme) and name != "normal":
            labels[:, ANY] |= column
    return _check_labels(labels)


def six_scores(scores: np.ndarray, scheme: str) -> np.ndarray:
    """A model's probabilities in any scheme as scores of the six labels.

    Args:
        scores: (n, k) probabilities, a column per name in SCHEMES[scheme].
        scheme: a name from SCHEMES.

    Returns:
        (n, 6) float32 in the order of LABELS. Types that "binary" does not have get 0. `any` of "7-class" is one minus
        `normal`. "6-class" has only bleeding slices, so its `any` is 1. `multiple` adds to no type.

    Raises:
        ValueError: for an unknown scheme.
    """
    names = _names(scheme)
    out = np.zeros((len(scores), len(LABELS)), np.float32)
    for column, name in zip(np.asarray(scores).T, names, strict=True):
        if name in LABELS:
            out[:, LABELS.index(name)] = column
    if _is_softmax(scheme):
        out[:, ANY] = 1 - scores[:, names.index("normal")] if "normal" in names else 1
    return out


def fits_scheme(labels: np.ndarray, scheme: str) -> np.ndarray:
    """(n,) bool: which rows of (n, 6) labels a scheme can hold.

    "binary" and "6-node" hold all rows. "6-class" has no class for a slice without blood. Neither "-class" scheme has a
    class for `any` without a type, which `from_scheme` makes from `multiple`.

    Raises:
        ValueError: for an unknown scheme or a type without `any`.
    """
    names, labels = _names(scheme), _check_labels(labels)
    if not _is_softmax(scheme):
        return np.ones(len(labels), bool)
    typed = np.any(labels[:, :ANY], axis=1)
    return typed | ~labels[:, ANY] if "normal" in names else typed


def _names(scheme: str) -> tuple[str, ...]:
    """The outputs of a scheme; if it is unknown, an error that lists the schemes."""
    if scheme not in SCHEMES:
        raise ValueError(f"No label scheme is called {scheme!r}; choose from {', '.join(SCHEMES)}.")
    return SCHEMES[scheme]


def _is_softmax(scheme: str) -> bool:
    return scheme.endswith("-class")


def _check_labels(labels: np.ndarray) -> np.ndarray:
    """(n, 6) bool, checked for contradictions."""
    labels = _zeros_and_ones(labels, len(LABELS), "LABELS")
    bad_rows = np.flatnonzero(labels[:, :ANY].any(axis=1) & ~labels[:, ANY])
    if bad_rows.size:
        row = int(bad_rows[0])
        name = TYPES[labels[row, :ANY].argmax()]
        raise ValueError(
            f"Row {row} is {name} and yet not `any`; a slice with a type bleeds. Correct the labels first."
        )
    return labels


def _zeros_and_ones(values: np.ndarray, columns: int, of: str) -> np.ndarray:
    """(n, columns) bool, or a ValueError."""
    values = np.asarray(values)
    if values.ndim != 2 or values.shape[1] != columns:
        raise ValueError(f"{of} has {columns} columns, so labels must be (n, {columns}); got shape {values.shape}.")
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            "Labels must be 0 or 1, and these are not. Turn scores into decisions first: by a threshold, "
            "or argmax(axis=1)."
        )
    return values.astype(bool)


def _one_hot(classes: np.ndarray, names: tuple[str, ...], scheme: str) -> np.ndarray:
    """(n,) class numbers to (n, k) bool."""
    table = classes[:, None] == np.arange(len(names))
    if not table.any(axis=1).all():
        raise ValueError(f"{scheme!r} has the classes 0 to {len(names) - 1}; got {classes[~table.any(axis=1)][0]}.")
    return table
