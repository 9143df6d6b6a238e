"""Gradients without their parts against others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sk_mtl.weighting._base import TaskBatch
from sk_mtl.weighting._gram_weighting import (
    OccasionalWeighting,
    hold_weights,
    initial_count,
)
from sk_mtl.weighting._settings import (
    advance_draws,
    check_integer,
    draw_uniform_of,
    initial_draws,
)

__all__ = ["PCGradWeighting"]


class PCGradWeighting(OccasionalWeighting):
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

    every : int, default=1
        The weights are computed in every so many steps, and kept in between.

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
    factorizes = False
    can_pack = False

    def __init__(self, random_state: int = 0, every: int = 1):
        self.random_state = random_state
        self.every = every

    def check_settings(self) -> None:
        super().check_settings()
        check_integer(self, "random_state", 0, 2**32 - 1)

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        self.check_settings()
        weight = np.ones(n_tasks, dtype=np.float32)
        draws = initial_draws(self.random_state)
        return {"weight": weight, **draws, **initial_count(self.every)}

    def _compute(self, batch: TaskBatch, state: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        from sk_mtl.weighting._gram import cut_gram
        from sk_mtl.weighting._visits import visit_in_turn

        cosines, norms, _, _ = cut_gram(batch.gram, batch.present, tf.float32)
        order = tf.argsort(draw_uniform_of(state, state["weight"]))
        tasks = tf.range(norms.shape[-1])

        def project(products: Any, visited: Any, _: Any) -> tuple[Any, Any]:
            meets = (tasks != visited[:, None]) & (products < 0)
            added = -tf.where(meets, products, 0.0)
            return added, added

        added, _ = visit_in_turn(cosines, order, project, tells_lengths=False)
        # From unit gradients to gradients: columns times their norms, rows divided by theirs.
        of_visited = tf.linalg.matvec(added, norms)
        weights = 1 + tf.gather(of_visited, tf.argsort(order)) / norms
        weights = hold_weights(weights, batch.present, state["weight"], False)
        return {"weight": weights, **advance_draws(state, batch.present)}
