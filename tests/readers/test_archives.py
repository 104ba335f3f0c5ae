"""Every container gives the same head, and each follows the rules for archives of unknown origin."""

import bz2
import gzip
import io
import lzma
import stat
import subprocess
import tarfile
import zipfile
import zlib
from bisect import bisect
from functools import cache
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from pydicom.uid import MediaStorageDirectoryStorage

from ich_lib.readers import ReadError, read
from ich_lib.readers.entry import Shelf
from ich_lib.readers.limits import LIMITS
from tests.dicom_files import ct_dataset, write_series, write_slice
from tests.planted import head, laid_out

py7zr = pytest.importorskip("py7zr")


def zipped(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def packed64(data):
    """Deflate64 in one block of fixed codes (RFC 1951; APPNOTE.TXT 4.4.5, method 9). It is made here, so that it
    does not depend on the library that unpacks it. Every repeat is written as length code 285. This code holds 3 to
    65,538 bytes in Deflate64 and 258 in Deflate, and reaches 65,536 bytes back."""
    bits, seen, at = ["1", "10"], {}, 0
    backwards = lambda number, width: f"{number:0{width}b}"[::-1]  # noqa: E731
    literal = [f"{48 + byte:08b}" if byte < 144 else f"{256 + byte:09b}" for byte in range(256)]
    first = [1, 2, *(1 + (2 + half << power) for power in range(15) for half in (0, 1))]  # of each distance code
    while at < len(data):
        start, length = seen.get(data[at : at + 3], -65537), 0
        seen[data[at : at + 3]] = at
        if at - start <= 65536:
            while length < 65538 and at + length < len(data) and data[start + length] == data[at + length]:
                length += 1
        if length < 3:
            bits.append(literal[data[at]])
            at += 1
            continue
        code = bisect(first, at - start) - 1
        extra = backwards(at - start - first[code], max(0, code // 2 - 1)) if code > 3 else ""
        bits += [f"{285 - 88:08b}", backwards(length - 3, 16), f"{code:05b}", extra]
        at += length
    stream = "".join([*bits, "0000000"])
    stream += "0" * (-len(stream) % 8)
    return bytes(int(stream[k : k + 8][::-1], 2) for k in range(0, len(stream), 8))


def deflate64(path, files):
    """No Python library writes Deflate64, so entries and zip are made here."""
    entries, names = b"", b""
    for name, data in files.items():
        packed = packed64(data)
        sizes = (
            zlib.crc32(data).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + len(data).to_bytes(4, "little")
        )
        combined = b"\x14\0\0\0\x09\0\0\0\0\0" + sizes + len(name).to_bytes(2, "little") + b"\0\0"
        at = len(entries).to_bytes(4, "little")
        names += b"PK\x01\x02\x14\0" + combined + bytes(6) + bytes(4) + at + name.encode()
        entries += b"PK\x03\x04" + combined + name.encode() + packed
    count = len(files).to_bytes(2, "little")
    end = b"PK\x05\x06\0\0\0\0" + count * 2 + len(names).to_bytes(4, "little") + len(entries).to_bytes(4, "little")
    path.write_bytes(entries + names + end + b"\0\0")
    return path


def tarred(path, files, mode="w", form=tarfile.PAX_FORMAT):
    with tarfile.open(path, mode, format=form) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def seven(path, files, filters=None):
    with py7zr.SevenZipFile(path, "w", filters=filters) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return path


def disc(path, files):
    """A CD image with one folder below the root that holds all files (ECMA-119)."""
    sector = lambda data: data + bytes(-len(data) % 2048)  # noqa: E731
    at, records, body = 20, b"", b""
    for n, data in enumerate(files.values()):
        records += record(b"F%07d.;1" % n, at, len(data), 0)
        body += sector(data)
        at += -(-len(data) // 2048)
    own = record(b"\0", 19, 2048, 2) + record(b"\x01", 18, 2048, 2)
    rows, row = [], own
    for start in range(0, len(records), 46):  # a record never crosses a sector
        if len(row) + 46 > 2048:
            rows.append(sector(row))
            row = b""
        row += records[start : start + 46]
    rows.append(sector(row))
    shift = len(rows) - 1  # files come after the folder's own sectors
    if shift:
        at, records = 20 + shift, b""
        for n, data in enumerate(files.values()):
            records += record(b"F%07d.;1" % n, at, len(data), 0)
            at += -(-len(data) // 2048)
        rows, row = [], own
        for start in range(0, len(records), 46):
            if len(row) + 46 > 2048:
                rows.append(sector(row))
                row = b""
            row += records[start : start + 46]
        rows.append(sector(row))
    root = record(b"\0", 18, 2048, 2)
    volume = sector(b"\x01CD001\x01\0" + bytes(148) + root)
    folder = sector(root + record(b"\x01", 18, 2048, 2) + record(b"DICOM000", 19, 2048 * len(rows), 2))
    path.write_bytes(bytes(16 * 2048) + volume + sector(b"\xffCD001\x01") + folder + b"".join(rows) + body)
    return path


def record(name, at, size, flags):
    combined = lambda number: number.to_bytes(4, "little") + number.to_bytes(4, "big")  # noqa: E731
    data = (
        b"\0"
        + combined(at)
        + combined(size)
        + bytes(7)
        + bytes([flags])
        + bytes(2)
        + b"\x01\0\0\x01"
        + bytes([len(name)])
        + name
    )
    data += bytes((len(data) + 1) % 2)
    return bytes([len(data) + 1]) + data


PACKERS = {
    "zip": zipped,
    "zip, stored": lambda path, files: zipped(path, files, zipfile.ZIP_STORED),
    "zip, bzip2": lambda path, files: zipped(path, files, zipfile.ZIP_BZIP2),
    "zip, LZMA": lambda path, files: zipped(path, files, zipfile.ZIP_LZMA),
    "zip, Deflate64": deflate64,
    "tar": tarred,
    "tar, GNU": lambda path, files: tarred(path, files, form=tarfile.GNU_FORMAT),
    "tar, ustar": lambda path, files: tarred(path, files, form=tarfile.USTAR_FORMAT),
    "tar.gz": lambda path, files: tarred(path, files, "w:gz"),
    "tar.bz2": lambda path, files: tarred(path, files, "w:bz2"),
    "tar.xz": lambda path, files: tarred(path, files, "w:xz"),
    "7z": seven,
    "7z, BZip2": lambda path, files: seven(path, files, [{"id": py7zr.FILTER_BZIP2}]),
    "7z, PPMd": lambda path, files: seven(path, files, [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 20}]),
    "7z, copied": lambda path, files: seven(path, files, [{"id": py7zr.FILTER_COPY}]),
    "CD image": disc,
}
NAMED = [name for name in PACKERS if name != "CD image"]  # those that keep a name unchanged
each = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())


@cache
def _study():
    with TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in write_series(Path(folder), *laid_out(head(), "LPS"))}


def study(folder=None):
    """A series as on a CD, DICOM without suffixes in two folders; also written to `folder` if there is one."""
    for name, data in _study().items() if folder else ():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {f"DICOM/S{n % 2}/{name}": data for n, (name, data) in enumerate(_study().items())}


@each
def test_a_study_comes_out_of_every_container_alike(tmp_path, pack):
    scan = read(pack(tmp_path / "study", study()))
    np.testing.assert_array_equal(scan.hu, head())
    assert scan.spacing_known
    assert "another kind" not in " ".join(scan.notes)


@each
def test_a_container_among_other_files_is_opened_too(tmp_path, pack):
    files = list(study(tmp_path / "dicom").items())
    packed = pack(tmp_path / "half", dict(files[:9]))
    loose = [tmp_path / "dicom" / Path(name).name for name, _ in files[9:]]
    np.testing.assert_array_equal(read([packed, *loose]).hu, head())


JUNK = {
    "__MACOSX/._IM1": b"x" * 20,
    ".DS_Store": b"x" * 20,
    "DICOM/Thumbs.db": b"x" * 20,
    "DICOM/DICOMDIR": b"x" * 20,
    "../../../etc/cron.d/x": b"words and more words",
    "..\\..\\windows\\x.txt": b"words and more words",
}


@pytest.mark.parametrize("name", NAMED)
def test_system_files_and_names_that_climb_out_do_not_count_and_write_nothing(tmp_path, name):
    (tmp_path / "in").mkdir()
    junk = {own: data for own, data in JUNK.items() if not (name.startswith("7z") and own.startswith("."))}
    packed = PACKERS[name](tmp_path / "in" / "study", study() | junk)  # py7zr writes no name that leaves the folder
    before = sorted(tmp_path.rglob("*"))
    scan = read(packed)
    np.testing.assert_array_equal(scan.hu, head())
    assert "another kind" not in " ".join(scan.notes)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", [name for name in NAMED if not name.startswith("7z")])  # py7zr cannot write one
def test_absolute_names_are_names_only(tmp_path, name):
    target = tmp_path / "written"
    packed = PACKERS[name](tmp_path / "study", study() | {str(target): b"words and more words"})
    scan = read(packed)
    np.testing.assert_array_equal(scan.hu, head())
    assert "Left out: 1 file of another kind." in scan.notes
    assert not target.exists()


# an empty tar contains only zeros
@pytest.mark.parametrize("name", [name for name in PACKERS if not name.startswith("tar")])
def test_an_empty_container_holds_no_file(tmp_path, name):
    with pytest.raises(ReadError, match=r"study holds no file\. Give DICOM"):
        read(PACKERS[name](tmp_path / "study", {}))


@each
def test_too_many_files_are_refused_by_the_list(tmp_path, monkeypatch, pack):
    packed = pack(tmp_path / "study", study())
    monkeypatch.setitem(LIMITS, "files", 10)
    unread(monkeypatch)
    with pytest.raises(ReadError, match=r"^study holds (more than 10|18) files.* Give one head scan"):
        read(packed)


@each
def test_too_much_to_unpack_is_refused_by_the_list(tmp_path, monkeypatch, pack):
    packed = pack(tmp_path / "study", study())
    monkeypatch.setitem(LIMITS, "unpacked_bytes", 5000)
    unread(monkeypatch)
    with pytest.raises(ReadError, match=r"^study unpacks to more than 0 MB\. Give one head scan"):
        read(packed)


@each
def test_a_container_that_is_too_large_is_refused_before_its_list_is_read(tmp_path, monkeypatch, pack):
    packed = pack(tmp_path / "study", study())
    monkeypatch.setitem(LIMITS, "archive_bytes", 1000)
    monkeypatch.setattr("ich_lib.readers.archive._LISTS", {})
    with pytest.raises(ReadError, match=r"^study has .* MB; the maximum is 0 MB"):
        read(packed)


def unread(monkeypatch):
    """No file in an archive may be opened: the archive is judged by its list."""

    def opened(*_):
        raise AssertionError("an entry was opened")

    for where in ("zips._opened", "sevens._Contents._unpack", "entry._slice"):
        monkeypatch.setattr(f"ich_lib.readers.{where}", opened)


PACKING = [
    name for name in PACKERS if name not in ("zip, stored", "tar", "tar, GNU", "tar, ustar", "7z, copied", "CD image")
]


@pytest.mark.parametrize("name", PACKING)
def test_a_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch, name):
    packed = PACKERS[name](tmp_path / "study", {"IM1": bytes(30_000_000)})
    if not name.startswith("tar"):  # a packed tar has no list at the start; it is stopped while it is read
        unread(monkeypatch)
    with pytest.raises(ReadError, match=r"^study is packed in a way no scanner uses, so it was not opened"):
        read(packed)


@pytest.mark.parametrize("name", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_packed_tar_without_end_stops_before_it_fills_the_disk(tmp_path, monkeypatch, name):
    written, add = [], Shelf.add
    monkeypatch.setattr(Shelf, "add", lambda shelf, data: written.append(len(data)) or add(shelf, data))
    with pytest.raises(ReadError, match="packed in a way no scanner uses"):
        read(PACKERS[name](tmp_path / "study", {"IM1": bytes(30_000_000)}))
    assert sum(written) < 8_000_000


@each
def test_a_cut_container_is_one_sentence(tmp_path, pack):
    packed = pack(tmp_path / "study", study())
    data = packed.read_bytes()
    for share in (0.3, 0.6, 0.95):
        packed.write_bytes(data[: int(len(data) * share)])
        try:
            scan = read(packed)
        except ReadError as problem:
            assert "study" in str(problem) or "IM0" in str(problem) or "missing" in str(problem)  # noqa: PT017
        else:
            assert len(scan.hu) <= len(head())  # a tar ends with zeros that are not needed


@each
@pytest.mark.parametrize("inner", ["zip", "tar.gz", "7z"])
def test_an_archive_inside_an_archive_is_not_opened(tmp_path, pack, inner):
    nested = PACKERS[inner](tmp_path / "inner", study()).read_bytes()
    with pytest.raises(
        ReadError, match=r"looks like a \S+( archive)? inside a zip or folder.* Unpack it on your computer"
    ):
        read(pack(tmp_path / "study", {"inner": nested}))


def test_links_are_no_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"words and more words")
    files = study()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, str(secret)
            archive.addfile(link)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("soft")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(secret))
        for name, data in files.items():
            archive.writestr(name, data)
    (tmp_path / "soft").symlink_to(secret)
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.write(tmp_path / "soft", "soft")
        for name, data in files.items():
            archive.writestr(data, name)
    for name in ("a.tar", "a.zip", "a.7z"):
        scan = read(tmp_path / name)
        np.testing.assert_array_equal(scan.hu, head())
        assert "another kind" not in " ".join(scan.notes), name


# --- tar -----------------------------------------------------------------------------------------------------------


def test_a_tar_member_with_holes_that_promises_gigabytes_is_no_file(tmp_path):
    files = study()
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        hole = tarfile.TarInfo("hole")
        hole.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,0"}
        hole.pax_headers |= {"GNU.sparse.size": "900000000000", "GNU.sparse.name": "hole", "GNU.sparse.numblocks": "1"}
        archive.addfile(hole)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    np.testing.assert_array_equal(read(tmp_path / "a.tar").hu, head())


@pytest.mark.parametrize("kind", [b"x", b"L"], ids=["PAX record", "GNU long name"])
def test_a_tar_header_that_asks_for_gigabytes_is_refused(tmp_path, kind):
    path = tarred(tmp_path / "a.tar", {"IM1": b"x" * 600})
    data = bytearray(path.read_bytes())
    data[124:136], data[156:157] = b"77777777777\0", kind
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    with pytest.raises(ReadError, match=r"a\.tar has an endless list of files"):
        read(path)


def test_what_is_packed_alone_is_what_it_is(tmp_path):
    data = write_slice(tmp_path / "IM1", head()[9]).read_bytes()
    for name, pack in (("IM1.gz", gzip.compress), ("IM1.bz2", bz2.compress), ("IM1.xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack(data))
        np.testing.assert_array_equal(read(tmp_path / name).hu[0], head()[9])
    (tmp_path / "text.xz").write_bytes(lzma.compress(b"words and more words"))
    with pytest.raises(ReadError, match=r"text in text\.xz looks like plain text"):
        read(tmp_path / "text.xz")


# --- zip -----------------------------------------------------------------------------------------------------------


def test_zip_entries_that_share_their_bytes_are_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {f"IM{n}": b"x" * 100 for n in range(5)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while at >= 0:
        data[at + 42 : at + 46] = bytes(4)
        at = data.find(b"PK\x01\x02", at + 1)
    path.write_bytes(data)
    with pytest.raises(ReadError, match=r"a\.zip is packed in a way no scanner uses"):
        read(path)


def test_a_size_that_lies_is_noticed(tmp_path):
    slices = study()
    path = zipped(tmp_path / "a.zip", slices)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    size = int.from_bytes(data[at + 24 : at + 28], "little")
    data[at + 24 : at + 28] = (size - 40).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ReadError, match=r"a\.zip is damaged and could not be unpacked"):
        read(path)


def test_a_packing_that_python_does_not_know_is_named(tmp_path):
    path = zipped(tmp_path / "a.zip", {"IM1": b"x" * 100})
    data = bytearray(path.read_bytes())
    for sign, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.find(sign) + at] = 98
    path.write_bytes(data)
    with pytest.raises(
        ReadError, match=r"a\.zip is packed by method 98, which is not read here\. Unpack it on your comp"
    ):
        read(path)


def test_deflate64_is_named_where_it_cannot_be_unpacked(tmp_path, monkeypatch):
    output = r"windows\.zip is packed as Deflate64, as Windows does above 2 GB"
    path = deflate64(tmp_path / "windows.zip", {"IM1": write_slice(tmp_path / "IM1", head()[9]).read_bytes()})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    damaged = tmp_path / "damaged" / path.name
    damaged.parent.mkdir()
    damaged.write_bytes(data)
    with pytest.raises(ReadError, match=output + ", and could not be unpacked. .* zip the files again"):
        read(damaged)
    monkeypatch.setattr("ich_lib.readers.zips.find_spec", lambda _: None)
    with pytest.raises(ReadError, match=output + ", which is not read here. Unpack it on your computer"):
        read(path)


def test_one_part_of_a_zip_in_parts_is_told(tmp_path):
    path = tmp_path / "a.z01"
    path.write_bytes(b"PK\x07\x08" + zipped(tmp_path / "a.zip", {"IM1": b"x" * 999}).read_bytes())
    with pytest.raises(
        ReadError, match=r"a\.z01 looks like one part of a zip in several parts.* Unpack all parts together"
    ):
        read(path)


# --- 7z ------------------------------------------------------------------------------------------------------------


def test_a_7z_name_that_climbs_out_writes_nothing(tmp_path):
    path = tmp_path / "in" / "a.7z"
    path.parent.mkdir()
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.set_encoded_header_mode(False)
        for name, data in (study() | {"aa/aa/text": b"words and more words"}).items():
            archive.writestr(data, name)
    data = path.read_bytes().replace("aa/aa/text".encode("utf-16-le"), "../../text".encode("utf-16-le"))
    start = 32 + int.from_bytes(data[12:20], "little")
    place = data[12:28] + zlib.crc32(data[start : start + int.from_bytes(data[20:28], "little")]).to_bytes(4, "little")
    path.write_bytes(data[:8] + zlib.crc32(place).to_bytes(4, "little") + place + data[32:])
    before = sorted(tmp_path.rglob("*"))
    np.testing.assert_array_equal(read(path).hu, head())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("names_too", [False, True])
def test_a_locked_7z_is_told(tmp_path, names_too):
    path = tmp_path / "a.7z"
    with py7zr.SevenZipFile(path, "w", password="secret", header_encryption=names_too) as archive:
        archive.writestr(b"x" * 100, "IM1")
    with pytest.raises(ReadError, match=r"a\.7z is locked with a password\. Unpack it yourself"):
        read(path)


def test_without_py7zr_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    path = seven(tmp_path / "a.7z", {"IM1": b"x"})
    monkeypatch.setattr("ich_lib.readers.sevens.find_spec", lambda _: None)
    with pytest.raises(ReadError, match=r"a\.7z is a 7z archive.*pip install py7zr\. Or: unpack it on your") as refusal:
        read(path)
    assert refusal.value.in_words_of("page") == (
        "a.7z is a 7z archive, which is not read here. Unpack it on your computer and give the folder, or zip the "
        "files."
    )


@pytest.mark.parametrize("filters", [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 29}], ids=["PPMd"])
def test_a_7z_that_reserves_gigabytes_is_refused(tmp_path, filters, monkeypatch):
    path = seven(tmp_path / "a.7z", {"IM1": b"words " * 10}, [filters])
    monkeypatch.setattr("ich_lib.readers.sevens._Contents._unpack", None)
    with pytest.raises(ReadError, match=r"a\.7z needs more than 256 MB of memory to be unpacked"):
        read(path)


@pytest.mark.parametrize(
    ("method", "properties", "size"),
    [
        (b"\x21", b"\x18", 16 << 20),  # LZMA2 of 7-Zip's "normal"
        (b"\x21", b"\x27", 3 << 30),
        (b"\x03\x01\x01", b"\x5d\x00\x00\x00\x04", 64 << 20),
        (b"\x03\x04\x01", b"\x06\x00\x00\x00\x01", 16 << 20),
        (b"\x04\x02\x02", b"", 0),
    ],
)
def test_the_memory_of_a_coder_is_read_from_its_properties(method, properties, size):
    from ich_lib.readers.sevens import _memory

    assert _memory({"method": method, "properties": properties}) == size


# --- CD images -----------------------------------------------------------------------------------------------------


def test_a_ring_of_folders_on_a_cd_ends(tmp_path):
    path = disc(tmp_path / "a.iso", study())
    data = bytearray(path.read_bytes())
    at = data.index(b"DICOM000") - 33
    ring = bytearray(record(b"RING0000", 18, 2048, 2))
    data[at + data[at] : at + data[at] + len(ring)] = ring
    path.write_bytes(data)
    np.testing.assert_array_equal(read(path).hu, head())


def test_a_cd_image_of_another_kind_is_told(tmp_path):
    path = tmp_path / "a.iso"
    path.write_bytes(bytes(0x8000) + b"\0BEA01\x01" + bytes(5000))
    with pytest.raises(ReadError, match=r"a\.iso is an image of a CD that cannot be read here\. Copy its files"):
        read(path)


@pytest.mark.skipif(which("genisoimage") is None, reason="genisoimage is not installed: one writer of CD images less.")
@pytest.mark.parametrize("options", [[], ["-J", "-R"], ["-iso-level", "3", "-U"]])
def test_what_genisoimage_writes_is_read(tmp_path, options):
    study(tmp_path / "cd" / "DICOM")
    (tmp_path / "cd" / "AUTORUN.INF").write_text("[autorun]\nopen=viewer.exe\n")
    subprocess.run(["genisoimage", "-quiet", *options, "-o", tmp_path / "a.iso", tmp_path / "cd"], check=True)
    np.testing.assert_array_equal(read(tmp_path / "a.iso").hu, head())


@pytest.mark.skipif(which("7z") is None, reason="7-Zip is not installed: one writer of its archives less.")
@pytest.mark.parametrize("options", ["-t7z", "-t7z -ms=off", "-t7z -m0=LZMA", "-tzip -mm=Deflate64", "-tzip -mm=LZMA"])
def test_what_7_zip_writes_is_read(tmp_path, options):
    study(tmp_path / "DICOM")
    packed = tmp_path / "packed"
    subprocess.run(["7z", "a", *options.split(), "-bd", packed, tmp_path / "DICOM"], check=True, capture_output=True)
    packed = next(tmp_path.glob("packed*"))
    np.testing.assert_array_equal(read(packed).hu, head())


# --- what is only told ---------------------------------------------------------------------------------------------

TOLD = {
    b"Rar!\x1a\x07\x00": "a RAR archive",
    b"Rar!\x1a\x07\x01\x00": "a RAR archive",
    b"MSCF\0\0\0\0": "a CAB archive",
    b"\x28\xb5\x2f\xfd\x04\x00": "a Zstandard archive",
}


@pytest.mark.parametrize(("start", "words"), TOLD.items(), ids=TOLD.values())
def test_other_archives_are_told_with_the_way_out(tmp_path, start, words):
    path = tmp_path / "scan.dcm"
    path.write_bytes(start + bytes(200))
    with pytest.raises(
        ReadError, match=rf"scan\.dcm looks like {words}, not a head CT\. Unpack it on your computer and give"
    ):
        read(path)


def test_a_dicomdir_alone_asks_for_the_whole_folder(tmp_path):
    ds = ct_dataset(head()[9])
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    del ds.Rows, ds.PixelData
    ds.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    with pytest.raises(
        ReadError, match=r"This is a DICOMDIR, only the table of contents of a CD.* Give the whole folder"
    ):
        read(tmp_path / "DICOMDIR")
    write_series(tmp_path, *laid_out(head(), "LPS"))
    np.testing.assert_array_equal(read(tmp_path).hu, head())
    files = sorted(tmp_path.iterdir())
    assert "Left out: 1 table of contents (DICOMDIR)." in read(files).notes
