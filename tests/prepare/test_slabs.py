"""Thin slices are averaged to slabs of about 5 mm for the models; the results return to slices for the person."""

from dataclasses import replace

import numpy as np
import pytest

from ich_lib.prepare.slabs import moved, slabs_of
from ich_lib.scan import Scan, axial_affine

SIDE = 8


def scan_of(step_mm, count, **fields):
    hu = np.random.default_rng(2).normal(30, 10, (count, SIDE, SIDE)).astype(np.float32)
    return Scan(hu, axial_affine((step_mm, 0.5, 0.4), hu.shape), **fields)


def sizes(scan):
    return [len(rows) for rows in slabs_of(scan).ranges]


@pytest.mark.parametrize(
    ("step_mm", "per_slab"), [(0.5, 10), (0.6, 8), (0.625, 8), (1, 5), (1.25, 4), (1.5, 3), (2, 2), (2.5, 2), (2.7, 2)]
)
def test_neighbors_together_come_nearest_to_5_mm(step_mm, per_slab):
    assert sizes(scan_of(step_mm, 6 * per_slab)) == [per_slab] * 6


@pytest.mark.parametrize("step_mm", [3, 3.0 * np.cos(np.radians(20)), 5, 10])
def test_slices_of_3_mm_stay_as_they_are_tilted_or_not(step_mm):
    scan = scan_of(step_mm, 7)
    slabs = slabs_of(scan)
    assert slabs.are_slices
    assert slabs.average(scan.hu) is scan.hu
    assert slabs.spread(scan.hu) is slabs.spread_maps(scan.hu) is scan.hu


def test_slices_whose_distance_is_not_known_stay_as_they_are():
    assert slabs_of(scan_of(1, 7, spacing_known=False)).are_slices


@pytest.mark.parametrize(("count", "expected"), [(17, [8, 9]), (19, [8, 11]), (20, [8, 8, 4]), (3, [3])])
def test_a_rest_thinner_than_half_a_slab_joins_the_last(count, expected):
    assert sizes(scan_of(0.625, count)) == expected


def test_only_the_thin_part_of_a_scan_of_two_distances_is_averaged():
    places = np.concatenate([np.arange(8), 8 + 2 * np.arange(4)]).astype(float)
    assert sizes(scan_of(2.5, 12, places=places)) == [2, 2, 2, 2, 1, 1, 1, 1]


def test_a_slab_is_the_mean_of_its_slices_each_by_what_it_stands_for():
    scan = scan_of(1.25, 8)
    means = slabs_of(scan).average(scan.hu)
    np.testing.assert_allclose(means, scan.hu.reshape(2, 4, SIDE, SIDE).mean(axis=1), rtol=1e-5)
    uneven = replace(scan_of(1.25, 4), places=np.array([0, 1, 2.4, 3.4]))
    weights = slabs_of(uneven).weights
    assert weights == pytest.approx(np.array([1, 1.2, 1.2, 1]) / 4.4)
    np.testing.assert_allclose(
        slabs_of(uneven).average(uneven.hu)[0], np.tensordot(weights, uneven.hu, 1), rtol=1e-5, atol=1e-4
    )


def test_what_is_found_in_a_slab_counts_for_each_of_its_slices():
    slabs = slabs_of(scan_of(1.25, 8))
    assert slabs.spread(np.array([0.2, 0.7])).tolist() == [0.2] * 4 + [0.7] * 4
    maps = np.arange(2 * SIDE * SIDE).reshape(2, SIDE, SIDE)
    np.testing.assert_array_equal(slabs.spread_maps(maps), np.repeat(maps, 4, axis=0))


def test_slices_of_a_tilted_gantry_are_averaged_along_their_normal():
    """A rod at a right angle to the slices runs through rows that shift by a pixel per slice. Its mean is the rod."""
    scan = scan_of(1.25, 4)
    scan.affine[1, 0] = 0.5  # the table moves back by a row for each slice
    scan.hu[:] = -1000
    for k in range(4):
        scan.hu[k, 5 - k, 3] = 60
    slabs = slabs_of(scan)
    thick = slabs.average(scan.hu)[0]
    assert np.argwhere(thick > 0).tolist() == [[3, 3]]  # the one of the third slice
    back = slabs.spread_maps((thick[None] > 0).astype(np.float16))
    np.testing.assert_array_equal(back > 0, scan.hu == 60)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, 0), (-2, 1), (3, -3), (9, 0), (0, -9)])
def test_a_plane_is_moved_by_whole_pixels(down, right):
    plane = np.arange(1, SIDE * SIDE + 1).reshape(SIDE, SIDE)
    result = moved(plane, down, right, outside=0)
    for (y, x), value in np.ndenumerate(plane):
        inside = 0 <= y + down < SIDE and 0 <= x + right < SIDE
        assert not inside or result[y + down, x + right] == value
    assert (result == 0).sum() == SIDE * SIDE - max(SIDE - abs(down), 0) * max(SIDE - abs(right), 0)
