"""Every kind of picture: gray pixels, upright, in all bits of the file; CT numbers if the file holds them."""

import io
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from ich_lib.prepare.window import window
from ich_lib.readers import ReadError, read, read_truth
from ich_lib.readers.ct_numbers import hu_of
from tests.planted import head


def grays():
    return np.round(window(head()[9], 40, 80) * 255).astype(np.uint8)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def shown(scan):
    """The pixels of a picture with an unknown window."""
    return np.round(scan.hu / 80 * 255)


KINDS = {
    "TIFF": ("a.tif", {}),
    "TIFF, LZW": ("a.tif", {"compression": "tiff_lzw"}),
    "TIFF, deflate": ("a.tif", {"compression": "tiff_adobe_deflate"}),
    "TIFF, PackBits": ("a.tif", {"compression": "packbits"}),
    "BMP": ("a.bmp", {}),
    "WebP": ("a.webp", {"lossless": True}),
    "PNG": ("a.png", {}),
}
each_kind = pytest.mark.parametrize(("name", "options"), KINDS.values(), ids=KINDS.keys())


@each_kind
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA"])
def test_every_kind_gives_its_grays(tmp_path, name, options, mode):
    if mode == "RGBA" and name.endswith("bmp"):
        mode = "RGB"
    image = Image.fromarray(grays()).convert(mode)
    image.save(tmp_path / name, **options)
    (tmp_path / name).rename(tmp_path / "picture")  # the content decides, not the suffix
    np.testing.assert_allclose(shown(read(tmp_path / "picture"))[0], grays(), atol=1)


@each_kind
def test_a_cut_picture_of_every_kind_is_refused(tmp_path, name, options):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    path = save(tmp_path / name, noise, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ReadError, match=rf"{name} is (cut short|damaged)"):
        read(path)


@each_kind
def test_a_photo_of_every_kind_is_refused(tmp_path, name, options):
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with pytest.raises(ReadError, match=rf"{name} is a color picture; a CT slice is gray"):
        read(save(tmp_path / name, photo, **options))


@pytest.mark.parametrize("name", ["a.tif", "a.bmp", "a.webp", "a.png"])
def test_a_picture_that_claims_a_huge_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch, name):
    path = save(tmp_path / name, np.eye(5000, 20, dtype=np.uint8) * 200)
    monkeypatch.setattr("ich_lib.readers.pixels._page", None)
    monkeypatch.setattr("ich_lib.readers.pixels._decoded", None)
    with pytest.raises(ReadError, match="slices of 20 x 5000 px; a side must be 16 to 4096 px"):
        read(path)


# --- several pictures in one file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_pages_of_a_tiff_are_slices(tmp_path, dtype):
    pages = [Image.fromarray((np.eye(32) * k * (1 if dtype == np.uint8 else 257)).astype(dtype)) for k in range(1, 20)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    scan = read(tmp_path / "stack.tif")
    assert [round(float(plane.max()) / 80 * 255) for plane in scan.hu] == list(range(1, 20))
    assert "order of their file names" in " ".join(scan.notes)


def test_pages_of_two_sizes_are_refused_and_too_many_are_counted(tmp_path, monkeypatch):
    pages = [Image.fromarray(np.eye(side, dtype=np.uint8) * 99) for side in (32, 48)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ReadError, match=r"stack\.tif has 48 x 48 px, stack\.tif 32 x 32"):
        read(tmp_path / "stack.tif")
    pages = [Image.fromarray(np.eye(32, dtype=np.uint8) * 99)] * 9
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    from ich_lib.readers.limits import LIMITS

    monkeypatch.setitem(LIMITS, "thin_slices", 5)
    with pytest.raises(ReadError, match=r"stack\.tif has 6 slices; 1 to 5 are accepted"):
        read(tmp_path / "stack.tif")


def test_slices_of_different_bits_are_refused(tmp_path):
    save(tmp_path / "1.png", grays())
    save(tmp_path / "2.png", grays().astype(np.uint16) * 257)
    with pytest.raises(ReadError, match="different numbers of bits"):
        read(tmp_path)


# --- in order ------------------------------------------------------------------------------------------------------


def uploaded(root, names, hashes):
    """Pictures with the names 1, 2, 3, ..., each in its own folder, as a server stores uploads from a browser."""
    paths = []
    for k, (name, digits) in enumerate(zip(names, hashes, strict=True)):
        (root / digits).mkdir()
        paths.append(save(root / digits / name, numbered(k + 1)))
    return paths


def numbered(k):
    return (grays() * (k / 10)).astype(np.uint8)


def order(scan):
    return [round(float(plane.max()) / 80 * 10) for plane in scan.hu]


NAMES = ("slice.png", "slice (1).png", "Slice 2.png", "slice 9.PNG", "slice 10.png")


@pytest.mark.parametrize("turn", range(5))
def test_loose_uploads_are_in_the_order_of_their_names_whatever_their_folders_are_called(tmp_path, turn):
    hashes = np.roll(["0a", "9", "10", "77f", "f0"], turn)
    paths = uploaded(tmp_path, NAMES, hashes)
    scan = read([paths[k] for k in np.random.default_rng(turn).permutation(5)])
    assert order(scan) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("hashes", [("a", "b", "c"), ("c", "b", "a")])
def test_loose_masks_are_in_the_order_of_their_names_too(tmp_path, hashes):
    paths = uploaded(tmp_path, ("8.png", "9.png", "10.png"), hashes)
    for k, path in enumerate(paths):
        save(path, np.eye(32, dtype=np.uint8) * (255 if k == 1 else 0))
    assert read_truth(sorted(paths), (3, 32, 32), None).any((1, 2)).tolist() == [False, True, False]
    save(paths[2], np.eye(32, dtype=np.uint8) * 255)
    assert read_truth(sorted(paths), (3, 32, 32), None).any((1, 2)).tolist() == [False, True, True]


def test_folders_of_a_given_folder_or_zip_count_and_their_numbers_too(tmp_path):
    for k, folder in enumerate(("part 2", "part 10")):
        (tmp_path / "head" / folder).mkdir(parents=True)
        for n in (0, 1):
            save(tmp_path / "head" / folder / f"{'ba'[k]}{n}.png", numbered(2 * k + n + 1))
    assert order(read(tmp_path / "head")) == [1, 2, 3, 4]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in (tmp_path / "head").rglob("*.png"):
            archive.write(path, path.relative_to(tmp_path))
    assert order(read(tmp_path / "a.zip")) == [1, 2, 3, 4]


def test_the_folder_that_was_given_may_have_any_name(tmp_path, monkeypatch):
    for name, k in (("x/2.png", 5), ("y/10.png", 9)):
        (tmp_path / name).parent.mkdir()
        save(tmp_path / name, numbered(k))
    monkeypatch.chdir(tmp_path)
    assert order(read(".")) == order(read(["x/2.png", "y/10.png"])) == order(read(tmp_path)) == [5, 9]


# --- as it is held -------------------------------------------------------------------------------------------------

TURNS = {  # EXIF orientation: how a camera stores an upright picture
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).T,
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("code", TURNS)
def test_a_picture_is_upright_as_every_viewer_shows_it(tmp_path, name, code):
    pixels = np.round(window(head()[13], 40, 80) * 255).astype(np.uint8)  # with blood on one side
    upright = cv2.resize(pixels, (80, 96), interpolation=cv2.INTER_NEAREST)
    exif = Image.Exif()
    exif[0x0112] = code
    options = {"a.jpg": {"quality": 100}, "a.webp": {"lossless": True}}.get(name, {})
    path = save(tmp_path / name, np.ascontiguousarray(TURNS[code](upright)), exif=exif, **options)
    np.testing.assert_allclose(shown(read(path))[0], upright, atol=6 if name == "a.jpg" else 1)


def test_an_orientation_that_is_nonsense_or_does_not_parse_changes_nothing(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 99
    path = save(tmp_path / "a.png", grays(), exif=exif)
    np.testing.assert_allclose(shown(read(path))[0], grays(), atol=1)
    buffer = io.BytesIO()
    Image.fromarray(grays()).save(buffer, "JPEG", quality=100, exif=b"Exif\0\0" + b"\xff" * 40)
    (tmp_path / "b.jpg").write_bytes(buffer.getvalue())
    np.testing.assert_allclose(shown(read(tmp_path / "b.jpg"))[0], grays(), atol=6)


def test_sizes_are_compared_as_the_pictures_are_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "1.png", grays())
    save(tmp_path / "2.png", np.ascontiguousarray(np.rot90(grays(), 1)), exif=exif)
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu[0], scan.hu[1])


# --- tinted --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tint", [(0.85, 0.93, 1), (1, 0.9, 0.7), (0.95, 1, 0.95)], ids=["bluish", "yellowish", "greenish"]
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_a_tinted_film_is_gray(tmp_path, name, tint):
    gray = cv2.GaussianBlur(cv2.resize(grays(), (160, 192)), (0, 0), 2)
    path = save(tmp_path / name, (gray[..., None] * np.array(tint)).astype(np.uint8), **QUALITY.get(name, {}))
    np.testing.assert_allclose(shown(read(path))[0], gray, atol=8)


QUALITY = {"a.jpg": {"quality": 98, "subsampling": 0}, "a.webp": {"lossless": True}}


@pytest.mark.parametrize("color", [(1, 0, 0), (1, 0.5, 0.5), (1, 1, 0.2)])
def test_one_strong_color_on_black_is_a_mask_and_no_film(tmp_path, color):
    gray = cv2.GaussianBlur(cv2.resize(grays(), (160, 192)), (0, 0), 2)
    with pytest.raises(ReadError, match="color picture"):
        read(save(tmp_path / "a.png", (gray[..., None] * np.array(color)).astype(np.uint8)))


def test_a_mark_in_red_on_a_gray_slice_is_no_tint(tmp_path):
    pixels = cv2.merge([grays()] * 3)
    pixels[5:9, 5:12] = 255, 0, 0
    with pytest.raises(ReadError, match="color picture"):
        read(save(tmp_path / "a.png", pixels))


# --- CT numbers ----------------------------------------------------------------------------------------------------


def noisy():
    """(24, 20) enlarged: HU of a head with noise of 4 HU, as whole numbers."""
    hu = cv2.resize(head()[9], (120, 144), interpolation=cv2.INTER_NEAREST)
    return np.round(hu + np.random.default_rng(0).normal(0, 4, hu.shape)).astype(np.int32)


NUMBERS = {
    "PNG, HU + 1024": ("a.png", lambda hu: (hu + 1024).clip(0).astype(np.uint16), "HU + 1024"),
    "PNG, HU + 1000": ("a.png", lambda hu: (hu + 1000).clip(0).astype(np.uint16), "HU + 1000"),
    "PNG, HU + 32768": ("a.png", lambda hu: (hu + 32768).astype(np.uint16), "HU + 32768"),
    "PNG, two's complement": ("a.png", lambda hu: hu.astype(np.int16).view(np.uint16), "HU"),
    "TIFF, HU + 1024": ("a.tif", lambda hu: (hu + 1024).clip(0).astype(np.uint16), "HU + 1024"),
    "TIFF, 32 bits": ("a.tif", lambda hu: hu.astype(np.int32), "HU"),
    "TIFF, float": ("a.tif", lambda hu: hu.astype(np.float32), "HU"),
    "TIFF, float, HU + 1024": ("a.tif", lambda hu: (hu + 1024).astype(np.float32), "HU + 1024"),
}


@pytest.mark.parametrize(("name", "pack", "how"), NUMBERS.values(), ids=NUMBERS.keys())
@pytest.mark.parametrize("chosen", [None, "brain"])
def test_pixels_that_are_ct_numbers_are_hu_whatever_window_is_chosen(tmp_path, name, pack, how, chosen):
    scan = read(save(tmp_path / name, pack(noisy())), window=chosen)
    np.testing.assert_allclose(scan.hu[0], noisy().clip(-1000 if how == "HU + 1000" else -1024), atol=0.01)
    assert scan.hu_known
    assert not scan.spacing_known
    assert f"The pixels are CT numbers ({how}), not grays: HU are known, and no window is needed." in scan.notes


@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_16_bit_tiff_of_either_byte_order_holds_hu(tmp_path, order):
    hu = noisy().clip(-1024).astype(order + "i2")
    rows, columns = hu.shape
    tags = (
        (256, columns),
        (257, rows),
        (258, 16),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, rows),
        (279, hu.nbytes),
    )
    tags += ((339, 2),)  # SampleFormat: signed numbers
    end = "little" if order == "<" else "big"
    number = lambda value, size: int(value).to_bytes(size, end)  # noqa: E731
    table = number(len(tags), 2) + b"".join(
        number(tag, 2) + number(4, 2) + number(1, 4) + number(value, 4) for tag, value in tags
    )
    start = (b"II" if order == "<" else b"MM") + number(42, 2) + number(8 + hu.nbytes, 4)
    (tmp_path / "a.tif").write_bytes(start + hu.tobytes() + table + bytes(4))
    np.testing.assert_allclose(read(tmp_path / "a.tif").hu[0], hu, atol=0.01)


def test_a_stack_of_ct_numbers_is_one_scan(tmp_path):
    for k in range(3):
        save(tmp_path / f"{k}.png", (noisy() + 1024 + k).clip(0).astype(np.uint16))
    scan = read(tmp_path)
    np.testing.assert_allclose(scan.hu[2] - scan.hu[0], 2, atol=2)
    assert scan.hu_known


@pytest.mark.parametrize("bits", [12, 16])
def test_grays_of_a_window_are_no_ct_numbers(tmp_path, bits):
    unit = window(noisy().astype(np.float32), 40, 80)
    scan = read(save(tmp_path / "a.png", (unit * (2**bits - 1)).astype(np.uint16)))
    assert not scan.hu_known
    np.testing.assert_allclose(scan.hu[0], np.clip(noisy(), 0, 80), atol=0.1)


def test_numbers_that_are_neither_are_refused(tmp_path):
    with pytest.raises(
        ReadError, match=r"a\.tif holds numbers from -5000 to 5000; these are neither grays nor CT numbers"
    ):
        read(save(tmp_path / "a.tif", np.linspace(-5000, 5000, 4096).reshape(64, 64).astype(np.float32)))


def test_float_grays_from_0_to_1_are_grays(tmp_path):
    scan = read(save(tmp_path / "a.tif", window(noisy().astype(np.float32), 40, 80)))
    np.testing.assert_allclose(scan.hu[0], np.clip(noisy(), 0, 80), atol=0.1)


def test_a_body_without_air_or_a_ramp_is_not_taken_for_ct_numbers():
    assert hu_of(np.full((1, 64, 64), 1057, np.float32)) is None
    assert hu_of(np.linspace(0, 4095, 4096, dtype=np.float32).reshape(1, 64, 64)) is None
