"""What comes in and what happens: one table. Each row writes a file of some kind and says what the reader does with it.

`markdown()` gives the table for a page. A row reads the planted head, or a plane of it, or is refused in a sentence.
"""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from PIL import Image
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
from ich_lib.readers import ReadError, read
from tests.dicom_files import INTERCEPT, ct_dataset, write_series, write_slice
from tests.planted import head, laid_out
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
        write: makes it in a folder and returns its path.
        check: compares the scan with what was planted; None where the kind leaves only its shape.
    """

    kind: str
    case: str
    happens: str
    words: str
    write: Callable[[Path], Path]
    check: Callable | None = None


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
    for n in range(2001):
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


LOSS = "compressed with loss"
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
        "a way of one maker",
        REFUSED,
        "private way of its maker",
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
    Row("containers", "DICOMDIR alone", REFUSED, "Give the whole folder", contents),
    Row("containers", "zip in a zip", REFUSED, UNPACK, nested),
    Row("containers", "zip with a password", REFUSED, "locked with a password", locked),
    Row("containers", "zip bomb", REFUSED, "no scanner uses", lambda f: zipped(f / "a.zip", {"a": bytes(20_000_000)})),
    Row("containers", "archive of links", REFUSED, "holds no file", sparse_tar),
    Row("containers", "RAR", REFUSED, UNPACK, pushed("a.rar", b"Rar!\x1a\x07\x00" + bytes(90))),
    Row("containers", "CAB", REFUSED, UNPACK, pushed("a.cab", b"MSCF" + bytes(90))),
    Row("containers", "one part of a zip", REFUSED, "Unpack all parts", pushed("a.z01", b"PK\x07\x08" + bytes(90))),
    Row("containers", "more than 2,000 files", REFUSED, "Give the folder of one head scan", too_many),
    Row("containers", "640 thin slices", NOTED, "640 slices of 0.25 mm were averaged, 2 at a time", many, averaged),
    Row("pictures", "PNG", NOTED, "HU unknown", picture("a.png"), grays),
    Row("pictures", "JPG", NOTED, "HU unknown", picture("a.jpg", quality=100), grays),
    Row("pictures", "TIFF", NOTED, "HU unknown", picture(TIFF), grays),
    Row("pictures", "TIFF, LZW", NOTED, "HU unknown", picture(TIFF, compression="tiff_lzw"), grays),
    Row("pictures", "TIFF of several pages", NOTED, "order of their names", stack, eighteen),
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
    *(Row("slices", one.case, NOTED if one.words else READ, one.words, one.write, one.check) for one in STACKS),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind}: {row.case}")
def test_what_comes_in_and_what_happens(tmp_path, row):
    path = row.write(tmp_path)
    if row.happens == REFUSED:
        with pytest.raises(ReadError) as refusal:
            read(path)
        assert row.words in str(refusal.value)
        return
    scan = read(path)
    detector = ("identifying", "One slice only", "nothing is given in mL", "files do not say where the slices lie")
    notes = [note for note in scan.notes if not any(words in note for words in detector)]
    if row.happens == READ:
        assert not notes
    assert row.words in " ".join(notes)
    if row.check:
        row.check(scan)


def test_no_row_is_there_twice():
    assert len({(row.kind, row.case) for row in ROWS}) == len(ROWS)
    assert all(row.words for row in ROWS if row.happens != READ)


def markdown() -> str:
    """The table for a page."""
    lines = ["| kind | what comes in | what happens | words |", "|---|---|---|---|"]
    lines += [f"| {row.kind} | {row.case} | {row.happens} | {row.words} |" for row in ROWS]
    return "\n".join(lines) + "\n"
