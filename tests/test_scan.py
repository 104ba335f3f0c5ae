from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from ich_lib.scan import Scan, axial_affine, even_grid, from_file_grid, slab_widths, to_file_grid
from tests.planted import BLOCK, SHAPE, SPACING_MM, head, laid_out

ORIENTATIONS = ["".join(p) for axes in permutations(("RL", "AP", "SI")) for p in product(*axes)]


def test_there_are_48_ways_to_store_a_head():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("letters", ORIENTATIONS)
def test_every_file_order_comes_in_as_the_radiologist_sees_it_and_goes_out_as_it_was(letters):
    values, affine = laid_out(head(), letters)
    scan = from_file_grid(values, affine)
    np.testing.assert_array_equal(scan.hu, head())
    assert scan.orientation == letters
    assert scan.spacing_mm == pytest.approx(SPACING_MM)
    back, back_affine = to_file_grid(scan, scan.hu)
    assert back.shape == values.shape
    np.testing.assert_array_equal(back, values)
    np.testing.assert_allclose(back_affine, affine, atol=1e-9)


def test_the_patients_left_is_on_the_viewers_right():
    scan = from_file_grid(*laid_out(head(), "RAS"))
    z, y, x = np.argwhere(scan.hu == 70).mean(0)
    assert x > SHAPE[2] / 2  # left is drawn on the right
    assert y < SHAPE[1] / 2  # front is drawn on top
    assert z > SHAPE[0] / 2  # the slice at the top of the head is last
    left, back, up = (scan.affine @ [z, y, x, 1])[:3] - (scan.affine @ [*(np.array(SHAPE) - 1) / 2, 1])[:3]
    assert left > 0
    assert back < 0
    assert up > 0


def test_mirroring_the_affine_mirrors_the_picture():
    values, affine = laid_out(head(), "RAS")
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(from_file_grid(values, mirror @ affine).hu, head()[:, :, ::-1])


def test_a_tilted_gantry_shrinks_every_voxel_by_the_cosine():
    affine = axial_affine((5, 0.5, 0.5), (3, 4, 5))
    tilt = np.deg2rad(20)
    affine[:3, 1] = 0, 0.5 * np.cos(tilt), 0.5 * np.sin(tilt)
    scan = Scan(np.zeros((3, 4, 5), np.float32), affine)
    assert scan.voxel_ml == pytest.approx(5 * 0.5 * 0.5 * 0.9396926 / 1000)
    assert scan.spacing_mm == pytest.approx((5, 0.5, 0.5))


def test_the_middle_of_an_axial_affine_is_the_origin():
    affine = axial_affine((5, 0.5, 0.75), (3, 5, 7))
    np.testing.assert_allclose(affine @ [1, 2, 3, 1], [0, 0, 0, 1])
    np.testing.assert_allclose(affine @ [2, 2, 3, 1], [0, 0, 5, 1])  # one slice higher is 5 mm toward the head


def test_repr_tells_size_spacing_and_unit():
    assert repr(from_file_grid(*laid_out(head(), "LAS"))) == (
        "Scan(18 x 24 x 20, 5.00 x 0.50 x 0.75 mm, -1000 to 900 HU, file LAS)"
    )
    unknown = Scan(head(), axial_affine((5, 1, 1), SHAPE), hu_known=False, spacing_known=False)
    assert repr(unknown) == "Scan(18 x 24 x 20, spacing unknown, -1000 to 900 gray, HU unknown, file LPS)"


def test_notes_are_added_to_a_new_scan():
    scan = Scan(head(), axial_affine(SPACING_MM, SHAPE), notes=("One.",))
    assert scan.with_notes("Two.").notes == ("One.", "Two.")
    assert scan.notes == ("One.",)


def test_a_scan_refuses_what_is_no_volume():
    with pytest.raises(ValueError, match=r"hu must be \(z, y, x\).*got shape \(24, 20\)"):
        Scan(head()[0], np.eye(4))
    with pytest.raises(ValueError, match="finite"):
        Scan(head(), np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="flat"):
        Scan(head(), np.diag([1.0, 1.0, 0.0, 1.0]))
    with pytest.raises(ValueError, match="left and right are not defined"):
        from_file_grid(head(), np.diag([1.0, 1.0, 0.0, 1.0]))


def test_the_planted_block_is_where_its_name_says():
    assert (head()[BLOCK] == 70).all()
    assert BLOCK[2].start > SHAPE[2] // 2


# --- uneven slices -------------------------------------------------------------------------------------------------


def uneven(places=(0, 1, 3, 4), **fields):
    hu = np.arange(len(places) * 6, dtype=np.float32).reshape(len(places), 2, 3)
    affine = axial_affine((5, 0.5, 0.25), hu.shape)
    return Scan(hu, affine, places=np.array(places, float), **fields)


def test_a_slice_stands_for_the_head_half_way_to_its_neighbors():
    assert uneven().slab_mm.tolist() == [5, 7.5, 7.5, 5]
    assert uneven().slice_ml == pytest.approx(np.array([5, 7.5, 7.5, 5]) * 0.5 * 0.25 / 1000)
    assert uneven().volume_ml(np.ones((4, 2, 3), bool)) == pytest.approx(25 * 6 * 0.125 / 1000)


def test_slabs_of_even_slices_are_one_step_each():
    even = replace(uneven(), places=None)
    assert even.slabs.tolist() == [1, 1, 1, 1]
    assert even.slice_ml.tolist() == [even.voxel_ml] * 4
    assert even.sides_mm == even.spacing_mm
    mask = even.hu > 7
    assert even.volume_ml(mask) == mask.sum() * even.voxel_ml


def test_the_outermost_slices_reach_no_further_than_is_usual_beside_a_gap():
    assert slab_widths(np.array([0, 3, 4, 5, 6.0])).tolist() == [2, 2, 1, 1, 1]


def test_slabs_are_measured_across_the_slices_however_the_table_leans():
    tilted = uneven()
    tilted.affine[1, 0] = 5 * np.tan(np.radians(20))
    assert tilted.slab_mm == pytest.approx([5, 7.5, 7.5, 5])


@pytest.mark.parametrize(
    ("places", "rows", "step"),
    [
        ([0, 1, 3, 4], [0, 1, 1, 2, 3], 1),  # the middle of a gap is equally near to both: the lower one counts
        ([0, 1, 2, 4, 6], [0, 1, 2, 2, 3, 3, 4], 1),
        ([0, 0.5, 1, 2, 3], [0, 1, 2, 2, 3, 3, 4], 0.5),
    ],
)
def test_an_even_grid_repeats_the_nearest_slice(places, rows, step):
    scan = uneven(places)
    grid, values = even_grid(scan, scan.hu)
    np.testing.assert_array_equal(values, scan.hu[rows])
    np.testing.assert_array_equal(grid.hu, values)
    assert grid.places is None
    assert grid.spacing_mm == pytest.approx((5 * step, 0.5, 0.25))
    np.testing.assert_allclose(grid.affine[:3, 3], scan.affine[:3, 3])


def test_even_slices_stay_as_they_are_on_an_even_grid():
    even = replace(uneven(), places=None)
    assert even_grid(even, even.hu) == (even, even.hu)


@pytest.mark.parametrize("places", [(0, 1, 1, 2), (1, 2, 3, 4), (0, 2, 1, 3)])
def test_places_that_do_not_rise_from_0_are_refused(places):
    with pytest.raises(ValueError, match="places must rise from 0, one for each of the 4 slices"):
        uneven(places)


def test_a_mask_of_another_shape_has_no_ml():
    with pytest.raises(ValueError, match=r"A mask must have the scan's shape, \(4, 2, 3\); got \(3, 2, 3\)"):
        uneven().volume_ml(np.ones((3, 2, 3), bool))


def test_places_of_slices_that_do_not_run_to_the_head_are_refused():
    values, affine = np.zeros((2, 3, 4), np.float32), np.diag([-1, 1, -5, 1.0])
    with pytest.raises(ValueError, match="third axis of this file runs to I"):
        from_file_grid(values, affine, places=np.arange(4.0))
