"""Hidden inputs of the lessons on training: 22, 23 and 26."""

from collections.abc import Callable

import numpy as np

Inputs = tuple[tuple, object]


def _curve(rng: np.random.Generator) -> list[float]:
    """A loss that falls and rises; equal values come, too."""
    waves = np.linspace(2, rng.uniform(0.5, 2.5), 14) + rng.normal(0, 0.4, 14)
    return (np.round(waves * 5) / 5).tolist()


def _losses(rng: np.random.Generator) -> Inputs:
    losses, patience = _curve(rng), int(rng.integers(1, 6))
    best = [int(np.argmin(losses[: k + 1])) for k in range(len(losses))]
    ended = next((k for k, lowest in enumerate(best) if k - lowest >= patience), len(losses) - 1)
    return (losses, patience), (ended, best[ended])


def _weighed_slices(rng: np.random.Generator) -> Inputs:
    truth, p, miss = (rng.random(9) < 0.4).astype(float), rng.uniform(0.02, 0.9, 9), float(rng.uniform(1.5, 12))
    right = np.where(truth > 0, p, 1 - p)
    return (truth, p, miss), float((np.where(truth > 0, miss, 1) * -np.log(right)).mean())


def _judge_balance(mine: Callable) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        bleeds = rng.random(60) < rng.uniform(0.1, 0.35)
        bleeds[:3] = True, False, False
        bleeds_before = bleeds.copy()
        drawn = [np.asarray(mine(bleeds, np.random.default_rng(k))) for k in (seed, seed, seed + 1, seed + 2)]
        assert np.array_equal(bleeds, bleeds_before), "What was given has changed."
        clean = [rows[~bleeds[rows]] for rows in drawn]
        for rows, clean_rows in zip(drawn, clean, strict=True):
            assert sorted(rows[bleeds[rows]]) == np.flatnonzero(bleeds).tolist(), "Every bleeding row comes once."
            assert len(clean_rows) == bleeds.sum(), "As many clean rows as bleeding ones are wanted."
            assert len(set(clean_rows.tolist())) == len(clean_rows), "A clean row is drawn twice."
        assert np.array_equal(drawn[0], drawn[1]), "The same generator must draw alike."
        assert len({tuple(sorted(rows)) for rows in clean[1:]}) > 1, "Draw with the generator that is given."


def _plateaus(rng: np.random.Generator) -> Inputs:
    losses, rate, patience = _curve(rng), float(rng.uniform(0.1, 3)), int(rng.integers(1, 5))
    waited = halved = 0
    for k in range(len(losses)):
        waited = 0 if k == 0 or losses[k] < min(losses[:k]) else waited + 1
        halved, waited = (halved + 1, 0) if waited == patience else (halved, waited)
    return (losses, rate, patience), rate * 0.5**halved


def _features(rng: np.random.Generator) -> Inputs:
    features, train = rng.normal(3, 2, (12, 4)) * [1, 5, 0.1, 1], rng.permutation(12)[:7]
    features[train, 3] = 2.0
    spread = features[train].std(axis=0)
    spread[3] = 1
    return (features, train), (features - features[train].mean(axis=0)) / spread


def _batch(rng: np.random.Generator) -> Inputs:
    x, mean, variance = rng.normal(1, 2, (7, 3)), rng.normal(size=3), rng.uniform(0.01, 3, 3)
    x[:, 2] *= 0.01
    training, momentum = bool(rng.random() < 0.6), float(rng.uniform(0.5, 0.99))
    batch_mean, spread = (x.mean(axis=0), x.var(axis=0)) if training else (mean, variance)
    old_share = momentum if training else 1.0
    moved = (old_share * mean + (1 - old_share) * batch_mean, old_share * variance + (1 - old_share) * spread)
    return (x, mean, variance, training, momentum), ((x - batch_mean) / np.sqrt(spread + 0.001), *moved)


def _judge_thawing(mine: Callable) -> None:
    import keras
    from keras import layers

    for blocks in (["a"], ["b"], ["a", "c"], ["none"]):
        stack = [
            layer
            for block in "abc"
            for layer in (layers.Dense(3, name=f"{block}_dense"), layers.BatchNormalization(name=f"{block}_norm"))
        ]
        model = keras.Sequential([keras.Input((4,)), *stack])
        model.layers[0].trainable, model.layers[1].trainable = False, True
        blocks_copy = list(blocks)
        names = mine(model, blocks_copy)
        trainable_names = [f"{block}_dense" for block in "abc" if block in blocks]
        assert blocks_copy == blocks, "The list of blocks has changed."
        assert [layer.name for layer in model.layers if layer.trainable] == trainable_names, (
            f"Asked for the blocks {blocks}, {trainable_names} and nothing else may be trained."
        )
        assert list(names) == trainable_names, f"The trainable layers are {trainable_names}; you return {names}."


INPUTS = {
    "22.1": _losses,
    "22.2": _plateaus,
    "23.1": _features,
    "23.2": _batch,
    "26.1": _weighed_slices,
}
JUDGES = {"23.3": _judge_thawing, "26.2": _judge_balance}
