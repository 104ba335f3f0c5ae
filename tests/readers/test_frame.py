"""Pictures that show more than one slice: edges, pages, transparent surrounds, sheets, masks, folders of windows."""

from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image

from ich_lib.phantoms import phantom
from ich_lib.prepare.window import window
from ich_lib.readers import ReadError, read, read_truth

SIDE = 96


@cache
def case():
    return phantom(34, bleeds=["intraparenchymal"], pixels=SIDE, slices=34, levels=2)


def gray(k=20, level=40, width=80):
    return np.round(window(case().scan.hu[k], level, width) * 255).astype(np.uint8)


def mask(k=20):
    return case().truth[k].astype(np.uint8) * 255


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def pixels(scan, k=0):
    return scan.hu[k] / 80 * 255


def notes(scan):
    return " ".join(scan.notes)


# --- rims ----------------------------------------------------------------------------------------------------------


def framed(*lines):
    """A slice within frames, from inside to outside: each frame is a gray and a width in pixels."""
    picture = gray()
    for value, wide in lines:
        picture = np.pad(picture, wide, constant_values=value)
    return picture


RIMS = {
    "white": [(255, 20)],
    "gray": [(180, 9)],
    "white around black": [(0, 12), (255, 20)],
    "a line on black": [(0, 6), (255, 2), (0, 10)],
    "gray around white": [(255, 5), (200, 11)],
    "a line at the edge": [(0, 6), (255, 1)],
}


@pytest.mark.parametrize("lines", RIMS.values(), ids=RIMS.keys())
@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.jpg", {"quality": 92})])
def test_a_rim_is_air_and_the_slice_stays_where_it_is(tmp_path, lines, name, options):
    scan = read(save(tmp_path / name, framed(*lines), **options))
    wide = sum(width for _, width in lines)
    expected = np.pad(gray(), wide)
    assert scan.hu[0].shape == expected.shape
    far = np.abs(pixels(scan) - expected) > (1 if name == "a.png" else 60)
    assert far.mean() <= (0 if name == "a.png" else 0.01)
    assert "A rim around the slice (" in notes(scan)


def test_a_mask_of_a_picture_with_a_rim_still_fits(tmp_path):
    scan = read(save(tmp_path / "a.png", framed((255, 20))))
    found = read_truth(save(tmp_path / "m.png", np.pad(mask(), 20)), scan.hu.shape, None)
    np.testing.assert_array_equal(found[0], np.pad(case().truth[20], 20))


def test_a_white_page_of_any_outline_is_air(tmp_path):
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    outside = np.hypot(x, y) > 47
    scan = read(save(tmp_path / "a.png", np.where(outside, 255, gray()).astype(np.uint8)))
    np.testing.assert_allclose(pixels(scan), np.where(outside, 0, gray()), atol=1)
    assert "was taken as air" in notes(scan)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "P"), *((name, mode) for name in ("a.png", "a.webp", "a.tif") for mode in ("RGBA", "LA"))],
)
def test_what_is_transparent_is_black_whatever_color_hides_there(tmp_path, name, mode):
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    outside = np.hypot(x, y) > 47
    hidden = np.where(outside, 255, gray()).astype(np.uint8)
    alpha = np.where(outside, 0, 255).astype(np.uint8)
    if mode == "P":
        image = Image.fromarray(np.where(outside, 254, np.minimum(hidden, 253)).astype(np.uint8)).convert("P")
        image.putpalette([v for k in range(256) for v in ((255, 0, 255) if k == 254 else (k, k, k))])
        image.save(tmp_path / name, transparency=254)
    else:
        layers = [hidden, alpha] if mode == "LA" else [hidden, hidden, hidden, alpha]
        image = Image.merge(mode, [Image.fromarray(layer) for layer in layers])
        image.save(tmp_path / name, **({"lossless": True, "exact": True} if name == "a.webp" else {}))
    np.testing.assert_allclose(pixels(read(tmp_path / name)), np.where(outside, 0, gray()), atol=3)


@pytest.mark.parametrize("view", [(40, 80), (600, 2800), (0, 4000), (-800, 1600)], ids=str)
@pytest.mark.parametrize("k", [4, 12, 20, 28, 30])
def test_a_plain_slice_has_no_rim_and_is_no_sheet_through_any_window(tmp_path, view, k):
    scan = read(save(tmp_path / "a.png", gray(k, *view)), window=view)
    expected = np.clip(case().scan.hu[k], view[0] - view[1] / 2, view[0] + view[1] / 2)
    np.testing.assert_allclose(scan.hu[0], expected, atol=view[1] / 500)
    assert "rim" not in notes(scan)
    assert "sheet" not in notes(scan)


# --- sheets --------------------------------------------------------------------------------------------------------


def sheet(rows, columns, *, first=10, gap=0, line=0, missing=0):
    """Slices row by row, with `gap` pixels of a gray `line` between them. The last ones are missing."""
    tiles = [
        gray(first + n) if n < rows * columns - missing else np.zeros((SIDE, SIDE), np.uint8)
        for n in range(rows * columns)
    ]
    tiles = [np.pad(tile, gap, constant_values=line) for tile in tiles]
    return np.vstack([np.hstack(tiles[r * columns : (r + 1) * columns]) for r in range(rows)])


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (1, 2), (3, 1), (4, 5), (3, 4)])
@pytest.mark.parametrize(("gap", "line"), [(0, 0), (3, 0), (2, 255)])
def test_a_sheet_is_cut_into_its_slices_row_by_row(tmp_path, rows, columns, gap, line):
    scan = read(save(tmp_path / "a.png", sheet(rows, columns, gap=gap, line=line)))
    assert len(scan.hu) == rows * columns
    for n in range(rows * columns):
        inner = pixels(scan, n)[gap : gap + SIDE, gap : gap + SIDE]
        np.testing.assert_allclose(inner, gray(10 + n), atol=1)
    assert f"a sheet of {rows} x {columns} slices. {rows * columns} slices cut out row by row" in notes(scan)


def test_the_empty_places_of_a_sheet_are_no_slices(tmp_path):
    scan = read(save(tmp_path / "a.jpg", sheet(3, 3, missing=2), quality=95))
    assert len(scan.hu) == 7


def test_several_sheets_are_one_scan_and_a_sheet_among_slices_stays(tmp_path):
    for n in range(2):
        save(tmp_path / "sheets" / f"{n}.png", sheet(2, 2, first=10 + 4 * n))
    scan = read(tmp_path / "sheets")
    np.testing.assert_allclose(pixels(scan, 5), gray(15), atol=1)
    save(tmp_path / "mixed" / "1.png", sheet(2, 2))
    save(tmp_path / "mixed" / "2.png", cv2.resize(gray(), (2 * SIDE, 2 * SIDE)))
    assert len(read(tmp_path / "mixed").hu) == 2


# --- masks ---------------------------------------------------------------------------------------------------------


def colored(color):
    return (mask()[..., None] // 255 * np.array(color)).astype(np.uint8)


MASKS = {
    "white.png": mask,
    "white.jpg": mask,
    "ones.png": lambda: mask() // 255,
    "types.png": lambda: np.where(mask() > 0, 3, 0).astype(np.uint8) + (gray() == 255),
    "gray.png": lambda: np.where(mask() > 0, 128, 0).astype(np.uint8),
    "red.png": lambda: colored((255, 0, 0)),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_no_slice(tmp_path, name):
    with pytest.raises(ReadError, match=r"is a mask( in colors)?, not a slice"):
        read(save(tmp_path / name, MASKS[name]()))


@pytest.mark.parametrize("name", ["white.png", "white.jpg", "ones.png", "red.png"])
def test_and_it_is_a_truth(tmp_path, name):
    found = read_truth(
        save(tmp_path / name, MASKS[name](), **({"quality": 98} if "jpg" in name else {})), (1, SIDE, SIDE), None
    )
    assert (found[0] != case().truth[20]).sum() <= (12 if "jpg" in name else 0)


@pytest.mark.parametrize(
    "pixels_of",
    [gray, lambda: gray(20, 600, 2800), lambda: np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)],
    ids=["a slice", "a slice through the bone window", "a photo"],
)
def test_a_slice_or_a_photo_is_no_truth_and_the_reason_is_said(tmp_path, pixels_of):
    with pytest.raises(
        ReadError, match=r"a\.png has grays .*: that is a slice or a photo, not a mask\. Give one NIfTI"
    ):
        read_truth(save(tmp_path / "a.png", pixels_of()), (1, SIDE, SIDE), None)


# --- folders -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "of_mask"),
    [
        ("images/{}.png", "masks/{}.png"),
        ("images/{}.png", "Mask/{}_mask.png"),
        ("img/{}.jpg", "ground truth/{}.png"),
        ("{}.png", "{}_seg.png"),
        ("{}.png", "{}-Mask.png"),
        ("imagesTr/{}.png", "labelsTr/{}.png"),
        ("a/{}.png", "a/{}_HGE_Seg.png"),
    ],
)
def test_masks_beside_slices_are_their_truth(tmp_path, image, of_mask):
    for k in (18, 19, 20):
        save(tmp_path / "study" / image.format(k), gray(k))
        save(tmp_path / "study" / of_mask.format(k), mask(k))
    scan = read(tmp_path / "study", window="brain")
    assert len(scan.hu) == 3
    assert "Left out: 3 masks. Give the same files as true mask to compare." in scan.notes
    np.testing.assert_array_equal(read_truth(tmp_path / "study", scan.hu.shape, None), case().truth[18:21])


def test_folders_of_equal_names_that_hold_masks_are_masks_whatever_they_are_called(tmp_path):
    for k in (18, 19, 20):
        save(tmp_path / "a" / f"{k}.png", gray(k))
        save(tmp_path / "b" / f"{k}.png", colored((255, 0, 0)) if k == 20 else mask(k))
    scan = read(tmp_path)
    assert len(scan.hu) == 3
    np.testing.assert_allclose(pixels(scan, 2), gray(20), atol=1)
    assert "Left out: 3 masks." in notes(scan)
    np.testing.assert_array_equal(read_truth(tmp_path, scan.hu.shape, None), case().truth[18:21])


def test_of_brain_and_bone_the_window_that_is_named_is_read_alone(tmp_path):
    for folder, view in (("brain", (40, 80)), ("bone", (600, 2800))):
        for k in (18, 19):
            save(tmp_path / folder / f"{k}.png", gray(k, *view))
    scan = read(tmp_path, window="brain")
    np.testing.assert_allclose(scan.hu[1], np.clip(case().scan.hu[19], 0, 80), atol=0.2)
    assert "Read: the folder brain. Left out: bone" in notes(scan)


@pytest.mark.parametrize("name", ["masks", "labels", "head_seg", "truth"])
def test_a_folder_around_all_files_makes_no_masks_of_them(tmp_path, name):
    for k in (18, 19):
        save(tmp_path / name / f"{k}.png", gray(k))
    assert len(read(tmp_path / name).hu) == len(read(tmp_path).hu) == 2


@pytest.mark.parametrize(
    ("name", "chosen"), [("brain", "brain_window"), ("bone", "bone_window"), ("subdural", "Subdural")]
)
def test_of_folders_of_windows_one_is_read(tmp_path, name, chosen):
    views = {"brain_window": (40, 80), "bone_window": (600, 2800), "Subdural": (80, 200)}
    for folder, view in views.items():
        for k in (18, 19):
            save(tmp_path / folder / f"{k}.png", gray(k, *view))
    scan = read(tmp_path, window=name)
    assert len(scan.hu) == 2
    level, width = views[chosen]
    np.testing.assert_allclose(
        scan.hu[1], np.clip(case().scan.hu[19], level - width / 2, level + width / 2), atol=width / 400
    )
    assert f"Read: the folder {chosen}. Left out: " in notes(scan)


@pytest.mark.parametrize("first", ["brain_bone_window", "max_contrast_window", "lung window"])
def test_the_plain_brain_window_comes_before_mixed_and_unknown_ones(tmp_path, first):
    save(tmp_path / first / "1.png", gray(20, 600, 2800))
    save(tmp_path / "Brain-window" / "1.png", gray())
    np.testing.assert_allclose(pixels(read(tmp_path)), gray(), atol=1)


def test_equal_names_in_folders_that_say_nothing_are_refused(tmp_path):
    for folder in ("049", "050"):
        save(tmp_path / folder / "1.png", gray())
    with pytest.raises(ReadError, match=r"holds 2 folders with pictures of the same names \(049 and 050\)\. Give one"):
        read(tmp_path)
    with pytest.raises(
        ReadError, match=r"The upload holds several pictures called 1\.png\. Zip them with their folders"
    ):
        read([tmp_path / "049" / "1.png", tmp_path / "050" / "1.png"])
