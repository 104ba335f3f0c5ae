"""Training on several devices of one machine: every batch is dealt out among them, all hold the same weights."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    import tensorflow as tf


def distribute(devices: int, *, batch: int) -> AbstractContextManager:
    """Where a model is built, compiled and fitted, so that the first `devices` devices share every batch.

    GPUs or TPUs where the backend sees some, else the CPUs it was told to make of one. What is learned is what one
    device would learn, to rounding, on JAX. On TensorFlow each device computes a share of the batch by itself, so

    - a layer that normalizes over the batch takes the statistics of the share,
    - `dice_bce` and `slice_dice_bce` take the Dice over the share, then the mean over the devices,
    - dropout draws the same mask on every device.

    All else is the same: a mean over the batch is the mean of the devices' means, as they get equally many pictures.
    That holds for losses with a number a picture. Keras 3.15 hands on a loss of one number a batch undivided, so N
    devices would pull N times as hard; no loss of `ich_lib.models.losses` is such.

    Args:
        devices: how many; 1 changes nothing.
        batch: pictures a step, all devices together.

    Returns:
        A context for `with`.

    Raises:
        ValueError: if there are fewer devices, the batch cannot be shared evenly, or the backend is PyTorch, for which
            Keras 3.15 has no distribution.

    Source:
        keras.io/guides/distribution, keras.io/guides/distributed_training_with_tensorflow.
    """
    if devices < 1:
        raise ValueError(f"devices must be 1 or more; got {devices}.")
    if devices == 1:
        return nullcontext()
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ValueError(
            f"Keras trains on several devices with TensorFlow or JAX, not with {backend}: set KERAS_BACKEND to one of "
            "them, or leave devices at 1."
        )
    if batch % devices:
        raise ValueError(f"A batch of {batch} cannot be shared evenly by {devices} devices; choose a multiple of them.")
    device_names = keras.distribution.list_devices()
    if len(device_names) < devices:
        raise ValueError(
            f"{devices} devices were asked for, {backend} sees {len(device_names)}: {', '.join(device_names)}."
        )
    return _scope(backend, device_names[:devices])


def _scope(backend: str, names: list[str]) -> AbstractContextManager:
    if backend == "jax":
        return keras.distribution.DataParallel(devices=names).scope()
    return _mirrored_strategy(*names).scope()


@lru_cache
def _mirrored_strategy(*names: str) -> "tf.distribute.MirroredStrategy":
    """One for all runs of a process: a second one would number its sums over the devices like the first."""
    import tensorflow as tf  # the one place in training that names it: Keras has no distribution for it

    return tf.distribute.MirroredStrategy([name.upper() for name in names])
