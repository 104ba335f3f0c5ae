"""Folds by patient: no head is ever on both sides."""

import numpy as np


def patient_folds(bleeding: dict[str, bool], *, folds: int = 5, seed: int = 0) -> dict[str, int]:
    """Give each patient a fold, bleeding and clean patients shared out evenly.

    Args:
        bleeding: patient to whether the scan shows blood.
        folds: how many.
        seed: decides the order.

    Returns:
        Patient to fold number, 0 to folds - 1.

    Raises:
        ValueError: if there are fewer patients than folds.
    """
    if not 2 <= folds <= len(bleeding):
        raise ValueError(f"{len(bleeding)} patients cannot make {folds} folds; choose between 2 and {len(bleeding)}.")
    rng = np.random.default_rng(seed)
    place, fold_of = 0, {}
    for answer in (True, False):
        group = sorted(patient for patient, bleeds in bleeding.items() if bleeds is answer)
        for patient in rng.permutation(group).tolist():
            fold_of[patient] = place % folds
            place += 1
    return fold_of
