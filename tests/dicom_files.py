"""Write DICOM CT slices as scanners do, and with the faults that occur."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

INTERCEPT = -1024


def write_slice(path: Path, hu: np.ndarray, *, intercept: int = INTERCEPT, **tags) -> Path:
    """One CT image of (row, column) HU, stored unsigned. `tags` are added; a tag with the value None is removed."""
    ds = ct_dataset(hu, intercept)
    for tag, value in tags.items():
        if value is not None:
            setattr(ds, tag, value)
        elif tag in ds:
            delattr(ds, tag)
    ds.save_as(path, enforce_file_format=True)
    return path


def ct_dataset(hu: np.ndarray, intercept: int = INTERCEPT) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.SeriesInstanceUID, ds.StudyInstanceUID = "1.2.3", "1.2"
    ds.Modality, ds.ImageType, ds.SeriesDescription = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "Axial 5mm"
    ds.PatientName, ds.PatientID, ds.StudyDate = "Doe^Jane", "4711", "20200102"
    ds.Rows, ds.Columns = hu.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, intercept, "HU"
    ds.PixelData = np.ascontiguousarray(hu - intercept).astype("<u2").tobytes()
    return ds


def write_series(
    folder: Path, values: np.ndarray, affine_ras: np.ndarray, *, skip=(), prefix: str = "IM", **tags
) -> list[Path]:
    """(column, row, slice) HU as one file per slice; the file names do not show the order.

    Args:
        folder: made if it does not exist.
        values: HU in the order DICOM counts: column, row, slice.
        affine_ras: (column, row, slice) to mm in NIfTI axes.
        skip: slices that are not written.
        prefix: of the file names.
        **tags: for every slice, as in `write_slice`.

    Returns:
        The files in the order of the slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_ras
    names = np.random.default_rng(7).permutation(values.shape[2])
    files = []
    for k in (k for k in range(values.shape[2]) if k not in skip):
        geometry = {
            "ImagePositionPatient": _ds(affine[:3] @ [0, 0, k, 1]),
            "ImageOrientationPatient": _ds((affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)).T.ravel()),
            "PixelSpacing": _ds(np.linalg.norm(affine[:3, [1, 0]], axis=0)),
            "SliceThickness": "2.5",  # wrong on purpose: it must not be used as the slice spacing
            "InstanceNumber": k + 1,
        }
        files.append(write_slice(folder / f"{prefix}{names[k]:04d}", values[:, :, k].T, **(geometry | tags)))
    return files


def _ds(numbers) -> list[str]:
    return [f"{number:.8g}" for number in numbers]
