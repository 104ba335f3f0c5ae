"""Hidden inputs of the labs: lessons 16 to 21."""

from collections.abc import Callable

import numpy as np

from ich_lib.measures.metrics import auc

Inputs = tuple[tuple, object]


def _probabilities(rng: np.random.Generator) -> Inputs:
    probability, limit = rng.random(15), float(rng.uniform(0.55, 0.95))
    probability[:2] = limit, 0.97
    places = [k for k, p in enumerate(probability) if p >= limit or 1 - p >= limit]
    return (probability, limit), (places, [bool(probability[k] > 0.5) for k in places])


def _paired_aucs(rng: np.random.Generator) -> Inputs:
    before = rng.uniform(0.6, 0.95, 9)
    after = before + rng.normal(0.01, 0.05, 9)
    after[0] = before[0]
    gain = after - before
    return (before.tolist(), after.tolist()), (gain.mean(), gain.std(ddof=1), (gain > 0).mean())


def _rows_of_patients(rng: np.random.Generator) -> Inputs:
    patient, order = rng.choice(list("abcdefg"), 20), rng.permutation(20)
    labeled, test = order[:5], order[5:8]
    judged = set(patient[test])
    return (patient, labeled, test), [k for k in range(20) if k not in labeled and patient[k] not in judged]


def _unlabeled(rng: np.random.Generator) -> Inputs:
    probability, labeled = rng.random(12), rng.permutation(12)[:5].tolist()
    unlabeled = [k for k in range(12) if k not in labeled]
    return (probability, labeled), min(unlabeled, key=lambda k: abs(probability[k] - 0.5))


def _rows_to_pay(rng: np.random.Generator) -> Inputs:
    patient = rng.choice(list("abcdefgh"), 30)
    rows = rng.permutation(30)[: rng.integers(1, 20)]
    return (patient, rows), 3 * len(set(patient[rows])) + len(rows) / 6


def _doubtful_rows(rng: np.random.Generator) -> Inputs:
    uncertainty, patient = rng.random(20), rng.choice(list("abcde"), 20)
    count, per_patient = int(rng.integers(2, 8)), int(rng.integers(1, 4))
    batch: list[int] = []
    for k in np.argsort(-uncertainty).tolist():
        if len(batch) < count and (patient[batch] == patient[k]).sum() < per_patient:
            batch.append(k)
    return (uncertainty, patient, count, per_patient), batch


def _judge_bag(mine: Callable) -> None:
    drawn = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        patient = rng.choice(list("abcdefg"), 30)
        rows = rng.permutation(30)[:22]
        rows_before = rows.copy()
        times = np.bincount(mine(rows, patient, np.random.default_rng(seed)), minlength=30)
        assert np.array_equal(rows, rows_before), "The rows that were given have changed."
        assert not times[np.setdiff1d(np.arange(30), rows)].any(), "A row is drawn that was not given."
        names = np.unique(patient[rows])
        counts_of_patients = [times[rows[patient[rows] == name]] for name in names]
        assert all(np.ptp(counts) == 0 for counts in counts_of_patients), "All rows of a patient go together."
        assert sum(counts[0] for counts in counts_of_patients) == len(names), "Draw as many patients as there are."
        drawn.append(max(counts[0] for counts in counts_of_patients))
    assert np.mean(np.array(drawn) > 1) > 0.8, "With replacement, some patient is drawn twice in most bags."
    bags = [tuple(mine(rows, patient, np.random.default_rng(seed))) for seed in (0, 1, 2, 0)]
    assert len(set(bags)) > 1, "Draw with the generator that is given."
    assert bags[0] == bags[3], "The same generator must draw alike."


def _members(rng: np.random.Generator) -> Inputs:
    members = np.round(rng.random((5, 7)) * 10) / 10  # exactly one half comes, too, and is no vote
    return (members,), (members.mean(axis=0), (members > 0.5).mean(axis=0))


def _members_to_choose(rng: np.random.Generator) -> Inputs:
    truth = rng.permutation([True, False] * 10)
    members, order = rng.random((4, 20)) + 0.4 * truth, rng.permutation(20)
    positive, negative = order[truth[order]], order[~truth[order]]
    choose, judge = np.r_[positive[:6], negative[:4]], np.r_[positive[6:], negative[4:]]
    best = int(np.argmax([auc(truth[choose], member[choose]) for member in members]))
    return (members, truth, choose, judge), (best, auc(truth[judge], members[best, judge]))


def _shots(rng: np.random.Generator) -> Inputs:
    bleeding, clean, queries = (rng.normal(size=(n, 4)) for n in (3, 5, 6))
    far, near = (np.square(queries - shots.mean(axis=0)).sum(axis=1) for shots in (clean, bleeding))
    return (bleeding, clean, queries), far - near


def _queries(rng: np.random.Generator) -> Inputs:
    patient, shot = rng.choice(list("abcdef"), 18), rng.permutation(18)[:3]
    return (patient, shot), [k for k in range(18) if patient[k] not in set(patient[shot])]


def _descent(rng: np.random.Generator) -> Inputs:
    x, y, start = rng.normal(size=(9, 3)), (rng.random(9) < 0.5).astype(float), rng.normal(size=3)
    steps, rate = int(rng.integers(1, 7)), float(rng.uniform(0.05, 0.9))
    weights = start.copy()
    for _ in range(steps):
        weights -= rate * (x * (1 / (1 + np.exp(-(x @ weights))) - y)[:, None]).mean(axis=0)
    return (x, y, start, steps, rate), weights


def _real_and_synthetic(rng: np.random.Generator) -> Inputs:
    truth, scores = rng.permutation([True, False] * 12), rng.random(24)
    real = rng.random(24) < 0.5
    real[[int(np.argmax(truth)), int(np.argmin(truth))]] = True
    order = [int(np.flatnonzero(truth)[-1]), int(np.flatnonzero(~truth)[-1])]
    real[order] = False
    result = auc(truth[real], scores[real])
    return (truth, scores, real), (result, auc(truth[~real], scores[~real]) - result)


def _folds(rng: np.random.Generator) -> Inputs:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    bleeds, fold = rng.random(60) < 0.4, rng.choice([0, 1, 4], 60)
    columns = rng.normal(size=(60, 2)) + bleeds[:, None] * [0.8, 0.1]
    scores = np.zeros(60)
    for k in (0, 1, 4):
        fold_model = make_pipeline(StandardScaler(), LogisticRegression()).fit(columns[fold != k], bleeds[fold != k])
        scores[fold == k] = fold_model.predict_proba(columns[fold == k])[:, 1]
    return (columns, bleeds, fold), scores


def _ages(rng: np.random.Generator) -> Inputs:
    trained, test = rng.gamma(3, 15, 11), rng.gamma(6, 15, 8)
    trained[rng.permutation(11)[:3]], test[rng.permutation(8)[:2]] = np.nan, np.nan
    median = float(np.median(trained[~np.isnan(trained)]))
    return (trained, test), tuple(np.nan_to_num(ages, nan=median) for ages in (trained, test))


INPUTS = {
    "16.1": _probabilities,
    "16.2": _paired_aucs,
    "16.3": _rows_of_patients,
    "17.1": _unlabeled,
    "17.2": _rows_to_pay,
    "17.3": _doubtful_rows,
    "18.2": _members,
    "18.3": _members_to_choose,
    "19.1": _shots,
    "19.2": _queries,
    "20.1": _descent,
    "20.2": _real_and_synthetic,
    "21.1": _folds,
    "21.2": _ages,
}
JUDGES = {"18.1": _judge_bag}
