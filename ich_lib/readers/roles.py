"""The meaning of names and folders in an upload: which files are masks, and which show the same slices in other
windows.

Only the place in the upload counts, see `Piece.place`: a folder called masks, or a name that ends in _mask.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile

from ich_lib.grammar import count, listed
from ich_lib.prepare.window import WINDOWS
from ich_lib.readers.piece import Piece, printable_name
from ich_lib.readers.refusal import ReadError

_WORDS = r"masks?|segs?|segmentations?|ground.?truth|gt|truth"
_MASK_FOLDER = re.compile(
    rf"(.*[^a-z])?({_WORDS}|labels?|labelmaps?|annotations?|rois?|lesions?)(tr|ts|[^a-z].*)?", re.IGNORECASE
)
_MASK_NAME = re.compile(rf"(.*[^a-z])?({_WORDS})([^a-z]*)|({_WORDS})[^a-z].*", re.IGNORECASE)
_WINDOW_WORDS = {  # a word of a folder's name to the window
    "brain": "brain",
    "subdural": "subdural",
    "stroke": "stroke",
    "bone": "bone",
    "soft": "soft tissue",
}
_WINDOW_NAMES = {"window", "windows", "windowed", "win", "wl", "render"}
_WIDTH = r"(?:ww|w|width|window[\s_-]?width)"
_LEVEL = r"(?:wl|wc|l|c|level|center|window[\s_-]?(?:level|center))"
MOST_HU = 1_000_000  # of a window; above this, float32 overflows
_MIXES = {"rgb", "contrast", "color", "stack"}


def split_masks(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Scans, and masks: files whose name or folder is a word for a mask. A folder around all files does not count."""
    levels = zip(*(piece.place.parts[:-1] for piece in pieces), strict=False)
    around = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    masks = {piece for piece in pieces if _is_mask(piece.place.parts[around:])}
    return [piece for piece in pieces if piece not in masks], [piece for piece in pieces if piece in masks]


def _is_mask(parts: Sequence[str]) -> bool:
    *folders, name = parts
    stem = re.sub(r"(\.nii)?\.[a-z0-9]+(\.gz)?$", "", name, flags=re.IGNORECASE)
    return bool(_MASK_NAME.fullmatch(stem)) or any(_MASK_FOLDER.fullmatch(folder) for folder in folders)


def folders_of(pieces: Sequence[Piece]) -> dict[tuple[str, ...], list[Piece]]:
    """Files by their folder."""
    groups: dict[tuple[str, ...], list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups[piece.place.parts[:-1]].append(piece)
    return groups


def masks_or_all(pieces: Sequence[Piece]) -> list[Piece]:
    """The masks among scans and masks; all files if none has such a name."""
    return split_masks(pieces)[1] or list(pieces)


def masks_note(masks: Sequence[Piece]) -> tuple[str, ...]:
    """A note that masks were left out."""
    return (f"Left out: {count(len(masks), 'mask')}. Give the same files as true mask to compare.",) if masks else ()


def choose_window(pieces: Sequence[Piece], name: str, wanted: str | None) -> tuple[list[Piece], tuple[str, ...]]:
    """If folders hold the same slices in several windows, the pictures of one of them.

    Args:
        pieces: pictures.
        name: for messages.
        wanted: name of the window that the user chose; None for the brain window.

    Returns:
        The pictures of one folder, or all if no two have the same name; and notes for the user.

    Raises:
        ReadError: if several folders hold pictures of the same names and do not name their windows.
    """
    groups = window_folders(pieces)
    names = [slice_key(piece) if len(groups) > 1 else piece.place.stem.casefold() for piece in pieces]
    are_windows = len(groups) > 1 and all(folder and window_of(folder[-1]) for folder in groups)
    if len(set(names)) == len(names) and not are_windows:
        return list(pieces), ()
    if len(groups) == 1:
        repeated = printable_name(next(p.name for p, stem in zip(pieces, names, strict=True) if names.count(stem) > 1))
        raise ReadError(
            f"{name} holds several pictures called {repeated}. Zip them with their folders, so that their order is "
            "known.",
            code="several scans",
        )
    windows = {folder: "" if stated_window(folder[-1]) else window_of(folder[-1]) for folder in groups if folder}
    parents = {folder[:-1] for folder in groups}
    if len(windows) < len(groups) or None in windows.values() or len(parents) > 1:
        folders = listed(sorted(printable_name(folder[-1]) if folder else "the top" for folder in groups)[:4])
        raise ReadError(
            f"{name} holds {len(groups)} folders with pictures of the same names ({folders}). Give one of them. If "
            "they are windows of the same slices, name each after its window, such as brain and bone.",
            code="several scans",
        )
    order = [wanted, "brain", "subdural", "stroke", "soft tissue", "bone"]
    chosen = min(groups, key=lambda folder: (_rank(order, windows[folder]), folder))
    others = listed(sorted(printable_name(folder[-1]) for folder in groups if folder != chosen))
    chosen_name = printable_name(chosen[-1])
    note = f"Read: the folder {chosen_name}. Left out: {others}, which holds the same slices through another window."
    return groups[chosen], (note.replace("which holds", "which hold") if len(groups) > 2 else note,)


def window_of(folder: str) -> str | None:
    """The name in WINDOWS that a folder's name refers to: brain_window, Bone. "" for a window without such a name, or
    for a mixture (brain_bone_window); None if the folder names no window."""
    if folder in WINDOWS:
        return folder
    words = re.findall("[a-z]+", folder.casefold())
    windows = [window for word, window in _WINDOW_WORDS.items() if word in words]
    if len(windows) == 1 and not set(words) & _MIXES:
        return windows[0]
    return "" if windows or set(words) & _WINDOW_NAMES else None


def window_folders(pieces: Sequence[Piece]) -> dict[tuple[str, ...], list[Piece]]:
    """Files by their folder. If all are in one folder and their names say windows, as 3_brain.png and 3_bone.png do,
    each window counts as a folder."""
    groups = folders_of(pieces)
    if len(groups) > 1:
        return groups
    views: dict[tuple[str, ...], list[Piece]] = defaultdict(list)
    for piece in pieces:
        words = re.findall("[a-z]+", piece.place.stem.casefold())
        view = "_".join(word for word in words if word in _WINDOW_WORDS or word in _WINDOW_NAMES)
        views[*piece.place.parts[:-1], view].append(piece)
    keys = {slice_key(piece) for piece in pieces}
    is_named = all(window_of(view[-1]) for view in views)
    return views if is_named and len(views) > 1 and 2 * len(keys) < 1.5 * len(pieces) else groups


def stated_window(folder: str) -> tuple[float, float] | None:
    """(level, width) in HU that the name of a folder states: brain_W80_L40, wl40_ww80, window 40 80; None if it does
    not, or if no window has such numbers."""
    name = folder.casefold()
    width, level = (re.search(rf"(?<![a-z]){word}[\s_=:-]*(\d+)", name) for word in (_WIDTH, _LEVEL))
    if width and level:
        stated = float(level[1]), float(width[1])
        return stated if stated[1] > 0 and max(stated) <= MOST_HU else None
    numbers = [float(number) for number in re.findall(r"\d+", name)]
    if window_of(folder) is None or len(numbers) != 2 or min(numbers) == 0 or max(numbers) > MOST_HU:
        return None
    return min(numbers), max(numbers)  # of windows for a head the level is never above the width


def slice_key(piece: Piece) -> str:
    """What a slice is called, without the words for a window: brain/3_brain.png and bone/3_bone.png are one slice."""
    stem = piece.place.stem.casefold()
    words = "|".join([*_WINDOW_WORDS, *_WINDOW_NAMES, "tissue"])
    between = "[^a-z0-9]*"
    return re.sub(rf"{between}(?<![a-z])({words})(?![a-z]){between}", "_", stem).strip(" _-.") or stem


def _rank(order: list[str | None], window: str | None) -> int:
    return order.index(window) if window in order else len(order)
