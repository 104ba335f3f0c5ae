"""The recipes that come with the library, by name."""

from dataclasses import replace
from fnmatch import fnmatchcase

from ich_lib.models.published import CLASSICAL, SYSTEM_000, SYSTEM_001, SYSTEM_002, SYSTEM_003, SYSTEM_004
from ich_lib.models.recipe import Recipe
from ich_lib.prepare.augment import DEFAULT

_SMALL = {"filters": (16, 32, 64, 128, 256)}
_FIRST = Recipe("unet-small-first", "segment", "unet2d", _SMALL)
_OTHER_SCANNERS = replace(
    DEFAULT, turn_deg=30, contrast=0.12, brightness_hu=6, blur=0.4, sharpen=0.2, noise_hu=12, flat_bone=0.15
)
_LITE_FIRST = Recipe(
    "unet-lite0-first",
    "both",
    "unet_lite0",
    {"filters": (32, 32, 48, 96)},
    weights="imagenet",
    size=128,
    loss="slice_dice_bce",
    mix=(0.35, 0.2, 0.35, 0.1),
    painted=0.4,
    augment=_OTHER_SCANNERS,
    epochs=8,
    learning_rate=3e-3,
    source="first stage of unet-lite0, on small pictures; its encoder begins with ImageNet's weights",
)
# The shipped model. The second stage has larger pictures and more slices without blood, as real scans have.
_LITE = replace(
    _LITE_FIRST,
    name="unet-lite0",
    size=192,
    mix=(0.3, 0.1, 0.5, 0.1),
    painted=0.2,
    epochs=6,
    learning_rate=1e-3,
    within_skull=True,  # costs no pixel of the outlines, and takes blood from hands and scalp
    least_score=0.6,  # halves the mL on clean scans and costs no Dice, on the held-out patients of folds 0 and 1
    source="EfficientNet-Lite0 (Tan and Le 2019) as the encoder of a U-Net; goes on from unet-lite0-first",
)
_OWN_MODULES = (
    _LITE_FIRST,
    _LITE,
    Recipe(  # the first stage of unet-both: only phantoms, so all folds share it
        "unet-phantom",
        "segment",
        "unet2d",
        _SMALL,
        loss="slice_dice_bce",
        phantoms=200,
        epochs=15,
        source="first stage of unet-both; train it without --data, on every phantom (--fold none)",
    ),
    Recipe(  # shipped before unet-lite0; continues from unet-phantom (train --start)
        "unet-both",
        "both",
        "unet2d",
        _SMALL,
        loss="slice_dice_bce",
        epochs=12,
        source="one network for mask and scores, from random weights; goes on from unet-phantom",
    ),
    _FIRST,
    Recipe(  # continues from unet-small-first (train --start); every bleeding slice counts the same
        "unet-small",
        "segment",
        "unet2d",
        _SMALL,
        loss="slice_dice_bce",
        epochs=25,
        learning_rate=5e-4,
    ),
    Recipe(
        "densenet-small",
        "classify",
        "densenet_bc",
        {"blocks": (4, 8, 12), "growth": 16},
        mix=(0.25, 0.25, 0.375, 0.125),
        loss="bce",
        batch=16,
        epochs=30,
        weight_decay=1e-2,
    ),
)

# "Future work" of the published systems, for comparison with unet-small-first: one change each.
_NEXT = (
    replace(_FIRST, name="unet-2d", neighbors=0, source="unet-small-first that sees one slice"),
    replace(_FIRST, name="unet-2.5d", neighbors=2, source="unet-small-first that sees five slices (2.5D)"),
    replace(
        _FIRST,
        name="attention-unet",
        options={**_SMALL, "gates": True},
        source="Attention U-Net, Oktay et al. 2018, arXiv:1804.03999",
    ),
    replace(
        _FIRST,
        name="ensemble-small",
        builder="ensemble",
        options={"members": ({"filters": (8, 16, 32, 64, 128)}, {"filters": (12, 24, 48, 96)}, {"dropout": 0.0})},
        source="three U-Nets of other widths and depths, averaged",
    ),
    replace(
        _FIRST,
        name="cnn-rnn",
        task="classify",
        builder="cnn_rnn",
        options={},
        size=128,
        neighbors=0,
        depth=24,
        loss="bce",
        batch=2,
        source="a CNN on every slice and an LSTM over the slices; RSNA 2019 winners, widths chosen here",
    ),
)


RECIPES = {
    entry.name: entry
    for group in (_OWN_MODULES, _NEXT, SYSTEM_000, SYSTEM_001, SYSTEM_002, SYSTEM_003, SYSTEM_004, CLASSICAL)
    for entry in group
}


def recipes(pattern: str = "*") -> dict[str, Recipe]:
    """The models that can be trained, by name: ours and those of five published student systems.

    Args:
        pattern: which names, as in file names of a shell: * is any letters, ? is one.

    Returns:
        Name to recipe; `get_recipe.source` names the source of a model. You may change the dictionary.

    Raises:
        ValueError: if no name fits, with all names.

    See also:
        `train`; `ich recipes` prints the list with the number of parameters.

    Example:
        >>> from ich_lib import recipes
        >>> list(recipes("unet3d-*"))
        ['unet3d-000', 'unet3d-001']
        >>> recipes()["unet2d-000"].shape  # (y, x, channel)
        (128, 128, 1)
    """
    fitting = {name: recipe for name, recipe in RECIPES.items() if fnmatchcase(name, pattern)}
    if not fitting:
        raise ValueError(f"No recipe is called {pattern!r}; choose from {', '.join(RECIPES)}.")
    return fitting


def get_recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        ValueError: for an unknown name, with the known ones.
    """
    if name not in RECIPES:
        raise ValueError(f"No recipe is called {name!r}; choose from {', '.join(RECIPES)}.")
    return RECIPES[name]
