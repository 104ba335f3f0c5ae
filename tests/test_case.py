from dataclasses import replace

import numpy as np
import pytest

from ich_lib.case import Case
from ich_lib.labels import ANY, LABELS
from ich_lib.phantoms import from_shares
from ich_lib.scan import Scan, axial_affine

SHAPE = (4, 6, 8)


def scan():
    return Scan(np.full(SHAPE, 30, np.float32), axial_affine((5, 2, 2), SHAPE))


def test_a_case_keeps_its_parts_together():
    case = Case(scan(), np.zeros(SHAPE, bool), np.zeros((4, 6), bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="needs a truth of that shape and a label for each slice"):
        replace(case, labels=case.labels[1:])
    with pytest.raises(ValueError, match=r"got \(4, 6, 7\), 4 labels and 4 marks"):
        replace(case, truth=case.truth[..., 1:])


def test_the_types_of_a_case_are_those_that_any_slice_is_labeled_with():
    labels = np.zeros((4, 6), bool)
    labels[2, [LABELS.index("subdural"), ANY]] = True
    labels[3, [LABELS.index("epidural"), ANY]] = True
    assert Case(scan(), np.zeros(SHAPE, bool), labels, np.ones(4, bool)).types == ("epidural", "subdural")


def test_the_truth_of_a_phantom_is_where_one_type_fills_half_of_a_voxel():
    """Two types that share a voxel by 0.4 each fill most of it. It belongs to neither mask."""
    shares = {name: np.zeros(SHAPE, np.float32) for name in ("epidural", "subdural")}
    shares["epidural"][1, 2, 3] = 0.5
    shares["epidural"][2, 2, 3] = shares["subdural"][2, 2, 3] = 0.4
    case = from_shares(scan(), shares, seed=7)
    assert np.argwhere(case.truth).tolist() == [[1, 2, 3]]
    assert case.labels[:, ANY].tolist() == [False, True, False, False]
    assert (case.types, case.outlined.all(), case.seed) == (("epidural",), True, 7)
    assert case.volumes_ml == pytest.approx({"epidural": 0.9 * 0.02, "subdural": 0.4 * 0.02})
