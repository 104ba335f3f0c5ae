"""Training data: ours compared with albumentations and Keras layers on the same work, in turns, in one run.

    python benchmarks/data.py [--store FILE] [--rounds 5]

The work: decode a slice from a store, move it (mirror, turn, shift, zoom, and in the second part an elastic field),
change its brightness and contrast, add noise, show it in two windows; the mask moves along. Ours and albumentations use
two threads each; Keras layers use both cores by themselves. train.py measures how long a training step waits for its
batch. albumentations 2.0.8 is needed only for the comparison; without it (and for its elastic transform, which is slow)
the other two are compared.
"""

import argparse
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise it looks for a newer version on the network
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

from ich_lib.data.phantoms import phantoms  # noqa: E402
from ich_lib.data.store import Store, open_store  # noqa: E402
from ich_lib.models.pictures import stack_channels  # noqa: E402
from ich_lib.prepare.augment import NO_AUGMENT, apply_warp, draw_warp, perturb_hu  # noqa: E402

WINDOWS = ("brain render", "bone")
PLAIN = replace(
    NO_AUGMENT, turn_deg=25.0, shift=0.05, zoom=0.18, flip_lr=True, contrast=0.08, brightness_hu=4.0, noise_hu=4.0
)
BATCH = 32


def main() -> None:
    """Measure in turns and print medians and ratios."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--store", type=Path, help="what python -m ich_lib store wrote; without it, 12 phantoms")
    options.add_argument("--rounds", type=int, default=5)
    settings = options.parse_args()
    path = settings.store or phantoms(12, size=256, field="head").path
    cv2.setNumThreads(1)
    for work, elastic in (("mirror, turn, shift, zoom", 0.0), ("the same and elastic", 0.01)):
        methods = {name: method for name, method in _methods(elastic).items() if method}
        speeds = {name: [] for name in methods}
        for _ in range(settings.rounds):
            for name, method in methods.items():
                speeds[name].append(_speed(method, open_store(path, memory_mb=0)))
        _print_speeds(work, {name: statistics.median(values) for name, values in speeds.items()})


def _print_speeds(work: str, speed: dict[str, float]) -> None:
    own_speed = speed.pop("ours")
    other_speeds = "   ".join(f"{name} {value:5.0f} (ratio {own_speed / value:4.1f})" for name, value in speed.items())
    print(f"{work:26} slices/s: ours {own_speed:5.0f}   {other_speeds}")


def _speed(method, store: Store) -> float:
    """Slices a second over 10 batches; the first one is not counted."""
    rows = np.random.default_rng(0).integers(len(store), size=(11, BATCH))
    method(store, rows[0], 0)
    start_s = time.perf_counter()
    for turn, batch in enumerate(rows[1:]):
        pictures, masks = method(store, batch, turn)
    assert pictures.shape == (BATCH, 256, 256, 2)
    assert masks.shape[:3] == (BATCH, 256, 256)
    return 10 * BATCH / (time.perf_counter() - start_s)


def _methods(elastic: float) -> dict:
    """Each way: (store, rows, seed) to pictures (n, 256, 256, 2) and masks."""
    return {
        "ours": _own_method(elastic),
        "albumentations": _albumentations(elastic),
        "Keras layers": _keras_layers(elastic),
    }


def _own_method(elastic: float):
    augment, threads = replace(PLAIN, elastic=elastic), ThreadPoolExecutor(2)

    def make_sample(store: Store, row: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([seed, row])
        hu, mask = apply_warp(store.hu([row]), store.blood([row]), 256, draw_warp(augment, rng))
        return stack_channels(perturb_hu(hu, augment, rng), WINDOWS), mask[0]

    def make_batch(store: Store, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        pairs = list(threads.map(lambda row: make_sample(store, int(row), seed), rows))
        return np.stack([picture for picture, _ in pairs]), np.stack([mask for _, mask in pairs])

    return make_batch


def _albumentations(elastic: float):
    try:
        import albumentations as alb
    except ImportError:
        return None
    steps = [
        alb.HorizontalFlip(p=0.5),
        alb.Affine(rotate=(-25, 25), scale=(0.84, 1.2), translate_percent=(-0.05, 0.05), p=1),
        *([alb.ElasticTransform(alpha=60, sigma=12, p=1)] if elastic else []),
        alb.RandomBrightnessContrast(brightness_limit=0.03, contrast_limit=0.08, p=1),
        alb.GaussNoise(std_range=(0, 0.03), p=0.5),
    ]
    threads = ThreadPoolExecutor(2)
    pipelines = [alb.Compose(steps), alb.Compose(steps)]  # one a thread

    def make_sample(store: Store, row: int, compose) -> tuple[np.ndarray, np.ndarray]:
        out = compose(image=stack_channels(store.hu([row]), WINDOWS), mask=store.blood([row])[0])
        return out["image"], out["mask"]

    def make_samples(store: Store, rows: np.ndarray, compose) -> list:
        return [make_sample(store, int(row), compose) for row in rows]

    def make_batch(store: Store, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        jobs = [threads.submit(make_samples, store, rows[k::2], pipelines[k]) for k in (0, 1)]
        pairs = [pair for job in jobs for pair in job.result()]
        return np.stack([picture for picture, _ in pairs]), np.stack([mask for _, mask in pairs])

    return make_batch


def _keras_layers(elastic: float):
    layers = keras.layers
    spatial = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(25 / 360, fill_mode="constant"),
        layers.RandomTranslation(0.05, 0.05, fill_mode="constant"),
        layers.RandomZoom((-0.17, 0.19), fill_mode="constant"),
    ]
    if elastic:
        spatial.append(layers.RandomElasticTransform(factor=1.0, scale=0.5))
    gray = [layers.RandomContrast(0.08), layers.RandomBrightness(0.03, value_range=(0, 1)), layers.GaussianNoise(0.02)]

    def make_batch(store: Store, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        hu, blood = store.hu(rows), store.blood(rows)
        stacked = np.stack(
            [np.dstack([stack_channels([h], WINDOWS), b / np.float32(255)]) for h, b in zip(hu, blood, strict=True)]
        )
        for layer in spatial:
            stacked = layer(stacked, training=True)
        pictures, masks = stacked[..., :2], stacked[..., 2] >= 0.5
        for layer in gray:
            pictures = layer(pictures, training=True)
        return np.asarray(pictures), np.asarray(masks)

    return make_batch


if __name__ == "__main__":
    main()
