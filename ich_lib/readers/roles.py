"""What names and folders of an upload say: which files are masks, and which show the same slices through other windows.

Only the place in the upload counts, see `Piece.place`: a folder called masks, a name that ends in _mask.
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
_WINDOW_WORDS = {  # a word of a folder's name: the window
    "brain": "brain",
    "subdural": "subdural",
    "stroke": "stroke",
    "bone": "bone",
    "soft": "soft tissue",
}
_MIXES = {"rgb", "contrast", "color", "stack"}


def split_masks(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Scans, and masks: files whose name, or that of a folder around them, is one of a mask. A folder around all of
    them tells nothing."""
    levels = zip(*(piece.place.parts[:-1] for piece in pieces), strict=False)
    around = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    masks = {piece for piece in pieces if _is_mask(piece.place.parts[around:])}
    return [piece for piece in pieces if piece not in masks], [piece for piece in pieces if piece in masks]


def _is_mask(parts: Sequence[str]) -> bool:
    *folders, name = parts
    stem = re.sub(r"(\.nii)?\.[a-z0-9]+(\.gz)?$", "", name, flags=re.IGNORECASE)
    return bool(_MASK_NAME.fullmatch(stem)) or any(_MASK_FOLDER.fullmatch(folder) for folder in folders)


def folders_of(pieces: Sequence[Piece]) -> dict[tuple[str, ...], list[Piece]]:
    """Files by the folder that they lie in."""
    groups: dict[tuple[str, ...], list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups[piece.place.parts[:-1]].append(piece)
    return groups


def masks_or_all(pieces: Sequence[Piece]) -> list[Piece]:
    """The masks among scans and masks; all where none is called so."""
    return split_masks(pieces)[1] or list(pieces)


def masks_note(masks: Sequence[Piece]) -> tuple[str, ...]:
    """That masks were left out, for the person."""
    return (f"Left out: {count(len(masks), 'mask')}. Give the same files as true mask to compare.",) if masks else ()


def one_window(pieces: Sequence[Piece], name: str, wanted: str | None) -> tuple[list[Piece], tuple[str, ...]]:
    """Of folders that hold the same slices through several windows, one.

    Args:
        pieces: pictures.
        name: what to call them together.
        wanted: name of the window that the person told; None for the brain window.

    Returns:
        The pictures of one folder, or all where no two have the same name; and what to tell the person.

    Raises:
        ReadError: if several folders hold pictures of the same names and do not say which window they show.
    """
    groups = folders_of(pieces)
    names = [piece.place.stem.casefold() for piece in pieces]
    if len(set(names)) == len(names):
        return list(pieces), ()
    if len(groups) == 1:
        twice = printable_name(next(p.name for p, stem in zip(pieces, names, strict=True) if names.count(stem) > 1))
        raise ReadError(
            f"{name} holds several pictures called {twice}. Zip them with their folders, so that their order is known.",
            code="several scans",
        )
    windows = {folder: window_of(folder[-1]) for folder in groups if folder}
    parents = {folder[:-1] for folder in groups}
    if len(windows) < len(groups) or None in windows.values() or len(parents) > 1:
        folders = listed(sorted(printable_name(folder[-1]) if folder else "the top" for folder in groups)[:4])
        raise ReadError(
            f"{name} holds {len(groups)} folders with pictures of the same names ({folders}). Give one of them.",
            code="several scans",
        )
    order = [wanted, "brain", "subdural", "stroke", "soft tissue", "bone"]
    chosen = min(groups, key=lambda folder: (_rank(order, windows[folder]), folder))
    others = listed(sorted(printable_name(folder[-1]) for folder in groups if folder != chosen))
    taken = printable_name(chosen[-1])
    note = f"Read: the folder {taken}. Left out: {others}, which holds the same slices through another window."
    return groups[chosen], (note.replace("which holds", "which hold") if len(groups) > 2 else note,)


def window_of(folder: str) -> str | None:
    """The name in WINDOWS that the name of a folder speaks of: brain_window, Bone. "" for a window that has no such
    name, or mixes two (brain_bone_window); None where the folder speaks of no window."""
    if folder in WINDOWS:
        return folder
    words = re.findall("[a-z]+", folder.casefold())
    named = [window for word, window in _WINDOW_WORDS.items() if word in words]
    if len(named) == 1 and not set(words) & _MIXES:
        return named[0]
    return "" if named or set(words) & {"window", "windows", "windowed", "win", "wl", "render"} else None


def _rank(order: list[str | None], window: str | None) -> int:
    return order.index(window) if window in order else len(order)
