"""Gradients without their parts against others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import GradientWeighting, TaskBatch
from sk_mtl.weighting._gram_weighting import hold_weights
from sk_mtl.weighting._settings import (
    Named,
    advance_draws,
    check_integer,
    draw_uniform_of,
    initial_draws,
)

__all__ = ["PCGradWeighting"]


class PCGradWeighting(Named, GradientWeighting):
    r"""The sum of the gradients, each without its part against the others (PCGrad).

    Each gradient meets the others in a random order; where its inner product with one is negative,
    it is projected onto the plane orthogonal to that one: algorithm 1 of [1]_, over the tasks of
    the batch. A gradient that is changed is a sum of the gradients, so that the projections follow
    from the Gram matrix alone.

    All gradients meet the others in one order, drawn anew in each step, where the paper draws one
    for each gradient; each single projected gradient has the same distribution. In float32.

    Parameters
    ----------
    random_state : int, default=0
        The seed of the orders, from 0 to 2^32 - 1.

    References
    ----------
    .. [1] T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman, C. Finn. "Gradient Surgery for
       Multi-Task Learning". NeurIPS 2020, arXiv 2001.06782.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="pcgrad")
    """

    _name = "pcgrad"

    def __init__(self, random_state: int = 0):
        self.random_state = random_state

    def check_settings(self) -> None:
        check_integer(self, "random_state", 0, 2**32 - 1)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        return {"weight": np.ones(n_tasks, dtype=np.float32), **initial_draws(self.random_state)}

    def weigh(self, batch: TaskBatch, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        from sk_mtl.weighting._gram import cut_gram
        from sk_mtl.weighting._visits import visit_in_turn

        cosines, norms, _, _ = cut_gram(batch.gram, batch.present, tf.float32)
        order = tf.argsort(draw_uniform_of(state, state["weight"]))
        tasks = tf.range(norms.shape[-1])

        def project(products: Any, place: Any, carried: Any) -> tuple[Any, Any, Any]:
            meets = (tasks != order[place]) & (products < 0)
            against = tf.where(meets, products, 0.0)
            return -against, against, carried

        added, _ = visit_in_turn(cosines, order, project, tf.zeros(()))
        # From unit gradients to gradients: rows times their norms, columns divided by theirs.
        of_visited = tf.linalg.matvec(added, norms, transpose_a=True)
        weights = 1 + tf.gather(of_visited, tf.argsort(order)) / norms
        weights = hold_weights(weights, batch.present, state["weight"], False)
        return weights, {"weight": weights, **advance_draws(state, batch.present)}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        return np.asarray(state["weight"], dtype=np.float32)
