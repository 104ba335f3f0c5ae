"""Pictures to a scan. A picture holds neither HU nor mm; what the user does not state stays unknown."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from ich_lib.grammar import count
from ich_lib.prepare.window import WINDOWS, unwindow
from ich_lib.prepare.window import window as to_gray
from ich_lib.readers.ct_numbers import hu_of
from ich_lib.readers.frame import cut_sheets, is_mask, paint_rim, refuse_mask
from ich_lib.readers.hounsfield import refuse_constant
from ich_lib.readers.limits import LIMITS, RANGES
from ich_lib.readers.piece import Piece
from ich_lib.readers.pixels import gray, sizes
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.roles import MOST_HU, choose_window, folders_of, masks_note, split_masks
from ich_lib.readers.slabs import Slabs, slabs_of
from ich_lib.readers.views import Fit, fit_views
from ich_lib.scan import Scan, axial_affine

PLACEHOLDER_MM = (5, 1, 1)
_WHITE_8_BIT, _WHITE_12_BIT = 255, 4095
_FEWEST_OF_A_SIZE = 4  # pictures for each one of another size that is left out
Page = tuple[Piece, int]  # a picture: a file, and the index in it
_ASSUMED_NOTE = (
    "Left and right are assumed: the patient's right is on the left of the picture, as in radiology.",
    "Pixel size and slice distance are unknown, so no volume in mL is given.",
)
_ORDER_NOTE = "The slices are in the order of their file names; foot to head is assumed."


def read_pictures(pieces: Sequence[Piece], name: str, window: str | tuple[float, float] | None) -> Scan:
    """Read pictures as slices, from foot to head, in the natural order of their names (2 before 10).

    Args:
        pieces: picture files of one size. Each holds one slice; a TIFF may hold several.
        name: of all of them together, for messages.
        window: the window of the pictures, (level, width) in HU or a name of WINDOWS; None if it is not known. It is
            ignored if the pixels are CT numbers.

    Raises:
        ReadError: if a picture is damaged, in color or of another size, or if the window makes no sense.
    """
    level, width = _level_width(window)
    slices, masks = split_pictures(pieces)
    if not slices:
        raise ReadError(f"{name} holds only masks, no slice. Give the pictures of the slices too.", code="no scan")
    fit = fit_views(slices) if window is None else Fit()
    if fit.views:
        return _joined(fit, name, masks_note(masks))
    slices, folder_notes = choose_window(slices, name, window if isinstance(window, str) else None)
    slices, size_notes = _drop_other_sizes(slices)
    pages, slabs = check_pictures(name, sort_pictures(slices))
    values, white = _values(pages, slabs)
    refuse_constant(name, float(values.min()), float(values.max()))
    notes = (*fit.notes, *folder_notes, *size_notes, *masks_note(masks), *_ASSUMED_NOTE, *slabs.notes(None))
    if len(pages) > 1:
        notes += (_ORDER_NOTE,)
    if white != _WHITE_8_BIT and (numbers := hu_of(values)):
        hu, encoding = numbers
        note = f"The pixels are CT numbers ({encoding}), not grays: HU are known, and no window is needed."
        return Scan(hu, axial_affine(PLACEHOLDER_MM, hu.shape), spacing_known=False, notes=(note, *notes))
    unit = _unit(name, values, white)
    refuse_mask(name, unit)
    unit, rim_notes = paint_rim(unit)
    unit, sheet_notes = cut_sheets(unit)
    hu, affine = unwindow(unit, level, width), axial_affine(PLACEHOLDER_MM, unit.shape)
    notes = (_window_note(window, level, width), *rim_notes, *sheet_notes, *notes)
    return Scan(hu, affine, hu_known=window is not None, spacing_known=False, notes=notes)


def _joined(fit: Fit, name: str, notes: tuple[str, ...]) -> Scan:
    """HU from several windows. What is a rim or a sheet is seen through the narrowest of them."""
    pages, slabs = check_pictures(name, sort_pictures(fit.slices))
    hu: np.ndarray = np.zeros((0, 0, 0), np.float32)
    for k, (piece, _) in enumerate(pages):
        plane = fit.hu(piece)
        if k == 0:
            hu = np.zeros((len(slabs), *plane.shape), np.float32)
        if (slab := slabs.slab_of(k)) >= 0:
            hu[slab] += plane * np.float32(1 / slabs.per_slab)
    refuse_constant(name, float(hu.min()), float(hu.max()))
    unit = to_gray(hu, *fit.windows[0])
    painted, rim_notes = paint_rim(unit)
    hu[painted != unit] = hu.min()
    hu, sheet_notes = cut_sheets(painted, hu)
    order = (_ORDER_NOTE,) if len(pages) > 1 else ()
    notes = (*fit.notes, *rim_notes, *sheet_notes, *notes, *_ASSUMED_NOTE, *slabs.notes(None), *order)
    return Scan(hu, axial_affine(PLACEHOLDER_MM, hu.shape), spacing_known=False, notes=notes)


def _drop_other_sizes(pieces: list[Piece]) -> tuple[list[Piece], tuple[str, ...]]:
    """The pictures without the few of another size, such as a preview or a logo, and a note."""
    if len(pieces) <= _FEWEST_OF_A_SIZE:
        return pieces, ()
    groups: dict[tuple[int, int], list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups[sizes(piece, 1)[0]].append(piece)
    most = max(groups.values(), key=len)
    others = len(pieces) - len(most)
    if not 0 < others * _FEWEST_OF_A_SIZE <= len(most):
        return pieces, ()
    return most, (f"Left out: {count(others, 'picture')} of another size.",)


def _values(pages: Sequence[Page], slabs: Slabs) -> tuple[np.ndarray, int]:
    """(slab, y, x) float32 pixels as in the files, and the value of white, see `_white`."""
    volume, kinds = np.zeros((0,)), set()
    for k, page in enumerate(pages):
        pixels = gray(*page)
        kinds.add(_white(pixels))
        if k == 0:
            volume = np.zeros((len(slabs), *pixels.shape), np.float32)
        if (slab := slabs.slab_of(k)) >= 0:
            volume[slab] += pixels * np.float32(1 / slabs.per_slab)
    if len(kinds) > 1:
        raise ReadError(
            "The pictures have different numbers of bits. All slices of one head have the same number. Give only "
            "these.",
            code="several scans",
        )
    return volume, kinds.pop()


def _white(pixels: np.ndarray) -> int:
    """The value of white in pictures of this type; 0 for signed numbers, which have no white."""
    return int(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 0


def _unit(name: str, values: np.ndarray, white: int) -> np.ndarray:
    """Grays to [0, 1]. If sixteen bits use only twelve, twelve count. Signed numbers must already be in that range."""
    low, high = float(values.min()), float(values.max())
    if white == 0 and (low < 0 or high > 1):
        raise ReadError(
            f"{name} holds numbers from {low:g} to {high:g}; these are neither grays nor CT numbers of a head. "
            "Save HU, or a gray picture of 8 or 16 bits.",
            code="no HU",
        )
    full = 1 if white == 0 else _WHITE_12_BIT if white > _WHITE_8_BIT and high <= _WHITE_12_BIT else white
    return values * np.float32(1 / full)


def split_pictures(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Slices and masks, by their names; folders of equal names by their content."""
    slices, masks = split_masks(pieces)
    groups = folders_of(slices)
    if len(groups) > 1 and len({piece.place.stem for piece in slices}) < len(slices):
        flat = {folder for folder, group in groups.items() if all(map(_is_flat, group[:: max(len(group) // 4, 1)]))}
        if len(flat) < len(groups):
            masks += [piece for folder in flat for piece in groups[folder]]
            slices = [piece for piece in slices if piece.place.parts[:-1] not in flat]
    return slices, masks


def _is_flat(piece: Piece) -> bool:
    pixels = gray(piece, any_color=True)
    return is_mask(pixels / (_white(pixels) or 1))


def check_pictures(name: str, pieces: Sequence[Piece]) -> tuple[list[Page], Slabs]:
    """Compare and limit the sizes of pictures by their headers.

    Returns:
        Each picture as (file, index in it), and how the slices are averaged.

    Raises:
        ReadError: if sizes differ, or pictures are too small, too large or too many.
    """
    pages, first = [], None
    for piece in pieces:
        for index, size in enumerate(sizes(piece, LIMITS["thin_slices"] + 1)):
            first = first or size
            if size != first:
                raise ReadError(
                    f"{piece.name} has {size[1]} x {size[0]} px, {pieces[0].name} {first[1]} x {first[0]}. "
                    "All slices of one head have the same size. Give only these.",
                    code="several scans",
                )
            pages.append((piece, index))
    rows, columns = first or (0, 0)
    slabs = slabs_of(name, len(pages), rows, columns, side_px=RANGES["picture_side_px"])
    if rows * columns > LIMITS["picture_px"]:
        raise ReadError(
            f"{name} has {columns} x {rows} px; the maximum is {LIMITS['picture_px']:,} pixels. Make it smaller.",
            code="too large",
        )
    return pages, slabs


def sort_pictures(pieces: Iterable[Piece]) -> list[Piece]:
    """Natural order of the places in the upload: 2.png before 10.png, slice.png before slice (2).png."""
    return sorted(pieces, key=_natural)


def _natural(piece: Piece) -> tuple[str, ...]:
    """Folders, then the name, with numbers compared as numbers; if these are equal, the text."""
    place = piece.place
    parts = (re.sub("[0-9]+", lambda digits: digits[0].zfill(20), part) for part in (*place.parts[:-1], place.stem))
    return (*(part.casefold() for part in parts), str(place), str(piece.path))


def _level_width(window: str | tuple[float, float] | None) -> tuple[float, float]:
    if window is None:
        return WINDOWS["brain"]
    if isinstance(window, str):
        if window not in WINDOWS:
            raise ReadError(
                f"The window {window!r} is not known. Take one of {', '.join(WINDOWS)}, or (level, width) in HU.",
                code="window",
            )
        return WINDOWS[window]
    try:
        level, width = (float(number) for number in window)
    except (TypeError, ValueError, OverflowError) as problem:
        raise ReadError(
            f"A window is (level, width) in HU, such as (40, 80); got {window!r}.", code="window"
        ) from problem
    if not (abs(level) <= MOST_HU and 0 < width <= MOST_HU):
        raise ReadError(
            "A window needs a finite level and a positive width in HU, "
            f"neither beyond {MOST_HU}; got level {level:g}, width {width:g}.",
            code="window",
        )
    return level, width


def _window_note(window: str | tuple[float, float] | None, level: float, width: float) -> str:
    if window is None:
        return (
            "HU unknown: the picture's window is not known, so its grays are shown in the brain window. "
            "If you know the window, name it. Then HU can be measured."
        )
    low, high = level - width / 2, level + width / 2
    return f"Below {low:g} and above {high:g} HU the picture is black or white: HU are lost there."
