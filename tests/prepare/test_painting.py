"""Blood painted into a synthetic head: a skull ring, brain, two ventricles and sulci at known places."""

import numpy as np
import pytest

from ich_lib.labels import ANY, LABELS, TYPES
from ich_lib.prepare.painting import KINDS, paint

SIDE, CENTER, INNER = 200, 99.5, 80.0
ROWS, COLUMNS = np.indices((SIDE, SIDE))
AWAY = np.hypot(ROWS - CENTER, COLUMNS - CENTER)
VENTRICLES = (np.abs(np.abs(COLUMNS - CENTER) - 15) < 7) & (np.abs(ROWS - CENTER) < 25)
SULCI = (AWAY > INNER - 16) & (AWAY < INNER - 2) & (COLUMNS % 20 < 4)


def head(slices=3):
    """(k, y, x) HU and uint8 inside: bone from 80 to 88 pixels from the center, air outside, brain of 32 HU."""
    hu = np.where(AWAY < INNER, 32.0, np.where(AWAY < INNER + 8, 1000.0, -1000.0))
    hu = np.where(VENTRICLES | SULCI, 6.0, hu).astype(np.float32)
    inside = (AWAY < INNER).astype(np.uint8) * 255
    return np.stack([hu] * slices), np.stack([inside] * slices)


def painted(kind, seeds=range(12)):
    """Every painting of a kind that had enough room: seed, HU, share of the middle slice."""
    hu, inside = head()
    built = [(seed, *paint(hu, inside, kind, np.random.default_rng(seed))) for seed in seeds]
    return [(seed, new, blood, labels) for seed, new, blood, labels in built if labels.any()]


@pytest.mark.parametrize("kind", KINDS)
def test_blood_lies_inside_the_skull_and_the_label_says_its_type(kind):
    hu, inside = head()
    built = painted(kind)
    assert len(built) >= 8
    for _, new, blood, labels in built:
        assert [LABELS[i] for i in np.flatnonzero(labels)] == sorted([kind, "any"], key=LABELS.index)
        assert not blood[inside == 0].any()
        assert np.array_equal(new[blood == 0], hu[blood == 0])  # nothing but the blood changes
        most = blood >= 0.8 * blood.max()
        assert 38 < np.median(new[most]) < 90


@pytest.mark.parametrize("kind", ["subdural", "epidural"])
def test_subdural_and_epidural_blood_touches_the_skull_or_the_midline(kind):
    for _, _, blood, _ in painted(kind):
        shape = blood[1] >= 128
        on_skull = (shape & (AWAY > INNER - 3)).any()
        on_midline = np.abs(COLUMNS[shape] - CENTER).max() < 10
        assert on_skull or (kind == "subdural" and on_midline)


def test_a_lens_is_shorter_for_its_thickness_than_a_crescent():
    """Epidural blood is biconvex and stops at sutures; subdural blood spreads along the convexity."""

    def length_over_thickness(kind):
        ratios = []
        for _, _, blood, _ in painted(kind, range(40)):
            shape = (blood[1] >= 128) & (AWAY < INNER)
            thickness = INNER - AWAY[shape].min()
            angles = np.unique(np.round(np.degrees(np.arctan2(*(np.argwhere(shape) - CENTER).T))))
            ratios.append(np.radians(len(angles)) * INNER / thickness)
        return np.median(ratios)

    assert length_over_thickness("subdural") > 2 * length_over_thickness("epidural")


def test_blood_in_the_ventricles_layers_with_a_level_surface_at_the_back():
    """The patient lies on the back, so blood fills the rear part of each column of a ventricle, never only the
    front."""
    for _, _, blood, _ in painted("intraventricular"):
        shape = blood[1] >= 128
        near = VENTRICLES | np.roll(VENTRICLES, 1, 0) | np.roll(VENTRICLES, -1, 0)
        near |= np.roll(VENTRICLES, 1, 1) | np.roll(VENTRICLES, -1, 1)
        assert not (shape & ~near).any()
        filled = [np.flatnonzero(shape[:, x]) for x in np.flatnonzero(shape.any(axis=0))]
        assert min(rows[-1] for rows in filled) > CENTER  # reaches the rear half everywhere


def test_subarachnoid_blood_fills_sulci_and_no_ventricle():
    for _, _, blood, _ in painted("subarachnoid"):
        shape = blood[1] >= 128
        assert not (shape & VENTRICLES).any()
        assert (shape & SULCI).sum() > 0.8 * shape.sum()


def test_the_noise_of_the_slice_stays_as_it_was():
    """Inside whole blood the new HU are a smooth clot plus the old noise, so their fine parts correlate."""
    hu, inside = head()
    noise = np.random.default_rng(0).normal(0, 5, hu.shape).astype(np.float32)
    for seed in range(20):
        new, blood, _ = paint(hu + noise, inside, "intraparenchymal", np.random.default_rng(seed))
        full = (blood[1] == 255) & ~VENTRICLES
        if full.sum() > 400:
            assert np.corrcoef(new[1][full], noise[1][full])[0, 1] > 0.5
            return
    pytest.fail("no painting was large enough to judge")


def test_the_input_is_left_alone_and_the_same_generator_paints_the_same():
    hu, inside = head()
    before = hu.copy()
    first, repeat = (paint(hu, inside, "subdural", np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(hu, before)
    assert all(np.array_equal(a, b) for a, b in zip(first, repeat, strict=True))


def test_where_there_is_no_room_nothing_is_painted_and_no_label_set():
    hu, inside = head()
    hu[:] = np.where(inside > 0, 32, hu)  # no ventricle, no sulcus
    for kind in ("intraventricular", "subarachnoid"):
        new, blood, labels = paint(hu, inside, kind, np.random.default_rng(0))
        assert new is hu
        assert not blood.any()
        assert not labels[ANY]
    nothing = paint(hu, np.zeros_like(inside), "subdural", np.random.default_rng(0))
    assert not nothing[2].any()


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=f"one of {', '.join(TYPES)}; got 'any'"):
        paint(*head(), "any", np.random.default_rng(0))
