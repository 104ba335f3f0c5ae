"""What each published way of preparing a picture does to a bleed, as a number.

Seven steps of the published systems, rebuilt right where they were right; where they were a fault, re-enacted under a
name that says so. Beside each stands a comparison that returns numbers. `ich_lib.models.pictures` uses none of the
faults.

The systems: 000 (U-Net + EfficientNetB4 + DenseNet169, 2024), 001 (small CNN + 3D U-Net, 2021), 002 (two U-Nets on
CT-ICH, 2021), 003 (U-Net on CT-ICH, 2025), 004 (five CNNs on RSNA, 2019).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ich_lib.labels import ANY
from ich_lib.models.pictures import stack_channels
from ich_lib.prepare.window import WINDOWS, window

METHODS = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}
_REACH = 5  # pixels around a lesion that count as its surroundings
_MIDDLE = (5, 95)  # percentiles: the spread of a group without its outliers


# 1. Smaller pictures: every fourth pixel, or the mean of sixteen


def subsample(picture: np.ndarray, step: int = 4) -> np.ndarray:
    """Keep every `step`-th pixel and forget the rest: Y[i, j] = X[step * i, step * j].

    Args:
        picture: (..., y, x), any type. Not changed.
        step: 4 brings 512 x 512 to 128 x 128.

    Returns:
        (..., ceil(y / step), ceil(x / step)), a copy.

    Raises:
        ValueError: if `step` is below 1.

    Source:
        System 001 (small CNN + 3D U-Net, 2021), as published. `resize(..., "nearest")` gives the same pixels.
    """
    if step < 1:
        raise ValueError(f"step must be a whole number from 1 on; got {step}. System 001 took 4.")
    return picture[..., ::step, ::step].copy()


def resize(picture: np.ndarray, size: int, method: str) -> np.ndarray:
    """A square picture, or every slice of a stack, shrunken to size x size pixels.

    Args:
        picture: (y, x) or (z, y, x), any real type or bool, y equal to x. Not changed.
        size: side of the outcome, at most that of `picture`.
        method: "nearest" reads one pixel, "linear" the 2 x 2 around one point, however many lie between; "area" takes
            the mean of everything the new pixel covers.

    Returns:
        (size, size) or (z, size, size) float32. Of a mask: the share of blood in each pixel, 0 to 1.

    Raises:
        ValueError: for an unknown method, a picture that is not square, or a size that is not smaller or equal.

    Source:
        Systems 000 and 002 to 004 resize to 128, 224, 256 or 380; "area" is OpenCV's INTER_AREA.
    """
    side = _side(picture)
    if method not in METHODS:
        raise ValueError(f"No method is called {method!r}; choose from {', '.join(METHODS)}.")
    if not 1 <= size <= side:
        raise ValueError(f"size must lie between 1 and the picture's {side} pixels; got {size}.")
    planes = picture.reshape(-1, side, side).astype(np.float32)
    small = [cv2.resize(plane, (size, size), interpolation=METHODS[method]) for plane in planes]
    return np.stack(small).reshape(*picture.shape[:-2], size, size)


@dataclass(frozen=True)
class Shrinkage:
    """What is left of the bleeds of a picture, or a stack of slices, after `resize`.

    Attributes:
        method, size: as given to `resize`.
        lesions: connected pieces of the mask, counted in each slice (8 neighbors).
        vanished_lesions: lesions that no small pixel shows at all.
        lost_from_mask: lesions that fill no small pixel by half, so that a binary mask loses them; holds
            `vanished_lesions`.
        area_error: area of the shares of blood against the truth, minus 1. 0 is right, -1 nothing is left.
        mask_area_error: the same for the binary mask (at least half blood).
        contrast_before: lesion minus surroundings, mean over lesions, in units of the picture.
        contrast_after: the same in the small picture; a lesion that vanished has 0.
        aliasing: how much false pattern the small picture holds, root mean square in units of the picture: what
            detail too fine for the new pixels becomes instead of averaging out.
    """

    method: str
    size: int
    lesions: int
    vanished_lesions: int
    lost_from_mask: int
    area_error: float
    mask_area_error: float
    contrast_before: float
    contrast_after: float
    aliasing: float

    @property
    def vanished_share(self) -> float:
        """Share of the lesions that vanished, 0 to 1."""
        return self.vanished_lesions / self.lesions

    @property
    def contrast_kept(self) -> float:
        """Contrast after against before; 1 is all of it, NaN for a lesion that never had any."""
        return self.contrast_after / self.contrast_before if self.contrast_before else float("nan")


def compare_shrinking(
    picture: np.ndarray, mask: np.ndarray, size: int, method: str, *, tissue: np.ndarray | None = None
) -> Shrinkage:
    """Shrink a picture with known lesions and measure what is left of them.

    Args:
        picture: (y, x) or (z, y, x), y equal to x: HU or gray. Not changed. Bone dominates `aliasing` of HU; pass the
            windowed picture for what an eye would see.
        mask: bool of the same shape, the lesions. Not changed.
        size: side of the outcome.
        method: of `resize`. "nearest" from 512 to 128 is the subsampling of system 001.
        tissue: bool of the same shape: what may count as surroundings. `(hu > 0) & (hu < 80)` leaves out the skull,
            which would make every bleed along it look dark. Everything, if not given.

    Returns:
        The numbers.

    Raises:
        ValueError: if a slice with a lesion has no surroundings, if the shapes differ, and as `resize`.
    """
    side = _side(picture)
    mask, tissue = _lesions_and_tissue(mask, tissue, picture.shape)
    planes, masks, around = (values.reshape(-1, side, side) for values in (picture.astype(np.float32), mask, tissue))
    before, after, shares = [], [], []
    for plane, piece, ring in _iterate_lesions(planes, masks, around):
        share = resize(piece, size, method)
        # Shrinking is linear, so the lesion's own part can be followed through it without its background.
        lesion = np.where(piece, plane - np.median(plane[ring]), 0).astype(np.float32)
        before.append(lesion[piece].mean())
        after.append((resize(lesion, size, method) * share).sum() / share.sum() if share.any() else 0.0)
        shares.append(share)
    cell, area = (side / size) ** 2, np.count_nonzero(masks)
    return Shrinkage(
        method=method,
        size=size,
        lesions=len(shares),
        vanished_lesions=sum(not share.any() for share in shares),
        lost_from_mask=sum(not (share >= 0.5).any() for share in shares),
        area_error=float(sum(share.sum(dtype=float) for share in shares) * cell / area - 1),
        mask_area_error=float((resize(masks, size, method) >= 0.5).sum() * cell / area - 1),
        contrast_before=float(np.mean(before)),
        contrast_after=float(np.mean(after)),
        aliasing=float(np.sqrt(np.mean(resize(_unresolved_detail(planes, size), size, method).astype(float) ** 2))),
    )


# 2. CLAHE against a narrower window


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
    mask, in_window = _lesions_and_tissue(mask, in_window, hu.shape)
    lesion, ring = mask & in_window, _surroundings(mask, mask, in_window)
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
            gray_spread=_spread(picture[in_window], hu[in_window]),
            hu_spread=_spread(hu[in_window], picture[in_window]),
        )
        for name, picture in pictures.items()
    }


# 3. The mean of three channels


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
        grays: different grays in the mean. As many as `colors` where nothing is lost.
        most_on_one_gray: how many different colors the fullest gray stands for.
    """

    largest_difference: int
    colors: int
    grays: int
    most_on_one_gray: int


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
        most_on_one_gray=int(fullness.max()),
    )


@dataclass(frozen=True)
class WindowMean:
    """Three windows as three channels against their mean as one gray, over a range of whole HU.

    Attributes:
        hu_values: how many CT numbers were shown.
        told_apart_by_channels: how many of them look different in three channels.
        told_apart_by_mean: how many grays their mean has.
        most_on_one_gray: how many CT numbers the fullest gray between black and white stands for; 0 without any.
        contrast_of_channels: gray of blood minus gray of brain in each channel.
        contrast_of_mean: the same in the mean.
    """

    hu_values: int
    told_apart_by_channels: int
    told_apart_by_mean: int
    most_on_one_gray: int
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
        brain_hu: tissue that blood is told from.
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
        told_apart_by_channels=len(np.unique(colors[0], axis=0)),
        told_apart_by_mean=len(grays),
        most_on_one_gray=int(fullness[(grays > 0) & (grays < 255)].max(initial=0)),
        contrast_of_channels=tuple((blood - brain).tolist()),
        contrast_of_mean=int(light - dark),
    )


# 4. Pad and crop to a fixed size


@dataclass(frozen=True)
class PadCropLoss:
    """What `pad_or_crop` took away and put in.

    Attributes:
        pixels_cut: pixels of the picture that are gone.
        pixels_added: pixels of the outcome that hold only the fill.
        blood_lost: share of the blood that was cut, 0 to 1; None if no mask was given.
        head_lost: share of the head that was cut; None if no mask was given.
    """

    pixels_cut: int
    pixels_added: int
    blood_lost: float | None = None
    head_lost: float | None = None


def pad_or_crop(
    picture: np.ndarray,
    size: int,
    fill: float,
    *,
    blood: np.ndarray | None = None,
    head: np.ndarray | None = None,
) -> tuple[np.ndarray, PadCropLoss]:
    """Bring a picture to size x size around its middle without scaling, and say what that cost.

    Args:
        picture: (y, x) or (z, y, x). Not changed. Its mask goes the same way with the same size and fill 0.
        size: side of the outcome in pixels.
        fill: value of what is added: -1000 (air) for HU, 0 for windowed gray.
        blood: bool of the same shape; its cut share is recorded.
        head: bool of the same shape; its cut share is recorded.

    Returns:
        (size, size) or (z, size, size) of the type of `picture`, and what was cut. An odd pixel is added, or cut,
        at the bottom and at the right.

    Raises:
        ValueError: if `size` is below 1, the type of `picture` cannot hold `fill`, or a mask has another shape.

    Source:
        System 004 (five CNNs on RSNA, 2019) pads to 512 x 512; here the content is preserved.
    """
    if size < 1 or picture.ndim not in (2, 3):
        raise ValueError(f"A (y, x) or (z, y, x) picture and a size from 1 on are needed; got {picture.shape}, {size}.")
    if np.array(fill).astype(picture.dtype) != fill:
        raise ValueError(
            f"A {picture.dtype} picture cannot hold the fill {fill}; convert the picture to float32 first."
        )
    rows, columns = picture.shape[-2:]
    (y_from, y_to), (x_from, x_to) = _overlap(rows, size), _overlap(columns, size)
    out = np.full((*picture.shape[:-2], size, size), fill, picture.dtype)
    out[..., y_to, x_to] = picture[..., y_from, x_from]
    n_kept = picture[..., y_from, x_from].size
    shares_lost = [_share_lost(mask, picture.shape, (..., y_from, x_from)) for mask in (blood, head)]
    return out, PadCropLoss(picture.size - n_kept, out.size - n_kept, *shares_lost)


def pad_overwriting_the_picture(picture: np.ndarray, size: int) -> np.ndarray:
    """The fault of system 004, re-enacted: the canvas takes the picture's name before the picture is copied.

    Args:
        picture: (y, x), at most size x size. Not changed.
        size: side of the canvas.

    Returns:
        (size, size) of zeros, whatever `picture` shows.

    Source:
        System 004 (five CNNs on RSNA, 2019): `image = zeros(...); image[:h, ...] = image`.
    """
    rows, columns = picture.shape
    image = picture
    image = np.zeros((size, size), image.dtype)
    image[:rows, :columns] = image[:rows, :columns]  # the canvas onto itself: the picture is out of reach by now
    return image


@dataclass(frozen=True)
class Padding:
    """Share of a picture's gray that is still there after padding, 0 to 1.

    Attributes:
        share_kept: by `pad_or_crop`.
        share_kept_overwriting: by `pad_overwriting_the_picture`.
    """

    share_kept: float
    share_kept_overwriting: float


def compare_padding(gray: np.ndarray, size: int) -> Padding:
    """Pad a (y, x) windowed picture to size x size both ways.

    Raises:
        ValueError: if the picture is black already or larger than `size`.
    """
    total = float(gray.sum(dtype=float))
    if not total > 0 or max(gray.shape) > size:
        raise ValueError(f"A picture that is not black and fits into {size} pixels is needed; got {gray.shape}.")
    right, wrong = pad_or_crop(gray, size, 0)[0], pad_overwriting_the_picture(gray, size)
    return Padding(float(right.sum(dtype=float)) / total, float(wrong.sum(dtype=float)) / total)


# 5. One window for all slices, or each file's own


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


# 6. Scaled once or twice


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


# 7. Files that cannot be read


def blacken_corrupt(pictures: Sequence[np.ndarray | None]) -> np.ndarray:
    """The fault of system 004, re-enacted: a file that cannot be read becomes a black slice and keeps its label.

    Args:
        pictures: n decoded pictures of one shape (y, x); None where decoding failed, as `cv2.imread` returns.

    Returns:
        (n, y, x), zeros for None.

    Raises:
        ValueError: if not one could be read.

    Source:
        System 004 (five CNNs on RSNA, 2019).
    """
    readable = _readable(pictures)
    return np.stack([np.zeros_like(readable[0]) if picture is None else picture for picture in pictures])


def drop_corrupt(
    pictures: Sequence[np.ndarray | None], labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The same done right: a file that cannot be read leaves together with its label.

    Args:
        pictures: n decoded pictures of one shape (y, x); None where decoding failed.
        labels: (n, ...), a row for each picture.

    Returns:
        (k, y, x) pictures, their (k, ...) labels, and the row numbers that were left out, for the log.

    Raises:
        ValueError: if not one could be read, or the numbers of pictures and labels differ.
    """
    readable = _readable(pictures, labels)
    is_readable = np.array([picture is not None for picture in pictures])
    return np.stack(readable), labels[is_readable], tuple(np.flatnonzero(~is_readable).tolist())


@dataclass(frozen=True)
class LabelNoise:
    """How many labels have no picture behind them when corrupt files become black slices.

    Attributes:
        files: how many there are.
        corrupt: how many of them cannot be read.
        bleeding: how many are labeled as bleeding.
        bleeding_corrupt: how many of these cannot be read: black slices that teach "this is blood".
    """

    files: int
    corrupt: int
    bleeding: int
    bleeding_corrupt: int

    @property
    def share(self) -> float:
        """Share of all labels that belong to no picture."""
        return self.corrupt / self.files

    @property
    def share_of_bleeding(self) -> float:
        """Share of the bleeding labels that belong to no picture; 0 if nothing bleeds."""
        return self.bleeding_corrupt / self.bleeding if self.bleeding else 0.0


def count_label_noise(pictures: Sequence[np.ndarray | None], labels: np.ndarray) -> LabelNoise:
    """Count the labels that `blacken_corrupt` keeps and `drop_corrupt` leaves out.

    Args:
        pictures: n decoded pictures; None where decoding failed.
        labels: (n, 6) bool in the order of LABELS.

    Raises:
        ValueError: if not one could be read, or the numbers of pictures and labels differ.
    """
    _readable(pictures, labels)
    is_corrupt = np.array([picture is None for picture in pictures])
    bleeding = np.asarray(labels)[:, ANY].astype(bool)
    return LabelNoise(len(pictures), int(is_corrupt.sum()), int(bleeding.sum()), int((is_corrupt & bleeding).sum()))


def _side(picture: np.ndarray) -> int:
    """Side of a square picture or of the slices of a stack."""
    if picture.ndim not in (2, 3) or picture.shape[-1] != picture.shape[-2] or not picture.size:
        raise ValueError(
            f"A square (y, x) or (z, y, x) picture is needed, so that nothing is distorted; got {picture.shape}."
            " Use pad_or_crop first."
        )
    return picture.shape[-1]


def _lesions_and_tissue(
    mask: np.ndarray, tissue: np.ndarray | None, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Both as bool of the picture's shape; every slice with a lesion has some tissue beside it."""
    mask = np.asarray(mask, bool)
    tissue = np.ones(shape, bool) if tissue is None else np.asarray(tissue, bool)
    if mask.shape != shape or tissue.shape != shape:
        raise ValueError(f"Masks must have the picture's shape {shape}; got {mask.shape} and {tissue.shape}.")
    if not mask.any():
        raise ValueError("The mask is empty, so there is no lesion to follow. Pass slices with blood.")
    if (mask.any(axis=(-2, -1)) & ~(tissue & ~mask).any(axis=(-2, -1))).any():
        raise ValueError("A slice holds no tissue beside its lesion to compare it with; check the mask.")
    return mask, tissue


def _iterate_lesions(
    planes: np.ndarray, masks: np.ndarray, tissue: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The slice, the lesion and its surroundings, each (y, x), for every connected piece of every slice."""
    for plane, mask, around in zip(planes, masks, tissue, strict=True):
        count, piece = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        for number in range(1, count):
            yield plane, piece == number, _surroundings(piece == number, mask, around)


def _surroundings(piece: np.ndarray, mask: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """Tissue close to one lesion and in none; all tissue in none where there is nothing close."""
    close = cv2.dilate(piece.astype(np.uint8), np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)).astype(bool)
    free = tissue & ~mask
    return close & free if (close & free).any() else free


def _unresolved_detail(planes: np.ndarray, size: int) -> np.ndarray:
    """(z, y, x) without all that size x size pixels could show: waves shorter than two new pixels along y or x."""
    wave = np.abs(np.fft.fftfreq(planes.shape[-1]))  # cycles per pixel
    fine = wave > size / (2 * planes.shape[-1]) + 1e-9
    return np.fft.ifft2(np.fft.fft2(planes) * (fine[:, None] | fine)).real


def _spread(values: np.ndarray, groups: np.ndarray) -> float:
    """5th to 95th percentile of `values` within each group of equal `groups`, mean over all pixels."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    groups_of_values = np.split(values[order], starts)
    return float(sum(len(part) * np.ptp(np.percentile(part, _MIDDLE)) for part in groups_of_values) / values.size)


def _overlap(length: int, size: int) -> tuple[slice, slice]:
    """Where a centered line of `length` pixels lies in itself and in a line of `size`."""
    overlap = min(length, size)
    first, place = (length - overlap) // 2, (size - overlap) // 2
    return slice(first, first + overlap), slice(place, place + overlap)


def _share_lost(mask: np.ndarray | None, shape: tuple[int, ...], inside: tuple) -> float | None:
    """Share of a mask outside of `inside`; 0 of an empty one."""
    if mask is None:
        return None
    if mask.shape != shape:
        raise ValueError(f"A mask must have the picture's shape {shape}; got {mask.shape}.")
    total = np.count_nonzero(mask)
    return 1 - np.count_nonzero(mask[inside]) / total if total else 0.0


def _ends(hu: np.ndarray, windows: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """(z,) HU that become black and white of each slice: its extremes within its own window."""
    if hu.ndim != 3 or len(windows) != len(hu) or not all(width > 0 for _, width in windows):
        raise ValueError(f"One window of positive width a slice is needed; got {len(windows)} for {hu.shape} HU.")
    level, width = np.array(windows, float).T
    low, high = level - width / 2, level + width / 2
    return np.clip(hu.min(axis=(1, 2)), low, high), np.clip(hu.max(axis=(1, 2)), low, high)


def _readable(pictures: Sequence[np.ndarray | None], labels: np.ndarray | None = None) -> list[np.ndarray]:
    """The pictures that could be decoded; an error if there is none, or not a label for each."""
    if labels is not None and len(labels) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures and {len(labels)} labels do not belong together.")
    readable = [picture for picture in pictures if picture is not None]
    if not readable:
        raise ValueError(f"Not one of the {len(pictures)} files could be read; check the folder.")
    return readable
