import pytest

from ich_lib.split import patient_folds

BLEEDING = {f"{i:03d}": i < 29 for i in range(66)}


def test_every_patient_has_one_fold_and_blood_is_shared_out_evenly():
    folds = patient_folds(BLEEDING, folds=5, seed=0)
    assert set(folds) == set(BLEEDING)
    for k in range(5):
        inside = [p for p, fold in folds.items() if fold == k]
        assert 13 <= len(inside) <= 14
        assert 5 <= sum(BLEEDING[p] for p in inside) <= 6


def test_the_seed_decides_and_repeats():
    assert patient_folds(BLEEDING, seed=1) == patient_folds(BLEEDING, seed=1) != patient_folds(BLEEDING, seed=2)


def test_the_order_of_the_patients_does_not_matter():
    assert patient_folds(dict(reversed(BLEEDING.items()))) == patient_folds(BLEEDING)


def test_more_folds_than_patients_are_refused():
    with pytest.raises(ValueError, match="2 patients cannot make 5 folds"):
        patient_folds({"a": True, "b": False})
