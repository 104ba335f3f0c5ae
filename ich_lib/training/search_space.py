"""The settings that a search may vary, as text and as data, checked against a recipe."""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ich_lib.labels import SCHEMES
from ich_lib.models.builders import builder_options
from ich_lib.models.losses import LOSSES
from ich_lib.models.recipe import Recipe
from ich_lib.prepare.window import WINDOWS

SEARCH_METHODS = ("grid", "random", "bayes")
SCALES = ("log", "linear")
FIXED = {"name", "task", "source", "options", "field", "stored", "seed", "threshold", "least_score", "within_skull"}
_NAMES = {"loss": LOSSES, "scheme": SCHEMES, "windows": WINDOWS}
OPTION = "options."


def read_settings(texts: Sequence[str], recipe: Recipe) -> dict[str, object]:
    """The values of `--set`: one value for each setting of a recipe.

    Args:
        texts: NAME=VALUE, with values as in `read_space`.
        recipe: the recipe whose settings they replace.

    Raises:
        ValueError: for a setting that the recipe lacks, a value it cannot take, or several values.

    Example:
        >>> from ich_lib import recipes
        >>> read_settings(["learning_rate=1e-3", "loss=dice_bce"], recipes()["unet2d-002b"])
        {'learning_rate': 0.001, 'loss': 'dice_bce'}
    """
    if not texts:
        return {}
    space = check_space(read_space(texts, option="--set"), recipe, "random")
    if several := [name for name, values in space.items() if len(values) != 1]:
        raise ValueError(f"--set takes one value for {several[0]}, as NAME=VALUE; a search takes several (tune).")
    return {name: values[0] for name, values in space.items()}


def read_space(texts: Sequence[str], option: str = "--vary") -> dict[str, tuple]:
    """The values of `--vary`, as `tune` takes them.

    Args:
        texts: NAME=A,B,C for choices, NAME=LOW..HIGH for a range and NAME=LOW..HIGH:log for a logarithmic one. A choice
            of several values is written 8+16+32, a choice of one value 8+; True, False and None are Python's.
        option: name of the command's option, for the error.

    Raises:
        ValueError: for anything else, or a name given twice.
    """
    space = {}
    for text in texts:
        name, _, values = text.partition("=")
        name = name.strip()
        if not name or not values or name in space:
            raise ValueError(f"{option} takes each NAME once, as NAME=A,B or NAME=LOW..HIGH:log; got {text!r}.")
        match = re.fullmatch(r"(.+?)\.\.(.+?)(?::(log|linear))?", values)
        ends = tuple(_value(part) for part in match.groups()[:2]) if match else ()
        if match and all(map(_is_number, ends)):
            space[name] = (*ends, match[3] or "linear")
        else:
            space[name] = tuple(_value(part) for part in values.split(","))
    return space


def change_recipe(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """A recipe with some settings replaced; those named options.NAME are options of its builder.

    Raises:
        ValueError: if no recipe can have them.
    """
    options = {name.removeprefix(OPTION): value for name, value in settings.items() if name.startswith(OPTION)}
    plain = {name: value for name, value in settings.items() if not name.startswith(OPTION)}
    return replace(recipe, **plain, options={**recipe.options, **options})


def _value(text: str) -> object:
    text = text.strip()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return tuple(_value(part) for part in text.split("+") if part) if "+" in text else text


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_range(values: Sequence) -> bool:
    return len(values) == 3 and values[2] in SCALES and all(map(_is_number, values[:2]))


def check_space(space: Mapping[str, Sequence], recipe: Recipe, by: str) -> dict[str, tuple]:
    """The space as tuples, with integers as floats if the recipe has a float; or a ValueError."""
    if by not in SEARCH_METHODS:
        raise ValueError(f"by must be one of {', '.join(SEARCH_METHODS)}; got {by!r}.")
    options = [f"{OPTION}{name}" for name in builder_options(recipe)]
    now = {field.name: getattr(recipe, field.name) for field in fields(Recipe) if field.name not in FIXED}
    if unknown := [name for name in space if name not in (*now, *options)] or ([] if space else ["Nothing"]):
        raise ValueError(f"{unknown[0]} cannot be varied in {recipe.name}; these can: {', '.join([*now, *options])}.")
    if by == "grid" and (ranges := [name for name, values in space.items() if is_range(values)]):
        raise ValueError(f"A grid cannot hold the range of {ranges[0]}; name choices, or search by random or bayes.")
    return {name: _convert_choices(name, tuple(values), now) for name, values in space.items()}


def _convert_choices(name: str, values: tuple, now: Mapping[str, Any]) -> tuple:
    """The values of one field, if it accepts them all."""
    ends, scale = (values[:2], values[2:]) if is_range(values) else (values, ())
    if scale and not (ends[0] < ends[1] and (scale == ("linear",) or ends[0] > 0)):
        raise ValueError(f"A range goes from low to high, and a log range begins above 0; got {name}={values}.")
    if name in now and (
        wrong := [value for value in ends if not _is_compatible(value, now[name])] or ([] if ends else [()])
    ):
        raise ValueError(
            f"{name}, now {now[name]!r}, cannot be {wrong[0]!r}. Write choices as 4,8,16, a choice of several values "
            "as 8+16, a range as 1e-4..1e-2:log."
        )
    single = [part for value in ends for part in (value if isinstance(value, tuple) else (value,))]
    if unknown := [part for part in single if name in _NAMES and part not in _NAMES[name]]:
        raise ValueError(f"{name} cannot be {unknown[0]!r}; known are {', '.join(_NAMES[name])}.")
    if isinstance(now.get(name), float):
        ends = tuple(map(float, ends))
    return (*ends, *scale)


def _is_compatible(value: object, now: object) -> bool:
    """Whether a value may replace `now`: a number for a number, an integer for an integer."""
    if isinstance(now, float):
        return _is_number(value)
    return isinstance(value, str | None) if now is None or isinstance(now, str) else type(value) is type(now)
