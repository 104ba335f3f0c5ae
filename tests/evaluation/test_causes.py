import numpy as np
import pytest

from ich_lib.case import Case
from ich_lib.evaluation.causes import (
    OTHER_CAUSE,
    RULE_TEXTS,
    Failure,
    bone,
    causes,
    is_calcification,
    is_chronic,
    is_next_to_bone,
    is_skull_base,
    is_small,
    is_thin,
    share_near_bone,
    thickness_mm,
)
from ich_lib.labels import LABELS
from ich_lib.scan import Scan, axial_affine

SPACING_MM = (5.0, 1.0, 1.25)  # (z, y, x), all different
SHAPE = (12, 120, 96)


def head():
    """Brain of 30 HU in a ring of bone from 45 to 50 mm, with air around it; `far` is the distance from its middle in
    mm."""
    y, x = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(SHAPE[1:], SPACING_MM[1:], strict=True))
    far = np.hypot(y[:, None], x)
    hu = np.where(far < 45, 30, np.where(far < 50, 900, -1000)).astype(np.float32)
    return np.repeat(hu[None], SHAPE[0], axis=0), far


def block(z, y, x):
    result = np.zeros(SHAPE, bool)
    result[z, y, x] = True
    return result


MIDDLE = block(slice(5, 8), slice(50, 70), slice(40, 56))  # 960 voxels of 6.25 mm3: 6 mL
NONE = np.zeros(SHAPE, bool)


def case(hu, *, truth=NONE, mask=NONE, types=()):
    labels = np.zeros((SHAPE[0], len(LABELS)), bool)
    labels[:, [LABELS.index(name) for name in types]] = True
    known = Case(Scan(hu, axial_affine(SPACING_MM, SHAPE)), truth, labels, np.ones(SHAPE[0], bool))
    return Failure(known, mask)


def test_small_is_less_than_2_ml_and_more_than_nothing():
    truth = np.zeros((2, 10, 20), bool)
    assert not is_small(truth, 0.01)
    truth.flat[:199] = True
    assert is_small(truth, 0.01)
    truth.flat[:200] = True
    assert not is_small(truth, 0.01)


def test_a_sheet_is_as_thick_as_it_is_and_a_disk_two_thirds():
    """4 rows of 1 mm. Rotated, they are 4 columns of 1.25 mm. A disk 40 mm away is then at about 27."""
    assert thickness_mm(block(5, slice(50, 54), slice(20, 80)), SPACING_MM) == pytest.approx(4, abs=0.3)
    assert thickness_mm(block(slice(2, 9), slice(20, 100), slice(40, 44)), SPACING_MM) == pytest.approx(5, abs=0.3)
    disk = np.repeat((head()[1] < 20)[None], SHAPE[0], axis=0)
    assert thickness_mm(disk, SPACING_MM) == pytest.approx(40 * 2 / 3, rel=0.05)
    assert is_thin(block(5, slice(50, 54), slice(20, 80)), SPACING_MM)
    assert not is_thin(block(5, slice(50, 56), slice(20, 80)), SPACING_MM)
    assert not is_thin(NONE, SPACING_MM)


@pytest.mark.parametrize(("blood_hu", "old"), [(20, True), (34.5, True), (35.5, False), (60, False)])
def test_chronic_blood_is_hardly_brighter_than_its_brain(blood_hu, old):
    hu, _ = head()
    hu[MIDDLE] = blood_hu
    assert is_chronic(hu, MIDDLE) is old


def test_where_no_brain_is_enclosed_nothing_is_called_chronic():
    hu, _ = head()
    hu[MIDDLE] = 20
    hu[:, :60][hu[:, :60] == 900] = 30  # the ring has an opening
    assert not is_chronic(hu, MIDDLE)


@pytest.mark.parametrize(("bright", "is_calcified"), [(96, True), (95, False)])
def test_a_tenth_of_the_false_mask_brighter_than_blood_is_calcification(bright, is_calcified):
    hu, _ = head()
    values = hu[MIDDLE]
    values[:bright] = 100  # of 960
    hu[MIDDLE] = values
    assert is_calcification(hu, MIDDLE) is is_calcified
    assert not is_calcification(hu, NONE)


def test_bone_is_a_large_bright_piece_and_calcification_is_none():
    """The ring has about 1500 mm2; 300 mm2 are 240 pixels of 1.25 mm2."""
    hu, far = head()
    ring = (far >= 45) & (far < 50)
    assert np.array_equal(bone(hu[0], SPACING_MM), ring)
    hu[0, 50:65, 40:55] = 400
    assert np.array_equal(bone(hu[0], SPACING_MM), ring)  # 225 pixels
    hu[0, 50:66, 40:55] = 400
    assert bone(hu[0], SPACING_MM)[55, 45]  # 240 pixels


def test_next_to_bone_is_within_3_mm_of_it():
    """Left of the ring's inner edge at 45 mm: one sheet from 42.5 to 45 mm, and one from 36 to 39 mm."""
    hu, far = head()
    near, deep = (np.zeros(SHAPE, bool) for _ in range(2))
    near[6] = (far >= 42.5) & (far < 45)
    deep[6] = (far >= 36) & (far < 39)
    assert share_near_bone(hu, near, SPACING_MM) > 0.95
    assert share_near_bone(hu, deep, SPACING_MM) == 0
    assert is_next_to_bone(hu, near, SPACING_MM)
    assert not is_next_to_bone(hu, deep, SPACING_MM)
    assert is_next_to_bone(hu, near | deep, SPACING_MM)  # the outer one is the larger half
    assert not is_next_to_bone(hu, NONE, SPACING_MM)
    hu[hu == 900] = 30
    assert not is_next_to_bone(hu, near, SPACING_MM)


def test_the_skull_base_is_the_lowest_third_and_bone():
    hu, far = head()
    ring = (far >= 42.5) & (far < 45)
    for k, low in ((0, True), (3, True), (4, False), (11, False)):
        false = np.zeros(SHAPE, bool)
        false[k] = ring
        assert is_skull_base(hu, false, SPACING_MM) is low
    low_and_high = np.zeros(SHAPE, bool)
    low_and_high[[0, 5, 6]] = ring
    assert not is_skull_base(hu, low_and_high, SPACING_MM)
    assert not is_skull_base(hu, block(1, slice(50, 70), slice(40, 56)), SPACING_MM)


def test_the_larger_fault_gives_the_cause():
    """Old blood of 6 mL is missed, and calcification beside it is marked: in 3 slices, then in 6."""
    hu, _ = head()
    hu[MIDDLE] = 25
    calcification = block(slice(5, 7), slice(80, 90), slice(40, 56))
    hu[calcification] = 200
    assert causes(case(hu, truth=MIDDLE, mask=calcification)) == ["chronic", "calcification"]
    much = block(slice(2, 10), slice(80, 100), slice(40, 56))
    hu[much] = 200
    assert causes(case(hu, truth=MIDDLE, mask=much)) == ["calcification", "chronic"]


def test_every_cause_is_found_where_it_was_planted_and_has_its_words():
    hu, far = head()
    fresh = hu.copy()
    fresh[MIDDLE] = 60
    sheet = block(5, slice(50, 54), slice(30, 66))
    fresh[sheet] = 60
    long = block(slice(3, 9), slice(30, 34), slice(30, 66))  # 864 voxels, 5.4 mL
    fresh[long] = 60
    ring = np.zeros(SHAPE, bool)
    ring[6:10] = (far >= 42.5) & (far < 45)
    fresh[ring] = 60
    assert causes(case(fresh, truth=MIDDLE)) == [OTHER_CAUSE]
    assert causes(case(fresh, truth=sheet)) == ["small", "thin"]
    assert causes(case(fresh, truth=sheet, types=("subarachnoid",))) == ["thin subarachnoid", "small"]
    assert causes(case(fresh, truth=ring)) == ["next to bone", "thin"]
    assert causes(case(fresh, mask=ring)) == ["next to bone"]
    assert causes(case(hu, mask=np.roll(ring, -6, axis=0))) == ["skull base", "next to bone"]
    assert causes(case(hu)) == [OTHER_CAUSE]
    assert causes(case(fresh, truth=long)) == ["thin"]
    fresh[long] = 30
    assert causes(case(fresh, truth=long)) == ["thin"]  # dark because of averaging, not because the blood is old
    output = {
        "chronic",
        "thin subarachnoid",
        "small",
        "next to bone",
        "skull base",
        "calcification",
        "thin",
        OTHER_CAUSE,
    }
    assert set(RULE_TEXTS) == output
    thick = case(fresh, truth=MIDDLE, types=("subarachnoid",))
    assert causes(thick) == [OTHER_CAUSE]
