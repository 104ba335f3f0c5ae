"""Hidden inputs of the lessons on networks: 7, 9, 10, 11, 14 and 24."""

from collections.abc import Callable

import numpy as np
from scipy.signal import correlate2d

from ich_lib.labels import to_scheme
from ich_lib.measures.metrics import dice
from ich_lib.models.pictures import neighbor_indices
from ich_lib.prepare.window import window

Inputs = tuple[tuple, object]


def _convolution(rng: np.random.Generator) -> Inputs:
    picture, kernel = rng.normal(size=(rng.integers(4, 9), rng.integers(9, 13))), rng.normal(size=(3, 3))
    return (picture, kernel), correlate2d(picture, kernel, mode="valid")


def _pooling(rng: np.random.Generator) -> Inputs:
    y, x = int(rng.integers(2, 5)), int(rng.integers(5, 8))
    picture = rng.normal(-1, 2, (2 * y, 2 * x))
    return (picture,), picture.reshape(y, 2, x, 2).max(axis=(1, 3))


def _count_weights(rng: np.random.Generator) -> Inputs:
    k, into, out = (int(value) for value in (rng.choice([1, 3, 5, 7]), rng.integers(1, 9), rng.integers(9, 70)))
    return (k, into, out), (k * k * into + 1) * out


def _masks_and_probabilities(rng: np.random.Generator) -> Inputs:
    truth = (rng.random((7, 4, 5, 1)) < 0.4).astype(np.float32)
    truth[rng.permutation(7)[:3]] = 0
    probability = np.round(rng.random(truth.shape) * 4) / 4  # one half comes often
    dice_of_slices = [dice(t > 0, p >= 0.5) for t, p in zip(truth, probability, strict=True) if t.any()]
    return (truth, probability), float(np.mean(dice_of_slices))


def _neighbors(rng: np.random.Generator) -> Inputs:
    volume, reach = rng.normal(size=(rng.integers(3, 7), 2, 3)), int(rng.integers(0, 4))
    slices = [np.moveaxis(volume[neighbor_indices(len(volume), k, reach)], 0, -1) for k in range(len(volume))]
    return (volume, reach), np.stack(slices)


def _levels(rng: np.random.Generator) -> Inputs:
    depth = int(rng.integers(2, 5))
    shape = tuple((rng.integers(1, 5, 3) * 2 ** (depth - 1)).tolist())
    filters = tuple(rng.integers(3, 40, depth).tolist())
    sizes = [np.prod([side // 2**level for side in shape]) for level in range(depth)]
    times = [4] * (depth - 1) + [2]
    return (shape, filters), int(sum(a * b * c for a, b, c in zip(filters, sizes, times, strict=True)))


def _layers(rng: np.random.Generator) -> Inputs:
    stack = [(int(rng.integers(1, 8)), int(rng.integers(1, 4))) for _ in range(rng.integers(1, 6))]
    strides = np.cumprod([1, *[stride for _, stride in stack[:-1]]])
    return (stack,), 1 + int(sum((kernel - 1) * step for (kernel, _), step in zip(stack, strides, strict=True)))


def _names(rng: np.random.Generator) -> Inputs:
    numbers = rng.permutation(130)[:8].tolist()
    before = rng.choice(["", "CT{}_", "v2_CT{}_"])
    names = [f"{before.format(rng.integers(10, 99))}{number}.jpg" for number in numbers]
    return (names,), [names[k] for k in np.argsort(numbers)]


def _six_labels(rng: np.random.Generator) -> Inputs:
    types = rng.random((12, 5)) < 0.25
    labels = np.c_[types, types.any(axis=1)]
    return (labels,), to_scheme(labels, "7-class").argmax(axis=1)


def _judge_freezing(mine: Callable) -> None:
    import keras

    for widths, count in (((3, 5, 2, 4), 2), ((6, 2, 3), 0), ((2, 4, 3), 3), ((5, 3, 4, 2), 1)):
        layers = [keras.layers.Dense(width) for width in widths]
        layers[-1].trainable = layers[0].trainable = False
        model = keras.Sequential([keras.Input((4,)), *layers])
        ins = (4, *widths[:-1])
        expected = sum((i + 1) * width for i, width in list(zip(ins, widths, strict=True))[:count])
        trained = mine(model, count)
        assert [layer.trainable for layer in model.layers] == [k < count for k in range(len(widths))], (
            f"Asked for the first {count} of {len(widths)} layers, others can be trained too, or these cannot."
        )
        assert trained == expected, f"Widths {widths}, the first {count}: {expected} parameters, not {trained}."


def _schedule(rng: np.random.Generator) -> Inputs:
    cycle, first, lowest = int(rng.integers(7, 40)), float(rng.uniform(0.1, 3)), float(rng.uniform(0.05, 0.6))
    step = int(rng.integers(0, 4 * cycle))
    share = (1 + np.cos(np.pi * (step % cycle) / cycle)) / 2
    return (step, cycle, first, lowest), first * (lowest + (1 - lowest) * share)


def _maps_and_weights(rng: np.random.Generator) -> Inputs:
    features, weights = rng.normal(size=(3, 4, 5)), rng.normal(size=5)
    return (features, weights), np.einsum("ijk,k->ij", features, weights).clip(0)


def _maps_and_gradients(rng: np.random.Generator) -> Inputs:
    features, gradients = rng.normal(size=(2, 3, 4, 5))
    return (features, gradients), np.einsum("ijk,k->ij", features, gradients.mean(axis=(0, 1))).clip(0)


def _heat(rng: np.random.Generator) -> Inputs:
    heat = rng.random((3, 4)) * rng.choice([0.0, 0.1, 7.0])
    return (heat,), heat / heat.max() if heat.any() else np.zeros((3, 4))


def _heat_and_blood(rng: np.random.Generator) -> Inputs:
    heat, blood = rng.random((3, 4)) * rng.choice([0.0, 0.1, 7.0]), rng.random((3, 4)) < 0.4
    heat[rng.random((3, 4)) < 0.2] = 0
    return (heat, blood), float((heat * blood).sum() / heat.sum()) if heat.any() else 0.0


def _two_answers(rng: np.random.Generator) -> Inputs:
    first = [rng.normal(size=(4, 6)), rng.normal(size=3), rng.normal(size=(2, 2))]
    second = [array + rng.normal(0, 1e-2, array.shape) for array in first]
    if rng.random() < 0.3:
        second[rng.integers(3)] = np.zeros((1, 1))
        return (first, second), ValueError
    return (first, second), max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def _planes(rng: np.random.Generator) -> Inputs:
    windows = [(float(rng.uniform(0, 90)), float(rng.uniform(40, 300))) for _ in range(rng.integers(1, 4))]
    planes = rng.uniform(-300, 400, (rng.integers(1, 4), 4, 5))
    return (planes, windows), np.stack([window(plane, *how) for plane in planes for how in windows], axis=-1)


INPUTS = {
    "7.1": _convolution,
    "7.2": _pooling,
    "7.3": _count_weights,
    "7.4": _masks_and_probabilities,
    "9.1": _neighbors,
    "9.2": _names,
    "10.1": _six_labels,
    "10.3": _schedule,
    "11.1": _maps_and_weights,
    "11.2": _maps_and_gradients,
    "11.3": _heat,
    "11.4": _heat_and_blood,
    "14.1": _two_answers,
    "14.2": _planes,
    "24.1": _levels,
    "24.2": _layers,
}
JUDGES = {"10.2": _judge_freezing}
