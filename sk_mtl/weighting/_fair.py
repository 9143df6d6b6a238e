"""Weights by the fairness of what each task gains from the common step."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from sk_mtl.weighting._gram import Gram, raised

__all__ = ["solve_fairness"]

_N_ITERATIONS = 25


def solve_fairness(gram: Gram, alpha: float, *, as_normalized: bool = False) -> Any:
    r"""Return the weights with :math:`G w = w^{-1/\alpha}`, or 1 for zero gradients."""
    # They minimize w'Gw / 2 - sum of phi(w) with phi'(w) = w^(-1 / alpha), strictly
    # convex. `as_normalized` is for the matrix divided by its Frobenius norm. Newton's method.
    cosines, norms, active, _ = gram
    dtype = cosines.dtype
    pairs = tf.cast(active[:, None] & active[None, :], dtype)
    mask = tf.cast(active, dtype)
    # Scaled to the largest norm first, as squares of norms may leave the range of numbers.
    largest = tf.reduce_max(tf.where(active, norms, 0.0))
    largest = tf.where(largest > 0, largest, 1.0)
    relative = tf.where(active, norms / largest, 1.0)
    frobenius = tf.sqrt(
        tf.reduce_sum((cosines * relative[:, None] * relative[None, :] * pairs) ** 2)
    )
    frobenius = tf.where(frobenius > 0, frobenius, 1.0)
    scale = relative / tf.sqrt(frobenius)
    # In units in which the diagonal and the factor of each task are equal.
    powers = tf.where(active, scale ** ((1 - alpha) / (1 + alpha)), 1.0)
    factors = powers**2 * mask
    matrix = raised(cosines) * powers[:, None] * powers[None, :]

    total = tf.reduce_sum(matrix * pairs)
    start = (tf.reduce_sum(factors) / tf.where(total > 0, total, 1.0)) ** (alpha / (1 + alpha))
    b = tf.where(active, start, 1.0)

    def improve(i: Any, b: Any) -> tuple[Any, Any]:
        by_matrix = tf.linalg.matvec(matrix, b)
        gains = factors * b ** (1 - 1 / alpha)  # b times the derivative of the second term
        gradient = tf.where(active, b * by_matrix - gains, 0.0)
        system = matrix * b[:, None] * b[None, :] * pairs
        system += tf.linalg.diag(tf.where(active, gains / alpha, 1.0))
        solved = tf.linalg.cholesky_solve(tf.linalg.cholesky(system), -gradient[:, None])
        change = solved[:, 0]
        longest = tf.minimum(0.95 / tf.maximum(tf.reduce_max(-change), 1e-12), 1.0)
        # Along a ray the function is convex: the best step is where its slope is nearest to 0.
        steps = longest * tf.constant([2.0**-k for k in range(8)], dtype)
        bent = tf.reduce_sum(b * change * tf.linalg.matvec(matrix, b * change))
        slopes = tf.reduce_sum(change * b * by_matrix) + steps * bent
        along = (1 + steps[:, None] * change) ** (-1 / alpha)
        slopes -= tf.reduce_sum(gains * change * along, axis=1)
        step = tf.gather(steps, tf.argmin(tf.abs(slopes)))
        return i + 1, b * (1 + step * change)

    _, b = tf.while_loop(lambda i, _: i < _N_ITERATIONS, improve, (0, b))
    weights = b * powers / scale
    if not as_normalized:
        # Back from G / s to G: w becomes w s^(-alpha / (1 + alpha)).
        size = tf.math.log(largest) * 2 + tf.math.log(frobenius)
        weights *= tf.exp(-alpha / (1 + alpha) * size)
    return tf.where(active, weights, 1.0)
