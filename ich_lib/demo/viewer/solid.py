"""The 3D view: what its surfaces are drawn from, as values that JSON can carry. Nothing outside the skull is sent.

Each surface is the border of a field: a grid of levels of 255, of which those from ISO on are inside. The browser's
library (three.js) draws that border by marching cubes.
"""

import zlib
from pathlib import Path

import cv2
import numpy as np

from ich_lib.demo.viewer.packing import deflate, unpack_blood
from ich_lib.prepare.anatomy import Cavity, find_cavity
from ich_lib.scan import Scan

ISO = 127.5
BRAIN_MM, BLOOD_MM = 2.0, 1.5  # of a field's voxels
MOST_VOXELS = 1_200_000  # of a field; more make its voxels larger
_CSF_HU, _BRAIN_HU = 5.0, 25.0  # from no brain to all brain
_PAD = 3  # voxels of nothing around a field: the library skips the outermost
_ASIDE_MM = 10.0  # from the middle of the cavity: nearer is in the middle
_SIDES = (("right", "left"), ("front", "back"), ("feet", "head"))  # ends of the patient's axes, in words of page.toml


LIBRARY = Path(__file__).with_name("three.min.js")


def library_text() -> str:
    """The browser's library, base64 of deflated bytes. It travels with the first answer and not with the page."""
    return deflate(np.frombuffer(LIBRARY.read_bytes(), np.uint8), zlib.Z_DEFAULT_STRATEGY)


def shown_mask(picture: dict, threshold: float | None) -> np.ndarray | None:
    """(z, rows, columns) bool, the mask as the viewer has it; None if nothing is believed, or the model draws none.

    Args:
        picture: what the viewer shows, as `ich_lib.demo.viewer.payload` makes it.
        threshold: in 255ths; None, or what is none, for the model's own.
    """
    if picture["blood"] is None or not picture["report"]["has_mask"]:
        return None
    threshold_byte = threshold if threshold is not None and 1 <= threshold <= 255 else picture["threshold"]
    rows, columns = picture["rows"], picture["columns"]
    return np.stack([unpack_blood(levels, rows, columns) >= threshold_byte for levels in picture["blood"]])


def solid_payload(scan: Scan, blood: np.ndarray | None, truth: np.ndarray | None = None) -> dict:
    """Brain, blood and truth inside the skull.

    Args:
        scan: as it was read.
        blood: (z, y, x) bool mask of the model, which may have fewer pixels; None if nothing is believed.
        truth: (z, y, x) bool; None if it is not known.

    Returns:
        `why`, the key of a sentence of page.toml, where there is nothing to show. Else `surfaces`, each with `name`,
        `size` (z, y, x), `field` (base64 of deflated bytes) and `matrix` (16 numbers, row by row, from x, y, z of a
        voxel to mm in DICOM patient axes from the middle of the cavity); `outside`, the share of the mask that is
        outside the skull and not shown; and `sides`, where the middle of the mask lies.

    Example:
        >>> from ich_lib import phantom
        >>> case = phantom(1, bleeds=["epidural"], slices=12, pixels=128)
        >>> shown = solid_payload(case.scan, case.truth)
        >>> [surface["name"] for surface in shown["surfaces"]], shown["sides"]
        (['brain', 'blood'], ['right', 'back'])
    """
    if not scan.spacing_known or len(scan.hu) == 1:
        return {"why": "plane_one" if len(scan.hu) == 1 else "plane_off"}
    cavity = find_cavity(scan)
    if cavity is None:
        return {"why": "solid_no_cavity"}
    middle_mm = _middle_mm(scan, cavity, cavity.mask)
    shares = {"brain": (_brain(scan, cavity), BRAIN_MM)}
    for name, mask in (("blood", blood), ("truth", truth)):
        if mask is not None and mask.any():
            shares[name] = (_on_grid(mask.astype(np.float32), cavity), BLOOD_MM)
    fields = (_field(name, share, cavity, scan, middle_mm, step_mm) for name, (share, step_mm) in shares.items())
    content = {"surfaces": [field for field in fields if field], "outside": 0.0, "sides": []}
    if "blood" in shares:
        share = shares["blood"][0]
        inside, whole = ((values.sum(axis=(1, 2)) @ scan.slabs) for values in (share * cavity.mask, share))
        content["outside"] = float(1 - inside / whole)
        content["sides"] = _sides(_middle_mm(scan, cavity, share * cavity.mask) - middle_mm) if inside else []
    return content


def _brain(scan: Scan, cavity: Cavity) -> np.ndarray:
    """(z, rows, columns) how much of each pixel of the cavity is denser than the fluid around the brain."""
    hu = _on_grid(scan.hu, cavity)
    smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5 / min(cavity.sides_mm)) for plane in hu])
    return np.clip((smooth - _CSF_HU) / (_BRAIN_HU - _CSF_HU), 0, 1)


def _on_grid(values: np.ndarray, cavity: Cavity) -> np.ndarray:
    """(z, y, x) values as means on the pixels of the cavity."""
    rows, columns = cavity.mask.shape[1:]
    return np.stack([cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA) for plane in values])


def _edges(scan: Scan) -> np.ndarray:
    """(z + 1,) where the slabs of the slices begin and end, in steps of the z column."""
    places = np.arange(len(scan.hu), dtype=float) if scan.places is None else scan.places
    middles = (places[1:] + places[:-1]) / 2
    return np.concatenate([[2 * places[0] - middles[0]], middles, [2 * places[-1] - middles[-1]]])


def _to_mm(scan: Scan, rows: int, columns: int) -> np.ndarray:
    """(4, 4) from place, row and column of a coarser grid of pixels to mm."""
    _, y, x = scan.hu.shape
    coarse = np.diag([1.0, y / rows, x / columns, 1.0])
    coarse[1:3, 3] = (y / rows - 1) / 2, (x / columns - 1) / 2
    return scan.affine @ coarse


def _middle_mm(scan: Scan, cavity: Cavity, weights: np.ndarray) -> np.ndarray:
    """(3,) the middle of weights on the cavity's pixels, in mm."""
    edges, (_, rows, columns) = _edges(scan), weights.shape
    weights = weights * np.diff(edges)[:, None, None]
    axes = ((edges[1:] + edges[:-1]) / 2, np.arange(rows), np.arange(columns))
    others = ((1, 2), (0, 2), (0, 1))
    middle = [np.average(axis, weights=weights.sum(axis=other)) for axis, other in zip(axes, others, strict=True)]
    return (_to_mm(scan, rows, columns) @ [*middle, 1])[:3]


def _sides(away_mm: np.ndarray) -> list[str]:
    """The ends of the patient's axes toward which that lies."""
    return [ends[int(mm > 0)] for mm, ends in zip(away_mm, _SIDES, strict=True) if abs(mm) >= _ASIDE_MM]


def _field(
    name: str, share: np.ndarray, cavity: Cavity, scan: Scan, middle_mm: np.ndarray, step_mm: float
) -> dict | None:
    """A surface around a (z, rows, columns) share of the cavity's pixels; None if nothing of it is inside."""
    share = share * cavity.mask
    window = _bounds(share)
    if window is None:
        return None
    rows, columns = (edge.stop - edge.start for edge in window[1:])
    edges = _edges(scan)[window[0].start : window[0].stop + 1]
    tall_mm = float(edges[-1] - edges[0]) * scan.spacing_mm[0]
    sizes_mm = (tall_mm, rows * cavity.sides_mm[0], columns * cavity.sides_mm[1])
    step_mm *= max(float(np.prod(sizes_mm)) / step_mm**3 / MOST_VOXELS, 1.0) ** (1 / 3)
    size = tuple(max(round(mm / step_mm), 1) for mm in sizes_mm)
    coarse, inside = (_resized(part[window], edges, size) for part in (share, cavity.mask))
    thick = tall_mm / len(share[window]) / step_mm
    levels = _levels(coarse, inside >= 0.5, 0.6 * max(thick, 1.4))
    return {
        "name": name,
        "size": list(levels.shape),
        "matrix": _matrix(scan, cavity, window, edges, size, middle_mm).ravel().tolist(),
        "field": deflate(levels, zlib.Z_DEFAULT_STRATEGY),
    }


def _bounds(share: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest box around what is not zero."""
    spans = [np.flatnonzero(share.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not spans[0].size:
        return None
    z, y, x = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    return z, y, x


def _resized(values: np.ndarray, edges: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(z, y, x) slabs with these edges as means on an even grid of that size, with a rim of zeros."""
    wide_tall = size[:0:-1]
    planes = np.stack(
        [cv2.resize(plane, wide_tall, interpolation=cv2.INTER_AREA) for plane in values.astype(np.float32)]
    )
    cuts = np.linspace(edges[0], edges[-1], size[0] + 1)
    overlap = np.minimum(cuts[1:, None], edges[None, 1:]) - np.maximum(cuts[:-1, None], edges[None, :-1])
    weights = np.clip(overlap, 0, None) / np.diff(cuts)[:, None]
    even = weights.astype(np.float32) @ planes.reshape(len(planes), -1)
    return np.pad(even.reshape(size), _PAD)


def _levels(share: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """(z, y, x) uint8 levels: a smooth share, as large from ISO on as it was before, and zero outside the skull.

    Zero is so low that no border lies nearer to a voxel outside than to its neighbor inside.
    """
    share = share * inside
    smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), 0.8) for plane in share])
    flat = cv2.GaussianBlur(smooth.reshape(len(smooth), -1), (1, 2 * round(3 * sigma) + 1), 0, sigmaY=sigma)
    smooth = flat.reshape(share.shape) * inside
    values = np.sort(smooth[inside])
    count = min(max(round(float(share.sum())), 1), len(values))
    cut, top = max(float(values[-count]), 1e-6), max(float(values[-1]), 1e-3)
    levels = np.where(smooth < cut, 127 * smooth / cut, 128 + 127 * (smooth - cut) / max(top - cut, 1e-6))
    return np.clip(levels, 0, 255).astype(np.uint8) * inside


def _matrix(
    scan: Scan,
    cavity: Cavity,
    window: tuple[slice, slice, slice],
    edges: np.ndarray,
    size: tuple[int, ...],
    middle_mm: np.ndarray,
) -> np.ndarray:
    """(4, 4) from x, y, z of a field's voxel to mm from the middle."""
    _, rows, columns = cavity.mask.shape
    spans = (float(edges[-1] - edges[0]), window[1].stop - window[1].start, window[2].stop - window[2].start)
    starts = (float(edges[0]), window[1].start - 0.5, window[2].start - 0.5)
    steps = [span / count for span, count in zip(spans, size, strict=True)]
    to_place = np.diag([*steps, 1.0])
    to_place[:3, 3] = [start + (0.5 - _PAD) * step for start, step in zip(starts, steps, strict=True)]
    matrix = _to_mm(scan, rows, columns) @ to_place
    matrix[:3, 3] -= middle_mm
    return matrix[:, [2, 1, 0, 3]]
