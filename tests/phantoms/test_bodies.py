import numpy as np
import pytest

from ich_lib.phantoms import phantom
from ich_lib.phantoms.bodies import BODIES, FAULTS, add_fault, body


@pytest.mark.parametrize("name", BODIES)
def test_every_body_is_a_scan_of_its_own_and_the_same_again(name):
    built = body(name, 3, slices=4, pixels=64)
    assert built.hu.shape == (4, 64, 64)
    assert np.array_equal(built.hu, body(name, 3, slices=4, pixels=64).hu)
    assert not np.array_equal(built.hu, body(name, 4, slices=4, pixels=64).hu)


def shares(name):
    """The shares of a middle slice that are air inside the body, air outside, water, and dense bone."""
    hu = body(name, 1, slices=3, noise_hu=1).hu[1]
    return [float(part.mean()) for part in (hu < -700, np.abs(hu) < 8, hu > 500)]


def test_a_chest_holds_lungs_a_thigh_two_bones_and_the_water_phantom_water():
    chest = body("chest", 1, slices=3, noise_hu=1)
    lung_ml = np.count_nonzero(np.abs(chest.hu + 830) < 10) * chest.voxel_ml
    assert 150 < lung_ml < 600  # three slices of 5 mm
    assert shares("water")[1] > 0.4
    assert shares("thigh")[2] == pytest.approx(2 * np.pi * (15**2 - 8**2) / 380**2, rel=0.3)
    assert shares("abdomen")[2] > 0


@pytest.fixture(scope="module")
def head():
    return phantom(5, pixels=64, slices=6, thickness_mm=15).scan


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_changes_the_scan_and_leaves_the_original(head, name):
    before = head.hu.copy()
    wrong = add_fault(head, name, 1)
    assert wrong.hu.shape == head.hu.shape
    assert not np.array_equal(wrong.hu, head.hu)
    assert np.array_equal(head.hu, before)


def test_faults_on_paper(head):
    assert add_fault(head, "inverted").hu.max() == pytest.approx(-head.hu.min(), abs=1)
    assert np.median(add_fault(head, "intercept forgotten").hu - head.hu) == 1024
    assert add_fault(head, "bone as soft tissue").hu.max() <= 150
    assert np.array_equal(add_fault(head, "upside down").hu[:, 0], head.hu[:, -1])
    assert np.array_equal(add_fault(head, "feet first").hu[0], head.hu[-1])
    shuffled = add_fault(head, "slices shuffled", 1).hu
    assert sorted(map(float, shuffled.mean(axis=(1, 2)))) == sorted(map(float, head.hu.mean(axis=(1, 2))))


def test_unknown_names_are_refused_with_the_known_ones(head):
    with pytest.raises(ValueError, match=r"No body is called 'knee'; choose from chest, abdomen"):
        body("knee")
    with pytest.raises(ValueError, match=r"No fault is called 'blur'; choose from inverted"):
        add_fault(head, "blur")
