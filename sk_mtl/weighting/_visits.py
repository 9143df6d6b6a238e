"""Gradients that meet one another in turn: the sequence of PCGrad and GradVac.

All gradients visit the others in one order. Each is known by its inner products with the unit
gradients, so that a visit adds a row of coefficients, and changes the products of later visits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["visit_in_turn"]

# So many visits are made together, before their effects on the later ones are added as one product.
_BLOCK = 32
# Up to so many tasks, they are made one by one, without a loop in the graph.
_FEW = 8
# Where coefficients change by less from one round of a block to the next, the rounds end.
_TOLERANCE = 1e-7


def visit_in_turn(
    cosines: Any,
    order: Any,
    respond: Callable[[Any, Any, Any], tuple[Any, Any]],
    *,
    tells_lengths: bool,
) -> tuple[Any, Any]:
    """Return what is added of each unit gradient to each gradient, (n, n), and what was noted."""
    # Rows are the gradients that are visited, in `order`; columns are those that change, in the
    # order of tasks. ``respond(products, visited, squares)`` returns what visits add and what to
    # note of them, (n_visits, n) each, from the inner products and the squares of the lengths
    # before each visit, (n_visits, n), and the numbers of the tasks visited. Without
    # `tells_lengths`, all squares are 1.
    n = cosines.shape[-1]
    products = tf.gather(cosines, order)
    among = tf.gather(tf.transpose(products), order)
    squares = tf.ones_like(products[:1])
    size = 1 if n <= _FEW else _BLOCK
    added, noted = [], []
    for start in range(0, n, size):
        stop = min(start + size, n)
        of_block = among[start:stop]
        block, notes, after = _visit_together(
            products[: stop - start],
            squares,
            of_block[:, start:stop],
            order[start:stop],
            respond,
            tells_lengths,
        )
        squares = after if tells_lengths else squares
        products = products[stop - start :]
        if stop < n:
            products += tf.matmul(of_block[:, stop:], block, transpose_a=True)
        added.append(block)
        noted.append(notes)
    return tf.concat(added, axis=0), tf.concat(noted, axis=0)


def _visit_together(
    products: Any,
    squares: Any,
    among: Any,
    visited: Any,
    respond: Callable[[Any, Any, Any], tuple[Any, Any]],
    tells_lengths: bool,
) -> tuple[Any, Any, Any]:
    """Return what some visits in a row add, what they note, and the squares after them."""
    size = among.shape[0]
    if size == 1:
        added, noted = respond(products, visited, squares)
        return added, noted, squares + added * (2 * products + added)
    # A visit depends on those before it only. So each round, in which all respond to what all added
    # in the round before, gets at least one more visit right, and mostly many.
    before = np.tri(size, k=-1, dtype=np.float32)
    effects = before * tf.transpose(among)

    def respond_again(i: Any, added: Any, _: Any, *__: Any) -> tuple[Any, ...]:
        met = products + tf.matmul(effects, added)
        lengths = squares
        if tells_lengths:
            lengths += tf.matmul(before, added * (2 * met + added))
        new, noted = respond(met, visited, lengths)
        return i + 1, new, tf.reduce_max(tf.abs(new - added)), noted, met

    added, noted = respond(products, visited, squares)
    _, added, _, noted, met = tf.while_loop(
        lambda i, _, change, *__: (i < size) & (change > _TOLERANCE),
        respond_again,
        (1, added, tf.reduce_max(tf.abs(added)), noted, products),
    )
    growth = tf.reduce_sum(added * (2 * met + added), axis=0, keepdims=True)
    return added, noted, squares + growth
