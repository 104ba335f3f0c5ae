"""Corruptions: a scan made worse on purpose, together with its truth. There are ten, with five severities each.

`CORRUPTIONS` states what each one imitates and the strength of each severity, in HU, mm, degrees or JPEG quality. The
scheme follows Hendrycks and Dietterich 2019 (arXiv:1903.12261). A random draw depends on the seed and never on the
severity. So severity 3 is the same change as severity 2, but stronger.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ich_lib.case import Case
from ich_lib.prepare.head import BONE_HU
from ich_lib.prepare.window import WINDOWS, unwindow, window
from ich_lib.scan import AIR_HU, HIGHEST_HU, Scan

SEVERITIES = (1, 2, 3, 4, 5)
METAL_HU = HIGHEST_HU  # metal exceeds it
NOISE_PX = 0.7  # SD of the Gaussian that correlates CT noise
METAL_MM = 2.5  # radius of the rod
STREAK_AT_MM = 30.0  # streaks have their stated strength at this distance from the rod
_FWHM = math.sqrt(8 * math.log(2))  # of a Gaussian, in its SD
_POSES = 7  # copies of a moving head that are averaged
_VIEWS = 720  # directions over a full turn
_CORRELATION_DEG = 2.0  # errors of neighboring views are similar over about this angle


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
        unit: of the strengths, as it is written after the number.
        strengths: one for each of SEVERITIES, from mild to extreme.
        imitates: what happens to real scans, in a sentence.
        apply: (case, strength, generator) to the corrupted case.
    """

    unit: str
    strengths: tuple[float, ...]
    imitates: str
    apply: Callable[[Case, float, np.random.Generator], Case]

    def strength(self, severity: int) -> str:
        """The strength of a severity with its unit: "10 HU"."""
        return f"{self.strengths[severity - 1]:g} {self.unit}"


def corrupt(case: Case, name: str, severity: int, *, seed: int = 0) -> Case:
    """A scan under one corruption, with the truth of the corrupted scan.

    Args:
        case: scan and truth. Not changed.
        name: one of CORRUPTIONS.
        severity: 1 to 5; 0 gives `case` itself.
        seed: of the random numbers: noise, directions, places.

    Returns:
        The corrupted case. A note of the scan describes the corruption.

    Raises:
        ValueError: for another name or severity.
    """
    check_corruption(name)
    if severity not in (0, *SEVERITIES):
        raise ValueError(f"severity must be a whole number from 0 (unchanged) to 5; got {severity}.")
    if severity == 0:
        return case
    corruption = CORRUPTIONS[name]
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name)])
    # the shares of a phantom would not be corrupted with it
    plain = Case(case.scan, case.truth, case.labels, case.outlined)
    result = corruption.apply(plain, corruption.strengths[severity - 1], rng)
    note = f"Corrupted on purpose: {name}, {corruption.strength(severity)}."
    return replace(result, scan=result.scan.with_notes(note))


def check_corruption(name: str) -> None:
    """Refuse a name that is not in CORRUPTIONS."""
    if name not in CORRUPTIONS:
        raise ValueError(f"{name!r} is not a corruption; choose from {', '.join(CORRUPTIONS)}.")


def _with_planes(case: Case, planes: Iterable[np.ndarray], *, truth: np.ndarray | None = None) -> Case:
    """The case with other CT numbers, (z, y, x) or one slice after the other, and another truth if one is given."""
    hu = np.ascontiguousarray(np.stack(list(planes)), np.float32)
    return replace(case, scan=replace(case.scan, hu=hu), truth=case.truth if truth is None else truth)


def _noise(case: Case, sd_hu: float, rng: np.random.Generator) -> Case:
    """Added noise of this SD, smoothed in the plane by a Gaussian of NOISE_PX."""
    kernel, edge = cv2.getGaussianKernel(7, NOISE_PX), 3
    height, width = case.scan.hu.shape[1:]
    scale = np.float32(sd_hu / (kernel**2).sum())  # smoothing leaves an SD of the sum of squares, once for each axis

    def grain() -> np.ndarray:
        white = rng.standard_normal((height + 2 * edge, width + 2 * edge), np.float32)
        return cv2.sepFilter2D(white, -1, kernel, kernel)[edge:-edge, edge:-edge] * scale

    return _with_planes(case, (plane + grain() for plane in case.scan.hu))


def _blur(case: Case, fwhm_mm: float, rng: np.random.Generator) -> Case:
    """Each slice smoothed by a Gaussian of this full width at half its height."""
    _, dy, dx = case.scan.spacing_mm
    sd_mm = fwhm_mm / _FWHM

    def soft(plane: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(plane, (0, 0), sd_mm / dx, sigmaY=sd_mm / dy, borderType=cv2.BORDER_REPLICATE)

    return _with_planes(case, map(soft, case.scan.hu))


def _motion(case: Case, travel: float, rng: np.random.Generator) -> Case:
    """Each slice becomes the mean of the head along a straight line: `travel` mm and degrees from one end to the other.

    The middle of the line is the original position, so the truth stays.
    """
    moments = np.linspace(-0.5, 0.5, _POSES)

    def smeared(plane: np.ndarray) -> np.ndarray:
        angle, side = rng.uniform(0, 2 * math.pi), rng.choice([-1, 1])
        path = travel * math.sin(angle), travel * math.cos(angle)
        poses = [
            _shift_and_turn(plane, case.scan, degrees=t * side * travel, shift_mm=(t * path[0], t * path[1]))
            for t in moments
        ]
        return np.mean(poses, axis=0)

    return _with_planes(case, map(smeared, case.scan.hu))


def _rotation(case: Case, degrees: float, rng: np.random.Generator) -> Case:
    """Slices and truth turned clockwise, as seen, about the slice's center; air outside the slice."""
    rotated = [
        _shift_and_turn(blood.astype(np.float32), case.scan, degrees=degrees, outside=0.0) for blood in case.truth
    ]
    planes = (_shift_and_turn(plane, case.scan, degrees=degrees) for plane in case.scan.hu)
    return _with_planes(case, planes, truth=np.stack(rotated) >= 0.5)


def _shift_and_turn(
    plane: np.ndarray, scan: Scan, *, degrees: float, shift_mm: tuple[float, float] = (0, 0), outside: float = AIR_HU
) -> np.ndarray:
    """A slice turned clockwise about its center, then shifted by (y, x) mm; correct for oblong pixels too."""
    pixel_mm = np.array(scan.spacing_mm[:0:-1])  # x, y, as OpenCV counts
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    linear = np.array([[cos, -sin], [sin, cos]]) * pixel_mm / pixel_mm[:, None]
    size = plane.shape[::-1]
    center = (np.array(size) - 1) / 2
    shift = center - linear @ center + np.array(shift_mm[::-1]) / pixel_mm
    matrix = np.hstack([linear, shift[:, None]])
    return cv2.warpAffine(
        plane, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )


def _level(case: Case, offset_hu: float, rng: np.random.Generator) -> Case:
    """Every CT number too high or too low, at random."""
    return _with_planes(case, case.scan.hu + np.float32(offset_hu * rng.choice([-1, 1])))


def _width(case: Case, width_hu: float, rng: np.random.Generator) -> Case:
    """Contrast around the brain window's level: a picture of this width is read as if it were 80 HU wide."""
    level, width = WINDOWS["brain"]
    return _with_planes(case, (case.scan.hu - np.float32(level)) * np.float32(width / width_hu) + np.float32(level))


def _resolution(case: Case, pixel_mm: float, rng: np.random.Generator) -> Case:
    """Each slice averaged to pixels of this size and enlarged again. Pixels that are already larger do not change."""
    height, width = case.scan.hu.shape[1:]
    _, dy, dx = case.scan.spacing_mm
    rows, columns = (max(1, round(n * d / max(pixel_mm, d))) for n, d in ((height, dy), (width, dx)))
    if (rows, columns) == (height, width):
        return case
    small = (cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA) for plane in case.scan.hu)
    return _with_planes(case, (cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in small))


def _thickness(case: Case, times: float, rng: np.random.Generator) -> Case:
    """Slices averaged to fewer slices that are this many times thicker, starting at the foot.

    A thick voxel is blood if at least half of it is. A thick slice has the labels of all its slices. The remaining
    slices at the head's end form one slice.
    """
    share = _overlap(len(case.scan.hu), times)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.tensordot(share, values.astype(np.float32), 1)

    affine = case.scan.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (times - 1) / 2
    affine[:3, 0] *= times
    scan = replace(case.scan, hu=mean(case.scan.hu), affine=affine)
    is_held = share > 0
    labels = (is_held[:, :, None] & case.labels).any(axis=1)
    return Case(scan, mean(case.truth) >= 0.5 - 1e-6, labels, np.all(case.outlined | ~is_held, axis=1))


def _overlap(count: int, times: float) -> np.ndarray:
    """(thick, thin) float32, the part of each of `count` thin slices in each thick one; rows sum to 1."""
    thick = math.ceil(count / times - 1e-9)
    low, positions = np.arange(thick)[:, None] * times, np.arange(count)[None]
    part = np.clip(np.minimum(low + times, positions + 1) - np.maximum(low, positions), 0, None)
    part[part < 1e-9] = 0  # rounding errors of a slice that only touches
    return (part / part.sum(axis=1, keepdims=True)).astype(np.float32)


def _metal(case: Case, streak_hu: float, rng: np.random.Generator) -> Case:
    """A metal rod at a random place of the skull, through every slice, with streaks of this RMS at STREAK_AT_MM.

    In each view the ray through the rod is measured wrongly, because hardly a photon passes it. Filtered backprojection
    smears each error along its ray. Errors are drawn for each slice separately.
    """
    count, *shape = case.scan.hu.shape
    _, dy, dx = case.scan.spacing_mm
    bone = np.argwhere(case.scan.hu[count // 2] >= BONE_HU)
    row, column = bone[rng.integers(len(bone))] if len(bone) else np.array(shape) // 2
    y_mm, x_mm = np.meshgrid((np.arange(shape[0]) - row) * dy, (np.arange(shape[1]) - column) * dx, indexing="ij")
    far_mm = np.hypot(y_mm, x_mm).astype(np.float32)
    step_mm = min(dy, dx) / 2
    radii_mm = np.arange(int(max(far_mm.max(), STREAK_AT_MM) / step_mm) + 3) * step_mm
    response = view_response(radii_mm, pixel_mm=min(dy, dx))
    turn = (np.arctan2(y_mm, x_mm) % (2 * math.pi) * (_VIEWS / (2 * math.pi))).astype(np.float32)
    rod = np.clip((METAL_MM - far_mm) / min(dy, dx) + 0.5, 0, 1)

    def add_streaks(plane: np.ndarray) -> np.ndarray:
        polar = backproject(_view_errors(rng), response)
        at_distance = polar[round(STREAK_AT_MM / step_mm)]
        polar *= np.float32(streak_hu / np.sqrt((at_distance**2).mean()))
        closed = np.hstack([polar, polar[:, :1]])
        streaks = cv2.remap(closed, turn, far_mm / np.float32(step_mm), cv2.INTER_LINEAR)
        return (plane + streaks) * (1 - rod) + rod * np.float32(METAL_HU)

    return _with_planes(case, map(add_streaks, case.scan.hu))


def _view_errors(rng: np.random.Generator) -> np.ndarray:
    """(_VIEWS,) errors of mean zero, similar in neighboring views; opposite views see the same rays."""
    half = rng.standard_normal(_VIEWS // 2)
    spectrum = np.fft.fft(np.tile(half - half.mean(), 2))
    wave = np.fft.fftfreq(_VIEWS) * 2 * math.pi  # radians a view
    return np.fft.ifft(spectrum * np.exp(-((wave * _CORRELATION_DEG * _VIEWS / 360) ** 2) / 2)).real


def view_response(radii_mm: np.ndarray, *, pixel_mm: float) -> np.ndarray:
    """The effect of one view at points around a rod of METAL_MM, by their distance and direction.

    The chord through a disc, ramp-filtered: 1 if the ray meets the disc, 1 - |s| / sqrt(s^2 - R^2) at a distance s from
    it. It is averaged over a pixel, because it is infinite at the disc's edge.

    Args:
        radii_mm: (r,) distances from the rod's center.
        pixel_mm: the width of the average.

    Returns:
        (r, _VIEWS // 2 + 1) complex, its Fourier transform over the angle between point and view.

    Source:
        Kak and Slaney 1988, Principles of Computerized Tomographic Imaging, chapter 3.
    """
    angle = np.arange(_VIEWS) * (2 * math.pi / _VIEWS)
    across = radii_mm[:, None] * np.cos(angle)[None]
    antiderivative = lambda s: s - np.sign(s) * np.sqrt(np.clip(s * s - METAL_MM**2, 0, None))  # noqa: E731
    filtered = (antiderivative(across + pixel_mm / 2) - antiderivative(across - pixel_mm / 2)) / pixel_mm
    return np.fft.rfft(filtered, axis=1)


def backproject(errors: np.ndarray, response: np.ndarray) -> np.ndarray:
    """(r, views) float32: the mean over all views of their errors, smeared along their rays."""
    return (np.fft.irfft(np.fft.rfft(errors)[None] * response, len(errors), axis=1) / len(errors)).astype(np.float32)


def _jpeg(case: Case, quality: float, rng: np.random.Generator) -> Case:
    """Each slice exported as a JPEG of the brain window and read back: bone, fat and air saturate, as in any such
    export."""

    def exported(plane: np.ndarray) -> np.ndarray:
        gray = np.round(window(plane, *WINDOWS["brain"]) * 255).astype(np.uint8)
        _, code = cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
        back = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)
        return unwindow(back / 255, *WINDOWS["brain"])

    return _with_planes(case, map(exported, case.scan.hu))


CORRUPTIONS = {
    "noise": Corruption(
        "HU",  # SD; a full dose has 4 HU (Nakamura 2019), and noise doubles with a quarter of the dose
        (3, 6, 10, 15, 25),
        "A lower dose: added noise of this SD, correlated over about 0.7 pixels.",
        _noise,
    ),
    "blur": Corruption(
        "mm", (1, 2, 3, 4.5, 6), "A softer kernel: a Gaussian of this full width at half height.", _blur
    ),
    "motion": Corruption(
        "mm and degrees",
        (1, 2, 4, 7, 12),
        "A restless patient: the head drifts and turns by this much during every slice. Contours double; "
        "the streaks that real motion adds are missing.",
        _motion,
    ),
    "rotation": Corruption(
        "degrees", (5, 10, 20, 35, 60), "A head that is turned in the plane of the slice.", _rotation
    ),
    "level": Corruption(
        "HU",
        (3, 6, 10, 15, 25),
        "A scanner out of calibration, or a picture whose window's level is mistaken: all CT numbers off by this much, "
        "up or down.",
        _level,
    ),
    "width": Corruption(
        "HU wide",
        (90, 100, 120, 160, 240),
        "A picture whose window is wider than the usual 80 HU it is taken for: contrast shrinks around 40 HU.",
        _width,
    ),
    "resolution": Corruption(
        "mm pixels",
        (1.5, 2, 3, 4, 6),
        "A small picture stretched: slices averaged to pixels of this size.",
        _resolution,
    ),
    "thickness": Corruption(
        "times as thick",
        (1.2, 1.5, 2, 3, 4),
        "Thick slices: neighbors averaged, so that thin blood fades. 5 mm become 6 to 20 mm.",
        _thickness,
    ),
    "metal": Corruption(
        "HU",
        (5, 10, 20, 40, 80),
        "A metal rod of 5 mm in the skull, in every slice: streaks of this RMS 30 mm away from it.",
        _metal,
    ),
    "jpeg": Corruption(
        "% quality",
        (95, 80, 50, 25, 10),
        "A picture exported through the brain window as JPEG of this quality: bone and air are lost too.",
        _jpeg,
    ),
}
