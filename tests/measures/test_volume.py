from dataclasses import replace

import cv2
import numpy as np
import pytest

from ich_lib.data import open_set
from ich_lib.data.store import build_store
from ich_lib.evaluation import figures
from ich_lib.evaluation.judged import judge, table_scan
from ich_lib.measures.volume import abc2_ml, diameters_mm, lesions, soft_voxels
from ich_lib.phantoms import phantom
from ich_lib.reports import as_json
from ich_lib.reports.case_files import write_case
from ich_lib.scan import axial_affine
from tests import viewed
from tests.evaluation.test_evaluate import Disk, scan
from tests.planted import table_of_heads

SPACING_MM = (1.5, 0.5, 0.75)  # (z, y, x), all different
CAPS = (1 + 3**0.5) / 4  # the part of an ellipsoid's height with each weight: z/c to 1/2 whole, to sqrt(3)/2 half


def ellipsoid(shape, radii_mm, spacing_mm=SPACING_MM):
    z, y, x = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing_mm, strict=True))
    z, y, x = z / radii_mm[0], y / radii_mm[1], x / radii_mm[2]
    return z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 1


def tilt(affine, degrees):
    """Rows lean along the head, as with a tilted gantry: a voxel holds the product of its sides times the cosine."""
    turned, angle = affine.copy(), np.deg2rad(degrees)
    turned[:3, 1] = np.linalg.norm(affine[:3, 1]) * np.array([0, np.cos(angle), np.sin(angle)])
    return turned


@pytest.mark.parametrize("radii_mm", [(30, 30, 30), (36, 20, 28), (24, 34, 22)])
@pytest.mark.parametrize("degrees", [0, 20])
def test_an_ellipsoid_comes_out_as_three_pi_ths_and_its_caps_are_lost_by_the_weights(radii_mm, degrees):
    """2a 2b 2c / 2 = 4abc compared with 4/3 pi abc: 3/pi. By the edges of the pixels about 2 % more."""
    mask = ellipsoid((50, 150, 90), radii_mm)
    affine = tilt(axial_affine(SPACING_MM, mask.shape), degrees)
    true_ml = 4 / 3 * np.pi * np.prod(radii_mm) / 1000 * np.cos(np.deg2rad(degrees))
    assert mask.sum() * np.linalg.det(affine[:3, :3]) / -1000 == pytest.approx(true_ml, rel=0.005)
    assert abc2_ml(mask, affine, weighted=False) / true_ml == pytest.approx(3 / np.pi, rel=0.04)
    assert abc2_ml(mask, affine) / true_ml == pytest.approx(3 / np.pi * CAPS, rel=0.05)


def test_a_box_of_30_by_40_mm_has_a_diagonal_of_50_and_a_line_across_of_37_5():
    """The diameter across at the corner is 30 * 50 / 40. In pixels of 0.5 x 0.75 mm these are 80 rows and 40
    columns."""
    pixels = np.argwhere(np.ones((80, 40), bool))
    assert diameters_mm(pixels, np.diag(SPACING_MM[1:])) == pytest.approx((50, 37.5), abs=0.2)
    mask = np.zeros((6, 100, 60), bool)
    mask[1:4, 10:90, 5:45] = True
    affine = axial_affine((5, *SPACING_MM[1:]), mask.shape)
    assert abc2_ml(mask, affine) == pytest.approx(50 * 37.5 * 15 / 2 / 1000, rel=0.005)


def test_a_line_across_a_crescent_ends_where_its_blood_does():
    """A half ring of radii 40 and 50 px: 100 px from tip to tip. The longest diameter across passes the hole 40 px
    from the middle: sqrt(50^2 - 40^2) = 30; a half disk has 50. The tips may be up to 5 px off because of the
    pixels."""
    y, x = np.mgrid[:120, :60]
    far = np.hypot(y - 59.5, x + 0.5)
    length, width = diameters_mm(np.argwhere((far >= 40) & (far <= 50)), np.eye(2))
    assert length == pytest.approx(100, abs=1.5)
    assert width == pytest.approx(30, abs=4)


def test_slices_count_whole_above_three_quarters_half_from_a_quarter_and_else_not():
    """Of 100 px: 100 and 76 count whole, 75 and 25 half, 24 not: C is 3 slices. A and B are those of 10 x 10."""
    mask = np.zeros((5, 12, 12), bool)
    for k, count in enumerate((24, 75, 100, 76, 25)):
        mask[k, 1:11, 1:11] = np.arange(100).reshape(10, 10) < count
    affine = axial_affine((5, 1, 1), mask.shape)
    square = 10 * 10 * 2  # both diagonals of 10 x 10 are 14.1
    assert abc2_ml(mask, affine) == pytest.approx(square * 15 / 2 / 1000, rel=0.03)
    assert abc2_ml(mask, affine, weighted=False) == pytest.approx(square * 25 / 2 / 1000, rel=0.03)


def test_two_lesions_are_measured_one_by_one():
    """A chain over slices is one piece. Touching at a corner within a slice is one piece; a corner in the next slice
    is not."""
    mask = np.zeros((4, 20, 30), bool)
    mask[0, 2:6, 2:6] = mask[1, 4:8, 4:8] = mask[2, 6:10, 6:10] = True
    mask[0, 1, 1] = True
    mask[2, 10:14, 20:24] = mask[3, 14:16, 24:26] = True
    result = lesions(mask)
    assert sorted(len(item) for item in result) == [4, 16, 49]
    assert sum(map(len, result)) == mask.sum()
    affine = axial_affine((5, 1, 1), mask.shape)
    single = mask.copy()
    single[:, :, 15:] = False
    assert abc2_ml(mask, affine) == pytest.approx(abc2_ml(single, affine) + abc2_ml(mask & ~single, affine))


def test_pieces_that_meet_only_further_up_are_one_lesion():
    """Two legs and a bridge."""
    mask = np.zeros((3, 5, 9), bool)
    mask[:2, 2, 1] = mask[:2, 2, 7] = mask[2, 2, 1:8] = True
    assert [len(item) for item in lesions(mask)] == [11]


def test_of_two_equal_diameters_the_one_with_the_longer_line_across_counts():
    """An X of two bars of sqrt(41^2 + 25^2) px from corner to corner, with a lump beside one end. Across one bar it
    measures 21 px, across the other 29 px, however it is mirrored, rotated or rounded."""
    plane = np.zeros((25, 41), np.uint8)
    for left, right in ((0, 24), (24, 0)):
        cv2.line(plane, (0, left), (40, right), 1)
    plane[:2, 24:27] = 1
    for item in (plane, plane[::-1], plane[:, ::-1], plane.T):
        for side in (1, 1 - 1e-9):
            result = diameters_mm(np.argwhere(item), side * np.eye(2))
            assert result == (pytest.approx(np.hypot(41, 25)), pytest.approx(29.25, abs=0.5))


def test_one_slice_one_voxel_and_no_voxel():
    affine = axial_affine((5, 2, 2), (3, 9, 9))
    mask = np.zeros((3, 9, 9), bool)
    assert (abc2_ml(mask, affine), lesions(mask), soft_voxels(mask.astype(np.float16)).tolist()) == (0, [], [0, 0, 0])
    mask[1, 4, 4] = True  # its diagonals are 2 sqrt 2: 8 * 5 / 2 = 20 mm3, which is the voxel
    assert abc2_ml(mask, affine) == pytest.approx(0.020, rel=0.3)
    mask[1, 1:8, 1:8] = True
    assert abc2_ml(mask, affine) == pytest.approx(7 * 7 * 4 * 2 * 5 / 2 / 1000, rel=0.05)


def test_voxels_of_a_lesion_are_numbered_as_in_the_scan():
    mask = np.zeros((6, 20, 30), bool)
    mask[2:4, 11:14, 17:19] = True
    assert [item.tolist() for item in lesions(mask)] == [np.argwhere(mask).tolist()]


def test_half_of_a_probability_counts_half_and_haze_counts_nothing():
    blood = np.full((2, 10, 10), 0.09, np.float16)
    blood[1, 2:6, 2:7] = 0.5
    assert soft_voxels(blood).tolist() == [0, 10]
    assert soft_voxels(blood, floor=0)[0] == pytest.approx(9, rel=0.01)


def test_a_result_tells_its_ml_three_ways_or_none():
    """Probability 0.9 in 12 x 18 and 6 x 8 pixels of 0.5 x 0.25 mm in slices of 5 mm."""
    result = viewed.result()
    assert result.soft_ml == pytest.approx(0.9 * result.volume_ml, rel=1e-3)
    assert result.volume_ml == pytest.approx((12 * 18 + 6 * 8) * 0.625 / 1000)
    assert result.abc2_ml == pytest.approx(abc2_ml(result.mask, result.scan.affine))
    output = as_json(result)
    assert (output["volume_soft_ml"], output["volume_abc2_ml"]) == (result.soft_ml, result.abc2_ml)
    unknown = replace(result, scan=replace(result.scan, spacing_known=False))
    output = as_json(unknown)
    assert unknown.soft_ml is unknown.abc2_ml is output["volume_soft_ml"] is output["volume_abc2_ml"] is None


def test_uneven_slices_count_by_their_slabs():
    """Two slices of 216 pixels beside a gap of 10 mm count 7.5 mm each, also in ABC/2 and in the sum of
    probabilities."""
    even = viewed.result(shape=(6, *viewed.SHAPE[1:]))
    even.blood[2] = even.blood[3]
    even.blood[1] = 0
    uneven = replace(even, scan=replace(even.scan, places=np.array([0, 1, 2, 4, 5, 6.0])))
    assert uneven.volume_ml == pytest.approx(1.5 * even.volume_ml)
    assert uneven.soft_ml == pytest.approx(1.5 * even.soft_ml)
    assert uneven.abc2_ml == pytest.approx(1.5 * even.abc2_ml)
    assert even.abc2_ml == abc2_ml(even.mask, even.scan.affine)


@pytest.fixture(scope="module")
def case():
    """A round bleed of few pixels with a tilted gantry."""
    return phantom(3, bleeds=["intraparenchymal"], pixels=96, slices=9, thickness_mm=15, tilt_deg=15)


def test_the_truth_of_a_phantom_holds_the_ml_that_it_says(case):
    """Half voxels are rounded: 5 % error in pixels of 2.4 mm and slices of 15 mm. Shares as probabilities lose
    nothing."""
    known_ml = case.volumes_ml["intraparenchymal"]
    assert known_ml > 10
    assert case.truth.sum() * case.scan.voxel_ml == pytest.approx(known_ml, rel=0.05)
    assert soft_voxels(case.shares["intraparenchymal"], floor=0).sum() * case.scan.voxel_ml == pytest.approx(known_ml)
    assert abc2_ml(case.truth, case.scan.affine) == pytest.approx(0.8 * known_ml, rel=0.2)  # minus its caps


def test_scans_that_tell_their_spacing_are_judged_with_it(case, tmp_path):
    """With tilt. A store with whole slices in half as many pixels keeps the mm."""
    write_case(case, tmp_path / "set" / "one")
    table = open_set(tmp_path / "set")
    rows = np.arange(len(table))
    item = judge(table, rows, Disk.models())
    true_ml = case.truth.sum() * case.scan.voxel_ml
    assert item.spacing_known
    assert item.pixel_mm == pytest.approx(case.scan.spacing_mm, rel=1e-4)
    assert item.true_ml == pytest.approx(true_ml, rel=1e-4)
    assert item.true_abc2_ml == pytest.approx(abc2_ml(case.truth, case.scan.affine), rel=0.01)
    assert figures.spacing_note([item]) == "from the files"
    store = build_store(table, tmp_path / "half.slices", size=48, field="slice")
    half = table_scan(store.table, rows)
    assert half.spacing_known
    assert half.spacing_mm == pytest.approx(np.array(case.scan.spacing_mm) * [1, 2, 2], rel=1e-4)
    assert half.voxel_ml == pytest.approx(4 * case.scan.voxel_ml, rel=1e-4)


def test_without_spacing_a_usual_head_is_assumed_and_said_so():
    table = table_of_heads(heads=2)
    item = judge(table, table.rows(["p0"]), Disk.models())
    assert not item.spacing_known
    assert figures.spacing_note([item]) == "assumed, 5.0 between slices and a field of view of 230 mm"
    known = replace(item, spacing_known=True)
    assert figures.spacing_note([item, known]).startswith("from the files of 1 of 2 scans; for the others assumed, 5.0")
    assert item.soft_ml == pytest.approx(item.mask_ml)  # the synthetic model answers 0 or 1
    part = item.take_slices(np.arange(6) == 2)
    assert part.soft_ml == pytest.approx(item.soft_ml / 2)
    assert part.abc2_ml is part.true_abc2_ml is None


def test_every_way_to_measure_is_held_against_the_voxels_of_the_truth():
    """Errors of +1 and +3 mL: bias 2, deviation sqrt 2, limits 2 -+ 2.772. Errors of -2 and +2: mean 0, error 2."""
    first = scan("a", [1], [0.9], true_px=[4000], mask_px=[5000], shared_px=[4000])
    second = scan("b", [1], [0.9], true_px=[8000], mask_px=[11000], shared_px=[8000])
    group = [
        replace(first, soft_px=np.array([2000.0]), abc2_ml=4.5, true_abc2_ml=4.0),
        replace(second, soft_px=np.array([10000.0]), abc2_ml=None, true_abc2_ml=6.0),
    ]
    result = figures.volume_metrics(group)
    mask, soft = result.methods["mask"], result.methods["soft"]
    assert (mask.mae_ml.value, mask.bias_ml.value, mask.pairs_ml) == (2, 2, ((4, 5), (8, 11)))
    assert mask.limits_ml == pytest.approx((2 - 1.96 * 2**0.5, 2 + 1.96 * 2**0.5))
    assert (soft.mae_ml.value, soft.bias_ml.value, soft.pairs_ml) == (2, 0, ((4, 2), (8, 10)))
    assert result.methods["abc2_of_truth"].bias_ml.value == -1
    assert "abc2" not in result.methods  # one scan alone has no limits
    output = result.as_json()
    assert {key: output[key] for key in ("bias_ml", "limits_ml", "pairs_ml")} == {
        key: output["ways"]["mask"][key] for key in ("bias_ml", "limits_ml", "pairs_ml")
    }
    assert figures.volume_metrics(group[:1]) is None
