"""NIfTI scans and masks of a table: headers at load, voxels when a slice is needed; the last volumes are kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy

from ich_lib.readers.hounsfield import ensure_hu
from ich_lib.readers.limits import check_size
from ich_lib.readers.nifti import read_nifti
from ich_lib.readers.nifti_place import declared_place
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.truth import SAME_PLACE_MM
from ich_lib.scan import canonical_affine, from_file_grid


@dataclass(frozen=True)
class FileGrid:
    """The geometry of a file, by its header.

    Attributes:
        shape: (i, j, k), the file's own order.
        affine_ras: (4, 4), index (i, j, k, 1) to mm in NIfTI axes.
        has_orientation: whether the file states it (a sform or qform code); without, nibabel's default is only a guess.
        steps_mm: (3, 3), the step in mm to the next voxel along z, y and x (its columns) in the axes of `Scan`; NaN if
            the file does not state the size of its voxels.
    """

    shape: tuple[int, int, int]
    affine_ras: np.ndarray
    has_orientation: bool
    steps_mm: np.ndarray

    @property
    def slices(self) -> int:
        """The number of slices from foot to head."""
        return self.shape[self._along]

    @property
    def is_foot_to_head(self) -> bool:
        """Whether the file counts its slices from foot to head, like LAS and RAS; LPI counts from the head."""
        return self.letters[self._along] == "S"

    @cached_property
    def letters(self) -> tuple[str, str, str]:
        """The directions of i, j and k, such as ("L", "A", "S")."""
        return nib.aff2axcodes(self.affine_ras)

    @property
    def _along(self) -> int:
        return self.letters.index("S" if "S" in self.letters else "I")

    def matches(self, other: "FileGrid") -> bool:
        """Whether a mask with grid `other` fits on this one: the same shape and, if the mask states its place, the same
        place."""
        if self.shape != other.shape:
            return False
        ends = np.diag([*self.shape, 1.0])
        ends[3] = 1  # the far end of each axis, and the origin
        apart_mm = np.abs((self.affine_ras - other.affine_ras) @ ends).max()
        return not other.has_orientation or bool(apart_mm < SAME_PLACE_MM)


def read_grid(path: Path) -> FileGrid:
    """Read the header only.

    Raises:
        ReadError: if it cannot be read, is not one volume, is flat, or its file is shorter than it promises (in a
            gzipped file this appears only when its voxels are read).
    """
    with refuse_damaged(path.name):
        image = _opened(path)
        header = image.header
        shape = tuple(int(size) for size in header.get_data_shape())
        affine = header.get_best_affine()
        stored = cast(ArrayProxy, image.dataobj)  # a loaded image is one
        promised = stored.offset + math.prod(shape) * header.get_data_dtype().itemsize
        placed = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
        declared = declared_place(header)
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        raise ReadError(f"{path.name} holds {' x '.join(map(str, shape))} values; a scan is one volume of three axes.")
    if not np.isfinite(affine).all() or None in nib.aff2axcodes(affine):
        raise ReadError(f"{path.name} does not say how the head lies: its affine is flat or not finite.")
    if path.suffix == ".nii" and path.stat().st_size < promised:
        raise ReadError(f"{path.name} is cut short: it promises {promised:,} bytes. Copy it again.")
    size = shape[0], shape[1], shape[2]
    steps_mm = np.full((3, 3), np.nan)
    if declared.spacing_known:
        steps_mm = canonical_affine(declared.affine_ras, size)[:3, :3]
    result = FileGrid(size, affine, placed, steps_mm)
    spans = dict(zip(result.letters, size, strict=True))
    rows, columns = (spans.get(a, spans.get(b, 0)) for a, b in ("AP", "LR"))
    check_size(path.name, result.slices, rows, columns)
    return result


def _opened(path: Path) -> nib.Nifti1Pair:
    image = nib.load(path)
    if not isinstance(image, nib.Nifti1Pair):  # the parent class of all forms of NIfTI
        raise ValueError("not a NIfTI file")
    return image


def hu_volume(path: Path) -> np.ndarray:
    """(z, y, x) float32 HU in the canonical order of `ich_lib.scan`."""
    return ensure_hu(read_nifti(Piece(path), as_declared=True), path.name).hu


def mask_volume(path: Path, scan: FileGrid) -> np.ndarray:
    """(z, y, x) uint8 mask values on the grid of its scan; values that are not numbers become 0.

    Raises:
        ReadError: if it cannot be read.
    """
    with refuse_damaged(path.name):
        values = np.nan_to_num(np.asarray(_opened(path).dataobj)).reshape(scan.shape)
        values = np.clip(np.round(values), 0, 255).astype(np.uint8)
    return from_file_grid(values, scan.affine_ras).hu.astype(np.uint8)


class Volumes:
    """The volumes read last, so that a scan read slice by slice is opened and decompressed once."""

    def __init__(self, keep: int = 2):
        self._keep = keep
        self._cache: tuple[tuple[Path, np.ndarray], ...] = ()

    def get(self, path: Path, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        """The volume of `path`; `read` is called if it is not in the cache. Do not write into it."""
        for name, volume in self._cache:
            if name == path:
                return volume
        volume = read(path)
        self._cache = ((path, volume), *self._cache[: self._keep - 1])
        return volume
