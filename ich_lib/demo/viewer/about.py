"""What is told of a model that is not the shipped one: whose design it is, and its figures by patient."""

import json
from functools import cache

from ich_lib.models.published import SYSTEM_000, SYSTEM_001, SYSTEM_002, SYSTEM_003, SYSTEM_004
from ich_lib.prediction.engine import ONNX, WEIGHTS, Model, Models

_SYSTEMS = (SYSTEM_000, SYSTEM_001, SYSTEM_002, SYSTEM_003, SYSTEM_004)
_PUBLISHED = {recipe.name for system in _SYSTEMS for recipe in system}


def about_model(models: Models | None) -> dict | None:
    """What the viewer tells of the models that it shows; None of the shipped one.

    Args:
        models: the models of one viewer; None for the shipped one. Of a pair that the shipped model completes, the
            other one is described.

    Returns:
        `name` and `source` of the design ("" if it is this project's), `published` (whether it is a network of a
        published system), `dice` and `auc` (value, low, high and n_patients, of patients that the model never saw; None
        if not measured), `height` (the AUC that the height of a slice reaches alone) and `folds` (how many of how many
        were measured).

    Example:
        >>> from ich_lib import load
        >>> about = about_model(load("densenet-small"))
        >>> about["name"], about["dice"], about["folds"]  # it draws no mask
        ('densenet-small', None, [5, 5])
        >>> about_model(load()) is None
        True
    """
    others = [model for model in models or () if model.sha256 not in _shipped_hashes()]
    if not others:
        return None
    model = others[0]
    return {
        "name": model.name,
        "source": model.recipe.source,
        "published": model.name in _PUBLISHED,
        "dice": _figure(model, "dice_per_subject") if model.recipe.has_mask_output else None,
        "auc": _figure(model, "slice_auc_any"),
        "height": (_figure(model, "height_auc") or {}).get("value"),
        "folds": _folds(model),
    }


def _figure(model: Model, name: str) -> dict | None:
    """A figure of the card with its interval; None if it was not measured."""
    figure = model.card.get("figures", {}).get(name)
    return figure if figure and figure["value"] is not None else None


def _folds(model: Model) -> list[int] | None:
    """How many folds were measured, of how many; None if the figures are not of folds."""
    measured = model.card.get("figures", {}).get("folds")  # the number of one fold, or a list
    if measured is None:
        return None
    return [1 if isinstance(measured, int) else len(measured), len(set(model.card["folds"].values()))]


@cache
def _shipped_hashes() -> frozenset[str]:
    """SHA-256 of the weights of the shipped model."""
    cards = [json.loads(path.read_text()) for path in WEIGHTS.glob("*.json")]
    return frozenset(sha256 for card in cards for name, sha256 in card["sha256"].items() if name.endswith(ONNX))
