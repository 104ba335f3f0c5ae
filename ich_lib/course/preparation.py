"""What each published way of preparing a picture does to a bleed, as a number.

Here: smaller pictures, and pictures padded or cropped to a fixed size. `ich_lib.course.contrast` has what is done to
gray values, `ich_lib.course.corrupt_files` what is done about files that cannot be read. Steps of the published systems
are rebuilt right where they were right; where they were a fault, they are re-enacted under a name that says so. Beside
each stands a comparison that returns numbers. `ich_lib.models.pictures` uses none of the faults.

The systems: 000 (U-Net + EfficientNetB4 + DenseNet169, 2024), 001 (small CNN + 3D U-Net, 2021), 002 (two U-Nets on
CT-ICH, 2021), 003 (U-Net on CT-ICH, 2025), 004 (five CNNs on RSNA, 2019).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

METHODS = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}
_REACH = 5  # pixels around a lesion that count as its surroundings
_MIDDLE = (5, 95)  # percentiles: the spread of a group without its outliers


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
    mask, tissue = lesions_and_tissue(mask, tissue, picture.shape)
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


def _side(picture: np.ndarray) -> int:
    """Side of a square picture or of the slices of a stack."""
    if picture.ndim not in (2, 3) or picture.shape[-1] != picture.shape[-2] or not picture.size:
        raise ValueError(
            f"A square (y, x) or (z, y, x) picture is needed, so that nothing is distorted; got {picture.shape}."
            " Use pad_or_crop first."
        )
    return picture.shape[-1]


def lesions_and_tissue(
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
            yield plane, piece == number, surroundings(piece == number, mask, around)


def surroundings(piece: np.ndarray, mask: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """Tissue close to one lesion and in none; all tissue in none where there is nothing close."""
    close = cv2.dilate(piece.astype(np.uint8), np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)).astype(bool)
    free = tissue & ~mask
    return close & free if (close & free).any() else free


def _unresolved_detail(planes: np.ndarray, size: int) -> np.ndarray:
    """(z, y, x) without all that size x size pixels could show: waves shorter than two new pixels along y or x."""
    wave = np.abs(np.fft.fftfreq(planes.shape[-1]))  # cycles per pixel
    fine = wave > size / (2 * planes.shape[-1]) + 1e-9
    return np.fft.ifft2(np.fft.fft2(planes) * (fine[:, None] | fine)).real


def spread(values: np.ndarray, groups: np.ndarray) -> float:
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
