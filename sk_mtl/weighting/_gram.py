"""Gram matrices of the tasks' gradients, as cosines and norms.

A task takes part if it is present and its gradient is not zero. Everything else is cut from the
matrix before anything is computed, so nothing that an absent task holds has an influence.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

__all__ = ["Gram", "count", "cut_gram", "eigen_of_active", "raised"]

# A Gram matrix in float32 may have negative eigenvalues of this size, relative to its diagonal.
RIDGE = 1e-6


class Gram(NamedTuple):
    """A Gram matrix of n tasks as cosines and norms."""

    cosines: Any  # (n, n); those of the identity for tasks that take no part
    norms: Any  # (n,); 1 for tasks that take no part
    active: Any  # (n,) of bool: which tasks take part
    zero: Any  # (n,) of bool: which are present and have a gradient of zero


def cut_gram(gram: Any, present: Any, dtype: Any = tf.float64) -> Gram:
    """Return the cosines and norms of the gradients of the tasks that take part."""
    n = gram.shape[-1]
    squares = tf.where(present, tf.linalg.diag_part(gram), 0.0)
    active = squares > 0
    norms = tf.sqrt(tf.cast(tf.where(active, squares, 1.0), dtype))
    pairs = active[:, None] & active[None, :] & ~np.eye(n, dtype=bool)
    products = tf.cast(tf.where(pairs, gram, 0.0), dtype)
    cosines = products / norms[:, None] / norms[None, :] + tf.eye(n, dtype=dtype)
    return Gram(cosines, norms, active, present & ~active)


def raised(cosines: Any) -> Any:
    """Return the matrix with its diagonal a millionth larger, so that it is positive definite."""
    # A matrix of rank below n, as equal or opposed gradients give, may have negative eigenvalues
    # from the rounding of its entries.
    return cosines + RIDGE * tf.eye(cosines.shape[-1], dtype=cosines.dtype)


def count(mask: Any) -> Any:
    """Return how many there are, as float64, and 1 for none."""
    return tf.maximum(tf.reduce_sum(tf.cast(mask, tf.float64)), 1.0)


def eigen_of_active(matrix: Any, active: Any) -> tuple[Any, Any, Any]:
    """Return eigenvalues and vectors of a matrix, and which ones are not zero by rounding."""
    pairs = active[:, None] & active[None, :]
    values, vectors = tf.linalg.eigh(tf.where(pairs, matrix, tf.zeros_like(matrix)))
    tolerance = tf.reduce_max(values) * count(active) * float(np.finfo(np.float32).eps)
    return values, vectors, values > tf.maximum(tolerance, float(np.finfo(np.float64).tiny))
