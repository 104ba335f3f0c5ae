"""The 3D view: synthetic heads whose skull, face and bleed are known in mm, as data and in a real Chromium."""

import base64
import json
import zlib
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ich_lib.case import Case
from ich_lib.colors import MASK, rgb
from ich_lib.demo import session, viewer
from ich_lib.demo.answers import Answers, ModelPair
from ich_lib.demo.gradio_import import gr
from ich_lib.prepare.anatomy import find_cavity
from ich_lib.scan import Scan, axial_affine
from tests.browsing import SETTLE, grave, mount_viewer, open_chromium, settle
from tests.viewed import doubtful_result, result

SHAPE, SPACING_MM = (30, 120, 110), (5.0, 1.6, 1.8)  # three unequal distances
RADII_MM = (65.0, 80.0, 70.0)  # of the inner table, along z, y and x
SKULL_MM = 6.0
BLEED_MM, BLEED_RADIUS_MM = (10.0, -20.0, 35.0), 15.0  # above, in front and at the patient's left of the middle


def places_mm(places=None):
    """z, y and x of each voxel in mm from the middle of the head."""
    z = np.arange(SHAPE[0], dtype=float) if places is None else places
    middle = 14.5 if places is None else (places[0] + places[-1]) / 2
    axes = (z - middle, *(np.arange(size) - (size - 1) / 2 for size in SHAPE[1:]))
    return np.meshgrid(*(axis * mm for axis, mm in zip(axes, SPACING_MM, strict=True)), indexing="ij")


def planted(*, face=False, open_skull=False, places=None, **fields):
    """(scan, bleed): an egg of brain in a shell of bone with a ball of blood, and a block of tissue in front as a
    face."""
    z, y, x = places_mm(places)
    inner = np.sqrt(sum((axis / radius) ** 2 for axis, radius in zip((z, y, x), RADII_MM, strict=True)))
    outer = np.sqrt(sum((axis / (radius + SKULL_MM)) ** 2 for axis, radius in zip((z, y, x), RADII_MM, strict=True)))
    hu = np.where(inner < 1, 32.0, np.where(outer < 1, 1000.0, -1000.0))
    if face:
        hu[(np.abs(x) < 25) & (y < 0) & (outer >= 1) & (y > -RADII_MM[1] - 40)] = 35
    if open_skull:
        hu[(np.abs(x) < 45) & (y < 0) & (inner >= 1) & (outer < 1)] = -1000
    away = sum((axis - middle) ** 2 for axis, middle in zip((z, y, x), BLEED_MM, strict=True))
    bleed = away < BLEED_RADIUS_MM**2
    hu[bleed] = 70
    return Scan(hu.astype(np.float32), axial_affine(SPACING_MM, SHAPE), places=places, **fields), bleed


def unpacked(surface):
    """A field, and the (n, 3) positions of its inner voxels in mm from the middle of the cavity."""
    field = np.frombuffer(zlib.decompress(base64.b64decode(surface["field"])), np.uint8).reshape(surface["size"])
    matrix = np.array(surface["matrix"]).reshape(4, 4)
    z, y, x = np.nonzero(field >= 128)
    return field, (matrix @ [x, y, z, np.ones(len(x))])[:3].T, abs(np.linalg.det(matrix[:3, :3])) / 1000


def surfaces(scan, blood, truth=None):
    return {surface["name"]: surface for surface in viewer.solid_payload(scan, blood, truth)["surfaces"]}


# ---- the cavity


@pytest.mark.parametrize("face", [False, True])
def test_the_cavity_is_the_planted_egg_and_holds_no_face(face):
    scan, _ = planted(face=face)
    cavity = find_cavity(scan)
    z, y, x = places_mm()
    inner = np.sqrt(sum((axis / radius) ** 2 for axis, radius in zip((z, y, x), RADII_MM, strict=True)))
    assert cavity.mask.shape == SHAPE  # pixels of more than 1 mm are unchanged
    volume_ml = cavity.mask.sum() * scan.voxel_ml
    assert volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(RADII_MM) / 1000, rel=0.06)
    assert not cavity.mask[inner >= 1].any()


def test_an_open_skull_has_no_cavity_and_the_view_says_why():
    scan, bleed = planted(open_skull=True)
    assert find_cavity(scan) is None
    assert viewer.solid_payload(scan, bleed) == {"why": "solid_no_cavity"}


def test_a_slice_whose_ring_is_open_stays_inside_the_outline_of_the_slice_before():
    scan, _ = planted(face=True)
    hu = scan.hu.copy()
    front = np.s_[16, :30, 40:70]
    hu[front] = np.where(hu[front] > 500, 35, hu[front])  # a gap of 54 mm, into the face
    cavity = find_cavity(Scan(hu, scan.affine))
    assert cavity.mask[16].any()
    assert not (cavity.mask[16] & ~cavity.mask[15]).any()


# ---- the fields


def test_a_bleed_at_the_patients_left_lies_at_the_patients_left_in_mm():
    scan, bleed = planted()
    shown = viewer.solid_payload(scan, bleed)
    _, points, _ = unpacked(shown["surfaces"][1])
    assert points.mean(axis=0) == pytest.approx(BLEED_MM[::-1], abs=2)  # x, y, z
    assert shown["sides"] == ["left", "front", "head"]


def test_a_mirrored_head_has_its_bleed_at_the_right():
    scan, bleed = planted()
    mirrored = Scan(np.ascontiguousarray(scan.hu[..., ::-1]), scan.affine)
    assert viewer.solid_payload(mirrored, np.ascontiguousarray(bleed[..., ::-1]))["sides"][0] == "right"


@pytest.mark.parametrize("places", [None, np.r_[np.arange(15.0), 15 + 2 * np.arange(15.0)] * 0.66])
def test_the_volume_inside_is_that_of_the_mask_even_and_uneven(places):
    scan, bleed = planted(places=places)
    found = surfaces(scan, bleed, bleed)
    for name in ("blood", "truth"):
        _, points, voxel_ml = unpacked(found[name])
        assert len(points) * voxel_ml == pytest.approx(scan.volume_ml(bleed), rel=0.1)
        assert points.mean(axis=0) == pytest.approx(BLEED_MM[::-1], abs=3)


def test_nothing_outside_the_skull_is_sent_even_where_the_mask_marks_it():
    scan, bleed = planted(face=True)
    z, y, x = places_mm()
    mask = bleed | ((np.abs(x) < 25) & (y < -RADII_MM[1] - 15) & (scan.hu > 0))
    shown = viewer.solid_payload(scan, mask)
    for surface in shown["surfaces"]:
        field, _, _ = unpacked(surface)
        matrix = np.array(surface["matrix"]).reshape(4, 4)
        z, y, x = np.nonzero(field)  # every level, also those outside
        points = (matrix @ [x, y, z, np.ones(len(x))])[:3].T
        assert np.sqrt(((points / (np.array(RADII_MM[::-1]) + 2)) ** 2).sum(axis=1)).max() < 1
    assert shown["outside"] == pytest.approx((mask & ~bleed).sum() / mask.sum(), abs=0.02)
    assert shown["sides"] == ["left", "front", "head"]  # of the part inside


def test_the_mask_of_the_viewer_is_that_of_the_model_and_follows_the_threshold():
    planned = result()
    picture = viewer.payload(planned)
    assert (viewer.shown_mask(picture, None) == planned.mask).all()
    assert not viewer.shown_mask(picture, 240).any()  # 0.9 are 230 of 255
    withheld = viewer.payload(doubtful_result())
    assert viewer.shown_mask(withheld, None) is None


def test_without_a_finding_there_is_a_brain_and_no_blood():
    scan, _ = planted()
    assert list(surfaces(scan, None)) == ["brain"]
    assert list(surfaces(scan, np.zeros(SHAPE, bool))) == ["brain"]


@pytest.mark.parametrize(("fields", "why"), [({"spacing_known": False}, "plane_off"), ({}, "plane_one")])
def test_distances_that_are_not_known_and_single_slices_have_no_view(fields, why):
    scan, bleed = planted(**fields)
    if why == "plane_one":
        scan, bleed = Scan(scan.hu[15:16], scan.affine), bleed[15:16]
    assert viewer.solid_payload(scan, bleed) == {"why": why}


def test_the_answer_with_its_library_is_small_and_the_page_holds_neither():
    scan, bleed = planted()
    answer = json.dumps(viewer.solid_payload(scan, bleed, bleed) | {"library": viewer.library_text()})
    assert len(answer) < 2_000_000
    library = viewer.solid.LIBRARY.read_text(encoding="utf-8")
    assert len(library) < 1_000_000
    assert "three.js 0.187.0" in library[:200]
    assert "Permission is hereby granted, free of charge" in library[:1000]
    assert len(viewer.viewer_html().js_on_load) < 400_000
    assert "MarchingCubes=" not in viewer.viewer_html().js_on_load + viewer.page_js()


def test_thin_slices_of_512_pixels_stay_small():
    shape, mm = (100, 512, 512), (1.4, 0.45, 0.45)
    z, y, x = (
        (np.arange(size, dtype=np.float32) - (size - 1) / 2) * step for size, step in zip(shape, mm, strict=True)
    )
    radius = np.sqrt((z[:, None, None] / 65) ** 2 + (y[:, None] / 85) ** 2 + (x / 70) ** 2)
    hu = np.where(radius < 1, 32, np.where(radius < 1.1, 1000, -1000)).astype(np.float32)
    blood = radius < 0.4
    found = surfaces(Scan(hu, axial_affine(mm, shape)), blood)
    assert sum(len(surface["field"]) for surface in found.values()) < 1_500_000
    _, points, voxel_ml = unpacked(found["blood"])
    assert len(points) * voxel_ml == pytest.approx(blood.sum() * np.prod(mm) / 1000, rel=0.1)


# ---- the server's answer


def answered(monkeypatch, found, *, threshold=None, is_first=True, last=None):
    """The data that the page gets for an upload with a synthetic scan and result."""
    monkeypatch.setattr(session, "current_scan", lambda *_: found.scan)
    monkeypatch.setattr(session, "find_blood", lambda *_, **__: found)
    pair = ModelPair(None, lambda _: pytest.fail("no sample is shown"))
    answers = Answers(SimpleNamespace(status="status"), pair, None)
    last = last or session.CurrentScan(paths=("head.nii.gz",), id="shown")
    steps = list(answers.solid(last, "", session.RequestCounter(), threshold, is_first, None, "unknown", None, None))
    return steps[0]


def found_in(planned, bleed, scan):
    return replace(planned, scan=scan, blood=np.where(bleed, 0.9, 0).astype(np.float16))


def test_an_upload_is_answered_for_its_picture_with_the_library_once(monkeypatch):
    scan, bleed = planted()
    found = found_in(result(), bleed, scan)
    answer, word = answered(monkeypatch, found)
    assert answer["to"] == "shown"
    assert [surface["name"] for surface in answer["solid"]["surfaces"]] == ["brain", "blood"]
    assert len(answer["library"]) > 100_000
    assert word == gr.skip()
    assert "library" not in answered(monkeypatch, found, is_first=False)[0]


def test_the_surfaces_follow_the_threshold_of_the_slider(monkeypatch):
    scan, bleed = planted()
    answer, _ = answered(monkeypatch, found_in(result(), bleed, scan), threshold=240)
    assert [surface["name"] for surface in answer["solid"]["surfaces"]] == ["brain"]


def test_a_withheld_finding_shows_no_blood(monkeypatch):
    scan, bleed = planted()
    withheld = found_in(doubtful_result(), bleed, scan)
    assert withheld.is_withheld
    answer, _ = answered(monkeypatch, withheld)
    assert [surface["name"] for surface in answer["solid"]["surfaces"]] == ["brain"]
    assert answer["solid"]["sides"] == []


def test_a_scan_that_cannot_be_read_again_is_told_on_the_line_of_status(monkeypatch):
    scan, bleed = planted()
    found = found_in(result(), bleed, scan)
    monkeypatch.setattr(viewer, "solid_payload", lambda *_: 1 / 0)
    answer, word = answered(monkeypatch, found)
    assert answer == {"to": "shown", "solid": {}}
    assert "Something went wrong in this program" in word


def test_a_sample_shows_its_mask_and_its_truth_without_another_analysis(monkeypatch):
    scan, bleed = planted()
    case = Case(scan, bleed, np.zeros((len(bleed), 6), bool), np.ones(len(bleed), bool))
    monkeypatch.setattr(session, "sample_case", lambda _: case)
    monkeypatch.setattr(session, "find_blood", lambda *_, **__: pytest.fail("it was analyzed already"))
    picture = viewer.payload(replace(found_in(result(shape=SHAPE), bleed, scan), heat=np.zeros(SHAPE, np.float16)))
    pair = ModelPair(None, lambda _: picture)
    answers = Answers(SimpleNamespace(status="status"), pair, None)
    last = session.CurrentScan(sample="epidural")
    steps = list(answers.solid(last, "", session.RequestCounter(), None, False, None, "unknown", None, None))
    assert steps[0][0]["to"] == picture["id"]
    assert [surface["name"] for surface in steps[0][0]["solid"]["surfaces"]] == ["brain", "blood", "truth"]


# ---- in the browser


@pytest.fixture(scope="module")
def drawing():
    """A Chromium that draws WebGL on the processor."""
    yield from open_chromium("--enable-unsafe-swiftshader")


@pytest.fixture(scope="module")
def head():
    scan, bleed = planted(face=True)
    return scan, bleed, viewer.solid_payload(scan, bleed, bleed)


@pytest.fixture
def page(drawing):
    with mount_viewer(drawing, result(), viewport={"width": 1440, "height": 900}) as page:
        yield page


def opened(page, content, **more):
    page.focus(".stage")
    page.keyboard.press("p")
    page.wait_for_function("() => window.triggered?.length")
    send(page, content, **more)


def send(page, content, **more):
    page.evaluate(
        "(answer) => window.show({ to: [...window.ichViewers].at(-1).state.scan.id, ...answer })",
        {"solid": content, "library": viewer.library_text(), **more},
    )


def drawn(page, content):
    opened(page, content)
    page.wait_for_selector('.solid-view[data-drawn="yes"]', timeout=60_000)
    page.evaluate(SETTLE)


MESH = """(name) => {
  const { array } = [...window.ichViewers].at(-1).state.scene.meshes[name].geometry.attributes.position;
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength), parts = [];
  for (let n = 0; n < bytes.length; n += 32768) parts.push(String.fromCharCode(...bytes.subarray(n, n + 32768)));
  return btoa(parts.join(""));
}"""


def mesh(page, name):
    """(triangles, 3 corners, x y z in mm)."""
    return np.frombuffer(base64.b64decode(page.evaluate(MESH, name)), np.float32).reshape(-1, 3, 3).astype(float)


def shot(page):
    """The canvas as a person sees it, without letters and round corners, RGB."""
    picture = page.locator(".solid-stage canvas").screenshot(style=".letter { visibility: hidden; }")
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)[8:-8, 8:-8]
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(int)


def yellow(picture):
    """The number of pixels in a shade of the mask's color."""
    red, green, blue = rgb(MASK)
    assert blue < green < red
    return (picture[..., 0] > 90) & (picture[..., 1] > 90) & (picture[..., 2] < 0.7 * picture[..., 0])


def test_the_surfaces_lie_where_the_head_and_the_bleed_are_and_never_on_the_face(page, head):
    scan, bleed, content = head
    drawn(page, content)
    blood, brain, truth = (mesh(page, name) for name in ("blood", "brain", "truth"))
    enclosed_ml = abs(np.einsum("ij,ij->i", blood[:, 0], np.cross(blood[:, 1], blood[:, 2])).sum() / 6000)
    assert enclosed_ml == pytest.approx(scan.volume_ml(bleed), rel=0.1)
    assert blood.mean(axis=(0, 1)) == pytest.approx(BLEED_MM[::-1], abs=2)
    for points in (blood, brain, truth):
        assert np.sqrt(((points / (np.array(RADII_MM[::-1]) + 2)) ** 2).sum(axis=2)).max() < 1
    outward = np.einsum(
        "ij,ij->i", np.cross(blood[:, 1] - blood[:, 0], blood[:, 2] - blood[:, 0]), blood.mean(axis=1) - BLEED_MM[::-1]
    )
    assert (outward > 0).mean() > 0.95


def test_the_view_shows_blood_on_the_right_of_a_viewer_who_looks_from_the_front(page, head):
    drawn(page, head[2])
    seen = yellow(shot(page))
    assert seen.sum() > 500
    assert np.nonzero(seen)[1].mean() > seen.shape[1] / 2  # on the patient's left
    left, right = (page.locator(f".solid-stage [data-end={end}]").bounding_box()["x"] for end in "RL")
    assert left < right


def test_blood_and_brain_can_be_switched_off_and_truth_on(page, head):
    drawn(page, head[2])
    page.uncheck("input[name=solid-blood]")
    page.evaluate(SETTLE)
    assert yellow(shot(page)).sum() == 0
    page.uncheck("input[name=solid-brain]")
    page.evaluate(SETTLE)
    assert shot(page).max() == 0
    page.check("input[name=solid-truth]")
    page.evaluate(SETTLE)
    red, green, blue = (shot(page)[..., k].max() for k in range(3))
    assert blue > 40
    assert blue > green > red


CAMERA = "() => [...window.ichViewers].at(-1).state.scene.camera.position.toArray()"


def test_arrows_drag_wheel_and_keys_turn_and_zoom_and_reset(page, head):
    drawn(page, head[2])
    start = np.array(page.evaluate(CAMERA))
    assert page.evaluate("() => document.activeElement.className") == "solid-stage"
    page.keyboard.press("ArrowRight")
    turned = np.array(page.evaluate(CAMERA))
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(start), rel=0.05)
    assert np.linalg.norm(turned - start) > 20
    page.keyboard.press("ArrowUp")
    assert page.evaluate(CAMERA)[2] > turned[2]  # from a higher point
    page.keyboard.press("+")
    assert np.linalg.norm(page.evaluate(CAMERA)) < 0.9 * np.linalg.norm(turned)
    page.keyboard.press("0")
    assert page.evaluate(CAMERA) == pytest.approx(start)
    box = page.locator(".solid-stage canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y, steps=4)
    page.mouse.up()
    dragged = page.evaluate(CAMERA)
    assert np.linalg.norm(dragged - start) > 20
    page.mouse.wheel(0, -300)
    page.evaluate(SETTLE)
    assert np.linalg.norm(page.evaluate(CAMERA)) < 0.98 * np.linalg.norm(dragged)
    page.click(".solid-reset")
    assert page.evaluate(CAMERA) == pytest.approx(start)


def test_nothing_moves_by_itself(page, head):
    drawn(page, head[2])
    before = page.evaluate(CAMERA)
    page.wait_for_timeout(400)
    assert page.evaluate(CAMERA) == before


def test_the_picture_is_told_in_words_with_ml_and_place(page, head):
    drawn(page, head[2])
    words = page.get_attribute(".solid-stage canvas", "aria-label")
    assert page.inner_text(".sentence") in words  # the headline with its mL
    assert words.endswith("lies toward: left, front, head.")
    page.keyboard.press("Escape")
    page.select_option(".language", "de")
    settle(page)
    page.focus(".stage")
    page.keyboard.press("p")
    page.evaluate(SETTLE)
    assert page.inner_text(".solid-where").endswith("liegt das Blut in der Maske in Richtung: links, vorn, Kopf.")


def test_the_server_is_asked_once_per_threshold_and_told_whether_the_library_is_there(page, head):
    assert page.evaluate("() => window.triggered") is None
    assert not page.evaluate("() => Boolean(window.ichThree)")
    page.focus(".stage")
    page.keyboard.press("p")
    assert page.evaluate("() => window.ichSolid()") == [128, True]
    page.keyboard.press("Escape")
    drawn(page, head[2])
    assert page.evaluate("() => window.triggered") == ["play"]
    assert page.evaluate("() => window.ichSolid()") == [128, False]
    page.keyboard.press("Escape")
    page.focus(".stage")
    page.keyboard.press("p")
    page.keyboard.press("Escape")
    assert page.evaluate("() => window.triggered") == ["play"]
    page.focus(".stage")
    page.keyboard.press(".")
    page.keyboard.press("p")
    assert page.evaluate("() => window.triggered") == ["play", "play"]
    assert page.evaluate("() => window.ichSolid()") == [133, False]
    assert page.inner_text(".solid-note").startswith("The surfaces are being made.")


def test_a_head_without_a_closed_skull_gets_the_sentence_and_no_drawing(page):
    opened(page, {"why": "solid_no_cavity"})
    page.evaluate(SETTLE)
    assert page.inner_text(".solid-note").startswith("There is no 3D view: no slice shows a closed skull")
    assert not page.is_visible(".solid-stage")


def test_a_failed_reading_is_told_and_can_be_repeated(page):
    opened(page, {})
    page.evaluate(SETTLE)
    assert page.inner_text(".solid-note").startswith("The surfaces cannot be made")
    page.keyboard.press("Escape")
    page.focus(".stage")
    page.keyboard.press("p")
    assert page.evaluate("() => window.triggered") == ["play", "play"]


def test_a_browser_without_webgl_says_so_and_asks_nothing(drawing):
    with mount_viewer(drawing, result(), viewport={"width": 1280, "height": 800}) as page:
        page.evaluate("() => { HTMLCanvasElement.prototype.getContext = () => null; }")
        page.focus(".stage")
        page.keyboard.press("p")
        assert page.inner_text(".solid-note").startswith("This browser cannot draw in 3D")
        assert page.evaluate("() => window.triggered") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave_in_the_dialog(drawing, head, scheme):
    with mount_viewer(drawing, result(), color_scheme=scheme) as page:
        page.evaluate("() => (([document.title, document.documentElement.lang] = ['Viewer', 'en']))")
        drawn(page, head[2])
        assert grave(page) == []


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_dialog_fits_the_screen(drawing, head, width):
    with mount_viewer(drawing, result(), viewport={"width": width, "height": 844}) as page:
        drawn(page, head[2])
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        size = page.locator(".solid-view").bounding_box()
        assert size["x"] >= 0
        assert size["x"] + size["width"] <= width
        for part in (".solid-stage", ".solid-view form button", ".solid-reset"):
            box = page.locator(part).bounding_box()
            assert box["y"] + box["height"] <= 844
            assert box["x"] + box["width"] <= width
