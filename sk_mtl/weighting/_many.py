"""Problems over many tasks, by products of their matrix and vectors alone.

A factorization of a matrix of 617 x 617 takes as long as 20 such products, by XLA 300.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["FEW", "find_positive", "solve_by_products", "solve_least"]

# Up to so many tasks, systems are factorized, in a fixed number of iterations.
FEW = 32
_MOST_PRODUCTS = 100
_MOST_ROUNDS = 20


def solve_by_products(
    multiply: Callable[[Any], Any], rhs: Any, diagonal: Any, tolerance: Any
) -> Any:
    """Return the solution of a positive definite system, by conjugate gradients."""
    # `tolerance` is the norm of what is left, relative to that of `rhs`, both in units of the
    # diagonal.

    def improve(
        i: Any, x: Any, left: Any, direction: Any, square: Any
    ) -> tuple[Any, Any, Any, Any, Any]:
        by_matrix = multiply(direction)
        length = square / _positive(tf.reduce_sum(direction * by_matrix))
        left -= length * by_matrix
        scaled = left / diagonal
        following = tf.reduce_sum(left * scaled)
        following_direction = scaled + following / _positive(square) * direction
        return i + 1, x + length * direction, left, following_direction, following

    scaled = rhs / diagonal
    square = tf.reduce_sum(rhs * scaled)
    _, x, *_ = tf.while_loop(
        lambda i, *rest: (i < _MOST_PRODUCTS) & (rest[-1] > tolerance**2 * square),
        improve,
        (0, tf.zeros_like(rhs), rhs, scaled, square),
    )
    return x


def solve_least(cosines: Any, active: Any) -> Any:
    """Return the shortest x with C x nearest to 1 over the tasks that take part, (n,)."""
    ones = tf.cast(active, cosines.dtype)
    inside = cosines * ones[:, None] * ones[None, :]

    def multiply(vector: Any) -> Any:
        return tf.linalg.matvec(inside, vector)

    x = solve_by_products(multiply, ones, tf.ones_like(ones), 1e-9)
    by_matrix = multiply(x)
    is_solved = tf.norm(by_matrix - ones) <= 1e-6 * tf.norm(ones)
    # Of gradients that depend on each other, x is large along eigenvectors whose values are 0 but
    # for rounding. The squares have these in their right-hand side as zeros.
    rounding = tf.reduce_sum(inside**2) * np.finfo(np.float32).eps
    is_large = tf.reduce_sum(x * by_matrix) < 100 * rounding * tf.reduce_sum(x * x)
    return tf.cond(
        is_solved & ~is_large,
        lambda: x,
        lambda: solve_by_products(
            lambda vector: multiply(multiply(vector)), multiply(ones), tf.ones_like(ones), 1e-6
        ),
    )


def find_positive(
    solve_on: Callable[[Any], tuple[Any, Any]], active: Any, tolerance: float
) -> tuple[Any, Any]:
    """Return x >= 0 with slacks >= 0, of which one is 0, (n,), and whether it was found."""
    # `solve_on` returns, for a set of tasks as a mask, what x is with slacks of 0 on the set and 0
    # outside of it, and the slacks outside. The primal-dual active-set method, which ends after few
    # rounds or not at all. `tolerance` is relative to the largest x, and absolute for slacks.

    def improve(i: Any, inside: Any, *_: Any) -> tuple[Any, ...]:
        x, slack = solve_on(inside)
        least = tolerance * tf.reduce_max(tf.abs(x))
        leaves, enters = inside & (x < -least), active & ~inside & (slack < -tolerance)
        # Comparisons with NaN are false.
        is_bad = tf.reduce_any(leaves | enters) | ~tf.reduce_all(tf.math.is_finite(x))
        return i + 1, (inside & ~leaves) | enters, x, is_bad

    start = (0, active, tf.cast(active, tf.float64), tf.constant(True))
    _, _, x, is_bad = tf.while_loop(
        lambda i, _, __, is_bad: (i < _MOST_ROUNDS) & is_bad, improve, start
    )
    return tf.maximum(x, 0.0), ~is_bad


def _positive(value: Any) -> Any:
    return tf.maximum(value, 1e-300)
