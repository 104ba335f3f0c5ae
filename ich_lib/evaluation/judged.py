"""The result of one scan as in the demo, compared with its truth: the basis of every figure, without pixels."""

from dataclasses import dataclass, replace

import numpy as np

from ich_lib.case import Case
from ich_lib.data import Table
from ich_lib.evaluation.bright_blob import bright_blobs
from ich_lib.labels import ANY
from ich_lib.measures.report import Facts
from ich_lib.measures.surface import hd95_mm, surface_dice
from ich_lib.measures.volume import abc2_ml, soft_voxels
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.calibration import Calibration, Evidence, peak_evidence
from ich_lib.prediction.engine import Models
from ich_lib.scan import Scan, axial_affine

FIELD_OF_VIEW_MM, THICKNESS_MM = 230.0, 5.0  # of a head CT, assumed if a set does not state its spacing
TOLERANCE_MM = 2.0  # of the surface Dice: the outlines of CT-ICH are coarse polygons, in places several pixels off


@dataclass(frozen=True)
class JudgedScan:
    """The truth and the prediction of a scan.

    Attributes:
        patient, scan: the patient and the acquisition.
        fold: the fold in which it was held out; None without folds.
        facts: age in years, sex, fracture, if the set has them.
        labels: (z, 6) bool truth.
        outlined: (z,) bool, slices with a known outline; the counts below are 0 elsewhere.
        side_px: pixels of a slice.
        true_px, mask_px, shared_px: (z,) pixels of blood in the truth, in the mask, and in both.
        evidence: the output of the models.
        scores: (z, 6) score of each slice.
        scan_scores: (6,) of the scan.
        pixel_mm: (z, y, x) size of a voxel, assumed if the files do not state it.
        hd95_mm, surface_dice: of the whole scan; None for a scan without blood, without a mask, or with slices without
            outline.
        soft_px: (z,) sum of the pixels' probabilities of blood (`volume.soft_voxels`).
        abc2_ml, true_abc2_ml: ABC/2 of the mask and of the truth on outlined slices; None for a part of a scan.
        spacing_known: whether `pixel_mm` comes from the files.
        slabs: (z,) thickness of each slice in slice distances, `Scan.slabs`; None if all are 1.
        tilt_cosine: volume of a voxel relative to the product of `pixel_mm`: the cosine of the gantry's tilt.
        slice_heights: (z,) height of each slice in its scan, 0 lowest and 1 highest; None if they are evenly spaced.
        blob_px, blob_shared_px: (z,) pixels of the largest bright blob (`bright_blob`), and those of them that are
            blood; None if not measured.
    """

    patient: str
    scan: str
    fold: int | None
    facts: Facts
    labels: np.ndarray
    outlined: np.ndarray
    side_px: int
    true_px: np.ndarray
    mask_px: np.ndarray
    shared_px: np.ndarray
    evidence: Evidence
    scores: np.ndarray
    scan_scores: np.ndarray
    pixel_mm: tuple[float, float, float]
    hd95_mm: float | None
    surface_dice: float | None
    soft_px: np.ndarray | None = None
    abc2_ml: float | None = None
    true_abc2_ml: float | None = None
    spacing_known: bool = False
    tilt_cosine: float = 1.0
    slabs: np.ndarray | None = None
    slice_heights: np.ndarray | None = None
    blob_px: np.ndarray | None = None
    blob_shared_px: np.ndarray | None = None

    @property
    def heights(self) -> np.ndarray:
        """(z,) height of each slice in its scan, 0 lowest and 1 highest."""
        return np.linspace(0, 1, len(self.labels)) if self.slice_heights is None else self.slice_heights

    @property
    def has_mask(self) -> bool:
        """Whether a mask was drawn."""
        return self.evidence.mask is not None

    @property
    def bleeding(self) -> np.ndarray:
        """(z,) bool, slices whose outline holds blood."""
        return self.outlined & (self.true_px > 0)

    @property
    def slice_dice(self) -> np.ndarray:
        """(z,) Dice of each slice; two empty masks give 1."""
        total_px = self.true_px + self.mask_px
        return np.where(total_px > 0, 2 * self.shared_px / np.maximum(total_px, 1), 1.0)

    @property
    def slice_iou(self) -> np.ndarray:
        """(z,) intersection over union of the blood in each slice; two empty masks give 1."""
        union = self.true_px + self.mask_px - self.shared_px
        return np.where(union > 0, self.shared_px / np.maximum(union, 1), 1.0)

    @property
    def background_iou(self) -> np.ndarray:
        """(z,) the same for the background."""
        union = self.true_px + self.mask_px - self.shared_px
        clean = self.side_px - union
        return clean / np.maximum(self.side_px - self.shared_px, 1)

    @property
    def pixel_accuracy(self) -> np.ndarray:
        """(z,) share of the correct pixels of each slice."""
        return 1 - (self.true_px + self.mask_px - 2 * self.shared_px) / self.side_px

    def without_mask(self) -> "JudgedScan":
        """The same scan with empty masks."""
        zeros = np.zeros_like(self.mask_px)
        return replace(self, mask_px=zeros, shared_px=zeros)

    @property
    def subject_dice(self) -> float | None:
        """Mean Dice over the slices that contain blood (Hssayeni et al. 2020); None for a scan without."""
        return float(self.slice_dice[self.bleeding].mean()) if self.has_mask and self.bleeding.any() else None

    @property
    def blob_dice(self) -> float | None:
        """`subject_dice` of the largest bright blob instead of the mask; None for a scan without blood."""
        if self.blob_px is None or self.blob_shared_px is None or not self.bleeding.any():
            return None
        dice = 2 * self.blob_shared_px / np.maximum(self.true_px + self.blob_px, 1)
        return float(dice[self.bleeding].mean())

    @property
    def scan_dice(self) -> float:
        """Dice of the whole scan as one volume; two empty masks give 1."""
        total_px = int(self.true_px.sum() + self.mask_px[self.outlined].sum())
        return 2 * int(self.shared_px.sum()) / total_px if total_px else 1.0

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in mL, for evenly spaced slices."""
        return float(np.prod(self.pixel_mm)) * self.tilt_cosine / 1000

    @property
    def slice_ml(self) -> np.ndarray:
        """(z,) volume of a voxel in mL for each slice."""
        return self.voxel_ml * (np.ones(len(self.true_px)) if self.slabs is None else self.slabs)

    @property
    def true_ml(self) -> float:
        """mL of the outlined blood."""
        return float(self.true_px @ self.slice_ml)

    @property
    def mask_ml(self) -> float:
        """mL of the mask on outlined slices."""
        return float((self.mask_px * self.outlined) @ self.slice_ml)

    @property
    def soft_ml(self) -> float | None:
        """mL of the sum of probabilities on outlined slices."""
        return None if self.soft_px is None else float((self.soft_px * self.outlined) @ self.slice_ml)

    def take_slices(self, is_kept: np.ndarray) -> "JudgedScan":
        """Only some slices of the scan, (z,) bool. Its score and truth are those of these slices; measures of the whole
        scan (surfaces, ABC/2) are dropped."""
        mask, classes = self.evidence.mask, self.evidence.classes
        return replace(
            self,
            labels=self.labels[is_kept],
            outlined=self.outlined[is_kept],
            true_px=self.true_px[is_kept],
            mask_px=self.mask_px[is_kept],
            shared_px=self.shared_px[is_kept],
            evidence=Evidence(None if mask is None else mask[is_kept], None if classes is None else classes[is_kept]),
            scores=self.scores[is_kept],
            scan_scores=peak_evidence(self.scores[is_kept]),
            hd95_mm=None,
            surface_dice=None,
            soft_px=None if self.soft_px is None else self.soft_px[is_kept],
            slabs=None if self.slabs is None else self.slabs[is_kept],
            abc2_ml=None,
            true_abc2_ml=None,
            slice_heights=self.heights[is_kept],
            blob_px=None if self.blob_px is None else self.blob_px[is_kept],
            blob_shared_px=None if self.blob_shared_px is None else self.blob_shared_px[is_kept],
        )

    def rescore(self, calibration: Calibration) -> "JudgedScan":
        """The same scan with scores from a calibration."""
        return replace(
            self,
            scores=calibration.slice_scores(self.evidence),
            scan_scores=calibration.scan_scores(self.evidence),
        )


def judge(table: Table, rows: np.ndarray, models: Models, *, fold: int | None = None) -> JudgedScan:
    """Analyze one scan exactly as the demo does, and compare it with its truth.

    Args:
        table: the data set.
        rows: row numbers of one scan, foot to head.
        models: the models to evaluate.
        fold: the fold in which the scan was held out.

    Raises:
        ValueError: if a file cannot be read; the message names it.
    """
    return judge_scan(
        table_scan(table, rows),
        table_truth(table, rows),
        table.labels[rows],
        models,
        patient=str(table.patient[rows[0]]),
        name=str(table.scan[rows[0]]),
        outlined=table.outlined[rows],
        fold=fold,
        facts=_facts(table, rows),
    )


def judge_scan(
    scan: Scan,
    truth: np.ndarray,
    labels: np.ndarray,
    models: Models,
    *,
    patient: str,
    name: str,
    outlined: np.ndarray | None = None,
    fold: int | None = None,
    facts: Facts | None = None,
    distances: bool = True,
) -> JudgedScan:
    """Analyze a scan exactly as the demo does, and compare it with its truth.

    Args:
        scan: the head CT.
        truth: (z, y, x) bool, blood.
        labels: (z, 6) bool in the order of LABELS.
        models: the models to evaluate.
        patient: the name of the patient.
        name: of the acquisition.
        outlined: (z,) bool, slices with a known `truth`; None for all.
        fold: the fold in which the scan was held out.
        facts: age in years, sex, fracture, if they are known.
        distances: also measure `hd95_mm`, `surface_dice` and the bright blobs, which takes longer.
    """
    return judge_result(
        analyze(scan, models),
        truth,
        labels,
        patient=patient,
        name=name,
        outlined=outlined,
        fold=fold,
        facts=facts,
        distances=distances,
    )


def judge_result(
    result: Result,
    truth: np.ndarray,
    labels: np.ndarray,
    *,
    patient: str,
    name: str,
    outlined: np.ndarray | None = None,
    fold: int | None = None,
    facts: Facts | None = None,
    distances: bool = True,
) -> JudgedScan:
    """The same for a scan that has been analyzed; arguments as in `judge_scan`."""
    scan, mask, has_mask = result.scan, result.mask, result.evidence.mask is not None
    pixel_mm = scan.spacing_mm
    outlined = np.ones(len(truth), bool) if outlined is None else outlined
    on_outlined = lambda mask: abc2_ml(mask & outlined[:, None, None], scan.affine, slabs=scan.slabs)  # noqa: E731
    pixels_per_slice = lambda mask: np.where(outlined, np.count_nonzero(mask, axis=(1, 2)), 0)  # noqa: E731
    surfaces = distances and has_mask and outlined.all() and truth.any()
    blobs = bright_blobs(scan.hu) if distances else None
    return JudgedScan(
        patient=patient,
        scan=name,
        fold=fold,
        facts=facts or {},
        labels=labels,
        outlined=outlined,
        side_px=int(np.prod(truth.shape[1:])),
        true_px=pixels_per_slice(truth),
        mask_px=np.count_nonzero(mask, axis=(1, 2)),
        shared_px=pixels_per_slice(truth & mask),
        evidence=result.evidence,
        scores=result.slice_scores,
        scan_scores=result.scan_scores,
        pixel_mm=pixel_mm,
        hd95_mm=hd95_mm(truth, mask, scan.sides_mm) if surfaces else None,
        surface_dice=surface_dice(truth, mask, scan.sides_mm, TOLERANCE_MM) if surfaces else None,
        soft_px=soft_voxels(result.blood) if has_mask else None,
        abc2_ml=on_outlined(mask) if has_mask else None,
        true_abc2_ml=on_outlined(truth),
        spacing_known=scan.spacing_known,
        tilt_cosine=scan.voxel_ml * 1000 / float(np.prod(pixel_mm)),
        slabs=None if scan.places is None else scan.slabs,
        blob_px=None if blobs is None else np.count_nonzero(blobs, axis=(1, 2)),
        blob_shared_px=None if blobs is None else pixels_per_slice(truth & blobs),
    )


def case_of(table: Table, rows: np.ndarray) -> Case:
    """One scan of a table with its truth.

    Raises:
        ValueError: if a file cannot be read; the message names it.
    """
    return Case(table_scan(table, rows), table_truth(table, rows), table.labels[rows], table.outlined[rows])


def table_scan(table: Table, rows: np.ndarray) -> Scan:
    """One scan of a table. If its files do not state the size of a voxel, a usual one is assumed.

    Raises:
        ValueError: if a file cannot be read; the message names it.
    """
    hu = np.stack([table.hu(r) for r in rows])
    affine = axial_affine((THICKNESS_MM, *[FIELD_OF_VIEW_MM / max(hu.shape[1:])] * 2), hu.shape)
    steps_mm = None if table.steps_mm is None else table.steps_mm[rows[0]]
    is_known = steps_mm is not None and bool(np.isfinite(steps_mm).all())
    if is_known:
        affine[:3, :3] = steps_mm
        affine[:3, 3] = -affine[:3, :3] @ ((np.array(hu.shape) - 1) / 2)
    return Scan(hu, affine, spacing_known=is_known)


def table_truth(table: Table, rows: np.ndarray) -> np.ndarray:
    """(z, y, x) bool, the outlined blood of one scan; empty on slices without outline."""
    no_mask = np.zeros(table.hu(rows[0]).shape, bool)
    return np.stack([table.truth(r) if table.outlined[r] else no_mask for r in rows])


def _facts(table: Table, rows: np.ndarray) -> Facts:
    """Age, sex and fracture of a scan, if the set has them."""
    facts: Facts = {}
    if "age" in table.facts and np.isfinite(age := float(table.facts["age"][rows[0]])):
        facts["age"] = age
    if "sex" in table.facts and (sex := str(table.facts["sex"][rows[0]])):
        facts["sex"] = sex
    if "fracture" in table.facts:
        facts["fracture"] = bool(np.any(table.facts["fracture"][rows]))
    return facts


def has_blood(scan: JudgedScan) -> bool:
    """Whether any slice of a scan is labeled as bleeding."""
    return bool(scan.labels[:, ANY].any())
