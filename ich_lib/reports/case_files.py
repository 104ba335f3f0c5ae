"""Cases to files, in the form of a scanner's archive or a data set."""

import csv
import json
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ich_lib.labels import LABELS, TYPES
from ich_lib.phantoms import Phantom
from ich_lib.reports import write_nifti
from ich_lib.scan import Scan

SERIES = "Phantom 5mm"


def write_case(case: Phantom, folder: str | Path, *, form: str = "nifti") -> None:
    """Write a case: the scan, its mask, its labels.

    Args:
        case: scan with truth.
        folder: made if it is missing; holds scan.nii.gz or dicom/, mask.nii.gz (1 to 5 in the order of TYPES, 0 no
            blood), labels.csv (a line per slice) and case.json (seed, mL by type, mimics).
        form: "nifti" or "dicom".

    Raises:
        ValueError: for another form.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if form == "nifti":
        write_nifti(folder / "scan.nii.gz", np.round(case.scan.hu).astype(np.int16), case.scan)
    elif form == "dicom":
        write_dicom(case.scan, folder / "dicom", name=f"PHANTOM-{case.seed}")
    else:
        raise ValueError(f"Cases are written as nifti or dicom; got {form!r}.")
    coded = np.zeros(case.scan.hu.shape, np.uint8)
    for name, mask in case.masks.items():
        coded[mask] = TYPES.index(name) + 1
    write_nifti(folder / "mask.nii.gz", coded, case.scan)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["slice", *LABELS])
        table.writerows([k, *row.astype(int).tolist()] for k, row in enumerate(case.labels))
    coding = {name: i + 1 for i, name in enumerate(TYPES)}
    truth = {"seed": case.seed, "volumes_ml": case.volumes_ml, "mimics": case.mimics, "coding": coding}
    (folder / "case.json").write_text(json.dumps(truth, indent=1) + "\n")


def write_dicom(scan: Scan, folder: str | Path, *, name: str = "PHANTOM") -> list[Path]:
    """Write a scan as one axial CT series, a file per slice.

    Args:
        scan: HU; rounded to whole numbers.
        folder: made if it is missing.
        name: the patient's name and id. A phantom is not a real person.

    Returns:
        The files, foot to head.

    Source:
        DICOM PS3.3 A.3 (CT Image IOD), C.7.6.2 (Image Plane), C.8.2.1 (CT Image).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shared = {part: generate_uid(entropy_srcs=[name, part]) for part in ("study", "series", "frame")}
    paths = []
    for k in range(len(scan.hu)):
        slice_uid = generate_uid(entropy_srcs=[name, f"slice {k}"])
        path = folder / f"IM{k + 1:04d}.dcm"
        _slice_file(scan, k, name, shared, slice_uid).save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _slice_file(scan: Scan, k: int, name: str, shared: dict[str, UID], slice_uid: UID) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = slice_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, slice_uid
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.Modality, ds.Manufacturer = "CT", "ich_lib phantom"
    ds.PatientName, ds.PatientID = name.replace("-", "^"), name
    ds.PatientBirthDate = ds.PatientSex = ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID = shared["study"], shared["series"]
    ds.BodyPartExamined = "HEAD"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = shared["frame"], ""
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber = "1", 1, 1
    ds.SeriesDescription, ds.InstanceNumber, ds.KVP, ds.PatientPosition = SERIES, k + 1, "", "HFS"
    _place(ds, scan, k)
    _pixels(ds, scan.hu[k])
    return ds


def _place(ds: FileDataset, scan: Scan, k: int) -> None:
    """Image Plane module: DICOM's columns run along x, its rows along y."""
    dz, dy, dx = scan.sides_mm
    along_z, along_y, along_x = scan.affine[:3, :3].T
    place = k if scan.places is None else scan.places[k]
    ds.PixelSpacing = [round(dy, 6), round(dx, 6)]
    ds.SliceThickness = round(float(np.broadcast_to(dz, len(scan.hu))[k]), 6)
    ds.ImageOrientationPatient = [round(float(v), 6) for v in (*(along_x / dx), *(along_y / dy))]
    ds.ImagePositionPatient = [round(float(v), 6) for v in scan.affine[:3, 3] + place * along_z]


def _pixels(ds: FileDataset, hu: np.ndarray) -> None:
    """Image Pixel module: 12 bits unsigned, HU + 1024, as in scanners."""
    stored = np.clip(np.round(hu) + 1024, 0, 4095).astype("<u2")
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 40, 80
    ds.PixelData = stored.tobytes()
