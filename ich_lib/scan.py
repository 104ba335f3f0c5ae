"""The central object of the library: a head CT in Hounsfield units. Only this module knows axes.

Head CT uses two coordinate systems. DICOM counts mm toward the patient's left, back and head (LPS). NIfTI counts toward
right, front and head (RAS). Files store their voxels in any of 48 orders. `from_file_grid` brings all of them into one
order, `to_file_grid` takes a mask back to the order of the file, and no other code needs to know.
"""

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np

CANONICAL = "SPL"  # (z, y, x) run toward superior, posterior, left
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

AIR_HU = -1000.0  # by definition
_AROUND = 3  # distances on either side that are used for the usual one
LOWEST_HU, HIGHEST_HU = -1024, 3071  # twelve bits, as in scanners; unmeasured voxels hold the lowest value


@dataclass(frozen=True)
class Acquisition:
    """How a scan was made, by its header: only the facts that show whether it is a native head CT in HU.

    Attributes:
        modality: "CT", "other", or "" if the header does not say. "" has the same meaning below.
        body_part: such as "head" or "chest".
        diameter_mm: of the reconstructed circle; None if the header does not say.
        contrast: whether contrast agent was given.
        kernel: "soft" or "sharp".
        numbers: "HU"; "unspecified"; or "other", if the header says that they are not Hounsfield units.

    Example:
        >>> from ich_lib.scan import Acquisition
        >>> Acquisition(body_part="chest").contrast
        False
    """

    modality: str = ""
    body_part: str = ""
    diameter_mm: float | None = None
    contrast: bool = False
    kernel: str = ""
    numbers: str = ""


UNKNOWN_ACQUISITION = Acquisition()


@dataclass(frozen=True)
class Scan:
    """A head CT and its place in the patient.

    The axes run foot to head (z), front to back (y), patient's right to left (x). So `hu[k]` with row 0 on top is the
    radiologist's view: nose up, patient's right on the viewer's left.

    Attributes:
        hu: (z, y, x) float32, Hounsfield units (air -1000, water 0).
        affine: (4, 4), voxel index (z, y, x, 1) to mm in DICOM patient axes (+x left, +y back, +z head). If the slice
            spacing is uneven, its z column is the usual spacing, and slice k lies at index `places[k]`.
        hu_known: False for a picture whose window is not known. Then `hu` holds gray levels in the range of the brain
            window, for display and not for measuring.
        spacing_known: False if the distances in `affine` are a placeholder. Then there is no mL and no scale bar.
        orientation: the letters toward which the file's own axes (i, j, k) run, "LPS" for axial DICOM.
        notes: sentences of the reader for the user: what was assumed, what was dropped, what looks odd.
        dicom: whether the scan came as DICOM slices in the geometry of `affine`, so that a mask can be written for
            them.
        window: (level, width) in HU that the file suggests for display; display only. None if the file has none.
        places: (z,) position of each slice in steps of the z column, from 0 for the first; None if they are even: 0, 1,
            2.
        series: one line for each series of the files, in the order of their numbers; empty if the files have none.
        series_read: the number of the series that was read, from 1; 0 if the files have none.
        acquisition: how the scan was made; UNKNOWN_ACQUISITION if the files do not say.

    Raises:
        ValueError: for another shape, an affine that is not finite or is flat, or places that do not rise from 0.

    See also:
        `read`, which makes a scan from files.

    Example:
        >>> import numpy as np
        >>> from ich_lib import Scan
        >>> water = np.zeros((2, 3, 4), np.float32)
        >>> scan = Scan(water, affine=np.array([[0, 0, 1, 0], [0, 1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1.0]]))
        >>> scan.spacing_mm  # (z, y, x)
        (5.0, 1.0, 1.0)
        >>> round(scan.voxel_ml, 6)
        0.005
    """

    hu: np.ndarray
    affine: np.ndarray
    hu_known: bool = True
    spacing_known: bool = True
    orientation: str = "LPS"
    notes: tuple[str, ...] = ()
    dicom: bool = False
    window: tuple[float, float] | None = None
    places: np.ndarray | None = None
    series: tuple[str, ...] = ()
    series_read: int = 0
    acquisition: Acquisition = UNKNOWN_ACQUISITION

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise ValueError(f"hu must be (z, y, x) with at least one voxel; got shape {self.hu.shape}.")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise ValueError(f"affine must be a finite (4, 4) matrix; got shape {self.affine.shape}.")
        if abs(np.linalg.det(self.affine[:3, :3])) < 1e-9:
            raise ValueError("affine is flat: two axes run the same way, so voxels have no volume.")
        if self.places is not None and not _are_places(self.places, len(self.hu)):
            raise ValueError(f"places must rise from 0, one for each of the {len(self.hu)} slices; got {self.places}.")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centers along (z, y, x), in mm; along z the usual one if the slices are uneven."""
        dz, dy, dx = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(dz), float(dy), float(dx)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL: the determinant, since dz*dy*dx is 6 % too large at 20 degrees of gantry tilt."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000)

    @property
    def slabs(self) -> np.ndarray:
        """(z,) thickness of the slab of each slice, in steps of the z column: half-way to its neighbors."""
        return np.ones(len(self.hu)) if self.places is None else slab_widths(self.places)

    @property
    def slab_mm(self) -> np.ndarray:
        """(z,) the same in mm, perpendicular to the slices: less than their step if the gantry is tilted."""
        area_mm2 = np.linalg.norm(np.cross(self.affine[:3, 1], self.affine[:3, 2]))
        return self.slabs * float(abs(np.linalg.det(self.affine[:3, :3])) / area_mm2)

    @property
    def slice_ml(self) -> np.ndarray:
        """(z,) volume of one voxel in mL for each slice; equal to `voxel_ml` if the slices are even."""
        return self.slabs * self.voxel_ml

    @property
    def sides_mm(self) -> tuple[float | np.ndarray, float, float]:
        """Sides of the voxels along (z, y, x) in mm; along z there are (z,) of them if the slices are uneven."""
        dz, dy, dx = self.spacing_mm
        return dz if self.places is None else dz * self.slabs, dy, dx

    def volume_ml(self, mask: np.ndarray) -> float:
        """mL of a (z, y, x) bool mask, each slice with its own slab.

        Raises:
            ValueError: for another shape.

        Example:
            >>> import numpy as np
            >>> from ich_lib import Scan
            >>> affine = np.array([[0, 0, 10, 0], [0, 10, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1.0]])
            >>> scan = Scan(np.zeros((4, 2, 2), np.float32), affine, places=np.array([0, 1, 3, 4.0]))
            >>> scan.slab_mm.tolist()  # the two beside the gap reach half into it
            [5.0, 7.5, 7.5, 5.0]
            >>> scan.volume_ml(np.ones((4, 2, 2), bool))
            10.0
        """
        if mask.shape != self.hu.shape:
            raise ValueError(f"A mask must have the scan's shape, {self.hu.shape}; got {mask.shape}.")
        return float(np.count_nonzero(mask, axis=(1, 2)) @ self.slabs * self.voxel_ml)

    def with_notes(self, *notes: str) -> "Scan":
        """The same scan with more sentences for the user."""
        return replace(self, notes=self.notes + notes)

    def __repr__(self) -> str:
        z, y, x = self.hu.shape
        size = " x ".join(f"{mm:.2f}" for mm in self.spacing_mm) + " mm" if self.spacing_known else "spacing unknown"
        unit = "HU" if self.hu_known else "gray, HU unknown"
        return (
            f"Scan({z} x {y} x {x}, {size}, {self.hu.min():.0f} to {self.hu.max():.0f} {unit}, file {self.orientation})"
        )


def from_file_grid(
    values: np.ndarray,
    affine_ras: np.ndarray,
    *,
    spacing_known: bool = True,
    notes: tuple[str, ...] = (),
    dicom: bool = False,
    window: tuple[float, float] | None = None,
    places: np.ndarray | None = None,
) -> Scan:
    """Bring voxels from a file's own order into (z, y, x).

    Args:
        values: (i, j, k) HU in the file's order.
        affine_ras: (4, 4), index (i, j, k, 1) to mm in NIfTI axes (+x right, +y front, +z head).
        spacing_known: as of `Scan`.
        notes: as of `Scan`.
        dicom: as of `Scan`.
        window: as of `Scan`.
        places: (k,) positions of the slices along the file's third axis, as in `Scan`; only if that axis runs from foot
            to head.

    Returns:
        The scan; its `orientation` keeps the file's order. Each oblique axis becomes its nearest anatomical axis.

    Raises:
        ValueError: if `affine_ras` maps two axes to one direction, or places are given for another axis.
    """
    letters = nib.aff2axcodes(affine_ras)
    if None in letters:
        raise ValueError("the affine is flat: two of its axes run the same way, so left and right are not defined.")
    if places is not None and letters[2] != "S":
        raise ValueError(f"Places are of slices from foot to head; the third axis of this file runs to {letters[2]}.")
    turn = _turn("".join(letters), CANONICAL)
    hu = np.ascontiguousarray(nib.apply_orientation(values, turn), np.float32)
    return Scan(
        hu,
        canonical_affine(affine_ras, values.shape),
        spacing_known=spacing_known,
        orientation="".join(letters),
        notes=notes,
        dicom=dicom,
        window=window,
        places=places,
    )


def canonical_affine(affine_ras: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The affine of `Scan` for a file of (i, j, k) `shape` with NIfTI's (4, 4) `affine_ras`."""
    turn = _turn("".join(nib.aff2axcodes(affine_ras)), CANONICAL)
    return LPS_TO_RAS @ affine_ras @ nib.orientations.inv_ornt_aff(turn, shape)


def to_file_grid(scan: Scan, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring (z, y, x) values of `scan` (a mask, heat) back to the order of its file.

    Returns:
        (i, j, k) values and their (4, 4) affine in NIfTI axes, ready for `nibabel.Nifti1Image`. If the slices are
        uneven, the
        fits only the first: affine fits only the first: call `even_grid` before.
    """
    turn = _turn(CANONICAL, scan.orientation)
    affine_ras = LPS_TO_RAS @ scan.affine @ nib.orientations.inv_ornt_aff(turn, values.shape)
    return np.ascontiguousarray(nib.apply_orientation(values, turn)), affine_ras


def even_grid(scan: Scan, values: np.ndarray) -> tuple[Scan, np.ndarray]:
    """Put (z, y, x) values of uneven slices on an even grid, for file formats that need one.

    The step of the grid is the smallest usual distance, so that no slice is lost. Each slice of the grid is a copy of
    the nearest slice of the scan.

    Returns:
        A scan with even slices, and the values on its grid. Both are unchanged if the slices are even already.
    """
    if scan.places is None:
        return scan, values
    indices, step = nearest_slices(scan.places)
    affine = scan.affine @ np.diag([step, 1, 1, 1])
    return replace(scan, hu=scan.hu[indices], affine=affine, places=None, dicom=False), values[indices]


def nearest_slices(places: np.ndarray) -> tuple[np.ndarray, float]:
    """(n,) for each slice of an even grid the index of the nearest uneven slice, and the step of the grid.

    Args:
        places: (z,), as of `Scan`.
    """
    steps = np.sort(np.diff(places))
    step = float(steps[len(steps) // 10])  # a few slices that are closer than the rest do not make the grid finer
    grid = np.arange(round(float(places[-1]) / step) + 1) * step
    return np.abs(grid[:, None] - places).argmin(axis=1), step


def slab_widths(places: np.ndarray) -> np.ndarray:
    """(z,) width of the slab of each slice: half-way to its neighbors. The first and the last slab reach outward by the
    expected distance of the slices near them, and not by a gap beside them.

    Args:
        places: (z,) rising, two or more, in mm or steps; the widths have the same unit.
    """
    steps, expected = np.diff(places), expected_steps(np.diff(places))
    outer = np.minimum(steps, expected)[[0, -1]]
    reach = np.concatenate([outer[:1], steps, outer[1:]])
    return (reach[:-1] + reach[1:]) / 2


def expected_steps(steps: np.ndarray) -> np.ndarray:
    """(n,) the expected distance for each distance between slices: the median of up to three on either side.

    A gap differs from it. A series that continues with thicker slices does not.
    """
    if len(steps) == 1:
        return steps.astype(float)
    around = [np.delete(steps[max(k - _AROUND, 0) : k + _AROUND + 1], min(k, _AROUND)) for k in range(len(steps))]
    return np.array([np.sort(near)[len(near) // 2] for near in around], float)


def axial_affine(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> np.ndarray:
    """Affine of an untilted scan of (z, y, x) `spacing_mm` whose middle voxel is the origin."""
    dz, dy, dx = spacing_mm
    affine = np.array([[0, 0, dx, 0], [0, dy, 0, 0], [dz, 0, 0, 0], [0, 0, 0, 1]], float)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _turn(start: str, end: str) -> np.ndarray:
    """nibabel's transform between two orientations, given as letters."""
    return nib.orientations.ornt_transform(nib.orientations.axcodes2ornt(start), nib.orientations.axcodes2ornt(end))


def _are_places(places: np.ndarray, count: int) -> bool:
    return places.shape == (count,) and count > 1 and places[0] == 0 and bool((np.diff(places) > 0).all())
