"""One table of what the readers accept. Each row writes a file of some kind and states what the reader does with it.

`python docs/reading.py` makes docs/reading.md from it. A row reads the synthetic head, or a plane of it, or is refused
with a sentence.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from ich_lib.prepare.window import window
from ich_lib.readers import ReadError, read, read_truth
from ich_lib.scan import Scan
from tests.dicom_files import INTERCEPT, ct_dataset, write_series, write_slice
from tests.planted import head, laid_out
from tests.readers import test_frame as frames
from tests.readers import test_nifti_place as places
from tests.readers.test_archives import deflate64, disc, seven, study, tarred, zipped
from tests.readers.test_codecs import deflated
from tests.readers.test_codecs import write as compressed
from tests.stacks import STACKS

READ, NOTED, REFUSED = "read", "read, with a note", "refused"


@dataclass(frozen=True)
class Row:
    """One kind of file.

    Attributes:
        kind: the chapter of the table.
        case: what comes in.
        happens: READ, NOTED or REFUSED.
        words: that the note or the sentence holds.
        write: makes it in a folder and returns its path, or several.
        check: compares the scan with what was planted; None where the kind leaves only its shape.
        reader: what reads it.
    """

    kind: str
    case: str
    happens: str
    words: str
    write: Callable[[Path], Path | list[Path]]
    check: Callable | None = None
    reader: Callable = read


def whole(scan):
    np.testing.assert_array_equal(scan.hu, head())


def plane(scan):
    np.testing.assert_array_equal(scan.hu[0], head()[9])


def grays(scan):
    np.testing.assert_allclose(scan.hu[0], np.clip(head()[9], 0, 80), atol=3)


def stored():
    return (head()[9] - INTERCEPT).astype(np.uint16)


def gray():
    return np.round(window(head()[9], 40, 80) * 255).astype(np.uint8)


def packed(syntax, encode, **options):
    return lambda folder: compressed(folder / "IM1", syntax, [encode(stored())], stored(), **options)


def codec(name, **options):
    import imagecodecs

    return lambda pixels: getattr(imagecodecs, f"{name}_encode")(pixels, **options)


def plain(syntax):
    def write(folder):
        ds = ct_dataset(head()[9])
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = stored().astype("<u2" if syntax.is_little_endian else ">u2").tobytes()
        ds.save_as(folder / "IM1", enforce_file_format=True)
        return folder / "IM1"

    return write


def rle(folder):
    ds = ct_dataset(head()[9])
    ds.compress(RLELossless, encoding_plugin="pydicom")
    ds.save_as(folder / "IM1", enforce_file_format=True)
    return folder / "IM1"


def slices(change=lambda folder: None, **tags):
    def write(folder):
        write_series(folder / "dicom", *laid_out(head(), "LPS"), **tags)
        change(folder / "dicom")
        return folder / "dicom"

    return write


def archive(pack, name):
    return lambda folder: pack(folder / name, study())


def gzipped(pack, suffix):
    def write(folder):
        for name, data in study(folder / "dicom").items():
            path = folder / "dicom" / Path(name).name
            path.with_suffix(suffix).write_bytes(pack(data))
            path.unlink()
        return folder / "dicom"

    return write


def alone(pack, suffix):
    def write(folder):
        data = write_slice(folder / "IM1", head()[9]).read_bytes()
        (folder / f"packed{suffix}").write_bytes(pack(data))
        return folder / f"packed{suffix}"

    return write


def nested(folder):
    inner = zipped(folder / "inner.zip", study()).read_bytes()
    return zipped(folder / "outer.zip", {"inner.zip": inner})


def locked(folder):
    data = bytearray(zipped(folder / "locked.zip", study()).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (folder / "locked.zip").write_bytes(data)
    return folder / "locked.zip"


def pushed(name, data):
    def write(folder):
        (folder / name).write_bytes(data)
        return folder / name

    return write


def contents(folder):
    ds = ct_dataset(head()[9])
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    del ds.Rows, ds.PixelData
    ds.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def nifti(name, values=head, slope=None):
    def write(folder):
        grid, affine = laid_out(values(), "LAS")
        nib.save(nib.Nifti1Image(grid.astype(np.int16), affine), folder / name)
        return folder / name

    return write


def xz_nifti(folder):
    path = nifti("scan.nii")(folder)
    (folder / "scan.nii.xz").write_bytes(lzma.compress(path.read_bytes()))
    return folder / "scan.nii.xz"


def picture(name, pixels=gray, **options):
    def write(folder):
        Image.fromarray(pixels()).save(folder / name, **options)
        return folder / name

    return write


def turned(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture("a.jpg", lambda: np.ascontiguousarray(np.rot90(large(), 1)), exif=exif, quality=100)(folder)


def large():
    pixels = np.round(window(head()[13], 40, 80) * 255).astype(np.uint8)  # with blood on one side
    return cv2.resize(pixels, (80, 96), interpolation=cv2.INTER_NEAREST)


def upright(scan):
    np.testing.assert_allclose(scan.hu[0] / 80 * 255, large(), atol=6)


def stack(folder):
    pages = [Image.fromarray(np.round(window(head()[k], 40, 80) * 255).astype(np.uint8)) for k in range(18)]
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])
    return folder / "stack.tif"


def eighteen(scan):
    np.testing.assert_allclose(scan.hu, np.clip(head(), 0, 80), atol=1)


def mixed(folder):
    """Half of the files of a series are packed by RLE."""
    files = write_series(folder / "dicom", *laid_out(head(), "LPS"))
    for path in files[::2]:
        ds = pydicom.dcmread(path)
        ds.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        ds.save_as(path)
    return folder / "dicom"


def signed(folder):
    ds = ct_dataset(head()[9], intercept=0)
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 16, 15
    words = head()[9].astype("<i2").view("<u2")
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    ds.PixelData = encapsulate([codec("ljpeg", bitspersample=16)(words)])
    ds["PixelData"].VR = "OB"
    ds.save_as(folder / "IM1", enforce_file_format=True)
    return folder / "IM1"


def streamed(folder):
    """A zip whose sizes stand behind the files, as a server writes it that does not know them yet."""

    class Pipe(io.RawIOBase):
        written = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.written += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in study().items():
            archive.writestr(name, data)
    assert pipe.written[6] & 8
    (folder / "study.zip").write_bytes(pipe.written)
    return folder / "study.zip"


def old_names(folder):
    """A zip of Windows: the names are in code page 437, and nothing says so."""
    path = zipped(folder / "study.zip", {f"Sch?del/{Path(name).name}": data for name, data in study().items()})
    path.write_bytes(path.read_bytes().replace(b"Sch?del", b"Sch\x84del"))
    return path


def zip_in_a_folder(folder):
    (folder / "cd").mkdir()
    zipped(folder / "cd" / "study.zip", study())
    (folder / "cd" / "readme.txt").write_text("Open the study with the viewer.")
    return folder / "cd"


def zip_in_gzip(folder):
    data = zipped(folder / "study.zip", study()).read_bytes()
    (folder / "study.zip.gz").write_bytes(gzip.compress(data))
    return folder / "study.zip.gz"


def zip_of_contents(folder):
    return zipped(folder / "cd.zip", {"DICOMDIR": contents(folder).read_bytes()})


def cd_with_viewer(folder):
    write_series(folder / "cd" / "DICOM", *laid_out(head(), "LPS"))
    (folder / "cd" / "VIEWER.EXE").write_bytes(b"MZ" + bytes(200))
    (folder / "cd" / "AUTORUN.INF").write_text("[autorun]")
    frames.save(folder / "cd" / "LOGO.png", frames.gray())
    contents(folder / "cd")
    return folder / "cd"


def with_a_preview(folder):
    for k in (18, 19, 20, 21):
        frames.save(folder / "study" / f"{k}.png", frames.gray(k))
    frames.save(folder / "study" / "preview.png", cv2.resize(frames.gray(), (40, 40)))
    return folder / "study"


def four_from_18(scan):
    np.testing.assert_allclose(
        [frames.pixels(scan, k) for k in range(4)], [frames.gray(k) for k in range(18, 22)], atol=1
    )


def white_is_zero(folder):
    return frames.save(folder / "a.tif", frames.gray(), tiffinfo={262: 0})  # stored inverted


def cmyk(folder):
    Image.fromarray(frames.gray()).convert("RGB").convert("CMYK").save(folder / "a.jpg", quality=98)
    return folder / "a.jpg"


def about_twenty(scan):
    np.testing.assert_allclose(frames.pixels(scan), frames.gray(), atol=9)


def many(folder):
    affine = np.diag([-1.0, 1, 0.25, 1])
    values = np.repeat(laid_out(head(), "LAS")[0], 40, axis=2)[:, :, :640]
    nib.save(nib.Nifti1Image(values.astype(np.int16), affine), folder / "thin.nii.gz")
    return folder / "thin.nii.gz"


def averaged(scan):
    assert len(scan.hu) == 320
    np.testing.assert_array_equal(scan.hu[::20], head()[:16])
    assert scan.spacing_mm[0] == pytest.approx(0.5)


def too_many(folder):
    (folder / "dicom").mkdir()
    for n in range(5001):
        (folder / "dicom" / f"{n}").touch()
    return folder / "dicom"


def water_padding(folder):
    hu = head()[9].copy()
    ds = ct_dataset(hu, intercept=0)
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 16, 15
    ds.PixelData = hu.astype("<i2").tobytes()
    ds.add_new("PixelPaddingValue", "SS", 70)
    ds.save_as(folder / "IM1", enforce_file_format=True)
    return folder / "IM1"


def overlay(folder):
    words = stored() | np.uint16(0x3000)
    return compressed(folder / "IM1", JPEGLSLossless, [codec("jpegls")(words)], words)


def sparse_tar(folder):
    path = folder / "study.tar"
    with tarfile.open(path, "w") as files:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        files.addfile(link)
    return path


TIFF, PNG16, HU1024 = "a.tif", "a.png", lambda: (numbers() + 1024).clip(0).astype(np.uint16)


def numbers():
    hu = cv2.resize(head()[9], (120, 144), interpolation=cv2.INTER_NEAREST)
    return np.round(hu + np.random.default_rng(0).normal(0, 4, hu.shape)).astype(np.int32)


def hounsfield(scan):
    assert scan.hu_known
    np.testing.assert_array_equal(scan.hu[0], numbers().clip(-1024))


def odd_nifti(values, affine, **fields):
    """A small phantom in a NIfTI whose header states the orientation badly."""
    return lambda folder: places.write(folder / "a.nii", values(), affine(), **fields)


def affine():
    return places.grid()[1]


def sizes(order):
    return lambda: np.diag([*np.array(places.case()[0].scan.spacing_mm)[list(order)], 1.0])


def array(order):
    return lambda: places.case()[1].transpose(order)


def tilted():
    cos, sin = np.cos(np.deg2rad(50)), np.sin(np.deg2rad(50))
    return np.array([[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]]) @ affine()


def placed(scan):
    places.assert_head(scan)


def without_ml(scan):
    places.assert_head(scan)
    assert not scan.spacing_known


def with_ml(scan):
    places.assert_head(scan)
    assert scan.voxel_ml == pytest.approx(places.case()[0].scan.voxel_ml, rel=1e-4)
    assert scan.spacing_known


def two_halves(folder, **options):
    return places.pair(folder, **options)


def half(folder):
    return places.pair(folder) / "head.hdr"


def several(*names, values=None):
    def write(folder):
        for name in names:
            mask = "mask" in name
            places.write(folder / "study" / name, *places.grid(places.case()[0].truth if mask else None))
        return folder / "study"

    return lambda folder: ((folder / "study").mkdir(), write(folder))[1]


def values_of(shape, dtype):
    def write(folder):
        nib.save(nib.Nifti1Image(np.ones(shape, dtype), np.diag([-1.0, 1, 5, 1])), folder / "a.nii")
        return folder / "a.nii"

    return write


def drawn(name, pixels, **options):
    return lambda folder: frames.save(folder / name, pixels(), **options)


def twenty(scan):
    np.testing.assert_allclose(frames.pixels(scan), frames.gray(), atol=1)


def inner(scan):
    np.testing.assert_allclose(frames.pixels(scan)[20:-20, 20:-20], frames.gray(), atol=1)


def shuffled(folder):
    for k, digits in enumerate("cab"):
        frames.save(folder / digits / f"{k + 9}.png", frames.gray(k + 18))
    return sorted(folder.rglob("*.png"))


def folders(**views):
    def write(folder):
        for name, view in views.items():
            for k in (18, 19, 20):
                frames.save(
                    folder / "study" / name / f"{k}.png", frames.mask(k) if view is None else frames.gray(k, *view)
                )
        return folder / "study"

    return write


def three(scan):
    np.testing.assert_allclose(
        [frames.pixels(scan, k) for k in range(3)], [frames.gray(k) for k in (18, 19, 20)], atol=1
    )


def three_in_hu(scan):
    assert scan.hu_known
    planted = np.stack([frames.case().scan.hu[k] for k in (18, 19, 20)])
    np.testing.assert_allclose(scan.hu.clip(1, 79), planted.clip(1, 79), atol=0.2)
    np.testing.assert_allclose(scan.hu, planted.clip(-800, 2000), atol=5.6)


def four(scan):
    np.testing.assert_allclose(
        [frames.pixels(scan, k) for k in range(4)], [frames.gray(k) for k in range(10, 14)], atol=1
    )


def see_through():
    y, x = np.mgrid[: frames.SIDE, : frames.SIDE] - (frames.SIDE - 1) / 2
    alpha = np.where(np.hypot(x, y) > 60, 0, 255).astype(np.uint8)
    return np.dstack([np.where(alpha == 0, 255, frames.gray()).astype(np.uint8)] * 3 + [alpha])


def visible(scan):
    np.testing.assert_allclose(frames.pixels(scan), np.where(see_through()[..., 3] > 0, frames.gray(), 0), atol=1)


def film():
    return (frames.gray()[..., None] * np.array([0.85, 0.93, 1])).astype(np.uint8)


def photo():
    return np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)


def truth_of_nifti(path):
    scan = places.case()[0].scan
    return read_truth(path, scan.hu.shape, scan.affine)


def truth_of_pictures(path):
    return read_truth(path, (3, frames.SIDE, frames.SIDE), None)


def planted_truth(mask):
    np.testing.assert_array_equal(mask, places.case()[0].truth)


def truth_of_three(mask):
    np.testing.assert_array_equal(mask, frames.case().truth[18:21])


def outline(**fields):
    return odd_nifti(lambda: places.grid(places.case()[0].truth)[0], affine, **fields)


def ones():
    return np.eye(4)


PAGE = Path(__file__).parents[2] / "docs" / "reading.md"
NATIVE = {"SeriesDescription": "Head 5.0 H31s", "ConvolutionKernel": "H31s", "SliceThickness": "5", "SeriesNumber": 2}


def beside(values=None, letters="LPS", times=1, **tags):
    """The native head, and `times` series with other values and other tags, all with one UID."""

    def write(folder):
        write_series(folder / "study" / "A", *laid_out(head(), "LPS"), **NATIVE)
        hu = head() - 1 if values is None else values
        for time in range(times):
            own = NATIVE | {"SeriesInstanceUID": "1.2.9", "SeriesNumber": 3} | tags
            write_series(folder / "study" / f"B{time}", *laid_out(hu, letters), **own)
        return folder / "study"

    return write


def single_files(**tags):
    """A head in which each file has its own UID. A tag may be a function of the slice's number."""

    def write(folder):
        values, grid = laid_out(head(), "LPS")
        for k in range(18):
            own = {tag: value(k) if callable(value) else value for tag, value in tags.items()}
            uid = {"SeriesInstanceUID": f"1.2.{k + 1}", "InstanceNumber": k + 1}
            write_series(folder / "dicom", values, grid, skip=set(range(18)) - {k}, prefix=f"K{k}", **uid | own)
        return folder / "dicom"

    return write


def with_a_damaged_file(folder):
    (folder / "IM9999").write_bytes(bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0\1\2")


FIRST, EMPTY = 'Read: series 1 of 2, "Head 5.0 H31s" (18 slices', np.full((18, 24, 20), -1000.0)
LOSS = "compressed with loss"
ASSUMED, NO_TRUST = "left and right are assumed", "mm and sides cannot be trusted"
UNPACK = "Unpack it on your computer"
ROWS = (
    Row("compressed", "DICOM, implicit little endian", READ, "", plain(ImplicitVRLittleEndian), plane),
    Row("compressed", "DICOM, explicit big endian", READ, "", plain(ExplicitVRBigEndian), plane),
    Row("compressed", "DICOM, deflated", READ, "", lambda folder: deflated(folder)),
    Row("compressed", "DICOM, gzipped one by one", READ, "", gzipped(gzip.compress, ".gz"), whole),
    Row("compressed", "RLE", READ, "", rle, plane),
    Row("compressed", "JPEG Lossless", READ, "", packed(JPEGLosslessSV1, codec("ljpeg", bitspersample=12)), plane),
    Row(
        "compressed",
        "JPEG Lossless, any predictor",
        READ,
        "",
        packed(UID("1.2.840.10008.1.2.4.57"), codec("jpeg8", lossless=True, predictor=6, bitspersample=12)),
        plane,
    ),
    Row("compressed", "JPEG-LS", READ, "", packed(JPEGLSLossless, codec("jpegls")), plane),
    Row(
        "compressed",
        "JPEG 2000 without loss",
        READ,
        "",
        packed(UID("1.2.840.10008.1.2.4.90"), codec("jpeg2k", level=0, codecformat="j2k")),
        plane,
    ),
    Row(
        "compressed",
        "high-throughput JPEG 2000",
        READ,
        "",
        packed(UID("1.2.840.10008.1.2.4.201"), codec("htj2k", reversible=True)),
        plane,
    ),
    Row(
        "compressed",
        "12-bit JPEG",
        NOTED,
        f"{LOSS} (JPEG Extended): HU may be off",
        packed(UID("1.2.840.10008.1.2.4.51"), codec("jpeg8", level=97, bitspersample=12)),
    ),
    Row(
        "compressed",
        "JPEG-LS with loss",
        NOTED,
        f"{LOSS} (JPEG-LS Lossy): HU may be off",
        packed(UID("1.2.840.10008.1.2.4.81"), codec("jpegls", level=2)),
    ),
    Row(
        "compressed",
        "JPEG 2000 with loss",
        NOTED,
        f"{LOSS} (JPEG 2000): HU may be off",
        packed(UID("1.2.840.10008.1.2.4.91"), codec("jpeg2k", level=90, codecformat="j2k", reversible=False)),
    ),
    Row("compressed", "unpacked after a lossy compression", NOTED, LOSS, slices(LossyImageCompression="01"), whole),
    Row("compressed", "two compressions in one series", READ, "", mixed, whole),
    Row("compressed", "JPEG Lossless, signed, 16 bits", READ, "", signed, plane),
    Row("compressed", "overlay in the high bits", READ, "", overlay, plane),
    Row("compressed", "padding value inside the head", READ, "", water_padding, plane),
    Row(
        "compressed",
        "MPEG video",
        REFUSED,
        "compressed as MPEG2",
        lambda folder: compressed(folder / "IM1", UID("1.2.840.10008.1.2.4.100"), [b"\0" * 64], stored()),
    ),
    Row(
        "compressed",
        "a private format of a vendor",
        REFUSED,
        "private format of its vendor",
        lambda folder: compressed(folder / "IM1", UID("1.2.3.4"), [b"\0" * 64], stored()),
    ),
    Row("containers", "folder", READ, "", slices(), whole),
    Row("containers", "zip", READ, "", archive(zipped, "study.zip"), whole),
    Row("containers", "zip of Windows above 2 GB (Deflate64)", READ, "", archive(deflate64, "study.zip"), whole),
    Row("containers", "tar", READ, "", archive(tarred, "study.tar"), whole),
    Row("containers", "tar.gz", READ, "", archive(lambda p, f: tarred(p, f, "w:gz"), "study.tgz"), whole),
    Row("containers", "tar.bz2", READ, "", archive(lambda p, f: tarred(p, f, "w:bz2"), "study.tbz"), whole),
    Row("containers", "tar.xz", READ, "", archive(lambda p, f: tarred(p, f, "w:xz"), "study.txz"), whole),
    Row("containers", "7z", READ, "", archive(seven, "study.7z"), whole),
    Row("containers", "CD image", READ, "", archive(disc, "study.iso"), whole),
    Row("containers", "one file packed by gzip", READ, "", alone(gzip.compress, ".gz"), plane),
    Row("containers", "one file packed by bzip2", READ, "", alone(bz2.compress, ".bz2"), plane),
    Row("containers", "one file packed by xz", READ, "", alone(lzma.compress, ".xz"), plane),
    Row("containers", "NIfTI packed by xz", READ, "", xz_nifti, whole),
    Row("containers", "zip written as a stream", READ, "", streamed, whole),
    Row("containers", "zip of Windows with an umlaut in a file name", READ, "", old_names, whole),
    Row("containers", "CD with its viewer", NOTED, "Left out: 3 files of another kind", cd_with_viewer, whole),
    Row("containers", "DICOMDIR alone", REFUSED, "Give the whole folder", contents),
    Row("containers", "zip with only a DICOMDIR", REFUSED, "Give the whole folder", zip_of_contents),
    Row("containers", "folder that contains a zip", REFUSED, UNPACK, zip_in_a_folder),
    Row("containers", "zip packed by gzip", REFUSED, UNPACK, zip_in_gzip),
    Row("containers", "zip in a zip", REFUSED, UNPACK, nested),
    Row("containers", "zip with a password", REFUSED, "locked with a password", locked),
    Row("containers", "zip bomb", REFUSED, "no scanner uses", lambda f: zipped(f / "a.zip", {"a": bytes(20_000_000)})),
    Row("containers", "archive of links", REFUSED, "holds no file", sparse_tar),
    Row("containers", "RAR", REFUSED, UNPACK, pushed("a.rar", b"Rar!\x1a\x07\x00" + bytes(90))),
    Row("containers", "CAB", REFUSED, UNPACK, pushed("a.cab", b"MSCF" + bytes(90))),
    Row("containers", "one part of a zip", REFUSED, "Unpack all parts", pushed("a.z01", b"PK\x07\x08" + bytes(90))),
    Row("containers", "more than 5,000 files", REFUSED, "Give the folder of one head scan", too_many),
    Row("containers", "640 thin slices", NOTED, "640 slices of 0.25 mm were averaged, 2 at a time", many, averaged),
    Row("series", "beside it a bone kernel", NOTED, FIRST, beside(ConvolutionKernel="H70h"), whole),
    Row("series", "beside it computed slices", NOTED, FIRST, beside(ImageType=["DERIVED", "SECONDARY", "MPR"]), whole),
    Row("series", "beside it an angiography", NOTED, FIRST, beside(SeriesDescription="CTA 0.6"), whole),
    Row("series", "beside it a head with contrast agent", NOTED, FIRST, beside(ContrastBolusAgent="Iodine"), whole),
    Row("series", "beside it perfusion, which repeats the same places", NOTED, FIRST, beside(times=4), whole),
    Row("series", "beside it a coronal reformat", NOTED, FIRST, beside(letters="LIP"), whole),
    Row("series", "beside it another part of the body", NOTED, FIRST, beside(SeriesDescription="C-Spine 3.0"), whole),
    Row("series", "beside it a series of air only", NOTED, FIRST, beside(EMPTY), whole),
    Row("series", "beside it a series without HU", NOTED, FIRST, beside(RescaleSlope=None), whole),
    Row(
        "series",
        "beside it a name in a description",
        NOTED,
        "series 2 of 2 (18",
        beside(SeriesDescription="Doe"),
        whole,
    ),
    Row("series", "beside it another examination", NOTED, "2 examinations", beside(StudyInstanceUID="1.9"), whole),
    Row("series", "beside it another patient", NOTED, "scans of 2 patients", beside(PatientID="2"), whole),
    Row("series", "a UID for each file", NOTED, "18 files have a series UID each", single_files(), whole),
    Row("series", "a patient for each file", REFUSED, "of one slice each", single_files(PatientID=str)),
    Row("series", "a damaged file among whole ones", NOTED, "1 damaged file", slices(with_a_damaged_file), whole),
    Row("NIfTI", "one file", READ, "", nifti("scan.nii.gz"), whole),
    Row("NIfTI", "HU + 1024", NOTED, "CT numbers (HU + 1024)", nifti("a.nii", lambda: head() + 1024), whole),
    Row("NIfTI", "header and image (.hdr, .img)", READ, "", two_halves, with_ml),
    Row("NIfTI", "Analyze 7.5", NOTED, ASSUMED, lambda folder: two_halves(folder, analyze=True), with_ml),
    Row("NIfTI", "the header alone", REFUSED, "Give its .img file too", half),
    Row(
        "NIfTI", "row, column, slice with the identity", NOTED, NO_TRUST, odd_nifti(array((1, 2, 0)), ones), without_ml
    ),
    Row(
        "NIfTI", "slice, row, column with the identity", NOTED, NO_TRUST, odd_nifti(array((0, 1, 2)), ones), without_ml
    ),
    Row(
        "NIfTI",
        "an affine of whole mm",
        NOTED,
        NO_TRUST,
        odd_nifti(array((1, 2, 0)), lambda: np.diag([1.0, 1, 5, 1])),
        without_ml,
    ),
    Row(
        "NIfTI",
        "an affine of sizes without an origin",
        NOTED,
        "The affine has no origin",
        odd_nifti(array((0, 1, 2)), sizes((0, 1, 2))),
        with_ml,
    ),
    Row(
        "NIfTI",
        "slice, row, column with an affine of x, y, z",
        NOTED,
        "The voxel sizes belong to other axes",
        odd_nifti(array((0, 1, 2)), affine),
        without_ml,
    ),
    Row(
        "NIfTI",
        "sform against qform and pixdim",
        NOTED,
        "Neither is believed",
        lambda folder: places.forms(folder / "a.nii", affine() @ np.diag([1.2, 1.2, 1, 1])),
        without_ml,
    ),
    Row(
        "NIfTI",
        "sform and qform mirror each other",
        NOTED,
        "disagree on left and right",
        lambda folder: places.forms(folder / "a.nii", affine(), np.diag([-1.0, 1, 1, 1]) @ affine()),
        with_ml,
    ),
    Row(
        "NIfTI",
        "neither sform nor qform",
        NOTED,
        ASSUMED,
        odd_nifti(array((0, 1, 2)), sizes((0, 1, 2)), **places.NO_FORMS),
        with_ml,
    ),
    Row(
        "NIfTI",
        "the wrong unit",
        NOTED,
        "They are read as mm",
        odd_nifti(lambda: places.grid()[0], affine, unit="meter"),
        with_ml,
    ),
    Row(
        "NIfTI",
        "a head of impossible size",
        NOTED,
        "the inside of the skull would be",
        odd_nifti(lambda: places.grid()[0], lambda: np.diag([2.0, 2, 1, 1]) @ affine()),
        without_ml,
    ),
    Row(
        "NIfTI",
        "tilted beyond 45 degrees",
        NOTED,
        "tilted by 50 degrees",
        odd_nifti(lambda: places.grid()[0], tilted),
        with_ml,
    ),
    Row(
        "NIfTI", "voxels that start at 0", READ, "", odd_nifti(lambda: places.grid()[0], affine, vox_offset=0), with_ml
    ),
    Row(
        "NIfTI",
        "a folder of dcm2niix",
        NOTED,
        "Read: 5_Eq_1.nii",
        several("5.nii", "5_Eq_1.nii", "5_Tilt_1.nii"),
        with_ml,
    ),
    Row("NIfTI", "a scan and its mask", NOTED, "Left out: 1 mask", several("5.nii", "5_mask.nii"), with_ml),
    Row("NIfTI", "two scans", REFUSED, "Give one of them", several("5.nii", "6.nii")),
    Row("NIfTI", "several volumes", REFUSED, "a head CT is one volume", values_of((20, 24, 18, 2), np.int16)),
    Row("NIfTI", "complex numbers", REFUSED, "colors or complex numbers", values_of((20, 24, 18), np.complex64)),
    Row("pictures", "PNG", NOTED, "HU unknown", picture("a.png"), grays),
    Row("pictures", "single files, in any order", NOTED, "order of their file names", shuffled, three),
    Row(
        "pictures",
        "images and masks",
        NOTED,
        "Left out: 3 masks",
        folders(images=(40, 80), masks=None),
        three,
    ),
    Row(
        "pictures",
        "a folder for each window",
        NOTED,
        "rebuilt from the pictures of brain_window (40/80) and bone_window (600/2800)",
        folders(bone_window=(600, 2800), brain_window=(40, 80)),
        three_in_hu,
    ),
    Row(
        "pictures",
        "folders of windows with other names",
        NOTED,
        "and above 2000 HU the picture is black or white",
        folders(W80_L40=(40, 80), subdural=(80, 200), bone=(600, 2800)),
        three_in_hu,
    ),
    Row(
        "pictures",
        "folders of windows that show other slices",
        NOTED,
        "bone was not used for HU",
        folders(brain=(40, 80), bone=(-600, 1500)),
        three,
    ),
    Row("pictures", "two patients", REFUSED, "Give one of them", folders(p049=(40, 80), p050=(40, 80))),
    Row(
        "pictures",
        "several slices on a sheet",
        NOTED,
        "a sheet of 2 x 2 slices",
        drawn("a.png", lambda: frames.sheet(2, 2)),
        four,
    ),
    Row("pictures", "a tinted film", NOTED, "HU unknown", drawn("a.png", film), twenty),
    Row(
        "pictures",
        "a white rim",
        NOTED,
        "A rim around the slice",
        drawn("a.png", lambda: frames.framed((255, 20))),
        inner,
    ),
    Row("pictures", "a transparent surround", NOTED, "HU unknown", drawn("a.png", see_through), visible),
    Row("pictures", "a mask", REFUSED, "is a mask, not a slice", drawn("a.png", frames.mask)),
    Row(
        "pictures",
        "a mask in colors",
        REFUSED,
        "is a mask in colors",
        drawn("a.png", lambda: frames.colored((255, 0, 0))),
    ),
    Row("pictures", "a color photo", REFUSED, "is a color picture", drawn("a.png", photo)),
    Row("pictures", "a preview among the slices", NOTED, "1 picture of another size", with_a_preview, four_from_18),
    Row("pictures", "TIFF whose white is 0", NOTED, "HU unknown", white_is_zero, twenty),
    Row("pictures", "JPG in CMYK", NOTED, "HU unknown", cmyk, about_twenty),
    Row("pictures", "JPG", NOTED, "HU unknown", picture("a.jpg", quality=100), grays),
    Row("pictures", "TIFF", NOTED, "HU unknown", picture(TIFF), grays),
    Row("pictures", "TIFF, LZW", NOTED, "HU unknown", picture(TIFF, compression="tiff_lzw"), grays),
    Row("pictures", "TIFF of several pages", NOTED, "order of their file names", stack, eighteen),
    Row("pictures", "BMP", NOTED, "HU unknown", picture("a.bmp"), grays),
    Row("pictures", "WebP", NOTED, "HU unknown", picture("a.webp", lossless=True), grays),
    Row("pictures", "photo held sideways (EXIF)", NOTED, "HU unknown", turned, upright),
    Row("pictures", "16-bit PNG of HU + 1024", NOTED, "CT numbers (HU + 1024)", picture(PNG16, HU1024), hounsfield),
    Row("pictures", "16-bit TIFF of HU + 1024", NOTED, "CT numbers (HU + 1024)", picture(TIFF, HU1024), hounsfield),
    Row(
        "pictures",
        "32-bit TIFF of HU",
        NOTED,
        "CT numbers (HU)",
        picture(TIFF, lambda: numbers().astype(np.float32)),
        hounsfield,
    ),
    Row(
        "pictures",
        "16-bit PNG of HU + 32768",
        NOTED,
        "CT numbers (HU + 32768)",
        picture(PNG16, lambda: (numbers() + 32768).astype(np.uint16)),
        hounsfield,
    ),
    Row(
        "pictures",
        "numbers that are neither",
        REFUSED,
        "neither grays nor CT numbers",
        picture(TIFF, lambda: np.linspace(-9e3, 9e3, 4096, dtype=np.float32).reshape(64, 64)),
    ),
    Row("pictures", "GIF", REFUSED, "looks like a GIF picture", picture("a.gif")),
    Row("pictures", "HEIC", REFUSED, "the picture as PNG", pushed("a.heic", b"\0\0\0\x18ftypheic" + bytes(90))),
    Row("true mask", "NIfTI on the grid of the scan", READ, "", outline(), planted_truth, truth_of_nifti),
    Row(
        "true mask",
        "the folder of scan and mask",
        READ,
        "",
        several("5.nii", "5_mask.nii"),
        planted_truth,
        truth_of_nifti,
    ),
    Row(
        "true mask",
        "pictures, with their slices",
        READ,
        "",
        folders(images=(40, 80), masks=None),
        truth_of_three,
        truth_of_pictures,
    ),
    Row(
        "true mask",
        "NIfTI without an orientation",
        REFUSED,
        "Save it with the affine of the scan",
        outline(**places.NO_FORMS),
        None,
        truth_of_nifti,
    ),
    Row(
        "true mask",
        "a CT",
        REFUSED,
        "that is a CT, not a mask",
        odd_nifti(lambda: places.grid()[0], affine),
        None,
        truth_of_nifti,
    ),
    Row(
        "true mask",
        "slices or photos",
        REFUSED,
        "that is a slice or a photo, not a mask",
        folders(images=(40, 80)),
        None,
        truth_of_pictures,
    ),
    *(Row("slices", one.case, NOTED if one.words else READ, one.words, one.write, one.check) for one in STACKS),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind}: {row.case}")
def test_what_comes_in_and_what_happens(tmp_path, row):
    path = row.write(tmp_path)
    if row.happens == REFUSED:
        with pytest.raises(ReadError) as refusal:
            row.reader(path)
        assert row.words in str(refusal.value)
        assert refusal.value.code != "unreadable"
        return
    scan = row.reader(path)
    notes = scan.notes if isinstance(scan, Scan) else ()
    if row.happens == READ:
        always = ("identifying", "only one slice", "no volume in mL is given", "do not state the positions")
        assert not [note for note in notes if not any(words in note for words in always)]
    assert row.words in " ".join(notes)
    if row.check:
        row.check(scan)


def test_no_row_is_there_twice():
    assert len({(row.kind, row.case) for row in ROWS}) == len(ROWS)
    assert all(row.words for row in ROWS if row.happens != READ)


def markdown() -> str:
    """The table as a page, with one chapter for each kind."""
    lines = ["| kind | what comes in | what happens | words |", "|---|---|---|---|"]
    for kind in dict.fromkeys(row.kind for row in ROWS):
        lines += [f"| {kind} | {row.case} | {row.happens} | {row.words} |" for row in ROWS if row.kind == kind]
    return "\n".join(lines) + "\n"


def test_the_page_of_the_table_is_up_to_date():
    """The page is up to date. `python docs/reading.py` writes it."""
    assert PAGE.read_text().endswith(markdown()), "run python docs/reading.py"
