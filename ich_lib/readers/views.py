"""Folders of pictures that show the same slices through several display windows: together they give nearly HU.

A name states the window (brain_W80_L40) or is usual for one (brain, bone). Usual windows are an assumption, so the
grays check it: where two pictures are neither black nor white, both must give the same HU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ich_lib.grammar import count, listed
from ich_lib.prepare.window import WINDOWS
from ich_lib.readers.limits import LIMITS
from ich_lib.readers.piece import Piece, printable_name
from ich_lib.readers.pixels import gray, sizes
from ich_lib.readers.refusal import ReadError
from ich_lib.readers.renders import hu_of_windows
from ich_lib.readers.roles import slice_key, stated_window, window_folders, window_of

Window = tuple[float, float]
_NAMED: dict[str, tuple[Window, ...]] = {  # window's name to what it may mean, the most likely first
    "brain": (WINDOWS["brain"], WINDOWS["brain render"], WINDOWS["brain 004"]),
    "subdural": (WINDOWS["subdural"], (100, 254)),  # fastai
    "bone": (WINDOWS["bone"], (480, 2500), WINDOWS["bone render"]),  # OHIF, CT-ICH
}
_PAIRED = 0.5  # share of the pictures that have one of the same name in the other folder
_CHECKED = 8  # slices
_LEAST_PX = 200  # that are neither black nor white in both
_GROUPS = 8  # of equal numbers of pixels, by their HU
_LEAST_SPREAD_HU = 5  # between these groups, to compare how steep two windows are
_STEEP = (0.9, 1.12)  # of 6 patients of CT-ICH: 0.94 to 0.96; with a wrong window below 0.85 or above 1.2
_FLATTEST = 0.94  # see above: of right windows on real heads
_OFF_HU, _OFF_STEPS = 2.0, 0.75  # the mean may be off by that, and by that many grays: programs round or cut off
_EQUAL, _EQUAL_SHARE = 2, 0.995  # grays, and the share of such pixels in two copies of a picture
_BLACK, _WHITE = 3, 252  # JPG turns a saturated pixel into 2 or 253


@dataclass(frozen=True)
class View:
    """One folder.

    Attributes:
        folder: its name.
        windows: (level, width) in HU that its pictures may have, the most likely first.
        stated: whether the name states the numbers.
        pictures: what its slices are called, to the picture.
    """

    folder: str
    windows: tuple[Window, ...]
    stated: bool
    pictures: dict[str, Piece]


@dataclass(frozen=True)
class Fit:
    """Views of the same slices, the narrowest window first, with the window of each; notes for the user."""

    views: tuple[View, ...] = ()
    windows: tuple[Window, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def slices(self) -> list[Piece]:
        """The pictures of the narrowest window that all other folders have too."""
        first, *others = self.views
        return [piece for key, piece in first.pictures.items() if all(key in view.pictures for view in others)]

    def hu(self, piece: Piece) -> np.ndarray:
        """(y, x) float32 HU of the slice of one of these pictures."""
        key = slice_key(piece)
        planes = [gray(view.pictures[key]) for view in self.views]
        if any(plane.dtype != np.uint8 for plane in planes):
            raise ReadError(
                "The pictures have different numbers of bits. All slices of one head have the same number. Give only "
                "these.",
                code="several scans",
            )
        return hu_of_windows(planes, self.windows)


def fit_views(pieces: Sequence[Piece]) -> Fit:
    """The folders that give HU together; no views if there are none, with notes if that is odd.

    Args:
        pieces: pictures.

    Raises:
        ReadError: if a picture is damaged.
    """
    views = _views(pieces)
    if len(views) < 2:
        return Fit()
    first, *others = views
    notes, samples = [], []
    for other in others:
        sample = _sample(first, other)
        if isinstance(sample, str):
            notes.append(f"{other.folder} was not used for HU: {sample}")
        else:
            samples.append((other, *sample))
    best: Fit = Fit()
    for window in first.windows:
        fitting = _fitting(first, samples, window)
        if len(fitting) + 1 > max(len(best.views), 1):
            best = Fit((first, *(view for view, _ in fitting)), (window, *(own for _, own in fitting)))
    notes += [
        f"{view.folder} was not used for HU: its grays do not fit those of {first.folder}. Either it shows other "
        "slices, or another window than its name says."
        for view, *_ in samples
        if view not in best.views
    ]
    return Fit(best.views, best.windows, (*_notes(best), *notes))


def _fitting(
    first: View, samples: Sequence[tuple[View, np.ndarray, np.ndarray]], window: Window
) -> list[tuple[View, Window]]:
    """The views whose grays agree with a window of the first, and the window of each. At least one slice is in all."""
    fitting, keys = [], set(first.pictures)
    for view, fine, coarse in samples:
        own = next((own for own in view.windows if _agree(fine, coarse, window, own)), None)
        if own and keys & view.pictures.keys():
            fitting.append((view, own))
            keys &= view.pictures.keys()
    return fitting


def fits_standard_windows(pieces: Sequence[Piece]) -> bool:
    """Whether pictures in folders called brain and bone have the usual windows of these names, and not those of CT-ICH.

    Args:
        pieces: pictures; those of several patients have the windows of CT-ICH.
    """
    parents = {piece.place.parts[:-2] for piece in pieces}
    if len(parents) != 1:
        return False
    renders = {WINDOWS["brain render"], WINDOWS["bone render"]}
    return bool((windows := fit_views(pieces).windows) and not renders & set(windows))


def _views(pieces: Sequence[Piece]) -> list[View]:
    """Folders side by side whose names say their windows, the narrowest first."""
    groups = window_folders(pieces)
    views = []
    for folder, group in groups.items():
        stated = stated_window(folder[-1]) if folder else None
        name = window_of(folder[-1]) if folder else None
        windows = (stated,) if stated else _NAMED.get(name or "") or ((WINDOWS[name],) if name in WINDOWS else ())
        pictures = {slice_key(piece): piece for piece in group}
        if windows and len(pictures) == len(group):
            views.append(View(printable_name(folder[-1]), windows, stated is not None, pictures))
    if len({folder[:-1] for folder in groups}) > 1:
        return []
    return sorted(views, key=lambda view: (view.windows[0][1], view.folder))


def _sample(first: View, other: View) -> tuple[np.ndarray, np.ndarray] | str:
    """(n,) grays of the same pixels in both, neither black nor white; or why there are none, as a sentence's end."""
    keys = sorted(first.pictures.keys() & other.pictures.keys())
    if len(keys) < _PAIRED * max(len(first.pictures), len(other.pictures)):
        return f"its pictures have other names than those in {first.folder}."
    for key in keys:
        own, theirs = (sizes(view.pictures[key], 2) for view in (first, other))
        if own != theirs:
            return f"its pictures have another size than those in {first.folder}."
        if len(own) > 1:
            return "a file holds several pictures."
        if own[0][0] * own[0][1] > LIMITS["picture_px"]:
            return "its pictures are too large."
    pairs = [[gray(view.pictures[key]) for view in (first, other)] for key in keys[:: max(len(keys) // _CHECKED, 1)]]
    if any(pixels.dtype != np.uint8 for pair in pairs for pixels in pair):
        return "pictures of 8 bits are needed."
    if all(np.mean(cv2.absdiff(*pair) <= _EQUAL) > _EQUAL_SHARE for pair in pairs):
        return f"it shows the same window as {first.folder}."
    fine, coarse = (np.concatenate([pair[k][_inside(*pair)] for pair in pairs]) for k in (0, 1))
    return (fine, coarse) if len(fine) >= _LEAST_PX else f"it has too few grays in common with {first.folder}."


def _inside(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pixels that are neither black nor white in both, nor beside one that is: resizing mixes these."""
    good = (np.minimum(a, b) > _BLACK) & (np.maximum(a, b) < _WHITE)
    return cv2.erode(good.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _agree(fine: np.ndarray, coarse: np.ndarray, window: Window, other: Window) -> bool:
    """Whether grays of two windows give the same HU: on average, and along a line as steep."""
    hu, theirs = (
        pixels * (width / 255) + level - width / 2 for pixels, (level, width) in ((fine, window), (coarse, other))
    )
    groups = np.array_split(np.argsort(hu, kind="stable"), _GROUPS)
    x, y = (np.array([values[group].mean() for group in groups]) for values in (hu, theirs))
    if abs(float((y - x).mean())) > _OFF_HU + _OFF_STEPS * other[1] / 255:
        return False
    if np.ptp(x) < _LEAST_SPREAD_HU:
        return True
    return bool(_STEEP[0] <= np.polyfit(x, y, 1)[0] <= _STEEP[1])


def _notes(fit: Fit) -> tuple[str, ...]:
    if not fit.views:
        return ()
    windows = listed(
        f"{view.folder} ({level:g}/{width:g})" for view, (level, width) in zip(fit.views, fit.windows, strict=True)
    )
    low = min(level - width / 2 for level, width in fit.windows)
    high = max(level + width / 2 for level, width in fit.windows)
    n_missing = len(set().union(*(view.pictures for view in fit.views))) - len(fit.slices)
    return (
        f"HU are approximate: they were rebuilt from the pictures of {windows}.",
        *_certainty(fit),
        f"Below {low:g} and above {high:g} HU the picture is black or white: HU are lost there.",
        *([f"Left out: {count(n_missing, 'picture')} that another window lacks."] if n_missing else []),
    )


def _certainty(fit: Fit) -> tuple[str, ...]:
    """Whether the windows are stated. If not, what `_agree` would not notice: one that is a little wider or higher."""
    if all(view.stated for view in fit.views):
        return ("The level and width of these windows, in HU, are those that the names state.",)
    (_, width), *others = fit.windows
    off_hu = min(_OFF_HU + _OFF_STEPS * other / 255 for _, other in others)
    off_hu += (_STEEP[1] / _FLATTEST - 1) * width / 2  # at both ends of the narrowest window
    return (
        "The level and width of these windows, in HU, are assumed: they are usual for these names.",
        f"The grays fit, but would also fit a slightly different window: HU may be off by up to {off_hu:.0f}.",
    )
