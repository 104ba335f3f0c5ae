"""A recipe: all settings that are needed to build and train a model, as data with a name."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ich_lib.prepare.augment import DEFAULT, Augment
from ich_lib.prepare.head import FIELDS
from ich_lib.prepare.window import WINDOWS


@dataclass(frozen=True)
class Recipe:
    """One model and its training; its `as_json` is a run's recipe.json.

    Attributes:
        name: of the recipe.
        task: "segment" (a mask), "classify" (scores), or "both" by one model.
        builder: "unet2d", "densenet_bc" or another function of `ich_lib.models`; "classical" for hand-made features.
        options: further arguments of the builder.
        weights: initial weights of a backbone: "imagenet", a file, or None for random weights.
        size: side of the model's picture in pixels; the head's box, or the whole slice, is resized to it.
        field: "head", the square around the head, or "slice", the whole slice.
        stored: side in pixels of the stored picture that training pictures are cropped from.
        neighbors: slices on either side that are added as channels (2.5D).
        depth: slices of a 3D picture, which then has the axes (z, y, x, channel); 1 is two-dimensional. A classifier
            with depth scores each of its slices.
        windows: names from WINDOWS; each slice is shown in each of them.
        windows_as: "channels" of one picture, or separate "samples" with one channel.
        sampling: "mix", endless draws by `mix`; "natural", every slice once per pass; "balanced", in each pass every
            slice with blood and the same number without.
        mix: share of training samples that are slices with blood, clean slices with blood pasted in, clean slices,
            and phantom slices. Adds up to 1.
        painted: share of those clean slices into which blood is painted (`ich_lib.prepare.painting`); without depth.
        augment: how much training pictures may differ from the stored ones. Validation pictures never change.
        scheme: the outputs of a classifier, a name from `ich_lib.labels.SCHEMES`.
        loss: a name from `ich_lib.models.losses.LOSSES`.
        label_weight: weight of the scores' binary cross-entropy relative to the mask's loss, for "both".
        phantoms: number of phantom heads for the phantom share; with 0, clean slices take that share.
        batch, steps, epochs: an epoch is `steps` batches, or one pass if `steps` is 0 (not with "mix").
        optimizer: "adamw", or "adam", which has no weight decay.
        learning_rate, weight_decay: of the optimizer, at the start.
        schedule: of the learning rate: "cosine", falling over all epochs; "cosine restarts", falling over `restart`
            epochs and then starting again; "constant"; "plateau", halved whenever the training loss has not fallen for
            `halve` epochs.
        lowest: share of `learning_rate` that a cosine falls to.
        restart, halve: in epochs, see `schedule`.
        patience: epochs without a lower training loss after which training stops; 0 never stops. The held-out fold is
            never looked at.
        precision: Keras dtype policy while training; weights are float32 always.
        seed: of the weights, the folds and every sample.
        threshold: a voxel is blood, or a slice bleeding, from this probability. Chosen before training, never tuned.
        least_score: a slice has a mask only if the model's own score for any bleeding (`Evidence.plain`) reaches this
            in the slice or a neighbor, for "both"; with 0 every slice may have one.
        within_skull: blood is looked for only inside the hull of the skull (`ich_lib.prepare.head.skull_regions`).
        source: the publication of the model, and settings that it does not state and that were chosen here.

    Raises:
        ValueError: for an invalid setting.

    See also:
        `recipes`, for those with a name; `train`, which trains a recipe.

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
    least_score: float = 0.0
    within_skull: bool = False
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
        if unknown := sorted(set(self.windows) - set(WINDOWS)):
            raise ValueError(f"No window is called {unknown[0]!r}; known are {', '.join(WINDOWS)}.")
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
        """Whether training on a data set adds phantoms."""
        return self.sampling == "mix" and self.mix[3] > 0 and self.phantoms > 0

    @property
    def channels(self) -> int:
        """Windows times slices: channel c shows slice c // len(windows) in window c % len(windows)."""
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
        ValueError: for an unknown key or window.
    """
    names = {f.name for f in fields(Recipe)}
    if unknown := sorted(set(values) - names):
        raise ValueError(
            f"recipe.json holds {unknown[0]!r}, which is not a field of a recipe; it was written by another version."
        )
    plain = {key: _tuples(value) for key, value in values.items()}
    return Recipe(**{**plain, "augment": Augment(**plain.get("augment", {}))})


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list | tuple) else value
