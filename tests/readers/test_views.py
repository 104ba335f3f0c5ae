"""Folders of two or three windows: together they give HU to half a gray, and what does not belong together is named."""

import numpy as np
import pytest

from ich_lib.prepare.window import WINDOWS
from ich_lib.readers import ReadError, read, views
from ich_lib.readers.limits import LIMITS
from ich_lib.readers.roles import stated_window
from tests.readers.test_frame import case, framed, gray, mask, notes, save

SLICES = (17, 18, 19, 20)


def write(folder, views, *, suffix=".png", **options):
    """A folder for each name, with the slices through its window; `suffix` may be `_{}.png`, with the name in it."""
    for name, view in views.items():
        for k in SLICES:
            save(folder / name / f"{k}{suffix.format(name)}", gray(k, *view), **options)
    return folder


def planted(*views):
    """HU of the phantom, cut to what the windows show, and (z, y, x) half a gray of the window each pixel lies in."""
    hu = np.stack([case().scan.hu[k] for k in SLICES])
    ends = [(level - width / 2, level + width / 2, width) for level, width in views]
    half = np.full(hu.shape, max(width for *_, width in ends) / 510)
    for low, high, width in sorted(ends, key=lambda end: -end[2]):
        margin = 2 * width / 255  # the last two grays at each end count as saturated
        half[(hu > low + margin) & (hu < high - margin)] = width / 510
    return hu.clip(min(low for low, *_ in ends), max(high for _, high, _ in ends)), half


def assert_hu(scan, *views):
    hu, half = planted(*views)
    assert scan.hu_known
    assert not scan.spacing_known
    assert (np.abs(scan.hu - hu) <= half + 1e-2).all()


PAIRS = {
    "brain and bone": {"brain": (40, 80), "bone": (600, 2800)},
    "brain and subdural": {"brain_window": (40, 80), "subdural_window": (80, 200)},
    "three": {"Brain": (40, 80), "Subdural-Window": (80, 200), "bone window": (600, 2800)},
    "stroke and bone": {"stroke": (40, 40), "bone": (600, 2800)},
    "brain and soft tissue": {"brain": (40, 80), "soft_tissue": (40, 400)},
    "numbers in the names": {"W100_L50": (50, 100), "ww2000-wl500": (500, 2000)},
    "numbers beside a word": {"brain_30_90": (30, 90), "bone_2500_480": (480, 2500)},
    "the windows of CT-ICH": {"brain": (40, 120), "bone": (700, 3200)},
    "another bone window": {"brain": (40, 80), "bone": (480, 2500)},
}


@pytest.mark.parametrize("views", PAIRS.values(), ids=PAIRS)
def test_windows_of_the_same_slices_are_hu_to_half_a_gray(tmp_path, views):
    scan = read(write(tmp_path, views))
    assert_hu(scan, *views.values())
    for name, (level, width) in views.items():
        assert f"{name} ({level}/{width})" in notes(scan)
    low, high = (min(lv - w / 2 for lv, w in views.values()), max(lv + w / 2 for lv, w in views.values()))
    assert f"Below {low:g} and above {high:g} HU the picture is black or white" in notes(scan)
    stated = any(digit in "".join(views) for digit in "0123456789")
    assert ("are those that the names state" if stated else "are assumed") in notes(scan)


@pytest.mark.parametrize("other", [(80, 200), (600, 2800)])
@pytest.mark.parametrize(("level", "width"), [(40, 80), (40, 74), (40, 88), (43, 80), (36, 84), (40, 64), (40, 100)])
def test_a_slightly_different_window_may_pass_and_the_note_tells_by_how_much_hu_may_be_off(
    tmp_path, level, width, other
):
    name = "bone" if other[1] > 1000 else "subdural"
    scan = read(write(tmp_path, {"brain": (level, width), name: other}))
    errors = [
        float(text.split("up to ")[1].rstrip(".")) for text in scan.notes if "a slightly different window" in text
    ]
    assert len(errors) == scan.hu_known
    if "brain (40/80)" in notes(scan):
        assert errors == [18 if name == "bone" else 10]
    if errors:
        inside = np.abs(case().scan.hu[SLICES[0]] - level) < width / 2 - 2
        assert np.abs(scan.hu[0] - case().scan.hu[SLICES[0]])[inside].max() <= errors[0]


def test_jpg_pictures_of_the_usual_windows_are_not_taken_for_those_of_ct_ich(tmp_path):
    scan = read(write(tmp_path, PAIRS["brain and bone"], suffix=".jpg", quality=95))
    assert "brain (40/80) and bone (600/2800)" in notes(scan)
    inside = (case().scan.hu[18] > 15) & (case().scan.hu[18] < 65)
    assert np.median(np.abs(scan.hu[1] - case().scan.hu[18])[inside]) < 1


def test_names_of_files_may_hold_the_window_too(tmp_path):
    assert_hu(read(write(tmp_path / "a", PAIRS["brain and bone"], suffix="_{}.png")), (40, 80), (600, 2800))
    for name, view in PAIRS["brain and bone"].items():
        for k in SLICES:
            save(tmp_path / "b" / f"{k}_{name}.png", gray(k, *view))
    assert_hu(read(tmp_path / "b"), (40, 80), (600, 2800))


def test_a_slice_that_one_window_lacks_is_left_out_and_told(tmp_path):
    write(tmp_path, PAIRS["brain and bone"])
    (tmp_path / "bone" / "18.png").unlink()
    scan = read(tmp_path)
    assert len(scan.hu) == 3
    np.testing.assert_allclose(scan.hu[1].clip(2, 78), case().scan.hu[19].clip(2, 78), atol=0.2)
    assert "Left out: 1 picture that another window lacks." in scan.notes


def test_a_rim_is_air_through_two_windows_too(tmp_path):
    for name, view in PAIRS["brain and bone"].items():
        save(tmp_path / name / "20.png", np.pad(gray(20, *view), 20, constant_values=255))
    scan = read(tmp_path)
    assert (scan.hu[0][:20] == -800).all()
    assert "A rim around the slice (" in notes(scan)
    assert framed((255, 20)).shape == scan.hu[0].shape


def test_sheets_of_two_windows_are_cut_apart(tmp_path):
    for name, view in PAIRS["brain and bone"].items():
        sheet = np.vstack([np.hstack([gray(k, *view) for k in pair]) for pair in ((17, 18), (19, 20))])
        save(tmp_path / name / "1.png", sheet)
    assert_hu(read(tmp_path), (40, 80), (600, 2800))


# --- what does not belong together ---------------------------------------------------------------------------------


def other_head(k, level=600, width=2800):
    return np.ascontiguousarray(gray(k - 6, level, width)[:, ::-1])


@pytest.mark.parametrize(
    ("bone", "words"),
    [
        (lambda k: gray(k), "bone was not used for HU: it shows the same window as brain."),
        (lambda k: gray(k, 40, 400), "bone was not used for HU: its grays do not fit those of brain. Either it shows"),
        (lambda k: 255 - gray(k, 600, 2800), "its grays do not fit"),
        (other_head, "its grays do not fit"),
        (lambda k: gray(k, 600, 2800)[:-2], "its pictures have another size than those in brain."),
        (lambda k: gray(k, 600, 2800).astype(np.uint16) * 257, "pictures of 8 bits are needed."),
        (lambda k: np.where(gray(k) > 0, 255, 0).astype(np.uint8) - k % 2, "Left out: 4 masks."),
    ],
    ids=["same window", "another window", "inverted", "another head", "another size", "16 bits", "masks"],
)
def test_pictures_that_do_not_fit_are_told_and_one_window_is_read(tmp_path, bone, words):
    for k in SLICES:
        save(tmp_path / "brain" / f"{k}.png", gray(k))
        save(tmp_path / "bone" / f"{k}.png", bone(k))
    scan = read(tmp_path)
    np.testing.assert_allclose(scan.hu / 80 * 255, [gray(k) for k in SLICES], atol=1)
    assert not scan.hu_known
    assert words in notes(scan)


def test_pictures_of_other_names_are_no_pairs_and_no_second_half(tmp_path):
    for k in SLICES:
        save(tmp_path / "brain" / f"{k}.png", gray(k))
        save(tmp_path / "bone" / f"{k + 20}.png", gray(k, 600, 2800))
    scan = read(tmp_path)
    assert len(scan.hu) == 4
    assert "bone was not used for HU: its pictures have other names than those in brain." in scan.notes
    assert "Read: the folder brain. Left out: bone" in notes(scan)


def test_the_windows_that_fit_are_used_without_the_third(tmp_path):
    write(tmp_path, PAIRS["three"] | {"bone window": (-500, 1500)})
    scan = read(tmp_path)
    assert_hu(scan, (40, 80), (80, 200))
    assert "bone window was not used for HU: its grays do not fit" in notes(scan)


def test_three_windows_that_have_no_slice_in_common_are_not_joined(tmp_path):
    write(tmp_path, PAIRS["three"])
    for k, folder in ((17, "Subdural-Window"), (18, "Subdural-Window"), (19, "bone window"), (20, "bone window")):
        (tmp_path / folder / f"{k}.png").unlink()
    scan = read(tmp_path)
    assert len(scan.hu) == 2
    assert "Left out: 2 pictures that another window lacks." in scan.notes


def test_pictures_that_are_too_large_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    write(tmp_path, PAIRS["brain and subdural"])
    monkeypatch.setitem(LIMITS, "picture_px", 96 * 96 - 1)
    monkeypatch.setattr(views, "gray", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ReadError, match=r"has 96 x 96 px; the maximum is 9,215 pixels"):
        read(tmp_path)


def test_folders_that_do_not_say_their_windows_are_asked_for_them(tmp_path):
    write(tmp_path, {"a": (40, 80), "b": (600, 2800)})
    with pytest.raises(ReadError, match=r"name each after its window, such as brain and bone\."):
        read(tmp_path)


def test_masks_beside_two_windows_are_told(tmp_path):
    write(tmp_path, PAIRS["brain and bone"])
    for k in SLICES:
        save(tmp_path / "masks" / f"{k}.png", mask(k))
    scan = read(tmp_path)
    assert_hu(scan, (40, 80), (600, 2800))
    assert "Left out: 4 masks." in notes(scan)


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("brain_W80_L40", (40, 80)),
        ("wl40_ww80", (40, 80)),
        ("Level 40 Width 80", (40, 80)),
        ("WC=600 WW=2800", (600, 2800)),
        ("window_40_80", (40, 80)),
        ("window_80_40", (40, 80)),
        ("brain", None),
        ("brain_0_80", None),
        ("049_050", None),
        ("slices_34_l2", None),
        ("w80", None),
        ("brain_W1" + 90 * "0" + "_L40", None),
        ("brain_40_" + 90 * "9", None),
    ],
)
def test_a_name_states_level_and_width(name, window):
    assert stated_window(name) == window
    assert WINDOWS["brain"] == (40, 80)
