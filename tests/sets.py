"""Write each data set in its own layout, with its known faults. No picture shows a person."""

import csv
import json
import warnings
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np

from ich_lib.labels import LABELS
from ich_lib.prepare.window import window
from tests.dicom_files import write_slice

BOM = "\ufeff"
CT_ICH_HEADER = (
    "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,"
    "No_Hemorrhage,Fracture_Yes_No"
)
# The orders a file may have, as (i, j, k) axes in NIfTI's mm: toward right, front, head.
ORDERS = {"LAS": (-1, 1, 1), "RAS": (1, 1, 1), "LPI": (-1, -1, -1)}


# CT-ICH 1.0.0


def write_ct_ich(folder, lines, *, skip=(), masks=((50, 2),), demographics=None):
    """`lines` of the diagnosis table and their pictures, except those in `skip`."""
    folder.mkdir(exist_ok=True)
    table = folder / "hemorrhage_diagnosis.csv"
    table.write_text(BOM + "\n".join([CT_ICH_HEADER, *lines]) + "\n", encoding="utf-8")
    for line in lines:
        number, index = (int(v) for v in line.split(",")[:2])
        for kind, gray in (("brain", 128), ("bone", 72)):
            place = folder / "Patients_CT" / f"{number:03d}" / kind
            place.mkdir(parents=True, exist_ok=True)
            if (number, index) not in skip:
                cv2.imwrite(str(place / f"{index}.jpg"), np.full((16, 16), gray, np.uint8))
    for number, index in masks:
        mask = np.zeros((16, 16), np.uint8)
        mask[4:8, 8:16] = 255
        cv2.imwrite(str(folder / "Patients_CT" / f"{number:03d}" / "brain" / f"{index}_HGE_Seg.jpg"), mask)
    if demographics is not None:
        (folder / "patient_demographics.csv").write_text(demographics, encoding="utf-8")
    return folder


# NIfTI


def head_hu(slices=5):
    """(z, y, x) HU, 20 x 24 px, different in each slice: a head with a recognizable nose and left ear."""
    hu = np.full((slices, 20, 24), -1000, np.float32)
    hu[:, 4:16, 4:20] = 30
    hu[:, 4:6, 11:13] = 40  # the nose, at the front (row 4)
    hu[:, 9:11, 18:20] = 50  # the left ear, on the viewer's right
    hu[:, 12, 12] = np.arange(slices) + 60
    return hu


def write_volume(path, values, *, order="LAS", spacing_mm=(5.0, 0.5, 0.4), coded=True, shift_mm=0.0):
    """(z, y, x) values in the canonical order as a NIfTI file whose axes run as `order` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signs = ORDERS[order]
    voxels = values.transpose(2, 1, 0)[::-1, ::-1]  # to (i, j, k) that run toward right, front, head
    voxels = voxels[tuple(slice(None, None, sign) for sign in signs)]
    dz, dy, dx = spacing_mm
    affine = np.diag([dx * signs[0], dy * signs[1], dz * signs[2], 1.0])
    ends = (np.array(voxels.shape) - 1) * (dx, dy, dz)
    affine[:3, 3] = [end if sign < 0 else 0 for end, sign in zip(ends, signs, strict=True)]
    affine[0, 3] += shift_mm
    image = nib.Nifti1Image(np.ascontiguousarray(voxels), affine)
    if not coded:
        image.header.set_sform(None, code=0)
        image.header.set_qform(None, code=0)
        image = nib.Nifti1Image(image.dataobj, None, image.header)
    nib.save(image, path)
    return path


def write_ct_ich_nifti(folder, patients, *, order="LAS", newline="\r\n"):
    """CT-ICH 1.3.1. `patients`: number to the (z,) labels of its slices foot to head, "epidural" or "" each.

    Blood is drawn at rows 6 to 8, columns 14 to 18: behind the nose, on the patient's left. SliceNumber counts the
    file's own slices.
    """
    lines = [CT_ICH_HEADER]
    for number, bleeds in patients.items():
        write_volume(folder / "ct_scans" / f"{number:03d}.nii", head_hu(len(bleeds)).astype(np.int16), order=order)
        mask = np.zeros(head_hu(len(bleeds)).shape, np.uint8)
        for z, bleed in enumerate(bleeds):
            mask[z, 6:8, 14:18] = 255 if bleed else 0
            index = z + 1 if ORDERS[order][2] > 0 else len(bleeds) - z
            lines.append(f"{number},{index},0,0,0,{int(bool(bleed))},0,{int(not bleed)},0")
        write_volume(folder / "masks" / f"{number:03d}.nii", mask, order=order)
    (folder / "hemorrhage_diagnosis_raw_ct.csv").write_bytes((BOM + newline.join(lines) + newline).encode())
    (folder / "Patient_demographics.csv").write_bytes(
        b'Patient Number,"Age\n(years)",Gender,Hemorrhage type based on the radiologists diagnosis ,,,,,'
        b"Fracture (yes 1/no 0),Note1\r\n,,,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,,\r\n"
        + b"".join(b"%d,%d,Male,,,,,,,\r\n" % (number, number - 10) for number in patients)
    )
    return folder


# RSNA 2019


def rsna_lines(image, *kinds):
    """The six lines of an image; `any` follows from the types."""
    return [f"{image}_{name},{int(name in kinds or (name == 'any' and bool(kinds)))}" for name in LABELS]


def write_rsna(folder, images, *, lines=(), newline="\n"):
    """RSNA 2019. `images`: dicts of image, patient, series, z_mm, kinds, and further DICOM tags.

    `lines` follow the lines of the images. HU are 40 with air in the first two rows.
    """
    pictures = folder / "stage_2_train"
    pictures.mkdir(parents=True, exist_ok=True)
    table = ["ID,Label"]
    for about in images:
        tags = dict(about)
        image, kinds = tags.pop("image"), tags.pop("kinds", ())
        table += rsna_lines(image, *kinds)
        write_rsna_slice(pictures / f"{image}.dcm", **tags)
    (folder / "stage_2_train.csv").write_bytes((newline.join([*table, *lines]) + newline).encode())
    return folder


def write_rsna_slice(path, *, patient, series, z_mm, y_mm=-120.0, hu=None, axes=(1, 0, 0, 0, 1, 0), **tags):
    """One file with the few tags that the challenge kept."""
    if hu is None:
        hu = np.full((16, 16), 40)
        hu[:2] = -1000
    place = {"ImagePositionPatient": [-100.0, y_mm, z_mm], "ImageOrientationPatient": list(axes)}
    names = {"PatientID": patient, "StudyInstanceUID": f"ID_s{series[4:]}", "SeriesInstanceUID": series}
    gone = dict.fromkeys(["PatientName", "StudyDate", "SeriesDescription", "ImageType", "RescaleType"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the UIDs of the set are not valid UIDs
        return write_slice(path, hu, **gone, **names, **place, PixelSpacing=[0.5, 0.5], **tags)


# Zeta renders

RESULTS = (
    *("Case ID", "Origin", "Labeling State", "Series", "Correct Label", "Majority Label", "All Labels"),
    *("Agreement", "Difficulty", "Total Qualified Reads", "Total Reads"),
)
TRACING = ("Case ID", "Origin", "Labeling State", "ROI", "All Annotations", "Number of ROIs", "Difficulty")
EPIDURAL_CSV = "Results_Epidural Hemorrhage Detection_2020-11-16_21.31.26.148.csv"
SUBDURAL_CSV = "Results_Subdural Hemorrhage Detection_2020-11-16_21.35.48.040.csv"
TRACING_CSV = "Results_Brain Hemorrhage Tracing_2020-09-28_15.21.52.597.csv"


def points(*corners):
    """A region in the format of the annotation tables."""
    return [{"x": x, "y": y} for x, y in corners]


def box(left, top, right, bottom):
    return points((left, top), (right, top), (right, bottom), (left, bottom))


def write_renders(folder, images, *, results=None, flagged=(), hu=None, levels=None, tables=""):
    """`images`: (type folder, image, kinds). `results`: table name to lines {column: value}; lists become JSON.

    `hu` is (64, 64) for all; `levels` maps a window to (level, width); `tables` names a folder for the CSVs.
    """
    levels = {
        "brain_window": (40, 80),
        "subdural_window": (80, 200),
        "brain_bone_window": (600, 2800),
        **(levels or {}),
    }
    hu = np.full((64, 64), 40.0) if hu is None else hu
    pictures = {name: np.round(window(hu, *level) * 255).astype(np.uint8) for name, level in levels.items()}
    pictures["max_contrast_window"] = np.full(hu.shape, 200, np.uint8)
    for kind, image, _ in images:
        for name, picture in pictures.items():
            place = folder / "renders" / kind / name
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{image}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 100])
    place = folder / tables
    place.mkdir(parents=True, exist_ok=True)
    lines = [["Image", "any", *LABELS[:-1]], ["ID_000000001", 0, 0, 0, 0, 0, 0]]  # the first has no render
    output = {image: kinds for _, image, kinds in images}
    lines += [
        [image, int(bool(kinds)), *(int(name in kinds) for name in LABELS[:-1])] for image, kinds in output.items()
    ]
    _write_csv(place / "hemorrhage-labels.csv", lines)
    (place / "flagged.txt").write_text("".join(f"{image}.jpg\n" for image in flagged))
    for name, rows in (results or {}).items():
        columns = TRACING if "Tracing" in name else RESULTS
        cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
        _write_csv(place / name, [columns, *cells])
    return folder


def _cell(value):
    return json.dumps(value) if isinstance(value, list) else value


def _write_csv(path, lines):
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, lineterminator="\r\n").writerows(lines)


# Pairs


def write_case(folder, hu, coded, *, coding=None, labels=None, order="LAS"):
    """A case as `python -m ich_lib phantom` writes it. Without a coding or labels those files are left out."""
    folder = Path(folder)
    write_volume(folder / "scan.nii.gz", hu.astype(np.int16), order=order)
    if coded is not None:
        write_volume(folder / "mask.nii.gz", coded.astype(np.uint8), order=order)
    if coding is not None:
        (folder / "case.json").write_text(json.dumps({"seed": 1, "coding": coding}))
    if labels is not None:
        _write_csv(folder / "labels.csv", [["slice", *LABELS], *([z, *row] for z, row in enumerate(labels))])
    return folder
