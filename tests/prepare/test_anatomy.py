"""A synthetic brain in a skull of known size: its volume, where the picture cuts it off, and how it lies."""

from dataclasses import replace

import numpy as np
import pytest

from ich_lib.phantoms import phantom
from ich_lib.phantoms.bodies import BODIES, add_fault, body
from ich_lib.prepare.anatomy import measure_head
from ich_lib.scan import Scan, axial_affine

MM = (5.0, 2.0, 2.5)
SHAPE = (20, 110, 90)  # 220 x 225 mm


def ball(*, brain_hu=33.0, gap_mm=0.0, radius_mm=80.0, shift_mm=0.0):
    """A skull of 6 mm around a ball of brain; in front `gap_mm` of it are missing."""
    z, y, x = (
        (np.arange(n).reshape([-1 if k == axis else 1 for k in range(3)]) - (n - 1) / 2) * mm
        for axis, (n, mm) in enumerate(zip(SHAPE, MM, strict=True))
    )
    far = np.sqrt(z**2 + y**2 + (x - shift_mm) ** 2)
    hu = np.select([far < radius_mm, far < radius_mm + 6], [brain_hu, 1000.0], -1000.0)
    hu = np.where((far >= radius_mm) & (y < 0) & (abs(x) < gap_mm / 2), -1000.0, hu)
    return Scan(hu.astype(np.float32), axial_affine(MM, SHAPE))


def test_the_cavity_is_the_volume_of_the_ball():
    """Slices through the middle 100 mm of a ball of 160 mm: pi (r2 h - h3 / 12) = 1,748 mL."""
    head = measure_head(ball())
    assert head.slices.all()
    assert head.length_mm == pytest.approx(100)
    assert head.cavity_ml == pytest.approx(1748, rel=0.05)
    assert head.room_cm2[9:11] == pytest.approx(np.pi * 64, rel=0.05)


def test_the_cavity_of_uneven_slices_is_counted_by_their_slabs(whole_head):
    kept = np.array([k for k in range(34) if k < 16 or k % 2])
    for even in (ball(), whole_head):
        part = kept[kept < len(even.hu)]
        uneven = replace(even, hu=even.hu[part], places=(part - part[0]).astype(float))
        first, second = measure_head(even), measure_head(uneven)
        assert second.cavity_ml == pytest.approx(first.cavity_ml, rel=0.04)
        assert second.length_mm == pytest.approx(first.length_mm, rel=0.03)
        assert second.air_ml == pytest.approx(first.air_ml, rel=0.05)
        assert second.air_mm == pytest.approx(first.air_mm, abs=2)


def test_mm_count_and_not_pixels():
    """The same voxels at half the size hold an eighth, which is no skull of a person."""
    scan = ball()
    assert measure_head(replace(scan, affine=axial_affine((2.5, 1.0, 1.25), SHAPE))).cavity_ml < 1748 / 7


def test_without_a_voxel_size_there_are_slices_but_no_ml():
    head = measure_head(replace(ball(), spacing_known=False))
    assert head.slices.all()
    assert (head.cavity_ml, head.length_mm) == (None, None)


def test_a_suture_does_not_open_a_skull_and_a_missing_side_does():
    assert measure_head(ball(gap_mm=10)).slices.all()
    assert measure_head(ball(gap_mm=40)).slices.all()  # open, but most of the hull's edge is bone
    assert not measure_head(ball(gap_mm=172)).slices.any()


@pytest.mark.parametrize("brain_hu", [0.0, 75.0, 250.0, -100.0])
def test_what_is_not_as_dense_as_brain_is_none(brain_hu):
    """Water, contrast, bone and fat in a bowl of bone."""
    assert not measure_head(ball(brain_hu=brain_hu)).slices.any()


def test_muscle_in_an_open_ring_of_bone_is_no_brain():
    assert not measure_head(ball(brain_hu=55, gap_mm=40)).slices.any()
    assert measure_head(ball(brain_hu=55)).slices.all()  # a closed skull may contain a large bleed


@pytest.mark.parametrize("name", BODIES)
def test_no_other_body_shows_a_brain_in_a_skull(name):
    assert not measure_head(body(name, slices=6, pixels=96)).slices.any()


def test_a_head_at_the_edge_of_the_field_is_cut_and_its_headrest_is_not():
    assert not measure_head(ball()).cut.any()
    assert measure_head(ball(shift_mm=60)).cut.sum() > 10
    scan = ball()
    scan.hu[:, -1] = 100  # 2 mm of headrest
    assert not measure_head(scan).cut.any()


@pytest.mark.parametrize("window", [(0, 80), (-20, 180), (-800, 2000)])
def test_black_of_a_picture_is_no_tissue_at_its_edge(window):
    scan = phantom(1, slices=8, pixels=96).scan
    scan = replace(scan, hu=np.pad(scan.hu, ((0, 0), (6, 6), (6, 6)), constant_values=-1000))
    assert not measure_head(replace(scan, hu=scan.hu.clip(*window))).cut.any()
    cut = replace(scan, hu=scan.hu[:, :, 35:])
    assert measure_head(replace(cut, hu=cut.hu.clip(*window))).cut.any()


def test_a_head_is_cut_by_the_circle_that_the_scanner_saw():
    scan = phantom(1, slices=6, pixels=96).scan
    y, x = np.ogrid[:96, :96]
    outside = np.hypot(y - 47.5, x - 47.5) > 47
    assert not measure_head(replace(scan, hu=np.where(outside, np.float32(-1024), scan.hu))).cut.any()
    moved = np.roll(scan.hu, 20, axis=2)
    assert measure_head(replace(scan, hu=np.where(outside, np.float32(-1024), moved))).cut.all()


@pytest.fixture(scope="module")
def whole_head():
    return phantom(1, slices=34, pixels=96).scan


@pytest.mark.parametrize(
    ("fault", "signs"),
    [
        (None, (-1, -1, 0)),
        ("upside down", (-1, 1, 0)),
        ("on its side", (-1, 0, -1)),
        ("feet first", (1, -1, 0)),
    ],
)
def test_the_air_of_the_sinuses_tells_how_a_head_lies(whole_head, fault, signs):
    head = measure_head(add_fault(whole_head, fault) if fault else whole_head)
    assert head.air_ml > 30
    assert [round(mm / 60) for mm in head.air_mm] == list(signs)


def test_shuffled_slices_jump(whole_head):
    assert measure_head(whole_head).jumps < 2
    assert measure_head(add_fault(whole_head, "slices shuffled", 1)).jumps > 3


def test_of_very_many_slices_some_are_looked_at(whole_head):
    thin = replace(
        whole_head,
        hu=np.repeat(whole_head.hu, 6, axis=0),
        affine=whole_head.affine @ np.diag([1 / 6, 1, 1, 1]),
    )
    some, every = measure_head(thin), measure_head(whole_head)
    assert len(some.room_cm2) == 6 * 34
    assert some.cavity_ml == pytest.approx(every.cavity_ml, rel=0.03)


def test_nothing_is_written_into_the_scan(whole_head):
    before = whole_head.hu.copy()
    measure_head(whole_head)
    assert np.array_equal(before, whole_head.hu)
