import numpy as np
import pytest
from scipy import ndimage

from ich_lib.labels import ANY, LABELS, TYPES
from ich_lib.phantom import phantom


def test_the_same_seed_gives_the_same_head_and_another_seed_another():
    first, again, other = (
        phantom(5, bleeds=["subdural"]),
        phantom(5, bleeds=["subdural"]),
        phantom(6, bleeds=["subdural"]),
    )
    assert np.array_equal(first.scan.hu, again.scan.hu)
    assert not np.array_equal(first.scan.hu, other.scan.hu)


@pytest.mark.parametrize("name", TYPES)
def test_every_type_of_bleed_is_there_bright_and_inside_the_skull(name):
    case = phantom(7, bleeds=[name], noise_hu=0)
    mask = case.masks[name]
    assert 0.2 < case.volumes_ml[name] < 120
    core = ndimage.binary_erosion(mask, np.ones((1, 3, 3)))
    if core.any():
        assert 50 < np.median(case.scan.hu[core]) < 80  # clotted blood; borders are dimmer by slice averaging
    hu = case.scan.hu[mask]
    assert ((hu > 25) & (hu < 110)).mean() > 0.7  # the others share their voxel with bone or fluid
    assert case.labels[:, LABELS.index(name)].tolist() == mask.any(axis=(1, 2)).tolist()
    assert case.labels[:, ANY].tolist() == mask.any(axis=(1, 2)).tolist()


def test_a_head_without_blood_has_no_label_and_no_mask():
    case = phantom(8)
    assert not case.mask.any()
    assert not case.labels.any()
    assert case.volumes_ml == {}


def test_tissues_lie_where_the_textbook_says():
    case = phantom(9, noise_hu=0)
    hu = case.scan.hu[20]
    assert hu[0, 0] == pytest.approx(-1000)  # air in the corner
    assert 700 < np.percentile(hu[hu > 300], 90) < 1300  # skull
    brain = hu[100:150, 100:150]
    assert 20 < np.median(brain) < 45


def test_noise_has_the_strength_asked_for_and_is_correlated():
    quiet, noisy = phantom(4, noise_hu=0).scan.hu, phantom(4, noise_hu=4).scan.hu
    noise = (noisy - quiet)[10:20, 100:156, 100:156]
    assert noise.std() == pytest.approx(4, rel=0.05)
    assert np.corrcoef(noise[..., 1:].ravel(), noise[..., :-1].ravel())[0, 1] > 0.3


def test_the_volume_does_not_depend_on_the_grid_it_is_drawn_on():
    coarse = phantom(3, bleeds=["intraparenchymal"], pixels=128).volumes_ml["intraparenchymal"]
    fine = phantom(3, bleeds=["intraparenchymal"], pixels=384).volumes_ml["intraparenchymal"]
    assert coarse == pytest.approx(fine, rel=0.03)


def test_an_epidural_is_a_lens_and_a_subdural_a_crescent():
    """A lens is short and thick; a crescent long and thin."""

    def length_over_thickness(name):
        mask = phantom(12, bleeds=[name]).masks[name]
        plane = mask[mask.sum(axis=(1, 2)).argmax()]
        thickness = 2 * ndimage.distance_transform_edt(plane).max()
        return plane.sum() / thickness**2

    assert length_over_thickness("subdural") > 2 * length_over_thickness("epidural")


def test_ventricular_blood_lies_at_the_back_because_the_patient_is_supine():
    mask = phantom(2, bleeds=["intraventricular"]).masks["intraventricular"]
    assert np.argwhere(mask)[:, 1].min() > 128  # behind the middle of 256 rows


def test_an_unknown_type_is_refused_by_name():
    with pytest.raises(ValueError, match="'stroke' is no bleed type; choose from epidural"):
        phantom(1, bleeds=["stroke"])
