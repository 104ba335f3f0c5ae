"""Hidden inputs of the lessons on measuring and reporting: 8, 12, 13, 15 and 25."""

from collections.abc import Callable

import numpy as np
from scipy import stats

from ich_lib.measures.bootstrap import Estimate, paired_bootstrap, patient_bootstrap
from ich_lib.measures.metrics import dice, dice_per_subject, log_loss, ppv
from ich_lib.notice import NOTICE

Inputs = tuple[tuple, object]
_NEEDED = ("data", "patients", "interval", "intended_use")


def _mean(sample: list) -> float:
    return float(np.mean(sample))


def _two_masks(rng: np.random.Generator) -> Inputs:
    shares = rng.choice([0.0, 0.2, 0.6], (2, 1, 1)) * (rng.random() < 0.7)
    truth, mask = rng.random((2, 3, 4)) < shares
    return (truth, mask), dice(truth, mask)


def _random_subject(rng: np.random.Generator) -> Inputs:
    truth, mask = rng.random((2, 6, 3, 4)) < 0.5
    truth[rng.permutation(6)[: rng.choice([2, 4, 6])]] = False
    return (truth, mask), dice_per_subject(truth, mask)


def _truth_and_score(rng: np.random.Generator) -> Inputs:
    truth, score = (rng.random(12) < 0.4).astype(float), rng.random(12)
    truth[0] = 1
    overlap = (truth * score).sum()
    return (truth, score), 1 - overlap / (truth + score - truth * score).sum()


def _patients_of_unequal_size(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    patient = np.repeat(rng.permutation(9), rng.integers(3, 25, 9))
    return rng.normal(0.6, 0.15, 9)[patient] + rng.normal(0, 0.05, len(patient)), patient


def _judge_interval(mine: Callable) -> None:
    off = []
    for seed in range(20):
        values, patient = _patients_of_unequal_size(np.random.default_rng(seed))
        means = [values[patient == k].mean() for k in range(9)]
        right = patient_bootstrap(means, _mean)
        low, high = mine(values.copy(), patient.copy(), np.random.default_rng(seed))
        off.append(((low - right.low) / (right.high - right.low), (high - right.high) / (right.high - right.low)))
    worst = np.abs(np.mean(off, axis=0)).max()
    assert worst < 0.025, f"On hidden patients the ends lie {worst:.0%} of the interval away from the library's."
    first, second, third = (mine(values, patient, np.random.default_rng(seed)) for seed in (1, 2, 1))
    assert not np.array_equal(first, second), "Draw with the generator that is given."
    assert np.array_equal(first, third), "The same generator must draw alike."


def _dice_of_two_models(rng: np.random.Generator) -> Inputs:
    first, patient = _patients_of_unequal_size(rng)
    second = first + rng.normal(0.03, 0.1, len(first))
    groups = [[values[patient == k].mean() for k in range(9)] for values in (first, second)]
    return ({"old": first, "new": second}, patient), float(stats.ttest_ind(*groups).pvalue)


def _ward(rng: np.random.Generator) -> Inputs:
    sensitivity, specificity, prevalence = rng.uniform(0.1, 0.95, 3).tolist()
    return (sensitivity, specificity, prevalence), ppv(sensitivity, specificity, prevalence)


def _judge_temperature(mine: Callable) -> None:
    for seed, factor in enumerate((0.7, 1.5, 2.5, 4.0)):
        rng = np.random.default_rng(seed)
        logit = rng.normal(-0.5, 1.2, 1500)
        bleeds = rng.random(1500) < 1 / (1 + np.exp(-logit))
        score = np.clip(1 / (1 + np.exp(-factor * logit)), 1e-6, 1 - 1e-6)
        hot, tries = np.log(score / (1 - score)), np.linspace(0.3, 7, 200)
        right = tries[np.argmin([log_loss(bleeds, 1 / (1 + np.exp(-hot / t))) for t in tries])]
        answer = float(mine(score.copy(), bleeds.copy()))
        wrong = f"A hidden model has its lowest log loss at T = {right:.1f}, not {answer:.1f}."
        assert abs(answer - right) < 0.08, wrong


def _judge_noise(mine: Callable) -> None:
    for seed, sd_hu in enumerate((2.0, 10.0, 31.0)):
        hu = np.random.default_rng(seed).normal(30, 40, (180, 220))
        hu_before = hu.copy()
        noise = np.asarray(mine(hu, sd_hu, np.random.default_rng(seed))) - hu_before
        assert np.array_equal(hu, hu_before), "The slice that was given has changed."
        assert abs(noise.std() - sd_hu) < 0.03 * sd_hu, f"The noise spreads by {noise.std():.1f} HU, not {sd_hu:.1f}."
        assert abs(noise.mean()) < 0.05 * sd_hu, f"The mean moved by {noise.mean():.1f} HU."
        assert abs(stats.kurtosis(noise, axis=None)) < 0.15, "This noise is not Gaussian."
        assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.05, "Every row has the same noise."
        assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.05, "Columns share their noise."
        other_noise, same_noise = (np.asarray(mine(hu, sd_hu, np.random.default_rng(k))) - hu_before for k in (9, seed))
        assert not np.array_equal(noise, other_noise), "Draw with the generator that is given."
        assert np.array_equal(noise, same_noise), "The same generator must draw alike."


def _features(rng: np.random.Generator) -> Inputs:
    training = rng.normal(rng.uniform(-5, 5, 3), rng.uniform(0.5, 9, 3), (200, 3)) @ rng.normal(size=(3, 3))
    features = rng.normal(0, 20, 3)
    difference = features - training.mean(axis=0)
    inverse = np.linalg.inv(np.cov(training.T))
    return (features, training), float(np.sqrt(difference @ inverse @ difference))


def _groups(rng: np.random.Generator) -> Inputs:
    group = rng.choice(["a", "b", "c", "d"], 60, p=[0.5, 0.3, 0.12, 0.08])
    bleeds, calls = rng.random((2, 60)) < 0.6
    bleeds[group == "d"] &= np.cumsum(group == "d")[group == "d"] <= 5  # at most five of them bleed
    counted = {name: (group == name) & bleeds for name in set(group.tolist())}
    return (bleeds, calls, group), {
        name: (float(calls[of].mean()) if of.sum() >= 5 else None, int(of.sum())) for name, of in counted.items()
    }


def _lopsided_network(rng: np.random.Generator) -> Inputs:
    picture, weight = rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    draw = lambda pictures: pictures * weight  # noqa: E731
    return (draw, picture), (picture * weight + (picture[:, ::-1] * weight)[:, ::-1]) / 2


def _golden_cases(rng: np.random.Generator) -> Inputs:
    """One output of several may be wrong: in one pixel, by just more than the limit, NaN, or of another shape."""
    factor, limit = float(rng.choice([0.5, 2.0])), float(rng.choice([0.125, 0.25]))
    pictures = rng.integers(-9, 9, (4, 3, 5)).astype(float)
    cases = [(picture, factor * picture) for picture in pictures]
    k, fault = int(rng.integers(4)), rng.choice(["none", "at the limit", "above", "below", "nan", "shape"])
    if fault == "shape":
        pictures[k] = pictures[k][0]  # every row alike: subtracting one row hides the difference
        cases[k] = (pictures[k], factor * pictures[k][:1])
    if fault in ("at the limit", "above", "below"):
        expected = factor * pictures[k]
        expected[1, 2] += {"at the limit": limit, "above": limit + 0.01, "below": -limit - 0.01}[fault]
        cases[k] = (pictures[k], expected)
    network = lambda picture: factor * picture  # noqa: E731
    if fault == "nan":
        pictures[k][2, 3] = np.nan  # in the case as well, which holds this array
    return (network, cases, limit), bool(fault in ("none", "at the limit"))


def _judge_card(mine: Callable) -> None:
    for seed in range(16):
        rng = np.random.default_rng(seed)
        config = {
            "data": "CT-ICH",
            "patients": int(rng.integers(1, 90)),
            "interval": (0.1, round(rng.random(), 3)),
            "intended_use": "lessons",
            f"measure {seed}": round(rng.random(), 3),
        }
        missing = [key for key in _NEEDED if rng.random() < 0.3]
        for key in missing:
            config[key] = rng.choice(np.array([None, "", 0], object))
            if rng.random() < 0.3:
                del config[key]
        text, refusal = _text_or_refusal(mine, config)
        if missing:
            assert refusal, f"A card without {', '.join(missing)} was written."
            named_keys = [key for key in _NEEDED if key in refusal]
            assert named_keys == missing, f"{missing} are missing; the error names {named_keys}."
        else:
            assert not refusal, f"A full card was refused: {refusal}"
            lines = text.splitlines()
            assert all(f"{key}: {value}" in lines for key, value in config.items()), "A line `key: value` is missing."
            assert NOTICE in text, "The card must say that this is no medical device: NOTICE."


def _text_or_refusal(mine: Callable, config: dict) -> tuple[str, str]:
    try:
        return mine(config), ""
    except ValueError as problem:
        return "", str(problem) or "no reason"


def _plan(rng: np.random.Generator) -> Inputs:
    names = rng.permutation([f"p{k}" for k in range(12)]).tolist()
    sealed, trained, chosen = names[:4], names[4:8], names[8:]
    is_refused = rng.random() < 0.6
    changes = 1
    if is_refused:
        fault = rng.integers(5)
        if fault in (0, 2):
            trained = [*trained, sealed[0]]
        if fault in (1, 2):
            chosen = [*chosen, sealed[0]]
        if fault > 2:
            changes = 0 if fault == 3 else 2
    change = dict(list({"loss": "dice_bce", "neighbors": 1}.items())[:changes])
    return ({"sealed": sealed, "change": change}, trained, chosen), ValueError if is_refused else True


def _judge_gain(mine: Callable) -> None:
    off = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before = {f"p{k}": float(value) for k, value in enumerate(rng.random(10))}
        after = {name: before[name] + float(rng.normal(0.03, 0.08)) for name in rng.permutation(list(before)).tolist()}
        right = paired_bootstrap(before, after, _mean)
        gain, low, high = mine(dict(before), dict(after), np.random.default_rng(seed))
        assert abs(gain - right.value) < 1e-9, f"The mean gain of hidden patients is {right.value:.3f}, not {gain:.3f}."
        off.append(((low - right.low) / (right.high - right.low), (high - right.high) / (right.high - right.low)))
    worst = np.abs(np.mean(off, axis=0)).max()
    assert worst < 0.025, f"On hidden patients the ends lie {worst:.0%} of the interval away from the library's."
    first, second, third = (mine(before, after, np.random.default_rng(seed)) for seed in (1, 2, 1))
    assert tuple(first) != tuple(second), "Draw with the generator that is given."
    assert tuple(first) == tuple(third), "The same generator must draw alike."


def _judge_report(mine: Callable) -> None:
    words = ("better", "worse", "not shown")
    for seed in range(16):
        rng = np.random.default_rng(seed)
        low, high = sorted(rng.normal(0, 0.05, 2).round(4).tolist())
        if seed % 3:
            low, high = (0.0, high) if seed % 2 else (low, 0.0)  # an end at 0 shows nothing
        gain = Estimate(round((low + high) / 2, 4), low, high, int(rng.integers(20, 90)))
        right = "better" if low > 0 else "worse" if high < 0 else "not shown"
        change, data = f"change {chr(97 + seed)}", f"set {chr(110 + seed % 9)}"
        text = mine(gain, change, data)
        used = [word for word in words if word in text]
        assert used == [right], f"From {low:+.3f} to {high:+.3f} is '{right}'; the text says {used}."
        parts = [f"{abs(value):.3f}" for value in (gain.value, low, high)]
        required_parts = [*parts, str(gain.n_patients), change, data]
        lost = [part for part in required_parts if part not in text]
        assert not lost, f"{lost[0]!r} is missing in: {text}"


INPUTS = {
    "8.1": _two_masks,
    "8.2": _random_subject,
    "8.4": _truth_and_score,
    "12.2": _dice_of_two_models,
    "12.3": _ward,
    "13.2": _features,
    "13.3": _groups,
    "13.4": _lopsided_network,
    "15.1": _plan,
    "25.2": _golden_cases,
}
JUDGES = {
    "12.1": _judge_interval,
    "12.4": _judge_temperature,
    "13.1": _judge_noise,
    "15.2": _judge_gain,
    "15.3": _judge_report,
    "25.1": _judge_card,
}
