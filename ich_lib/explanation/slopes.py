"""Gradients, for which Keras has no common function: one small function per backend."""

from collections.abc import Callable

import keras
import numpy as np


def gradient(function: Callable, at: np.ndarray) -> np.ndarray:
    """How a sum of numbers changes with each value of an array.

    Args:
        function: a tensor of the shape of `at` to any tensor, by Keras layers and `keras.ops`.
        at: the point of the gradient.

    Returns:
        The gradient of `sum(function(at))`, in the shape of `at`.
    """
    by = {"tensorflow": _by_tensorflow, "jax": _by_jax, "torch": _by_torch}
    return np.asarray(by[keras.backend.backend()](function, at))


def _by_tensorflow(function: Callable, at: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    point = tf.convert_to_tensor(at)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(point)
        value = function(point)
    return tape.gradient(value, point).numpy()


def _by_jax(function: Callable, at: np.ndarray) -> np.ndarray:
    import jax

    return np.asarray(jax.grad(lambda point: function(point).sum())(keras.ops.convert_to_tensor(at)))


def _by_torch(function: Callable, at: np.ndarray) -> np.ndarray:
    import torch

    point = keras.ops.convert_to_tensor(at).detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(point).sum(), point)
    return gradient.cpu().numpy()
