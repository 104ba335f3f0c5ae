"""Everything needed to rebuild a model, as data with a name."""

from dataclasses import asdict, dataclass, field, fields

from ich_lib.augment import USUAL, Augment
from ich_lib.head import FIELDS
from ich_lib.window import WINDOWS


@dataclass(frozen=True)
class Recipe:
    """One model and its training, complete; `as_json` of it is a run's recipe.json.

    Attributes:
        name: of the recipe.
        task: "segment" (a mask) or "classify" (six scores).
        builder: "unet2d" or "densenet_bc", a function of `ich_lib.models`.
        options: further arguments of the builder.
        size: side of the model's picture in pixels; the head's box, or the whole slice, is brought to it.
        field: "head", the square around the head, or "slice", the whole slice.
        stored: side of the stored picture that training pictures are cut from, in pixels.
        neighbors: slices to either side that come along as channels (2.5D).
        depth: slices of a 3D picture, which then has the axes (z, y, x, channel); 1 is two-dimensional.
        windows: names from WINDOWS; each slice is shown through each of them.
        windows_as: "channels" of one picture, or "samples" of their own with one channel.
        sampling: "mix", endless draws by `mix`; "natural", every slice once a pass; "balanced", each pass every slice
            with blood and as many without.
        mix: share of training samples that are slices with blood, clean slices with blood pasted in, clean slices,
            and phantom slices. Adds up to 1.
        augment: how far training pictures stray from the stored ones. Validation never strays.
        scheme: the outputs of a classifier, a name from `ich_lib.labels.SCHEMES`.
        loss: a name from `ich_lib.losses.LOSSES`.
        phantoms: how many phantom heads are made for the phantom share.
        batch, steps, epochs: an epoch is `steps` batches, or one pass where `steps` is 0 (not with "mix"); the
            learning rate falls by a cosine over all of them.
        learning_rate, weight_decay: of AdamW.
        precision: Keras dtype policy while training; weights are float32 always.
        seed: of the weights, the folds and every sample.
        threshold: a voxel is blood, or a slice bleeding, from this probability on. Set before training, never tuned.
    """

    name: str
    task: str
    builder: str
    options: dict = field(default_factory=dict)
    size: int = 192
    field: str = "head"
    stored: int = 256
    neighbors: int = 1
    depth: int = 1
    windows: tuple[str, ...] = ("brain render", "bone")
    windows_as: str = "channels"
    sampling: str = "mix"
    mix: tuple[float, float, float, float] = (0.375, 0.25, 0.25, 0.125)
    augment: Augment = USUAL
    scheme: str = "6-node"
    loss: str = "dice_bce"
    phantoms: int = 50
    batch: int = 8
    steps: int = 100
    epochs: int = 60
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    precision: str = "mixed_bfloat16"
    seed: int = 0
    threshold: float = 0.5

    def __post_init__(self):
        choices = {"field": FIELDS, "windows_as": ("channels", "samples"), "sampling": ("mix", "natural", "balanced")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}.")
        if not self.steps and self.sampling == "mix":
            raise ValueError("The mix never ends, so a recipe that samples by it must say how many steps an epoch has.")

    @property
    def channels(self) -> int:
        """Windows times slices: channel c shows slice c // len(windows) through window c % len(windows)."""
        windows = len(self.windows) if self.windows_as == "channels" else 1
        return windows if self.depth > 1 else windows * (2 * self.neighbors + 1)

    def as_json(self) -> dict:
        """The recipe as plain JSON values."""
        return asdict(self)


def from_json(values: dict) -> Recipe:
    """Rebuild a recipe from `as_json`.

    Raises:
        ValueError: for a key that no recipe has, or a window nobody knows.
    """
    known = {f.name for f in fields(Recipe)}
    if strange := sorted(set(values) - known):
        raise ValueError(f"recipe.json holds {strange[0]!r}, which no recipe has; it was written by another version.")
    plain = {key: _tuples(value) for key, value in values.items()}
    recipe = Recipe(**{**plain, "augment": Augment(**plain.get("augment", {}))})
    if strange := sorted(set(recipe.windows) - set(WINDOWS)):
        raise ValueError(f"recipe.json asks for the window {strange[0]!r}; known are {', '.join(WINDOWS)}.")
    return recipe


def _tuples(value):
    """JSON's lists as the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list | tuple) else value


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("unet-small-first", "segment", "unet2d", {"filters": (16, 32, 64, 128, 256)}),
        Recipe(  # goes on from unet-small-first (train --start), every bleeding slice counting the same
            "unet-small",
            "segment",
            "unet2d",
            {"filters": (16, 32, 64, 128, 256)},
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
}


def recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        ValueError: for an unknown name, with the known ones.
    """
    if name not in RECIPES:
        raise ValueError(f"No recipe is called {name!r}; choose from {', '.join(RECIPES)}.")
    return RECIPES[name]
