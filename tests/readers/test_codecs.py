"""Every compression of DICOM: frames from another program's encoder are decoded to the planted HU."""

import gzip
import subprocess
import zlib
from shutil import which

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ich_lib.readers import ReadError, read
from ich_lib.readers.jpeg import frame_size
from ich_lib.readers.limits import LIMITS
from tests.dicom_files import INTERCEPT, ct_dataset, write_slice
from tests.planted import head

imagecodecs = pytest.importorskip("imagecodecs")


def plane():
    """(32, 48) HU: an enlarged head slice with a ramp, so that no predictor is right by chance."""
    hu = np.pad(head()[9], ((4, 4), (14, 14)), constant_values=-1000)
    hu[8:24, 10:38] += np.arange(28)
    return hu


def write(path, syntax, frames, stored, *, bits=12, signed=0, intercept=INTERCEPT, **tags):
    """A CT file of compressed frames: the bytes come from an encoder."""
    ds = ct_dataset(np.zeros(stored.shape[-2:]), intercept)
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, signed
    for tag, value in tags.items():
        setattr(ds, tag, value)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    private = {} if UID(syntax).is_transfer_syntax else {"implicit_vr": False, "little_endian": True}
    ds.save_as(path, enforce_file_format=True, **private)
    return path


def jpeg8(stored, **options):
    return imagecodecs.jpeg8_encode(stored, **options)


LOSSLESS = {  # encoder and decoder are different programs where possible
    "JPEG Lossless, liblj92": (JPEGLosslessSV1, lambda a, bits: imagecodecs.ljpeg_encode(a, bitspersample=bits)),
    "JPEG 2000": (JPEG2000Lossless, lambda a, bits: imagecodecs.jpeg2k_encode(a, level=0, codecformat="j2k")),
    "JPEG 2000 in a JP2 box": (JPEG2000Lossless, lambda a, bits: imagecodecs.jpeg2k_encode(a, level=0)),
    "HTJ2K, OpenJPH": (HTJ2KLossless, lambda a, bits: imagecodecs.htj2k_encode(a, reversible=True)),
    "HTJ2K RPCL, OpenJPH": (HTJ2KLosslessRPCL, lambda a, bits: imagecodecs.htj2k_encode(a, reversible=True)),
    "JPEG-LS": (JPEGLSLossless, lambda a, bits: imagecodecs.jpegls_encode(a)),
} | {
    f"JPEG Lossless, predictor {k}": (
        JPEGLossless,
        lambda a, bits, k=k: jpeg8(a, lossless=True, predictor=k, bitspersample=bits),
    )
    for k in range(1, 8)
}


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize(("syntax", "encode"), LOSSLESS.values(), ids=LOSSLESS.keys())
def test_a_lossless_compression_gives_every_hu_back(tmp_path, syntax, encode, bits):
    stored = (plane() - INTERCEPT).astype(np.uint16)
    scan = read(write(tmp_path / "IM1", syntax, [encode(stored, bits)], stored, bits=bits))
    np.testing.assert_array_equal(scan.hu[0], plane())
    assert "loss" not in " ".join(scan.notes)


@pytest.mark.parametrize("bits", [13, 16])
@pytest.mark.parametrize("name", ["JPEG Lossless, liblj92", "JPEG Lossless, predictor 1", "JPEG-LS"])
def test_negative_values_that_a_codestream_cannot_mark_as_such_come_back(tmp_path, name, bits):
    syntax, encode = LOSSLESS[name]
    words = plane().astype(np.int16).view(np.uint16) & np.uint16(2**bits - 1)
    path = write(tmp_path / "IM1", syntax, [encode(words, bits)], words, bits=bits, signed=1, intercept=0)
    np.testing.assert_array_equal(read(path).hu[0], plane())


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless])
@pytest.mark.parametrize("marked", [True, False], ids=["marked as signed", "not marked"])
def test_jpeg_2000_of_negative_values_comes_back(tmp_path, syntax, marked):
    signed = plane().astype(np.int16)
    stored = signed if marked else signed.view(np.uint16)
    encode = LOSSLESS["JPEG 2000" if syntax == JPEG2000Lossless else "HTJ2K, OpenJPH"][1]
    path = write(tmp_path / "IM1", syntax, [encode(stored, 16)], stored, bits=16, signed=1, intercept=0)
    np.testing.assert_array_equal(read(path).hu[0], plane())


def test_run_length_encoding_by_pydicom_comes_back(tmp_path):
    ds = ct_dataset(plane())
    ds.compress(RLELossless, encoding_plugin="pydicom")
    ds.save_as(tmp_path / "IM1", enforce_file_format=True)
    np.testing.assert_array_equal(read(tmp_path / "IM1").hu[0], plane())


LOSSY = {
    "JPEG Extended": (JPEGExtended12Bit, lambda a: jpeg8(a, level=97, bitspersample=12), 12, "JPEG Extended", 40),
    "JPEG Baseline": (JPEGBaseline8Bit, lambda a: jpeg8((a >> 4).astype(np.uint8), level=97), 8, "JPEG Baseline", 60),
    "JPEG-LS": (JPEGLSNearLossless, lambda a: imagecodecs.jpegls_encode(a, level=3), 12, "JPEG-LS Lossy", 3),
    "JPEG 2000": (
        JPEG2000,
        lambda a: imagecodecs.jpeg2k_encode(a, level=90, codecformat="j2k", reversible=False),
        12,
        "JPEG 2000",
        40,
    ),
    "HTJ2K": (HTJ2K, lambda a: imagecodecs.htj2k_encode(a, reversible=False), 12, "High-Throughput JPEG 2000", 40),
}


@pytest.mark.parametrize(("syntax", "encode", "bits", "name", "most_hu"), LOSSY.values(), ids=LOSSY.keys())
def test_a_lossy_compression_is_read_and_said(tmp_path, syntax, encode, bits, name, most_hu):
    stored = (plane() - INTERCEPT).astype(np.uint16)
    tags = {"RescaleSlope": 16 if bits == 8 else 1, "BitsAllocated": 8 if bits == 8 else 16}
    scan = read(write(tmp_path / "IM1", syntax, [encode(stored)], stored, bits=bits, **tags))
    assert f"The slices were compressed with loss ({name}): HU may be off." in scan.notes
    assert np.abs(scan.hu[0] - plane()).max() <= most_hu


def test_a_lossy_syntax_that_lost_nothing_says_nothing_and_an_early_loss_stays_known(tmp_path):
    stored = (plane() - INTERCEPT).astype(np.uint16)
    frame = LOSSLESS["JPEG 2000"][1](stored, 12)
    full = read(write(tmp_path / "IM1", JPEG2000, [frame], stored, LossyImageCompression="00"))
    assert "loss" not in " ".join(full.notes)
    plain = read(write_slice(tmp_path / "IM2", plane(), LossyImageCompression="01"))
    assert "The slices were compressed with loss (an earlier compression): HU may be off." in plain.notes


@pytest.mark.parametrize("decode", ["ljpeg_decode", "jpegsof3_decode"])
def test_two_other_programs_read_the_same_from_a_lossless_jpeg(decode):
    stored = (plane() - INTERCEPT).astype(np.uint16)
    packed = jpeg8(stored, lossless=True, predictor=1, bitspersample=12)
    np.testing.assert_array_equal(getattr(imagecodecs, decode)(packed), imagecodecs.jpeg8_decode(packed))


dcmtk = pytest.mark.skipif(which("dcmcjpeg") is None, reason="dcmtk is not installed: one oracle less for JPEG.")


@dcmtk
@pytest.mark.parametrize(
    ("flag", "syntax"), [("+e1", JPEGLosslessSV1), ("+el", JPEGLossless), ("+ee", JPEGExtended12Bit)]
)
def test_dcmtk_writes_what_is_read(tmp_path, flag, syntax):
    plain, packed = write_slice(tmp_path / "IM1", plane()), tmp_path / "IM2"
    subprocess.run(["dcmcjpeg", flag, plain, packed], check=True, capture_output=True)
    assert dcmread(packed).file_meta.TransferSyntaxUID == syntax
    scan = read(packed)
    np.testing.assert_allclose(scan.hu[0], plane(), atol=30 if flag == "+ee" else 0)


@dcmtk
def test_dcmtk_reads_twelve_bit_jpeg_alike(tmp_path):
    stored = (plane() - INTERCEPT).astype(np.uint16)
    path = write(tmp_path / "IM1", JPEGExtended12Bit, [jpeg8(stored, level=90, bitspersample=12)], stored)
    subprocess.run(["dcmdjpeg", path, tmp_path / "IM2"], check=True, capture_output=True)
    apart = read(tmp_path / "IM2").hu - read(path).hu
    assert np.abs(apart).max() <= 1  # two inverse transforms round


def test_a_multi_frame_file_of_several_fragments_is_read_frame_by_frame(tmp_path):
    stored = np.stack([plane() - INTERCEPT, plane() - INTERCEPT + 7]).astype(np.uint16)
    frames = [imagecodecs.ljpeg_encode(frame, bitspersample=12) for frame in stored]
    path = tmp_path / "IM1"
    ds = dcmread(write(path, JPEGLosslessSV1, frames, stored, NumberOfFrames=2))
    ds.PixelData = encapsulate(frames, fragments_per_frame=2)
    ds.save_as(path)
    np.testing.assert_array_equal(read(path).hu, stored + np.float32(INTERCEPT))


# --- packed as a whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_plain_syntaxes_give_every_hu_back(tmp_path, syntax):
    path = deflated(tmp_path) if syntax == DeflatedExplicitVRLittleEndian else tmp_path / "IM1"
    if syntax != DeflatedExplicitVRLittleEndian:
        ds = ct_dataset(plane())
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        ds.PixelData = (plane() - INTERCEPT).astype("<u2" if syntax.is_little_endian else ">u2").tobytes()
        ds.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read(path).hu[0], plane())


def deflated(folder, *, wbits=-15, after=b"", cut=None):
    plain = write_slice(folder / "plain", plane()).read_bytes()
    at = plain.index(b"\x08\x00\x08\x00")  # the first element behind group 2
    start = plain[:at].replace(b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x16\x001.2.840.10008.1.2.1.99")
    size = int.from_bytes(start[140:144], "little") + 2
    packer = zlib.compressobj(wbits=wbits)
    body = packer.compress(plain[at:] + after) + packer.flush()
    path = folder / "IM1"
    path.write_bytes(start[:140] + size.to_bytes(4, "little") + start[144:] + body[:cut])
    return path


def test_deflate_with_a_zlib_header_against_the_standard_is_read_too(tmp_path):
    np.testing.assert_array_equal(read(deflated(tmp_path, wbits=15)).hu[0], plane())


def test_gzipped_dicom_reads_like_the_files(tmp_path):
    for k in range(3):
        path = write_slice(tmp_path / f"IM{k}", plane() + k, InstanceNumber=k)
        path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    np.testing.assert_array_equal(read(tmp_path).hu[1], plane() + 1)


def test_a_deflated_file_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    zeros = b"\x08\x00\x09\x99OB\0\0" + (40_000_000).to_bytes(4, "little") + bytes(40_000_000)
    with pytest.raises(ReadError, match="IM1 unpacks to more than 200 times its size; no CT slice does"):
        read(deflated(tmp_path, after=zeros))
    packed = tmp_path / "bomb.gz"
    packed.write_bytes(gzip.compress(write_slice(tmp_path / "IM1", plane()).read_bytes() + bytes(40_000_000)))
    with pytest.raises(ReadError, match=r"bomb\.gz unpacks to more than 200 times its size"):
        read(packed)
    monkeypatch.setitem(LIMITS, "file_bytes", 2000)
    with pytest.raises(ReadError, match=r"IM1 unpacks to more than \d times its size"):
        read(deflated(tmp_path))


def test_a_cut_deflated_file_is_damaged(tmp_path):
    with pytest.raises(ReadError, match="IM1 is damaged or cut short"):
        read(deflated(tmp_path, cut=300))
    full = gzip.compress((tmp_path / "plain").read_bytes())
    (tmp_path / "a.gz").write_bytes(full[:-8])  # complete except for the checksum
    with pytest.raises(ReadError, match=r"a\.gz is damaged or cut short"):
        read(tmp_path / "a.gz")


# --- what is not read, and what lies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syntax", "words"),
    [(MPEG2MPML, "compressed as MPEG2 Main Profile"), ("1.2.3.4", "compressed in a private format")],
)
def test_a_compression_that_cannot_be_read_is_named(tmp_path, syntax, words):
    path = write(tmp_path / "IM1", UID(syntax), [b"\0" * 64], plane())
    with pytest.raises(ReadError, match=f"IM1 is {words}.*Export it uncompressed"):
        read(path)


def test_without_the_library_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    from pydicom.pixels import get_decoder

    monkeypatch.setattr(get_decoder(JPEGLosslessSV1), "_available", {})
    stored = (plane() - INTERCEPT).astype(np.uint16)
    path = write(tmp_path / "IM1", JPEGLosslessSV1, [LOSSLESS["JPEG Lossless, liblj92"][1](stored, 12)], stored)
    words = "IM1 is compressed as JPEG Lossless, which is not read here. Install it: pip install imagecodecs"
    with pytest.raises(ReadError, match=words):
        read(path)


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_frame_that_claims_another_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch, name):
    syntax, encode = LOSSLESS[name]
    stored = (plane() - INTERCEPT).astype(np.uint16)
    frame = encode(stored, 12)
    assert frame_size(frame) == plane().shape
    path = write(tmp_path / "IM1", syntax, [frame], stored, Rows=40)
    monkeypatch.setattr("ich_lib.readers.codecs.import_module", None)  # no decoder is called
    with pytest.raises(ReadError, match="IM1 declares 48 x 40 px but holds a picture of 48 x 32 px"):
        read(path)


@pytest.mark.parametrize("name", LOSSLESS)
def test_garbage_in_a_codestream_is_one_sentence(tmp_path, name):
    syntax, encode = LOSSLESS[name]
    stored = (plane() - INTERCEPT).astype(np.uint16)
    frame = bytes(encode(stored, 12))
    path = write(tmp_path / "IM1", syntax, [frame[: len(frame) // 3]], stored)
    try:
        read(path)  # a decoder may fill the rest with gray; it must not crash
    except ReadError as problem:
        assert "IM1" in str(problem)  # noqa: PT017


# --- bits that are no pixel ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, JPEGLSLossless, JPEGLosslessSV1, JPEG2000Lossless, RLELossless]
)
@pytest.mark.parametrize("signed", [0, 1])
def test_an_overlay_in_the_high_bits_is_no_hu(tmp_path, syntax, signed):
    words = plane().astype(np.int16).view(np.uint16) & 0x0FFF if signed else (plane() - INTERCEPT).astype(np.uint16)
    words[5:20, 5:9] |= 0x3000
    path = high_bits(tmp_path / "IM1", syntax, words, signed)
    expected = np.clip(plane(), -2048, 2047)
    np.testing.assert_array_equal(read(path).hu[0], expected)


def high_bits(path, syntax, words, signed):
    tags = {"bits": 12, "signed": signed, "intercept": 0 if signed else INTERCEPT}
    if syntax in (ExplicitVRLittleEndian, RLELossless):
        ds = ct_dataset(plane(), tags["intercept"])
        ds.PixelRepresentation, ds.PixelData = signed, words.tobytes()
        if syntax == RLELossless:
            ds.BitsStored, ds.HighBit = 16, 15
            ds.compress(RLELossless, encoding_plugin="pydicom")
            ds.BitsStored, ds.HighBit = 12, 11
        ds.save_as(path, enforce_file_format=True)
        return path
    encode = {
        JPEGLSLossless: imagecodecs.jpegls_encode,
        JPEGLosslessSV1: lambda a: imagecodecs.ljpeg_encode(a, bitspersample=16),
        JPEG2000Lossless: lambda a: imagecodecs.jpeg2k_encode(a, level=0, codecformat="j2k"),
    }[syntax]
    return write(path, syntax, [encode(words)], words, **tags)


def test_pixels_that_start_above_bit_zero_are_moved_down(tmp_path):
    ds = ct_dataset(plane())
    ds.HighBit = 15
    ds.PixelData = ((plane() - INTERCEPT).astype(np.uint16) << 4).tobytes()
    ds.save_as(tmp_path / "IM1", enforce_file_format=True)
    np.testing.assert_array_equal(read(tmp_path / "IM1").hu[0], plane())


# --- padding -------------------------------------------------------------------------------------------------------


def padded(path, hu, value, **tags):
    ds = ct_dataset(hu, intercept=0)
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 16, 15
    ds.PixelData = hu.astype("<i2").tobytes()
    ds.add_new("PixelPaddingValue", "SS", value)
    for tag, limit in tags.items():
        ds.add_new(tag, "SS", limit)
    ds.save_as(path, enforce_file_format=True)
    return path


def test_a_padding_value_of_zero_is_water_inside_the_head_and_air_around_the_field(tmp_path):
    hu = plane()
    hu[12:15, 20:23] = 0  # water in the head
    np.testing.assert_array_equal(read(padded(tmp_path / "IM1", hu, 0)).hu[0], hu)
    around = hu.copy()
    around[:4] = around[-4:] = 0  # outside the field of view
    scan = read(padded(tmp_path / "IM2", around, 0))
    assert (scan.hu[0][:4] == -1024).all()
    assert (scan.hu[0][-4:] == -1024).all()
    np.testing.assert_array_equal(scan.hu[0][4:-4], hu[4:-4])


@pytest.mark.parametrize("value", [40, 900])
def test_a_padding_value_of_tissue_or_bone_does_not_bite_into_the_head(tmp_path, value):
    hu = plane()
    hu[10:14, 15:19] = value
    np.testing.assert_array_equal(read(padded(tmp_path / "IM1", hu, value)).hu[0], hu)


def test_a_padding_value_of_air_counts_everywhere(tmp_path):
    hu = plane()
    hu[10:12, 20:22] = -2000
    scan = read(padded(tmp_path / "IM1", hu, -2000))
    assert (scan.hu[0][10:12, 20:22] == -1024).all()


def test_a_padding_range_follows_the_same_rule(tmp_path):
    hu = plane()
    hu[:3], hu[12:14, 20:24] = 3, 2
    scan = read(padded(tmp_path / "IM1", hu, 0, PixelPaddingRangeLimit=5))
    assert (scan.hu[0][:3] == -1024).all()
    np.testing.assert_array_equal(scan.hu[0][3:], hu[3:])
