"""The one object everything else passes around: a head CT in Hounsfield units, and the only place that knows axes.

Two coordinate habits meet in a head CT. DICOM counts mm toward the patient's left, back and head (LPS); NIfTI counts
toward right, front and head (RAS). Files store their voxels in any of 48 orders. `from_file_grid` brings all of them
into one order on the way in, `to_file_grid` takes a mask back to the file's own order on the way out, and nothing in
between has to ask.
"""

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np

CANONICAL = "SPL"  # (z, y, x) run toward superior, posterior, left
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

AIR_HU = -1000.0  # by definition
LOWEST_HU, HIGHEST_HU = -1024, 3071  # twelve bits, as scanners store; what is not measured is stored as the lowest


@dataclass(frozen=True)
class Acquisition:
    """How a scan was made, by its header: only what tells whether it is a native head in HU, in words of our own.

    Attributes:
        modality: "CT", "other", or "" where the header does not say it, as also below.
        body_part: such as "head" or "chest".
        diameter_mm: of the circle that was reconstructed; None where it is not said.
        contrast: whether contrast agent was given.
        kernel: "soft" or "sharp".
        numbers: "HU"; "unspecified"; or "other", where the header says that they are no Hounsfield units.

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


UNTOLD = Acquisition()


@dataclass(frozen=True)
class Scan:
    """A head CT and its place in the patient.

    Axes run foot to head (z), front to back (y), patient's right to left (x), so `hu[k]` drawn with row 0 on
    top is the radiologist's view: nose up, patient's right on the viewer's left.

    Attributes:
        hu: (z, y, x) float32, Hounsfield units (air -1000, water 0).
        affine: (4, 4), voxel index (z, y, x, 1) to mm in DICOM patient axes (+x left, +y back, +z head).
        hu_known: False for a picture whose window nobody told: `hu` then holds gray levels laid over the brain
            window, good enough to look at, not to measure.
        spacing_known: False where the distances in `affine` are a placeholder. No mL and no scale bar then.
        orientation: the letters toward which the file's own axes (i, j, k) run, "LPS" for axial DICOM.
        notes: sentences of the reader for the person: what was assumed, dropped or looks odd.
        dicom: whether it came as DICOM slices that lie where `affine` has them, so that a mask can go back over them.
        window: (level, width) in HU that the file itself asks to be shown through; display only. None if the file has
            none.
        acquisition: how it was made; UNTOLD for files that do not say it.

    Raises:
        ValueError: for another shape, or an affine that is not finite or flat.

    See also:
        `read`, which makes a scan of files.

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
    acquisition: Acquisition = UNTOLD

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise ValueError(f"hu must be (z, y, x) with at least one voxel; got shape {self.hu.shape}.")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise ValueError(f"affine must be a finite (4, 4) matrix; got shape {self.affine.shape}.")
        if abs(np.linalg.det(self.affine[:3, :3])) < 1e-9:
            raise ValueError("affine is flat: two axes run the same way, so voxels have no volume.")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centers along (z, y, x), in mm."""
        dz, dy, dx = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(dz), float(dy), float(dx)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL: the determinant, since dz*dy*dx is 6 % too large at 20 degrees of gantry tilt."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000)

    def with_notes(self, *notes: str) -> "Scan":
        """The same scan with more sentences for the person."""
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
) -> Scan:
    """Bring voxels from a file's own order into (z, y, x).

    Args:
        values: (i, j, k) HU in the file's order.
        affine_ras: (4, 4), index (i, j, k, 1) to mm in NIfTI axes (+x right, +y front, +z head).
        spacing_known: as of `Scan`.
        notes: as of `Scan`.
        dicom: as of `Scan`.
        window: as of `Scan`.

    Returns:
        The scan; its `orientation` remembers the file's order. Oblique axes go to their nearest anatomical one.

    Raises:
        ValueError: if `affine_ras` maps two axes to one direction.
    """
    letters = nib.aff2axcodes(affine_ras)
    if None in letters:
        raise ValueError("the affine is flat: two of its axes run the same way, so left and right cannot be told.")
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
    )


def canonical_affine(affine_ras: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The affine of `Scan` for a file of (i, j, k) `shape` whose axes NIfTI's (4, 4) `affine_ras` tells."""
    turn = _turn("".join(nib.aff2axcodes(affine_ras)), CANONICAL)
    return LPS_TO_RAS @ affine_ras @ nib.orientations.inv_ornt_aff(turn, shape)


def to_file_grid(scan: Scan, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take (z, y, x) values of `scan` (a mask, heat) back to the order of the file it came from.

    Returns:
        (i, j, k) values and their (4, 4) affine in NIfTI axes, ready for `nibabel.Nifti1Image`.
    """
    turn = _turn(CANONICAL, scan.orientation)
    affine_ras = LPS_TO_RAS @ scan.affine @ nib.orientations.inv_ornt_aff(turn, values.shape)
    return np.ascontiguousarray(nib.apply_orientation(values, turn)), affine_ras


def axial_affine(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> np.ndarray:
    """Affine of an untilted scan of (z, y, x) `spacing_mm` whose middle voxel lies at the origin."""
    dz, dy, dx = spacing_mm
    affine = np.array([[0, 0, dx, 0], [0, dy, 0, 0], [dz, 0, 0, 0], [0, 0, 0, 1]], float)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _turn(start: str, end: str) -> np.ndarray:
    """nibabel's orientation transform between two letter orders."""
    return nib.orientations.ornt_transform(nib.orientations.axcodes2ornt(start), nib.orientations.axcodes2ornt(end))
