"""Weights by the fairness of what each task gains from the common step."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from sk_mtl.weighting._gram import RIDGE, cut_gram, raised
from sk_mtl.weighting._many import FEW, solve_by_products

__all__ = ["solve_fairness"]

_N_ITERATIONS = 25
# Errors relative to the gains before a last iteration, which squares them.
_TOLERANCE = 1e-7


def solve_fairness(gram: Any, present: Any, alpha: float, *, as_normalized: bool = False) -> Any:
    r"""Return the weights with :math:`G w = w^{-1/\alpha}`, or 1 for zero gradients."""
    # They minimize w'Gw / 2 - sum of phi(w) with phi'(w) = w^(-1 / alpha), strictly
    # convex. `as_normalized` is for the matrix divided by its Frobenius norm. Newton's method.
    n = gram.shape[-1]
    cosines, norms, active, _ = cut_gram(gram, present, tf.float64 if n <= FEW else tf.float32)
    norms = tf.cast(norms, tf.float64)
    # Scaled to the largest norm first, as squares of norms may leave the range of numbers.
    largest = tf.reduce_max(tf.where(active, norms, 0.0))
    largest = tf.where(largest > 0, largest, 1.0)
    relative = tf.where(active, norms / largest, 1.0)
    frobenius = _frobenius(cosines, relative, active)
    scale = relative / tf.sqrt(frobenius)
    # In units in which the diagonal and the factor of each task are equal.
    powers = tf.where(active, scale ** ((1 - alpha) / (1 + alpha)), 1.0)
    factors = powers**2 * tf.cast(active, tf.float64)
    solve = _solve_by_factors if n <= FEW else _solve_by_products
    b = solve(cosines, powers, factors, active, alpha)
    weights = b * powers / scale
    if not as_normalized:
        # Back from G / s to G: w becomes w s^(-alpha / (1 + alpha)).
        size = tf.math.log(largest) * 2 + tf.math.log(frobenius)
        weights *= tf.exp(-alpha / (1 + alpha) * size)
    return tf.where(active, weights, 1.0)


def _frobenius(cosines: Any, relative: Any, active: Any) -> Any:
    """Return the norm of the Gram matrix of the tasks that take part, and 1 for 0."""
    if relative.shape[-1] <= FEW:
        pairs = tf.cast(active[:, None] & active[None, :], cosines.dtype)
        squares = (cosines * relative[:, None] * relative[None, :] * pairs) ** 2
        norm = tf.sqrt(tf.reduce_sum(squares))
    else:
        weights = tf.where(active, relative**2, 0.0)
        squares = tf.linalg.matvec(cosines**2, tf.cast(weights, cosines.dtype))
        norm = tf.sqrt(tf.reduce_sum(weights * tf.cast(squares, weights.dtype)))
    return tf.where(norm > 0, norm, 1.0)


def _solve_by_factors(cosines: Any, powers: Any, factors: Any, active: Any, alpha: float) -> Any:
    """Return b with b * (M b) equal to its gains, by factorizing the systems."""
    dtype = cosines.dtype
    pairs = tf.cast(active[:, None] & active[None, :], dtype)
    matrix = raised(cosines) * powers[:, None] * powers[None, :]
    total = tf.reduce_sum(matrix * pairs)

    def improve(i: Any, b: Any, _: Any) -> tuple[Any, Any, Any]:
        by_matrix = tf.linalg.matvec(matrix, b)
        gains = factors * b ** (1 - 1 / alpha)  # b times the derivative of the second term
        gradient = tf.where(active, b * by_matrix - gains, 0.0)
        error = tf.reduce_max(tf.abs(gradient) / tf.where(active, gains, 1.0))
        system = matrix * b[:, None] * b[None, :] * pairs
        system += tf.linalg.diag(tf.where(active, gains / alpha, 1.0))
        solved = tf.linalg.cholesky_solve(tf.linalg.cholesky(system), -gradient[:, None])
        change = solved[:, 0]
        bent = tf.reduce_sum(b * change * tf.linalg.matvec(matrix, b * change))
        slope = tf.reduce_sum(change * b * by_matrix)
        step = _step_along(change, slope, bent, gains, alpha)
        return i + 1, b * (1 + step * change), error

    start = _start(factors, total, active, alpha), tf.constant(1.0, dtype)
    return tf.while_loop(_goes_on, improve, (0, *start))[1]


def _solve_by_products(cosines: Any, powers: Any, factors: Any, active: Any, alpha: float) -> Any:
    """Return what `_solve_by_factors` does, by products of the matrix and vectors alone."""
    mask = tf.cast(active, powers.dtype)

    def multiply(vector: Any) -> Any:
        scaled = vector * powers * mask
        product = tf.linalg.matvec(cosines, tf.cast(scaled, cosines.dtype))
        return (tf.cast(product, powers.dtype) + RIDGE * scaled) * powers * mask

    def improve(i: Any, b: Any, by_matrix: Any, _: Any) -> tuple[Any, Any, Any, Any]:
        gains = factors * b ** (1 - 1 / alpha)
        gradient = tf.where(active, b * by_matrix - gains, 0.0)
        diagonal = tf.where(active, gains / alpha, 1.0)
        error = tf.reduce_max(tf.abs(gradient) / tf.where(active, gains, 1.0))
        change = solve_by_products(
            lambda v: b * multiply(b * v) + diagonal * v,
            -gradient,
            diagonal + (b * powers) ** 2 * mask,
            tf.clip_by_value(0.1 * error, 1e-9, 1e-2),
        )
        by_change = multiply(b * change)
        bent = tf.reduce_sum(b * change * by_change)
        slope = tf.reduce_sum(change * b * by_matrix)
        step = _step_along(change, slope, bent, gains, alpha)
        return i + 1, b * (1 + step * change), by_matrix + step * by_change, error

    start = _start(factors, tf.reduce_sum(multiply(mask)), active, alpha)
    start = start, multiply(start), tf.constant(1.0, powers.dtype)
    return tf.while_loop(_goes_on, improve, (0, *start))[1]


def _goes_on(i: Any, *state: Any) -> Any:
    """Return whether another iteration follows, by the error before the last one."""
    return (i < _N_ITERATIONS) & (state[-1] > _TOLERANCE)


def _start(factors: Any, total: Any, active: Any, alpha: float) -> Any:
    start = (tf.reduce_sum(factors) / tf.where(total > 0, total, 1.0)) ** (alpha / (1 + alpha))
    return tf.where(active, start, 1.0)


def _step_along(change: Any, slope: Any, bent: Any, gains: Any, alpha: float) -> Any:
    """Return the step along a relative change after which the function is nearest to its least."""
    longest = tf.minimum(0.95 / tf.maximum(tf.reduce_max(-change), 1e-12), 1.0)
    # Along a ray the function is convex: the best step is where its slope is nearest to 0.
    steps = longest * tf.constant([2.0**-k for k in range(8)], change.dtype)
    slopes = slope + steps * bent
    along = (1 + steps[:, None] * change) ** (-1 / alpha)
    slopes -= tf.reduce_sum(gains * change * along, axis=1)
    return tf.gather(steps, tf.argmin(tf.abs(slopes)))
