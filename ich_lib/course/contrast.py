"""Gray values prepared: CLAHE, the mean of three channels, windows by file or by slice, scaling; with their cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ich_lib.course.preparation import lesions_and_tissue, spread, surroundings
from ich_lib.models.pictures import stack_channels
from ich_lib.prepare.window import WINDOWS, window


def clahe(gray: np.ndarray, *, clip: float = 2.0, tiles: int = 8) -> np.ndarray:
    """Contrast-limited adaptive histogram equalization: every tile of the picture gets its own gray curve.

    Args:
        gray: (y, x) uint8, a windowed picture. Not changed.
        clip: how much steeper than even a tile's curve may be.
        tiles: tiles along each side.

    Returns:
        (y, x) uint8.

    Raises:
        ValueError: if `gray` is not a uint8 plane.

    Source:
        Zuiderveld, Graphics Gems IV, 1994, p. 474; OpenCV's createCLAHE.
    """
    if gray.ndim != 2 or gray.dtype != np.uint8:
        raise ValueError(f"CLAHE takes (y, x) uint8; got {gray.shape} {gray.dtype}. Use eight_bit(window(hu, 40, 80)).")
    return cv2.createCLAHE(clipLimit=clip, tileGridSize=(tiles, tiles)).apply(gray)


def to_8_bit(gray: np.ndarray) -> np.ndarray:
    """[0, 1] to uint8 of 0 to 255, rounded; what a PNG or JPG of a windowed slice holds."""
    return np.rint(np.clip(gray, 0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class Rendering:
    """How a lesion looks in an 8-bit picture, and what the picture's gray still says about HU.

    Attributes:
        contrast: mean gray of the lesion minus that of its surroundings.
        noise: standard deviation of the surroundings, in gray.
        gray_spread: over how many grays pixels of one and the same HU are spread (5th to 95th percentile, mean over
            the pixels). 0 where gray follows from HU.
        hu_spread: over how many HU pixels of one and the same gray are spread. 0 where HU follows from gray.
    """

    contrast: float
    noise: float
    gray_spread: float
    hu_spread: float

    @property
    def contrast_to_noise(self) -> float:
        """Contrast over noise; infinite where the surroundings are flat."""
        return self.contrast / self.noise if self.noise else float(np.copysign(np.inf, self.contrast))


def compare_clahe(
    hu: np.ndarray,
    mask: np.ndarray,
    *,
    wide: str = "brain",
    narrow: str = "stroke",
    clip: float = 2.0,
    tiles: int = 8,
) -> dict[str, Rendering]:
    """One slice through a window, the same with CLAHE, and through a narrower window instead.

    Args:
        hu: (y, x) HU; rounded to whole HU, as scanners store them. Not changed.
        mask: (y, x) bool, the lesion.
        wide: the window CLAHE works on, a name from WINDOWS. Only pixels strictly inside it are measured.
        narrow: the window that raises contrast without CLAHE.
        clip: of `clahe`.
        tiles: of `clahe`.

    Returns:
        "window", "CLAHE" and "narrow window", each with its numbers.

    Raises:
        ValueError: if there is no lesion, or if lesion or surroundings lie outside the wide window.
    """
    hu = np.rint(hu)
    level, width = WINDOWS[wide]
    in_window = np.abs(hu - level) < width / 2
    mask, in_window = lesions_and_tissue(mask, in_window, hu.shape)
    lesion, ring = mask & in_window, surroundings(mask, mask, in_window)
    if not lesion.any():
        raise ValueError(f"The lesion lies outside the {wide!r} window, where CLAHE sees one gray.")
    gray = to_8_bit(window(hu, level, width))
    pictures = {
        "window": gray,
        "CLAHE": clahe(gray, clip=clip, tiles=tiles),
        "narrow window": to_8_bit(window(hu, *WINDOWS[narrow])),
    }
    return {
        name: Rendering(
            contrast=float(picture[lesion].mean() - picture[ring].mean()),
            noise=float(picture[ring].std()),
            gray_spread=spread(picture[in_window], hu[in_window]),
            hu_spread=spread(hu[in_window], picture[in_window]),
        )
        for name, picture in pictures.items()
    }


def average_channels(picture: np.ndarray) -> np.ndarray:
    """Three channels to one gray by their mean, rounded.

    Args:
        picture: (y, x, 3) uint8. Not changed.

    Returns:
        (y, x) uint8. Summed as floats: a uint8 sum starts again at 0 after 255.

    Raises:
        ValueError: if `picture` is not (y, x, 3) uint8.

    Source:
        A step of the published systems on JPG renders. For a gray JPG, whose channels are equal, it changes nothing.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(f"The mean of channels takes (y, x, 3) uint8; got {picture.shape} {picture.dtype}.")
    return np.rint(picture.mean(axis=2)).astype(np.uint8)


@dataclass(frozen=True)
class ChannelMean:
    """What is lost when a color picture becomes the mean of its channels.

    Attributes:
        largest_difference: between any channel and the mean, in gray.
        colors: different (r, g, b) in the picture.
        grays: different grays of the average of the channels. As many as `colors` if nothing is lost.
        max_values_per_gray: how many different colors the fullest gray stands for.
    """

    largest_difference: int
    colors: int
    grays: int
    max_values_per_gray: int


def compare_channel_average(picture: np.ndarray) -> ChannelMean:
    """Measure what `average_channels` loses of a (y, x, 3) uint8 picture.

    Raises:
        ValueError: as `average_channels`.
    """
    mean = average_channels(picture)
    colors = np.unique(picture.reshape(-1, 3), axis=0)
    fullness = np.unique(average_channels(colors[None])[0], return_counts=True)[1]
    return ChannelMean(
        largest_difference=int(np.abs(picture - mean[..., None].astype(int)).max()),
        colors=len(colors),
        grays=len(fullness),
        max_values_per_gray=int(fullness.max()),
    )


@dataclass(frozen=True)
class WindowMean:
    """Three windows as three channels against their mean as one gray, over a range of whole HU.

    Attributes:
        hu_values: how many CT numbers were shown.
        distinct_in_channels: how many of them look different in three channels.
        distinct_in_mean: how many grays their mean has.
        max_values_per_gray: how many CT numbers the fullest gray between black and white stands for; 0 without any.
        contrast_of_channels: gray of blood minus gray of brain in each channel.
        contrast_of_mean: the same of the average of the channels.
    """

    hu_values: int
    distinct_in_channels: int
    distinct_in_mean: int
    max_values_per_gray: int
    contrast_of_channels: tuple[int, int, int]
    contrast_of_mean: int


def compare_window_mean(
    windows: Sequence[str] = ("brain", "subdural", "bone"),
    *,
    from_hu: int = 0,
    to_hu: int = 100,
    brain_hu: int = 30,
    blood_hu: int = 60,
) -> WindowMean:
    """Measure what is lost when three windows of a slice collapse to one gray.

    The mean of windows is one window more, with bends: it never swaps two tissues, but every window that is flat or
    shallow where blood differs from brain thins the contrast of the others.

    Args:
        windows: three names from WINDOWS.
        from_hu: first whole HU shown.
        to_hu: last whole HU shown.
        brain_hu: the tissue beside the blood.
        blood_hu: blood.

    Raises:
        ValueError: if there are not three windows, or no range.
    """
    if len(windows) != 3 or to_hu <= from_hu:
        raise ValueError(f"Three windows and a range of HU are needed; got {tuple(windows)}, {from_hu} to {to_hu}.")
    ramp = np.arange(from_hu, to_hu + 1, dtype=np.float32)[None]
    colors = to_8_bit(stack_channels([ramp], tuple(windows)))
    mean = average_channels(colors)[0]
    grays, fullness = np.unique(mean, return_counts=True)
    tissues = to_8_bit(stack_channels([np.array([[brain_hu, blood_hu]], np.float32)], tuple(windows)))
    brain, blood = tissues[0].astype(int)
    dark, light = average_channels(tissues)[0].astype(int)
    return WindowMean(
        hu_values=ramp.size,
        distinct_in_channels=len(np.unique(colors[0], axis=0)),
        distinct_in_mean=len(grays),
        max_values_per_gray=int(fullness[(grays > 0) & (grays < 255)].max(initial=0)),
        contrast_of_channels=tuple((blood - brain).tolist()),
        contrast_of_mean=int(light - dark),
    )


def min_max_per_slice(hu: np.ndarray, windows: Sequence[tuple[float, float]]) -> np.ndarray:
    """The fault, re-enacted: each slice clipped to its own file's window, then stretched from its darkest to its
    brightest pixel.

    Args:
        hu: (z, y, x) HU. Not changed.
        windows: (level, width) in HU for each slice, as its header says.

    Returns:
        (z, y, x) float32 in [0, 1]; a slice of one value becomes 0.

    Raises:
        ValueError: if there is not one window a slice, or a width is not positive.

    Source:
        Published RSNA 2019 code that reads Window Center (0028,1050) and Width (0028,1051) of every file.
    """
    low, high = _ends(hu, windows)
    span = np.where(high > low, high - low, 1)
    gray = (np.clip(hu, low[:, None, None], high[:, None, None]) - low[:, None, None]) / span[:, None, None]
    return gray.astype(np.float32)


@dataclass(frozen=True)
class Scaling:
    """What gray means in each slice.

    Attributes:
        gray_of_tissue: the gray, 0 to 1, that one and the same CT number gets in each slice.
        hu_of_gray: the CT number that one and the same gray stands for in each slice.
    """

    gray_of_tissue: tuple[float, ...]
    hu_of_gray: tuple[float, ...]

    @property
    def gray_step(self) -> float:
        """Between the slices where the tissue is brightest and darkest; 0 where gray has one meaning."""
        return max(self.gray_of_tissue) - min(self.gray_of_tissue)

    @property
    def hu_step(self) -> float:
        """Between the slices where the gray stands for most and least, in HU; 0 where gray has one meaning."""
        return max(self.hu_of_gray) - min(self.hu_of_gray)


def compare_scaling(
    hu: np.ndarray,
    windows: Sequence[tuple[float, float]],
    *,
    fixed: str = "brain",
    tissue_hu: float = 60,
    gray: float = 0.5,
) -> dict[str, Scaling]:
    """Follow one tissue and one gray through the slices: each file's window and min-max, against one fixed window.

    Args:
        hu: (z, y, x) HU. Not changed.
        windows: (level, width) in HU for each slice, as its header says.
        fixed: a name from WINDOWS for all slices.
        tissue_hu: the tissue to follow, blood of 60 HU.
        gray: the gray to follow, 0 to 1.

    Returns:
        "per file" and "fixed".

    Raises:
        ValueError: as `min_max_per_slice`.
    """
    level, width = WINDOWS[fixed]
    same = np.full(len(hu), level - width / 2), np.full(len(hu), level + width / 2)
    return {
        name: Scaling(
            gray_of_tissue=tuple(np.clip((tissue_hu - low) / np.where(high > low, high - low, np.inf), 0, 1).tolist()),
            hu_of_gray=tuple((low + gray * (high - low)).tolist()),
        )
        for name, (low, high) in {"per file": _ends(hu, windows), "fixed": same}.items()
    }


def input_range(picture: np.ndarray, *factors: float) -> tuple[float, float]:
    """The lowest and highest number that reaches a network after scalings one after the other.

    `input_range(picture, 1 / 255)` of an 8-bit picture is (0, 1). `input_range(picture, 1 / 255, 1 / 255)`, once in the
    input pipeline and once inside the network, is (0, 0.0039): to the network every picture is black.

    Args:
        picture: any shape and real type. Not changed.
        *factors: what the values are multiplied by.

    Source:
        System 000 (U-Net + EfficientNetB4 + DenseNet169, 2024): test accuracy 62.30 %, the share of "normal" slices.
    """
    factor = float(np.prod(factors))
    low, high = sorted((float(picture.min()) * factor, float(picture.max()) * factor))
    return low, high


def _ends(hu: np.ndarray, windows: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """(z,) HU that become black and white of each slice: its extremes within its own window."""
    if hu.ndim != 3 or len(windows) != len(hu) or not all(width > 0 for _, width in windows):
        raise ValueError(f"One window of positive width a slice is needed; got {len(windows)} for {hu.shape} HU.")
    level, width = np.array(windows, float).T
    low, high = level - width / 2, level + width / 2
    return np.clip(hu.min(axis=(1, 2)), low, high), np.clip(hu.max(axis=(1, 2)), low, high)
