"""Everything needed to rebuild a model, as data with a name."""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from ich_lib.prepare.augment import DEFAULT, NO_AUGMENT, Augment
from ich_lib.prepare.head import FIELDS
from ich_lib.prepare.window import WINDOWS


@dataclass(frozen=True)
class Recipe:
    """One model and its training, complete; `as_json` of it is a run's recipe.json.

    Attributes:
        name: of the recipe.
        task: "segment" (a mask), "classify" (scores), or "both" by one model.
        builder: "unet2d", "densenet_bc" or another function of `ich_lib.models`; "classical" for hand-made features.
        options: further arguments of the builder.
        weights: what a backbone begins training with: "imagenet", a file, or None for random weights.
        size: side of the model's picture in pixels; the head's box, or the whole slice, is brought to it.
        field: "head", the square around the head, or "slice", the whole slice.
        stored: side of the stored picture that training pictures are cut from, in pixels.
        neighbors: slices to either side that come along as channels (2.5D).
        depth: slices of a 3D picture, which then has the axes (z, y, x, channel); 1 is two-dimensional. A classifier
            with depth scores each of its slices.
        windows: names from WINDOWS; each slice is shown through each of them.
        windows_as: "channels" of one picture, or "samples" of their own with one channel.
        sampling: "mix", endless draws by `mix`; "natural", every slice once a pass; "balanced", each pass every slice
            with blood and as many without.
        mix: share of training samples that are slices with blood, clean slices with blood pasted in, clean slices,
            and phantom slices. Adds up to 1.
        painted: share of those clean slices into which blood is painted (`ich_lib.prepare.painting`); without depth.
        augment: how far training pictures stray from the stored ones. Validation never strays.
        scheme: the outputs of a classifier, a name from `ich_lib.labels.SCHEMES`.
        loss: a name from `ich_lib.models.losses.LOSSES`.
        label_weight: of the scores' binary cross-entropy beside the mask's loss, for "both".
        phantoms: how many phantom heads are made for the phantom share; with 0 clean slices take that share.
        batch, steps, epochs: an epoch is `steps` batches, or one pass where `steps` is 0 (not with "mix").
        optimizer: "adamw", or "adam", which has no weight decay.
        learning_rate, weight_decay: of the optimizer, at the start.
        schedule: of the learning rate: "cosine", falling over all epochs; "cosine restarts", falling over every
            `restart` epochs anew; "constant"; "plateau", halved whenever the training loss fell no lower for `halve`
            epochs.
        lowest: share of `learning_rate` that a cosine falls to.
        restart, halve: in epochs, see `schedule`.
        patience: epochs without a lower training loss after which training stops; 0 never stops. The held-out fold is
            never looked at.
        precision: Keras dtype policy while training; weights are float32 always.
        seed: of the weights, the folds and every sample.
        threshold: a voxel is blood, or a slice bleeding, from this probability on. Set before training, never tuned.
        source: where the model is described, and what is not told there and was chosen here.

    Raises:
        ValueError: for a setting that no recipe has.

    See also:
        `recipes`, for those with a name; `train`, which trains one.

    Example:
        >>> from ich_lib import Recipe
        >>> mine = Recipe("mine", "both", "unet2d", {"filters": (8, 16, 32)}, size=96, windows=("brain", "bone"))
        >>> mine.shape  # (y, x, channel): three slices through two windows
        (96, 96, 6)
    """

    name: str
    task: str
    builder: str
    options: dict = field(default_factory=dict)
    weights: str | None = None
    size: int = 192
    field: str = "head"
    stored: int = 256
    neighbors: int = 1
    depth: int = 1
    windows: tuple[str, ...] = ("brain render", "bone")
    windows_as: str = "channels"
    sampling: str = "mix"
    mix: tuple[float, float, float, float] = (0.375, 0.25, 0.25, 0.125)
    painted: float = 0.0
    augment: Augment = DEFAULT
    scheme: str = "6-node"
    loss: str = "dice_bce"
    label_weight: float = 0.3
    phantoms: int = 50
    batch: int = 8
    steps: int = 100
    epochs: int = 60
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    lowest: float = 0.0
    restart: int = 10
    halve: int = 5
    patience: int = 0
    precision: str = "mixed_bfloat16"
    seed: int = 0
    threshold: float = 0.5
    source: str = ""

    def __post_init__(self) -> None:
        choices = {
            "task": ("segment", "classify", "both"),
            "field": FIELDS,
            "windows_as": ("channels", "samples"),
            "sampling": ("mix", "natural", "balanced"),
            "optimizer": ("adamw", "adam"),
            "schedule": ("cosine", "cosine restarts", "constant", "plateau"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}.")
        if not self.steps and self.sampling == "mix":
            raise ValueError("The mix never ends, so a recipe that samples by it must say how many steps an epoch has.")

    @property
    def has_mask_output(self) -> bool:
        """Whether the model draws a mask."""
        return self.task != "classify"

    @property
    def has_score_output(self) -> bool:
        """Whether the model scores labels."""
        return self.task != "segment"

    @property
    def is_network(self) -> bool:
        """Whether the model is a network of `ich_lib.models`; the others are fitted by `ich_lib.models.classical`."""
        return self.builder != "classical"

    @property
    def mixes_phantoms(self) -> bool:
        """Whether training on a data set mixes phantoms in."""
        return self.sampling == "mix" and self.mix[3] > 0 and self.phantoms > 0

    @property
    def channels(self) -> int:
        """Windows times slices: channel c shows slice c // len(windows) through window c % len(windows)."""
        windows = len(self.windows) if self.windows_as == "channels" else 1
        return windows if self.depth > 1 else windows * (2 * self.neighbors + 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture: (y, x, channel), or (z, y, x, channel) with depth."""
        return (self.depth,) * (self.depth > 1) + (self.size, self.size, self.channels)

    def as_json(self) -> dict:
        """The recipe as plain JSON values."""
        return asdict(self)


def recipe_from_json(values: dict) -> Recipe:
    """Rebuild a recipe from `as_json`.

    Raises:
        ValueError: for a key that no recipe has, or a window nobody knows.
    """
    names = {f.name for f in fields(Recipe)}
    if unknown := sorted(set(values) - names):
        raise ValueError(f"recipe.json holds {unknown[0]!r}, which no recipe has; it was written by another version.")
    plain = {key: _tuples(value) for key, value in values.items()}
    recipe = Recipe(**{**plain, "augment": Augment(**plain.get("augment", {}))})
    if unknown := sorted(set(recipe.windows) - set(WINDOWS)):
        raise ValueError(f"recipe.json asks for the window {unknown[0]!r}; known are {', '.join(WINDOWS)}.")
    return recipe


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list | tuple) else value


# What the published trainings share: whole slices, one slice a picture, 32-bit arithmetic, one constant learning rate.
# Their early stopping looked at the validation side; here it looks at the training loss.
_PUBLISHED = Recipe(
    "published",
    "segment",
    "unet2d",
    field="slice",
    neighbors=0,
    windows=("brain render",),
    sampling="natural",
    steps=0,
    augment=NO_AUGMENT,
    optimizer="adam",
    schedule="constant",
    weight_decay=0.0,
    precision="float32",
)

_SMALL = {"filters": (16, 32, 64, 128, 256)}
_FIRST = Recipe("unet-small-first", "segment", "unet2d", _SMALL)
_OTHER_SCANNERS = replace(
    DEFAULT, turn_deg=30, contrast=0.12, brightness_hu=6, blur=0.4, sharpen=0.2, noise_hu=12, flat_bone=0.15
)
_LITE = Recipe(
    "unet-lite0",
    "both",
    "unet_lite0",
    weights="imagenet",
    size=256,
    stored=320,
    loss="slice_dice_bce",
    mix=(0.35, 0.2, 0.35, 0.1),
    painted=0.4,
    augment=_OTHER_SCANNERS,
    batch=32,
    steps=100,
    epochs=25,
    source="EfficientNet-Lite0 (Tan and Le 2019), begun with ImageNet's weights, as the encoder of a U-Net",
)
_OWN_MODULES = (
    _LITE,
    Recipe(  # the first stage of the shipped model: phantoms alone, so no fold needs one of its own
        "unet-phantom",
        "segment",
        "unet2d",
        _SMALL,
        loss="slice_dice_bce",
        phantoms=200,
        epochs=15,
        source="first stage of unet-both; train it without --data, on every phantom (--fold none)",
    ),
    Recipe(  # the shipped model; goes on from unet-phantom (train --start)
        "unet-both",
        "both",
        "unet2d",
        _SMALL,
        loss="slice_dice_bce",
        epochs=12,
        source="the shipped model: one network for mask and scores; goes on from unet-phantom",
    ),
    _FIRST,
    Recipe(  # goes on from unet-small-first (train --start), every bleeding slice counting the same
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

# "Future work" of the published systems, to be held against unet-small-first: one change each.
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

_000 = "System 000 (U-Net + EfficientNetB4 + DenseNet169, 2024)"
_EFFICIENTNET_AUGMENT = replace(NO_AUGMENT, turn_deg=30, shift=0.2, shear_deg=0.2, zoom=math.log(1.2), flip_lr=True)
_DENSENET_AUGMENT = replace(NO_AUGMENT, turn_deg=20, shift=0.1, zoom=math.log(1.2), flip_lr=True)
_THREE_WINDOWS = ("brain", "subdural", "bone")
_DENSENET_TRAINING = replace(  # the cosine really restarts here; there it was asked once an epoch and hardly moved
    _PUBLISHED,
    scheme="7-class",
    loss="cce",
    weights="imagenet",
    windows=_THREE_WINDOWS,
    augment=_DENSENET_AUGMENT,
    optimizer="adamw",
    learning_rate=1e-5,
    weight_decay=3e-5,
    schedule="cosine restarts",
    lowest=0.1,
    restart=10,
    batch=32,
    epochs=40,
    patience=5,
)
_DENSENET_HEAD = {"trainable": "first 5", "dense": 1024, "l2": 0.01, "dropout": (0.0, 0.5)}
_SYSTEM_000 = (
    replace(
        _PUBLISHED,
        name="unet2d-000",
        task="segment",
        builder="unet_000",
        size=128,
        stored=128,
        loss="weighted_bce",
        batch=32,
        epochs=100,
        patience=10,
        source=f"{_000}; the paper says batch 1; weights of the loss from system 001, epochs chosen here",
    ),
    replace(
        _PUBLISHED,
        name="unet3d-000",
        task="segment",
        builder="unet3d",
        options={"filters": (64, 128, 256, 512), "narrow": False},
        size=120,
        stored=120,
        depth=80,
        loss="weighted_bce",
        batch=1,
        steps=75,
        epochs=100,
        source=f"{_000}; levels below the first, weights of the loss and epochs chosen here",
    ),
    replace(
        _PUBLISHED,
        name="efficientnetb4-000",
        task="classify",
        builder="backbone",
        options={"base": "EfficientNetB4", "trainable": "none", "dense": 256, "dropout": (0.5, 0.5)},
        size=380,
        stored=380,
        weights="imagenet",
        windows=_THREE_WINDOWS,
        scheme="7-class",
        loss="cce",
        augment=_EFFICIENTNET_AUGMENT,
        batch=32,
        epochs=40,
        source=f"{_000}; its shear of 0.2 was in degrees; three windows in place of one render, epochs chosen here",
    ),
    replace(
        _DENSENET_TRAINING,
        name="densenet169-000",
        task="classify",
        builder="backbone",
        options={"base": "DenseNet169", **_DENSENET_HEAD},
        size=224,
        stored=224,
        source=f"{_000}; its freezing was commented out, here it is done; three windows, restarts every 10 epochs "
        "chosen here",
    ),
    replace(
        _DENSENET_TRAINING,
        name="mobilenetv2-000",
        task="classify",
        builder="backbone",
        options={"base": "MobileNetV2", **_DENSENET_HEAD},
        size=224,
        stored=224,
        source=f"{_000}, repository only; trained as densenet169-000",
    ),
    replace(
        _DENSENET_TRAINING,
        name="se-resnext-000",
        task="classify",
        builder="se_resnext",
        options={"dense": 1024, "l2": 0.01, "dropout": 0.5},
        size=224,
        stored=224,
        weights=None,
        source=f"{_000}, repository only; SE-ResNeXt-101 (32x4d), trained as densenet169-000; Keras has no weights for "
        "it, so all of it is trained from random ones",
    ),
)

_001 = "System 001 (small CNN + 3D U-Net, 2021)"
_SYSTEM_001 = (
    replace(
        _PUBLISHED,
        name="unet3d-001",
        task="segment",
        builder="unet3d",
        options={"filters": (16, 32, 64, 128), "narrow": True},
        size=120,
        stored=120,
        depth=80,
        loss="weighted_bce",
        learning_rate=2e-4,
        batch=1,
        steps=75,
        epochs=100,
        source=f"{_001}; trained there on MRI ventricles; 1.2 M or 1.4 M parameters told, 16 filters give 1.46 M; "
        "epochs chosen here",
    ),
    replace(
        _PUBLISHED,
        name="cnn-001",
        task="classify",
        builder="cnn_001",
        size=128,
        stored=128,
        scheme="6-class",
        loss="cce",
        batch=32,
        steps=50,
        epochs=25,
        source=f"{_001}; widths, loss, rate and batch chosen here; slices made small by area, not by every 4th pixel",
    ),
)

_002 = "System 002 (two U-Nets on CT-ICH, 2021)"
_TRAINING_002 = replace(
    _PUBLISHED,
    loss="dice",
    learning_rate=1e-4,
    sampling="balanced",
    augment=replace(NO_AUGMENT, flip_lr=True, flip_ud=True),
    epochs=200,
)
_SYSTEM_002 = (
    replace(
        _TRAINING_002,
        name="unet2d-002a",
        task="segment",
        builder="unet_002",
        size=256,
        stored=256,
        batch=16,
        source=_002,
    ),
    replace(
        _TRAINING_002,
        name="unet2d-002b",
        task="segment",
        builder="unet_002",
        options={"dropout": 0.1},
        size=256,
        stored=256,
        batch=32,
        source=_002,
    ),
)

_003 = "System 003 (U-Net on CT-ICH, 2025)"
_SYSTEM_003 = (
    replace(
        _PUBLISHED,
        name="unet2d-003",
        task="segment",
        builder="unet_003",
        size=256,
        stored=256,
        windows=("brain render",) * 3,  # a gray picture read as RGB
        loss="bce",
        learning_rate=1e-4,
        schedule="plateau",
        halve=5,
        patience=10,
        batch=10,
        epochs=50,
        threshold=0.7,
        source=_003,
    ),
)

_004 = "System 004 (five CNNs on RSNA, 2019)"
_TRAINING_004 = replace(
    _PUBLISHED,
    size=512,
    stored=512,
    windows=("brain 004", "vascular 004", "bone"),
    scheme="6-node",
    loss="bce",
    batch=32,
    epochs=1,
)
_BACKBONE_004 = replace(_TRAINING_004, weights="imagenet")
_SYSTEM_004 = (
    replace(
        _TRAINING_004,
        name="vanilla-004",
        task="classify",
        builder="vanilla_004",
        source=f"{_004}; third window chosen here",
    ),
    replace(
        _TRAINING_004,
        name="alexnet-004",
        task="classify",
        builder="alexnet_004",
        source=f"{_004}; widths of Krizhevsky et al. 2012, whose dense layer grows to 205 M weights on 512x512",
    ),
    replace(
        _BACKBONE_004,
        name="inceptionv3-004a",
        task="classify",
        builder="backbone",
        options={"base": "InceptionV3", "trainable": "none"},
        source=f"{_004}; it ended in a softmax and got [0, 1], here in sigmoids and [-1, 1]; freezing chosen here",
    ),
    replace(
        _BACKBONE_004,
        name="inceptionv3-004b",
        task="classify",
        builder="backbone",
        options={"base": "InceptionV3", "trainable": "after mixed8"},
        source=f"{_004}; as inceptionv3-004a, with the two last Inception blocks trained; freezing chosen here",
    ),
    replace(
        _BACKBONE_004,
        name="resnet50-004",
        task="classify",
        builder="backbone",
        options={"base": "ResNet50", "trainable": "none"},
        source=f"{_004}; freezing chosen here",
    ),
    replace(
        _BACKBONE_004,
        name="densenet121-004",
        task="classify",
        builder="backbone",
        options={"base": "DenseNet121", "trainable": "none"},
        source=f"{_004}; freezing chosen here",
    ),
)

# Before networks: numbers measured on a slice (`ich_lib.models.classical.FEATURES`), and a model of scikit-learn on
# them.
_CLASSICAL = tuple(
    Recipe(
        f"classical-{model}",
        "classify",
        "classical",
        {"model": model},
        size=128,
        neighbors=0,
        sampling="natural",
        augment=NO_AUGMENT,
        loss="bce",
        batch=32,
        steps=0,
        epochs=1,
        source=f"sister projects of system 000: {text} on hand-made features; features and settings chosen here",
    )
    for model, text in {
        "logistic": "logistic regression",
        "lda": "linear discriminant analysis",
        "qda": "quadratic discriminant analysis",
        "bayes": "naive Bayes",
        "knn": "k nearest neighbors",
        "svm": "support vector machine",
        "forest": "random forest",
        "adaboost": "AdaBoost",
        "boosting": "gradient boosting",
        "mlp": "multilayer perceptron",
    }.items()
)

RECIPES = {
    entry.name: entry
    for group in (_OWN_MODULES, _NEXT, _SYSTEM_000, _SYSTEM_001, _SYSTEM_002, _SYSTEM_003, _SYSTEM_004, _CLASSICAL)
    for entry in group
}


def recipes(pattern: str = "*") -> dict[str, Recipe]:
    """The models that can be trained, by name: ours and those of five published student systems.

    Args:
        pattern: which names, as a shell matches files: * is any letters, ? is one.

    Returns:
        Name to recipe; `get_recipe.source` says where a model comes from. The dictionary is yours to change.

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
    fitting = {name: one for name, one in RECIPES.items() if fnmatchcase(name, pattern)}
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
