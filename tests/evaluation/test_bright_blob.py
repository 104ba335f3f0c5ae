"""The blob is marked where it was planted and nowhere else."""

import numpy as np
import pytest

from ich_lib.evaluation.bright_blob import bright_blobs


def head(*, radius=50, closed=True):
    """(128, 128) HU: air, and a ring of bone with brain of 35 HU inside."""
    y, x = np.mgrid[:128, :128] - 63.5
    r = np.hypot(y, x)
    hu = np.full((128, 128), -1000, np.float32)
    hu[r < radius + 5] = 900
    hu[r < radius] = 35
    if not closed:
        hu[:, :40] = -1000
    return hu


def block(hu, rows, columns, value):
    hu[rows[0] : rows[1], columns[0] : columns[1]] = value
    return hu


def test_of_two_bright_pieces_the_larger_one_is_marked():
    hu = block(block(head(), (50, 62), (50, 62), 70), (80, 86), (80, 86), 70)
    (blob,) = bright_blobs(hu[None])
    truth = block(np.zeros(hu.shape), (50, 62), (50, 62), 1) > 0
    assert 2 * (blob & truth).sum() / (blob.sum() + truth.sum()) > 0.9
    assert not blob[80:86, 80:86].any()


@pytest.mark.parametrize("value", [40, 300])
def test_what_is_darker_or_brighter_than_blood_is_no_blob(value):
    hu = block(head(), (50, 62), (50, 62), value)
    (blob,) = bright_blobs(hu[None])
    assert not blob[52:60, 52:60].any()


def test_the_rim_of_the_skull_is_no_blob_and_an_open_skull_has_none():
    assert not bright_blobs(head()[None]).any()
    assert not bright_blobs(block(head(closed=False), (50, 62), (60, 72), 70)[None]).any()


def test_noise_of_single_pixels_is_no_blob():
    noise = np.random.default_rng(0).normal(0, 8, (128, 128)).astype(np.float32)
    assert bright_blobs((head() + noise)[None]).sum() < 20
