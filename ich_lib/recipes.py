"""Everything needed to rebuild a model, as data with a name."""

from dataclasses import asdict, dataclass, field, fields

from ich_lib.window import WINDOWS


@dataclass(frozen=True)
class Recipe:
    """One model and its training, complete; `as_json` of it is a run's recipe.json.

    Attributes:
        name: of the recipe.
        task: "segment" (a mask) or "classify" (six scores).
        builder: "unet2d" or "densenet_bc", a function of `ich_lib.models`.
        options: further arguments of the builder.
        size: side of the model's picture in pixels; the head's box is brought to it.
        neighbors: slices to either side that come along as channels (2.5D).
        windows: names from WINDOWS; each neighbor is shown through each of them.
        mix: share of training samples that are slices with blood, clean slices with blood pasted in, clean slices,
            and phantom slices. Adds up to 1.
        loss: a name from `ich_lib.losses.LOSSES`.
        phantoms: how many phantom heads are made for the phantom share.
        batch, steps, epochs: an epoch is `steps` batches; the learning rate falls by a cosine over all of them.
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
    neighbors: int = 1
    windows: tuple[str, ...] = ("brain render", "bone")
    mix: tuple[float, float, float, float] = (0.375, 0.25, 0.25, 0.125)
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

    @property
    def channels(self) -> int:
        """Windows times slices: channel c shows slice c // len(windows) through window c % len(windows)."""
        return (2 * self.neighbors + 1) * len(self.windows)

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
    recipe = Recipe(**{key: _tuples(value) for key, value in values.items()})
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
