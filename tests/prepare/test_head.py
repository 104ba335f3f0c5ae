import numpy as np

from ich_lib.phantoms import phantom
from ich_lib.prepare.head import Box, crop, head_box, skull_regions, uncrop


def skull(rows, columns, top, left, side):
    """A square ring of bone at a known place, in air."""
    hu = np.full((3, rows, columns), -1000, np.float32)
    hu[:, top : top + side, left : left + side] = 1000
    hu[:, top + 4 : top + side - 4, left + 4 : left + side - 4] = 30
    return hu


def test_the_box_is_the_skull_and_eight_percent():
    box = head_box(skull(200, 220, 40, 60, 100))
    assert box.side == 108
    assert (box.top, box.left) == (36, 56)


def test_a_headrest_does_not_move_the_box():
    hu = skull(200, 220, 40, 60, 100)
    plain = head_box(hu)
    hu[:, 185:188, 20:200] = 400
    assert head_box(hu) == plain


def plates(count=6, slices=3):
    """An infant's round skull of radius 60 around (100, 110): plates of bone with wide sutures, filled with brain."""
    y, x = np.mgrid[:200, :220]
    radius, angle = np.hypot(y - 100, x - 110), np.arctan2(y - 100, x - 110)
    hu = np.full((slices, 200, 220), -1000, np.float32)
    hu[:, radius < 62] = 30
    hu[:, (radius < 60) & (radius > 57) & (np.cos(count * angle) > -0.8)] = 700
    return hu


def test_a_skull_in_pieces_is_seen_whole():
    """The largest plate is a sixth of the skull, whose side is 120; the box is 8 % wider."""
    box = head_box(plates())
    assert abs(box.side - 1.08 * 120) <= 4
    assert abs(box.top + box.side / 2 - 100) <= 2
    assert abs(box.left + box.side / 2 - 110) <= 2
    back = head_box(plates()[:, :, ::-1])
    assert back == Box(box.top, 220 - box.left - box.side, box.side)


def test_blood_can_be_inside_the_skull_only():
    """A hand with bones beside the head, and a headrest."""
    hu = plates()
    hu[:, 20:60, 5:25] = 40
    hu[:, 30:50, 12:18] = 900
    hu[:, 185:188, 20:200] = 400
    inside = np.hypot(*(np.mgrid[:200, :220] - np.array([100, 110])[:, None, None]))
    regions = skull_regions(hu)
    assert regions[:, inside < 57].all()
    assert not regions[:, inside > 64].any()
    assert np.array_equal(skull_regions(hu[:, :, ::-1]), regions[:, :, ::-1])


def test_a_slice_without_a_ring_of_bone_keeps_the_whole_head():
    """Bone on one side only, as after a craniectomy; and no bone at all, as in a child's fontanelle."""
    hu = plates()
    hu[1][:, :130] = np.minimum(hu[1][:, :130], 30)
    hu[1, 20:60, 5:25] = 40
    hu[2] = np.minimum(hu[2], 30)
    regions = skull_regions(hu)
    assert regions[1, 100, 60]
    assert not regions[1, 40, 15]
    assert regions[2].all()


def test_a_mirrored_scan_has_the_mirrored_box():
    for seed in range(4):
        hu = phantom(seed, slices=8, pixels=96 + seed).scan.hu
        forward, back = head_box(hu), head_box(hu[:, :, ::-1])
        assert back == Box(forward.top, hu.shape[2] - forward.left - forward.side, forward.side)


def test_without_bone_the_whole_slice_is_the_box():
    assert head_box(np.full((2, 50, 60), -1000, np.float32)) == Box(-5, 0, 60)


def test_what_lies_over_the_edge_is_filled():
    plane = np.ones((10, 10), np.float32)
    cut = crop(plane, Box(-5, 0, 10), 10, outside=-1000)
    assert (cut[:5] == -1000).all()
    assert (cut[5:] == 1).all()


def test_uncrop_puts_a_point_back_where_crop_took_it():
    plane = np.zeros((120, 100), np.float32)
    plane[60:64, 40:44] = 1
    box = Box(20, 10, 80)
    back = uncrop(crop(plane, box, 40), box, plane.shape)
    assert np.allclose(np.argwhere(back > 0.5).mean(axis=0), [61.5, 41.5], atol=0.5)
    assert back[:20].sum() == 0
