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
        neighbours: slices to either side that come along as channels (2.5D).
        windows: names from WINDOWS; each neighbour is shown through each of them.
        mix: share of training samples that are slices with blood, clean slices with blood pasted in, clean slices,
            and phantom slices. Adds up to 1.
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
    neighbours: int = 1
    windows: tuple[str, ...] = ("brain render", "bone")
    mix: tuple[float, float, float, float] = (0.375, 0.25, 0.25, 0.125)
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
        return (2 * self.neighbours + 1) * len(self.windows)

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
        Recipe("unet-small", "segment", "unet2d", {"filters": (16, 32, 64, 128, 256)}),
        Recipe(
            "densenet-small",
            "classify",
            "densenet_bc",
            {"blocks": (4, 8, 12), "growth": 24},
            mix=(0.25, 0.25, 0.375, 0.125),
            batch=16,
            epochs=40,
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
