"""Convex problems over the weights of a mean, and over weights with lower bounds.

Primal-dual interior-point methods with a fixed number of iterations, in float64. A task that takes
no part has a position of its own that never moves. What takes them long is first tried by active
sets, whose result is taken if it meets the conditions of the optimum.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from sk_mtl.weighting._gram import count
from sk_mtl.weighting._many import FEW, find_positive, solve_by_products

__all__ = ["minimize_above", "minimize_norm", "minimize_with_norm"]

_LEAST = 1e-300
# Up to so many tasks, all sets of them are tried.
_FEW_FOR_SETS = 7


def minimize_norm(gram: Any, active: Any) -> Any:
    r"""Return the weights of the shortest mean of gradients, :math:`\min_w w^T G w`, (n,)."""
    # The largest diagonal entry of `gram` should be near 1.
    if active.shape[-1] <= FEW:
        return _minimize_norm_inside(gram, active)
    w, is_found = _minimize_norm_by_sets(gram, active)
    return tf.cond(is_found, lambda: w, lambda: _minimize_norm_inside(gram, active))


def _minimize_norm_by_sets(gram: Any, active: Any) -> tuple[Any, Any]:
    """Return the weights of the shortest mean, and whether they were found."""
    # With x >= 0, G x >= 1, and equality where x > 0: x is in the ratios of the weights.
    diagonal = tf.where(active, tf.linalg.diag_part(gram), 1.0)

    def solve_on(inside: Any) -> tuple[Any, Any]:
        mask = tf.cast(inside, gram.dtype)
        multiply = _within(gram, mask)
        x = solve_by_products(multiply, mask, diagonal, 1e-10)
        slack = (tf.linalg.matvec(gram, x) - 1) * (1 - mask)
        return x * tf.sqrt(diagonal), slack

    x, is_found = find_positive(solve_on, active, 1e-7)
    x /= tf.sqrt(diagonal)
    total = tf.reduce_sum(x)
    return x / tf.where(total > 0, total, 1.0), is_found & (total > 0)


def _within(gram: Any, mask: Any) -> Callable[[Any], Any]:
    """Return what multiplies with the part of a matrix inside of a mask."""
    return lambda vector: mask * tf.linalg.matvec(gram, mask * vector)


def _minimize_norm_inside(gram: Any, active: Any) -> Any:
    """Return what `minimize_norm` does, by an interior-point method."""
    mask = tf.cast(active, gram.dtype)
    n_active = count(active)
    w = mask / n_active
    gradient = tf.linalg.matvec(gram, w)
    level = tf.reduce_min(tf.where(active, gradient, 1e300))
    level = tf.where(tf.reduce_any(active), level, 0.0)
    slack = tf.where(active, gradient - level + 0.1, 0.0)

    def improve(i: Any, w: Any, slack: Any, level: Any, _: Any) -> tuple[Any, ...]:
        gap = tf.reduce_sum(w * slack) / n_active
        target = tf.maximum(0.1 * gap, 1e-15) * mask
        residual = tf.linalg.matvec(gram, w) - level - slack
        system = gram * w[:, None] * w[None, :]
        system += tf.linalg.diag(tf.where(active, w * slack, 1.0))
        rhs = tf.stack([target - w * (residual + slack), w], axis=-1)
        solved = _solve(system, rhs)
        rise = (1 - tf.reduce_sum(w) - _dot(w, solved[:, 0])) / _positive(_dot(w, solved[:, 1]))
        relative = solved[:, 0] + rise * solved[:, 1]
        change = tf.where(active, (target - w * slack * (1 + relative)) / _positive(w), 0.0)
        step = _longest(0.99, relative, tf.where(active, change / _positive(slack), 0.0))
        return (
            i + 1,
            w * (1 + step * relative),
            slack + step * change,
            level + step * rise,
            gap,
        )

    return _close_gap(improve, (w, slack, level))


def minimize_with_norm(gram: Any, linear: Any, factor: Any, active: Any) -> Any:
    r"""Return the weights of a mean of gradients that minimize :math:`l^T w + c \sqrt{w^T G w}`."""
    # The largest diagonal entry of `gram` should be near 1.
    w, is_found = _minimize_with_norm_by_sets(gram, linear, factor, active)
    return tf.cond(
        is_found, lambda: w, lambda: _minimize_with_norm_inside(gram, linear, factor, active)
    )


def _minimize_with_norm_by_sets(
    gram: Any, linear: Any, factor: Any, active: Any
) -> tuple[Any, Any]:
    """Return what `minimize_with_norm` does, and whether it was found."""
    # With x = c w / |w|, the conditions are G x + l >= level with equality where x > 0, and
    # |x| = c. On a set x is linear in the level, which the length then tells.
    diagonal = tf.where(active, tf.linalg.diag_part(gram), 1.0)

    def solve_on(inside: Any) -> tuple[Any, Any]:
        mask = tf.cast(inside, gram.dtype)
        multiply = _within(gram, mask)
        of_level, of_linear = (
            solve_by_products(multiply, mask * part, diagonal, 1e-10)
            for part in (tf.ones_like(linear), linear)
        )
        square, mixed = tf.reduce_sum(of_level * mask), tf.reduce_sum(of_linear * mask)
        rest = _dot(of_linear, mask * linear) - factor**2
        # Where no level gives the length, that with the nearest one.
        level = (mixed + tf.sqrt(tf.maximum(mixed**2 - square * rest, 0.0))) / _positive(square)
        x = level * of_level - of_linear
        slack = (tf.linalg.matvec(gram, x) + linear) / _positive(level) - 1
        return x * tf.sqrt(diagonal), slack * (1 - mask)

    x, is_found = find_positive(solve_on, active, 1e-7)
    x /= tf.sqrt(diagonal)
    length, total = tf.sqrt(_dot(x, tf.linalg.matvec(gram, x))), tf.reduce_sum(x)
    is_found &= (total > 0) & (tf.abs(length - factor) <= 1e-6 * factor)
    return x / tf.where(total > 0, total, 1.0), is_found


def _minimize_with_norm_inside(gram: Any, linear: Any, factor: Any, active: Any) -> Any:
    """Return what `minimize_with_norm` does, by an interior-point method."""
    # The norm is written as the minimum over s of (w'Gw / s + s) / 2, which is smooth in weights
    # and s together.
    n_active = count(active)
    mask = tf.cast(active, gram.dtype)
    inside = tf.concat([active, [True]], axis=0)
    equality = tf.concat([mask, [0.0]], axis=0)
    ones = tf.concat([mask, [1.0]], axis=0)

    def slopes(x: Any) -> tuple[Any, Any, Any]:
        w, s = x[:-1], x[-1]
        by_gram = tf.linalg.matvec(gram, w)
        square = _dot(w, by_gram)
        by_w = tf.where(active, linear + factor * by_gram / s, 0.0)
        by_s = factor / 2 * (1 - square / (s * s))
        return tf.concat([by_w, [by_s]], axis=0), by_gram, square

    def curvature(x: Any, by_gram: Any, square: Any) -> Any:
        """Return the second derivatives with respect to relative changes."""
        w, s = x[:-1], x[-1]
        of_w = factor / s * gram * w[:, None] * w[None, :]
        mixed = (-factor / s) * (by_gram * w)[:, None]
        of_s = tf.reshape(factor * square / s, (1, 1))
        return tf.concat(
            [tf.concat([of_w, mixed], 1), tf.concat([tf.transpose(mixed), of_s], 1)], axis=0
        )

    w = mask / n_active
    root = tf.sqrt(_positive(_dot(w, tf.linalg.matvec(gram, w))))
    x = tf.concat([w, [root]], axis=0)
    gradient, _, _ = slopes(x)
    level = tf.reduce_min(tf.where(active, gradient[:-1], 1e300))
    level = tf.where(tf.reduce_any(active), level, 0.0)
    least = 0.1 * tf.maximum(tf.reduce_max(tf.abs(gradient)), 1e-3)
    slack = tf.where(inside, gradient - level * equality + least, 0.0)

    def improve(
        i: Any, x: Any, slack: Any, level: Any, centering: Any
    ) -> tuple[Any, Any, Any, Any, Any]:
        gap = _dot(x, slack) / (n_active + 1)
        target = tf.maximum(centering * gap, 1e-13 * factor) * ones
        gradient, by_gram, square = slopes(x)
        system = curvature(x, by_gram, square)
        system += tf.linalg.diag(tf.where(inside, x * slack, 1.0))
        residual = gradient - level * equality - slack
        rhs = tf.stack([target - x * (residual + slack), x * equality], axis=-1)
        solved = _solve(system, rhs)
        missing = 1 - tf.reduce_sum(x[:-1])
        along = x * equality
        rise = (missing - _dot(along, solved[:, 0])) / _positive(_dot(along, solved[:, 1]))
        relative = solved[:, 0] + rise * solved[:, 1]
        change = tf.where(inside, (target - x * slack * (1 + relative)) / _positive(x), 0.0)
        longest = _longest(0.9, relative, tf.where(inside, change / _positive(slack), 0.0))
        # Of some steps, the one after which the conditions of the optimum are nearest.
        steps = longest * tf.constant([0.6**k for k in range(6)], gram.dtype)
        xs = x * (1 + steps[:, None] * relative)
        slacks = slack + steps[:, None] * change
        ws, ss = xs[:, :-1], xs[:, -1:]
        products = tf.matmul(ws, gram)
        squares = tf.reduce_sum(ws * products, axis=1, keepdims=True)
        gradients = tf.concat(
            [
                tf.where(active, linear + factor * products / ss, 0.0),
                factor / 2 * (1 - squares / (ss * ss)),
            ],
            axis=1,
        )
        levels = level + steps * rise
        errors = tf.maximum(
            tf.abs(xs * (gradients - levels[:, None] * equality - slacks)),
            tf.abs(xs * slacks - target),
        )
        best = tf.argmin(tf.reduce_max(errors, axis=1))
        step = tf.gather(steps, best)
        centering = tf.where(step > 0.5, 0.1, tf.where(step < 0.2, 0.9, 0.5))
        return (
            i + 1,
            x * (1 + step * relative),
            slack + step * change,
            level + step * rise,
            tf.cast(centering, gram.dtype),
        )

    start = (x, slack, level, tf.constant(0.1, gram.dtype))
    return _iterate(35, improve, start)[0][:-1]


def minimize_above(gram: Any, bounds: Any, active: Any) -> Any:
    r"""Return rows v that minimize :math:`v^T G v` above the rows of `bounds`, (k, n)."""
    if gram.shape[-1] <= _FEW_FOR_SETS:
        return _minimize_above_by_sets(gram, bounds)
    return _minimize_above_inside(gram, bounds, active)


def _minimize_above_by_sets(gram: Any, bounds: Any) -> Any:
    """Return what `minimize_above` does, from all sets of weights above their bounds."""
    # v = bounds + z with z >= 0, gradient G v >= 0, and one of them 0 in each position: on a set z
    # makes the gradient 0, and is 0 outside of it. All sets are solved, by elimination without a
    # loop in the graph, and that which violates the conditions least is taken.
    n = gram.shape[-1]
    sets = np.array(list(itertools.product((False, True), repeat=n)))
    linear = tf.matmul(gram, bounds, transpose_b=True)
    system = tf.where(sets[:, :, None] & sets[:, None, :], gram, np.eye(n))
    table = tf.concat([system, tf.where(sets[:, :, None], -linear, 0.0)], axis=2)
    for i in range(n):
        row = table[:, i : i + 1] / table[:, i : i + 1, i : i + 1]
        others = table - table[:, :, i : i + 1] * row
        table = tf.where(np.arange(n)[:, None] == i, row, others)
    z = table[:, :, n:]
    slack = tf.matmul(gram, z) + linear
    violations = tf.maximum(-z, tf.where(sets[:, :, None], tf.zeros_like(slack), -slack))
    violation = tf.reduce_max(violations, axis=1)
    is_best = tf.argmin(violation, axis=0) == np.arange(len(sets))[:, None]
    return bounds + tf.transpose(tf.reduce_sum(tf.where(is_best[:, None], z, 0.0), axis=0))


def _minimize_above_inside(gram: Any, bounds: Any, active: Any) -> Any:
    """Return what `minimize_above` does, by an interior-point method."""
    mask = tf.cast(active, gram.dtype)
    n_active = count(active)
    # v = bounds + z with z >= 0; the gradient with respect to z is the slack.
    linear = tf.matmul(bounds, gram)
    z = tf.ones_like(bounds) * mask
    slack = z

    def improve(i: Any, z: Any, slack: Any, _: Any) -> tuple[Any, ...]:
        gap = tf.reduce_sum(z * slack, axis=1, keepdims=True) / n_active
        target = tf.maximum(0.1 * gap, 1e-15) * mask
        residual = tf.where(active, tf.matmul(z, gram) + linear - slack, 0.0)
        system = gram * z[:, :, None] * z[:, None, :]
        system += tf.linalg.diag(tf.where(active, z * slack, 1.0))
        rhs = target - z * (residual + slack)
        relative = _solve(system, rhs[:, :, None])[:, :, 0]
        change = tf.where(active, (target - z * slack * (1 + relative)) / _positive(z), 0.0)
        falls = tf.where(active, change / _positive(slack), 0.0)
        step = _longest(0.99, relative, falls, keepdims=True)
        return i + 1, z * (1 + step * relative), slack + step * change, tf.reduce_max(gap)

    return bounds + _close_gap(improve, (z, slack))


def _close_gap(improve: Any, start: tuple[Any, ...]) -> Any:
    """Return the first of what iterations improve, until the gap before the last one is closed."""
    open_gap = tf.constant(1.0, start[0].dtype)
    _, first, *_ = tf.while_loop(
        lambda i, *rest: (i < 20) & (rest[-1] > 1e-13), improve, (0, *start, open_gap)
    )
    return first


def _iterate(n_iterations: int, improve: Any, start: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the last of a fixed number of iterations."""
    _, *last = tf.while_loop(lambda i, *_: i < n_iterations, improve, (0, *start))
    return tuple(last)


def _solve(system: Any, rhs: Any) -> Any:
    """Return the solutions of a positive definite system."""
    return tf.linalg.cholesky_solve(tf.linalg.cholesky(system), rhs)


def _longest(part: float, *relative: Any, keepdims: bool = False) -> Any:
    """Return the longest step, up to 1, that leaves no value below 1 - part of what it was."""
    falls = [tf.reduce_max(-r, axis=-1, keepdims=keepdims) for r in relative]
    return tf.minimum(part / tf.maximum(tf.maximum(*falls), 1e-12), 1.0)


def _positive(value: Any) -> Any:
    return tf.maximum(value, _LEAST)


def _dot(a: Any, b: Any) -> Any:
    return tf.reduce_sum(a * b)


def descend_above(gram: Any, bounds: Any, active: Any, n_iterations: int) -> Any:
    r"""Return what `minimize_above` does, by accelerated projected gradients with restarts."""
    linear = tf.matmul(bounds, gram)
    # No eigenvalue is larger than the largest sum of a row.
    size = tf.reduce_max(tf.reduce_sum(tf.abs(gram), axis=1))
    mask = tf.cast(active, gram.dtype)

    def improve(i: Any, z: Any, ahead: Any, momentum: Any, _: Any) -> tuple[Any, ...]:
        gradient = tf.matmul(ahead, gram) + linear
        new = tf.maximum(ahead - gradient / size, 0.0) * mask
        change = new - z
        # A row whose momentum leads uphill starts again.
        uphill = tf.reduce_sum((ahead - new) * change, axis=1, keepdims=True) > 0
        following = (1 + tf.sqrt(1 + 4 * momentum**2)) / 2
        speed = tf.where(uphill, 0.0, (momentum - 1) / following)
        largest = tf.reduce_max(tf.abs(change))
        return i + 1, new, new + speed * change, tf.where(uphill, 1.0, following), largest

    z = tf.zeros_like(bounds)
    start = (0, z, z, tf.ones_like(bounds[:, :1]), tf.ones_like(size))
    _, z, *_ = tf.while_loop(
        lambda i, *rest: (i < n_iterations) & (rest[-1] > 1e-6), improve, start
    )
    return bounds + z
