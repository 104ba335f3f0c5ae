"""Reading: ours, in the process and in a child, compared with plain loops of pydicom and nibabel, in turns, in one run.

    python benchmarks/read.py [--rounds 9]

One phantom head, 34 slices of 512 x 512, as plain DICOM, JPEG Lossless, zip, .nii.gz; and 640 thin slices, which are
averaged, with the plain loop over all of them. Seconds are processor seconds of the process and its child together,
because the machine may be shared; medians of the rounds. A plain loop reads, rescales to float32 and stacks by
position, with the same decoder if pydicom has none: it checks nothing and reads no other format. Memory is the peak of
a process that reads once.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
import pydicom  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import JPEGLosslessSV1  # noqa: E402

from ich_lib.phantoms import phantom  # noqa: E402
from ich_lib.readers import child, read  # noqa: E402
from ich_lib.reports.case_files import write_dicom  # noqa: E402
from ich_lib.scan import to_file_grid  # noqa: E402

FILES = {
    "DICOM": "dicom",
    "JPEG Lossless": "jpeg",
    "DICOM in a zip": "dicom.zip",
    ".nii.gz": "head.nii.gz",
    "640 slices, .nii.gz": "thin.nii.gz",
}
METHODS = ("plain loop", "ours", "ours, in a child")


def main() -> None:
    """Measure in turns and print medians and ratios."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.peak:
        _peak(*chosen.peak)
        return
    if chosen.make:
        _make(chosen.make)
        return
    with tempfile.TemporaryDirectory() as folder:
        # in a separate process: one that has held large arrays keeps their memory, and is faster because of it
        subprocess.run([sys.executable, __file__, "--make", folder], check=True)
        for name, path in FILES.items():
            _print(name, Path(folder) / path, _seconds(Path(folder) / path, chosen.rounds))
    child.end_idle()


def _make(folder: Path) -> None:
    case = phantom(34, bleeds=["intraparenchymal"], pixels=512, levels=1)
    dicom = [pydicom.dcmread(path) for path in write_dicom(case.scan, folder / "dicom")]
    (folder / "jpeg").mkdir()
    for k, ds in enumerate(dicom):
        _pack(ds).save_as(folder / "jpeg" / f"{k}")
    with zipfile.ZipFile(folder / "dicom.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "dicom").iterdir()):
            archive.write(path, path.name)
    values, affine = to_file_grid(case.scan, np.round(case.scan.hu).astype(np.int16))
    nib.save(nib.Nifti1Image(values, affine), folder / "head.nii.gz")
    thin = np.repeat(values, 19, axis=2)[:, :, :640]
    nib.save(nib.Nifti1Image(thin, affine @ np.diag([1, 1, 1 / 19, 1])), folder / "thin.nii.gz")


def _pack(ds: pydicom.Dataset) -> pydicom.Dataset:
    import imagecodecs

    stored = np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns)
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    ds.PixelData = encapsulate([imagecodecs.jpeg8_encode(stored, lossless=True, predictor=1, bitspersample=12)])
    ds["PixelData"].VR = "OB"
    return ds


def _plain(path: Path) -> np.ndarray:
    if path.suffix == ".gz":
        image = nib.load(path)
        return image.get_fdata(dtype=np.float32)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            slices = [pydicom.dcmread(archive.open(name)) for name in archive.namelist()]
    else:
        slices = [pydicom.dcmread(file) for file in path.iterdir()]
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    planes = [ds.pixel_array * np.float32(ds.RescaleSlope) + np.float32(ds.RescaleIntercept) for ds in slices]
    return np.stack(planes)


def _read(method: str, path: Path) -> None:
    if method == "plain loop":
        _plain(path)
    else:
        read(path, isolated=method != "ours")


def _seconds(path: Path, rounds: int) -> dict[str, list[float]]:
    seconds = {method: [] for method in METHODS}
    for method in METHODS:
        _read(method, path)  # imports, and a child that is warm
    for _ in range(rounds):
        for method in METHODS:
            start = _processor_s()
            _read(method, path)
            seconds[method].append(_processor_s() - start)
    return seconds


def _processor_s() -> float:
    """Of this process and the waiting child; Linux counts the latter in nanoseconds."""
    pids = [reader._process.pid for reader in child._idle]
    stats = [Path(f"/proc/{pid}/schedstat") for pid in pids]
    return time.process_time() + sum(int(stat.read_text().split()[0]) / 1e9 for stat in stats if stat.exists())


def _print(name: str, path: Path, seconds: dict[str, list[float]]) -> None:
    plain, ours, in_child = (statistics.median(seconds[method]) for method in METHODS)
    peaks = [_peak_mb(method, path) for method in METHODS[:2]]
    print(
        f"{name:20} plain loop {plain:6.3f} s   ours {ours:6.3f} s ({ours / plain:4.2f})   "
        f"in a child {in_child:6.3f} s ({in_child / ours:4.2f} of ours)   peak {peaks[0]:4.0f} and {peaks[1]:4.0f} MB"
    )


def _peak_mb(method: str, path: Path) -> float:
    process = subprocess.run(
        [sys.executable, __file__, "--peak", method, path], capture_output=True, text=True, check=True
    )
    return float(process.stdout)


def _peak(method: str, path: str) -> None:
    _read(method, Path(path))
    status = Path("/proc/self/status").read_text()  # not getrusage, which includes the peak of the parent
    print(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024)


if __name__ == "__main__":
    main()
