"""Training on several devices of one machine: every batch is split among them, and all have the same weights."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    import tensorflow as tf


def distribute(devices: int, *, batch: int) -> AbstractContextManager:
    """A context for building, compiling and fitting a model, so that the first `devices` devices share every batch.

    These are GPUs or TPUs if the backend has any, else the CPUs that it was configured to make from one. On JAX the
    result is that of one device, within rounding. On TensorFlow each device computes a part of the batch by itself, so

    - a layer that normalizes over the batch uses the statistics of its part,
    - `dice_bce` and `slice_dice_bce` take the Dice over the part, then the mean over the devices,
    - dropout draws the same mask on every device.

    Everything else is the same: a mean over the batch is the mean of the devices' means, because they get equal numbers
    of pictures. This is true for losses with one number per picture. Keras 3.15 does not divide a loss of one number
    per batch, so N devices would have N times the effect; no loss of `ich_lib.models.losses` is of this kind.

    Args:
        devices: their number; 1 changes nothing.
        batch: pictures per step, for all devices together.

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
            f"{devices} devices were requested, {backend} sees {len(device_names)}: {', '.join(device_names)}."
        )
    return _scope(backend, device_names[:devices])


def _scope(backend: str, names: list[str]) -> AbstractContextManager:
    if backend == "jax":
        return keras.distribution.DataParallel(devices=names).scope()
    return _mirrored_strategy(*names).scope()


@lru_cache
def _mirrored_strategy(*names: str) -> "tf.distribute.MirroredStrategy":
    """One for all runs of a process: a second one would number its sums over the devices like the first."""
    import tensorflow as tf  # the only place in training that names it: Keras has no distribution for it

    return tf.distribute.MirroredStrategy([name.upper() for name in names])
