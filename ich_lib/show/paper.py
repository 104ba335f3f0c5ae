"""The result of one scan as a page to print, without any name of a person and with a prominent notice."""

import textwrap
from typing import Literal

from matplotlib.patches import Rectangle

from ich_lib.labels import COLORS, LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.prediction.uncertainty import probability_word, score_text
from ich_lib.show.figure import Figure
from ich_lib.show.result import draw_outlined, most_informative
from ich_lib.words.sentences import (
    belief_sentence,
    doubt_sentences,
    notes_of,
    ood_sentence,
    provenance,
    result_sentence,
    unsure_sentence,
)

_WIDE, _HIGH = 8.27, 11.69  # inches, A4
_LEFT, _RIGHT = 0.6, 7.67
_INK, _QUIET, _ALARM = "#111111", "#555555", "#9C1C00"
_LINE = 0.15  # inches, of small print
_LINES = 12  # lines of small print that fit on the page


def paper(result: Result, *, slices: int = 6) -> Figure:
    """One page of A4: the notice, the sentence, the slices with most blood, scores, mL, doubts, warnings, models. If
    the finding is withheld, it shows slices without outlines and the reasons, without score and mL.

    Args:
        result: from `analyze`.
        slices: maximum number, three in a row.
    """
    figure = Figure(figsize=(_WIDE, _HIGH), facecolor="white")
    _text(figure, _LEFT, 0.62, "Intracranial hemorrhage on head CT: what a model found", fontsize=15, weight="bold")
    _notice(figure, 0.86, 0.72)
    _text(figure, _LEFT, 1.68, belief_sentence(result), fontsize=8.5, color=_ALARM)
    _text(figure, _LEFT, 1.88, textwrap.fill(result_sentence(result), 82), fontsize=10.5, weight="bold")
    bottom = _pictures(figure, result, most_informative(result, slices))
    if not result.is_withheld:
        _scores(figure, result, bottom + 0.38)
        _volumes(figure, result, bottom + 0.38)
    _small_print(figure, result, bottom + (0.38 if result.is_withheld else 2.25))
    _text(figure, _LEFT, 11.3, provenance(result).replace("; ", "\n"), fontsize=6.5, color=_QUIET, va="bottom")
    return figure


def _notice(figure: Figure, top: float, high: float) -> None:
    """The notice in a box over the whole width."""
    corner, size = (_LEFT / _WIDE, 1 - (top + high) / _HIGH), ((_RIGHT - _LEFT) / _WIDE, high / _HIGH)
    box = Rectangle(corner, *size, transform=figure.transFigure, facecolor="#FDECE7", edgecolor=_ALARM)
    figure.add_artist(box)
    text = textwrap.fill(NOTICE, 62)
    _text(figure, _LEFT + 0.15, top + high / 2, text, fontsize=13, weight="bold", color=_ALARM, linespacing=1.4)


def _text(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    color: str = _INK,
    fontsize: float = 9,
    weight: str = "normal",
    ha: Literal["left", "center", "right"] = "left",
    va: Literal["bottom", "center", "top"] = "center",
    linespacing: float = 1.2,
) -> None:
    """Text at a distance in inches from the left and from the top; `ha` says which part of it is at that point."""
    figure.text(
        x / _WIDE,
        1 - y / _HIGH,
        text,
        parse_math=False,
        color=color,
        fontsize=fontsize,
        weight=weight,
        ha=ha,
        va=va,
        linespacing=linespacing,
    )


def _pictures(figure: Figure, result: Result, indices: list[int]) -> float:
    """Draw the slices; returns the distance of their lower end from the top, in inches."""
    columns, gap = 3, 0.06
    side, top = (_RIGHT - _LEFT - 2 * gap) / columns, 2.1
    mask = result.mask
    for place, k in enumerate(indices):
        line, column = divmod(place, columns)
        left, low = _LEFT + column * (side + gap), top + (line + 1) * (side + gap)
        axes = figure.add_axes((left / _WIDE, 1 - low / _HIGH, side / _WIDE, side / _HIGH), facecolor="black")
        draw_outlined(axes, result, mask[k], k)
    return top + (1 + (len(indices) - 1) // columns) * (side + gap)


def _scores(figure: Figure, result: Result, top: float) -> None:
    kind = "Probability" if result.calibrated else "Score, no probability"
    _text(figure, _LEFT, top, f"{kind}, whole scan", fontsize=10, weight="bold")
    for line, (label, color) in enumerate(zip(LABELS, COLORS, strict=True), start=1):
        y, score = top + 0.07 + line * 0.235, result.scores[label]
        _text(figure, _LEFT, y, "\u25a0", color=color)
        _text(figure, _LEFT + 0.2, y, label)
        _text(figure, _LEFT + 1.85, y, score_text(score, result.score_threshold), ha="right")
        _text(figure, _LEFT + 2.0, y, probability_word(score) if result.calibrated else "")


def _volumes(figure: Figure, result: Result, top: float) -> None:
    left = 4.75
    _text(figure, left, top, "Volume", fontsize=10, weight="bold")
    is_known = result.scan.spacing_known
    missing = ("none measurable" if is_known else "not known") if result.has_mask else "not outlined"
    format_ml = lambda ml: missing if ml is None else f"{ml:.1f} mL"  # noqa: E731
    rows = {
        "of the outlined mask": format_ml(result.volume_ml),
        "of summed probabilities": format_ml(result.soft_ml),
        "of the mask by ABC/2": format_ml(result.abc2_ml),
        "voxels in the mask": f"{int(result.mask.sum())}" if result.has_mask else missing,
        "slices": f"{len(result.scan.hu)}",
        "voxel, mm": " x ".join(f"{mm:.2f}" for mm in result.scan.spacing_mm) if is_known else "not known",
    }
    for line, (name, value) in enumerate(rows.items(), start=1):
        _text(figure, left, top + 0.07 + line * 0.235, name)
        _text(figure, _RIGHT, top + 0.07 + line * 0.235, value, ha="right")


def _small_print(figure: Figure, result: Result, top: float) -> None:
    """Unsure slices, out-of-distribution score and warnings, as far as there is space."""
    notes = [*doubt_sentences(result), unsure_sentence(result), ood_sentence(result), *notes_of(result)]
    lines = [line for note in filter(None, notes) for line in textwrap.wrap(note, 126, initial_indent="- ")]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], "- More stands in result.json."]
    _text(figure, _LEFT, top, "Doubts and warnings" if lines else "", fontsize=10, weight="bold")
    for number, line in enumerate(lines):
        _text(figure, _LEFT, top + 0.22 + number * _LINE, line if line.startswith("- ") else f"  {line}", fontsize=7.5)
