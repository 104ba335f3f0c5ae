import numpy as np
import pytest

from ich_lib.labels import ANY, LABELS, SCHEMES, TYPES, fits_scheme, from_scheme, six_scores, to_scheme

CLEAN, EPIDURAL, SUBDURAL = [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1]
BOTH, UNKNOWN = [1, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1]


def bools(*rows):
    return np.array(rows, bool)


def every_consistent_row():
    """All 32 combinations of the five types; `any` follows from them."""
    types = np.array([[number >> bit & 1 for bit in range(5)] for number in range(32)], bool)
    return np.column_stack([types, types.any(axis=1)])


def test_binary_is_the_last_label():
    assert to_scheme(bools(CLEAN, EPIDURAL, BOTH), "binary").tolist() == [[False], [True], [True]]


def test_six_nodes_are_the_labels_themselves_and_a_copy():
    labels = every_consistent_row()
    nodes = to_scheme(labels, "6-node")
    assert np.array_equal(nodes, labels)
    assert np.array_equal(from_scheme(nodes, "6-node"), labels)
    nodes[:] = False
    assert labels.any()


def test_seven_classes_count_from_normal_over_the_types_to_multiple():
    labels = np.vstack([bools(CLEAN), np.column_stack([np.eye(5, dtype=bool), np.ones(5, bool)]), bools(BOTH)])
    assert to_scheme(labels, "7-class").argmax(axis=1).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert SCHEMES["7-class"] == ("normal", *TYPES, "multiple")


def test_six_classes_are_the_seven_without_normal():
    labels = every_consistent_row()[1:]
    seven = to_scheme(labels, "7-class")
    assert not seven[:, 0].any()
    assert np.array_equal(to_scheme(labels, "6-class"), seven[:, 1:])


def test_every_row_of_a_class_scheme_has_exactly_one_class():
    assert (to_scheme(every_consistent_row(), "7-class").sum(axis=1) == 1).all()


def test_multiple_forgets_its_types_and_nothing_else_is_lost_by_seven_classes():
    """Of 32 combinations 1 is clean, 5 hold one type, and 26 hold two to five types, which come back as `any` alone."""
    labels = every_consistent_row()
    back = from_scheme(to_scheme(labels, "7-class"), "7-class")
    changed = (back != labels).any(axis=1)
    assert changed.sum() == 26
    assert np.array_equal(changed, labels[:, :ANY].sum(axis=1) > 1)
    assert (back[changed] == bools(UNKNOWN)).all()


def test_binary_forgets_every_type():
    back = from_scheme(to_scheme(bools(CLEAN, SUBDURAL), "binary"), "binary")
    assert np.array_equal(back, bools(CLEAN, UNKNOWN))


def test_class_numbers_come_back_as_their_one_hot_rows_do():
    numbers = np.array([0, 5, 6, 1])
    expected = bools(CLEAN, SUBDURAL, UNKNOWN, EPIDURAL)
    assert np.array_equal(from_scheme(numbers, "7-class"), expected)
    assert np.array_equal(from_scheme(np.eye(7)[numbers], "7-class"), expected)
    assert np.array_equal(from_scheme(np.array([0, 1]), "binary"), bools(CLEAN, UNKNOWN))


def test_six_classes_refuse_a_slice_without_blood_and_say_how_to_leave_it_out():
    labels = bools(EPIDURAL, CLEAN, BOTH, CLEAN)
    with pytest.raises(ValueError, match=r"Row 1 shows no blood, for which '6-class' has no class \(2 such rows"):
        to_scheme(labels, "6-class")
    remaining = labels[fits_scheme(labels, "6-class")]
    assert to_scheme(remaining, "6-class").argmax(axis=1).tolist() == [0, 5]


def test_bleeding_of_unknown_type_has_no_class_but_stays_binary():
    assert fits_scheme(bools(UNKNOWN, CLEAN), "7-class").tolist() == [False, True]
    with pytest.raises(ValueError, match="Row 0 bleeds without a type"):
        to_scheme(bools(UNKNOWN), "7-class")
    assert to_scheme(bools(UNKNOWN), "binary").item() is True


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_type_without_any_is_refused_by_every_scheme(scheme):
    wrong = bools(CLEAN, [0, 0, 0, 1, 0, 0])
    with pytest.raises(ValueError, match="Row 1 is subarachnoid and yet not `any`"):
        to_scheme(wrong, scheme)
    with pytest.raises(ValueError, match="Row 1 is subarachnoid and yet not `any`"):
        from_scheme(wrong, "6-node")


def test_scores_are_refused_until_they_are_decided():
    with pytest.raises(ValueError, match="Turn scores into decisions first"):
        from_scheme(np.full((2, 6), 0.5), "6-node")
    with pytest.raises(ValueError, match="Turn scores into decisions first"):
        from_scheme(np.array([[np.nan]]), "binary")


def test_two_classes_at_once_and_no_class_are_refused():
    with pytest.raises(ValueError, match="Row 1 has 2 classes at once"):
        from_scheme(np.array([[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]]), "6-class")
    with pytest.raises(ValueError, match="Row 0 has 0 classes"):
        from_scheme(np.zeros((1, 7)), "7-class")
    with pytest.raises(ValueError, match="the classes 0 to 6; got 7"):
        from_scheme(np.array([0, 7]), "7-class")


def test_wrong_widths_and_names_are_refused():
    with pytest.raises(ValueError, match=r"must be \(n, 6\); got shape \(2, 5\)"):
        to_scheme(np.zeros((2, 5)), "6-node")
    with pytest.raises(ValueError, match=r"'7-class' scheme has 7 columns.*got shape \(2, 6\)"):
        from_scheme(np.zeros((2, 6)), "7-class")
    with pytest.raises(ValueError, match="No label scheme is called '8-class'; choose from binary, 6-node"):
        to_scheme(bools(CLEAN), "8-class")


def test_no_rows_in_no_rows_out():
    none = np.zeros((0, len(LABELS)), bool)
    for scheme, names in SCHEMES.items():
        assert to_scheme(none, scheme).shape == (0, len(names))
        assert from_scheme(np.zeros((0, len(names))), scheme).shape == (0, 6)


def test_scores_of_any_scheme_become_scores_of_the_six_labels():
    """7-class: any is 1 - normal. 6-class knows only bleeding slices. Binary knows no type. Multiple adds to no
    type."""
    seven = six_scores(np.array([[0.7, 0.1, 0.05, 0.05, 0.02, 0.03, 0.05]]), "7-class")
    assert seven[0].tolist() == pytest.approx([0.1, 0.05, 0.05, 0.02, 0.03, 0.3])
    six = six_scores(np.array([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]]), "6-class")
    assert six[0].tolist() == pytest.approx([0.5, 0.1, 0.1, 0.1, 0.1, 1])
    assert six_scores(np.array([[0.4]]), "binary")[0].tolist() == pytest.approx([0, 0, 0, 0, 0, 0.4])
    nodes = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    assert np.array_equal(six_scores(nodes, "6-node"), nodes)
