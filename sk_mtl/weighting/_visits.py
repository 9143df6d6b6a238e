"""Gradients that meet one another in turn: the sequence of PCGrad and GradVac.

All gradients visit the others in one order. Each is known by its inner products with the unit
gradients, so that a visit changes a column of coefficients and the products of later visits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["visit_in_turn"]

# So many visits are made before their effects on the other products are added, as one product.
_BLOCK = 32


def visit_in_turn(
    cosines: Any, order: Any, respond: Callable[[Any, Any, Any], tuple[Any, Any, Any]], carried: Any
) -> tuple[Any, Any]:
    """Return what is added of each unit gradient to each gradient, (n, n), and what was noted."""
    # Rows are the gradients that change, in the order of tasks; columns are those that are visited,
    # in `order`. ``respond(products, place, carried)`` returns coefficients (n,), a column to note
    # (n,), and what it carries along, from the inner products of all gradients with that visited.
    n = cosines.shape[-1]
    visited = tf.gather(cosines, order)  # (visited, n)
    among = tf.gather(visited, order, axis=1)  # (visited, visited)
    products = tf.transpose(visited)  # (n, visited)
    coefficients, notes = [], []
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        within = among[start:stop, start:stop]

        def visit(
            i: Any,
            block: Any,
            added: Any,
            noted: Any,
            carried: Any,
            within: Any = within,
            start: int = start,
        ) -> tuple[Any, Any, Any, Any, Any]:
            at = tf.one_hot(i, within.shape[0], dtype=cosines.dtype)
            column, note, carried = respond(tf.linalg.matvec(block, at), start + i, carried)
            block += column[:, None] * tf.linalg.matvec(within, at)[None, :]
            added += column[:, None] * at[None, :]
            noted += note[:, None] * at[None, :]
            return i + 1, block, added, noted, carried

        block = products[:, : stop - start]
        zeros = tf.zeros_like(block)
        _, _, added, noted, carried = tf.while_loop(
            lambda i, *_, size=stop - start: i < size, visit, (0, block, zeros, zeros, carried)
        )
        products = products[:, stop - start :] + added @ among[start:stop, stop:]
        coefficients.append(added)
        notes.append(noted)
    return tf.concat(coefficients, axis=1), tf.concat(notes, axis=1)
